/* JSON: tables of records with the row they give or the exact reason, random rows (nested too) out and in again,
 * records cut and changed everywhere, and random documents judged by another implementation (Python's, when it is
 * installed). */
#include "data/format/format_testing.h"

static test_bench b;

static const bench_case records[] = {
    {"A INTEGER, B STRING", "{\"A\":1,\"B\":\"x\"}", "{\"A\":1,\"B\":\"x\"}"},
    {"A INTEGER, B STRING", " { \"B\" : \"x\" , \"A\" : 1 } \n", "{\"A\":1,\"B\":\"x\"}"},
    {"A INTEGER, B STRING", "{}", "{\"A\":null,\"B\":null}"},
    {"A INTEGER, B STRING", "{\"A\":null}", "{\"A\":null,\"B\":null}"},
    {"A INTEGER, B STRING", "null", "absent"},
    {"A INTEGER, B STRING", NULL, "absent"},
    /* names: exact, else any case; exact wins; of duplicates the last counts */
    {"A INTEGER, B STRING", "{\"a\":1,\"b\":\"x\"}", "{\"A\":1,\"B\":\"x\"}"},
    {"A INTEGER", "{\"A\":1,\"a\":2}", "{\"A\":1}"},
    {"A INTEGER", "{\"a\":2,\"A\":1}", "{\"A\":1}"},
    {"A INTEGER", "{\"A\":1,\"A\":2}", "{\"A\":2}"},
    {"A INTEGER", "{\"A\":1,\"A\":null}", "{\"A\":null}"},
    {"A INTEGER, `a` INTEGER", "{\"a\":2,\"A\":1}", "{\"A\":1,\"a\":2}"},
    {"A ARRAY<INTEGER>", "{\"A\":[1,2,3],\"A\":[4,null]}", "{\"A\":[4,null]}"},
    {"A INTEGER", "{\"\\u0041\":7}", "{\"A\":7}"},
    {"A INTEGER", "{\"X\":{\"A\":[1,{\"A\":\"\\n\"}],\"y\":-1.5E+3},\"A\":7}", "{\"A\":7}"},
    /* numbers, coerced as ksqlDB does */
    {"A INTEGER", "{\"A\":\"12\"}", "{\"A\":12}"},
    {"A INTEGER", "{\"A\":1.9}", "{\"A\":1}"},
    {"A BIGINT", "{\"A\":9223372036854775807}", "{\"A\":9223372036854775807}"},
    {"A BIGINT", "{\"A\":9223372036854775808}",
     "error: JSON: expected a number in range for column A at byte 5, got 9223372036854775808"},
    {"A BIGINT", "{\"A\":1e3}", "{\"A\":1000}"},
    {"BYTES BIGINT", "{\"X\":1,\n\"BYTES\":\"abc\"}",
     "error: JSON: expected a number for column BYTES at byte 16, got \"abc\""},
    {"A DOUBLE", "{\"A\":0.1}", "{\"A\":0.1}"},
    {"A DOUBLE", "{\"A\":-0}", "{\"A\":-0.0}"},
    {"A DOUBLE", "{\"A\":12345678901234567890}", "{\"A\":1.2345678901234567E19}"},
    {"A DOUBLE", "{\"A\":\"NaN\"}", "{\"A\":\"NaN\"}"},
    {"A DOUBLE", "{\"A\":1.}", "error: JSON: expected a number for column A at byte 5, got 1."},
    {"A DOUBLE", "{\"A\":01}", "error: JSON: expected \",\" or \"}\" at byte 6, got 1"},
    {"A DECIMAL(5, 2)", "{\"A\":123.4}", "{\"A\":123.40}"},
    {"A DECIMAL(5, 2)", "{\"A\":\"-0.5\"}", "{\"A\":-0.50}"},
    {"A DECIMAL(5, 2)", "{\"A\":1.234}",
     "error: JSON: expected a number that fits the DECIMAL exactly for column A at byte 5, got 1.234"},
    {"A BOOLEAN", "{\"A\":true}", "{\"A\":true}"},
    {"A BOOLEAN", "{\"A\":\"true\"}", "error: JSON: expected true or false for column A at byte 5, got \"true\""},
    {"A DATE, B TIME, C TIMESTAMP", "{\"A\":1,\"B\":2,\"C\":3}", "{\"A\":1,\"B\":2,\"C\":3}"},
    {"B TIME", "{\"B\":-1}", "error: JSON: expected milliseconds of a day for column B at byte 5, got -1"},
    {"A BYTES", "{\"A\":\"aGk=\"}", "{\"A\":\"aGk=\"}"},
    {"A BYTES", "{\"A\":\"a\"}", "error: JSON: expected base64 text for column A at byte 5, got \"a\""},
    /* a STRING column takes any value */
    {"A STRING", "{\"A\":1.50}", "{\"A\":\"1.50\"}"},
    {"A STRING", "{\"A\":true}", "{\"A\":\"true\"}"},
    {"A STRING", "{\"A\":{ \"x\" : [1, \"a b\"] }}", "{\"A\":\"{\\\"x\\\":[1,\\\"a b\\\"]}\"}"},
    {"A STRING", "{\"A\":[1,\"a b\",[true]]}", "{\"A\":\"[1, a b, [true]]\"}"},
    {"A STRING", "{\"A\":\"\\u00e9\\ud83d\\ude00\\n\\ud800x\"}", "{\"A\":\"é😀\\n?x\"}"},
    {"A STRING", "{\"A\":\"a long text without any escape\"}", "{\"A\":\"a long text without any escape\"}"},
    /* nested */
    {"A ARRAY<STRING>", "{\"A\":[]}", "{\"A\":[]}"},
    {"A ARRAY<ARRAY<INTEGER>>", "{\"A\":[[1],null,[],[2,3]]}", "{\"A\":[[1],null,[],[2,3]]}"},
    {"A ARRAY<INTEGER>", "{\"A\":1}", "error: JSON: expected an array for column A at byte 5, got 1"},
    {"A ARRAY<INTEGER>", "{\"A\":[1,\"x\"]}", "error: JSON: expected a number for column A at byte 8, got \"x\""},
    {"A MAP<STRING, INTEGER>", "{\"A\":{\"x\":1,\"y\":null,\"x\":3}}", "{\"A\":{\"x\":3,\"y\":null}}"},
    {"A STRUCT<B INTEGER, C STRUCT<D STRING>>", "{\"A\":{\"b\":1,\"z\":0,\"C\":{\"D\":\"x\"}}}",
     "{\"A\":{\"B\":1,\"C\":{\"D\":\"x\"}}}"},
    {"A STRUCT<B INTEGER>", "{\"A\":{}}", "{\"A\":{\"B\":null}}"},
    {"A STRUCT<B INTEGER>", "{\"A\":[]}", "error: JSON: expected an object for column A at byte 5, got ["},
    {"A ARRAY<STRUCT<B ARRAY<INTEGER>>>", "{\"A\":[{\"B\":[1]},{},{\"B\":[2,3],\"B\":[4]}]}",
     "{\"A\":[{\"B\":[1]},{\"B\":null},{\"B\":[4]}]}"},
    {"A MAP<INTEGER, INTEGER>", "", "JSON only supports MAP types with STRING keys, and column A has others"},
    /* what is not JSON */
    {"A INTEGER", "", "error: JSON: expected an object at byte 0, got the end"},
    {"A INTEGER", "[1]", "error: JSON: expected an object at byte 0, got ["},
    {"A INTEGER", "{\"A\":1", "error: JSON: expected \",\" or \"}\" at byte 6, got the end"},
    {"A INTEGER", "{\"A\":1}x", "error: JSON: expected the end of the record at byte 7, got x"},
    {"A INTEGER", "{\"A\" 1}", "error: JSON: expected \":\" at byte 5, got 1"},
    {"A INTEGER", "{A:1}", "error: JSON: expected a member name at byte 1, got A"},
    {"A INTEGER", "{\"A\":1,}", "error: JSON: expected a member name at byte 7, got }"},
    {"A INTEGER", "{\"X\":tru,\"A\":1}", "error: JSON: expected a value at byte 5, got tru"},
    {"A STRING", "{\"A\":\"x\n\"}", "error: JSON: control character 0x0A in a string at byte 7"},
    {"A STRING", "{\"A\":\"\\x\"}", "error: JSON: unknown escape at byte 6"},
    {"A STRING", "{\"A\":\"x", "error: JSON: the string at byte 5 is not closed"},
    {"A STRING", "{\"A\":\"\xff\"}", "error: JSON: not valid UTF-8 at byte 6"},
};

