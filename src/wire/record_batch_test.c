/* Goal: a record batch is read and written exactly as Kafka does, and no batch can make the reader leave its bytes.
 * Method: batches written by Kafka's own Java client (kafka-clients 4.3.1, MemoryRecords) are pinned, one per codec;
 * weir reads them, and writes the uncompressed one byte for byte. Random batches make the trip from builder to
 * iterator; each is cut at every byte and mutated, with and without a right checksum. Every rule about a header is
 * broken once. */
#include "wire/record_batch.h"
#include "wire/varint.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { BUFFER_MAX = 1 << 20 };

/* Three records at offset 100 of producer 4000, epoch 3, sequence 17, leader epoch 5; and the commit marker of
 * coordinator epoch 8. */
static const char kafka_none[] =
    "0000000000000064000000a9000000050264d25cf40000000000020000018bcfe568000000018bcfe568050000000000000f"
    "a0000300000011000000032e000000066b65790a76616c756504046831027804683201a801000a02019a0176616c75652076"
    "616c75652076616c75652076616c75652076616c75652076616c75652076616c75652076616c75652076616c75652076616c"
    "75652076616c75652076616c75652076616c75650012001304066b65790100";
static const char kafka_gzip[] =
    "00000000000000640000007300000005023dea8abd0001000000020000018bcfe568000000018bcfe568050000000000000f"
    "a0000300000011000000031f8b08000000000000ffd363606060cb4eade42a4bcc294d6561c93064aa60c930625cc1c8c0c5"
    "c4388b112cac4025924188419805641b230300edfaba3b78000000";
static const char kafka_snappy[] =
    "00000000000000640000007c000000050200cccd300002000000020000018bcfe568000000018bcfe568050000000000000f"
    "a00003000000110000000382534e4150505900000000010000000100000037787c2e000000066b65790a76616c7565040468"
    "31027804683201a801000a02019a0105170020fe06000d06280012001304066b65790100";
static const char kafka_lz4[] =
    "0000000000000064000000750000000502cac8e55f0003000000020000018bcfe568000000018bcfe568050000000000000f"
    "a00003000000110000000304224d1860408235000000f1112e000000066b65790a76616c756504046831027804683201a801"
    "000a02019a0117001f20060034b00012001304066b6579010000000000";
static const char kafka_zstd[] =
    "00000000000000640000007300000005025cf0eece0004000000020000018bcfe568000000018bcfe568050000000000000f"
    "a00003000000110000000328b52ffd0058b40100c4022e000000066b65790a76616c756504046831027804683201a801000a"
    "02019a01200012001304066b65790100020094820454984f010000";
static const char kafka_marker[] =
    "00000000000000640000004200000005022935f8730030000000000000018bcfe568000000018bcfe568000000000000000f"
    "a00003ffffffff000000012000000008000000010c00000000000800";

typedef struct test_bench {
    weir_account account;
    wire_compressor *compressor;
    weir_buffer first, second, scratch;
} test_bench;

static int bench_open(void **state) {
    static test_bench bench;
    weir_account_init(&bench.account, "record batch test", 0);
    bench.compressor = wire_compressor_create(&bench.account);
    weir_buffer_init(&bench.first, &bench.account, BUFFER_MAX);
    weir_buffer_init(&bench.second, &bench.account, BUFFER_MAX);
    weir_buffer_init(&bench.scratch, &bench.account, BUFFER_MAX);
    *state = &bench;
    return 0;
}

static int bench_close(void **state) {
    test_bench *bench = *state;
    wire_compressor_destroy(bench->compressor);
    weir_buffer_deinit(&bench->first);
    weir_buffer_deinit(&bench->second);
    weir_buffer_deinit(&bench->scratch);
    weir_account_deinit(&bench->account);
    return 0;
}

static void assert_ok(weir_status status) {
    if (weir_failed(status)) fail_msg("%s: %s", weir_code_name(status.code), status.text);
}
static void assert_fails(weir_status status, weir_code code, const char *text) {
    assert_int_equal(status.code, code);
    assert_string_equal(status.text, text);
}

