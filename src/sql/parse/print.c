/* Expressions and types as ksqlDB writes them in messages, and the equality that GROUP BY needs. */
#include "sql/parse/parse.h"

#include <ctype.h>
#include <strings.h>

/* What no place of the grammar takes as a name. */
static const char *const reserved[] = {
    "ALL",      "AND",  "AS",    "BETWEEN", "BY",     "CASE",  "CAST",   "CREATE", "DESCRIBE",
    "DISTINCT", "DROP", "ELSE",  "END",     "EXISTS", "FALSE", "FROM",   "FULL",   "GROUP",
    "HAVING",   "IN",   "INNER", "INSERT",  "INTO",   "IS",    "JOIN",   "LEFT",   "LIKE",
    "LIMIT",    "NOT",  "NULL",  "ON",      "OR",     "OUTER", "RIGHT",  "SELECT", "STREAM",
    "TABLE",    "THEN", "TRUE",  "VALUES",  "WHEN",   "WHERE", "WINDOW", "WITH",   "WITHIN"};

bool sql_word_is_reserved(const char *word) {
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcasecmp(word, reserved[i]) == 0) return true;
    return false;
}

void sql_name_print(const char *name, weir_buffer *target) {
    bool plain = name[0] != 0 && !isdigit((unsigned char)name[0]) && !sql_word_is_reserved(name);
    for (const char *at = name; *at != 0 && plain; at++) {
        const unsigned char byte = (unsigned char)*at;
        plain = (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_' || byte == '@';
    }
    if (plain) {
        weir_buffer_append_text(target, name);
        return;
    }
    weir_buffer_append_byte(target, '`');
    for (const char *at = name; *at != 0; at++) {
        if (*at == '`') weir_buffer_append_byte(target, '`');
        weir_buffer_append_byte(target, (uint8_t)*at);
    }
    weir_buffer_append_byte(target, '`');
}

void sql_type_print(const sql_type *type, weir_buffer *target) {
    switch (type->kind) {
    case SQL_TYPE_NAMED:
        weir_buffer_append_text(target, type->name.text);
        if (type->argument_count == 1) weir_buffer_format(target, "(%lld)", (long long)type->arguments[0]);
        if (type->argument_count == 2)
            weir_buffer_format(target, "(%lld, %lld)", (long long)type->arguments[0], (long long)type->arguments[1]);
        return;
    case SQL_TYPE_ARRAY:
        weir_buffer_append_text(target, "ARRAY<");
        sql_type_print(type->element, target);
        break;
    case SQL_TYPE_MAP:
        weir_buffer_append_text(target, "MAP<");
        sql_type_print(type->key, target);
        weir_buffer_append_text(target, ", ");
        sql_type_print(type->element, target);
        break;
    case SQL_TYPE_STRUCT:
        weir_buffer_append_text(target, "STRUCT<");
        for (uint32_t i = 0; i < type->field_count; i++) {
            if (i != 0) weir_buffer_append_text(target, ", ");
            sql_name_print(type->fields[i].name.text, target);
            weir_buffer_append_byte(target, ' ');
            sql_type_print(type->fields[i].type, target);
        }
        break;
    }
    weir_buffer_append_byte(target, '>');
}

static void print_list(const sql_expr *const *items, uint32_t count, const char *between, weir_buffer *target) {
    for (uint32_t i = 0; i < count; i++) {
        if (i != 0) weir_buffer_append_text(target, between);
        sql_expr_print(items[i], target);
    }
}

static void print_string(weir_bytes text, weir_buffer *target) {
    weir_buffer_append_byte(target, '\'');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'') weir_buffer_append_byte(target, '\'');
        weir_buffer_append_byte(target, text.data[i]);
    }
    weir_buffer_append_byte(target, '\'');
}

