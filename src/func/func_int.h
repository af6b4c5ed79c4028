/* func internals: what the families (func_*.c) and the compiler share. Not included outside this folder. */
#ifndef WEIR_FUNC_FUNC_INT_H
#define WEIR_FUNC_FUNC_INT_H

#include "data/scalar.h"
#include "func/expr.h"

/* ---- the catalogue's families ---------------------------------------------------------------------------------- */

typedef struct func_family {
    const func_overload *overloads;
    size_t count;
} func_family;
extern const func_family func_family_compare, func_family_arith, func_family_cast, func_family_math, func_family_string,
    func_family_time, func_family_null, func_family_url, func_family_nested, func_family_array, func_family_map,
    func_family_json, func_family_bytes, func_family_mask, func_family_split, func_family_other;

/* Parameter kinds of an overload; DATA_KIND_COUNT = any type. Returns their count. */
uint32_t func_parameters(const func_overload *overload, data_kind kinds[FUNC_ARGUMENTS_MAX]);
bool func_is_cast(const func_overload *overload);     /* CAST or WIDEN: its result is part of its name */
bool func_is_widening(const func_overload *overload);
bool func_is_operator(const func_overload *overload); /* internal and no cast of either kind */
/* ---- generic.c: parameter types with letters ---- */
bool func_is_generic(const func_overload *overload);
/* Gives letters their types by the arguments, and casts the arguments to what follows. INVALID: they do not fit.
 * *result: NULL when `result` holds a letter that no argument gave a type. */
weir_status func_generic_fit(weir_arena *arena, const func_overload *overload, const func_expr **arguments,
                             uint32_t count, const data_type **result) WEIR_MUST_USE;
/* Java's order of strings: by UTF-16 units. */
int func_text_order(const data_text *a, const data_text *b);

/* ---- a run ----------------------------------------------------------------------------------------------------- */

struct func_run {
    weir_arena *arena;
    uint32_t rows;                      /* of the batch */
    uint64_t pending[DATA_BATCH_WORDS]; /* rows with an error that no catch point has caught yet */
    const char **reasons;               /* by row; NULL until the first error */
    uint32_t caught;
    uint32_t list_next; /* of the body that runs: the first row of its list result that is not written */
};

weir_status func_no_memory(void) WEIR_MUST_USE;

/* ---- for bodies ------------------------------------------------------------------------------------------------ */

/* A row of the selection at a time: FUNC_ROWS(selection, row) { ... result[row] ... } */
#define FUNC_ROWS(selection, row)                                                                                      \
    for (uint32_t row##_at = 0, row = 0;                                                                               \
         row##_at < (selection)->count && (row = data_selected((selection), row##_at), true); row##_at++)

static inline bool func_is_null(const data_vector *vector, uint32_t row) {
    return data_vector_is_null(vector, row);
}
static inline void func_set_null(data_vector *result, uint32_t row) {
    data_bit_set(result->valid, row, false);
}
static inline weir_bytes func_text(const data_vector *vector, uint32_t row) {
    return data_text_bytes(&vector->texts[data_vector_index(vector, row)]);
}
static inline void func_set_text(data_vector *result, uint32_t row, const void *data, size_t size) {
    result->texts[row] = data_text_of(data, size);
}
/* An INT or BIGINT argument as 64 bits. */
static inline int64_t func_integer(const data_vector *vector, uint32_t row) {
    const uint32_t index = data_vector_index(vector, row);
    return data_kind_width(vector->type->kind) == 4 ? vector->ints[index] : vector->bigints[index];
}

/* ARRAY and MAP results are written in ascending rows: func_list_open(), for each entry func_list_add(), which gives
 * the child's row or UINT32_MAX when memory is out, and func_list_close(). Rows in between stay empty. */
static inline void func_list_open(func_run_context *run, data_vector *result, uint32_t row) {
    while (run->list_next <= row) result->ends[run->list_next++] = (int32_t)result->child_rows;
}
static inline uint32_t func_list_add(func_run_context *run, data_vector *result) {
    const uint32_t at = result->child_rows, children = result->type->kind == DATA_MAP ? 2 : 1;
    for (uint32_t i = 0; i < children; i++) {
        if (!data_vector_reserve(&result->children[i], run->arena, at, at + 1)) return UINT32_MAX;
        data_vector_set_null(&result->children[i], at);
    }
    result->child_rows = at + 1;
    return at;
}
static inline void func_list_close(data_vector *result, uint32_t row) {
    result->ends[row] = (int32_t)result->child_rows;
}
/* Takes the entries of the open row back: its value turned out to be NULL. */
static inline void func_list_drop(data_vector *result, uint32_t row) {
    result->child_rows = (uint32_t)result->ends[row];
    func_set_null(result, row);
}
/* Where the children of an ARRAY or MAP argument's row lie. */
static inline uint32_t func_list_start(const data_vector *vector, uint32_t row) {
    return data_vector_child_start(vector, data_vector_index(vector, row));
}
static inline uint32_t func_list_end(const data_vector *vector, uint32_t row) {
    return (uint32_t)vector->ends[data_vector_index(vector, row)];
}
/* Copies a value of any kind into the result's row; rows ascend, those in between become NULL. false: no memory. */
static inline bool func_put(func_run_context *run, data_vector *result, uint32_t row, const data_vector *source,
                            uint32_t source_row) {
    while (run->list_next < row) data_vector_set_null(result, run->list_next++);
    run->list_next = row + 1;
    return data_vector_copy_row(result, row, source, source_row, run->arena);
}
/* Appends a copy of source[source_row] to the ARRAY row that is open. */
static inline bool func_list_put(func_run_context *run, data_vector *result, const data_vector *source,
                                 uint32_t source_row) {
    const uint32_t at = func_list_add(run, result);
    return at != UINT32_MAX && data_vector_copy_row(&result->children[0], at, source, source_row, run->arena);
}
/* The text of a value that is neither STRING nor BYTES nor nested, as CAST gives it; at most FUNC_VALUE_TEXT_MAX. */
enum { FUNC_VALUE_TEXT_MAX = 64 };
size_t func_value_text(const data_vector *vector, uint32_t index, char *text);
/* Appends any value as Java prints it: [1, null], {a=1}, Struct{A=1}; NULL as null. */
void func_print_value(const data_vector *vector, uint32_t row, weir_buffer *target);
/* Sets a text value in a flat vector whose row may be NULL; copies it into the arena. false: no memory. */
static inline bool func_put_text(func_run_context *run, data_vector *vector, uint32_t row, const void *data,
                                 size_t size) {
    const void *kept = data;
    if (size > DATA_TEXT_INLINE_MAX) {
        uint8_t *copy = weir_arena_try(run->arena, size);
        if (!copy) return false;
        kept = memcpy(copy, data, size);
    }
    vector->texts[row] = data_text_of(kept, size);
    data_bit_set(vector->valid, row, true);
    return true;
}
/* Order of two values of one kind, neither of them NULL; DECIMALs may differ in scale. Not for nested kinds. */
int func_order(const data_vector *a, uint32_t a_row, const data_vector *b, uint32_t b_row);

/* Hot loops get a copy for newer processors, chosen when the program starts. The sanitizers cannot follow that. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__OPTIMIZE__)
#define FUNC_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define FUNC_CLONES
#endif

#endif
