/* DELIMITED: tables of good and bad lines with their exact reasons, what is quoted when writing, random rows out and in
 * again, and lines that are cut and changed everywhere. */
#include "data/format/format_testing.h"

static test_bench b;

static void test_lines(void **state) {
    (void)state;
    static const bench_case cases[] = {
        {"A INTEGER, B STRING", "1,x", "{\"A\":1,\"B\":\"x\"}"},
        {"A INTEGER, B STRING", "1,", "{\"A\":1,\"B\":null}"},
        {"A INTEGER, B STRING", ",\"\"", "{\"A\":null,\"B\":null}"},
        {"A INTEGER, B STRING", "1,\"a,\"\"b\"\"\"\r\n", "{\"A\":1,\"B\":\"a,\\\"b\\\"\"}"},
        {"A INTEGER, B STRING", "1,\"two\nlines\"", "{\"A\":1,\"B\":\"two\\nlines\"}"},
        {"A INTEGER, B STRING", "1,a \"b\" c", "{\"A\":1,\"B\":\"a \\\"b\\\" c\"}"},
        {"A INTEGER, B STRING", "1,x,y", "error: DELIMITED: expected 2 columns, got 3"},
        {"A INTEGER, B STRING", "1", "error: DELIMITED: expected 2 columns, got 1"},
        {"A INTEGER, B STRING", "", "error: DELIMITED: expected 2 columns, got 1"},
        {"A INTEGER, B STRING", "x,1", "error: DELIMITED: expected an integer for column A at byte 0, got \"x\""},
        {"B STRING, A INTEGER", "x,2147483648",
         "error: DELIMITED: expected an integer of 32 bits for column A at byte 2, got \"2147483648\""},
        {"A INTEGER, B STRING", "1,\"x", "error: DELIMITED: the quote at byte 2 is not closed"},
        {"A INTEGER, B STRING", "1,\"x\"y",
         "error: DELIMITED: expected the delimiter behind the closing quote at byte 5"},
        {"A INTEGER, B STRING", "1,x\n2,y", "error: DELIMITED: a second line begins at byte 4"},
        {"A INTEGER, B STRING", "1,\xc3(", "error: DELIMITED: not valid UTF-8 at byte 2"},
        {"A BOOLEAN, B BOOLEAN, C BOOLEAN", "TRUE,false,?", "{\"A\":true,\"B\":false,\"C\":false}"},
        {"A BIGINT, B DOUBLE", "-9223372036854775808,1e3", "{\"A\":-9223372036854775808,\"B\":1000.0}"},
        {"A BIGINT, B DOUBLE", "1,x", "error: DELIMITED: expected a number for column B at byte 2, got \"x\""},
        {"A DECIMAL(4, 2)", "12.5", "{\"A\":12.50}"},
        {"A DECIMAL(4, 2)", "12.345",
         "error: DELIMITED: expected a number that fits the DECIMAL exactly for column A at byte 0, got \"12.345\""},
        {"A DECIMAL(4, 2)", "123",
         "error: DELIMITED: expected a number that fits the DECIMAL exactly for column A at byte 0, got \"123\""},
        {"A DATE, B TIME, C TIMESTAMP", "1,2,3", "{\"A\":1,\"B\":2,\"C\":3}"},
        {"A TIME", "86400000",
         "error: DELIMITED: expected milliseconds of a day for column A at byte 0, got \"86400000\""},
        {"A BYTES", "aGVsbG8=", "{\"A\":\"aGVsbG8=\"}"},
        {"A BYTES", "a", "error: DELIMITED: expected base64 for column A at byte 0, got \"a\""},
        {"A STRING", NULL, "absent"},
        {"A ARRAY<STRING>", "", "The 'DELIMITED' format does not support type 'ARRAY', column: `A`"},
    };
    bench_cases(&format_delimited, DATA_ROLE_VALUE, NULL, cases, sizeof cases / sizeof *cases);
}

static void test_delimiters(void **state) {
    (void)state;
    static const weir_setting tab = {"VALUE_DELIMITER", "TAB"}, pipe = {"VALUE_DELIMITER", "|"},
                              bad = {"VALUE_DELIMITER", "||"};
    static const bench_case tabs[] = {{"A STRING, B STRING", "a,b\tc", "{\"A\":\"a,b\",\"B\":\"c\"}"}};
    static const bench_case pipes[] = {{"A STRING, B STRING", "a,b|\"c|\"", "{\"A\":\"a,b\",\"B\":\"c|\"}"}};
    static const bench_case refused[] = {
        {"A STRING", "", "VALUE_DELIMITER='||': expected one ASCII character, TAB or SPACE"}};
    bench_cases(&format_delimited, DATA_ROLE_VALUE, &tab, tabs, 1);
    bench_cases(&format_delimited, DATA_ROLE_VALUE, &pipe, pipes, 1);
    bench_cases(&format_delimited, DATA_ROLE_VALUE, &bad, refused, 1);
}

static void test_round_trip(void **state) {
    (void)state;
    bench_open(&b, 8 << 20);
    const format_spec spec =
        bench_spec(&b,
                   "A BOOLEAN, B INTEGER, C BIGINT, D DOUBLE, E DECIMAL(20, 5), F STRING, G BYTES, H DATE,"
                   "I TIME, J TIMESTAMP",
                   DATA_ROLE_VALUE, NULL);
    for (uint64_t seed = 0; seed < 20; seed++) bench_round_trip(&b, &format_delimited, &spec, 200, seed, true);
    bench_close(&b);
}

static void test_abuse(void **state) {
    (void)state;
    bench_open(&b, 1 << 20);
    const format_spec spec =
        bench_spec(&b, "A INTEGER, B STRING, C DOUBLE, D BYTES, E DECIMAL(9, 2)", DATA_ROLE_VALUE, NULL);
    bench_abuse(&format_delimited, &spec, &b, "12,\"some \"\"quoted\"\" text, long\",1.5e3,aGVsbG8gd29ybGQh,12.5\r\n",
                20000, 1);
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_delimiters),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_abuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
