/* AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit, DescribeTransactions, ListTransactions. */
#include "broker/kafka_int.h"
#include "broker/txn_int.h"

#include <regex.h>
#include <stdio.h>

enum {
    FENCED_VERSION = 2,           /* of AddPartitionsToTxn, AddOffsetsToTxn, EndTxn: knows PRODUCER_FENCED */
    BATCH_VERSION = 4,            /* of AddPartitionsToTxn: several transactions */
    END_EPOCHS_VERSION = 5,       /* of EndTxn: an epoch for every transaction */
    COMMIT_ABORTABLE_VERSION = 4, /* of TxnOffsetCommit */
    COMMIT_EPOCHS_VERSION = 5,
    PATTERN_BYTES_MAX = 1024
};

static void fail_memory(kafka_request *request) {
    kafka_close(request, "no memory for an answer");
    kafka_respond_nothing(request);
}

static bool may_write(const kafka_request *request, weir_bytes id) {
    return broker_may(request->broker, request->principal, GUARD_WRITE, GUARD_TRANSACTIONAL_ID, id);
}

static bool may_describe(const kafka_request *request, weir_bytes id) {
    return broker_may(request->broker, request->principal, GUARD_DESCRIBE, GUARD_TRANSACTIONAL_ID, id);
}

static broker_error known_error(const kafka_request *request, broker_error error) {
    return error == BROKER_PRODUCER_FENCED && request->version < FENCED_VERSION ? BROKER_INVALID_PRODUCER_EPOCH : error;
}

/* ---- AddPartitionsToTxn ------------------------------------------------------------------------------------------ */

typedef wire_add_partitions_to_txn_request_transaction asked_transaction;
typedef wire_add_partitions_to_txn_request_topic asked_topic;
typedef wire_add_partitions_to_txn_response_topic_result added_topic;
typedef wire_add_partitions_to_txn_response_partition_result added_partition;
typedef struct add_call add_call;
typedef struct add_item { /* one transaction of the request */
    add_call *call;
    weir_bytes id;
    int64_t producer_id;
    int16_t epoch;
    bool verify_only;
    const asked_topic *topics;
    size_t topic_count;
    added_topic *results;
    txn_join join;
} add_item;
struct add_call {
    kafka_request *request;
    add_item *items;
    size_t count, waiting;
};

static bool add_answer(add_call *call) {
    kafka_request *request = call->request;
    wire_add_partitions_to_txn_response response;
    wire_add_partitions_to_txn_response_init(&response);
    if (request->version < BATCH_VERSION) {
        response.results_by_topic_v3_and_below.items = call->items[0].results;
        response.results_by_topic_v3_and_below.count = (int32_t)call->items[0].topic_count;
        kafka_respond(request, &response);
        return true;
    }
    response.results_by_transaction.items =
        wire_add_partitions_to_txn_response_result_new(&request->arena, (int32_t)call->count);
    if (!response.results_by_transaction.items && call->count) return false;
    response.results_by_transaction.count = (int32_t)call->count;
    for (size_t i = 0; i < call->count; i++) {
        response.results_by_transaction.items[i].transactional_id = call->items[i].id;
        response.results_by_transaction.items[i].topic_results.items = call->items[i].results;
        response.results_by_transaction.items[i].topic_results.count = (int32_t)call->items[i].topic_count;
    }
    kafka_respond(request, &response);
    return true;
}

static void add_release(add_call *call) {
    if (--call->waiting == 0 && !add_answer(call)) fail_memory(call->request);
}

static void add_tell(add_item *item, broker_error error) {
    for (size_t t = 0; t < item->topic_count; t++) {
        for (int32_t p = 0; p < item->results[t].results_by_partition.count; p++)
            item->results[t].results_by_partition.items[p].partition_error_code = (int16_t)error;
    }
}

static void add_joined(void *owner, broker_error error) {
    add_item *item = owner;
    add_tell(item, known_error(item->call->request, error));
    add_release(item->call);
}

