/* INSERT INTO ... VALUES: constant expressions, one a column, of the columns' types. */
#include "sql/analyse/analyse_int.h"

static bool check_sink(sql_analyser *a, const sql_statement *s, const sql_source *sink) {
    if (sink->read_only)
        return sql_fail_at(a, s->name.offset, "Cannot insert values into read-only %s: %s",
                           sink->is_table ? "table" : "stream", sink->name);
    if (sink->window != SQL_WINDOW_NONE)
        return sql_fail_at(a, s->name.offset, "Cannot insert values into windowed stream/table: `%s`", sink->name);
    return true;
}

/* The sink's column of the i-th value: -1 = ROWTIME; false: no such column. */
static bool column_of(sql_analyser *a, const sql_statement *s, const data_schema *schema, uint32_t i, int32_t *column) {
    if (s->name_count == 0) {
        *column = (int32_t)i;
        return true;
    }
    const sql_name name = s->names[i];
    func_pseudo pseudo;
    *column = data_schema_find(schema, name.text);
    if (*column >= 0 || strcmp(name.text, "ROWTIME") == 0) return true;
    if (sql_is_pseudo(name.text, &pseudo))
        return sql_fail_at(a, name.offset, "Inserting into column `%s` is not allowed.", name.text);
    sql_fail_at(a, name.offset, "Column name `%s` does not exist.", name.text);
    sql_suggest_column(a, schema, name.text);
    return false;
}

static const func_expr *null_of(sql_analyser *a, const data_type *type) {
    func_expr *expr = weir_arena_new(a->arena, func_expr);
    expr->kind = FUNC_LITERAL;
    expr->type = type;
    expr->value = (func_value){.type = type, .is_null = true};
    return expr;
}

static bool check_primary_key(sql_analyser *a, const sql_statement *s, const sql_source *sink,
                              const func_expr *const *values) {
    for (uint32_t i = 0; sink->is_table && i < sink->schema->key_count; i++)
        if (values[i] == NULL || (values[i]->kind == FUNC_LITERAL && values[i]->value.is_null))
            return sql_fail_at(a, s->values.offset, "Value for primary key column(s) %s is required for tables",
                               sink->schema->columns[i].name);
    return true;
}

bool sql_analyse_values(sql_analyser *a, const sql_statement *s, const sql_checked_values **checked) {
    sql_checked_values *result = weir_arena_new(a->arena, sql_checked_values);
    if (sql_catalog_source(a->catalog, s->name.text) == NULL)
        return sql_error_at(a->error, WEIR_NOT_FOUND, a->script, s->name.offset,
                            "Cannot insert values into an unknown stream/table: `%s`", s->name.text);
    if (!sql_analyse_find_source(a, s->name, &result->sink) || !check_sink(a, s, result->sink)) return false;
    const data_schema *schema = result->sink->schema;
    const uint32_t expected = s->name_count != 0 ? s->name_count : schema->count;
    if (s->values.count != expected)
        return sql_fail_at(a, s->name.offset, "Expected a value for each column. Expected are %u values, got %u.",
                           expected, s->values.count);
    const func_expr **values = weir_arena_array(a->arena, const func_expr *, schema->count);
    sql_scope scope = {.analyser = a, .clause = "VALUES"};
    for (uint32_t i = 0; i < s->values.count; i++) {
        int32_t column;
        if (!column_of(a, s, schema, i, &column)) return false;
        const data_type *target = column < 0 ? data_type_of(DATA_BIGINT) : schema->columns[column].type;
        const sql_expr *expr = s->values.items[i];
        if (column < 0 ? result->rowtime != NULL : values[column] != NULL)
            return sql_fail_at(a, s->names[i].offset, "column %s is named twice", s->names[i].text);
        const func_expr *typed = sql_type_expr(&scope, expr);
        if (typed == NULL || (typed = sql_coerce(&scope, expr, typed, target)) == NULL) return false;
        if (column < 0)
            result->rowtime = typed;
        else
            values[column] = typed;
    }
    if (!check_primary_key(a, s, result->sink, values)) return false;
    for (uint32_t i = 0; i < schema->count; i++)
        if (values[i] == NULL) values[i] = null_of(a, schema->columns[i].type);
    result->values = values;
    *checked = result;
    return true;
}
