/* Goal: whatever comes in - late, out of order, null, rubbish - and wherever the process dies, a query's outputs, its
 * table and its counters are those of a program that handles one record after another. Method: that program is written
 * here, naively (the reference). Random inputs from seeds go through both: with batches of 1 to 4,096 rows, with
 * commits of any size, with every update emitted (outputs equal to the byte and in order) and with one change a commit
 * (every output is one of the reference's, in its order, and the last of each group is there); with the bus dying at a
 * random step and the query started again over what was committed. Time and order come from io/sim. */
#include "flow/story_test.h"

/* ---- stories ----------------------------------------------------------------------------------------------------- */

static void updates_equal_the_reference(void **unused) {
    (void)unused;
    static const uint32_t batch_rows[] = {1, 2, 7, 64, 1000, 4096};
    for (uint64_t seed = 1; seed <= 30; seed++) {
        const flow_window *window = &windows[seed % WINDOWS];
        story s;
        story_begin(&s, seed, 1);
        build_aggregate(&s, window, seed % 3 == 0); /* one partition: the repartition is left out */
        s.topology.emit_every_update = true;
        s.runtime.batch_rows_max = batch_rows[seed % 6];
        produce_random(&s, window, 400, true);
        query_begin(&s);
        settle(&s);
        produce_random(&s, window, 400, false);
        settle(&s);
        assert_int_equal(s.state, FLOW_RUNNING);
        check_every_update(&s, window->kind != FLOW_WINDOW_NONE);
        check_counts(&s);
        story_end(&s);
    }
}

static void coalesced_changes_end_at_the_same_table(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        const flow_window *window = &windows[seed % WINDOWS];
        story s;
        story_begin(&s, seed, 1);
        build_aggregate(&s, window, false);
        s.runtime.batch_rows_max = 1 + (uint32_t)draw(300);
        query_begin(&s);
        memset(&ref, 0, sizeof ref);
        ref.stream_time = -1;
        for (unsigned i = 0; i < 20; i++) {
            produce_random(&s, window, 40, false);
            if (draw(2)) settle(&s);
        }
        settle(&s);
        check_coalesced(&s, window->kind != FLOW_WINDOW_NONE);
        check_counts(&s);
        story_end(&s);
    }
}

static bool at_step(void *arg) { return io_sim_steps(((story *)arg)->sim) >= ((story *)arg)->running; }

/* The process dies at a random step, again and again; each next one finds what was committed. */
static void run_crashes(uint64_t seed, bool every_update) {
    const flow_window *window = &windows[seed % WINDOWS];
    story s;
    story_begin(&s, seed, 1);
    build_aggregate(&s, window, false);
    s.topology.emit_every_update = every_update;
    s.runtime.batch_rows_max = 1 + (uint32_t)draw(60);
    s.runtime.checkpoint_interval_ms = 1;
    if (seed % 4 == 0) s.runtime.state_directory = NULL;
    memset(&ref, 0, sizeof ref);
    ref.stream_time = -1;
    for (unsigned life = 0; life < 8; life++) {
        produce_random(&s, window, 60, false);
        query_begin(&s);
        s.running = io_sim_steps(s.sim) + draw(250);
        const uint64_t target = s.running;
        while (io_sim_steps(s.sim) < target && s.ended == 0) {
            s.running = target;
            io_sim_run(s.sim, at_step, &s, 1);
            if (draw(40) == 0) produce_random(&s, window, 5, false);
        }
        if (draw(4) == 0) { /* an orderly stop now and then */
            query_end(&s);
            continue;
        }
        test_bus_die(&s.bus);
        if (s.runtime.state_directory) io_sim_crash(s.sim);
        query_end(&s);
        settle(&s);
        if (s.runtime.state_directory) io_sim_restart(s.sim, (io_sim_death)draw(3));
        test_bus_revive(&s.bus);
    }
    query_begin(&s);
    settle(&s);
    assert_int_equal(s.state, FLOW_RUNNING);
    if (every_update) check_every_update(&s, window->kind != FLOW_WINDOW_NONE);
    else check_coalesced(&s, window->kind != FLOW_WINDOW_NONE);
    assert_int_equal(test_bus_topic(&s.bus, "bad")->partitions[0].count, ref.counts.quarantined);
    story_end(&s);
}
static void every_input_counts_once_through_crashes(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_crashes(seed, true);
        run_crashes(seed + 1000, false);
    }
}

