/* What administrators ask for: CreatePartitions, DeleteRecords, OffsetDelete, DescribeLogDirs, DescribeProducers,
 * DescribeQuorum, UpdateFeatures, ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments. Much of it has
 * one right answer where there is one node. */
#include "broker/kafka_int.h"

static weir_bytes about(broker_error error) {
    return kafka_text(error == BROKER_NONE ? NULL : broker_error_about(error));
}

static bool may_cluster(const kafka_request *request, guard_operation operation) {
    return guard_may_cluster(request->broker->authoriser, request->principal, operation);
}

static broker_error partition_error(const kafka_request *request, weir_bytes name, int32_t partition) {
    return broker_partition(request->broker, name, partition) ? BROKER_NONE : BROKER_UNKNOWN_TOPIC_OR_PARTITION;
}

/* ---- CreatePartitions -------------------------------------------------------------------------------------------- */

typedef struct grow_call grow_call;
typedef struct grow_item {
    broker_alter_topic alter;
    grow_call *call;
} grow_item;
struct grow_call {
    kafka_request *request;
    grow_item *items;
    size_t count, waiting;
};

static bool grow_answer(grow_call *call) {
    kafka_request *request = call->request;
    wire_create_partitions_response response;
    wire_create_partitions_response_init(&response);
    response.results.items =
        wire_create_partitions_response_topic_result_new(&request->arena, (int32_t)call->count);
    if (!response.results.items && call->count) return false;
    response.results.count = (int32_t)call->count;
    for (size_t i = 0; i < call->count; i++) {
        const broker_alter_topic *alter = &call->items[i].alter;
        response.results.items[i].name = alter->name;
        response.results.items[i].error_code = (int16_t)alter->error;
        response.results.items[i].error_message =
            alter->error != BROKER_NONE && alter->message[0] ? weir_bytes_text(alter->message) : about(alter->error);
    }
    kafka_respond(request, &response);
    return true;
}

static void grow_release(grow_call *call) {
    if (--call->waiting == 0 && !grow_answer(call)) kafka_fail_memory(call->request);
}

static void grow_done(broker_alter_topic *alter) { grow_release(io_owner(alter, grow_item, alter)->call); }

static broker_error judge_growth(const kafka_request *request, const wire_create_partitions_request *message,
                                 size_t index) {
    const wire_create_partitions_request_topic *asked = &message->topics.items[index];
    for (int32_t i = 0; i < message->topics.count; i++) {
        if ((size_t)i != index && weir_bytes_equal(message->topics.items[i].name, asked->name))
            return BROKER_INVALID_REQUEST;
    }
    if (asked->count < 1) return BROKER_INVALID_PARTITIONS;
    if (asked->assignments.count < 0) return BROKER_NONE;
    const broker_topic *topic = broker_topic_find(request->broker, asked->name);
    if (topic && asked->assignments.count != asked->count - topic->partition_count)
        return BROKER_INVALID_REPLICA_ASSIGNMENT;
    for (int32_t i = 0; i < asked->assignments.count; i++) {
        if (asked->assignments.items[i].broker_ids.count != 1 ||
            asked->assignments.items[i].broker_ids.items[0] != request->broker->node_id)
            return BROKER_INVALID_REPLICA_ASSIGNMENT;
    }
    return BROKER_NONE;
}

bool kafka_create_partitions(kafka_request *request, const void *data) {
    const wire_create_partitions_request *message = data;
    grow_call *call = kafka_array(request, grow_call, 1);
    if (!call) return false;
    call->request = request;
    call->count = kafka_count(message->topics);
    call->items = kafka_array(request, grow_item, call->count);
    if (!call->items) return false;
    call->waiting = 1; /* this loop */
    for (size_t i = 0; i < call->count; i++) {
        broker_alter_topic *alter = &call->items[i].alter;
        call->items[i].call = call;
        *alter = (broker_alter_topic){.principal = request->principal,
                                      .name = message->topics.items[i].name,
                                      .partition_count = message->topics.items[i].count,
                                      .validate_only = message->validate_only,
                                      .done = grow_done};
        const broker_error error = judge_growth(request, message, i);
        if (error != BROKER_NONE) {
            alter->error = error;
            continue;
        }
        call->waiting++;
        broker_topic_alter(request->broker, alter);
    }
    grow_release(call);
    return true;
}

