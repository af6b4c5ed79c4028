/* Goal: no bytes can hurt a decoder, and what decodes is written and read back as itself.
 * Method: the first bytes choose a format, a schema, the role, an option and which columns are wanted; the rest is one
 * record, decoded beside a null and an empty one. The batch must verify, and every record has either a row or a reason.
 * Where the format can write the row, reading that and writing it again must give the same bytes. */
#include "data/format/format.h"

#include "words.h"

enum { ARENA_BYTES_MAX = 4 << 20, TEXT_BYTES_MAX = 4 << 20, HEAD_BYTES = 5, RECORDS = 3, MIDDLE = 1 };

static const char *const schemas[] = {
    "A INTEGER",
    "A STRING",
    "A DOUBLE, B BIGINT, C BOOLEAN",
    "A DECIMAL(5, 2), B DECIMAL(38, 10), C BYTES",
    "A DATE, B TIME, C TIMESTAMP",
    "A STRING, B STRING, `a` INTEGER",
    "A ARRAY<ARRAY<INTEGER>>, B MAP<STRING, STRUCT<C DOUBLE, D ARRAY<STRING>>>, E STRUCT<F STRING, G BIGINT>",
    "A ARRAY<STRUCT<B INTEGER, C STRING>>, D STRING",
    "A BIGINT",
    "A DOUBLE",
    "REMOTE_ADDR STRING, TIME TIMESTAMP, METHOD STRING, PATH STRING, STATUS INTEGER, BYTES BIGINT, AGENT STRING",
};
enum { SCHEMA_COUNT = sizeof schemas / sizeof *schemas };

static const weir_setting settings[] = {
    {"VALUE_DELIMITER", "|"}, {"KEY_DELIMITER", "TAB"},        {"VALUE_DELIMITER", "SPACE"},
    {"VALUE_DELIMITER", ","}, {"WRAP_SINGLE_VALUE", "false"}, {"WRAP_SINGLE_VALUE", "true"},
};
enum { SETTING_COUNT = sizeof settings / sizeof *settings };

typedef struct fuzz_bench {
    weir_account account;
    weir_arena arena;
    data_batch_pool *pool;
    weir_buffer first, second;
    format_errors errors;
} fuzz_bench;

static fuzz_bench bench;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static const char *const words[] = {
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\"A\":",
    "\"B\":",
    "\"C\":",
    "\"a\":",
    "\"E\":{\"F\":\"x\",\"G\":1}",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1.5",
    "1e3",
    "9223372036854775807",
    "12345678901234567890123456789.0123456789",
    "\"NaN\"",
    "\"\\u0041\\ud83d\\ude00\\n\"",
    "\"a text of more than twelve bytes\"",
    "\"aGk=\"",
    "{\"A\":1}",
    "[[1,null],[]]",
    "|",
    "\t",
    "\n",
    "\"\"",
    "\\",
    "2026-11-24T10:00:00.123",
    "2026-11-24",
    "10:00:00",
    "1.1.1.1 - - ",
    "[24/Nov/2026:10:00:00 +0000] ",
    "\"GET /a?b HTTP/1.1\" 200 17 ",
    "\"-\" \"curl/7.88\"",
    "-",
    " ",
};

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    weir_account_init(&bench.account, "fuzz", 0);
    weir_arena_init(&bench.arena, &bench.account, ARENA_BYTES_MAX);
    bench.pool = data_batch_pool_create(&bench.account, 2, ARENA_BYTES_MAX);
    weir_buffer_init(&bench.first, &bench.account, TEXT_BYTES_MAX);
    weir_buffer_init(&bench.second, &bench.account, TEXT_BYTES_MAX);
    return 0;
}

static const data_schema *schema_of(uint8_t choice, data_role role) {
    char text[512];
    const data_type *type;
    snprintf(text, sizeof text, "STRUCT<%s>", schemas[choice % SCHEMA_COUNT]);
    weir_assert(!weir_failed(data_type_parse(&bench.arena, weir_bytes_text(text), &type)));
    data_column *columns = weir_arena_array(&bench.arena, data_column, type->field_count);
    for (uint32_t i = 0; i < type->field_count; i++)
        columns[i] = (data_column){.name = type->fields[i].name, .type = type->fields[i].type, .role = role};
    data_schema *schema = weir_arena_new(&bench.arena, data_schema);
    *schema = (data_schema){columns, type->field_count, role == DATA_ROLE_KEY ? type->field_count : 0};
    return schema;
}

