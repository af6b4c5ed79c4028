/* Functions over ARRAYs. Elements are compared as SQL compares values of one type; a NULL element equals another. */
#include "func/func_int.h"

#include "base/text.h"

#include <strings.h>

typedef const data_vector *const *vectors;

enum { SERIES_MAX = 1 << 20, JOINED_BYTES_MAX = 1 << 20 };

static bool list_has(const data_vector *list, uint32_t start, uint32_t end, const data_vector *value, uint32_t row) {
    for (uint32_t i = start; i < end; i++) {
        if (data_vector_rows_equal(&list->children[0], i, value, row)) return true;
    }
    return false;
}

static weir_status array_length(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                                const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    FUNC_ROWS(selection, row)
    result->ints[row] = (int32_t)(func_list_end(arguments[0], row) - func_list_start(arguments[0], row));
    return weir_ok();
}

static weir_status array_contains(func_run_context *run, const func_overload *overload, vectors arguments,
                                  uint32_t count, const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const data_vector *list = arguments[0];
        result->booleans[row] = !func_is_null(list, row) && list_has(list, func_list_start(list, row),
                                                                     func_list_end(list, row), arguments[1], row);
    }
    return weir_ok();
}

/* ---- sets -------------------------------------------------------------------------------------------------------- */

typedef enum set_kind { SET_DISTINCT, SET_UNION, SET_EXCEPT, SET_INTERSECT } set_kind;
static const set_kind distinct_kind = SET_DISTINCT, union_kind = SET_UNION, except_kind = SET_EXCEPT,
                      intersect_kind = SET_INTERSECT;

/* Appends what of `list` is wanted and not there yet. */
static bool add_distinct(func_run_context *run, const data_vector *list, uint32_t row, const data_vector *other,
                         set_kind kind, data_vector *result, uint32_t first) {
    const uint32_t end = func_list_end(list, row);
    for (uint32_t i = func_list_start(list, row); i < end; i++) {
        if (list_has(result, first, result->child_rows, &list->children[0], i)) continue;
        if (kind == SET_EXCEPT || kind == SET_INTERSECT) {
            const bool there =
                list_has(other, func_list_start(other, row), func_list_end(other, row), &list->children[0], i);
            if (there != (kind == SET_INTERSECT)) continue;
        }
        if (!func_list_put(run, result, &list->children[0], i)) return false;
    }
    return true;
}

static weir_status array_set(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                             const data_selection *selection, data_vector *result) {
    const set_kind kind = *(const set_kind *)overload->context;
    FUNC_ROWS(selection, row) {
        func_list_open(run, result, row);
        const uint32_t first = result->child_rows;
        const data_vector *other = count > 1 ? arguments[1] : NULL;
        if (!add_distinct(run, arguments[0], row, other, kind, result, first)) return func_no_memory();
        if (kind == SET_UNION && !add_distinct(run, other, row, other, kind, result, first)) return func_no_memory();
        func_list_close(result, row);
    }
    return weir_ok();
}

static weir_status array_concat(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                                const data_selection *selection, data_vector *result) {
    (void)overload;
    FUNC_ROWS(selection, row) {
        bool any = false;
        func_list_open(run, result, row);
        for (uint32_t i = 0; i < count; i++) {
            if (func_is_null(arguments[i], row)) continue;
            any = true;
            for (uint32_t at = func_list_start(arguments[i], row); at < func_list_end(arguments[i], row); at++) {
                if (!func_list_put(run, result, &arguments[i]->children[0], at)) return func_no_memory();
            }
        }
        func_list_close(result, row);
        if (!any) func_set_null(result, row);
    }
    return weir_ok();
}

static weir_status array_remove(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                                const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        if (func_is_null(arguments[0], row)) {
            func_set_null(result, row);
            continue;
        }
        func_list_open(run, result, row);
        for (uint32_t at = func_list_start(arguments[0], row); at < func_list_end(arguments[0], row); at++) {
            if (data_vector_rows_equal(&arguments[0]->children[0], at, arguments[1], row)) continue;
            if (!func_list_put(run, result, &arguments[0]->children[0], at)) return func_no_memory();
        }
        func_list_close(result, row);
    }
    return weir_ok();
}

/* ---- order ------------------------------------------------------------------------------------------------------- */

static weir_status array_extreme(func_run_context *run, const func_overload *overload, vectors arguments,
                                 uint32_t count, const data_selection *selection, data_vector *result) {
    (void)count;
    const int sign = overload->context ? 1 : -1;
    FUNC_ROWS(selection, row) {
        const data_vector *items = &arguments[0]->children[0];
        uint32_t best = UINT32_MAX;
        for (uint32_t at = func_list_start(arguments[0], row); at < func_list_end(arguments[0], row); at++) {
            if (data_vector_is_null(items, at)) continue;
            if (best == UINT32_MAX || func_order(items, at, items, best) * sign > 0) best = at;
        }
        if (best == UINT32_MAX)
            func_set_null(result, row);
        else if (!func_put(run, result, row, items, best))
            return func_no_memory();
    }
    return weir_ok();
}

