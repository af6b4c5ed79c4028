/* Functions over MAPs. */
#include "func/func_int.h"

typedef const data_vector *const *vectors;

static bool add_entry(func_run_context *run, data_vector *result, const data_vector *keys, uint32_t key,
                      const data_vector *values, uint32_t value) {
    const uint32_t at = func_list_add(run, result);
    if (at == UINT32_MAX || !data_vector_copy_row(&result->children[0], at, keys, key, run->arena)) return false;
    return !values || data_vector_copy_row(&result->children[1], at, values, value, run->arena);
}

/* Values without a key are left out, keys without a value get NULL; of equal keys the last counts. */
static weir_status as_map(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                          const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const data_vector *keys = &arguments[0]->children[0], *values = &arguments[1]->children[0];
        const uint32_t start = func_list_start(arguments[0], row), end = func_list_end(arguments[0], row);
        const uint32_t value_start = func_list_start(arguments[1], row), value_end = func_list_end(arguments[1], row);
        func_list_open(run, result, row);
        for (uint32_t i = start; i < end; i++) {
            uint32_t later = i + 1;
            while (later < end && !data_vector_rows_equal(keys, i, keys, later)) later++;
            if (later < end) continue;
            const uint32_t value = value_start + i - start;
            if (!add_entry(run, result, keys, i, value < value_end ? values : NULL, value)) return func_no_memory();
        }
        func_list_close(result, row);
    }
    return weir_ok();
}

static weir_status map_part(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                            const data_selection *selection, data_vector *result) {
    (void)count;
    const uint32_t child = overload->context ? 1 : 0;
    FUNC_ROWS(selection, row) {
        func_list_open(run, result, row);
        for (uint32_t at = func_list_start(arguments[0], row); at < func_list_end(arguments[0], row); at++) {
            if (!func_list_put(run, result, &arguments[0]->children[child], at)) return func_no_memory();
        }
        func_list_close(result, row);
    }
    return weir_ok();
}

static bool has_key(const data_vector *map, uint32_t row, const data_vector *keys, uint32_t key) {
    if (func_is_null(map, row)) return false;
    for (uint32_t at = func_list_start(map, row); at < func_list_end(map, row); at++) {
        if (data_vector_rows_equal(&map->children[0], at, keys, key)) return true;
    }
    return false;
}

/* The right one's values win. */
static weir_status map_union(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                             const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        if (func_is_null(arguments[0], row) && func_is_null(arguments[1], row)) {
            func_set_null(result, row);
            continue;
        }
        func_list_open(run, result, row);
        for (uint32_t side = 0; side < 2; side++) {
            const data_vector *map = arguments[side];
            if (func_is_null(map, row)) continue;
            for (uint32_t at = func_list_start(map, row); at < func_list_end(map, row); at++) {
                if (side == 0 && has_key(arguments[1], row, &map->children[0], at)) continue;
                if (!add_entry(run, result, &map->children[0], at, &map->children[1], at)) return func_no_memory();
            }
        }
        func_list_close(result, row);
    }
    return weir_ok();
}

/* ARRAY<STRUCT<K, V>>, in order of the keys if asked for. */
static weir_status entries(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                           const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const data_vector *keys = &arguments[0]->children[0], *values = &arguments[0]->children[1];
        const uint32_t start = func_list_start(arguments[0], row), size = func_list_end(arguments[0], row) - start;
        const bool sorted = arguments[1]->booleans[data_vector_index(arguments[1], row)];
        uint32_t *rows = weir_arena_try(run->arena, sizeof *rows * (size + 1));
        if (!rows) return func_no_memory();
        for (uint32_t i = 0; i < size; i++) { /* insertion: maps are small */
            uint32_t at = i;
            for (; sorted && at > 0 && func_order(keys, start + i, keys, rows[at - 1]) < 0; at--)
                rows[at] = rows[at - 1];
            rows[at] = start + i;
        }
        func_list_open(run, result, row);
        for (uint32_t i = 0; i < size; i++) {
            const uint32_t at = func_list_add(run, result);
            data_vector *records = &result->children[0];
            if (at == UINT32_MAX || !data_vector_copy_row(&records->children[0], at, keys, rows[i], run->arena) ||
                !data_vector_copy_row(&records->children[1], at, values, rows[i], run->arena))
                return func_no_memory();
            data_bit_set(records->valid, at, true);
        }
        func_list_close(result, row);
    }
    return weir_ok();
}

static weir_status derive_entries(const func_overload *overload, const data_type *const *arguments, uint32_t count,
                                  weir_arena *arena, const data_type **result) {
    (void)overload, (void)count;
    data_field *fields = weir_arena_array(arena, data_field, 2);
    fields[0] = (data_field){"K", arguments[0]->key};
    fields[1] = (data_field){"V", arguments[0]->element};
    *result = data_type_array(arena, data_type_struct(arena, fields, 2));
    return weir_ok();
}

static const char values_mark[] = "values";

static const func_overload overloads[] = {
    {"AS_MAP", "MAP", "a map of keys and values", "ARRAY<STRING>, ARRAY<T>", "MAP<STRING, T>", 0, as_map, NULL, NULL},
    {"ENTRIES", "MAP", "an array of keys and values; true sorts it by key", "MAP<STRING, T>, BOOLEAN", "ANY", 0,
     entries, NULL, derive_entries},
    {"MAP_KEYS", "MAP", "the keys", "MAP<STRING, T>", "ARRAY<STRING>", 0, map_part, NULL, NULL},
    {"MAP_UNION", "MAP", "the entries of both; the second's win", "MAP<STRING, T>, MAP<STRING, T>", "MAP<STRING, T>",
     FUNC_NULLS, map_union, NULL, NULL},
    {"MAP_VALUES", "MAP", "the values", "MAP<STRING, T>", "ARRAY<T>", 0, map_part, values_mark, NULL},
};
const func_family func_family_map = {overloads, sizeof overloads / sizeof *overloads};
