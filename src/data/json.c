/* A small JSON reader that keeps numbers as text. */
#include "data/json.h"

#include <stdio.h>

enum { DEPTH_MAX = 64, FIRST_ITEMS = 8, PLAIN_ZEROS_MAX = 400 };

typedef struct reader {
    weir_arena *arena;
    const uint8_t *begin, *at, *end;
    unsigned depth;
} reader;

static weir_status fail(const reader *r, const char *wanted) {
    return weir_fail(WEIR_INVALID, "JSON: expected %s at byte %zu", wanted, (size_t)(r->at - r->begin));
}

static weir_status no_memory(void) {
    return weir_fail(WEIR_NO_MEMORY, "JSON: no memory for its values");
}

static void skip_blanks(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r')) r->at++;
}

static bool take(reader *r, char wanted) {
    skip_blanks(r);
    if (r->at == r->end || *r->at != (uint8_t)wanted) return false;
    r->at++;
    return true;
}

static bool take_word(reader *r, const char *word) {
    const size_t size = strlen(word);
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0) return false;
    r->at += size;
    return true;
}

static bool read_hex(reader *r, uint32_t *code) {
    if (r->end - r->at < 4) return false;
    *code = 0;
    for (int i = 0; i < 4; i++) {
        const uint8_t c = *r->at++;
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return false;
        *code = *code << 4 | (uint32_t)digit;
    }
    return true;
}

static size_t put_utf8(uint8_t *at, uint32_t code) {
    if (code < 0x80) return at[0] = (uint8_t)code, 1;
    if (code < 0x800) return at[0] = (uint8_t)(0xC0 | code >> 6), at[1] = (uint8_t)(0x80 | (code & 63)), 2;
    if (code < 0x10000) {
        at[0] = (uint8_t)(0xE0 | code >> 12);
        at[1] = (uint8_t)(0x80 | (code >> 6 & 63));
        at[2] = (uint8_t)(0x80 | (code & 63));
        return 3;
    }
    at[0] = (uint8_t)(0xF0 | code >> 18);
    at[1] = (uint8_t)(0x80 | (code >> 12 & 63));
    at[2] = (uint8_t)(0x80 | (code >> 6 & 63));
    at[3] = (uint8_t)(0x80 | (code & 63));
    return 4;
}

static bool read_escape(reader *r, uint8_t *target, size_t *size) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    if (r->at == r->end) return false;
    const char c = (char)*r->at++;
    if (c != 'u') {
        const char *found = c ? strchr(from, c) : NULL;
        if (found) target[(*size)++] = (uint8_t)into[found - from];
        return found != NULL;
    }
    uint32_t code, low;
    if (!read_hex(r, &code)) return false;
    if (code >= 0xD800 && code < 0xDC00 && take_word(r, "\\u") && read_hex(r, &low))
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    *size += put_utf8(target + *size, code);
    return true;
}

static weir_status read_string(reader *r, weir_bytes *text) {
    const uint8_t *begin = r->at;
    while (r->at < r->end && *r->at != '"' && *r->at != '\\') r->at++;
    if (r->at < r->end && *r->at == '"') {
        *text = (weir_bytes){begin, (size_t)(r->at++ - begin)};
        return weir_ok();
    }
    const uint8_t *close = r->at;
    while (close < r->end && *close != '"') close += *close == '\\' ? 2 : 1;
    if (close >= r->end) return fail(r, "the end of a string");
    uint8_t *copy = weir_arena_try(r->arena, (size_t)(close - begin) + 1);
    if (!copy) return no_memory();
    size_t size = (size_t)(r->at - begin);
    memcpy(copy, begin, size);
    while (r->at < r->end && *r->at != '"') {
        if (*r->at != '\\') {
            copy[size++] = *r->at++;
            continue;
        }
        r->at++;
        if (!read_escape(r, copy, &size)) return fail(r, "an escape");
    }
    r->at++;
    *text = (weir_bytes){copy, size};
    return weir_ok();
}

static weir_status read_value(reader *r, data_json *value);

