/* The end of a partition's segments: appending, rolling, removing. Everything here runs on the store lane.
 *
 * A segment is `<base offset, 20 digits>.log`: record batches one after another, nothing else, never preallocated. What
 * is appended is durable in the journal already; nobody syncs here (flush.c does). */
#include "base/trace.h"
#include "log/log_int.h"

#include <inttypes.h>

weir_status log_segment_path(const log_partition *partition, int64_t base, log_file_kind kind,
                             char path[LOG_PATH_MAX]) {
    static const char *const endings[LOG_FILE_KINDS] = {".log", ".index", ".timeindex"};
    return log_path(partition->store, path, "%s/%020" PRId64 "%s", partition->folder, base, endings[kind]);
}

void log_segments_note(log_store *store, log_segment **segments, size_t *count, size_t *capacity, 
                       const log_segment *segment) {
    if (*count == 0 || (*segments)[*count - 1].base_offset != segment->base_offset) {
        *segments = log_grow(store, *segments, capacity, *count, sizeof **segments);
        (*segments)[(*count)++] = *segment;
        return;
    }
    log_segment *last = &(*segments)[*count - 1];
    last->bytes = segment->bytes;
    if (segment->max_timestamp > last->max_timestamp) last->max_timestamp = segment->max_timestamp;
}

/* As Kafka: by the records' own time, and only when something is appended. */
static bool is_old(const log_partition *partition, const log_entry *entry) {
    const log_writer *writer = &partition->writer;
    const int64_t segment_ms = atomic_load_explicit(&partition->segment_ms, memory_order_relaxed);
    const int64_t roll_at = atomic_load_explicit(&partition->roll_at, memory_order_relaxed);
    if (writer->segment_base < roll_at && entry->base_offset >= roll_at) return true;
    return segment_ms > 0 && writer->knows_first && writer->first_timestamp >= 0 &&
           entry->max_timestamp > writer->first_timestamp &&
           entry->max_timestamp - writer->first_timestamp > segment_ms;
}

/* After a start the first batch of the last segment is read again, for those who roll by time. */
static void learn_first_timestamp(log_partition *partition) {
    log_writer *writer = &partition->writer;
    log_descriptor *descriptor;
    io_file *file;
    uint8_t header[WIRE_BATCH_HEADER_BYTES];
    size_t got = 0;
    wire_batch batch;
    if (writer->knows_first || writer->position == 0) return;
    writer->knows_first = true;
    writer->first_timestamp = INT64_MAX;
    if (weir_failed(log_descriptor_take(partition, writer->segment_base, LOG_FILE_LOG, false, &descriptor, &file)))
        return;
    if (!weir_failed(io_read_at(partition->store->files, file, 0, header, sizeof header, &got)) &&
        got == sizeof header && !weir_failed(wire_batch_parse_header(weir_bytes_of(header, got), &batch)))
        writer->first_timestamp = batch.max_timestamp;
    log_descriptor_give(partition, descriptor);
}

/* Offsets in the indexes are 32 bits from the base, positions 31. */
static bool is_full(const log_writer *writer, uint64_t position, uint64_t segment_bytes, const log_entry *entry) {
    return position > 0 && (position + entry->size > segment_bytes || position + entry->size > INT32_MAX ||
                            entry->end_offset - writer->segment_base > INT32_MAX);
}

static weir_status begin_segment(log_partition *partition, int64_t base) {
    log_writer *writer = &partition->writer;
    log_store *store = partition->store;
    if (!writer->has_folder) {
        char path[LOG_PATH_MAX];
        WEIR_TRY(log_path(store, path, "%s", partition->folder));
        const weir_status status = io_make_directory(store->files, path);
        if (weir_failed(status) && status.code != WEIR_EXISTS) return status;
        writer->has_folder = true;
    }
    if (writer->has_segment) log_time_index_append(partition);
    writer->has_segment = true;
    writer->segment_base = base;
    writer->position = 0;
    writer->index_count = writer->time_count = 0;
    writer->unindexed_bytes = 0;
    writer->max_timestamp = writer->max_timestamp_offset = writer->last_time_entry = -1;
    writer->knows_first = false;
    return weir_ok();
}

