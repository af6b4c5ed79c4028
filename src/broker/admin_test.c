/* Goal: what an administrator's client sees of one node: topics that grow, configs that are altered and stay, records
 * and offsets that are deleted, and the right answers where a cluster would have more to say.
 * Method: a hand-driven client on a simulated link; the node is killed and started again between the questions. */
#include "broker/door_test.h"

enum { TOPIC = 2, BROKER = 4, GROUP = 32, SET = 0, UNSET = 1, APPEND = 2, SUBTRACT = 3 };

/* ---- partitions -------------------------------------------------------------------------------------------------- */

static int16_t grow(door_client *client, const char *topic, int32_t count) {
    wire_create_partitions_request request;
    wire_create_partitions_response response;
    wire_create_partitions_request_init(&request);
    request.topics.items = wire_create_partitions_request_topic_new(&client->arena, 1);
    request.topics.count = 1;
    request.topics.items[0].name = text(topic);
    request.topics.items[0].count = count;
    request.topics.items[0].assignments.count = -1;
    call(client, WIRE_API_CREATE_PARTITIONS, 3, &request, &response);
    assert_int_equal(response.results.count, 1);
    assert_true((response.results.items[0].error_code == 0) == (response.results.items[0].error_message.data == NULL));
    return response.results.items[0].error_code;
}

static void test_a_topic_grows_and_never_shrinks(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 1);
    node_create(&node, "t", 2, NULL, 0);
    client_open(&client, &node, door(&node));
    assert_int_equal(grow(&client, "t", 5), 0);
    assert_int_equal(broker_topic_find(node.broker, text("t"))->partition_count, 5);
    assert_int_equal(grow(&client, "t", 5), BROKER_INVALID_PARTITIONS);
    assert_int_equal(grow(&client, "t", 4), BROKER_INVALID_PARTITIONS);
    assert_int_equal(grow(&client, "t", 0), BROKER_INVALID_PARTITIONS);
    assert_int_equal(grow(&client, "none", 3), BROKER_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(grow(&client, "__consumer_offsets", 3), BROKER_INVALID_PARTITIONS);
    client_close(&client);
    node_crash(&node, IO_SIM_POWER_CUT);
    assert_int_equal(broker_topic_find(node.broker, text("t"))->partition_count, 5);
    node_end(&node);
}

/* ---- configs ----------------------------------------------------------------------------------------------------- */

static int16_t alter(door_client *client, int8_t type, const char *name, const char *key, int8_t operation,
                     const char *value) {
    wire_incremental_alter_configs_request request;
    wire_incremental_alter_configs_response response;
    wire_incremental_alter_configs_request_init(&request);
    request.resources.items =
        wire_incremental_alter_configs_request_alter_configs_resource_new(&client->arena, 1);
    request.resources.count = 1;
    request.resources.items[0].resource_type = type;
    request.resources.items[0].resource_name = text(name);
    request.resources.items[0].configs.items =
        wire_incremental_alter_configs_request_alterable_config_new(&client->arena, 1);
    request.resources.items[0].configs.count = 1;
    request.resources.items[0].configs.items[0].name = text(key);
    request.resources.items[0].configs.items[0].config_operation = operation;
    request.resources.items[0].configs.items[0].value = text(value);
    call(client, WIRE_API_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response);
    assert_int_equal(response.responses.count, 1);
    assert_int_equal(response.responses.items[0].resource_type, type);
    return response.responses.items[0].error_code;
}

/* "value/source" of one config, "" when it is not told. */
static const char *config(door_client *client, int8_t type, const char *name, const char *key) {
    static char told[128];
    wire_describe_configs_request request;
    wire_describe_configs_response response;
    weir_bytes keys[] = {text(key)};
    wire_describe_configs_request_init(&request);
    request.include_synonyms = true;
    request.resources.items = wire_describe_configs_request_resource_new(&client->arena, 1);
    request.resources.count = 1;
    request.resources.items[0].resource_type = type;
    request.resources.items[0].resource_name = text(name);
    request.resources.items[0].configuration_keys.items = keys;
    request.resources.items[0].configuration_keys.count = 1;
    call(client, WIRE_API_DESCRIBE_CONFIGS, 4, &request, &response);
    if (response.results.items[0].error_code) {
        snprintf(told, sizeof told, "error %d", response.results.items[0].error_code);
        return told;
    }
    told[0] = 0;
    if (response.results.items[0].configs.count == 0) return told;
    const wire_describe_configs_response_resource_result *item = response.results.items[0].configs.items;
    assert_true(item->synonyms.count >= 1);
    assert_int_equal(item->synonyms.items[0].source, item->config_source);
    snprintf(told, sizeof told, "%.*s/%d", (int)item->value.size, (const char *)item->value.data, item->config_source);
    return told;
}

