/* log_test - what the tests of this module share: a world of either kind, batches, and calls that wait. */
#ifndef WEIR_LOG_LOG_TEST_H
#define WEIR_LOG_LOG_TEST_H

#include "io/real/io_real.h"
#include "io/sim/io_sim.h"
#include "log/log.h"
#include "wire/record_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static weir_account test_account;

typedef struct test_world {
    io_real *real; /* one of the two */
    io_sim *sim;
    const io_world *world;
    io_lane *lane;
    char directory[200];
} test_world;

static inline void test_world_open(test_world *t, bool is_real, uint64_t seed) {
    *t = (test_world){0};
    if (!test_account.name) weir_account_init(&test_account, "log.test", 0);
    if (is_real) {
        const char *kept = getenv("WEIR_TEST_KEEP"); /* a folder: what the stories write stays there */
        snprintf(t->directory, sizeof t->directory, "%s/weir-log-XXXXXX", kept ? kept : "/tmp");
        assert_non_null(mkdtemp(t->directory));
        assert_int_equal(io_real_start(&t->real, &(io_real_config){0}).code, WEIR_OK);
        t->world = io_real_world(t->real);
    } else {
        snprintf(t->directory, sizeof t->directory, "data");
        t->sim = io_sim_create(seed);
        t->world = io_sim_world(t->sim);
    }
    t->lane = io_lane_create(t->world->executor, IO_LANE_LOOP, "main");
}

static inline void test_world_close(test_world *t) {
    if (t->sim) io_sim_destroy(t->sim);
    if (t->real) {
        io_real_destroy(t->real);
        if (getenv("WEIR_TEST_KEEP")) return;
        char command[220];
        snprintf(command, sizeof command, "rm -rf '%s'", t->directory);
        assert_int_equal(system(command), 0);
    }
}

static inline bool test_is_done(void *flag) {
    return *(bool *)flag;
}

static inline void test_finish(test_world *t, bool *flag) {
    *flag = true;
    if (t->real) io_real_stop(t->real);
}

