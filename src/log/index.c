/* The sparse indexes of a segment, in Apache Kafka's format (big-endian, relative to the segment's base offset):
 *
 *   .index       8 bytes an entry:  int32 last offset of a batch - base, int32 position of that batch in the .log
 *   .timeindex  12 bytes an entry:  int64 largest timestamp so far, int32 last offset of the batch that brought it -
 * base
 *
 * One entry about every LOG_INDEX_INTERVAL_BYTES, and a last time entry when the segment is closed. An index is a hint:
 * what it says is checked against the batch it points to, and a missing or damaged one only makes a search longer. So a
 * failed write of an entry is told and forgotten. */
#include "base/trace.h"
#include "log/log_int.h"

enum { INDEX_BYTES = 8, TIME_BYTES = 12 };

static weir_status write_entry(log_partition *partition, log_file_kind kind, const uint8_t *entry, size_t bytes,
                               uint32_t count) {
    log_writer *writer = &partition->writer;
    log_descriptor *descriptor;
    io_file *file;
    WEIR_TRY(log_descriptor_take(partition, writer->segment_base, kind, true, &descriptor, &file));
    const weir_bytes part = weir_bytes_of(entry, bytes);
    const weir_status status = io_write_at(partition->store->files, file, (uint64_t)count * bytes, &part, 1);
    log_descriptor_give(partition, descriptor);
    return status;
}

static void tell(const log_partition *partition, weir_status status) {
    weir_trace(WEIR_WARN, "log", "%s: an index entry is missing, searches take longer: %s", partition->folder,
               status.text);
}

void log_time_index_append(log_partition *partition) {
    log_writer *writer = &partition->writer;
    if (writer->max_timestamp < 0 || writer->max_timestamp <= writer->last_time_entry) return;
    uint8_t entry[TIME_BYTES];
    weir_write_be64(entry, (uint64_t)writer->max_timestamp);
    weir_write_be32(entry + 8, (uint32_t)(writer->max_timestamp_offset - writer->segment_base));
    const weir_status status = write_entry(partition, LOG_FILE_TIME, entry, TIME_BYTES, writer->time_count);
    if (weir_failed(status)) {
        tell(partition, status);
        return;
    }
    writer->last_time_entry = writer->max_timestamp;
    writer->time_count++;
}

void log_index_append(log_partition *partition, int64_t last_offset) {
    log_writer *writer = &partition->writer;
    if (writer->position > INT32_MAX) return;
    uint8_t entry[INDEX_BYTES];
    weir_write_be32(entry, (uint32_t)(last_offset - writer->segment_base));
    weir_write_be32(entry + 4, (uint32_t)writer->position);
    const weir_status status = write_entry(partition, LOG_FILE_INDEX, entry, INDEX_BYTES, writer->index_count);
    if (weir_failed(status)) {
        tell(partition, status);
        return;
    }
    writer->index_count++;
    log_time_index_append(partition);
}

/* Opens an index when it is there; *count = its whole entries. */
static bool open_index(log_partition *partition, int64_t base, log_file_kind kind, log_descriptor **descriptor,
                       io_file **file, uint64_t *count) {
    if (weir_failed(log_descriptor_take(partition, base, kind, false, descriptor, file))) return false;
    io_file_info info;
    if (weir_failed(io_file_info_of(partition->store->files, *file, &info))) {
        log_descriptor_give(partition, *descriptor);
        return false;
    }
    *count = info.size / (kind == LOG_FILE_INDEX ? INDEX_BYTES : TIME_BYTES);
    return true;
}

static bool read_entry(log_store *store, io_file *file, uint64_t number, uint8_t *entry, size_t bytes) {
    size_t got;
    return !weir_failed(io_read_at(store->files, file, number * bytes, entry, bytes, &got)) && got == bytes;
}

static weir_status cut_one(log_partition *partition, log_file_kind kind, uint32_t *count) {
    const int64_t base = partition->writer.segment_base;
    log_descriptor *descriptor;
    io_file *file;
    uint64_t there;
    if (!open_index(partition, base, kind, &descriptor, &file, &there)) {
        *count = 0;
        return weir_ok();
    }
    if (there < *count) *count = 0;
    const uint64_t bytes = (uint64_t)*count * (kind == LOG_FILE_INDEX ? INDEX_BYTES : TIME_BYTES);
    const weir_status status = io_truncate(partition->store->files, file, bytes);
    log_descriptor_give(partition, descriptor);
    return status;
}

