/* TCP over libuv: one write request in flight a connection, whatever else is queued goes with the next.
 *
 * Callbacks into the protocol are made from the loop's own callbacks, but never from inside a call of the protocol:
 * what a call would have to report is put off (real_network_deferred) to the end of the turn.
 *
 * Life of a connection: OPEN -> DRAINING (reading has stopped, the queue is being sent, an alarm bounds it) -> CLOSING
 * (libuv closes the handles) -> callbacks for what was not sent, on_closed, freed. */
#include "io/real/io_real_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

enum {
    VECTOR_MAX = 32,
    LISTEN_BACKLOG = 511,
    DRAIN_MAX_MS = 5000,
    LINGER_BYTES_MAX = 256 * 1024,
    FREE_PORT_TRIES = 32,
};

typedef enum conn_state { CONN_OPEN, CONN_DRAINING, CONN_CLOSING } conn_state;

typedef struct real_connect real_connect;

typedef struct write_queue {
    io_write *first, *last;
} write_queue;

struct real_conn {
    io_conn base;
    real_loop *loop;
    conn_state state;
    uv_tcp_t tcp;
    uv_timer_t alarm; /* bounds the draining; a handle only while alarm_made */
    uv_write_t request;
    bool in_flight, alarm_made, paused, is_deferred;
    bool is_unknown; /* to any protocol: failed before its accept callback */
    unsigned holds;  /* open handles and a running look-up: the connection lives until all have ended */
    size_t in_flight_bytes, first_sent_bytes;
    write_queue waiting;  /* not wholly sent; first_sent_bytes of the first are */
    write_queue done;     /* sent, callback put off */
    write_queue too_late; /* written after the close, callback put off */
    real_connect *connecting;
    weir_code why;
    char *why_text; /* NULL when why is OK */
    real_conn *next_deferred;
    real_conn *next, *previous;
};

/* An outgoing connection on its way: the addresses that are left to try. */
struct real_connect {
    uv_connect_t request;
    uv_getaddrinfo_t lookup;
    struct addrinfo *found, *at;
    bool has_next;
    uint16_t port;
    void (*connected)(void *arg, weir_status status, io_conn *conn);
    void *arg;
    char host[];
};

struct io_listener {
    real_loop *loop;
    uv_tcp_t sockets[2];
    unsigned socket_count, sockets_open;
    void (*accept)(void *arg, io_conn *conn);
    void *arg;
    io_listener *next;
};

/* ---- addresses ---- */

static weir_status numeric_address(const char *host, uint16_t port, struct sockaddr_storage *address) {
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)address) == 0) return weir_ok();
    if (uv_ip6_addr(host, port, (struct sockaddr_in6 *)address) == 0) return weir_ok();
    return weir_fail(WEIR_NOT_FOUND, "%s is not a numeric address", host);
}

static weir_status resolve(real_loop *loop, const char *host, uint16_t port, struct sockaddr_storage *address) {
    if (!weir_failed(numeric_address(host, port, address))) return weir_ok();
    uv_getaddrinfo_t request;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    const int error = uv_getaddrinfo(&loop->uv, &request, NULL, host, service, &hints);
    if (error) return weir_fail(WEIR_NOT_FOUND, "the host %s has no address: %s", host, uv_strerror(error));
    memcpy(address, request.addrinfo->ai_addr, request.addrinfo->ai_addrlen);
    uv_freeaddrinfo(request.addrinfo);
    return weir_ok();
}

static void address_text(const struct sockaddr_storage *source, io_address *address) {
    if (source->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)source;
        inet_ntop(AF_INET, &in->sin_addr, address->host, sizeof address->host);
        address->port = ntohs(in->sin_port);
        return;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)source;
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], address->host, sizeof address->host);
    else
        inet_ntop(AF_INET6, &in6->sin6_addr, address->host, sizeof address->host);
    address->port = ntohs(in6->sin6_port);
}

