/* Commands: what must survive is a record of the command topic,
 *
 *   {"statement": text, "properties": {name: value}, "plan": sql_plan_to_json(), "version": 1}
 *
 * A start reads them from the first to the last and does to catalog, queries and connectors what each says; only then
 * are those that are left started. The topic has one partition and one writer: before each append the writer checks
 * that nobody else has written (a record's offset is the number in its query's id). */
#include "engine/engine_int.h"

#include "base/trace.h"

#include <jansson.h>

enum { REPLAY_AHEAD_BYTES = 1 << 20, PLAN_ARENA_BYTES = 128 << 20 };

/* ---- records ----------------------------------------------------------------------------------------------------- */

static json_t *properties_json(const weir_setting *properties, size_t count) {
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, properties[i].name, json_string(properties[i].value));
    return object;
}

static int append_json(const char *text, size_t size, void *buffer) {
    weir_buffer_append(buffer, text, size);
    return 0;
}

weir_status engine_command_write(const sql_plan *plan, const weir_setting *properties, size_t property_count,
                                 weir_buffer *record) {
    weir_buffer plan_text;
    weir_buffer_init(&plan_text, record->account, SQL_PLAN_JSON_BYTES_MAX);
    weir_status status = sql_plan_to_json(plan, &plan_text);
    json_error_t error;
    json_t *plan_json =
        weir_failed(status) ? NULL : json_loadb((const char *)plan_text.data, plan_text.size, 0, &error);
    weir_buffer_deinit(&plan_text);
    WEIR_TRY(status);
    weir_assert(plan_json);
    json_t *root = json_object();
    json_object_set_new(root, "statement", json_string(plan->statement));
    json_object_set_new(root, "properties", properties_json(properties, property_count));
    json_object_set_new(root, "plan", plan_json);
    json_object_set_new(root, "version", json_integer(ENGINE_RECORD_VERSION));
    const int failed = json_dump_callback(root, append_json, record, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(root);
    if (failed == 0 && !record->overflowed) return weir_ok();
    return weir_fail(WEIR_FULL, "the command of this statement is larger than %zu bytes", record->max_bytes);
}

static weir_status read_version(const json_t *root) {
    const json_t *version = json_object_get(root, "version");
    if (!json_is_integer(version)) return weir_fail(WEIR_CORRUPT, "it has no member \"version\"");
    if (json_integer_value(version) > ENGINE_RECORD_VERSION)
        return weir_fail(WEIR_UNSUPPORTED, "it has version %lld and this weir reads up to %d; start a newer weir",
                         (long long)json_integer_value(version), ENGINE_RECORD_VERSION);
    return weir_ok();
}

/* The plan's text out of a record. */
static weir_status read_record(weir_bytes record, weir_buffer *plan_json) {
    json_error_t error;
    json_t *root = json_loadb((const char *)record.data, record.size, 0, &error);
    if (!root) return weir_fail(WEIR_CORRUPT, "it is not JSON: %s at byte %d", error.text, error.position);
    weir_status status = read_version(root);
    const json_t *plan = json_object_get(root, "plan");
    if (!weir_failed(status) && !json_is_object(plan)) status = weir_fail(WEIR_CORRUPT, "it has no member \"plan\"");
    if (!weir_failed(status)) json_dump_callback(plan, append_json, plan_json, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(root);
    if (!weir_failed(status) && plan_json->overflowed) status = weir_fail(WEIR_CORRUPT, "its plan is too large");
    return status;
}

/* ---- what a command does ----------------------------------------------------------------------------------------- */

static weir_status apply_plan(engine *self, const sql_plan *plan, weir_bytes plan_json, engine_cleanup *cleanup) {
    engine_query *query = NULL;
    if (plan->query) WEIR_TRY(engine_query_create(self, plan_json, &query));
    const weir_status status = sql_plan_apply(plan, self->catalog);
    if (weir_failed(status)) {
        if (query) engine_query_free(query);
        return status;
    }
    for (uint32_t i = 0; i < plan->end_query_count; i++) {
        engine_query *ended = engine_query_take(self, plan->end_queries[i]);
        if (ended) engine_cleanup_add_query(cleanup, ended);
    }
    if (query) engine_query_append(query);
    if (plan->kind == SQL_PLAN_CREATE_CONNECTOR) engine_connector_create(self, plan->connector);
    if (plan->kind == SQL_PLAN_DROP_CONNECTOR) {
        engine_connector *dropped = engine_connector_take(self, plan->name);
        if (dropped) engine_cleanup_add_connector(cleanup, dropped);
    }
    return weir_ok();
}

weir_status engine_command_apply(engine *self, weir_bytes record, weir_arena *arena, engine_cleanup *cleanup,
                                 const sql_plan **plan) {
    weir_buffer plan_json;
    weir_buffer_init(&plan_json, &self->account, SQL_PLAN_JSON_BYTES_MAX * 2); /* escapes may have grown */
    weir_status status = read_record(record, &plan_json);
    if (!weir_failed(status)) status = sql_plan_from_json(arena, weir_buffer_view(&plan_json), plan);
    if (!weir_failed(status)) status = apply_plan(self, *plan, weir_buffer_view(&plan_json), cleanup);
    weir_buffer_deinit(&plan_json);
    return status;
}

/* ---- replay ------------------------------------------------------------------------------------------------------ */

static void close_reader(engine *self) {
    if (self->reader) self->bus->vtable->reader_close(self->reader);
    self->reader = NULL;
}

static void fail_replay(engine *self, weir_status status) {
    weir_error kept; /* closing the reader may use up the thread's sentences */
    weir_error_set(&kept, status);
    close_reader(self);
    engine_tell_ready(self, weir_context(weir_error_status(&kept), "command topic %s", self->command_topic));
    if (self->leftovers) engine_cleanup_free(self->leftovers);
    self->leftovers = NULL;
    engine_end(self);
}

static void leftovers_gone(void *arg, weir_status topics) {
    (void)topics;
    engine_end(arg);
}

static void start_all(engine *self) {
    close_reader(self);
    engine_cleanup *leftovers = self->leftovers;
    self->leftovers = NULL;
    if (leftovers) {
        engine_begin(self);
        engine_cleanup_run(leftovers, leftovers_gone, self);
    }
    for (engine_query *query = self->queries; query; query = query->next) engine_query_start(query);
    for (engine_connector *connector = self->connectors; connector; connector = connector->next)
        engine_connector_start(connector);
    engine_tell_ready(self, weir_ok());
    engine_end(self);
}

static weir_status replay_row(engine *self, const bus_row *row) {
    /* Commands are carried out one at a time, so only the last one's leftovers can have outlived a crash. */
    if (self->leftovers) engine_cleanup_free(self->leftovers);
    self->leftovers = engine_cleanup_create(self);
    weir_arena arena;
    weir_arena_init(&arena, &self->account, PLAN_ARENA_BYTES);
    const sql_plan *plan;
    const weir_status status = engine_command_apply(self, row->value, &arena, self->leftovers, &plan);
    weir_arena_deinit(&arena);
    return weir_context(status, "the command at offset %lld cannot be carried out", (long long)row->offset);
}

static weir_status replay_block(engine *self, const bus_block *block) {
    for (uint32_t i = 0; i < block->count && block->rows[i].offset < self->command_end; i++)
        WEIR_TRY(replay_row(self, &block->rows[i]));
    return weir_ok();
}

static void replay_wake(io_job *job) {
    engine *self = io_owner(job, engine, reader_wake);
    if (!self->reader) return; /* a wake-up that came after the end */
    int64_t next = 0;
    while (next < self->command_end) {
        bus_block *block = NULL;
        weir_status status = self->bus->vtable->reader_next(self->reader, &block);
        if (!weir_failed(status) && !block) return;
        if (!weir_failed(status)) {
            next = block->next_offset;
            status = replay_block(self, block);
            data_buffer_release(&block->buffer);
        }
        if (weir_failed(status)) {
            fail_replay(self, status);
            return;
        }
    }
    start_all(self);
}

static void end_known(void *arg, weir_status status, int64_t end) {
    engine *self = arg;
    if (!weir_failed(status) && self->is_closing)
        status = weir_fail(WEIR_CANCELLED, "the engine was closed while it started");
    if (!weir_failed(status)) {
        self->command_end = end;
        if (end == 0) {
            start_all(self);
            return;
        }
        status = self->bus->vtable->reader_open(self->bus, self->owner, self->command_topic, 0, BUS_OFFSET_EARLIEST,
                                                REPLAY_AHEAD_BYTES, &self->reader_wake, &self->reader);
    }
    if (weir_failed(status))
        fail_replay(self, status);
    else
        engine_post(self, &self->reader_wake);
}

static void topic_known(void *arg, weir_status status, const bus_topic_info *info) {
    engine *self = arg;
    if (status.code == WEIR_EXISTS) status = weir_ok();
    if (!weir_failed(status) && info->partition_count != 1)
        status = weir_fail(WEIR_INVALID, "it has %d partitions and must have one", info->partition_count);
    if (!weir_failed(status) && self->is_closing)
        status = weir_fail(WEIR_CANCELLED, "the engine was closed while it started");
    if (weir_failed(status))
        fail_replay(self, status);
    else
        self->bus->vtable->end_offset(self->bus, self->owner, self->command_topic, 0, end_known, self);
}

void engine_replay(engine *self) {
    static const char *const config[][2] = {{"cleanup.policy", "delete"}, {"retention.ms", "-1"}};
    io_job_init(&self->reader_wake, replay_wake);
    engine_begin(self); /* until it has ended, in whichever way */
    self->bus->vtable->topic_create(self->bus, self->owner, self->command_topic, 1, config, 2, topic_known, self);
}

void engine_replay_stop(engine *self) {
    if (self->reader) fail_replay(self, weir_fail(WEIR_CANCELLED, "the engine was closed while it started"));
}
