/* Goal: clients of ksqlDB's REST API get what they expect, over real sockets: statements, rows, errors; clients that
 * are slow, rude or gone harm nobody; the page and the metrics are what browsers and Prometheus read. Method: a whole
 * node (broker, bus, engine, server) in a thread of its own over a temporary folder; blocking clients in this one.
 * Answers are compared as JSON, members that are not named count as right. */
#include "bus/embedded/embedded.h"
#include "io/real/io_real.h"
#include "server/server_int.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEARD_BYTES_MAX = 64 << 20, CLIENT_PATIENCE_S = 20, STALL_MAX_MS = 2000 };

/* ---- the node ---- */

typedef struct test_node {
    char folder[64];
    io_real *real;
    const io_world *world;
    io_lane *lane;
    broker_node *broker;
    bus *bus;
    engine *engine;
    server *server;
    io_address bound;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_ready;
    weir_error failure;
    io_job close_job;
} test_node;

static test_node node;
static weir_account account;

static void tell_ready(weir_status status) {
    pthread_mutex_lock(&node.lock);
    weir_error_set(&node.failure, status);
    node.is_ready = true;
    pthread_cond_signal(&node.changed);
    pthread_mutex_unlock(&node.lock);
}

static const weir_setting properties[] = {{"ksql.streams.auto.offset.reset", "earliest"}};

static void engine_ready(void *arg, weir_status status) {
    (void)arg;
    const server_config config = {.world = node.world,
                                  .lane = node.lane,
                                  .broker = node.broker,
                                  .engine = node.engine,
                                  .host = "127.0.0.1",
                                  .properties = properties,
                                  .property_count = 1,
                                  .stall_max_ms = STALL_MAX_MS};
    if (!weir_failed(status)) status = server_open(&node.server, &config, &node.bound);
    tell_ready(status);
}

static void broker_ready(void *arg, weir_status status) {
    (void)arg;
    if (weir_failed(status)) {
        tell_ready(status);
        return;
    }
    char state[80];
    snprintf(state, sizeof state, "%s/state", node.folder);
    node.bus =
        bus_embedded_create(&(bus_embedded_config){.world = node.world, .broker = node.broker, .read_ahead = true});
    const engine_config config = {.world = node.world,
                                  .bus = node.bus,
                                  .owner = node.lane,
                                  .state_directory = state,
                                  .properties = properties,
                                  .property_count = 1};
    node.engine = engine_open(&config, engine_ready, NULL);
}

static void broker_stopped(void *arg) {
    (void)arg;
    io_real_stop(node.real);
}

static void engine_closed(void *arg) {
    (void)arg;
    engine_free(node.engine);
    broker_stop(node.broker, broker_stopped, NULL);
}

static void server_closed(void *arg) {
    (void)arg;
    engine_close(node.engine, engine_closed, NULL);
}

static void close_run(io_job *job) {
    (void)job;
    server_close(node.server, server_closed, NULL);
}

static void *run_node(void *arg) {
    (void)arg;
    io_real_run(node.real);
    return NULL;
}

static int begin_node(void **state) {
    (void)state;
    node = (test_node){.folder = "/tmp/weir-server-XXXXXX"};
    weir_account_init(&account, "server_test", 0);
    pthread_mutex_init(&node.lock, NULL);
    pthread_cond_init(&node.changed, NULL);
    io_job_init(&node.close_job, close_run);
    if (mkdtemp(node.folder) == NULL) return -1;
    if (weir_failed(io_real_start(&node.real, &(io_real_config){.workers = 2}))) return -1;
    node.world = io_real_world(node.real);
    char state_folder[80];
    snprintf(state_folder, sizeof state_folder, "%s/state", node.folder);
    if (weir_failed(io_make_directory(node.world->files, state_folder))) return -1;
    node.lane = io_lane_create(node.world->executor, IO_LANE_LOOP, "main");
    const broker_config config = {.world = node.world,
                                  .lane = node.lane,
                                  .directory = node.folder,
                                  .journal_bytes = 4 << 20,
                                  .ready = broker_ready};
    if (weir_failed(broker_open(&node.broker, &config, NULL))) return -1;
    pthread_create(&node.thread, NULL, run_node, NULL);
    pthread_mutex_lock(&node.lock);
    while (!node.is_ready) pthread_cond_wait(&node.changed, &node.lock);
    pthread_mutex_unlock(&node.lock);
    if (node.failure.code != WEIR_OK) fprintf(stderr, "%s\n", node.failure.text);
    return node.failure.code == WEIR_OK ? 0 : -1;
}