static uint32_t next(uint32_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

static unsigned nibble(char digit) {
    return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}
static void load_hex(weir_buffer *buffer, const char *hex) {
    weir_buffer_clear(buffer);
    for (; *hex; hex += 2) weir_buffer_append_byte(buffer, (uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1])));
}

static const char long_value[] = "value value value value value value value value value value value value value";

static void add_kafkas_records(wire_builder *builder) {
    const wire_header headers[] = {{weir_bytes_text("h1"), weir_bytes_text("x")}, {weir_bytes_text("h2"), {NULL, 0}}};
    wire_builder_add(builder, 1700000000000, weir_bytes_text("key"), weir_bytes_text("value"), headers, 2);
    wire_builder_add(builder, 1700000000005, (weir_bytes){NULL, 0}, weir_bytes_text(long_value), NULL, 0);
    wire_builder_add(builder, 1699999999990, weir_bytes_text("key"), (weir_bytes){NULL, 0}, NULL, 0);
}

static wire_batch_options kafkas_options(wire_codec codec) {
    wire_batch_options options = wire_batch_options_default;
    options.base_offset = 100;
    options.producer_id = 4000;
    options.producer_epoch = 3;
    options.base_sequence = 17;
    options.partition_leader_epoch = 5;
    options.codec = codec;
    return options;
}

static void build_kafkas_batch(test_bench *bench, wire_codec codec) {
    weir_buffer_clear(&bench->first);
    wire_builder builder;
    wire_builder_begin(&builder, &bench->first);
    add_kafkas_records(&builder);
    const wire_batch_options options = kafkas_options(codec);
    assert_ok(wire_builder_finish(&builder, &options, bench->compressor, &bench->scratch));
}

static void assert_kafkas_records(test_bench *bench, const wire_batch *batch) {
    wire_records records;
    wire_record record;
    assert_ok(wire_records_open(&records, batch, bench->compressor, &bench->scratch, BUFFER_MAX));
    assert_true(wire_records_next(&records, &record));
    assert_int_equal(record.offset, 100);
    assert_int_equal(record.timestamp, 1700000000000);
    assert_true(weir_bytes_equal_text(record.key, "key"));
    assert_true(weir_bytes_equal_text(record.value, "value"));
    wire_header header;
    weir_bytes headers = record.headers;
    assert_int_equal(record.header_count, 2);
    assert_true(wire_headers_next(&headers, &header));
    assert_true(weir_bytes_equal_text(header.key, "h1"));
    assert_true(weir_bytes_equal_text(header.value, "x"));
    assert_true(wire_headers_next(&headers, &header));
    assert_true(weir_bytes_equal_text(header.key, "h2"));
    assert_null(header.value.data);
    assert_false(wire_headers_next(&headers, &header));
    assert_true(wire_records_next(&records, &record));
    assert_int_equal(record.offset, 101);
    assert_int_equal(record.timestamp, 1700000000005);
    assert_null(record.key.data);
    assert_true(weir_bytes_equal_text(record.value, long_value));
    assert_true(wire_records_next(&records, &record));
    assert_int_equal(record.timestamp, 1699999999990);
    assert_null(record.value.data);
    assert_false(wire_records_next(&records, &record));
    assert_ok(wire_records_status(&records));
}

static void kafkas_batches_are_read_in_every_codec(void **state) {
    test_bench *bench = *state;
    const char *const pins[WIRE_CODEC_COUNT] = {kafka_none, kafka_gzip, kafka_snappy, kafka_lz4, kafka_zstd};
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++) {
        load_hex(&bench->first, pins[codec]);
        wire_batch batch;
        assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
        assert_ok(wire_batch_check_crc(&batch));
        assert_ok(wire_batch_check_produced(&batch));
        assert_int_equal(batch.codec, codec);
        assert_int_equal(batch.base_offset, 100);
        assert_int_equal(wire_batch_last_offset(&batch), 102);
        assert_int_equal(wire_batch_next_offset(&batch), 103);
        assert_int_equal(batch.max_timestamp, 1700000000005);
        assert_int_equal(batch.producer_id, 4000);
        assert_int_equal(batch.producer_epoch, 3);
        assert_int_equal(batch.base_sequence, 17);
        assert_int_equal(wire_batch_last_sequence(&batch), 19);
        assert_int_equal(batch.partition_leader_epoch, 5);
        assert_kafkas_records(bench, &batch);
    }
}

