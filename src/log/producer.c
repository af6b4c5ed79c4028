/* Producer state (KIP-98): the epoch and the last five batches of each idempotent producer of a partition, so that a
 * retry is recognised and a gap is refused. It follows the batch headers at append, and again at recovery: the
 * checkpoint holds it as of the durable end and the journal's batches are noted on top, so no segment is scanned.
 *
 * Bounded by LOG_PRODUCERS_MAX over all partitions: the producer that was silent longest is forgotten, as Kafka does
 * after producer.id.expiration.ms. */
#include "log/log_int.h"

static weir_bytes producer_key(const int64_t *id) {
    return weir_bytes_of(id, sizeof *id);
}

log_producer *log_producer_find(const log_partition *partition, int64_t id) {
    return weir_map_get(&partition->producers, producer_key(&id));
}

static void unlink_producer(log_store *store, log_producer *producer) {
    if (producer->previous) producer->previous->next = producer->next;
    else store->producer_first = producer->next;
    if (producer->next) producer->next->previous = producer->previous;
    else store->producer_last = producer->previous;
    store->producer_count--;
}

static void link_producer(log_store *store, log_producer *producer) {
    producer->previous = store->producer_last;
    producer->next = NULL;
    if (store->producer_last) store->producer_last->next = producer;
    else store->producer_first = producer;
    store->producer_last = producer;
    store->producer_count++;
}

static void drop_producer(log_producer *producer) {
    log_partition *partition = producer->partition;
    unlink_producer(partition->store, producer);
    weir_map_remove(&partition->producers, producer_key(&producer->id));
    weir_free(&partition->store->account, producer->batches);
    weir_free(&partition->store->account, producer);
}

log_producer *log_producer_create(log_partition *partition, int64_t id) {
    log_store *store = partition->store;
    if (store->producer_count >= LOG_PRODUCERS_MAX) drop_producer(store->producer_first);
    log_producer *producer = weir_alloc(&store->account, sizeof *producer);
    producer->id = id;
    producer->partition = partition;
    producer->epoch = -1;
    weir_map_put(&partition->producers, producer_key(&producer->id), producer);
    link_producer(store, producer);
    return producer;
}

/* Drops the oldest batches, as long as enough durable ones stay: those that are not durable may yet be taken back. */
static void trim_batches(log_producer *producer) {
    size_t drop = 0;
    while (producer->count - drop > LOG_PRODUCER_BATCHES &&
           producer->batches[drop + LOG_PRODUCER_BATCHES].end_offset <= producer->partition->durable_end)
        drop++;
    if (drop == 0) return;
    producer->count -= drop;
    memmove(producer->batches, producer->batches + drop, producer->count * sizeof *producer->batches);
}

void log_producer_push(log_producer *producer, log_producer_batch batch) {
    trim_batches(producer);
    producer->batches = log_grow(producer->partition->store, producer->batches, &producer->capacity, producer->count,
                                 sizeof *producer->batches);
    producer->batches[producer->count++] = batch;
}

void log_producer_note(log_partition *partition, const wire_batch *batch) {
    if (!wire_batch_has_producer(batch)) return;
    log_producer *producer = log_producer_find(partition, batch->producer_id);
    if (!producer) {
        producer = log_producer_create(partition, batch->producer_id);
    } else { /* it is the most recent one now */
        unlink_producer(partition->store, producer);
        link_producer(partition->store, producer);
    }
    if (batch->producer_epoch != producer->epoch) {
        producer->epoch = batch->producer_epoch;
        producer->count = 0;
    }
    if (wire_batch_is(batch, WIRE_BATCH_CONTROL) || batch->base_sequence < 0) return; /* a marker fences, no more */
    /* Recovery may meet a batch that the checkpoint's state knows already. */
    if (producer->count > 0 && producer->batches[producer->count - 1].base_offset >= batch->base_offset) return;
    log_producer_push(producer, (log_producer_batch){batch->base_sequence, wire_batch_last_sequence(batch),
                                                     batch->base_offset, wire_batch_next_offset(batch)});
}

/* The store never made what lies at or beyond `end_offset` durable: it was not appended. */
void log_producers_rewind(log_partition *partition, int64_t end_offset) {
    void *value;
    for (size_t at = 0; weir_map_next(&partition->producers, &at, NULL, &value);) {
        log_producer *producer = value;
        while (producer->count > 0 && producer->batches[producer->count - 1].base_offset >= end_offset)
            producer->count--;
    }
}

void log_producers_drop(log_partition *partition) {
    void *value;
    for (size_t at = 0; weir_map_next(&partition->producers, &at, NULL, &value);) drop_producer(value);
}

weir_status log_check_sequence(log_partition *partition, const uint8_t *bytes, size_t size, io_job *retry,
                               log_sequence_verdict *verdict, int64_t *duplicate_offset) {
    (void)retry; /* the state is in memory from the start: this implementation never has to wait */
    wire_batch batch;
    WEIR_TRY(wire_batch_parse_header(weir_bytes_of(bytes, size), &batch));
    WEIR_TRY(log_partition_usable(partition));
    *duplicate_offset = -1;
    *verdict = LOG_SEQUENCE_NEXT;
    if (!wire_batch_has_producer(&batch)) return weir_ok();
    const log_producer *producer = log_producer_find(partition, batch.producer_id);
    if (!producer) {
        if (batch.base_sequence > 0) *verdict = LOG_SEQUENCE_UNKNOWN;
        return weir_ok();
    }
    if (batch.producer_epoch < producer->epoch) {
        *verdict = LOG_SEQUENCE_FENCED;
        return weir_ok();
    }
    if (wire_batch_is(&batch, WIRE_BATCH_CONTROL)) return weir_ok();
    if (batch.producer_epoch > producer->epoch || producer->count == 0) {
        if (batch.base_sequence != 0) *verdict = LOG_SEQUENCE_OUT_OF_ORDER;
        return weir_ok();
    }
    const int32_t last = wire_batch_last_sequence(&batch);
    const size_t kept = producer->count < LOG_PRODUCER_BATCHES ? producer->count : LOG_PRODUCER_BATCHES;
    for (size_t i = producer->count - kept; i < producer->count; i++) {
        if (producer->batches[i].first_sequence != batch.base_sequence || producer->batches[i].last_sequence != last)
            continue;
        *verdict = LOG_SEQUENCE_DUPLICATE;
        *duplicate_offset = producer->batches[i].base_offset;
        return weir_ok();
    }
    const int32_t newest = producer->batches[producer->count - 1].last_sequence;
    const int32_t expected = newest == INT32_MAX ? 0 : newest + 1;
    if (batch.base_sequence != expected) *verdict = LOG_SEQUENCE_OUT_OF_ORDER;
    return weir_ok();
}
