/* Goal: the server answers in order whatever the cuts and delays, streams without growing, survives clients that
 * vanish, stall or talk rubbish, and stops cleanly; over simulated links from many seeds, and over real sockets.
 * Method: one small service (hello, late answer, echo, stream, hold) in each world; scripted clients that send bytes
 * and compare the whole of what comes back. */
#include "http/http_server.h"
#include "io/real/io_real.h"
#include "io/sim/io_sim.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { SEEDS = 40, STEPS_MAX = 2000000, STREAM_BYTES = 3 * 1000 * 1000, STREAM_PIECE_BYTES = 10000 };

/* ---- the service ---- */

typedef struct test_service {
    const io_world *world;
    io_lane *lane;
    weir_account account;
    http_server *server;
    io_address bound;
    unsigned handled, vanished, open;
    bool is_stopped;
    void (*on_stopped)(struct test_service *service);
    void *owner;
} test_service;

typedef struct answer { /* one that takes time */
    test_service *service;
    http_exchange *exchange;
    io_timer timer;
    io_job job;
    size_t sent_bytes;
} answer;

static answer *answer_create(test_service *service, http_exchange *exchange, void (*run)(io_job *job)) {
    answer *later = weir_alloc(&service->account, sizeof *later);
    later->service = service;
    later->exchange = exchange;
    io_job_init(&later->job, run);
    io_timer_init(&later->timer, service->lane, &later->job);
    service->open++;
    return later;
}

static void answer_free(answer *later) {
    later->service->open--;
    weir_free(&later->service->account, later);
}

static void late_job(io_job *job) {
    answer *later = io_owner(job, answer, job);
    later->service->vanished += http_exchange_is_closed(later->exchange);
    http_exchange_header(later->exchange, "X-Late", "yes");
    http_exchange_reply_text(later->exchange, 200, "late %.*s", (int)http_exchange_request(later->exchange)->query.size,
                             (const char *)http_exchange_request(later->exchange)->query.data);
    answer_free(later);
}

/* Writes until told to stop, and goes on when drained. */
static void stream_go_on(void *arg) {
    answer *later = arg;
    uint8_t piece[STREAM_PIECE_BYTES];
    while (later->sent_bytes < STREAM_BYTES) {
        for (size_t i = 0; i < sizeof piece; i++) piece[i] = (uint8_t)('a' + (later->sent_bytes + i) % 23);
        later->sent_bytes += sizeof piece;
        if (!http_exchange_write(later->exchange, weir_bytes_of(piece, sizeof piece))) return;
    }
    http_exchange_finish(later->exchange);
    answer_free(later);
}

static void stream_closed(void *arg) {
    answer *later = arg;
    later->service->vanished++;
    http_exchange_abort(later->exchange);
    answer_free(later);
}

static void unused_job(io_job *job) {
    (void)job;
    weir_assert(false);
}

static void handle(void *arg, const http_request *request, http_exchange *exchange) {
    test_service *service = arg;
    service->handled++;
    if (weir_bytes_equal_text(request->path, "/hello")) {
        http_exchange_reply(exchange, 200, "text/plain", weir_bytes_text("hello"));
    } else if (weir_bytes_equal_text(request->path, "/echo")) {
        http_exchange_reply(exchange, 200, NULL, request->body);
    } else if (weir_bytes_equal_text(request->path, "/late")) {
        answer *later = answer_create(service, exchange, late_job);
        io_timer_set(service->world->executor, &later->timer, io_now_ns(service->world->clock) + 3 * 1000000);
    } else if (weir_bytes_equal_text(request->path, "/stream")) {
        answer *later = answer_create(service, exchange, unused_job);
        http_exchange_on_drained(exchange, stream_go_on, later);
        http_exchange_on_closed(exchange, stream_closed, later);
        http_exchange_begin(exchange, 200, "text/plain");
        stream_go_on(later);
    } else if (weir_bytes_equal_text(request->path, "/hold")) {
        http_exchange_on_closed(exchange, stream_closed, answer_create(service, exchange, unused_job));
    } else {
        http_exchange_reply_text(exchange, 404, "no %.*s here\n", (int)request->path.size, request->path.data);
    }
}

