/* The flusher: syncs segments, writes the checkpoint, gives journal files back. It runs when a journal file is full and
 * at the final stop, never by the clock: until then the journal alone carries what was acknowledged.
 *
 *   owner lane   collect: what every dirty partition has in its segments now
 *   flush lanes  sync those segments, indexes and folders, side by side
 *   owner lane   apply: the marks move on; a partition whose sync failed goes offline; encode the checkpoint
 *   flush lane   write the checkpoint
 *   owner lane   release journal files */
#include "base/trace.h"
#include "log/log_int.h"

/* ---- collect ----------------------------------------------------------------------------------------------------- */

static bool is_due(const log_store *store, const log_partition *partition) {
    return partition->claimed && !partition->deleted && !partition->offline && !partition->gap &&
           partition->unflushed_sequence <= store->stored_sequence;
}

static void collect_one(log_partition *partition, log_flush_item *item) {
    log_store *store = partition->store;
    const log_mark *old = &partition->flushed;
    const log_segment *last = &partition->segments[partition->segment_count - 1];
    const bool same = old->present && old->segment_base == last->base_offset;
    *item = (log_flush_item){.partition = partition, .is_new = !old->present};
    item->mark = (log_mark){.present = true,
                            .end_offset = partition->stored_end,
                            .segment_base = last->base_offset,
                            .position = last->bytes,
                            .first_base = partition->segments[0].base_offset,
                            .first_max_timestamp = partition->segments[0].max_timestamp,
                            .index_count = same ? old->index_count : 0,
                            .time_count = same ? old->time_count : 0};
    item->bases = weir_alloc(&store->account, partition->segment_count * sizeof *item->bases);
    for (size_t i = 0; i < partition->segment_count; i++) {
        const log_segment *segment = &partition->segments[i];
        if (segment != last) item->mark.older_bytes += segment->bytes;
        if (old->present && segment->base_offset < old->segment_base) continue;
        item->bases[item->base_count++] = segment->base_offset;
        if (!old->present || segment->base_offset > old->segment_base) item->sync_folder = true;
    }
    const uint64_t unsynced = partition->index_count - item->mark.index_count;
    if (unsynced * LOG_INDEX_INTERVAL_BYTES >= LOG_INDEX_SYNC_BYTES) {
        item->mark.index_count = partition->index_count;
        item->mark.time_count = partition->time_count;
        item->sync_index = item->sync_folder = true;
    }
    log_partition_retain(partition);
}

static log_flush *collect(log_store *store) {
    log_flush *flush = weir_alloc(&store->account, sizeof *flush);
    size_t count = 0;
    for (log_partition *partition = store->dirty_first; partition; partition = partition->dirty_next) count++;
    flush->items = weir_alloc(&store->account, (count + 1) * sizeof *flush->items);
    for (log_partition *partition = store->dirty_first; partition; partition = partition->dirty_next)
        if (is_due(store, partition) && partition->segment_count > 0)
            collect_one(partition, &flush->items[flush->count++]);
    log_trims_collect(store);
    flush->sequence = store->stored_sequence;
    flush->generation = store->stored_generation;
    flush->position = store->stored_position;
    weir_buffer_init(&flush->checkpoint, &store->account, SIZE_MAX / 2);
    return flush;
}

/* ---- sync -------------------------------------------------------------------------------------------------------- */

static weir_status sync_one(log_partition *partition, int64_t base, log_file_kind kind) {
    log_descriptor *descriptor;
    io_file *file;
    const weir_status taken = log_descriptor_take(partition, base, kind, false, &descriptor, &file);
    if (taken.code == WEIR_NOT_FOUND && kind != LOG_FILE_LOG) return weir_ok(); /* too short for an entry */
    WEIR_TRY(taken);
    const weir_status status = io_sync(partition->store->files, file);
    log_descriptor_give(partition, descriptor);
    return status;
}

