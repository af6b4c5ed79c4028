/* sql/plan - a statement becomes a plan: a value that says everything the engine has to do, so that doing it is a
 * switch.
 *
 *   sql_plan_make(text, catalog, session properties, next query number) -> sql_plan | sql_error
 *   sql_plan_to_json() -> command topic -> sql_plan_from_json()      replay executes plans and never plans again
 *   sql_plan_apply(plan, catalog)                                    the plan's change of the catalog
 *
 * Planning is a pure function: no clock, no topic, no running query is asked. Labels (query ids, internal topics,
 * stores) are ksqlDB's and are chosen here, once. Ownership: a plan lives in the arena it was made in and borrows
 * nothing else. Threads: pure functions. */
#ifndef WEIR_SQL_PLAN_PLAN_H
#define WEIR_SQL_PLAN_PLAN_H

#include "flow/topology.h"
#include "sql/analyse/analyse.h"
#include "sql/catalog/catalog.h"
#include "sql/parse/parse.h"

typedef enum sql_plan_kind {
    /* Changes; each is a command record. */
    SQL_PLAN_CREATE_SOURCE,    /* source, topic */
    SQL_PLAN_CREATE_AS,        /* source, topic, query, topology */
    SQL_PLAN_INSERT_SELECT,    /* query, topology */
    SQL_PLAN_DROP_SOURCE,      /* name, end_queries, delete_topic */
    SQL_PLAN_TERMINATE,        /* end_queries */
    SQL_PLAN_CREATE_CONNECTOR, /* connector */
    SQL_PLAN_DROP_CONNECTOR,   /* name */
    /* Done at once; nothing is kept. */
    SQL_PLAN_INSERT_VALUES, /* values, sink_topic */
    SQL_PLAN_PUSH,          /* topology, limit */
    SQL_PLAN_PULL,          /* pull */
    SQL_PLAN_PRINT,         /* name = the topic; from_beginning, interval, limit */
    SQL_PLAN_SET,           /* setting */
    SQL_PLAN_UNSET,         /* setting.name */
    SQL_PLAN_SHOW,          /* subject, extended */
    SQL_PLAN_DESCRIBE,      /* name of a source, extended */
    SQL_PLAN_DESCRIBE_FUNCTION,
    SQL_PLAN_DESCRIBE_CONNECTOR,
    SQL_PLAN_EXPLAIN, /* name = a query's id; or explained */
    SQL_PLAN_NOTHING, /* message: IF EXISTS found nothing, IF NOT EXISTS found something */
    SQL_PLAN_KIND_COUNT
} sql_plan_kind;

typedef struct sql_plan_topic { /* to be there before anything runs */
    const char *name;
    int32_t partitions; /* when it has to be made; 0 = as topic `like`, or the server's default when that is NULL */
    int32_t replicas;   /* 0 = the server's default */
    bool must_match;    /* the statement said PARTITIONS: an existing topic with another number is an error */
    const char *like;
    const weir_setting *configs; /* "retention.ms", "cleanup.policy" */
    uint32_t config_count;
} sql_plan_topic;

typedef struct sql_plan sql_plan;
struct sql_plan {
    sql_plan_kind kind;
    const char *statement; /* text */
    const char *message;   /* ksqlDB's words for a success that needs no other answer; NULL = the engine's */
    const char *name;
    bool is_table;
    const sql_source *source; /* to be put into the catalog */
    sql_plan_topic topic;
    const sql_query_entry *query; /* to be put into the catalog and run */
    const flow_topology *topology;
    const char *const *end_queries; /* ids of queries to end and to take out of the catalog */
    uint32_t end_query_count;
    const char *delete_topic; /* of a dropped source; NULL = keep it */
    const sql_connector *connector;
    const sql_checked_values *values;
    const flow_topic *sink_topic; /* how to encode the values */
    const sql_checked_pull *pull;
    const char *pull_query;    /* id of the query whose store is read */
    const data_schema *schema; /* of the answer to a SELECT, as selected; PUSH and PULL */
    const uint32_t *shown;     /* PUSH: column i of the answer is column shown[i] of the topology's rows */
    weir_setting setting;
    sql_subject subject;
    bool extended, from_beginning;
    int64_t limit, interval; /* -1 = none */
    const sql_plan *explained;
};

typedef struct sql_plan_input {
    weir_bytes script; /* what the statement stands in: for positions */
    sql_piece piece;
    const sql_catalog *catalog;
    const weir_setting *properties; /* of the session, after the server's: the last of a name wins */
    size_t property_count;
    uint64_t next_query; /* number for the id of a query this statement starts */
    uint64_t next_push;  /* the same if it is a push query: one that no query had before, in no run of the server */
} sql_plan_input;

/* Parses, checks and plans one statement. false: `error`. The arena's maximum is SQL_PLAN_ARENA_BYTES or more. */
enum { SQL_PLAN_ARENA_BYTES = 128 << 20 };
bool sql_plan_make(weir_arena *arena, const sql_plan_input *input, const sql_plan **plan,
                   sql_error *error) WEIR_MUST_USE;

/* Whether the plan changes what is kept: it goes to the command topic. */
bool sql_plan_is_command(const sql_plan *plan);
/* Changes the catalog as the plan says; for a plan without change nothing. */
weir_status sql_plan_apply(const sql_plan *plan, sql_catalog *catalog) WEIR_MUST_USE;

/* The plan as EXPLAIN prints it: what it makes, then the topology. */
void sql_plan_print(const sql_plan *plan, weir_buffer *target);

/* ---- JSON: what the command topic keeps
 * ------------------------------------------------------------------------------- */

enum { SQL_PLAN_JSON_VERSION = 1, SQL_PLAN_JSON_BYTES_MAX = 8 << 20 };

/* Commands only. The text is canonical: equal plans give equal bytes. INVALID when it would not fit. */
weir_status sql_plan_to_json(const sql_plan *plan, weir_buffer *target) WEIR_MUST_USE;
/* The arena's maximum is SQL_PLAN_ARENA_BYTES or more. CORRUPT names the member; NOT_FOUND a function or aggregate,
 * UNSUPPORTED a version, that this weir lacks. */
weir_status sql_plan_from_json(weir_arena *arena, weir_bytes json, const sql_plan **plan) WEIR_MUST_USE;

#endif