/* NULL elements come last, whatever the direction. */
static bool comes_before(const data_vector *items, uint32_t a, uint32_t b, int sign) {
    const bool a_null = data_vector_is_null(items, a), b_null = data_vector_is_null(items, b);
    if (a_null || b_null) return !a_null && b_null;
    return func_order(items, a, items, b) * sign < 0;
}

/* Merges two sorted halves; stable. */
static void merge_sort(const data_vector *items, uint32_t *rows, uint32_t *scratch, uint32_t count, int sign) {
    if (count < 2) return;
    const uint32_t half = count / 2;
    merge_sort(items, rows, scratch, half, sign);
    merge_sort(items, rows + half, scratch, count - half, sign);
    for (uint32_t i = 0, a = 0, b = half; i < count; i++)
        scratch[i] = b == count || (a < half && !comes_before(items, rows[b], rows[a], sign)) ? rows[a++] : rows[b++];
    memcpy(rows, scratch, count * sizeof *rows);
}

/* 1, -1; 0 = the word is no direction. */
static int direction(weir_bytes word) {
    static const char *const up[] = {"ASC", "ASCENDING"}, *const down[] = {"DESC", "DESCENDING"};
    for (int i = 0; i < 2; i++) {
        if (word.size == strlen(up[i]) && strncasecmp((const char *)word.data, up[i], word.size) == 0) return 1;
        if (word.size == strlen(down[i]) && strncasecmp((const char *)word.data, down[i], word.size) == 0) return -1;
    }
    return 0;
}

static weir_status array_sort(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                              const data_selection *selection, data_vector *result) {
    (void)overload;
    FUNC_ROWS(selection, row) {
        const data_vector *items = &arguments[0]->children[0];
        const uint32_t start = func_list_start(arguments[0], row), size = func_list_end(arguments[0], row) - start;
        const int sign = count > 1 ? direction(func_text(arguments[1], row)) : 1;
        uint32_t *rows = weir_arena_try(run->arena, sizeof *rows * 2 * (size + 1));
        if (!rows) return func_no_memory();
        for (uint32_t i = 0; i < size; i++) rows[i] = start + i;
        if (sign) merge_sort(items, rows, rows + size + 1, size, sign);
        func_list_open(run, result, row);
        for (uint32_t i = 0; sign && i < size; i++) {
            if (!func_list_put(run, result, items, rows[i])) return func_no_memory();
        }
        func_list_close(result, row);
        if (!sign) func_set_null(result, row);
    }
    return weir_ok();
}

/* ---- parts, text, series ----------------------------------------------------------------------------------------- */

/* Both ends count from 1 and are inclusive; NULL when they lie outside. */
static weir_status slice(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                         const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        if (func_is_null(arguments[0], row)) {
            func_set_null(result, row);
            continue;
        }
        const int64_t start = func_list_start(arguments[0], row), size = func_list_end(arguments[0], row) - start;
        const int64_t from = func_is_null(arguments[1], row) ? 1 : func_integer(arguments[1], row);
        const int64_t to = func_is_null(arguments[2], row) ? size : func_integer(arguments[2], row);
        func_list_open(run, result, row);
        const bool good = from >= 1 && to <= size && from - 1 <= to;
        for (int64_t i = from; good && i <= to; i++) {
            if (!func_list_put(run, result, &arguments[0]->children[0], (uint32_t)(start + i - 1)))
                return func_no_memory();
        }
        func_list_close(result, row);
        if (!good) func_set_null(result, row);
    }
    return weir_ok();
}

static weir_status array_join(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                              const data_selection *selection, data_vector *result) {
    (void)overload;
    weir_buffer text;
    bool fits = true;
    weir_buffer_init(&text, run->arena->account, JOINED_BYTES_MAX);
    FUNC_ROWS(selection, row) {
        if (func_is_null(arguments[0], row)) {
            func_set_null(result, row);
            continue;
        }
        const bool bare = count < 2, none = !bare && func_is_null(arguments[1], row);
        const weir_bytes between = bare ? weir_bytes_text(",") : none ? (weir_bytes){0} : func_text(arguments[1], row);
        const uint32_t start = func_list_start(arguments[0], row);
        weir_buffer_clear(&text);
        for (uint32_t at = start; at < func_list_end(arguments[0], row); at++) {
            if (at > start) weir_buffer_append(&text, between.data, between.size);
            func_print_value(&arguments[0]->children[0], at, &text);
        }
        if (text.overflowed)
            func_row_error(run, row, "ARRAY_JOIN: more than %d bytes", JOINED_BYTES_MAX);
        else
            fits = fits && func_put_text(run, result, row, text.data, text.size);
    }
    weir_buffer_deinit(&text);
    return fits ? weir_ok() : func_no_memory();
}

static weir_status derive_join(const func_overload *overload, const data_type *const *arguments, uint32_t count,
                               weir_arena *arena, const data_type **result) {
    (void)count, (void)arena;
    *result = data_type_of(DATA_STRING);
    if (arguments[0]->element->kind < DATA_DATE && arguments[0]->element->kind != DATA_BYTES) return weir_ok();
    return weir_fail(WEIR_INVALID, "%s joins an ARRAY of numbers, STRINGs or BOOLEANs", overload->name);
}

