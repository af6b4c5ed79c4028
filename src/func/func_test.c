/* Every function and operator by a table of calls: name, arguments ("TYPE:value", "TYPE" for NULL), expected text, NULL
 * or error. Each call is run four ways that must agree: over constants (folded), over columns, over columns where only
 * some rows are selected, and over rows some of which are NULL. The resulting type is part of the expectation where it
 * is derived. */
#include "func/func_testing.h"

static test_bench b;

typedef struct call_case {
    const char *name;
    const char *arguments; /* separated by " | " */
    const char *wanted;    /* "text" or "TYPE:text" */
} call_case;

static uint32_t split_arguments(const char *text, func_value *values) {
    uint32_t count = 0;
    char *copy = weir_arena_text_copy(&b.arena, text);
    while (*copy) {
        char *next = strstr(copy, " | ");
        if (next) *next = 0;
        values[count++] = bench_value(&b, copy);
        copy = next ? next + 3 : copy + strlen(copy);
    }
    return count;
}

static const func_expr *make_call(const call_case *c, const func_expr **arguments, uint32_t count,
                                  const char **failure) {
    const func_expr *call = NULL;
    const char *cast = strncmp(c->name, "CAST ", 5) == 0 ? c->name + 5 : NULL; /* "CAST TYPE" */
    weir_status status;
    if (cast)
        status = func_cast(&b.arena, arguments[0], bench_type(&b, cast, strlen(cast)), &call);
    else
        status = func_call(&b.arena, c->name, arguments, count, &call);
    *failure = weir_failed(status) ? status.text : NULL;
    return call;
}

/* Columns of `rows` rows: the argument's value in each row, except that every third is NULL when asked for. */
static data_batch *columns_of(const func_value *values, uint32_t count, uint32_t rows, bool with_nulls) {
    data_column *columns = weir_arena_array(&b.arena, data_column, count + 1);
    data_schema *schema = weir_arena_new(&b.arena, data_schema);
    for (uint32_t i = 0; i < count; i++)
        columns[i] = (data_column){.name = "C", .type = values[i].type, .role = DATA_ROLE_VALUE};
    *schema = (data_schema){columns, count, 0};
    data_batch *batch = data_batch_take(b.pool, schema);
    assert_non_null(batch);
    for (uint32_t i = 0; i < count; i++) {
        static const uint8_t no_text[1];
        func_value value = values[i];
        if (!value.is_null && !value.text.data && value.type->kind == DATA_STRING) value.text.data = no_text;
        data_vector *vector = data_vector_create(batch->arena, value.type, rows);
        assert_non_null(vector);
        for (uint32_t row = 0; row < rows; row++) {
            data_vector_set_null(vector, row);
            if (value.is_null || (with_nulls && row % 3 == 1)) continue;
            data_bit_set(vector->valid, row, true);
            switch (data_kind_width(value.type->kind)) {
            case 1: vector->booleans[row] = value.boolean; break;
            case 4: vector->ints[row] = value.int32; break;
            case 8: vector->bigints[row] = value.int64; break;
            default:
                if (value.type->kind == DATA_DECIMAL)
                    vector->decimals[row] = value.decimal;
                else
                    vector->texts[row] = data_text_of(value.text.data, value.text.size);
            }
        }
        batch->columns[i] = vector;
    }
    bench_rows(batch, rows);
    return batch;
}

static void compare(const call_case *c, const char *way, const func_expr *call, const char *got) {
    char typed[600];
    weir_buffer type;
    weir_buffer_init(&type, &b.account, 256);
    data_type_print(call->type, &type);
    snprintf(typed, sizeof typed, "%s:%s", weir_buffer_text(&type), got);
    weir_buffer_deinit(&type);
    if (strcmp(got, c->wanted) != 0 && strcmp(typed, c->wanted) != 0) {
        fail_msg("%s(%s), %s\n  wanted  %s\n  got     %s", c->name, c->arguments, way, c->wanted, typed);
    }
}

static void check_columns(const call_case *c, const func_value *values, uint32_t count, bool sparse, bool with_nulls) {
    static const uint16_t some[] = {0, 3, 6, 69};
    const func_expr *arguments[FUNC_ARGUMENTS_MAX];
    const char *failure;
    data_batch *batch = columns_of(values, count, 70, with_nulls);
    if (sparse) batch->selection = (data_selection){some, 4};
    for (uint32_t i = 0; i < count; i++) arguments[i] = bench_column(&b, batch->schema, i);
    const func_expr *call = make_call(c, arguments, count, &failure);
    if (failure) { /* a STRING literal fits where a STRING column does not */
        data_batch_release(batch);
        return;
    }
    const char *way = sparse ? "some rows" : with_nulls ? "rows and NULLs" : "rows";
    compare(c, way, call, bench_run(&b, call, batch, 0));
    compare(c, way, call, bench_run(&b, call, batch, 6));
    compare(c, way, call, bench_run(&b, call, batch, 69));
    data_batch_release(batch);
}

