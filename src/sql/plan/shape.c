/* From a checked query to the topology that flow runs, and the labels of what survives a restart: ksqlDB's own names.
 */
#include "sql/plan/plan_int.h"

typedef struct shape {
    sql_analyser *a;
    weir_arena *arena;
    const sql_checked_query *query;
    const sql_source *sink;
    const char *query_id;
    const char *prefix; /* of internal topics and the group */
    const flow_node *last;
    uint32_t count;
} shape;

static flow_window_kind window_kind(sql_window_kind kind) {
    switch (kind) {
    case SQL_WINDOW_TUMBLING: return FLOW_WINDOW_TUMBLING;
    case SQL_WINDOW_HOPPING: return FLOW_WINDOW_HOPPING;
    default: return FLOW_WINDOW_NONE;
    }
}

flow_topic sql_shape_topic(const sql_source *source) {
    return (flow_topic){
        .name = source->topic,
        .key_format =
            source->schema->key_count == 0 ? "NONE" : source->key_format, /* without key columns nothing is read */
        .value_format = source->value_format,
        .key_options = source->key_options,
        .key_option_count = source->key_option_count,
        .value_options = source->value_options,
        .value_option_count = source->value_option_count,
        .schema = source->schema,
        .window = {.kind = window_kind(source->window),
                   .size_ms = source->window_size_ms,
                   .advance_ms = source->window_advance_ms},
        .is_table = source->is_table,
    };
}

/* The next node over the last one, of the same nature until the caller says otherwise. */
static flow_node *add(shape *s, flow_node_kind kind, const char *id, const data_schema *schema) {
    flow_node *node = weir_arena_new(s->arena, flow_node);
    node->kind = kind;
    node->id = id;
    node->input = s->last;
    node->schema = schema;
    if (s->last != NULL) {
        node->is_table = s->last->is_table;
        node->windowed = s->last->windowed;
    }
    s->last = node;
    s->count++;
    return node;
}

static void add_source(shape *s) {
    const sql_source *source = s->query->source;
    flow_node *node = add(s, FLOW_SOURCE, "Source", source->schema);
    node->is_table = source->is_table;
    node->windowed = source->window != SQL_WINDOW_NONE;
    node->source.topic = sql_shape_topic(source);
    node->source.timestamp_column = source->timestamp_column;
    node->source.timestamp_format = source->timestamp_format;
    node->source.quarantine_topic = s->sink == NULL ? NULL : source->quarantine_topic;
}

static void add_filter(shape *s, const char *id, const func_expr *condition) {
    if (condition == NULL) return;
    add(s, FLOW_FILTER, id, s->last->schema)->filter.condition = condition;
}

static void add_project(shape *s, const char *id, const data_schema *schema, const func_expr *const *exprs) {
    flow_projection *columns = weir_arena_array(s->arena, flow_projection, schema->count);
    for (uint32_t i = 0; i < schema->count; i++) columns[i].expr = exprs[i];
    add(s, FLOW_PROJECT, id, schema)->project.columns = columns;
}

static bool format_holds(shape *s, const char *name, const data_schema *schema, data_role role,
                         const weir_setting *options, uint32_t count) {
    const format_vtable *format;
    const format_spec spec = {schema, role, options, count};
    format_encoder *encoder = NULL;
    if (weir_failed(format_find(name, &format)) || weir_failed(format->supports(&spec))) return false;
    const bool writes = !weir_failed(format->encoder_create(s->arena->account, &spec, &encoder));
    format_encoder_destroy(encoder);
    return writes;
}

/* Between the parts of a query rows travel in the formats of its source and sink where those can hold them, else in
 * JSON. */
