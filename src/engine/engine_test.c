/* Goal: what SQL asks for is done once, told in ksqlDB's words, and is there again after every kind of end.
 * Method: scripts over a node of the real modules (broker, bus, flow) in a simulated world; their transcripts are
 * compared word by word. Then seeds: a node that dies at any of its disk operations while rows are inserted and
 * counted, and whose counts must be those of the inserts that it acknowledged. */
#include "engine/engine_test.h"

#include "base/trace.h"

#define CLICKS                                                                                                         \
    "CREATE STREAM clicks (page STRING KEY, bytes BIGINT) WITH (KAFKA_TOPIC='clicks', PARTITIONS=2, "                  \
    "VALUE_FORMAT='JSON');"
#define VIEWS                                                                                                          \
    "CREATE TABLE views AS SELECT page, COUNT(*) AS n, SUM(bytes) AS bytes FROM clicks GROUP BY page EMIT CHANGES;"

/* ---- the story of a table ---- */

static void a_table_is_made_filled_and_read(void **state) {
    (void)state;
    node n;
    node_begin(&n, 1);
    tell(&n, CLICKS VIEWS, "ok Stream created\nok Created query with ID CTAS_VIEWS_1\n");
    tell(&n,
         "INSERT INTO clicks VALUES ('/a', 10); INSERT INTO clicks (bytes, page) VALUES (5, '/b');"
         "INSERT INTO clicks (page, bytes) VALUES ('/a', 1 + 1);",
         "ok\nok\nok\n");
    node_wait_rows(&n, "CTAS_VIEWS_1", 3);
    tell(&n, "SELECT * FROM views WHERE page = '/a';", "# PAGE, N, BYTES\n/a, 2, 12\nend\nok\n");
    tell(&n, "SELECT n, page FROM views WHERE page IN ('/b', '/none', '/a');", "# N, PAGE\n1, /b\n2, /a\nend\nok\n");
    tell(&n, "SELECT n FROM views WHERE page IN ('/a', '/a', '/b', '/a');", "# N\n2\n1\nend\nok\n");
    tell(&n, "SELECT page FROM views WHERE bytes > 6;", "# PAGE\n/a\nend\nok\n");
    tell(&n, "SELECT page FROM views WHERE page = '/none';", "# PAGE\nend\nok\n");
    tell(&n, "SELECT page, bytes FROM clicks WHERE page = '/a' EMIT CHANGES LIMIT 2;",
         "# PAGE, BYTES\n/a, 10\n/a, 2\nend\nok\n");
    engine_query_info info;
    assert_true(engine_query_find(n.engine, "CTAS_VIEWS_1", &info));
    assert_string_equal(info.sink, "VIEWS");
    assert_string_equal(info.sink_topic, "VIEWS");
    assert_string_equal(info.kind, "PERSISTENT");
    assert_int_equal(info.stats.groups, 2);
    assert_false(engine_query_at(n.engine, 1, &info)); /* the push query has gone */
    node_for_ms(&n, 3000);
    assert_true(engine_query_find(n.engine, "CTAS_VIEWS_1", &info));
    assert_true(info.rows_per_second > 0.5 && info.rows_per_second <= 1.0);
    node_for_ms(&n, 3000);
    assert_true(engine_query_find(n.engine, "CTAS_VIEWS_1", &info));
    assert_true(info.rows_per_second == 0);
    node_end(&n);
}

static void a_windowed_table_is_read_by_its_windows(void **state) {
    (void)state;
    node n;
    node_begin(&n, 2);
    tell(&n,
         CLICKS "CREATE TABLE views WITH (VALUE_FORMAT='JSON') AS SELECT page, COUNT(*) AS n FROM clicks "
                "WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY page EMIT CHANGES;"
                "INSERT INTO clicks (ROWTIME, page, bytes) VALUES (1000, '/a', 1);"
                "INSERT INTO clicks (ROWTIME, page, bytes) VALUES (9999, '/a', 1);"
                "INSERT INTO clicks (ROWTIME, page, bytes) VALUES (10000, '/a', 1);",
         "ok Stream created\nok Created query with ID CTAS_VIEWS_1\nok\nok\nok\n");
    node_wait_rows(&n, "CTAS_VIEWS_1", 3);
    tell(&n, "SELECT WINDOWSTART, WINDOWEND, n FROM views WHERE page = '/a';",
         "# WINDOWSTART, WINDOWEND, N\n0, 10000, 2\n10000, 20000, 1\nend\nok\n");
    tell(&n, "SELECT n FROM views WHERE page = '/a' AND WINDOWSTART >= 5000;", "# N\n1\nend\nok\n");
    node_end(&n);
}

