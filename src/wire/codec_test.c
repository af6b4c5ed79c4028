/* Goal: every message in every version survives the trip to bytes and back, no bytes can hurt the decoder, and weir's
 * bytes are Kafka's.
 * Method: the tables themselves drive random messages through encode and decode; each is then cut at every byte and
 * mutated. A few encodings worked out by hand from the protocol guide pin the bytes. What a version cannot say, and
 * what the errors read like, are told one by one. */
#include "wire/random_message.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ARENA_BYTES_MAX = 4 << 20, BUFFER_BYTES_MAX = 4 << 20, STRUCT_BYTES_MAX = 4096 };

typedef struct test_bench {
    weir_account account;
    weir_arena source, target;
    weir_buffer first, second;
} test_bench;

static int bench_open(void **state) {
    static test_bench bench;
    weir_account_init(&bench.account, "codec test", 0);
    weir_arena_init(&bench.source, &bench.account, ARENA_BYTES_MAX);
    weir_arena_init(&bench.target, &bench.account, ARENA_BYTES_MAX);
    weir_buffer_init(&bench.first, &bench.account, BUFFER_BYTES_MAX);
    weir_buffer_init(&bench.second, &bench.account, BUFFER_BYTES_MAX);
    *state = &bench;
    return 0;
}

static int bench_close(void **state) {
    test_bench *bench = *state;
    weir_arena_deinit(&bench->source);
    weir_arena_deinit(&bench->target);
    weir_buffer_deinit(&bench->first);
    weir_buffer_deinit(&bench->second);
    weir_account_deinit(&bench->account);
    return 0;
}

static void bench_clear(test_bench *bench) {
    weir_arena_reset(&bench->source);
    weir_arena_reset(&bench->target);
    weir_buffer_clear(&bench->first);
    weir_buffer_clear(&bench->second);
}

static void assert_ok(weir_status status) {
    if (weir_failed(status)) fail_msg("%s: %s", weir_code_name(status.code), status.text);
}
static void assert_fails(weir_status status, weir_code code, const char *text) {
    assert_int_equal(status.code, code);
    assert_string_equal(status.text, text);
}

/* A random message of the seed, encoded into bench->first. The source is in `source`. */
static void encode_random(test_bench *bench, wire_message_id id, int version, uint64_t seed, int32_t items_max,
                          void *source) {
    const wire_struct *body = wire_messages[id].body;
    assert_true(body->size <= STRUCT_BYTES_MAX);
    bench_clear(bench);
    random_source random = {.seed = seed, .arena = &bench->source, .version = version, .items_max = items_max};
    random_struct(&random, body, source);
    assert_ok(wire_encode(id, version, source, &bench->first));
}

static void every_message_in_every_version_makes_the_round_trip(void **state) {
    test_bench *bench = *state;
    _Alignas(16) uint8_t source[STRUCT_BYTES_MAX], target[STRUCT_BYTES_MAX];
    for (int id = 0; id < WIRE_MESSAGE_COUNT; id++) {
        const wire_message *message = &wire_messages[id];
        for (int version = message->min; version <= message->max; version++) {
            for (uint64_t seed = 1; seed <= 20; seed++) {
                encode_random(bench, (wire_message_id)id, version, seed, 3, source);
                memset(target, 0xee, sizeof target);
                const weir_bytes bytes = weir_buffer_view(&bench->first);
                assert_ok(wire_decode((wire_message_id)id, version, bytes, &bench->target, target));
                if (!same_struct(message->body, source, target)) {
                    fail_msg("%s v%d seed %d comes back different", message->name, version, (int)seed);
                }
                size_t size_bytes = 0;
                assert_ok(wire_size((wire_message_id)id, version, target, &size_bytes));
                assert_int_equal(size_bytes, bytes.size);
                assert_ok(wire_encode((wire_message_id)id, version, target, &bench->second));
                assert_true(weir_bytes_equal(bytes, weir_buffer_view(&bench->second)));
            }
        }
    }
}

