/* Errors at places, pseudo columns, suggestions, and the small questions asked of trees. */
#include "sql/analyse/analyse_int.h"

#include <stdio.h>

bool sql_fail_at(sql_analyser *a, uint32_t offset, const char *format, ...) {
    char message[sizeof a->error->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return sql_error_at(a->error, WEIR_INVALID, a->script, offset, "%s", message);
}

bool sql_fail_status(sql_analyser *a, uint32_t offset, weir_status status) {
    return sql_error_at(a->error, status.code, a->script, offset, "%s", status.text);
}

bool sql_spend_node(sql_analyser *a, uint32_t offset) {
    if (++a->nodes <= SQL_NODES_MAX) return true;
    return sql_fail_at(a, offset, "the statement has more than %d parts of expressions", SQL_NODES_MAX);
}

bool sql_is_pseudo(const char *name, func_pseudo *pseudo) {
    static const struct {
        const char *name;
        func_pseudo pseudo;
    } names[] = {{"ROWTIME", FUNC_ROWTIME},
                 {"ROWPARTITION", FUNC_ROWPARTITION},
                 {"ROWOFFSET", FUNC_ROWOFFSET},
                 {"WINDOWSTART", FUNC_WINDOWSTART},
                 {"WINDOWEND", FUNC_WINDOWEND}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i].name) != 0) continue;
        *pseudo = names[i].pseudo;
        return true;
    }
    return false;
}

enum { NAMES_MAX = 4096 };

void sql_suggest_column(sql_analyser *a, const data_schema *schema, const char *wanted) {
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (uint32_t i = 0; schema != NULL && i < schema->count && count < NAMES_MAX; i++)
        names[count++] = schema->columns[i].name;
    sql_error_suggest(a->error, wanted, names, count);
}

bool sql_analyse_find_source(sql_analyser *a, sql_name name, const sql_source **source) {
    const sql_source *found = sql_catalog_source(a->catalog, name.text);
    if (found == NULL) {
        const char *names[NAMES_MAX];
        size_t count = 0;
        const sql_source *other;
        while (count < NAMES_MAX && (other = sql_catalog_source_at(a->catalog, count)) != NULL)
            names[count++] = other->name;
        sql_error_at(a->error, WEIR_NOT_FOUND, a->script, name.offset, "%s does not exist.", name.text);
        sql_error_suggest(a->error, name.text, names, count);
        return false;
    }
    *source = sql_source_copy(a->arena, found);
    return true;
}

/* ---- trees
 * ----------------------------------------------------------------------------------------------------------- */

const sql_expr *sql_strip_qualifiers(sql_analyser *a, const sql_query *query, const sql_expr *expr) {
    if (!sql_spend_node(a, expr->offset)) return NULL;
    sql_expr *copy = weir_arena_new(a->arena, sql_expr);
    *copy = *expr;
    if (expr->kind == SQL_COLUMN && expr->qualifier.text != NULL) {
        const char *name = query->alias.text != NULL ? query->alias.text : query->source.text;
        if (strcmp(expr->qualifier.text, name) != 0 && strcmp(expr->qualifier.text, query->source.text) != 0) {
            sql_fail_at(a, expr->offset, "'%s' is not a valid stream/table name or alias.", expr->qualifier.text);
            sql_error_suggest(a->error, expr->qualifier.text, &name, 1);
            return NULL;
        }
        copy->qualifier = (sql_name){0};
    }
    if (expr->count == 0) return copy;
    const sql_expr **items = weir_arena_array(a->arena, const sql_expr *, expr->count);
    for (uint32_t i = 0; i < expr->count; i++)
        if ((items[i] = sql_strip_qualifiers(a, query, expr->items[i])) == NULL) return NULL;
    copy->items = items;
    return copy;
}

bool sql_contains_aggregate(const sql_expr *expr, const sql_expr **first) {
    if (expr->kind == SQL_CALL && func_aggregate_exists(expr->name.text)) {
        if (first != NULL) *first = expr;
        return true;
    }
    for (uint32_t i = 0; i < expr->count; i++)
        if (sql_contains_aggregate(expr->items[i], first)) return true;
    return false;
}
