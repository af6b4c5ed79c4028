/* Goal: a row reads in JSON exactly as ksqlDB's REST API writes it, whatever its types and values; the text is valid
 * JSON for any bytes.
 * Method: batches built by hand, one vector a type, compared with the text; random texts are read back by jansson. */
#include "data/scalar.h"
#include "server/server_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { ROWS = 3 };

typedef struct rows_case {
    weir_account account;
    weir_arena arena;
    weir_buffer text;
} rows_case;

static void begin(rows_case *c) {
    weir_account_init(&c->account, "rows_test", 0);
    weir_arena_init(&c->arena, &c->account, 1 << 24);
    weir_buffer_init(&c->text, &c->account, 1 << 20);
}

static void end(rows_case *c) {
    weir_buffer_deinit(&c->text);
    weir_arena_deinit(&c->arena);
    weir_account_deinit(&c->account);
}

static data_vector *vector(rows_case *c, const data_type *type, uint32_t rows) {
    data_vector *made = data_vector_create(&c->arena, type, rows);
    assert_non_null(made);
    for (uint32_t row = 0; row < rows; row++) data_bit_set(made->valid, row, true);
    return made;
}

static const char *value(rows_case *c, const data_vector *of, uint32_t row) {
    weir_buffer_clear(&c->text);
    server_value_write(&c->text, of, row);
    assert_false(c->text.overflowed);
    return weir_buffer_text(&c->text);
}

static data_text text_of(const char *text) {
    return data_text_of(text, strlen(text));
}

static void test_numbers(void **state) {
    (void)state;
    rows_case c;
    begin(&c);
    data_vector *booleans = vector(&c, data_type_of(DATA_BOOLEAN), 2), *ints = vector(&c, data_type_of(DATA_INT), 2);
    data_vector *bigints = vector(&c, data_type_of(DATA_BIGINT), 2);
    data_vector *doubles = vector(&c, data_type_of(DATA_DOUBLE), 7);
    booleans->booleans[0] = 0;
    booleans->booleans[1] = 1;
    ints->ints[0] = INT32_MIN;
    bigints->bigints[0] = INT64_MIN;
    bigints->bigints[1] = INT64_MAX;
    const double values[] = {0.0, 1.5, 1e10, 1.0 / 0.0, -1.0 / 0.0, 0.0 / 0.0, 1e-7};
    memcpy(doubles->doubles, values, sizeof values);
    assert_string_equal(value(&c, booleans, 0), "false");
    assert_string_equal(value(&c, booleans, 1), "true");
    assert_string_equal(value(&c, ints, 0), "-2147483648");
    assert_string_equal(value(&c, bigints, 0), "-9223372036854775808");
    assert_string_equal(value(&c, bigints, 1), "9223372036854775807");
    const char *const texts[] = {"0.0", "1.5", "1.0E10", "\"Infinity\"", "\"-Infinity\"", "\"NaN\"", "1.0E-7"};
    for (uint32_t i = 0; i < 7; i++) assert_string_equal(value(&c, doubles, i), texts[i]);
    end(&c);
}

static void test_decimals_are_plain_numbers(void **state) {
    (void)state;
    rows_case c;
    begin(&c);
    data_vector *decimals = vector(&c, data_type_decimal(&c.arena, 38, 2), 3);
    decimals->decimals[0] = 150;
    decimals->decimals[1] = -7;
    decimals->decimals[2] = data_decimal_power10(38) - 1;
    assert_string_equal(value(&c, decimals, 0), "1.50");
    assert_string_equal(value(&c, decimals, 1), "-0.07");
    assert_string_equal(value(&c, decimals, 2), "999999999999999999999999999999999999.99");
    end(&c);
}

