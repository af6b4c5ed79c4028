/* Committed offsets and groups in `__consumer_offsets`, in Kafka's own records (GroupMetadata and OffsetCommit keys and
 * values), and back from there. An offset is visible once it is durable. */
#include "broker/broker_int.h"

#include <stdio.h>

enum { WALL_JUMP_MS_MAX = 3600 * 1000, VALUE_VERSION = 3, RECORD_BYTES_MAX = 12 << 20, DECODE_BYTES_MAX = 64 << 20 };

/* ---- offsets in memory ------------------------------------------------------------------------------------------- */

enum { OFFSET_KEY_MAX = BROKER_TOPIC_NAME_MAX + 1 + 4 };

static weir_bytes offset_key(uint8_t target[OFFSET_KEY_MAX], weir_bytes topic, int32_t partition) {
    const size_t size = topic.size > BROKER_TOPIC_NAME_MAX ? BROKER_TOPIC_NAME_MAX : topic.size;
    if (size) memcpy(target, topic.data, size);
    target[size] = 0;
    weir_write_be32(target + size + 1, (uint32_t)partition);
    return (weir_bytes){target, size + 5};
}

static group_offset *offset_get(const group_entry *group, weir_bytes topic, int32_t partition) {
    uint8_t key[OFFSET_KEY_MAX];
    return weir_map_get(&group->offsets, offset_key(key, topic, partition));
}

static group_offset *offset_make(group_entry *group, weir_bytes topic, int32_t partition) {
    broker_node *broker = group->broker;
    group_offset *offset = offset_get(group, topic, partition);
    if (offset) return offset;
    if (broker->offset_count >= BROKER_OFFSETS_MAX) return NULL;
    offset = weir_alloc(&broker->account, sizeof *offset);
    offset->value.topic = (weir_bytes){(uint8_t *)broker_bytes_text(broker, topic), topic.size};
    offset->value.partition = partition;
    offset->value.offset = -1;
    uint8_t key[OFFSET_KEY_MAX];
    weir_map_put(&group->offsets, offset_key(key, topic, partition), offset);
    broker->offset_count++;
    return offset;
}

static void offset_free(group_entry *group, group_offset *offset) {
    broker_node *broker = group->broker;
    weir_free(&broker->account, (void *)offset->value.topic.data);
    weir_free(&broker->account, (void *)offset->value.metadata.data);
    weir_free(&broker->account, offset);
    broker->offset_count--;
}

static void offset_drop_if_unused(group_entry *group, group_offset *offset) {
    if (offset->present || offset->pending) return;
    uint8_t key[OFFSET_KEY_MAX];
    weir_map_remove(&group->offsets, offset_key(key, offset->value.topic, offset->value.partition));
    offset_free(group, offset);
}

static void offset_set(group_entry *group, group_offset *offset, int64_t value, int32_t leader_epoch,
                       weir_bytes metadata, int64_t commit_ms) {
    broker_node *broker = group->broker;
    weir_free(&broker->account, (void *)offset->value.metadata.data);
    offset->value.metadata = (weir_bytes){(uint8_t *)broker_bytes_text(broker, metadata), metadata.size};
    offset->value.offset = value;
    offset->value.leader_epoch = leader_epoch;
    offset->commit_ms = commit_ms;
    offset->present = true;
}

void broker_group_offsets_free(group_entry *group) {
    void *value;
    for (size_t at = 0; weir_map_next(&group->offsets, &at, NULL, &value);) offset_free(group, value);
    weir_map_deinit(&group->offsets);
}

const broker_offset *broker_offset_find(const broker_node *broker, weir_bytes group_id, weir_bytes topic,
                                        int32_t partition) {
    const group_entry *group = broker_group_get(broker, group_id);
    const group_offset *offset = group ? offset_get(group, topic, partition) : NULL;
    return offset && offset->present ? &offset->value : NULL;
}

bool broker_offset_unstable(const broker_node *broker, weir_bytes group_id, weir_bytes topic, int32_t partition) {
    const group_entry *group = broker_group_get(broker, group_id);
    const group_offset *offset = group ? offset_get(group, topic, partition) : NULL;
    return offset && offset->unstable > 0;
}

