/* FindCoordinator, JoinGroup, SyncGroup, Heartbeat, LeaveGroup, OffsetCommit, OffsetFetch, ListGroups, DescribeGroups,
 * DeleteGroups. */
#include "broker/kafka_int.h"

#include <stdio.h>
#include <strings.h>

/* Old versions cannot say null. */
static weir_bytes never_null(weir_bytes text) { return text.data ? text : weir_bytes_text(""); }

/* ---- FindCoordinator --------------------------------------------------------------------------------------------- */

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1, BATCH_VERSION = 4 };

static broker_error judge_coordinator(const kafka_request *request, int8_t key_type, weir_bytes key) {
    const broker_node *broker = request->broker;
    if (key_type == KEY_TRANSACTION)
        return broker_may(broker, request->principal, GUARD_DESCRIBE, GUARD_TRANSACTIONAL_ID, key)
                   ? BROKER_NONE
                   : BROKER_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    if (key_type != KEY_GROUP) return BROKER_INVALID_REQUEST;
    return broker_may(broker, request->principal, GUARD_DESCRIBE, GUARD_GROUP, key) ? BROKER_NONE
                                                                                    : BROKER_GROUP_AUTHORIZATION_FAILED;
}

bool kafka_find_coordinator(kafka_request *request, const void *data) {
    const wire_find_coordinator_request *message = data;
    wire_find_coordinator_response response;
    wire_find_coordinator_response_init(&response);
    if (request->version < BATCH_VERSION) {
        const broker_error error = judge_coordinator(request, message->key_type, message->key);
        response.error_code = (int16_t)error;
        response.node_id = -1;
        response.port = -1;
        if (error != BROKER_NONE) {
            response.error_message = weir_bytes_text(broker_error_about(error));
        } else {
            response.node_id = request->broker->node_id;
            response.host = kafka_advertised_host(request);
            response.port = kafka_advertised_port(request);
        }
        kafka_respond(request, &response);
        return true;
    }
    const size_t count = kafka_count(message->coordinator_keys);
    response.coordinators.items = wire_find_coordinator_response_coordinator_new(&request->arena, (int32_t)count);
    if (!response.coordinators.items && count) return false;
    response.coordinators.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        wire_find_coordinator_response_coordinator *item = &response.coordinators.items[i];
        const broker_error error = judge_coordinator(request, message->key_type, message->coordinator_keys.items[i]);
        item->key = message->coordinator_keys.items[i];
        item->error_code = (int16_t)error;
        item->node_id = error == BROKER_NONE ? request->broker->node_id : -1;
        item->host = error == BROKER_NONE ? kafka_advertised_host(request) : weir_bytes_text("");
        item->port = error == BROKER_NONE ? kafka_advertised_port(request) : -1;
        item->error_message = kafka_text(error == BROKER_NONE ? NULL : broker_error_about(error));
    }
    kafka_respond(request, &response);
    return true;
}

/* ---- JoinGroup --------------------------------------------------------------------------------------------------- */

typedef struct join_call {
    kafka_request *request;
    broker_join join;
    char client_host[IO_ADDRESS_TEXT_MAX + 2];
} join_call;

static bool fill_members(kafka_request *request, const broker_join *join, wire_join_group_response *response) {
    response->members.items = wire_join_group_response_member_new(&request->arena, (int32_t)join->member_count);
    if (!response->members.items && join->member_count) return false;
    response->members.count = (int32_t)join->member_count;
    for (size_t i = 0; i < join->member_count; i++) {
        response->members.items[i].member_id = join->members[i].member_id;
        response->members.items[i].group_instance_id = join->members[i].instance_id;
        response->members.items[i].metadata = join->members[i].metadata;
    }
    return true;
}

static void join_done(broker_join *join) {
    kafka_request *request = io_owner(join, join_call, join)->request;
    wire_join_group_response response;
    wire_join_group_response_init(&response);
    response.error_code = (int16_t)join->error;
    response.generation_id = join->generation;
    response.protocol_type = join->out_protocol_type;
    response.protocol_name = request->version >= 7 ? join->out_protocol : never_null(join->out_protocol);
    response.leader = never_null(join->leader);
    response.skip_assignment = join->skip_assignment;
    response.member_id = never_null(join->out_member_id);
    if (fill_members(request, join, &response)) kafka_respond(request, &response);
    else kafka_fail_memory(request);
}