static void test_configs_of_topics_brokers_and_groups_stay(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 2);
    node_create(&node, "t", 1, NULL, 0);
    node_create(&node, "written", 1, NULL, 0);
    client_open(&client, &node, door(&node));
    assert_int_equal(alter(&client, TOPIC, "t", "retention.ms", SET, "1234"), 0);
    assert_int_equal(alter(&client, TOPIC, "t", "cleanup.policy", APPEND, "compact"), 0);
    assert_int_equal(alter(&client, BROKER, "0", "log.retention.bytes", SET, "77"), 0);
    assert_int_equal(alter(&client, BROKER, "", "log.retention.bytes", SET, "66"), 0);
    assert_int_equal(alter(&client, BROKER, "", "message.max.bytes", SET, "5000"), 0);
    assert_int_equal(alter(&client, GROUP, "g", "consumer.session.timeout.ms", SET, "50000"), 0);
    for (int life = 0; life < 2; life++) {
        assert_string_equal(config(&client, TOPIC, "t", "retention.ms"), "1234/1");
        assert_string_equal(config(&client, TOPIC, "t", "cleanup.policy"), "delete,compact/1");
        assert_string_equal(config(&client, TOPIC, "t", "retention.bytes"), "77/2");
        assert_string_equal(config(&client, BROKER, "0", "log.retention.bytes"), "77/2");
        assert_string_equal(config(&client, BROKER, "", "log.retention.bytes"), "66/3");
        assert_string_equal(config(&client, BROKER, "0", "message.max.bytes"), "5000/3");
        assert_string_equal(config(&client, BROKER, "", "num.partitions"), "");
        assert_string_equal(config(&client, GROUP, "g", "consumer.session.timeout.ms"), "50000/8");
        assert_string_equal(config(&client, GROUP, "other", "consumer.session.timeout.ms"), "45000/5");
        client_close(&client);
        if (life == 0) node_crash(&node, IO_SIM_POWER_CUT);
        client_open(&client, &node, door(&node));
    }
    weir_buffer big;
    broker_produce_part part;
    weir_buffer_init(&big, &node.account, 1 << 20);
    node_batch(&node, &big, "a record that is not long, but there are many of them", 200, &wire_batch_options_default);
    assert_int_equal(node_produce_bytes(&node, "written", 0, &big, -1, &part), BROKER_MESSAGE_TOO_LARGE);
    assert_int_equal(alter(&client, BROKER, "", "message.max.bytes", UNSET, NULL), 0);
    assert_int_equal(node_produce_bytes(&node, "written", 0, &big, -1, &part), 0);
    weir_buffer_deinit(&big);
    assert_int_equal(alter(&client, BROKER, "0", "log.retention.bytes", UNSET, NULL), 0);
    assert_string_equal(config(&client, TOPIC, "t", "retention.bytes"), "66/3");
    assert_int_equal(alter(&client, TOPIC, "t", "cleanup.policy", SUBTRACT, "delete"), 0);
    assert_string_equal(config(&client, TOPIC, "t", "cleanup.policy"), "compact/1");
    client_close(&client);
    node_end(&node);
}

