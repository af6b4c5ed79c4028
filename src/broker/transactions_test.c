/* Goal: what transactional clients meet: commit, abort, fencing, time-outs, restarts; readers of committed records
 * never see an aborted, open or partial transaction.
 * Method: a hand-driven client on a simulated link plays producers of both transaction versions and a consumer that
 * drops aborted batches as Kafka's does. Stories tell one rule each; then seeds of random producers die by power cuts
 * at any call of the disk, and a ledger of what was answered is held against what is read, and a reader of the raw
 * batches against last stable offsets and lists of aborted transactions. */
#include "broker/door_test.h"
#include "broker/txn_int.h"

enum { OLD_PRODUCE = 11, NEW_PRODUCE = 12, OLD_END = 4, NEW_END = 5, TIMEOUT_MS = 60000, LINES_MAX = 1 << 16 };

typedef struct test_producer {
    const char *id;
    int64_t producer_id;
    int16_t epoch;
    int32_t sequences[2]; /* of the topics "a" and "b" */
} test_producer;

typedef struct party { /* a broker and one client */
    node_world node;
    door_client client;
} party;

static void party_connect(party *p) { client_open(&p->client, &p->node, door(&p->node)); }

static void party_begin(party *p, uint64_t seed) {
    node_begin(&p->node, seed);
    assert_int_equal(node_create(&p->node, "a", 1, NULL, 0), BROKER_NONE);
    assert_int_equal(node_create(&p->node, "b", 1, NULL, 0), BROKER_NONE);
    party_connect(p);
}

static void party_crash(party *p, io_sim_death death) {
    client_close(&p->client);
    node_crash(&p->node, death);
    party_connect(p);
}

static void party_end(party *p) {
    client_close(&p->client);
    node_end(&p->node);
}

/* ---- what clients say -------------------------------------------------------------------------------------------- */

static int16_t init_as(party *p, test_producer *producer, int32_t timeout_ms, int64_t current_id,
                       int16_t current_epoch) {
    wire_init_producer_id_request request;
    wire_init_producer_id_response response;
    wire_init_producer_id_request_init(&request);
    request.transactional_id = text(producer->id);
    request.transaction_timeout_ms = timeout_ms;
    request.producer_id = current_id;
    request.producer_epoch = current_epoch;
    call(&p->client, WIRE_API_INIT_PRODUCER_ID, 5, &request, &response);
    if (response.error_code != BROKER_NONE) return response.error_code;
    producer->producer_id = response.producer_id;
    producer->epoch = response.producer_epoch;
    memset(producer->sequences, 0, sizeof producer->sequences);
    return BROKER_NONE;
}

static int16_t init(party *p, test_producer *producer) { return init_as(p, producer, TIMEOUT_MS, -1, -1); }

static int16_t send_value(party *p, test_producer *producer, int version, const char *topic, const char *value) {
    wire_produce_request request;
    wire_produce_response response;
    weir_buffer bytes;
    wire_batch_options options = wire_batch_options_default;
    int32_t *sequence = &producer->sequences[topic[0] - 'a'];
    options.producer_id = producer->producer_id;
    options.producer_epoch = producer->epoch;
    options.base_sequence = *sequence;
    options.attributes = WIRE_BATCH_TRANSACTIONAL;
    weir_buffer_init(&bytes, &p->node.account, 1 << 20);
    node_batch(&p->node, &bytes, value, 1, &options);
    wire_produce_request_init(&request);
    request.transactional_id = text(producer->id);
    request.acks = -1;
    request.timeout_ms = 1000;
    request.topic_data.items = wire_produce_request_topic_produce_data_new(&p->client.arena, 1);
    request.topic_data.count = 1;
    request.topic_data.items[0].name = text(topic);
    request.topic_data.items[0].partition_data.items =
        wire_produce_request_partition_produce_data_new(&p->client.arena, 1);
    request.topic_data.items[0].partition_data.count = 1;
    request.topic_data.items[0].partition_data.items[0].records = weir_buffer_view(&bytes);
    call(&p->client, WIRE_API_PRODUCE, version, &request, &response);
    weir_buffer_deinit(&bytes);
    const int16_t error = response.responses.items[0].partition_responses.items[0].error_code;
    if (error == BROKER_NONE) (*sequence)++;
    return error;
}

static int16_t end_as(party *p, const test_producer *producer, int version, bool commit, test_producer *next) {
    wire_end_txn_request request;
    wire_end_txn_response response;
    wire_end_txn_request_init(&request);
    request.transactional_id = text(producer->id);
    request.producer_id = producer->producer_id;
    request.producer_epoch = producer->epoch;
    request.committed = commit;
    call(&p->client, WIRE_API_END_TXN, version, &request, &response);
    *next = *producer;
    if (response.error_code == BROKER_NONE && version >= NEW_END) {
        next->producer_id = response.producer_id;
        next->epoch = response.producer_epoch;
        memset(next->sequences, 0, sizeof next->sequences);
    }
    return response.error_code;
}

static int16_t end(party *p, test_producer *producer, int version, bool commit) {
    test_producer next;
    const int16_t error = end_as(p, producer, version, commit, &next);
    *producer = next;
    return error;
}

