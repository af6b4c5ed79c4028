/* sql/analyse - names and types: a parsed statement and the catalog become checked values, or one error.
 *
 * Everything here is a pure function of the statement, the catalog and the session's properties. Results live in the
 * analyser's arena and hold copies of what they take from the catalog, so that they may outlive it. Where ksqlDB has a
 * fixed sentence for a mistake, its words are used; the position and the hint are weir's.
 *
 * A query becomes the stages that its rows pass:
 *   source -> where -> [prepare: keys and arguments -> aggregate -> having] -> select
 * each expression typed over the schema of the stage before it.
 * Source of the rules: ksqlDB's dialect; docs of each clause in its file. Threads: pure functions. */
#ifndef WEIR_SQL_ANALYSE_ANALYSE_H
#define WEIR_SQL_ANALYSE_ANALYSE_H

#include "func/expr.h"
#include "sql/catalog/catalog.h"
#include "sql/parse/parse.h"

/* Bounds what a statement's checked values take of the arena. */
enum { SQL_NODES_MAX = 50000, SQL_ANALYSE_BYTES_MAX = 48 << 20 };

typedef struct sql_analyser { /* caller's storage */
    weir_arena *arena;
    weir_bytes script; /* what the statement was parsed from: for positions in errors */
    const sql_catalog *catalog;
    const weir_setting *properties; /* of the session, over the server's; the last of a name wins */
    size_t property_count;
    sql_error *error; /* set when a function returns false */
    uint32_t nodes;   /* of expressions looked at so far: bounded; private, begins at 0 */
} sql_analyser;

/* ---- properties
 * ------------------------------------------------------------------------------------------------------ */

/* A session property, also under its "ksql.streams." name; `fallback` when nobody set it. */
const char *sql_session_property(const sql_analyser *analyser, const char *name, const char *fallback);
/* 'auto.offset.reset' is earliest (default as in ksqlDB: latest). */
bool sql_session_from_earliest(sql_analyser *analyser, bool *from_earliest) WEIR_MUST_USE;

/* What WITH (...) of a stream or table may say, for SHOW and documentation. */
extern const weir_option sql_source_options[];

/* ---- CREATE STREAM | TABLE
 * ------------------------------------------------------------------------------------------- */

typedef struct sql_topic_settings { /* how the statement wants its topic made */
    int32_t partitions, replicas;   /* 0 = not said */
    const weir_setting *configs;    /* retention.ms, cleanup.policy */
    uint32_t config_count;
} sql_topic_settings;

/* A declared source with its schema, formats and topic. Existing ones of that name are the caller's matter, except
 * OR REPLACE, whose limits are checked here. */
bool sql_analyse_source(sql_analyser *analyser, const sql_statement *statement, const sql_source **source,
                        sql_topic_settings *topic) WEIR_MUST_USE;

/* ---- queries
 * --------------------------------------------------------------------------------------------------------- */

typedef enum sql_query_use {
    SQL_USE_STREAM /* CSAS */,
    SQL_USE_TABLE /* CTAS */,
    SQL_USE_INSERT,
    SQL_USE_PUSH
} sql_query_use;

typedef struct sql_aggregation {
    const func_aggregate *aggregate;
    int32_t argument; /* column of the prepared schema; -1 = COUNT(*) */
} sql_aggregation;

typedef struct sql_checked_window {
    sql_window_kind kind;
    int64_t size_ms, advance_ms, grace_ms, retention_ms; /* all given */
} sql_checked_window;

typedef struct sql_checked_query {
    const sql_source *source;
    const func_expr *where; /* over the source's schema; NULL = none */
    bool is_aggregate;
    /* Only for aggregates: */
    const data_schema *prepared;     /* the group's columns as keys, then the arguments */
    const func_expr *const *prepare; /* over the source's schema, prepared->count of them */
    bool group_unchanged;            /* the group is the source's key: rows lie where they must already */
    sql_checked_window window;
    const data_schema *aggregated; /* the group's columns, then one column an aggregation */
    const sql_aggregation *aggregations;
    uint32_t aggregation_count;
    const func_expr *having; /* over aggregated; NULL = none */
    /* The result. Persistent queries: keys, then values. Push queries: the changing table's keys, selected or not, then
     * what is selected besides them; `shown` gives the columns in the order of the SELECT list. */
    const data_schema *schema;
    const func_expr *const *select; /* over the source's schema or over aggregated; schema->count of them */
    const uint32_t *shown;          /* shown_count columns of schema; all of them in order for persistent queries */
    uint32_t shown_count;
    bool select_is_identity; /* the rows are the result already */
    bool rekeyed;            /* PARTITION BY */
    bool is_table;           /* the result changes by key */
    bool windowed;           /* the result's rows carry window bounds */
    int64_t limit;           /* push queries; -1 = none */
} sql_checked_query;

/* `result` names what the query builds, for messages; NULL for push queries. */
bool sql_analyse_query(sql_analyser *analyser, const sql_query *query, sql_query_use use, const char *result,
                       const sql_checked_query **checked) WEIR_MUST_USE;
/* The stream or table that CREATE ... AS makes of a checked query. */
bool sql_analyse_sink(sql_analyser *analyser, const sql_statement *statement, const sql_checked_query *query,
                      const char *query_id, const sql_source **sink, sql_topic_settings *topic) WEIR_MUST_USE;
/* INSERT INTO ... SELECT: the result must be what the sink holds. */
bool sql_analyse_insert(sql_analyser *analyser, const sql_statement *statement, const sql_checked_query *query,
                        const sql_source *sink) WEIR_MUST_USE;

/* ---- pull queries
 * ---------------------------------------------------------------------------------------------------- */

typedef struct sql_checked_pull {
    const sql_source *source; /* a materialised table */
    const func_value *keys;   /* key_count tuples of source->schema->key_count values; NULL: all keys */
    uint32_t key_count;
    int64_t window_start_min, window_start_max; /* inclusive; INT64_MIN, INT64_MAX = any */
    const func_expr *filter;        /* the whole WHERE, over the table's schema; keys and bounds only narrow the read */
    const data_schema *schema; /* of the answer, as selected: keys keep their role and their place; key_count is 0 */
    const func_expr *const *select; /* over the table's schema */
    int64_t limit;                  /* -1 = none */
} sql_checked_pull;

bool sql_analyse_pull(sql_analyser *analyser, const sql_query *query, const sql_checked_pull **checked) WEIR_MUST_USE;

/* ---- INSERT ... VALUES
 * ----------------------------------------------------------------------------------------------- */

typedef struct sql_checked_values {
    const sql_source *sink;
    const func_expr *const *values; /* one a column of the sink's schema, of its type; constant */
    const func_expr *rowtime;       /* BIGINT; NULL = now */
} sql_checked_values;

bool sql_analyse_values(sql_analyser *analyser, const sql_statement *statement,
                        const sql_checked_values **checked) WEIR_MUST_USE;

/* ---- names
 * ----------------------------------------------------------------------------------------------------------- */

/* The source of that name, or an error that suggests the nearest. */
bool sql_analyse_find_source(sql_analyser *analyser, sql_name name, const sql_source **source) WEIR_MUST_USE;

#endif
