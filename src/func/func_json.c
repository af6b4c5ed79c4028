/* Functions over JSON text. Numbers keep the digits they were written with. */
#include "func/func_int.h"

#include "base/text.h"
#include "data/json.h"

typedef const data_vector *const *vectors;

enum { TREE_BYTES_MAX = 16 << 20, TEXT_BYTES_MAX = 4 << 20 };

typedef struct json_work { /* what every body needs, row after row */
    func_run_context *run;
    weir_arena arena;
    weir_buffer text;
} json_work;

static void work_begin(json_work *work, func_run_context *run) {
    work->run = run;
    weir_arena_init(&work->arena, run->arena->account, TREE_BYTES_MAX);
    weir_buffer_init(&work->text, run->arena->account, TEXT_BYTES_MAX);
}

static weir_status work_end(json_work *work, bool fits) {
    weir_buffer_deinit(&work->text);
    weir_arena_deinit(&work->arena);
    return fits ? weir_ok() : func_no_memory();
}

/* NULL when it is no JSON; then the row has its error unless `quiet`. */
static const data_json *read_row(json_work *work, const data_vector *vector, uint32_t row, bool quiet) {
    const data_json *value;
    weir_arena_reset(&work->arena);
    weir_buffer_clear(&work->text);
    const weir_status status = data_json_read(&work->arena, func_text(vector, row), &value);
    if (!weir_failed(status)) return value;
    if (!quiet) func_row_error(work->run, row, "Invalid JSON format: %s", status.text);
    return NULL;
}

/* A string as it is, anything else as JSON. */
static void print_bare(const data_json *value, weir_buffer *target) {
    if (value->kind == DATA_JSON_STRING)
        weir_buffer_append(target, value->text.data, value->text.size);
    else
        data_json_write(value, false, target);
}

/* ---- paths ------------------------------------------------------------------------------------------------------- */

/* The part of `path` at *at: a name or, in brackets, an index. false: the path is wrong. */
static bool path_step(weir_bytes path, size_t *at, weir_bytes *name, int64_t *index) {
    const bool bracket = path.data[*at] == '[';
    size_t begin = *at + 1, end = begin;
    *index = -1;
    if (!bracket && path.data[*at] != '.') return false;
    if (!bracket) {
        while (end < path.size && path.data[end] != '.' && path.data[end] != '[') end++;
        *name = (weir_bytes){path.data + begin, end - begin};
        *at = end;
        return end > begin;
    }
    while (end < path.size && path.data[end] != ']') end++;
    if (end == path.size || end == begin) return false;
    *at = end + 1;
    const bool quoted = path.data[begin] == '"' || path.data[begin] == '\'';
    if (quoted) {
        *name = (weir_bytes){path.data + begin + 1, end - begin >= 2 ? end - begin - 2 : 0};
        return end - begin >= 2;
    }
    *name = (weir_bytes){path.data + begin, end - begin};
    return weir_parse_i64(*name, index);
}

static const data_json *step_into(const data_json *value, weir_bytes name, int64_t index) {
    if (value->kind == DATA_JSON_ARRAY) {
        int64_t at;
        if (index < 0 && weir_parse_i64(name, &at)) index = at;
        return index >= 0 && index < value->count ? &value->items[index] : NULL;
    }
    for (uint32_t i = 0; value->kind == DATA_JSON_OBJECT && i < value->count; i++) {
        if (weir_bytes_equal(value->names[i], name)) return &value->items[i];
    }
    return NULL;
}

