/* Reads: from the tail in memory without a copy where the batches lie side by side, else from a segment on the read
 * lane. What the read lane needs of the partition travels with the work, as the owner lane knew it at the start. */
#include "log/log_int.h"

#include <inttypes.h>

/* ---- walking a file by its headers ------------------------------------------------------------------------------- */

weir_status log_scan_open(log_scan *scan, log_store *store, io_file *file, uint64_t position, uint64_t limit) {
    *scan = (log_scan){.store = store, .file = file, .position = position, .limit = limit};
    scan->buffer = weir_try_alloc_raw(&store->read_account, LOG_SCAN_BYTES);
    return scan->buffer ? weir_ok() : weir_fail(WEIR_NO_MEMORY, "no memory to search a segment");
}

void log_scan_close(log_scan *scan) {
    weir_free(&scan->store->read_account, scan->buffer);
}

weir_status log_scan_header(log_scan *scan, wire_batch *batch, bool *found) {
    *found = scan->position < scan->limit;
    if (!*found) return weir_ok();
    if (scan->position < scan->buffer_at ||
        scan->position + WIRE_BATCH_HEADER_BYTES > scan->buffer_at + scan->buffer_bytes) {
        const uint64_t left = scan->limit - scan->position;
        scan->buffer_at = scan->position;
        WEIR_TRY(io_read_at(scan->store->files, scan->file, scan->position, scan->buffer,
                            left < LOG_SCAN_BYTES ? (size_t)left : LOG_SCAN_BYTES, &scan->buffer_bytes));
    }
    const size_t skipped = (size_t)(scan->position - scan->buffer_at);
    const weir_bytes bytes = weir_bytes_of(scan->buffer + skipped, scan->buffer_bytes - skipped);
    WEIR_TRY(weir_context(wire_batch_parse_header(bytes, batch), "at byte %" PRIu64, scan->position));
    if (batch->size_bytes > scan->limit - scan->position)
        return weir_fail(WEIR_CORRUPT, "at byte %" PRIu64 ": a batch of %zu bytes does not fit", scan->position,
                         batch->size_bytes);
    return weir_ok();
}

/* ---- the work of one read ---------------------------------------------------------------------------------------- */

typedef struct work {
    log_store *store;
    log_partition *partition;
    log_round *loan; /* the bytes lie in this round, or */
    uint8_t *buffer; /* here */
    int64_t segment_base;
    uint64_t limit; /* bytes of the segment that were there at the start */
    bool cold;
} work;

static void answer(log_read *read, weir_status status) {
    weir_error_set(&read->error, status);
    log_post(read->partition->store, read->partition->store->lane, &read->job);
}

static void run_done(io_job *job) {
    log_read *read = io_owner(job, log_read, job);
    work *w = read->private_owner;
    log_store *store = w->store;
    log_partition *partition = w->partition;
    if (w->cold && partition->deleted) { /* its files may be a namesake's by now */
        read->bytes = weir_bytes_of(NULL, 0);
        weir_error_set(&read->error, log_partition_usable(partition));
    } else if (w->cold && read->error.code != WEIR_OK) {
        log_read_fail_late(partition, weir_error_status(&read->error));
    }
    store->background--;
    read->done(read, weir_error_status(&read->error));
    log_partition_release(partition);
    log_store_check_stopped(store);
}

void log_read_release(log_read *read) {
    work *w = read->private_owner;
    if (!w) return;
    if (w->loan && --w->loan->loans == 0 && w->loan->evicted) log_round_free(w->loan);
    weir_free(&w->store->read_account, w->buffer);
    weir_free(&w->store->account, w);
    read->private_owner = NULL;
    read->bytes = weir_bytes_of(NULL, 0);
}

/* EIO on a segment takes the partition offline, and so does a segment that is not there. */
void log_read_fail_late(log_partition *partition, weir_status status) {
    if (partition->deleted || (status.code != WEIR_IO && status.code != WEIR_NOT_FOUND)) return;
    log_partition_set_offline(partition, status);
}

