/* `__transaction_state`: one record for each change of a transactional id, in Kafka's own TransactionLogKey and
 * TransactionLogValue, and back from there. Partition 0 has them all. */
#include "broker/txn_int.h"

#include <stdlib.h>

enum { VALUE_VERSION = 1, RECORD_BYTES_MAX = 12 << 20, ARENA_BYTES_MAX = 64 << 20, MARKER_BYTES = 128 };

static const char *const state_names[TXN_STATE_COUNT] = {"Empty",       "Ongoing",        "PrepareCommit",
                                                         "PrepareAbort", "CompleteCommit", "CompleteAbort"};

const char *broker_txn_state_name(txn_state state) { return state_names[state]; }

log_partition *broker_transactions_log(const broker_node *broker) {
    return broker_partition(broker, weir_bytes_text(BROKER_TRANSACTIONS_TOPIC), 0);
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

txn_entry *broker_txn_get(const broker_node *broker, weir_bytes id) {
    return weir_map_get(&broker->transactions->by_id, id);
}

txn_entry *broker_txn_make(broker_node *broker, weir_bytes id) {
    broker_transactions *all = broker->transactions;
    txn_entry *txn = broker_txn_get(broker, id);
    if (txn) return txn;
    if (all->count == TXN_IDS_MAX) return NULL;
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? all->capacity * 2 : 16;
        all->list = weir_realloc(&broker->account, all->list, sizeof(*all->list) * all->capacity);
    }
    txn = weir_alloc(&broker->account, sizeof *txn);
    txn->broker = broker;
    txn->id = broker_bytes_text(broker, id);
    txn->facts = (txn_facts){
        .producer_id = -1, .previous_producer_id = -1, .epoch = -1, .last_epoch = -1, .start_ms = -1, .update_ms = -1};
    txn->touched_ns = broker_now_ns(broker);
    broker_txn_timer_init(txn);
    weir_map_put(&all->by_id, weir_bytes_text(txn->id), txn);
    all->list[all->count++] = txn;
    return txn;
}

static void entry_free(txn_entry *txn) {
    broker_node *broker = txn->broker;
    broker_txn_partitions_clear(txn);
    weir_free(&broker->account, txn->partitions);
    weir_free(&broker->account, txn->id);
    weir_free(&broker->account, txn);
}

void broker_txn_drop(txn_entry *txn) {
    broker_node *broker = txn->broker;
    broker_transactions *all = broker->transactions;
    weir_assert(!txn->busy && txn->writes == 0 && txn->offset_appends == 0);
    io_timer_cancel(broker->world.executor, &txn->timer);
    weir_map_remove(&all->by_id, weir_bytes_text(txn->id));
    for (size_t i = 0; i < all->count; i++) {
        if (all->list[i] != txn) continue;
        all->list[i] = all->list[--all->count];
        break;
    }
    entry_free(txn);
}

void broker_transactions_open(broker_node *broker) {
    broker->transactions = weir_alloc(&broker->account, sizeof *broker->transactions);
    weir_map_init(&broker->transactions->by_id, &broker->account);
    weir_map_init(&broker->transactions->offsets, &broker->account);
}

void broker_transactions_free(broker_node *broker) {
    broker_transactions *all = broker->transactions;
    for (size_t i = 0; i < all->count; i++) entry_free(all->list[i]);
    weir_free(&broker->account, all->list);
    weir_map_deinit(&all->by_id);
    broker_txn_offsets_free(broker);
    weir_free(&broker->account, all);
}

/* ---- partitions -------------------------------------------------------------------------------------------------- */

static int compare(const txn_partition *entry, weir_bytes topic, int32_t partition) {
    const int order = weir_bytes_compare(weir_bytes_text(entry->topic), topic);
    return order != 0 ? order : (entry->partition > partition) - (entry->partition < partition);
}

