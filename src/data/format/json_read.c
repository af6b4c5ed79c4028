/* Reading JSON (RFC 8259) by schema: one pass over the bytes, values go straight into vectors.
 *
 * Values are coerced as ksqlDB does: a number may be in quotes, a fraction is cut for an integer column, a STRING
 * column takes any value as its text, a DECIMAL must fit exactly. Members are found by their exact name, else without
 * regard to case; of duplicates the last counts. Unknown members are skipped but must be well formed.
 *
 * The writer of a topic nearly always writes its members in the same order, so each object remembers which name stood
 * at which place: one memcmp per member instead of a search. */
#include "data/format/json.h"

#include <math.h>
#include <strings.h>

enum { REMEMBERED_MAX = 64, REMEMBERED_NAME_MAX = 48, UNKNOWN = UINT16_MAX };

typedef struct json_remembered {
    uint16_t field; /* UNKNOWN: nobody wants it */
    uint8_t size;
    bool exact;
    char name[REMEMBERED_NAME_MAX];
} json_remembered;

/* What a value must become; OBJECT nodes (the record, STRUCTs) have a field table. */
typedef struct json_node json_node;
struct json_node {
    const data_type *type; /* NULL for the record itself */
    const char *name;
    size_t name_size;
    json_node *children; /* ARRAY 1; MAP 2 (the key's is unused); OBJECT: fields */
    uint32_t child_count;
    uint8_t *seen; /* OBJECT: by field in the current object: 1 = by case-insensitive name, 2 = by exact name */
    json_remembered *remembered; /* OBJECT: by place, REMEMBERED_MAX */
};

typedef struct json_decoder {
    format_decoder base;
    json_node root;
    bool bare;
} json_decoder;

typedef struct json_reader {
    format_decoder *decoder;
    weir_arena *arena;
    const uint8_t *start, *at, *end;
    const char *column; /* of the record, for reasons */
    unsigned depth;
} json_reader;

/* ---- tokens
 * ------------------------------------------------------------------------------------------------------------ */

