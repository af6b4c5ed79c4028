/* Compaction (cleanup.policy=compact): of closed and synced segments only the last record of each key stays, as Apache
 * Kafka's cleaner has it. Offsets never change. One partition at a time, one segment a step.
 *
 *   compaction lane  the keys of the segments that are not compacted yet, each with its last offset, in bounded memory
 *   compaction lane  a segment again without what later records replace: `<base>.log.cleaned` and its indexes, synced
 *   owner lane       a checkpoint that says: this segment has so many bytes, or so many
 *   read lane        the files take the segment's names; reads before see the old one, reads that wait the new one
 *   owner lane       the next segment
 *
 * Every offset stays covered: batches without a record left become one empty batch, so that readers can rely on batches
 * following one another without a gap. A tombstone stays delete_retention_ms longer than its first compaction; its
 * batch carries the time when it may go (KIP-534). Segments with transactional or control batches are left alone, and
 * their records replace nothing. */
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/trace.h"
#include "log/log_int.h"

#include <inttypes.h>

enum {
    SLOTS_MIN = 1 << 10,
    SLOTS_MAX = 1 << 21, /* three quarters are used: 1.5 million keys in 48 MiB */
    RECORDS_BYTES_MAX = 64 << 20,
    WRITE_BYTES = 1 << 20,
    INDEX_BYTES_MAX = 64 << 20
};

typedef struct slot { /* a key, by so many bits that two keys never meet */
    uint64_t hash;
    uint32_t crc, size;
    int64_t next_offset; /* behind its last record; 0 = free */
} slot;

struct log_compaction {
    io_job job;
    log_store *store;
    log_partition *partition;
    log_trim trim;
    log_segment *segments;
    bool *skipped;
    size_t count, dirty, at; /* segments; the first one not compacted yet; the one at hand */
    int64_t wall_ms, delete_retention_ms;
    int64_t mapped_end;
    _Atomic bool cancelled;
    bool is_mapped, is_full, changed;
    slot *slots;
    size_t slot_count, used;
    wire_compressor *compressor;
    weir_buffer batch, scratch, packed, out, index, time_index;
    io_file *file; /* of the .cleaned */
    uint64_t written;
    int64_t gap_from, gap_end; /* offsets that nothing covers yet; from == end: none */
    int32_t gap_epoch;
    uint64_t unindexed;
    int64_t max_timestamp, indexed_timestamp, max_timestamp_offset;
    weir_error error;
};

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static slot *find_slot(slot *slots, size_t count, const slot *key) {
    size_t at = key->hash & (count - 1);
    while (slots[at].next_offset != 0 &&
           (slots[at].hash != key->hash || slots[at].crc != key->crc || slots[at].size != key->size))
        at = (at + 1) & (count - 1);
    return &slots[at];
}

static slot slot_of(weir_bytes key) {
    return (slot){.hash = weir_hash(key.data, key.size),
                  .crc = weir_crc32c(0, key.data, key.size),
                  .size = (uint32_t)key.size};
}

static bool make_room(log_compaction *work) {
    if (work->used < work->slot_count / 4 * 3) return true;
    if (work->slot_count == SLOTS_MAX) return false;
    const size_t count = work->slot_count ? 2 * work->slot_count : SLOTS_MIN;
    slot *slots = weir_alloc(&work->store->account, count * sizeof *slots);
    for (size_t i = 0; i < work->slot_count; i++)
        if (work->slots[i].next_offset != 0) *find_slot(slots, count, &work->slots[i]) = work->slots[i];
    weir_free(&work->store->account, work->slots);
    work->slots = slots;
    work->slot_count = count;
    return true;
}

static bool note_key(log_compaction *work, const wire_record *record) {
    if (!record->key.data) return true;
    if (!make_room(work)) return false;
    slot key = slot_of(record->key);
    slot *known = find_slot(work->slots, work->slot_count, &key);
    if (known->next_offset == 0) work->used++;
    if (record->offset + 1 <= known->next_offset) return true;
    key.next_offset = record->offset + 1;
    *known = key;
    return true;
}

static bool is_replaced(const log_compaction *work, const wire_record *record) {
    if (!record->key.data) return true; /* as Kafka: without a key it has no place in a compacted topic */
    if (work->slot_count == 0) return false;
    const slot key = slot_of(record->key);
    return find_slot(work->slots, work->slot_count, &key)->next_offset > record->offset + 1;
}

/* ---- walking a segment: the compaction lane ---------------------------------------------------------------------- */

