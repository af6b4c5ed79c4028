/* The start of a partition moves forward (KIP-107, DeleteRecords). A trim waits until its records are in segments, then
 * for the flush that writes the checkpoint with the new start; only then the start is seen to move, so that a crash
 * never brings it back. */
#include "log/log_int.h"

static void run_trimmed(io_job *job) {
    log_trim *trim = io_owner(job, log_trim, job);
    log_partition *partition = trim->partition;
    log_store *store = partition->store;
    store->background--;
    trim->done(trim, weir_error_status(&trim->error));
    log_partition_release(partition);
    log_store_check_stopped(store);
}

static void answer(log_trim *trim, weir_status status) {
    log_store *store = trim->partition->store;
    weir_error_set(&trim->error, status);
    log_post(store, store->lane, &trim->job);
}

void log_set_start_offset(log_trim *trim) {
    log_partition *partition = trim->partition;
    log_store *store = partition->store;
    weir_status status = log_partition_usable(partition);
    trim->error.code = WEIR_OK;
    trim->next = NULL;
    io_job_init(&trim->job, run_trimmed);
    log_partition_retain(partition);
    store->background++;
    if (!weir_failed(status) && (trim->offset < 0 || trim->offset > partition->durable_end))
        status = weir_fail(WEIR_OUT_OF_RANGE, "%s keeps offsets %lld to %lld, not %lld", partition->folder,
                           (long long)partition->start_offset, (long long)partition->durable_end,
                           (long long)trim->offset);
    if (weir_failed(status) ||
        (!trim->always && trim->offset <= partition->start_offset && !log_retention_has_leftovers(partition))) {
        answer(trim, status);
        return;
    }
    if (trim->offset > partition->trim_offset) partition->trim_offset = trim->offset;
    if (partition->flushed.present + partition->replay_count > 0) log_partition_prepare(partition);
    trim->next = store->trims;
    store->trims = trim;
    log_store_kick(store);
}

/* Does a flush that begins now carry the trim? A partition that is gone has nothing to wait for. */
static bool is_due(const log_trim *trim) {
    const log_partition *partition = trim->partition;
    return partition->deleted || partition->offline || partition->stored_end >= trim->offset;
}

bool log_trims_due(const log_store *store) {
    for (const log_trim *trim = store->trims; trim; trim = trim->next)
        if (is_due(trim)) return true;
    return false;
}

void log_trims_collect(log_store *store) {
    for (log_trim **at = &store->trims; *at;) {
        log_trim *trim = *at;
        if (!is_due(trim)) {
            at = &trim->next;
            continue;
        }
        *at = trim->next;
        trim->next = store->trims_flushing;
        store->trims_flushing = trim;
    }
}

void log_trims_end(log_store *store, weir_status status) {
    while (store->trims_flushing) {
        log_trim *trim = store->trims_flushing;
        log_partition *partition = trim->partition;
        store->trims_flushing = trim->next;
        const weir_status usable = log_partition_usable(partition);
        if (!weir_failed(status) && !weir_failed(usable) && trim->offset > partition->start_offset)
            partition->start_offset = trim->offset;
        if (!weir_failed(status) && !weir_failed(usable)) log_retention_sweep(partition);
        answer(trim, weir_failed(status) ? status : usable);
    }
}

void log_trims_fail(log_store *store, weir_status status) {
    while (store->trims) {
        log_trim *trim = store->trims;
        store->trims = trim->next;
        answer(trim, status);
    }
}

/* The store ends as a crash would end it: nobody hears of it. */
void log_trims_drop(log_store *store) {
    for (log_trim *trim = store->trims; trim; trim = trim->next) log_partition_release(trim->partition);
    for (log_trim *trim = store->trims_flushing; trim; trim = trim->next) log_partition_release(trim->partition);
    store->trims = store->trims_flushing = NULL;
}

/* ---- producers, for people who look ------------------------------------------------------------------------------ */

bool log_producer_next(const log_partition *partition, size_t *at, log_producer_info *info) {
    void *value;
    if (!weir_map_next(&partition->producers, at, NULL, &value)) return false;
    const log_producer *producer = value;
    *info = (log_producer_info){
        .id = producer->id,
        .epoch = producer->epoch,
        .last_sequence = producer->count ? producer->batches[producer->count - 1].last_sequence : -1};
    return true;
}
