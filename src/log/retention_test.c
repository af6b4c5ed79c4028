/* Goal: retention takes what its configs say and nothing else, moves the start before it removes a file, and no crash
 * on the way brings deleted records back or leaves the partition unreadable.
 * Method: stories in the simulator, whose clocks the test moves; then seeds: appends, config changes, cold reads and
 * jumps of time at random, the process dying at a drawn disk operation, by a kill or a power cut. A model keeps every
 * batch; what readers see must be its end, equal to the byte, and hold all that no config allowed to go.
 * WEIR_SIM_SEED=n runs one seed. */
#include "base/text.h"
#include "base/trace.h"
#include "log/log_test.h"

#include <inttypes.h>

enum { CHECK_MS = 1000, SEEDS = 150, LIVES = 5, STEPS = 60, BATCHES_MAX = 2000, HOUR_MS = 3600000 };

static log_partition *open_partition(log_store *store, const log_partition_config *config) {
    log_partition *partition = NULL;
    const log_partition_id id = test_id(1, 0);
    const weir_status status = log_partition_open(store, &id, "topic", config, &partition);
    if (weir_failed(status)) fail_msg("%s", status.text);
    return partition;
}

static log_store *open_store(test_world *t) {
    log_store *store = NULL;
    log_start_report report;
    const log_config config = {.world = t->world,
                               .lane = t->lane,
                               .directory = t->directory,
                               .journal_bytes = 32768,
                               .tail_bytes = 1,
                               .retention_check_ms = CHECK_MS};
    const weir_status status = log_open(&store, &config, &report);
    if (weir_failed(status)) fail_msg("%s", status.text);
    return store;
}

typedef struct files {
    int64_t bases[BATCHES_MAX];
    size_t count;
} files;

static void note_file(const char *name, void *arg) {
    files *f = arg;
    if (strlen(name) != 24 || strcmp(name + 20, ".log") != 0) return;
    assert_true(weir_parse_i64(weir_bytes_of(name, 20), &f->bases[f->count++]));
}

static size_t count_files(test_world *t) {
    files f = {.count = 0};
    assert_int_equal(io_list(t->world->files, "data/topic-0", note_file, &f).code, WEIR_OK);
    return f.count;
}

static void wait_ms(test_world *t, int64_t ms) {
    io_sim_run_for(t->sim, ms * 1000000);
}

static void append_at(test_world *t, log_store *store, log_partition *partition, int64_t timestamp) {
    const test_batch_options options = {.timestamp = timestamp};
    assert_true(test_append(t, store, partition, 1, 900, (uint64_t)timestamp, &options, NULL) >= 0);
}

static int64_t now_ms(test_world *t) {
    return io_wall_ms(t->world->clock);
}

static weir_code code_of_read(test_world *t, log_partition *partition, int64_t offset) {
    test_read r;
    test_read_once(t, &r, partition, offset, 1);
    log_read_release(&r.read);
    return r.code;
}

/* ---- stories ----------------------------------------------------------------------------------------------------- */

static void the_oldest_segments_go_while_the_others_have_enough_bytes(void **state) {
    (void)state;
    test_world t;
    test_world_open(&t, false, 1);
    log_store *store = open_store(&t);
    const log_partition_config config = {.segment_bytes = 4000, .retention_bytes = 10000};
    log_partition *partition = open_partition(store, &config);
    for (int i = 0; i < 100; i++) append_at(&t, store, partition, 1000);
    wait_ms(&t, 10 * CHECK_MS);
    const int64_t start = log_start_offset(partition);
    assert_int_equal(start % 4, 0); /* four of these fill a segment */
    assert_true(log_size_bytes(partition) >= 10000 && log_size_bytes(partition) < 10000 + 4000);
    assert_int_equal(count_files(&t), (100 - start + 3) / 4);
    assert_int_equal(code_of_read(&t, partition, start - 1), WEIR_OUT_OF_RANGE);
    assert_int_equal(code_of_read(&t, partition, start), WEIR_OK);
    test_close(&t, store);
    store = open_store(&t);
    partition = open_partition(store, &config);
    assert_int_equal(log_start_offset(partition), start);
    assert_int_equal(code_of_read(&t, partition, start), WEIR_OK);
    test_close(&t, store);
    test_world_close(&t);
}

