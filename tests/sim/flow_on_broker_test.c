/* Goal: a query over the embedded broker counts every record exactly once, whatever the power does.
 * Method: the whole path from log to table in a simulated world: clicks in two partitions, regrouped, counted in
 * hopping windows. The disk dies at a random operation, again and again; broker and query start anew over what
 * survived. At the end the last record of each window equals a count made here, and every bad record is in the
 * quarantine topic once. */
#include "base/trace.h"
#include "bus/embedded/embedded.h"
#include "flow/flow.h"
#include "io/sim/io_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

enum { STEPS_MAX = 20000000, ROWS = 500, KEYS = 7, SIZE_MS = 1000, ADVANCE_MS = 500, WINDOWS = 40 };

typedef struct fixture {
    io_sim *sim;
    const io_world *world;
    io_lane *broker_lane, *owner;
    broker_node *broker;
    bus *bus;
    bool is_ready, is_stopped, is_told, is_running, has_ended;
    io_job tell;
    data_column columns[2], table_columns[2];
    data_schema schema, table;
    flow_aggregation aggregation;
    flow_node nodes[4];
    flow_topology topology;
    flow_runtime runtime;
    flow_query *query;
    int64_t expected[KEYS][WINDOWS], bad;
} fixture;

static bool flag_is_set(void *arg) { return *(const bool *)arg; }
static void run_until(fixture *f, const bool *flag) {
    const io_sim_end end = io_sim_run(f->sim, flag_is_set, (void *)(uintptr_t)flag, STEPS_MAX);
    if (end != IO_SIM_DONE) print_message("seed %llu waited in vain\n", (unsigned long long)io_sim_seed(f->sim));
    assert_int_equal(end, IO_SIM_DONE);
}

/* ---- broker and bus --------------------------------------------------------------------------------------------- */

static void ready(void *arg, weir_status status) {
    if (weir_failed(status)) print_message("%s\n", status.text);
    assert_int_equal(status.code, WEIR_OK);
    ((fixture *)arg)->is_ready = true;
}
static void stopped(void *arg) { ((fixture *)arg)->is_stopped = true; }

static void open_broker(fixture *f) {
    const broker_config config = {.world = f->world, .lane = f->broker_lane, .directory = "data",
                                  .journal_bytes = 1 << 20, .ready = ready, .arg = f};
    f->is_ready = f->is_stopped = false;
    assert_int_equal(broker_open(&f->broker, &config, NULL).code, WEIR_OK);
    run_until(f, &f->is_ready);
    f->bus = bus_embedded_create(
        &(bus_embedded_config){.world = f->world, .broker = f->broker, .read_ahead = io_sim_draw(f->sim, 2)});
    f->runtime.bus = f->bus;
}
static void stop_broker(fixture *f) {
    broker_stop(f->broker, stopped, f);
    run_until(f, &f->is_stopped);
    io_sim_run(f->sim, NULL, NULL, 2000); /* jobs of the bus that are on their way */
    bus_embedded_destroy(f->bus);
}

static void told(io_job *job) { io_owner(job, fixture, tell)->is_told = true; }
static void created(void *arg, weir_status status, const bus_topic_info *info) {
    (void)info;
    assert_int_equal(status.code, WEIR_OK);
    ((fixture *)arg)->is_told = true;
}

/* Clicks of a few keys over some seconds, out of order by up to a second; one in twenty is rubbish. */
static void produce(fixture *f) {
    f->is_told = false;
    f->bus->vtable->topic_create(f->bus, f->owner, "in", 2, NULL, 0, created, f);
    run_until(f, &f->is_told);
    bus_commit *commit = f->bus->vtable->commit_begin(f->bus, f->owner, NULL);
    for (int64_t i = 0; i < ROWS; i++) {
        char key[24], value[24];
        const unsigned k = (unsigned)io_sim_draw(f->sim, KEYS);
        const bool is_bad = io_sim_draw(f->sim, 20) == 0;
        const int64_t time = i * 30 + (int64_t)io_sim_draw(f->sim, 1000);
        snprintf(key, sizeof key, "/page/number/%u", k);
        snprintf(value, sizeof value, is_bad ? "rubbish" : "1");
        const bus_row row = {.timestamp_ms = time, .key = weir_bytes_text(key), .value = weir_bytes_text(value)};
        assert_int_equal(
            f->bus->vtable->commit_add(commit, "in", (int32_t)io_sim_draw(f->sim, 2), &row).code, WEIR_OK);
        f->bad += is_bad;
        const int64_t last = time / ADVANCE_MS;
        if (is_bad) continue;
        f->expected[k][last]++;
        if (last > 0) f->expected[k][last - 1]++;
    }
    f->is_told = false;
    f->bus->vtable->commit_send(commit, &f->tell);
    run_until(f, &f->is_told);
    assert_int_equal(f->bus->vtable->commit_result(commit).code, WEIR_OK);
    f->bus->vtable->commit_free(commit);
}

