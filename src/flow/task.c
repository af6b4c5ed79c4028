/* A task: one sub-topology over one partition. All of it runs on the task's lane, a step at a time, so that other tasks
 * of the worker get their turn between two batches.
 *
 *   open -> committed offset -> restore (restore.c) -> reader -> steps
 *   step: serve a read, or commit, or take a batch through the operators, and post itself again; park when dry
 *
 * While a commit is under way nothing is processed: what readers may see and what a rollback would take back stay
 * clear. The bus reads ahead meanwhile. */
#include "flow/flow_int.h"

enum { BATCH_ARENA_SHARE = 2, AHEAD_SHARE = 4 };

void flow_task_wake(flow_task *task) { io_post(task->runtime->world->executor, task->lane, &task->step); }

static void report(flow_task *task, flow_task_phase phase) {
    atomic_store(&task->phase, phase);
    io_post(task->runtime->world->executor, task->runtime->owner, &task->report);
}

/* ---- closing ----------------------------------------------------------------------------------------------------- */

/* Frees what the task holds, once nothing of it is elsewhere. */
static void try_close(flow_task *task) {
    if (task->async > 0 || atomic_load(&task->phase) >= FLOW_TASK_CLOSED) return;
    const bus_vtable *topics = task->runtime->bus->vtable;
    flow_pull_cancel(task, task->is_failed ? weir_error_status(&task->error)
                                           : weir_fail(WEIR_CANCELLED, "the query stops"));
    if (task->reader) topics->reader_close(task->reader);
    flow_restore_close(task);
    if (task->context.commit) topics->commit_free(task->context.commit);
    task->reader = NULL;
    task->context.commit = NULL;
    flow_chain_destroy(&task->chain);
    if (task->context.pool) data_batch_pool_destroy(task->context.pool);
    task->context.pool = NULL;
    report(task, FLOW_TASK_CLOSED);
}

static void close_task(flow_task *task) {
    task->is_closing = true;
    try_close(task);
}

void flow_task_fail(flow_task *task, weir_status status) {
    if (!task->is_failed && !task->is_closing) {
        task->is_failed = true;
        weir_error_set(&task->error, weir_context(status, "task %s-%d of %s", task->context.sub->input->name,
                                                  task->context.partition, task->context.plan->topology->query_id));
    }
    close_task(task);
}

void flow_task_async_done(flow_task *task) {
    weir_assert(task->async > 0);
    task->async--;
    if (task->is_closing) try_close(task);
}

/* ---- committing -------------------------------------------------------------------------------------------------- */

/* Gauges of a query are sums over its tasks: each adds what changed since it told last. */
static void tell_gauge(flow_task *task, flow_metric metric, int64_t value, int64_t *told) {
    weir_metric_add(&task->query->metrics[metric], value - *told);
    *told = value;
}

static void tell_metrics(flow_task *task) {
    const flow_counters *counts = &task->context.counts;
    weir_metric *metrics = task->query->metrics;
    weir_metric_add(&metrics[FLOW_METRIC_ROWS_IN], (int64_t)counts->rows_in);
    weir_metric_add(&metrics[FLOW_METRIC_ROWS_OUT], (int64_t)counts->rows_out);
    weir_metric_add(&metrics[FLOW_METRIC_FILTERED], (int64_t)counts->filtered);
    weir_metric_add(&metrics[FLOW_METRIC_LATE], (int64_t)counts->late);
    weir_metric_add(&metrics[FLOW_METRIC_NULL_KEY], (int64_t)counts->null_key);
    weir_metric_add(&metrics[FLOW_METRIC_QUARANTINED], (int64_t)counts->quarantined);
    weir_metric_add(&metrics[FLOW_METRIC_ERRORS], (int64_t)counts->errors_as_null);
}

static void tell_row_error(flow_task *task) {
    if (task->row_error.code == WEIR_OK) return;
    while (atomic_flag_test_and_set_explicit(&task->row_error_lock, memory_order_acquire)) {
    }
    task->told_row_error = task->row_error;
    atomic_flag_clear_explicit(&task->row_error_lock, memory_order_release);
    task->row_error.code = WEIR_OK;
}

void flow_task_row_error(flow_task *task, weir_error *error) {
    while (atomic_flag_test_and_set_explicit(&task->row_error_lock, memory_order_acquire)) {
    }
    *error = task->told_row_error;
    atomic_flag_clear_explicit(&task->row_error_lock, memory_order_release);
}

