/* Listeners and connections: frames in, answers out in order, bounded in number and memory. */
#include "broker/kafka_int.h"

enum { HELD_BYTES_MAX = 16 << 20, SLICES_A_WRITE = 4 };

static void conn_dispatch(kafka_conn *conn);
static void conn_flush(kafka_conn *conn);
static void conn_unpause(kafka_conn *conn);

/* ---- requests ---------------------------------------------------------------------------------------------------- */

void *kafka_alloc(kafka_request *request, size_t count, size_t size) {
    if (count > KAFKA_ARENA_BYTES_MAX / (size ? size : 1)) return NULL;
    void *memory = weir_arena_try(&request->arena, count * size + 1); /* + 1: no items is not NULL */
    if (memory) memset(memory, 0, count * size);
    return memory;
}

char *kafka_text_of(kafka_request *request, weir_bytes bytes) {
    char *text = kafka_alloc(request, bytes.size + 1, 1);
    if (text && bytes.size) memcpy(text, bytes.data, bytes.size);
    return text;
}

void kafka_fail_memory(kafka_request *request) {
    kafka_close(request, "no memory for an answer");
    kafka_respond_nothing(request);
}

static void request_free(kafka_request *request) {
    if (request->release) request->release(request);
    weir_buffer_deinit(&request->frame);
    weir_buffer_deinit(&request->output);
    weir_arena_deinit(&request->arena);
    weir_free(&request->broker->account, request);
}

static void conn_free_if_over(kafka_conn *conn) {
    if (conn->io || conn->listed || conn->sending || conn->dispatching) return;
    broker_node *broker = conn->listener->broker;
    if (conn->previous) conn->previous->next = conn->next;
    else conn->listener->conns = conn->next;
    if (conn->next) conn->next->previous = conn->previous;
    weir_buffer_deinit(&conn->frame);
    weir_buffer_deinit(&conn->held);
    weir_free(&broker->account, conn);
    broker_connection_ended(broker);
}

static void conn_close(kafka_conn *conn, const char *why) {
    if (conn->closing || !conn->io) return;
    conn->closing = true;
    if (why)
        weir_trace(WEIR_INFO, "broker", "closing the connection of %s:%u: %s", conn->io->remote.host,
                   conn->io->remote.port, why);
    io_conn_close(conn->io);
}

void kafka_close(kafka_request *request, const char *why) { conn_close(request->conn, why); }

/* ---- answers ----------------------------------------------------------------------------------------------------- */

typedef struct answer_write {
    io_write write;
    kafka_request *request;
} answer_write;

static void request_sent(io_write *write, weir_status status) {
    kafka_request *request = io_owner(write, answer_write, write)->request;
    kafka_conn *conn = request->conn;
    (void)status; /* a connection that died says so by itself */
    if (--request->writes_left > 0) return;
    conn->sending--;
    request_free(request);
    conn_unpause(conn);
    conn_free_if_over(conn);
}

/* The frame's slices in order: own bytes, records, own bytes, ... */
static size_t slices_of(const kafka_request *request, weir_bytes *slices) {
    size_t count = 0, at = 0;
    for (size_t i = 0; i < request->gap_count; i++) {
        const wire_gap *gap = &request->gaps[i];
        if (gap->at > at) slices[count++] = weir_bytes_of(request->output.data + at, gap->at - at);
        if (gap->records.size) slices[count++] = gap->records;
        at = gap->at;
    }
    if (request->output.size > at)
        slices[count++] = weir_bytes_of(request->output.data + at, request->output.size - at);
    return count;
}

static bool request_send(kafka_request *request) {
    kafka_conn *conn = request->conn;
    weir_bytes *slices = kafka_array(request, weir_bytes, 2 * request->gap_count + 1);
    if (!slices) return false;
    const size_t count = slices_of(request, slices);
    const size_t write_count = (count + SLICES_A_WRITE - 1) / SLICES_A_WRITE;
    answer_write *writes = kafka_array(request, answer_write, write_count);
    if (!writes) return false;
    request->writes_left = write_count;
    conn->sending++;
    for (size_t i = 0; i < write_count; i++) {
        io_write *write = &writes[i].write;
        writes[i].request = request;
        write->sent = request_sent;
        for (size_t s = i * SLICES_A_WRITE; s < count && write->part_count < SLICES_A_WRITE; s++)
            write->parts[write->part_count++] = slices[s];
        io_conn_write(conn->io, write);
    }
    return true;
}