static void check(const call_case *c) {
    static const data_schema nothing;
    func_value values[FUNC_ARGUMENTS_MAX];
    const func_expr *arguments[FUNC_ARGUMENTS_MAX];
    const char *failure;
    const uint32_t count = split_arguments(c->arguments, values);
    for (uint32_t i = 0; i < count; i++) arguments[i] = func_literal(&b.arena, values[i]);
    const func_expr *call = make_call(c, arguments, count, &failure);
    if (failure) {
        if (strcmp(failure, c->wanted) != 0)
            fail_msg("%s(%s)\n  wanted  %s\n  got     %s", c->name, c->arguments, c->wanted, failure);
        weir_arena_reset(&b.arena);
        return;
    }
    data_batch *batch = data_batch_take(b.pool, &nothing);
    bench_rows(batch, 3);
    compare(c, "constants", call, bench_run(&b, call, batch, 2));
    data_batch_release(batch);
    check_columns(c, values, count, false, false);
    check_columns(c, values, count, true, false);
    check_columns(c, values, count, false, true);
    weir_arena_reset(&b.arena);
}

static void check_all(const call_case *cases, size_t count) {
    bench_open(&b);
    for (size_t i = 0; i < count; i++) check(&cases[i]);
    bench_close(&b);
}
#define CHECK_ALL(cases) check_all(cases, sizeof cases / sizeof *cases)

static const call_case comparisons[] = {
    /* Java compares UTF-16: what needs two units (U+1F600) lies below U+E000..U+FFFF, and above all the rest. */
    {"<", "STRING:x\xf0\x9f\x98\x80 | STRING:x\xef\xbf\xbd", "true"},
    {">", "STRING:x\xee\x80\x80 | STRING:x\xf0\x9f\x98\x80", "true"},
    {"<", "STRING:x\xed\x9f\xbf | STRING:x\xf0\x9f\x98\x80", "true"},
    {"<", "STRING:x\xee\x80\x80 | STRING:x\xef\xbf\xbd", "true"},
    {"<", "STRING:a long text before \xf0\x9f\x98\x80 | STRING:a long text before \xef\xbf\xbd", "true"},
    {"<", "BYTES:\xf0 | BYTES:\xef", "false"},
    {"=", "INTEGER:1 | INTEGER:1", "BOOLEAN:true"},
    {"=", "INTEGER:1 | BIGINT:2", "false"},
    {"=", "INTEGER | INTEGER:1", "false"},
    {"<>", "INTEGER | INTEGER:1", "false"},
    {"<>", "STRING:a | STRING:b", "true"},
    {"<", "INTEGER:1 | DOUBLE:1.5", "true"},
    {"<", "DECIMAL(4, 2):1.50 | DECIMAL(3, 1):1.5", "false"},
    {"<=", "DECIMAL(4, 2):1.50 | DECIMAL(3, 1):1.5", "true"},
    {">", "DECIMAL(4, 2):1.50 | INTEGER:1", "true"},
    {">=", "BIGINT:-5 | BIGINT:-4", "false"},
    {"=", "DOUBLE:NaN | DOUBLE:NaN", "false"},
    {"<>", "DOUBLE:NaN | DOUBLE:NaN", "true"},
    {"<", "DOUBLE:NaN | DOUBLE:1", "false"},
    {"<", "STRING:abc | STRING:abcd", "true"},
    {"<", "STRING:a long text, a long text | STRING:a long text, a long texU", "false"},
    {"=", "STRING:a long text, a long text | STRING:a long text, a long text", "true"},
    {"=", "STRING: | STRING:", "true"},
    {"=", "BYTES:x | BYTES:x", "true"},
    {"=", "BOOLEAN:true | BOOLEAN:true", "true"},
    {"<", "DATE:2020-01-01 | DATE:2020-01-02", "true"},
    {"<", "DATE:2020-01-01 | TIMESTAMP:2020-01-01T00:00:01", "true"},
    {">", "TIME:10:00 | TIME:09:59:59", "true"},
    {"<", "BOOLEAN:true | BOOLEAN:true",
     "< does not take (BOOLEAN, BOOLEAN); it takes (INTEGER, INTEGER) or (BIGINT, BIGINT) or (DECIMAL, DECIMAL) or "
     "(DOUBLE, DOUBLE) "
     "or (STRING, STRING) or (BYTES, BYTES) or (DATE, DATE) or (TIME, TIME) or (TIMESTAMP, TIMESTAMP)"},
    {"LIKE", "STRING:hello | STRING:h%o", "true"},
    {"LIKE", "STRING:hello | STRING:h_llo", "true"},
    {"LIKE", "STRING:h\xc3\xa9llo | STRING:h_llo", "true"},
    {"LIKE", "STRING:hello | STRING:ell", "false"},
    {"LIKE", "STRING:hello | STRING:%ell%", "true"},
    {"LIKE", "STRING: | STRING:%", "true"},
    {"LIKE", "STRING: | STRING:_", "false"},
    {"LIKE", "STRING:aXbXc | STRING:a%X%c", "true"},
    {"LIKE", "STRING:mississippi | STRING:m%iss%ip_i", "true"},
    {"LIKE", "STRING:10% | STRING:10!% | STRING:!", "true"},
    {"LIKE", "STRING:100 | STRING:10!% | STRING:!", "false"},
    {"LIKE", "STRING:100 | STRING:1% | STRING:!!", "error: LIKE: ESCAPE takes one character, not '!!'"},
    {"LIKE", "STRING | STRING:%", "false"},
};

