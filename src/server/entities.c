/* One entity a statement, in ksqlDB's JSON. What a statement changed comes from its plan, what it lists from the engine
 * and the broker as they are now. */
#include "server/server_int.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct entity_maker {
    server *server;
    const server_request *request;
    const guard_principal *principal;
    const engine_answer *answer;
    const sql_plan *plan;
} entity_maker;

const char *server_state_name(flow_state state) {
    switch (state) {
    case FLOW_STARTING: return "CREATED";
    case FLOW_RESTORING: return "REBALANCING";
    case FLOW_RUNNING: return "RUNNING";
    case FLOW_STOPPED: return "NOT_RUNNING";
    case FLOW_FAILED: return "ERROR";
    }
    return "UNKNOWN";
}

static json_t *entity_create(const entity_maker *maker, const char *type) {
    json_t *entity = json_object();
    json_object_set_new(entity, "@type", json_string(type));
    json_object_set_new(entity, "statementText", server_json_text(maker->answer->statement));
    json_object_set_new(entity, "warnings", json_array());
    return entity;
}

static void set_text(json_t *object, const char *name, const char *value) {
    json_object_set_new(object, name, server_json_text(value));
}

static json_t *one_text(const char *value) {
    json_t *array = json_array();
    if (value != NULL && value[0] != '\0') json_array_append_new(array, server_json_text(value));
    return array;
}

static json_t *buffer_json(server *self, void (*print)(const void *value, weir_buffer *target), const void *value) {
    weir_buffer text;
    weir_buffer_init(&text, &self->account, SERVER_BODY_BYTES_MAX);
    print(value, &text);
    json_t *json = server_json_text(weir_buffer_text(&text));
    weir_buffer_deinit(&text);
    return json;
}

/* ---- what changed ---- */

static const char *source_sort(bool is_table) {
    return is_table ? "table" : "stream";
}

static json_t *status_entity(const entity_maker *maker, const char *sort, const char *name, const char *action,
                             const char *message) {
    const engine_answer *answer = maker->answer;
    json_t *entity = entity_create(maker, "currentStatus"), *status = json_object();
    char id[3 * SQL_NAME_BYTES_MAX];
    snprintf(id, sizeof id, "%s/%s/%s", sort, name != NULL ? name : "all", action);
    set_text(entity, "commandId", id);
    set_text(status, "status", "SUCCESS");
    set_text(status, "message", answer->message != NULL ? answer->message : message != NULL ? message : "");
    set_text(status, "queryId", answer->query_id);
    json_object_set_new(entity, "commandStatus", status);
    json_object_set_new(entity, "commandSequenceNumber", json_integer(answer->command_sequence));
    return entity;
}

static json_t *created_entity(const entity_maker *maker) {
    const sql_source *source = maker->plan->source;
    return status_entity(maker, source_sort(source->is_table), source->name, "create", maker->plan->message);
}

static json_t *insert_entity(const entity_maker *maker) {
    return status_entity(maker, "stream", maker->plan->query->sink, "create", maker->plan->message);
}

static json_t *dropped_entity(const entity_maker *maker) {
    return status_entity(maker, source_sort(maker->plan->is_table), maker->plan->name, "drop", maker->plan->message);
}

static json_t *terminated_entity(const entity_maker *maker) {
    const sql_plan *plan = maker->plan;
    return status_entity(maker, "terminate", plan->end_query_count == 1 ? plan->end_queries[0] : NULL, "execute",
                         plan->message);
}

static json_t *connector_info_entity(const entity_maker *maker) {
    const sql_connector *connector = maker->plan->connector;
    json_t *entity = entity_create(maker, "connector_info"), *info = json_object(), *config = json_object();
    for (uint32_t i = 0; i < connector->option_count; i++)
        set_text(config, connector->options[i].name, connector->options[i].value);
    set_text(info, "name", connector->name);
    json_object_set_new(info, "config", config);
    json_object_set_new(info, "tasks", json_array());
    set_text(info, "type", "source");
    json_object_set_new(entity, "info", info);
    return entity;
}

