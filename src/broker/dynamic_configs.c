/* Configs of the node, the cluster and groups that are altered while the broker runs (KIP-226, KIP-848): ConfigRecords
 * in the metadata, in effect when they are durable. */
#include "base/text.h"
#include "broker/broker_int.h"

#include <stdio.h>

enum { GROUP_CONFIG_GROUPS_MAX = BROKER_GROUPS_MAX };

const weir_option broker_group_configs[] = {
    {"consumer.heartbeat.interval.ms", WEIR_OPTION_I64, "5000", "how often members call", 1, INT32_MAX},
    {"consumer.session.timeout.ms", WEIR_OPTION_I64, "45000", "a member that is silent this long is gone", 1,
     INT32_MAX},
    {NULL, WEIR_OPTION_TEXT, NULL, NULL, 0, 0}};

/* ---- sets -------------------------------------------------------------------------------------------------------- */

static size_t place_of(const config_set *set, const char *name) {
    size_t at = 0;
    while (at < set->count && strcmp(set->items[at].name, name) != 0) at++;
    return at;
}

const char *broker_config_set_get(const config_set *set, const char *name) {
    const size_t at = place_of(set, name);
    return at < set->count ? set->items[at].value : NULL;
}

void broker_config_set_put(broker_node *broker, config_set *set, const char *name, const char *value) {
    const size_t at = place_of(set, name);
    if (at == set->count && !value) return;
    if (at == set->count) {
        if (set->count == set->capacity) {
            set->capacity = set->capacity ? set->capacity * 2 : 8;
            set->items = weir_realloc(&broker->account, set->items, sizeof *set->items * set->capacity);
        }
        set->items[set->count++] = (weir_setting){weir_strdup(&broker->account, name), NULL};
    }
    weir_setting *setting = &set->items[at];
    char *copy = value ? weir_strdup(&broker->account, value) : NULL;
    weir_free(&broker->account, (void *)setting->value);
    setting->value = copy;
    if (copy) return;
    weir_free(&broker->account, (void *)setting->name);
    set->items[at] = set->items[--set->count];
}

void broker_config_set_free(broker_node *broker, config_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        weir_free(&broker->account, (void *)set->items[i].name);
        weir_free(&broker->account, (void *)set->items[i].value);
    }
    weir_free(&broker->account, set->items);
    *set = (config_set){0};
}

void broker_dynamic_configs_free(broker_node *broker) {
    void *value;
    for (size_t at = 0; weir_map_next(&broker->group_configs, &at, NULL, &value);) {
        broker_config_set_free(broker, value);
        weir_free(&broker->account, value);
    }
    weir_map_deinit(&broker->group_configs);
    broker_config_set_free(broker, &broker->properties);
    broker_config_set_free(broker, &broker->given);
    broker_config_set_free(broker, &broker->node_configs);
    broker_config_set_free(broker, &broker->cluster_configs);
}

/* ---- in effect --------------------------------------------------------------------------------------------------- */

static void put_all(broker_node *broker, const config_set *source) {
    for (size_t i = 0; i < source->count; i++)
        broker_config_set_put(broker, &broker->properties, source->items[i].name, source->items[i].value);
}

void broker_properties_update(broker_node *broker) {
    broker_config_set_free(broker, &broker->properties);
    put_all(broker, &broker->given);
    put_all(broker, &broker->cluster_configs);
    put_all(broker, &broker->node_configs);
    broker->fetch_bytes_max = broker_property_i64(broker, "fetch.max.bytes");
    broker->request_bytes_max = broker_property_i64(broker, "socket.request.max.bytes");
    broker->connections_max = broker_property_i64(broker, "max.connections");
    for (size_t i = 0; i < broker->topic_count; i++) broker_topic_limits_apply(broker, broker->topics[i]);
}

bool broker_property_is_dynamic(const char *name) {
    static const char *const more[] = {"max.connections", "message.max.bytes", "min.insync.replicas"};
    if (strcmp(name, "log.retention.check.interval.ms") == 0) return false;
    if (strncmp(name, "log.", 4) == 0 || strncmp(name, "compression.", 12) == 0) return true;
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        if (strcmp(more[i], name) == 0) return true;
    }
    return false;
}

static config_set *group_set_make(broker_node *broker, weir_bytes group) {
    config_set *set = weir_map_get(&broker->group_configs, group);
    if (set) return set;
    set = weir_alloc(&broker->account, sizeof *set);
    weir_map_put(&broker->group_configs, group, set);
    return set;
}

