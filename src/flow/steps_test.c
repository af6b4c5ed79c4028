/* Goal: rows come out of filters, projections, HAVING, rekeying and push outputs as if they had gone through one by
 * one, and every one that does not is counted under its reason. Method: small topologies by hand; random inputs; what
 * SQL would answer is computed here a row at a time. */
#include "flow/story_test.h"

/* ---- stateless and push ------------------------------------------------------------------------------------------ */

static void stateless_query_copies_rows_and_headers(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 11, 1);
    s.nodes[0] = source_node();
    s.nodes[1] = (flow_node){.kind = FLOW_SINK, .id = "Sink-0", .input = &s.nodes[0], .schema = &source_schema,
                             .sink = {.topic = topic_of("out", &source_schema)}};
    s.topology = (flow_topology){
        .query_id = "CSAS_Q_0", .group = "CSAS_Q_0", .from_earliest = true, .root = &s.nodes[1], .node_count = 2};
    const uint8_t headers[] = {2, 2, 'h', 2, 'x'};
    for (unsigned i = 0; i < 300; i++) {
        char value[32];
        snprintf(value, sizeof value, i % 10 == 3 ? "bad,%u" : "%u,%u", i, i);
        const bus_row row = {.timestamp_ms = 1, .key = i % 7 ? weir_bytes_text("k") : (weir_bytes){0},
                             .value = weir_bytes_text(value), .headers = {headers, sizeof headers}};
        test_bus_produce(&s.bus, "in", 0, &row);
    }
    s.bus.block_rows_max = 3; /* a batch ends where it would have to hold on to too many blocks */
    query_begin(&s);
    settle(&s);
    const test_partition *out = &test_bus_topic(&s.bus, "out")->partitions[0];
    assert_int_equal(out->count, 270);
    assert_int_equal(test_bus_topic(&s.bus, "bad")->partitions[0].count, 30);
    int64_t at = 0;
    for (unsigned i = 0; i < 300; i++) {
        if (i % 10 == 3) continue;
        const test_record *record = &out->records[at++];
        char value[32];
        snprintf(value, sizeof value, "%u,%u", i, i);
        assert_true(weir_bytes_equal_text(test_record_value(record), value));
        assert_int_equal(record->timestamp_ms, i); /* event time from column T */
        assert_int_equal(record->key_bytes, i % 7 ? 1 : -1);
        assert_true(weir_bytes_equal(test_record_headers(record), weir_bytes_of(headers, sizeof headers)));
    }
    flow_query_stats stats;
    flow_query_stats_get(s.query, &stats);
    assert_int_equal(stats.rows_in, stats.rows_out + stats.quarantined);
    story_end(&s);
}

/* A query that begins at the latest offset keeps its beginning through a crash, though it had no row yet. */
static void latest_is_where_the_query_was_made(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 15, 1);
    build_aggregate(&s, &windows[0], false);
    s.topology.from_earliest = false;
    produce_random(&s, &windows[0], 50, true);
    query_begin(&s);
    settle(&s);
    test_bus_die(&s.bus);
    query_end(&s);
    test_bus_revive(&s.bus);
    produce_random(&s, &windows[0], 50, true); /* while it was down */
    query_begin(&s);
    settle(&s);
    check_coalesced(&s, false);
    check_counts(&s);
    story_end(&s);
}

static bool refuse_batch(void *arg, const data_batch *batch) {
    (void)arg, (void)batch;
    return false;
}