/* ---- DeleteRecords ----------------------------------------------------------------------------------------------- */

typedef struct records_call records_call;
typedef struct records_item {
    broker_delete_records del;
    records_call *call;
} records_item;
struct records_call {
    kafka_request *request;
    const wire_delete_records_request *message;
    records_item *items;
    size_t waiting;
};

static bool records_answer(records_call *call) {
    kafka_request *request = call->request;
    wire_delete_records_response response;
    wire_delete_records_response_init(&response);
    const size_t topic_count = kafka_count(call->message->topics);
    response.topics.items = wire_delete_records_response_topic_result_new(&request->arena, (int32_t)topic_count);
    if (!response.topics.items && topic_count) return false;
    response.topics.count = (int32_t)topic_count;
    const records_item *item = call->items;
    for (size_t t = 0; t < topic_count; t++) {
        const wire_delete_records_request_topic *asked = &call->message->topics.items[t];
        wire_delete_records_response_topic_result *topic = &response.topics.items[t];
        const size_t count = kafka_count(asked->partitions);
        topic->name = asked->name;
        topic->partitions.items = wire_delete_records_response_partition_result_new(&request->arena, (int32_t)count);
        if (!topic->partitions.items && count) return false;
        topic->partitions.count = (int32_t)count;
        for (size_t p = 0; p < count; p++, item++) {
            topic->partitions.items[p].partition_index = item->del.target.partition;
            topic->partitions.items[p].low_watermark = item->del.log_start_offset;
            topic->partitions.items[p].error_code = (int16_t)item->del.error;
        }
    }
    kafka_respond(request, &response);
    return true;
}

static void records_release(records_call *call) {
    if (--call->waiting == 0 && !records_answer(call)) kafka_fail_memory(call->request);
}

static void records_done(broker_delete_records *del) { records_release(io_owner(del, records_item, del)->call); }

bool kafka_delete_records(kafka_request *request, const void *data) {
    const wire_delete_records_request *message = data;
    records_call *call = kafka_array(request, records_call, 1);
    size_t count = 0;
    for (int32_t t = 0; t < message->topics.count; t++) count += kafka_count(message->topics.items[t].partitions);
    records_item *items = kafka_array(request, records_item, count);
    if (!call || !items) return false;
    *call = (records_call){.request = request, .message = message, .items = items, .waiting = count + 1};
    records_item *item = items;
    for (int32_t t = 0; t < message->topics.count; t++) {
        const wire_delete_records_request_topic *topic = &message->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++, item++) {
            item->call = call;
            item->del = (broker_delete_records){
                .principal = request->principal,
                .target = {.topic = topic->name, .partition = topic->partitions.items[p].partition_index},
                .offset = topic->partitions.items[p].offset,
                .done = records_done};
            broker_records_delete(request->broker, &item->del);
        }
    }
    records_release(call);
    return true;
}

/* ---- OffsetDelete ------------------------------------------------------------------------------------------------ */

typedef struct offsets_call {
    kafka_request *request;
    const wire_offset_delete_request *message;
    broker_offset_delete del;
} offsets_call;

