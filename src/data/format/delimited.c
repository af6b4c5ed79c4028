/* DELIMITED: one line of comma-separated values (RFC 4180), read and quoted as Apache commons-csv does, which is what
 * ksqlDB uses: NULL and the empty text are both an empty field, and a quote is needed only where reading would differ.
 */
#include "data/format/format_int.h"

#include <strings.h>

typedef struct delimited_decoder {
    format_decoder base;
    uint8_t delimiter;
} delimited_decoder;

typedef struct delimited_encoder {
    format_encoder base;
    uint8_t delimiter;
} delimited_encoder;

static weir_status read_delimiter(const format_spec *spec, uint8_t *delimiter) {
    const char *name = spec->role == DATA_ROLE_KEY ? "KEY_DELIMITER" : "VALUE_DELIMITER";
    const char *text = format_option(spec, name);
    if (!text || strcmp(text, ",") == 0)
        *delimiter = ',';
    else if (strcasecmp(text, "TAB") == 0)
        *delimiter = '\t';
    else if (strcasecmp(text, "SPACE") == 0)
        *delimiter = ' ';
    else if (strlen(text) == 1 && (uint8_t)text[0] < 0x80 && !strchr("\"\r\n", text[0]))
        *delimiter = (uint8_t)text[0];
    else
        return weir_fail(WEIR_INVALID, "%s='%s': expected one ASCII character, TAB or SPACE", name, text);
    return weir_ok();
}

static weir_status delimited_supports(const format_spec *spec) {
    uint8_t delimiter;
    WEIR_TRY(read_delimiter(spec, &delimiter));
    for (uint32_t i = 0; i < spec->schema->count; i++) {
        const data_column *column = &spec->schema->columns[i];
        if (column->role == spec->role && format_is_nested(column->type)) {
            return format_unsupported_type(&format_delimited, column);
        }
    }
    return weir_ok();
}

/* ---- reading
 * ---------------------------------------------------------------------------------------------------------- */

static format_result bad_field(format_decoder *self, const format_column *column, weir_bytes line, weir_bytes field,
                               const char *wanted) {
    char quoted[FORMAT_QUOTE_MAX];
    const bool inside = field.data >= line.data && field.data <= line.data + line.size;
    return format_reject(self, "expected %s for column %s at byte %zu, got %s", wanted, column->column->name,
                         inside ? (size_t)(field.data - line.data) : 0, format_quote(quoted, field));
}

static format_result set_decimal(format_decoder *self, const format_column *column, uint32_t row, weir_bytes line,
                                 weir_bytes field) {
    const data_type *type = column->column->type;
    data_decimal value;
    switch (data_decimal_parse(field, type->precision, type->scale, DATA_ROUND_EXACT, &value)) {
    case DATA_FIT_OK: column->vector->decimals[row] = value; return FORMAT_DONE;
    case DATA_FIT_NOT_A_NUMBER: return bad_field(self, column, line, field, "a number");
    default: return bad_field(self, column, line, field, "a number that fits the DECIMAL exactly");
    }
}

static format_result set_bytes(format_decoder *self, const format_column *column, uint32_t row, weir_bytes line,
                               weir_bytes field) {
    uint8_t *bytes = weir_arena_try(self->batch->arena, field.size / 4 * 3 + 3);
    size_t size;
    if (!bytes) return FORMAT_NO_MEMORY;
    if (!data_base64_decode(field, bytes, &size)) return bad_field(self, column, line, field, "base64");
    column->vector->texts[row] = data_text_of(bytes, size);
    return FORMAT_DONE;
}

static format_result set_integer(format_decoder *self, const format_column *column, uint32_t row, weir_bytes line,
                                 weir_bytes field) {
    int64_t value;
    const data_kind kind = column->column->type->kind;
    const bool narrow = kind == DATA_INT || kind == DATA_DATE;
    if (!weir_parse_i64(field, &value)) return bad_field(self, column, line, field, "an integer");
    if (narrow && (value < INT32_MIN || value > INT32_MAX)) {
        return bad_field(self, column, line, field, "an integer of 32 bits");
    }
    if (kind == DATA_TIME && (value < 0 || value >= DATA_MS_PER_DAY)) {
        return bad_field(self, column, line, field, "milliseconds of a day");
    }
    if (data_kind_width(kind) == 4)
        column->vector->ints[row] = (int32_t)value;
    else
        column->vector->bigints[row] = value;
    return FORMAT_DONE;
}

