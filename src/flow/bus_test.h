/* bus_test - a bus in memory for flow's tests, on a simulated world: asynchronous, in an order drawn from the seed,
 * with blocks of random sizes. It can refuse commits, limit them, and die: from test_bus_die() on every call fails with
 * CLOSED, and a commit that was on its way is applied or lost, drawn from the seed; test_bus_revive() gives the next
 * process exactly what was committed. Included by tests only. */
#ifndef WEIR_FLOW_BUS_TEST_H
#define WEIR_FLOW_BUS_TEST_H

#include "base/buffer.h"
#include "base/hash.h"
#include "bus/bus.h"
#include "io/sim/io_sim.h"

#include <stdio.h>

enum { TEST_TOPICS_MAX = 16, TEST_PARTITIONS_MAX = 4, TEST_OFFSETS_MAX = 64, TEST_READERS_MAX = 64 };

typedef struct test_record {
    int64_t timestamp_ms;
    uint8_t *bytes;                          /* key, value, headers */
    int32_t key_bytes, value_bytes, header_bytes; /* -1 = null */
} test_record;
typedef struct test_partition {
    test_record *records;
    int64_t count, room;
    int64_t start; /* retention removed what is before */
} test_partition;
typedef struct test_topic {
    char name[128];
    int32_t partition_count;
    uint8_t id;
    bool is_deleted;
    test_partition partitions[TEST_PARTITIONS_MAX];
} test_topic;
typedef struct test_offset {
    char group[64], topic[128];
    int32_t partition;
    int64_t offset;
} test_offset;

typedef struct test_reader test_reader;
typedef struct test_bus {
    bus base;
    io_sim *sim;
    const io_world *world;
    weir_account account;
    io_lane *lane;
    test_topic topics[TEST_TOPICS_MAX];
    uint32_t topic_count;
    test_offset offsets[TEST_OFFSETS_MAX];
    uint32_t offset_count;
    test_reader *readers[TEST_READERS_MAX];
    bool is_dead;
    uint32_t block_rows_max;
    size_t commit_bytes_max;
    uint64_t commits, commits_refused, largest_commit;
    weir_code refuse_next;  /* the next commit fails with this */
    uint8_t next_topic_id;
    uint32_t blocks_out, commits_open;
} test_bus;

static inline weir_status test_bus_closed(void) { return weir_fail(WEIR_CLOSED, "the bus is gone"); }

static inline test_topic *test_bus_topic(test_bus *self, const char *name) {
    for (uint32_t i = 0; i < self->topic_count; i++) {
        if (!self->topics[i].is_deleted && strcmp(self->topics[i].name, name) == 0) return &self->topics[i];
    }
    return NULL;
}
static inline test_topic *test_bus_make(test_bus *self, const char *name, int32_t partitions) {
    weir_assert(self->topic_count < TEST_TOPICS_MAX && partitions <= TEST_PARTITIONS_MAX);
    test_topic *topic = &self->topics[self->topic_count++];
    *topic = (test_topic){.partition_count = partitions, .id = ++self->next_topic_id};
    snprintf(topic->name, sizeof topic->name, "%s", name);
    return topic;
}

static inline weir_bytes test_record_key(const test_record *record) {
    return record->key_bytes < 0 ? (weir_bytes){0} : (weir_bytes){record->bytes, (size_t)record->key_bytes};
}
static inline size_t test_size(int32_t bytes) { return bytes < 0 ? 0 : (size_t)bytes; }
static inline weir_bytes test_record_value(const test_record *record) {
    const uint8_t *at = record->bytes + test_size(record->key_bytes);
    return record->value_bytes < 0 ? (weir_bytes){0} : (weir_bytes){at, (size_t)record->value_bytes};
}
static inline weir_bytes test_record_headers(const test_record *record) {
    return (weir_bytes){record->bytes + test_size(record->key_bytes) + test_size(record->value_bytes),
                        test_size(record->header_bytes)};
}

static inline test_record test_record_copy(test_bus *self, const bus_row *row) {
    test_record made = {.timestamp_ms = row->timestamp_ms, .key_bytes = row->key.data ? (int32_t)row->key.size : -1,
                        .value_bytes = row->value.data ? (int32_t)row->value.size : -1,
                        .header_bytes = (int32_t)row->headers.size};
    made.bytes = weir_alloc(&self->account, row->key.size + row->value.size + row->headers.size);
    if (row->key.size) memcpy(made.bytes, row->key.data, row->key.size);
    if (row->value.size) memcpy(made.bytes + row->key.size, row->value.data, row->value.size);
    if (row->headers.size) memcpy(made.bytes + row->key.size + row->value.size, row->headers.data, row->headers.size);
    return made;
}

