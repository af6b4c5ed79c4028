/* Queries clause by clause: FROM, WHERE, GROUP BY, WINDOW, HAVING, PARTITION BY, SELECT, in the order their rows pass
 * them. */
#include "sql/analyse/analyse_int.h"

#include <stdio.h>

typedef struct query_state {
    sql_analyser *a;
    const sql_query *query;
    sql_query_use use;
    const char *result; /* name of what is built; NULL for push queries */
    sql_checked_query *checked;
    sql_scope rows; /* over the source's rows */
    sql_output *outputs;
    uint32_t output_count;
    const sql_expr *having; /* stripped */
    sql_exprs keys;         /* what identifies a row of the result, stripped */
    const char *key_word;   /* "key column", "grouping expression", ... for messages */
    sql_grouping *grouping;
} query_state;

/* ---- FROM, WHERE
 * ------------------------------------------------------------------------------------------------------ */

static bool check_from(query_state *s) {
    sql_checked_query *c = s->checked;
    if (!sql_analyse_find_source(s->a, s->query->source, &c->source)) return false;
    if (s->use != SQL_USE_PUSH && c->source->is_table && c->source->window != SQL_WINDOW_NONE)
        return sql_fail_at(s->a, s->query->source.offset,
                           "KSQL does not support persistent queries on windowed tables.");
    c->windowed = c->source->window != SQL_WINDOW_NONE;
    c->is_table = c->source->is_table;
    s->rows = (sql_scope){.analyser = s->a, .clause = "SELECT", .schema = c->source->schema, .windowed = c->windowed};
    return true;
}

static bool check_where(query_state *s) {
    if (s->query->where == NULL) return true;
    const sql_expr *where = sql_strip_qualifiers(s->a, s->query, s->query->where);
    if (where == NULL) return false;
    sql_scope scope = s->rows;
    scope.clause = "WHERE";
    return (s->checked->where = sql_type_condition(&scope, where)) != NULL;
}

static bool strip_list(query_state *s, const sql_exprs *list, sql_exprs *stripped) {
    const sql_expr **items = weir_arena_array(s->a->arena, const sql_expr *, list->count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const sql_expr *expr = sql_strip_qualifiers(s->a, s->query, list->items[i]);
        if (expr == NULL) return false;
        bool known = false;
        for (uint32_t k = 0; k < count && !known; k++) known = sql_expr_equal(items[k], expr);
        if (!known) items[count++] = expr;
    }
    *stripped = (sql_exprs){items, count, list->offset};
    return true;
}

/* ---- which clauses go together
 * ----------------------------------------------------------------------------------------- */

static const char *statement_words(const query_state *s) {
    switch (s->use) {
    case SQL_USE_STREAM: return "CREATE STREAM AS SELECT";
    case SQL_USE_TABLE: return "CREATE TABLE AS SELECT";
    case SQL_USE_INSERT: return "INSERT INTO";
    default: return "SELECT";
    }
}

/* COUNT(*) counts records, which ksqlDB spells COUNT(ROWTIME). */
static const char *aggregate_text(weir_arena *arena, const sql_expr *call) {
    const bool star = call->count == 1 && call->items[0]->kind == SQL_STAR;
    return star ? weir_arena_format(arena, "%s(ROWTIME)", call->name.text) : sql_expr_text(arena, call);
}

