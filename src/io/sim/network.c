/* Links in memory. Each end of a link has a sending job, which moves bytes into the other end's inbound buffer, and a
 * receiving job, which hands them to the protocol; the seed picks when each runs and how much it moves. All of an end's
 * jobs run on its lane, so its ending job, set last, runs after every other. */
#include "io/sim/io_sim_int.h"

#include "base/buffer.h"

#include <stdio.h>

enum { DELAY_NS_MAX = 200 * 1000, CUT_SMALL_BYTES = 16, FIRST_PORT = 40000 };
static const int64_t DRAIN_MAX_NS = 5000 * 1000000ll;

typedef enum conn_state { CONN_OPEN, CONN_DRAINING, CONN_CLOSING } conn_state;

typedef struct write_queue {
    io_write *first, *last;
} write_queue;

struct sim_conn {
    io_conn base;
    io_sim *sim;
    io_lane *lane;
    sim_conn *peer;        /* NULL once it has ended */
    io_listener *listener; /* whose accept callback is still to come */
    conn_state state;
    bool is_known; /* to a protocol */
    bool paused, peer_ended;
    write_queue waiting, done, too_late;
    size_t first_sent_bytes;
    weir_buffer inbound;
    weir_error why;
    io_timer send_timer, receive_timer, accept_timer, drain_timer, end_timer;
    io_job send_job, receive_job, accept_job, drain_job, end_job;
    sim_conn *next;
};

struct io_listener {
    io_lane *lane;
    io_address address;
    void (*accept)(void *arg, io_conn *conn);
    void *arg;
    io_listener *next;
};

struct sim_connect { /* an outgoing connection on its way */
    io_sim *sim;
    io_lane *lane;
    io_timer timer;
    io_job job;
    void (*connected)(void *arg, weir_status status, io_conn *conn);
    void *arg;
    io_address target;
    sim_connect *next;
};

static void kick(sim_conn *conn, io_timer *timer) {
    io_sim *sim = conn->sim;
    if (timer->set) return;
    io_timer_set(&sim->executor, timer, sim->now_ns + (int64_t)sim_below(&sim->links.random, DELAY_NS_MAX));
}

/* All of it, any part, or crumbs. */
static size_t cut(io_sim *sim, size_t size) {
    if (size <= 1) return size;
    switch (sim_below(&sim->links.random, 4)) {
    case 0: return 1 + sim_below(&sim->links.random, size);
    case 1: return 1 + sim_below(&sim->links.random, size < CUT_SMALL_BYTES ? size : CUT_SMALL_BYTES);
    default: return size;
    }
}

/* ---- the queue of writes ---- */

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

static void call_sent(write_queue *queue, weir_code code) {
    write_queue taken = *queue;
    *queue = (write_queue){0};
    for (io_write *write; (write = queue_take(&taken));)
        write->sent(write, code == WEIR_OK ? weir_ok() : weir_fail(code, "the connection is closed"));
}

static size_t write_bytes(const io_write *write) {
    size_t bytes = 0;
    for (size_t i = 0; i < write->part_count; i++) bytes += write->parts[i].size;
    return bytes;
}

/* Moves up to `bytes` from the waiting writes into `target` (NULL = nowhere). */
static void transfer(sim_conn *conn, size_t bytes, weir_buffer *target) {
    while (conn->waiting.first) {
        io_write *write = conn->waiting.first;
        size_t skip = conn->first_sent_bytes;
        for (size_t i = 0; i < write->part_count && bytes > 0; i++) {
            const weir_bytes part = write->parts[i];
            if (part.size <= skip) {
                skip -= part.size;
                continue;
            }
            const size_t step = part.size - skip < bytes ? part.size - skip : bytes;
            if (target) weir_buffer_append(target, part.data + skip, step);
            bytes -= step;
            skip = 0;
            conn->first_sent_bytes += step;
            conn->base.queued_bytes -= step;
        }
        if (conn->first_sent_bytes < write_bytes(write)) return;
        conn->first_sent_bytes = 0;
        queue_append(&conn->done, queue_take(&conn->waiting));
    }
}

/* ---- ends ---- */

