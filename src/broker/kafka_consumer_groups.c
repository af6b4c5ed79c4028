/* ConsumerGroupHeartbeat, ConsumerGroupDescribe (KIP-848). */
#include "broker/consumer_int.h"
#include "broker/kafka_int.h"

#include <stdio.h>

enum { OWNED_MAX = BROKER_PARTITIONS_MAX };

static bool is_other_topic(const consumer_partition *item, size_t index) {
    return index == 0 || memcmp(item->topic_id, item[-1].topic_id, 16) != 0;
}

static size_t topics_in(const consumer_partition *items, size_t count) {
    size_t topics = 0;
    for (size_t i = 0; i < count; i++) topics += is_other_topic(&items[i], i);
    return topics;
}

/* ---- ConsumerGroupHeartbeat -------------------------------------------------------------------------------------- */

typedef struct beat_call {
    kafka_request *request;
    broker_consumer_heartbeat beat;
    char client_host[IO_ADDRESS_TEXT_MAX + 2];
} beat_call;

static bool fill_assignment(kafka_request *request, const broker_consumer_heartbeat *beat,
                            wire_consumer_group_heartbeat_response *response) {
    const size_t topics = topics_in(beat->assigned, beat->assigned_count);
    int32_t *numbers = kafka_array(request, int32_t, beat->assigned_count);
    response->assignment = wire_consumer_group_heartbeat_response_assignment_new(&request->arena, 1);
    if (!numbers || !response->assignment) return false;
    response->assignment->topic_partitions.items =
        wire_consumer_group_heartbeat_response_topic_partitions_new(&request->arena, (int32_t)topics);
    if (!response->assignment->topic_partitions.items && topics) return false;
    wire_consumer_group_heartbeat_response_topic_partitions *topic = response->assignment->topic_partitions.items - 1;
    for (size_t i = 0; i < beat->assigned_count; i++) {
        if (is_other_topic(&beat->assigned[i], i)) {
            topic++;
            memcpy(topic->topic_id.bytes, beat->assigned[i].topic_id, 16);
            topic->partitions.items = numbers + i;
        }
        numbers[i] = beat->assigned[i].partition;
        topic->partitions.count++;
    }
    response->assignment->topic_partitions.count = (int32_t)topics;
    return true;
}

static void beat_done(broker_consumer_heartbeat *beat) {
    kafka_request *request = io_owner(beat, beat_call, beat)->request;
    wire_consumer_group_heartbeat_response response;
    wire_consumer_group_heartbeat_response_init(&response);
    response.error_code = (int16_t)beat->error;
    if (beat->error != BROKER_NONE) {
        response.error_message = weir_bytes_text(beat->message ? beat->message : broker_error_about(beat->error));
        kafka_respond(request, &response);
        return;
    }
    response.member_id = beat->out_member_id;
    response.member_epoch = beat->out_epoch;
    response.heartbeat_interval_ms = beat->interval_ms;
    if (!beat->has_assignment || fill_assignment(request, beat, &response)) kafka_respond(request, &response);
    else kafka_fail_memory(request);
}

/* false at the limit of memory; *count -1 = not told. */
static bool take_owned(kafka_request *request, const wire_consumer_group_heartbeat_request *message,
                       const broker_partition_id **owned, int32_t *count) {
    *count = -1;
    if (message->topic_partitions.count < 0) return true;
    size_t total = 0;
    for (int32_t t = 0; t < message->topic_partitions.count; t++)
        total += kafka_count(message->topic_partitions.items[t].partitions);
    if (total > OWNED_MAX) return false;
    broker_partition_id *items = kafka_array(request, broker_partition_id, total);
    if (!items) return false;
    *owned = items;
    *count = (int32_t)total;
    for (int32_t t = 0; t < message->topic_partitions.count; t++) {
        const wire_consumer_group_heartbeat_request_topic_partitions *topic = &message->topic_partitions.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++, items++) {
            memcpy(items->topic_id, topic->topic_id.bytes, 16);
            items->partition = topic->partitions.items[p];
        }
    }
    return true;
}

bool kafka_consumer_group_heartbeat(kafka_request *request, const void *data) {
    const wire_consumer_group_heartbeat_request *message = data;
    beat_call *call = kafka_array(request, beat_call, 1);
    if (!call) return false;
    call->request = request;
    snprintf(call->client_host, sizeof call->client_host, "/%s",
             request->conn->io ? request->conn->io->remote.host : "");
    call->beat = (broker_consumer_heartbeat){
        .principal = request->principal,
        .group = message->group_id,
        .member_id = message->member_id,
        .instance_id = message->instance_id,
        .rack_id = message->rack_id,
        .client_id = request->header.client_id.data ? request->header.client_id : weir_bytes_text(""),
        .client_host = weir_bytes_text(call->client_host),
        .member_epoch = message->member_epoch,
        .rebalance_timeout_ms = message->rebalance_timeout_ms,
        .topics = message->subscribed_topic_names.items,
        .topic_count = message->subscribed_topic_names.count,
        .regex = message->subscribed_topic_regex,
        .assignor = message->server_assignor,
        .member_makes_id = request->version >= 1,
        .done = beat_done};
    if (!take_owned(request, message, &call->beat.owned, &call->beat.owned_count)) return false;
    broker_consumer_beat(request->broker, &call->beat);
    return true;
}

