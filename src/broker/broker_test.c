/* Goal: topics live in their records, produce and fetch keep Kafka's rules, a commit is all or nothing, and what was
 * acknowledged survives a power cut.
 * Method: one broker in a simulated world; operations of broker.h as plain calls; restarts, orderly and by power cut.
 */
#include "broker/broker_test.h"

enum { LINES = 1 << 16 };
static char lines[LINES];

static void test_a_topic_is_its_record(void **state) {
    (void)state;
    node_world node;
    const weir_setting configs[] = {{"retention.ms", "60000"}, {"cleanup.policy", "compact,delete"}};
    node_begin(&node, 1);
    assert_int_equal(node_create(&node, "orders", 3, configs, 2), BROKER_NONE);
    assert_int_equal(node_create(&node, "orders", 3, NULL, 0), BROKER_TOPIC_ALREADY_EXISTS);
    assert_int_equal(node_create(&node, "clicks", -1, NULL, 0), BROKER_NONE);
    assert_int_equal(node_create(&node, "gone", 2, NULL, 0), BROKER_NONE);
    assert_int_equal(node_delete(&node, "gone"), BROKER_NONE);
    assert_int_equal(node_delete(&node, "gone"), BROKER_UNKNOWN_TOPIC_OR_PARTITION);
    uint8_t id[16];
    char cluster[32];
    memcpy(id, broker_topic_find(node.broker, text("orders"))->id, 16);
    snprintf(cluster, sizeof cluster, "%s", broker_cluster_id(node.broker));

    node_close(&node);
    node_open(&node);
    assert_string_equal(broker_cluster_id(node.broker), cluster);
    const broker_topic *orders = broker_topic_find(node.broker, text("orders"));
    assert_non_null(orders);
    assert_memory_equal(orders->id, id, 16);
    assert_ptr_equal(broker_topic_find_id(node.broker, id), orders);
    assert_int_equal(orders->partition_count, 3);
    assert_string_equal(broker_topic_config(node.broker, orders, "retention.ms"), "60000");
    assert_string_equal(broker_topic_config(node.broker, orders, "cleanup.policy"), "compact,delete");
    assert_string_equal(broker_topic_config(node.broker, orders, "segment.ms"), "604800000");
    assert_null(broker_topic_find(node.broker, text("gone")));
    assert_int_equal(broker_topic_find(node.broker, text("clicks"))->partition_count, 1);
    assert_string_equal(broker_topic_at(node.broker, 0)->name, BROKER_OFFSETS_TOPIC);
    assert_string_equal(broker_topic_at(node.broker, 1)->name, "clicks");
    node_end(&node);
}

/* The record that removed the first "again" is replayed before the one that made the second, whose folder bears the
 * same name. */
static void test_a_topic_made_again_keeps_its_records(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 14);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(node_create(&node, "again", 1, NULL, 0), BROKER_NONE);
        assert_int_equal(node_produce(&node, "again", i < 2 ? "old" : "new", 2, NULL, NULL), BROKER_NONE);
        if (i < 2) assert_int_equal(node_delete(&node, "again"), BROKER_NONE);
    }
    for (int i = 0; i < 3; i++) {
        node_close(&node);
        node_open(&node);
        assert_int_equal(node_fetch(&node, "again", 0, 0, lines, LINES), BROKER_NONE);
        assert_string_equal(lines, "new 0\nnew 1\n");
    }
    assert_int_equal(node_delete(&node, "again"), BROKER_NONE);
    node_close(&node);
    node_open(&node);
    assert_null(broker_topic_find(node.broker, text("again")));
    io_file_info info;
    node_for_ms(&node, 100);
    assert_int_equal(io_path_info(node.world->files, "data/again-0", &info).code, WEIR_NOT_FOUND);
    node_end(&node);
}

