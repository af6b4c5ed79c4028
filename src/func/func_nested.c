/* ARRAY[...], MAP(...), STRUCT(...), and an element of an ARRAY or MAP. */
#include "func/func_int.h"

typedef const data_vector *const *vectors;

static weir_status make_struct(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                               const data_selection *selection, data_vector *result) {
    (void)overload;
    FUNC_ROWS(selection, row) {
        while (run->list_next < row) data_vector_set_null(result, run->list_next++);
        run->list_next = row + 1;
        for (uint32_t i = 0; i < count; i++) {
            if (!data_vector_copy_row(&result->children[i], row, arguments[i], row, run->arena))
                return func_no_memory();
        }
        data_bit_set(result->valid, row, true);
    }
    return weir_ok();
}

static weir_status make_array(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                              const data_selection *selection, data_vector *result) {
    (void)overload;
    FUNC_ROWS(selection, row) {
        func_list_open(run, result, row);
        for (uint32_t i = 0; i < count; i++) {
            if (!func_list_put(run, result, arguments[i], row)) return func_no_memory();
        }
        func_list_close(result, row);
    }
    return weir_ok();
}

/* From the keys and the values; of equal keys the last one counts, at the place of the first. */
static weir_status make_map(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                            const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        func_list_open(run, result, row);
        const uint32_t first = result->child_rows, keys = func_list_start(arguments[0], row);
        const uint32_t values = func_list_start(arguments[1], row), end = func_list_end(arguments[0], row);
        for (uint32_t i = keys; i < end; i++) {
            uint32_t later = i + 1, at;
            while (later < end &&
                   !data_vector_rows_equal(&arguments[0]->children[0], i, &arguments[0]->children[0], later))
                later++;
            if (later < end) continue; /* comes again */
            if ((at = func_list_add(run, result)) == UINT32_MAX ||
                !data_vector_copy_row(&result->children[0], at, &arguments[0]->children[0], i, run->arena) ||
                !data_vector_copy_row(&result->children[1], at, &arguments[1]->children[0], values + i - keys,
                                      run->arena))
                return func_no_memory();
        }
        weir_assert(result->child_rows >= first);
        func_list_close(result, row);
    }
    return weir_ok();
}

/* From 1, negative from the end; NULL outside. */
static weir_status array_element(func_run_context *run, const func_overload *overload, vectors arguments,
                                 uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const int64_t start = func_list_start(arguments[0], row), size = func_list_end(arguments[0], row) - start;
        const int64_t index = func_integer(arguments[1], row), at = index < 0 ? size + index : index - 1;
        if (index == 0 || at < 0 || at >= size) {
            func_set_null(result, row);
            continue;
        }
        if (!func_put(run, result, row, &arguments[0]->children[0], (uint32_t)(start + at))) return func_no_memory();
    }
    return weir_ok();
}

static weir_status map_element(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                               const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        uint32_t at = func_list_start(arguments[0], row);
        const uint32_t end = func_list_end(arguments[0], row);
        while (at < end && !data_vector_rows_equal(&arguments[0]->children[0], at, arguments[1], row)) at++;
        if (at == end)
            func_set_null(result, row);
        else if (!func_put(run, result, row, &arguments[0]->children[1], at))
            return func_no_memory();
    }
    return weir_ok();
}

#define INTERNAL(name, about, arguments, result, flags, body)                                                          \
    { name, "NESTED", about, arguments, result, FUNC_INTERNAL | (flags), body, NULL, NULL }

static const func_overload overloads[] = {
    INTERNAL("STRUCT", "a value of named fields", "ANY", "STRUCT", FUNC_NULLS | FUNC_VARIADIC | FUNC_CATCHES,
             make_struct),
    INTERNAL("ARRAY", "a list of its arguments", "T", "ARRAY<T>", FUNC_NULLS | FUNC_VARIADIC | FUNC_CATCHES,
             make_array),
    INTERNAL("MAP", "values by key", "ARRAY<K>, ARRAY<V>", "MAP<K, V>", 0, make_map),
    INTERNAL("[]", "an element by its place", "ARRAY<T>, INTEGER", "T", 0, array_element),
    INTERNAL("[]", "an element by its place", "ARRAY<T>, BIGINT", "T", 0, array_element),
    INTERNAL("[]", "the value of a key", "MAP<K, T>, K", "T", 0, map_element),
};
const func_family func_family_nested = {overloads, sizeof overloads / sizeof *overloads};
