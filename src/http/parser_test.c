/* Goal: every request is understood the same however its bytes are cut, every malformed one is refused with the right
 * status, and no bytes at all make the parser misbehave.
 * Method: tables of requests, each fed whole, cut at every byte, and byte by byte; then random mutations of good ones,
 * where the outcome must still not depend on the cut. */
#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static weir_account account;

typedef struct outcome {
    http_progress progress;
    unsigned refusal_status;
    size_t taken;
    char text[2048]; /* what was understood */
} outcome;

static void describe(const http_request *request, char *text, size_t size) {
    int at = snprintf(text, size, "%.*s %.*s?%.*s 1.%u%s", (int)request->method.size, request->method.data,
                      (int)request->path.size, request->path.data, (int)request->query.size,
                      request->query.data ? (const char *)request->query.data : "", request->version_minor,
                      request->keep_alive ? " keep" : "");
    for (size_t i = 0; i < request->header_count && at < (int)size; i++)
        at += snprintf(text + at, size - at, " [%.*s=%.*s]", (int)request->headers[i].name.size,
                       request->headers[i].name.data, (int)request->headers[i].value.size,
                       (const char *)request->headers[i].value.data);
    if (at < (int)size)
        snprintf(text + at, size - at, " {%.*s}", (int)request->body.size,
                 request->body.data ? (const char *)request->body.data : "");
}

/* Feeds `data` in pieces of `first` bytes and then `step` bytes each; HTTP_CONTINUE is an answer, not an end. */
static void feed(weir_bytes data, size_t first, size_t step, outcome *found) {
    http_parser parser;
    http_parser_init(&parser, &account, 1000);
    *found = (outcome){.progress = HTTP_MORE};
    for (size_t at = 0, size = first; at < data.size && found->progress == HTTP_MORE; at += size, size = step) {
        if (size > data.size - at) size = data.size - at;
        if (size == 0) continue;
        /* A copy of exactly that size, so that a sanitizer sees a read beyond it. */
        uint8_t *piece = weir_alloc(&account, size);
        memcpy(piece, data.data + at, size);
        size_t taken;
        found->progress = http_parser_feed(&parser, weir_bytes_of(piece, size), &taken);
        weir_free(&account, piece);
        if (found->progress == HTTP_CONTINUE) found->progress = HTTP_MORE;
        found->taken += taken;
        assert_true(taken == size || found->progress != HTTP_MORE);
    }
    if (found->progress == HTTP_REQUEST) describe(&parser.request, found->text, sizeof found->text);
    if (found->progress == HTTP_BAD) {
        found->refusal_status = parser.refusal_status;
        assert_non_null(parser.refusal_reason);
    }
    http_parser_deinit(&parser);
}

static void assert_same(const outcome *a, const outcome *b) {
    assert_int_equal(a->progress, b->progress);
    assert_int_equal(a->refusal_status, b->refusal_status);
    assert_int_equal(a->taken, b->taken);
    assert_string_equal(a->text, b->text);
}

/* The outcome, after checking that no cut changes it. */
static outcome parse(weir_bytes data) {
    outcome whole, cut;
    feed(data, data.size, 1, &whole);
    feed(data, 1, 1, &cut);
    assert_same(&whole, &cut);
    for (size_t at = 1; at < data.size; at++) {
        feed(data, at, data.size, &cut);
        assert_same(&whole, &cut);
    }
    return whole;
}

