/* Goal: no bytes can hurt what reads Kafka's bytes. Method: the first byte chooses what the rest is: a message of the
 * table in one of its versions, a request frame, a metadata record, a record batch as it is, compressed bytes, or the
 * plain records of a batch that is then compressed with each codec, so that mutation reaches behind the compression.
 * What decodes must encode, and that must decode to the same.
 *
 * The mutator starts from random valid messages and batches, which takes the place of a stored corpus. */
#include "wire/random_message.h"
#include "wire/record_batch.h"

enum {
    ARENA_BYTES_MAX = 8 << 20,
    BUFFER_BYTES_MAX = 4 << 20,
    OUTPUT_BYTES_MAX = 1 << 20,
    STRUCT_BYTES_MAX = 4096,
    FRESH_ONE_IN = 16 /* mutations that begin with a new valid input */
};

enum choice {
    CHOICE_MESSAGE,
    CHOICE_FRAME,
    CHOICE_METADATA,
    CHOICE_BATCH,
    CHOICE_PACKED,
    CHOICE_RECORDS,
    CHOICE_COUNT
};

typedef struct fuzz_bench {
    weir_account account;
    weir_arena arena;
    wire_compressor *compressor;
    weir_buffer first, second, scratch;
    _Alignas(16) uint8_t source[STRUCT_BYTES_MAX], target[STRUCT_BYTES_MAX];
} fuzz_bench;

static fuzz_bench bench;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    weir_account_init(&bench.account, "fuzz", 0);
    weir_arena_init(&bench.arena, &bench.account, ARENA_BYTES_MAX);
    bench.compressor = wire_compressor_create(&bench.account);
    weir_buffer_init(&bench.first, &bench.account, BUFFER_BYTES_MAX);
    weir_buffer_init(&bench.second, &bench.account, BUFFER_BYTES_MAX);
    weir_buffer_init(&bench.scratch, &bench.account, BUFFER_BYTES_MAX);
    return 0;
}

static int version_of(const wire_message *message, uint8_t byte) {
    return message->min + byte % (message->max - message->min + 1);
}

static void check_message(wire_message_id id, int version, weir_bytes input) {
    if (weir_failed(wire_decode_front(id, version, &input, &bench.arena, bench.target))) return;
    weir_assert(!weir_failed(wire_encode(id, version, bench.target, &bench.first)));
    size_t size_bytes = 0;
    weir_assert(!weir_failed(wire_size(id, version, bench.target, &size_bytes)));
    weir_assert(size_bytes == bench.first.size);
    const weir_bytes encoded = weir_buffer_view(&bench.first);
    weir_assert(!weir_failed(wire_decode(id, version, encoded, &bench.arena, bench.source)));
    weir_assert(same_struct(wire_messages[id].body, bench.source, bench.target));
    wire_print(id, version, bench.target, &bench.second);
}

static void check_frame(weir_bytes frame) {
    wire_request_header header;
    const wire_api *api;
    if (weir_failed(wire_decode_request_header(&frame, &bench.arena, &header, &api))) return;
    check_message((wire_message_id)api->request, header.request_api_version, frame);
}

static void check_metadata(weir_bytes input) {
    wire_message_id id;
    int version;
    if (weir_failed(wire_decode_metadata_frame(&input, &id, &version)) || id == WIRE_MESSAGE_COUNT) return;
    check_message(id, version, input);
}

static void check_batch(weir_bytes input) {
    wire_batch batch;
    wire_records records;
    wire_record record;
    if (weir_failed(wire_batch_parse(input, &batch))) return;
    (void)!weir_failed(wire_batch_check_crc(&batch));
    (void)!weir_failed(wire_batch_check_produced(&batch));
    if (weir_failed(wire_records_open(&records, &batch, bench.compressor, &bench.scratch, OUTPUT_BYTES_MAX))) return;
    wire_builder builder;
    weir_buffer_clear(&bench.second);
    wire_builder_begin_at(&builder, &bench.second, batch.base_timestamp);
    while (wire_records_next(&records, &record)) {
        weir_bytes headers = record.headers;
        wire_header header;
        int32_t count = 0;
        while (wire_headers_next(&headers, &header)) count++;
        weir_assert(count == record.header_count);
        int16_t control;
        if (wire_control_of(&record, &control)) weir_assert(record.key.size >= 4);
        wire_builder_add_record(&builder, &record);
    }
    if (weir_failed(wire_records_status(&records))) return;
    wire_batch_options options = wire_batch_options_default;
    options.base_offset = batch.base_offset;
    weir_assert(!weir_failed(wire_builder_finish(&builder, &options, NULL, NULL)));
    wire_batch rebuilt;
    weir_assert(!weir_failed(wire_batch_parse(weir_buffer_view(&bench.second), &rebuilt)));
    weir_assert(!weir_failed(wire_batch_check_crc(&rebuilt)));
    weir_assert(rebuilt.record_count == batch.record_count);
}