static inline void skip_blanks(json_reader *reader) {
    while (reader->at < reader->end &&
           (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\t' || *reader->at == '\r')) {
        reader->at++;
    }
}

/* "got" for a reason: the token at `at`, or the end. */
static const char *quote_token(const json_reader *reader, const uint8_t *at, char *text) {
    if (at == reader->end) return "the end";
    const uint8_t *end = at + 1;
    if (*at == '"') {
        while (end < reader->end && *end != '"') end += *end == '\\' && reader->end - end > 1 ? 2 : 1;
        const size_t size = (size_t)(end - at) - 1;
        return format_quote(text, weir_bytes_of(at + 1, size)); /* the text between the quotes */
    }
    while (end < reader->end && !strchr(" \t\r\n,:{}[]\"", *end)) end++;
    if (strchr("{[]},:", *at)) end = at + 1;
    format_quote(text, weir_bytes_of(at, (size_t)(end - at)));
    size_t length = strlen(text); /* a bare token stands without quotes */
    char *closing = text + length - 1;
    while (*closing != '"') closing--;
    memmove(closing, closing + 1, strlen(closing));
    memmove(text, text + 1, strlen(text));
    return text;
}

static format_result expected(json_reader *reader, const uint8_t *at, const char *wanted) {
    char text[FORMAT_QUOTE_MAX];
    const char *got = quote_token(reader, at, text);
    if (reader->column) {
        return format_reject(reader->decoder, "expected %s for column %s at byte %zu, got %s", wanted, reader->column,
                             (size_t)(at - reader->start), got);
    }
    return format_reject(reader->decoder, "expected %s at byte %zu, got %s", wanted, (size_t)(at - reader->start), got);
}

static bool hex4(const uint8_t *at, const uint8_t *end, uint32_t *value) {
    if (end - at < 4) return false;
    *value = 0;
    for (int i = 0; i < 4; i++) {
        const uint8_t c = at[i];
        const int digit = c >= '0' && c <= '9'                 ? c - '0'
                          : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                               : -1;
        if (digit < 0) return false;
        *value = *value << 4 | (uint32_t)digit;
    }
    return true;
}

/* Passes the string whose opening quote is at `at`. *raw: between the quotes; *escaped: it has escapes, all well
 * formed. */
static format_result pass_string(json_reader *reader, weir_bytes *raw, bool *escaped) {
    const uint8_t *opening = reader->at;
    const uint8_t *at = opening + 1;
    *escaped = false;
    for (;;) {
        at = format_scan_string(at, reader->end);
        if (at == reader->end) {
            return format_reject(reader->decoder, "the string at byte %zu is not closed",
                                 (size_t)(opening - reader->start));
        }
        if (*at == '"') break;
        if (*at != '\\') {
            return format_reject(reader->decoder, "control character 0x%02X in a string at byte %zu", *at,
                                 (size_t)(at - reader->start));
        }
        *escaped = true;
        uint32_t unit;
        if (reader->end - at < 2 || !strchr("\"\\/bfnrtu", at[1]) || at[1] == 0 ||
            (at[1] == 'u' && !hex4(at + 2, reader->end, &unit))) {
            return format_reject(reader->decoder, "unknown escape at byte %zu", (size_t)(at - reader->start));
        }
        at += at[1] == 'u' ? 6 : 2;
    }
    *raw = weir_bytes_of(opening + 1, (size_t)(at - opening) - 1);
    reader->at = at + 1;
    return FORMAT_DONE;
}

static uint8_t *put_utf8(uint8_t *at, uint32_t point) {
    if (point < 0x80) {
        *at++ = (uint8_t)point;
    } else if (point < 0x800) {
        *at++ = (uint8_t)(0xc0 | point >> 6);
        *at++ = (uint8_t)(0x80 | (point & 63));
    } else if (point < 0x10000) {
        *at++ = (uint8_t)(0xe0 | point >> 12);
        *at++ = (uint8_t)(0x80 | (point >> 6 & 63));
        *at++ = (uint8_t)(0x80 | (point & 63));
    } else {
        *at++ = (uint8_t)(0xf0 | point >> 18);
        *at++ = (uint8_t)(0x80 | (point >> 12 & 63));
        *at++ = (uint8_t)(0x80 | (point >> 6 & 63));
        *at++ = (uint8_t)(0x80 | (point & 63));
    }
    return at;
}

/* The code point of the \u escape(s) at *at (behind the 'u'); a lone surrogate becomes '?', as Java encodes it. */
static uint32_t take_unicode(const uint8_t **at, const uint8_t *end) {
    uint32_t unit = 0, low = 0;
    if (!hex4(*at, end, &unit)) return '?';
    *at += 4;
    if (unit < 0xd800 || unit > 0xdfff) return unit;
    if (unit > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u' || !hex4(*at + 2, end, &low) ||
        low < 0xdc00 || low > 0xdfff) {
        return '?';
    }
    *at += 6;
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

/* The meaning of a string's raw bytes, whose escapes are known to be well formed; never longer than they are. */
static size_t unescape(weir_bytes raw, uint8_t *target) {
    static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
    const uint8_t *at = raw.data, *end = raw.data + raw.size;
    uint8_t *out = target;
    while (at < end) {
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        const uint8_t c = at[1];
        at += 2;
        const char *plain = c != 'u' ? strchr(from, c) : NULL;
        if (c == 'u')
            out = put_utf8(out, take_unicode(&at, end));
        else
            *out++ = plain ? (uint8_t)into[plain - from] : c;
    }
    return (size_t)(out - target);
}

/* A string as text: a view of the record when it has no escapes, else in the arena. */
static format_result take_string(json_reader *reader, weir_bytes *text) {
    bool escaped;
    const format_result result = pass_string(reader, text, &escaped);
    if (result != FORMAT_DONE || !escaped) return result;
    uint8_t *copy = weir_arena_try(reader->arena, text->size);
    if (!copy) return FORMAT_NO_MEMORY;
    *text = weir_bytes_of(copy, unescape(*text, copy));
    return FORMAT_DONE;
}

static inline bool is_digit(const json_reader *reader) {
    return reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9';
}

/* Passes a number by RFC 8259's grammar; false leaves `at` at the offending byte. */
static bool pass_number(json_reader *reader, bool *integer) {
    *integer = true;
    if (*reader->at == '-') reader->at++;
    if (!is_digit(reader)) return false;
    if (*reader->at == '0')
        reader->at++;
    else
        while (is_digit(reader)) reader->at++;
    if (reader->at < reader->end && *reader->at == '.') {
        *integer = false;
        reader->at++;
        if (!is_digit(reader)) return false;
        while (is_digit(reader)) reader->at++;
    }
    if (reader->at < reader->end && (*reader->at | 32) == 'e') {
        *integer = false;
        reader->at++;
        if (reader->at < reader->end && (*reader->at == '+' || *reader->at == '-')) reader->at++;
        if (!is_digit(reader)) return false;
        while (is_digit(reader)) reader->at++;
    }
    return true;
}

static bool pass_word(json_reader *reader, const char *word) {
    const size_t size = strlen(word);
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0) return false;
    reader->at += size;
    return true;
}

static format_result enter(json_reader *reader) {
    if (reader->depth == JSON_DEPTH_MAX) {
        return format_reject(reader->decoder, "more than %d levels of nesting at byte %zu", JSON_DEPTH_MAX,
                             (size_t)(reader->at - reader->start));
    }
    reader->depth++;
    reader->at++;
    skip_blanks(reader);
    return FORMAT_DONE;
}

/* Behind an item: another one (DONE and *more), or the end of the object or array. */
static format_result next_item(json_reader *reader, uint8_t closing, bool *more) {
    skip_blanks(reader);
    if (reader->at < reader->end && *reader->at == ',') {
        reader->at++;
        skip_blanks(reader);
        *more = true;
        return FORMAT_DONE;
    }
    if (reader->at < reader->end && *reader->at == closing) {
        reader->at++;
        reader->depth--;
        *more = false;
        return FORMAT_DONE;
    }
    reader->column = NULL;
    return expected(reader, reader->at, closing == '}' ? "\",\" or \"}\"" : "\",\" or \"]\"");
}

static bool closes_at_once(json_reader *reader, uint8_t closing) {
    if (reader->at == reader->end || *reader->at != closing) return false;
    reader->at++;
    reader->depth--;
    return true;
}

static format_result take_member_name(json_reader *reader, weir_bytes *name) {
    if (reader->at == reader->end || *reader->at != '"') {
        reader->column = NULL;
        return expected(reader, reader->at, "a member name");
    }
    const format_result result = take_string(reader, name);
    if (result != FORMAT_DONE) return result;
    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != ':') {
        reader->column = NULL;
        return expected(reader, reader->at, "\":\"");
    }
    reader->at++;
    skip_blanks(reader);
    return FORMAT_DONE;
}