static const call_case arithmetic[] = {
    {"+", "INTEGER:2147483647 | INTEGER:1", "INTEGER:-2147483648"},
    {"+", "INTEGER:1 | BIGINT:2", "BIGINT:3"},
    {"+", "INTEGER | BIGINT:2", "BIGINT:NULL"},
    {"-", "BIGINT:-9223372036854775808 | BIGINT:1", "9223372036854775807"},
    {"*", "INTEGER:7 | DOUBLE:0.5", "DOUBLE:3.5"},
    {"/", "INTEGER:7 | INTEGER:-2", "INTEGER:-3"},
    {"/", "INTEGER:-2147483648 | INTEGER:-1", "-2147483648"},
    {"/", "INTEGER:7 | INTEGER:0", "error: division by zero"},
    {"%", "BIGINT:-7 | BIGINT:3", "-1"},
    {"%", "BIGINT:7 | BIGINT:0", "error: division by zero"},
    {"%", "BIGINT:-9223372036854775808 | BIGINT:-1", "0"},
    {"/", "DOUBLE:1 | DOUBLE:0", "Infinity"},
    {"%", "DOUBLE:5.5 | DOUBLE:2", "1.5"},
    {"+", "DECIMAL(4, 2):12.34 | DECIMAL(3, 1):0.1", "DECIMAL(5, 2):12.44"},
    {"-", "DECIMAL(4, 2):12.34 | INTEGER:1", "DECIMAL(13, 2):11.34"},
    {"*", "DECIMAL(4, 2):12.34 | DECIMAL(3, 1):-0.5", "DECIMAL(8, 3):-6.170"},
    {"/", "DECIMAL(4, 2):10.00 | DECIMAL(3, 1):3.0", "DECIMAL(9, 6):3.333333"},
    {"/", "DECIMAL(4, 2):20.00 | DECIMAL(3, 1):-3.0", "DECIMAL(9, 6):-6.666667"},
    {"/", "DECIMAL(4, 2):10.00 | DECIMAL(3, 1):0", "error: division by zero"},
    {"%", "DECIMAL(4, 2):10.50 | DECIMAL(3, 1):3.0", "DECIMAL(4, 2):1.50"},
    {"+", "DECIMAL(4, 2):1.00 | DOUBLE:0.5", "DOUBLE:1.5"},
    {"*", "DECIMAL(38, 0):90000000000000000000 | DECIMAL(38, 0):90000000000000000000",
     "error: the result does not fit DECIMAL(38, 0)"},
    {"+", "STRING:ab | STRING:c", "STRING:abc"},
    {"||", "STRING:a text that is longer | STRING: than a view", "a text that is longer than a view"},
    {"||", "STRING:a | STRING", "NULL"},
    {"+", "BOOLEAN:true | INTEGER:1",
     "+ does not take (BOOLEAN, INTEGER); it takes (INTEGER, INTEGER) or (BIGINT, BIGINT) or (DECIMAL, DECIMAL) or "
     "(DOUBLE, DOUBLE) "
     "or (STRING, STRING) or (BYTES, BYTES)"},
};

