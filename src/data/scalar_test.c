/* Scalars: tables for parsing and printing, rounding both ways, and random values that must survive the way to text and
 * back; decimal arithmetic is held against doubles where those are exact. */
#include "data/scalar.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_decimal_parse(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned precision, scale;
        data_rounding rounding;
        data_fit fit;
        int64_t value;
    } cases[] = {
        {"12.34", 4, 2, DATA_ROUND_EXACT, DATA_FIT_OK, 1234},
        {"-0.5", 4, 2, DATA_ROUND_EXACT, DATA_FIT_OK, -50},
        {"+.5", 4, 2, DATA_ROUND_EXACT, DATA_FIT_OK, 50},
        {"5.", 4, 2, DATA_ROUND_EXACT, DATA_FIT_OK, 500},
        {"1e1", 4, 2, DATA_ROUND_EXACT, DATA_FIT_OK, 1000},
        {"125e-1", 4, 2, DATA_ROUND_EXACT, DATA_FIT_OK, 1250},
        {"0e99999", 4, 2, DATA_ROUND_EXACT, DATA_FIT_OK, 0},
        {"1e99999", 4, 2, DATA_ROUND_EXACT, DATA_FIT_OVERFLOWS, 0},
        {"1e-99999", 4, 2, DATA_ROUND_HALF_UP, DATA_FIT_OK, 0},
        {"1.230", 4, 2, DATA_ROUND_EXACT, DATA_FIT_OK, 123},
        {"1.234", 4, 2, DATA_ROUND_EXACT, DATA_FIT_ROUNDS, 0},
        {"1.235", 4, 2, DATA_ROUND_HALF_UP, DATA_FIT_OK, 124},
        {"-1.235", 4, 2, DATA_ROUND_HALF_UP, DATA_FIT_OK, -124},
        {"-1.231", 4, 2, DATA_ROUND_FLOOR, DATA_FIT_OK, -124},
        {"1.231", 4, 2, DATA_ROUND_CEILING, DATA_FIT_OK, 124},
        {"0.0049", 4, 2, DATA_ROUND_HALF_UP, DATA_FIT_OK, 0},
        {"99.995", 4, 2, DATA_ROUND_HALF_UP, DATA_FIT_OVERFLOWS, 0},
        {"100", 4, 2, DATA_ROUND_EXACT, DATA_FIT_OVERFLOWS, 0},
        {"", 4, 2, DATA_ROUND_EXACT, DATA_FIT_NOT_A_NUMBER, 0},
        {"-", 4, 2, DATA_ROUND_EXACT, DATA_FIT_NOT_A_NUMBER, 0},
        {".", 4, 2, DATA_ROUND_EXACT, DATA_FIT_NOT_A_NUMBER, 0},
        {"1.2.3", 4, 2, DATA_ROUND_EXACT, DATA_FIT_NOT_A_NUMBER, 0},
        {"1e", 4, 2, DATA_ROUND_EXACT, DATA_FIT_NOT_A_NUMBER, 0},
        {" 1", 4, 2, DATA_ROUND_EXACT, DATA_FIT_NOT_A_NUMBER, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        data_decimal value = 0;
        const data_fit fit = data_decimal_parse(weir_bytes_text(cases[i].text), cases[i].precision, cases[i].scale,
                                                cases[i].rounding, &value);
        if (fit != cases[i].fit || (fit == DATA_FIT_OK && value != cases[i].value)) {
            fail_msg("%s: fit %d value %lld", cases[i].text, (int)fit, (long long)value);
        }
    }
}

static void check_format(data_decimal value, unsigned scale, const char *wanted) {
    char text[DATA_DECIMAL_TEXT_MAX + 1];
    text[data_decimal_format(text, value, scale)] = 0;
    assert_string_equal(text, wanted);
}

static void test_decimal_format(void **state) {
    (void)state;
    check_format(0, 0, "0");
    check_format(0, 2, "0.00");
    check_format(-5, 2, "-0.05");
    check_format(1234, 2, "12.34");
    check_format(data_decimal_power10(38) - 1, 0, "99999999999999999999999999999999999999");
    check_format(1 - data_decimal_power10(38), 38, "-0.99999999999999999999999999999999999999");
}