/* A push query has no group, no changelog, no commits; a client with enough ends it in order. */
static void push_query_hands_out_batches(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 12, 1);
    s.nodes[0] = source_node();
    s.nodes[0].source.quarantine_topic = NULL;
    s.nodes[1] = (flow_node){.kind = FLOW_OUTPUT, .id = "Output-0", .input = &s.nodes[0], .schema = &source_schema};
    s.topology = (flow_topology){.query_id = "transient_1", .root = &s.nodes[1], .node_count = 2};
    produce_random(&s, &windows[0], 50, true);
    query_begin(&s);
    settle(&s);
    assert_int_equal(s.rows_pushed, 0); /* from the latest offset on */
    produce_random(&s, &windows[0], 200, true);
    settle(&s);
    assert_int_equal(s.rows_pushed, 200 - ref.counts.quarantined);
    assert_int_equal(s.bus.commits, 0);
    query_end(&s);
    const flow_query_events events = {.on_state = on_state, .on_batch = refuse_batch, .arg = &s};
    s.topology.from_earliest = true;
    s.ended = 0;
    s.query = flow_query_start(&s.runtime, &s.topology, &events);
    settle(&s);
    assert_int_equal(s.state, FLOW_STOPPED);
    flow_query_free(s.query);
    s.query = NULL;
    story_end(&s);
}

typedef struct moody { /* a subscriber that takes a batch at a time */
    story *story;
    uint64_t rows;
    bool is_full;
} moody;
static bool moody_batch(void *arg, const data_batch *batch) {
    moody *m = arg;
    m->rows += batch->selection.count;
    m->is_full = true;
    return true;
}
static bool moody_may_go_on(void *arg) { return !((moody *)arg)->is_full; }
static void moody_state(void *arg, flow_query *query, flow_state state) {
    on_state(((moody *)arg)->story, query, state);
}

/* A full subscriber parks the query; each wake brings more, until every row was handed out once. */
static void push_query_waits_for_its_subscriber(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 13, 1);
    moody m = {.story = &s};
    s.nodes[0] = source_node();
    s.nodes[0].source.quarantine_topic = NULL;
    s.nodes[1] = (flow_node){.kind = FLOW_OUTPUT, .id = "Output-0", .input = &s.nodes[0], .schema = &source_schema};
    s.topology = (flow_topology){
        .query_id = "transient_2", .root = &s.nodes[1], .node_count = 2, .from_earliest = true};
    produce_random(&s, &windows[0], 600, true);
    s.runtime.batch_rows_max = 50;
    const flow_query_events events = {
        .on_state = moody_state, .on_batch = moody_batch, .may_go_on = moody_may_go_on, .arg = &m};
    s.ended = 0;
    s.query = flow_query_start(&s.runtime, &s.topology, &events);
    unsigned wakes = 0;
    for (uint64_t before = 0;; wakes++) {
        settle(&s);
        if (wakes > 0 && m.rows == before) break;
        assert_true(m.rows > before && m.rows - before <= 50); /* one batch, then parked */
        before = m.rows;
        m.is_full = false;
        flow_query_wake(s.query);
    }
    assert_true(wakes > 3);
    assert_int_equal(m.rows, 600 - ref.counts.quarantined);
    query_end(&s);
    story_end(&s);
}

/* ---- filters and projections ------------------------------------------------------------------------------------- */

typedef struct workshop { /* where a story's expressions are made */
    weir_account account;
    weir_arena arena;
} workshop;
static void workshop_open(workshop *w) {
    weir_account_init(&w->account, "workshop", 0);
    weir_arena_init(&w->arena, &w->account, 1 << 20);
}
static void workshop_close(workshop *w) {
    weir_arena_deinit(&w->arena);
    weir_account_deinit(&w->account);
}
static const func_expr *column_of(workshop *w, const data_schema *schema, uint32_t index) {
    func_expr *made = weir_arena_new(&w->arena, func_expr);
    *made = (func_expr){.kind = FUNC_COLUMN, .type = schema->columns[index].type, .index = index};
    return made;
}
static const func_expr *literal_of(workshop *w, int64_t value) {
    func_expr *made = weir_arena_new(&w->arena, func_expr);
    *made = (func_expr){.kind = FUNC_LITERAL, .type = data_type_of(DATA_BIGINT),
                        .value = {.type = data_type_of(DATA_BIGINT), .int64 = value}};
    return made;
}
static const func_expr *call_of(workshop *w, const char *name, const func_expr *left, const func_expr *right) {
    const func_expr *arguments[2] = {left, right}, *made;
    assert_int_equal(func_call(&w->arena, name, arguments, 2, &made).code, WEIR_OK);
    return made;
}

