/* The first record at or after a time, or the latest one. The owner lane takes down what there is: the segments, and
 * the one batch of the tail that would answer; the read lane looks into the segments first, then into that batch. */
#include "log/log_int.h"

#include <inttypes.h>

enum { RECORDS_BYTES_MAX = 64 << 20 };

typedef struct work {
    log_store *store;
    log_partition *partition;
    log_segment *segments;
    size_t count;
    int64_t start_offset; /* what lies before it is deleted */
    log_round *loan; /* holds the batch of the tail */
    weir_bytes tail_batch;
    int64_t tail_timestamp;
    wire_compressor *compressor;
} work;

static void run_done(io_job *job) {
    log_time_query *query = io_owner(job, log_time_query, job);
    work *w = query->private_owner;
    log_store *store = w->store;
    log_partition *partition = w->partition;
    if (partition->deleted) weir_error_set(&query->error, log_partition_usable(partition));
    else if (query->error.code != WEIR_OK) log_read_fail_late(partition, weir_error_status(&query->error));
    if (w->loan && --w->loan->loans == 0 && w->loan->evicted) log_round_free(w->loan);
    weir_free(&store->account, w->segments);
    weir_free(&store->account, w);
    query->private_owner = NULL;
    store->background--;
    query->done(query, weir_error_status(&query->error));
    log_partition_release(partition);
    log_store_check_stopped(store);
}

static void answer(log_time_query *query, weir_status status) {
    weir_error_set(&query->error, status);
    log_post(query->partition->store, query->partition->store->lane, &query->job);
}

/* ---- the read lane ----------------------------------------------------------------------------------------------- */

/* The first record of a batch at or after `timestamp`. */
static weir_status find_record(log_time_query *query, work *w, weir_bytes bytes, int64_t timestamp, bool *found) {
    wire_batch batch;
    wire_records records;
    wire_record record;
    weir_buffer scratch;
    *found = false;
    WEIR_TRY(wire_batch_parse(bytes, &batch));
    if (!w->compressor) w->compressor = wire_compressor_create(&w->store->read_account);
    weir_buffer_init(&scratch, &w->store->read_account, RECORDS_BYTES_MAX);
    weir_status status = wire_records_open(&records, &batch, w->compressor, &scratch, RECORDS_BYTES_MAX);
    while (!weir_failed(status) && !*found && wire_records_next(&records, &record)) {
        if (record.timestamp < timestamp || record.offset < w->start_offset) continue;
        query->offset = record.offset;
        query->found_timestamp_ms = record.timestamp;
        *found = true;
    }
    if (!weir_failed(status) && !*found) status = wire_records_status(&records);
    weir_buffer_deinit(&scratch);
    return status;
}

static weir_status look_into(log_time_query *query, work *w, io_file *file, const log_scan *scan,
                             const wire_batch *batch, int64_t timestamp, bool *found) {
    size_t got;
    uint8_t *bytes = weir_try_alloc_raw(&w->store->read_account, batch->size_bytes);
    if (!bytes) return weir_fail(WEIR_NO_MEMORY, "no memory for a batch of %zu bytes", batch->size_bytes);
    weir_status status = io_read_at(w->store->files, file, scan->position, bytes, batch->size_bytes, &got);
    if (!weir_failed(status)) status = find_record(query, w, weir_bytes_of(bytes, got), timestamp, found);
    weir_free(&w->store->read_account, bytes);
    return status;
}

/* With `largest`: raises it to the largest timestamp behind `from`. Else: finds the first record at or after
 * `timestamp` behind `from`. */
static weir_status walk(log_time_query *query, work *w, const log_segment *segment, int64_t from, int64_t timestamp,
                        int64_t *largest, bool *found) {
    log_descriptor *descriptor;
    io_file *file;
    log_scan scan;
    wire_batch batch;
    bool there;
    WEIR_TRY(log_descriptor_take(w->partition, segment->base_offset, LOG_FILE_LOG, false, &descriptor, &file));
    const uint64_t position = log_index_find(w->partition, segment->base_offset, from, file, segment->bytes);
    weir_status status = log_scan_open(&scan, w->store, file, position, segment->bytes);
    while (!weir_failed(status) && !*found) {
        status = log_scan_header(&scan, &batch, &there);
        if (weir_failed(status) || !there) break;
        if (wire_batch_last_offset(&batch) < w->start_offset) {
            log_scan_skip(&scan, &batch);
            continue;
        }
        if (largest && batch.max_timestamp > *largest) *largest = batch.max_timestamp;
        if (!largest && wire_batch_last_offset(&batch) >= from && batch.max_timestamp >= timestamp)
            status = look_into(query, w, file, &scan, &batch, timestamp, found);
        log_scan_skip(&scan, &batch);
    }
    log_scan_close(&scan);
    log_descriptor_give(w->partition, descriptor);
    return weir_context(status, "searching %s segment %" PRId64, w->partition->folder, segment->base_offset);
}

