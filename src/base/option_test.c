/* Goal: the table accepts exactly what it describes, and its refusals tell the user what to write.
 * Method: a table with every type; settings good and bad, the sentences compared. */
#include "base/option.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const weir_option table[] = {
    {"path", WEIR_OPTION_TEXT, NULL, "file to read", 0, 0},
    {"rows_per_second", WEIR_OPTION_I64, "1000", "0 is as fast as asked", 0, 1000000},
    {"ratio", WEIR_OPTION_F64, "0.5", "share of bad rows", 0, 1},
    {"follow", WEIR_OPTION_BOOL, "false", "wait for more", 0, 0},
    {"buffer", WEIR_OPTION_SIZE, "64KiB", "read at a time", 1, 1 << 20},
    {"start", WEIR_OPTION_CHOICE, "earliest", "earliest|latest: where to begin", 0, 0},
    {"limit", WEIR_OPTION_I64, "", "rows at most", 0, 0},
    {NULL, WEIR_OPTION_TEXT, NULL, NULL, 0, 0},
};

static void assert_refused(const char *name, const char *value, const char *sentence) {
    const weir_setting settings[] = {{"path", "a"}, {name, value}};
    const weir_status status = weir_options_check(table, "connector file", settings, 2);
    assert_int_equal(status.code, WEIR_INVALID);
    assert_string_equal(status.text, sentence);
}

static void defaults_hold_until_a_setting_says_otherwise(void **state) {
    (void)state;
    const weir_setting settings[] = {{"path", "a.csv"}, {"buffer", "1m"}, {"follow", "TRUE"}, {"start", "latest"}};
    assert_false(weir_failed(weir_options_check(table, "connector file", settings, 4)));
    assert_string_equal(weir_options_text(table, settings, 4, "path"), "a.csv");
    assert_int_equal(weir_options_i64(table, settings, 4, "rows_per_second"), 1000);
    assert_int_equal(weir_options_i64(table, settings, 4, "buffer"), 1 << 20);
    assert_int_equal(weir_options_i64(table, settings, 1, "buffer"), 64 << 10);
    assert_true(weir_options_bool(table, settings, 4, "follow"));
    assert_false(weir_options_bool(table, settings, 1, "follow"));
    assert_true(weir_options_f64(table, settings, 4, "ratio") == 0.5);
    assert_string_equal(weir_options_text(table, settings, 4, "start"), "latest");
    assert_string_equal(weir_options_text(table, settings, 1, "start"), "earliest");
    assert_int_equal(weir_options_i64(table, settings, 4, "limit"), 0);
}

static void a_refusal_names_the_option_and_the_way_out(void **state) {
    (void)state;
    assert_refused("rows_per_second", "many",
                   "connector file: option 'rows_per_second' is 'many', wanted is a whole number");
    assert_refused("rows_per_second", "-1",
                   "connector file: option 'rows_per_second' is '-1', allowed is 0 to 1000000");
    assert_refused("ratio", "1.01", "connector file: option 'ratio' is '1.01', allowed is 0 to 1");
    assert_refused("ratio", "NaN", "connector file: option 'ratio' is 'NaN', allowed is 0 to 1");
    assert_refused("follow", "yes", "connector file: option 'follow' is 'yes', wanted is true or false");
    assert_refused("buffer", "big",
                   "connector file: option 'buffer' is 'big', wanted is a size in bytes, as 4096, 64KiB or 1g");
    assert_refused("buffer", "2m", "connector file: option 'buffer' is '2m', allowed is 1 to 1048576");
    assert_refused("start", "middle", "connector file: option 'start' is 'middle', wanted is one of earliest|latest");
    assert_refused("start", "", "connector file: option 'start' is '', wanted is one of earliest|latest");
    assert_refused("start", "earliest|latest",
                   "connector file: option 'start' is 'earliest|latest', wanted is one of earliest|latest");
    assert_refused("path", "b", "connector file: option 'path' is given twice");
}

static void an_unknown_name_is_answered_with_the_nearest(void **state) {
    (void)state;
    assert_refused("row_per_second", "1",
                   "connector file: there is no option 'row_per_second'; did you mean 'rows_per_second'?");
    assert_refused("compression", "1", "connector file: there is no option 'compression'");
    assert_refused("Follow", "true", "connector file: there is no option 'Follow'; did you mean 'follow'?");
}

static void a_required_option_must_be_given(void **state) {
    (void)state;
    const weir_status status = weir_options_check(table, "connector file", NULL, 0);
    assert_int_equal(status.code, WEIR_INVALID);
    assert_string_equal(status.text, "connector file: option 'path' is required (file to read)");
}

static void the_table_explains_itself(void **state) {
    (void)state;
    weir_account account;
    weir_account_init(&account, "test", 0);
    weir_buffer text;
    weir_buffer_init(&text, &account, 4096);
    weir_options_explain(table, &text);
    assert_string_equal(weir_buffer_text(&text),
                        "  path             text, required  file to read\n"
                        "  rows_per_second  int64, default 1000  0 is as fast as asked\n"
                        "  ratio            double, default 0.5  share of bad rows\n"
                        "  follow           boolean, default false  wait for more\n"
                        "  buffer           size, default 64KiB  read at a time\n"
                        "  start            choice, default earliest  earliest|latest: where to begin\n"
                        "  limit            int64, optional  rows at most\n");
    weir_buffer_deinit(&text);
    weir_account_deinit(&account);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold_until_a_setting_says_otherwise),
        cmocka_unit_test(a_refusal_names_the_option_and_the_way_out),
        cmocka_unit_test(an_unknown_name_is_answered_with_the_nearest),
        cmocka_unit_test(a_required_option_must_be_given),
        cmocka_unit_test(the_table_explains_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