/* ---- from memory ------------------------------------------------------------------------------------------------- */

static void serve_tail(log_read *read, int64_t limit) {
    log_partition *partition = read->partition;
    work *w = read->private_owner;
    const size_t first = log_tail_find(partition, read->offset);
    const log_entry *begin = log_tail_entry(partition, first), *last = NULL;
    size_t count = 0, bytes = 0;
    bool adjacent = true;
    while (first + count < partition->tail_count) {
        const log_entry *entry = log_tail_entry(partition, first + count);
        if (entry->end_offset > limit || (count > 0 && bytes + entry->size > read->max_bytes)) break;
        if (last && last->bytes + last->size != entry->bytes) adjacent = false;
        bytes += entry->size;
        last = entry;
        count++;
    }
    weir_assert(count > 0);
    read->end_offset = last->end_offset;
    if (adjacent) {
        w->loan = log_tail_at(partition, first)->round;
        w->loan->loans++;
        read->bytes = weir_bytes_of(begin->bytes, bytes);
        answer(read, weir_ok());
        return;
    }
    w->buffer = weir_try_alloc_raw(&w->store->read_account, bytes);
    if (!w->buffer) {
        answer(read, weir_fail(WEIR_NO_MEMORY, "no memory for a read of %zu bytes", bytes));
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const log_entry *entry = log_tail_entry(partition, first + i);
        memcpy(w->buffer + at, entry->bytes, entry->size);
        at += entry->size;
    }
    read->bytes = weir_bytes_of(w->buffer, bytes);
    answer(read, weir_ok());
}

/* ---- from a segment: the read lane ------------------------------------------------------------------------------- */

/* Walks from where the index points. The base offset is the one field of a batch that readers rely on and no checksum
 * covers; that batches follow one another without a gap checks it. */
static weir_status find_batch(const work *w, io_file *file, int64_t offset, uint64_t *position, size_t *size) {
    log_scan scan;
    wire_batch batch;
    bool found;
    const uint64_t from = log_index_find(w->partition, w->segment_base, offset, file, w->limit);
    int64_t expected = from == 0 ? w->segment_base : -1;
    WEIR_TRY(log_scan_open(&scan, w->store, file, from, w->limit));
    weir_status status;
    while (!weir_failed(status = log_scan_header(&scan, &batch, &found)) && found) {
        if (expected >= 0 && batch.base_offset != expected)
            status = weir_fail(WEIR_CORRUPT, "a batch begins with offset %" PRId64 ", expected %" PRId64,
                               batch.base_offset, expected);
        expected = wire_batch_next_offset(&batch);
        if (weir_failed(status) || expected > offset) break;
        log_scan_skip(&scan, &batch);
    }
    if (!weir_failed(status) && !found)
        status = weir_fail(WEIR_CORRUPT, "offset %" PRId64 " is not in its segment", offset);
    *position = scan.position;
    *size = batch.size_bytes;
    log_scan_close(&scan);
    return status;
}

/* Whole batches only, the first one with the offset, each following the one before without a gap. */
static weir_status trim(log_read *read, const uint8_t *bytes, size_t size) {
    size_t at = 0;
    int64_t end = -1;
    while (size - at >= WIRE_BATCH_HEADER_BYTES) {
        wire_batch batch;
        WEIR_TRY(wire_batch_parse_header(weir_bytes_of(bytes + at, size - at), &batch));
        if (end < 0 ? batch.base_offset > read->offset : batch.base_offset != end)
            return weir_fail(WEIR_CORRUPT, "a batch begins with offset %" PRId64 ", expected %" PRId64,
                             batch.base_offset, end < 0 ? read->offset : end);
        if (batch.size_bytes > size - at) break;
        at += batch.size_bytes;
        end = wire_batch_next_offset(&batch);
    }
    read->bytes = weir_bytes_of(bytes, at);
    read->end_offset = end;
    return weir_ok();
}

