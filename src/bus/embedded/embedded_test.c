/* Goal: the embedded bus is a bus; its commits are all or nothing through any power cut; compressed batches of others
 * are read; with read_ahead a reader is earlier than the disk.
 * Method: the shared stories in simulated worlds of several seeds and on real threads; then stories of its own. */
#include "bus/conformance_test.h"
#include "bus/embedded/embedded.h"
#include "io/real/io_real.h"
#include "io/sim/io_sim.h"
#include "wire/record_batch.h"

#include <stdlib.h>

enum { STEPS_MAX = 5000000 };

typedef struct fixture {
    bus_story story;
    io_sim *sim;
    const io_world *world;
    io_lane *broker_lane;
    broker_node *broker;
    bool ready, stopped;
} fixture;

static bool flag_is_set(void *arg) {
    return *(const bool *)arg;
}

static void run_until(fixture *self, const bool *flag) {
    const io_sim_end end = io_sim_run(self->sim, flag_is_set, (void *)flag, STEPS_MAX);
    if (end != IO_SIM_DONE) fprintf(stderr, "seed %llu: waited in vain\n", (unsigned long long)io_sim_seed(self->sim));
    weir_assert(end == IO_SIM_DONE);
}

static void story_run(bus_story *story, const bool *flag) {
    run_until(story->harness, flag);
}

static void is_ready(void *arg, weir_status status) {
    if (weir_failed(status)) fprintf(stderr, "%s\n", status.text);
    weir_assert(!weir_failed(status));
    ((fixture *)arg)->ready = true;
}

static void has_stopped(void *arg) {
    ((fixture *)arg)->stopped = true;
}

static void open_bus(fixture *self, bool read_ahead) {
    const broker_config config = {.world = self->world,
                                  .lane = self->broker_lane,
                                  .directory = "data",
                                  .journal_bytes = 1 << 20,
                                  .ready = is_ready,
                                  .arg = self};
    self->ready = self->stopped = false;
    const weir_status status = broker_open(&self->broker, &config, NULL);
    if (weir_failed(status)) fprintf(stderr, "%s\n", status.text);
    weir_assert(!weir_failed(status));
    run_until(self, &self->ready);
    self->story.bus = bus_embedded_create(
        &(bus_embedded_config){.world = self->world, .broker = self->broker, .read_ahead = read_ahead});
}

static void stop_broker(fixture *self) {
    broker_stop(self->broker, has_stopped, self);
    run_until(self, &self->stopped);
    io_sim_run(self->sim, NULL, NULL, 1000); /* jobs of the bus that are still on their way */
    bus_embedded_destroy(self->story.bus);
}

static void begin(fixture *self, uint64_t seed, bool read_ahead) {
    *self = (fixture){.sim = io_sim_create(seed)};
    self->world = io_sim_world(self->sim);
    self->broker_lane = io_lane_create(self->world->executor, IO_LANE_LOOP, "main");
    self->story = (bus_story){.world = self->world,
                              .lane = io_lane_create(self->world->executor, IO_LANE_WORKER, "task"),
                              .run = story_run,
                              .harness = self};
    weir_assert(!weir_failed(io_make_directory(self->world->files, "data")));
    weir_assert(!weir_failed(io_sync_directory(self->world->files, "/")));
    open_bus(self, read_ahead);
}

static void end(fixture *self) {
    stop_broker(self);
    const weir_status status = broker_close(self->broker);
    weir_assert(!weir_failed(status));
    io_lane_destroy(self->world->executor, self->story.lane);
    io_lane_destroy(self->world->executor, self->broker_lane);
    io_sim_destroy(self->sim);
}

static void crash(fixture *self, io_sim_death death, bool read_ahead) {
    io_sim_crash(self->sim);
    stop_broker(self);
    broker_abandon(self->broker);
    io_sim_restart(self->sim, death);
    open_bus(self, read_ahead);
}

static void tell(void (*told)(bus_story *story)) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        fixture self;
        begin(&self, seed, seed % 2 == 0);
        told(&self.story);
        end(&self);
    }
}

