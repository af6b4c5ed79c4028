/* server, inside: what its files share. Everything runs on the server's lane except where a function says otherwise. */
#ifndef WEIR_SERVER_INT_H
#define WEIR_SERVER_INT_H

#include "base/metric.h"
#include "base/trace.h"
#include "http/http_server.h"
#include "server/server.h"

#include <jansson.h>

enum {
    SERVER_STREAMS_MAX = 100,          /* SELECTs being answered: ksqlDB's ksql.max.push.queries */
    SERVER_PROPERTIES_MAX = 256,       /* of one request */
    SERVER_REPLY_BYTES_MAX = 64 << 20, /* one whole JSON answer */
    SERVER_MESSAGE_BYTES_MAX = 64 << 10,
    SERVER_ARENA_BYTES_MAX = 128 << 20, /* a statement of the largest size, parsed */
    SERVER_CHUNK_BYTES = 64 << 10,      /* of rows that cross the lanes together */
    SERVER_PULL_BYTES_MAX = 48 << 20,   /* of a pull query's rows that wait; below HTTP_EXCHANGE_QUEUE_BYTES_MAX */
    SERVER_GRACE_MS = 2000,             /* for responses under way when the server closes */
    SERVER_TOPICS_SHOWN_MAX = 1000,     /* on the page */
    SERVER_STATEMENTS_MAX = 10000       /* of one request */
};

typedef struct server_stream server_stream;
typedef struct server_call server_call;

struct server {
    server_config config;
    char address[IO_ADDRESS_TEXT_MAX + 8]; /* "127.0.0.1:8088" */
    weir_account account;
    http_server *http;
    server_stream *streams; /* SELECTs being answered */
    unsigned stream_count;
    uint64_t streams_begun;
    server_call *calls; /* POST /ksql being executed */
    int64_t opened_ns;
    bool is_closing, http_is_stopped;
    void (*closed)(void *arg);
    void *closed_arg;
    weir_metric requests, rows, cut_off;
};

/* Frees a closing server of which nothing is left, and calls `closed`. */
void server_check_closed(server *self);
/* Who asks: the only principal until there is authentication. */
const guard_principal *server_principal(const http_exchange *exchange);
/* Whether that principal may see the topic, and it is not of the kind that ksqlDB hides. */
bool server_topic_is_visible(const server *self, const guard_principal *principal, const char *name);

/* ---- requests: the body that the statement doors share (request.c) ---- */

typedef struct server_request {
    server *server;
    weir_arena arena; /* all below */
    const char *text; /* with variables put in; the script of every position */
    const char *file_name; /* NULL = none given */
    weir_setting *properties;
    size_t property_count;
} server_request;

typedef enum server_kind { SERVER_KIND_OTHER, SERVER_KIND_PULL, SERVER_KIND_PUSH, SERVER_KIND_PRINT } server_kind;

typedef struct server_script { /* what a text holds, by parsing alone */
    unsigned count;
    server_kind kind; /* of the first SELECT or PRINT; OTHER when there is none */
    const char *statement; /* its text; in the request's arena */
    int64_t limit;         /* of it; -1 = none */
} server_script;

/* Reads {<text_member>, <properties_member>, "sessionVariables", "fileName"}. false: the error was replied. */
bool server_request_read(server *self, http_exchange *exchange, const char *text_member,
                         const char *properties_member, server_request *request) WEIR_MUST_USE;
void server_request_deinit(server_request *request);
/* Parses every statement, executes none. false: a syntax error, which was replied. */
bool server_request_scan(server_request *request, http_exchange *exchange, server_script *script) WEIR_MUST_USE;

/* ---- errors: ksqlDB's (errors.c) ---- */

