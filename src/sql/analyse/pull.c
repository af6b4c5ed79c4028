/* Pull queries: which keys and windows to read, what to keep of them, and what to show. The whole WHERE stays as a
 * filter; keys and bounds taken from it only narrow what is read, so that leaving one out costs time and never rows. */
#include "base/text.h"
#include "sql/analyse/analyse_int.h"

#include <stdio.h>

enum { LOOKUPS_MAX = 10000 };

static bool fail_clause(sql_analyser *a, uint32_t offset, const char *clause) {
    sql_fail_at(a, offset, "Pull queries don't support %s clauses.", clause);
    sql_error_hint(a->error, "Add EMIT CHANGES at the end if this was meant to be a push query.");
    return false;
}

static bool check_clauses(sql_analyser *a, const sql_query *q, const sql_source *source) {
    if (q->window.kind != SQL_WINDOW_NONE) return fail_clause(a, q->window.offset, "WINDOW");
    if (q->group_by.count != 0) return fail_clause(a, q->group_by.offset, "GROUP BY");
    if (q->partition_by.count != 0) return fail_clause(a, q->partition_by.offset, "PARTITION BY");
    if (q->having != NULL) return fail_clause(a, q->having->offset, "HAVING");
    if (!source->is_table) {
        sql_error_at(a->error, WEIR_UNSUPPORTED, a->script, q->source.offset,
                     "a pull query on stream %s is not supported by this version of weir", source->name);
        sql_error_hint(a->error, "Add EMIT CHANGES to follow the stream as a push query.");
        return false;
    }
    if (source->materialised) return true;
    sql_fail_at(a, q->source.offset, "The `%s` table isn't queryable.", source->name);
    sql_error_hint(a->error, "Only tables made by CREATE TABLE ... AS SELECT ... GROUP BY are kept in a store; add "
                             "EMIT CHANGES to follow its changes.");
    return false;
}

/* ---- what WHERE says about keys and windows
 * ---------------------------------------------------------------------------- */

typedef struct bounds_state {
    sql_analyser *a;
    const sql_source *source;
    sql_checked_pull *pull;
    func_value *values[64]; /* by key column: the values it may have */
    uint32_t value_counts[64];
} bounds_state;

static bool is_literal(const sql_expr *expr) {
    return expr->kind >= SQL_BOOLEAN && expr->kind <= SQL_STRING;
}

static bool literal_ms(const sql_expr *literal, int64_t *ms) {
    if (literal->kind == SQL_INTEGER) return weir_parse_i64(literal->text, ms);
    return literal->kind == SQL_STRING && sql_parse_event_time(literal->text, ms);
}

/* column operator literal, for a window bound. */
static void take_bound(bounds_state *s, const char *name, const char *operator, const sql_expr * literal) {
    int64_t ms;
    const bool is_start = strcmp(name, "WINDOWSTART") == 0;
    if (s->source->window == SQL_WINDOW_NONE || (!is_start && strcmp(name, "WINDOWEND") != 0) ||
        !literal_ms(literal, &ms))
        return;
    if (!is_start && __builtin_sub_overflow(ms, s->source->window_size_ms, &ms)) return;
    int64_t low = INT64_MIN, high = INT64_MAX;
    if (strcmp(operator, "=") == 0)
        low = high = ms;
    else if (strcmp(operator, ">=") == 0)
        low = ms;
    else if (strcmp(operator, "<=") == 0)
        high = ms;
    else if (strcmp(operator, ">") == 0 && ms < INT64_MAX)
        low = ms + 1;
    else if (strcmp(operator, "<") == 0 && ms > INT64_MIN)
        high = ms - 1;
    if (low > s->pull->window_start_min) s->pull->window_start_min = low;
    if (high < s->pull->window_start_max) s->pull->window_start_max = high;
}

/* key column = one of the literals; the first such condition on a column is used, others only filter. */
static void take_key(bounds_state *s, const char *name, const sql_expr *const *literals, uint32_t count) {
    const data_schema *schema = s->source->schema;
    const int32_t column = data_schema_find(schema, name);
    if (column < 0 || (uint32_t)column >= schema->key_count || column >= 64 || s->values[column] != NULL ||
        count > LOOKUPS_MAX)
        return;
    func_value *values = weir_arena_array(s->a->arena, func_value, count);
    for (uint32_t i = 0; i < count; i++)
        if (!is_literal(literals[i]) ||
            !sql_literal_value(literals[i], schema->columns[column].type, s->a->arena, &values[i]))
            return;
    s->values[column] = values;
    s->value_counts[column] = count;
}

