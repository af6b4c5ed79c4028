/* data/format internals: what every format's decoder and encoder is made of. Not included outside this folder. */
#ifndef WEIR_DATA_FORMAT_FORMAT_INT_H
#define WEIR_DATA_FORMAT_FORMAT_INT_H

#include "data/format/format.h"
#include "data/scalar.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef enum format_result {
    FORMAT_DONE,
    FORMAT_ABSENT,   /* the bytes say that there is no key or value */
    FORMAT_BAD,      /* the record is bad; format_reject() was called */
    FORMAT_NO_MEMORY /* the batch's arena is full */
} format_result;

typedef struct format_column {
    const data_column *column;
    uint32_t index; /* in the schema */
    bool wanted;
    data_vector *vector; /* during a decode; NULL when not wanted */
} format_column;

struct format_decoder {
    const format_vtable *format;
    weir_account *account;
    const data_schema *schema;
    data_role role;
    uint32_t column_count;
    format_column *columns; /* of the role, in order */
    /* Of the decode that is under way. */
    data_batch *batch;
    format_errors *errors;
    uint32_t row;
    /* Decodes one slice (not null) into `row` of the columns' vectors, whose scalar values at `row` are NULL and whose
     * nested values were set NULL. */
    format_result (*decode)(format_decoder *self, weir_bytes slice, uint32_t row);
    void (*destroy)(format_decoder *self); /* what the format added; NULL = nothing */
};

struct format_encoder {
    const format_vtable *format;
    weir_account *account;
    const data_schema *schema;
    data_role role;
    uint32_t column_count;
    format_column *columns;
    /* Appends one row; answers false when the row's bytes are null. */
    bool (*encode)(format_encoder *self, const data_batch *batch, uint32_t row, weir_buffer *target);
    void (*destroy)(format_encoder *self);
};

/* Allocates `bytes` (a struct that begins with the decoder or encoder) and fills the common part. */
void *format_decoder_new(size_t bytes, weir_account *account, const format_vtable *format, const format_spec *spec,
                         const uint64_t *wanted);
void *format_encoder_new(size_t bytes, weir_account *account, const format_vtable *format, const format_spec *spec);

uint32_t format_column_count(const format_spec *spec);
const char *format_option(const format_spec *spec, const char *name); /* NULL when not given */
weir_status format_unsupported_type(const format_vtable *format, const data_column *column) WEIR_MUST_USE;

/* Records the reason for the current row; answers FORMAT_BAD, or FORMAT_NO_MEMORY when there is no room for it. */
format_result format_reject(format_decoder *decoder, const char *format, ...) WEIR_PRINTF(2, 3);
/* At most 40 bytes of `bytes` in printable form, in quotes, for a reason. `text` has FORMAT_QUOTE_MAX bytes. */
enum { FORMAT_QUOTE_MAX = 176 };
const char *format_quote(char *text, weir_bytes bytes);

static inline bool format_is_nested(const data_type *type) {
    return type->kind >= DATA_ARRAY;
}

static inline void format_set_text(data_vector *vector, uint32_t row, const uint8_t *data, size_t size) {
    vector->texts[row] = data_text_of(data, size);
    data_bit_set(vector->valid, row, true);
}

/* The first byte of [at, end) that ends plain text inside JSON quotes: a quote, a backslash or a control character. */
static inline const uint8_t *format_scan_string(const uint8_t *at, const uint8_t *end) {
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);
    while (end - at >= 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        const __m128i special =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                         _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes));
        const unsigned mask = (unsigned)_mm_movemask_epi8(special);
        if (mask) return at + __builtin_ctz(mask);
        at += 16;
    }
#endif
    while (at < end && *at != '"' && *at != '\\' && *at >= 0x20) at++;
    return at;
}

/* The first byte of [at, end) that is not ASCII. */
static inline const uint8_t *format_scan_ascii(const uint8_t *at, const uint8_t *end) {
#ifdef __SSE2__
    while (end - at >= 16) {
        const unsigned mask = (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)at));
        if (mask) return at + __builtin_ctz(mask);
        at += 16;
    }
#endif
    while (at < end && *at < 0x80) at++;
    return at;
}

/* Is it valid UTF-8? If not, *bad_at is the place of a byte that is not part of it. */
static inline bool format_utf8(weir_bytes text, size_t *bad_at) {
    const uint8_t *high = format_scan_ascii(text.data, text.data + text.size);
    if (high == text.data + text.size || weir_utf8_valid(text)) return true;
    /* The longest valid prefix, by halving would be wrong inside a sequence: walk the characters. */
    size_t at = (size_t)(high - text.data);
    while (at < text.size) {
        size_t size = 1;
        while (size <= 4 && at + size <= text.size && !weir_utf8_valid(weir_bytes_of(text.data + at, size))) size++;
        if (size > 4 || at + size > text.size) break;
        at += size;
    }
    *bad_at = at;
    return false;
}

#endif
