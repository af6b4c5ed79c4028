/* SELECTs: rows from the tasks' lanes to a client.
 *
 *   task lane: batch -> JSON in chunks -> pushed on the stream's stack, job posted
 *   our lane:  job -> chunks in order -> the exchange, as long as it takes them; the rest waits, bounded
 *
 * A stream ends in four ways: the rows end, the client goes, the client is too slow, /close-query. In each the engine's
 * request ends first (on_done), then a last run of the job, after which no other lane knows the stream, frees it. */
#include "server/server_int.h"

typedef struct stream_chunk stream_chunk;
struct stream_chunk {
    stream_chunk *next;
    weir_buffer rows;
};

typedef enum stream_form {
    STREAM_QUERY /* POST /query */,
    STREAM_LINES,
    STREAM_ARRAY /* POST /query-stream */
} stream_form;

typedef enum stream_end { STREAM_GOES_ON, STREAM_TOO_SLOW, STREAM_TOO_LARGE, STREAM_NO_MEMORY } stream_end;

struct server_stream {
    server *server;
    server_stream *previous, *next;
    http_exchange *exchange; /* NULL once it was ended */
    engine_request *engine_request;
    server_request request;
    server_script script;
    stream_form form;
    weir_arena arena;          /* of the schema */
    const data_schema *schema; /* NULL until on_schema */
    char *query_id;
    bool is_begun, is_full /* the exchange takes no more for now */, is_settled, is_done;
    char *failure; /* NULL = none */
    server_error_code failure_code;
    char *failure_statement;
    stream_chunk *waiting, *waiting_last; /* our lane's */
    /* Shared with the tasks' lanes: */
    _Atomic(stream_chunk *) arrived; /* a stack */
    _Atomic size_t unsent_bytes;
    _Atomic uint64_t row_count;
    _Atomic int end; /* stream_end */
    _Atomic bool is_awaited; /* a task was parked since the last wake */
    io_job job;
    bool last_run; /* set on our lane before the last post */
};

/* ---- task lanes: rows become chunks ---- */

static stream_chunk *chunk_create(server_stream *stream) {
    stream_chunk *chunk = weir_try_alloc(&stream->server->account, sizeof *chunk);
    if (chunk != NULL) weir_buffer_init(&chunk->rows, &stream->server->account, SERVER_PULL_BYTES_MAX);
    return chunk;
}

static void chunk_destroy(server_stream *stream, stream_chunk *chunk) {
    weir_buffer_deinit(&chunk->rows);
    weir_free(&stream->server->account, chunk);
}

/* The first reason counts. */
static bool give_up(server_stream *stream, stream_end why) {
    int none = STREAM_GOES_ON;
    atomic_compare_exchange_strong(&stream->end, &none, why);
    return false;
}

/* Hands the chunk over; false: the client has too much before it already. */
static bool chunk_push(server_stream *stream, stream_chunk *chunk) {
    const size_t limit = stream->script.kind == SERVER_KIND_PULL ? SERVER_PULL_BYTES_MAX : SERVER_UNSENT_BYTES_MAX;
    const size_t unsent = atomic_fetch_add(&stream->unsent_bytes, chunk->rows.size) + chunk->rows.size;
    chunk->next = atomic_load(&stream->arrived);
    while (!atomic_compare_exchange_weak(&stream->arrived, &chunk->next, chunk)) {}
    if (unsent > limit) give_up(stream, stream->script.kind == SERVER_KIND_PULL ? STREAM_TOO_LARGE : STREAM_TOO_SLOW);
    io_post(stream->server->config.world->executor, stream->server->config.lane, &stream->job);
    return unsent <= limit;
}

/* Where the answer's columns lie in the batch: as they are, or by name. false: one is missing. */
static bool map_columns(const data_schema *schema, const data_schema *batch, uint32_t *columns) {
    for (uint32_t i = 0; i < schema->count; i++) {
        if (i < batch->count && strcmp(schema->columns[i].name, batch->columns[i].name) == 0) {
            columns[i] = i;
            continue;
        }
        const int32_t found = data_schema_find(batch, schema->columns[i].name);
        if (found < 0) return false;
        columns[i] = (uint32_t)found;
    }
    return true;
}