static json_t *connector_dropped_entity(const entity_maker *maker) {
    json_t *entity = entity_create(maker, "drop_connector");
    set_text(entity, "connectorName", maker->plan->name);
    return entity;
}

/* IF EXISTS that found nothing, IF NOT EXISTS that found something. */
static json_t *nothing_entity(const entity_maker *maker) {
    json_t *entity = entity_create(maker, "warning_entity");
    set_text(entity, "message", maker->plan->message != NULL ? maker->plan->message : maker->answer->message);
    return entity;
}

/* ---- queries ---- */

static json_t *query_json(const engine_query_info *info) {
    const char *state = server_state_name(info->stats.state);
    json_t *query = json_object(), *counts = json_object();
    set_text(query, "queryString", info->statement);
    json_object_set_new(query, "sinks", one_text(info->sink));
    json_object_set_new(query, "sinkKafkaTopics", one_text(info->sink_topic));
    set_text(query, "id", info->id);
    json_object_set_new(counts, info->stats.state == FLOW_FAILED ? "ERROR" : "RUNNING", json_integer(1));
    json_object_set_new(query, "statusCount", counts);
    set_text(query, "queryType", info->kind);
    set_text(query, "state", state);
    return query;
}

static json_t *type_json(const data_type *type) {
    static const char *const names[] = {
        [DATA_BOOLEAN] = "BOOLEAN", [DATA_INT] = "INTEGER",  [DATA_BIGINT] = "BIGINT", [DATA_DOUBLE] = "DOUBLE",
        [DATA_DECIMAL] = "DECIMAL", [DATA_STRING] = "STRING", [DATA_BYTES] = "BYTES",   [DATA_DATE] = "DATE",
        [DATA_TIME] = "TIME",       [DATA_TIMESTAMP] = "TIMESTAMP", [DATA_ARRAY] = "ARRAY", [DATA_MAP] = "MAP",
        [DATA_STRUCT] = "STRUCT"};
    json_t *json = json_object(), *fields = NULL;
    set_text(json, "type", names[type->kind]);
    if (type->kind == DATA_STRUCT) fields = json_array();
    for (uint32_t i = 0; fields != NULL && i < type->field_count; i++) {
        json_t *field = json_object();
        set_text(field, "name", type->fields[i].name);
        json_object_set_new(field, "schema", type_json(type->fields[i].type));
        json_array_append_new(fields, field);
    }
    json_object_set_new(json, "fields", fields != NULL ? fields : json_null());
    json_object_set_new(json, "memberSchema", type->element != NULL ? type_json(type->element) : json_null());
    if (type->kind == DATA_DECIMAL) {
        json_t *parameters = json_object();
        json_object_set_new(parameters, "precision", json_integer(type->precision));
        json_object_set_new(parameters, "scale", json_integer(type->scale));
        json_object_set_new(json, "parameters", parameters);
    }
    return json;
}

static json_t *fields_json(const data_schema *schema) {
    json_t *fields = json_array();
    for (uint32_t i = 0; schema != NULL && i < schema->count; i++) {
        const data_column *column = &schema->columns[i];
        json_t *field = json_object();
        set_text(field, "name", column->name);
        json_object_set_new(field, "schema", type_json(column->type));
        if (column->role == DATA_ROLE_KEY) set_text(field, "type", "KEY");
        if (column->role == DATA_ROLE_HEADERS || column->role == DATA_ROLE_HEADER) set_text(field, "type", "HEADER");
        if (column->role == DATA_ROLE_HEADER) set_text(field, "headerKey", column->header_key);
        json_array_append_new(fields, field);
    }
    return fields;
}

static void print_topology(const void *topology, weir_buffer *target) {
    flow_topology_print(topology, target);
}

static void print_plan(const void *plan, weir_buffer *target) {
    sql_plan_print(plan, target);
}

static const char *window_name(sql_window_kind window) {
    return window == SQL_WINDOW_TUMBLING ? "TUMBLING" : window == SQL_WINDOW_HOPPING ? "HOPPING" : NULL;
}

