/* SELECT lists: stars expanded, every column named as ksqlDB names it. */
#include "sql/analyse/analyse_int.h"

enum { OUTPUTS_MAX = 1024 };

typedef struct item_state {
    sql_analyser *a;
    const sql_query *query;
    const sql_source *source;
    sql_output *outputs;
    uint32_t count, capacity;
} item_state;

static bool add(item_state *s, sql_output output) {
    if (s->count == OUTPUTS_MAX)
        return sql_fail_at(s->a, output.offset, "a SELECT list of more than %d columns", OUTPUTS_MAX);
    if (s->count == s->capacity) {
        s->capacity = s->capacity == 0 ? 16 : s->capacity * 2;
        sql_output *grown = weir_arena_array(s->a->arena, sql_output, s->capacity);
        if (s->count != 0) memcpy(grown, s->outputs, s->count * sizeof *grown);
        s->outputs = grown;
    }
    s->outputs[s->count++] = output;
    return true;
}

static bool add_column(item_state *s, const sql_item *item, const char *name) {
    sql_expr *column = weir_arena_new(s->a->arena, sql_expr);
    column->kind = SQL_COLUMN;
    column->offset = item->offset;
    column->size = item->size;
    column->name = (sql_name){name, item->offset, item->size};
    return add(s, (sql_output){column, name, false, item->offset});
}

/* With PARTITION BY: what the rows are keyed by, then the values, then the keys they had. */
static bool add_rekeyed_star(item_state *s, const sql_item *item) {
    const data_schema *schema = s->source->schema;
    for (uint32_t i = 0; i < s->query->partition_by.count; i++) {
        const sql_expr *expr = sql_strip_qualifiers(s->a, s->query, s->query->partition_by.items[i]);
        if (expr == NULL) return false;
        const char *name = expr->kind == SQL_COLUMN ? expr->name.text : NULL;
        if (name != NULL && data_schema_find(schema, name) >= 0) continue; /* comes with the others */
        if (expr->kind != SQL_NULL && !add(s, (sql_output){expr, name, false, item->offset})) return false;
    }
    for (uint32_t i = 0; i < schema->count; i++) {
        const uint32_t at = (i + schema->key_count) % schema->count;
        if (!add_column(s, item, schema->columns[at].name)) return false;
    }
    return true;
}

/* Keys, window bounds where rows carry them and the answer shows them, then the other columns. */
static bool add_star(item_state *s, const sql_item *item, bool with_bounds) {
    if (item->qualifier.text != NULL) {
        const char *name = s->query->alias.text != NULL ? s->query->alias.text : s->query->source.text;
        if (strcmp(item->qualifier.text, name) != 0 && strcmp(item->qualifier.text, s->query->source.text) != 0)
            return sql_fail_at(s->a, item->offset, "'%s' is not a valid stream/table name or alias.",
                               item->qualifier.text);
    }
    const data_schema *schema = s->source->schema;
    if (s->query->partition_by.count != 0) return add_rekeyed_star(s, item);
    for (uint32_t i = 0; i < schema->count; i++) {
        if (i == schema->key_count && with_bounds && s->source->window != SQL_WINDOW_NONE &&
            (!add_column(s, item, "WINDOWSTART") || !add_column(s, item, "WINDOWEND")))
            return false;
        if (!add_column(s, item, schema->columns[i].name)) return false;
    }
    return true;
}

static bool name_taken(const item_state *s, const char *name) {
    for (uint32_t i = 0; i < s->count; i++)
        if (s->outputs[i].name != NULL && strcmp(s->outputs[i].name, name) == 0) return true;
    return data_schema_find(s->source->schema, name) >= 0;
}

/* Names for what has none: a field keeps its name while that is free, the rest are KSQL_COL_0, KSQL_COL_1, ... */
static void name_outputs(item_state *s) {
    unsigned next = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        sql_output *output = &s->outputs[i];
        if (output->name != NULL) continue;
        if (output->expr->kind == SQL_FIELD) {
            const char *field = output->expr->name.text, *name = field;
            for (unsigned n = 1; name_taken(s, name); n++) name = weir_arena_format(s->a->arena, "%s_%u", field, n);
            output->name = name;
            continue;
        }
        const char *name;
        do {
            name = weir_arena_format(s->a->arena, "KSQL_COL_%u", next++);
        } while (name_taken(s, name));
        output->name = name;
    }
}

static bool check_names(item_state *s, bool persistent) {
    func_pseudo pseudo;
    for (uint32_t i = 0; i < s->count; i++) {
        const sql_output *output = &s->outputs[i];
        if (sql_is_pseudo(output->name, &pseudo) && (output->named || persistent)) {
            if (output->named)
                return sql_fail_at(s->a, output->offset,
                                   "`%s` is a reserved column name. You cannot use it as an alias for a column.",
                                   output->name);
            sql_fail_at(s->a, output->offset,
                        "Reserved column name in select: `%s`. Please remove or alias the column.", output->name);
            return false;
        }
    }
    return true;
}

bool sql_expand_items(sql_analyser *a, const sql_query *query, const sql_source *source, bool with_bounds,
                      bool persistent, sql_output **outputs, uint32_t *count) {
    item_state s = {.a = a, .query = query, .source = source};
    for (uint32_t i = 0; i < query->item_count; i++) {
        const sql_item *item = &query->items[i];
        if (item->expr == NULL) {
            if (!add_star(&s, item, with_bounds)) return false;
            continue;
        }
        const sql_expr *expr = sql_strip_qualifiers(a, query, item->expr);
        if (expr == NULL) return false;
        const char *name = item->alias.text != NULL   ? item->alias.text
                           : expr->kind == SQL_COLUMN ? expr->name.text
                                                      : NULL;
        if (!add(&s, (sql_output){expr, name, item->alias.text != NULL, item->offset})) return false;
    }
    name_outputs(&s);
    if (!check_names(&s, persistent)) return false;
    *outputs = s.outputs;
    *count = s.count;
    return true;
}