static void group_set_drop_if_empty(broker_node *broker, weir_bytes group) {
    config_set *set = weir_map_get(&broker->group_configs, group);
    if (!set || set->count) return;
    weir_map_remove(&broker->group_configs, group);
    broker_config_set_free(broker, set);
    weir_free(&broker->account, set);
}

int64_t broker_group_config_i64(const broker_node *broker, weir_bytes group, const char *name) {
    const config_set *set = weir_map_get(&broker->group_configs, group);
    const char *value = set ? broker_config_set_get(set, name) : NULL;
    int64_t number;
    if (value && weir_parse_i64(weir_bytes_text(value), &number)) return number;
    char property[BROKER_NAME_TEXT_MAX];
    snprintf(property, sizeof property, "group.%s", name);
    return broker_property_i64(broker, property);
}

bool broker_group_config_next(const broker_node *broker, size_t *at, weir_bytes *group) {
    void *value;
    return weir_map_next(&broker->group_configs, at, group, &value);
}

/* ---- judging ----------------------------------------------------------------------------------------------------- */

static const weir_option *option_of(const weir_option *table, const char *name) {
    while (table->name && strcmp(table->name, name) != 0) table++;
    return table->name ? table : NULL;
}

static weir_status judge_properties(const broker_alter_configs *alter) {
    for (size_t i = 0; i < alter->config_count; i++) {
        const weir_setting *setting = &alter->configs[i];
        const weir_option *option = option_of(broker_properties, setting->name);
        if (option && !broker_property_is_dynamic(setting->name))
            return weir_fail(WEIR_INVALID, "%s cannot be altered while the broker runs: set it at the start",
                             setting->name);
        const weir_setting checked = {setting->name, setting->value || !option ? setting->value : option->fallback};
        if (option || setting->value) WEIR_TRY(weir_options_check(broker_properties, "broker", &checked, 1));
    }
    return weir_ok();
}

static weir_status judge_range(const broker_node *broker, const char *name, int64_t value) {
    char least[BROKER_NAME_TEXT_MAX], most[BROKER_NAME_TEXT_MAX];
    snprintf(least, sizeof least, "group.consumer.min.%s", name + strlen("consumer."));
    snprintf(most, sizeof most, "group.consumer.max.%s", name + strlen("consumer."));
    const int64_t low = broker_property_i64(broker, least), high = broker_property_i64(broker, most);
    if (value >= low && value <= high) return weir_ok();
    return weir_fail(WEIR_INVALID, "%s is %lld, but %s is %lld and %s is %lld", name, (long long)value, least,
                     (long long)low, most, (long long)high);
}

/* What the group would have for `name` after the change. */
static int64_t group_value_after(const broker_node *broker, const broker_alter_configs *alter, const char *name) {
    int64_t value = broker_group_config_i64(broker, alter->group, name);
    for (size_t i = 0; i < alter->config_count; i++) {
        if (strcmp(alter->configs[i].name, name) != 0) continue;
        if (!alter->configs[i].value) value = broker_group_config_i64(broker, weir_bytes_text(""), name);
        else if (!weir_parse_i64(weir_bytes_text(alter->configs[i].value), &value)) return -1;
    }
    return value;
}

static weir_status judge_group(const broker_node *broker, const broker_alter_configs *alter) {
    static const char *const names[] = {"consumer.heartbeat.interval.ms", "consumer.session.timeout.ms"};
    if (alter->group.size == 0) return weir_fail(WEIR_INVALID, "a group has a name");
    if (!weir_map_get(&broker->group_configs, alter->group) && broker->group_configs.count >= GROUP_CONFIG_GROUPS_MAX)
        return weir_fail(WEIR_FULL, "at most %d groups have configs", GROUP_CONFIG_GROUPS_MAX);
    for (size_t i = 0; i < alter->config_count; i++) {
        const weir_setting *setting = &alter->configs[i];
        const weir_option *option = option_of(broker_group_configs, setting->name);
        const weir_setting checked = {setting->name, setting->value || !option ? setting->value : option->fallback};
        if (option || setting->value) WEIR_TRY(weir_options_check(broker_group_configs, "group", &checked, 1));
        if (option && setting->value) {
            int64_t value = 0;
            if (weir_parse_i64(weir_bytes_text(setting->value), &value))
                WEIR_TRY(judge_range(broker, setting->name, value));
        }
    }
    if (group_value_after(broker, alter, names[0]) < group_value_after(broker, alter, names[1])) return weir_ok();
    return weir_fail(WEIR_INVALID, "%s must be less than %s", names[0], names[1]);
}