static const char *mirrored(const char *operator) {
    static const char *const pairs[][2] = {{"<", ">"}, {"<=", ">="}, {">", "<"}, {">=", "<="}, {"=", "="}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (strcmp(pairs[i][0], operator) == 0) return pairs[i][1];
    return NULL;
}

static void take_condition(bounds_state *s, const sql_expr *expr) {
    if (expr->kind == SQL_AND) {
        for (uint32_t i = 0; i < expr->count; i++) take_condition(s, expr->items[i]);
    } else if (expr->kind == SQL_BINARY && mirrored(expr->name.text) != NULL) {
        const bool swapped = expr->items[1]->kind == SQL_COLUMN;
        const sql_expr *column = expr->items[swapped ? 1 : 0], *literal = expr->items[swapped ? 0 : 1];
        if (column->kind != SQL_COLUMN || !is_literal(literal)) return;
        const char *operator= swapped ? mirrored(expr->name.text) : expr->name.text;
        take_bound(s, column->name.text, operator, literal);
        if (strcmp(operator, "=") == 0) take_key(s, column->name.text, &literal, 1);
    } else if (expr->kind == SQL_BETWEEN && !expr->negated && expr->items[0]->kind == SQL_COLUMN) {
        take_bound(s, expr->items[0]->name.text, ">=", expr->items[1]);
        take_bound(s, expr->items[0]->name.text, "<=", expr->items[2]);
    } else if (expr->kind == SQL_IN && !expr->negated && expr->items[0]->kind == SQL_COLUMN) {
        take_key(s, expr->items[0]->name.text, expr->items + 1, expr->count - 1);
    }
}

static bool value_equal(const func_value *a, const func_value *b) {
    switch (a->type->kind) {
    case DATA_BOOLEAN: return a->boolean == b->boolean;
    case DATA_INT: return a->int32 == b->int32;
    case DATA_DOUBLE: return a->float64 == b->float64;
    case DATA_STRING: return weir_bytes_equal(a->text, b->text);
    default: return a->int64 == b->int64;
    }
}

/* Every combination of the columns' values, when each column has some and there are not too many; equal ones once. */
static void make_lookups(bounds_state *s) {
    const uint32_t columns = s->source->schema->key_count;
    uint64_t total = columns == 0 ? 0 : 1;
    for (uint32_t c = 0; c < columns && c < 64; c++) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < s->value_counts[c]; i++) {
            bool known = false;
            for (uint32_t k = 0; k < kept && !known; k++) known = value_equal(&s->values[c][k], &s->values[c][i]);
            if (!known) s->values[c][kept++] = s->values[c][i];
        }
        s->value_counts[c] = kept;
        total *= kept;
        if (total == 0 || total > LOOKUPS_MAX) return;
    }
    if (total == 0 || columns > 64) return;
    func_value *keys = weir_arena_array(s->a->arena, func_value, total * columns);
    for (uint64_t i = 0; i < total; i++) {
        uint64_t rest = i;
        for (uint32_t c = columns; c-- > 0;) {
            keys[i * columns + c] = s->values[c][rest % s->value_counts[c]];
            rest /= s->value_counts[c];
        }
    }
    s->pull->keys = keys;
    s->pull->key_count = (uint32_t)total;
}

/* ---- entry
 * -------------------------------------------------------------------------------------------------------------- */

static bool check_where(sql_analyser *a, const sql_query *query, sql_scope *scope, sql_checked_pull *pull) {
    if (query->where == NULL) return true;
    const sql_expr *where = sql_strip_qualifiers(a, query, query->where);
    if (where == NULL) return false;
    scope->clause = "WHERE";
    if ((pull->filter = sql_type_condition(scope, where)) == NULL) return false;
    bounds_state *bounds = weir_arena_new(a->arena, bounds_state);
    bounds->a = a;
    bounds->source = pull->source;
    bounds->pull = pull;
    take_condition(bounds, where);
    make_lookups(bounds);
    return true;
}

/* A pull query's answer names the table's keys as such, and the bounds of its windows, wherever they stand. */
static bool is_key(const data_schema *schema, const func_expr *expr) {
    if (expr->kind == FUNC_PSEUDO) return expr->index == FUNC_WINDOWSTART || expr->index == FUNC_WINDOWEND;
    return expr->kind == FUNC_COLUMN && expr->index < schema->key_count;
}

bool sql_analyse_pull(sql_analyser *a, const sql_query *query, const sql_checked_pull **checked) {
    sql_checked_pull *pull = weir_arena_new(a->arena, sql_checked_pull);
    *pull = (sql_checked_pull){.window_start_min = INT64_MIN, .window_start_max = INT64_MAX, .limit = query->limit};
    sql_output *outputs;
    uint32_t count;
    if (!sql_analyse_find_source(a, query->source, &pull->source) || !check_clauses(a, query, pull->source))
        return false;
    sql_scope scope = {.analyser = a,
                       .schema = pull->source->schema,
                       .windowed = pull->source->window != SQL_WINDOW_NONE,
                       .no_position = true};
    if (!sql_expand_items(a, query, pull->source, true, false, &outputs, &count) ||
        !check_where(a, query, &scope, pull))
        return false;
    scope.clause = "SELECT";
    data_column *columns = weir_arena_array(a->arena, data_column, count);
    const func_expr **select = weir_arena_array(a->arena, const func_expr *, count);
    for (uint32_t i = 0; i < count; i++) {
        if (sql_contains_aggregate(outputs[i].expr, NULL))
            return sql_fail_at(a, outputs[i].offset, "Pull queries don't support aggregate functions: %s",
                               sql_expr_text(a->arena, outputs[i].expr));
        if ((select[i] = sql_type_expr(&scope, outputs[i].expr)) == NULL) return false;
        if (select[i]->type == NULL)
            return sql_fail_at(a, outputs[i].offset,
                               "Can't infer a type of null. Please explicitly cast it to a required type, e.g. "
                               "CAST(null AS VARCHAR).");
        columns[i] = (data_column){outputs[i].name, select[i]->type,
                                   is_key(pull->source->schema, select[i]) ? DATA_ROLE_KEY : DATA_ROLE_VALUE, NULL};
    }
    data_schema *schema = weir_arena_new(a->arena, data_schema);
    *schema = (data_schema){columns, count, 0};
    pull->schema = schema;
    pull->select = select;
    *checked = pull;
    return true;
}
