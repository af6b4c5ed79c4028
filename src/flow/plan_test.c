/* Goal: a plan asks its source for the columns that are read and no others, cuts at repartitions exactly when there is
 * more than one partition, and refuses what flow cannot run with a sentence that names the node.
 * Method: topologies by hand, down to the prepared steps. */
#include "flow/flow_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static weir_status nothing_to_finish(const void *state, data_vector *result, uint32_t row, weir_arena *arena) {
    (void)state, (void)result, (void)row, (void)arena;
    return weir_ok();
}
static void nothing_to_add(void *state, const data_vector *argument, uint32_t row) {
    (void)state, (void)argument, (void)row;
}
static const func_aggregate small = {.name = "SMALL", .argument = "", .result = "BIGINT", .state_bytes = 8,
                                     .add = nothing_to_add, .finish = nothing_to_finish};
static const func_aggregate wide = {.name = "WIDE", .argument = "BIGINT", .result = "BIGINT", .state_bytes = 32,
                                    .add = nothing_to_add, .finish = nothing_to_finish};

typedef struct fixture {
    weir_account account;
    weir_arena arena;
    data_column columns[4], table_columns[3];
    data_schema schema, table;
    flow_aggregation aggregations[2];
    flow_node nodes[5];
    flow_topology topology;
    flow_plan plan;
} fixture;

static flow_topic topic_of(const char *name, const data_schema *schema) {
    return (flow_topic){.name = name, .key_format = "KAFKA", .value_format = "JSON", .schema = schema};
}

/* SOURCE (K, A, B, C) -> REPARTITION -> AGGREGATE by K: SMALL(*), WIDE(B) -> SINK */
static void begin(fixture *f) {
    *f = (fixture){0};
    weir_account_init(&f->account, "test", 0);
    weir_arena_init(&f->arena, &f->account, 1 << 20);
    static const char *const names[] = {"K", "A", "B", "C"};
    for (int i = 0; i < 4; i++) {
        const data_column column = {.name = names[i], .type = data_type_of(i ? DATA_BIGINT : DATA_STRING),
                                    .role = i ? DATA_ROLE_VALUE : DATA_ROLE_KEY};
        f->columns[i] = column;
        if (i < 3) f->table_columns[i] = column;
    }
    f->schema = (data_schema){f->columns, 4, 1};
    f->table = (data_schema){f->table_columns, 3, 1};
    f->aggregations[0] = (flow_aggregation){&small, -1};
    f->aggregations[1] = (flow_aggregation){&wide, 2};
    f->nodes[0] = (flow_node){.kind = FLOW_SOURCE, .id = "Source-0", .schema = &f->schema,
                              .source = {.topic = topic_of("in", &f->schema), .timestamp_column = 3}};
    f->nodes[1] = (flow_node){.kind = FLOW_REPARTITION, .id = "Repartition-0", .input = &f->nodes[0],
                              .schema = &f->schema, .repartition = {topic_of("between", &f->schema)}};
    f->nodes[2] = (flow_node){.kind = FLOW_AGGREGATE, .id = "Aggregate-0", .input = &f->nodes[1], .schema = &f->table,
                              .is_table = true,
                              .aggregate = {.key_count = 1, .aggregations = f->aggregations, .aggregation_count = 2,
                                            .key_format = "KAFKA", .store = "Store-0", .changelog_topic = "log"}};
    f->nodes[3] = (flow_node){.kind = FLOW_SINK, .id = "Sink-0", .input = &f->nodes[2], .schema = &f->table,
                              .is_table = true, .sink = {.topic = topic_of("out", &f->table)}};
    f->topology = (flow_topology){.query_id = "CTAS_Q_0", .group = "g", .root = &f->nodes[3], .node_count = 4};
}
static void end(fixture *f) {
    weir_arena_deinit(&f->arena);
    weir_account_deinit(&f->account);
}
static weir_status create(fixture *f) { return flow_plan_create(&f->arena, &f->topology, &f->plan); }

static void cuts_only_between_partitions(void **unused) {
    (void)unused;
    fixture f;
    begin(&f);
    assert_int_equal(create(&f).code, WEIR_OK);
    assert_int_equal(flow_plan_cut(&f.arena, &f.plan, 1).code, WEIR_OK);
    assert_int_equal(f.plan.sub_count, 1);
    assert_int_equal(f.plan.subs[0].step_count, 3);
    assert_ptr_equal(f.plan.subs[0].aggregate->node, &f.nodes[2]);
    assert_int_equal(create(&f).code, WEIR_OK);
    assert_int_equal(flow_plan_cut(&f.arena, &f.plan, 4).code, WEIR_OK);
    assert_int_equal(f.plan.sub_count, 2);
    const flow_sub *first = &f.plan.subs[0], *second = &f.plan.subs[1];
    assert_int_equal(first->step_count, 2);
    assert_string_equal(first->input->name, "in");
    assert_true(first->is_first && !first->is_last && !first->aggregate);
    assert_int_equal(second->step_count, 3);
    assert_string_equal(second->input->name, "between");
    assert_true(!second->is_first && second->is_last && second->aggregate);
    end(&f);
}

