/* CAST between scalar types, by ksqlDB's table, and WIDEN: those of them that happen without being asked for. A text
 * that does not read as the target, or a value that does not fit, is an error of the row. Widening integers never
 * fails; INTEGER from BIGINT wraps, from DOUBLE and DECIMAL cuts the fraction. */
#include "func/func_int.h"

#include <math.h>
#include <strings.h>

typedef const data_vector *const *vectors;

static void bad_text(func_run_context *run, uint32_t row, weir_bytes text, const data_vector *result) {
    static const char *const names[DATA_KIND_COUNT] = {
        [DATA_BOOLEAN] = "BOOLEAN", [DATA_INT] = "INTEGER",         [DATA_BIGINT] = "BIGINT", [DATA_DOUBLE] = "DOUBLE",
        [DATA_DECIMAL] = "DECIMAL", [DATA_STRING] = "STRING",       [DATA_BYTES] = "BYTES",   [DATA_DATE] = "DATE",
        [DATA_TIME] = "TIME",       [DATA_TIMESTAMP] = "TIMESTAMP",
    };
    func_row_error(run, row, "cannot cast '%.*s%s' to %s", (int)(text.size > 60 ? 60 : text.size),
                   (const char *)text.data, text.size > 60 ? "..." : "", names[result->type->kind]);
}

/* Java's parsers take blanks around a number. */
static weir_bytes trimmed(weir_bytes text) {
    while (text.size && text.data[0] <= ' ') {
        text.data++;
        text.size--;
    }
    while (text.size && text.data[text.size - 1] <= ' ') text.size--;
    return text;
}

/* ---- numbers --------------------------------------------------------------------------------------------------- */

static weir_status from_integer(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                                const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    const data_vector *a = arguments[0];
    FUNC_ROWS(selection, row) {
        const int64_t value = func_integer(a, row);
        switch (result->type->kind) {
        case DATA_INT: result->ints[row] = (int32_t)(uint32_t)(uint64_t)value; break;
        case DATA_BIGINT: result->bigints[row] = value; break;
        case DATA_DOUBLE: result->doubles[row] = (double)value; break;
        default:
            if (data_decimal_rescale(value, 0, result->type->precision, result->type->scale, DATA_ROUND_EXACT,
                                     &result->decimals[row]) != DATA_FIT_OK) {
                func_row_error(run, row, "%lld does not fit DECIMAL(%u, %u)", (long long)value, result->type->precision,
                               result->type->scale);
            }
        }
    }
    return weir_ok();
}

/* Java's narrowing: NaN is 0, what is out of range becomes the nearest bound. */
static int64_t cut(double value, int64_t min, int64_t max) {
    if (isnan(value)) return 0;
    if (value <= (double)min) return min;
    if (value >= (double)max) return max;
    return (int64_t)value;
}

static weir_status from_double(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                               const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    const data_vector *a = arguments[0];
    FUNC_ROWS(selection, row) {
        const double value = a->doubles[data_vector_index(a, row)];
        switch (result->type->kind) {
        case DATA_INT: result->ints[row] = (int32_t)cut(value, INT32_MIN, INT32_MAX); break;
        case DATA_BIGINT: result->bigints[row] = cut(value, INT64_MIN, INT64_MAX); break;
        default:
            if (data_decimal_from_f64(value, result->type->precision, result->type->scale, &result->decimals[row]) !=
                DATA_FIT_OK) {
                func_row_error(run, row, "%g does not fit DECIMAL(%u, %u)", value, result->type->precision,
                               result->type->scale);
            }
        }
    }
    return weir_ok();
}

static weir_status from_decimal(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                                const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    const data_vector *a = arguments[0];
    const unsigned scale = a->type->scale;
    FUNC_ROWS(selection, row) {
        const data_decimal value = a->decimals[data_vector_index(a, row)];
        switch (result->type->kind) {
        case DATA_INT: result->ints[row] = (int32_t)(uint32_t)(uint64_t)(value / data_decimal_power10(scale)); break;
        case DATA_BIGINT: result->bigints[row] = (int64_t)(uint64_t)(value / data_decimal_power10(scale)); break;
        case DATA_DOUBLE: result->doubles[row] = data_decimal_to_f64(value, scale); break;
        default:
            if (data_decimal_rescale(value, scale, result->type->precision, result->type->scale, DATA_ROUND_HALF_UP,
                                     &result->decimals[row]) != DATA_FIT_OK) {
                func_row_error(run, row, "the value does not fit DECIMAL(%u, %u)", result->type->precision,
                               result->type->scale);
            }
        }
    }
    return weir_ok();
}