/* Every cut must be CORRUPT: no message of a prefix of its bytes is whole. */
static void every_message_cut_at_every_byte_is_corrupt(void **state) {
    test_bench *bench = *state;
    _Alignas(16) uint8_t source[STRUCT_BYTES_MAX], target[STRUCT_BYTES_MAX];
    for (int id = 0; id < WIRE_MESSAGE_COUNT; id++) {
        for (int version = wire_messages[id].min; version <= wire_messages[id].max; version++) {
            encode_random(bench, (wire_message_id)id, version, 7, 2, source);
            for (size_t cut = 0; cut < bench->first.size; cut++) {
                weir_arena_reset(&bench->target);
                /* A copy of exactly the cut's size, so that the address sanitizer sees one byte too many. */
                uint8_t *copy = weir_alloc(&bench->account, cut + 1);
                uint8_t *bytes = copy + 1;
                memcpy(bytes, bench->first.data, cut);
                const weir_status status =
                    wire_decode((wire_message_id)id, version, weir_bytes_of(bytes, cut), &bench->target, target);
                if (status.code != WEIR_CORRUPT) {
                    fail_msg("%s v%d cut at %zu of %zu: %s", wire_messages[id].name, version, cut, bench->first.size,
                             weir_code_name(status.code));
                }
                weir_free(&bench->account, copy);
            }
        }
    }
}

/* A mutated message decodes or fails; when it decodes it must encode again, and that must decode to the same. */
static void mutated_messages_do_no_harm(void **state) {
    test_bench *bench = *state;
    _Alignas(16) uint8_t source[STRUCT_BYTES_MAX], target[STRUCT_BYTES_MAX], again[STRUCT_BYTES_MAX];
    uint64_t seed = 42;
    int decoded = 0, refused = 0;
    for (int id = 0; id < WIRE_MESSAGE_COUNT; id++) {
        for (int version = wire_messages[id].min; version <= wire_messages[id].max; version++) {
            for (int round = 0; round < 40; round++) {
                encode_random(bench, (wire_message_id)id, version, random_next(&seed), 2, source);
                for (int flips = 0; flips < 3 && bench->first.size; flips++) {
                    bench->first.data[random_next(&seed) % bench->first.size] = (uint8_t)random_next(&seed);
                }
                const weir_bytes bytes = weir_buffer_view(&bench->first);
                const weir_status status = wire_decode((wire_message_id)id, version, bytes, &bench->target, target);
                if (weir_failed(status)) {
                    assert_true(status.code == WEIR_CORRUPT || status.code == WEIR_NO_MEMORY);
                    refused++;
                    continue;
                }
                decoded++;
                assert_ok(wire_encode((wire_message_id)id, version, target, &bench->second));
                assert_ok(
                    wire_decode((wire_message_id)id, version, weir_buffer_view(&bench->second), &bench->source, again));
                assert_true(same_struct(wire_messages[id].body, target, again));
            }
        }
    }
    assert_true(decoded > 1000 && refused > 1000); /* both paths were walked */
}

static void defaults_are_kafkas(void **state) {
    (void)state;
    wire_fetch_request fetch;
    wire_init(WIRE_FETCH_REQUEST, &fetch);
    assert_null(fetch.cluster_id.data);
    assert_int_equal(fetch.replica_id, -1);
    assert_int_equal(fetch.replica_state.replica_epoch, -1);
    assert_int_equal(fetch.max_bytes, INT32_MAX);
    assert_int_equal(fetch.topics.count, 0);
    assert_non_null(fetch.rack_id.data);
    assert_int_equal(fetch.rack_id.size, 0);
    wire_metadata_request metadata;
    wire_metadata_request_init(&metadata);
    assert_true(metadata.allow_auto_topic_creation);
}

/* A Fetch of version 4 knows nothing of sessions; the decoder fills in what Kafka would. */
static void fields_of_later_versions_get_their_defaults(void **state) {
    test_bench *bench = *state;
    wire_fetch_request request, decoded;
    wire_fetch_request_init(&request);
    request.session_id = 9; /* ignorable: not sent */
    request.min_bytes = 1;
    assert_ok(wire_encode(WIRE_FETCH_REQUEST, 4, &request, &bench->first));
    assert_ok(wire_decode(WIRE_FETCH_REQUEST, 4, weir_buffer_view(&bench->first), &bench->target, &decoded));
    assert_int_equal(decoded.session_id, 0);
    assert_int_equal(decoded.session_epoch, -1);
    assert_int_equal(decoded.min_bytes, 1);
}