/* ---- readers ----------------------------------------------------------------------------------------------------- */

struct test_reader {
    test_bus *bus;
    test_topic *topic;
    int32_t partition;
    int64_t offset, start;
    io_lane *lane;
    io_job *wake;
    io_job attach, detach;
    bool is_known, is_closed;
};

static inline void test_bus_wake_readers(test_bus *self) {
    for (unsigned i = 0; i < TEST_READERS_MAX; i++) {
        test_reader *reader = self->readers[i];
        if (reader && !reader->is_closed && reader->is_known)
            io_post(self->world->executor, reader->lane, reader->wake);
    }
}
static inline void test_reader_attach(io_job *job) {
    test_reader *reader = io_owner(job, test_reader, attach);
    reader->is_known = true;
    if (!reader->is_closed) io_post(reader->bus->world->executor, reader->lane, reader->wake);
}
static inline void test_reader_detach(io_job *job) {
    test_reader *reader = io_owner(job, test_reader, detach);
    weir_free(&reader->bus->account, reader);
}
static inline weir_status test_reader_open(bus *base, io_lane *lane, const char *topic, int32_t partition,
                                           int64_t offset, size_t ahead_bytes, io_job *wake, bus_reader **opened) {
    (void)ahead_bytes;
    test_bus *self = (test_bus *)base;
    if (self->is_dead) return test_bus_closed();
    test_topic *found = test_bus_topic(self, topic);
    if (!found || partition >= found->partition_count) return weir_fail(WEIR_NOT_FOUND, "no topic %s", topic);
    const int64_t end = found->partitions[partition].count;
    if (offset == BUS_OFFSET_EARLIEST) offset = found->partitions[partition].start;
    if (offset == BUS_OFFSET_LATEST) offset = end;
    test_reader *reader = weir_alloc(&self->account, sizeof *reader);
    *reader = (test_reader){
        .bus = self, .topic = found, .partition = partition, .offset = offset, .start = offset,
        .lane = lane, .wake = wake};
    io_job_init(&reader->attach, test_reader_attach);
    io_job_init(&reader->detach, test_reader_detach);
    unsigned slot = 0;
    while (self->readers[slot]) weir_assert(++slot < TEST_READERS_MAX);
    self->readers[slot] = reader;
    io_post(self->world->executor, self->lane, &reader->attach);
    *opened = (bus_reader *)reader;
    return weir_ok();
}
typedef struct test_block {
    bus_block base;
    test_bus *bus;
    bus_row rows[];
} test_block;
static inline void test_block_destroy(data_buffer *buffer) {
    test_block *block = (test_block *)(void *)buffer;
    block->bus->blocks_out--;
    weir_free(&block->bus->account, block);
}
static inline weir_status test_reader_next(bus_reader *base, bus_block **next) {
    test_reader *reader = (test_reader *)base;
    test_bus *self = reader->bus;
    *next = NULL;
    if (self->is_dead) return test_bus_closed();
    if (reader->topic->is_deleted) return weir_fail(WEIR_NOT_FOUND, "topic %s was deleted", reader->topic->name);
    if (!reader->is_known) return weir_ok();
    const test_partition *partition = &reader->topic->partitions[reader->partition];
    if (reader->offset > partition->count)
        return weir_fail(WEIR_OUT_OF_RANGE, "offset %lld of %lld", (long long)reader->offset,
                         (long long)partition->count);
    const int64_t left = partition->count - reader->offset;
    if (left == 0) return weir_ok();
    uint64_t count = 1 + io_sim_draw(self->sim, self->block_rows_max);
    if (count > (uint64_t)left) count = (uint64_t)left;
    test_block *block = weir_alloc(&self->account, sizeof *block + count * sizeof(bus_row));
    block->bus = self;
    self->blocks_out++;
    for (uint64_t i = 0; i < count; i++) {
        const test_record *record = &partition->records[reader->offset + (int64_t)i];
        block->rows[i] = (bus_row){.offset = reader->offset + (int64_t)i, .timestamp_ms = record->timestamp_ms,
                                   .key = test_record_key(record), .value = test_record_value(record),
                                   .headers = test_record_headers(record)};
    }
    reader->offset += (int64_t)count;
    block->base = (bus_block){.partition = reader->partition, .count = (uint32_t)count, .next_offset = reader->offset,
                              .high_watermark = partition->count, .rows = block->rows};
    atomic_init(&block->base.buffer.references, 1);
    block->base.buffer.destroy = test_block_destroy;
    *next = &block->base;
    return weir_ok();
}
static inline int64_t test_reader_end(bus_reader *base) {
    const test_reader *reader = (test_reader *)base;
    return reader->is_known ? reader->topic->partitions[reader->partition].count : -1;
}
static inline int64_t test_reader_start(bus_reader *base) {
    const test_reader *reader = (test_reader *)base;
    return reader->is_known ? reader->start : -1;
}
static inline void test_reader_close(bus_reader *base) {
    test_reader *reader = (test_reader *)base;
    reader->is_closed = true;
    for (unsigned i = 0; i < TEST_READERS_MAX; i++) {
        if (reader->bus->readers[i] == reader) reader->bus->readers[i] = NULL;
    }
    io_post(reader->bus->world->executor, reader->bus->lane, &reader->detach); /* behind attach */
}