static broker_error judge_partition(const kafka_request *request, weir_bytes topic, int32_t partition) {
    log_partition *log;
    if (!broker_may(request->broker, request->principal, GUARD_WRITE, GUARD_TOPIC, topic))
        return BROKER_TOPIC_AUTHORIZATION_FAILED;
    const broker_target target = {.topic = topic, .partition = partition};
    return topic.data ? broker_resolve(request->broker, &target, NULL, &log) : BROKER_INVALID_TOPIC_EXCEPTION;
}

/* Fills in the answer's shape and what is wrong with single partitions: then nothing is done for the others. */
static bool add_judge(add_item *item, bool *all_fine) {
    kafka_request *request = item->call->request;
    item->results = wire_add_partitions_to_txn_response_topic_result_new(
        &request->arena, (int32_t)item->topic_count);
    if (!item->results && item->topic_count) return false;
    size_t count = 0;
    *all_fine = true;
    for (size_t t = 0; t < item->topic_count; t++) count += kafka_count(item->topics[t].partitions);
    txn_target *targets = kafka_array(request, txn_target, count);
    if (!targets) return false;
    item->join.targets = targets;
    for (size_t t = 0; t < item->topic_count; t++) {
        const wire_int32_array *asked = &item->topics[t].partitions;
        item->results[t].name = item->topics[t].name;
        item->results[t].results_by_partition.items =
            wire_add_partitions_to_txn_response_partition_result_new(&request->arena,
                                                                                           asked->count);
        if (!item->results[t].results_by_partition.items && asked->count > 0) return false;
        item->results[t].results_by_partition.count = asked->count;
        for (int32_t p = 0; p < asked->count; p++) {
            const broker_error error = judge_partition(request, item->topics[t].name, asked->items[p]);
            item->results[t].results_by_partition.items[p].partition_index = asked->items[p];
            item->results[t].results_by_partition.items[p].partition_error_code = (int16_t)error;
            targets[item->join.target_count++] = (txn_target){item->topics[t].name, asked->items[p]};
            *all_fine &= error == BROKER_NONE;
        }
    }
    return true;
}

static void add_refuse_rest(add_item *item) {
    for (size_t t = 0; t < item->topic_count; t++) {
        for (int32_t p = 0; p < item->results[t].results_by_partition.count; p++) {
            int16_t *code = &item->results[t].results_by_partition.items[p].partition_error_code;
            if (*code == BROKER_NONE) *code = BROKER_OPERATION_NOT_ATTEMPTED;
        }
    }
}

static void add_verify(add_item *item) {
    const kafka_request *request = item->call->request;
    for (size_t t = 0; t < item->topic_count; t++) {
        for (int32_t p = 0; p < item->results[t].results_by_partition.count; p++) {
            added_partition *result =
                &item->results[t].results_by_partition.items[p];
            const broker_error error = broker_txn_verify(request->broker, item->id, item->producer_id, item->epoch,
                                                         item->topics[t].name, result->partition_index);
            const bool abortable = error == BROKER_INVALID_TXN_STATE && request->version > BATCH_VERSION;
            result->partition_error_code = (int16_t)(abortable ? BROKER_TRANSACTION_ABORTABLE : error);
        }
    }
}