/* ---- times ----------------------------------------------------------------------------------------------------- */

static weir_status between_times(func_run_context *run, const func_overload *overload, vectors arguments,
                                 uint32_t count, const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    const data_vector *a = arguments[0];
    FUNC_ROWS(selection, row) {
        const int64_t value = func_integer(a, row);
        const int64_t day =
            a->type->kind == DATA_DATE ? value : value / DATA_MS_PER_DAY - (value % DATA_MS_PER_DAY < 0);
        switch (result->type->kind) {
        case DATA_DATE: result->ints[row] = (int32_t)day; break;
        case DATA_TIME: result->ints[row] = (int32_t)(value - day * DATA_MS_PER_DAY); break;
        default: result->bigints[row] = day * DATA_MS_PER_DAY; break;
        }
    }
    return weir_ok();
}

/* ---- from text ------------------------------------------------------------------------------------------------- */

/* true, false, yes, no, and their beginnings. */
static bool parse_boolean(weir_bytes text, bool *value) {
    static const char *const words[] = {"true", "yes", "false", "no"};
    for (int i = 0; i < 4; i++) {
        if (text.size && text.size <= strlen(words[i]) &&
            strncasecmp((const char *)text.data, words[i], text.size) == 0) {
            *value = i < 2;
            return true;
        }
    }
    return false;
}

static bool parse_value(weir_bytes text, data_vector *result, uint32_t row) {
    int64_t whole;
    bool yes;
    switch (result->type->kind) {
    case DATA_BOOLEAN:
        if (!parse_boolean(text, &yes)) return false;
        result->booleans[row] = yes;
        return true;
    case DATA_INT:
        if (!weir_parse_i64(text, &whole) || whole < INT32_MIN || whole > INT32_MAX) return false;
        result->ints[row] = (int32_t)whole;
        return true;
    case DATA_BIGINT: return weir_parse_i64(text, &result->bigints[row]);
    case DATA_DOUBLE: return weir_parse_f64(text, &result->doubles[row]);
    case DATA_DECIMAL:
        return data_decimal_parse(text, result->type->precision, result->type->scale, DATA_ROUND_HALF_UP,
                                  &result->decimals[row]) == DATA_FIT_OK;
    case DATA_DATE: return data_date_parse(text, &result->ints[row]);
    case DATA_TIME: return data_time_parse(text, &result->ints[row]);
    default: return data_timestamp_parse(text, &result->bigints[row]);
    }
}

static weir_status from_text(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                             const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row);
        if (!parse_value(trimmed(text), result, row)) bad_text(run, row, text, result);
    }
    return weir_ok();
}

static weir_status text_to_bytes(func_run_context *run, const func_overload *overload, vectors arguments,
                                 uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row);
        uint8_t *bytes = weir_arena_try(run->arena, text.size / 4 * 3 + 3);
        size_t size = 0;
        if (!bytes) return func_no_memory();
        if (!data_base64_decode(text, bytes, &size)) bad_text(run, row, text, result);
        func_set_text(result, row, bytes, size);
    }
    return weir_ok();
}

/* ---- to text --------------------------------------------------------------------------------------------------- */

static size_t format_value(const data_vector *a, uint32_t index, char *text) {
    switch (a->type->kind) {
    case DATA_BOOLEAN: memcpy(text, a->booleans[index] ? "true" : "false", 5); return a->booleans[index] ? 4 : 5;
    case DATA_INT: return weir_format_i64(text, a->ints[index]);
    case DATA_BIGINT: return weir_format_i64(text, a->bigints[index]);
    case DATA_DOUBLE: return weir_format_f64(text, a->doubles[index]);
    case DATA_DECIMAL: return data_decimal_format(text, a->decimals[index], a->type->scale);
    case DATA_DATE: return data_date_format(text, a->ints[index]);
    case DATA_TIME: return data_time_format(text, a->ints[index]);
    default: return data_timestamp_format(text, a->bigints[index]);
    }
}

