/* Goal: what Kafka clients meet at the door: frames and their order, versions, codecs passed through, duplicates, long
 * polls, cuts and rubbish.
 * Method: a hand-driven client on a simulated link encodes requests with wire and reads answers byte by byte. */
#include "broker/door_test.h"

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void fill_produce(door_client *client, wire_produce_request *request, int version, const char *topic,
                         int16_t acks, weir_bytes records) {
    wire_produce_request_init(request);
    request->acks = acks;
    request->timeout_ms = 1000;
    request->topic_data.items = wire_produce_request_topic_produce_data_new(&client->arena, 1);
    request->topic_data.count = 1;
    wire_produce_request_topic_produce_data *data = request->topic_data.items;
    if (version < 13) data->name = text(topic);
    else memcpy(data->topic_id.bytes, broker_topic_find(client->node->broker, text(topic))->id, 16);
    data->partition_data.items = wire_produce_request_partition_produce_data_new(&client->arena, 1);
    data->partition_data.count = 1;
    data->partition_data.items[0].records = records;
}

static int16_t produce(door_client *client, int version, const char *topic, weir_bytes records, int64_t *offset) {
    wire_produce_request request;
    wire_produce_response response;
    fill_produce(client, &request, version, topic, -1, records);
    call(client, WIRE_API_PRODUCE, version, &request, &response);
    *offset = response.responses.items[0].partition_responses.items[0].base_offset;
    return response.responses.items[0].partition_responses.items[0].error_code;
}

static void fill_fetch(door_client *client, wire_fetch_request *request, int version, const char *topic, int64_t offset,
                       int32_t wait_ms) {
    wire_fetch_request_init(request);
    request->max_wait_ms = wait_ms;
    request->min_bytes = 1;
    request->max_bytes = 1 << 20;
    if (version >= 7) request->session_epoch = -1;
    request->topics.items = wire_fetch_request_topic_new(&client->arena, 1);
    request->topics.count = 1;
    if (version < 13) request->topics.items[0].topic = text(topic);
    else memcpy(request->topics.items[0].topic_id.bytes, broker_topic_find(client->node->broker, text(topic))->id, 16);
    request->topics.items[0].partitions.items = wire_fetch_request_partition_new(&client->arena, 1);
    request->topics.items[0].partitions.count = 1;
    request->topics.items[0].partitions.items[0].fetch_offset = offset;
    request->topics.items[0].partitions.items[0].partition_max_bytes = 1 << 20;
}

static const wire_fetch_response_partition_data *fetch(door_client *client, int version, const char *topic,
                                                       int64_t offset, wire_fetch_response *response) {
    wire_fetch_request request;
    fill_fetch(client, &request, version, topic, offset, 0);
    call(client, WIRE_API_FETCH, version, &request, response);
    assert_int_equal(response->session_id, 0);
    return &response->responses.items[0].partitions.items[0];
}

/* ---- stories ----------------------------------------------------------------------------------------------------- */

static void test_versions_are_told_even_to_the_unknown(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 1);
    client_open(&client, &node, door(&node));
    wire_api_versions_request request;
    wire_api_versions_response response;
    wire_api_versions_request_init(&request);
    request.client_software_name = text("test");
    request.client_software_version = text("1");
    for (int version = 0; version <= 4; version++) {
        call(&client, WIRE_API_API_VERSIONS, version, &request, &response);
        assert_int_equal(response.error_code, 0);
        assert_int_equal(response.api_keys.count, WIRE_API_COUNT);
        if (version < 3) continue;
        /* Clients use transactions as of KIP-890 by this; before version 4 a lowest version of 0 is not told: of groups
         * and of transactions. */
        const wire_api_versions_response_finalized_feature_key *last =
            &response.finalized_features.items[response.finalized_features.count - 1];
        assert_true(weir_bytes_equal_text(last->name, "transaction.version"));
        assert_int_equal(last->max_version_level, 2);
        assert_int_equal(response.finalized_features.count - response.supported_features.count, version < 4 ? 2 : 0);
    }
    for (int32_t i = 0; i < response.api_keys.count; i++) {
        if (response.api_keys.items[i].api_key == WIRE_API_PRODUCE)
            assert_int_equal(response.api_keys.items[i].min_version, 0);
    }
    const uint8_t future[] = {0, 0, 0, 12, 0, WIRE_API_API_VERSIONS, 0, 99, 0, 0, 0, 77, 0xff, 0xff, 0, 0};
    weir_buffer_append(&client.out, future, sizeof future);
    flush(&client);
    assert_true(hear(&client, WIRE_API_API_VERSIONS, 0, 77, &response));
    assert_int_equal(response.error_code, BROKER_UNSUPPORTED_VERSION);
    assert_int_equal(response.api_keys.count, WIRE_API_COUNT);
    client_close(&client);
    node_end(&node);
}

