/* Types by name, literals, and the type two expressions have in common. */
#include "base/text.h"
#include "base/time.h"
#include "sql/analyse/analyse_int.h"

#include <math.h>
#include <strings.h>

/* As ksqlDB's messages print it: the fields of a STRUCT always in backquotes. */
static void print_type(const data_type *type, weir_buffer *target) {
    if (type->kind == DATA_ARRAY || type->kind == DATA_MAP) {
        weir_buffer_append_text(target, type->kind == DATA_ARRAY ? "ARRAY<" : "MAP<");
        if (type->kind == DATA_MAP) {
            print_type(type->key, target);
            weir_buffer_append_text(target, ", ");
        }
        print_type(type->element, target);
        weir_buffer_append_byte(target, '>');
    } else if (type->kind == DATA_STRUCT) {
        weir_buffer_append_text(target, "STRUCT<");
        for (uint32_t i = 0; i < type->field_count; i++) {
            weir_buffer_format(target, "%s`%s` ", i ? ", " : "", type->fields[i].name);
            print_type(type->fields[i].type, target);
        }
        weir_buffer_append_byte(target, '>');
    } else {
        data_type_print(type, target);
    }
}

const char *sql_type_text(weir_arena *arena, const data_type *type) {
    if (type == NULL) return "NULL";
    weir_buffer text;
    weir_buffer_init(&text, arena->account, 64u << 10);
    print_type(type, &text);
    const char *copy = weir_arena_text_copy(arena, weir_buffer_text(&text));
    weir_buffer_deinit(&text);
    return copy;
}

enum { EXPR_TEXT_MAX = 400 }; /* of an expression quoted in a message */

const char *sql_expr_text(weir_arena *arena, const sql_expr *expr) {
    weir_buffer text;
    weir_buffer_init(&text, arena->account, 256u << 10);
    sql_expr_print(expr, &text);
    size_t size = text.size;
    const bool cut = size > EXPR_TEXT_MAX;
    if (cut) size = EXPR_TEXT_MAX;
    while (cut && size > 0 && (text.data[size] & 0xC0) == 0x80) size--; /* not inside a character */
    const char *copy = weir_arena_format(arena, "%.*s%s", (int)size, (const char *)text.data, cut ? "..." : "");
    weir_buffer_deinit(&text);
    return copy;
}

/* ---- types by name
 * --------------------------------------------------------------------------------------------------- */

static bool resolve_named(sql_analyser *a, const sql_type *type, const data_type **resolved) {
    static const struct {
        const char *name;
        data_kind kind;
    } names[] = {
        {"BOOLEAN", DATA_BOOLEAN}, {"INT", DATA_INT},       {"INTEGER", DATA_INT},        {"BIGINT", DATA_BIGINT},
        {"DOUBLE", DATA_DOUBLE},   {"STRING", DATA_STRING}, {"VARCHAR", DATA_STRING},     {"BYTES", DATA_BYTES},
        {"DATE", DATA_DATE},       {"TIME", DATA_TIME},     {"TIMESTAMP", DATA_TIMESTAMP}};
    static const char *const known[] = {"BOOLEAN",   "INT",     "INTEGER", "BIGINT", "DOUBLE",
                                        "STRING",    "VARCHAR", "BYTES",   "DATE",   "TIME",
                                        "TIMESTAMP", "DECIMAL", "ARRAY",   "MAP",    "STRUCT"};
    const uint32_t offset = type->name.offset;
    if (strcmp(type->name.text, "DECIMAL") == 0) {
        if (type->argument_count != 2)
            return sql_fail_at(a, offset, "DECIMAL takes a precision and a scale: DECIMAL(10, 2)");
        const int64_t precision = type->arguments[0], scale = type->arguments[1];
        if (precision < 1)
            return sql_fail_at(a, offset, "DECIMAL precision must be >= 1: DECIMAL(%lld,%lld)", (long long)precision,
                               (long long)scale);
        if (scale > precision)
            return sql_fail_at(a, offset, "DECIMAL precision must be >= scale: DECIMAL(%lld,%lld)",
                               (long long)precision, (long long)scale);
        if (precision > 38)
            return sql_fail_at(a, offset, "DECIMAL(%lld, %lld): weir's decimals have at most 38 digits",
                               (long long)precision, (long long)scale);
        *resolved = data_type_decimal(a->arena, (unsigned)precision, (unsigned)scale);
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(type->name.text, names[i].name) != 0) continue;
        if (type->argument_count > (names[i].kind == DATA_STRING ? 1u : 0u))
            return sql_fail_at(a, offset, "type %s takes no arguments", names[i].name);
        *resolved = data_type_of(names[i].kind); /* the length of VARCHAR(n) is ignored, as in ksqlDB */
        return true;
    }
    sql_fail_at(a, offset, "Cannot resolve unknown type: %s", type->name.text);
    sql_error_suggest(a->error, type->name.text, known, sizeof known / sizeof known[0]);
    return false;
}