static void queries_feed_queries(void **state) {
    (void)state;
    node n;
    node_begin(&n, 3);
    tell(&n,
         CLICKS "CREATE STREAM large AS SELECT page, bytes * 2 AS twice FROM clicks WHERE bytes > 10 EMIT CHANGES;"
                "CREATE STREAM all_of_them (page STRING KEY, twice BIGINT) WITH (KAFKA_TOPIC='all', PARTITIONS=1, "
                "VALUE_FORMAT='JSON');"
                "INSERT INTO all_of_them SELECT * FROM large EMIT CHANGES;"
                "INSERT INTO all_of_them WITH (QUERY_ID='small') SELECT page, bytes AS twice FROM clicks WHERE "
                "bytes <= 10 EMIT CHANGES;"
                "INSERT INTO clicks VALUES ('/a', 11); INSERT INTO clicks VALUES ('/b', 10);"
                "SELECT twice FROM all_of_them WHERE page = '/a' EMIT CHANGES LIMIT 1;"
                "SELECT twice FROM all_of_them WHERE page = '/b' EMIT CHANGES LIMIT 1;",
         "ok Stream created\nok Created query with ID CSAS_LARGE_1\nok Stream created\n"
         "ok Created query with ID INSERTQUERY_3\nok Created query with ID SMALL\nok\nok\n"
         "# TWICE\n22\nend\nok\n# TWICE\n10\nend\nok\n");
    node_end(&n);
}

/* ---- the session ---- */

static void properties_hold_for_the_request(void **state) {
    (void)state;
    node n;
    node_begin(&n, 4);
    tell(&n, CLICKS "INSERT INTO clicks VALUES ('/old', 1);", "ok Stream created\nok\n");
    script latest;
    script_begin(&latest, &n, "SET 'auto.offset.reset' = 'latest'; SELECT page FROM clicks EMIT CHANGES LIMIT 1;");
    node_for_ms(&n, 1000);
    tell(&n, "INSERT INTO clicks VALUES ('/new', 1); SELECT page FROM clicks EMIT CHANGES LIMIT 1;",
         "ok\n# PAGE\n/old\nend\nok\n");
    script_wait(&latest);
    assert_string_equal(
        weir_buffer_text(&latest.transcript),
        "ok Successfully changed local property 'auto.offset.reset' to 'latest'. Use the UNSET command to "
        "revert your change.\n# PAGE\n/new\nend\nok\n");
    script_deinit(&latest);
    tell(&n, "SET 'a' = 'b'; UNSET 'a'; UNSET 'a'; SET 'c' = 'd';",
         "ok Successfully changed local property 'a' to 'b'. Use the UNSET command to revert your change.\n"
         "ok Successfully unset local property 'a' (value was 'b').\n"
         "NOT_FOUND Cannot unset local property 'a' which was never set in the first place.\n");
    node_end(&n);
}

static void an_error_ends_the_script_and_what_was_before_stays(void **state) {
    (void)state;
    node n;
    node_begin(&n, 5);
    script s;
    script_begin(&s, &n, CLICKS "CREATE STREAM copy AS SELECT nothing FROM clicks;" VIEWS);
    script_wait(&s);
    assert_int_equal(s.status.code, WEIR_INVALID);
    const char *told = weir_buffer_text(&s.transcript);
    assert_ptr_equal(strstr(told, "ok Stream created\nINVALID "), told);
    assert_non_null(strstr(told, "NOTHING"));
    script_deinit(&s);
    const engine_request_events events = {script_answer, script_done, &s};
    s = (script){.node = &n};
    weir_buffer_init(&s.transcript, &n.account, NODE_TRANSCRIPT_MAX);
    engine_execute(n.engine, "\n  DROP STREAM clics;", "my.sql", NULL, 0, &events, NULL);
    script_wait(&s);
    assert_string_equal(weir_buffer_text(&s.transcript), "NOT_FOUND my.sql:2:15: Stream CLICS does not exist\n");
    script_deinit(&s);
    assert_non_null(sql_catalog_source(engine_catalog(n.engine), "CLICKS"));
    assert_null(sql_catalog_source(engine_catalog(n.engine), "VIEWS"));
    tell(&n, "CREATE STREAM unmade (a STRING) WITH (KAFKA_TOPIC='none', VALUE_FORMAT='JSON');",
         "NOT_FOUND Topic 'none' does not exist. If you want to create a new topic for the stream please re-run the "
         "statement providing the required 'PARTITIONS' configuration in the WITH clause (and optionally "
         "'REPLICAS').\n");
    tell(&n, "CREATE STREAM other (a STRING) WITH (KAFKA_TOPIC='clicks', PARTITIONS=3, VALUE_FORMAT='JSON');",
         "INVALID A Kafka topic with the name 'clicks' already exists, with different partition/replica configuration "
         "than required. KSQL expects 3 partitions (topic has 2). Leave PARTITIONS out to use the topic as it is.\n");
    node_end(&n);
}

/* ---- ends of rows ---- */