/* SELECT K, 100 / V, T WHERE V > -40: an error in a column gives NULL and is counted, a row that does not match or has
 * no value is dropped and counted. */
static void stream_filter_and_projection(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        workshop w;
        workshop_open(&w);
        story s;
        story_begin(&s, seed, 1);
        s.nodes[0] = source_node();
        s.nodes[1] = (flow_node){.kind = FLOW_FILTER, .id = "Filter-0", .input = &s.nodes[0], .schema = &source_schema,
                                 .filter = {call_of(&w, ">", column_of(&w, &source_schema, 1), literal_of(&w, -40))}};
        const flow_projection columns[3] = {
            {column_of(&w, &source_schema, 0)},
            {call_of(&w, "/", literal_of(&w, 100), column_of(&w, &source_schema, 1))},
            {column_of(&w, &source_schema, 2)}};
        s.nodes[2] = (flow_node){.kind = FLOW_PROJECT,
                                 .id = "Project-0",
                                 .input = &s.nodes[1],
                                 .schema = &source_schema,
                                 .project = {columns}};
        s.nodes[3] = (flow_node){.kind = FLOW_SINK, .id = "Sink-0", .input = &s.nodes[2], .schema = &source_schema,
                                 .sink = {.topic = topic_of("out", &source_schema)}};
        s.topology = (flow_topology){.query_id = "CSAS_Q_0", .group = "CSAS_Q_0", .from_earliest = true,
                                     .root = &s.nodes[3], .node_count = 4};
        s.runtime.batch_rows_max = 1 + (uint32_t)draw(200);
        produce_random(&s, &windows[0], 600, true);
        query_begin(&s);
        settle(&s);
        const test_partition *out = &test_bus_topic(&s.bus, "out")->partitions[0];
        uint64_t filtered = 0, errors = 0;
        int64_t at = 0;
        for (uint32_t i = 0; i < ref.input_count; i++) {
            const input *in = &ref.inputs[i];
            if (in->is_bad) continue;
            if (!in->has_value || !in->has_v || in->v <= -40) {
                filtered++;
                continue;
            }
            char expected[64], quotient[24] = "";
            const bool minus = in->v && 100 / in->v < 0; /* no letter or digit begins the line: quoted */
            if (in->v) snprintf(quotient, sizeof quotient, minus ? "\"%lld\"" : "%lld", (long long)(100 / in->v));
            else errors++;
            snprintf(expected, sizeof expected, "%s,%lld", quotient, (long long)in->time);
            assert_true(at < out->count);
            const test_record *record = &out->records[at++];
            assert_true(weir_bytes_equal_text(test_record_value(record), expected));
            assert_int_equal(record->key_bytes >= 0, in->has_key);
            assert_int_equal(record->timestamp_ms, in->time);
        }
        assert_int_equal(at, out->count);
        assert_true(errors > 0);
        flow_query_stats stats;
        flow_query_stats_get(s.query, &stats);
        assert_int_equal(stats.filtered, filtered);
        assert_int_equal(stats.errors_as_null, errors);
        assert_int_equal(stats.rows_in, stats.quarantined + stats.filtered + stats.rows_out);
        story_end(&s);
        workshop_close(&w);
    }
}