/* A stop in the middle of a start loses nothing, wherever it comes. */
static void test_a_start_may_be_stopped(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 13);
    char name[16];
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "t%d", i);
        node_create(&node, name, 2, NULL, 0);
        node_produce(&node, name, "kept", 1, NULL, NULL);
    }
    node_close(&node);
    for (uint64_t steps = 0; steps < 60; steps++) {
        assert_int_equal(node_try_open(&node).code, WEIR_OK);
        io_sim_run(node.sim, NULL, NULL, steps);
        node_close(&node);
    }
    node_open(&node);
    assert_int_equal(broker_topic_count(node.broker), 31);
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(node_fetch(&node, name, 0, 0, lines, LINES), BROKER_NONE);
        assert_string_equal(lines, "kept 0\n");
    }
    node_end(&node);
}

static void test_what_is_no_topic(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 2);
    const weir_setting unknown[] = {{"retention.mss", "1"}};
    const weir_setting wrong[] = {{"cleanup.policy", "burn"}};
    assert_int_equal(node_create(&node, "", 1, NULL, 0), BROKER_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(node_create(&node, "..", 1, NULL, 0), BROKER_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(node_create(&node, "a b", 1, NULL, 0), BROKER_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(node_create(&node, BROKER_METADATA_TOPIC, 1, NULL, 0), BROKER_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(node_create(&node, "a", 0, NULL, 0), BROKER_INVALID_PARTITIONS);
    assert_int_equal(node_create(&node, "a", BROKER_TOPIC_PARTITIONS_MAX + 1, NULL, 0), BROKER_INVALID_PARTITIONS);
    assert_int_equal(node_create(&node, "a", 1, unknown, 1), BROKER_INVALID_CONFIG);
    assert_int_equal(node_create(&node, "a", 1, wrong, 1), BROKER_INVALID_CONFIG);
    assert_int_equal(node_delete(&node, BROKER_OFFSETS_TOPIC), BROKER_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(broker_topic_count(node.broker), 1);
    node_end(&node);
}

static void test_wrong_properties_are_told_at_start(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 3);
    node_close(&node);
    node.properties[0] = (weir_setting){"num.partition", "4"};
    node.property_count = 1;
    const weir_status status = node_try_open(&node);
    assert_int_equal(status.code, WEIR_INVALID);
    assert_non_null(strstr(status.text, "num.partitions"));
    node.properties[0] = (weir_setting){"num.partitions", "4"};
    node_open(&node);
    assert_int_equal(node_create(&node, "four", -1, NULL, 0), BROKER_NONE);
    assert_int_equal(broker_topic_find(node.broker, text("four"))->partition_count, 4);
    broker_config_entry entry = {0};
    size_t at = 0;
    while (broker_config_at(node.broker, at, &entry) && strcmp(entry.name, "num.partitions") != 0) at++;
    assert_string_equal(entry.value, "4");
    assert_int_equal(entry.source, BROKER_CONFIG_STATIC_BROKER);
    node_end(&node);
}

NODE_OPERATION(alter, broker_alter_topic, operation)

static void test_a_topic_grows_and_changes(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 4);
    const weir_setting set[] = {{"max.message.bytes", "1000"}};
    const weir_setting unset[] = {{"max.message.bytes", NULL}};
    node_create(&node, "t", 1, set, 1);
    int64_t offset;
    assert_int_equal(node_produce(&node, "t", "long", 200, NULL, &offset), BROKER_MESSAGE_TOO_LARGE);
    alter_call call = {.operation = {.principal = &guard_anonymous,
                                     .name = text("t"),
                                     .partition_count = 4,
                                     .configs = unset,
                                     .config_count = 1,
                                     .done = alter_done}};
    broker_topic_alter(node.broker, &call.operation);
    node_until(&node, &call.done);
    assert_int_equal(call.operation.error, BROKER_NONE);
    assert_int_equal(node_produce(&node, "t", "long", 200, NULL, &offset), BROKER_NONE);
    call.done = false;
    call.operation.partition_count = 2;
    broker_topic_alter(node.broker, &call.operation);
    node_until(&node, &call.done);
    assert_int_equal(call.operation.error, BROKER_INVALID_PARTITIONS);
    node_crash(&node, IO_SIM_DRY_CUT);
    assert_int_equal(broker_topic_find(node.broker, text("t"))->partition_count, 4);
    assert_int_equal(node_produce(&node, "t", "long", 200, NULL, &offset), BROKER_NONE);
    node_end(&node);
}

static void test_records_go_in_and_come_out(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 5);
    node_create(&node, "t", 1, NULL, 0);
    for (int codec = WIRE_CODEC_NONE; codec < WIRE_CODEC_COUNT; codec++) {
        wire_batch_options options = wire_batch_options_default;
        options.codec = (wire_codec)codec;
        options.level = WIRE_LEVEL_DEFAULT;
        int64_t offset;
        assert_int_equal(node_produce(&node, "t", wire_codec_name((wire_codec)codec), 2, &options, &offset),
                         BROKER_NONE);
        assert_int_equal(offset, codec * 2);
    }
    assert_int_equal(node_fetch(&node, "t", 0, 0, lines, LINES), BROKER_NONE);
    assert_string_equal(lines, "none 0\nnone 1\ngzip 0\ngzip 1\nsnappy 0\nsnappy 1\nlz4 0\nlz4 1\nzstd 0\nzstd 1\n");
    assert_int_equal(node_fetch(&node, "t", 7, 0, lines, LINES), BROKER_NONE);
    assert_string_equal(lines, "lz4 1\nzstd 0\nzstd 1\n");
    assert_int_equal(node_fetch(&node, "t", 10, 0, lines, LINES), BROKER_NONE);
    assert_string_equal(lines, "");
    assert_int_equal(node_fetch(&node, "t", 11, 0, lines, LINES), BROKER_OFFSET_OUT_OF_RANGE);
    assert_int_equal(node_fetch(&node, "nowhere", 0, 0, lines, LINES), BROKER_UNKNOWN_TOPIC_OR_PARTITION);
    node_end(&node);
}

static void test_a_topic_has_its_own_codec_and_clock(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 6);
    const weir_setting configs[] = {{"compression.type", "gzip"}, {"message.timestamp.type", "LogAppendTime"}};
    node_create(&node, "t", 1, configs, 2);
    weir_buffer bytes;
    broker_produce_part part;
    weir_buffer_init(&bytes, &node.account, 1 << 20);
    node_batch(&node, &bytes, "a text that is long enough to be worth it", 50, &wire_batch_options_default);
    assert_int_equal(node_produce_bytes(&node, "t", 0, &bytes, -1, &part), BROKER_NONE);
    assert_true(part.append_time_ms > 0);
    assert_true(log_size_bytes(broker_partition(node.broker, text("t"), 0)) < bytes.size / 2);
    assert_int_equal(node_fetch(&node, "t", 49, 0, lines, LINES), BROKER_NONE);
    assert_string_equal(lines, "a text that is long enough to be worth it 49\n");
    weir_buffer_deinit(&bytes);
    node_end(&node);
}