static void test_what_cannot_be_altered_is_refused(void **state) {
    (void)state;
    static const struct {
        int8_t type;
        const char *name, *key;
        int8_t operation;
        const char *value;
        int16_t error;
    } cases[] = {
        {TOPIC, "t", "no.such.config", SET, "1", BROKER_INVALID_CONFIG},
        {TOPIC, "t", "retention.ms", SET, "soon", BROKER_INVALID_CONFIG},
        {TOPIC, "t", "retention.ms", SET, NULL, BROKER_INVALID_REQUEST},
        {TOPIC, "t", "retention.ms", APPEND, "1", BROKER_INVALID_CONFIG},
        {TOPIC, "t", "retention.ms", 9, "1", BROKER_INVALID_REQUEST},
        {TOPIC, "none", "retention.ms", SET, "1", BROKER_UNKNOWN_TOPIC_OR_PARTITION},
        {BROKER, "0", "node.id", SET, "7", BROKER_INVALID_REQUEST},
        {BROKER, "0", "no.such.property", SET, "7", BROKER_INVALID_REQUEST},
        {BROKER, "0", "log.retention.ms", SET, "x", BROKER_INVALID_REQUEST},
        {BROKER, "1", "log.retention.ms", SET, "1", BROKER_INVALID_REQUEST},
        {GROUP, "g", "consumer.session.timeout.ms", SET, "1", BROKER_INVALID_CONFIG},
        {GROUP, "g", "consumer.session.timeout.ms", SET, "60001", BROKER_INVALID_CONFIG},
        {GROUP, "g", "no.such.config", SET, "1", BROKER_INVALID_CONFIG},
        {GROUP, "", "consumer.session.timeout.ms", SET, "50000", BROKER_INVALID_REQUEST},
        {16, "m", "interval.ms", SET, "1", BROKER_INVALID_REQUEST},
    };
    node_world node;
    door_client client;
    node_begin(&node, 3);
    node_create(&node, "t", 1, NULL, 0);
    client_open(&client, &node, door(&node));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int16_t error =
            alter(&client, cases[i].type, cases[i].name, cases[i].key, cases[i].operation, cases[i].value);
        if (error != cases[i].error) fprintf(stderr, "case %zu\n", i);
        assert_int_equal(error, cases[i].error);
    }
    assert_string_equal(config(&client, BROKER, "5", "node.id"), "error 42");
    client_close(&client);
    node_end(&node);
}

static void test_the_legacy_request_replaces_everything(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 4);
    const weir_setting configs[] = {{"retention.ms", "5"}, {"segment.bytes", "1000"}};
    node_create(&node, "t", 1, configs, 2);
    client_open(&client, &node, door(&node));
    wire_alter_configs_request request;
    wire_alter_configs_response response;
    wire_alter_configs_request_init(&request);
    request.resources.items = wire_alter_configs_request_resource_new(&client.arena, 1);
    request.resources.count = 1;
    request.resources.items[0].resource_type = TOPIC;
    request.resources.items[0].resource_name = text("t");
    request.resources.items[0].configs.items = wire_alter_configs_request_alterable_config_new(&client.arena, 1);
    request.resources.items[0].configs.count = 1;
    request.resources.items[0].configs.items[0].name = text("retention.ms");
    request.resources.items[0].configs.items[0].value = text("6");
    request.validate_only = true;
    call(&client, WIRE_API_ALTER_CONFIGS, 2, &request, &response);
    assert_int_equal(response.responses.items[0].error_code, 0);
    assert_string_equal(config(&client, TOPIC, "t", "segment.bytes"), "1000/1");
    request.validate_only = false;
    call(&client, WIRE_API_ALTER_CONFIGS, 2, &request, &response);
    assert_int_equal(response.responses.items[0].error_code, 0);
    assert_string_equal(config(&client, TOPIC, "t", "retention.ms"), "6/1");
    assert_string_equal(config(&client, TOPIC, "t", "segment.bytes"), "1073741824/5");
    client_close(&client);
    node_end(&node);
}

/* ---- deleting records -------------------------------------------------------------------------------------------- */

static int16_t cut(door_client *client, const char *topic, int64_t offset, int64_t *low) {
    wire_delete_records_request request;
    wire_delete_records_response response;
    wire_delete_records_request_init(&request);
    request.topics.items = wire_delete_records_request_topic_new(&client->arena, 1);
    request.topics.count = 1;
    request.topics.items[0].name = text(topic);
    request.topics.items[0].partitions.items = wire_delete_records_request_partition_new(&client->arena, 1);
    request.topics.items[0].partitions.count = 1;
    request.topics.items[0].partitions.items[0].offset = offset;
    call(client, WIRE_API_DELETE_RECORDS, 2, &request, &response);
    *low = response.topics.items[0].partitions.items[0].low_watermark;
    return response.topics.items[0].partitions.items[0].error_code;
}

static int64_t list_offset(door_client *client, const char *topic, int64_t timestamp_ms) {
    wire_list_offsets_request request;
    wire_list_offsets_response response;
    wire_list_offsets_request_init(&request);
    request.topics.items = wire_list_offsets_request_topic_new(&client->arena, 1);
    request.topics.count = 1;
    request.topics.items[0].name = text(topic);
    request.topics.items[0].partitions.items = wire_list_offsets_request_partition_new(&client->arena, 1);
    request.topics.items[0].partitions.count = 1;
    request.topics.items[0].partitions.items[0].timestamp = timestamp_ms;
    call(client, WIRE_API_LIST_OFFSETS, 7, &request, &response);
    assert_int_equal(response.topics.items[0].partitions.items[0].error_code, 0);
    return response.topics.items[0].partitions.items[0].offset;
}

