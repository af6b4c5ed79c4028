/* Readers. Two lanes work on one: the broker's reads chunks of the log into a ring (everything under "broker side"),
 * the reader's own walks them into blocks. The ring has one writer and one reader; a chunk's bytes go back to the log
 * on the broker's lane when the last block that looks into them is released. */
#include "bus/embedded/embedded_int.h"

/* What rows point into: a chunk of the log, or a decompressed batch. */
typedef struct source {
    data_buffer buffer; /* first */
    bus_embedded *self;
    bus_reader *reader; /* while a chunk is being read */
    log_read read;      /* a chunk */
    bool is_chunk;
    log_aborted *aborted; /* of a chunk: transactions whose records are passed over; mostly none */
    size_t aborted_count;
    io_job release_job;
    weir_buffer inflated; /* a decompressed batch */
} source;

typedef struct block {
    bus_block view; /* first */
    bus_embedded *self;
    source *source;
    bus_row rows[];
} block;

struct bus_reader {
    bus_embedded *self;
    io_lane *lane;
    io_job *wake;
    size_t ahead_bytes;
    char topic[BUS_TOPIC_NAME_MAX + 1];
    int32_t partition;

    /* Shared. */
    source *ring[BUS_EMBEDDED_CHUNKS_MAX];
    _Atomic uint32_t pushed, popped; /* counts; the broker's lane pushes, the reader's pops */
    _Atomic size_t ahead;            /* bytes in the ring and in the chunk being walked */
    _Atomic int64_t end, start;      /* what may be read, as last seen; where reading began; -1 = not known yet */
    _Atomic bool failed;
    weir_error error;                /* written before `failed` */
    _Atomic bool starved;            /* the broker's side stopped for want of room */
    pthread_mutex_t lock;            /* of the next two: after close() nobody posts the wake */
    bool parked, closed;

    /* Broker side. */
    io_job pump_job, close_job;
    log_waiter waiter;
    uint8_t topic_id[16];
    bool resolved, reading, closing;
    int64_t position;

    /* Reader's side. */
    source *chunk;
    size_t chunk_bytes;
    weir_bytes left;       /* batches of the chunk not yet walked */
    wire_batch batch;
    wire_records records;
    bool in_batch;
    source *batch_source;  /* what the records of this batch point into */
    int64_t next_offset;
    int64_t told_offset;   /* behind the last block that was given out; -1 = none was */
    wire_compressor *compressor;
    bool told_failure;
    weir_error own_error;
};

/* ---- sources ----------------------------------------------------------------------------------------------------- */

static void chunk_release_run(io_job *job) { /* broker's lane */
    source *chunk = io_owner(job, source, release_job);
    log_read_release(&chunk->read);
    weir_free(&chunk->self->account, chunk->aborted);
    weir_free(&chunk->self->account, chunk);
}

static void source_destroy(data_buffer *buffer) { /* any lane */
    source *gone = (source *)buffer;
    if (gone->is_chunk) {
        io_job_init(&gone->release_job, chunk_release_run);
        embedded_post_broker(gone->self, &gone->release_job);
        return;
    }
    weir_buffer_deinit(&gone->inflated);
    weir_free(&gone->self->account, gone);
}

static source *source_make(bus_embedded *self, bool is_chunk) {
    source *made = weir_alloc(&self->account, sizeof *made);
    atomic_init(&made->buffer.references, 1);
    made->buffer.destroy = source_destroy;
    made->self = self;
    made->is_chunk = is_chunk;
    if (!is_chunk) weir_buffer_init(&made->inflated, &self->account, LOG_BATCH_BYTES_MAX * (size_t)4);
    return made;
}

/* ---- broker side ------------------------------------------------------------------------------------------------- */

static void post_wake(bus_reader *reader) {
    pthread_mutex_lock(&reader->lock);
    if (reader->parked && !reader->closed) {
        reader->parked = false;
        embedded_post(reader->self, reader->lane, reader->wake);
    }
    pthread_mutex_unlock(&reader->lock);
}

static void reader_fail(bus_reader *reader, weir_status status) {
    weir_error_set(&reader->error, status);
    atomic_store(&reader->failed, true);
    post_wake(reader);
}

static void reader_free(bus_reader *reader) {
    bus_embedded *self = reader->self;
    pthread_mutex_destroy(&reader->lock);
    weir_free(&self->account, reader);
}