static void a_segment_goes_when_its_latest_record_is_too_old_and_then_nothing_ticks(void **state) {
    (void)state;
    test_world t;
    test_world_open(&t, false, 2);
    log_store *store = open_store(&t);
    const log_partition_config config = {.segment_bytes = 4000, .retention_ms = HOUR_MS};
    log_partition *partition = open_partition(store, &config);
    for (int i = 0; i < 8; i++) append_at(&t, store, partition, now_ms(&t));
    wait_ms(&t, HOUR_MS / 2);
    for (int i = 0; i < 2; i++) append_at(&t, store, partition, now_ms(&t));
    wait_ms(&t, HOUR_MS / 2 - 10 * CHECK_MS);
    assert_int_equal(log_start_offset(partition), 0);
    wait_ms(&t, 20 * CHECK_MS);
    assert_int_equal(log_start_offset(partition), 8);
    wait_ms(&t, HOUR_MS);
    assert_int_equal(log_start_offset(partition), 10); /* the last segment as well */
    assert_int_equal(log_high_watermark(partition), 10);
    assert_int_equal(io_sim_run(t.sim, NULL, NULL, 1000), IO_SIM_IDLE);
    append_at(&t, store, partition, now_ms(&t));
    assert_int_equal(code_of_read(&t, partition, 10), WEIR_OK);
    test_close(&t, store);
    assert_int_equal(count_files(&t), 2);
    store = open_store(&t);
    partition = open_partition(store, &config);
    assert_int_equal(log_start_offset(partition), 10);
    assert_int_equal(code_of_read(&t, partition, 10), WEIR_OK);
    assert_int_equal(count_files(&t), 1); /* the file that the last stop had no time for */
    test_close(&t, store);
    test_world_close(&t);
}

static void a_wall_clock_that_jumps_deletes_nothing_for_an_hour(void **state) {
    (void)state;
    test_world t;
    test_world_open(&t, false, 3);
    log_store *store = open_store(&t);
    const log_partition_config config = {.segment_bytes = 4000, .retention_ms = 24 * HOUR_MS};
    log_partition *partition = open_partition(store, &config);
    for (int i = 0; i < 20; i++) append_at(&t, store, partition, now_ms(&t));
    io_sim_wall_jump(t.sim, (int64_t)1000 * 24 * HOUR_MS);
    for (int i = 0; i < 5; i++) append_at(&t, store, partition, 1000); /* a segment begins: a look is due */
    wait_ms(&t, HOUR_MS / 2);
    assert_int_equal(log_start_offset(partition), 0);
    wait_ms(&t, HOUR_MS);
    assert_true(log_start_offset(partition) > 0); /* the clock has kept to its new time */
    test_close(&t, store);
    test_world_close(&t);
}

static void a_segment_is_closed_by_a_record_that_is_much_later_than_its_first(void **state) {
    (void)state;
    test_world t;
    test_world_open(&t, false, 4);
    const log_partition_config config = {.segment_bytes = 1 << 20, .segment_ms = 1000};
    for (int start = 0; start < 2; start++) { /* after a start the first batch's time is read from the disk */
        log_store *store = open_store(&t);
        log_partition *partition = open_partition(store, &config);
        append_at(&t, store, partition, 10000 + 2000 * start);
        append_at(&t, store, partition, 11000 + 2000 * start);
        test_close(&t, store);
        assert_int_equal(count_files(&t), 1 + start);
    }
    log_store *store = open_store(&t);
    log_partition *partition = open_partition(store, &config);
    append_at(&t, store, partition, 13000);
    append_at(&t, store, partition, 13001);
    test_close(&t, store);
    assert_int_equal(count_files(&t), 3);
    test_world_close(&t);
}

/* ---- seeds ------------------------------------------------------------------------------------------------------- */

typedef struct model_batch {
    int64_t base, end, timestamp;
    size_t size;
    uint8_t *bytes;
} model_batch;

typedef struct run {
    test_world t;
    uint64_t seed;
    log_store *store;
    log_partition *partition;
    log_partition_config config;
    model_batch batches[BATCHES_MAX];
    size_t count;
    int64_t start_seen;
    int64_t safe_from; /* no config ever allowed anything from here on to go */
    test_read reads[4];
    bool reading[4];
} run;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) fail_msg("seed %" PRIu64 ": %s does not hold", r->seed, #condition);                         \
    } while (0)

static uint64_t draw(run *r, uint64_t below) {
    return io_sim_draw(r->t.sim, below);
}

static int64_t model_end(const run *r) {
    return r->count ? r->batches[r->count - 1].end : 0;
}

static void remember(run *r, int64_t base, weir_bytes bytes) {
    wire_batch header;
    CHECK(!weir_failed(wire_batch_parse(bytes, &header)));
    CHECK(base == model_end(r) && r->count < BATCHES_MAX);
    model_batch *batch = &r->batches[r->count++];
    *batch = (model_batch){base, wire_batch_next_offset(&header), header.max_timestamp, bytes.size, NULL};
    batch->bytes = weir_alloc(&test_account, bytes.size);
    memcpy(batch->bytes, bytes.data, bytes.size);
}

