/* A command from its plan to its answer:
 *
 *   write the record -> is the command topic as we left it? -> topics -> append -> apply, start -> stop, delete ->
 * answer
 *
 * Until the record is durable nothing has happened (a topic that was made stays); from then on a restart does the same.
 */
#include "engine/engine_int.h"

enum { TOPIC_CONFIGS_MAX = 32 };

static bus *bus_of(const engine_request *request) {
    return request->engine->bus;
}

/* ---- apply and answer -------------------------------------------------------------------------------------------- */

static const char *message_of(engine_request *request) {
    const sql_plan *plan = request->plan;
    weir_arena *arena = &request->statement;
    if (plan->message) return plan->message;
    switch (plan->kind) {
    case SQL_PLAN_CREATE_SOURCE: return plan->source->is_table ? "Table created" : "Stream created";
    case SQL_PLAN_CREATE_AS:
    case SQL_PLAN_INSERT_SELECT: return weir_arena_format(arena, "Created query with ID %s", plan->query->id);
    case SQL_PLAN_DROP_SOURCE: {
        const sql_source *source = sql_catalog_source(request->engine->catalog, plan->name);
        return weir_arena_format(arena, "Source `%s` (topic: %s) was dropped.", plan->name,
                                 source ? source->topic : "");
    }
    case SQL_PLAN_TERMINATE: return "Query terminated.";
    case SQL_PLAN_CREATE_CONNECTOR: return weir_arena_format(arena, "Created connector %s", plan->name);
    default: return weir_arena_format(arena, "Dropped connector \"%s\"", plan->name);
    }
}

static void cleaned_up(void *arg, weir_status topics) {
    engine_request *request = arg;
    if (weir_failed(topics))
        request->message = weir_arena_format(&request->statement, "%s But %s", request->message, topics.text);
    engine_query *query = request->plan->query ? engine_query_of(request->engine, request->plan->query->id) : NULL;
    if (query && query->flow && !query->is_running) query->creator = request; /* who reads its topic next finds it */
    else engine_statement_answer(request, weir_ok());
}

static void start_new(engine_request *request) {
    engine *self = request->engine;
    const sql_plan *plan = request->plan;
    if (self->is_closing) return; /* the next start does it */
    if (plan->query) engine_query_start(engine_query_of(self, plan->query->id));
    if (plan->kind != SQL_PLAN_CREATE_CONNECTOR) return;
    engine_connector *connector = self->connectors;
    while (strcmp(connector->name, plan->name) != 0) connector = connector->next;
    engine_connector_start(connector);
}

static void apply(engine_request *request) {
    engine *self = request->engine;
    const sql_plan *plan = request->plan, *replayed;
    engine_cleanup *cleanup = engine_cleanup_create(self);
    request->message = message_of(request);
    request->query_id = plan->query ? plan->query->id : plan->end_query_count ? plan->end_queries[0] : NULL;
    const weir_status status =
        engine_command_apply(self, weir_buffer_view(&request->record), &request->statement, cleanup, &replayed);
    if (weir_failed(status)) {
        engine_cleanup_free(cleanup);
        engine_statement_answer(request,
                                weir_context(status, "the statement is recorded but could not be carried out; a "
                                                     "restart will try again"));
        return;
    }
    start_new(request);
    if (plan->delete_topic) engine_cleanup_add_topic(cleanup, plan->delete_topic);
    engine_cleanup_run(cleanup, cleaned_up, request);
}

/* ---- append ------------------------------------------------------------------------------------------------------ */

static void commit_done(io_job *job) {
    engine_request *request = io_owner(job, engine_request, committed);
    engine *self = request->engine;
    const bus_vtable *vtable = self->bus->vtable;
    const weir_status status = vtable->commit_result(request->commit);
    const int64_t end = weir_failed(status) ? -1 : vtable->commit_end_offset(request->commit, self->command_topic, 0);
    vtable->commit_free(request->commit);
    request->commit = NULL;
    if (weir_failed(status)) {
        engine_statement_answer(request, weir_context(status, "recording the statement in %s", self->command_topic));
        return;
    }
    weir_assert(end > self->command_end);
    request->sequence = end - 1;
    self->command_end = end;
    apply(request);
}

static void append(engine_request *request) {
    engine *self = request->engine;
    const bus_vtable *vtable = self->bus->vtable;
    request->commit = vtable->commit_begin(self->bus, self->owner, NULL);
    const bus_row row = {.timestamp_ms = io_wall_ms(self->world->clock), .value = weir_buffer_view(&request->record)};
    const weir_status status = vtable->commit_add(request->commit, self->command_topic, 0, &row);
    if (weir_failed(status)) {
        vtable->commit_free(request->commit);
        request->commit = NULL;
        engine_statement_answer(request, weir_context(status, "recording the statement in %s", self->command_topic));
        return;
    }
    io_job_init(&request->committed, commit_done);
    vtable->commit_send(request->commit, &request->committed);
}

