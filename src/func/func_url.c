/* Parts of URLs (RFC 3986, read as java.net.URI does: parts come percent-decoded) and form encoding of parameters. */
#include "func/func_int.h"

typedef const data_vector *const *vectors;

typedef struct parsed_url {
    weir_bytes scheme, host, port, path, query, fragment; /* data == NULL: absent */
} parsed_url;

static bool is_hex(uint8_t c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}
static uint8_t hex_value(uint8_t c) {
    return (uint8_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}
static bool is_letter(uint8_t c) {
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* Characters that RFC 3986 allows nowhere, and percent signs without two hexadecimal digits. */
static bool has_valid_characters(weir_bytes text) {
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.data[i];
        if (c <= ' ' || c == 0x7f || c == '"' || c == '<' || c == '>' || c == '\\' || c == '^' || c == '`' ||
            c == '{' || c == '|' || c == '}') {
            return false;
        }
        if (c == '%' && (text.size - i < 3 || !is_hex(text.data[i + 1]) || !is_hex(text.data[i + 2]))) return false;
    }
    return true;
}

static weir_bytes part(weir_bytes text, size_t from, size_t to) {
    return weir_bytes_of(text.data + from, to - from);
}

static size_t find_any(weir_bytes text, size_t from, const char *stops) {
    while (from < text.size && !strchr(stops, text.data[from])) from++;
    return from;
}

static void split_authority(weir_bytes authority, parsed_url *url) {
    const uint8_t *at_sign = authority.size ? memrchr(authority.data, '@', authority.size) : NULL;
    if (at_sign) authority = part(authority, (size_t)(at_sign - authority.data) + 1, authority.size);
    size_t end = authority.size;
    while (end > 0 && authority.data[end - 1] >= '0' && authority.data[end - 1] <= '9') end--;
    if (end > 0 && authority.data[end - 1] == ':') {
        if (end < authority.size) url->port = part(authority, end, authority.size);
        authority.size = end - 1;
    }
    if (authority.size) url->host = authority;
}

static bool split(weir_bytes text, parsed_url *url) {
    *url = (parsed_url){0};
    if (!has_valid_characters(text)) return false;
    size_t at = 0;
    const size_t colon = find_any(text, 0, ":/?#");
    if (colon < text.size && text.data[colon] == ':') {
        if (colon == 0 || !is_letter(text.data[0])) return false;
        url->scheme = part(text, 0, colon);
        at = colon + 1;
        if (at == text.size) return false;
    }
    const bool opaque = url->scheme.data && text.data[at] != '/'; /* mailto:somebody: no path, no query */
    if (text.size - at >= 2 && text.data[at] == '/' && text.data[at + 1] == '/') {
        const size_t end = find_any(text, at + 2, "/?#");
        split_authority(part(text, at + 2, end), url);
        at = end;
    }
    const size_t path_end = find_any(text, at, opaque ? "#" : "?#");
    if (!opaque) url->path = part(text, at, path_end);
    at = path_end;
    if (at < text.size && text.data[at] == '?') {
        const size_t end = find_any(text, at, "#");
        url->query = part(text, at + 1, end);
        at = end;
    }
    if (at < text.size) url->fragment = part(text, at + 1, text.size);
    return true;
}

/* Sets a text that may be decoded: bytes that are not UTF-8 become U+FFFD, as Java's decoder makes them. */
static weir_status set_repaired(func_run_context *run, data_vector *result, uint32_t row, uint8_t *text, size_t size) {
    if (weir_utf8_valid(weir_bytes_of(text, size))) {
        func_set_text(result, row, text, size);
        return weir_ok();
    }
    uint8_t *repaired = weir_arena_try(run->arena, size * 3);
    if (!repaired) return func_no_memory();
    size_t out = 0;
    for (size_t at = 0; at < size;) {
        size_t length = 1;
        while (length <= 4 && at + length <= size && !weir_utf8_valid(weir_bytes_of(text + at, length))) length++;
        const bool good = length <= 4 && at + length <= size;
        if (good)
            memcpy(repaired + out, text + at, length);
        else
            memcpy(repaired + out, "\xef\xbf\xbd", 3);
        out += good ? length : 3;
        at += good ? length : 1;
    }
    func_set_text(result, row, repaired, out);
    return weir_ok();
}

static weir_status set_decoded(func_run_context *run, data_vector *result, uint32_t row, weir_bytes text,
                               bool plus_is_blank) {
    if (!memchr(text.data, '%', text.size) && !(plus_is_blank && memchr(text.data, '+', text.size))) {
        func_set_text(result, row, text.data, text.size);
        return weir_ok();
    }
    uint8_t *plain = weir_arena_try(run->arena, text.size);
    if (!plain) return func_no_memory();
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '%') { /* followed by two digits: checked before */
            c = (uint8_t)(hex_value(text.data[i + 1]) << 4 | hex_value(text.data[i + 2]));
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        plain[size++] = c;
    }
    return set_repaired(run, result, row, plain, size);
}

/* ---- functions ------------------------------------------------------------------------------------------------- */

static bool split_row(func_run_context *run, uint32_t row, weir_bytes text, parsed_url *url) {
    if (split(text, url)) return true;
    func_row_error(run, row, "URL input has invalid syntax: %.*s", (int)(text.size > 200 ? 200 : text.size),
                   (const char *)text.data);
    return false;
}

typedef struct part_entry {
    size_t offset; /* of the part in a url */
    bool decoded;
} part_entry;