/* Every version of produce and fetch, every codec: the bytes come out as they went in, but for offset and epoch. */
static void test_batches_pass_through_in_every_version(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 2);
    node_create(&node, "t", 1, NULL, 0);
    client_open(&client, &node, door(&node));
    int64_t offset = 0;
    for (int version = 3; version <= 13; version++) {
        for (int codec = WIRE_CODEC_NONE; codec < WIRE_CODEC_COUNT; codec++) {
            weir_buffer batch;
            wire_batch_options options = wire_batch_options_default;
            options.codec = (wire_codec)codec;
            options.level = WIRE_LEVEL_DEFAULT;
            weir_buffer_init(&batch, &node.account, 1 << 20);
            node_batch(&node, &batch, "some text that can be compressed, some text that can", 5, &options);
            int64_t base;
            const int16_t error = produce(&client, version, "t", weir_buffer_view(&batch), &base);
            if (codec == WIRE_CODEC_ZSTD && version < 7) {
                assert_int_equal(error, BROKER_UNSUPPORTED_COMPRESSION_TYPE);
            } else {
                assert_int_equal(error, 0);
                assert_int_equal(base, offset);
                const int fetch_version = 4 + (version + codec) % 15;
                wire_fetch_response response;
                const wire_fetch_response_partition_data *part = fetch(&client, fetch_version, "t", offset, &response);
                if (codec == WIRE_CODEC_ZSTD && fetch_version < 10) {
                    assert_int_equal(part->error_code, BROKER_UNSUPPORTED_COMPRESSION_TYPE);
                } else {
                    assert_int_equal(part->error_code, 0);
                    assert_int_equal(part->high_watermark, offset + 5);
                    assert_int_equal(part->records.size, batch.size);
                    assert_int_equal(weir_read_be64(part->records.data), offset);
                    assert_memory_equal(part->records.data + 16, batch.data + 16, batch.size - 16);
                }
                offset += 5;
            }
            weir_buffer_deinit(&batch);
        }
        weir_arena_reset(&client.arena);
    }
    client_close(&client);
    node_end(&node);
}

static void test_pipelined_requests_are_answered_in_order(void **state) {
    (void)state;
    for (uint64_t seed = 30; seed < 50; seed++) {
        node_world node;
        door_client client;
        node_begin(&node, seed);
        node_create(&node, "t", 1, NULL, 0);
        client_open(&client, &node, door(&node));
        weir_buffer batch;
        weir_buffer_init(&batch, &node.account, 1 << 20);
        node_batch(&node, &batch, "x", 1, &wire_batch_options_default);
        wire_produce_request produced;
        wire_heartbeat_request beat;
        wire_heartbeat_request_init(&beat);
        beat.group_id = beat.member_id = text("nobody");
        enum { ROUNDS = 40 };
        int32_t ids[ROUNDS];
        for (int i = 0; i < ROUNDS; i++) {
            fill_produce(&client, &produced, 9, "t", -1, weir_buffer_view(&batch));
            ids[i] =
                i % 4 == 3 ? ask(&client, WIRE_API_HEARTBEAT, 4, &beat) : ask(&client, WIRE_API_PRODUCE, 9, &produced);
        }
        flush(&client);
        int64_t offset = 0;
        for (int i = 0; i < ROUNDS; i++) {
            if (i % 4 == 3) {
                wire_heartbeat_response response;
                assert_true(hear(&client, WIRE_API_HEARTBEAT, 4, ids[i], &response));
                assert_int_equal(response.error_code, BROKER_UNKNOWN_MEMBER_ID);
            } else {
                wire_produce_response response;
                assert_true(hear(&client, WIRE_API_PRODUCE, 9, ids[i], &response));
                assert_int_equal(response.responses.items[0].partition_responses.items[0].error_code, 0);
                assert_int_equal(response.responses.items[0].partition_responses.items[0].base_offset, offset++);
            }
        }
        weir_buffer_deinit(&batch);
        client_close(&client);
        node_end(&node);
    }
}