static log_partition *resolve(bus_reader *reader) {
    broker_node *broker = reader->self->broker;
    const broker_topic *topic = reader->resolved ? broker_topic_find_id(broker, reader->topic_id)
                                                 : broker_topic_find(broker, weir_bytes_text(reader->topic));
    if (!topic || reader->partition >= topic->partition_count) return NULL;
    memcpy(reader->topic_id, topic->id, 16);
    reader->resolved = true;
    return broker_partition(broker, weir_bytes_text(topic->name), reader->partition);
}

static void pump(bus_reader *reader);

/* A waiter that fired is out of its list; dropping it again is harmless. */
static void log_waiter_drop(bus_reader *reader) {
    if (reader->waiter.job) log_wait_cancel(&reader->waiter);
    reader->waiter.job = NULL;
}

/* The pump may be queued still: the job that frees the reader comes after it, because a lane keeps its order. */
static void free_run(io_job *job) {
    reader_free(io_owner(job, bus_reader, close_job));
}

static void finish_close(bus_reader *reader) {
    io_job_init(&reader->close_job, free_run);
    embedded_post_broker(reader->self, &reader->close_job);
}

/* Batches below the last stable offset stay, and which of their transactions were aborted is noted. Partitions without
 * transactions have nothing to look for. */
static void keep_committed(source *chunk) {
    log_read *read = &chunk->read;
    if (!log_has_transactions(read->partition)) return;
    const int64_t stable_offset = log_last_stable_offset(read->partition, read->ahead);
    if (read->end_offset > stable_offset) {
        weir_bytes left = read->bytes;
        wire_batch batch;
        while (left.size > 0 && !weir_failed(wire_batch_parse_header(left, &batch)) &&
               batch.base_offset < stable_offset) {
            left.data += batch.size_bytes;
            left.size -= batch.size_bytes;
        }
        read->bytes.size -= left.size;
        read->end_offset = stable_offset;
    }
    const size_t count = log_aborted_in(read->partition, read->offset, read->end_offset, NULL, 0);
    if (count == 0) return;
    chunk->aborted = weir_alloc(&chunk->self->account, sizeof *chunk->aborted * count);
    chunk->aborted_count = log_aborted_in(read->partition, read->offset, read->end_offset, chunk->aborted, count);
}

static void chunk_read(log_read *read, weir_status status) {
    source *chunk = io_owner(read, source, read);
    bus_reader *reader = chunk->reader;
    reader->reading = false;
    if (!weir_failed(status) && !reader->closing) keep_committed(chunk);
    if (weir_failed(status) || read->bytes.size == 0 || reader->closing) {
        if (!weir_failed(status) && read->end_offset > reader->position) reader->position = read->end_offset;
        log_read_release(read);
        weir_free(&reader->self->account, chunk->aborted);
        weir_free(&reader->self->account, chunk);
        if (reader->closing) finish_close(reader);
        else if (weir_failed(status)) reader_fail(reader, weir_context(status, "reading %s-%d at offset %lld",
                                                  reader->topic, reader->partition, (long long)reader->position));
        else pump(reader);
        return;
    }
    reader->position = read->end_offset;
    atomic_fetch_add(&reader->ahead, read->bytes.size);
    const uint32_t at = atomic_load(&reader->pushed);
    reader->ring[at % BUS_EMBEDDED_CHUNKS_MAX] = chunk;
    atomic_store(&reader->pushed, at + 1);
    post_wake(reader);
    pump(reader);
}

static int64_t log_end(const bus_reader *reader, const log_partition *log) {
    return reader->self->read_ahead ? log_end_offset(log) : log_high_watermark(log);
}

static int64_t visible_end(const bus_reader *reader, const log_partition *log) {
    return log_last_stable_offset(log, reader->self->read_ahead);
}

static void resolve_position(bus_reader *reader, log_partition *log) {
    if (reader->position == BUS_OFFSET_EARLIEST) reader->position = log_start_offset(log);
    else if (reader->position == BUS_OFFSET_LATEST) reader->position = visible_end(reader, log);
}

/* The first sight of the end is told even to a reader that finds nothing: the partition may be empty. */
static void see_end(bus_reader *reader, const log_partition *log) {
    const bool first = atomic_load(&reader->end) < 0;
    if (first) atomic_store(&reader->start, reader->position);
    atomic_store(&reader->end, visible_end(reader, log));
    if (first) post_wake(reader);
}

/* What is visible grows only when the end does: behind an open transaction there may be more than was read. */
static void wait_for_more(bus_reader *reader, log_partition *log) {
    reader->waiter = (log_waiter){.job = &reader->pump_job,
                                  .lane = reader->self->broker_lane,
                                  .offset = log_end(reader, log),
                                  .ahead = reader->self->read_ahead};
    log_wait(log, &reader->waiter);
}