/* A commit that would be too large is taken back and done again in smaller pieces; results do not change. */
static void commits_split_when_the_bus_is_full(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const flow_window *window = &windows[seed % WINDOWS];
        story s;
        story_begin(&s, seed, 1);
        build_aggregate(&s, window, false);
        s.topology.emit_every_update = seed % 2;
        s.bus.commit_bytes_max = 1500 + draw(4000);
        produce_random(&s, window, 800, true);
        query_begin(&s);
        settle(&s);
        assert_int_equal(s.state, FLOW_RUNNING);
        assert_true(s.bus.commits_refused > 0);
        assert_true(s.bus.largest_commit <= s.bus.commit_bytes_max);
        if (s.topology.emit_every_update) check_every_update(&s, window->kind != FLOW_WINDOW_NONE);
        else check_coalesced(&s, window->kind != FLOW_WINDOW_NONE);
        check_counts(&s);
        story_end(&s);
    }
}

/* A single row that does not fit fails the query with a sentence, and loses nothing. */
static void one_row_too_large_fails(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 5, 1);
    build_aggregate(&s, &windows[0], false);
    s.bus.commit_bytes_max = 40;
    produce_random(&s, &windows[0], 10, true);
    query_begin(&s);
    settle(&s);
    assert_int_equal(s.state, FLOW_FAILED);
    flow_query_stats stats;
    flow_query_stats_get(s.query, &stats);
    assert_int_equal(stats.last_error.code, WEIR_FULL);
    assert_non_null(strstr(stats.last_error.text, "CTAS_Q_0"));
    flow_query_free(s.query);
    s.query = NULL;
    s.bus.commit_bytes_max = 1 << 20;
    query_begin(&s);
    settle(&s);
    check_coalesced(&s, false);
    story_end(&s);
}

/* The bus may find only at the send that a commit is too large. */
static void commit_refused_as_too_large_is_split(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 21, 1);
    build_aggregate(&s, &windows[3], false);
    s.topology.emit_every_update = true;
    produce_random(&s, &windows[3], 300, true);
    s.bus.refuse_next = WEIR_FULL;
    query_begin(&s);
    settle(&s);
    assert_int_equal(s.bus.commits_refused, 1);
    check_every_update(&s, true);
    check_counts(&s);
    story_end(&s);
}

/* A snapshot that is ahead of its changelog cannot be believed: all of the changelog is replayed. */
static void snapshot_ahead_of_its_changelog_is_not_used(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 22, 1);
    build_aggregate(&s, &windows[0], false);
    produce_random(&s, &windows[0], 100, true);
    query_begin(&s);
    settle(&s);
    query_end(&s);
    test_partition *changelog = &test_bus_topic(&s.bus, "Q-changelog")->partitions[0];
    const int64_t kept = 3;
    for (int64_t i = kept; i < changelog->count; i++) weir_free(&s.bus.account, changelog->records[i].bytes);
    changelog->count = kept;
    query_begin(&s);
    settle(&s);
    assert_int_equal(s.state, FLOW_RUNNING);
    flow_query_stats stats;
    flow_query_stats_get(s.query, &stats);
    assert_int_equal(stats.groups, kept);
    story_end(&s);
}

/* Topics that do not fit the query are refused by name. */
static void changelog_with_other_partitions_is_refused(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 23, 1);
    build_aggregate(&s, &windows[0], false);
    test_bus_make(&s.bus, "Q-changelog", 3);
    query_begin(&s);
    settle(&s);
    assert_int_equal(s.state, FLOW_FAILED);
    flow_query_stats stats;
    flow_query_stats_get(s.query, &stats);
    assert_int_equal(stats.last_error.code, WEIR_INVALID);
    assert_non_null(strstr(stats.last_error.text, "Q-changelog has 3 partitions"));
    flow_query_free(s.query);
    s.query = NULL;
    story_end(&s);
}

