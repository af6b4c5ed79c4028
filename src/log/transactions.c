/* Transactions of a partition (KIP-98): which are open and which were aborted. From the first follows the last stable
 * offset, from the second what a reader of committed records passes over.
 *
 * The state follows the batch headers at append, and again at recovery: the checkpoint holds it as of the durable end
 * and the journal's batches are noted on top, so no segment is scanned. `noted_end` says how far it has come, because
 * recovery may meet batches that the checkpoint's state knows already. A transaction that has its marker stays listed
 * until the marker is durable: before that its records are not stable. */
#include "log/log_int.h"

static bool is_open(const log_transaction *transaction) {
    return transaction->marker_offset < 0;
}

/* The open transaction of a producer; count when there is none. */
static size_t find_open(const log_transactions *list, int64_t producer_id) {
    size_t at = 0;
    while (at < list->open_count && (list->open[at].producer_id != producer_id || !is_open(&list->open[at]))) at++;
    return at;
}

/* What the disk has needs no listing any more. */
static void forget_ended(log_partition *partition) {
    log_transactions *list = &partition->transactions;
    size_t kept = 0;
    for (size_t i = 0; i < list->open_count; i++) {
        if (!is_open(&list->open[i]) && list->open[i].marker_offset < partition->durable_end) continue;
        list->open[kept++] = list->open[i];
    }
    list->open_count = kept;
}

static void forget_deleted(log_partition *partition) {
    log_transactions *list = &partition->transactions;
    size_t gone = 0;
    while (gone < list->aborted_count && list->aborted[gone].last_offset < partition->start_offset) gone++;
    if (gone == 0) return;
    list->aborted_count -= gone;
    partition->store->transaction_count -= gone;
    memmove(list->aborted, list->aborted + gone, list->aborted_count * sizeof *list->aborted);
}

void log_transaction_begin(log_partition *partition, int64_t producer_id, int64_t first_offset) {
    log_transactions *list = &partition->transactions;
    log_store *store = partition->store;
    list->open = log_grow(store, list->open, &list->open_capacity, list->open_count, sizeof *list->open);
    list->open[list->open_count++] = (log_transaction){producer_id, first_offset, -1};
    store->transaction_count++;
}

void log_transaction_add_aborted(log_partition *partition, const log_aborted *aborted) {
    log_transactions *list = &partition->transactions;
    list->aborted =
        log_grow(partition->store, list->aborted, &list->aborted_capacity, list->aborted_count, sizeof *list->aborted);
    list->aborted[list->aborted_count++] = *aborted;
}

static int64_t first_open(const log_transactions *list, int64_t end_offset) {
    for (size_t i = 0; i < list->open_count; i++)
        if (is_open(&list->open[i])) return list->open[i].first_offset;
    return end_offset;
}

static void end_transaction(log_partition *partition, const wire_batch *batch, bool commit) {
    log_transactions *list = &partition->transactions;
    const size_t at = find_open(list, batch->producer_id);
    if (at == list->open_count) return; /* a marker for a producer that has written nothing here */
    list->open[at].marker_offset = batch->base_offset;
    if (commit) {
        partition->store->transaction_count--;
        return;
    }
    forget_deleted(partition);
    const log_aborted aborted = {.producer_id = batch->producer_id,
                                 .first_offset = list->open[at].first_offset,
                                 .last_offset = batch->base_offset,
                                 .stable_offset = first_open(list, wire_batch_next_offset(batch))};
    log_transaction_add_aborted(partition, &aborted);
}

/* false = no marker: another control batch. */
static bool parse_marker(const wire_batch *batch, bool *commit) {
    wire_records records;
    wire_record record;
    int16_t control;
    if (weir_failed(wire_records_open(&records, batch, NULL, NULL, 0)) || !wire_records_next(&records, &record) ||
        !wire_control_of(&record, &control))
        return false;
    *commit = control == WIRE_CONTROL_COMMIT;
    return control == WIRE_CONTROL_COMMIT || control == WIRE_CONTROL_ABORT;
}

