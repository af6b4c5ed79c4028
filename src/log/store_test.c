/* Goal: what log.h promises holds for one store at a time: groups become durable and readable, survive clean and
 * unclean ends, the journal and the segments roll, and nothing is spent on partitions that nobody uses. Method: every
 * story runs twice, on a real disk with threads and in the simulator. Crashes in the middle of things are sim_test.c's.
 */
#include "log/log_test.h"

#include <dirent.h>
#include <time.h>

static bool on_real;

static int setup(void **state) {
    static test_world t;
    test_world_open(&t, on_real, 1);
    *state = &t;
    return 0;
}

static int teardown(void **state) {
    test_world_close(*state);
    return 0;
}

static log_store *open_store(test_world *t, log_config config, log_start_report *report) {
    log_store *store = NULL;
    log_start_report ignored;
    config.world = t->world;
    config.lane = t->lane;
    config.directory = t->directory;
    const weir_status status = log_open(&store, &config, report ? report : &ignored);
    if (weir_failed(status)) fail_msg("%s", status.text);
    return store;
}

static log_partition *open_partition(log_store *store, unsigned topic, int32_t partition) {
    char name[32];
    log_partition *opened = NULL;
    const log_partition_id id = test_id(topic, partition);
    snprintf(name, sizeof name, "topic%u", topic);
    const weir_status status = log_partition_open(store, &id, name, NULL, &opened);
    if (weir_failed(status)) fail_msg("%s", status.text);
    return opened;
}

static void assert_contents(test_world *t, log_partition *partition, const weir_buffer *expected, size_t max_bytes) {
    weir_buffer got;
    weir_buffer_init(&got, &test_account, SIZE_MAX / 2);
    test_read_all(t, partition, 0, max_bytes, &got);
    assert_int_equal(got.size, expected->size);
    assert_memory_equal(got.data, expected->data, got.size);
    weir_buffer_deinit(&got);
}

static void a_group_over_partitions_is_durable_readable_and_survives_a_clean_stop(void **state) {
    test_world *t = *state;
    log_start_report report;
    log_store *store = open_store(t, (log_config){0}, &report);
    assert_true(report.clean);
    assert_int_equal(strlen(report.cluster_id), 22);
    char cluster_id[32];
    memcpy(cluster_id, report.cluster_id, sizeof cluster_id);
    weir_buffer bytes[3];
    log_batch batches[3];
    for (int i = 0; i < 3; i++) {
        weir_buffer_init(&bytes[i], &test_account, 1 << 20);
        test_batch(&bytes[i], 5, 20, (uint64_t)i, &(test_batch_options){.timestamp = 100});
        batches[i] =
            (log_batch){.partition = open_partition(store, 1, i), .bytes = bytes[i].data, .size = bytes[i].size};
    }
    test_group g = {.t = t, .code = WEIR_TIMEOUT};
    g.group = (log_group){.batches = batches, .count = 3, .done = test_group_done};
    assert_int_equal(log_append(store, &g.group).code, WEIR_OK);
    assert_int_equal(g.code, WEIR_TIMEOUT); /* never inside the call */
    assert_int_equal(log_end_offset(batches[0].partition), 5);
    assert_int_equal(log_high_watermark(batches[0].partition), 0); /* nothing visible before the sync */
    test_pump(t, &g.is_done);
    assert_int_equal(g.code, WEIR_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(batches[i].base_offset, 0);
        assert_int_equal(batches[i].end_offset, 5);
        assert_int_equal(log_high_watermark(batches[i].partition), 5);
        assert_contents(t, batches[i].partition, &bytes[i], 1 << 20);
    }
    test_close(t, store);

    store = open_store(t, (log_config){0}, &report);
    assert_true(report.clean);
    assert_int_equal(report.groups_replayed, 0);
    assert_string_equal(report.cluster_id, cluster_id);
    for (int i = 0; i < 3; i++) {
        log_partition *partition = open_partition(store, 1, i);
        assert_int_equal(log_high_watermark(partition), 5);
        assert_int_equal(log_leader_epoch(partition), 0);
        assert_int_equal(log_size_bytes(partition), bytes[i].size);
        assert_contents(t, partition, &bytes[i], 1 << 20);
        weir_buffer_deinit(&bytes[i]);
    }
    test_close(t, store);
}

