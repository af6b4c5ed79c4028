/* Goal: the last stable offset and the aborted transactions of a partition are what its batches say, whatever the disk
 * went through.
 * Method: producers begin, go on, commit and abort at random in the simulator, some without waiting for the disk; the
 * process dies by power cuts and comes back, journals are small so that checkpoints hold part of the story. After each
 * wait and each start a separate reader walks the batches of the partition and works both out from nothing but them. */
#include "log/log_test.h"

enum { PRODUCERS = 5, SEEDS = 60, LIVES = 4, STEPS = 60, ABORTED_MAX = 4096, PENDING_MAX = 64 };

typedef struct producer {
    bool open;
    int32_t sequence;
    int16_t epoch;
} producer;

typedef struct pending {
    log_group group;
    log_batch batch;
    weir_buffer bytes;
    bool is_done;
} pending;

typedef struct run {
    test_world t;
    log_store *store;
    log_partition *partition;
    producer producers[PRODUCERS];
    pending appends[PENDING_MAX];
    size_t append_count;
    uint64_t state;
} run;

static uint64_t draw(run *r, uint64_t limit) {
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (r->state >> 33) % limit;
}

/* ---- what the batches say ---------------------------------------------------------------------------------------- */

typedef struct truth {
    int64_t stable_offset;
    log_aborted aborted[ABORTED_MAX];
    size_t aborted_count;
} truth;

static bool is_commit(const wire_batch *batch) {
    wire_records records;
    wire_record record;
    int16_t control = -1;
    assert_int_equal(wire_records_open(&records, batch, NULL, NULL, 0).code, WEIR_OK);
    assert_true(wire_records_next(&records, &record));
    assert_true(wire_control_of(&record, &control));
    return control == WIRE_CONTROL_COMMIT;
}

static void work_out(run *r, truth *found) {
    int64_t first[PRODUCERS + 1];
    weir_buffer bytes;
    weir_buffer_init(&bytes, &test_account, SIZE_MAX / 2);
    test_read_all(&r->t, r->partition, 0, 1 << 20, &bytes);
    found->aborted_count = 0;
    for (int i = 0; i <= PRODUCERS; i++) first[i] = -1;
    wire_batch batch;
    for (weir_bytes left = weir_buffer_view(&bytes); left.size > 0;) {
        assert_int_equal(wire_batch_parse(left, &batch).code, WEIR_OK);
        left.data += batch.size_bytes;
        left.size -= batch.size_bytes;
        if (!wire_batch_is(&batch, WIRE_BATCH_TRANSACTIONAL)) continue;
        int64_t *start = &first[batch.producer_id];
        if (!wire_batch_is(&batch, WIRE_BATCH_CONTROL)) {
            if (*start < 0) *start = batch.base_offset;
            continue;
        }
        if (*start >= 0 && !is_commit(&batch)) {
            assert_true(found->aborted_count < ABORTED_MAX);
            found->aborted[found->aborted_count++] = (log_aborted){batch.producer_id, *start, batch.base_offset, 0};
        }
        *start = -1;
    }
    found->stable_offset = log_high_watermark(r->partition);
    for (int i = 1; i <= PRODUCERS; i++)
        if (first[i] >= 0 && first[i] < found->stable_offset) found->stable_offset = first[i];
    weir_buffer_deinit(&bytes);
}

static void compare(run *r) {
    static truth expected;
    log_aborted found[ABORTED_MAX];
    work_out(r, &expected);
    assert_int_equal(log_last_stable_offset(r->partition, false), expected.stable_offset);
    for (int i = 0; i < 8; i++) {
        /* Whole once, then ranges below the last stable offset: beyond it nobody asks. */
        const int64_t end = expected.stable_offset;
        const int64_t from = i == 0 || end == 0 ? 0 : (int64_t)draw(r, (uint64_t)end);
        const int64_t to = i == 0 || end == 0 ? end : from + 1 + (int64_t)draw(r, (uint64_t)(end - from));
        const size_t count = log_aborted_in(r->partition, from, to, found, ABORTED_MAX);
        size_t wanted = 0;
        for (size_t a = 0; a < expected.aborted_count; a++) {
            const log_aborted *aborted = &expected.aborted[a];
            if (aborted->last_offset < from || aborted->first_offset >= to) continue;
            assert_true(wanted < count);
            assert_int_equal(found[wanted].producer_id, aborted->producer_id);
            assert_int_equal(found[wanted].first_offset, aborted->first_offset);
            assert_int_equal(found[wanted].last_offset, aborted->last_offset);
            wanted++;
        }
        assert_int_equal(count, wanted);
    }
}

/* ---- what producers do ------------------------------------------------------------------------------------------- */

static void append_done(log_group *group, weir_status status) {
    (void)status;
    io_owner(group, pending, group)->is_done = true;
}

static bool all_done(void *arg) {
    const run *r = arg;
    for (size_t i = 0; i < r->append_count; i++)
        if (!r->appends[i].is_done) return false;
    return true;
}

static void settle(run *r) {
    assert_int_equal(io_sim_run(r->t.sim, all_done, r, 1000000), IO_SIM_DONE);
    for (size_t i = 0; i < r->append_count; i++) weir_buffer_deinit(&r->appends[i].bytes);
    r->append_count = 0;
}

