/* func/expr - typed expressions, the programs they become, and the catalogue of functions that SQL can name.
 *
 *   names and types (sql/analyse) -> func_expr tree -> func_compile() -> flat steps -> func_run() over vectors
 *
 * Errors are values: a step yields per row a value, NULL, or an error with a reason. An error behaves as NULL for the
 * steps above a catch point (CAST as written, arguments that are calls or dereferences, items of ARRAY/MAP/STRUCT:
 * ksqlDB's rule) and otherwise reaches the root, where the caller finds it in the error column and decides: a
 * projection writes NULL and counts it, a filter drops the row and counts it, a cleaning rule quarantines the row with
 * the reason.
 * AND, OR, CASE, COALESCE evaluate their operands only for the rows that need them.
 *
 * Adding a function = one row in a family's table and one function over vectors (func_<family>.c). */
#ifndef WEIR_FUNC_EXPR_H
#define WEIR_FUNC_EXPR_H

#include "data/batch.h"

/* ---- typed expressions (immutable values in an arena; made by sql/analyse or by the C API) --------------------- */

typedef enum func_expr_kind {
    FUNC_LITERAL, /* value */
    FUNC_COLUMN,  /* column of the input schema */
    FUNC_PSEUDO,  /* ROWTIME, ROWPARTITION, ROWOFFSET, WINDOWSTART, WINDOWEND */
    FUNC_CALL,    /* overload over arguments; operators and casts are calls of catalogue entries too */
    FUNC_CASE,    /* arguments: condition, result, condition, result, ..., [otherwise] */
    FUNC_AND,
    FUNC_OR,
    FUNC_NOT,
    FUNC_IS_NULL,
    FUNC_COALESCE, /* IFNULL, COALESCE */
    FUNC_FIELD     /* arguments[0] -> struct field `index` */
} func_expr_kind;

typedef enum func_pseudo {
    FUNC_ROWTIME,
    FUNC_ROWPARTITION,
    FUNC_ROWOFFSET,
    FUNC_WINDOWSTART,
    FUNC_WINDOWEND
} func_pseudo;

typedef struct func_value { /* a literal: what one row of a vector of `type` holds */
    const data_type *type;
    bool is_null;
    union {
        bool boolean;
        int32_t int32; /* INT, DATE, TIME */
        int64_t int64; /* BIGINT, TIMESTAMP */
        double float64;
        data_decimal decimal;
        weir_bytes text; /* STRING, BYTES; borrowed from the expression's arena */
    };
} func_value;

typedef struct func_overload func_overload;
typedef struct func_expr func_expr;
struct func_expr {
    func_expr_kind kind;
    const data_type *type;         /* of the result */
    func_value value;              /* FUNC_LITERAL */
    uint32_t index;                /* FUNC_COLUMN: into the schema; FUNC_PSEUDO: func_pseudo; FUNC_FIELD: field */
    const func_overload *overload; /* FUNC_CALL */
    const func_expr *const *arguments;
    uint32_t argument_count;
};

/* ---- catalogue ------------------------------------------------------------------------------------------------- */

enum { FUNC_ARGUMENTS_MAX = 64 };

/* The vectorised body: `arguments` are flat or constant; writes `result` (flat, prepared) for the selected rows. A row
 * that fails is reported with func_row_error(). Rows with a NULL argument are handled before (result NULL) unless the
 * overload says FUNC_NULLS. */
typedef struct func_run func_run_context; /* arena for long text, error column, locale-free */
typedef weir_status (*func_body)(func_run_context *run, const func_overload *overload,
                                 const data_vector *const *arguments, uint32_t argument_count,
                                 const data_selection *selection, data_vector *result);

enum func_flags {
    FUNC_NULLS = 1 << 0,
    /* the body sees NULL arguments */ FUNC_VARIADIC = 1 << 1, /* last argument repeats */
    FUNC_INTERNAL = 1 << 2,                                    /* operators and casts: not listed by SHOW FUNCTIONS */
    FUNC_VOLATILE = 1 << 3, /* differs from call to call: never folded to a constant */
    FUNC_CATCHES = 1 << 4   /* an argument's error is NULL to it, whatever the argument is: items of ARRAY[...] */
};

struct func_overload {
    const char *name;      /* upper case; operators by their symbol ("+"), casts "CAST" or, implicit, "WIDEN" */
    const char *category;  /* ksqlDB's: "STRING", "MATHEMATICAL", "DATE / TIME", ... */
    const char *about;     /* one line for DESCRIBE FUNCTION */
    /* Parameter types, e.g. "STRING, INTEGER": data_type_print()'s names, DECIMAL without digits, ANY for every type;
     * "ARRAY<T>, T": a capital letter is one type wherever it stands, the widest of what the arguments have there;
     * STRUCT without fields is any; INTERVALUNIT is the STRING that SQL writes as a bare word. */
    const char *arguments;
    const char *result; /* in the same form */
    unsigned flags;
    func_body body;
    const void *context; /* for bodies shared by several overloads */
    /* Result type where `result` can't say it (DECIMAL rules); NULL = `result`. */
    weir_status (*derive)(const func_overload *overload, const data_type *const *arguments, uint32_t count,
                          weir_arena *arena, const data_type **result);
};

/* Finds the overload for the argument types by ksqlDB's rules (exact, then implicit casts INT -> BIGINT -> DECIMAL ->
 * DOUBLE; a STRING literal to DATE, TIME, TIMESTAMP, BYTES) and widens arguments as needed, giving a FUNC_CALL.
 * IFNULL and COALESCE give a FUNC_COALESCE. NOT_FOUND names the near function; INVALID lists the overloads that exist.
 * `arguments` may be rewritten. A type may be NULL for an untyped NULL literal. */
