/* Batches: text views and vectors keep what they are given while they grow; a pool reuses its batches; what two owners
 * share neither can change for the other; buffers live exactly as long as somebody needs them. */
#include "data/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static weir_account account;
static weir_arena arena;
static data_batch_pool *pool;
static const data_column columns[] = {{"K", NULL, DATA_ROLE_KEY, NULL}, {"V", NULL, DATA_ROLE_VALUE, NULL}};
static data_column typed[2];
static data_schema schema;

static int open_bench(void **state) {
    (void)state;
    weir_account_init(&account, "test", 0);
    weir_arena_init(&arena, &account, 64 << 20);
    pool = data_batch_pool_create(&account, 3, 4 << 20);
    memcpy(typed, columns, sizeof typed);
    typed[0].type = data_type_of(DATA_STRING);
    typed[1].type = data_type_of(DATA_BIGINT);
    schema = (data_schema){typed, 2, 1};
    return 0;
}

static int close_bench(void **state) {
    (void)state;
    data_batch_pool_destroy(pool); /* asserts that every batch came back */
    weir_arena_deinit(&arena);
    weir_account_deinit(&account);
    return 0;
}

static void test_text_views(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "a",
                                        "ab",
                                        "abcd",
                                        "abcde",
                                        "twelve bytes",
                                        "twelve byteS",
                                        "thirteen byte",
                                        "thirteen bytE",
                                        "a long text that does not fit",
                                        "a long text that does not fiu"};
    enum { COUNT = sizeof texts / sizeof *texts };
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            /* The second is a copy elsewhere, so that equality cannot be one of pointers. */
            const data_text a = data_text_of(texts[i], strlen(texts[i]));
            const data_text b = data_text_copy(&arena, data_text_of(texts[j], strlen(texts[j])));
            const int order = strcmp(texts[i], texts[j]);
            assert_int_equal(data_text_equal(&a, &b), order == 0);
            assert_int_equal(data_text_compare(&a, &b), order < 0 ? -1 : order > 0);
        }
    }
    /* Zero bytes count, and order is that of unsigned bytes. */
    const data_text zero = data_text_of("a\0", 2), plain = data_text_of("a", 1), high = data_text_of("\xff", 1);
    assert_true(data_text_compare(&plain, &zero) < 0 && data_text_compare(&zero, &high) < 0 &&
                !data_text_equal(&plain, &zero));
}

static const data_type *parsed(const char *text) {
    const data_type *type;
    assert_int_equal(data_type_parse(&arena, weir_bytes_text(text), &type).code, WEIR_OK);
    return type;
}

/* Rows of ARRAY<STRUCT<..>> are appended one by one, far beyond the first capacity, and read back. */
static void test_vectors_grow(void **state) {
    (void)state;
    const data_type *type = parsed("ARRAY<STRUCT<A BIGINT, B STRING>>");
    data_vector *vector = data_vector_create(&arena, type, 4);
    enum { ROWS = 3000 };
    for (uint32_t row = 0; row < ROWS; row++) {
        assert_true(data_vector_reserve(vector, &arena, row, row + 1));
        data_vector_set_null(vector, row);
        if (row % 5 == 4) continue;
        data_vector *records = &vector->children[0];
        uint32_t at = data_vector_child_start(vector, row);
        for (uint32_t i = 0; i < row % 4; i++, at++) {
            char text[32];
            const size_t size = (size_t)snprintf(text, sizeof text, "text number %u of %u", i, row);
            assert_true(data_vector_reserve(records, &arena, at, at + 1));
            data_vector_set_null(records, at);
            records->children[0].bigints[at] = row;
            records->children[1].texts[at] = data_text_copy(&arena, data_text_of(text, size));
            data_bit_set(records->valid, at, true);
            data_bit_set(records->children[0].valid, at, true);
            data_bit_set(records->children[1].valid, at, true);
        }
        vector->ends[row] = (int32_t)at;
        vector->child_rows = at;
        data_bit_set(vector->valid, row, true);
    }
    data_vector *copy = data_vector_create(&arena, type, ROWS);
    for (uint32_t row = 0; row < ROWS; row++) {
        assert_true(data_vector_copy_row(copy, row, vector, row, &arena));
        assert_int_equal(data_vector_is_null(copy, row), row % 5 == 4);
        assert_true(data_vector_rows_equal(vector, row, copy, row));
        if (row > 20 && row % 5 != 4 && row % 4 != 0) assert_false(data_vector_rows_equal(vector, row, copy, row - 20));
    }
    assert_int_equal(vector->children[0].children[0].bigints[vector->ends[ROWS - 2] - 1], ROWS - 2);
}

static data_batch *filled(uint32_t rows) {
    data_batch *batch = data_batch_take(pool, &schema);
    assert_non_null(batch);
    batch->columns[1] = data_vector_create(batch->arena, schema.columns[1].type, rows);
    for (uint32_t i = 0; i < rows; i++) {
        batch->columns[1]->bigints[i] = batch->timestamp[i] = batch->offset[i] = i;
        batch->seq[i] = i;
        batch->partition[i] = 0;
    }
    assert_true(data_vector_own_valid(batch->columns[1], batch->arena, rows));
    batch->rows = rows;
    batch->selection = (data_selection){NULL, rows};
    data_batch_verify(batch);
    return batch;
}