static void conn_flush(kafka_conn *conn) {
    while (conn->first && conn->first->answered) {
        kafka_request *request = conn->first;
        conn->first = request->next;
        if (!request->next) conn->last = NULL;
        conn->listed--;
        const bool send = conn->io && !conn->closing && !request->silent && request->output.size > 0;
        if (send && request_send(request)) continue;
        if (send) conn_close(conn, "no memory for an answer");
        request_free(request);
        conn_unpause(conn);
    }
}

static void request_answered(kafka_request *request) {
    kafka_conn *conn = request->conn;
    weir_assert(request->dispatched && !request->answered);
    request->answered = true;
    conn->running--;
    if (!request->appended) conn->running_ordered--;
    if (conn->dispatching) return; /* the loop below us goes on */
    conn_dispatch(conn);
}

void kafka_respond(kafka_request *request, const void *response) {
    const weir_status status = wire_encode_response(request->api, request->version, request->header.correlation_id,
                                                    response, &request->output);
    if (weir_failed(status)) {
        weir_trace(WEIR_ERROR, "broker", "an answer cannot be told: %s", status.text);
        weir_buffer_clear(&request->output);
        conn_close(request->conn, "its answer cannot be encoded");
    }
    request_answered(request);
}

void kafka_respond_gaps(kafka_request *request, const void *response, size_t gap_max) {
    weir_buffer *output = &request->output;
    request->gaps = kafka_array(request, wire_gap, gap_max);
    uint8_t *front = weir_buffer_reserve(output, 9);
    weir_status status = request->gaps && front ? weir_ok() : weir_fail(WEIR_NO_MEMORY, "no memory for an answer");
    if (!weir_failed(status)) {
        memset(front, 0, 9);
        weir_write_be32(front + 4, (uint32_t)request->header.correlation_id);
        output->size +=
            wire_response_header_version(request->api, request->version) > 0 ? 9 : 8; /* an empty tag section */
        const size_t start = output->size;
        status = wire_encode_gaps((wire_message_id)request->api->response, request->version, response, output,
                                  request->gaps, gap_max, &request->gap_count);
        size_t total = output->size - 4;
        for (size_t i = 0; i < request->gap_count && !weir_failed(status); i++) {
            request->gaps[i].at += start;
            total += request->gaps[i].records.size;
        }
        weir_write_be32(output->data, (uint32_t)total);
    }
    if (weir_failed(status)) {
        weir_buffer_clear(output);
        request->gap_count = 0;
        conn_close(request->conn, status.text);
    }
    request_answered(request);
}

void kafka_respond_nothing(kafka_request *request) {
    request->silent = true;
    request_answered(request);
}

void kafka_request_appended(kafka_request *request) {
    kafka_conn *conn = request->conn;
    if (request->appended || request->answered) return;
    request->appended = true;
    conn->running_ordered--;
    if (!conn->dispatching) conn_dispatch(conn);
}

weir_bytes kafka_advertised_host(const kafka_request *request) {
    const kafka_listener *listener = request->conn->listener;
    if (listener->advertise_host) return weir_bytes_text(listener->advertise_host);
    return weir_bytes_text(request->conn->io ? request->conn->io->local.host : listener->bound.host);
}

int32_t kafka_advertised_port(const kafka_request *request) {
    const kafka_listener *listener = request->conn->listener;
    return listener->advertise_port ? listener->advertise_port : listener->bound.port;
}

/* ---- dispatch ---------------------------------------------------------------------------------------------------- */

static void request_run(kafka_request *request) {
    kafka_conn *conn = request->conn;
    weir_bytes body = weir_buffer_view(&request->frame);
    const weir_status status = wire_decode_request_header(&body, &request->arena, &request->header, &request->api);
    request->version = request->header.request_api_version;
    request->dispatched = true;
    weir_metric_add(&request->broker->requests, 1);
    request->is_produce = !weir_failed(status) && request->api->key == WIRE_API_PRODUCE;
    conn->running++;
    conn->running_ordered++;
    kafka_handler handler = !weir_failed(status) ? kafka_handler_of(request->api->key) : NULL;
    if (status.code == WEIR_UNSUPPORTED && request->header.request_api_key == WIRE_API_API_VERSIONS) {
        kafka_respond_unsupported_version(request);
        return;
    }
    if (!handler) {
        conn_close(conn, weir_failed(status) ? status.text : "a request that weir does not answer");
        kafka_respond_nothing(request);
        return;
    }
    void *message = weir_arena_try(&request->arena, wire_messages[request->api->request].body->size);
    weir_status decoded = weir_fail(WEIR_NO_MEMORY, "no memory for a request");
    if (message)
        /* Bytes behind the last field are ignored, as Kafka does: librdkafka 2.0 sends some. */
        decoded = wire_decode_front((wire_message_id)request->api->request, request->version, &body, &request->arena,
                                    message);
    if (!weir_failed(decoded) && handler(request, message)) return;
    conn_close(conn, weir_failed(decoded) ? decoded.text : "no memory for a request");
    kafka_respond_nothing(request);
}

