/* cli/topic - weir topic: what topics there are, made, changed and deleted over Kafka's own requests. */
#include "cli/cli.h"
#include "cli/kafka.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONFIG_NAME_MAX = 128, PARTITIONS_MAX = 1000000, REFRESH_TRIES_MAX = 50, ANSWER_BYTES_MAX = 16 };

/* ---- list, describe, offsets ------------------------------------------------------------------------------------- */

static json_t *ids(const int32_t *items, int count) {
    json_t *list = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(list, json_integer(items[i]));
    return list;
}

static int replicas_of(const struct rd_kafka_metadata_topic *topic) {
    return topic->partition_cnt > 0 ? topic->partitions[0].replica_cnt : 0;
}

static weir_status list(cli_kafka *kafka) {
    const bool internal = cli_value(kafka->call, "internal");
    json_t *rows = json_array();
    for (int i = 0; i < kafka->metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &kafka->metadata->topics[i];
        if (!internal && strncmp(topic->topic, "__", 2) == 0) continue;
        json_t *row = json_object();
        json_object_set_new(row, "topic", cli_json_text(topic->topic));
        json_object_set_new(row, "partitions", json_integer(topic->partition_cnt));
        json_object_set_new(row, "replicas", json_integer(replicas_of(topic)));
        json_array_append_new(rows, row);
    }
    cli_rows_print(kafka->call, rows, "no topics");
    return weir_ok();
}

static int list_run(cli_call *call) {
    return cli_kafka_run(call, list);
}

static weir_status describe(cli_kafka *kafka) {
    json_t *rows = json_array();
    weir_status status = weir_ok();
    for (unsigned i = 0; i < kafka->call->argument_count && !weir_failed(status); i++) {
        const struct rd_kafka_metadata_topic *topic;
        status = cli_kafka_topic(kafka, kafka->call->arguments[i], &topic);
        for (int p = 0; !weir_failed(status) && p < topic->partition_cnt; p++) {
            const struct rd_kafka_metadata_partition *partition = &topic->partitions[p];
            int64_t low = 0, high = 0;
            status = cli_kafka_ends(kafka, topic->topic, partition->id, &low, &high);
            json_t *row = json_object();
            json_object_set_new(row, "topic", cli_json_text(topic->topic));
            json_object_set_new(row, "partition", json_integer(partition->id));
            json_object_set_new(row, "leader", json_integer(partition->leader));
            json_object_set_new(row, "replicas", ids(partition->replicas, partition->replica_cnt));
            json_object_set_new(row, "inSync", ids(partition->isrs, partition->isr_cnt));
            json_object_set_new(row, "start", json_integer(low));
            json_object_set_new(row, "end", json_integer(high));
            json_array_append_new(rows, row);
        }
    }
    if (weir_failed(status)) json_decref(rows);
    else cli_rows_print(kafka->call, rows, "no partitions");
    return status;
}

static int describe_run(cli_call *call) {
    return cli_kafka_run(call, describe);
}

static weir_status offsets(cli_kafka *kafka) {
    const char *name = kafka->call->arguments[0], *time = cli_value(kafka->call, "time");
    const struct rd_kafka_metadata_topic *topic;
    cli_position position = {0};
    if (time) WEIR_TRY(cli_position_parse(time, "time", &position));
    WEIR_TRY(cli_kafka_topic(kafka, name, &topic));
    json_t *rows = json_array();
    weir_status status = weir_ok();
    for (int p = 0; p < topic->partition_cnt && !weir_failed(status); p++) {
        int64_t low = 0, high = 0, offset = 0;
        json_t *row = json_object();
        json_object_set_new(row, "topic", cli_json_text(name));
        json_object_set_new(row, "partition", json_integer(p));
        if (time) {
            status = cli_kafka_resolve(kafka, name, p, position, &offset);
            json_object_set_new(row, "offset", json_integer(offset));
        } else {
            status = cli_kafka_ends(kafka, name, p, &low, &high);
            json_object_set_new(row, "earliest", json_integer(low));
            json_object_set_new(row, "latest", json_integer(high));
            json_object_set_new(row, "offsets", json_integer(high - low));
        }
        json_array_append_new(rows, row);
    }
    if (weir_failed(status)) json_decref(rows);
    else cli_rows_print(kafka->call, rows, "no partitions");
    return status;
}