/* HAVING: a group's change is passed on while S > 0 holds; when it stops to hold a delete follows, once. */
typedef struct having {
    flow_projection columns[3];
} having;
static void build_having(story *s, workshop *w, having *h, const flow_window *window, bool filter_last) {
    build_aggregate(s, window, false);
    flow_node sink = s->nodes[2];
    s->nodes[2] = (flow_node){.kind = FLOW_FILTER, .id = "Having-0", .input = &s->nodes[1], .schema = &table_schema,
                              .is_table = true, .windowed = window->kind != FLOW_WINDOW_NONE,
                              .filter = {call_of(w, ">", column_of(w, &table_schema, 2), literal_of(w, 0))}};
    for (uint32_t i = 0; i < 3; i++) h->columns[i].expr = column_of(w, &table_schema, i);
    h->columns[1].expr = call_of(w, "+", column_of(w, &table_schema, 1), literal_of(w, 1000));
    s->nodes[3] = (flow_node){.kind = FLOW_PROJECT, .id = "Project-0", .input = &s->nodes[2], .schema = &table_schema,
                              .is_table = true, .windowed = window->kind != FLOW_WINDOW_NONE, .project = {h->columns}};
    if (filter_last) { /* the projection then computes the old values that the filter asks for */
        const flow_node filter = s->nodes[2];
        s->nodes[2] = s->nodes[3];
        s->nodes[3] = filter;
        s->nodes[2].input = &s->nodes[1];
        s->nodes[3].input = &s->nodes[2];
    }
    s->nodes[4] = sink;
    s->nodes[4].input = &s->nodes[3];
    s->topology.root = &s->nodes[4];
    s->topology.node_count = 5;
}

/* The sum of an update of the reference; false when it is NULL. */
static bool sum_of(const update *from, int64_t *sum) {
    const char *comma = strchr(from->value, ',');
    return weir_parse_i64(weir_bytes_text(comma + 1), sum);
}

static void having_sends_deletes_once(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        workshop w;
        workshop_open(&w);
        const flow_window *window = &windows[seed % WINDOWS];
        const bool windowed = window->kind != FLOW_WINDOW_NONE;
        having h;
        story s;
        story_begin(&s, seed, 1);
        build_having(&s, &w, &h, window, seed % 2);
        s.topology.emit_every_update = true;
        s.runtime.batch_rows_max = 1 + (uint32_t)draw(200);
        produce_random(&s, window, 500, true);
        query_begin(&s);
        settle(&s);
        const test_partition *out = &test_bus_topic(&s.bus, "out")->partitions[0];
        int64_t at = 0;
        uint64_t held = 0, deletes = 0;
        for (uint32_t u = 0; u < ref.update_count; u++) {
            const update *made = &ref.updates[u];
            int64_t sum = 0, before = 0;
            const bool matches = sum_of(made, &sum) && sum > 0;
            bool did_match = false;
            for (uint32_t b = u; b-- > 0;) {
                if (ref.updates[b].start != made->start || strcmp(ref.updates[b].key, made->key) != 0) continue;
                did_match = sum_of(&ref.updates[b], &before) && before > 0;
                break;
            }
            if (!matches && !did_match) {
                held++;
                continue;
            }
            assert_true(at < out->count);
            update expected = *made;
            snprintf(expected.value, sizeof expected.value, "%lld,%lld",
                     (long long)strtoll(made->value, NULL, 10) + 1000, (long long)sum);
            if (matches) {
                assert_true(is_output(&out->records[at], &expected, windowed));
            } else {
                assert_int_equal(out->records[at].value_bytes, -1);
                deletes++;
            }
            at++;
        }
        assert_int_equal(at, out->count);
        assert_true(deletes > 0);
        flow_query_stats stats;
        flow_query_stats_get(s.query, &stats);
        assert_int_equal(stats.changes_filtered, held);
        story_end(&s);
        workshop_close(&w);
    }
}

typedef struct having_reader {
    flow_read base;
    uint32_t rows;
    bool is_done;
} having_reader;
static bool count_rows(flow_read *read, const data_batch *batch) {
    having_reader *r = (having_reader *)read;
    for (uint32_t i = 0; i < batch->selection.count; i++) {
        const uint32_t row = data_selected(&batch->selection, i);
        assert_true(batch->columns[2]->bigints[row] > 0);
        assert_true(batch->columns[1]->bigints[row] > 1000);
    }
    r->rows += batch->selection.count;
    return true;
}
static void having_read_done(flow_read *read, weir_status status) {
    assert_int_equal(status.code, WEIR_OK);
    ((having_reader *)read)->is_done = true;
}

