/* Goal: compaction keeps the last record of every key, changes no offset and no record that it keeps, and no crash on
 * the way loses a key or leaves the partition unreadable.
 * Method: stories in the simulator, and seeds: keyed records, tombstones and transactional batches are appended, read
 * and compacted at random over several lives that end by kills and power cuts at a drawn disk operation. A model keeps
 * every record; what readers see must cover every offset, equal it, and hold each key's last record unless that is a
 * tombstone. WEIR_SIM_SEED=n runs one seed. */
#include "base/text.h"
#include "base/trace.h"
#include "log/log_test.h"

#include <inttypes.h>

enum { CHECK_MS = 1000, SEEDS = 300, LIVES = 5, STEPS = 80, KEYS = 12, RECORDS_MAX = 8000, TOMBSTONE = -1 };

typedef struct model_record {
    int key;
    int64_t value; /* TOMBSTONE */
} model_record;

typedef struct run {
    test_world t;
    uint64_t seed;
    log_store *store;
    log_partition *partition;
    model_record records[RECORDS_MAX];
    bool seen[RECORDS_MAX];
    int64_t count; /* their offsets are 0 to this */
    int64_t next_value;
    size_t batches, records_seen;
    test_read read;
    bool reading;
} run;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) fail_msg("seed %" PRIu64 ": %s does not hold", r->seed, #condition);                         \
    } while (0)

static const log_partition_config compacted = {
    .segment_bytes = 1500, .compacted = true, .dirty_ratio = 0.01, .delete_retention_ms = 600000};

static void open_all(run *r) {
    log_start_report report;
    const log_partition_id id = test_id(1, 0);
    const log_config config = {.world = r->t.world,
                               .lane = r->t.lane,
                               .directory = r->t.directory,
                               .journal_bytes = 32768,
                               .tail_bytes = 1,
                               .retention_check_ms = CHECK_MS};
    weir_status status = log_open(&r->store, &config, &report);
    if (!weir_failed(status)) status = log_partition_open(r->store, &id, "topic", &compacted, &r->partition);
    if (weir_failed(status)) fail_msg("seed %" PRIu64 ": %s", r->seed, status.text);
}

static void wait_ms(run *r, int64_t ms) {
    io_sim_run_for(r->t.sim, ms * 1000000);
}

/* One batch of records for the keys; -1 as a value is a tombstone. */
static bool append(run *r, const model_record *records, int count, bool transactional) {
    weir_buffer bytes, scratch;
    wire_builder builder;
    wire_batch_options options = wire_batch_options_default;
    weir_buffer_init(&bytes, &test_account, 1 << 20);
    weir_buffer_init(&scratch, &test_account, 1 << 20);
    wire_compressor *compressor = wire_compressor_create(&test_account);
    wire_builder_begin(&builder, &bytes);
    for (int i = 0; i < count; i++) {
        char key[16], value[80];
        snprintf(key, sizeof key, "key-%d", records[i].key);
        snprintf(value, sizeof value, "%060" PRId64, records[i].value);
        wire_builder_add(&builder, io_wall_ms(r->t.world->clock), weir_bytes_text(key),
                         records[i].value == TOMBSTONE ? (weir_bytes){0} : weir_bytes_text(value), NULL, 0);
    }
    options.codec = r->count % 3 == 0 ? WIRE_CODEC_LZ4 : WIRE_CODEC_NONE;
    options.level = WIRE_LEVEL_DEFAULT;
    if (transactional) {
        options.producer_id = 77;
        options.producer_epoch = 0;
        options.base_sequence = 0;
        options.attributes = WIRE_BATCH_TRANSACTIONAL;
    }
    CHECK(!weir_failed(wire_builder_finish(&builder, &options, compressor, &scratch)));
    test_group g = {.t = &r->t};
    g.batch = (log_batch){.partition = r->partition, .bytes = bytes.data, .size = bytes.size};
    g.group = (log_group){.batches = &g.batch, .count = 1, .done = test_group_done};
    g.code = log_append(r->store, &g.group).code;
    if (g.code == WEIR_OK) test_pump(&r->t, &g.is_done);
    CHECK(g.code == WEIR_OK || io_sim_is_crashed(r->t.sim));
    CHECK(r->count + count <= RECORDS_MAX);
    if (g.code == WEIR_OK) CHECK(g.batch.base_offset == r->count);
    memcpy(r->records + r->count, records, (size_t)count * sizeof *records); /* it may come back, if it failed */
    if (g.code == WEIR_OK) r->count += count;
    wire_compressor_destroy(compressor);
    weir_buffer_deinit(&bytes);
    weir_buffer_deinit(&scratch);
    return g.code == WEIR_OK;
}

