/* The request parser: a head is collected byte by byte and understood when its empty line has come; a body is counted.
 * No decision depends on how the bytes were cut. */
#include "http/http.h"

enum state {
    STATE_HEAD,
    STATE_BODY,
    STATE_CHUNK_SIZE,
    STATE_CHUNK_DATA,
    STATE_CHUNK_END,
    STATE_TRAILER,
    STATE_DONE,
    STATE_BAD
};

void http_parser_init(http_parser *parser, weir_account *account, size_t body_bytes_max) {
    *parser = (http_parser){.account = account, .body_bytes_max = body_bytes_max, .state = STATE_HEAD};
    weir_buffer_init(&parser->head, account, HTTP_HEAD_BYTES_MAX);
    weir_buffer_init(&parser->payload, account, body_bytes_max);
}

void http_parser_deinit(http_parser *parser) {
    weir_buffer_deinit(&parser->head);
    weir_buffer_deinit(&parser->payload);
}

bool http_parser_has_begun(const http_parser *parser) {
    return parser->state != STATE_HEAD || parser->head.size > 0;
}

bool http_parser_has_head(const http_parser *parser) {
    return parser->state != STATE_HEAD;
}

static bool refuse(http_parser *parser, unsigned status, const char *reason) {
    parser->state = STATE_BAD;
    parser->refusal_status = status;
    parser->refusal_reason = reason;
    return false;
}

/* ---- characters (RFC 9110, section 5.6) ---- */