weir_status func_call(weir_arena *arena, const char *name, const func_expr **arguments, uint32_t count,
                      const func_expr **call) WEIR_MUST_USE;
weir_status func_cast(weir_arena *arena, const func_expr *argument, const data_type *target,
                      const func_expr **call) WEIR_MUST_USE;
/* The implicit kind of cast, as func_call() makes it: for values that are brought to one type (INT -> BIGINT -> DECIMAL
 * -> DOUBLE, DECIMAL to other digits, DATE -> TIMESTAMP, a STRING literal to DATE, TIME, TIMESTAMP, BYTES; INVALID for
 * others). It catches no error and prints as its argument alone. */
weir_status func_widen(weir_arena *arena, const func_expr *argument, const data_type *target,
                       const func_expr **call) WEIR_MUST_USE;
/* Its first parameter is an INTERVALUNIT. */
bool func_takes_unit(const char *name);
bool func_exists(const char *name); /* in any case of letters; IFNULL and COALESCE too */
/* All overloads in catalogue order; NULL past the end. For SHOW FUNCTIONS, DESCRIBE FUNCTION, plans and docs. */
const func_overload *func_overload_at(size_t index);
/* A stable text for plans ("LCASE(STRING)", "CAST(STRING AS INTEGER)", "WIDEN(INTEGER AS BIGINT)") and its reverse;
 * NOT_FOUND when a plan names a function this weir lacks. */
void func_overload_print(const func_overload *overload, weir_buffer *target);
weir_status func_overload_find(weir_bytes text, const func_overload **overload) WEIR_MUST_USE;

/* STRUCT(name := value, ...) as a call; `names` are kept by the type. The arguments have types. */
weir_status func_struct(weir_arena *arena, const char *const *names, const func_expr **arguments, uint32_t count,
                        const func_expr **call) WEIR_MUST_USE;
/* The type that values of both types can have without loss by ksqlDB's implicit casts, entries and fields included;
 * NULL when there is none. A NULL type gives the other. */
const data_type *func_common_type(weir_arena *arena, const data_type *a, const data_type *b);

/* A literal in an expression tree; `value.text` is borrowed. */
const func_expr *func_literal(weir_arena *arena, func_value value);
/* What row `row` of a scalar vector holds; a text is borrowed from the vector. */
func_value func_value_at(const data_vector *vector, uint32_t row);

/* The expression as SQL text, as EXPLAIN prints it. */
void func_expr_print(const func_expr *expr, const data_schema *schema, weir_buffer *target);

/* ---- programs -------------------------------------------------------------------------------------------------- */

typedef struct func_program func_program; /* immutable; shared by tasks */
weir_status func_compile(weir_arena *arena, const func_expr *expr, const data_schema *schema,
                         const func_program **program) WEIR_MUST_USE;
/* Which columns of the schema the program reads: sets bits. */
void func_program_columns(const func_program *program, uint64_t *column_bits);

/* Errors of one run, by row; storage comes from the batch's arena. */
typedef struct func_errors {
    uint32_t count;
    uint64_t bits[DATA_BATCH_WORDS];
    const char **reasons; /* by row, NULL where bit is 0; NULL pointer when count is 0 */
    uint32_t caught;      /* errors that became NULL at a catch point */
} func_errors;

/* Runs over the batch's selection; *result lives in the batch's arena (it may be a column itself). Fails only with
 * NO_MEMORY, whereupon the caller splits the batch. */
weir_status func_run(const func_program *program, data_batch *batch, data_vector **result,
                     func_errors *errors) WEIR_MUST_USE;
/* The same as a filter: narrows the batch's selection to the rows where the result is true; NULL and errors drop. */
weir_status func_filter(const func_program *program, data_batch *batch, func_errors *errors) WEIR_MUST_USE;

/* For bodies: */
weir_arena *func_run_arena(func_run_context *run);
void func_row_error(func_run_context *run, uint32_t row, const char *format, ...) WEIR_PRINTF(3, 4);

/* ---- aggregates ------------------------------------------------------------------------------------------------ */

/* COUNT, SUM, MIN, MAX, AVG, ...: a fixed-size state a group, plus variable state where needed. */
typedef struct func_aggregate func_aggregate;
struct func_aggregate {
    const char *name;
    const char *about;
    const char *argument; /* type text; "" = COUNT(*) */
    const char *result;
    uint32_t state_bytes; /* <= FUNC_AGGREGATE_STATE_MAX, zero-initialised = empty, position independent: it is stored
                             in the changelog as it stands, in little-endian fields of fixed offsets */
    const data_type *(*derive)(const data_type *argument, weir_arena *arena); /* NULL = result */
    /* Adds argument[row] to the state (argument NULL pointer for COUNT(*)); `undo` takes a table's old value out and is
     * NULL where that is impossible. NULL values are skipped inside. */
    void (*add)(void *state, const data_vector *argument, uint32_t row);
    void (*undo)(void *state, const data_vector *argument, uint32_t row);
    void (*merge)(void *state, const void *other); /* sessions, partial aggregates */
    /* Writes result[row]; text results go through the arena. */
    weir_status (*finish)(const void *state, data_vector *result, uint32_t row, weir_arena *arena);
};
enum { FUNC_AGGREGATE_STATE_MAX = 64 };
weir_status func_aggregate_find(const char *name, const data_type *argument,
                                const func_aggregate **aggregate) WEIR_MUST_USE;
bool func_aggregate_exists(const char *name);
const func_aggregate *func_aggregate_at(size_t index);

#endif