static void test_a_duplicate_gets_the_first_answer(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 3);
    node_create(&node, "t", 1, NULL, 0);
    client_open(&client, &node, door(&node));
    wire_init_producer_id_request request;
    wire_init_producer_id_response producer;
    wire_init_producer_id_request_init(&request);
    request.transactional_id = (weir_bytes){0};
    call(&client, WIRE_API_INIT_PRODUCER_ID, 4, &request, &producer);
    assert_int_equal(producer.error_code, 0);
    wire_batch_options options = wire_batch_options_default;
    options.producer_id = producer.producer_id;
    options.producer_epoch = producer.producer_epoch;
    options.base_sequence = 0;
    weir_buffer batch;
    weir_buffer_init(&batch, &node.account, 1 << 20);
    node_batch(&node, &batch, "once", 2, &options);
    int64_t offset;
    assert_int_equal(produce(&client, 9, "t", weir_buffer_view(&batch), &offset), 0);
    assert_int_equal(offset, 0);
    assert_int_equal(produce(&client, 9, "t", weir_buffer_view(&batch), &offset), 0);
    assert_int_equal(offset, 0);
    wire_fetch_response response;
    assert_int_equal(fetch(&client, 12, "t", 0, &response)->high_watermark, 2);
    weir_buffer_deinit(&batch);
    client_close(&client);
    node_end(&node);
}

static void test_a_long_poll_hears_the_record(void **state) {
    (void)state;
    node_world node;
    door_client reader, writer;
    node_begin(&node, 4);
    node_create(&node, "t", 1, NULL, 0);
    const uint16_t port = door(&node);
    client_open(&reader, &node, port);
    client_open(&writer, &node, port);
    wire_fetch_request request;
    wire_fetch_response response;
    fill_fetch(&reader, &request, 16, "t", 0, 3600000);
    const int32_t id = ask(&reader, WIRE_API_FETCH, 16, &request);
    flush(&reader);
    node_for_ms(&node, 5000);
    assert_int_equal(reader.in.size, 0);
    weir_buffer batch;
    weir_buffer_init(&batch, &node.account, 1 << 20);
    node_batch(&node, &batch, "news", 1, &wire_batch_options_default);
    wire_produce_request produced;
    fill_produce(&writer, &produced, 9, "t", 0, weir_buffer_view(&batch)); /* acks=0: no answer */
    ask(&writer, WIRE_API_PRODUCE, 9, &produced);
    flush(&writer);
    assert_true(hear(&reader, WIRE_API_FETCH, 16, id, &response));
    assert_int_equal(response.responses.items[0].partitions.items[0].records.size, batch.size);
    assert_int_equal(writer.in.size, 0);
    ask(&reader, WIRE_API_FETCH, 16, &request); /* and one that is cut off while it waits */
    request.topics.items[0].partitions.items[0].fetch_offset = 1;
    ask(&reader, WIRE_API_FETCH, 16, &request);
    flush(&reader);
    node_for_ms(&node, 100);
    weir_buffer_deinit(&batch);
    client_close(&reader);
    client_close(&writer);
    node_end(&node);
}