static const call_case casts[] = {
    {"CAST STRING", "BOOLEAN:true", "true"},
    {"CAST STRING", "INTEGER:-5", "-5"},
    {"CAST STRING", "DOUBLE:1e10", "1.0E10"},
    {"CAST STRING", "DECIMAL(5, 3):1.5", "1.500"},
    {"CAST STRING", "BIGINT:9223372036854775807", "9223372036854775807"},
    {"CAST STRING", "DATE:2020-02-29", "2020-02-29"},
    {"CAST STRING", "TIME:10:00", "10:00"},
    {"CAST STRING", "TIME:10:00:01.5", "10:00:01.500"},
    {"CAST STRING", "TIMESTAMP:2020-02-29T01:02:03.004", "2020-02-29T01:02:03.004"},
    {"CAST STRING", "BYTES:hi", "aGk="},
    {"CAST STRING", "STRING", "NULL"},
    {"CAST INTEGER", "BIGINT:4294967297", "1"},
    {"CAST INTEGER", "DOUBLE:-1.9", "-1"},
    {"CAST INTEGER", "DOUBLE:NaN", "0"},
    {"CAST INTEGER", "DOUBLE:1e300", "2147483647"},
    {"CAST INTEGER", "DECIMAL(5, 2):-1.99", "-1"},
    {"CAST INTEGER", "STRING:12", "12"},
    {"CAST INTEGER", "STRING: 12 ", "12"},
    {"CAST INTEGER", "STRING:12x", "error: cannot cast '12x' to INTEGER"},
    {"CAST INTEGER", "STRING:2147483648", "error: cannot cast '2147483648' to INTEGER"},
    {"CAST BIGINT", "INTEGER:-1", "-1"},
    {"CAST BIGINT", "STRING:", "error: cannot cast '' to BIGINT"},
    {"CAST DOUBLE", "STRING:1.5e3", "1500.0"},
    {"CAST DOUBLE", "DECIMAL(5, 2):1.25", "1.25"},
    {"CAST DECIMAL(5, 2)", "DOUBLE:1.005", "1.01"},
    {"CAST DECIMAL(5, 2)", "DOUBLE:-1.005", "-1.01"},
    {"CAST DECIMAL(5, 2)", "INTEGER:1000", "error: 1000 does not fit DECIMAL(5, 2)"},
    {"CAST DECIMAL(5, 2)", "STRING:1.999", "2.00"},
    {"CAST DECIMAL(5, 2)", "DECIMAL(6, 3):1.995", "2.00"},
    {"CAST BOOLEAN", "STRING:YES", "true"},
    {"CAST BOOLEAN", "STRING:f", "false"},
    {"CAST BOOLEAN", "STRING:maybe", "error: cannot cast 'maybe' to BOOLEAN"},
    {"CAST DATE", "STRING:2020-02-29", "2020-02-29"},
    {"CAST DATE", "STRING:2020", "2020-01-01"},
    {"CAST DATE", "STRING:2021-02-29", "error: cannot cast '2021-02-29' to DATE"},
    {"CAST DATE", "TIMESTAMP:1969-12-31T23:00:00", "1969-12-31"},
    {"CAST TIME", "TIMESTAMP:1969-12-31T23:00:00", "23:00"},
    {"CAST TIME", "STRING:23:59:59.999", "23:59:59.999"},
    {"CAST TIMESTAMP", "STRING:2020-02-29T01:02:03", "2020-02-29T01:02:03.000"},
    {"CAST TIMESTAMP", "STRING:2020-02-29 01:02", "2020-02-29T01:02:00.000"},
    {"CAST TIMESTAMP", "STRING:2020-02-29T01:02:03+01:00", "2020-02-29T00:02:03.000"},
    {"CAST TIMESTAMP", "DATE:2020-02-29", "2020-02-29T00:00:00.000"},
    {"CAST BYTES", "STRING:aGk=", "hi"},
    {"CAST BYTES", "STRING:?", "error: cannot cast '?' to BYTES"},
    {"CAST DATE", "INTEGER:1", "Cast of INTEGER to DATE is not supported"},
};

