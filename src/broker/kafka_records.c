/* Produce, Fetch, ListOffsets, OffsetForLeaderEpoch, InitProducerId. */
#include "broker/kafka_int.h"

/* ---- Produce ----------------------------------------------------------------------------------------------------- */

enum { PRODUCE_ZSTD_VERSION = 7, FETCH_ZSTD_VERSION = 10, FETCH_ID_VERSION = 13,
       PRODUCE_ABORTABLE_VERSION = 11, PRODUCE_JOINS_VERSION = 12, READ_COMMITTED = 1 };

typedef struct produce_call {
    kafka_request *request;
    const wire_produce_request *message;
    broker_produce produce;
} produce_call;

static bool fill_produced(const produce_call *call, wire_produce_response *response) {
    kafka_request *request = call->request;
    const size_t topic_count = kafka_count(call->message->topic_data);
    response->responses.items = wire_produce_response_topic_produce_response_new(&request->arena, (int32_t)topic_count);
    if (!response->responses.items && topic_count) return false;
    response->responses.count = (int32_t)topic_count;
    const broker_produce_part *part = call->produce.parts;
    for (size_t t = 0; t < topic_count; t++) {
        const wire_produce_request_topic_produce_data *asked = &call->message->topic_data.items[t];
        wire_produce_response_topic_produce_response *topic = &response->responses.items[t];
        topic->name = asked->name;
        topic->topic_id = asked->topic_id;
        const size_t count = kafka_count(asked->partition_data);
        topic->partition_responses.items =
            wire_produce_response_partition_produce_response_new(&request->arena, (int32_t)count);
        if (!topic->partition_responses.items && count) return false;
        topic->partition_responses.count = (int32_t)count;
        for (size_t p = 0; p < count; p++, part++) {
            wire_produce_response_partition_produce_response *item = &topic->partition_responses.items[p];
            item->index = part->target.partition;
            item->error_code = (int16_t)part->error;
            item->base_offset = part->base_offset;
            item->log_append_time_ms = part->append_time_ms;
            item->log_start_offset = part->log_start_offset;
            item->error_message = kafka_text(part->message);
        }
    }
    return true;
}

static void produce_done(broker_produce *produce) {
    produce_call *call = io_owner(produce, produce_call, produce);
    kafka_request *request = call->request;
    wire_produce_response response;
    wire_produce_response_init(&response);
    if (produce->acks == 0) {
        /* Nobody hears an answer; closing is how Kafka tells of a failure. */
        for (size_t i = 0; i < produce->part_count; i++) {
            if (produce->parts[i].error != BROKER_NONE) kafka_close(request, "a produce with acks=0 failed");
        }
        kafka_respond_nothing(request);
    } else if (fill_produced(call, &response)) {
        kafka_respond(request, &response);
    } else {
        kafka_close(request, "no memory for an answer");
        kafka_respond_nothing(request);
    }
}

static void produce_appended(broker_produce *produce) {
    kafka_request_appended(io_owner(produce, produce_call, produce)->request);
}

static size_t produce_parts(const wire_produce_request *message) {
    size_t count = 0;
    for (int32_t i = 0; i < message->topic_data.count; i++)
        count += kafka_count(message->topic_data.items[i].partition_data);
    return count;
}

static void fill_parts(kafka_request *request, const wire_produce_request *message, broker_produce_part *part) {
    for (int32_t t = 0; t < message->topic_data.count; t++) {
        const wire_produce_request_topic_produce_data *topic = &message->topic_data.items[t];
        for (int32_t p = 0; p < topic->partition_data.count; p++, part++) {
            if (request->version < 13) part->target.topic = topic->name;
            memcpy(part->target.topic_id, topic->topic_id.bytes, 16);
            part->target.partition = topic->partition_data.items[p].index;
            /* The frame is this request's own: offsets may be written into it. */
            part->bytes = (uint8_t *)topic->partition_data.items[p].records.data;
            part->size = topic->partition_data.items[p].records.size;
        }
    }
}

