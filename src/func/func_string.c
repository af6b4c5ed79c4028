/* String functions. Positions and lengths count UTF-16 units, as ksqlDB's (Java's) do: a character beyond U+FFFF counts
 * two. BYTES variants count bytes. */
#include "func/func_int.h"

typedef const data_vector *const *vectors;

enum { TEXT_BYTES_MAX = 1 << 20 /* of one padded or replaced text */ };

static size_t character_bytes(uint8_t first) {
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static bool is_bytes(const data_vector *vector) {
    return vector->type->kind == DATA_BYTES;
}

static int64_t units(weir_bytes text, bool bytes) {
    if (bytes) return (int64_t)text.size;
    int64_t count = 0;
    for (size_t i = 0; i < text.size; i++) count += ((text.data[i] & 0xc0) != 0x80) + (text.data[i] >= 0xf0);
    return count;
}

/* The byte where unit `wanted` begins; the end when there are fewer. The middle of a pair is its end. */
static size_t unit_offset(weir_bytes text, int64_t wanted, bool bytes) {
    if (bytes) return wanted < (int64_t)text.size ? (size_t)wanted : text.size;
    size_t at = 0;
    for (int64_t unit = 0; unit < wanted && at < text.size; at += character_bytes(text.data[at])) {
        unit += text.data[at] >= 0xf0 ? 2 : 1;
    }
    return at < text.size ? at : text.size;
}

/* ---- length and parts ------------------------------------------------------------------------------------------ */

static weir_status length(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                          const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        result->ints[row] = (int32_t)units(func_text(arguments[0], row), is_bytes(arguments[0]));
    }
    return weir_ok();
}

/* SUBSTRING(s, pos[, len]): from 1, negative from the end, clamped. */
static weir_status substring(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                             const data_selection *selection, data_vector *result) {
    (void)run, (void)overload;
    const bool bytes = is_bytes(arguments[0]);
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row);
        const int64_t position = func_integer(arguments[1], row), total = units(text, bytes);
        int64_t start = position < 0 ? total + position : position == 0 ? 0 : position - 1;
        if (start < 0) start = 0;
        if (start > total) start = total;
        int64_t size = count == 3 ? func_integer(arguments[2], row) : total;
        if (size < 0) size = 0;
        if (size > total - start) size = total - start;
        const size_t from = unit_offset(text, start, bytes), to = unit_offset(text, start + size, bytes);
        func_set_text(result, row, text.data + from, to - from); /* a view: the argument lives as long as the batch */
    }
    return weir_ok();
}

static weir_status trim(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                        const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        weir_bytes text = func_text(arguments[0], row);
        while (text.size && text.data[0] <= ' ') {
            text.data++;
            text.size--;
        }
        while (text.size && text.data[text.size - 1] <= ' ') text.size--;
        func_set_text(result, row, text.data, text.size);
    }
    return weir_ok();
}

/* ---- case ------------------------------------------------------------------------------------------------------ */

/* Letters beyond ASCII: Latin-1, Latin Extended-A, Greek and Cyrillic, where upper and lower lie in a fixed distance.
 */
static uint32_t upper_of(uint32_t c) {
    if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
    if ((c >= 0xe0 && c <= 0xfe && c != 0xf7)) return c - 32;
    if (c == 0xff) return 0x178;
    if (c == 0xb5) return 0x39c;
    if ((c >= 0x100 && c <= 0x137 && c != 0x131) || (c >= 0x14a && c <= 0x177)) return c & 1 ? c - 1 : c;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) return c & 1 ? c : c - 1;
    if (c == 0x131) return 'I';
    if (c >= 0x3b1 && c <= 0x3cb) return c == 0x3c2 ? 0x3a3 : c - 32;
    if (c >= 0x3ad && c <= 0x3af) return c - 37;
    if (c == 0x3ac) return 0x386;
    if (c == 0x3cc) return 0x38c;
    if (c == 0x3cd || c == 0x3ce) return c - 63;
    if (c >= 0x430 && c <= 0x44f) return c - 32;
    if (c >= 0x450 && c <= 0x45f) return c - 80;
    if ((c >= 0x460 && c <= 0x481) || (c >= 0x48a && c <= 0x4bf)) return c & 1 ? c - 1 : c;
    return c;
}