static weir_status read_items(reader *r, data_json *value, bool is_object) {
    const char close = is_object ? '}' : ']';
    uint32_t room = 0;
    data_json *items = NULL;
    weir_bytes *names = NULL;
    if (take(r, close)) return weir_ok();
    do {
        if (value->count == room) { /* old lists stay in the arena: they sum up to no more than the last */
            room = room ? room * 2 : FIRST_ITEMS;
            data_json *more = weir_arena_try(r->arena, sizeof *more * room);
            weir_bytes *more_names = is_object ? weir_arena_try(r->arena, sizeof *more_names * room) : NULL;
            if (!more || (is_object && !more_names)) return no_memory();
            if (value->count) memcpy(more, items, value->count * sizeof *more);
            if (value->count && is_object) memcpy(more_names, names, value->count * sizeof *more_names);
            items = more;
            names = more_names;
        }
        if (is_object) {
            if (!take(r, '"')) return fail(r, "a member's name");
            WEIR_TRY(read_string(r, &names[value->count]));
            if (!take(r, ':')) return fail(r, "':'");
        }
        WEIR_TRY(read_value(r, &items[value->count]));
        value->count++;
    } while (take(r, ','));
    value->items = items;
    value->names = names;
    return take(r, close) ? weir_ok() : fail(r, is_object ? "',' or '}'" : "',' or ']'");
}

static weir_status read_number(reader *r, data_json *value) {
    const uint8_t *begin = r->at;
    while (r->at < r->end && *r->at && strchr("+-.0123456789eE", *r->at)) r->at++;
    data_number number;
    value->kind = DATA_JSON_NUMBER;
    value->text = (weir_bytes){begin, (size_t)(r->at - begin)};
    return data_number_read(value->text, &number) ? weir_ok() : fail(r, "a value");
}

static weir_status read_value(reader *r, data_json *value) {
    skip_blanks(r);
    *value = (data_json){0};
    if (r->at == r->end) return fail(r, "a value");
    if (r->depth == DEPTH_MAX) return fail(r, "less nesting");
    if (take_word(r, "null")) return weir_ok();
    if ((value->boolean = take_word(r, "true")) || take_word(r, "false")) {
        value->kind = DATA_JSON_BOOLEAN;
        return weir_ok();
    }
    if (*r->at == '"') {
        r->at++;
        value->kind = DATA_JSON_STRING;
        return read_string(r, &value->text);
    }
    if (*r->at != '[' && *r->at != '{') return read_number(r, value);
    const bool is_object = *r->at++ == '{';
    value->kind = is_object ? DATA_JSON_OBJECT : DATA_JSON_ARRAY;
    r->depth++;
    WEIR_TRY(read_items(r, value, is_object));
    r->depth--;
    return weir_ok();
}

weir_status data_json_read(weir_arena *arena, weir_bytes text, const data_json **value) {
    reader r = {arena, text.data, text.data, text.data + text.size, 0};
    data_json *made = weir_arena_try(arena, sizeof *made);
    if (!made) return no_memory();
    WEIR_TRY(read_value(&r, made));
    skip_blanks(&r);
    if (r.at != r.end) return fail(&r, "the end");
    *value = made;
    return weir_ok();
}

const data_json *data_json_member(const data_json *object, const char *name) {
    if (!object || object->kind != DATA_JSON_OBJECT) return NULL;
    for (uint32_t i = 0; i < object->count; i++) {
        if (weir_bytes_equal_text(object->names[i], name)) return &object->items[i];
    }
    return NULL;
}

bool data_json_is_null(const data_json *value) {
    return !value || value->kind == DATA_JSON_NULL;
}

const char *data_json_text(weir_arena *arena, const data_json *object, const char *name, const char *fallback) {
    const data_json *member = data_json_member(object, name);
    if (!member) return fallback;
    if (member->kind == DATA_JSON_BOOLEAN) return member->boolean ? "true" : "false";
    if (member->kind != DATA_JSON_STRING && member->kind != DATA_JSON_NUMBER) return fallback;
    return weir_arena_format(arena, "%.*s", (int)member->text.size, (const char *)member->text.data);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void write_string(weir_bytes text, weir_buffer *target) {
    weir_buffer_append_byte(target, '"');
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.data[i];
        if (c == '"' || c == '\\') weir_buffer_append_byte(target, '\\');
        if (c < 0x20)
            weir_buffer_format(target, "\\u%04x", c);
        else
            weir_buffer_append_byte(target, c);
    }
    weir_buffer_append_byte(target, '"');
}