static weir_status sync_item(const log_flush_item *item) {
    log_partition *partition = item->partition;
    for (size_t i = 0; i < item->base_count; i++) {
        WEIR_TRY(sync_one(partition, item->bases[i], LOG_FILE_LOG));
        if (i + 1 == item->base_count && !item->sync_index) continue;
        WEIR_TRY(sync_one(partition, item->bases[i], LOG_FILE_INDEX));
        WEIR_TRY(sync_one(partition, item->bases[i], LOG_FILE_TIME));
    }
    if (!item->sync_folder) return weir_ok();
    char path[LOG_PATH_MAX];
    WEIR_TRY(log_path(partition->store, path, "%s", partition->folder));
    return io_sync_directory(partition->store->files, path);
}

static void sync_items(log_store *store, log_flush *flush, size_t first, size_t step) {
    for (size_t i = first; i < flush->count; i += step) {
        log_flush_item *item = &flush->items[i];
        const weir_status status = sync_item(item);
        if (!weir_failed(status)) continue;
        item->failed = true;
        item->error = weir_alloc(&store->account, sizeof *item->error);
        weir_error_set(item->error, status);
    }
}

/* After all items: the names of folders that are new. */
static void sync_root(log_store *store, log_flush *flush) {
    bool any_new = false;
    for (size_t i = 0; i < flush->count; i++) any_new |= flush->items[i].is_new;
    weir_error_set(&flush->error, any_new ? io_sync_directory(store->files, store->directory) : weir_ok());
}

/* ---- apply ------------------------------------------------------------------------------------------------------- */

static const log_journal_file *file_of(const log_store *store, uint64_t generation) {
    for (const log_journal_file *file = store->journal_files; file; file = file->next)
        if (file->generation == generation && file->state != LOG_JOURNAL_FREE) return file;
    return NULL;
}

static void apply(log_store *store, log_flush *flush) {
    for (size_t i = 0; i < flush->count; i++) {
        const log_flush_item *item = &flush->items[i];
        log_partition *partition = item->partition;
        if (partition->deleted) continue;
        if (item->failed) {
            log_partition_set_offline(partition, weir_error_status(item->error));
            continue;
        }
        partition->flushed = item->mark;
        log_partition_mark_clean(partition);
        if (partition->compacted && item->base_count > 1) log_retention_want(partition);
        if (partition->end_offset > item->mark.end_offset) log_partition_mark_dirty(partition, flush->sequence + 1);
    }
    const uint64_t replay_from = log_journal_replay_from(store, flush->sequence);
    /* The frame after the last flushed one begins in the same file, unless that file is full and about to be reused. */
    const log_journal_file *file = replay_from == flush->sequence + 1 ? file_of(store, flush->generation) : NULL;
    if (file && file != store->current && file->last_sequence <= flush->sequence) file = NULL;
    flush->sequence = replay_from;
    flush->generation = file ? flush->generation : 0;
    flush->position = file ? flush->position : 0;
    log_checkpoint_encode(store, flush->sequence, flush->generation, flush->position, &flush->checkpoint);
}

static void finish(log_store *store, log_flush *flush) {
    store->replay_from = flush->sequence;
    store->replay_generation = flush->generation;
    store->replay_position = flush->position;
    log_journal_release(store, flush->sequence);
}

static void free_flush(log_store *store, log_flush *flush) {
    for (size_t i = 0; i < flush->count; i++) {
        weir_free(&store->account, flush->items[i].bases);
        weir_free(&store->account, flush->items[i].error);
        log_partition_release(flush->items[i].partition);
    }
    weir_buffer_deinit(&flush->checkpoint);
    weir_free(&store->account, flush->items);
    weir_free(&store->account, flush);
}

/* ---- as jobs ----------------------------------------------------------------------------------------------------- */

static void run_part(io_job *job) {
    log_flush_part *part = io_owner(job, log_flush_part, job);
    log_store *store = part->store;
    sync_items(store, store->flush, part->first, LOG_FLUSH_LANES);
    if (atomic_fetch_sub_explicit(&store->flush->parts, 1, memory_order_acq_rel) > 1) return;
    sync_root(store, store->flush);
    log_post(store, store->lane, &store->flush_synced_job);
}

