/* Produce: what Kafka's LogValidator checks, sequences, and the append. Each part of a request is one batch for one
 * partition and succeeds or fails by itself; batches that wait for room keep their order. */
#include "broker/txn_int.h"

#include "base/text.h"

enum { SCRATCH_KEPT_BYTES = 1 << 20 };

/* ---- validation -------------------------------------------------------------------------------------------------- */

typedef struct verdict {
    broker_error error;
    const char *message;
} verdict;
static const verdict fine = {BROKER_NONE, NULL};

static bool timestamp_fits(const topic_limits *limits, int64_t timestamp_ms, int64_t now_ms) {
    if (timestamp_ms < 0) return timestamp_ms == -1; /* a producer that sets none */
    if (now_ms > timestamp_ms) return now_ms - timestamp_ms <= limits->timestamp_before_ms_max;
    return timestamp_ms - now_ms <= limits->timestamp_after_ms_max;
}

static verdict check_header(const topic_entry *topic, const broker_produce *produce, const broker_produce_part *part,
                            const wire_batch *batch) {
    if (batch->size_bytes != part->size)
        return (verdict){BROKER_INVALID_RECORD, "a partition takes one record batch a request"};
    if ((int64_t)batch->size_bytes > topic->limits.message_bytes_max) return (verdict){BROKER_MESSAGE_TOO_LARGE, NULL};
    if (weir_failed(wire_batch_check_crc(batch))) return (verdict){BROKER_CORRUPT_MESSAGE, "the checksum is wrong"};
    if (weir_failed(wire_batch_check_produced(batch)))
        return (verdict){BROKER_INVALID_RECORD, "the batch breaks a rule for producers"};
    if (wire_batch_is(batch, WIRE_BATCH_TRANSACTIONAL) && !produce->transactional_id.data)
        return (verdict){BROKER_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "the request names no transactional id"};
    if (batch->codec == WIRE_CODEC_ZSTD && !produce->zstd_allowed)
        return (verdict){BROKER_UNSUPPORTED_COMPRESSION_TYPE, NULL};
    return fine;
}

/* Walks the records: damage inside a compressed batch is found here and not by a consumer. */
static verdict check_records(broker_node *broker, const topic_entry *topic, const wire_batch *batch, int64_t now_ms) {
    wire_records records;
    wire_record record;
    if (weir_failed(
            wire_records_open(&records, batch, broker->compressor, &broker->scratch, BROKER_RECORDS_BYTES_MAX))) {
        return (verdict){BROKER_CORRUPT_MESSAGE, "the records cannot be decompressed"};
    }
    int32_t expected = 0;
    while (wire_records_next(&records, &record)) {
        if (record.offset_delta != expected++)
            return (verdict){BROKER_INVALID_RECORD, "the offsets inside the batch leave gaps"};
        if (topic->limits.compacted && !record.key.data)
            return (verdict){BROKER_INVALID_RECORD, "a compacted topic needs a key in every record"};
        if (!topic->limits.append_time && !timestamp_fits(&topic->limits, record.timestamp, now_ms)) {
            return (verdict){BROKER_INVALID_TIMESTAMP,
                             "a timestamp is outside message.timestamp.before.max.ms and after.max.ms"};
        }
    }
    if (weir_failed(wire_records_status(&records))) return (verdict){BROKER_CORRUPT_MESSAGE, "the records are damaged"};
    return fine;
}