static void an_uncompressed_batch_is_kafkas_byte_for_byte(void **state) {
    test_bench *bench = *state;
    build_kafkas_batch(bench, WIRE_CODEC_NONE);
    load_hex(&bench->second, kafka_none);
    assert_true(weir_bytes_equal(weir_buffer_view(&bench->first), weir_buffer_view(&bench->second)));
}

static void a_transaction_marker_is_kafkas_but_for_its_offset_and_leader_epoch(void **state) {
    test_bench *bench = *state;
    assert_ok(wire_marker_append(&bench->first, 1700000000000, true, 4000, 3, 8));
    wire_batch_set_base_offset(bench->first.data, 100);
    wire_batch_set_leader_epoch(bench->first.data, 5);
    load_hex(&bench->second, kafka_marker);
    assert_true(weir_bytes_equal(weir_buffer_view(&bench->first), weir_buffer_view(&bench->second)));

    wire_batch batch;
    wire_records records;
    wire_record record;
    int16_t control = -1;
    assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
    assert_ok(wire_batch_check_crc(&batch));
    assert_true(wire_batch_is(&batch, WIRE_BATCH_CONTROL));
    assert_int_equal(wire_batch_last_sequence(&batch), -1);
    assert_ok(wire_records_open(&records, &batch, NULL, NULL, 0));
    assert_true(wire_records_next(&records, &record));
    assert_true(wire_control_of(&record, &control));
    assert_int_equal(control, WIRE_CONTROL_COMMIT);
    record.key.size = 3;
    assert_false(wire_control_of(&record, &control));
}

static void compressed_batches_come_back(void **state) {
    test_bench *bench = *state;
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++) {
        build_kafkas_batch(bench, (wire_codec)codec);
        wire_batch batch;
        assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
        assert_ok(wire_batch_check_crc(&batch));
        assert_int_equal(batch.codec, codec);
        assert_kafkas_records(bench, &batch);
    }
}

static void compression_that_does_not_help_is_left_out(void **state) {
    test_bench *bench = *state;
    wire_builder builder;
    wire_builder_begin(&builder, &bench->first);
    wire_builder_add(&builder, 1, weir_bytes_text("k"), weir_bytes_text("v"), NULL, 0);
    wire_batch_options options = wire_batch_options_default;
    options.codec = WIRE_CODEC_GZIP;
    assert_ok(wire_builder_finish(&builder, &options, bench->compressor, &bench->scratch));
    wire_batch batch;
    assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
    assert_int_equal(batch.codec, WIRE_CODEC_NONE);
    assert_ok(wire_batch_check_crc(&batch));
}

/* A random batch of the seed in bench->first. The iterator's view of it must rebuild it byte for byte. */
static void build_random_batch(test_bench *bench, uint32_t seed) {
    static const uint8_t bytes[400] = "some text that is taken from its front";
    weir_buffer_clear(&bench->first);
    wire_builder builder;
    wire_builder_begin(&builder, &bench->first);
    const int32_t count = 1 + (int32_t)(next(&seed) % 20);
    for (int32_t i = 0; i < count; i++) {
        wire_header headers[3];
        const int32_t header_count = (int32_t)(next(&seed) % 4);
        for (int32_t h = 0; h < header_count; h++) {
            headers[h].key = weir_bytes_of(bytes, next(&seed) % 10);
            headers[h].value = weir_bytes_of(next(&seed) % 3 ? bytes : NULL, 0);
            if (headers[h].value.data) headers[h].value.size = next(&seed) % 100;
        }
        const weir_bytes key = next(&seed) % 3 ? weir_bytes_of(bytes, next(&seed) % 40) : (weir_bytes){NULL, 0};
        const weir_bytes value = next(&seed) % 5 ? weir_bytes_of(bytes, next(&seed) % 400) : (weir_bytes){NULL, 0};
        wire_builder_add(&builder, (int64_t)next(&seed) * (next(&seed) % 2 ? 100000 : -1), key, value, headers,
                         header_count);
    }
    assert_int_equal(wire_builder_count(&builder), count);
    assert_int_equal(wire_builder_bytes(&builder), bench->first.size);
    wire_batch_options options = wire_batch_options_default;
    options.base_offset = next(&seed);
    assert_ok(wire_builder_finish(&builder, &options, NULL, NULL));
}

