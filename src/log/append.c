/* Rounds: groups join the one that is forming; the journal syncs one round at a time while the next one forms; then its
 * batches go into the segments; then it is kept for readers while the tail's budget lasts. Owner lane, but for the job
 * that writes segments. */
#include "base/trace.h"
#include "log/log_int.h"

#include <inttypes.h>

/* ---- the tail: a partition's batches that are in memory ---------------------------------------------------------- */

log_tail_item *log_tail_at(const log_partition *partition, size_t index) {
    weir_assert(index < partition->tail_count);
    return &partition->tail[(partition->tail_head + index) & (partition->tail_capacity - 1)];
}

log_entry *log_tail_entry(const log_partition *partition, size_t index) {
    const log_tail_item *item = log_tail_at(partition, index);
    return &item->round->entries[item->index];
}

/* The first batch that ends behind `offset`; tail_count when there is none. */
size_t log_tail_find(const log_partition *partition, int64_t offset) {
    size_t low = 0, high = partition->tail_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (log_tail_entry(partition, middle)->end_offset <= offset) low = middle + 1;
        else high = middle;
    }
    return low;
}

static void push_tail(log_partition *partition, log_round *round, size_t index) {
    if (partition->tail_count == partition->tail_capacity) {
        const size_t capacity = partition->tail_capacity ? 2 * partition->tail_capacity : 4;
        log_tail_item *tail = weir_alloc(&partition->store->account, capacity * sizeof *tail);
        for (size_t i = 0; i < partition->tail_count; i++) tail[i] = *log_tail_at(partition, i);
        weir_free(&partition->store->account, partition->tail);
        partition->tail = tail;
        partition->tail_head = 0;
        partition->tail_capacity = capacity;
    }
    partition->tail_count++;
    *log_tail_at(partition, partition->tail_count - 1) = (log_tail_item){round, index};
}

static void free_empty_tail(log_partition *partition) {
    if (partition->tail_count > 0) return;
    weir_free(&partition->store->account, partition->tail);
    partition->tail = NULL;
    partition->tail_head = partition->tail_capacity = 0;
}

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

static log_round *create_round(log_store *store) {
    log_round *round = weir_alloc(&store->account, sizeof *round);
    round->store = store;
    round->sequence = store->next_sequence++;
    if (store->rounds_last) store->rounds_last->next = round;
    else store->rounds = round;
    store->rounds_last = store->forming = round;
    if (!store->sync_next) store->sync_next = round;
    if (!store->store_next) store->store_next = round;
    return round;
}

void log_round_free(log_round *round) {
    log_store *store = round->store;
    for (log_chunk *chunk = round->chunk_first, *next; chunk; chunk = next) {
        next = chunk->next;
        weir_free(&store->tail_account, chunk);
    }
    weir_free(&store->account, round->entries);
    weir_free(&store->account, round);
}

static void unlink_oldest(log_store *store) {
    log_round *round = store->rounds;
    store->rounds = round->next;
    if (!store->rounds) store->rounds_last = NULL;
    store->kept_bytes -= round->memory_bytes;
    for (size_t i = 0; i < round->entry_count; i++) {
        log_partition *partition = round->entries[i].partition;
        weir_assert(log_tail_at(partition, 0)->round == round);
        partition->tail_head = (partition->tail_head + 1) & (partition->tail_capacity - 1);
        partition->tail_count--;
        free_empty_tail(partition);
        log_partition_release(partition);
    }
    round->evicted = true;
    if (round->loans == 0) log_round_free(round);
}

/* Frees the oldest rounds, as far as they are in segments, until the rest fits the budget. */
void log_rounds_evict(log_store *store) {
    while (store->kept_bytes > store->tail_bytes_max && store->rounds && store->rounds != store->store_next)
        unlink_oldest(store);
}