static void socket_addresses(const uv_tcp_t *tcp, io_address *local, io_address *remote) {
    struct sockaddr_storage address;
    int size = sizeof address;
    if (uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &size) == 0) address_text(&address, local);
    size = sizeof address;
    if (remote && uv_tcp_getpeername(tcp, (struct sockaddr *)&address, &size) == 0) address_text(&address, remote);
}

/* ---- writing ---- */

static void defer(real_conn *conn) {
    if (conn->is_deferred) return;
    conn->is_deferred = true;
    conn->next_deferred = conn->loop->deferred;
    conn->loop->deferred = conn;
}

static size_t write_bytes(const io_write *write) {
    size_t bytes = 0;
    for (size_t i = 0; i < write->part_count; i++) bytes += write->parts[i].size;
    return bytes;
}

static void queue_append(write_queue *queue, io_write *write) {
    write->next = NULL;
    if (queue->last)
        queue->last->next = write;
    else
        queue->first = write;
    queue->last = write;
}

static io_write *queue_take(write_queue *queue) {
    io_write *write = queue->first;
    if (!write) return NULL;
    queue->first = write->next;
    if (!queue->first) queue->last = NULL;
    return write;
}

/* Moves the writes that `bytes` more complete to the done queue; a write of no bytes completes when it comes first. */
static void consume(real_conn *conn, size_t bytes) {
    conn->base.queued_bytes -= bytes;
    conn->first_sent_bytes += bytes;
    while (conn->waiting.first) {
        const size_t size = write_bytes(conn->waiting.first);
        if (conn->first_sent_bytes < size) break;
        conn->first_sent_bytes -= size;
        queue_append(&conn->done, queue_take(&conn->waiting));
        defer(conn);
    }
}

static unsigned gather(const real_conn *conn, uv_buf_t *vector, size_t *bytes) {
    unsigned count = 0;
    *bytes = 0;
    size_t skip = conn->first_sent_bytes;
    for (const io_write *write = conn->waiting.first; write && count < VECTOR_MAX; write = write->next) {
        for (size_t i = 0; i < write->part_count && count < VECTOR_MAX; i++) {
            const weir_bytes part = write->parts[i];
            if (part.size <= skip) {
                skip -= part.size;
                continue;
            }
            vector[count] = (uv_buf_t){(char *)part.data + skip, part.size - skip};
            *bytes += vector[count++].len;
            skip = 0;
        }
    }
    return count;
}

static void on_write(uv_write_t *request, int error);
static void close_now(real_conn *conn, weir_status why);

static void fail_now(real_conn *conn, int error, const char *doing) {
    const io_address *remote = &conn->base.remote;
    close_now(conn, weir_fail_errno(-error, "%s %s:%u", doing, remote->host, remote->port));
}

/* Sends what the socket takes at once, and leaves the rest to one request. */
static void pump(real_conn *conn) {
    uv_buf_t vector[VECTOR_MAX];
    size_t bytes;
    for (unsigned count; (count = gather(conn, vector, &bytes)) > 0;) {
        const int sent = uv_try_write((uv_stream_t *)&conn->tcp, vector, count);
        if (sent >= 0) {
            consume(conn, (size_t)sent);
            if ((size_t)sent == bytes) continue;
            count = gather(conn, vector, &bytes);
        } else if (sent != UV_EAGAIN) {
            fail_now(conn, sent, "writing to");
            return;
        }
        const int error = uv_write(&conn->request, (uv_stream_t *)&conn->tcp, vector, count, on_write);
        if (error) {
            fail_now(conn, error, "writing to");
            return;
        }
        conn->in_flight = true;
        conn->in_flight_bytes = bytes;
        return;
    }
    consume(conn, 0);
    if (conn->state == CONN_DRAINING) close_now(conn, weir_ok());
}

static void on_write(uv_write_t *request, int error) {
    real_conn *conn = request->data;
    conn->in_flight = false;
    if (conn->state == CONN_CLOSING) return;
    if (error) {
        fail_now(conn, error, "writing to");
        return;
    }
    consume(conn, conn->in_flight_bytes);
    pump(conn);
}

