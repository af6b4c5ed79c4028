/* Goal: the table behaves as the dictionary it claims to be, and owns its keys.
 * Method: a story of a few keys, then 200,000 random operations against a plain array as the model, with the account
 * checked at the end. */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static weir_account account;

static void a_key_is_put_replaced_and_removed(void **state) {
    (void)state;
    weir_map map;
    weir_map_init(&map, &account);
    int first = 1, second = 2;
    char key[] = "orders";
    assert_null(weir_map_get_text(&map, "orders"));
    assert_null(weir_map_remove(&map, weir_bytes_text("orders")));
    assert_null(weir_map_put(&map, weir_bytes_text(key), &first));
    memset(key, 'x', sizeof key - 1); /* the map has its own copy */
    assert_ptr_equal(weir_map_get_text(&map, "orders"), &first);
    assert_ptr_equal(weir_map_put(&map, weir_bytes_text("orders"), &second), &first);
    assert_int_equal(map.count, 1);
    assert_null(weir_map_get_text(&map, "order"));
    assert_null(weir_map_get(&map, weir_bytes_of("orders", 7))); /* a terminator is a byte like others */
    assert_ptr_equal(weir_map_remove(&map, weir_bytes_text("orders")), &second);
    assert_null(weir_map_get_text(&map, "orders"));
    assert_int_equal(map.count, 0);
    weir_map_deinit(&map);
}

static void the_empty_key_is_a_key(void **state) {
    (void)state;
    weir_map map;
    weir_map_init(&map, &account);
    int value;
    weir_map_put(&map, weir_bytes_of(NULL, 0), &value);
    assert_ptr_equal(weir_map_get_text(&map, ""), &value);
    assert_ptr_equal(weir_map_remove(&map, weir_bytes_of(NULL, 0)), &value);
    weir_map_deinit(&map);
}

enum { KEYS = 1000, STEPS = 200000 };

static uint32_t seed = 7;
static uint32_t next_random(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static weir_bytes key_of(unsigned number, char *storage) {
    return weir_bytes_of(storage, (size_t)snprintf(storage, 32, "key-%u", number));
}

static void check_iteration(const weir_map *map, void *const *model) {
    size_t seen = 0;
    weir_bytes key;
    void *value;
    for (size_t at = 0; weir_map_next(map, &at, &key, &value); seen++) {
        unsigned number;
        char text[32] = {0};
        memcpy(text, key.data, key.size);
        assert_int_equal(sscanf(text, "key-%u", &number), 1);
        assert_ptr_equal(model[number], value);
    }
    assert_int_equal(seen, map->count);
}

static void random_operations_match_the_model(void **state) {
    (void)state;
    static void *model[KEYS];
    static char values[KEYS];
    weir_map map;
    weir_map_init(&map, &account);
    size_t live = 0;
    for (int step = 0; step < STEPS; step++) {
        char storage[32];
        const unsigned number = next_random() % KEYS;
        const weir_bytes key = key_of(number, storage);
        switch (next_random() % 3) {
        case 0:
            live += model[number] == NULL;
            assert_ptr_equal(weir_map_put(&map, key, &values[number]), model[number]);
            model[number] = &values[number];
            break;
        case 1:
            live -= model[number] != NULL;
            assert_ptr_equal(weir_map_remove(&map, key), model[number]);
            model[number] = NULL;
            break;
        default: assert_ptr_equal(weir_map_get(&map, key), model[number]);
        }
        assert_int_equal(map.count, live);
        if (step % 10000 == 0) check_iteration(&map, model);
    }
    weir_map_deinit(&map);
}

static void entries_may_be_removed_while_walking(void **state) {
    (void)state;
    static char values[KEYS];
    weir_map map;
    weir_map_init(&map, &account);
    for (unsigned i = 0; i < KEYS; i++) {
        char storage[32];
        weir_map_put(&map, key_of(i, storage), &values[i]);
    }
    weir_bytes key;
    void *value;
    unsigned seen = 0;
    for (size_t at = 0; weir_map_next(&map, &at, &key, &value); seen++) {
        if (seen % 2) assert_ptr_equal(weir_map_remove(&map, key), value);
    }
    assert_int_equal(seen, KEYS);
    assert_int_equal(map.count, KEYS / 2);
    weir_map_deinit(&map);
}

static void churn_at_a_steady_size_does_not_grow_the_table(void **state) {
    (void)state;
    weir_map map;
    weir_map_init(&map, &account);
    char storage[32];
    int value;
    for (unsigned i = 0; i < 100000; i++) {
        weir_map_put(&map, key_of(i, storage), &value);
        if (i >= 10) assert_ptr_equal(weir_map_remove(&map, key_of(i - 10, storage)), &value);
    }
    assert_int_equal(map.count, 10);
    assert_true(map.capacity <= 64);
    weir_map_deinit(&map);
}

static int open_account(void **state) {
    (void)state;
    weir_account_init(&account, "test", 0);
    return 0;
}
static int close_account(void **state) {
    (void)state;
    weir_account_deinit(&account); /* asserts that every key was freed */
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_put_replaced_and_removed),
        cmocka_unit_test(the_empty_key_is_a_key),
        cmocka_unit_test(random_operations_match_the_model),
        cmocka_unit_test(entries_may_be_removed_while_walking),
        cmocka_unit_test(churn_at_a_steady_size_does_not_grow_the_table),
    };
    return cmocka_run_group_tests(tests, open_account, close_account);
}