static void what_a_version_cannot_say_is_refused_by_name(void **state) {
    test_bench *bench = *state;
    weir_buffer_append_text(&bench->first, "before");
    wire_heartbeat_request heartbeat;
    wire_heartbeat_request_init(&heartbeat);
    heartbeat.group_instance_id = weir_bytes_text("static");
    assert_fails(wire_encode(WIRE_HEARTBEAT_REQUEST, 2, &heartbeat, &bench->first), WEIR_INVALID,
                 "Heartbeat v2 field group_instance_id: is set, but this version has no such field");
    assert_ok(wire_encode(WIRE_HEARTBEAT_REQUEST, 3, &heartbeat, &bench->second));

    wire_metadata_request metadata;
    wire_metadata_request_init(&metadata);
    metadata.topics.count = -1;
    assert_fails(wire_encode(WIRE_METADATA_REQUEST, 0, &metadata, &bench->first), WEIR_INVALID,
                 "Metadata v0 field topics: null, which this version does not allow");

    wire_fetch_response_partition_data partition;
    wire_fetch_response_partition_data_init(&partition);
    partition.preferred_read_replica = 5;
    wire_fetch_response_fetchable_topic_response topic = {.partitions = {&partition, 1}};
    wire_fetch_response fetch;
    wire_fetch_response_init(&fetch);
    fetch.responses.items = &topic;
    fetch.responses.count = 1;
    assert_fails(wire_encode(WIRE_FETCH_RESPONSE, 10, &fetch, &bench->first), WEIR_INVALID,
                 "Fetch response v10 field responses[0].partitions[0].preferred_read_replica: is set, but this version "
                 "has no such field");

    heartbeat.group_id = weir_bytes_of(bench, WIRE_STRING_BYTES_MAX + 1);
    assert_fails(wire_encode(WIRE_HEARTBEAT_REQUEST, 4, &heartbeat, &bench->first), WEIR_INVALID,
                 "Heartbeat v4 field group_id: a string of more than 32767 bytes");
    assert_fails(wire_encode(WIRE_HEARTBEAT_REQUEST, 5, &heartbeat, &bench->first), WEIR_UNSUPPORTED,
                 "Heartbeat v5: weir speaks versions 0 to 4");
    assert_string_equal(weir_buffer_text(&bench->first), "before");
}

static void a_full_buffer_is_left_as_it_was(void **state) {
    test_bench *bench = *state;
    weir_buffer small;
    weir_buffer_init(&small, &bench->account, 10);
    weir_buffer_append_text(&small, "1234");
    wire_heartbeat_request heartbeat;
    wire_heartbeat_request_init(&heartbeat);
    heartbeat.group_id = weir_bytes_text("orders");
    assert_fails(wire_encode(WIRE_HEARTBEAT_REQUEST, 0, &heartbeat, &small), WEIR_NO_MEMORY,
                 "Heartbeat v0: no room for its 14 bytes in a buffer of at most 10");
    assert_int_equal(small.size, 4);
    weir_buffer_deinit(&small);
}

static void damage_is_told_with_field_and_byte(void **state) {
    test_bench *bench = *state;
    wire_heartbeat_request heartbeat;
    const uint8_t short_field[] = {0x02, 'g', 0x00};
    assert_fails(wire_decode(WIRE_HEARTBEAT_REQUEST, 4, weir_bytes_of(short_field, 3), &bench->target, &heartbeat),
                 WEIR_CORRUPT, "Heartbeat v4 field generation_id at byte 2: needs 4 bytes, 1 left");
    const uint8_t null_text[] = {0xff, 0xff};
    assert_fails(wire_decode(WIRE_HEARTBEAT_REQUEST, 0, weir_bytes_of(null_text, 2), &bench->target, &heartbeat),
                 WEIR_CORRUPT, "Heartbeat v0 field group_id at byte 0: null, which this version does not allow");
    const uint8_t left_over[] = {0, 1, 'g', 0, 0, 0, 1, 0, 0, 99};
    assert_fails(wire_decode(WIRE_HEARTBEAT_REQUEST, 0, weir_bytes_of(left_over, 10), &bench->target, &heartbeat),
                 WEIR_CORRUPT, "Heartbeat v0: ends at byte 9 of 10");
}