static void test_topics(void **state) {
    (void)state;
    tell(bus_story_topics);
}
static void test_rows(void **state) {
    (void)state;
    tell(bus_story_rows);
}
static void test_wakes(void **state) {
    (void)state;
    tell(bus_story_wakes);
}
static void test_many(void **state) {
    (void)state;
    tell(bus_story_many);
}
static void test_commits(void **state) {
    (void)state;
    tell(bus_story_commits);
}
static void test_expects(void **state) {
    (void)state;
    tell(bus_story_expects);
}
static void test_failures(void **state) {
    (void)state;
    tell(bus_story_failures);
}

/* ---- its own ----------------------------------------------------------------------------------------------------- */

typedef struct produce_call {
    broker_produce operation;
    bool done;
} produce_call;
static void produce_done(broker_produce *produce) {
    io_owner(produce, produce_call, operation)->done = true;
}

static void produce_compressed(fixture *self, weir_account *account, wire_codec codec, int32_t count) {
    weir_buffer bytes, scratch;
    wire_builder builder;
    wire_compressor *compressor = wire_compressor_create(account);
    wire_batch_options options = wire_batch_options_default;
    options.codec = codec;
    options.level = WIRE_LEVEL_DEFAULT;
    weir_buffer_init(&bytes, account, 4 << 20);
    weir_buffer_init(&scratch, account, 4 << 20);
    wire_builder_begin(&builder, &bytes);
    for (int32_t i = 0; i < count; i++) {
        wire_builder_add(&builder, io_wall_ms(self->world->clock), (weir_bytes){0},
                         weir_bytes_text("the same text again and again"), NULL, 0);
    }
    weir_status status = wire_builder_finish(&builder, &options, compressor, &scratch);
    weir_assert(!weir_failed(status));
    broker_produce_part part = {
        .target = {.topic = weir_bytes_text("codecs")}, .bytes = bytes.data, .size = bytes.size};
    produce_call call = {.operation = {.principal = &guard_anonymous, .parts = &part, .part_count = 1, .acks = -1,
                                       .zstd_allowed = true, .done = produce_done}};
    broker_produce_start(self->broker, &call.operation);
    run_until(self, &call.done);
    assert_int_equal(part.error, BROKER_NONE);
    weir_buffer_deinit(&bytes);
    weir_buffer_deinit(&scratch);
    wire_compressor_destroy(compressor);
}

typedef struct atomic_call {
    broker_atomic atomic;
    bool done;
} atomic_call;

static void atomic_done(broker_atomic *atomic) {
    ((atomic_call *)atomic)->done = true;
}

static void append_bytes(fixture *self, weir_buffer *bytes) {
    broker_atomic_batch batch = {
        .target = {.topic = weir_bytes_text("mixed")}, .bytes = bytes->data, .size = bytes->size};
    atomic_call call = {
        .atomic = {.principal = &guard_system, .batches = &batch, .batch_count = 1, .done = atomic_done}};
    broker_append_atomic(self->broker, &call.atomic);
    run_until(self, &call.done);
    assert_int_equal(call.atomic.error, BROKER_NONE);
    weir_buffer_deinit(bytes);
}

/* One record, of the producer's transaction when it has an id. */
static void append_value(fixture *self, weir_account *account, const char *value, int64_t producer_id) {
    weir_buffer bytes;
    wire_builder builder;
    wire_batch_options options = wire_batch_options_default;
    if (producer_id >= 0) {
        options.producer_id = producer_id;
        options.producer_epoch = 0;
        options.base_sequence = 0;
        options.attributes = WIRE_BATCH_TRANSACTIONAL;
    }
    weir_buffer_init(&bytes, account, 1 << 16);
    wire_builder_begin(&builder, &bytes);
    wire_builder_add(&builder, 1, (weir_bytes){0}, weir_bytes_text(value), NULL, 0);
    const weir_status status = wire_builder_finish(&builder, &options, NULL, NULL);
    weir_assert(!weir_failed(status));
    append_bytes(self, &bytes);
}