static void test_records(void **state) {
    (void)state;
    bench_cases(&format_json, DATA_ROLE_VALUE, NULL, records, sizeof records / sizeof *records);
}

static void test_bare(void **state) {
    (void)state;
    static const weir_setting unwrap = {"WRAP_SINGLE_VALUE", "false"}, odd = {"WRAP_SINGLE_VALUE", "perhaps"};
    /* The harness prints a value wrapped and a key bare. */
    static const bench_case values[] = {
        {"A INTEGER", "12", "{\"A\":12}"},
        {"A ARRAY<INTEGER>", "[1]", "{\"A\":[1]}"},
        {"A STRUCT<B INTEGER>", "{\"B\":1}", "{\"A\":{\"B\":1}}"},
        {"A INTEGER", "null", "absent"},
        {"A INTEGER", "{\"A\":12}", "error: JSON: expected a number for column A at byte 0, got {"},
        {"A INTEGER, B INTEGER", "", "WRAP_SINGLE_VALUE is only for a value of one column, this one has 2"},
    };
    static const bench_case refused[] = {{"A INTEGER", "", "WRAP_SINGLE_VALUE='perhaps': expected true or false"}};
    static const bench_case keys[] = {
        {"A STRING", "\"x\"", "\"x\""},
        {"A STRING, B INTEGER", "{\"A\":\"x\",\"B\":1}", "{\"A\":\"x\",\"B\":1}"},
    };
    bench_cases(&format_json, DATA_ROLE_VALUE, &unwrap, values, sizeof values / sizeof *values);
    bench_cases(&format_json, DATA_ROLE_VALUE, &odd, refused, 1);
    bench_cases(&format_json, DATA_ROLE_KEY, NULL, keys, 2);
}

