/* SELECT. A push query is a flow query of its own without group or changelog, whose batches go to the request until
 * LIMIT, the client or the engine ends it; then what it repartitioned is deleted. (Its id is drawn at random, so that
 * what a crash leaves is read by nobody.) A pull query reads the store of the query that made the table: key by key
 * when WHERE names keys, else all of it; the batches are filtered and projected on the task's lane.
 *
 * A push query's tasks run on lanes of their own, so `lock` guards what on_batch touches: the LIMIT, the columns, and
 * the request's own on_batch, which is thus never called twice at a time. */
#include "engine/engine_int.h"

#include "base/trace.h"

#include <pthread.h>

struct engine_select {
    engine *engine;
    engine_request *request;
    engine_select *next, *next_waiting;
    const char *id;
    bool is_push, is_cancelled;

    pthread_mutex_t lock;
    int64_t left; /* rows that LIMIT still allows; -1 = any number */
    bool has_enough;
    weir_error error; /* of on_batch */
    data_vector **columns;

    flow_query *flow;           /* push */
    const flow_node *left_over; /* what it leaves is deleted as far as this node; NULL = all is */

    engine_query *query; /* pull: waits for it, or reads it */
    bool is_waiting, is_reading;
    flow_read read;
    weir_buffer key;
    uint32_t key_at;
    const func_program *filter, **programs;

    io_job end_job;
    weir_error end;
};

/* ---- both -------------------------------------------------------------------------------------------------------- */

/* May the rows of one more batch go out? Needs the lock. */
static bool is_open(const engine_select *select) {
    return !select->has_enough && select->error.code == WEIR_OK && select->left != 0;
}

/* Hands the batch over, cut to what LIMIT allows. Needs the lock. */
static void hand_over(engine_select *select, data_batch *batch) {
    if (select->left >= 0 && batch->selection.count > select->left) batch->selection.count = (uint32_t)select->left;
    if (batch->selection.count == 0) return;
    if (select->left >= 0) select->left -= batch->selection.count;
    if (!select->request->rows.on_batch(select->request->rows.arg, batch)) select->has_enough = true;
}

static void end_select(engine_select *select, weir_status status) {
    engine *self = select->engine;
    engine_request *request = select->request;
    weir_error kept;
    if (!weir_failed(status)) status = weir_error_status(&select->error);
    if (!weir_failed(status) && select->is_cancelled) status = weir_fail(WEIR_CANCELLED, "the query was given up");
    weir_error_set(&kept, status);
    if (request->rows.on_end) request->rows.on_end(request->rows.arg, status);
    engine_select **at = &self->selects;
    while (*at != select) at = &(*at)->next;
    *at = select->next;
    pthread_mutex_destroy(&select->lock);
    weir_buffer_deinit(&select->key);
    weir_free(&self->account, select);
    request->select = NULL;
    engine_statement_answer(request, weir_error_status(&kept));
    engine_end(self);
}

static void end_run(io_job *job) {
    engine_select *select = io_owner(job, engine_select, end_job);
    end_select(select, weir_error_status(&select->end));
}

static void end_soon(engine_select *select, weir_status status) {
    weir_error_set(&select->end, status);
    engine_post(select->engine, &select->end_job);
}

static engine_select *create(engine_request *request, const char *id, const char *query_id) {
    engine *self = request->engine;
    engine_select *select = weir_alloc(&self->account, sizeof *select);
    select->engine = self;
    select->request = request;
    select->id = id;
    select->is_push = request->plan->kind == SQL_PLAN_PUSH;
    select->left = request->plan->limit;
    select->columns = weir_arena_array(&request->statement, data_vector *, request->plan->schema->count);
    pthread_mutex_init(&select->lock, NULL);
    weir_buffer_init(&select->key, &self->account, SQL_STATEMENT_BYTES_MAX);
    io_job_init(&select->end_job, end_run);
    engine_select **last = &self->selects;
    while (*last) last = &(*last)->next;
    *last = select;
    request->select = select;
    request->query_id = query_id;
    engine_begin(self);
    if (request->rows.on_schema) request->rows.on_schema(request->rows.arg, id, request->plan->schema);
    return select;
}

/* ---- push -------------------------------------------------------------------------------------------------------- */

