/* COMBINED: the access log line of nginx and Apache, read only.
 *
 *   $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"
 *   127.0.0.1 - - [24/Nov/2026:10:00:00 +0100] "GET /a?b=1 HTTP/1.1" 200 512 "-" "Mozilla/5.0 \x22q\x22"
 *
 * Columns are known by name and may be declared in any order and any subset. "-" is NULL. The servers write a quote, a
 * backslash and bytes that are not printable ASCII as \xHH (Apache also \" \\ \n \t ...); a text is unescaped when that
 * gives valid UTF-8, else it stays as it stands in the line. METHOD, PATH, QUERY and PROTOCOL come from a request of
 * the form `METHOD target[ HTTP/x]`; another one (an empty line, a TLS hello sent to port 80) leaves them NULL where
 * REQUEST is declared too and keeps what was sent; without it the line is a bad record, as is one that has not this
 * form at all. */
#include "data/format/format_int.h"

typedef enum log_field {
    LOG_REMOTE_ADDR,
    LOG_REMOTE_USER,
    LOG_TIME,
    LOG_REQUEST,
    LOG_METHOD,
    LOG_PATH,
    LOG_QUERY,
    LOG_PROTOCOL,
    LOG_STATUS,
    LOG_BYTES,
    LOG_REFERER,
    LOG_USER_AGENT,
    LOG_FIELD_COUNT
} log_field;

static const struct {
    const char *name;
    data_kind kind, other; /* the types that the column may be declared with */
} fields[LOG_FIELD_COUNT] = {
    [LOG_REMOTE_ADDR] = {"REMOTE_ADDR", DATA_STRING, DATA_STRING},
    [LOG_REMOTE_USER] = {"REMOTE_USER", DATA_STRING, DATA_STRING},
    [LOG_TIME] = {"TIME", DATA_TIMESTAMP, DATA_BIGINT},
    [LOG_REQUEST] = {"REQUEST", DATA_STRING, DATA_STRING},
    [LOG_METHOD] = {"METHOD", DATA_STRING, DATA_STRING},
    [LOG_PATH] = {"PATH", DATA_STRING, DATA_STRING},
    [LOG_QUERY] = {"QUERY", DATA_STRING, DATA_STRING},
    [LOG_PROTOCOL] = {"PROTOCOL", DATA_STRING, DATA_STRING},
    [LOG_STATUS] = {"STATUS", DATA_INT, DATA_BIGINT},
    [LOG_BYTES] = {"BYTES", DATA_BIGINT, DATA_BIGINT},
    [LOG_REFERER] = {"REFERER", DATA_STRING, DATA_STRING},
    [LOG_USER_AGENT] = {"USER_AGENT", DATA_STRING, DATA_STRING},
};

enum { TIME_TEXT_BYTES = 26 /* 24/Nov/2026:10:00:00 +0100 */ };

typedef struct combined_decoder {
    format_decoder base;
    uint8_t last_time[TIME_TEXT_BYTES]; /* many lines fall into one second: its text and what it meant */
    int64_t last_time_ms;
    bool has_last_time;
    int32_t column_of[LOG_FIELD_COUNT]; /* in base.columns; -1 = not declared */
    bool needs_request_parts;           /* parts of the request are declared and the request itself is not */
} combined_decoder;

typedef struct line_reader {
    combined_decoder *decoder;
    weir_bytes line;
    size_t at;
    uint32_t row;
} line_reader;

/* ---- columns
 * -------------------------------------------------------------------------------------------------------------- */

static int field_of(const char *name) {
    for (int i = 0; i < LOG_FIELD_COUNT; i++) {
        if (strcmp(fields[i].name, name) == 0) return i;
    }
    return -1;
}

static weir_status unknown_column(const char *name) {
    const char *names[LOG_FIELD_COUNT];
    for (int i = 0; i < LOG_FIELD_COUNT; i++) names[i] = fields[i].name;
    const char *near = weir_nearest(name, names, LOG_FIELD_COUNT);
    return weir_fail(
        WEIR_INVALID,
        "format COMBINED has no column %s%s%s; it has REMOTE_ADDR, REMOTE_USER, TIME, REQUEST, METHOD, PATH, "
        "QUERY, PROTOCOL, STATUS, BYTES, REFERER, USER_AGENT",
        name, near ? ", did you mean " : "", near ? near : "");
}