static void write_plain(const data_number *number, weir_buffer *target) {
    const int64_t digits = (int64_t)strlen(number->digits), whole = digits - number->scale;
    if (number->is_negative) weir_buffer_append_byte(target, '-');
    if (whole <= 0) weir_buffer_append_byte(target, '0');
    for (int64_t i = 0; i < whole && i < PLAIN_ZEROS_MAX; i++)
        weir_buffer_append_byte(target, i < digits ? (uint8_t)number->digits[i] : '0');
    if (number->scale <= 0) return;
    weir_buffer_append_byte(target, '.');
    for (int64_t i = whole; i < digits; i++) weir_buffer_append_byte(target, i < 0 ? '0' : (uint8_t)number->digits[i]);
}

static void write_items(const data_json *value, bool plain, weir_buffer *target) {
    const bool is_object = value->kind == DATA_JSON_OBJECT;
    weir_buffer_append_byte(target, is_object ? '{' : '[');
    for (uint32_t i = 0; i < value->count; i++) {
        if (i) weir_buffer_append_byte(target, ',');
        if (is_object) {
            write_string(value->names[i], target);
            weir_buffer_append_byte(target, ':');
        }
        data_json_write(&value->items[i], plain, target);
    }
    weir_buffer_append_byte(target, is_object ? '}' : ']');
}

void data_json_write(const data_json *value, bool plain, weir_buffer *target) {
    data_number number;
    switch (value->kind) {
    case DATA_JSON_NULL: weir_buffer_append_text(target, "null"); break;
    case DATA_JSON_BOOLEAN: weir_buffer_append_text(target, value->boolean ? "true" : "false"); break;
    case DATA_JSON_STRING: write_string(value->text, target); break;
    case DATA_JSON_NUMBER:
        if (plain && memchr(value->text.data, 'E', value->text.size) && data_number_read(value->text, &number))
            write_plain(&number, target);
        else
            weir_buffer_append(target, value->text.data, value->text.size);
        break;
    default: write_items(value, plain, target); break;
    }
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static bool read_exponent(weir_bytes text, size_t at, data_number *number) {
    int64_t exponent = 0;
    bool negative = false;
    if (at < text.size && (text.data[at] == '+' || text.data[at] == '-')) negative = text.data[at++] == '-';
    if (at == text.size || text.size - at > 6) return false;
    for (; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9') return false;
        exponent = exponent * 10 + (text.data[at] - '0');
    }
    number->scale -= negative ? -exponent : exponent;
    return true;
}

bool data_number_read(weir_bytes text, data_number *number) {
    size_t at = 0, count = 0, seen = 0;
    bool point = false;
    *number = (data_number){0};
    if (at < text.size && (text.data[at] == '-' || text.data[at] == '+')) number->is_negative = text.data[at++] == '-';
    for (; at < text.size; at++) {
        const uint8_t c = text.data[at];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9') break;
        seen++;
        number->scale += point;
        if (count == 0 && c == '0') continue;
        if (count == DATA_NUMBER_DIGITS_MAX) return false;
        number->digits[count++] = (char)c;
    }
    if (seen == 0) return false;
    if (at == text.size) return true;
    return (text.data[at] == 'e' || text.data[at] == 'E') && read_exponent(text, at + 1, number);
}

bool data_number_equal(const data_number *a, const data_number *b) {
    const bool zero = a->digits[0] == 0;
    return a->scale == b->scale && strcmp(a->digits, b->digits) == 0 && (zero || a->is_negative == b->is_negative);
}

void data_number_truncate(data_number *number) {
    size_t size = strlen(number->digits);
    while (number->scale > 0) {
        if (size) number->digits[--size] = 0;
        number->scale--;
    }
    while (number->scale < 0 && size && size < DATA_NUMBER_DIGITS_MAX) {
        number->digits[size++] = '0';
        number->digits[size] = 0;
        number->scale++;
    }
    if (size == 0) number->scale = 0;
}
