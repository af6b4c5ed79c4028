/* Goal: the vtable is asked with what the caller means, and the bit fields are Kafka's.
 * Method: an authoriser that allows reading alone and writes down what it was asked. */
#include "guard/guard.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static guard_resource asked_resource;

static bool readers_may(const guard_authoriser *self, const guard_principal *principal, guard_operation operation,
                        guard_resource resource, weir_bytes name) {
    (void)self;
    asked_resource = resource;
    return operation == GUARD_READ && strcmp(principal->name, "reader") == 0 && weir_bytes_equal_text(name, "orders");
}

static void test_allow_all_allows(void **state) {
    (void)state;
    assert_true(guard_may(&guard_allow_all, &guard_anonymous, GUARD_DELETE, GUARD_TOPIC, weir_bytes_text("orders")));
    assert_true(guard_may_cluster(&guard_allow_all, &guard_system, GUARD_CREATE));
}

static void test_operations_are_the_protocols_bits(void **state) {
    (void)state;
    /* Kafka 4.3 answers these numbers to a principal that may do everything. */
    assert_int_equal(guard_operations(&guard_allow_all, &guard_anonymous, GUARD_TOPIC, weir_bytes_text("t")), 3576);
    assert_int_equal(guard_operations(&guard_allow_all, &guard_anonymous, GUARD_GROUP, weir_bytes_text("g")), 328);
}

static void test_the_vtable_decides(void **state) {
    (void)state;
    const guard_authoriser authoriser = {.may = readers_may};
    const guard_principal reader = {"User", "reader"};
    assert_int_equal(guard_operations(&authoriser, &reader, GUARD_TOPIC, weir_bytes_text("orders")), 1 << GUARD_READ);
    assert_int_equal(guard_operations(&authoriser, &guard_anonymous, GUARD_TOPIC, weir_bytes_text("orders")), 0);
    assert_false(guard_may_cluster(&authoriser, &reader, GUARD_ALTER));
    assert_int_equal(asked_resource, GUARD_CLUSTER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allow_all_allows),
        cmocka_unit_test(test_operations_are_the_protocols_bits),
        cmocka_unit_test(test_the_vtable_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
