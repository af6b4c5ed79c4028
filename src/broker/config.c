/* The tables of configs. Names, types and defaults are those of Kafka 4.3 (LogConfig, ServerConfigs); what weir decides
 * differently says so in its line. */
#include "base/text.h"
#include "broker/broker_int.h"

#include <stdio.h>

enum { TYPE_BOOLEAN = 1, TYPE_STRING = 2, TYPE_INT = 3, TYPE_LONG = 5, TYPE_DOUBLE = 6, TYPE_LIST = 7 };

#define I64_MAX_TEXT "9223372036854775807"
#define POLICIES "delete|compact|compact,delete|delete,compact|: what happens to old segments"
#define CODECS "producer|uncompressed|none|gzip|snappy|lz4|zstd: how batches are stored; producer = as they came"

const weir_option broker_properties[] = {
    {"auto.create.topics.enable", WEIR_OPTION_BOOL, "true", "topics are made when a client first asks for them", 0, 0},
    {"compression.gzip.level", WEIR_OPTION_I64, "-1", "default of topics", -1, 9},
    {"compression.lz4.level", WEIR_OPTION_I64, "9", "default of topics", 1, 17},
    {"compression.type", WEIR_OPTION_CHOICE, "producer", CODECS, 0, 0},
    {"compression.zstd.level", WEIR_OPTION_I64, "3", "default of topics", -131072, 22},
    {"default.replication.factor", WEIR_OPTION_I64, "1", "one node keeps one copy", 1, 1},
    {"delete.topic.enable", WEIR_OPTION_BOOL, "true", "topics may be deleted", 0, 0},
    {"fetch.max.bytes", WEIR_OPTION_SIZE, "57671680", "most bytes of one fetch", 1024, INT32_MAX},
    {"group.consumer.assignors", WEIR_OPTION_TEXT, "uniform,range", "how partitions can be shared, the default first",
     0, 0},
    {"group.consumer.heartbeat.interval.ms", WEIR_OPTION_I64, "5000", "how often members of the consumer protocol call",
     1, INT32_MAX},
    {"group.consumer.max.heartbeat.interval.ms", WEIR_OPTION_I64, "15000", "longest a group may set", 1, INT32_MAX},
    {"group.consumer.max.session.timeout.ms", WEIR_OPTION_I64, "60000", "longest a group may set", 1, INT32_MAX},
    {"group.consumer.max.size", WEIR_OPTION_I64, "1000", "members of a group of the consumer protocol", 1,
     BROKER_GROUP_MEMBERS_MAX},
    {"group.consumer.migration.policy", WEIR_OPTION_CHOICE, "disabled",
     "disabled: groups change their protocol only while they are empty", 0, 0},
    {"group.consumer.min.heartbeat.interval.ms", WEIR_OPTION_I64, "5000", "shortest a group may set", 1, INT32_MAX},
    {"group.consumer.min.session.timeout.ms", WEIR_OPTION_I64, "45000", "shortest a group may set", 1, INT32_MAX},
    {"group.consumer.regex.refresh.interval.ms", WEIR_OPTION_I64, "600000",
     "how often topics are matched again; weir does it whenever topics change", 10000, INT32_MAX},
    {"group.consumer.session.timeout.ms", WEIR_OPTION_I64, "45000",
     "a member of the consumer protocol that is silent this long is gone", 1, INT32_MAX},
    {"group.initial.rebalance.delay.ms", WEIR_OPTION_I64, "0",
     "wait for more members before the first round; Kafka's default is 3000", 0, INT32_MAX},
    {"group.max.session.timeout.ms", WEIR_OPTION_I64, "1800000", "longest session timeout a member may ask for", 1,
     INT32_MAX},
    {"group.max.size", WEIR_OPTION_I64, "1000", "members of a group", 1, BROKER_GROUP_MEMBERS_MAX},
    {"group.min.session.timeout.ms", WEIR_OPTION_I64, "6000", "shortest session timeout a member may ask for", 1,
     INT32_MAX},
    {"log.cleaner.delete.retention.ms", WEIR_OPTION_I64, "86400000", "default of topics", 0, INT64_MAX},
    {"log.cleaner.max.compaction.lag.ms", WEIR_OPTION_I64, I64_MAX_TEXT, "default of topics", 1, INT64_MAX},
    {"log.cleaner.min.cleanable.ratio", WEIR_OPTION_F64, "0.5", "default of topics", 0, 1},
    {"log.cleaner.min.compaction.lag.ms", WEIR_OPTION_I64, "0", "default of topics", 0, INT64_MAX},
    {"log.cleanup.policy", WEIR_OPTION_CHOICE, "delete", POLICIES, 0, 0},
    {"log.flush.interval.messages", WEIR_OPTION_I64, "1", "records before a sync; Kafka's default is never", 1,
     INT64_MAX},
    {"log.index.interval.bytes", WEIR_OPTION_I64, "4096", "default of topics", 0, INT32_MAX},
    {"log.message.timestamp.after.max.ms", WEIR_OPTION_I64, "3600000", "default of topics", 0, INT64_MAX},
    {"log.message.timestamp.before.max.ms", WEIR_OPTION_I64, I64_MAX_TEXT, "default of topics", 0, INT64_MAX},
    {"log.message.timestamp.type", WEIR_OPTION_CHOICE, "CreateTime",
     "CreateTime|LogAppendTime: whose clock stamps records", 0, 0},
    {"log.preallocate", WEIR_OPTION_BOOL, "false", "segments are never preallocated", 0, 0},
    {"log.retention.bytes", WEIR_OPTION_I64, "-1", "default of topics", -1, INT64_MAX},
    {"log.retention.check.interval.ms", WEIR_OPTION_I64, "300000", "how often old segments are looked for, at most", 1,
     INT64_MAX / 1000000},
    {"log.retention.ms", WEIR_OPTION_I64, "604800000", "default of topics", -1, INT64_MAX},
    {"log.roll.jitter.ms", WEIR_OPTION_I64, "0", "default of topics", 0, INT64_MAX},
    {"log.roll.ms", WEIR_OPTION_I64, "604800000", "default of topics", 1, INT64_MAX},
    {"log.segment.bytes", WEIR_OPTION_I64, "1073741824", "default of topics", 14, INT32_MAX},
    {"log.segment.delete.delay.ms", WEIR_OPTION_I64, "60000", "default of topics", 0, INT64_MAX},
    {"max.connections", WEIR_OPTION_I64, "10000", "connections of all listeners", 1, BROKER_CONNECTIONS_MAX},
    {"message.max.bytes", WEIR_OPTION_I64, "1048588", "default of topics", 0, LOG_BATCH_BYTES_MAX},
    {"min.insync.replicas", WEIR_OPTION_I64, "1", "one node keeps one copy", 1, 1},
    {"node.id", WEIR_OPTION_I64, "0", "this node's number", 0, INT32_MAX},
    {"num.partitions", WEIR_OPTION_I64, "1", "partitions of a topic that does not say", 1, BROKER_TOPIC_PARTITIONS_MAX},
    {"offset.metadata.max.bytes", WEIR_OPTION_I64, "4096", "text beside a committed offset", 0,
     BROKER_OFFSET_METADATA_MAX},
    {"offsets.retention.check.interval.ms", WEIR_OPTION_I64, "600000", "how often old offsets are looked for", 1,
     INT64_MAX / 1000000},
    {"offsets.retention.minutes", WEIR_OPTION_I64, "10080", "offsets of a group without members are kept so long", 1,
     INT32_MAX},
    {"socket.request.max.bytes", WEIR_OPTION_I64, "104857600", "largest request", 64, INT32_MAX},
    {"transaction.max.timeout.ms", WEIR_OPTION_I64, "900000", "longest transaction timeout a producer may ask for", 1,
     INT32_MAX},
    {"transactional.id.expiration.ms", WEIR_OPTION_I64, "604800000", "an idle transactional id is kept so long", 1,
     INT64_MAX / 1000000},
    {NULL, WEIR_OPTION_TEXT, NULL, NULL, 0, 0}};