static bool check_clauses(query_state *s) {
    const sql_query *q = s->query;
    const sql_expr *aggregate = NULL;
    for (uint32_t i = 0; i < s->output_count && aggregate == NULL; i++)
        sql_contains_aggregate(s->outputs[i].expr, &aggregate);
    if (aggregate == NULL && s->having != NULL) sql_contains_aggregate(s->having, &aggregate);
    if (q->group_by.count == 0) {
        if (aggregate != NULL) {
            sql_fail_at(s->a, aggregate->offset,
                        "%s statement does not support aggregate function [%s] without a GROUP BY clause.",
                        statement_words(s), aggregate_text(s->a->arena, aggregate));
            return false;
        }
        if (q->window.kind != SQL_WINDOW_NONE)
            return sql_fail_at(s->a, q->window.offset, "WINDOW clause requires a GROUP BY clause.");
        if (s->having != NULL) return sql_fail_at(s->a, s->having->offset, "HAVING requires a GROUP BY clause.");
    } else {
        if (aggregate == NULL)
            return sql_fail_at(s->a, q->group_by.offset,
                               "GROUP BY requires aggregate functions in either the SELECT or HAVING clause.");
        if (q->partition_by.count != 0)
            return sql_fail_at(s->a, q->partition_by.offset, "PARTITION BY and GROUP BY cannot be used in one query.");
        if (s->checked->source->is_table)
            return sql_error_at(s->a->error, WEIR_UNSUPPORTED, s->a->script, q->group_by.offset,
                                "GROUP BY over a table is not supported by this version of weir");
    }
    if (q->partition_by.count != 0 && s->checked->source->is_table)
        return sql_fail_at(s->a, q->partition_by.offset,
                           "PARTITION BY clause is only supported for streams, %s is a table.", q->source.text);
    if (q->limit >= 0 && s->use != SQL_USE_PUSH)
        return sql_fail_at(s->a, q->offset, "%s does not support the LIMIT clause.", statement_words(s));
    return true;
}

static bool check_result_sort(query_state *s) {
    const bool table = s->checked->is_table;
    if (table && s->use == SQL_USE_STREAM)
        return sql_fail_at(s->a, s->query->offset,
                           "Invalid result type. Your SELECT query produces a TABLE. Please use CREATE TABLE AS SELECT "
                           "statement instead.");
    if (!table && s->use == SQL_USE_TABLE)
        return sql_fail_at(s->a, s->query->offset,
                           "Invalid result type. Your SELECT query produces a STREAM. Please use CREATE STREAM AS "
                           "SELECT statement instead.");
    if (table && s->use == SQL_USE_INSERT)
        return sql_fail_at(
            s->a, s->query->offset,
            "INSERT INTO can only be used to insert a stream into a stream. The SELECT query produces a TABLE.");
    return true;
}

/* ---- WINDOW
 * ------------------------------------------------------------------------------------------------------------ */

enum { DAY_MS = 86400000 };

static bool check_window(query_state *s) {
    const sql_window *w = &s->query->window;
    sql_checked_window *target = &s->checked->window;
    if (w->kind == SQL_WINDOW_NONE) return true;
    if (w->size_ms <= 0) return sql_fail_at(s->a, w->offset, "The window size must be greater than 0.");
    if (w->advance_ms <= 0 || w->advance_ms > w->size_ms)
        return sql_fail_at(s->a, w->offset, "The window advance must be greater than 0 and at most the window size.");
    const int64_t grace = w->grace_ms >= 0 ? w->grace_ms : w->size_ms < DAY_MS ? DAY_MS - w->size_ms : 0;
    int64_t needed;
    if (__builtin_add_overflow(w->size_ms, grace, &needed))
        return sql_fail_at(s->a, w->offset, "The window size plus GRACE PERIOD is out of range.");
    if (w->retention_ms >= 0 && w->retention_ms < needed)
        return sql_fail_at(s->a, w->offset,
                           "RETENTION must be at least the window size plus GRACE PERIOD: %lld ms, needed are %lld ms.",
                           (long long)w->retention_ms, (long long)needed);
    *target = (sql_checked_window){w->kind, w->size_ms, w->advance_ms, grace,
                                   w->retention_ms >= 0 ? w->retention_ms : needed};
    return true;
}

/* ---- GROUP BY
 * ----------------------------------------------------------------------------------------------------------- */

static const char *key_name(query_state *s, uint32_t index) {
    const sql_expr *key = s->keys.items[index];
    if (key->kind == SQL_COLUMN) return key->name.text;
    for (uint32_t i = 0; i < s->output_count; i++)
        if (sql_expr_equal(s->outputs[i].expr, key)) return s->outputs[i].name;
    return weir_arena_format(s->a->arena, "KSQL_INTERNAL_KEY_%u", index);
}