/* ---- query ------------------------------------------------------------------------------------------------------- */

static flow_topic topic_of(const char *name, const data_schema *schema) {
    return (flow_topic){.name = name, .key_format = "KAFKA", .value_format = "DELIMITED", .schema = schema};
}

static void build(fixture *f) {
    f->columns[0] = (data_column){.name = "K", .type = data_type_of(DATA_STRING), .role = DATA_ROLE_KEY};
    f->columns[1] = (data_column){.name = "V", .type = data_type_of(DATA_BIGINT), .role = DATA_ROLE_VALUE};
    f->table_columns[0] = f->columns[0];
    f->table_columns[1] = (data_column){.name = "N", .type = data_type_of(DATA_BIGINT), .role = DATA_ROLE_VALUE};
    f->schema = (data_schema){f->columns, 2, 1};
    f->table = (data_schema){f->table_columns, 2, 1};
    assert_int_equal(func_aggregate_find("COUNT", NULL, &f->aggregation.aggregate).code, WEIR_OK);
    f->aggregation.argument = -1;
    const flow_window window = {FLOW_WINDOW_HOPPING, SIZE_MS, ADVANCE_MS, 86400000, 90000000};
    f->nodes[0] = (flow_node){.kind = FLOW_SOURCE, .id = "Source-0", .schema = &f->schema,
                              .source = {.topic = topic_of("in", &f->schema), .timestamp_column = -1,
                                         .quarantine_topic = "bad"}};
    f->nodes[1] = (flow_node){.kind = FLOW_REPARTITION, .id = "Repartition-0", .input = &f->nodes[0],
                              .schema = &f->schema, .repartition = {topic_of("Q-repartition", &f->schema)}};
    f->nodes[2] = (flow_node){.kind = FLOW_AGGREGATE, .id = "Aggregate-0", .input = &f->nodes[1], .schema = &f->table,
                              .is_table = true, .windowed = true,
                              .aggregate = {.key_count = 1, .aggregations = &f->aggregation, .aggregation_count = 1,
                                            .window = window, .key_format = "KAFKA", .store = "Store-0",
                                            .changelog_topic = "Q-changelog"}};
    f->nodes[3] = (flow_node){.kind = FLOW_SINK, .id = "Sink-0", .input = &f->nodes[2], .schema = &f->table,
                              .is_table = true, .sink = {.topic = topic_of("out", &f->table)}};
    f->nodes[3].sink.topic.is_table = true;
    f->nodes[3].sink.topic.window = window;
    f->topology = (flow_topology){.query_id = "CTAS_Q_0", .group = "CTAS_Q_0", .from_earliest = true,
                                  .root = &f->nodes[3], .node_count = 4};
    f->runtime = (flow_runtime){.world = f->world, .owner = f->owner, .state_directory = "state",
                                .checkpoint_interval_ms = 1, .batch_rows_max = 20};
}

static void on_state(void *arg, flow_query *query, flow_state state) {
    fixture *f = arg;
    (void)query;
    if (state == FLOW_RUNNING) f->is_running = true;
    else f->has_ended = true;
}
static void start_query(fixture *f) {
    f->is_running = f->has_ended = false;
    f->query = flow_query_start(&f->runtime, &f->topology, &(flow_query_events){.on_state = on_state, .arg = f});
}
static void end_query(fixture *f) {
    flow_query_stop(f->query);
    run_until(f, &f->has_ended);
    flow_query_free(f->query);
}

/* ---- checking ---------------------------------------------------------------------------------------------------- */

