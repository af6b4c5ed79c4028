/* KAFKA: Kafka's own serialisers, one column as it is; and NONE: no columns at all. */
#include "data/format/format_int.h"

#include <stdio.h>

/* ---- KAFKA ----------------------------------------------------------------------------------------------------- */

static bool kafka_holds(data_kind kind) {
    return kind == DATA_INT || kind == DATA_BIGINT || kind == DATA_DOUBLE || kind == DATA_STRING || kind == DATA_BYTES;
}

static weir_status fail_columns(const format_spec *spec) {
    char list[400] = "";
    weir_account account;
    weir_buffer text;
    weir_account_init(&account, "format.error", 0);
    weir_buffer_init(&text, &account, sizeof list);
    for (uint32_t i = 0; i < spec->schema->count; i++) {
        const data_column *column = &spec->schema->columns[i];
        if (column->role != spec->role) continue;
        weir_buffer_format(&text, "%s`%s` ", text.size ? ", " : "", column->name);
        data_type_print(column->type, &text);
        if (column->role == DATA_ROLE_KEY) weir_buffer_append_text(&text, " KEY");
    }
    snprintf(list, sizeof list, "%s", weir_buffer_text(&text));
    weir_buffer_deinit(&text);
    weir_account_deinit(&account);
    return weir_fail(WEIR_INVALID, "The 'KAFKA' format only supports a single field. Got: [%s]", list);
}

static weir_status kafka_supports(const format_spec *spec) {
    const uint32_t count = format_column_count(spec);
    if (count != 1) {
        return fail_columns(spec);
    }
    for (uint32_t i = 0; i < spec->schema->count; i++) {
        const data_column *column = &spec->schema->columns[i];
        if (column->role == spec->role && !kafka_holds(column->type->kind)) {
            return format_unsupported_type(&format_kafka, column);
        }
    }
    return weir_ok();
}

static format_result kafka_decode(format_decoder *self, weir_bytes slice, uint32_t row) {
    const format_column *column = &self->columns[0];
    data_vector *vector = column->vector;
    const data_kind kind = column->column->type->kind;
    size_t bad_at;
    const unsigned width = data_kind_width(kind);
    if (kind != DATA_STRING && kind != DATA_BYTES && slice.size != width) {
        return format_reject(self, "expected %u bytes for column %s, got %zu", width, column->column->name, slice.size);
    }
    if (kind == DATA_STRING && !format_utf8(slice, &bad_at)) {
        return format_reject(self, "column %s is not valid UTF-8 at byte %zu", column->column->name, bad_at);
    }
    if (!vector) return FORMAT_DONE;
    switch (kind) {
    case DATA_INT: vector->ints[row] = (int32_t)weir_read_be32(slice.data); break;
    case DATA_BIGINT:
    case DATA_DOUBLE: vector->bigints[row] = (int64_t)weir_read_be64(slice.data); break;
    default: vector->texts[row] = data_text_of(slice.data, slice.size); break;
    }
    data_bit_set(vector->valid, row, true);
    return FORMAT_DONE;
}

static bool kafka_encode(format_encoder *self, const data_batch *batch, uint32_t row, weir_buffer *target) {
    (void)batch;
    const data_vector *vector = self->columns[0].vector;
    if (data_vector_is_null(vector, row)) return false;
    const uint32_t index = data_vector_index(vector, row);
    uint8_t bytes[8];
    switch (vector->type->kind) {
    case DATA_INT:
        weir_write_be32(bytes, (uint32_t)vector->ints[index]);
        weir_buffer_append(target, bytes, 4);
        break;
    case DATA_BIGINT:
    case DATA_DOUBLE:
        weir_write_be64(bytes, (uint64_t)vector->bigints[index]);
        weir_buffer_append(target, bytes, 8);
        break;
    default: weir_buffer_append(target, data_text_data(&vector->texts[index]), vector->texts[index].size); break;
    }
    return true;
}

static weir_status kafka_decoder_create(weir_account *account, const format_spec *spec, const uint64_t *wanted,
                                        format_decoder **decoder) {
    WEIR_TRY(kafka_supports(spec));
    *decoder = format_decoder_new(sizeof **decoder, account, &format_kafka, spec, wanted);
    (*decoder)->decode = kafka_decode;
    return weir_ok();
}

static weir_status kafka_encoder_create(weir_account *account, const format_spec *spec, format_encoder **encoder) {
    WEIR_TRY(kafka_supports(spec));
    *encoder = format_encoder_new(sizeof **encoder, account, &format_kafka, spec);
    (*encoder)->encode = kafka_encode;
    return weir_ok();
}

const format_vtable format_kafka = {
    .name = "KAFKA",
    .about = "Kafka's serialisers: INTEGER 4, BIGINT and DOUBLE 8 bytes big-endian, STRING, BYTES; one column",
    .supports = kafka_supports,
    .decoder_create = kafka_decoder_create,
    .encoder_create = kafka_encoder_create,
};

/* ---- NONE
 * ------------------------------------------------------------------------------------------------------------ */

static weir_status none_supports(const format_spec *spec) {
    const uint32_t count = format_column_count(spec);
    if (count == 0) return weir_ok();
    return weir_fail(WEIR_INVALID, "format NONE holds no columns, but %u are declared", count);
}

static format_result none_decode(format_decoder *self, weir_bytes slice, uint32_t row) {
    (void)self, (void)slice, (void)row;
    return FORMAT_DONE;
}

static bool none_encode(format_encoder *self, const data_batch *batch, uint32_t row, weir_buffer *target) {
    (void)self, (void)batch, (void)row, (void)target;
    return false;
}

static weir_status none_decoder_create(weir_account *account, const format_spec *spec, const uint64_t *wanted,
                                       format_decoder **decoder) {
    WEIR_TRY(none_supports(spec));
    *decoder = format_decoder_new(sizeof **decoder, account, &format_none, spec, wanted);
    (*decoder)->decode = none_decode;
    return weir_ok();
}

static weir_status none_encoder_create(weir_account *account, const format_spec *spec, format_encoder **encoder) {
    WEIR_TRY(none_supports(spec));
    *encoder = format_encoder_new(sizeof **encoder, account, &format_none, spec);
    (*encoder)->encode = none_encode;
    return weir_ok();
}

const format_vtable format_none = {
    .name = "NONE",
    .about = "no columns: bytes are ignored, null is written",
    .supports = none_supports,
    .decoder_create = none_decoder_create,
    .encoder_create = none_encoder_create,
};
