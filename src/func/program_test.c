/* Programs: the rules about errors and laziness one by one, then random trees over random rows against an evaluator
 * that knows nothing of vectors: it walks the tree for one row at a time and lets errors escape like exceptions. Values
 * and the reason of every error must agree. */
#include "func/func_testing.h"

static test_bench b;

static const func_expr *literal(const char *text) {
    return func_literal(&b.arena, bench_value(&b, text));
}

static const func_expr *call2(const char *name, const func_expr *left, const func_expr *right) {
    const func_expr *arguments[] = {left, right}, *call = NULL;
    const weir_status status = func_call(&b.arena, name, arguments, right ? 2 : 1, &call);
    if (weir_failed(status)) fail_msg("%s", status.text);
    return call;
}

static const func_expr *cast(const func_expr *argument, const char *type) {
    const func_expr *call = NULL;
    const weir_status status = func_cast(&b.arena, argument, bench_type(&b, type, strlen(type)), &call);
    if (weir_failed(status)) fail_msg("%s", status.text);
    return call;
}

static const func_expr *node(func_expr_kind kind, const char *type, const func_expr *a, const func_expr *c,
                             const func_expr *d) {
    const func_expr *arguments[] = {a, c, d};
    return bench_node(&b, kind, bench_type(&b, type, strlen(type)), arguments, d ? 3 : c ? 2 : 1);
}

/* Four rows: I = 0, 1, NULL, 3; S = "7", "x", NULL, a long text; R = STRUCT(A I). */
static const data_schema *small_schema(void) {
    data_column *columns = weir_arena_array(&b.arena, data_column, 3);
    data_schema *schema = weir_arena_new(&b.arena, data_schema);
    const char *const types[] = {"INTEGER", "STRING", "STRUCT<A INTEGER>"}, *const names[] = {"I", "S", "r"};
    for (int i = 0; i < 3; i++)
        columns[i] = (data_column){
            .name = names[i], .type = bench_type(&b, types[i], strlen(types[i])), .role = DATA_ROLE_VALUE};
    *schema = (data_schema){columns, 3, 0};
    return schema;
}

static data_batch *small_batch(void) {
    static const char *const texts[] = {"7", "x", NULL, "a text that is longer than a view"};
    data_batch *batch = data_batch_take(b.pool, small_schema());
    for (int i = 0; i < 3; i++) batch->columns[i] = data_vector_create(batch->arena, batch->schema->columns[i].type, 4);
    for (uint32_t row = 0; row < 4; row++) {
        if (row == 2) continue;
        batch->columns[0]->ints[row] = batch->columns[2]->children[0].ints[row] = (int32_t)row;
        batch->columns[1]->texts[row] = data_text_of(texts[row], strlen(texts[row]));
        for (int i = 0; i < 3; i++) data_bit_set(batch->columns[i]->valid, row, true);
        data_bit_set(batch->columns[2]->children[0].valid, row, true);
    }
    bench_rows(batch, 4);
    data_batch_verify(batch);
    return batch;
}

/* The results of all four rows, joined by "|". */
static void expect(const func_expr *(*make)(const data_schema *schema), const char *wanted) {
    char all[1024] = "";
    data_batch *batch = small_batch();
    const func_expr *expr = make(batch->schema);
    for (uint32_t row = 0; row < 4; row++) {
        strncat(all, bench_run(&b, expr, batch, row), sizeof all - strlen(all) - 1);
        if (row < 3) strncat(all, "|", 2);
    }
    data_batch_release(batch);
    assert_string_equal(all, wanted);
}

static const func_expr *division(const data_schema *schema) { /* 10 / I */
    return call2("/", literal("INTEGER:10"), bench_column(&b, schema, 0));
}
static const func_expr *number_of_text(const data_schema *schema) { /* CAST(S AS INTEGER) */
    return cast(bench_column(&b, schema, 1), "INTEGER");
}

/* ---- rules ----------------------------------------------------------------------------------------------------- */