static weir_status extract(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                           const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    json_work work;
    bool fits = true;
    work_begin(&work, run);
    FUNC_ROWS(selection, row) {
        const weir_bytes path = func_text(arguments[1], row);
        const data_json *value = read_row(&work, arguments[0], row, false);
        if (!value) continue;
        bool good = path.size > 0 && path.data[0] == '$';
        for (size_t at = 1; good && value && at < path.size;) {
            weir_bytes name;
            int64_t index;
            good = path_step(path, &at, &name, &index);
            if (good) value = step_into(value, name, index);
        }
        if (!good) {
            func_row_error(run, row, "Invalid JSON path: %.*s", (int)(path.size > 60 ? 60 : path.size),
                           (const char *)path.data);
        } else if (data_json_is_null(value)) {
            func_set_null(result, row);
        } else {
            print_bare(value, &work.text);
            fits = fits && func_put_text(run, result, row, work.text.data, work.text.size);
        }
    }
    return work_end(&work, fits);
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

static weir_status is_json(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                           const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    json_work work;
    work_begin(&work, run);
    FUNC_ROWS(selection, row)
    result->booleans[row] = !func_is_null(arguments[0], row) && read_row(&work, arguments[0], row, true) != NULL;
    return work_end(&work, true);
}

static weir_status array_length(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                                const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    json_work work;
    work_begin(&work, run);
    FUNC_ROWS(selection, row) {
        const data_json *value = read_row(&work, arguments[0], row, false);
        if (!value) continue;
        if (value->kind != DATA_JSON_ARRAY) func_set_null(result, row);
        else result->ints[row] = (int32_t)value->count;
    }
    return work_end(&work, true);
}

static bool equals(const data_json *item, const data_vector *wanted, uint32_t row) {
    const uint32_t index = data_vector_index(wanted, row);
    char text[FUNC_VALUE_TEXT_MAX];
    data_number a, b;
    if (data_vector_is_null(wanted, row)) return item->kind == DATA_JSON_NULL;
    switch (wanted->type->kind) {
    case DATA_STRING: return item->kind == DATA_JSON_STRING && weir_bytes_equal(item->text, func_text(wanted, row));
    case DATA_BOOLEAN: return item->kind == DATA_JSON_BOOLEAN && item->boolean == (wanted->booleans[index] != 0);
    case DATA_INT:
    case DATA_BIGINT:
    case DATA_DECIMAL:
    case DATA_DOUBLE: {
        const size_t size = func_value_text(wanted, index, text);
        const bool fraction = item->kind == DATA_JSON_NUMBER && (memchr(item->text.data, '.', item->text.size) != NULL);
        double x, y;
        if (item->kind != DATA_JSON_NUMBER) return false;
        if (wanted->type->kind == DATA_DOUBLE)
            return fraction && weir_parse_f64(item->text, &x) && weir_parse_f64(weir_bytes_of(text, size), &y) &&
                   x == y;
        return data_number_read(item->text, &a) && data_number_read(weir_bytes_of(text, size), &b) &&
               data_number_equal(&a, &b);
    }
    default: return false;
    }
}

static weir_status array_contains(func_run_context *run, const func_overload *overload, vectors arguments,
                                  uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    json_work work;
    work_begin(&work, run);
    FUNC_ROWS(selection, row) {
        const data_json *value = func_is_null(arguments[0], row) ? NULL : read_row(&work, arguments[0], row, true);
        bool found = false;
        for (uint32_t i = 0; value && value->kind == DATA_JSON_ARRAY && i < value->count && !found; i++)
            found = equals(&value->items[i], arguments[1], row);
        result->booleans[row] = found;
    }
    return work_end(&work, true);
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

static weir_status items_or_keys(func_run_context *run, const func_overload *overload, vectors arguments,
                                 uint32_t count, const data_selection *selection, data_vector *result) {
    (void)count;
    const bool keys = overload->context != NULL;
    json_work work;
    bool fits = true;
    work_begin(&work, run);
    FUNC_ROWS(selection, row) {
        const data_json *value = read_row(&work, arguments[0], row, false);
        if (!value) continue;
        func_list_open(run, result, row);
        const bool good = value->kind == (keys ? DATA_JSON_OBJECT : DATA_JSON_ARRAY);
        for (uint32_t i = 0; good && fits && i < value->count; i++) {
            const uint32_t at = func_list_add(run, result);
            weir_buffer_clear(&work.text);
            if (!keys) data_json_write(&value->items[i], false, &work.text);
            const weir_bytes text = keys ? value->names[i] : weir_buffer_view(&work.text);
            fits = at != UINT32_MAX && func_put_text(run, &result->children[0], at, text.data, text.size);
        }
        func_list_close(result, row);
        if (!good) func_set_null(result, row);
    }
    return work_end(&work, fits);
}

static weir_status records(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                           const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    json_work work;
    bool fits = true;
    work_begin(&work, run);
    FUNC_ROWS(selection, row) {
        const data_json *value = read_row(&work, arguments[0], row, false);
        if (!value) continue;
        func_list_open(run, result, row);
        const bool good = value->kind == DATA_JSON_OBJECT;
        for (uint32_t i = 0; good && fits && i < value->count; i++) {
            const uint32_t at = func_list_add(run, result);
            weir_buffer_clear(&work.text);
            print_bare(&value->items[i], &work.text);
            fits = at != UINT32_MAX &&
                   func_put_text(run, &result->children[0], at, value->names[i].data, value->names[i].size) &&
                   func_put_text(run, &result->children[1], at, work.text.data, work.text.size);
        }
        func_list_close(result, row);
        if (!good) func_set_null(result, row);
    }
    return work_end(&work, fits);
}

/* ---- building ---------------------------------------------------------------------------------------------------- */

static void append_member(const data_json *name_holder, uint32_t i, weir_buffer *target) {
    const data_json name = {.kind = DATA_JSON_STRING, .text = name_holder->names[i]};
    data_json_write(&name, false, target);
    weir_buffer_append_byte(target, ':');
    data_json_write(&name_holder->items[i], false, target);
}

static bool comes_later(const data_json *const *values, uint32_t count, uint32_t from, weir_bytes name) {
    for (uint32_t i = from; i < count; i++) {
        for (uint32_t j = 0; j < values[i]->count; j++) {
            if (weir_bytes_equal(values[i]->names[j], name)) return true;
        }
    }
    return false;
}

/* All objects: their members, the last of a name wins. Else one array of all elements and other values. */
static void concat(const data_json *const *values, uint32_t count, bool objects, weir_buffer *target) {
    bool first = true;
    weir_buffer_append_byte(target, objects ? '{' : '[');
    for (uint32_t i = 0; i < count; i++) {
        const bool spread = values[i]->kind == DATA_JSON_ARRAY || objects;
        for (uint32_t j = 0; j < (spread ? values[i]->count : 1); j++) {
            if (objects && comes_later(values, count, i + 1, values[i]->names[j])) continue;
            if (!first) weir_buffer_append_byte(target, ',');
            first = false;
            if (objects) append_member(values[i], j, target);
            else data_json_write(spread ? &values[i]->items[j] : values[i], false, target);
        }
    }
    weir_buffer_append_byte(target, objects ? '}' : ']');
}

static weir_status json_concat(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                               const data_selection *selection, data_vector *result) {
    (void)overload;
    json_work work;
    bool fits = true;
    work_begin(&work, run);
    FUNC_ROWS(selection, row) {
        const data_json *values[FUNC_ARGUMENTS_MAX];
        bool good = true, objects = true;
        weir_arena_reset(&work.arena);
        weir_buffer_clear(&work.text);
        for (uint32_t i = 0; good && i < count; i++) {
            const weir_status read = data_json_read(&work.arena, func_text(arguments[i], row), &values[i]);
            good = !weir_failed(read);
            if (!good) func_row_error(run, row, "Invalid JSON format: %s", read.text);
            else objects = objects && values[i]->kind == DATA_JSON_OBJECT;
        }
        if (!good) continue;
        concat(values, count, objects, &work.text);
        fits = fits && func_put_text(run, result, row, work.text.data, work.text.size);
    }
    return work_end(&work, fits);
}

static void put_json(const data_vector *vector, uint32_t row, weir_buffer *target);

static void put_string(weir_bytes text, weir_buffer *target) {
    const data_json value = {.kind = DATA_JSON_STRING, .text = text};
    data_json_write(&value, false, target);
}

static void put_entries(const data_vector *vector, uint32_t row, weir_buffer *target) {
    const bool map = vector->type->kind == DATA_MAP;
    const uint32_t start = func_list_start(vector, row), end = func_list_end(vector, row);
    weir_buffer_append_byte(target, map ? '{' : '[');
    for (uint32_t i = start; i < end; i++) {
        if (i > start) weir_buffer_append_byte(target, ',');
        if (map) {
            weir_buffer key;
            weir_buffer_init(&key, target->account, TEXT_BYTES_MAX);
            func_print_value(&vector->children[0], i, &key);
            put_string(weir_buffer_view(&key), target);
            weir_buffer_deinit(&key);
            weir_buffer_append_byte(target, ':');
        }
        put_json(&vector->children[map], i, target);
    }
    weir_buffer_append_byte(target, map ? '}' : ']');
}

static void put_fields(const data_vector *vector, uint32_t index, weir_buffer *target) {
    weir_buffer_append_byte(target, '{');
    for (uint32_t i = 0; i < vector->type->field_count; i++) {
        if (i) weir_buffer_append_byte(target, ',');
        put_string(weir_bytes_text(vector->type->fields[i].name), target);
        weir_buffer_append_byte(target, ':');
        put_json(&vector->children[i], index, target);
    }
    weir_buffer_append_byte(target, '}');
}

static void put_json(const data_vector *vector, uint32_t row, weir_buffer *target) {
    char text[FUNC_VALUE_TEXT_MAX];
    if (data_vector_is_null(vector, row)) {
        weir_buffer_append_text(target, "null");
        return;
    }
    const uint32_t index = data_vector_index(vector, row);
    switch (vector->type->kind) {
    case DATA_STRING: put_string(data_text_bytes(&vector->texts[index]), target); break;
    case DATA_BYTES: {
        const weir_bytes bytes = data_text_bytes(&vector->texts[index]);
        weir_buffer_append_byte(target, '"');
        uint8_t *at = weir_buffer_reserve(target, data_base64_encoded_bytes(bytes.size));
        if (at) {
            data_base64_encode(bytes, (char *)at);
            target->size += data_base64_encoded_bytes(bytes.size);
        }
        weir_buffer_append_byte(target, '"');
        break;
    }
    case DATA_ARRAY:
    case DATA_MAP: put_entries(vector, row, target); break;
    case DATA_STRUCT: put_fields(vector, index, target); break;
    case DATA_DATE:
    case DATA_TIME:
    case DATA_TIMESTAMP: put_string(weir_bytes_of(text, func_value_text(vector, index, text)), target); break;
    default: weir_buffer_append(target, text, func_value_text(vector, index, text)); break;
    }
}

static weir_status to_json(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                           const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    json_work work;
    bool fits = true;
    work_begin(&work, run);
    FUNC_ROWS(selection, row) {
        weir_buffer_clear(&work.text);
        put_json(arguments[0], row, &work.text);
        if (work.text.overflowed) func_row_error(run, row, "TO_JSON_STRING: more than %d bytes", TEXT_BYTES_MAX);
        else fits = fits && func_put_text(run, result, row, work.text.data, work.text.size);
    }
    return work_end(&work, fits);
}

/* ---- catalogue --------------------------------------------------------------------------------------------------- */

static const char keys_mark[] = "keys";
#define JSON(name, about, arguments, result, flags, body, context)                                                     \
    { name, "JSON", about, arguments, result, flags, body, context, NULL }

static const func_overload overloads[] = {
    JSON("EXTRACTJSONFIELD", "the value at a path, as text", "STRING, STRING", "STRING", 0, extract, NULL),
    JSON("IS_JSON_STRING", "whether a text is JSON", "STRING", "BOOLEAN", FUNC_NULLS, is_json, NULL),
    JSON("JSON_ARRAY_CONTAINS", "whether a JSON array has a value", "STRING, ANY", "BOOLEAN", FUNC_NULLS,
         array_contains, NULL),
    JSON("JSON_ARRAY_LENGTH", "how many elements a JSON array has", "STRING", "INTEGER", 0, array_length, NULL),
    JSON("JSON_CONCAT", "objects merged into one, or an array of all values", "STRING", "STRING", FUNC_VARIADIC,
         json_concat, NULL),
    JSON("JSON_ITEMS", "the elements of a JSON array as JSON", "STRING", "ARRAY<STRING>", 0, items_or_keys, NULL),
    JSON("JSON_KEYS", "the names of an object's members", "STRING", "ARRAY<STRING>", 0, items_or_keys, keys_mark),
    JSON("JSON_RECORDS", "an object's members as a map of texts", "STRING", "MAP<STRING, STRING>", 0, records, NULL),
    JSON("TO_JSON_STRING", "any value as JSON", "ANY", "STRING", FUNC_NULLS, to_json, NULL),
};
const func_family func_family_json = {overloads, sizeof overloads / sizeof *overloads};
