/* story_test - a story for flow's tests: a simulated world, a bus in memory, a topology, a query; random inputs, and
 * the reference: a program that handles one record after another, as Kafka Streams does. Included by tests only. */
#ifndef WEIR_FLOW_STORY_TEST_H
#define WEIR_FLOW_STORY_TEST_H

#include "base/text.h"
#include "base/trace.h"
#include "flow/bus_test.h"
#include "flow/flow_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

enum { INPUTS_MAX = 3000, UPDATES_MAX = INPUTS_MAX * 8, STEPS_MAX = 10000000 };

/* ---- aggregates of the test -------------------------------------------------------------------------------------- */

static inline bool has_value(const data_vector *argument, uint32_t row) {
    return !argument || !data_vector_is_null(argument, row);
}

static inline void count_add(void *state, const data_vector *argument, uint32_t row) {
    if (has_value(argument, row)) ++*(int64_t *)state;
}
static inline weir_status count_finish(const void *state, data_vector *result, uint32_t row, weir_arena *arena) {
    (void)arena;
    result->bigints[row] = *(const int64_t *)state;
    data_bit_set(result->valid, row, true);
    return weir_ok();
}
typedef struct sum_state {
    int64_t sum, count;
} sum_state;
static inline void sum_add(void *state, const data_vector *argument, uint32_t row) {
    sum_state *into = state;
    if (!has_value(argument, row)) return;
    into->sum += argument->bigints[data_vector_index(argument, row)];
    into->count++;
}
static inline weir_status sum_finish(const void *state, data_vector *result, uint32_t row, weir_arena *arena) {
    (void)arena;
    const sum_state *from = state;
    if (from->count == 0) return weir_ok(); /* NULL */
    result->bigints[row] = from->sum;
    data_bit_set(result->valid, row, true);
    return weir_ok();
}
static const func_aggregate test_count = {.name = "COUNT", .argument = "", .result = "BIGINT", .state_bytes = 8,
                                          .add = count_add, .finish = count_finish};
static const func_aggregate test_sum = {.name = "SUM", .argument = "BIGINT", .result = "BIGINT", .state_bytes = 16,
                                        .add = sum_add, .finish = sum_finish};

/* ---- inputs and the reference ------------------------------------------------------------------------------------ */

typedef struct input { /* a record, and what it means */
    char key[40], value[40];
    bool has_key, has_value, is_bad, has_v;
    int64_t v, time;
} input;

typedef struct update { /* one change of a group: an output record */
    char key[40];
    int64_t start, time;
    char value[48];
} update;

typedef struct group {
    char key[40];
    int64_t start, time;
    int64_t rows, sum, values;
} group;

typedef struct reference {
    input inputs[INPUTS_MAX];
    uint32_t input_count;
    update updates[UPDATES_MAX];
    uint32_t update_count;
    group groups[UPDATES_MAX];
    uint32_t group_count;
    int64_t stream_time;
    flow_query_stats counts;
} reference;

static uint64_t random_state;
static inline uint64_t draw(uint64_t below) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static inline void draw_input(input *made, int64_t now, int64_t jitter) {
    *made = (input){.has_key = draw(20) > 0, .has_value = draw(40) > 0};
    const unsigned k = (unsigned)draw(12);
    snprintf(made->key, sizeof made->key, k < 6 ? "k%u" : "a key longer than a view %u", k);
    made->v = (int64_t)draw(100) - 50;
    made->has_v = draw(10) > 0;
    made->time = now - (int64_t)draw((uint64_t)jitter + 1);
    if (made->time < 0) made->time = 0;
    char v[24] = "";
    if (made->has_v) snprintf(v, sizeof v, "%lld", (long long)made->v);
    snprintf(made->value, sizeof made->value, "%s,%lld", v, (long long)made->time);
    const unsigned bad = (unsigned)draw(60);
    if (bad == 0) snprintf(made->value, sizeof made->value, "rubbish,%lld", (long long)made->time);
    if (bad == 1) snprintf(made->value, sizeof made->value, "1,-5");
    if (bad == 2) snprintf(made->value, sizeof made->value, "1,");
    if (bad == 3) snprintf(made->value, sizeof made->value, "1");
    made->is_bad = bad < 4 && made->has_value;
}

static inline group *group_of(reference *r, const char *key, int64_t start) {
    for (uint32_t i = 0; i < r->group_count; i++) {
        if (r->groups[i].start == start && strcmp(r->groups[i].key, key) == 0) return &r->groups[i];
    }
    group *made = &r->groups[r->group_count++];
    *made = (group){.start = start, .time = -1};
    snprintf(made->key, sizeof made->key, "%s", key);
    return made;
}