/* A refused commit stops the query; started again it goes on. */
static void refused_commit_fails_and_restart_continues(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 6, 1);
    build_aggregate(&s, &windows[1], false);
    s.topology.emit_every_update = true;
    produce_random(&s, &windows[1], 100, true);
    s.bus.refuse_next = WEIR_FENCED;
    query_begin(&s);
    settle(&s);
    assert_int_equal(s.state, FLOW_FAILED);
    assert_int_equal(s.ended, 1);
    flow_query_stats stats;
    flow_query_stats_get(s.query, &stats);
    assert_int_equal(stats.last_error.code, WEIR_FENCED);
    flow_query_free(s.query);
    query_begin(&s);
    settle(&s);
    check_every_update(&s, true);
    story_end(&s);
}

/* The records of the quarantine topic carry the original and say why and from where. */
static void quarantined_records_tell_why(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 7, 1);
    build_aggregate(&s, &windows[0], false);
    const uint8_t headers[] = {2, 2, 'h', 2, 'x'}; /* one header, h = x, as zigzag varints */
    const bus_row row = {.timestamp_ms = 99, .key = weir_bytes_text("k"), .value = weir_bytes_text("rubbish,1"),
                         .headers = {headers, sizeof headers}};
    test_bus_produce(&s.bus, "in", 0, &row);
    query_begin(&s);
    settle(&s);
    const test_partition *bad = &test_bus_topic(&s.bus, "bad")->partitions[0];
    assert_int_equal(bad->count, 1);
    assert_true(weir_bytes_equal_text(test_record_key(bad->records), "k"));
    assert_true(weir_bytes_equal_text(test_record_value(bad->records), "rubbish,1"));
    assert_int_equal(bad->records[0].timestamp_ms, 99);
    const weir_bytes told = test_record_headers(bad->records);
    assert_int_equal(told.data[0], 12); /* six of them */
    assert_memory_equal(told.data + 1, headers + 1, 4);
    static const char *const parts[] = {"weir.reason", "DELIMITED", "weir.source.topic", "weir.source.partition",
                                        "weir.source.offset", "weir.query", "CTAS_Q_0"};
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_non_null(memmem(told.data, told.size, parts[i], strlen(parts[i])));
    story_end(&s);
}

/* Four partitions in, rows of a group in any of them: the repartition topic brings them together. */
static void repartition_brings_groups_together(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 8, 4);
    build_aggregate(&s, &windows[0], true);
    memset(&ref, 0, sizeof ref);
    for (unsigned i = 0; i < 600; i++) {
        input in;
        draw_input(&in, i * 20, 0);
        in.has_v = in.has_v && !in.is_bad;
        reference_take(&ref, &windows[0], &in);
        produce(&s, &in, (int32_t)draw(4));
    }
    query_begin(&s);
    settle(&s);
    /* Counts and sums do not depend on the order between partitions: the last record of each group tells. */
    const test_topic *out = test_bus_topic(&s.bus, "out");
    assert_int_equal(out->partition_count, 4);
    for (uint32_t g = 0; g < ref.group_count; g++) {
        const weir_bytes key = weir_bytes_text(ref.groups[g].key);
        const test_partition *partition = &out->partitions[weir_partition_of_key(key, 4)];
        const test_record *last = NULL;
        for (int64_t i = 0; i < partition->count; i++) {
            if (weir_bytes_equal(test_record_key(&partition->records[i]), key)) last = &partition->records[i];
        }
        char expected[48];
        snprintf(expected, sizeof expected, "%lld,%lld", (long long)ref.groups[g].rows, (long long)ref.groups[g].sum);
        assert_non_null(last);
        assert_true(weir_bytes_equal_text(test_record_value(last), expected));
    }
    check_counts(&s);
    flow_query_stats stats;
    flow_query_stats_get(s.query, &stats);
    assert_int_equal(stats.tasks, 8);
    story_end(&s);
}