static void write_row(const server_stream *stream, weir_buffer *target, const data_batch *batch, uint32_t row,
                      const uint32_t *columns) {
    const bool comma_before = stream->form == STREAM_ARRAY ||
                              (stream->form == STREAM_QUERY && stream->script.kind == SERVER_KIND_PULL);
    if (comma_before) weir_buffer_append(target, ",\n", 2);
    if (stream->form == STREAM_QUERY) weir_buffer_append_text(target, "{\"row\":{\"columns\":");
    server_row_write(target, batch, row, columns, stream->schema->count);
    if (stream->form == STREAM_QUERY) {
        const bool tombstone = batch->value_present != NULL && !data_bit(batch->value_present, row);
        weir_buffer_append_text(target, tombstone ? ",\"tombstone\":true}}" : "}}");
    }
    if (stream->form == STREAM_LINES)
        weir_buffer_append_byte(target, '\n');
    else if (!comma_before)
        weir_buffer_append(target, ",\n", 2);
}

enum { COLUMNS_MAX = 4096 };

/* Any lane, of several tasks at a time. */
static bool on_batch(void *arg, const data_batch *batch) {
    server_stream *stream = arg;
    uint32_t columns[COLUMNS_MAX];
    if (atomic_load(&stream->end) != STREAM_GOES_ON) return false;
    weir_assert(stream->schema != NULL && stream->schema->count <= COLUMNS_MAX);
    const bool found = map_columns(stream->schema, batch->schema, columns);
    weir_assert(found); /* the engine's promise */
    stream_chunk *chunk = NULL;
    for (uint32_t i = 0; i < batch->selection.count; i++) {
        if (chunk == NULL && (chunk = chunk_create(stream)) == NULL) return give_up(stream, STREAM_NO_MEMORY);
        write_row(stream, &chunk->rows, batch, data_selected(&batch->selection, i), columns);
        if (chunk->rows.overflowed) {
            chunk_destroy(stream, chunk);
            return give_up(stream, STREAM_NO_MEMORY);
        }
        if (chunk->rows.size < SERVER_CHUNK_BYTES) continue;
        if (!chunk_push(stream, chunk)) return false;
        chunk = NULL;
    }
    atomic_fetch_add(&stream->row_count, batch->selection.count);
    weir_metric_add(&stream->server->rows, batch->selection.count);
    return chunk == NULL || chunk_push(stream, chunk);
}

/* Any lane. Marks first and looks again, so that either we see that the client has caught up, or our lane sees the
 * mark. */
static bool may_go_on(void *arg) {
    server_stream *stream = arg;
    if (atomic_load(&stream->unsent_bytes) < SERVER_UNSENT_BYTES_PAUSE) return true;
    atomic_store(&stream->is_awaited, true);
    return atomic_load(&stream->unsent_bytes) < SERVER_UNSENT_BYTES_PAUSE;
}

/* ---- our lane: chunks go to the client ---- */