static bool add_start(add_item *item) {
    kafka_request *request = item->call->request;
    bool all_fine;
    if (!add_judge(item, &all_fine)) return false;
    if (!may_write(request, item->id)) {
        add_tell(item, BROKER_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    } else if (item->id.size == 0) {
        add_tell(item, BROKER_INVALID_REQUEST);
    } else if (!all_fine) {
        add_refuse_rest(item);
    } else if (item->verify_only) {
        add_verify(item);
    } else {
        item->join.id = item->id;
        item->join.producer_id = item->producer_id;
        item->join.epoch = item->epoch;
        item->join.client_version = TXN_VERSION_OLD;
        item->join.done = add_joined;
        item->join.owner = item;
        item->call->waiting++;
        const broker_error error = broker_txn_join(request->broker, &item->join);
        if (!item->join.waits) {
            item->call->waiting--;
            add_tell(item, known_error(request, error));
        }
    }
    return true;
}

bool kafka_add_partitions_to_txn(kafka_request *request, const void *data) {
    const wire_add_partitions_to_txn_request *message = data;
    const bool is_batch = request->version >= BATCH_VERSION;
    add_call *call = kafka_array(request, add_call, 1);
    if (!call) return false;
    if (is_batch && !guard_may_cluster(request->broker->authoriser, request->principal, GUARD_CLUSTER_ACTION)) {
        wire_add_partitions_to_txn_response response;
        wire_add_partitions_to_txn_response_init(&response);
        response.error_code = BROKER_CLUSTER_AUTHORIZATION_FAILED;
        kafka_respond(request, &response);
        return true;
    }
    call->request = request;
    call->count = is_batch ? kafka_count(message->transactions) : 1;
    call->items = kafka_array(request, add_item, call->count);
    if (!call->items) return false;
    for (size_t i = 0; i < call->count; i++) {
        add_item *item = &call->items[i];
        item->call = call;
        if (is_batch) {
            const asked_transaction *one = &message->transactions.items[i];
            item->id = one->transactional_id;
            item->producer_id = one->producer_id;
            item->epoch = one->producer_epoch;
            item->verify_only = one->verify_only;
            item->topics = one->topics.items;
            item->topic_count = kafka_count(one->topics);
        } else {
            item->id = message->v3_and_below_transactional_id;
            item->producer_id = message->v3_and_below_producer_id;
            item->epoch = message->v3_and_below_producer_epoch;
            item->topics = message->v3_and_below_topics.items;
            item->topic_count = kafka_count(message->v3_and_below_topics);
        }
    }
    call->waiting = 1;
    for (size_t i = 0; i < call->count; i++) {
        if (add_start(&call->items[i])) continue;
        if (call->waiting == 1) return false;
        kafka_close(request, "no memory for a request"); /* what has started still needs its items */
        break;
    }
    add_release(call);
    return true;
}

/* ---- AddOffsetsToTxn --------------------------------------------------------------------------------------------- */

static void offsets_answer(kafka_request *request, broker_error error) {
    wire_add_offsets_to_txn_response response;
    wire_add_offsets_to_txn_response_init(&response);
    response.error_code = (int16_t)known_error(request, error);
    kafka_respond(request, &response);
}

static void offsets_joined(void *owner, broker_error error) { offsets_answer(owner, error); }

bool kafka_add_offsets_to_txn(kafka_request *request, const void *data) {
    const wire_add_offsets_to_txn_request *message = data;
    txn_target *target = kafka_array(request, txn_target, 1);
    if (!target) return false;
    *target = (txn_target){.topic = weir_bytes_text(BROKER_OFFSETS_TOPIC)}; /* it has one partition */
    txn_join join = {.id = message->transactional_id,
                     .producer_id = message->producer_id,
                     .epoch = message->producer_epoch,
                     .targets = target,
                     .target_count = 1,
                     .client_version = TXN_VERSION_OLD,
                     .done = offsets_joined,
                     .owner = request};
    broker_error error = BROKER_INVALID_REQUEST;
    if (!may_write(request, message->transactional_id)) error = BROKER_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    else if (!broker_may(request->broker, request->principal, GUARD_READ, GUARD_GROUP, message->group_id))
        error = BROKER_GROUP_AUTHORIZATION_FAILED;
    else if (message->transactional_id.size > 0) error = broker_txn_join(request->broker, &join);
    if (!join.waits) offsets_answer(request, error);
    return true;
}

/* ---- EndTxn ------------------------------------------------------------------------------------------------------ */

typedef struct end_call {
    kafka_request *request;
    txn_end end;
} end_call;

static void end_done(txn_end *end) {
    kafka_request *request = io_owner(end, end_call, end)->request;
    wire_end_txn_response response;
    wire_end_txn_response_init(&response);
    response.error_code = (int16_t)known_error(request, end->error);
    response.producer_id = end->next_producer_id;
    response.producer_epoch = end->next_epoch;
    kafka_respond(request, &response);
}

bool kafka_end_txn(kafka_request *request, const void *data) {
    const wire_end_txn_request *message = data;
    if (!may_write(request, message->transactional_id)) {
        wire_end_txn_response response;
        wire_end_txn_response_init(&response);
        response.error_code = BROKER_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        kafka_respond(request, &response);
        return true;
    }
    end_call *call = kafka_array(request, end_call, 1);
    if (!call) return false;
    call->request = request;
    call->end =
        (txn_end){.id = message->transactional_id,
                  .producer_id = message->producer_id,
                  .epoch = message->producer_epoch,
                  .commit = message->committed,
                  .client_version = request->version >= END_EPOCHS_VERSION ? TXN_VERSION_EPOCHS : TXN_VERSION_OLD,
                  .done = end_done};
    broker_txn_end(request->broker, &call->end);
    return true;
}

/* ---- TxnOffsetCommit --------------------------------------------------------------------------------------------- */

typedef struct commit_call {
    kafka_request *request;
    const wire_txn_offset_commit_request *message;
    txn_offsets commit;
} commit_call;

static bool commit_answer(const commit_call *call) {
    kafka_request *request = call->request;
    wire_txn_offset_commit_response response;
    wire_txn_offset_commit_response_init(&response);
    const size_t topic_count = kafka_count(call->message->topics);
    response.topics.items =
        wire_txn_offset_commit_response_topic_new(&request->arena, (int32_t)topic_count);
    if (!response.topics.items && topic_count) return false;
    response.topics.count = (int32_t)topic_count;
    const broker_offset *offset = call->commit.offsets;
    for (size_t t = 0; t < topic_count; t++) {
        const size_t count = kafka_count(call->message->topics.items[t].partitions);
        wire_txn_offset_commit_response_topic *topic = &response.topics.items[t];
        topic->name = call->message->topics.items[t].name;
        topic->partitions.items =
            wire_txn_offset_commit_response_partition_new(&request->arena, (int32_t)count);
        if (!topic->partitions.items && count) return false;
        topic->partitions.count = (int32_t)count;
        for (size_t p = 0; p < count; p++, offset++) {
            topic->partitions.items[p].partition_index = offset->partition;
            topic->partitions.items[p].error_code = (int16_t)offset->error;
        }
    }
    kafka_respond(request, &response);
    return true;
}

static void commit_done(txn_offsets *commit) {
    const commit_call *call = io_owner(commit, commit_call, commit);
    if (!commit_answer(call)) fail_memory(call->request);
}

bool kafka_txn_offset_commit(kafka_request *request, const void *data) {
    const wire_txn_offset_commit_request *message = data;
    commit_call *call = kafka_array(request, commit_call, 1);
    size_t count = 0;
    for (int32_t t = 0; t < message->topics.count; t++) count += kafka_count(message->topics.items[t].partitions);
    broker_offset *offsets = kafka_array(request, broker_offset, count);
    if (!call || !offsets) return false;
    broker_offset *offset = offsets;
    for (int32_t t = 0; t < message->topics.count; t++) {
        for (int32_t p = 0; p < message->topics.items[t].partitions.count; p++) {
            const wire_txn_offset_commit_request_partition *asked =
                &message->topics.items[t].partitions.items[p];
            *offset++ = (broker_offset){.topic = message->topics.items[t].name,
                                        .partition = asked->partition_index,
                                        .offset = asked->committed_offset,
                                        .leader_epoch = asked->committed_leader_epoch,
                                        .metadata = asked->committed_metadata};
        }
    }
    call->request = request;
    call->message = message;
    call->commit = (txn_offsets){
        .principal = request->principal,
        .id = message->transactional_id,
        .producer_id = message->producer_id,
        .epoch = message->producer_epoch,
        .client_version = request->version >= COMMIT_EPOCHS_VERSION ? TXN_VERSION_EPOCHS : TXN_VERSION_OLD,
        .abortable = request->version >= COMMIT_ABORTABLE_VERSION,
        .group = message->group_id,
        .member_id = message->member_id,
        .instance_id = message->group_instance_id,
        .generation = message->generation_id,
        .offsets = offsets,
        .offset_count = count,
        .done = commit_done};
    broker_txn_offsets_commit(request->broker, &call->commit);
    return true;
}

/* ---- DescribeTransactions ---------------------------------------------------------------------------------------- */

static bool describe_topics(kafka_request *request, const txn_entry *txn,
                            wire_describe_transactions_response_transaction_state *state) {
    const size_t count = txn->partition_count;
    state->topics.items = wire_describe_transactions_response_topic_data_new(&request->arena, (int32_t)count);
    int32_t *numbers = kafka_array(request, int32_t, count);
    if ((!state->topics.items && count) || !numbers) return false;
    for (size_t i = 0; i < count; i++) {
        const weir_bytes name = weir_bytes_text(txn->partitions[i].topic);
        if (!broker_may(request->broker, request->principal, GUARD_DESCRIBE, GUARD_TOPIC, name)) continue;
        const bool begins =
            state->topics.count == 0 || !weir_bytes_equal(state->topics.items[state->topics.count - 1].topic, name);
        if (begins) {
            wire_describe_transactions_response_topic_data *topic = &state->topics.items[state->topics.count++];
            topic->topic = name;
            topic->partitions.items = &numbers[i];
            topic->partitions.count = 0;
        }
        numbers[i] = txn->partitions[i].partition;
        state->topics.items[state->topics.count - 1].partitions.count++;
    }
    return true;
}

static bool describe_one(kafka_request *request, weir_bytes id,
                         wire_describe_transactions_response_transaction_state *state) {
    const txn_entry *txn = broker_txn_get(request->broker, id);
    state->transactional_id = id;
    state->transaction_state = weir_bytes_text("");
    state->error_code = (int16_t)(!may_describe(request, id) ? BROKER_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                                  : id.size == 0             ? BROKER_INVALID_REQUEST
                                  : !txn                     ? BROKER_TRANSACTIONAL_ID_NOT_FOUND
                                                             : BROKER_NONE);
    if (state->error_code != BROKER_NONE) return true;
    state->transaction_state = weir_bytes_text(broker_txn_state_name(txn->facts.state));
    state->transaction_timeout_ms = txn->facts.timeout_ms;
    state->transaction_start_time_ms = txn->facts.start_ms;
    state->producer_id = txn->facts.producer_id;
    state->producer_epoch = txn->facts.epoch;
    return txn->facts.state != TXN_ONGOING || describe_topics(request, txn, state);
}

bool kafka_describe_transactions(kafka_request *request, const void *data) {
    const wire_describe_transactions_request *message = data;
    wire_describe_transactions_response response;
    wire_describe_transactions_response_init(&response);
    const size_t count = kafka_count(message->transactional_ids);
    response.transaction_states.items =
        wire_describe_transactions_response_transaction_state_new(&request->arena, (int32_t)count);
    if (!response.transaction_states.items && count) return false;
    response.transaction_states.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (!describe_one(request, message->transactional_ids.items[i], &response.transaction_states.items[i]))
            return false;
    }
    kafka_respond(request, &response);
    return true;
}