static weir_status find_first(log_time_query *query, work *w, int64_t timestamp, bool *found) {
    for (size_t i = 0; i < w->count && !*found; i++) {
        const log_segment *segment = &w->segments[i];
        int64_t largest;
        const int64_t from = log_time_index_find(w->partition, segment->base_offset, timestamp, &largest);
        /* A closed segment has a last entry; without one its index is lost and says nothing. */
        if (i + 1 < w->count && largest >= 0 && largest < timestamp) continue;
        WEIR_TRY(walk(query, w, segment, from, timestamp, NULL, found));
    }
    if (!*found && w->loan && w->tail_timestamp >= timestamp)
        return find_record(query, w, w->tail_batch, timestamp, found);
    return weir_ok();
}

static weir_status find_latest(log_time_query *query, work *w, bool *found) {
    int64_t best = -1;
    for (size_t i = 0; i < w->count; i++) {
        const log_segment *segment = &w->segments[i];
        int64_t largest;
        int64_t from = log_time_index_find(w->partition, segment->base_offset, INT64_MAX, &largest);
        if (segment->base_offset < w->start_offset) { /* the index may speak of deleted records */
            largest = -1;
            from = w->start_offset;
        }
        if (i + 1 == w->count || largest < 0) WEIR_TRY(walk(query, w, segment, from, 0, &largest, found));
        if (largest > best) best = largest;
    }
    if (w->loan && w->tail_timestamp > best) return find_record(query, w, w->tail_batch, w->tail_timestamp, found);
    return best < 0 ? weir_ok() : find_first(query, w, best, found);
}

static void run_query(io_job *job) {
    log_time_query *query = io_owner(job, log_time_query, job);
    work *w = query->private_owner;
    bool found = false;
    const weir_status status = query->timestamp_ms == LOG_TIMESTAMP_MAX
                                   ? find_latest(query, w, &found)
                                   : find_first(query, w, query->timestamp_ms, &found);
    wire_compressor_destroy(w->compressor);
    weir_error_set(&query->error, status);
    query->job.run = run_done;
    log_post(w->store, w->store->lane, &query->job);
}

/* ---- the owner lane ---------------------------------------------------------------------------------------------- */

/* The batch that answers if no segment does: durable, not in a segment yet. */
static void choose_tail(const log_time_query *query, work *w) {
    log_partition *partition = w->partition;
    const bool latest = query->timestamp_ms == LOG_TIMESTAMP_MAX;
    for (size_t i = log_tail_find(partition, partition->stored_end); i < partition->tail_count; i++) {
        const log_entry *entry = log_tail_entry(partition, i);
        if (entry->end_offset > partition->durable_end) return;
        if (latest ? w->loan && entry->max_timestamp <= w->tail_timestamp : entry->max_timestamp < query->timestamp_ms)
            continue;
        if (w->loan) w->loan->loans--;
        w->loan = log_tail_at(partition, i)->round;
        w->loan->loans++;
        w->tail_batch = weir_bytes_of(entry->bytes, entry->size);
        w->tail_timestamp = entry->max_timestamp;
        if (!latest) return;
    }
}

static void start(log_time_query *query) {
    log_partition *partition = query->partition;
    log_store *store = partition->store;
    work *w = query->private_owner;
    const weir_status usable = log_partition_usable(partition);
    if (weir_failed(usable)) {
        answer(query, usable);
        return;
    }
    if (partition->swapping || (!partition->ready && partition->flushed.present + partition->replay_count > 0)) {
        partition->blocked_queries = weir_realloc(&store->account, partition->blocked_queries,
                                                  (partition->blocked_query_count + 1) * sizeof(log_time_query *));
        partition->blocked_queries[partition->blocked_query_count++] = query;
        log_partition_prepare(partition);
        return;
    }
    w->start_offset = partition->start_offset;
    w->count = partition->segment_count;
    w->segments = weir_alloc(&store->account, (w->count + 1) * sizeof *w->segments);
    if (w->count) memcpy(w->segments, partition->segments, w->count * sizeof *w->segments);
    choose_tail(query, w);
    query->job.run = run_query;
    log_post(store, store->read_lane, &query->job);
}

void log_time_query_start(log_time_query *query) {
    log_store *store = query->partition->store;
    work *w = weir_alloc(&store->account, sizeof *w);
    w->store = store;
    w->partition = query->partition;
    query->private_owner = w;
    query->offset = query->found_timestamp_ms = -1;
    query->error.code = WEIR_OK;
    io_job_init(&query->job, run_done);
    log_partition_retain(query->partition);
    store->background++;
    start(query);
}

void log_time_queries_start_blocked(log_partition *partition, const weir_error *failure) {
    log_time_query **queries = partition->blocked_queries;
    const size_t count = partition->blocked_query_count;
    partition->blocked_queries = NULL;
    partition->blocked_query_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (partition->ready || partition->offline || partition->deleted) start(queries[i]);
        else answer(queries[i], weir_error_status(failure));
    }
    weir_free(&partition->store->account, queries);
}
