/* COMBINED: lines as nginx and Apache write them, with what becomes of each part, and every way in which a line can
 * fail to be one, with the exact reason; then lines cut and changed everywhere. */
#include "data/format/format_testing.h"

static test_bench b;

#define REST "\"GET /a HTTP/1.1\" 200 5 \"-\" \"-\""

static void test_lines(void **state) {
    (void)state;
    static const char all[] =
        "REMOTE_ADDR STRING, REMOTE_USER STRING, `TIME` TIMESTAMP, REQUEST STRING, METHOD STRING, PATH STRING,"
        "QUERY STRING, PROTOCOL STRING, STATUS INTEGER, `BYTES` BIGINT, REFERER STRING, USER_AGENT STRING";
    static const bench_case cases[] = {
        {all,
         "127.0.0.1 - bob [10/Oct/2000:13:55:36 -0700] \"GET /a/b.html?x=1&y HTTP/1.1\" 200 2326 \"http://e.org/\" "
         "\"Mozilla/5.0 (X)\"",
         "{\"REMOTE_ADDR\":\"127.0.0.1\",\"REMOTE_USER\":\"bob\",\"TIME\":971211336000,\"REQUEST\":\"GET "
         "/a/b.html?x=1&y HTTP/1.1\","
         "\"METHOD\":\"GET\",\"PATH\":\"/a/b.html\",\"QUERY\":\"x=1&y\",\"PROTOCOL\":\"HTTP/"
         "1.1\",\"STATUS\":200,\"BYTES\":2326,"
         "\"REFERER\":\"http://e.org/\",\"USER_AGENT\":\"Mozilla/5.0 (X)\"}"},
        {all, "::1 - - [24/Nov/2026:10:00:00 +0000] \"\" 400 0 \"-\" \"-\"\r\n",
         "{\"REMOTE_ADDR\":\"::1\",\"REMOTE_USER\":null,\"TIME\":1795514400000,\"REQUEST\":\"\",\"METHOD\":null,"
         "\"PATH\":null,"
         "\"QUERY\":null,\"PROTOCOL\":null,\"STATUS\":400,\"BYTES\":0,\"REFERER\":null,\"USER_AGENT\":null}"},
        {"REQUEST STRING, METHOD STRING, PATH STRING",
         "1 - - [24/Nov/2026:10:00:00 +0000] \"\\x16\\x03\\x01\\xFF\" 400 157 \"-\" \"-\"",
         "{\"REQUEST\":\"\\\\x16\\\\x03\\\\x01\\\\xFF\",\"METHOD\":null,\"PATH\":null}"},
        {"PATH STRING, QUERY STRING",
         "1 - - [24/Nov/2026:10:00:00 +0000] \"GET /\\xC3\\xA9?q=\\x22 HTTP/1.1\" 200 1 \"-\" \"-\"",
         "{\"PATH\":\"/é\",\"QUERY\":\"q=\\\"\"}"},
        {"USER_AGENT STRING, REFERER STRING",
         "1 - - [24/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 - \"\" \"a \\\"b\\\" \\\\ \\t\"",
         "{\"USER_AGENT\":\"a \\\"b\\\" \\\\ \\t\",\"REFERER\":\"\"}"},
        {"`BYTES` BIGINT, STATUS BIGINT", "1 - - [24/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" - - \"-\" \"-\"",
         "{\"BYTES\":null,\"STATUS\":null}"},
        {"METHOD STRING, PATH STRING, PROTOCOL STRING",
         "1 - - [24/Nov/2026:10:00:00 +0000] \"GET /old\" 200 1 \"-\" \"-\"",
         "{\"METHOD\":\"GET\",\"PATH\":\"/old\",\"PROTOCOL\":null}"},
        {"METHOD STRING, PATH STRING", "1 - - [24/Nov/2026:10:00:00 +0000] \"GET /a b HTTP/1.1\" 400 1 \"-\" \"-\"",
         "{\"METHOD\":\"GET\",\"PATH\":\"/a b\"}"},
        {"METHOD STRING, PATH STRING", "1 - - [24/Nov/2026:10:00:00 +0000] \"GET /a b\" 400 1 \"-\" \"-\"",
         "error: COMBINED: the request at byte 36 is not `METHOD target HTTP/x`: \"GET /a b\""},
        {"REMOTE_USER STRING", "1 - a b [c [24/Nov/2026:10:00:00 +0000] " REST,
         "error: COMBINED: expected a time like 24/Nov/2026:10:00:00 +0100 at byte 9, got \"c [24/Nov/2026:10:00:00 "
         "+0000] \\x22GET "
         "/a H\"..."},
        {"REMOTE_USER STRING", "1 - a b [24/Nov/2026:10:00:00 +0000] " REST, "{\"REMOTE_USER\":\"a b\"}"},
        {"STATUS INTEGER", "", "error: COMBINED: expected the client's address at byte 0, got the end of the line"},
        {"STATUS INTEGER", "hello", "error: COMBINED: expected the client's address at byte 0, got \"hello\""},
        {"STATUS INTEGER", "1 - [24/Nov/2026:10:00:00 +0000] " REST,
         "error: COMBINED: expected the user and \" [\" before the time at byte 4, got \"[24/Nov/2026:10:00:00 +0000] "
         "\\x22GET /a "
         "HTT\"..."},
        {"STATUS INTEGER", "1 - - [31/Feb/2026:10:00:00 +0000] " REST,
         "error: COMBINED: expected a time like 24/Nov/2026:10:00:00 +0100 at byte 7, got \"31/Feb/2026:10:00:00 "
         "+0000] \\x22GET /a "
         "HTTP\"..."},
        {"STATUS INTEGER", "1 - - [24/Nov/2026:10:00:00 +0000] GET",
         "error: COMBINED: expected the quoted request at byte 35, got \"GET\""},
        {"STATUS INTEGER", "1 - - [24/Nov/2026:10:00:00 +0000] \"GET",
         "error: COMBINED: the quote at byte 35 is not closed"},
        {"STATUS INTEGER", "1 - - [24/Nov/2026:10:00:00 +0000] \"\" 2x0 1 \"-\" \"-\"",
         "error: COMBINED: expected a status of up to 3 digits at byte 38, got \"2x0 1 \\x22-\\x22 \\x22-\\x22\""},
        {"STATUS INTEGER", "1 - - [24/Nov/2026:10:00:00 +0000] \"\" 200 1 \"-\" \"-\" \"x\"",
         "error: COMBINED: expected the end of the line at byte 51, got \" \\x22x\\x22\""},
        {"STATUS INTEGER", "1 - - [24/Nov/2026:10:00:00 +0000] \"\xff\" 200 1 \"-\" \"-\"",
         "error: COMBINED: not valid UTF-8 at byte 36"},
        {"STATUS STRING", "", "The 'COMBINED' format does not support type 'STRING', column: `STATUS`"},
        {"STATUSS INTEGER", "",
         "format COMBINED has no column STATUSS, did you mean STATUS; it has REMOTE_ADDR, REMOTE_USER, TIME, REQUEST, "
         "METHOD, "
         "PATH, QUERY, PROTOCOL, STATUS, BYTES, REFERER, USER_AGENT"},
    };
    bench_cases(&format_combined, DATA_ROLE_VALUE, NULL, cases, sizeof cases / sizeof *cases);
}