/* ---- administration ---------------------------------------------------------------------------------------------- */

typedef struct test_answer {
    test_bus *bus;
    io_lane *lane;
    io_job work, tell;
    void (*topic_done)(void *arg, weir_status status, const bus_topic_info *info);
    void (*offset_done)(void *arg, weir_status status, int64_t offset);
    void (*deleted)(void *arg, weir_status status);
    void *arg;
    char group[64], topic[128];
    int32_t partition; /* or partitions to make; 0 = describe */
    weir_error error;
    bus_topic_info info;
    int64_t offset;
} test_answer;

static inline void test_answer_tell(io_job *job) {
    test_answer *answer = io_owner(job, test_answer, tell);
    const test_answer copy = *answer;
    weir_free(&answer->bus->account, answer);
    const weir_status status = weir_error_status(&copy.error);
    if (copy.topic_done) copy.topic_done(copy.arg, status, &copy.info);
    if (copy.offset_done) copy.offset_done(copy.arg, status, copy.offset);
    if (copy.deleted) copy.deleted(copy.arg, status);
}
static inline void test_answer_topic(test_bus *self, test_answer *answer) {
    test_topic *topic = test_bus_topic(self, answer->topic);
    if (answer->deleted) {
        if (topic) topic->is_deleted = true;
        return;
    }
    if (topic && answer->partition)
        weir_error_set(&answer->error, weir_fail(WEIR_EXISTS, "topic %s exists", answer->topic));
    if (!topic && answer->partition) topic = test_bus_make(self, answer->topic, answer->partition);
    if (!topic) return;
    answer->info = (bus_topic_info){.exists = true, .partition_count = topic->partition_count};
    answer->info.topic_id[0] = topic->id;
}
static inline void test_answer_work(io_job *job) {
    test_answer *answer = io_owner(job, test_answer, work);
    test_bus *self = answer->bus;
    answer->offset = -1;
    if (self->is_dead) {
        weir_error_set(&answer->error, test_bus_closed());
    } else if (answer->offset_done) {
        for (uint32_t i = 0; i < self->offset_count; i++) {
            const test_offset *at = &self->offsets[i];
            if (strcmp(at->group, answer->group) == 0 && strcmp(at->topic, answer->topic) == 0 &&
                at->partition == answer->partition)
                answer->offset = at->offset;
        }
    } else {
        test_answer_topic(self, answer);
    }
    io_post(self->world->executor, answer->lane, &answer->tell);
}
static inline test_answer *test_answer_new(bus *base, io_lane *lane, const char *topic, void *arg) {
    test_bus *self = (test_bus *)base;
    test_answer *answer = weir_alloc(&self->account, sizeof *answer);
    answer->bus = self;
    answer->lane = lane;
    answer->arg = arg;
    snprintf(answer->topic, sizeof answer->topic, "%s", topic);
    io_job_init(&answer->work, test_answer_work);
    io_job_init(&answer->tell, test_answer_tell);
    io_post(self->world->executor, self->lane, &answer->work);
    return answer;
}
static inline void test_topic_describe(bus *self, io_lane *lane, const char *topic,
                                       void (*done)(void *, weir_status, const bus_topic_info *), void *arg) {
    test_answer_new(self, lane, topic, arg)->topic_done = done;
}
static inline void test_topic_create(bus *self, io_lane *lane, const char *topic, int32_t partition_count,
                                     const char *const (*config)[2], size_t config_count,
                                     void (*done)(void *, weir_status, const bus_topic_info *), void *arg) {
    (void)config, (void)config_count;
    test_answer *answer = test_answer_new(self, lane, topic, arg);
    answer->topic_done = done;
    answer->partition = partition_count;
}
static inline void test_topic_delete(bus *self, io_lane *lane, const char *topic, void (*done)(void *, weir_status),
                                     void *arg) {
    test_answer_new(self, lane, topic, arg)->deleted = done;
}
static inline void test_committed(bus *self, io_lane *lane, const char *group, const char *topic, int32_t partition,
                                  void (*done)(void *, weir_status, int64_t), void *arg) {
    test_answer *answer = test_answer_new(self, lane, topic, arg);
    answer->offset_done = done;
    answer->partition = partition;
    snprintf(answer->group, sizeof answer->group, "%s", group);
}

