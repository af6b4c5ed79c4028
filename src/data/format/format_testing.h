/* What the tests of formats share: a schema from text, one record in, one line out, random rows. */
#ifndef WEIR_DATA_FORMAT_FORMAT_TESTING_H
#define WEIR_DATA_FORMAT_FORMAT_TESTING_H

#include "data/format/format.h"
#include "data/scalar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct test_bench {
    weir_account account;
    weir_arena arena; /* schemas, for a whole test */
    data_batch_pool *pool;
    weir_buffer text;
    format_errors errors;
} test_bench;

static inline void bench_open(test_bench *bench, size_t arena_bytes) {
    weir_account_init(&bench->account, "test", 0);
    weir_arena_init(&bench->arena, &bench->account, 16 << 20);
    bench->pool = data_batch_pool_create(&bench->account, 4, arena_bytes);
    weir_buffer_init(&bench->text, &bench->account, 64 << 20);
    bench->errors.count = 0;
}

static inline void bench_close(test_bench *bench) {
    weir_buffer_deinit(&bench->text);
    data_batch_pool_destroy(bench->pool);
    weir_arena_deinit(&bench->arena);
    weir_account_deinit(&bench->account); /* asserts that nothing leaked */
}

/* "A INTEGER, B STRING": all of one role. */
static inline const data_schema *bench_schema(test_bench *bench, const char *columns, data_role role) {
    char text[1024];
    const data_type *type;
    snprintf(text, sizeof text, "STRUCT<%s>", columns);
    const weir_status status = data_type_parse(&bench->arena, weir_bytes_text(text), &type);
    if (weir_failed(status)) fail_msg("%s", status.text);
    data_column *list = weir_arena_array(&bench->arena, data_column, type->field_count + 1);
    for (uint32_t i = 0; i < type->field_count; i++) {
        list[i] = (data_column){.name = type->fields[i].name, .type = type->fields[i].type, .role = role};
    }
    data_schema *schema = weir_arena_new(&bench->arena, data_schema);
    *schema = (data_schema){list, type->field_count, role == DATA_ROLE_KEY ? type->field_count : 0};
    return schema;
}

static inline format_spec bench_spec(test_bench *bench, const char *columns, data_role role,
                                     const weir_setting *option) {
    return (format_spec){bench_schema(bench, columns, role), role, option, option ? 1u : 0u};
}

static inline void bench_fill_rows(data_batch *batch, uint32_t rows) {
    batch->rows = rows;
    batch->selection = (data_selection){NULL, rows};
    for (uint32_t i = 0; i < rows; i++) {
        batch->timestamp[i] = batch->offset[i] = i;
        batch->seq[i] = i;
        batch->partition[i] = 0;
    }
}

/* Decodes one record and answers "error: reason" or the row as JSON; "absent" when there is no key or value. */
static inline const char *bench_decode(test_bench *bench, const format_vtable *format, const format_spec *spec,
                                       weir_bytes record) {
    format_decoder *decoder;
    format_encoder *encoder;
    const weir_status status = format->decoder_create(&bench->account, spec, NULL, &decoder);
    if (weir_failed(status)) return status.text;
    data_batch *batch = data_batch_take(bench->pool, spec->schema);
    assert_non_null(batch);
    bench->errors.count = 0;
    weir_buffer_clear(&bench->text);
    const format_input input = {&record, sizeof record, 1, NULL};
    assert_int_equal(format_decode(decoder, &input, batch, 0, &bench->errors).code, WEIR_OK);
    bench_fill_rows(batch, 1);
    data_batch_verify(batch);
    const uint64_t *present = spec->role == DATA_ROLE_KEY ? batch->key_present : batch->value_present;
    if (bench->errors.count) {
        assert_int_equal(bench->errors.count, 1);
        weir_buffer_format(&bench->text, "error: %s", bench->errors.reasons[0]);
    } else if (present && !data_bit(present, 0)) {
        weir_buffer_append_text(&bench->text, "absent");
    } else {
        format_slice slice;
        const format_spec plain = {spec->schema, spec->role, NULL, 0};
        assert_int_equal(format_json.encoder_create(&bench->account, &plain, &encoder).code, WEIR_OK);
        assert_int_equal(format_encode(encoder, batch, &batch->selection, &bench->text, &slice).code, WEIR_OK);
        if (slice.size < 0) weir_buffer_append_text(&bench->text, "null");
        format_encoder_destroy(encoder);
    }
    format_decoder_destroy(decoder);
    data_batch_release(batch);
    return weir_buffer_text(&bench->text);
}