static void an_unclean_end_loses_nothing_and_raises_the_leader_epoch(void **state) {
    test_world *t = *state;
    weir_buffer expected;
    weir_buffer_init(&expected, &test_account, 1 << 20);
    for (int start = 0; start < 4; start++) {
        log_start_report report;
        log_store *store = open_store(t, (log_config){0}, &report);
        assert_int_equal(report.clean, start == 0);
        assert_int_equal(report.groups_replayed, 10 * start); /* nothing was flushed: all of them, every time */
        log_partition *partition = open_partition(store, 1, 0);
        assert_int_equal(log_leader_epoch(partition), start);
        assert_int_equal(log_high_watermark(partition), 20 * start);
        assert_contents(t, partition, &expected, 300);
        int32_t epoch;
        int64_t end;
        log_epoch_end(partition, start - 1, &epoch, &end);
        assert_int_equal(epoch, start - 1);
        assert_int_equal(end, start == 0 ? -1 : 20 * start);
        for (int i = 0; i < 10; i++)
            assert_int_equal(test_append(t, store, partition, 2, 30, (uint64_t)i, NULL, NULL), 20 * start + 2 * i);
        weir_buffer_clear(&expected);
        test_read_all(t, partition, 0, 1 << 20, &expected);
        test_abandon(t, store);
    }
    weir_buffer_deinit(&expected);
}

static unsigned count_files(test_world *t, const char *prefix) {
    (void)t;
    unsigned count = 0;
    DIR *directory = opendir(t->directory);
    for (struct dirent *entry; (entry = readdir(directory));) count += !strncmp(entry->d_name, prefix, strlen(prefix));
    closedir(directory);
    return count;
}

static void journal_and_segments_roll_and_every_byte_stays_readable(void **state) {
    test_world *t = *state;
    const log_config config = {.segment_bytes = 20000, .journal_bytes = 65536, .tail_bytes = 30000,
                               .descriptors_max = 4};
    log_store *store = open_store(t, config, NULL);
    log_partition *partitions[3];
    weir_buffer expected[3];
    for (int i = 0; i < 3; i++) {
        partitions[i] = open_partition(store, 1, i);
        weir_buffer_init(&expected[i], &test_account, 16 << 20);
    }
    for (unsigned round = 0; round < 600; round++) {
        const unsigned i = round % 3;
        const size_t bytes = 100 + round * 37 % 1500;
        assert_true(test_append(t, store, partitions[i], 1 + round % 4, bytes, round, NULL, NULL) >= 0);
        const size_t before = expected[i].size;
        test_batch(&expected[i], 1 + round % 4, bytes, round, &(test_batch_options){.timestamp = 1000});
        wire_batch_set_base_offset(expected[i].data + before,
                                   log_high_watermark(partitions[i]) - (int64_t)(1 + round % 4));
        wire_batch_set_leader_epoch(expected[i].data + before, 0);
    }
    for (int i = 0; i < 3; i++) assert_contents(t, partitions[i], &expected[i], 5000);
    if (t->real) assert_true(count_files(t, "journal-") <= 3);
    test_close(t, store);
    store = open_store(t, config, NULL);
    for (int i = 0; i < 3; i++) {
        partitions[i] = open_partition(store, 1, i);
        assert_contents(t, partitions[i], &expected[i], 1);
        assert_contents(t, partitions[i], &expected[i], 1 << 20);
        weir_buffer_deinit(&expected[i]);
    }
    test_close(t, store);
}

static void a_reader_above_the_end_is_told_and_one_at_the_end_waits(void **state) {
    test_world *t = *state;
    log_store *store = open_store(t, (log_config){0}, NULL);
    log_partition *partition = open_partition(store, 1, 0);
    test_read r;
    test_read_once(t, &r, partition, 1, 100);
    assert_int_equal(r.code, WEIR_OUT_OF_RANGE);
    log_read_release(&r.read);
    test_read_once(t, &r, partition, 0, 100);
    assert_int_equal(r.code, WEIR_OK);
    assert_int_equal(r.read.bytes.size, 0);
    log_read_release(&r.read);

    test_job woken = {.t = t};
    io_job_init(&woken.job, test_job_run);
    log_waiter waiter = {.job = &woken.job, .lane = t->lane, .offset = 0, .ahead = true};
    log_wait(partition, &waiter);
    weir_buffer bytes;
    weir_buffer_init(&bytes, &test_account, 1 << 20);
    test_batch(&bytes, 1, 10, 1, &(test_batch_options){0});
    test_group g = {.t = t};
    g.batch = (log_batch){.partition = partition, .bytes = bytes.data, .size = bytes.size};
    g.group = (log_group){.batches = &g.batch, .count = 1, .done = test_group_done};
    assert_int_equal(log_append(store, &g.group).code, WEIR_OK);
    assert_false(waiter.waiting); /* who reads ahead is woken by the append itself */
    r = (test_read){.t = t};
    r.read = (log_read){.partition = partition, .max_bytes = 100, .ahead = true, .done = test_read_done};
    log_read_start(&r.read);
    test_pump(t, &r.is_done);
    assert_int_equal(r.read.bytes.size, bytes.size);
    log_read_release(&r.read);
    test_pump(t, &woken.is_done);
    test_pump(t, &g.is_done);
    weir_buffer_deinit(&bytes);
    test_close(t, store);
}

