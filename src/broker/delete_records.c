/* DeleteRecords (KIP-107): the first offset that a partition keeps moves forward. */
#include "broker/broker_int.h"

static void delete_end(broker_delete_records *del) {
    broker_node *broker = del->broker;
    if (del->error != BROKER_NONE) del->log_start_offset = -1;
    del->done(del);
    broker_operation_end(broker);
}

static void delete_run(io_job *job) { delete_end(io_owner(job, broker_delete_records, job)); }

static void trimmed(log_trim *trim, weir_status status) {
    broker_delete_records *del = io_owner(trim, broker_delete_records, trim);
    del->error = broker_error_of(status);
    if (!weir_failed(status)) del->log_start_offset = log_start_offset(trim->partition);
    delete_end(del);
}

static broker_error judge(broker_node *broker, broker_delete_records *del) {
    topic_entry *topic;
    const broker_error error = broker_resolve(broker, &del->target, &topic, &del->trim.partition);
    const weir_bytes name = topic ? weir_bytes_text(topic->info.name) : del->target.topic;
    if (!broker_may(broker, del->principal, GUARD_DELETE, GUARD_TOPIC, name)) return BROKER_TOPIC_AUTHORIZATION_FAILED;
    if (error != BROKER_NONE) return error;
    if (broker->stopping) return BROKER_REQUEST_TIMED_OUT;
    if (topic->info.internal) return BROKER_INVALID_TOPIC_EXCEPTION;
    /* As in Kafka: what is only compacted is not deleted. */
    if (!topic->limits.deleted) return BROKER_POLICY_VIOLATION;
    const int64_t end = log_high_watermark(del->trim.partition);
    del->trim.offset = del->offset == -1 ? end : del->offset;
    return del->trim.offset < 0 || del->trim.offset > end ? BROKER_OFFSET_OUT_OF_RANGE : BROKER_NONE;
}

void broker_records_delete(broker_node *broker, broker_delete_records *del) {
    del->broker = broker;
    del->log_start_offset = -1;
    broker_operation_begin(broker);
    del->error = judge(broker, del);
    if (del->error != BROKER_NONE) {
        io_job_init(&del->job, delete_run);
        broker_post(broker, &del->job);
        return;
    }
    del->trim.done = trimmed;
    log_set_start_offset(&del->trim);
}
