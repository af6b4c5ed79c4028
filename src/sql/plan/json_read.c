/* Plans from JSON: the reverse of json_write.c. The text comes from a topic: every member is checked, and what is wrong
 * is CORRUPT with the member's name. */
#include "base/text.h"
#include "sql/plan/plan_int.h"

#include <jansson.h>

typedef struct reader {
    weir_arena *arena;
    weir_status status; /* the first thing that was wrong; afterwards every reading gives zeros */
} reader;

enum { READ_DEPTH_MAX = 1200, READ_ITEMS_MAX = 1 << 16 };

static void corrupt(reader *r, const char *member) {
    if (!weir_failed(r->status))
        r->status = weir_fail(WEIR_CORRUPT, "the plan's member '%s' is missing or wrong", member);
}

static const char *copied(reader *r, json_t *value) {
    return weir_arena_text_copy(r->arena, json_string_value(value));
}

static const char *read_text(reader *r, json_t *object, const char *member) {
    json_t *value = json_object_get(object, member);
    if (json_is_string(value)) return copied(r, value);
    corrupt(r, member);
    return "";
}

static const char *read_text_or_null(reader *r, json_t *object, const char *member) {
    return json_is_null(json_object_get(object, member)) ? NULL : read_text(r, object, member);
}

static int64_t read_i64(reader *r, json_t *object, const char *member, int64_t min, int64_t max) {
    json_t *value = json_object_get(object, member);
    const int64_t number = json_is_integer(value) ? (int64_t)json_integer_value(value) : min;
    if (!json_is_integer(value) || number < min || number > max) {
        corrupt(r, member);
        return min;
    }
    return number;
}

static bool read_bool(reader *r, json_t *object, const char *member) {
    json_t *value = json_object_get(object, member);
    if (!json_is_boolean(value)) corrupt(r, member);
    return json_is_true(value);
}

/* The member as an array; its size is bounded. */
static json_t *read_array(reader *r, json_t *object, const char *member, uint32_t *count) {
    json_t *array = json_object_get(object, member);
    *count = 0;
    if (!json_is_array(array) || json_array_size(array) > READ_ITEMS_MAX)
        corrupt(r, member);
    else
        *count = (uint32_t)json_array_size(array);
    return array;
}

static int read_word(reader *r, json_t *object, const char *member, const char *const *words, int count) {
    const char *word = read_text(r, object, member);
    for (int i = 0; i < count; i++)
        if (words[i] != NULL && strcmp(words[i], word) == 0) return i;
    corrupt(r, member);
    return 0;
}

static const data_type *read_type(reader *r, json_t *value, const char *member) {
    const data_type *type = NULL;
    if (!json_is_string(value))
        corrupt(r, member);
    else if (weir_failed(data_type_parse(r->arena, weir_bytes_text(json_string_value(value)), &type)))
        corrupt(r, member);
    return type != NULL ? type : data_type_of(DATA_BOOLEAN);
}

static const weir_setting *read_settings(reader *r, json_t *object, const char *member, uint32_t *count) {
    json_t *array = read_array(r, object, member, count);
    weir_setting *items = weir_arena_array(r->arena, weir_setting, *count + 1);
    for (uint32_t i = 0; i < *count; i++) {
        json_t *pair = json_array_get(array, i), *name = json_array_get(pair, 0), *value = json_array_get(pair, 1);
        if (!json_is_string(name) || !json_is_string(value))
            corrupt(r, member);
        else
            items[i] = (weir_setting){copied(r, name), copied(r, value)};
    }
    return items;
}

static const data_schema *read_schema(reader *r, json_t *object, const char *member) {
    uint32_t count;
    json_t *value = json_object_get(object, member), *array = read_array(r, value, "columns", &count);
    data_column *columns = weir_arena_array(r->arena, data_column, count + 1);
    data_schema *schema = weir_arena_new(r->arena, data_schema);
    *schema = (data_schema){columns, count, (uint32_t)read_i64(r, value, "keys", 0, count)};
    for (uint32_t i = 0; i < count; i++) {
        json_t *pair = json_array_get(array, i), *name = json_array_get(pair, 0);
        if (!json_is_string(name)) corrupt(r, "columns");
        columns[i] =
            (data_column){json_is_string(name) ? copied(r, name) : "", read_type(r, json_array_get(pair, 1), "columns"),
                          i < schema->key_count ? DATA_ROLE_KEY : DATA_ROLE_VALUE, NULL};
    }
    return schema;
}