static uint32_t lower_of(uint32_t c) {
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c >= 0xc0 && c <= 0xde && c != 0xd7) return c + 32;
    if (c == 0x178) return 0xff;
    if ((c >= 0x100 && c <= 0x137 && c != 0x130) || (c >= 0x14a && c <= 0x177)) return c | 1;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) return c & 1 ? c + 1 : c;
    if (c >= 0x391 && c <= 0x3ab && c != 0x3a2) return c + 32;
    if (c >= 0x388 && c <= 0x38a) return c + 37;
    if (c == 0x386) return 0x3ac;
    if (c == 0x38c) return 0x3cc;
    if (c == 0x38e || c == 0x38f) return c + 63;
    if (c >= 0x410 && c <= 0x42f) return c + 32;
    if (c >= 0x400 && c <= 0x40f) return c + 80;
    if ((c >= 0x460 && c <= 0x481) || (c >= 0x48a && c <= 0x4bf)) return c | 1;
    return c;
}

/* Only two-byte characters can be mapped: all the tables above know lies below U+0800. */
static size_t put_mapped(uint8_t *target, const uint8_t *at, size_t size, bool upper) {
    if (size != 2) {
        memcpy(target, at, size);
        return size;
    }
    const uint32_t c = (uint32_t)(at[0] & 31) << 6 | (at[1] & 63);
    if (upper && c == 0xdf) { /* sharp s */
        memcpy(target, "SS", 2);
        return 2;
    }
    const uint32_t mapped = upper ? upper_of(c) : lower_of(c);
    if (mapped < 0x80) {
        target[0] = (uint8_t)mapped;
        return 1;
    }
    target[0] = (uint8_t)(0xc0 | mapped >> 6);
    target[1] = (uint8_t)(0x80 | (mapped & 63));
    return 2;
}

static const bool to_upper = true, to_lower = false;

static weir_status change_case(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                               const data_selection *selection, data_vector *result) {
    (void)count;
    const bool upper = *(const bool *)overload->context;
    const uint8_t first = upper ? 'a' : 'A';
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row);
        uint8_t *mapped = weir_arena_try(run->arena, text.size);
        size_t size = 0;
        if (!mapped) return func_no_memory();
        for (size_t at = 0; at < text.size;) {
            const uint8_t c = text.data[at];
            if (c < 0x80) {
                mapped[size++] = (uint8_t)(c ^ ((uint8_t)(c - first) < 26 ? 32 : 0));
                at++;
                continue;
            }
            const size_t bytes = character_bytes(c);
            size += put_mapped(mapped + size, text.data + at, bytes, upper);
            at += bytes;
        }
        func_set_text(result, row, mapped, size);
    }
    return weir_ok();
}

/* ---- joining --------------------------------------------------------------------------------------------------- */

/* CONCAT and CONCAT_WS skip NULLs; `first` is where the values begin. */
static weir_status join(func_run_context *run, vectors arguments, uint32_t first, uint32_t count, uint32_t row,
                        data_vector *result) {
    const weir_bytes separator = first ? func_text(arguments[0], row) : (weir_bytes){0};
    size_t size = 0, used = 0;
    for (uint32_t i = first; i < count; i++) {
        if (!func_is_null(arguments[i], row)) size += func_text(arguments[i], row).size + separator.size;
    }
    uint8_t *text = weir_arena_try(run->arena, size);
    if (!text) return func_no_memory();
    bool any = false;
    for (uint32_t i = first; i < count; i++) {
        if (func_is_null(arguments[i], row)) continue;
        const weir_bytes part = func_text(arguments[i], row);
        if (any && separator.size) memcpy(text + used, separator.data, separator.size);
        if (any) used += separator.size;
        if (part.size) memcpy(text + used, part.data, part.size);
        used += part.size;
        any = true;
    }
    func_set_text(result, row, text, used);
    return weir_ok();
}

static weir_status concat(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                          const data_selection *selection, data_vector *result) {
    (void)overload;
    FUNC_ROWS(selection, row) WEIR_TRY(join(run, arguments, 0, count, row, result));
    return weir_ok();
}

static weir_status concat_ws(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                             const data_selection *selection, data_vector *result) {
    (void)overload;
    FUNC_ROWS(selection, row) {
        if (func_is_null(arguments[0], row))
            func_set_null(result, row);
        else
            WEIR_TRY(join(run, arguments, 1, count, row, result));
    }
    return weir_ok();
}

/* ---- searching ------------------------------------------------------------------------------------------------- */

static const uint8_t *find(weir_bytes text, size_t from, weir_bytes wanted) {
    if (from > text.size) return NULL;
    return memmem(text.data + from, text.size - from, wanted.data, wanted.size);
}