static weir_status combined_supports(const format_spec *spec) {
    if (spec->role == DATA_ROLE_KEY && format_column_count(spec) > 0) {
        return weir_fail(WEIR_INVALID, "format COMBINED is for values only; use KAFKA or JSON for the key");
    }
    for (uint32_t i = 0; i < spec->schema->count; i++) {
        const data_column *column = &spec->schema->columns[i];
        if (column->role != spec->role) continue;
        const int field = field_of(column->name);
        if (field < 0) return unknown_column(column->name);
        if (column->type->kind != fields[field].kind && column->type->kind != fields[field].other) {
            return format_unsupported_type(&format_combined, column);
        }
    }
    return weir_ok();
}

static data_vector *vector_of(const line_reader *reader, log_field field) {
    const int32_t column = reader->decoder->column_of[field];
    return column < 0 ? NULL : reader->decoder->base.columns[column].vector;
}

/* ---- tokens
 * --------------------------------------------------------------------------------------------------------------- */

static format_result expected(line_reader *reader, size_t at, const char *wanted) {
    char quoted[FORMAT_QUOTE_MAX];
    if (at >= reader->line.size) {
        return format_reject(&reader->decoder->base, "expected %s at byte %zu, got the end of the line", wanted, at);
    }
    return format_reject(&reader->decoder->base, "expected %s at byte %zu, got %s", wanted, at,
                         format_quote(quoted, weir_bytes_of(reader->line.data + at, reader->line.size - at)));
}

static bool pass(line_reader *reader, uint8_t byte) {
    if (reader->at == reader->line.size || reader->line.data[reader->at] != byte) return false;
    reader->at++;
    return true;
}

/* Up to the next blank, which is not passed; at least one byte. */
static bool take_word(line_reader *reader, weir_bytes *word) {
    const uint8_t *start = reader->line.data + reader->at;
    const size_t left = reader->line.size - reader->at;
    const uint8_t *blank = left ? memchr(start, ' ', left) : NULL;
    if (!blank || blank == start) return false;
    *word = weir_bytes_of(start, (size_t)(blank - start));
    reader->at += word->size;
    return true;
}

/* Behind an opening quote: up to the closing one, which is passed. A quote inside has a backslash before it. */
static bool take_quoted(line_reader *reader, weir_bytes *text, bool *escaped) {
    const uint8_t *start = reader->line.data + reader->at, *end = reader->line.data + reader->line.size;
    const uint8_t *at = start;
    *escaped = false;
    for (;;) {
        at = format_scan_string(at, end);
        if (at == end) return false;
        if (*at == '"') break;
        if (*at == '\\') {
            *escaped = true;
            if (++at == end) return false;
        }
        at++;
    }
    *text = weir_bytes_of(start, (size_t)(at - start));
    reader->at = (size_t)(at + 1 - reader->line.data);
    return true;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t unescape(weir_bytes text, uint8_t *target) {
    static const char from[] = "nrtbv", into[] = "\n\r\t\b\v";
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\\' || i + 1 == text.size) {
            target[size++] = text.data[i];
            continue;
        }
        const uint8_t c = text.data[++i];
        const char *plain = c ? strchr(from, c) : NULL;
        if (c == 'x' && i + 2 < text.size && hex_digit(text.data[i + 1]) >= 0 && hex_digit(text.data[i + 2]) >= 0) {
            target[size++] = (uint8_t)(hex_digit(text.data[i + 1]) << 4 | hex_digit(text.data[i + 2]));
            i += 2;
        } else if (plain) {
            target[size++] = (uint8_t)into[plain - from];
        } else {
            if (c != '"' && c != '\\') target[size++] = '\\'; /* not an escape these servers write */
            target[size++] = c;
        }
    }
    return size;
}