static bool offsets_answer(offsets_call *call) {
    kafka_request *request = call->request;
    wire_offset_delete_response response;
    wire_offset_delete_response_init(&response);
    response.error_code = (int16_t)call->del.error;
    const size_t topic_count = call->del.error == BROKER_NONE ? kafka_count(call->message->topics) : 0;
    response.topics.items = wire_offset_delete_response_topic_new(&request->arena, (int32_t)topic_count);
    if (!response.topics.items && topic_count) return false;
    response.topics.count = (int32_t)topic_count;
    const broker_offset *offset = call->del.offsets;
    for (size_t t = 0; t < topic_count; t++) {
        const wire_offset_delete_request_topic *asked = &call->message->topics.items[t];
        wire_offset_delete_response_topic *topic = &response.topics.items[t];
        const size_t count = kafka_count(asked->partitions);
        topic->name = asked->name;
        topic->partitions.items = wire_offset_delete_response_partition_new(&request->arena, (int32_t)count);
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

static void offsets_done(broker_offset_delete *del) {
    offsets_call *call = io_owner(del, offsets_call, del);
    if (!offsets_answer(call)) kafka_fail_memory(call->request);
}

bool kafka_offset_delete(kafka_request *request, const void *data) {
    const wire_offset_delete_request *message = data;
    offsets_call *call = kafka_array(request, offsets_call, 1);
    size_t count = 0;
    for (int32_t t = 0; t < message->topics.count; t++) count += kafka_count(message->topics.items[t].partitions);
    broker_offset *offsets = kafka_array(request, broker_offset, count);
    if (!call || !offsets) return false;
    broker_offset *offset = offsets;
    for (int32_t t = 0; t < message->topics.count; t++) {
        const wire_offset_delete_request_topic *topic = &message->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++, offset++) {
            offset->topic = topic->name;
            offset->partition = topic->partitions.items[p].partition_index;
        }
    }
    call->request = request;
    call->message = message;
    call->del = (broker_offset_delete){.principal = request->principal,
                                       .group = message->group_id,
                                       .offsets = offsets,
                                       .offset_count = count,
                                       .done = offsets_done};
    broker_offsets_delete(request->broker, &call->del);
    return true;
}

/* ---- DescribeLogDirs --------------------------------------------------------------------------------------------- */

static void fill_size(const broker_topic *topic, int32_t partition,
                      wire_describe_log_dirs_response_partition *item) {
    item->partition_index = partition;
    item->partition_size = (int64_t)log_size_bytes(((const topic_entry *)topic)->logs[partition]);
}

/* `partitions` NULL = all of them. */
static bool fill_sizes(kafka_request *request, const broker_topic *topic, const wire_int32_array *partitions,
                       wire_describe_log_dirs_response_topic *item) {
    const int32_t count = partitions ? partitions->count : topic->partition_count;
    item->name = weir_bytes_text(topic->name);
    item->partitions.items = wire_describe_log_dirs_response_partition_new(&request->arena, count);
    if (!item->partitions.items && count) return false;
    for (int32_t i = 0; i < count; i++) {
        const int32_t partition = partitions ? partitions->items[i] : i;
        if (partition < 0 || partition >= topic->partition_count) continue;
        fill_size(topic, partition, &item->partitions.items[item->partitions.count++]);
    }
    return true;
}

static bool fill_log_dir(kafka_request *request, const wire_describe_log_dirs_request *message,
                         wire_describe_log_dirs_response_result *result) {
    const broker_node *broker = request->broker;
    const bool all = message->topics.count < 0;
    const size_t count = all ? broker_topic_count(broker) : kafka_count(message->topics);
    result->log_dir = weir_bytes_text(broker->directory);
    result->topics.items = wire_describe_log_dirs_response_topic_new(&request->arena, (int32_t)count);
    if (!result->topics.items && count) return false;
    for (size_t i = 0; i < count; i++) {
        const broker_topic *topic =
            all ? broker_topic_at(broker, i) : broker_topic_find(broker, message->topics.items[i].topic);
        if (!topic) continue;
        if (!fill_sizes(request, topic, all ? NULL : &message->topics.items[i].partitions,
                        &result->topics.items[result->topics.count++]))
            return false;
    }
    return true;
}

bool kafka_describe_log_dirs(kafka_request *request, const void *data) {
    wire_describe_log_dirs_response response;
    wire_describe_log_dirs_response_init(&response);
    if (!may_cluster(request, GUARD_DESCRIBE)) {
        response.error_code = BROKER_CLUSTER_AUTHORIZATION_FAILED;
        kafka_respond(request, &response);
        return true;
    }
    response.results.items = wire_describe_log_dirs_response_result_new(&request->arena, 1);
    if (!response.results.items) return false;
    response.results.count = 1;
    if (!fill_log_dir(request, data, response.results.items)) return false;
    kafka_respond(request, &response);
    return true;
}

/* ---- DescribeProducers (KIP-664) --------------------------------------------------------------------------------- */

static bool fill_producers(kafka_request *request, const log_partition *log,
                           wire_describe_producers_response_partition_response *item) {
    log_producer_info info;
    int32_t count = 0;
    for (size_t at = 0; log_producer_next(log, &at, &info);) count++;
    item->active_producers.items = wire_describe_producers_response_producer_state_new(&request->arena, count);
    if (!item->active_producers.items && count) return false;
    for (size_t at = 0; log_producer_next(log, &at, &info);) {
        wire_describe_producers_response_producer_state *producer =
            &item->active_producers.items[item->active_producers.count++];
        producer->producer_id = info.id;
        producer->producer_epoch = info.epoch;
        producer->last_sequence = info.last_sequence;
        producer->current_txn_start_offset = log_transaction_start(log, info.id);
        producer->coordinator_epoch = -1;
        producer->current_txn_start_offset = log_transaction_start(log, info.id);
    }
    return true;
}

static bool fill_producer_topic(kafka_request *request, const wire_describe_producers_request_topic_request *asked,
                                wire_describe_producers_response_topic_response *topic) {
    const bool may = broker_may(request->broker, request->principal, GUARD_READ, GUARD_TOPIC, asked->name);
    const int32_t count = (int32_t)kafka_count(asked->partition_indexes);
    topic->name = asked->name;
    topic->partitions.items = wire_describe_producers_response_partition_response_new(&request->arena, count);
    if (!topic->partitions.items && count) return false;
    topic->partitions.count = count;
    for (int32_t i = 0; i < count; i++) {
        wire_describe_producers_response_partition_response *item = &topic->partitions.items[i];
        const log_partition *log = broker_partition(request->broker, asked->name, asked->partition_indexes.items[i]);
        const broker_error error = !may  ? BROKER_TOPIC_AUTHORIZATION_FAILED
                                   : log ? BROKER_NONE
                                         : BROKER_UNKNOWN_TOPIC_OR_PARTITION;
        item->partition_index = asked->partition_indexes.items[i];
        item->error_code = (int16_t)error;
        item->error_message = about(error);
        if (error == BROKER_NONE && !fill_producers(request, log, item)) return false;
    }
    return true;
}

bool kafka_describe_producers(kafka_request *request, const void *data) {
    const wire_describe_producers_request *message = data;
    wire_describe_producers_response response;
    wire_describe_producers_response_init(&response);
    const size_t count = kafka_count(message->topics);
    response.topics.items = wire_describe_producers_response_topic_response_new(&request->arena, (int32_t)count);
    if (!response.topics.items && count) return false;
    response.topics.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (!fill_producer_topic(request, &message->topics.items[i], &response.topics.items[i])) return false;
    }
    kafka_respond(request, &response);
    return true;
}

