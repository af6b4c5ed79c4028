/* Mathematical functions. */
#include "func/func_int.h"

#include <math.h>

typedef const data_vector *const *vectors;
typedef double (*unary)(double);

/* ---- one DOUBLE to another ------------------------------------------------------------------------------------- */

typedef struct unary_entry {
    unary function;
} unary_entry;

static double degrees(double x) {
    return x * (180.0 / M_PI);
}
static double radians(double x) {
    return x * (M_PI / 180.0);
}
/* The C library's is off in the last digit for cubes such as 27; one step of Newton's method mends that. */
static double cube_root(double x) {
    const double root = cbrt(x);
    if (x == 0 || !isfinite(x)) return root;
    return root - (root * root * root - x) / (3 * root * root);
}
static double cotangent(double x) {
    return 1.0 / tan(x);
}

static const unary_entry of_sqrt = {sqrt}, of_ln = {log}, of_exp = {exp}, of_cbrt = {cube_root}, of_sin = {sin},
                         of_cos = {cos}, of_tan = {tan}, of_asin = {asin}, of_acos = {acos}, of_atan = {atan},
                         of_sinh = {sinh}, of_cosh = {cosh}, of_tanh = {tanh}, of_degrees = {degrees},
                         of_radians = {radians}, of_cot = {cotangent};

static weir_status map_double(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                              const data_selection *selection, data_vector *result) {
    (void)run, (void)count;
    const unary function = ((const unary_entry *)overload->context)->function;
    const data_vector *a = arguments[0];
    FUNC_ROWS(selection, row) result->doubles[row] = function(a->doubles[data_vector_index(a, row)]);
    return weir_ok();
}

/* Java's: what C takes from 1 to whatever power, and from -1 to an infinite one, is no number there. */
static double power_of(double base, double exponent) {
    if (isnan(exponent) || (isinf(exponent) && fabs(base) == 1)) return (double)NAN;
    return pow(base, exponent);
}

static weir_status power(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                         const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    const data_vector *a = arguments[0], *b = arguments[1];
    FUNC_ROWS(selection, row) {
        result->doubles[row] = power_of(a->doubles[data_vector_index(a, row)], b->doubles[data_vector_index(b, row)]);
    }
    return weir_ok();
}

static weir_status arc_tangent2(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                                const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    const data_vector *a = arguments[0], *b = arguments[1];
    FUNC_ROWS(selection, row) {
        result->doubles[row] = atan2(a->doubles[data_vector_index(a, row)], b->doubles[data_vector_index(b, row)]);
    }
    return weir_ok();
}

static weir_status log_of_base(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                               const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    const data_vector *a = arguments[0], *b = arguments[1];
    FUNC_ROWS(selection, row) {
        const double base = a->doubles[data_vector_index(a, row)], value = b->doubles[data_vector_index(b, row)];
        result->doubles[row] = base <= 0 || base == 1 ? (double)NAN : log(value) / log(base);
    }
    return weir_ok();
}

static weir_status pi(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                      const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)arguments, (void)count;
    FUNC_ROWS(selection, row) result->doubles[row] = M_PI;
    return weir_ok();
}

/* ---- ABS, SIGN ------------------------------------------------------------------------------------------------- */

static weir_status absolute(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                            const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    const data_vector *a = arguments[0];
    FUNC_ROWS(selection, row) {
        const uint32_t i = data_vector_index(a, row);
        switch (a->type->kind) { /* the smallest integer is its own absolute value, as in Java */
        case DATA_INT: result->ints[row] = a->ints[i] < 0 ? (int32_t)(0 - (uint32_t)a->ints[i]) : a->ints[i]; break;
        case DATA_BIGINT:
            result->bigints[row] = a->bigints[i] < 0 ? (int64_t)(0 - (uint64_t)a->bigints[i]) : a->bigints[i];
            break;
        case DATA_DOUBLE: result->doubles[row] = fabs(a->doubles[i]); break;
        default: result->decimals[row] = a->decimals[i] < 0 ? -a->decimals[i] : a->decimals[i]; break;
        }
    }
    return weir_ok();
}

static weir_status sign(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                        const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    const data_vector *a = arguments[0];
    FUNC_ROWS(selection, row) {
        const double value =
            a->type->kind == DATA_DOUBLE ? a->doubles[data_vector_index(a, row)] : (double)func_integer(a, row);
        result->ints[row] = (value > 0) - (value < 0);
    }
    return weir_ok();
}

/* ---- CEIL, FLOOR, ROUND, TRUNC --------------------------------------------------------------------------------- */

typedef struct rounding_entry {
    unary function; /* for DOUBLE */
    data_rounding rounding;
} rounding_entry;

/* Java's Math.round: half up also for negative numbers, -2.5 gives -2. */
static double round_half_up(double x) {
    const double down = floor(x);
    return x - down >= 0.5 ? down + 1 : down;
}

static const rounding_entry up = {ceil, DATA_ROUND_CEILING}, down = {floor, DATA_ROUND_FLOOR},
                            half = {round_half_up, DATA_ROUND_HALF_UP}, zero = {trunc, DATA_ROUND_DOWN};

