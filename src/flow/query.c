/* A query's life on the owner's lane: its topics are described or made one after another, then its tasks open; it runs
 * until it is stopped or one of its tasks fails, and ends when the last task is gone. */
#include "flow/flow_int.h"

#include <stdio.h>

enum {
    ARENA_BYTES_MAX = 16 << 20,
    NEED_CONFIG_MAX = 2,
    NEEDS_MAX = FLOW_SUBS_MAX * 2 + 2,
    TOPIC_PARTITIONS_MAX = 100000
};

/* Queries are few, and themselves outlive their account. */
static weir_account queries_account = {.name = "flow.queries"};

/* A topic that must be there before the tasks start. */
typedef struct flow_need {
    const char *topic;
    int32_t partitions;  /* 0: it must exist (the source) */
    bool is_exact;       /* an existing one must have as many */
    const char *config[NEED_CONFIG_MAX][2];
    uint32_t config_count;
    flow_sub *changelog_of, *output_of; /* who learns what was found */
} flow_need;

/* ---- ending ------------------------------------------------------------------------------------------------------ */

static void fail(flow_query *query, weir_status status) {
    if (query->error.code == WEIR_OK) weir_error_set(&query->error, status);
}

static void close_metrics(flow_query *query) {
    for (unsigned i = 0; i < FLOW_METRICS; i++) weir_metric_close(&query->metrics[i]);
}

static void end_run(io_job *job) {
    flow_query *query = io_owner(job, flow_query, ended);
    io_executor *executor = query->settings.world->executor;
    if (query->pulls) { /* their done() comes first; each turn ends one */
        flow_pull_next(query);
        if (query->pulls) {
            io_post(executor, query->settings.owner, &query->ended);
            return;
        }
    }
    if (query->blocking) io_lane_destroy(executor, query->blocking);
    query->blocking = NULL;
    const flow_state state = query->error.code == WEIR_OK ? FLOW_STOPPED : FLOW_FAILED;
    atomic_store(&query->state, state);
    if (query->events.on_state) query->events.on_state(query->events.arg, query, state); /* may free the query */
}

static void end_soon(flow_query *query) {
    if (query->is_ending) return;
    query->is_ending = true;
    io_post(query->settings.world->executor, query->settings.owner, &query->ended);
}

static void stop_tasks(flow_query *query) {
    query->is_stopping = true;
    for (uint32_t i = 0; i < query->task_count; i++) flow_task_stop(&query->tasks[i]);
}

/* ---- tasks ------------------------------------------------------------------------------------------------------- */

static void tell_running(flow_query *query) {
    if (++query->tasks_running < query->task_count || query->is_stopping) return;
    atomic_store(&query->state, FLOW_RUNNING);
    if (query->events.on_state) query->events.on_state(query->events.arg, query, FLOW_RUNNING);
}

static void task_closed(flow_query *query, flow_task *task) {
    task->seen_phase = FLOW_TASK_CLOSED;
    flow_pull_task_closed(query, task);
    if (task->is_failed) fail(query, weir_error_status(&task->error));
    /* One task less is no query any more, whether it failed or its subscriber has enough. */
    if (!query->is_stopping) stop_tasks(query);
    flow_task_finish(task);
}

void flow_query_task_reported(flow_task *task) {
    flow_query *query = task->query;
    const flow_task_phase phase = (flow_task_phase)atomic_load(&task->phase);
    if (task->seen_phase < FLOW_TASK_RUNNING && phase == FLOW_TASK_RUNNING) {
        task->seen_phase = FLOW_TASK_RUNNING;
        tell_running(query);
    } else if (task->seen_phase < FLOW_TASK_CLOSED && phase == FLOW_TASK_CLOSED) {
        task_closed(query, task);
    } else if (phase == FLOW_TASK_GONE && task->seen_phase != FLOW_TASK_GONE) {
        task->seen_phase = FLOW_TASK_GONE;
        flow_task_deinit(task);
        if (++query->tasks_gone == query->task_count) end_soon(query);
    }
}

static void open_tasks(flow_query *query) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < query->plan.sub_count; i++) count += (uint32_t)query->plan.subs[i].partition_count;
    if (count > FLOW_TASKS_MAX) {
        fail(query, weir_fail(WEIR_UNSUPPORTED, "%s would need %u tasks, allowed %d", query->topology->query_id, count,
                              FLOW_TASKS_MAX));
        end_soon(query);
        return;
    }
    query->tasks = weir_alloc(&query->account, count * sizeof *query->tasks);
    query->blocking = io_lane_create(query->settings.world->executor, IO_LANE_BLOCKING, query->topology->query_id);
    for (uint32_t i = 0; i < query->plan.sub_count; i++) {
        const flow_sub *sub = &query->plan.subs[i];
        for (int32_t partition = 0; partition < sub->partition_count; partition++)
            flow_task_init(&query->tasks[query->task_count++], query, &query->plan, sub, partition);
    }
    atomic_store(&query->state, FLOW_RESTORING);
    for (uint32_t i = 0; i < query->task_count; i++) flow_task_open(&query->tasks[i]);
}