static json_t *sources_json(const flow_topology *topology) {
    json_t *topics = json_array();
    for (const flow_node *node = topology != NULL ? topology->root : NULL; node != NULL; node = node->input)
        if (node->kind == FLOW_SOURCE) json_array_append_new(topics, server_json_text(node->source.topic.name));
    return topics;
}

static json_t *description_json(const entity_maker *maker, const char *id, const char *statement,
                                const flow_topology *topology) {
    json_t *query = json_object();
    set_text(query, "id", id);
    set_text(query, "statementText", statement);
    set_text(query, "windowType", NULL);
    json_object_set_new(query, "fields", fields_json(topology != NULL ? topology->root->schema : NULL));
    json_object_set_new(query, "sources", sources_json(topology));
    json_object_set_new(query, "sinks", json_array());
    json_object_set_new(query, "topology",
                        topology != NULL ? buffer_json(maker->server, print_topology, topology) : json_string(""));
    set_text(query, "executionPlan", "");
    json_object_set_new(query, "overriddenProperties", json_object());
    json_object_set_new(query, "ksqlHostQueryStatus", json_object());
    json_object_set_new(query, "queryErrors", json_array());
    json_object_set_new(query, "tasksMetadata", json_array());
    return query;
}

static json_t *running_description(const entity_maker *maker, const engine_query_info *info) {
    const flow_query_stats *stats = &info->stats;
    json_t *query = description_json(maker, info->id, info->statement, info->topology);
    json_t *hosts = json_object(), *statistics = json_object();
    json_object_set_new(query, "sinks", one_text(info->sink));
    set_text(hosts, maker->server->address, stats->state == FLOW_FAILED ? "ERROR" : "RUNNING");
    json_object_set_new(query, "ksqlHostQueryStatus", hosts);
    set_text(query, "queryType", info->kind);
    set_text(query, "state", server_state_name(stats->state));
    set_text(query, "consumerGroupId", info->topology != NULL ? info->topology->group : NULL);
    if (stats->last_error.code != WEIR_OK) {
        json_t *error = json_object();
        set_text(error, "errorMessage", stats->last_error.text);
        set_text(error, "type", stats->state == FLOW_FAILED ? "SYSTEM" : "USER");
        json_array_append_new(json_object_get(query, "queryErrors"), error);
    }
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"rowsIn", stats->rows_in},           {"rowsOut", stats->rows_out},
                  {"filtered", stats->filtered},        {"late", stats->late},
                  {"nullKey", stats->null_key},         {"quarantined", stats->quarantined},
                  {"errorsAsNull", stats->errors_as_null}, {"groups", stats->groups},
                  {"stateBytes", stats->state_bytes}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        json_object_set_new(statistics, counts[i].name, json_integer((json_int_t)counts[i].value));
    json_object_set_new(statistics, "lag", json_integer(stats->lag));
    json_object_set_new(query, "statistics", statistics); /* weir's own member */
    return query;
}

static json_t *queries_entity(const entity_maker *maker) {
    const bool extended = maker->plan->extended;
    json_t *entity = entity_create(maker, extended ? "query_descriptions" : "queries"), *queries = json_array();
    engine_query_info info;
    for (size_t i = 0; engine_query_at(maker->server->config.engine, i, &info); i++)
        json_array_append_new(queries, extended ? running_description(maker, &info) : query_json(&info));
    json_object_set_new(entity, extended ? "queryDescriptions" : "queries", queries);
    return entity;
}

static json_t *explain_entity(const entity_maker *maker) {
    const sql_plan *plan = maker->plan, *explained = plan->explained;
    json_t *entity = entity_create(maker, "queryDescription"), *query;
    engine_query_info info;
    if (explained == NULL && plan->name != NULL && engine_query_find(maker->server->config.engine, plan->name, &info)) {
        query = running_description(maker, &info);
    } else if (explained != NULL) {
        query = description_json(maker, explained->topology != NULL ? explained->topology->query_id : "",
                                 explained->statement, explained->topology);
        json_object_set_new(query, "executionPlan", buffer_json(maker->server, print_plan, explained));
        if (explained->schema != NULL) json_object_set_new(query, "fields", fields_json(explained->schema));
        if (explained->source != NULL) {
            json_object_set_new(query, "sinks", one_text(explained->source->name));
            json_object_set_new(query, "fields", fields_json(explained->source->schema));
            set_text(query, "windowType", window_name(explained->source->window));
        }
        set_text(query, "queryType", explained->query != NULL ? "PERSISTENT" : "PUSH");
        set_text(query, "state", NULL);
    } else {
        query = description_json(maker, plan->name != NULL ? plan->name : "", "", NULL);
        set_text(query, "state", "NOT_RUNNING");
    }
    json_object_set_new(entity, "queryDescription", query);
    return entity;
}

