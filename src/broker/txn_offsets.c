/* Offsets committed with a transaction (KIP-98, KIP-447): records of a transactional batch in `__consumer_offsets`, in
 * memory beside what is committed until the transaction's marker comes, at run time and at replay alike. */
#include "broker/txn_int.h"

typedef struct txn_pending { /* of one producer's transaction */
    int64_t producer_id;
    group_use *uses;
    size_t count, capacity;
} txn_pending;

static weir_bytes producer_key(const int64_t *id) { return weir_bytes_of(id, sizeof *id); }

/* ---- offsets that wait for their marker -------------------------------------------------------------------------- */

void broker_txn_offsets_hold(broker_node *broker, int64_t producer_id, const group_use *use) {
    weir_map *all = &broker->transactions->offsets;
    txn_pending *pending = weir_map_get(all, producer_key(&producer_id));
    if (!pending) {
        pending = weir_alloc(&broker->account, sizeof *pending);
        pending->producer_id = producer_id;
        weir_map_put(all, producer_key(&pending->producer_id), pending);
    }
    if (pending->count == pending->capacity) {
        pending->capacity = pending->capacity ? pending->capacity * 2 : 4;
        pending->uses = weir_realloc(&broker->account, pending->uses, sizeof(group_use) * pending->capacity);
    }
    pending->uses[pending->count++] = *use;
    use->offset->unstable++;
}

void broker_txn_offsets_settle(broker_node *broker, int64_t producer_id, bool commit) {
    weir_map *all = &broker->transactions->offsets;
    txn_pending *pending = weir_map_get(all, producer_key(&producer_id));
    if (!pending) return;
    weir_map_remove(all, producer_key(&producer_id));
    for (size_t i = 0; i < pending->count; i++) {
        group_entry *group = pending->uses[i].group;
        pending->uses[i].offset->unstable--;
        broker_group_use_end(&pending->uses[i], commit);
        if (group->uses == 0) broker_group_drop_if_unused(group);
    }
    weir_free(&broker->account, pending->uses);
    weir_free(&broker->account, pending);
}

void broker_txn_offsets_free(broker_node *broker) {
    void *value;
    for (size_t at = 0; weir_map_next(&broker->transactions->offsets, &at, NULL, &value);) {
        txn_pending *pending = value;
        for (size_t i = 0; i < pending->count; i++) weir_free(&broker->account, pending->uses[i].metadata);
        weir_free(&broker->account, pending->uses);
        weir_free(&broker->account, pending);
    }
    weir_map_deinit(&broker->transactions->offsets);
}

/* ---- TxnOffsetCommit --------------------------------------------------------------------------------------------- */

static void commit_end(txn_offsets *commit) {
    broker_node *broker = commit->broker;
    commit->done(commit);
    broker_operation_end(broker);
}

static void commit_run(io_job *job) { commit_end(io_owner(job, txn_offsets, job)); }

static void commit_fail_all(txn_offsets *commit, broker_error error) {
    for (size_t i = 0; i < commit->offset_count; i++) commit->offsets[i].error = error;
    io_job_init(&commit->job, commit_run);
    broker_post(commit->broker, &commit->job);
}

static void commit_stored(group_append *append, weir_status status) {
    txn_offsets *commit = append->owner;
    commit->txn->offset_appends--;
    for (size_t i = 0; i < commit->offset_count && weir_failed(status); i++) {
        if (commit->offsets[i].error != BROKER_NONE) continue;
        commit->offsets[i].error =
            status.code == WEIR_INVALID ? BROKER_INVALID_COMMIT_OFFSET_SIZE : BROKER_COORDINATOR_NOT_AVAILABLE;
    }
    commit_end(commit);
}

/* A group's members are checked when the client says who it is; who knows only the group's name may go on. */
static broker_error judge_member(broker_node *broker, const txn_offsets *commit) {
    if (commit->group.size == 0) return BROKER_INVALID_GROUP_ID;
    if (commit->generation < 0 && commit->member_id.size == 0 && !commit->instance_id.data) return BROKER_NONE;
    const broker_error error = broker_group_commit_check(broker, commit->group, commit->member_id, commit->instance_id,
                                                         commit->generation);
    if (error == BROKER_STALE_MEMBER_EPOCH) return BROKER_ILLEGAL_GENERATION; /* what this request can say of it */
    return error == BROKER_REBALANCE_IN_PROGRESS ? BROKER_NONE : error; /* the transaction belongs to this generation */
}

static broker_error judge_transaction(broker_node *broker, const txn_offsets *commit) {
    const txn_target offsets = {.topic = weir_bytes_text(BROKER_OFFSETS_TOPIC)};
    broker_error error;
    if (commit->client_version >= TXN_VERSION_EPOCHS) {
        txn_join join = {.id = commit->id,
                         .producer_id = commit->producer_id,
                         .epoch = commit->epoch,
                         .targets = &offsets,
                         .target_count = 1,
                         .client_version = commit->client_version};
        error = broker_txn_join(broker, &join);
    } else {
        error =
            broker_txn_verify(broker, commit->id, commit->producer_id, commit->epoch, offsets.topic, offsets.partition);
    }
    switch (error) { /* what clients know as an answer to this request */
    case BROKER_PRODUCER_FENCED: return BROKER_INVALID_PRODUCER_EPOCH;
    case BROKER_CONCURRENT_TRANSACTIONS: return BROKER_COORDINATOR_LOAD_IN_PROGRESS;
    case BROKER_INVALID_TXN_STATE: return commit->abortable ? BROKER_TRANSACTION_ABORTABLE : error;
    default: return error;
    }
}

static broker_error judge(broker_node *broker, const txn_offsets *commit) {
    if (!broker_may(broker, commit->principal, GUARD_WRITE, GUARD_TRANSACTIONAL_ID, commit->id))
        return BROKER_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    if (!broker_may(broker, commit->principal, GUARD_READ, GUARD_GROUP, commit->group))
        return BROKER_GROUP_AUTHORIZATION_FAILED;
    const broker_error error = judge_member(broker, commit);
    return error != BROKER_NONE ? error : judge_transaction(broker, commit);
}

void broker_txn_offsets_commit(broker_node *broker, txn_offsets *commit) {
    commit->broker = broker;
    broker_operation_begin(broker);
    const broker_error error = judge(broker, commit);
    group_entry *group = error == BROKER_NONE ? broker_group_make(broker, commit->group) : NULL;
    if (!group) {
        commit_fail_all(commit, error != BROKER_NONE ? error : BROKER_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    commit->txn = broker_txn_get(broker, commit->id);
    commit->txn->offset_appends++;
    group_append *append = broker_group_append(broker, commit_stored, commit);
    append->options.producer_id = commit->producer_id;
    append->options.producer_epoch = commit->epoch;
    append->options.attributes = WIRE_BATCH_TRANSACTIONAL;
    size_t taken = 0;
    for (size_t i = 0; i < commit->offset_count; i++) {
        broker_offset *offset = &commit->offsets[i];
        offset->error = broker_offset_check(broker, commit->principal, offset);
        if (offset->error != BROKER_NONE) continue;
        if (broker_group_append_offset(append, group, offset)) taken++;
        else offset->error = BROKER_COORDINATOR_NOT_AVAILABLE;
    }
    /* An append without records ends with a failure that no entry is left to hear. */
    broker_group_append_send(append, NULL, 0);
    if (taken == 0) broker_group_drop_if_unused(group);
}
