/* OffsetDelete (KIP-496): committed offsets of topics that the group's members do not read. */
#include "broker/broker_int.h"

enum { SUBSCRIPTION_BYTES_MAX = 8 << 20 };

static bool subscription_names(broker_node *broker, weir_bytes metadata, weir_bytes topic) {
    weir_arena arena;
    int version;
    wire_consumer_protocol_subscription subscription;
    bool reads = true; /* what cannot be read may name the topic */
    weir_arena_init(&arena, &broker->account, SUBSCRIPTION_BYTES_MAX);
    if (!weir_failed(wire_decode_versioned(WIRE_CONSUMER_PROTOCOL_SUBSCRIPTION, metadata, true, &arena, &subscription,
                                           &version))) {
        reads = false;
        for (int32_t i = 0; i < subscription.topics.count && !reads; i++)
            reads = weir_bytes_equal(subscription.topics.items[i], topic);
    }
    weir_arena_deinit(&arena);
    return reads;
}

bool broker_group_reads(const group_entry *group, weir_bytes topic) {
    if (group->consumer) return broker_consumer_reads(group, topic);
    for (size_t i = 0; i < group->member_count; i++) {
        const weir_bytes metadata = broker_group_member_subscription(group, group->members[i]);
        if (metadata.size == 0 || subscription_names(group->broker, metadata, topic)) return true;
    }
    return false;
}

static void delete_run(io_job *job) {
    broker_offset_delete *del = io_owner(job, broker_offset_delete, job);
    broker_node *broker = del->broker;
    del->done(del);
    broker_operation_end(broker);
}

static void delete_stored(group_append *append, weir_status status) {
    broker_offset_delete *del = append->owner;
    broker_node *broker = del->broker;
    for (size_t i = 0; i < del->offset_count && weir_failed(status); i++) {
        if (del->offsets[i].error == BROKER_NONE) del->offsets[i].error = BROKER_COORDINATOR_NOT_AVAILABLE;
    }
    group_entry *group = broker_group_get(broker, del->group);
    if (group) broker_group_drop_if_unused(group);
    del->done(del);
    broker_operation_end(broker);
}

static broker_error judge(const broker_node *broker, const broker_offset_delete *del, const group_entry *group) {
    if (!broker_may(broker, del->principal, GUARD_DELETE, GUARD_GROUP, del->group))
        return BROKER_GROUP_AUTHORIZATION_FAILED;
    if (broker->stopping) return BROKER_COORDINATOR_NOT_AVAILABLE;
    if (!group) return BROKER_GROUP_ID_NOT_FOUND;
    /* Only a consumer's metadata says what it reads. */
    if (group->member_count && !(group->protocol_type && strcmp(group->protocol_type, "consumer") == 0))
        return BROKER_NON_EMPTY_GROUP;
    return BROKER_NONE;
}

static broker_error judge_offset(const broker_node *broker, const broker_offset_delete *del, const group_entry *group,
                                 const broker_offset *offset) {
    if (!broker_may(broker, del->principal, GUARD_READ, GUARD_TOPIC, offset->topic))
        return BROKER_TOPIC_AUTHORIZATION_FAILED;
    const topic_entry *topic = broker_topic_get(broker, offset->topic);
    if (!topic || offset->partition < 0 || offset->partition >= topic->info.partition_count)
        return BROKER_UNKNOWN_TOPIC_OR_PARTITION;
    return broker_group_reads(group, offset->topic) ? BROKER_GROUP_SUBSCRIBED_TO_TOPIC : BROKER_NONE;
}

void broker_offsets_delete(broker_node *broker, broker_offset_delete *del) {
    del->broker = broker;
    broker_operation_begin(broker);
    group_entry *group = broker_group_get(broker, del->group);
    del->error = judge(broker, del, group);
    size_t found = 0;
    for (size_t i = 0; i < del->offset_count && del->error == BROKER_NONE; i++) {
        broker_offset *offset = &del->offsets[i];
        offset->error = judge_offset(broker, del, group, offset);
        found += offset->error == BROKER_NONE &&
                 broker_offset_find(broker, del->group, offset->topic, offset->partition) != NULL;
    }
    if (found == 0) {
        io_job_init(&del->job, delete_run);
        broker_post(broker, &del->job);
        return;
    }
    group_append *append = broker_group_append(broker, delete_stored, del);
    for (size_t i = 0; i < del->offset_count; i++) {
        const broker_offset *offset = &del->offsets[i];
        if (offset->error == BROKER_NONE)
            broker_group_append_tombstone(append, group, offset->topic, offset->partition);
    }
    broker_group_append_send(append, NULL, 0);
}
