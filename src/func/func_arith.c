/* + - * / % and text concatenation by + and ||. Integers wrap as Java's do; their division by zero is an error of the
 * row. */
#include "func/func_int.h"

#include <math.h>

typedef enum arith_operation { ADD, SUBTRACT, MULTIPLY, DIVIDE, MODULO } arith_operation;
static const arith_operation operations[] = {ADD, SUBTRACT, MULTIPLY, DIVIDE, MODULO};

static arith_operation operation_of(const func_overload *overload) {
    return *(const arith_operation *)overload->context;
}

/* ---- loops over all rows of a dense batch; rows that are NULL are computed and stay NULL ----------------------- */

#define ARITH_LOOP(name, type, work, operator)                                                                         \
    FUNC_CLONES static void name(const type *a, const type *b, bool a_constant, bool b_constant, type *out,            \
                                 uint32_t rows) {                                                                      \
        if (!a_constant && !b_constant) {                                                                              \
            for (uint32_t i = 0; i < rows; i++) out[i] = (type)((work)a[i] operator(work) b[i]);                       \
        } else if (b_constant) {                                                                                       \
            const work right = (work)*b;                                                                               \
            for (uint32_t i = 0; i < rows; i++) out[i] = (type)((work)a[i] operator right);                            \
        } else {                                                                                                       \
            const work left = (work)*a;                                                                                \
            for (uint32_t i = 0; i < rows; i++) out[i] = (type)(left operator(work) b[i]);                             \
        }                                                                                                              \
    }
