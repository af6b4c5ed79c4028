/* Connections and exchanges. A connection has an exchange from the first byte of a request until its response has been
 * handed over; an idle one holds no buffers at all. */
#include "http/http_server.h"

#include <stdio.h>

enum {
    EXTRA_BYTES_MAX = 16 * 1024,
    TEXT_BYTES_MAX = 4096,
    HEAD_ROOM_BYTES = 1024,
    CHUNK_ROOM_BYTES = 32,
    AHEAD_ROOM_BYTES = HTTP_AHEAD_BYTES_MAX + 1024 * 1024, /* the piece that goes over the limit still finds room */
};

typedef struct server_conn server_conn;

typedef enum exchange_state { EXCHANGE_RECEIVING, EXCHANGE_HANDLING, EXCHANGE_STREAMING } exchange_state;

struct http_exchange {
    http_server *server;
    server_conn *conn; /* NULL once the client is gone */
    exchange_state state;
    http_framing framing;
    http_parser parser;
    weir_buffer extra; /* header lines */
    io_address remote;
    void (*closed)(void *arg);
    void *closed_arg;
    void (*drained)(void *arg);
    void *drained_arg;
    bool wants_drained;
};

struct server_conn {
    http_server *server;
    io_conn *io;
    http_exchange *exchange;
    weir_buffer ahead; /* bytes of later requests */
    bool is_paused, is_taking, is_closing;
    io_timer timer;
    io_job timer_job, go_on_job, free_job;
    server_conn *next, *previous;
};