static const call_case math[] = {
    {"ABS", "INTEGER:-5", "INTEGER:5"},
    {"ABS", "DECIMAL(4, 2):-1.50", "DECIMAL(4, 2):1.50"},
    {"ABS", "DOUBLE:-0.5", "0.5"},
    {"ABS", "BIGINT", "NULL"},
    {"CEIL", "DOUBLE:1.2", "DOUBLE:2.0"},
    {"CEIL", "DECIMAL(4, 2):1.20", "DECIMAL(4, 2):2.00"},
    {"CEIL", "DECIMAL(4, 2):-1.20", "-1.00"},
    {"FLOOR", "DECIMAL(4, 2):-1.20", "-2.00"},
    {"FLOOR", "INTEGER:3", "INTEGER:3"},
    {"FLOOR", "DOUBLE:-0.5", "-1.0"},
    {"ROUND", "DOUBLE:2.5", "BIGINT:3"},
    {"ROUND", "DOUBLE:-2.5", "-2"},
    {"ROUND", "INTEGER:7", "BIGINT:7"},
    {"ROUND", "DECIMAL(4, 2):1.50", "DECIMAL(3, 0):2"},
    {"ROUND", "DECIMAL(4, 2):-1.50", "-2"},
    {"ROUND", "DECIMAL(4, 2):1.25 | INTEGER:1", "DECIMAL(4, 2):1.30"},
    {"ROUND", "DECIMAL(4, 2):15.25 | INTEGER:-1", "20.00"},
    {"ROUND", "DOUBLE:1.005 | INTEGER:2", "DOUBLE:1.01"},
    {"ROUND", "DOUBLE:1234.5 | INTEGER:-2", "1200.0"},
    {"TRUNC", "DOUBLE:-2.7", "BIGINT:-2"},
    {"TRUNC", "DOUBLE:1.239 | INTEGER:2", "1.23"},
    {"TRUNC", "DECIMAL(4, 2):9.99", "DECIMAL(3, 0):9"},
    {"SIGN", "DOUBLE:-0.1", "INTEGER:-1"},
    {"SIGN", "BIGINT:0", "0"},
    {"SQRT", "INTEGER:16", "DOUBLE:4.0"},
    {"SQRT", "DOUBLE:-1", "NaN"},
    {"LN", "DOUBLE:1", "0.0"},
    {"EXP", "INTEGER:0", "1.0"},
    {"LOG", "INTEGER:2 | INTEGER:8", "3.0"},
    {"LOG", "INTEGER:1 | INTEGER:8", "NaN"},
    {"POWER", "INTEGER:2 | INTEGER:10", "DOUBLE:1024.0"},
    /* where Java and C differ */
    {"POWER", "DOUBLE:1 | DOUBLE:NaN", "DOUBLE:NaN"},
    {"POWER", "DOUBLE:1 | DOUBLE:Infinity", "DOUBLE:NaN"},
    {"POWER", "DOUBLE:-1 | DOUBLE:-Infinity", "DOUBLE:NaN"},
    {"POWER", "DOUBLE:NaN | DOUBLE:0", "DOUBLE:1.0"},
    {"POWER", "DOUBLE:0.5 | DOUBLE:Infinity", "DOUBLE:0.0"},
    {"CBRT", "INTEGER:27", "3.0"},
    {"DEGREES", "DOUBLE:0", "0.0"},
    {"SIN", "DOUBLE:0", "0.0"},
    {"ATAN2", "DOUBLE:0 | DOUBLE:1", "0.0"},
    {"SQRT", "STRING:x", "SQRT does not take (STRING); it takes (DOUBLE)"},
};

static const call_case strings[] = {
    {"UCASE", "STRING:abc", "ABC"},
    {"UCASE",
     "STRING:stra\xc3\x9f"
     "e \xc3\xa9 \xce\xb1 \xd0\xb6 \xe6\x97\xa5",
     "STRASSE \xc3\x89 \xce\x91 \xd0\x96 \xe6\x97\xa5"},
    {"LCASE", "STRING:ABC \xc3\x89 \xd0\x96", "abc \xc3\xa9 \xd0\xb6"},
    {"LCASE", "STRING", "NULL"},
    {"TRIM", "STRING: \t a b  ", "a b"},
    {"TRIM", "STRING:   ", ""},
    {"LEN", "STRING:abc", "INTEGER:3"},
    {"LEN", "STRING:\xc3\xa9\xf0\x9f\x98\x80", "3"},
    {"LEN", "BYTES:\xc3\xa9", "2"},
    {"SUBSTRING", "STRING:stream | INTEGER:4", "eam"},
    {"SUBSTRING", "STRING:stream | INTEGER:2 | INTEGER:3", "tre"},
    {"SUBSTRING", "STRING:stream | INTEGER:-3", "eam"},
    {"SUBSTRING", "STRING:stream | INTEGER:-3 | INTEGER:2", "ea"},
    {"SUBSTRING", "STRING:stream | INTEGER:-99", "stream"},
    {"SUBSTRING", "STRING:stream | INTEGER:99", ""},
    {"SUBSTRING", "STRING:stream | INTEGER:2 | INTEGER:-1", ""},
    {"SUBSTRING", "STRING:h\xc3\xa9llo and more than a view | INTEGER:2 | INTEGER:15", "\xc3\xa9llo and more t"},
    {"SUBSTRING", "STRING:stream | INTEGER", "NULL"},
    {"SUBSTRING", "BYTES:stream | INTEGER:2 | INTEGER:2", "BYTES:tr"},
    {"CONCAT", "STRING:a | STRING | STRING:c", "ac"},
    {"CONCAT", "STRING | STRING", ""},
    {"CONCAT_WS", "STRING:- | STRING:a | STRING | STRING:c", "a-c"},
    {"CONCAT_WS", "STRING | STRING:a | STRING:b", "NULL"},
    {"REPLACE", "STRING:foobar | STRING:o | STRING:00", "f0000bar"},
    {"REPLACE", "STRING:foobar | STRING:foo | STRING:", "bar"},
    {"REPLACE", "STRING:foobar | STRING: | STRING:x", "foobar"},
    {"REPLACE", "STRING:foobar | STRING:x | STRING:y", "foobar"},
    {"INSTR", "STRING:CORPORATE FLOOR | STRING:OR", "2"},
    {"INSTR", "STRING:CORPORATE FLOOR | STRING:OR | INTEGER:3", "5"},
    {"INSTR", "STRING:CORPORATE FLOOR | STRING:OR | INTEGER:3 | INTEGER:2", "14"},
    {"INSTR", "STRING:CORPORATE FLOOR | STRING:OR | INTEGER:-3", "5"},
    {"INSTR", "STRING:CORPORATE FLOOR | STRING:OR | INTEGER:-3 | INTEGER:2", "2"},
    {"INSTR", "STRING:CORPORATE FLOOR | STRING:MISSING", "0"},
    {"INSTR",
     "STRING:\xc3\xa9"
     "abc | STRING:b",
     "3"},
    {"LPAD", "STRING:foo | INTEGER:7 | STRING:Bar", "BarBfoo"},
    {"LPAD", "STRING:foo | INTEGER:2 | STRING:Bar", "fo"},
    {"LPAD", "STRING:foo | INTEGER:5 | STRING:", "NULL"},
    {"LPAD", "STRING:foo | INTEGER:-1 | STRING:x", "NULL"},
    {"RPAD", "STRING:foo | INTEGER:7 | STRING:Bar", "fooBarB"},
    {"RPAD", "STRING: | INTEGER:2 | STRING:x", "xx"},
    {"LPAD", "STRING:foo | INTEGER:999999999 | STRING:x", "error: LPAD: a length of 999999999, allowed are 262144"},
    {"UCASEE", "STRING:x", "Can't find any functions with the name 'UCASEE'; did you mean 'UCASE'?"},
};

