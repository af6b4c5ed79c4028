/* = <> < <= > >= and LIKE. A comparison with NULL is false, not NULL: ksqlDB's rule. */
#include "func/func_int.h"

typedef enum comparison { EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL } comparison;
static const comparison operations[] = {EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL};

static comparison operation_of(const func_overload *overload) {
    return *(const comparison *)overload->context;
}

static bool holds(comparison operation, int order) {
    switch (operation) {
    case EQUAL: return order == 0;
    case NOT_EQUAL: return order != 0;
    case LESS: return order < 0;
    case LESS_EQUAL: return order <= 0;
    case GREATER: return order > 0;
    case GREATER_EQUAL: return order >= 0;
    }
    return false;
}

/* ---- numbers: one loop an operation, over all rows where the batch is dense ------------------------------------ */

#define COMPARE_LOOP(name, type, operator)                                                                             \
    FUNC_CLONES static void name(const type *a, const type *b, bool a_constant, bool b_constant, uint8_t *out,         \
                                 uint32_t rows) {                                                                      \
        if (!a_constant && !b_constant) {                                                                              \
            for (uint32_t i = 0; i < rows; i++) out[i] = a[i] operator b[i];                                           \
        } else if (b_constant) {                                                                                       \
            const type right = *b;                                                                                     \
            for (uint32_t i = 0; i < rows; i++) out[i] = a[i] operator right;                                          \
        } else {                                                                                                       \
            const type left = *a;                                                                                      \
            for (uint32_t i = 0; i < rows; i++) out[i] = left operator b[i];                                           \
        }                                                                                                              \
    }