/* Puts the batch into the topic's codec; *bytes then points to the broker's buffer, which the append copies from. */
static verdict recompress(broker_node *broker, const topic_entry *topic, const wire_batch *batch, uint8_t **bytes,
                          size_t *size) {
    wire_records records;
    wire_record record;
    wire_builder builder;
    if (weir_failed(
            wire_records_open(&records, batch, broker->compressor, &broker->scratch, BROKER_RECORDS_BYTES_MAX))) {
        return (verdict){BROKER_CORRUPT_MESSAGE, "the records cannot be decompressed"};
    }
    weir_buffer_clear(&broker->rebuilt);
    wire_builder_begin_at(&builder, &broker->rebuilt, batch->base_timestamp);
    while (wire_records_next(&records, &record)) wire_builder_add_record(&builder, &record);
    wire_batch_options options = wire_batch_options_default;
    options.producer_id = batch->producer_id;
    options.producer_epoch = batch->producer_epoch;
    options.base_sequence = batch->base_sequence;
    options.attributes = batch->attributes & (uint16_t)~WIRE_BATCH_CODEC_MASK;
    options.codec = topic->limits.codec;
    options.level = topic->limits.level;
    options.append_time_ms = batch->max_timestamp;
    if (weir_failed(wire_builder_finish(&builder, &options, broker->compressor, &broker->scratch))) {
        return (verdict){BROKER_MESSAGE_TOO_LARGE, "the batch is too large to be written in the topic's codec"};
    }
    *bytes = broker->rebuilt.data;
    *size = broker->rebuilt.size;
    return fine;
}

static verdict validate(broker_node *broker, const topic_entry *topic, const broker_produce *produce,
                        broker_produce_part *part, uint8_t **bytes, size_t *size) {
    wire_batch batch;
    const weir_bytes input = {part->bytes, part->size};
    const weir_status status = wire_batch_parse(input, &batch);
    if (status.code == WEIR_UNSUPPORTED)
        return (verdict){BROKER_UNSUPPORTED_FOR_MESSAGE_FORMAT, "record batches of magic 0 and 1 are not supported"};
    if (weir_failed(status)) return (verdict){BROKER_CORRUPT_MESSAGE, "the record batch is cut or damaged"};
    verdict judged = check_header(topic, produce, part, &batch);
    if (judged.error != BROKER_NONE) return judged;
    const int64_t now_ms = broker_wall_ms(broker);
    judged = check_records(broker, topic, &batch, now_ms);
    if (judged.error != BROKER_NONE) return judged;
    part->append_time_ms = -1;
    if (topic->limits.append_time) {
        wire_batch_set_append_time(part->bytes, now_ms);
        part->append_time_ms = now_ms;
        if (weir_failed(wire_batch_parse(input, &batch))) return (verdict){BROKER_CORRUPT_MESSAGE, NULL};
    }
    *bytes = part->bytes;
    *size = part->size;
    if (topic->limits.producer_codec || topic->limits.codec == batch.codec) return fine;
    return recompress(broker, topic, &batch, bytes, size);
}

/* ---- the end of parts and requests ------------------------------------------------------------------------------- */

typedef struct produce_append { /* outlives the request when nobody waits for the disk */
    broker_node *broker;
    broker_produce *produce;    /* NULL = nobody waits */
    broker_produce_part *part;
    log_batch batch;
    log_group group;
    log_barrier barrier;
} produce_append;

static void produce_done_run(io_job *job) {
    broker_produce *produce = io_owner(job, broker_produce, job);
    broker_node *broker = produce->owner;
    produce->done(produce);
    broker_operation_end(broker);
}

/* One part has its answer, or the walk over the parts is over. The last one posts the end, so that done() never runs
 * inside the call. */
static void produce_release(broker_produce *produce) {
    weir_assert(produce->waiting > 0);
    if (--produce->waiting > 0) return;
    io_job_init(&produce->job, produce_done_run);
    broker_post(produce->owner, &produce->job);
}

static void part_fail(broker_produce_part *part, broker_error error, const char *message) {
    part->error = error;
    part->message = message;
    part->base_offset = -1;
    part->append_time_ms = -1;
    part->log_start_offset = -1;
}

static void append_end(produce_append *append, weir_status status) {
    broker_node *broker = append->broker;
    if (append->produce) {
        if (weir_failed(status)) part_fail(append->part, broker_error_of(status), NULL);
        produce_release(append->produce);
    }
    weir_free(&broker->account, append);
    broker_operation_end(broker);
}