bool sql_resolve_type(sql_analyser *a, const sql_type *type, const data_type **resolved) {
    const data_type *key = NULL, *element = NULL;
    switch (type->kind) {
    case SQL_TYPE_NAMED: return resolve_named(a, type, resolved);
    case SQL_TYPE_ARRAY:
        if (!sql_resolve_type(a, type->element, &element)) return false;
        *resolved = data_type_array(a->arena, element);
        return true;
    case SQL_TYPE_MAP:
        if (!sql_resolve_type(a, type->key, &key) || !sql_resolve_type(a, type->element, &element)) return false;
        *resolved = data_type_map(a->arena, key, element);
        return true;
    case SQL_TYPE_STRUCT: break;
    }
    if (type->field_count > 256)
        return sql_fail_at(a, type->fields[0].name.offset, "a STRUCT of %u fields, at most 256 are allowed",
                           type->field_count);
    data_field *fields = type->field_count ? weir_arena_array(a->arena, data_field, type->field_count) : NULL;
    for (uint32_t i = 0; i < type->field_count; i++) {
        fields[i].name = type->fields[i].name.text;
        if (!sql_resolve_type(a, type->fields[i].type, &fields[i].type)) return false;
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(fields[k].name, fields[i].name) == 0)
                return sql_fail_at(a, type->fields[i].name.offset, "Duplicate field name in STRUCT: %s",
                                   fields[i].name);
    }
    *resolved = data_type_struct(a->arena, fields, type->field_count);
    return true;
}

bool sql_type_has_map(const data_type *type) {
    if (type->kind == DATA_MAP) return true;
    if (type->kind == DATA_ARRAY) return sql_type_has_map(type->element);
    for (uint32_t i = 0; type->kind == DATA_STRUCT && i < type->field_count; i++)
        if (sql_type_has_map(type->fields[i].type)) return true;
    return false;
}

/* ---- literals
 * -------------------------------------------------------------------------------------------------------- */

/* "-12.50" as unscaled -1250 with scale 2; false when it has more than 38 digits. */
static bool parse_decimal(weir_bytes text, data_decimal *unscaled, unsigned *precision, unsigned *scale) {
    data_decimal value = 0;
    unsigned digits = 0, fraction = 0;
    bool point = false, negative = false;
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t byte = text.data[i];
        if (byte == '-')
            negative = true;
        else if (byte == '.')
            point = true;
        else {
            value = value * 10 + (byte - '0');
            if (value != 0) digits++;
            if (point) fraction++;
            if (digits > 38 || fraction > 38) return false;
        }
    }
    *unscaled = negative ? -value : value;
    *scale = fraction;
    *precision = digits > fraction ? digits : fraction;
    if (*precision == 0) *precision = 1;
    return true;
}

static func_expr *new_literal(sql_analyser *a, const data_type *type) {
    func_expr *expr = weir_arena_new(a->arena, func_expr);
    expr->kind = FUNC_LITERAL;
    expr->type = type;
    expr->value.type = type;
    expr->value.is_null = type == NULL;
    return expr;
}

static const func_expr *number_literal(sql_analyser *a, const sql_expr *literal) {
    const int shown = (int)(literal->text.size > 60 ? 60 : literal->text.size);
    const char *text = (const char *)literal->text.data;
    if (literal->kind == SQL_INTEGER) {
        int64_t value;
        if (!weir_parse_i64(literal->text, &value)) {
            sql_fail_at(a, literal->offset, "Invalid numeric literal: %.*s", shown, text);
            a->error->is_syntax = true;
            return NULL;
        }
        const bool is_int = value >= INT32_MIN && value <= INT32_MAX;
        func_expr *expr = new_literal(a, data_type_of(is_int ? DATA_INT : DATA_BIGINT));
        if (is_int)
            expr->value.int32 = (int32_t)value;
        else
            expr->value.int64 = value;
        return expr;
    }
    if (literal->kind == SQL_DOUBLE) {
        double value;
        if (!weir_parse_f64(literal->text, &value) || isinf(value)) {
            sql_fail_at(a, literal->offset, "Number overflows DOUBLE: %.*s", shown, text);
            a->error->is_syntax = true;
            return NULL;
        }
        func_expr *expr = new_literal(a, data_type_of(DATA_DOUBLE));
        expr->value.float64 = value;
        return expr;
    }
    data_decimal value;
    unsigned precision, scale;
    if (!parse_decimal(literal->text, &value, &precision, &scale)) {
        sql_fail_at(a, literal->offset, "Invalid numeric literal: %.*s has more than 38 digits", shown, text);
        return NULL;
    }
    func_expr *expr = new_literal(a, data_type_decimal(a->arena, precision, scale));
    expr->value.decimal = value;
    return expr;
}

