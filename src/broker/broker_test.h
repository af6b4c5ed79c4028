/* What the tests of this folder share: a broker in a simulated world, and operations told as plain calls. */
#ifndef WEIR_BROKER_BROKER_TEST_H
#define WEIR_BROKER_BROKER_TEST_H

#include "broker/broker_int.h"
#include "io/sim/io_sim.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

enum { NODE_STEPS_MAX = 2000000, NODE_PROPERTIES_MAX = 8 };

typedef struct node_world { /* a broker and its world */
    io_sim *sim;
    const io_world *world;
    io_lane *lane;
    broker_node *broker;
    weir_setting properties[NODE_PROPERTIES_MAX];
    size_t property_count;
    bool ready, stopped;
    weir_code ready_code;
    log_start_report report;
    weir_account account;
} node_world;

static bool node_flag(void *arg) {
    return *(bool *)arg;
}

static inline void node_until(node_world *node, bool *flag) {
    const io_sim_end end = io_sim_run(node->sim, node_flag, flag, NODE_STEPS_MAX);
    if (end != IO_SIM_DONE) fprintf(stderr, "seed %llu: waited in vain\n", (unsigned long long)io_sim_seed(node->sim));
    weir_assert(end == IO_SIM_DONE);
}

static inline void node_for_ms(node_world *node, int64_t ms) {
    io_sim_run_for(node->sim, ms * 1000000);
}

static void node_is_ready(void *arg, weir_status status) {
    node_world *self = arg;
    if (weir_failed(status)) fprintf(stderr, "not ready: %s\n", status.text);
    self->ready_code = status.code;
    self->ready = true;
}

static void node_has_stopped(void *arg) {
    ((node_world *)arg)->stopped = true;
}

static inline weir_status node_try_open(node_world *node) {
    const broker_config config = {.world = node->world,
                                  .lane = node->lane,
                                  .directory = "data",
                                  .properties = node->properties,
                                  .property_count = node->property_count,
                                  .journal_bytes = 1 << 20,
                                  .ready = node_is_ready,
                                  .arg = node};
    node->ready = node->stopped = false;
    return broker_open(&node->broker, &config, &node->report);
}

static inline void node_open(node_world *node) {
    const weir_status status = node_try_open(node);
    if (weir_failed(status)) fprintf(stderr, "%s\n", status.text);
    weir_assert(!weir_failed(status));
    node_until(node, &node->ready);
    weir_assert(node->ready_code == WEIR_OK);
}

static inline void node_stop(node_world *node) {
    broker_stop(node->broker, node_has_stopped, node);
    node_until(node, &node->stopped);
}

static inline void node_close(node_world *node) {
    node_stop(node);
    const weir_status status = broker_close(node->broker);
    if (weir_failed(status)) fprintf(stderr, "close: %s\n", status.text);
    weir_assert(!weir_failed(status));
}

/* The process dies as `death` says and comes back. */
static inline void node_crash(node_world *node, io_sim_death death) {
    io_sim_crash(node->sim);
    node_stop(node);
    broker_abandon(node->broker);
    io_sim_restart(node->sim, death);
    node_open(node);
}

static inline void node_begin(node_world *node, uint64_t seed) {
    *node = (node_world){.sim = io_sim_create(seed)};
    node->world = io_sim_world(node->sim);
    node->lane = io_lane_create(node->world->executor, IO_LANE_LOOP, "main");
    weir_account_init(&node->account, "test", 0);
    weir_assert(!weir_failed(io_make_directory(node->world->files, "data")));
    weir_assert(!weir_failed(io_sync_directory(node->world->files, "/")));
    node_open(node);
}

static inline void node_end(node_world *node) {
    node_close(node);
    io_lane_destroy(node->world->executor, node->lane);
    io_sim_destroy(node->sim);
    weir_account_deinit(&node->account);
}

static inline weir_bytes text(const char *chars) {
    return chars ? weir_bytes_text(chars) : (weir_bytes){0};
}

/* ---- operations -------------------------------------------------------------------------------------------------- */


#define NODE_OPERATION(name, type, member)                                                                             \
    typedef struct name##_call {                                                                                       \
        type operation;                                                                                                \
        bool done;                                                                                                     \
    } name##_call;                                                                                                     \
    static void name##_done(type *operation) {                                                                         \
        io_owner(operation, name##_call, operation)->done = true;                                                      \
    }

NODE_OPERATION(create, broker_create_topic, operation)
NODE_OPERATION(del, broker_delete_topic, operation)
NODE_OPERATION(produce, broker_produce, operation)
NODE_OPERATION(fetch, broker_fetch, operation)

