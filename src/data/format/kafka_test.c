/* KAFKA and NONE: tables of good and bad records with their exact reasons, then random rows out and in again. */
#include "data/format/format_testing.h"

static test_bench b;

static void test_records(void **state) {
    (void)state;
    static const bench_case cases[] = {
        {"A STRING", "hello", "{\"A\":\"hello\"}"},
        {"A STRING", "", "{\"A\":\"\"}"},
        {"A STRING", "h\xff", "error: KAFKA: column A is not valid UTF-8 at byte 1"},
        {"A BYTES", "\xff", "{\"A\":\"/w==\"}"},
        {"A INTEGER", "\x01\x02\x03\x04", "{\"A\":16909060}"},
        {"A INTEGER", "\xff\xff\xff\xff", "{\"A\":-1}"},
        {"A INTEGER", "abc", "error: KAFKA: expected 4 bytes for column A, got 3"},
        {"A BIGINT", "\x01\x02\x03\x04\x05\x06\x07\x08", "{\"A\":72623859790382856}"},
        {"A DOUBLE", "\x3f\xf8\x01\x01\x01\x01\x01\x01", "{\"A\":1.5002450980392157}"},
        {"A DOUBLE", "", "error: KAFKA: expected 8 bytes for column A, got 0"},
        {"A STRING", NULL, "absent"},
        {"A DATE", "", "The 'KAFKA' format does not support type 'DATE', column: `A`"},
        {"A STRING, B STRING", "", "The 'KAFKA' format only supports a single field. Got: [`A` STRING, `B` STRING]"},
        {"", "", "The 'KAFKA' format only supports a single field. Got: []"},
    };
    bench_cases(&format_kafka, DATA_ROLE_VALUE, NULL, cases, sizeof cases / sizeof *cases);
}

static void test_none(void **state) {
    (void)state;
    static const bench_case cases[] = {
        {"A STRING", "", "format NONE holds no columns, but 1 are declared"},
    };
    bench_open(&b, 1 << 20);
    const format_spec spec = bench_spec(&b, "", DATA_ROLE_KEY, NULL);
    format_encoder *encoder;
    format_slice slice;
    assert_int_equal(format_none.encoder_create(&b.account, &spec, &encoder).code, WEIR_OK);
    data_batch *batch = data_batch_take(b.pool, spec.schema);
    bench_fill_rows(batch, 1);
    assert_int_equal(format_encode(encoder, batch, &batch->selection, &b.text, &slice).code, WEIR_OK);
    assert_int_equal(slice.size, -1);
    data_batch_release(batch);
    format_encoder_destroy(encoder);
    assert_string_equal(bench_decode(&b, &format_none, &spec, weir_bytes_text("anything")), "{}");
    bench_close(&b);
    bench_cases(&format_none, DATA_ROLE_KEY, NULL, cases, 1);
}

static void test_round_trip(void **state) {
    (void)state;
    static const char *const columns[] = {"A INTEGER", "A BIGINT", "A DOUBLE", "A STRING", "A BYTES"};
    bench_open(&b, 8 << 20);
    for (size_t i = 0; i < 5; i++) {
        const format_spec spec = bench_spec(&b, columns[i], DATA_ROLE_KEY, NULL);
        bench_round_trip(&b, &format_kafka, &spec, 1000, i, false);
    }
    bench_close(&b);
}

static void test_wanted_and_found(void **state) {
    (void)state;
    const format_vtable *format;
    bench_open(&b, 1 << 20);
    assert_int_equal(format_find("kafka", &format).code, WEIR_OK);
    assert_ptr_equal(format, &format_kafka);
    const weir_status status = format_find("AVRO", &format);
    assert_int_equal(status.code, WEIR_NOT_FOUND);
    assert_string_equal(status.text, "unknown format AVRO; the formats are JSON, DELIMITED, KAFKA, NONE, COMBINED");
    /* A column that nobody wants gets no vector, and its bytes are checked all the same. */
    const format_spec spec = bench_spec(&b, "A INTEGER", DATA_ROLE_VALUE, NULL);
    const uint64_t nothing = 0;
    const weir_bytes records[2] = {weir_bytes_text("1234"), weir_bytes_text("123")};
    const format_input input = {records, sizeof *records, 2, NULL};
    format_decoder *decoder;
    assert_int_equal(format_kafka.decoder_create(&b.account, &spec, &nothing, &decoder).code, WEIR_OK);
    data_batch *batch = data_batch_take(b.pool, spec.schema);
    assert_int_equal(format_decode(decoder, &input, batch, 0, &b.errors).code, WEIR_OK);
    assert_null(batch->columns[0]);
    assert_int_equal(b.errors.count, 1);
    assert_int_equal(b.errors.rows[0], 1);
    data_batch_release(batch);
    format_decoder_destroy(decoder);
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_wanted_and_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