static void test_metadata_makes_topics_and_tells_where_it_was_asked(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 5);
    const uint16_t port = door(&node);
    client_open(&client, &node, port);
    for (int version = 0; version <= 13; version++) {
        wire_metadata_request request;
        wire_metadata_response response;
        char name[32];
        snprintf(name, sizeof name, "auto-%d", version);
        wire_metadata_request_init(&request);
        request.topics.items = wire_metadata_request_topic_new(&client.arena, 2);
        request.topics.count = 2;
        request.topics.items[0].name = text(name);
        request.topics.items[1].name = text("not a name");
        call(&client, WIRE_API_METADATA, version, &request, &response);
        assert_int_equal(response.brokers.count, 1);
        assert_true(weir_bytes_equal_text(response.brokers.items[0].host, "127.0.0.1"));
        assert_int_equal(response.brokers.items[0].port, port);
        assert_int_equal(response.topics.count, 2);
        assert_int_equal(response.topics.items[0].error_code, 0);
        assert_int_equal(response.topics.items[0].partitions.count, 1);
        assert_int_equal(response.topics.items[1].error_code, BROKER_INVALID_TOPIC_EXCEPTION);
        request.topics.count = version == 0 ? 0 : -1;
        call(&client, WIRE_API_METADATA, version, &request, &response);
        assert_int_equal(response.topics.count, version + 2);
        if (version < 4) continue;
        request.topics.count = 1;
        request.topics.items[0].name = text("not-made");
        request.allow_auto_topic_creation = false;
        call(&client, WIRE_API_METADATA, version, &request, &response);
        assert_int_equal(response.topics.items[0].error_code, BROKER_UNKNOWN_TOPIC_OR_PARTITION);
    }
    /* By id a name may be empty or null; consumers of the consumer protocol ask so. */
    for (int empty = 0; empty < 2; empty++) {
        wire_metadata_request request;
        wire_metadata_response response;
        wire_metadata_request_init(&request);
        request.topics.items = wire_metadata_request_topic_new(&client.arena, 2);
        request.topics.count = 2;
        memcpy(request.topics.items[0].topic_id.bytes, broker_topic_find(node.broker, text("auto-3"))->id, 16);
        request.topics.items[1].topic_id.bytes[0] = 1;
        for (int i = 0; i < 2; i++) request.topics.items[i].name = empty ? text("") : (weir_bytes){0};
        call(&client, WIRE_API_METADATA, 13, &request, &response);
        assert_true(weir_bytes_equal_text(response.topics.items[0].name, "auto-3"));
        assert_int_equal(response.topics.items[0].error_code, 0);
        assert_int_equal(response.topics.items[1].error_code, BROKER_UNKNOWN_TOPIC_ID);
    }
    io_address bound;
    assert_int_equal(broker_listen(node.broker, "PUBLIC", "127.0.0.1", 0, "0.0.0.0", 0, &bound).code, WEIR_INVALID);
    assert_int_equal(broker_listen(node.broker, "PUBLIC", "127.0.0.1", 0, "kafka.example", 9999, &bound).code, WEIR_OK);
    client_close(&client);
    client_open(&client, &node, bound.port);
    wire_find_coordinator_request request;
    wire_find_coordinator_response response;
    wire_find_coordinator_request_init(&request);
    request.key = text("g");
    call(&client, WIRE_API_FIND_COORDINATOR, 2, &request, &response);
    assert_true(weir_bytes_equal_text(response.host, "kafka.example"));
    assert_int_equal(response.port, 9999);
    client_close(&client);
    node_end(&node);
}

/* Every request, with nothing in it but defaults, in every version: an answer that decodes. What a handler fills in
 * must be sayable in the version it answers. */
static void test_every_api_answers_in_every_version(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 6);
    node_create(&node, "t", 2, NULL, 0);
    const uint16_t port = door(&node);
    client_open(&client, &node, port);
    for (int i = 0; i < WIRE_API_COUNT; i++) {
        const wire_api *api = &wire_apis[i];
        for (int version = api->min; version <= api->max; version++) {
            void *request = weir_arena_alloc(&client.arena, wire_messages[api->request].body->size);
            void *response = weir_arena_alloc(&client.arena, wire_messages[api->response].body->size);
            wire_init((wire_message_id)api->request, request);
            if (api->key == WIRE_API_PRODUCE) ((wire_produce_request *)request)->acks = -1; /* 0 asks for no answer */
            const int32_t id = ask(&client, api->key, version, request);
            flush(&client);
            const bool answered = hear(&client, api->key, version, id, response);
            if (!answered) fprintf(stderr, "%s v%d closed the connection\n", api->name, version);
            assert_true(answered);
        }
        weir_arena_reset(&client.arena);
    }
    client_close(&client);
    node_end(&node);
}

/* librdkafka 2.0 writes bytes behind the last field of ListGroups 4 and OffsetFetch 7; Kafka does not look at them. */
static void test_bytes_behind_a_request_are_ignored(void **state) {
    (void)state;
    node_world node;
    door_client client;
    node_begin(&node, 6);
    const uint16_t port = door(&node);
    client_open(&client, &node, port);
    for (int version = 0; version <= 5; version++) {
        wire_list_groups_request request;
        wire_list_groups_response response;
        wire_list_groups_request_init(&request);
        const size_t start = client.out.size;
        const int32_t id = ask(&client, WIRE_API_LIST_GROUPS, version, &request);
        weir_buffer_append(&client.out, "\0\1\2", 3);
        weir_write_be32(client.out.data + start, (uint32_t)(client.out.size - start - 4));
        flush(&client);
        assert_true(hear(&client, WIRE_API_LIST_GROUPS, version, id, &response));
        assert_int_equal(response.error_code, 0);
    }
    client_close(&client);
    node_end(&node);
}

