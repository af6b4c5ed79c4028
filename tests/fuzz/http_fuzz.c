/* Goal: no bytes can hurt the parser of requests, and what it understands does not depend on how they were cut.
 * Method: the first bytes choose the cuts; the rest is fed as one piece and again in those pieces. Both ways must end
 * the same, with the same request. Each piece is a copy of its exact size, so that a read beyond it is seen. */
#include "http/http.h"

#include "words.h"

enum { BODY_BYTES_MAX = 1000, CUT_BYTES = 4, TEXT_BYTES_MAX = 256 * 1024 };

typedef struct outcome {
    http_progress progress;
    unsigned refusal_status;
    size_t taken;
    weir_buffer text; /* what was understood */
} outcome;

static weir_account account;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static const char *const words[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n",
    "POST /ksql?ksql=%20+&b HTTP/1.1\r\nHost: a\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "GET /a HTTP/1.0\r\n",
    "Host: b:1\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, upgrade\r\n",
    "Expect: 100-continue\r\n",
    "Trailer: x\r\n",
    "X: y\r\n",
    "X : y\r\n",
    " folded\r\n",
    "\r\n",
    "\r\n\r\n",
    "hello",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "a;ext=\"x\"\r\n0123456789\r\n",
    "ffffffffffffffff\r\n",
    "0\r\nTrailer: 1\r\n\r\n",
    "\n",
    "\r",
    "HTTP/2.0",
    "%zz",
};

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    weir_account_init(&account, "fuzz", 0);
    return 0;
}

static void put(weir_buffer *target, weir_bytes bytes) {
    weir_buffer_format(target, "[%zu]", bytes.size);
    weir_buffer_append(target, bytes.data, bytes.size);
}

static void describe(const http_request *request, weir_buffer *target) {
    put(target, request->method);
    put(target, request->path);
    put(target, request->query);
    weir_buffer_format(target, "1.%u %d", request->version_minor, request->keep_alive);
    for (size_t i = 0; i < request->header_count; i++) {
        put(target, request->headers[i].name);
        put(target, request->headers[i].value);
    }
    put(target, request->body);
    weir_buffer value;
    bool found;
    weir_buffer_init(&value, &account, 4096);
    const weir_status status = http_query_get(request->query, "ksql", &value, &found);
    weir_buffer_format(target, "%d %d", (int)status.code, !weir_failed(status) && found);
    http_header_has_token(request, "Connection", "close");
    weir_buffer_deinit(&value);
}

/* Until the first request, the first refusal, or the end. Without cuts: in one piece. */
static void feed(weir_bytes input, const uint8_t *cuts, outcome *found) {
    http_parser parser;
    http_parser_init(&parser, &account, BODY_BYTES_MAX);
    *found = (outcome){.progress = HTTP_MORE};
    weir_buffer_init(&found->text, &account, TEXT_BYTES_MAX);
    for (size_t at = 0, turn = 0; at < input.size && found->progress == HTTP_MORE; turn++) {
        size_t size = input.size - at;
        if (cuts && size > (size_t)1 + cuts[turn % CUT_BYTES]) size = (size_t)1 + cuts[turn % CUT_BYTES];
        while (size && found->progress == HTTP_MORE) { /* HTTP_CONTINUE may leave bytes of the piece */
            uint8_t *piece = weir_alloc(&account, size);
            memcpy(piece, input.data + at, size);
            size_t taken = 0;
            found->progress = http_parser_feed(&parser, weir_bytes_of(piece, size), &taken);
            weir_free(&account, piece);
            weir_assert(taken <= size && (taken > 0 || found->progress != HTTP_MORE));
            if (found->progress == HTTP_CONTINUE) found->progress = HTTP_MORE;
            at += taken;
            size -= taken;
        }
    }
    if (found->progress == HTTP_REQUEST) describe(&parser.request, &found->text);
    if (found->progress == HTTP_BAD) {
        weir_assert(parser.refusal_status >= 400 && parser.refusal_reason);
        found->refusal_status = parser.refusal_status;
    }
    http_parser_deinit(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < CUT_BYTES) return 0;
    const weir_bytes input = {data + CUT_BYTES, size - CUT_BYTES};
    outcome whole, pieces;
    feed(input, NULL, &whole);
    feed(input, data, &pieces);
    weir_assert(whole.progress == pieces.progress && whole.refusal_status == pieces.refusal_status);
    weir_assert(whole.text.size == pieces.text.size);
    weir_assert(whole.text.size == 0 || memcmp(whole.text.data, pieces.text.data, whole.text.size) == 0);
    weir_buffer_deinit(&whole.text);
    weir_buffer_deinit(&pieces.text);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    return fuzz_mutate_words(data, size, max_size, seed, CUT_BYTES, words, sizeof words / sizeof *words);
}