/* Every kind of wrong batch has its code, and none of them reaches the log. */
static void test_wrong_batches_are_refused(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 7);
    const weir_setting compacted[] = {{"cleanup.policy", "compact"}};
    node_create(&node, "t", 1, NULL, 0);
    node_create(&node, "keyed", 1, compacted, 1);
    weir_buffer bytes;
    broker_produce_part part;
    weir_buffer_init(&bytes, &node.account, 4 << 20);
    node_batch(&node, &bytes, "x", 3, &wire_batch_options_default);
    assert_int_equal(node_produce_bytes(&node, "keyed", 0, &bytes, -1, &part), BROKER_INVALID_RECORD);
    assert_int_equal(node_produce_bytes(&node, "t", 1, &bytes, -1, &part), BROKER_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(node_produce_bytes(&node, "t", 0, &bytes, 2, &part), BROKER_INVALID_REQUIRED_ACKS);
    assert_int_equal(node_produce_bytes(&node, BROKER_OFFSETS_TOPIC, 0, &bytes, -1, &part),
                     BROKER_INVALID_TOPIC_EXCEPTION);
    bytes.data[bytes.size - 1] ^= 1;
    assert_int_equal(node_produce_bytes(&node, "t", 0, &bytes, -1, &part), BROKER_CORRUPT_MESSAGE);
    bytes.data[bytes.size - 1] ^= 1;
    bytes.data[16] = 1;
    assert_int_equal(node_produce_bytes(&node, "t", 0, &bytes, -1, &part), BROKER_UNSUPPORTED_FOR_MESSAGE_FORMAT);
    bytes.data[16] = 2;
    for (size_t cut = 0; cut < bytes.size; cut += 7) {
        weir_buffer shorter = bytes;
        shorter.size = cut;
        assert_int_not_equal(node_produce_bytes(&node, "t", 0, &shorter, -1, &part), BROKER_NONE);
    }
    node_batch(&node, &bytes, "second", 1, &wire_batch_options_default); /* two batches in one part */
    assert_int_equal(node_produce_bytes(&node, "t", 0, &bytes, -1, &part), BROKER_INVALID_RECORD);
    assert_int_equal(log_end_offset(broker_partition(node.broker, text("t"), 0)), 0);
    weir_buffer_deinit(&bytes);
    node_end(&node);
}

