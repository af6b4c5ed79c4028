/* sql/parse/sql_ast - the tree of one SQL statement, as written: names are unresolved, nothing has a type.
 *
 * Every node and every text lives in the arena given to sql_parse() and is immutable afterwards. `offset` and `size`
 * are bytes of the script that was parsed, so that later stages report errors at the right place (sql_error_at).
 * Names are as ksqlDB compares them: upper-cased unless quoted. Source: ksqlDB's dialect. */
#ifndef WEIR_SQL_PARSE_SQL_AST_H
#define WEIR_SQL_PARSE_SQL_AST_H

#include "base/arena.h"

enum {
    SQL_STATEMENT_BYTES_MAX = 1 << 20,
    SQL_DEPTH_MAX = 200,     /* nesting of expressions and types */
    SQL_NAME_BYTES_MAX = 249 /* Kafka's limit for a topic name */
};

typedef struct sql_name {
    const char *text; /* NULL = absent */
    uint32_t offset, size;
} sql_name;

/* ---- types --------------------------------------------------------------------------------------------------------
 */

typedef enum sql_type_kind { SQL_TYPE_NAMED, SQL_TYPE_ARRAY, SQL_TYPE_MAP, SQL_TYPE_STRUCT } sql_type_kind;

typedef struct sql_type sql_type;
typedef struct sql_field {
    sql_name name;
    const sql_type *type;
} sql_field;
struct sql_type {
    sql_type_kind kind;
    sql_name name;        /* NAMED: "BIGINT", "DECIMAL", or a type nobody knows */
    int64_t arguments[2]; /* NAMED: DECIMAL(p, s), VARCHAR(n) */
    uint32_t argument_count;
    const sql_type *key, *element; /* ARRAY: element; MAP: both */
    const sql_field *fields;       /* STRUCT */
    uint32_t field_count;
    uint32_t depth;
};

/* ---- expressions --------------------------------------------------------------------------------------------------
 */

typedef enum sql_expr_kind {
    SQL_NULL,
    SQL_BOOLEAN, /* negated = false */
    SQL_INTEGER, /* text: digits with an optional minus */
    SQL_DECIMAL, /* text: as written, with a point */
    SQL_DOUBLE,  /* text: as written, with an exponent */
    SQL_STRING,  /* text: unescaped */
    SQL_COLUMN,  /* [qualifier.]name */
    SQL_CALL,    /* name(items) */
    SQL_STAR,    /* the only argument of COUNT(*) */
    SQL_BINARY,  /* items[0] name items[1]; name is the operator: + - * / % || = <> < <= > >= */
    SQL_NEGATE,  /* -items[0] */
    SQL_NOT,
    SQL_AND, /* two or more items */
    SQL_OR,
    SQL_IS_NULL,  /* items[0] IS [negated] NULL */
    SQL_DISTINCT, /* items[0] IS [negated] DISTINCT FROM items[1] */
    SQL_BETWEEN,  /* items[0] [negated] BETWEEN items[1] AND items[2] */
    SQL_IN,       /* items[0] [negated] IN (items[1], ...) */
    SQL_LIKE,     /* items[0] [negated] LIKE items[1]; text: the ESCAPE character or empty */
    SQL_CASE,     /* items: [operand,] WHEN, THEN, WHEN, THEN, ... [, ELSE]: has_operand, has_else */
    SQL_CAST,     /* CAST(items[0] AS type) */
    SQL_FIELD,    /* items[0]->name */
    SQL_ELEMENT,  /* items[0][items[1]] */
    SQL_ARRAY,    /* ARRAY[items] */
    SQL_MAP,      /* MAP(items: key, value, key, value, ...) */
    SQL_STRUCT    /* STRUCT(items named by fields) */
} sql_expr_kind;

typedef struct sql_expr sql_expr;
struct sql_expr {
    sql_expr_kind kind;
    uint32_t offset, size;
    uint16_t depth;
    bool negated;
    bool has_operand, has_else; /* CASE */
    bool grouped;               /* written in parentheses */
    sql_name qualifier, name;
    weir_bytes text;      /* literals */
    const sql_type *type; /* CAST */
    const sql_expr *const *items;
    uint32_t count;
    const sql_name *fields; /* STRUCT: count of them */
};

typedef struct sql_exprs {
    const sql_expr *const *items;
    uint32_t count;
    uint32_t offset; /* of the clause's first word */
} sql_exprs;

/* ---- queries ------------------------------------------------------------------------------------------------------
 */

typedef struct sql_item { /* of SELECT */
    const sql_expr *expr; /* NULL = star */
    sql_name alias;       /* of an expression */
    sql_name qualifier;   /* of a star: alias.* */
    uint32_t offset, size;
} sql_item;