static int offsets_run(cli_call *call) {
    return cli_kafka_run(call, offsets);
}

/* ---- create, delete, partitions ---------------------------------------------------------------------------------- */

static json_t *done_row(const char *name, const char *result) {
    json_t *row = json_object();
    json_object_set_new(row, "topic", cli_json_text(name));
    json_object_set_new(row, "result", json_string(result));
    return row;
}

/* One row a topic; the first failure is the command's. */
static weir_status report(cli_kafka *kafka, const rd_kafka_topic_result_t **results, size_t count, const char *doing,
                          const char *done) {
    json_t *rows = json_array();
    weir_status status = weir_ok();
    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_topic_result_name(results[i]);
        const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            json_array_append_new(rows, done_row(name, done));
            continue;
        }
        if (weir_failed(status)) cli_fail(kafka->call->title, status);
        status = cli_kafka_error(kafka, error, rd_kafka_topic_result_error_string(results[i]), "%s topic '%s'", doing,
                                 name);
    }
    if (json_array_size(rows) > 0 || kafka->call->json) cli_rows_print(kafka->call, rows, "");
    else json_decref(rows);
    return status;
}

/* A broker answers before it has told everybody: what follows this command must find what it did. */
static weir_status await_partitions(cli_kafka *kafka, const char *name, int partitions_min) {
    for (int tries = 0; tries < REFRESH_TRIES_MAX; tries++) {
        WEIR_TRY(cli_kafka_refresh(kafka));
        for (int i = 0; i < kafka->metadata->topic_cnt; i++) {
            const struct rd_kafka_metadata_topic *topic = &kafka->metadata->topics[i];
            if (strcmp(topic->topic, name) != 0 || topic->partition_cnt < partitions_min) continue;
            if (topic->partitions[topic->partition_cnt - 1].leader >= 0) return weir_ok();
        }
        rd_kafka_poll(kafka->handle, 100);
    }
    return weir_fail(WEIR_TIMEOUT, "topic '%s' was made, but has no leader yet; weir topic describe shows it", name);
}

static weir_status add_configs(cli_call *call, rd_kafka_NewTopic_t *topic) {
    unsigned at = 0;
    const char *text, *value;
    char name[CONFIG_NAME_MAX];
    while ((text = cli_value_next(call, "set-config", &at))) {
        if (!cli_pair_split(text, name, sizeof name, &value))
            return weir_fail(WEIR_INVALID, "--set-config '%s' is not NAME=VALUE", text);
        if (rd_kafka_NewTopic_set_config(topic, name, value) != RD_KAFKA_RESP_ERR_NO_ERROR)
            return weir_fail(WEIR_INVALID, "--set-config '%s' is not usable", text);
    }
    return weir_ok();
}

static weir_status create(cli_kafka *kafka) {
    cli_call *call = kafka->call;
    int64_t partitions, replicas;
    char problem[CLI_REASON_MAX];
    WEIR_TRY(cli_value_i64(call, "partitions", -1, 1, PARTITIONS_MAX, &partitions));
    WEIR_TRY(cli_value_i64(call, "replicas", -1, 1, INT16_MAX, &replicas));
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(call->arguments[0], (int)partitions, (int)replicas, problem, sizeof problem);
    if (!topic) return weir_fail(WEIR_INVALID, "topic '%s' cannot be made: %s", call->arguments[0], problem);
    weir_status status = add_configs(call, topic);
    if (!weir_failed(status)) {
        rd_kafka_event_t *event;
        rd_kafka_AdminOptions_t *options = cli_kafka_options(kafka, RD_KAFKA_ADMIN_OP_CREATETOPICS);
        rd_kafka_CreateTopics(kafka->handle, &topic, 1, options, kafka->queue);
        status = cli_kafka_wait(kafka, options, &event, "creating a topic");
        if (!weir_failed(status)) {
            size_t count;
            const rd_kafka_topic_result_t **results =
                rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
            status = report(kafka, results, count, "creating", "created");
            rd_kafka_event_destroy(event);
        }
        if (!weir_failed(status)) status = await_partitions(kafka, call->arguments[0], 1);
    }
    rd_kafka_NewTopic_destroy(topic);
    return status;
}

