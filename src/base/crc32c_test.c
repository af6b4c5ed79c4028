/* Goal: the checksum is CRC-32C, and every implementation gives the same one.
 * Method: the published vectors, then the chosen implementation against the table one over all lengths around the edges
 * of its streams, over unaligned starts and over sums continued at random cuts. */
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES_MAX = 3 * 4096 * 2 + 3 * 256 + 64 };

static uint8_t bytes[BYTES_MAX];

static uint32_t seed = 1;
static uint32_t next_random(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static void published_vectors_match(void **state) {
    (void)state;
    uint8_t block[32];
    assert_int_equal(weir_crc32c(0, "123456789", 9), 0xe3069283);
    memset(block, 0, sizeof block);
    assert_int_equal(weir_crc32c(0, block, sizeof block), 0x8a9136aa);
    memset(block, 0xff, sizeof block);
    assert_int_equal(weir_crc32c(0, block, sizeof block), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof block; i++) block[i] = (uint8_t)i;
    assert_int_equal(weir_crc32c(0, block, sizeof block), 0x46dd794e);
    for (unsigned i = 0; i < sizeof block; i++) block[i] = (uint8_t)(31 - i);
    assert_int_equal(weir_crc32c(0, block, sizeof block), 0x113fdb5c);
    assert_int_equal(weir_crc32c(0, NULL, 0), 0);
    assert_int_equal(weir_crc32c_table(0, "123456789", 9), 0xe3069283);
}

/* The definition, a bit at a time: neither fast implementation shares a line with it. */
static uint32_t bitwise(const uint8_t *at, size_t size) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void all_implementations_agree_at_every_edge(void **state) {
    (void)state;
    for (size_t size = 0; size <= 3 * 256 + 40; size++) {
        const uint8_t *at = bytes + size % 9;
        const uint32_t wanted = bitwise(at, size);
        assert_int_equal(weir_crc32c_table(0, at, size), wanted);
        assert_int_equal(weir_crc32c(0, at, size), wanted);
    }
    for (size_t size = 3 * 4096 - 9; size <= 3 * 4096 + 9; size++) {
        assert_int_equal(weir_crc32c(0, bytes + 1, size), bitwise(bytes + 1, size));
    }
    assert_int_equal(weir_crc32c(0, bytes, BYTES_MAX), bitwise(bytes, BYTES_MAX));
    assert_int_equal(weir_crc32c_table(0, bytes, BYTES_MAX), bitwise(bytes, BYTES_MAX));
}

static void a_sum_is_continued_across_any_cuts(void **state) {
    (void)state;
    const uint32_t whole = weir_crc32c(0, bytes, BYTES_MAX);
    for (int round = 0; round < 200; round++) {
        uint32_t crc = 0;
        for (size_t at = 0; at < BYTES_MAX;) {
            size_t part = next_random() % 6000;
            if (part > BYTES_MAX - at) part = BYTES_MAX - at;
            crc = round % 2 ? weir_crc32c(crc, bytes + at, part) : weir_crc32c_table(crc, bytes + at, part);
            at += part;
        }
        assert_int_equal(crc, whole);
    }
}

static void every_flipped_bit_is_noticed(void **state) {
    (void)state;
    const uint32_t whole = weir_crc32c(0, bytes, 2000);
    for (size_t bit = 0; bit < 2000 * 8; bit += 7) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(weir_crc32c(0, bytes, 2000), whole);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

int main(void) {
    for (size_t i = 0; i < BYTES_MAX; i++) bytes[i] = (uint8_t)next_random();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_match),
        cmocka_unit_test(all_implementations_agree_at_every_edge),
        cmocka_unit_test(a_sum_is_continued_across_any_cuts),
        cmocka_unit_test(every_flipped_bit_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
