/* Life of a broker: open the log, rebuild topics and groups from their own topics, run, stop, close. */
#include "broker/broker_int.h"

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void open_metrics(broker_node *broker) {
    weir_metric_open(&broker->produced_bytes, WEIR_COUNTER, "weir_broker_produced_bytes_total",
                     "Bytes of record batches taken from producers", "%s", "");
    weir_metric_open(&broker->fetched_bytes, WEIR_COUNTER, "weir_broker_fetched_bytes_total",
                     "Bytes of record batches given to consumers", "%s", "");
    weir_metric_open(&broker->requests, WEIR_COUNTER, "weir_broker_requests_total", "Requests of Kafka clients",
                     "%s", "");
    weir_metric_open(&broker->connections, WEIR_GAUGE, "weir_broker_connections", "Open connections of Kafka clients",
                     "%s", "");
}

static void close_metrics(broker_node *broker) {
    weir_metric_close(&broker->produced_bytes);
    weir_metric_close(&broker->fetched_bytes);
    weir_metric_close(&broker->requests);
    weir_metric_close(&broker->connections);
}

static void broker_free(broker_node *broker) {
    close_metrics(broker);
    broker_doors_free(broker);
    broker_transactions_free(broker);
    for (size_t i = 0; i < broker->group_count; i++) broker_group_free(broker->group_list[i]);
    weir_free(&broker->account, broker->group_list);
    weir_map_deinit(&broker->groups);
    broker_topics_free(broker);
    broker_dynamic_configs_free(broker);
    weir_free(&broker->account, broker->directory);
    wire_compressor_destroy(broker->compressor);
    weir_buffer_deinit(&broker->scratch);
    weir_buffer_deinit(&broker->rebuilt);
    weir_account_deinit(&broker->frames);
}

static void start_run(io_job *job);
static void stop_run(io_job *job);
static void expire_run(io_job *job);
static void log_stopped_run(io_job *job);

/* The account that the broker's own memory comes from outlives every broker. */
static weir_account *root_account(void) {
    static weir_account account = {.name = "broker"};
    return &account;
}

static broker_node *broker_make(const broker_config *config) {
    broker_node *broker = weir_alloc(root_account(), sizeof *broker);
    weir_account_init(&broker->account, "broker.control", 0);
    weir_account_init(&broker->frames, "broker.frames", BROKER_FRAMES_BYTES_MAX);
    broker->world = *config->world;
    broker->lane = config->lane;
    broker->authoriser = config->authoriser ? config->authoriser : &guard_allow_all;
    broker->ready = config->ready;
    broker->ready_arg = config->arg;
    broker->directory = weir_strdup(&broker->account, config->directory);
    for (size_t i = 0; i < config->property_count; i++)
        broker_config_set_put(broker, &broker->given, config->properties[i].name, config->properties[i].value);
    weir_map_init(&broker->topics_by_name, &broker->account);
    weir_map_init(&broker->topics_by_id, &broker->account);
    weir_map_init(&broker->group_configs, &broker->account);
    broker_properties_update(broker);
    broker->node_id = (int32_t)broker_property_i64(broker, "node.id");
    broker->auto_create = broker_property_is(broker, "auto.create.topics.enable");
    broker->compressor = wire_compressor_create(&broker->account);
    weir_buffer_init(&broker->scratch, &broker->account, BROKER_RECORDS_BYTES_MAX);
    weir_buffer_init(&broker->rebuilt, &broker->account, LOG_BATCH_BYTES_MAX);
    weir_map_init(&broker->groups, &broker->account);
    broker_transactions_open(broker);
    broker->start_ns = broker_now_ns(broker);
    broker->start_wall_ms = broker_wall_ms(broker);
    open_metrics(broker);
    io_job_init(&broker->start_job, start_run);
    io_job_init(&broker->stop_job, stop_run);
    io_job_init(&broker->expire_job, expire_run);
    io_job_init(&broker->log_stopped_job, log_stopped_run);
    io_timer_init(&broker->expire_timer, broker->lane, &broker->expire_job);
    return broker;
}

static void broker_unmake(broker_node *broker) {
    broker_free(broker);
    weir_account_deinit(&broker->account);
    weir_free(root_account(), broker);
}