/* ---- ListTransactions -------------------------------------------------------------------------------------------- */

/* The states of Kafka that weir has no use for are known names, too. */
static bool is_state(weir_bytes name) {
    for (int i = 0; i < TXN_STATE_COUNT; i++)
        if (weir_bytes_equal_text(name, broker_txn_state_name((txn_state)i))) return true;
    return weir_bytes_equal_text(name, "Dead") || weir_bytes_equal_text(name, "PrepareEpochFence");
}

static bool in_states(const wire_list_transactions_request *message, const txn_entry *txn) {
    const char *name = broker_txn_state_name(txn->facts.state);
    for (int32_t i = 0; i < message->state_filters.count; i++)
        if (weir_bytes_equal_text(message->state_filters.items[i], name)) return true;
    return message->state_filters.count <= 0;
}

static bool in_producers(const wire_list_transactions_request *message, const txn_entry *txn) {
    for (int32_t i = 0; i < message->producer_id_filters.count; i++)
        if (message->producer_id_filters.items[i] == txn->facts.producer_id) return true;
    return message->producer_id_filters.count <= 0;
}

/* What POSIX and RE2 read alike: an expression with a backslash before a letter or digit, a group's flags, or a lazy or
 * possessive quantifier is refused and never read differently. */
static bool is_common(weir_bytes pattern) {
    for (size_t i = 0; i < pattern.size; i++) {
        const uint8_t c = pattern.data[i];
        const uint8_t next = i + 1 < pattern.size ? pattern.data[i + 1] : 0;
        if (c == 0) return false;
        if (c == '\\') {
            const bool is_letter = (next | 0x20) >= 'a' && (next | 0x20) <= 'z';
            if (is_letter || (next >= '0' && next <= '9') || next == 0) return false;
            i++;
        } else if (next == '?' && (c == '(' || c == '*' || c == '+' || c == '?' || c == '}')) {
            return false;
        } else if (next == '+' && (c == '*' || c == '+' || c == '?' || c == '}')) {
            return false;
        }
    }
    return true;
}

