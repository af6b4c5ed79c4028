/* Offsets of partitions by kind or by time, and where leader epochs end (KIP-101). */
#include "broker/broker_int.h"

static broker_error check(broker_node *broker, const guard_principal *principal, const broker_target *target,
                          int32_t current_leader_epoch, log_partition **log) {
    topic_entry *topic;
    const broker_error error = broker_resolve(broker, target, &topic, log);
    const weir_bytes name = topic ? weir_bytes_text(topic->info.name) : target->topic;
    if (!broker_may(broker, principal, GUARD_DESCRIBE, GUARD_TOPIC, name)) return BROKER_TOPIC_AUTHORIZATION_FAILED;
    if (error != BROKER_NONE) return error;
    const int32_t epoch = log_leader_epoch(*log);
    if (current_leader_epoch >= 0 && current_leader_epoch < epoch) return BROKER_FENCED_LEADER_EPOCH;
    if (current_leader_epoch > epoch) return BROKER_UNKNOWN_LEADER_EPOCH;
    return BROKER_NONE;
}

static void list_done(io_job *job) {
    broker_list_offset *list = io_owner(job, broker_list_offset, job);
    broker_node *broker = list->broker;
    list->done(list);
    broker_operation_end(broker);
}

static void list_answer(broker_list_offset *list, broker_error error, int64_t offset, int64_t timestamp_ms) {
    list->error = error;
    list->offset = offset;
    list->found_timestamp_ms = timestamp_ms;
    io_job_init(&list->job, list_done);
    broker_post(list->broker, &list->job);
}

static void query_done(log_time_query *query, weir_status status) {
    broker_list_offset *list = io_owner(query, broker_list_offset, query);
    broker_node *broker = list->broker;
    list->error = broker_error_of(status);
    const bool is_stable = !list->read_committed || query->offset < list->stable_offset;
    if (list->error == BROKER_NONE && is_stable) {
        list->offset = query->offset;
        list->found_timestamp_ms = query->found_timestamp_ms;
    }
    list->done(list);
    broker_operation_end(broker);
}

void broker_list_offset_start(broker_node *broker, broker_list_offset *list) {
    log_partition *log;
    list->broker = broker;
    list->leader_epoch = -1;
    list->offset = list->found_timestamp_ms = -1;
    broker_operation_begin(broker);
    const broker_error error = check(broker, list->principal, &list->target, list->current_leader_epoch, &log);
    if (error != BROKER_NONE) {
        list_answer(list, error, -1, -1);
        return;
    }
    list->leader_epoch = log_leader_epoch(log);
    switch (list->timestamp_ms) {
    case BROKER_OFFSET_LATEST:
        list_answer(list, BROKER_NONE,
                    list->read_committed ? log_last_stable_offset(log, false) : log_high_watermark(log), -1);
        return;
    case BROKER_OFFSET_EARLIEST:
    case BROKER_OFFSET_EARLIEST_LOCAL: list_answer(list, BROKER_NONE, log_start_offset(log), -1); return;
    case BROKER_OFFSET_LATEST_TIERED: list_answer(list, BROKER_NONE, -1, -1); return; /* nothing is tiered */
    default: break;
    }
    if (list->timestamp_ms < 0 && list->timestamp_ms != BROKER_OFFSET_MAX_TIMESTAMP) {
        list_answer(list, BROKER_UNSUPPORTED_VERSION, -1, -1);
        return;
    }
    list->stable_offset = log_last_stable_offset(log, false);
    list->query = (log_time_query){.partition = log, .timestamp_ms = list->timestamp_ms, .done = query_done};
    log_time_query_start(&list->query);
}
_Static_assert((int)BROKER_OFFSET_MAX_TIMESTAMP == (int)LOG_TIMESTAMP_MAX, "handed through");

broker_error broker_epoch_end(broker_node *broker, const guard_principal *principal, const broker_target *target,
                              int32_t current_leader_epoch, int32_t epoch, int32_t *found_epoch, int64_t *end_offset) {
    log_partition *log;
    *found_epoch = -1;
    *end_offset = -1;
    const broker_error error = check(broker, principal, target, current_leader_epoch, &log);
    if (error == BROKER_NONE) log_epoch_end(log, epoch, found_epoch, end_offset);
    return error;
}
