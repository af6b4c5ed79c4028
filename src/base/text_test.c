/* Goal: text and numbers turn into each other exactly, doubles as Java prints them.
 * Method: tables of cases, then random values that must read back; for random doubles the shortest form is checked by
 * looking for a shorter one with printf. */
#include "base/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static weir_bytes text(const char *value) {
    return weir_bytes_text(value);
}

static uint64_t seed = 11;
static uint64_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void whole_numbers_are_read_or_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},          {"-0", 0},  {"+7", 7}, {"007", 7}, {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN}, {"00000000000000000000000000012", 12}};
    static const char *const bad[] = {"",   "-",   "+",   " 1", "1 ", "1.0", "0x1", "--1", "9223372036854775808",
                                      "-9223372036854775809", "99999999999999999999999", "1e3"};
    int64_t value;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(weir_parse_i64(text(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(weir_parse_i64(text(bad[i]), &value));
    assert_true(weir_parse_i64(weir_bytes_of("123456", 3), &value) && value == 123); /* no terminator is looked at */
}

static void whole_numbers_survive_the_round_trip(void **state) {
    (void)state;
    for (int i = 0; i < 100000; i++) {
        const int64_t value = i == 0 ? INT64_MIN : i == 1 ? INT64_MAX : (int64_t)next_random() >> next_random() % 64;
        char written[WEIR_I64_TEXT_MAX];
        const size_t size = weir_format_i64(written, value);
        int64_t read;
        assert_true(size <= WEIR_I64_TEXT_MAX);
        assert_true(weir_parse_i64(weir_bytes_of(written, size), &read));
        assert_true(read == value);
    }
}

static void truth_values_ignore_case(void **state) {
    (void)state;
    bool value = false;
    assert_true(weir_parse_bool(text("TRUE"), &value) && value);
    assert_true(weir_parse_bool(text("False"), &value) && !value);
    assert_false(weir_parse_bool(text("yes"), &value));
    assert_false(weir_parse_bool(text(""), &value));
    assert_false(weir_parse_bool(text("true "), &value));
}

static void sizes_have_binary_units(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"4096", 4096}, {"64MiB", 64 << 20}, {"64mb", 64 << 20}, {"1g", 1 << 30}, {"0", 0},
                {"3K", 3072},   {"5b", 5},           {"2tib", 2ull << 40}, {"18446744073709551615", UINT64_MAX}};
    static const char *const bad[] = {"",          "MiB",  "1.5g", "-1", "1 g", "1gg", "18446744073709551616",
                                      "16777216t", "1kib "};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(weir_parse_size(text(good[i].text), &bytes));
        assert_true(bytes == good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(weir_parse_size(text(bad[i]), &bytes));
}

static void assert_reads(const char *written, double wanted) {
    double value;
    if (!weir_parse_f64(text(written), &value)) fail_msg("'%s' was refused", written);
    if (memcmp(&value, &wanted, sizeof value) != 0) fail_msg("'%s' read as %.17g, not %.17g", written, value, wanted);
}

static void doubles_are_read_to_the_nearest(void **state) {
    (void)state;
    assert_reads("0", 0.0);
    assert_reads("-0", -0.0);
    assert_reads("-0.0e99999999999999999999", -0.0);
    assert_reads("1.5", 1.5);
    assert_reads(".5", 0.5);
    assert_reads("5.", 5.0);
    assert_reads("+2.5e-3", 0.0025);
    assert_reads("1E400", (double)INFINITY);
    assert_reads("-1e99999999999999999999999", -(double)INFINITY);
    assert_reads("1e-400", 0.0);
    assert_reads("-1e-99999999999999999999999", -0.0);
    assert_reads("4.9e-324", 4.9e-324);
    assert_reads("2.4703282292062328e-324", 4.9e-324);  /* just above half the smallest */
    assert_reads("2.4703282292062327e-324", 0.0);       /* just below */
    assert_reads("1.7976931348623157E308", 0x1.fffffffffffffp1023);
    assert_reads("9007199254740993", 9007199254740992.0); /* a tie goes to the even */
    assert_reads("9007199254740993.00000000000000000000001", 9007199254740994.0);
    assert_reads("-Infinity", -(double)INFINITY);
    assert_reads("+Infinity", (double)INFINITY);
    double value;
    assert_true(weir_parse_f64(text("NaN"), &value) && isnan(value));
}

static void a_digit_behind_any_number_of_zeros_still_decides_a_tie(void **state) {
    (void)state;
    static char written[4000];
    memset(written, '0', sizeof written);
    memcpy(written, "9007199254740993.", 17);
    double value;
    assert_true(weir_parse_f64(weir_bytes_of(written, sizeof written), &value));
    assert_true(value == 9007199254740992.0);
    written[sizeof written - 1] = '1';
    assert_true(weir_parse_f64(weir_bytes_of(written, sizeof written), &value));
    assert_true(value == 9007199254740994.0);
    memset(written, '0', sizeof written); /* as many leading zeros are no digits */
    memcpy(written + sizeof written - 6, "12.5e1", 6);
    assert_true(weir_parse_f64(weir_bytes_of(written, sizeof written), &value));
    assert_true(value == 125.0);
}

static void what_is_no_double_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",      ".",        "-",     "+",   "e5",   "1e",  "1e+",       "1.2.3",
                                      " 1",    "1 ",       "0x1",   "1f",  "1d",   "nan", "inf",       "-NaN",
                                      "1e5.0", "infinity", "1_000", "--1", "1e5 ", "1,5", "Infinity ", "+-1"};
    double value;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (weir_parse_f64(text(bad[i]), &value)) fail_msg("'%s' was read", bad[i]);
    }
}