static void test_depth(void **state) {
    (void)state;
    char deep[400] = "{\"X\":";
    bench_open(&b, 1 << 20);
    const format_spec spec = bench_spec(&b, "A INTEGER", DATA_ROLE_VALUE, NULL);
    memset(deep + 5, '[', 63);
    memset(deep + 68, ']', 63);
    memcpy(deep + 131, "}", 2);
    assert_string_equal(bench_decode(&b, &format_json, &spec, weir_bytes_text(deep)), "{\"A\":null}");
    memset(deep + 5, '[', 300);
    assert_string_equal(bench_decode(&b, &format_json, &spec, weir_bytes_text(deep)),
                        "error: JSON: more than 64 levels of nesting at byte 68");
    bench_close(&b);
}

static const char every_type[] =
    "A BOOLEAN, B INTEGER, C BIGINT, D DOUBLE, E DECIMAL(20, 5), F STRING, G BYTES, H DATE, I TIME,"
    "J TIMESTAMP, K ARRAY<STRING>, L MAP<STRING, DOUBLE>, M STRUCT<X INTEGER, Y ARRAY<BIGINT>>,"
    "N ARRAY<STRUCT<X STRING, Y MAP<STRING, ARRAY<INTEGER>>>>";

static void test_round_trip(void **state) {
    (void)state;
    bench_open(&b, 32 << 20);
    const format_spec spec = bench_spec(&b, every_type, DATA_ROLE_VALUE, NULL);
    for (uint64_t seed = 0; seed < 20; seed++) bench_round_trip(&b, &format_json, &spec, 200, seed, false);
    bench_close(&b);
}

