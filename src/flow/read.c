/* Pull reads: committed rows of the aggregate, through the nodes above it, to whoever asked. The owner passes a read
 * from task to task; each task serves it between its batches, one output batch a step. */
#include "flow/flow_int.h"

typedef struct flow_pull flow_pull;
struct flow_pull {
    flow_read *read;
    flow_query *query;
    flow_pull *next;
    uint32_t task_at;  /* the owner's: the task that serves it */
    bool is_served;
    /* The serving task's. */
    bool is_open, has_enough;
    flow_context context;
    flow_chain chain;
    state_view *view;
    uint32_t row_at;
    weir_error error;
    io_job done;
};

/* ---- on the task's lane ------------------------------------------------------------------------------------------ */

static weir_status open_pull(flow_task *task, flow_pull *pull) {
    const flow_read *read = pull->read;
    pull->context = task->context;
    pull->context.commit = NULL;
    pull->context.counts = (flow_counters){0};
    pull->context.row_error = NULL;
    pull->context.read = pull->read;
    pull->row_at = 0;
    pull->is_open = true;
    WEIR_TRY(state_view_create(flow_aggregate_store(task->chain.aggregate), read->key, read->window_start_min,
                               read->window_start_max, &pull->view));
    return flow_chain_create_read(&pull->context, &pull->chain);
}

static void close_pull(flow_pull *pull) {
    flow_chain_destroy(&pull->chain);
    state_view_destroy(pull->view);
    pull->view = NULL;
    pull->is_open = false;
}

/* One batch; OK and row_at at the view's end when there is no more. */
static weir_status serve(flow_task *task, flow_pull *pull) {
    if (!pull->is_open) WEIR_TRY(open_pull(task, pull));
    const uint32_t left = state_view_count(pull->view) - pull->row_at;
    if (left == 0) return weir_ok();
    const uint32_t count = left < DATA_BATCH_ROWS_MAX ? left : DATA_BATCH_ROWS_MAX;
    data_batch *batch;
    WEIR_TRY(flow_aggregate_rows(task->chain.aggregate, pull->view, pull->row_at, count, &batch));
    pull->row_at += count;
    data_operator *first = pull->chain.operators[0];
    return first->vtable->process(first, 0, batch);
}

bool flow_pull_step(flow_task *task) {
    flow_pull *pull = atomic_load(&task->pull);
    if (!pull) return false;
    const weir_status status = serve(task, pull);
    if (!weir_failed(status) && pull->row_at < state_view_count(pull->view)) return true;
    pull->has_enough = status.code == WEIR_CANCELLED;
    if (!pull->has_enough) weir_error_set(&pull->error, status);
    close_pull(pull);
    atomic_store(&task->pull, NULL);
    io_post(task->runtime->world->executor, task->runtime->owner, &pull->done);
    return false;
}

void flow_pull_cancel(flow_task *task, weir_status status) {
    flow_pull *pull = atomic_exchange(&task->pull, NULL);
    if (!pull) return;
    weir_error_set(&pull->error, status);
    if (pull->is_open) close_pull(pull);
    io_post(task->runtime->world->executor, task->runtime->owner, &pull->done);
}

/* ---- on the owner's lane ----------------------------------------------------------------------------------------- */

static void end_pull(flow_pull *pull) {
    flow_query *query = pull->query;
    flow_read *read = pull->read;
    weir_assert(query->pulls == pull);
    query->pulls = pull->next;
    const weir_status status = weir_error_status(&pull->error);
    weir_free(&query->account, pull);
    read->done(read, status);
}

/* Serves the first read: at its next task, or it is over. */
void flow_pull_next(flow_query *query) {
    while (query->pulls) {
        flow_pull *pull = query->pulls;
        if (pull->is_served) return;
        while (pull->task_at < query->task_count && !query->tasks[pull->task_at].context.sub->aggregate)
            pull->task_at++;
        if (pull->error.code == WEIR_OK && !pull->has_enough && pull->task_at < query->task_count) {
            flow_task *task = &query->tasks[pull->task_at];
            if (task->seen_phase == FLOW_TASK_RUNNING) {
                pull->is_served = true;
                atomic_store(&task->pull, pull);
                flow_task_wake(task);
                return;
            }
            weir_error_set(&pull->error, weir_fail(WEIR_CANCELLED, "%s has stopped", query->topology->query_id));
        }
        end_pull(pull);
    }
}

static void done_run(io_job *job) {
    flow_pull *pull = io_owner(job, flow_pull, done);
    pull->is_served = false;
    pull->task_at++;
    flow_pull_next(pull->query);
}