static void assert_prints(double value, const char *wanted) {
    char written[WEIR_F64_TEXT_MAX + 1] = {0};
    const size_t size = weir_format_f64(written, value);
    written[size] = 0;
    assert_string_equal(written, wanted);
}

static void doubles_print_as_in_java(void **state) {
    (void)state;
    assert_prints(0.0, "0.0");
    assert_prints(-0.0, "-0.0");
    assert_prints(1.0, "1.0");
    assert_prints(-1.5, "-1.5");
    assert_prints(0.1, "0.1");
    assert_prints(100.25, "100.25");
    assert_prints(0.001, "0.001");
    assert_prints(0.007, "0.007");
    assert_prints(12.04, "12.04");
    assert_prints(9.999e-4, "9.999E-4");
    assert_prints(1e-5, "1.0E-5");
    assert_prints(123456.789, "123456.789");
    assert_prints(9999999.0, "9999999.0");
    assert_prints(9999999.999, "9999999.999");
    assert_prints(1e7, "1.0E7");
    assert_prints(-12345678.5, "-1.23456785E7");
    assert_prints(1e10, "1.0E10");
    assert_prints(0.1 + 0.2, "0.30000000000000004");
    assert_prints(1.0 / 3, "0.3333333333333333");
    assert_prints(100.0 / 3, "33.333333333333336");
    assert_prints(1234567.12345, "1234567.12345");
    assert_prints(0x1.fffffffffffffp1023, "1.7976931348623157E308");
    assert_prints(0x1p-1022, "2.2250738585072014E-308");
    assert_prints(4.9e-324, "4.9E-324"); /* two digits, though one would read back */
    assert_prints(1e-323, "9.9E-324");
    assert_prints(2e-44, "2.0E-44");
    assert_prints(2e23, "2.0E23");
    assert_prints(9007199254740992.0, "9.007199254740992E15");
    assert_prints(0x1p-44, "5.684341886080802E-14");
    assert_prints(2.2e-322, "2.2E-322");
    assert_prints((double)NAN, "NaN");
    assert_prints((double)INFINITY, "Infinity");
    assert_prints(-(double)INFINITY, "-Infinity");
}

static int digits_in(const char *written) {
    int digits = 0, zeros = 0;
    for (; *written && *written != 'E'; written++) {
        if (*written < '0' || *written > '9') continue;
        if (*written == '0') zeros += digits > 0;
        else digits += zeros + 1, zeros = 0;
    }
    return digits;
}

static double random_double(int round) {
    const uint64_t bits = next_random();
    double value;
    switch (round % 4) {
    case 0: memcpy(&value, &bits, sizeof value); return value;
    case 1: return (double)(bits % 100000000) / 1000;                        /* money */
    case 2: return ldexp(1, (int)(bits % 2098) - 1074);                      /* powers of two: uneven neighbours */
    default: return ldexp((double)(bits & 0xfffff), (int)(bits >> 20 & 31) - 1074); /* subnormal */
    }
}