static bool push_batch(void *arg, const data_batch *batch) {
    engine_select *select = arg;
    const sql_plan *plan = select->request->plan;
    pthread_mutex_lock(&select->lock);
    if (is_open(select)) {
        data_batch shown = *batch;
        for (uint32_t i = 0; i < plan->schema->count; i++) select->columns[i] = batch->columns[plan->shown[i]];
        shown.schema = plan->schema;
        shown.columns = select->columns;
        shown.old_columns = NULL;
        shown.old_present = NULL;
        hand_over(select, &shown);
    }
    const bool goes_on = is_open(select);
    pthread_mutex_unlock(&select->lock);
    return goes_on;
}

static bool push_may_go_on(void *arg) {
    const engine_row_events *rows = &((engine_select *)arg)->request->rows;
    return !rows->may_go_on || rows->may_go_on(rows->arg);
}

static void delete_left_over(engine_select *select);

static void left_over_deleted(void *arg, weir_status status) {
    engine_select *select = arg;
    if (weir_failed(status) && status.code != WEIR_NOT_FOUND) /* a source of one partition needs none */
        weir_trace(WEIR_WARN, "engine", "topic %s stays: %s", select->left_over->repartition.topic.name, status.text);
    select->left_over = select->left_over->input;
    delete_left_over(select);
}

static void delete_left_over(engine_select *select) {
    engine *self = select->engine;
    while (select->left_over && select->left_over->kind != FLOW_REPARTITION)
        select->left_over = select->left_over->input;
    if (select->left_over)
        self->bus->vtable->topic_delete(self->bus, self->owner, select->left_over->repartition.topic.name,
                                        left_over_deleted, select);
    else
        end_select(select, weir_error_status(&select->end));
}

static void push_state(void *arg, flow_query *flow, flow_state state) {
    engine_select *select = arg;
    if (state != FLOW_STOPPED && state != FLOW_FAILED) return;
    flow_query_stats stats;
    flow_query_stats_get(flow, &stats);
    flow_query_free(flow);
    select->flow = NULL;
    weir_error_set(&select->end, state == FLOW_FAILED ? weir_error_status(&stats.last_error) : weir_ok());
    select->left_over = select->request->plan->topology->root;
    delete_left_over(select);
}

void engine_push_run(engine_request *request) {
    engine *self = request->engine;
    const sql_plan *plan = request->plan;
    engine_select *select = create(request, plan->topology->query_id, plan->topology->query_id);
    if (select->left == 0) {
        end_soon(select, weir_ok());
        return;
    }
    const flow_query_events events = {
        .on_state = push_state, .on_batch = push_batch, .may_go_on = push_may_go_on, .arg = select};
    select->flow = flow_query_start(&self->flow, plan->topology, &events);
}

bool engine_push_at(const engine *self, size_t index, engine_query_info *info) {
    const engine_select *select = self->selects;
    for (; select; select = select->next) {
        if (select->is_push && select->flow && index-- == 0) break;
    }
    if (!select) return false;
    *info = (engine_query_info){.id = select->id,
                                .statement = select->request->plan->statement,
                                .sink = "",
                                .sink_topic = "",
                                .kind = "PUSH",
                                .topology = select->request->plan->topology};
    flow_query_stats_get(select->flow, &info->stats);
    return true;
}

/* ---- pull -------------------------------------------------------------------------------------------------------- */

static weir_status project(engine_select *select, data_batch *batch) {
    const sql_checked_pull *pull = select->request->plan->pull;
    func_errors errors = {0};
    if (select->filter) WEIR_TRY(func_filter(select->filter, batch, &errors));
    if (batch->selection.count == 0) return weir_ok();
    for (uint32_t i = 0; i < pull->schema->count; i++) {
        errors.count = 0;
        WEIR_TRY(func_run(select->programs[i], batch, &select->columns[i], &errors));
    }
    batch->schema = pull->schema;
    batch->columns = select->columns;
    batch->key_present = NULL;
    return weir_ok();
}

static bool pull_batch(flow_read *read, const data_batch *batch) {
    engine_select *select = io_owner(read, engine_select, read);
    pthread_mutex_lock(&select->lock);
    if (is_open(select)) {
        data_batch answer = *batch;
        const weir_status status = project(select, &answer);
        if (weir_failed(status))
            weir_error_set(&select->error, status);
        else
            hand_over(select, &answer);
    }
    const bool goes_on = is_open(select);
    pthread_mutex_unlock(&select->lock);
    return goes_on;
}