/* ---- values nobody wants
 * ------------------------------------------------------------------------------------------------ */

static format_result skip_value(json_reader *reader);

static format_result skip_items(json_reader *reader, uint8_t closing) {
    format_result result = enter(reader);
    if (result != FORMAT_DONE || closes_at_once(reader, closing)) return result;
    bool more = true;
    while (more && result == FORMAT_DONE) {
        weir_bytes name;
        bool escaped;
        if (closing == '}') {
            if (reader->at == reader->end || *reader->at != '"') return expected(reader, reader->at, "a member name");
            result = pass_string(reader, &name, &escaped);
            if (result != FORMAT_DONE) return result;
            skip_blanks(reader);
            if (reader->at == reader->end || *reader->at != ':') return expected(reader, reader->at, "\":\"");
            reader->at++;
            skip_blanks(reader);
        }
        result = skip_value(reader);
        if (result == FORMAT_DONE) result = next_item(reader, closing, &more);
    }
    return result;
}

static format_result skip_value(json_reader *reader) {
    weir_bytes raw;
    bool flag;
    if (reader->at == reader->end) return expected(reader, reader->at, "a value");
    const uint8_t *start = reader->at;
    switch (*reader->at) {
    case '"': return pass_string(reader, &raw, &flag);
    case '{': return skip_items(reader, '}');
    case '[': return skip_items(reader, ']');
    case 't':
        if (pass_word(reader, "true")) return FORMAT_DONE;
        break;
    case 'f':
        if (pass_word(reader, "false")) return FORMAT_DONE;
        break;
    case 'n':
        if (pass_word(reader, "null")) return FORMAT_DONE;
        break;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        if (pass_number(reader, &flag)) return FORMAT_DONE;
        break;
    default: break;
    }
    return expected(reader, start, "a value");
}