static int create_run(cli_call *call) {
    return cli_kafka_run(call, create);
}

static bool is_sure(const cli_call *call) {
    if (cli_value(call, "yes") || !isatty(STDIN_FILENO)) return true;
    fprintf(stderr, "Delete");
    for (unsigned i = 0; i < call->argument_count; i++) fprintf(stderr, " %s", call->arguments[i]);
    fprintf(stderr, " with all records? [y/N] ");
    char answer[ANSWER_BYTES_MAX];
    return fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y');
}

static weir_status delete(cli_kafka *kafka) {
    const cli_call *call = kafka->call;
    rd_kafka_DeleteTopic_t *topics[CLI_ARGUMENTS_MAX];
    for (unsigned i = 0; i < call->argument_count; i++) {
        const struct rd_kafka_metadata_topic *topic;
        WEIR_TRY(cli_kafka_topic(kafka, call->arguments[i], &topic));
    }
    if (!is_sure(call)) return weir_fail(WEIR_CANCELLED, "nothing was deleted");
    for (unsigned i = 0; i < call->argument_count; i++) topics[i] = rd_kafka_DeleteTopic_new(call->arguments[i]);
    rd_kafka_event_t *event;
    rd_kafka_AdminOptions_t *options = cli_kafka_options(kafka, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_DeleteTopics(kafka->handle, topics, call->argument_count, options, kafka->queue);
    weir_status status = cli_kafka_wait(kafka, options, &event, "deleting topics");
    if (!weir_failed(status)) {
        size_t count;
        const rd_kafka_topic_result_t **results =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
        status = report(kafka, results, count, "deleting", "deleted");
        rd_kafka_event_destroy(event);
    }
    rd_kafka_DeleteTopic_destroy_array(topics, call->argument_count);
    return status;
}

static int delete_run(cli_call *call) {
    return cli_kafka_run(call, delete);
}

static weir_status argument_i64(const cli_call *call, unsigned index, const char *what, int64_t min, int64_t max,
                                int64_t *value) {
    if (weir_parse_i64(weir_bytes_text(call->arguments[index]), value) && *value >= min && *value <= max)
        return weir_ok();
    return weir_fail(WEIR_INVALID, "%s '%s' is not a number from %lld to %lld", what, call->arguments[index],
                     (long long)min, (long long)max);
}

static weir_status partitions(cli_kafka *kafka) {
    const char *name = kafka->call->arguments[0];
    const struct rd_kafka_metadata_topic *topic;
    int64_t wanted;
    char problem[CLI_REASON_MAX];
    WEIR_TRY(argument_i64(kafka->call, 1, "the number of partitions", 1, PARTITIONS_MAX, &wanted));
    WEIR_TRY(cli_kafka_topic(kafka, name, &topic));
    if (wanted <= topic->partition_cnt)
        return weir_fail(WEIR_INVALID, "topic '%s' has %d partitions, and their number can only grow", name,
                         topic->partition_cnt);
    rd_kafka_NewPartitions_t *grow = rd_kafka_NewPartitions_new(name, (size_t)wanted, problem, sizeof problem);
    if (!grow) return weir_fail(WEIR_INVALID, "topic '%s' cannot grow: %s", name, problem);
    rd_kafka_event_t *event;
    rd_kafka_AdminOptions_t *options = cli_kafka_options(kafka, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS);
    rd_kafka_CreatePartitions(kafka->handle, &grow, 1, options, kafka->queue);
    weir_status status = cli_kafka_wait(kafka, options, &event, "adding partitions");
    if (!weir_failed(status)) {
        size_t count;
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count);
        status = report(kafka, results, count, "adding partitions to", "grown");
        rd_kafka_event_destroy(event);
        if (!weir_failed(status)) status = await_partitions(kafka, name, (int)wanted);
    }
    rd_kafka_NewPartitions_destroy(grow);
    return status;
}