static bool is_present(const data_batch *batch, data_role role, uint32_t row) {
    const uint64_t *present = role == DATA_ROLE_KEY ? batch->key_present : batch->value_present;
    return !present || data_bit(present, row);
}

/* The batch of these records, or NULL when one of them could not be decoded (or there is no memory). */
static data_batch *decode(format_decoder *decoder, const format_spec *spec, const weir_bytes *records, uint32_t count,
                          bool *is_good) {
    data_batch *batch = data_batch_take(bench.pool, spec->schema);
    const format_input input = {records, sizeof *records, count, NULL};
    weir_assert(batch != NULL);
    bench.errors.count = 0;
    const weir_status status = format_decode(decoder, &input, batch, 0, &bench.errors);
    if (weir_failed(status)) {
        weir_assert(status.code == WEIR_NO_MEMORY);
        data_batch_release(batch);
        return NULL;
    }
    batch->rows = count;
    batch->selection = (data_selection){NULL, count};
    for (uint32_t i = 0; i < count; i++) {
        batch->timestamp[i] = batch->offset[i] = i;
        batch->seq[i] = i;
        batch->partition[i] = 0;
    }
    data_batch_verify(batch);
    *is_good = true;
    for (uint32_t i = 0; i < bench.errors.count; i++) {
        weir_assert(bench.errors.rows[i] < count && bench.errors.reasons[i] && *bench.errors.reasons[i]);
        *is_good &= bench.errors.rows[i] != MIDDLE % count;
    }
    return batch;
}

/* The row's bytes; false when the format cannot hold it (or it is null). */
static bool encode(format_encoder *encoder, data_batch *batch, uint32_t row, weir_buffer *target) {
    const uint16_t index = (uint16_t)row;
    const data_selection one = {&index, 1};
    format_slice slice;
    weir_buffer_clear(target);
    return !weir_failed(format_encode(encoder, batch, &one, target, &slice)) && slice.size >= 0;
}

static void check_there_and_back(const format_vtable *format, const format_spec *spec, format_decoder *decoder,
                                 data_batch *batch) {
    format_encoder *encoder = NULL;
    if (!is_present(batch, spec->role, MIDDLE)) return;
    if (weir_failed(format->encoder_create(&bench.account, spec, &encoder))) return;
    if (encode(encoder, batch, MIDDLE, &bench.first)) {
        const weir_bytes record = weir_buffer_view(&bench.first);
        bool is_good = false;
        data_batch *again = decode(decoder, spec, &record, 1, &is_good);
        if (again) {
            weir_assert(is_good);
            if (is_present(again, spec->role, 0)) {
                weir_assert(encode(encoder, again, 0, &bench.second));
                weir_assert(bench.first.size == bench.second.size);
                weir_assert(memcmp(bench.first.data, bench.second.data, bench.first.size) == 0);
            }
            data_batch_release(again);
        }
    }
    format_encoder_destroy(encoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD_BYTES) return 0;
    size_t formats = 0;
    while (format_at(formats)) formats++;
    weir_arena_reset(&bench.arena);
    const format_vtable *format = format_at(data[0] % formats);
    const data_role role = data[2] & 1 ? DATA_ROLE_KEY : DATA_ROLE_VALUE;
    const format_spec spec = {schema_of(data[1], role), role, &settings[data[3] % SETTING_COUNT], data[2] >> 1 & 1};
    const uint64_t wanted[DATA_BATCH_WORDS] = {data[4]};
    const bool is_all = data[2] & 4;
    format_decoder *decoder = NULL;
    if (weir_failed(format->decoder_create(&bench.account, &spec, is_all ? NULL : wanted, &decoder))) return 0;
    /* A copy of exactly that size, so that a read beyond it is seen. */
    uint8_t *copy = weir_alloc(&bench.account, size - HEAD_BYTES + 1);
    memcpy(copy + 1, data + HEAD_BYTES, size - HEAD_BYTES);
    const weir_bytes records[RECORDS] = {{NULL, 0}, {copy + 1, size - HEAD_BYTES}, {copy, 0}};
    bool is_good = false;
    data_batch *batch = decode(decoder, &spec, records, RECORDS, &is_good);
    if (batch) {
        if (is_good && is_all) check_there_and_back(format, &spec, decoder, batch);
        data_batch_release(batch);
    }
    format_decoder_destroy(decoder);
    weir_free(&bench.account, copy);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    return fuzz_mutate_words(data, size, max_size, seed, HEAD_BYTES, words, sizeof words / sizeof *words);
}
