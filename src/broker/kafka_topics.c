/* Metadata, CreateTopics, DeleteTopics, DescribeCluster, DescribeTopicPartitions. */
#include "broker/kafka_int.h"

#include <stdlib.h>


static broker_error topic_error(const kafka_request *request, const broker_topic *topic, weir_bytes name) {
    const weir_bytes asked = topic ? weir_bytes_text(topic->name) : name;
    if (!broker_may(request->broker, request->principal, GUARD_DESCRIBE, GUARD_TOPIC, asked))
        return BROKER_TOPIC_AUTHORIZATION_FAILED;
    if (topic) return BROKER_NONE;
    return weir_failed(broker_topic_name_check(name)) ? BROKER_INVALID_TOPIC_EXCEPTION
                                                      : BROKER_UNKNOWN_TOPIC_OR_PARTITION;
}

static int32_t leader_epoch_of(const broker_topic *topic, int32_t partition) {
    return log_leader_epoch(((const topic_entry *)topic)->logs[partition]);
}

/* ---- Metadata ---------------------------------------------------------------------------------------------------- */

typedef struct metadata_call {
    kafka_request *request;
    const wire_metadata_request *message;
    int32_t next_create;
    broker_create_topic create;
    int32_t node;
} metadata_call;

static bool wants_all(const kafka_request *request, const wire_metadata_request *message) {
    return message->topics.count < 0 || (message->topics.count == 0 && request->version == 0);
}

/* Clients that ask by id leave the name empty, or null. */
static bool is_by_id(const wire_metadata_request_topic *asked) {
    static const uint8_t none[16];
    return !asked->name.data || memcmp(asked->topic_id.bytes, none, sizeof none) != 0;
}

static bool fill_partitions(metadata_call *call, const broker_topic *topic, wire_metadata_response_topic *item) {
    item->partitions.items = wire_metadata_response_partition_new(&call->request->arena, topic->partition_count);
    if (!item->partitions.items) return false;
    item->partitions.count = topic->partition_count;
    for (int32_t i = 0; i < topic->partition_count; i++) {
        wire_metadata_response_partition *partition = &item->partitions.items[i];
        partition->partition_index = i;
        partition->leader_id = call->node;
        partition->leader_epoch = leader_epoch_of(topic, i);
        partition->replica_nodes.items = partition->isr_nodes.items = &call->node;
        partition->replica_nodes.count = partition->isr_nodes.count = 1;
    }
    return true;
}

static bool fill_topic(metadata_call *call, const broker_topic *topic, const wire_metadata_request_topic *asked,
                       wire_metadata_response_topic *item) {
    kafka_request *request = call->request;
    const bool by_id = asked && is_by_id(asked);
    broker_error error = topic_error(request, topic, asked ? asked->name : (weir_bytes){0});
    if (by_id && !topic) error = BROKER_UNKNOWN_TOPIC_ID;
    item->error_code = (int16_t)error;
    if (!topic || error != BROKER_NONE) {
        if (asked) {
            const weir_bytes no_name = request->version >= 12 ? (weir_bytes){0} : weir_bytes_text("");
            item->name = by_id ? no_name : asked->name;
            item->topic_id = asked->topic_id;
        }
        return true;
    }
    item->name = weir_bytes_text(topic->name);
    memcpy(item->topic_id.bytes, topic->id, 16);
    item->is_internal = topic->internal;
    if (call->message->include_topic_authorized_operations) {
        item->topic_authorized_operations =
            guard_operations(request->broker->authoriser, request->principal, GUARD_TOPIC, item->name);
    }
    return fill_partitions(call, topic, item);
}

static bool fill_topics(metadata_call *call, wire_metadata_response *response) {
    const broker_node *broker = call->request->broker;
    const bool all = wants_all(call->request, call->message);
    const size_t count = all ? broker_topic_count(broker) : kafka_count(call->message->topics);
    response->topics.items = wire_metadata_response_topic_new(&call->request->arena, (int32_t)count);
    if (!response->topics.items && count) return false;
    for (size_t i = 0; i < count; i++) {
        const wire_metadata_request_topic *asked = all ? NULL : &call->message->topics.items[i];
        const broker_topic *topic = all               ? broker_topic_at(broker, i)
                                    : is_by_id(asked) ? broker_topic_find_id(broker, asked->topic_id.bytes)
                                                      : broker_topic_find(broker, asked->name);
        /* What may not be described is not there for whoever asks for all. */
        if (all && topic_error(call->request, topic, (weir_bytes){0}) != BROKER_NONE) continue;
        if (!fill_topic(call, topic, asked, &response->topics.items[response->topics.count++])) return false;
    }
    return true;
}