static void test_bytes_dates_and_times(void **state) {
    (void)state;
    rows_case c;
    begin(&c);
    data_vector *bytes = vector(&c, data_type_of(DATA_BYTES), 3), *dates = vector(&c, data_type_of(DATA_DATE), 2);
    data_vector *times = vector(&c, data_type_of(DATA_TIME), 2);
    data_vector *stamps = vector(&c, data_type_of(DATA_TIMESTAMP), 1);
    bytes->texts[0] = text_of("");
    bytes->texts[1] = data_text_of("\xff\x00\x10", 3);
    bytes->texts[2] = text_of("longer than the view itself");
    dates->ints[0] = 0;
    dates->ints[1] = -1;
    times->ints[0] = 36000000;
    times->ints[1] = 36001250;
    stamps->bigints[0] = 12345;
    assert_string_equal(value(&c, bytes, 0), "\"\"");
    assert_string_equal(value(&c, bytes, 1), "\"/wAQ\"");
    assert_string_equal(value(&c, bytes, 2), "\"bG9uZ2VyIHRoYW4gdGhlIHZpZXcgaXRzZWxm\"");
    assert_string_equal(value(&c, dates, 0), "\"1970-01-01\"");
    assert_string_equal(value(&c, dates, 1), "\"1969-12-31\"");
    assert_string_equal(value(&c, times, 0), "\"10:00\"");
    assert_string_equal(value(&c, times, 1), "\"10:00:01.250\"");
    assert_string_equal(value(&c, stamps, 0), "\"1970-01-01T00:00:12.345\"");
    end(&c);
}

static void test_nulls_constants_and_absent_columns(void **state) {
    (void)state;
    rows_case c;
    begin(&c);
    data_vector *ints = vector(&c, data_type_of(DATA_INT), ROWS), *same = vector(&c, data_type_of(DATA_INT), 1);
    ints->ints[0] = 7;
    data_vector_set_null(ints, 1);
    same->ints[0] = 9;
    same->constant = true;
    assert_string_equal(value(&c, ints, 0), "7");
    assert_string_equal(value(&c, ints, 1), "null");
    assert_string_equal(value(&c, same, 2), "9");
    assert_string_equal(value(&c, NULL, 0), "null");
    end(&c);
}

/* An array of maps from BIGINT to a struct with a null and an empty array: every nesting at once. */
static void test_nested(void **state) {
    (void)state;
    rows_case c;
    begin(&c);
    const data_field fields[] = {{"A", data_type_of(DATA_STRING)},
                                 {"b\"", data_type_array(&c.arena, data_type_of(DATA_INT))}};
    const data_type *entry = data_type_struct(&c.arena, fields, 2);
    const data_type *map = data_type_map(&c.arena, data_type_of(DATA_BIGINT), entry);
    data_vector *arrays = vector(&c, data_type_array(&c.arena, map), 2);
    data_vector *maps = vector(&c, map, 2), *keys = vector(&c, data_type_of(DATA_BIGINT), 3);
    data_vector *structs = vector(&c, entry, 3), *ints = vector(&c, data_type_of(DATA_INT), 2);
    data_vector *names = vector(&c, fields[0].type, 3), *lists = vector(&c, fields[1].type, 3);
    const int32_t list_ends[] = {2, 2, 2}, map_ends[] = {2, 3}, array_ends[] = {2, 2};
    memcpy(lists->ends, list_ends, sizeof list_ends);
    memcpy(maps->ends, map_ends, sizeof map_ends);
    memcpy(arrays->ends, array_ends, sizeof array_ends);
    for (uint32_t i = 0; i < 3; i++) {
        keys->bigints[i] = 10 + (int64_t)i;
        names->texts[i] = text_of("n");
    }
    ints->ints[0] = 1;
    ints->ints[1] = 2;
    data_vector_set_null(names, 1);
    lists->children[0] = *ints;
    structs->children[0] = *names;
    structs->children[1] = *lists;
    maps->children[0] = *keys;
    maps->children[1] = *structs;
    arrays->children[0] = *maps;
    assert_string_equal(value(&c, arrays, 0),
                        "[{\"10\":{\"A\":\"n\",\"b\\\"\":[1,2]},\"11\":{\"A\":null,\"b\\\"\":[]}},"
                        "{\"12\":{\"A\":\"n\",\"b\\\"\":[]}}]");
    assert_string_equal(value(&c, arrays, 1), "[]");
    weir_buffer_clear(&c.text);
    server_type_write(&c.text, arrays->type);
    assert_string_equal(weir_buffer_text(&c.text), "ARRAY<MAP<BIGINT, STRUCT<`A` STRING, `b\"` ARRAY<INTEGER>>>>");
    end(&c);
}