/* Runs the world until test_finish() was called with this flag. */
static inline void test_pump(test_world *t, bool *flag) {
    if (t->sim && !*flag) assert_int_equal(io_sim_run(t->sim, test_is_done, flag, UINT64_MAX), IO_SIM_DONE);
    while (t->real && !*flag) io_real_run(t->real);
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

typedef struct test_batch_options {
    int64_t producer_id; /* 0 = none */
    int16_t epoch;
    int32_t sequence;
    int64_t timestamp;
    wire_codec codec;
} test_batch_options;

/* A batch of `records` records whose values have `value_bytes` bytes each, appended to `target`. */
static inline void test_batch(weir_buffer *target, unsigned records, size_t value_bytes, uint64_t salt,
                              const test_batch_options *options) {
    wire_builder builder;
    wire_batch_options batch = wire_batch_options_default;
    uint8_t *value = weir_alloc(&test_account, value_bytes + 1);
    wire_builder_begin(&builder, target);
    for (unsigned i = 0; i < records; i++) {
        uint64_t state = salt * 0x9e3779b97f4a7c15u + i;
        for (size_t at = 0; at < value_bytes; at++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            value[at] = (uint8_t)(state >> 56);
        }
        wire_builder_add(&builder, options->timestamp + i, weir_bytes_text("key"), weir_bytes_of(value, value_bytes),
                         NULL, 0);
    }
    if (options->producer_id) {
        batch.producer_id = options->producer_id;
        batch.producer_epoch = options->epoch;
        batch.base_sequence = options->sequence;
    }
    wire_compressor *compressor = wire_compressor_create(&test_account);
    weir_buffer scratch;
    weir_buffer_init(&scratch, &test_account, 64 << 20);
    batch.codec = options->codec;
    batch.level = WIRE_LEVEL_DEFAULT;
    assert_int_equal(wire_builder_finish(&builder, &batch, compressor, &scratch).code, WEIR_OK);
    weir_buffer_deinit(&scratch);
    wire_compressor_destroy(compressor);
    weir_free(&test_account, value);
}

/* ---- calls that wait --------------------------------------------------------------------------------------------- */

static inline log_partition_id test_id(unsigned topic, int32_t partition) {
    log_partition_id id = {.partition = partition};
    memcpy(id.topic_id, &topic, sizeof topic);
    id.topic_id[15] = 7;
    return id;
}

typedef struct test_group {
    log_group group;
    log_batch batch;
    test_world *t;
    weir_code code;
    bool is_done;
} test_group;

static inline void test_group_done(log_group *group, weir_status status) {
    test_group *g = io_owner(group, test_group, group);
    g->code = status.code;
    test_finish(g->t, &g->is_done);
}

/* Appends one batch and waits until it is durable; returns its base offset, -1 on failure (then *code). */
static inline int64_t test_append(test_world *t, log_store *store, log_partition *partition, unsigned records,
                                  size_t value_bytes, uint64_t salt, const test_batch_options *options,
                                  weir_code *code) {
    static const test_batch_options plain = {.timestamp = 1000};
    weir_buffer bytes;
    weir_buffer_init(&bytes, &test_account, 64 << 20);
    test_batch(&bytes, records, value_bytes, salt, options ? options : &plain);
    test_group g = {.t = t};
    g.batch = (log_batch){.partition = partition, .bytes = bytes.data, .size = bytes.size};
    g.group = (log_group){.batches = &g.batch, .count = 1, .done = test_group_done};
    g.code = log_append(store, &g.group).code;
    if (g.code == WEIR_OK) test_pump(t, &g.is_done);
    weir_buffer_deinit(&bytes);
    if (code) *code = g.code;
    return g.code == WEIR_OK ? g.batch.base_offset : -1;
}

typedef struct test_read {
    log_read read;
    test_world *t;
    weir_code code;
    bool is_done;
} test_read;

static inline void test_read_done(log_read *read, weir_status status) {
    test_read *r = io_owner(read, test_read, read);
    r->code = status.code;
    test_finish(r->t, &r->is_done);
}

/* Reads once; the caller releases r->read. */
static inline void test_read_once(test_world *t, test_read *r, log_partition *partition, int64_t offset,
                                  size_t max_bytes) {
    *r = (test_read){.t = t};
    r->read = (log_read){.partition = partition, .offset = offset, .max_bytes = max_bytes, .done = test_read_done};
    log_read_start(&r->read);
    test_pump(t, &r->is_done);
}

/* Appends everything from `offset` to the high watermark to `target`. */
static inline void test_read_all(test_world *t, log_partition *partition, int64_t offset, size_t max_bytes,
                                 weir_buffer *target) {
    while (offset < log_high_watermark(partition)) {
        test_read r;
        test_read_once(t, &r, partition, offset, max_bytes);
        assert_int_equal(r.code, WEIR_OK);
        assert_true(r.read.bytes.size > 0);
        assert_true(r.read.end_offset > offset);
        weir_buffer_append(target, r.read.bytes.data, r.read.bytes.size);
        offset = r.read.end_offset;
        log_read_release(&r.read);
    }
}

typedef struct test_job {
    io_job job;
    test_world *t;
    bool is_done;
} test_job;

static inline void test_job_run(io_job *job) {
    test_job *done = io_owner(job, test_job, job);
    test_finish(done->t, &done->is_done);
}

static inline void test_stop(test_world *t, log_store *store) {
    test_job stopped = {.t = t};
    io_job_init(&stopped.job, test_job_run);
    log_stop(store, &stopped.job);
    test_pump(t, &stopped.is_done);
}

static inline void test_close(test_world *t, log_store *store) {
    test_stop(t, store);
    assert_int_equal(log_close(store).code, WEIR_OK);
}

static inline void test_abandon(test_world *t, log_store *store) {
    test_stop(t, store);
    log_abandon(store);
}

#endif