static weir_status read_segment(log_read *read, work *w, io_file *file) {
    uint64_t position;
    size_t size, got;
    WEIR_TRY(find_batch(w, file, read->offset, &position, &size));
    if (size < read->max_bytes) size = read->max_bytes;
    if (size > w->limit - position) size = (size_t)(w->limit - position);
    w->buffer = weir_try_alloc_raw(&w->store->read_account, size);
    if (!w->buffer) return weir_fail(WEIR_NO_MEMORY, "no memory for a read of %zu bytes", size);
    WEIR_TRY(io_read_at(w->store->files, file, position, w->buffer, size, &got));
    if (got < size) return weir_fail(WEIR_IO, "the segment lost bytes behind %" PRIu64, position + got);
    return trim(read, w->buffer, size);
}

static void run_cold(io_job *job) {
    log_read *read = io_owner(job, log_read, job);
    work *w = read->private_owner;
    log_descriptor *descriptor;
    io_file *file;
    weir_status status =
        log_descriptor_take(w->partition, w->segment_base, LOG_FILE_LOG, false, &descriptor, &file);
    if (!weir_failed(status)) {
        status = read_segment(read, w, file);
        log_descriptor_give(w->partition, descriptor);
    }
    if (weir_failed(status)) read->bytes = weir_bytes_of(NULL, 0);
    weir_error_set(&read->error,
                   weir_context(status, "reading %s segment %" PRId64, w->partition->folder, w->segment_base));
    read->job.run = run_done;
    log_post(w->store, w->store->lane, &read->job);
}

static const log_segment *segment_of(const log_partition *partition, int64_t offset) {
    size_t low = 0, high = partition->segment_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (partition->segments[middle].base_offset <= offset) low = middle + 1;
        else high = middle;
    }
    return low > 0 ? &partition->segments[low - 1] : NULL;
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

static void start(log_read *read) {
    log_partition *partition = read->partition;
    work *w = read->private_owner;
    const int64_t limit = read->ahead ? partition->end_offset : partition->durable_end;
    const weir_status usable = log_partition_usable(partition);
    if (weir_failed(usable)) {
        answer(read, usable);
    } else if (read->offset < partition->start_offset || read->offset > limit) {
        answer(read, weir_fail(WEIR_OUT_OF_RANGE, "%s: offset %" PRId64 " is outside %" PRId64 "..%" PRId64,
                               partition->folder, read->offset, partition->start_offset, limit));
    } else if (read->offset == limit) {
        read->end_offset = limit;
        answer(read, weir_ok());
    } else if (partition->tail_count > 0 && log_tail_entry(partition, 0)->base_offset <= read->offset) {
        serve_tail(read, limit);
    } else if (!partition->ready || partition->swapping) {
        read->next = partition->blocked_reads;
        partition->blocked_reads = read;
        log_partition_prepare(partition);
    } else {
        const log_segment *segment = segment_of(partition, read->offset);
        weir_assert(segment);
        w->segment_base = segment->base_offset;
        w->limit = segment->bytes;
        w->cold = true;
        read->job.run = run_cold;
        log_post(w->store, w->store->read_lane, &read->job);
    }
}

void log_read_start(log_read *read) {
    log_store *store = read->partition->store;
    work *w = weir_alloc(&store->account, sizeof *w);
    w->store = store;
    w->partition = read->partition;
    read->private_owner = w;
    read->bytes = weir_bytes_of(NULL, 0);
    read->end_offset = read->offset;
    read->next = NULL;
    read->error.code = WEIR_OK;
    io_job_init(&read->job, run_done);
    log_partition_retain(read->partition);
    store->background++;
    start(read);
}

/* The partition is verified, or will not be: its reads go on or fail. */
void log_reader_start_blocked(log_partition *partition) {
    const weir_error failure = partition->prepare_error;
    log_read *read = partition->blocked_reads;
    partition->blocked_reads = NULL;
    while (read) {
        log_read *next = read->next;
        if (partition->ready || partition->offline || partition->deleted) start(read);
        else answer(read, weir_error_status(&failure));
        read = next;
    }
    log_time_queries_start_blocked(partition, &failure);
}