const topic_config broker_topic_configs[] = {
    {{"cleanup.policy", WEIR_OPTION_CHOICE, "delete", POLICIES, 0, 0}, "log.cleanup.policy", TYPE_LIST},
    {{"compression.gzip.level", WEIR_OPTION_I64, "-1", "level when compression.type is gzip", -1, 9},
     "compression.gzip.level",
     TYPE_INT},
    {{"compression.lz4.level", WEIR_OPTION_I64, "9", "level when compression.type is lz4", 1, 17},
     "compression.lz4.level",
     TYPE_INT},
    {{"compression.type", WEIR_OPTION_CHOICE, "producer", CODECS, 0, 0}, "compression.type", TYPE_STRING},
    {{"compression.zstd.level", WEIR_OPTION_I64, "3", "level when compression.type is zstd", -131072, 22},
     "compression.zstd.level",
     TYPE_INT},
    {{"delete.retention.ms", WEIR_OPTION_I64, "86400000", "how long tombstones stay", 0, INT64_MAX},
     "log.cleaner.delete.retention.ms",
     TYPE_LONG},
    {{"file.delete.delay.ms", WEIR_OPTION_I64, "60000", "pause before a file is removed", 0, INT64_MAX},
     "log.segment.delete.delay.ms",
     TYPE_LONG},
    {{"flush.messages", WEIR_OPTION_I64, "1", "records before a sync; Kafka's default is never", 1, INT64_MAX},
     "log.flush.interval.messages",
     TYPE_LONG},
    {{"flush.ms", WEIR_OPTION_I64, I64_MAX_TEXT, "time before a sync", 0, INT64_MAX}, NULL, TYPE_LONG},
    {{"index.interval.bytes", WEIR_OPTION_I64, "4096", "bytes between entries of the offset index", 0, INT32_MAX},
     "log.index.interval.bytes",
     TYPE_INT},
    {{"max.compaction.lag.ms", WEIR_OPTION_I64, I64_MAX_TEXT, "longest time a record stays uncompacted", 1, INT64_MAX},
     "log.cleaner.max.compaction.lag.ms",
     TYPE_LONG},
    {{"max.message.bytes", WEIR_OPTION_I64, "1048588", "largest record batch", 0, LOG_BATCH_BYTES_MAX},
     "message.max.bytes",
     TYPE_INT},
    {{"message.timestamp.after.max.ms", WEIR_OPTION_I64, "3600000", "how far a timestamp may lie ahead of the broker",
      0, INT64_MAX},
     "log.message.timestamp.after.max.ms",
     TYPE_LONG},
    {{"message.timestamp.before.max.ms", WEIR_OPTION_I64, I64_MAX_TEXT, "how far a timestamp may lie behind the broker",
      0, INT64_MAX},
     "log.message.timestamp.before.max.ms",
     TYPE_LONG},
    {{"message.timestamp.type", WEIR_OPTION_CHOICE, "CreateTime",
      "CreateTime|LogAppendTime: whose clock stamps records", 0, 0},
     "log.message.timestamp.type",
     TYPE_STRING},
    {{"min.cleanable.dirty.ratio", WEIR_OPTION_F64, "0.5", "share of uncompacted bytes that starts a compaction", 0, 1},
     "log.cleaner.min.cleanable.ratio",
     TYPE_DOUBLE},
    {{"min.compaction.lag.ms", WEIR_OPTION_I64, "0", "shortest time a record stays uncompacted", 0, INT64_MAX},
     "log.cleaner.min.compaction.lag.ms",
     TYPE_LONG},
    {{"min.insync.replicas", WEIR_OPTION_I64, "1", "copies that acknowledge; one node keeps one", 1, INT32_MAX},
     "min.insync.replicas",
     TYPE_INT},
    {{"preallocate", WEIR_OPTION_BOOL, "false", "segments are never preallocated", 0, 0},
     "log.preallocate",
     TYPE_BOOLEAN},
    {{"retention.bytes", WEIR_OPTION_I64, "-1", "size above which old segments go; -1 = any", -1, INT64_MAX},
     "log.retention.bytes",
     TYPE_LONG},
    {{"retention.ms", WEIR_OPTION_I64, "604800000", "age above which old segments go; -1 = any", -1, INT64_MAX},
     "log.retention.ms",
     TYPE_LONG},
    {{"segment.bytes", WEIR_OPTION_I64, "1073741824", "size at which a new segment begins", 14, INT32_MAX},
     "log.segment.bytes",
     TYPE_INT},
    {{"segment.index.bytes", WEIR_OPTION_I64, "10485760", "size of an index", 4, INT32_MAX}, NULL, TYPE_INT},
    {{"segment.jitter.ms", WEIR_OPTION_I64, "0", "spread of segment.ms", 0, INT64_MAX},
     "log.roll.jitter.ms",
     TYPE_LONG},
    {{"segment.ms", WEIR_OPTION_I64, "604800000", "age at which a new segment begins", 1, INT64_MAX},
     "log.roll.ms",
     TYPE_LONG},
    {{"unclean.leader.election.enable", WEIR_OPTION_BOOL, "false", "one node is always the leader", 0, 0},
     NULL,
     TYPE_BOOLEAN},
};
enum { TOPIC_CONFIG_COUNT = sizeof broker_topic_configs / sizeof broker_topic_configs[0] };

