/* DescribeConfigs, IncrementalAlterConfigs, AlterConfigs, ListConfigResources. */
#include "base/text.h"
#include "broker/kafka_int.h"

#include <stdio.h>

enum {
    RESOURCE_BROKER_LOGGER = 8,
    RESOURCE_CLIENT_METRICS = 16,
    TYPE_LIST = 7,
    SYNONYMS_MAX = 5,
    CONFIGS_MAX = 10000 /* of one resource in one request */
};

/* The node by its number, the cluster by an empty name. */
static bool names_broker(const broker_node *broker, weir_bytes name, broker_config_scope *scope) {
    char node[WEIR_I64_TEXT_MAX];
    *scope = name.size == 0 ? BROKER_CONFIGS_OF_CLUSTER : BROKER_CONFIGS_OF_NODE;
    return name.size == 0 || weir_bytes_equal(name, weir_bytes_of(node, weir_format_i64(node, broker->node_id)));
}

/* ---- DescribeConfigs --------------------------------------------------------------------------------------------- */

typedef struct described { /* one resource */
    kafka_request *request;
    const wire_describe_configs_request *message;
    const wire_describe_configs_request_resource *asked;
    const broker_topic *topic; /* NULL = a broker or a group */
    broker_config_scope scope;
} described;

static bool entry_at(const described *resource, size_t index, broker_config_entry *entry) {
    const broker_node *broker = resource->request->broker;
    if (resource->topic) return broker_topic_config_at(broker, resource->topic, index, entry);
    switch (resource->scope) {
    case BROKER_CONFIGS_OF_NODE: return broker_config_at(broker, index, entry);
    case BROKER_CONFIGS_OF_CLUSTER: return broker_cluster_config_at(broker, index, entry);
    default: return broker_group_config_at(broker, resource->asked->resource_name, index, entry);
    }
}

static bool key_wanted(const wire_describe_configs_request_resource *asked, const char *name) {
    for (int32_t i = 0; i < asked->configuration_keys.count; i++) {
        if (weir_bytes_equal_text(asked->configuration_keys.items[i], name)) return true;
    }
    return asked->configuration_keys.count < 0;
}

static bool fill_synonyms(const described *resource, const broker_config_entry *entry,
                          wire_describe_configs_response_resource_result *item) {
    kafka_request *request = resource->request;
    item->synonyms.items = wire_describe_configs_response_synonym_new(&request->arena, SYNONYMS_MAX);
    if (!item->synonyms.items) return false;
    const bool of_group = !resource->topic && resource->scope == BROKER_CONFIGS_OF_GROUP;
    broker_config_entry synonym = *entry;
    for (size_t i = 0; i < SYNONYMS_MAX; i++) {
        if (of_group ? i > 0
                     : !broker_config_synonym_at(request->broker, resource->topic, entry->name, i, &synonym))
            break;
        /* The cluster's own view has nothing but the cluster's value. */
        if (resource->scope == BROKER_CONFIGS_OF_CLUSTER && !resource->topic &&
            synonym.source != BROKER_CONFIG_DYNAMIC_DEFAULT)
            continue;
        wire_describe_configs_response_synonym *target = &item->synonyms.items[item->synonyms.count++];
        target->name = weir_bytes_text(synonym.name);
        target->value = weir_bytes_text(synonym.value);
        target->source = (int8_t)synonym.source;
    }
    return true;
}

static bool fill_entries(const described *resource, wire_describe_configs_response_result *result) {
    broker_config_entry entry;
    int32_t count = 0;
    while (entry_at(resource, (size_t)count, &entry)) count++;
    result->configs.items = wire_describe_configs_response_resource_result_new(&resource->request->arena, count);
    if (!result->configs.items && count) return false;
    for (int32_t i = 0; i < count; i++) {
        entry_at(resource, (size_t)i, &entry);
        if (!key_wanted(resource->asked, entry.name)) continue;
        wire_describe_configs_response_resource_result *item = &result->configs.items[result->configs.count++];
        item->name = weir_bytes_text(entry.name);
        item->value = weir_bytes_text(entry.value);
        item->read_only = entry.read_only;
        item->config_source = (int8_t)entry.source;
        item->config_type = entry.type;
        if (resource->message->include_documentation) item->documentation = weir_bytes_text(entry.about);
        if (resource->message->include_synonyms && !fill_synonyms(resource, &entry, item)) return false;
    }
    return true;
}

