/* Types: printing and parsing are each other's reverse; equality is structural; broken texts are refused with their
 * place. */
#include "data/type.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static weir_account account;
static weir_arena arena;
static weir_buffer text;

static int open_bench(void **state) {
    (void)state;
    weir_account_init(&account, "test", 0);
    weir_arena_init(&arena, &account, 4 << 20);
    weir_buffer_init(&text, &account, 1 << 20);
    return 0;
}

static int close_bench(void **state) {
    (void)state;
    weir_buffer_deinit(&text);
    weir_arena_deinit(&arena);
    weir_account_deinit(&account);
    return 0;
}

static const data_type *parsed(const char *from) {
    const data_type *type = NULL;
    const weir_status status = data_type_parse(&arena, weir_bytes_text(from), &type);
    if (weir_failed(status)) fail_msg("%s", status.text);
    return type;
}

static void test_print_and_parse(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"INT", "INTEGER"},
        {"varchar", "STRING"},
        {"BOOLEAN", "BOOLEAN"},
        {"TIMESTAMP", "TIMESTAMP"},
        {"DECIMAL(10,2)", "DECIMAL(10, 2)"},
        {"ARRAY<INT>", "ARRAY<INTEGER>"},
        {"MAP<STRING,ARRAY<BYTES>>", "MAP<STRING, ARRAY<BYTES>>"},
        {" STRUCT< A INT , `b c` DATE, `q``r` TIME > ", "STRUCT<A INTEGER, `b c` DATE, `q``r` TIME>"},
        {"STRUCT<>", "STRUCT<>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const data_type *type = parsed(cases[i][0]);
        weir_buffer_clear(&text);
        data_type_print(type, &text);
        assert_string_equal(weir_buffer_text(&text), cases[i][1]);
        assert_true(data_type_equal(type, parsed(cases[i][1])));
        assert_true(data_type_equal(type, data_type_copy(&arena, type)));
    }
}

static void test_broken_texts(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "type \"\": expected a type at character 1"},
        {"INTT", "type \"INTT\": expected a type at character 1"},
        {"INT x", "type \"INT x\": expected the end at character 5"},
        {"ARRAY<INT", "type \"ARRAY<INT\": expected \">\" at character 10"},
        {"MAP<STRING>", "type \"MAP<STRING>\": expected \",\" at character 11"},
        {"STRUCT<A>", "type \"STRUCT<A>\": expected a type at character 9"},
        {"STRUCT<`A INT>", "type \"STRUCT<`A INT>\": expected a closing backquote at character 15"},
        {"DECIMAL(39, 1)", "type \"DECIMAL(39, 1)\": expected a number up to 38 before this at character 11"},
        {"DECIMAL(2, 3)",
         "type \"DECIMAL(2, 3)\": expected 1 <= precision and scale <= precision before this at character 14"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const data_type *type;
        const weir_status status = data_type_parse(&arena, weir_bytes_text(cases[i][0]), &type);
        assert_int_equal(status.code, WEIR_INVALID);
        assert_string_equal(status.text, cases[i][1]);
    }
    char deep[400] = "";
    for (int i = 0; i < 60; i++) strncat(deep, "ARRAY<", 7);
    const data_type *type;
    assert_int_equal(data_type_parse(&arena, weir_bytes_text(deep), &type).code, WEIR_INVALID);
}

static void test_equality(void **state) {
    (void)state;
    assert_ptr_equal(data_type_of(DATA_INT), data_type_of(DATA_INT));
    assert_false(data_type_equal(data_type_of(DATA_INT), data_type_of(DATA_BIGINT)));
    assert_false(data_type_equal(parsed("DECIMAL(4, 2)"), parsed("DECIMAL(4, 1)")));
    assert_false(data_type_equal(parsed("STRUCT<A INT>"), parsed("STRUCT<B INT>")));
    assert_false(data_type_equal(parsed("STRUCT<A INT>"), parsed("STRUCT<A INT, B INT>")));
    assert_false(data_type_equal(parsed("ARRAY<INT>"), parsed("ARRAY<STRING>")));
    assert_true(data_type_is_number(parsed("DECIMAL(4, 2)")) && !data_type_is_number(parsed("DATE")));
}

static void test_schema(void **state) {
    (void)state;
    const data_column columns[] = {{"K", data_type_of(DATA_STRING), DATA_ROLE_KEY, NULL},
                                   {"H", data_type_of(DATA_BYTES), DATA_ROLE_HEADER, "trace"}};
    const data_schema schema = {columns, 2, 1};
    const data_schema *copy = data_schema_copy(&arena, &schema);
    assert_int_equal(data_schema_find(copy, "H"), 1);
    assert_int_equal(data_schema_find(copy, "h"), -1);
    assert_true(copy->columns[0].name != columns[0].name);
    assert_string_equal(copy->columns[1].header_key, "trace");
    assert_int_equal(copy->key_count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print_and_parse),
        cmocka_unit_test(test_broken_texts),
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_schema),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