static void test_deleted_records_never_come_back(void **state) {
    (void)state;
    for (uint64_t seed = 50; seed < 60; seed++) {
        node_world node;
        door_client client;
        node_begin(&node, seed);
        node_create(&node, "t", 1, NULL, 0);
        const weir_setting compacted[] = {{"cleanup.policy", "compact"}};
        node_create(&node, "compacted", 1, compacted, 1);
        for (int i = 0; i < 5; i++) assert_int_equal(node_produce(&node, "t", "x", 4, NULL, NULL), 0);
        client_open(&client, &node, door(&node));
        int64_t low;
        assert_int_equal(cut(&client, "t", 21, &low), BROKER_OFFSET_OUT_OF_RANGE);
        assert_int_equal(low, -1);
        assert_int_equal(cut(&client, "t", -2, &low), BROKER_OFFSET_OUT_OF_RANGE);
        assert_int_equal(cut(&client, "none", 1, &low), BROKER_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(cut(&client, "compacted", 0, &low), BROKER_POLICY_VIOLATION);
        assert_int_equal(cut(&client, "__consumer_offsets", 0, &low), BROKER_INVALID_TOPIC_EXCEPTION);
        assert_int_equal(cut(&client, "t", 6, &low), 0);
        assert_int_equal(low, 6);
        assert_int_equal(cut(&client, "t", 3, &low), 0); /* it does not move back */
        assert_int_equal(low, 6);
        client_close(&client);
        node_crash(&node, seed % 2 ? IO_SIM_POWER_CUT : IO_SIM_KILL);
        client_open(&client, &node, door(&node));
        assert_int_equal(list_offset(&client, "t", BROKER_OFFSET_EARLIEST), 6);
        assert_int_equal(list_offset(&client, "t", 0), 6); /* by time: inside of the second batch */
        char lines[512];
        assert_int_equal(node_fetch(&node, "t", 5, 0, lines, sizeof lines), BROKER_OFFSET_OUT_OF_RANGE);
        assert_int_equal(node_fetch(&node, "t", 6, 0, lines, sizeof lines), 0);
        assert_int_equal(cut(&client, "t", -1, &low), 0);
        assert_int_equal(low, 20);
        int64_t offset;
        assert_int_equal(node_produce(&node, "t", "y", 1, NULL, &offset), 0);
        assert_int_equal(offset, 20);
        client_close(&client);
        node_close(&node);
        node_open(&node);
        assert_int_equal(node_fetch(&node, "t", 20, 0, lines, sizeof lines), 0);
        assert_string_equal(lines, "y 0\n");
        node_end(&node);
    }
}

/* ---- offsets of groups ------------------------------------------------------------------------------------------- */

static void commit(door_client *client, const char *group, const char *topic) {
    wire_offset_commit_request request;
    wire_offset_commit_response response;
    wire_offset_commit_request_init(&request);
    request.group_id = text(group);
    request.topics.items = wire_offset_commit_request_topic_new(&client->arena, 1);
    request.topics.count = 1;
    request.topics.items[0].name = text(topic);
    request.topics.items[0].partitions.items = wire_offset_commit_request_partition_new(&client->arena, 1);
    request.topics.items[0].partitions.count = 1;
    request.topics.items[0].partitions.items[0].committed_offset = 7;
    call(client, WIRE_API_OFFSET_COMMIT, 9, &request, &response);
    assert_int_equal(response.topics.items[0].partitions.items[0].error_code, 0);
}

static int16_t forget(door_client *client, const char *group, const char *topic, int16_t *of_partition) {
    wire_offset_delete_request request;
    wire_offset_delete_response response;
    wire_offset_delete_request_init(&request);
    request.group_id = text(group);
    request.topics.items = wire_offset_delete_request_topic_new(&client->arena, 1);
    request.topics.count = 1;
    request.topics.items[0].name = text(topic);
    request.topics.items[0].partitions.items = wire_offset_delete_request_partition_new(&client->arena, 1);
    request.topics.items[0].partitions.count = 1;
    call(client, WIRE_API_OFFSET_DELETE, 0, &request, &response);
    *of_partition = response.topics.count ? response.topics.items[0].partitions.items[0].error_code : 0;
    return response.error_code;
}

static void test_offsets_of_a_topic_are_deleted(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 6);
    node_create(&node, "a", 1, NULL, 0);
    node_create(&node, "b", 1, NULL, 0);
    client_open(&client, &node, door(&node));
    commit(&client, "g", "a");
    commit(&client, "g", "b");
    int16_t error;
    assert_int_equal(forget(&client, "none", "a", &error), BROKER_GROUP_ID_NOT_FOUND);
    assert_int_equal(forget(&client, "g", "none", &error), 0);
    assert_int_equal(error, BROKER_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(forget(&client, "g", "a", &error), 0);
    assert_int_equal(error, 0);
    client_close(&client);
    node_crash(&node, IO_SIM_POWER_CUT);
    assert_null(broker_offset_find(node.broker, text("g"), text("a"), 0));
    assert_int_equal(broker_offset_find(node.broker, text("g"), text("b"), 0)->offset, 7);
    node_end(&node);
}

/* ---- one node ---------------------------------------------------------------------------------------------------- */

static void test_leaders_and_replicas_are_where_they_are(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 7);
    node_create(&node, "t", 1, NULL, 0);
    client_open(&client, &node, door(&node));
    int32_t partitions[] = {0, 9};
    wire_elect_leaders_request elect;
    wire_elect_leaders_response elected;
    wire_elect_leaders_request_init(&elect);
    elect.topic_partitions.items = wire_elect_leaders_request_topic_partitions_new(&client.arena, 1);
    elect.topic_partitions.count = 1;
    elect.topic_partitions.items[0].topic = text("t");
    elect.topic_partitions.items[0].partitions.items = partitions;
    elect.topic_partitions.items[0].partitions.count = 2;
    call(&client, WIRE_API_ELECT_LEADERS, 2, &elect, &elected);
    const wire_elect_leaders_response_partition_result *results =
        elected.replica_election_results.items[0].partition_result.items;
    assert_int_equal(results[0].error_code, BROKER_ELECTION_NOT_NEEDED);
    assert_int_equal(results[1].error_code, BROKER_UNKNOWN_TOPIC_OR_PARTITION);
    elect.topic_partitions.count = -1;
    call(&client, WIRE_API_ELECT_LEADERS, 2, &elect, &elected);
    assert_int_equal(elected.replica_election_results.count, 0);

    int32_t here[] = {0}, there[] = {1};
    wire_alter_partition_reassignments_request move;
    wire_alter_partition_reassignments_response moved;
    wire_alter_partition_reassignments_request_init(&move);
    move.topics.items = wire_alter_partition_reassignments_request_reassignable_topic_new(&client.arena, 1);
    move.topics.count = 1;
    move.topics.items[0].name = text("t");
    move.topics.items[0].partitions.items =
        wire_alter_partition_reassignments_request_reassignable_partition_new(&client.arena, 1);
    move.topics.items[0].partitions.count = 1;
    const int32_t *const targets[] = {here, there, NULL};
    const int16_t errors[] = {0, BROKER_INVALID_REPLICA_ASSIGNMENT, BROKER_NO_REASSIGNMENT_IN_PROGRESS};
    for (int i = 0; i < 3; i++) {
        move.topics.items[0].partitions.items[0].replicas.items = (int32_t *)targets[i];
        move.topics.items[0].partitions.items[0].replicas.count = targets[i] ? 1 : -1;
        call(&client, WIRE_API_ALTER_PARTITION_REASSIGNMENTS, 1, &move, &moved);
        assert_int_equal(moved.responses.items[0].partitions.items[0].error_code, errors[i]);
    }
    client_close(&client);
    node_end(&node);
}

