/* Rows as JSON, as ksqlDB's REST API writes them: DECIMAL as a plain number, BYTES as base64, dates and times as text,
 * DOUBLE as Java does. Written straight from the vectors; nothing is allocated a value. */
#include "data/scalar.h"
#include "server/server_int.h"

_Static_assert((int)DATA_DECIMAL_TEXT_MAX >= (int)DATA_TIME_TEXT_MAX, "room for the longest scalar");

static void escape(weir_buffer *target, uint8_t byte) {
    static const char digits[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    switch (byte) {
    case '"':
    case '\\': text[1] = (char)byte; break;
    case '\b': text[1] = 'b'; break;
    case '\f': text[1] = 'f'; break;
    case '\n': text[1] = 'n'; break;
    case '\r': text[1] = 'r'; break;
    case '\t': text[1] = 't'; break;
    default: weir_buffer_append(target, text, 6); return;
    }
    weir_buffer_append(target, text, 2);
}

void server_text_write(weir_buffer *target, weir_bytes text) {
    weir_buffer_append_byte(target, '"');
    size_t start = 0;
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t byte = text.data[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        if (i > start) weir_buffer_append(target, text.data + start, i - start);
        escape(target, byte);
        start = i + 1;
    }
    if (text.size > start) weir_buffer_append(target, text.data + start, text.size - start);
    weir_buffer_append_byte(target, '"');
}

static void write_i64(weir_buffer *target, int64_t value) {
    char text[WEIR_I64_TEXT_MAX];
    weir_buffer_append(target, text, weir_format_i64(text, value));
}

static void write_f64(weir_buffer *target, double value) {
    char text[WEIR_F64_TEXT_MAX];
    const size_t size = weir_format_f64(text, value);
    if (__builtin_isfinite(value)) /* NaN and the infinities have no JSON numbers: texts, as Jackson's */
        weir_buffer_append(target, text, size);
    else
        server_text_write(target, weir_bytes_of(text, size));
}

static void write_base64(weir_buffer *target, weir_bytes bytes) {
    weir_buffer_append_byte(target, '"');
    const size_t size = data_base64_encoded_bytes(bytes.size);
    uint8_t *at = size ? weir_buffer_reserve(target, size) : NULL;
    if (at != NULL) {
        data_base64_encode(bytes, (char *)at);
        target->size += size;
    }
    weir_buffer_append_byte(target, '"');
}

static void write_quoted(weir_buffer *target, const char *text, size_t size) {
    weir_buffer_append_byte(target, '"');
    weir_buffer_append(target, text, size);
    weir_buffer_append_byte(target, '"');
}

static void write_array(weir_buffer *target, const data_vector *vector, uint32_t row) {
    const uint32_t end = (uint32_t)vector->ends[row];
    weir_buffer_append_byte(target, '[');
    for (uint32_t first = data_vector_child_start(vector, row), i = first; i < end; i++) {
        if (i > first) weir_buffer_append_byte(target, ',');
        server_value_write(target, &vector->children[0], i);
    }
    weir_buffer_append_byte(target, ']');
}

/* JSON's names are strings; a key of another type becomes the text of its value. */
static void write_map_key(weir_buffer *target, const data_vector *keys, uint32_t row) {
    const size_t before = target->size;
    server_value_write(target, keys, row);
    if (target->overflowed || target->data[before] == '"') return;
    const size_t size = target->size - before;
    uint8_t copy[DATA_DECIMAL_TEXT_MAX];
    weir_bytes text = {copy, size};
    if (size > sizeof copy) { /* a nested type, which no format of ksqlDB's allows as a key */
        text = weir_bytes_text("?");
    } else {
        memcpy(copy, target->data + before, size);
    }
    target->size = before;
    server_text_write(target, text);
}

static void write_map(weir_buffer *target, const data_vector *vector, uint32_t row) {
    const uint32_t end = (uint32_t)vector->ends[row];
    weir_buffer_append_byte(target, '{');
    for (uint32_t first = data_vector_child_start(vector, row), i = first; i < end; i++) {
        if (i > first) weir_buffer_append_byte(target, ',');
        write_map_key(target, &vector->children[0], i);
        weir_buffer_append_byte(target, ':');
        server_value_write(target, &vector->children[1], i);
    }
    weir_buffer_append_byte(target, '}');
}

static void write_struct(weir_buffer *target, const data_vector *vector, uint32_t row) {
    weir_buffer_append_byte(target, '{');
    for (uint32_t i = 0; i < vector->type->field_count; i++) {
        if (i > 0) weir_buffer_append_byte(target, ',');
        server_text_write(target, weir_bytes_text(vector->type->fields[i].name));
        weir_buffer_append_byte(target, ':');
        server_value_write(target, &vector->children[i], row);
    }
    weir_buffer_append_byte(target, '}');
}

void server_value_write(weir_buffer *target, const data_vector *vector, uint32_t row) {
    if (vector == NULL || data_vector_is_null(vector, row)) {
        weir_buffer_append(target, "null", 4);
        return;
    }
    const uint32_t i = data_vector_index(vector, row);
    char text[DATA_DECIMAL_TEXT_MAX];
    switch (vector->type->kind) {
    case DATA_BOOLEAN: weir_buffer_append_text(target, vector->booleans[i] ? "true" : "false"); break;
    case DATA_INT: write_i64(target, vector->ints[i]); break;
    case DATA_BIGINT: write_i64(target, vector->bigints[i]); break;
    case DATA_DOUBLE: write_f64(target, vector->doubles[i]); break;
    case DATA_DECIMAL:
        weir_buffer_append(target, text, data_decimal_format(text, vector->decimals[i], vector->type->scale));
        break;
    case DATA_STRING: server_text_write(target, data_text_bytes(&vector->texts[i])); break;
    case DATA_BYTES: write_base64(target, data_text_bytes(&vector->texts[i])); break;
    case DATA_DATE: write_quoted(target, text, data_date_format(text, vector->ints[i])); break;
    case DATA_TIME: write_quoted(target, text, data_time_format(text, vector->ints[i])); break;
    case DATA_TIMESTAMP: write_quoted(target, text, data_timestamp_format(text, vector->bigints[i])); break;
    case DATA_ARRAY: write_array(target, vector, i); break;
    case DATA_MAP: write_map(target, vector, i); break;
    case DATA_STRUCT: write_struct(target, vector, i); break;
    case DATA_KIND_COUNT: weir_assert(false); break;
    }
}

void server_row_write(weir_buffer *target, const data_batch *batch, uint32_t row, const uint32_t *columns,
                      uint32_t count) {
    weir_buffer_append_byte(target, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) weir_buffer_append_byte(target, ',');
        server_value_write(target, batch->columns[columns[i]], row);
    }
    weir_buffer_append_byte(target, ']');
}

