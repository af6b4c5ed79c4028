/* Plans to JSON, member by member in a fixed order, so that equal plans are equal bytes. What each object holds is read
 * back by the function of the same name in json_read.c. */
#include "base/text.h"
#include "sql/plan/plan_int.h"

#include <jansson.h>
#include <stdio.h>

static json_t *text(const char *value) {
    return value == NULL ? json_null() : json_string(value);
}

/* Texts of printing functions. */
static json_t *printed_type(const data_type *type, weir_buffer *scratch) {
    weir_buffer_clear(scratch);
    data_type_print(type, scratch);
    return json_string(weir_buffer_text(scratch));
}

static json_t *settings(const weir_setting *items, uint32_t count) {
    json_t *array = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(array, json_pack("[s, s]", items[i].name, items[i].value));
    return array;
}

static json_t *schema(const data_schema *value, weir_buffer *scratch) {
    json_t *columns = json_array();
    for (uint32_t i = 0; i < value->count; i++)
        json_array_append_new(
            columns, json_pack("[s, o]", value->columns[i].name, printed_type(value->columns[i].type, scratch)));
    return json_pack("{s:i, s:o}", "keys", (int)value->key_count, "columns", columns);
}

/* ---- expressions
 * ------------------------------------------------------------------------------------------------------ */

static json_t *hex(weir_bytes bytes) {
    static const char digits[] = "0123456789abcdef";
    json_t *array = json_array();
    char part[129]; /* long values as an array of parts keep the buffer small */
    size_t at = 0;
    while (at < bytes.size) {
        size_t size = 0;
        for (; at < bytes.size && size + 2 < sizeof part; at++) {
            part[size++] = digits[bytes.data[at] >> 4];
            part[size++] = digits[bytes.data[at] & 15];
        }
        json_array_append_new(array, json_stringn(part, size));
    }
    return array;
}

static json_t *decimal(data_decimal value) {
    char digits[48];
    size_t at = sizeof digits;
    const bool negative = value < 0;
    do {
        const int digit = (int)(value % 10);
        digits[--at] = (char)('0' + (digit < 0 ? -digit : digit));
        value /= 10;
    } while (value != 0);
    if (negative) digits[--at] = '-';
    return json_stringn(digits + at, sizeof digits - at);
}

static json_t *literal(const func_value *value) {
    char number[WEIR_F64_TEXT_MAX];
    if (value->is_null) return json_null();
    switch (value->type->kind) {
    case DATA_BOOLEAN: return json_boolean(value->boolean);
    case DATA_INT:
    case DATA_DATE:
    case DATA_TIME: return json_integer(value->int32);
    case DATA_BIGINT:
    case DATA_TIMESTAMP: return json_integer(value->int64);
    case DATA_DOUBLE: return json_stringn(number, weir_format_f64(number, value->float64));
    case DATA_DECIMAL: return decimal(value->decimal);
    case DATA_STRING: return json_stringn((const char *)value->text.data, value->text.size);
    case DATA_BYTES: return hex(value->text);
    default: return NULL; /* there are no literals of nested types */
    }
}

static const char *const expr_kinds[] = {
    [FUNC_LITERAL] = "literal", [FUNC_COLUMN] = "column",     [FUNC_PSEUDO] = "pseudo", [FUNC_CALL] = "call",
    [FUNC_CASE] = "case",       [FUNC_AND] = "and",           [FUNC_OR] = "or",         [FUNC_NOT] = "not",
    [FUNC_IS_NULL] = "is_null", [FUNC_COALESCE] = "coalesce", [FUNC_FIELD] = "field"};

static json_t *expression(const func_expr *expr, weir_buffer *scratch) {
    if (expr == NULL) return json_null();
    json_t *object = json_pack("{s:s, s:o}", "kind", expr_kinds[expr->kind], "type", printed_type(expr->type, scratch));
    if (expr->kind == FUNC_LITERAL) json_object_set_new(object, "value", literal(&expr->value));
    if (expr->kind == FUNC_COLUMN || expr->kind == FUNC_PSEUDO || expr->kind == FUNC_FIELD)
        json_object_set_new(object, "index", json_integer(expr->index));
    if (expr->kind == FUNC_CALL) {
        weir_buffer_clear(scratch);
        func_overload_print(expr->overload, scratch);
        json_object_set_new(object, "function", json_string(weir_buffer_text(scratch)));
    }
    if (expr->argument_count != 0) {
        json_t *arguments = json_array();
        for (uint32_t i = 0; i < expr->argument_count; i++)
            json_array_append_new(arguments, expression(expr->arguments[i], scratch));
        json_object_set_new(object, "arguments", arguments);
    }
    return object;
}

