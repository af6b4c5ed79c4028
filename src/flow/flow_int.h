/* flow_int - what the files of flow share. Private to flow/.
 *
 *   plan.c    topology -> flow_plan: sub-topologies, compiled programs, which columns each step needs. Immutable.
 *   op_*.c    one operator a file, by the vtable in data/batch.h, over a flow_context
 *   chain.c   the operators of one task, or of one pull read, linked
 *   task.c    one sub-topology and partition: open, step, commit, roll back, close
 *   restore.c a task's store: snapshot and changelog in, snapshots out
 *   read.c    pull reads
 *   query.c   topics, tasks and life cycle, on the owner's lane */
#ifndef WEIR_FLOW_FLOW_INT_H
#define WEIR_FLOW_FLOW_INT_H

#include "base/metric.h"
#include "flow/flow.h"
#include "state/state.h"

enum {
    FLOW_STEPS_MAX = 64,       /* nodes of a topology */
    FLOW_SUBS_MAX = 8,
    FLOW_COLUMN_WORDS = 16,    /* 1,024 columns */
    FLOW_TASKS_MAX = 4096,
    FLOW_AGGREGATIONS_MAX = 64,
    FLOW_BATCH_BYTES_MAX = 1 << 20,  /* of keys and values that one batch takes in */
    FLOW_COMMIT_BYTES_SOFT = 6 << 20, /* where a commit is sent without waiting for the interval */
    FLOW_ENCODE_BYTES_MAX = 32 << 20, /* keys or values of one output batch */
    FLOW_BATCHES_MAX = 8       /* of a task's pool: its chain holds at most three, a read one more */
};

/* ---- plan -------------------------------------------------------------------------------------------------------- */

typedef struct flow_columns { uint64_t bits[FLOW_COLUMN_WORDS]; } flow_columns;
static inline bool flow_column_wanted(const flow_columns *columns, uint32_t i) { return data_bit(columns->bits, i); }

typedef struct flow_layout { /* of an aggregate's states in an entry */
    uint32_t offsets[FLOW_AGGREGATIONS_MAX];
    uint32_t state_bytes;
    uint64_t fingerprint;
} flow_layout;

typedef struct flow_step { /* a node, prepared */
    const flow_node *node;
    flow_columns emits;            /* columns of node->schema that somebody downstream reads */
    bool emits_old;                /* somebody downstream reads old values */
    const func_program *condition; /* FILTER */
    const func_program **columns;  /* PROJECT; NULL for columns that nobody reads */
    bool keeps_key;                /* PROJECT: the key columns are the input's, unchanged */
    flow_layout layout;            /* AGGREGATE */
    const func_program *timestamp; /* SOURCE with a timestamp_format */
} flow_step;

typedef struct flow_sub { /* a sub-topology: steps[0] reads, the last one writes */
    flow_step *steps;
    uint32_t step_count;
    const flow_topic *input;   /* of the source, or the repartition topic it begins with */
    int32_t partition_count;   /* of the input = tasks */
    int32_t output_partitions; /* of the topic that the last step writes; 0 for FLOW_OUTPUT */
    flow_step *aggregate;      /* at most one a sub-topology; NULL = none */
    uint8_t changelog_id[16];
    bool is_first, is_last;
    bool has_commit;           /* it writes a topic, a changelog, a quarantine topic or offsets */
} flow_sub;

typedef struct flow_plan {
    const flow_topology *topology;
    flow_sub subs[FLOW_SUBS_MAX];
    uint32_t sub_count;
} flow_plan;

/* Checks the topology and prepares all but what depends on the sources' partition counts. */
weir_status flow_plan_create(weir_arena *arena, const flow_topology *topology, flow_plan *plan) WEIR_MUST_USE;
/* Cuts at repartition nodes, or not when the source has one partition. */
weir_status flow_plan_cut(weir_arena *arena, flow_plan *plan, int32_t source_partitions) WEIR_MUST_USE;
/* INVALID when a format does not hold the columns. Opens nothing. */
weir_status flow_topic_check(const flow_topic *topic) WEIR_MUST_USE;
format_spec flow_topic_spec(const flow_topic *topic, data_role role);

/* ---- operators --------------------------------------------------------------------------------------------------- */

/* Counters of the work since the last commit; published when that is durable. */
typedef struct flow_counters {
    uint64_t rows_in, rows_out, filtered, late, null_key, null_value, quarantined, aggregated, errors_as_null,
        changes_filtered;
} flow_counters;

typedef struct flow_context { /* what operators see of their task */
    weir_account *account;
    data_batch_pool *pool;
    const flow_plan *plan;
    const flow_sub *sub;
    int32_t partition;
    bus *bus;
    bus_commit *commit;        /* open while work is under way; NULL where the sub-topology has none */
    flow_counters counts;
    uint64_t rows_taken;       /* by the source, since the last commit */
    weir_error *row_error;     /* the last bad row's */
    const flow_query_events *events;
    flow_read *read;           /* in a read's chain: whom the rows go to */
    int64_t stream_time;       /* largest event time seen by the source */
} flow_context;