static void append_marker(fixture *self, weir_account *account, bool commit, int64_t producer_id) {
    weir_buffer bytes;
    weir_buffer_init(&bytes, account, 1 << 16);
    const weir_status status = wire_marker_append(&bytes, 1, commit, producer_id, 0, 0);
    weir_assert(!weir_failed(status));
    append_bytes(self, &bytes);
}

/* The row that follows, and no other yet. */
static void expect_row(fixture *self, bus_reader *reader, bus_flag *wake, int64_t offset, const char *value) {
    weir_code code;
    bus_block *block = bus_story_next(&self->story, reader, wake, &code);
    assert_non_null(block);
    assert_int_equal(block->count, 1);
    assert_int_equal(block->rows[0].offset, offset);
    assert_true(weir_bytes_equal_text(block->rows[0].value, value));
    data_buffer_release(&block->buffer);
}

static void expect_no_row(fixture *self, bus_reader *reader, int64_t end) {
    bus_block *block;
    io_sim_run_for(self->sim, 50 * 1000000LL);
    assert_int_equal(self->story.bus->vtable->reader_next(reader, &block).code, WEIR_OK);
    assert_null(block);
    assert_int_equal(self->story.bus->vtable->reader_end(reader), end);
}

/* Kafka clients' transactions: rows come when they are committed, in order, and never when they were aborted; and who
 * has all rows knows that it is at the end, markers or not. */
static void test_only_committed_rows_are_read(void **state) {
    (void)state;
    for (int ahead = 0; ahead < 2; ahead++) {
        fixture self;
        weir_account account;
        bus_flag wake = {0};
        bus_reader *reader;
        weir_account_init(&account, "test", 0);
        begin(&self, 30 + (uint64_t)ahead, ahead);
        bus_story_create(&self.story, "mixed", 1);
        const bus_vtable *vtable = self.story.bus->vtable;
        io_job_init(&wake.job, bus_flag_run);
        append_value(&self, &account, "gone", 7);
        append_value(&self, &account, "plain", -1);
        append_value(&self, &account, "kept", 8);
        assert_int_equal(
            vtable->reader_open(self.story.bus, self.story.lane, "mixed", 0, 0, 1 << 20, &wake.job, &reader).code,
            WEIR_OK);
        expect_no_row(&self, reader, 0);
        append_marker(&self, &account, false, 7);
        expect_row(&self, reader, &wake, 1, "plain");
        expect_no_row(&self, reader, 2);
        append_marker(&self, &account, true, 8);
        expect_row(&self, reader, &wake, 2, "kept");
        append_value(&self, &account, "gone again", 7);
        append_marker(&self, &account, false, 7);
        expect_no_row(&self, reader, 5);
        append_value(&self, &account, "last", -1);
        expect_row(&self, reader, &wake, 7, "last");
        vtable->reader_close(reader);
        end(&self);
        weir_account_deinit(&account);
    }
}

static void test_batches_of_every_codec_are_read(void **state) {
    (void)state;
    fixture self;
    weir_account account;
    weir_account_init(&account, "test", 0);
    begin(&self, 20, false);
    bus_story_create(&self.story, "codecs", 1);
    const int32_t each = BUS_EMBEDDED_BLOCK_ROWS + 1000; /* more than a block holds */
    for (int codec = WIRE_CODEC_NONE; codec < WIRE_CODEC_COUNT; codec++)
        produce_compressed(&self, &account, (wire_codec)codec, each);
    bus_flag wake = {0};
    bus_reader *reader;
    weir_code code;
    io_job_init(&wake.job, bus_flag_run);
    const bus_vtable *vtable = self.story.bus->vtable;
    assert_int_equal(
        vtable->reader_open(self.story.bus, self.story.lane, "codecs", 0, 5, 1 << 20, &wake.job, &reader).code,
        WEIR_OK);
    int64_t next = 5;
    while (next < (int64_t)each * WIRE_CODEC_COUNT) {
        bus_block *block = bus_story_next(&self.story, reader, &wake, &code);
        assert_non_null(block);
        assert_true(block->count <= BUS_EMBEDDED_BLOCK_ROWS);
        for (uint32_t i = 0; i < block->count; i++) {
            assert_int_equal(block->rows[i].offset, next++);
            assert_true(weir_bytes_equal_text(block->rows[i].value, "the same text again and again"));
            assert_int_equal(block->rows[i].headers.size, 1);
        }
        data_buffer_release(&block->buffer);
    }
    vtable->reader_close(reader);
    end(&self);
    weir_account_deinit(&account);
}