/* ---- topologies
 * --------------------------------------------------------------------------------------------------------- */

static json_t *window(const flow_window *value) {
    if (value->kind == FLOW_WINDOW_NONE) return json_null();
    return json_pack("{s:s, s:I, s:I, s:I, s:I}", "kind", value->kind == FLOW_WINDOW_TUMBLING ? "tumbling" : "hopping",
                     "size_ms", (json_int_t)value->size_ms, "advance_ms", (json_int_t)value->advance_ms, "grace_ms",
                     (json_int_t)value->grace_ms, "retention_ms", (json_int_t)value->retention_ms);
}

static json_t *topic(const flow_topic *value, weir_buffer *scratch) {
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:b}", "name", value->name, "key_format", value->key_format,
                     "value_format", value->value_format, "key_options",
                     settings(value->key_options, value->key_option_count), "value_options",
                     settings(value->value_options, value->value_option_count), "schema",
                     schema(value->schema, scratch), "window", window(&value->window), "is_table", value->is_table);
}

static void aggregate(const flow_node *node, json_t *object) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < node->aggregate.aggregation_count; i++) {
        const flow_aggregation *aggregation = &node->aggregate.aggregations[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:i}", "name", aggregation->aggregate->name, "over",
                                        aggregation->aggregate->argument, "argument", (int)aggregation->argument));
    }
    json_object_set_new(object, "keys", json_integer(node->aggregate.key_count));
    json_object_set_new(object, "aggregates", list);
    json_object_set_new(object, "window", window(&node->aggregate.window));
    json_object_set_new(object, "key_format", text(node->aggregate.key_format));
    json_object_set_new(object, "store", text(node->aggregate.store));
    json_object_set_new(object, "changelog_topic", text(node->aggregate.changelog_topic));
}

static const char *const node_kinds[] = {[FLOW_SOURCE] = "source",       [FLOW_FILTER] = "filter",
                                         [FLOW_PROJECT] = "project",     [FLOW_REPARTITION] = "repartition",
                                         [FLOW_AGGREGATE] = "aggregate", [FLOW_SINK] = "sink",
                                         [FLOW_OUTPUT] = "output"};

static json_t *one_node(const flow_node *node, weir_buffer *scratch) {
    json_t *object = json_pack("{s:s, s:s, s:o, s:b, s:b}", "kind", node_kinds[node->kind], "id", node->id, "schema",
                               schema(node->schema, scratch), "is_table", node->is_table, "windowed", node->windowed);
    switch (node->kind) {
    case FLOW_SOURCE:
        json_object_set_new(object, "topic", topic(&node->source.topic, scratch));
        json_object_set_new(object, "timestamp_column", json_integer(node->source.timestamp_column));
        json_object_set_new(object, "timestamp_format", text(node->source.timestamp_format));
        json_object_set_new(object, "quarantine_topic", text(node->source.quarantine_topic));
        break;
    case FLOW_FILTER: json_object_set_new(object, "condition", expression(node->filter.condition, scratch)); break;
    case FLOW_PROJECT: {
        json_t *columns = json_array();
        for (uint32_t i = 0; i < node->schema->count; i++)
            json_array_append_new(columns, expression(node->project.columns[i].expr, scratch));
        json_object_set_new(object, "columns", columns);
        break;
    }
    case FLOW_REPARTITION: json_object_set_new(object, "topic", topic(&node->repartition.topic, scratch)); break;
    case FLOW_AGGREGATE: aggregate(node, object); break;
    case FLOW_SINK:
        json_object_set_new(object, "topic", topic(&node->sink.topic, scratch));
        json_object_set_new(object, "partitions", json_integer(node->sink.partition_count));
        break;
    case FLOW_OUTPUT: break;
    }
    return object;
}

/* Nodes from the source to the end: the order in which they are made again. */
static json_t *topology(const flow_topology *value, weir_buffer *scratch) {
    if (value == NULL) return json_null();
    json_t *nodes = json_array();
    for (const flow_node *node = value->root; node != NULL; node = node->input)
        json_array_insert_new(nodes, 0, one_node(node, scratch));
    return json_pack("{s:s, s:o, s:b, s:b, s:o}", "query_id", value->query_id, "group", text(value->group),
                     "emit_every_update", value->emit_every_update, "from_earliest", value->from_earliest, "nodes",
                     nodes);
}

/* ---- plans
 * -------------------------------------------------------------------------------------------------------------- */