const broker_offset *broker_offset_next(const broker_node *broker, weir_bytes group_id, size_t *at) {
    const group_entry *group = broker_group_get(broker, group_id);
    void *value;
    while (group && weir_map_next(&group->offsets, at, NULL, &value)) {
        const group_offset *offset = value;
        if (offset->present) return &offset->value;
    }
    return NULL;
}

broker_error broker_offsets_readable(const broker_node *broker, const guard_principal *principal, weir_bytes group) {
    return broker_may(broker, principal, GUARD_DESCRIBE, GUARD_GROUP, group) ? BROKER_NONE
                                                                             : BROKER_GROUP_AUTHORIZATION_FAILED;
}

/* ---- appends ----------------------------------------------------------------------------------------------------- */

group_append *broker_group_append(broker_node *broker, void (*done)(group_append *append, weir_status status),
                                  void *owner) {
    group_append *append = weir_alloc(&broker->account, sizeof *append);
    append->broker = broker;
    append->done = done;
    append->owner = owner;
    append->options = wire_batch_options_default;
    weir_buffer_init(&append->buffer, &broker->account, LOG_BATCH_BYTES_MAX);
    wire_builder_begin(&append->builder, &append->buffer);
    return append;
}

static void add_record(group_append *append, weir_buffer *key, weir_buffer *value) {
    const weir_bytes bytes = value ? weir_buffer_view(value) : (weir_bytes){0};
    wire_builder_add(&append->builder, broker_wall_ms(append->broker), weir_buffer_view(key), bytes, NULL, 0);
    weir_buffer_deinit(key);
    if (value) weir_buffer_deinit(value);
}

/* The outside's text was checked before; what does not fit is told by the builder's finish(). */
static void encode_key(group_append *append, wire_message_id id, const void *key, weir_buffer *target) {
    weir_buffer_init(target, &append->broker->account, RECORD_BYTES_MAX);
    if (weir_failed(wire_encode_record_key(id, key, target))) append->failed = WEIR_INVALID;
}

static void encode_value(group_append *append, wire_message_id id, int version, const void *value,
                         weir_buffer *target) {
    weir_buffer_init(target, &append->broker->account, RECORD_BYTES_MAX);
    if (weir_failed(wire_encode_versioned(id, version, value, target))) append->failed = WEIR_INVALID;
}

void broker_group_append_record(group_append *append, wire_message_id key_id, const void *key, wire_message_id value_id,
                                int version, const void *value) {
    weir_buffer stored_key, stored;
    encode_key(append, key_id, key, &stored_key);
    if (value) encode_value(append, value_id, version, value, &stored);
    add_record(append, &stored_key, value ? &stored : NULL);
}

static void add_offset_record(group_append *append, const group_entry *group, const broker_offset *offset,
                              int64_t now_ms, bool tombstone) {
    weir_buffer key, value;
    wire_offset_commit_key stored_key;
    wire_offset_commit_key_init(&stored_key);
    stored_key.group = weir_bytes_text(group->id);
    stored_key.topic = offset->topic;
    stored_key.partition = offset->partition;
    encode_key(append, WIRE_OFFSET_COMMIT_KEY, &stored_key, &key);
    if (tombstone) {
        add_record(append, &key, NULL);
        return;
    }
    wire_offset_commit_value stored;
    wire_offset_commit_value_init(&stored);
    stored.offset = offset->offset;
    stored.leader_epoch = offset->leader_epoch;
    stored.metadata = offset->metadata.data ? offset->metadata : weir_bytes_text("");
    stored.commit_timestamp = now_ms;
    encode_value(append, WIRE_OFFSET_COMMIT_VALUE, VALUE_VERSION, &stored, &value);
    add_record(append, &key, &value);
}

static void add_use(group_append *append, group_use use) {
    if (append->use_count == append->use_capacity) {
        append->use_capacity = append->use_capacity ? append->use_capacity * 2 : 8;
        append->uses = weir_realloc(&append->broker->account, append->uses, sizeof(group_use) * append->use_capacity);
    }
    use.group->uses++;
    use.offset->pending++;
    append->uses[append->use_count++] = use;
}