static void publish(flow_task *task) {
    const flow_counters *counts = &task->context.counts;
    tell_metrics(task);
    atomic_fetch_add(&task->rows_in, counts->rows_in);
    atomic_fetch_add(&task->rows_out, counts->rows_out);
    atomic_fetch_add(&task->filtered, counts->filtered);
    atomic_fetch_add(&task->late, counts->late);
    atomic_fetch_add(&task->null_key, counts->null_key);
    atomic_fetch_add(&task->null_value, counts->null_value);
    atomic_fetch_add(&task->quarantined, counts->quarantined);
    atomic_fetch_add(&task->aggregated, counts->aggregated);
    atomic_fetch_add(&task->errors_as_null, counts->errors_as_null);
    atomic_fetch_add(&task->changes_filtered, counts->changes_filtered);
    task->context.counts = (flow_counters){0};
    tell_row_error(task);
    atomic_store(&task->stream_time, task->context.stream_time);
    if (!task->chain.aggregate) return;
    const state_store *store = flow_aggregate_store(task->chain.aggregate);
    atomic_store(&task->groups, state_entry_count(store));
    atomic_store(&task->state_bytes, state_bytes_used(store));
    tell_gauge(task, FLOW_METRIC_GROUPS, (int64_t)state_entry_count(store), &task->told_groups);
    tell_gauge(task, FLOW_METRIC_STATE_BYTES, (int64_t)state_bytes_used(store), &task->told_state_bytes);
}

static void publish_position(flow_task *task) {
    if (!task->reader) return;
    const int64_t end = task->runtime->bus->vtable->reader_end(task->reader);
    atomic_store(&task->end, end);
    atomic_store(&task->position, task->committed);
    const int64_t lag = task->committed >= 0 && end > task->committed ? end - task->committed : 0;
    tell_gauge(task, FLOW_METRIC_LAG, lag, &task->told_lag);
}

static bool has_work(const flow_task *task) {
    return task->context.rows_taken > 0 || task->commits_start;
}

/* The commit is durable, or there was none to make. */
static void work_is_done(flow_task *task) {
    task->committed = flow_source_position(task->chain.operators[0]);
    task->context.rows_taken = 0;
    task->commits_start = false;
    if (task->chain.aggregate) {
        uint64_t expired;
        task->records_since_snapshot += state_change_count(flow_aggregate_store(task->chain.aggregate));
        flow_aggregate_committed(task->chain.aggregate, &expired);
        atomic_fetch_add(&task->windows_expired, expired);
    }
    publish(task);
    publish_position(task);
    if (task->commit_rows_max < UINT64_MAX) {
        /* Back up slowly: whatever was too large once may well be so again. */
        task->commit_rows_max += task->commit_rows_max / 4 + 1;
        if (task->commit_rows_max > 1 << 20) task->commit_rows_max = UINT64_MAX;
    }
}

static weir_status open_reader(flow_task *task) {
    const flow_topology *topology = task->context.plan->topology;
    int64_t offset = task->committed;
    if (offset < 0) {
        const bool earliest = topology->from_earliest || !task->context.sub->is_first;
        offset = earliest ? BUS_OFFSET_EARLIEST : BUS_OFFSET_LATEST;
    }
    return task->runtime->bus->vtable->reader_open(
        task->runtime->bus, task->lane, task->context.sub->input->name, task->context.partition, offset,
        task->runtime->task_bytes_max / AHEAD_SHARE, &task->step, &task->reader);
}

/* Where a task without committed offset begins is known once its reader knows. One that begins at the latest offset
 * commits that, so that a crash before its first rows does not move its beginning. */
static void learn_start(flow_task *task) {
    if (task->committed >= 0) return;
    const flow_topology *topology = task->context.plan->topology;
    task->committed = task->runtime->bus->vtable->reader_start(task->reader);
    if (task->committed < 0) return;
    if (flow_source_position(task->chain.operators[0]) < 0)
        flow_source_reset(task->chain.operators[0], task->committed);
    task->commits_start = topology->group && !topology->from_earliest && task->context.sub->is_first;
}

static weir_status begin_commit(flow_task *task) {
    if (!task->context.sub->has_commit || task->context.commit) return weir_ok();
    bus *topics = task->runtime->bus;
    task->context.commit = topics->vtable->commit_begin(topics, task->lane, task->context.plan->topology->group);
    return task->context.commit ? weir_ok() : flow_no_memory("a commit");
}

/* Takes the uncommitted work back and begins again from the committed position with half the rows. `tried`: rows that
 * the failed attempt had before it or asked for. */
static void roll_back(flow_task *task, weir_status why, uint64_t tried) {
    if ((why.code != WEIR_FULL && why.code != WEIR_NO_MEMORY) || tried <= 1) {
        flow_task_fail(task, why);
        return;
    }
    const bus_vtable *topics = task->runtime->bus->vtable;
    data_operator *source = task->chain.operators[0];
    learn_start(task);
    task->commit_rows_max = tried / 2;
    if (task->context.commit) topics->commit_free(task->context.commit);
    task->context.commit = NULL;
    task->context.counts = (flow_counters){0};
    task->context.rows_taken = 0;
    if (task->chain.aggregate) flow_aggregate_rolled_back(task->chain.aggregate);
    flow_source_reset(source, task->committed);
    topics->reader_close(task->reader);
    task->reader = NULL;
    const weir_status opened = open_reader(task);
    if (weir_failed(opened)) flow_task_fail(task, opened);
    else flow_task_wake(task);
}

