/* http - an HTTP/1.1 server's codec: bytes to requests, responses to bytes. No I/O; http_server.h puts it on a socket.
 *
 * Source: RFC 9110 (semantics), RFC 9112 (HTTP/1.1). Stricter than the RFC where leniency has let requests be smuggled
 * past a proxy: lines end in CR LF, no line is folded, no blank stands before a colon, one Content-Length or one
 * Transfer-Encoding, never both; exactly one Host in HTTP/1.1. HTTP/1.0 is understood. */
#ifndef WEIR_HTTP_HTTP_H
#define WEIR_HTTP_HTTP_H

#include "base/buffer.h"

enum {
    HTTP_HEADERS_MAX = 64,
    HTTP_HEAD_BYTES_MAX = 16 * 1024, /* request line and headers; and again the trailers */
    HTTP_METHOD_BYTES_MAX = 16,
    HTTP_CHUNK_LINE_BYTES_MAX = 256,
};

typedef struct http_header {
    weir_bytes name, value; /* as sent; the value without the blanks around it */
} http_header;

/* All bytes are views, valid until the parser's next request or its end. */
typedef struct http_request {
    weir_bytes method;      /* "GET"; case matters */
    weir_bytes path;        /* "/a%20b", not decoded; "*" of OPTIONS */
    weir_bytes query;       /* behind '?', not decoded; data == NULL without one */
    unsigned version_minor; /* 0 or 1 */
    bool keep_alive;        /* the client allows another request on the connection */
    http_header headers[HTTP_HEADERS_MAX];
    size_t header_count;
    weir_bytes body;
} http_request;

bool http_method_is(const http_request *request, const char *method);
/* The first header of that name, whatever its case; data == NULL when there is none. */
weir_bytes http_header_get(const http_request *request, const char *name);
/* Whether the comma-separated list of a header's values contains `token`, whatever its case. */
bool http_header_has_token(const http_request *request, const char *name, const char *token);

/* Appends `text` with %xx decoded, and '+' as a blank if asked (in queries). false: a '%' without two hex digits. */
bool http_percent_decode(weir_bytes text, bool plus_is_blank, weir_buffer *target) WEIR_MUST_USE;
/* The first parameter of that name in "a=1&b=2", decoded into `value` (cleared first); *found = false if none. Fails:
 * INVALID when its encoding is broken, NO_MEMORY when `value` is full. */
weir_status http_query_get(weir_bytes query, const char *name, weir_buffer *value, bool *found) WEIR_MUST_USE;

/* ---- the parser ---- */

typedef enum http_progress {
    HTTP_MORE,     /* all bytes taken, the request is not complete */
    HTTP_CONTINUE, /* as HTTP_MORE, and the client waits for "100 Continue" before it sends the body */
    HTTP_REQUEST,  /* parser->request is complete; bytes behind it were not taken */
    HTTP_BAD,      /* answer parser->refusal_status and close; nothing more is taken */
} http_progress;

typedef struct http_parser {
    weir_account *account;
    size_t body_bytes_max;
    int state; /* private, as what follows up to `request` */
    weir_buffer head, payload;
    size_t line_at;    /* head: where the current line begins; elsewhere: bytes of the current line so far */
    size_t head_bytes; /* of the trailers so far */
    size_t body_left;  /* of the body, or of the chunk */
    unsigned empty_lines;
    uint8_t byte_before;
    bool is_chunked, has_content_length, wants_continue, has_chunk_size, in_extension;
    http_request request;
    unsigned refusal_status;    /* 400, 413, 417, 431, 501, 503, 505 */
    const char *refusal_reason; /* a static sentence */
} http_parser;

/* Caller's storage. The account is charged for the head and the body while a request is held. */
void http_parser_init(http_parser *parser, weir_account *account, size_t body_bytes_max);
void http_parser_deinit(http_parser *parser);
/* Takes bytes, however cut, up to the end of the request; *taken says how many. Not after HTTP_REQUEST or HTTP_BAD. */
http_progress http_parser_feed(http_parser *parser, weir_bytes data, size_t *taken);
/* Whether a request has begun, and whether its head is complete. */
bool http_parser_has_begun(const http_parser *parser);
bool http_parser_has_head(const http_parser *parser);

/* ---- responses ---- */

const char *http_status_reason(unsigned status); /* "Not Found"; "Unknown" for those without a name here */

typedef enum http_framing {
    HTTP_FIXED,       /* Content-Length */
    HTTP_CHUNKED,     /* for a length not known yet, HTTP/1.1 */
    HTTP_UNTIL_CLOSE, /* the same for HTTP/1.0 */
    HTTP_NO_BODY,     /* 1xx, 204, 304 */
} http_framing;

typedef struct http_head {
    unsigned status;
    http_framing framing;
    uint64_t content_length; /* of HTTP_FIXED */
    bool keep_alive;
    unsigned version_minor;   /* of the request */
    const char *content_type; /* NULL = none */
    int64_t date_ms;          /* Unix time for the Date header */
    weir_bytes extra;         /* whole lines "Name: value\r\n", from http_header_append() */
} http_head;

void http_head_append(weir_buffer *target, const http_head *head);
/* One header line; control characters in the value become blanks, so that a value can never start a line. */
void http_header_append(weir_buffer *target, const char *name, const char *value);
/* Nothing for an empty chunk, which would end the body. */
void http_chunk_append(weir_buffer *target, weir_bytes data);
void http_chunk_end_append(weir_buffer *target);

#endif