static log_chunk *chunk_for(log_store *store, log_round *round, size_t bytes) {
    log_chunk *last = round->chunk_last;
    if (last && last->capacity - last->size >= bytes) return last;
    size_t capacity = last ? 2 * last->capacity : LOG_CHUNK_BYTES_MIN;
    if (capacity > LOG_CHUNK_BYTES_MAX) capacity = LOG_CHUNK_BYTES_MAX;
    if (capacity < bytes) capacity = bytes;
    log_chunk *chunk = weir_try_alloc_raw(&store->tail_account, sizeof *chunk + capacity);
    if (!chunk) return NULL;
    *chunk = (log_chunk){.capacity = capacity};
    if (last) last->next = chunk;
    else round->chunk_first = chunk;
    round->chunk_last = chunk;
    round->memory_bytes += capacity;
    store->kept_bytes += capacity;
    return chunk;
}

/* ---- log_append -------------------------------------------------------------------------------------------------- */

static weir_status check_store(log_store *store) {
    if (store->stopping) return weir_fail(WEIR_CLOSED, "the log is stopping");
    if (store->failed) return weir_error_status(&store->why);
    if (!store->disk_full) return weir_ok();
    if (io_now_ns(store->world->clock) < store->retry_at_ns) return weir_error_status(&store->why);
    store->disk_full = false; /* this append finds out */
    log_store_kick(store);
    return weir_ok();
}

static weir_status check_batch(const log_store *store, const log_batch *batch, wire_batch *header) {
    if (batch->partition->store != store) return weir_fail(WEIR_INVALID, "a partition of another store");
    WEIR_TRY(log_partition_usable(batch->partition));
    if (batch->size > LOG_BATCH_BYTES_MAX)
        return weir_fail(WEIR_INVALID, "%s: a batch of %zu bytes, allowed are %d", batch->partition->folder,
                         batch->size, LOG_BATCH_BYTES_MAX);
    WEIR_TRY(wire_batch_parse(weir_bytes_of(batch->bytes, batch->size), header));
    if (header->size_bytes != batch->size)
        return weir_fail(WEIR_INVALID, "%s: a batch of %zu bytes in %zu bytes", batch->partition->folder,
                         header->size_bytes, batch->size);
    if (batch->has_expected && batch->partition->end_offset != batch->expected_offset)
        return weir_fail(WEIR_FENCED, "%s ends at offset %" PRId64 ", the batch is for offset %" PRId64,
                         batch->partition->folder, batch->partition->end_offset, batch->expected_offset);
    return weir_ok();
}

static weir_status check_group(log_store *store, const log_group *group, size_t *bytes) {
    WEIR_TRY(check_store(store));
    *bytes = 0;
    if (group->count == 0) return weir_fail(WEIR_INVALID, "a group without batches");
    for (size_t i = 0; i < group->count; i++) {
        wire_batch header;
        WEIR_TRY(check_batch(store, &group->batches[i], &header));
        *bytes += group->batches[i].size;
    }
    if (*bytes > LOG_GROUP_BYTES_MAX)
        return weir_fail(WEIR_INVALID, "a group of %zu bytes, allowed are %d", *bytes, LOG_GROUP_BYTES_MAX);
    if (store->pending_bytes + *bytes > LOG_PENDING_BYTES_MAX)
        return weir_fail(WEIR_FULL, "%zu bytes wait for the disk, at most %d may", store->pending_bytes,
                         LOG_PENDING_BYTES_MAX);
    return weir_ok();
}

static void join_round(log_round *round, log_chunk *chunk, log_batch *batch) {
    log_partition *partition = batch->partition;
    log_store *store = partition->store;
    wire_batch_set_base_offset(batch->bytes, partition->end_offset);
    wire_batch_set_leader_epoch(batch->bytes, store->leader_epoch);
    wire_batch header;
    const weir_status parsed = wire_batch_parse(weir_bytes_of(batch->bytes, batch->size), &header);
    weir_assert(!weir_failed(parsed)); /* check_group() accepted it */
    batch->base_offset = header.base_offset;
    batch->end_offset = wire_batch_next_offset(&header);
    uint8_t *copy = chunk->data + chunk->size;
    memcpy(copy, batch->bytes, batch->size);
    chunk->size += batch->size;
    round->entries = log_grow(store, round->entries, &round->entry_capacity, round->entry_count, sizeof(log_entry));
    round->entries[round->entry_count] = (log_entry){.partition = partition,
                                                     .bytes = copy,
                                                     .size = batch->size,
                                                     .base_offset = batch->base_offset,
                                                     .end_offset = batch->end_offset,
                                                     .max_timestamp = header.max_timestamp};
    log_partition_retain(partition);
    push_tail(partition, round, round->entry_count++);
    round->batch_bytes += batch->size;
    log_partition_note_epoch(partition, store->leader_epoch, batch->base_offset);
    log_producer_note(partition, &header);
    log_transaction_note(partition, &header);
    log_partition_mark_dirty(partition, round->sequence);
    partition->end_offset = batch->end_offset;
    partition->size_bytes += batch->size;
}