static void test_rubbish_closes_one_connection(void **state) {
    (void)state;
    node_world node;
    door_client good, bad;
    node_begin(&node, 7);
    node_create(&node, "t", 1, NULL, 0);
    const uint16_t port = door(&node);
    client_open(&good, &node, port);
    weir_buffer batch;
    weir_buffer_init(&batch, &node.account, 1 << 20);
    node_batch(&node, &batch, "x", 3, &wire_batch_options_default);
    for (int i = 0; i < 300; i++) {
        client_open(&bad, &node, port);
        if (i % 3 == 0) { /* noise */
            uint8_t noise[64];
            for (size_t n = 0; n < sizeof noise; n++) noise[n] = (uint8_t)io_sim_draw(node.sim, 256);
            weir_buffer_append(&bad.out, noise, sizeof noise);
        } else { /* a right request with one byte changed, or cut and closed */
            wire_produce_request request;
            fill_produce(&bad, &request, 3 + i % 11, "t", -1, weir_buffer_view(&batch));
            ask(&bad, WIRE_API_PRODUCE, 3 + i % 11, &request);
            const size_t at = 4 + (size_t)io_sim_draw(node.sim, bad.out.size - 4);
            if (i % 3 == 1) bad.out.data[at] ^= (uint8_t)(1 + io_sim_draw(node.sim, 255));
            else bad.out.size = at;
        }
        flush(&bad);
        node_for_ms(&node, 20);
        client_close(&bad);
    }
    int64_t offset;
    assert_int_equal(produce(&good, 9, "t", weir_buffer_view(&batch), &offset), 0);
    weir_buffer_deinit(&batch);
    client_close(&good);
    node_end(&node);
}

/* Links that break while requests and answers are on their way leave nothing behind: the accounts of the broker prove
 * it when it is closed. */
static void test_links_break(void **state) {
    (void)state;
    for (uint64_t seed = 200; seed < 230; seed++) {
        node_world node;
        door_client clients[4];
        node_begin(&node, seed);
        node_create(&node, "t", 1, NULL, 0);
        const uint16_t port = door(&node);
        weir_buffer batch;
        weir_buffer_init(&batch, &node.account, 1 << 20);
        node_batch(&node, &batch, "x", 100, &wire_batch_options_default);
        for (int c = 0; c < 4; c++) client_open(&clients[c], &node, port);
        for (int c = 0; c < 4; c++) {
            wire_produce_request produced;
            wire_fetch_request fetched;
            for (int i = 0; i < 5; i++) {
                fill_produce(&clients[c], &produced, 9, "t", -1, weir_buffer_view(&batch));
                ask(&clients[c], WIRE_API_PRODUCE, 9, &produced);
                fill_fetch(&clients[c], &fetched, 12, "t", 0, 1000);
                ask(&clients[c], WIRE_API_FETCH, 12, &fetched);
            }
            flush(&clients[c]);
        }
        io_sim_run(node.sim, NULL, NULL, io_sim_draw(node.sim, 2000));
        io_sim_drop_links(node.sim, 1 + (unsigned)io_sim_draw(node.sim, 2));
        node_for_ms(&node, 100);
        for (int c = 0; c < 4; c++) client_close(&clients[c]);
        weir_buffer_deinit(&batch);
        node_end(&node);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions_are_told_even_to_the_unknown),
        cmocka_unit_test(test_batches_pass_through_in_every_version),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_a_duplicate_gets_the_first_answer),
        cmocka_unit_test(test_a_long_poll_hears_the_record),
        cmocka_unit_test(test_metadata_makes_topics_and_tells_where_it_was_asked),
        cmocka_unit_test(test_every_api_answers_in_every_version),
        cmocka_unit_test(test_bytes_behind_a_request_are_ignored),
        cmocka_unit_test(test_rubbish_closes_one_connection),
        cmocka_unit_test(test_links_break),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