static void print_case(const sql_expr *expr, weir_buffer *target) {
    uint32_t at = 0;
    const uint32_t end = expr->count - (expr->has_else ? 1 : 0);
    weir_buffer_append_text(target, "(CASE");
    if (expr->has_operand) {
        weir_buffer_append_byte(target, ' ');
        sql_expr_print(expr->items[at++], target);
    }
    for (; at + 1 < end; at += 2) {
        weir_buffer_append_text(target, " WHEN ");
        sql_expr_print(expr->items[at], target);
        weir_buffer_append_text(target, " THEN ");
        sql_expr_print(expr->items[at + 1], target);
    }
    if (expr->has_else) {
        weir_buffer_append_text(target, " ELSE ");
        sql_expr_print(expr->items[end], target);
    }
    weir_buffer_append_text(target, " END)");
}

static void print_infix(const sql_expr *expr, const char *operator, weir_buffer * target) {
    weir_buffer_append_byte(target, '(');
    sql_expr_print(expr->items[0], target);
    weir_buffer_append_text(target, operator);
    sql_expr_print(expr->items[1], target);
}

static void print_constructor(const sql_expr *expr, weir_buffer *target) {
    const bool is_array = expr->kind == SQL_ARRAY, is_struct = expr->kind == SQL_STRUCT;
    weir_buffer_append_text(target, is_array ? "ARRAY[" : is_struct ? "STRUCT(" : "MAP(");
    for (uint32_t i = 0; i < expr->count; i++) {
        const bool is_value = expr->kind == SQL_MAP && i % 2 == 1;
        if (i != 0) weir_buffer_append_text(target, is_value ? ":=" : ", ");
        if (is_struct) {
            sql_name_print(expr->fields[i].text, target);
            weir_buffer_append_text(target, ":=");
        }
        sql_expr_print(expr->items[i], target);
    }
    weir_buffer_append_byte(target, is_array ? ']' : ')');
}

static void print_predicate(const sql_expr *expr, weir_buffer *target) {
    switch (expr->kind) {
    case SQL_IS_NULL:
        weir_buffer_append_byte(target, '(');
        sql_expr_print(expr->items[0], target);
        weir_buffer_append_text(target, expr->negated ? " IS NOT NULL" : " IS NULL");
        break;
    case SQL_DISTINCT:
        print_infix(expr, expr->negated ? " IS NOT DISTINCT FROM " : " IS DISTINCT FROM ", target);
        break;
    case SQL_BETWEEN:
        print_infix(expr, expr->negated ? " NOT BETWEEN " : " BETWEEN ", target);
        weir_buffer_append_text(target, " AND ");
        sql_expr_print(expr->items[2], target);
        break;
    case SQL_LIKE:
        print_infix(expr, expr->negated ? " NOT LIKE " : " LIKE ", target);
        if (expr->text.size != 0) {
            weir_buffer_append_text(target, " ESCAPE ");
            print_string(expr->text, target);
        }
        break;
    default: /* SQL_IN */
        weir_buffer_append_byte(target, '(');
        sql_expr_print(expr->items[0], target);
        weir_buffer_append_text(target, expr->negated ? " NOT IN (" : " IN (");
        print_list(expr->items + 1, expr->count - 1, ", ", target);
        weir_buffer_append_byte(target, ')');
        break;
    }
    weir_buffer_append_byte(target, ')');
}

