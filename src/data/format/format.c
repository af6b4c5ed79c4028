#include "data/format/format_int.h"

#include <stdio.h>
#include <strings.h>

static const format_vtable *const formats[] = {&format_json, &format_delimited, &format_kafka, &format_none,
                                               &format_combined};
enum { FORMAT_COUNT = sizeof formats / sizeof *formats };

weir_status format_find(const char *name, const format_vtable **format) {
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (strcasecmp(formats[i]->name, name) == 0) {
            *format = formats[i];
            return weir_ok();
        }
    }
    char known[128];
    size_t length = 0;
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        length += (size_t)snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "", formats[i]->name);
    }
    return weir_fail(WEIR_NOT_FOUND, "unknown format %s; the formats are %s", name, known);
}

const format_vtable *format_at(size_t index) {
    return index < FORMAT_COUNT ? formats[index] : NULL;
}

/* ---- what formats are made of
 * ------------------------------------------------------------------------------------------- */

uint32_t format_column_count(const format_spec *spec) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < spec->schema->count; i++) count += spec->schema->columns[i].role == spec->role;
    return count;
}

static void list_columns(format_column *columns, const format_spec *spec, const uint64_t *wanted) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < spec->schema->count; i++) {
        const data_column *column = &spec->schema->columns[i];
        if (column->role != spec->role) continue;
        columns[count++] = (format_column){.column = column, .index = i, .wanted = !wanted || data_bit(wanted, i)};
    }
}

void *format_decoder_new(size_t bytes, weir_account *account, const format_vtable *format, const format_spec *spec,
                         const uint64_t *wanted) {
    format_decoder *decoder = weir_alloc(account, bytes);
    decoder->format = format;
    decoder->account = account;
    decoder->schema = spec->schema;
    decoder->role = spec->role;
    decoder->column_count = format_column_count(spec);
    decoder->columns = weir_alloc(account, sizeof(format_column) * decoder->column_count);
    list_columns(decoder->columns, spec, wanted);
    return decoder;
}

void *format_encoder_new(size_t bytes, weir_account *account, const format_vtable *format, const format_spec *spec) {
    format_encoder *encoder = weir_alloc(account, bytes);
    encoder->format = format;
    encoder->account = account;
    encoder->schema = spec->schema;
    encoder->role = spec->role;
    encoder->column_count = format_column_count(spec);
    encoder->columns = weir_alloc(account, sizeof(format_column) * encoder->column_count);
    list_columns(encoder->columns, spec, NULL);
    return encoder;
}

void format_decoder_destroy(format_decoder *decoder) {
    if (!decoder) return;
    if (decoder->destroy) decoder->destroy(decoder);
    weir_free(decoder->account, decoder->columns);
    weir_free(decoder->account, decoder);
}

void format_encoder_destroy(format_encoder *encoder) {
    if (!encoder) return;
    if (encoder->destroy) encoder->destroy(encoder);
    weir_free(encoder->account, encoder->columns);
    weir_free(encoder->account, encoder);
}

const char *format_option(const format_spec *spec, const char *name) {
    for (uint32_t i = 0; i < spec->option_count; i++) {
        if (strcasecmp(spec->options[i].name, name) == 0) return spec->options[i].value;
    }
    return NULL;
}

weir_status format_unsupported_type(const format_vtable *format, const data_column *column) {
    static const char *const names[] = {
        [DATA_BOOLEAN] = "BOOLEAN", [DATA_INT] = "INTEGER",         [DATA_BIGINT] = "BIGINT", [DATA_DOUBLE] = "DOUBLE",
        [DATA_DECIMAL] = "DECIMAL", [DATA_STRING] = "STRING",       [DATA_BYTES] = "BYTES",   [DATA_DATE] = "DATE",
        [DATA_TIME] = "TIME",       [DATA_TIMESTAMP] = "TIMESTAMP", [DATA_ARRAY] = "ARRAY",   [DATA_MAP] = "MAP",
        [DATA_STRUCT] = "STRUCT"};
    return weir_fail(WEIR_INVALID, "The '%s' format does not support type '%s', column: `%s`", format->name,
                     names[column->type->kind], column->name);
}

