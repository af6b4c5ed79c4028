/* Persistent queries: a plan of its own, and, while it runs, a flow query. One that failed is started again after a
 * pause that doubles from ksql.query.retry.backoff.initial.ms to .max.ms and begins anew once a run has lasted longer
 * than the longest pause. */
#include "engine/engine_int.h"

#include "base/trace.h"

enum { PLAN_ARENA_BYTES = 128 << 20, RATE_SPAN_MS = 2000 };

/* ---- the list ---------------------------------------------------------------------------------------------------- */

engine_query *engine_query_of(const engine *self, const char *id) {
    engine_query *query = self->queries;
    while (query && strcmp(query->plan->query->id, id) != 0) query = query->next;
    return query;
}

void engine_query_append(engine_query *query) {
    engine_query **last = &query->engine->queries;
    while (*last) last = &(*last)->next;
    *last = query;
}

engine_query *engine_query_take(engine *self, const char *id) {
    engine_query **at = &self->queries;
    while (*at && strcmp((*at)->plan->query->id, id) != 0) at = &(*at)->next;
    engine_query *taken = *at;
    if (taken) *at = taken->next;
    return taken;
}

/* ---- who waits for it ------------------------------------------------------------------------------- */

static void tell_waiting(engine_query *query, weir_status status) {
    engine_select *waiting = query->waiting;
    query->waiting = NULL;
    while (waiting) {
        engine_select *next = engine_select_next_waiting(waiting);
        if (weir_failed(status))
            engine_select_query_failed(waiting, status);
        else
            engine_select_query_runs(waiting);
        waiting = next;
    }
    engine_request *creator = query->creator;
    query->creator = NULL;
    if (creator) engine_statement_answer(creator, weir_ok());
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void add_counts(flow_query_stats *sum, const flow_query_stats *more) {
    sum->rows_in += more->rows_in;
    sum->rows_out += more->rows_out;
    sum->filtered += more->filtered;
    sum->late += more->late;
    sum->null_key += more->null_key;
    sum->null_value += more->null_value;
    sum->quarantined += more->quarantined;
    sum->aggregated += more->aggregated;
    sum->errors_as_null += more->errors_as_null;
    sum->changes_filtered += more->changes_filtered;
    sum->windows_expired += more->windows_expired;
}

/* The stopped query belongs to whoever is told. */
static void tell_stopped(engine_query *query) {
    engine *self = query->engine;
    tell_waiting(query, weir_fail(WEIR_CANCELLED, "query %s was stopped", query->plan->query->id));
    query->stopped(query->stopped_arg, query);
    engine_end(self);
}

static void start_later(engine_query *query, weir_status why) {
    engine *self = query->engine;
    weir_error_set(&query->last_error, why);
    if (engine_now_ms(self) - query->started_ms > self->retry_ms_max) query->retry_ms = self->retry_ms_first;
    weir_trace(WEIR_WARN, "engine", "query %s failed: %s; starting it again in %lld ms", query->plan->query->id,
               query->last_error.text, (long long)query->retry_ms);
    io_timer_set(self->world->executor, &query->retry_timer, io_now_ns(self->world->clock) + query->retry_ms * 1000000);
    const int64_t next = query->retry_ms < 1 ? 1 : query->retry_ms * 2;
    query->retry_ms = next > self->retry_ms_max ? self->retry_ms_max : next;
    tell_waiting(query, weir_error_status(&query->last_error));
}

static void on_state(void *arg, flow_query *flow, flow_state state) {
    engine_query *query = arg;
    query->is_running = state == FLOW_RUNNING;
    if (state == FLOW_RUNNING) tell_waiting(query, weir_ok());
    if (state != FLOW_STOPPED && state != FLOW_FAILED) return;
    flow_query_stats stats;
    flow_query_stats_get(flow, &stats);
    add_counts(&query->before, &stats);
    query->before.stream_time_ms = stats.stream_time_ms;
    flow_query_free(flow);
    query->flow = NULL;
    if (query->is_stopping)
        tell_stopped(query);
    else if (state == FLOW_FAILED)
        start_later(query, weir_error_status(&stats.last_error));
    else
        start_later(query, weir_fail(WEIR_CANCELLED, "it ended by itself"));
}

void engine_query_start(engine_query *query) {
    const flow_query_events events = {.on_state = on_state, .arg = query};
    weir_assert(!query->flow && !query->is_stopping);
    query->started_ms = engine_now_ms(query->engine);
    query->flow = flow_query_start(&query->engine->flow, query->plan->topology, &events);
}

/* The pause after a failure is over, or it was stopped while it did not run. */
static void retry_run(io_job *job) {
    engine_query *query = io_owner(job, engine_query, retry_job);
    if (query->is_stopping && !query->flow)
        tell_stopped(query);
    else if (!query->is_stopping && !query->flow)
        engine_query_start(query);
}

void engine_query_stop(engine_query *query, void (*stopped)(void *arg, engine_query *query), void *arg) {
    engine *self = query->engine;
    weir_assert(!query->is_stopping);
    query->is_stopping = true;
    query->stopped = stopped;
    query->stopped_arg = arg;
    engine_begin(self);
    io_timer_cancel(self->world->executor, &query->retry_timer);
    if (query->flow)
        flow_query_stop(query->flow);
    else
        engine_post(self, &query->retry_job);
}

/* ---- create, free ------------------------------------------------------------------------------------------------ */

weir_status engine_query_create(engine *self, weir_bytes plan_json, engine_query **made) {
    engine_query *query = weir_alloc(&self->account, sizeof *query);
    *query = (engine_query){.engine = self, .retry_ms = self->retry_ms_first};
    weir_account_init(&query->account, "engine.query", 0);
    weir_arena_init(&query->arena, &query->account, PLAN_ARENA_BYTES);
    io_job_init(&query->retry_job, retry_run);
    io_timer_init(&query->retry_timer, self->owner, &query->retry_job);
    query->sampled_ms = engine_now_ms(self);
    query->before.stream_time_ms = -1;
    weir_status status = sql_plan_from_json(&query->arena, plan_json, &query->plan);
    if (!weir_failed(status) && (!query->plan->query || !query->plan->topology))
        status = weir_fail(WEIR_CORRUPT, "its plan names a query without a topology");
    *made = query;
    if (!weir_failed(status)) return status;
    engine_query_free(query);
    *made = NULL;
    return status;
}

void engine_query_free(engine_query *query) {
    weir_account *account = &query->engine->account;
    weir_assert(!query->flow && !query->waiting && !query->creator);
    weir_arena_deinit(&query->arena);
    weir_account_deinit(&query->account);
    weir_free(account, query);
}

/* ---- what it does, for others ------------------------------------------------------------------------------------ */

/* Rows a second since the sample before; a new sample is taken when somebody asks and the last one is old enough. */
static double rate_of(engine_query *query, uint64_t rows_in) {
    const int64_t now = engine_now_ms(query->engine), span = now - query->sampled_ms;
    if (span < RATE_SPAN_MS) return query->rate;
    query->rate = (double)(rows_in - query->sampled_rows) * 1000.0 / (double)span;
    query->sampled_ms = now;
    query->sampled_rows = rows_in;
    return query->rate;
}

static void stats_of(const engine_query *query, flow_query_stats *stats) {
    *stats = (flow_query_stats){.state = FLOW_FAILED, .stream_time_ms = query->before.stream_time_ms};
    if (query->flow)
        flow_query_stats_get(query->flow, stats);
    else if (!query->last_error.code)
        stats->state = FLOW_STARTING; /* the engine still replays */
    if (stats->last_error.code == WEIR_OK) stats->last_error = query->last_error;
    add_counts(stats, &query->before);
}

static void fill_info(engine_query *query, engine_query_info *info) {
    const flow_node *root = query->plan->topology->root;
    *info = (engine_query_info){.id = query->plan->query->id,
                                .statement = query->plan->query->statement,
                                .sink = query->plan->query->sink,
                                .kind = "PERSISTENT",
                                .sink_topic = root->kind == FLOW_SINK ? root->sink.topic.name : "",
                                .topology = query->plan->topology};
    stats_of(query, &info->stats);
    info->rows_per_second = rate_of(query, info->stats.rows_in);
}

bool engine_query_at(const engine *self, size_t index, engine_query_info *info) {
    engine_query *query = self->queries;
    for (; query && index > 0; index--) query = query->next;
    if (!query) return engine_push_at(self, index, info);
    fill_info(query, info);
    return true;
}

bool engine_query_find(const engine *self, const char *id, engine_query_info *info) {
    for (size_t i = 0; engine_query_at(self, i, info); i++) {
        if (strcmp(info->id, id) == 0) return true;
    }
    return false;
}