static weir_status generate_series(func_run_context *run, const func_overload *overload, vectors arguments,
                                   uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload;
    FUNC_ROWS(selection, row) {
        const int64_t from = func_integer(arguments[0], row), to = func_integer(arguments[1], row);
        const int64_t step = count > 2 ? func_integer(arguments[2], row) : to >= from ? 1 : -1;
        func_list_open(run, result, row);
        const data_decimal distance = (data_decimal)to - (data_decimal)from;
        if (step == 0 || (distance != 0 && (distance > 0) != (step > 0)) || distance / step >= SERIES_MAX) {
            func_row_error(run, row,
                           step == 0          ? "GENERATE_SERIES step cannot be zero"
                           : distance / step >= SERIES_MAX ? "GENERATE_SERIES of too many values"
                                              : "GENERATE_SERIES step has wrong sign");
            continue;
        }
        for (data_decimal value = from; step > 0 ? value <= to : value >= to; value += step) {
            const uint32_t at = func_list_add(run, result);
            if (at == UINT32_MAX) return func_no_memory();
            data_vector *items = &result->children[0];
            data_bit_set(items->valid, at, true);
            if (items->type->kind == DATA_INT)
                items->ints[at] = (int32_t)value;
            else
                items->bigints[at] = (int64_t)value;
        }
        func_list_close(result, row);
    }
    return weir_ok();
}

/* ---- catalogue --------------------------------------------------------------------------------------------------- */

static const char largest_mark[] = "max";

#define ARRAY(name, about, arguments, result, flags, body, context)                                                    \
    { name, "ARRAY", about, arguments, result, flags, body, context, NULL }

static const func_overload overloads[] = {
    ARRAY("ARRAY_CONCAT", "one array after the other", "ARRAY<T>, ARRAY<T>", "ARRAY<T>", FUNC_NULLS, array_concat,
          NULL),
    ARRAY("ARRAY_CONTAINS", "whether a value is in the array", "ARRAY<T>, T", "BOOLEAN", FUNC_NULLS, array_contains,
          NULL),
    ARRAY("ARRAY_DISTINCT", "each value once", "ARRAY<T>", "ARRAY<T>", 0, array_set, &distinct_kind),
    ARRAY("ARRAY_EXCEPT", "values that the second array lacks", "ARRAY<T>, ARRAY<T>", "ARRAY<T>", 0, array_set,
          &except_kind),
    ARRAY("ARRAY_INTERSECT", "values that both arrays have", "ARRAY<T>, ARRAY<T>", "ARRAY<T>", 0, array_set,
          &intersect_kind),
    ARRAY("ARRAY_UNION", "values that one of the arrays has", "ARRAY<T>, ARRAY<T>", "ARRAY<T>", 0, array_set,
          &union_kind),
    {"ARRAY_JOIN", "ARRAY", "the elements as one text, with commas", "ARRAY<T>", "STRING", FUNC_NULLS, array_join, NULL,
     derive_join},
    {"ARRAY_JOIN", "ARRAY", "the elements as one text", "ARRAY<T>, STRING", "STRING", FUNC_NULLS, array_join, NULL,
     derive_join},
    ARRAY("ARRAY_LENGTH", "how many elements", "ARRAY<T>", "INTEGER", 0, array_length, NULL),
    ARRAY("ARRAY_MAX", "the largest element", "ARRAY<T>", "T", 0, array_extreme, largest_mark),
    ARRAY("ARRAY_MIN", "the smallest element", "ARRAY<T>", "T", 0, array_extreme, NULL),
    ARRAY("ARRAY_REMOVE", "without the elements of a value", "ARRAY<T>, T", "ARRAY<T>", FUNC_NULLS, array_remove, NULL),
    ARRAY("ARRAY_SORT", "in ascending order", "ARRAY<T>", "ARRAY<T>", 0, array_sort, NULL),
    ARRAY("ARRAY_SORT", "in order, 'ASC' or 'DESC'", "ARRAY<T>, STRING", "ARRAY<T>", 0, array_sort, NULL),
    ARRAY("GENERATE_SERIES", "whole numbers from one to another", "INTEGER, INTEGER", "ARRAY<INTEGER>", 0,
          generate_series, NULL),
    ARRAY("GENERATE_SERIES", "whole numbers from one to another", "BIGINT, BIGINT", "ARRAY<BIGINT>", 0, generate_series,
          NULL),
    ARRAY("GENERATE_SERIES", "whole numbers in steps", "INTEGER, INTEGER, INTEGER", "ARRAY<INTEGER>", 0,
          generate_series, NULL),
    ARRAY("GENERATE_SERIES", "whole numbers in steps", "BIGINT, BIGINT, INTEGER", "ARRAY<BIGINT>", 0, generate_series,
          NULL),
    ARRAY("SLICE", "the elements from one place to another", "ARRAY<T>, INTEGER, INTEGER", "ARRAY<T>", FUNC_NULLS,
          slice, NULL),
};
const func_family func_family_array = {overloads, sizeof overloads / sizeof *overloads};