size_t broker_topic_config_count(void) { return TOPIC_CONFIG_COUNT; }

int broker_topic_config_index(weir_bytes name) {
    for (int i = 0; i < TOPIC_CONFIG_COUNT; i++) {
        if (weir_bytes_equal_text(name, broker_topic_configs[i].option.name)) return i;
    }
    return -1;
}

weir_status broker_topic_config_check(const char *topic, const weir_setting *configs, size_t count) {
    weir_option table[TOPIC_CONFIG_COUNT + 1];
    for (size_t i = 0; i < TOPIC_CONFIG_COUNT; i++) table[i] = broker_topic_configs[i].option;
    table[TOPIC_CONFIG_COUNT] = (weir_option){.name = NULL};
    return weir_options_check(table, topic, configs, count);
}

const char *broker_property(const broker_node *broker, const char *name, broker_config_source *source) {
    const struct {
        const config_set *set;
        broker_config_source source;
    } places[] = {{&broker->node_configs, BROKER_CONFIG_DYNAMIC_BROKER},
                  {&broker->cluster_configs, BROKER_CONFIG_DYNAMIC_DEFAULT},
                  {&broker->given, BROKER_CONFIG_STATIC_BROKER}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const char *value = broker_config_set_get(places[i].set, name);
        if (!value) continue;
        *source = places[i].source;
        return value;
    }
    *source = BROKER_CONFIG_DEFAULT;
    return weir_options_text(broker_properties, NULL, 0, name);
}

