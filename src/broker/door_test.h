/* A hand-driven Kafka client on a simulated link: it encodes requests with wire and reads answers byte by byte. */
#ifndef WEIR_BROKER_DOOR_TEST_H
#define WEIR_BROKER_DOOR_TEST_H

#include "broker/broker_test.h"

enum { CLIENT_BYTES_MAX = 8 << 20 };

typedef struct door_client {
    node_world *node;
    io_conn *conn;
    bool connected, closed;
    weir_buffer out, in;
    io_write write;
    bool sent;
    weir_arena arena;
    int32_t next_id;
} door_client;

static inline void client_data(void *protocol, weir_bytes data) {
    weir_buffer_append(&((door_client *)protocol)->in, data.data, data.size);
}
static inline void client_closed(void *protocol, weir_status why) {
    (void)why;
    ((door_client *)protocol)->closed = true;
}
static inline void client_connected(void *arg, weir_status status, io_conn *conn) {
    door_client *self = arg;
    weir_assert(!weir_failed(status));
    self->conn = conn;
    conn->events = (io_conn_events){.on_data = client_data, .on_closed = client_closed, .protocol = self};
    self->connected = true;
}
static inline void client_sent(io_write *write, weir_status status) {
    (void)status;
    io_owner(write, door_client, write)->sent = true;
}

static inline uint16_t door(node_world *node) {
    io_address bound;
    const weir_status status = broker_listen(node->broker, "PLAINTEXT", "127.0.0.1", 0, NULL, 0, &bound);
    if (weir_failed(status)) fprintf(stderr, "%s\n", status.text);
    weir_assert(!weir_failed(status));
    return bound.port;
}

static inline void client_open(door_client *client, node_world *node, uint16_t port) {
    memset(client, 0, sizeof *client);
    client->node = node;
    weir_buffer_init(&client->out, &node->account, CLIENT_BYTES_MAX);
    weir_buffer_init(&client->in, &node->account, CLIENT_BYTES_MAX);
    weir_arena_init(&client->arena, &node->account, CLIENT_BYTES_MAX);
    io_connect(node->world->network, node->lane, "127.0.0.1", port, client_connected, client);
    node_until(node, &client->connected);
}

static inline void client_close(door_client *client) {
    if (!client->closed) io_conn_close(client->conn);
    node_until(client->node, &client->closed);
    weir_buffer_deinit(&client->out);
    weir_buffer_deinit(&client->in);
    weir_arena_deinit(&client->arena);
}

/* Adds a request to what flush() sends in one piece. */
static inline int32_t ask(door_client *client, int16_t key, int version, const void *request) {
    const weir_status status =
        wire_encode_request(wire_api_of(key), version, ++client->next_id, text("test"), request, &client->out);
    if (weir_failed(status)) fprintf(stderr, "%s\n", status.text);
    weir_assert(!weir_failed(status));
    return client->next_id;
}

static inline void flush(door_client *client) {
    if (client->closed) return;
    client->sent = false;
    client->write = (io_write){.parts = {weir_buffer_view(&client->out)}, .part_count = 1, .sent = client_sent};
    io_conn_write(client->conn, &client->write);
    node_until(client->node, &client->sent);
    weir_buffer_clear(&client->out);
}

static inline bool frame_came(void *arg) {
    const door_client *self = arg;
    return self->closed || (self->in.size >= 4 && self->in.size >= 4 + (size_t)weir_read_be32(self->in.data));
}

/* The next answer, decoded into the arena; false when the connection closed instead. */
static inline bool hear(door_client *client, int16_t key, int version, int32_t id, void *response) {
    weir_assert(io_sim_run(client->node->sim, frame_came, client, NODE_STEPS_MAX) == IO_SIM_DONE);
    if (client->in.size < 4 || client->in.size < 4 + (size_t)weir_read_be32(client->in.data)) return false;
    const size_t size = weir_read_be32(client->in.data);
    uint8_t *frame = weir_arena_alloc(&client->arena, size);
    memcpy(frame, client->in.data + 4, size);
    weir_buffer_consume(&client->in, 4 + size);
    weir_assert((int32_t)weir_read_be32(frame) == id);
    const wire_api *api = wire_api_of(key);
    const size_t header = wire_response_header_version(api, version) > 0 ? 5 : 4;
    const weir_status status = wire_decode((wire_message_id)api->response, version,
                                           weir_bytes_of(frame + header, size - header), &client->arena, response);
    if (weir_failed(status)) fprintf(stderr, "%s\n", status.text);
    weir_assert(!weir_failed(status));
    return true;
}

static inline void call(door_client *client, int16_t key, int version, const void *request, void *response) {
    const int32_t id = ask(client, key, version, request);
    flush(client);
    weir_assert(hear(client, key, version, id, response));
}

#endif