static size_t find(const run *r, int64_t offset) {
    size_t at = 0;
    while (at < r->count && r->batches[at].end <= offset) at++;
    return at;
}

/* Whole batches from the one with `offset` on; those behind the model's end came back from the journal. */
static void compare(run *r, weir_bytes bytes, int64_t offset) {
    size_t at = find(r, offset);
    for (size_t used = 0; used < bytes.size; at++) {
        wire_batch got;
        const weir_bytes rest = weir_bytes_of(bytes.data + used, bytes.size - used);
        CHECK(!weir_failed(wire_batch_parse(rest, &got)));
        if (at == r->count) remember(r, got.base_offset, weir_bytes_of(rest.data, got.size_bytes));
        CHECK(got.base_offset == r->batches[at].base && got.size_bytes == r->batches[at].size);
        CHECK(memcmp(rest.data, r->batches[at].bytes, got.size_bytes) == 0);
        used += got.size_bytes;
    }
}

/* What a look at this moment may delete: so much the configs of this life allow at the most. */
static void note_allowed(run *r) {
    uint64_t behind = 0;
    const int64_t wall_ms = now_ms(&r->t);
    for (size_t i = r->count; i > 0; i--) {
        const model_batch *batch = &r->batches[i - 1];
        const bool by_time = r->config.retention_ms > 0 && wall_ms - batch->timestamp > r->config.retention_ms;
        const bool by_size = r->config.retention_bytes > 0 && behind >= (uint64_t)r->config.retention_bytes;
        if ((by_time || by_size) && batch->end > r->safe_from) r->safe_from = batch->end;
        behind += batch->size;
    }
}

static void check_start(run *r) {
    note_allowed(r);
    const int64_t start = log_start_offset(r->partition);
    CHECK(start >= r->start_seen);
    CHECK(start <= r->safe_from);
    r->start_seen = start;
}

static void append(run *r) {
    weir_buffer bytes;
    weir_buffer_init(&bytes, &test_account, 1 << 20);
    const test_batch_options options = {.timestamp = now_ms(&r->t) - (int64_t)draw(r, 20000)};
    test_batch(&bytes, 1 + (unsigned)draw(r, 3), draw(r, 600), draw(r, UINT64_MAX), &options);
    test_group g = {.t = &r->t};
    g.batch = (log_batch){.partition = r->partition, .bytes = bytes.data, .size = bytes.size};
    g.group = (log_group){.batches = &g.batch, .count = 1, .done = test_group_done};
    g.code = log_append(r->store, &g.group).code;
    if (g.code == WEIR_OK) test_pump(&r->t, &g.is_done);
    CHECK(g.code == WEIR_OK || io_sim_is_crashed(r->t.sim));
    if (g.code == WEIR_OK) remember(r, g.batch.base_offset, weir_bytes_of(bytes.data, bytes.size));
    weir_buffer_deinit(&bytes);
}

static void finish_reads(run *r) {
    for (int i = 0; i < 4; i++) {
        if (!r->reading[i]) continue;
        test_pump(&r->t, &r->reads[i].is_done);
        r->reading[i] = false;
        CHECK(r->reads[i].code == WEIR_OK || r->reads[i].code == WEIR_OUT_OF_RANGE || io_sim_is_crashed(r->t.sim));
        if (r->reads[i].code == WEIR_OK) compare(r, r->reads[i].read.bytes, r->reads[i].read.offset);
        log_read_release(&r->reads[i].read);
    }
}

/* Begins and does not wait: retention may move on while the read is under way. */
static void start_read(run *r) {
    const int i = (int)draw(r, 4);
    const int64_t start = log_start_offset(r->partition), end = log_high_watermark(r->partition);
    if (r->reading[i] || start == end) return;
    r->reading[i] = true;
    r->reads[i] = (test_read){.t = &r->t};
    r->reads[i].read = (log_read){.partition = r->partition,
                                  .offset = start + (int64_t)draw(r, draw(r, 2) ? 2 : (uint64_t)(end - start)),
                                  .max_bytes = draw(r, 5000),
                                  .done = test_read_done};
    if (r->reads[i].read.offset >= end) r->reads[i].read.offset = start;
    log_read_start(&r->reads[i].read);
}