static void test_a_producer_is_idempotent(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 8);
    node_create(&node, "t", 1, NULL, 0);
    wire_batch_options options = wire_batch_options_default;
    options.producer_id = 77;
    options.producer_epoch = 0;
    options.base_sequence = 0;
    int64_t offset;
    assert_int_equal(node_produce(&node, "t", "a", 3, &options, &offset), BROKER_NONE);
    options.base_sequence = 3;
    assert_int_equal(node_produce(&node, "t", "b", 2, &options, &offset), BROKER_NONE);
    assert_int_equal(offset, 3);
    assert_int_equal(node_produce(&node, "t", "b", 2, &options, &offset), BROKER_NONE);
    assert_int_equal(offset, 3);
    options.base_sequence = 9;
    assert_int_equal(node_produce(&node, "t", "c", 1, &options, &offset), BROKER_OUT_OF_ORDER_SEQUENCE_NUMBER);
    node_crash(&node, IO_SIM_DRY_CUT);
    options.base_sequence = 3;
    assert_int_equal(node_produce(&node, "t", "b", 2, &options, &offset), BROKER_NONE);
    assert_int_equal(offset, 3);
    assert_int_equal(node_fetch(&node, "t", 0, 0, lines, LINES), BROKER_NONE);
    assert_string_equal(lines, "a 0\na 1\na 2\nb 0\nb 1\n");
    node_end(&node);
}

NODE_OPERATION(pid, broker_producer_id, operation)

static int64_t next_producer_id(node_world *node) {
    pid_call call = {.operation = {.principal = &guard_anonymous, .done = pid_done}};
    broker_producer_id_start(node->broker, &call.operation);
    node_until(node, &call.done);
    assert_int_equal(call.operation.error, BROKER_NONE);
    assert_int_equal(call.operation.epoch, 0);
    return call.operation.id;
}

static void test_no_producer_id_is_given_twice(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 9);
    int64_t last = -1;
    for (int life = 0; life < 4; life++) {
        for (int i = 0; i < BROKER_PRODUCER_BLOCK + 2; i++) {
            const int64_t id = next_producer_id(&node);
            assert_true(id > last);
            last = id;
        }
        node_crash(&node, life % 2 ? IO_SIM_DRY_CUT : IO_SIM_POWER_CUT);
    }
    pid_call call = {.operation = {.principal = &guard_anonymous, .transactional_id = text("t"), .done = pid_done}};
    call.operation.timeout_ms = 1000;
    call.operation.current_id = -1;
    broker_producer_id_start(node.broker, &call.operation);
    node_until(&node, &call.done);
    assert_int_equal(call.operation.error, BROKER_NONE);
    assert_true(call.operation.id > last);
    node_end(&node);
}

/* ---- long polls -------------------------------------------------------------------------------------------------- */

