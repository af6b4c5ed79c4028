/* Goal: what a source hands out arrives once and in order, whatever happens to commits, process and disk, while several
 * commits are under way; a stop waits for them.
 * Method: a source that counts, over the embedded bus in a simulated world, with small polls so that commits overlap. A
 * bus in between refuses commits at random, without the broker hearing of them, and so answers them out of order. Lives
 * end by a stop, a kill or a power cut at a step drawn from the seed; the last one runs to the end, and then the topic
 * must read 0, 1, 2 ... */
#include "bus/embedded/embedded.h"
#include "connect/connect.h"
#include "io/sim/io_sim.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STEPS_MAX = 5000000, RECORDS = 80, POLL_MAX = 7, PADDING_BYTES = 150000 };

/* ---- a bus that refuses ------------------------------------------------------------------------------------------ */

typedef struct refusing_bus {
    bus base;
    bus_vtable vtable; /* the inner one's, but for two */
    io_sim *sim;
    io_lane *lane;
    unsigned refuse_one_in;           /* 0 = never */
    const bus_commit *refused[16];    /* not yet asked for their result */
    unsigned under_way, most_under_way, refusals;
} refusing_bus;

static refusing_bus between; /* the vtable's calls on commits do not name their bus */
static bus *inner;
static io_lane *task_lane;

static bus_commit *between_begin(bus *self, io_lane *lane, const char *group) {
    (void)self;
    task_lane = lane;
    return inner->vtable->commit_begin(inner, lane, group);
}

static void between_send(bus_commit *commit, io_job *done) {
    if (++between.under_way > between.most_under_way) between.most_under_way = between.under_way;
    if (!between.refuse_one_in || io_sim_draw(between.sim, between.refuse_one_in) != 0) {
        inner->vtable->commit_send(commit, done);
        return;
    }
    between.refusals++;
    for (size_t i = 0; i < sizeof between.refused / sizeof between.refused[0]; i++) {
        if (between.refused[i]) continue;
        between.refused[i] = commit;
        io_post(io_sim_world(between.sim)->executor, task_lane, done);
        return;
    }
    fail_msg("more refused commits than may be under way");
}

static weir_status between_result(bus_commit *commit) {
    between.under_way--;
    for (size_t i = 0; i < sizeof between.refused / sizeof between.refused[0]; i++) {
        if (between.refused[i] != commit) continue;
        between.refused[i] = NULL;
        return weir_fail(WEIR_DISK_FULL, "refused by the test");
    }
    return inner->vtable->commit_result(commit);
}

/* These three take the bus itself. */
static void between_create(bus *self, io_lane *lane, const char *topic, int32_t partition_count,
                           const char *const (*config)[2], size_t config_count,
                           void (*done)(void *arg, weir_status status, const bus_topic_info *info), void *arg) {
    (void)self;
    inner->vtable->topic_create(inner, lane, topic, partition_count, config, config_count, done, arg);
}
static void between_end_offset(bus *self, io_lane *lane, const char *topic, int32_t partition,
                               void (*done)(void *arg, weir_status status, int64_t offset), void *arg) {
    (void)self;
    inner->vtable->end_offset(inner, lane, topic, partition, done, arg);
}
static weir_status between_open(bus *self, io_lane *lane, const char *topic, int32_t partition, int64_t offset,
                                size_t ahead_bytes, io_job *wake, bus_reader **reader) {
    (void)self;
    return inner->vtable->reader_open(inner, lane, topic, partition, offset, ahead_bytes, wake, reader);
}

static void between_open_over(bus *over, io_sim *sim, unsigned refuse_one_in) {
    inner = over;
    between = (refusing_bus){.vtable = *over->vtable, .sim = sim, .refuse_one_in = refuse_one_in};
    between.vtable.commit_begin = between_begin;
    between.vtable.commit_send = between_send;
    between.vtable.commit_result = between_result;
    between.vtable.topic_create = between_create;
    between.vtable.end_offset = between_end_offset;
    between.vtable.reader_open = between_open;
    between.base.vtable = &between.vtable;
}

