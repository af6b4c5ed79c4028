/* Making a partition's folder true before its first use, on the store lane.
 *
 * The checkpoint promises a prefix: segments up to a position that was synced. Whatever lies behind it was written
 * without a sync and may be there, torn, or missing; but all of it is in the journal, whose groups are whole. So the
 * segments are cut back to the promise, unread, and the journal's batches are appended again. What is read is the part
 * of the last segment that no synced index covers, at most LOG_INDEX_SYNC_BYTES, to make its index entries again.
 *
 * A partition that the checkpoint does not know has nothing: files in its folder are a deleted namesake's. */
#include "log/log_int.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct folder {
    log_partition *partition;
    int64_t *bases; /* of .log files, ascending */
    size_t count, capacity;
} folder;

static bool parse_name(const char *name, int64_t *base, const char **ending) {
    for (int i = 0; i < 20; i++)
        if (name[i] < '0' || name[i] > '9') return false;
    *ending = name + 20;
    *base = 0;
    for (int i = 0; i < 20; i++) {
        if (*base > (INT64_MAX - 9) / 10) return false;
        *base = *base * 10 + (name[i] - '0');
    }
    return !strcmp(*ending, ".log") || !strcmp(*ending, ".index") || !strcmp(*ending, ".timeindex");
}

#ifdef LOG_MUTANT_NO_TRUNCATE
enum { MAY_CUT = false };
#else
enum { MAY_CUT = true };
#endif

/* Notes a file that the promise covers, removes one that lies behind it, or before it: retention did not finish. */
static weir_status sort_file(folder *found, const char *name) {
    log_partition *partition = found->partition;
    const log_mark *mark = &partition->flushed;
    int64_t base;
    const char *ending;
    const char *dot = strrchr(name, '.');
    const bool is_unfinished = dot && strcmp(dot, ".cleaned") == 0; /* a compaction's, which begins again */
    if (!is_unfinished && !parse_name(name, &base, &ending)) return weir_ok();
    if (!is_unfinished && mark->present && base >= mark->first_base && base <= mark->segment_base) {
        if (strcmp(ending, ".log") != 0) return weir_ok();
        found->bases = log_grow(partition->store, found->bases, &found->capacity, found->count, sizeof *found->bases);
        found->bases[found->count++] = base;
        return weir_ok();
    }
    if (!MAY_CUT) return weir_ok();
    char path[LOG_PATH_MAX];
    WEIR_TRY(log_path(partition->store, path, "%s/%s", partition->folder, name));
    return io_remove(partition->store->files, path);
}

static weir_status sort_files(folder *found, bool *exists) {
    log_partition *partition = found->partition;
    weir_buffer names;
    weir_buffer_init(&names, &partition->store->account, SIZE_MAX / 2);
    weir_status status = log_folder_list(partition->store, partition->folder, &names);
    *exists = status.code != WEIR_NOT_FOUND;
    if (!*exists) status = weir_ok();
    for (size_t at = 0; at < names.size && !weir_failed(status); at += strlen((char *)names.data + at) + 1)
        status = sort_file(found, (char *)names.data + at);
    weir_buffer_deinit(&names);
    return status;
}

