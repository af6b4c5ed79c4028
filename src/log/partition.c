/* Partitions: known by id, opened by name, verified at first use, woken, offline, deleted. Owner lane, but for the jobs
 * that verify and delete. */
#include "base/trace.h"
#include "log/log_int.h"

#include <inttypes.h>
#include <stdio.h>

static weir_bytes id_key(const log_partition_id *id, uint8_t key[LOG_ID_BYTES]) {
    memcpy(key, id->topic_id, 16);
    memcpy(key + 16, &id->partition, 4);
    return weir_bytes_of(key, LOG_ID_BYTES);
}

log_partition *log_partition_find(const log_store *store, const log_partition_id *id) {
    uint8_t key[LOG_ID_BYTES];
    return weir_map_get(&store->partitions, id_key(id, key));
}

static void run_prepare(io_job *job);
static void run_prepared(io_job *job);
static void run_delete(io_job *job);
static void run_deleted(io_job *job);

log_partition *log_partition_create(log_store *store, const log_partition_id *id) {
    uint8_t key[LOG_ID_BYTES];
    log_partition *partition = weir_alloc(&store->account, sizeof *partition);
    partition->store = store;
    partition->id = *id;
    partition->serial = store->next_serial++;
    partition->references = 1;
    partition->swap.base = -1;
    atomic_init(&partition->segment_bytes, store->segment_bytes);
    atomic_init(&partition->segment_ms, 0);
    atomic_init(&partition->roll_at, 0);
    weir_map_init(&partition->producers, &store->account);
    io_job_init(&partition->prepare_job, run_prepare);
    io_job_init(&partition->prepared_job, run_prepared);
    io_job_init(&partition->delete_job, run_delete);
    io_job_init(&partition->deleted_job, run_deleted);
    weir_map_put(&store->partitions, id_key(id, key), partition);
    return partition;
}

void log_partition_retain(log_partition *partition) {
    partition->references++;
}

static void free_prepared(log_partition *partition) {
    weir_account *account = &partition->store->account;
    if (partition->prepared) weir_free(account, partition->prepared->segments);
    weir_free(account, partition->prepared);
    partition->prepared = NULL;
}

void log_partition_release(log_partition *partition) {
    weir_account *account = &partition->store->account;
    weir_assert(partition->references > 0);
    if (--partition->references > 0) return;
    log_partition_mark_clean(partition);
    log_producers_drop(partition);
    log_transactions_drop(partition);
    weir_map_deinit(&partition->producers);
    free_prepared(partition);
    weir_free(account, partition->segments);
    weir_free(account, partition->replay);
    weir_free(account, partition->epochs);
    weir_free(account, partition->tail);
    weir_free(account, partition->why);
    weir_free(account, partition->blocked_queries);
    weir_free(account, partition);
}

weir_status log_partition_usable(const log_partition *partition) {
    if (partition->deleted) return weir_fail(WEIR_NOT_FOUND, "%s is deleted", partition->folder);
    if (partition->offline) return weir_error_status(partition->why);
    return weir_ok();
}

/* ---- open -------------------------------------------------------------------------------------------------------- */

weir_status log_partition_open(log_store *store, const log_partition_id *id, const char *topic,
                               const log_partition_config *config, log_partition **opened) {
    if (strlen(topic) == 0 || strlen(topic) > LOG_TOPIC_NAME_MAX || strchr(topic, '/') || id->partition < 0)
        return weir_fail(WEIR_INVALID, "\"%s\" partition %d: a topic's name has 1 to %d characters and no slash", topic,
                         id->partition, LOG_TOPIC_NAME_MAX);
    log_partition *partition = log_partition_find(store, id);
    if (partition && partition->claimed) return weir_fail(WEIR_EXISTS, "%s is open already", partition->folder);
    if (partition && partition->gap)
        return weir_fail(WEIR_CORRUPT, "%s-%d: the journal does not go on at offset %" PRId64
                         ", where the checkpoint ends; restore the folder from a copy or delete the topic",
                         topic, id->partition, partition->end_offset);
    if (!partition) partition = log_partition_create(store, id);
    snprintf(partition->folder, sizeof partition->folder, "%s-%d", topic, id->partition);
    partition->claimed = true;
    if (config) log_partition_configure(partition, config);
    *opened = partition;
    return weir_ok();
}