static int16_t add(party *p, const test_producer *producer, const char *topic) {
    wire_add_partitions_to_txn_request request;
    wire_add_partitions_to_txn_response response;
    wire_add_partitions_to_txn_request_init(&request);
    request.v3_and_below_transactional_id = text(producer->id);
    request.v3_and_below_producer_id = producer->producer_id;
    request.v3_and_below_producer_epoch = producer->epoch;
    request.v3_and_below_topics.items = wire_add_partitions_to_txn_request_topic_new(&p->client.arena, 1);
    request.v3_and_below_topics.count = 1;
    int32_t partition = 0;
    request.v3_and_below_topics.items[0].name = text(topic);
    request.v3_and_below_topics.items[0].partitions = (wire_int32_array){.items = &partition, .count = 1};
    call(&p->client, WIRE_API_ADD_PARTITIONS_TO_TXN, 3, &request, &response);
    return response.results_by_topic_v3_and_below.items[0].results_by_partition.items[0].partition_error_code;
}

static int16_t commit_offset(party *p, const test_producer *producer, int version, int64_t offset) {
    wire_txn_offset_commit_request request;
    wire_txn_offset_commit_response response;
    wire_txn_offset_commit_request_init(&request);
    request.transactional_id = text(producer->id);
    request.group_id = text("group");
    request.producer_id = producer->producer_id;
    request.producer_epoch = producer->epoch;
    request.topics.items = wire_txn_offset_commit_request_topic_new(&p->client.arena, 1);
    request.topics.count = 1;
    request.topics.items[0].name = text("a");
    request.topics.items[0].partitions.items = wire_txn_offset_commit_request_partition_new(&p->client.arena, 1);
    request.topics.items[0].partitions.count = 1;
    request.topics.items[0].partitions.items[0].committed_offset = offset;
    request.topics.items[0].partitions.items[0].committed_metadata = text("");
    call(&p->client, WIRE_API_TXN_OFFSET_COMMIT, version, &request, &response);
    return response.topics.items[0].partitions.items[0].error_code;
}

static int64_t committed_offset(party *p, bool stable, int16_t *error) {
    wire_offset_fetch_request request;
    wire_offset_fetch_response response;
    wire_offset_fetch_request_init(&request);
    request.require_stable = stable;
    request.groups.items = wire_offset_fetch_request_group_new(&p->client.arena, 1);
    request.groups.count = 1;
    request.groups.items[0].group_id = text("group");
    request.groups.items[0].topics.items = wire_offset_fetch_request_topics_new(&p->client.arena, 1);
    request.groups.items[0].topics.count = 1;
    int32_t partition = 0;
    request.groups.items[0].topics.items[0].name = text("a");
    request.groups.items[0].topics.items[0].partition_indexes = (wire_int32_array){.items = &partition, .count = 1};
    call(&p->client, WIRE_API_OFFSET_FETCH, 8, &request, &response);
    *error = response.groups.items[0].topics.items[0].partitions.items[0].error_code;
    return response.groups.items[0].topics.items[0].partitions.items[0].committed_offset;
}

static int64_t latest(party *p, const char *topic, bool committed) {
    wire_list_offsets_request request;
    wire_list_offsets_response response;
    wire_list_offsets_request_init(&request);
    request.isolation_level = committed;
    request.topics.items = wire_list_offsets_request_topic_new(&p->client.arena, 1);
    request.topics.count = 1;
    request.topics.items[0].name = text(topic);
    request.topics.items[0].partitions.items = wire_list_offsets_request_partition_new(&p->client.arena, 1);
    request.topics.items[0].partitions.count = 1;
    request.topics.items[0].partitions.items[0].timestamp = BROKER_OFFSET_LATEST;
    call(&p->client, WIRE_API_LIST_OFFSETS, 7, &request, &response);
    return response.topics.items[0].partitions.items[0].offset;
}

/* ---- what a consumer makes of it --------------------------------------------------------------------------------- */

typedef struct reading {
    bool committed;
    int64_t offset, stable_offset;
    int64_t dropped[64]; /* producers whose transaction was aborted, while their records pass */
    size_t dropped_count;
    char *lines;
    size_t used;
} reading;

static void drop(reading *r, int64_t producer_id) {
    assert_true(r->dropped_count < 64);
    r->dropped[r->dropped_count++] = producer_id;
}

static bool is_dropped(const reading *r, int64_t producer_id) {
    for (size_t i = 0; i < r->dropped_count; i++)
        if (r->dropped[i] == producer_id) return true;
    return false;
}

static void undrop(reading *r, int64_t producer_id) {
    for (size_t i = 0; i < r->dropped_count; i++)
        if (r->dropped[i] == producer_id) r->dropped[i--] = r->dropped[--r->dropped_count];
}

static void read_batch(reading *r, const wire_batch *batch) {
    wire_records records;
    wire_record record;
    assert_int_equal(wire_records_open(&records, batch, NULL, NULL, 0).code, WEIR_OK);
    r->offset = wire_batch_next_offset(batch);
    if (wire_batch_is(batch, WIRE_BATCH_CONTROL)) {
        undrop(r, batch->producer_id);
        return;
    }
    if (r->committed && wire_batch_is(batch, WIRE_BATCH_TRANSACTIONAL) && is_dropped(r, batch->producer_id)) return;
    while (wire_records_next(&records, &record)) {
        r->used += (size_t)snprintf(r->lines + r->used, LINES_MAX - r->used, "%.*s\n", (int)record.value.size,
                                    (const char *)record.value.data);
        assert_true(r->used < LINES_MAX);
    }
}