static size_t place_of(const txn_entry *txn, weir_bytes topic, int32_t partition) {
    size_t low = 0, high = txn->partition_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (compare(&txn->partitions[middle], topic, partition) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

ptrdiff_t broker_txn_partition_find(const txn_entry *txn, weir_bytes topic, int32_t partition) {
    const size_t at = place_of(txn, topic, partition);
    return at < txn->partition_count && compare(&txn->partitions[at], topic, partition) == 0 ? (ptrdiff_t)at : -1;
}

bool broker_txn_partition_add(txn_entry *txn, weir_bytes topic, int32_t partition) {
    broker_node *broker = txn->broker;
    if (broker_txn_partition_find(txn, topic, partition) >= 0) return true;
    if (txn->partition_count == TXN_PARTITIONS_MAX) return false;
    if (txn->partition_count == txn->partition_capacity) {
        txn->partition_capacity = txn->partition_capacity ? txn->partition_capacity * 2 : 4;
        txn->partitions =
            weir_realloc(&broker->account, txn->partitions, sizeof(txn_partition) * txn->partition_capacity);
    }
    const size_t at = place_of(txn, topic, partition);
    memmove(txn->partitions + at + 1, txn->partitions + at, sizeof(txn_partition) * (txn->partition_count - at));
    txn->partitions[at] = (txn_partition){broker_bytes_text(broker, topic), partition};
    txn->partition_count++;
    return true;
}

void broker_txn_partitions_clear(txn_entry *txn) {
    for (size_t i = 0; i < txn->partition_count; i++) weir_free(&txn->broker->account, txn->partitions[i].topic);
    txn->partition_count = 0;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

typedef struct txn_write { /* one group on its way */
    txn_entry *txn;
    txn_change change;
    txn_facts before;
    int64_t deadline_before_ns;
    weir_buffer bytes;
    log_batch *batches;
    log_group group;
} txn_write;

static void write_free(txn_write *write) {
    weir_account *account = &write->txn->broker->account;
    weir_buffer_deinit(&write->bytes);
    weir_free(account, write->batches);
    weir_free(account, write);
}

static void write_done(log_group *group, weir_status status) {
    txn_write *write = io_owner(group, txn_write, group);
    txn_entry *txn = write->txn;
    broker_node *broker = txn->broker;
    const txn_change change = write->change;
    txn->writes--;
    if (weir_failed(status)) {
        /* Records that only add partitions may follow one another; whatever else changes comes alone. */
        if (change.markers != TXN_NO_MARKERS || change.next.state != TXN_ONGOING) txn->facts = write->before;
        txn->unwritten = true;
    } else if (change.markers != TXN_NO_MARKERS) {
        broker_txn_partitions_clear(txn);
        broker_txn_offsets_settle(broker, change.marker_producer_id, change.markers == TXN_COMMIT);
    }
    write_free(write);
    if (change.done) change.done(txn, change.owner, status);
    broker_operation_end(broker);
}

/* Topics that were deleted meanwhile need no marker. */
static weir_status add_markers(txn_write *write) {
    txn_entry *txn = write->txn;
    const txn_change *change = &write->change;
    for (size_t i = 0; i < txn->partition_count && change->markers != TXN_NO_MARKERS; i++) {
        log_partition *log =
            broker_partition(txn->broker, weir_bytes_text(txn->partitions[i].topic), txn->partitions[i].partition);
        if (!log) continue;
        const size_t start = write->bytes.size;
        WEIR_TRY(wire_marker_append(&write->bytes, change->next.update_ms, change->markers == TXN_COMMIT,
                                    change->marker_producer_id, change->marker_epoch, 0));
        write->batches[write->group.count++] = (log_batch){.partition = log, .size = write->bytes.size - start};
    }
    return weir_ok();
}

static bool fill_partitions(const txn_entry *txn, weir_arena *arena, wire_transaction_log_value *value) {
    const size_t count = txn->partition_count;
    value->transaction_partitions.items = wire_transaction_log_value_partitions_schema_new(arena, (int32_t)count);
    int32_t *numbers = weir_arena_try(arena, sizeof(int32_t) * (count + 1));
    if ((count && !value->transaction_partitions.items) || !numbers) return false;
    for (size_t i = 0; i < count; i++) {
        const txn_partition *one = &txn->partitions[i];
        numbers[i] = one->partition;
        if (i == 0 || strcmp(one->topic, txn->partitions[i - 1].topic) != 0) {
            wire_transaction_log_value_partitions_schema *topic =
                &value->transaction_partitions.items[value->transaction_partitions.count++];
            topic->topic = weir_bytes_text(one->topic);
            topic->partition_ids.items = &numbers[i];
            topic->partition_ids.count = 0;
        }
        value->transaction_partitions.items[value->transaction_partitions.count - 1].partition_ids.count++;
    }
    return true;
}

static weir_status encode_value(const txn_write *write, weir_buffer *target) {
    const txn_facts *facts = &write->change.next;
    weir_arena arena;
    wire_transaction_log_value value;
    wire_transaction_log_value_init(&value);
    weir_arena_init(&arena, &write->txn->broker->account, ARENA_BYTES_MAX);
    value.producer_id = facts->producer_id;
    value.previous_producer_id = facts->previous_producer_id;
    value.producer_epoch = facts->epoch;
    value.transaction_timeout_ms = facts->timeout_ms;
    value.transaction_status = (int8_t)facts->state;
    value.transaction_last_update_timestamp_ms = facts->update_ms;
    value.transaction_start_timestamp_ms = facts->start_ms;
    value.client_transaction_version = facts->client_version;
    weir_status status = weir_ok();
    if (facts->state == TXN_EMPTY) value.transaction_partitions.count = -1;
    else if (facts->state == TXN_ONGOING && !fill_partitions(write->txn, &arena, &value))
        status = weir_fail(WEIR_NO_MEMORY, "no memory for the partitions of a transaction");
    if (!weir_failed(status))
        status = wire_encode_versioned(WIRE_TRANSACTION_LOG_VALUE, VALUE_VERSION, &value, target);
    weir_arena_deinit(&arena);
    return status;
}

static weir_status add_record(txn_write *write, log_partition *log) {
    weir_buffer key, value;
    wire_builder builder;
    wire_transaction_log_key stored_key;
    weir_account *account = &write->txn->broker->account;
    weir_buffer_init(&key, account, RECORD_BYTES_MAX);
    weir_buffer_init(&value, account, RECORD_BYTES_MAX);
    wire_transaction_log_key_init(&stored_key);
    stored_key.transactional_id = weir_bytes_text(write->txn->id);
    const size_t start = write->bytes.size;
    weir_status status = wire_encode_record_key(WIRE_TRANSACTION_LOG_KEY, &stored_key, &key);
    if (!weir_failed(status) && !write->change.tombstone) status = encode_value(write, &value);
    wire_builder_begin(&builder, &write->bytes);
    wire_builder_add(&builder, write->change.next.update_ms, weir_buffer_view(&key),
                     write->change.tombstone ? (weir_bytes){0} : weir_buffer_view(&value), NULL, 0);
    if (weir_failed(status)) wire_builder_abandon(&builder);
    else status = wire_builder_finish(&builder, &wire_batch_options_default, NULL, NULL);
    write->batches[write->group.count++] = (log_batch){.partition = log, .size = write->bytes.size - start};
    weir_buffer_deinit(&key);
    weir_buffer_deinit(&value);
    return status;
}

weir_status broker_txn_write(txn_entry *txn, const txn_change *change) {
    broker_node *broker = txn->broker;
    log_partition *log = broker_transactions_log(broker);
    if (broker->stopping || !log) return weir_fail(WEIR_CANCELLED, "the broker is stopping");
    txn_write *write = weir_alloc(&broker->account, sizeof *write);
    write->txn = txn;
    write->change = *change;
    write->before = txn->facts;
    weir_buffer_init(&write->bytes, &broker->account, LOG_GROUP_BYTES_MAX);
    write->batches = weir_alloc(&broker->account, sizeof(log_batch) * (txn->partition_count + 1));
    write->group = (log_group){.batches = write->batches, .done = write_done};
    weir_status status = add_markers(write);
    if (!weir_failed(status)) status = add_record(write, log);
    uint8_t *at = write->bytes.data;
    for (size_t i = 0; i < write->group.count; i++) {
        write->batches[i].bytes = at;
        at += write->batches[i].size;
    }
    if (!weir_failed(status)) status = log_append(broker->log, &write->group);
    if (weir_failed(status)) {
        write_free(write);
        return status;
    }
    txn->facts = change->next;
    txn->unwritten = false;
    txn->writes++;
    txn->touched_ns = broker_now_ns(broker);
    broker_operation_begin(broker);
    return weir_ok();
}

/* ---- coming back from the log ------------------------------------------------------------------------------------ */

static weir_status replay_value(broker_node *broker, txn_entry *txn, const wire_transaction_log_value *value) {
    const int8_t state = value->transaction_status;
    if (state != TXN_EMPTY && state != TXN_ONGOING && state != TXN_COMPLETE_COMMIT && state != TXN_COMPLETE_ABORT)
        return weir_fail(WEIR_UNSUPPORTED, "transactional id %s is in state %d, which weir does not write", txn->id,
                         state);
    txn->facts = (txn_facts){.producer_id = value->producer_id,
                             .previous_producer_id = value->previous_producer_id,
                             .timeout_ms = value->transaction_timeout_ms,
                             .epoch = value->producer_epoch,
                             .last_epoch = -1,
                             .client_version = value->client_transaction_version,
                             .state = (txn_state)state,
                             .start_ms = value->transaction_start_timestamp_ms,
                             .update_ms = value->transaction_last_update_timestamp_ms};
    broker_txn_partitions_clear(txn);
    for (int32_t t = 0; t < value->transaction_partitions.count; t++) {
        const wire_transaction_log_value_partitions_schema *topic = &value->transaction_partitions.items[t];
        for (int32_t p = 0; p < topic->partition_ids.count; p++) {
            if (!broker_txn_partition_add(txn, topic->topic, topic->partition_ids.items[p]))
                return weir_fail(WEIR_FULL, "transactional id %s has more partitions than weir keeps", txn->id);
        }
    }
    txn->touched_ns = broker_now_ns(broker);
    return weir_ok();
}

static weir_status replay_record(broker_node *broker, const wire_record *record, weir_arena *arena) {
    weir_bytes input = record->key;
    int16_t kind;
    wire_transaction_log_key key;
    wire_transaction_log_value value;
    int version;
    WEIR_TRY(wire_decode_record_kind(&input, &kind));
    if (kind != 0) return weir_ok(); /* a kind that this weir has no use for */
    WEIR_TRY(wire_decode(WIRE_TRANSACTION_LOG_KEY, 0, input, arena, &key));
    if (!record->value.data) {
        txn_entry *gone = broker_txn_get(broker, key.transactional_id);
        if (gone) broker_txn_drop(gone);
        return weir_ok();
    }
    WEIR_TRY(wire_decode_versioned(WIRE_TRANSACTION_LOG_VALUE, record->value, false, arena, &value, &version));
    txn_entry *txn = broker_txn_make(broker, key.transactional_id);
    if (!txn) return weir_fail(WEIR_FULL, "more transactional ids than this weir keeps");
    return replay_value(broker, txn, &value);
}

weir_status broker_transactions_replay(broker_node *broker, const wire_record *record) {
    weir_arena arena;
    weir_arena_init(&arena, &broker->account, ARENA_BYTES_MAX);
    const weir_status status = replay_record(broker, record, &arena);
    weir_arena_deinit(&arena);
    return weir_context(status, "record at offset %lld", (long long)record->offset);
}