/* ---- commits ----------------------------------------------------------------------------------------------------- */

enum { TEST_ROW_OVERHEAD = 16 };
typedef struct test_commit_row {
    test_topic *topic;
    int32_t partition;
    test_record record;
} test_commit_row;
typedef struct test_commit {
    test_bus *bus;
    io_lane *lane;
    char group[64];
    test_commit_row *rows;
    size_t count, room, bytes;
    test_offset offsets[4];
    uint32_t offset_count;
    int64_t ends[TEST_TOPICS_MAX][TEST_PARTITIONS_MAX];
    io_job apply, *done;
    weir_error error;
} test_commit;

static inline void test_bus_append(test_bus *self, test_topic *topic, int32_t partition, const test_record *record) {
    test_partition *into = &topic->partitions[partition];
    if (into->count == into->room) {
        into->room = into->room ? into->room * 2 : 64;
        into->records = weir_realloc(&self->account, into->records, (size_t)into->room * sizeof *into->records);
    }
    into->records[into->count++] = *record;
}
static inline void test_bus_set_offset(test_bus *self, const test_offset *offset) {
    for (uint32_t i = 0; i < self->offset_count; i++) {
        test_offset *at = &self->offsets[i];
        if (strcmp(at->group, offset->group) != 0 || strcmp(at->topic, offset->topic) != 0 ||
            at->partition != offset->partition)
            continue;
        weir_assert(offset->offset >= at->offset); /* positions never go back */
        at->offset = offset->offset;
        return;
    }
    weir_assert(self->offset_count < TEST_OFFSETS_MAX);
    self->offsets[self->offset_count++] = *offset;
}
static inline void test_commit_make_durable(test_commit *commit) {
    test_bus *self = commit->bus;
    for (size_t i = 0; i < commit->count; i++) {
        test_commit_row *row = &commit->rows[i];
        test_bus_append(self, row->topic, row->partition, &row->record);
        row->record.bytes = NULL;
        commit->ends[row->topic - self->topics][row->partition] = row->topic->partitions[row->partition].count;
    }
    for (uint32_t i = 0; i < commit->offset_count; i++) test_bus_set_offset(self, &commit->offsets[i]);
    self->commits++;
    if (commit->bytes > self->largest_commit) self->largest_commit = commit->bytes;
    test_bus_wake_readers(self);
}
static inline void test_commit_apply(io_job *job) {
    test_commit *commit = io_owner(job, test_commit, apply);
    test_bus *self = commit->bus;
    if (self->is_dead) {
        /* It was on its way: nobody knows whether it arrived. */
        if (io_sim_draw(self->sim, 2)) test_commit_make_durable(commit);
        weir_error_set(&commit->error, test_bus_closed());
    } else if (self->refuse_next != WEIR_OK) {
        weir_error_set(&commit->error, weir_fail(self->refuse_next, "the commit was refused"));
        self->refuse_next = WEIR_OK;
        self->commits_refused++;
    } else {
        test_commit_make_durable(commit);
    }
    io_post(self->world->executor, commit->lane, commit->done);
}
static inline bus_commit *test_commit_begin(bus *base, io_lane *lane, const char *group) {
    test_bus *self = (test_bus *)base;
    test_commit *commit = weir_alloc(&self->account, sizeof *commit);
    commit->bus = self;
    commit->lane = lane;
    self->commits_open++;
    if (group) snprintf(commit->group, sizeof commit->group, "%s", group);
    memset(commit->ends, 0xFF, sizeof commit->ends);
    io_job_init(&commit->apply, test_commit_apply);
    return (bus_commit *)commit;
}
static inline weir_status test_commit_add(bus_commit *base, const char *topic, int32_t partition, const bus_row *row) {
    test_commit *commit = (test_commit *)base;
    test_bus *self = commit->bus;
    test_topic *found = test_bus_topic(self, topic);
    if (!found) return weir_fail(WEIR_NOT_FOUND, "no topic %s", topic);
    const size_t bytes = row->key.size + row->value.size + row->headers.size + TEST_ROW_OVERHEAD;
    if (commit->bytes + bytes > self->commit_bytes_max) {
        self->commits_refused++;
        return weir_fail(WEIR_FULL, "the commit has its %zu bytes", self->commit_bytes_max);
    }
    if (partition < 0) partition = row->key.data ? weir_partition_of_key(row->key, found->partition_count) : 0;
    if (commit->count == commit->room) {
        commit->room = commit->room ? commit->room * 2 : 64;
        commit->rows = weir_realloc(&self->account, commit->rows, commit->room * sizeof *commit->rows);
    }
    commit->rows[commit->count++] = (test_commit_row){found, partition, test_record_copy(self, row)};
    commit->bytes += bytes;
    return weir_ok();
}
static inline weir_status test_commit_offset(bus_commit *base, const char *topic, int32_t partition,
                                             int64_t next_offset) {
    test_commit *commit = (test_commit *)base;
    test_offset *offset = &commit->offsets[commit->offset_count++];
    *offset = (test_offset){.partition = partition, .offset = next_offset};
    snprintf(offset->group, sizeof offset->group, "%s", commit->group);
    snprintf(offset->topic, sizeof offset->topic, "%s", topic);
    return weir_ok();
}
static inline size_t test_commit_bytes(const bus_commit *commit) {
    return ((const test_commit *)(const void *)commit)->bytes;
}
static inline void test_commit_send(bus_commit *base, io_job *done) {
    test_commit *commit = (test_commit *)base;
    commit->done = done;
    io_post(commit->bus->world->executor, commit->bus->lane, &commit->apply);
}
static inline weir_status test_commit_result(bus_commit *base) {
    return weir_error_status(&((test_commit *)base)->error);
}
static inline int64_t test_commit_end_offset(const bus_commit *base, const char *topic, int32_t partition) {
    const test_commit *commit = (const test_commit *)(const void *)base;
    return commit->ends[test_bus_topic(commit->bus, topic) - commit->bus->topics][partition];
}
static inline void test_commit_free(bus_commit *base) {
    test_commit *commit = (test_commit *)base;
    for (size_t i = 0; i < commit->count; i++) weir_free(&commit->bus->account, commit->rows[i].record.bytes);
    weir_free(&commit->bus->account, commit->rows);
    commit->bus->commits_open--;
    weir_free(&commit->bus->account, commit);
}

