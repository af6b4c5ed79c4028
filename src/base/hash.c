#include "base/hash.h"

#include <xxhash.h>

uint64_t weir_hash(const void *data, size_t size) {
    return XXH3_64bits(data, size);
}

/* The finaliser of splitmix64: a bijection, so that distinct values never collide in all 64 bits. */
uint64_t weir_hash_u64(uint64_t value) {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

uint32_t weir_murmur2(const void *data, size_t size) {
    const uint32_t multiplier = 0x5bd1e995;
    const uint8_t *at = data;
    size_t left = size;
    uint32_t hash = 0x9747b28c ^ (uint32_t)size;
    for (; left >= 4; left -= 4, at += 4) {
        uint32_t word;
        memcpy(&word, at, sizeof word);
        word *= multiplier;
        word ^= word >> 24;
        word *= multiplier;
        hash = hash * multiplier ^ word;
    }
    for (size_t rest = left; rest; rest--) hash ^= (uint32_t)at[rest - 1] << 8 * (rest - 1);
    if (left) hash *= multiplier;
    hash ^= hash >> 13;
    hash *= multiplier;
    return hash ^ hash >> 15;
}
