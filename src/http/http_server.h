/* http/http_server - HTTP/1.1 on a listener: accepts, parses, hands requests to one handler, sends what it answers.
 *
 * An exchange is one request and its response. The handler gets it and ends it exactly once, now or in any later job of
 * the server's lane, by http_exchange_reply(), http_exchange_finish() or http_exchange_abort(). Until then exchange and
 * request stay valid, even when the client is long gone: what is written then is dropped. Requests that a client sends
 * ahead wait their turn, and it is not read on when it sends too much.
 *
 * Refused without the handler: malformed requests (400 and the like, then close), too many connections (503), a request
 * that is not complete in time (408, then close). Idle connections are closed.
 * Threads: everything on the server's loop lane. */
#ifndef WEIR_HTTP_HTTP_SERVER_H
#define WEIR_HTTP_HTTP_SERVER_H

#include "http/http.h"
#include "io/io.h"

typedef struct http_server http_server;
typedef struct http_exchange http_exchange;

enum {
    HTTP_EXCHANGE_HIGH_BYTES = 256 * 1024,            /* queued: http_exchange_write() says stop */
    HTTP_EXCHANGE_LOW_BYTES = 64 * 1024,              /* queued: on_drained */
    HTTP_EXCHANGE_QUEUE_BYTES_MAX = 64 * 1024 * 1024, /* queued: a handler that did not stop is cut off */
    HTTP_AHEAD_BYTES_MAX = 128 * 1024,                /* of later requests, kept while one is being answered */
};

typedef struct http_server_config {
    const io_world *world;
    io_lane *lane;         /* a loop lane */
    weir_account *account; /* connections, requests, responses */
    void (*handle)(void *arg, const http_request *request, http_exchange *exchange);
    void *arg;
    size_t body_bytes_max;    /* 0 = 16 MiB */
    unsigned connections_max; /* 0 = 1000 */
    int64_t idle_max_ms;      /* between requests; 0 = 75 s */
    int64_t receive_max_ms;   /* from a request's first byte to the end of its head, and between pieces of its body; 0 =
                                 10 s */
    int64_t send_max_ms;      /* in which a client takes nothing of what is queued for it; 0 = 60 s */
} http_server_config;

/* Fails: BUSY when the port is taken, and as io_listen(). */
weir_status http_server_start(http_server **server, const http_server_config *config, const char *host, uint16_t port,
                              io_address *bound) WEIR_MUST_USE;
/* Listens no more, closes idle connections at once and the others after their response, or after `grace_ms`; then calls
 * `stopped` in a job of the lane. Every exchange must have been ended before http_server_destroy(). */
void http_server_stop(http_server *server, int64_t grace_ms, void (*stopped)(void *arg), void *arg);
void http_server_destroy(http_server *server); /* after `stopped`, or when the loop runs no more */
unsigned http_server_connections(const http_server *server);

/* ---- answering ---- */

const http_request *http_exchange_request(const http_exchange *exchange);
const io_address *http_exchange_remote(const http_exchange *exchange);
/* The client is gone: nobody will read the answer, which must be ended all the same. */
bool http_exchange_is_closed(const http_exchange *exchange);
/* Called once if the client goes before the exchange was ended; ending it there is allowed. */
void http_exchange_on_closed(http_exchange *exchange, void (*closed)(void *arg), void *arg);
/* Adds a header to the response; before it begins. At most 16 KiB of them: more is dropped with its answer a 500. */
void http_exchange_header(http_exchange *exchange, const char *name, const char *value);
/* The whole response; ends the exchange. `content_type` may be NULL; the body is copied. */
void http_exchange_reply(http_exchange *exchange, unsigned status, const char *content_type, weir_bytes body);
/* The same with a formatted text of at most 4 KiB, as text/plain. */
void http_exchange_reply_text(http_exchange *exchange, unsigned status, const char *format, ...) WEIR_PRINTF(3, 4);

/* A response whose length is not known: begin, write any times, finish. The bytes are copied and sent at once. */
void http_exchange_begin(http_exchange *exchange, unsigned status, const char *content_type);
/* false: more than HTTP_EXCHANGE_HIGH_BYTES wait; produce no more until on_drained is called. */
bool http_exchange_write(http_exchange *exchange, weir_bytes data);
void http_exchange_on_drained(http_exchange *exchange, void (*drained)(void *arg), void *arg);
void http_exchange_finish(http_exchange *exchange);
/* Ends it by closing the connection, so that the client sees that the response is not whole. */
void http_exchange_abort(http_exchange *exchange);

#endif
