#include "base/buffer.h"

#include <stdio.h>

enum { CAPACITY_MIN = 256 };

void weir_buffer_init(weir_buffer *buffer, weir_account *account, size_t max_bytes) {
    *buffer = (weir_buffer){.account = account, .max_bytes = max_bytes};
}

void weir_buffer_deinit(weir_buffer *buffer) {
    weir_free(buffer->account, buffer->data);
    *buffer = (weir_buffer){0};
}

static bool grow(weir_buffer *buffer, size_t needed) {
    size_t capacity = buffer->capacity ? buffer->capacity * 2 : CAPACITY_MIN;
    if (capacity < needed) capacity = needed;
    if (capacity > buffer->max_bytes) capacity = buffer->max_bytes;
    uint8_t *data = weir_try_alloc_raw(buffer->account, capacity ? capacity : 1);
    if (!data) return false;
    if (buffer->size) memcpy(data, buffer->data, buffer->size);
    weir_free(buffer->account, buffer->data);
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

uint8_t *weir_buffer_reserve(weir_buffer *buffer, size_t bytes) {
    if (buffer->overflowed) return NULL;
    const bool fits = bytes <= buffer->max_bytes && buffer->size <= buffer->max_bytes - bytes;
    const bool has_room = buffer->data && buffer->size + bytes <= buffer->capacity; /* no bytes, too, are somewhere */
    if (!fits || (!has_room && !grow(buffer, buffer->size + bytes))) {
        buffer->overflowed = true;
        return NULL;
    }
    return buffer->data + buffer->size;
}

void weir_buffer_append(weir_buffer *buffer, const void *data, size_t bytes) {
    if (bytes == 0) return;
    uint8_t *at = weir_buffer_reserve(buffer, bytes);
    if (!at) return;
    memcpy(at, data, bytes);
    buffer->size += bytes;
}

void weir_buffer_append_byte(weir_buffer *buffer, uint8_t byte) {
    weir_buffer_append(buffer, &byte, 1);
}

void weir_buffer_append_text(weir_buffer *buffer, const char *text) {
    weir_buffer_append(buffer, text, strlen(text));
}

void weir_buffer_format(weir_buffer *buffer, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    weir_assert(length >= 0);
    char *at = (char *)weir_buffer_reserve(buffer, (size_t)length + 1);
    if (at) {
        vsnprintf(at, (size_t)length + 1, format, again);
        buffer->size += (size_t)length;
    }
    va_end(again);
}

void weir_buffer_consume(weir_buffer *buffer, size_t bytes) {
    weir_assert(bytes <= buffer->size);
    buffer->size -= bytes;
    if (buffer->size && bytes) memmove(buffer->data, buffer->data + bytes, buffer->size);
}

const char *weir_buffer_text(weir_buffer *buffer) {
    uint8_t *at = weir_buffer_reserve(buffer, 1);
    if (!at) return "";
    *at = 0;
    return (const char *)buffer->data;
}