/* A read goes through HAVING and the projection, as what the sink gets does. */
static void reads_pass_the_nodes_above_the_aggregate(void **unused) {
    (void)unused;
    workshop w;
    workshop_open(&w);
    having h;
    story s;
    story_begin(&s, 3, 1);
    build_having(&s, &w, &h, &windows[4], false);
    produce_random(&s, &windows[4], 500, true);
    query_begin(&s);
    settle(&s);
    having_reader r = {.base = {.window_start_min = INT64_MIN, .window_start_max = INT64_MAX, .on_batch = count_rows,
                                .done = having_read_done}};
    flow_query_read(s.query, &r.base);
    settle(&s);
    assert_true(r.is_done);
    uint32_t expected = 0;
    for (uint32_t g = 0; g < ref.group_count; g++) expected += ref.groups[g].values > 0 && ref.groups[g].sum > 0;
    assert_int_equal(r.rows, expected);
    story_end(&s);
    workshop_close(&w);
}

/* GROUP BY an expression over four partitions: the projection makes the key, rows without one are dropped before they
 * cost a record, and the repartition topic brings the groups together. */
static void group_by_expression_over_partitions(void **unused) {
    (void)unused;
    workshop w;
    workshop_open(&w);
    story s;
    story_begin(&s, 4, 4);
    static data_column rekeyed_columns[3];
    memcpy(rekeyed_columns, typed_source, sizeof rekeyed_columns);
    const data_schema rekeyed = {rekeyed_columns, 3, 1};
    const func_expr *text;
    assert_int_equal(func_cast(&w.arena, column_of(&w, &source_schema, 1), data_type_of(DATA_STRING), &text).code,
                     WEIR_OK);
    const flow_projection columns[3] = {{text}, {column_of(&w, &source_schema, 1)}, {column_of(&w, &source_schema, 2)}};
    build_aggregate(&s, &windows[0], true);
    for (unsigned i = 4; i > 1; i--) {
        s.nodes[i] = s.nodes[i - 1];
        s.nodes[i].input = &s.nodes[i - 1];
    }
    s.nodes[1] = (flow_node){.kind = FLOW_PROJECT, .id = "Project-0", .input = &s.nodes[0], .schema = &rekeyed,
                             .project = {columns}};
    s.topology.root = &s.nodes[4];
    int64_t counts[100] = {0}, null_keys = 0;
    for (unsigned i = 0; i < 800; i++) {
        input in;
        draw_input(&in, i * 20, 0);
        produce(&s, &in, (int32_t)draw(4));
        if (in.is_bad) continue;
        if (!in.has_value || !in.has_v) null_keys++;
        else counts[in.v + 50]++;
    }
    query_begin(&s);
    settle(&s);
    const test_topic *out = test_bus_topic(&s.bus, "out");
    for (int64_t v = -50; v < 50; v++) {
        char key[24], expected[48];
        snprintf(key, sizeof key, "%lld", (long long)v);
        snprintf(expected, sizeof expected, "%lld,%lld", (long long)counts[v + 50], (long long)(counts[v + 50] * v));
        const test_partition *partition = &out->partitions[weir_partition_of_key(weir_bytes_text(key), 4)];
        const test_record *last = NULL;
        for (int64_t i = 0; i < partition->count; i++) {
            if (weir_bytes_equal_text(test_record_key(&partition->records[i]), key)) last = &partition->records[i];
        }
        assert_int_equal(last != NULL, counts[v + 50] > 0);
        if (last) assert_true(weir_bytes_equal_text(test_record_value(last), expected));
    }
    flow_query_stats stats;
    flow_query_stats_get(s.query, &stats);
    assert_int_equal(stats.null_key + stats.null_value, null_keys);
    assert_int_equal(stats.rows_in, stats.quarantined + stats.null_key + stats.null_value + stats.aggregated);
    story_end(&s);
    workshop_close(&w);
}