static void a_retry_is_recognised_also_after_a_crash(void **state) {
    test_world *t = *state;
    log_store *store = open_store(t, (log_config){0}, NULL);
    log_partition *partition = open_partition(store, 1, 0);
    for (int32_t i = 0; i < 7; i++)
        assert_int_equal(test_append(t, store, partition, 3, 10, 1,
                                     &(test_batch_options){.producer_id = 9, .sequence = 3 * i}, NULL),
                         3 * i);
    for (int start = 0; start < 3; start++) {
        static const struct {
            int32_t sequence;
            int16_t epoch;
            int64_t producer_id, offset;
            log_sequence_verdict verdict;
        } cases[] = {{21, 0, 9, -1, LOG_SEQUENCE_NEXT},          {18, 0, 9, 18, LOG_SEQUENCE_DUPLICATE},
                     {6, 0, 9, 6, LOG_SEQUENCE_DUPLICATE},       {3, 0, 9, -1, LOG_SEQUENCE_OUT_OF_ORDER},
                     {24, 0, 9, -1, LOG_SEQUENCE_OUT_OF_ORDER},  {0, 1, 9, -1, LOG_SEQUENCE_NEXT},
                     {21, 1, 9, -1, LOG_SEQUENCE_OUT_OF_ORDER},  {0, 0, 77, -1, LOG_SEQUENCE_NEXT},
                     {5, 0, 77, -1, LOG_SEQUENCE_UNKNOWN}};
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            weir_buffer bytes;
            weir_buffer_init(&bytes, &test_account, 1 << 20);
            test_batch(&bytes, 3, 10, 1, &(test_batch_options){.producer_id = cases[i].producer_id,
                                                               .epoch = cases[i].epoch,
                                                               .sequence = cases[i].sequence});
            log_sequence_verdict verdict;
            int64_t offset;
            assert_int_equal(log_check_sequence(partition, bytes.data, bytes.size, NULL, &verdict, &offset).code,
                             WEIR_OK);
            assert_int_equal(verdict, cases[i].verdict);
            assert_int_equal(offset, cases[i].offset);
            weir_buffer_deinit(&bytes);
        }
        if (start == 1) test_close(t, store); /* from the checkpoint */
        else test_abandon(t, store);          /* from the journal */
        store = open_store(t, (log_config){0}, NULL);
        partition = open_partition(store, 1, 0);
    }
    assert_int_equal(
        test_append(t, store, partition, 1, 10, 1, &(test_batch_options){.producer_id = 9, .epoch = 2}, NULL), 21);
    weir_buffer bytes;
    weir_buffer_init(&bytes, &test_account, 1 << 20);
    test_batch(&bytes, 3, 10, 1, &(test_batch_options){.producer_id = 9, .sequence = 21});
    log_sequence_verdict verdict;
    int64_t offset;
    assert_int_equal(log_check_sequence(partition, bytes.data, bytes.size, NULL, &verdict, &offset).code, WEIR_OK);
    assert_int_equal(verdict, LOG_SEQUENCE_FENCED);
    weir_buffer_deinit(&bytes);
    test_close(t, store);
}

static void a_deleted_topic_is_gone_and_its_namesake_begins_empty(void **state) {
    test_world *t = *state;
    log_store *store = open_store(t, (log_config){0}, NULL);
    log_partition *old = open_partition(store, 1, 0);
    test_append(t, store, old, 10, 100, 1, NULL, NULL);
    log_partition_delete(old);
    const log_partition_id id = test_id(2, 0);
    log_partition *namesake;
    assert_int_equal(log_partition_open(store, &id, "topic1", NULL, &namesake).code, WEIR_OK);
    assert_int_equal(log_end_offset(namesake), 0);
    assert_int_equal(test_append(t, store, namesake, 3, 10, 2, NULL, NULL), 0);
    weir_buffer expected;
    weir_buffer_init(&expected, &test_account, 1 << 20);
    test_read_all(t, namesake, 0, 1 << 20, &expected);
    test_abandon(t, store);

    store = open_store(t, (log_config){0}, NULL);
    assert_int_equal(log_partition_open(store, &id, "topic1", NULL, &namesake).code, WEIR_OK);
    log_remove_orphans(store);
    assert_contents(t, namesake, &expected, 1 << 20);
    test_close(t, store);
    store = open_store(t, (log_config){0}, NULL);
    log_remove_orphans(store); /* nobody claims it any more */
    test_close(t, store);
    if (t->real) assert_int_equal(count_files(t, "topic"), 0);
    weir_buffer_deinit(&expected);
}