bool kafka_produce(kafka_request *request, const void *data) {
    const wire_produce_request *message = data;
    produce_call *call = kafka_array(request, produce_call, 1);
    const size_t count = produce_parts(message);
    broker_produce_part *parts = kafka_array(request, broker_produce_part, count);
    if (!call || !parts) return false;
    call->request = request;
    call->message = message;
    fill_parts(request, message, parts);
    call->produce = (broker_produce){.principal = request->principal,
                                     .parts = parts,
                                     .part_count = count,
                                     .acks = message->acks,
                                     .auto_create = true,
                                     .zstd_allowed = request->version >= PRODUCE_ZSTD_VERSION,
                                     .transactional_id = message->transactional_id,
                                     .joins_transaction = request->version >= PRODUCE_JOINS_VERSION,
                                     .knows_abortable = request->version >= PRODUCE_ABORTABLE_VERSION,
                                     .done = produce_done,
                                     .appended = produce_appended};
    broker_produce_start(request->broker, &call->produce);
    return true;
}

/* ---- Fetch ------------------------------------------------------------------------------------------------------- */

typedef struct fetch_call {
    kafka_request *request;
    const wire_fetch_request *message;
    broker_fetch fetch;
    bool started;
} fetch_call;

/* Null in an answer to who reads everything, as Kafka. */
static bool fill_aborted(kafka_request *request, const broker_fetch *fetch, const broker_fetch_part *part,
                         wire_fetch_response_partition_data *item) {
    item->aborted_transactions.count = -1;
    if (!fetch->read_committed || part->error != BROKER_NONE) return true;
    const int32_t count = (int32_t)part->aborted_count;
    item->aborted_transactions.items = wire_fetch_response_aborted_transaction_new(&request->arena, count);
    if (!item->aborted_transactions.items && count) return false;
    item->aborted_transactions.count = count;
    for (int32_t i = 0; i < count; i++) {
        item->aborted_transactions.items[i].producer_id = part->aborted[i].producer_id;
        item->aborted_transactions.items[i].first_offset = part->aborted[i].first_offset;
    }
    return true;
}

static void fill_fetched_part(const broker_fetch_part *part, wire_fetch_response_partition_data *item) {
    item->partition_index = part->target.partition;
    item->error_code = (int16_t)part->error;
    item->high_watermark = part->high_watermark;
    item->last_stable_offset = part->last_stable_offset;
    item->log_start_offset = part->log_start_offset;
    item->records = part->bytes.size ? part->bytes : weir_bytes_text("");
}

static bool fill_fetched(fetch_call *call, wire_fetch_response *response) {
    kafka_request *request = call->request;
    const size_t topic_count = kafka_count(call->message->topics);
    response->responses.items = wire_fetch_response_fetchable_topic_response_new(&request->arena, (int32_t)topic_count);
    if (!response->responses.items && topic_count) return false;
    response->responses.count = (int32_t)topic_count;
    const broker_fetch_part *part = call->fetch.parts;
    for (size_t t = 0; t < topic_count; t++) {
        const wire_fetch_request_topic *asked = &call->message->topics.items[t];
        wire_fetch_response_fetchable_topic_response *topic = &response->responses.items[t];
        topic->topic = asked->topic;
        topic->topic_id = asked->topic_id;
        const size_t count = kafka_count(asked->partitions);
        topic->partitions.items = wire_fetch_response_partition_data_new(&request->arena, (int32_t)count);
        if (!topic->partitions.items && count) return false;
        topic->partitions.count = (int32_t)count;
        for (size_t p = 0; p < count; p++, part++) {
            fill_fetched_part(part, &topic->partitions.items[p]);
            if (!fill_aborted(request, &call->fetch, part, &topic->partitions.items[p])) return false;
        }
    }
    return true;
}

static void fetch_done(broker_fetch *fetch) {
    fetch_call *call = io_owner(fetch, fetch_call, fetch);
    kafka_request *request = call->request;
    wire_fetch_response response;
    wire_fetch_response_init(&response);
    if (fill_fetched(call, &response)) {
        kafka_respond_gaps(request, &response, fetch->part_count);
        return;
    }
    kafka_close(request, "no memory for an answer");
    kafka_respond_nothing(request);
}

static void fetch_cancel(kafka_request *request) { broker_fetch_cancel(&((fetch_call *)request->operation)->fetch); }
static void fetch_release(kafka_request *request) {
    fetch_call *call = request->operation;
    if (call->started) broker_fetch_release(&call->fetch);
}

static size_t fetch_parts(const wire_fetch_request *message) {
    size_t count = 0;
    for (int32_t i = 0; i < message->topics.count; i++) count += kafka_count(message->topics.items[i].partitions);
    return count;
}