static bool group_is_source_key(const query_state *s) {
    const data_schema *schema = s->checked->source->schema;
    if (s->keys.count != schema->key_count || s->checked->source->window != SQL_WINDOW_NONE) return false;
    for (uint32_t i = 0; i < s->keys.count; i++)
        if (s->keys.items[i]->kind != SQL_COLUMN || strcmp(s->keys.items[i]->name.text, schema->columns[i].name) != 0)
            return false;
    return true;
}

/* Types the grouping expressions; the arguments of aggregates come when SELECT and HAVING are typed. */
static bool begin_grouping(query_state *s, const func_expr **typed_keys) {
    sql_grouping *g = weir_arena_new(s->a->arena, sql_grouping);
    sql_scope scope = s->rows;
    scope.clause = "GROUP BY";
    if (s->keys.count > SQL_GROUP_KEYS_MAX)
        return sql_fail_at(s->a, s->query->group_by.offset, "GROUP BY with more than %d expressions",
                           SQL_GROUP_KEYS_MAX);
    for (uint32_t i = 0; i < s->keys.count; i++) {
        if ((typed_keys[i] = sql_type_expr(&scope, s->keys.items[i])) == NULL) return false;
        if (typed_keys[i]->type == NULL)
            return sql_fail_at(s->a, s->keys.items[i]->offset, "GROUP BY NULL has no type; cast it");
        g->key_types[i] = typed_keys[i]->type;
    }
    g->keys = s->keys;
    g->row_scope = &s->rows;
    g->windowed = s->query->window.kind != SQL_WINDOW_NONE;
    s->grouping = g;
    return true;
}

/* The schemas before and after the aggregate, once all aggregates are known. */
static void finish_grouping(query_state *s, const func_expr *const *typed_keys) {
    weir_arena *arena = s->a->arena;
    const sql_grouping *g = s->grouping;
    sql_checked_query *c = s->checked;
    const uint32_t keys = s->keys.count;
    data_schema *prepared = weir_arena_new(arena, data_schema), *aggregated = weir_arena_new(arena, data_schema);
    data_column *before = weir_arena_array(arena, data_column, keys + g->argument_count);
    data_column *after = weir_arena_array(arena, data_column, keys + g->call_count);
    const func_expr **prepare = weir_arena_array(arena, const func_expr *, keys + g->argument_count);
    for (uint32_t i = 0; i < keys; i++) {
        before[i] = after[i] = (data_column){key_name(s, i), g->key_types[i], DATA_ROLE_KEY, NULL};
        prepare[i] = typed_keys[i];
    }
    for (uint32_t i = 0; i < g->argument_count; i++) {
        before[keys + i] = (data_column){weir_arena_format(arena, "KSQL_INTERNAL_COL_%u", i),
                                         g->argument_exprs[i]->type, DATA_ROLE_VALUE, NULL};
        prepare[keys + i] = g->argument_exprs[i];
    }
    for (uint32_t i = 0; i < g->call_count; i++)
        after[keys + i] = (data_column){weir_arena_format(arena, "KSQL_AGG_VARIABLE_%u", i), g->result_types[i],
                                        DATA_ROLE_VALUE, NULL};
    *prepared = (data_schema){before, keys + g->argument_count, keys};
    *aggregated = (data_schema){after, keys + g->call_count, keys};
    sql_aggregation *aggregations = weir_arena_array(arena, sql_aggregation, g->call_count);
    memcpy(aggregations, g->aggregations, g->call_count * sizeof aggregations[0]);
    c->is_aggregate = c->is_table = true;
    c->prepared = prepared;
    c->prepare = prepare;
    c->aggregated = aggregated;
    c->aggregations = aggregations;
    c->aggregation_count = g->call_count;
    c->group_unchanged = group_is_source_key(s);
    c->windowed = s->query->window.kind != SQL_WINDOW_NONE;
}

/* ---- PARTITION BY
 * ------------------------------------------------------------------------------------------------------- */

