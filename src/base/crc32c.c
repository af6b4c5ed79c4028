#include "base/crc32c.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#define CRC_TARGET __attribute__((target("sse4.2")))
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#ifdef __clang__
#define CRC_TARGET __attribute__((target("crc")))
#else
#define CRC_TARGET __attribute__((target("+crc")))
#endif
#endif

enum {
    POLYNOMIAL_REVERSED = (int)0x82f63b78u,
    LONG_BYTES = 4096, /* bytes of one of three streams: long ones for batches, short ones for their tails */
    SHORT_BYTES = 256
};

/* Advances a register over a fixed number of zero bytes: four lookups, one per byte of the register. */
typedef uint32_t skip_table[4][256];

static pthread_once_t tables_once = PTHREAD_ONCE_INIT;
static uint32_t slices[8][256]; /* slices[n][b]: register b advanced over n + 1 bytes */
static skip_table skip_long;
static skip_table skip_short;

/* Works on the raw register, without the inversions at both ends. */
static uint32_t advance_table(uint32_t crc, const uint8_t *at, size_t size) {
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        word ^= crc;
        crc = slices[7][word & 255] ^ slices[6][word >> 8 & 255] ^ slices[5][word >> 16 & 255] ^
              slices[4][word >> 24 & 255] ^ slices[3][word >> 32 & 255] ^ slices[2][word >> 40 & 255] ^
              slices[1][word >> 48 & 255] ^ slices[0][word >> 56];
    }
    for (; size; size--, at++) crc = crc >> 8 ^ slices[0][(crc ^ *at) & 255];
    return crc;
}

/* The operator is linear: it is measured on the 32 single bits and every other entry is a sum of those. */
static void fill_skip(skip_table table, size_t bytes) {
    static const uint8_t zeros[SHORT_BYTES];
    uint32_t bits[32];
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t crc = 1u << bit;
        for (size_t done = 0; done < bytes; done += SHORT_BYTES) crc = advance_table(crc, zeros, SHORT_BYTES);
        bits[bit] = crc;
    }
    for (unsigned place = 0; place < 4; place++) {
        for (unsigned value = 0; value < 256; value++) {
            uint32_t sum = 0;
            for (unsigned bit = 0; bit < 8; bit++) sum ^= value >> bit & 1 ? bits[place * 8 + bit] : 0;
            table[place][value] = sum;
        }
    }
}

static void fill_tables(void) {
    for (unsigned value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (unsigned bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? (uint32_t)POLYNOMIAL_REVERSED : 0);
        slices[0][value] = crc;
    }
    for (unsigned slice = 1; slice < 8; slice++) {
        for (unsigned value = 0; value < 256; value++) {
            const uint32_t before = slices[slice - 1][value];
            slices[slice][value] = before >> 8 ^ slices[0][before & 255];
        }
    }
    fill_skip(skip_long, LONG_BYTES);
    fill_skip(skip_short, SHORT_BYTES);
}
_Static_assert(LONG_BYTES % SHORT_BYTES == 0 && SHORT_BYTES % 8 == 0, "fill_skip() and the streams step by these");

uint32_t weir_crc32c_table(uint32_t crc, const void *data, size_t size) {
    pthread_once(&tables_once, fill_tables);
    return ~advance_table(~crc, data, size);
}

#ifdef CRC_TARGET
#if defined(__x86_64__)
CRC_TARGET static inline uint32_t step_u64(uint32_t crc, uint64_t word) {
    return (uint32_t)_mm_crc32_u64(crc, word);
}
CRC_TARGET static inline uint32_t step_u8(uint32_t crc, uint8_t byte) {
    return _mm_crc32_u8(crc, byte);
}
static bool cpu_has_crc(void) {
    return __builtin_cpu_supports("sse4.2");
}
#else
CRC_TARGET static inline uint32_t step_u64(uint32_t crc, uint64_t word) {
    return __crc32cd(crc, word);
}
CRC_TARGET static inline uint32_t step_u8(uint32_t crc, uint8_t byte) {
    return __crc32cb(crc, byte);
}
static bool cpu_has_crc(void) {
    return getauxval(AT_HWCAP) & HWCAP_CRC32;
}
#endif

static inline uint32_t skip(skip_table table, uint32_t crc) {
    return table[0][crc & 255] ^ table[1][crc >> 8 & 255] ^ table[2][crc >> 16 & 255] ^ table[3][crc >> 24];
}

static inline uint64_t load_u64(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The instruction takes three cycles and one can start each cycle: three neighbouring blocks keep it busy. */
CRC_TARGET static uint32_t advance_three(uint32_t crc, const uint8_t *at, size_t block, skip_table table) {
    uint32_t second = 0, third = 0;
    for (const uint8_t *end = at + block; at < end; at += 8) {
        crc = step_u64(crc, load_u64(at));
        second = step_u64(second, load_u64(at + block));
        third = step_u64(third, load_u64(at + 2 * block));
    }
    return skip(table, skip(table, crc) ^ second) ^ third;
}

CRC_TARGET static uint32_t crc32c_instruction(uint32_t crc, const void *data, size_t size) {
    const uint8_t *at = data;
    crc = ~crc;
    for (; size >= (size_t)3 * LONG_BYTES; size -= (size_t)3 * LONG_BYTES, at += (size_t)3 * LONG_BYTES) {
        crc = advance_three(crc, at, LONG_BYTES, skip_long);
    }
    for (; size >= (size_t)3 * SHORT_BYTES; size -= (size_t)3 * SHORT_BYTES, at += (size_t)3 * SHORT_BYTES) {
        crc = advance_three(crc, at, SHORT_BYTES, skip_short);
    }
    for (; size >= 8; size -= 8, at += 8) crc = step_u64(crc, load_u64(at));
    for (; size; size--, at++) crc = step_u8(crc, *at);
    return ~crc;
}
#endif

typedef uint32_t crc32c_function(uint32_t crc, const void *data, size_t size);

static uint32_t choose(uint32_t crc, const void *data, size_t size);
static _Atomic(crc32c_function *) chosen = choose;

/* Runs once or, when threads race to the first checksum, a few times with the same outcome. */
static uint32_t choose(uint32_t crc, const void *data, size_t size) {
    pthread_once(&tables_once, fill_tables);
    crc32c_function *best = weir_crc32c_table;
#ifdef CRC_TARGET
    if (cpu_has_crc()) best = crc32c_instruction;
#endif
    atomic_store_explicit(&chosen, best, memory_order_release);
    return best(crc, data, size);
}

uint32_t weir_crc32c(uint32_t crc, const void *data, size_t size) {
    return atomic_load_explicit(&chosen, memory_order_acquire)(crc, data, size);
}