/* ---- reads ------------------------------------------------------------------------------------------------------- */

typedef struct reader {
    flow_read base;
    story *s;
    uint32_t rows, done, stop_after;
    int64_t total_n;
    weir_code code;
} reader;

static bool read_batch(flow_read *read, const data_batch *batch) {
    reader *r = (reader *)read;
    for (uint32_t i = 0; i < batch->selection.count; i++) {
        const uint32_t row = data_selected(&batch->selection, i);
        r->total_n += batch->columns[1]->bigints[row];
        const weir_bytes key = data_text_bytes(&batch->columns[0]->texts[row]);
        bool is_known = false;
        for (uint32_t g = 0; g < ref.group_count && !is_known; g++) {
            const group *at = &ref.groups[g];
            is_known = weir_bytes_equal_text(key, at->key) && batch->columns[1]->bigints[row] == at->rows &&
                       batch->timestamp[row] == at->time &&
                       (!batch->window_start || batch->window_start[row] == at->start);
        }
        assert_true(is_known);
    }
    r->rows += batch->selection.count;
    return r->rows < r->stop_after;
}
static void read_done(flow_read *read, weir_status status) {
    reader *r = (reader *)read;
    r->done++;
    r->code = status.code;
}
static reader read_all(story *s, weir_bytes key, int64_t min, int64_t max) {
    reader r = {.base = {.key = key,
                         .window_start_min = min,
                         .window_start_max = max,
                         .on_batch = read_batch,
                         .done = read_done},
                .s = s,
                .stop_after = UINT32_MAX};
    flow_query_read(s->query, &r.base);
    assert_int_equal(r.done, 0);
    settle(s);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.code, WEIR_OK);
    return r;
}

static void reads_show_the_committed_table(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 9, 1);
    const flow_window *window = &windows[4]; /* nothing expires */
    build_aggregate(&s, window, false);
    produce_random(&s, window, 700, true);
    query_begin(&s);
    settle(&s);
    assert_int_equal(read_all(&s, (weir_bytes){0}, INT64_MIN, INT64_MAX).rows, ref.group_count);
    uint32_t of_key = 0, in_range = 0;
    for (uint32_t g = 0; g < ref.group_count; g++) {
        if (strcmp(ref.groups[g].key, "k1") != 0) continue;
        of_key++;
        in_range += ref.groups[g].start >= 3000 && ref.groups[g].start <= 6000;
    }
    weir_buffer key;
    weir_buffer_init(&key, &s.bus.account, 1000);
    const func_value value = {.type = data_type_of(DATA_STRING), .text = weir_bytes_text("k1")};
    assert_int_equal(flow_key_encode(s.query, &value, 1, &key).code, WEIR_OK);
    assert_int_equal(read_all(&s, weir_buffer_view(&key), INT64_MIN, INT64_MAX).rows, of_key);
    assert_int_equal(read_all(&s, weir_buffer_view(&key), 3000, 6000).rows, in_range);
    weir_buffer_deinit(&key);
    assert_int_equal(read_all(&s, weir_bytes_text("nobody"), INT64_MIN, INT64_MAX).rows, 0);
    story_end(&s);
}

/* Reads that are under way, wait, or come when a query stops are answered once each. */
static void every_read_is_answered(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        story s;
        story_begin(&s, seed, 1);
        build_aggregate(&s, &windows[0], false);
        produce_random(&s, &windows[0], 200, true);
        query_begin(&s);
        reader reads[6];
        for (unsigned i = 0; i < 6; i++) {
            io_sim_run(s.sim, NULL, NULL, draw(60));
            reads[i] =
                (reader){.base = {.window_start_min = INT64_MIN, .window_start_max = INT64_MAX, .done = read_done},
                         .stop_after = UINT32_MAX};
            /* Rows of a table that moves are checked by the other story. */
            reads[i].base.on_batch = NULL;
            reads[i].base.key = weir_bytes_text("nobody");
            flow_query_read(s.query, &reads[i].base);
        }
        query_end(&s);
        for (unsigned i = 0; i < 6; i++) assert_int_equal(reads[i].done, 1);
        story_end(&s);
    }
}