struct http_server {
    http_server_config config;
    io_listener *listener;
    server_conn *conns;
    unsigned conn_count;
    size_t exchange_count;
    bool is_stopping, is_stopped;
    io_timer grace_timer;
    io_job grace_job, stopped_job;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* Bytes on their way to a client. */
typedef struct outgoing {
    io_write write;
    server_conn *conn;
    uint8_t data[];
} outgoing;

static void timer_set_ms(server_conn *conn, int64_t ms) {
    const io_world *world = conn->server->config.world;
    io_timer_set(world->executor, &conn->timer, io_now_ns(world->clock) + ms * 1000000);
}

static void timer_cancel(server_conn *conn) {
    io_timer_cancel(conn->server->config.world->executor, &conn->timer);
}

static void conn_close(server_conn *conn) {
    if (conn->is_closing) return;
    conn->is_closing = true;
    timer_cancel(conn);
    io_conn_close(conn->io);
}

/* ---- sending ---- */

static void on_sent(io_write *write, weir_status status) {
    outgoing *out = (outgoing *)write;
    server_conn *conn = out->conn;
    weir_free(conn->server->config.account, out);
    if (weir_failed(status) || conn->is_closing) return;
    const size_t queued = io_conn_queued(conn->io);
    http_exchange *exchange = conn->exchange;
    const bool is_answering = exchange && exchange->state != EXCHANGE_RECEIVING;
    if (is_answering && queued > 0)
        timer_set_ms(conn, conn->server->config.send_max_ms);
    else if (is_answering)
        timer_cancel(conn);
    if (is_answering && exchange->wants_drained && queued <= HTTP_EXCHANGE_LOW_BYTES) {
        exchange->wants_drained = false;
        if (exchange->drained) exchange->drained(exchange->drained_arg);
    }
}

/* Copies the contents of `bytes` away as one write, and empties it. What could not be written closes the connection:
 * half a response helps nobody. */
static void conn_send(server_conn *conn, weir_buffer *bytes) {
    if (conn->is_closing) return;
    weir_account *account = conn->server->config.account;
    outgoing *out = bytes->overflowed ? NULL : weir_try_alloc_raw(account, sizeof *out + bytes->size);
    if (!out || io_conn_queued(conn->io) > HTTP_EXCHANGE_QUEUE_BYTES_MAX) {
        weir_free(account, out);
        conn_close(conn);
        return;
    }
    memcpy(out->data, bytes->data, bytes->size);
    out->conn = conn;
    out->write = (io_write){.parts = {{out->data, bytes->size}}, .part_count = 1, .sent = on_sent};
    weir_buffer_clear(bytes);
    if (!conn->timer.set) timer_set_ms(conn, conn->server->config.send_max_ms);
    io_conn_write(conn->io, &out->write);
}

/* ---- exchanges ---- */

static http_exchange *exchange_create(server_conn *conn) {
    http_server *server = conn->server;
    http_exchange *exchange = weir_try_alloc(server->config.account, sizeof *exchange);
    if (!exchange) return NULL;
    exchange->server = server;
    exchange->conn = conn;
    exchange->remote = conn->io->remote;
    http_parser_init(&exchange->parser, server->config.account, server->config.body_bytes_max);
    weir_buffer_init(&exchange->extra, server->config.account, EXTRA_BYTES_MAX);
    server->exchange_count++;
    return exchange;
}

static void exchange_free(http_exchange *exchange) {
    http_server *server = exchange->server;
    http_parser_deinit(&exchange->parser);
    weir_buffer_deinit(&exchange->extra);
    server->exchange_count--;
    weir_free(server->config.account, exchange);
}

static bool keeps_alive(const http_exchange *exchange) {
    return exchange->parser.request.keep_alive && !exchange->server->is_stopping;
}

/* The response has been handed over: the connection goes on with the next request, or closes. */
static void exchange_end(http_exchange *exchange, bool keep_alive) {
    server_conn *conn = exchange->conn;
    exchange_free(exchange);
    if (!conn) return;
    conn->exchange = NULL;
    if (!keep_alive) {
        conn_close(conn);
        return;
    }
    if (conn->is_closing) return;
    timer_set_ms(conn, conn->server->config.idle_max_ms);
    if (!conn->is_taking) io_post(conn->server->config.world->executor, conn->server->config.lane, &conn->go_on_job);
}

static void append_head(http_exchange *exchange, weir_buffer *target, unsigned status, const char *content_type,
                        uint64_t content_length, bool keep_alive) {
    const http_head head = {.status = status,
                            .framing = exchange->framing,
                            .content_length = content_length,
                            .keep_alive = keep_alive,
                            .version_minor = exchange->parser.request.version_minor,
                            .content_type = content_type,
                            .date_ms = io_wall_ms(exchange->server->config.world->clock),
                            .extra = weir_buffer_view(&exchange->extra)};
    http_head_append(target, &head);
}

static bool has_no_body(unsigned status) {
    return status < 200 || status == 204 || status == 304;
}

static void reply(http_exchange *exchange, unsigned status, const char *content_type, weir_bytes body,
                  bool keep_alive) {
    if (exchange->conn && exchange->extra.overflowed) {
        weir_buffer_clear(&exchange->extra);
        status = 500;
        body = weir_bytes_text("the response has too many headers\n");
        content_type = "text/plain; charset=utf-8";
    }
    if (exchange->conn) {
        exchange->framing = has_no_body(status) ? HTTP_NO_BODY : HTTP_FIXED;
        weir_buffer bytes;
        weir_buffer_init(&bytes, exchange->server->config.account, HEAD_ROOM_BYTES + EXTRA_BYTES_MAX + body.size);
        append_head(exchange, &bytes, status, content_type, body.size, keep_alive);
        const bool sends_body = exchange->framing == HTTP_FIXED && !http_method_is(&exchange->parser.request, "HEAD");
        if (sends_body) weir_buffer_append(&bytes, body.data, body.size);
        conn_send(exchange->conn, &bytes);
        weir_buffer_deinit(&bytes);
    }
    exchange_end(exchange, keep_alive);
}

const http_request *http_exchange_request(const http_exchange *exchange) {
    return &exchange->parser.request;
}
const io_address *http_exchange_remote(const http_exchange *exchange) {
    return &exchange->remote;
}
bool http_exchange_is_closed(const http_exchange *exchange) {
    return exchange->conn == NULL;
}
void http_exchange_on_closed(http_exchange *exchange, void (*closed)(void *arg), void *arg) {
    exchange->closed = closed;
    exchange->closed_arg = arg;
}
void http_exchange_on_drained(http_exchange *exchange, void (*drained)(void *arg), void *arg) {
    exchange->drained = drained;
    exchange->drained_arg = arg;
}
void http_exchange_header(http_exchange *exchange, const char *name, const char *value) {
    weir_assert(exchange->state == EXCHANGE_HANDLING);
    http_header_append(&exchange->extra, name, value);
}

void http_exchange_reply(http_exchange *exchange, unsigned status, const char *content_type, weir_bytes body) {
    weir_assert(exchange->state == EXCHANGE_HANDLING);
    reply(exchange, status, content_type, body, keeps_alive(exchange));
}

void http_exchange_reply_text(http_exchange *exchange, unsigned status, const char *format, ...) {
    char text[TEXT_BYTES_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    http_exchange_reply(exchange, status, "text/plain; charset=utf-8", weir_bytes_text(text));
}

void http_exchange_begin(http_exchange *exchange, unsigned status, const char *content_type) {
    weir_assert(exchange->state == EXCHANGE_HANDLING && !has_no_body(status));
    exchange->state = EXCHANGE_STREAMING;
    exchange->framing = exchange->parser.request.version_minor == 0 ? HTTP_UNTIL_CLOSE : HTTP_CHUNKED;
    if (!exchange->conn) return;
    weir_buffer bytes;
    weir_buffer_init(&bytes, exchange->server->config.account, HEAD_ROOM_BYTES + EXTRA_BYTES_MAX);
    append_head(exchange, &bytes, status, content_type, 0, exchange->framing == HTTP_CHUNKED && keeps_alive(exchange));
    conn_send(exchange->conn, &bytes);
    weir_buffer_deinit(&bytes);
}

bool http_exchange_write(http_exchange *exchange, weir_bytes data) {
    weir_assert(exchange->state == EXCHANGE_STREAMING);
    server_conn *conn = exchange->conn;
    if (!conn || data.size == 0 || http_method_is(&exchange->parser.request, "HEAD")) return true;
    weir_buffer bytes;
    weir_buffer_init(&bytes, exchange->server->config.account, CHUNK_ROOM_BYTES + data.size);
    if (exchange->framing == HTTP_CHUNKED)
        http_chunk_append(&bytes, data);
    else
        weir_buffer_append(&bytes, data.data, data.size);
    conn_send(conn, &bytes);
    weir_buffer_deinit(&bytes);
    if (io_conn_queued(conn->io) <= HTTP_EXCHANGE_HIGH_BYTES) return true;
    exchange->wants_drained = true;
    return false;
}

void http_exchange_finish(http_exchange *exchange) {
    weir_assert(exchange->state == EXCHANGE_STREAMING);
    if (exchange->conn && exchange->framing == HTTP_CHUNKED && !http_method_is(&exchange->parser.request, "HEAD")) {
        weir_buffer bytes;
        weir_buffer_init(&bytes, exchange->server->config.account, CHUNK_ROOM_BYTES);
        http_chunk_end_append(&bytes);
        conn_send(exchange->conn, &bytes);
        weir_buffer_deinit(&bytes);
    }
    exchange_end(exchange, exchange->framing == HTTP_CHUNKED && keeps_alive(exchange));
}

void http_exchange_abort(http_exchange *exchange) {
    weir_assert(exchange->state != EXCHANGE_RECEIVING);
    exchange_end(exchange, false);
}

/* ---- receiving ---- */

static void refuse(http_exchange *exchange, unsigned status, const char *reason) {
    exchange->state = EXCHANGE_HANDLING;
    char text[256];
    const int size = snprintf(text, sizeof text, "%s\n", reason);
    reply(exchange, status, "text/plain; charset=utf-8", weir_bytes_of(text, (size_t)size), false);
}

static void send_continue(server_conn *conn) {
    weir_buffer bytes;
    weir_buffer_init(&bytes, conn->server->config.account, CHUNK_ROOM_BYTES);
    weir_buffer_append_text(&bytes, "HTTP/1.1 100 Continue\r\n\r\n");
    conn_send(conn, &bytes);
    weir_buffer_deinit(&bytes);
}

/* Takes bytes for the request being received, or the first of a new one; returns how many. */
static size_t take(server_conn *conn, weir_bytes data) {
    http_server *server = conn->server;
    if (!conn->exchange) {
        conn->exchange = exchange_create(conn);
        if (!conn->exchange) {
            conn_close(conn);
            return data.size;
        }
        timer_set_ms(conn, server->config.receive_max_ms);
    }
    http_exchange *exchange = conn->exchange;
    size_t taken;
    switch (http_parser_feed(&exchange->parser, data, &taken)) {
    case HTTP_CONTINUE: send_continue(conn); break;
    case HTTP_MORE: break;
    case HTTP_BAD: refuse(exchange, exchange->parser.refusal_status, exchange->parser.refusal_reason); return data.size;
    case HTTP_REQUEST:
        timer_cancel(conn);
        exchange->state = EXCHANGE_HANDLING;
        server->config.handle(server->config.arg, &exchange->parser.request, exchange);
        return taken;
    }
    if (http_parser_has_head(&exchange->parser)) timer_set_ms(conn, server->config.receive_max_ms);
    return taken;
}

static bool can_take(const server_conn *conn) {
    return !conn->is_closing && (!conn->exchange || conn->exchange->state == EXCHANGE_RECEIVING);
}

/* The requests that are complete, one after another, as long as each is answered at once. */
static size_t take_all(server_conn *conn, weir_bytes data) {
    size_t taken = 0;
    conn->is_taking = true;
    while (taken < data.size && can_take(conn))
        taken += take(conn, weir_bytes_of(data.data + taken, data.size - taken));
    conn->is_taking = false;
    return conn->is_closing ? data.size : taken;
}

static void pause_or_resume(server_conn *conn) {
    if (conn->is_closing) return;
    const bool is_full = conn->ahead.size > HTTP_AHEAD_BYTES_MAX;
    if (is_full == conn->is_paused) return;
    conn->is_paused = is_full;
    if (is_full)
        io_conn_pause(conn->io);
    else
        io_conn_resume(conn->io);
}

/* An idle connection keeps no memory for what may come. */
static void ahead_empty(server_conn *conn) {
    weir_buffer_deinit(&conn->ahead);
    weir_buffer_init(&conn->ahead, conn->server->config.account, AHEAD_ROOM_BYTES);
}

static void on_data(void *protocol, weir_bytes data) {
    server_conn *conn = protocol;
    const size_t taken = conn->ahead.size == 0 ? take_all(conn, data) : 0;
    weir_buffer_append(&conn->ahead, data.data + taken, data.size - taken);
    if (conn->ahead.overflowed) conn_close(conn);
    pause_or_resume(conn);
}

static void go_on_job(io_job *job) {
    server_conn *conn = io_owner(job, server_conn, go_on_job);
    if (conn->is_closing || conn->ahead.size == 0) return;
    const size_t taken = take_all(conn, weir_buffer_view(&conn->ahead));
    weir_buffer_consume(&conn->ahead, taken);
    if (conn->ahead.size == 0) ahead_empty(conn);
    pause_or_resume(conn);
}

static void timer_job(io_job *job) {
    server_conn *conn = io_owner(job, server_conn, timer_job);
    if (conn->is_closing || conn->timer.set) return; /* set again meanwhile: not late */
    http_exchange *exchange = conn->exchange;
    if (exchange && exchange->state == EXCHANGE_RECEIVING)
        refuse(exchange, 408, "The request did not come in time.");
    else if (!exchange || io_conn_queued(conn->io) > 0)
        conn_close(conn);
}

/* ---- connections ---- */

static void check_stopped(http_server *server) {
    if (!server->is_stopping || server->conn_count > 0 || server->is_stopped) return;
    server->is_stopped = true;
    io_timer_cancel(server->config.world->executor, &server->grace_timer);
    io_post(server->config.world->executor, server->config.lane, &server->stopped_job);
}

/* The last job of a connection on its lane: none of its others is queued any more. */
static void free_job(io_job *job) {
    server_conn *conn = io_owner(job, server_conn, free_job);
    http_server *server = conn->server;
    if (conn->previous)
        conn->previous->next = conn->next;
    else
        server->conns = conn->next;
    if (conn->next) conn->next->previous = conn->previous;
    server->conn_count--;
    weir_buffer_deinit(&conn->ahead);
    weir_free(server->config.account, conn);
    check_stopped(server);
}

static void on_closed(void *protocol, weir_status why) {
    (void)why;
    server_conn *conn = protocol;
    http_exchange *exchange = conn->exchange;
    conn->is_closing = true;
    conn->exchange = NULL;
    timer_cancel(conn);
    if (exchange) {
        exchange->conn = NULL;
        if (exchange->state == EXCHANGE_RECEIVING)
            exchange_free(exchange);
        else if (exchange->closed)
            exchange->closed(exchange->closed_arg);
    }
    io_post(conn->server->config.world->executor, conn->server->config.lane, &conn->free_job);
}

static void on_accept(void *arg, io_conn *io) {
    http_server *server = arg;
    server_conn *conn = weir_alloc(server->config.account, sizeof *conn);
    conn->server = server;
    conn->io = io;
    ahead_empty(conn);
    io_job_init(&conn->timer_job, timer_job);
    io_job_init(&conn->go_on_job, go_on_job);
    io_job_init(&conn->free_job, free_job);
    io_timer_init(&conn->timer, server->config.lane, &conn->timer_job);
    conn->next = server->conns;
    if (conn->next) conn->next->previous = conn;
    server->conns = conn;
    server->conn_count++;
    io->events = (io_conn_events){on_data, on_closed, conn};
    if (server->conn_count <= server->config.connections_max) {
        timer_set_ms(conn, server->config.idle_max_ms);
        return;
    }
    conn->exchange = exchange_create(conn);
    if (conn->exchange)
        refuse(conn->exchange, 503, "The server has as many connections as it may.");
    else
        conn_close(conn);
}

/* ---- life ---- */

static void grace_job(io_job *job) {
    http_server *server = io_owner(job, http_server, grace_job);
    for (server_conn *conn = server->conns; conn; conn = conn->next) conn_close(conn);
}

static void stopped_job(io_job *job) {
    http_server *server = io_owner(job, http_server, stopped_job);
    server->stopped(server->stopped_arg);
}

weir_status http_server_start(http_server **started, const http_server_config *config, const char *host, uint16_t port,
                              io_address *bound) {
    http_server *server = weir_alloc(config->account, sizeof *server);
    server->config = *config;
    if (!config->body_bytes_max) server->config.body_bytes_max = 16 * 1024 * 1024;
    if (!config->connections_max) server->config.connections_max = 1000;
    if (!config->idle_max_ms) server->config.idle_max_ms = 75 * 1000;
    if (!config->receive_max_ms) server->config.receive_max_ms = 10 * 1000;
    if (!config->send_max_ms) server->config.send_max_ms = 60 * 1000;
    io_job_init(&server->grace_job, grace_job);
    io_job_init(&server->stopped_job, stopped_job);
    io_timer_init(&server->grace_timer, config->lane, &server->grace_job);
    const weir_status status =
        io_listen(config->world->network, config->lane, host, port, on_accept, server, &server->listener, bound);
    if (weir_failed(status)) {
        weir_free(config->account, server);
        return status;
    }
    *started = server;
    return weir_ok();
}

void http_server_stop(http_server *server, int64_t grace_ms, void (*stopped)(void *arg), void *arg) {
    weir_assert(!server->is_stopping);
    const io_world *world = server->config.world;
    server->is_stopping = true;
    server->stopped = stopped;
    server->stopped_arg = arg;
    io_unlisten(world->network, server->listener);
    server->listener = NULL;
    for (server_conn *conn = server->conns; conn; conn = conn->next)
        if (!conn->exchange) conn_close(conn);
    io_timer_set(world->executor, &server->grace_timer, io_now_ns(world->clock) + grace_ms * 1000000);
    check_stopped(server);
}

void http_server_destroy(http_server *server) {
    weir_assert(server->exchange_count == 0 && server->conn_count == 0);
    if (server->listener) io_unlisten(server->config.world->network, server->listener);
    io_timer_cancel(server->config.world->executor, &server->grace_timer);
    weir_free(server->config.account, server);
}

unsigned http_server_connections(const http_server *server) {
    return server->conn_count;
}