static const call_case nulls[] = {
    {"NULLIF", "INTEGER:1 | INTEGER:1", "NULL"},
    {"NULLIF", "INTEGER:1 | INTEGER:2", "1"},
    {"NULLIF", "INTEGER | INTEGER:2", "NULL"},
    {"NULLIF", "STRING:a | STRING", "a"},
    {"GREATEST", "INTEGER:1 | INTEGER:3 | INTEGER:2", "INTEGER:3"},
    {"GREATEST", "INTEGER | INTEGER:3", "3"},
    {"GREATEST", "INTEGER | INTEGER", "NULL"},
    {"GREATEST", "STRING:a | STRING:b", "b"},
    {"GREATEST", "STRING:\xf0\x9f\x98\x80 | STRING:\xef\xbf\xbd", "\xef\xbf\xbd"}, /* as UTF-16 */
    {"GREATEST", "DECIMAL(3, 1):1.5 | DECIMAL(4, 2):1.25", "DECIMAL(4, 2):1.50"},
    {"LEAST", "INTEGER:1 | BIGINT:0", "BIGINT:0"},
    {"LEAST", "DATE:2020-01-02 | DATE:2020-01-01", "2020-01-01"},
    {"IFNULL", "INTEGER | INTEGER:5", "5"},
    {"COALESCE", "STRING | STRING | STRING:x", "x"},
    {"COALESCE", "INTEGER:1 | BIGINT:2", "BIGINT:1"},
    {"AS_VALUE", "STRING:a text longer than a view", "a text longer than a view"},
};