int64_t broker_property_i64(const broker_node *broker, const char *name) {
    return weir_options_i64(broker_properties, broker->properties.items, broker->properties.count, name);
}

bool broker_property_is(const broker_node *broker, const char *name) {
    return weir_options_bool(broker_properties, broker->properties.items, broker->properties.count, name);
}

const char *broker_topic_config_value(const broker_node *broker, const topic_entry *topic, size_t index,
                                      broker_config_source *source) {
    const topic_config *config = &broker_topic_configs[index];
    if (topic->overrides[index]) {
        *source = BROKER_CONFIG_TOPIC;
        return topic->overrides[index];
    }
    if (config->synonym) return broker_property(broker, config->synonym, source);
    *source = BROKER_CONFIG_DEFAULT;
    return config->option.fallback;
}

static const char *value_of(const broker_node *broker, const topic_entry *topic, const char *name) {
    const int index = broker_topic_config_index(weir_bytes_text(name));
    weir_assert(index >= 0);
    broker_config_source source;
    return broker_topic_config_value(broker, topic, (size_t)index, &source);
}

static int64_t number_of(const broker_node *broker, const topic_entry *topic, const char *name) {
    int64_t number = 0;
    /* Checked when it was set; a value from the metadata of another release that no longer parses reads as 0. */
    if (!weir_parse_i64(weir_bytes_text(value_of(broker, topic, name)), &number)) number = 0;
    return number;
}