/* ---- expressions
 * -------------------------------------------------------------------------------------------------------- */

static data_decimal read_decimal(reader *r, json_t *value) {
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    const bool negative = text[0] == '-';
    data_decimal number = 0;
    size_t digits = 0;
    for (const char *at = text + (negative ? 1 : 0); *at >= '0' && *at <= '9' && digits < 39; at++, digits++)
        number = number * 10 + (*at - '0');
    if (digits == 0 || digits > 38 || text[digits + (negative ? 1 : 0)] != 0) corrupt(r, "value");
    return negative ? -number : number;
}

static int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static weir_bytes read_hex(reader *r, json_t *array) {
    size_t total = 0, size = 0, i;
    json_t *part;
    if (!json_is_array(array)) corrupt(r, "value");
    json_array_foreach(array, i, part) total += json_string_length(part) / 2;
    uint8_t *bytes = weir_arena_array(r->arena, uint8_t, total + 1);
    json_array_foreach(array, i, part) {
        const char *text = json_is_string(part) ? json_string_value(part) : "";
        for (size_t at = 0; at + 1 < json_string_length(part); at += 2) {
            const int high = hex_digit(text[at]), low = hex_digit(text[at + 1]);
            if (high < 0 || low < 0) corrupt(r, "value");
            bytes[size++] = (uint8_t)(high << 4 | low);
        }
    }
    return weir_bytes_of(bytes, size);
}

static func_value read_literal(reader *r, json_t *object, const data_type *type) {
    json_t *json = json_object_get(object, "value");
    func_value value = {.type = type, .is_null = json_is_null(json)};
    if (value.is_null) return value;
    switch (type->kind) {
    case DATA_BOOLEAN: value.boolean = read_bool(r, object, "value"); break;
    case DATA_INT:
    case DATA_DATE:
    case DATA_TIME: value.int32 = (int32_t)read_i64(r, object, "value", INT32_MIN, INT32_MAX); break;
    case DATA_BIGINT:
    case DATA_TIMESTAMP: value.int64 = read_i64(r, object, "value", INT64_MIN, INT64_MAX); break;
    case DATA_DOUBLE:
        if (!weir_parse_f64(weir_bytes_text(read_text(r, object, "value")), &value.float64)) corrupt(r, "value");
        break;
    case DATA_DECIMAL: value.decimal = read_decimal(r, json); break;
    case DATA_STRING: value.text = weir_bytes_text(read_text(r, object, "value")); break;
    case DATA_BYTES: value.text = read_hex(r, json); break;
    default: corrupt(r, "value"); break;
    }
    return value;
}

static const func_expr *read_expression(reader *r, json_t *object, const data_schema *schema, unsigned depth);

static void read_arguments(reader *r, json_t *object, const data_schema *schema, unsigned depth, func_expr *expr) {
    if (json_object_get(object, "arguments") == NULL) return;
    json_t *array = read_array(r, object, "arguments", &expr->argument_count);
    const func_expr **arguments = weir_arena_array(r->arena, const func_expr *, expr->argument_count + 1);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        arguments[i] = read_expression(r, json_array_get(array, i), schema, depth + 1);
    expr->arguments = arguments;
}

/* What a node needs to be compiled without surprises. */
static void check_expression(reader *r, const func_expr *expr) {
    const uint32_t count = expr->argument_count;
    switch (expr->kind) {
    case FUNC_LITERAL:
    case FUNC_COLUMN:
    case FUNC_PSEUDO:
        if (count != 0) corrupt(r, "arguments");
        return;
    case FUNC_NOT:
    case FUNC_IS_NULL:
        if (count != 1) corrupt(r, "arguments");
        return;
    case FUNC_FIELD:
        if (count != 1 || expr->arguments[0]->type->kind != DATA_STRUCT ||
            expr->index >= expr->arguments[0]->type->field_count)
            corrupt(r, "index");
        return;
    case FUNC_CASE:
        if (count < 2) corrupt(r, "arguments");
        return;
    case FUNC_AND:
    case FUNC_OR:
    case FUNC_COALESCE:
        if (count < 1) corrupt(r, "arguments");
        return;
    case FUNC_CALL:
        if (count > FUNC_ARGUMENTS_MAX) corrupt(r, "arguments");
        return;
    }
}