static void rows_end_when_the_client_has_enough_or_goes(void **state) {
    (void)state;
    node n;
    node_begin(&n, 6);
    tell(&n, CLICKS, "ok Stream created\n");
    script s;
    script_begin(&s, &n, "SELECT page FROM clicks EMIT CHANGES; SHOW STREAMS;");
    s.rows_wanted = 2;
    node_for_ms(&n, 200);
    engine_query_info info;
    assert_true(engine_query_at(n.engine, 0, &info));
    assert_string_equal(info.kind, "PUSH");
    assert_string_equal(info.id, s.query_id);
    tell(&n,
         "INSERT INTO clicks VALUES ('/1', 1); INSERT INTO clicks VALUES ('/1', 1); INSERT INTO clicks VALUES "
         "('/1', 1);",
         "ok\nok\nok\n");
    script_wait(&s);
    assert_string_equal(weir_buffer_text(&s.transcript), "# PAGE\n/1\n/1\nend\nok\nok\n");
    script_deinit(&s);

    script_begin(&s, &n, "SELECT bytes FROM clicks WHERE bytes > 1 EMIT CHANGES; SHOW STREAMS;");
    node_for_ms(&n, 200);
    engine_request_cancel(s.request);
    script_wait(&s);
    assert_int_equal(s.status.code, WEIR_CANCELLED);
    assert_string_equal(weir_buffer_text(&s.transcript),
                        "# BYTES\nend CANCELLED the query was given up\nCANCELLED the query was given up\n");
    script_deinit(&s);
    tell(&n, "SELECT page FROM clicks EMIT CHANGES LIMIT 0;", "# PAGE\nend\nok\n");
    assert_false(engine_query_at(n.engine, 0, &info));

    script_begin(&s, &n, "SELECT page FROM clicks EMIT CHANGES;"); /* ended by the engine's own end */
    node_for_ms(&n, 200);
    node_close(&n);
    assert_int_equal(s.status.code, WEIR_CANCELLED);
    script_deinit(&s);
    node_forget(&n);
}

/* The rows of a changing table carry its keys in front, whether they are selected or not; the answer has what was
 * selected, in that order. */
static void a_push_query_shows_what_is_selected(void **state) {
    (void)state;
    node n;
    node_begin(&n, 17);
    tell(&n, CLICKS VIEWS "INSERT INTO clicks VALUES ('/a', 10);",
         "ok Stream created\nok Created query with ID CTAS_VIEWS_1\nok\n");
    node_wait_rows(&n, "CTAS_VIEWS_1", 1);
    tell(&n, "INSERT INTO clicks VALUES ('/a', 2);", "ok\n");
    node_wait_rows(&n, "CTAS_VIEWS_1", 2);
    static const char *const answers[][2] = {
        {"SELECT n FROM views EMIT CHANGES LIMIT 2;", "# N\n1\n2\nend\nok\n"},
        {"SELECT n, bytes FROM views EMIT CHANGES LIMIT 2;", "# N, BYTES\n1, 10\n2, 12\nend\nok\n"},
        {"SELECT bytes, page FROM views EMIT CHANGES LIMIT 2;", "# BYTES, PAGE\n10, /a\n12, /a\nend\nok\n"},
        {"SELECT page AS p, bytes / n AS each FROM views EMIT CHANGES LIMIT 2;", "# P, EACH\n/a, 10\n/a, 6\nend\nok\n"},
        {"SELECT * FROM views EMIT CHANGES LIMIT 2;", "# PAGE, N, BYTES\n/a, 1, 10\n/a, 2, 12\nend\nok\n"},
        {"SELECT COUNT(*) AS many FROM clicks GROUP BY page EMIT CHANGES LIMIT 1;", "# MANY\n2\nend\nok\n"},
        {"SELECT bytes + 1 AS more, COUNT(*) AS many FROM clicks WHERE bytes = 2 GROUP BY bytes EMIT CHANGES LIMIT 1;",
         "# MORE, MANY\n3, 1\nend\nok\n"},
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) tell(&n, answers[i][0], answers[i][1]);
    node_end(&n);
}

/* What one push query repartitions is no other's, and goes with it. */
static void grouped_push_queries_leave_nothing(void **state) {
    (void)state;
    static const char grouped[] = "SELECT bytes, COUNT(*) AS n FROM clicks GROUP BY bytes EMIT CHANGES;";
    node n;
    node_begin(&n, 18);
    tell(&n,
         CLICKS "INSERT INTO clicks VALUES ('/a', 1); INSERT INTO clicks VALUES ('/b', 2);"
                "INSERT INTO clicks VALUES ('/c', 3);",
         "ok Stream created\nok\nok\nok\n");
    script s[2];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++) {
            script_begin(&s[i], &n, grouped);
            s[i].rows_wanted = 3 + (round == 2); /* in the last round they do not end by themselves */
        }
        node_for_ms(&n, 2000);
        assert_int_equal(node_topics(&n, "repartition"), round == 2 ? 2 : 0);
        for (int i = 0; i < 2; i++) {
            if (round == 2) engine_request_cancel(s[i].request);
            script_wait(&s[i]);
            assert_int_equal(s[i].rows, 3); /* each group once, at 1 */
            assert_null(strstr(weir_buffer_text(&s[i].transcript), ", 2\n"));
            script_deinit(&s[i]);
        }
        assert_int_equal(node_topics(&n, "repartition"), 0);
    }
    /* After a crash the topic of a query that did not end is there still, but is nobody's. */
    script_begin(&s[0], &n, grouped);
    node_for_ms(&n, 2000);
    node_crash(&n, IO_SIM_KILL);
    script_deinit(&s[0]);
    tell(&n, "SELECT bytes, COUNT(*) AS n FROM clicks WHERE bytes = 2 GROUP BY bytes EMIT CHANGES LIMIT 1;",
         "# BYTES, N\n2, 1\nend\nok\n");
    node_end(&n);
}

