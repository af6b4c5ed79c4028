/* Goal: a statement becomes the tree it means or one error a person can act on, whatever its bytes.
 * Method: statements are parsed and printed back in a canonical form; errors are compared as they are shown, with line,
 * caret and hint; every statement of the story is cut at every byte and mutated at random, which must give a tree or an
 * error; limits are met from both sides. When WEIR_SQL_CORPUS names a folder, every text in it is parsed as well. */
#include "sql/parse/parse.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static weir_account account;
static weir_arena arena;
static weir_buffer text;

static int setup(void **state) {
    (void)state;
    weir_account_init(&account, "test", 0);
    weir_arena_init(&arena, &account, 64u << 20);
    weir_buffer_init(&text, &account, 1u << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    weir_buffer_deinit(&text);
    weir_arena_deinit(&arena);
    weir_account_deinit(&account);
    return 0;
}

static bool parse(const char *sql, const sql_statement **statement, sql_error *error) {
    const weir_bytes script = weir_bytes_text(sql);
    uint32_t at = 0;
    sql_piece piece = {0};
    sql_split(script, &at, &piece);
    return sql_parse(&arena, script, piece, statement, error);
}

static const sql_statement *parsed(const char *sql) {
    const sql_statement *statement = NULL;
    sql_error error;
    if (!parse(sql, &statement, &error)) {
        weir_buffer_clear(&text);
        sql_error_print(&error, weir_bytes_text(sql), NULL, &text);
        fail_msg("%s", weir_buffer_text(&text));
    }
    return statement;
}

/* The select item of `SELECT <expr> FROM S`, printed. */
static void assert_expr(const char *expr, const char *printed) {
    char sql[4096];
    snprintf(sql, sizeof sql, "SELECT %s FROM s;", expr);
    const sql_statement *statement = parsed(sql);
    assert_int_equal(statement->query->item_count, 1);
    weir_buffer_clear(&text);
    sql_expr_print(statement->query->items[0].expr, &text);
    assert_string_equal(weir_buffer_text(&text), printed);
}

static void assert_error(const char *sql, const char *shown) {
    const sql_statement *statement;
    sql_error error;
    assert_false(parse(sql, &statement, &error));
    weir_buffer_clear(&text);
    sql_error_print(&error, weir_bytes_text(sql), "q.sql", &text);
    assert_string_equal(weir_buffer_text(&text), shown);
}

/* ---- expressions ---------------------------------------------------------------------------------------------------
 */

static void operators_bind_as_in_ksqldb(void **state) {
    (void)state;
    assert_expr("1 + 2 * 3", "(1 + (2 * 3))");
    assert_expr("1 - 2 - 3", "((1 - 2) - 3)");
    assert_expr("(1 + 2) * 3", "((1 + 2) * 3)");
    assert_expr("a || b + c", "(A || (B + C))");
    assert_expr("-a * -2", "(-A * -2)");
    assert_expr("a = 1 or b < 2 and not c >= 3", "((A = 1) OR ((B < 2) AND (NOT (C >= 3))))");
    assert_expr("a AND b AND c AND d", "(A AND B AND C AND D)");
    assert_expr("a AND (b AND c)", "(A AND (B AND C))");
    assert_expr("x between 1 and 2 and y", "((X BETWEEN 1 AND 2) AND Y)");
    assert_expr("x not in (1, 'two', 3.0)", "(X NOT IN (1, 'two', 3.0))");
    assert_expr("x LIKE 'a!%' ESCAPE '!'", "(X LIKE 'a!%' ESCAPE '!')");
    assert_expr("x is not null or y is distinct from z", "((X IS NOT NULL) OR (Y IS DISTINCT FROM Z))");
    assert_expr("a->b->c[1]['k']", "A->B->C[1]['k']");
    assert_expr("CASE WHEN a > 1 THEN 'x' ELSE 'y' END", "(CASE WHEN (A > 1) THEN 'x' ELSE 'y' END)");
    assert_expr("CASE a WHEN 1 THEN 'x' WHEN 2 THEN 'y' END", "(CASE A WHEN 1 THEN 'x' WHEN 2 THEN 'y' END)");
    assert_expr("cast(sum(x) as decimal(10, 2)) / count(*)", "(CAST(SUM(X) AS DECIMAL(10, 2)) / COUNT(*))");
    assert_expr("ARRAY[1, 2]", "ARRAY[1, 2]");
    assert_expr("MAP('a' := 1, 'b' := 2)", "MAP('a':=1, 'b':=2)");
    assert_expr("STRUCT(f := 1, g := 'x')", "STRUCT(F:=1, G:='x')");
    assert_expr("CAST(x AS ARRAY<STRUCT<a INT, b MAP<STRING, BIGINT>>>)",
                "CAST(X AS ARRAY<STRUCT<A INT, B MAP<STRING, BIGINT>>>)");
    assert_expr("a != b", "(A <> B)");
}

static void literals_keep_their_text(void **state) {
    (void)state;
    assert_expr("-9223372036854775808", "-9223372036854775808");
    assert_expr("1.50", "1.50");
    assert_expr("-1.5E-3", "-1.5E-3");
    assert_expr("'it''s'", "'it''s'");
    assert_expr("'ünïcode -- /* not a comment */'", "'ünïcode -- /* not a comment */'");
    assert_expr("true", "true");
    assert_expr("FALSE", "false");
    assert_expr("NULL", "null");
}

static void names_are_upper_case_unless_quoted(void **state) {
    (void)state;
    assert_expr("aBc", "ABC");
    assert_expr("`aBc`", "`aBc`");
    assert_expr("\"aBc\"", "`aBc`");
    assert_expr("s.`odd ``name`", "S.`odd ``name`");
    /* Words that only some places of the grammar know are names everywhere else. */
    assert_expr("show + tables + topic + key + emit + size + source + session + properties",
                "((((((((SHOW + TABLES) + TOPIC) + KEY) + EMIT) + SIZE) + SOURCE) + SESSION) + PROPERTIES)");
    assert_expr("replace(a, 'x', 'y')", "REPLACE(A, 'x', 'y')");
    assert_expr("if(a, 'x')", "IF(A, 'x')");
    assert_expr("map + struct * array - partition", "((MAP + (STRUCT * ARRAY)) - PARTITION)");
    assert_expr("1st", "`1ST`");
    parsed("CREATE STREAM s (a INT ARRAY, array STRING ARRAY) WITH (kafka_topic='t');");
    parsed("CREATE STREAM list (key INT KEY, time TIMESTAMP, date DATE, interval STRING, type STRING) WITH "
           "(kafka_topic='t');");
}

/* ---- statements ----------------------------------------------------------------------------------------------------
 */

static void a_stream_declaration_is_read_whole(void **state) {
    (void)state;
    const sql_statement *s =
        parsed("-- the log\nCREATE OR REPLACE STREAM IF NOT EXISTS access_log (\n"
               "  id BIGINT KEY, time TIMESTAMP, price DECIMAL(10,2), tags ARRAY<VARCHAR>)\n"
               "WITH (KAFKA_TOPIC='access_log', 'value_format'='JSON', PARTITIONS=3, WRAP_SINGLE_VALUE=false);");
    assert_int_equal(s->kind, SQL_CREATE_SOURCE);
    assert_true(s->or_replace && s->if_exists && !s->is_table);
    assert_string_equal(s->name.text, "ACCESS_LOG");
    assert_int_equal(s->column_count, 4);
    assert_int_equal(s->columns[0].constraint, SQL_CONSTRAINT_KEY);
    assert_string_equal(s->columns[1].name.text, "TIME");
    assert_int_equal(s->columns[2].type->arguments[1], 2);
    assert_int_equal(s->columns[3].type->kind, SQL_TYPE_ARRAY);
    assert_int_equal(s->property_count, 4);
    assert_string_equal(s->properties[1].name.text, "value_format");
    assert_string_equal(s->properties[2].value, "3");
    assert_false(s->properties[2].is_string);
    assert_string_equal(s->properties[3].value, "false");
    assert_int_equal(s->offset, 11); /* behind the comment */
    assert_int_equal(strncmp(s->text, "CREATE OR", 9), 0);
}

static void a_query_is_read_whole(void **state) {
    (void)state;
    const sql_statement *s =
        parsed("CREATE TABLE t WITH (FORMAT='JSON') AS SELECT path AS p, COUNT(*) n, c.*, x FROM clicks c "
               "WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 10 SECONDS, RETENTION 2 DAYS, GRACE PERIOD 500 MILLISECONDS) "
               "WHERE bytes > 0 GROUP BY path, c.x PARTITION BY y HAVING COUNT(*) > 5 EMIT CHANGES;");
    assert_int_equal(s->kind, SQL_CREATE_AS);
    assert_true(s->is_table);
    const sql_query *q = s->query;
    assert_int_equal(q->item_count, 4);
    assert_string_equal(q->items[0].alias.text, "P");
    assert_string_equal(q->items[1].alias.text, "N");
    assert_null(q->items[2].expr);
    assert_string_equal(q->items[2].qualifier.text, "C");
    assert_null(q->items[3].alias.text);
    assert_string_equal(q->source.text, "CLICKS");
    assert_string_equal(q->alias.text, "C");
    assert_int_equal(q->window.kind, SQL_WINDOW_HOPPING);
    assert_int_equal(q->window.size_ms, 60000);
    assert_int_equal(q->window.advance_ms, 10000);
    assert_int_equal(q->window.retention_ms, 172800000);
    assert_int_equal(q->window.grace_ms, 500);
    assert_int_equal(q->group_by.count, 2);
    assert_int_equal(q->partition_by.count, 1);
    assert_non_null(q->where);
    assert_non_null(q->having);
    assert_true(q->emit_changes);
    assert_int_equal(q->limit, -1);
    const sql_query *pull = parsed("SELECT * FROM views WHERE path = '/' AND WINDOWSTART >= 5 LIMIT 3")->query;
    assert_false(pull->emit_changes);
    assert_int_equal(pull->limit, 3);
    assert_int_equal(parsed("SELECT a FROM s GROUP BY (a, b) EMIT CHANGES;")->query->group_by.count, 2);
}

static void each_statement_has_its_kind(void **state) {
    (void)state;
    static const struct {
        const char *sql;
        sql_statement_kind kind;
    } cases[] = {
        {"CREATE TABLE t (k INT PRIMARY KEY, v STRING) WITH (KAFKA_TOPIC='t');", SQL_CREATE_SOURCE},
        {"CREATE SOURCE STREAM t (v STRING) WITH (KAFKA_TOPIC='t');", SQL_CREATE_SOURCE},
        {"CREATE STREAM a AS SELECT * FROM b;", SQL_CREATE_AS},
        {"INSERT INTO a SELECT * FROM b;", SQL_INSERT_SELECT},
        {"INSERT INTO a WITH (QUERY_ID='q') SELECT * FROM b EMIT CHANGES;", SQL_INSERT_SELECT},
        {"INSERT INTO a VALUES (1, -2.5, 'x', NULL);", SQL_INSERT_VALUES},
        {"INSERT INTO a (x, y) VALUES (1, 2 + 3);", SQL_INSERT_VALUES},
        {"SELECT 1 FROM a EMIT CHANGES LIMIT 5;", SQL_SELECT},
        {"SHOW STREAMS;", SQL_SHOW},
        {"LIST TABLES EXTENDED;", SQL_SHOW},
        {"show all topics;", SQL_SHOW},
        {"SHOW QUERIES;", SQL_SHOW},
        {"SHOW CONNECTORS;", SQL_SHOW},
        {"SHOW SOURCE CONNECTORS;", SQL_SHOW},
        {"SHOW FUNCTIONS;", SQL_SHOW},
        {"SHOW PROPERTIES;", SQL_SHOW},
        {"DESCRIBE a;", SQL_DESCRIBE},
        {"DESCRIBE a EXTENDED;", SQL_DESCRIBE},
        {"DESCRIBE FUNCTION lcase;", SQL_DESCRIBE_FUNCTION},
        {"DESCRIBE CONNECTOR c;", SQL_DESCRIBE_CONNECTOR},
        {"EXPLAIN CTAS_A_1;", SQL_EXPLAIN},
        {"EXPLAIN SELECT * FROM a EMIT CHANGES;", SQL_EXPLAIN},
        {"DROP STREAM IF EXISTS a DELETE TOPIC;", SQL_DROP},
        {"DROP TABLE a;", SQL_DROP},
        {"DROP CONNECTOR IF EXISTS c;", SQL_DROP_CONNECTOR},
        {"TERMINATE CSAS_A_0;", SQL_TERMINATE},
        {"TERMINATE ALL;", SQL_TERMINATE},
        {"SET 'auto.offset.reset'='earliest';", SQL_SET},
        {"UNSET 'auto.offset.reset';", SQL_UNSET},
        {"CREATE SOURCE CONNECTOR IF NOT EXISTS c WITH ('connector'='file', 'path'='/x');", SQL_CREATE_CONNECTOR},
        {"PRINT 'Topic-a' FROM BEGINNING INTERVAL 2 LIMIT 10;", SQL_PRINT},
        {"PRINT topicA;", SQL_PRINT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(parsed(cases[i].sql)->kind, cases[i].kind);
    assert_string_equal(parsed("PRINT topicA;")->name.text, "topicA");
    assert_null(parsed("TERMINATE ALL;")->name.text);
    assert_int_equal(parsed("EXPLAIN DROP TABLE x;")->inner->kind, SQL_DROP);
}

/* ---- errors --------------------------------------------------------------------------------------------------------
 */

static void errors_say_where_and_what_was_expected(void **state) {
    (void)state;
    assert_error("SELECT a b c FROM s;", "q.sql:1:12: Syntax Error: unexpected c\n"
                                         "  SELECT a b c FROM s;\n"
                                         "             ^\n"
                                         "  Expected FROM or a comma after the select item.\n");
    assert_error("SELECT a,\n\tFROM s;", "q.sql:2:2: Syntax Error: unexpected keyword FROM\n"
                                         "  \tFROM s;\n"
                                         "  \t^\n"
                                         "  Expected an expression or * after ,.\n");
    assert_error("SELECT * FROM s WHERE a = ", "q.sql:1:26: Syntax Error: the statement ends too early\n"
                                               "  SELECT * FROM s WHERE a = \n"
                                               "                           ^\n"
                                               "  Expected an expression after =.\n");
    assert_error("CREATE STREAM s (a INT b INT);", "q.sql:1:24: Syntax Error: unexpected b\n"
                                                   "  CREATE STREAM s (a INT b INT);\n"
                                                   "                         ^\n"
                                                   "  Expected KEY, PRIMARY KEY, ')' or a comma after the column.\n");
    assert_error("DROP s;", "q.sql:1:6: Syntax Error: unexpected s\n"
                            "  DROP s;\n"
                            "       ^\n"
                            "  Expected CONNECTOR, STREAM or TABLE after DROP.\n");
    assert_error("SELECT 'a FROM s;", "q.sql:1:8: the string that begins here is not closed\n"
                                      "  SELECT 'a FROM s;\n"
                                      "         ^\n");
    assert_error("SELECT 'ä' ? FROM s;", "q.sql:1:12: Syntax Error: unexpected character '?'\n"
                                         "  SELECT 'ä' ? FROM s;\n"
                                         "             ^\n");
    assert_error("SELECT a FROM s WINDOW TUMBLING (SIZE 3 BOBS) GROUP BY a;",
                 "q.sql:1:41: Unknown time unit: 'BOBS'\n"
                 "  SELECT a FROM s WINDOW TUMBLING (SIZE 3 BOBS) GROUP BY a;\n"
                 "                                          ^\n"
                 "  Use MILLISECONDS, SECONDS, MINUTES, HOURS or DAYS.\n");
}

static void what_weir_does_not_run_is_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *sql;
        const char *message;
        uint32_t column;
    } cases[] = {
        {"SELECT * FROM a JOIN b ON a.x = b.x EMIT CHANGES;", "JOIN", 17},
        {"SELECT * FROM a LEFT OUTER JOIN b WITHIN 1 HOUR GRACE PERIOD 1 DAY ON a.x = b.x;", "JOIN", 17},
        {"SELECT x FROM a WINDOW SESSION (1 HOUR) GROUP BY x;", "WINDOW SESSION", 24},
        {"SELECT x FROM a GROUP BY x EMIT FINAL;", "EMIT FINAL", 33},
        {"SELECT TRANSFORM(a, x => x + 1) FROM s;", "a lambda function", 23},
        {"SELECT REDUCE(a, 0, (s, x) => s + x) FROM s;", "a lambda function", 28},
        {"SELECT a->* FROM s;", "struct->* in a select list", 11},
        {"CREATE STREAM s (h BYTES HEADER('k')) WITH (KAFKA_TOPIC='t');", "a HEADER column", 26},
        {"ALTER STREAM s ADD COLUMN x INT;", "ALTER", 1},
        {"CREATE TYPE t AS STRUCT<a INT>;", "CREATE TYPE", 1},
        {"create sink connector c with ('a'='b');", "CREATE SINK CONNECTOR", 1},
        {"PAUSE ALL;", "PAUSE", 1},
        {"ASSERT TOPIC t;", "ASSERT", 1},
        {"DEFINE a='b';", "DEFINE", 1},
        {"SELECT ${x} FROM s;", "a ${variable}", 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const sql_statement *statement;
        sql_error error;
        assert_false(parse(cases[i].sql, &statement, &error));
        assert_int_equal(error.code, WEIR_UNSUPPORTED);
        char message[128];
        snprintf(message, sizeof message, "%s is not supported by this version of weir", cases[i].message);
        assert_string_equal(error.message, message);
        assert_int_equal(error.column, cases[i].column);
    }
}

/* ---- scripts -------------------------------------------------------------------------------------------------------
 */

static void a_script_is_split_at_its_terminators(void **state) {
    (void)state;
    const weir_bytes script =
        weir_bytes_text(" -- first; not here\n;SET 'a;b'='c'; /* ; */\nSHOW `x;`\n --;\n STREAMS ; "
                        "LIST 'it''s;' -- rest");
    static const char *const texts[] = {"SET 'a;b'='c';", "SHOW `x;`\n --;\n STREAMS ;", "LIST 'it''s;'"};
    uint32_t at = 0;
    sql_piece piece;
    for (size_t i = 0; i < 3; i++) {
        assert_true(sql_split(script, &at, &piece));
        assert_int_equal(piece.size, strlen(texts[i]));
        assert_memory_equal(script.data + piece.offset, texts[i], piece.size);
        assert_int_equal(piece.terminated, i != 2);
    }
    assert_false(sql_split(script, &at, &piece));
    assert_int_equal(at, script.size);
}

static void positions_are_those_of_the_script(void **state) {
    (void)state;
    const weir_bytes script = weir_bytes_text("SHOW STREAMS;\n\nSELECT a\nFORM s;");
    uint32_t at = 0;
    sql_piece piece;
    assert_true(sql_split(script, &at, &piece) && sql_split(script, &at, &piece));
    const sql_statement *statement;
    sql_error error;
    assert_false(sql_parse(&arena, script, piece, &statement, &error));
    assert_int_equal(error.line, 4);
    assert_int_equal(error.column, 6); /* FORM is read as the alias of a, and s is what does not fit */
}

/* ---- robustness ----------------------------------------------------------------------------------------------------
 */

static const char *const samples[] = {
    "CREATE OR REPLACE STREAM IF NOT EXISTS s (a INT KEY, b DECIMAL(4,2), c ARRAY<STRUCT<x INT, `y` "
    "MAP<STRING,BYTES>>>) "
    "WITH (KAFKA_TOPIC='t', PARTITIONS=1, X=-1.5);",
    "CREATE TABLE t AS SELECT a, COUNT(*) AS n, CAST(SUM(CASE WHEN s >= 400 THEN 1 ELSE 0 END) AS DOUBLE) / 2 "
    "FROM c WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 10 SECONDS, GRACE PERIOD 0 SECONDS) WHERE a LIKE 'x%' ESCAPE '!' "
    "GROUP BY a HAVING COUNT(*) BETWEEN 1 AND 5 EMIT CHANGES;",
    "SELECT MAP('a':=1), STRUCT(f:=ARRAY[1,2.5,-3e4]), a->b[1], x IS NOT DISTINCT FROM y, NOT (a OR b) FROM `s` AS z "
    "WHERE k IN ('a', 'b') /* c */ LIMIT 7;",
    "INSERT INTO s (a, b) VALUES (1, 'it''s');",
    "EXPLAIN SELECT TRANSFORM(a, (x, y) => x) FROM a LEFT JOIN b WITHIN (1 HOUR, 2 DAYS) ON a.x = b.x EMIT FINAL;",
};

/* A tree or an error, and the error can be shown. */
static void survive(weir_bytes script) {
    uint32_t at = 0;
    sql_piece piece;
    while (sql_split(script, &at, &piece)) {
        const sql_statement *statement;
        sql_error error;
        const bool right = sql_parse(&arena, script, piece, &statement, &error);
        assert_int_equal(right, error.code == WEIR_OK);
        assert_int_equal(right, statement != NULL);
        if (!right) {
            assert_true(error.offset >= piece.offset && error.offset <= piece.offset + piece.size);
            weir_buffer_clear(&text);
            sql_error_print(&error, script, "f", &text);
        }
        weir_arena_reset(&arena);
    }
}

static void every_cut_gives_a_tree_or_an_error(void **state) {
    (void)state;
    for (size_t s = 0; s < sizeof samples / sizeof samples[0]; s++)
        for (size_t cut = 0; cut <= strlen(samples[s]); cut++) survive(weir_bytes_of(samples[s], cut));
}

static void random_mutations_give_a_tree_or_an_error(void **state) {
    (void)state;
    static const char *const pieces[] = {"(",  ")",       "'",    "`",  "SELECT", "CASE",  ",",  ";",
                                         "--", "/*",      "\xff", "\0", "AND",    "NULL",  "->", "=>",
                                         "<",  "STRUCT<", "9",    ".",  "FROM s", "WINDOW"};
    const char *given = getenv("WEIR_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20240917;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 4000; round++) {
        char mutated[2048];
        const char *sample = samples[round % (int)(sizeof samples / sizeof samples[0])];
        size_t size = strlen(sample);
        memcpy(mutated, sample, size);
        for (int change = 0; change < 1 + round % 4; change++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            const size_t place = (seed >> 33) % (size + 1);
            const char *piece = pieces[(seed >> 20) % (sizeof pieces / sizeof pieces[0])];
            const size_t length = piece[0] == 0 ? 1 : strlen(piece);
            const size_t cut = (seed >> 50) % 4 < size - place ? (seed >> 50) % 4 : size - place;
            memmove(mutated + place + length, mutated + place + cut, size - place - cut);
            memcpy(mutated + place, piece, length);
            size += length - cut;
        }
        survive(weir_bytes_of(mutated, size));
    }
}

/* SELECT <before xN> a <after xN> FROM s */
static bool nested(const char *before, const char *after, unsigned count, sql_error *error) {
    weir_buffer sql;
    weir_buffer_init(&sql, &account, 4u << 20);
    weir_buffer_append_text(&sql, "SELECT ");
    for (unsigned i = 0; i < count; i++) weir_buffer_append_text(&sql, before);
    weir_buffer_append_text(&sql, "a");
    for (unsigned i = 0; i < count; i++) weir_buffer_append_text(&sql, after);
    weir_buffer_append_text(&sql, " FROM s");
    const sql_statement *statement;
    weir_arena_reset(&arena);
    const bool right =
        sql_parse(&arena, weir_buffer_view(&sql), (sql_piece){0, (uint32_t)sql.size, false}, &statement, error);
    weir_buffer_deinit(&sql);
    return right;
}

static void nesting_is_bounded(void **state) {
    (void)state;
    sql_error error;
    assert_true(nested("ABS(", ")", SQL_DEPTH_MAX - 1, &error));
    assert_false(nested("ABS(", ")", SQL_DEPTH_MAX, &error));
    assert_int_equal(error.code, WEIR_INVALID);
    assert_true(nested("", " + 1", SQL_DEPTH_MAX - 1, &error));
    assert_false(nested("", " + 1", 50000, &error));
    assert_false(nested("NOT ", "", 50000, &error));
    assert_false(nested("(", ")", 50000, &error));
    assert_false(nested("- ", "", 50000, &error));
    assert_false(nested("CASE WHEN ", " THEN 1 END", 20000, &error));
    assert_false(nested("CAST(1 AS ARRAY<", ">)", 20000, &error));
    assert_true(nested("", " OR b", 5000, &error)); /* a chain is not nested */
    assert_true(nested("", ", b", 50000, &error));
}

static void size_and_memory_are_bounded(void **state) {
    (void)state;
    sql_error error;
    assert_false(nested("", ", bbbb", SQL_STATEMENT_BYTES_MAX / 6, &error));
    assert_non_null(strstr(error.message, "at most 1048576 are allowed"));
    weir_arena small;
    weir_arena_init(&small, &account, 256u << 10);
    const sql_statement *statement;
    weir_buffer sql;
    weir_buffer_init(&sql, &account, 1u << 20);
    weir_buffer_append_text(&sql, "SELECT a");
    for (int i = 0; i < 5000; i++) weir_buffer_append_text(&sql, ",ABS(a)");
    weir_buffer_append_text(&sql, " FROM s;");
    assert_false(
        sql_parse(&small, weir_buffer_view(&sql), (sql_piece){0, (uint32_t)sql.size, true}, &statement, &error));
    assert_int_equal(error.code, WEIR_NO_MEMORY);
    weir_buffer_deinit(&sql);
    weir_arena_deinit(&small);
}

/* Robustness only: the file's own structure is ignored, each JSON string that looks like SQL is tried. */
static void corpus_texts_do_no_harm(void **state) {
    (void)state;
    const char *folder = getenv("WEIR_SQL_CORPUS");
    DIR *directory = folder == NULL ? NULL : opendir(folder);
    if (directory == NULL) {
        print_message("skipped: WEIR_SQL_CORPUS names no folder\n");
        skip();
    }
    unsigned files = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = strstr(entry->d_name, ".json") ? fopen(path, "rb") : NULL;
        if (file == NULL) continue;
        static char content[8 << 20];
        const size_t size = fread(content, 1, sizeof content, file);
        fclose(file);
        for (size_t at = 0; at < size; at++) {
            if (content[at] != '"') continue;
            const size_t start = ++at;
            size_t length = 0;
            for (; at < size && content[at] != '"'; at++) {
                if (content[at] == '\\') at++;
                content[start + length++] = content[at] == 'n' && content[at - 1] == '\\' ? '\n' : content[at];
            }
            if (length > 6) survive(weir_bytes_of(content + start, length));
        }
        files++;
    }
    closedir(directory);
    print_message("%u files\n", files);
    assert_true(files > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_bind_as_in_ksqldb),
        cmocka_unit_test(literals_keep_their_text),
        cmocka_unit_test(names_are_upper_case_unless_quoted),
        cmocka_unit_test(a_stream_declaration_is_read_whole),
        cmocka_unit_test(a_query_is_read_whole),
        cmocka_unit_test(each_statement_has_its_kind),
        cmocka_unit_test(errors_say_where_and_what_was_expected),
        cmocka_unit_test(what_weir_does_not_run_is_refused_by_name),
        cmocka_unit_test(a_script_is_split_at_its_terminators),
        cmocka_unit_test(positions_are_those_of_the_script),
        cmocka_unit_test(every_cut_gives_a_tree_or_an_error),
        cmocka_unit_test(random_mutations_give_a_tree_or_an_error),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(size_and_memory_are_bounded),
        cmocka_unit_test(corpus_texts_do_no_harm),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