static const call_case times[] = {
    {"FORMAT_TIMESTAMP", "TIMESTAMP:2021-05-04T13:07:09.045 | STRING:yyyy-MM-dd HH:mm:ss.SSS",
     "2021-05-04 13:07:09.045"},
    {"FORMAT_TIMESTAMP", "TIMESTAMP:2021-05-04T13:07:09 | STRING:EEE, d MMM yy h:m a", "Tue, 4 May 21 1:7 PM"},
    {"FORMAT_TIMESTAMP", "TIMESTAMP:2021-05-04T00:07:09 | STRING:EEEE MMMM kk K hh D", "Tuesday May 24 0 12 124"},
    {"FORMAT_TIMESTAMP", "TIMESTAMP:2021-05-04T13:07:09 | STRING:yyyy-MM-dd'T'HHX 'o''clock'",
     "2021-05-04T13Z o'clock"},
    {"FORMAT_TIMESTAMP", "TIMESTAMP:2021-05-04T23:07:09 | STRING:yyyy-MM-dd HH:mm XX" "X | STRING:+02:00",
     "2021-05-05 01:07 +02:00"},
    {"FORMAT_TIMESTAMP", "TIMESTAMP:2021-05-04T23:07:09 | STRING:Z | STRING:UTC-5", "-0500"},
    {"FORMAT_TIMESTAMP", "TIMESTAMP:2021-05-04T23:07:09 | STRING:yyyy | STRING:Mars/Olympus",
     "error: formatter 'yyyy': time zone 'Mars/Olympus' is unknown; give an offset like +01:00"},
    {"FORMAT_TIMESTAMP", "TIMESTAMP:2021-05-04T23:07:09 | STRING:yyyy-qq",
     "error: formatter 'yyyy-qq': pattern letter 'q' is not supported"},
    {"FORMAT_TIMESTAMP", "TIMESTAMP:2021-05-04T23:07:09 | STRING:'x",
     "error: formatter ''x': pattern ends with an incomplete string literal"},
    {"FORMAT_DATE", "DATE:2021-05-04 | STRING:dd/MM/yyyy", "04/05/2021"},
    {"FORMAT_TIME", "TIME:13:07:09 | STRING:HHmmss", "130709"},
    {"TIMESTAMPTOSTRING", "BIGINT:0 | STRING:yyyy-MM-dd HH:mm:ss", "1970-01-01 00:00:00"},
    {"TIMESTAMPTOSTRING", "BIGINT:-1 | STRING:uuuu-MM-dd HH:mm:ss.SSSSSS", "1969-12-31 23:59:59.999000"},
    {"PARSE_TIMESTAMP", "STRING:2021-05-04 13:07:09.045 | STRING:yyyy-MM-dd HH:mm:ss.SSS", "2021-05-04T13:07:09.045"},
    {"PARSE_TIMESTAMP", "STRING:04/May/2021:13:07:09 +0200 | STRING:dd/MMM/yyyy:HH:mm:ss Z", "2021-05-04T11:07:09.000"},
    {"PARSE_TIMESTAMP", "STRING:20210504130709 | STRING:yyyyMMddHHmmss", "2021-05-04T13:07:09.000"},
    {"PARSE_TIMESTAMP", "STRING:2021-5-4 1:07 PM | STRING:yyyy-M-d h:mm a", "2021-05-04T13:07:00.000"},
    {"PARSE_TIMESTAMP", "STRING:2021-05-04 | STRING:yyyy-MM-dd[ HH:mm]", "2021-05-04T00:00:00.000"},
    {"PARSE_TIMESTAMP", "STRING:2021-05-04 10:11 | STRING:yyyy-MM-dd[ HH:mm]", "2021-05-04T10:11:00.000"},
    {"PARSE_TIMESTAMP", "STRING:12:30 | STRING:HH:mm", "1970-01-01T12:30:00.000"},
    {"PARSE_TIMESTAMP", "STRING:2020 060 | STRING:yyyy DDD", "2020-02-29T00:00:00.000"},
    {"PARSE_TIMESTAMP", "STRING:2021-05-04T13:00:00Z | STRING:yyyy-MM-dd'T'HH:mm:ssX", "2021-05-04T13:00:00.000"},
    {"PARSE_TIMESTAMP", "STRING:2021-05-04 13:00 | STRING:yyyy-MM-dd HH:mm | STRING:+01:00", "2021-05-04T12:00:00.000"},
    {"PARSE_TIMESTAMP", "STRING:2021-05-04x | STRING:yyyy-MM-dd",
     "error: Failed to parse timestamp '2021-05-04x' with formatter 'yyyy-MM-dd': Text '2021-05-04x' could not be "
     "parsed at index 10"},
    {"PARSE_TIMESTAMP", "STRING:2021-13-04 | STRING:yyyy-MM-dd",
     "error: Failed to parse timestamp '2021-13-04' with formatter 'yyyy-MM-dd': Text '2021-13-04' could not be parsed "
     "at index 5"},
    {"PARSE_TIMESTAMP", "STRING:2021-02-30 | STRING:yyyy-MM-dd",
     "error: Failed to parse timestamp '2021-02-30' with formatter 'yyyy-MM-dd': Text '2021-02-30' could not be parsed "
     "at index 0"},
    {"STRINGTOTIMESTAMP", "STRING:1970-01-02 | STRING:yyyy-MM-dd", "BIGINT:86400000"},
    {"STRINGTODATE", "STRING:1970-01-02 | STRING:yyyy-MM-dd", "INTEGER:1"},
    {"PARSE_DATE", "STRING:5.6.2021 | STRING:d.M.yyyy", "DATE:2021-06-05"},
    {"PARSE_TIME", "STRING:0730 | STRING:HHmm", "TIME:07:30"},
    {"UNIX_TIMESTAMP", "TIMESTAMP:1970-01-01T00:00:01", "BIGINT:1000"},
    {"FROM_UNIXTIME", "BIGINT:1000", "TIMESTAMP:1970-01-01T00:00:01.000"},
    {"FROM_DAYS", "INTEGER:-1", "DATE:1969-12-31"},
    {"UNIX_DATE", "DATE:1970-01-11", "10"},
};