static void choose_config(run *r) {
    r->config = (log_partition_config){.segment_bytes = 1000 + draw(r, 4000),
                                       .segment_ms = draw(r, 2) ? 0 : 1 + (int64_t)draw(r, 30000),
                                       .retention_bytes = draw(r, 2) ? 0 : 1 + (int64_t)draw(r, 30000),
                                       .retention_ms = draw(r, 2) ? 0 : 1 + (int64_t)draw(r, 60000)};
    note_allowed(r);
}

static void step(run *r) {
    switch (draw(r, 8)) {
    case 0: case 1: case 2: case 3: append(r); break;
    case 4: start_read(r); break;
    case 5: wait_ms(&r->t, (int64_t)draw(r, 4 * CHECK_MS)); break;
    case 6:
        if (draw(r, 6) > 0) break;
        choose_config(r);
        log_partition_configure(r->partition, &r->config);
        break;
    default: finish_reads(r); break;
    }
    check_start(r);
}

static bool verify(run *r) {
    CHECK(log_high_watermark(r->partition) >= model_end(r));
    for (int64_t offset = log_start_offset(r->partition); offset < log_high_watermark(r->partition);) {
        test_read read;
        test_read_once(&r->t, &read, r->partition, offset, draw(r, 8000));
        CHECK(read.code == WEIR_OK || read.code == WEIR_OUT_OF_RANGE || io_sim_is_crashed(r->t.sim));
        if (read.code == WEIR_OUT_OF_RANGE) read.read.end_offset = log_start_offset(r->partition);
        else if (read.code == WEIR_OK) compare(r, read.read.bytes, offset);
        offset = read.read.end_offset;
        log_read_release(&read.read);
        if (io_sim_is_crashed(r->t.sim)) return false;
    }
    return true;
}

/* Once a partition is in use, only the segments of what can be read have files. */
static void check_files(run *r) {
    files f = {.count = 0};
    if (weir_failed(io_list(r->t.world->files, "data/topic-0", note_file, &f))) return;
    size_t dead = 0;
    for (size_t i = 0; i < f.count; i++) {
        int64_t next = INT64_MAX;
        for (size_t j = 0; j < f.count; j++)
            if (f.bases[j] > f.bases[i] && f.bases[j] < next) next = f.bases[j];
        dead += next <= log_start_offset(r->partition);
    }
    CHECK(dead == 0);
}

static void live(run *r, bool *clean) {
    const bool was_clean = *clean;
    const bool dies = draw(r, 3) > 0;
    r->store = open_store(&r->t);
    choose_config(r);
    r->partition = open_partition(r->store, &r->config);
    CHECK(log_start_offset(r->partition) >= r->start_seen);
    bool alive = verify(r);
    check_start(r);
    if (alive && was_clean && log_start_offset(r->partition) < log_high_watermark(r->partition)) check_files(r);
    if (dies) io_sim_crash_at(r->t.sim, io_sim_disk_operations(r->t.sim) + 1 + draw(r, 150));
    for (int i = 0; i < STEPS && !io_sim_is_crashed(r->t.sim); i++) step(r);
    finish_reads(r);
    check_start(r);
    test_stop(&r->t, r->store);
    check_start(r);
    *clean = !io_sim_is_crashed(r->t.sim) && draw(r, 2);
    if (*clean) *clean = !weir_failed(log_close(r->store));
    else log_abandon(r->store);
    static const io_sim_death deaths[] = {IO_SIM_KILL, IO_SIM_POWER_CUT, IO_SIM_DRY_CUT};
    io_sim_crash_at(r->t.sim, 0);
    io_sim_restart(r->t.sim, deaths[draw(r, 3)]);
}

static void run_seed(uint64_t seed) {
    run *r = weir_alloc(&test_account, sizeof *r);
    r->seed = seed;
    test_world_open(&r->t, false, seed);
    bool clean = false;
    for (int i = 0; i < LIVES; i++) live(r, &clean);
    for (size_t i = 0; i < r->count; i++) weir_free(&test_account, r->batches[i].bytes);
    test_world_close(&r->t);
    weir_free(&test_account, r);
}

static void whatever_dies_when_readers_see_the_end_of_the_log_and_nothing_young_is_gone(void **state) {
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
    weir_trace_set_level(WEIR_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_segments_go_while_the_others_have_enough_bytes),
        cmocka_unit_test(a_segment_goes_when_its_latest_record_is_too_old_and_then_nothing_ticks),
        cmocka_unit_test(a_wall_clock_that_jumps_deletes_nothing_for_an_hour),
        cmocka_unit_test(a_segment_is_closed_by_a_record_that_is_much_later_than_its_first),
        cmocka_unit_test(whatever_dies_when_readers_see_the_end_of_the_log_and_nothing_young_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
