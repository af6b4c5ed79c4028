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
    func_family_time, func_family_null, func_family_url;

/* Parameter kinds of an overload; DATA_KIND_COUNT = any type. Returns their count. */
uint32_t func_parameters(const func_overload *overload, data_kind kinds[FUNC_ARGUMENTS_MAX]);
bool func_is_cast(const func_overload *overload);     /* CAST or WIDEN: its result is part of its name */
bool func_is_widening(const func_overload *overload);
bool func_is_operator(const func_overload *overload); /* internal and no cast of either kind */
/* Java's order of strings: by UTF-16 units. */
int func_text_order(const data_text *a, const data_text *b);

/* ---- a run ----------------------------------------------------------------------------------------------------- */

struct func_run {
    weir_arena *arena;
    uint32_t rows;                      /* of the batch */
    uint64_t pending[DATA_BATCH_WORDS]; /* rows with an error that no catch point has caught yet */
    const char **reasons;               /* by row; NULL until the first error */
    uint32_t caught;
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

/* Hot loops get a copy for newer processors, chosen when the program starts. The sanitizers cannot follow that. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__OPTIMIZE__)
#define FUNC_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define FUNC_CLONES
#endif

#endif
