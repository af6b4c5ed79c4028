/* flow - runs topologies: tasks, event time, state, commits.
 *
 * flow_query_start() finds the partitions of the sources, makes missing internal topics, and opens one task a
 * sub-topology and partition on a worker lane of its own. A task reads row blocks from the bus, decodes the columns the
 * query needs into batches, drives them through its operators in processing order, and commits outputs, changelogs,
 * quarantined records and source offsets as ONE bus commit. After a crash a task restores its stores (snapshot, then
 * changelog) and goes on from the committed offsets: every input counts exactly once.
 *
 * A commit is sent when the input is drained, and at the latest after commit_interval_ms of work or when it is full;
 * while it is under way the task goes on reading but holds back what would need the next one.
 *
 * A failed task (source topic deleted, commit refused, broken operator) stops its query with a kept error; the engine
 * decides about restarting.
 *
 * When a commit would grow beyond what the bus takes, or memory for a batch runs out, the task takes its uncommitted
 * work back, reads again from its committed position, and commits fewer rows at a time; a single row that does not fit
 * fails it.
 *
 * Counting: every row ends in exactly one named outcome of flow_query_stats; counters move when their commit is
 * durable.
 *
 * Threads: a query belongs to the lane it was started from (`owner`, a loop lane): start, stop and read are called
 * there and their callbacks come there. Tasks run on worker lanes. */
#ifndef WEIR_FLOW_FLOW_H
#define WEIR_FLOW_FLOW_H

#include "bus/bus.h"
#include "flow/topology.h"

typedef struct flow_runtime { /* borrowed by every query; outlives them */
    const io_world *world;
    bus *bus;
    io_lane *owner;
    const char *state_directory;  /* snapshots: <directory>/<query id>/<store>-<partition>; NULL = no snapshots */
    int64_t commit_interval_ms;   /* 0 = 100 */
    int64_t checkpoint_interval_ms; /* 0 = 10 s */
    uint32_t batch_rows_max;      /* 0 = DATA_BATCH_ROWS_MAX; tests narrow it */
    size_t task_bytes_max;        /* leases of one task for read-ahead and batches; 0 = 16 MiB */
} flow_runtime;

typedef struct flow_query flow_query;

typedef enum flow_state { FLOW_STARTING, FLOW_RESTORING, FLOW_RUNNING, FLOW_STOPPED, FLOW_FAILED } flow_state;

typedef struct flow_query_stats {
    flow_state state;
    weir_error last_error;         /* of the query, or of the last bad row */
    uint64_t rows_in, rows_out;
    /* rows_in = quarantined + filtered + null_key + null_value + late + aggregated where there is an aggregate, else
     * rows_in = quarantined + filtered + null_key + rows_out. A row counts as late when all its windows were closed. */
    uint64_t filtered, late, null_key, null_value, quarantined, aggregated;
    uint64_t errors_as_null;       /* expressions that failed and gave NULL */
    uint64_t changes_filtered;     /* changes of the aggregate's table that HAVING held back */
    uint64_t windows_expired;      /* entries that retention dropped */
    uint64_t groups;               /* entries in its stores */
    uint64_t state_bytes;
    int64_t lag;                   /* records between its positions and the ends of its sources */
    int64_t stream_time_ms;        /* largest event time seen; -1 = none */
    uint32_t tasks;
} flow_query_stats;

typedef struct flow_query_events {
    /* On the owner lane. state: RUNNING once all tasks caught up their restore; STOPPED or FAILED once, last. */
    void (*on_state)(void *arg, flow_query *query, flow_state state);
    /* Push queries (FLOW_OUTPUT): called on the TASK's lane with each output batch, borrowed during the call. Returning
     * false cuts the query off (a slow or finished client). */
    bool (*on_batch)(void *arg, const data_batch *batch);
    /* Push queries: asked on the task's lane before it takes more rows. false parks the task until flow_query_wake():
     * the subscriber has enough for now, and what it does not take stays in the log. NULL = always. */
    bool (*may_go_on)(void *arg);
    void *arg;
} flow_query_events;

/* `topology` is borrowed until the query is freed. Never waits; failures come through on_state. */
flow_query *flow_query_start(const flow_runtime *runtime, const flow_topology *topology,
                             const flow_query_events *events);
/* Commits what is done, writes snapshots, closes; on_state(STOPPED) comes later. Idempotent. */
void flow_query_stop(flow_query *query);
/* Tasks that may_go_on() parked ask again. */
void flow_query_wake(flow_query *query);
/* After STOPPED or FAILED was told. */
void flow_query_free(flow_query *query);
/* Removes what a dropped query left: snapshots; internal topics are the engine's to delete. On a blocking lane. */
weir_status flow_files_remove(io_files *files, const char *state_directory, const char *query_id) WEIR_MUST_USE;
/* On the owner's lane. */
void flow_query_stats_get(const flow_query *query, flow_query_stats *stats);

/* ---- reading a query's table (pull queries) ---------------------------------------------------------------------- */

/* Reads committed rows of the aggregate's store and runs them through the nodes between the aggregate and the sink, so
 * that rows have the sink's schema. Each task hands its rows to on_batch on its own lane between two of its batches. */
typedef struct flow_read flow_read;
struct flow_read { /* caller's storage until done() */
    weir_bytes key;            /* canonical key bytes (flow_key_encode); data == NULL: all keys */
    int64_t window_start_min;  /* inclusive bounds on window starts; INT64_MIN / INT64_MAX = any */
    int64_t window_start_max;
    bool (*on_batch)(flow_read *read, const data_batch *batch); /* task lane, one task at a time; false = enough */
    void (*done)(flow_read *read, weir_status status);          /* owner lane */
    void *private_owner;
};
void flow_query_read(flow_query *query, flow_read *read);
/* The store key of a group given as one value a key column. */
weir_status flow_key_encode(const flow_query *query, const func_value *values, uint32_t count,
                            weir_buffer *key) WEIR_MUST_USE;

#endif