weir_status log_append(log_store *store, log_group *group) {
    size_t bytes;
    WEIR_TRY(check_group(store, group, &bytes));
    log_round *round = store->forming;
    if (!round || (round->entry_count > 0 && round->batch_bytes + bytes > LOG_ROUND_BYTES_MAX))
        round = create_round(store);
    log_chunk *chunk = chunk_for(store, round, bytes);
    if (!chunk) return weir_fail(WEIR_NO_MEMORY, "no memory for a group of %zu bytes", bytes);
    for (size_t i = 0; i < group->count; i++) join_round(round, chunk, &group->batches[i]);
    store->pending_bytes += bytes;
    group->round = round->sequence;
    group->next = NULL;
    if (round->group_last) round->group_last->next = group;
    else round->group_first = group;
    round->group_last = group;
    round->group_count++;
    for (size_t i = 0; i < group->count; i++) log_partition_wake(group->batches[i].partition); /* who reads ahead */
    log_journal_kick(store);
    return weir_ok();
}

/* ---- room and barriers ------------------------------------------------------------------------------------------- */

static void call_room_jobs(log_store *store) {
    if (store->pending_bytes >= LOG_PENDING_BYTES_MAX / 2) return;
    for (size_t i = 0; i < store->room_count; i++) log_post(store, store->lane, store->room_jobs[i]);
    store->room_count = 0;
}

void log_wait_room(log_store *store, io_job *job) {
    store->room_jobs = log_grow(store, store->room_jobs, &store->room_capacity, store->room_count, sizeof(io_job *));
    store->room_jobs[store->room_count++] = job;
    call_room_jobs(store);
}

static void run_soon(io_job *job) {
    log_store *store = io_owner(job, log_store, soon_job);
    log_barrier *barrier = store->soon_first;
    store->soon_first = store->soon_last = NULL;
    while (barrier) {
        log_barrier *next = barrier->next;
        barrier->done(barrier, store->failed ? weir_error_status(&store->why) : weir_ok());
        barrier = next;
    }
}

void log_when_durable(log_partition *partition, log_barrier *barrier) {
    log_store *store = partition->store;
    barrier->next = NULL;
    log_barrier **first = &store->soon_first, **last = &store->soon_last;
    if (partition->end_offset > partition->durable_end) {
        log_round *round = log_tail_at(partition, partition->tail_count - 1)->round;
        barrier->round = round->sequence;
        first = &round->barrier_first;
        last = &round->barrier_last;
    }
    if (*last) (*last)->next = barrier;
    else *first = barrier;
    *last = barrier;
    if (last == &store->soon_last) log_post(store, store->lane, &store->soon_job);
}

/* ---- after the sync ---------------------------------------------------------------------------------------------- */

/* Takes the callbacks off the round first: they may append, and then the store must be as if they had not been here. */
static void finish_round(log_round *round, weir_status status) {
    log_group *group = round->group_first;
    log_barrier *barrier = round->barrier_first;
    round->group_first = round->group_last = NULL;
    round->barrier_first = round->barrier_last = NULL;
    round->loans++; /* keeps it while callbacks run */
    while (group) {
        log_group *next = group->next;
        group->done(group, status);
        group = next;
    }
    while (barrier) {
        log_barrier *next = barrier->next;
        barrier->done(barrier, status);
        barrier = next;
    }
    if (--round->loans == 0 && round->evicted) log_round_free(round);
}