static inline broker_error node_create(node_world *node, const char *topic, int32_t partitions,
                                       const weir_setting *configs, size_t config_count) {
    create_call call = {.operation = {.principal = &guard_anonymous,
                                      .name = text(topic),
                                      .partition_count = partitions,
                                      .replication_factor = -1,
                                      .configs = configs,
                                      .config_count = config_count,
                                      .done = create_done}};
    broker_topic_create(node->broker, &call.operation);
    node_until(node, &call.done);
    return call.operation.error;
}

static inline broker_error node_delete(node_world *node, const char *topic) {
    del_call call = {.operation = {.principal = &guard_anonymous, .name = text(topic), .done = del_done}};
    broker_topic_delete(node->broker, &call.operation);
    node_until(node, &call.done);
    return call.operation.error;
}

/* A batch with `count` records "<value> <n>", keys null. */
static inline void node_batch(node_world *node, weir_buffer *target, const char *value, int32_t count,
                              const wire_batch_options *options) {
    wire_builder builder;
    weir_buffer scratch;
    char line[128];
    wire_compressor *compressor = wire_compressor_create(&node->account);
    weir_buffer_init(&scratch, &node->account, 1 << 20);
    wire_builder_begin(&builder, target);
    for (int32_t i = 0; i < count; i++) {
        snprintf(line, sizeof line, "%s %d", value, i);
        wire_builder_add(&builder, io_wall_ms(node->world->clock), (weir_bytes){0}, text(line), NULL, 0);
    }
    const weir_status status = wire_builder_finish(&builder, options, compressor, &scratch);
    weir_assert(!weir_failed(status));
    weir_buffer_deinit(&scratch);
    wire_compressor_destroy(compressor);
}

/* Produces the buffer's bytes as one part; the answer is in *part. */
static inline broker_error node_produce_bytes(node_world *node, const char *topic, int32_t partition,
                                              weir_buffer *bytes, int16_t acks, broker_produce_part *part) {
    *part = (broker_produce_part){
        .target = {.topic = text(topic), .partition = partition}, .bytes = bytes->data, .size = bytes->size};
    produce_call call = {.operation = {.principal = &guard_anonymous,
                                       .parts = part,
                                       .part_count = 1,
                                       .acks = acks,
                                       .zstd_allowed = true,
                                       .done = produce_done}};
    broker_produce_start(node->broker, &call.operation);
    node_until(node, &call.done);
    return part->error;
}

static inline broker_error node_produce(node_world *node, const char *topic, const char *value, int32_t count,
                                        const wire_batch_options *options, int64_t *base_offset) {
    weir_buffer bytes;
    broker_produce_part part;
    weir_buffer_init(&bytes, &node->account, 4 << 20);
    node_batch(node, &bytes, value, count, options ? options : &wire_batch_options_default);
    const broker_error error = node_produce_bytes(node, topic, 0, &bytes, -1, &part);
    if (base_offset) *base_offset = part.base_offset;
    weir_buffer_deinit(&bytes);
    return error;
}

/* All values from `offset` on, one a line. */
static inline broker_error node_fetch(node_world *node, const char *topic, int64_t offset, int32_t max_wait_ms,
                                      char *lines, size_t size) {
    broker_fetch_part part = {
        .target = {.topic = text(topic)}, .offset = offset, .current_leader_epoch = -1, .max_bytes = 1 << 20};
    fetch_call call = {.operation = {.principal = &guard_anonymous,
                                     .parts = &part,
                                     .part_count = 1,
                                     .max_wait_ms = max_wait_ms,
                                     .min_bytes = 1,
                                     .max_bytes = 1 << 20,
                                     .done = fetch_done}};
    broker_fetch_start(node->broker, &call.operation);
    node_until(node, &call.done);
    weir_buffer scratch;
    wire_compressor *compressor = wire_compressor_create(&node->account);
    weir_buffer_init(&scratch, &node->account, 1 << 20);
    lines[0] = 0;
    size_t used = 0;
    weir_bytes left = part.bytes;
    while (left.size > 0) {
        wire_batch batch;
        wire_records records;
        wire_record record;
        weir_assert(!weir_failed(wire_batch_parse(left, &batch)) && !weir_failed(wire_batch_check_crc(&batch)));
        weir_assert(!weir_failed(wire_records_open(&records, &batch, compressor, &scratch, 1 << 20)));
        while (wire_records_next(&records, &record)) {
            if (record.offset < offset) continue;
            used += (size_t)snprintf(lines + used, size - used, "%.*s\n", (int)record.value.size,
                                     (const char *)record.value.data);
            weir_assert(used < size);
        }
        left.data += batch.size_bytes;
        left.size -= batch.size_bytes;
    }
    broker_fetch_release(&call.operation);
    weir_buffer_deinit(&scratch);
    wire_compressor_destroy(compressor);
    return part.error;
}

#endif