bool kafka_join_group(kafka_request *request, const void *data) {
    const wire_join_group_request *message = data;
    join_call *call = kafka_array(request, join_call, 1);
    const size_t count = kafka_count(message->protocols);
    broker_group_protocol *protocols = kafka_array(request, broker_group_protocol, count);
    if (!call || !protocols) return false;
    for (size_t i = 0; i < count; i++)
        protocols[i] = (broker_group_protocol){message->protocols.items[i].name, message->protocols.items[i].metadata};
    call->request = request;
    snprintf(call->client_host, sizeof call->client_host, "/%s",
             request->conn->io ? request->conn->io->remote.host : "");
    call->join = (broker_join){.principal = request->principal,
                               .group = message->group_id,
                               .member_id = message->member_id,
                               .instance_id = message->group_instance_id,
                               .client_id = never_null(request->header.client_id),
                               .client_host = weir_bytes_text(call->client_host),
                               .protocol_type = message->protocol_type,
                               .protocols = protocols,
                               .protocol_count = count,
                               .session_timeout_ms = message->session_timeout_ms,
                               .rebalance_timeout_ms = message->rebalance_timeout_ms,
                               .member_id_required = request->version >= 4,
                               .skip_assignment_known = request->version >= 9,
                               .done = join_done};
    broker_group_join(request->broker, &call->join);
    return true;
}

/* ---- SyncGroup --------------------------------------------------------------------------------------------------- */

typedef struct sync_call {
    kafka_request *request;
    broker_sync sync;
} sync_call;

static void sync_done(broker_sync *sync) {
    kafka_request *request = io_owner(sync, sync_call, sync)->request;
    wire_sync_group_response response;
    wire_sync_group_response_init(&response);
    response.error_code = (int16_t)sync->error;
    response.protocol_type = sync->out_protocol_type;
    response.protocol_name = sync->out_protocol;
    response.assignment = never_null(sync->assignment);
    kafka_respond(request, &response);
}

bool kafka_sync_group(kafka_request *request, const void *data) {
    const wire_sync_group_request *message = data;
    sync_call *call = kafka_array(request, sync_call, 1);
    const size_t count = kafka_count(message->assignments);
    broker_assignment *assignments = kafka_array(request, broker_assignment, count);
    if (!call || !assignments) return false;
    for (size_t i = 0; i < count; i++)
        assignments[i] =
            (broker_assignment){message->assignments.items[i].member_id, message->assignments.items[i].assignment};
    call->request = request;
    call->sync = (broker_sync){.principal = request->principal,
                               .group = message->group_id,
                               .member_id = message->member_id,
                               .instance_id = message->group_instance_id,
                               .generation = message->generation_id,
                               .protocol_type = message->protocol_type,
                               .protocol = message->protocol_name,
                               .assignments = assignments,
                               .assignment_count = count,
                               .done = sync_done};
    broker_group_sync(request->broker, &call->sync);
    return true;
}

/* ---- Heartbeat, LeaveGroup --------------------------------------------------------------------------------------- */

bool kafka_heartbeat(kafka_request *request, const void *data) {
    const wire_heartbeat_request *message = data;
    wire_heartbeat_response response;
    wire_heartbeat_response_init(&response);
    response.error_code =
        (int16_t)broker_group_heartbeat(request->broker, request->principal, message->group_id, message->member_id,
                                        message->group_instance_id, message->generation_id);
    kafka_respond(request, &response);
    return true;
}

bool kafka_leave_group(kafka_request *request, const void *data) {
    const wire_leave_group_request *message = data;
    broker_node *broker = request->broker;
    wire_leave_group_response response;
    wire_leave_group_response_init(&response);
    if (request->version < 3) {
        response.error_code = (int16_t)broker_group_leave(broker, request->principal, message->group_id,
                                                          message->member_id, (weir_bytes){0});
        kafka_respond(request, &response);
        return true;
    }
    const size_t count = kafka_count(message->members);
    response.members.items = wire_leave_group_response_member_response_new(&request->arena, (int32_t)count);
    if (!response.members.items && count) return false;
    response.members.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        const wire_leave_group_request_member_identity *member = &message->members.items[i];
        response.members.items[i].member_id = member->member_id;
        response.members.items[i].group_instance_id = member->group_instance_id;
        response.members.items[i].error_code = (int16_t)broker_group_leave(
            broker, request->principal, message->group_id, member->member_id, member->group_instance_id);
    }
    kafka_respond(request, &response);
    return true;
}