static void add_repartition(shape *s) {
    const data_schema *schema = s->query->prepared;
    const sql_source *source = s->query->source, *ends = s->sink != NULL ? s->sink : source;
    flow_node *node = add(s, FLOW_REPARTITION, "GroupBy", schema);
    flow_topic *topic = &node->repartition.topic;
    topic->name = weir_arena_format(s->arena, "%s%s-Aggregate-GroupBy-repartition", s->prefix, s->query_id);
    topic->schema = schema;
    topic->key_format = "JSON";
    topic->value_format = "JSON";
    if (format_holds(s, ends->key_format, schema, DATA_ROLE_KEY, ends->key_options, ends->key_option_count)) {
        topic->key_format = ends->key_format;
        topic->key_options = ends->key_options;
        topic->key_option_count = ends->key_option_count;
    }
    if (strcmp(source->value_format, "KAFKA") != 0 && schema->count > schema->key_count &&
        format_holds(s, source->value_format, schema, DATA_ROLE_VALUE, source->value_options,
                     source->value_option_count)) {
        topic->value_format = source->value_format;
        topic->value_options = source->value_options;
        topic->value_option_count = source->value_option_count;
    }
}

static void add_aggregate(shape *s) {
    const sql_checked_query *q = s->query;
    const sql_checked_window *w = &q->window;
    const sql_source *ends = s->sink != NULL ? s->sink : q->source;
    flow_node *node = add(s, FLOW_AGGREGATE, "Aggregate", q->aggregated);
    flow_aggregation *aggregations = weir_arena_array(s->arena, flow_aggregation, q->aggregation_count);
    for (uint32_t i = 0; i < q->aggregation_count; i++)
        aggregations[i] = (flow_aggregation){q->aggregations[i].aggregate, q->aggregations[i].argument};
    node->is_table = true;
    node->windowed = w->kind != SQL_WINDOW_NONE;
    node->aggregate.key_count = q->aggregated->key_count;
    node->aggregate.aggregations = aggregations;
    node->aggregate.aggregation_count = q->aggregation_count;
    node->aggregate.window =
        (flow_window){window_kind(w->kind), w->size_ms, w->advance_ms, w->grace_ms, w->retention_ms};
    node->aggregate.key_format =
        format_holds(s, ends->key_format, q->aggregated, DATA_ROLE_KEY, ends->key_options, ends->key_option_count)
            ? ends->key_format
            : "JSON";
    node->aggregate.store = "Aggregate-Aggregate-Materialize";
    if (s->sink != NULL)
        node->aggregate.changelog_topic =
            weir_arena_format(s->arena, "%s%s-Aggregate-Aggregate-Materialize-changelog", s->prefix, s->query_id);
}

/* How many updates of a group are told: ksqlDB's record cache of 0 bytes means every one. */
static bool emits_every_update(const sql_analyser *a) {
    const char *bytes = sql_session_property(a, "cache.max.bytes.buffering", NULL);
    if (bytes == NULL) bytes = sql_session_property(a, "statestore.cache.max.bytes", "10000000");
    return strcmp(bytes, "0") == 0;
}

const flow_topology *sql_shape_query(sql_analyser *a, const sql_checked_query *query, const sql_source *sink,
                                     const char *query_id, bool from_earliest) {
    shape s = {.a = a, .arena = a->arena, .query = query, .sink = sink, .query_id = query_id};
    s.prefix =
        weir_arena_format(s.arena, "_confluent-ksql-%s%s", sql_session_property(a, "ksql.service.id", "default_"),
                          sink != NULL ? "query_" : "transient_");
    add_source(&s);
    add_filter(&s, "Where", query->where);
    if (query->is_aggregate) {
        add_project(&s, "Prepare", query->prepared, query->prepare);
        if (!query->group_unchanged) add_repartition(&s);
        add_aggregate(&s);
        add_filter(&s, "Having", query->having);
    }
    if (!query->select_is_identity) add_project(&s, "Project", query->schema, query->select);
    flow_node *end = add(&s, sink != NULL ? FLOW_SINK : FLOW_OUTPUT, sink != NULL ? "Sink" : "Output", query->schema);
    if (sink != NULL) {
        end->sink.topic = sql_shape_topic(sink);
        end->sink.partition_count = sink->partitions;
    }
    flow_topology *topology = weir_arena_new(s.arena, flow_topology);
    topology->query_id = query_id;
    topology->group = sink == NULL ? NULL : weir_arena_format(s.arena, "%s%s", s.prefix, query_id);
    topology->emit_every_update = emits_every_update(a);
    topology->from_earliest = from_earliest;
    topology->root = s.last;
    topology->node_count = s.count;
    return topology;
}
