/* engine internals. Everything here belongs to the engine's owner lane, except what selects.c says otherwise. */
#ifndef WEIR_ENGINE_ENGINE_INT_H
#define WEIR_ENGINE_ENGINE_INT_H

#include "engine/engine.h"

enum {
    ENGINE_REQUESTS_MAX = 4096, /* scripts that run or wait */
    ENGINE_SETTINGS_MAX = 256,  /* properties of one request */
    ENGINE_SCRIPT_BYTES_MAX = 16 << 20,
    ENGINE_RECORD_BYTES_MAX = SQL_PLAN_JSON_BYTES_MAX + (4 << 20), /* of a command */
    ENGINE_RECORD_VERSION = 1
};

typedef struct engine_query engine_query;
typedef struct engine_connector engine_connector;
typedef struct engine_select engine_select;
typedef struct engine_cleanup engine_cleanup;
typedef struct engine_print engine_print;

struct engine {
    weir_account account;
    const io_world *world;
    bus *bus;
    io_lane *owner;
    char *service_id, *state_directory;
    weir_setting *properties;
    size_t property_count;
    char command_topic[BUS_TOPIC_NAME_MAX + 1];
    sql_catalog *catalog;
    flow_runtime flow;
    connect_runtime connect;
    int64_t retry_ms_first, retry_ms_max;
    io_lane *files_lane; /* blocking: snapshots are removed there */

    int64_t command_end; /* offset of the next command, and so the number of the next query */
    bus_reader *reader;  /* replay */
    io_job reader_wake;
    engine_cleanup *leftovers; /* of the last command replayed, which a crash may have kept from its end */
    void (*ready)(void *arg, weir_status status);
    void *ready_arg;
    io_job start;
    bool is_ready, is_closing;

    engine_query *queries; /* in order of creation */
    engine_connector *connectors;
    engine_select *selects;
    engine_request *requests;
    uint32_t request_count;
    engine_request *commander; /* whose command is being carried out */
    engine_request *waiting_first, *waiting_last;
    uint64_t select_count; /* pull queries so far: numbers their ids */

    uint64_t pending; /* calls of the bus, requests, queries, connectors and cleanups that have not ended */
    void (*closed)(void *arg);
    void *closed_arg;
    io_job closed_job;
};

/* Everything asynchronous is counted, so that closing knows when all has ended. */
void engine_begin(engine *engine);
void engine_end(engine *engine);
const char *engine_property(const engine *engine, const char *name, const char *fallback);
void engine_tell_ready(engine *engine, weir_status status); /* once; later calls do nothing */
void engine_post(engine *engine, io_job *job);              /* to the owner lane */
int64_t engine_now_ms(const engine *engine);

/* ---- commands.c: the command topic ------------------------------------------------------------------------------- */

void engine_replay(engine *engine);
void engine_replay_stop(engine *engine);
/* Writes the JSON of a command record. `properties` are the session's. */
weir_status engine_command_write(const sql_plan *plan, const weir_setting *properties, size_t property_count,
                                 weir_buffer *record) WEIR_MUST_USE;
/* Changes the catalog and the lists of queries and connectors as the command in `record` says; starts and stops
 * nothing. What has to end or go is added to `cleanup`. *plan lives in `arena`. */
weir_status engine_command_apply(engine *engine, weir_bytes record, weir_arena *arena, engine_cleanup *cleanup,
                                 const sql_plan **plan) WEIR_MUST_USE;

/* ---- queries.c: persistent queries ------------------------------------------------------------------------------- */

struct engine_query {
    engine *engine;
    engine_query *next;
    weir_account account;
    weir_arena arena; /* the plan's */
    const sql_plan *plan;
    flow_query *flow; /* NULL while it does not run */
    bool is_running;  /* its tasks have restored what they keep */
    bool is_stopping;
    void (*stopped)(void *arg, engine_query *query);
    void *stopped_arg;
    engine_select *waiting; /* pull queries, until it runs */
    engine_request *creator; /* its statement is answered once the query runs, with its topics, or has failed */
    io_job retry_job;
    io_timer retry_timer;
    int64_t retry_ms;
    int64_t started_ms; /* by the monotonic clock */
    weir_error last_error;
    flow_query_stats before; /* counts of the runs that ended */
    int64_t sampled_ms;      /* rows_per_second */
    uint64_t sampled_rows;
    double rate;
};

/* A query over a plan of its own, read from `plan_json`, so that what runs is what a restart will run. Not yet started.
 */