/* ---- OffsetCommit ------------------------------------------------------------------------------------------------ */

typedef struct commit_call {
    kafka_request *request;
    const wire_offset_commit_request *message;
    broker_offset_commit commit;
} commit_call;

static bool commit_answer(commit_call *call) {
    kafka_request *request = call->request;
    wire_offset_commit_response response;
    wire_offset_commit_response_init(&response);
    const size_t topic_count = kafka_count(call->message->topics);
    response.topics.items = wire_offset_commit_response_topic_new(&request->arena, (int32_t)topic_count);
    if (!response.topics.items && topic_count) return false;
    response.topics.count = (int32_t)topic_count;
    const broker_offset *offset = call->commit.offsets;
    for (size_t t = 0; t < topic_count; t++) {
        const wire_offset_commit_request_topic *asked = &call->message->topics.items[t];
        wire_offset_commit_response_topic *topic = &response.topics.items[t];
        const size_t count = kafka_count(asked->partitions);
        topic->name = asked->name;
        topic->topic_id = asked->topic_id;
        topic->partitions.items = wire_offset_commit_response_partition_new(&request->arena, (int32_t)count);
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

static void commit_done(broker_offset_commit *commit) {
    commit_call *call = io_owner(commit, commit_call, commit);
    if (!commit_answer(call)) kafka_fail_memory(call->request);
}

bool kafka_offset_commit(kafka_request *request, const void *data) {
    const wire_offset_commit_request *message = data;
    commit_call *call = kafka_array(request, commit_call, 1);
    size_t count = 0;
    for (int32_t t = 0; t < message->topics.count; t++) count += kafka_count(message->topics.items[t].partitions);
    broker_offset *offsets = kafka_array(request, broker_offset, count);
    if (!call || !offsets) return false;
    broker_offset *offset = offsets;
    for (int32_t t = 0; t < message->topics.count; t++) {
        const wire_offset_commit_request_topic *topic = &message->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++, offset++) {
            const wire_offset_commit_request_partition *asked = &topic->partitions.items[p];
            if (request->version < 10) offset->topic = topic->name;
            memcpy(offset->topic_id, topic->topic_id.bytes, 16);
            offset->partition = asked->partition_index;
            offset->offset = asked->committed_offset;
            offset->leader_epoch = asked->committed_leader_epoch;
            offset->metadata = asked->committed_metadata;
        }
    }
    call->request = request;
    call->message = message;
    call->commit = (broker_offset_commit){.principal = request->principal,
                                          .group = message->group_id,
                                          .member_id = message->member_id,
                                          .instance_id = message->group_instance_id,
                                          .generation = message->generation_id_or_member_epoch,
                                          .epochs_known = request->version >= 9,
                                          .offsets = offsets,
                                          .offset_count = count,
                                          .done = commit_done};
    broker_offsets_commit(request->broker, &call->commit);
    return true;
}

/* ---- OffsetFetch ------------------------------------------------------------------------------------------------- */

enum { FETCH_GROUPS_VERSION = 8, FETCH_IDS_VERSION = 10 };

typedef struct fetched_offset { /* the two spellings of a partition in the response have the same fields */
    int64_t offset;
    int32_t leader_epoch;
    weir_bytes metadata;
    broker_error error;
} fetched_offset;

/* `stable`: what a transaction may still replace is not told (KIP-447). */
static fetched_offset offset_of(const broker_node *broker, weir_bytes group, weir_bytes topic, int32_t partition,
                                bool stable) {
    const broker_offset *found = broker_offset_find(broker, group, topic, partition);
    if (stable && broker_offset_unstable(broker, group, topic, partition))
        return (fetched_offset){-1, -1, weir_bytes_text(""), BROKER_UNSTABLE_OFFSET_COMMIT};
    if (!found) return (fetched_offset){-1, -1, weir_bytes_text(""), BROKER_NONE};
    return (fetched_offset){found->offset, found->leader_epoch, never_null(found->metadata), BROKER_NONE};
}

/* All offsets of a group, topic by topic. Offsets come in no order, so each topic is walked once more. */
typedef struct topic_names {
    weir_bytes *names;
    size_t *counts;
    size_t count;
} topic_names;

static bool collect_topics(kafka_request *request, weir_bytes group, topic_names *topics) {
    size_t total = 0, at = 0;
    for (; broker_offset_next(request->broker, group, &at);) total++;
    topics->names = kafka_array(request, weir_bytes, total);
    topics->counts = kafka_array(request, size_t, total);
    if (!topics->names || !topics->counts) return false;
    at = 0;
    for (const broker_offset *offset; (offset = broker_offset_next(request->broker, group, &at));) {
        size_t i = 0;
        while (i < topics->count && !weir_bytes_equal(topics->names[i], offset->topic)) i++;
        if (i == topics->count) topics->names[topics->count++] = offset->topic;
        topics->counts[i]++;
    }
    return true;
}

static bool fill_partition_list(kafka_request *request, weir_bytes group, weir_bytes topic, size_t count,
                                wire_int32_array *partitions) {
    partitions->items = kafka_array(request, int32_t, count);
    if (!partitions->items) return false;
    size_t at = 0;
    partitions->count = 0;
    for (const broker_offset *offset; (offset = broker_offset_next(request->broker, group, &at));) {
        if (weir_bytes_equal(topic, offset->topic)) partitions->items[partitions->count++] = offset->partition;
    }
    return true;
}

static bool fetch_old_topic(kafka_request *request, const wire_offset_fetch_request *message, weir_bytes name,
                            const wire_int32_array *asked, broker_error error,
                            wire_offset_fetch_response_topic *topic) {
    topic->name = name;
    topic->partitions.items = wire_offset_fetch_response_partition_new(&request->arena, asked->count);
    if (!topic->partitions.items && asked->count) return false;
    topic->partitions.count = asked->count;
    for (int32_t p = 0; p < asked->count; p++) {
        fetched_offset found = {-1, -1, weir_bytes_text(""), error};
        if (error == BROKER_NONE)
            found = offset_of(request->broker, message->group_id, name, asked->items[p], message->require_stable);
        wire_offset_fetch_response_partition *item = &topic->partitions.items[p];
        item->partition_index = asked->items[p];
        item->committed_offset = found.offset;
        item->committed_leader_epoch = found.leader_epoch;
        item->metadata = found.metadata;
        item->error_code = (int16_t)(request->version < 2 || error == BROKER_NONE ? found.error : BROKER_NONE);
    }
    return true;
}

static bool offset_fetch_old(kafka_request *request, const wire_offset_fetch_request *message) {
    wire_offset_fetch_response response;
    wire_offset_fetch_response_init(&response);
    const broker_error error = broker_offsets_readable(request->broker, request->principal, message->group_id);
    response.error_code = (int16_t)error;
    const bool all = message->topics.count < 0;
    topic_names topics = {0};
    if (all && !collect_topics(request, message->group_id, &topics)) return false;
    const size_t count = all ? topics.count : kafka_count(message->topics);
    response.topics.items = wire_offset_fetch_response_topic_new(&request->arena, (int32_t)count);
    if (!response.topics.items && count) return false;
    response.topics.count = (int32_t)count;
    for (size_t t = 0; t < count; t++) {
        wire_int32_array partitions;
        const weir_bytes name = all ? topics.names[t] : message->topics.items[t].name;
        if (all && !fill_partition_list(request, message->group_id, name, topics.counts[t], &partitions)) return false;
        if (!fetch_old_topic(request, message, name,
                             all ? &partitions : &message->topics.items[t].partition_indexes, error,
                             &response.topics.items[t]))
            return false;
    }
    kafka_respond(request, &response);
    return true;
}

static bool fetch_topic(kafka_request *request, weir_bytes group, weir_bytes name, const wire_uuid *id,
                        const wire_int32_array *asked, bool stable, wire_offset_fetch_response_topics *topic) {
    const broker_topic *known =
        name.data ? broker_topic_find(request->broker, name) : broker_topic_find_id(request->broker, id->bytes);
    const bool by_id = request->version >= FETCH_IDS_VERSION;
    const broker_error error = by_id && !known ? BROKER_UNKNOWN_TOPIC_ID : BROKER_NONE;
    if (!name.data && known) name = weir_bytes_text(known->name);
    topic->name = never_null(name);
    if (id) topic->topic_id = *id;
    else if (known) memcpy(topic->topic_id.bytes, known->id, 16);
    topic->partitions.items = wire_offset_fetch_response_partitions_new(&request->arena, asked->count);
    if (!topic->partitions.items && asked->count) return false;
    topic->partitions.count = asked->count;
    for (int32_t p = 0; p < asked->count; p++) {
        const fetched_offset found = offset_of(request->broker, group, name, asked->items[p], stable);
        wire_offset_fetch_response_partitions *item = &topic->partitions.items[p];
        item->partition_index = asked->items[p];
        item->committed_offset = found.offset;
        item->committed_leader_epoch = found.leader_epoch;
        item->metadata = found.metadata;
        item->error_code = (int16_t)(error != BROKER_NONE ? error : found.error);
    }
    return true;
}

static bool fetch_group(kafka_request *request, const wire_offset_fetch_request_group *asked, bool stable,
                        wire_offset_fetch_response_group *group) {
    const bool by_id = request->version >= FETCH_IDS_VERSION;
    group->group_id = asked->group_id;
    broker_error error = broker_offsets_readable(request->broker, request->principal, asked->group_id);
    if (error == BROKER_NONE)
        error = broker_offsets_member_check(request->broker, asked->group_id, asked->member_id, asked->member_epoch);
    group->error_code = (int16_t)error;
    if (error != BROKER_NONE) return true;
    const bool all = asked->topics.count < 0;
    topic_names topics = {0};
    if (all && !collect_topics(request, asked->group_id, &topics)) return false;
    const size_t count = all ? topics.count : kafka_count(asked->topics);
    group->topics.items = wire_offset_fetch_response_topics_new(&request->arena, (int32_t)count);
    if (!group->topics.items && count) return false;
    for (size_t t = 0; t < count; t++) {
        wire_offset_fetch_response_topics *topic = &group->topics.items[group->topics.count++];
        if (all) {
            wire_int32_array partitions;
            if (!fill_partition_list(request, asked->group_id, topics.names[t], topics.counts[t], &partitions))
                return false;
            if (!fetch_topic(request, asked->group_id, topics.names[t], NULL, &partitions, stable, topic)) return false;
        } else {
            const wire_offset_fetch_request_topics *one = &asked->topics.items[t];
            if (!fetch_topic(request, asked->group_id, by_id ? (weir_bytes){0} : one->name, &one->topic_id,
                             &one->partition_indexes, stable, topic))
                return false;
        }
    }
    return true;
}

bool kafka_offset_fetch(kafka_request *request, const void *data) {
    const wire_offset_fetch_request *message = data;
    if (request->version < FETCH_GROUPS_VERSION) return offset_fetch_old(request, message);
    wire_offset_fetch_response response;
    wire_offset_fetch_response_init(&response);
    const size_t count = kafka_count(message->groups);
    response.groups.items = wire_offset_fetch_response_group_new(&request->arena, (int32_t)count);
    if (!response.groups.items && count) return false;
    response.groups.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (!fetch_group(request, &message->groups.items[i], message->require_stable, &response.groups.items[i]))
            return false;
    }
    kafka_respond(request, &response);
    return true;
}