const char *format_quote(char *text, weir_bytes bytes) {
    size_t length = 0;
    const size_t shown = bytes.size > 40 ? 40 : bytes.size;
    text[length++] = '"';
    for (size_t i = 0; i < shown; i++) {
        const uint8_t c = bytes.data[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
            text[length++] = (char)c;
        else
            length += (size_t)snprintf(text + length, 5, "\\x%02X", c);
    }
    text[length++] = '"';
    snprintf(text + length, 4, "%s", shown < bytes.size ? "..." : "");
    return text;
}

format_result format_reject(format_decoder *decoder, const char *format, ...) {
    char text[640];
    const int prefix = snprintf(text, sizeof text, "%s: ", decoder->format->name);
    va_list args;
    va_start(args, format);
    vsnprintf(text + prefix, sizeof text - (size_t)prefix, format, args);
    va_end(args);
    const size_t bytes = strlen(text) + 1;
    char *kept = weir_arena_try(decoder->batch->arena, bytes);
    if (!kept) return FORMAT_NO_MEMORY;
    memcpy(kept, text, bytes);
    format_errors *errors = decoder->errors;
    weir_assert(errors->count < FORMAT_ERRORS_MAX);
    errors->rows[errors->count] = decoder->row;
    errors->reasons[errors->count++] = kept;
    return FORMAT_BAD;
}

/* ---- decoding
 * --------------------------------------------------------------------------------------------------------------- */

static weir_status no_memory(const format_decoder *decoder) {
    return weir_fail(WEIR_NO_MEMORY, "decoding %s: the batch's memory of %zu bytes is full", decoder->format->name,
                     decoder->batch->arena->max_bytes);
}

static bool prepare_vectors(format_decoder *decoder, uint32_t row, uint32_t rows) {
    for (uint32_t i = 0; i < decoder->column_count; i++) {
        format_column *column = &decoder->columns[i];
        column->vector = NULL;
        if (!column->wanted) continue;
        data_vector **place = &decoder->batch->columns[column->index];
        if (!*place) {
            /* Most blocks fit the first guess; a batch filled from many small ones doubles a few times. */
            *place = data_vector_create(decoder->batch->arena, column->column->type, rows < 64 ? 64 : rows);
            if (!*place) return false;
        } else if (!data_vector_reserve(*place, decoder->batch->arena, row, rows)) {
            return false;
        }
        column->vector = *place;
    }
    return true;
}

static void set_row_null(format_decoder *decoder, uint32_t row) {
    for (uint32_t i = 0; i < decoder->column_count; i++) {
        if (decoder->columns[i].vector) data_vector_set_null(decoder->columns[i].vector, row);
    }
}

static bool set_absent(format_decoder *decoder, uint32_t row) {
    data_batch *batch = decoder->batch;
    uint64_t **present = decoder->role == DATA_ROLE_KEY ? &batch->key_present : &batch->value_present;
    if (!*present) {
        const size_t bytes = sizeof(uint64_t) * DATA_BATCH_WORDS;
        uint64_t *bits = weir_arena_try(batch->arena, bytes);
        if (!bits) return false;
        memset(bits, 0xff, bytes);
        *present = bits;
    }
    data_bit_set(*present, row, false);
    return true;
}

static bool has_nested(const format_decoder *decoder) {
    for (uint32_t i = 0; i < decoder->column_count; i++) {
        if (decoder->columns[i].wanted && format_is_nested(decoder->columns[i].column->type)) return true;
    }
    return false;
}

weir_status format_decode(format_decoder *decoder, const format_input *input, data_batch *batch, uint32_t row,
                          format_errors *errors) {
    weir_assert(row + input->count <= DATA_BATCH_ROWS_MAX && batch->schema->count == decoder->schema->count);
    decoder->batch = batch;
    decoder->errors = errors;
    if (input->buffer && !data_batch_retain(batch, input->buffer)) {
        return weir_fail(WEIR_FULL, "decoding %s: the batch already holds %d blocks", decoder->format->name,
                         DATA_BATCH_RETAINED_MAX);
    }
    if (!prepare_vectors(decoder, row, row + input->count)) return no_memory(decoder);
    const bool nested = has_nested(decoder);
    for (uint32_t i = 0; i < input->count; i++) {
        const weir_bytes slice = format_input_slice(input, i);
        decoder->row = row + i;
        if (nested) set_row_null(decoder, decoder->row);
        const format_result result = slice.data ? decoder->decode(decoder, slice, decoder->row) : FORMAT_ABSENT;
        if (result == FORMAT_BAD) set_row_null(decoder, decoder->row);
        if (result == FORMAT_NO_MEMORY) return no_memory(decoder);
        if (result == FORMAT_ABSENT && !set_absent(decoder, decoder->row)) return no_memory(decoder);
    }
    return weir_ok();
}

/* ---- encoding
 * --------------------------------------------------------------------------------------------------------------- */

weir_status format_encode(format_encoder *encoder, const data_batch *batch, const data_selection *selection,
                          weir_buffer *target, format_slice *slices) {
    const uint64_t *present = encoder->role == DATA_ROLE_KEY ? batch->key_present : batch->value_present;
    for (uint32_t i = 0; i < encoder->column_count; i++) {
        encoder->columns[i].vector = batch->columns[encoder->columns[i].index];
        weir_assert(encoder->columns[i].vector != NULL);
    }
    for (uint32_t i = 0; i < selection->count; i++) {
        const uint32_t row = data_selected(selection, i);
        const size_t start = target->size;
        const bool written = (!present || data_bit(present, row)) && encoder->encode(encoder, batch, row, target);
        slices[i] = (format_slice){(uint32_t)start, written ? (int32_t)(target->size - start) : -1};
        if (!written) target->size = start;
    }
    if (target->overflowed) {
        return weir_fail(WEIR_FULL, "encoding %s: the rows need more than %zu bytes", encoder->format->name,
                         target->max_bytes);
    }
    return weir_ok();
}