bool broker_group_append_offset(group_append *append, group_entry *group, const broker_offset *offset) {
    broker_node *broker = append->broker;
    group_offset *entry = offset_make(group, offset->topic, offset->partition);
    if (!entry) return false;
    const int64_t now_ms = broker_wall_ms(broker);
    add_offset_record(append, group, offset, now_ms, false);
    add_use(append, (group_use){.group = group,
                                .offset = entry,
                                .value = offset->offset,
                                .leader_epoch = offset->leader_epoch,
                                .metadata = broker_bytes_text(broker, offset->metadata),
                                .commit_ms = now_ms});
    return true;
}

static void append_tombstone(group_append *append, group_entry *group, group_offset *offset) {
    add_offset_record(append, group, &offset->value, 0, true);
    add_use(append, (group_use){.group = group, .offset = offset, .tombstone = true});
}

void broker_group_append_tombstone(group_append *append, group_entry *group, weir_bytes topic, int32_t partition) {
    group_offset *offset = offset_get(group, topic, partition);
    if (offset && offset->present) append_tombstone(append, group, offset);
}

static void encode_group_key(group_append *append, const group_entry *group, weir_buffer *key) {
    wire_group_metadata_key stored_key;
    wire_group_metadata_key_init(&stored_key);
    stored_key.group = weir_bytes_text(group->id);
    encode_key(append, WIRE_GROUP_METADATA_KEY, &stored_key, key);
}

void broker_group_append_group_tombstone(group_append *append, const group_entry *group) {
    weir_buffer key;
    encode_group_key(append, group, &key);
    add_record(append, &key, NULL);
}

void broker_group_append_group(group_append *append, const group_entry *group) {
    weir_buffer key, value;
    weir_arena arena;
    weir_arena_init(&arena, &append->broker->account, 1 << 20);
    wire_group_metadata_value stored;
    wire_group_metadata_value_init(&stored);
    stored.protocol_type = weir_bytes_text(group->protocol_type ? group->protocol_type : "");
    stored.generation = group->generation;
    stored.protocol = group->protocol ? weir_bytes_text(group->protocol) : (weir_bytes){0};
    stored.leader = group->leader ? weir_bytes_text(group->leader) : (weir_bytes){0};
    stored.current_state_timestamp = group->state_ms;
    stored.members.items = wire_group_metadata_value_member_metadata_new(&arena, (int32_t)group->member_count);
    stored.members.count = stored.members.items ? (int32_t)group->member_count : 0;
    if (!stored.members.items && group->member_count) append->failed = WEIR_NO_MEMORY;
    for (int32_t i = 0; i < stored.members.count; i++) {
        const group_member *member = group->members[i];
        wire_group_metadata_value_member_metadata *target = &stored.members.items[i];
        target->member_id = weir_bytes_text(member->id);
        target->group_instance_id = member->instance_id ? weir_bytes_text(member->instance_id) : (weir_bytes){0};
        target->client_id = weir_bytes_text(member->client_id ? member->client_id : "");
        target->client_host = weir_bytes_text(member->client_host ? member->client_host : "");
        target->rebalance_timeout = member->rebalance_timeout_ms;
        target->session_timeout = member->session_timeout_ms;
        target->subscription = broker_group_member_subscription(group, member);
        target->assignment = member->assignment.data ? member->assignment : weir_bytes_text("");
    }
    encode_group_key(append, group, &key);
    encode_value(append, WIRE_GROUP_METADATA_VALUE, VALUE_VERSION, &stored, &value);
    add_record(append, &key, &value);
    weir_arena_deinit(&arena);
}

/* ---- the end of an append ---------------------------------------------------------------------------------------- */

void broker_group_use_end(group_use *use, bool durable) {
    group_entry *group = use->group;
    group_offset *offset = use->offset;
    offset->pending--;
    group->uses--;
    if (durable && use->tombstone) offset->present = false;
    else if (durable)
        offset_set(group, offset, use->value, use->leader_epoch, weir_bytes_text(use->metadata), use->commit_ms);
    weir_free(&group->broker->account, use->metadata);
    offset_drop_if_unused(group, offset);
}

static void append_free(group_append *append) {
    broker_node *broker = append->broker;
    weir_free(&broker->account, append->uses);
    weir_buffer_deinit(&append->buffer);
    weir_free(&broker->account, append);
}