/* ---- a source that counts ---------------------------------------------------------------------------------------- */

typedef struct counting_source {
    const io_world *world;
    weir_account *account;
    uint64_t next;
    char *values; /* of one poll; padded, so that a few polls fill a commit */
} counting_source;

static io_sim *source_sim;
static uint64_t source_records; /* how many there are in all */
static bool source_fails;

static weir_status counting_open(const connect_source *source, const io_world *world, weir_account *account,
                                 const connect_settings *settings, weir_bytes position, void **self) {
    (void)source, (void)settings;
    counting_source *made = weir_alloc(account, sizeof *made);
    made->world = world;
    made->account = account;
    made->values = weir_alloc(account, (size_t)POLL_MAX * PADDING_BYTES);
    char text[32] = "0";
    weir_assert(position.size < sizeof text);
    if (position.size) memcpy(text, position.data, position.size);
    made->next = strtoull(text, NULL, 10);
    *self = made;
    return weir_ok();
}

static weir_status counting_poll(void *self, connect_record *records, uint32_t max, uint32_t *count, int64_t *wait_ms) {
    counting_source *source = self;
    *count = 0;
    *wait_ms = 50;
    if (source_fails && io_sim_draw(source_sim, 40) == 0) return weir_fail(WEIR_IO, "the source fails now and then");
    const uint64_t wanted = io_sim_draw(source_sim, POLL_MAX + 1);
    for (; *count < wanted && *count < max && source->next < source_records; source->next++, (*count)++) {
        char *value = source->values + (size_t)*count * PADDING_BYTES;
        memset(value, ' ', PADDING_BYTES);
        const int length = snprintf(value, PADDING_BYTES, "%llu", (unsigned long long)source->next);
        records[*count] =
            (connect_record){.value = {(uint8_t *)value, io_sim_draw(source_sim, 2) ? (size_t)length : PADDING_BYTES},
                             .timestamp_ms = io_wall_ms(source->world->clock)};
    }
    return weir_ok();
}

static weir_status counting_position(void *self, weir_buffer *text) {
    const counting_source *source = self;
    weir_buffer_format(text, "%llu", (unsigned long long)source->next);
    return weir_ok();
}

static void counting_close(void *self) {
    counting_source *source = self;
    weir_free(source->account, source->values);
    weir_free(source->account, source);
}

static const connect_source counting = {.name = "counting", .open = counting_open, .poll = counting_poll,
                                        .position = counting_position, .close = counting_close};

/* ---- the world of a story ---------------------------------------------------------------------------------------- */

typedef struct flag {
    io_job job;
    bool raised;
} flag;

static void flag_raise(io_job *job) {
    io_owner(job, flag, job)->raised = true;
}

typedef struct fixture {
    io_sim *sim;
    const io_world *world;
    io_lane *main_lane, *judge_lane;
    bus *embedded;
    broker_node *broker;
    weir_account account;
    connect_task *task;
    flag stopped;
    bool ready, broker_stopped;
    unsigned refuse_one_in;
} fixture;

static bool flag_is_set(void *arg) {
    return *(const bool *)arg;
}

static void run_until(fixture *self, const bool *raised) {
    const io_sim_end end = io_sim_run(self->sim, flag_is_set, (void *)raised, STEPS_MAX);
    if (end != IO_SIM_DONE) fail_msg("seed %llu: waited in vain", (unsigned long long)io_sim_seed(self->sim));
}

static void is_ready(void *arg, weir_status status) {
    if (weir_failed(status)) fail_msg("%s", status.text);
    ((fixture *)arg)->ready = true;
}

static void has_stopped(void *arg) {
    ((fixture *)arg)->broker_stopped = true;
}

/* Waiting for nothing lets the simulated clock run for weeks: what the judge reads must not get old. */
static const weir_setting no_retention = {"log.retention.ms", "-1"};