void log_partition_configure(log_partition *partition, const log_partition_config *config) {
    atomic_store_explicit(&partition->segment_bytes,
                          config->segment_bytes ? config->segment_bytes : partition->store->segment_bytes,
                          memory_order_relaxed);
    atomic_store_explicit(&partition->segment_ms, config->segment_ms, memory_order_relaxed);
    partition->retention_bytes = config->retention_bytes;
    partition->retention_ms = config->retention_ms;
    partition->compacted = config->compacted;
    partition->dirty_ratio = config->dirty_ratio;
    partition->compaction_lag_ms = config->compaction_lag_ms;
    partition->delete_retention_ms = config->delete_retention_ms;
    if (partition->end_offset > partition->start_offset) log_retention_want(partition);
}

int64_t log_start_offset(const log_partition *partition) {
    return partition->start_offset;
}

int64_t log_high_watermark(const log_partition *partition) {
    return partition->durable_end;
}

int64_t log_end_offset(const log_partition *partition) {
    return partition->end_offset;
}

int32_t log_leader_epoch(const log_partition *partition) {
    return partition->store->leader_epoch;
}

uint64_t log_size_bytes(const log_partition *partition) {
    return partition->size_bytes;
}

/* ---- leader epochs ----------------------------------------------------------------------------------------------- */

void log_partition_note_epoch(log_partition *partition, int32_t epoch, int64_t start_offset) {
    if (partition->epoch_count > 0 && partition->epochs[partition->epoch_count - 1].epoch >= epoch) return;
    partition->epochs = log_grow(partition->store, partition->epochs, &partition->epoch_capacity,
                                 partition->epoch_count, sizeof *partition->epochs);
    partition->epochs[partition->epoch_count++] = (log_epoch){epoch, start_offset};
}

void log_epoch_end(const log_partition *partition, int32_t epoch, int32_t *found_epoch, int64_t *end_offset) {
    *found_epoch = -1;
    *end_offset = -1;
    if (epoch == partition->store->leader_epoch) {
        *found_epoch = epoch;
        *end_offset = partition->durable_end;
        return;
    }
    for (size_t i = 0; i < partition->epoch_count && partition->epochs[i].epoch <= epoch; i++) {
        *found_epoch = partition->epochs[i].epoch;
        *end_offset = i + 1 < partition->epoch_count ? partition->epochs[i + 1].start_offset : partition->durable_end;
    }
}

/* The store could not make anything from `end_offset` on durable: as if it had never been appended. */
void log_partition_rewind(log_partition *partition, int64_t end_offset) {
    partition->end_offset = end_offset;
    while (partition->epoch_count > 0 && partition->epochs[partition->epoch_count - 1].start_offset >= end_offset)
        partition->epoch_count--;
    log_producers_rewind(partition, end_offset);
    log_transactions_rewind(partition, end_offset);
}

/* ---- dirty: in the journal, not surely in synced segments -------------------------------------------------------- */

void log_partition_mark_dirty(log_partition *partition, uint64_t sequence) {
    log_store *store = partition->store;
    if (partition->unflushed_sequence != 0) return;
    partition->unflushed_sequence = sequence;
    partition->dirty_previous = store->dirty_last;
    partition->dirty_next = NULL;
    if (store->dirty_last) store->dirty_last->dirty_next = partition;
    else store->dirty_first = partition;
    store->dirty_last = partition;
}

void log_partition_mark_clean(log_partition *partition) {
    log_store *store = partition->store;
    if (partition->unflushed_sequence == 0) return;
    partition->unflushed_sequence = 0;
    if (partition->dirty_previous) partition->dirty_previous->dirty_next = partition->dirty_next;
    else store->dirty_first = partition->dirty_next;
    if (partition->dirty_next) partition->dirty_next->dirty_previous = partition->dirty_previous;
    else store->dirty_last = partition->dirty_previous;
}

/* ---- verify at first use ----------------------------------------------------------------------------------------- */

static void run_prepare(io_job *job) { /* store lane */
    log_partition *partition = io_owner(job, log_partition, prepare_job);
    log_writer *writer = &partition->writer;
    weir_status status = weir_ok();
    if (!writer->dropped && !writer->failed) status = log_writer_prepare(partition);
    if (weir_failed(status) && status.code != WEIR_DISK_FULL && status.code != WEIR_NO_MEMORY) writer->failed = true;
    if (!writer->failed || weir_failed(status)) weir_error_set(&partition->prepare_error, status);
    log_post(partition->store, partition->store->lane, &partition->prepared_job);
}

