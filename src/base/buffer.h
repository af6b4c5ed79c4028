/* base/buffer - bytes that grow, up to a maximum given at birth.
 *
 * Writing past the maximum, or past the memory budget, does not fail at each call: the buffer turns `overflowed`, keeps
 * what it held and ignores further writes, and the writer checks once at its end. Caller's storage; deinit frees.
 * Threads: one owner at a time. */
#ifndef WEIR_BASE_BUFFER_H
#define WEIR_BASE_BUFFER_H

#include "base/bytes.h"
#include "base/memory.h"

typedef struct weir_buffer {
    weir_account *account;
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t max_bytes;
    bool overflowed;
} weir_buffer;

void weir_buffer_init(weir_buffer *buffer, weir_account *account, size_t max_bytes);
void weir_buffer_deinit(weir_buffer *buffer);
static inline void weir_buffer_clear(weir_buffer *buffer) {
    buffer->size = 0;
    buffer->overflowed = false;
}
static inline weir_bytes weir_buffer_view(const weir_buffer *buffer) { /* until the next write */
    return (weir_bytes){buffer->data, buffer->size};
}

/* Makes room for `bytes` more and returns where to write them, or NULL (then overflowed). The caller writes and then
 * adds what it wrote to `size`. */
uint8_t *weir_buffer_reserve(weir_buffer *buffer, size_t bytes);
void weir_buffer_append(weir_buffer *buffer, const void *data, size_t bytes);
void weir_buffer_append_byte(weir_buffer *buffer, uint8_t byte);
void weir_buffer_append_text(weir_buffer *buffer, const char *text);
void weir_buffer_format(weir_buffer *buffer, const char *format, ...) WEIR_PRINTF(2, 3);
/* Drops the first `bytes`; the rest moves to the front. */
void weir_buffer_consume(weir_buffer *buffer, size_t bytes);
/* The contents as a terminated string, valid until the next write; "" when the terminator found no room. */
const char *weir_buffer_text(weir_buffer *buffer);

#endif