/* `input` becomes the records of a batch, plain and through every codec. */
static void check_records(weir_bytes input) {
    if (input.size < WIRE_BATCH_HEADER_BYTES) return;
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++) {
        weir_buffer_clear(&bench.first);
        weir_buffer_append(&bench.first, input.data, WIRE_BATCH_HEADER_BYTES);
        const weir_bytes records = {input.data + WIRE_BATCH_HEADER_BYTES, input.size - WIRE_BATCH_HEADER_BYTES};
        weir_assert(!weir_failed(wire_compress(bench.compressor, (wire_codec)codec, 1, records, &bench.first)));
        uint8_t *batch = bench.first.data;
        weir_write_be32(batch + 8, (uint32_t)(bench.first.size - WIRE_BATCH_PREFIX_BYTES));
        batch[WIRE_BATCH_MAGIC_BYTES - 1] = 2;
        batch[22] = (uint8_t)((batch[22] & ~WIRE_BATCH_CODEC_MASK) | codec);
        check_batch(weir_buffer_view(&bench.first));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    weir_arena_reset(&bench.arena);
    weir_buffer_clear(&bench.first);
    weir_buffer_clear(&bench.second);
    const weir_bytes input = {data + 3, size - 3};
    switch ((enum choice)(data[0] % CHOICE_COUNT)) {
    case CHOICE_MESSAGE: {
        const wire_message_id id = (wire_message_id)(data[1] % WIRE_MESSAGE_COUNT);
        check_message(id, version_of(&wire_messages[id], data[2]), input);
        break;
    }
    case CHOICE_FRAME: check_frame(input); break;
    case CHOICE_METADATA: check_metadata(input); break;
    case CHOICE_BATCH: check_batch(input); break;
    case CHOICE_PACKED: {
        const weir_status status = wire_decompress(bench.compressor, (wire_codec)(data[1] % WIRE_CODEC_COUNT), input,
                                                   OUTPUT_BYTES_MAX, &bench.first);
        weir_assert(bench.first.size <= OUTPUT_BYTES_MAX && (!weir_failed(status) || bench.first.size == 0));
        break;
    }
    case CHOICE_RECORDS: check_records(input); break;
    case CHOICE_COUNT: break;
    }
    return 0;
}

/* ---- valid inputs ----------------------------------------------------------------------------------------------- */

static void fresh_message(uint64_t seed, const uint8_t *choice) {
    const wire_message_id id = (wire_message_id)(choice[1] % WIRE_MESSAGE_COUNT);
    const int version = version_of(&wire_messages[id], choice[2]);
    random_source random = {.seed = seed, .arena = &bench.arena, .version = version, .items_max = 3};
    random_struct(&random, wire_messages[id].body, bench.source);
    weir_assert(!weir_failed(wire_encode(id, version, bench.source, &bench.first)));
}

static void fresh_frame(uint64_t seed, const uint8_t *choice) {
    const wire_api *api = &wire_apis[choice[1] % WIRE_API_COUNT];
    const int version = api->min + choice[2] % (api->max - api->min + 1);
    random_source random = {.seed = seed, .arena = &bench.arena, .version = version, .items_max = 3};
    random_struct(&random, wire_messages[api->request].body, bench.source);
    weir_assert(
        !weir_failed(wire_encode_request(api, version, 7, weir_bytes_text("fuzz"), bench.source, &bench.first)));
    weir_buffer_consume(&bench.first, 4); /* the frame's length, which its reader has taken */
}

static void fresh_batch(uint64_t seed, wire_codec codec) {
    wire_builder builder;
    wire_builder_begin(&builder, &bench.first);
    random_source random = {.seed = seed, .arena = &bench.arena};
    const int count = (int)(random_next(&random.seed) % 20);
    for (int i = 0; i < count; i++) {
        const wire_header headers[2] = {{weir_bytes_text("name"), random_bytes(&random, true)}, {{NULL, 0}, {NULL, 0}}};
        const weir_bytes key = random_bytes(&random, true), value = random_bytes(&random, true);
        wire_builder_add(&builder, (int64_t)random_next(&random.seed), key, value, headers,
                         (int32_t)(random_next(&random.seed) % 3));
    }
    wire_batch_options options = wire_batch_options_default;
    options.codec = codec;
    weir_assert(!weir_failed(wire_builder_finish(&builder, &options, bench.compressor, &bench.scratch)));
}

static size_t fresh_input(uint8_t *data, size_t max_size, uint64_t seed) {
    weir_arena_reset(&bench.arena);
    weir_buffer_clear(&bench.first);
    const uint8_t choice[3] = {(uint8_t)(random_next(&seed) % CHOICE_COUNT), (uint8_t)random_next(&seed),
                               (uint8_t)random_next(&seed)};
    const wire_codec codec = (wire_codec)(choice[1] % WIRE_CODEC_COUNT);
    switch ((enum choice)choice[0]) {
    case CHOICE_MESSAGE:
    case CHOICE_METADATA: fresh_message(seed, choice); break;
    case CHOICE_FRAME: fresh_frame(seed, choice); break;
    case CHOICE_BATCH: fresh_batch(seed, codec); break;
    case CHOICE_RECORDS: fresh_batch(seed, WIRE_CODEC_NONE); break;
    case CHOICE_PACKED: {
        random_source random = {.seed = seed, .arena = &bench.arena};
        const weir_bytes plain = random_bytes(&random, false);
        weir_assert(!weir_failed(wire_compress(bench.compressor, codec, 1, plain, &bench.first)));
        break;
    }
    case CHOICE_COUNT: break;
    }
    if (max_size < 3 + bench.first.size) return 0;
    memcpy(data, choice, 3);
    if (bench.first.size) memcpy(data + 3, bench.first.data, bench.first.size);
    return 3 + bench.first.size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    if (seed % FRESH_ONE_IN == 0) {
        const size_t fresh = fresh_input(data, max_size, seed);
        if (fresh) return fresh;
    }
    return LLVMFuzzerMutate(data, size, max_size);
}