static void a_topic_is_printed(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        node n;
        node_begin(&n, seed);
        tell(&n,
             "CREATE STREAM s (k STRING KEY, v BIGINT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');"
             "INSERT INTO s (ROWTIME, k, v) VALUES (0, 'a', 1); INSERT INTO s (ROWTIME, v) VALUES (1, 2);"
             "INSERT INTO s (ROWTIME, k, v) VALUES (2, 'c', 3);"
             "PRINT s FROM BEGINNING LIMIT 2; PRINT s FROM BEGINNING INTERVAL 2 LIMIT 2; PRINT s LIMIT 0;",
             "ok Stream created\nok\nok\nok\n"
             "# LINE\nrowtime: 1970-01-01T00:00:00.000Z, key: a, value: {\"V\":1}, partition: 0\n"
             "rowtime: 1970-01-01T00:00:00.001Z, key: <null>, value: {\"V\":2}, partition: 0\nend\nok\n"
             "# LINE\nrowtime: 1970-01-01T00:00:00.000Z, key: a, value: {\"V\":1}, partition: 0\n"
             "rowtime: 1970-01-01T00:00:00.002Z, key: c, value: {\"V\":3}, partition: 0\nend\nok\n"
             "# LINE\nend\nok\n");
        script s;
        script_begin(&s, &n, "PRINT s;");
        node_for_ms(&n, (int64_t)io_sim_draw(n.sim, 3));
        if (seed % 2) node_for_ms(&n, 100);
        s.rows_wanted = seed % 3 == 0;
        if (s.rows_wanted)
            tell(&n, "INSERT INTO s VALUES ('late', 1);", "ok\n");
        else
            engine_request_cancel(s.request);
        script_wait(&s);
        assert_int_equal(s.status.code, s.rows_wanted ? WEIR_OK : WEIR_CANCELLED);
        script_deinit(&s);
        script_begin(&s, &n, "PRINT s FROM BEGINNING LIMIT 3;");
        s.is_full = true;
        node_for_ms(&n, 500);
        assert_false(s.is_done);
        assert_int_equal(s.rows, 0);
        s.is_full = false;
        engine_request_wake(s.request);
        script_wait(&s);
        assert_int_equal(s.rows, 3);
        script_deinit(&s);
        script_begin(&s, &n, "PRINT nothing;");
        script_wait(&s);
        assert_int_equal(s.status.code, WEIR_NOT_FOUND);
        script_deinit(&s);
        node_end(&n);
    }
}

/* ---- restart ---- */

static void a_restart_runs_the_same_queries_and_counts_on(void **state) {
    (void)state;
    node n;
    node_begin(&n, 7);
    tell(
        &n,
        CLICKS VIEWS "CREATE STREAM copy AS SELECT * FROM clicks; TERMINATE CSAS_COPY_2; SET 'x' = 'y';"
                     "INSERT INTO clicks VALUES ('/a', 10);",
        "ok Stream created\nok Created query with ID CTAS_VIEWS_1\nok Created query with ID CSAS_COPY_2\n"
        "ok Query terminated.\nok Successfully changed local property 'x' to 'y'. Use the UNSET command to revert your "
        "change.\nok\n");
    node_wait_rows(&n, "CTAS_VIEWS_1", 1);
    weir_buffer before, after;
    weir_buffer_init(&before, &n.account, 1 << 16);
    weir_buffer_init(&after, &n.account, 1 << 16);
    engine_query_info info;
    assert_true(engine_query_at(n.engine, 0, &info));
    flow_topology_print(info.topology, &before);
    for (int round = 2; round < 6; round++) {
        node_restart(&n);
        assert_true(engine_query_at(n.engine, 0, &info));
        weir_buffer_clear(&after);
        flow_topology_print(info.topology, &after);
        assert_string_equal(weir_buffer_text(&before), weir_buffer_text(&after)); /* labels and all */
        assert_false(engine_query_at(n.engine, 1, &info));
        tell(&n, "INSERT INTO clicks VALUES ('/a', 1);", "ok\n");
        node_wait_rows(&n, "CTAS_VIEWS_1", 1);
        char expected[64];
        snprintf(expected, sizeof expected, "# N, BYTES\n%d, %d\nend\nok\n", round, round + 9);
        tell(&n, "SELECT n, bytes FROM views WHERE page = '/a';", expected);
    }
    tell(&n, "CREATE STREAM later AS SELECT * FROM copy;", "ok Created query with ID CSAS_LATER_4\n");
    weir_buffer_deinit(&before);
    weir_buffer_deinit(&after);
    node_end(&n);
}