static format_result set_field(format_decoder *self, const format_column *column, uint32_t row, weir_bytes line,
                               weir_bytes field) {
    data_vector *vector = column->vector;
    if (!vector || field.size == 0) return FORMAT_DONE; /* an empty field is NULL */
    format_result result = FORMAT_DONE;
    switch (column->column->type->kind) {
    case DATA_BOOLEAN:
        vector->booleans[row] = field.size == 4 && strncasecmp((const char *)field.data, "true", 4) == 0;
        break;
    case DATA_DOUBLE:
        if (!weir_parse_f64(field, &vector->doubles[row])) return bad_field(self, column, line, field, "a number");
        break;
    case DATA_STRING: vector->texts[row] = data_text_of(field.data, field.size); break;
    case DATA_BYTES: result = set_bytes(self, column, row, line, field); break;
    case DATA_DECIMAL: result = set_decimal(self, column, row, line, field); break;
    default: result = set_integer(self, column, row, line, field); break;
    }
    if (result == FORMAT_DONE) data_bit_set(vector->valid, row, true);
    return result;
}

/* The field that begins with a quote at *at; leaves *at behind it. Doubled quotes need a copy without them. */
static format_result read_quoted(format_decoder *self, weir_bytes line, size_t *at, weir_bytes *field) {
    const size_t opening = *at, start = opening + 1;
    size_t end = start, doubled = 0;
    for (;;) {
        const uint8_t *quote = end < line.size ? memchr(line.data + end, '"', line.size - end) : NULL;
        if (!quote) return format_reject(self, "the quote at byte %zu is not closed", opening);
        end = (size_t)(quote - line.data);
        if (end + 1 == line.size || line.data[end + 1] != '"') break;
        doubled++;
        end += 2;
    }
    *at = end + 1;
    *field = weir_bytes_of(line.data + start, end - start);
    if (doubled == 0) return FORMAT_DONE;
    uint8_t *copy = weir_arena_try(self->batch->arena, field->size);
    if (!copy) return FORMAT_NO_MEMORY;
    size_t size = 0;
    for (size_t i = start; i < end; i++) {
        copy[size++] = line.data[i];
        if (line.data[i] == '"') i++;
    }
    *field = weir_bytes_of(copy, size);
    return FORMAT_DONE;
}

static bool ends_line(const uint8_t *data, size_t size, size_t at) {
    return at == size || data[at] == '\n' || data[at] == '\r';
}

static format_result read_field(delimited_decoder *self, weir_bytes line, size_t *at, weir_bytes *field) {
    if (*at < line.size && line.data[*at] == '"') {
        const format_result result = read_quoted(&self->base, line, at, field);
        if (result != FORMAT_DONE) return result;
        if (!ends_line(line.data, line.size, *at) && line.data[*at] != self->delimiter) {
            return format_reject(&self->base, "expected the delimiter behind the closing quote at byte %zu", *at);
        }
        return FORMAT_DONE;
    }
    const size_t start = *at;
    while (!ends_line(line.data, line.size, *at) && line.data[*at] != self->delimiter) (*at)++;
    *field = weir_bytes_of(line.data + start, *at - start);
    return FORMAT_DONE;
}

static format_result delimited_decode(format_decoder *base, weir_bytes line, uint32_t row) {
    delimited_decoder *self = (delimited_decoder *)base;
    size_t at = 0, bad_at;
    uint32_t count = 0;
    if (!format_utf8(line, &bad_at)) return format_reject(base, "not valid UTF-8 at byte %zu", bad_at);
    for (;;) {
        weir_bytes field = {0};
        format_result result = read_field(self, line, &at, &field);
        if (result == FORMAT_DONE && count < base->column_count) {
            result = set_field(base, &base->columns[count], row, line, field);
        }
        if (result != FORMAT_DONE) return result;
        count++;
        if (ends_line(line.data, line.size, at)) break;
        at++;
    }
    if (count != base->column_count) {
        return format_reject(base, "expected %u columns, got %u", base->column_count, count);
    }
    while (at < line.size && (line.data[at] == '\n' || line.data[at] == '\r')) at++;
    if (at != line.size) return format_reject(base, "a second line begins at byte %zu", at);
    return FORMAT_DONE;
}