/* As Kafka's consumer: a listed transaction drops its producer's batches from its first offset up to its marker. */
static void read_answer(reading *r, const wire_fetch_response_partition_data *data) {
    weir_bytes left = data->records;
    wire_batch batch;
    bool used[64] = {false};
    assert_true(data->aborted_transactions.count <= 64);
    assert_int_equal(data->aborted_transactions.count >= 0, r->committed);
    while (left.size > 0) {
        assert_int_equal(wire_batch_parse(left, &batch).code, WEIR_OK);
        left.data += batch.size_bytes;
        left.size -= batch.size_bytes;
        for (int32_t i = 0; i < data->aborted_transactions.count; i++) {
            const wire_fetch_response_aborted_transaction *aborted = &data->aborted_transactions.items[i];
            if (used[i] || aborted->first_offset > wire_batch_last_offset(&batch)) continue;
            used[i] = true;
            if (!is_dropped(r, aborted->producer_id)) drop(r, aborted->producer_id);
        }
        read_batch(r, &batch);
    }
}

/* Everything, one value a line. */
static const char *read_topic(party *p, const char *topic, bool committed) {
    static char lines[LINES_MAX];
    reading r = {.committed = committed, .lines = lines};
    lines[0] = 0;
    for (;;) {
        wire_fetch_request request;
        wire_fetch_response response;
        wire_fetch_request_init(&request);
        request.isolation_level = committed;
        request.max_bytes = 300; /* several answers, so that transactions straddle them */
        request.topics.items = wire_fetch_request_topic_new(&p->client.arena, 1);
        request.topics.count = 1;
        request.topics.items[0].topic = text(topic);
        request.topics.items[0].partitions.items = wire_fetch_request_partition_new(&p->client.arena, 1);
        request.topics.items[0].partitions.count = 1;
        request.topics.items[0].partitions.items[0].fetch_offset = r.offset;
        request.topics.items[0].partitions.items[0].partition_max_bytes = 300;
        call(&p->client, WIRE_API_FETCH, 12, &request, &response);
        const wire_fetch_response_partition_data *data = &response.responses.items[0].partitions.items[0];
        assert_int_equal(data->error_code, BROKER_NONE);
        assert_true(data->last_stable_offset <= data->high_watermark);
        if (data->records.size == 0) {
            assert_int_equal(r.offset, committed ? data->last_stable_offset : data->high_watermark);
            weir_arena_reset(&p->client.arena);
            return lines;
        }
        r.dropped_count = 0; /* an answer stands for itself */
        read_answer(&r, data);
    }
}

#define assert_reads(party, topic, committed, lines) assert_string_equal(read_topic(party, topic, committed), lines)

/* ---- stories ----------------------------------------------------------------------------------------------------- */

static void a_commit_shows_everything_at_once(void **state) {
    (void)state;
    party p;
    test_producer one = {.id = "one"}, before;
    party_begin(&p, 1);
    assert_int_equal(init(&p, &one), BROKER_NONE);
    assert_int_equal(one.epoch, 0);
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "a", "first"), BROKER_NONE);
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "b", "second"), BROKER_NONE);
    assert_reads(&p, "a", false, "first 0\n");
    assert_reads(&p, "a", true, "");
    assert_int_equal(latest(&p, "a", false), 1);
    assert_int_equal(latest(&p, "a", true), 0);
    before = one;
    assert_int_equal(end(&p, &one, NEW_END, true), BROKER_NONE);
    assert_int_equal(one.producer_id, before.producer_id);
    assert_int_equal(one.epoch, before.epoch + 1);
    assert_reads(&p, "a", true, "first 0\n");
    assert_reads(&p, "b", true, "second 0\n");
    assert_int_equal(latest(&p, "a", true), 2);
    /* The answer may have been lost: the same request is answered alike, also by the next process. */
    for (int life = 0; life < 2; life++) {
        test_producer again;
        assert_int_equal(end_as(&p, &before, NEW_END, true, &again), BROKER_NONE);
        assert_int_equal(again.producer_id, one.producer_id);
        assert_int_equal(again.epoch, one.epoch);
        assert_int_equal(end_as(&p, &before, NEW_END, false, &again), BROKER_INVALID_TXN_STATE);
        assert_int_equal(send_value(&p, &before, NEW_PRODUCE, "a", "late"), BROKER_INVALID_PRODUCER_EPOCH);
        party_crash(&p, IO_SIM_DRY_CUT);
    }
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "a", "third"), BROKER_NONE);
    assert_int_equal(end(&p, &one, NEW_END, true), BROKER_NONE);
    assert_reads(&p, "a", true, "first 0\nthird 0\n");
    assert_int_equal(end(&p, &one, NEW_END, true), BROKER_INVALID_TXN_STATE); /* nothing was begun */
    assert_int_equal(end(&p, &one, NEW_END, false), BROKER_NONE);             /* aborting nothing is fine */
    party_end(&p);
}

static void an_abort_leaves_nothing_to_readers_of_committed_records(void **state) {
    (void)state;
    party p;
    test_producer one = {.id = "one"}, two = {.id = "two"};
    party_begin(&p, 2);
    assert_int_equal(init(&p, &one), BROKER_NONE);
    assert_int_equal(init(&p, &two), BROKER_NONE);
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "a", "gone"), BROKER_NONE);
    assert_int_equal(send_value(&p, &two, NEW_PRODUCE, "a", "kept"), BROKER_NONE);
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "a", "gone"), BROKER_NONE);
    assert_int_equal(end(&p, &two, NEW_END, true), BROKER_NONE);
    assert_reads(&p, "a", true, ""); /* the open one lies before it */
    party_crash(&p, IO_SIM_POWER_CUT);
    assert_reads(&p, "a", true, "");
    assert_int_equal(end(&p, &one, NEW_END, false), BROKER_NONE);
    assert_reads(&p, "a", true, "kept 0\n");
    assert_reads(&p, "a", false, "gone 0\nkept 0\ngone 0\n");
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "a", "back"), BROKER_NONE);
    assert_int_equal(end(&p, &one, NEW_END, true), BROKER_NONE);
    party_crash(&p, IO_SIM_POWER_CUT);
    assert_reads(&p, "a", true, "kept 0\nback 0\n");
    party_end(&p);
}