typedef weir_status (*visit)(log_compaction *work, const wire_batch *batch);

static weir_status check_cancelled(const log_compaction *work) {
    return atomic_load(&work->cancelled) ? weir_fail(WEIR_CANCELLED, "the log is stopping") : weir_ok();
}

static weir_status read_batch(log_compaction *work, io_file *file, const log_scan *scan, const wire_batch *header,
                              wire_batch *batch) {
    size_t got;
    weir_buffer_clear(&work->batch);
    uint8_t *bytes = weir_buffer_reserve(&work->batch, header->size_bytes);
    if (!bytes) return weir_fail(WEIR_NO_MEMORY, "no memory for a batch of %zu bytes", header->size_bytes);
    WEIR_TRY(io_read_at(work->store->files, file, scan->position, bytes, header->size_bytes, &got));
    WEIR_TRY(wire_batch_parse(weir_bytes_of(bytes, got), batch));
    return wire_batch_check_crc(batch);
}

static weir_status walk(log_compaction *work, const log_segment *segment, bool with_bytes, visit visit_batch) {
    log_descriptor *descriptor;
    io_file *file;
    log_scan scan;
    wire_batch header, batch;
    bool found;
    WEIR_TRY(log_descriptor_take(work->partition, segment->base_offset, LOG_FILE_LOG, false, &descriptor, &file));
    weir_status status = log_scan_open(&scan, work->store, file, 0, segment->bytes);
    while (!weir_failed(status)) {
        status = check_cancelled(work);
        if (!weir_failed(status)) status = log_scan_header(&scan, &header, &found);
        if (weir_failed(status) || !found) break;
        if (with_bytes) status = read_batch(work, file, &scan, &header, &batch);
        if (!weir_failed(status)) status = visit_batch(work, with_bytes ? &batch : &header);
        log_scan_skip(&scan, &header);
    }
    log_scan_close(&scan);
    log_descriptor_give(work->partition, descriptor);
    return status;
}

static weir_status look_for_transactions(log_compaction *work, const wire_batch *batch) {
    if (wire_batch_is(batch, WIRE_BATCH_TRANSACTIONAL) || wire_batch_is(batch, WIRE_BATCH_CONTROL))
        work->skipped[work->at] = true;
    return weir_ok();
}

static weir_status map_batch(log_compaction *work, const wire_batch *batch) {
    wire_records records;
    wire_record record;
    WEIR_TRY(wire_records_open(&records, batch, work->compressor, &work->scratch, RECORDS_BYTES_MAX));
    while (!work->is_full && wire_records_next(&records, &record)) work->is_full = !note_key(work, &record);
    return work->is_full ? weir_ok() : wire_records_status(&records);
}

/* ---- a segment again --------------------------------------------------------------------------------------------- */

static weir_status write_out(log_compaction *work) {
    const weir_bytes part = weir_buffer_view(&work->out);
    if (work->out.overflowed) return weir_fail(WEIR_NO_MEMORY, "no memory to compact");
    if (part.size == 0) return weir_ok();
    WEIR_TRY(io_write_at(work->store->files, work->file, work->written, &part, 1));
    work->written += part.size;
    weir_buffer_clear(&work->out);
    return weir_ok();
}

/* A batch of `bytes` was put behind the others. */
static void index_batch(log_compaction *work, int64_t last_offset, int64_t max_timestamp, uint64_t position,
                        uint64_t bytes) {
    const int64_t base = work->segments[work->at].base_offset;
    uint8_t entry[12];
    if (max_timestamp > work->max_timestamp) {
        work->max_timestamp = max_timestamp;
        work->max_timestamp_offset = last_offset;
    }
    if (work->unindexed > LOG_INDEX_INTERVAL_BYTES) {
        weir_write_be32(entry, (uint32_t)(last_offset - base));
        weir_write_be32(entry + 4, (uint32_t)position);
        weir_buffer_append(&work->index, entry, 8);
        work->unindexed = 0;
    }
    if ((work->unindexed == 0 || bytes == 0) && work->max_timestamp > work->indexed_timestamp) {
        weir_write_be64(entry, (uint64_t)work->max_timestamp);
        weir_write_be32(entry + 8, (uint32_t)(work->max_timestamp_offset - base));
        weir_buffer_append(&work->time_index, entry, 12);
        work->indexed_timestamp = work->max_timestamp;
    }
    work->unindexed += bytes;
}

