/* Texts in parts: SPLIT, SPLIT_TO_MAP, ELT, FIELD, INITCAP, CHR. */
#include "func/func_int.h"

typedef const data_vector *const *vectors;

static size_t character_bytes(weir_bytes text, size_t at, bool bytes) {
    const uint8_t c = text.data[at];
    const size_t size = bytes || c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return size < text.size - at ? size : text.size - at;
}

/* The next part at *at, which moves behind the delimiter; false when there is none. Without a delimiter every character
 * is a part. */
static bool next_part(weir_bytes text, weir_bytes delimiter, bool bytes, size_t *at, weir_bytes *part) {
    if (*at > text.size || (delimiter.size == 0 && *at == text.size)) return false;
    if (delimiter.size == 0) {
        *part = (weir_bytes){text.data + *at, character_bytes(text, *at, bytes)};
        *at += part->size;
        return true;
    }
    const uint8_t *found =
        *at < text.size ? memmem(text.data + *at, text.size - *at, delimiter.data, delimiter.size) : NULL;
    const size_t end = found ? (size_t)(found - text.data) : text.size;
    *part = (weir_bytes){text.data + *at, end - *at};
    *at = found ? end + delimiter.size : text.size + 1;
    return true;
}

static weir_status split(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                         const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    const bool bytes = arguments[0]->type->kind == DATA_BYTES;
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row), delimiter = func_text(arguments[1], row);
        weir_bytes part;
        func_list_open(run, result, row);
        for (size_t at = 0; next_part(text, delimiter, bytes, &at, &part);) {
            const uint32_t child = func_list_add(run, result);
            if (child == UINT32_MAX || !func_put_text(run, &result->children[0], child, part.data, part.size))
                return func_no_memory();
        }
        func_list_close(result, row);
    }
    return weir_ok();
}

static bool put_pair(func_run_context *run, data_vector *result, uint32_t first, weir_bytes key, weir_bytes value) {
    data_vector *keys = &result->children[0];
    uint32_t at = first;
    while (at < result->child_rows && !weir_bytes_equal(data_text_bytes(&keys->texts[at]), key)) at++;
    if (at == result->child_rows && func_list_add(run, result) == UINT32_MAX) return false;
    return func_put_text(run, keys, at, key.data, key.size) &&
           func_put_text(run, &result->children[1], at, value.data, value.size);
}

/* "a=1;b=2" with ';' and '=': parts without a value are left out, of equal keys the last counts. */
static weir_status split_to_map(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                                const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row), entry = func_text(arguments[1], row);
        const weir_bytes pair = func_text(arguments[2], row);
        weir_bytes part;
        func_list_open(run, result, row);
        const uint32_t first = result->child_rows;
        const bool good = entry.size && pair.size;
        for (size_t at = 0; good && next_part(text, entry, false, &at, &part);) {
            const uint8_t *found = part.size ? memmem(part.data, part.size, pair.data, pair.size) : NULL;
            if (!found) continue;
            const weir_bytes key = {part.data, (size_t)(found - part.data)};
            const uint8_t *rest = found + pair.size;
            weir_bytes value = {rest, (size_t)(part.data + part.size - rest)};
            const uint8_t *again = value.size ? memmem(value.data, value.size, pair.data, pair.size) : NULL;
            if (again) value.size = (size_t)(again - value.data);
            if (!put_pair(run, result, first, key, value)) return func_no_memory();
        }
        func_list_close(result, row);
        if (!good) func_set_null(result, row);
    }
    return weir_ok();
}

static weir_status elt(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                       const data_selection *selection, data_vector *result) {
    (void)run, (void)overload;
    FUNC_ROWS(selection, row) {
        const int64_t n = func_is_null(arguments[0], row) ? 0 : func_integer(arguments[0], row);
        if (n < 1 || n >= count || func_is_null(arguments[n], row)) {
            func_set_null(result, row);
            continue;
        }
        const weir_bytes text = func_text(arguments[n], row);
        func_set_text(result, row, text.data, text.size);
    }
    return weir_ok();
}

static weir_status field(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                         const data_selection *selection, data_vector *result) {
    (void)run, (void)overload;
    FUNC_ROWS(selection, row) {
        result->ints[row] = 0;
        for (uint32_t i = count - 1; i > 0; i--) {
            if (func_is_null(arguments[0], row) || func_is_null(arguments[i], row)) continue;
            if (weir_bytes_equal(func_text(arguments[0], row), func_text(arguments[i], row)))
                result->ints[row] = (int32_t)i;
        }
    }
    return weir_ok();
}