static void append_done(log_group *group, weir_status status) {
    append_end(io_owner(group, produce_append, group), status);
}
static void append_barrier(log_barrier *barrier, weir_status status) {
    append_end(io_owner(barrier, produce_append, barrier), status);
}

static produce_append *append_make(broker_node *broker, broker_produce *produce, broker_produce_part *part) {
    produce_append *append = weir_alloc(&broker->account, sizeof *append);
    *append =
        (produce_append){.broker = broker, .part = part, .group.done = append_done, .barrier.done = append_barrier};
    broker_operation_begin(broker);
    if (produce->acks == -1) {
        append->produce = produce;
        produce->waiting++;
    }
    return append;
}

/* Gives back an append that the log did not take. */
static void append_drop(produce_append *append) {
    broker_node *broker = append->broker;
    if (append->produce) append->produce->waiting--;
    weir_free(&broker->account, append);
    broker->operations--;
}

/* ---- one part ---------------------------------------------------------------------------------------------------- */

typedef enum step { STEP_DONE, STEP_PARKED } step;

static void part_duplicate(broker_node *broker, broker_produce *produce, broker_produce_part *part, log_partition *log,
                           int64_t offset) {
    part->base_offset = offset;
    part->log_start_offset = log_start_offset(log);
    produce_append *append = append_make(broker, produce, part);
    log_when_durable(log, &append->barrier);
}

static step part_append(broker_node *broker, broker_produce *produce, broker_produce_part *part, log_partition *log,
                        uint8_t *bytes, size_t size) {
    produce_append *append = append_make(broker, produce, part);
    append->batch = (log_batch){.partition = log, .bytes = bytes, .size = size};
    append->group.batches = &append->batch;
    append->group.count = 1;
    const weir_status status = log_append(broker->log, &append->group);
    if (!weir_failed(status)) {
        part->base_offset = append->batch.base_offset;
        weir_metric_add(&broker->produced_bytes, (int64_t)size);
        part->log_start_offset = log_start_offset(log);
        return STEP_DONE;
    }
    append_drop(append);
    if (status.code == WEIR_FULL) {
        log_wait_room(broker->log, &broker->room_job);
        return STEP_PARKED;
    }
    part_fail(part, broker_error_of(status), NULL);
    return STEP_DONE;
}

static broker_error sequence_error(log_sequence_verdict judged) {
    switch (judged) {
    case LOG_SEQUENCE_OUT_OF_ORDER: return BROKER_OUT_OF_ORDER_SEQUENCE_NUMBER;
    case LOG_SEQUENCE_FENCED: return BROKER_INVALID_PRODUCER_EPOCH;
    case LOG_SEQUENCE_UNKNOWN: return BROKER_UNKNOWN_PRODUCER_ID;
    default: return BROKER_NONE;
    }
}

static verdict transaction_verdict(const broker_produce *produce, broker_error error) {
    if (error == BROKER_PRODUCER_FENCED) error = BROKER_INVALID_PRODUCER_EPOCH; /* as clients know it here */
    if (error == BROKER_INVALID_TXN_STATE && produce->knows_abortable) error = BROKER_TRANSACTION_ABORTABLE;
    return (verdict){error, NULL};
}

