/* Aggregates. A state is plain bytes of at most FUNC_AGGREGATE_STATE_MAX, zero = empty, little-endian, without
 * pointers: it is stored as it stands. Fields are packed because a state lies at any address. */
#include "func/func_int.h"

#include <stdio.h>
#include <strings.h>

#define STATE __attribute__((packed))

/* ---- COUNT ----------------------------------------------------------------------------------------------------- */

typedef struct STATE count_state {
    int64_t count;
} count_state;

static void count_rows(void *state, const data_vector *argument, uint32_t row) {
    (void)argument, (void)row;
    ((count_state *)state)->count++;
}
static void count_rows_undo(void *state, const data_vector *argument, uint32_t row) {
    (void)argument, (void)row;
    ((count_state *)state)->count--;
}
static void count_values(void *state, const data_vector *argument, uint32_t row) {
    ((count_state *)state)->count += !func_is_null(argument, row);
}
static void count_values_undo(void *state, const data_vector *argument, uint32_t row) {
    ((count_state *)state)->count -= !func_is_null(argument, row);
}
static void count_merge(void *state, const void *other) {
    ((count_state *)state)->count += ((const count_state *)other)->count;
}
static weir_status count_finish(const void *state, data_vector *result, uint32_t row, weir_arena *arena) {
    (void)arena;
    result->bigints[row] = ((const count_state *)state)->count;
    data_bit_set(result->valid, row, true);
    return weir_ok();
}

/* ---- SUM and AVG: wrapping integers as ksqlDB's; a sum of no values is 0, an average of none is 0.0 ------------ */

typedef struct STATE sum_state {
    int64_t count; /* of values */
    union {
        int64_t whole;
        double real;
        data_decimal decimal;
    };
} sum_state;

static void sum_integers(sum_state *sum, const data_vector *argument, uint32_t row, uint64_t sign) {
    if (func_is_null(argument, row)) return;
    const uint64_t total = (uint64_t)sum->whole + sign * (uint64_t)func_integer(argument, row);
    const bool narrow = argument->type->kind == DATA_INT;
    sum->whole = narrow ? (int32_t)(uint32_t)total : (int64_t)total;
    sum->count += (int64_t)sign;
}
static void sum_integers_add(void *state, const data_vector *argument, uint32_t row) {
    sum_integers(state, argument, row, 1);
}
static void sum_integers_undo(void *state, const data_vector *argument, uint32_t row) {
    sum_integers(state, argument, row, UINT64_MAX);
}

static void sum_doubles(sum_state *sum, const data_vector *argument, uint32_t row, int sign) {
    if (func_is_null(argument, row)) return;
    sum->real += sign * argument->doubles[data_vector_index(argument, row)];
    sum->count += sign;
}
static void sum_doubles_add(void *state, const data_vector *argument, uint32_t row) {
    sum_doubles(state, argument, row, 1);
}
static void sum_doubles_undo(void *state, const data_vector *argument, uint32_t row) {
    sum_doubles(state, argument, row, -1);
}

/* 128 bits hold the sum of at least one value more than any DECIMAL(38): beyond, it stays out of range until finish().
 */
static void sum_decimals(sum_state *sum, data_decimal value, int sign) {
    data_decimal total = sum->decimal;
    if (sign > 0 ? __builtin_add_overflow(total, value, &total) : __builtin_sub_overflow(total, value, &total)) {
        total = sum->decimal; /* out of range already; finish() reports it */
    }
    sum->decimal = total;
    sum->count += sign;
}
static void sum_decimals_add(void *state, const data_vector *argument, uint32_t row) {
    if (!func_is_null(argument, row)) sum_decimals(state, argument->decimals[data_vector_index(argument, row)], 1);
}
static void sum_decimals_undo(void *state, const data_vector *argument, uint32_t row) {
    if (!func_is_null(argument, row)) sum_decimals(state, argument->decimals[data_vector_index(argument, row)], -1);
}

static void sum_integers_merge(void *state, const void *other) {
    sum_state *sum = state;
    const sum_state *more = other;
    sum->whole = (int64_t)((uint64_t)sum->whole + (uint64_t)more->whole);
    sum->count += more->count;
}
static void sum_narrow_merge(void *state, const void *other) {
    sum_integers_merge(state, other);
    ((sum_state *)state)->whole = (int32_t)(uint32_t)(uint64_t)((sum_state *)state)->whole;
}
static void sum_doubles_merge(void *state, const void *other) {
    ((sum_state *)state)->real += ((const sum_state *)other)->real;
    ((sum_state *)state)->count += ((const sum_state *)other)->count;
}
static void sum_decimals_merge(void *state, const void *other) {
    const int64_t count = ((const sum_state *)other)->count;
    sum_decimals(state, ((const sum_state *)other)->decimal, 1);
    ((sum_state *)state)->count += count - 1;
}