static void append_end(group_append *append, weir_status status) {
    broker_node *broker = append->broker;
    for (size_t i = 0; i < append->use_count; i++) {
        if (append->options.producer_id >= 0 && !weir_failed(status))
            broker_txn_offsets_hold(broker, append->options.producer_id, &append->uses[i]);
        else broker_group_use_end(&append->uses[i], !weir_failed(status));
    }
    append->done(append, status);
    append_free(append);
    broker_operation_end(broker);
}

void broker_group_append_drop(group_append *append) {
    weir_assert(append->use_count == 0);
    append_free(append);
}

/* Without a record there is nothing to send. */
static void append_abandon(group_append *append) {
    append->done(append, weir_ok());
    append_free(append);
}

static void append_logged(log_group *group, weir_status status) {
    append_end(io_owner(group, group_append, group), status);
}

static void append_failed_run(io_job *job) {
    group_append *append = io_owner(job, group_append, job);
    append_end(append, weir_fail(append->failed, "the batch for %s was refused", BROKER_OFFSETS_TOPIC));
}

static void append_fail(group_append *append, weir_code code) {
    append->failed = code;
    io_job_init(&append->job, append_failed_run);
    broker_post(append->broker, &append->job);
}

/* false = it waits for room. */
static bool append_try(group_append *append) {
    broker_node *broker = append->broker;
    const weir_status status = log_append(broker->log, &append->group);
    if (status.code == WEIR_FULL) return false;
    if (weir_failed(status)) {
        weir_trace(WEIR_WARN, "broker", "a commit was refused: %s", status.text);
        append_fail(append, status.code);
    }
    return true;
}

static void appends_room_run(io_job *job) {
    broker_node *broker = io_owner(job, broker_node, appends_room_job);
    while (broker->appends_waiting_first) {
        group_append *append = broker->appends_waiting_first;
        if (!append_try(append)) {
            log_wait_room(broker->log, &broker->appends_room_job);
            return;
        }
        broker->appends_waiting_first = append->next;
    }
    broker->appends_waiting_last = NULL;
}

void broker_group_append_send(group_append *append, log_batch *batches, size_t batch_count) {
    broker_node *broker = append->broker;
    broker_operation_begin(broker);
    log_partition *log = broker_offsets_log(broker);
    append->group =
        (log_group){.batches = batches ? batches : &append->own, .count = batch_count, .done = append_logged};
    if (wire_builder_count(&append->builder) == 0) {
        wire_builder_abandon(&append->builder);
    } else {
        if (weir_failed(wire_builder_finish(&append->builder, &append->options, NULL, NULL)))
            append->failed = WEIR_INVALID;
        append->group.batches[append->group.count++] =
            (log_batch){.partition = log, .bytes = append->buffer.data, .size = append->buffer.size};
    }
    if (append->failed != WEIR_OK || !log || append->group.count == 0 || broker->stopping) {
        append_fail(append, append->failed != WEIR_OK ? append->failed : WEIR_CANCELLED);
        return;
    }
    if (!broker->appends_waiting_first && append_try(append)) return;
    if (!broker->appends_room_job.run) io_job_init(&broker->appends_room_job, appends_room_run);
    append->next = NULL;
    if (broker->appends_waiting_last) broker->appends_waiting_last->next = append;
    else broker->appends_waiting_first = append;
    broker->appends_waiting_last = append;
    log_wait_room(broker->log, &broker->appends_room_job);
}

void broker_appends_stop(broker_node *broker) {
    while (broker->appends_waiting_first) {
        group_append *append = broker->appends_waiting_first;
        broker->appends_waiting_first = append->next;
        append_fail(append, WEIR_CANCELLED);
    }
    broker->appends_waiting_last = NULL;
}

/* ---- commit ------------------------------------------------------------------------------------------------------ */

static void commit_end(broker_offset_commit *commit) {
    broker_node *broker = commit->broker;
    commit->done(commit);
    broker_operation_end(broker);
}

static void commit_run(io_job *job) { commit_end(io_owner(job, broker_offset_commit, job)); }