/* ---- topics ------------------------------------------------------------------------------------------------------ */

static void topic_made(void *arg, weir_status status, const bus_topic_info *info) {
    (void)info;
    engine_request *request = arg;
    if (weir_failed(status) && status.code != WEIR_EXISTS)
        engine_statement_answer(request, weir_context(status, "making topic %s", request->plan->topic.name));
    else
        append(request);
}

static void make_topic(engine_request *request, int32_t partitions) {
    const sql_plan_topic *topic = &request->plan->topic;
    const char *config[TOPIC_CONFIGS_MAX][2];
    size_t count = 0;
    bool has_policy = false;
    for (uint32_t i = 0; i < topic->config_count && count < TOPIC_CONFIGS_MAX - 1; i++) {
        has_policy = has_policy || strcmp(topic->configs[i].name, "cleanup.policy") == 0;
        config[count][0] = topic->configs[i].name;
        config[count++][1] = topic->configs[i].value;
    }
    const sql_source *source = request->plan->source;
    if (!has_policy && source->is_table && source->window == SQL_WINDOW_NONE) {
        config[count][0] = "cleanup.policy";
        config[count++][1] = "compact";
    }
    bus_of(request)->vtable->topic_create(bus_of(request), request->engine->owner, topic->name, partitions,
                                          (const char *const(*)[2])config, count, topic_made, request);
}

static void like_described(void *arg, weir_status status, const bus_topic_info *info) {
    engine_request *request = arg;
    if (weir_failed(status))
        engine_statement_answer(request, weir_context(status, "topic %s", request->plan->topic.like));
    else
        make_topic(request, info->exists ? info->partition_count : 1);
}

static weir_status check_existing(const sql_plan_topic *topic, const bus_topic_info *info) {
    if (!topic->must_match || info->partition_count == topic->partitions) return weir_ok();
    return weir_fail(
        WEIR_INVALID,
        "A Kafka topic with the name '%s' already exists, with different partition/replica "
        "configuration than required. KSQL expects %d partitions (topic has %d). Leave PARTITIONS out to use "
        "the topic as it is.",
        topic->name, topic->partitions, info->partition_count);
}

static void topic_described(void *arg, weir_status status, const bus_topic_info *info) {
    engine_request *request = arg;
    const sql_plan *plan = request->plan;
    const sql_plan_topic *topic = &plan->topic;
    if (!weir_failed(status) && info->exists)
        status = check_existing(topic, info);
    else if (!weir_failed(status) && plan->kind == SQL_PLAN_CREATE_SOURCE && topic->partitions == 0)
        status =
            weir_fail(WEIR_NOT_FOUND,
                      "Topic '%s' does not exist. If you want to create a new topic for the %s please "
                      "re-run the statement providing the required 'PARTITIONS' configuration in the WITH clause (and "
                      "optionally 'REPLICAS').",
                      topic->name, plan->source->is_table ? "table" : "stream");
    if (weir_failed(status))
        engine_statement_answer(request, status);
    else if (info->exists)
        append(request);
    else if (topic->partitions > 0)
        make_topic(request, topic->partitions);
    else if (topic->config_count == 0)
        append(request); /* the query makes its sink */
    else if (topic->like)
        bus_of(request)->vtable->topic_describe(bus_of(request), request->engine->owner, topic->like, like_described,
                                                request);
    else
        make_topic(request, 1);
}

/* ---- begin ------------------------------------------------------------------------------------------------------- */

static void end_known(void *arg, weir_status status, int64_t end) {
    engine_request *request = arg;
    engine *self = request->engine;
    if (!weir_failed(status) && end != self->command_end)
        status = weir_fail(WEIR_FENCED,
                           "somebody else has written to it (its end is %lld, not %lld); restart to carry out "
                           "what is there",
                           (long long)end, (long long)self->command_end);
    if (weir_failed(status))
        engine_statement_answer(request, weir_context(status, "command topic %s", self->command_topic));
    else if (request->plan->topic.name)
        self->bus->vtable->topic_describe(self->bus, self->owner, request->plan->topic.name, topic_described, request);
    else
        append(request);
}

void engine_command_run(engine_request *request) {
    engine *self = request->engine;
    const sql_plan *plan = request->plan;
    weir_status status = weir_ok();
    if (plan->kind == SQL_PLAN_CREATE_CONNECTOR) status = engine_connector_check(plan->connector);
    if (!weir_failed(status))
        status = engine_command_write(plan, request->properties + self->property_count,
                                      request->property_count - self->property_count, &request->record);
    if (weir_failed(status))
        engine_statement_answer(request, status);
    else
        self->bus->vtable->end_offset(self->bus, self->owner, self->command_topic, 0, end_known, request);
}
