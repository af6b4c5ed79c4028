/* Goal: what was put in is found, in order of name, and a source goes only when nobody uses it.
 * Method: a small shop of streams, tables and queries is built and taken down again. */
#include "sql/catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static weir_account account;

static int setup(void **state) {
    weir_account_init(&account, "test", 0);
    *state = sql_catalog_create(&account);
    return 0;
}

static int teardown(void **state) {
    sql_catalog_destroy(*state);
    weir_account_deinit(&account); /* asserts that nothing is left */
    return 0;
}

static void put_source(sql_catalog *catalog, const char *name, const char *created_by) {
    const data_column columns[] = {{"ID", data_type_of(DATA_BIGINT), DATA_ROLE_KEY, NULL},
                                   {"V", data_type_of(DATA_STRING), DATA_ROLE_VALUE, NULL}};
    const data_schema schema = {columns, 2, 1};
    char topic[64];
    snprintf(topic, sizeof topic, "topic-%s", name);
    const sql_source source = {.name = name,
                               .topic = topic,
                               .key_format = "KAFKA",
                               .value_format = "JSON",
                               .schema = &schema,
                               .timestamp_column = -1,
                               .created_by = created_by,
                               .statement = "CREATE ..."};
    assert_int_equal(sql_catalog_put_source(catalog, &source).code, WEIR_OK);
}

static void put_query(sql_catalog *catalog, const char *id, const char *source, const char *sink) {
    const sql_query_entry query = {id, source, sink, "..."};
    assert_int_equal(sql_catalog_put_query(catalog, &query).code, WEIR_OK);
}

static void objects_are_copied_and_found_in_order(void **state) {
    sql_catalog *catalog = *state;
    put_source(catalog, "ORDERS", NULL);
    put_source(catalog, "CLICKS", NULL);
    put_source(catalog, "USERS", NULL);
    assert_null(sql_catalog_source(catalog, "clicks")); /* names are exact */
    assert_string_equal(sql_catalog_source(catalog, "CLICKS")->topic, "topic-CLICKS");
    assert_int_equal(data_schema_find(sql_catalog_source(catalog, "CLICKS")->schema, "V"), 1);
    assert_string_equal(sql_catalog_source_at(catalog, 0)->name, "CLICKS");
    assert_string_equal(sql_catalog_source_at(catalog, 2)->name, "USERS");
    assert_null(sql_catalog_source_at(catalog, 3));
    /* A second put replaces, also when it is made of the first. */
    sql_source changed = *sql_catalog_source(catalog, "CLICKS");
    changed.is_table = true;
    assert_int_equal(sql_catalog_put_source(catalog, &changed).code, WEIR_OK);
    assert_true(sql_catalog_source(catalog, "CLICKS")->is_table);
    assert_null(sql_catalog_source_at(catalog, 3));
    const weir_setting options[] = {{"path", "/x"}};
    const sql_connector connector = {"TAIL", options, 1, "..."};
    assert_int_equal(sql_catalog_put_connector(catalog, &connector).code, WEIR_OK);
    assert_string_equal(sql_catalog_connector(catalog, "TAIL")->options[0].value, "/x");
    assert_true(sql_catalog_drop_connector(catalog, "TAIL"));
    assert_false(sql_catalog_drop_connector(catalog, "TAIL"));
    assert_null(sql_catalog_connector_at(catalog, 0));
}

static void a_source_in_use_stays(void **state) {
    sql_catalog *catalog = *state;
    put_source(catalog, "A", NULL);
    put_source(catalog, "B", "CSAS_B_1");
    put_query(catalog, "CSAS_B_1", "A", "B");
    put_query(catalog, "CTAS_C_2", "B", "C");
    put_query(catalog, "INSERTQUERY_3", "A", "B");
    size_t at = 0;
    assert_string_equal(sql_catalog_reader(catalog, "A", &at)->id, "CSAS_B_1");
    assert_string_equal(sql_catalog_reader(catalog, "A", &at)->id, "INSERTQUERY_3");
    assert_null(sql_catalog_reader(catalog, "A", &at));
    weir_status status = sql_catalog_can_drop(catalog, "B");
    assert_int_equal(status.code, WEIR_REFUSED);
    assert_string_equal(status.text,
                        "Cannot drop B. The following queries read from this source: [CTAS_C_2]. The following "
                        "queries write into this source: [INSERTQUERY_3]. You need to terminate them before "
                        "dropping B.");
    assert_int_equal(sql_catalog_can_drop(catalog, "X").code, WEIR_NOT_FOUND);
    sql_catalog_drop_query(catalog, "CTAS_C_2");
    sql_catalog_drop_query(catalog, "INSERTQUERY_3");
    assert_int_equal(sql_catalog_can_drop(catalog, "B").code, WEIR_OK); /* its own query ends with it */
    assert_int_equal(sql_catalog_can_drop(catalog, "A").code, WEIR_REFUSED);
}

static void many_objects_keep_their_order(void **state) {
    sql_catalog *catalog = *state;
    char name[32];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "Q%03d", i * 7 % 500);
        put_query(catalog, name, "A", "B");
    }
    for (size_t i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "Q%03zu", i);
        assert_string_equal(sql_catalog_query_at(catalog, i)->id, name);
    }
    for (int i = 0; i < 500; i += 2) {
        snprintf(name, sizeof name, "Q%03d", i);
        assert_true(sql_catalog_drop_query(catalog, name));
    }
    assert_string_equal(sql_catalog_query_at(catalog, 0)->id, "Q001");
    assert_null(sql_catalog_query_at(catalog, 250));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(objects_are_copied_and_found_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_source_in_use_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(many_objects_keep_their_order, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
