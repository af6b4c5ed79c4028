/* Commits: rows become record batches as they are added, on the committer's lane; the send is one atomic append on the
 * broker's. */
#include "bus/embedded/embedded_int.h"

typedef struct target_batch {
    size_t start, size; /* in the target's buffer */
} target_batch;

typedef struct commit_target { /* one partition's records */
    char topic[BUS_TOPIC_NAME_MAX + 1];
    int32_t partition;
    weir_buffer buffer;
    wire_builder builder;
    bool building;
    target_batch *batches;
    size_t batch_count, batch_capacity;
    int64_t end_offset;
    bool has_expected;
    int64_t expected_offset;
    struct commit_target *next;
} commit_target;

typedef struct consumed {
    char *topic;
    int32_t partition;
    int64_t offset;
} consumed;

struct bus_commit {
    bus_embedded *self;
    io_lane *lane;
    char *group;
    weir_map targets; /* topic, 0, partition -> commit_target */
    commit_target *first, *last, *recent;
    size_t target_count, batch_count;
    size_t closed_bytes; /* in finished batches */
    size_t open_bytes;   /* in batches being built */
    consumed *offsets;
    size_t offset_count, offset_capacity;
    uint32_t round_robin;
    bool sent;
    io_job job;
    io_job *done;
    weir_error error;
    broker_atomic atomic;
    broker_atomic_batch *atomic_batches;
    broker_atomic_offset *atomic_offsets;
};

enum { KEY_MAX = BUS_TOPIC_NAME_MAX + 1 + 4, ROW_OVERHEAD_MAX = WIRE_RECORD_OVERHEAD_MAX, WIDEN_BYTES = 64 << 10 };

bus_commit *embedded_commit_begin(bus *base, io_lane *lane, const char *group) {
    bus_embedded *self = (bus_embedded *)base;
    bus_commit *commit = weir_alloc(&self->account, sizeof *commit);
    commit->self = self;
    commit->lane = lane;
    commit->group = weir_strdup(&self->account, group ? group : "");
    weir_map_init(&commit->targets, &self->account);
    return commit;
}

static weir_bytes key_of(uint8_t key[KEY_MAX], const char *topic, int32_t partition) {
    const size_t size = strlen(topic);
    weir_assert(size <= BUS_TOPIC_NAME_MAX);
    memcpy(key, topic, size + 1);
    weir_write_be32(key + size + 1, (uint32_t)partition);
    return weir_bytes_of(key, size + 5);
}

static commit_target *target_find(const bus_commit *commit, const char *topic, int32_t partition) {
    uint8_t key[KEY_MAX];
    if (strlen(topic) > BUS_TOPIC_NAME_MAX) return NULL;
    return weir_map_get(&commit->targets, key_of(key, topic, partition));
}

static commit_target *target_get(bus_commit *commit, const char *topic, int32_t partition) {
    commit_target *recent = commit->recent; /* rows come in runs */
    if (recent && recent->partition == partition && strcmp(recent->topic, topic) == 0) return recent;
    commit_target *found = target_find(commit, topic, partition);
    if (!found) {
        uint8_t key[KEY_MAX];
        found = weir_alloc(&commit->self->account, sizeof *found);
        memcpy(found->topic, topic, strlen(topic));
        found->partition = partition;
        found->end_offset = -1;
        weir_buffer_init(&found->buffer, &commit->self->account, LOG_GROUP_BYTES_MAX);
        weir_map_put(&commit->targets, key_of(key, topic, partition), found);
        if (commit->last) commit->last->next = found;
        else commit->first = found;
        commit->last = found;
        commit->target_count++;
    }
    commit->recent = found;
    return found;
}

/* A commit of megabytes would double its buffer a dozen times, and touch fresh pages each time. */
static void widen(bus_commit *commit, weir_buffer *buffer) {
    bus_embedded *self = commit->self;
    weir_buffer spare = {0};
    pthread_mutex_lock(&self->lock);
    if (self->spare_count > 0 && self->spares[self->spare_count - 1].capacity > 2 * buffer->size)
        spare = self->spares[--self->spare_count];
    pthread_mutex_unlock(&self->lock);
    if (!spare.data) return;
    weir_buffer_clear(&spare);
    weir_buffer_append(&spare, buffer->data, buffer->size);
    weir_buffer_deinit(buffer);
    *buffer = spare;
}

static void give_back(bus_commit *commit, weir_buffer *buffer) {
    bus_embedded *self = commit->self;
    if (buffer->capacity >= EMBEDDED_SPARE_BYTES_MIN && buffer->capacity <= EMBEDDED_SPARE_BYTES_MAX) {
        pthread_mutex_lock(&self->lock);
        const bool kept = self->spare_count < EMBEDDED_SPARES_MAX;
        if (kept) self->spares[self->spare_count++] = *buffer;
        pthread_mutex_unlock(&self->lock);
        if (kept) return;
    }
    weir_buffer_deinit(buffer);
}