static void test_abuse(void **state) {
    (void)state;
    bench_open(&b, 1 << 20);
    const format_spec spec = bench_spec(&b, every_type, DATA_ROLE_VALUE, NULL);
    bench_abuse(&format_json, &spec, &b,
                "{\"A\":true,\"B\":-12,\"C\":\"34\",\"D\":1.5e3,\"E\":12.5,\"F\":\"a \\u00e9\\n long text "
                "\xc3\xa9\",\"G\":\"aGVsbG8=\","
                "\"H\":1,\"I\":2,\"J\":3,\"K\":[\"x\",null],\"L\":{\"k\":1.5},\"M\":{\"X\":1,\"Y\":[1,2]},"
                "\"N\":[{\"X\":\"q\",\"Y\":{\"z\":[1,2,3]}}],\"unknown\":{\"x\":[true,false,null,{}]}}",
                20000, 7);
    bench_close(&b);
}

/* ---- another implementation as judge
 * ---------------------------------------------------------------------------------------- */

enum { DOCUMENTS = 3000 };

static void random_value(weir_buffer *out, uint64_t *seed, unsigned depth) {
    static const char *const scalars[] = {"0",
                                          "-1",
                                          "12.5",
                                          "1e5",
                                          "-0.0E-2",
                                          "true",
                                          "false",
                                          "null",
                                          "\"\"",
                                          "\"x y\"",
                                          "\"\\u0041\\n\\\"\"",
                                          "\"é\"",
                                          "\"\\ud83d\\ude00\"",
                                          "\"\\udc00\""};
    const uint64_t pick = bench_random(seed) % (depth > 4 ? 14 : 20);
    if (pick < 14) {
        weir_buffer_append_text(out, scalars[pick]);
        return;
    }
    const bool object = pick < 17;
    weir_buffer_append_byte(out, object ? '{' : '[');
    for (uint64_t i = 0, count = bench_random(seed) % 4; i < count; i++) {
        if (i) weir_buffer_append_byte(out, ',');
        if (object) weir_buffer_format(out, "\"%c\" : ", "sSab"[bench_random(seed) % 4]);
        random_value(out, seed, depth + 1);
    }
    weir_buffer_append_byte(out, object ? '}' : ']');
}

static void random_document(weir_buffer *out, uint64_t *seed) {
    weir_buffer_append_byte(out, '{');
    for (uint64_t i = 0, count = bench_random(seed) % 5; i < count; i++) {
        if (i) weir_buffer_append_byte(out, ',');
        weir_buffer_format(out, "\"%c\":", "sSab"[bench_random(seed) % 4]);
        random_value(out, seed, 0);
    }
    weir_buffer_append_byte(out, '}');
    if (bench_random(seed) % 3 == 0) return; /* a third stays well formed */
    static const char likely[] = "\"\\{}[],:0-9.eEtfn\x01\xff ";
    const uint64_t r = bench_random(seed);
    out->data[r % out->size] = (uint8_t)likely[(r >> 32) % (sizeof likely - 1)];
}

/* Python reads a document a line in hexadecimal and answers "bad", or the text of member S in hexadecimal. */
static const char judge[] =
    "import json,sys\n"
    "def const(c): raise ValueError(c)\n"
    "for line in sys.stdin:\n"
    "  try:\n"
    "    d=json.loads(bytes.fromhex(line.strip()).decode('utf-8'),parse_constant=const,object_pairs_hook=lambda p:p)\n"
    "  except Exception:\n"
    "    print('bad'); continue\n"
    "  v=None\n"
    "  exact=[x for k,x in d if k=='S']; other=[x for k,x in d if k=='s']\n"
    "  v=exact[-1] if exact else other[-1] if other else None\n"
    "  print('ok '+(v.encode('utf-8','replace').hex() if isinstance(v,str) else '-'))\n";