static void fill(run *r, weir_buffer *bytes) {
    const int64_t id = 1 + (int64_t)draw(r, PRODUCERS);
    producer *p = &r->producers[id - 1];
    if (p->open && draw(r, 3) == 0) {
        assert_int_equal(wire_marker_append(bytes, 1000, draw(r, 2) == 0, id, p->epoch, 0).code, WEIR_OK);
        p->open = false;
        return;
    }
    wire_builder builder;
    wire_batch_options options = wire_batch_options_default;
    wire_builder_begin(&builder, bytes);
    const int32_t count = 1 + (int32_t)draw(r, 3);
    for (int32_t i = 0; i < count; i++)
        wire_builder_add(&builder, 1000, (weir_bytes){0}, weir_bytes_text("v"), NULL, 0);
    if (draw(r, 5) > 0) {
        options.producer_id = id;
        options.producer_epoch = p->epoch;
        options.base_sequence = p->sequence;
        options.attributes = WIRE_BATCH_TRANSACTIONAL;
        p->sequence += count;
        p->open = true;
    }
    assert_int_equal(wire_builder_finish(&builder, &options, NULL, NULL).code, WEIR_OK);
}

static void act(run *r) {
    if (r->append_count == PENDING_MAX) settle(r);
    pending *one = &r->appends[r->append_count];
    *one = (pending){.group.done = append_done};
    weir_buffer_init(&one->bytes, &test_account, 1 << 16);
    fill(r, &one->bytes);
    one->batch = (log_batch){.partition = r->partition, .bytes = one->bytes.data, .size = one->bytes.size};
    one->group.batches = &one->batch;
    one->group.count = 1;
    assert_int_equal(log_append(r->store, &one->group).code, WEIR_OK);
    r->append_count++;
    assert_true(log_last_stable_offset(r->partition, false) <= log_high_watermark(r->partition));
    if (draw(r, 4) > 0) return;
    settle(r);
    compare(r);
}

static void open_again(run *r) {
    log_start_report report;
    const log_config config = {.world = r->t.world, .lane = r->t.lane, .directory = "data", .journal_bytes = 32 << 10};
    assert_int_equal(log_open(&r->store, &config, &report).code, WEIR_OK);
    const log_partition_id id = test_id(1, 0);
    assert_int_equal(log_partition_open(r->store, &id, "topic", NULL, &r->partition).code, WEIR_OK);
    compare(r);
    for (int64_t i = 1; i <= PRODUCERS; i++) {
        /* What did not reach the disk was never begun, or never ended. */
        r->producers[i - 1].open = log_transaction_start(r->partition, i) >= 0;
        r->producers[i - 1].epoch++;
        r->producers[i - 1].sequence = 0;
    }
}

static void live(run *r, bool cut) {
    for (uint64_t left = STEPS; left > 0; left--) act(r);
    if (!cut) {
        settle(r);
        test_close(&r->t, r->store);
        return;
    }
    io_sim_crash(r->t.sim);
    test_stop(&r->t, r->store);
    settle(r);
    log_abandon(r->store);
    io_sim_restart(r->t.sim, draw(r, 2) ? IO_SIM_POWER_CUT : IO_SIM_KILL);
}

static void stable_offsets_and_aborts_are_what_the_batches_say(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        static run r;
        r = (run){.state = seed};
        test_world_open(&r.t, false, seed);
        for (int i = 0; i < LIVES; i++) {
            open_again(&r);
            live(&r, draw(&r, 4) > 0);
        }
        open_again(&r);
        test_close(&r.t, r.store);
        test_world_close(&r.t);
    }
}

/* The marker is in the log and not yet on the disk: what it would make stable is not. */
static void a_marker_counts_when_it_is_durable(void **state) {
    (void)state;
    static run r;
    r = (run){.state = 1};
    test_world_open(&r.t, false, 7);
    open_again(&r);
    weir_buffer bytes;
    weir_buffer_init(&bytes, &test_account, 1 << 16);
    wire_builder builder;
    wire_batch_options options = wire_batch_options_default;
    options.producer_id = 3;
    options.producer_epoch = 0;
    options.base_sequence = 0;
    options.attributes = WIRE_BATCH_TRANSACTIONAL;
    wire_builder_begin(&builder, &bytes);
    wire_builder_add(&builder, 1, (weir_bytes){0}, weir_bytes_text("v"), NULL, 0);
    assert_int_equal(wire_builder_finish(&builder, &options, NULL, NULL).code, WEIR_OK);
    test_group g = {.t = &r.t};
    g.batch = (log_batch){.partition = r.partition, .bytes = bytes.data, .size = bytes.size};
    g.group = (log_group){.batches = &g.batch, .count = 1, .done = test_group_done};
    assert_int_equal(log_append(r.store, &g.group).code, WEIR_OK);
    test_pump(&r.t, &g.is_done);
    assert_int_equal(log_last_stable_offset(r.partition, false), 0);
    weir_buffer_clear(&bytes);
    assert_int_equal(wire_marker_append(&bytes, 1, false, 3, 0, 0).code, WEIR_OK);
    g.is_done = false;
    g.batch = (log_batch){.partition = r.partition, .bytes = bytes.data, .size = bytes.size};
    assert_int_equal(log_append(r.store, &g.group).code, WEIR_OK);
    assert_int_equal(log_last_stable_offset(r.partition, false), 0);
    assert_int_equal(log_last_stable_offset(r.partition, true), 2);
    test_pump(&r.t, &g.is_done);
    assert_int_equal(log_last_stable_offset(r.partition, false), 2);
    log_aborted aborted;
    assert_int_equal(log_aborted_in(r.partition, 0, 2, &aborted, 1), 1);
    assert_int_equal(aborted.last_offset, 1);
    weir_buffer_deinit(&bytes);
    test_close(&r.t, r.store);
    test_world_close(&r.t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stable_offsets_and_aborts_are_what_the_batches_say),
        cmocka_unit_test(a_marker_counts_when_it_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