weir_status log_index_cut(log_partition *partition, uint32_t index_count, uint32_t time_count) {
    log_writer *writer = &partition->writer;
    writer->index_count = index_count;
    writer->time_count = time_count;
    WEIR_TRY(cut_one(partition, LOG_FILE_INDEX, &writer->index_count));
    WEIR_TRY(cut_one(partition, LOG_FILE_TIME, &writer->time_count));
    if (writer->index_count == index_count && writer->time_count == time_count) return weir_ok();
    writer->index_count = writer->time_count = 0; /* the two belong together */
    WEIR_TRY(cut_one(partition, LOG_FILE_INDEX, &writer->index_count));
    return cut_one(partition, LOG_FILE_TIME, &writer->time_count);
}

bool log_index_last(log_partition *partition, int64_t *last_offset, uint64_t *position, int64_t *max_timestamp) {
    const log_writer *writer = &partition->writer;
    log_descriptor *descriptor;
    io_file *file;
    uint64_t there;
    uint8_t entry[TIME_BYTES];
    if (writer->index_count == 0) return false;
    if (!open_index(partition, writer->segment_base, LOG_FILE_INDEX, &descriptor, &file, &there)) return false;
    const bool found = read_entry(partition->store, file, writer->index_count - 1, entry, INDEX_BYTES);
    log_descriptor_give(partition, descriptor);
    if (!found) return false;
    *last_offset = writer->segment_base + (int64_t)weir_read_be32(entry);
    *position = weir_read_be32(entry + 4);
    *max_timestamp = -1;
    if (writer->time_count == 0) return true;
    if (!open_index(partition, writer->segment_base, LOG_FILE_TIME, &descriptor, &file, &there)) return false;
    const bool timed = read_entry(partition->store, file, writer->time_count - 1, entry, TIME_BYTES);
    log_descriptor_give(partition, descriptor);
    if (timed) *max_timestamp = (int64_t)weir_read_be64(entry);
    return timed;
}

/* The index may hold the torn end of a write that failed, or a flipped bit: the batch itself has the last word. */
static bool entry_is_true(log_store *store, io_file *log_file, uint64_t position, uint64_t limit, int64_t last_offset) {
    uint8_t header[WIRE_BATCH_HEADER_BYTES];
    size_t got;
    wire_batch batch;
    if (position + sizeof header > limit) return false;
    if (weir_failed(io_read_at(store->files, log_file, position, header, sizeof header, &got)) || got < sizeof header)
        return false;
    return !weir_failed(wire_batch_parse_header(weir_bytes_of(header, sizeof header), &batch)) &&
           wire_batch_last_offset(&batch) == last_offset;
}

uint64_t log_index_find(log_partition *partition, int64_t base, int64_t offset, io_file *log_file, uint64_t limit) {
    log_descriptor *descriptor;
    io_file *file;
    uint64_t high, low = 0, position = 0;
    int64_t last_offset = -1;
    if (!open_index(partition, base, LOG_FILE_INDEX, &descriptor, &file, &high)) return 0;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        uint8_t entry[INDEX_BYTES];
        if (!read_entry(partition->store, file, middle, entry, INDEX_BYTES)) break;
        const int64_t at = base + (int64_t)weir_read_be32(entry);
        if (at <= offset && weir_read_be32(entry + 4) < limit) {
            position = weir_read_be32(entry + 4);
            last_offset = at;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    log_descriptor_give(partition, descriptor);
    if (last_offset < 0 || !entry_is_true(partition->store, log_file, position, limit, last_offset)) return 0;
    return position;
}

int64_t log_time_index_last(log_partition *partition, int64_t base) {
    log_descriptor *descriptor;
    io_file *file;
    uint64_t count;
    uint8_t entry[TIME_BYTES];
    if (!open_index(partition, base, LOG_FILE_TIME, &descriptor, &file, &count)) return -1;
    const bool found = count > 0 && read_entry(partition->store, file, count - 1, entry, TIME_BYTES);
    log_descriptor_give(partition, descriptor);
    return found ? (int64_t)weir_read_be64(entry) : -1;
}

int64_t log_time_index_find(log_partition *partition, int64_t base, int64_t timestamp_ms, int64_t *max_timestamp) {
    log_descriptor *descriptor;
    io_file *file;
    uint64_t high, low = 0;
    int64_t offset = base;
    uint8_t entry[TIME_BYTES];
    *max_timestamp = -1;
    if (!open_index(partition, base, LOG_FILE_TIME, &descriptor, &file, &high)) return base;
    if (high > 0 && read_entry(partition->store, file, high - 1, entry, TIME_BYTES))
        *max_timestamp = (int64_t)weir_read_be64(entry);
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (!read_entry(partition->store, file, middle, entry, TIME_BYTES)) break;
        if ((int64_t)weir_read_be64(entry) <= timestamp_ms) {
            offset = base + (int64_t)weir_read_be32(entry + 8);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    log_descriptor_give(partition, descriptor);
    return offset;
}