/* ---- columns from tokens
 * ---------------------------------------------------------------------------------------------------- */

/* Sets a text column, "-" being NULL. */
static format_result set_text(line_reader *reader, log_field field, weir_bytes text, bool escaped) {
    data_vector *vector = vector_of(reader, field);
    if (!vector || (text.size == 1 && text.data[0] == '-')) return FORMAT_DONE;
    if (escaped && memchr(text.data, '\\', text.size)) {
        uint8_t *plain = weir_arena_try(reader->decoder->base.batch->arena, text.size);
        if (!plain) return FORMAT_NO_MEMORY;
        const size_t size = unescape(text, plain);
        if (weir_utf8_valid(weir_bytes_of(plain, size))) text = weir_bytes_of(plain, size);
    }
    format_set_text(vector, reader->row, text.data, text.size);
    return FORMAT_DONE;
}

static size_t method_size(weir_bytes request) {
    size_t size = 0;
    while (size < request.size && ((request.data[size] >= 'A' && request.data[size] <= 'Z') ||
                                   request.data[size] == '-' || request.data[size] == '_')) {
        size++;
    }
    return size > 0 && size < request.size - 1 && request.data[size] == ' ' ? size : 0;
}

static bool is_protocol(weir_bytes text) {
    return text.size >= 6 && memcmp(text.data, "HTTP/", 5) == 0 && text.data[5] >= '0' && text.data[5] <= '9';
}

/* Some text that is not a request: lost to the row, so refused, unless a column holds it as it is. */
static format_result not_a_request(const line_reader *reader, weir_bytes request) {
    if (!reader->decoder->needs_request_parts) return FORMAT_DONE;
    char quoted[FORMAT_QUOTE_MAX];
    return format_reject(&reader->decoder->base, "the request at byte %zu is not `METHOD target HTTP/x`: %s",
                         (size_t)(request.data - reader->line.data), format_quote(quoted, request));
}

static format_result set_request(line_reader *reader, weir_bytes request, bool escaped) {
    format_result result = set_text(reader, LOG_REQUEST, request, escaped);
    const size_t method = method_size(request);
    if (result != FORMAT_DONE) return result;
    if (method == 0) return not_a_request(reader, request);
    weir_bytes target = weir_bytes_of(request.data + method + 1, request.size - method - 1);
    const uint8_t *blank = memrchr(target.data, ' ', target.size);
    if (blank) {
        const size_t before = (size_t)(blank - target.data);
        const weir_bytes protocol = weir_bytes_of(blank + 1, target.size - before - 1);
        if (!is_protocol(protocol) || before == 0) return not_a_request(reader, request);
        result = set_text(reader, LOG_PROTOCOL, protocol, false);
        target.size = before;
    }
    if (result == FORMAT_DONE) result = set_text(reader, LOG_METHOD, weir_bytes_of(request.data, method), false);
    const uint8_t *question = memchr(target.data, '?', target.size);
    const size_t path = question ? (size_t)(question - target.data) : target.size;
    if (result == FORMAT_DONE) result = set_text(reader, LOG_PATH, weir_bytes_of(target.data, path), escaped);
    if (result != FORMAT_DONE || !question) return result;
    return set_text(reader, LOG_QUERY, weir_bytes_of(question + 1, target.size - path - 1), escaped);
}

static bool two_digits(const uint8_t *at, unsigned *value) {
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9') return false;
    *value = (unsigned)(at[0] - '0') * 10 + (at[1] - '0');
    return true;
}

static unsigned month_of(const uint8_t *at) {
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (unsigned i = 0; i < 12; i++) {
        if (memcmp(names + i * 3, at, 3) == 0) return i + 1;
    }
    return 0;
}