static void a_new_producer_fences_the_one_before(void **state) {
    (void)state;
    party p;
    test_producer zombie = {.id = "one"}, one = {.id = "one"}, next;
    party_begin(&p, 3);
    assert_int_equal(init(&p, &zombie), BROKER_NONE);
    assert_int_equal(send_value(&p, &zombie, NEW_PRODUCE, "a", "zombie"), BROKER_NONE);
    assert_int_equal(init(&p, &one), BROKER_NONE);
    assert_int_equal(one.producer_id, zombie.producer_id);
    assert_true(one.epoch > zombie.epoch);
    assert_int_equal(send_value(&p, &zombie, NEW_PRODUCE, "a", "zombie"), BROKER_INVALID_PRODUCER_EPOCH);
    assert_int_equal(end_as(&p, &zombie, NEW_END, true, &next), BROKER_PRODUCER_FENCED);
    assert_int_equal(end_as(&p, &zombie, NEW_END, false, &next), BROKER_PRODUCER_FENCED);
    assert_int_equal(add(&p, &zombie, "a"), BROKER_PRODUCER_FENCED);
    assert_int_equal(commit_offset(&p, &zombie, 5, 1), BROKER_INVALID_PRODUCER_EPOCH);
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "a", "one"), BROKER_NONE);
    assert_int_equal(end(&p, &one, NEW_END, true), BROKER_NONE);
    assert_reads(&p, "a", true, "one 0\n");
    test_producer stranger = {.id = "nobody", .producer_id = one.producer_id, .epoch = one.epoch};
    assert_int_equal(send_value(&p, &stranger, NEW_PRODUCE, "a", "x"), BROKER_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(end_as(&p, &stranger, NEW_END, true, &next), BROKER_INVALID_PRODUCER_ID_MAPPING);
    party_end(&p);
}

static void an_id_is_raised_once_for_one_request(void **state) {
    (void)state;
    party p;
    test_producer one = {.id = "one"}, again = {.id = "one"};
    party_begin(&p, 4);
    assert_int_equal(init_as(&p, &one, 0, -1, -1), BROKER_INVALID_TRANSACTION_TIMEOUT);
    assert_int_equal(init_as(&p, &one, 900001, -1, -1), BROKER_INVALID_TRANSACTION_TIMEOUT);
    assert_int_equal(init(&p, &one), BROKER_NONE);
    const test_producer first = one;
    assert_int_equal(init_as(&p, &one, TIMEOUT_MS, first.producer_id, first.epoch), BROKER_NONE);
    assert_int_equal(one.epoch, first.epoch + 1);
    assert_int_equal(init_as(&p, &again, TIMEOUT_MS, first.producer_id, first.epoch), BROKER_NONE);
    assert_int_equal(again.epoch, one.epoch);
    assert_int_equal(init(&p, &again), BROKER_NONE);
    assert_int_equal(init_as(&p, &one, TIMEOUT_MS, one.producer_id, one.epoch), BROKER_PRODUCER_FENCED);
    assert_int_equal(init_as(&p, &one, TIMEOUT_MS, one.producer_id + 1, one.epoch), BROKER_PRODUCER_FENCED);
    party_end(&p);
}

static void a_transaction_that_nobody_ends_times_out(void **state) {
    (void)state;
    party p;
    test_producer one = {.id = "one"}, next;
    party_begin(&p, 5);
    for (int version = 0; version < 2; version++) {
        assert_int_equal(init_as(&p, &one, 2000, -1, -1), BROKER_NONE);
        if (version == 0) assert_int_equal(add(&p, &one, "a"), BROKER_NONE);
        assert_int_equal(send_value(&p, &one, version ? NEW_PRODUCE : OLD_PRODUCE, "a", "late"), BROKER_NONE);
        node_for_ms(&p.node, 1000);
        assert_true(latest(&p, "a", true) < latest(&p, "a", false));
        /* The clock that counts is this process's: after a restart it has its whole time again. */
        party_crash(&p, IO_SIM_POWER_CUT);
        node_for_ms(&p.node, 1500);
        assert_true(latest(&p, "a", true) < latest(&p, "a", false));
        node_for_ms(&p.node, 1500);
        assert_int_equal(latest(&p, "a", true), latest(&p, "a", false));
        assert_int_equal(end_as(&p, &one, version ? NEW_END : OLD_END, true, &next), BROKER_PRODUCER_FENCED);
        assert_int_equal(end_as(&p, &one, version ? NEW_END : OLD_END, false, &next), BROKER_PRODUCER_FENCED);
        assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "a", "late"), BROKER_INVALID_PRODUCER_EPOCH);
        assert_reads(&p, "a", true, "");
    }
    party_end(&p);
}