static weir_status sum_finish(const void *state, data_vector *result, uint32_t row, weir_arena *arena) {
    (void)arena;
    const sum_state *sum = state;
    data_bit_set(result->valid, row, true);
    switch (result->type->kind) {
    case DATA_INT: result->ints[row] = (int32_t)sum->whole; break;
    case DATA_BIGINT: result->bigints[row] = sum->whole; break;
    case DATA_DOUBLE: result->doubles[row] = sum->real; break;
    default: {
        const data_decimal total = sum->decimal;
        if (!data_decimal_has_precision(total, result->type->precision)) {
            return weir_fail(WEIR_INVALID, "SUM does not fit DECIMAL(%u, %u); CAST its argument to a wider DECIMAL",
                             result->type->precision, result->type->scale);
        }
        result->decimals[row] = total;
    }
    }
    return weir_ok();
}

static weir_status average_integers(const void *state, data_vector *result, uint32_t row, weir_arena *arena) {
    (void)arena;
    const sum_state *sum = state;
    result->doubles[row] = sum->count ? (double)sum->whole / (double)sum->count : 0.0;
    data_bit_set(result->valid, row, true);
    return weir_ok();
}
static weir_status average_doubles(const void *state, data_vector *result, uint32_t row, weir_arena *arena) {
    (void)arena;
    const sum_state *sum = state;
    result->doubles[row] = sum->count ? sum->real / (double)sum->count : 0.0;
    data_bit_set(result->valid, row, true);
    return weir_ok();
}

/* ---- one kept value: MIN, MAX, EARLIEST_BY_OFFSET, LATEST_BY_OFFSET -------------------------------------------- */

typedef struct STATE value_state {
    uint8_t present;
    uint8_t kind; /* data_kind, so that two states can be merged without their column */
    uint8_t bytes[16];
} value_state;

static void value_load(value_state *state, const data_vector *argument, uint32_t row) {
    const unsigned width = data_kind_width(argument->type->kind);
    state->present = 1;
    state->kind = (uint8_t)argument->type->kind;
    memcpy(state->bytes, (const uint8_t *)argument->values + (size_t)data_vector_index(argument, row) * width, width);
}

static int value_order(const value_state *a, const value_state *b) {
    switch ((data_kind)a->kind) {
    case DATA_DOUBLE: {
        double x, y;
        memcpy(&x, a->bytes, sizeof x);
        memcpy(&y, b->bytes, sizeof y);
        return x < y ? -1 : x > y;
    }
    case DATA_DECIMAL: {
        data_decimal x, y;
        memcpy(&x, a->bytes, sizeof x);
        memcpy(&y, b->bytes, sizeof y);
        return x < y ? -1 : x > y;
    }
    case DATA_BIGINT:
    case DATA_TIMESTAMP: {
        int64_t x, y;
        memcpy(&x, a->bytes, sizeof x);
        memcpy(&y, b->bytes, sizeof y);
        return x < y ? -1 : x > y;
    }
    default: {
        int32_t x = 0, y = 0; /* INTEGER, DATE, TIME; a BOOLEAN's one byte */
        memcpy(&x, a->bytes, a->kind == DATA_BOOLEAN ? 1 : sizeof x);
        memcpy(&y, b->bytes, b->kind == DATA_BOOLEAN ? 1 : sizeof y);
        return x < y ? -1 : x > y;
    }
    }
}

static void min_merge(void *state, const void *other) {
    const value_state *more = other;
    value_state *kept = state;
    if (more->present && (!kept->present || value_order(more, kept) < 0)) *kept = *more;
}
static void max_merge(void *state, const void *other) {
    const value_state *more = other;
    value_state *kept = state;
    if (more->present && (!kept->present || value_order(more, kept) > 0)) *kept = *more;
}
static void earliest_merge(void *state, const void *other) {
    if (!((value_state *)state)->present) *(value_state *)state = *(const value_state *)other;
}
static void latest_merge(void *state, const void *other) {
    if (((const value_state *)other)->present) *(value_state *)state = *(const value_state *)other;
}

#define ADD_BY_MERGE(name, merge)                                                                                      \
    static void name(void *state, const data_vector *argument, uint32_t row) {                                         \
        if (func_is_null(argument, row)) return;                                                                       \
        value_state value = {0};                                                                                       \
        value_load(&value, argument, row);                                                                             \
        merge(state, &value);                                                                                          \
    }
ADD_BY_MERGE(min_add, min_merge)
ADD_BY_MERGE(max_add, max_merge)
ADD_BY_MERGE(earliest_add, earliest_merge)
ADD_BY_MERGE(latest_add, latest_merge)

static weir_status value_finish(const void *state, data_vector *result, uint32_t row, weir_arena *arena) {
    (void)arena;
    const value_state *value = state;
    const unsigned width = data_kind_width(result->type->kind);
    data_bit_set(result->valid, row, value->present);
    if (value->present) memcpy((uint8_t *)result->values + (size_t)row * width, value->bytes, width);
    return weir_ok();
}

static const data_type *derive_argument(const data_type *argument, weir_arena *arena) {
    (void)arena;
    return argument;
}

/* ---- catalogue ------------------------------------------------------------------------------------------------- */

#define SUM(type, add, undo, merge, derive)                                                                            \
    { "SUM", "the sum of the values", type, type, sizeof(sum_state), derive, add, undo, merge, sum_finish }