static bool is_token_byte(uint8_t byte) {
    if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')) return true;
    return byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

static bool is_token(weir_bytes text) {
    for (size_t i = 0; i < text.size; i++)
        if (!is_token_byte(text.data[i])) return false;
    return text.size > 0;
}

static uint8_t lower(uint8_t byte) {
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

static bool equals_ignoring_case(weir_bytes text, const char *other) {
    if (text.size != strlen(other)) return false;
    for (size_t i = 0; i < text.size; i++)
        if (lower(text.data[i]) != lower((uint8_t)other[i])) return false;
    return true;
}

static weir_bytes trimmed(weir_bytes text) {
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = weir_bytes_of(text.data + 1, text.size - 1);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) text.size--;
    return text;
}

/* Cuts `text` before the first `separator`; *rest is what is behind it, data == NULL when there was none. */
static weir_bytes cut(weir_bytes text, uint8_t separator, weir_bytes *rest) {
    const uint8_t *found = text.size ? memchr(text.data, separator, text.size) : NULL;
    *rest = found ? weir_bytes_of(found + 1, (size_t)(text.data + text.size - found - 1)) : (weir_bytes){0};
    return found ? weir_bytes_of(text.data, (size_t)(found - text.data)) : text;
}

/* ---- the head ---- */

static bool parse_target(http_parser *parser, weir_bytes target) {
    http_request *request = &parser->request;
    for (size_t i = 0; i < target.size; i++)
        if (target.data[i] <= 0x20 || target.data[i] >= 0x7f)
            return refuse(parser, 400, "The request target holds a character that must be percent-encoded.");
    static const char scheme[] = "http://";
    const size_t scheme_bytes = sizeof scheme - 1;
    if (target.size > scheme_bytes && equals_ignoring_case(weir_bytes_of(target.data, scheme_bytes), scheme)) {
        size_t at = scheme_bytes;
        while (at < target.size && target.data[at] != '/' && target.data[at] != '?') at++;
        target = weir_bytes_of(target.data + at, target.size - at);
        if (target.size == 0) target = weir_bytes_text("/");
    }
    request->path = cut(target, '?', &request->query);
    if (weir_bytes_equal_text(request->path, "*") && !request->query.data) return true;
    if (request->path.size > 0 && request->path.data[0] == '/') return true;
    return refuse(parser, 400, "The request target does not begin with a slash.");
}

static bool parse_request_line(http_parser *parser, weir_bytes line) {
    http_request *request = &parser->request;
    weir_bytes rest, version;
    request->method = cut(line, ' ', &rest);
    if (!is_token(request->method) || request->method.size > HTTP_METHOD_BYTES_MAX)
        return refuse(parser, 400, "The request line does not begin with a method.");
    const weir_bytes target = cut(rest, ' ', &version);
    if (target.size == 0 || !version.data)
        return refuse(parser, 400, "The request line is not 'METHOD TARGET HTTP/1.1'.");
    if (version.size != 8 || memcmp(version.data, "HTTP/", 5) != 0 || version.data[6] != '.' || version.data[5] < '0' ||
        version.data[5] > '9' || version.data[7] < '0' || version.data[7] > '9')
        return refuse(parser, 400, "The request line does not end with a version.");
    if (version.data[5] != '1') return refuse(parser, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
    request->version_minor = version.data[7] == '0' ? 0 : 1;
    return parse_target(parser, target);
}

static bool parse_content_length(http_parser *parser, weir_bytes value) {
    if (parser->has_content_length) return refuse(parser, 400, "There is more than one Content-Length.");
    if (value.size == 0 || value.size > 18) return refuse(parser, 400, "The Content-Length is not a number.");
    uint64_t length = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return refuse(parser, 400, "The Content-Length is not a number.");
        length = length * 10 + (value.data[i] - '0');
    }
    parser->has_content_length = true;
    parser->body_left = length;
    return true;
}

static bool parse_header(http_parser *parser, weir_bytes line) {
    http_request *request = &parser->request;
    if (line.data[0] == ' ' || line.data[0] == '\t') return refuse(parser, 400, "A header is folded over two lines.");
    weir_bytes value;
    const weir_bytes name = cut(line, ':', &value);
    if (!value.data || !is_token(name)) return refuse(parser, 400, "A header is not 'Name: value'.");
    if (request->header_count == HTTP_HEADERS_MAX) return refuse(parser, 431, "There are too many headers.");
    value = trimmed(value);
    request->headers[request->header_count++] = (http_header){name, value};
    if (equals_ignoring_case(name, "content-length")) return parse_content_length(parser, value);
    if (equals_ignoring_case(name, "transfer-encoding")) {
        if (parser->is_chunked) return refuse(parser, 400, "There is more than one Transfer-Encoding.");
        if (!equals_ignoring_case(value, "chunked"))
            return refuse(parser, 501, "The only Transfer-Encoding here is chunked.");
        parser->is_chunked = true;
    } else if (equals_ignoring_case(name, "expect")) {
        if (!equals_ignoring_case(value, "100-continue")) return refuse(parser, 417, "The expectation cannot be met.");
        parser->wants_continue = true;
    }
    return true;
}

static bool parse_lines(http_parser *parser) {
    weir_bytes left = weir_buffer_view(&parser->head);
    for (bool is_first = true; left.size > 2; is_first = false) { /* the last two bytes are the empty line */
        const uint8_t *end = memchr(left.data, '\r', left.size);
        const weir_bytes line = {left.data, (size_t)(end - left.data)};
        if (!(is_first ? parse_request_line(parser, line) : parse_header(parser, line))) return false;
        left = weir_bytes_of(end + 2, left.size - line.size - 2);
    }
    return true;
}

/* The head is complete: what body follows, and whether another request may. */
static bool head_end(http_parser *parser) {
    http_request *request = &parser->request;
    if (!parse_lines(parser)) return false;
    if (parser->is_chunked && parser->has_content_length)
        return refuse(parser, 400, "There are both Content-Length and Transfer-Encoding.");
    if (parser->is_chunked && request->version_minor == 0)
        return refuse(parser, 400, "HTTP/1.0 has no Transfer-Encoding.");
    size_t hosts = 0;
    for (size_t i = 0; i < request->header_count; i++) hosts += equals_ignoring_case(request->headers[i].name, "host");
    if (hosts > 1 || (hosts == 0 && request->version_minor == 1))
        return refuse(parser, 400, "There is not one Host header.");
    if (parser->body_left > parser->body_bytes_max) return refuse(parser, 413, "The body is too large.");
    request->keep_alive = request->version_minor == 1 ? !http_header_has_token(request, "connection", "close")
                                                      : http_header_has_token(request, "connection", "keep-alive");
    if (request->version_minor == 0) parser->wants_continue = false;
    parser->line_at = 0;
    if (parser->is_chunked)
        parser->state = STATE_CHUNK_SIZE;
    else
        parser->state = parser->body_left > 0 ? STATE_BODY : STATE_DONE;
    if (parser->state == STATE_DONE) parser->wants_continue = false;
    return true;
}

/* No line of head, chunk size or trailer holds a bare CR, a bare LF or a control character. `before` is the byte
 * before, 0 at the beginning. */
static bool check_line_byte(http_parser *parser, uint8_t before, uint8_t byte) {
    if (byte == '\n' && before != '\r') return refuse(parser, 400, "A line ends without a carriage return.");
    if (before == '\r' && byte != '\n') return refuse(parser, 400, "A carriage return stands inside a line.");
    if ((byte < 0x20 && byte != '\t' && byte != '\r' && byte != '\n') || byte == 0x7f)
        return refuse(parser, 400, "A control character stands in the head.");
    return true;
}

static bool feed_head(http_parser *parser, uint8_t byte) {
    weir_buffer *head = &parser->head;
    const uint8_t before = head->size ? head->data[head->size - 1] : 0;
    if (!check_line_byte(parser, before, byte)) return false;
    weir_buffer_append_byte(head, byte);
    if (head->overflowed) {
        if (head->size + 1 > HTTP_HEAD_BYTES_MAX) return refuse(parser, 431, "The head is too large.");
        return refuse(parser, 503, "The server is out of memory.");
    }
    if (byte != '\n') return true;
    const size_t line_bytes = head->size - parser->line_at - 2;
    const bool is_first = parser->line_at == 0;
    parser->line_at = head->size;
    if (is_first && line_bytes == 0) { /* an empty line before the request is left over from an older client's body */
        weir_buffer_clear(head);
        parser->line_at = 0;
        if (++parser->empty_lines > 8) return refuse(parser, 400, "There are only empty lines.");
        return true;
    }
    if (line_bytes == 0) return head_end(parser);
    /* The first line is understood again with the rest; here it turns strangers away early. */
    return !is_first || parse_request_line(parser, weir_bytes_of(head->data, line_bytes));
}

/* ---- the body ---- */

static bool take_body(http_parser *parser, weir_bytes data, size_t *taken) {
    const size_t size = data.size < parser->body_left ? data.size : parser->body_left;
    weir_buffer_append(&parser->payload, data.data, size);
    if (parser->payload.overflowed) return refuse(parser, 503, "The server is out of memory.");
    parser->body_left -= size;
    *taken += size;
    return true;
}

static int hex_digit(uint8_t byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (lower(byte) >= 'a' && lower(byte) <= 'f') return lower(byte) - 'a' + 10;
    return -1;
}

/* A chunk's size line: hex digits, then perhaps an extension, which is read over. body_left gathers the size. */
static bool feed_chunk_size(http_parser *parser, uint8_t byte) {
    if (!check_line_byte(parser, parser->byte_before, byte)) return false;
    parser->byte_before = byte;
    const int digit = hex_digit(byte);
    if (byte == '\n') {
        if (!parser->has_chunk_size) return refuse(parser, 400, "A chunk has no size.");
        parser->state = parser->body_left > 0 ? STATE_CHUNK_DATA : STATE_TRAILER;
        parser->line_at = 0;
        parser->byte_before = 0;
        parser->has_chunk_size = parser->in_extension = false;
        return true;
    }
    if (++parser->line_at > HTTP_CHUNK_LINE_BYTES_MAX) return refuse(parser, 400, "A chunk's size line is too long.");
    if (parser->in_extension || byte == '\r') return true;
    if (digit >= 0) {
        parser->has_chunk_size = true;
        if (parser->body_left > (SIZE_MAX >> 5)) return refuse(parser, 413, "The body is too large.");
        parser->body_left = parser->body_left * 16 + (size_t)digit;
        if (parser->body_left > parser->body_bytes_max - parser->payload.size)
            return refuse(parser, 413, "The body is too large.");
        return true;
    }
    if (!parser->has_chunk_size || (byte != ';' && byte != ' ' && byte != '\t'))
        return refuse(parser, 400, "A chunk's size is not a hexadecimal number.");
    parser->in_extension = true;
    return true;
}

static bool feed_chunk_end(http_parser *parser, uint8_t byte) {
    if (byte != (parser->line_at == 0 ? '\r' : '\n')) return refuse(parser, 400, "A chunk is longer than its size.");
    if (++parser->line_at < 2) return true;
    parser->line_at = 0;
    parser->state = STATE_CHUNK_SIZE;
    return true;
}

/* Trailers are read over: none has a meaning here. */
static bool feed_trailer(http_parser *parser, uint8_t byte) {
    if (!check_line_byte(parser, parser->byte_before, byte)) return false;
    parser->byte_before = byte;
    if (++parser->head_bytes > HTTP_HEAD_BYTES_MAX) return refuse(parser, 431, "The trailers are too large.");
    if (byte != '\n') {
        parser->line_at++;
        return true;
    }
    if (parser->line_at == 1) parser->state = STATE_DONE; /* only its CR */
    parser->line_at = 0;
    return true;
}

static bool feed_byte(http_parser *parser, uint8_t byte) {
    switch ((enum state)parser->state) {
    case STATE_HEAD: return feed_head(parser, byte);
    case STATE_CHUNK_SIZE: return feed_chunk_size(parser, byte);
    case STATE_CHUNK_END: return feed_chunk_end(parser, byte);
    case STATE_TRAILER: return feed_trailer(parser, byte);
    case STATE_BODY:
    case STATE_CHUNK_DATA:
    case STATE_DONE:
    case STATE_BAD: break;
    }
    weir_assert(false);
    return false;
}

http_progress http_parser_feed(http_parser *parser, weir_bytes data, size_t *taken) {
    weir_assert(parser->state != STATE_BAD && parser->state != STATE_DONE);
    *taken = 0;
    while (*taken < data.size && parser->state != STATE_DONE) {
        if (parser->state == STATE_BODY || parser->state == STATE_CHUNK_DATA) {
            if (!take_body(parser, weir_bytes_of(data.data + *taken, data.size - *taken), taken)) return HTTP_BAD;
            if (parser->body_left > 0) break;
            parser->state = parser->state == STATE_BODY ? STATE_DONE : STATE_CHUNK_END;
        } else if (!feed_byte(parser, data.data[(*taken)++])) {
            return HTTP_BAD;
        }
    }
    if (parser->state == STATE_DONE) {
        parser->request.body = weir_buffer_view(&parser->payload);
        return HTTP_REQUEST;
    }
    /* A client that has begun the body does not wait any more. */
    if (parser->wants_continue && http_parser_has_head(parser)) {
        parser->wants_continue = false;
        if (parser->payload.size == 0) return HTTP_CONTINUE;
    }
    return HTTP_MORE;
}

/* ---- looking things up ---- */

bool http_method_is(const http_request *request, const char *method) {
    return weir_bytes_equal_text(request->method, method);
}

weir_bytes http_header_get(const http_request *request, const char *name) {
    for (size_t i = 0; i < request->header_count; i++)
        if (equals_ignoring_case(request->headers[i].name, name)) return request->headers[i].value;
    return (weir_bytes){0};
}

bool http_header_has_token(const http_request *request, const char *name, const char *token) {
    for (size_t i = 0; i < request->header_count; i++) {
        if (!equals_ignoring_case(request->headers[i].name, name)) continue;
        weir_bytes left = request->headers[i].value;
        while (left.data) {
            weir_bytes rest;
            if (equals_ignoring_case(trimmed(cut(left, ',', &rest)), token)) return true;
            left = rest;
        }
    }
    return false;
}

bool http_percent_decode(weir_bytes text, bool plus_is_blank, weir_buffer *target) {
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte == '%') {
            if (text.size - i < 3) return false;
            const int high = hex_digit(text.data[i + 1]), low = hex_digit(text.data[i + 2]);
            if (high < 0 || low < 0) return false;
            byte = (uint8_t)(high * 16 + low);
            i += 2;
        } else if (byte == '+' && plus_is_blank) {
            byte = ' ';
        }
        weir_buffer_append_byte(target, byte);
    }
    return true;
}

/* Names are compared encoded: the names looked for are plain letters, which nobody encodes. */
weir_status http_query_get(weir_bytes query, const char *name, weir_buffer *value, bool *found) {
    *found = false;
    weir_buffer_clear(value);
    while (query.data) {
        weir_bytes rest, encoded;
        const weir_bytes key = cut(cut(query, '&', &rest), '=', &encoded);
        query = rest;
        if (!weir_bytes_equal_text(key, name)) continue;
        *found = true;
        if (!http_percent_decode(encoded, true, value))
            return weir_fail(WEIR_INVALID, "the query parameter %s is not percent-encoded", name);
        if (value->overflowed) return weir_fail(WEIR_NO_MEMORY, "the query parameter %s is too long", name);
        return weir_ok();
    }
    return weir_ok();
}