static bool parse_time(const uint8_t *at, int64_t *ms) {
    unsigned day, century, year, hour, minute, second, zone_hour, zone_minute;
    const unsigned month = month_of(at + 3);
    if (month == 0 || at[2] != '/' || at[6] != '/' || at[11] != ':' || at[14] != ':' || at[17] != ':' ||
        at[20] != ' ') {
        return false;
    }
    if (!two_digits(at, &day) || !two_digits(at + 7, &century) || !two_digits(at + 9, &year) ||
        !two_digits(at + 12, &hour) || !two_digits(at + 15, &minute) || !two_digits(at + 18, &second) ||
        !two_digits(at + 22, &zone_hour) || !two_digits(at + 24, &zone_minute) || (at[21] != '+' && at[21] != '-')) {
        return false;
    }
    const bool leap = second == 60; /* strftime may write one; it is counted to the next minute */
    const weir_civil civil = {.year = (int32_t)(century * 100 + year),
                              .month = (uint8_t)month,
                              .day = (uint8_t)day,
                              .hour = (uint8_t)hour,
                              .minute = (uint8_t)minute,
                              .second = (uint8_t)(leap ? 59 : second)};
    if (!weir_civil_valid(&civil) || zone_minute > 59) return false;
    const int64_t zone_ms = (int64_t)(zone_hour * 60 + zone_minute) * 60000;
    *ms = weir_ms_from_civil(&civil) + (leap ? 1000 : 0) - (at[21] == '+' ? zone_ms : -zone_ms);
    return true;
}

static bool known_time(combined_decoder *decoder, const uint8_t *at, int64_t *ms) {
    if (!decoder->has_last_time || memcmp(decoder->last_time, at, TIME_TEXT_BYTES) != 0) {
        decoder->has_last_time = parse_time(at, &decoder->last_time_ms);
        if (!decoder->has_last_time) return false;
        memcpy(decoder->last_time, at, TIME_TEXT_BYTES);
    }
    *ms = decoder->last_time_ms;
    return true;
}

static format_result take_time(line_reader *reader) {
    int64_t ms;
    const size_t start = reader->at;
    if (reader->line.size - start < TIME_TEXT_BYTES || !known_time(reader->decoder, reader->line.data + start, &ms)) {
        return expected(reader, start, "a time like 24/Nov/2026:10:00:00 +0100");
    }
    reader->at += TIME_TEXT_BYTES;
    data_vector *vector = vector_of(reader, LOG_TIME);
    if (vector) {
        vector->bigints[reader->row] = ms;
        data_bit_set(vector->valid, reader->row, true);
    }
    return FORMAT_DONE;
}

static format_result take_number(line_reader *reader, log_field field, size_t digits_max, const char *wanted) {
    const size_t start = reader->at;
    weir_bytes word;
    if (!take_word(reader, &word)) return expected(reader, start, wanted);
    if (word.size == 1 && word.data[0] == '-') return FORMAT_DONE;
    int64_t value = 0;
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '0' || word.data[i] > '9' || i == digits_max) return expected(reader, start, wanted);
        value = value * 10 + (word.data[i] - '0');
    }
    data_vector *vector = vector_of(reader, field);
    if (!vector) return FORMAT_DONE;
    if (vector->type->kind == DATA_INT)
        vector->ints[reader->row] = (int32_t)value;
    else
        vector->bigints[reader->row] = value;
    data_bit_set(vector->valid, reader->row, true);
    return FORMAT_DONE;
}

/* ---- the line
 * --------------------------------------------------------------------------------------------------------------- */

/* `addr ident user [`: the user may hold blanks (it comes from the client), so it ends where " [" and a time begin. */
static format_result take_origin(line_reader *reader) {
    weir_bytes word;
    if (!take_word(reader, &word)) return expected(reader, 0, "the client's address");
    format_result result = set_text(reader, LOG_REMOTE_ADDR, word, false);
    if (result != FORMAT_DONE) return result;
    reader->at++;
    if (!take_word(reader, &word)) return expected(reader, reader->at, "\"-\" (the identity)");
    const size_t start = ++reader->at;
    const uint8_t *found = memmem(reader->line.data + start, reader->line.size - start, " [", 2);
    if (!found || found == reader->line.data + start)
        return expected(reader, start, "the user and \" [\" before the time");
    word = weir_bytes_of(reader->line.data + start, (size_t)(found - reader->line.data) - start);
    reader->at = start + word.size + 2;
    return set_text(reader, LOG_REMOTE_USER, word, true);
}