/* ---- topics ------------------------------------------------------------------------------------------------------ */

static void look_after_next(flow_query *query);

static flow_need *add_need(flow_query *query, const char *topic, int32_t partitions) {
    weir_assert(query->need_count < NEEDS_MAX);
    flow_need *need = &query->needs[query->need_count++];
    *need = (flow_need){.topic = topic, .partitions = partitions};
    return need;
}

static void add_config(flow_need *need, const char *name, const char *value) {
    need->config[need->config_count][0] = name;
    need->config[need->config_count++][1] = value;
}

/* Tables are compacted; windowed ones also lose what retention no longer covers, with a day to spare as Kafka Streams.
 */
static void configure_table(flow_query *query, flow_need *need, const flow_window *window) {
    const bool is_windowed = window->kind != FLOW_WINDOW_NONE;
    add_config(need, "cleanup.policy", is_windowed ? "compact,delete" : "compact");
    if (!is_windowed) return;
    int64_t retention = window->retention_ms;
    if (retention < window->size_ms + window->grace_ms) retention = window->size_ms + window->grace_ms;
    add_config(need, "retention.ms", weir_arena_format(&query->arena, "%lld", (long long)retention + 86400000));
}

static void add_needs(flow_query *query, int32_t partitions) {
    flow_plan *plan = &query->plan;
    for (uint32_t i = 0; i < plan->sub_count; i++) {
        flow_sub *sub = &plan->subs[i];
        if (sub->aggregate && sub->aggregate->node->aggregate.changelog_topic) {
            flow_need *need = add_need(query, sub->aggregate->node->aggregate.changelog_topic, partitions);
            need->is_exact = true;
            need->changelog_of = sub;
            configure_table(query, need, &sub->aggregate->node->aggregate.window);
        }
        const flow_node *last = sub->steps[sub->step_count - 1].node;
        if (last->kind == FLOW_REPARTITION) {
            flow_need *need = add_need(query, last->repartition.topic.name, partitions);
            need->is_exact = true;
            need->output_of = sub;
            add_config(need, "cleanup.policy", "delete");
            add_config(need, "retention.ms", "-1"); /* as Kafka Streams: what is not processed yet never gets old */
        } else if (last->kind == FLOW_SINK) {
            flow_need *need = add_need(query, last->sink.topic.name,
                                       last->sink.partition_count > 0 ? last->sink.partition_count : partitions);
            need->output_of = sub;
            if (last->sink.topic.is_table) configure_table(query, need, &last->sink.topic.window);
        }
    }
    const flow_node *source = plan->subs[0].steps[0].node;
    if (source->source.quarantine_topic) add_need(query, source->source.quarantine_topic, 1);
}

static weir_status source_found(flow_query *query, const bus_topic_info *info) {
    if (!info->exists || info->partition_count < 1 || info->partition_count > TOPIC_PARTITIONS_MAX)
        return weir_fail(WEIR_NOT_FOUND, "topic %s does not exist; create it, or let a producer do so",
                         query->needs[0].topic);
    WEIR_TRY(flow_plan_cut(&query->arena, &query->plan, info->partition_count));
    add_needs(query, info->partition_count);
    return weir_ok();
}

static weir_status topic_found(flow_query *query, const flow_need *need, const bus_topic_info *info) {
    if (need->partitions == 0) return source_found(query, info);
    if (need->is_exact && info->partition_count != need->partitions)
        return weir_fail(WEIR_INVALID, "topic %s has %d partitions, %s needs %d; delete the topic to begin anew",
                         need->topic, info->partition_count, query->topology->query_id, need->partitions);
    if (need->changelog_of) memcpy(need->changelog_of->changelog_id, info->topic_id, sizeof info->topic_id);
    if (need->output_of) need->output_of->output_partitions = info->partition_count;
    return weir_ok();
}

static void topic_known(void *arg, weir_status status, const bus_topic_info *info) {
    flow_query *query = arg;
    if (status.code == WEIR_EXISTS) status = weir_ok();
    if (!query->is_stopping) {
        const flow_need *need = &query->needs[query->need_at++];
        status = weir_failed(status) ? weir_context(status, "topic %s of %s", need->topic, query->topology->query_id)
                                     : topic_found(query, need, info);
        if (!weir_failed(status)) {
            look_after_next(query);
            return;
        }
        fail(query, status);
    }
    end_soon(query);
}

static void look_after_next(flow_query *query) {
    if (query->need_at == query->need_count) {
        open_tasks(query);
        return;
    }
    const flow_need *need = &query->needs[query->need_at];
    const bus_vtable *topics = query->settings.bus->vtable;
    if (need->partitions == 0)
        topics->topic_describe(query->settings.bus, query->settings.owner, need->topic, topic_known, query);
    else
        topics->topic_create(query->settings.bus, query->settings.owner, need->topic, need->partitions,
                          (const char *const(*)[2])need->config, need->config_count, topic_known, query);
}

/* ---- start, stop, free ------------------------------------------------------------------------------------------- */