static void an_old_client_names_its_partitions_and_keeps_its_epoch(void **state) {
    (void)state;
    party p;
    test_producer one = {.id = "one"};
    party_begin(&p, 6);
    assert_int_equal(init(&p, &one), BROKER_NONE);
    const int16_t epoch = one.epoch;
    assert_int_equal(send_value(&p, &one, OLD_PRODUCE, "a", "x"), BROKER_TRANSACTION_ABORTABLE);
    assert_int_equal(send_value(&p, &one, OLD_PRODUCE - 1, "a", "x"), BROKER_INVALID_TXN_STATE);
    assert_int_equal(add(&p, &one, "missing"), BROKER_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(add(&p, &one, "a"), BROKER_NONE);
    assert_int_equal(add(&p, &one, "a"), BROKER_NONE);
    assert_int_equal(send_value(&p, &one, OLD_PRODUCE, "a", "x"), BROKER_NONE);
    assert_int_equal(send_value(&p, &one, OLD_PRODUCE, "b", "x"), BROKER_TRANSACTION_ABORTABLE);
    assert_int_equal(end(&p, &one, OLD_END, true), BROKER_NONE);
    assert_int_equal(one.epoch, epoch);
    /* Late: it would open a transaction that nobody ends (KIP-890). */
    assert_int_equal(send_value(&p, &one, OLD_PRODUCE, "a", "late"), BROKER_TRANSACTION_ABORTABLE);
    assert_int_equal(end(&p, &one, OLD_END, true), BROKER_NONE); /* a retry */
    party_crash(&p, IO_SIM_DRY_CUT);
    assert_int_equal(end(&p, &one, OLD_END, true), BROKER_NONE);
    assert_int_equal(end(&p, &one, OLD_END, false), BROKER_INVALID_TXN_STATE);
    assert_int_equal(send_value(&p, &one, OLD_PRODUCE, "a", "late"), BROKER_TRANSACTION_ABORTABLE);
    assert_int_equal(add(&p, &one, "a"), BROKER_NONE);
    assert_int_equal(send_value(&p, &one, OLD_PRODUCE, "a", "y"), BROKER_NONE);
    assert_int_equal(end(&p, &one, OLD_END, false), BROKER_NONE);
    assert_reads(&p, "a", true, "x 0\n");
    assert_int_equal(latest(&p, "a", true), latest(&p, "a", false));
    party_end(&p);
}

/* 32766 is the last epoch that a client gets; its transaction ends with a new id. */
static void epochs_end_with_a_new_id(void **state) {
    (void)state;
    party p;
    test_producer one = {.id = "one"}, before, again;
    party_begin(&p, 7);
    assert_int_equal(init(&p, &one), BROKER_NONE);
    broker_txn_get(p.node.broker, text("one"))->facts.epoch = one.epoch = INT16_MAX - 2;
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "a", "first"), BROKER_NONE);
    assert_int_equal(end(&p, &one, NEW_END, true), BROKER_NONE);
    assert_int_equal(one.epoch, INT16_MAX - 1);
    before = one;
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "a", "second"), BROKER_NONE);
    assert_int_equal(end(&p, &one, NEW_END, true), BROKER_NONE);
    assert_int_equal(one.epoch, 0);
    assert_true(one.producer_id > before.producer_id);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(end_as(&p, &before, NEW_END, true, &again), BROKER_NONE);
        assert_int_equal(again.producer_id, one.producer_id);
        assert_int_equal(again.epoch, 0);
        party_crash(&p, IO_SIM_DRY_CUT);
    }
    assert_int_equal(send_value(&p, &before, NEW_PRODUCE, "a", "late"), BROKER_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "a", "third"), BROKER_NONE);
    assert_int_equal(end(&p, &one, NEW_END, true), BROKER_NONE);
    assert_reads(&p, "a", true, "first 0\nsecond 0\nthird 0\n");
    broker_txn_get(p.node.broker, text("one"))->facts.epoch = INT16_MAX - 1;
    before = one;
    assert_int_equal(init(&p, &one), BROKER_NONE);
    assert_int_equal(one.epoch, 0);
    assert_true(one.producer_id > before.producer_id);
    party_end(&p);
}

static void offsets_wait_for_their_transaction(void **state) {
    (void)state;
    party p;
    test_producer one = {.id = "one"};
    int16_t error;
    party_begin(&p, 8);
    assert_int_equal(init_as(&p, &one, 2000, -1, -1), BROKER_NONE);
    assert_int_equal(commit_offset(&p, &one, 4, 5), BROKER_TRANSACTION_ABORTABLE); /* an old client names it first */
    assert_int_equal(commit_offset(&p, &one, 5, 5), BROKER_NONE);
    assert_int_equal(committed_offset(&p, false, &error), -1);
    assert_int_equal(error, BROKER_NONE);
    assert_int_equal(committed_offset(&p, true, &error), -1);
    assert_int_equal(error, BROKER_UNSTABLE_OFFSET_COMMIT);
    assert_int_equal(end(&p, &one, NEW_END, true), BROKER_NONE);
    assert_int_equal(committed_offset(&p, true, &error), 5);
    assert_int_equal(error, BROKER_NONE);
    party_crash(&p, IO_SIM_DRY_CUT);
    assert_int_equal(committed_offset(&p, true, &error), 5);
    assert_int_equal(commit_offset(&p, &one, 5, 9), BROKER_NONE);
    party_crash(&p, IO_SIM_POWER_CUT);
    assert_int_equal(committed_offset(&p, false, &error), 5);
    assert_int_equal(committed_offset(&p, true, &error), -1);
    assert_int_equal(error, BROKER_UNSTABLE_OFFSET_COMMIT);
    node_for_ms(&p.node, 2500); /* nobody ends it */
    assert_int_equal(committed_offset(&p, true, &error), 5);
    assert_int_equal(error, BROKER_NONE);
    party_end(&p);
}