/* ---- DescribeQuorum (KIP-836): the node alone is the quorum ------------------------------------------------------ */

static bool fill_voter(kafka_request *request, wire_describe_quorum_response_partition_data *item) {
    const broker_node *broker = request->broker;
    const int64_t now_ms = broker_wall_ms(broker);
    item->leader_id = broker->node_id;
    item->leader_epoch = log_leader_epoch(broker->metadata_log);
    item->high_watermark = log_high_watermark(broker->metadata_log);
    item->current_voters.items = wire_describe_quorum_response_replica_state_new(&request->arena, 1);
    if (!item->current_voters.items) return false;
    item->current_voters.count = 1;
    item->current_voters.items[0].replica_id = broker->node_id;
    item->current_voters.items[0].log_end_offset = log_end_offset(broker->metadata_log);
    item->current_voters.items[0].last_fetch_timestamp = now_ms;
    item->current_voters.items[0].last_caught_up_timestamp = now_ms;
    return true;
}

static bool fill_quorum_topic(kafka_request *request, const wire_describe_quorum_request_topic_data *asked,
                              wire_describe_quorum_response_topic_data *topic) {
    const int32_t count = (int32_t)kafka_count(asked->partitions);
    topic->topic_name = asked->topic_name;
    topic->partitions.items = wire_describe_quorum_response_partition_data_new(&request->arena, count);
    if (!topic->partitions.items && count) return false;
    topic->partitions.count = count;
    for (int32_t i = 0; i < count; i++) {
        wire_describe_quorum_response_partition_data *item = &topic->partitions.items[i];
        item->partition_index = asked->partitions.items[i].partition_index;
        if (weir_bytes_equal_text(asked->topic_name, BROKER_METADATA_TOPIC) && item->partition_index == 0) {
            if (!fill_voter(request, item)) return false;
            continue;
        }
        item->error_code = BROKER_UNKNOWN_TOPIC_OR_PARTITION;
        item->error_message = about(BROKER_UNKNOWN_TOPIC_OR_PARTITION);
    }
    return true;
}