/* A windowed table read by another query: keys carry their window in and out. */
static void windowed_source_keeps_its_windows(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 14, 1);
    s.nodes[0] = source_node();
    s.nodes[0].source.topic.window = windows[1];
    s.nodes[0].source.topic.is_table = true;
    s.nodes[0].is_table = s.nodes[0].windowed = true;
    s.nodes[1] = (flow_node){.kind = FLOW_SINK, .id = "Sink-0", .input = &s.nodes[0], .schema = &source_schema,
                             .is_table = true, .sink = {.topic = topic_of("out", &source_schema)}};
    s.nodes[1].sink.topic.window = windows[1];
    s.topology = (flow_topology){
        .query_id = "CTAS_W_0", .group = "CTAS_W_0", .from_earliest = true, .root = &s.nodes[1], .node_count = 2};
    const uint8_t key[] = {'k', 0, 0, 0, 0, 0, 0, 3, 232};
    const bus_row rows[] = {{.timestamp_ms = 5, .key = {key, 9}, .value = weir_bytes_text("1,2")},
                            {.timestamp_ms = 6, .key = {key, 9}},                                 /* a delete */
                            {.timestamp_ms = 7, .key = {key, 5}, .value = weir_bytes_text("1,2")}, /* no window */
                            {.timestamp_ms = 8, .value = weir_bytes_text("1,2")}};                 /* no key */
    for (unsigned i = 0; i < 4; i++) test_bus_produce(&s.bus, "in", 0, &rows[i]);
    query_begin(&s);
    settle(&s);
    const test_partition *out = &test_bus_topic(&s.bus, "out")->partitions[0];
    assert_int_equal(out->count, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_true(weir_bytes_equal(test_record_key(&out->records[i]), weir_bytes_of(key, 9)));
    assert_true(weir_bytes_equal_text(test_record_value(&out->records[0]), "1,2"));
    assert_int_equal(out->records[1].value_bytes, -1);
    flow_query_stats stats;
    flow_query_stats_get(s.query, &stats);
    assert_int_equal(stats.quarantined, 1);
    assert_int_equal(stats.null_key, 1);
    story_end(&s);
}

/* Event time from text: by a pattern, or ISO 8601 without one; what is not a time is quarantined with the reason. */
static void event_time_from_text(void **unused) {
    (void)unused;
    for (unsigned with_pattern = 0; with_pattern < 2; with_pattern++) {
        story s;
        story_begin(&s, 17, 1);
        data_column columns[2] = {typed_source[0], typed_source[1]};
        columns[1].type = data_type_of(DATA_STRING);
        const data_schema schema = {columns, 2, 1};
        s.nodes[0] = source_node();
        s.nodes[0].schema = &schema;
        s.nodes[0].source.topic = topic_of("in", &schema);
        s.nodes[0].source.timestamp_column = 1;
        s.nodes[0].source.timestamp_format = with_pattern ? "dd/MMM/yyyy:HH:mm:ss Z" : NULL;
        s.nodes[1] = (flow_node){.kind = FLOW_SINK, .id = "Sink-0", .input = &s.nodes[0], .schema = &schema,
                                 .sink = {.topic = topic_of("out", &schema)}};
        s.topology = (flow_topology){.query_id = "CSAS_T_0", .group = "CSAS_T_0", .from_earliest = true,
                                     .root = &s.nodes[1], .node_count = 2};
        const char *const good = with_pattern ? "24/Nov/2026:10:00:01 +0100" : "2026-11-24T10:00:01+01:00";
        static const char *const bad[] = {"yesterday", "24-11-2026", "99/Nov/2026:10:00:01 +0100"};
        for (unsigned i = 0; i < 40; i++) {
            const bus_row row = {.timestamp_ms = 1, .key = weir_bytes_text("k"),
                                 .value = weir_bytes_text(i % 4 ? good : bad[i / 4 % 3])};
            test_bus_produce(&s.bus, "in", 0, &row);
        }
        query_begin(&s);
        settle(&s);
        const test_partition *out = &test_bus_topic(&s.bus, "out")->partitions[0];
        assert_int_equal(out->count, 30);
        for (unsigned i = 0; i < 30; i++) assert_int_equal(out->records[i].timestamp_ms, 1795510801000);
        assert_int_equal(test_bus_topic(&s.bus, "bad")->partitions[0].count, 10);
        story_end(&s);
    }
}