static void what_is_read_rebuilds_what_was_written(void **state) {
    test_bench *bench = *state;
    for (uint32_t seed = 1; seed <= 500; seed++) {
        build_random_batch(bench, seed);
        wire_batch batch;
        assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
        assert_ok(wire_batch_check_crc(&batch));
        wire_records records;
        wire_record record;
        wire_builder builder;
        weir_buffer_clear(&bench->second);
        wire_builder_begin(&builder, &bench->second);
        assert_ok(wire_records_open(&records, &batch, NULL, NULL, 0));
        int64_t max_timestamp = INT64_MIN;
        while (wire_records_next(&records, &record)) {
            wire_builder_add_record(&builder, &record);
            if (record.timestamp > max_timestamp) max_timestamp = record.timestamp;
        }
        assert_ok(wire_records_status(&records));
        assert_int_equal(max_timestamp, batch.max_timestamp);
        wire_batch_options options = wire_batch_options_default;
        options.base_offset = batch.base_offset;
        assert_ok(wire_builder_finish(&builder, &options, NULL, NULL));
        assert_true(weir_bytes_equal(weir_buffer_view(&bench->first), weir_buffer_view(&bench->second)));
    }
}

/* Compaction drops records, keeps offsets, and may keep a batch only for its producer's last sequence. */
static void a_compacted_batch_keeps_its_offsets(void **state) {
    test_bench *bench = *state;
    wire_builder builder;
    wire_builder_begin_at(&builder, &bench->first, 777);
    const wire_record kept = {.timestamp = 800, .value = weir_bytes_text("v"), .offset_delta = 4};
    wire_builder_add_record(&builder, &kept);
    wire_batch_options options = wire_batch_options_default;
    options.last_offset_delta = 9;
    options.attributes = WIRE_BATCH_DELETE_HORIZON;
    assert_ok(wire_builder_finish(&builder, &options, NULL, NULL));
    wire_batch batch;
    assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
    assert_int_equal(batch.base_timestamp, 777);
    assert_int_equal(wire_batch_last_offset(&batch), 9);
    wire_records records;
    wire_record record;
    assert_ok(wire_records_open(&records, &batch, NULL, NULL, 0));
    assert_true(wire_records_next(&records, &record));
    assert_int_equal(record.offset, 4);
    assert_int_equal(record.timestamp, 800);

    weir_buffer_clear(&bench->first);
    wire_builder_begin_at(&builder, &bench->first, 777);
    options = kafkas_options(WIRE_CODEC_ZSTD);
    options.last_offset_delta = 9;
    assert_ok(wire_builder_finish(&builder, &options, NULL, NULL));
    assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
    assert_int_equal(batch.record_count, 0);
    assert_int_equal(batch.codec, WIRE_CODEC_NONE);
    assert_int_equal(wire_batch_last_sequence(&batch), 26);
    assert_ok(wire_records_open(&records, &batch, NULL, NULL, 0));
    assert_false(wire_records_next(&records, &record));
    assert_ok(wire_records_status(&records));
}

static void sequences_wrap(void **state) {
    (void)state;
    const wire_batch batch = {.base_sequence = INT32_MAX - 1, .last_offset_delta = 3};
    assert_int_equal(wire_batch_last_sequence(&batch), 1);
}