static void end(sim_conn *conn, weir_status why) {
    if (conn->state == CONN_CLOSING) return;
    conn->state = CONN_CLOSING;
    weir_error_set(&conn->why, why);
    io_executor *executor = &conn->sim->executor;
    io_timer_cancel(executor, &conn->send_timer);
    io_timer_cancel(executor, &conn->receive_timer);
    io_timer_cancel(executor, &conn->accept_timer);
    io_timer_cancel(executor, &conn->drain_timer);
    kick(conn, &conn->end_timer);
    sim_conn *peer = conn->peer;
    if (!peer) return;
    conn->peer = peer->peer = NULL;
    if (weir_failed(why)) {
        end(peer,
            weir_fail(WEIR_CLOSED, "the link to %s:%u was reset", peer->base.remote.host, peer->base.remote.port));
        return;
    }
    peer->peer_ended = true;
    kick(peer, &peer->receive_timer);
    kick(peer, &peer->send_timer);
}

static void conn_free(sim_conn *conn) {
    io_sim *sim = conn->sim;
    sim_conn **link = &sim->links.conns;
    while (*link != conn) link = &(*link)->next;
    *link = conn->next;
    weir_buffer_deinit(&conn->inbound);
    weir_free(&sim->account, conn);
}

static void end_job(io_job *job) {
    sim_conn *conn = io_owner(job, sim_conn, end_job);
    if (conn->is_known) {
        while (conn->done.first || conn->waiting.first || conn->too_late.first) {
            call_sent(&conn->done, WEIR_OK);
            call_sent(&conn->waiting, WEIR_CLOSED);
            call_sent(&conn->too_late, WEIR_CLOSED);
        }
        conn->base.queued_bytes = 0;
        conn->base.events.on_closed(conn->base.events.protocol, weir_error_status(&conn->why));
    }
    conn_free(conn);
}

static void drain_job(io_job *job) {
    end(io_owner(job, sim_conn, drain_job), weir_fail(WEIR_TIMEOUT, "the peer did not take its last bytes in time"));
}

static void conn_close(io_conn *self) {
    sim_conn *conn = (sim_conn *)self;
    if (conn->state != CONN_OPEN) return;
    conn->state = CONN_DRAINING;
    io_timer_set(&conn->sim->executor, &conn->drain_timer, conn->sim->now_ns + DRAIN_MAX_NS);
    kick(conn, &conn->send_timer);
}

/* ---- sending ---- */

static void send_to_peer(sim_conn *conn) {
    io_sim *sim = conn->sim;
    sim_conn *peer = conn->peer;
    if (sim_chance(&sim->links.random, sim->links.drop_one_in)) {
        end(conn, weir_fail(WEIR_CLOSED, "the link to %s:%u broke", conn->base.remote.host, conn->base.remote.port));
        return;
    }
    const size_t room = IO_SIM_WINDOW_BYTES - peer->inbound.size;
    const size_t offered = conn->base.queued_bytes < room ? conn->base.queued_bytes : room;
    const size_t moved = cut(sim, offered);
    transfer(conn, moved, &peer->inbound);
    if (moved > 0) kick(peer, &peer->receive_timer);
    if (moved < room && conn->waiting.first) kick(conn, &conn->send_timer); /* without room the reader's job kicks */
}

static void send_job(io_job *job) {
    sim_conn *conn = io_owner(job, sim_conn, send_job);
    if (conn->state == CONN_CLOSING) return;
    call_sent(&conn->done, WEIR_OK);
    call_sent(&conn->too_late, WEIR_CLOSED);
    if (conn->state == CONN_CLOSING) return;
    if (conn->waiting.first) {
        if (conn->peer) {
            send_to_peer(conn);
        } else if (sim_chance(&conn->sim->links.random, 2)) {
            transfer(conn, SIZE_MAX, NULL); /* a kernel takes what the peer will never read */
        } else {
            end(conn, weir_fail(WEIR_CLOSED, "the peer %s:%u is gone", conn->base.remote.host, conn->base.remote.port));
        }
    }
    if (conn->state == CONN_CLOSING) return;
    if (conn->done.first)
        kick(conn, &conn->send_timer);
    else if (!conn->waiting.first && conn->state == CONN_DRAINING)
        end(conn, weir_ok());
}

static void conn_write(io_conn *self, io_write *write) {
    sim_conn *conn = (sim_conn *)self;
    weir_assert(write->part_count <= sizeof write->parts / sizeof write->parts[0]);
    if (conn->state == CONN_OPEN) {
        queue_append(&conn->waiting, write);
        self->queued_bytes += write_bytes(write);
    } else {
        queue_append(&conn->too_late, write);
    }
    if (conn->state != CONN_CLOSING) kick(conn, &conn->send_timer);
}

/* ---- receiving ---- */