/* ---- writing
 * ---------------------------------------------------------------------------------------------------------- */

static bool needs_quote(weir_bytes text, uint8_t delimiter, bool first) {
    if (text.size == 0) return first; /* alone on its line it would be no line at all */
    const uint8_t c = text.data[0];
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (first && !plain) return true; /* as commons-csv does it at the beginning of a line */
    if (c <= '#') return true;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\n' || text.data[i] == '\r' || text.data[i] == '"' || text.data[i] == delimiter)
            return true;
    }
    return text.data[text.size - 1] <= ' ';
}

static void put_text(weir_buffer *target, weir_bytes text, uint8_t delimiter, bool first) {
    if (!needs_quote(text, delimiter, first)) {
        weir_buffer_append(target, text.data, text.size);
        return;
    }
    weir_buffer_append_byte(target, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"') weir_buffer_append_byte(target, '"');
        weir_buffer_append_byte(target, text.data[i]);
    }
    weir_buffer_append_byte(target, '"');
}

static void put_value(weir_buffer *target, const data_vector *vector, uint32_t index, uint8_t delimiter, bool first) {
    char text[DATA_DECIMAL_TEXT_MAX];
    size_t size;
    switch (vector->type->kind) {
    case DATA_BOOLEAN: weir_buffer_append_text(target, vector->booleans[index] ? "true" : "false"); return;
    case DATA_STRING: put_text(target, data_text_bytes(&vector->texts[index]), delimiter, first); return;
    case DATA_BYTES: {
        const weir_bytes bytes = data_text_bytes(&vector->texts[index]);
        const size_t encoded = data_base64_encoded_bytes(bytes.size);
        if (encoded == 0 && first) weir_buffer_append_text(target, "\"\"");
        uint8_t *at = weir_buffer_reserve(target, encoded);
        if (!at) return;
        data_base64_encode(bytes, (char *)at);
        target->size += encoded;
        return;
    }
    case DATA_DOUBLE: size = weir_format_f64(text, vector->doubles[index]); break;
    case DATA_DECIMAL: size = data_decimal_format(text, vector->decimals[index], vector->type->scale); break;
    case DATA_BIGINT:
    case DATA_TIMESTAMP: size = weir_format_i64(text, vector->bigints[index]); break;
    default: size = weir_format_i64(text, vector->ints[index]); break;
    }
    put_text(target, weir_bytes_of(text, size), delimiter, first);
}

static bool delimited_encode(format_encoder *base, const data_batch *batch, uint32_t row, weir_buffer *target) {
    (void)batch;
    const uint8_t delimiter = ((delimited_encoder *)base)->delimiter;
    for (uint32_t i = 0; i < base->column_count; i++) {
        const data_vector *vector = base->columns[i].vector;
        if (i) weir_buffer_append_byte(target, delimiter);
        if (!data_vector_is_null(vector, row))
            put_value(target, vector, data_vector_index(vector, row), delimiter, i == 0);
    }
    return true;
}

static weir_status delimited_decoder_create(weir_account *account, const format_spec *spec, const uint64_t *wanted,
                                            format_decoder **decoder) {
    WEIR_TRY(delimited_supports(spec));
    delimited_decoder *made = format_decoder_new(sizeof *made, account, &format_delimited, spec, wanted);
    *decoder = &made->base;
    made->base.decode = delimited_decode;
    return read_delimiter(spec, &made->delimiter);
}

static weir_status delimited_encoder_create(weir_account *account, const format_spec *spec, format_encoder **encoder) {
    WEIR_TRY(delimited_supports(spec));
    delimited_encoder *made = format_encoder_new(sizeof *made, account, &format_delimited, spec);
    *encoder = &made->base;
    made->base.encode = delimited_encode;
    return read_delimiter(spec, &made->delimiter);
}

const format_vtable format_delimited = {
    .name = "DELIMITED",
    .about =
        "one line of values with a delimiter (KEY_DELIMITER, VALUE_DELIMITER; default a comma), quoted by RFC 4180",
    .supports = delimited_supports,
    .decoder_create = delimited_decoder_create,
    .encoder_create = delimited_encoder_create,
};
