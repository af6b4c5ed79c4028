/* server - the HTTP door: ksqlDB's REST API, metrics, health and the first page, on one port.
 *
 *   POST /ksql          statements: one entity each, ksqlDB's JSON (application/vnd.ksql.v1+json)
 *   POST /query         a SELECT, streamed as a JSON array of header, rows and a final message
 *   POST /query-stream  a SELECT, streamed as lines: header object, row arrays
 *   POST /close-query   ends a push query
 *   GET  /info /healthcheck /clusterStatus
 *   GET  /metrics       Prometheus text
 *   GET  /health/live /health/ready /health/startup
 *   GET  /              the page: topics, queries with rows per second, lag and last error; GET /status.json feeds it
 *
 * Errors are ksqlDB's: {"@type", "error_code", "message", ...}. A push query goes
 * as fast as its client: while SERVER_UNSENT_BYTES_PAUSE wait for it, its tasks, which are its own, take no more rows
 * from the log. A client is cut off when it takes nothing for stall_max_ms, or when its unsent rows pass
 * SERVER_UNSENT_BYTES_MAX all the same. Threads: everything on the lane given, which is the
 * engine's and the broker's; rows cross from the tasks by jobs. */
#ifndef WEIR_SERVER_SERVER_H
#define WEIR_SERVER_SERVER_H

#include "broker/broker.h"
#include "engine/engine.h"
#include "io/io.h"

enum {
    SERVER_UNSENT_BYTES_PAUSE = 1 << 20,
    SERVER_UNSENT_BYTES_MAX = 4 << 20,
    SERVER_BODY_BYTES_MAX = 4 << 20,
};

typedef struct server server;

typedef struct server_config {
    const io_world *world;
    io_lane *lane;
    broker_node *broker; /* NULL on a cluster */
    engine *engine;
    const char *host;
    uint16_t port;    /* 0 = a free one */
    const weir_setting *properties; /* what the engine was given, for SHOW PROPERTIES; borrowed */
    size_t property_count;
    int64_t stall_max_ms; /* 0 = 60 s */
} server_config;

/* BUSY when the port is taken. */
weir_status server_open(server **opened, const server_config *config, io_address *bound) WEIR_MUST_USE;
/* Ends streams and connections; `closed` comes on the lane, then the server is gone. */
void server_close(server *self, void (*closed)(void *arg), void *arg);

#endif