static void read_next_key(engine_select *select);

static void read_done(flow_read *read, weir_status status) {
    engine_select *select = io_owner(read, engine_select, read);
    const sql_checked_pull *pull = select->request->plan->pull;
    select->is_reading = false;
    select->key_at++;
    pthread_mutex_lock(&select->lock);
    const bool goes_on = is_open(select);
    pthread_mutex_unlock(&select->lock);
    if (!weir_failed(status) && goes_on && pull->keys && select->key_at < pull->key_count)
        read_next_key(select);
    else
        end_select(select, status);
}

static void read_next_key(engine_select *select) {
    const sql_checked_pull *pull = select->request->plan->pull;
    const uint32_t width = pull->source->schema->key_count;
    select->read = (flow_read){.window_start_min = pull->window_start_min,
                               .window_start_max = pull->window_start_max,
                               .on_batch = pull_batch,
                               .done = read_done};
    if (pull->keys) {
        weir_buffer_clear(&select->key);
        const weir_status status =
            flow_key_encode(select->query->flow, pull->keys + (size_t)select->key_at * width, width, &select->key);
        if (weir_failed(status)) {
            end_soon(select, status);
            return;
        }
        select->read.key = weir_buffer_view(&select->key);
    }
    select->is_reading = true;
    flow_query_read(select->query->flow, &select->read);
}

static weir_status compile(engine_select *select) {
    const sql_checked_pull *pull = select->request->plan->pull;
    weir_arena *arena = &select->request->statement;
    if (pull->filter) WEIR_TRY(func_compile(arena, pull->filter, pull->source->schema, &select->filter));
    select->programs = weir_arena_array(arena, const func_program *, pull->schema->count);
    for (uint32_t i = 0; i < pull->schema->count; i++)
        WEIR_TRY(func_compile(arena, pull->select[i], pull->source->schema, &select->programs[i]));
    return weir_ok();
}

void engine_select_query_runs(engine_select *select) {
    select->is_waiting = false;
    if (select->left == 0 || (select->request->plan->pull->keys && select->request->plan->pull->key_count == 0))
        end_soon(select, weir_ok());
    else
        read_next_key(select);
}

void engine_select_query_failed(engine_select *select, weir_status status) {
    select->is_waiting = false;
    end_soon(select, weir_context(status, "query %s, which keeps table %s, does not run",
                                  select->request->plan->pull_query, select->request->plan->name));
}

engine_select *engine_select_next_waiting(engine_select *select) {
    return select->next_waiting;
}

void engine_pull_run(engine_request *request) {
    engine *self = request->engine;
    const char *id = weir_arena_format(&request->statement, "query_%llu", (unsigned long long)++self->select_count);
    engine_select *select = create(request, id, request->plan->pull_query);
    engine_query *query = select->query = engine_query_of(self, request->plan->pull_query);
    const weir_status status = compile(select);
    if (weir_failed(status))
        end_soon(select, status);
    else if (!query)
        engine_select_query_failed(select, weir_fail(WEIR_NOT_FOUND, "it was terminated"));
    else if (query->is_running)
        engine_select_query_runs(select);
    else if (!query->flow)
        engine_select_query_failed(select, weir_error_status(&query->last_error));
    else {
        select->is_waiting = true;
        select->next_waiting = query->waiting;
        query->waiting = select;
    }
}

/* ---- giving up --------------------------------------------------------------------------------------------------- */

static void stop_waiting(engine_select *select) {
    engine_select **at = &select->query->waiting;
    while (*at != select) at = &(*at)->next_waiting;
    *at = select->next_waiting;
    select->is_waiting = false;
}

void engine_select_wake(engine_select *select) {
    if (select->flow) flow_query_wake(select->flow);
}

void engine_select_cancel(engine_select *select) {
    if (select->is_cancelled) return;
    select->is_cancelled = true;
    pthread_mutex_lock(&select->lock);
    select->has_enough = true;
    pthread_mutex_unlock(&select->lock);
    if (select->flow) flow_query_stop(select->flow);
    if (!select->is_waiting) return; /* a read ends with its next batch; others are ending */
    stop_waiting(select);
    end_soon(select, weir_ok());
}