/* Checked when it was set, as above; then it reads as Kafka's default. */
static double ratio_of(const char *text) {
    double ratio;
    return weir_parse_f64(weir_bytes_text(text), &ratio) ? ratio : 0.5;
}

static int level_of(const broker_node *broker, const topic_entry *topic, wire_codec codec) {
    switch (codec) {
    case WIRE_CODEC_GZIP: {
        const int64_t level = number_of(broker, topic, "compression.gzip.level");
        return level < 1 ? WIRE_LEVEL_DEFAULT : (int)level;
    }
    case WIRE_CODEC_LZ4: return (int)number_of(broker, topic, "compression.lz4.level");
    case WIRE_CODEC_ZSTD: return (int)number_of(broker, topic, "compression.zstd.level");
    default: return WIRE_LEVEL_DEFAULT;
    }
}

void broker_topic_limits_update(const broker_node *broker, topic_entry *topic) {
    topic_limits *limits = &topic->limits;
    *limits = (topic_limits){
        .message_bytes_max = number_of(broker, topic, "max.message.bytes"),
        .timestamp_before_ms_max = number_of(broker, topic, "message.timestamp.before.max.ms"),
        .timestamp_after_ms_max = number_of(broker, topic, "message.timestamp.after.max.ms"),
        .segment_bytes = number_of(broker, topic, "segment.bytes"),
        .segment_ms = number_of(broker, topic, "segment.ms"),
        .retention_bytes = number_of(broker, topic, "retention.bytes"),
        .retention_ms = number_of(broker, topic, "retention.ms"),
        .dirty_ratio = ratio_of(value_of(broker, topic, "min.cleanable.dirty.ratio")),
        .compaction_lag_ms = number_of(broker, topic, "min.compaction.lag.ms"),
        .delete_retention_ms = number_of(broker, topic, "delete.retention.ms"),
        .append_time = strcmp(value_of(broker, topic, "message.timestamp.type"), "LogAppendTime") == 0,
        .compacted = strstr(value_of(broker, topic, "cleanup.policy"), "compact") != NULL,
        .deleted = strstr(value_of(broker, topic, "cleanup.policy"), "delete") != NULL,
    };
    const char *codec = value_of(broker, topic, "compression.type");
    limits->producer_codec = !wire_codec_of_name(weir_bytes_text(codec), &limits->codec);
    if (!limits->producer_codec) limits->level = level_of(broker, topic, limits->codec);
}

/* The log's 0 is Kafka's -1; Kafka's 0, nothing is old enough to stay, is the log's smallest limit. */
static int64_t limit_of(int64_t value, bool is_deleted) {
    return !is_deleted || value < 0 ? 0 : value == 0 ? 1 : value;
}

log_partition_config broker_topic_log_config(const topic_entry *topic) {
    const topic_limits *limits = &topic->limits;
    return (log_partition_config){.segment_bytes = (uint64_t)limits->segment_bytes,
                                  .segment_ms = limits->segment_ms,
                                  .retention_bytes = limit_of(limits->retention_bytes, limits->deleted),
                                  .retention_ms = limit_of(limits->retention_ms, limits->deleted),
                                  .compacted = limits->compacted,
                                  .dirty_ratio = limits->dirty_ratio,
                                  .compaction_lag_ms = limits->compaction_lag_ms,
                                  .delete_retention_ms = limits->delete_retention_ms};
}

/* ---- as DescribeConfigs shows them ------------------------------------------------------------------------------- */

bool broker_topic_config_at(const broker_node *broker, const broker_topic *info, size_t index,
                            broker_config_entry *entry) {
    if (index >= TOPIC_CONFIG_COUNT) return false;
    const topic_config *config = &broker_topic_configs[index];
    *entry = (broker_config_entry){
        .name = config->option.name, .about = config->option.about, .synonym = config->synonym, .type = config->type};
    entry->value = broker_topic_config_value(broker, (const topic_entry *)info, index, &entry->source);
    return true;
}