static weir_status finish_batch(bus_commit *commit, commit_target *target) {
    const size_t start = target->builder.start;
    commit->open_bytes -= wire_builder_bytes(&target->builder);
    target->building = false;
    WEIR_TRY(weir_context(wire_builder_finish(&target->builder, &wire_batch_options_default, NULL, NULL),
                          "committing to %s-%d", target->topic, target->partition));
    if (target->batch_count == target->batch_capacity) {
        target->batch_capacity = target->batch_capacity ? target->batch_capacity * 2 : 2;
        target->batches =
            weir_realloc(&commit->self->account, target->batches, sizeof(target_batch) * target->batch_capacity);
    }
    target->batches[target->batch_count++] = (target_batch){start, target->buffer.size - start};
    commit->closed_bytes += target->buffer.size - start;
    commit->batch_count++;
    return weir_ok();
}

/* The count of headers, a zigzag varint, in front of them; false when it is not there. */
static bool split_headers(weir_bytes raw, wire_record *record) {
    uint32_t zigzag = 0;
    for (size_t i = 0; i < raw.size && i < 5; i++) {
        zigzag |= (uint32_t)(raw.data[i] & 0x7f) << (7 * i);
        if (raw.data[i] & 0x80) continue;
        record->header_count = (int32_t)(zigzag >> 1);
        record->headers = weir_bytes_of(raw.data + i + 1, raw.size - i - 1);
        return !(zigzag & 1);
    }
    return raw.size == 0;
}

static weir_status choose_partition(bus_commit *commit, const char *topic, const bus_row *row, int32_t *partition) {
    if (*partition >= 0) return weir_ok();
    const int32_t count = embedded_partition_count(commit->self, topic);
    if (count <= 0) {
        return weir_fail(WEIR_NOT_FOUND, "committing to topic %s: its partitions are not known; describe it first",
                         topic);
    }
    *partition =
        row->key.data ? weir_partition_of_key(row->key, count) : (int32_t)(commit->round_robin++ % (uint32_t)count);
    return weir_ok();
}

weir_status embedded_commit_add(bus_commit *commit, const char *topic, int32_t partition, const bus_row *row) {
    weir_assert(!commit->sent);
    const size_t bytes = row->key.size + row->value.size + row->headers.size + ROW_OVERHEAD_MAX;
    if (strlen(topic) > BUS_TOPIC_NAME_MAX)
        return weir_fail(WEIR_INVALID, "committing to topic %.80s...: the name is too long", topic);
    if (bytes > BUS_EMBEDDED_COMMIT_BYTES_MAX) {
        return weir_fail(WEIR_INVALID, "committing to topic %s: a record of %zu bytes, a commit takes %d", topic, bytes,
                         BUS_EMBEDDED_COMMIT_BYTES_MAX);
    }
    if (embedded_commit_bytes(commit) + bytes > BUS_EMBEDDED_COMMIT_BYTES_MAX) {
        return weir_fail(WEIR_FULL, "the commit holds %zu bytes and takes no more", embedded_commit_bytes(commit));
    }
    wire_record record = {.timestamp = row->timestamp_ms, .key = row->key, .value = row->value};
    if (!split_headers(row->headers, &record))
        return weir_fail(WEIR_INVALID, "committing to topic %s: headers without their count", topic);
    WEIR_TRY(choose_partition(commit, topic, row, &partition));
    commit_target *target = target_get(commit, topic, partition);
    if (target->building && wire_builder_bytes(&target->builder) + bytes > BUS_EMBEDDED_BATCH_BYTES) {
        WEIR_TRY(finish_batch(commit, target));
    }
    if (!target->building) {
        wire_builder_begin(&target->builder, &target->buffer);
        target->building = true;
        commit->open_bytes += wire_builder_bytes(&target->builder);
    }
    if (target->buffer.size + bytes > target->buffer.capacity && target->buffer.size >= WIDEN_BYTES)
        widen(commit, &target->buffer);
    const size_t before = wire_builder_bytes(&target->builder);
    record.offset_delta = wire_builder_count(&target->builder);
    wire_builder_add_record(&target->builder, &record);
    commit->open_bytes += wire_builder_bytes(&target->builder) - before;
    if (target->buffer.overflowed) return weir_fail(WEIR_NO_MEMORY, "committing to %s-%d: no memory", topic, partition);
    return weir_ok();
}

weir_status embedded_commit_offset(bus_commit *commit, const char *topic, int32_t partition, int64_t next_offset) {
    weir_assert(!commit->sent);
    for (size_t i = 0; i < commit->offset_count; i++) {
        if (commit->offsets[i].partition != partition || strcmp(commit->offsets[i].topic, topic) != 0) continue;
        commit->offsets[i].offset = next_offset;
        return weir_ok();
    }
    if (commit->offset_count == BUS_EMBEDDED_OFFSETS_MAX)
        return weir_fail(WEIR_FULL, "the commit holds %d offsets and takes no more", BUS_EMBEDDED_OFFSETS_MAX);
    if (commit->offset_count == commit->offset_capacity) {
        commit->offset_capacity = commit->offset_capacity ? commit->offset_capacity * 2 : 8;
        commit->offsets =
            weir_realloc(&commit->self->account, commit->offsets, sizeof(consumed) * commit->offset_capacity);
    }
    commit->offsets[commit->offset_count++] =
        (consumed){.topic = weir_strdup(&commit->self->account, topic), .partition = partition, .offset = next_offset};
    return weir_ok();
}