static bool fill_quorum_node(kafka_request *request, wire_describe_quorum_response *response) {
    response->nodes.items = wire_describe_quorum_response_node_new(&request->arena, 1);
    wire_describe_quorum_response_listener *listener =
        wire_describe_quorum_response_listener_new(&request->arena, 1);
    if (!response->nodes.items || !listener) return false;
    listener->name = weir_bytes_text(request->conn->listener->name);
    listener->host = kafka_advertised_host(request);
    listener->port = (uint16_t)kafka_advertised_port(request);
    response->nodes.count = 1;
    response->nodes.items[0].node_id = request->broker->node_id;
    response->nodes.items[0].listeners.items = listener;
    response->nodes.items[0].listeners.count = 1;
    return true;
}

bool kafka_describe_quorum(kafka_request *request, const void *data) {
    const wire_describe_quorum_request *message = data;
    wire_describe_quorum_response response;
    wire_describe_quorum_response_init(&response);
    if (!may_cluster(request, GUARD_DESCRIBE)) {
        response.error_code = BROKER_CLUSTER_AUTHORIZATION_FAILED;
        response.error_message = about(BROKER_CLUSTER_AUTHORIZATION_FAILED);
        kafka_respond(request, &response);
        return true;
    }
    const size_t count = kafka_count(message->topics);
    response.topics.items = wire_describe_quorum_response_topic_data_new(&request->arena, (int32_t)count);
    if (!response.topics.items && count) return false;
    response.topics.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (!fill_quorum_topic(request, &message->topics.items[i], &response.topics.items[i])) return false;
    }
    if (request->version >= 2 && !fill_quorum_node(request, &response)) return false;
    kafka_respond(request, &response);
    return true;
}

/* ---- UpdateFeatures (KIP-584): weir's levels are what its code does ---------------------------------------------- */

static broker_error judge_feature(const wire_update_features_request_feature_update_key *asked) {
    for (size_t i = 0; i < kafka_feature_count; i++) {
        if (!weir_bytes_equal_text(asked->feature, kafka_features[i].name)) continue;
        return asked->max_version_level == kafka_features[i].most ? BROKER_NONE : BROKER_INVALID_UPDATE_VERSION;
    }
    return BROKER_INVALID_UPDATE_VERSION;
}

bool kafka_update_features(kafka_request *request, const void *data) {
    const wire_update_features_request *message = data;
    wire_update_features_response response;
    wire_update_features_response_init(&response);
    broker_error error = may_cluster(request, GUARD_ALTER) ? BROKER_NONE : BROKER_CLUSTER_AUTHORIZATION_FAILED;
    const size_t count = error == BROKER_NONE ? kafka_count(message->feature_updates) : 0;
    response.results.items =
        wire_update_features_response_updatable_feature_result_new(&request->arena, (int32_t)count);
    if (!response.results.items && count) return false;
    response.results.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        const broker_error one = judge_feature(&message->feature_updates.items[i]);
        response.results.items[i].feature = message->feature_updates.items[i].feature;
        response.results.items[i].error_code = (int16_t)one;
        response.results.items[i].error_message = about(one);
        if (one != BROKER_NONE && request->version >= 2) error = one; /* version 2 has no other place for it */
    }
    response.error_code = (int16_t)error;
    response.error_message = about(error);
    kafka_respond(request, &response);
    return true;
}

/* ---- ElectLeaders (KIP-460): the node leads everything already --------------------------------------------------- */

static bool fill_election(kafka_request *request, const wire_elect_leaders_request_topic_partitions *asked,
                          wire_elect_leaders_response_replica_election_result *item) {
    const int32_t count = (int32_t)kafka_count(asked->partitions);
    item->topic = asked->topic;
    item->partition_result.items = wire_elect_leaders_response_partition_result_new(&request->arena, count);
    if (!item->partition_result.items && count) return false;
    item->partition_result.count = count;
    for (int32_t i = 0; i < count; i++) {
        broker_error error = partition_error(request, asked->topic, asked->partitions.items[i]);
        if (error == BROKER_NONE) error = BROKER_ELECTION_NOT_NEEDED;
        item->partition_result.items[i].partition_id = asked->partitions.items[i];
        item->partition_result.items[i].error_code = (int16_t)error;
        item->partition_result.items[i].error_message = about(error);
    }
    return true;
}