static int8_t described_type(const weir_option *option) {
    if (strcmp(option->name, "log.cleanup.policy") == 0) return TYPE_LIST;
    switch (option->type) {
    case WEIR_OPTION_BOOL: return TYPE_BOOLEAN;
    case WEIR_OPTION_F64: return TYPE_DOUBLE;
    case WEIR_OPTION_I64:
    case WEIR_OPTION_SIZE: return option->max > 0 && option->max <= INT32_MAX ? TYPE_INT : TYPE_LONG;
    case WEIR_OPTION_TEXT: return TYPE_LIST;
    default: return TYPE_STRING;
    }
}

bool broker_config_at(const broker_node *broker, size_t index, broker_config_entry *entry) {
    const size_t count = sizeof broker_properties / sizeof broker_properties[0] - 1;
    if (index >= count) return false;
    const weir_option *option = &broker_properties[index];
    *entry = (broker_config_entry){.name = option->name,
                                   .about = option->about,
                                   .type = described_type(option),
                                   .read_only = !broker_property_is_dynamic(option->name)};
    entry->value = broker_property(broker, option->name, &entry->source);
    return true;
}

bool broker_cluster_config_at(const broker_node *broker, size_t index, broker_config_entry *entry) {
    if (index >= broker->cluster_configs.count) return false;
    const weir_setting *setting = &broker->cluster_configs.items[index];
    const weir_option *option = broker_properties;
    while (strcmp(option->name, setting->name) != 0) option++; /* it was checked before it got there */
    *entry = (broker_config_entry){.name = option->name,
                                   .value = setting->value,
                                   .about = option->about,
                                   .type = described_type(option),
                                   .source = BROKER_CONFIG_DYNAMIC_DEFAULT};
    return true;
}

bool broker_group_config_at(const broker_node *broker, weir_bytes group, size_t index, broker_config_entry *entry) {
    size_t count = 0;
    while (broker_group_configs[count].name) count++;
    if (index >= count) return false;
    const weir_option *option = &broker_group_configs[index];
    const config_set *set = weir_map_get(&broker->group_configs, group);
    char property[BROKER_NAME_TEXT_MAX];
    snprintf(property, sizeof property, "group.%s", option->name);
    *entry = (broker_config_entry){.name = option->name, .about = option->about, .type = described_type(option)};
    entry->value = set ? broker_config_set_get(set, option->name) : NULL;
    entry->source = BROKER_CONFIG_GROUP;
    if (!entry->value) entry->value = broker_property(broker, property, &entry->source);
    return true;
}

bool broker_config_synonym_at(const broker_node *broker, const broker_topic *info, const char *name, size_t index,
                              broker_config_entry *entry) {
    const int number = info ? broker_topic_config_index(weir_bytes_text(name)) : -1;
    const topic_config *config = number < 0 ? NULL : &broker_topic_configs[number];
    const char *property = config ? config->synonym : name;
    const char *own = config ? ((const topic_entry *)info)->overrides[number] : NULL;
    broker_config_entry chain[5];
    size_t count = 0;
    if (own) chain[count++] = (broker_config_entry){.name = name, .value = own, .source = BROKER_CONFIG_TOPIC};
    const config_set *const sets[] = {&broker->node_configs, &broker->cluster_configs, &broker->given};
    for (size_t i = 0; property && i < 3; i++) {
        const char *value = broker_config_set_get(sets[i], property);
        if (!value) continue;
        chain[count++] = (broker_config_entry){
            .name = property, .value = value, .source = (broker_config_source)(BROKER_CONFIG_DYNAMIC_BROKER + i)};
    }
    chain[count++] = (broker_config_entry){
        .name = property ? property : name,
        .value = property ? weir_options_text(broker_properties, NULL, 0, property) : config->option.fallback,
        .source = BROKER_CONFIG_DEFAULT};
    if (index >= count) return false;
    *entry = chain[index];
    return true;
}

const char *broker_topic_config(const broker_node *broker, const broker_topic *info, const char *name) {
    const int index = broker_topic_config_index(weir_bytes_text(name));
    broker_config_source source;
    return index < 0 ? NULL : broker_topic_config_value(broker, (const topic_entry *)info, (size_t)index, &source);
}