/* Takes over what verifying found; does nothing when there is nothing new. */
void log_partition_install(log_partition *partition) {
    log_prepared *prepared = partition->prepared;
    if (!prepared) return;
    partition->ready = true;
    partition->segments = prepared->segments;
    partition->segment_count = partition->segment_capacity = prepared->count;
    partition->index_count = prepared->index_count;
    partition->time_count = prepared->time_count;
    partition->stored_end = partition->replay_count ? partition->replay[partition->replay_count - 1].end_offset
                                                    : partition->stored_end;
    if (partition->flushed.present) {
        partition->size_bytes -= partition->flushed.older_bytes;
        partition->flushed = log_retention_mark(partition, 0);
        partition->flushed.first_max_timestamp = partition->segments[0].max_timestamp;
        partition->size_bytes += partition->flushed.older_bytes;
        partition->swap.base = -1;
    }
    log_retention_want(partition);
    prepared->segments = NULL;
    free_prepared(partition);
    weir_free(&partition->store->account, partition->replay);
    partition->replay = NULL;
    partition->replay_count = partition->replay_capacity = 0;
}

static void run_prepared(io_job *job) {
    log_partition *partition = io_owner(job, log_partition, prepared_job);
    log_store *store = partition->store;
    const weir_status status = weir_error_status(&partition->prepare_error);
    partition->preparing = false;
    log_partition_install(partition);
    if (weir_failed(status) && status.code == WEIR_DISK_FULL) log_store_disk_full(store, status);
    else if (weir_failed(status) && status.code != WEIR_NO_MEMORY) log_partition_set_offline(partition, status);
    log_reader_start_blocked(partition);
    store->background--;
    log_store_kick(store);
    log_partition_release(partition);
    log_store_check_stopped(store);
}

void log_partition_prepare(log_partition *partition) {
    if (partition->preparing || partition->ready) return;
    partition->preparing = true;
    partition->store->background++;
    log_partition_retain(partition);
    log_post(partition->store, partition->store->store_lane, &partition->prepare_job);
}

void log_partition_set_offline(log_partition *partition, weir_status why) {
    if (partition->offline) return;
    partition->why = weir_alloc(&partition->store->account, sizeof *partition->why);
    weir_error_set(partition->why, why);
    partition->offline = true;
    weir_trace(WEIR_ERROR, "log", "partition %s offline: %s", partition->folder, why.text);
    log_partition_wake(partition);
}

/* ---- waiters ----------------------------------------------------------------------------------------------------- */

static void unlink_waiter(log_waiter *waiter) {
    if (waiter->previous) waiter->previous->next = waiter->next;
    else waiter->partition->waiters = waiter->next;
    if (waiter->next) waiter->next->previous = waiter->previous;
    waiter->waiting = false;
}

static bool is_served(const log_partition *partition, const log_waiter *waiter) {
    return partition->deleted || partition->offline ||
           (waiter->ahead ? partition->end_offset : partition->durable_end) > waiter->offset;
}

void log_partition_wake(log_partition *partition) {
    for (log_waiter *waiter = partition->waiters, *next; waiter; waiter = next) {
        next = waiter->next;
        if (!is_served(partition, waiter)) continue;
        unlink_waiter(waiter);
        log_post(partition->store, waiter->lane, waiter->job);
    }
}

void log_wait(log_partition *partition, log_waiter *waiter) {
    weir_assert(!waiter->waiting);
    waiter->partition = partition;
    if (is_served(partition, waiter)) {
        log_post(partition->store, waiter->lane, waiter->job);
        return;
    }
    waiter->waiting = true;
    waiter->previous = NULL;
    waiter->next = partition->waiters;
    if (waiter->next) waiter->next->previous = waiter;
    partition->waiters = waiter;
}

void log_wait_cancel(log_waiter *waiter) {
    if (waiter->waiting) unlink_waiter(waiter);
}

/* ---- delete ------------------------------------------------------------------------------------------------------ */

/* Store lane: behind every write to the folder that was posted before, ahead of those of a new topic of the same name.
 * The folder is renamed first, so that a namesake finds none. */