static void fill_fetch_parts(const kafka_request *request, const wire_fetch_request *message, broker_fetch_part *part) {
    for (int32_t t = 0; t < message->topics.count; t++) {
        const wire_fetch_request_topic *topic = &message->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++, part++) {
            const wire_fetch_request_partition *asked = &topic->partitions.items[p];
            if (request->version < FETCH_ID_VERSION) part->target.topic = topic->topic;
            memcpy(part->target.topic_id, topic->topic_id.bytes, 16);
            part->target.partition = asked->partition;
            part->offset = asked->fetch_offset;
            part->current_leader_epoch = asked->current_leader_epoch;
            part->max_bytes = asked->partition_max_bytes;
            part->zstd_refused = request->version < FETCH_ZSTD_VERSION;
        }
    }
}

/* KIP-227: weir keeps no sessions. Id 0 in every answer tells the client to send whole requests; a client that names a
 * session got it from somebody else. */
static broker_error check_session(const wire_fetch_request *message) {
    if (message->session_epoch == -1 || message->session_epoch == 0) return BROKER_NONE;
    return message->session_id == 0 ? BROKER_INVALID_FETCH_SESSION_EPOCH : BROKER_FETCH_SESSION_ID_NOT_FOUND;
}

bool kafka_fetch(kafka_request *request, const void *data) {
    const wire_fetch_request *message = data;
    const broker_error error = check_session(message);
    if (error != BROKER_NONE) {
        wire_fetch_response response;
        wire_fetch_response_init(&response);
        response.error_code = (int16_t)error;
        kafka_respond(request, &response);
        return true;
    }
    fetch_call *call = kafka_array(request, fetch_call, 1);
    const size_t count = fetch_parts(message);
    broker_fetch_part *parts = kafka_array(request, broker_fetch_part, count);
    if (!call || !parts) return false;
    call->request = request;
    call->message = message;
    fill_fetch_parts(request, message, parts);
    call->fetch = (broker_fetch){.principal = request->principal,
                                 .parts = parts,
                                 .part_count = count,
                                 .max_wait_ms = message->max_wait_ms,
                                 .min_bytes = message->min_bytes,
                                 .read_committed = message->isolation_level == READ_COMMITTED,
                                 .max_bytes = message->max_bytes,
                                 .done = fetch_done};
    call->started = true;
    request->operation = call;
    request->cancel = fetch_cancel;
    request->release = fetch_release;
    broker_fetch_start(request->broker, &call->fetch);
    return true;
}

/* ---- ListOffsets ------------------------------------------------------------------------------------------------- */

typedef struct list_call list_call;
typedef struct list_item {
    broker_list_offset list;
    list_call *call;
} list_item;
struct list_call {
    kafka_request *request;
    const wire_list_offsets_request *message;
    list_item *items;
    size_t count, waiting;
};

static bool list_answer(list_call *call) {
    kafka_request *request = call->request;
    wire_list_offsets_response response;
    wire_list_offsets_response_init(&response);
    const size_t topic_count = kafka_count(call->message->topics);
    response.topics.items = wire_list_offsets_response_topic_response_new(&request->arena, (int32_t)topic_count);
    if (!response.topics.items && topic_count) return false;
    response.topics.count = (int32_t)topic_count;
    const list_item *item = call->items;
    for (size_t t = 0; t < topic_count; t++) {
        const wire_list_offsets_request_topic *asked = &call->message->topics.items[t];
        wire_list_offsets_response_topic_response *topic = &response.topics.items[t];
        const size_t count = kafka_count(asked->partitions);
        topic->name = asked->name;
        topic->partitions.items = wire_list_offsets_response_partition_response_new(&request->arena, (int32_t)count);
        if (!topic->partitions.items && count) return false;
        topic->partitions.count = (int32_t)count;
        for (size_t p = 0; p < count; p++, item++) {
            wire_list_offsets_response_partition_response *target = &topic->partitions.items[p];
            target->partition_index = item->list.target.partition;
            target->error_code = (int16_t)item->list.error;
            target->timestamp = item->list.found_timestamp_ms;
            target->offset = item->list.offset;
            if (request->version >= 4) target->leader_epoch = item->list.leader_epoch;
        }
    }
    kafka_respond(request, &response);
    return true;
}

static void list_release(list_call *call) {
    if (--call->waiting > 0 || list_answer(call)) return;
    kafka_close(call->request, "no memory for an answer");
    kafka_respond_nothing(call->request);
}

static void list_done(broker_list_offset *list) { list_release(io_owner(list, list_item, list)->call); }