/* ---- the test's side --------------------------------------------------------------------------------------------- */

static const bus_vtable test_bus_vtable = {
    .topic_describe = test_topic_describe, .topic_create = test_topic_create, .topic_delete = test_topic_delete,
    .committed = test_committed, .reader_open = test_reader_open, .reader_next = test_reader_next,
    .reader_end = test_reader_end,
    .reader_start = test_reader_start, .reader_close = test_reader_close, .commit_begin = test_commit_begin,
    .commit_add = test_commit_add, .commit_offset = test_commit_offset, .commit_bytes = test_commit_bytes,
    .commit_send = test_commit_send, .commit_result = test_commit_result, .commit_end_offset = test_commit_end_offset,
    .commit_free = test_commit_free};

static inline void test_bus_open(test_bus *self, io_sim *sim) {
    *self = (test_bus){.base = {&test_bus_vtable}, .sim = sim, .world = io_sim_world(sim), .block_rows_max = 50,
                       .commit_bytes_max = 16 << 20};
    weir_account_init(&self->account, "test bus", 0);
    self->lane = io_lane_create(self->world->executor, IO_LANE_LOOP, "bus");
}
/* Everything handed out must be back: nothing leaked through a failure. */
static inline void test_bus_close(test_bus *self) {
    weir_assert(self->blocks_out == 0 && self->commits_open == 0);
    for (uint32_t t = 0; t < self->topic_count; t++) {
        for (int p = 0; p < TEST_PARTITIONS_MAX; p++) {
            test_partition *partition = &self->topics[t].partitions[p];
            for (int64_t i = 0; i < partition->count; i++) weir_free(&self->account, partition->records[i].bytes);
            weir_free(&self->account, partition->records);
        }
    }
    io_lane_destroy(self->world->executor, self->lane);
    weir_account_deinit(&self->account);
}
static inline void test_bus_produce(test_bus *self, const char *topic, int32_t partition, const bus_row *row) {
    const test_record record = test_record_copy(self, row);
    test_bus_append(self, test_bus_topic(self, topic), partition, &record);
    test_bus_wake_readers(self);
}
static inline void test_bus_die(test_bus *self) {
    self->is_dead = true;
    test_bus_wake_readers(self);
}
static inline void test_bus_revive(test_bus *self) { self->is_dead = false; }

#endif