void flow_row_error(flow_context *context, weir_code code, const char *format, ...) WEIR_PRINTF(3, 4);
/* A new selection array of `count` rows in the batch's arena, or NULL. */
uint16_t *flow_selection_new(data_batch *batch, uint32_t count);
weir_status flow_no_memory(const char *what);
/* Runs `program` over `selection` with `columns` in place of the batch's own. */
weir_status flow_run_over(const func_program *program, data_batch *batch, data_vector **columns,
                          data_selection selection, data_vector **result, func_errors *errors) WEIR_MUST_USE;

weir_status flow_filter_create(flow_context *context, const flow_step *step, bool as_rows,
                               data_operator **made) WEIR_MUST_USE;
weir_status flow_project_create(flow_context *context, const flow_step *step, data_operator **made) WEIR_MUST_USE;
weir_status flow_sink_create(flow_context *context, const flow_step *step, data_operator **made) WEIR_MUST_USE;
weir_status flow_output_create(flow_context *context, const flow_step *step, data_operator **made) WEIR_MUST_USE;

typedef struct flow_source flow_source;
weir_status flow_source_create(flow_context *context, const flow_step *step, data_operator **made) WEIR_MUST_USE;
/* Takes rows from the reader until rows_max, the byte limit, or until it is dry. *batch is NULL when no row came. The
 * position (flow_source_position) moves past what was taken, quarantined rows included. */
weir_status flow_source_fill(data_operator *source, bus_reader *reader, uint32_t rows_max,
                             data_batch **batch) WEIR_MUST_USE;
int64_t flow_source_position(const data_operator *source);      /* -1 before the first block */
/* Drops what is left of a block; the next row comes from `position`. */
void flow_source_reset(data_operator *source, int64_t position);

weir_status flow_aggregate_create(flow_context *context, const flow_step *step, data_operator **made) WEIR_MUST_USE;
state_store *flow_aggregate_store(data_operator *aggregate);
/* The changelog records of all changes; after flush(). */
weir_status flow_aggregate_log(data_operator *aggregate) WEIR_MUST_USE;
void flow_aggregate_committed(data_operator *aggregate, uint64_t *expired);
void flow_aggregate_rolled_back(data_operator *aggregate);
void flow_aggregate_restored(data_operator *aggregate);
/* Bytes that flush and log will add to the commit, as far as can be told. */
size_t flow_aggregate_pending_bytes(const data_operator *aggregate);
/* The rows [from, from + count) of a view as a batch of the aggregate's schema. */
weir_status flow_aggregate_rows(data_operator *aggregate, const state_view *view, uint32_t from, uint32_t count,
                                data_batch **batch) WEIR_MUST_USE;

/* ---- chains ------------------------------------------------------------------------------------------------------ */

typedef struct flow_chain {
    data_operator *operators[FLOW_STEPS_MAX];
    uint32_t count;
    data_operator *aggregate; /* one of them, or NULL */
} flow_chain;
weir_status flow_chain_create(flow_context *context, flow_chain *chain) WEIR_MUST_USE;
/* What stands above the aggregate, for rows of a read; ends at context->read. */
weir_status flow_chain_create_read(flow_context *context, flow_chain *chain) WEIR_MUST_USE;
void flow_chain_destroy(flow_chain *chain);

/* ---- tasks ------------------------------------------------------------------------------------------------------- */

/* OPENING -> RUNNING -> CLOSED, told to the owner; the owner answers CLOSED with a last job to the lane, behind
 * whatever is still queued there, and GONE says that it ran: now the lane can be destroyed. */
typedef enum flow_task_phase { FLOW_TASK_OPENING, FLOW_TASK_RUNNING, FLOW_TASK_CLOSED, FLOW_TASK_GONE } flow_task_phase;

typedef struct flow_snapshot { /* one under way */
    bool is_active, is_writing; /* is_writing: a job is on the blocking lane, which owns what follows */
    state_cursor cursor;
    state_snapshot_writer *writer;
    state_snapshot_about about;
    uint8_t *chunk;
    size_t chunk_bytes;
    uint32_t chunk_entries;
    uint64_t records_covered;
    bool is_abandoned;
    weir_error error;
    io_job write, written;
} flow_snapshot;

typedef struct flow_task {
    flow_query *query;
    const flow_runtime *runtime;
    io_lane *lane, *blocking;
    flow_context context;
    flow_chain chain;
    weir_error row_error;      /* the last bad row's */
    atomic_flag row_error_lock; /* held for a copy: */
    weir_error told_row_error;

    bus_reader *reader;
    int64_t committed;         /* offset that the group has, or the work would begin at again; -1 = none */
    uint64_t commit_rows_max;  /* lowered when a commit was too large */
    int64_t commit_started_ns;
    bool is_committing;
    bool commits_start;        /* the position itself is to be committed */

    /* Restoring. */
    bus_reader *changelog;
    int64_t changelog_position, changelog_end; /* _end: after the last commit */
    bool from_snapshot;
    weir_error load_error;
    int64_t load_offset;
    io_job load, loaded, changelog_wake;

    flow_snapshot snapshot;
    int64_t snapshot_at_ns;
    uint64_t records_since_snapshot;
    char path[1024]; /* of the snapshot; "" = none are made */

    /* Control. `async` counts calls and jobs elsewhere that will come back; nothing is freed before. */
    uint32_t async;
    bool is_closing, is_failed;
    weir_error error;
    _Atomic bool stop_requested;
    _Atomic int phase;
    io_job step, committed_job, last, report;
    flow_task_phase seen_phase; /* the owner's */

    /* Reads, handed over by the owner one at a time. */
    struct flow_pull *_Atomic pull;

    /* Published for flow_query_stats_get(). */
    _Atomic uint64_t rows_in, rows_out, filtered, late, null_key, null_value, quarantined, aggregated, errors_as_null,
        changes_filtered, windows_expired, groups, state_bytes;
    _Atomic int64_t position, end, stream_time;
    int64_t told_groups, told_state_bytes, told_lag; /* what the metrics have of this task */
} flow_task;