/* ---- scalars
 * ------------------------------------------------------------------------------------------------------------ */

static bool integer_of(weir_bytes token, int64_t *value) {
    size_t at = token.data[0] == '-';
    if (token.size - at > 18) return weir_parse_i64(token, value);
    int64_t sum = 0;
    for (; at < token.size; at++) sum = sum * 10 + (token.data[at] - '0');
    *value = token.data[0] == '-' ? -sum : sum;
    return true;
}

/* The common number has few digits: mantissa and power of ten are exact doubles and one operation rounds correctly. */
static bool double_of(weir_bytes token, double *value) {
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    if (token.size > 16) return weir_parse_f64(token, value);
    uint64_t mantissa = 0;
    unsigned behind = 0;
    bool point = false;
    for (size_t i = token.data[0] == '-'; i < token.size; i++) {
        if (token.data[i] == '.') {
            point = true;
            continue;
        }
        if (token.data[i] < '0' || token.data[i] > '9') return weir_parse_f64(token, value);
        mantissa = mantissa * 10 + (token.data[i] - '0');
        behind += point;
    }
    if (mantissa > (uint64_t)1 << 53) return weir_parse_f64(token, value);
    const double amount = (double)mantissa / powers[behind];
    *value = token.data[0] == '-' ? -amount : amount;
    return true;
}

/* Integers: a fraction is cut, as Java's narrowing does; INTEGER keeps the low 32 bits of a larger number. */
static bool set_integer(data_vector *vector, uint32_t row, weir_bytes token, bool integer, bool quoted) {
    int64_t value;
    const data_kind kind = vector->type->kind;
    const bool narrow = data_kind_width(kind) == 4;
    if (quoted ? !weir_parse_i64(token, &value) : integer && !integer_of(token, &value)) return false;
    if (!quoted && !integer) {
        double number;
        if (!double_of(token, &number) || !(number >= -0x1p63 && number < 0x1p63)) return false;
        value = (int64_t)number;
    }
    if (narrow && (quoted || kind == DATA_DATE) && (value < INT32_MIN || value > INT32_MAX)) return false;
    if (kind == DATA_TIME && (value < 0 || value >= DATA_MS_PER_DAY)) return false;
    if (narrow)
        vector->ints[row] = (int32_t)(uint32_t)(uint64_t)value;
    else
        vector->bigints[row] = value;
    return true;
}

static format_result set_number(json_reader *reader, data_vector *vector, uint32_t row, weir_bytes token, bool integer,
                                bool quoted) {
    const uint8_t *at = token.data - quoted;
    switch (vector->type->kind) {
    case DATA_DOUBLE:
        if (quoted ? !weir_parse_f64(token, &vector->doubles[row]) : !double_of(token, &vector->doubles[row])) {
            return expected(reader, at, "a number");
        }
        break;
    case DATA_DECIMAL: {
        data_decimal value;
        const data_fit fit =
            data_decimal_parse(token, vector->type->precision, vector->type->scale, DATA_ROUND_EXACT, &value);
        if (fit == DATA_FIT_NOT_A_NUMBER) return expected(reader, at, "a number");
        if (fit != DATA_FIT_OK) return expected(reader, at, "a number that fits the DECIMAL exactly");
        vector->decimals[row] = value;
        break;
    }
    case DATA_TIME:
        if (!set_integer(vector, row, token, integer, quoted)) return expected(reader, at, "milliseconds of a day");
        break;
    default:
        if (!set_integer(vector, row, token, integer, quoted)) return expected(reader, at, "a number in range");
        break;
    }
    data_bit_set(vector->valid, row, true);
    return FORMAT_DONE;
}