#define ARITH_LOOPS(suffix, type, work)                                                                                \
    ARITH_LOOP(add_##suffix, type, work, +)                                                                            \
    ARITH_LOOP(subtract_##suffix, type, work, -)                                                                       \
    ARITH_LOOP(multiply_##suffix, type, work, *)                                                                       \
    typedef void (*loop_##suffix)(const type *, const type *, bool, bool, type *, uint32_t);                           \
    static const loop_##suffix loops_##suffix[] = {add_##suffix, subtract_##suffix, multiply_##suffix};

ARITH_LOOPS(i32, int32_t, uint32_t)
ARITH_LOOPS(i64, int64_t, uint64_t)
ARITH_LOOPS(f64, double, double)

static uint64_t wrapped(arith_operation operation, uint64_t a, uint64_t b) {
    return operation == ADD ? a + b : operation == SUBTRACT ? a - b : a * b;
}

/* b is not zero; the one quotient that does not fit wraps to itself. */
static int64_t quotient(arith_operation operation, int64_t a, int64_t b) {
    if (b == -1) return operation == DIVIDE ? (int64_t)(0 - (uint64_t)a) : 0;
    return operation == DIVIDE ? a / b : a % b;
}

static weir_status integers(func_run_context *run, const func_overload *overload, const data_vector *const *arguments,
                            uint32_t count, const data_selection *selection, data_vector *result) {
    (void)count;
    const data_vector *a = arguments[0], *b = arguments[1];
    const arith_operation operation = operation_of(overload);
    const bool narrow = result->type->kind == DATA_INT;
    if (operation <= MULTIPLY && !selection->rows) {
        if (narrow)
            loops_i32[operation](a->ints, b->ints, a->constant, b->constant, result->ints, selection->count);
        else
            loops_i64[operation](a->bigints, b->bigints, a->constant, b->constant, result->bigints, selection->count);
        return weir_ok();
    }
    FUNC_ROWS(selection, row) {
        const int64_t left = func_integer(a, row), right = func_integer(b, row);
        int64_t value = 0;
        if (operation <= MULTIPLY)
            value = (int64_t)wrapped(operation, (uint64_t)left, (uint64_t)right);
        else if (right != 0)
            value = quotient(operation, left, right);
        else
            func_row_error(run, row, "division by zero");
        if (narrow)
            result->ints[row] = (int32_t)(uint32_t)(uint64_t)value;
        else
            result->bigints[row] = value;
    }
    return weir_ok();
}

static double float_of(arith_operation operation, double a, double b) {
    switch (operation) {
    case ADD: return a + b;
    case SUBTRACT: return a - b;
    case MULTIPLY: return a * b;
    case DIVIDE: return a / b; /* by zero: infinite or NaN, as IEEE 754 and Java have it */
    case MODULO: return fmod(a, b);
    }
    return 0;
}

static weir_status doubles(func_run_context *run, const func_overload *overload, const data_vector *const *arguments,
                           uint32_t count, const data_selection *selection, data_vector *result) {
    (void)run, (void)count;
    const data_vector *a = arguments[0], *b = arguments[1];
    const arith_operation operation = operation_of(overload);
    if (operation <= MULTIPLY && !selection->rows) {
        loops_f64[operation](a->doubles, b->doubles, a->constant, b->constant, result->doubles, selection->count);
        return weir_ok();
    }
    FUNC_ROWS(selection, row) {
        result->doubles[row] =
            float_of(operation, a->doubles[data_vector_index(a, row)], b->doubles[data_vector_index(b, row)]);
    }
    return weir_ok();
}

/* ---- DECIMAL --------------------------------------------------------------------------------------------------- */

/* ksqlDB's result types, cut to 38 digits; digits before the point are kept as long as 6 behind it remain. */
static weir_status derive_decimal(const func_overload *overload, const data_type *const *arguments, uint32_t count,
                                  weir_arena *arena, const data_type **result) {
    (void)count;
    const unsigned p1 = arguments[0]->precision, s1 = arguments[0]->scale;
    const unsigned p2 = arguments[1]->precision, s2 = arguments[1]->scale;
    const unsigned scale_max = s1 > s2 ? s1 : s2, whole1 = p1 - s1, whole2 = p2 - s2;
    unsigned precision = 0, scale = 0;
    switch (operation_of(overload)) {
    case ADD:
    case SUBTRACT:
        scale = scale_max;
        precision = scale + (whole1 > whole2 ? whole1 : whole2) + 1;
        break;
    case MULTIPLY:
        scale = s1 + s2;
        precision = p1 + p2 + 1;
        break;
    case DIVIDE:
        scale = s1 + p2 + 1 > 6 ? s1 + p2 + 1 : 6;
        precision = p1 - s1 + s2 + scale;
        break;
    case MODULO:
        scale = scale_max;
        precision = (whole1 < whole2 ? whole1 : whole2) + scale;
        break;
    }
    if (precision > DATA_DECIMAL_PRECISION_MAX) {
        const unsigned whole = precision - scale, kept = scale < 6 ? scale : 6;
        scale = whole + kept >= DATA_DECIMAL_PRECISION_MAX ? kept : DATA_DECIMAL_PRECISION_MAX - whole;
        precision = DATA_DECIMAL_PRECISION_MAX;
    }
    *result = data_type_decimal(arena, precision ? precision : 1, scale);
    return weir_ok();
}

static bool scaled(data_decimal value, unsigned from, unsigned into, data_decimal *result) {
    if (into < from || into - from > DATA_DECIMAL_PRECISION_MAX) return false;
    return !__builtin_mul_overflow(value, data_decimal_power10(into - from), result);
}

static bool divide_decimals(data_decimal a, unsigned s1, data_decimal b, unsigned s2, unsigned scale,
                            data_decimal *result) {
    /* a/10^s1 : b/10^s2 with `scale` digits = a * 10^(scale - s1 + s2) / b, rounded half up. */
    if (scale + s2 < s1 || !scaled(a, s1, scale + s2, &a)) return false;
    const data_decimal whole = a / b, rest = a % b;
    const data_decimal rest_size = rest < 0 ? -rest : rest, b_size = b < 0 ? -b : b;
    const bool up = rest_size >= b_size - rest_size;
    *result = whole + (up ? ((a < 0) == (b < 0) ? 1 : -1) : 0);
    return true;
}

static bool decimal_of(arith_operation operation, const data_vector *a, uint32_t i, const data_vector *b, uint32_t j,
                       unsigned scale, data_decimal *value) {
    const data_decimal x = a->decimals[i], y = b->decimals[j];
    const unsigned s1 = a->type->scale, s2 = b->type->scale, common = s1 > s2 ? s1 : s2;
    data_decimal left, right;
    switch (operation) {
    case MULTIPLY:
        if (__builtin_mul_overflow(x, y, value)) return false;
        if (scale == s1 + s2) return true;
        return data_decimal_rescale(*value, s1 + s2, DATA_DECIMAL_PRECISION_MAX, scale, DATA_ROUND_HALF_UP, value) ==
               DATA_FIT_OK;
    case DIVIDE: return divide_decimals(x, s1, y, s2, scale, value);
    default: break;
    }
    if (!scaled(x, s1, common, &left) || !scaled(y, s2, common, &right)) return false;
    if (operation == MODULO)
        *value = left % right;
    else if (operation == ADD ? __builtin_add_overflow(left, right, value) : __builtin_sub_overflow(left, right, value))
        return false;
    return data_decimal_rescale(*value, common, DATA_DECIMAL_PRECISION_MAX, scale, DATA_ROUND_HALF_UP, value) ==
           DATA_FIT_OK;
}

static weir_status decimals(func_run_context *run, const func_overload *overload, const data_vector *const *arguments,
                            uint32_t count, const data_selection *selection, data_vector *result) {
    (void)count;
    const data_vector *a = arguments[0], *b = arguments[1];
    const arith_operation operation = operation_of(overload);
    FUNC_ROWS(selection, row) {
        const uint32_t i = data_vector_index(a, row), j = data_vector_index(b, row);
        data_decimal value = 0;
        if (operation >= DIVIDE && b->decimals[j] == 0) {
            func_row_error(run, row, "division by zero");
        } else if (!decimal_of(operation, a, i, b, j, result->type->scale, &value) ||
                   !data_decimal_has_precision(value, result->type->precision)) {
            func_row_error(run, row, "the result does not fit DECIMAL(%u, %u)", result->type->precision,
                           result->type->scale);
            value = 0;
        }
        result->decimals[row] = value;
    }
    return weir_ok();
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

static weir_status concat(func_run_context *run, const func_overload *overload, const data_vector *const *arguments,
                          uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const weir_bytes a = func_text(arguments[0], row), b = func_text(arguments[1], row);
        uint8_t *text = weir_arena_try(run->arena, a.size + b.size);
        if (!text) return func_no_memory();
        if (a.size) memcpy(text, a.data, a.size);
        if (b.size) memcpy(text + a.size, b.data, b.size);
        func_set_text(result, row, text, a.size + b.size);
    }
    return weir_ok();
}

/* ---- catalogue ------------------------------------------------------------------------------------------------- */

#define ARITH(symbol, operation, type, body, derive)                                                                   \
    { symbol, "ARITHMETIC", "arithmetic", type ", " type, type, FUNC_INTERNAL, body, &operations[operation], derive }
#define ARITH_ALL(symbol, operation)                                                                                   \
    ARITH(symbol, operation, "INTEGER", integers, NULL), ARITH(symbol, operation, "BIGINT", integers, NULL),           \
        ARITH(symbol, operation, "DECIMAL", decimals, derive_decimal),                                                 \
        ARITH(symbol, operation, "DOUBLE", doubles, NULL)
#define CONCAT(symbol, type)                                                                                           \
    { symbol, "STRING", "both texts, one behind the other", type ", " type, type, FUNC_INTERNAL, concat, NULL, NULL }

static const func_overload overloads[] = {
    ARITH_ALL("+", ADD),    ARITH_ALL("-", SUBTRACT), ARITH_ALL("*", MULTIPLY),
    ARITH_ALL("/", DIVIDE), ARITH_ALL("%", MODULO),   CONCAT("+", "STRING"),
    CONCAT("||", "STRING"), CONCAT("+", "BYTES"),     CONCAT("||", "BYTES"),
};
const func_family func_family_arith = {overloads, sizeof overloads / sizeof *overloads};