static void transactions_are_listed_and_described(void **state) {
    (void)state;
    party p;
    test_producer one = {.id = "app-1"}, two = {.id = "other"};
    party_begin(&p, 9);
    assert_int_equal(init(&p, &one), BROKER_NONE);
    assert_int_equal(init(&p, &two), BROKER_NONE);
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "b", "x"), BROKER_NONE);
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "a", "x"), BROKER_NONE);
    wire_list_transactions_request list;
    wire_list_transactions_response listed;
    wire_list_transactions_request_init(&list);
    call(&p.client, WIRE_API_LIST_TRANSACTIONS, 2, &list, &listed);
    assert_int_equal(listed.transaction_states.count, 2);
    weir_bytes filters[] = {text("Ongoing"), text("Sleeping")};
    list.state_filters.items = filters;
    list.state_filters.count = 2;
    call(&p.client, WIRE_API_LIST_TRANSACTIONS, 2, &list, &listed);
    assert_int_equal(listed.transaction_states.count, 1);
    assert_true(weir_bytes_equal_text(listed.transaction_states.items[0].transactional_id, "app-1"));
    assert_int_equal(listed.unknown_state_filters.count, 1);
    list.state_filters.count = 0;
    list.transactional_id_pattern = text("app-[0-9]+");
    call(&p.client, WIRE_API_LIST_TRANSACTIONS, 2, &list, &listed);
    assert_int_equal(listed.transaction_states.count, 1);
    list.transactional_id_pattern = text("pp");
    call(&p.client, WIRE_API_LIST_TRANSACTIONS, 2, &list, &listed);
    assert_int_equal(listed.transaction_states.count, 0);
    list.transactional_id_pattern = text("a(?i)b");
    call(&p.client, WIRE_API_LIST_TRANSACTIONS, 2, &list, &listed);
    assert_int_equal(listed.error_code, BROKER_INVALID_REGULAR_EXPRESSION);
    wire_describe_transactions_request describe;
    wire_describe_transactions_response described;
    wire_describe_transactions_request_init(&describe);
    weir_bytes ids[] = {text("app-1"), text("nobody")};
    describe.transactional_ids.items = ids;
    describe.transactional_ids.count = 2;
    call(&p.client, WIRE_API_DESCRIBE_TRANSACTIONS, 0, &describe, &described);
    const wire_describe_transactions_response_transaction_state *found = described.transaction_states.items;
    assert_int_equal(found[0].topics.count, 2);
    assert_true(weir_bytes_equal_text(found[0].topics.items[0].topic, "a"));
    assert_int_equal(found[0].transaction_timeout_ms, TIMEOUT_MS);
    assert_int_equal(found[0].producer_id, one.producer_id);
    assert_int_equal(found[1].error_code, BROKER_TRANSACTIONAL_ID_NOT_FOUND);
    party_end(&p);
}

/* The process dies at any call of the disk while a transaction ends, and the client asks again: the end is one. */
static void end_through_a_cut(uint64_t cut, int version, bool commit) {
    party p;
    test_producer one = {.id = "one"}, next;
    int16_t error;
    const bool is_new = version == NEW_END;
    party_begin(&p, cut);
    assert_int_equal(init(&p, &one), BROKER_NONE);
    if (!is_new) {
        assert_int_equal(add(&p, &one, "a"), BROKER_NONE);
        assert_int_equal(add(&p, &one, "b"), BROKER_NONE);
    }
    assert_int_equal(send_value(&p, &one, is_new ? NEW_PRODUCE : OLD_PRODUCE, "a", "x"), BROKER_NONE);
    assert_int_equal(send_value(&p, &one, is_new ? NEW_PRODUCE : OLD_PRODUCE, "b", "y"), BROKER_NONE);
    if (is_new) assert_int_equal(commit_offset(&p, &one, 5, 7), BROKER_NONE);
    io_sim_crash_at(p.node.sim, io_sim_disk_operations(p.node.sim) + cut);
    const bool answered = end_as(&p, &one, version, commit, &next) == BROKER_NONE;
    io_sim_crash_at(p.node.sim, 0);
    party_crash(&p, IO_SIM_POWER_CUT);
    const bool ended = latest(&p, "a", true) == latest(&p, "a", false);
    assert_int_equal(latest(&p, "b", true) == latest(&p, "b", false), ended);
    if (answered) assert_true(ended);
    const int16_t epoch = one.epoch;
    assert_int_equal(end(&p, &one, version, commit), BROKER_NONE);
    assert_int_equal(one.epoch, is_new ? epoch + 1 : epoch);
    assert_reads(&p, "a", true, commit ? "x 0\n" : "");
    assert_reads(&p, "b", true, commit ? "y 0\n" : "");
    assert_int_equal(committed_offset(&p, true, &error), commit && is_new ? 7 : -1);
    assert_int_equal(error, BROKER_NONE);
    assert_int_equal(latest(&p, "a", true), 2); /* one record, one marker */
    party_end(&p);
}