static weir_status close_gap(log_compaction *work) {
    if (work->gap_from == work->gap_end) return weir_ok();
    wire_builder builder;
    wire_batch_options options = wire_batch_options_default;
    options.base_offset = work->gap_from;
    options.last_offset_delta = (int32_t)(work->gap_end - work->gap_from - 1);
    options.partition_leader_epoch = work->gap_epoch;
    const size_t before = work->out.size;
    wire_builder_begin(&builder, &work->out);
    WEIR_TRY(wire_builder_finish(&builder, &options, NULL, NULL));
    index_batch(work, work->gap_end - 1, -1, work->written + before, work->out.size - before);
    work->gap_from = work->gap_end;
    return weir_ok();
}

static void put_gap(log_compaction *work, const wire_batch *batch) {
    if (work->gap_from == work->gap_end) {
        work->gap_from = batch->base_offset;
        work->gap_epoch = batch->partition_leader_epoch;
    }
    work->gap_end = wire_batch_next_offset(batch);
}

static weir_status put_batch(log_compaction *work, const wire_batch *batch, weir_bytes bytes, int64_t max_timestamp) {
    WEIR_TRY(close_gap(work));
    const uint64_t position = work->written + work->out.size;
    if (position + bytes.size > INT32_MAX) return weir_fail(WEIR_FULL, "the segment would grow");
    weir_buffer_append(&work->out, bytes.data, bytes.size);
    index_batch(work, wire_batch_last_offset(batch), max_timestamp, position, bytes.size);
    return work->out.size < WRITE_BYTES ? weir_ok() : write_out(work);
}

typedef struct verdict {
    int32_t kept, tombstones, records;
} verdict;

/* Which records stay; with a builder they are added to it. */
static weir_status sift(log_compaction *work, const wire_batch *batch, wire_builder *builder, verdict *found) {
    wire_records records;
    wire_record record;
    const bool may_go =
        wire_batch_is(batch, WIRE_BATCH_DELETE_HORIZON) && batch->base_timestamp <= work->wall_ms;
    *found = (verdict){0};
    WEIR_TRY(wire_records_open(&records, batch, work->compressor, &work->scratch, RECORDS_BYTES_MAX));
    while (wire_records_next(&records, &record)) {
        found->records++;
        if (is_replaced(work, &record) || (!record.value.data && may_go)) continue;
        found->kept++;
        found->tombstones += !record.value.data;
        if (builder) wire_builder_add_record(builder, &record);
    }
    return wire_records_status(&records);
}

/* delete.retention.ms may be as good as for ever. */
static int64_t horizon_of(const log_compaction *work) {
    const int64_t most = INT64_MAX / 2;
    return work->delete_retention_ms < most - work->wall_ms ? work->wall_ms + work->delete_retention_ms : most;
}

static weir_status rebuild(log_compaction *work, const wire_batch *batch, bool has_tombstones) {
    wire_builder builder;
    verdict found;
    wire_batch made;
    const bool had_horizon = wire_batch_is(batch, WIRE_BATCH_DELETE_HORIZON);
    wire_batch_options options = {.base_offset = batch->base_offset,
                                  .producer_id = batch->producer_id,
                                  .base_sequence = batch->base_sequence,
                                  .partition_leader_epoch = batch->partition_leader_epoch,
                                  .last_offset_delta = batch->last_offset_delta,
                                  .producer_epoch = batch->producer_epoch,
                                  .attributes = batch->attributes & WIRE_BATCH_LOG_APPEND_TIME,
                                  .codec = batch->codec,
                                  .level = WIRE_LEVEL_DEFAULT,
                                  .append_time_ms = batch->max_timestamp};
    weir_buffer_clear(&work->packed);
    if (has_tombstones) {
        options.attributes |= WIRE_BATCH_DELETE_HORIZON;
        wire_builder_begin_at(&builder, &work->packed,
                              had_horizon ? batch->base_timestamp : horizon_of(work));
    } else {
        wire_builder_begin(&builder, &work->packed);
    }
    const weir_status status = sift(work, batch, &builder, &found);
    if (weir_failed(status)) {
        wire_builder_abandon(&builder);
        return status;
    }
    weir_buffer scratch;
    weir_buffer_init(&scratch, &work->store->account, RECORDS_BYTES_MAX + RECORDS_BYTES_MAX / 5);
    const weir_status finished = wire_builder_finish(&builder, &options, work->compressor, &scratch);
    weir_buffer_deinit(&scratch);
    WEIR_TRY(finished);
    WEIR_TRY(wire_batch_parse(weir_buffer_view(&work->packed), &made));
    return put_batch(work, &made, weir_buffer_view(&work->packed), made.max_timestamp);
}

