/* Producer ids for idempotent producers. A block's record is durable before its first id is handed out, so that no id
 * is ever given twice, whatever dies. */
#include "broker/txn_int.h"

static void answer_run(io_job *job) {
    broker_producer_id *request = io_owner(job, broker_producer_id, job);
    broker_node *broker = request->broker;
    request->done(request);
    broker_operation_end(broker);
}

static void answer(broker_producer_id *request, broker_error error, int64_t id) {
    request->error = error;
    request->id = id;
    request->epoch = error == BROKER_NONE ? 0 : -1;
    io_job_init(&request->job, answer_run);
    broker_post(request->broker, &request->job);
}

static broker_producer_id *pop(broker_node *broker) {
    broker_producer_id *request = broker->producer_waiting_first;
    broker->producer_waiting_first = request->next;
    if (!request->next) broker->producer_waiting_last = NULL;
    return request;
}

static bool block_prepare(metadata_change *change) {
    broker_node *broker = change->broker;
    wire_producer_ids_record record;
    wire_producer_ids_record_init(&record);
    record.broker_id = broker->node_id;
    record.broker_epoch = 0;
    record.next_producer_id = broker->producer_block_end + BROKER_PRODUCER_BLOCK;
    broker_metadata_add(change, WIRE_PRODUCER_IDS_RECORD, 0, &record);
    return true;
}

static void ask_block(broker_node *broker);

static void block_finish(metadata_change *change, weir_status status) {
    broker_node *broker = change->broker;
    broker->producer_block_asked = false;
    if (weir_failed(status)) {
        while (broker->producer_waiting_first) answer(pop(broker), broker_error_of(status), -1);
        return;
    }
    broker->next_producer_id = broker->producer_block_end;
    broker->producer_block_end += BROKER_PRODUCER_BLOCK;
    while (broker->producer_waiting_first && broker->next_producer_id < broker->producer_block_end) {
        answer(pop(broker), BROKER_NONE, broker->next_producer_id++);
    }
    if (broker->producer_waiting_first) ask_block(broker);
}

static void ask_block(broker_node *broker) {
    if (broker->producer_block_asked) return;
    broker->producer_block_asked = true;
    broker_metadata_queue(broker_metadata_change(broker, block_prepare, block_finish, NULL));
}

void broker_producer_id_start(broker_node *broker, broker_producer_id *request) {
    if (request->transactional_id.data) {
        broker_txn_init(broker, request);
        return;
    }
    request->broker = broker;
    request->next = NULL;
    broker_operation_begin(broker);
    if (!guard_may_cluster(broker->authoriser, request->principal, GUARD_IDEMPOTENT_WRITE)) {
        answer(request, BROKER_CLUSTER_AUTHORIZATION_FAILED, -1);
    } else if (broker->next_producer_id < broker->producer_block_end && !broker->producer_waiting_first) {
        answer(request, BROKER_NONE, broker->next_producer_id++);
    } else {
        if (broker->producer_waiting_last) broker->producer_waiting_last->next = request;
        else broker->producer_waiting_first = request;
        broker->producer_waiting_last = request;
        ask_block(broker);
    }
}