#define AVG(type, add, undo, merge, finish)                                                                            \
    { "AVG", "the average of the values", type, "DOUBLE", sizeof(sum_state), NULL, add, undo, merge, finish }
#define KEPT(name, about, type, add, merge)                                                                            \
    { name, about, type, type, sizeof(value_state), derive_argument, add, NULL, merge, value_finish }
#define KEPT_ALL(name, about, add, merge)                                                                              \
    KEPT(name, about, "INTEGER", add, merge), KEPT(name, about, "BIGINT", add, merge),                                 \
        KEPT(name, about, "DOUBLE", add, merge), KEPT(name, about, "DECIMAL", add, merge),                             \
        KEPT(name, about, "DATE", add, merge), KEPT(name, about, "TIME", add, merge),                                  \
        KEPT(name, about, "TIMESTAMP", add, merge)

static const func_aggregate aggregates[] = {
    {"COUNT", "the number of rows", "", "BIGINT", sizeof(count_state), NULL, count_rows, count_rows_undo, count_merge,
     count_finish},
    {"COUNT", "the number of values that are not NULL", "ANY", "BIGINT", sizeof(count_state), NULL, count_values,
     count_values_undo, count_merge, count_finish},
    SUM("INTEGER", sum_integers_add, sum_integers_undo, sum_narrow_merge, NULL),
    SUM("BIGINT", sum_integers_add, sum_integers_undo, sum_integers_merge, NULL),
    SUM("DOUBLE", sum_doubles_add, sum_doubles_undo, sum_doubles_merge, NULL),
    SUM("DECIMAL", sum_decimals_add, sum_decimals_undo, sum_decimals_merge, derive_argument),
    AVG("INTEGER", sum_integers_add, sum_integers_undo, sum_narrow_merge, average_integers),
    AVG("BIGINT", sum_integers_add, sum_integers_undo, sum_integers_merge, average_integers),
    AVG("DOUBLE", sum_doubles_add, sum_doubles_undo, sum_doubles_merge, average_doubles),
    KEPT_ALL("MIN", "the smallest value", min_add, min_merge),
    KEPT_ALL("MAX", "the largest value", max_add, max_merge),
    KEPT_ALL("EARLIEST_BY_OFFSET", "the first value that is not NULL", earliest_add, earliest_merge),
    KEPT("EARLIEST_BY_OFFSET", "the first value that is not NULL", "BOOLEAN", earliest_add, earliest_merge),
    KEPT_ALL("LATEST_BY_OFFSET", "the last value that is not NULL", latest_add, latest_merge),
    KEPT("LATEST_BY_OFFSET", "the last value that is not NULL", "BOOLEAN", latest_add, latest_merge),
};
enum { AGGREGATE_COUNT = sizeof aggregates / sizeof *aggregates };
_Static_assert(sizeof(sum_state) <= FUNC_AGGREGATE_STATE_MAX && sizeof(value_state) <= FUNC_AGGREGATE_STATE_MAX,
               "state size");

const func_aggregate *func_aggregate_at(size_t index) {
    return index < AGGREGATE_COUNT ? &aggregates[index] : NULL;
}

bool func_aggregate_exists(const char *name) {
    for (size_t i = 0; i < AGGREGATE_COUNT; i++) {
        if (strcasecmp(aggregates[i].name, name) == 0) return true;
    }
    return false;
}

static bool takes(const func_aggregate *aggregate, const data_type *argument) {
    if (!argument) return aggregate->argument[0] == 0;
    if (strcmp(aggregate->argument, "ANY") == 0) return true;
    static const char *const names[DATA_KIND_COUNT] = {
        [DATA_BOOLEAN] = "BOOLEAN", [DATA_INT] = "INTEGER", [DATA_BIGINT] = "BIGINT", [DATA_DOUBLE] = "DOUBLE",
        [DATA_DECIMAL] = "DECIMAL", [DATA_DATE] = "DATE",   [DATA_TIME] = "TIME",     [DATA_TIMESTAMP] = "TIMESTAMP",
    };
    const char *name = names[argument->kind];
    return name && strcmp(aggregate->argument, name) == 0;
}

weir_status func_aggregate_find(const char *name, const data_type *argument, const func_aggregate **aggregate) {
    char known[512];
    size_t length = 0;
    known[0] = 0;
    for (size_t i = 0; i < AGGREGATE_COUNT; i++) {
        *aggregate = &aggregates[i];
        if (strcasecmp(aggregates[i].name, name) != 0) continue;
        if (takes(*aggregate, argument)) return weir_ok();
        const int wrote = snprintf(known + length, sizeof known - length, "%s%s(%s)", length ? ", " : "",
                                   aggregates[i].name, aggregates[i].argument[0] ? aggregates[i].argument : "*");
        if (wrote > 0 && (size_t)wrote < sizeof known - length) length += (size_t)wrote;
    }
    *aggregate = NULL;
    if (known[0] == 0) return weir_fail(WEIR_NOT_FOUND, "Can't find any aggregate functions with the name '%s'", name);
    return weir_fail(WEIR_INVALID, "%s does not take such an argument; it takes %s", name, known);
}
