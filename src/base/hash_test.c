/* Goal: keys land on the partitions where Kafka's own producer puts them; the tables' hash spreads.
 * Method: the vectors of Kafka's UtilsTest for murmur2; counting collisions of the low bits for the others. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void murmur2_is_kafkas(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int32_t hash;
    } vectors[] = {{"21", -973932308},
                   {"foobar", -790332482},
                   {"a-little-bit-long-string", -985981536},
                   {"a-little-bit-longer-string", -1486304829},
                   {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
                   {"abc", 479470107}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        assert_int_equal((int32_t)weir_murmur2(vectors[i].text, strlen(vectors[i].text)), vectors[i].hash);
    }
}

static void the_partition_is_the_positive_hash_modulo_the_count(void **state) {
    (void)state;
    assert_int_equal(weir_partition_of_key(weir_bytes_text("abc"), 12), 479470107 % 12);
    assert_int_equal(weir_partition_of_key(weir_bytes_text("21"), 12), (-973932308 & 0x7fffffff) % 12);
    assert_int_equal(weir_partition_of_key(weir_bytes_of(NULL, 0), 1), 0);
}

static void high_bytes_count_as_unsigned_in_the_tail(void **state) {
    (void)state;
    /* Of the three tail bytes each changes the hash, and differently. */
    const uint32_t plain = weir_murmur2("\x01\x02\x03\x04\x00\x00\x00", 7);
    const uint32_t first = weir_murmur2("\x01\x02\x03\x04\xff\x00\x00", 7);
    const uint32_t second = weir_murmur2("\x01\x02\x03\x04\x00\xff\x00", 7);
    const uint32_t third = weir_murmur2("\x01\x02\x03\x04\x00\x00\xff", 7);
    assert_true(plain != first && plain != second && plain != third && first != second && second != third);
}

static size_t slots_taken(uint64_t (*hash)(uint64_t)) {
    static uint8_t slots[1 << 12];
    memset(slots, 0, sizeof slots);
    size_t taken = 0;
    for (uint64_t i = 0; i < 1 << 12; i++) taken += slots[hash(i << 20) & ((1 << 12) - 1)]++ == 0;
    return taken;
}

static uint64_t hash_of_bytes(uint64_t value) {
    return weir_hash(&value, sizeof value);
}

static void low_bits_spread_though_the_keys_differ_in_high_bits_only(void **state) {
    (void)state;
    /* A random function hits 1 - 1/e = 63 % of as many slots. */
    assert_in_range(slots_taken(weir_hash_u64), (1 << 12) * 58 / 100, (1 << 12) * 68 / 100);
    assert_in_range(slots_taken(hash_of_bytes), (1 << 12) * 58 / 100, (1 << 12) * 68 / 100);
    assert_int_equal(weir_hash("weir", 4), weir_hash("weir", 4));
    assert_int_not_equal(weir_hash("weir", 4), weir_hash("weir", 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(murmur2_is_kafkas),
        cmocka_unit_test(the_partition_is_the_positive_hash_modulo_the_count),
        cmocka_unit_test(high_bytes_count_as_unsigned_in_the_tail),
        cmocka_unit_test(low_bits_spread_though_the_keys_differ_in_high_bits_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
