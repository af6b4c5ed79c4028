/* Functions about NULL and about which of several values: NULLIF, GREATEST, LEAST, AS_VALUE. (IFNULL and COALESCE are
 * not here: they evaluate lazily, so the compiler makes steps of them.) */
#include "func/func_int.h"

int func_order(const data_vector *a, uint32_t a_row, const data_vector *b, uint32_t b_row) {
    const uint32_t i = data_vector_index(a, a_row), j = data_vector_index(b, b_row);
    switch (a->type->kind) {
    case DATA_BOOLEAN: return a->booleans[i] - b->booleans[j];
    case DATA_DOUBLE: return a->doubles[i] < b->doubles[j] ? -1 : a->doubles[i] > b->doubles[j];
    case DATA_DECIMAL: return data_decimal_compare(a->decimals[i], a->type->scale, b->decimals[j], b->type->scale);
    case DATA_STRING: return func_text_order(&a->texts[i], &b->texts[j]);
    case DATA_BYTES: return data_text_compare(&a->texts[i], &b->texts[j]);
    default: {
        const int64_t x = func_integer(a, a_row), y = func_integer(b, b_row);
        return x < y ? -1 : x > y;
    }
    }
}

/* Into the result's type; text views are copied as they are. */
static void put_value(func_run_context *run, const data_vector *source, data_vector *result, uint32_t row) {
    const uint32_t index = data_vector_index(source, row);
    const unsigned width = data_kind_width(result->type->kind);
    if (result->type->kind == DATA_DECIMAL) {
        if (data_decimal_rescale(source->decimals[index], source->type->scale, result->type->precision,
                                 result->type->scale, DATA_ROUND_EXACT, &result->decimals[row]) != DATA_FIT_OK) {
            func_row_error(run, row, "the value does not fit DECIMAL(%u, %u)", result->type->precision,
                           result->type->scale);
        }
        return;
    }
    memcpy((uint8_t *)result->values + (size_t)row * width, (const uint8_t *)source->values + (size_t)index * width,
           width);
}

/* The wanted one of the values that are not NULL. */
static weir_status extreme(func_run_context *run, const func_overload *overload, const data_vector *const *arguments,
                           uint32_t count, const data_selection *selection, data_vector *result) {
    const bool greatest = overload->context != NULL;
    FUNC_ROWS(selection, row) {
        const data_vector *best = NULL;
        for (uint32_t i = 0; i < count; i++) {
            if (func_is_null(arguments[i], row)) continue;
            if (!best || (greatest ? func_order(arguments[i], row, best, row) > 0
                                   : func_order(arguments[i], row, best, row) < 0)) {
                best = arguments[i];
            }
        }
        if (best)
            put_value(run, best, result, row);
        else
            func_set_null(result, row);
    }
    return weir_ok();
}

static weir_status nullif(func_run_context *run, const func_overload *overload, const data_vector *const *arguments,
                          uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const bool null = func_is_null(arguments[0], row);
        if (null || (!func_is_null(arguments[1], row) && func_order(arguments[0], row, arguments[1], row) == 0)) {
            func_set_null(result, row);
        } else {
            put_value(run, arguments[0], result, row);
        }
    }
    return weir_ok();
}

static weir_status as_value(func_run_context *run, const func_overload *overload, const data_vector *const *arguments,
                            uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        if (!data_vector_copy_row(result, row, arguments[0], row, run->arena)) return func_no_memory();
    }
    return weir_ok();
}

static weir_status derive_first(const func_overload *overload, const data_type *const *arguments, uint32_t count,
                                weir_arena *arena, const data_type **result) {
    (void)overload, (void)count, (void)arena;
    *result = arguments[0];
    return weir_ok();
}

/* Room for every argument: the most digits before the point and the most behind it. */
static weir_status derive_widest(const func_overload *overload, const data_type *const *arguments, uint32_t count,
                                 weir_arena *arena, const data_type **result) {
    unsigned whole = 0, scale = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (arguments[i]->scale > scale) scale = arguments[i]->scale;
        if (arguments[i]->precision - arguments[i]->scale > (int)whole)
            whole = arguments[i]->precision - arguments[i]->scale;
    }
    if (whole + scale > DATA_DECIMAL_PRECISION_MAX) {
        return weir_fail(WEIR_INVALID, "%s of DECIMALs that need more than %d digits together", overload->name,
                         DATA_DECIMAL_PRECISION_MAX);
    }
    *result = data_type_decimal(arena, whole + scale, scale);
    return weir_ok();
}

static const bool greatest_mark = true;

#define EXTREME(name, about, type, mark, derive)                                                                       \
    { name, "MATHEMATICAL", about, type, type, FUNC_NULLS | FUNC_VARIADIC, extreme, mark, derive }
#define EXTREMES(name, about, mark)                                                                                    \
    EXTREME(name, about, "INTEGER", mark, NULL), EXTREME(name, about, "BIGINT", mark, NULL),                           \
        EXTREME(name, about, "DECIMAL", mark, derive_widest), EXTREME(name, about, "DOUBLE", mark, NULL),              \
        EXTREME(name, about, "STRING", mark, NULL), EXTREME(name, about, "BYTES", mark, NULL),                         \
        EXTREME(name, about, "DATE", mark, NULL), EXTREME(name, about, "TIME", mark, NULL),                            \
        EXTREME(name, about, "TIMESTAMP", mark, NULL)
#define NULLIF(type, derive)                                                                                           \
    {                                                                                                                  \
        "NULLIF", "CONDITIONAL", "NULL when both values are equal, else the first", type ", " type, type, FUNC_NULLS,  \
            nullif, NULL, derive                                                                                       \
    }

static const func_overload overloads[] = {
    EXTREMES("GREATEST", "the largest value that is not NULL", &greatest_mark),
    EXTREMES("LEAST", "the smallest value that is not NULL", NULL),
    NULLIF("BOOLEAN", NULL),
    NULLIF("INTEGER", NULL),
    NULLIF("BIGINT", NULL),
    NULLIF("DECIMAL", derive_first),
    NULLIF("DOUBLE", NULL),
    NULLIF("STRING", NULL),
    NULLIF("BYTES", NULL),
    NULLIF("DATE", NULL),
    NULLIF("TIME", NULL),
    NULLIF("TIMESTAMP", NULL),
    {"AS_VALUE", "OTHER", "a copy of a key column for the value", "ANY", "ANY", 0, as_value, NULL, derive_first},
};
const func_family func_family_null = {overloads, sizeof overloads / sizeof *overloads};