static bool has_room(bus_reader *reader) {
    const uint32_t queued = atomic_load(&reader->pushed) - atomic_load(&reader->popped);
    return queued < BUS_EMBEDDED_CHUNKS_MAX && atomic_load(&reader->ahead) < reader->ahead_bytes;
}

static void start_read(bus_reader *reader, log_partition *log) {
    const size_t room = reader->ahead_bytes - atomic_load(&reader->ahead);
    source *chunk = source_make(reader->self, true);
    chunk->reader = reader;
    chunk->read = (log_read){.partition = log,
                             .offset = reader->position,
                             .max_bytes = room < BUS_EMBEDDED_CHUNK_BYTES ? room : BUS_EMBEDDED_CHUNK_BYTES,
                             .ahead = reader->self->read_ahead,
                             .done = chunk_read};
    reader->reading = true;
    log_read_start(&chunk->read);
}

static void pump(bus_reader *reader) {
    if (reader->reading || reader->closing || atomic_load(&reader->failed)) return;
    log_waiter_drop(reader);
    log_partition *log = resolve(reader);
    if (!log) {
        reader_fail(reader, weir_fail(WEIR_NOT_FOUND, "reading %s-%d: there is no such topic or partition",
                                      reader->topic, reader->partition));
        return;
    }
    resolve_position(reader, log);
    see_end(reader, log);
    if (!has_room(reader)) {
        atomic_store(&reader->starved, true);
        if (!has_room(reader)) return; /* whoever makes room sees `starved` and posts the pump */
        atomic_store(&reader->starved, false);
    }
    if (reader->position >= visible_end(reader, log) && reader->position <= log_end(reader, log)) {
        wait_for_more(reader, log);
    } else {
        start_read(reader, log);
    }
}

static void pump_run(io_job *job) {
    pump(io_owner(job, bus_reader, pump_job));
}

/* What the ring still holds was never seen by the reader's side, which is gone. */
static void close_run(io_job *job) {
    bus_reader *reader = io_owner(job, bus_reader, close_job);
    reader->closing = true;
    log_waiter_drop(reader);
    for (uint32_t at = atomic_load(&reader->popped); at != atomic_load(&reader->pushed); at++) {
        data_buffer_release(&reader->ring[at % BUS_EMBEDDED_CHUNKS_MAX]->buffer);
    }
    if (!reader->reading) finish_close(reader);
}

/* ---- reader's side: walking -------------------------------------------------------------------------------------- */

static void give_room(bus_reader *reader) {
    atomic_fetch_sub(&reader->ahead, reader->chunk_bytes);
    reader->chunk_bytes = 0;
    data_buffer_release(&reader->chunk->buffer);
    reader->chunk = NULL;
    if (atomic_exchange(&reader->starved, false)) embedded_post_broker(reader->self, &reader->pump_job);
}

static bool take_chunk(bus_reader *reader) {
    const uint32_t at = atomic_load(&reader->popped);
    if (at == atomic_load(&reader->pushed)) return false;
    reader->chunk = reader->ring[at % BUS_EMBEDDED_CHUNKS_MAX];
    atomic_store(&reader->popped, at + 1);
    reader->left = reader->chunk->read.bytes;
    reader->chunk_bytes = reader->left.size;
    return true;
}

static void end_batch(bus_reader *reader) {
    if (reader->batch_source) data_buffer_release(&reader->batch_source->buffer);
    reader->batch_source = NULL;
    reader->in_batch = false;
    reader->next_offset = wire_batch_next_offset(&reader->batch);
}

static bool is_aborted(const bus_reader *reader) {
    if (!wire_batch_is(&reader->batch, WIRE_BATCH_TRANSACTIONAL)) return false;
    for (size_t i = 0; i < reader->chunk->aborted_count; i++) {
        const log_aborted *aborted = &reader->chunk->aborted[i];
        if (aborted->producer_id == reader->batch.producer_id && aborted->first_offset <= reader->batch.base_offset &&
            reader->batch.base_offset < aborted->last_offset)
            return true;
    }
    return false;
}

/* Opens the next batch of the chunk; control batches, aborted ones and what lies below the wanted offset are passed
 * over. */