static broker_error judge_topic(described *resource) {
    const broker_node *broker = resource->request->broker;
    const weir_bytes name = resource->asked->resource_name;
    if (!broker_may(broker, resource->request->principal, GUARD_DESCRIBE_CONFIGS, GUARD_TOPIC, name))
        return BROKER_TOPIC_AUTHORIZATION_FAILED;
    if (weir_failed(broker_topic_name_check(name))) return BROKER_INVALID_TOPIC_EXCEPTION;
    resource->topic = broker_topic_find(broker, name);
    return resource->topic ? BROKER_NONE : BROKER_UNKNOWN_TOPIC_OR_PARTITION;
}

static broker_error judge_described(described *resource) {
    const kafka_request *request = resource->request;
    const weir_bytes name = resource->asked->resource_name;
    switch (resource->asked->resource_type) {
    case BROKER_RESOURCE_TOPIC: return judge_topic(resource);
    case BROKER_RESOURCE_BROKER:
        if (!guard_may_cluster(request->broker->authoriser, request->principal, GUARD_DESCRIBE_CONFIGS))
            return BROKER_CLUSTER_AUTHORIZATION_FAILED;
        return names_broker(request->broker, name, &resource->scope) ? BROKER_NONE : BROKER_INVALID_REQUEST;
    case BROKER_RESOURCE_GROUP:
        resource->scope = BROKER_CONFIGS_OF_GROUP;
        if (!broker_may(request->broker, request->principal, GUARD_DESCRIBE_CONFIGS, GUARD_GROUP, name))
            return BROKER_GROUP_AUTHORIZATION_FAILED;
        return name.size ? BROKER_NONE : BROKER_INVALID_REQUEST;
    default: return BROKER_INVALID_REQUEST;
    }
}

bool kafka_describe_configs(kafka_request *request, const void *data) {
    const wire_describe_configs_request *message = data;
    wire_describe_configs_response response;
    wire_describe_configs_response_init(&response);
    const size_t count = kafka_count(message->resources);
    response.results.items = wire_describe_configs_response_result_new(&request->arena, (int32_t)count);
    if (!response.results.items && count) return false;
    response.results.count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        described resource = {.request = request, .message = message, .asked = &message->resources.items[i]};
        wire_describe_configs_response_result *result = &response.results.items[i];
        result->resource_type = resource.asked->resource_type;
        result->resource_name = resource.asked->resource_name;
        const broker_error error = judge_described(&resource);
        result->error_code = (int16_t)error;
        if (error != BROKER_NONE) result->error_message = weir_bytes_text(broker_error_about(error));
        else if (!fill_entries(&resource, result)) return false;
    }
    kafka_respond(request, &response);
    return true;
}

/* ---- IncrementalAlterConfigs, AlterConfigs ----------------------------------------------------------------------- */

enum { OPERATION_SET = 0, OPERATION_DELETE = 1, OPERATION_APPEND = 2, OPERATION_SUBTRACT = 3 };

typedef struct alter_call alter_call;
typedef struct alter_item { /* one resource, from either request */
    alter_call *call;
    int8_t type;
    weir_bytes name;
    weir_setting *settings;
    size_t setting_count;
    broker_error error;
    char message[256];
    broker_alter_topic topic;
    broker_alter_configs configs;
} alter_item;
struct alter_call {
    kafka_request *request;
    alter_item *items;
    size_t count, waiting;
    bool incremental, validate_only;
};

static bool fill_altered(alter_call *call, wire_incremental_alter_configs_response *response) {
    wire_incremental_alter_configs_response_init(response);
    response->responses.items = wire_incremental_alter_configs_response_alter_configs_resource_response_new(
        &call->request->arena, (int32_t)call->count);
    if (!response->responses.items && call->count) return false;
    response->responses.count = (int32_t)call->count;
    for (size_t i = 0; i < call->count; i++) {
        alter_item *item = &call->items[i];
        wire_incremental_alter_configs_response_alter_configs_resource_response *target =
            &response->responses.items[i];
        target->resource_type = item->type;
        target->resource_name = item->name;
        target->error_code = (int16_t)item->error;
        if (item->error != BROKER_NONE)
            target->error_message = weir_bytes_text(item->message[0] ? item->message : broker_error_about(item->error));
    }
    return true;
}