typedef enum sql_window_kind { SQL_WINDOW_NONE, SQL_WINDOW_TUMBLING, SQL_WINDOW_HOPPING } sql_window_kind;

typedef struct sql_window {
    sql_window_kind kind;
    int64_t size_ms, advance_ms;    /* advance == size for tumbling */
    int64_t grace_ms, retention_ms; /* -1 = not given */
    uint32_t offset;
} sql_window;

typedef struct sql_query {
    const sql_item *items;
    uint32_t item_count;
    sql_name source, alias; /* alias.text NULL = none */
    sql_window window;
    const sql_expr *where, *having; /* NULL = none */
    sql_exprs group_by, partition_by;
    bool emit_changes; /* a push query, or what a persistent query does anyway */
    int64_t limit;     /* -1 = none */
    uint32_t limit_offset;
    uint32_t offset, size;
} sql_query;

/* ---- statements ---------------------------------------------------------------------------------------------------
 */

typedef enum sql_constraint { SQL_CONSTRAINT_NONE, SQL_CONSTRAINT_KEY, SQL_CONSTRAINT_PRIMARY_KEY } sql_constraint;

typedef struct sql_column {
    sql_name name;
    const sql_type *type;
    sql_constraint constraint;
} sql_column;

typedef struct sql_property {
    sql_name name; /* a word is upper-cased, a 'string' is as written */
    const char *value;
    bool is_string;
    uint32_t value_offset, value_size;
} sql_property;

typedef enum sql_statement_kind {
    SQL_CREATE_SOURCE, /* CREATE [OR REPLACE] [SOURCE] STREAM|TABLE [IF NOT EXISTS] name [(columns)] [WITH (..)] */
    SQL_CREATE_AS,     /* CREATE [OR REPLACE] STREAM|TABLE [IF NOT EXISTS] name [WITH (..)] AS query */
    SQL_INSERT_SELECT, /* INSERT INTO name [WITH (..)] query */
    SQL_INSERT_VALUES, /* INSERT INTO name [(names)] VALUES (values) */
    SQL_SELECT,        /* query: pull without EMIT CHANGES, push with it */
    SQL_SHOW,          /* SHOW|LIST subject [EXTENDED] */
    SQL_DESCRIBE,      /* DESCRIBE name [EXTENDED] */
    SQL_DESCRIBE_FUNCTION,
    SQL_DESCRIBE_CONNECTOR,
    SQL_EXPLAIN,          /* name = a query's id, or inner */
    SQL_DROP,             /* DROP STREAM|TABLE [IF EXISTS] name [DELETE TOPIC] */
    SQL_DROP_CONNECTOR,   /* DROP CONNECTOR [IF EXISTS] name */
    SQL_TERMINATE,        /* TERMINATE name | ALL (name.text NULL) */
    SQL_SET,              /* SET 'property' = 'value': properties[0] */
    SQL_UNSET,            /* UNSET 'property': properties[0] without a value */
    SQL_CREATE_CONNECTOR, /* CREATE SOURCE CONNECTOR [IF NOT EXISTS] name WITH (..) */
    SQL_PRINT,            /* PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n] */
    SQL_STATEMENT_KIND_COUNT
} sql_statement_kind;

typedef enum sql_subject {
    SQL_STREAMS,
    SQL_TABLES,
    SQL_TOPICS,
    SQL_QUERIES,
    SQL_CONNECTORS,
    SQL_FUNCTIONS,
    SQL_PROPERTIES
} sql_subject;

typedef struct sql_statement sql_statement;
struct sql_statement {
    sql_statement_kind kind;
    const char *text;      /* the statement, with its terminator if it had one */
    uint32_t offset, size; /* in the script */
    bool is_table;         /* CREATE, DROP: TABLE, else STREAM */
    bool or_replace, is_source, if_exists /* IF [NOT] EXISTS */, delete_topic, extended, from_beginning;
    sql_subject subject; /* SHOW */
    sql_name name;       /* what is created, described, dropped, ended, inserted into, printed */
    const sql_column *columns;
    uint32_t column_count;
    bool has_columns; /* a list was given, possibly empty */
    const sql_property *properties;
    uint32_t property_count;
    const sql_query *query;
    const sql_name *names; /* INSERT VALUES: columns; count 0 = all */
    uint32_t name_count;
    sql_exprs values;           /* INSERT VALUES */
    int64_t limit, interval;    /* PRINT; -1 = none */
    const sql_statement *inner; /* EXPLAIN */
};

#endif