static const func_expr *coalesce_division(const data_schema *schema) {
    return node(FUNC_COALESCE, "INTEGER", division(schema), literal("INTEGER:2"), NULL);
}
static const func_expr *coalesce_cast(const data_schema *schema) {
    return node(FUNC_COALESCE, "INTEGER", number_of_text(schema), literal("INTEGER:2"), NULL);
}
static const func_expr *cast_plus_one(const data_schema *schema) {
    return call2("+", number_of_text(schema), literal("INTEGER:1"));
}
static const func_expr *cast_equals(const data_schema *schema) {
    return call2("=", number_of_text(schema), literal("INTEGER:7"));
}
static const func_expr *division_equals(const data_schema *schema) {
    return call2("=", division(schema), literal("INTEGER:10"));
}
static const func_expr *guarded_division(const data_schema *schema) { /* I <> 0 AND 10 / I > 3 */
    return node(FUNC_AND, "BOOLEAN", call2("<>", bench_column(&b, schema, 0), literal("INTEGER:0")),
                call2(">", division(schema), literal("INTEGER:3")), NULL);
}
static const func_expr *unguarded_division(const data_schema *schema) {
    return node(FUNC_AND, "BOOLEAN", call2(">", division(schema), literal("INTEGER:3")),
                call2("<>", bench_column(&b, schema, 0), literal("INTEGER:0")), NULL);
}
static const func_expr *or_division(const data_schema *schema) { /* I = 0 OR 10 / I > 3 */
    return node(FUNC_OR, "BOOLEAN", call2("=", bench_column(&b, schema, 0), literal("INTEGER:0")),
                call2(">", division(schema), literal("INTEGER:3")), NULL);
}
static const func_expr *case_division(const data_schema *schema) { /* CASE WHEN I = 0 THEN -1 ELSE 10 / I END */
    return node(FUNC_CASE, "INTEGER", call2("=", bench_column(&b, schema, 0), literal("INTEGER:0")),
                literal("INTEGER:-1"), division(schema));
}
static const func_expr *case_without_else(const data_schema *schema) {
    return node(FUNC_CASE, "STRING", call2(">", bench_column(&b, schema, 0), literal("INTEGER:0")),
                bench_column(&b, schema, 1), NULL);
}
static const func_expr *not_null_test(const data_schema *schema) {
    return node(FUNC_NOT, "BOOLEAN", node(FUNC_IS_NULL, "BOOLEAN", bench_column(&b, schema, 0), NULL, NULL), NULL,
                NULL);
}
static const func_expr *field(const data_schema *schema) {
    return node(FUNC_FIELD, "INTEGER", bench_column(&b, schema, 2), NULL, NULL);
}
static const func_expr *constant_error(const data_schema *schema) {
    (void)schema;
    return call2("/", literal("INTEGER:1"), literal("INTEGER:0"));
}
static const func_expr *length_of_failed_call(const data_schema *schema) { /* LEN(URL_DECODE_PARAM(S || '%')) */
    return call2("LEN", call2("URL_DECODE_PARAM", call2("||", bench_column(&b, schema, 1), literal("STRING:%")), NULL),
                 NULL);
}
static const func_expr *greatest_of_failed_call(const data_schema *schema) { /* a NULL is skipped by GREATEST */
    const func_expr *failing = call2("LEN", call2("URL_DECODE_PARAM", literal("STRING:%"), NULL), NULL);
    return call2("GREATEST", failing, bench_column(&b, schema, 0));
}
static const func_expr *row_partition(const data_schema *schema) {
    (void)schema;
    func_expr *expr = weir_arena_new(&b.arena, func_expr);
    *expr = (func_expr){.kind = FUNC_PSEUDO, .type = data_type_of(DATA_INT), .index = FUNC_ROWPARTITION};
    return expr;
}
static const func_expr *row_time(const data_schema *schema) {
    (void)schema;
    func_expr *expr = weir_arena_new(&b.arena, func_expr);
    *expr = (func_expr){.kind = FUNC_PSEUDO, .type = data_type_of(DATA_BIGINT), .index = FUNC_ROWTIME};
    return call2("+", expr, literal("INTEGER:1"));
}
static const func_expr *window_start(const data_schema *schema) {
    (void)schema;
    func_expr *expr = weir_arena_new(&b.arena, func_expr);
    *expr = (func_expr){.kind = FUNC_PSEUDO, .type = data_type_of(DATA_BIGINT), .index = FUNC_WINDOWSTART};
    return expr;
}

static const func_expr *coalesce_wider_division(const data_schema *schema) { /* COALESCE(10 / I, 2.5e0) */
    return call2("COALESCE", division(schema), literal("DOUBLE:2.5"));
}
static const func_expr *coalesce_wider_cast(const data_schema *schema) {
    return call2("COALESCE", number_of_text(schema), literal("DOUBLE:2.5"));
}
static const func_expr *wider_sum(const data_schema *schema) { /* 10 / I + 1, the 1 a BIGINT */
    return call2("+", division(schema), literal("BIGINT:1"));
}
static const func_expr *wider_cast_sum(const data_schema *schema) {
    return call2("+", number_of_text(schema), literal("BIGINT:1"));
}
static const func_expr *power_of_division(const data_schema *schema) { /* an operation is no call */
    return call2("POWER", division(schema), literal("DOUBLE:2"));
}
static const func_expr *power_of_failed_call(const data_schema *schema) {
    return call2("GREATEST", literal("DOUBLE:1"), length_of_failed_call(schema));
}
static const func_expr *cast_of_wider_division(const data_schema *schema) {
    return cast(call2("+", division(schema), literal("BIGINT:1")), "STRING");
}