static const func_expr *read_expression(reader *r, json_t *object, const data_schema *schema, unsigned depth) {
    static const char *const kinds[] = {
        [FUNC_LITERAL] = "literal", [FUNC_COLUMN] = "column",     [FUNC_PSEUDO] = "pseudo", [FUNC_CALL] = "call",
        [FUNC_CASE] = "case",       [FUNC_AND] = "and",           [FUNC_OR] = "or",         [FUNC_NOT] = "not",
        [FUNC_IS_NULL] = "is_null", [FUNC_COALESCE] = "coalesce", [FUNC_FIELD] = "field"};
    func_expr *expr = weir_arena_new(r->arena, func_expr);
    expr->type = data_type_of(DATA_BOOLEAN);
    expr->value = (func_value){.type = expr->type, .is_null = true};
    if (depth > READ_DEPTH_MAX) corrupt(r, "arguments");
    if (weir_failed(r->status)) return expr;
    expr->kind = (func_expr_kind)read_word(r, object, "kind", kinds, sizeof kinds / sizeof kinds[0]);
    expr->type = read_type(r, json_object_get(object, "type"), "type");
    if (expr->kind == FUNC_LITERAL) expr->value = read_literal(r, object, expr->type);
    if (expr->kind == FUNC_COLUMN) {
        expr->index = (uint32_t)read_i64(r, object, "index", 0, schema->count == 0 ? 0 : schema->count - 1);
        if (schema->count == 0 ||
            (!weir_failed(r->status) && !data_type_equal(schema->columns[expr->index].type, expr->type)))
            corrupt(r, "index");
    }
    if (expr->kind == FUNC_PSEUDO) expr->index = (uint32_t)read_i64(r, object, "index", 0, FUNC_WINDOWEND);
    if (expr->kind == FUNC_FIELD) expr->index = (uint32_t)read_i64(r, object, "index", 0, UINT16_MAX);
    read_arguments(r, object, schema, depth, expr);
    if (expr->kind == FUNC_CALL && !weir_failed(r->status)) {
        const weir_status status =
            func_overload_find(weir_bytes_text(read_text(r, object, "function")), &expr->overload);
        if (!weir_failed(r->status)) r->status = status;
    }
    if (!weir_failed(r->status)) check_expression(r, expr);
    return expr;
}

/* ---- topologies
 * ----------------------------------------------------------------------------------------------------------- */

static flow_window read_window(reader *r, json_t *object, const char *member) {
    static const char *const kinds[] = {[FLOW_WINDOW_TUMBLING] = "tumbling", [FLOW_WINDOW_HOPPING] = "hopping"};
    json_t *value = json_object_get(object, member);
    if (json_is_null(value)) return (flow_window){0};
    flow_window window = {.kind = (flow_window_kind)read_word(r, value, "kind", kinds, 3)};
    window.size_ms = read_i64(r, value, "size_ms", 1, INT64_MAX);
    window.advance_ms = read_i64(r, value, "advance_ms", 1, window.size_ms);
    window.grace_ms = read_i64(r, value, "grace_ms", 0, INT64_MAX);
    window.retention_ms = read_i64(r, value, "retention_ms", 0, INT64_MAX);
    return window;
}

static flow_topic read_topic(reader *r, json_t *object, const char *member) {
    json_t *value = json_object_get(object, member);
    flow_topic topic = {.name = read_text(r, value, "name"),
                        .key_format = read_text(r, value, "key_format"),
                        .value_format = read_text(r, value, "value_format")};
    topic.key_options = read_settings(r, value, "key_options", &topic.key_option_count);
    topic.value_options = read_settings(r, value, "value_options", &topic.value_option_count);
    topic.schema = read_schema(r, value, "schema");
    topic.window = read_window(r, value, "window");
    topic.is_table = read_bool(r, value, "is_table");
    return topic;
}