static const call_case urls[] = {
    {"URL_EXTRACT_PATH", "STRING:http://a.org:80/x/y%20z?q=1#f", "/x/y z"},
    {"URL_EXTRACT_PATH", "STRING:/only/a/path?x", "/only/a/path"},
    {"URL_EXTRACT_PATH", "STRING:http://a.org", ""},
    {"URL_EXTRACT_PATH", "STRING:mailto:me@a.org", "NULL"},
    {"URL_EXTRACT_PATH", "STRING:http://a b", "error: URL input has invalid syntax: http://a b"},
    {"URL_EXTRACT_PATH", "STRING:/%zz", "error: URL input has invalid syntax: /%zz"},
    {"URL_EXTRACT_HOST", "STRING:http://user@a.org:80/x", "a.org"},
    {"URL_EXTRACT_HOST", "STRING:http://[::1]:80/x", "[::1]"},
    {"URL_EXTRACT_HOST", "STRING:/x", "NULL"},
    {"URL_EXTRACT_PORT", "STRING:http://a.org:8080/x", "INTEGER:8080"},
    {"URL_EXTRACT_PORT", "STRING:http://a.org/x", "NULL"},
    {"URL_EXTRACT_PROTOCOL", "STRING:https://a.org", "https"},
    {"URL_EXTRACT_QUERY", "STRING:http://a.org/x?a=b%26c&d", "a=b&c&d"},
    {"URL_EXTRACT_QUERY", "STRING:http://a.org/x", "NULL"},
    {"URL_EXTRACT_FRAGMENT", "STRING:http://a.org/x#y%41", "yA"},
    {"URL_EXTRACT_PARAMETER", "STRING:http://a.org/?a=1&foo%20bar=baz&d | STRING:foo bar", "baz"},
    {"URL_EXTRACT_PARAMETER", "STRING:http://a.org/?a=1&d | STRING:d", ""},
    {"URL_EXTRACT_PARAMETER", "STRING:http://a.org/?a=1 | STRING:b", "NULL"},
    {"URL_EXTRACT_PARAMETER", "STRING:http://a.org/ | STRING:b", "NULL"},
    {"URL_DECODE_PARAM", "STRING:a+b%20%C3%A9", "a b \xc3\xa9"},
    {"URL_DECODE_PARAM", "STRING:%FF", "\xef\xbf\xbd"},
    {"URL_DECODE_PARAM", "STRING:100%", "error: URL_DECODE_PARAM: a % without two hexadecimal digits in '100%'"},
    {"URL_ENCODE_PARAM", "STRING:a b&\xc3\xa9*", "a+b%26%C3%A9*"},
};

static void test_comparisons(void **state) {
    (void)state;
    CHECK_ALL(comparisons);
}
static void test_arithmetic(void **state) {
    (void)state;
    CHECK_ALL(arithmetic);
}
static void test_casts(void **state) {
    (void)state;
    CHECK_ALL(casts);
}
static void test_math(void **state) {
    (void)state;
    CHECK_ALL(math);
}
static void test_strings(void **state) {
    (void)state;
    CHECK_ALL(strings);
}
static void test_nulls(void **state) {
    (void)state;
    CHECK_ALL(nulls);
}
static void test_times(void **state) {
    (void)state;
    CHECK_ALL(times);
}
static void test_urls(void **state) {
    (void)state;
    CHECK_ALL(urls);
}

/* Every overload prints to a text of its own and is found by it again, so that stored plans mean one function. */
static void test_plans_name_overloads(void **state) {
    (void)state;
    const func_overload *overload, *found;
    bench_open(&b);
    for (size_t i = 0; (overload = func_overload_at(i)) != NULL; i++) {
        weir_buffer_clear(&b.text);
        func_overload_print(overload, &b.text);
        assert_int_equal(func_overload_find(weir_buffer_view(&b.text), &found).code, WEIR_OK);
        if (found != overload) fail_msg("%s is there twice", weir_buffer_text(&b.text));
    }
    const weir_status status = func_overload_find(weir_bytes_text("FROB(STRING)"), &found);
    assert_int_equal(status.code, WEIR_NOT_FOUND);
    assert_string_equal(status.text, "this version of weir has no function FROB(STRING), which the plan uses");
    assert_true(func_exists("ucase") && func_exists("COALESCE") && !func_exists("+") && !func_exists("CAST"));
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comparisons),
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_casts),
        cmocka_unit_test(test_math),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_nulls),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_plans_name_overloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
