/* Functions over ARRAYs, MAPs, STRUCTs, JSON and bytes by a table: an expression over one row of columns, and what
 * comes out as Java would print it. Method: columns are decoded from JSON, calls are made by name, and every case runs
 * over a batch where only some rows are selected, so that lists must be written in gaps too. */
#include "func/func_testing.h"

#include "data/format/format.h"

static test_bench b;

typedef struct nested_case {
    const char *columns; /* of a STRUCT type */
    const char *row;     /* JSON */
    const char *name;    /* called over all columns in order */
    const char *wanted;  /* "TYPE:value", or "error: ..." or what the call itself says */
} nested_case;

static const nested_case cases[] = {
    {"A ARRAY<INTEGER>, B ARRAY<INTEGER>", "{\"A\":[1,2,2,null],\"B\":[2,3]}", "ARRAY_CONCAT",
     "ARRAY<INTEGER>:[1, 2, 2, null, 2, 3]"},
    {"A ARRAY<INTEGER>, B ARRAY<INTEGER>", "{\"A\":null,\"B\":[2,3]}", "ARRAY_CONCAT", "ARRAY<INTEGER>:[2, 3]"},
    {"A ARRAY<INTEGER>, B ARRAY<INTEGER>", "{\"A\":null,\"B\":null}", "ARRAY_CONCAT", "ARRAY<INTEGER>:null"},
    {"A ARRAY<INTEGER>, B ARRAY<BIGINT>", "{\"A\":[1],\"B\":[9999999999]}", "ARRAY_UNION",
     "ARRAY<BIGINT>:[1, 9999999999]"},
    {"A ARRAY<STRING>, B ARRAY<STRING>", "{\"A\":[\"x\",\"y\",\"x\",null],\"B\":[\"y\"]}", "ARRAY_EXCEPT",
     "ARRAY<STRING>:[x, null]"},
    {"A ARRAY<STRING>, B ARRAY<STRING>", "{\"A\":[\"x\",\"y\",\"y\"],\"B\":[\"y\",\"z\"]}", "ARRAY_INTERSECT",
     "ARRAY<STRING>:[y]"},
    {"A ARRAY<BOOLEAN>", "{\"A\":[true,false,true]}", "ARRAY_DISTINCT", "ARRAY<BOOLEAN>:[true, false]"},
    {"A ARRAY<BIGINT>, B INTEGER", "{\"A\":[5,6],\"B\":6}", "ARRAY_CONTAINS", "BOOLEAN:true"},
    {"A ARRAY<BIGINT>, B INTEGER", "{\"A\":null,\"B\":6}", "ARRAY_CONTAINS", "BOOLEAN:false"},
    {"A ARRAY<BIGINT>, B BIGINT", "{\"A\":[5,6,5],\"B\":5}", "ARRAY_REMOVE", "ARRAY<BIGINT>:[6]"},
    {"A ARRAY<DOUBLE>", "{\"A\":[1.5,null,-2]}", "ARRAY_MAX", "DOUBLE:1.5"},
    {"A ARRAY<DOUBLE>", "{\"A\":[null]}", "ARRAY_MIN", "DOUBLE:null"},
    {"A ARRAY<STRING>", "{\"A\":[\"b\",null,\"a\",\"c\"]}", "ARRAY_SORT", "ARRAY<STRING>:[a, b, c, null]"},
    {"A ARRAY<STRING>, B STRING", "{\"A\":[\"b\",null,\"a\",\"c\"],\"B\":\"desc\"}", "ARRAY_SORT",
     "ARRAY<STRING>:[c, b, a, null]"},
    {"A ARRAY<STRING>, B STRING", "{\"A\":[\"b\"],\"B\":\"sideways\"}", "ARRAY_SORT", "ARRAY<STRING>:null"},
    {"A ARRAY<INTEGER>, B STRING", "{\"A\":[1,null,3],\"B\":\"; \"}", "ARRAY_JOIN", "STRING:1; null; 3"},
    {"A ARRAY<INTEGER>", "{\"A\":[]}", "ARRAY_LENGTH", "INTEGER:0"},
    {"A ARRAY<INTEGER>, B INTEGER, C INTEGER", "{\"A\":[1,2,3,4],\"B\":2,\"C\":3}", "SLICE", "ARRAY<INTEGER>:[2, 3]"},
    {"A ARRAY<INTEGER>, B INTEGER, C INTEGER", "{\"A\":[1,2,3,4],\"B\":2,\"C\":9}", "SLICE", "ARRAY<INTEGER>:null"},
    {"A INTEGER, B INTEGER, C INTEGER", "{\"A\":1,\"B\":6,\"C\":2}", "GENERATE_SERIES", "ARRAY<INTEGER>:[1, 3, 5]"},
    {"A INTEGER, B INTEGER, C INTEGER", "{\"A\":1,\"B\":6,\"C\":-1}", "GENERATE_SERIES",
     "error: GENERATE_SERIES step has wrong sign"},
    {"A BIGINT, B BIGINT", "{\"A\":2,\"B\":-1}", "GENERATE_SERIES", "ARRAY<BIGINT>:[2, 1, 0, -1]"},
    {"A ARRAY<INTEGER>, B INTEGER", "{\"A\":[7,8],\"B\":-1}", "[]", "INTEGER:8"},
    {"A ARRAY<ARRAY<INTEGER>>, B INTEGER", "{\"A\":[[7],[8,9]],\"B\":2}", "[]", "ARRAY<INTEGER>:[8, 9]"},
    {"A ARRAY<INTEGER>, B INTEGER", "{\"A\":[7,8],\"B\":0}", "[]", "INTEGER:null"},
    {"A MAP<STRING, STRUCT<X INTEGER>>, B STRING", "{\"A\":{\"k\":{\"X\":3}},\"B\":\"k\"}", "[]",
     "STRUCT<X INTEGER>:Struct{X=3}"},
    {"A INTEGER, B BIGINT", "{\"A\":1,\"B\":2}", "ARRAY", "ARRAY<BIGINT>:[1, 2]"},
    {"A ARRAY<STRING>, B ARRAY<INTEGER>", "{\"A\":[\"x\",\"y\",\"x\"],\"B\":[1,2,3]}", "MAP",
     "MAP<STRING, INTEGER>:{y=2, x=3}"},
    {"A ARRAY<STRING>, B ARRAY<INTEGER>", "{\"A\":[\"x\",\"y\"],\"B\":[1]}", "AS_MAP",
     "MAP<STRING, INTEGER>:{x=1, y=null}"},
    {"A MAP<STRING, INTEGER>, B MAP<STRING, INTEGER>", "{\"A\":{\"a\":1,\"b\":2},\"B\":{\"b\":3}}", "MAP_UNION",
     "MAP<STRING, INTEGER>:{a=1, b=3}"},
    {"A MAP<STRING, INTEGER>", "{\"A\":{\"a\":1}}", "MAP_VALUES", "ARRAY<INTEGER>:[1]"},
    {"A MAP<STRING, INTEGER>, B BOOLEAN", "{\"A\":{\"b\":1,\"a\":2},\"B\":true}", "ENTRIES",
     "ARRAY<STRUCT<K STRING, V INTEGER>>:[Struct{K=a,V=2}, Struct{K=b,V=1}]"},
    {"A STRING, B STRING", "{\"A\":\"{\\\"a\\\":[{\\\"b\\\":1.50}]}\",\"B\":\"$.a[0].b\"}", "EXTRACTJSONFIELD",
     "STRING:1.50"},
    {"A STRING, B STRING", "{\"A\":\"{\\\"a\\\":{\\\"b c\\\":\\\"x\\\"}}\",\"B\":\"$.a['b c']\"}", "EXTRACTJSONFIELD",
     "STRING:x"},
    {"A STRING, B STRING", "{\"A\":\"{}\",\"B\":\"$.a\"}", "EXTRACTJSONFIELD", "STRING:null"},
    {"A STRING, B STRING", "{\"A\":\"{}\",\"B\":\"a\"}", "EXTRACTJSONFIELD", "error: Invalid JSON path: a"},
    {"A STRING", "{\"A\":\"[1,\"}", "IS_JSON_STRING", "BOOLEAN:false"},
    {"A STRING, B INTEGER", "{\"A\":\"[1,2.0,\\\"3\\\"]\",\"B\":3}", "JSON_ARRAY_CONTAINS", "BOOLEAN:false"},
    {"A STRING, B STRING", "{\"A\":\"{\\\"a\\\":1,\\\"b\\\":2}\",\"B\":\"{\\\"a\\\":3}\"}", "JSON_CONCAT",
     "STRING:{\"b\":2,\"a\":3}"},
    {"A STRING, B STRING", "{\"A\":\"[1]\",\"B\":\"{\\\"a\\\":3}\"}", "JSON_CONCAT", "STRING:[1,{\"a\":3}]"},
    {"A STRING", "{\"A\":\"{\\\"a\\\":\\\"x\\\",\\\"b\\\":[1]}\"}", "JSON_RECORDS", "MAP<STRING, STRING>:{a=x, b=[1]}"},
    {"A STRING", "{\"A\":\"{\\\"a\\\":1,\\\"b\\\":2}\"}", "JSON_KEYS", "ARRAY<STRING>:[a, b]"},
    {"A STRUCT<X ARRAY<DOUBLE>, Y DATE>", "{\"A\":{\"X\":[1,null],\"Y\":1}}", "TO_JSON_STRING",
     "STRING:{\"X\":[1.0,null],\"Y\":\"1970-01-02\"}"},
    {"A STRING, B STRING", "{\"A\":\"a--b-\",\"B\":\"-\"}", "SPLIT", "ARRAY<STRING>:[a, , b, ]"},
    {"A STRING, B STRING", "{\"A\":\"aé\",\"B\":\"\"}", "SPLIT", "ARRAY<STRING>:[a, é]"},
    {"A STRING, B STRING, C STRING", "{\"A\":\"a=1;b=2;c;a=3\",\"B\":\";\",\"C\":\"=\"}", "SPLIT_TO_MAP",
     "MAP<STRING, STRING>:{a=3, b=2}"},
    {"A STRING", "{\"A\":\"Ab1 é\"}", "MASK", "STRING:Xxn--"},
    {"A STRING, B INTEGER", "{\"A\":\"Ab12\",\"B\":1}", "MASK_KEEP_RIGHT", "STRING:Xxn2"},
    {"A STRING, B INTEGER", "{\"A\":\"Ab12\",\"B\":3}", "MASK_LEFT", "STRING:Xxn2"},
    {"A STRING", "{\"A\":\"abc\"}", "MD5", "STRING:900150983cd24fb0d6963f7d28e17f72"},
    {"A STRING", "{\"A\":\"\"}", "MD5", "STRING:d41d8cd98f00b204e9800998ecf8427e"},
    {"A STRING, B STRING, C STRING", "{\"A\":\"hi\",\"B\":\"utf8\",\"C\":\"hex\"}", "ENCODE", "STRING:6869"},
    {"A STRING, B STRING, C STRING", "{\"A\":\"0x6869\",\"B\":\"hex\",\"C\":\"base64\"}", "ENCODE", "STRING:aGk="},
    {"A STRING, B STRING, C STRING", "{\"A\":\"hi\",\"B\":\"rot13\",\"C\":\"hex\"}", "ENCODE",
     "error: Unsupported encoding: ENCODE knows hex, utf8, ascii and base64"},
    {"A BYTES", "{\"A\":\"AAAAAg==\"}", "INT_FROM_BYTES", "INTEGER:2"},
    {"A BYTES", "{\"A\":\"AAAA\"}", "INT_FROM_BYTES",
     "error: Number of bytes must be equal to 4, but found 3: INT_FROM_BYTES"},
    {"A INTEGER, B STRING, C STRING", "{\"A\":2,\"B\":\"x\",\"C\":\"y\"}", "ELT", "STRING:y"},
    {"A STRING, B STRING, C STRING", "{\"A\":\"y\",\"B\":\"x\",\"C\":\"y\"}", "FIELD", "INTEGER:2"},
    {"A STRING", "{\"A\":\"the oLD man\"}", "INITCAP", "STRING:The Old Man"},
    {"A INTEGER", "{\"A\":8364}", "CHR", "STRING:€"},
    {"A STRING", "{\"A\":\"\\\\uD83D\\\\uDE00\"}", "CHR", "STRING:😀"},
    {"A DOUBLE, B DOUBLE, C DOUBLE, D DOUBLE", "{\"A\":0,\"B\":0,\"C\":0,\"D\":180}", "GEO_DISTANCE",
     "DOUBLE:20015.086796020572"},
    {"A STRING, B INTEGER, C DATE", "{\"A\":\"DAYS\",\"B\":-2,\"C\":1}", "DATEADD", "DATE:1969-12-31"},
    {"A STRING, B INTEGER, C TIME", "{\"A\":\"HOURS\",\"B\":2,\"C\":3600000}", "TIMESUB", "TIME:23:00"},
    {"A STRING, B INTEGER, C TIMESTAMP", "{\"A\":\"WEEKS\",\"B\":2,\"C\":0}", "TIMESTAMPADD",
     "error: TIMESTAMPADD: the unit is MILLISECONDS, SECONDS, MINUTES, HOURS or DAYS"},
    {"A ARRAY<STRING>", "{\"A\":[\"1\",null]}", "CAST ARRAY<INTEGER>", "ARRAY<INTEGER>:[1, null]"},
    {"A ARRAY<STRING>", "{\"A\":[\"1\",\"x\"]}", "CAST ARRAY<INTEGER>", "error"},
    {"A STRUCT<X INTEGER, Y STRING>", "{\"A\":{\"X\":1,\"Y\":\"a\"}}", "CAST STRUCT<Y STRING, X DOUBLE, Z STRING>",
     "STRUCT<Y STRING, X DOUBLE, Z STRING>:Struct{Y=a,X=1.0}"},
    {"A MAP<STRING, INTEGER>", "{\"A\":{\"k\":2}}", "CAST STRING", "STRING:{k=2}"},
    {"A ARRAY<DATE>", "{\"A\":[1]}", "ARRAY_JOIN", "ARRAY_JOIN joins an ARRAY of numbers, STRINGs or BOOLEANs"},
};

