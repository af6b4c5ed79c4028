#include "data/type.h"

#include <ctype.h>

enum { TYPE_DEPTH_MAX = 32 /* of nested ARRAY, MAP and STRUCT in a type's text */ };

static const data_type scalars[DATA_KIND_COUNT] = {
    [DATA_BOOLEAN] = {.kind = DATA_BOOLEAN},     [DATA_INT] = {.kind = DATA_INT},
    [DATA_BIGINT] = {.kind = DATA_BIGINT},       [DATA_DOUBLE] = {.kind = DATA_DOUBLE},
    [DATA_STRING] = {.kind = DATA_STRING},       [DATA_BYTES] = {.kind = DATA_BYTES},
    [DATA_DATE] = {.kind = DATA_DATE},           [DATA_TIME] = {.kind = DATA_TIME},
    [DATA_TIMESTAMP] = {.kind = DATA_TIMESTAMP},
};

static const char *const names[DATA_KIND_COUNT] = {
    [DATA_BOOLEAN] = "BOOLEAN", [DATA_INT] = "INTEGER",         [DATA_BIGINT] = "BIGINT", [DATA_DOUBLE] = "DOUBLE",
    [DATA_DECIMAL] = "DECIMAL", [DATA_STRING] = "STRING",       [DATA_BYTES] = "BYTES",   [DATA_DATE] = "DATE",
    [DATA_TIME] = "TIME",       [DATA_TIMESTAMP] = "TIMESTAMP", [DATA_ARRAY] = "ARRAY",   [DATA_MAP] = "MAP",
    [DATA_STRUCT] = "STRUCT",
};

const data_type *data_type_of(data_kind scalar) {
    weir_assert(scalar < DATA_ARRAY && scalar != DATA_DECIMAL);
    return &scalars[scalar];
}

const data_type *data_type_decimal(weir_arena *arena, unsigned precision, unsigned scale) {
    weir_assert(precision >= 1 && precision <= DATA_DECIMAL_PRECISION_MAX && scale <= precision);
    data_type *type = weir_arena_new(arena, data_type);
    *type = (data_type){.kind = DATA_DECIMAL, .precision = (uint8_t)precision, .scale = (uint8_t)scale};
    return type;
}

const data_type *data_type_array(weir_arena *arena, const data_type *element) {
    data_type *type = weir_arena_new(arena, data_type);
    *type = (data_type){.kind = DATA_ARRAY, .element = element};
    return type;
}

const data_type *data_type_map(weir_arena *arena, const data_type *key, const data_type *value) {
    data_type *type = weir_arena_new(arena, data_type);
    *type = (data_type){.kind = DATA_MAP, .key = key, .element = value};
    return type;
}

const data_type *data_type_struct(weir_arena *arena, const data_field *fields, uint32_t count) {
    data_type *type = weir_arena_new(arena, data_type);
    *type = (data_type){.kind = DATA_STRUCT, .fields = fields, .field_count = count};
    return type;
}

const data_type *data_type_copy(weir_arena *arena, const data_type *type) {
    switch (type->kind) {
    case DATA_DECIMAL: return data_type_decimal(arena, type->precision, type->scale);
    case DATA_ARRAY: return data_type_array(arena, data_type_copy(arena, type->element));
    case DATA_MAP: return data_type_map(arena, data_type_copy(arena, type->key), data_type_copy(arena, type->element));
    case DATA_STRUCT: {
        data_field *fields = weir_arena_array(arena, data_field, type->field_count);
        for (uint32_t i = 0; i < type->field_count; i++) {
            fields[i].name = weir_arena_text_copy(arena, type->fields[i].name);
            fields[i].type = data_type_copy(arena, type->fields[i].type);
        }
        return data_type_struct(arena, fields, type->field_count);
    }
    default: return data_type_of(type->kind);
    }
}

bool data_type_equal(const data_type *a, const data_type *b) {
    if (a == b) return true;
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case DATA_DECIMAL: return a->precision == b->precision && a->scale == b->scale;
    case DATA_ARRAY: return data_type_equal(a->element, b->element);
    case DATA_MAP: return data_type_equal(a->key, b->key) && data_type_equal(a->element, b->element);
    case DATA_STRUCT:
        if (a->field_count != b->field_count) return false;
        for (uint32_t i = 0; i < a->field_count; i++) {
            if (strcmp(a->fields[i].name, b->fields[i].name) != 0) return false;
            if (!data_type_equal(a->fields[i].type, b->fields[i].type)) return false;
        }
        return true;
    default: return true;
    }
}

bool data_type_is_number(const data_type *type) {
    return type->kind == DATA_INT || type->kind == DATA_BIGINT || type->kind == DATA_DOUBLE ||
           type->kind == DATA_DECIMAL;
}

