/* Query tests about query tests. Goal: a case passes exactly when records, errors and post conditions are as it says;
 * each way to fail is told. Method: files in the text of this test, run in every batching; numbers by a table; damaged
 * files. */
#include "probe/probe.h"
#include "data/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ORDERS                                                                                                         \
    "\"statements\": [\"CREATE STREAM o (id INT KEY, a INT, p DECIMAL(6, 2)) WITH (kafka_topic='o', "                  \
    "value_format='JSON');\", \"CREATE STREAM r AS SELECT id, a + 1 AS b, p FROM o;\"],"
#define INPUT "\"inputs\": [{\"topic\": \"o\", \"key\": 4, \"value\": {\"a\": 1, \"P\": 2.50}, \"timestamp\": 7},"     \
              "{\"topic\": \"o\", \"key\": 5, \"value\": {\"A\": null, \"P\": 1}}],"

typedef struct story {
    const char *body;   /* of the case */
    const char *wanted; /* "" = it passes; else a part of the reason */
} story;

static const story stories[] = {
    {ORDERS INPUT "\"outputs\": [{\"topic\": \"R\", \"key\": 4, \"value\": {\"B\": 2, \"p\": 2.50}, \"timestamp\": 7},"
                  "{\"topic\": \"R\", \"key\": 5, \"value\": {\"B\": null, \"P\": 1.00}}]",
     ""},
    {ORDERS INPUT "\"outputs\": [{\"topic\": \"R\", \"key\": 4, \"value\": {\"B\": 2, \"P\": 2.5}}]",
     "record 0 differs in its value"},
    {ORDERS INPUT "\"outputs\": [{\"topic\": \"R\", \"key\": 3, \"value\": {\"B\": 2, \"P\": 2.50}}]",
     "record 0 differs in its key"},
    {ORDERS INPUT "\"outputs\": [{\"topic\": \"R\", \"key\": 4, \"value\": {\"B\": 2, \"P\": 2.50}, \"timestamp\": 8}]",
     "timestamp"},
    {ORDERS INPUT "\"outputs\": [{\"topic\": \"R\", \"key\": 4, \"value\": {\"B\": 2}}]",
     "record 0 differs in its value"},
    {ORDERS INPUT "\"outputs\": [{\"topic\": \"R\", \"key\": 4, \"value\": {\"B\": 2, \"P\": 2.50}}]",
     "2 records, 1 are expected"},
    {ORDERS "\"outputs\": [{\"topic\": \"R\", \"key\": 4, \"value\": null}]", "0 records, more are expected"},
    {ORDERS "\"post\": {\"sources\": [{\"name\": \"R\", \"type\": \"stream\", \"schema\": \"ID INT KEY, B INT, P "
            "DECIMAL(6, 2)\", \"keyFormat\": {\"format\": \"KAFKA\"}, \"valueFormat\": \"JSON\"}], \"topics\": "
            "{\"blacklist\": \".*-repartition\"}}",
     ""},
    {ORDERS "\"post\": {\"sources\": [{\"name\": \"R\", \"type\": \"stream\", \"schema\": \"ID INT KEY, B BIGINT\"}]}",
     "has the columns"},
    {ORDERS "\"post\": {\"sources\": [{\"name\": \"Q\"}]}", "there is no source Q"},
    {ORDERS "\"post\": {\"topics\": {\"blacklist\": \"^R$\"}}", "topic R may not be"},
    {ORDERS "\"expect_error\": {\"type\": \"KsqlException\", \"message\": \"x\"}", "no error"},
    {"\"statements\": [\"CREATE STREAM r AS SELECT * FROM gone;\"],"
     "\"expect_error\": {\"type\": \"a.b.KsqlStatementException\", \"message\": \"GONE does not exist\"}",
     ""},
    {"\"statements\": [\"CREATE STREAM r AS SELECT * FROM gone;\"],"
     "\"expect_error\": {\"type\": \"ParseFailedException\", \"message\": \"GONE\"}",
     "expected ParseFailedException"},
    {"\"statements\": [\"CREATE STREAM r AS SELECT * FROM gone;\"]", "NOT_FOUND"},
    {"\"statements\": [\"CREATE STREAM o (a INT) WITH (kafka_topic='o', value_format='JSON');\"]", "persistent query"},
    {"\"statements\": [\"CREATE STREAM o (id INT KEY, a INT) WITH (kafka_topic='o', value_format='DELIMITED', "
     "partitions=1);\", \"INSERT INTO o (rowtime, id, a) VALUES (9, 1, 2);\", \"CREATE TABLE t AS SELECT id, "
     "SUM(a) AS s FROM o GROUP BY id;\", \"INSERT INTO o VALUES (1, 4);\"],"
     "\"outputs\": [{\"topic\": \"T\", \"key\": 1, \"value\": \"2\", \"timestamp\": 9},"
     "{\"topic\": \"T\", \"key\": 1, \"value\": \"6\", \"timestamp\": 9}]",
     ""},
    {"\"statements\": 3", "no list of statements"},
};