static weir_status same_integer(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                                const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        if (result->type->kind == DATA_INT)
            result->ints[row] = (int32_t)func_integer(arguments[0], row);
        else
            result->bigints[row] = func_integer(arguments[0], row);
    }
    return weir_ok();
}

static weir_status whole_double(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                                const data_selection *selection, data_vector *result) {
    (void)run, (void)count;
    const data_vector *a = arguments[0];
    const unary function = ((const rounding_entry *)overload->context)->function;
    FUNC_ROWS(selection, row) result->doubles[row] = function(a->doubles[data_vector_index(a, row)]);
    return weir_ok();
}

static weir_status double_to_bigint(func_run_context *run, const func_overload *overload, vectors arguments,
                                    uint32_t count, const data_selection *selection, data_vector *result) {
    (void)run, (void)count;
    const data_vector *a = arguments[0];
    const unary function = ((const rounding_entry *)overload->context)->function;
    FUNC_ROWS(selection, row) {
        const double value = function(a->doubles[data_vector_index(a, row)]);
        result->bigints[row] = isnan(value)       ? 0
                               : value >= 0x1p63  ? INT64_MAX
                               : value <= -0x1p63 ? INT64_MIN
                                                  : (int64_t)value;
    }
    return weir_ok();
}

/* Rounds to `digits` behind the point (before it when negative) and keeps the scale. */
static data_fit round_digits(data_decimal value, unsigned scale, int64_t digits, const data_type *type,
                             data_rounding rounding, data_decimal *result) {
    if (digits >= scale) {
        return data_decimal_rescale(value, scale, type->precision, type->scale, DATA_ROUND_EXACT, result);
    }
    const int64_t cut = scale - digits; /* digits that go */
    if (cut > DATA_DECIMAL_PRECISION_MAX) {
        *result = 0;
        return DATA_FIT_OK;
    }
    data_decimal kept;
    const data_fit fit = data_decimal_rescale(value, (unsigned)cut, DATA_DECIMAL_PRECISION_MAX, 0, rounding, &kept);
    if (fit != DATA_FIT_OK) return fit;
    if (__builtin_mul_overflow(kept, data_decimal_power10((unsigned)cut), &kept)) return DATA_FIT_OVERFLOWS;
    return data_decimal_rescale(kept, scale, type->precision, type->scale, DATA_ROUND_EXACT, result);
}

/* CEIL(d), FLOOR(d) keep the scale; ROUND(d) and TRUNC(d) have none; ROUND(d, n) keeps it. */
static weir_status round_decimal(func_run_context *run, const func_overload *overload, vectors arguments,
                                 uint32_t count, const data_selection *selection, data_vector *result) {
    const data_vector *a = arguments[0];
    const data_rounding rounding = ((const rounding_entry *)overload->context)->rounding;
    FUNC_ROWS(selection, row) {
        const int64_t digits = count == 2 ? func_integer(arguments[1], row) : 0;
        const data_decimal value = a->decimals[data_vector_index(a, row)];
        if (round_digits(value, a->type->scale, digits, result->type, rounding, &result->decimals[row]) !=
            DATA_FIT_OK) {
            func_row_error(run, row, "%s: the result does not fit DECIMAL(%u, %u)", overload->name,
                           result->type->precision, result->type->scale);
        }
    }
    return weir_ok();
}

/* ROUND(x, n) of a DOUBLE goes through its shortest decimal text, as ksqlDB's BigDecimal does. */
static weir_status round_double_digits(func_run_context *run, const func_overload *overload, vectors arguments,
                                       uint32_t count, const data_selection *selection, data_vector *result) {
    (void)run, (void)count;
    const data_vector *a = arguments[0];
    const data_rounding rounding = ((const rounding_entry *)overload->context)->rounding;
    FUNC_ROWS(selection, row) {
        const double value = a->doubles[data_vector_index(a, row)];
        const int64_t digits = func_integer(arguments[1], row);
        char text[WEIR_F64_TEXT_MAX];
        data_decimal decimal;
        result->doubles[row] = value;
        if (!isfinite(value) || digits > 30 || digits < -38) continue;
        const unsigned scale = digits > 0 ? (unsigned)digits : 0;
        const weir_bytes number = weir_bytes_of(text, weir_format_f64(text, value));
        /* More digits than 38: they are far before the point, and nothing behind it is left to round. */
        if (data_decimal_parse(number, DATA_DECIMAL_PRECISION_MAX, scale, rounding, &decimal) != DATA_FIT_OK) continue;
        if (digits < 0) {
            const data_type type = {.kind = DATA_DECIMAL, .precision = DATA_DECIMAL_PRECISION_MAX};
            if (data_decimal_parse(number, DATA_DECIMAL_PRECISION_MAX, 0, DATA_ROUND_DOWN, &decimal) != DATA_FIT_OK ||
                round_digits(decimal, 0, digits, &type, rounding, &decimal) != DATA_FIT_OK) {
                continue;
            }
        }
        result->doubles[row] = data_decimal_to_f64(decimal, scale);
    }
    return weir_ok();
}