static data_batch *decode(const nested_case *c) {
    char text[256];
    snprintf(text, sizeof text, "STRUCT<%s>", c->columns);
    const data_type *type = bench_type(&b, text, strlen(text));
    data_column *columns = weir_arena_array(&b.arena, data_column, type->field_count);
    for (uint32_t i = 0; i < type->field_count; i++)
        columns[i] = (data_column){.name = type->fields[i].name, .type = type->fields[i].type, .role = DATA_ROLE_VALUE};
    data_schema *schema = weir_arena_new(&b.arena, data_schema);
    *schema = (data_schema){columns, type->field_count, 0};
    const format_spec spec = {schema, DATA_ROLE_VALUE, NULL, 0};
    format_decoder *decoder;
    static format_errors errors;
    const weir_status made = format_json.decoder_create(&b.account, &spec, NULL, &decoder);
    if (weir_failed(made)) fail_msg("%s: %s", c->columns, made.text);
    data_batch *batch = data_batch_take(b.pool, schema);
    assert_non_null(batch);
    weir_bytes records[10];
    for (int i = 0; i < 10; i++) records[i] = weir_bytes_text(c->row);
    const format_input input = {records, sizeof records[0], 10, NULL};
    errors.count = 0;
    assert_int_equal(format_decode(decoder, &input, batch, 0, &errors).code, WEIR_OK);
    if (errors.count) fail_msg("%s: %s", c->row, errors.reasons[0]);
    format_decoder_destroy(decoder);
    bench_rows(batch, 10);
    return batch;
}