static void test_a_long_poll_ends_with_the_first_record_or_its_time(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 10);
    node_create(&node, "t", 1, NULL, 0);
    const int64_t before_ns = io_now_ns(node.world->clock);
    assert_int_equal(node_fetch(&node, "t", 0, 500, lines, LINES), BROKER_NONE);
    assert_string_equal(lines, "");
    assert_true(io_now_ns(node.world->clock) - before_ns >= 500 * 1000000LL);

    broker_fetch_part part = {.target = {.topic = text("t")}, .current_leader_epoch = -1, .max_bytes = 1 << 20};
    fetch_call call = {.operation = {.principal = &guard_anonymous,
                                     .parts = &part,
                                     .part_count = 1,
                                     .max_wait_ms = 3600000,
                                     .min_bytes = 200,
                                     .max_bytes = 1 << 20,
                                     .done = fetch_done}};
    broker_fetch_start(node.broker, &call.operation);
    node_for_ms(&node, 1000);
    assert_false(call.done);
    node_produce(&node, "t", "one", 1, NULL, NULL); /* fewer bytes than the fetch wants */
    node_for_ms(&node, 1000);
    assert_false(call.done);
    node_produce(&node, "t", "more", 20, NULL, NULL);
    node_until(&node, &call.done);
    assert_true(part.bytes.size >= 200);
    assert_int_equal(part.high_watermark, 21);
    broker_fetch_release(&call.operation);

    call.done = false;
    part.offset = 21;
    broker_fetch_start(node.broker, &call.operation);
    node_for_ms(&node, 10);
    assert_false(call.done);
    node_delete(&node, "t"); /* whoever waits hears of it */
    node_until(&node, &call.done);
    assert_int_equal(part.error, BROKER_UNKNOWN_TOPIC_OR_PARTITION);
    broker_fetch_release(&call.operation);
    node_end(&node);
}

/* A fetch may come while a batch is in the log and not yet durable: it hears of it at once and not at its deadline. */
static void test_a_fetch_sees_what_becomes_durable_after_it_came(void **state) {
    (void)state;
    for (uint64_t seed = 400; seed < 480; seed++) {
        node_world node;
        node_begin(&node, seed);
        node_create(&node, "t", 1, NULL, 0);
        weir_buffer bytes;
        weir_buffer_init(&bytes, &node.account, 1 << 20);
        node_batch(&node, &bytes, "x", 1, &wire_batch_options_default);
        broker_produce_part produced = {.target = {.topic = text("t")}, .bytes = bytes.data, .size = bytes.size};
        produce_call produce = {.operation = {.principal = &guard_anonymous, .parts = &produced, .part_count = 1,
                                              .acks = -1, .zstd_allowed = true, .done = produce_done}};
        broker_produce_start(node.broker, &produce.operation);
        io_sim_run(node.sim, NULL, NULL, io_sim_draw(node.sim, 12));
        const int64_t before_ns = io_now_ns(node.world->clock);
        broker_fetch_part part = {.target = {.topic = text("t")}, .current_leader_epoch = -1, .max_bytes = 1 << 20};
        fetch_call fetch = {.operation = {.principal = &guard_anonymous, .parts = &part, .part_count = 1,
                                          .max_wait_ms = 3600000, .min_bytes = 1 + 50 * (int32_t)(seed % 2),
                                          .max_bytes = 1 << 20, .done = fetch_done}};
        broker_fetch_start(node.broker, &fetch.operation);
        node_until(&node, &fetch.done);
        node_until(&node, &produce.done);
        assert_int_equal(part.bytes.size, bytes.size);
        assert_true(io_now_ns(node.world->clock) - before_ns < 1000000000LL);
        broker_fetch_release(&fetch.operation);
        weir_buffer_deinit(&bytes);
        node_end(&node);
    }
}

/* ---- offsets of partitions --------------------------------------------------------------------------------------- */

NODE_OPERATION(list, broker_list_offset, operation)

static int64_t list_offset(node_world *node, int64_t timestamp_ms, broker_error wanted) {
    list_call call = {.operation = {.principal = &guard_anonymous,
                                    .target = {.topic = text("t")},
                                    .current_leader_epoch = -1,
                                    .timestamp_ms = timestamp_ms,
                                    .done = list_done}};
    broker_list_offset_start(node->broker, &call.operation);
    node_until(node, &call.done);
    assert_int_equal(call.operation.error, wanted);
    return call.operation.offset;
}