static void source_decodes_what_is_read(void **unused) {
    (void)unused;
    fixture f;
    begin(&f);
    f.nodes[2].input = &f.nodes[0]; /* without the repartition, which copies whole rows */
    assert_int_equal(create(&f).code, WEIR_OK);
    const flow_columns *read = &f.plan.subs[0].steps[0].emits;
    assert_true(flow_column_wanted(read, 0));  /* the key */
    assert_false(flow_column_wanted(read, 1)); /* A: nobody */
    assert_true(flow_column_wanted(read, 2));  /* B: the argument */
    assert_true(flow_column_wanted(read, 3));  /* C: event time */
    end(&f);
}

/* States that may hold 128-bit numbers are aligned for them, and a layout tells apart what means something else. */
static void layouts_are_aligned_and_told_apart(void **unused) {
    (void)unused;
    fixture f;
    begin(&f);
    assert_int_equal(create(&f).code, WEIR_OK);
    const flow_layout before = f.plan.subs[0].steps[2].layout;
    assert_int_equal(before.offsets[0], 0);
    assert_int_equal(before.offsets[1], 16);
    assert_int_equal(before.state_bytes, 48);
    assert_int_equal(create(&f).code, WEIR_OK);
    assert_true(f.plan.subs[0].steps[2].layout.fingerprint == before.fingerprint);
    f.nodes[2].aggregate.window = (flow_window){FLOW_WINDOW_TUMBLING, 10, 10, 0, 10};
    assert_int_equal(create(&f).code, WEIR_OK);
    assert_true(f.plan.subs[0].steps[2].layout.fingerprint != before.fingerprint);
    f.nodes[2].aggregate.window = (flow_window){0};
    f.aggregations[0] = f.aggregations[1];
    assert_int_equal(create(&f).code, WEIR_OK);
    assert_true(f.plan.subs[0].steps[2].layout.fingerprint != before.fingerprint);
    end(&f);
}

static void expect_refused(fixture *f, weir_code code, const char *part) {
    const weir_status status = create(f);
    assert_int_equal(status.code, code);
    assert_non_null(strstr(status.text, part));
}

static void what_cannot_run_is_refused(void **unused) {
    (void)unused;
    fixture f;
    begin(&f);
    f.nodes[0].is_table = true;
    f.nodes[1].is_table = true;
    expect_refused(&f, WEIR_UNSUPPORTED, "Aggregate-0");
    f.nodes[0].is_table = f.nodes[1].is_table = false;
    f.nodes[2].aggregate.key_count = 2;
    expect_refused(&f, WEIR_INVALID, "Aggregate-0");
    f.nodes[2].aggregate.key_count = 1;
    f.nodes[2].aggregate.window = (flow_window){FLOW_WINDOW_HOPPING, 10, 20, 0, 10};
    expect_refused(&f, WEIR_INVALID, "advance 20 ms");
    f.nodes[2].aggregate.window = (flow_window){0};
    f.nodes[0].source.topic.value_format = "JSONN";
    expect_refused(&f, WEIR_NOT_FOUND, "JSONN");
    f.nodes[0].source.topic.value_format = "JSON";
    f.nodes[0].source.timestamp_column = 9;
    expect_refused(&f, WEIR_INVALID, "Source-0");
    f.nodes[0].source.timestamp_column = -1;
    f.columns[3].role = DATA_ROLE_HEADERS;
    expect_refused(&f, WEIR_UNSUPPORTED, "column C");
    f.columns[3].role = DATA_ROLE_VALUE;
    f.topology.root = &f.nodes[2];
    expect_refused(&f, WEIR_INVALID, "does not end in a sink");
    f.topology.root = &f.nodes[3];
    assert_int_equal(create(&f).code, WEIR_OK);
    end(&f);
}

static void prints_from_the_root_down(void **unused) {
    (void)unused;
    fixture f;
    begin(&f);
    f.nodes[2].aggregate.window = (flow_window){FLOW_WINDOW_HOPPING, 60000, 10000, 5000, 65000};
    weir_buffer text;
    weir_buffer_init(&text, &f.account, 10000);
    flow_topology_print(&f.topology, &text);
    assert_string_equal(weir_buffer_text(&text),
                        "SINK Sink-0 out key KAFKA value JSON\n"
                        "  AGGREGATE Aggregate-0 by K: SMALL(*), WIDE(B) window HOPPING 60000 ms advance 10000 ms"
                        " grace 5000 ms retention 65000 ms store Store-0\n"
                        "    REPARTITION Repartition-0 between key KAFKA value JSON\n"
                        "      SOURCE Source-0 in key KAFKA value JSON time C\n");
    weir_buffer_deinit(&text);
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_only_between_partitions),
        cmocka_unit_test(source_decodes_what_is_read),
        cmocka_unit_test(layouts_are_aligned_and_told_apart),
        cmocka_unit_test(what_cannot_run_is_refused),
        cmocka_unit_test(prints_from_the_root_down),
    };
    return cmocka_run_group_tests_name("flow/plan", tests, NULL, NULL);
}