static void service_start(test_service *service, const io_world *world, unsigned connections_max) {
    service->world = world;
    weir_account_init(&service->account, "service", 0);
    service->lane = io_lane_create(world->executor, IO_LANE_LOOP, "main");
    const http_server_config config = {.world = world,
                                       .lane = service->lane,
                                       .account = &service->account,
                                       .handle = handle,
                                       .arg = service,
                                       .body_bytes_max = 100 * 1000,
                                       .connections_max = connections_max};
    const weir_status status = http_server_start(&service->server, &config, "127.0.0.1", 0, &service->bound);
    weir_assert(!weir_failed(status));
}

static void service_stopped(void *arg) {
    test_service *service = arg;
    service->is_stopped = true;
    if (service->on_stopped) service->on_stopped(service);
}

static void service_end(test_service *service) {
    assert_int_equal(service->open, 0);
    http_server_destroy(service->server);
    io_lane_destroy(service->world->executor, service->lane);
    weir_account_deinit(&service->account);
}

/* ---- a simulated client: says its text, collects the answer ---- */

typedef struct test_client {
    test_service *service;
    io_conn *conn;
    io_write write;
    const char *says;
    weir_buffer heard;
    size_t closes_after; /* bytes heard; 0 = never by itself */
    bool is_closed, is_paused_at_first;
    weir_code why;
} test_client;

static void client_data(void *protocol, weir_bytes data) {
    test_client *client = protocol;
    weir_buffer_append(&client->heard, data.data, data.size);
    if (client->closes_after && client->heard.size >= client->closes_after) io_conn_close(client->conn);
}
static void client_closed(void *protocol, weir_status why) {
    test_client *client = protocol;
    client->is_closed = true;
    client->why = why.code;
}
static void client_sent(io_write *write, weir_status status) {
    (void)write;
    (void)status;
}
static void client_connected(void *arg, weir_status status, io_conn *conn) {
    test_client *client = arg;
    weir_assert(!weir_failed(status));
    client->conn = conn;
    conn->events = (io_conn_events){client_data, client_closed, client};
    if (client->is_paused_at_first) io_conn_pause(conn);
    client->write = (io_write){.parts = {weir_bytes_text(client->says)}, .part_count = 1, .sent = client_sent};
    io_conn_write(conn, &client->write);
}

static void client_start(test_client *client, test_service *service, const char *says) {
    client->service = service;
    client->says = says;
    weir_buffer_init(&client->heard, &service->account, 8 * 1024 * 1024);
    io_connect(service->world->network, service->lane, "127.0.0.1", service->bound.port, client_connected, client);
}

static bool client_is_closed(void *arg) {
    return ((test_client *)arg)->is_closed;
}

/* The answer without its Date lines, which would make the tables below unreadable. */
static const char *heard_text(test_client *client) {
    char *text = (char *)weir_buffer_text(&client->heard);
    for (char *date; (date = strstr(text, "Date: "));) {
        char *end = strstr(date, "\r\n") + 2;
        memmove(date, end, strlen(end) + 1);
    }
    return text;
}

static void stop_and_end(io_sim *sim, test_service *service) {
    if (!service->is_stopped) http_server_stop(service->server, 1000, service_stopped, service);
    assert_int_equal(io_sim_run(sim, NULL, NULL, STEPS_MAX), IO_SIM_IDLE);
    assert_true(service->is_stopped);
    service_end(service);
    io_sim_destroy(sim);
}

#define PLAIN "text/plain; charset=utf-8"

static const struct {
    const char *says, *hears;
} talks[] = {
    {"GET /hello HTTP/1.0\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"},
    /* One after another on one connection, sent ahead; the late one holds up the next. */
    {"GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /late?7 HTTP/1.1\r\nHost: a\r\n\r\n"
     "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
     "HTTP/1.1 200 OK\r\nContent-Type: " PLAIN "\r\nContent-Length: 6\r\nX-Late: yes\r\n\r\nlate 7"
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
     "HTTP/1.1 404 Not Found\r\nContent-Type: " PLAIN
     "\r\nContent-Length: 11\r\nConnection: close\r\n\r\nno /x here\n"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: "
     "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde"},
    /* Rubbish after a good request: the first is answered, the second refused, the connection closed. */
    {"GET /hello HTTP/1.1\r\nHost: a\r\n\r\nrubbish\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
     "HTTP/1.1 400 Bad Request\r\nContent-Type: " PLAIN "\r\nContent-Length: 50\r\nConnection: close\r\n\r\n"
     "The request line is not 'METHOD TARGET HTTP/1.1'.\n"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n",
     "HTTP/1.1 413 Content Too Large\r\nContent-Type: " PLAIN "\r\nContent-Length: 23\r\nConnection: close\r\n\r\n"
     "The body is too large.\n"},
};