/* Is the batch part of a transaction that may take it? *full = the log has no room for the record that says so. */
static verdict check_transaction(broker_node *broker, const topic_entry *topic, const broker_produce *produce,
                                 const broker_produce_part *part, log_partition *log, bool *full) {
    wire_batch batch;
    if (weir_failed(wire_batch_parse_header((weir_bytes){part->bytes, part->size}, &batch)))
        return (verdict){BROKER_CORRUPT_MESSAGE, NULL};
    const bool is_open = log_transaction_start(log, batch.producer_id) >= 0;
    if (!wire_batch_is(&batch, WIRE_BATCH_TRANSACTIONAL)) {
        return is_open ? (verdict){BROKER_INVALID_TXN_STATE, "the producer has a transaction open here"} : fine;
    }
    if (!is_open && log_transactions_full(broker->log)) return (verdict){BROKER_THROTTLING_QUOTA_EXCEEDED, NULL};
    const txn_target target = {.topic = weir_bytes_text(topic->info.name), .partition = part->target.partition};
    if (!produce->joins_transaction) {
        return transaction_verdict(produce, broker_txn_verify(broker, produce->transactional_id, batch.producer_id,
                                                              batch.producer_epoch, target.topic, target.partition));
    }
    txn_join join = {.id = produce->transactional_id,
                     .producer_id = batch.producer_id,
                     .epoch = batch.producer_epoch,
                     .targets = &target,
                     .target_count = 1,
                     .client_version = TXN_VERSION_EPOCHS};
    const broker_error error = broker_txn_join(broker, &join);
    *full = join.full;
    return transaction_verdict(produce, error);
}

/* One large batch does not hold its memory for ever. */
static void trim(weir_buffer *buffer) {
    if (buffer->capacity <= SCRATCH_KEPT_BYTES) return;
    const size_t max_bytes = buffer->max_bytes;
    weir_account *account = buffer->account;
    weir_buffer_deinit(buffer);
    weir_buffer_init(buffer, account, max_bytes);
}

static step part_sequence(broker_node *broker, broker_produce *produce, broker_produce_part *part, log_partition *log,
                          uint8_t *bytes, size_t size) {
    log_sequence_verdict sequence;
    int64_t duplicate_offset;
    const weir_status status = log_check_sequence(log, bytes, size, &broker->room_job, &sequence, &duplicate_offset);
    if (status.code == WEIR_BUSY) return STEP_PARKED;
    if (weir_failed(status)) {
        part_fail(part, broker_error_of(status), NULL);
    } else if (sequence == LOG_SEQUENCE_DUPLICATE) {
        part_duplicate(broker, produce, part, log, duplicate_offset);
    } else if (sequence != LOG_SEQUENCE_NEXT) {
        part_fail(part, sequence_error(sequence), NULL);
    } else {
        return part_append(broker, produce, part, log, bytes, size);
    }
    return STEP_DONE;
}