static bool metadata_answer(metadata_call *call) {
    kafka_request *request = call->request;
    const broker_node *broker = request->broker;
    wire_metadata_response response;
    wire_metadata_response_init(&response);
    response.brokers.items = wire_metadata_response_broker_new(&request->arena, 1);
    if (!response.brokers.items) return false;
    response.brokers.count = 1;
    response.brokers.items[0].node_id = broker->node_id;
    response.brokers.items[0].host = kafka_advertised_host(request);
    response.brokers.items[0].port = kafka_advertised_port(request);
    response.cluster_id = weir_bytes_text(broker->cluster_id);
    response.controller_id = broker->node_id;
    if (call->message->include_cluster_authorized_operations) {
        response.cluster_authorized_operations =
            guard_operations(broker->authoriser, request->principal, GUARD_CLUSTER, weir_bytes_text("kafka-cluster"));
    }
    if (!fill_topics(call, &response)) return false;
    kafka_respond(request, &response);
    return true;
}

static bool metadata_step(metadata_call *call);

static void metadata_created(broker_create_topic *create) {
    metadata_call *call = io_owner(create, metadata_call, create);
    if (metadata_step(call)) return;
    kafka_close(call->request, "no memory for an answer");
    kafka_respond_nothing(call->request);
}

/* Makes the missing topics one after the other, then answers. */
static bool metadata_step(metadata_call *call) {
    broker_node *broker = call->request->broker;
    const bool may_create =
        call->message->allow_auto_topic_creation && !wants_all(call->request, call->message) && broker->auto_create;
    while (may_create && call->next_create < call->message->topics.count) {
        const wire_metadata_request_topic *asked = &call->message->topics.items[call->next_create++];
        const weir_bytes name = asked->name;
        if (is_by_id(asked) || broker_topic_find(broker, name) || weir_failed(broker_topic_name_check(name))) continue;
        call->create = (broker_create_topic){.principal = call->request->principal,
                                             .name = name,
                                             .partition_count = -1,
                                             .replication_factor = -1,
                                             .done = metadata_created};
        broker_topic_create(broker, &call->create);
        return true;
    }
    return metadata_answer(call);
}

bool kafka_metadata(kafka_request *request, const void *message) {
    metadata_call *call = kafka_array(request, metadata_call, 1);
    if (!call) return false;
    call->request = request;
    call->message = message;
    call->node = request->broker->node_id;
    return metadata_step(call);
}

/* ---- CreateTopics ------------------------------------------------------------------------------------------------ */

typedef struct create_call create_call;
typedef struct create_item {
    broker_create_topic create;
    create_call *call;
} create_item;
struct create_call {
    kafka_request *request;
    create_item *items;
    size_t count, waiting;
};

static bool fill_configs(kafka_request *request, const char *name,
                         wire_create_topics_response_creatable_topic_result *item) {
    const broker_topic *topic = broker_topic_find(request->broker, weir_bytes_text(name));
    if (!topic) return true;
    const size_t count = broker_topic_config_count();
    item->configs.items = wire_create_topics_response_creatable_topic_configs_new(&request->arena, (int32_t)count);
    if (!item->configs.items) return false;
    item->configs.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        broker_config_entry entry;
        broker_topic_config_at(request->broker, topic, i, &entry);
        item->configs.items[i].name = weir_bytes_text(entry.name);
        item->configs.items[i].value = weir_bytes_text(entry.value);
        item->configs.items[i].config_source = (int8_t)entry.source;
    }
    return true;
}