static format_result take_text(line_reader *reader, log_field field, const char *what) {
    const size_t opening = reader->at;
    weir_bytes text;
    bool escaped;
    if (!pass(reader, '"')) return expected(reader, opening, what);
    if (!take_quoted(reader, &text, &escaped)) {
        return format_reject(&reader->decoder->base, "the quote at byte %zu is not closed", opening);
    }
    return field == LOG_REQUEST ? set_request(reader, text, escaped) : set_text(reader, field, text, escaped);
}

static format_result take_blank(line_reader *reader) {
    return pass(reader, ' ') ? FORMAT_DONE : expected(reader, reader->at, "a blank");
}

static format_result take_time_end(line_reader *reader) {
    const size_t start = reader->at;
    return pass(reader, ']') && pass(reader, ' ') ? FORMAT_DONE : expected(reader, start, "\"] \"");
}

static format_result take_line(line_reader *reader) {
    format_result result = take_origin(reader);
    if (result == FORMAT_DONE) result = take_time(reader);
    if (result == FORMAT_DONE) result = take_time_end(reader);
    if (result == FORMAT_DONE) result = take_text(reader, LOG_REQUEST, "the quoted request");
    if (result == FORMAT_DONE) result = take_blank(reader);
    if (result == FORMAT_DONE) result = take_number(reader, LOG_STATUS, 3, "a status of up to 3 digits");
    if (result == FORMAT_DONE) result = take_blank(reader);
    if (result == FORMAT_DONE) result = take_number(reader, LOG_BYTES, 18, "a number of bytes");
    if (result == FORMAT_DONE) result = take_blank(reader);
    if (result == FORMAT_DONE) result = take_text(reader, LOG_REFERER, "the quoted referer");
    if (result == FORMAT_DONE) result = take_blank(reader);
    if (result == FORMAT_DONE) result = take_text(reader, LOG_USER_AGENT, "the quoted user agent");
    if (result == FORMAT_DONE && reader->at != reader->line.size) {
        result = expected(reader, reader->at, "the end of the line");
    }
    return result;
}

static format_result combined_decode(format_decoder *base, weir_bytes line, uint32_t row) {
    size_t bad_at;
    while (line.size && (line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r')) line.size--;
    if (!format_utf8(line, &bad_at)) return format_reject(base, "not valid UTF-8 at byte %zu", bad_at);
    line_reader reader = {.decoder = (combined_decoder *)base, .line = line, .row = row};
    return take_line(&reader);
}

static weir_status combined_decoder_create(weir_account *account, const format_spec *spec, const uint64_t *wanted,
                                           format_decoder **decoder) {
    WEIR_TRY(combined_supports(spec));
    combined_decoder *made = format_decoder_new(sizeof *made, account, &format_combined, spec, wanted);
    made->base.decode = combined_decode;
    for (int i = 0; i < LOG_FIELD_COUNT; i++) made->column_of[i] = -1;
    for (uint32_t i = 0; i < made->base.column_count; i++) {
        made->column_of[field_of(made->base.columns[i].column->name)] = (int32_t)i;
    }
    made->needs_request_parts =
        made->column_of[LOG_REQUEST] < 0 && (made->column_of[LOG_METHOD] >= 0 || made->column_of[LOG_PATH] >= 0 ||
                                             made->column_of[LOG_QUERY] >= 0 || made->column_of[LOG_PROTOCOL] >= 0);
    *decoder = &made->base;
    return weir_ok();
}

static weir_status combined_encoder_create(weir_account *account, const format_spec *spec, format_encoder **encoder) {
    (void)account, (void)spec, (void)encoder;
    return weir_fail(WEIR_UNSUPPORTED,
                     "format COMBINED can be read but not written; give the output a VALUE_FORMAT such as JSON");
}

const format_vtable format_combined = {
    .name = "COMBINED",
    .about = "an access log line of nginx or Apache in the combined form; values, reading only",
    .supports = combined_supports,
    .decoder_create = combined_decoder_create,
    .encoder_create = combined_encoder_create,
};