static void an_end_is_one_wherever_the_power_goes(void **state) {
    (void)state;
    for (uint64_t cut = 1; cut <= 12; cut++) {
        end_through_a_cut(cut, NEW_END, true);
        end_through_a_cut(cut, NEW_END, false);
        end_through_a_cut(cut, OLD_END, true);
        end_through_a_cut(cut, OLD_END, false);
    }
}

/* A sync that fails: nothing is promised, and what the client hears makes it ask again. */
static void a_disk_that_fails_ends_nothing(void **state) {
    (void)state;
    party p;
    test_producer one = {.id = "one"}, next;
    party_begin(&p, 10);
    assert_int_equal(init(&p, &one), BROKER_NONE);
    assert_int_equal(send_value(&p, &one, NEW_PRODUCE, "a", "x"), BROKER_NONE);
    io_sim_fail_sync(p.node.sim, 1);
    assert_int_equal(end_as(&p, &one, NEW_END, true, &next), BROKER_COORDINATOR_NOT_AVAILABLE);
    assert_reads(&p, "a", true, "");
    assert_int_equal(end_as(&p, &one, NEW_END, true, &next), BROKER_COORDINATOR_NOT_AVAILABLE);
    party_crash(&p, IO_SIM_POWER_CUT);
    assert_int_equal(end(&p, &one, NEW_END, true), BROKER_NONE);
    assert_reads(&p, "a", true, "x 0\n");
    party_end(&p);
}

/* ---- seeds ------------------------------------------------------------------------------------------------------- */

enum { SEEDS = 150, LIVES = 4, STEPS = 30, WRITERS = 3, LEDGER_MAX = 512 };

typedef enum fate { FATE_OPEN, FATE_COMMITTED, FATE_ABORTED, FATE_UNKNOWN } fate;

typedef struct entry { /* a transaction: `a` and `b` values were acknowledged in the topics */
    int values[2];
    fate fate;
} entry;

typedef struct run {
    party p;
    uint64_t state;
    test_producer writers[WRITERS];
    int current[WRITERS]; /* in the ledger; -1 = none */
    bool ready[WRITERS];
    entry ledger[LEDGER_MAX];
    int count;
} run;

static uint64_t draw(run *r, uint64_t limit) {
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (r->state >> 33) % limit;
}

/* Whatever went wrong: begin anew, as an application does. */
static void lose(run *r, int w, fate why) {
    if (r->current[w] >= 0) r->ledger[r->current[w]].fate = why;
    r->current[w] = -1;
    r->ready[w] = false;
}

static void write_something(run *r, int w) {
    test_producer *writer = &r->writers[w];
    const char *topic = draw(r, 2) ? "a" : "b";
    char value[32];
    if (r->current[w] < 0) {
        assert_true(r->count < LEDGER_MAX);
        r->current[w] = r->count++;
        r->ledger[r->current[w]] = (entry){.fate = FATE_OPEN};
    }
    snprintf(value, sizeof value, "t%d", r->current[w]);
    /* Unknown after a failure: whoever takes over aborts it. */
    if (send_value(&r->p, writer, NEW_PRODUCE, topic, value) == BROKER_NONE)
        r->ledger[r->current[w]].values[topic[0] - 'a']++;
    else lose(r, w, FATE_ABORTED);
}

static void finish(run *r, int w) {
    const bool commit = draw(r, 3) > 0;
    if (end(&r->p, &r->writers[w], NEW_END, commit) == BROKER_NONE) {
        r->ledger[r->current[w]].fate = commit ? FATE_COMMITTED : FATE_ABORTED;
        r->current[w] = -1;
    } else {
        lose(r, w, FATE_UNKNOWN);
    }
}

static void step(run *r) {
    const int w = (int)draw(r, WRITERS);
    if (!r->ready[w]) r->ready[w] = init(&r->p, &r->writers[w]) == BROKER_NONE;
    else if (r->current[w] >= 0 && draw(r, 4) == 0) finish(r, w);
    else write_something(r, w);
    weir_arena_reset(&r->p.client.arena);
}

static int count_of(const char *lines, int transaction) {
    char line[32];
    int count = 0;
    snprintf(line, sizeof line, "t%d 0\n", transaction);
    for (const char *at = lines; (at = strstr(at, line)); at += strlen(line)) count += at == lines || at[-1] == '\n';
    return count;
}

/* All of a transaction or nothing of it, whoever asks and whenever. */
static void check_ledger(run *r) {
    static char a[LINES_MAX], b[LINES_MAX];
    memcpy(a, read_topic(&r->p, "a", true), LINES_MAX);
    memcpy(b, read_topic(&r->p, "b", true), LINES_MAX);
    const bool open_a = latest(&r->p, "a", true) < latest(&r->p, "a", false);
    const bool open_b = latest(&r->p, "b", true) < latest(&r->p, "b", false);
    for (int i = 0; i < r->count; i++) {
        entry *one = &r->ledger[i];
        const int in_a = count_of(a, i), in_b = count_of(b, i);
        if (one->fate == FATE_OPEN || one->fate == FATE_ABORTED) assert_int_equal(in_a + in_b, 0);
        /* Committed, and maybe some of it behind the beginning of one that is still open. */
        assert_true(in_a <= one->values[0] && in_b <= one->values[1]);
        if (in_a > 0 && !open_a) assert_int_equal(in_a, one->values[0]);
        if (in_b > 0 && !open_b) assert_int_equal(in_b, one->values[1]);
        if (one->fate == FATE_COMMITTED && !open_a) assert_int_equal(in_a, one->values[0]);
        if (one->fate == FATE_COMMITTED && !open_b) assert_int_equal(in_b, one->values[1]);
        const bool split = (in_a > 0 && one->values[1] > 0 && in_b == 0 && !open_b) ||
                           (in_b > 0 && one->values[0] > 0 && in_a == 0 && !open_a);
        assert_false(split);
    }
}