static bool create_answer(create_call *call) {
    kafka_request *request = call->request;
    wire_create_topics_response response;
    wire_create_topics_response_init(&response);
    response.topics.items =
        wire_create_topics_response_creatable_topic_result_new(&request->arena, (int32_t)call->count);
    if (!response.topics.items && call->count) return false;
    response.topics.count = (int32_t)call->count;
    for (size_t i = 0; i < call->count; i++) {
        broker_create_topic *create = &call->items[i].create;
        wire_create_topics_response_creatable_topic_result *item = &response.topics.items[i];
        item->name = create->name;
        item->error_code = (int16_t)create->error;
        item->error_message = kafka_text(create->message[0]             ? create->message
                                         : create->error != BROKER_NONE ? broker_error_about(create->error)
                                                                        : NULL);
        if (create->error != BROKER_NONE) continue;
        memcpy(item->topic_id.bytes, create->topic_id, 16);
        item->num_partitions = create->partitions;
        item->replication_factor = 1;
        char name[BROKER_TOPIC_NAME_MAX + 1] = {0};
        memcpy(name, create->name.data, create->name.size);
        if (!fill_configs(request, name, item)) return false;
    }
    kafka_respond(request, &response);
    return true;
}

static void create_release(create_call *call) {
    if (--call->waiting > 0 || create_answer(call)) return;
    kafka_close(call->request, "no memory for an answer");
    kafka_respond_nothing(call->request);
}

static void create_done(broker_create_topic *create) { create_release(io_owner(create, create_item, create)->call); }

/* Replica assignments must name this node alone; they then say how many partitions there are. */
static broker_error judge_assignments(const kafka_request *request,
                                      const wire_create_topics_request_creatable_topic *asked,
                                      broker_create_topic *create) {
    const int32_t count = (int32_t)kafka_count(asked->assignments);
    if (count == 0) return BROKER_NONE;
    if (asked->num_partitions != -1 || asked->replication_factor != -1) return BROKER_INVALID_REQUEST;
    if (count > BROKER_TOPIC_PARTITIONS_MAX) return BROKER_INVALID_PARTITIONS;
    bool seen[BROKER_TOPIC_PARTITIONS_MAX] = {false};
    for (int32_t i = 0; i < count; i++) {
        const wire_create_topics_request_creatable_replica_assignment *one = &asked->assignments.items[i];
        if (one->partition_index < 0 || one->partition_index >= count || seen[one->partition_index])
            return BROKER_INVALID_REPLICA_ASSIGNMENT;
        if (one->broker_ids.count != 1 || one->broker_ids.items[0] != request->broker->node_id)
            return BROKER_INVALID_REPLICA_ASSIGNMENT;
        seen[one->partition_index] = true;
    }
    create->partition_count = count;
    return BROKER_NONE;
}

static bool fill_create(kafka_request *request, const wire_create_topics_request_creatable_topic *asked,
                        bool validate_only, broker_create_topic *create) {
    const size_t count = kafka_count(asked->configs);
    weir_setting *settings = kafka_array(request, weir_setting, count);
    if (!settings) return false;
    *create = (broker_create_topic){.principal = request->principal,
                                    .name = asked->name,
                                    .partition_count = asked->num_partitions,
                                    .replication_factor = asked->replication_factor,
                                    .configs = settings,
                                    .validate_only = validate_only,
                                    .done = create_done};
    for (size_t i = 0; i < count; i++) {
        if (!asked->configs.items[i].value.data) continue; /* null asks for the default */
        weir_setting *setting = &settings[create->config_count++];
        setting->name = kafka_text_of(request, asked->configs.items[i].name);
        setting->value = kafka_text_of(request, asked->configs.items[i].value);
        if (!setting->name || !setting->value) return false;
    }
    return true;
}

bool kafka_create_topics(kafka_request *request, const void *data) {
    const wire_create_topics_request *message = data;
    create_call *call = kafka_array(request, create_call, 1);
    if (!call) return false;
    call->request = request;
    call->count = kafka_count(message->topics);
    call->items = kafka_array(request, create_item, call->count);
    if (!call->items) return false;
    for (size_t i = 0; i < call->count; i++) {
        call->items[i].call = call;
        if (!fill_create(request, &message->topics.items[i], message->validate_only, &call->items[i].create))
            return false;
    }
    call->waiting = 1; /* this loop */
    for (size_t i = 0; i < call->count; i++) {
        broker_create_topic *create = &call->items[i].create;
        const broker_error error = judge_assignments(request, &message->topics.items[i], create);
        create->error = error;
        if (error != BROKER_NONE) continue;
        call->waiting++;
        broker_topic_create(request->broker, create);
    }
    create_release(call);
    return true;
}

/* ---- DeleteTopics ------------------------------------------------------------------------------------------------ */