void embedded_commit_expect(bus_commit *commit, const char *topic, int32_t partition, int64_t end_offset) {
    commit_target *target = target_find(commit, topic, partition);
    weir_assert(target && !commit->sent);
    target->has_expected = true;
    target->expected_offset = end_offset;
}

size_t embedded_commit_bytes(const bus_commit *commit) {
    return commit->closed_bytes + commit->open_bytes;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static void keep_end_offsets(bus_commit *commit) {
    size_t at = 0;
    for (commit_target *target = commit->first; target; target = target->next) {
        for (size_t i = 0; i < target->batch_count; i++) target->end_offset = commit->atomic_batches[at++].end_offset;
    }
}

static void commit_finished(bus_commit *commit, weir_status status) {
    weir_error_set(&commit->error, status);
    embedded_post(commit->self, commit->lane, commit->done);
}

static void atomic_done(broker_atomic *atomic) { /* broker's lane */
    bus_commit *commit = io_owner(atomic, bus_commit, atomic);
    if (atomic->error != BROKER_NONE) {
        commit_finished(commit, broker_error_status(atomic->error, "committing %s%s", atomic->message,
                                                    atomic->batch_count ? "" : " offsets"));
        return;
    }
    keep_end_offsets(commit);
    commit_finished(commit, weir_ok());
}

static void send_run(io_job *job) { /* broker's lane */
    bus_commit *commit = io_owner(job, bus_commit, job);
    broker_append_atomic(commit->self->broker, &commit->atomic);
}

static weir_status prepare(bus_commit *commit) {
    weir_account *account = &commit->self->account;
    for (commit_target *target = commit->first; target; target = target->next) {
        if (target->building) WEIR_TRY(finish_batch(commit, target));
    }
    commit->atomic_batches = weir_alloc(account, sizeof(broker_atomic_batch) * (commit->batch_count + 1));
    commit->atomic_offsets = weir_alloc(account, sizeof(broker_atomic_offset) * (commit->offset_count + 1));
    size_t count = 0;
    for (commit_target *target = commit->first; target; target = target->next) {
        for (size_t i = 0; i < target->batch_count; i++) {
            commit->atomic_batches[count++] = (broker_atomic_batch){
                .target = {.topic = weir_bytes_text(target->topic), .partition = target->partition},
                .bytes = target->buffer.data + target->batches[i].start,
                .size = target->batches[i].size,
                .has_expected = i == 0 && target->has_expected,
                .expected_offset = target->expected_offset};
        }
    }
    for (size_t i = 0; i < commit->offset_count; i++) {
        const consumed *offset = &commit->offsets[i];
        commit->atomic_offsets[i] =
            (broker_atomic_offset){weir_bytes_text(offset->topic), offset->partition, offset->offset};
    }
    commit->atomic = (broker_atomic){.principal = commit->self->principal,
                                     .batches = commit->atomic_batches,
                                     .batch_count = count,
                                     .group = weir_bytes_text(commit->group),
                                     .offsets = commit->atomic_offsets,
                                     .offset_count = commit->offset_count,
                                     .done = atomic_done};
    return weir_ok();
}

void embedded_commit_send(bus_commit *commit, io_job *done) {
    weir_assert(!commit->sent);
    commit->sent = true;
    commit->done = done;
    const weir_status status = prepare(commit);
    if (weir_failed(status)) {
        commit_finished(commit, status);
        return;
    }
    io_job_init(&commit->job, send_run);
    embedded_post_broker(commit->self, &commit->job);
}

weir_status embedded_commit_result(bus_commit *commit) {
    return weir_error_status(&commit->error);
}

int64_t embedded_commit_end_offset(const bus_commit *commit, const char *topic, int32_t partition) {
    const commit_target *found = target_find(commit, topic, partition);
    return found ? found->end_offset : -1;
}

void embedded_commit_free(bus_commit *commit) {
    weir_account *account = &commit->self->account;
    while (commit->first) {
        commit_target *target = commit->first;
        commit->first = target->next;
        give_back(commit, &target->buffer);
        weir_free(account, target->batches);
        weir_free(account, target);
    }
    for (size_t i = 0; i < commit->offset_count; i++) weir_free(account, commit->offsets[i].topic);
    weir_map_deinit(&commit->targets);
    weir_free(account, commit->offsets);
    weir_free(account, commit->atomic_batches);
    weir_free(account, commit->atomic_offsets);
    weir_free(account, commit->group);
    weir_free(account, commit);
}