static inline uint64_t bench_random(uint64_t *seed) { /* splitmix64: the same rows for the same seed everywhere */
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Valid UTF-8 of up to 40 characters, many of them such as need quoting or escaping. */
static inline data_text bench_random_text(weir_arena *arena, uint64_t *seed, bool utf8) {
    static const char *const pieces[] = {"a", "Z",  "0", " ", ",", "\"", "\\", "\n", "\t", "\x01",
                                         "é", "日", "😀", "#", "'", "{",  "]",  ":",  ";",  "\r"};
    const uint32_t count = (uint32_t)(bench_random(seed) % 40);
    uint8_t *bytes = weir_arena_try(arena, count * 4 + 1);
    assert_non_null(bytes);
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *piece = pieces[bench_random(seed) % (sizeof pieces / sizeof *pieces)];
        if (!utf8) {
            bytes[size++] = (uint8_t)bench_random(seed);
            continue;
        }
        memcpy(bytes + size, piece, strlen(piece));
        size += strlen(piece);
    }
    return data_text_of(bytes, size);
}

static inline void bench_random_row(data_vector *vector, uint32_t row, weir_arena *arena, uint64_t *seed) {
    data_vector_set_null(vector, row);
    if (bench_random(seed) % 8 == 0) return;
    data_bit_set(vector->valid, row, true);
    const uint64_t bits = bench_random(seed);
    switch (vector->type->kind) {
    case DATA_BOOLEAN: vector->booleans[row] = bits & 1; break;
    case DATA_INT:
    case DATA_DATE: vector->ints[row] = (int32_t)(uint32_t)bits; break;
    case DATA_TIME: vector->ints[row] = (int32_t)(bits % DATA_MS_PER_DAY); break;
    case DATA_BIGINT:
    case DATA_TIMESTAMP: vector->bigints[row] = (int64_t)(bits >> (bits % 64)); break;
    case DATA_DOUBLE: vector->doubles[row] = (double)(int64_t)bits / 1e9; break;
    case DATA_DECIMAL:
        vector->decimals[row] = (data_decimal)(int64_t)bits % data_decimal_power10(vector->type->precision);
        break;
    case DATA_STRING:
    case DATA_BYTES: vector->texts[row] = bench_random_text(arena, seed, vector->type->kind == DATA_STRING); break;
    case DATA_STRUCT:
        for (uint32_t i = 0; i < vector->type->field_count; i++)
            bench_random_row(&vector->children[i], row, arena, seed);
        break;
    default: {
        const uint32_t start = data_vector_child_start(vector, row), count = (uint32_t)(bits % 4);
        const bool map = vector->type->kind == DATA_MAP;
        for (uint32_t i = start; i < start + count; i++) {
            assert_true(data_vector_reserve(&vector->children[0], arena, i, i + 1));
            bench_random_row(&vector->children[0], i, arena, seed);
            if (!map) continue;
            char key[16]; /* distinct, as the keys of a map are */
            const size_t size = (size_t)snprintf(key, sizeof key, "k%u", i - start);
            vector->children[0].texts[i] = data_text_of(key, size);
            data_bit_set(vector->children[0].valid, i, true);
            assert_true(data_vector_reserve(&vector->children[1], arena, i, i + 1));
            bench_random_row(&vector->children[1], i, arena, seed);
        }
        vector->ends[row] = (int32_t)(start + count);
        vector->child_rows = start + count;
    }
    }
}

static inline data_batch *bench_random_batch(test_bench *bench, const data_schema *schema, uint32_t rows,
                                             uint64_t *seed) {
    data_batch *batch = data_batch_take(bench->pool, schema);
    assert_non_null(batch);
    for (uint32_t i = 0; i < schema->count; i++) {
        batch->columns[i] = data_vector_create(batch->arena, schema->columns[i].type, rows);
        assert_non_null(batch->columns[i]);
        for (uint32_t row = 0; row < rows; row++) bench_random_row(batch->columns[i], row, batch->arena, seed);
    }
    bench_fill_rows(batch, rows);
    data_batch_verify(batch);
    return batch;
}

/* Encodes random rows, decodes them in two blocks, and compares every value. DELIMITED cannot tell an empty text from
 * NULL. */
