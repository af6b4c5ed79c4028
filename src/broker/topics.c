/* Topics in memory, and their three changes: create, delete, alter. A topic exists once its record is durable. */
#include "broker/broker_int.h"

#include <stdio.h>

/* ---- lookup ------------------------------------------------------------------------------------------------------ */

topic_entry *broker_topic_get(const broker_node *broker, weir_bytes name) {
    return weir_map_get(&broker->topics_by_name, name);
}
topic_entry *broker_topic_get_id(const broker_node *broker, const uint8_t id[16]) {
    return weir_map_get(&broker->topics_by_id, weir_bytes_of(id, 16));
}
const broker_topic *broker_topic_find(const broker_node *broker, weir_bytes name) {
    const topic_entry *found = broker_topic_get(broker, name);
    return found ? &found->info : NULL;
}
const broker_topic *broker_topic_find_id(const broker_node *broker, const uint8_t id[16]) {
    const topic_entry *found = broker_topic_get_id(broker, id);
    return found ? &found->info : NULL;
}
size_t broker_topic_count(const broker_node *broker) { return broker->topic_count; }
const broker_topic *broker_topic_at(const broker_node *broker, size_t index) {
    return index < broker->topic_count ? &broker->topics[index]->info : NULL;
}

log_partition *broker_partition(const broker_node *broker, weir_bytes name, int32_t partition) {
    const topic_entry *topic = broker_topic_get(broker, name);
    return topic && partition >= 0 && partition < topic->info.partition_count ? topic->logs[partition] : NULL;
}

broker_error broker_resolve(const broker_node *broker, const broker_target *target, topic_entry **found,
                            log_partition **log) {
    topic_entry *topic =
        target->topic.data ? broker_topic_get(broker, target->topic) : broker_topic_get_id(broker, target->topic_id);
    *log = NULL;
    if (found) *found = topic;
    if (!topic) return target->topic.data ? BROKER_UNKNOWN_TOPIC_OR_PARTITION : BROKER_UNKNOWN_TOPIC_ID;
    if (target->partition < 0 || target->partition >= topic->info.partition_count)
        return BROKER_UNKNOWN_TOPIC_OR_PARTITION;
    *log = topic->logs[target->partition];
    return BROKER_NONE;
}

log_partition *broker_offsets_log(const broker_node *broker) {
    return broker_partition(broker, weir_bytes_text(BROKER_OFFSETS_TOPIC), 0);
}

weir_status broker_topic_name_check(weir_bytes name) {
    if (name.size == 0) return weir_fail(WEIR_INVALID, "a topic needs a name");
    if (name.size > BROKER_TOPIC_NAME_MAX) {
        return weir_fail(WEIR_INVALID, "a topic's name has at most %d characters, this one %zu", BROKER_TOPIC_NAME_MAX,
                         name.size);
    }
    if (weir_bytes_equal_text(name, ".") || weir_bytes_equal_text(name, "..")) {
        return weir_fail(WEIR_INVALID, "a topic cannot be named '.' or '..'");
    }
    for (size_t i = 0; i < name.size; i++) {
        const uint8_t c = name.data[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
            c == '-')
            continue;
        return weir_fail(WEIR_INVALID,
                         "a topic's name is made of ASCII letters, digits, '.', '_' and '-'; character %zu is not",
                         i + 1);
    }
    return weir_ok();
}

bool broker_topic_is_internal(weir_bytes name) {
    return weir_bytes_equal_text(name, BROKER_OFFSETS_TOPIC) || weir_bytes_equal_text(name, "__transaction_state") ||
           weir_bytes_equal_text(name, "__share_group_state");
}

/* ---- the registry ------------------------------------------------------------------------------------------------ */