const func_expr *sql_literal_expr(sql_analyser *a, const sql_expr *literal) {
    func_expr *expr;
    switch (literal->kind) {
    case SQL_NULL: return new_literal(a, NULL);
    case SQL_BOOLEAN:
        expr = new_literal(a, data_type_of(DATA_BOOLEAN));
        expr->value.boolean = !literal->negated;
        return expr;
    case SQL_STRING:
        expr = new_literal(a, data_type_of(DATA_STRING));
        expr->value.text = weir_arena_bytes_copy(a->arena, literal->text);
        return expr;
    default: return number_literal(a, literal);
    }
}

bool sql_parse_event_time(weir_bytes text, int64_t *ms) {
    static const char missing[] = "-01-01";
    char whole[16];
    if (text.size != 4 && text.size != 7) return weir_parse_iso(text, ms);
    memcpy(whole, text.data, text.size);
    memcpy(whole + text.size, missing + (text.size - 4), 10 - text.size);
    return weir_parse_iso(weir_bytes_of(whole, 10), ms);
}

/* "4.000" is the whole number 4; a number that is not whole, or too large, is none. */
static bool parse_whole(weir_bytes text, int64_t *value) {
    data_decimal unscaled;
    unsigned precision, scale;
    bool digits = false, points = false;
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t byte = text.data[i];
        if (byte >= '0' && byte <= '9')
            digits = true;
        else if (byte == '.' && !points)
            points = true;
        else if (byte != '-' || i != 0)
            return false;
    }
    if (!digits || !parse_decimal(text, &unscaled, &precision, &scale)) return false;
    for (; scale > 0; scale--, unscaled /= 10)
        if (unscaled % 10 != 0) return false;
    *value = (int64_t)unscaled;
    return unscaled >= INT64_MIN && unscaled <= INT64_MAX;
}

static bool parse_boolean(weir_bytes text, bool *value) {
    static const char *const words[] = {"true", "yes", "false", "no"};
    for (size_t i = 0; i < 4; i++) {
        if (text.size == 0 || text.size > strlen(words[i]) ||
            strncasecmp((const char *)text.data, words[i], text.size) != 0)
            continue;
        *value = i < 2;
        return true;
    }
    return false;
}

const func_expr *sql_parsed_literal(sql_analyser *a, const sql_expr *literal, const data_type *target) {
    func_expr *expr = new_literal(a, target);
    int64_t whole = 0;
    bool valid = true;
    switch (target->kind) {
    case DATA_BOOLEAN: valid = parse_boolean(literal->text, &expr->value.boolean); break;
    case DATA_INT:
        valid = parse_whole(literal->text, &whole) && whole >= INT32_MIN && whole <= INT32_MAX;
        expr->value.int32 = (int32_t)whole;
        break;
    case DATA_BIGINT:
        valid = parse_whole(literal->text, &whole);
        expr->value.int64 = whole;
        break;
    case DATA_DOUBLE: valid = weir_parse_f64(literal->text, &expr->value.float64); break;
    default: {
        double number; /* a decimal is parsed by its cast, once it is known to be a number */
        const func_expr *cast = NULL;
        valid = weir_parse_f64(literal->text, &number) &&
                !weir_failed(func_cast(a->arena, sql_literal_expr(a, literal), target, &cast));
        if (valid) return cast;
        break;
    }
    }
    if (valid) return expr;
    sql_fail_at(a, literal->offset, "Invalid Predicate: invalid input syntax for type %s: \"%.*s\".",
                target->kind == DATA_DECIMAL ? "DECIMAL" : sql_type_text(a->arena, target),
                (int)(literal->text.size > 60 ? 60 : literal->text.size), (const char *)literal->text.data);
    return NULL;
}

bool sql_literal_value(const sql_expr *literal, const data_type *target, weir_arena *arena, func_value *value) {
    *value = (func_value){.type = target};
    int64_t integer;
    if (literal->kind == SQL_BOOLEAN && target->kind == DATA_BOOLEAN) {
        value->boolean = !literal->negated;
        return true;
    }
    if (literal->kind == SQL_STRING && target->kind == DATA_STRING) {
        value->text = weir_arena_bytes_copy(arena, literal->text);
        return true;
    }
    if (literal->kind == SQL_STRING && target->kind == DATA_TIMESTAMP)
        return sql_parse_event_time(literal->text, &value->int64);
    if (literal->kind == SQL_INTEGER && weir_parse_i64(literal->text, &integer)) {
        if (target->kind == DATA_BIGINT)
            value->int64 = integer;
        else if (target->kind == DATA_DOUBLE)
            value->float64 = (double)integer;
        else if (target->kind == DATA_INT && integer >= INT32_MIN && integer <= INT32_MAX)
            value->int32 = (int32_t)integer;
        else
            return false;
        return true;
    }
    if ((literal->kind == SQL_DOUBLE || literal->kind == SQL_DECIMAL) && target->kind == DATA_DOUBLE)
        return weir_parse_f64(literal->text, &value->float64);
    return false;
}

/* ---- common types
 * ----------------------------------------------------------------------------------------------------- */

const data_type *sql_common_type(weir_arena *arena, const data_type *a, const data_type *b) {
    return func_common_type(arena, a, b);
}