unsigned data_kind_width(data_kind kind) {
    switch (kind) {
    case DATA_BOOLEAN: return 1;
    case DATA_INT:
    case DATA_DATE:
    case DATA_TIME:
    case DATA_ARRAY:
    case DATA_MAP: return 4;
    case DATA_BIGINT:
    case DATA_DOUBLE:
    case DATA_TIMESTAMP: return 8;
    case DATA_DECIMAL:
    case DATA_STRING:
    case DATA_BYTES: return 16;
    default: return 0; /* STRUCT holds children only */
    }
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

static bool is_plain_name(const char *name) {
    if (!isupper((unsigned char)name[0]) && name[0] != '_') return false;
    for (const char *at = name; *at; at++) {
        if (!isupper((unsigned char)*at) && !isdigit((unsigned char)*at) && *at != '_') return false;
    }
    return true;
}

void data_name_print(const char *name, weir_buffer *target) {
    if (is_plain_name(name)) {
        weir_buffer_append_text(target, name);
        return;
    }
    weir_buffer_append_byte(target, '`');
    for (const char *at = name; *at; at++) {
        if (*at == '`') weir_buffer_append_byte(target, '`');
        weir_buffer_append_byte(target, (uint8_t)*at);
    }
    weir_buffer_append_byte(target, '`');
}

void data_type_print(const data_type *type, weir_buffer *target) {
    weir_buffer_append_text(target, names[type->kind]);
    switch (type->kind) {
    case DATA_DECIMAL: weir_buffer_format(target, "(%u, %u)", type->precision, type->scale); break;
    case DATA_ARRAY:
        weir_buffer_append_byte(target, '<');
        data_type_print(type->element, target);
        weir_buffer_append_byte(target, '>');
        break;
    case DATA_MAP:
        weir_buffer_append_byte(target, '<');
        data_type_print(type->key, target);
        weir_buffer_append_text(target, ", ");
        data_type_print(type->element, target);
        weir_buffer_append_byte(target, '>');
        break;
    case DATA_STRUCT:
        weir_buffer_append_byte(target, '<');
        for (uint32_t i = 0; i < type->field_count; i++) {
            if (i) weir_buffer_append_text(target, ", ");
            data_name_print(type->fields[i].name, target);
            weir_buffer_append_byte(target, ' ');
            data_type_print(type->fields[i].type, target);
        }
        weir_buffer_append_byte(target, '>');
        break;
    default: break;
    }
}

typedef struct type_reader {
    weir_arena *arena;
    weir_bytes text;
    size_t at;
} type_reader;

static void skip_blanks(type_reader *reader) {
    while (reader->at < reader->text.size && isspace(reader->text.data[reader->at])) reader->at++;
}

static bool take(type_reader *reader, char wanted) {
    skip_blanks(reader);
    if (reader->at == reader->text.size || reader->text.data[reader->at] != (uint8_t)wanted) return false;
    reader->at++;
    return true;
}

static weir_status fail_at(const type_reader *reader, const char *wanted) {
    return weir_fail(WEIR_INVALID, "type \"%.*s\": expected %s at character %zu", (int)reader->text.size,
                     (const char *)reader->text.data, wanted, reader->at + 1);
}

static weir_bytes take_word(type_reader *reader) {
    skip_blanks(reader);
    const size_t start = reader->at;
    while (reader->at < reader->text.size &&
           (isalnum(reader->text.data[reader->at]) || reader->text.data[reader->at] == '_')) {
        reader->at++;
    }
    return weir_bytes_of(reader->text.data + start, reader->at - start);
}

static weir_status take_name(type_reader *reader, const char **name) {
    if (!take(reader, '`')) {
        const weir_bytes word = take_word(reader);
        if (word.size == 0) return fail_at(reader, "a field name");
        char *copy = weir_arena_array(reader->arena, char, word.size + 1);
        memcpy(copy, word.data, word.size);
        *name = copy;
        return weir_ok();
    }
    char *copy = weir_arena_array(reader->arena, char, reader->text.size - reader->at + 1);
    size_t size = 0;
    while (reader->at < reader->text.size) {
        if (reader->text.data[reader->at] == '`') {
            reader->at++;
            if (reader->at == reader->text.size || reader->text.data[reader->at] != '`') {
                *name = copy;
                return weir_ok();
            }
        }
        copy[size++] = (char)reader->text.data[reader->at++];
    }
    return fail_at(reader, "a closing backquote");
}

static weir_status take_number(type_reader *reader, unsigned *number) {
    const weir_bytes word = take_word(reader);
    int64_t value;
    if (!weir_parse_i64(word, &value) || value < 0 || value > DATA_DECIMAL_PRECISION_MAX) {
        return fail_at(reader, "a number up to 38 before this");
    }
    *number = (unsigned)value;
    return weir_ok();
}

static weir_status take_decimal(type_reader *reader, const data_type **type) {
    unsigned precision, scale;
    if (!take(reader, '(')) return fail_at(reader, "\"(\"");
    WEIR_TRY(take_number(reader, &precision));
    if (!take(reader, ',')) return fail_at(reader, "\",\"");
    WEIR_TRY(take_number(reader, &scale));
    if (!take(reader, ')')) return fail_at(reader, "\")\"");
    if (precision < 1 || scale > precision) return fail_at(reader, "1 <= precision and scale <= precision before this");
    *type = data_type_decimal(reader->arena, precision, scale);
    return weir_ok();
}

static weir_status take_type(type_reader *reader, unsigned depth, const data_type **type);

static weir_status take_struct(type_reader *reader, unsigned depth, const data_type **type) {
    data_field fields[DATA_STRUCT_FIELDS_MAX];
    uint32_t count = 0;
    if (!take(reader, '<')) return fail_at(reader, "\"<\"");
    if (!take(reader, '>')) {
        do {
            if (count == DATA_STRUCT_FIELDS_MAX) return fail_at(reader, "at most 256 fields before this");
            WEIR_TRY(take_name(reader, &fields[count].name));
            WEIR_TRY(take_type(reader, depth + 1, &fields[count].type));
            count++;
        } while (take(reader, ','));
        if (!take(reader, '>')) return fail_at(reader, "\">\"");
    }
    data_field *kept = weir_arena_array(reader->arena, data_field, count ? count : 1);
    if (count) memcpy(kept, fields, sizeof *fields * count);
    *type = data_type_struct(reader->arena, kept, count);
    return weir_ok();
}

static weir_status take_nested(type_reader *reader, data_kind kind, unsigned depth, const data_type **type) {
    const data_type *key = NULL, *element;
    if (!take(reader, '<')) return fail_at(reader, "\"<\"");
    if (kind == DATA_MAP) {
        WEIR_TRY(take_type(reader, depth + 1, &key));
        if (!take(reader, ',')) return fail_at(reader, "\",\"");
    }
    WEIR_TRY(take_type(reader, depth + 1, &element));
    if (!take(reader, '>')) return fail_at(reader, "\">\"");
    *type = key ? data_type_map(reader->arena, key, element) : data_type_array(reader->arena, element);
    return weir_ok();
}

static bool word_is(weir_bytes word, const char *name) {
    return word.size == strlen(name) && strncasecmp((const char *)word.data, name, word.size) == 0;
}

static weir_status take_type(type_reader *reader, unsigned depth, const data_type **type) {
    if (depth > TYPE_DEPTH_MAX) return fail_at(reader, "at most 32 levels of nesting");
    skip_blanks(reader);
    const size_t start = reader->at;
    const weir_bytes word = take_word(reader);
    data_kind kind = DATA_KIND_COUNT;
    for (unsigned i = 0; i < DATA_KIND_COUNT; i++) {
        if (word_is(word, names[i])) kind = (data_kind)i;
    }
    if (word_is(word, "INT")) kind = DATA_INT;
    if (word_is(word, "VARCHAR")) kind = DATA_STRING;
    switch (kind) {
    case DATA_KIND_COUNT: reader->at = start; return fail_at(reader, "a type");
    case DATA_DECIMAL: return take_decimal(reader, type);
    case DATA_ARRAY:
    case DATA_MAP: return take_nested(reader, kind, depth, type);
    case DATA_STRUCT: return take_struct(reader, depth, type);
    default: *type = data_type_of(kind); return weir_ok();
    }
}

weir_status data_type_parse(weir_arena *arena, weir_bytes text, const data_type **type) {
    type_reader reader = {.arena = arena, .text = text};
    WEIR_TRY(take_type(&reader, 0, type));
    skip_blanks(&reader);
    if (reader.at != text.size) return fail_at(&reader, "the end");
    return weir_ok();
}

/* ---- schemas --------------------------------------------------------------------------------------------------- */

int32_t data_schema_find(const data_schema *schema, const char *name) {
    for (uint32_t i = 0; i < schema->count; i++) {
        if (strcmp(schema->columns[i].name, name) == 0) return (int32_t)i;
    }
    return -1;
}

const data_schema *data_schema_copy(weir_arena *arena, const data_schema *schema) {
    data_column *columns = weir_arena_array(arena, data_column, schema->count ? schema->count : 1);
    for (uint32_t i = 0; i < schema->count; i++) {
        const data_column *column = &schema->columns[i];
        columns[i] = *column;
        columns[i].name = weir_arena_text_copy(arena, column->name);
        columns[i].type = data_type_copy(arena, column->type);
        if (column->header_key) columns[i].header_key = weir_arena_text_copy(arena, column->header_key);
    }
    data_schema *copy = weir_arena_new(arena, data_schema);
    *copy = (data_schema){.columns = columns, .count = schema->count, .key_count = schema->key_count};
    return copy;
}