static weir_status replace(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                           const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row), old = func_text(arguments[1], row),
                         new = func_text(arguments[2], row);
        size_t found = 0;
        const uint8_t *hit = old.size ? find(text, 0, old) : NULL;
        if (!hit) { /* nothing to replace (an empty pattern stands nowhere): the text as it is */
            func_set_text(result, row, text.data, text.size);
            continue;
        }
        for (const uint8_t *at = hit; at; at = find(text, (size_t)(at - text.data) + old.size, old)) found++;
        const size_t size = text.size - found * old.size + found * new.size;
        if (size > TEXT_BYTES_MAX && size > text.size) {
            func_row_error(run, row, "REPLACE: the result has %zu bytes, allowed are %d", size, TEXT_BYTES_MAX);
            func_set_text(result, row, NULL, 0);
            continue;
        }
        uint8_t *copy = weir_arena_try(run->arena, size), *out = copy;
        if (!copy) return func_no_memory();
        const uint8_t *from = text.data;
        for (; hit; hit = find(text, (size_t)(from - text.data), old)) {
            memcpy(out, from, (size_t)(hit - from));
            out += hit - from;
            if (new.size) memcpy(out, new.data, new.size);
            out += new.size;
            from = hit + old.size;
        }
        memcpy(out, from, (size_t)(text.data + text.size - from));
        func_set_text(result, row, copy, size);
    }
    return weir_ok();
}

static int32_t position_of(weir_bytes text, size_t byte) {
    return (int32_t)units(weir_bytes_of(text.data, byte), false) + 1;
}

/* The occurrence-th hit that begins at or behind `from`, or NULL. Hits may overlap, as Java's indexOf steps by one. */
static const uint8_t *nth_forward(weir_bytes text, size_t from, weir_bytes wanted, int64_t occurrence) {
    const uint8_t *hit = find(text, from, wanted);
    while (hit && --occurrence > 0) hit = find(text, (size_t)(hit - text.data) + 1, wanted);
    return hit;
}

static const uint8_t *nth_backward(weir_bytes text, size_t from, weir_bytes wanted, int64_t occurrence) {
    if (wanted.size > text.size) return NULL;
    size_t at = from < text.size - wanted.size ? from : text.size - wanted.size;
    for (;; at--) {
        const bool begins = at == text.size || (text.data[at] & 0xc0) != 0x80;
        if (begins && memcmp(text.data + at, wanted.data, wanted.size) == 0 && --occurrence == 0) return text.data + at;
        if (at == 0) return NULL;
    }
}

/* INSTR(s, sub[, pos[, occurrence]]): 1-based, a negative position searches backwards from the end, 0 when there is
 * none. */
static weir_status instr(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                         const data_selection *selection, data_vector *result) {
    (void)run, (void)overload;
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row), wanted = func_text(arguments[1], row);
        const int64_t position = count > 2 ? func_integer(arguments[2], row) : 1;
        const int64_t occurrence = count > 3 ? func_integer(arguments[3], row) : 1;
        result->ints[row] = 0;
        if (occurrence < 1 || position == 0 || wanted.size == 0 || text.size == 0) continue;
        const int64_t total = units(text, false);
        const uint8_t *hit = NULL;
        if (position > 0)
            hit = nth_forward(text, unit_offset(text, position - 1, false), wanted, occurrence);
        else if (-position <= total)
            hit = nth_backward(text, unit_offset(text, total + position, false), wanted, occurrence);
        if (hit) result->ints[row] = position_of(text, (size_t)(hit - text.data));
    }
    return weir_ok();
}

/* ---- padding --------------------------------------------------------------------------------------------------- */

static const bool on_the_left = true, on_the_right = false;