static void test_talks_over_simulated_links(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
            io_sim *sim = io_sim_create(seed);
            test_service service = {0};
            test_client client = {0};
            service_start(&service, io_sim_world(sim), 0);
            client_start(&client, &service, talks[i].says);
            assert_int_equal(io_sim_run(sim, client_is_closed, &client, STEPS_MAX), IO_SIM_DONE);
            assert_string_equal(heard_text(&client), talks[i].hears);
            weir_buffer_deinit(&client.heard);
            stop_and_end(sim, &service);
        }
    }
}

static void test_continue_is_said_once(void **state) {
    (void)state;
    io_sim *sim = io_sim_create(1);
    test_service service = {0};
    test_client client = {0};
    service_start(&service, io_sim_world(sim), 0);
    client_start(&client, &service,
                 "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    io_sim_run_for(sim, 100 * 1000000);
    assert_string_equal(weir_buffer_text(&client.heard), "HTTP/1.1 100 Continue\r\n\r\n");
    client.write.parts[0] = weir_bytes_text("hi");
    io_conn_write(client.conn, &client.write);
    io_sim_run_for(sim, 100 * 1000000);
    assert_string_equal(heard_text(&client),
                        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    io_conn_close(client.conn);
    weir_buffer_deinit(&client.heard);
    stop_and_end(sim, &service);
}

/* Undoes the chunks in place; returns the size of the body, or SIZE_MAX when they are not well-formed. */
static size_t dechunk(uint8_t *body, size_t size) {
    size_t at = 0, written = 0;
    for (;;) {
        size_t length = 0, digits = 0;
        for (; at < size && body[at] != '\r'; at++, digits++)
            length = length * 16 + (size_t)(body[at] <= '9' ? body[at] - '0' : body[at] - 'a' + 10);
        if (digits == 0 || at + 2 + length + 2 > size) return SIZE_MAX;
        memmove(body + written, body + at + 2, length);
        written += length;
        at += 2 + length + 2;
        if (length == 0) return at == size ? written : SIZE_MAX;
    }
}

static void check_stream(uint8_t *bytes, size_t size) {
    uint8_t *body = memmem(bytes, size, "\r\n\r\n", 4);
    assert_non_null(body);
    body += 4;
    const size_t body_bytes = dechunk(body, size - (size_t)(body - bytes));
    assert_int_equal(body_bytes, STREAM_BYTES);
    for (size_t i = 0; i < body_bytes; i++) assert_int_equal(body[i], 'a' + i % 23);
}

/* A client that reads nothing for a second: the handler must have stopped near the high mark, not filled memory. */
static void test_stream_waits_for_its_reader(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        io_sim *sim = io_sim_create(seed);
        test_service service = {0};
        test_client client = {.is_paused_at_first = true};
        service_start(&service, io_sim_world(sim), 0);
        client_start(&client, &service, "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        io_sim_run_for(sim, 1000 * 1000000);
        assert_true(service.account.peak_bytes < HTTP_EXCHANGE_HIGH_BYTES + 4 * STREAM_PIECE_BYTES + 100000);
        assert_int_equal(service.open, 1);
        io_conn_resume(client.conn);
        assert_int_equal(io_sim_run(sim, client_is_closed, &client, STREAM_BYTES), IO_SIM_DONE);
        check_stream(client.heard.data, client.heard.size);
        weir_buffer_deinit(&client.heard);
        stop_and_end(sim, &service);
    }
}

static void test_clients_that_vanish(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        io_sim *sim = io_sim_create(seed);
        test_service service = {0};
        test_client clients[4] = {{0}, {.closes_after = 1}, {0}, {0}};
        service_start(&service, io_sim_world(sim), 0);
        client_start(&clients[0], &service, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
        client_start(&clients[1], &service, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
        client_start(&clients[2], &service,
                     "GET /late?1 HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        client_start(&clients[3], &service, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhalf");
        io_sim_run_for(sim, (int64_t)(1000 * io_sim_draw(sim, 3000)));
        io_sim_drop_links(sim, 1);
        io_sim_run_for(sim, 3000 * 1000000ll);
        for (unsigned i = 0; i < 4; i++) {
            if (clients[i].conn && !clients[i].is_closed) io_conn_close(clients[i].conn); /* connected after the drop */
        }
        io_sim_run_for(sim, 1000 * 1000000);
        assert_int_equal(service.open, 0);
        assert_int_equal(http_server_connections(service.server), 0);
        for (unsigned i = 0; i < 4; i++) weir_buffer_deinit(&clients[i].heard);
        stop_and_end(sim, &service);
    }
}

/* Dribbling a head never ends in a connection that stays; neither does saying nothing. */
static void test_slow_and_idle_clients(void **state) {
    (void)state;
    io_sim *sim = io_sim_create(1);
    test_service service = {0};
    test_client silent = {0}, slow = {0}, kept = {0};
    service_start(&service, io_sim_world(sim), 0);
    client_start(&silent, &service, "");
    client_start(&slow, &service, "GET /hello HTTP/1.1\r\nHost");
    client_start(&kept, &service, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    io_sim_run_for(sim, 9000 * 1000000ll);
    assert_int_equal(http_server_connections(service.server), 3);
    io_sim_run_for(sim, 2000 * 1000000ll);
    assert_true(slow.is_closed && !silent.is_closed && !kept.is_closed);
    assert_non_null(strstr(weir_buffer_text(&slow.heard), "HTTP/1.1 408 "));
    io_sim_run_for(sim, 70000 * 1000000ll);
    assert_true(silent.is_closed && kept.is_closed);
    assert_int_equal(silent.heard.size, 0);
    assert_int_equal(http_server_connections(service.server), 0);
    weir_buffer_deinit(&silent.heard);
    weir_buffer_deinit(&slow.heard);
    weir_buffer_deinit(&kept.heard);
    stop_and_end(sim, &service);
}

/* A reader that takes nothing for send_max_ms is cut off; its handler learns of it. */
static void test_stalled_reader(void **state) {
    (void)state;
    io_sim *sim = io_sim_create(1);
    test_service service = {0};
    test_client client = {.is_paused_at_first = true};
    service_start(&service, io_sim_world(sim), 0);
    client_start(&client, &service, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    io_sim_run_for(sim, 50 * 1000 * 1000000ll);
    assert_int_equal(service.vanished, 0);
    io_sim_run_for(sim, 20 * 1000 * 1000000ll);
    assert_int_equal(service.vanished, 1);
    weir_buffer_deinit(&client.heard);
    stop_and_end(sim, &service);
}

static void test_too_many_connections(void **state) {
    (void)state;
    io_sim *sim = io_sim_create(1);
    test_service service = {0};
    test_client clients[3] = {{0}};
    service_start(&service, io_sim_world(sim), 2);
    for (unsigned i = 0; i < 3; i++) {
        client_start(&clients[i], &service, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        io_sim_run_for(sim, 100 * 1000000);
    }
    assert_true(clients[2].is_closed);
    assert_non_null(strstr(weir_buffer_text(&clients[2].heard), "HTTP/1.1 503 "));
    assert_non_null(strstr(weir_buffer_text(&clients[1].heard), "hello"));
    for (unsigned i = 0; i < 3; i++) weir_buffer_deinit(&clients[i].heard);
    stop_and_end(sim, &service);
}

/* Stopping: idle connections go at once, an answer under way is finished, a held one is cut after the grace. */
static void test_stop(void **state) {
    (void)state;
    io_sim *sim = io_sim_create(1);
    test_service service = {0};
    test_client idle = {0}, late = {0}, held = {0};
    service_start(&service, io_sim_world(sim), 0);
    client_start(&idle, &service, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    client_start(&held, &service, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    io_sim_run_for(sim, 100 * 1000000);
    client_start(&late, &service, "GET /late?9 HTTP/1.1\r\nHost: a\r\n\r\n");
    for (unsigned handled = service.handled; service.handled == handled;) io_sim_run(sim, NULL, NULL, 1);
    http_server_stop(service.server, 500, service_stopped, &service);
    io_sim_run_for(sim, 100 * 1000000);
    assert_true(idle.is_closed && late.is_closed && !held.is_closed && !service.is_stopped);
    assert_non_null(strstr(weir_buffer_text(&late.heard), "Connection: close"));
    assert_non_null(strstr(weir_buffer_text(&late.heard), "late 9"));
    io_sim_run_for(sim, 1000 * 1000000);
    assert_true(held.is_closed && service.is_stopped);
    assert_int_equal(service.vanished, 1);
    weir_buffer_deinit(&idle.heard);
    weir_buffer_deinit(&late.heard);
    weir_buffer_deinit(&held.heard);
    stop_and_end(sim, &service);
}

/* ---- real sockets: a blocking client on a lane of its own ---- */

typedef struct real_client {
    test_service service;
    io_real *real;
    io_lane *lane;
    io_job talk_job, stop_job;
} real_client;

static int open_socket(uint16_t port) {
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    weir_assert(connect(descriptor, (const struct sockaddr *)&address, sizeof address) == 0);
    return descriptor;
}

/* Says `text`, in one piece or byte by byte, and hears until the server closes. */
static void talk(test_client *client, uint16_t port, const char *text, bool dribbles) {
    const int descriptor = open_socket(port);
    const size_t size = strlen(text);
    for (size_t at = 0; at < size;) {
        const ssize_t sent = write(descriptor, text + at, dribbles ? 1 : size - at);
        if (sent < 0) break; /* refused already */
        at += (size_t)sent;
    }
    char piece[65536];
    for (ssize_t got; (got = read(descriptor, piece, sizeof piece)) > 0;)
        weir_buffer_append(&client->heard, piece, (size_t)got);
    close(descriptor);
}

static void real_stopped(test_service *service) {
    io_real_stop(((real_client *)service->owner)->real);
}

static void stop_job(io_job *job) {
    real_client *test = io_owner(job, real_client, stop_job);
    http_server_stop(test->service.server, 1000, service_stopped, &test->service);
}

static void talk_job(io_job *job) {
    real_client *test = io_owner(job, real_client, talk_job);
    const uint16_t port = test->service.bound.port;
    test_client client = {0};
    weir_buffer_init(&client.heard, &test->service.account, 8 * 1024 * 1024);
    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
        for (unsigned dribbles = 0; dribbles < 2; dribbles++) {
            weir_buffer_clear(&client.heard);
            talk(&client, port, talks[i].says, dribbles != 0);
            weir_assert(strcmp(heard_text(&client), talks[i].hears) == 0);
        }
    }
    weir_buffer_clear(&client.heard);
    talk(&client, port, "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false);
    weir_assert(client.heard.size > STREAM_BYTES);
    check_stream(client.heard.data, client.heard.size);
    /* Clients that leave at once, with and without a word. */
    for (unsigned i = 0; i < 20; i++) {
        const int descriptor = open_socket(port);
        const char *word = i % 2 ? "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n" : "GET /ho";
        weir_assert(write(descriptor, word, strlen(word)) > 0);
        close(descriptor);
    }
    weir_buffer_deinit(&client.heard);
    io_post(test->service.world->executor, test->service.lane, &test->stop_job);
}

static void test_talks_over_real_sockets(void **state) {
    (void)state;
    real_client test = {.service = {.on_stopped = real_stopped, .owner = &test}};
    assert_int_equal(io_real_start(&test.real, &(io_real_config){.workers = 1}).code, WEIR_OK);
    const io_world *world = io_real_world(test.real);
    service_start(&test.service, world, 0);
    test.lane = io_lane_create(world->executor, IO_LANE_BLOCKING, "client");
    io_job_init(&test.talk_job, talk_job);
    io_job_init(&test.stop_job, stop_job);
    io_post(world->executor, test.lane, &test.talk_job);
    io_real_run(test.real);
    assert_true(test.service.is_stopped);
    io_lane_destroy(world->executor, test.lane);
    service_end(&test.service);
    io_real_destroy(test.real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talks_over_simulated_links),  cmocka_unit_test(test_continue_is_said_once),
        cmocka_unit_test(test_stream_waits_for_its_reader), cmocka_unit_test(test_clients_that_vanish),
        cmocka_unit_test(test_slow_and_idle_clients),       cmocka_unit_test(test_stalled_reader),
        cmocka_unit_test(test_too_many_connections),        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_talks_over_real_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