/* Two billion topics in six bytes: refused before the arena is asked. */
static void a_count_is_held_against_the_bytes_left(void **state) {
    test_bench *bench = *state;
    const uint8_t many[] = {0x7f, 0xff, 0xff, 0xff, 0x00, 0x00};
    wire_metadata_request metadata;
    assert_fails(wire_decode(WIRE_METADATA_REQUEST, 1, weir_bytes_of(many, sizeof many), &bench->target, &metadata),
                 WEIR_CORRUPT, "Metadata v1 field topics at byte 0: more items than the bytes left can hold");
    assert_int_equal(bench->target.total_bytes, 0);
}

/* Heartbeat response v4 with an unknown tag 5 of three bytes. */
static void unknown_tagged_fields_are_skipped(void **state) {
    test_bench *bench = *state;
    const uint8_t bytes[] = {0, 0, 0, 7, 0, 27, 1, 5, 3, 'x', 'y', 'z'};
    wire_heartbeat_response response;
    assert_ok(wire_decode(WIRE_HEARTBEAT_RESPONSE, 4, weir_bytes_of(bytes, sizeof bytes), &bench->target, &response));
    assert_int_equal(response.throttle_time_ms, 7);
    assert_int_equal(response.error_code, 27);
    uint8_t damaged[sizeof bytes];
    memcpy(damaged, bytes, sizeof bytes);
    damaged[8] = 9;
    assert_fails(
        wire_decode(WIRE_HEARTBEAT_RESPONSE, 4, weir_bytes_of(damaged, sizeof damaged), &bench->target, &response),
        WEIR_CORRUPT, "Heartbeat response v4 field (tagged fields) at byte 7: needs 9 bytes, 3 left");
}

static void assert_encoded(test_bench *bench, const uint8_t *expected, size_t size) {
    assert_int_equal(bench->first.size, size);
    assert_memory_equal(bench->first.data, expected, size);
}

/* ApiVersions v3: header version 2 with a two-byte client id and no tags, then two compact strings and no tags. */
static void an_api_versions_request_has_kafkas_bytes(void **state) {
    test_bench *bench = *state;
    const uint8_t expected[] = {0, 0, 0,   31,  0,   18,  0,   3,   0,   0,   0, 42,  0,   4,   'w', 'e', 'i', 'r',
                                0, 9, 'r', 'd', 'k', 'a', 'f', 'k', 'a', '!', 6, '2', '.', '3', '.', '0', 0};
    wire_api_versions_request request;
    wire_api_versions_request_init(&request);
    request.client_software_name = weir_bytes_text("rdkafka!");
    request.client_software_version = weir_bytes_text("2.3.0");
    const wire_api *api = wire_api_of(WIRE_API_API_VERSIONS);
    assert_ok(wire_encode_request(api, 3, 42, weir_bytes_text("weir"), &request, &bench->first));
    assert_encoded(bench, expected, sizeof expected);

    weir_bytes frame = {bench->first.data + 4, bench->first.size - 4};
    wire_request_header header;
    assert_ok(wire_decode_request_header(&frame, &bench->target, &header, &api));
    assert_int_equal(header.correlation_id, 42);
    assert_true(weir_bytes_equal_text(header.client_id, "weir"));
    wire_api_versions_request decoded;
    assert_ok(wire_decode(WIRE_API_VERSIONS_REQUEST, header.request_api_version, frame, &bench->target, &decoded));
    assert_true(weir_bytes_equal_text(decoded.client_software_version, "2.3.0"));
}