/* ---- snapshots --------------------------------------------------------------------------------------------------- */

/* Runs, stops (which writes a snapshot), does `harm` to it, and goes on. */
static void run_snapshot(uint64_t seed, void (*harm)(story *s)) {
    story s;
    story_begin(&s, seed, 1);
    const flow_window *window = &windows[seed % WINDOWS];
    build_aggregate(&s, window, false);
    s.topology.emit_every_update = true;
    produce_random(&s, window, 300, true);
    query_begin(&s);
    settle(&s);
    query_end(&s);
    io_file_info info;
    assert_int_equal(io_path_info(io_sim_world(s.sim)->files, "state/CTAS_Q_0/Store-0-0", &info).code, WEIR_OK);
    assert_true(info.size > 100);
    if (harm) harm(&s);
    produce_random(&s, window, 300, false);
    query_begin(&s);
    settle(&s);
    check_every_update(&s, window->kind != FLOW_WINDOW_NONE);
    query_end(&s);
    assert_int_equal(flow_files_remove(io_sim_world(s.sim)->files, "state", "CTAS_Q_0").code, WEIR_OK);
    assert_int_equal(io_path_info(io_sim_world(s.sim)->files, "state/CTAS_Q_0", &info).code, WEIR_NOT_FOUND);
    story_end(&s);
}
static void harm_flip(story *s) { assert_true(io_sim_flip_bits(s->sim, "state/CTAS_Q_0/Store-0-0", 0, 1 << 20, 3)); }
static void harm_cut(story *s) {
    io_file *file;
    io_files *files = io_sim_world(s->sim)->files;
    io_file_info info;
    assert_int_equal(io_open(files, "state/CTAS_Q_0/Store-0-0", IO_OPEN_WRITE, &file).code, WEIR_OK);
    assert_int_equal(io_file_info_of(files, file, &info).code, WEIR_OK);
    assert_int_equal(io_truncate(files, file, draw(info.size)).code, WEIR_OK);
    io_close(files, file);
}
static void harm_remove(story *s) {
    assert_int_equal(io_remove(io_sim_world(s->sim)->files, "state/CTAS_Q_0/Store-0-0").code, WEIR_OK);
}
/* Only the snapshot is left to restore from: the changelog's records before it are made unreadable. */
static void harm_changelog(story *s) {
    test_partition *changelog = &test_bus_topic(&s->bus, "Q-changelog")->partitions[0];
    for (int64_t i = 0; i < changelog->count; i++)
        changelog->records[i].bytes[test_size(changelog->records[i].key_bytes)] = 99;
}

/* Retention has removed the whole changelog of a query that had nothing to read for long: it starts with what its
 * snapshot has, or empty. */
static void emptied_changelog_does_not_hold_a_restart(void **unused) {
    (void)unused;
    for (unsigned with_snapshot = 0; with_snapshot < 2; with_snapshot++) {
        story s;
        story_begin(&s, 16, 1);
        build_aggregate(&s, &windows[1], false);
        if (!with_snapshot) s.runtime.state_directory = NULL;
        produce_random(&s, &windows[1], 100, true);
        query_begin(&s);
        settle(&s);
        query_end(&s);
        test_partition *changelog = &test_bus_topic(&s.bus, "Q-changelog")->partitions[0];
        changelog->start = changelog->count;
        query_begin(&s);
        settle(&s);
        assert_int_equal(s.state, FLOW_RUNNING);
        flow_query_stats stats;
        flow_query_stats_get(s.query, &stats);
        assert_int_equal(stats.groups > 0, with_snapshot);
        story_end(&s);
    }
}

static void restart_from_whole_damaged_and_missing_snapshots(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        run_snapshot(seed, NULL);
        run_snapshot(seed, harm_changelog);
        run_snapshot(seed, harm_flip);
        run_snapshot(seed, harm_cut);
        run_snapshot(seed, harm_remove);
    }
}

