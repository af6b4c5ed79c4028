/* sql/analyse internals: scopes in which expressions are typed, and helpers shared by the clauses. */
#ifndef WEIR_SQL_ANALYSE_ANALYSE_INT_H
#define WEIR_SQL_ANALYSE_ANALYSE_INT_H

#include "sql/analyse/analyse.h"

/* What GROUP BY makes of a query: the columns the aggregate needs, collected while SELECT and HAVING are typed. */
typedef struct sql_grouping {
    sql_exprs keys;
    const data_type *key_types[64];
    struct sql_scope *row_scope;   /* arguments are typed there */
    const sql_expr *arguments[64]; /* distinct arguments of aggregates */
    const func_expr *argument_exprs[64];
    uint32_t argument_count;
    const sql_expr *calls[64]; /* distinct aggregate calls */
    sql_aggregation aggregations[64];
    const data_type *result_types[64];
    uint32_t call_count;
    bool windowed;        /* WINDOWSTART, WINDOWEND may be selected */
    const sql_expr *item; /* being typed, for the message about columns that are not grouped */
} sql_grouping;
enum { SQL_GROUP_KEYS_MAX = 64, SQL_AGGREGATES_MAX = 64 };

typedef struct sql_scope {
    sql_analyser *analyser;
    const char *clause;        /* "SELECT", "WHERE", ... for messages */
    const data_schema *schema; /* columns; NULL = constant expressions only */
    bool windowed;             /* rows carry window bounds */
    bool no_position;          /* ROWPARTITION and ROWOFFSET are not known here */
    sql_grouping *grouping;    /* NULL: expressions over single rows */
} sql_scope;

/* expr.c: the typed expression, or NULL with the error set. An untyped NULL has type NULL. */
const func_expr *sql_type_expr(sql_scope *scope, const sql_expr *expr);
/* As above, and BOOLEAN. */
const func_expr *sql_type_condition(sql_scope *scope, const sql_expr *expr);
/* Cast by the rules of assignment (numbers widen, literals of text become times); NULL with the error set. */
const func_expr *sql_coerce(sql_scope *scope, const sql_expr *expr, const func_expr *typed, const data_type *target);
const func_expr *sql_column_expr(weir_arena *arena, const data_schema *schema, uint32_t column);
const func_expr *sql_pseudo_expr(weir_arena *arena, func_pseudo pseudo);

/* types.c */
bool sql_resolve_type(sql_analyser *a, const sql_type *type, const data_type **resolved);
/* A literal's value in `target`, when it has one exactly. */
bool sql_literal_value(const sql_expr *literal, const data_type *target, weir_arena *arena, func_value *value);
/* An ISO date or date-time; the month and the day may be missing. */
bool sql_parse_event_time(weir_bytes text, int64_t *ms);
/* A string literal read as a number or a boolean, as in x IN ('1', '2'); NULL with the error set. */
const func_expr *sql_parsed_literal(sql_analyser *a, const sql_expr *literal, const data_type *target);
const func_expr *sql_literal_expr(sql_analyser *a, const sql_expr *literal);
const data_type *sql_common_type(weir_arena *arena, const data_type *a, const data_type *b); /* NULL: none */
const char *sql_type_text(weir_arena *arena, const data_type *type); /* "NULL" for an untyped NULL */
const char *sql_expr_text(weir_arena *arena, const sql_expr *expr);

/* names.c */
bool sql_fail_at(sql_analyser *a, uint32_t offset, const char *format, ...) WEIR_PRINTF(3, 4);
/* `status` of a lower module as an error at a place. */
bool sql_fail_status(sql_analyser *a, uint32_t offset, weir_status status);
/* Counts one more node; false with the error set when the statement has too many. */
bool sql_spend_node(sql_analyser *a, uint32_t offset);
bool sql_is_pseudo(const char *name, func_pseudo *pseudo);
void sql_suggest_column(sql_analyser *a, const data_schema *schema, const char *wanted);
/* A copy without qualifiers, each of which must name the source or its alias. NULL with the error set. */
const sql_expr *sql_strip_qualifiers(sql_analyser *a, const sql_query *query, const sql_expr *expr);
bool sql_contains_aggregate(const sql_expr *expr, const sql_expr **first);
bool sql_type_has_map(const data_type *type);

/* items.c: SELECT lists with stars expanded and names given */
typedef struct sql_output {
    const sql_expr *expr; /* stripped */
    const char *name;
    bool named; /* by an alias */
    uint32_t offset;
} sql_output;
bool sql_expand_items(sql_analyser *a, const sql_query *query, const sql_source *source, bool with_bounds,
                      bool persistent, sql_output **outputs, uint32_t *count);

/* properties.c */
typedef struct sql_with {                          /* WITH (...) checked, names in upper case */
    const char *topic, *key_format, *value_format; /* NULL = not given */
    const char *timestamp, *timestamp_format, *quarantine_topic;
    const char *key_delimiter, *value_delimiter, *wrap_single_value;
    const char *query_id;
    sql_window_kind window;
    int64_t window_size_ms;
    sql_topic_settings settings;
    const sql_statement *statement;
} sql_with;
enum sql_with_use { SQL_WITH_DECLARE, SQL_WITH_SINK, SQL_WITH_INSERT };
bool sql_check_with(sql_analyser *a, const sql_statement *statement, enum sql_with_use use, sql_with *with);
/* Place of a property's value, or of the statement's name when it was not given. */
uint32_t sql_with_offset(const sql_with *with, const char *name);
/* The formats that WITH names exist. */
bool sql_check_format_names(sql_analyser *a, const sql_with *with);
/* Formats, delimiters and wrapping of `source`, whose schema is set, from WITH over what `inherited` (NULL: none) has.
 */
bool sql_set_formats(sql_analyser *a, const sql_with *with, const sql_source *inherited, bool writes,
                     sql_source *source);

#endif