static weir_status rewrite_batch(log_compaction *work, const wire_batch *batch) {
    verdict found;
    WEIR_TRY(sift(work, batch, NULL, &found));
    if (found.kept == 0) { /* two empty ones side by side become one */
        work->changed |= found.records > 0 || work->gap_from != work->gap_end;
        put_gap(work, batch);
        return weir_ok();
    }
    const bool wants_horizon = found.tombstones > 0 && !wire_batch_is(batch, WIRE_BATCH_DELETE_HORIZON);
    if (found.kept == found.records && !wants_horizon)
        return put_batch(work, batch, batch->bytes, batch->max_timestamp);
    work->changed = true;
    return rebuild(work, batch, found.tombstones > 0);
}

static weir_status cleaned_path(const log_compaction *work, log_file_kind kind, char path[LOG_PATH_MAX]) {
    WEIR_TRY(log_segment_path(work->partition, work->segments[work->at].base_offset, kind, path));
    if (strlen(path) + sizeof ".cleaned" > LOG_PATH_MAX) return weir_fail(WEIR_INVALID, "%s: too long", path);
    memcpy(path + strlen(path), ".cleaned", sizeof ".cleaned");
    return weir_ok();
}

static weir_status write_file(log_compaction *work, log_file_kind kind, weir_bytes bytes) {
    char path[LOG_PATH_MAX];
    io_file *file;
    WEIR_TRY(cleaned_path(work, kind, path));
    WEIR_TRY(io_open(work->store->files, path, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_TRUNCATE, &file));
    weir_status status = bytes.size ? io_write_at(work->store->files, file, 0, &bytes, 1) : weir_ok();
    if (!weir_failed(status)) status = io_sync(work->store->files, file);
    io_close(work->store->files, file);
    return status;
}

static weir_status finish_file(log_compaction *work) {
    WEIR_TRY(close_gap(work));
    index_batch(work, -1, -1, 0, 0); /* a closed segment's last time entry */
    WEIR_TRY(write_out(work));
    if (work->index.overflowed || work->time_index.overflowed) return weir_fail(WEIR_NO_MEMORY, "no memory to index");
    WEIR_TRY(io_sync(work->store->files, work->file));
    WEIR_TRY(write_file(work, LOG_FILE_INDEX, weir_buffer_view(&work->index)));
    return write_file(work, LOG_FILE_TIME, weir_buffer_view(&work->time_index));
}

static void remove_cleaned(log_compaction *work) {
    char path[LOG_PATH_MAX];
    for (int kind = 0; kind < LOG_FILE_KINDS; kind++) {
        const weir_status status = cleaned_path(work, (log_file_kind)kind, path);
        const weir_status removed = weir_failed(status) ? status : io_remove(work->store->files, path);
        if (weir_failed(removed) && removed.code != WEIR_NOT_FOUND)
            weir_trace(WEIR_WARN, "log", "a file stays until the next start: %s", removed.text);
    }
}