/* A pull query right after the start waits for the table to be restored. */
static void a_pull_query_waits_for_its_table(void **state) {
    (void)state;
    node n;
    node_begin(&n, 8);
    tell(&n, CLICKS VIEWS "SELECT * FROM views; INSERT INTO clicks VALUES ('/a', 10);",
         "ok Stream created\nok Created query with ID CTAS_VIEWS_1\n# PAGE, N, BYTES\nend\nok\nok\n");
    node_wait_rows(&n, "CTAS_VIEWS_1", 1);
    node_restart(&n);
    tell(&n, "SELECT * FROM views;", "# PAGE, N, BYTES\n/a, 1, 10\nend\nok\n");
    script waiting;
    node_restart(&n);
    script_begin(&waiting, &n, "SELECT * FROM views;");
    engine_request_cancel(waiting.request);
    script_wait(&waiting);
    assert_int_equal(waiting.status.code, WEIR_CANCELLED);
    script_deinit(&waiting);
    node_end(&n);
}

/* A statement is answered once its query's topics are there: the next one may read them. */
static void a_push_query_right_after_its_table_finds_the_topic(void **state) {
    (void)state;
    node n;
    node_begin(&n, 9);
    tell(&n,
         CLICKS "INSERT INTO clicks VALUES ('/a', 10); SET 'auto.offset.reset' = 'earliest'; " VIEWS
                "SELECT page, n FROM views EMIT CHANGES LIMIT 1;",
         "ok Stream created\nok\n"
         "ok Successfully changed local property 'auto.offset.reset' to 'earliest'. Use the UNSET command to revert "
         "your "
         "change.\n"
         "ok Created query with ID CTAS_VIEWS_1\n# PAGE, N\n/a, 1\nend\nok\n");
    node_end(&n);
}

static void a_record_that_cannot_be_read_stops_the_start(void **state) {
    (void)state;
    static const char *const records[][2] = {
        {"nonsense", "CORRUPT: "},
        {"{\"statement\":\"\",\"properties\":{},\"plan\":{}}", "it has no member \"version\""},
        {"{\"statement\":\"\",\"properties\":{},\"plan\":{},\"version\":2}",
         "it has version 2 and this weir reads up to 1"},
        {"{\"statement\":\"\",\"properties\":{},\"version\":1}", "it has no member \"plan\""},
        {"{\"statement\":\"\",\"properties\":{},\"plan\":{},\"version\":1}", ""}};
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        node n;
        node_begin(&n, 100 + i);
        tell(&n, CLICKS, "ok Stream created\n");
        node_write(&n, "_confluent-ksql-default__command_topic", records[i][0]);
        script s; /* the writer notices that it is not alone */
        script_begin(&s, &n, "DROP STREAM clicks;");
        script_wait(&s);
        assert_int_equal(s.status.code, WEIR_FENCED);
        script_deinit(&s);
        node_close_engine(&n);
        node_open_engine(&n);
        node_until(&n, &n.engine_ready);
        assert_int_not_equal(n.engine_status.code, WEIR_OK);
        assert_non_null(
            strstr(n.engine_status.text, "_confluent-ksql-default__command_topic: the command at offset 1 "));
        if (i > 0) assert_non_null(strstr(n.engine_status.text, records[i][1]));
        script_begin(&s, &n, "SHOW STREAMS;");
        script_wait(&s);
        assert_int_equal(s.status.code, WEIR_BUSY);
        script_deinit(&s);
        node_end(&n);
    }
}

/* ---- drop and terminate ---- */