/* Both responses have the same fields, but not the same type. */
static bool alter_answer(alter_call *call) {
    wire_incremental_alter_configs_response response;
    if (!fill_altered(call, &response)) return false;
    if (call->incremental) {
        kafka_respond(call->request, &response);
        return true;
    }
    wire_alter_configs_response old;
    wire_alter_configs_response_init(&old);
    old.responses.items =
        wire_alter_configs_response_resource_response_new(&call->request->arena, (int32_t)call->count);
    if (!old.responses.items && call->count) return false;
    old.responses.count = (int32_t)call->count;
    for (size_t i = 0; i < call->count; i++) {
        old.responses.items[i].resource_type = response.responses.items[i].resource_type;
        old.responses.items[i].resource_name = response.responses.items[i].resource_name;
        old.responses.items[i].error_code = response.responses.items[i].error_code;
        old.responses.items[i].error_message = response.responses.items[i].error_message;
    }
    kafka_respond(call->request, &old);
    return true;
}

static void alter_release(alter_call *call) {
    if (--call->waiting == 0 && !alter_answer(call)) kafka_fail_memory(call->request);
}

static void topic_altered(broker_alter_topic *topic) {
    alter_item *item = io_owner(topic, alter_item, topic);
    item->error = topic->error;
    snprintf(item->message, sizeof item->message, "%s", topic->message);
    alter_release(item->call);
}

static void configs_altered(broker_alter_configs *configs) {
    alter_item *item = io_owner(configs, alter_item, configs);
    item->error = configs->error;
    snprintf(item->message, sizeof item->message, "%s", configs->message);
    alter_release(item->call);
}

static void refuse(alter_item *item, broker_error error, const char *format, ...) WEIR_PRINTF(3, 4);
static void refuse(alter_item *item, broker_error error, const char *format, ...) {
    va_list args;
    va_start(args, format);
    item->error = error;
    vsnprintf(item->message, sizeof item->message, format, args);
    va_end(args);
}

static void alter_start(alter_item *item) {
    alter_call *call = item->call;
    broker_node *broker = call->request->broker;
    broker_config_scope scope = BROKER_CONFIGS_OF_GROUP;
    if (item->type == BROKER_RESOURCE_TOPIC) {
        item->topic = (broker_alter_topic){.principal = call->request->principal,
                                           .name = item->name,
                                           .configs = item->settings,
                                           .config_count = item->setting_count,
                                           .validate_only = call->validate_only,
                                           .done = topic_altered};
        call->waiting++;
        broker_topic_alter(broker, &item->topic);
        return;
    }
    if (item->type == BROKER_RESOURCE_BROKER && !names_broker(broker, item->name, &scope)) {
        refuse(item, BROKER_INVALID_REQUEST, "Unexpected broker id, expected %d or empty string, but received %.*s",
               broker->node_id, item->name.size > 64 ? 64 : (int)item->name.size, (const char *)item->name.data);
        return;
    }
    if (item->type != BROKER_RESOURCE_BROKER && item->type != BROKER_RESOURCE_GROUP) {
        refuse(item, BROKER_INVALID_REQUEST, "configs of resource type %d cannot be altered", item->type);
        return;
    }
    item->configs = (broker_alter_configs){.principal = call->request->principal,
                                           .scope = scope,
                                           .group = item->name,
                                           .configs = item->settings,
                                           .config_count = item->setting_count,
                                           .validate_only = call->validate_only,
                                           .done = configs_altered};
    call->waiting++;
    broker_configs_alter(broker, &item->configs);
}

/* A resource or a key that comes twice makes the request contradict itself. */
static void refuse_twins(alter_call *call) {
    for (size_t i = 0; i < call->count; i++) {
        alter_item *item = &call->items[i];
        for (size_t other = 0; other < call->count; other++) {
            if (other == i || call->items[other].type != item->type ||
                !weir_bytes_equal(call->items[other].name, item->name))
                continue;
            refuse(item, BROKER_INVALID_REQUEST, "Each resource must appear at most once.");
        }
        for (size_t a = 0; a < item->setting_count; a++) {
            for (size_t b = 0; b < a; b++) {
                if (strcmp(item->settings[a].name, item->settings[b].name) != 0) continue;
                refuse(item, BROKER_INVALID_REQUEST, "Error due to duplicate config keys");
            }
        }
    }
}