void log_transaction_note(log_partition *partition, const wire_batch *batch) {
    log_transactions *list = &partition->transactions;
    if (batch->base_offset < list->noted_end) return;
    list->noted_end = wire_batch_next_offset(batch);
    if (!wire_batch_is(batch, WIRE_BATCH_TRANSACTIONAL)) return;
    forget_ended(partition);
    bool commit;
    if (!wire_batch_is(batch, WIRE_BATCH_CONTROL)) {
        if (find_open(list, batch->producer_id) == list->open_count)
            log_transaction_begin(partition, batch->producer_id, batch->base_offset);
    } else if (parse_marker(batch, &commit)) {
        end_transaction(partition, batch, commit);
    }
}

/* The store never made what lies at or beyond `end_offset` durable: it was not appended. */
void log_transactions_rewind(log_partition *partition, int64_t end_offset) {
    log_transactions *list = &partition->transactions;
    log_store *store = partition->store;
    while (list->aborted_count > 0 && list->aborted[list->aborted_count - 1].last_offset >= end_offset) {
        list->aborted_count--;
        store->transaction_count--;
    }
    size_t kept = 0;
    for (size_t i = 0; i < list->open_count; i++) {
        log_transaction *transaction = &list->open[i];
        const bool reopens = transaction->marker_offset >= end_offset;
        if (reopens) {
            transaction->marker_offset = -1;
            store->transaction_count++;
        }
        if (transaction->first_offset >= end_offset) {
            store->transaction_count--;
            continue;
        }
        list->open[kept++] = *transaction;
    }
    list->open_count = kept;
    if (list->noted_end > end_offset) list->noted_end = end_offset;
}

void log_transactions_drop(log_partition *partition) {
    log_transactions *list = &partition->transactions;
    log_store *store = partition->store;
    store->transaction_count -= list->aborted_count;
    for (size_t i = 0; i < list->open_count; i++) store->transaction_count -= is_open(&list->open[i]);
    weir_free(&store->account, list->open);
    weir_free(&store->account, list->aborted);
    *list = (log_transactions){0};
}

#ifdef LOG_MUTANT_STABLE_EARLY
enum { MARKER_MUST_BE_DURABLE = false };
#else
enum { MARKER_MUST_BE_DURABLE = true };
#endif

/* ---- what others ask --------------------------------------------------------------------------------------------- */

int64_t log_last_stable_offset(const log_partition *partition, bool ahead) {
    const log_transactions *list = &partition->transactions;
    const int64_t end = ahead ? partition->end_offset : partition->durable_end;
    for (size_t i = 0; i < list->open_count; i++) {
        const log_transaction *transaction = &list->open[i];
        const bool stable = !is_open(transaction) && (transaction->marker_offset < end || !MARKER_MUST_BE_DURABLE);
        if (stable) continue;
        const int64_t first = transaction->first_offset; /* its records may have been deleted */
        return first >= end ? end : first > partition->start_offset ? first : partition->start_offset;
    }
    return end;
}

bool log_has_transactions(const log_partition *partition) {
    return partition->transactions.open_count > 0 || partition->transactions.aborted_count > 0;
}

int64_t log_transaction_start(const log_partition *partition, int64_t producer_id) {
    const log_transactions *list = &partition->transactions;
    const size_t at = find_open(list, producer_id);
    return at < list->open_count ? list->open[at].first_offset : -1;
}

size_t log_aborted_in(const log_partition *partition, int64_t from, int64_t to, log_aborted *found, size_t found_max) {
    const log_transactions *list = &partition->transactions;
    size_t low = 0, high = list->aborted_count, count = 0;
    while (low < high) { /* their markers stand in order */
        const size_t middle = low + (high - low) / 2;
        if (list->aborted[middle].last_offset < from) low = middle + 1;
        else high = middle;
    }
    for (size_t i = low; i < list->aborted_count; i++) {
        const log_aborted *aborted = &list->aborted[i];
        if (aborted->first_offset < to) {
            if (count < found_max) found[count] = *aborted;
            count++;
        }
        if (aborted->stable_offset >= to) break; /* whatever ended later began there or behind */
    }
    return count;
}

bool log_transactions_full(const log_store *store) {
    return store->transaction_count >= LOG_TRANSACTIONS_MAX;
}
