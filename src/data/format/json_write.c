/* Writing JSON as ksqlDB's (Jackson's) serialiser does: members in schema order without blanks, NULL as null, DOUBLE as
 * Java prints it, DECIMAL plain, BYTES in base64, DATE, TIME and TIMESTAMP as numbers. */
#include "data/format/json.h"

#include <math.h>
#include <stdio.h>

typedef struct json_encoder {
    format_encoder base;
    bool bare;
    weir_buffer names;  /* `{"A":`, `,"B":` ... of all columns */
    uint32_t *name_end; /* of column i in `names` */
} json_encoder;

enum { NAMES_BYTES_MAX = 1 << 20 };

static void put_string(weir_buffer *target, weir_bytes text) {
    static const char letters[32] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    const uint8_t *at = text.data, *end = text.data + text.size;
    weir_buffer_append_byte(target, '"');
    for (;;) {
        const uint8_t *special = format_scan_string(at, end);
        weir_buffer_append(target, at, (size_t)(special - at));
        if (special == end) break;
        const uint8_t c = *special;
        char escape[8] = {'\\', (char)c};
        size_t size = 2;
        if (c < 0x20 && letters[c])
            escape[1] = letters[c];
        else if (c < 0x20)
            size = (size_t)snprintf(escape, sizeof escape, "\\u%04X", c);
        weir_buffer_append(target, escape, size);
        at = special + 1;
    }
    weir_buffer_append_byte(target, '"');
}

static void put_base64(weir_buffer *target, weir_bytes bytes) {
    const size_t encoded = data_base64_encoded_bytes(bytes.size);
    uint8_t *at = weir_buffer_reserve(target, encoded + 2);
    if (!at) return;
    at[0] = '"';
    data_base64_encode(bytes, (char *)at + 1);
    at[encoded + 1] = '"';
    target->size += encoded + 2;
}

static void put_number(weir_buffer *target, const data_vector *vector, uint32_t index) {
    uint8_t *at = weir_buffer_reserve(target, DATA_DECIMAL_TEXT_MAX);
    if (!at) return;
    char *text = (char *)at;
    switch (vector->type->kind) {
    case DATA_DOUBLE:
        if (isfinite(vector->doubles[index])) {
            target->size += weir_format_f64(text, vector->doubles[index]);
        } else { /* JSON has no such numbers; Jackson writes them in quotes */
            const size_t size = weir_format_f64(text + 1, vector->doubles[index]);
            text[0] = text[size + 1] = '"';
            target->size += size + 2;
        }
        break;
    case DATA_DECIMAL: target->size += data_decimal_format(text, vector->decimals[index], vector->type->scale); break;
    case DATA_BIGINT:
    case DATA_TIMESTAMP: target->size += weir_format_i64(text, vector->bigints[index]); break;
    default: target->size += weir_format_i64(text, vector->ints[index]); break;
    }
}

static void put_value(weir_buffer *target, const data_vector *vector, uint32_t row);

static void put_list(weir_buffer *target, const data_vector *vector, uint32_t index) {
    const bool map = vector->type->kind == DATA_MAP;
    const uint32_t start = data_vector_child_start(vector, index);
    weir_buffer_append_byte(target, map ? '{' : '[');
    for (uint32_t i = start; i < (uint32_t)vector->ends[index]; i++) {
        if (i > start) weir_buffer_append_byte(target, ',');
        if (map) {
            put_string(target, data_text_bytes(&vector->children[0].texts[i]));
            weir_buffer_append_byte(target, ':');
        }
        put_value(target, &vector->children[map], i);
    }
    weir_buffer_append_byte(target, map ? '}' : ']');
}

static void put_struct(weir_buffer *target, const data_vector *vector, uint32_t index) {
    weir_buffer_append_byte(target, '{');
    for (uint32_t i = 0; i < vector->type->field_count; i++) {
        if (i) weir_buffer_append_byte(target, ',');
        put_string(target, weir_bytes_text(vector->type->fields[i].name));
        weir_buffer_append_byte(target, ':');
        put_value(target, &vector->children[i], index);
    }
    weir_buffer_append_byte(target, '}');
}

static void put_value(weir_buffer *target, const data_vector *vector, uint32_t row) {
    if (data_vector_is_null(vector, row)) {
        weir_buffer_append(target, "null", 4);
        return;
    }
    const uint32_t index = data_vector_index(vector, row);
    switch (vector->type->kind) {
    case DATA_BOOLEAN: weir_buffer_append_text(target, vector->booleans[index] ? "true" : "false"); break;
    case DATA_STRING: put_string(target, data_text_bytes(&vector->texts[index])); break;
    case DATA_BYTES: put_base64(target, data_text_bytes(&vector->texts[index])); break;
    case DATA_ARRAY:
    case DATA_MAP: put_list(target, vector, index); break;
    case DATA_STRUCT: put_struct(target, vector, index); break;
    default: put_number(target, vector, index); break;
    }
}

static bool json_encode(format_encoder *base, const data_batch *batch, uint32_t row, weir_buffer *target) {
    json_encoder *self = (json_encoder *)base;
    (void)batch;
    if (self->bare) {
        if (data_vector_is_null(base->columns[0].vector, row)) return false;
        put_value(target, base->columns[0].vector, row);
        return true;
    }
    if (base->column_count == 0) weir_buffer_append_byte(target, '{');
    uint32_t start = 0;
    for (uint32_t i = 0; i < base->column_count; i++) {
        weir_buffer_append(target, self->names.data + start, self->name_end[i] - start);
        start = self->name_end[i];
        put_value(target, base->columns[i].vector, row);
    }
    weir_buffer_append_byte(target, '}');
    return true;
}

static void json_destroy(format_encoder *base) {
    json_encoder *self = (json_encoder *)base;
    weir_buffer_deinit(&self->names);
    weir_free(base->account, self->name_end);
}

weir_status json_encoder_create(weir_account *account, const format_spec *spec, format_encoder **encoder) {
    WEIR_TRY(json_supports(spec));
    json_encoder *made = format_encoder_new(sizeof *made, account, &format_json, spec);
    made->base.encode = json_encode;
    made->base.destroy = json_destroy;
    made->bare = json_is_bare(spec);
    weir_buffer_init(&made->names, account, NAMES_BYTES_MAX);
    made->name_end = weir_alloc(account, sizeof *made->name_end * made->base.column_count);
    for (uint32_t i = 0; i < made->base.column_count; i++) {
        weir_buffer_append_byte(&made->names, i ? ',' : '{');
        put_string(&made->names, weir_bytes_text(made->base.columns[i].column->name));
        weir_buffer_append_byte(&made->names, ':');
        made->name_end[i] = (uint32_t)made->names.size;
    }
    if (made->names.overflowed) {
        format_encoder_destroy(&made->base);
        return weir_fail(WEIR_INVALID, "format JSON: the column names are longer than %d bytes together",
                         NAMES_BYTES_MAX);
    }
    *encoder = &made->base;
    return weir_ok();
}