static weir_status initcap(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                           const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row);
        uint8_t *target = weir_arena_try(run->arena, text.size + 1);
        if (!target) return func_no_memory();
        bool begins = true;
        for (size_t i = 0; i < text.size; i++) {
            uint8_t c = text.data[i];
            if (begins && c >= 'a' && c <= 'z') c = (uint8_t)(c - 32);
            else if (!begins && c >= 'A' && c <= 'Z') c = (uint8_t)(c + 32);
            begins = c == ' ' || (c >= '\t' && c <= '\r');
            target[i] = c;
        }
        func_set_text(result, row, target, text.size);
    }
    return weir_ok();
}

/* ---- CHR --------------------------------------------------------------------------------------------------------- */

static size_t put_utf8(uint8_t *at, uint32_t code) {
    if (code < 0x80) return at[0] = (uint8_t)code, 1;
    const size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t heads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size; i-- > 1; code >>= 6) at[i] = (uint8_t)(0x80 | (code & 63));
    at[0] = (uint8_t)(heads[size] | code);
    return size;
}

/* One "\uXXXX" at the front of `text`. */
static bool read_unit(weir_bytes text, uint32_t *unit) {
    if (text.size < 6 || text.data[0] != '\\' || text.data[1] != 'u') return false;
    *unit = 0;
    for (int i = 2; i < 6; i++) {
        const uint8_t c = text.data[i], low = c | 0x20;
        if (c >= '0' && c <= '9') *unit = *unit << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f') *unit = *unit << 4 | (uint32_t)(low - 'a' + 10);
        else return false;
    }
    return true;
}

static bool read_code(weir_bytes text, uint32_t *code) {
    uint32_t low;
    if (!read_unit(text, code)) return false;
    if (text.size == 6) return *code < 0xD800 || *code > 0xDFFF;
    if (*code < 0xD800 || *code > 0xDBFF || text.size != 12) return false;
    if (!read_unit(weir_bytes_of(text.data + 6, 6), &low) || low < 0xDC00 || low > 0xDFFF) return false;
    *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

static weir_status chr(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                       const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    const bool text = arguments[0]->type->kind == DATA_STRING;
    FUNC_ROWS(selection, row) {
        uint32_t code = 0;
        bool good;
        if (text) {
            good = read_code(func_text(arguments[0], row), &code);
        } else {
            const int64_t number = func_integer(arguments[0], row);
            good = number >= 0 && number <= 0x10FFFF && (number < 0xD800 || number > 0xDFFF);
            code = (uint32_t)number;
        }
        uint8_t bytes[4];
        if (good) func_set_text(result, row, bytes, put_utf8(bytes, code));
        else func_set_null(result, row);
    }
    return weir_ok();
}

#define SPLIT(name, about, arguments, result, flags, body)                                                             \
    { name, "STRING", about, arguments, result, flags, body, NULL, NULL }

static const func_overload overloads[] = {
    SPLIT("SPLIT", "the parts between delimiters", "STRING, STRING", "ARRAY<STRING>", 0, split),
    SPLIT("SPLIT", "the parts between delimiters", "BYTES, BYTES", "ARRAY<BYTES>", 0, split),
    SPLIT("SPLIT_TO_MAP", "entries and their keys and values by two delimiters", "STRING, STRING, STRING",
          "MAP<STRING, STRING>", 0, split_to_map),
    SPLIT("ELT", "the n-th of the texts behind n", "INTEGER, STRING", "STRING", FUNC_NULLS | FUNC_VARIADIC, elt),
    SPLIT("FIELD", "the place of a text among the others; 0 = none", "STRING, STRING", "INTEGER",
          FUNC_NULLS | FUNC_VARIADIC, field),
    SPLIT("INITCAP", "each word with a capital letter", "STRING", "STRING", 0, initcap),
    SPLIT("CHR", "the character of a code point", "INTEGER", "STRING", 0, chr),
    SPLIT("CHR", "the character of \\uXXXX", "STRING", "STRING", 0, chr),
};
const func_family func_family_split = {overloads, sizeof overloads / sizeof *overloads};