static void commit_fail_all(broker_offset_commit *commit, broker_error error) {
    for (size_t i = 0; i < commit->offset_count; i++) commit->offsets[i].error = error;
    io_job_init(&commit->job, commit_run);
    broker_post(commit->broker, &commit->job);
}

static void commit_stored(group_append *append, weir_status status) {
    broker_offset_commit *commit = append->owner;
    for (size_t i = 0; i < commit->offset_count && weir_failed(status); i++) {
        /* As Kafka: what the log refuses the coordinator cannot keep now. */
        if (commit->offsets[i].error == BROKER_NONE) {
            commit->offsets[i].error =
                status.code == WEIR_INVALID ? BROKER_INVALID_COMMIT_OFFSET_SIZE : BROKER_COORDINATOR_NOT_AVAILABLE;
        }
    }
    commit_end(commit);
}

broker_error broker_offset_check(broker_node *broker, const guard_principal *principal, broker_offset *offset) {
    const topic_entry *topic =
        offset->topic.data ? broker_topic_get(broker, offset->topic) : broker_topic_get_id(broker, offset->topic_id);
    if (topic && !offset->topic.data) offset->topic = weir_bytes_text(topic->info.name);
    if (!broker_may(broker, principal, GUARD_READ, GUARD_TOPIC, offset->topic))
        return BROKER_TOPIC_AUTHORIZATION_FAILED;
    if (!topic) return offset->topic.data ? BROKER_UNKNOWN_TOPIC_OR_PARTITION : BROKER_UNKNOWN_TOPIC_ID;
    if (offset->partition < 0 || offset->partition >= topic->info.partition_count)
        return BROKER_UNKNOWN_TOPIC_OR_PARTITION;
    if ((int64_t)offset->metadata.size > broker_property_i64(broker, "offset.metadata.max.bytes"))
        return BROKER_OFFSET_METADATA_TOO_LARGE;
    return BROKER_NONE;
}