/* On the owner's lane. open() posts the first job; report is posted to the owner whenever the phase changed. */
void flow_task_init(flow_task *task, flow_query *query, const flow_plan *plan, const flow_sub *sub, int32_t partition);
void flow_task_open(flow_task *task);
void flow_task_stop(flow_task *task); /* idempotent */
void flow_task_finish(flow_task *task); /* after CLOSED */
void flow_task_deinit(flow_task *task); /* after GONE */

/* From any lane: the last bad row's error, if there was one. */
void flow_task_row_error(flow_task *task, weir_error *error);

/* On the task's lane. */
void flow_task_fail(flow_task *task, weir_status status);
void flow_task_wake(flow_task *task);
void flow_task_restored(flow_task *task); /* restore.c: the store is as it was committed */
void flow_task_async_done(flow_task *task);

void flow_restore_init(flow_task *task);
void flow_restore_start(flow_task *task);
void flow_restore_close(flow_task *task);
/* After a commit: begins a snapshot when one is due; `is_final`: when anything changed. */
void flow_snapshot_consider(flow_task *task, bool is_final);
bool flow_snapshot_is_active(const flow_task *task);

/* Serves the pull read that the owner left, a batch at a time; true while there is more to do. */
bool flow_pull_step(flow_task *task);
void flow_pull_cancel(flow_task *task, weir_status status);

/* ---- queries ----------------------------------------------------------------------------------------------------- */

/* FLOW_METRIC(name, kind, family, help): what /metrics tells of a query. */
#define FLOW_METRIC_LIST(FLOW_METRIC)                                                                                  \
    FLOW_METRIC(ROWS_IN, WEIR_COUNTER, "weir_query_rows_in_total", "records read from the query's sources")            \
    FLOW_METRIC(ROWS_OUT, WEIR_COUNTER, "weir_query_rows_out_total", "rows written or handed out by the query")        \
    FLOW_METRIC(FILTERED, WEIR_COUNTER, "weir_query_rows_filtered_total", "rows dropped by a filter")                  \
    FLOW_METRIC(LATE, WEIR_COUNTER, "weir_query_rows_late_total", "rows dropped because their windows were closed")    \
    FLOW_METRIC(NULL_KEY, WEIR_COUNTER, "weir_query_rows_null_key_total", "rows dropped because their key was null")   \
    FLOW_METRIC(QUARANTINED, WEIR_COUNTER, "weir_query_rows_quarantined_total", "records that could not be decoded")   \
    FLOW_METRIC(ERRORS, WEIR_COUNTER, "weir_query_errors_as_null_total", "expressions that failed and gave NULL")      \
    FLOW_METRIC(GROUPS, WEIR_GAUGE, "weir_query_state_entries", "groups in the query's stores")                        \
    FLOW_METRIC(STATE_BYTES, WEIR_GAUGE, "weir_query_state_bytes", "memory of the query's stores")                     \
    FLOW_METRIC(LAG, WEIR_GAUGE, "weir_query_lag_records",                                                             \
                "records between the query's positions and its sources' ends")
typedef enum flow_metric {
#define FLOW_METRIC(name, kind, family, help) FLOW_METRIC_##name,
    FLOW_METRIC_LIST(FLOW_METRIC)
#undef FLOW_METRIC
    FLOW_METRICS
} flow_metric;

struct flow_query {
    flow_runtime settings;     /* the runtime with its defaults filled in */
    const flow_topology *topology;
    flow_query_events events;
    weir_account account;
    char account_name[300];
    weir_arena arena;
    flow_plan plan;
    _Atomic int state;
    weir_error error;          /* written on the owner's lane before state is FAILED */
    io_lane *blocking;
    flow_task *tasks;
    uint32_t task_count, tasks_gone, tasks_running;
    bool is_stopping, is_ending;
    struct flow_need *needs;   /* topics to be looked after, before tasks can start */
    uint32_t need_count, need_at;
    io_job start, ended;
    struct flow_pull *pulls;   /* waiting, first is being served */
    weir_metric metrics[FLOW_METRICS];
};

void flow_query_task_reported(flow_task *task);
void flow_pull_next(flow_query *query);
void flow_pull_task_closed(flow_query *query, flow_task *task);

#endif