/* What values are brought to a common type by is no CAST: it catches nothing and prints as nothing. */
static void test_widening(void **state) {
    (void)state;
    bench_open(&b);
    expect(coalesce_wider_division, "error: division by zero|10.0|2.5|3.0");
    expect(coalesce_wider_cast, "7.0|2.5|2.5|2.5");
    expect(wider_sum, "error: division by zero|11|NULL|4");
    expect(wider_cast_sum, "8|NULL|NULL|NULL");
    expect(power_of_division, "error: division by zero|100.0|NULL|9.0");
    expect(power_of_failed_call, "1.0|1.0|1.0|1.0");
    expect(cast_of_wider_division, "error: division by zero|11|NULL|4");
    const data_schema *schema = small_schema();
    weir_buffer_clear(&b.text);
    func_expr_print(coalesce_wider_division(schema), schema, &b.text);
    assert_string_equal(weir_buffer_text(&b.text), "IFNULL((10 / I), 2.5)");
    weir_buffer_clear(&b.text);
    func_expr_print(coalesce_wider_cast(schema), schema, &b.text);
    assert_string_equal(weir_buffer_text(&b.text), "IFNULL(CAST(S AS INTEGER), 2.5)");
    /* A text literal for a DATE is widened as well, and fails like any other operand. */
    const func_expr *arguments[] = {literal("DATE:2026-11-24"), literal("STRING:soon")}, *made;
    assert_int_equal(func_call(&b.arena, "=", arguments, 2, &made).code, WEIR_OK);
    data_batch *batch = small_batch();
    assert_string_equal(bench_run(&b, made, batch, 0), "error: cannot cast 'soon' to DATE");
    data_batch_release(batch);
    bench_close(&b);
}

/* Lists are written in order, while the branches of a CASE come out of order. */
static void test_lists(void **state) {
    (void)state;
    bench_open(&b);
    static const char *const names[] = {"I", "A", "C"};
    const char *const types[] = {"INTEGER", "ARRAY<STRING>", "ARRAY<STRING>"};
    data_column columns[3];
    for (int i = 0; i < 3; i++)
        columns[i] = (data_column){
            .name = names[i], .type = bench_type(&b, types[i], strlen(types[i])), .role = DATA_ROLE_VALUE};
    const data_schema schema = {columns, 3, 0};
    const func_expr *const plain[] = {call2("<>", bench_column(&b, &schema, 0), literal("INTEGER:1")),
                                      bench_column(&b, &schema, 1), bench_column(&b, &schema, 2)};
    const func_expr *const either = bench_node(&b, FUNC_CASE, columns[1].type, plain, 3);
    const func_expr *const both[] = {bench_column(&b, &schema, 1), bench_column(&b, &schema, 2)};
    const func_expr *const first = bench_node(&b, FUNC_COALESCE, columns[1].type, both, 2);
    data_batch *batch = data_batch_take(b.pool, &schema);
    for (int i = 0; i < 3; i++) batch->columns[i] = data_vector_create(batch->arena, columns[i].type, 6);
    for (uint32_t row = 0; row < 6; row++) { /* A: row % 3 texts, NULL in row 2; C: row texts; I: row % 2 */
        batch->columns[0]->ints[row] = (int32_t)(row % 2);
        data_bit_set(batch->columns[0]->valid, row, true);
        for (uint32_t column = 1; column < 3; column++) {
            data_vector *list = batch->columns[column];
            uint32_t at = row == 0 ? 0 : (uint32_t)list->ends[row - 1];
            const uint32_t size = column == 1 ? row % 3 : row;
            if (column == 1 && row == 2) {
                data_vector_set_null(list, row);
                continue;
            }
            assert_true(data_vector_reserve(list->children, batch->arena, at, at + size));
            for (uint32_t i = 0; i < size; i++, at++) {
                const char *text = weir_arena_format(batch->arena, "%u of column %u, long enough", i, column);
                list->children->texts[at] = data_text_of(text, strlen(text));
                data_bit_set(list->children->valid, at, true);
            }
            data_bit_set(list->valid, row, true);
            list->ends[row] = (int32_t)at;
            list->child_rows = at;
        }
    }
    bench_rows(batch, 6);
    static const uint16_t some[] = {1, 2, 3, 5};
    for (int round = 0; round < 4; round++) {
        if (round >= 2) batch->selection = (data_selection){some, 4};
        const func_program *program;
        data_vector *result;
        func_errors errors;
        assert_int_equal(func_compile(&b.arena, round % 2 ? first : either, &schema, &program).code, WEIR_OK);
        assert_int_equal(func_run(program, batch, &result, &errors).code, WEIR_OK);
        assert_int_equal(errors.count, 0);
        for (uint32_t i = 0; i < batch->selection.count; i++) {
            const uint32_t row = data_selected(&batch->selection, i);
            const uint32_t from = round % 2 ? (row == 2 ? 2 : 1) : row % 2 ? 2 : 1;
            assert_true(data_vector_rows_equal(result, row, batch->columns[from], row));
        }
    }
    data_batch_release(batch);
    bench_close(&b);
}

/* A constant that fails is evaluated once, at the first row; that this row had failed before must not hide it from the
 * others. */