/* ---- ListGroups, DescribeGroups, DeleteGroups -------------------------------------------------------------------- */

static bool in_filter(const wire_string_array *filter, weir_bytes value) {
    for (int32_t i = 0; i < filter->count; i++) {
        if (filter->items[i].size == value.size &&
            strncasecmp((const char *)filter->items[i].data, (const char *)value.data, value.size) == 0)
            return true;
    }
    return filter->count <= 0;
}

bool kafka_list_groups(kafka_request *request, const void *data) {
    const wire_list_groups_request *message = data;
    const broker_node *broker = request->broker;
    wire_list_groups_response response;
    wire_list_groups_response_init(&response);
    const size_t count = broker_group_count(broker);
    response.groups.items = wire_list_groups_response_listed_group_new(&request->arena, (int32_t)count);
    if (!response.groups.items && count) return false;
    for (size_t i = 0; i < count; i++) {
        broker_group_info info;
        broker_group_at(broker, i, &info);
        if (!broker_may(broker, request->principal, GUARD_DESCRIBE, GUARD_GROUP, info.group)) continue;
        if (!in_filter(&message->states_filter, weir_bytes_text(info.state)) ||
            !in_filter(&message->types_filter, weir_bytes_text(info.consumer ? "consumer" : "classic")))
            continue;
        wire_list_groups_response_listed_group *item = &response.groups.items[response.groups.count++];
        item->group_id = info.group;
        item->protocol_type = info.protocol_type;
        item->group_state = weir_bytes_text(info.state);
        item->group_type = weir_bytes_text(info.consumer ? "consumer" : "classic");
    }
    kafka_respond(request, &response);
    return true;
}