static void read_aggregate(reader *r, json_t *object, flow_node *node) {
    uint32_t count;
    json_t *array = read_array(r, object, "aggregates", &count);
    const data_schema *input = node->input != NULL ? node->input->schema : node->schema;
    flow_aggregation *list = weir_arena_array(r->arena, flow_aggregation, count + 1);
    node->aggregate.key_count = (uint32_t)read_i64(r, object, "keys", 0, node->schema->key_count);
    node->aggregate.aggregations = list;
    node->aggregate.aggregation_count = count;
    node->aggregate.window = read_window(r, object, "window");
    node->aggregate.key_format = read_text(r, object, "key_format");
    node->aggregate.store = read_text(r, object, "store");
    node->aggregate.changelog_topic = read_text_or_null(r, object, "changelog_topic");
    if (node->input == NULL || node->schema->count != node->aggregate.key_count + count) corrupt(r, "aggregates");
    for (uint32_t i = 0; i < count && !weir_failed(r->status); i++) {
        json_t *item = json_array_get(array, i);
        const char *name = read_text(r, item, "name"), *over = read_text(r, item, "over");
        list[i].argument = (int32_t)read_i64(r, item, "argument", -1, (int64_t)input->count - 1);
        const data_type *type = list[i].argument < 0 ? NULL : input->columns[list[i].argument].type;
        if (weir_failed(r->status)) return;
        r->status = func_aggregate_find(name, type, &list[i].aggregate);
        if (!weir_failed(r->status) && strcmp(list[i].aggregate->argument, over) != 0)
            r->status =
                weir_fail(WEIR_NOT_FOUND, "the plan needs the aggregate %s(%s), which this weir lacks", name, over);
    }
}

static const char *const node_kinds[] = {[FLOW_SOURCE] = "source",       [FLOW_FILTER] = "filter",
                                         [FLOW_PROJECT] = "project",     [FLOW_REPARTITION] = "repartition",
                                         [FLOW_AGGREGATE] = "aggregate", [FLOW_SINK] = "sink",
                                         [FLOW_OUTPUT] = "output"};

static void read_project(reader *r, json_t *object, flow_node *node) {
    uint32_t count;
    json_t *array = read_array(r, object, "columns", &count);
    flow_projection *columns = weir_arena_array(r->arena, flow_projection, count + 1);
    if (count != node->schema->count) corrupt(r, "columns");
    for (uint32_t i = 0; i < count && !weir_failed(r->status); i++) {
        columns[i].expr = read_expression(r, json_array_get(array, i), node->input->schema, 0);
        if (!weir_failed(r->status) && !data_type_equal(columns[i].expr->type, node->schema->columns[i].type))
            corrupt(r, "columns");
    }
    node->project.columns = columns;
}

static const flow_node *read_node(reader *r, json_t *object, const flow_node *input) {
    flow_node *node = weir_arena_new(r->arena, flow_node);
    node->kind = (flow_node_kind)read_word(r, object, "kind", node_kinds, sizeof node_kinds / sizeof node_kinds[0]);
    node->id = read_text(r, object, "id");
    node->input = input;
    node->schema = read_schema(r, object, "schema");
    node->is_table = read_bool(r, object, "is_table");
    node->windowed = read_bool(r, object, "windowed");
    if ((node->kind == FLOW_SOURCE) != (input == NULL)) corrupt(r, "nodes");
    if (weir_failed(r->status)) return node;
    switch (node->kind) {
    case FLOW_SOURCE:
        node->source.topic = read_topic(r, object, "topic");
        node->source.timestamp_column =
            (int32_t)read_i64(r, object, "timestamp_column", -1, (int64_t)node->schema->count - 1);
        node->source.timestamp_format = read_text_or_null(r, object, "timestamp_format");
        node->source.quarantine_topic = read_text_or_null(r, object, "quarantine_topic");
        break;
    case FLOW_FILTER:
        node->filter.condition = read_expression(r, json_object_get(object, "condition"), input->schema, 0);
        break;
    case FLOW_PROJECT: read_project(r, object, node); break;
    case FLOW_REPARTITION: node->repartition.topic = read_topic(r, object, "topic"); break;
    case FLOW_AGGREGATE: read_aggregate(r, object, node); break;
    case FLOW_SINK:
        node->sink.topic = read_topic(r, object, "topic");
        node->sink.partition_count = (int32_t)read_i64(r, object, "partitions", 0, INT32_MAX);
        break;
    case FLOW_OUTPUT: break;
    }
    return node;
}