static void test_a_constant_that_fails(void **state) {
    (void)state;
    bench_open(&b);
    const data_column column = {.name = "I", .type = data_type_of(DATA_INT), .role = DATA_ROLE_VALUE};
    const data_schema schema = {&column, 1, 0};
    const func_expr *expr = call2("+", call2("/", literal("INTEGER:1"), bench_column(&b, &schema, 0)),
                                  call2("/", literal("INTEGER:1"), literal("INTEGER:0")));
    data_batch *batch = data_batch_take(b.pool, &schema);
    batch->columns[0] = data_vector_create(batch->arena, column.type, 2);
    for (uint32_t row = 0; row < 2; row++) {
        batch->columns[0]->ints[row] = (int32_t)row;
        data_bit_set(batch->columns[0]->valid, row, true);
    }
    bench_rows(batch, 2);
    const func_program *program;
    data_vector *result;
    func_errors errors;
    assert_int_equal(func_compile(&b.arena, expr, &schema, &program).code, WEIR_OK);
    assert_int_equal(func_run(program, batch, &result, &errors).code, WEIR_OK);
    assert_int_equal(errors.count, 2);
    assert_true(data_vector_is_null(result, 1));
    assert_string_equal(errors.reasons[1], "division by zero");
    data_batch_release(batch);
    bench_close(&b);
}

static void test_rules(void **state) {
    (void)state;
    bench_open(&b);
    expect(division, "error: division by zero|10|NULL|3");
    expect(
        number_of_text,
        "7|error: cannot cast 'x' to INTEGER|NULL|error: cannot cast 'a text that is longer than a view' to INTEGER");
    /* arithmetic is no catch point, a CAST is one */
    expect(coalesce_division, "error: division by zero|10|2|3");
    expect(coalesce_cast, "7|2|2|2");
    expect(cast_plus_one, "8|NULL|NULL|NULL");
    expect(cast_equals, "true|false|false|false");
    expect(division_equals, "error: division by zero|true|false|false");
    /* a call that fails is NULL to the call around it */
    expect(length_of_failed_call, "NULL|NULL|NULL|NULL");
    expect(greatest_of_failed_call, "0|1|NULL|3");
    /* only needed operands are evaluated */
    expect(guarded_division, "false|true|false|false");
    expect(unguarded_division, "error: division by zero|true|false|false");
    expect(or_division, "true|true|false|false");
    expect(case_division, "-1|10|NULL|3");
    expect(case_without_else, "NULL|x|NULL|a text that is longer than a view");
    expect(not_null_test, "true|true|false|true");
    expect(field, "0|1|NULL|3");
    expect(constant_error,
           "error: division by zero|error: division by zero|error: division by zero|error: division by zero");
    expect(row_partition, "7|7|7|7");
    expect(row_time, "1001|1002|1003|1004");
    expect(window_start, "NULL|NULL|NULL|NULL");
    bench_close(&b);
}

static void test_filter(void **state) {
    (void)state;
    bench_open(&b);
    data_batch *batch = small_batch();
    const func_program *program;
    func_errors errors;
    const func_expr *expr = unguarded_division(batch->schema);
    assert_int_equal(func_compile(&b.arena, expr, batch->schema, &program).code, WEIR_OK);
    uint64_t columns = 0;
    func_program_columns(program, &columns);
    assert_int_equal(columns, 1);
    assert_int_equal(func_filter(program, batch, &errors).code, WEIR_OK);
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.reasons[0], "division by zero");
    assert_int_equal(batch->selection.count, 1);
    assert_int_equal(data_selected(&batch->selection, 0), 1);
    data_batch_verify(batch);
    data_batch_release(batch);
    /* Caught errors are counted. */
    batch = small_batch();
    data_vector *result;
    assert_int_equal(func_compile(&b.arena, coalesce_cast(batch->schema), batch->schema, &program).code, WEIR_OK);
    assert_int_equal(func_run(program, batch, &result, &errors).code, WEIR_OK);
    assert_int_equal(errors.count, 0);
    assert_int_equal(errors.caught, 2);
    data_batch_release(batch);
    bench_close(&b);
}

static void test_limits(void **state) {
    (void)state;
    bench_open(&b);
    const func_expr *deep = literal("INTEGER:1");
    const data_schema *schema = small_schema();
    const func_program *program;
    for (int i = 0; i < 300; i++) deep = call2("+", deep, bench_column(&b, schema, 0));
    assert_string_equal(func_compile(&b.arena, deep, schema, &program).text,
                        "an expression nested more than 200 levels deep");
    const func_expr *wide = bench_column(&b, schema, 0);
    for (int i = 0; i < 14; i++) wide = call2("+", wide, wide);
    assert_string_equal(func_compile(&b.arena, wide, schema, &program).text,
                        "an expression of more than 8192 steps; split it into two streams");
    bench_close(&b);
}