static bool describe_group(kafka_request *request, weir_bytes id, bool with_operations,
                           wire_describe_groups_response_described_group *item) {
    broker_node *broker = request->broker;
    broker_group_info info;
    item->group_id = id;
    if (!broker_may(broker, request->principal, GUARD_DESCRIBE, GUARD_GROUP, id)) {
        item->error_code = BROKER_GROUP_AUTHORIZATION_FAILED;
        return true;
    }
    if (with_operations)
        item->authorized_operations = guard_operations(broker->authoriser, request->principal, GUARD_GROUP, id);
    if (!broker_group_describe(broker, id, &info) || info.consumer) {
        item->group_state = weir_bytes_text("Dead");
        if (request->version >= 6) item->error_code = BROKER_GROUP_ID_NOT_FOUND; /* KIP-1043 */
        return true;
    }
    item->group_state = weir_bytes_text(info.state);
    item->protocol_type = info.protocol_type;
    item->protocol_data = info.protocol;
    item->members.items =
        wire_describe_groups_response_described_group_member_new(&request->arena, (int32_t)info.member_count);
    if (!item->members.items && info.member_count) return false;
    item->members.count = (int32_t)info.member_count;
    for (size_t i = 0; i < info.member_count; i++) {
        broker_group_member_info member;
        broker_group_member_at(broker, id, i, &member);
        wire_describe_groups_response_described_group_member *target = &item->members.items[i];
        target->member_id = member.member_id;
        target->group_instance_id = member.instance_id;
        target->client_id = member.client_id;
        target->client_host = member.client_host;
        target->member_metadata = never_null(member.metadata);
        target->member_assignment = never_null(member.assignment);
    }
    return true;
}