static const flow_topology *read_topology(reader *r, json_t *object, const char *member) {
    json_t *value = json_object_get(object, member);
    if (json_is_null(value)) return NULL;
    flow_topology *topology = weir_arena_new(r->arena, flow_topology);
    topology->query_id = read_text(r, value, "query_id");
    topology->group = read_text_or_null(r, value, "group");
    topology->emit_every_update = read_bool(r, value, "emit_every_update");
    topology->from_earliest = read_bool(r, value, "from_earliest");
    json_t *nodes = read_array(r, value, "nodes", &topology->node_count);
    for (uint32_t i = 0; i < topology->node_count && !weir_failed(r->status); i++)
        topology->root = read_node(r, json_array_get(nodes, i), topology->root);
    if (topology->root == NULL || (topology->root->kind != FLOW_SINK && topology->root->kind != FLOW_OUTPUT))
        corrupt(r, "nodes");
    return topology;
}

/* ---- plans
 * ---------------------------------------------------------------------------------------------------------------- */

static const sql_source *read_source(reader *r, json_t *object, const char *statement) {
    static const char *const windows[] = {
        [SQL_WINDOW_NONE] = "none", [SQL_WINDOW_TUMBLING] = "tumbling", [SQL_WINDOW_HOPPING] = "hopping"};
    json_t *value = json_object_get(object, "source");
    if (json_is_null(value)) return NULL;
    sql_source *source = weir_arena_new(r->arena, sql_source);
    source->name = read_text(r, value, "name");
    source->is_table = read_bool(r, value, "is_table");
    source->read_only = read_bool(r, value, "read_only");
    source->topic = read_text(r, value, "topic");
    source->partitions = (int32_t)read_i64(r, value, "partitions", 0, INT32_MAX);
    source->replicas = (int32_t)read_i64(r, value, "replicas", 0, INT32_MAX);
    source->key_format = read_text(r, value, "key_format");
    source->value_format = read_text(r, value, "value_format");
    source->key_options = read_settings(r, value, "key_options", &source->key_option_count);
    source->value_options = read_settings(r, value, "value_options", &source->value_option_count);
    source->schema = read_schema(r, value, "schema");
    source->window = (sql_window_kind)read_word(r, value, "window", windows, 3);
    source->window_size_ms = read_i64(r, value, "window_size_ms", 0, INT64_MAX);
    source->window_advance_ms = read_i64(r, value, "window_advance_ms", 0, INT64_MAX);
    source->timestamp_column = (int32_t)read_i64(r, value, "timestamp_column", -1, (int64_t)source->schema->count - 1);
    source->timestamp_format = read_text_or_null(r, value, "timestamp_format");
    source->quarantine_topic = read_text_or_null(r, value, "quarantine_topic");
    source->created_by = read_text_or_null(r, value, "created_by");
    source->materialised = read_bool(r, value, "materialised");
    source->statement = statement;
    return source;
}

static void read_plan_topic(reader *r, json_t *object, sql_plan_topic *topic) {
    json_t *value = json_object_get(object, "topic");
    if (json_is_null(value)) return;
    topic->name = read_text(r, value, "name");
    topic->partitions = (int32_t)read_i64(r, value, "partitions", 0, INT32_MAX);
    topic->replicas = (int32_t)read_i64(r, value, "replicas", 0, INT32_MAX);
    topic->must_match = read_bool(r, value, "must_match");
    topic->like = read_text_or_null(r, value, "like");
    topic->configs = read_settings(r, value, "configs", &topic->config_count);
}

static const sql_query_entry *read_query(reader *r, json_t *object, const char *statement) {
    json_t *value = json_object_get(object, "query");
    if (json_is_null(value)) return NULL;
    sql_query_entry *entry = weir_arena_new(r->arena, sql_query_entry);
    *entry = (sql_query_entry){read_text(r, value, "id"), read_text(r, value, "source"), read_text(r, value, "sink"),
                               statement};
    return entry;
}

static const sql_connector *read_connector(reader *r, json_t *object, const char *statement) {
    json_t *value = json_object_get(object, "connector");
    if (json_is_null(value)) return NULL;
    sql_connector *connector = weir_arena_new(r->arena, sql_connector);
    connector->name = read_text(r, value, "name");
    connector->options = read_settings(r, value, "options", &connector->option_count);
    connector->statement = statement;
    return connector;
}

