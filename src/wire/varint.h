/* wire/varint - Kafka's variable-length integers: 7 bits a byte, lowest first; the signed ones zigzag (Protocol
 * Buffers).
 *
 * Readers take from [at, end), return where they stopped, or NULL when the bytes end or the number is longer than its
 * type allows. Writers need WIRE_VARINT32_MAX or WIRE_VARINT64_MAX bytes of room and return the end. */
#ifndef WEIR_WIRE_VARINT_H
#define WEIR_WIRE_VARINT_H

#include "base/bytes.h"

enum { WIRE_VARINT32_MAX = 5, WIRE_VARINT64_MAX = 10 };

static inline const uint8_t *wire_read_uvarint(const uint8_t *at, const uint8_t *end, uint32_t *value) {
    uint32_t sum = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (at == end) return NULL;
        const uint8_t byte = *at++;
        if (shift == 28 && byte > 0x0f) return NULL;
        sum |= (uint32_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *value = sum;
            return at;
        }
    }
    return NULL;
}
static inline const uint8_t *wire_read_uvarlong(const uint8_t *at, const uint8_t *end, uint64_t *value) {
    uint64_t sum = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (at == end) return NULL;
        const uint8_t byte = *at++;
        if (shift == 63 && byte > 1) return NULL;
        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *value = sum;
            return at;
        }
    }
    return NULL;
}
static inline const uint8_t *wire_read_varint(const uint8_t *at, const uint8_t *end, int32_t *value) {
    uint32_t zigzag;
    at = wire_read_uvarint(at, end, &zigzag);
    if (at) *value = (int32_t)(zigzag >> 1) ^ -(int32_t)(zigzag & 1);
    return at;
}
static inline const uint8_t *wire_read_varlong(const uint8_t *at, const uint8_t *end, int64_t *value) {
    uint64_t zigzag;
    at = wire_read_uvarlong(at, end, &zigzag);
    if (at) *value = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
    return at;
}

static inline uint8_t *wire_write_uvarlong(uint8_t *at, uint64_t value) {
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}
static inline uint8_t *wire_write_uvarint(uint8_t *at, uint32_t value) {
    return wire_write_uvarlong(at, value);
}
static inline uint8_t *wire_write_varlong(uint8_t *at, int64_t value) {
    return wire_write_uvarlong(at, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}
static inline uint8_t *wire_write_varint(uint8_t *at, int32_t value) {
    return wire_write_uvarint(at, ((uint32_t)value << 1) ^ (uint32_t)(value >> 31));
}

static inline size_t wire_uvarlong_bytes(uint64_t value) {
    return (70 - (size_t)__builtin_clzll(value | 1)) / 7;
}
static inline size_t wire_varlong_bytes(int64_t value) {
    return wire_uvarlong_bytes(((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}
static inline size_t wire_varint_bytes(int32_t value) {
    return wire_uvarlong_bytes(((uint32_t)value << 1) ^ (uint32_t)(value >> 31));
}

#endif