static bool check_partition(query_state *s) {
    sql_exprs list;
    if (!strip_list(s, &s->query->partition_by, &list)) return false;
    sql_scope scope = s->rows;
    scope.clause = "PARTITION BY";
    uint32_t nulls = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        if (list.items[i]->kind == SQL_NULL)
            nulls++;
        else if (sql_type_expr(&scope, list.items[i]) == NULL)
            return false;
    }
    if (nulls != 0 && list.count > 1)
        return sql_fail_at(s->a, s->query->partition_by.offset, "Cannot PARTITION BY multiple columns including NULL");
    if (s->checked->source->window != SQL_WINDOW_NONE)
        return sql_error_at(s->a->error, WEIR_UNSUPPORTED, s->a->script, s->query->partition_by.offset,
                            "PARTITION BY over a windowed stream is not supported by this version of weir");
    s->keys = nulls != 0 ? (sql_exprs){0} : list;
    s->key_word = "partitioning expression";
    s->checked->rekeyed = true;
    return true;
}

static void keys_of_source(query_state *s) {
    const data_schema *schema = s->checked->source->schema;
    const sql_expr **items = weir_arena_array(s->a->arena, const sql_expr *, schema->key_count);
    for (uint32_t i = 0; i < schema->key_count; i++) {
        sql_expr *column = weir_arena_new(s->a->arena, sql_expr);
        column->kind = SQL_COLUMN;
        column->name.text = schema->columns[i].name;
        column->offset = s->query->offset;
        items[i] = column;
    }
    s->keys = (sql_exprs){items, schema->key_count, s->query->offset};
    s->key_word = "key column";
}

/* ---- SELECT
 * -------------------------------------------------------------------------------------------------------------- */

static bool fail_missing_key(query_state *s) {
    weir_buffer all, list;
    uint32_t missing = 0;
    weir_buffer_init(&all, s->a->arena->account, 4096);
    weir_buffer_init(&list, s->a->arena->account, 4096);
    for (uint32_t i = 0; i < s->keys.count; i++) {
        bool selected = false;
        for (uint32_t k = 0; k < s->output_count; k++)
            selected = selected || sql_expr_equal(s->outputs[k].expr, s->keys.items[i]);
        if (selected && strcmp(s->key_word, "key column") != 0) continue; /* key columns are all named */
        const char *text = sql_expr_text(s->a->arena, s->keys.items[i]);
        weir_buffer_format(&all, "%s%s", missing == 0 ? "" : i + 1 == s->keys.count ? " and " : ", ", text);
        weir_buffer_format(&list, "%s%s", missing == 0 ? "" : ", ", text);
        missing++;
    }
    sql_fail_at(s->a, s->query->offset,
                "Key missing from projection (ie, SELECT). See https://cnfl.io/2LV7ouS.\nThe query used to build `%s` "
                "must include the %s%s %s in its "
                "projection (eg, SELECT %s...).",
                s->result, s->key_word, missing > 1 ? "s" : "", weir_buffer_text(&all), weir_buffer_text(&list));
    weir_buffer_deinit(&all);
    weir_buffer_deinit(&list);
    return false;
}

static const char *repeated_text(query_state *s, uint32_t key, const char *first, const char *second) {
    weir_arena *arena = s->a->arena;
    if (strcmp(s->key_word, "key column") != 0)
        return weir_arena_format(arena, "The projection contains a key column more than once: `%s` and `%s`.", first,
                                 second);
    return weir_arena_format(arena,
                             "The projection contains a key column (`%s`) more than once, aliased as: %s and %s.",
                             sql_expr_text(arena, s->keys.items[key]), first, second);
}

static bool fail_repeated_key(query_state *s, uint32_t key, uint32_t first, uint32_t second) {
    sql_fail_at(s->a, s->outputs[second].offset,
                "%s", repeated_text(s, key, s->outputs[first].name, s->outputs[second].name));
    sql_error_hint(
        s->a->error,
        "Each key column must only be in the projection once. To copy the key into the value, use AS_VALUE.");
    return false;
}

