/* Expressions as SQL text, as EXPLAIN prints them: every operation in parentheses, so that nothing binds by rank. */
#include "func/func_int.h"

static void put_quoted(weir_buffer *target, weir_bytes text) {
    weir_buffer_append_byte(target, '\'');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'') weir_buffer_append_byte(target, '\'');
        weir_buffer_append_byte(target, text.data[i]);
    }
    weir_buffer_append_byte(target, '\'');
}

static void put_literal(const func_value *value, weir_buffer *target) {
    char text[DATA_DECIMAL_TEXT_MAX + 8];
    size_t size = 0;
    if (value->is_null || !value->type) {
        weir_buffer_append_text(target, "NULL");
        return;
    }
    switch (value->type->kind) {
    case DATA_BOOLEAN: weir_buffer_append_text(target, value->boolean ? "TRUE" : "FALSE"); return;
    case DATA_INT: size = weir_format_i64(text, value->int32); break;
    case DATA_BIGINT: size = weir_format_i64(text, value->int64); break;
    case DATA_DOUBLE: size = weir_format_f64(text, value->float64); break;
    case DATA_DECIMAL: size = data_decimal_format(text, value->decimal, value->type->scale); break;
    case DATA_STRING: put_quoted(target, value->text); return;
    case DATA_BYTES: {
        const size_t encoded = data_base64_encoded_bytes(value->text.size);
        weir_buffer_append_byte(target, '\'');
        uint8_t *at = weir_buffer_reserve(target, encoded);
        if (at) data_base64_encode(value->text, (char *)at);
        if (at) target->size += encoded;
        weir_buffer_append_byte(target, '\'');
        return;
    }
    case DATA_DATE: put_quoted(target, weir_bytes_of(text, data_date_format(text, value->int32))); return;
    case DATA_TIME: put_quoted(target, weir_bytes_of(text, data_time_format(text, value->int32))); return;
    case DATA_TIMESTAMP: put_quoted(target, weir_bytes_of(text, data_timestamp_format(text, value->int64))); return;
    default: break;
    }
    weir_buffer_append(target, text, size);
}

static void put_joined(const func_expr *expr, const data_schema *schema, const char *between, weir_buffer *target) {
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        if (i) weir_buffer_append_text(target, between);
        func_expr_print(expr->arguments[i], schema, target);
    }
}

static void put_call(const func_expr *expr, const data_schema *schema, weir_buffer *target) {
    const char *name = expr->overload->name;
    if (func_is_widening(expr->overload)) {
        func_expr_print(expr->arguments[0], schema, target);
        return;
    }
    if (strcmp(name, "CAST") == 0) {
        weir_buffer_append_text(target, "CAST(");
        func_expr_print(expr->arguments[0], schema, target);
        weir_buffer_append_text(target, " AS ");
        data_type_print(expr->type, target);
        weir_buffer_append_byte(target, ')');
        return;
    }
    if (strcmp(name, "[]") == 0) {
        func_expr_print(expr->arguments[0], schema, target);
        weir_buffer_append_byte(target, '[');
        func_expr_print(expr->arguments[1], schema, target);
        weir_buffer_append_byte(target, ']');
        return;
    }
    if (!func_is_operator(expr->overload) || (name[0] >= 'A' && name[0] <= 'Z' && strcmp(name, "LIKE") != 0)) {
        weir_buffer_append_text(target, name);
        weir_buffer_append_byte(target, '(');
        put_joined(expr, schema, ", ", target);
        weir_buffer_append_byte(target, ')');
        return;
    }
    weir_buffer_append_byte(target, '(');
    if (expr->argument_count == 1) weir_buffer_append_text(target, name);
    func_expr_print(expr->arguments[0], schema, target);
    for (uint32_t i = 1; i < expr->argument_count; i++) {
        weir_buffer_format(target, " %s ", i == 1 ? name : "ESCAPE");
        func_expr_print(expr->arguments[i], schema, target);
    }
    weir_buffer_append_byte(target, ')');
}

static void put_case(const func_expr *expr, const data_schema *schema, weir_buffer *target) {
    weir_buffer_append_text(target, "(CASE");
    uint32_t i = 0;
    for (; i + 1 < expr->argument_count; i += 2) {
        weir_buffer_append_text(target, " WHEN ");
        func_expr_print(expr->arguments[i], schema, target);
        weir_buffer_append_text(target, " THEN ");
        func_expr_print(expr->arguments[i + 1], schema, target);
    }
    if (i < expr->argument_count) {
        weir_buffer_append_text(target, " ELSE ");
        func_expr_print(expr->arguments[i], schema, target);
    }
    weir_buffer_append_text(target, " END)");
}

void func_expr_print(const func_expr *expr, const data_schema *schema, weir_buffer *target) {
    static const char *const pseudo[] = {"ROWTIME", "ROWPARTITION", "ROWOFFSET", "WINDOWSTART", "WINDOWEND"};
    switch (expr->kind) {
    case FUNC_LITERAL: put_literal(&expr->value, target); return;
    case FUNC_COLUMN: data_name_print(schema->columns[expr->index].name, target); return;
    case FUNC_PSEUDO: weir_buffer_append_text(target, pseudo[expr->index]); return;
    case FUNC_CALL: put_call(expr, schema, target); return;
    case FUNC_CASE: put_case(expr, schema, target); return;
    case FUNC_AND:
    case FUNC_OR:
        weir_buffer_append_byte(target, '(');
        put_joined(expr, schema, expr->kind == FUNC_AND ? " AND " : " OR ", target);
        weir_buffer_append_byte(target, ')');
        return;
    case FUNC_NOT:
        weir_buffer_append_text(target, "(NOT ");
        func_expr_print(expr->arguments[0], schema, target);
        weir_buffer_append_byte(target, ')');
        return;
    case FUNC_IS_NULL:
        weir_buffer_append_byte(target, '(');
        func_expr_print(expr->arguments[0], schema, target);
        weir_buffer_append_text(target, " IS NULL)");
        return;
    case FUNC_COALESCE:
        weir_buffer_append_text(target, expr->argument_count == 2 ? "IFNULL(" : "COALESCE(");
        put_joined(expr, schema, ", ", target);
        weir_buffer_append_byte(target, ')');
        return;
    case FUNC_FIELD:
        func_expr_print(expr->arguments[0], schema, target);
        weir_buffer_append_text(target, "->");
        data_name_print(expr->arguments[0]->type->fields[expr->index].name, target);
        return;
    }
}
