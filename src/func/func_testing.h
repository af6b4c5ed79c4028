/* What the tests of func share: values from text, calls by name, one row in, one text out. */
#ifndef WEIR_FUNC_FUNC_TESTING_H
#define WEIR_FUNC_FUNC_TESTING_H

#include "func/func_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct test_bench {
    weir_account account;
    weir_arena arena; /* types, trees, programs: reset by each case */
    data_batch_pool *pool;
    weir_buffer text;
} test_bench;

static inline void bench_open(test_bench *bench) {
    weir_account_init(&bench->account, "test", 0);
    weir_arena_init(&bench->arena, &bench->account, 64 << 20);
    bench->pool = data_batch_pool_create(&bench->account, 4, 64 << 20);
    weir_buffer_init(&bench->text, &bench->account, 1 << 20);
}

static inline void bench_close(test_bench *bench) {
    weir_buffer_deinit(&bench->text);
    data_batch_pool_destroy(bench->pool);
    weir_arena_deinit(&bench->arena);
    weir_account_deinit(&bench->account);
}

static inline const data_type *bench_type(test_bench *bench, const char *text, size_t size) {
    const data_type *type;
    const weir_status status = data_type_parse(&bench->arena, weir_bytes_of(text, size), &type);
    if (weir_failed(status)) fail_msg("%s", status.text);
    return type;
}

/* "TYPE:text", or "TYPE" for a NULL of it; BYTES are given as they are. */
static inline func_value bench_value(test_bench *bench, const char *text) {
    const char *colon = strchr(text, ':');
    const char *parenthesis = strchr(text, ')');
    if (parenthesis && colon && colon < parenthesis) colon = strchr(parenthesis, ':');
    func_value value = {.type = bench_type(bench, text, colon ? (size_t)(colon - text) : strlen(text)),
                        .is_null = !colon};
    if (!colon) return value;
    const weir_bytes bytes = weir_bytes_text(colon + 1);
    bool good = true, yes;
    int64_t whole = 0;
    switch (value.type->kind) {
    case DATA_BOOLEAN: good = weir_parse_bool(bytes, &yes), value.boolean = yes; break;
    case DATA_INT: good = weir_parse_i64(bytes, &whole), value.int32 = (int32_t)whole; break;
    case DATA_BIGINT: good = weir_parse_i64(bytes, &value.int64); break;
    case DATA_DOUBLE: good = weir_parse_f64(bytes, &value.float64); break;
    case DATA_DATE: good = data_date_parse(bytes, &value.int32); break;
    case DATA_TIME: good = data_time_parse(bytes, &value.int32); break;
    case DATA_TIMESTAMP: good = data_timestamp_parse(bytes, &value.int64); break;
    case DATA_DECIMAL:
        good = data_decimal_parse(bytes, value.type->precision, value.type->scale, DATA_ROUND_EXACT, &value.decimal) ==
               DATA_FIT_OK;
        break;
    default: value.text = bytes; break;
    }
    if (!good) fail_msg("%s is not a value", text);
    return value;
}

/* The value as text; BYTES as they are, which is fine for a test. */
static inline void bench_print(weir_buffer *out, const data_vector *vector, uint32_t row) {
    char text[64];
    const func_value value = func_value_at(vector, row);
    if (value.is_null) {
        weir_buffer_append_text(out, "NULL");
        return;
    }
    switch (value.type->kind) {
    case DATA_BOOLEAN: weir_buffer_append_text(out, value.boolean ? "true" : "false"); return;
    case DATA_INT: weir_buffer_append(out, text, weir_format_i64(text, value.int32)); return;
    case DATA_BIGINT: weir_buffer_append(out, text, weir_format_i64(text, value.int64)); return;
    case DATA_DOUBLE: weir_buffer_append(out, text, weir_format_f64(text, value.float64)); return;
    case DATA_DECIMAL:
        weir_buffer_append(out, text, data_decimal_format(text, value.decimal, value.type->scale));
        return;
    case DATA_DATE: weir_buffer_append(out, text, data_date_format(text, value.int32)); return;
    case DATA_TIME: weir_buffer_append(out, text, data_time_format(text, value.int32)); return;
    case DATA_TIMESTAMP: weir_buffer_append(out, text, data_timestamp_format(text, value.int64)); return;
    default: weir_buffer_append(out, value.text.data, value.text.size); return;
    }
}

static inline const func_expr *bench_column(test_bench *bench, const data_schema *schema, uint32_t index) {
    func_expr *expr = weir_arena_new(&bench->arena, func_expr);
    *expr = (func_expr){.kind = FUNC_COLUMN, .type = schema->columns[index].type, .index = index};
    return expr;
}

static inline const func_expr *bench_node(test_bench *bench, func_expr_kind kind, const data_type *type,
                                          const func_expr *const *arguments, uint32_t count) {
    const func_expr **kept = weir_arena_array(&bench->arena, const func_expr *, count);
    memcpy(kept, arguments, sizeof *kept * count);
    func_expr *expr = weir_arena_new(&bench->arena, func_expr);
    *expr = (func_expr){.kind = kind, .type = type, .arguments = kept, .argument_count = count};
    return expr;
}

static inline void bench_rows(data_batch *batch, uint32_t rows) {
    batch->rows = rows;
    batch->selection = (data_selection){NULL, rows};
    for (uint32_t i = 0; i < rows; i++) {
        batch->timestamp[i] = 1000 + i;
        batch->offset[i] = batch->seq[i] = i;
        batch->partition[i] = 7;
    }
}

/* Compiles and runs over `batch`; the text of `row`, or "error: reason". */
static inline const char *bench_run(test_bench *bench, const func_expr *expr, data_batch *batch, uint32_t row) {
    const func_program *program;
    data_vector *result;
    func_errors errors;
    weir_buffer_clear(&bench->text);
    const weir_status status = func_compile(&bench->arena, expr, batch->schema, &program);
    if (weir_failed(status)) return status.text;
    assert_int_equal(func_run(program, batch, &result, &errors).code, WEIR_OK);
    assert_true(data_type_equal(result->type, expr->type));
    if (data_bit(errors.bits, row)) {
        assert_true(data_vector_is_null(result, row));
        weir_buffer_format(&bench->text, "error: %s", errors.reasons[row]);
    } else {
        bench_print(&bench->text, result, row);
    }
    return weir_buffer_text(&bench->text);
}

#endif