/* What the kind says must be there is there. */
static void check_plan(reader *r, const sql_plan *plan) {
    const bool has_query = plan->kind == SQL_PLAN_CREATE_AS || plan->kind == SQL_PLAN_INSERT_SELECT;
    const bool has_source = plan->kind == SQL_PLAN_CREATE_AS || plan->kind == SQL_PLAN_CREATE_SOURCE;
    if (has_source != (plan->source != NULL) || has_source != (plan->topic.name != NULL)) corrupt(r, "source");
    if (has_query != (plan->query != NULL)) corrupt(r, "query");
    if (has_query != (plan->topology != NULL)) corrupt(r, "topology");
    if ((plan->kind == SQL_PLAN_CREATE_CONNECTOR) != (plan->connector != NULL)) corrupt(r, "connector");
    if (plan->kind != SQL_PLAN_TERMINATE && plan->name == NULL) corrupt(r, "name");
}

static sql_plan *read_plan(reader *r, json_t *object) {
    static const char *const kinds[] = {
        [SQL_PLAN_CREATE_SOURCE] = "create_source",  [SQL_PLAN_CREATE_AS] = "create_as",
        [SQL_PLAN_INSERT_SELECT] = "insert_select",  [SQL_PLAN_DROP_SOURCE] = "drop_source",
        [SQL_PLAN_TERMINATE] = "terminate",          [SQL_PLAN_CREATE_CONNECTOR] = "create_connector",
        [SQL_PLAN_DROP_CONNECTOR] = "drop_connector"};
    sql_plan *plan = weir_arena_new(r->arena, sql_plan);
    plan->kind = (sql_plan_kind)read_word(r, object, "kind", kinds, sizeof kinds / sizeof kinds[0]);
    plan->statement = read_text(r, object, "statement");
    plan->name = read_text_or_null(r, object, "name");
    plan->is_table = read_bool(r, object, "is_table");
    plan->limit = plan->interval = -1;
    plan->source = read_source(r, object, plan->statement);
    read_plan_topic(r, object, &plan->topic);
    plan->query = read_query(r, object, plan->statement);
    plan->topology = read_topology(r, object, "topology");
    plan->delete_topic = read_text_or_null(r, object, "delete_topic");
    plan->connector = read_connector(r, object, plan->statement);
    json_t *ends = read_array(r, object, "end_queries", &plan->end_query_count);
    const char **ids = weir_arena_array(r->arena, const char *, plan->end_query_count + 1);
    for (uint32_t i = 0; i < plan->end_query_count; i++) {
        json_t *id = json_array_get(ends, i);
        if (!json_is_string(id)) corrupt(r, "end_queries");
        ids[i] = json_is_string(id) ? copied(r, id) : "";
    }
    plan->end_queries = ids;
    check_plan(r, plan);
    return plan;
}

weir_status sql_plan_from_json(weir_arena *arena, weir_bytes json, const sql_plan **plan) {
    json_error_t error;
    *plan = NULL;
    if (json.size > SQL_PLAN_JSON_BYTES_MAX)
        return weir_fail(WEIR_CORRUPT, "a plan of %zu bytes, allowed are %d", json.size, SQL_PLAN_JSON_BYTES_MAX);
    json_t *object = json_loadb((const char *)json.data, json.size, JSON_REJECT_DUPLICATES, &error);
    if (object == NULL)
        return weir_fail(WEIR_CORRUPT, "the plan is not JSON: %s at byte %d", error.text, error.position);
    reader r = {.arena = arena, .status = weir_ok()};
    const int64_t version = read_i64(&r, object, "version", 1, INT32_MAX);
    if (!weir_failed(r.status) && version > SQL_PLAN_JSON_VERSION)
        r.status = weir_fail(WEIR_UNSUPPORTED, "the plan has version %lld, this weir knows %d", (long long)version,
                             SQL_PLAN_JSON_VERSION);
    const sql_plan *result = weir_failed(r.status) ? NULL : read_plan(&r, object);
    json_decref(object);
    if (!weir_failed(r.status)) *plan = result;
    return r.status;
}