static weir_status derive_same(const func_overload *overload, const data_type *const *arguments, uint32_t count,
                               weir_arena *arena, const data_type **result) {
    (void)overload, (void)count, (void)arena;
    *result = arguments[0];
    return weir_ok();
}

/* Scale 0, and room for the carry of 99.9. */
static weir_status derive_whole(const func_overload *overload, const data_type *const *arguments, uint32_t count,
                                weir_arena *arena, const data_type **result) {
    (void)overload, (void)count;
    const unsigned whole = arguments[0]->precision - arguments[0]->scale + (arguments[0]->scale > 0);
    *result = data_type_decimal(arena, whole > DATA_DECIMAL_PRECISION_MAX ? DATA_DECIMAL_PRECISION_MAX : whole, 0);
    return weir_ok();
}

/* ---- catalogue ------------------------------------------------------------------------------------------------- */

#define MATH(name, about, arguments, result, body, context, derive)                                                    \
    { name, "MATHEMATICAL", about, arguments, result, 0, body, context, derive }
#define DOUBLES(name, about, context) MATH(name, about, "DOUBLE", "DOUBLE", map_double, context, NULL)
#define CEILING(name, about, context)                                                                                  \
    MATH(name, about, "INTEGER", "INTEGER", same_integer, NULL, NULL),                                                 \
        MATH(name, about, "BIGINT", "BIGINT", same_integer, NULL, NULL),                                               \
        MATH(name, about, "DECIMAL", "DECIMAL", round_decimal, context, derive_same),                                  \
        MATH(name, about, "DOUBLE", "DOUBLE", whole_double, context, NULL)
#define ROUNDING(name, about, context)                                                                                 \
    MATH(name, about, "BIGINT", "BIGINT", same_integer, NULL, NULL),                                                   \
        MATH(name, about, "DECIMAL", "DECIMAL", round_decimal, context, derive_whole),                                 \
        MATH(name, about, "DOUBLE", "BIGINT", double_to_bigint, context, NULL),                                        \
        MATH(name, about ", to a number of digits", "DECIMAL, INTEGER", "DECIMAL", round_decimal, context,             \
             derive_same),                                                                                             \
        MATH(name, about ", to a number of digits", "DOUBLE, INTEGER", "DOUBLE", round_double_digits, context, NULL)
#define ABSOLUTE(type, derive) MATH("ABS", "the absolute value", type, type, absolute, NULL, derive)
#define SIGN(type) MATH("SIGN", "-1, 0 or 1", type, "INTEGER", sign, NULL, NULL)

static const func_overload overloads[] = {
    ABSOLUTE("INTEGER", NULL),
    ABSOLUTE("BIGINT", NULL),
    ABSOLUTE("DECIMAL", derive_same),
    ABSOLUTE("DOUBLE", NULL),
    DOUBLES("ACOS", "the arc cosine", &of_acos),
    DOUBLES("ASIN", "the arc sine", &of_asin),
    DOUBLES("ATAN", "the arc tangent", &of_atan),
    MATH("ATAN2", "the angle of the point (x, y), given y and x", "DOUBLE, DOUBLE", "DOUBLE", arc_tangent2, NULL, NULL),
    DOUBLES("CBRT", "the cube root", &of_cbrt),
    CEILING("CEIL", "the smallest whole number that is not smaller", &up),
    DOUBLES("COS", "the cosine", &of_cos),
    DOUBLES("COSH", "the hyperbolic cosine", &of_cosh),
    DOUBLES("COT", "the cotangent", &of_cot),
    DOUBLES("DEGREES", "radians in degrees", &of_degrees),
    DOUBLES("EXP", "e to the power of the value", &of_exp),
    CEILING("FLOOR", "the largest whole number that is not larger", &down),
    DOUBLES("LN", "the natural logarithm", &of_ln),
    DOUBLES("LOG", "the natural logarithm", &of_ln),
    MATH("LOG", "the logarithm to a base, given base and value", "DOUBLE, DOUBLE", "DOUBLE", log_of_base, NULL, NULL),
    MATH("PI", "3.14159...", "", "DOUBLE", pi, NULL, NULL),
    MATH("POWER", "base to the power of exponent", "DOUBLE, DOUBLE", "DOUBLE", power, NULL, NULL),
    DOUBLES("RADIANS", "degrees in radians", &of_radians),
    ROUNDING("ROUND", "the nearest whole number, half up", &half),
    SIGN("INTEGER"),
    SIGN("BIGINT"),
    SIGN("DOUBLE"),
    DOUBLES("SIN", "the sine", &of_sin),
    DOUBLES("SINH", "the hyperbolic sine", &of_sinh),
    DOUBLES("SQRT", "the square root", &of_sqrt),
    DOUBLES("TAN", "the tangent", &of_tan),
    DOUBLES("TANH", "the hyperbolic tangent", &of_tanh),
    ROUNDING("TRUNC", "the whole number towards zero", &zero),
};
const func_family func_family_math = {overloads, sizeof overloads / sizeof *overloads};
