/* data/format - bytes of a record's key or value to columns and back. One vtable a format; key and value use the same.
 *
 *   format_find("JSON") -> format->decoder_create(spec, wanted) -> format_decode(block of slices, batch, row)
 *                          format->encoder_create(spec)         -> format_encode(batch, selection, buffer, slices)
 *
 * A spec says which columns of a schema the bytes hold: those of one role (KEY or VALUE), in schema order, and the
 * options the user gave (VALUE_DELIMITER, KEY_DELIMITER, WRAP_SINGLE_VALUE).
 *
 * Decoding works on a whole block: slices with a stride, so that an array of bus rows serves as it is. Only wanted
 * columns get a vector; the others are skipped (but their syntax is still checked). Text values of more than 12 bytes
 * are views into the block when they need no unescaping; input.buffer is then retained by the batch. Nothing is
 * allocated a record.
 *
 * A record that cannot be decoded is a value, not a failure: its columns are NULL, and its row and reason are in the
 * errors. Reasons name format, column and byte: `JSON: expected a number for column BYTES at byte 17, got "abc"`. They
 * quote at most 40 bytes of the input, made printable.
 *
 * Formats: JSON, DELIMITED, KAFKA, NONE, COMBINED (web server log lines; values, decoding only).
 * Threads: a decoder or encoder belongs to one owner at a time. */
#ifndef WEIR_DATA_FORMAT_FORMAT_H
#define WEIR_DATA_FORMAT_FORMAT_H

#include "base/option.h"
#include "data/batch.h"

typedef struct format_spec { /* all borrowed until the decoder or encoder is destroyed */
    const data_schema *schema;
    data_role role;              /* DATA_ROLE_KEY or DATA_ROLE_VALUE */
    const weir_setting *options; /* as given in WITH (...), upper case names; others than the format's are ignored */
    uint32_t option_count;
} format_spec;

typedef struct format_input {
    const weir_bytes *first; /* slice of record 0; data == NULL: a null key or value */
    size_t stride;           /* bytes from one slice to the next: sizeof(weir_bytes), or sizeof(bus_row) */
    uint32_t count;
    data_buffer *buffer; /* owns the slices' bytes; NULL: they outlive the batch by themselves */
} format_input;

static inline weir_bytes format_input_slice(const format_input *input, uint32_t i) {
    return *(const weir_bytes *)(const void *)((const uint8_t *)input->first + (size_t)i * input->stride);
}

/* Appended by format_decode(), so that key and value of a block can share one; ascending a call. Only `count` needs to
 * be set before the first use. */
enum { FORMAT_ERRORS_MAX = DATA_BATCH_ROWS_MAX * 2 };
typedef struct format_errors {
    uint32_t count;
    uint32_t rows[FORMAT_ERRORS_MAX];
    const char *reasons[FORMAT_ERRORS_MAX]; /* in the batch's arena */
} format_errors;

typedef struct format_slice { /* where an encoded key or value lies in the target buffer */
    uint32_t at;
    int32_t size; /* -1: null */
} format_slice;

typedef struct format_decoder format_decoder;
typedef struct format_encoder format_encoder;

typedef struct format_vtable {
    const char *name;
    const char *about;
    /* Can the format hold these columns with these options? INVALID with what is wrong and what to do. */
    weir_status (*supports)(const format_spec *spec);
    /* `wanted`: bit i = schema column i is read; NULL = all of the role. Fails as supports(), or UNSUPPORTED. */
    weir_status (*decoder_create)(weir_account *account, const format_spec *spec, const uint64_t *wanted,
                                  format_decoder **decoder);
    weir_status (*encoder_create)(weir_account *account, const format_spec *spec, format_encoder **encoder);
} format_vtable;

/* By name without regard to case; NOT_FOUND lists the formats. */
weir_status format_find(const char *name, const format_vtable **format) WEIR_MUST_USE;
const format_vtable *format_at(size_t index); /* NULL past the end */

/* Decodes input.count slices into rows [row, row + count) of the batch. Creates missing vectors and grows present ones;
 * sets the batch's key_present or value_present bits of null slices; touches nothing else of the batch (rows, selection
 * and row vectors are the caller's). On failure (NO_MEMORY, FULL: too many retained buffers) the rows are undefined and
 * those before `row` intact: the caller passes on what the batch holds and decodes again into an empty one. */
weir_status format_decode(format_decoder *decoder, const format_input *input, data_batch *batch, uint32_t row,
                          format_errors *errors) WEIR_MUST_USE;
void format_decoder_destroy(format_decoder *decoder); /* NULL is allowed */

/* Appends the selected rows' bytes to `target`; slices[i] belongs to the i-th selected row. All columns of the role
 * must be in the batch. A row whose presence bit is 0 gives a null slice. FULL when the buffer is: what was appended is
 * undefined. */
weir_status format_encode(format_encoder *encoder, const data_batch *batch, const data_selection *selection,
                          weir_buffer *target, format_slice *slices) WEIR_MUST_USE;
void format_encoder_destroy(format_encoder *encoder); /* NULL is allowed */

extern const format_vtable format_json, format_delimited, format_kafka, format_none, format_combined;

#endif
