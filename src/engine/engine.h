/* engine - the node: wires the modules together and runs what SQL asks for.
 *
 * An engine owns the catalog, the running queries and the running connectors of one node. It is handed a world and a
 * bus (bus/embedded over the broker of this process, or on a cluster bus/kafka) and knows no socket, URL or terminal.
 *
 * What must survive is a record: every statement that changes something is appended to the command topic
 * (`_confluent-ksql-<service id>_command_topic`) as JSON: statement text, session properties, the serialised plan with
 * its labels, format and function versions. A start replays the plans in order and never plans again; then queries and
 * connectors start from their committed positions.
 *
 * A failed query is restarted with growing pauses (ksql.query.retry.backoff.initial.ms/.max.ms) and keeps its last
 * error.
 *
 * Threads: everything here is called on the engine's owner lane (a loop lane), and every callback comes there. */
#ifndef WEIR_ENGINE_ENGINE_H
#define WEIR_ENGINE_ENGINE_H

#include "bus/bus.h"
#include "connect/connect.h"
#include "flow/flow.h"
#include "sql/catalog/catalog.h"
#include "sql/plan/plan.h"

typedef struct engine engine;

typedef struct engine_config {
    const io_world *world;
    bus *bus;
    io_lane *owner;
    const char *state_directory;    /* <data>/state */
    const char *service_id;         /* NULL = "default_" */
    const weir_setting *properties; /* --set NAME=VALUE, ksqlDB's names */
    size_t property_count;
} engine_config;

/* Opens and replays the command topic; `ready` comes when every query and connector was started, or with the failure.
 */
engine *engine_open(const engine_config *config, void (*ready)(void *arg, weir_status status), void *arg);
/* Stops queries and connectors after a last commit; `closed` comes when all has ended. Then engine_free(). */
void engine_close(engine *engine, void (*closed)(void *arg), void *arg);
void engine_free(engine *engine);

/* ---- statements -------------------------------------------------------------------------------------------------- */

/* One script: statements run in order; the first failure ends it. */
typedef struct engine_request engine_request;

typedef struct engine_answer { /* of one statement; borrowed during the call */
    const char *statement;     /* its text */
    const sql_plan *plan;      /* NULL when planning failed */
    weir_status status;        /* failure: kind and sentence; sql_error has place and hint */
    const sql_error *error;    /* parse and analysis failures, else NULL */
    const char *message;       /* "Created query with ID CTAS_VIEWS_3": ksqlDB's words */
    const char *query_id;      /* of the query started or ended; NULL */
    int64_t command_sequence;  /* offset in the command topic; -1 */
} engine_answer;

typedef struct engine_row_events { /* where rows of a SELECT go; may be called on other lanes: see on_batch */
    /* Schema of the rows, before the first; on the owner lane. */
    void (*on_schema)(void *arg, const char *query_id, const data_schema *schema);
    /* On a task lane, borrowed during the call; false ends the query (enough, or the client is too slow). */
    bool (*on_batch)(void *arg, const data_batch *batch);
    /* On the owner lane, last: the rows have ended (LIMIT, end of a pull query, TERMINATE) or the query failed. */
    void (*on_end)(void *arg, weir_status status);
    /* Of a push query or PRINT, asked on its lanes before they take more rows; false parks them until
     * engine_request_wake(): the client has enough for now. NULL = always. */
    bool (*may_go_on)(void *arg);
    void *arg;
} engine_row_events;

typedef struct engine_request_events {
    void (*on_answer)(void *arg, const engine_answer *answer); /* once a statement, in order */
    void (*on_done)(void *arg, weir_status status);            /* once, last */
    void *arg;
} engine_request_events;

/* Runs `text`. Listing statements (SHOW, DESCRIBE, EXPLAIN) change nothing here: their answer carries the plan, and the
 * door renders it from the accessors below. `rows` may be NULL: then a SELECT is INVALID here. Properties override the
 * engine's for this request. `file_name` (or NULL) is where the text is from: the sentences of mistakes begin with it.
 * Everything given is copied. */
engine_request *engine_execute(engine *engine, const char *text, const char *file_name, const weir_setting *properties,
                               size_t property_count, const engine_request_events *events,
                               const engine_row_events *rows);
/* Ends a push or pull query early: the client has gone. on_end and on_done still come. */
void engine_request_cancel(engine_request *request);
/* Tasks that may_go_on() parked ask again. */
void engine_request_wake(engine_request *request);

/* ---- what is there ----------------------------------------------------------------------------------------------- */

const sql_catalog *engine_catalog(const engine *engine);

typedef struct engine_query_info {
    const char *id;
    const char *statement;
    const char *sink; /* stream or table name; "" for push queries */
    const char *sink_topic;
    const char *kind; /* "PERSISTENT", "PUSH" */
    const flow_topology *topology;
    flow_query_stats stats;
    double rows_per_second; /* in, over the last seconds */
} engine_query_info;
/* In order of creation; false past the end. */
bool engine_query_at(const engine *engine, size_t index, engine_query_info *info);
bool engine_query_find(const engine *engine, const char *id, engine_query_info *info);

typedef struct engine_connector_info {
    const char *name;
    const connect_source *source;
    const char *topic;
    connect_stats stats;
} engine_connector_info;
bool engine_connector_at(const engine *engine, size_t index, engine_connector_info *info);

const char *engine_service_id(const engine *engine);
bool engine_is_ready(const engine *engine);

#endif