typedef struct query {
    log_time_query query;
    test_world *t;
    weir_code code;
    bool is_done;
} query;

static void query_done(log_time_query *done, weir_status status) {
    query *q = io_owner(done, query, query);
    q->code = status.code;
    test_finish(q->t, &q->is_done);
}

static void assert_time(test_world *t, log_partition *partition, int64_t timestamp, int64_t offset, int64_t found) {
    query q = {.t = t};
    q.query = (log_time_query){.partition = partition, .timestamp_ms = timestamp, .done = query_done};
    log_time_query_start(&q.query);
    test_pump(t, &q.is_done);
    assert_int_equal(q.code, WEIR_OK);
    assert_int_equal(q.query.offset, offset);
    assert_int_equal(q.query.found_timestamp_ms, found);
}

static void times_find_their_offsets_in_segments_and_in_the_tail(void **state) {
    test_world *t = *state;
    const log_config config = {.segment_bytes = 20000};
    log_store *store = open_store(t, config, NULL);
    log_partition *partition = open_partition(store, 1, 0);
    assert_time(t, partition, 0, -1, -1);
    assert_time(t, partition, LOG_TIMESTAMP_MAX, -1, -1);
    for (int64_t i = 0; i < 200; i++) /* batch i: 10 records at 100 i .. 100 i + 9 */
        test_append(t, store, partition, 10, 50, (uint64_t)i,
                    &(test_batch_options){.timestamp = 100 * i, .codec = i % 2 ? WIRE_CODEC_LZ4 : WIRE_CODEC_NONE},
                    NULL);
    for (int start = 0; start < 2; start++) {
        assert_time(t, partition, 0, 0, 0);
        assert_time(t, partition, 5, 5, 5);
        assert_time(t, partition, 10, 10, 100);
        assert_time(t, partition, 9905, 995, 9905);
        assert_time(t, partition, 9950, 1000, 10000);
        assert_time(t, partition, 19909, 1999, 19909);
        assert_time(t, partition, 19910, -1, -1);
        assert_time(t, partition, LOG_TIMESTAMP_MAX, 1999, 19909);
        test_close(t, store);
        store = open_store(t, config, NULL);
        partition = open_partition(store, 1, 0);
    }
    test_close(t, store);
}

static void a_folder_belongs_to_one_server_and_to_no_newer_format(void **state) {
    test_world *t = *state;
    log_store *store = open_store(t, (log_config){0}, NULL), *second;
    log_start_report report;
    const log_config config = {.world = t->world, .lane = t->lane, .directory = t->directory};
    assert_int_equal(log_open(&second, &config, &report).code, WEIR_BUSY);
    test_close(t, store);
    char path[256];
    io_file *file;
    snprintf(path, sizeof path, "%s/meta.properties", t->directory);
    assert_int_equal(io_open(t->world->files, path, IO_OPEN_WRITE | IO_OPEN_TRUNCATE, &file).code, WEIR_OK);
    const weir_bytes text = weir_bytes_text("cluster.id=AAAAAAAAAAAAAAAAAAAAAA\nweir.format=2\n");
    assert_int_equal(io_write_at(t->world->files, file, 0, &text, 1).code, WEIR_OK);
    io_close(t->world->files, file);
    assert_int_equal(log_open(&second, &config, &report).code, WEIR_UNSUPPORTED);
}

/* Found by fuzzing: an emptied file was taken for a lack of memory. */
static void a_checkpoint_that_was_emptied_is_told(void **state) {
    test_world *t = *state;
    log_store *store = open_store(t, (log_config){0}, NULL), *second;
    const log_config config = {.world = t->world, .lane = t->lane, .directory = t->directory};
    log_start_report report;
    test_append(t, store, open_partition(store, 1, 0), 2, 30, 1, NULL, NULL);
    test_close(t, store);
    char path[256];
    io_file *file;
    snprintf(path, sizeof path, "%s/checkpoint", t->directory);
    assert_int_equal(io_open(t->world->files, path, IO_OPEN_WRITE | IO_OPEN_TRUNCATE, &file).code, WEIR_OK);
    io_close(t->world->files, file);
    const weir_status status = log_open(&second, &config, &report);
    assert_int_equal(status.code, WEIR_CORRUPT);
    assert_non_null(strstr(status.text, "checkpoint is not a checkpoint"));
}