static inline void bench_round_trip(test_bench *bench, const format_vtable *format, const format_spec *spec,
                                    uint32_t rows, uint64_t seed, bool empty_is_null) {
    format_decoder *decoder;
    format_encoder *encoder;
    static format_slice slices[DATA_BATCH_ROWS_MAX];
    static weir_bytes records[DATA_BATCH_ROWS_MAX];
    data_batch *source = bench_random_batch(bench, spec->schema, rows, &seed);
    data_batch *target = data_batch_take(bench->pool, spec->schema);
    assert_int_equal(format->encoder_create(&bench->account, spec, &encoder).code, WEIR_OK);
    assert_int_equal(format->decoder_create(&bench->account, spec, NULL, &decoder).code, WEIR_OK);
    weir_buffer_clear(&bench->text);
    bench->errors.count = 0;
    assert_int_equal(format_encode(encoder, source, &source->selection, &bench->text, slices).code, WEIR_OK);
    for (uint32_t i = 0; i < rows; i++) {
        records[i] = slices[i].size < 0 ? (weir_bytes){0}
                                        : weir_bytes_of(bench->text.data + slices[i].at, (size_t)slices[i].size);
    }
    const uint32_t half = rows / 2;
    const format_input first = {records, sizeof *records, half, NULL};
    const format_input second = {records + half, sizeof *records, rows - half, NULL};
    assert_int_equal(format_decode(decoder, &first, target, 0, &bench->errors).code, WEIR_OK);
    assert_int_equal(format_decode(decoder, &second, target, half, &bench->errors).code, WEIR_OK);
    if (bench->errors.count) fail_msg("seed %llu: %s", (unsigned long long)seed, bench->errors.reasons[0]);
    bench_fill_rows(target, rows);
    data_batch_verify(target);
    for (uint32_t i = 0; i < spec->schema->count; i++) {
        const bool text =
            spec->schema->columns[i].type->kind == DATA_STRING || spec->schema->columns[i].type->kind == DATA_BYTES;
        for (uint32_t row = 0; row < rows; row++) {
            const data_vector *a = source->columns[i], *b = target->columns[i];
            if (empty_is_null && text && !data_vector_is_null(a, row) && a->texts[row].size == 0) continue;
            if (!data_vector_rows_equal(a, row, b, row)) {
                fail_msg("%s column %s row %u: %.*s", format->name, spec->schema->columns[i].name, row,
                         (int)records[row].size, (const char *)records[row].data);
            }
        }
    }
    format_decoder_destroy(decoder);
    format_encoder_destroy(encoder);
    data_batch_release(source);
    data_batch_release(target);
}

typedef struct bench_case {
    const char *columns;
    const char *record; /* NULL: a null slice */
    const char *wanted;
} bench_case;

static inline void bench_cases(const format_vtable *format, data_role role, const weir_setting *option,
                               const bench_case *cases, size_t count) {
    static test_bench storage; /* 100 kB of errors: not for the stack */
    test_bench *b = &storage;
    bench_open(b, 8 << 20);
    for (size_t i = 0; i < count; i++) {
        const format_spec spec = bench_spec(b, cases[i].columns, role, option);
        const weir_bytes record = cases[i].record ? weir_bytes_text(cases[i].record) : (weir_bytes){0};
        const char *got = bench_decode(b, format, &spec, record);
        if (strcmp(got, cases[i].wanted) != 0) {
            fail_msg("case %zu, %s\n  record  %s\n  wanted  %s\n  got     %s", i, cases[i].columns, cases[i].record,
                     cases[i].wanted, got);
        }
    }
    bench_close(b);
}

/* Cuts a good record at every byte, then changes bytes at random: whatever comes out is a row or a reason, never a
 * broken batch. The record lies in memory of exactly its size, so that the sanitizer sees a read behind it. */
static inline void bench_abuse(const format_vtable *format, const format_spec *spec, test_bench *bench,
                               const char *record, unsigned mutations, uint64_t seed) {
    const size_t size = strlen(record);
    for (size_t cut = 0; cut <= size; cut++) {
        uint8_t *copy = weir_alloc(&bench->account, cut ? cut : 1);
        memcpy(copy, record, cut);
        bench_decode(bench, format, spec, weir_bytes_of(copy, cut));
        weir_free(&bench->account, copy);
    }
    for (unsigned i = 0; i < mutations; i++) {
        uint8_t *copy = weir_alloc(&bench->account, size);
        memcpy(copy, record, size);
        for (uint64_t changes = bench_random(&seed) % 4 + 1; changes; changes--) {
            static const char likely[] = "\"\\{}[],:0-9.eu \n/";
            const uint64_t r = bench_random(&seed);
            copy[r % size] = r >> 32 & 1 ? (uint8_t)(r >> 40) : (uint8_t)likely[(r >> 40) % (sizeof likely - 1)];
        }
        bench_decode(bench, format, spec, weir_bytes_of(copy, size));
        weir_free(&bench->account, copy);
    }
}

#endif