static void alter_all(alter_call *call) {
    refuse_twins(call);
    call->waiting = 1; /* this loop */
    for (size_t i = 0; i < call->count; i++) {
        if (call->items[i].error == BROKER_NONE) alter_start(&call->items[i]);
    }
    alter_release(call);
}

static alter_call *alter_begin(kafka_request *request, size_t count, bool incremental, bool validate_only) {
    alter_call *call = kafka_array(request, alter_call, 1);
    alter_item *items = kafka_array(request, alter_item, count);
    if (!call || !items) return NULL;
    *call = (alter_call){.request = request,
                         .items = items,
                         .count = count,
                         .incremental = incremental,
                         .validate_only = validate_only};
    for (size_t i = 0; i < count; i++) items[i].call = call;
    return call;
}

static bool item_begin(alter_item *item, int8_t type, weir_bytes name, size_t count, size_t room) {
    item->type = type;
    item->name = name;
    item->settings = kafka_array(item->call->request, weir_setting, count + room);
    if (count > CONFIGS_MAX) refuse(item, BROKER_INVALID_REQUEST, "at most %d configs in one request", CONFIGS_MAX);
    return item->settings != NULL;
}

/* ---- what an incremental operation makes of a value -------------------------------------------------------------- */

static const char *present_value(const alter_item *item, const char *name, int8_t *type) {
    const broker_node *broker = item->call->request->broker;
    const broker_topic *topic =
        item->type == BROKER_RESOURCE_TOPIC ? broker_topic_find(broker, item->name) : NULL;
    broker_config_entry entry;
    for (size_t i = 0; topic ? broker_topic_config_at(broker, topic, i, &entry)
                             : item->type == BROKER_RESOURCE_BROKER && broker_config_at(broker, i, &entry);
         i++) {
        if (strcmp(entry.name, name) != 0) continue;
        *type = entry.type;
        return entry.value;
    }
    return NULL;
}

static bool in_list(weir_bytes list, weir_bytes word) {
    while (list.size > 0) {
        const uint8_t *comma = memchr(list.data, ',', list.size);
        const size_t size = comma ? (size_t)(comma - list.data) : list.size;
        if (weir_bytes_equal(weir_bytes_of(list.data, size), word)) return true;
        const size_t step = comma ? size + 1 : size;
        list = weir_bytes_of(list.data + step, list.size - step);
    }
    return false;
}

/* Adds to `target` the words of `from` that are not in `without`. */
static void add_words(char *target, weir_bytes from, weir_bytes without) {
    while (from.size > 0) {
        const uint8_t *comma = memchr(from.data, ',', from.size);
        const size_t size = comma ? (size_t)(comma - from.data) : from.size;
        const weir_bytes word = weir_bytes_of(from.data, size);
        if (size && !in_list(without, word)) {
            const size_t used = strlen(target);
            if (used) target[used] = ',';
            memcpy(target + used + (used ? 1 : 0), word.data, word.size);
            target[used + (used ? 1 : 0) + word.size] = 0;
        }
        const size_t step = comma ? size + 1 : size;
        from = weir_bytes_of(from.data + step, from.size - step);
    }
}

static bool change_list(alter_item *item, weir_setting *setting, int8_t operation, weir_bytes value) {
    int8_t type = 0;
    const char *present = present_value(item, setting->name, &type);
    if (!present || type != TYPE_LIST) {
        if (present)
            refuse(item, BROKER_INVALID_CONFIG, "Can't %s to key %s because its type is not LIST.",
                   operation == OPERATION_APPEND ? "APPEND" : "SUBTRACT", setting->name);
        setting->value = ""; /* an unknown name or topic is told when the change is judged */
        return true;
    }
    char *text = kafka_alloc(item->call->request, strlen(present) + value.size + 2, 1);
    if (!text) return false;
    const weir_bytes before = weir_bytes_text(present);
    add_words(text, before, operation == OPERATION_SUBTRACT ? value : (weir_bytes){0});
    if (operation == OPERATION_APPEND) add_words(text, value, before);
    setting->value = text;
    return true;
}

