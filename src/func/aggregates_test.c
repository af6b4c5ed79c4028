/* Aggregates: each over a table of values with its result, adding in any split of the rows and merging, and taking
 * values out again where that is possible. States lie at odd addresses, as they do in a store. */
#include "func/func_testing.h"

static test_bench b;

typedef struct aggregate_case {
    const char *name, *type;
    const char *values[6]; /* text of each value, NULL ends, "NULL" */
    const char *wanted;
} aggregate_case;

static const aggregate_case cases[] = {
    {"COUNT", "STRING", {"a", "NULL", "c"}, "BIGINT:2"},
    {"COUNT", "STRING", {NULL}, "BIGINT:0"},
    {"SUM", "INTEGER", {"2147483647", "1", "NULL"}, "INTEGER:-2147483648"},
    {"SUM", "BIGINT", {"5", "-7"}, "BIGINT:-2"},
    {"SUM", "DOUBLE", {"0.5", "0.25"}, "DOUBLE:0.75"},
    {"SUM", "DECIMAL(4, 2)", {"1.50", "2.25"}, "DECIMAL(4, 2):3.75"},
    {"SUM",
     "DECIMAL(3, 2)",
     {"9.99", "0.01"},
     "error: SUM does not fit DECIMAL(3, 2); CAST its argument to a wider DECIMAL"},
    {"SUM", "BIGINT", {"NULL"}, "BIGINT:0"},
    {"AVG", "INTEGER", {"1", "2", "NULL", "6"}, "DOUBLE:3.0"},
    {"AVG", "BIGINT", {"1", "2"}, "DOUBLE:1.5"},
    {"AVG", "DOUBLE", {"0.5", "1.5"}, "DOUBLE:1.0"},
    {"AVG", "DOUBLE", {NULL}, "DOUBLE:0.0"},
    {"MIN", "INTEGER", {"3", "NULL", "-1", "2"}, "INTEGER:-1"},
    {"MIN", "BIGINT", {"NULL"}, "BIGINT:NULL"},
    {"MAX", "DOUBLE", {"3.5", "-1", "2"}, "DOUBLE:3.5"},
    {"MAX", "DECIMAL(4, 2)", {"1.50", "2.25", "-3.00"}, "DECIMAL(4, 2):2.25"},
    {"MAX", "DATE", {"2020-01-01", "2021-01-01"}, "DATE:2021-01-01"},
    {"MIN", "TIMESTAMP", {"2020-01-01", "1960-01-01"}, "TIMESTAMP:1960-01-01T00:00:00.000"},
    {"EARLIEST_BY_OFFSET", "INTEGER", {"NULL", "2", "3"}, "INTEGER:2"},
    {"LATEST_BY_OFFSET", "INTEGER", {"1", "2", "NULL"}, "INTEGER:2"},
    {"LATEST_BY_OFFSET", "BOOLEAN", {"true", "false"}, "BOOLEAN:false"},
};

static data_vector *values_of(const aggregate_case *c, uint32_t *count) {
    const data_type *type = bench_type(&b, c->type, strlen(c->type));
    data_vector *vector = data_vector_create(&b.arena, type, 8);
    for (*count = 0; *count < 6 && c->values[*count]; (*count)++) {
        char text[64];
        if (strcmp(c->values[*count], "NULL") == 0)
            snprintf(text, sizeof text, "%s", c->type);
        else
            snprintf(text, sizeof text, "%s:%s", c->type, c->values[*count]);
        const func_value value = bench_value(&b, weir_arena_text_copy(&b.arena, text));
        data_vector_set_null(vector, *count);
        if (value.is_null) continue;
        data_bit_set(vector->valid, *count, true);
        switch (data_kind_width(type->kind)) {
        case 1: vector->booleans[*count] = value.boolean; break;
        case 4: vector->ints[*count] = value.int32; break;
        case 8: vector->bigints[*count] = value.int64; break;
        default:
            if (type->kind == DATA_DECIMAL)
                vector->decimals[*count] = value.decimal;
            else
                vector->texts[*count] = data_text_of(value.text.data, value.text.size);
        }
    }
    return vector;
}

static const char *finish(const func_aggregate *aggregate, const data_vector *argument, const void *state) {
    const data_type *type = aggregate->derive ? aggregate->derive(argument->type, &b.arena)
                                              : bench_type(&b, aggregate->result, strlen(aggregate->result));
    data_vector *result = data_vector_create(&b.arena, type, 1);
    weir_buffer_clear(&b.text);
    const weir_status status = aggregate->finish(state, result, 0, &b.arena);
    if (weir_failed(status)) {
        weir_buffer_format(&b.text, "error: %s", status.text);
        return weir_buffer_text(&b.text);
    }
    data_type_print(type, &b.text);
    weir_buffer_append_byte(&b.text, ':');
    bench_print(&b.text, result, 0);
    return weir_buffer_text(&b.text);
}

static void check(const aggregate_case *c) {
    uint32_t count;
    const data_vector *values = values_of(c, &count);
    const func_aggregate *aggregate;
    const weir_status status = func_aggregate_find(c->name, values->type, &aggregate);
    if (weir_failed(status)) fail_msg("%s", status.text);
    assert_true(aggregate->state_bytes <= FUNC_AGGREGATE_STATE_MAX);
    for (uint32_t split = 0; split <= count; split++) {
        uint8_t memory[2][FUNC_AGGREGATE_STATE_MAX + 1] = {{0}};
        void *first = memory[0] + 1, *second = memory[1] + 1;
        for (uint32_t row = 0; row < count; row++) aggregate->add(row < split ? first : second, values, row);
        aggregate->merge(first, second);
        const char *got = finish(aggregate, values, first);
        if (strcmp(got, c->wanted) != 0)
            fail_msg("%s(%s) split at %u: wanted %s, got %s", c->name, c->type, split, c->wanted, got);
    }
    if (!aggregate->undo) return;
    uint8_t memory[FUNC_AGGREGATE_STATE_MAX + 1] = {0}, empty[FUNC_AGGREGATE_STATE_MAX + 1] = {0};
    for (uint32_t row = 0; row < count; row++) aggregate->add(memory + 1, values, row);
    for (uint32_t row = count; row > 0; row--) aggregate->undo(memory + 1, values, row - 1);
    assert_memory_equal(memory, empty, sizeof memory);
}

static void test_cases(void **state) {
    (void)state;
    bench_open(&b);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(&cases[i]);
    bench_close(&b);
}

static void test_lookup(void **state) {
    (void)state;
    const func_aggregate *aggregate;
    assert_int_equal(func_aggregate_find("count", NULL, &aggregate).code, WEIR_OK);
    uint8_t memory[FUNC_AGGREGATE_STATE_MAX] = {0};
    aggregate->add(memory, NULL, 0);
    assert_int_equal(memory[0], 1);
    assert_true(func_aggregate_exists("latest_by_offset") && !func_aggregate_exists("LEN"));
    const weir_status unknown = func_aggregate_find("MEDIAN", data_type_of(DATA_INT), &aggregate);
    assert_int_equal(unknown.code, WEIR_NOT_FOUND);
    const weir_status wrong = func_aggregate_find("SUM", data_type_of(DATA_STRING), &aggregate);
    assert_int_equal(wrong.code, WEIR_INVALID);
    assert_string_equal(
        wrong.text,
        "SUM does not take such an argument; it takes SUM(INTEGER), SUM(BIGINT), SUM(DOUBLE), SUM(DECIMAL)");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_lookup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