typedef struct delete_call delete_call;
typedef struct delete_item {
    broker_delete_topic del;
    delete_call *call;
} delete_item;
struct delete_call {
    kafka_request *request;
    delete_item *items;
    size_t count, waiting;
};

static bool delete_answer(delete_call *call) {
    kafka_request *request = call->request;
    wire_delete_topics_response response;
    wire_delete_topics_response_init(&response);
    response.responses.items =
        wire_delete_topics_response_deletable_topic_result_new(&request->arena, (int32_t)call->count);
    if (!response.responses.items && call->count) return false;
    response.responses.count = (int32_t)call->count;
    for (size_t i = 0; i < call->count; i++) {
        const broker_delete_topic *del = &call->items[i].del;
        wire_delete_topics_response_deletable_topic_result *item = &response.responses.items[i];
        item->name = del->name.data ? del->name : kafka_text(del->found_name);
        memcpy(item->topic_id.bytes, del->topic_id, 16);
        item->error_code = (int16_t)del->error;
        item->error_message = kafka_text(del->error != BROKER_NONE ? broker_error_about(del->error) : NULL);
    }
    kafka_respond(request, &response);
    return true;
}

static void delete_release(delete_call *call) {
    if (--call->waiting > 0 || delete_answer(call)) return;
    kafka_close(call->request, "no memory for an answer");
    kafka_respond_nothing(call->request);
}

static void delete_done(broker_delete_topic *del) { delete_release(io_owner(del, delete_item, del)->call); }

bool kafka_delete_topics(kafka_request *request, const void *data) {
    const wire_delete_topics_request *message = data;
    const bool states = request->version >= 6;
    delete_call *call = kafka_array(request, delete_call, 1);
    if (!call) return false;
    call->request = request;
    call->count = states ? kafka_count(message->topics) : kafka_count(message->topic_names);
    call->items = kafka_array(request, delete_item, call->count);
    if (!call->items) return false;
    for (size_t i = 0; i < call->count; i++) {
        broker_delete_topic *del = &call->items[i].del;
        call->items[i].call = call;
        del->principal = request->principal;
        del->done = delete_done;
        del->name = states ? message->topics.items[i].name : message->topic_names.items[i];
        if (states) memcpy(del->topic_id, message->topics.items[i].topic_id.bytes, 16);
    }
    call->waiting = 1; /* this loop */
    for (size_t i = 0; i < call->count; i++) {
        call->waiting++;
        broker_topic_delete(request->broker, &call->items[i].del);
    }
    delete_release(call);
    return true;
}

/* ---- DescribeCluster --------------------------------------------------------------------------------------------- */

enum { ENDPOINT_BROKERS = 1, ENDPOINT_CONTROLLERS = 2 };

bool kafka_describe_cluster(kafka_request *request, const void *data) {
    const wire_describe_cluster_request *message = data;
    const broker_node *broker = request->broker;
    wire_describe_cluster_response response;
    wire_describe_cluster_response_init(&response);
    response.brokers.items = wire_describe_cluster_response_broker_new(&request->arena, 1);
    if (!response.brokers.items) return false;
    response.endpoint_type = message->endpoint_type;
    if (message->endpoint_type != ENDPOINT_BROKERS) {
        const bool known = message->endpoint_type == ENDPOINT_CONTROLLERS;
        response.error_code = known ? BROKER_MISMATCHED_ENDPOINT_TYPE : BROKER_UNSUPPORTED_ENDPOINT_TYPE;
        response.error_message = weir_bytes_text(broker_error_about((broker_error)response.error_code));
        kafka_respond(request, &response);
        return true;
    }
    response.cluster_id = weir_bytes_text(broker->cluster_id);
    response.controller_id = broker->node_id;
    response.brokers.count = 1;
    response.brokers.items[0].broker_id = broker->node_id;
    response.brokers.items[0].host = kafka_advertised_host(request);
    response.brokers.items[0].port = kafka_advertised_port(request);
    if (message->include_cluster_authorized_operations) {
        response.cluster_authorized_operations =
            guard_operations(broker->authoriser, request->principal, GUARD_CLUSTER, weir_bytes_text("kafka-cluster"));
    }
    kafka_respond(request, &response);
    return true;
}

/* ---- DescribeTopicPartitions (KIP-966) --------------------------------------------------------------------------- */

enum { PARTITIONS_A_RESPONSE_MAX = 2000 };