static void run_all(const probe_options *options) {
    weir_account account;
    weir_account_init(&account, "test", 0);
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        char text[4096];
        weir_arena arena;
        probe_file file;
        static probe_result result;
        weir_arena_init(&arena, &account, 1 << 20);
        snprintf(text, sizeof text, "{\"suite\": \"s\", \"cases\": [{\"name\": \"n\", %s}]}", stories[i].body);
        const weir_status status = probe_file_read(&arena, weir_bytes_text(text), &file);
        if (weir_failed(status)) fail_msg("story %zu: %s", i, status.text);
        probe_case_run(&file, &file.cases[0], options, &result);
        const bool passed = result.outcome == PROBE_PASS;
        if (passed != (stories[i].wanted[0] == 0) || !strstr(result.detail, stories[i].wanted))
            fail_msg("story %zu: wanted '%s', got '%s'", i, stories[i].wanted, result.detail);
        weir_arena_deinit(&arena);
    }
    weir_account_deinit(&account);
}

static void a_case_passes_when_all_is_as_it_says(void **state) {
    (void)state;
    run_all(&(probe_options){.batching = PROBE_ONE});
}

static void the_batching_changes_nothing(void **state) {
    (void)state;
    run_all(&(probe_options){.batching = PROBE_RUNS});
    run_all(&(probe_options){.batching = PROBE_MIXED});
    for (uint64_t seed = 0; seed < 5; seed++) run_all(&(probe_options){PROBE_RANDOM, seed});
}

static void numbers_keep_digits_and_scale(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal;
    } pairs[] = {{"1.10", "1.1", false}, {"1.0E10", "1E10", false}, {"1.0E10", "10E9", true},{"1.0E1", "1.0e1", true},
                 {"-0.0", "0.0", true},  {"007", "7", true},       {"1", "-1", false},     {"1.0", "1", false}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        data_number a, b;
        assert_true(data_number_read(weir_bytes_text(pairs[i].a), &a));
        assert_true(data_number_read(weir_bytes_text(pairs[i].b), &b));
        if (data_number_equal(&a, &b) != pairs[i].equal) fail_msg("%s and %s", pairs[i].a, pairs[i].b);
    }
    data_number number, seven;
    assert_false(data_number_read(weir_bytes_text("1e"), &number));
    assert_false(data_number_read(weir_bytes_text("x"), &number));
    assert_true(data_number_read(weir_bytes_text("7.9"), &number));
    assert_true(data_number_read(weir_bytes_text("7"), &seven));
    data_number_truncate(&number);
    assert_true(data_number_equal(&number, &seven));
}

static void damaged_files_are_refused_or_read(void **state) {
    (void)state;
    static const char text[] =
        "{\"cases\": [{\"name\": \"\\u00e9\\n\", \"features\": [\"a\"], \"x\": [1.5E-3, true, null, {}]}]}";
    weir_account account;
    weir_account_init(&account, "test", 0);
    for (size_t cut = 0; cut < sizeof text; cut++) {
        weir_arena arena;
        probe_file file;
        weir_arena_init(&arena, &account, 1 << 20);
        char *copy = weir_alloc(&account, cut + 1);
        memcpy(copy, text, cut);
        const weir_status status = probe_file_read(&arena, weir_bytes_of(copy, cut), &file);
        assert_true(weir_failed(status) == (cut < sizeof text - 1));
        if (!weir_failed(status)) assert_string_equal(file.cases[0].name, "é\n");
        weir_free(&account, copy);
        weir_arena_deinit(&arena);
    }
    weir_account_deinit(&account);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_case_passes_when_all_is_as_it_says),
        cmocka_unit_test(the_batching_changes_nothing),
        cmocka_unit_test(numbers_keep_digits_and_scale),
        cmocka_unit_test(damaged_files_are_refused_or_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