static void conn_write(io_conn *self, io_write *write) {
    real_conn *conn = (real_conn *)self;
    weir_assert(write->part_count <= sizeof write->parts / sizeof write->parts[0]);
    if (conn->state != CONN_OPEN) {
        queue_append(&conn->too_late, write);
        defer(conn);
        return;
    }
    queue_append(&conn->waiting, write);
    self->queued_bytes += write_bytes(write);
    if (!conn->in_flight) pump(conn);
}

static void call_sent(write_queue *queue, weir_status status) {
    write_queue taken = *queue;
    *queue = (write_queue){0};
    for (io_write *write; (write = queue_take(&taken));) write->sent(write, status);
}

void real_network_deferred(real_loop *loop) {
    real_conn *conn = loop->deferred;
    loop->deferred = NULL;
    while (conn) {
        real_conn *next = conn->next_deferred; /* freed only by a callback of the loop, never by one of the protocol */
        conn->is_deferred = false;
        call_sent(&conn->done, weir_ok());
        if (conn->too_late.first) call_sent(&conn->too_late, weir_fail(WEIR_CLOSED, "the connection is closed"));
        conn = next;
    }
}

/* ---- closing ---- */

static void undefer(real_conn *conn) {
    if (!conn->is_deferred) return;
    real_conn **link = &conn->loop->deferred;
    while (*link != conn) link = &(*link)->next_deferred;
    *link = conn->next_deferred;
    conn->is_deferred = false;
}

static void connect_next(real_conn *conn);

static void conn_free(real_conn *conn) {
    real_loop *loop = conn->loop;
    if (conn->previous)
        conn->previous->next = conn->next;
    else
        loop->conns = conn->next;
    if (conn->next) conn->next->previous = conn->previous;
    if (conn->connecting) {
        uv_freeaddrinfo(conn->connecting->found);
        weir_free(&loop->real->account, conn->connecting);
    }
    weir_free(&loop->real->account, conn->why_text);
    weir_free(&loop->real->account, conn);
}

static weir_status conn_why(const real_conn *conn) {
    return conn->why == WEIR_OK ? weir_ok() : weir_fail(conn->why, "%s", conn->why_text);
}

/* The last word to the protocol. */
static void conn_farewell(real_conn *conn) {
    if (conn->connecting) {
        conn->connecting->connected(conn->connecting->arg, conn_why(conn), NULL);
        return;
    }
    const weir_status lost = weir_fail(WEIR_CLOSED, "the connection is closed");
    char text[WEIR_STATUS_TEXT_MAX];
    snprintf(text, sizeof text, "%s", lost.text); /* the callbacks may fail more often than the ring holds */
    while (conn->done.first || conn->waiting.first || conn->too_late.first) {
        call_sent(&conn->done, weir_ok());
        call_sent(&conn->waiting, (weir_status){WEIR_CLOSED, text});
        call_sent(&conn->too_late, (weir_status){WEIR_CLOSED, text});
    }
    undefer(conn);
    conn->base.queued_bytes = 0;
    conn->base.events.on_closed(conn->base.events.protocol, conn_why(conn));
}

static void conn_release(real_conn *conn) {
    if (--conn->holds > 0) return;
    if (conn->loop->is_ending || conn->is_unknown) {
        undefer(conn);
        conn_free(conn);
        return;
    }
    if (conn->connecting && conn->connecting->has_next) {
        connect_next(conn);
        return;
    }
    conn_farewell(conn);
    conn_free(conn);
}

static void on_handle_closed(uv_handle_t *handle) {
    conn_release(handle->data);
}