/* Reads a topic's partition to its end and hands each row to `visit`. */
static void read_topic(fixture *f, const char *topic, int32_t partition,
                       void (*visit)(fixture *f, const bus_row *row)) {
    const bus_vtable *topics = f->bus->vtable;
    bus_reader *reader;
    f->is_told = false;
    assert_int_equal(topics->reader_open(f->bus, f->owner, topic, partition, BUS_OFFSET_EARLIEST, 1 << 20, &f->tell,
                                         &reader).code, WEIR_OK);
    for (int64_t position = 0; topics->reader_end(reader) < 0 || position < topics->reader_end(reader);) {
        bus_block *block;
        assert_int_equal(topics->reader_next(reader, &block).code, WEIR_OK);
        if (!block) {
            run_until(f, &f->is_told);
            f->is_told = false;
            continue;
        }
        for (uint32_t i = 0; i < block->count; i++) visit(f, &block->rows[i]);
        position = block->next_offset;
        data_buffer_release(&block->buffer);
    }
    topics->reader_close(reader);
}

static int64_t last_value[KEYS][WINDOWS];
static void take_result(fixture *f, const bus_row *row) {
    (void)f;
    char text[24];
    const unsigned k = (unsigned)(row->key.data[row->key.size - 9] - '0');
    const int64_t window = (int64_t)weir_read_be64(row->key.data + row->key.size - 8) / ADVANCE_MS;
    assert_true(k < KEYS && window < WINDOWS);
    snprintf(text, sizeof text, "%.*s", (int)row->value.size, (const char *)row->value.data);
    int64_t count = 0;
    assert_int_equal(sscanf(text, "%ld", &count), 1);
    assert_true(count > last_value[k][window]); /* one change a commit: never the same twice */
    last_value[k][window] = count;
}
static int64_t bad_seen;
static void take_bad(fixture *f, const bus_row *row) {
    (void)f;
    assert_true(row->headers.size > 0);
    bad_seen++;
}

static void check(fixture *f) {
    memset(last_value, 0, sizeof last_value);
    bad_seen = 0;
    for (int32_t p = 0; p < 2; p++) read_topic(f, "out", p, take_result);
    read_topic(f, "bad", 0, take_bad);
    assert_memory_equal(last_value, f->expected, sizeof last_value);
    assert_int_equal(bad_seen, f->bad);
}

static void begin(fixture *f, uint64_t seed) {
    *f = (fixture){.sim = io_sim_create(seed)};
    f->world = io_sim_world(f->sim);
    f->broker_lane = io_lane_create(f->world->executor, IO_LANE_LOOP, "main");
    f->owner = io_lane_create(f->world->executor, IO_LANE_LOOP, "owner");
    io_job_init(&f->tell, told);
    assert_int_equal(io_make_directory(f->world->files, "data").code, WEIR_OK);
    assert_int_equal(io_sync_directory(f->world->files, "/").code, WEIR_OK);
    build(f);
    open_broker(f);
    produce(f);
}

static void end(fixture *f) {
    stop_broker(f);
    assert_int_equal(broker_close(f->broker).code, WEIR_OK);
    io_lane_destroy(f->world->executor, f->owner);
    io_lane_destroy(f->world->executor, f->broker_lane);
    io_sim_destroy(f->sim);
}

/* Until the lag is gone and nothing of the query is on its way. */
static void settle(fixture *f) {
    run_until(f, &f->is_running);
    for (unsigned i = 0; i < 200; i++) {
        flow_query_stats stats;
        io_sim_run_for(f->sim, 100000000);
        flow_query_stats_get(f->query, &stats);
        assert_int_equal(stats.state, FLOW_RUNNING);
        if (stats.lag == 0 && i > 5) return;
    }
    fail();
}

static void every_click_counts_once_through_power_cuts(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        fixture f;
        begin(&f, seed);
        for (unsigned life = 0; life < 4; life++) {
            start_query(&f);
            io_sim_crash_at(f.sim, io_sim_disk_operations(f.sim) + 1 + io_sim_draw(f.sim, 60));
            io_sim_run_for(f.sim, (int64_t)io_sim_draw(f.sim, 400) * 1000000);
            io_sim_crash(f.sim);
            end_query(&f);
            stop_broker(&f);
            broker_abandon(f.broker);
            io_sim_restart(f.sim, (io_sim_death)io_sim_draw(f.sim, 3));
            open_broker(&f);
        }
        start_query(&f);
        settle(&f);
        check(&f);
        end_query(&f);
        end(&f);
    }
}

int main(void) {
    weir_trace_set_level(WEIR_ERROR);
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_click_counts_once_through_power_cuts)};
    return cmocka_run_group_tests_name("sim/flow_on_broker", tests, NULL, NULL);
}