static size_t place_of(const broker_node *broker, weir_bytes name) {
    size_t low = 0, high = broker->topic_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (weir_bytes_compare(weir_bytes_text(broker->topics[middle]->info.name), name) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

weir_status broker_topic_add(broker_node *broker, weir_bytes name, const uint8_t id[16]) {
    WEIR_TRY(broker_topic_name_check(name));
    if (broker_topic_get(broker, name) || broker_topic_get_id(broker, id)) {
        return weir_fail(WEIR_EXISTS, "topic %.*s or its id is there already", (int)name.size, (const char *)name.data);
    }
    topic_entry *topic = weir_alloc(&broker->account, sizeof *topic);
    memcpy(topic->info.name, name.data, name.size);
    memcpy(topic->info.id, id, 16);
    topic->info.internal = broker_topic_is_internal(name);
    topic->overrides = weir_alloc(&broker->account, sizeof(char *) * broker_topic_config_count());
    broker_topic_limits_update(broker, topic);
    if (broker->topic_count == broker->topic_capacity) {
        broker->topic_capacity = broker->topic_capacity ? broker->topic_capacity * 2 : 16;
        broker->topics =
            weir_realloc(&broker->account, broker->topics, sizeof(*broker->topics) * broker->topic_capacity);
    }
    const size_t at = place_of(broker, name);
    memmove(broker->topics + at + 1, broker->topics + at, sizeof(*broker->topics) * (broker->topic_count - at));
    broker->topics[at] = topic;
    broker->topic_count++;
    broker->topics_version++;
    weir_map_put(&broker->topics_by_name, name, topic);
    weir_map_put(&broker->topics_by_id, weir_bytes_of(id, 16), topic);
    return weir_ok();
}

weir_status broker_topic_add_partition(broker_node *broker, topic_entry *topic, int32_t partition) {
    if (partition < topic->info.partition_count && partition >= 0) return weir_ok(); /* a change of its record */
    if (partition != topic->info.partition_count) {
        return weir_fail(WEIR_CORRUPT, "topic %s: partition %d comes before partition %d", topic->info.name, partition,
                         topic->info.partition_count);
    }
    log_partition_id id = {.partition = partition};
    memcpy(id.topic_id, topic->info.id, 16);
    const log_partition_config config = broker_topic_log_config(topic);
    log_partition *log;
    WEIR_TRY(log_partition_open(broker->log, &id, topic->info.name, &config, &log));
    topic->logs = weir_realloc(&broker->account, topic->logs, sizeof(*topic->logs) * (size_t)(partition + 1));
    topic->logs[partition] = log;
    topic->info.partition_count++;
    broker->topics_version++;
    broker->partition_count++;
    return weir_ok();
}

void broker_topic_set_config(broker_node *broker, topic_entry *topic, weir_bytes name, weir_bytes value) {
    const int index = broker_topic_config_index(name);
    if (index < 0) return; /* set by another release; it stays in the metadata */
    weir_free(&broker->account, topic->overrides[index]);
    topic->overrides[index] = value.data ? broker_bytes_text(broker, value) : NULL;
    broker_topic_limits_apply(broker, topic);
}

void broker_topic_limits_apply(broker_node *broker, topic_entry *topic) {
    broker_topic_limits_update(broker, topic);
    const log_partition_config config = broker_topic_log_config(topic);
    for (int32_t i = 0; i < topic->info.partition_count; i++) log_partition_configure(topic->logs[i], &config);
}

static void topic_free(broker_node *broker, topic_entry *topic) {
    for (size_t i = 0; i < broker_topic_config_count(); i++) weir_free(&broker->account, topic->overrides[i]);
    weir_free(&broker->account, topic->overrides);
    weir_free(&broker->account, topic->logs);
    weir_free(&broker->account, topic);
}

void broker_topic_drop(broker_node *broker, topic_entry *topic) {
    for (int32_t i = 0; i < topic->info.partition_count; i++) {
        /* While the metadata is replayed the folder may be a later namesake's already; what is nobody's goes behind it.
         */
        if (broker->is_ready) log_partition_delete(topic->logs[i]);
        else log_partition_disown(topic->logs[i]);
    }
    broker->partition_count -= topic->info.partition_count;
    broker->topics_version++;
    const size_t at = place_of(broker, weir_bytes_text(topic->info.name));
    weir_assert(broker->topics[at] == topic);
    broker->topic_count--;
    memmove(broker->topics + at, broker->topics + at + 1, sizeof(*broker->topics) * (broker->topic_count - at));
    weir_map_remove(&broker->topics_by_name, weir_bytes_text(topic->info.name));
    weir_map_remove(&broker->topics_by_id, weir_bytes_of(topic->info.id, 16));
    topic_free(broker, topic);
}

void broker_topics_free(broker_node *broker) {
    for (size_t i = 0; i < broker->topic_count; i++) topic_free(broker, broker->topics[i]);
    weir_free(&broker->account, broker->topics);
    weir_map_deinit(&broker->topics_by_name);
    weir_map_deinit(&broker->topics_by_id);
}

/* ---- create ------------------------------------------------------------------------------------------------------ */

static void say(char *target, size_t size, weir_status status) {
    snprintf(target, size, "%s", status.text ? status.text : "");
}

static broker_error judge_create(const broker_node *broker, broker_create_topic *create) {
    const size_t room = sizeof create->message;
    weir_status status = broker_topic_name_check(create->name);
    if (weir_failed(status)) {
        say(create->message, room, status);
        return BROKER_INVALID_TOPIC_EXCEPTION;
    }
    if (!broker_may(broker, create->principal, GUARD_CREATE, GUARD_TOPIC, create->name) &&
        !guard_may_cluster(broker->authoriser, create->principal, GUARD_CREATE))
        return BROKER_TOPIC_AUTHORIZATION_FAILED;
    const topic_entry *existing = broker_topic_get(broker, create->name);
    if (existing) {
        memcpy(create->topic_id, existing->info.id, 16);
        create->partitions = existing->info.partition_count;
        snprintf(create->message, room, "Topic '%.200s' already exists.", existing->info.name);
        return BROKER_TOPIC_ALREADY_EXISTS;
    }
    if (weir_bytes_equal_text(create->name, BROKER_METADATA_TOPIC) ||
        (broker_topic_is_internal(create->name) && !create->internal)) {
        snprintf(create->message, room, "the name belongs to an internal topic");
        return BROKER_INVALID_TOPIC_EXCEPTION;
    }
    if (create->replication_factor != -1 && create->replication_factor != 1) {
        snprintf(create->message, room, "replication factor %d: there is one node, so it must be 1",
                 create->replication_factor);
        return BROKER_INVALID_REPLICATION_FACTOR;
    }
    create->partitions = create->partition_count == -1 ? (int32_t)broker_property_i64(broker, "num.partitions")
                                                       : create->partition_count;
    if (create->partitions < 1 || create->partitions > BROKER_TOPIC_PARTITIONS_MAX ||
        broker->partition_count + create->partitions > BROKER_PARTITIONS_MAX) {
        snprintf(create->message, room, "%d partitions: a topic has 1 to %d, all topics together at most %d",
                 create->partitions, BROKER_TOPIC_PARTITIONS_MAX, BROKER_PARTITIONS_MAX);
        return BROKER_INVALID_PARTITIONS;
    }
    char name[BROKER_TOPIC_NAME_MAX + 1] = {0};
    memcpy(name, create->name.data, create->name.size);
    status = broker_topic_config_check(name, create->configs, create->config_count);
    if (!weir_failed(status)) return BROKER_NONE;
    say(create->message, room, status);
    return BROKER_INVALID_CONFIG;
}

static bool create_prepare(metadata_change *change) {
    broker_create_topic *create = change->owner;
    create->error = judge_create(change->broker, create);
    if (create->error != BROKER_NONE) return false;
    broker_random_uuid(change->broker, create->topic_id);
    if (create->validate_only) {
        memset(create->topic_id, 0, 16);
        return false;
    }
    broker_metadata_add_topic(change, create->name, create->topic_id, 0, create->partitions);
    for (size_t i = 0; i < create->config_count; i++) {
        broker_metadata_add_config(change, create->name, weir_bytes_text(create->configs[i].name),
                                   create->configs[i].value);
    }
    return true;
}

static weir_status apply_create(broker_node *broker, const broker_create_topic *create) {
    WEIR_TRY(broker_topic_add(broker, create->name, create->topic_id));
    topic_entry *topic = broker_topic_get(broker, create->name);
    for (size_t i = 0; i < create->config_count; i++) {
        broker_topic_set_config(broker, topic, weir_bytes_text(create->configs[i].name),
                                weir_bytes_text(create->configs[i].value));
    }
    for (int32_t i = 0; i < create->partitions; i++) WEIR_TRY(broker_topic_add_partition(broker, topic, i));
    return weir_ok();
}

static void create_finish(metadata_change *change, weir_status status) {
    broker_create_topic *create = change->owner;
    if (create->error == BROKER_NONE && !create->validate_only) {
        if (!weir_failed(status)) status = apply_create(change->broker, create);
        if (weir_failed(status)) {
            create->error = broker_error_of(status);
            say(create->message, sizeof create->message, status);
        }
    }
    create->done(create);
}

void broker_topic_create(broker_node *broker, broker_create_topic *create) {
    create->error = BROKER_NONE;
    create->message[0] = 0;
    create->partitions = -1;
    memset(create->topic_id, 0, 16);
    broker_metadata_queue(broker_metadata_change(broker, create_prepare, create_finish, create));
}

/* ---- delete ------------------------------------------------------------------------------------------------------ */

static topic_entry *deleted_topic(const broker_node *broker, const broker_delete_topic *del) {
    return del->name.data ? broker_topic_get(broker, del->name) : broker_topic_get_id(broker, del->topic_id);
}

static bool delete_prepare(metadata_change *change) {
    broker_delete_topic *del = change->owner;
    broker_node *broker = change->broker;
    topic_entry *topic = deleted_topic(broker, del);
    del->error = topic ? BROKER_NONE : del->name.data ? BROKER_UNKNOWN_TOPIC_OR_PARTITION : BROKER_UNKNOWN_TOPIC_ID;
    if (!topic) return false;
    if (!broker_may(broker, del->principal, GUARD_DELETE, GUARD_TOPIC, weir_bytes_text(topic->info.name)))
        del->error = BROKER_TOPIC_AUTHORIZATION_FAILED;
    else if (topic->info.internal) del->error = BROKER_INVALID_TOPIC_EXCEPTION;
    else if (!broker_property_is(broker, "delete.topic.enable"))
        del->error = BROKER_TOPIC_DELETION_DISABLED;
    if (del->error != BROKER_NONE) return false;
    memcpy(del->found_name, topic->info.name, sizeof del->found_name);
    memcpy(del->topic_id, topic->info.id, 16);
    wire_remove_topic_record record;
    wire_remove_topic_record_init(&record);
    memcpy(record.topic_id.bytes, topic->info.id, 16);
    broker_metadata_add(change, WIRE_REMOVE_TOPIC_RECORD, 0, &record);
    return true;
}

static void delete_finish(metadata_change *change, weir_status status) {
    broker_delete_topic *del = change->owner;
    if (weir_failed(status)) {
        del->error = broker_error_of(status);
    } else if (del->error == BROKER_NONE) {
        topic_entry *topic = broker_topic_get_id(change->broker, del->topic_id);
        weir_assert(topic != NULL); /* changes run one at a time */
        broker_offsets_topic_deleted(change->broker, topic);
        broker_topic_drop(change->broker, topic);
    }
    del->done(del);
}

void broker_topic_delete(broker_node *broker, broker_delete_topic *del) {
    del->error = BROKER_NONE;
    del->found_name[0] = 0;
    broker_metadata_queue(broker_metadata_change(broker, delete_prepare, delete_finish, del));
}

/* ---- alter ------------------------------------------------------------------------------------------------------- */

static broker_error judge_alter(const broker_node *broker, broker_alter_topic *alter) {
    const topic_entry *topic = broker_topic_get(broker, alter->name);
    const size_t room = sizeof alter->message;
    if (!topic) return BROKER_UNKNOWN_TOPIC_OR_PARTITION;
    const guard_operation operation = alter->config_count ? GUARD_ALTER_CONFIGS : GUARD_ALTER;
    if (!broker_may(broker, alter->principal, operation, GUARD_TOPIC, alter->name))
        return BROKER_TOPIC_AUTHORIZATION_FAILED;
    if (alter->partition_count != 0 && (topic->info.internal || alter->partition_count <= topic->info.partition_count ||
        alter->partition_count > BROKER_TOPIC_PARTITIONS_MAX ||
        broker->partition_count + alter->partition_count - topic->info.partition_count > BROKER_PARTITIONS_MAX)) {
        snprintf(alter->message, room, "the topic has %d partitions and can only grow, to at most %d",
                 topic->info.partition_count, BROKER_TOPIC_PARTITIONS_MAX);
        return BROKER_INVALID_PARTITIONS;
    }
    for (size_t i = 0; i < alter->config_count; i++) {
        /* A null value goes back to the default: any known name will do. */
        const weir_setting *setting = &alter->configs[i];
        const int index = broker_topic_config_index(weir_bytes_text(setting->name));
        const weir_setting checked = {
            setting->name, setting->value || index < 0 ? setting->value : broker_topic_configs[index].option.fallback};
        const weir_status status = broker_topic_config_check(topic->info.name, &checked, 1);
        if (!weir_failed(status)) continue;
        say(alter->message, room, status);
        return BROKER_INVALID_CONFIG;
    }
    return BROKER_NONE;
}

static bool alter_prepare(metadata_change *change) {
    broker_alter_topic *alter = change->owner;
    alter->error = judge_alter(change->broker, alter);
    if (alter->error != BROKER_NONE || alter->validate_only) return false;
    const topic_entry *topic = broker_topic_get(change->broker, alter->name);
    broker_metadata_add_topic(change, alter->name, topic->info.id, topic->info.partition_count, alter->partition_count);
    for (size_t i = 0; i < alter->config_count; i++) {
        broker_metadata_add_config(change, alter->name, weir_bytes_text(alter->configs[i].name),
                                   alter->configs[i].value);
    }
    return wire_builder_count(&change->builder) > 0;
}

static void alter_finish(metadata_change *change, weir_status status) {
    broker_alter_topic *alter = change->owner;
    topic_entry *topic = broker_topic_get(change->broker, alter->name);
    if (!weir_failed(status) && alter->error == BROKER_NONE && !alter->validate_only) {
        for (size_t i = 0; i < alter->config_count; i++) {
            const weir_setting *setting = &alter->configs[i];
            broker_topic_set_config(change->broker, topic, weir_bytes_text(setting->name),
                                    setting->value ? weir_bytes_text(setting->value) : (weir_bytes){0});
        }
        for (int32_t i = topic->info.partition_count; i < alter->partition_count && !weir_failed(status); i++) {
            status = broker_topic_add_partition(change->broker, topic, i);
        }
    }
    if (weir_failed(status)) {
        alter->error = broker_error_of(status);
        say(alter->message, sizeof alter->message, status);
    }
    alter->done(alter);
}

void broker_topic_alter(broker_node *broker, broker_alter_topic *alter) {
    alter->error = BROKER_NONE;
    alter->message[0] = 0;
    broker_metadata_queue(broker_metadata_change(broker, alter_prepare, alter_finish, alter));
}