static step part_step(broker_node *broker, broker_produce *produce, broker_produce_part *part) {
    topic_entry *topic;
    log_partition *log;
    const broker_error error = broker_resolve(broker, &part->target, &topic, &log);
    const weir_bytes name = topic ? weir_bytes_text(topic->info.name) : part->target.topic;
    if (!broker_may(broker, produce->principal, GUARD_WRITE, GUARD_TOPIC, name)) {
        part_fail(part, BROKER_TOPIC_AUTHORIZATION_FAILED, NULL);
        return STEP_DONE;
    }
    if (error != BROKER_NONE || topic->info.internal) {
        part_fail(part, error != BROKER_NONE ? error : BROKER_INVALID_TOPIC_EXCEPTION, NULL);
        return STEP_DONE;
    }
    uint8_t *bytes = NULL;
    size_t size = 0;
    bool full = false;
    verdict judged = validate(broker, topic, produce, part, &bytes, &size);
    trim(&broker->scratch);
    if (judged.error == BROKER_NONE) judged = check_transaction(broker, topic, produce, part, log, &full);
    if (full) {
        log_wait_room(broker->log, &broker->room_job);
        return STEP_PARKED;
    }
    if (judged.error != BROKER_NONE) {
        part_fail(part, judged.error, judged.message);
        return STEP_DONE;
    }
    return part_sequence(broker, produce, part, log, bytes, size);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void room_push(broker_node *broker, broker_produce *produce) {
    produce->next = NULL;
    if (broker->room_last) broker->room_last->next = produce;
    else broker->room_first = produce;
    broker->room_last = produce;
}

static step produce_step(broker_node *broker, broker_produce *produce);

typedef struct produce_create { /* auto.create.topics.enable */
    broker_create_topic create; /* first */
    broker_node *broker;
    broker_produce *produce;
    size_t part;
} produce_create;

static void room_run(io_job *job) {
    broker_node *broker = io_owner(job, broker_node, room_job);
    while (broker->room_first) {
        broker_produce *produce = broker->room_first;
        if (produce_step(broker, produce) == STEP_PARKED) return;
        broker->room_first = produce->next;
        if (!produce->next) broker->room_last = NULL;
        produce_release(produce);
    }
}

static void produce_go(broker_node *broker, broker_produce *produce) {
    if (!broker->room_job.run) io_job_init(&broker->room_job, room_run);
    if (broker->room_first || produce_step(broker, produce) == STEP_PARKED) room_push(broker, produce);
    else produce_release(produce);
}

static void make_missing(broker_node *broker, broker_produce *produce, size_t from);

static void topic_made(broker_create_topic *create) {
    produce_create *made = (produce_create *)create;
    broker_node *broker = made->broker;
    broker_produce *produce = made->produce;
    const size_t next = made->part + 1;
    weir_free(&broker->account, made);
    make_missing(broker, produce, next);
}

/* Makes the missing topics, one after the other, each tried once; then the parts are taken. */
static void make_missing(broker_node *broker, broker_produce *produce, size_t from) {
    const bool wanted = produce->auto_create && broker->auto_create;
    for (size_t i = from; wanted && i < produce->part_count; i++) {
        const weir_bytes name = produce->parts[i].target.topic;
        if (!name.data || broker_topic_get(broker, name)) continue;
        produce_create *made = weir_alloc(&broker->account, sizeof *made);
        made->broker = broker;
        made->produce = produce;
        made->part = i;
        made->create = (broker_create_topic){.principal = produce->principal,
                                             .name = name,
                                             .partition_count = -1,
                                             .replication_factor = -1,
                                             .done = topic_made};
        broker_topic_create(broker, &made->create);
        return;
    }
    produce_go(broker, produce);
}

static step produce_step(broker_node *broker, broker_produce *produce) {
    while (produce->next_part < produce->part_count) {
        broker_produce_part *part = &produce->parts[produce->next_part];
        if (part_step(broker, produce, part) == STEP_PARKED) return STEP_PARKED;
        produce->next_part++;
    }
    if (produce->appended) produce->appended(produce);
    return STEP_DONE;
}

void broker_produce_start(broker_node *broker, broker_produce *produce) {
    produce->owner = broker;
    produce->next_part = 0;
    produce->waiting = 1; /* the walk over the parts */
    broker_operation_begin(broker);
    for (size_t i = 0; i < produce->part_count; i++) {
        broker_produce_part *part = &produce->parts[i];
        part->error = BROKER_NONE;
        part->message = NULL;
        part->append_time_ms = -1;
    }
    const bool wrong_acks = produce->acks < -1 || produce->acks > 1;
    const weir_bytes id = produce->transactional_id;
    const bool refused =
        id.data && !broker_may(broker, produce->principal, GUARD_WRITE, GUARD_TRANSACTIONAL_ID, id);
    if (wrong_acks || refused) {
        const broker_error error =
            wrong_acks ? BROKER_INVALID_REQUIRED_ACKS : BROKER_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        for (size_t i = 0; i < produce->part_count; i++) part_fail(&produce->parts[i], error, NULL);
        produce->next_part = produce->part_count;
    }
    make_missing(broker, produce, produce->next_part);
}

void broker_produces_stop(broker_node *broker) {
    while (broker->room_first) {
        broker_produce *produce = broker->room_first;
        broker->room_first = produce->next;
        for (; produce->next_part < produce->part_count; produce->next_part++) {
            part_fail(&produce->parts[produce->next_part], BROKER_REQUEST_TIMED_OUT, NULL);
        }
        if (produce->appended) produce->appended(produce);
        produce_release(produce);
    }
    broker->room_last = NULL;
}