static void random_doubles_read_back_and_no_shorter_text_would(void **state) {
    (void)state;
    for (int round = 0; round < 60000; round++) {
        const double value = random_double(round);
        if (isnan(value)) continue;
        char written[WEIR_F64_TEXT_MAX + 1];
        const size_t size = weir_format_f64(written, value);
        assert_true(size <= WEIR_F64_TEXT_MAX);
        written[size] = 0;
        double read;
        assert_true(weir_parse_f64(weir_bytes_of(written, size), &read));
        assert_memory_equal(&read, &value, sizeof read);
        if (isinf(value)) continue;
        assert_true(strtod(written, NULL) == value);
        const int digits = digits_in(written);
        if (digits <= 2) continue;
        char shorter[40];
        snprintf(shorter, sizeof shorter, "%.*e", digits - 2, value);
        if (strtod(shorter, NULL) == value) fail_msg("%s is longer than %s", written, shorter);
    }
}

static void utf8_is_told_from_other_bytes(void **state) {
    (void)state;
    static const char *const good[] = {"", "plain", "0123456789abcdef", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8c\x8a",
                                       "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "1234567\xc3\xa9"};
    static const char *const bad[] = {"\x80", "\xc3", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
                                      "\xe2\x82", "\xf0\x9f\x8c", "12345678\xe2\x28\xa1", "\xe2\x82\x41"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) assert_true(weir_utf8_valid(text(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(weir_utf8_valid(text(bad[i])));
    assert_true(weir_utf8_valid(weir_bytes_of("\0", 1)));
}

static void a_cut_character_is_never_valid(void **state) {
    (void)state;
    const char *river = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\x8a";
    const bool whole[] = {true, true, false, true, false, false, true, false, false, false, true};
    for (size_t cut = 0; cut <= strlen(river); cut++) {
        assert_int_equal(weir_utf8_valid(weir_bytes_of(river, cut)), whole[cut]);
    }
}

static void near_names_are_suggested_and_far_ones_are_not(void **state) {
    (void)state;
    assert_int_equal(weir_edit_distance("topic", "topic", 3), 0);
    assert_int_equal(weir_edit_distance("topic", "TOPIC", 3), 0);
    assert_int_equal(weir_edit_distance("topic", "tpoic", 3), 1); /* neighbours swapped */
    assert_int_equal(weir_edit_distance("topic", "topics", 3), 1);
    assert_int_equal(weir_edit_distance("", "abc", 9), 3);
    assert_int_equal(weir_edit_distance("kitten", "sitting", 9), 3);
    assert_int_equal(weir_edit_distance("abcdef", "uvwxyz", 2), 3); /* limit + 1 */
    const char *const names[] = {"retention.ms", "retention.bytes", "cleanup.policy"};
    assert_string_equal(weir_nearest("retension.ms", names, 3), "retention.ms");
    assert_string_equal(weir_nearest("CLEANUP.POLICY", names, 3), "cleanup.policy");
    assert_null(weir_nearest("compression", names, 3));
    assert_null(weir_nearest("x", names, 0));
}

static void names_of_any_length_are_compared_in_bounded_space(void **state) {
    (void)state;
    static char longest[256], longer[257];
    memset(longest, 'a', 255);
    memset(longer, 'a', 256);
    assert_int_equal(weir_edit_distance(longest, longest, 2), 0);
    assert_int_equal(weir_edit_distance(longest, longer, 2), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_read_or_refused),
        cmocka_unit_test(whole_numbers_survive_the_round_trip),
        cmocka_unit_test(truth_values_ignore_case),
        cmocka_unit_test(sizes_have_binary_units),
        cmocka_unit_test(doubles_are_read_to_the_nearest),
        cmocka_unit_test(a_digit_behind_any_number_of_zeros_still_decides_a_tie),
        cmocka_unit_test(what_is_no_double_is_refused),
        cmocka_unit_test(doubles_print_as_in_java),
        cmocka_unit_test(random_doubles_read_back_and_no_shorter_text_would),
        cmocka_unit_test(utf8_is_told_from_other_bytes),
        cmocka_unit_test(a_cut_character_is_never_valid),
        cmocka_unit_test(near_names_are_suggested_and_far_ones_are_not),
        cmocka_unit_test(names_of_any_length_are_compared_in_bounded_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