typedef enum server_error_code { /* HTTP status * 100 + n */
    SERVER_BAD_REQUEST = 40000,
    SERVER_BAD_STATEMENT = 40001,
    SERVER_QUERY_ENDPOINT = 40002,
    SERVER_TOO_MANY_QUERIES = 40003,
    SERVER_FORBIDDEN = 40300,
    SERVER_NOT_FOUND = 40400,
    SERVER_WRONG_METHOD = 40500,
    SERVER_TOO_LARGE = 41300,
    SERVER_SERVER_ERROR = 50000,
    SERVER_NOT_READY = 50302,
    SERVER_SHUTTING_DOWN = 50303
} server_error_code;

/* What kind of failure a status is to a client of ksqlDB's API. */
server_error_code server_code_of(weir_code code);
/* The object; a statement_error when `statement` is not NULL, with `entities` (taken; NULL = none). */
json_t *server_error_json(server_error_code code, const char *message, const char *statement, json_t *entities);
/* Ends the exchange with the error; `entities` taken. */
void server_reply_error(server *self, http_exchange *exchange, server_error_code code, const char *statement,
                        json_t *entities, const char *message);
void server_reply_error_format(server *self, http_exchange *exchange, server_error_code code, const char *format, ...)
    WEIR_PRINTF(4, 5);
/* What a failed statement says: sql_error_print() where there is a place, else the status. */
void server_failure_text(const server_request *request, const engine_answer *answer, weir_buffer *text);

/* ---- JSON ---- */

/* A string; bytes that are not UTF-8 become '?'. NULL gives null. */
json_t *server_json_text(const char *text);
/* Ends the exchange with the value, which is taken. */
void server_reply_json(server *self, http_exchange *exchange, unsigned status, const char *content_type,
                       json_t *value);
void server_json_append(weir_buffer *target, const json_t *value);

/* ---- rows (rows.c); any lane ---- */

void server_text_write(weir_buffer *target, weir_bytes text); /* quoted and escaped */
void server_value_write(weir_buffer *target, const data_vector *vector, uint32_t row);
/* The columns of a row as a JSON array; `columns` picks them, `count` of them. */
void server_row_write(weir_buffer *target, const data_batch *batch, uint32_t row, const uint32_t *columns,
                      uint32_t count);
/* "ARRAY<STRUCT<`A` BIGINT>>": as data_type_print(), but every field's name is quoted, as in ksqlDB's answers. */
void server_type_write(weir_buffer *target, const data_type *type);
/* "`K` STRING KEY, `V` BIGINT": the schema as ksqlDB's header writes it. */
void server_schema_write(weir_buffer *target, const data_schema *schema);

/* ---- the doors ---- */

void server_handle_ksql(server *self, http_exchange *exchange);         /* statements.c */
void server_handle_query(server *self, http_exchange *exchange);        /* query.c */
void server_handle_query_stream(server *self, http_exchange *exchange); /* query.c */
void server_handle_close_query(server *self, http_exchange *exchange);  /* query.c */
void server_cancel_streams(server *self);                               /* query.c */
void server_cancel_calls(server *self);                                 /* statements.c */

void server_handle_info(server *self, http_exchange *exchange); /* status.c, as all below */
void server_handle_healthcheck(server *self, http_exchange *exchange);
void server_handle_cluster_status(server *self, http_exchange *exchange);
void server_handle_live(server *self, http_exchange *exchange);
void server_handle_ready(server *self, http_exchange *exchange);
void server_handle_metrics(server *self, http_exchange *exchange);
void server_handle_status(server *self, http_exchange *exchange);
void server_handle_page(server *self, http_exchange *exchange);

/* The entity that answers a statement, NULL for those that ksqlDB answers with none (entities.c). */
json_t *server_entity(server *self, const server_request *request, const guard_principal *principal,
                      const engine_answer *answer);
/* Why an entity cannot be given although the statement is right (a cluster's topics); NULL = it can. */
const char *server_entity_refusal(const server *self, const sql_plan *plan);
const char *server_state_name(flow_state state); /* as ksqlDB's */

#endif