static void open_node(fixture *self) {
    const broker_config config = {.world = self->world, .lane = self->main_lane, .directory = "data",
                                  .properties = &no_retention, .property_count = 1,
                                  .journal_bytes = 1 << 20, .ready = is_ready, .arg = self};
    self->ready = self->broker_stopped = false;
    const weir_status status = broker_open(&self->broker, &config, NULL);
    if (weir_failed(status)) fail_msg("%s", status.text);
    run_until(self, &self->ready);
    self->embedded = bus_embedded_create(
        &(bus_embedded_config){.world = self->world, .broker = self->broker, .read_ahead = true});
    between_open_over(self->embedded, self->sim, self->refuse_one_in);
}

static void stop_node(fixture *self) {
    broker_stop(self->broker, has_stopped, self);
    run_until(self, &self->broker_stopped);
    io_sim_run(self->sim, NULL, NULL, 1000);
    bus_embedded_destroy(self->embedded);
}

static void start_task(fixture *self) {
    const weir_setting items[] = {{"connector", "counting"}, {"topic", "numbers"}};
    const connect_settings settings = {items, 2};
    const connect_runtime runtime = {.world = self->world, .bus = &between.base, .owner = self->main_lane,
                                     .account = &self->account};
    self->stopped.raised = false;
    io_job_init(&self->stopped.job, flag_raise);
    self->task = connect_task_start(&runtime, "COUNTER", &counting, &settings, &self->stopped.job);
}

static void stop_task(fixture *self) {
    connect_task_stop(self->task);
    run_until(self, &self->stopped.raised);
    assert_int_equal(between.under_way, 0);
    io_sim_run(self->sim, NULL, NULL, 1000); /* its lane runs dry */
    connect_task_free(self->task);
}

static void begin(fixture *self, uint64_t seed, unsigned refuse_one_in, bool fails) {
    *self = (fixture){.sim = io_sim_create(seed), .refuse_one_in = refuse_one_in};
    self->world = io_sim_world(self->sim);
    source_sim = self->sim;
    source_records = RECORDS;
    source_fails = fails;
    weir_account_init(&self->account, "test", 0);
    self->main_lane = io_lane_create(self->world->executor, IO_LANE_LOOP, "main");
    self->judge_lane = io_lane_create(self->world->executor, IO_LANE_WORKER, "judge");
    weir_assert(!weir_failed(io_make_directory(self->world->files, "data")));
    weir_assert(!weir_failed(io_sync_directory(self->world->files, "/")));
    open_node(self);
    start_task(self);
}

static void crash(fixture *self) {
    static const io_sim_death deaths[] = {IO_SIM_KILL, IO_SIM_POWER_CUT, IO_SIM_DRY_CUT};
    io_sim_crash(self->sim);
    stop_task(self);
    stop_node(self);
    broker_abandon(self->broker);
    io_sim_restart(self->sim, deaths[io_sim_draw(self->sim, 3)]);
    open_node(self);
    start_task(self);
}

/* ---- the judge --------------------------------------------------------------------------------------------------- */

typedef struct end_answer {
    bool done;
    weir_code code;
    int64_t offset;
} end_answer;

static void end_is_known(void *arg, weir_status status, int64_t offset) {
    *(end_answer *)arg = (end_answer){true, status.code, offset};
}

static void wait_for_all(fixture *self) {
    for (int64_t offset = 0; offset < RECORDS;) {
        end_answer end = {0};
        io_sim_run(self->sim, NULL, NULL, 500);
        inner->vtable->end_offset(inner, self->judge_lane, "numbers", 0, end_is_known, &end);
        run_until(self, &end.done);
        if (end.code == WEIR_OK) offset = end.offset;
        if (io_sim_steps(self->sim) > STEPS_MAX)
            fail_msg("seed %llu: stands at %lld", (unsigned long long)io_sim_seed(self->sim), (long long)offset);
    }
}

static uint64_t number_of(weir_bytes value) {
    char text[24] = {0};
    memcpy(text, value.data, value.size < sizeof text - 1 ? value.size : sizeof text - 1);
    return strtoull(text, NULL, 10);
}