/* ---- streams and tables ---- */

static int64_t topic_partitions(const server *self, const char *name) {
    if (self->config.broker == NULL) return 0;
    const broker_topic *topic = broker_topic_find(self->config.broker, weir_bytes_text(name));
    return topic != NULL ? topic->partition_count : 0;
}

/* The running queries that read, or write, the source. */
static json_t *queries_of(const server *self, const char *source, bool readers) {
    const sql_catalog *catalog = engine_catalog(self->config.engine);
    json_t *queries = json_array();
    const sql_query_entry *query;
    for (size_t at = 0; (query = readers ? sql_catalog_reader(catalog, source, &at)
                                         : sql_catalog_writer(catalog, source, &at)) != NULL;) {
        const bool matches = strcmp(readers ? query->source : query->sink, source) == 0;
        engine_query_info info;
        if (matches && engine_query_find(self->config.engine, query->id, &info))
            json_array_append_new(queries, query_json(&info));
    }
    return queries;
}

static json_t *source_description(const entity_maker *maker, const sql_source *source) {
    json_t *json = json_object();
    set_text(json, "name", source->name);
    set_text(json, "windowType", window_name(source->window));
    json_object_set_new(json, "readQueries", queries_of(maker->server, source->name, true));
    json_object_set_new(json, "writeQueries", queries_of(maker->server, source->name, false));
    json_object_set_new(json, "fields", fields_json(source->schema));
    set_text(json, "type", source->is_table ? "TABLE" : "STREAM");
    set_text(json, "timestamp",
             source->timestamp_column >= 0 ? source->schema->columns[source->timestamp_column].name : "");
    set_text(json, "statistics", "");
    set_text(json, "errorStats", "");
    json_object_set_new(json, "extended", json_boolean(maker->plan->extended));
    set_text(json, "keyFormat", source->key_format);
    set_text(json, "valueFormat", source->value_format);
    set_text(json, "topic", source->topic);
    json_object_set_new(json, "partitions", json_integer(topic_partitions(maker->server, source->topic)));
    json_object_set_new(json, "replication", json_integer(1));
    set_text(json, "statement", source->statement);
    json_object_set_new(json, "queryOffsetSummaries", json_array());
    json_object_set_new(json, "sourceConstraints", json_array());
    return json;
}

static json_t *describe_entity(const entity_maker *maker) {
    const sql_source *source =
        sql_catalog_source(engine_catalog(maker->server->config.engine), maker->plan->name);
    json_t *entity = entity_create(maker, "sourceDescription");
    json_object_set_new(entity, "sourceDescription",
                        source != NULL ? source_description(maker, source) : json_null());
    return entity;
}

static json_t *source_json(const sql_source *source) {
    json_t *json = json_object();
    set_text(json, "type", source->is_table ? "TABLE" : "STREAM");
    set_text(json, "name", source->name);
    set_text(json, "topic", source->topic);
    set_text(json, "keyFormat", source->key_format);
    set_text(json, "valueFormat", source->value_format);
    json_object_set_new(json, "isWindowed", json_boolean(source->window != SQL_WINDOW_NONE));
    return json;
}

static json_t *sources_entity(const entity_maker *maker, bool tables) {
    const bool extended = maker->plan->extended;
    const char *plain = tables ? "tables" : "streams";
    json_t *entity = entity_create(maker, extended ? "source_descriptions" : plain), *list = json_array();
    const sql_source *source;
    for (size_t i = 0; (source = sql_catalog_source_at(engine_catalog(maker->server->config.engine), i)) != NULL; i++)
        if (source->is_table == tables)
            json_array_append_new(list, extended ? source_description(maker, source) : source_json(source));
    json_object_set_new(entity, extended ? "sourceDescriptions" : plain, list);
    return entity;
}