static void receive_job(io_job *job) {
    sim_conn *conn = io_owner(job, sim_conn, receive_job);
    io_sim *sim = conn->sim;
    if (conn->state != CONN_OPEN || conn->paused || !conn->is_known) return;
    if (conn->inbound.size == 0) {
        if (conn->peer_ended) conn_close(&conn->base);
        return;
    }
    const size_t size = cut(sim, conn->inbound.size);
    sim_trace(sim, size);
    conn->base.events.on_data(conn->base.events.protocol, weir_bytes_of(conn->inbound.data, size));
    weir_buffer_consume(&conn->inbound, size);
    if (conn->peer && conn->peer->waiting.first) kick(conn->peer, &conn->peer->send_timer);
    if (conn->inbound.size > 0 || conn->peer_ended) kick(conn, &conn->receive_timer);
}

static void conn_pause(io_conn *self) {
    ((sim_conn *)self)->paused = true;
}

static void conn_resume(io_conn *self) {
    sim_conn *conn = (sim_conn *)self;
    conn->paused = false;
    if (conn->state == CONN_OPEN) kick(conn, &conn->receive_timer);
}

/* ---- listening and connecting ---- */

static bool is_any(const char *host) {
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static bool is_loopback_of(const char *localhost, const char *host) {
    return strcmp(localhost, "localhost") == 0 && (strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0);
}

static bool hosts_meet(const char *a, const char *b) {
    return strcmp(a, b) == 0 || is_any(a) || is_any(b) || is_loopback_of(a, b) || is_loopback_of(b, a);
}

static io_listener *listener_at(sim_links *links, const char *host, uint16_t port) {
    for (io_listener *listener = links->listeners; listener; listener = listener->next)
        if (listener->address.port == port && hosts_meet(listener->address.host, host)) return listener;
    return NULL;
}

static uint16_t free_port(sim_links *links) {
    do {
        if (++links->port_next < FIRST_PORT) links->port_next = FIRST_PORT;
    } while (listener_at(links, "0.0.0.0", links->port_next));
    return links->port_next;
}

static void address_set(io_address *address, const char *host, uint16_t port) {
    snprintf(address->host, sizeof address->host, "%s", strcmp(host, "localhost") == 0 ? "127.0.0.1" : host);
    address->port = port;
}

static weir_status network_listen(io_network *self, io_lane *lane, const char *host, uint16_t port,
                                  void (*accept)(void *arg, io_conn *conn), void *arg, io_listener **created,
                                  io_address *bound) {
    io_sim *sim = io_owner(self, io_sim, network);
    weir_assert(lane->kind == IO_LANE_LOOP);
    if (port == 0) port = free_port(&sim->links);
    if (listener_at(&sim->links, host, port))
        return weir_fail(WEIR_BUSY, "the port %s:%u is in use by another process: stop it or choose another port", host,
                         port);
    io_listener *listener = weir_alloc(&sim->account, sizeof *listener);
    *listener = (io_listener){.lane = lane, .accept = accept, .arg = arg, .next = sim->links.listeners};
    snprintf(listener->address.host, sizeof listener->address.host, "%s", host);
    listener->address.port = port;
    sim->links.listeners = listener;
    address_set(bound, host, port);
    *created = listener;
    return weir_ok();
}

static void network_unlisten(io_network *self, io_listener *listener) {
    io_sim *sim = io_owner(self, io_sim, network);
    for (sim_conn *conn = sim->links.conns; conn; conn = conn->next) {
        if (conn->listener != listener) continue;
        conn->listener = NULL;
        end(conn, weir_fail(WEIR_CLOSED, "nobody listens any more"));
    }
    io_listener **link = &sim->links.listeners;
    while (*link != listener) link = &(*link)->next;
    *link = listener->next;
    weir_free(&sim->account, listener);
}

static void accept_job(io_job *job) {
    sim_conn *conn = io_owner(job, sim_conn, accept_job);
    if (conn->state != CONN_OPEN || !conn->listener) return;
    io_listener *listener = conn->listener;
    conn->listener = NULL;
    conn->is_known = true;
    listener->accept(listener->arg, &conn->base);
    weir_assert(conn->base.events.on_data && conn->base.events.on_closed);
    kick(conn, &conn->receive_timer);
}

static sim_conn *conn_create(io_sim *sim, io_lane *lane) {
    sim_conn *conn = weir_alloc(&sim->account, sizeof *conn);
    conn->base.write = conn_write;
    conn->base.pause = conn_pause;
    conn->base.resume = conn_resume;
    conn->base.close = conn_close;
    conn->sim = sim;
    conn->lane = lane;
    weir_buffer_init(&conn->inbound, &sim->account, IO_SIM_WINDOW_BYTES);
    io_job_init(&conn->send_job, send_job);
    io_job_init(&conn->receive_job, receive_job);
    io_job_init(&conn->accept_job, accept_job);
    io_job_init(&conn->drain_job, drain_job);
    io_job_init(&conn->end_job, end_job);
    io_timer_init(&conn->send_timer, lane, &conn->send_job);
    io_timer_init(&conn->receive_timer, lane, &conn->receive_job);
    io_timer_init(&conn->accept_timer, lane, &conn->accept_job);
    io_timer_init(&conn->drain_timer, lane, &conn->drain_job);
    io_timer_init(&conn->end_timer, lane, &conn->end_job);
    conn->next = sim->links.conns;
    sim->links.conns = conn;
    return conn;
}

static void connect_forget(sim_connect *connecting) {
    io_sim *sim = connecting->sim;
    sim_connect **link = &sim->links.connects;
    while (*link != connecting) link = &(*link)->next;
    *link = connecting->next;
    weir_free(&sim->account, connecting);
}

static void connect_job(io_job *job) {
    sim_connect *connecting = io_owner(job, sim_connect, job);
    io_sim *sim = connecting->sim;
    const io_address *target = &connecting->target;
    io_listener *listener = listener_at(&sim->links, target->host, target->port);
    if (!listener) {
        const weir_status refused =
            weir_fail(WEIR_CLOSED, "connecting to %s:%u: nobody listens there", target->host, target->port);
        connecting->connected(connecting->arg, refused, NULL);
        connect_forget(connecting);
        return;
    }
    sim_conn *client = conn_create(sim, connecting->lane);
    sim_conn *server = conn_create(sim, listener->lane);
    client->peer = server;
    server->peer = client;
    address_set(&client->base.local, "127.0.0.1", free_port(&sim->links));
    address_set(&client->base.remote, target->host, target->port);
    server->base.local = client->base.remote;
    server->base.remote = client->base.local;
    server->listener = listener;
    kick(server, &server->accept_timer);
    client->is_known = true;
    connecting->connected(connecting->arg, weir_ok(), &client->base);
    weir_assert(client->base.events.on_data && client->base.events.on_closed);
    connect_forget(connecting);
}

static void network_connect(io_network *self, io_lane *lane, const char *host, uint16_t port,
                            void (*connected)(void *arg, weir_status status, io_conn *conn), void *arg) {
    io_sim *sim = io_owner(self, io_sim, network);
    weir_assert(lane->kind == IO_LANE_LOOP);
    sim_connect *connecting = weir_alloc(&sim->account, sizeof *connecting);
    *connecting = (sim_connect){.sim = sim, .lane = lane, .connected = connected, .arg = arg};
    address_set(&connecting->target, host, port);
    io_job_init(&connecting->job, connect_job);
    io_timer_init(&connecting->timer, lane, &connecting->job);
    connecting->next = sim->links.connects;
    sim->links.connects = connecting;
    io_timer_set(&sim->executor, &connecting->timer,
                 sim->now_ns + (int64_t)sim_below(&sim->links.random, DELAY_NS_MAX));
}

/* ---- the test's hand ---- */

void io_sim_drop_links(io_sim *sim, unsigned one_in) {
    for (sim_conn *conn = sim->links.conns; conn; conn = conn->next) {
        if (conn->peer && sim_chance(&sim->links.random, one_in))
            end(conn,
                weir_fail(WEIR_CLOSED, "the link to %s:%u broke", conn->base.remote.host, conn->base.remote.port));
    }
}

void io_sim_set_drops(io_sim *sim, unsigned one_in) {
    sim->links.drop_one_in = one_in;
}

void sim_links_init(io_sim *sim) {
    sim->network = (io_network){network_listen, network_unlisten, network_connect};
    sim->links.port_next = FIRST_PORT;
}

void sim_links_deinit(io_sim *sim) {
    while (sim->links.conns) conn_free(sim->links.conns);
    while (sim->links.connects) connect_forget(sim->links.connects);
    while (sim->links.listeners) {
        io_listener *listener = sim->links.listeners;
        sim->links.listeners = listener->next;
        weir_free(&sim->account, listener);
    }
}