static void test_judged_by_another(void **state) {
    (void)state;
    if (system("python3 -c 'import json' >/dev/null 2>&1") != 0) skip();
    char folder[] = "/tmp/weir-json-test-XXXXXX", path[64], command[256];
    assert_non_null(mkdtemp(folder));
    bench_open(&b, 1 << 20);
    const format_spec spec = bench_spec(&b, "S STRING", DATA_ROLE_VALUE, NULL);
    static weir_buffer documents[DOCUMENTS];
    uint64_t seed = 11;
    snprintf(path, sizeof path, "%s/judge.py", folder);
    FILE *file = fopen(path, "w");
    fputs(judge, file);
    fclose(file);
    snprintf(path, sizeof path, "%s/documents", folder);
    file = fopen(path, "w");
    for (int i = 0; i < DOCUMENTS; i++) {
        weir_buffer_init(&documents[i], &b.account, 1 << 20);
        random_document(&documents[i], &seed);
        for (size_t at = 0; at < documents[i].size; at++) fprintf(file, "%02x", documents[i].data[at]);
        fputc('\n', file);
    }
    fclose(file);
    snprintf(command, sizeof command, "python3 %s/judge.py < %s", folder, path);
    FILE *answers = popen(command, "r");
    assert_non_null(answers);
    static char answer[1 << 16];
    unsigned good = 0, texts = 0;
    for (int i = 0; i < DOCUMENTS; i++) {
        const weir_bytes document = weir_buffer_view(&documents[i]);
        assert_non_null(fgets(answer, sizeof answer, answers));
        answer[strcspn(answer, "\n")] = 0;
        const char *got = bench_decode(&b, &format_json, &spec, document);
        const bool bad = strncmp(got, "error:", 6) == 0;
        if (bad != (strcmp(answer, "bad") == 0)) {
            fail_msg("document %d, judged %s, got %s: %.*s", i, answer, got, (int)document.size,
                     (const char *)document.data);
        }
        good += !bad;
        if (bad || answer[3] == '-' || strcmp(answer, "ok ") == 0) continue;
        char wanted[8192] = "{\"S\":\"";
        size_t size = strlen(wanted);
        for (const char *at = answer + 3; *at; at += 2) {
            unsigned byte;
            sscanf(at, "%2x", &byte);
            if (byte == '"' || byte == '\\' || byte == '\n') wanted[size++] = '\\';
            wanted[size++] = byte == '\n' ? 'n' : (char)byte;
        }
        memcpy(wanted + size, "\"}", 3);
        assert_string_equal(got, wanted);
        texts++;
    }
    assert_int_equal(pclose(answers), 0);
    assert_true(good > DOCUMENTS / 3 && good < DOCUMENTS && texts > 100);
    for (int i = 0; i < DOCUMENTS; i++) weir_buffer_deinit(&documents[i]);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    bench_close(&b);
}

/* A batch that has no room for a record says so, and the rows before stay good. */
static void test_full_arena(void **state) {
    (void)state;
    bench_open(&b, 64 << 10);
    const format_spec spec = bench_spec(&b, "A STRING", DATA_ROLE_VALUE, NULL);
    static char escaped[40000] = "{\"A\":\"\\n";
    memset(escaped + 8, 'x', sizeof escaped - 11);
    memcpy(escaped + sizeof escaped - 3, "\"}", 3);
    const weir_bytes lines[3] = {weir_bytes_text(escaped), weir_bytes_text(escaped), weir_bytes_text(escaped)};
    const format_input input = {lines, sizeof *lines, 3, NULL};
    format_decoder *decoder;
    assert_int_equal(format_json.decoder_create(&b.account, &spec, NULL, &decoder).code, WEIR_OK);
    data_batch *batch = data_batch_take(b.pool, spec.schema);
    assert_int_equal(format_decode(decoder, &input, batch, 0, &b.errors).code, WEIR_NO_MEMORY);
    data_batch_release(batch);
    format_decoder_destroy(decoder);
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),    cmocka_unit_test(test_bare),  cmocka_unit_test(test_depth),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_abuse), cmocka_unit_test(test_judged_by_another),
        cmocka_unit_test(test_full_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
