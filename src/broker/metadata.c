/* `__cluster_metadata-0`: KRaft records in KRaft's framing, one batch a change. Changes wait in a queue and run one at
 * a time, so that each is judged by what is durable and two makers of one topic cannot both win. */
#include "broker/broker_int.h"

#include "base/text.h"

/* Kafka's Uuid.METADATA_TOPIC_ID. */
const uint8_t broker_metadata_topic_id[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

enum { RECORD_BYTES_MAX = 64 << 10, METADATA_VERSION_LEVEL = 30 }; /* 4.3-IV0 */

/* ---- the queue --------------------------------------------------------------------------------------------------- */

metadata_change *broker_metadata_change(broker_node *broker, bool (*prepare)(metadata_change *change),
                                        void (*finish)(metadata_change *change, weir_status status), void *owner) {
    metadata_change *change = weir_alloc(&broker->account, sizeof *change);
    change->broker = broker;
    change->prepare = prepare;
    change->finish = finish;
    change->owner = owner;
    weir_arena_init(&change->arena, &broker->account, BROKER_METADATA_BATCH_BYTES_MAX);
    weir_buffer_init(&change->buffer, &broker->account, BROKER_METADATA_BATCH_BYTES_MAX);
    return change;
}

static void change_end(metadata_change *change, weir_status status) {
    broker_node *broker = change->broker;
    change->finish(change, status);
    weir_arena_deinit(&change->arena);
    weir_buffer_deinit(&change->buffer);
    weir_free(&broker->account, change);
    broker_operation_end(broker);
}

static void change_done(log_group *group, weir_status status) {
    metadata_change *change = io_owner(group, metadata_change, group);
    broker_node *broker = change->broker;
    broker->change_running = false;
    change_end(change, status);
    if (broker->changes_first) broker_post(broker, &broker->change_job);
}

static metadata_change *pop_change(broker_node *broker) {
    metadata_change *change = broker->changes_first;
    broker->changes_first = change->next;
    if (!change->next) broker->changes_last = NULL;
    return change;
}

/* Appends the batch of the change at the head; false = it waits for room. */
static bool append_change(broker_node *broker, metadata_change *change) {
    change->batch =
        (log_batch){.partition = broker->metadata_log, .bytes = change->buffer.data, .size = change->buffer.size};
    change->group = (log_group){.batches = &change->batch, .count = 1, .done = change_done};
    const weir_status status = log_append(broker->log, &change->group);
    if (status.code == WEIR_FULL) {
        weir_buffer_clear(&change->buffer); /* judged again when there is room */
        weir_arena_reset(&change->arena);
        log_wait_room(broker->log, &broker->change_room_job);
        return false;
    }
    pop_change(broker);
    if (weir_failed(status)) change_end(change, status);
    else broker->change_running = true;
    return true;
}

static void change_run(broker_node *broker) {
    while (broker->changes_first && !broker->change_running) {
        metadata_change *change = broker->changes_first;
        wire_builder_begin(&change->builder, &change->buffer);
        if (!change->prepare(change)) {
            wire_builder_abandon(&change->builder);
            change_end(pop_change(broker), weir_ok());
            continue;
        }
        const weir_status status = wire_builder_finish(&change->builder, &wire_batch_options_default, NULL, NULL);
        if (weir_failed(status)) {
            change_end(pop_change(broker), weir_context(status, "encoding the metadata of a topic"));
            continue;
        }
        if (!append_change(broker, change)) return;
    }
}

static void change_job_run(io_job *job) { change_run(io_owner(job, broker_node, change_job)); }
static void change_room_run(io_job *job) { change_run(io_owner(job, broker_node, change_room_job)); }

void broker_metadata_queue(metadata_change *change) {
    broker_node *broker = change->broker;
    broker_operation_begin(broker);
    if (!broker->change_job.run) {
        io_job_init(&broker->change_job, change_job_run);
        io_job_init(&broker->change_room_job, change_room_run);
    }
    change->next = NULL;
    if (broker->changes_last) broker->changes_last->next = change;
    else broker->changes_first = change;
    broker->changes_last = change;
    if (!broker->change_running) broker_post(broker, &broker->change_job);
}

void broker_metadata_stop(broker_node *broker) {
    while (broker->changes_first) change_end(pop_change(broker), weir_fail(WEIR_CANCELLED, "the broker is stopping"));
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

void broker_metadata_add(metadata_change *change, wire_message_id id, int version, const void *record) {
    weir_buffer value;
    weir_buffer_init(&value, &change->broker->account, RECORD_BYTES_MAX);
    const weir_status status = wire_encode_metadata(id, version, record, &value);
    weir_assert(!weir_failed(status)); /* names and values were checked against the limits of the schema before */
    wire_builder_add(&change->builder, broker_wall_ms(change->broker), (weir_bytes){0}, weir_buffer_view(&value), NULL,
                     0);
    weir_buffer_deinit(&value);
}

void broker_metadata_add_topic(metadata_change *change, weir_bytes name, const uint8_t id[16], int32_t first_partition,
                               int32_t partition_count) {
    if (first_partition == 0) {
        wire_topic_record record;
        wire_topic_record_init(&record);
        record.name = name;
        memcpy(record.topic_id.bytes, id, 16);
        broker_metadata_add(change, WIRE_TOPIC_RECORD, 0, &record);
    }
    int32_t node = change->broker->node_id;
    for (int32_t partition = first_partition; partition < partition_count; partition++) {
        wire_partition_record record;
        wire_partition_record_init(&record);
        record.partition_id = partition;
        memcpy(record.topic_id.bytes, id, 16);
        record.replicas.items = record.isr.items = &node;
        record.replicas.count = record.isr.count = 1;
        record.leader = node;
        record.leader_epoch = 0;
        record.partition_epoch = 0;
        broker_metadata_add(change, WIRE_PARTITION_RECORD, 0, &record);
    }
}

void broker_metadata_add_config(metadata_change *change, weir_bytes topic, weir_bytes name, const char *value) {
    broker_metadata_add_resource_config(change, BROKER_RESOURCE_TOPIC, topic, name, value);
}

void broker_metadata_add_resource_config(metadata_change *change, int8_t resource, weir_bytes resource_name,
                                         weir_bytes name, const char *value) {
    wire_config_record record;
    wire_config_record_init(&record);
    record.resource_type = resource;
    record.resource_name = resource_name;
    record.name = name;
    record.value = value ? weir_bytes_text(value) : (weir_bytes){0};
    broker_metadata_add(change, WIRE_CONFIG_RECORD, 0, &record);
}

/* ---- replay ------------------------------------------------------------------------------------------------------ */

static weir_status replay_topic(broker_node *broker, const wire_topic_record *record) {
    return broker_topic_add(broker, record->name, record->topic_id.bytes);
}

static weir_status replay_partition(broker_node *broker, const wire_partition_record *record) {
    topic_entry *topic = broker_topic_get_id(broker, record->topic_id.bytes);
    if (!topic) return weir_fail(WEIR_CORRUPT, "a partition of a topic that does not exist");
    return broker_topic_add_partition(broker, topic, record->partition_id);
}

static weir_status replay_config(broker_node *broker, const wire_config_record *record) {
    if (record->resource_type != BROKER_RESOURCE_TOPIC) {
        broker_dynamic_config_restore(broker, record->resource_type, record->resource_name, record->name,
                                      record->value);
        return weir_ok();
    }
    topic_entry *topic = broker_topic_get(broker, record->resource_name);
    if (topic) broker_topic_set_config(broker, topic, record->name, record->value);
    return weir_ok();
}

static weir_status replay_feature(const wire_feature_level_record *record) {
    if (!weir_bytes_equal_text(record->name, "metadata.version") || record->feature_level <= METADATA_VERSION_LEVEL)
        return weir_ok();
    return weir_fail(WEIR_UNSUPPORTED, "the metadata has version %d, this weir reads up to %d: a newer one wrote it",
                     record->feature_level, METADATA_VERSION_LEVEL);
}

static weir_status replay_message(broker_node *broker, wire_message_id id, const void *message) {
    switch (id) {
    case WIRE_TOPIC_RECORD: return replay_topic(broker, message);
    case WIRE_PARTITION_RECORD: return replay_partition(broker, message);
    case WIRE_CONFIG_RECORD: return replay_config(broker, message);
    case WIRE_FEATURE_LEVEL_RECORD: return replay_feature(message);
    case WIRE_REMOVE_TOPIC_RECORD: {
        const wire_remove_topic_record *record = message;
        topic_entry *topic = broker_topic_get_id(broker, record->topic_id.bytes);
        if (topic) broker_topic_drop(broker, topic);
        return weir_ok();
    }
    case WIRE_PRODUCER_IDS_RECORD: {
        const wire_producer_ids_record *record = message;
        /* What was left of the former block is not used again. */
        if (record->next_producer_id > broker->next_producer_id) broker->next_producer_id = record->next_producer_id;
        broker->producer_block_end = broker->next_producer_id;
        return weir_ok();
    }
    default: return weir_ok(); /* registrations say nothing that a single node does not know */
    }
}

weir_status broker_metadata_replay(broker_node *broker, const wire_record *record) {
    weir_bytes input = record->value;
    wire_message_id id;
    int version;
    if (!input.data) return weir_ok();
    WEIR_TRY(wire_decode_metadata_frame(&input, &id, &version));
    if (id == WIRE_MESSAGE_COUNT) return weir_ok(); /* a kind that this weir has no use for */
    weir_arena arena;
    weir_arena_init(&arena, &broker->account, RECORD_BYTES_MAX * 4);
    void *message = weir_arena_try(&arena, wire_messages[id].body->size);
    weir_status status = message ? weir_ok() : weir_fail(WEIR_NO_MEMORY, "no memory for a metadata record");
    if (message) status = wire_decode(id, version, input, &arena, message);
    if (!weir_failed(status)) status = replay_message(broker, id, message);
    weir_arena_deinit(&arena);
    return weir_context(status, "record at offset %lld", (long long)record->offset);
}

/* ---- the first records ------------------------------------------------------------------------------------------- */

static void add_feature(metadata_change *change, const char *name, int16_t level) {
    wire_feature_level_record record;
    wire_feature_level_record_init(&record);
    record.name = weir_bytes_text(name);
    record.feature_level = level;
    broker_metadata_add(change, WIRE_FEATURE_LEVEL_RECORD, 0, &record);
}

static bool bootstrap_prepare(metadata_change *change) {
    broker_node *broker = change->broker;
    add_feature(change, "metadata.version", METADATA_VERSION_LEVEL);
    add_feature(change, "transaction.version", 2);
    add_feature(change, "group.version", 1);
    wire_register_broker_record record;
    wire_register_broker_record_init(&record);
    record.broker_id = broker->node_id;
    broker_random_uuid(broker, record.incarnation_id.bytes);
    record.fenced = false;
    broker_metadata_add(change, WIRE_REGISTER_BROKER_RECORD, 0, &record);
    return true;
}

static void bootstrap_finish(metadata_change *change, weir_status status) {
    broker_node *broker = change->broker;
    void (*const *done)(struct broker_node *, weir_status) = change->owner;
    (*done)(broker, status);
    weir_free(&broker->account, change->owner);
}

void broker_metadata_bootstrap(broker_node *broker, void (*done)(struct broker_node *broker, weir_status status)) {
    void (**kept)(struct broker_node *, weir_status) = weir_alloc(&broker->account, sizeof *kept);
    *kept = done;
    broker_metadata_queue(broker_metadata_change(broker, bootstrap_prepare, bootstrap_finish, kept));
}
