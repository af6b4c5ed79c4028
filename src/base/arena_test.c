/* Goal: memory of an arena is aligned, separate, bounded and all freed at once.
 * Method: random allocations that must not overlap; the arena's, the account's and the process's maximum reached in
 * turn; a loop of resets whose allocations are counted. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static weir_account account;

static void memory_is_aligned_zeroed_and_does_not_overlap(void **state) {
    (void)state;
    weir_arena arena;
    weir_arena_init(&arena, &account, 1 << 20);
    uint8_t *parts[300];
    for (unsigned i = 0; i < 300; i++) {
        parts[i] = weir_arena_alloc(&arena, i * 3);
        assert_int_equal((uintptr_t)parts[i] % 16, 0);
        for (unsigned j = 0; j < i * 3; j++) assert_int_equal(parts[i][j], 0);
        memset(parts[i], (int)(i & 0xff), i * 3);
    }
    for (unsigned i = 0; i < 300; i++) {
        for (unsigned j = 0; j < i * 3; j++) assert_int_equal(parts[i][j], i & 0xff);
    }
    assert_in_range(weir_arena_used(&arena), 299 * 150 * 3, 1 << 18);
    weir_arena_deinit(&arena);
    assert_int_equal(account.used_bytes, 0);
}

static void at_its_maximum_an_arena_answers_null_and_goes_on(void **state) {
    (void)state;
    for (size_t max_bytes = 0; max_bytes < 20000; max_bytes = max_bytes * 5 / 4 + 1) {
        weir_arena arena;
        weir_arena_init(&arena, &account, max_bytes);
        size_t given = 0;
        while (weir_arena_try(&arena, 48)) given += 48;
        assert_true(given <= max_bytes);
        assert_true(given + 4096 + 48 > max_bytes); /* at most the tail of a chunk is lost */
        assert_true(arena.total_bytes <= max_bytes);
        assert_null(weir_arena_try(&arena, max_bytes + 1));
        assert_null(weir_arena_try(&arena, SIZE_MAX));
        weir_arena_reset(&arena);
        assert_true(given == 0 || weir_arena_try(&arena, 48) != NULL);
        weir_arena_deinit(&arena);
    }
    assert_int_equal(account.used_bytes, 0);
}

static void the_accounts_limit_is_met_before_the_arenas(void **state) {
    (void)state;
    weir_account small;
    weir_account_init(&small, "small", 20000);
    weir_arena arena;
    weir_arena_init(&arena, &small, 1 << 20);
    size_t given = 0;
    while (weir_arena_try(&arena, 100)) given += 100;
    assert_in_range(given, 4096, 20000);
    weir_arena_reset(&arena);
    assert_non_null(weir_arena_try(&arena, 100));
    weir_arena_deinit(&arena);
    weir_account_deinit(&small);
}

static void an_allocation_larger_than_a_chunk_gets_its_own(void **state) {
    (void)state;
    weir_arena arena;
    weir_arena_init(&arena, &account, 8 << 20);
    uint8_t *large = weir_arena_alloc(&arena, 3 << 20);
    large[(3 << 20) - 1] = 1;
    uint8_t *next = weir_arena_alloc(&arena, 10);
    assert_true(next < large || next >= large + (3 << 20));
    weir_arena_reset(&arena);
    assert_true(arena.total_bytes <= 1 << 20); /* one large turn is not paid for ever after */
    weir_arena_deinit(&arena);
}

static void nothing_at_all_still_has_an_address(void **state) {
    (void)state;
    weir_arena arena;
    weir_arena_init(&arena, &account, 1 << 12);
    assert_non_null(weir_arena_array(&arena, int, 0));
    assert_non_null(weir_arena_bytes_copy(&arena, weir_bytes_of("", 0)).data); /* empty is not null */
    assert_null(weir_arena_bytes_copy(&arena, weir_bytes_of(NULL, 0)).data);
    weir_arena_deinit(&arena);
}

static void a_loop_of_turns_settles_at_no_allocation(void **state) {
    (void)state;
    weir_arena arena;
    weir_arena_init(&arena, &account, 1 << 20);
    size_t total_bytes = 0;
    for (int turn = 0; turn < 20; turn++) {
        for (int i = 0; i < 100; i++) weir_arena_alloc(&arena, 1000);
        if (turn == 5) total_bytes = arena.total_bytes;
        if (turn > 5) {
            assert_int_equal(arena.total_bytes, total_bytes);
            assert_ptr_equal(arena.first, arena.last);
        }
        weir_arena_reset(&arena);
        assert_int_equal(weir_arena_used(&arena), 0);
    }
    weir_arena_deinit(&arena);
}

static void copies_are_the_arenas_own(void **state) {
    (void)state;
    weir_arena arena;
    weir_arena_init(&arena, &account, 1 << 16);
    char word[] = "orders";
    char *text = weir_arena_text_copy(&arena, word);
    const weir_bytes bytes = weir_arena_bytes_copy(&arena, weir_bytes_text(word));
    word[0] = 'X';
    assert_string_equal(text, "orders");
    assert_true(weir_bytes_equal_text(bytes, "orders"));
    assert_string_equal(weir_arena_format(&arena, "%s-%d", "orders", 3), "orders-3");
    weir_arena_deinit(&arena);
}

static int open_account(void **state) {
    (void)state;
    weir_account_init(&account, "test", 0);
    return 0;
}
static int close_account(void **state) {
    (void)state;
    weir_account_deinit(&account);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_zeroed_and_does_not_overlap),
        cmocka_unit_test(at_its_maximum_an_arena_answers_null_and_goes_on),
        cmocka_unit_test(the_accounts_limit_is_met_before_the_arenas),
        cmocka_unit_test(an_allocation_larger_than_a_chunk_gets_its_own),
        cmocka_unit_test(nothing_at_all_still_has_an_address),
        cmocka_unit_test(a_loop_of_turns_settles_at_no_allocation),
        cmocka_unit_test(copies_are_the_arenas_own),
    };
    return cmocka_run_group_tests(tests, open_account, close_account);
}
