/* The bus in memory. Goal: a reader sees what was committed, in order, up to the topic's limit, and is woken when more
 * comes or the limit moves; positions are kept a group and topic; a commit that is not sent leaves nothing. Method: a
 * topic, a reader and commits in the world that stands still. */
#include "bus/memory/bus_memory.h"
#include "io/single/io_single.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct bench {
    weir_account account;
    io_single *single;
    bus_memory *memory;
    const bus_vtable *vtable;
    io_lane *lane;
} bench;

static void open_bench(bench *b) {
    weir_account_init(&b->account, "test", 0);
    b->single = io_single_create(&b->account);
    b->memory = bus_memory_create(io_single_world(b->single), &b->account);
    b->vtable = bus_memory_bus(b->memory)->vtable;
    b->lane = io_lane_create(io_single_world(b->single)->executor, IO_LANE_LOOP, "test");
}

static void close_bench(bench *b) {
    assert_true(io_single_run(b->single, 1000));
    io_lane_destroy(io_single_world(b->single)->executor, b->lane);
    bus_memory_destroy(b->memory);
    io_single_destroy(b->single);
    weir_account_deinit(&b->account);
}

typedef struct counter {
    io_job job;
    unsigned runs;
} counter;
static void count(io_job *job) {
    io_owner(job, counter, job)->runs++;
}

static void send(bench *b, bus_commit *commit) {
    counter done = {0};
    io_job_init(&done.job, count);
    b->vtable->commit_send(commit, &done.job);
    assert_true(io_single_run(b->single, 1000));
    assert_int_equal(done.runs, 1);
    assert_int_equal(b->vtable->commit_result(commit).code, WEIR_OK);
}

static void told_offset(void *arg, weir_status status, int64_t offset) {
    assert_int_equal(status.code, WEIR_OK);
    *(int64_t *)arg = offset;
}

static void commits_are_read_in_order_and_offsets_kept(void **state) {
    (void)state;
    bench b;
    open_bench(&b);
    bus *base = bus_memory_bus(b.memory);
    bus_memory_topic(b.memory, "t", 7);
    assert_int_equal(bus_memory_partitions(b.memory, "t"), 7);
    bus_commit *commit = b.vtable->commit_begin(base, b.lane, "g");
    for (int i = 0; i < 3; i++) {
        const bus_row row = {.timestamp_ms = i, .key = {0}, .value = weir_bytes_of(&"abc"[i], 1)};
        assert_int_equal(b.vtable->commit_add(commit, "t", -1, &row).code, WEIR_OK);
    }
    assert_int_equal(b.vtable->commit_offset(commit, "source", 0, 42).code, WEIR_OK);
    assert_int_equal(b.vtable->commit_add(commit, "nowhere", 0, &(bus_row){0}).code, WEIR_NOT_FOUND);
    send(&b, commit);
    assert_int_equal(b.vtable->commit_end_offset(commit, "t", 0), 3);
    b.vtable->commit_free(commit);
    int64_t offset = 0, none = 0;
    b.vtable->committed(base, b.lane, "g", "source", 0, told_offset, &offset);
    b.vtable->committed(base, b.lane, "other", "source", 0, told_offset, &none);
    assert_true(io_single_run(b.single, 1000));
    assert_int_equal(offset, 42);
    assert_int_equal(none, -1);
    const bus_row second = bus_memory_row(b.memory, "t", 1);
    assert_true(second.offset == 1 && second.timestamp_ms == 1 && second.key.data == NULL);
    assert_true(weir_bytes_equal_text(second.value, "b"));

    bus_commit *dropped = b.vtable->commit_begin(base, b.lane, "g");
    const bus_row lost = {.key = weir_bytes_text("k"), .value = weir_bytes_text("v")};
    assert_int_equal(b.vtable->commit_add(dropped, "t", 0, &lost).code, WEIR_OK);
    b.vtable->commit_free(dropped);
    assert_int_equal(bus_memory_count(b.memory, "t"), 3);
    close_bench(&b);
}

static void a_limit_lets_records_through_a_few_at_a_time(void **state) {
    (void)state;
    bench b;
    open_bench(&b);
    bus *base = bus_memory_bus(b.memory);
    for (int i = 0; i < 5; i++) bus_memory_append(b.memory, "t", &(bus_row){.timestamp_ms = i});
    bus_memory_limit(b.memory, "t", 0);
    counter wake = {0};
    io_job_init(&wake.job, count);
    bus_reader *reader;
    assert_int_equal(b.vtable->reader_open(base, b.lane, "t", 0, BUS_OFFSET_EARLIEST, 0, &wake.job, &reader).code,
                     WEIR_OK);
    bus_block *block;
    assert_int_equal(b.vtable->reader_next(reader, &block).code, WEIR_OK);
    assert_null(block);
    for (int limit = 2; limit <= 4; limit += 2) {
        const unsigned runs = wake.runs;
        bus_memory_limit(b.memory, "t", limit);
        assert_true(io_single_run(b.single, 10));
        assert_true(wake.runs > runs);
        assert_int_equal(b.vtable->reader_next(reader, &block).code, WEIR_OK);
        assert_int_equal(block->count, 2);
        assert_int_equal(block->rows[0].offset, limit - 2);
        assert_int_equal(block->next_offset, limit);
        data_buffer_release(&block->buffer);
        assert_int_equal(b.vtable->reader_next(reader, &block).code, WEIR_OK);
        assert_null(block);
    }
    assert_int_equal(b.vtable->reader_end(reader), 4);
    assert_int_equal(b.vtable->reader_open(base, b.lane, "none", 0, 0, 0, &wake.job, &(bus_reader *){0}).code,
                     WEIR_NOT_FOUND);
    b.vtable->reader_close(reader);
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_are_read_in_order_and_offsets_kept),
        cmocka_unit_test(a_limit_lets_records_through_a_few_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