/* Its response keeps header version 0 in a flexible version: no tag byte after the correlation id. */
static void an_api_versions_response_has_the_oldest_header(void **state) {
    test_bench *bench = *state;
    const uint8_t expected[] = {0, 0, 0, 29, 0, 0, 0, 42, 0, 0, 2, 0, 1, 0, 4, 0, 18,
                                0, 0, 0, 0,  0, 1, 1, 8,  0, 0, 0, 0, 0, 0, 0, 9};
    wire_api_versions_response response;
    wire_api_versions_response_init(&response);
    wire_api_versions_response_version version = {.api_key = 1, .min_version = 4, .max_version = 18};
    response.api_keys.items = &version;
    response.api_keys.count = 1;
    response.finalized_features_epoch = 9; /* tag 1 */
    assert_ok(wire_encode_response(wire_api_of(WIRE_API_API_VERSIONS), 3, 42, &response, &bench->first));
    assert_encoded(bench, expected, sizeof expected);

    weir_buffer_clear(&bench->first);
    wire_heartbeat_response heartbeat;
    wire_heartbeat_response_init(&heartbeat);
    const uint8_t flexible[] = {0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_ok(wire_encode_response(wire_api_of(WIRE_API_HEARTBEAT), 4, 1, &heartbeat, &bench->first));
    assert_encoded(bench, flexible, sizeof flexible);
}

/* A classic, non-flexible message: JoinGroup v5 as librdkafka sends it. */
static void a_join_group_request_has_kafkas_bytes(void **state) {
    test_bench *bench = *state;
    const uint8_t expected[] = {0, 1,   'g', 0, 0, 0x17, 0x70, 0, 4,   0x93, 0xe0, 0, 0, 0xff, 0xff, 0,
                                1, 'c', 0,   0, 0, 1,    0,    1, 'r', 0,    0,    0, 2, 8,    9};
    wire_join_group_request request;
    wire_join_group_request_init(&request);
    request.group_id = weir_bytes_text("g");
    request.session_timeout_ms = 6000;
    request.rebalance_timeout_ms = 300000;
    request.protocol_type = weir_bytes_text("c");
    wire_join_group_request_protocol protocol = {weir_bytes_text("r"), weir_bytes_of("\x08\x09", 2)};
    request.protocols.items = &protocol;
    request.protocols.count = 1;
    assert_ok(wire_encode(WIRE_JOIN_GROUP_REQUEST, 5, &request, &bench->first));
    assert_encoded(bench, expected, sizeof expected);
}

/* A TopicRecord as it lies in __cluster_metadata: frame 1, key 2, version 0, compact name, id, no tags. */
static void a_metadata_record_has_krafts_bytes(void **state) {
    test_bench *bench = *state;
    const uint8_t expected[] = {1, 2, 0, 4, 'f', 'o', 'o', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0};
    wire_topic_record topic = {.name = weir_bytes_text("foo"),
                               .topic_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}};
    assert_ok(wire_encode_metadata(WIRE_TOPIC_RECORD, 0, &topic, &bench->first));
    assert_encoded(bench, expected, sizeof expected);
    weir_bytes input = weir_buffer_view(&bench->first);
    wire_message_id id;
    int version;
    assert_ok(wire_decode_metadata_frame(&input, &id, &version));
    assert_int_equal(id, WIRE_TOPIC_RECORD);
    wire_topic_record decoded;
    assert_ok(wire_decode(id, version, input, &bench->target, &decoded));
    assert_true(wire_uuid_equal(decoded.topic_id, topic.topic_id));

    const uint8_t unknown[] = {1, 99, 0, 1, 2, 3};
    input = weir_bytes_of(unknown, sizeof unknown);
    assert_ok(wire_decode_metadata_frame(&input, &id, &version));
    assert_int_equal(id, WIRE_MESSAGE_COUNT);
    input = weir_bytes_of(unknown, 1);
    assert_int_equal(wire_decode_metadata_frame(&input, &id, &version).code, WEIR_CORRUPT);
}