/* A close with unread bytes makes the kernel send a reset, which may overtake our last words: read them away. */
static void discard_unread(real_conn *conn) {
    uv_os_fd_t descriptor;
    if (uv_fileno((uv_handle_t *)&conn->tcp, &descriptor) != 0) return;
    shutdown(descriptor, SHUT_WR);
    for (size_t left = LINGER_BYTES_MAX; left > 0;) {
        const size_t room = left < REAL_READ_BYTES ? left : REAL_READ_BYTES;
        const ssize_t got = recv(descriptor, conn->loop->discard_buffer, room, MSG_DONTWAIT);
        if (got <= 0) return;
        left -= (size_t)got;
    }
}

static void close_now(real_conn *conn, weir_status why) {
    if (conn->state == CONN_CLOSING) return;
    conn->state = CONN_CLOSING;
    if (weir_failed(why) && conn->why == WEIR_OK) {
        conn->why = why.code;
        conn->why_text = weir_strdup(&conn->loop->real->account, why.text);
    }
    if (!weir_failed(why) && !conn->connecting) discard_unread(conn);
    uv_close((uv_handle_t *)&conn->tcp, on_handle_closed);
    if (conn->alarm_made) uv_close((uv_handle_t *)&conn->alarm, on_handle_closed);
}

static void on_drain_alarm(uv_timer_t *alarm) {
    real_conn *conn = alarm->data;
    close_now(conn, weir_fail(WEIR_TIMEOUT, "%s:%u did not take its last bytes within %d ms", conn->base.remote.host,
                              conn->base.remote.port, DRAIN_MAX_MS));
}

static void conn_close(io_conn *self) {
    real_conn *conn = (real_conn *)self;
    if (conn->state != CONN_OPEN) return;
    conn->state = CONN_DRAINING;
    uv_read_stop((uv_stream_t *)&conn->tcp);
    if (!conn->waiting.first) {
        close_now(conn, weir_ok());
        return;
    }
    uv_timer_init(&conn->loop->uv, &conn->alarm);
    conn->alarm.data = conn;
    conn->alarm_made = true;
    conn->holds++;
    uv_update_time(&conn->loop->uv);
    uv_timer_start(&conn->alarm, on_drain_alarm, DRAIN_MAX_MS, 0);
}

/* ---- reading ---- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)suggested;
    real_loop *loop = handle->loop->data;
    *buffer = (uv_buf_t){loop->read_buffer, sizeof loop->read_buffer};
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer) {
    real_conn *conn = stream->data;
    if (size > 0) {
        conn->base.events.on_data(conn->base.events.protocol, weir_bytes_of(buffer->base, (size_t)size));
    } else if (size == UV_EOF) {
        conn_close(&conn->base);
    } else if (size < 0) {
        fail_now(conn, (int)size, "reading from");
    }
}

static void conn_pause(io_conn *self) {
    real_conn *conn = (real_conn *)self;
    conn->paused = true;
    if (conn->state == CONN_OPEN) uv_read_stop((uv_stream_t *)&conn->tcp);
}

static void conn_resume(io_conn *self) {
    real_conn *conn = (real_conn *)self;
    conn->paused = false;
    if (conn->state == CONN_OPEN) uv_read_start((uv_stream_t *)&conn->tcp, on_allocate, on_read);
}

static real_conn *conn_create(real_loop *loop) {
    real_conn *conn = weir_alloc(&loop->real->account, sizeof *conn);
    conn->base.write = conn_write;
    conn->base.pause = conn_pause;
    conn->base.resume = conn_resume;
    conn->base.close = conn_close;
    conn->loop = loop;
    uv_tcp_init(&loop->uv, &conn->tcp);
    conn->tcp.data = conn->request.data = conn;
    conn->holds = 1;
    conn->next = loop->conns;
    if (conn->next) conn->next->previous = conn;
    loop->conns = conn;
    return conn;
}

/* After the protocol has set its events: it may already have paused or closed. */
static void conn_begin(real_conn *conn) {
    weir_assert(conn->base.events.on_data && conn->base.events.on_closed);
    if (conn->state == CONN_OPEN && !conn->paused) conn_resume(&conn->base);
}