void server_type_write(weir_buffer *target, const data_type *type) {
    switch (type->kind) {
    case DATA_ARRAY:
        weir_buffer_append_text(target, "ARRAY<");
        server_type_write(target, type->element);
        break;
    case DATA_MAP:
        weir_buffer_append_text(target, "MAP<");
        server_type_write(target, type->key);
        weir_buffer_append_text(target, ", ");
        server_type_write(target, type->element);
        break;
    case DATA_STRUCT:
        weir_buffer_append_text(target, "STRUCT<");
        for (uint32_t i = 0; i < type->field_count; i++) {
            weir_buffer_append_text(target, i > 0 ? ", `" : "`");
            weir_buffer_append_text(target, type->fields[i].name);
            weir_buffer_append_text(target, "` ");
            server_type_write(target, type->fields[i].type);
        }
        break;
    default: data_type_print(type, target); return;
    }
    weir_buffer_append_byte(target, '>');
}

void server_schema_write(weir_buffer *target, const data_schema *schema) {
    for (uint32_t i = 0; i < schema->count; i++) {
        const data_column *column = &schema->columns[i];
        weir_buffer_append_text(target, i > 0 ? ", `" : "`");
        weir_buffer_append_text(target, column->name);
        weir_buffer_append_text(target, "` ");
        server_type_write(target, column->type);
        if (column->role == DATA_ROLE_KEY) weir_buffer_append_text(target, " KEY");
    }
}
