/* POST /ksql: statements in order, one entity each; the first failure ends them and its error carries the entities of
 * those before it. */
#include "server/server_int.h"

struct server_call {
    server *server;
    server_call *previous, *next;
    http_exchange *exchange;
    server_request request;
    engine_request *engine_request;
    const guard_principal *principal;
    json_t *entities;
    bool is_done;
    server_error_code failure_code; /* 0 = none */
    char *failure, *failure_statement;
    io_job end; /* frees it in a job of its own: on_done may come inside engine_execute() */
};

static void set_failure(server_call *call, server_error_code code, const char *statement, const char *message) {
    if (call->failure_code != 0) return;
    call->failure_code = code;
    call->failure = weir_strdup(&call->server->account, message);
    if (statement != NULL) call->failure_statement = weir_strdup(&call->server->account, statement);
}

static void on_answer(void *arg, const engine_answer *answer) {
    server_call *call = arg;
    if (weir_failed(answer->status)) {
        weir_buffer text;
        weir_buffer_init(&text, &call->server->account, SERVER_MESSAGE_BYTES_MAX);
        server_failure_text(&call->request, answer, &text);
        set_failure(call, server_code_of(answer->status.code), answer->statement, weir_buffer_text(&text));
        weir_buffer_deinit(&text);
        return;
    }
    const char *refusal = answer->plan != NULL ? server_entity_refusal(call->server, answer->plan) : NULL;
    if (refusal != NULL) {
        set_failure(call, SERVER_BAD_STATEMENT, answer->statement, refusal);
        return;
    }
    json_t *entity = server_entity(call->server, &call->request, call->principal, answer);
    if (entity != NULL) json_array_append_new(call->entities, entity);
}

static void end_job(io_job *job) {
    server_call *call = io_owner(job, server_call, end);
    server *self = call->server;
    if (call->failure_code != 0) {
        server_reply_error(self, call->exchange, call->failure_code, call->failure_statement, call->entities,
                           call->failure);
    } else {
        server_reply_json(self, call->exchange, 200, "application/vnd.ksql.v1+json", call->entities);
    }
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        self->calls = call->next;
    if (call->next != NULL) call->next->previous = call->previous;
    weir_free(&self->account, call->failure);
    weir_free(&self->account, call->failure_statement);
    server_request_deinit(&call->request);
    weir_free(&self->account, call);
    server_check_closed(self);
}

static void on_done(void *arg, weir_status status) {
    server_call *call = arg;
    if (weir_failed(status)) set_failure(call, server_code_of(status.code), NULL, status.text);
    call->is_done = true;
    call->engine_request = NULL;
    io_post(call->server->config.world->executor, call->server->config.lane, &call->end);
}

static void execute(server *self, http_exchange *exchange, const server_request *request) {
    server_call *call = weir_alloc(&self->account, sizeof *call);
    call->server = self;
    call->exchange = exchange;
    call->request = *request;
    call->principal = server_principal(exchange);
    call->entities = json_array();
    io_job_init(&call->end, end_job);
    call->next = self->calls;
    if (call->next != NULL) call->next->previous = call;
    self->calls = call;
    const engine_request_events events = {.on_answer = on_answer, .on_done = on_done, .arg = call};
    engine_request *running = engine_execute(self->config.engine, call->request.text, call->request.file_name,
                                             call->request.properties, call->request.property_count, &events, NULL);
    if (!call->is_done) call->engine_request = running;
}

void server_handle_ksql(server *self, http_exchange *exchange) {
    server_request request;
    server_script script;
    if (!server_request_read(self, exchange, "ksql", "streamsProperties", &request)) return;
    if (!server_request_scan(&request, exchange, &script)) {
        server_request_deinit(&request);
        return;
    }
    if (script.kind != SERVER_KIND_OTHER) {
        server_reply_error(self, exchange, SERVER_QUERY_ENDPOINT, script.statement, NULL,
                           "SELECT and PRINT queries must use the /query endpoint");
        server_request_deinit(&request);
        return;
    }
    execute(self, exchange, &request);
}

void server_cancel_calls(server *self) {
    for (server_call *call = self->calls; call != NULL; call = call->next) {
        engine_request *running = call->engine_request;
        call->engine_request = NULL;
        if (running != NULL) engine_request_cancel(running);
    }
}