/* ---- listening ---- */

/* Out of descriptors, libuv accepts and closes at once with one it holds back: the listener neither spins nor stops. */
static void on_connection(uv_stream_t *stream, int error) {
    io_listener *listener = stream->data;
    if (error) return;
    real_conn *conn = conn_create(listener->loop);
    const int refused = uv_accept(stream, (uv_stream_t *)&conn->tcp);
    if (refused) {
        conn->is_unknown = true;
        close_now(conn, weir_ok());
        return;
    }
    uv_tcp_nodelay(&conn->tcp, 1);
    socket_addresses(&conn->tcp, &conn->base.local, &conn->base.remote);
    listener->accept(listener->arg, &conn->base);
    conn_begin(conn);
}

static int listen_at(io_listener *listener, const struct sockaddr_storage *address) {
    uv_tcp_t *socket = &listener->sockets[listener->socket_count];
    uv_tcp_init(&listener->loop->uv, socket);
    socket->data = listener;
    listener->socket_count++;
    listener->sockets_open++;
    const int error = uv_tcp_bind(socket, (const struct sockaddr *)address, 0);
    return error ? error : uv_listen((uv_stream_t *)socket, LISTEN_BACKLOG, on_connection);
}

static void on_listener_closed(uv_handle_t *handle) {
    io_listener *listener = handle->data;
    if (--listener->sockets_open == 0) weir_free(&listener->loop->real->account, listener);
}

static void listener_drop(io_listener *listener) {
    for (unsigned i = 0; i < listener->socket_count; i++)
        uv_close((uv_handle_t *)&listener->sockets[i], on_listener_closed);
}

/* Both loopback addresses on one port; a machine without IPv6 has only the one. */
static int listen_at_localhost(io_listener *listener, uint16_t port) {
    struct sockaddr_storage address;
    io_address bound = {.port = 0};
    uv_ip4_addr("127.0.0.1", port, (struct sockaddr_in *)&address);
    const int error = listen_at(listener, &address);
    if (error) return error;
    socket_addresses(&listener->sockets[0], &bound, NULL);
    uv_ip6_addr("::1", bound.port, (struct sockaddr_in6 *)&address);
    const int error6 = listen_at(listener, &address);
    return error6 == UV_EADDRINUSE ? error6 : 0;
}

static weir_status network_listen(io_network *self, io_lane *lane, const char *host, uint16_t port,
                                  void (*accept)(void *arg, io_conn *conn), void *arg, io_listener **created,
                                  io_address *bound) {
    io_real *real = io_owner(self, io_real, network);
    weir_assert(lane->kind == IO_LANE_LOOP);
    const bool is_localhost = strcmp(host, "localhost") == 0;
    struct sockaddr_storage address;
    if (!is_localhost) WEIR_TRY(resolve(lane->loop, host, port, &address));
    int error = 0;
    for (unsigned tries = 0; tries < FREE_PORT_TRIES; tries++) {
        io_listener *listener = weir_alloc(&real->account, sizeof *listener);
        *listener = (io_listener){.loop = lane->loop, .accept = accept, .arg = arg};
        error = is_localhost ? listen_at_localhost(listener, port) : listen_at(listener, &address);
        if (!error) {
            socket_addresses(&listener->sockets[0], bound, NULL);
            *created = listener;
            return weir_ok();
        }
        listener_drop(listener);
        if (port != 0 || error != UV_EADDRINUSE) break; /* a free port of one address may be taken at the other */
    }
    if (error == UV_EADDRINUSE)
        return weir_fail(WEIR_BUSY, "the port %s:%u is in use by another process: stop it or choose another port", host,
                         port);
    return weir_fail_errno(-error, "listening at %s:%u", host, port);
}

static void network_unlisten(io_network *self, io_listener *listener) {
    (void)self;
    listener_drop(listener);
}

/* ---- connecting ---- */