static void batches_change_in_place(void **state) {
    test_bench *bench = *state;
    build_kafkas_batch(bench, WIRE_CODEC_NONE);
    wire_batch batch;
    wire_batch_set_base_offset(bench->first.data, 5000000000);
    wire_batch_set_leader_epoch(bench->first.data, 77);
    assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
    assert_ok(wire_batch_check_crc(&batch)); /* neither lies inside the checksum */
    assert_int_equal(batch.base_offset, 5000000000);
    assert_int_equal(batch.partition_leader_epoch, 77);

    wire_batch_set_append_time(bench->first.data, 1800000000000);
    assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
    assert_ok(wire_batch_check_crc(&batch));
    wire_records records;
    wire_record record;
    assert_ok(wire_records_open(&records, &batch, NULL, NULL, 0));
    while (wire_records_next(&records, &record)) assert_int_equal(record.timestamp, 1800000000000);
    assert_ok(wire_records_status(&records));

    wire_batch_set_max_timestamp(bench->first.data, 1700000000005);
    assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
    assert_ok(wire_batch_check_crc(&batch));
    assert_kafkas_records(bench, &(wire_batch){.bytes = batch.bytes,
                                               .size_bytes = batch.size_bytes,
                                               .base_offset = 100,
                                               .base_timestamp = batch.base_timestamp,
                                               .max_timestamp = batch.max_timestamp,
                                               .last_offset_delta = 2,
                                               .record_count = 3,
                                               .attributes = batch.attributes});
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

static void a_changed_byte_breaks_the_checksum(void **state) {
    test_bench *bench = *state;
    load_hex(&bench->first, kafka_none);
    bench->first.data[70] ^= 1;
    wire_batch batch;
    assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
    const weir_status status = wire_batch_check_crc(&batch);
    assert_int_equal(status.code, WEIR_CORRUPT);
    assert_non_null(strstr(status.text, "record batch at offset 100: checksum 64d25cf4, its bytes give "));
}

static void every_rule_of_the_header_is_checked(void **state) {
    test_bench *bench = *state;
    static const struct {
        int at;
        int bytes;
        uint64_t value;
        weir_code code;
        const char *text;
    } rules[] = {
        {16, 1, 1, WEIR_UNSUPPORTED,
         "record batch at offset 100: message format 1 of Kafka before 0.11; weir needs magic 2"},
        {16, 1, 3, WEIR_CORRUPT, "record batch at offset 100: magic 3, expected 2"},
        {8, 4, 48, WEIR_CORRUPT, "record batch at offset 100: length 48, its header alone has 49"},
        {8, 4, 0xffffffff, WEIR_CORRUPT, "record batch at offset 100: length -1, its header alone has 49"},
        {8, 4, 170, WEIR_CORRUPT, "record batch at offset 100: 182 bytes, 181 are there"},
        {21, 2, 5, WEIR_CORRUPT, "record batch at offset 100: an unknown codec"},
        {0, 8, 0x8000000000000000, WEIR_CORRUPT, "record batch at offset -9223372036854775808: a negative base offset"},
        {0, 8, INT64_MAX - 2, WEIR_CORRUPT, "record batch at offset 9223372036854775805: offsets beyond 64 bits"},
        {23, 4, 0xffffffff, WEIR_CORRUPT, "record batch at offset 100: a negative last offset delta"},
        {23, 4, 1, WEIR_CORRUPT, "record batch at offset 100: more records than offsets"},
        {57, 4, 0xfffffffe, WEIR_CORRUPT, "record batch at offset 100: a negative record count"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        load_hex(&bench->first, kafka_none);
        for (int byte = 0; byte < rules[i].bytes; byte++) {
            bench->first.data[rules[i].at + byte] = (uint8_t)(rules[i].value >> 8 * (rules[i].bytes - 1 - byte));
        }
        wire_batch batch;
        assert_fails(wire_batch_parse(weir_buffer_view(&bench->first), &batch), rules[i].code, rules[i].text);
    }
    load_hex(&bench->first, kafka_none);
    weir_write_be32(bench->first.data + 23, 1000);
    weir_write_be32(bench->first.data + 57, 1000);
    wire_batch batch;
    assert_fails(wire_batch_parse(weir_buffer_view(&bench->first), &batch), WEIR_CORRUPT,
                 "record batch at offset 100: more records than its bytes can hold");
}

static void what_a_producer_may_not_send_is_refused(void **state) {
    (void)state;
    const wire_batch good = {.record_count = 2, .last_offset_delta = 1, .producer_id = 7, .base_sequence = 0};
    assert_ok(wire_batch_check_produced(&good));
    wire_batch bad = good;
    bad.record_count = 0;
    assert_fails(wire_batch_check_produced(&bad), WEIR_INVALID,
                 "record batch of producer 7 with 0 records has no records");
    bad.record_count = 1;
    assert_int_equal(wire_batch_check_produced(&bad).code, WEIR_INVALID);
    bad.last_offset_delta = INT32_MAX; /* the fuzzer's: one more does not fit 32 bits */
    assert_int_equal(wire_batch_check_produced(&bad).code, WEIR_INVALID);
    bad = good;
    bad.attributes = WIRE_BATCH_CONTROL;
    assert_int_equal(wire_batch_check_produced(&bad).code, WEIR_INVALID);
    bad.attributes = WIRE_BATCH_DELETE_HORIZON;
    assert_int_equal(wire_batch_check_produced(&bad).code, WEIR_INVALID);
    bad = good;
    bad.base_sequence = -1;
    assert_int_equal(wire_batch_check_produced(&bad).code, WEIR_INVALID);
    bad = good;
    bad.producer_epoch = -1;
    assert_int_equal(wire_batch_check_produced(&bad).code, WEIR_INVALID);
    bad = good;
    bad.producer_id = -1;
    assert_ok(wire_batch_check_produced(&bad));
    bad.attributes = WIRE_BATCH_TRANSACTIONAL;
    assert_int_equal(wire_batch_check_produced(&bad).code, WEIR_INVALID);
}

/* One record in a batch of our own making: `bytes` follow the header. */
static void assert_record_damage(test_bench *bench, const uint8_t *bytes, size_t size, const char *text) {
    weir_buffer_clear(&bench->first);
    wire_builder builder;
    wire_builder_begin(&builder, &bench->first);
    weir_buffer_append(&bench->first, bytes, size);
    wire_batch_options options = wire_batch_options_default;
    options.last_offset_delta = 1;
    assert_ok(wire_builder_finish(&builder, &options, NULL, NULL));
    weir_write_be32(bench->first.data + 57, 1);
    wire_batch batch;
    wire_records records;
    wire_record record;
    assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
    assert_ok(wire_records_open(&records, &batch, NULL, NULL, 0));
    while (wire_records_next(&records, &record)) {}
    assert_fails(wire_records_status(&records), WEIR_CORRUPT, text);
}

static void every_rule_of_a_record_is_checked(void **state) {
    test_bench *bench = *state;
    static const struct {
        uint8_t bytes[12];
        size_t size;
        const char *text;
    } rules[] = {
        {{14, 0, 0, 0, 1, 1, 0, 0}, 8, "record batch at offset 0, record 0 of 1: a record longer than its parts"},
        {{16, 0, 0, 0, 1, 1, 0}, 7, "record batch at offset 0, record 0 of 1: a record longer than the batch"},
        {{0x80, 0x80, 0x80, 0x80, 0x80, 1, 0},
         7,
         "record batch at offset 0, record 0 of 1: fewer records than the header says"},
        {{0, 0, 0, 0, 1, 1, 0}, 7, "record batch at offset 0, record 0 of 1: a record without attributes"},
        {{12, 0, 0x80, 0x80, 0x80, 0x80, 0x80},
         7,
         "record batch at offset 0, record 0 of 1: a record's timestamp or offset is cut short"},
        {{12, 0, 0, 1, 1, 1, 0}, 7, "record batch at offset 0, record 0 of 1: offsets that do not grow"},
        {{12, 0, 0, 4, 1, 1, 0}, 7, "record batch at offset 0, record 0 of 1: an offset beyond the batch"},
        {{12, 0, 0, 0, 8, 1, 0}, 7, "record batch at offset 0, record 0 of 1: a key longer than its record"},
        {{12, 0, 0, 0, 3, 1, 0}, 7, "record batch at offset 0, record 0 of 1: a key longer than its record"},
        {{12, 0, 0, 0, 1, 8, 0}, 7, "record batch at offset 0, record 0 of 1: a value longer than its record"},
        {{12, 0, 0, 0, 1, 1, 1}, 7, "record batch at offset 0, record 0 of 1: a damaged header count"},
        {{16, 0, 0, 0, 1, 1, 2, 1, 1},
         9,
         "record batch at offset 0, record 0 of 1: a header longer than its record, or without a key"},
        {{14, 0, 0, 0, 1, 1, 4, 0},
         8,
         "record batch at offset 0, record 0 of 1: a header longer than its record, or without a key"},
        {{12, 0, 0, 0, 1, 1, 0, 9}, 8, "record batch at offset 0, record 1 of 1: bytes after the last record"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        assert_record_damage(bench, rules[i].bytes, rules[i].size, rules[i].text);
    }
}

/* Walks whatever is in `bytes`; true when all of it was found right. Touches every byte handed out. */
static bool walk(test_bench *bench, weir_bytes bytes) {
    wire_batch batch;
    wire_records records;
    wire_record record;
    if (weir_failed(wire_batch_parse(bytes, &batch))) return false;
    if (weir_failed(wire_records_open(&records, &batch, bench->compressor, &bench->scratch, BUFFER_MAX))) return false;
    uint32_t touched = 0;
    while (wire_records_next(&records, &record)) {
        for (size_t i = 0; i < record.key.size; i++) touched += record.key.data[i];
        for (size_t i = 0; i < record.value.size; i++) touched += record.value.data[i];
        wire_header header;
        weir_bytes headers = record.headers;
        int32_t count = 0;
        while (wire_headers_next(&headers, &header)) count++;
        assert_int_equal(count, record.header_count);
    }
    assert_true(touched <= UINT8_MAX * BUFFER_MAX); /* so that the reads are not removed */
    return !weir_failed(wire_records_status(&records));
}

static void a_batch_cut_at_any_byte_is_damage(void **state) {
    test_bench *bench = *state;
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++) {
        build_kafkas_batch(bench, (wire_codec)codec);
        for (size_t cut = 0; cut < bench->first.size; cut++) {
            uint8_t *copy = weir_alloc(&bench->account, cut + 1); /* exact, for the address sanitizer */
            memcpy(copy + 1, bench->first.data, cut);
            assert_false(walk(bench, weir_bytes_of(copy + 1, cut)));
            /* The same cut with a length that agrees: now the records must notice. */
            if (cut >= WIRE_BATCH_HEADER_BYTES) {
                weir_write_be32(copy + 1 + 8, (uint32_t)(cut - WIRE_BATCH_PREFIX_BYTES));
                const bool whole_frame_only = codec == WIRE_CODEC_SNAPPY; /* its frame does not know its end */
                assert_true(!walk(bench, weir_bytes_of(copy + 1, cut)) || whole_frame_only);
            }
            weir_free(&bench->account, copy);
        }
    }
}

static void mutated_batches_do_no_harm(void **state) {
    test_bench *bench = *state;
    uint32_t seed = 4711;
    int whole = 0, damaged = 0;
    for (int round = 0; round < 20000; round++) {
        if (round % 2)
            build_random_batch(bench, next(&seed) | 1);
        else
            build_kafkas_batch(bench, (wire_codec)(round / 2 % WIRE_CODEC_COUNT));
        for (int flips = 0; flips < 2; flips++) {
            bench->first.data[17 + next(&seed) % (bench->first.size - 17)] = (uint8_t)next(&seed);
        }
        if (walk(bench, weir_buffer_view(&bench->first)))
            whole++;
        else
            damaged++;
    }
    assert_true(whole > 1000 && damaged > 1000); /* both paths were walked */
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static void a_batch_that_does_not_fit_leaves_no_trace(void **state) {
    test_bench *bench = *state;
    weir_buffer small;
    weir_buffer_init(&small, &bench->account, 100);
    weir_buffer_append_text(&small, "kept");
    wire_builder builder;
    wire_builder_begin(&builder, &small);
    add_kafkas_records(&builder);
    const wire_batch_options options = wire_batch_options_default;
    assert_fails(wire_builder_finish(&builder, &options, NULL, NULL), WEIR_NO_MEMORY,
                 "record batch: more records than a buffer of at most 100 bytes holds");
    assert_int_equal(small.size, 4);
    weir_buffer_clear(&small);
    wire_builder_begin(&builder, &small);
    wire_builder_abandon(&builder);
    assert_int_equal(small.size, 0);
    weir_buffer_deinit(&small);
}

static void records_decompress_to_no_more_than_allowed(void **state) {
    test_bench *bench = *state;
    build_kafkas_batch(bench, WIRE_CODEC_ZSTD);
    wire_batch batch;
    wire_records records;
    assert_ok(wire_batch_parse(weir_buffer_view(&bench->first), &batch));
    assert_fails(wire_records_open(&records, &batch, bench->compressor, &bench->scratch, 100), WEIR_CORRUPT,
                 "record batch at offset 100: zstd: decompresses to more than 100 bytes");
}

static void varints_keep_to_their_width(void **state) {
    (void)state;
    const int64_t values[] = {0, 1, -1, 63, -64, 64, 8191, 8192, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        uint8_t bytes[WIRE_VARINT64_MAX];
        const uint8_t *end = wire_write_varlong(bytes, values[i]);
        assert_int_equal(end - bytes, wire_varlong_bytes(values[i]));
        int64_t wide = 0;
        assert_ptr_equal(wire_read_varlong(bytes, end, &wide), end);
        assert_int_equal(wide, values[i]);
        assert_null(wire_read_varlong(bytes, end - 1, &wide));
        if (values[i] < INT32_MIN || values[i] > INT32_MAX) continue;
        int32_t narrow = 0;
        end = wire_write_varint(bytes, (int32_t)values[i]);
        assert_int_equal(end - bytes, wire_varint_bytes((int32_t)values[i]));
        assert_ptr_equal(wire_read_varint(bytes, end, &narrow), end);
        assert_int_equal(narrow, values[i]);
    }
    const uint8_t too_wide[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
    uint32_t value = 0;
    assert_null(wire_read_uvarint(too_wide, too_wide + 5, &value));
}

int main(void) {
#define STORY(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)
    const struct CMUnitTest tests[] = {
        STORY(kafkas_batches_are_read_in_every_codec),
        STORY(an_uncompressed_batch_is_kafkas_byte_for_byte),
        STORY(a_transaction_marker_is_kafkas_but_for_its_offset_and_leader_epoch),
        STORY(compressed_batches_come_back),
        STORY(compression_that_does_not_help_is_left_out),
        STORY(what_is_read_rebuilds_what_was_written),
        STORY(a_compacted_batch_keeps_its_offsets),
        STORY(sequences_wrap),
        STORY(batches_change_in_place),
        STORY(a_changed_byte_breaks_the_checksum),
        STORY(every_rule_of_the_header_is_checked),
        STORY(what_a_producer_may_not_send_is_refused),
        STORY(every_rule_of_a_record_is_checked),
        STORY(a_batch_cut_at_any_byte_is_damage),
        STORY(mutated_batches_do_no_harm),
        STORY(a_batch_that_does_not_fit_leaves_no_trace),
        STORY(records_decompress_to_no_more_than_allowed),
        STORY(varints_keep_to_their_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
