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

size_t func_value_text(const data_vector *a, uint32_t index, char *text) {
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
        const size_t size = func_value_text(a, data_vector_index(a, row), text);
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

/* ---- nested values --------------------------------------------------------------------------------------------- */

void func_print_value(const data_vector *vector, uint32_t row, weir_buffer *target) {
    char text[FUNC_VALUE_TEXT_MAX];
    if (data_vector_is_null(vector, row)) {
        weir_buffer_append_text(target, "null");
        return;
    }
    const uint32_t index = data_vector_index(vector, row);
    const data_kind kind = vector->type->kind;
    if (kind == DATA_STRING || kind == DATA_BYTES) {
        const weir_bytes bytes = data_text_bytes(&vector->texts[index]);
        weir_buffer_append(target, bytes.data, bytes.size);
    } else if (kind == DATA_STRUCT) {
        weir_buffer_append_text(target, "Struct{");
        bool first = true;
        for (uint32_t i = 0; i < vector->type->field_count; i++) {
            if (data_vector_is_null(&vector->children[i], index)) continue; /* as Connect prints it */
            weir_buffer_format(target, "%s%s=", first ? "" : ",", vector->type->fields[i].name);
            func_print_value(&vector->children[i], index, target);
            first = false;
        }
        weir_buffer_append_byte(target, '}');
    } else if (kind == DATA_ARRAY || kind == DATA_MAP) {
        const uint32_t start = func_list_start(vector, row), end = func_list_end(vector, row);
        weir_buffer_append_byte(target, kind == DATA_MAP ? '{' : '[');
        for (uint32_t i = start; i < end; i++) {
            if (i > start) weir_buffer_append_text(target, ", ");
            func_print_value(&vector->children[0], i, target);
            if (kind == DATA_MAP) {
                weir_buffer_append_byte(target, '=');
                func_print_value(&vector->children[1], i, target);
            }
        }
        weir_buffer_append_byte(target, kind == DATA_MAP ? '}' : ']');
    } else {
        weir_buffer_append(target, text, func_value_text(vector, index, text));
    }
}

enum { NESTED_TEXT_MAX = 1 << 20 };

static weir_status nested_to_text(func_run_context *run, const func_overload *overload, vectors arguments,
                                  uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    weir_buffer text;
    bool fits = true;
    weir_buffer_init(&text, run->arena->account, NESTED_TEXT_MAX);
    FUNC_ROWS(selection, row) {
        weir_buffer_clear(&text);
        func_print_value(arguments[0], row, &text);
        if (text.overflowed)
            func_row_error(run, row, "a value of more than %d bytes as text", NESTED_TEXT_MAX);
        else
            fits = fits && func_put_text(run, result, row, text.data, text.size);
    }
    weir_buffer_deinit(&text);
    return fits ? weir_ok() : func_no_memory();
}

typedef struct conversion {
    func_run_context *run;
    uint32_t row; /* of the batch: who bears an error */
    bool is_cast; /* CAST, not WIDEN */
} conversion;

static bool convert_value(const conversion *c, const data_vector *source, uint32_t source_row, data_vector *target,
                          uint32_t target_row);

/* One scalar, by the overload that casts columns of its kind. */
static bool convert_scalar(const conversion *c, const data_vector *source, uint32_t source_row, data_vector *target,
                           uint32_t target_row) {
    weir_arena *arena = c->run->arena;
    const func_expr argument = {.kind = FUNC_COLUMN, .type = source->type};
    const func_expr *call;
    static const data_selection only = {NULL, 1};
    data_vector *value = data_vector_create(arena, source->type, 1), *made = data_vector_create(arena, target->type, 1);
    func_run_context *inner = weir_arena_try(arena, sizeof *inner);
    if (!value || !made || !inner || !data_vector_copy_row(value, 0, source, source_row, arena)) return false;
    *inner = (func_run_context){.arena = arena, .rows = 1};
    const weir_status found = c->is_cast ? func_cast(arena, &argument, target->type, &call)
                                         : func_widen(arena, &argument, target->type, &call);
    if (weir_failed(found)) return func_row_error(c->run, c->row, "%s", found.text), true;
    const data_vector *arguments[] = {value};
    data_bit_set(made->valid, 0, true);
    if (weir_failed(call->overload->body(inner, call->overload, arguments, 1, &only, made))) return false;
    if (!data_bit(inner->pending, 0)) return data_vector_copy_row(target, target_row, made, 0, arena);
    func_row_error(c->run, c->row, "%s", inner->reasons ? inner->reasons[0] : "a value inside cannot be cast");
    data_vector_set_null(target, target_row);
    return true;
}

static bool convert_list(const conversion *c, const data_vector *source, uint32_t source_row, data_vector *target,
                         uint32_t target_row) {
    const uint32_t children = target->type->kind == DATA_MAP ? 2 : 1, start = func_list_start(source, source_row);
    const uint32_t end = func_list_end(source, source_row), first = data_vector_child_start(target, target_row);
    for (uint32_t i = start; i < end; i++) {
        const uint32_t at = first + i - start;
        for (uint32_t child = 0; child < children; child++) {
            if (!data_vector_reserve(&target->children[child], c->run->arena, at, at + 1)) return false;
            if (!convert_value(c, &source->children[child], i, &target->children[child], at)) return false;
        }
    }
    target->child_rows = first + end - start;
    target->ends[target_row] = (int32_t)target->child_rows;
    data_bit_set(target->valid, target_row, true);
    return true;
}

static bool convert_struct(const conversion *c, const data_vector *source, uint32_t source_row, data_vector *target,
                           uint32_t target_row) {
    const data_type *from = source->type, *into = target->type;
    const uint32_t index = data_vector_index(source, source_row);
    for (uint32_t i = 0; i < into->field_count; i++) {
        uint32_t j = 0;
        while (j < from->field_count && strcmp(from->fields[j].name, into->fields[i].name) != 0) j++;
        if (j == from->field_count)
            data_vector_set_null(&target->children[i], target_row);
        else if (!convert_value(c, &source->children[j], index, &target->children[i], target_row))
            return false;
    }
    data_bit_set(target->valid, target_row, true);
    return true;
}

static bool convert_value(const conversion *c, const data_vector *source, uint32_t source_row, data_vector *target,
                          uint32_t target_row) {
    if (data_vector_is_null(source, source_row)) return data_vector_set_null(target, target_row), true;
    if (data_type_equal(source->type, target->type))
        return data_vector_copy_row(target, target_row, source, source_row, c->run->arena);
    if (target->type->kind == DATA_STRUCT) return convert_struct(c, source, source_row, target, target_row);
    if (target->type->kind >= DATA_ARRAY) return convert_list(c, source, source_row, target, target_row);
    return convert_scalar(c, source, source_row, target, target_row);
}

static weir_status nested_to_nested(func_run_context *run, const func_overload *overload, vectors arguments,
                                    uint32_t count, const data_selection *selection, data_vector *result) {
    (void)count;
    conversion c = {.run = run, .is_cast = !func_is_widening(overload)};
    FUNC_ROWS(selection, row) {
        while (run->list_next < row) data_vector_set_null(result, run->list_next++);
        run->list_next = row + 1;
        c.row = row;
        if (!convert_value(&c, arguments[0], row, result, row)) return func_no_memory();
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
    CAST("ARRAY", "STRING", nested_to_text),  CAST("MAP", "STRING", nested_to_text),
    CAST("STRUCT", "STRING", nested_to_text), CAST("ARRAY", "ARRAY", nested_to_nested),
    CAST("MAP", "MAP", nested_to_nested),     CAST("STRUCT", "STRUCT", nested_to_nested),
    WIDEN("ARRAY", "ARRAY", nested_to_nested), WIDEN("MAP", "MAP", nested_to_nested),
    WIDEN("STRUCT", "STRUCT", nested_to_nested),
    WIDEN("INTEGER", "BIGINT", from_integer), WIDEN("INTEGER", "DECIMAL", from_integer),
    WIDEN("INTEGER", "DOUBLE", from_integer), WIDEN("BIGINT", "DECIMAL", from_integer),
    WIDEN("BIGINT", "DOUBLE", from_integer),  WIDEN("DECIMAL", "DECIMAL", from_decimal),
    WIDEN("DECIMAL", "DOUBLE", from_decimal), WIDEN("DATE", "TIMESTAMP", between_times),
    WIDEN("STRING", "DATE", from_text),       WIDEN("STRING", "TIME", from_text),
    WIDEN("STRING", "TIMESTAMP", from_text),  WIDEN("STRING", "BYTES", text_to_bytes),
};
const func_family func_family_cast = {overloads, sizeof overloads / sizeof *overloads};