static void see(run *r, const wire_record *record) {
    char key[16], value[80];
    CHECK(record->offset < RECORDS_MAX);
    const model_record *known = &r->records[record->offset];
    snprintf(key, sizeof key, "key-%d", known->key);
    snprintf(value, sizeof value, "%060" PRId64, known->value);
    CHECK(weir_bytes_equal_text(record->key, key));
    CHECK(known->value == TOMBSTONE ? !record->value.data : weir_bytes_equal_text(record->value, value));
    r->seen[record->offset] = true;
    r->records_seen++;
}

/* Walks what a read gave; returns the offset behind it. */
static int64_t see_bytes(run *r, weir_bytes bytes, int64_t offset) {
    weir_buffer scratch;
    wire_compressor *compressor = wire_compressor_create(&test_account);
    weir_buffer_init(&scratch, &test_account, 1 << 20);
    for (bool first = true; bytes.size > 0; first = false) {
        wire_batch batch;
        wire_records records;
        wire_record record;
        CHECK(!weir_failed(wire_batch_parse(bytes, &batch)) && !weir_failed(wire_batch_check_crc(&batch)));
        CHECK(first ? batch.base_offset <= offset : batch.base_offset == offset);
        CHECK(!weir_failed(wire_records_open(&records, &batch, compressor, &scratch, 1 << 20)));
        while (wire_records_next(&records, &record)) see(r, &record);
        CHECK(!weir_failed(wire_records_status(&records)));
        offset = wire_batch_next_offset(&batch);
        bytes = weir_bytes_of(bytes.data + batch.size_bytes, bytes.size - batch.size_bytes);
        r->batches++;
    }
    weir_buffer_deinit(&scratch);
    wire_compressor_destroy(compressor);
    return offset;
}

/* Reads everything; false when the process died meanwhile. */
static bool verify(run *r) {
    const int64_t end = log_high_watermark(r->partition);
    memset(r->seen, 0, sizeof r->seen);
    r->batches = r->records_seen = 0;
    CHECK(end >= r->count);
    for (int64_t offset = 0; offset < end;) {
        test_read read;
        test_read_once(&r->t, &read, r->partition, offset, io_sim_draw(r->t.sim, 3000));
        if (read.code != WEIR_OK && !io_sim_is_crashed(r->t.sim))
            printf("offset %" PRId64 ": %s\n", offset, read.read.error.text);
        CHECK(read.code == WEIR_OK || io_sim_is_crashed(r->t.sim));
        if (read.code == WEIR_OK) offset = see_bytes(r, read.read.bytes, offset);
        if (read.code == WEIR_OK) CHECK(offset == read.read.end_offset);
        log_read_release(&read.read);
        if (io_sim_is_crashed(r->t.sim)) return false;
    }
    r->count = end;
    bool known[KEYS] = {0};
    for (int64_t offset = end - 1; offset >= 0; offset--) {
        const model_record *record = &r->records[offset];
        if (known[record->key]) continue;
        known[record->key] = true;
        CHECK(r->seen[offset] || record->value == TOMBSTONE);
    }
    return true;
}

/* ---- stories ----------------------------------------------------------------------------------------------------- */

static run *begin(uint64_t seed) {
    run *r = weir_alloc(&test_account, sizeof *r);
    r->seed = seed;
    test_world_open(&r->t, false, seed);
    open_all(r);
    return r;
}

static void end(run *r) {
    test_close(&r->t, r->store);
    test_world_close(&r->t);
    weir_free(&test_account, r);
}

static void of_many_records_the_last_of_each_key_stays_and_is_still_so_after_a_start(void **state) {
    (void)state;
    run *r = begin(1);
    for (int i = 0; i < 2000; i++) {
        append(r, &(model_record){i % 5, i}, 1, false);
        if (i % 100 == 0) wait_ms(r, 3 * CHECK_MS);
    }
    wait_ms(r, 10 * CHECK_MS);
    assert_true(verify(r));
    assert_in_range(r->records_seen, 5, 100); /* the open segment's and each key's */
    const size_t seen = r->records_seen;
    const uint64_t bytes = log_size_bytes(r->partition);
    assert_in_range(bytes, 1, 60000);
    test_close(&r->t, r->store);
    open_all(r);
    assert_true(verify(r));
    assert_int_equal(r->records_seen, seen);
    assert_int_equal(log_size_bytes(r->partition), bytes);
    end(r);
}

static void a_tombstone_stays_for_its_time_and_then_goes(void **state) {
    (void)state;
    run *r = begin(2);
    append(r, &(model_record){1, 1}, 1, false);
    append(r, &(model_record){1, TOMBSTONE}, 1, false);
    for (int i = 0; i < 300; i++) append(r, &(model_record){2, i}, 1, false);
    wait_ms(r, 3 * CHECK_MS);
    assert_true(verify(r));
    assert_false(r->seen[0]);
    assert_true(r->seen[1]);
    io_sim_wall_jump(r->t.sim, 700000);
    for (int i = 0; i < 300; i++) append(r, &(model_record){2, i}, 1, false);
    wait_ms(r, 3 * CHECK_MS);
    assert_true(verify(r));
    assert_false(r->seen[1]);
    end(r);
}