/* From nothing but the batches of the partition: where the oldest open transaction begins, and which were aborted. */
static void check_raw(run *r, const char *topic) {
    broker_fetch_part part = {
        .target = {.topic = text(topic)}, .current_leader_epoch = -1, .max_bytes = 8 << 20};
    fetch_call raw = {.operation = {.principal = &guard_anonymous,
                                    .parts = &part,
                                    .part_count = 1,
                                    .max_bytes = 8 << 20,
                                    .done = fetch_done}};
    broker_fetch_start(r->p.node.broker, &raw.operation);
    node_until(&r->p.node, &raw.done);
    struct {
        int64_t id, first;
    } open[256];
    size_t open_count = 0, aborted_count = 0;
    log_aborted aborted[LEDGER_MAX], told[LEDGER_MAX];
    for (weir_bytes left = part.bytes; left.size > 0;) {
        wire_batch batch;
        assert_int_equal(wire_batch_parse(left, &batch).code, WEIR_OK);
        left.data += batch.size_bytes;
        left.size -= batch.size_bytes;
        size_t at = 0;
        while (at < open_count && open[at].id != batch.producer_id) at++;
        if (!wire_batch_is(&batch, WIRE_BATCH_CONTROL)) {
            if (at == open_count) {
                open[open_count].id = batch.producer_id;
                open[open_count++].first = batch.base_offset;
            }
            continue;
        }
        wire_records records;
        wire_record record;
        int16_t control;
        assert_int_equal(wire_records_open(&records, &batch, NULL, NULL, 0).code, WEIR_OK);
        assert_true(wire_records_next(&records, &record) && wire_control_of(&record, &control));
        if (at == open_count) continue;
        if (control == WIRE_CONTROL_ABORT)
            aborted[aborted_count++] =
                (log_aborted){batch.producer_id, open[at].first, .last_offset = batch.base_offset};
        memmove(&open[at], &open[at + 1], sizeof open[0] * (open_count - at - 1));
        open_count--;
    }
    log_partition *log = broker_partition(r->p.node.broker, text(topic), 0);
    const int64_t end_offset = log_high_watermark(log);
    assert_int_equal(log_last_stable_offset(log, false), open_count ? open[0].first : end_offset);
    assert_int_equal(log_aborted_in(log, 0, end_offset, told, LEDGER_MAX), aborted_count);
    for (size_t i = 0; i < aborted_count; i++) {
        assert_int_equal(told[i].producer_id, aborted[i].producer_id);
        assert_int_equal(told[i].first_offset, aborted[i].first_offset);
        assert_int_equal(told[i].last_offset, aborted[i].last_offset);
    }
    broker_fetch_release(&raw.operation);
}

static void live(run *r) {
    io_sim_crash_at(r->p.node.sim, io_sim_disk_operations(r->p.node.sim) + 5 + draw(r, 250));
    for (int i = 0; i < STEPS && !io_sim_is_crashed(r->p.node.sim); i++) {
        step(r);
        if (draw(r, 8) == 0 && !io_sim_is_crashed(r->p.node.sim)) check_ledger(r);
    }
    io_sim_crash_at(r->p.node.sim, 0);
    party_crash(&r->p, draw(r, 3) ? IO_SIM_POWER_CUT : IO_SIM_KILL);
    check_ledger(r);
    check_raw(r, "a");
    check_raw(r, "b");
}

static void no_reader_sees_part_of_a_transaction(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        static run r;
        static const char *const ids[WRITERS] = {"w0", "w1", "w2"};
        r = (run){.state = seed};
        for (int w = 0; w < WRITERS; w++) {
            r.writers[w].id = ids[w];
            r.current[w] = -1;
        }
        party_begin(&r.p, seed);
        for (int i = 0; i < LIVES; i++) live(&r);
        /* Everybody comes back: nothing is left open, and what was answered counts. */
        for (int w = 0; w < WRITERS; w++) {
            if (r.current[w] >= 0) lose(&r, w, FATE_ABORTED);
            assert_int_equal(init(&r.p, &r.writers[w]), BROKER_NONE);
        }
        assert_int_equal(latest(&r.p, "a", true), latest(&r.p, "a", false));
        assert_int_equal(latest(&r.p, "b", true), latest(&r.p, "b", false));
        check_ledger(&r);
        party_end(&r.p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_shows_everything_at_once),
        cmocka_unit_test(an_abort_leaves_nothing_to_readers_of_committed_records),
        cmocka_unit_test(a_new_producer_fences_the_one_before),
        cmocka_unit_test(an_id_is_raised_once_for_one_request),
        cmocka_unit_test(a_transaction_that_nobody_ends_times_out),
        cmocka_unit_test(an_old_client_names_its_partitions_and_keeps_its_epoch),
        cmocka_unit_test(epochs_end_with_a_new_id),
        cmocka_unit_test(offsets_wait_for_their_transaction),
        cmocka_unit_test(transactions_are_listed_and_described),
        cmocka_unit_test(an_end_is_one_wherever_the_power_goes),
        cmocka_unit_test(a_disk_that_fails_ends_nothing),
        cmocka_unit_test(no_reader_sees_part_of_a_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