static bool fill_incremental(alter_item *item, const wire_incremental_alter_configs_request_alterable_config *asked,
                             weir_setting *setting) {
    kafka_request *request = item->call->request;
    setting->name = kafka_text_of(request, asked->name);
    if (!setting->name) return false;
    if (asked->config_operation < OPERATION_SET || asked->config_operation > OPERATION_SUBTRACT) {
        refuse(item, BROKER_INVALID_REQUEST, "Unknown operation type %d", asked->config_operation);
        return true;
    }
    if (asked->config_operation == OPERATION_DELETE) return true;
    if (!asked->value.data) {
        refuse(item, BROKER_INVALID_REQUEST, "Null value not supported for : %.100s", setting->name);
        return true;
    }
    if (asked->config_operation == OPERATION_SET) {
        setting->value = kafka_text_of(request, asked->value);
        return setting->value != NULL;
    }
    return change_list(item, setting, asked->config_operation, asked->value);
}

bool kafka_incremental_alter_configs(kafka_request *request, const void *data) {
    const wire_incremental_alter_configs_request *message = data;
    alter_call *call = alter_begin(request, kafka_count(message->resources), true, message->validate_only);
    if (!call) return false;
    for (size_t i = 0; i < call->count; i++) {
        const wire_incremental_alter_configs_request_alter_configs_resource *asked = &message->resources.items[i];
        alter_item *item = &call->items[i];
        const size_t count = kafka_count(asked->configs);
        if (!item_begin(item, asked->resource_type, asked->resource_name, count, 0)) return false;
        for (; item->setting_count < count && item->error == BROKER_NONE; item->setting_count++) {
            if (!fill_incremental(item, &asked->configs.items[item->setting_count],
                                  &item->settings[item->setting_count]))
                return false;
        }
    }
    alter_all(call);
    return true;
}

/* ---- the legacy request replaces everything ---------------------------------------------------------------------- */

static bool is_set(const broker_config_entry *entry, const alter_item *item, broker_config_scope scope) {
    if (item->type == BROKER_RESOURCE_TOPIC) return entry->source == BROKER_CONFIG_TOPIC;
    if (item->type == BROKER_RESOURCE_GROUP) return entry->source == BROKER_CONFIG_GROUP;
    return entry->source ==
           (scope == BROKER_CONFIGS_OF_NODE ? BROKER_CONFIG_DYNAMIC_BROKER : BROKER_CONFIG_DYNAMIC_DEFAULT);
}

static bool is_named(const alter_item *item, const char *name) {
    for (size_t i = 0; i < item->setting_count; i++) {
        if (strcmp(item->settings[i].name, name) == 0) return true;
    }
    return false;
}

/* What is set and not named goes back to its default. There are fewer such than known configs. */
enum { KNOWN_CONFIGS_MAX = 256 };
static void reset_the_rest(alter_item *item) {
    broker_node *broker = item->call->request->broker;
    broker_config_scope scope = BROKER_CONFIGS_OF_GROUP;
    const broker_topic *topic = item->type == BROKER_RESOURCE_TOPIC ? broker_topic_find(broker, item->name) : NULL;
    if (item->type == BROKER_RESOURCE_TOPIC ? !topic
                                            : item->type == BROKER_RESOURCE_BROKER &&
                                                  !names_broker(broker, item->name, &scope))
        return;
    broker_config_entry entry;
    const size_t named = item->setting_count;
    for (size_t i = 0; item->setting_count < named + KNOWN_CONFIGS_MAX; i++) {
        const bool there = topic                              ? broker_topic_config_at(broker, topic, i, &entry)
                           : scope == BROKER_CONFIGS_OF_GROUP ? broker_group_config_at(broker, item->name, i, &entry)
                           : scope == BROKER_CONFIGS_OF_NODE  ? broker_config_at(broker, i, &entry)
                                                              : broker_cluster_config_at(broker, i, &entry);
        if (!there) return;
        if (is_set(&entry, item, scope) && !is_named(item, entry.name))
            item->settings[item->setting_count++] = (weir_setting){entry.name, NULL};
    }
}

