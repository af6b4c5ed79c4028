/* Goal: the calendar is right for every millisecond an event can have.
 * Method: every day from 1599 to 2401 counted one by one with the leap rule; known instants; the extremes; round trips;
 * ISO texts good and bad, cut at every byte. */
#include "base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void days_follow_each_other_through_two_eras(void **state) {
    (void)state;
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day_number = weir_days_from_civil(1599, 1, 1);
    for (int32_t year = 1599; year <= 2401; year++) {
        const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        for (unsigned month = 1; month <= 12; month++) {
            for (unsigned day = 1; day <= lengths[month - 1] + (leap && month == 2); day++, day_number++) {
                if (weir_days_from_civil(year, month, day) != day_number) fail_msg("%d-%u-%u", year, month, day);
                const weir_civil civil = weir_civil_from_ms(day_number * 86400000);
                if (civil.year != year || civil.month != month || civil.day != day)
                    fail_msg("%d-%u-%u", year, month, day);
            }
        }
    }
    assert_true(weir_days_from_civil(1970, 1, 1) == 0);
}

static void known_instants_print_as_iso(void **state) {
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "1970-01-01T00:00:00.000Z"},
                 {-1, "1969-12-31T23:59:59.999Z"},
                 {1764000000123, "2025-11-24T16:00:00.123Z"},
                 {951782400000, "2000-02-29T00:00:00.000Z"},
                 {-62167219200000, "0000-01-01T00:00:00.000Z"},
                 {-62167219200001, "-0001-12-31T23:59:59.999Z"},
                 {253402300799999, "9999-12-31T23:59:59.999Z"},
                 {253402300800000, "+10000-01-01T00:00:00.000Z"},
                 {INT64_MAX, "+292278994-08-17T07:12:55.807Z"},
                 {INT64_MIN, "-292275055-05-16T16:47:04.192Z"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[WEIR_ISO_TEXT_MAX];
        assert_int_equal(weir_format_iso(text, cases[i].ms), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static void what_is_printed_reads_back(void **state) {
    (void)state;
    uint64_t random = 3;
    for (int i = 0; i < 100000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const int64_t ms = (int64_t)(random >> 12 << (i % 10)) * (i % 2 ? 1 : -1);
        char text[WEIR_ISO_TEXT_MAX];
        int64_t read;
        const size_t size = weir_format_iso(text, ms);
        if (!weir_parse_iso(weir_bytes_of(text, size), &read) || read != ms) fail_msg("%s", text);
        const weir_civil civil = weir_civil_from_ms(ms);
        assert_true(weir_ms_from_civil(&civil) == ms);
    }
}

static void iso_texts_are_read_in_all_their_forms(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"1970-01-01", 0},
                 {"1970-01-02T03:04", 97440000},
                 {"1970-01-02 03:04:05", 97445000},
                 {"1970-01-01T00:00:00.5", 500},
                 {"1970-01-01T00:00:00,25Z", 250},
                 {"1970-01-01T00:00:00.1239999999Z", 123},
                 {"1970-01-01T01:00:00+01:00", 0},
                 {"1969-12-31T19:30:00-0430", 0},
                 {"1970-01-01t14:00:00+14", 0},
                 {"1970-01-01T00:00z", 0},
                 {"2024-02-29", 1709164800000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = -7;
        if (!weir_parse_iso(weir_bytes_text(cases[i].text), &ms) || ms != cases[i].ms) fail_msg("%s", cases[i].text);
    }
}

static void what_is_no_instant_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "1970",
                                      "1970-01",
                                      "1970-13-01",
                                      "1970-00-01",
                                      "2023-02-29",
                                      "1900-02-29",
                                      "1970-01-32",
                                      "1970-01-01T",
                                      "1970-01-01T24:00",
                                      "1970-1-01",
                                      "1970-01-01T1:00",
                                      "1970-01-01T00:60",
                                      "1970-01-01T00:00:60",
                                      "1970-01-01T00:00:00.",
                                      "1970-01-01T00:00:00.Z",
                                      "1970-01-01T00:00+19:00",
                                      "1970-01-01T00:00+01:60",
                                      "1970-01-01T00:00+1",
                                      "1970-01-01T00:00+01:",
                                      "1970-01-01Z ",
                                      "1970-01-01T00:00ZZ",
                                      "70-01-01",
                                      "+999999999-01-01",
                                      "12345-01-01",
                                      " 1970-01-01"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms;
        if (weir_parse_iso(weir_bytes_text(bad[i]), &ms)) fail_msg("'%s' was read", bad[i]);
    }
}

static void a_cut_text_is_refused_or_means_its_shorter_form(void **state) {
    (void)state;
    const char *text = "2026-11-24T10:20:30.125+01:30";
    const size_t readable[] = {10, 16, 19, 21, 22, 23, 26, 29};
    for (size_t cut = 0, next = 0; cut <= strlen(text); cut++) {
        int64_t ms;
        const bool wanted = next < sizeof readable / sizeof readable[0] && readable[next] == cut;
        if (weir_parse_iso(weir_bytes_of(text, cut), &ms) != wanted) fail_msg("cut at %zu", cut);
        next += wanted;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_follow_each_other_through_two_eras),
        cmocka_unit_test(known_instants_print_as_iso),
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(iso_texts_are_read_in_all_their_forms),
        cmocka_unit_test(what_is_no_instant_is_refused),
        cmocka_unit_test(a_cut_text_is_refused_or_means_its_shorter_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
