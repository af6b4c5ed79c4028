/* Groups of the consumer protocol in `__consumer_offsets`, in the records of Kafka 4.x (KIP-848), and back from there.
 */
#include "broker/consumer_int.h"

enum { ARENA_BYTES_MAX = 16 << 20, VERSION = 0 };

static weir_bytes text_or_null(const char *text) { return text ? weir_bytes_text(text) : (weir_bytes){0}; }
static weir_bytes text_of(const char *text) { return weir_bytes_text(text ? text : ""); }
static weir_bytes id_of(const consumer_group *consumer) { return weir_bytes_text(consumer->group->id); }

/* ---- writing ----------------------------------------------------------------------------------------------------- */

void broker_consumer_append_epoch(group_append *append, const consumer_group *consumer, bool tombstone) {
    wire_consumer_group_metadata_key key = {.group_id = id_of(consumer)};
    wire_consumer_group_metadata_value value;
    wire_consumer_group_metadata_value_init(&value);
    value.epoch = consumer->epoch;
    value.metadata_hash = (int64_t)consumer->topics_hash;
    broker_group_append_record(append, WIRE_CONSUMER_GROUP_METADATA_KEY, &key, WIRE_CONSUMER_GROUP_METADATA_VALUE,
                               VERSION, tombstone ? NULL : &value);
}

void broker_consumer_append_member(group_append *append, const consumer_group *consumer, const consumer_member *member,
                                   bool tombstone) {
    wire_consumer_group_member_metadata_key key = {.group_id = id_of(consumer), .member_id = text_of(member->id)};
    wire_consumer_group_member_metadata_value value;
    wire_consumer_group_member_metadata_value_init(&value);
    value.instance_id = text_or_null(member->instance_id);
    value.rack_id = text_or_null(member->rack_id);
    value.client_id = text_of(member->client_id);
    value.client_host = text_of(member->client_host);
    value.subscribed_topic_regex = text_or_null(member->regex);
    value.rebalance_timeout_ms = member->rebalance_timeout_ms;
    value.server_assignor = text_or_null(member->assignor);
    weir_bytes *topics = weir_alloc(&append->broker->account, sizeof *topics * (member->topic_count + 1));
    for (size_t i = 0; i < member->topic_count; i++) topics[i] = weir_bytes_text(member->topics[i]);
    value.subscribed_topic_names.items = topics;
    value.subscribed_topic_names.count = (int32_t)member->topic_count;
    broker_group_append_record(append, WIRE_CONSUMER_GROUP_MEMBER_METADATA_KEY, &key,
                               WIRE_CONSUMER_GROUP_MEMBER_METADATA_VALUE, VERSION, tombstone ? NULL : &value);
    weir_free(&append->broker->account, topics);
}

void broker_consumer_append_target_epoch(group_append *append, const consumer_group *consumer, bool tombstone) {
    wire_consumer_group_target_assignment_metadata_key key = {.group_id = id_of(consumer)};
    wire_consumer_group_target_assignment_metadata_value value;
    wire_consumer_group_target_assignment_metadata_value_init(&value);
    value.assignment_epoch = consumer->assignment_epoch;
    value.assignment_timestamp = broker_wall_ms(append->broker);
    broker_group_append_record(append, WIRE_CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA_KEY, &key,
                               WIRE_CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA_VALUE, VERSION,
                               tombstone ? NULL : &value);
}

static size_t topics_in(const partition_set *set) {
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++)
        count += i == 0 || memcmp(set->items[i].topic_id, set->items[i - 1].topic_id, 16) != 0;
    return count;
}

/* The set as the records and the protocol spell it: a topic with its partitions. The spellings share fields, not types.
 */