static inline void reference_update(reference *r, const input *in, int64_t start) {
    group *g = group_of(r, in->key, start);
    g->rows++;
    if (in->has_v) g->sum += in->v, g->values++;
    if (in->time > g->time) g->time = in->time;
    update *made = &r->updates[r->update_count++];
    *made = (update){.start = start, .time = g->time};
    snprintf(made->key, sizeof made->key, "%s", in->key);
    char sum[24] = "";
    if (g->values) snprintf(sum, sizeof sum, "%lld", (long long)g->sum);
    snprintf(made->value, sizeof made->value, "%lld,%s", (long long)g->rows, sum);
}

/* Kafka Streams' KStreamAggregate and KStreamWindowAggregate, one record at a time. */
static inline void reference_take(reference *r, const flow_window *window, const input *in) {
    r->counts.rows_in++;
    if (in->is_bad) {
        r->counts.quarantined++;
        return;
    }
    if (!in->has_key || !in->has_value) {
        if (!in->has_key) r->counts.null_key++;
        else r->counts.null_value++;
        return;
    }
    if (window->kind == FLOW_WINDOW_NONE) {
        r->counts.aggregated++;
        reference_update(r, in, 0);
        return;
    }
    if (in->time > r->stream_time) r->stream_time = in->time;
    bool is_late = true;
    int64_t start = in->time - window->size_ms + window->advance_ms;
    for (start = (start > 0 ? start : 0) / window->advance_ms * window->advance_ms; start <= in->time;
         start += window->advance_ms) {
        if (start + window->size_ms <= r->stream_time - window->grace_ms) continue;
        is_late = false;
        reference_update(r, in, start);
    }
    if (is_late) r->counts.late++;
    else r->counts.aggregated++;
}

/* ---- a story: world, bus, topology, query ------------------------------------------------------------------------ */

typedef struct story {
    io_sim *sim;
    test_bus bus;
    io_lane *owner;
    flow_runtime runtime;
    flow_node nodes[6];
    flow_aggregation aggregations[2];
    flow_topology topology;
    flow_query *query;
    flow_state state;
    uint64_t running, ended;
    uint32_t rows_pushed;
} story;

static const data_column source_columns[] = {{.name = "K", .role = DATA_ROLE_KEY},
                                             {.name = "V", .role = DATA_ROLE_VALUE},
                                             {.name = "T", .role = DATA_ROLE_VALUE}};
static data_column typed_source[3], typed_table[3];
static data_schema source_schema = {typed_source, 3, 1}, table_schema = {typed_table, 3, 1};

static inline void make_schemas(void) {
    memcpy(typed_source, source_columns, sizeof typed_source);
    memcpy(typed_table, source_columns, sizeof typed_table);
    typed_table[1].name = "N";
    typed_table[2].name = "S";
    typed_source[0].type = typed_table[0].type = data_type_of(DATA_STRING);
    for (int i = 1; i < 3; i++) typed_source[i].type = typed_table[i].type = data_type_of(DATA_BIGINT);
}

static inline flow_topic topic_of(const char *name, const data_schema *schema) {
    return (flow_topic){.name = name, .key_format = "KAFKA", .value_format = "DELIMITED", .schema = schema};
}

static inline flow_node source_node(void) {
    return (flow_node){
        .kind = FLOW_SOURCE,
        .id = "Source-0",
        .schema = &source_schema,
        .source = {.topic = topic_of("in", &source_schema), .timestamp_column = 2, .quarantine_topic = "bad"}};
}