/* Long because it is one case a kind. */
void sql_expr_print(const sql_expr *expr, weir_buffer *target) {
    switch (expr->kind) {
    case SQL_NULL: weir_buffer_append_text(target, "null"); return;
    case SQL_BOOLEAN: weir_buffer_append_text(target, expr->negated ? "false" : "true"); return;
    case SQL_INTEGER:
    case SQL_DECIMAL:
    case SQL_DOUBLE: weir_buffer_append(target, expr->text.data, expr->text.size); return;
    case SQL_STRING: print_string(expr->text, target); return;
    case SQL_STAR: weir_buffer_append_byte(target, '*'); return;
    case SQL_COLUMN:
        if (expr->qualifier.text != NULL) {
            sql_name_print(expr->qualifier.text, target);
            weir_buffer_append_byte(target, '.');
        }
        sql_name_print(expr->name.text, target);
        return;
    case SQL_CALL:
        weir_buffer_format(target, "%s(", expr->name.text);
        print_list(expr->items, expr->count, ", ", target);
        weir_buffer_append_byte(target, ')');
        return;
    case SQL_BINARY:
        weir_buffer_append_byte(target, '(');
        sql_expr_print(expr->items[0], target);
        weir_buffer_format(target, " %s ", expr->name.text);
        sql_expr_print(expr->items[1], target);
        weir_buffer_append_byte(target, ')');
        return;
    case SQL_NEGATE:
        weir_buffer_append_byte(target, '-');
        sql_expr_print(expr->items[0], target);
        return;
    case SQL_NOT:
        weir_buffer_append_text(target, "(NOT ");
        sql_expr_print(expr->items[0], target);
        weir_buffer_append_byte(target, ')');
        return;
    case SQL_AND:
    case SQL_OR:
        weir_buffer_append_byte(target, '(');
        print_list(expr->items, expr->count, expr->kind == SQL_AND ? " AND " : " OR ", target);
        weir_buffer_append_byte(target, ')');
        return;
    case SQL_IS_NULL:
    case SQL_DISTINCT:
    case SQL_BETWEEN:
    case SQL_IN:
    case SQL_LIKE: print_predicate(expr, target); return;
    case SQL_CASE: print_case(expr, target); return;
    case SQL_CAST:
        weir_buffer_append_text(target, "CAST(");
        sql_expr_print(expr->items[0], target);
        weir_buffer_append_text(target, " AS ");
        sql_type_print(expr->type, target);
        weir_buffer_append_byte(target, ')');
        return;
    case SQL_FIELD:
        sql_expr_print(expr->items[0], target);
        weir_buffer_append_text(target, "->");
        sql_name_print(expr->name.text, target);
        return;
    case SQL_ELEMENT:
        sql_expr_print(expr->items[0], target);
        weir_buffer_append_byte(target, '[');
        sql_expr_print(expr->items[1], target);
        weir_buffer_append_byte(target, ']');
        return;
    case SQL_ARRAY:
    case SQL_MAP:
    case SQL_STRUCT: print_constructor(expr, target); return;
    }
}

static bool name_equal(sql_name a, sql_name b) {
    return (a.text == NULL) == (b.text == NULL) && (a.text == NULL || strcmp(a.text, b.text) == 0);
}

static bool type_equal(const sql_type *a, const sql_type *b) {
    if (a == b) return true;
    if (a == NULL || b == NULL || a->kind != b->kind || !name_equal(a->name, b->name)) return false;
    if (a->argument_count != b->argument_count || a->field_count != b->field_count) return false;
    for (uint32_t i = 0; i < a->argument_count; i++)
        if (a->arguments[i] != b->arguments[i]) return false;
    for (uint32_t i = 0; i < a->field_count; i++)
        if (!name_equal(a->fields[i].name, b->fields[i].name) || !type_equal(a->fields[i].type, b->fields[i].type))
            return false;
    return type_equal(a->key, b->key) && type_equal(a->element, b->element);
}

bool sql_expr_equal(const sql_expr *a, const sql_expr *b) {
    if (a->kind != b->kind || a->negated != b->negated || a->count != b->count || a->has_operand != b->has_operand ||
        a->has_else != b->has_else)
        return false;
    if (!name_equal(a->name, b->name) || !name_equal(a->qualifier, b->qualifier)) return false;
    if (a->kind != SQL_BOOLEAN && a->kind != SQL_NULL && !weir_bytes_equal(a->text, b->text)) return false;
    if (!type_equal(a->type, b->type)) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->kind == SQL_STRUCT && !name_equal(a->fields[i], b->fields[i])) return false;
        if (!sql_expr_equal(a->items[i], b->items[i])) return false;
    }
    return true;
}