static const char *run(const nested_case *c, data_batch *batch, const data_selection *selection, uint32_t row) {
    const func_expr *arguments[8], *call;
    const func_program *program;
    data_vector *result;
    func_errors errors;
    for (uint32_t i = 0; i < batch->schema->count; i++) arguments[i] = bench_column(&b, batch->schema, i);
    const bool cast = strncmp(c->name, "CAST ", 5) == 0;
    weir_status status =
        cast ? func_cast(&b.arena, arguments[0], bench_type(&b, c->name + 5, strlen(c->name + 5)), &call)
             : func_call(&b.arena, c->name, arguments, batch->schema->count, &call);
    if (weir_failed(status)) return status.text;
    const weir_status compiled = func_compile(&b.arena, call, batch->schema, &program);
    if (weir_failed(compiled)) fail_msg("%s over %s: %s", c->name, c->columns, compiled.text);
    batch->selection = *selection;
    assert_int_equal(func_run(program, batch, &result, &errors).code, WEIR_OK);
    weir_buffer_clear(&b.text);
    if (data_bit(errors.bits, row)) {
        weir_buffer_format(&b.text, "error: %s", errors.reasons[row]);
        return weir_buffer_text(&b.text);
    }
    data_type_print(call->type, &b.text);
    weir_buffer_append_byte(&b.text, ':');
    func_print_value(result, row, &b.text);
    return weir_buffer_text(&b.text);
}

static void every_function_gives_what_its_row_says(void **state) {
    (void)state;
    static const uint16_t some[] = {2, 3, 7};
    static const data_selection all = {NULL, 10}, few = {some, 3};
    bench_open(&b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const nested_case *c = &cases[i];
        for (int way = 0; way < 3; way++) {
            data_batch *batch = decode(c);
            const char *got = run(c, batch, way ? &few : &all, way == 1 ? 3 : 7);
            const bool any_error = strcmp(c->wanted, "error") == 0 && strncmp(got, "error: ", 7) == 0;
            if (!any_error && strcmp(got, c->wanted) != 0)
                fail_msg("%s over %s %s\n  wanted  %s\n  got     %s", c->name, c->columns, c->row, c->wanted, got);
            data_batch_release(batch);
            weir_arena_reset(&b.arena);
        }
    }
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_function_gives_what_its_row_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
