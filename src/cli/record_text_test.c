/* Goal: a line of an export becomes exactly the record it tells, or is refused with a sentence; no line can do harm.
 * Method: lines worked out by hand, one line cut at every byte, and 20,000 lines with random bytes changed, whose
 * outcome must be a record or INVALID; the account shows that nothing stays behind. */
#include "cli/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MUTATIONS = 20000, LINE_MAX = 512 };

static const char whole_line[] =
    "{\"topic\":\"t\",\"partition\":2,\"offset\":7,\"timestamp\":1700000000000,\"key\":\"k\\u0000\xc3\xa9\","
    "\"value\":{\"base64\":\"/wD+AQ==\"},\"headers\":[{\"name\":\"h\",\"value\":null},{\"name\":\"h\",\"value\":\"\"},"
    "{\"name\":\"b\",\"value\":{\"base64\":\"gIGC\"}}]}";

static weir_account account;

static int open_account(void **state) {
    (void)state;
    weir_account_init(&account, "record test", 0);
    return 0;
}

static int close_account(void **state) {
    (void)state;
    weir_account_deinit(&account); /* asserts that all was freed */
    return 0;
}

static void assert_header(const cli_record *record, size_t index, const char *name, const char *value, size_t size) {
    const char *found_name;
    const void *found;
    size_t found_size;
    assert_int_equal(rd_kafka_header_get_all(record->headers, index, &found_name, &found, &found_size),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_string_equal(found_name, name);
    assert_int_equal(found == NULL, value == NULL);
    assert_int_equal(found_size, size);
    if (value && size) assert_memory_equal(found, value, size);
}

static void test_a_line_is_a_record(void **state) {
    (void)state;
    cli_record record;
    assert_false(weir_failed(cli_record_parse(&record, &account, weir_bytes_text(whole_line))));
    assert_true(weir_bytes_equal(record.key, weir_bytes_of("k\0\xc3\xa9", 4)));
    assert_true(weir_bytes_equal(record.value, weir_bytes_of("\xff\0\xfe\x01", 4)));
    assert_int_equal(record.partition, 2);
    assert_int_equal(record.timestamp, 1700000000000);
    assert_int_equal(rd_kafka_header_cnt(record.headers), 3);
    assert_header(&record, 0, "h", NULL, 0);
    assert_header(&record, 1, "h", "", 0);
    assert_header(&record, 2, "b", "\x80\x81\x82", 3);
    cli_record_deinit(&record);
}

static void test_null_is_not_empty(void **state) {
    (void)state;
    static const struct {
        const char *line;
        bool has_key, has_value;
    } lines[] = {{"{\"value\":null}", false, false},
                 {"{\"key\":null,\"value\":\"\"}", false, true},
                 {"{\"key\":\"\",\"value\":null}", true, false},
                 {"{\"key\":{\"base64\":\"\"},\"value\":{\"base64\":\"\"}}", true, true}};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        cli_record record;
        assert_false(weir_failed(cli_record_parse(&record, &account, weir_bytes_text(lines[i].line))));
        assert_int_equal(record.key.data != NULL, lines[i].has_key);
        assert_int_equal(record.value.data != NULL, lines[i].has_value);
        assert_int_equal(record.key.size + record.value.size, 0);
        assert_int_equal(record.partition, -1);
        assert_int_equal(record.timestamp, -1);
        assert_null(record.headers);
        cli_record_deinit(&record);
    }
}

static void test_base64_is_strict(void **state) {
    (void)state;
    static const char *const wrong[] = {"A", "AA", "AAA", "====", "A===", "AA==AAAA", "AA=A", "AA A", "AAA-", "AAAAA"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char line[LINE_MAX];
        snprintf(line, sizeof line, "{\"value\":{\"base64\":\"%s\"}}", wrong[i]);
        cli_record record;
        const weir_status status = cli_record_parse(&record, &account, weir_bytes_text(line));
        assert_int_equal(status.code, WEIR_INVALID);
        assert_string_equal(status.text, "\"value\" is neither null, a string, nor {\"base64\":...}");
    }
}

static void test_cut_at_every_byte(void **state) {
    (void)state;
    for (size_t size = 0; size < sizeof whole_line - 1; size++) {
        cli_record record;
        assert_int_equal(cli_record_parse(&record, &account, weir_bytes_of(whole_line, size)).code, WEIR_INVALID);
    }
}

static uint64_t next_random(uint64_t *seed) { /* xorshift64 */
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void test_mutations(void **state) {
    (void)state;
    uint64_t seed = 20261125;
    unsigned read = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        char line[sizeof whole_line];
        memcpy(line, whole_line, sizeof line);
        for (uint64_t changes = 1 + next_random(&seed) % 3; changes > 0; changes--) {
            const size_t at = next_random(&seed) % (sizeof line - 1);
            const char other = whole_line[next_random(&seed) % (sizeof line - 1)]; /* one that JSON may well take */
            line[at] = next_random(&seed) % 2 ? (char)next_random(&seed) : other;
        }
        cli_record record;
        const weir_status status = cli_record_parse(&record, &account, weir_bytes_of(line, sizeof line - 1));
        if (weir_failed(status)) {
            assert_int_equal(status.code, WEIR_INVALID);
            continue;
        }
        read++;
        assert_true(record.key.size + record.value.size < sizeof line);
        cli_record_deinit(&record);
    }
    assert_true(read > 0 && read < MUTATIONS); /* both ways were walked */
}

static void test_formats(void **state) {
    (void)state;
    static const char *const known[] = {"text", "json", "hex", "raw", "%v", "a%%b", "%t%p%o%k%v%h%T%I%s"};
    static const char *const unknown[] = {"", "xml", "v", "%", "%z", "%v%", "100%"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) assert_true(cli_record_format_known(known[i]));
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) assert_false(cli_record_format_known(unknown[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_is_a_record, open_account, close_account),
        cmocka_unit_test_setup_teardown(test_null_is_not_empty, open_account, close_account),
        cmocka_unit_test_setup_teardown(test_base64_is_strict, open_account, close_account),
        cmocka_unit_test_setup_teardown(test_cut_at_every_byte, open_account, close_account),
        cmocka_unit_test_setup_teardown(test_mutations, open_account, close_account),
        cmocka_unit_test_setup_teardown(test_formats, open_account, close_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