bool kafka_list_offsets(kafka_request *request, const void *data) {
    const wire_list_offsets_request *message = data;
    list_call *call = kafka_array(request, list_call, 1);
    if (!call) return false;
    for (int32_t t = 0; t < message->topics.count; t++) call->count += kafka_count(message->topics.items[t].partitions);
    call->items = kafka_array(request, list_item, call->count);
    if (!call->items) return false;
    call->request = request;
    call->message = message;
    call->waiting = call->count + 1;
    list_item *item = call->items;
    for (int32_t t = 0; t < message->topics.count; t++) {
        const wire_list_offsets_request_topic *topic = &message->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++, item++) {
            const wire_list_offsets_request_partition *asked = &topic->partitions.items[p];
            item->call = call;
            item->list = (broker_list_offset){.principal = request->principal,
                                              .target = {.topic = topic->name, .partition = asked->partition_index},
                                              .current_leader_epoch = asked->current_leader_epoch,
                                              .timestamp_ms = asked->timestamp,
                                              .read_committed = message->isolation_level == READ_COMMITTED,
                                              .done = list_done};
            broker_list_offset_start(request->broker, &item->list);
        }
    }
    list_release(call);
    return true;
}

/* ---- OffsetForLeaderEpoch ---------------------------------------------------------------------------------------- */

bool kafka_offset_for_leader_epoch(kafka_request *request, const void *data) {
    const wire_offset_for_leader_epoch_request *message = data;
    wire_offset_for_leader_epoch_response response;
    wire_offset_for_leader_epoch_response_init(&response);
    const size_t topic_count = kafka_count(message->topics);
    response.topics.items =
        wire_offset_for_leader_epoch_response_topic_result_new(&request->arena, (int32_t)topic_count);
    if (!response.topics.items && topic_count) return false;
    response.topics.count = (int32_t)topic_count;
    for (size_t t = 0; t < topic_count; t++) {
        const wire_offset_for_leader_epoch_request_topic *asked = &message->topics.items[t];
        wire_offset_for_leader_epoch_response_topic_result *topic = &response.topics.items[t];
        const size_t count = kafka_count(asked->partitions);
        topic->topic = asked->topic;
        topic->partitions.items =
            wire_offset_for_leader_epoch_response_epoch_end_offset_new(&request->arena, (int32_t)count);
        if (!topic->partitions.items && count) return false;
        topic->partitions.count = (int32_t)count;
        for (size_t p = 0; p < count; p++) {
            const wire_offset_for_leader_epoch_request_partition *one = &asked->partitions.items[p];
            wire_offset_for_leader_epoch_response_epoch_end_offset *target = &topic->partitions.items[p];
            const broker_target partition = {.topic = asked->topic, .partition = one->partition};
            target->partition = one->partition;
            target->error_code =
                (int16_t)broker_epoch_end(request->broker, request->principal, &partition, one->current_leader_epoch,
                                          one->leader_epoch, &target->leader_epoch, &target->end_offset);
        }
    }
    kafka_respond(request, &response);
    return true;
}

/* ---- InitProducerId ---------------------------------------------------------------------------------------------- */

typedef struct producer_call {
    kafka_request *request;
    broker_producer_id id;
} producer_call;

static void producer_done(broker_producer_id *id) {
    kafka_request *request = io_owner(id, producer_call, id)->request;
    wire_init_producer_id_response response;
    wire_init_producer_id_response_init(&response);
    response.error_code = (int16_t)id->error;
    response.producer_id = id->id;
    response.producer_epoch = id->epoch;
    kafka_respond(request, &response);
}

bool kafka_init_producer_id(kafka_request *request, const void *data) {
    const wire_init_producer_id_request *message = data;
    producer_call *call = kafka_array(request, producer_call, 1);
    if (!call) return false;
    if (message->enable2_pc || message->keep_prepared_txn) { /* KIP-939: not in Kafka 4.3 either */
        wire_init_producer_id_response response;
        wire_init_producer_id_response_init(&response);
        response.error_code = BROKER_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        kafka_respond(request, &response);
        return true;
    }
    call->request = request;
    call->id = (broker_producer_id){.principal = request->principal,
                                    .transactional_id = message->transactional_id,
                                    .timeout_ms = message->transaction_timeout_ms,
                                    .current_id = message->producer_id,
                                    .current_epoch = message->producer_epoch,
                                    .done = producer_done};
    broker_producer_id_start(request->broker, &call->id);
    return true;
}