static weir_status rewrite(log_compaction *work) {
    char path[LOG_PATH_MAX];
    work->written = work->unindexed = 0;
    work->changed = false;
    work->gap_from = work->gap_end = 0;
    work->max_timestamp = work->indexed_timestamp = work->max_timestamp_offset = -1;
    weir_buffer_clear(&work->out);
    weir_buffer_clear(&work->index);
    weir_buffer_clear(&work->time_index);
    WEIR_TRY(cleaned_path(work, LOG_FILE_LOG, path));
    WEIR_TRY(io_open(work->store->files, path, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_TRUNCATE, &work->file));
    weir_status status = walk(work, &work->segments[work->at], true, rewrite_batch);
    if (!weir_failed(status) && work->changed) status = finish_file(work);
    io_close(work->store->files, work->file);
    if (weir_failed(status) || !work->changed) remove_cleaned(work);
    return status;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static void run_step(io_job *job);
static void run_rewritten(io_job *job);

static void post_owner(log_compaction *work, void (*run)(io_job *job)) {
    work->job.run = run;
    log_post(work->store, work->store->lane, &work->job);
}

static void post_step(log_compaction *work) {
    work->job.run = run_step;
    log_post(work->store, work->store->compaction_lane, &work->job);
}

static void release(log_compaction *work) {
    weir_account *account = &work->store->account;
    wire_compressor_destroy(work->compressor);
    weir_buffer_deinit(&work->batch);
    weir_buffer_deinit(&work->scratch);
    weir_buffer_deinit(&work->packed);
    weir_buffer_deinit(&work->out);
    weir_buffer_deinit(&work->index);
    weir_buffer_deinit(&work->time_index);
    weir_free(account, work->slots);
    weir_free(account, work->segments);
    weir_free(account, work->skipped);
    work->store->compaction = NULL;
    weir_free(account, work);
}

/* The keys of one more segment; a segment that does not fit whole waits for the next compaction. */
static weir_status map_step(log_compaction *work) {
    WEIR_TRY(walk(work, &work->segments[work->at], false, look_for_transactions));
    const bool is_dirty = work->at >= work->dirty;
    if (is_dirty && !work->skipped[work->at]) WEIR_TRY(walk(work, &work->segments[work->at], true, map_batch));
    if (work->is_full && work->at == work->dirty)
        return weir_fail(WEIR_FULL, "the keys of one segment do not fit into the memory for compaction");
    if (!work->is_full) work->at++;
    if (!work->is_full && work->at < work->count) return weir_ok();
    work->count = work->at;
    work->is_mapped = true;
    work->at = 0;
    return weir_ok();
}

static void run_step(io_job *job) {
    log_compaction *work = io_owner(job, log_compaction, job);
    weir_status status = weir_ok();
    work->changed = false;
    if (!work->is_mapped) {
        status = map_step(work);
    } else if (work->at < work->count) {
        if (!work->skipped[work->at]) status = rewrite(work);
        if (!weir_failed(status) && !work->changed) work->at++;
    }
    weir_error_set(&work->error, status);
    if (!weir_failed(status) && !work->changed && (!work->is_mapped || work->at < work->count)) post_step(work);
    else post_owner(work, run_rewritten);
}

static void finish(log_compaction *work, weir_status status) {
    log_partition *partition = work->partition;
    log_store *store = work->store;
    partition->swap.base = -1;
    if (!weir_failed(status)) {
        partition->clean_end = work->mapped_end;
    } else if (status.code != WEIR_CANCELLED && status.code != WEIR_NOT_FOUND) {
        partition->compaction_failed = true;
        weir_trace(WEIR_WARN, "log", "%s is not compacted until the next start: %s", partition->folder, status.text);
    }
    store->background--;
    release(work);
    log_retention_want(partition);
    log_partition_release(partition);
    log_store_check_stopped(store);
}

static log_segment *segment_at_hand(log_compaction *work) {
    log_partition *partition = work->partition;
    const log_segment *wanted = &work->segments[work->at];
    for (size_t i = 0; i + 1 < partition->segment_count; i++)
        if (partition->segments[i].base_offset == wanted->base_offset) return &partition->segments[i];
    return NULL;
}

/* The partition may be gone, or retention may have taken the segment. */
static weir_status check_alive(log_compaction *work) {
    WEIR_TRY(check_cancelled(work));
    WEIR_TRY(log_partition_usable(work->partition));
    return segment_at_hand(work) ? weir_ok() : weir_fail(WEIR_NOT_FOUND, "the segment is gone");
}

static void run_swapped(io_job *job) {
    log_compaction *work = io_owner(job, log_compaction, job);
    log_partition *partition = work->partition;
    const weir_status status = weir_error_status(&work->error);
    log_segment *segment = segment_at_hand(work);
    partition->swapping = false;
    partition->swap.base = -1;
    if (weir_failed(status)) {
        if (!partition->deleted) log_partition_set_offline(partition, status); /* which file is there is not known */
    } else if (segment) {
        partition->size_bytes -= segment->bytes - work->written;
        segment->bytes = work->written;
    }
    log_reader_start_blocked(partition);
    if (weir_failed(status)) {
        finish(work, status);
        return;
    }
    work->at++;
    post_step(work);
}

static weir_status swap_files(log_compaction *work) {
    char from[LOG_PATH_MAX], to[LOG_PATH_MAX];
    log_partition *partition = work->partition;
    io_files *files = work->store->files;
    const int64_t base = work->segments[work->at].base_offset;
    log_descriptors_forget_segment(partition, base);
    for (int kind = 0; kind < LOG_FILE_KINDS; kind++) {
        WEIR_TRY(cleaned_path(work, (log_file_kind)kind, from));
        WEIR_TRY(log_segment_path(partition, base, (log_file_kind)kind, to));
        WEIR_TRY(io_rename(files, from, to));
    }
    WEIR_TRY(log_path(work->store, to, "%s", partition->folder));
    return io_sync_directory(files, to);
}

static void run_swap(io_job *job) { /* read lane */
    log_compaction *work = io_owner(job, log_compaction, job);
    weir_error_set(&work->error, swap_files(work));
    post_owner(work, run_swapped);
}

static void checkpointed(log_trim *trim, weir_status status) {
    log_compaction *work = io_owner(trim, log_compaction, trim);
    if (!weir_failed(status)) status = check_alive(work);
    if (weir_failed(status)) {
        finish(work, status);
        return;
    }
    work->partition->swapping = true;
    work->job.run = run_swap;
    log_post(work->store, work->store->read_lane, &work->job);
}

static void run_rewritten(io_job *job) {
    log_compaction *work = io_owner(job, log_compaction, job);
    log_partition *partition = work->partition;
    weir_status status = weir_error_status(&work->error);
    const bool is_done = !weir_failed(status) && !work->changed;
    if (is_done) {
        const size_t last = work->count - 1;
        work->mapped_end = work->segments[last].base_offset + 1;
        finish(work, status);
        return;
    }
    if (!weir_failed(status)) status = check_alive(work);
    if (weir_failed(status)) {
        finish(work, status);
        return;
    }
    partition->swap = (log_swap){work->segments[work->at].base_offset, work->segments[work->at].bytes, work->written};
    work->trim =
        (log_trim){.partition = partition, .offset = partition->start_offset, .always = true, .done = checkpointed};
    log_set_start_offset(&work->trim);
}

/* ---- beginning --------------------------------------------------------------------------------------------------- */

static void init_buffers(log_compaction *work) {
    weir_account *account = &work->store->account;
    weir_buffer_init(&work->batch, account, LOG_BATCH_BYTES_MAX);
    weir_buffer_init(&work->scratch, account, RECORDS_BYTES_MAX);
    weir_buffer_init(&work->packed, account, RECORDS_BYTES_MAX);
    weir_buffer_init(&work->out, account, (size_t)WRITE_BYTES + RECORDS_BYTES_MAX);
    weir_buffer_init(&work->index, account, INDEX_BYTES_MAX);
    weir_buffer_init(&work->time_index, account, INDEX_BYTES_MAX);
    work->compressor = wire_compressor_create(account);
}

bool log_compaction_start(log_partition *partition, int64_t wall_ms, int64_t *due_ms) {
    log_store *store = partition->store;
    uint64_t bytes = 0, dirty_bytes = 0;
    size_t count = 0, dirty = 0;
    if (partition->compaction_failed || !partition->flushed.present) return false;
    for (; count + 1 < partition->segment_count; count++) {
        log_segment *segment = &partition->segments[count];
        if (partition->segments[count + 1].base_offset > partition->flushed.segment_base) break;
        if (partition->compaction_lag_ms > 0) {
            const int64_t age_ms = segment->max_timestamp < wall_ms ? wall_ms - segment->max_timestamp : 0;
            if (age_ms < partition->compaction_lag_ms) {
                *due_ms = partition->compaction_lag_ms - age_ms;
                break;
            }
        }
        bytes += segment->bytes;
        if (segment->base_offset >= partition->clean_end) dirty_bytes += segment->bytes;
        else dirty++;
    }
    if (dirty_bytes == 0 || (double)dirty_bytes < partition->dirty_ratio * (double)bytes) return false;
    if (store->compaction) {
        *due_ms = 1000; /* one partition at a time */
        return false;
    }
    log_compaction *work = weir_alloc(&store->account, sizeof *work);
    *work = (log_compaction){.store = store, .partition = partition, .count = count, .dirty = dirty,
                             .wall_ms = wall_ms, .delete_retention_ms = partition->delete_retention_ms};
    work->segments = weir_alloc(&store->account, count * sizeof *work->segments);
    work->skipped = weir_alloc(&store->account, count * sizeof *work->skipped);
    memcpy(work->segments, partition->segments, count * sizeof *work->segments);
    init_buffers(work);
    store->compaction = work;
    store->background++;
    log_partition_retain(partition);
    io_job_init(&work->job, run_step);
    post_step(work);
    return true;
}

void log_compaction_cancel(log_store *store) {
    if (store->compaction) atomic_store(&store->compaction->cancelled, true);
}

/* The store ends as a crash would end it. */
void log_compaction_drop(log_store *store) {
    if (!store->compaction) return;
    log_partition *partition = store->compaction->partition;
    release(store->compaction);
    log_partition_release(partition);
}