/* A task moves rows from one topic to another and commits its offset with them; the process dies at any moment. After
 * the last life the output is the input, each row once. */
static bool move_some(fixture *self, int64_t *position, uint64_t steps) {
    const bus_vtable *vtable = self->story.bus->vtable;
    bus_flag wake = {0}, sent = {0};
    bus_reader *reader;
    weir_code code;
    io_job_init(&wake.job, bus_flag_run);
    io_job_init(&sent.job, bus_flag_run);
    assert_int_equal(
        vtable->reader_open(self->story.bus, self->story.lane, "source", 0, *position, 4096, &wake.job, &reader).code,
        WEIR_OK);
    bus_block *block = bus_story_next(&self->story, reader, &wake, &code);
    assert_non_null(block);
    bus_commit *commit = vtable->commit_begin(self->story.bus, self->story.lane, "mover");
    for (uint32_t i = 0; i < block->count; i++)
        assert_int_equal(vtable->commit_add(commit, "target", 0, &block->rows[i]).code, WEIR_OK);
    assert_int_equal(vtable->commit_offset(commit, "source", 0, block->next_offset).code, WEIR_OK);
    vtable->commit_send(commit, &sent.job);
    io_sim_run(self->sim, flag_is_set, &sent.raised, steps);
    const bool acknowledged = sent.raised;
    if (acknowledged) *position = block->next_offset;
    else io_sim_crash(self->sim);
    run_until(self, &sent.raised);
    data_buffer_release(&block->buffer);
    vtable->reader_close(reader);
    vtable->commit_free(commit);
    return acknowledged;
}

static void test_a_task_moves_each_row_once_through_power_cuts(void **state) {
    (void)state;
    for (uint64_t seed = 300; seed < 330; seed++) {
        fixture self;
        begin(&self, seed, true);
        const bus_vtable *vtable = self.story.bus->vtable;
        enum { ROWS = 60 };
        bus_story_create(&self.story, "source", 1);
        bus_story_create(&self.story, "target", 1);
        for (int i = 0; i < ROWS; i += 10) {
            bus_commit *commit = vtable->commit_begin(self.story.bus, self.story.lane, NULL);
            for (int r = i; r < i + 10; r++) {
                const bus_row row = bus_story_row("k", "v", r);
                assert_int_equal(vtable->commit_add(commit, "source", 0, &row).code, WEIR_OK);
            }
            assert_int_equal(bus_story_send(&self.story, commit), WEIR_OK);
            vtable->commit_free(commit);
        }
        int64_t position = 0;
        while (position < ROWS) {
            if (move_some(&self, &position, io_sim_draw(self.sim, 40))) continue;
            crash(&self, io_sim_draw(self.sim, 2) ? IO_SIM_POWER_CUT : IO_SIM_DRY_CUT, true);
            const int64_t kept = bus_story_committed(&self.story, "mover", "source");
            assert_true(kept < 0 || kept >= position);
            position = kept < 0 ? 0 : kept;
            vtable = self.story.bus->vtable;
        }
        bus_answer answer = {0};
        vtable->end_offset(self.story.bus, self.story.lane, "target", 0, bus_story_offset, &answer);
        run_until(&self, &answer.done);
        assert_int_equal(answer.offset, ROWS);
        end(&self);
    }
}