static void test_print(void **state) {
    (void)state;
    bench_open(&b);
    const data_schema *schema = small_schema();
    const func_expr *expr = node(FUNC_OR, "BOOLEAN", guarded_division(schema),
                                 call2("LIKE", bench_column(&b, schema, 1), literal("STRING:it's%")),
                                 node(FUNC_IS_NULL, "BOOLEAN", field(schema), NULL, NULL));
    func_expr_print(expr, schema, &b.text);
    assert_string_equal(weir_buffer_text(&b.text),
                        "(((I <> 0) AND ((10 / I) > 3)) OR (S LIKE 'it''s%') OR (`r`->A IS NULL))");
    weir_buffer_clear(&b.text);
    func_expr_print(node(FUNC_CASE, "INTEGER", not_null_test(schema), coalesce_cast(schema), literal("INTEGER")),
                    schema, &b.text);
    assert_string_equal(weir_buffer_text(&b.text),
                        "(CASE WHEN (NOT (I IS NULL)) THEN IFNULL(CAST(S AS INTEGER), 2) ELSE NULL END)");
    weir_buffer_clear(&b.text);
    func_expr_print(call2("UCASE", literal("STRING:a"), NULL), schema, &b.text);
    assert_string_equal(weir_buffer_text(&b.text), "UCASE('a')");
    bench_close(&b);
}

/* ---- random trees against a row-at-a-time evaluator ------------------------------------------------------------ */

enum { ROWS = 200, TREES = 1500, COLUMNS = 6 };
static const data_kind column_kinds[COLUMNS] = {DATA_INT,     DATA_BIGINT, DATA_DOUBLE,
                                                DATA_BOOLEAN, DATA_STRING, DATA_STRING};

