/* Date and time patterns: what a pattern writes it reads back to the same instant, for random instants and every
 * pattern that holds all of one; and random patterns over random texts never read outside their bytes. */
#include "func/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t next(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static func_pattern parsed(const char *text) {
    func_pattern pattern;
    char error[PATTERN_ERROR_MAX];
    if (!pattern_parse(weir_bytes_text(text), &pattern, error)) fail_msg("%s: %s", text, error);
    return pattern;
}

static void test_round_trips(void **state) {
    (void)state;
    static const char *const patterns[] = {
        "yyyy-MM-dd'T'HH:mm:ss.SSSX",         "yyyyMMddHHmmssSSS",   "EEEE, d MMMM uuuu h:m:s.SSS a Z",
        "dd/MMM/yyyy:kk:mm:ss.SSSSSS xx",     "yyyy DDD HH:mm:ss n", "yyyy-MM-dd[ HH:mm:ss.SSS]",
        "'o''clock' H 'of' D yyyy mm ss SSS",
    };
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const func_pattern pattern = parsed(patterns[i]);
        for (int turn = 0; turn < 2000; turn++) {
            const int64_t wanted = (int64_t)(next(&seed) % 250000000000000u) - 60000000000000; /* years 69 to 7990 */
            const int32_t offset = (int32_t)(next(&seed) % 37) * 30 - 540;
            char text[PATTERN_TEXT_MAX];
            int64_t ms;
            size_t failed_at;
            const size_t size = pattern_format(&pattern, wanted, offset, text);
            if (!pattern_read(&pattern, weir_bytes_of(text, size), offset, &ms, &failed_at) || ms != wanted) {
                fail_msg("%s: %lld with offset %d became %.*s, read to byte %zu", patterns[i], (long long)wanted,
                         offset, (int)size, text, failed_at);
            }
        }
    }
}

static void test_refused_patterns(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"yyyy-QQ", "pattern letter 'Q' is not supported"},
        {"HHH", "too many pattern letters: H, 3 of them"},
        {"'open", "pattern ends with an incomplete string literal"},
        {"yyyy]", "pattern has a ] without a ["},
        {"{yyyy}", "pattern includes reserved character '{'"},
        {"-----------------------------------------------------------------", "a pattern of more than 64 parts"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        func_pattern pattern;
        char error[PATTERN_ERROR_MAX];
        assert_false(pattern_parse(weir_bytes_text(cases[i][0]), &pattern, error));
        assert_string_equal(error, cases[i][1]);
    }
}

static void test_zones(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int32_t minutes;
    } good[] = {{"UTC", 0},     {"Z", 0},        {"+1", 60},      {"-05", -300},
                {"+0530", 330}, {"+05:30", 330}, {"GMT-3", -180}, {"UTC+10:00", 600}};
    static const char *const bad[] = {"",       "+",   "CET",       "Europe/Berlin", "+19:00",
                                      "+05:61", "+:5", "+05:30:00", "UTC5",          "+x"};
    int32_t minutes;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!pattern_zone(weir_bytes_text(good[i].name), &minutes) || minutes != good[i].minutes)
            fail_msg("%s", good[i].name);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (pattern_zone(weir_bytes_text(bad[i]), &minutes)) fail_msg("%s was taken", bad[i]);
    }
}

/* Pattern and text lie in memory of exactly their size, so that the sanitizer sees a read behind them. */
static void test_random_patterns(void **state) {
    (void)state;
    static const char letters[] = "yyMMddDEaHkKhmsSnXxZVz'[]-:/ .'TQ{\xc3";
    uint64_t seed = 2;
    unsigned taken = 0, read = 0;
    weir_account account;
    weir_account_init(&account, "test", 0);
    for (int turn = 0; turn < 50000; turn++) {
        const size_t size = next(&seed) % 12, text_size = next(&seed) % 24;
        uint8_t *bytes = weir_alloc(&account, size), *text = weir_alloc(&account, text_size);
        for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)letters[next(&seed) % (sizeof letters - 1)];
        for (size_t i = 0; i < text_size; i++) text[i] = (uint8_t) "0123456789:-+/ .TZJanAMTue"[next(&seed) % 26];
        func_pattern pattern;
        char error[PATTERN_ERROR_MAX], written[PATTERN_TEXT_MAX];
        int64_t ms;
        size_t failed_at;
        if (pattern_parse(weir_bytes_of(bytes, size), &pattern, error)) {
            taken++;
            read += pattern_read(&pattern, weir_bytes_of(text, text_size), 0, &ms, &failed_at);
            assert_true(pattern_format(&pattern, (int64_t)next(&seed), 90, written) <= PATTERN_TEXT_MAX);
        }
        weir_free(&account, bytes);
        weir_free(&account, text);
    }
    assert_true(taken > 1000 && read > 10);
    weir_account_deinit(&account);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_refused_patterns),
        cmocka_unit_test(test_zones),
        cmocka_unit_test(test_random_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