#define FILL_TOPICS(arena, set, target, type)                                                                          \
    do {                                                                                                               \
        int32_t *numbers = weir_arena_array((arena), int32_t, (set)->count + 1);                                       \
        (target)->items = type##_new((arena), (int32_t)topics_in(set));                                                \
        (target)->count = 0;                                                                                           \
        for (size_t at = 0; at < (set)->count; at++) {                                                                 \
            const consumer_partition *item = &(set)->items[at];                                                        \
            if (at == 0 || memcmp(item->topic_id, item[-1].topic_id, 16) != 0) {                                       \
                type *topic = &(target)->items[(target)->count++];                                                     \
                memcpy(topic->topic_id.bytes, item->topic_id, 16);                                                     \
                topic->partitions.items = numbers + at;                                                                \
                topic->partitions.count = 0;                                                                           \
            }                                                                                                          \
            numbers[at] = item->partition;                                                                             \
            (target)->items[(target)->count - 1].partitions.count++;                                                   \
        }                                                                                                              \
    } while (0)

void broker_consumer_append_target(group_append *append, const consumer_group *consumer, const consumer_member *member,
                                   bool tombstone) {
    wire_consumer_group_target_assignment_member_key key = {.group_id = id_of(consumer),
                                                            .member_id = text_of(member->id)};
    wire_consumer_group_target_assignment_member_value value;
    weir_arena arena;
    weir_arena_init(&arena, &append->broker->account, ARENA_BYTES_MAX);
    wire_consumer_group_target_assignment_member_value_init(&value);
    FILL_TOPICS(&arena, &member->target, &value.topic_partitions,
                wire_consumer_group_target_assignment_member_value_topic_partition);
    broker_group_append_record(append, WIRE_CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER_KEY, &key,
                               WIRE_CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER_VALUE, VERSION, tombstone ? NULL : &value);
    weir_arena_deinit(&arena);
}

void broker_consumer_append_current(group_append *append, const consumer_group *consumer,
                                    const consumer_member *member, bool tombstone) {
    wire_consumer_group_current_member_assignment_key key = {.group_id = id_of(consumer),
                                                             .member_id = text_of(member->id)};
    wire_consumer_group_current_member_assignment_value value;
    weir_arena arena;
    weir_arena_init(&arena, &append->broker->account, ARENA_BYTES_MAX);
    wire_consumer_group_current_member_assignment_value_init(&value);
    value.member_epoch = member->epoch;
    value.previous_member_epoch = member->previous_epoch;
    value.state = (int8_t)member->state;
    FILL_TOPICS(&arena, &member->assigned, &value.assigned_partitions,
                wire_consumer_group_current_member_assignment_value_topic_partitions);
    FILL_TOPICS(&arena, &member->revoking, &value.partitions_pending_revocation,
                wire_consumer_group_current_member_assignment_value_topic_partitions);
    broker_group_append_record(append, WIRE_CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT_KEY, &key,
                               WIRE_CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT_VALUE, VERSION,
                               tombstone ? NULL : &value);
    weir_arena_deinit(&arena);
}

void broker_consumer_append_gone(group_append *append, const consumer_group *consumer, const consumer_member *member) {
    broker_consumer_append_current(append, consumer, member, true);
    broker_consumer_append_target(append, consumer, member, true);
    broker_consumer_append_member(append, consumer, member, true);
}

void broker_consumer_append_all(group_append *append, const consumer_group *consumer, bool tombstone) {
    for (size_t i = 0; i < consumer->member_count; i++) {
        const consumer_member *member = consumer->members[i];
        if (tombstone) {
            broker_consumer_append_gone(append, consumer, member);
            continue;
        }
        broker_consumer_append_member(append, consumer, member, false);
        broker_consumer_append_target(append, consumer, member, false);
        broker_consumer_append_current(append, consumer, member, false);
    }
    broker_consumer_append_target_epoch(append, consumer, tombstone);
    broker_consumer_append_epoch(append, consumer, tombstone);
}