static void segments_with_transactions_are_left_alone(void **state) {
    (void)state;
    run *r = begin(3);
    for (int i = 0; i < 10; i++) append(r, &(model_record){1, i}, 1, false);
    append(r, &(model_record){1, 10}, 1, true);
    for (int i = 0; i < 10; i++) append(r, &(model_record){2, i}, 1, false);
    for (int i = 0; i < 300; i++) append(r, &(model_record){3, i}, 1, false);
    wait_ms(r, 5 * CHECK_MS);
    assert_true(verify(r));
    assert_true(r->seen[10]);
    assert_true(r->records_seen < 100);
    end(r);
}

/* ---- seeds ------------------------------------------------------------------------------------------------------- */

static void finish_read(run *r) {
    if (!r->reading) return;
    r->reading = false;
    test_pump(&r->t, &r->read.is_done);
    CHECK(r->read.code == WEIR_OK || io_sim_is_crashed(r->t.sim));
    if (r->read.code == WEIR_OK) see_bytes(r, r->read.read.bytes, r->read.read.offset);
    log_read_release(&r->read.read);
}

static void step(run *r) {
    switch (io_sim_draw(r->t.sim, 8)) {
    case 5:
        if (io_sim_draw(r->t.sim, 10) == 0) io_sim_wall_jump(r->t.sim, 700000); /* tombstones may go */
        wait_ms(r, (int64_t)io_sim_draw(r->t.sim, 3 * CHECK_MS));
        break;
    case 6: /* and is under way while segments change their files */
        if (r->reading || r->count == 0) break;
        r->reading = true;
        r->read = (test_read){.t = &r->t};
        r->read.read = (log_read){.partition = r->partition,
                                  .offset = (int64_t)io_sim_draw(r->t.sim, (uint64_t)r->count),
                                  .max_bytes = io_sim_draw(r->t.sim, 5000),
                                  .done = test_read_done};
        log_read_start(&r->read.read);
        break;
    case 7: finish_read(r); break;
    default: {
        model_record records[4];
        const int count = 1 + (int)io_sim_draw(r->t.sim, 4);
        for (int i = 0; i < count; i++)
            records[i] = (model_record){(int)io_sim_draw(r->t.sim, KEYS),
                                        io_sim_draw(r->t.sim, 5) == 0 ? TOMBSTONE : r->next_value++};
        append(r, records, count, io_sim_draw(r->t.sim, 60) == 0);
    }
    }
}

static void run_seed(uint64_t seed) {
    run *r = weir_alloc(&test_account, sizeof *r);
    r->seed = seed;
    test_world_open(&r->t, false, seed);
    for (int life = 0; life < LIVES; life++) {
        open_all(r);
        if (io_sim_draw(r->t.sim, 3) > 0)
            io_sim_crash_at(r->t.sim, io_sim_disk_operations(r->t.sim) + 20 + io_sim_draw(r->t.sim, 300));
        bool alive = verify(r);
        for (int i = 0; i < STEPS && alive && !io_sim_is_crashed(r->t.sim); i++) step(r);
        finish_read(r);
        if (alive && !io_sim_is_crashed(r->t.sim)) verify(r);
        test_stop(&r->t, r->store);
        if (!io_sim_is_crashed(r->t.sim) && io_sim_draw(r->t.sim, 2))
            CHECK(!weir_failed(log_close(r->store)) || io_sim_is_crashed(r->t.sim));
        else log_abandon(r->store);
        static const io_sim_death deaths[] = {IO_SIM_KILL, IO_SIM_POWER_CUT, IO_SIM_DRY_CUT};
        io_sim_crash_at(r->t.sim, 0);
        io_sim_restart(r->t.sim, deaths[io_sim_draw(r->t.sim, 3)]);
    }
    test_world_close(&r->t);
    weir_free(&test_account, r);
}

static void whatever_dies_when_every_key_has_its_last_record(void **state) {
    (void)state;
    int64_t one = 0;
    const char *text = getenv("WEIR_SIM_SEED");
    if (text && weir_parse_i64(weir_bytes_text(text), &one) && one > 0) {
        run_seed((uint64_t)one);
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++) run_seed(seed);
}

int main(void) {
    weir_account_init(&test_account, "log.test", 0);
    weir_trace_set_level(getenv("WEIR_SIM_SEED") ? WEIR_DEBUG : WEIR_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_many_records_the_last_of_each_key_stays_and_is_still_so_after_a_start),
        cmocka_unit_test(a_tombstone_stays_for_its_time_and_then_goes),
        cmocka_unit_test(segments_with_transactions_are_left_alone),
        cmocka_unit_test(whatever_dies_when_every_key_has_its_last_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