/* SOURCE -> [REPARTITION ->] AGGREGATE -> SINK */
static inline void build_aggregate(story *s, const flow_window *window, bool with_repartition) {
    uint32_t at = 0;
    s->nodes[at++] = source_node();
    if (with_repartition) {
        s->nodes[at] = (flow_node){.kind = FLOW_REPARTITION,
                                   .id = "Repartition-0",
                                   .schema = &source_schema,
                                   .input = &s->nodes[at - 1],
                                   .repartition = {topic_of("Q-repartition", &source_schema)}};
        at++;
    }
    s->aggregations[0] = (flow_aggregation){&test_count, -1};
    s->aggregations[1] = (flow_aggregation){&test_sum, 1};
    s->nodes[at] = (flow_node){.kind = FLOW_AGGREGATE,
                               .id = "Aggregate-0",
                               .input = &s->nodes[at - 1],
                               .schema = &table_schema,
                               .is_table = true,
                               .windowed = window->kind != FLOW_WINDOW_NONE,
                               .aggregate = {.key_count = 1,
                                             .aggregations = s->aggregations,
                                             .aggregation_count = 2,
                                             .window = *window,
                                             .key_format = "KAFKA",
                                             .store = "Store-0",
                                             .changelog_topic = "Q-changelog"}};
    at++;
    s->nodes[at] = (flow_node){.kind = FLOW_SINK, .id = "Sink-0", .input = &s->nodes[at - 1], .schema = &table_schema,
                               .is_table = true, .sink = {.topic = topic_of("out", &table_schema)}};
    s->nodes[at].sink.topic.window = *window;
    s->nodes[at].sink.topic.is_table = true;
    s->topology = (flow_topology){.query_id = "CTAS_Q_0",
                                  .group = "CTAS_Q_0",
                                  .from_earliest = true,
                                  .root = &s->nodes[at],
                                  .node_count = at + 1};
}

static inline void on_state(void *arg, flow_query *query, flow_state state) {
    story *s = arg;
    (void)query;
    s->state = state;
    if (state == FLOW_RUNNING) s->running++;
    else s->ended++;
}
static inline bool on_batch(void *arg, const data_batch *batch) {
    story *s = arg;
    s->rows_pushed += batch->selection.count;
    return true;
}

static inline void story_begin(story *s, uint64_t seed, int32_t partitions) {
    *s = (story){.sim = io_sim_create(seed)};
    random_state = seed * 0x9E3779B97F4A7C15ull + 1;
    make_schemas();
    test_bus_open(&s->bus, s->sim);
    test_bus_make(&s->bus, "in", partitions);
    s->owner = io_lane_create(io_sim_world(s->sim)->executor, IO_LANE_LOOP, "owner");
    s->runtime = (flow_runtime){
        .world = io_sim_world(s->sim), .bus = &s->bus.base, .owner = s->owner, .state_directory = "state"};
}
static inline void query_begin(story *s) {
    const flow_query_events events = {.on_state = on_state, .on_batch = on_batch, .arg = s};
    s->ended = 0;
    s->query = flow_query_start(&s->runtime, &s->topology, &events);
}
static inline bool has_ended(void *arg) { return ((story *)arg)->ended > 0; }
static inline void query_end(story *s) {
    flow_query_stop(s->query);
    assert_int_equal(io_sim_run(s->sim, has_ended, s, STEPS_MAX), IO_SIM_DONE);
    assert_int_equal(s->ended, 1);
    flow_query_free(s->query);
    s->query = NULL;
}
/* Runs until nothing would ever happen again: a query with nothing to read sets no timers. */
static inline void settle(story *s) { assert_int_equal(io_sim_run(s->sim, NULL, NULL, STEPS_MAX), IO_SIM_IDLE); }
static inline void story_end(story *s) {
    if (s->query) query_end(s);
    settle(s);
    test_bus_close(&s->bus);
    io_lane_destroy(io_sim_world(s->sim)->executor, s->owner);
    io_sim_destroy(s->sim);
}

static inline void produce(story *s, const input *in, int32_t partition) {
    const bus_row row = {.timestamp_ms = 7, .key = in->has_key ? weir_bytes_text(in->key) : (weir_bytes){0},
                         .value = in->has_value ? weir_bytes_text(in->value) : (weir_bytes){0}};
    test_bus_produce(&s->bus, "in", partition, &row);
}

static const flow_window windows[] = {
    {.kind = FLOW_WINDOW_NONE},
    {.kind = FLOW_WINDOW_TUMBLING, .size_ms = 1000, .advance_ms = 1000, .grace_ms = 500, .retention_ms = 1500},
    {.kind = FLOW_WINDOW_TUMBLING, .size_ms = 700, .advance_ms = 700, .grace_ms = 0, .retention_ms = 100000},
    {.kind = FLOW_WINDOW_HOPPING, .size_ms = 1000, .advance_ms = 250, .grace_ms = 300, .retention_ms = 100000},
    {.kind = FLOW_WINDOW_HOPPING, .size_ms = 1000, .advance_ms = 300, .grace_ms = 86400000, .retention_ms = 90000000},
};
enum { WINDOWS = sizeof windows / sizeof *windows };

static reference ref; /* large */