static weir_status fill_commit(flow_task *task) {
    for (uint32_t i = 0; i < task->chain.count; i++) {
        data_operator *operator = task->chain.operators[i];
        if (operator->vtable->flush) WEIR_TRY(operator->vtable->flush(operator));
    }
    if (task->chain.aggregate) WEIR_TRY(flow_aggregate_log(task->chain.aggregate));
    if (!task->context.commit || !task->context.plan->topology->group) return weir_ok();
    return task->runtime->bus->vtable->commit_offset(task->context.commit, task->context.sub->input->name,
                                                     task->context.partition,
                                                     flow_source_position(task->chain.operators[0]));
}

static void commit(flow_task *task) {
    const uint64_t tried = task->context.rows_taken;
    weir_status status = begin_commit(task);
    if (!weir_failed(status)) status = fill_commit(task);
    if (status.code == WEIR_CANCELLED) {
        close_task(task);
    } else if (weir_failed(status)) {
        roll_back(task, status, tried);
    } else if (!task->context.commit) {
        work_is_done(task);
        flow_task_wake(task);
    } else {
        task->is_committing = true;
        task->async++;
        task->runtime->bus->vtable->commit_send(task->context.commit, &task->committed_job);
    }
}

static void committed_run(io_job *job) {
    flow_task *task = io_owner(job, flow_task, committed_job);
    const bus_vtable *topics = task->runtime->bus->vtable;
    const weir_status status = topics->commit_result(task->context.commit);
    task->is_committing = false;
    if (weir_failed(status)) {
        if (task->is_closing || status.code != WEIR_FULL) flow_task_fail(task, weir_context(status, "commit"));
        else roll_back(task, status, task->context.rows_taken);
        flow_task_async_done(task);
        return;
    }
    if (task->chain.aggregate) {
        const char *changelog = task->context.sub->aggregate->node->aggregate.changelog_topic;
        const int64_t end =
            changelog ? topics->commit_end_offset(task->context.commit, changelog, task->context.partition) : -1;
        if (end >= 0) task->changelog_end = end;
    }
    topics->commit_free(task->context.commit);
    task->context.commit = NULL;
    work_is_done(task);
    if (!task->is_closing) {
        flow_snapshot_consider(task, false);
        flow_task_wake(task);
    }
    flow_task_async_done(task);
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static bool commit_is_due(flow_task *task) {
    if (task->context.rows_taken >= task->commit_rows_max) return true;
    const int64_t age_ns = io_now_ns(task->runtime->world->clock) - task->commit_started_ns;
    if (age_ns >= task->runtime->commit_interval_ms * 1000000) return true;
    size_t bytes = task->context.commit ? task->runtime->bus->vtable->commit_bytes(task->context.commit) : 0;
    if (task->chain.aggregate) bytes += flow_aggregate_pending_bytes(task->chain.aggregate);
    return bytes >= FLOW_COMMIT_BYTES_SOFT;
}

/* One batch through the operators. *is_dry: there was nothing to take. */
static weir_status process_batch(flow_task *task, uint64_t rows_max, bool *is_dry) {
    WEIR_TRY(begin_commit(task));
    data_batch *batch;
    const uint64_t before = task->context.rows_taken;
    WEIR_TRY(flow_source_fill(task->chain.operators[0], task->reader, (uint32_t)rows_max, &batch));
    *is_dry = task->context.rows_taken == before;
    if (before == 0 && !*is_dry) task->commit_started_ns = io_now_ns(task->runtime->world->clock);
    return batch ? data_emit(task->chain.operators[0], batch) : weir_ok();
}

static void stop_in_order(flow_task *task) {
    if (has_work(task)) {
        commit(task);
        return;
    }
    flow_snapshot_consider(task, true);
    if (!flow_snapshot_is_active(task)) close_task(task);
}

static void take_and_process(flow_task *task) {
    uint64_t rows_max = task->runtime->batch_rows_max;
    const uint64_t left = task->commit_rows_max - task->context.rows_taken;
    if (left < rows_max) rows_max = left;
    const uint64_t tried = task->context.rows_taken + rows_max;
    bool is_dry = false;
    const weir_status status = process_batch(task, rows_max, &is_dry);
    if (status.code == WEIR_CANCELLED) {
        close_task(task); /* the subscriber has enough: nothing is wrong */
    } else if (weir_failed(status)) {
        roll_back(task, status, tried);
    } else if (!is_dry) {
        flow_task_wake(task);
    } else if (has_work(task)) {
        commit(task);
    } else {
        publish_position(task); /* parked: the reader wakes */
    }
}

static bool subscriber_wants_more(const flow_task *task) {
    const flow_query_events *events = task->context.events;
    return !events || !events->may_go_on || events->may_go_on(events->arg);
}

static void step_run(io_job *job) {
    flow_task *task = io_owner(job, flow_task, step);
    if (task->is_closing || atomic_load(&task->phase) == FLOW_TASK_CLOSED) return;
    if (atomic_load(&task->phase) == FLOW_TASK_OPENING) {
        if (atomic_load(&task->stop_requested)) close_task(task);
        return;
    }
    /* A read shows committed values, so it may run beside a commit. */
    const bool has_more_to_read = flow_pull_step(task);
    if (task->is_closing) return;
    if (has_more_to_read) flow_task_wake(task);
    if (task->is_committing) return;
    learn_start(task);
    if (atomic_load(&task->stop_requested)) stop_in_order(task);
    else if (has_work(task) && commit_is_due(task)) commit(task);
    else if (subscriber_wants_more(task)) take_and_process(task);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

void flow_task_restored(flow_task *task) {
    if (task->is_closing) return;
    if (task->chain.aggregate) flow_aggregate_restored(task->chain.aggregate);
    const weir_status status = open_reader(task);
    if (weir_failed(status)) {
        flow_task_fail(task, status);
        return;
    }
    publish(task);
    publish_position(task);
    task->snapshot_at_ns = io_now_ns(task->runtime->world->clock);
    report(task, FLOW_TASK_RUNNING);
    flow_source_reset(task->chain.operators[0], task->committed);
    flow_task_wake(task);
}

static void committed_offset_known(void *arg, weir_status status, int64_t offset) {
    flow_task *task = arg;
    if (weir_failed(status)) {
        flow_task_fail(task, status);
    } else if (!task->is_closing) {
        task->committed = offset;
        flow_restore_start(task);
    }
    flow_task_async_done(task);
}

static void open_run(io_job *job) {
    flow_task *task = io_owner(job, flow_task, last);
    flow_context *context = &task->context;
    context->pool =
        data_batch_pool_create(context->account, FLOW_BATCHES_MAX, task->runtime->task_bytes_max / BATCH_ARENA_SHARE);
    const weir_status status = flow_chain_create(context, &task->chain);
    const flow_topology *topology = context->plan->topology;
    if (weir_failed(status)) {
        flow_task_fail(task, status);
    } else if (topology->group) {
        task->async++;
        task->runtime->bus->vtable->committed(task->runtime->bus, task->lane, topology->group,
                                              context->sub->input->name, context->partition, committed_offset_known,
                                              task);
    } else {
        flow_restore_start(task);
    }
}

/* ---- on the owner's lane ----------------------------------------------------------------------------------------- */

static void report_run(io_job *job) { flow_query_task_reported(io_owner(job, flow_task, report)); }

void flow_task_init(flow_task *task, flow_query *query, const flow_plan *plan, const flow_sub *sub, int32_t partition) {
    *task = (flow_task){.query = query, .runtime = &query->settings, .blocking = query->blocking, .committed = -1,
                        .commit_rows_max = UINT64_MAX};
    task->context = (flow_context){.account = &query->account, .plan = plan, .sub = sub, .partition = partition,
                                   .bus = query->settings.bus, .row_error = &task->row_error, .events = &query->events,
                                   .stream_time = -1};
    atomic_flag_clear(&task->row_error_lock);
    atomic_init(&task->position, -1);
    atomic_init(&task->end, -1);
    atomic_init(&task->stream_time, -1);
    task->lane = io_lane_create(query->settings.world->executor, IO_LANE_WORKER, plan->topology->query_id);
    io_job_init(&task->step, step_run);
    io_job_init(&task->committed_job, committed_run);
    io_job_init(&task->last, open_run);
    io_job_init(&task->report, report_run);
    flow_restore_init(task);
}

void flow_task_open(flow_task *task) { io_post(task->runtime->world->executor, task->lane, &task->last); }

void flow_task_stop(flow_task *task) {
    atomic_store(&task->stop_requested, true);
    if (task->seen_phase < FLOW_TASK_CLOSED) flow_task_wake(task);
}

static void last_run(io_job *job) {
    flow_task *task = io_owner(job, flow_task, last);
    report(task, FLOW_TASK_GONE);
}

/* Answers CLOSED: what is still queued on the lane runs before this. */
void flow_task_finish(flow_task *task) {
    io_job_init(&task->last, last_run);
    io_post(task->runtime->world->executor, task->lane, &task->last);
}

void flow_task_deinit(flow_task *task) {
    weir_assert(task->seen_phase == FLOW_TASK_GONE);
    io_lane_destroy(task->runtime->world->executor, task->lane);
}