static uint64_t next(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void test_decimal_round_trip(void **state) {
    (void)state;
    uint64_t seed = 5;
    for (int i = 0; i < 20000; i++) {
        const unsigned precision = (unsigned)(next(&seed) % 38) + 1, scale = (unsigned)(next(&seed) % (precision + 1));
        data_decimal value =
            ((data_decimal)(int64_t)next(&seed) * INT64_MAX + (int64_t)next(&seed)) % data_decimal_power10(precision);
        data_decimal back, other = (data_decimal)(int64_t)next(&seed) % data_decimal_power10(precision);
        char text[DATA_DECIMAL_TEXT_MAX];
        const size_t size = data_decimal_format(text, value, scale);
        assert_int_equal(data_decimal_parse(weir_bytes_of(text, size), precision, scale, DATA_ROUND_EXACT, &back),
                         DATA_FIT_OK);
        assert_true(back == value);
        assert_int_equal(data_decimal_compare(value, scale, other, scale), value < other ? -1 : value > other);
        /* Order does not depend on how many digits are written. */
        data_decimal wider;
        if (data_decimal_rescale(value, scale, 38, scale + 1, DATA_ROUND_EXACT, &wider) == DATA_FIT_OK &&
            scale + 1 <= 38) {
            assert_int_equal(data_decimal_compare(value, scale, wider, scale + 1), 0);
        }
        double number;
        assert_true(weir_parse_f64(weir_bytes_of(text, size), &number));
        assert_true(data_decimal_to_f64(value, scale) == number);
    }
}

static void test_base64(void **state) {
    (void)state;
    uint64_t seed = 9;
    for (size_t size = 0; size < 100; size++) {
        uint8_t bytes[100], back[103];
        char text[140];
        size_t got;
        for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)next(&seed);
        data_base64_encode(weir_bytes_of(bytes, size), text);
        size_t encoded = data_base64_encoded_bytes(size);
        for (int padded = 1; padded >= 0; padded--) {
            assert_true(data_base64_decode(weir_bytes_of(text, encoded), back, &got));
            assert_int_equal(got, size);
            assert_memory_equal(back, bytes, size);
            while (encoded && text[encoded - 1] == '=') encoded--;
        }
    }
    static const char *const bad[] = {"a", "ab=c", "a===", "ab c", "====", "ab=", "\xff\xff\xff\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t target[16];
        size_t got;
        if (data_base64_decode(weir_bytes_text(bad[i]), target, &got)) fail_msg("%s was taken", bad[i]);
    }
}

static void test_times(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"2020", 1577836800000},
                {"2020-02", 1580515200000},
                {"2020-02-29", 1582934400000},
                {"2020-02-29T10", 1582970400000},
                {"2020-02-29T10:30", 1582972200000},
                {"2020-02-29 10:30:01.5", 1582972201500}};
    int64_t ms;
    int32_t number;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!data_timestamp_parse(weir_bytes_text(good[i].text), &ms) || ms != good[i].ms) fail_msg("%s", good[i].text);
    }
    static const char *const bad[] = {
        "", "20", "2020-", "2020-13", "2020-02-30", "2020-02-29T25", "2020-02-29T10:61", "x020"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (data_timestamp_parse(weir_bytes_text(bad[i]), &ms)) fail_msg("%s was taken", bad[i]);
    }
    assert_true(data_time_parse(weir_bytes_text("23:59:59.999"), &number) && number == 86399999);
    static const char *const no_times[] = {"24:00", "1:00", "10:60", "10:00:", "10:00:00.", "10:00:00.x", "10-00", ""};
    for (size_t i = 0; i < sizeof no_times / sizeof *no_times; i++) {
        if (data_time_parse(weir_bytes_text(no_times[i]), &number)) fail_msg("%s was taken", no_times[i]);
    }
    uint64_t seed = 3;
    for (int i = 0; i < 10000; i++) {
        char text[DATA_TIME_TEXT_MAX];
        const int64_t wanted = (int64_t)(next(&seed) % 200000000000000u) - 50000000000000;
        assert_true(data_timestamp_parse(weir_bytes_of(text, data_timestamp_format(text, wanted)), &ms));
        assert_true(ms == wanted);
        const int32_t of_day = (int32_t)(next(&seed) % DATA_MS_PER_DAY);
        assert_true(data_time_parse(weir_bytes_of(text, data_time_format(text, of_day)), &number) && number == of_day);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimal_parse),
        cmocka_unit_test(test_decimal_format),
        cmocka_unit_test(test_decimal_round_trip),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