static void a_committed_offset_has_the_coordinators_bytes(void **state) {
    test_bench *bench = *state;
    const uint8_t key_expected[] = {0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 3};
    const wire_offset_commit_key key = {weir_bytes_text("g"), weir_bytes_text("t"), 3};
    assert_ok(wire_encode_record_key(WIRE_OFFSET_COMMIT_KEY, &key, &bench->first));
    assert_encoded(bench, key_expected, sizeof key_expected);
    weir_bytes input = weir_buffer_view(&bench->first);
    int16_t kind = 0;
    assert_ok(wire_decode_record_kind(&input, &kind));
    assert_int_equal(kind, WIRE_GROUP_KEY_OFFSET_COMMIT);
    assert_int_equal(input.size, sizeof key_expected - 2);

    weir_buffer_clear(&bench->first);
    const uint8_t value_expected[] = {0,    3,    0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0xff,
                                      0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0,    5};
    wire_offset_commit_value value;
    wire_offset_commit_value_init(&value);
    value.offset = 9;
    value.commit_timestamp = 5;
    assert_ok(wire_encode_versioned(WIRE_OFFSET_COMMIT_VALUE, 3, &value, &bench->first));
    assert_encoded(bench, value_expected, sizeof value_expected);
}

/* A member of a newer client: what is known is read, the rest ignored, but only where the protocol says so. */
static void a_newer_subscription_is_read_as_the_newest_known(void **state) {
    test_bench *bench = *state;
    wire_consumer_protocol_subscription subscription, decoded;
    wire_consumer_protocol_subscription_init(&subscription);
    weir_bytes topic = weir_bytes_text("orders");
    subscription.topics.items = &topic;
    subscription.topics.count = 1;
    assert_ok(wire_encode_versioned(WIRE_CONSUMER_PROTOCOL_SUBSCRIPTION, 3, &subscription, &bench->first));
    weir_write_be16(bench->first.data, 9);
    weir_buffer_append_text(&bench->first, "new");
    int version = 0;
    assert_ok(wire_decode_versioned(WIRE_CONSUMER_PROTOCOL_SUBSCRIPTION, weir_buffer_view(&bench->first), true,
                                    &bench->target, &decoded, &version));
    assert_int_equal(version, 9);
    assert_true(weir_bytes_equal_text(decoded.topics.items[0], "orders"));
    assert_int_equal(wire_decode_versioned(WIRE_CONSUMER_PROTOCOL_SUBSCRIPTION, weir_buffer_view(&bench->first), false,
                                           &bench->target, &decoded, &version)
                         .code,
                     WEIR_UNSUPPORTED);
}

static void an_unknown_request_can_still_be_answered(void **state) {
    test_bench *bench = *state;
    const uint8_t newer[] = {0, 18, 0, 9, 0, 0, 0, 5, 1, 2, 3};
    weir_bytes frame = weir_bytes_of(newer, sizeof newer);
    wire_request_header header;
    const wire_api *api;
    assert_fails(wire_decode_request_header(&frame, &bench->target, &header, &api), WEIR_UNSUPPORTED,
                 "ApiVersions v9: weir speaks versions 0 to 4");
    assert_int_equal(api->key, WIRE_API_API_VERSIONS);
    assert_int_equal(header.correlation_id, 5);
    const uint8_t foreign[] = {0x70, 0, 0, 9, 0, 0, 0, 6};
    frame = weir_bytes_of(foreign, sizeof foreign);
    assert_fails(wire_decode_request_header(&frame, &bench->target, &header, &api), WEIR_UNSUPPORTED,
                 "request with API key 28672: weir does not speak it");
    frame = weir_bytes_of(foreign, 7);
    assert_fails(wire_decode_request_header(&frame, &bench->target, &header, &api), WEIR_CORRUPT,
                 "request header: a frame of 7 bytes, the shortest header has 8");
}

static void produce_is_advertised_lower_than_it_is_read(void **state) {
    (void)state;
    const wire_api *api = wire_api_of(WIRE_API_PRODUCE);
    assert_int_equal(api->min, 3);
    assert_int_equal(api->advertised_min, 0);
    assert_int_equal(api->advertised_max, 13);
    assert_null(wire_api_of(4)); /* LeaderAndIsr is gone since Kafka 4.0 */
}