static void test_the_node_tells_of_itself(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 8);
    node_create(&node, "t", 2, NULL, 0);
    wire_batch_options options = wire_batch_options_default;
    options.producer_id = 4711;
    options.producer_epoch = 3;
    options.base_sequence = 0;
    assert_int_equal(node_produce(&node, "t", "x", 5, &options, NULL), 0);
    client_open(&client, &node, door(&node));

    wire_describe_log_dirs_request dirs;
    wire_describe_log_dirs_response found;
    wire_describe_log_dirs_request_init(&dirs);
    dirs.topics.items = wire_describe_log_dirs_request_describable_log_dir_topic_new(&client.arena, 1);
    dirs.topics.count = 1;
    int32_t indexes[] = {0, 1, 2};
    dirs.topics.items[0].topic = text("t");
    dirs.topics.items[0].partitions.items = indexes;
    dirs.topics.items[0].partitions.count = 3;
    call(&client, WIRE_API_DESCRIBE_LOG_DIRS, 4, &dirs, &found);
    assert_int_equal(found.results.items[0].topics.items[0].partitions.count, 2);
    assert_true(found.results.items[0].topics.items[0].partitions.items[0].partition_size > 60);
    assert_int_equal(found.results.items[0].topics.items[0].partitions.items[1].partition_size, 0);
    dirs.topics.count = -1;
    call(&client, WIRE_API_DESCRIBE_LOG_DIRS, 4, &dirs, &found);
    assert_int_equal(found.results.items[0].topics.count, 2);

    wire_describe_producers_request producers;
    wire_describe_producers_response active;
    wire_describe_producers_request_init(&producers);
    producers.topics.items = wire_describe_producers_request_topic_request_new(&client.arena, 1);
    producers.topics.count = 1;
    producers.topics.items[0].name = text("t");
    producers.topics.items[0].partition_indexes.items = indexes;
    producers.topics.items[0].partition_indexes.count = 3;
    call(&client, WIRE_API_DESCRIBE_PRODUCERS, 0, &producers, &active);
    const wire_describe_producers_response_partition_response *parts = active.topics.items[0].partitions.items;
    assert_int_equal(parts[0].active_producers.count, 1);
    assert_int_equal(parts[0].active_producers.items[0].producer_id, 4711);
    assert_int_equal(parts[0].active_producers.items[0].producer_epoch, 3);
    assert_int_equal(parts[0].active_producers.items[0].last_sequence, 4);
    assert_int_equal(parts[0].active_producers.items[0].current_txn_start_offset, -1);
    assert_int_equal(parts[1].active_producers.count, 0);
    assert_int_equal(parts[2].error_code, BROKER_UNKNOWN_TOPIC_OR_PARTITION);

    wire_describe_quorum_request quorum;
    wire_describe_quorum_response voters;
    wire_describe_quorum_request_init(&quorum);
    quorum.topics.items = wire_describe_quorum_request_topic_data_new(&client.arena, 1);
    quorum.topics.count = 1;
    quorum.topics.items[0].topic_name = text("__cluster_metadata");
    quorum.topics.items[0].partitions.items = wire_describe_quorum_request_partition_data_new(&client.arena, 1);
    quorum.topics.items[0].partitions.count = 1;
    call(&client, WIRE_API_DESCRIBE_QUORUM, 2, &quorum, &voters);
    assert_int_equal(voters.topics.items[0].partitions.items[0].current_voters.count, 1);
    assert_true(voters.topics.items[0].partitions.items[0].high_watermark > 0);
    assert_int_equal(voters.nodes.items[0].listeners.count, 1);
    client_close(&client);
    node_end(&node);
}