void broker_consumer_append_tombstones(group_append *append, const group_entry *group) {
    broker_consumer_append_all(append, group->consumer, true);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void take_partitions(broker_node *broker, partition_set *set, const wire_uuid *topic,
                            const wire_int32_array *partitions) {
    for (int32_t i = 0; i < partitions->count; i++) {
        consumer_partition partition = {.partition = partitions->items[i]};
        memcpy(partition.topic_id, topic->bytes, 16);
        broker_partitions_add(&broker->account, set, &partition);
    }
}

static consumer_group *consumer_of(broker_node *broker, weir_bytes group_id, bool make) {
    group_entry *group = make ? broker_group_make(broker, group_id) : broker_group_get(broker, group_id);
    if (!group) return NULL;
    return group->consumer || !make ? group->consumer : broker_consumer_make(group);
}

static weir_status full(void) { return weir_fail(WEIR_FULL, "more groups or members than this weir keeps"); }

static char *copy_or_null(broker_node *broker, weir_bytes text) {
    return text.data ? broker_bytes_text(broker, text) : NULL;
}

static void replace(broker_node *broker, char **text, weir_bytes value) {
    weir_free(&broker->account, *text);
    *text = copy_or_null(broker, value);
}

static weir_status replay_member(broker_node *broker, weir_bytes key, weir_bytes bytes, weir_arena *arena) {
    wire_consumer_group_member_metadata_key id;
    wire_consumer_group_member_metadata_value value;
    int version;
    WEIR_TRY(wire_decode(WIRE_CONSUMER_GROUP_MEMBER_METADATA_KEY, 0, key, arena, &id));
    consumer_group *consumer = consumer_of(broker, id.group_id, bytes.data != NULL);
    if (!bytes.data) {
        consumer_member *gone = consumer ? broker_consumer_member(consumer, id.member_id) : NULL;
        if (gone) broker_consumer_member_drop(consumer, gone);
        return weir_ok();
    }
    WEIR_TRY(wire_decode_versioned(WIRE_CONSUMER_GROUP_MEMBER_METADATA_VALUE, bytes, false, arena, &value, &version));
    consumer_member *member = consumer ? broker_consumer_member_make(consumer, id.member_id) : NULL;
    if (!member) return full();
    replace(broker, &member->instance_id, value.instance_id);
    replace(broker, &member->rack_id, value.rack_id);
    replace(broker, &member->client_id, value.client_id);
    replace(broker, &member->client_host, value.client_host);
    replace(broker, &member->assignor, value.server_assignor);
    replace(broker, &member->regex, value.subscribed_topic_regex);
    topic_pattern_free(&broker->account, member->pattern);
    member->pattern = NULL;
    /* One that another release took and this one cannot read matches nothing. */
    if (member->regex && weir_failed(topic_pattern_parse(&broker->account, value.subscribed_topic_regex,
                                                         &member->pattern)))
        member->pattern = NULL;
    broker_consumer_set_topics(member, &broker->account, value.subscribed_topic_names.items,
                               value.subscribed_topic_names.count > 0 ? (size_t)value.subscribed_topic_names.count : 0);
    member->rebalance_timeout_ms = value.rebalance_timeout_ms;
    return weir_ok();
}

static weir_status replay_epoch(broker_node *broker, weir_bytes key, weir_bytes bytes, weir_arena *arena) {
    wire_consumer_group_metadata_key id;
    wire_consumer_group_metadata_value value;
    int version;
    WEIR_TRY(wire_decode(WIRE_CONSUMER_GROUP_METADATA_KEY, 0, key, arena, &id));
    consumer_group *consumer = consumer_of(broker, id.group_id, bytes.data != NULL);
    if (!bytes.data) {
        if (consumer) broker_consumer_free(consumer->group);
        return weir_ok();
    }
    if (!consumer) return full();
    WEIR_TRY(wire_decode_versioned(WIRE_CONSUMER_GROUP_METADATA_VALUE, bytes, false, arena, &value, &version));
    consumer->epoch = value.epoch;
    consumer->topics_hash = (uint64_t)value.metadata_hash;
    return weir_ok();
}

static weir_status replay_target_epoch(broker_node *broker, weir_bytes key, weir_bytes bytes, weir_arena *arena) {
    wire_consumer_group_target_assignment_metadata_key id;
    wire_consumer_group_target_assignment_metadata_value value;
    int version;
    WEIR_TRY(wire_decode(WIRE_CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA_KEY, 0, key, arena, &id));
    consumer_group *consumer = consumer_of(broker, id.group_id, bytes.data != NULL);
    if (!bytes.data) return weir_ok();
    if (!consumer) return full();
    WEIR_TRY(wire_decode_versioned(WIRE_CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA_VALUE, bytes, false, arena, &value,
                                   &version));
    consumer->assignment_epoch = value.assignment_epoch;
    return weir_ok();
}

static weir_status replay_target(broker_node *broker, weir_bytes key, weir_bytes bytes, weir_arena *arena) {
    wire_consumer_group_target_assignment_member_key id;
    wire_consumer_group_target_assignment_member_value value;
    int version;
    WEIR_TRY(wire_decode(WIRE_CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER_KEY, 0, key, arena, &id));
    consumer_group *consumer = consumer_of(broker, id.group_id, false);
    consumer_member *member = consumer ? broker_consumer_member(consumer, id.member_id) : NULL;
    if (!member) return weir_ok();
    member->target.count = 0;
    if (!bytes.data) return weir_ok();
    WEIR_TRY(wire_decode_versioned(WIRE_CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER_VALUE, bytes, false, arena, &value,
                                   &version));
    for (int32_t i = 0; i < value.topic_partitions.count; i++)
        take_partitions(broker, &member->target, &value.topic_partitions.items[i].topic_id,
                        &value.topic_partitions.items[i].partitions);
    broker_partitions_sort(&member->target);
    return weir_ok();
}

static weir_status replay_current(broker_node *broker, weir_bytes key, weir_bytes bytes, weir_arena *arena) {
    wire_consumer_group_current_member_assignment_key id;
    wire_consumer_group_current_member_assignment_value value;
    int version;
    WEIR_TRY(wire_decode(WIRE_CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT_KEY, 0, key, arena, &id));
    consumer_group *consumer = consumer_of(broker, id.group_id, false);
    consumer_member *member = consumer ? broker_consumer_member(consumer, id.member_id) : NULL;
    if (!member) return weir_ok();
    member->assigned.count = member->revoking.count = 0;
    member->epoch = member->previous_epoch = 0;
    if (!bytes.data) return weir_ok();
    WEIR_TRY(wire_decode_versioned(WIRE_CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT_VALUE, bytes, false, arena, &value,
                                   &version));
    if (value.state < CONSUMER_STABLE || value.state > CONSUMER_UNRELEASED)
        return weir_fail(WEIR_UNSUPPORTED, "member state %d: a newer weir wrote it", value.state);
    member->epoch = value.member_epoch;
    member->previous_epoch = value.previous_member_epoch;
    member->state = (consumer_state)value.state;
    for (int32_t i = 0; i < value.assigned_partitions.count; i++)
        take_partitions(broker, &member->assigned, &value.assigned_partitions.items[i].topic_id,
                        &value.assigned_partitions.items[i].partitions);
    for (int32_t i = 0; i < value.partitions_pending_revocation.count; i++)
        take_partitions(broker, &member->revoking, &value.partitions_pending_revocation.items[i].topic_id,
                        &value.partitions_pending_revocation.items[i].partitions);
    broker_partitions_sort(&member->assigned);
    broker_partitions_sort(&member->revoking);
    return weir_ok();
}

weir_status broker_consumer_replay(broker_node *broker, int16_t kind, weir_bytes key, weir_bytes value,
                                   weir_arena *arena) {
    switch (kind) {
    case WIRE_GROUP_KEY_CONSUMER_GROUP_METADATA: return replay_epoch(broker, key, value, arena);
    case WIRE_GROUP_KEY_CONSUMER_GROUP_MEMBER_METADATA: return replay_member(broker, key, value, arena);
    case WIRE_GROUP_KEY_CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA:
        return replay_target_epoch(broker, key, value, arena);
    case WIRE_GROUP_KEY_CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER: return replay_target(broker, key, value, arena);
    case WIRE_GROUP_KEY_CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT: return replay_current(broker, key, value, arena);
    default: return weir_ok(); /* other kinds of groups, and what is made anew after a start */
    }
}