static const struct {
    const char *bytes, *understood;
} good[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /? 1.1 keep [Host=a] {}"},
    {"\r\n\r\nGET / HTTP/1.1\r\nHost:a\r\n\r\n", "GET /? 1.1 keep [Host=a] {}"},
    {"GET /p%20q?x=1&y=%2B HTTP/1.1\r\nHost: a:80\r\nX-Y: \t b  c\t \r\nEmpty:\r\n\r\n",
     "GET /p%20q?x=1&y=%2B 1.1 keep [Host=a:80] [X-Y=b  c] [Empty=] {}"},
    {"GET http://host:1/p?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /p?q 1.1 keep [Host=a] {}"},
    {"GET http://host HTTP/1.1\r\nHost: a\r\n\r\n", "GET /? 1.1 keep [Host=a] {}"},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS *? 1.1 keep [Host=a] {}"},
    {"GET / HTTP/1.0\r\n\r\n", "GET /? 1.0 {}"},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET /? 1.0 keep [Connection=Keep-Alive] {}"},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", "GET /? 1.1 [Host=a] [Connection=x, Close] {}"},
    {"POST /q HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
     "POST /q? 1.1 keep [Host=a] [Content-Length=5] {hello}"},
    {"POST /q HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "POST /q? 1.1 keep [Host=a] [Content-Length=0] {}"},
    {"POST /q HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
     "POST /q? 1.1 keep [Host=a] [Expect=100-continue] [Content-Length=2] {hi}"},
    {"POST /q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
     "Chunked\r\n\r\n3\r\nabc\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
     "POST /q? 1.1 keep [Host=a] [Transfer-Encoding=Chunked] {abc0123456789}"},
    {"POST /q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nTrailer: 1\r\nAnother: 2\r\n\r\n",
     "POST /q? 1.1 keep [Host=a] [Transfer-Encoding=chunked] {x}"},
    {"POST /q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "POST /q? 1.1 keep [Host=a] [Transfer-Encoding=chunked] {}"},
};

static void test_good_requests(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const outcome found = parse(weir_bytes_text(good[i].bytes));
        assert_int_equal(found.progress, HTTP_REQUEST);
        assert_int_equal(found.taken, strlen(good[i].bytes));
        assert_string_equal(found.text, good[i].understood);
    }
}

#define HEAD "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"

