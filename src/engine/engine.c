/* The life of an engine: open, replay, run, close. Everything asynchronous that it starts is counted in `pending`; it
 * has ended when it was told to and the count is zero. */
#include "engine/engine_int.h"

#include "base/text.h"
#include "base/trace.h"

#include <stdio.h>

enum { RETRY_MS_FIRST = 15000, RETRY_MS_MAX = 900000 }; /* ksqlDB's */

/* Engines are few, and their own storage outlives their account. */
static weir_account engines_account = {.name = "engines"};

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static void close_run(io_job *job) {
    engine *self = io_owner(job, engine, closed_job);
    weir_assert(self->pending == 0 && !self->queries && !self->connectors && !self->requests);
    if (self->closed) self->closed(self->closed_arg);
}

void engine_begin(engine *self) {
    self->pending++;
}

void engine_end(engine *self) {
    weir_assert(self->pending > 0);
    if (--self->pending == 0) engine_post(self, &self->closed_job); /* only closing lets go of the last */
}

void engine_post(engine *self, io_job *job) {
    io_post(self->world->executor, self->owner, job);
}

int64_t engine_now_ms(const engine *self) {
    return io_now_ns(self->world->clock) / 1000000;
}

/* ---- properties -------------------------------------------------------------------------------------------------- */

const char *engine_property(const engine *self, const char *name, const char *fallback) {
    static const char prefix[] = "ksql.streams.";
    for (size_t i = self->property_count; i > 0; i--) {
        const char *given = self->properties[i - 1].name;
        if (strncmp(given, prefix, sizeof prefix - 1) == 0) given += sizeof prefix - 1;
        if (strcmp(given, name) == 0) return self->properties[i - 1].value;
    }
    return fallback;
}

static weir_status read_ms(const engine *self, const char *name, int64_t fallback, int64_t *value) {
    const char *text = engine_property(self, name, NULL);
    *value = fallback;
    if (!text || (weir_parse_i64(weir_bytes_text(text), value) && *value >= 0)) return weir_ok();
    return weir_fail(WEIR_INVALID, "%s is '%s'; it is a number of milliseconds from 0", name, text);
}

static weir_status read_properties(engine *self) {
    WEIR_TRY(read_ms(self, "ksql.query.retry.backoff.initial.ms", RETRY_MS_FIRST, &self->retry_ms_first));
    WEIR_TRY(read_ms(self, "ksql.query.retry.backoff.max.ms", RETRY_MS_MAX, &self->retry_ms_max));
    WEIR_TRY(read_ms(self, "commit.interval.ms", 0, &self->flow.commit_interval_ms));
    if (self->retry_ms_max < self->retry_ms_first) self->retry_ms_max = self->retry_ms_first;
    const int length =
        snprintf(self->command_topic, sizeof self->command_topic, "_confluent-ksql-%s_command_topic", self->service_id);
    if (length < (int)sizeof self->command_topic) return weir_ok();
    return weir_fail(WEIR_INVALID,
                     "the service id '%s' is too long: its command topic's name would have %d characters, "
                     "allowed %d",
                     self->service_id, length, BUS_TOPIC_NAME_MAX);
}

/* ---- open -------------------------------------------------------------------------------------------------------- */

void engine_tell_ready(engine *self, weir_status status) {
    void (*ready)(void *arg, weir_status status) = self->ready;
    self->ready = NULL;
    if (!ready) return;
    self->is_ready = !weir_failed(status);
    ready(self->ready_arg, status);
}

static void start_run(io_job *job) {
    engine *self = io_owner(job, engine, start);
    const weir_status status = read_properties(self);
    if (self->is_closing)
        engine_tell_ready(self, weir_fail(WEIR_CANCELLED, "the engine was closed while it started"));
    else if (weir_failed(status))
        engine_tell_ready(self, status);
    else
        engine_replay(self);
    engine_end(self);
}

static void copy_properties(engine *self, const engine_config *config) {
    self->property_count = config->property_count;
    self->properties = weir_alloc(&self->account, sizeof *self->properties * (config->property_count + 1));
    for (size_t i = 0; i < config->property_count; i++) {
        self->properties[i] = (weir_setting){weir_strdup(&self->account, config->properties[i].name),
                                             weir_strdup(&self->account, config->properties[i].value)};
    }
}

engine *engine_open(const engine_config *config, void (*ready)(void *arg, weir_status status), void *arg) {
    engine *self = weir_alloc(&engines_account, sizeof *self);
    weir_account_init(&self->account, "engine", 0);
    self->world = config->world;
    self->bus = config->bus;
    self->owner = config->owner;
    self->service_id = weir_strdup(&self->account, config->service_id ? config->service_id : "default_");
    if (config->state_directory) self->state_directory = weir_strdup(&self->account, config->state_directory);
    copy_properties(self, config);
    self->ready = ready;
    self->ready_arg = arg;
    self->catalog = sql_catalog_create(&self->account);
    self->flow = (flow_runtime){
        .world = self->world, .bus = self->bus, .owner = self->owner, .state_directory = self->state_directory};
    self->connect = (connect_runtime){self->world, self->bus, self->owner, &self->account};
    self->files_lane = io_lane_create(self->world->executor, IO_LANE_BLOCKING, "engine.files");
    io_job_init(&self->start, start_run);
    io_job_init(&self->closed_job, close_run);
    engine_begin(self); /* ended by engine_close() */
    engine_begin(self); /* ended by start_run() */
    engine_post(self, &self->start);
    return self;
}

/* ---- close ------------------------------------------------------------------------------------------------------- */

static void query_closed(void *arg, engine_query *query) {
    (void)arg;
    engine *self = query->engine;
    engine_query_free(query);
    engine_end(self);
}

static void connector_closed(void *arg, engine_connector *connector) {
    (void)arg;
    engine *self = connector->engine;
    engine_connector_free(connector);
    engine_end(self);
}

void engine_close(engine *self, void (*closed)(void *arg), void *arg) {
    weir_assert(!self->is_closing);
    self->is_closing = true;
    self->is_ready = false;
    self->closed = closed;
    self->closed_arg = arg;
    engine_replay_stop(self);
    engine_request_cancel_all(self);
    while (self->queries) {
        engine_query *query = self->queries;
        self->queries = query->next;
        engine_begin(self);
        engine_query_stop(query, query_closed, NULL);
    }
    while (self->connectors) {
        engine_connector *connector = self->connectors;
        self->connectors = connector->next;
        engine_begin(self);
        engine_connector_stop(connector, connector_closed, NULL);
    }
    engine_end(self);
}

void engine_free(engine *self) {
    weir_assert(self->is_closing && self->pending == 0);
    io_lane_destroy(self->world->executor, self->files_lane);
    sql_catalog_destroy(self->catalog);
    for (size_t i = 0; i < self->property_count; i++) {
        weir_free(&self->account, (char *)self->properties[i].name);
        weir_free(&self->account, (char *)self->properties[i].value);
    }
    weir_free(&self->account, self->properties);
    weir_free(&self->account, self->service_id);
    weir_free(&self->account, self->state_directory);
    weir_account_deinit(&self->account);
    weir_free(&engines_account, self);
}

const sql_catalog *engine_catalog(const engine *self) {
    return self->catalog;
}

const char *engine_service_id(const engine *self) {
    return self->service_id;
}

bool engine_is_ready(const engine *self) {
    return self->is_ready;
}