static const part_entry scheme_part = {offsetof(parsed_url, scheme), false},
                        host_part = {offsetof(parsed_url, host), false}, path_part = {offsetof(parsed_url, path), true},
                        query_part = {offsetof(parsed_url, query), true},
                        fragment_part = {offsetof(parsed_url, fragment), true};

static weir_status extract(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                           const data_selection *selection, data_vector *result) {
    (void)count;
    const part_entry *entry = overload->context;
    FUNC_ROWS(selection, row) {
        parsed_url url;
        func_set_text(result, row, NULL, 0);
        if (!split_row(run, row, func_text(arguments[0], row), &url)) continue;
        const weir_bytes found = *(const weir_bytes *)(const void *)((const uint8_t *)&url + entry->offset);
        if (!found.data)
            func_set_null(result, row);
        else if (entry->decoded)
            WEIR_TRY(set_decoded(run, result, row, found, false));
        else
            func_set_text(result, row, found.data, found.size);
    }
    return weir_ok();
}

static weir_status extract_port(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                                const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        parsed_url url;
        int64_t port = 0;
        result->ints[row] = 0;
        if (!split_row(run, row, func_text(arguments[0], row), &url)) continue;
        if (!url.port.data || !weir_parse_i64(url.port, &port) || port > INT32_MAX) func_set_null(result, row);
        result->ints[row] = (int32_t)port;
    }
    return weir_ok();
}

/* Name and value are compared and given percent-decoded: the query is decoded as a whole first, then split at & and =.
 */
static weir_status extract_parameter(func_run_context *run, const func_overload *overload, vectors arguments,
                                     uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        parsed_url url;
        const weir_bytes wanted = func_text(arguments[1], row);
        func_set_text(result, row, NULL, 0);
        if (!split_row(run, row, func_text(arguments[0], row), &url)) continue;
        bool found = false;
        if (url.query.data) WEIR_TRY(set_decoded(run, result, row, url.query, false));
        const weir_bytes query = url.query.data ? func_text(result, row) : (weir_bytes){0};
        for (size_t at = 0; at < query.size && !found;) {
            const size_t end = find_any(query, at, "&"), equals = find_any(part(query, at, end), 0, "=");
            const weir_bytes pair = part(query, at, end);
            at = end + 1;
            if (!weir_bytes_equal(part(pair, 0, equals), wanted)) continue;
            found = true;
            const weir_bytes value =
                equals < pair.size ? part(pair, equals + 1, pair.size) : part(pair, pair.size, pair.size);
            const data_text kept =
                data_text_of(value.data, value.size); /* `pair` may lie in the view that is replaced */
            result->texts[row] = kept;
        }
        if (!found) func_set_null(result, row);
    }
    return weir_ok();
}

static weir_status decode_parameter(func_run_context *run, const func_overload *overload, vectors arguments,
                                    uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row);
        bool valid = true;
        for (size_t i = 0; i < text.size && valid; i++) {
            valid = text.data[i] != '%' || (text.size - i >= 3 && is_hex(text.data[i + 1]) && is_hex(text.data[i + 2]));
        }
        func_set_text(result, row, NULL, 0);
        if (valid)
            WEIR_TRY(set_decoded(run, result, row, text, true));
        else
            func_row_error(run, row, "URL_DECODE_PARAM: a %% without two hexadecimal digits in '%.*s'",
                           (int)(text.size > 200 ? 200 : text.size), (const char *)text.data);
    }
    return weir_ok();
}

static weir_status encode_parameter(func_run_context *run, const func_overload *overload, vectors arguments,
                                    uint32_t count, const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    static const char digits[] = "0123456789ABCDEF";
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row);
        uint8_t *encoded = weir_arena_try(run->arena, text.size * 3);
        size_t size = 0;
        if (!encoded) return func_no_memory();
        for (size_t i = 0; i < text.size; i++) {
            const uint8_t c = text.data[i];
            if (c == ' ') {
                encoded[size++] = '+';
            } else if (is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '*' || c == '_') {
                encoded[size++] = c;
            } else {
                encoded[size++] = '%';
                encoded[size++] = (uint8_t)digits[c >> 4];
                encoded[size++] = (uint8_t)digits[c & 15];
            }
        }
        func_set_text(result, row, encoded, size);
    }
    return weir_ok();
}

#define URL_PART(name, about, part)                                                                                    \
    { name, "URL", about, "STRING", "STRING", 0, extract, &part, NULL }

static const func_overload overloads[] = {
    {"URL_DECODE_PARAM", "URL", "a form-encoded text decoded", "STRING", "STRING", 0, decode_parameter, NULL, NULL},
    {"URL_ENCODE_PARAM", "URL", "a text in form encoding", "STRING", "STRING", 0, encode_parameter, NULL, NULL},
    URL_PART("URL_EXTRACT_FRAGMENT", "what stands behind the #", fragment_part),
    URL_PART("URL_EXTRACT_HOST", "the host", host_part),
    {"URL_EXTRACT_PARAMETER", "URL", "the value of a parameter of the query", "STRING, STRING", "STRING", 0,
     extract_parameter, NULL, NULL},
    URL_PART("URL_EXTRACT_PATH", "the path", path_part),
    {"URL_EXTRACT_PORT", "URL", "the port, where one is given", "STRING", "INTEGER", 0, extract_port, NULL, NULL},
    URL_PART("URL_EXTRACT_PROTOCOL", "the protocol", scheme_part),
    URL_PART("URL_EXTRACT_QUERY", "what stands behind the ?", query_part),
};
const func_family func_family_url = {overloads, sizeof overloads / sizeof *overloads};
