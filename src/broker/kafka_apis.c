/* The dispatch table, and ApiVersions, which tells it. */
#include "broker/kafka_int.h"

typedef struct api_row {
    int16_t key;
    kafka_handler handler;
} api_row;

static const api_row rows[] = {
    {WIRE_API_PRODUCE, kafka_produce},
    {WIRE_API_FETCH, kafka_fetch},
    {WIRE_API_LIST_OFFSETS, kafka_list_offsets},
    {WIRE_API_METADATA, kafka_metadata},
    {WIRE_API_OFFSET_COMMIT, kafka_offset_commit},
    {WIRE_API_OFFSET_FETCH, kafka_offset_fetch},
    {WIRE_API_FIND_COORDINATOR, kafka_find_coordinator},
    {WIRE_API_JOIN_GROUP, kafka_join_group},
    {WIRE_API_HEARTBEAT, kafka_heartbeat},
    {WIRE_API_LEAVE_GROUP, kafka_leave_group},
    {WIRE_API_SYNC_GROUP, kafka_sync_group},
    {WIRE_API_DESCRIBE_GROUPS, kafka_describe_groups},
    {WIRE_API_LIST_GROUPS, kafka_list_groups},
    {WIRE_API_API_VERSIONS, kafka_api_versions},
    {WIRE_API_CREATE_TOPICS, kafka_create_topics},
    {WIRE_API_DELETE_TOPICS, kafka_delete_topics},
    {WIRE_API_INIT_PRODUCER_ID, kafka_init_producer_id},
    {WIRE_API_OFFSET_FOR_LEADER_EPOCH, kafka_offset_for_leader_epoch},
    {WIRE_API_ADD_PARTITIONS_TO_TXN, kafka_add_partitions_to_txn},
    {WIRE_API_ADD_OFFSETS_TO_TXN, kafka_add_offsets_to_txn},
    {WIRE_API_END_TXN, kafka_end_txn},
    {WIRE_API_TXN_OFFSET_COMMIT, kafka_txn_offset_commit},
    {WIRE_API_DESCRIBE_CONFIGS, kafka_describe_configs},
    {WIRE_API_DELETE_GROUPS, kafka_delete_groups},
    {WIRE_API_DESCRIBE_CLUSTER, kafka_describe_cluster},
    {WIRE_API_DESCRIBE_TOPIC_PARTITIONS, kafka_describe_topic_partitions},
    {WIRE_API_DELETE_RECORDS, kafka_delete_records},
    {WIRE_API_ALTER_CONFIGS, kafka_alter_configs},
    {WIRE_API_DESCRIBE_LOG_DIRS, kafka_describe_log_dirs},
    {WIRE_API_CREATE_PARTITIONS, kafka_create_partitions},
    {WIRE_API_ELECT_LEADERS, kafka_elect_leaders},
    {WIRE_API_INCREMENTAL_ALTER_CONFIGS, kafka_incremental_alter_configs},
    {WIRE_API_ALTER_PARTITION_REASSIGNMENTS, kafka_alter_partition_reassignments},
    {WIRE_API_LIST_PARTITION_REASSIGNMENTS, kafka_list_partition_reassignments},
    {WIRE_API_OFFSET_DELETE, kafka_offset_delete},
    {WIRE_API_DESCRIBE_QUORUM, kafka_describe_quorum},
    {WIRE_API_UPDATE_FEATURES, kafka_update_features},
    {WIRE_API_DESCRIBE_PRODUCERS, kafka_describe_producers},
    {WIRE_API_CONSUMER_GROUP_HEARTBEAT, kafka_consumer_group_heartbeat},
    {WIRE_API_CONSUMER_GROUP_DESCRIBE, kafka_consumer_group_describe},
    {WIRE_API_LIST_CONFIG_RESOURCES, kafka_list_config_resources},
    {WIRE_API_DESCRIBE_TRANSACTIONS, kafka_describe_transactions},
    {WIRE_API_LIST_TRANSACTIONS, kafka_list_transactions},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

kafka_handler kafka_handler_of(int16_t key) {
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].key == key) return rows[i].handler;
    }
    return NULL;
}

const kafka_feature kafka_features[] = {
    {"group.version", 0, 1},     /* KIP-848 */
    {"metadata.version", 7, 30}, /* 3.3-IV3 to 4.3-IV0 */
    {"transaction.version", 0, 2}, /* KIP-890 */
};
const size_t kafka_feature_count = sizeof kafka_features / sizeof kafka_features[0];

enum { FEATURE_ZERO_VERSION = 4 };

static bool fill_versions(kafka_request *request, wire_api_versions_response *response) {
    wire_api_versions_response_init(response);
    response->api_keys.items = wire_api_versions_response_version_new(&request->arena, ROW_COUNT);
    response->finalized_features.items =
        wire_api_versions_response_finalized_feature_key_new(&request->arena, (int32_t)kafka_feature_count);
    response->supported_features.items =
        wire_api_versions_response_supported_feature_key_new(&request->arena, (int32_t)kafka_feature_count);
    if (!response->api_keys.items || !response->finalized_features.items || !response->supported_features.items)
        return false;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const wire_api *api = wire_api_of(rows[i].key);
        wire_api_versions_response_version *item = &response->api_keys.items[i];
        item->api_key = api->key;
        item->min_version = api->advertised_min;
        item->max_version = api->advertised_max;
    }
    response->api_keys.count = ROW_COUNT;
    for (size_t i = 0; i < kafka_feature_count; i++) {
        const kafka_feature *feature = &kafka_features[i];
        wire_api_versions_response_finalized_feature_key *finalized = &response->finalized_features.items[i];
        finalized->name = weir_bytes_text(feature->name);
        finalized->min_version_level = finalized->max_version_level = feature->most;
        /* Older clients take a lowest version of 0 for damage (KAFKA-17011). */
        if (feature->least == 0 && request->version < FEATURE_ZERO_VERSION) continue;
        wire_api_versions_response_supported_feature_key *supported =
            &response->supported_features.items[response->supported_features.count++];
        supported->name = finalized->name;
        supported->min_version = feature->least;
        supported->max_version = feature->most;
    }
    response->finalized_features.count = (int32_t)kafka_feature_count;
    response->finalized_features_epoch = 0;
    return true;
}

bool kafka_api_versions(kafka_request *request, const void *message) {
    (void)message;
    wire_api_versions_response response;
    if (!fill_versions(request, &response)) return false;
    kafka_respond(request, &response);
    return true;
}

/* The client does not know yet what weir speaks: version 0 with the range tells it (KIP-511). */
void kafka_respond_unsupported_version(kafka_request *request) {
    wire_api_versions_response response;
    if (!fill_versions(request, &response)) {
        kafka_close(request, "no memory for a request");
        kafka_respond_nothing(request);
        return;
    }
    response.error_code = BROKER_UNSUPPORTED_VERSION;
    request->api = wire_api_of(WIRE_API_API_VERSIONS);
    request->version = 0;
    kafka_respond(request, &response);
}