static void missing_source_fails_with_its_name(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 13, 1);
    build_aggregate(&s, &windows[0], false);
    s.nodes[0].source.topic.name = "nowhere";
    query_begin(&s);
    settle(&s);
    assert_int_equal(s.state, FLOW_FAILED);
    flow_query_stats stats;
    flow_query_stats_get(s.query, &stats);
    assert_int_equal(stats.last_error.code, WEIR_NOT_FOUND);
    assert_non_null(strstr(stats.last_error.text, "nowhere"));
    flow_query_free(s.query);
    s.query = NULL;
    story_end(&s);
}

/* Rows of groups that exist take no memory: what the query holds settles. */
static void steady_state_holds_no_more_memory(void **unused) {
    (void)unused;
    story s;
    story_begin(&s, 19, 1);
    build_aggregate(&s, &windows[0], false);
    s.runtime.state_directory = NULL;
    query_begin(&s);
    size_t held = 0;
    for (unsigned round = 0; round < 12; round++) {
        ref.input_count = ref.group_count = ref.update_count = 0;
        produce_random(&s, &windows[0], 1000, true);
        settle(&s);
        const size_t now = atomic_load(&s.query->account.used_bytes);
        if (round > 4) assert_int_equal(now, held);
        held = now;
    }
    story_end(&s);
}

/* Several of a task's failures in the middle of a read, a commit, a snapshot: the source topic is deleted. */
static void deleted_source_ends_the_query(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        story s;
        story_begin(&s, seed, 1);
        build_aggregate(&s, &windows[1], false);
        s.runtime.checkpoint_interval_ms = 1;
        produce_random(&s, &windows[1], 300, true);
        query_begin(&s);
        io_sim_run(s.sim, NULL, NULL, 40 + draw(200));
        if (s.ended == 0) {
            test_bus_topic(&s.bus, "in")->is_deleted = true;
            test_bus_wake_readers(&s.bus);
            settle(&s);
        }
        assert_int_equal(s.state, FLOW_FAILED);
        flow_query_stats stats;
        flow_query_stats_get(s.query, &stats);
        assert_int_equal(stats.last_error.code, WEIR_NOT_FOUND);
        flow_query_free(s.query);
        s.query = NULL;
        story_end(&s);
    }
}

/* Stopping at any step ends once, in order, and leaks nothing. */
static void stop_at_any_step(void **unused) {
    (void)unused;
    for (uint64_t steps = 0; steps < 120; steps++) {
        story s;
        story_begin(&s, steps + 1, 1);
        build_aggregate(&s, &windows[1], false);
        s.topology.emit_every_update = true;
        produce_random(&s, &windows[1], 100, true);
        query_begin(&s);
        io_sim_run(s.sim, NULL, NULL, steps);
        query_end(&s);
        query_begin(&s);
        settle(&s);
        check_every_update(&s, true);
        story_end(&s);
    }
}

int main(void) {
    weir_trace_set_level(WEIR_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates_equal_the_reference),
        cmocka_unit_test(coalesced_changes_end_at_the_same_table),
        cmocka_unit_test(every_input_counts_once_through_crashes),
        cmocka_unit_test(commits_split_when_the_bus_is_full),
        cmocka_unit_test(one_row_too_large_fails),
        cmocka_unit_test(commit_refused_as_too_large_is_split),
        cmocka_unit_test(snapshot_ahead_of_its_changelog_is_not_used),
        cmocka_unit_test(changelog_with_other_partitions_is_refused),
        cmocka_unit_test(refused_commit_fails_and_restart_continues),
        cmocka_unit_test(quarantined_records_tell_why),
        cmocka_unit_test(repartition_brings_groups_together),
        cmocka_unit_test(reads_show_the_committed_table),
        cmocka_unit_test(every_read_is_answered),
        cmocka_unit_test(restart_from_whole_damaged_and_missing_snapshots),
        cmocka_unit_test(emptied_changelog_does_not_hold_a_restart),
        cmocka_unit_test(missing_source_fails_with_its_name),
        cmocka_unit_test(steady_state_holds_no_more_memory),
        cmocka_unit_test(deleted_source_ends_the_query),
        cmocka_unit_test(stop_at_any_step),
    };
    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