static bool fill_described(kafka_request *request, const broker_topic *topic, int32_t from, int32_t count,
                           int32_t *node, wire_describe_topic_partitions_response_topic *item) {
    item->name = weir_bytes_text(topic->name);
    memcpy(item->topic_id.bytes, topic->id, 16);
    item->is_internal = topic->internal;
    item->topic_authorized_operations =
        guard_operations(request->broker->authoriser, request->principal, GUARD_TOPIC, item->name);
    item->partitions.items = wire_describe_topic_partitions_response_partition_new(&request->arena, count);
    if (!item->partitions.items) return false;
    item->partitions.count = count;
    for (int32_t i = 0; i < count; i++) {
        wire_describe_topic_partitions_response_partition *partition = &item->partitions.items[i];
        partition->partition_index = from + i;
        partition->leader_id = *node;
        partition->leader_epoch = leader_epoch_of(topic, from + i);
        partition->replica_nodes.items = partition->isr_nodes.items = node;
        partition->replica_nodes.count = partition->isr_nodes.count = 1;
        partition->eligible_leader_replicas.count = partition->last_known_elr.count = 0;
    }
    return true;
}

static int compare_names(const void *a, const void *b) {
    return weir_bytes_compare(*(const weir_bytes *)a, *(const weir_bytes *)b);
}

/* The names asked for, or all, in order: the cursor relies on it. */
static weir_bytes *sorted_names(kafka_request *request, const wire_describe_topic_partitions_request *message,
                                size_t *count) {
    *count = kafka_count(message->topics);
    const bool all = *count == 0;
    if (all) *count = broker_topic_count(request->broker);
    weir_bytes *names = kafka_array(request, weir_bytes, *count);
    for (size_t i = 0; names && i < *count; i++)
        names[i] = all ? weir_bytes_text(broker_topic_at(request->broker, i)->name) : message->topics.items[i].name;
    if (names && *count) qsort(names, *count, sizeof *names, compare_names);
    return names;
}

static bool fill_cursor(kafka_request *request, weir_bytes name, int32_t partition,
                        wire_describe_topic_partitions_response *response) {
    response->next_cursor = wire_describe_topic_partitions_response_cursor_new(&request->arena, 1);
    if (!response->next_cursor) return false;
    response->next_cursor->topic_name = name;
    response->next_cursor->partition_index = partition;
    return true;
}

bool kafka_describe_topic_partitions(kafka_request *request, const void *data) {
    const wire_describe_topic_partitions_request *message = data;
    wire_describe_topic_partitions_response response;
    wire_describe_topic_partitions_response_init(&response);
    size_t count;
    const weir_bytes *names = sorted_names(request, message, &count);
    int32_t *node = kafka_array(request, int32_t, 1);
    response.topics.items = wire_describe_topic_partitions_response_topic_new(&request->arena, (int32_t)count);
    if (!names || !node || (!response.topics.items && count)) return false;
    *node = request->broker->node_id;
    int32_t room = message->response_partition_limit;
    if (room < 1 || room > PARTITIONS_A_RESPONSE_MAX) room = PARTITIONS_A_RESPONSE_MAX;
    for (size_t i = 0; i < count; i++) {
        const int order = message->cursor ? weir_bytes_compare(names[i], message->cursor->topic_name) : 1;
        if (order < 0) continue;
        const broker_topic *topic = broker_topic_find(request->broker, names[i]);
        const broker_error error = topic_error(request, topic, names[i]);
        if (room == 0) {
            if (!fill_cursor(request, names[i], 0, &response)) return false;
            break;
        }
        wire_describe_topic_partitions_response_topic *item = &response.topics.items[response.topics.count++];
        if (error != BROKER_NONE) {
            item->error_code = (int16_t)error;
            item->name = names[i];
            continue;
        }
        int32_t from = order == 0 && message->cursor->partition_index > 0 ? message->cursor->partition_index : 0;
        if (from > topic->partition_count) from = topic->partition_count;
        const int32_t left = topic->partition_count - from;
        const int32_t taken = left < room ? left : room;
        if (!fill_described(request, topic, from, taken, node, item)) return false;
        room -= taken;
        if (taken < left) {
            if (!fill_cursor(request, names[i], from + taken, &response)) return false;
            break;
        }
    }
    kafka_respond(request, &response);
    return true;
}