static int partitions_run(cli_call *call) {
    return cli_kafka_run(call, partitions);
}

/* ---- config ------------------------------------------------------------------------------------------------------ */

static const char *source_name(rd_kafka_ConfigSource_t source) {
    switch (source) {
    case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG: return "topic";
    case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG: return "broker";
    case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG: return "all brokers";
    case RD_KAFKA_CONFIG_SOURCE_STATIC_BROKER_CONFIG: return "broker's file";
    case RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG: return "default";
    default: return "unknown";
    }
}

/* The topic's configs; the caller destroys *event. */
static weir_status describe_configs(cli_kafka *kafka, const char *name, rd_kafka_event_t **event,
                                    const rd_kafka_ConfigEntry_t ***entries, size_t *count) {
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    rd_kafka_AdminOptions_t *options = cli_kafka_options(kafka, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(kafka->handle, &resource, 1, options, kafka->queue);
    const weir_status status = cli_kafka_wait(kafka, options, event, "reading a topic's configs");
    rd_kafka_ConfigResource_destroy(resource);
    WEIR_TRY(status);
    size_t resource_count;
    const rd_kafka_ConfigResource_t **results =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(*event), &resource_count);
    const rd_kafka_resp_err_t error = rd_kafka_ConfigResource_error(results[0]);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *entries = rd_kafka_ConfigResource_configs(results[0], count);
        return weir_ok();
    }
    const weir_status failed = cli_kafka_error(kafka, error, rd_kafka_ConfigResource_error_string(results[0]),
                                               "reading the configs of topic '%s'", name);
    rd_kafka_event_destroy(*event);
    return failed;
}

static int by_name(const void *a, const void *b) {
    const rd_kafka_ConfigEntry_t *const *left = a, *const *right = b;
    return strcmp(rd_kafka_ConfigEntry_name(*left), rd_kafka_ConfigEntry_name(*right));
}

static void print_configs(cli_call *call, const rd_kafka_ConfigEntry_t **entries, size_t count) {
    json_t *rows = json_array();
    const rd_kafka_ConfigEntry_t **sorted = weir_alloc(&call->account, count * sizeof *sorted + 1);
    if (count) memcpy(sorted, entries, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_ConfigSource_t source = rd_kafka_ConfigEntry_source(sorted[i]);
        if (cli_value(call, "changed") && source != RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG) continue;
        json_t *row = json_object();
        json_object_set_new(row, "name", cli_json_text(rd_kafka_ConfigEntry_name(sorted[i])));
        json_object_set_new(row, "value", cli_json_text(rd_kafka_ConfigEntry_value(sorted[i])));
        json_object_set_new(row, "setBy", json_string(source_name(source)));
        json_array_append_new(rows, row);
    }
    weir_free(&call->account, sorted);
    cli_rows_print(call, rows, "no configs of its own");
}

static bool is_changed(const cli_call *call, const char *option, const char *name) {
    unsigned at = 0;
    const char *text;
    const size_t size = strlen(name);
    while ((text = cli_value_next(call, option, &at))) {
        if (strncmp(text, name, size) == 0 && (text[size] == '=' || text[size] == 0)) return true;
    }
    return false;
}