static void drop_and_terminate_follow_their_rules(void **state) {
    (void)state;
    node n;
    node_begin(&n, 9);
    tell(&n, CLICKS "CREATE TABLE views AS SELECT bytes, COUNT(*) AS n FROM clicks GROUP BY bytes EMIT CHANGES;",
         "ok Stream created\nok Created query with ID CTAS_VIEWS_1\n");
    tell(&n, "INSERT INTO clicks VALUES ('/a', 1);", "ok\n");
    node_wait_rows(&n, "CTAS_VIEWS_1", 1);
    script s;
    script_begin(&s, &n, "DROP STREAM clicks;");
    script_wait(&s);
    assert_int_equal(s.status.code, WEIR_REFUSED);
    assert_non_null(strstr(s.status.text, "CTAS_VIEWS_1"));
    script_deinit(&s);
    assert_int_equal(node_topics(&n, "CTAS_VIEWS_1"), 2); /* repartition and changelog */
    tell(&n, "TERMINATE CTAS_VIEWS_1;", "ok Query terminated.\n");
    assert_int_equal(node_topics(&n, "CTAS_VIEWS_1"), 0);
    io_file_info found;
    assert_int_equal(io_path_info(n.world->files, "data/state/CTAS_VIEWS_1", &found).code, WEIR_NOT_FOUND);
    script_begin(&s, &n, "SELECT * FROM views;");
    script_wait(&s);
    assert_int_equal(s.status.code, WEIR_INVALID);
    script_deinit(&s);
    tell(&n, "TERMINATE CTAS_VIEWS_1;", "NOT_FOUND Unknown queryId: CTAS_VIEWS_1\n");
    tell(&n, "DROP STREAM clicks;", "ok Source `CLICKS` (topic: clicks) was dropped.\n");
    assert_non_null(broker_topic_find(n.broker, weir_bytes_text("clicks")));
    tell(&n, "DROP TABLE views DELETE TOPIC;", "ok Source `VIEWS` (topic: VIEWS) was dropped.\n");
    assert_int_equal(node_topics(&n, "VIEWS"), 0);
    /* A drop ends the query that made the thing. */
    tell(&n,
         "CREATE STREAM clicks (page STRING KEY, bytes BIGINT) WITH (KAFKA_TOPIC='clicks', VALUE_FORMAT='JSON');"
         "CREATE STREAM copy AS SELECT * FROM clicks; DROP STREAM copy DELETE TOPIC; DROP STREAM IF EXISTS copy;",
         "ok Stream created\nok Created query with ID CSAS_COPY_6\nok Source `COPY` (topic: COPY) was dropped.\n"
         "ok Stream COPY does not exist\n");
    engine_query_info info;
    assert_false(engine_query_at(n.engine, 0, &info));
    tell(&n, "CREATE STREAM a AS SELECT * FROM clicks; CREATE STREAM b AS SELECT * FROM clicks; TERMINATE ALL;",
         "ok Created query with ID CSAS_A_8\nok Created query with ID CSAS_B_9\nok Query terminated.\n");
    assert_false(engine_query_at(n.engine, 0, &info));
    node_restart(&n);
    assert_false(engine_query_at(n.engine, 0, &info));
    assert_non_null(sql_catalog_source(engine_catalog(n.engine), "A"));
    assert_null(sql_catalog_source(engine_catalog(n.engine), "VIEWS"));
    node_end(&n);
}

static void write_lines(node *n, const char *text) {
    static uint64_t at;
    io_file *file;
    if (strstr(text, "first") == text) at = 0;
    assert_int_equal(io_open(n->world->files, "log", IO_OPEN_WRITE | IO_OPEN_CREATE, &file).code, WEIR_OK);
    const weir_bytes part = weir_bytes_text(text);
    assert_int_equal(io_write_at(n->world->files, file, at, &part, 1).code, WEIR_OK);
    assert_int_equal(io_sync(n->world->files, file).code, WEIR_OK);
    assert_int_equal(io_sync_directory(n->world->files, "/").code, WEIR_OK);
    io_close(n->world->files, file);
    at += part.size;
}

static void connectors_start_stop_and_are_forgotten(void **state) {
    (void)state;
    node n;
    node_begin(&n, 10);
    tell(&n, "CREATE SOURCE CONNECTOR c WITH ('connector'='nothing', 'topic'='lines');",
         "INVALID 'connector' = 'nothing': no such source connector; there are: file\n");
    write_lines(&n, "first\nsecond\n");
    tell(&n,
         "CREATE STREAM lines (line STRING) WITH (KAFKA_TOPIC='lines', PARTITIONS=1, VALUE_FORMAT='KAFKA');"
         "CREATE SOURCE CONNECTOR c WITH ('connector'='file', 'path'='log', 'topic'='lines');"
         "SELECT * FROM lines EMIT CHANGES LIMIT 2;",
         "ok Stream created\nok Created connector C\n# LINE\nfirst\nsecond\nend\nok\n");
    engine_connector_info info;
    assert_true(engine_connector_at(n.engine, 0, &info));
    assert_string_equal(info.name, "C");
    assert_string_equal(info.topic, "lines");
    assert_string_equal(info.source->name, "file");
    assert_int_equal(info.stats.records, 2);
    node_restart(&n);
    write_lines(&n, "third\n");
    tell(&n, "SELECT * FROM lines EMIT CHANGES LIMIT 3;", "# LINE\nfirst\nsecond\nthird\nend\nok\n");
    assert_true(engine_connector_at(n.engine, 0, &info));
    assert_int_equal(info.stats.records, 1);
    tell(&n, "DROP CONNECTOR c; DROP CONNECTOR IF EXISTS c;",
         "ok Dropped connector \"C\"\nok Connector C does not exist.\n");
    assert_false(engine_connector_at(n.engine, 0, &info));
    assert_int_equal(node_topics(&n, "positions"), 0);
    node_restart(&n);
    assert_false(engine_connector_at(n.engine, 0, &info));
    /* Its namesake begins anew. */
    tell(&n,
         "CREATE SOURCE CONNECTOR c WITH ('connector'='file', 'path'='log', 'topic'='lines');"
         "SELECT * FROM lines EMIT CHANGES LIMIT 6;",
         "ok Created connector C\n# LINE\nfirst\nsecond\nthird\nfirst\nsecond\nthird\nend\nok\n");
    node_end(&n);
}

/* ---- many at a time ---- */