/* The whole id has to match. */
static bool compile(weir_bytes pattern, regex_t *compiled) {
    char text[PATTERN_BYTES_MAX + 8];
    if (pattern.size > PATTERN_BYTES_MAX || !is_common(pattern)) return false;
    snprintf(text, sizeof text, "^(%.*s)$", (int)pattern.size, (const char *)pattern.data);
    return regcomp(compiled, text, REG_EXTENDED | REG_NOSUB) == 0;
}

static bool list_unknown(kafka_request *request, const wire_list_transactions_request *message,
                         wire_list_transactions_response *response) {
    response->unknown_state_filters.items = kafka_array(request, weir_bytes, kafka_count(message->state_filters));
    if (!response->unknown_state_filters.items) return false;
    for (int32_t i = 0; i < message->state_filters.count; i++) {
        if (!is_state(message->state_filters.items[i]))
            response->unknown_state_filters.items[response->unknown_state_filters.count++] =
                message->state_filters.items[i];
    }
    return true;
}

static void list_fill(kafka_request *request, const wire_list_transactions_request *message, const regex_t *pattern,
                      wire_list_transactions_response *response) {
    const broker_transactions *all = request->broker->transactions;
    const int64_t now_ms = broker_wall_ms(request->broker);
    for (size_t i = 0; i < all->count; i++) {
        const txn_entry *txn = all->list[i];
        const weir_bytes id = weir_bytes_text(txn->id);
        if (!may_describe(request, id) || !in_states(message, txn) || !in_producers(message, txn)) continue;
        if (message->duration_filter >= 0 &&
            (txn->facts.start_ms < 0 || now_ms - txn->facts.start_ms <= message->duration_filter))
            continue;
        if (pattern && regexec(pattern, txn->id, 0, NULL, 0) != 0) continue;
        wire_list_transactions_response_transaction_state *state =
            &response->transaction_states.items[response->transaction_states.count++];
        state->transactional_id = id;
        state->producer_id = txn->facts.producer_id;
        state->transaction_state = weir_bytes_text(broker_txn_state_name(txn->facts.state));
    }
}

bool kafka_list_transactions(kafka_request *request, const void *data) {
    const wire_list_transactions_request *message = data;
    const size_t count = request->broker->transactions->count;
    wire_list_transactions_response response;
    wire_list_transactions_response_init(&response);
    response.transaction_states.items =
        wire_list_transactions_response_transaction_state_new(&request->arena, (int32_t)count);
    if ((!response.transaction_states.items && count) || !list_unknown(request, message, &response)) return false;
    const bool has_pattern = message->transactional_id_pattern.size > 0;
    regex_t pattern;
    if (has_pattern && !compile(message->transactional_id_pattern, &pattern)) {
        response.error_code = BROKER_INVALID_REGULAR_EXPRESSION;
        response.unknown_state_filters.count = 0;
    } else {
        list_fill(request, message, has_pattern ? &pattern : NULL, &response);
        if (has_pattern) regfree(&pattern);
    }
    kafka_respond(request, &response);
    return true;
}
