/* base/bytes - a borrowed run of bytes, and the big-endian numbers the field's protocols are made of.
 *
 * A weir_bytes never owns what it points to; the declaration that hands one out says until when it is valid. `data` may
 * be NULL when `size` is 0; where NULL and empty differ (a null key, a tombstone) `data == NULL` is the null. */
#ifndef WEIR_BASE_BYTES_H
#define WEIR_BASE_BYTES_H

#include "base/status.h"

#include <string.h>

typedef struct weir_bytes {
    const uint8_t *data;
    size_t size;
} weir_bytes;

static inline weir_bytes weir_bytes_of(const void *data, size_t size) {
    return (weir_bytes){data, size};
}
static inline weir_bytes weir_bytes_text(const char *text) {
    return (weir_bytes){(const uint8_t *)text, strlen(text)};
}
static inline bool weir_bytes_equal(weir_bytes a, weir_bytes b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}
static inline bool weir_bytes_equal_text(weir_bytes a, const char *text) {
    return weir_bytes_equal(a, weir_bytes_text(text));
}
/* Order of unsigned bytes, a prefix before what it begins: the key order of every state store. */
static inline int weir_bytes_compare(weir_bytes a, weir_bytes b) {
    const size_t shared = a.size < b.size ? a.size : b.size;
    const int order = shared ? memcmp(a.data, b.data, shared) : 0;
    if (order != 0) return order < 0 ? -1 : 1;
    return a.size == b.size ? 0 : a.size < b.size ? -1 : 1;
}

static inline uint16_t weir_read_be16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap16(value);
}
static inline uint32_t weir_read_be32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap32(value);
}
static inline uint64_t weir_read_be64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap64(value);
}
static inline void weir_write_be16(uint8_t *at, uint16_t value) {
    value = __builtin_bswap16(value);
    memcpy(at, &value, sizeof value);
}
static inline void weir_write_be32(uint8_t *at, uint32_t value) {
    value = __builtin_bswap32(value);
    memcpy(at, &value, sizeof value);
}
static inline void weir_write_be64(uint8_t *at, uint64_t value) {
    value = __builtin_bswap64(value);
    memcpy(at, &value, sizeof value);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weir runs on x86-64 and arm64, both little-endian");

#endif