static const struct {
    const char *bytes;
    unsigned status;
} bad[] = {
    {"GET / HTTP/1.1\nHost: a\n\n", 400},                     /* bare LF */
    {"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", 400},          /* folded */
    {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400}, /* folded */
    {"GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n", 400},         /* bare CR */
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},              /* blank before the colon */
    {"GET / HTTP/1.1\r\nHost\r\n\r\n", 400},                  /* no colon */
    {"GET / HTTP/1.1\r\n: a\r\n\r\n", 400},                   /* no name */
    {"GET / HTTP/1.1\r\n\r\n", 400},                          /* no Host */
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},    /* two */
    {"GET /\r\n\r\n", 400},                                   /* HTTP/0.9 */
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},              /* two blanks */
    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},              /* blank at the end */
    {"GET / HTTP/1.x\r\nHost: a\r\n\r\n", 400},
    {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"AVERYLONGMETHODNAME / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"\x16\x03\x01\x02", 400}, /* TLS at the wrong port */
    {"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", 400},
    {HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400}, /* smuggling: both */
    {HEAD "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
    {HEAD "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400}, /* two */
    {HEAD "Content-Length: 1, 1\r\n\r\na", 400},
    {HEAD "Content-Length: +1\r\n\r\na", 400},
    {HEAD "Content-Length: -1\r\n\r\na", 400},
    {HEAD "Content-Length: 0x1\r\n\r\na", 400},
    {HEAD "Content-Length:\r\n\r\na", 400},
    {HEAD "Content-Length: 9999999999999999999999\r\n\r\na", 400},
    {HEAD "Content-Length: 1001\r\n\r\n", 413},
    {HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {HEAD "Transfer-Encoding: identity\r\n\r\n", 501},
    {HEAD "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n",
     400},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {HEAD "Expect: miracles\r\n\r\n", 417},
    {CHUNKED "\r\n", 400},
    {CHUNKED ";x\r\n", 400},
    {CHUNKED "g\r\n", 400},
    {CHUNKED "-1\r\n", 400},
    {CHUNKED "0x1\r\na\r\n", 400},
    {CHUNKED "1\na\r\n", 400},    /* bare LF */
    {CHUNKED "1\r\nab\r\n", 400}, /* longer than its size */
    {CHUNKED "1\r\na\n", 400},
    {CHUNKED "3e9\r\n", 413}, /* 1001 */
    {CHUNKED "ffffffffffffffffffffffff\r\n", 413},
    {CHUNKED "0\r\nX: \x01\r\n\r\n", 400},
    {CHUNKED "0\r\n\n", 400},
};

static void test_bad_requests(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const outcome found = parse(weir_bytes_text(bad[i].bytes));
        if (found.progress != HTTP_BAD || found.refusal_status != bad[i].status)
            print_error("line %zu of the table: %u\n", i, found.refusal_status);
        assert_int_equal(found.progress, HTTP_BAD);
        assert_int_equal(found.refusal_status, bad[i].status);
    }
}

/* A NUL cannot stand in the table's strings. */
static void test_nul_is_refused(void **state) {
    (void)state;
    static const char bytes[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
    assert_int_equal(parse(weir_bytes_of(bytes, sizeof bytes - 1)).refusal_status, 400);
}

static void test_every_prefix_asks_for_more(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        for (size_t size = 1; size < strlen(good[i].bytes); size++) {
            outcome found;
            feed(weir_bytes_of(good[i].bytes, size), size, 1, &found);
            assert_int_equal(found.progress, HTTP_MORE);
        }
    }
}

static void test_limits_of_the_head(void **state) {
    (void)state;
    weir_buffer bytes;
    outcome found;
    weir_buffer_init(&bytes, &account, 64 * 1024);
    for (size_t extra = 0; extra < 2; extra++) { /* exactly the limit, and one more */
        static const char begin[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        weir_buffer_clear(&bytes);
        weir_buffer_append_text(&bytes, begin);
        while (bytes.size < HTTP_HEAD_BYTES_MAX - 4 + extra) weir_buffer_append_byte(&bytes, 'x');
        weir_buffer_append_text(&bytes, "\r\n\r\n");
        feed(weir_buffer_view(&bytes), bytes.size, 1, &found);
        assert_int_equal(found.refusal_status, extra ? 431 : 0);
        assert_int_equal(found.progress, extra ? HTTP_BAD : HTTP_REQUEST);
    }
    for (size_t extra = 0; extra < 2; extra++) {
        weir_buffer_clear(&bytes);
        weir_buffer_append_text(&bytes, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (size_t i = 1; i < HTTP_HEADERS_MAX + extra; i++) weir_buffer_append_text(&bytes, "A: b\r\n");
        weir_buffer_append_text(&bytes, "\r\n");
        feed(weir_buffer_view(&bytes), bytes.size, 1, &found);
        assert_int_equal(found.refusal_status, extra ? 431 : 0);
    }
    weir_buffer_clear(&bytes);
    weir_buffer_append_text(&bytes, CHUNKED "1;");
    for (size_t i = 0; i < HTTP_CHUNK_LINE_BYTES_MAX; i++) weir_buffer_append_byte(&bytes, 'e');
    feed(weir_buffer_view(&bytes), bytes.size, 1, &found);
    assert_int_equal(found.refusal_status, 400);
    weir_buffer_clear(&bytes);
    weir_buffer_append_text(&bytes, CHUNKED "0\r\n");
    while (bytes.size < HTTP_HEAD_BYTES_MAX + 200) weir_buffer_append_text(&bytes, "Trailer: x\r\n");
    feed(weir_buffer_view(&bytes), bytes.size, 1, &found);
    assert_int_equal(found.refusal_status, 431);
    weir_buffer_deinit(&bytes);
}

static void test_a_full_account_is_a_refusal(void **state) {
    (void)state;
    weir_account small;
    weir_account_init(&small, "small", 2000);
    http_parser parser;
    http_parser_init(&parser, &small, 1000 * 1000);
    size_t taken;
    assert_int_equal(http_parser_feed(&parser, weir_bytes_text(HEAD "Content-Length: 100000\r\n\r\n"), &taken),
                     HTTP_MORE);
    static const uint8_t body[5000];
    assert_int_equal(http_parser_feed(&parser, weir_bytes_of(body, sizeof body), &taken), HTTP_BAD);
    assert_int_equal(parser.refusal_status, 503);
    http_parser_deinit(&parser);
    weir_account_deinit(&small);
}

static void test_continue_and_what_follows(void **state) {
    (void)state;
    http_parser parser;
    http_parser_init(&parser, &account, 1000);
    size_t taken;
    assert_false(http_parser_has_begun(&parser));
    assert_int_equal(
        http_parser_feed(&parser, weir_bytes_text(HEAD "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"), &taken),
        HTTP_CONTINUE);
    assert_true(http_parser_has_head(&parser));
    assert_int_equal(http_parser_feed(&parser, weir_bytes_text("hiGET"), &taken), HTTP_REQUEST);
    assert_int_equal(taken, 2); /* the next request's bytes are not touched */
    http_parser_deinit(&parser);
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static void test_random_mutations(void **state) {
    (void)state;
    uint64_t random = 88172645463325252u;
    static const char spice[] = "\r\n\r\n: \t,;0123aF\0%Hh/*";
    unsigned accepted = 0, refused = 0;
    for (unsigned round = 0; round < 20000; round++) {
        char bytes[512];
        const char *source = good[next_random(&random) % (sizeof good / sizeof good[0])].bytes;
        size_t size = strlen(source);
        memcpy(bytes, source, size);
        for (uint64_t changes = 1 + next_random(&random) % 4; changes > 0; changes--) {
            const size_t at = next_random(&random) % size;
            switch (next_random(&random) % 4) {
            case 0: bytes[at] = (char)next_random(&random); break;
            case 1: bytes[at] = spice[next_random(&random) % sizeof spice]; break;
            case 2: memmove(bytes + at, bytes + at + 1, --size - at); break;
            default:
                memmove(bytes + at + 1, bytes + at, size++ - at);
                bytes[at] = spice[next_random(&random) % sizeof spice];
            }
        }
        outcome whole, cut;
        feed(weir_bytes_of(bytes, size), size, 1, &whole);
        feed(weir_bytes_of(bytes, size), 1 + next_random(&random) % size, 1 + next_random(&random) % 7, &cut);
        assert_same(&whole, &cut);
        accepted += whole.progress == HTTP_REQUEST;
        refused += whole.progress == HTTP_BAD;
    }
    assert_true(accepted > 1000 && refused > 1000);
}

static void test_percent_and_query(void **state) {
    (void)state;
    weir_buffer value;
    bool found;
    weir_buffer_init(&value, &account, 16);
    assert_true(http_percent_decode(weir_bytes_text("a%2Fb+%e4"), false, &value));
    assert_string_equal(weir_buffer_text(&value), "a/b+\xe4");
    weir_buffer_clear(&value);
    assert_false(http_percent_decode(weir_bytes_text("%2"), false, &value));
    assert_false(http_percent_decode(weir_bytes_text("%zz"), false, &value));
    const weir_bytes query = weir_bytes_text("a=1&name=x+y%26z&name=2&flag&bad=%&long=01234567890123456789");
    assert_int_equal(http_query_get(query, "name", &value, &found).code, WEIR_OK);
    assert_true(found);
    assert_string_equal(weir_buffer_text(&value), "x y&z");
    assert_int_equal(http_query_get(query, "flag", &value, &found).code, WEIR_OK);
    assert_true(found && value.size == 0);
    assert_int_equal(http_query_get(query, "none", &value, &found).code, WEIR_OK);
    assert_false(found);
    assert_int_equal(http_query_get(query, "bad", &value, &found).code, WEIR_INVALID);
    assert_int_equal(http_query_get(query, "long", &value, &found).code, WEIR_NO_MEMORY);
    assert_int_equal(http_query_get((weir_bytes){0}, "a", &value, &found).code, WEIR_OK);
    assert_false(found);
    weir_buffer_deinit(&value);
}

static void test_response_head(void **state) {
    (void)state;
    weir_buffer bytes, extra;
    weir_buffer_init(&bytes, &account, 4096);
    weir_buffer_init(&extra, &account, 4096);
    http_header_append(&extra, "X-Note", "a\r\nSet-Cookie: b");
    const http_head head = {.status = 404,
                            .framing = HTTP_FIXED,
                            .content_length = 12,
                            .keep_alive = true,
                            .version_minor = 1,
                            .content_type = "text/plain",
                            .date_ms = 784111777000,
                            .extra = weir_buffer_view(&extra)};
    http_head_append(&bytes, &head);
    assert_string_equal(weir_buffer_text(&bytes), "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                                  "Content-Type: text/plain\r\nContent-Length: 12\r\n"
                                                  "X-Note: a  Set-Cookie: b\r\n\r\n");
    weir_buffer_clear(&bytes);
    http_chunk_append(&bytes, weir_bytes_text("0123456789abcdef0"));
    http_chunk_append(&bytes, weir_bytes_text(""));
    http_chunk_end_append(&bytes);
    assert_string_equal(weir_buffer_text(&bytes), "11\r\n0123456789abcdef0\r\n0\r\n\r\n");
    weir_buffer_deinit(&extra);
    weir_buffer_deinit(&bytes);
}

static int setup(void **state) {
    (void)state;
    weir_account_init(&account, "http test", 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    weir_account_deinit(&account);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_requests),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_nul_is_refused),
        cmocka_unit_test(test_every_prefix_asks_for_more),
        cmocka_unit_test(test_limits_of_the_head),
        cmocka_unit_test(test_a_full_account_is_a_refusal),
        cmocka_unit_test(test_continue_and_what_follows),
        cmocka_unit_test(test_random_mutations),
        cmocka_unit_test(test_percent_and_query),
        cmocka_unit_test(test_response_head),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