static uint64_t next(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

__extension__ typedef __int128 wide_integer;

typedef struct row_value { /* a value of one row; text in the arena */
    bool is_null, failed;
    const char *reason;
    union {
        int64_t whole; /* INTEGER, BIGINT, BOOLEAN */
        double real;
    };
    const char *text;
} row_value;

static const row_value null_value = {.is_null = true};

static row_value failure(const char *reason) {
    return (row_value){.is_null = true, .failed = true, .reason = reason};
}

static const func_expr *random_expr(const data_schema *schema, data_kind kind, unsigned depth, uint64_t *seed);

static const func_expr *random_leaf(const data_schema *schema, data_kind kind, uint64_t *seed) {
    static const char *const literals[][4] = {
        [DATA_INT] = {"INTEGER:0", "INTEGER:1", "INTEGER:-7", "INTEGER"},
        [DATA_BIGINT] = {"BIGINT:0", "BIGINT:3", "BIGINT:5000000000", "BIGINT"},
        [DATA_DOUBLE] = {"DOUBLE:0", "DOUBLE:1.5", "DOUBLE:-2", "DOUBLE"},
        [DATA_BOOLEAN] = {"BOOLEAN:true", "BOOLEAN:false", "BOOLEAN:true", "BOOLEAN"},
        [DATA_STRING] = {"STRING:12", "STRING:", "STRING:some text that is long", "STRING"},
    };
    if (next(seed) % 4 == 0) return literal(literals[kind][next(seed) % 4]);
    for (;;) {
        const uint32_t column = (uint32_t)(next(seed) % COLUMNS);
        if (column_kinds[column] == kind) return bench_column(&b, schema, column);
    }
}

static const char *type_name(data_kind kind) {
    return kind == DATA_INT       ? "INTEGER"
           : kind == DATA_BIGINT  ? "BIGINT"
           : kind == DATA_DOUBLE  ? "DOUBLE"
           : kind == DATA_BOOLEAN ? "BOOLEAN"
                                  : "STRING";
}

static const func_expr *random_boolean(const data_schema *schema, unsigned depth, uint64_t *seed) {
    static const char *const operators[] = {"=", "<>", "<", "<=", ">", ">="};
    static const data_kind kinds[] = {DATA_INT, DATA_BIGINT, DATA_DOUBLE, DATA_STRING};
    const data_kind kind = kinds[next(seed) % 4];
    switch (next(seed) % 5) {
    case 0:
        return node(FUNC_AND, "BOOLEAN", random_expr(schema, DATA_BOOLEAN, depth, seed),
                    random_expr(schema, DATA_BOOLEAN, depth, seed),
                    next(seed) % 2 ? random_expr(schema, DATA_BOOLEAN, depth, seed) : NULL);
    case 1:
        return node(FUNC_OR, "BOOLEAN", random_expr(schema, DATA_BOOLEAN, depth, seed),
                    random_expr(schema, DATA_BOOLEAN, depth, seed), NULL);
    case 2: return node(FUNC_NOT, "BOOLEAN", random_expr(schema, DATA_BOOLEAN, depth, seed), NULL, NULL);
    case 3: return node(FUNC_IS_NULL, "BOOLEAN", random_expr(schema, kind, depth, seed), NULL, NULL);
    default:
        return call2(operators[next(seed) % 6], random_expr(schema, kind, depth, seed),
                     random_expr(schema, kind, depth, seed));
    }
}

static const func_expr *random_number(const data_schema *schema, data_kind kind, unsigned depth, uint64_t *seed) {
    static const char *const operators[] = {"+", "-", "*", "/", "%"};
    if (kind == DATA_INT && next(seed) % 4 == 0)
        return call2("LEN", random_expr(schema, DATA_STRING, depth, seed), NULL);
    if (kind != DATA_DOUBLE && next(seed) % 4 == 0)
        return cast(random_expr(schema, DATA_STRING, depth, seed), type_name(kind));
    data_kind left = kind;
    if (kind != DATA_INT && next(seed) % 4 == 0) left = kind == DATA_BIGINT || next(seed) % 2 ? DATA_INT : DATA_BIGINT;
    return call2(operators[next(seed) % 5], random_expr(schema, left, depth, seed),
                 random_expr(schema, kind, depth, seed));
}

static const func_expr *random_text(const data_schema *schema, unsigned depth, uint64_t *seed) {
    switch (next(seed) % 3) {
    case 0:
        return call2("CONCAT", random_expr(schema, DATA_STRING, depth, seed),
                     random_expr(schema, DATA_STRING, depth, seed));
    case 1: return cast(random_expr(schema, DATA_BIGINT, depth, seed), "STRING");
    default:
        return call2("||", random_expr(schema, DATA_STRING, depth, seed),
                     random_expr(schema, DATA_STRING, depth, seed));
    }
}

static const func_expr *random_expr(const data_schema *schema, data_kind kind, unsigned depth, uint64_t *seed) {
    if (depth == 0 || next(seed) % 6 == 0) return random_leaf(schema, kind, seed);
    depth--;
    if (next(seed) % 6 == 0) {
        return node(FUNC_COALESCE, type_name(kind), random_expr(schema, kind, depth, seed),
                    random_expr(schema, kind, depth, seed), NULL);
    }
    if (next(seed) % 6 == 0) {
        return node(FUNC_CASE, type_name(kind), random_expr(schema, DATA_BOOLEAN, depth, seed),
                    random_expr(schema, kind, depth, seed),
                    next(seed) % 2 ? random_expr(schema, kind, depth, seed) : NULL);
    }
    if (kind == DATA_BOOLEAN) return random_boolean(schema, depth, seed);
    if (kind == DATA_STRING) return random_text(schema, depth, seed);
    return random_number(schema, kind, depth, seed);
}

static row_value evaluate(const func_expr *expr, const data_batch *batch, uint32_t row);

static row_value loaded(const func_value *value) {
    row_value result = {.is_null = value->is_null};
    if (value->is_null) return null_value;
    switch (value->type->kind) {
    case DATA_INT: result.whole = value->int32; break;
    case DATA_BIGINT: result.whole = value->int64; break;
    case DATA_BOOLEAN: result.whole = value->boolean; break;
    case DATA_DOUBLE: result.real = value->float64; break;
    default:
        result.text = weir_arena_format(&b.arena, "%.*s", (int)value->text.size, (const char *)value->text.data);
        break;
    }
    return result;
}

/* An operand of an operation: a CAST that fails is NULL; in a function also a call that fails. What is widened counts
 * as what it is made from. */
static row_value operand(const func_expr *expr, bool of_function, const data_batch *batch, uint32_t row) {
    const row_value value = evaluate(expr, batch, row);
    if (!value.failed) return value;
    while (expr->kind == FUNC_CALL && strcmp(expr->overload->name, "WIDEN") == 0) expr = expr->arguments[0];
    const bool is_cast = expr->kind == FUNC_CALL && strcmp(expr->overload->name, "CAST") == 0;
    const bool is_function =
        (expr->kind == FUNC_CALL && !(expr->overload->flags & FUNC_INTERNAL)) || expr->kind == FUNC_COALESCE;
    return is_cast || (of_function && is_function) ? null_value : value;
}

static bool compared(const char *operator, const func_expr * left, row_value a, row_value c) {
    int order;
    if (left->type->kind == DATA_DOUBLE) {
        if (a.real != a.real || c.real != c.real) return strcmp(operator, "<>") == 0;
        order = a.real < c.real ? -1 : a.real > c.real;
    } else if (left->type->kind == DATA_STRING) {
        order = strcmp(a.text, c.text);
    } else {
        order = a.whole < c.whole ? -1 : a.whole > c.whole;
    }
    if (strcmp(operator, "=") == 0) return order == 0;
    if (strcmp(operator, "<>") == 0) return order != 0;
    if (strcmp(operator, "<") == 0) return order < 0;
    if (strcmp(operator, "<=") == 0) return order <= 0;
    return strcmp(operator, ">") == 0 ? order > 0 : order >= 0;
}

static row_value computed(const func_expr *expr, char operator, row_value a, row_value c) {
    row_value result = {0};
    if (expr->type->kind == DATA_DOUBLE) {
        const double x = a.real, y = c.real;
        result.real = operator== '+' ? x + y :
                      operator== '-' ? x - y
                      :
                      operator== '*' ? x * y
                      :
                      operator== '/' ? x / y
                                     : __builtin_fmod(x, y);
        return result;
    }
    if ((operator== '/' || operator== '%') && c.whole == 0) return failure("division by zero");
    const bool narrow = expr->type->kind == DATA_INT;
    const wide_integer x = a.whole, y = c.whole;
    const wide_integer wide = operator== '+' ? x + y :
                              operator== '-' ? x - y
                              :
                              operator== '*' ? x * y
                              :
                              operator== '/' ? x / y
                                             : x % y;
    result.whole = narrow ? (int32_t)(uint32_t)wide : (int64_t)(uint64_t)wide;
    return result;
}

static row_value converted(const func_expr *expr, row_value value) {
    row_value result = {0};
    if (expr->type->kind == DATA_STRING) {
        result.text = weir_arena_format(&b.arena, "%lld", (long long)value.whole);
        return result;
    }
    const bool narrow = expr->type->kind == DATA_INT;
    const size_t blanks = strspn(value.text, " ");
    weir_bytes text = weir_bytes_text(value.text + blanks);
    while (text.size && text.data[text.size - 1] == ' ') text.size--;
    if (!weir_parse_i64(text, &result.whole) || (narrow && result.whole != (int32_t)result.whole)) {
        const int size = (int)strlen(value.text);
        return failure(weir_arena_format(&b.arena, "cannot cast '%.*s%s' to %s", size > 60 ? 60 : size, value.text,
                                         size > 60 ? "..." : "", narrow ? "INTEGER" : "BIGINT"));
    }
    return result;
}

static row_value evaluate_call(const func_expr *expr, const data_batch *batch, uint32_t row) {
    const char *name = expr->overload->name;
    const bool function = !(expr->overload->flags & FUNC_INTERNAL) || strcmp(name, "CAST") == 0;
    row_value a = operand(expr->arguments[0], function, batch, row), c = null_value, result = {0};
    if (a.failed) return a;
    if (expr->argument_count == 2) c = operand(expr->arguments[1], function, batch, row);
    if (c.failed) return c;
    if (strcmp(name, "CONCAT") == 0) {
        result.text = weir_arena_format(&b.arena, "%s%s", a.is_null ? "" : a.text, c.is_null ? "" : c.text);
        return result;
    }
    if (expr->type->kind == DATA_BOOLEAN) {
        result.whole = !a.is_null && !c.is_null && compared(name, expr->arguments[0], a, c);
        return result;
    }
    if (a.is_null || (expr->argument_count == 2 && c.is_null)) return null_value;
    if (strcmp(name, "LEN") == 0) {
        result.whole = (int64_t)strlen(a.text);
        return result;
    }
    if (strcmp(name, "CAST") == 0) return converted(expr, a);
    if (strcmp(name, "WIDEN") == 0) {
        if (expr->type->kind == DATA_DOUBLE) a.real = (double)a.whole;
        return a;
    }
    if (strcmp(name, "||") == 0) {
        result.text = weir_arena_format(&b.arena, "%s%s", a.text, c.text);
        return result;
    }
    return computed(expr, name[0], a, c);
}

static row_value evaluate_case(const func_expr *expr, const data_batch *batch, uint32_t row) {
    uint32_t i = 0;
    for (; i + 1 < expr->argument_count; i += 2) {
        const row_value condition = operand(expr->arguments[i], false, batch, row);
        if (condition.failed) return condition;
        if (!condition.is_null && condition.whole) return operand(expr->arguments[i + 1], false, batch, row);
    }
    return i < expr->argument_count ? operand(expr->arguments[i], false, batch, row) : null_value;
}

static row_value evaluate(const func_expr *expr, const data_batch *batch, uint32_t row) {
    row_value value = null_value;
    switch (expr->kind) {
    case FUNC_LITERAL: return loaded(&expr->value);
    case FUNC_COLUMN: {
        const func_value column = func_value_at(batch->columns[expr->index], row);
        return loaded(&column);
    }
    case FUNC_CALL: return evaluate_call(expr, batch, row);
    case FUNC_CASE: return evaluate_case(expr, batch, row);
    case FUNC_AND:
    case FUNC_OR:
        for (uint32_t i = 0; i < expr->argument_count; i++) {
            value = operand(expr->arguments[i], false, batch, row);
            if (value.failed || value.is_null || (bool)value.whole == (expr->kind == FUNC_OR)) return value;
        }
        return value;
    case FUNC_COALESCE:
        for (uint32_t i = 0; i < expr->argument_count; i++) {
            value = operand(expr->arguments[i], true, batch, row);
            if (value.failed || !value.is_null) return value;
        }
        return value;
    case FUNC_NOT:
        value = operand(expr->arguments[0], false, batch, row);
        if (!value.failed && !value.is_null) value.whole = !value.whole;
        return value;
    default: /* FUNC_IS_NULL */
        value = operand(expr->arguments[0], false, batch, row);
        if (value.failed) return value;
        return (row_value){.whole = value.is_null};
    }
}

static data_batch *random_rows(const data_schema *schema, uint64_t *seed) {
    static const char *const texts[] = {"", "7", " 12 ", "x", "-3000000000", "a text that is longer than a view", "0"};
    data_batch *batch = data_batch_take(b.pool, schema);
    for (uint32_t i = 0; i < COLUMNS; i++) {
        data_vector *vector = data_vector_create(batch->arena, schema->columns[i].type, ROWS);
        for (uint32_t row = 0; row < ROWS; row++) {
            data_vector_set_null(vector, row);
            if (i != 1 && next(seed) % 5 == 0) continue; /* one column without NULLs */
            data_bit_set(vector->valid, row, true);
            const int64_t small = (int64_t)(next(seed) % 7) - 3;
            switch (column_kinds[i]) {
            case DATA_INT: vector->ints[row] = next(seed) % 9 ? (int32_t)small : INT32_MIN; break;
            case DATA_BIGINT: vector->bigints[row] = next(seed) % 9 ? small : INT64_MAX; break;
            case DATA_DOUBLE: vector->doubles[row] = (double)small / 2; break;
            case DATA_BOOLEAN: vector->booleans[row] = small > 0; break;
            default: {
                const char *text = texts[next(seed) % 7];
                vector->texts[row] = data_text_of(text, strlen(text));
            }
            }
        }
        if (i == 1) vector->valid = NULL;
        batch->columns[i] = vector;
    }
    bench_rows(batch, ROWS);
    return batch;
}

static void compare_row(const func_expr *expr, const data_batch *batch, const data_vector *result,
                        const func_errors *errors, uint32_t row, unsigned long long seed) {
    const row_value wanted = evaluate(expr, batch, row);
    const bool failed = data_bit(errors->bits, row);
    bool same = failed == wanted.failed && data_vector_is_null(result, row) == wanted.is_null;
    if (same && failed) same = strcmp(errors->reasons[row], wanted.reason) == 0;
    if (same && !wanted.is_null) {
        const func_value got = func_value_at(result, row);
        const row_value value = loaded(&got);
        if (expr->type->kind == DATA_STRING)
            same = strcmp(value.text, wanted.text) == 0;
        else if (expr->type->kind == DATA_DOUBLE)
            same = value.real == wanted.real || (value.real != value.real && wanted.real != wanted.real);
        else
            same = value.whole == wanted.whole;
    }
    if (same) return;
    weir_buffer_clear(&b.text);
    func_expr_print(expr, batch->schema, &b.text);
    fail_msg("seed %llu row %u: wanted %s, got %s\n%s", seed, row,
             wanted.failed    ? wanted.reason
             : wanted.is_null ? "NULL"
                              : "a value",
             failed                             ? errors->reasons[row]
             : data_vector_is_null(result, row) ? "NULL"
                                                : "another value",
             weir_buffer_text(&b.text));
}

static void test_random_trees(void **state) {
    (void)state;
    static uint16_t some[ROWS];
    unsigned with_errors = 0, caught = 0;
    bench_open(&b);
    for (uint64_t tree = 0; tree < TREES; tree++) {
        uint64_t seed = tree;
        data_column *columns = weir_arena_array(&b.arena, data_column, COLUMNS);
        static const char *const names[COLUMNS] = {"I", "L", "D", "B", "S", "T"};
        for (uint32_t i = 0; i < COLUMNS; i++)
            columns[i] =
                (data_column){.name = names[i], .type = data_type_of(column_kinds[i]), .role = DATA_ROLE_VALUE};
        const data_schema schema = {columns, COLUMNS, 0};
        data_batch *batch = random_rows(&schema, &seed);
        if (tree % 3 == 0) { /* a selection with gaps */
            uint32_t count = 0;
            for (uint32_t row = 0; row < ROWS; row++) {
                if (next(&seed) % 3) some[count++] = (uint16_t)row;
            }
            batch->selection = (data_selection){some, count};
        }
        const func_expr *expr = random_expr(&schema, column_kinds[tree % COLUMNS], 4, &seed);
        const func_program *program;
        data_vector *result;
        func_errors errors;
        assert_int_equal(func_compile(&b.arena, expr, &schema, &program).code, WEIR_OK);
        assert_int_equal(func_run(program, batch, &result, &errors).code, WEIR_OK);
        with_errors += errors.count > 0;
        caught += errors.caught > 0;
        for (uint32_t i = 0; i < batch->selection.count; i++) {
            compare_row(expr, batch, result, &errors, data_selected(&batch->selection, i), tree);
        }
        data_batch_release(batch);
        weir_arena_reset(&b.arena);
    }
    assert_true(with_errors > TREES / 20 && caught > TREES / 20); /* the trees do reach what is tested */
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_constant_that_fails),
        cmocka_unit_test(test_rules),   cmocka_unit_test(test_widening), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_filter),  cmocka_unit_test(test_limits),   cmocka_unit_test(test_print),
        cmocka_unit_test(test_random_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