static void test_a_row_picks_its_columns(void **state) {
    (void)state;
    rows_case c;
    begin(&c);
    const data_column columns[] = {{.name = "K", .type = data_type_of(DATA_STRING), .role = DATA_ROLE_KEY},
                                   {.name = "v", .type = data_type_decimal(&c.arena, 4, 2), .role = DATA_ROLE_VALUE}};
    const data_schema schema = {columns, 2, 1};
    data_vector *keys = vector(&c, columns[0].type, 2), *decimals = vector(&c, columns[1].type, 2);
    keys->texts[1] = text_of("k\n\x01");
    decimals->decimals[1] = 5;
    data_vector *vectors[] = {keys, decimals};
    const data_batch batch = {.schema = &schema, .rows = 2, .columns = vectors};
    const uint32_t both[] = {0, 1}, turned[] = {1, 0, 1};
    server_row_write(&c.text, &batch, 1, both, 2);
    assert_string_equal(weir_buffer_text(&c.text), "[\"k\\n\\u0001\",0.05]");
    weir_buffer_clear(&c.text);
    server_row_write(&c.text, &batch, 1, turned, 3);
    assert_string_equal(weir_buffer_text(&c.text), "[0.05,\"k\\n\\u0001\",0.05]");
    weir_buffer_clear(&c.text);
    server_schema_write(&c.text, &schema);
    assert_string_equal(weir_buffer_text(&c.text), "`K` STRING KEY, `v` DECIMAL(4, 2)");
    end(&c);
}

/* Every code point below 0x800, and random mixtures: jansson reads back what was meant. */
static void test_any_text_reads_back(void **state) {
    (void)state;
    rows_case c;
    begin(&c);
    uint64_t seed = 88172645463325252u;
    for (unsigned turn = 0; turn < 2000; turn++) {
        char text[64];
        size_t size = 0;
        while (size < 60 && (size == 0 || seed % 17 != 0)) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            const unsigned point = (unsigned)(seed >> 20) % (turn < 1000 ? 0x100 : 0x800);
            if (point >= 0x80) text[size++] = (char)(0xc0 | point >> 6);
            text[size++] = (char)(point >= 0x80 ? 0x80 | (point & 63) : point);
        }
        weir_buffer_clear(&c.text);
        server_text_write(&c.text, weir_bytes_of(text, size));
        json_t *read =
            json_loadb((const char *)c.text.data, c.text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(read);
        assert_int_equal(json_string_length(read), size);
        assert_memory_equal(json_string_value(read), text, size);
        json_decref(read);
    }
    end(&c);
}

static void test_a_full_buffer_says_so(void **state) {
    (void)state;
    rows_case c;
    begin(&c);
    data_vector *bytes = vector(&c, data_type_of(DATA_BYTES), 1);
    bytes->texts[0] = text_of("more than thirty-two bytes in base64");
    for (size_t limit = 1; limit < 50; limit++) {
        weir_buffer narrow;
        weir_buffer_init(&narrow, &c.account, limit);
        server_value_write(&narrow, bytes, 0);
        assert_true(narrow.overflowed);
        assert_true(narrow.size <= limit);
        weir_buffer_deinit(&narrow);
    }
    assert_string_equal(value(&c, bytes, 0), "\"bW9yZSB0aGFuIHRoaXJ0eS10d28gYnl0ZXMgaW4gYmFzZTY0\"");
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_decimals_are_plain_numbers),
        cmocka_unit_test(test_bytes_dates_and_times),
        cmocka_unit_test(test_nulls_constants_and_absent_columns),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_a_row_picks_its_columns),
        cmocka_unit_test(test_any_text_reads_back),
        cmocka_unit_test(test_a_full_buffer_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