static void commands_take_turns(void **state) {
    (void)state;
    enum { SCRIPTS = 20 };
    for (uint64_t seed = 1; seed <= 5; seed++) {
        node n;
        script scripts[SCRIPTS];
        node_begin(&n, seed);
        tell(&n, CLICKS, "ok Stream created\n");
        for (int i = 0; i < SCRIPTS; i++) {
            char text[512];
            snprintf(text, sizeof text,
                     "CREATE STREAM s%d AS SELECT * FROM clicks; INSERT INTO clicks VALUES ('/', 1);"
                     "CREATE STREAM t%d AS SELECT * FROM s%d; SHOW STREAMS;",
                     i, i, i);
            script_begin(&scripts[i], &n, text);
        }
        engine_request_cancel(scripts[3].request); /* before and while it waits for its turn */
        node_for_ms(&n, 1);
        engine_request *late = scripts[SCRIPTS - 1].request;
        if (late) engine_request_cancel(late);
        bool taken[2 * SCRIPTS + 1] = {false};
        int queries = 0;
        for (int i = 0; i < SCRIPTS; i++) {
            script_wait(&scripts[i]);
            const bool may_be_cancelled = i == 3 || i == SCRIPTS - 1;
            assert_true(scripts[i].status.code == WEIR_OK ||
                        (may_be_cancelled && scripts[i].status.code == WEIR_CANCELLED));
            for (const char *at = weir_buffer_text(&scripts[i].transcript); (at = strstr(at, "CSAS_")) != NULL; at++) {
                int number = 0;
                assert_int_equal(sscanf(at, "CSAS_%*[ST]%*d_%d", &number), 1);
                assert_in_range(number, 1, 2 * SCRIPTS);
                assert_false(taken[number]);
                taken[number] = true;
                queries++;
            }
            script_deinit(&scripts[i]);
        }
        for (int i = 1; i <= queries; i++) assert_true(taken[i]);
        engine_query_info info;
        assert_true(engine_query_at(n.engine, (size_t)queries - 1, &info));
        assert_false(engine_query_at(n.engine, (size_t)queries, &info));
        node_restart(&n);
        assert_true(engine_query_at(n.engine, (size_t)queries - 1, &info));
        assert_false(engine_query_at(n.engine, (size_t)queries, &info));
        node_end(&n);
    }
}

/* ---- failures ---- */

static bool has_failed(void *arg) {
    engine_query_info info;
    return engine_query_at(((node *)arg)->engine, 0, &info) && info.stats.state == FLOW_FAILED;
}

static void a_failed_query_starts_again(void **state) {
    (void)state;
    node n;
    node_begin(&n, 11);
    tell(&n, CLICKS VIEWS "INSERT INTO clicks VALUES ('/a', 1);",
         "ok Stream created\nok Created query with ID CTAS_VIEWS_1\nok\n");
    node_wait_rows(&n, "CTAS_VIEWS_1", 1);
    node_delete_topic(&n, "clicks");
    assert_int_equal(io_sim_run(n.sim, has_failed, &n, NODE_STEPS_MAX), IO_SIM_DONE);
    engine_query_info info;
    assert_true(engine_query_at(n.engine, 0, &info));
    assert_non_null(strstr(info.stats.last_error.text, "clicks"));
    assert_int_equal(info.stats.rows_in, 1); /* of the runs before */
    node_for_ms(&n, 2000);
    node_make_topic(&n, "clicks", 2);
    tell(&n, "INSERT INTO clicks VALUES ('/a', 1);", "ok\n");
    node_wait_rows(&n, "CTAS_VIEWS_1", 2);
    tell(&n, "SELECT * FROM views;", "# PAGE, N, BYTES\n/a, 2, 2\nend\nok\n");
    node_delete_topic(&n, "clicks");
    assert_int_equal(io_sim_run(n.sim, has_failed, &n, NODE_STEPS_MAX), IO_SIM_DONE);
    tell(&n, "TERMINATE CTAS_VIEWS_1;", "ok Query terminated.\n"); /* also between two tries */
    node_end(&n);
}

/* ---- a node that dies ---- */

/* What the statements acknowledged; `perhaps` are the inserts that were not answered. */
typedef struct ledger {
    uint64_t inserts, perhaps;
    bool has_extra; /* table EXTRA, its query and its topic, made and dropped again and again under one name */
    bool extra_is_known;
} ledger;

/* How many rows the topic has: what the table's counts must add up to. */
static uint64_t rows_of_topic(node *n, const char *topic) {
    uint64_t rows = 0;
    log_partition *log;
    for (int32_t p = 0; (log = broker_partition(n->broker, weir_bytes_text(topic), p)) != NULL; p++)
        rows += (uint64_t)log_high_watermark(log);
    return rows;
}

/* The table's counts and sums, added up. */
static void pull_totals(node *n, uint64_t *rows, uint64_t *bytes) {
    script s;
    script_begin(&s, n, "SELECT n, bytes FROM views;");
    script_wait(&s);
    assert_string_equal(s.status.text, "");
    *rows = *bytes = 0;
    char *saved = NULL;
    char *copy = weir_strdup(&n->account, weir_buffer_text(&s.transcript));
    for (char *line = strtok_r(copy, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved)) {
        unsigned long long count, sum;
        if (sscanf(line, "%llu, %llu", &count, &sum) == 2) *rows += count, *bytes += sum;
    }
    weir_free(&n->account, copy);
    script_deinit(&s);
}