static weir_status to_text(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                           const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    const data_vector *a = arguments[0];
    char text[DATA_DECIMAL_TEXT_MAX + 16];
    FUNC_ROWS(selection, row) {
        const size_t size = format_value(a, data_vector_index(a, row), text);
        if (size <= DATA_TEXT_INLINE_MAX) {
            func_set_text(result, row, text, size);
            continue;
        }
        uint8_t *kept = weir_arena_try(run->arena, size);
        if (!kept) return func_no_memory();
        func_set_text(result, row, memcpy(kept, text, size), size);
    }
    return weir_ok();
}

static weir_status bytes_to_text(func_run_context *run, const func_overload *overload, vectors arguments,
                                 uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const weir_bytes bytes = func_text(arguments[0], row);
        const size_t size = data_base64_encoded_bytes(bytes.size);
        char *text = weir_arena_try(run->arena, size);
        if (!text) return func_no_memory();
        data_base64_encode(bytes, text);
        func_set_text(result, row, text, size);
    }
    return weir_ok();
}

/* ---- catalogue ------------------------------------------------------------------------------------------------- */

#define CAST(from, into, body)                                                                                         \
    { "CAST", "CAST", "the same value as another type", from, into, FUNC_INTERNAL, body, NULL, NULL }

#define WIDEN(from, into, body)                                                                                        \
    { "WIDEN", "CAST", "the same value as a wider type", from, into, FUNC_INTERNAL, body, NULL, NULL }

static const func_overload overloads[] = {
    CAST("BOOLEAN", "STRING", to_text),       CAST("INTEGER", "BIGINT", from_integer),
    CAST("INTEGER", "DECIMAL", from_integer), CAST("INTEGER", "DOUBLE", from_integer),
    CAST("INTEGER", "STRING", to_text),       CAST("BIGINT", "INTEGER", from_integer),
    CAST("BIGINT", "DECIMAL", from_integer),  CAST("BIGINT", "DOUBLE", from_integer),
    CAST("BIGINT", "STRING", to_text),        CAST("DECIMAL", "INTEGER", from_decimal),
    CAST("DECIMAL", "BIGINT", from_decimal),  CAST("DECIMAL", "DECIMAL", from_decimal),
    CAST("DECIMAL", "DOUBLE", from_decimal),  CAST("DECIMAL", "STRING", to_text),
    CAST("DOUBLE", "INTEGER", from_double),   CAST("DOUBLE", "BIGINT", from_double),
    CAST("DOUBLE", "DECIMAL", from_double),   CAST("DOUBLE", "STRING", to_text),
    CAST("STRING", "BOOLEAN", from_text),     CAST("STRING", "INTEGER", from_text),
    CAST("STRING", "BIGINT", from_text),      CAST("STRING", "DECIMAL", from_text),
    CAST("STRING", "DOUBLE", from_text),      CAST("STRING", "DATE", from_text),
    CAST("STRING", "TIME", from_text),        CAST("STRING", "TIMESTAMP", from_text),
    CAST("STRING", "BYTES", text_to_bytes),   CAST("BYTES", "STRING", bytes_to_text),
    CAST("DATE", "STRING", to_text),          CAST("DATE", "TIMESTAMP", between_times),
    CAST("TIME", "STRING", to_text),          CAST("TIMESTAMP", "STRING", to_text),
    CAST("TIMESTAMP", "DATE", between_times), CAST("TIMESTAMP", "TIME", between_times),
    WIDEN("INTEGER", "BIGINT", from_integer), WIDEN("INTEGER", "DECIMAL", from_integer),
    WIDEN("INTEGER", "DOUBLE", from_integer), WIDEN("BIGINT", "DECIMAL", from_integer),
    WIDEN("BIGINT", "DOUBLE", from_integer),  WIDEN("DECIMAL", "DECIMAL", from_decimal),
    WIDEN("DECIMAL", "DOUBLE", from_decimal), WIDEN("DATE", "TIMESTAMP", between_times),
    WIDEN("STRING", "DATE", from_text),       WIDEN("STRING", "TIME", from_text),
    WIDEN("STRING", "TIMESTAMP", from_text),  WIDEN("STRING", "BYTES", text_to_bytes),
};
const func_family func_family_cast = {overloads, sizeof overloads / sizeof *overloads};