/* The catalogue's own aggregates, over negative and NULL values, through a restart in the middle. */
static void catalogue_aggregates_survive_a_restart(void **unused) {
    (void)unused;
    static const char *const names[] = {"COUNT", "SUM", "MIN", "MAX", "AVG"};
    story s;
    story_begin(&s, 18, 1);
    build_aggregate(&s, &windows[0], false);
    data_column columns[6] = {typed_source[0]};
    flow_aggregation aggregations[5];
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(func_aggregate_find(names[i], data_type_of(DATA_BIGINT), &aggregations[i].aggregate).code,
                         WEIR_OK);
        aggregations[i].argument = 1;
        columns[i + 1] = (data_column){.name = names[i], .role = DATA_ROLE_VALUE,
                                       .type = data_type_of(i < 4 ? DATA_BIGINT : DATA_DOUBLE)};
    }
    const data_schema schema = {columns, 6, 1};
    s.nodes[1].schema = s.nodes[2].schema = &schema;
    s.nodes[1].aggregate.aggregations = aggregations;
    s.nodes[1].aggregate.aggregation_count = 5;
    s.nodes[2].sink.topic.schema = &schema;
    int64_t count = 0, sum = 0, min = INT64_MAX, max = INT64_MIN;
    for (unsigned half = 0; half < 2; half++) {
        for (unsigned i = 0; i < 100; i++) {
            const int64_t v = (int64_t)draw(2000) - 1000;
            char value[48];
            if (i % 9) snprintf(value, sizeof value, "%lld,%u", (long long)v, i);
            else snprintf(value, sizeof value, ",%u", i);
            if (i % 9) count++, sum += v, min = v < min ? v : min, max = v > max ? v : max;
            const bus_row row = {.timestamp_ms = 1, .key = weir_bytes_text("k"), .value = weir_bytes_text(value)};
            test_bus_produce(&s.bus, "in", 0, &row);
        }
        query_begin(&s);
        settle(&s);
        query_end(&s);
    }
    char expected[128], average[WEIR_F64_TEXT_MAX + 1];
    average[weir_format_f64(average, (double)sum / (double)count)] = 0;
    snprintf(expected, sizeof expected, "%lld,%lld,%lld,%lld,%s", (long long)count, (long long)sum, (long long)min,
             (long long)max, average);
    const test_partition *out = &test_bus_topic(&s.bus, "out")->partitions[0];
    assert_true(weir_bytes_equal_text(test_record_value(&out->records[out->count - 1]), expected));
    story_end(&s);
}

typedef struct pair_reader {
    flow_read base;
    int64_t total;
    uint32_t rows;
} pair_reader;
static bool read_pairs(flow_read *read, const data_batch *batch) {
    pair_reader *r = (pair_reader *)read;
    for (uint32_t i = 0; i < batch->selection.count; i++)
        r->total += batch->columns[2]->bigints[data_selected(&batch->selection, i)];
    r->rows += batch->selection.count;
    return true;
}
static void pairs_done(flow_read *read, weir_status status) {
    (void)read;
    assert_int_equal(status.code, WEIR_OK);
}

/* A group of two columns, in a format of its own, through a restart: keys with separators and quotes in them stay
 * apart, rows with half a key are dropped, and a read finds one group by its values. */
