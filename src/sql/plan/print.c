/* Plans as EXPLAIN shows them. */
#include "sql/plan/plan_int.h"

static void print_schema(const data_schema *schema, weir_buffer *target) {
    weir_buffer_append_byte(target, '(');
    for (uint32_t i = 0; i < schema->count; i++) {
        if (i != 0) weir_buffer_append_text(target, ", ");
        sql_name_print(schema->columns[i].name, target);
        weir_buffer_append_byte(target, ' ');
        data_type_print(schema->columns[i].type, target);
        if (i < schema->key_count) weir_buffer_append_text(target, " KEY");
    }
    weir_buffer_append_byte(target, ')');
}

static void print_options(const char *word, const weir_setting *options, uint32_t count, weir_buffer *target) {
    for (uint32_t i = 0; i < count; i++)
        weir_buffer_format(target, "%s %s=%s", word, options[i].name, options[i].value);
}

static void print_source(const sql_plan *plan, weir_buffer *target) {
    const sql_source *s = plan->source;
    weir_buffer_format(target, "%s ", s->is_table ? "TABLE" : "STREAM");
    sql_name_print(s->name, target);
    weir_buffer_append_byte(target, ' ');
    print_schema(s->schema, target);
    weir_buffer_format(target, "\n  topic %s, key %s, value %s", s->topic, s->key_format, s->value_format);
    print_options(",", s->key_options, s->key_option_count, target);
    print_options(",", s->value_options, s->value_option_count, target);
    if (s->timestamp_column >= 0) weir_buffer_format(target, ", time %s", s->schema->columns[s->timestamp_column].name);
    if (s->window != SQL_WINDOW_NONE)
        weir_buffer_format(target, ", %s windows of %lld ms", s->window == SQL_WINDOW_TUMBLING ? "TUMBLING" : "HOPPING",
                           (long long)s->window_size_ms);
    weir_buffer_append_byte(target, '\n');
    if (plan->topic.partitions != 0) weir_buffer_format(target, "  partitions %d\n", plan->topic.partitions);
    print_options("  topic config", plan->topic.configs, plan->topic.config_count, target);
    if (plan->topic.config_count != 0) weir_buffer_append_byte(target, '\n');
}

static void print_value(const func_value *value, weir_buffer *target) {
    const func_expr literal = {.kind = FUNC_LITERAL, .type = value->type, .value = *value};
    const data_schema none = {0};
    func_expr_print(&literal, &none, target);
}

static void print_pull(const sql_plan *plan, weir_buffer *target) {
    const sql_checked_pull *pull = plan->pull;
    const uint32_t parts = pull->source->schema->key_count;
    weir_buffer_format(target, "READ %s FROM %s", pull->keys == NULL ? "ALL KEYS" : "KEYS", plan->pull_query);
    for (uint32_t i = 0; i < pull->key_count; i++) {
        weir_buffer_append_text(target, i == 0 ? ": (" : ", (");
        for (uint32_t k = 0; k < parts; k++) {
            if (k != 0) weir_buffer_append_text(target, ", ");
            print_value(&pull->keys[i * parts + k], target);
        }
        weir_buffer_append_byte(target, ')');
    }
    weir_buffer_append_byte(target, '\n');
    if (pull->window_start_min != INT64_MIN)
        weir_buffer_format(target, "  WINDOWSTART >= %lld\n", (long long)pull->window_start_min);
    if (pull->window_start_max != INT64_MAX)
        weir_buffer_format(target, "  WINDOWSTART <= %lld\n", (long long)pull->window_start_max);
    if (pull->filter != NULL) {
        weir_buffer_append_text(target, "  FILTER ");
        func_expr_print(pull->filter, pull->source->schema, target);
        weir_buffer_append_byte(target, '\n');
    }
    for (uint32_t i = 0; i < pull->schema->count; i++) {
        weir_buffer_append_text(target, i == 0 ? "  SHOW " : ", ");
        func_expr_print(pull->select[i], pull->source->schema, target);
        weir_buffer_format(target, " AS %s", pull->schema->columns[i].name);
    }
    weir_buffer_append_byte(target, '\n');
}