weir_status broker_open(broker_node **result, const broker_config *config, log_start_report *report) {
    WEIR_TRY(weir_options_check(broker_properties, "broker", config->properties, config->property_count));
    log_start_report own;
    if (!report) report = &own;
    broker_node *broker = broker_make(config);
    const log_config log = {.world = &broker->world,
                            .lane = config->lane,
                            .directory = config->directory,
                            .segment_bytes = (uint64_t)broker_property_i64(broker, "log.segment.bytes"),
                            .journal_bytes = config->journal_bytes,
                            .tail_bytes = config->tail_bytes,
                            .retention_check_ms = broker_property_i64(broker, "log.retention.check.interval.ms")};
    const weir_status status = log_open(&broker->log, &log, report);
    if (weir_failed(status)) {
        broker_unmake(broker);
        return status;
    }
    memcpy(broker->cluster_id, report->cluster_id, sizeof broker->cluster_id);
    broker_post(broker, &broker->start_job);
    *result = broker;
    return weir_ok();
}

/* ---- rebuilding -------------------------------------------------------------------------------------------------- */

static void tell_ready(broker_node *broker, weir_status status) {
    broker->is_ready = !weir_failed(status);
    broker_operation_end(broker);
    if (!broker->stopping) broker->ready(broker->ready_arg, status);
}

static void set_expire_timer(broker_node *broker) {
    const int64_t interval_ns = broker_property_i64(broker, "offsets.retention.check.interval.ms") * 1000000;
    io_timer_set(broker->world.executor, &broker->expire_timer, broker_now_ns(broker) + interval_ns);
}

static void expire_run(io_job *job) {
    broker_node *broker = io_owner(job, broker_node, expire_job);
    if (broker->stopping) return;
    broker_offsets_expire(broker);
    broker_transactions_expire(broker);
    set_expire_timer(broker);
}

static void transactions_replayed(broker_node *broker, weir_status status) {
    if (!weir_failed(status)) {
        broker_transactions_loaded(broker);
        set_expire_timer(broker);
    }
    tell_ready(broker, weir_context(status, "rebuilding transactions"));
}

static void offsets_replayed(broker_node *broker, weir_status status) {
    if (weir_failed(status)) {
        tell_ready(broker, weir_context(status, "rebuilding groups from %s", BROKER_OFFSETS_TOPIC));
        return;
    }
    broker_offsets_loaded(broker);
    if (!broker_transactions_log(broker)) {
        transactions_replayed(broker, weir_ok());
        return;
    }
    broker->replay = (broker_replay){.broker = broker,
                                     .log = broker_transactions_log(broker),
                                     .apply = broker_transactions_replay,
                                     .done = transactions_replayed};
    broker_replay_start(&broker->replay);
}

static void replay_offsets(broker_node *broker) {
    log_remove_orphans(broker->log);
    broker->replay = (broker_replay){.broker = broker,
                                     .log = broker_offsets_log(broker),
                                     .apply = broker_offsets_replay,
                                     .marker = broker_txn_offsets_settle,
                                     .done = offsets_replayed};
    broker_replay_start(&broker->replay);
}

static void offsets_topic_made(broker_create_topic *create) {
    broker_node *broker = io_owner(create, broker_node, offsets_create);
    if (create->error == BROKER_NONE) replay_offsets(broker);
    else tell_ready(broker, broker_error_status(create->error, "making topic %s", BROKER_OFFSETS_TOPIC));
}

static void metadata_replayed(broker_node *broker, weir_status status) {
    if (weir_failed(status)) {
        tell_ready(broker, weir_context(status, "rebuilding topics from %s", BROKER_METADATA_TOPIC));
        return;
    }
    if (broker_offsets_log(broker)) {
        replay_offsets(broker);
        return;
    }
    static const weir_setting configs[] = {
        {"cleanup.policy", "compact"}, {"compression.type", "producer"}, {"segment.bytes", "104857600"}};
    broker->offsets_create = (broker_create_topic){.principal = &guard_system,
                                                   .name = weir_bytes_text(BROKER_OFFSETS_TOPIC),
                                                   .partition_count = 1,
                                                   .replication_factor = 1,
                                                   .configs = configs,
                                                   .config_count = sizeof configs / sizeof configs[0],
                                                   .internal = true,
                                                   .done = offsets_topic_made};
    broker_topic_create(broker, &broker->offsets_create);
}