static weir_status next_batch(bus_reader *reader) {
    WEIR_TRY(wire_batch_parse(reader->left, &reader->batch));
    reader->left.data += reader->batch.size_bytes;
    reader->left.size -= reader->batch.size_bytes;
    if (wire_batch_is(&reader->batch, WIRE_BATCH_CONTROL) || is_aborted(reader) ||
        wire_batch_next_offset(&reader->batch) <= reader->next_offset) {
        if (wire_batch_next_offset(&reader->batch) > reader->next_offset) {
            reader->next_offset = wire_batch_next_offset(&reader->batch);
        }
        return weir_ok();
    }
    source *target = reader->chunk;
    if (reader->batch.codec == WIRE_CODEC_NONE) {
        data_buffer_retain(&target->buffer);
    } else {
        target = source_make(reader->self, false);
    }
    const weir_status status = wire_records_open(&reader->records, &reader->batch, reader->compressor,
                                                 &target->inflated, LOG_BATCH_BYTES_MAX * (size_t)4);
    reader->batch_source = target;
    reader->in_batch = true;
    if (weir_failed(status)) end_batch(reader);
    return status;
}

/* In the record the count stands before the headers, as a zigzag varint. */
static weir_bytes with_count(const wire_record *record) {
    size_t size = 1;
    for (uint32_t zigzag = (uint32_t)record->header_count << 1; zigzag >= 0x80; zigzag >>= 7) size++;
    return weir_bytes_of(record->headers.data - size, record->headers.size + size);
}

/* Rows from the open batch, up to what the block has room for. */
static weir_status fill(bus_reader *reader, block *target, uint32_t capacity) {
    wire_record record;
    while (target->view.count < capacity) {
        if (!wire_records_next(&reader->records, &record)) {
            const weir_status status = wire_records_status(&reader->records);
            end_batch(reader);
            return status;
        }
        if (record.offset < reader->next_offset) continue;
        reader->next_offset = record.offset + 1;
        target->rows[target->view.count++] = (bus_row){.offset = record.offset,
                                                       .timestamp_ms = record.timestamp,
                                                       .key = record.key,
                                                       .value = record.value,
                                                       .headers = with_count(&record)};
    }
    return weir_ok();
}

static void block_destroy(data_buffer *buffer) { /* any lane */
    block *gone = (block *)buffer;
    data_buffer_release(&gone->source->buffer);
    weir_free(&gone->self->account, gone);
}

/* Rows that the block could get: of the open batch and, while they lie in the same memory, of those behind it. */
static uint32_t rows_ahead(const bus_reader *reader) {
    uint64_t rows = (uint64_t)reader->batch.record_count;
    weir_bytes left = reader->left;
    wire_batch batch;
    while (reader->batch.codec == WIRE_CODEC_NONE && rows < BUS_EMBEDDED_BLOCK_ROWS && left.size > 0) {
        if (weir_failed(wire_batch_parse(left, &batch)) || batch.codec != WIRE_CODEC_NONE) break;
        rows += (uint64_t)batch.record_count;
        left.data += batch.size_bytes;
        left.size -= batch.size_bytes;
    }
    return rows < BUS_EMBEDDED_BLOCK_ROWS ? (uint32_t)rows : BUS_EMBEDDED_BLOCK_ROWS;
}

/* A block of the open batch and of those that follow it in the same memory. */
static weir_status make_block(bus_reader *reader, block **result) {
    bus_embedded *self = reader->self;
    const uint32_t capacity = rows_ahead(reader);
    block *made = weir_alloc(&self->account, sizeof *made + sizeof(bus_row) * capacity);
    atomic_init(&made->view.buffer.references, 1);
    made->view.buffer.destroy = block_destroy;
    made->view.partition = reader->partition;
    made->view.rows = made->rows;
    made->self = self;
    made->source = reader->batch_source;
    data_buffer_retain(&made->source->buffer);
    weir_status status = fill(reader, made, capacity);
    while (!weir_failed(status) && made->source == reader->chunk && !reader->in_batch && reader->left.size > 0 &&
           made->view.count < capacity) {
        status = next_batch(reader);
        if (weir_failed(status) || (reader->in_batch && reader->batch_source != made->source)) break;
        if (reader->in_batch) status = fill(reader, made, capacity);
    }
    made->view.next_offset = reader->next_offset;
    made->view.high_watermark = atomic_load(&reader->end);
    *result = made;
    if (made->view.count > 0) { /* what is right goes first; the damage is told by the next call */
        if (weir_failed(status)) weir_error_set(&reader->own_error, status);
        return weir_ok();
    }
    data_buffer_release(&made->view.buffer);
    *result = NULL;
    return status;
}