/* The topic reads 0, 1, 2 ... to the last one, and nothing else. */
static void check_numbers(fixture *self) {
    flag wake = {0};
    bus_reader *reader;
    io_job_init(&wake.job, flag_raise);
    const weir_status opened =
        inner->vtable->reader_open(inner, self->judge_lane, "numbers", 0, 0, 1 << 20, &wake.job, &reader);
    assert_int_equal(opened.code, WEIR_OK);
    uint64_t next = 0;
    while (next < RECORDS) {
        bus_block *block = NULL;
        assert_int_equal(inner->vtable->reader_next(reader, &block).code, WEIR_OK);
        if (!block) {
            run_until(self, &wake.raised);
            wake.raised = false;
            continue;
        }
        for (uint32_t i = 0; i < block->count; i++, next++) {
            const uint64_t found = number_of(block->rows[i].value);
            if (found != next)
                fail_msg("seed %llu: expected %llu, got %llu", (unsigned long long)io_sim_seed(self->sim),
                         (unsigned long long)next, (unsigned long long)found);
        }
        assert_int_equal(block->high_watermark, RECORDS);
        data_buffer_release(&block->buffer);
    }
    inner->vtable->reader_close(reader);
}

static void end(fixture *self) {
    wait_for_all(self);
    stop_task(self);
    check_numbers(self);
    stop_node(self);
    weir_assert(!weir_failed(broker_close(self->broker)));
    io_lane_destroy(self->world->executor, self->judge_lane);
    io_lane_destroy(self->world->executor, self->main_lane);
    weir_account_deinit(&self->account);
    io_sim_destroy(self->sim);
}

/* ---- the stories ------------------------------------------------------------------------------------------------- */

static void commits_overlap_and_keep_their_order(void **state) {
    (void)state;
    unsigned most = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        fixture self;
        begin(&self, seed, 0, false);
        end(&self);
        if (between.most_under_way > most) most = between.most_under_way;
    }
    assert_true(most > 1);
}

/* A refused commit must take with it those that were sent after it, though the broker never heard of the first. */
static void what_follows_a_refused_commit_does_not_count(void **state) {
    (void)state;
    unsigned refusals = 0;
    for (uint64_t seed = 100; seed < 120; seed++) {
        fixture self;
        begin(&self, seed, 4, true);
        end(&self);
        refusals += between.refusals;
    }
    assert_true(refusals > 20);
}

static void a_stop_waits_for_what_is_under_way(void **state) {
    (void)state;
    for (uint64_t seed = 200; seed < 210; seed++) {
        fixture self;
        begin(&self, seed, 0, false);
        for (int stop = 0; stop < 5; stop++) {
            io_sim_run(self.sim, NULL, NULL, io_sim_draw(self.sim, 200));
            stop_task(&self);
            start_task(&self);
        }
        end(&self);
    }
}

static void a_crash_at_any_step_neither_loses_nor_repeats(void **state) {
    (void)state;
    for (uint64_t seed = 300; seed < 325; seed++) {
        fixture self;
        begin(&self, seed, seed % 2 ? 6 : 0, seed % 3 == 0);
        for (int life = 0; life < 4; life++) {
            io_sim_run(self.sim, NULL, NULL, io_sim_draw(self.sim, 300));
            crash(&self);
        }
        end(&self);
    }
}

/* The journal refuses to sync: the node takes no more until it is started again. */
static void a_failing_disk_loses_nothing(void **state) {
    (void)state;
    for (uint64_t seed = 400; seed < 412; seed++) {
        fixture self;
        begin(&self, seed, 0, false);
        io_sim_run(self.sim, NULL, NULL, 150);
        io_sim_fail_sync(self.sim, 1 + io_sim_draw(self.sim, 8));
        io_sim_run(self.sim, NULL, NULL, 600);
        crash(&self);
        end(&self);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_overlap_and_keep_their_order),
        cmocka_unit_test(what_follows_a_refused_commit_does_not_count),
        cmocka_unit_test(a_stop_waits_for_what_is_under_way),
        cmocka_unit_test(a_crash_at_any_step_neither_loses_nor_repeats),
        cmocka_unit_test(a_failing_disk_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