static json_t *source(const sql_source *value, weir_buffer *scratch) {
    static const char *const windows[] = {
        [SQL_WINDOW_NONE] = "none", [SQL_WINDOW_TUMBLING] = "tumbling", [SQL_WINDOW_HOPPING] = "hopping"};
    if (value == NULL) return json_null();
    json_t *object = json_pack(
        "{s:s, s:b, s:b, s:s, s:i, s:i, s:s, s:s, s:o, s:o, s:o}", "name", value->name, "is_table", value->is_table,
        "read_only", value->read_only, "topic", value->topic, "partitions", (int)value->partitions, "replicas",
        (int)value->replicas, "key_format", value->key_format, "value_format", value->value_format, "key_options",
        settings(value->key_options, value->key_option_count), "value_options",
        settings(value->value_options, value->value_option_count), "schema", schema(value->schema, scratch));
    json_object_set_new(object, "window", text(windows[value->window]));
    json_object_set_new(object, "window_size_ms", json_integer(value->window_size_ms));
    json_object_set_new(object, "window_advance_ms", json_integer(value->window_advance_ms));
    json_object_set_new(object, "timestamp_column", json_integer(value->timestamp_column));
    json_object_set_new(object, "timestamp_format", text(value->timestamp_format));
    json_object_set_new(object, "quarantine_topic", text(value->quarantine_topic));
    json_object_set_new(object, "created_by", text(value->created_by));
    json_object_set_new(object, "materialised", json_boolean(value->materialised));
    return object;
}

static json_t *plan_topic(const sql_plan_topic *value) {
    if (value->name == NULL) return json_null();
    return json_pack("{s:s, s:i, s:i, s:b, s:o, s:o}", "name", value->name, "partitions", (int)value->partitions,
                     "replicas", (int)value->replicas, "must_match", value->must_match, "like", text(value->like),
                     "configs", settings(value->configs, value->config_count));
}

static json_t *query(const sql_query_entry *value) {
    if (value == NULL) return json_null();
    return json_pack("{s:s, s:s, s:s}", "id", value->id, "source", value->source, "sink", value->sink);
}

static json_t *connector(const sql_connector *value) {
    if (value == NULL) return json_null();
    return json_pack("{s:s, s:o}", "name", value->name, "options", settings(value->options, value->option_count));
}

static const char *const plan_kinds[] = {
    [SQL_PLAN_CREATE_SOURCE] = "create_source",  [SQL_PLAN_CREATE_AS] = "create_as",
    [SQL_PLAN_INSERT_SELECT] = "insert_select",  [SQL_PLAN_DROP_SOURCE] = "drop_source",
    [SQL_PLAN_TERMINATE] = "terminate",          [SQL_PLAN_CREATE_CONNECTOR] = "create_connector",
    [SQL_PLAN_DROP_CONNECTOR] = "drop_connector"};

static json_t *plan_object(const sql_plan *plan, weir_buffer *scratch) {
    json_t *ends = json_array();
    for (uint32_t i = 0; i < plan->end_query_count; i++) json_array_append_new(ends, json_string(plan->end_queries[i]));
    json_t *object =
        json_pack("{s:i, s:s, s:s, s:o, s:b}", "version", SQL_PLAN_JSON_VERSION, "kind", plan_kinds[plan->kind],
                  "statement", plan->statement, "name", text(plan->name), "is_table", plan->is_table);
    json_object_set_new(object, "source", source(plan->source, scratch));
    json_object_set_new(object, "topic", plan_topic(&plan->topic));
    json_object_set_new(object, "query", query(plan->query));
    json_object_set_new(object, "topology", topology(plan->topology, scratch));
    json_object_set_new(object, "end_queries", ends);
    json_object_set_new(object, "delete_topic", text(plan->delete_topic));
    json_object_set_new(object, "connector", connector(plan->connector));
    return object;
}

static int append(const char *bytes, size_t size, void *target) {
    weir_buffer_append(target, bytes, size);
    return ((weir_buffer *)target)->overflowed ? -1 : 0;
}

weir_status sql_plan_to_json(const sql_plan *plan, weir_buffer *target) {
    weir_assert(sql_plan_is_command(plan));
    weir_buffer scratch;
    weir_buffer_init(&scratch, target->account, 1u << 20);
    json_t *object = plan_object(plan, &scratch);
    weir_buffer_deinit(&scratch);
    const size_t before = target->size;
    const int result =
        object == NULL ? -1 : json_dump_callback(object, append, target, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(object);
    if (result == 0 && target->size - before <= SQL_PLAN_JSON_BYTES_MAX) return weir_ok();
    return weir_fail(WEIR_INVALID, "the plan of the statement is too large to be kept: at most %d bytes are allowed",
                     SQL_PLAN_JSON_BYTES_MAX);
}