void log_writer_pass(log_partition *partition, int64_t last_offset, int64_t max_timestamp, uint64_t bytes) {
    log_writer *writer = &partition->writer;
    if (max_timestamp > writer->max_timestamp) {
        writer->max_timestamp = max_timestamp;
        writer->max_timestamp_offset = last_offset;
    }
    if (writer->unindexed_bytes > LOG_INDEX_INTERVAL_BYTES) {
        log_index_append(partition, last_offset);
        writer->unindexed_bytes = 0;
    }
    if (writer->position == 0) {
        writer->first_timestamp = max_timestamp;
        writer->knows_first = true;
    }
    writer->unindexed_bytes += bytes;
    writer->position += bytes;
    writer->end_offset = last_offset + 1;
}

enum { PARTS_MAX = 64 };

/* Writes what fits into one segment with one call. */
static weir_status append_run(log_partition *partition, log_entry *entries, size_t count, size_t *written) {
    log_writer *writer = &partition->writer;
    const uint64_t segment_bytes = atomic_load_explicit(&partition->segment_bytes, memory_order_relaxed);
    weir_assert(entries->base_offset == writer->end_offset);
    if (atomic_load_explicit(&partition->segment_ms, memory_order_relaxed) > 0) learn_first_timestamp(partition);
    if (!writer->has_segment || is_full(writer, writer->position, segment_bytes, entries) ||
        is_old(partition, entries))
        WEIR_TRY(begin_segment(partition, entries->base_offset));
    weir_bytes parts[PARTS_MAX];
    size_t taken = 0;
    uint64_t position = writer->position;
    while (taken < count && taken < PARTS_MAX && !is_full(writer, position, segment_bytes, &entries[taken])) {
        if (taken > 0 && is_old(partition, &entries[taken])) break;
        parts[taken] = weir_bytes_of(entries[taken].bytes, entries[taken].size);
        position += entries[taken++].size;
    }
    log_descriptor *descriptor;
    io_file *file;
    WEIR_TRY(log_descriptor_take(partition, writer->segment_base, LOG_FILE_LOG, writer->position == 0, &descriptor,
                                 &file));
    const weir_status status = io_write_at(partition->store->files, file, writer->position, parts, taken);
    log_descriptor_give(partition, descriptor);
    WEIR_TRY(status);
    for (size_t i = 0; i < taken; i++) {
        log_entry *entry = &entries[i];
        log_writer_pass(partition, entry->end_offset - 1, entry->max_timestamp, entry->size);
        entry->segment_base = writer->segment_base;
        entry->segment_bytes = writer->position;
        entry->index_count = writer->index_count;
        entry->time_count = writer->time_count;
        entry->outcome = LOG_STORED;
    }
    *written = taken;
    return weir_ok();
}

weir_status log_writer_append(log_partition *partition, log_entry *entries, size_t count, size_t *written) {
    *written = 0;
    while (*written < count) {
        size_t step;
        WEIR_TRY(append_run(partition, entries + *written, count - *written, &step));
        *written += step;
    }
    return weir_ok();
}

/* ---- removing ---------------------------------------------------------------------------------------------------- */

static void note_name(const char *name, void *arg) {
    weir_buffer_append(arg, name, strlen(name) + 1);
}

weir_status log_folder_list(log_store *store, const char *folder, weir_buffer *names) {
    char path[LOG_PATH_MAX];
    WEIR_TRY(log_path(store, path, "%s", folder));
    return io_list(store->files, path, note_name, names);
}

weir_status log_folder_remove(log_store *store, const char *folder) {
    char path[LOG_PATH_MAX];
    weir_buffer names;
    weir_buffer_init(&names, &store->account, SIZE_MAX / 2);
    weir_status status = log_folder_list(store, folder, &names);
    const bool gone = status.code == WEIR_NOT_FOUND;
    for (size_t at = 0; at < names.size && !weir_failed(status); at += strlen((char *)names.data + at) + 1) {
        status = log_path(store, path, "%s/%s", folder, (char *)names.data + at);
        if (!weir_failed(status)) status = io_remove(store->files, path);
        if (status.code == WEIR_NOT_FOUND) status = weir_ok();
    }
    weir_buffer_deinit(&names);
    if (gone) return weir_ok();
    WEIR_TRY(status);
    WEIR_TRY(log_path(store, path, "%s", folder));
    return io_remove(store->files, path);
}