static void run_delete(io_job *job) {
    log_partition *partition = io_owner(job, log_partition, delete_job);
    log_store *store = partition->store;
    char path[LOG_PATH_MAX], grave[LOG_PATH_MAX], folder[LOG_FOLDER_MAX + 64];
    snprintf(folder, sizeof folder, "%s.%016" PRIx64 "-delete", partition->folder,
             io_random_u64(store->world->random));
    partition->writer.dropped = true;
    log_descriptors_forget(partition);
    weir_status status = log_path(store, path, "%s", partition->folder);
    if (!weir_failed(status)) status = log_path(store, grave, "%s", folder);
    if (!weir_failed(status)) status = io_rename(store->files, path, grave);
    if (!weir_failed(status)) status = log_folder_remove(store, folder);
    if (weir_failed(status) && status.code != WEIR_NOT_FOUND)
        weir_trace(WEIR_WARN, "log", "files of the deleted %s stay until the next start: %s", partition->folder,
                   status.text);
    log_post(store, store->lane, &partition->deleted_job);
}

static void run_deleted(io_job *job) {
    log_partition *partition = io_owner(job, log_partition, deleted_job);
    log_store *store = partition->store;
    store->background--;
    log_partition_release(partition); /* the job's */
    log_store_kick(store);
    log_store_check_stopped(store);
}

void log_partition_delete(log_partition *partition) {
    log_store *store = partition->store;
    uint8_t key[LOG_ID_BYTES];
    partition->deleted = true;
    weir_map_remove(&store->partitions, id_key(&partition->id, key));
    log_partition_mark_clean(partition);
    log_partition_wake(partition);
    store->background++;
    log_post(store, store->store_lane, &partition->delete_job); /* keeps the reference that the map had */
}

void log_partition_disown(log_partition *partition) {
    weir_assert(partition->claimed && !partition->deleted);
    partition->claimed = false;
}

/* ---- orphans ----------------------------------------------------------------------------------------------------- */

typedef struct orphans {
    io_job job, done_job;
    log_store *store;
    weir_map claimed; /* folder -> the store, as a mark */
} orphans;

/* `<topic>-<n>`, or a folder whose deletion was cut short. */
static bool is_partition_folder(const char *name) {
    const char *dash = strrchr(name, '-');
    if (!dash || dash == name) return false;
    if (strcmp(dash, "-delete") == 0) return true;
    if (dash[1] == '\0') return false;
    for (const char *at = dash + 1; *at; at++)
        if (*at < '0' || *at > '9') return false;
    return true;
}

static weir_status remove_orphan(orphans *work, const char *name) {
    log_store *store = work->store;
    char path[LOG_PATH_MAX];
    io_file_info info;
    if (!is_partition_folder(name) || weir_map_get_text(&work->claimed, name)) return weir_ok();
    WEIR_TRY(log_path(store, path, "%s", name));
    WEIR_TRY(io_path_info(store->files, path, &info));
    if (!info.is_directory) return weir_ok();
    weir_trace(WEIR_INFO, "log", "folder %s belongs to no topic: removed", name);
    return log_folder_remove(store, name);
}

static void run_orphans(io_job *job) { /* store lane: before any folder of a partition opened later is made */
    orphans *work = io_owner(job, orphans, job);
    weir_buffer names;
    weir_buffer_init(&names, &work->store->account, SIZE_MAX / 2);
    weir_status status = log_folder_list(work->store, "", &names);
    for (size_t at = 0; at < names.size; at += strlen((char *)names.data + at) + 1) {
        const weir_status removed = remove_orphan(work, (char *)names.data + at);
        if (weir_failed(removed)) status = removed;
    }
    weir_buffer_deinit(&names);
    if (weir_failed(status)) weir_trace(WEIR_WARN, "log", "looking for orphans: %s", status.text);
    log_post(work->store, work->store->lane, &work->done_job);
}

static void run_orphans_done(io_job *job) {
    orphans *work = io_owner(job, orphans, done_job);
    log_store *store = work->store;
    weir_map_deinit(&work->claimed);
    weir_free(&store->account, work);
    store->background--;
    log_store_check_stopped(store);
}

void log_remove_orphans(log_store *store) {
    orphans *work = weir_alloc(&store->account, sizeof *work);
    void *value;
    work->store = store;
    weir_map_init(&work->claimed, &store->account);
    io_job_init(&work->job, run_orphans);
    io_job_init(&work->done_job, run_orphans_done);
    for (size_t at = 0; weir_map_next(&store->partitions, &at, NULL, &value);) {
        log_partition *partition = value;
        if (partition->claimed) {
            weir_map_put(&work->claimed, weir_bytes_text(partition->folder), store);
        } else { /* nobody will ask for what the checkpoint and the journal still have of it */
            uint8_t key[LOG_ID_BYTES];
            weir_map_remove(&store->partitions, id_key(&partition->id, key));
            log_partition_release(partition);
        }
    }
    store->background++;
    log_post(store, store->store_lane, &work->job);
}
