/* sql/catalog - the streams, tables, queries and connectors that a node knows.
 *
 * The catalog is changed only by executing plans (sql/plan), in the order of the command topic, and is the same after
 * every replay. Objects are immutable values with an arena of their own: put copies one in and replaces one of the same
 * name; pointers to an object stay valid until it is replaced or dropped.
 *
 * Which queries read or write a source is not stored twice: it is asked of the queries.
 * Threads: one owner at a time; planning reads it, so it runs there too. */
#ifndef WEIR_SQL_CATALOG_CATALOG_H
#define WEIR_SQL_CATALOG_CATALOG_H

#include "base/option.h"
#include "data/type.h"
#include "sql/parse/sql_ast.h"

enum { SQL_CATALOG_OBJECTS_MAX = 65536 }; /* of each sort */

/* ---- streams and tables ---------------------------------------------------------------------------------------------
 */

typedef struct sql_source {
    const char *name;
    bool is_table;
    bool read_only; /* CREATE SOURCE ...: no INSERT, no DELETE TOPIC */
    const char *topic;
    int32_t partitions, replicas; /* wanted when the topic is made; 0 = as the source, or the default */
    const char *key_format, *value_format;
    const weir_setting *key_options, *value_options; /* KEY_DELIMITER; VALUE_DELIMITER, WRAP_SINGLE_VALUE */
    uint32_t key_option_count, value_option_count;
    const data_schema *schema;
    sql_window_kind window; /* its keys carry window bounds */
    int64_t window_size_ms, window_advance_ms;
    int32_t timestamp_column;     /* -1 = the record's timestamp */
    const char *timestamp_format; /* NULL = by type */
    const char *quarantine_topic;
    const char *created_by; /* id of the query whose result it is; NULL = declared */
    bool materialised;      /* created_by keeps it in a store: pull queries can read it */
    const char *statement;
} sql_source;

/* ---- queries and connectors
 * ------------------------------------------------------------------------------------------ */

typedef struct sql_query_entry { /* a persistent query */
    const char *id;
    const char *source; /* read */
    const char *sink;   /* written */
    const char *statement;
} sql_query_entry;

typedef struct sql_connector {
    const char *name;
    const weir_setting *options; /* as given in WITH */
    uint32_t option_count;
    const char *statement;
} sql_connector;

/* ---- the catalog
 * ------------------------------------------------------------------------------------------------------ */

typedef struct sql_catalog sql_catalog;

sql_catalog *sql_catalog_create(weir_account *account); /* account borrowed */
void sql_catalog_destroy(sql_catalog *catalog);

/* NULL when there is none. The _at functions go through them in order of name, NULL past the end. */
const sql_source *sql_catalog_source(const sql_catalog *catalog, const char *name);
const sql_query_entry *sql_catalog_query(const sql_catalog *catalog, const char *id);
const sql_connector *sql_catalog_connector(const sql_catalog *catalog, const char *name);
const sql_source *sql_catalog_source_at(const sql_catalog *catalog, size_t index);
const sql_query_entry *sql_catalog_query_at(const sql_catalog *catalog, size_t index);
const sql_connector *sql_catalog_connector_at(const sql_catalog *catalog, size_t index);

/* Copies the object in, in place of one of the same name. NO_MEMORY, FULL. */
weir_status sql_catalog_put_source(sql_catalog *catalog, const sql_source *source) WEIR_MUST_USE;
weir_status sql_catalog_put_query(sql_catalog *catalog, const sql_query_entry *query) WEIR_MUST_USE;
weir_status sql_catalog_put_connector(sql_catalog *catalog, const sql_connector *connector) WEIR_MUST_USE;
/* false: there was none. */
bool sql_catalog_drop_source(sql_catalog *catalog, const char *name);
bool sql_catalog_drop_query(sql_catalog *catalog, const char *id);
bool sql_catalog_drop_connector(sql_catalog *catalog, const char *name);

/* The query at or after *at (an index for sql_catalog_query_at, begun with 0) that reads or writes the source; *at
 * moves behind it. NULL when there is none left. */
const sql_query_entry *sql_catalog_reader(const sql_catalog *catalog, const char *source, size_t *at);
const sql_query_entry *sql_catalog_writer(const sql_catalog *catalog, const char *source, size_t *at);
/* Whether the source may go: REFUSED with the queries that use it, in ksqlDB's words. The query that created it ends
 * with it and does not count. NOT_FOUND when it does not exist. */
weir_status sql_catalog_can_drop(const sql_catalog *catalog, const char *name) WEIR_MUST_USE;

/* A deep copy in `arena`: a plan that outlives the catalog's object. */
const sql_source *sql_source_copy(weir_arena *arena, const sql_source *source);

#endif