static void check_totals(node *n, const ledger *book) {
    const uint64_t expected = rows_of_topic(n, "clicks");
    assert_in_range(expected, book->inserts, book->inserts + book->perhaps);
    uint64_t rows = 0, bytes = 0;
    for (int i = 0; i < 200 && rows < expected; i++) {
        node_for_ms(n, 50);
        pull_totals(n, &rows, &bytes);
        assert_true(rows <= expected);
    }
    assert_int_equal(rows, expected);
    assert_int_equal(bytes, 3 * expected);
}

static void check_extra(node *n, ledger *book) {
    const bool has_extra = sql_catalog_source(engine_catalog(n->engine), "EXTRA") != NULL;
    engine_query_info info;
    assert_int_equal(engine_query_at(n->engine, 1, &info), has_extra);
    if (has_extra) assert_string_equal(info.sink, "EXTRA");
    if (book->extra_is_known) assert_int_equal(has_extra, book->has_extra);
    if (!has_extra) {
        node_for_ms(n, 500); /* what a crash left is removed behind the start */
        assert_int_equal(node_topics(n, "CTAS_EXTRA"), 0);
    }
    book->has_extra = has_extra;
    book->extra_is_known = true;
}

/* One statement; false when the node died before it was answered well. */
static bool live_a_little(node *n, ledger *book) {
    char text[256];
    const bool is_insert = io_sim_draw(n->sim, 8) > 0;
    if (is_insert)
        snprintf(text, sizeof text, "INSERT INTO clicks VALUES ('/%llu', 3);",
                 (unsigned long long)io_sim_draw(n->sim, 5));
    else
        snprintf(text, sizeof text, "%s",
                 book->has_extra ? "DROP TABLE extra DELETE TOPIC;"
                                 : "CREATE TABLE extra AS SELECT bytes, COUNT(*) AS n FROM clicks GROUP BY bytes "
                                   "EMIT CHANGES;");
    script s;
    script_begin(&s, n, text);
    script_wait(&s);
    const bool is_well = s.status.code == WEIR_OK;
    if (!is_well) assert_true(io_sim_is_crashed(n->sim));
    script_deinit(&s);
    if (is_insert && is_well) book->inserts++;
    if (is_insert && !is_well) book->perhaps++;
    if (!is_insert && is_well) book->has_extra = !book->has_extra;
    if (!is_insert && !is_well) book->extra_is_known = false;
    if (io_sim_draw(n->sim, 3) == 0) node_for_ms(n, (int64_t)io_sim_draw(n->sim, 300));
    return is_well;
}

static void counts_are_exact_wherever_the_node_dies(void **state) {
    (void)state;
    enum { SEEDS = 60, LIVES = 4 };
    uint64_t crashes = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        node n;
        node_begin(&n, 1000 + seed);
        ledger book = {.extra_is_known = true};
        tell(&n, CLICKS VIEWS, "ok Stream created\nok Created query with ID CTAS_VIEWS_1\n");
        for (int life = 0; life < LIVES; life++) {
            io_sim_crash_at(n.sim, io_sim_disk_operations(n.sim) + 1 + io_sim_draw(n.sim, 120));
            for (int i = 0; i < 40 && live_a_little(&n, &book) && !io_sim_is_crashed(n.sim); i++) {}
            crashes += io_sim_is_crashed(n.sim);
            node_crash(&n, (io_sim_death)io_sim_draw(n.sim, 3));
            check_extra(&n, &book);
            check_totals(&n, &book);
        }
        node_end(&n);
    }
    print_message("%llu crashes\n", (unsigned long long)crashes);
    assert_true(crashes > SEEDS);
}

int main(void) {
    weir_trace_set_level(WEIR_ERROR); /* a world that dies has much to tell */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_made_filled_and_read),
        cmocka_unit_test(a_windowed_table_is_read_by_its_windows),
        cmocka_unit_test(queries_feed_queries),
        cmocka_unit_test(properties_hold_for_the_request),
        cmocka_unit_test(an_error_ends_the_script_and_what_was_before_stays),
        cmocka_unit_test(rows_end_when_the_client_has_enough_or_goes),
        cmocka_unit_test(a_push_query_shows_what_is_selected),
        cmocka_unit_test(grouped_push_queries_leave_nothing),
        cmocka_unit_test(a_topic_is_printed),
        cmocka_unit_test(a_restart_runs_the_same_queries_and_counts_on),
        cmocka_unit_test(a_pull_query_waits_for_its_table),
        cmocka_unit_test(a_push_query_right_after_its_table_finds_the_topic),
        cmocka_unit_test(a_record_that_cannot_be_read_stops_the_start),
        cmocka_unit_test(drop_and_terminate_follow_their_rules),
        cmocka_unit_test(connectors_start_stop_and_are_forgotten),
        cmocka_unit_test(commands_take_turns),
        cmocka_unit_test(a_failed_query_starts_again),
        cmocka_unit_test(counts_are_exact_wherever_the_node_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