/* Nothing from this round on reaches the disk: as if it had never been appended. Later groups build on the offsets of
 * earlier ones, so all of them fail. */
static void fail_rounds(log_store *store, log_round *first, weir_status status) {
    weir_error why; /* callbacks may fill the ring of statuses */
    weir_error_set(&why, status);
    store->next_sequence = first->sequence;
    if (store->store_next == first) store->store_next = NULL;
    store->sync_next = store->forming = NULL;
    log_round *before = NULL;
    for (log_round *round = store->rounds; round != first; round = round->next) before = round;
    if (before) before->next = NULL;
    else store->rounds = NULL;
    store->rounds_last = before;
    for (log_round *round = first; round; round = round->next)
        for (size_t i = 0; i < round->entry_count; i++) {
            log_partition *partition = round->entries[i].partition;
            partition->size_bytes -= round->entries[i].size;
            partition->tail_count--; /* the newest ones are the ones that go */
            store->pending_bytes -= round->entries[i].size;
            log_partition_rewind(partition, partition->durable_end);
        }
    for (log_round *round = first, *next; round; round = next) {
        next = round->next;
        store->kept_bytes -= round->memory_bytes;
        for (size_t i = 0; i < round->entry_count; i++) {
            free_empty_tail(round->entries[i].partition);
            log_partition_release(round->entries[i].partition);
        }
        round->evicted = true;
        finish_round(round, weir_error_status(&why));
    }
    call_room_jobs(store);
}

/* The store failed elsewhere than in the journal: rounds that wait for their sync will not get one. */
void log_rounds_give_up(log_store *store) {
    if (store->failed && store->sync_next && !store->syncing)
        fail_rounds(store, store->sync_next, weir_error_status(&store->why));
}

static void run_synced(io_job *job) {
    log_store *store = io_owner(job, log_store, synced_job);
    log_round *round = store->sync_next;
    const weir_status status = weir_error_status(&store->sync_error);
    store->syncing = false;
    if (weir_failed(status)) {
        if (status.code == WEIR_DISK_FULL) log_store_disk_full(store, status);
        else log_store_fail(store, status);
        fail_rounds(store, round, weir_error_status(&store->why));
        log_store_check_stopped(store);
        return;
    }
    round->file->position = round->file_at + round->file_bytes;
    round->file->last_sequence = round->sequence;
    store->durable_sequence = round->sequence;
    store->sync_next = round->next;
    for (size_t i = 0; i < round->entry_count; i++)
        round->entries[i].partition->durable_end = round->entries[i].end_offset;
    round->loans++; /* storing may be done with it before its callbacks are */
    log_store_kick(store);
    for (size_t i = 0; i < round->entry_count; i++) log_partition_wake(round->entries[i].partition);
    finish_round(round, weir_ok());
    if (--round->loans == 0 && round->evicted) log_round_free(round);
    log_rounds_give_up(store);
    log_store_check_stopped(store);
}

/* ---- into the segments ------------------------------------------------------------------------------------------- */

/* Store lane: the batches of one partition that follow one another in a round. */
static weir_status store_run(log_entry *entries, size_t count, size_t *done) {
    log_partition *partition = entries->partition;
    weir_status status = weir_ok();
    *done = 0;
    if (partition->writer.dropped || partition->writer.failed) {
        for (size_t i = 0; i < count; i++) entries[i].outcome = LOG_SKIPPED;
        *done = count;
        return weir_ok();
    }
    status = log_writer_prepare(partition);
    if (!weir_failed(status)) status = log_writer_append(partition, entries, count, done);
    if (!weir_failed(status) || status.code == WEIR_DISK_FULL || status.code == WEIR_NO_MEMORY) return status;
    /* The partition goes offline; its batches stay in the journal and are replayed at the next start. */
    partition->writer.failed = true;
    weir_error_set(&partition->prepare_error, status);
    for (size_t i = *done; i < count; i++) entries[i].outcome = LOG_FAILED;
    *done = count;
    return weir_ok();
}