/* Parts of a request alone cannot hold what is none: the line goes to the quarantine. */
static void test_no_request(void **state) {
    (void)state;
    static const bench_case cases[] = {
        {"METHOD STRING", "1 - - [24/Nov/2026:10:00:00 +0000] \"\" 400 1 \"-\" \"-\"",
         "error: COMBINED: the request at byte 36 is not `METHOD target HTTP/x`: \"\""},
        {"STATUS INTEGER", "1 - - [24/Nov/2026:10:00:00 +0000] \"\" 400 1 \"-\" \"-\"", "{\"STATUS\":400}"},
    };
    bench_cases(&format_combined, DATA_ROLE_VALUE, NULL, cases, sizeof cases / sizeof *cases);
}

static void test_read_only(void **state) {
    (void)state;
    format_encoder *encoder;
    bench_open(&b, 1 << 20);
    const format_spec spec = bench_spec(&b, "STATUS INTEGER", DATA_ROLE_VALUE, NULL);
    const format_spec key = bench_spec(&b, "STATUS INTEGER", DATA_ROLE_KEY, NULL);
    assert_int_equal(format_combined.encoder_create(&b.account, &spec, &encoder).code, WEIR_UNSUPPORTED);
    assert_int_equal(format_combined.supports(&key).code, WEIR_INVALID);
    bench_close(&b);
}

static void test_abuse(void **state) {
    (void)state;
    bench_open(&b, 1 << 20);
    const format_spec spec =
        bench_spec(&b, "REMOTE_USER STRING, `TIME` TIMESTAMP, PATH STRING, QUERY STRING, USER_AGENT STRING",
                   DATA_ROLE_VALUE, NULL);
    bench_abuse(&format_combined, &spec, &b,
                "10.0.0.1 - bob [24/Nov/2026:10:00:00 +0100] \"GET /\\xC3\\xA9/long/path?q=\\x22 HTTP/1.1\" 200 512 "
                "\"http://example.org/\" \"Mozilla/5.0 \\x5C \xc3\xa9\"",
                20000, 3);
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_no_request),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_abuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