static void take_arrived(server_stream *stream) {
    stream_chunk *newest = atomic_exchange(&stream->arrived, NULL), *oldest = NULL, *last = newest;
    while (newest != NULL) {
        stream_chunk *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    if (oldest == NULL) return;
    if (stream->waiting_last != NULL)
        stream->waiting_last->next = oldest;
    else
        stream->waiting = oldest;
    stream->waiting_last = last;
}

static void drop_waiting(server_stream *stream) {
    take_arrived(stream);
    for (stream_chunk *chunk; (chunk = stream->waiting) != NULL;) {
        stream->waiting = chunk->next;
        chunk_destroy(stream, chunk);
    }
    stream->waiting_last = NULL;
}

static void send_waiting(server_stream *stream) {
    for (stream_chunk *chunk; !stream->is_full && stream->exchange != NULL && (chunk = stream->waiting) != NULL;) {
        stream->waiting = chunk->next;
        if (stream->waiting == NULL) stream->waiting_last = NULL;
        stream->is_full = !http_exchange_write(stream->exchange, weir_buffer_view(&chunk->rows));
        atomic_fetch_sub(&stream->unsent_bytes, chunk->rows.size);
        chunk_destroy(stream, chunk);
    }
}

static void stream_free(server_stream *stream) {
    server *self = stream->server;
    weir_assert(stream->exchange == NULL);
    drop_waiting(stream);
    if (stream->previous != NULL)
        stream->previous->next = stream->next;
    else
        self->streams = stream->next;
    if (stream->next != NULL) stream->next->previous = stream->previous;
    self->stream_count--;
    weir_free(&self->account, stream->query_id);
    weir_free(&self->account, stream->failure);
    weir_free(&self->account, stream->failure_statement);
    weir_arena_deinit(&stream->arena);
    server_request_deinit(&stream->request);
    weir_free(&self->account, stream);
    server_check_closed(self);
}

static void cancel_engine(server_stream *stream) {
    if (stream->engine_request == NULL) return;
    engine_request *request = stream->engine_request;
    stream->engine_request = NULL; /* once is enough */
    engine_request_cancel(request);
}

/* The client gets nothing more, and sees that something is missing. */
static void abort_exchange(server_stream *stream) {
    if (stream->exchange == NULL) return;
    http_exchange *exchange = stream->exchange;
    stream->exchange = NULL;
    http_exchange_abort(exchange);
    drop_waiting(stream);
}

static void write_text(server_stream *stream, weir_buffer *text) {
    if (stream->exchange != NULL) http_exchange_write(stream->exchange, weir_buffer_view(text));
}

static json_t *header_names(const data_schema *schema) {
    json_t *names = json_array();
    for (uint32_t i = 0; i < schema->count; i++)
        json_array_append_new(names, server_json_text(schema->columns[i].name));
    return names;
}

static json_t *header_types(server *self, const data_schema *schema) {
    json_t *types = json_array();
    for (uint32_t i = 0; i < schema->count; i++) {
        weir_buffer text;
        weir_buffer_init(&text, &self->account, SERVER_MESSAGE_BYTES_MAX);
        server_type_write(&text, schema->columns[i].type);
        json_array_append_new(types, server_json_text(weir_buffer_text(&text)));
        weir_buffer_deinit(&text);
    }
    return types;
}

static void write_header(server_stream *stream) {
    const data_schema *schema = stream->schema;
    weir_buffer text, schema_text;
    weir_buffer_init(&text, &stream->server->account, SERVER_BODY_BYTES_MAX);
    weir_buffer_init(&schema_text, &stream->server->account, SERVER_BODY_BYTES_MAX);
    json_t *header = json_object();
    const bool is_push = stream->script.kind != SERVER_KIND_PULL;
    if (stream->form == STREAM_QUERY) {
        json_t *inner = json_object();
        server_schema_write(&schema_text, schema);
        json_object_set_new(inner, "queryId", server_json_text(stream->query_id));
        json_object_set_new(inner, "schema", server_json_text(weir_buffer_text(&schema_text)));
        json_object_set_new(header, "header", inner);
    } else {
        json_object_set_new(header, "queryId", server_json_text(is_push ? stream->query_id : NULL));
        json_object_set_new(header, "columnNames", header_names(schema));
        json_object_set_new(header, "columnTypes", header_types(stream->server, schema));
    }
    if (stream->form != STREAM_LINES) weir_buffer_append_byte(&text, '[');
    server_json_append(&text, header);
    if (stream->form == STREAM_LINES)
        weir_buffer_append_byte(&text, '\n');
    else if (stream->form == STREAM_QUERY && is_push)
        weir_buffer_append(&text, ",\n", 2);
    json_decref(header);
    write_text(stream, &text);
    weir_buffer_deinit(&schema_text);
    weir_buffer_deinit(&text);
}

/* A push query's header goes out at once. A pull query's waits for its first rows or its end, so that a failure before
 * them is an HTTP error. */
static void begin_response(server_stream *stream) {
    static const char *const content_types[] = {[STREAM_QUERY] = "application/vnd.ksql.v1+json",
                                                [STREAM_LINES] = "application/vnd.ksqlapi.delimited.v1",
                                                [STREAM_ARRAY] = "application/json"};
    if (stream->exchange == NULL || stream->is_begun) return;
    stream->is_begun = true;
    http_exchange_header(stream->exchange, "Cache-Control", "no-store");
    http_exchange_begin(stream->exchange, 200, content_types[stream->form]);
    write_header(stream);
}

/* The last line: how it ended. */
static void write_end(server_stream *stream) {
    const bool is_push = stream->script.kind != SERVER_KIND_PULL;
    weir_buffer text;
    weir_buffer_init(&text, &stream->server->account, SERVER_MESSAGE_BYTES_MAX);
    if (stream->failure != NULL) {
        json_t *error = server_error_json(SERVER_SERVER_ERROR, stream->failure, NULL, NULL);
        if (stream->form == STREAM_ARRAY || (stream->form == STREAM_QUERY && !is_push))
            weir_buffer_append(&text, ",\n", 2);
        if (stream->form == STREAM_QUERY) weir_buffer_append_text(&text, "{\"errorMessage\":");
        server_json_append(&text, error);
        weir_buffer_append_text(&text, stream->form == STREAM_QUERY   ? "}]\n"
                                       : stream->form == STREAM_ARRAY ? "]\n"
                                                                      : "\n");
        json_decref(error);
    } else if (stream->form == STREAM_QUERY && is_push) {
        const bool reached =
            stream->script.limit >= 0 && atomic_load(&stream->row_count) >= (uint64_t)stream->script.limit;
        weir_buffer_format(&text, "{\"finalMessage\":\"%s\"}]\n", reached ? "Limit Reached" : "Query Completed");
    } else if (stream->form != STREAM_LINES) {
        weir_buffer_append_text(&text, "]\n");
    }
    write_text(stream, &text);
    weir_buffer_deinit(&text);
}

/* The engine is done and every row is with the exchange. */
static void end_exchange(server_stream *stream) {
    http_exchange *exchange = stream->exchange;
    if (stream->schema != NULL && stream->failure == NULL) begin_response(stream);
    if (stream->is_begun) {
        write_end(stream);
        stream->exchange = NULL;
        http_exchange_finish(exchange);
        return;
    }
    stream->exchange = NULL;
    if (stream->failure != NULL)
        server_reply_error(stream->server, exchange, stream->failure_code, stream->failure_statement, NULL,
                           stream->failure);
    else
        server_reply_error(stream->server, exchange, SERVER_SERVER_ERROR, NULL, NULL,
                           "The query ended without an answer.");
}

static void set_failure(server_stream *stream, server_error_code code, const char *text) {
    if (stream->failure != NULL) return;
    stream->failure = weir_strdup(&stream->server->account, text);
    stream->failure_code = code;
}

/* Why the tasks were told to stop. A slow client is cut off at once: its connection holds what it does not take. */
static void look_at_end(server_stream *stream) {
    switch ((stream_end)atomic_load(&stream->end)) {
    case STREAM_GOES_ON: return;
    case STREAM_TOO_SLOW:
        if (stream->exchange != NULL) {
            weir_metric_add(&stream->server->cut_off, 1);
            weir_trace(WEIR_WARN, "server", "query %s: the client took its rows too slowly and was cut off",
                       stream->query_id);
        }
        abort_exchange(stream);
        break;
    case STREAM_TOO_LARGE:
        set_failure(stream, SERVER_SERVER_ERROR,
                    "The answer is larger than what is kept for its reader; narrow it by WHERE or LIMIT.");
        break;
    case STREAM_NO_MEMORY:
        set_failure(stream, SERVER_SERVER_ERROR, "The memory budget is used up; the rows end here.");
        break;
    }
    cancel_engine(stream);
}

static void wake_tasks(server_stream *stream) {
    if (stream->engine_request == NULL || atomic_load(&stream->unsent_bytes) > SERVER_UNSENT_BYTES_PAUSE / 2) return;
    if (atomic_exchange(&stream->is_awaited, false)) engine_request_wake(stream->engine_request);
}

static void pump(server_stream *stream) {
    if (stream->exchange == NULL) drop_waiting(stream);
    take_arrived(stream);
    if (stream->waiting != NULL) begin_response(stream);
    send_waiting(stream);
    look_at_end(stream);
    wake_tasks(stream);
    if (stream->exchange != NULL && stream->is_done && stream->waiting == NULL) end_exchange(stream);
    if (stream->exchange == NULL && stream->is_settled) stream_free(stream);
}

static void stream_job(io_job *job) {
    server_stream *stream = io_owner(job, server_stream, job);
    if (stream->last_run) stream->is_settled = true;
    pump(stream);
}

static void on_drained(void *arg) {
    server_stream *stream = arg;
    stream->is_full = false;
    pump(stream);
}

static void on_client_gone(void *arg) {
    server_stream *stream = arg;
    if (atomic_load(&stream->unsent_bytes) >= SERVER_UNSENT_BYTES_PAUSE) weir_metric_add(&stream->server->cut_off, 1);
    abort_exchange(stream);
    atomic_store(&stream->end, STREAM_TOO_SLOW); /* tasks stop at their next batch */
    cancel_engine(stream);
    if (stream->is_settled) stream_free(stream);
}

/* ---- the engine's events ---- */

static void on_schema(void *arg, const char *query_id, const data_schema *schema) {
    server_stream *stream = arg;
    if (schema->count > COLUMNS_MAX) {
        atomic_store(&stream->end, STREAM_NO_MEMORY);
        return;
    }
    stream->schema = data_schema_copy(&stream->arena, schema);
    stream->query_id = weir_strdup(&stream->server->account, query_id != NULL ? query_id : "");
    if (stream->script.kind != SERVER_KIND_PULL) begin_response(stream);
}

static void on_answer(void *arg, const engine_answer *answer) {
    server_stream *stream = arg;
    if (!weir_failed(answer->status)) return;
    if (answer->status.code == WEIR_CANCELLED) { /* by /close-query, or because the server stops */
        if (!stream->is_begun) set_failure(stream, SERVER_SHUTTING_DOWN, "The query was given up.");
        return;
    }
    weir_buffer text;
    weir_buffer_init(&text, &stream->server->account, SERVER_MESSAGE_BYTES_MAX);
    server_failure_text(&stream->request, answer, &text);
    set_failure(stream, server_code_of(answer->status.code), weir_buffer_text(&text));
    if (stream->failure_statement == NULL)
        stream->failure_statement = weir_strdup(&stream->server->account, stream->script.statement);
    weir_buffer_deinit(&text);
}

static void note_failure(server_stream *stream, weir_status status) {
    if (weir_failed(status) && status.code != WEIR_CANCELLED)
        set_failure(stream, server_code_of(status.code), status.text);
}

static void on_end(void *arg, weir_status status) {
    note_failure(arg, status);
}

static void on_done(void *arg, weir_status status) {
    server_stream *stream = arg;
    note_failure(stream, status);
    stream->engine_request = NULL;
    stream->is_done = true;
    stream->last_run = true;
    io_post(stream->server->config.world->executor, stream->server->config.lane, &stream->job);
}

/* ---- the doors ---- */

static bool may_begin(server *self, http_exchange *exchange, const server_script *script) {
    if (script->kind == SERVER_KIND_OTHER || script->count != 1) {
        server_reply_error(self, exchange, SERVER_BAD_REQUEST, NULL, NULL,
                           script->count == 1 ? "Only SELECT and PRINT are answered here; other statements go to /ksql."
                                              : "Exactly one statement, a SELECT, is expected here.");
        return false;
    }
    if (self->stream_count < SERVER_STREAMS_MAX) return true;
    server_reply_error_format(self, exchange, SERVER_TOO_MANY_QUERIES,
                              "%u SELECTs are being answered, which is the most at a time; end one and try again.",
                              self->stream_count);
    return false;
}

static server_stream *stream_create(server *self, http_exchange *exchange, stream_form form,
                                    const server_request *request, const server_script *script) {
    server_stream *stream = weir_alloc(&self->account, sizeof *stream);
    stream->server = self;
    stream->exchange = exchange;
    stream->form = form;
    stream->request = *request;
    stream->script = *script;
    weir_arena_init(&stream->arena, &self->account, SERVER_ARENA_BYTES_MAX);
    atomic_init(&stream->arrived, NULL);
    atomic_init(&stream->unsent_bytes, 0);
    atomic_init(&stream->row_count, 0);
    atomic_init(&stream->end, STREAM_GOES_ON);
    atomic_init(&stream->is_awaited, false);
    io_job_init(&stream->job, stream_job);
    stream->next = self->streams;
    if (stream->next != NULL) stream->next->previous = stream;
    self->streams = stream;
    self->stream_count++;
    http_exchange_on_closed(exchange, on_client_gone, stream);
    http_exchange_on_drained(exchange, on_drained, stream);
    return stream;
}

static void begin(server *self, http_exchange *exchange, const char *text_member, const char *properties_member,
                  stream_form form) {
    server_request request;
    server_script script;
    if (!server_request_read(self, exchange, text_member, properties_member, &request)) return;
    if (!server_request_scan(&request, exchange, &script) || !may_begin(self, exchange, &script)) {
        server_request_deinit(&request);
        return;
    }
    server_stream *stream = stream_create(self, exchange, form, &request, &script);
    const engine_request_events events = {.on_answer = on_answer, .on_done = on_done, .arg = stream};
    const engine_row_events rows = {
        .on_schema = on_schema, .on_batch = on_batch, .on_end = on_end, .may_go_on = may_go_on, .arg = stream};
    engine_request *running =
        engine_execute(self->config.engine, stream->request.text, stream->request.file_name,
                       stream->request.properties, stream->request.property_count, &events, &rows);
    /* The stream lives at least until a later job, even if everything has been told already. */
    if (!stream->is_done) stream->engine_request = running;
}

void server_handle_query(server *self, http_exchange *exchange) {
    begin(self, exchange, "ksql", "streamsProperties", STREAM_QUERY);
}

void server_handle_query_stream(server *self, http_exchange *exchange) {
    const http_request *request = http_exchange_request(exchange);
    const weir_bytes accept = http_header_get(request, "Accept");
    const bool wants_array = accept.size >= 16 && memmem(accept.data, accept.size, "application/json", 16) != NULL &&
                             memmem(accept.data, accept.size, "delimited", 9) == NULL;
    begin(self, exchange, "sql", "properties", wants_array ? STREAM_ARRAY : STREAM_LINES);
}

void server_handle_close_query(server *self, http_exchange *exchange) {
    const weir_bytes bytes = http_exchange_request(exchange)->body;
    json_t *body = json_loadb((const char *)bytes.data, bytes.size, 0, NULL);
    const char *id = json_string_value(json_object_get(body, "queryId"));
    server_stream *stream = self->streams;
    while (stream != NULL && (id == NULL || stream->query_id == NULL || strcmp(stream->query_id, id) != 0))
        stream = stream->next;
    if (stream != NULL) {
        cancel_engine(stream);
        http_exchange_reply(exchange, 200, "application/json", (weir_bytes){0});
    } else if (id == NULL) {
        server_reply_error(self, exchange, SERVER_BAD_REQUEST, NULL, NULL, "The body is not {\"queryId\": \"...\"}.");
    } else {
        server_reply_error_format(self, exchange, SERVER_BAD_REQUEST, "No query with id %s", id);
    }
    json_decref(body);
}

void server_cancel_streams(server *self) {
    for (server_stream *stream = self->streams; stream != NULL; stream = stream->next) cancel_engine(stream);
}