static format_result read_number(json_reader *reader, data_vector *vector, uint32_t row) {
    const uint8_t *start = reader->at;
    bool integer = true;
    if (*start == '"') {
        bool escaped;
        weir_bytes raw;
        const format_result result = pass_string(reader, &raw, &escaped);
        if (result != FORMAT_DONE) return result;
        int64_t whole;
        const data_kind kind = vector->type->kind;
        const bool is_whole = kind != DATA_DOUBLE && kind != DATA_DECIMAL;
        if (escaped || (is_whole && !weir_parse_i64(raw, &whole))) return expected(reader, start, "a number");
        return set_number(reader, vector, row, raw, integer, true);
    }
    if (*start != '-' && !is_digit(reader)) return expected(reader, start, "a number");
    if (!pass_number(reader, &integer)) return expected(reader, start, "a number");
    return set_number(reader, vector, row, weir_bytes_of(start, (size_t)(reader->at - start)), integer, false);
}

static format_result read_boolean(json_reader *reader, data_vector *vector, uint32_t row) {
    const bool yes = pass_word(reader, "true");
    if (!yes && !pass_word(reader, "false")) return expected(reader, reader->at, "true or false");
    vector->booleans[row] = yes;
    data_bit_set(vector->valid, row, true);
    return FORMAT_DONE;
}

static format_result read_bytes(json_reader *reader, data_vector *vector, uint32_t row) {
    const uint8_t *start = reader->at;
    weir_bytes text;
    if (*start != '"') return expected(reader, start, "base64 text");
    const format_result result = take_string(reader, &text);
    if (result != FORMAT_DONE) return result;
    uint8_t *bytes = weir_arena_try(reader->arena, text.size / 4 * 3 + 3);
    size_t size;
    if (!bytes) return FORMAT_NO_MEMORY;
    if (!data_base64_decode(text, bytes, &size)) return expected(reader, start, "base64 text");
    format_set_text(vector, row, bytes, size);
    return FORMAT_DONE;
}

/* ---- a STRING column takes any value
 * ------------------------------------------------------------------------------------- */