/* order[i] = the output that is column i of the result: keys first, as a persistent query writes them. */
static bool order_outputs(query_state *s, uint32_t *order, uint32_t *key_count) {
    uint32_t at = 0;
    bool *is_key = weir_arena_array(s->a->arena, bool, s->output_count);
    for (uint32_t k = 0; k < s->keys.count; k++) {
        int64_t found = -1;
        for (uint32_t i = 0; i < s->output_count; i++) {
            if (!sql_expr_equal(s->outputs[i].expr, s->keys.items[k])) continue;
            if (found >= 0) return fail_repeated_key(s, k, (uint32_t)found, i);
            found = i;
            is_key[i] = true;
        }
        if (found < 0) return fail_missing_key(s);
        order[at++] = (uint32_t)found;
    }
    *key_count = at;
    for (uint32_t i = 0; i < s->output_count; i++)
        if (!is_key[i]) order[at++] = i;
    if (at == *key_count) return sql_fail_at(s->a, s->query->offset, "The projection contains no value columns.");
    return true;
}

static bool check_duplicates(query_state *s, const data_schema *schema, const uint32_t *order) {
    for (uint32_t i = 0; i < schema->count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(schema->columns[i].name, schema->columns[k].name) == 0) {
                sql_fail_at(s->a, s->outputs[order[i]].offset, "Duplicate %s columns found in schema: `%s` %s",
                            i < schema->key_count ? "key" : "value", schema->columns[i].name,
                            sql_type_text(s->a->arena, schema->columns[i].type));
                sql_error_hint(s->a->error, "Give one of them another name with AS.");
                return false;
            }
    return true;
}

/* Typed in the order written, so that the first mistake is the one that is told. */
static const func_expr **type_outputs(query_state *s, sql_scope *scope) {
    const func_expr **typed = weir_arena_array(s->a->arena, const func_expr *, s->output_count);
    for (uint32_t i = 0; i < s->output_count; i++) {
        if (s->grouping != NULL) s->grouping->item = s->outputs[i].expr;
        if ((typed[i] = sql_type_expr(scope, s->outputs[i].expr)) == NULL) return NULL;
        if (typed[i]->type != NULL) continue;
        sql_fail_at(
            s->a, s->outputs[i].offset,
            "Can't infer a type of null. Please explicitly cast it to a required type, e.g. CAST(null AS VARCHAR).");
        return NULL;
    }
    return typed;
}

static void set_result(query_state *s, const data_column *columns, uint32_t count, uint32_t key_count,
                       const func_expr *const *select, const uint32_t *shown) {
    data_schema *schema = weir_arena_new(s->a->arena, data_schema);
    *schema = (data_schema){columns, count, key_count};
    s->checked->schema = schema;
    s->checked->select = select;
    s->checked->shown = shown;
    s->checked->shown_count = s->output_count;
}

static bool select_persistent(query_state *s, const func_expr *const *typed) {
    weir_arena *arena = s->a->arena;
    const uint32_t count = s->output_count;
    uint32_t *order = weir_arena_array(arena, uint32_t, count), *shown = weir_arena_array(arena, uint32_t, count),
             key_count;
    const func_expr **select = weir_arena_array(arena, const func_expr *, count);
    data_column *columns = weir_arena_array(arena, data_column, count);
    if (!order_outputs(s, order, &key_count)) return false;
    for (uint32_t i = 0; i < count; i++) {
        select[i] = typed[order[i]];
        shown[i] = i;
        columns[i] = (data_column){s->outputs[order[i]].name, select[i]->type,
                                   i < key_count ? DATA_ROLE_KEY : DATA_ROLE_VALUE, NULL};
    }
    set_result(s, columns, count, key_count, select, shown);
    return check_duplicates(s, s->checked->schema, order);
}

/* The keys of a table's rows stay in front, for its changes are by key; then what is selected and is not one of them.
 */