/* The reference's whole run over `count` random inputs, which are produced too. */
static inline void produce_random(story *s, const flow_window *window, uint32_t count, bool reset) {
    if (reset) {
        memset(&ref, 0, sizeof ref);
        ref.stream_time = -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        input *in = &ref.inputs[ref.input_count++];
        draw_input(in, (int64_t)ref.input_count * 20, 3000);
        reference_take(&ref, window, in);
        produce(s, in, 0);
    }
}

static inline bool is_output(const test_record *record, const update *expected, bool windowed) {
    const weir_bytes key = test_record_key(record), value = test_record_value(record);
    const size_t key_bytes = strlen(expected->key);
    if (key.size != key_bytes + (windowed ? 8 : 0) || memcmp(key.data, expected->key, key_bytes) != 0) return false;
    if (windowed && (int64_t)weir_read_be64(key.data + key_bytes) != expected->start) return false;
    return weir_bytes_equal_text(value, expected->value) && record->timestamp_ms == expected->time;
}

static inline void check_every_update(story *s, bool windowed) {
    const test_partition *out = &test_bus_topic(&s->bus, "out")->partitions[0];
    assert_int_equal(out->count, ref.update_count);
    for (int64_t i = 0; i < out->count; i++) assert_true(is_output(&out->records[i], &ref.updates[i], windowed));
}

/* Each output is one of the reference's updates; per group in order, none twice, and the last is there. */
static inline void check_coalesced(story *s, bool windowed) {
    const test_topic *topic = test_bus_topic(&s->bus, "out");
    uint32_t *next_of = weir_alloc(&s->bus.account, (ref.group_count + 1) * sizeof *next_of);
    for (int32_t p = 0; p < topic->partition_count; p++) {
        for (int64_t i = 0; i < topic->partitions[p].count; i++) {
            const test_record *record = &topic->partitions[p].records[i];
            const weir_bytes key = test_record_key(record);
            uint32_t g = 0;
            for (; g < ref.group_count; g++) {
                const size_t key_bytes = strlen(ref.groups[g].key);
                if (key.size != key_bytes + (windowed ? 8 : 0) || memcmp(key.data, ref.groups[g].key, key_bytes) != 0)
                    continue;
                if (!windowed || (int64_t)weir_read_be64(key.data + key_bytes) == ref.groups[g].start) break;
            }
            assert_true(g < ref.group_count);
            while (next_of[g] < ref.update_count && !is_output(record, &ref.updates[next_of[g]], windowed))
                next_of[g]++;
            assert_true(next_of[g] < ref.update_count);
            next_of[g]++;
        }
    }
    for (uint32_t g = 0; g < ref.group_count; g++) {
        uint32_t last = 0;
        for (uint32_t u = 0; u < ref.update_count; u++) {
            if (ref.updates[u].start == ref.groups[g].start && strcmp(ref.updates[u].key, ref.groups[g].key) == 0)
                last = u + 1;
        }
        assert_int_equal(next_of[g], last);
    }
    weir_free(&s->bus.account, next_of);
}

static inline void check_counts(story *s) {
    flow_query_stats stats;
    flow_query_stats_get(s->query, &stats);
    assert_int_equal(stats.rows_in, ref.counts.rows_in);
    assert_int_equal(stats.quarantined, ref.counts.quarantined);
    assert_int_equal(stats.null_key, ref.counts.null_key);
    assert_int_equal(stats.null_value, ref.counts.null_value);
    assert_int_equal(stats.late, ref.counts.late);
    assert_int_equal(stats.aggregated, ref.counts.aggregated);
    assert_int_equal(stats.rows_in,
                     stats.quarantined + stats.null_key + stats.null_value + stats.late + stats.aggregated);
    assert_int_equal(stats.lag, 0);
    const weir_metric *metrics = s->query->metrics;
    assert_int_equal(weir_metric_get(&metrics[FLOW_METRIC_ROWS_IN]), stats.rows_in);
    assert_int_equal(weir_metric_get(&metrics[FLOW_METRIC_ROWS_OUT]), stats.rows_out);
    assert_int_equal(weir_metric_get(&metrics[FLOW_METRIC_LATE]), stats.late);
    assert_int_equal(weir_metric_get(&metrics[FLOW_METRIC_GROUPS]), stats.groups);
    assert_int_equal(weir_metric_get(&metrics[FLOW_METRIC_STATE_BYTES]), stats.state_bytes);
    assert_int_equal(weir_metric_get(&metrics[FLOW_METRIC_LAG]), 0);
    assert_int_equal(test_bus_topic(&s->bus, "bad")->partitions[0].count, ref.counts.quarantined);
    if (stats.quarantined) assert_int_equal(stats.last_error.code, WEIR_CORRUPT);
}

#endif