static void test_pool_reuses(void **state) {
    (void)state;
    data_batch *a = filled(10), *b = filled(10), *c = filled(10);
    assert_null(data_batch_take(pool, &schema)); /* three is its maximum */
    data_batch_release(b);
    assert_ptr_equal(data_batch_take(pool, &schema), b);
    assert_null(b->columns[1]);
    data_batch_release(a);
    data_batch_release(b);
    data_batch_release(c);
    const size_t used = account.used_bytes;
    for (int i = 0; i < 100; i++) data_batch_release(filled(4096));
    assert_true(account.peak_bytes < used + (1 << 20)); /* no growth from turn to turn */
}

static unsigned destroyed;
static void count_destroy(data_buffer *buffer) {
    (void)buffer;
    destroyed++;
}

static void test_buffers_live_as_long_as_needed(void **state) {
    (void)state;
    data_buffer buffers[DATA_BATCH_RETAINED_MAX + 1];
    destroyed = 0;
    data_batch *batch = filled(1);
    for (int i = 0; i <= DATA_BATCH_RETAINED_MAX; i++) {
        buffers[i] = (data_buffer){1, count_destroy};
        assert_int_equal(data_batch_retain(batch, &buffers[i]), i < DATA_BATCH_RETAINED_MAX);
    }
    assert_true(data_batch_retain(batch, &buffers[3])); /* held already: counted once */
    for (int i = 0; i < DATA_BATCH_RETAINED_MAX; i++) data_buffer_release(&buffers[i]);
    assert_int_equal(destroyed, 0);
    data_batch *copy = data_batch_share(batch);
    data_batch_release(batch);
    assert_int_equal(destroyed, 0); /* the copy still looks at them */
    data_batch_release(copy);
    assert_int_equal(destroyed, DATA_BATCH_RETAINED_MAX);
}

static void test_sharing(void **state) {
    (void)state;
    static const uint16_t third[] = {3};
    data_batch *batch = filled(100);
    data_batch *copy = data_batch_share(batch);
    /* Selection and column list belong to each alone. */
    copy->selection = (data_selection){third, 1};
    copy->columns[1] = NULL;
    assert_int_equal(batch->selection.count, 100);
    assert_non_null(batch->columns[1]);
    /* Row vectors are one until somebody asks to write them: either side. */
    assert_ptr_equal(batch->timestamp, copy->timestamp);
    assert_true(data_batch_own_rows(copy));
    copy->timestamp[0] = 77;
    assert_int_equal(batch->timestamp[0], 0);
    assert_true(data_batch_own_rows(batch));
    batch->timestamp[1] = 88;
    assert_int_equal(copy->timestamp[1], 1);
    /* A copy of a copy keeps the whole chain alive. */
    data_batch *again = data_batch_share(copy);
    data_batch_release(copy);
    data_batch_release(batch);
    assert_int_equal(again->timestamp[0], 77);
    data_batch_verify(again);
    assert_true(data_batch_own_rows(again));
    again->timestamp[0] = 1;
    data_batch_release(again);
    /* Nobody shares: writing needs no copy. */
    batch = filled(1);
    const int64_t *before = batch->timestamp;
    assert_true(data_batch_own_rows(batch));
    assert_ptr_equal(batch->timestamp, before);
    data_batch_release(batch);
}

/* ---- operators ------------------------------------------------------------------------------------------------- */

typedef struct probe {
    data_operator base;
    uint32_t rows, first, input;
    bool fail;
} probe;

static weir_status probe_process(data_operator *self, unsigned input, data_batch *batch) {
    probe *p = (probe *)self;
    assert_true(data_batch_own_rows(batch));
    p->rows += batch->selection.count;
    p->first = (uint32_t)batch->timestamp[0];
    p->input = input;
    batch->timestamp[0] += 1000; /* the next target must not see it */
    data_batch_release(batch);
    return p->fail ? weir_fail(WEIR_IO, "the probe fails") : weir_ok();
}
static const data_operator_vtable probe_vtable = {"probe", probe_process, NULL, NULL};

static void test_emit(void **state) {
    (void)state;
    probe targets[3], source = {.base = {.vtable = &probe_vtable, .id = "source"}};
    for (int i = 0; i < 3; i++) {
        targets[i] = (probe){.base = {.vtable = &probe_vtable, .id = "target"}};
        source.base.targets[i] = &targets[i].base;
        source.base.target_inputs[i] = (uint8_t)i;
    }
    assert_int_equal(data_emit(&source.base, filled(5)).code, WEIR_OK); /* nobody listens */
    source.base.target_count = 3;
    assert_int_equal(data_emit(&source.base, filled(5)).code, WEIR_OK);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(targets[i].rows, 5);
        assert_int_equal(targets[i].base.rows_in, 5);
        assert_int_equal(targets[i].first, 0);
        assert_int_equal(targets[i].input, i);
    }
    assert_int_equal(source.base.rows_out, 10);
    data_batch *none = filled(5);
    none->selection.count = 0;
    assert_int_equal(data_emit(&source.base, none).code, WEIR_OK);
    assert_int_equal(targets[0].rows, 5);
    targets[1].fail = true;
    assert_int_equal(data_emit(&source.base, filled(5)).code, WEIR_IO);
    assert_int_equal(targets[2].rows, 5); /* not reached, and nothing leaked */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_views),  cmocka_unit_test(test_vectors_grow),
        cmocka_unit_test(test_pool_reuses), cmocka_unit_test(test_buffers_live_as_long_as_needed),
        cmocka_unit_test(test_sharing),     cmocka_unit_test(test_emit),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