/* The request replaces all configs of the topic, so those that stay are sent along. */
static weir_status fill_configs(const cli_call *call, rd_kafka_ConfigResource_t *resource,
                                const rd_kafka_ConfigEntry_t **entries, size_t count) {
    unsigned at = 0;
    const char *text, *value;
    char name[CONFIG_NAME_MAX];
    for (size_t i = 0; i < count; i++) {
        const char *kept = rd_kafka_ConfigEntry_name(entries[i]);
        if (rd_kafka_ConfigEntry_source(entries[i]) != RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG) continue;
        if (is_changed(call, "set-config", kept) || is_changed(call, "unset-config", kept)) continue;
        rd_kafka_ConfigResource_set_config(resource, kept, rd_kafka_ConfigEntry_value(entries[i]));
    }
    while ((text = cli_value_next(call, "set-config", &at))) {
        if (!cli_pair_split(text, name, sizeof name, &value))
            return weir_fail(WEIR_INVALID, "--set-config '%s' is not NAME=VALUE", text);
        rd_kafka_ConfigResource_set_config(resource, name, value);
    }
    return weir_ok();
}

static weir_status alter_configs(cli_kafka *kafka, const char *name, rd_kafka_ConfigResource_t *resource) {
    rd_kafka_event_t *event;
    rd_kafka_AdminOptions_t *options = cli_kafka_options(kafka, RD_KAFKA_ADMIN_OP_ALTERCONFIGS);
    rd_kafka_AlterConfigs(kafka->handle, &resource, 1, options, kafka->queue);
    WEIR_TRY(cli_kafka_wait(kafka, options, &event, "changing a topic's configs"));
    size_t count;
    const rd_kafka_ConfigResource_t **results =
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &count);
    const rd_kafka_resp_err_t error = rd_kafka_ConfigResource_error(results[0]);
    weir_status status = weir_ok();
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = cli_kafka_error(kafka, error, rd_kafka_ConfigResource_error_string(results[0]),
                                 "changing the configs of topic '%s'", name);
    } else {
        json_t *rows = json_array();
        json_array_append_new(rows, done_row(name, "changed"));
        cli_rows_print(kafka->call, rows, "");
    }
    rd_kafka_event_destroy(event);
    return status;
}

static weir_status config(cli_kafka *kafka) {
    const cli_call *call = kafka->call;
    const char *name = call->arguments[0];
    const struct rd_kafka_metadata_topic *topic;
    rd_kafka_event_t *event;
    const rd_kafka_ConfigEntry_t **entries = NULL;
    size_t count = 0;
    WEIR_TRY(cli_kafka_topic(kafka, name, &topic));
    WEIR_TRY(describe_configs(kafka, name, &event, &entries, &count));
    weir_status status = weir_ok();
    if (cli_value(call, "set-config") || cli_value(call, "unset-config")) {
        rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
        status = fill_configs(call, resource, entries, count);
        if (!weir_failed(status)) status = alter_configs(kafka, name, resource);
        rd_kafka_ConfigResource_destroy(resource);
    } else {
        print_configs(kafka->call, entries, count);
    }
    rd_kafka_event_destroy(event);
    return status;
}

static int config_run(cli_call *call) {
    return cli_kafka_run(call, config);
}

/* ---- records-delete ---------------------------------------------------------------------------------------------- */