static void print_values(const sql_plan *plan, weir_buffer *target) {
    const data_schema *schema = plan->values->sink->schema, none = {0};
    weir_buffer_format(target, "INSERT INTO %s\n", plan->name);
    for (uint32_t i = 0; i < schema->count; i++) {
        weir_buffer_format(target, "  %s = ", schema->columns[i].name);
        func_expr_print(plan->values->values[i], &none, target);
        weir_buffer_append_byte(target, '\n');
    }
    if (plan->values->rowtime == NULL) return;
    weir_buffer_append_text(target, "  ROWTIME = ");
    func_expr_print(plan->values->rowtime, &none, target);
    weir_buffer_append_byte(target, '\n');
}

static void print_push(const sql_plan *plan, weir_buffer *target) {
    weir_buffer_append_text(target, "PUSH ");
    print_schema(plan->schema, target);
    if (plan->limit >= 0) weir_buffer_format(target, " LIMIT %lld", (long long)plan->limit);
    weir_buffer_append_byte(target, '\n');
}

static const char *kind_word(sql_plan_kind kind) {
    static const char *const words[] = {[SQL_PLAN_DROP_SOURCE] = "DROP",
                                        [SQL_PLAN_TERMINATE] = "TERMINATE",
                                        [SQL_PLAN_CREATE_CONNECTOR] = "CREATE CONNECTOR",
                                        [SQL_PLAN_DROP_CONNECTOR] = "DROP CONNECTOR",
                                        [SQL_PLAN_INSERT_SELECT] = "INSERT INTO",
                                        [SQL_PLAN_PRINT] = "PRINT",
                                        [SQL_PLAN_SET] = "SET",
                                        [SQL_PLAN_UNSET] = "UNSET",
                                        [SQL_PLAN_SHOW] = "SHOW",
                                        [SQL_PLAN_DESCRIBE] = "DESCRIBE",
                                        [SQL_PLAN_DESCRIBE_FUNCTION] = "DESCRIBE FUNCTION",
                                        [SQL_PLAN_DESCRIBE_CONNECTOR] = "DESCRIBE CONNECTOR",
                                        [SQL_PLAN_NOTHING] = "NOTHING",
                                        [SQL_PLAN_KIND_COUNT] = NULL};
    return words[kind] == NULL ? "" : words[kind];
}

static void print_other(const sql_plan *plan, weir_buffer *target) {
    weir_buffer_append_text(target, kind_word(plan->kind));
    if (plan->name != NULL) weir_buffer_format(target, " %s", plan->name);
    if (plan->message != NULL) weir_buffer_format(target, ": %s", plan->message);
    if (plan->delete_topic != NULL) weir_buffer_format(target, ", delete topic %s", plan->delete_topic);
    if (plan->setting.name != NULL) weir_buffer_format(target, " %s", plan->setting.name);
    if (plan->setting.value != NULL) weir_buffer_format(target, "=%s", plan->setting.value);
    weir_buffer_append_byte(target, '\n');
    for (uint32_t i = 0; i < plan->end_query_count; i++) weir_buffer_format(target, "  end %s\n", plan->end_queries[i]);
    if (plan->connector == NULL) return;
    for (uint32_t i = 0; i < plan->connector->option_count; i++)
        weir_buffer_format(target, "  %s=%s\n", plan->connector->options[i].name, plan->connector->options[i].value);
}

void sql_plan_print(const sql_plan *plan, weir_buffer *target) {
    switch (plan->kind) {
    case SQL_PLAN_CREATE_SOURCE:
    case SQL_PLAN_CREATE_AS: print_source(plan, target); break;
    case SQL_PLAN_PULL: print_pull(plan, target); break;
    case SQL_PLAN_PUSH: print_push(plan, target); break;
    case SQL_PLAN_INSERT_VALUES: print_values(plan, target); break;
    case SQL_PLAN_EXPLAIN:
        if (plan->explained != NULL)
            sql_plan_print(plan->explained, target);
        else
            weir_buffer_format(target, "EXPLAIN %s\n", plan->name);
        break;
    default: print_other(plan, target); break;
    }
    if (plan->topology == NULL) return;
    weir_buffer_format(target, "query %s, group %s, from %s\n", plan->topology->query_id,
                       plan->topology->group == NULL ? "none" : plan->topology->group,
                       plan->topology->from_earliest ? "earliest" : "latest");
    flow_topology_print(plan->topology, target);
}