/* The oldest request that has not been given to its handler. */
static kafka_request *next_request(const kafka_conn *conn) {
    kafka_request *request = conn->first;
    while (request && request->dispatched) request = request->next;
    return request;
}

/* Bytes 0 and 1 of a frame are the API's key. */
static bool may_follow(const kafka_conn *conn, const kafka_request *request) {
    if (conn->running == 0) return true;
    if (conn->running_ordered > 0 || request->frame.size < 2) return false;
    return weir_read_be16(request->frame.data) == WIRE_API_PRODUCE;
}

static void conn_dispatch(kafka_conn *conn) {
    if (conn->dispatching) return;
    conn->dispatching = true;
    for (;;) {
        conn_flush(conn);
        kafka_request *request = next_request(conn);
        if (!request || !conn->io || conn->closing || !may_follow(conn, request)) break;
        request_run(request);
    }
    conn->dispatching = false;
    conn_free_if_over(conn);
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

static void conn_push(kafka_conn *conn) {
    broker_node *broker = conn->listener->broker;
    kafka_request *request = weir_alloc(&broker->account, sizeof *request);
    request->broker = broker;
    request->conn = conn;
    request->principal = conn->principal;
    request->frame = conn->frame; /* taken over */
    weir_arena_init(&request->arena, &broker->frames, KAFKA_ARENA_BYTES_MAX);
    weir_buffer_init(&request->output, &broker->frames, KAFKA_RESPONSE_BYTES_MAX);
    weir_buffer_init(&conn->frame, &broker->frames, 0);
    conn->frame_size = 0;
    conn->size_have = 0;
    if (conn->last) conn->last->next = request;
    else conn->first = request;
    conn->last = request;
    conn->listed++;
}

static size_t take_size(kafka_conn *conn, weir_bytes bytes) {
    broker_node *broker = conn->listener->broker;
    size_t taken = 0;
    while (conn->size_have < 4 && taken < bytes.size) conn->size_bytes[conn->size_have++] = bytes.data[taken++];
    if (conn->size_have < 4) return taken;
    const int32_t size = (int32_t)weir_read_be32(conn->size_bytes);
    if (size < 8 || size > broker->request_bytes_max) {
        conn_close(conn, "a frame of a size that no request has");
        return taken;
    }
    conn->frame_size = (size_t)size;
    weir_buffer_init(&conn->frame, &broker->frames, (size_t)size);
    return taken;
}

/* Takes what it may; what is left when the connection pauses stays with the caller. */
static size_t conn_take(kafka_conn *conn, weir_bytes bytes) {
    size_t taken = 0;
    while (taken < bytes.size && !conn->paused && !conn->closing && conn->io) {
        if (conn->frame_size == 0) {
            taken += take_size(conn, weir_bytes_of(bytes.data + taken, bytes.size - taken));
            continue;
        }
        const size_t missing = conn->frame_size - conn->frame.size;
        const size_t size = missing < bytes.size - taken ? missing : bytes.size - taken;
        weir_buffer_append(&conn->frame, bytes.data + taken,
                           size); /* grows with what has come, not with what was announced */
        taken += size;
        if (conn->frame.overflowed) conn_close(conn, "no memory for its request");
        else if (conn->frame.size == conn->frame_size) {
            conn_push(conn);
            if (conn->listed + conn->sending >= BROKER_IN_FLIGHT_MAX) {
                conn->paused = true;
                io_conn_pause(conn->io);
            }
        }
    }
    return taken;
}

static void conn_data(void *protocol, weir_bytes bytes) {
    kafka_conn *conn = protocol;
    if (conn->closing) return;
    const size_t taken = conn->held.size ? 0 : conn_take(conn, bytes);
    if (taken < bytes.size && !conn->closing) {
        weir_buffer_append(&conn->held, bytes.data + taken, bytes.size - taken);
        if (conn->held.overflowed) conn_close(conn, "it sends while it is asked to wait");
    }
    conn_dispatch(conn);
}

static void conn_unpause(kafka_conn *conn) {
    if (!conn->paused || !conn->io || conn->closing || conn->listed + conn->sending >= BROKER_IN_FLIGHT_MAX) return;
    conn->paused = false;
    const size_t taken = conn_take(conn, weir_buffer_view(&conn->held));
    weir_buffer_consume(&conn->held, taken);
    if (!conn->paused && !conn->closing && conn->io) io_conn_resume(conn->io);
    if (!conn->dispatching) conn_dispatch(conn);
}

static void conn_closed(void *protocol, weir_status why) {
    kafka_conn *conn = protocol;
    (void)why;
    conn->io = NULL;
    conn->closing = true;
    conn->dispatching = true; /* nothing may free it while the list is walked */
    kafka_request **link = &conn->first;
    conn->last = NULL;
    while (*link) {
        kafka_request *request = *link;
        if (!request->dispatched) {
            *link = request->next;
            conn->listed--;
            request_free(request);
            continue;
        }
        if (!request->answered && request->cancel) request->cancel(request);
        conn->last = request;
        link = &request->next;
    }
    conn->dispatching = false;
    conn_dispatch(conn);
}

/* ---- listeners --------------------------------------------------------------------------------------------------- */

static void refuse_data(void *protocol, weir_bytes bytes) { (void)protocol, (void)bytes; }
static void refuse_closed(void *protocol, weir_status why) { (void)protocol, (void)why; }

static void listener_accept(void *arg, io_conn *io) {
    kafka_listener *listener = arg;
    broker_node *broker = listener->broker;
    if (broker->stopping || (int64_t)broker->connection_count >= broker->connections_max) {
        io->events = (io_conn_events){.on_data = refuse_data, .on_closed = refuse_closed};
        io_conn_close(io);
        return;
    }
    kafka_conn *conn = weir_alloc(&broker->account, sizeof *conn);
    conn->listener = listener;
    conn->io = io;
    conn->principal = &guard_anonymous;
    weir_buffer_init(&conn->frame, &broker->frames, 0);
    weir_buffer_init(&conn->held, &broker->frames, HELD_BYTES_MAX);
    conn->next = listener->conns;
    if (conn->next) conn->next->previous = conn;
    listener->conns = conn;
    broker->connection_count++;
    weir_metric_add(&broker->connections, 1);
    io->events = (io_conn_events){.on_data = conn_data, .on_closed = conn_closed, .protocol = conn};
}

static bool is_wildcard(const char *host) {
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 || strcmp(host, "[::]") == 0;
}

weir_status broker_listen(broker_node *broker, const char *name, const char *host, uint16_t port,
                          const char *advertise_host, uint16_t advertise_port, io_address *bound) {
    if (advertise_host && !*advertise_host) advertise_host = NULL;
    if (advertise_host && is_wildcard(advertise_host)) {
        return weir_fail(WEIR_INVALID,
                         "listener %s: advertise=%s is no address that a client could connect to; name a host", name,
                         advertise_host);
    }
    if (broker->listener_count == BROKER_LISTENERS_MAX)
        return weir_fail(WEIR_FULL, "listener %s: at most %d listeners", name, BROKER_LISTENERS_MAX);
    kafka_listener *listener = weir_alloc(&broker->account, sizeof *listener);
    listener->broker = broker;
    const weir_status status =
        broker->world.network->listen(broker->world.network, broker->lane, host, port, listener_accept, listener,
                                      &listener->socket, &listener->bound);
    if (weir_failed(status)) {
        weir_free(&broker->account, listener);
        return weir_context(status, "listener %s", name);
    }
    listener->name = weir_strdup(&broker->account, name);
    listener->advertise_host = advertise_host ? weir_strdup(&broker->account, advertise_host) : NULL;
    listener->advertise_port = advertise_port;
    listener->next = broker->listeners;
    broker->listeners = listener;
    broker->listener_count++;
    if (bound) *bound = listener->bound;
    return weir_ok();
}

void broker_doors_stop(broker_node *broker) {
    for (kafka_listener *listener = broker->listeners; listener; listener = listener->next) {
        broker->world.network->unlisten(broker->world.network, listener->socket);
        for (kafka_conn *conn = listener->conns; conn; conn = conn->next) conn_close(conn, NULL);
    }
}

void broker_doors_free(broker_node *broker) {
    while (broker->listeners) {
        kafka_listener *listener = broker->listeners;
        broker->listeners = listener->next;
        weir_free(&broker->account, listener->name);
        weir_free(&broker->account, listener->advertise_host);
        weir_free(&broker->account, listener);
    }
}