static broker_error judge(const broker_node *broker, broker_alter_configs *alter) {
    const bool of_group = alter->scope == BROKER_CONFIGS_OF_GROUP;
    if (of_group && !broker_may(broker, alter->principal, GUARD_ALTER_CONFIGS, GUARD_GROUP, alter->group))
        return BROKER_GROUP_AUTHORIZATION_FAILED;
    if (!of_group && !guard_may_cluster(broker->authoriser, alter->principal, GUARD_ALTER_CONFIGS))
        return BROKER_CLUSTER_AUTHORIZATION_FAILED;
    const weir_status status = of_group ? judge_group(broker, alter) : judge_properties(alter);
    if (!weir_failed(status)) return BROKER_NONE;
    snprintf(alter->message, sizeof alter->message, "%s", status.text);
    return of_group && alter->group.size ? BROKER_INVALID_CONFIG : BROKER_INVALID_REQUEST;
}

/* ---- altering ---------------------------------------------------------------------------------------------------- */

static bool alter_prepare(metadata_change *change) {
    broker_alter_configs *alter = change->owner;
    broker_node *broker = change->broker;
    alter->error = judge(broker, alter);
    if (alter->error != BROKER_NONE || alter->validate_only) return false;
    char node[WEIR_I64_TEXT_MAX];
    const bool of_group = alter->scope == BROKER_CONFIGS_OF_GROUP;
    const weir_bytes resource = of_group                                    ? alter->group
                                : alter->scope == BROKER_CONFIGS_OF_CLUSTER ? weir_bytes_text("")
                                                                            : weir_bytes_of(
                                                                                  node, weir_format_i64(
                                                                                            node, broker->node_id));
    for (size_t i = 0; i < alter->config_count; i++) {
        const int8_t type = of_group ? BROKER_RESOURCE_GROUP : BROKER_RESOURCE_BROKER;
        broker_metadata_add_resource_config(change, type, resource, weir_bytes_text(alter->configs[i].name),
                                            alter->configs[i].value);
    }
    return wire_builder_count(&change->builder) > 0;
}

static void alter_finish(metadata_change *change, weir_status status) {
    broker_alter_configs *alter = change->owner;
    broker_node *broker = change->broker;
    if (weir_failed(status)) {
        alter->error = broker_error_of(status);
        snprintf(alter->message, sizeof alter->message, "%s", status.text);
    } else if (alter->error == BROKER_NONE && !alter->validate_only) {
        const bool of_group = alter->scope == BROKER_CONFIGS_OF_GROUP;
        config_set *set = of_group                                    ? group_set_make(broker, alter->group)
                          : alter->scope == BROKER_CONFIGS_OF_CLUSTER ? &broker->cluster_configs
                                                                      : &broker->node_configs;
        for (size_t i = 0; i < alter->config_count; i++)
            broker_config_set_put(broker, set, alter->configs[i].name, alter->configs[i].value);
        if (of_group) group_set_drop_if_empty(broker, alter->group);
        else broker_properties_update(broker);
    }
    alter->done(alter);
}

void broker_configs_alter(broker_node *broker, broker_alter_configs *alter) {
    alter->error = BROKER_NONE;
    alter->message[0] = 0;
    broker_metadata_queue(broker_metadata_change(broker, alter_prepare, alter_finish, alter));
}

/* ---- coming back from the log ------------------------------------------------------------------------------------ */

void broker_dynamic_config_restore(broker_node *broker, int8_t resource, weir_bytes name, weir_bytes key,
                                   weir_bytes value) {
    char *key_text = broker_bytes_text(broker, key);
    char *value_text = value.data ? broker_bytes_text(broker, value) : NULL;
    const weir_setting setting = {key_text, value_text};
    const weir_option *table = resource == BROKER_RESOURCE_GROUP ? broker_group_configs : broker_properties;
    /* Another release may have written what this one would refuse: it does not get into effect. */
    const bool known = option_of(table, key_text) != NULL &&
                       (!value_text || !weir_failed(weir_options_check(table, "stored", &setting, 1)));
    if (known && resource == BROKER_RESOURCE_GROUP) {
        broker_config_set_put(broker, group_set_make(broker, name), key_text, value_text);
        group_set_drop_if_empty(broker, name);
    } else if (known && resource == BROKER_RESOURCE_BROKER) {
        broker_config_set_put(broker, name.size ? &broker->node_configs : &broker->cluster_configs, key_text,
                              value_text);
        broker_properties_update(broker);
    }
    weir_free(&broker->account, key_text);
    weir_free(&broker->account, value_text);
}