static void select_push(query_state *s, const func_expr *const *typed) {
    weir_arena *arena = s->a->arena;
    const bool grouped = s->grouping != NULL;
    const data_schema *source = s->checked->source->schema;
    const uint32_t keys = grouped ? s->keys.count : s->checked->source->is_table ? source->key_count : 0;
    const uint32_t most = keys + s->output_count;
    data_column *columns = weir_arena_array(arena, data_column, most);
    const func_expr **select = weir_arena_array(arena, const func_expr *, most);
    uint32_t *shown = weir_arena_array(arena, uint32_t, s->output_count), count = keys;
    for (uint32_t k = 0; k < keys; k++) {
        func_expr *key = weir_arena_new(arena, func_expr);
        *key = (func_expr){
            .kind = FUNC_COLUMN, .index = k, .type = grouped ? s->grouping->key_types[k] : source->columns[k].type};
        select[k] = key;
        columns[k] = (data_column){grouped ? key_name(s, k) : source->columns[k].name, key->type, DATA_ROLE_KEY, NULL};
    }
    for (uint32_t i = 0; i < s->output_count; i++) {
        const bool is_key = typed[i]->kind == FUNC_COLUMN && typed[i]->index < keys &&
                            strcmp(columns[typed[i]->index].name, s->outputs[i].name) == 0;
        shown[i] = is_key ? typed[i]->index : count;
        if (is_key) continue;
        select[count] = typed[i];
        columns[count++] = (data_column){s->outputs[i].name, typed[i]->type, DATA_ROLE_VALUE, NULL};
    }
    set_result(s, columns, count, keys, select, shown);
}

static bool type_select(query_state *s, sql_scope *scope) {
    const func_expr **typed = type_outputs(s, scope);
    if (typed == NULL) return false;
    if (s->use != SQL_USE_PUSH) return select_persistent(s, typed);
    select_push(s, typed);
    return true;
}

/* Whether the rows of the last stage are the result as they are. */
static bool is_identity(const sql_checked_query *c) {
    const data_schema *from = c->is_aggregate ? c->aggregated : c->source->schema;
    if (from->count != c->schema->count || from->key_count != c->schema->key_count) return false;
    for (uint32_t i = 0; i < from->count; i++)
        if (c->select[i]->kind != FUNC_COLUMN || c->select[i]->index != i ||
            strcmp(from->columns[i].name, c->schema->columns[i].name) != 0)
            return false;
    return true;
}

/* The first column of the source in `expr` that is neither grouped nor inside an aggregate; NULL when there is none. */
static const sql_expr *find_ungrouped(const query_state *s, const sql_expr *expr) {
    for (uint32_t i = 0; i < s->keys.count; i++)
        if (sql_expr_equal(expr, s->keys.items[i])) return NULL;
    if (expr->kind == SQL_CALL && func_aggregate_exists(expr->name.text)) return NULL;
    if (expr->kind == SQL_COLUMN && data_schema_find(s->checked->source->schema, expr->name.text) >= 0) return expr;
    const sql_expr *found = NULL;
    for (uint32_t i = 0; i < expr->count && found == NULL; i++) found = find_ungrouped(s, expr->items[i]);
    return found;
}

/* Tells all of them at once; what is wrong otherwise is left to the typing. */
static bool check_ungrouped(query_state *s) {
    weir_buffer list;
    const sql_expr *first = NULL;
    weir_buffer_init(&list, s->a->arena->account, 64u << 10);
    for (uint32_t i = 0; i < s->output_count; i++) {
        const sql_expr *item = s->outputs[i].expr, *column = find_ungrouped(s, item);
        if (column == NULL) continue;
        const char *text = sql_expr_text(s->a->arena, sql_contains_aggregate(item, NULL) ? column : item);
        weir_buffer_format(&list, "%s%s", first == NULL ? "" : ", ", text);
        if (first == NULL) first = column;
    }
    if (first != NULL)
        sql_fail_at(s->a, first->offset,
                    "Non-aggregate SELECT expression(s) not part of GROUP BY: %s\n"
                    "Either add the column(s) to the GROUP BY or remove them from the SELECT.",
                    weir_buffer_text(&list));
    weir_buffer_deinit(&list);
    return first == NULL;
}