void broker_offsets_commit(broker_node *broker, broker_offset_commit *commit) {
    commit->broker = broker;
    broker_operation_begin(broker);
    if (!broker_may(broker, commit->principal, GUARD_READ, GUARD_GROUP, commit->group)) {
        commit_fail_all(commit, BROKER_GROUP_AUTHORIZATION_FAILED);
        return;
    }
    broker_error error = commit->group.size == 0 && commit->generation >= 0 ? BROKER_INVALID_GROUP_ID : BROKER_NONE;
    if (error == BROKER_NONE)
        error = broker_group_commit_check(broker, commit->group, commit->member_id, commit->instance_id,
                                          commit->generation);
    error = broker_group_commit_error(broker, commit->group, error, commit->epochs_known);
    group_entry *group = error == BROKER_NONE ? broker_group_make(broker, commit->group) : NULL;
    if (!group) {
        commit_fail_all(commit, error != BROKER_NONE ? error : BROKER_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    group_append *append = broker_group_append(broker, commit_stored, commit);
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

/* ---- one atomic commit ------------------------------------------------------------------------------------------- */

static void atomic_end(broker_atomic *atomic, broker_error error, const char *message) {
    broker_node *broker = atomic->owner;
    atomic->error = error;
    snprintf(atomic->message, sizeof atomic->message, "%s", message ? message : "");
    for (size_t i = 0; i < atomic->batch_count; i++) {
        atomic->batches[i].base_offset = error == BROKER_NONE ? atomic->log_batches[i].base_offset : -1;
        atomic->batches[i].end_offset = error == BROKER_NONE ? atomic->log_batches[i].end_offset : -1;
    }
    weir_free(&broker->account, atomic->log_batches);
    atomic->done(atomic);
    broker_operation_end(broker);
}

static void atomic_stored(group_append *append, weir_status status) {
    broker_atomic *atomic = append->owner;
    const bool empty = atomic->batch_count == 0 && atomic->offset_count == 0;
    atomic_end(atomic, empty ? BROKER_NONE : broker_error_of(status), empty ? NULL : status.text);
}

static void atomic_failed_run(io_job *job) {
    broker_atomic *atomic = io_owner(job, broker_atomic, job);
    char message[sizeof atomic->message];
    snprintf(message, sizeof message, "%s", atomic->message);
    atomic_end(atomic, atomic->error, message);
}

/* Resolves everything before anything is done: all or nothing. */
static broker_error atomic_resolve(broker_node *broker, broker_atomic *atomic, group_entry **group) {
    size_t bytes = 0;
    for (size_t i = 0; i < atomic->batch_count; i++) {
        broker_atomic_batch *batch = &atomic->batches[i];
        topic_entry *topic;
        log_partition *log;
        const broker_error error = broker_resolve(broker, &batch->target, &topic, &log);
        const weir_bytes name = topic ? weir_bytes_text(topic->info.name) : batch->target.topic;
        snprintf(atomic->message, sizeof atomic->message, "%.*s-%d", (int)name.size,
                 name.data ? (const char *)name.data : "", batch->target.partition);
        if (!broker_may(broker, atomic->principal, GUARD_WRITE, GUARD_TOPIC, name))
            return BROKER_TOPIC_AUTHORIZATION_FAILED;
        if (error != BROKER_NONE) return error;
        atomic->log_batches[i] = (log_batch){.partition = log,
                                              .bytes = batch->bytes,
                                              .size = batch->size,
                                              .has_expected = batch->has_expected,
                                              .expected_offset = batch->expected_offset};
        bytes += batch->size;
    }
    atomic->message[0] = 0;
    if (bytes > LOG_GROUP_BYTES_MAX) return BROKER_MESSAGE_TOO_LARGE;
    if (atomic->offset_count == 0) return BROKER_NONE;
    if (!broker_may(broker, atomic->principal, GUARD_READ, GUARD_GROUP, atomic->group))
        return BROKER_GROUP_AUTHORIZATION_FAILED;
    *group = broker_group_make(broker, atomic->group);
    return *group ? BROKER_NONE : BROKER_COORDINATOR_NOT_AVAILABLE;
}

void broker_append_atomic(broker_node *broker, broker_atomic *atomic) {
    atomic->owner = broker;
    atomic->message[0] = 0;
    atomic->log_batches = weir_alloc(&broker->account, sizeof(log_batch) * (atomic->batch_count + 1));
    broker_operation_begin(broker);
    group_entry *group = NULL;
    atomic->error = broker->stopping ? BROKER_COORDINATOR_NOT_AVAILABLE : atomic_resolve(broker, atomic, &group);
    if (atomic->error != BROKER_NONE) {
        io_job_init(&atomic->job, atomic_failed_run);
        broker_post(broker, &atomic->job);
        return;
    }
    group_append *append = broker_group_append(broker, atomic_stored, atomic);
    for (size_t i = 0; i < atomic->offset_count; i++) {
        const broker_atomic_offset *given = &atomic->offsets[i];
        const broker_offset offset = {
            .topic = given->topic, .partition = given->partition, .offset = given->offset, .leader_epoch = -1};
        if (!broker_group_append_offset(append, group, &offset)) append->failed = WEIR_FULL;
    }
    broker_group_append_send(append, atomic->log_batches, atomic->batch_count);
}

/* ---- deleting groups and offsets --------------------------------------------------------------------------------- */

static void delete_run(io_job *job) {
    broker_group_delete *del = io_owner(job, broker_group_delete, job);
    broker_node *broker = del->broker;
    del->done(del);
    broker_operation_end(broker);
}

static void tombstones_stored(group_append *append, weir_status status) {
    broker_group_delete *del = append->owner;
    group_entry *group = broker_group_get(append->broker, del->group);
    if (group && !weir_failed(status)) {
        if (group->state == GROUP_EMPTY) group->generation = 0; /* nothing of it is left to keep */
        broker_group_drop_if_unused(group);
    }
    broker_node *broker = del->broker;
    if (weir_failed(status)) del->error = BROKER_COORDINATOR_NOT_AVAILABLE;
    del->done(del);
    broker_operation_end(broker);
}

static void append_all_tombstones(group_append *append, group_entry *group) {
    void *value;
    for (size_t at = 0; weir_map_next(&group->offsets, &at, NULL, &value);) append_tombstone(append, group, value);
    if (group->consumer) { /* whoever joins from here on makes a new one */
        broker_consumer_append_tombstones(append, group);
        broker_consumer_free(group);
        return;
    }
    broker_group_append_group_tombstone(append, group);
}

void broker_groups_delete(broker_node *broker, broker_group_delete *del) {
    del->broker = broker;
    broker_operation_begin(broker);
    group_entry *group = broker_group_get(broker, del->group);
    del->error = BROKER_NONE;
    if (!broker_may(broker, del->principal, GUARD_DELETE, GUARD_GROUP, del->group))
        del->error = BROKER_GROUP_AUTHORIZATION_FAILED;
    else if (!group) del->error = BROKER_GROUP_ID_NOT_FOUND;
    else if (group->state != GROUP_EMPTY || group->member_count || broker_consumer_member_count(group))
        del->error = BROKER_NON_EMPTY_GROUP;
    else if (!broker_consumer_is_idle(group)) del->error = BROKER_COORDINATOR_LOAD_IN_PROGRESS;
    if (del->error != BROKER_NONE) {
        io_job_init(&del->job, delete_run);
        broker_post(broker, &del->job);
        return;
    }
    group_append *append = broker_group_append(broker, tombstones_stored, del);
    append_all_tombstones(append, group);
    broker_group_append_send(append, NULL, 0);
}

static void tombstones_done(group_append *append, weir_status status) {
    group_entry *group = append->owner;
    if (weir_failed(status))
        weir_trace(WEIR_WARN, "broker", "tombstones of group %s were not stored: %s", group->id, status.text);
    group->uses--;
    broker_group_drop_if_unused(group);
}

void broker_offsets_topic_deleted(broker_node *broker, const topic_entry *topic) {
    for (size_t i = 0; i < broker->group_count; i++) {
        group_entry *group = broker->group_list[i];
        group_append *append = NULL;
        void *value;
        for (size_t at = 0; weir_map_next(&group->offsets, &at, NULL, &value);) {
            group_offset *offset = value;
            if (!offset->present || !weir_bytes_equal_text(offset->value.topic, topic->info.name)) continue;
            if (!append) append = broker_group_append(broker, tombstones_done, group);
            append_tombstone(append, group, offset);
        }
        if (!append) continue;
        group->uses++;
        broker_group_append_send(append, NULL, 0);
    }
}

/* KIP-211: a group without members keeps its offsets for offsets.retention.minutes; a simple consumer's count from
 * their commit. An empty group without offsets is forgotten. */
static void expire_group(broker_node *broker, group_entry *group, int64_t now_ms) {
    if (group->state != GROUP_EMPTY || group->member_count || group->uses || broker_consumer_member_count(group))
        return;
    const int64_t retention_ms = broker_property_i64(broker, "offsets.retention.minutes") * 60000;
    size_t kept = 0;
    void *value;
    group_append *append = broker_group_append(broker, tombstones_done, group);
    for (size_t at = 0; weir_map_next(&group->offsets, &at, NULL, &value);) {
        group_offset *offset = value;
        const int64_t since_ms = (group->generation > 0 || group->consumer) && group->state_ms > offset->commit_ms
                                     ? group->state_ms
                                     : offset->commit_ms;
        if (now_ms - since_ms >= retention_ms) append_tombstone(append, group, offset);
        else kept++;
    }
    if (kept == 0 && group->generation > 0 && now_ms - group->state_ms >= retention_ms) {
        broker_group_append_group_tombstone(append, group);
        group->generation = 0;
    }
    if (kept == 0 && group->consumer && broker_consumer_is_idle(group) && now_ms - group->state_ms >= retention_ms) {
        broker_consumer_append_tombstones(append, group);
        broker_consumer_free(group);
    }
    group->uses++;
    if (wire_builder_count(&append->builder) > 0) broker_group_append_send(append, NULL, 0);
    else append_abandon(append);
}

/* Whoever set the wall clock did not mean to delete offsets: nothing expires until it agrees with the clock that never
 * jumps, or a restart believes it. */
static bool wall_jumped(const broker_node *broker, int64_t now_ms) {
    const int64_t expected_ms = broker->start_wall_ms + (broker_now_ns(broker) - broker->start_ns) / 1000000;
    const int64_t off_ms = now_ms > expected_ms ? now_ms - expected_ms : expected_ms - now_ms;
    if (off_ms <= WALL_JUMP_MS_MAX) return false;
    weir_trace(WEIR_WARN, "broker",
               "the wall clock jumped by %lld s: offsets do not expire until it is right or the server starts again",
               (long long)(now_ms - expected_ms) / 1000);
    return true;
}

void broker_offsets_expire(broker_node *broker) {
    const int64_t now_ms = broker_wall_ms(broker);
    if (wall_jumped(broker, now_ms)) return;
    for (size_t i = 0; i < broker->group_count; i++) expire_group(broker, broker->group_list[i], now_ms);
}

/* ---- coming back from the log ------------------------------------------------------------------------------------ */

static weir_status replay_offset(broker_node *broker, const wire_offset_commit_key *key, const wire_record *record,
                                 weir_arena *arena) {
    group_entry *group = broker_group_make(broker, key->group);
    group_offset *offset = group ? offset_make(group, key->topic, key->partition) : NULL;
    if (!offset) return weir_fail(WEIR_FULL, "more groups or offsets than this weir keeps");
    if (!record->value.data) {
        offset->present = false;
        offset_drop_if_unused(group, offset);
        return weir_ok();
    }
    wire_offset_commit_value value;
    int version;
    WEIR_TRY(wire_decode_versioned(WIRE_OFFSET_COMMIT_VALUE, record->value, false, arena, &value, &version));
    const wire_batch *batch = broker->replay.batch;
    if (!wire_batch_is(batch, WIRE_BATCH_TRANSACTIONAL)) {
        offset_set(group, offset, value.offset, value.leader_epoch, value.metadata, value.commit_timestamp);
        return weir_ok();
    }
    const group_use use = {.group = group,
                           .offset = offset,
                           .value = value.offset,
                           .leader_epoch = value.leader_epoch,
                           .metadata = broker_bytes_text(broker, value.metadata),
                           .commit_ms = value.commit_timestamp};
    group->uses++;
    offset->pending++;
    broker_txn_offsets_hold(broker, batch->producer_id, &use);
    return weir_ok();
}

static weir_status replay_group(broker_node *broker, const wire_group_metadata_key *key, const wire_record *record,
                                weir_arena *arena) {
    group_entry *group = broker_group_make(broker, key->group);
    if (!group) return weir_fail(WEIR_FULL, "more groups than this weir keeps");
    if (!record->value.data) {
        broker_group_forget(group);
        return weir_ok();
    }
    wire_group_metadata_value value;
    int version;
    WEIR_TRY(wire_decode_versioned(WIRE_GROUP_METADATA_VALUE, record->value, false, arena, &value, &version));
    broker_group_restore(group, &value);
    return weir_ok();
}

static weir_status replay_record(broker_node *broker, const wire_record *record, weir_arena *arena) {
    weir_bytes input = record->key;
    int16_t kind;
    WEIR_TRY(wire_decode_record_kind(&input, &kind));
    if (kind == 0 || kind == WIRE_GROUP_KEY_OFFSET_COMMIT) { /* 0: as Kafka before 0.9 wrote it */
        wire_offset_commit_key key;
        WEIR_TRY(wire_decode(WIRE_OFFSET_COMMIT_KEY, 0, input, arena, &key));
        return replay_offset(broker, &key, record, arena);
    }
    if (kind != WIRE_GROUP_KEY_GROUP_METADATA) return broker_consumer_replay(broker, kind, input, record->value, arena);
    wire_group_metadata_key key;
    WEIR_TRY(wire_decode(WIRE_GROUP_METADATA_KEY, 0, input, arena, &key));
    return replay_group(broker, &key, record, arena);
}

weir_status broker_offsets_replay(broker_node *broker, const wire_record *record) {
    weir_arena arena;
    weir_arena_init(&arena, &broker->account, DECODE_BYTES_MAX);
    const weir_status status = replay_record(broker, record, &arena);
    weir_arena_deinit(&arena);
    return weir_context(status, "record at offset %lld", (long long)record->offset);
}

void broker_offsets_loaded(broker_node *broker) {
    for (size_t i = broker->group_count; i-- > 0;) {
        group_entry *group = broker->group_list[i];
        if (group->member_count) broker_group_resume(group);
        else if (group->consumer) broker_consumer_resume(group);
        else broker_group_drop_if_unused(group);
    }
}