static int compare_bases(const void *a, const void *b) {
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* The segments before the last one were synced whole: their sizes must add up to what the checkpoint says. */
static weir_status note_older(log_partition *partition, const folder *found, log_prepared *prepared, size_t *capacity) {
    const log_mark *mark = &partition->flushed;
    uint64_t sum = 0;
    for (size_t i = 0; i < found->count; i++) {
        if (found->bases[i] == mark->segment_base) continue;
        char path[LOG_PATH_MAX];
        io_file_info info;
        WEIR_TRY(log_segment_path(partition, found->bases[i], LOG_FILE_LOG, path));
        WEIR_TRY(io_path_info(partition->store->files, path, &info));
        log_segment segment = {found->bases[i], info.size, log_time_index_last(partition, found->bases[i])};
        if (segment.max_timestamp < 0) segment.max_timestamp = info.modified_ms; /* as Kafka */
        log_segments_note(partition->store, &prepared->segments, &prepared->count, capacity, &segment);
        const bool is_swapped = found->bases[i] == partition->swap.base && info.size == partition->swap.new_bytes;
        if (is_swapped) { /* a killed process leaves a rename that a power cut could still take back */
            WEIR_TRY(log_path(partition->store, path, "%s", partition->folder));
            WEIR_TRY(io_sync_directory(partition->store->files, path));
        }
        sum += is_swapped ? partition->swap.old_bytes : info.size;
    }
    if (sum == mark->older_bytes) return weir_ok();
    return weir_fail(WEIR_CORRUPT, "%s: segments of %" PRIu64 " bytes, the checkpoint promises %" PRIu64
                     "; restore the folder from a copy or delete the topic",
                     partition->folder, sum, mark->older_bytes);
}

static weir_status cut_last(log_partition *partition) {
    const log_mark *mark = &partition->flushed;
    io_files *files = partition->store->files;
    log_descriptor *descriptor;
    io_file *file;
    io_file_info info = {.size = 0};
    weir_status status = log_descriptor_take(partition, mark->segment_base, LOG_FILE_LOG, false, &descriptor, &file);
    if (!weir_failed(status)) {
        status = io_file_info_of(files, file, &info);
        /* Also when it seems to have that size: after a failed sync the size that is cached need not be the disk's. */
        if (!weir_failed(status) && info.size >= mark->position && MAY_CUT)
            status = io_truncate(files, file, mark->position);
        log_descriptor_give(partition, descriptor);
    }
    if (weir_failed(status) && status.code != WEIR_NOT_FOUND) return status;
    if (weir_failed(status) || info.size < mark->position)
        return weir_fail(WEIR_CORRUPT, "%s: segment %" PRId64 " has %" PRIu64 " bytes, the checkpoint promises %" PRIu64
                         "; restore the folder from a copy or delete the topic",
                         partition->folder, mark->segment_base, info.size, mark->position);
    return weir_ok();
}

/* Makes the index entries again that no sync covers. */
static weir_status scan_rest(log_partition *partition, io_file *file) {
    const log_mark *mark = &partition->flushed;
    log_writer *writer = &partition->writer;
    log_scan scan;
    WEIR_TRY(log_scan_open(&scan, partition->store, file, writer->position, mark->position));
    weir_status status;
    wire_batch batch;
    bool found;
    while (!weir_failed(status = log_scan_header(&scan, &batch, &found)) && found) {
        log_scan_skip(&scan, &batch);
        log_writer_pass(partition, wire_batch_last_offset(&batch), batch.max_timestamp, batch.size_bytes);
    }
    log_scan_close(&scan);
    WEIR_TRY(weir_context(status, "verifying %s segment %" PRId64, partition->folder, mark->segment_base));
    if (writer->position == mark->position && writer->end_offset == mark->end_offset) return weir_ok();
    return weir_fail(WEIR_CORRUPT,
                     "%s: segment %" PRId64 " ends at offset %" PRId64 ", the checkpoint promises %" PRId64,
                     partition->folder, mark->segment_base, writer->end_offset, mark->end_offset);
}

static weir_status open_last(log_partition *partition) {
    const log_mark *mark = &partition->flushed;
    log_writer *writer = &partition->writer;
    writer->has_folder = writer->has_segment = true;
    writer->segment_base = writer->end_offset = mark->segment_base;
    writer->max_timestamp = writer->max_timestamp_offset = writer->last_time_entry = -1;
    WEIR_TRY(log_index_cut(partition, mark->index_count, mark->time_count));
    log_descriptor *descriptor;
    io_file *file;
    WEIR_TRY(log_descriptor_take(partition, mark->segment_base, LOG_FILE_LOG, false, &descriptor, &file));
    int64_t last_offset, max_timestamp;
    uint64_t position;
    weir_status status = weir_ok();
    uint8_t header[WIRE_BATCH_HEADER_BYTES];
    size_t got = 0;
    wire_batch batch;
    if (log_index_last(partition, &last_offset, &position, &max_timestamp) && position < mark->position &&
        !weir_failed(io_read_at(partition->store->files, file, position, header, sizeof header, &got)) &&
        got == sizeof header && !weir_failed(wire_batch_parse_header(weir_bytes_of(header, got), &batch)) &&
        wire_batch_last_offset(&batch) == last_offset) {
        writer->position = position + batch.size_bytes; /* behind the batch that the last entry is of */
        writer->end_offset = last_offset + 1;
        writer->unindexed_bytes = batch.size_bytes;
        writer->max_timestamp = writer->last_time_entry = max_timestamp;
    } else if (writer->index_count > 0) {
        status = log_index_cut(partition, 0, 0);
    }
    if (!weir_failed(status)) status = scan_rest(partition, file);
    log_descriptor_give(partition, descriptor);
    return status;
}

static weir_status replay_one(log_partition *partition, const log_replay *item, log_prepared *prepared,
                              size_t *capacity) {
    log_store *store = partition->store;
    uint8_t *bytes = weir_try_alloc_raw(&store->tail_account, item->size);
    if (!bytes)
        return weir_fail(WEIR_NO_MEMORY, "%s: no memory to replay a batch of %u bytes", partition->folder, item->size);
    size_t got, written;
    wire_batch batch;
    weir_status status = io_read_at(store->files, item->file, item->at, bytes, item->size, &got);
    if (!weir_failed(status)) status = wire_batch_parse(weir_bytes_of(bytes, got), &batch);
    if (!weir_failed(status)) {
        log_entry entry = {.partition = partition,
                           .bytes = bytes,
                           .size = item->size,
                           .base_offset = item->base_offset,
                           .end_offset = item->end_offset,
                           .max_timestamp = batch.max_timestamp};
        status = log_writer_append(partition, &entry, 1, &written);
        if (!weir_failed(status))
            log_segments_note(store, &prepared->segments, &prepared->count, capacity,
                              &(log_segment){entry.segment_base, entry.segment_bytes, entry.max_timestamp});
    }
    weir_free(&store->tail_account, bytes);
    return weir_context(status, "replaying %s offset %" PRId64, partition->folder, item->base_offset);
}

static weir_status prepare(log_partition *partition, folder *found, log_prepared *prepared) {
    const log_mark *mark = &partition->flushed;
    log_store *store = partition->store;
    log_writer *writer = &partition->writer;
    size_t capacity = 0;
    bool exists;
    WEIR_TRY(sort_files(found, &exists));
    *writer = (log_writer){.has_folder = exists, .end_offset = partition->start_offset};
    if (mark->present) {
        if (found->count) qsort(found->bases, found->count, sizeof *found->bases, compare_bases);
        WEIR_TRY(note_older(partition, found, prepared, &capacity));
        WEIR_TRY(cut_last(partition));
        WEIR_TRY(open_last(partition));
        log_segments_note(store, &prepared->segments, &prepared->count, &capacity,
                          &(log_segment){mark->segment_base, mark->position, writer->max_timestamp});
    }
    for (size_t i = 0; i < partition->replay_count; i++)
        WEIR_TRY(replay_one(partition, &partition->replay[i], prepared, &capacity));
    prepared->index_count = writer->index_count;
    prepared->time_count = writer->time_count;
    return weir_ok();
}

weir_status log_writer_prepare(log_partition *partition) {
    log_writer *writer = &partition->writer;
    log_store *store = partition->store;
    if (writer->ready) return weir_ok();
    folder found = {.partition = partition};
    log_prepared *prepared = weir_alloc(&store->account, sizeof *prepared);
    const weir_status status = prepare(partition, &found, prepared);
    weir_free(&store->account, found.bases);
    if (weir_failed(status)) {
        weir_free(&store->account, prepared->segments);
        weir_free(&store->account, prepared);
        return status;
    }
    partition->prepared = prepared;
    writer->ready = true;
    return weir_ok();
}