#define COMPARE_LOOPS(suffix, type)                                                                                    \
    COMPARE_LOOP(equal_##suffix, type, ==)                                                                             \
    COMPARE_LOOP(not_equal_##suffix, type, !=)                                                                         \
    COMPARE_LOOP(less_##suffix, type, <)                                                                               \
    COMPARE_LOOP(less_equal_##suffix, type, <=)                                                                        \
    typedef void (*loop_##suffix)(const type *, const type *, bool, bool, uint8_t *, uint32_t);                        \
    static const loop_##suffix loops_##suffix[] = {equal_##suffix, not_equal_##suffix, less_##suffix,                  \
                                                   less_equal_##suffix};

COMPARE_LOOPS(u8, uint8_t)
COMPARE_LOOPS(i32, int32_t)
COMPARE_LOOPS(i64, int64_t)
COMPARE_LOOPS(f64, double)

/* A comparison with NULL is false; the loops above compared whatever lay there. */
static void clear_nulls(const data_vector *const *arguments, const data_selection *selection, data_vector *result) {
    if (!arguments[0]->valid && !arguments[1]->valid) return;
    FUNC_ROWS(selection, row) {
        if (func_is_null(arguments[0], row) || func_is_null(arguments[1], row)) result->booleans[row] = 0;
    }
}

static void compare_dense(comparison operation, const data_vector *a, const data_vector *b, uint8_t *out,
                          uint32_t rows) {
    if (operation >= GREATER) { /* a > b is b < a */
        const data_vector *swap = a;
        a = b;
        b = swap;
        operation = operation == GREATER ? LESS : LESS_EQUAL;
    }
    switch (data_kind_width(a->type->kind)) {
    case 1: loops_u8[operation](a->booleans, b->booleans, a->constant, b->constant, out, rows); break;
    case 4: loops_i32[operation](a->ints, b->ints, a->constant, b->constant, out, rows); break;
    default:
        if (a->type->kind == DATA_DOUBLE)
            loops_f64[operation](a->doubles, b->doubles, a->constant, b->constant, out, rows);
        else
            loops_i64[operation](a->bigints, b->bigints, a->constant, b->constant, out, rows);
    }
}

static bool compare_fixed(comparison operation, const data_vector *a, const data_vector *b, uint32_t row) {
    const uint32_t i = data_vector_index(a, row), j = data_vector_index(b, row);
    if (a->type->kind == DATA_DOUBLE) {
        const double x = a->doubles[i], y = b->doubles[j];
        switch (operation) { /* NaN is unequal to everything */
        case EQUAL: return x == y;
        case NOT_EQUAL: return x != y;
        case LESS: return x < y;
        case LESS_EQUAL: return x <= y;
        case GREATER: return x > y;
        case GREATER_EQUAL: return x >= y;
        }
    }
    if (a->type->kind == DATA_BOOLEAN) return holds(operation, a->booleans[i] - b->booleans[j]);
    const int64_t x = func_integer(a, row), y = func_integer(b, row);
    return holds(operation, x < y ? -1 : x > y);
}

static weir_status compare_numbers(func_run_context *run, const func_overload *overload,
                                   const data_vector *const *arguments, uint32_t count, const data_selection *selection,
                                   data_vector *result) {
    (void)run, (void)count;
    const comparison operation = operation_of(overload);
    if (selection->rows) {
        FUNC_ROWS(selection, row) result->booleans[row] = compare_fixed(operation, arguments[0], arguments[1], row);
    } else {
        compare_dense(operation, arguments[0], arguments[1], result->booleans, selection->count);
    }
    clear_nulls(arguments, selection, result);
    return weir_ok();
}

static weir_status compare_decimals(func_run_context *run, const func_overload *overload,
                                    const data_vector *const *arguments, uint32_t count,
                                    const data_selection *selection, data_vector *result) {
    (void)run, (void)count;
    const data_vector *a = arguments[0], *b = arguments[1];
    FUNC_ROWS(selection, row) {
        result->booleans[row] = 0;
        if (func_is_null(a, row) || func_is_null(b, row)) continue;
        const int order = data_decimal_compare(a->decimals[data_vector_index(a, row)], a->type->scale,
                                               b->decimals[data_vector_index(b, row)], b->type->scale);
        result->booleans[row] = holds(operation_of(overload), order);
    }
    return weir_ok();
}

/* UTF-8 sorts by code points, and so does UTF-16, except that U+10000 and above are pairs of units below U+E000: first
 * bytes from 0xf0 on lie before 0xee and 0xef there. */
int func_text_order(const data_text *a, const data_text *b) {
    const uint8_t *x = data_text_data(a), *y = data_text_data(b);
    const uint32_t size = a->size < b->size ? a->size : b->size;
    uint32_t i = 0;
    while (i < size && x[i] == y[i]) i++;
    if (i == size) return a->size < b->size ? -1 : a->size > b->size;
    if (x[i] >= 0xee && y[i] >= 0xee && (x[i] >= 0xf0) != (y[i] >= 0xf0)) return x[i] >= 0xf0 ? -1 : 1;
    return x[i] < y[i] ? -1 : 1;
}

static weir_status compare_texts(func_run_context *run, const func_overload *overload,
                                 const data_vector *const *arguments, uint32_t count, const data_selection *selection,
                                 data_vector *result) {
    (void)run, (void)count;
    const data_vector *a = arguments[0], *b = arguments[1];
    const comparison operation = operation_of(overload);
    FUNC_ROWS(selection, row) {
        result->booleans[row] = 0;
        if (func_is_null(a, row) || func_is_null(b, row)) continue;
        const data_text *x = &a->texts[data_vector_index(a, row)], *y = &b->texts[data_vector_index(b, row)];
        if (operation <= NOT_EQUAL)
            result->booleans[row] = data_text_equal(x, y) == (operation == EQUAL);
        else
            result->booleans[row] =
                holds(operation, a->type->kind == DATA_STRING ? func_text_order(x, y) : data_text_compare(x, y));
    }
    return weir_ok();
}

static weir_status compare_nested(func_run_context *run, const func_overload *overload,
                                  const data_vector *const *arguments, uint32_t count, const data_selection *selection,
                                  data_vector *result) {
    (void)run, (void)count;
    FUNC_ROWS(selection, row) {
        result->booleans[row] = 0;
        if (func_is_null(arguments[0], row) || func_is_null(arguments[1], row)) continue;
        const bool equal = data_vector_rows_equal(arguments[0], row, arguments[1], row);
        result->booleans[row] = equal == (operation_of(overload) == EQUAL);
    }
    return weir_ok();
}

/* ---- LIKE ------------------------------------------------------------------------------------------------------ */

static size_t character_bytes(uint8_t first) {
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* One element of the pattern at `at`: is it a wildcard, and where does its literal begin and end? */
typedef struct like_element {
    uint8_t wildcard; /* '%', '_' or 0 */
    size_t start, end;
} like_element;

static like_element next_element(weir_bytes pattern, size_t at, weir_bytes escape) {
    const uint8_t c = pattern.data[at];
    if (escape.size && pattern.size - at > escape.size && memcmp(pattern.data + at, escape.data, escape.size) == 0) {
        const size_t start = at + escape.size;
        return (like_element){0, start, start + character_bytes(pattern.data[start])};
    }
    if (c == '%' || c == '_') return (like_element){c, at, at + 1};
    return (like_element){0, at, at + character_bytes(c)};
}

/* Goes back to the last % only: an earlier one cannot do better. */
static bool like(weir_bytes text, weir_bytes pattern, weir_bytes escape) {
    size_t at = 0, in_pattern = 0, star_pattern = SIZE_MAX, star_text = 0;
    while (at < text.size) {
        if (in_pattern < pattern.size) {
            const like_element element = next_element(pattern, in_pattern, escape);
            const size_t size = element.end - element.start;
            if (element.wildcard == '%') {
                star_pattern = in_pattern = element.end;
                star_text = at;
                continue;
            }
            if (element.wildcard == '_' ||
                (size <= text.size - at && memcmp(text.data + at, pattern.data + element.start, size) == 0)) {
                at += element.wildcard ? character_bytes(text.data[at]) : size;
                in_pattern = element.end;
                continue;
            }
        }
        if (star_pattern == SIZE_MAX) return false;
        star_text += character_bytes(text.data[star_text]);
        at = star_text;
        in_pattern = star_pattern;
    }
    while (in_pattern < pattern.size) {
        const like_element element = next_element(pattern, in_pattern, escape);
        if (element.wildcard != '%') return false;
        in_pattern = element.end;
    }
    return true;
}

static weir_status like_body(func_run_context *run, const func_overload *overload, const data_vector *const *arguments,
                             uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload;
    FUNC_ROWS(selection, row) {
        bool null = false;
        for (uint32_t i = 0; i < count; i++) null |= func_is_null(arguments[i], row);
        result->booleans[row] = 0;
        if (null) continue;
        const weir_bytes escape = count == 3 ? func_text(arguments[2], row) : (weir_bytes){0};
        if (count == 3 && (escape.size == 0 || escape.size != character_bytes(escape.data[0]))) {
            func_row_error(run, row, "LIKE: ESCAPE takes one character, not '%.*s'",
                           (int)(escape.size > 20 ? 20 : escape.size), (const char *)escape.data);
            continue;
        }
        result->booleans[row] = like(func_text(arguments[0], row), func_text(arguments[1], row), escape);
    }
    return weir_ok();
}

/* ---- catalogue ------------------------------------------------------------------------------------------------- */

#define COMPARE(symbol, operation, type, compare)                                                                      \
    {                                                                                                                  \
        symbol, "COMPARISON", "compares two values; false when one is NULL", type ", " type, "BOOLEAN",                \
            FUNC_INTERNAL | FUNC_NULLS, compare, &operations[operation], NULL                                          \
    }
#define COMPARE_EQUALITY(symbol, operation)                                                                            \
    COMPARE(symbol, operation, "BOOLEAN", compare_numbers), COMPARE(symbol, operation, "ARRAY", compare_nested),       \
        COMPARE(symbol, operation, "MAP", compare_nested), COMPARE(symbol, operation, "STRUCT", compare_nested)
#define COMPARE_ALL(symbol, operation)                                                                                 \
    COMPARE(symbol, operation, "INTEGER", compare_numbers), COMPARE(symbol, operation, "BIGINT", compare_numbers),     \
        COMPARE(symbol, operation, "DECIMAL", compare_decimals),                                                       \
        COMPARE(symbol, operation, "DOUBLE", compare_numbers), COMPARE(symbol, operation, "STRING", compare_texts),    \
        COMPARE(symbol, operation, "BYTES", compare_texts), COMPARE(symbol, operation, "DATE", compare_numbers),       \
        COMPARE(symbol, operation, "TIME", compare_numbers), COMPARE(symbol, operation, "TIMESTAMP", compare_numbers)

static const func_overload overloads[] = {
    COMPARE_ALL("=", EQUAL),
    COMPARE_EQUALITY("=", EQUAL),
    COMPARE_ALL("<>", NOT_EQUAL),
    COMPARE_EQUALITY("<>", NOT_EQUAL),
    COMPARE_ALL("<", LESS),
    COMPARE_ALL("<=", LESS_EQUAL),
    COMPARE_ALL(">", GREATER),
    COMPARE_ALL(">=", GREATER_EQUAL),
    {"LIKE", "COMPARISON", "does a text match a pattern of % and _", "STRING, STRING", "BOOLEAN",
     FUNC_INTERNAL | FUNC_NULLS, like_body, NULL, NULL},
    {"LIKE", "COMPARISON", "does a text match a pattern of % and _", "STRING, STRING, STRING", "BOOLEAN",
     FUNC_INTERNAL | FUNC_NULLS, like_body, NULL, NULL},
};
const func_family func_family_compare = {overloads, sizeof overloads / sizeof *overloads};