bool kafka_elect_leaders(kafka_request *request, const void *data) {
    const wire_elect_leaders_request *message = data;
    enum { ELECTIONS = 2 }; /* preferred, unclean */
    wire_elect_leaders_response response;
    wire_elect_leaders_response_init(&response);
    broker_error error = may_cluster(request, GUARD_ALTER) ? BROKER_NONE : BROKER_CLUSTER_AUTHORIZATION_FAILED;
    if (message->election_type < 0 || message->election_type >= ELECTIONS) error = BROKER_INVALID_REQUEST;
    response.error_code = request->version >= 1 ? (int16_t)error : 0;
    /* Asked for all, only those are told that needed one. */
    const size_t count = error == BROKER_NONE ? kafka_count(message->topic_partitions) : 0;
    response.replica_election_results.items =
        wire_elect_leaders_response_replica_election_result_new(&request->arena, (int32_t)count);
    if (!response.replica_election_results.items && count) return false;
    response.replica_election_results.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (!fill_election(request, &message->topic_partitions.items[i], &response.replica_election_results.items[i]))
            return false;
    }
    kafka_respond(request, &response);
    return true;
}

/* ---- reassignments (KIP-455): there is nowhere to move to -------------------------------------------------------- */

static broker_error judge_move(const kafka_request *request, weir_bytes topic,
                               const wire_alter_partition_reassignments_request_reassignable_partition *asked) {
    const broker_error error = partition_error(request, topic, asked->partition_index);
    if (error != BROKER_NONE) return error;
    if (asked->replicas.count < 0) return BROKER_NO_REASSIGNMENT_IN_PROGRESS;
    const bool here = asked->replicas.count == 1 && asked->replicas.items[0] == request->broker->node_id;
    return here ? BROKER_NONE : BROKER_INVALID_REPLICA_ASSIGNMENT;
}

static bool fill_moves(kafka_request *request,
                       const wire_alter_partition_reassignments_request_reassignable_topic *asked,
                       wire_alter_partition_reassignments_response_reassignable_topic_response *item) {
    const int32_t count = (int32_t)kafka_count(asked->partitions);
    item->name = asked->name;
    item->partitions.items =
        wire_alter_partition_reassignments_response_reassignable_partition_response_new(&request->arena, count);
    if (!item->partitions.items && count) return false;
    item->partitions.count = count;
    for (int32_t i = 0; i < count; i++) {
        const broker_error error = judge_move(request, asked->name, &asked->partitions.items[i]);
        item->partitions.items[i].partition_index = asked->partitions.items[i].partition_index;
        item->partitions.items[i].error_code = (int16_t)error;
        item->partitions.items[i].error_message = about(error);
    }
    return true;
}

bool kafka_alter_partition_reassignments(kafka_request *request, const void *data) {
    const wire_alter_partition_reassignments_request *message = data;
    wire_alter_partition_reassignments_response response;
    wire_alter_partition_reassignments_response_init(&response);
    const broker_error error = may_cluster(request, GUARD_ALTER) ? BROKER_NONE : BROKER_CLUSTER_AUTHORIZATION_FAILED;
    response.allow_replication_factor_change = message->allow_replication_factor_change;
    response.error_code = (int16_t)error;
    response.error_message = about(error);
    const size_t count = error == BROKER_NONE ? kafka_count(message->topics) : 0;
    response.responses.items = wire_alter_partition_reassignments_response_reassignable_topic_response_new(
        &request->arena, (int32_t)count);
    if (!response.responses.items && count) return false;
    response.responses.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (!fill_moves(request, &message->topics.items[i], &response.responses.items[i])) return false;
    }
    kafka_respond(request, &response);
    return true;
}

bool kafka_list_partition_reassignments(kafka_request *request, const void *data) {
    (void)data;
    wire_list_partition_reassignments_response response;
    wire_list_partition_reassignments_response_init(&response);
    const broker_error error = may_cluster(request, GUARD_DESCRIBE) ? BROKER_NONE : BROKER_CLUSTER_AUTHORIZATION_FAILED;
    response.error_code = (int16_t)error;
    response.error_message = about(error);
    kafka_respond(request, &response);
    return true;
}
