/* flow/topology - the shape of a query's work, as a value: what sql/plan (and the C API) hands to flow to run.
 *
 * A topology is an immutable tree of nodes in one arena, sources at the leaves, one end (sink, push or pull output) at
 * the root. It names everything that survives a restart (labels of topics, stores, the query id), so that executing it
 * again continues the work. Mutable state lives in the tasks that run it (flow.h).
 *
 *   SOURCE -> FILTER -> PROJECT -> REPARTITION -> AGGREGATE -> FILTER/PROJECT (on the table) -> SINK
 *
 * A topology is cut at its repartition topics into sub-topologies; one task runs one sub-topology for one partition. */
#ifndef WEIR_FLOW_TOPOLOGY_H
#define WEIR_FLOW_TOPOLOGY_H

#include "data/batch.h"
#include "data/format/format.h"
#include "base/option.h"
#include "func/expr.h"

typedef enum flow_node_kind {
    FLOW_SOURCE,
    FLOW_FILTER,
    FLOW_PROJECT,
    FLOW_REPARTITION,
    FLOW_AGGREGATE,
    FLOW_SINK,   /* writes a topic: a persistent query */
    FLOW_OUTPUT  /* hands batches to a subscriber: a push query */
} flow_node_kind;

typedef enum flow_window_kind { FLOW_WINDOW_NONE, FLOW_WINDOW_TUMBLING, FLOW_WINDOW_HOPPING } flow_window_kind;

typedef struct flow_window {
    flow_window_kind kind;
    int64_t size_ms, advance_ms; /* advance == size for tumbling */
    int64_t grace_ms;            /* rows later than stream time - size - grace are dropped and counted */
    int64_t retention_ms;        /* >= size + grace; windows older than that leave the store */
} flow_window;

/* How a topic's records become rows and back. */
typedef struct flow_topic {
    const char *name;
    const char *key_format, *value_format;          /* registered format names */
    const weir_setting *key_options, *value_options; /* VALUE_DELIMITER, WRAP_SINGLE_VALUE ... */
    uint32_t key_option_count, value_option_count;
    const data_schema *schema;
    flow_window window;                             /* kind != NONE: keys are followed by the window start (8 bytes) */
    bool is_table;                                  /* a record is a change of its key; null values delete */
} flow_topic;

typedef struct flow_node flow_node;

typedef struct flow_projection { /* one output column */
    const func_expr *expr;       /* over the input schema */
} flow_projection;

typedef struct flow_aggregation {
    const func_aggregate *aggregate;
    int32_t argument;            /* input column, -1 = COUNT(*) */
} flow_aggregation;

struct flow_node {
    flow_node_kind kind;
    const char *id;              /* stable identity within the query, unique, e.g. "Aggregate-0" */
    const flow_node *input;      /* NULL for SOURCE */
    const data_schema *schema;   /* of the rows it emits */
    bool is_table;               /* emits changes of a table */
    bool windowed;               /* emitted rows carry window bounds */
    union {
        struct {
            flow_topic topic;
            int32_t timestamp_column;     /* event time; -1 = the record's own */
            const char *timestamp_format; /* for STRING columns; NULL = ISO or epoch by type */
            const char *quarantine_topic; /* where undecodable records go; NULL = counted and dropped (push queries) */
        } source;
        struct {
            /* On tables a row that stops matching becomes a delete: above an aggregate once, when the row before had
             * matched; a table read from a topic has no old values here, and every row that does not match deletes. */
            const func_expr *condition;
        } filter;
        struct { const flow_projection *columns; } project; /* schema->count of them, keys first */
        struct { flow_topic topic; } repartition; /* written and read back; skipped when the source has one partition */
        struct {
            uint32_t key_count;           /* the input's first key_count columns are the group */
            const flow_aggregation *aggregations; /* schema->count - key_count of them */
            uint32_t aggregation_count;
            flow_window window;
            const char *key_format;       /* canonical bytes of the group in the store and the changelog */
            const char *store;            /* label of the store, and of its changelog topic */
            const char *changelog_topic;  /* NULL = no changelog (push queries) */
        } aggregate;
        struct {
            flow_topic topic;
            int32_t partition_count; /* made with so many when missing; 0 = as the source */
        } sink;
    };
};

typedef struct flow_topology {
    const char *query_id;     /* "CTAS_PAGE_VIEWS_3" */
    const char *group;        /* consumer group whose committed offsets are the query's positions; NULL = none */
    bool emit_every_update;   /* false: an aggregate emits one change a group and commit, as ksqlDB's record cache does;
                                 true: one a row that reaches a group, as Kafka Streams does without cache */
    bool from_earliest;       /* where a partition without committed offset starts */
    const flow_node *root;    /* FLOW_SINK or FLOW_OUTPUT */
    uint32_t node_count;
} flow_topology;

/* The topology as EXPLAIN prints it: one node a line, indented from the root down to the sources. */
void flow_topology_print(const flow_topology *topology, weir_buffer *target);

#endif