/* ---- topics, functions, properties ---- */

static json_t *topics_entity(const entity_maker *maker) {
    const bool extended = maker->plan->extended;
    const server *self = maker->server;
    json_t *entity = entity_create(maker, extended ? "kafka_topics_extended" : "kafka_topics"), *topics = json_array();
    const broker_topic *topic;
    for (size_t i = 0; (topic = broker_topic_at(self->config.broker, i)) != NULL; i++) {
        if (topic->internal || !server_topic_is_visible(self, maker->principal, topic->name)) continue;
        json_t *json = json_object(), *replicas = json_array();
        for (int32_t p = 0; p < topic->partition_count; p++) json_array_append_new(replicas, json_integer(1));
        set_text(json, "name", topic->name);
        json_object_set_new(json, "replicaInfo", replicas);
        if (extended) {
            json_object_set_new(json, "consumerCount", json_integer(0));
            json_object_set_new(json, "consumerGroupCount", json_integer(0));
        }
        json_array_append_new(topics, json);
    }
    json_object_set_new(entity, "topics", topics);
    return entity;
}

typedef struct function_name {
    const char *name, *type, *category;
} function_name;

static int compare_names(const void *a, const void *b) {
    return strcmp(((const function_name *)a)->name, ((const function_name *)b)->name);
}

static json_t *functions_entity(const entity_maker *maker) {
    enum { NAMES_MAX = 4096 };
    json_t *entity = entity_create(maker, "function_names"), *list = json_array();
    function_name *names = weir_alloc(&maker->server->account, NAMES_MAX * sizeof *names);
    size_t count = 0;
    const func_overload *overload;
    const func_aggregate *aggregate;
    for (size_t i = 0; count < NAMES_MAX && (overload = func_overload_at(i)) != NULL; i++)
        if (!(overload->flags & FUNC_INTERNAL))
            names[count++] = (function_name){overload->name, "SCALAR", overload->category};
    for (size_t i = 0; count < NAMES_MAX && (aggregate = func_aggregate_at(i)) != NULL; i++)
        names[count++] = (function_name){aggregate->name, "AGGREGATE", "AGGREGATE"};
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(names[i].name, names[i - 1].name) == 0) continue; /* another overload */
        json_t *json = json_object();
        set_text(json, "name", names[i].name);
        set_text(json, "type", names[i].type);
        set_text(json, "category", names[i].category);
        json_array_append_new(list, json);
    }
    weir_free(&maker->server->account, names);
    json_object_set_new(entity, "functions", list);
    return entity;
}

/* Parameter types as the catalogue lists them, cut at the commas that stand in no brackets. */
static json_t *arguments_json(const char *types, bool variadic) {
    json_t *arguments = json_array();
    for (const char *at = types; at != NULL && *at != '\0';) {
        int depth = 0;
        const char *end = at;
        while (*end != '\0' && (depth > 0 || *end != ',')) {
            depth += *end == '<' || *end == '(' ? 1 : *end == '>' || *end == ')' ? -1 : 0;
            end++;
        }
        json_t *argument = json_object();
        set_text(argument, "name", "");
        json_object_set_new(argument, "type", json_stringn(at, (size_t)(end - at)));
        set_text(argument, "description", "");
        at = *end == ',' ? end + 1 + strspn(end + 1, " ") : end;
        json_object_set_new(argument, "isVariadic", json_boolean(variadic && *at == '\0'));
        json_array_append_new(arguments, argument);
    }
    return arguments;
}

static json_t *overload_json(const char *arguments, bool variadic, const char *result, const char *about) {
    json_t *json = json_object();
    json_object_set_new(json, "arguments", arguments_json(arguments, variadic));
    set_text(json, "returnType", result);
    set_text(json, "description", about);
    return json;
}