static void run_store(io_job *job) {
    log_store *store = io_owner(job, log_store, store_job);
    log_round *round = store->storing_first;
    weir_status status = weir_ok();
    for (store->storing_done = 0; store->storing_done < store->storing_count; store->storing_done++) {
        size_t at = store->storing_entry;
        while (at < round->entry_count && !weir_failed(status)) {
            size_t count = 1, done;
            while (at + count < round->entry_count &&
                   round->entries[at + count].partition == round->entries[at].partition)
                count++;
            status = store_run(round->entries + at, count, &done);
            at += done;
        }
        store->storing_entry = at;
        if (weir_failed(status)) break;
        store->storing_entry = 0;
        if (store->storing_done + 1 < store->storing_count) round = round->next;
    }
    weir_error_set(&store->store_error, status);
    log_post(store, store->lane, &store->stored_job);
}

static void note_stored(log_store *store, log_round *round) {
    for (size_t i = 0; i < round->entry_count; i++) {
        log_entry *entry = &round->entries[i];
        log_partition *partition = entry->partition;
        log_partition_install(partition);
        store->pending_bytes -= entry->size;
        if (entry->outcome == LOG_FAILED)
            log_partition_set_offline(partition, weir_error_status(&partition->prepare_error));
        if (entry->outcome != LOG_STORED) continue;
        const size_t segments = partition->segment_count;
        log_segments_note(store, &partition->segments, &partition->segment_count, &partition->segment_capacity,
                          &(log_segment){entry->segment_base, entry->segment_bytes, entry->max_timestamp});
        if (partition->segment_count > segments) log_retention_want(partition);
        partition->index_count = entry->index_count;
        partition->time_count = entry->time_count;
        partition->stored_end = entry->end_offset;
    }
    store->stored_sequence = round->sequence;
    store->stored_generation = round->file->generation;
    store->stored_position = round->file_at + round->file_bytes;
}

static void run_stored(io_job *job) {
    log_store *store = io_owner(job, log_store, stored_job);
    const weir_status status = weir_error_status(&store->store_error);
    store->storing = false;
    for (size_t i = 0; i < store->storing_done; i++) {
        log_round *round = store->store_next;
        store->store_next = round->next;
        note_stored(store, round);
    }
    log_rounds_evict(store);
    if (weir_failed(status)) log_store_disk_full(store, status);
    call_room_jobs(store);
    log_store_kick(store);
    log_store_check_stopped(store);
}

static void kick_storing(log_store *store) {
    if (store->storing || store->disk_full || !store->store_next || store->store_next == store->sync_next) return;
    store->storing = true;
    store->storing_first = store->store_next;
    store->storing_count = 0;
    for (const log_round *round = store->store_next; round && round != store->sync_next; round = round->next)
        store->storing_count++;
    log_post(store, store->store_lane, &store->store_job);
}

/* Starts whatever can start. */
void log_store_kick(log_store *store) {
    log_journal_kick(store);
    kick_storing(store);
    log_flush_kick(store);
    if (store->current && store->current->position > store->current->allocated_bytes / 2) log_journal_prepare(store);
    /* A round that waits for a journal file would wait for ever. */
    if ((store->failed || store->disk_full) && store->sync_next && !store->syncing)
        fail_rounds(store, store->sync_next, weir_error_status(&store->why));
}

void log_rounds_init(log_store *store) {
    io_job_init(&store->synced_job, run_synced);
    io_job_init(&store->store_job, run_store);
    io_job_init(&store->stored_job, run_stored);
    io_job_init(&store->soon_job, run_soon);
}

/* Final stop, on the calling thread: what a full disk kept out of the segments. */
weir_status log_rounds_store_rest(log_store *store) {
    while (store->store_next && store->store_next != store->sync_next) {
        log_round *round = store->store_next;
        while (store->storing_entry < round->entry_count) {
            size_t done;
            const weir_status status = store_run(round->entries + store->storing_entry, 1, &done);
            store->storing_entry += done;
            WEIR_TRY(status);
        }
        store->storing_entry = 0;
        store->store_next = round->next;
        note_stored(store, round);
    }
    return weir_ok();
}

void log_rounds_drop(log_store *store) {
    while (store->rounds) unlink_oldest(store);
}