static void test_features_stay_at_their_level(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 9);
    client_open(&client, &node, door(&node));
    const struct {
        const char *feature;
        int16_t level, error;
    } cases[] = {{"metadata.version", 30, 0},
                 {"transaction.version", 2, 0},
                 {"metadata.version", 29, BROKER_INVALID_UPDATE_VERSION},
                 {"no.such.version", 1, BROKER_INVALID_UPDATE_VERSION}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wire_update_features_request request;
        wire_update_features_response response;
        wire_update_features_request_init(&request);
        request.feature_updates.items = wire_update_features_request_feature_update_key_new(&client.arena, 1);
        request.feature_updates.count = 1;
        request.feature_updates.items[0].feature = text(cases[i].feature);
        request.feature_updates.items[0].max_version_level = cases[i].level;
        call(&client, WIRE_API_UPDATE_FEATURES, 1, &request, &response);
        assert_int_equal(response.results.items[0].error_code, cases[i].error);
        call(&client, WIRE_API_UPDATE_FEATURES, 2, &request, &response);
        assert_int_equal(response.error_code, cases[i].error);
    }
    client_close(&client);
    node_end(&node);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_topic_grows_and_never_shrinks),
        cmocka_unit_test(test_configs_of_topics_brokers_and_groups_stay),
        cmocka_unit_test(test_what_cannot_be_altered_is_refused),
        cmocka_unit_test(test_the_legacy_request_replaces_everything),
        cmocka_unit_test(test_deleted_records_never_come_back),
        cmocka_unit_test(test_offsets_of_a_topic_are_deleted),
        cmocka_unit_test(test_leaders_and_replicas_are_where_they_are),
        cmocka_unit_test(test_the_node_tells_of_itself),
        cmocka_unit_test(test_features_stay_at_their_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