bool kafka_describe_groups(kafka_request *request, const void *data) {
    const wire_describe_groups_request *message = data;
    wire_describe_groups_response response;
    wire_describe_groups_response_init(&response);
    const size_t count = kafka_count(message->groups);
    response.groups.items = wire_describe_groups_response_described_group_new(&request->arena, (int32_t)count);
    if (!response.groups.items && count) return false;
    response.groups.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (!describe_group(request, message->groups.items[i], message->include_authorized_operations,
                            &response.groups.items[i]))
            return false;
    }
    kafka_respond(request, &response);
    return true;
}

typedef struct delete_call delete_call;
typedef struct delete_item {
    broker_group_delete del;
    delete_call *call;
} delete_item;
struct delete_call {
    kafka_request *request;
    delete_item *items;
    size_t count, waiting;
};

static bool delete_answer(delete_call *call) {
    kafka_request *request = call->request;
    wire_delete_groups_response response;
    wire_delete_groups_response_init(&response);
    response.results.items =
        wire_delete_groups_response_deletable_group_result_new(&request->arena, (int32_t)call->count);
    if (!response.results.items && call->count) return false;
    response.results.count = (int32_t)call->count;
    for (size_t i = 0; i < call->count; i++) {
        response.results.items[i].group_id = call->items[i].del.group;
        response.results.items[i].error_code = (int16_t)call->items[i].del.error;
    }
    kafka_respond(request, &response);
    return true;
}

static void delete_release(delete_call *call) {
    if (--call->waiting == 0 && !delete_answer(call)) kafka_fail_memory(call->request);
}

static void delete_done(broker_group_delete *del) { delete_release(io_owner(del, delete_item, del)->call); }

bool kafka_delete_groups(kafka_request *request, const void *data) {
    const wire_delete_groups_request *message = data;
    delete_call *call = kafka_array(request, delete_call, 1);
    if (!call) return false;
    call->request = request;
    call->count = kafka_count(message->groups_names);
    call->items = kafka_array(request, delete_item, call->count);
    if (!call->items) return false;
    call->waiting = call->count + 1;
    for (size_t i = 0; i < call->count; i++) {
        call->items[i].call = call;
        call->items[i].del = (broker_group_delete){
            .principal = request->principal, .group = message->groups_names.items[i], .done = delete_done};
        broker_groups_delete(request->broker, &call->items[i].del);
    }
    delete_release(call);
    return true;
}