/* A task closed without looking at the read it was given last. */
void flow_pull_task_closed(flow_query *query, flow_task *task) {
    (void)query;
    flow_pull_cancel(task, weir_fail(WEIR_CANCELLED, "%s stops", task->context.plan->topology->query_id));
}

void flow_query_read(flow_query *query, flow_read *read) {
    flow_pull *pull = weir_alloc(&query->account, sizeof *pull);
    *pull = (flow_pull){.read = read, .query = query};
    io_job_init(&pull->done, done_run);
    bool has_table = false;
    for (uint32_t i = 0; i < query->plan.sub_count; i++) has_table |= query->plan.subs[i].aggregate != NULL;
    const flow_state state = atomic_load(&query->state);
    if (state != FLOW_RUNNING)
        weir_error_set(&pull->error,
                       weir_fail(WEIR_BUSY, "%s is not running yet or not any more", query->topology->query_id));
    else if (!has_table)
        weir_error_set(&pull->error,
                       weir_fail(WEIR_INVALID, "%s keeps no table that could be read", query->topology->query_id));
    flow_pull **last = &query->pulls;
    while (*last) last = &(*last)->next;
    *last = pull;
    /* Posted rather than called: done() never comes before this returns. */
    if (query->pulls == pull) {
        pull->is_served = true;
        pull->task_at = UINT32_MAX; /* done_run() makes it 0 */
        io_post(query->settings.world->executor, query->settings.owner, &pull->done);
    }
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static weir_status set_value(data_vector *vector, const func_value *value, weir_arena *arena) {
    if (value->is_null) return weir_fail(WEIR_INVALID, "a part of the key is NULL; no group has such a key");
    if (!data_type_equal(vector->type, value->type))
        return weir_fail(WEIR_INVALID, "a part of the key has another type");
    if (!data_vector_own_valid(vector, arena, 1)) return flow_no_memory("a key");
    switch (vector->type->kind) {
    case DATA_BOOLEAN: vector->booleans[0] = value->boolean; break;
    case DATA_INT:
    case DATA_DATE:
    case DATA_TIME: vector->ints[0] = value->int32; break;
    case DATA_BIGINT:
    case DATA_TIMESTAMP: vector->bigints[0] = value->int64; break;
    case DATA_DOUBLE: vector->doubles[0] = value->float64; break;
    case DATA_DECIMAL: vector->decimals[0] = value->decimal; break;
    case DATA_STRING:
    case DATA_BYTES: vector->texts[0] = data_text_of(value->text.data, value->text.size); break;
    default: return weir_fail(WEIR_UNSUPPORTED, "a key of a nested type cannot be looked up yet");
    }
    return weir_ok();
}

static weir_status encode_batch(flow_query *query, const flow_node *node, data_batch *batch, const func_value *values,
                                weir_buffer *key) {
    for (uint32_t i = 0; i < node->schema->key_count; i++) {
        batch->columns[i] = data_vector_create(batch->arena, node->schema->columns[i].type, 1);
        if (!batch->columns[i]) return flow_no_memory("a key");
        WEIR_TRY(set_value(batch->columns[i], &values[i], batch->arena));
    }
    batch->rows = 1;
    batch->selection = (data_selection){NULL, 1};
    const format_vtable *format;
    WEIR_TRY(format_find(node->aggregate.key_format, &format));
    const format_spec spec = {.schema = node->schema, .role = DATA_ROLE_KEY};
    format_encoder *encoder;
    WEIR_TRY(format->encoder_create(&query->account, &spec, &encoder));
    format_slice slice;
    const weir_status status = format_encode(encoder, batch, &batch->selection, key, &slice);
    format_encoder_destroy(encoder);
    return status;
}

weir_status flow_key_encode(const flow_query *const_query, const func_value *values, uint32_t count, weir_buffer *key) {
    flow_query *query = (flow_query *)(uintptr_t)const_query; /* its account is charged */
    const flow_node *node = query->topology->root;
    while (node && node->kind != FLOW_AGGREGATE) node = node->input;
    if (!node) return weir_fail(WEIR_INVALID, "%s keeps no table that could be read", query->topology->query_id);
    if (count != node->schema->key_count)
        return weir_fail(WEIR_INVALID, "a key of %s has %u parts, not %u", query->topology->query_id,
                         node->schema->key_count, count);
    data_batch_pool *pool = data_batch_pool_create(&query->account, 1, 1 << 20);
    data_batch *batch = data_batch_take(pool, node->schema);
    const weir_status status = batch ? encode_batch(query, node, batch, values, key) : flow_no_memory("a key");
    if (batch) data_batch_release(batch);
    data_batch_pool_destroy(pool);
    return status;
}