static void on_connected(uv_connect_t *request, int error) {
    real_conn *conn = request->data;
    real_connect *connecting = conn->connecting;
    if (conn->state == CONN_CLOSING) return;
    if (error) {
        connecting->has_next = connecting->at && (connecting->at = connecting->at->ai_next);
        if (connecting->has_next)
            close_now(conn, weir_ok());
        else
            close_now(conn, weir_fail_errno(-error, "connecting to %s:%u", connecting->host, connecting->port));
        return;
    }
    uv_tcp_nodelay(&conn->tcp, 1);
    socket_addresses(&conn->tcp, &conn->base.local, &conn->base.remote);
    conn->connecting = NULL;
    connecting->connected(connecting->arg, weir_ok(), &conn->base);
    uv_freeaddrinfo(connecting->found);
    weir_free(&conn->loop->real->account, connecting);
    conn_begin(conn);
}

static void connect_to(real_conn *conn, const struct sockaddr *address) {
    real_connect *connecting = conn->connecting;
    connecting->has_next = false;
    connecting->request.data = conn;
    const int error = uv_tcp_connect(&connecting->request, &conn->tcp, address, on_connected);
    if (error) on_connected(&connecting->request, error); /* tells nobody yet: the closed handle does */
}

/* A socket that failed to connect is of no further use: the next address gets a new one. */
static void connect_next(real_conn *conn) {
    uv_tcp_init(&conn->loop->uv, &conn->tcp);
    conn->tcp.data = conn;
    conn->holds = 1;
    conn->state = CONN_OPEN;
    connect_to(conn, conn->connecting->at->ai_addr);
}

static void on_found(uv_getaddrinfo_t *request, int error, struct addrinfo *found) {
    real_conn *conn = request->data;
    conn->connecting->found = conn->connecting->at = found;
    if (conn->state != CONN_CLOSING) {
        if (error) {
            close_now(conn, weir_fail(WEIR_NOT_FOUND, "the host %s has no address: %s", conn->connecting->host,
                                      uv_strerror(error)));
        } else {
            connect_to(conn, found->ai_addr);
        }
    }
    conn_release(conn);
}

static void network_connect(io_network *self, io_lane *lane, const char *host, uint16_t port,
                            void (*connected)(void *arg, weir_status status, io_conn *conn), void *arg) {
    io_real *real = io_owner(self, io_real, network);
    weir_assert(lane->kind == IO_LANE_LOOP && real_current_loop == lane->loop);
    const size_t host_bytes = strlen(host) + 1;
    real_conn *conn = conn_create(lane->loop);
    real_connect *connecting = weir_alloc(&real->account, sizeof *connecting + host_bytes);
    memcpy(connecting->host, host, host_bytes);
    connecting->port = port;
    connecting->connected = connected;
    connecting->arg = arg;
    conn->connecting = connecting;
    struct sockaddr_storage numeric;
    if (!weir_failed(numeric_address(host, port, &numeric))) {
        connect_to(conn, (const struct sockaddr *)&numeric);
        return;
    }
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    connecting->lookup.data = conn;
    const int error = uv_getaddrinfo(&lane->loop->uv, &connecting->lookup, on_found, host, service, &hints);
    if (error)
        close_now(conn, weir_fail_errno(-error, "looking up %s", host));
    else
        conn->holds++;
}

void real_network_close_all(real_loop *loop) {
    loop->is_ending = true;
    for (real_conn *conn = loop->conns; conn; conn = conn->next) close_now(conn, weir_ok());
}

static void listener_close(uv_handle_t *handle, void *arg) {
    (void)arg;
    if (handle->type == UV_TCP && !uv_is_closing(handle)) uv_close(handle, on_listener_closed);
}

/* Every TCP handle that is no connection's is a listener's. */
void real_network_close_listeners(real_loop *loop) {
    uv_walk(&loop->uv, listener_close, NULL);
}

void real_network_init(io_network *network) {
    *network = (io_network){.listen = network_listen, .unlisten = network_unlisten, .connect = network_connect};
}