static weir_status damaged(bus_reader *reader, weir_status status) {
    weir_error_set(&reader->own_error, weir_context(status, "reading %s-%d after offset %lld", reader->topic,
                                                    reader->partition, (long long)reader->next_offset));
    return weir_error_status(&reader->own_error);
}

static weir_status walk(bus_reader *reader, block **made) {
    *made = NULL;
    while (!*made) {
        if (!reader->chunk && !take_chunk(reader)) return weir_ok();
        if (!reader->in_batch && reader->left.size == 0) {
            give_room(reader);
            continue;
        }
        if (!reader->in_batch) WEIR_TRY(next_batch(reader));
        if (reader->in_batch) WEIR_TRY(make_block(reader, made));
    }
    return weir_ok();
}

weir_status embedded_reader_next(bus_reader *reader, bus_block **result) {
    *result = NULL;
    if (reader->own_error.code != WEIR_OK) return weir_error_status(&reader->own_error);
    for (;;) {
        block *made;
        const weir_status status = walk(reader, &made);
        if (weir_failed(status)) return damaged(reader, status);
        if (made) {
            *result = &made->view;
            reader->told_offset = made->view.next_offset;
            return weir_ok();
        }
        pthread_mutex_lock(&reader->lock);
        reader->parked = true;
        pthread_mutex_unlock(&reader->lock);
        const bool more = atomic_load(&reader->popped) != atomic_load(&reader->pushed);
        if (!more && atomic_load(&reader->failed)) return weir_error_status(&reader->error);
        if (!more) return weir_ok();
        pthread_mutex_lock(&reader->lock);
        reader->parked = false;
        pthread_mutex_unlock(&reader->lock);
    }
}

int64_t embedded_reader_end(bus_reader *reader) {
    const int64_t end = atomic_load(&reader->end);
    if (end < 0 || reader->next_offset < end) return end;
    /* Markers and what was aborted make no rows: whoever has all rows is at the end. */
    return reader->told_offset >= 0 ? reader->told_offset : atomic_load(&reader->start);
}

int64_t embedded_reader_start(bus_reader *reader) {
    return atomic_load(&reader->end) < 0 ? -1 : atomic_load(&reader->start);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void open_run(io_job *job) {
    bus_reader *reader = io_owner(job, bus_reader, pump_job);
    bus_embedded *self = reader->self;
    io_job_init(&reader->pump_job, pump_run);
    if (!guard_may(broker_authoriser(self->broker), self->principal, GUARD_READ, GUARD_TOPIC,
                   weir_bytes_text(reader->topic))) {
        reader_fail(reader, broker_error_status(BROKER_TOPIC_AUTHORIZATION_FAILED, "reading topic %s", reader->topic));
        return;
    }
    pump(reader);
}

weir_status embedded_reader_open(bus *base, io_lane *lane, const char *topic, int32_t partition, int64_t offset,
                                 size_t ahead_bytes, io_job *wake, bus_reader **result) {
    bus_embedded *self = (bus_embedded *)base;
    if (strlen(topic) > BUS_TOPIC_NAME_MAX || partition < 0 || offset < BUS_OFFSET_EARLIEST) {
        return weir_fail(WEIR_INVALID, "reading %.80s-%d from offset %lld: no such place", topic, partition,
                         (long long)offset);
    }
    bus_reader *reader = weir_alloc(&self->account, sizeof *reader);
    reader->self = self;
    reader->lane = lane;
    reader->wake = wake;
    reader->ahead_bytes = ahead_bytes > 0 ? ahead_bytes : 1;
    memcpy(reader->topic, topic, strlen(topic));
    reader->partition = partition;
    reader->position = offset;
    reader->next_offset = offset >= 0 ? offset : 0;
    reader->told_offset = -1;
    reader->parked = true;
    atomic_init(&reader->end, -1);
    atomic_init(&reader->start, -1);
    reader->compressor = wire_compressor_create(&self->account);
    pthread_mutex_init(&reader->lock, NULL);
    io_job_init(&reader->pump_job, open_run);
    io_job_init(&reader->close_job, close_run);
    embedded_post_broker(self, &reader->pump_job);
    *result = reader;
    return weir_ok();
}

void embedded_reader_close(bus_reader *reader) {
    pthread_mutex_lock(&reader->lock);
    reader->closed = true;
    pthread_mutex_unlock(&reader->lock);
    if (reader->in_batch) end_batch(reader);
    if (reader->chunk) data_buffer_release(&reader->chunk->buffer);
    wire_compressor_destroy(reader->compressor);
    embedded_post_broker(reader->self, &reader->close_job);
}