static void end_flush(log_store *store, weir_status status) {
    if (weir_failed(status) && status.code == WEIR_DISK_FULL) log_store_disk_full(store, status);
    else if (weir_failed(status)) log_store_fail(store, status);
    else finish(store, store->flush);
    log_trims_end(store, status);
    free_flush(store, store->flush);
    store->flush = NULL;
    store->flushing = false;
    log_rounds_give_up(store);
    log_store_kick(store);
    log_store_check_stopped(store);
}

static void run_synced(io_job *job) {
    log_store *store = io_owner(job, log_store, flush_synced_job);
    const weir_status status = weir_error_status(&store->flush->error);
    if (weir_failed(status)) {
        end_flush(store, status);
        return;
    }
    apply(store, store->flush);
    log_post(store, store->flush_lane, &store->flush_write_job);
}

static void run_write(io_job *job) {
    log_store *store = io_owner(job, log_store, flush_write_job);
    weir_error_set(&store->flush->error, log_checkpoint_write(store, weir_buffer_view(&store->flush->checkpoint)));
    log_post(store, store->lane, &store->flush_written_job);
}

static void run_written(io_job *job) {
    log_store *store = io_owner(job, log_store, flush_written_job);
    end_flush(store, weir_error_status(&store->flush->error));
}

/* Everything in the full journal files has to be in segments first, and every partition with a replay verified. */
static bool is_ready(log_store *store) {
    for (const log_journal_file *file = store->journal_files; file; file = file->next)
        if (file->state == LOG_JOURNAL_FULL && file->last_sequence > store->stored_sequence) return false;
    bool ready = true;
    for (log_partition *partition = store->dirty_first; partition; partition = partition->dirty_next) {
        if (!is_due(store, partition) || partition->ready) continue;
        log_partition_prepare(partition);
        ready = false;
    }
    return ready;
}

void log_flush_kick(log_store *store) {
    if (store->failed || store->disk_full) log_trims_fail(store, weir_error_status(&store->why));
    else if (store->stopping) log_trims_fail(store, weir_fail(WEIR_CANCELLED, "the log is stopping"));
    if (log_trims_due(store)) store->flush_wanted = true;
    if (!store->flush_wanted || store->flushing || store->failed || store->disk_full) return;
    if (store->stopping && !store->sync_next) return; /* log_close() does the rest */
    if (!is_ready(store)) return;
    store->flush_wanted = false;
    store->flushing = true;
    store->flush = collect(store);
    atomic_store_explicit(&store->flush->parts, LOG_FLUSH_LANES, memory_order_relaxed);
    for (size_t i = 0; i < LOG_FLUSH_LANES; i++)
        log_post(store, store->flush_parts[i].lane, &store->flush_parts[i].job);
}

void log_flush_init(log_store *store) {
    for (size_t i = 0; i < LOG_FLUSH_LANES; i++) {
        store->flush_parts[i] = (log_flush_part){.store = store, .first = i};
        io_job_init(&store->flush_parts[i].job, run_part);
    }
    io_job_init(&store->flush_synced_job, run_synced);
    io_job_init(&store->flush_write_job, run_write);
    io_job_init(&store->flush_written_job, run_written);
}

void log_flush_drop(log_store *store) {
    log_trims_drop(store);
    if (store->flush) free_flush(store, store->flush);
    store->flush = NULL;
}

/* Final stop, on the calling thread. */
weir_status log_flush_all(log_store *store) {
    for (log_partition *partition = store->dirty_first, *next; partition; partition = next) {
        next = partition->dirty_next;
        if (!is_due(store, partition) || partition->ready) continue;
        WEIR_TRY(log_writer_prepare(partition));
        log_partition_install(partition);
    }
    if (store->replay_from == store->next_sequence && !store->dirty_first) return weir_ok();
    log_flush *flush = collect(store);
    sync_items(store, flush, 0, 1);
    sync_root(store, flush);
    weir_status status = weir_error_status(&flush->error);
    if (!weir_failed(status)) {
        apply(store, flush);
        status = log_checkpoint_write(store, weir_buffer_view(&flush->checkpoint));
    }
    if (!weir_failed(status)) finish(store, flush);
    free_flush(store, flush);
    return status;
}