static void groups_of_two_columns(void **unused) {
    (void)unused;
    static const char *const formats[] = {"JSON", "DELIMITED"};
    static const char *const texts[] = {"a", "a,1", "\"", "", "a\"b", "something longer than a view"};
    for (unsigned f = 0; f < 2; f++) {
        story s;
        story_begin(&s, 20, 1);
        data_column columns[4] = {typed_source[0], typed_source[1], typed_table[1], typed_table[2]};
        columns[1].role = DATA_ROLE_KEY;
        const data_schema table = {columns, 4, 2}, source = {columns, 3, 2};
        build_aggregate(&s, &windows[0], false);
        s.nodes[0].schema = s.nodes[0].source.topic.schema = &source;
        s.nodes[0].source.timestamp_column = -1;
        s.aggregations[1].argument = 2;
        s.nodes[1].schema = s.nodes[2].schema = s.nodes[2].sink.topic.schema = &table;
        s.nodes[1].aggregate.key_count = 2;
        s.nodes[0].source.topic.key_format = s.nodes[1].aggregate.key_format = s.nodes[2].sink.topic.key_format =
            "JSON";
        if (f) s.nodes[1].aggregate.key_format = formats[f];
        int64_t counts[6][3] = {0};
        for (unsigned half = 0; half < 2; half++) {
            for (unsigned i = 0; i < 300; i++) {
                const unsigned t = (unsigned)draw(6), n = (unsigned)draw(3);
                char key[100], escaped[60] = "";
                for (const char *c = texts[t]; *c; c++)
                    snprintf(escaped + strlen(escaped), 8, *c == '"' ? "\\%c" : "%c", *c);
                const bool is_half = draw(10) == 0;
                if (is_half) snprintf(key, sizeof key, "{\"K\":\"%s\",\"V\":null}", escaped);
                else snprintf(key, sizeof key, "{\"V\":%u,\"K\":\"%s\"}", n, escaped);
                counts[t][n] += !is_half;
                const bus_row row = {.timestamp_ms = 1, .key = weir_bytes_text(key), .value = weir_bytes_text("1")};
                test_bus_produce(&s.bus, "in", 0, &row);
            }
            if (half) break;
            query_begin(&s);
            settle(&s);
            query_end(&s);
        }
        query_begin(&s);
        settle(&s);
        assert_int_equal(s.state, FLOW_RUNNING);
        for (unsigned t = 0; t < 6; t++) {
            for (unsigned n = 0; n < 3; n++) {
                weir_buffer key;
                weir_buffer_init(&key, &s.bus.account, 1000);
                const func_value values[2] = {{.type = data_type_of(DATA_STRING), .text = weir_bytes_text(texts[t])},
                                              {.type = data_type_of(DATA_BIGINT), .int64 = n}};
                assert_int_equal(flow_key_encode(s.query, values, 2, &key).code, WEIR_OK);
                pair_reader r = {.base = {.key = weir_buffer_view(&key), .window_start_min = INT64_MIN,
                                          .window_start_max = INT64_MAX, .on_batch = read_pairs, .done = pairs_done}};
                flow_query_read(s.query, &r.base);
                settle(&s);
                assert_int_equal(r.rows, 1);
                assert_int_equal(r.total, counts[t][n]);
                weir_buffer_deinit(&key);
            }
        }
        story_end(&s);
    }
}

int main(void) {
    weir_trace_set_level(WEIR_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stateless_query_copies_rows_and_headers),
        cmocka_unit_test(latest_is_where_the_query_was_made),
        cmocka_unit_test(push_query_hands_out_batches),
        cmocka_unit_test(push_query_waits_for_its_subscriber),
        cmocka_unit_test(stream_filter_and_projection),
        cmocka_unit_test(having_sends_deletes_once),
        cmocka_unit_test(reads_pass_the_nodes_above_the_aggregate),
        cmocka_unit_test(group_by_expression_over_partitions),
        cmocka_unit_test(windowed_source_keeps_its_windows),
        cmocka_unit_test(event_time_from_text),
        cmocka_unit_test(groups_of_two_columns),
        cmocka_unit_test(catalogue_aggregates_survive_a_restart),
    };
    return cmocka_run_group_tests_name("flow/steps", tests, NULL, NULL);
}
