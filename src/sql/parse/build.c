/* Constructors of the tree: what the grammar's actions call. Memory comes from the caller's arena; when that is full
 * the parse fails and the constructors hand out `spare`, which nobody reads. */
#include "base/text.h"
#include "sql/parse/parse_int.h"

#include <ctype.h>
#include <strings.h>

static void *build_alloc(sql_parser *p, size_t bytes) {
    void *memory = p->failed ? NULL : weir_arena_try(p->arena, bytes);
    if (memory == NULL) {
        sql_fail(p, WEIR_NO_MEMORY, p->token.offset, "the statement needs more memory than there is");
        memory = &p->spare;
        bytes = sizeof p->spare;
    }
    return memset(memory, 0, bytes);
}

void *sql_grow(sql_parser *p, const void *items, uint32_t count, size_t item_bytes) {
    if (p->failed) return NULL;
    if (count != 0 && (count & (count - 1)) != 0)
        return (void *)(uintptr_t)items; /* room up to the next power of two */
    const size_t capacity = count == 0 ? 1 : (size_t)count * 2;
    void *grown = weir_arena_try(p->arena, capacity * item_bytes);
    if (grown == NULL) {
        sql_fail(p, WEIR_NO_MEMORY, p->token.offset, "the statement needs more memory than there is");
        return NULL;
    }
    if (count != 0) memcpy(grown, items, count * item_bytes);
    return grown;
}

static const char *token_text(const sql_parser *p, sql_token token) {
    return p->text + (token.offset - p->base);
}

/* The text between a token's quotes, doubled ones made single; terminated. */
static weir_bytes build_unquoted(sql_parser *p, sql_token token) {
    const char *text = token_text(p, token);
    const char quote = text[0];
    if (p->failed || token.size < 2) return weir_bytes_text("");
    char *target = weir_arena_try(p->arena, token.size);
    if (target == NULL) {
        sql_fail(p, WEIR_NO_MEMORY, token.offset, "the statement needs more memory than there is");
        return weir_bytes_text("");
    }
    size_t size = 0;
    for (uint32_t i = 1; i + 1 < token.size; i++) {
        target[size++] = text[i];
        if (text[i] == quote) i++;
    }
    target[size] = 0;
    return weir_bytes_of(target, size);
}

weir_bytes sql_build_string(sql_parser *p, sql_token token) {
    const weir_bytes text = build_unquoted(p, token);
    if (!p->failed && !weir_utf8_valid(text)) sql_fail(p, WEIR_INVALID, token.offset, "the string is not valid UTF-8");
    if (!p->failed && memchr(text.data, 0, text.size) != NULL)
        sql_fail(p, WEIR_INVALID, token.offset, "the string holds a zero byte");
    return text;
}

static sql_name build_name(sql_parser *p, sql_token token, bool keep_case) {
    const char *text = token_text(p, token);
    sql_name name = {"", token.offset, token.size};
    if (p->failed) return name;
    if (text[0] == '`' || text[0] == '"' || text[0] == '\'') {
        name.text = (const char *)sql_build_string(p, token).data;
    } else {
        char *copy = build_alloc(p, (size_t)token.size + 1);
        if (p->failed) return name;
        for (uint32_t i = 0; i < token.size; i++) copy[i] = keep_case ? text[i] : (char)toupper((unsigned char)text[i]);
        name.text = copy;
    }
    if (!p->failed && name.text[0] == 0) sql_fail(p, WEIR_INVALID, token.offset, "an empty name");
    if (!p->failed && strlen(name.text) > SQL_NAME_BYTES_MAX)
        sql_fail(p, WEIR_INVALID, token.offset, "a name of %zu bytes, at most %d are allowed", strlen(name.text),
                 SQL_NAME_BYTES_MAX);
    return name;
}

sql_name sql_build_name(sql_parser *p, sql_token token) {
    return build_name(p, token, false);
}

sql_name sql_build_raw_name(sql_parser *p, sql_token token) {
    return build_name(p, token, true);
}

/* ---- expressions --------------------------------------------------------------------------------------------------
 */

sql_expr *sql_build_expr(sql_parser *p, sql_expr_kind kind, uint32_t offset, uint32_t end) {
    sql_expr *expr = build_alloc(p, sizeof *expr);
    expr->kind = kind;
    expr->offset = offset;
    expr->size = end - offset;
    expr->depth = 1;
    sql_place(p, "the expression");
    return expr;
}

sql_expr *sql_build_literal(sql_parser *p, sql_expr_kind kind, sql_token token) {
    sql_expr *expr = sql_build_expr(p, kind, token.offset, sql_token_end(token));
    if (kind == SQL_STRING) {
        expr->text = sql_build_string(p, token);
    } else if (!p->failed) {
        char *copy = build_alloc(p, (size_t)token.size + 1);
        if (!p->failed) memcpy(copy, token_text(p, token), token.size);
        expr->text = weir_bytes_of(copy, token.size);
    }
    return expr;
}

sql_exprs sql_exprs_add(sql_parser *p, sql_exprs list, const sql_expr *expr) {
    const sql_expr **items = sql_grow(p, list.items, list.count, sizeof *items);
    if (items == NULL) return list;
    items[list.count++] = expr;
    list.items = items;
    return list;
}

sql_expr *sql_build_items(sql_parser *p, sql_expr_kind kind, uint32_t offset, uint32_t end, sql_exprs items) {
    sql_expr *expr = sql_build_expr(p, kind, offset, end);
    expr->items = items.items;
    expr->count = items.count;
    for (uint32_t i = 0; i < items.count && !p->failed; i++)
        if (items.items[i]->depth >= expr->depth) expr->depth = (uint16_t)(items.items[i]->depth + 1);
    if (expr->depth > SQL_DEPTH_MAX) {
        expr->depth = 1;
        sql_fail(p, WEIR_INVALID, offset, "expression nested more than %d levels deep", SQL_DEPTH_MAX);
    }
    return expr;
}