/* ---- real threads ------------------------------------------------------------------------------------------------ */

typedef struct real_fixture {
    bus_story story;
    io_real *real;
    io_lane *broker_lane;
    broker_node *broker;
    char folder[64];
    io_timer poll;
    io_job poll_job;
    const bool *flag;
} real_fixture;

/* The stories' lane is a loop lane of the test's own thread, so a flag is set between two runs of the loop and never
 * during one; the loop looks at it every millisecond. */
static void real_poll(io_job *job) {
    real_fixture *self = io_owner(job, real_fixture, poll_job);
    const io_world *world = io_real_world(self->real);
    if (*self->flag) io_real_stop(self->real);
    else io_timer_set(world->executor, &self->poll, io_now_ns(world->clock) + 1000000);
}

static void real_run(bus_story *story, const bool *flag) {
    real_fixture *self = story->harness;
    self->flag = flag;
    io_post(io_real_world(self->real)->executor, story->lane, &self->poll_job);
    io_real_run(self->real);
}

/* The broker's lane has a thread of its own: what it tells comes back as a job of the stories' lane. */
static real_fixture real_self;
static bus_flag real_told;
static void real_tell(void) {
    io_post(io_real_world(real_self.real)->executor, real_self.story.lane, &real_told.job);
}
static void real_ready(void *arg, weir_status status) {
    (void)arg;
    weir_assert(!weir_failed(status));
    real_tell();
}
static void real_stopped(void *arg) {
    (void)arg;
    real_tell();
}
static void real_stop_run(io_job *job) {
    (void)job;
    broker_stop(real_self.broker, real_stopped, NULL);
}

static void remove_tree(const char *folder) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static void test_on_real_threads(void **state) {
    (void)state;
    real_fixture *self = &real_self;
    *self = (real_fixture){.folder = "/tmp/weir-bus-XXXXXX"};
    assert_non_null(mkdtemp(self->folder));
    assert_int_equal(io_real_start(&self->real, &(io_real_config){.workers = 2}).code, WEIR_OK);
    const io_world *world = io_real_world(self->real);
    self->broker_lane = io_lane_create(world->executor, IO_LANE_LOOP, "broker");
    self->story = (bus_story){.world = world,
                              .lane = io_lane_create(world->executor, IO_LANE_LOOP, "main"),
                              .run = real_run,
                              .harness = self};
    io_job_init(&self->poll_job, real_poll);
    io_job_init(&real_told.job, bus_flag_run);
    io_timer_init(&self->poll, self->story.lane, &self->poll_job);
    const broker_config config = {
        .world = world, .lane = self->broker_lane, .directory = self->folder, .ready = real_ready};
    assert_int_equal(broker_open(&self->broker, &config, NULL).code, WEIR_OK);
    real_run(&self->story, &real_told.raised);
    self->story.bus =
        bus_embedded_create(&(bus_embedded_config){.world = world, .broker = self->broker, .read_ahead = true});
    bus_story_topics(&self->story);
    bus_story_rows(&self->story);
    bus_story_wakes(&self->story);
    bus_story_many(&self->story);
    bus_story_commits(&self->story);
    bus_story_failures(&self->story);
    io_job stop;
    io_job_init(&stop, real_stop_run);
    real_told.raised = false;
    io_post(world->executor, self->broker_lane, &stop);
    real_run(&self->story, &real_told.raised);
    bus_embedded_destroy(self->story.bus);
    assert_int_equal(broker_close(self->broker).code, WEIR_OK);
    io_lane_destroy(world->executor, self->story.lane);
    io_lane_destroy(world->executor, self->broker_lane);
    io_real_destroy(self->real);
    remove_tree(self->folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_wakes),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_commits),
        cmocka_unit_test(test_expects),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_batches_of_every_codec_are_read),
        cmocka_unit_test(test_only_committed_rows_are_read),
        cmocka_unit_test(test_a_task_moves_each_row_once_through_power_cuts),
        cmocka_unit_test(test_on_real_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