bool kafka_alter_configs(kafka_request *request, const void *data) {
    const wire_alter_configs_request *message = data;
    alter_call *call = alter_begin(request, kafka_count(message->resources), false, message->validate_only);
    if (!call) return false;
    for (size_t i = 0; i < call->count; i++) {
        const wire_alter_configs_request_resource *asked = &message->resources.items[i];
        alter_item *item = &call->items[i];
        const size_t count = kafka_count(asked->configs);
        if (!item_begin(item, asked->resource_type, asked->resource_name, count, KNOWN_CONFIGS_MAX)) return false;
        for (; item->setting_count < count && item->error == BROKER_NONE; item->setting_count++) {
            weir_setting *setting = &item->settings[item->setting_count];
            const weir_bytes value = asked->configs.items[item->setting_count].value;
            setting->name = kafka_text_of(request, asked->configs.items[item->setting_count].name);
            setting->value = value.data ? kafka_text_of(request, value) : NULL;
            if (!setting->name || (value.data && !setting->value)) return false;
            if (!value.data)
                refuse(item, BROKER_INVALID_REQUEST, "Null value not supported for : %.100s", setting->name);
        }
        if (item->error == BROKER_NONE) reset_the_rest(item);
    }
    alter_all(call);
    return true;
}

/* ---- ListConfigResources (KIP-1142) ------------------------------------------------------------------------------ */

static bool type_wanted(const wire_list_config_resources_request *message, int8_t type) {
    for (int32_t i = 0; i < message->resource_types.count; i++) {
        if (message->resource_types.items[i] == type) return true;
    }
    return message->resource_types.count <= 0;
}

static broker_error judge_types(const kafka_request *request, const wire_list_config_resources_request *message) {
    if (!guard_may_cluster(request->broker->authoriser, request->principal, GUARD_DESCRIBE_CONFIGS))
        return BROKER_CLUSTER_AUTHORIZATION_FAILED;
    for (int32_t i = 0; i < message->resource_types.count; i++) {
        const int8_t type = message->resource_types.items[i];
        if (type != BROKER_RESOURCE_TOPIC && type != BROKER_RESOURCE_BROKER && type != RESOURCE_BROKER_LOGGER &&
            type != RESOURCE_CLIENT_METRICS && type != BROKER_RESOURCE_GROUP)
            return BROKER_UNSUPPORTED_VERSION;
    }
    return BROKER_NONE;
}

static void add_resource(wire_list_config_resources_response *response, int8_t type, weir_bytes name) {
    wire_list_config_resources_response_config_resource *item =
        &response->config_resources.items[response->config_resources.count++];
    item->resource_type = type;
    item->resource_name = name;
}

bool kafka_list_config_resources(kafka_request *request, const void *data) {
    const wire_list_config_resources_request *message = data;
    const broker_node *broker = request->broker;
    wire_list_config_resources_response response;
    wire_list_config_resources_response_init(&response);
    const broker_error error = judge_types(request, message);
    response.error_code = (int16_t)error;
    if (error != BROKER_NONE || request->version == 0) { /* version 0 lists client metrics, of which there are none */
        kafka_respond(request, &response);
        return true;
    }
    const size_t room = broker_topic_count(broker) + broker->group_configs.count + 2;
    response.config_resources.items =
        wire_list_config_resources_response_config_resource_new(&request->arena, (int32_t)room);
    char *node = kafka_alloc(request, WEIR_I64_TEXT_MAX, 1);
    if (!response.config_resources.items || !node) return false;
    const weir_bytes node_name = weir_bytes_of(node, weir_format_i64(node, broker->node_id));
    if (type_wanted(message, BROKER_RESOURCE_GROUP)) {
        weir_bytes group;
        for (size_t at = 0; broker_group_config_next(broker, &at, &group);)
            add_resource(&response, BROKER_RESOURCE_GROUP, group);
    }
    if (type_wanted(message, RESOURCE_BROKER_LOGGER)) add_resource(&response, RESOURCE_BROKER_LOGGER, node_name);
    if (type_wanted(message, BROKER_RESOURCE_BROKER)) add_resource(&response, BROKER_RESOURCE_BROKER, node_name);
    if (type_wanted(message, BROKER_RESOURCE_TOPIC)) {
        for (size_t i = 0; i < broker_topic_count(broker); i++)
            add_resource(&response, BROKER_RESOURCE_TOPIC, weir_bytes_text(broker_topic_at(broker, i)->name));
    }
    kafka_respond(request, &response);
    return true;
}