/* Appends an object without blanks between its tokens. */
static size_t minify(const uint8_t *at, const uint8_t *end, uint8_t *target) {
    size_t size = 0;
    bool inside = false;
    for (; at < end; at++) {
        if (!inside && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')) continue;
        target[size++] = *at;
        if (*at == '"')
            inside = !inside;
        else if (*at == '\\')
            target[size++] = *++at;
    }
    return size;
}

/* The text of the well-formed value at *at: strings unescaped, arrays as "[a, b]", objects as their JSON. The result is
 * at most half again as long as the source: "," becomes ", ". */
static size_t value_text(json_reader *reader, uint8_t *target) {
    weir_bytes raw;
    bool escaped;
    const uint8_t *start = reader->at;
    if (*start == '"') {
        if (pass_string(reader, &raw, &escaped) != FORMAT_DONE) return 0;
        return unescape(raw, target);
    }
    if (*start != '[') {
        if (skip_value(reader) != FORMAT_DONE) return 0;
        if (*start == '{') return minify(start, reader->at, target);
        memcpy(target, start, (size_t)(reader->at - start));
        return (size_t)(reader->at - start);
    }
    size_t size = 0;
    target[size++] = '[';
    bool more = enter(reader) == FORMAT_DONE && !closes_at_once(reader, ']');
    while (more) {
        size += value_text(reader, target + size);
        if (next_item(reader, ']', &more) != FORMAT_DONE) return 0;
        if (more) {
            target[size++] = ',';
            target[size++] = ' ';
        }
    }
    target[size++] = ']';
    return size;
}

static format_result read_text(json_reader *reader, data_vector *vector, uint32_t row) {
    const uint8_t *start = reader->at;
    weir_bytes text;
    if (*start == '"') {
        const format_result result = take_string(reader, &text);
        if (result == FORMAT_DONE) format_set_text(vector, row, text.data, text.size);
        return result;
    }
    const format_result result = skip_value(reader);
    if (result != FORMAT_DONE) return result;
    const size_t size = (size_t)(reader->at - start);
    if (*start != '{' && *start != '[') {
        format_set_text(vector, row, start, size);
        return FORMAT_DONE;
    }
    uint8_t *copy = weir_arena_try(reader->arena, size * 2);
    if (!copy) return FORMAT_NO_MEMORY;
    json_reader again = *reader; /* the value is well formed: this pass cannot fail */
    again.at = start;
    format_set_text(vector, row, copy, value_text(&again, copy));
    return FORMAT_DONE;
}

/* ---- nested values and objects
 * ---------------------------------------------------------------------------------------------- */

static format_result read_value(json_reader *reader, json_node *node, data_vector *vector, uint32_t row);

static format_result read_array(json_reader *reader, json_node *node, data_vector *vector, uint32_t row) {
    if (*reader->at != '[') return expected(reader, reader->at, "an array");
    format_result result = enter(reader);
    if (result != FORMAT_DONE) return result;
    data_vector *elements = &vector->children[0];
    uint32_t at = data_vector_child_start(vector, row);
    bool more = !closes_at_once(reader, ']');
    while (more) {
        if (!data_vector_reserve(elements, reader->arena, at, at + 1)) return FORMAT_NO_MEMORY;
        result = read_value(reader, &node->children[0], elements, at++);
        if (result == FORMAT_DONE) result = next_item(reader, ']', &more);
        if (result != FORMAT_DONE) return result;
    }
    vector->ends[row] = (int32_t)at;
    vector->child_rows = at;
    data_bit_set(vector->valid, row, true);
    return FORMAT_DONE;
}

/* Where a map of [start, end) already has the key; `end` when it has not. */
static uint32_t find_key(const data_vector *keys, uint32_t start, uint32_t end, const data_text *key) {
    for (uint32_t i = start; i < end; i++) {
        if (data_text_equal(&keys->texts[i], key)) return i;
    }
    return end;
}

static format_result read_map(json_reader *reader, json_node *node, data_vector *vector, uint32_t row) {
    if (*reader->at != '{') return expected(reader, reader->at, "an object");
    format_result result = enter(reader);
    if (result != FORMAT_DONE) return result;
    data_vector *keys = &vector->children[0], *values = &vector->children[1];
    const uint32_t start = data_vector_child_start(vector, row);
    uint32_t end = start;
    const bool nested = format_is_nested(values->type);
    bool more = !closes_at_once(reader, '}');
    while (more) {
        weir_bytes name;
        result = take_member_name(reader, &name);
        if (result != FORMAT_DONE) return result;
        if (!data_vector_reserve(keys, reader->arena, end, end + 1)) return FORMAT_NO_MEMORY;
        if (!data_vector_reserve(values, reader->arena, end, end + 1)) return FORMAT_NO_MEMORY;
        const data_text key = data_text_of(name.data, name.size);
        const uint32_t found = find_key(keys, start, end, &key);
        /* A scalar is overwritten in place; a list lies between its neighbours and cannot be. */
        if (found < end && nested) return expected(reader, reader->at, "no duplicate key in a map of nested values");
        result = read_value(reader, &node->children[1], values, found);
        if (found == end) format_set_text(keys, end++, name.data, name.size);
        if (result == FORMAT_DONE) result = next_item(reader, '}', &more);
        if (result != FORMAT_DONE) return result;
    }
    vector->ends[row] = (int32_t)end;
    vector->child_rows = end;
    data_bit_set(vector->valid, row, true);
    return FORMAT_DONE;
}

static uint16_t find_field(const json_node *object, weir_bytes name, bool *exact) {
    *exact = true;
    for (uint32_t i = 0; i < object->child_count; i++) {
        const json_node *field = &object->children[i];
        if (field->name_size == name.size && memcmp(field->name, name.data, name.size) == 0) return (uint16_t)i;
    }
    *exact = false;
    for (uint32_t i = 0; i < object->child_count; i++) {
        const json_node *field = &object->children[i];
        if (field->name_size == name.size && strncasecmp(field->name, (const char *)name.data, name.size) == 0) {
            return (uint16_t)i;
        }
    }
    return UNKNOWN;
}

static uint16_t recall_field(json_node *object, uint32_t place, weir_bytes name, bool *exact) {
    if (place >= REMEMBERED_MAX || name.size > REMEMBERED_NAME_MAX) return find_field(object, name, exact);
    json_remembered *slot = &object->remembered[place];
    if (slot->size == name.size && slot->name[0] && memcmp(slot->name, name.data, name.size) == 0) {
        *exact = slot->exact;
        return slot->field;
    }
    slot->field = find_field(object, name, exact);
    slot->exact = *exact;
    slot->size = (uint8_t)name.size;
    if (name.size) memcpy(slot->name, name.data, name.size);
    return slot->field;
}

/* The members of the object at `at`. The fields' vectors are the record's columns, or the children of `parent`. */
static format_result read_members(json_reader *reader, json_node *object, data_vector *parent, uint32_t row) {
    const format_column *columns = parent ? NULL : reader->decoder->columns;
    format_result result = enter(reader);
    if (result != FORMAT_DONE || closes_at_once(reader, '}')) return result;
    memset(object->seen, 0, object->child_count);
    bool more = true;
    for (uint32_t place = 0; more; place++) {
        weir_bytes name;
        bool exact;
        result = take_member_name(reader, &name);
        if (result != FORMAT_DONE) return result;
        const uint16_t found = recall_field(object, place, name, &exact);
        data_vector *vector = found == UNKNOWN ? NULL : columns ? columns[found].vector : &parent->children[found];
        if (!vector || (object->seen[found] == 2 && !exact)) { /* an exact name beats one of other case */
            result = skip_value(reader);
        } else {
            if (columns) reader->column = columns[found].column->name;
            if (object->seen[found]) data_vector_set_null(vector, row); /* of duplicates the last counts */
            object->seen[found] = exact ? 2 : 1;
            result = read_value(reader, &object->children[found], vector, row);
        }
        if (result == FORMAT_DONE) result = next_item(reader, '}', &more);
        if (result != FORMAT_DONE) return result;
        if (columns) reader->column = NULL;
    }
    return FORMAT_DONE;
}

static format_result read_struct(json_reader *reader, json_node *node, data_vector *vector, uint32_t row) {
    if (*reader->at != '{') return expected(reader, reader->at, "an object");
    data_vector_set_null(vector, row);
    const char *column = reader->column;
    const format_result result = read_members(reader, node, vector, row);
    reader->column = column;
    if (result == FORMAT_DONE) data_bit_set(vector->valid, row, true);
    return result;
}

static format_result read_value(json_reader *reader, json_node *node, data_vector *vector, uint32_t row) {
    if (reader->at == reader->end) return expected(reader, reader->at, "a value");
    if (*reader->at == 'n') {
        if (!pass_word(reader, "null")) return expected(reader, reader->at, "a value");
        data_vector_set_null(vector, row);
        return FORMAT_DONE;
    }
    switch (node->type->kind) {
    case DATA_BOOLEAN: return read_boolean(reader, vector, row);
    case DATA_STRING: return read_text(reader, vector, row);
    case DATA_BYTES: return read_bytes(reader, vector, row);
    case DATA_ARRAY: return read_array(reader, node, vector, row);
    case DATA_MAP: return read_map(reader, node, vector, row);
    case DATA_STRUCT: return read_struct(reader, node, vector, row);
    default: return read_number(reader, vector, row);
    }
}

/* ---- the record
 * ---------------------------------------------------------------------------------------------------------------- */

static format_result read_record(json_reader *reader, json_decoder *self, uint32_t row, bool *is_null) {
    if (reader->at < reader->end && *reader->at == 'n' && pass_word(reader, "null")) {
        *is_null = true;
        return FORMAT_DONE;
    }
    if (self->bare) {
        const format_column *column = &self->base.columns[0];
        reader->column = column->column->name;
        if (!column->vector) return skip_value(reader);
        return read_value(reader, &self->root.children[0], column->vector, row);
    }
    if (reader->at == reader->end || *reader->at != '{') return expected(reader, reader->at, "an object");
    return read_members(reader, &self->root, NULL, row);
}

static format_result json_decode(format_decoder *base, weir_bytes slice, uint32_t row) {
    json_decoder *self = (json_decoder *)base;
    size_t bad_at;
    if (!format_utf8(slice, &bad_at)) return format_reject(base, "not valid UTF-8 at byte %zu", bad_at);
    json_reader reader = {.decoder = base,
                          .arena = base->batch->arena,
                          .start = slice.data,
                          .at = slice.data,
                          .end = slice.data + slice.size};
    bool is_null = false;
    skip_blanks(&reader);
    const format_result result = read_record(&reader, self, row, &is_null);
    if (result != FORMAT_DONE) return result;
    skip_blanks(&reader);
    if (reader.at != reader.end) {
        reader.column = NULL;
        return expected(&reader, reader.at, "the end of the record");
    }
    return is_null ? FORMAT_ABSENT : FORMAT_DONE;
}

/* ---- nodes
 * -------------------------------------------------------------------------------------------------------------------
 */

static void node_init(json_node *node, weir_account *account, const data_type *type, const char *name);

static void object_init(json_node *node, weir_account *account, uint32_t count) {
    node->child_count = count;
    node->children = weir_alloc(account, sizeof(json_node) * count);
    node->seen = weir_alloc(account, count);
    node->remembered = weir_alloc(account, sizeof(json_remembered) * REMEMBERED_MAX);
}

static void node_init(json_node *node, weir_account *account, const data_type *type, const char *name) {
    *node = (json_node){.type = type, .name = name, .name_size = strlen(name)};
    if (type->kind == DATA_STRUCT) {
        object_init(node, account, type->field_count);
        for (uint32_t i = 0; i < type->field_count; i++) {
            node_init(&node->children[i], account, type->fields[i].type, type->fields[i].name);
        }
    } else if (format_is_nested(type)) {
        node->child_count = type->kind == DATA_MAP ? 2 : 1;
        node->children = weir_alloc(account, sizeof(json_node) * node->child_count);
        if (type->kind == DATA_MAP) node_init(&node->children[0], account, type->key, "");
        node_init(&node->children[node->child_count - 1], account, type->element, "");
    }
}

static void node_deinit(json_node *node, weir_account *account) {
    for (uint32_t i = 0; i < node->child_count; i++) node_deinit(&node->children[i], account);
    weir_free(account, node->children);
    weir_free(account, node->seen);
    weir_free(account, node->remembered);
}

static void json_destroy(format_decoder *base) {
    node_deinit(&((json_decoder *)base)->root, base->account);
}

weir_status json_decoder_create(weir_account *account, const format_spec *spec, const uint64_t *wanted,
                                format_decoder **decoder) {
    WEIR_TRY(json_supports(spec));
    json_decoder *made = format_decoder_new(sizeof *made, account, &format_json, spec, wanted);
    made->base.decode = json_decode;
    made->base.destroy = json_destroy;
    made->bare = json_is_bare(spec);
    object_init(&made->root, account, made->base.column_count);
    for (uint32_t i = 0; i < made->base.column_count; i++) {
        const data_column *column = made->base.columns[i].column;
        node_init(&made->root.children[i], account, column->type, column->name);
    }
    *decoder = &made->base;
    return weir_ok();
}
