/* The transaction coordinator's decisions: what a transactional id may do next. The rules are Kafka's
 * (TransactionCoordinator, TransactionMetadata), without the states between two writes, because there is one write. */
#include "broker/txn_int.h"

enum { EPOCH_MAX = INT16_MAX, EXPIRED_MAX = 1000 };
static const int64_t RETRY_NS = 100 * 1000000LL;

/* Above it there is no room for the end of one more transaction: the next one gets another id. */
static bool is_exhausted(int16_t epoch) { return epoch >= EPOCH_MAX - 1; }

/* The code of a failure of the log: all of them ask the client to try again. */
static broker_error write_error(weir_status status) {
    return status.code == WEIR_FULL ? BROKER_COORDINATOR_LOAD_IN_PROGRESS : BROKER_COORDINATOR_NOT_AVAILABLE;
}

static broker_error judge_producer(const txn_entry *txn, int64_t producer_id, int16_t epoch) {
    if (!txn || txn->facts.producer_id != producer_id) return BROKER_INVALID_PRODUCER_ID_MAPPING;
    return txn->facts.epoch == epoch ? BROKER_NONE : BROKER_PRODUCER_FENCED;
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static void timer_run(io_job *job);

void broker_txn_timer_init(txn_entry *txn) {
    io_job_init(&txn->timer_job, timer_run);
    io_timer_init(&txn->timer, txn->broker->lane, &txn->timer_job);
}

static void set_timer(txn_entry *txn, int64_t when_ns) {
    io_timer_set(txn->broker->world.executor, &txn->timer, when_ns);
}

static void begin_clock(txn_entry *txn) {
    txn->deadline_ns = broker_now_ns(txn->broker) + (int64_t)txn->facts.timeout_ms * 1000000;
    set_timer(txn, txn->deadline_ns);
}

static void stop_clock(txn_entry *txn) { io_timer_cancel(txn->broker->world.executor, &txn->timer); }

/* ---- ending what nobody ends ------------------------------------------------------------------------------------- */

/* The coordinator aborts: nobody gets the epoch, so that whoever began the transaction is fenced and cannot take the
 * abort for the answer to a request of its own. */
static weir_status write_abort(txn_entry *txn, void (*done)(txn_entry *, void *, weir_status), void *owner) {
    txn_change change = {.next = txn->facts, .markers = TXN_ABORT, .done = done, .owner = owner};
    const int bump = txn->facts.client_version >= TXN_VERSION_EPOCHS ? 2 : 1;
    change.next.epoch = (int16_t)(txn->facts.epoch > EPOCH_MAX - bump ? EPOCH_MAX : txn->facts.epoch + bump);
    change.next.last_epoch = -1;
    change.next.previous_producer_id = txn->facts.producer_id;
    change.next.state = TXN_COMPLETE_ABORT;
    change.next.update_ms = broker_wall_ms(txn->broker);
    change.marker_producer_id = txn->facts.producer_id;
    change.marker_epoch = change.next.epoch;
    return broker_txn_write(txn, &change);
}

static void timed_out(txn_entry *txn, void *owner, weir_status status) {
    (void)owner;
    txn->busy = false;
    if (!weir_failed(status)) return;
    weir_trace(WEIR_WARN, "broker", "the abort of %s's transaction was not stored: %s", txn->id, status.text);
    if (!txn->broker->stopping) set_timer(txn, broker_now_ns(txn->broker) + RETRY_NS * 10);
}

static void timer_run(io_job *job) {
    txn_entry *txn = io_owner(job, txn_entry, timer_job);
    broker_node *broker = txn->broker;
    const int64_t now_ns = broker_now_ns(broker);
    if (broker->stopping || txn->facts.state != TXN_ONGOING) return;
    if (now_ns < txn->deadline_ns) {
        set_timer(txn, txn->deadline_ns);
        return;
    }
    if (txn->busy || txn->offset_appends > 0 || weir_failed(write_abort(txn, timed_out, NULL))) {
        set_timer(txn, now_ns + RETRY_NS);
        return;
    }
    txn->busy = true;
}

/* How long it had been open before a restart cannot be known from a wall clock: it has its whole time again. */
void broker_transactions_loaded(broker_node *broker) {
    for (size_t i = 0; i < broker->transactions->count; i++) {
        txn_entry *txn = broker->transactions->list[i];
        if (txn->facts.state == TXN_ONGOING) begin_clock(txn);
    }
}

void broker_transactions_stop(broker_node *broker) {
    for (size_t i = 0; i < broker->transactions->count; i++) stop_clock(broker->transactions->list[i]);
}

static void expired(txn_entry *txn, void *owner, weir_status status) {
    (void)owner;
    txn->busy = false;
    if (!weir_failed(status) && !atomic_load(&txn->timer_job.queued)) broker_txn_drop(txn);
}

void broker_transactions_expire(broker_node *broker) {
    const int64_t age_ns = broker_property_i64(broker, "transactional.id.expiration.ms") * 1000000;
    const int64_t now_ns = broker_now_ns(broker);
    broker_transactions *all = broker->transactions;
    for (size_t i = 0, left = EXPIRED_MAX; i < all->count && left > 0; i++) {
        txn_entry *txn = all->list[i];
        if (txn->busy || txn->writes || txn->offset_appends || txn->facts.state == TXN_ONGOING ||
            now_ns - txn->touched_ns < age_ns)
            continue;
        const txn_change change = {.next = txn->facts, .tombstone = true, .done = expired};
        if (weir_failed(broker_txn_write(txn, &change))) return;
        txn->busy = true;
        left--;
    }
}

/* ---- partitions join --------------------------------------------------------------------------------------------- */

typedef struct join_wait {
    void (*done)(void *owner, broker_error error);
    void *owner;
} join_wait;

static void join_written(txn_entry *txn, void *owner, weir_status status) {
    join_wait *wait = owner;
    const join_wait kept = *wait;
    weir_free(&txn->broker->account, wait);
    kept.done(kept.owner, weir_failed(status) ? write_error(status) : BROKER_NONE);
}

static bool has_all(const txn_entry *txn, const txn_join *join) {
    if (txn->facts.state != TXN_ONGOING || txn->unwritten) return false;
    for (size_t i = 0; i < join->target_count; i++) {
        if (broker_txn_partition_find(txn, join->targets[i].topic, join->targets[i].partition) < 0) return false;
    }
    return true;
}

broker_error broker_txn_join(broker_node *broker, txn_join *join) {
    txn_entry *txn = broker_txn_get(broker, join->id);
    join->waits = join->full = false;
    const broker_error error = judge_producer(txn, join->producer_id, join->epoch);
    if (error != BROKER_NONE) return error;
    if (txn->busy) return BROKER_CONCURRENT_TRANSACTIONS;
    if (has_all(txn, join)) {
        /* Its record may still be on the way; a group that comes behind it is durable behind it. */
        if (!join->done || txn->writes == 0) return BROKER_NONE;
    }
    const bool begins = txn->facts.state != TXN_ONGOING;
    if (begins) broker_txn_partitions_clear(txn);
    for (size_t i = 0; i < join->target_count; i++) {
        if (!broker_txn_partition_add(txn, join->targets[i].topic, join->targets[i].partition))
            return BROKER_THROTTLING_QUOTA_EXCEEDED;
    }
    txn_change change = {.next = txn->facts};
    change.next.state = TXN_ONGOING;
    change.next.previous_producer_id = txn->facts.producer_id;
    change.next.client_version = join->client_version;
    change.next.update_ms = broker_wall_ms(broker);
    if (begins) change.next.start_ms = change.next.update_ms;
    join_wait *wait = NULL;
    if (join->done) {
        wait = weir_alloc(&broker->account, sizeof *wait);
        *wait = (join_wait){join->done, join->owner};
        change.done = join_written;
        change.owner = wait;
    }
    const weir_status status = broker_txn_write(txn, &change);
    if (weir_failed(status)) {
        weir_free(&broker->account, wait);
        txn->unwritten = true; /* in memory there are more partitions now than in the log */
        join->full = status.code == WEIR_FULL;
        return write_error(status);
    }
    if (begins) begin_clock(txn);
    join->waits = join->done != NULL;
    return BROKER_NONE;
}

broker_error broker_txn_verify(const broker_node *broker, weir_bytes id, int64_t producer_id, int16_t epoch,
                               weir_bytes topic, int32_t partition) {
    const txn_entry *txn = broker_txn_get(broker, id);
    const broker_error error = judge_producer(txn, producer_id, epoch);
    if (error != BROKER_NONE) return error;
    const bool is_part = txn->facts.state == TXN_ONGOING && !txn->busy && !txn->unwritten &&
                         broker_txn_partition_find(txn, topic, partition) >= 0;
    return is_part ? BROKER_NONE : BROKER_INVALID_TXN_STATE;
}

/* ---- EndTxn ------------------------------------------------------------------------------------------------------ */

static void end_tell(txn_end *end) {
    broker_node *broker = end->broker;
    if (end->error != BROKER_NONE) {
        end->next_producer_id = -1;
        end->next_epoch = -1;
    }
    end->done(end);
    broker_operation_end(broker);
}

static void end_run(io_job *job) { end_tell(io_owner(job, txn_end, job)); }

static void end_answer(txn_end *end, broker_error error) {
    end->error = error;
    if (error == BROKER_NONE) {
        end->next_producer_id = end->txn->facts.producer_id;
        end->next_epoch = end->txn->facts.epoch;
    }
    io_job_init(&end->job, end_run);
    broker_post(end->broker, &end->job);
}

static void end_written(txn_entry *txn, void *owner, weir_status status) {
    txn_end *end = owner;
    txn->busy = false;
    if (weir_failed(status)) {
        if (txn->facts.state == TXN_ONGOING && !txn->broker->stopping) set_timer(txn, txn->deadline_ns);
        end->error = write_error(status);
    } else {
        end->error = BROKER_NONE;
        end->next_producer_id = txn->facts.producer_id;
        end->next_epoch = txn->facts.epoch;
    }
    end_tell(end);
}

/* `fresh_id`: -1, or what goes on where the epochs of the old one are used up. */
static void end_write(txn_end *end, int64_t fresh_id) {
    txn_entry *txn = end->txn;
    const bool has_epochs = end->client_version >= TXN_VERSION_EPOCHS;
    txn_change change = {.next = txn->facts, .done = end_written, .owner = end};
    txn_facts *next = &change.next;
    const bool was_open = txn->facts.state == TXN_ONGOING;
    if (was_open) change.markers = end->commit ? TXN_COMMIT : TXN_ABORT;
    change.marker_producer_id = txn->facts.producer_id;
    change.marker_epoch = (int16_t)(txn->facts.epoch + has_epochs);
    next->previous_producer_id = txn->facts.producer_id;
    next->client_version = end->client_version;
    next->state = end->commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
    next->update_ms = broker_wall_ms(end->broker);
    if (!was_open) next->start_ms = next->update_ms;
    if (has_epochs) {
        next->last_epoch = txn->facts.epoch;
        next->producer_id = fresh_id >= 0 ? fresh_id : txn->facts.producer_id;
        next->epoch = fresh_id >= 0 ? 0 : change.marker_epoch;
    }
    const weir_status status = broker_txn_write(txn, &change);
    if (weir_failed(status)) {
        txn->busy = false;
        end_answer(end, write_error(status));
        return;
    }
    txn->busy = true;
    stop_clock(txn);
}

static void end_with_id(broker_producer_id *ids) {
    txn_end *end = io_owner(ids, txn_end, ids);
    if (ids->error == BROKER_NONE) {
        end_write(end, ids->id);
        return;
    }
    end->txn->busy = false;
    end_answer(end, BROKER_COORDINATOR_NOT_AVAILABLE);
}

/* NONE: goes on. Else the answer; *answered = it is the answer to a request that was served before. */
static broker_error judge_end_old(const txn_entry *txn, const txn_end *end, bool *answered) {
    if (txn->facts.producer_id != end->producer_id) return BROKER_INVALID_PRODUCER_ID_MAPPING;
    if (txn->facts.epoch != end->epoch) return BROKER_PRODUCER_FENCED;
    if (txn->busy || txn->offset_appends > 0) return BROKER_CONCURRENT_TRANSACTIONS;
    if (txn->facts.state == TXN_ONGOING) return BROKER_NONE;
    *answered = txn->facts.state == (end->commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
    return *answered ? BROKER_NONE : BROKER_INVALID_TXN_STATE;
}

static broker_error judge_end(const txn_entry *txn, const txn_end *end, bool *answered) {
    const txn_facts *facts = &txn->facts;
    const bool complete = facts->state == TXN_COMPLETE_COMMIT || facts->state == TXN_COMPLETE_ABORT;
    const bool over_the_end = facts->previous_producer_id == end->producer_id && end->epoch == EPOCH_MAX - 1 &&
                              facts->epoch == 0 && facts->producer_id != end->producer_id;
    if (facts->producer_id != end->producer_id && !over_the_end) return BROKER_INVALID_PRODUCER_ID_MAPPING;
    /* The highest epoch is never handed out: whoever is below it is fenced and did not end anything. */
    const bool bumped = facts->epoch != EPOCH_MAX && facts->epoch == end->epoch + 1;
    const bool again = complete && (over_the_end || bumped);
    if (!again && facts->epoch != end->epoch) return BROKER_PRODUCER_FENCED;
    if (txn->busy || txn->offset_appends > 0) return BROKER_CONCURRENT_TRANSACTIONS;
    if (again) {
        *answered = facts->state == (end->commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
        return *answered ? BROKER_NONE : BROKER_INVALID_TXN_STATE;
    }
    /* Aborting nothing is fine, the client may not know whether anything was sent; committing nothing is a mistake. */
    return facts->state == TXN_ONGOING || !end->commit ? BROKER_NONE : BROKER_INVALID_TXN_STATE;
}

void broker_txn_end(broker_node *broker, txn_end *end) {
    end->broker = broker;
    broker_operation_begin(broker);
    txn_entry *txn = end->txn = broker_txn_get(broker, end->id);
    const bool has_epochs = end->client_version >= TXN_VERSION_EPOCHS;
    bool answered = false;
    broker_error error = BROKER_INVALID_REQUEST;
    if (end->id.size > 0) {
        error = !txn         ? BROKER_INVALID_PRODUCER_ID_MAPPING
                : has_epochs ? judge_end(txn, end, &answered)
                             : judge_end_old(txn, end, &answered);
    }
    if (error != BROKER_NONE || answered) {
        end_answer(end, error);
    } else if (has_epochs && is_exhausted(txn->facts.epoch)) {
        txn->busy = true;
        end->ids = (broker_producer_id){.principal = &guard_system, .done = end_with_id};
        broker_producer_id_start(broker, &end->ids);
    } else {
        end_write(end, -1);
    }
}

/* ---- InitProducerId ---------------------------------------------------------------------------------------------- */

typedef struct txn_init {
    broker_node *broker;
    broker_producer_id *request;
    txn_entry *txn;
    broker_producer_id ids;
    broker_create_topic create;
    bool is_new;
} txn_init;

static void init_tell(txn_init *init, broker_error error) {
    broker_node *broker = init->broker;
    broker_producer_id *request = init->request;
    txn_entry *txn = init->txn;
    request->error = error;
    request->id = error == BROKER_NONE ? txn->facts.producer_id : -1;
    request->epoch = error == BROKER_NONE ? txn->facts.epoch : -1;
    if (txn) txn->busy = false;
    if (txn && init->is_new && error != BROKER_NONE) broker_txn_drop(txn);
    weir_free(&broker->account, init);
    request->done(request);
    broker_operation_end(broker);
}

static void init_written(txn_entry *txn, void *owner, weir_status status) {
    (void)txn;
    init_tell(owner, weir_failed(status) ? write_error(status) : BROKER_NONE);
}

static void init_write(txn_init *init, const txn_facts *next) {
    txn_change change = {.next = *next, .done = init_written, .owner = init};
    change.next.state = TXN_EMPTY;
    change.next.previous_producer_id = init->txn->facts.producer_id;
    change.next.timeout_ms = init->request->timeout_ms;
    change.next.start_ms = -1;
    change.next.update_ms = broker_wall_ms(init->broker);
    const weir_status status = broker_txn_write(init->txn, &change);
    if (weir_failed(status)) init_tell(init, write_error(status));
}

/* A new id: the first one of this transactional id, or the next when its epochs are used up. */
static void init_with_id(broker_producer_id *ids) {
    txn_init *init = io_owner(ids, txn_init, ids);
    txn_facts next = init->txn->facts;
    if (ids->error != BROKER_NONE) {
        init_tell(init, BROKER_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    next.last_epoch = init->request->current_id >= 0 ? next.epoch : -1;
    next.producer_id = ids->id;
    next.epoch = 0;
    init_write(init, &next);
}

/* KIP-360: who names the id it has goes on if it is still the one, or was when this very request came first. */
static void init_judge(txn_init *init) {
    const broker_producer_id *request = init->request;
    const txn_facts *facts = &init->txn->facts;
    txn_facts next = *facts;
    const bool names_one = request->current_id >= 0;
    if (names_one && facts->epoch >= 0 && request->current_id != facts->producer_id &&
        !(request->current_id == facts->previous_producer_id && is_exhausted(request->current_epoch))) {
        init_tell(init, BROKER_PRODUCER_FENCED);
    } else if (facts->producer_id < 0 || is_exhausted(facts->epoch)) {
        init->ids = (broker_producer_id){.principal = &guard_system, .done = init_with_id};
        broker_producer_id_start(init->broker, &init->ids);
    } else if (!names_one || request->current_epoch == facts->epoch) {
        next.last_epoch = names_one ? facts->epoch : -1;
        next.epoch++;
        init_write(init, &next);
    } else if (request->current_epoch == facts->last_epoch) {
        init_write(init, &next); /* a retry: the same answer */
    } else {
        init_tell(init, BROKER_PRODUCER_FENCED);
    }
}

static void init_aborted(txn_entry *txn, void *owner, weir_status status) {
    txn_init *init = owner;
    if (!weir_failed(status)) {
        init_judge(init);
        return;
    }
    if (!txn->broker->stopping) set_timer(txn, txn->deadline_ns);
    init_tell(init, write_error(status));
}

static void init_entry(txn_init *init) {
    broker_node *broker = init->broker;
    const weir_bytes id = init->request->transactional_id;
    txn_entry *txn = broker_txn_get(broker, id);
    if (txn && (txn->busy || txn->offset_appends > 0)) {
        init_tell(init, BROKER_CONCURRENT_TRANSACTIONS);
        return;
    }
    init->is_new = !txn;
    if (!txn) txn = broker_txn_make(broker, id);
    if (!txn) {
        init_tell(init, BROKER_THROTTLING_QUOTA_EXCEEDED);
        return;
    }
    init->txn = txn;
    txn->busy = true;
    if (txn->facts.state != TXN_ONGOING) {
        init_judge(init);
        return;
    }
    const weir_status status = write_abort(txn, init_aborted, init);
    if (weir_failed(status)) init_tell(init, write_error(status));
    else stop_clock(txn);
}

static void init_topic_made(broker_create_topic *create) {
    txn_init *init = io_owner(create, txn_init, create);
    if (broker_transactions_log(init->broker)) init_entry(init);
    else init_tell(init, BROKER_COORDINATOR_NOT_AVAILABLE);
}

static void init_refuse_run(io_job *job) {
    broker_producer_id *request = io_owner(job, broker_producer_id, job);
    broker_node *broker = request->broker;
    request->done(request);
    broker_operation_end(broker);
}

static broker_error judge_init(const broker_node *broker, const broker_producer_id *request) {
    if (!broker_may(broker, request->principal, GUARD_WRITE, GUARD_TRANSACTIONAL_ID, request->transactional_id))
        return BROKER_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    if (request->transactional_id.size == 0 || request->transactional_id.size > INT16_MAX)
        return BROKER_INVALID_REQUEST;
    if (request->timeout_ms <= 0 ||
        request->timeout_ms > broker_property_i64(broker, "transaction.max.timeout.ms"))
        return BROKER_INVALID_TRANSACTION_TIMEOUT;
    return broker->stopping ? BROKER_COORDINATOR_NOT_AVAILABLE : BROKER_NONE;
}

/* The topic is made with the first transactional id, as Kafka does; always through the queue of metadata, so that
 * done() never runs inside the call. */
void broker_txn_init(broker_node *broker, broker_producer_id *request) {
    request->broker = broker;
    broker_operation_begin(broker);
    request->error = judge_init(broker, request);
    if (request->error != BROKER_NONE) {
        request->id = request->epoch = -1;
        io_job_init(&request->job, init_refuse_run);
        broker_post(broker, &request->job);
        return;
    }
    txn_init *init = weir_alloc(&broker->account, sizeof *init);
    init->broker = broker;
    init->request = request;
    static const weir_setting configs[] = {
        {"cleanup.policy", "compact"}, {"compression.type", "uncompressed"}, {"segment.bytes", "104857600"}};
    init->create = (broker_create_topic){.principal = &guard_system,
                                         .name = weir_bytes_text(BROKER_TRANSACTIONS_TOPIC),
                                         .partition_count = 1,
                                         .replication_factor = 1,
                                         .configs = configs,
                                         .config_count = sizeof configs / sizeof configs[0],
                                         .internal = true,
                                         .done = init_topic_made};
    broker_topic_create(broker, &init->create);
}
