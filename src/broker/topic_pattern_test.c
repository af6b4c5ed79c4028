/* Goal: patterns name the topics that RE2 would name, what RE2 or weir lacks is refused, and no pattern is slow or
 * large. Method: a table by RE2's own rules; cuts at every byte and random changes of patterns; patterns made to
 * explode. */
#include "broker/broker_test.h"
#include "broker/topic_pattern.h"

static int match(const char *source, weir_bytes name) { /* -1 = refused */
    weir_account account;
    topic_pattern *pattern;
    weir_account_init(&account, "pattern", 0);
    const weir_status status = topic_pattern_parse(&account, text(source), &pattern);
    int result = -1;
    if (!weir_failed(status)) {
        result = topic_pattern_matches(pattern, name);
        topic_pattern_free(&account, pattern);
    }
    weir_account_deinit(&account); /* asserts that all of it was given back */
    return result;
}

static const struct {
    const char *source, *name;
    int result;
} cases[] = {
    {"abc", "abc", 1},          {"abc", "abcd", 0},           {"ab", "abc", 0},          {"a.c", "axc", 1},
    {"", "", 1},                {"", "a", 0},                 {".*", "anything-1", 1},   {"a|bc", "bc", 1},
    {"a|bc", "ac", 0},          {"(a|b)c", "ac", 1},          {"a|", "", 1},             {"x*", "xxxx", 1},
    {"x+", "", 0},              {"x?y", "y", 1},              {"x{3}", "xxx", 1},        {"x{3}", "xx", 0},
    {"x{2,}", "xxxxx", 1},      {"x{2,3}", "xxxx", 0},        {"x{,3}", "x{,3}", 1},     {"x{", "x{", 1},
    {"x*?y+?", "xxy", 1},       {"[a-c]+", "abcab", 1},       {"[a-c]+", "abd", 0},      {"[^a-c]+", "xyz", 1},
    {"[]a]+", "]a", 1},         {"[a-]+", "a-a", 1},          {"[\\d_]+", "12_3", 1},    {"[[:alpha:]]+", "abZ", 1},
    {"[[:^alpha:]]", "a", 0},   {"\\d+", "0123", 1},          {"\\D", "1", 0},           {"\\w+", "a_9", 1},
    {"\\.", ".", 1},            {"\\.", "x", 0},              {"\\x41", "A", 1},         {"\\x{42}", "B", 1},
    {"\\Qa.b\\E.", "a.bx", 1},  {"\\Qa.b\\E", "axb", 0},      {"^abc$", "abc", 1},       {"\\Aabc\\z", "abc", 1},
    {"a^b", "ab", 0},           {"\\bab\\b", "ab", 1},        {"a\\bb", "ab", 0},        {"a\\Bb", "ab", 1},
    {"(?:ab)+", "abab", 1},     {"(?P<n>a)", "a", 1},         {"(?<n>a)", "a", 1},       {"(?i)aBc", "AbC", 1},
    {"(?i:a)b", "AB", 0},       {"(?i)a(?-i)b", "Ab", 1},     {"(?i)[^a]", "A", 0},      {"(?s).", "\n", 1},
    {".", "\n", 0},             {"(a*)*", "aaa", 1},          {"(|a)+", "aa", 1},        {"x{0}", "", 1},
    {"(?=a)a", "a", -1},        {"(?!a)b", "b", -1},          {"(?<=a)b", "b", -1},      {"(?<!a)b", "b", -1},
    {"(a)\\1", "aa", -1},       {"(?>a)", "a", -1},           {"a++", "aa", -1},         {"a**", "a", -1},
    {"a{2}{3}", "aaaaaa", -1},  {"a{1001}", "a", -1},         {"a{3,2}", "aaa", -1},     {"*a", "a", -1},
    {"(a", "a", -1},            {"a)", "a", -1},              {"[a", "a", -1},           {"[b-a]", "a", -1},
    {"\\", "a", -1},            {"\\pL", "a", -1},            {"\\y", "y", -1},          {"[[:no:]]", "a", -1},
    {"\xc3\xa4", "a", -1},      {"(?P<>a)", "a", -1},         {"(?#note)a", "a", -1},    {"\\Z", "a", -1},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void test_as_re2_says(void **state) {
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        const int result = match(cases[i].source, text(cases[i].name));
        if (result != cases[i].result) fprintf(stderr, "%s on %s: %d\n", cases[i].source, cases[i].name, result);
        assert_int_equal(result, cases[i].result);
    }
}

static void test_cut_and_changed_patterns_do_no_harm(void **state) {
    (void)state;
    io_sim *sim = io_sim_create(5);
    char source[64];
    for (size_t i = 0; i < CASES; i++) {
        for (size_t cut = 0; cut <= strlen(cases[i].source); cut++) {
            snprintf(source, sizeof source, "%.*s", (int)cut, cases[i].source);
            match(source, text(cases[i].name));
            for (int change = 0; change < 20 && cut > 0; change++) {
                static const char letters[] = "a()[]{}*+?|\\^$.-:QEP<>i1,0\xff";
                snprintf(source, sizeof source, "%.*s", (int)cut, cases[i].source);
                source[io_sim_draw(sim, cut)] = letters[io_sim_draw(sim, sizeof letters - 1)];
                match(source, text(cases[i].name));
            }
        }
    }
    io_sim_destroy(sim);
}

static void test_patterns_cannot_explode(void **state) {
    (void)state;
    char name[250], deep[4000];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(match("(a*)*b", text(name)), 0);
    assert_int_equal(match("(a?){249}a{249}", text(name)), 1);
    assert_int_equal(match("(((a{100}){100}){100}){100}", text(name)), -1);
    assert_int_equal(match("(((){1000}){1000}){1000}", text(name)), -1);
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    assert_int_equal(match(deep, text(name)), -1);
    memset(deep, 'a', sizeof deep - 1);
    assert_int_equal(match(deep, text(name)), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_re2_says),
        cmocka_unit_test(test_cut_and_changed_patterns_do_no_harm),
        cmocka_unit_test(test_patterns_cannot_explode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