/* Pads or cuts to a number of units; NULL when the length is negative or the padding is empty. */
static weir_status pad(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                       const data_selection *selection, data_vector *result) {
    (void)count;
    const bool left = *(const bool *)overload->context, bytes = is_bytes(arguments[0]);
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row), padding = func_text(arguments[2], row);
        const int64_t wanted = func_integer(arguments[1], row), total = units(text, bytes);
        func_set_text(result, row, NULL, 0);
        if (wanted < 0 || padding.size == 0) {
            func_set_null(result, row);
            continue;
        }
        if (wanted > TEXT_BYTES_MAX / 4) {
            func_row_error(run, row, "%s: a length of %lld, allowed are %d", overload->name, (long long)wanted,
                           TEXT_BYTES_MAX / 4);
            continue;
        }
        if (wanted <= total) {
            func_set_text(result, row, text.data, unit_offset(text, wanted, bytes));
            continue;
        }
        const int64_t missing = wanted - total, pad_units = units(padding, bytes);
        const size_t whole = (size_t)(missing / pad_units), rest = unit_offset(padding, missing % pad_units, bytes);
        const size_t pad_size = whole * padding.size + rest;
        uint8_t *copy = weir_arena_try(run->arena, pad_size + text.size);
        if (!copy) return func_no_memory();
        uint8_t *out = left ? copy : copy + text.size;
        for (size_t i = 0; i < whole; i++) memcpy(out + i * padding.size, padding.data, padding.size);
        memcpy(out + whole * padding.size, padding.data, rest);
        if (text.size) memcpy(left ? copy + pad_size : copy, text.data, text.size);
        func_set_text(result, row, copy, pad_size + text.size);
    }
    return weir_ok();
}

/* ---- catalogue ------------------------------------------------------------------------------------------------- */

#define TEXT(name, about, arguments, result, flags, body, context)                                                     \
    { name, "STRING", about, arguments, result, flags, body, context, NULL }
#define CONCAT_WS_ABOUT "the values that are not NULL with a separator between them, given first"

static const func_overload overloads[] = {
    TEXT("CONCAT", "the values one behind the other, NULLs left out", "STRING", "STRING", FUNC_NULLS | FUNC_VARIADIC,
         concat, NULL),
    TEXT("CONCAT", "the values one behind the other, NULLs left out", "BYTES", "BYTES", FUNC_NULLS | FUNC_VARIADIC,
         concat, NULL),
    TEXT("CONCAT_WS", CONCAT_WS_ABOUT, "STRING, STRING", "STRING", FUNC_NULLS | FUNC_VARIADIC, concat_ws, NULL),
    TEXT("CONCAT_WS", CONCAT_WS_ABOUT, "BYTES, BYTES", "BYTES", FUNC_NULLS | FUNC_VARIADIC, concat_ws, NULL),
    TEXT("INSTR", "where a text stands in another, from 1; 0 = nowhere", "STRING, STRING", "INTEGER", 0, instr, NULL),
    TEXT("INSTR", "where a text stands, searched from a position", "STRING, STRING, INTEGER", "INTEGER", 0, instr,
         NULL),
    TEXT("INSTR", "where a text stands for the n-th time", "STRING, STRING, INTEGER, INTEGER", "INTEGER", 0, instr,
         NULL),
    TEXT("LCASE", "in lower case", "STRING", "STRING", 0, change_case, &to_lower),
    TEXT("LEN", "the number of UTF-16 units", "STRING", "INTEGER", 0, length, NULL),
    TEXT("LEN", "the number of bytes", "BYTES", "INTEGER", 0, length, NULL),
    TEXT("LPAD", "padded on the left, or cut, to a length", "STRING, INTEGER, STRING", "STRING", 0, pad, &on_the_left),
    TEXT("LPAD", "padded on the left, or cut, to a length", "BYTES, INTEGER, BYTES", "BYTES", 0, pad, &on_the_left),
    TEXT("REPLACE", "every occurrence of a text replaced by another", "STRING, STRING, STRING", "STRING", 0, replace,
         NULL),
    TEXT("RPAD", "padded on the right, or cut, to a length", "STRING, INTEGER, STRING", "STRING", 0, pad,
         &on_the_right),
    TEXT("RPAD", "padded on the right, or cut, to a length", "BYTES, INTEGER, BYTES", "BYTES", 0, pad, &on_the_right),
    TEXT("SUBSTRING", "from a position, from 1 or negative from the end", "STRING, INTEGER", "STRING", 0, substring,
         NULL),
    TEXT("SUBSTRING", "from a position, of a length", "STRING, INTEGER, INTEGER", "STRING", 0, substring, NULL),
    TEXT("SUBSTRING", "from a position, from 1 or negative from the end", "BYTES, INTEGER", "BYTES", 0, substring,
         NULL),
    TEXT("SUBSTRING", "from a position, of a length", "BYTES, INTEGER, INTEGER", "BYTES", 0, substring, NULL),
    TEXT("TRIM", "without blanks and control characters at both ends", "STRING", "STRING", 0, trim, NULL),
    TEXT("UCASE", "in upper case", "STRING", "STRING", 0, change_case, &to_upper),
};
const func_family func_family_string = {overloads, sizeof overloads / sizeof *overloads};
