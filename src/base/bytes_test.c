/* Goal: bytes compare as every state store orders them; big-endian numbers are where the protocols expect them.
 * Method: tables of cases. */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void order_is_of_unsigned_bytes_with_prefixes_first(void **state) {
    (void)state;
    static const weir_bytes ascending[] = {{NULL, 0},
                                           {(const uint8_t *)"\x00", 1},
                                           {(const uint8_t *)"\x00\x00", 2},
                                           {(const uint8_t *)"\x01", 1},
                                           {(const uint8_t *)"a", 1},
                                           {(const uint8_t *)"a\x00", 2},
                                           {(const uint8_t *)"ab", 2},
                                           {(const uint8_t *)"\x7f", 1},
                                           {(const uint8_t *)"\x80", 1},
                                           {(const uint8_t *)"\xff", 1}};
    const int count = sizeof ascending / sizeof ascending[0];
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            assert_int_equal(weir_bytes_compare(ascending[i], ascending[j]), i < j ? -1 : i > j);
            assert_int_equal(weir_bytes_equal(ascending[i], ascending[j]), i == j);
        }
    }
}

static void numbers_are_big_endian_at_any_address(void **state) {
    (void)state;
    uint8_t at[16] = {0};
    weir_write_be16(at + 1, 0x0102);
    weir_write_be32(at + 3, 0x03040506);
    weir_write_be64(at + 7, 0x0708090a0b0c0d0eu);
    for (unsigned i = 1; i < 15; i++) assert_int_equal(at[i], i);
    assert_int_equal(at[0] | at[15], 0);
    assert_int_equal(weir_read_be16(at + 1), 0x0102);
    assert_int_equal(weir_read_be32(at + 3), 0x03040506);
    assert_true(weir_read_be64(at + 7) == 0x0708090a0b0c0d0eu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_of_unsigned_bytes_with_prefixes_first),
        cmocka_unit_test(numbers_are_big_endian_at_any_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
