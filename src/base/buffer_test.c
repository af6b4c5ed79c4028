/* Goal: a buffer holds what was written up to its maximum, and past it says so instead of lying.
 * Method: random writes against a plain array for every maximum; the account's limit reached; growth observed. */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static weir_account account;

static void writes_follow_each_other(void **state) {
    (void)state;
    weir_buffer buffer;
    weir_buffer_init(&buffer, &account, 1 << 16);
    weir_buffer_append_text(&buffer, "partition ");
    weir_buffer_format(&buffer, "%s-%d", "orders", 3);
    weir_buffer_append_byte(&buffer, '!');
    weir_buffer_append(&buffer, NULL, 0);
    assert_string_equal(weir_buffer_text(&buffer), "partition orders-3!");
    assert_int_equal(weir_buffer_view(&buffer).size, 19); /* the terminator is not contents */
    weir_buffer_consume(&buffer, 10);
    assert_string_equal(weir_buffer_text(&buffer), "orders-3!");
    weir_buffer_consume(&buffer, buffer.size);
    assert_string_equal(weir_buffer_text(&buffer), "");
    uint8_t *at = weir_buffer_reserve(&buffer, 1000);
    assert_non_null(at);
    memset(at, 'x', 1000);
    buffer.size += 1000;
    assert_int_equal(weir_buffer_view(&buffer).data[999], 'x');
    weir_buffer_deinit(&buffer);
    assert_int_equal(account.used_bytes, 0);
}

static void at_every_maximum_what_fits_is_kept_and_the_rest_is_told(void **state) {
    (void)state;
    for (size_t max_bytes = 0; max_bytes < 700; max_bytes++) {
        weir_buffer buffer;
        weir_buffer_init(&buffer, &account, max_bytes);
        uint8_t model[800];
        size_t size = 0;
        for (unsigned step = 0; size < 700; step++) {
            uint8_t part[16];
            const size_t part_bytes = 1 + (step * 7 + max_bytes) % 16;
            memset(part, (int)step, part_bytes);
            weir_buffer_append(&buffer, part, part_bytes);
            assert_int_equal(buffer.overflowed, size + part_bytes > max_bytes);
            if (buffer.overflowed) break;
            memcpy(model + size, part, part_bytes);
            size += part_bytes;
        }
        assert_true(buffer.overflowed && buffer.capacity <= max_bytes);
        weir_buffer_append_byte(&buffer, 1); /* ignored, though a byte might fit: no holes */
        weir_buffer_format(&buffer, "%d", 1);
        assert_null(weir_buffer_reserve(&buffer, 0));
        assert_true(weir_bytes_equal(weir_buffer_view(&buffer), weir_bytes_of(model, size)));
        weir_buffer_clear(&buffer);
        assert_false(buffer.overflowed);
        weir_buffer_deinit(&buffer);
    }
}

static void a_size_that_would_wrap_overflows(void **state) {
    (void)state;
    weir_buffer buffer;
    weir_buffer_init(&buffer, &account, 100);
    weir_buffer_append_text(&buffer, "kept");
    assert_null(weir_buffer_reserve(&buffer, SIZE_MAX - 2));
    assert_true(buffer.overflowed);
    assert_true(weir_bytes_equal_text(weir_buffer_view(&buffer), "kept"));
    weir_buffer_deinit(&buffer);
}

static void no_bytes_are_somewhere_too(void **state) {
    (void)state;
    for (size_t most = 0; most < 2; most++) {
        weir_buffer buffer;
        weir_buffer_init(&buffer, &account, most);
        assert_non_null(weir_buffer_reserve(&buffer, 0));
        assert_false(buffer.overflowed);
        weir_buffer_append_text(&buffer, "x");
        assert_int_equal(buffer.size, most);
        weir_buffer_deinit(&buffer);
    }
}

static void the_budget_is_a_maximum_too(void **state) {
    (void)state;
    weir_account small;
    weir_account_init(&small, "small", 3000);
    weir_buffer buffer;
    weir_buffer_init(&buffer, &small, 1 << 20);
    while (!buffer.overflowed) weir_buffer_append_text(&buffer, "0123456789");
    assert_true(buffer.size >= 1000 && buffer.size <= 3000 && buffer.size % 10 == 0);
    assert_true(small.peak_bytes <= 3200);
    weir_buffer_deinit(&buffer);
    weir_account_deinit(&small);
}

static void a_text_that_fills_the_buffer_leaves_no_terminator(void **state) {
    (void)state;
    weir_buffer buffer;
    weir_buffer_init(&buffer, &account, 4);
    weir_buffer_append_text(&buffer, "1234");
    assert_false(buffer.overflowed);
    assert_string_equal(weir_buffer_text(&buffer), "");
    assert_true(weir_bytes_equal_text(weir_buffer_view(&buffer), "1234"));
    weir_buffer_deinit(&buffer);
}

static void growth_doubles(void **state) {
    (void)state;
    weir_buffer buffer;
    weir_buffer_init(&buffer, &account, 1 << 24);
    unsigned moves = 0;
    const uint8_t *data = NULL;
    for (int i = 0; i < 1 << 20; i++) {
        weir_buffer_append_byte(&buffer, 1);
        moves += buffer.data != data;
        data = buffer.data;
    }
    assert_int_equal(buffer.size, 1 << 20);
    assert_in_range(moves, 1, 13); /* 256 B to 1 MiB */
    weir_buffer_deinit(&buffer);
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
        cmocka_unit_test(writes_follow_each_other),
        cmocka_unit_test(at_every_maximum_what_fits_is_kept_and_the_rest_is_told),
        cmocka_unit_test(a_size_that_would_wrap_overflows),
        cmocka_unit_test(no_bytes_are_somewhere_too),
        cmocka_unit_test(the_budget_is_a_maximum_too),
        cmocka_unit_test(a_text_that_fills_the_buffer_leaves_no_terminator),
        cmocka_unit_test(growth_doubles),
    };
    return cmocka_run_group_tests(tests, open_account, close_account);
}