static weir_status records_delete(cli_kafka *kafka) {
    const char *name = kafka->call->arguments[0];
    int64_t partition, offset;
    WEIR_TRY(argument_i64(kafka->call, 1, "the partition", 0, INT32_MAX, &partition));
    WEIR_TRY(argument_i64(kafka->call, 2, "the offset", 0, INT64_MAX, &offset));
    WEIR_TRY(cli_kafka_partition(kafka, name, partition));
    rd_kafka_topic_partition_list_t *before = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(before, name, (int32_t)partition)->offset = offset;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(before);
    rd_kafka_topic_partition_list_destroy(before);
    rd_kafka_event_t *event;
    rd_kafka_AdminOptions_t *options = cli_kafka_options(kafka, RD_KAFKA_ADMIN_OP_DELETERECORDS);
    rd_kafka_DeleteRecords(kafka->handle, &request, 1, options, kafka->queue);
    weir_status status = cli_kafka_wait(kafka, options, &event, "deleting records");
    rd_kafka_DeleteRecords_destroy(request);
    WEIR_TRY(status);
    const rd_kafka_topic_partition_list_t *results =
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
    const rd_kafka_topic_partition_t *result = &results->elems[0];
    if (result->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = cli_kafka_error(kafka, result->err, NULL, "deleting the records of %s-%d before %lld", name,
                                 result->partition, (long long)offset);
    } else {
        json_t *rows = json_array(), *row = json_object();
        json_object_set_new(row, "topic", cli_json_text(name));
        json_object_set_new(row, "partition", json_integer(result->partition));
        json_object_set_new(row, "start", json_integer(result->offset));
        json_array_append_new(rows, row);
        cli_rows_print(kafka->call, rows, "");
    }
    rd_kafka_event_destroy(event);
    return status;
}

static int records_delete_run(cli_call *call) {
    return cli_kafka_run(call, records_delete);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const cli_option list_options[] = {{"internal", NULL, "also those whose names begin with __"}, {0}};
static const cli_option create_options[] = {{"partitions", "N", "default: the broker's num.partitions"},
                                            {"replicas", "N", "default: the broker's default.replication.factor"},
                                            {"set-config", "NAME=VALUE", "a config of the topic; repeatable"},
                                            {0}};
static const cli_option delete_options[] = {{"yes", NULL, "do not ask (only a terminal is asked)"}, {0}};
static const cli_option config_options[] = {{"changed", NULL, "show only what this topic sets itself"},
                                            {"set-config", "NAME=VALUE", "set a config of the topic; repeatable"},
                                            {"unset-config", "NAME", "back to the default; repeatable"},
                                            {0}};
static const cli_option offsets_options[] = {{"time", "PLACE", CLI_POSITION_HELP}, {0}};

static const cli_verb topic_verbs[] = {
    {"list", "", 0, 0, "List the topics", list_options,
     "  weir topic list\n  weir topic list --output json --bootstrap broker1:9092,broker2:9092\n", list_run},
    {"describe", "TOPIC...", 1, CLI_ARGUMENTS_MAX, "Show the partitions: leader, replicas, first and next offset", NULL,
     "  weir topic describe orders\n", describe_run},
    {"create", "TOPIC", 1, 1, "Make a topic", create_options,
     "  weir topic create orders --partitions 3\n"
     "  weir topic create users --set-config cleanup.policy=compact\n", create_run},
    {"delete", "TOPIC...", 1, CLI_ARGUMENTS_MAX, "Delete topics with all their records", delete_options,
     "  weir topic delete orders --yes\n", delete_run},
    {"config", "TOPIC", 1, 1, "Show or change a topic's configs", config_options,
     "  weir topic config orders --changed\n"
     "  weir topic config orders --set-config retention.ms=86400000 --unset-config cleanup.policy\n", config_run},
    {"partitions", "TOPIC N", 2, 2, "Add partitions until there are N", NULL, "  weir topic partitions orders 6\n",
     partitions_run},
    {"offsets", "TOPIC", 1, 1, "Show the first and the next offset, or the offsets at a place in time", offsets_options,
     "  weir topic offsets orders\n  weir topic offsets orders --time 2026-11-24T10:00:00Z\n", offsets_run},
    {"records-delete", "TOPIC PARTITION OFFSET", 3, 3, "Delete the records before an offset", NULL,
     "  weir topic records-delete orders 0 1000\n", records_delete_run},
    {0}};

const cli_family CLI_TOPIC = {"topic", "topics of weir or any Kafka: list, make, change, delete", topic_verbs};

int cli_topic(int argc, char **argv) {
    return cli_family_run(&CLI_TOPIC, argc, argv);
}