static json_t *describe_function_entity(const entity_maker *maker) {
    const char *name = maker->plan->name, *about = "", *type = "SCALAR";
    json_t *entity = entity_create(maker, "describe_function"), *list = json_array();
    const func_overload *overload;
    const func_aggregate *aggregate;
    for (size_t i = 0; (overload = func_overload_at(i)) != NULL; i++) {
        if (strcasecmp(overload->name, name) != 0 || overload->flags & FUNC_INTERNAL) continue;
        about = overload->about;
        name = overload->name;
        json_array_append_new(list, overload_json(overload->arguments, overload->flags & FUNC_VARIADIC,
                                                  overload->result, overload->about));
    }
    for (size_t i = 0; (aggregate = func_aggregate_at(i)) != NULL; i++) {
        if (strcasecmp(aggregate->name, name) != 0) continue;
        about = aggregate->about;
        type = "AGGREGATE";
        name = aggregate->name;
        json_array_append_new(list, overload_json(aggregate->argument, false, aggregate->result, aggregate->about));
    }
    set_text(entity, "name", name);
    set_text(entity, "description", about);
    set_text(entity, "author", "weir");
    set_text(entity, "version", WEIR_VERSION);
    set_text(entity, "path", "internal");
    json_object_set_new(entity, "functions", list);
    set_text(entity, "type", type);
    return entity;
}

static void add_properties(json_t *list, json_t *names, const weir_setting *settings, size_t count,
                           const char *scope) {
    for (size_t i = 0; i < count; i++) {
        json_t *property = json_object();
        set_text(property, "name", settings[i].name);
        set_text(property, "scope", scope);
        set_text(property, "value", settings[i].value);
        json_object_set_new(property, "editable", json_true());
        json_array_append_new(list, property);
        if (names != NULL) json_array_append_new(names, server_json_text(settings[i].name));
    }
}

/* What was set: for the server, and over it for this request. */
static json_t *properties_entity(const entity_maker *maker) {
    const server_config *config = &maker->server->config;
    json_t *entity = entity_create(maker, "properties"), *list = json_array(), *overwritten = json_array();
    const weir_setting service = {"ksql.service.id", engine_service_id(config->engine)};
    add_properties(list, NULL, &service, 1, "KSQL");
    add_properties(list, overwritten, config->properties, config->property_count, "KSQL");
    add_properties(list, overwritten, maker->request->properties, maker->request->property_count, "SESSION");
    json_object_set_new(entity, "properties", list);
    json_object_set_new(entity, "overwrittenProperties", overwritten);
    json_object_set_new(entity, "defaultProperties", json_array());
    return entity;
}

/* ---- connectors ---- */

static const char *connector_state(connect_state state) {
    switch (state) {
    case CONNECT_STARTING: return "UNASSIGNED";
    case CONNECT_RUNNING: return "RUNNING";
    case CONNECT_STOPPED: return "PAUSED";
    case CONNECT_FAILED: return "FAILED";
    }
    return "UNKNOWN";
}

static json_t *connectors_entity(const entity_maker *maker) {
    json_t *entity = entity_create(maker, "connector_list"), *list = json_array();
    engine_connector_info info;
    for (size_t i = 0; engine_connector_at(maker->server->config.engine, i, &info); i++) {
        const char *state = connector_state(info.stats.state);
        json_t *json = json_object();
        set_text(json, "name", info.name);
        set_text(json, "type", "source");
        set_text(json, "className", info.source->name);
        char line[64];
        snprintf(line, sizeof line, "%s (%d/1 tasks RUNNING)", state, info.stats.state == CONNECT_RUNNING);
        set_text(json, "state", line);
        json_array_append_new(list, json);
    }
    json_object_set_new(entity, "connectors", list);
    return entity;
}