static void start_run(io_job *job) {
    flow_query *query = io_owner(job, flow_query, start);
    if (query->is_stopping) {
        end_soon(query);
        return;
    }
    const weir_status status = flow_plan_create(&query->arena, query->topology, &query->plan);
    if (weir_failed(status)) {
        fail(query, status);
        end_soon(query);
        return;
    }
    add_need(query, query->plan.subs[0].input->name, 0);
    look_after_next(query);
}

static void open_metrics(flow_query *query) {
    static const struct {
        weir_metric_kind kind;
        const char *family, *help;
    } about[FLOW_METRICS] = {
#define FLOW_METRIC(name, kind, family, help) {kind, family, help},
        FLOW_METRIC_LIST(FLOW_METRIC)
#undef FLOW_METRIC
    };
    char label[160];
    weir_metric_label(label, sizeof label, query->topology->query_id);
    for (unsigned i = 0; i < FLOW_METRICS; i++)
        weir_metric_open(&query->metrics[i], about[i].kind, about[i].family, about[i].help, "query=\"%s\"", label);
}

flow_query *flow_query_start(const flow_runtime *runtime, const flow_topology *topology,
                             const flow_query_events *events) {
    flow_query *query = weir_alloc(&queries_account, sizeof *query);
    *query = (flow_query){.settings = *runtime, .topology = topology, .events = *events};
    flow_runtime *settings = &query->settings;
    if (settings->commit_interval_ms == 0) settings->commit_interval_ms = 100;
    if (settings->checkpoint_interval_ms == 0) settings->checkpoint_interval_ms = 10000;
    if (settings->task_bytes_max == 0) settings->task_bytes_max = 16 << 20;
    if (settings->batch_rows_max == 0) settings->batch_rows_max = DATA_BATCH_ROWS_MAX;
    snprintf(query->account_name, sizeof query->account_name, "query.%s", topology->query_id);
    weir_account_init(&query->account, query->account_name, 0);
    weir_arena_init(&query->arena, &query->account, ARENA_BYTES_MAX);
    query->needs = weir_arena_array(&query->arena, flow_need, NEEDS_MAX);
    atomic_init(&query->state, FLOW_STARTING);
    open_metrics(query);
    io_job_init(&query->start, start_run);
    io_job_init(&query->ended, end_run);
    io_post(settings->world->executor, settings->owner, &query->start);
    return query;
}

void flow_query_wake(flow_query *query) {
    for (uint32_t i = 0; i < query->task_count; i++)
        if (query->tasks[i].seen_phase < FLOW_TASK_CLOSED) flow_task_wake(&query->tasks[i]);
}

void flow_query_stop(flow_query *query) {
    if (query->is_stopping) return;
    query->is_stopping = true;
    /* Before there are tasks, the next job or answer notices; then the tasks' ends do. */
    for (uint32_t i = 0; i < query->task_count; i++) flow_task_stop(&query->tasks[i]);
}

void flow_query_free(flow_query *query) {
    const flow_state state = atomic_load(&query->state);
    weir_assert(state == FLOW_STOPPED || state == FLOW_FAILED);
    close_metrics(query);
    weir_free(&query->account, query->tasks);
    weir_arena_deinit(&query->arena);
    weir_account_deinit(&query->account);
    weir_free(&queries_account, query);
}

/* ---- stats ------------------------------------------------------------------------------------------------------- */

static void add_task_stats(const flow_task *task, flow_query_stats *stats) {
    stats->rows_in += atomic_load(&task->rows_in);
    stats->rows_out += atomic_load(&task->rows_out);
    stats->filtered += atomic_load(&task->filtered);
    stats->late += atomic_load(&task->late);
    stats->null_key += atomic_load(&task->null_key);
    stats->null_value += atomic_load(&task->null_value);
    stats->quarantined += atomic_load(&task->quarantined);
    stats->aggregated += atomic_load(&task->aggregated);
    stats->errors_as_null += atomic_load(&task->errors_as_null);
    stats->changes_filtered += atomic_load(&task->changes_filtered);
    stats->windows_expired += atomic_load(&task->windows_expired);
    stats->groups += atomic_load(&task->groups);
    stats->state_bytes += atomic_load(&task->state_bytes);
    const int64_t position = atomic_load(&task->position), end = atomic_load(&task->end);
    if (position >= 0 && end > position) stats->lag += end - position;
    const int64_t time = atomic_load(&task->stream_time);
    if (time > stats->stream_time_ms) stats->stream_time_ms = time;
}

void flow_query_stats_get(const flow_query *query, flow_query_stats *stats) {
    *stats = (flow_query_stats){.state = (flow_state)atomic_load(&query->state), .stream_time_ms = -1,
                                .tasks = query->task_count};
    for (uint32_t i = 0; i < query->task_count; i++) add_task_stats(&query->tasks[i], stats);
    if (query->error.code != WEIR_OK) stats->last_error = query->error;
    for (uint32_t i = 0; i < query->task_count && stats->last_error.code == WEIR_OK; i++)
        flow_task_row_error(&query->tasks[i], &stats->last_error);
}
