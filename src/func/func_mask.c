/* MASK and its kin: letters and digits become placeholders. */
#include "func/func_int.h"

typedef const data_vector *const *vectors;

/* Which characters are masked: all; the first n; the last n; all but the first n; all but the last n. */
typedef enum mask_range { MASK_ALL, MASK_LEFT, MASK_RIGHT, KEEP_LEFT, KEEP_RIGHT } mask_range;
static const mask_range all_range = MASK_ALL, left_range = MASK_LEFT, right_range = MASK_RIGHT,
                        keep_left_range = KEEP_LEFT, keep_right_range = KEEP_RIGHT;

typedef struct mask_letters {
    weir_bytes upper, lower, digit, other; /* data NULL: the class is kept */
} mask_letters;

static size_t size_at(weir_bytes text, size_t at) {
    const uint8_t c = text.data[at];
    const size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return size < text.size - at ? size : text.size - at;
}

static weir_bytes placeholder(vectors arguments, uint32_t count, uint32_t at, const char *fallback, uint32_t row) {
    if (at >= count) return weir_bytes_text(fallback);
    if (func_is_null(arguments[at], row)) return (weir_bytes){0};
    const weir_bytes text = func_text(arguments[at], row);
    return text.size ? (weir_bytes){text.data, size_at(text, 0)} : (weir_bytes){0};
}

static weir_bytes masked(const mask_letters *letters, weir_bytes character) {
    const uint8_t c = character.data[0];
    const weir_bytes mask = c >= 'A' && c <= 'Z'   ? letters->upper
                            : c >= 'a' && c <= 'z' ? letters->lower
                            : c >= '0' && c <= '9' ? letters->digit
                                                   : letters->other;
    return mask.data ? mask : character;
}

static bool is_masked(mask_range range, int64_t at, int64_t total, int64_t n) {
    switch (range) {
    case MASK_LEFT: return at < n;
    case MASK_RIGHT: return at >= total - n;
    case KEEP_LEFT: return at >= n;
    case KEEP_RIGHT: return at < total - n;
    default: return true;
    }
}

static weir_status mask(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                        const data_selection *selection, data_vector *result) {
    const mask_range range = *(const mask_range *)overload->context;
    const uint32_t first = range == MASK_ALL ? 1 : 2; /* of the placeholders */
    FUNC_ROWS(selection, row) {
        if (func_is_null(arguments[0], row) || (first == 2 && func_is_null(arguments[1], row))) {
            func_set_null(result, row);
            continue;
        }
        const weir_bytes text = func_text(arguments[0], row);
        const mask_letters letters = {placeholder(arguments, count, first, "X", row),
                                      placeholder(arguments, count, first + 1, "x", row),
                                      placeholder(arguments, count, first + 2, "n", row),
                                      placeholder(arguments, count, first + 3, "-", row)};
        const int64_t n = first == 2 ? func_integer(arguments[1], row) : 0;
        if (n < 0) {
            func_row_error(run, row, "%s: the number of characters is negative", overload->name);
            continue;
        }
        uint8_t *target = weir_arena_try(run->arena, text.size * 4 + 1);
        if (!target) return func_no_memory();
        int64_t total = 0, place = 0;
        for (size_t at = 0; at < text.size; at += size_at(text, at)) total++;
        size_t made = 0;
        for (size_t at = 0; at < text.size; at += size_at(text, at)) {
            weir_bytes put = {text.data + at, size_at(text, at)};
            if (is_masked(range, place++, total, n)) put = masked(&letters, put);
            memcpy(target + made, put.data, put.size);
            made += put.size;
        }
        func_set_text(result, row, target, made);
    }
    return weir_ok();
}

#define MASK(name, about, arguments, range)                                                                            \
    { name, "STRING", about, arguments, "STRING", FUNC_NULLS, mask, range, NULL }
#define MASKS(name, about, range)                                                                                      \
    MASK(name, about, "STRING, INTEGER", range),                                                                       \
        MASK(name, about ", by placeholders", "STRING, INTEGER, STRING, STRING, STRING, STRING", range)

static const func_overload overloads[] = {
    MASK("MASK", "letters as X and x, digits as n, the rest as -", "STRING", &all_range),
    MASK("MASK", "letters, digits and the rest by placeholders", "STRING, STRING, STRING, STRING, STRING", &all_range),
    MASKS("MASK_LEFT", "masks the first characters", &left_range),
    MASKS("MASK_RIGHT", "masks the last characters", &right_range),
    MASKS("MASK_KEEP_LEFT", "masks all but the first characters", &keep_left_range),
    MASKS("MASK_KEEP_RIGHT", "masks all but the last characters", &keep_right_range),
};
const func_family func_family_mask = {overloads, sizeof overloads / sizeof *overloads};