static unsigned open_descriptors(void) {
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory)) count++;
    closedir(directory);
    return count;
}

static void a_thousand_idle_partitions_cost_no_descriptor_and_a_start_is_quick(void **state) {
    test_world *t = *state;
    const log_config config = {.descriptors_max = 8};
    log_store *store = open_store(t, config, NULL);
    const unsigned before = open_descriptors();
    log_partition *partitions[1000];
    for (int32_t i = 0; i < 1000; i++) partitions[i] = open_partition(store, 1, i);
    if (t->real) assert_int_equal(open_descriptors(), before);
    for (int32_t i = 0; i < 1000; i += 10) test_append(t, store, partitions[i], 1, 10, 1, NULL, NULL);
    test_stop(t, store);
    if (t->real) assert_true(open_descriptors() <= before + 8 + 1); /* and the next journal file */
    assert_int_equal(log_close(store).code, WEIR_OK);
    if (t->real) assert_int_equal(count_files(t, "topic"), 100); /* one without records has no folder */
    log_start_report report;
    store = open_store(t, config, &report);
    for (int32_t i = 0; i < 1000; i++) partitions[i] = open_partition(store, 1, i);
    if (t->real) assert_true(report.recovery_us < 1000000);
    if (t->real) assert_true(open_descriptors() <= before + 1); /* both journal files */
    assert_int_equal(log_high_watermark(partitions[10]), 1);
    assert_int_equal(log_high_watermark(partitions[11]), 0);
    test_close(t, store);
}

static void limits_are_told(void **state) {
    test_world *t = *state;
    log_store *store = open_store(t, (log_config){0}, NULL);
    log_partition *partition = open_partition(store, 1, 0);
    weir_buffer bytes;
    weir_buffer_init(&bytes, &test_account, 64 << 20);
    test_batch(&bytes, 1, 10 << 20, 1, &(test_batch_options){0});
    const log_batch one = {.partition = partition, .bytes = bytes.data, .size = bytes.size};
    log_batch two[2] = {one, one};
    test_group g[9];
    log_group large = {.batches = two, .count = 2, .done = test_group_done};
    assert_int_equal(log_append(store, &large).code, WEIR_INVALID);
    two[0].size--;
    large.count = 1;
    assert_true(weir_failed(log_append(store, &large)));
    unsigned taken = 0;
    for (weir_code code = WEIR_OK; code == WEIR_OK; taken += code == WEIR_OK) {
        g[taken] = (test_group){.t = t, .batch = {partition, bytes.data, bytes.size, 0, 0}};
        g[taken].group = (log_group){.batches = &g[taken].batch, .count = 1, .done = test_group_done};
        code = log_append(store, &g[taken].group).code;
        if (code != WEIR_OK) assert_int_equal(code, WEIR_FULL);
        assert_true(taken < 8);
    }
    assert_int_equal(taken, LOG_PENDING_BYTES_MAX / (10 << 20));
    test_job room = {.t = t};
    io_job_init(&room.job, test_job_run);
    log_wait_room(store, &room.job);
    test_pump(t, &room.is_done);
    for (unsigned i = 0; i < taken; i++) test_pump(t, &g[i].is_done);
    assert_int_equal(log_high_watermark(partition), taken);
    test_close(t, store);
    weir_buffer_deinit(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_group_over_partitions_is_durable_readable_and_survives_a_clean_stop, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_unclean_end_loses_nothing_and_raises_the_leader_epoch, setup, teardown),
        cmocka_unit_test_setup_teardown(journal_and_segments_roll_and_every_byte_stays_readable, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_above_the_end_is_told_and_one_at_the_end_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(a_retry_is_recognised_also_after_a_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deleted_topic_is_gone_and_its_namesake_begins_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(times_find_their_offsets_in_segments_and_in_the_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_belongs_to_one_server_and_to_no_newer_format, setup, teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_that_was_emptied_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_thousand_idle_partitions_cost_no_descriptor_and_a_start_is_quick, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(limits_are_told, setup, teardown),
    };
    int failed = cmocka_run_group_tests_name("log on the simulator", tests, NULL, NULL);
    on_real = true;
    failed += cmocka_run_group_tests_name("log on a real disk", tests, NULL, NULL);
    return failed;
}