static bool check_aggregate(query_state *s) {
    const func_expr **typed_keys = weir_arena_array(s->a->arena, const func_expr *, s->keys.count);
    if (!begin_grouping(s, typed_keys)) return false;
    sql_scope scope = s->rows;
    scope.grouping = s->grouping;
    if (!check_ungrouped(s) || !type_select(s, &scope)) return false;
    if (s->having != NULL) {
        scope.clause = "HAVING";
        s->grouping->item = NULL;
        if ((s->checked->having = sql_type_condition(&scope, s->having)) == NULL) return false;
    }
    finish_grouping(s, typed_keys);
    return check_window(s);
}

bool sql_analyse_query(sql_analyser *a, const sql_query *query, sql_query_use use, const char *result,
                       const sql_checked_query **checked) {
    query_state s = {.a = a, .query = query, .use = use, .result = result, .key_word = "key column"};
    s.checked = weir_arena_new(a->arena, sql_checked_query);
    s.checked->limit = query->limit;
    if (!check_from(&s)) return false;
    if (!sql_expand_items(a, query, s.checked->source, use == SQL_USE_PUSH && query->group_by.count == 0,
                          use != SQL_USE_PUSH, &s.outputs, &s.output_count))
        return false;
    if (query->having != NULL && (s.having = sql_strip_qualifiers(a, query, query->having)) == NULL) return false;
    if (!check_clauses(&s) || !check_where(&s)) return false;
    if (query->group_by.count != 0) {
        s.key_word = "grouping expression";
        if (!strip_list(&s, &query->group_by, &s.keys) || !check_aggregate(&s)) return false;
    } else {
        if (query->partition_by.count == 0)
            keys_of_source(&s);
        else if (!check_partition(&s))
            return false;
        if (!type_select(&s, &s.rows)) return false;
    }
    if (!check_result_sort(&s)) return false;
    s.checked->select_is_identity = is_identity(s.checked);
    *checked = s.checked;
    return true;
}

/* ---- INSERT INTO ... SELECT
 * ---------------------------------------------------------------------------------------------- */

static void print_schema(const data_schema *schema, weir_buffer *target) {
    for (uint32_t i = 0; i < schema->count; i++) {
        weir_buffer_format(target, "%s`%s` ", i == 0 ? "" : ", ", schema->columns[i].name);
        data_type_print(schema->columns[i].type, target);
        if (i < schema->key_count) weir_buffer_append_text(target, " KEY");
    }
}

bool sql_analyse_insert(sql_analyser *a, const sql_statement *s, const sql_checked_query *query,
                        const sql_source *sink) {
    if (sink->is_table)
        return sql_fail_at(a, s->name.offset, "INSERT INTO can only be used to insert into a stream. %s is a table.",
                           sink->name);
    if (sink->read_only) return sql_fail_at(a, s->name.offset, "Cannot insert into read-only stream: %s", sink->name);
    if (query->windowed || sink->window != SQL_WINDOW_NONE)
        return sql_error_at(a->error, WEIR_UNSUPPORTED, a->script, s->name.offset,
                            "INSERT INTO with a windowed stream is not supported by this version of weir");
    bool same = query->schema->count == sink->schema->count && query->schema->key_count == sink->schema->key_count;
    for (uint32_t i = 0; same && i < sink->schema->count; i++)
        same = strcmp(query->schema->columns[i].name, sink->schema->columns[i].name) == 0 &&
               data_type_equal(query->schema->columns[i].type, sink->schema->columns[i].type);
    if (same) return true;
    weir_buffer text;
    weir_buffer_init(&text, a->arena->account, 64u << 10);
    weir_buffer_append_text(&text, "Incompatible schema between results and sink.\nResult schema is ");
    print_schema(query->schema, &text);
    weir_buffer_append_text(&text, "\nSink schema is ");
    print_schema(sink->schema, &text);
    sql_fail_at(a, s->query->offset, "%s", weir_buffer_text(&text));
    weir_buffer_deinit(&text);
    return false;
}