static json_t *connector_status(const server *self, const engine_connector_info *info) {
    const char *state = connector_state(info->stats.state);
    json_t *status = json_object(), *connector = json_object(), *task = json_object(), *tasks = json_array();
    set_text(connector, "state", state);
    set_text(connector, "worker_id", self->address);
    json_object_set_new(task, "id", json_integer(0));
    set_text(task, "state", state);
    set_text(task, "worker_id", self->address);
    if (info->stats.last_error.code != WEIR_OK) set_text(task, "trace", info->stats.last_error.text);
    json_array_append_new(tasks, task);
    set_text(status, "name", info->name);
    json_object_set_new(status, "connector", connector);
    json_object_set_new(status, "tasks", tasks);
    set_text(status, "type", "source");
    return status;
}

static json_t *describe_connector_entity(const entity_maker *maker) {
    const server *self = maker->server;
    json_t *entity = entity_create(maker, "connector_description"), *sources = json_array();
    engine_connector_info info;
    size_t i = 0;
    bool found = false;
    while (!found && engine_connector_at(self->config.engine, i++, &info))
        found = strcmp(info.name, maker->plan->name) == 0;
    set_text(entity, "connectorClass", found ? info.source->name : "");
    json_object_set_new(entity, "status", found ? connector_status(self, &info) : json_null());
    const sql_source *source;
    for (i = 0; found && (source = sql_catalog_source_at(engine_catalog(self->config.engine), i)) != NULL; i++)
        if (strcmp(source->topic, info.topic) == 0) json_array_append_new(sources, source_description(maker, source));
    json_object_set_new(entity, "sources", sources);
    json_object_set_new(entity, "topics", one_text(found ? info.topic : NULL));
    return entity;
}

/* ---- the choice ---- */

static json_t *show_entity(const entity_maker *maker) {
    switch (maker->plan->subject) {
    case SQL_STREAMS: return sources_entity(maker, false);
    case SQL_TABLES: return sources_entity(maker, true);
    case SQL_TOPICS: return topics_entity(maker);
    case SQL_QUERIES: return queries_entity(maker);
    case SQL_CONNECTORS: return connectors_entity(maker);
    case SQL_FUNCTIONS: return functions_entity(maker);
    case SQL_PROPERTIES: return properties_entity(maker);
    }
    return NULL;
}

const char *server_entity_refusal(const server *self, const sql_plan *plan) {
    if (plan->kind == SQL_PLAN_SHOW && plan->subject == SQL_TOPICS && self->config.broker == NULL)
        return "The topics of a Kafka cluster are not listed here; ask the cluster: weir topic list --bootstrap "
               "HOST:PORT.";
    return NULL;
}

json_t *server_entity(server *self, const server_request *request, const guard_principal *principal,
                      const engine_answer *answer) {
    const entity_maker maker = {self, request, principal, answer, answer->plan};
    if (answer->plan == NULL) return NULL;
    switch (answer->plan->kind) {
    case SQL_PLAN_CREATE_SOURCE:
    case SQL_PLAN_CREATE_AS: return created_entity(&maker);
    case SQL_PLAN_INSERT_SELECT: return insert_entity(&maker);
    case SQL_PLAN_DROP_SOURCE: return dropped_entity(&maker);
    case SQL_PLAN_TERMINATE: return terminated_entity(&maker);
    case SQL_PLAN_CREATE_CONNECTOR: return connector_info_entity(&maker);
    case SQL_PLAN_DROP_CONNECTOR: return connector_dropped_entity(&maker);
    case SQL_PLAN_SHOW: return show_entity(&maker);
    case SQL_PLAN_DESCRIBE: return describe_entity(&maker);
    case SQL_PLAN_DESCRIBE_FUNCTION: return describe_function_entity(&maker);
    case SQL_PLAN_DESCRIBE_CONNECTOR: return describe_connector_entity(&maker);
    case SQL_PLAN_EXPLAIN: return explain_entity(&maker);
    case SQL_PLAN_NOTHING: return nothing_entity(&maker);
    case SQL_PLAN_INSERT_VALUES: /* none, as ksqlDB */
    case SQL_PLAN_SET:
    case SQL_PLAN_UNSET:
    case SQL_PLAN_PUSH: /* refused before it was executed */
    case SQL_PLAN_PULL:
    case SQL_PLAN_PRINT:
    case SQL_PLAN_KIND_COUNT: return NULL;
    }
    return NULL;
}