weir_status engine_query_create(engine *engine, weir_bytes plan_json, engine_query **query) WEIR_MUST_USE;
void engine_query_free(engine_query *query);
void engine_query_start(engine_query *query);
/* `stopped` comes later, never inside the call. */
void engine_query_stop(engine_query *query, void (*stopped)(void *arg, engine_query *query), void *arg);
engine_query *engine_query_of(const engine *engine, const char *id);
void engine_query_append(engine_query *query);
/* Takes it out of the engine's list; NULL when there is none. */
engine_query *engine_query_take(engine *engine, const char *id);

/* ---- connectors.c ------------------------------------------------------------------------------------------------ */

struct engine_connector {
    engine *engine;
    engine_connector *next;
    char *name, *topic;
    weir_setting *settings;
    size_t setting_count;
    const connect_source *source; /* NULL: this weir lacks it */
    connect_task *task;           /* NULL while it does not run */
    weir_error error;             /* why it could not be started */
    io_job stopped_job, idle_job;
    void (*stopped)(void *arg, engine_connector *connector);
    void *stopped_arg;
};

weir_status engine_connector_check(const sql_connector *connector) WEIR_MUST_USE;
engine_connector *engine_connector_create(engine *engine, const sql_connector *connector);
void engine_connector_free(engine_connector *connector);
void engine_connector_start(engine_connector *connector);
void engine_connector_stop(engine_connector *connector, void (*stopped)(void *arg, engine_connector *connector),
                           void *arg);
engine_connector *engine_connector_take(engine *engine, const char *name);

/* ---- cleanup.c: what dropped queries and connectors leave -------------------------------------------------------- */

/* Stops them, then removes their topics and files. What cannot be removed is told to the operator and left. */
engine_cleanup *engine_cleanup_create(engine *engine);
void engine_cleanup_add_query(engine_cleanup *cleanup, engine_query *query);             /* takes it */
void engine_cleanup_add_connector(engine_cleanup *cleanup, engine_connector *connector); /* takes it */
void engine_cleanup_add_topic(engine_cleanup *cleanup, const char *topic);
/* `done` comes later; the cleanup and what it took are freed before. */
void engine_cleanup_run(engine_cleanup *cleanup, void (*done)(void *arg, weir_status topics), void *arg);
void engine_cleanup_free(engine_cleanup *cleanup); /* one that was not run */

/* ---- statements.c: requests -------------------------------------------------------------------------------------- */

struct engine_request {
    engine *engine;
    engine_request *next, *next_waiting;
    weir_arena arena;     /* of the request: text, properties */
    weir_arena statement; /* reset with each statement */
    weir_bytes text;
    const char *file_name;
    engine_request_events events;
    engine_row_events rows;
    bool has_rows, is_cancelled, is_waiting, has_turn;
    weir_setting properties[ENGINE_SETTINGS_MAX]; /* the engine's, then the session's */
    size_t property_count;
    io_job step;
    uint32_t at; /* behind the statement in hand */
    sql_piece piece;
    bool has_piece;
    const sql_plan *plan;
    sql_error error;
    const char *message;
    const char *query_id;
    int64_t sequence;
    weir_error failure; /* kept over hops */
    /* A command on its way. */
    weir_buffer record;
    bus_commit *commit;
    io_job committed;
    engine_select *select;
    engine_print *print;
};

void engine_request_go(engine_request *request); /* has the step run soon */
void engine_request_cancel_all(engine *engine);
/* Ends the statement in hand; a failure ends the script. `status` may be of this thread only. */
void engine_statement_answer(engine_request *request, weir_status status);
/* command.c's counterpart: carries out a plan that sql_plan_is_command(). */
void engine_command_run(engine_request *request);
void engine_command_release_turn(engine_request *request);

/* ---- values.c ---------------------------------------------------------------------------------------------------- */

void engine_values_run(engine_request *request); /* INSERT INTO ... VALUES */

/* ---- print.c -------------------------------------------------------------------------------------------------------
 */

void engine_print_run(engine_request *request);
void engine_print_wake(engine_print *print); /* also to notice that the request was cancelled */

/* ---- selects.c: push and pull queries ---------------------------------------------------------------------------- */

void engine_push_run(engine_request *request);
void engine_pull_run(engine_request *request);
void engine_select_cancel(engine_select *select);
void engine_select_wake(engine_select *select);
/* The query that the select waits for runs, or will not. */
void engine_select_query_runs(engine_select *select);
void engine_select_query_failed(engine_select *select, weir_status status);
engine_select *engine_select_next_waiting(engine_select *select);
/* Push queries for the list of queries; false past the end. */
bool engine_push_at(const engine *engine, size_t index, engine_query_info *info);

#endif