static void test_offsets_by_name_and_by_time(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 11);
    node_create(&node, "t", 1, NULL, 0);
    int64_t times[3];
    for (int i = 0; i < 3; i++) {
        times[i] = io_wall_ms(node.world->clock);
        node_produce(&node, "t", "x", 10, NULL, NULL);
        node_for_ms(&node, 1000);
    }
    assert_int_equal(list_offset(&node, BROKER_OFFSET_EARLIEST, BROKER_NONE), 0);
    assert_int_equal(list_offset(&node, BROKER_OFFSET_LATEST, BROKER_NONE), 30);
    assert_int_equal(list_offset(&node, times[1], BROKER_NONE), 10);
    assert_int_equal(list_offset(&node, times[2] + 5000, BROKER_NONE), -1);
    const int64_t newest = list_offset(&node, BROKER_OFFSET_MAX_TIMESTAMP, BROKER_NONE);
    assert_true(newest >= 20 && newest < 30);
    list_offset(&node, -77, BROKER_UNSUPPORTED_VERSION);
    int32_t epoch;
    int64_t end;
    const broker_target target = {.topic = text("t")};
    const int32_t current = log_leader_epoch(broker_partition(node.broker, text("t"), 0));
    assert_int_equal(broker_epoch_end(node.broker, &guard_anonymous, &target, -1, current, &epoch, &end), BROKER_NONE);
    assert_int_equal(end, 30);
    assert_int_equal(broker_epoch_end(node.broker, &guard_anonymous, &target, current + 1, current, &epoch, &end),
                     BROKER_UNKNOWN_LEADER_EPOCH);
    node_end(&node);
}

/* ---- one atomic commit ------------------------------------------------------------------------------------------- */

NODE_OPERATION(atomic, broker_atomic, operation)

static broker_error commit_pair(node_world *node, const char *value, int64_t consumed, atomic_call *call,
                                weir_buffer *buffers, broker_atomic_batch *batches, broker_atomic_offset *offset) {
    static const char *const topics[] = {"left", "right"};
    for (int i = 0; i < 2; i++) {
        weir_buffer_init(&buffers[i], &node->account, 1 << 20);
        node_batch(node, &buffers[i], value, 1, &wire_batch_options_default);
        batches[i] = (broker_atomic_batch){
            .target = {.topic = text(topics[i])}, .bytes = buffers[i].data, .size = buffers[i].size};
    }
    *offset = (broker_atomic_offset){.topic = text("left"), .offset = consumed};
    *call = (atomic_call){.operation = {.principal = &guard_system,
                                        .batches = batches,
                                        .batch_count = 2,
                                        .group = text("task"),
                                        .offsets = offset,
                                        .offset_count = 1,
                                        .done = atomic_done}};
    broker_append_atomic(node->broker, &call->operation);
    return BROKER_NONE;
}

static int64_t committed(node_world *node, const char *group, const char *topic) {
    const broker_offset *found = broker_offset_find(node->broker, text(group), text(topic), 0);
    return found ? found->offset : -1;
}

static int64_t end_of(node_world *node, const char *topic) {
    return log_high_watermark(broker_partition(node->broker, text(topic), 0));
}

static void test_a_commit_is_all_or_nothing(void **state) {
    (void)state;
    for (uint64_t seed = 100; seed < 160; seed++) {
        node_world node;
        atomic_call calls[8];
        weir_buffer buffers[16];
        broker_atomic_batch batches[16];
        broker_atomic_offset offsets[8];
        node_begin(&node, seed);
        node_create(&node, "left", 1, NULL, 0);
        node_create(&node, "right", 1, NULL, 0);
        for (int i = 0; i < 8; i++)
            commit_pair(&node, "v", i + 1, &calls[i], buffers + 2 * i, batches + 2 * i, offsets + i);
        io_sim_run(node.sim, NULL, NULL, io_sim_draw(node.sim, 60));
        int64_t acknowledged = 0;
        for (int i = 0; i < 8; i++) acknowledged += calls[i].done && calls[i].operation.error == BROKER_NONE;
        assert_true(committed(&node, "task", "left") <= acknowledged || acknowledged == 0);
        node_crash(&node, seed % 2 ? IO_SIM_POWER_CUT : IO_SIM_DRY_CUT);
        const int64_t kept = end_of(&node, "left");
        assert_int_equal(end_of(&node, "right"), kept);
        assert_true(kept >= acknowledged);
        assert_int_equal(committed(&node, "task", "left"), kept ? kept : -1);
        for (int i = 0; i < 16; i++) weir_buffer_deinit(&buffers[i]);
        node_end(&node);
    }
}