/* Record batches are left out and listed; put back at their places they give the whole message. */
static void record_batches_can_be_left_to_the_sender(void **state) {
    test_bench *bench = *state;
    wire_fetch_response response;
    wire_gap gaps[64];
    size_t gap_count = 0;
    for (uint64_t seed = 1; gap_count < 3; seed++) {
        assert_true(seed < 100);
        encode_random(bench, WIRE_FETCH_RESPONSE, 16, seed, 3, &response);
        weir_buffer_append_text(&bench->second, "frame");
        assert_ok(wire_encode_gaps(WIRE_FETCH_RESPONSE, 16, &response, &bench->second, gaps, 64, &gap_count));
    }
    weir_buffer whole;
    weir_buffer_init(&whole, &bench->account, BUFFER_BYTES_MAX);
    const uint8_t *at = bench->second.data + 5, *end = bench->second.data + bench->second.size;
    for (size_t i = 0; i < gap_count; i++) {
        weir_buffer_append(&whole, at, gaps[i].at - (i ? gaps[i - 1].at : 0));
        at += gaps[i].at - (i ? gaps[i - 1].at : 0);
        weir_buffer_append(&whole, gaps[i].records.data, gaps[i].records.size);
    }
    weir_buffer_append(&whole, at, (size_t)(end - at));
    assert_true(weir_bytes_equal(weir_buffer_view(&whole), weir_buffer_view(&bench->first)));
    weir_buffer_deinit(&whole);
    assert_int_equal(wire_encode_gaps(WIRE_FETCH_RESPONSE, 16, &response, &bench->second, gaps, 1, &gap_count).code,
                     WEIR_INVALID);
}

static void the_dump_reads_like_the_schema(void **state) {
    test_bench *bench = *state;
    wire_join_group_request request;
    wire_join_group_request_init(&request);
    request.group_id = weir_bytes_text("a\"b\n");
    wire_join_group_request_protocol protocol = {weir_bytes_text("range"), weir_bytes_of("\x08\x09", 2)};
    request.protocols.items = &protocol;
    request.protocols.count = 1;
    wire_print(WIRE_JOIN_GROUP_REQUEST, 5, &request, &bench->first);
    assert_string_equal(
        weir_buffer_text(&bench->first),
        "JoinGroup v5 {group_id: \"a\\\"b\\x0a\", session_timeout_ms: 0, rebalance_timeout_ms: -1, member_id: "
        "\"\", group_instance_id: null, protocol_type: \"\", protocols: [{name: \"range\", metadata: <2 "
        "bytes>}]}");
}

int main(void) {
#define STORY(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)
    const struct CMUnitTest tests[] = {
        STORY(every_message_in_every_version_makes_the_round_trip),
        STORY(every_message_cut_at_every_byte_is_corrupt),
        STORY(mutated_messages_do_no_harm),
        STORY(defaults_are_kafkas),
        STORY(fields_of_later_versions_get_their_defaults),
        STORY(what_a_version_cannot_say_is_refused_by_name),
        STORY(a_full_buffer_is_left_as_it_was),
        STORY(damage_is_told_with_field_and_byte),
        STORY(a_count_is_held_against_the_bytes_left),
        STORY(unknown_tagged_fields_are_skipped),
        STORY(an_api_versions_request_has_kafkas_bytes),
        STORY(an_api_versions_response_has_the_oldest_header),
        STORY(a_join_group_request_has_kafkas_bytes),
        STORY(a_metadata_record_has_krafts_bytes),
        STORY(a_committed_offset_has_the_coordinators_bytes),
        STORY(a_newer_subscription_is_read_as_the_newest_known),
        STORY(an_unknown_request_can_still_be_answered),
        STORY(produce_is_advertised_lower_than_it_is_read),
        STORY(record_batches_can_be_left_to_the_sender),
        STORY(the_dump_reads_like_the_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