sql_expr *sql_build_binary(sql_parser *p, const char *operator, const sql_expr * left, const sql_expr *right) {
    const sql_exprs items = sql_exprs_add(p, sql_exprs_add(p, (sql_exprs){0}, left), right);
    sql_expr *expr = sql_build_items(p, SQL_BINARY, left->offset, right->offset + right->size, items);
    expr->name.text = operator;
    return expr;
}

/* a AND b AND c is one node of three: long conditions do not count as nested. */
sql_expr *sql_build_both(sql_parser *p, sql_expr_kind kind, const sql_expr *left, const sql_expr *right) {
    const uint32_t end = right->offset + right->size;
    sql_exprs items = {0};
    if (left->kind == kind && !left->grouped)
        items = (sql_exprs){.items = left->items, .count = left->count};
    else
        items = sql_exprs_add(p, items, left);
    return sql_build_items(p, kind, left->offset, end, sql_exprs_add(p, items, right));
}

/* A minus before a number belongs to the number, so that -9223372036854775808 can be written. */
sql_expr *sql_build_negate(sql_parser *p, sql_token minus, const sql_expr *operand) {
    const uint32_t end = operand->offset + operand->size;
    const bool is_number = operand->kind == SQL_INTEGER || operand->kind == SQL_DECIMAL || operand->kind == SQL_DOUBLE;
    if (!is_number || operand->text.size == 0 || operand->text.data[0] == '-')
        return sql_build_items(p, SQL_NEGATE, minus.offset, end, sql_exprs_add(p, (sql_exprs){0}, operand));
    sql_expr *expr = sql_build_expr(p, operand->kind, minus.offset, end);
    char *text = p->failed ? NULL : build_alloc(p, operand->text.size + 2);
    if (text == NULL || p->failed) return expr;
    text[0] = '-';
    memcpy(text + 1, operand->text.data, operand->text.size);
    expr->text = weir_bytes_of(text, operand->text.size + 1);
    return expr;
}

sql_expr *sql_build_case(sql_parser *p, uint32_t offset, uint32_t end, const sql_expr *operand, sql_exprs arms,
                         const sql_expr *otherwise) {
    sql_exprs items = {0};
    if (operand != NULL) items = sql_exprs_add(p, items, operand);
    for (uint32_t i = 0; i < arms.count; i++) items = sql_exprs_add(p, items, arms.items[i]);
    if (otherwise != NULL) items = sql_exprs_add(p, items, otherwise);
    sql_expr *expr = sql_build_items(p, SQL_CASE, offset, end, items);
    expr->has_operand = operand != NULL;
    expr->has_else = otherwise != NULL;
    return expr;
}

sql_type *sql_build_type(sql_parser *p, sql_type_kind kind, const sql_type *key, const sql_type *element) {
    sql_type *type = build_alloc(p, sizeof *type);
    type->kind = kind;
    type->key = key;
    type->element = element;
    type->depth = 1;
    if (element != NULL) type->depth = element->depth + 1;
    if (key != NULL && key->depth >= type->depth) type->depth = key->depth + 1;
    if (type->depth > SQL_DEPTH_MAX)
        sql_fail(p, WEIR_INVALID, p->token.offset, "type nested more than %d levels deep", SQL_DEPTH_MAX);
    return type;
}

/* ---- numbers, statements ------------------------------------------------------------------------------------------
 */

int64_t sql_build_i64(sql_parser *p, sql_token token) {
    int64_t value = 0;
    if (!weir_parse_i64(weir_bytes_of(token_text(p, token), token.size), &value))
        sql_fail(p, WEIR_INVALID, token.offset, "Invalid numeric literal: %.*s",
                 (int)(token.size > 64 ? 64 : token.size), token_text(p, token));
    return value;
}

int64_t sql_build_duration(sql_parser *p, sql_token number, sql_token unit) {
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"MILLISECOND", 1}, {"SECOND", 1000}, {"MINUTE", 60000}, {"HOUR", 3600000}, {"DAY", 86400000}};
    const int64_t value = sql_build_i64(p, number);
    const char *text = token_text(p, unit);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        const size_t size = strlen(units[i].name);
        const bool singular = unit.size == size;
        const bool plural = unit.size == size + 1 && toupper((unsigned char)text[size]) == 'S';
        if ((!singular && !plural) || strncasecmp(text, units[i].name, size) != 0) continue;
        int64_t ms;
        if (__builtin_mul_overflow(value, units[i].ms, &ms))
            sql_fail(p, WEIR_INVALID, number.offset, "a duration of %lld %.*s is out of range", (long long)value,
                     (int)unit.size, text);
        sql_place(p, "the duration");
        return p->failed ? 0 : ms;
    }
    sql_fail(p, WEIR_INVALID, unit.offset, "Unknown time unit: '%.*s'", (int)(unit.size > 64 ? 64 : unit.size), text);
    sql_error_hint(p->error, "Use MILLISECONDS, SECONDS, MINUTES, HOURS or DAYS.");
    return 0;
}

void sql_build_query(sql_parser *p, sql_token select) {
    p->query = build_alloc(p, sizeof *p->query);
    p->query->offset = select.offset;
    p->query->window.grace_ms = p->query->window.retention_ms = -1;
    p->query->limit = -1;
}

sql_statement *sql_build_statement(sql_parser *p, sql_statement_kind kind) {
    sql_statement *statement = build_alloc(p, sizeof *statement);
    statement->kind = kind;
    statement->limit = statement->interval = -1;
    return statement;
}