static void start_run(io_job *job) {
    broker_node *broker = io_owner(job, broker_node, start_job);
    if (broker->stopping) return;
    log_partition_id id = {.partition = 0};
    memcpy(id.topic_id, broker_metadata_topic_id, 16);
    broker_operation_begin(broker);
    const weir_status status = log_partition_open(broker->log, &id, BROKER_METADATA_TOPIC, NULL, &broker->metadata_log);
    if (weir_failed(status)) {
        tell_ready(broker, status);
        return;
    }
    if (log_end_offset(broker->metadata_log) == 0) {
        broker_metadata_bootstrap(broker, metadata_replayed);
        return;
    }
    broker->replay = (broker_replay){
        .broker = broker, .log = broker->metadata_log, .apply = broker_metadata_replay, .done = metadata_replayed};
    broker_replay_start(&broker->replay);
}

/* ---- stopping ---------------------------------------------------------------------------------------------------- */

static void stop_check(broker_node *broker) {
    if (!broker->stopping || broker->stopped || broker->operations > 0 || broker->connection_count > 0) return;
    broker_post(broker, &broker->stop_job);
}

static void stop_run(io_job *job) {
    broker_node *broker = io_owner(job, broker_node, stop_job);
    if (broker->stopped || broker->operations > 0 || broker->connection_count > 0) return;
    broker->stopped = true;
    log_stop(broker->log, &broker->log_stopped_job);
}

static void log_stopped_run(io_job *job) {
    broker_node *broker = io_owner(job, broker_node, log_stopped_job);
    broker->stopped_callback(broker->stopped_arg);
}

void broker_operation_end(broker_node *broker) {
    weir_assert(broker->operations > 0);
    broker->operations--;
    stop_check(broker);
}

void broker_connection_ended(broker_node *broker) {
    weir_assert(broker->connection_count > 0);
    broker->connection_count--;
    weir_metric_add(&broker->connections, -1);
    stop_check(broker);
}

void broker_stop(broker_node *broker, void (*stopped)(void *arg), void *arg) {
    if (broker->stopping) return;
    broker->stopping = true;
    broker->stopped_callback = stopped;
    broker->stopped_arg = arg;
    io_timer_cancel(broker->world.executor, &broker->expire_timer);
    broker_doors_stop(broker);
    broker_fetches_stop(broker);
    broker_groups_stop(broker);
    broker_produces_stop(broker);
    broker_metadata_stop(broker);
    broker_appends_stop(broker);
    broker_transactions_stop(broker);
    broker_post(broker, &broker->stop_job);
}

weir_status broker_close(broker_node *broker) {
    weir_assert(broker->stopped);
    const weir_status status = log_close(broker->log);
    broker_unmake(broker);
    return status;
}

void broker_abandon(broker_node *broker) {
    log_abandon(broker->log);
    broker_unmake(broker);
}

/* ---- small things ------------------------------------------------------------------------------------------------ */

int32_t broker_node_id(const broker_node *broker) { return broker->node_id; }
const char *broker_cluster_id(const broker_node *broker) { return broker->cluster_id; }
io_lane *broker_lane(const broker_node *broker) { return broker->lane; }
const guard_authoriser *broker_authoriser(const broker_node *broker) { return broker->authoriser; }

void broker_random_uuid(broker_node *broker, uint8_t id[16]) {
    /* A version 4 UUID that does not begin with '-' in base64, as Kafka makes them: command lines would choke on it. */
    do {
        broker->world.random->fill(broker->world.random, id, 16);
        id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
        id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    } while (id[0] >> 2 == 62);
}

char *broker_bytes_text(broker_node *broker, weir_bytes bytes) {
    char *text = weir_alloc(&broker->account, bytes.size + 1);
    if (bytes.size) memcpy(text, bytes.data, bytes.size);
    return text;
}