static int end_node(void) {
    io_post(node.world->executor, node.lane, &node.close_job);
    pthread_join(node.thread, NULL);
    bus_embedded_destroy(node.bus);
    const weir_status status = broker_close(node.broker);
    io_lane_destroy(node.world->executor, node.lane);
    io_real_destroy(node.real);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", node.folder);
    return weir_failed(status) || system(command) != 0 ? -1 : 0;
}

/* ---- a client ---- */

typedef struct test_answer {
    weir_buffer heard; /* all of it */
    unsigned status;
    char *body; /* in `heard`, chunks put together, terminated */
    size_t body_bytes;
} test_answer;

static int open_socket(int receive_bytes) {
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(node.bound.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = CLIENT_PATIENCE_S};
    assert_true(descriptor >= 0);
    if (receive_bytes > 0) setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(descriptor, (const struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

static void say(int descriptor, const char *text, size_t size) {
    for (size_t at = 0; at < size;) {
        const ssize_t sent = send(descriptor, text + at, size - at, MSG_NOSIGNAL);
        if (sent < 0) return; /* refused already */
        at += (size_t)sent;
    }
}

static void say_request(int descriptor, const char *method, const char *path, const char *headers, const char *body) {
    weir_buffer text;
    weir_buffer_init(&text, &account, HEARD_BYTES_MAX);
    weir_buffer_format(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s", method, path, headers);
    if (body != NULL) weir_buffer_format(&text, "Content-Length: %zu\r\n", strlen(body));
    weir_buffer_append_text(&text, "\r\n");
    if (body != NULL) weir_buffer_append_text(&text, body);
    say(descriptor, (const char *)text.data, text.size);
    weir_buffer_deinit(&text);
}

/* Until the server closes, or `until` was heard. */
static void hear(int descriptor, weir_buffer *heard, const char *until) {
    static char piece[65536];
    while (until == NULL || strstr(weir_buffer_text(heard), until) == NULL) {
        const ssize_t got = recv(descriptor, piece, sizeof piece, 0);
        if (got <= 0) return;
        weir_buffer_append(heard, piece, (size_t)got);
    }
}

/* In place: chunked bodies are shorter without their framing. */
static void join_chunks(test_answer *answer) {
    char *target = answer->body, *at = answer->body;
    for (;;) {
        char *end;
        const unsigned long size = strtoul(at, &end, 16);
        if (end == at || size == 0) break;
        memmove(target, end + 2, size);
        target += size;
        at = end + 2 + size + 2;
    }
    *target = '\0';
    answer->body_bytes = (size_t)(target - answer->body);
}

static void understand(test_answer *answer) {
    char *text = (char *)(uintptr_t)weir_buffer_text(&answer->heard);
    assert_int_equal(strncmp(text, "HTTP/1.1 ", 9), 0);
    answer->status = (unsigned)strtoul(text + 9, NULL, 10);
    answer->body = strstr(text, "\r\n\r\n");
    assert_non_null(answer->body);
    const bool is_chunked = memmem(text, (size_t)(answer->body - text), "chunked", 7) != NULL;
    answer->body += 4;
    answer->body_bytes = answer->heard.size - (size_t)(answer->body - text);
    if (is_chunked) join_chunks(answer);
}

static test_answer ask(const char *method, const char *path, const char *headers, const char *body) {
    test_answer answer = {0};
    weir_buffer_init(&answer.heard, &account, HEARD_BYTES_MAX);
    const int descriptor = open_socket(0);
    say_request(descriptor, method, path, headers, body);
    hear(descriptor, &answer.heard, NULL);
    close(descriptor);
    understand(&answer);
    return answer;
}

static void forget(test_answer *answer) {
    weir_buffer_deinit(&answer->heard);
}

/* ---- expectations: JSON in which members that are not named count as right ---- */

static bool contains(const json_t *actual, const json_t *expected) {
    const char *name;
    json_t *member;
    if (json_typeof(actual) != json_typeof(expected)) return false;
    if (json_is_object(expected)) {
        json_object_foreach((json_t *)(uintptr_t)expected, name, member) {
            const json_t *found = json_object_get(actual, name);
            if (found == NULL || !contains(found, member)) return false;
        }
        return true;
    }
    if (!json_is_array(expected)) return json_equal(actual, expected) != 0;
    if (json_array_size(actual) != json_array_size(expected)) return false;
    for (size_t i = 0; i < json_array_size(expected); i++)
        if (!contains(json_array_get(actual, i), json_array_get(expected, i))) return false;
    return true;
}

static void check_json(const char *actual, const char *expected) {
    json_error_t error;
    json_t *is = json_loads(actual, JSON_DECODE_ANY, &error), *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    assert_non_null(wanted);
    if (is == NULL) fail_msg("not JSON (%s): %s", error.text, actual);
    if (!contains(is, wanted)) fail_msg("wanted %s in\n%s", expected, actual);
    json_decref(is);
    json_decref(wanted);
}

static char *body_of(const char *text_member, const char *text, const char *more) {
    weir_buffer body;
    weir_buffer_init(&body, &account, HEARD_BYTES_MAX);
    weir_buffer_format(&body, "{\"%s\":", text_member);
    server_text_write(&body, weir_bytes_text(text));
    weir_buffer_format(&body, "%s}", more);
    char *copy = weir_strdup(&account, weir_buffer_text(&body));
    weir_buffer_deinit(&body);
    return copy;
}

static test_answer post(const char *path, const char *text, const char *more) {
    char *body = body_of(strcmp(path, "/query-stream") == 0 ? "sql" : "ksql", text, more);
    const test_answer answer = ask("POST", path, "", body);
    weir_free(&account, body);
    return answer;
}

static void check_post(const char *path, const char *text, unsigned status, const char *expected) {
    test_answer answer = post(path, text, "");
    if (answer.status != status) fail_msg("%s: %u, wanted %u\n%s", text, answer.status, status, answer.body);
    check_json(answer.body, expected);
    forget(&answer);
}

static void check_lines(const char *text, const char *more, const char *expected) {
    test_answer answer = post("/query-stream", text, more);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, expected);
    forget(&answer);
}

/* A pull query until it answers with the row: tables follow their sources at their own pace. */
static void await_row(const char *text, const char *row) {
    for (int turn = 0; turn < 200; turn++) {
        test_answer answer = post("/query-stream", text, "");
        const bool found = answer.status == 200 && strstr(answer.body, row) != NULL;
        forget(&answer);
        if (found) return;
        usleep(50000);
    }
    fail_msg("%s never answered %s", text, row);
}

/* ---- stories ---- */

static void test_statements_and_their_entities(void **state) {
    (void)state;
    check_post("/ksql",
               "CREATE STREAM VIEWS (PAGE VARCHAR KEY, USER_NAME VARCHAR, BYTES BIGINT) WITH "
               "(KAFKA_TOPIC='views', VALUE_FORMAT='JSON', PARTITIONS=1);",
               200,
               "[{\"@type\":\"currentStatus\",\"commandId\":\"stream/VIEWS/create\",\"commandStatus\":{\"status\":"
               "\"SUCCESS\",\"message\":\"Stream created\",\"queryId\":null},\"commandSequenceNumber\":0}]");
    check_post("/ksql", "SHOW TOPICS;", 200,
               "[{\"@type\":\"kafka_topics\",\"topics\":[{\"name\":\"views\",\"replicaInfo\":[1]}]}]");
    check_post("/ksql",
               "CREATE TABLE COUNTS AS SELECT PAGE, COUNT(*) AS N, SUM(BYTES) AS TOTAL FROM VIEWS GROUP BY PAGE "
               "EMIT CHANGES;",
               200,
               "[{\"@type\":\"currentStatus\",\"commandId\":\"table/COUNTS/create\",\"commandStatus\":{\"status\":"
               "\"SUCCESS\",\"message\":\"Created query with ID CTAS_COUNTS_1\",\"queryId\":\"CTAS_COUNTS_1\"},"
               "\"commandSequenceNumber\":1}]");
    /* INSERT answers nothing; several statements answer in order. */
    check_post("/ksql",
               "INSERT INTO VIEWS VALUES ('/a', 'ann', 10); INSERT INTO VIEWS VALUES ('/b', 'bob \"quoted\"', 5);"
               "INSERT INTO VIEWS (PAGE, BYTES) VALUES ('/a', 7); SHOW STREAMS; SHOW TABLES;",
               200,
               "[{\"@type\":\"streams\",\"statementText\":\"SHOW STREAMS;\",\"warnings\":[],\"streams\":[{\"type\":"
               "\"STREAM\",\"name\":\"VIEWS\",\"topic\":\"views\",\"keyFormat\":\"KAFKA\",\"valueFormat\":\"JSON\","
               "\"isWindowed\":false}]},{\"@type\":\"tables\",\"tables\":[{\"type\":\"TABLE\",\"name\":\"COUNTS\","
               "\"topic\":\"COUNTS\",\"isWindowed\":false}]}]");
    check_post("/ksql", "SHOW QUERIES;", 200,
               "[{\"@type\":\"queries\",\"queries\":[{\"id\":\"CTAS_COUNTS_1\",\"sinks\":[\"COUNTS\"],"
               "\"sinkKafkaTopics\":[\"COUNTS\"],\"queryType\":\"PERSISTENT\",\"statusCount\":{\"RUNNING\":1}}]}]");
    check_post("/ksql", "DESCRIBE VIEWS;", 200,
               "[{\"@type\":\"sourceDescription\",\"sourceDescription\":{\"name\":\"VIEWS\",\"type\":\"STREAM\","
               "\"topic\":\"views\",\"partitions\":1,\"readQueries\":[{\"id\":\"CTAS_COUNTS_1\"}],\"writeQueries\":[],"
               "\"fields\":[{\"name\":\"PAGE\",\"type\":\"KEY\",\"schema\":{\"type\":\"STRING\",\"fields\":null,"
               "\"memberSchema\":null}},{\"name\":\"USER_NAME\",\"schema\":{\"type\":\"STRING\"}},{\"name\":\"BYTES\","
               "\"schema\":{\"type\":\"BIGINT\"}}]}}]");
    check_post("/ksql", "DESCRIBE FUNCTION COUNT;", 200,
               "[{\"@type\":\"describe_function\",\"name\":\"COUNT\",\"type\":\"AGGREGATE\"}]");
    check_post("/ksql", "SHOW CONNECTORS; DROP STREAM IF EXISTS NOWHERE;", 200,
               "[{\"@type\":\"connector_list\",\"connectors\":[]},{\"@type\":\"warning_entity\"}]");
    check_post("/ksql", "SHOW PROPERTIES;", 200,
               "[{\"@type\":\"properties\",\"properties\":[{\"name\":\"ksql.service.id\",\"value\":\"default_\"},"
               "{\"name\":\"ksql.streams.auto.offset.reset\",\"value\":\"earliest\"}],\"overwrittenProperties\":"
               "[\"ksql.streams.auto.offset.reset\"]}]");
}

static void test_explain_shows_weirs_topology(void **state) {
    (void)state;
    test_answer answer = post("/ksql", "EXPLAIN CTAS_COUNTS_1;", "");
    assert_int_equal(answer.status, 200);
    check_json(answer.body, "[{\"@type\":\"queryDescription\",\"queryDescription\":{\"id\":\"CTAS_COUNTS_1\",\"sinks\":"
                            "[\"COUNTS\"],\"sources\":[\"views\"],\"queryType\":\"PERSISTENT\"}}]");
    assert_non_null(strstr(answer.body, "Aggregate"));
    forget(&answer);
    answer = post("/ksql", "EXPLAIN SELECT PAGE FROM VIEWS WHERE BYTES > 3 EMIT CHANGES;", "");
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "Where"));
    forget(&answer);
}

static void test_pull_queries(void **state) {
    (void)state;
    await_row("SELECT * FROM COUNTS WHERE PAGE = '/a';", "[\"/a\",2,17]\n");
    await_row("SELECT * FROM COUNTS WHERE PAGE = '/b';", "[\"/b\",1,5]\n");
    check_lines("SELECT * FROM COUNTS WHERE PAGE = '/a';", "",
                "{\"queryId\":null,\"columnNames\":[\"PAGE\",\"N\",\"TOTAL\"],\"columnTypes\":[\"STRING\",\"BIGINT\","
                "\"BIGINT\"]}\n[\"/a\",2,17]\n");
    check_post("/query", "SELECT PAGE, N FROM COUNTS WHERE PAGE = '/a';", 200,
               "[{\"header\":{\"schema\":\"`PAGE` STRING KEY, `N` BIGINT\"}},{\"row\":{\"columns\":[\"/a\",2]}}]");
    check_post("/query", "SELECT N FROM COUNTS WHERE PAGE = 'nobody';", 200, "[{\"header\":{}}]");
    char *body = body_of("sql", "SELECT N FROM COUNTS WHERE PAGE = '/a';", "");
    test_answer answer = ask("POST", "/query-stream", "Accept: application/json\r\n", body);
    check_json(answer.body, "[{\"columnNames\":[\"N\"]},[2]]");
    forget(&answer);
    weir_free(&account, body);
}

static void test_push_queries_end_at_their_limit(void **state) {
    (void)state;
    check_post("/query", "SELECT PAGE, USER_NAME, BYTES FROM VIEWS EMIT CHANGES LIMIT 3;", 200,
               "[{\"header\":{\"schema\":\"`PAGE` STRING, `USER_NAME` STRING, `BYTES` BIGINT\"}},{\"row\":{\"columns\":"
               "[\"/a\",\"ann\",10]}},{\"row\":{\"columns\":[\"/b\",\"bob \\\"quoted\\\"\",5]}},{\"row\":{\"columns\":"
               "[\"/a\",null,7]}},{\"finalMessage\":\"Limit Reached\"}]");
    test_answer answer = post("/query-stream", "SELECT BYTES FROM VIEWS EMIT CHANGES LIMIT 2;", "");
    const char *rows = strchr(answer.body, '\n');
    assert_non_null(rows);
    assert_string_equal(rows, "\n[10]\n[5]\n");
    assert_int_equal(strncmp(answer.body, "{\"queryId\":\"transient_VIEWS_", 28), 0);
    forget(&answer);
    /* From the latest offset there is nothing: the request's property counts. */
    check_post("/ksql", "SET 'auto.offset.reset'='latest'; SHOW STREAMS;", 200, "[{\"@type\":\"streams\"}]");
}

static void test_variables_and_properties_of_a_request(void **state) {
    (void)state;
    check_lines("SELECT N FROM ${table} WHERE PAGE = '${page}';",
                ",\"sessionVariables\":{\"TABLE\":\"COUNTS\",\"page\":\"/b\"}",
                "{\"queryId\":null,\"columnNames\":[\"N\"],\"columnTypes\":[\"BIGINT\"]}\n[1]\n");
    test_answer answer = post("/ksql", "SHOW STREAMS;", ",\"streamsProperties\":{\"a\":[1]}");
    assert_int_equal(answer.status, 400);
    check_json(answer.body, "{\"@type\":\"generic_error\",\"error_code\":40000}");
    forget(&answer);
}

static void test_a_push_query_lives_until_it_is_closed(void **state) {
    (void)state;
    char *body = body_of("sql", "SELECT PAGE FROM VIEWS EMIT CHANGES;", "");
    weir_buffer heard;
    weir_buffer_init(&heard, &account, HEARD_BYTES_MAX);
    const int descriptor = open_socket(0);
    say_request(descriptor, "POST", "/query-stream", "", body);
    hear(descriptor, &heard, "[\"/b\"]");
    const char *id = strstr(weir_buffer_text(&heard), "\"queryId\":\"");
    assert_non_null(id);
    char query_id[128], close_body[160];
    snprintf(query_id, sizeof query_id, "%.*s", (int)strcspn(id + 11, "\""), id + 11);
    /* It shows among the queries, a new row arrives, and it ends when told. */
    test_answer answer = ask("GET", "/status.json", "", NULL);
    assert_non_null(strstr(answer.body, query_id));
    forget(&answer);
    check_post("/ksql", "INSERT INTO VIEWS VALUES ('/new', 'eve', 1);", 200, "[]");
    hear(descriptor, &heard, "[\"/new\"]");
    snprintf(close_body, sizeof close_body, "{\"queryId\":\"%s\"}", query_id);
    answer = ask("POST", "/close-query", "", close_body);
    assert_int_equal(answer.status, 200);
    forget(&answer);
    hear(descriptor, &heard, NULL);
    assert_non_null(strstr(weir_buffer_text(&heard), "\r\n0\r\n\r\n")); /* whole: its last chunk came */
    close(descriptor);
    answer = ask("POST", "/close-query", "", close_body);
    assert_int_equal(answer.status, 400);
    forget(&answer);
    weir_buffer_deinit(&heard);
    weir_free(&account, body);
}

static void test_errors_say_where_and_what(void **state) {
    (void)state;
    static const struct {
        const char *path, *text;
        unsigned status;
        const char *expected;
    } cases[] = {
        {"/ksql", "SELECT * FROM COUNTS;", 400,
         "{\"@type\":\"statement_error\",\"error_code\":40002,\"statementText\":\"SELECT * FROM "
         "COUNTS;\",\"entities\":[]}"},
        {"/ksql", "DROP STREAM NOWHERE;", 400,
         "{\"@type\":\"statement_error\",\"error_code\":40001,\"statementText\":"
         "\"DROP STREAM NOWHERE;\"}"},
        {"/ksql", "SHOW STREAMS; DROP STREAM VIEWS;", 400,
         "{\"error_code\":40001,\"statementText\":\"DROP STREAM VIEWS;\",\"entities\":[{\"@type\":\"streams\"}]}"},
        {"/query", "SELECT X FROM NOWHERE EMIT CHANGES;", 400, "{\"@type\":\"statement_error\",\"error_code\":40001}"},
        {"/query", "SHOW STREAMS;", 400, "{\"@type\":\"generic_error\",\"error_code\":40000}"},
        {"/query-stream", "SELECT 1 FROM COUNTS; SELECT 2 FROM COUNTS;", 400, "{\"error_code\":40000}"},
        {"/ksql", "", 200, "[]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_post(cases[i].path, cases[i].text, cases[i].status, cases[i].expected);
    /* A syntax error: file, line, column, the line itself, a caret; and nothing before it was done. */
    test_answer answer = post("/ksql",
                              "CREATE STREAM EARLY (A INT) WITH (KAFKA_TOPIC='e', PARTITIONS=1, VALUE_FORMAT='JSON');\n"
                              "SHOW SHREAMS;",
                              ",\"fileName\":\"job.sql\"");
    assert_int_equal(answer.status, 400);
    assert_non_null(strstr(answer.body, "job.sql:2:6"));
    assert_non_null(strstr(answer.body, "SHOW SHREAMS;\\n"));
    assert_non_null(strstr(answer.body, "^"));
    forget(&answer);
    check_post("/ksql", "SHOW STREAMS;", 200, "[{\"streams\":[{\"name\":\"VIEWS\"}]}]");
}

static void test_paths_methods_and_bodies(void **state) {
    (void)state;
    static const struct {
        const char *method, *path, *headers, *body;
        unsigned status;
        const char *expected; /* JSON, or NULL */
    } cases[] = {
        {"GET", "/nowhere", "", NULL, 404, "{\"@type\":\"generic_error\",\"error_code\":40400}"},
        {"GET", "/ksql", "", NULL, 405, "{\"error_code\":40500}"},
        {"DELETE", "/info", "", NULL, 405, "{\"error_code\":40500}"},
        {"POST", "/ksql", "", "{", 400, "{\"@type\":\"generic_error\",\"error_code\":40000}"},
        {"POST", "/ksql", "", "[1]", 400, "{\"error_code\":40000}"},
        {"POST", "/ksql", "", "{\"sql\":\"SHOW STREAMS;\"}", 400, "{\"error_code\":40000}"},
        {"POST", "/close-query", "", "[]", 400, "{\"error_code\":40000}"},
        {"POST", "/ksql", "Origin: http://evil.example\r\n", "{\"ksql\":\"SHOW STREAMS;\"}", 403,
         "{\"error_code\":40300}"},
        {"POST", "/ksql", "Origin: http://localhost\r\n", "{\"ksql\":\"SHOW STREAMS;\"}", 200, NULL},
        {"GET", "/info", "", NULL, 200, "{\"KsqlServerInfo\":{\"version\":\"" WEIR_VERSION "\",\"ksqlServiceId\":"
                                        "\"default_\",\"serverStatus\":\"RUNNING\"}}"},
        {"GET", "/healthcheck", "", NULL, 200,
         "{\"isHealthy\":true,\"details\":{\"metastore\":{\"isHealthy\":true},\"kafka\":{\"isHealthy\":true},"
         "\"commandRunner\":{\"isHealthy\":true}},\"serverState\":\"READY\"}"},
        {"GET", "/clusterStatus", "", NULL, 200, "{\"clusterStatus\":{}}"},
        {"GET", "/health/live", "", NULL, 200, "{\"status\":\"live\"}"},
        {"GET", "/health/ready", "", NULL, 200, "{\"status\":\"ready\"}"},
        {"GET", "/health/startup", "", NULL, 200, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_answer answer = ask(cases[i].method, cases[i].path, cases[i].headers, cases[i].body);
        if (answer.status != cases[i].status)
            fail_msg("%s %s: %u\n%s", cases[i].method, cases[i].path, answer.status, answer.body);
        if (cases[i].expected != NULL) check_json(answer.body, cases[i].expected);
        forget(&answer);
    }
}

static void test_rubbish_harms_nobody(void **state) {
    (void)state;
    uint64_t seed = 42;
    char bytes[512];
    for (int turn = 0; turn < 200; turn++) {
        const int descriptor = open_socket(0);
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (char)(seed >> 56);
        }
        if (turn % 2 == 1) { /* a good head, then rubbish for a body */
            static const char head[] = "POST /ksql HTTP/1.1\r\nHost: a\r\nContent-Length: 512\r\n\r\n";
            say(descriptor, head, sizeof head - 1);
        }
        say(descriptor, bytes, sizeof bytes);
        close(descriptor);
    }
    test_answer answer = ask("GET", "/health/live", "", NULL);
    assert_int_equal(answer.status, 200);
    forget(&answer);
}

/* The value of an unlabelled metric. */
static long long metric(const char *name) {
    test_answer answer = ask("GET", "/metrics", "", NULL);
    assert_int_equal(answer.status, 200);
    char line[128];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(answer.body, line);
    assert_non_null(at);
    const long long value = strtoll(at + strlen(line), NULL, 10);
    forget(&answer);
    return value;
}

static void insert_many(unsigned requests, unsigned rows, size_t row_bytes) {
    char *filler = weir_alloc(&account, row_bytes + 1);
    memset(filler, 'x', row_bytes);
    for (unsigned request = 0; request < requests; request++) {
        weir_buffer text;
        weir_buffer_init(&text, &account, HEARD_BYTES_MAX);
        for (unsigned row = 0; row < rows; row++)
            weir_buffer_format(&text, "INSERT INTO BIG VALUES ('%u', '%s');", request * rows + row, filler);
        check_post("/ksql", weir_buffer_text(&text), 200, "[]");
        weir_buffer_deinit(&text);
    }
    weir_free(&account, filler);
}

static void test_a_client_that_does_not_read_is_cut_off(void **state) {
    (void)state;
    check_post(
        "/ksql",
        "CREATE STREAM BIG (K VARCHAR KEY, V VARCHAR) WITH (KAFKA_TOPIC='big', VALUE_FORMAT='JSON', PARTITIONS=1);",
        200, "[{\"@type\":\"currentStatus\"}]");
    char *body = body_of("sql", "SELECT * FROM BIG EMIT CHANGES;", "");
    const int descriptor = open_socket(4096);
    say_request(descriptor, "POST", "/query-stream", "", body);
    weir_buffer heard;
    weir_buffer_init(&heard, &account, HEARD_BYTES_MAX);
    hear(descriptor, &heard, "columnTypes");
    insert_many(12, 50, 40000); /* 24 MB: more than the limit and the kernel's buffers */
    for (int turn = 0; turn < 200 && metric("weir_http_cut_off_total") == 0; turn++) usleep(50000);
    assert_int_equal(metric("weir_http_cut_off_total"), 1);
    assert_true(metric("weir_memory_used_bytes") < 512 << 20);
    hear(descriptor, &heard, NULL);
    assert_null(memmem(heard.data, heard.size, "\r\n0\r\n\r\n", 7)); /* not whole, and the client can tell */
    close(descriptor);
    for (int turn = 0; turn < 200 && metric("weir_http_streams") != 0; turn++) usleep(50000);
    assert_int_equal(metric("weir_http_streams"), 0);
    weir_buffer_deinit(&heard);
    weir_free(&account, body);
}

static void test_a_client_that_goes_ends_its_query(void **state) {
    (void)state;
    char *body = body_of("sql", "SELECT PAGE FROM VIEWS EMIT CHANGES;", "");
    weir_buffer heard;
    weir_buffer_init(&heard, &account, HEARD_BYTES_MAX);
    int descriptors[8];
    for (int i = 0; i < 8; i++) {
        descriptors[i] = open_socket(0);
        say_request(descriptors[i], "POST", "/query-stream", "", body);
        weir_buffer_clear(&heard);
        hear(descriptors[i], &heard, "columnTypes");
    }
    assert_int_equal(metric("weir_http_streams"), 8);
    for (int i = 0; i < 8; i++) close(descriptors[i]);
    for (int turn = 0; turn < 200 && metric("weir_http_streams") != 0; turn++) usleep(50000);
    assert_int_equal(metric("weir_http_streams"), 0);
    weir_buffer_deinit(&heard);
    weir_free(&account, body);
}

static void test_metrics_are_prometheus_text(void **state) {
    (void)state;
    test_answer answer = ask("GET", "/metrics", "", NULL);
    assert_non_null(strstr(weir_buffer_text(&answer.heard), "text/plain; version=0.0.4"));
    assert_non_null(strstr(answer.body, "weir_memory_account_used_bytes{account=\""));
    assert_non_null(strstr(answer.body, "query=\"CTAS_COUNTS_1\""));
    /* A family is introduced once, and every other line is a sample. */
    for (char *line = answer.body; *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_non_null(strchr(line, '\n'));
        if (strncmp(line, "# TYPE ", 7) == 0) {
            char type[128];
            snprintf(type, sizeof type, "\n%.*s\n", (int)strcspn(line, "\n"), line);
            assert_null(strstr(line + 1, type));
        } else if (line[0] != '#') {
            const size_t size = strcspn(line, "\n");
            assert_true(line[size - 1] >= '0' && line[size - 1] <= '9');
        }
    }
    forget(&answer);
}

static void test_the_page_and_its_feed(void **state) {
    (void)state;
    test_answer answer = ask("GET", "/", "", NULL);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(weir_buffer_text(&answer.heard), "Content-Security-Policy: default-src 'none'"));
    assert_non_null(strstr(answer.body, "<!doctype html>"));
    assert_non_null(strstr(answer.body, "/status.json"));
    assert_non_null(strstr(answer.body, "prefers-color-scheme: dark"));
    static const char *const absent[] = {"http://", "https://", "src=", "innerHTML", "<link rel=\"stylesheet"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) assert_null(strstr(answer.body, absent[i]));
    forget(&answer);
    answer = ask("GET", "/status.json", "", NULL);
    json_t *status = json_loads(answer.body, 0, NULL);
    assert_non_null(status);
    json_t *topics = json_object_get(status, "topics"), *queries = json_object_get(status, "queries");
    assert_true(json_array_size(topics) >= 2 && json_array_size(queries) >= 1);
    for (size_t i = 0; i < json_array_size(topics); i++) {
        const json_t *topic = json_array_get(topics, i);
        if (strcmp(json_string_value(json_object_get(topic, "name")), "views") != 0) continue;
        assert_int_equal(json_integer_value(json_object_get(topic, "records")), 4);
        assert_true(json_integer_value(json_object_get(topic, "bytes")) > 0);
    }
    const json_t *query = json_array_get(queries, 0);
    assert_string_equal(json_string_value(json_object_get(query, "id")), "CTAS_COUNTS_1");
    assert_string_equal(json_string_value(json_object_get(query, "state")), "RUNNING");
    assert_int_equal(json_integer_value(json_object_get(query, "rowsIn")), 4);
    json_decref(status);
    forget(&answer);
}

/* Rows that are there already come as fast as the client takes them, however many: its query waits for it. */
static void test_a_slow_reader_gets_a_long_past_whole(void **state) {
    (void)state;
    char *body = body_of("sql", "SELECT * FROM BIG EMIT CHANGES LIMIT 600;", "");
    const long long cut_off = metric("weir_http_cut_off_total");
    const int descriptor = open_socket(4096);
    static char piece[1 << 20];
    size_t heard = 0, rows = 0;
    say_request(descriptor, "POST", "/query-stream", "", body);
    for (ssize_t got; (got = recv(descriptor, piece, sizeof piece, 0)) > 0; heard += (size_t)got) {
        for (ssize_t i = 0; i < got; i++) rows += piece[i] == '[';
        if (heard % 7 == 0) usleep(3000); /* now and then it has something else to do */
    }
    close(descriptor);
    assert_int_equal(rows, 600 + 2); /* and the header's two lists */
    assert_true(heard > 600 * 40000);
    assert_int_equal(metric("weir_http_cut_off_total"), cut_off);
    weir_free(&account, body);
}

static void test_terminate_and_drop(void **state) {
    (void)state;
    check_post("/ksql", "TERMINATE CTAS_COUNTS_1; DROP TABLE COUNTS; DROP STREAM VIEWS DELETE TOPIC; SHOW TABLES;", 200,
               "[{\"@type\":\"currentStatus\",\"commandId\":\"terminate/CTAS_COUNTS_1/execute\"},{\"commandId\":"
               "\"table/COUNTS/drop\"},{\"commandId\":\"stream/VIEWS/drop\"},{\"tables\":[]}]");
}

/* Last: the node is closed while a client listens, and it hears the end of its rows. */
static void test_closing_ends_the_streams(void **state) {
    (void)state;
    char *body = body_of("ksql", "SELECT K FROM BIG EMIT CHANGES;", "");
    weir_buffer heard;
    weir_buffer_init(&heard, &account, HEARD_BYTES_MAX);
    const int descriptor = open_socket(0);
    say_request(descriptor, "POST", "/query", "", body);
    hear(descriptor, &heard, "[\"599\"]");
    assert_int_equal(end_node(), 0);
    hear(descriptor, &heard, NULL);
    assert_non_null(strstr(weir_buffer_text(&heard), "{\"finalMessage\":\"Query Completed\"}]"));
    close(descriptor);
    weir_buffer_deinit(&heard);
    weir_free(&account, body);
    weir_account_deinit(&account);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements_and_their_entities),
        cmocka_unit_test(test_explain_shows_weirs_topology),
        cmocka_unit_test(test_pull_queries),
        cmocka_unit_test(test_push_queries_end_at_their_limit),
        cmocka_unit_test(test_variables_and_properties_of_a_request),
        cmocka_unit_test(test_a_push_query_lives_until_it_is_closed),
        cmocka_unit_test(test_errors_say_where_and_what),
        cmocka_unit_test(test_paths_methods_and_bodies),
        cmocka_unit_test(test_rubbish_harms_nobody),
        cmocka_unit_test(test_metrics_are_prometheus_text),
        cmocka_unit_test(test_the_page_and_its_feed),
        cmocka_unit_test(test_a_client_that_goes_ends_its_query),
        cmocka_unit_test(test_a_client_that_does_not_read_is_cut_off),
        cmocka_unit_test(test_a_slow_reader_gets_a_long_past_whole),
        cmocka_unit_test(test_terminate_and_drop),
        cmocka_unit_test(test_closing_ends_the_streams),
    };
    return cmocka_run_group_tests(tests, begin_node, NULL);
}