static void test_a_commit_to_nowhere_changes_nothing(void **state) {
    (void)state;
    node_world node;
    atomic_call call;
    weir_buffer buffers[2];
    broker_atomic_batch batches[2];
    broker_atomic_offset offset;
    node_begin(&node, 12);
    node_create(&node, "left", 1, NULL, 0); /* there is no topic "right" */
    commit_pair(&node, "v", 1, &call, buffers, batches, &offset);
    node_until(&node, &call.done);
    assert_int_equal(call.operation.error, BROKER_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(end_of(&node, "left"), 0);
    assert_int_equal(committed(&node, "task", "left"), -1);
    for (int i = 0; i < 2; i++) weir_buffer_deinit(&buffers[i]);
    node_end(&node);
}

/* ---- power cuts -------------------------------------------------------------------------------------------------- */

/* Acknowledged records are there after any death; what is there is a prefix of what was sent. */
static void test_what_was_acknowledged_survives(void **state) {
    (void)state;
    for (uint64_t seed = 1000; seed < 1040; seed++) {
        node_world node;
        node_begin(&node, seed);
        node_create(&node, "t", 1, NULL, 0);
        int sent = 0;
        for (int life = 0; life < 3; life++) {
            const int acknowledged = 1 + (int)io_sim_draw(node.sim, 5);
            for (int i = 0; i < acknowledged; i++) {
                char value[32];
                snprintf(value, sizeof value, "v%d", sent++);
                assert_int_equal(node_produce(&node, "t", value, 1, NULL, NULL), BROKER_NONE);
            }
            const io_sim_death deaths[] = {IO_SIM_KILL, IO_SIM_POWER_CUT, IO_SIM_DRY_CUT};
            node_crash(&node, deaths[io_sim_draw(node.sim, 3)]);
        }
        assert_int_equal(node_fetch(&node, "t", 0, 0, lines, LINES), BROKER_NONE);
        char wanted[LINES / 16];
        size_t used = 0;
        for (int i = 0; i < sent; i++) used += (size_t)snprintf(wanted + used, sizeof wanted - used, "v%d 0\n", i);
        assert_string_equal(lines, wanted);
        node_end(&node);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_topic_is_its_record),
        cmocka_unit_test(test_a_topic_made_again_keeps_its_records),
        cmocka_unit_test(test_a_start_may_be_stopped),
        cmocka_unit_test(test_what_is_no_topic),
        cmocka_unit_test(test_wrong_properties_are_told_at_start),
        cmocka_unit_test(test_a_topic_grows_and_changes),
        cmocka_unit_test(test_records_go_in_and_come_out),
        cmocka_unit_test(test_a_topic_has_its_own_codec_and_clock),
        cmocka_unit_test(test_wrong_batches_are_refused),
        cmocka_unit_test(test_a_producer_is_idempotent),
        cmocka_unit_test(test_no_producer_id_is_given_twice),
        cmocka_unit_test(test_a_long_poll_ends_with_the_first_record_or_its_time),
        cmocka_unit_test(test_a_fetch_sees_what_becomes_durable_after_it_came),
        cmocka_unit_test(test_offsets_by_name_and_by_time),
        cmocka_unit_test(test_a_commit_is_all_or_nothing),
        cmocka_unit_test(test_a_commit_to_nowhere_changes_nothing),
        cmocka_unit_test(test_what_was_acknowledged_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