/* ---- ConsumerGroupDescribe --------------------------------------------------------------------------------------- */

static bool fill_described(kafka_request *request, const partition_set *set,
                           wire_consumer_group_describe_response_assignment *assignment) {
    const size_t topics = topics_in(set->items, set->count);
    int32_t *numbers = kafka_array(request, int32_t, set->count);
    assignment->topic_partitions.items =
        wire_consumer_group_describe_response_topic_partitions_new(&request->arena, (int32_t)topics);
    if (!numbers || (!assignment->topic_partitions.items && topics)) return false;
    wire_consumer_group_describe_response_topic_partitions *topic = NULL;
    bool known = false;
    for (size_t i = 0; i < set->count; i++) {
        if (is_other_topic(&set->items[i], i)) {
            const broker_topic *info = broker_topic_find_id(request->broker, set->items[i].topic_id);
            known = info != NULL; /* a deleted topic is no longer named */
            if (!known) continue;
            topic = &assignment->topic_partitions.items[assignment->topic_partitions.count++];
            memcpy(topic->topic_id.bytes, set->items[i].topic_id, 16);
            topic->topic_name = weir_bytes_text(info->name);
            topic->partitions.items = numbers + i;
        }
        if (!known) continue;
        numbers[i] = set->items[i].partition;
        topic->partitions.count++;
    }
    return true;
}

static bool fill_member(kafka_request *request, const consumer_member *member,
                        wire_consumer_group_describe_response_member *item) {
    enum { MEMBER_OF_CONSUMER_PROTOCOL = 1 };
    item->member_id = weir_bytes_text(member->id);
    item->instance_id = kafka_text(member->instance_id);
    item->rack_id = kafka_text(member->rack_id);
    item->member_epoch = member->epoch;
    item->client_id = weir_bytes_text(member->client_id ? member->client_id : "");
    item->client_host = weir_bytes_text(member->client_host ? member->client_host : "");
    item->subscribed_topic_regex = kafka_text(member->regex);
    item->member_type = MEMBER_OF_CONSUMER_PROTOCOL;
    item->subscribed_topic_names.items = kafka_array(request, weir_bytes, member->topic_count);
    if (!item->subscribed_topic_names.items) return false;
    item->subscribed_topic_names.count = (int32_t)member->topic_count;
    for (size_t i = 0; i < member->topic_count; i++)
        item->subscribed_topic_names.items[i] = weir_bytes_text(member->topics[i]);
    return fill_described(request, &member->assigned, &item->assignment) &&
           fill_described(request, &member->target, &item->target_assignment);
}

static bool fill_group(kafka_request *request, weir_bytes id, bool with_operations,
                       wire_consumer_group_describe_response_described_group *item) {
    const broker_node *broker = request->broker;
    const group_entry *group = broker_group_get(broker, id);
    item->group_id = id;
    if (!broker_may(broker, request->principal, GUARD_DESCRIBE, GUARD_GROUP, id)) {
        item->error_code = BROKER_GROUP_AUTHORIZATION_FAILED;
        return true;
    }
    if (!group || !group->consumer) {
        item->error_code = BROKER_GROUP_ID_NOT_FOUND;
        item->error_message = weir_bytes_text("There is no such group of the consumer protocol.");
        return true;
    }
    const consumer_group *consumer = group->consumer;
    if (with_operations)
        item->authorized_operations = guard_operations(broker->authoriser, request->principal, GUARD_GROUP, id);
    item->group_state = weir_bytes_text(broker_consumer_state_name(consumer));
    item->group_epoch = consumer->epoch;
    item->assignment_epoch = consumer->assignment_epoch;
    item->assignor_name = weir_bytes_text(broker_consumer_assignor(consumer));
    item->members.items =
        wire_consumer_group_describe_response_member_new(&request->arena, (int32_t)consumer->member_count);
    if (!item->members.items && consumer->member_count) return false;
    item->members.count = (int32_t)consumer->member_count;
    for (size_t i = 0; i < consumer->member_count; i++) {
        if (!fill_member(request, consumer->members[i], &item->members.items[i])) return false;
    }
    return true;
}

bool kafka_consumer_group_describe(kafka_request *request, const void *data) {
    const wire_consumer_group_describe_request *message = data;
    wire_consumer_group_describe_response response;
    wire_consumer_group_describe_response_init(&response);
    const size_t count = kafka_count(message->group_ids);
    response.groups.items = wire_consumer_group_describe_response_described_group_new(&request->arena, (int32_t)count);
    if (!response.groups.items && count) return false;
    response.groups.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (!fill_group(request, message->group_ids.items[i], message->include_authorized_operations,
                        &response.groups.items[i]))
            return false;
    }
    kafka_respond(request, &response);
    return true;
}
