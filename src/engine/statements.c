/* Requests: a script is cut into statements, each is planned over the catalog as the one before left it, and done by
 * one function a kind. Statements that change what is kept take turns over all requests: the plan is made when the turn
 * has come, so that it sees what the turn before did. */
#include "engine/engine_int.h"

#include <stdio.h>

enum { REQUEST_ARENA_BYTES = 2 * ENGINE_SCRIPT_BYTES_MAX + (1 << 20), STATEMENT_ARENA_BYTES = 128 << 20 };

/* ---- the turn of commands ---------------------------------------------------------------------------------------- */

static bool take_turn(engine_request *request) {
    engine *self = request->engine;
    if (request->has_turn) return true;
    if (!self->commander) {
        self->commander = request;
        request->has_turn = true;
        return true;
    }
    request->is_waiting = true;
    request->next_waiting = NULL;
    if (self->waiting_last)
        self->waiting_last->next_waiting = request;
    else
        self->waiting_first = request;
    self->waiting_last = request;
    return false;
}

static void stop_waiting(engine_request *request) {
    engine *self = request->engine;
    engine_request **at = &self->waiting_first, *before = NULL;
    for (; *at != request; at = &(*at)->next_waiting) before = *at;
    *at = request->next_waiting;
    if (self->waiting_last == request) self->waiting_last = before;
    request->is_waiting = false;
}

void engine_command_release_turn(engine_request *request) {
    engine *self = request->engine;
    if (!request->has_turn) return;
    request->has_turn = false;
    engine_request *next = self->waiting_first;
    self->commander = next;
    if (!next) return;
    stop_waiting(next);
    next->has_turn = true;
    engine_request_go(next);
}

/* ---- the request's life ------------------------------------------------------------------------------------------ */

void engine_request_go(engine_request *request) {
    engine_post(request->engine, &request->step);
}

static void end_request(engine_request *request, weir_status status) {
    engine *self = request->engine;
    engine_command_release_turn(request);
    if (request->events.on_done) request->events.on_done(request->events.arg, status);
    engine_request **at = &self->requests;
    while (*at != request) at = &(*at)->next;
    *at = request->next;
    self->request_count--;
    weir_buffer_deinit(&request->record);
    weir_arena_deinit(&request->statement);
    weir_arena_deinit(&request->arena);
    weir_free(&self->account, request);
    engine_end(self);
}

void engine_statement_answer(engine_request *request, weir_status status) {
    weir_error kept; /* whoever is told may use up the thread's sentences */
    weir_error_set(&kept, status);
    const weir_bytes text = {request->text.data + request->piece.offset, request->piece.size};
    const engine_answer answer = {.statement = (const char *)weir_arena_format(&request->statement, "%.*s",
                                                                               (int)text.size, (const char *)text.data),
                                  .plan = request->plan,
                                  .status = status,
                                  .error = request->error.code != WEIR_OK ? &request->error : NULL,
                                  .message = weir_failed(status) ? NULL : request->message,
                                  .query_id = request->query_id,
                                  .command_sequence = request->sequence};
    engine_command_release_turn(request);
    if (request->events.on_answer) request->events.on_answer(request->events.arg, &answer);
    request->has_piece = false;
    if (kept.code != WEIR_OK)
        end_request(request, weir_error_status(&kept));
    else
        engine_request_go(request);
}

/* ---- one function a kind ----------------------------------------------------------------------------------------- */

/* The session's value of a property: behind the engine's own ones. -1 = not set. */
static int64_t find_setting(const engine_request *request, const char *name) {
    for (size_t i = request->property_count; i > request->engine->property_count; i--) {
        if (strcmp(request->properties[i - 1].name, name) == 0) return (int64_t)i - 1;
    }
    return -1;
}

static weir_status put_setting(engine_request *request, const char *name, const char *value) {
    int64_t at = find_setting(request, name);
    if (at < 0 && request->property_count == ENGINE_SETTINGS_MAX)
        return weir_fail(WEIR_FULL, "a session keeps %d properties at most", ENGINE_SETTINGS_MAX);
    if (at < 0) at = (int64_t)request->property_count++;
    request->properties[at] =
        (weir_setting){weir_arena_text_copy(&request->arena, name), weir_arena_text_copy(&request->arena, value)};
    return weir_ok();
}

static void run_set(engine_request *request) {
    const weir_setting *setting = &request->plan->setting;
    const weir_status status = put_setting(request, setting->name, setting->value);
    request->message = weir_arena_format(&request->statement,
                                         "Successfully changed local property '%s' to '%s'. Use the "
                                         "UNSET command to revert your change.",
                                         setting->name, setting->value);
    engine_statement_answer(request, status);
}

static void run_unset(engine_request *request) {
    const char *name = request->plan->setting.name;
    const int64_t at = find_setting(request, name);
    if (at < 0) {
        engine_statement_answer(request, weir_fail(WEIR_NOT_FOUND,
                                                   "Cannot unset local property '%s' which was never "
                                                   "set in the first place.",
                                                   name));
        return;
    }
    request->message =
        weir_arena_format(&request->statement, "Successfully unset local property '%s' (value was '%s').", name,
                          request->properties[at].value);
    request->properties[at] = request->properties[--request->property_count];
    engine_statement_answer(request, weir_ok());
}

/* The door renders it from the plan and the accessors. */
static void run_listing(engine_request *request) {
    request->message = request->plan->message;
    engine_statement_answer(request, weir_ok());
}

static void run_rows(engine_request *request) {
    const sql_plan_kind kind = request->plan->kind;
    if (!request->has_rows)
        engine_statement_answer(request, weir_fail(WEIR_INVALID,
                                                   "%s answers with rows, which cannot be taken here; use the "
                                                   "/query endpoint",
                                                   kind == SQL_PLAN_PRINT ? "PRINT" : "SELECT"));
    else if (kind == SQL_PLAN_PUSH)
        engine_push_run(request);
    else if (kind == SQL_PLAN_PULL)
        engine_pull_run(request);
    else
        engine_print_run(request);
}

static void run_command(engine_request *request) {
    if (take_turn(request)) engine_command_run(request);
}

static void (*const runners[SQL_PLAN_KIND_COUNT])(engine_request *request) = {
    [SQL_PLAN_CREATE_SOURCE] = run_command,
    [SQL_PLAN_CREATE_AS] = run_command,
    [SQL_PLAN_INSERT_SELECT] = run_command,
    [SQL_PLAN_DROP_SOURCE] = run_command,
    [SQL_PLAN_TERMINATE] = run_command,
    [SQL_PLAN_CREATE_CONNECTOR] = run_command,
    [SQL_PLAN_DROP_CONNECTOR] = run_command,
    [SQL_PLAN_INSERT_VALUES] = engine_values_run,
    [SQL_PLAN_PUSH] = run_rows,
    [SQL_PLAN_PULL] = run_rows,
    [SQL_PLAN_PRINT] = run_rows,
    [SQL_PLAN_SET] = run_set,
    [SQL_PLAN_UNSET] = run_unset,
    [SQL_PLAN_SHOW] = run_listing,
    [SQL_PLAN_DESCRIBE] = run_listing,
    [SQL_PLAN_DESCRIBE_FUNCTION] = run_listing,
    [SQL_PLAN_DESCRIBE_CONNECTOR] = run_listing,
    [SQL_PLAN_EXPLAIN] = run_listing,
    [SQL_PLAN_NOTHING] = run_listing};

/* ---- a step: one statement --------------------------------------------------------------------------------------- */

static bool plan_statement(engine_request *request) {
    weir_arena_reset(&request->statement);
    weir_buffer_clear(&request->record);
    request->error = (sql_error){0};
    request->plan = NULL;
    request->message = request->query_id = NULL;
    request->sequence = -1;
    const sql_plan_input input = {.script = request->text,
                                  .piece = request->piece,
                                  .catalog = request->engine->catalog,
                                  .properties = request->properties,
                                  .property_count = request->property_count,
                                  .next_query = (uint64_t)request->engine->command_end,
                                  .next_push = io_random_u64(request->engine->world->random) >> 1};
    return sql_plan_make(&request->statement, &input, &request->plan, &request->error);
}

/* As a status; whoever has the text of the script prints request->error with the line and a caret. */
static weir_status mistake(const engine_request *request) {
    const sql_error *error = &request->error;
    if (!request->file_name) return weir_fail(error->code, "%s", error->message);
    return weir_fail(error->code, "%s:%u:%u: %s", request->file_name, error->line, error->column, error->message);
}

static void step_run(io_job *job) {
    engine_request *request = io_owner(job, engine_request, step);
    if (request->failure.code != WEIR_OK) {
        end_request(request, weir_error_status(&request->failure));
        return;
    }
    if (request->is_cancelled || request->engine->is_closing) {
        end_request(request, weir_fail(WEIR_CANCELLED, "the request was given up"));
        return;
    }
    if (!request->has_piece && !sql_split(request->text, &request->at, &request->piece)) {
        end_request(request, weir_ok());
        return;
    }
    request->has_piece = true;
    if (plan_statement(request))
        runners[request->plan->kind](request);
    else
        engine_statement_answer(request, mistake(request));
}

/* ---- the public side --------------------------------------------------------------------------------------------- */

static weir_status take_input(engine_request *request, const char *text, const char *file_name,
                              const weir_setting *properties, size_t property_count) {
    engine *self = request->engine;
    if (!self->is_ready)
        return weir_fail(WEIR_BUSY, "the engine is not ready: it reads its command topic %s", self->command_topic);
    if (self->request_count > ENGINE_REQUESTS_MAX)
        return weir_fail(WEIR_FULL, "%d requests are running or waiting", ENGINE_REQUESTS_MAX);
    if (strlen(text) > ENGINE_SCRIPT_BYTES_MAX)
        return weir_fail(WEIR_INVALID, "the script has %zu bytes, allowed %d", strlen(text), ENGINE_SCRIPT_BYTES_MAX);
    if (self->property_count > ENGINE_SETTINGS_MAX)
        return weir_fail(WEIR_FULL, "a session keeps %d properties at most", ENGINE_SETTINGS_MAX);
    request->text = weir_arena_bytes_copy(&request->arena, weir_bytes_text(text));
    if (file_name) request->file_name = weir_arena_text_copy(&request->arena, file_name);
    for (size_t i = 0; i < self->property_count; i++)
        request->properties[request->property_count++] = self->properties[i];
    size_t bytes = 0;
    for (size_t i = 0; i < property_count; i++) {
        bytes += strlen(properties[i].name) + strlen(properties[i].value);
        if (bytes > ENGINE_SCRIPT_BYTES_MAX / 4)
            return weir_fail(WEIR_INVALID, "the session's properties are too large");
        WEIR_TRY(put_setting(request, properties[i].name, properties[i].value));
    }
    return weir_ok();
}

engine_request *engine_execute(engine *self, const char *text, const char *file_name, const weir_setting *properties,
                               size_t property_count, const engine_request_events *events,
                               const engine_row_events *rows) {
    engine_request *request = weir_alloc(&self->account, sizeof *request);
    request->engine = self;
    request->events = *events;
    request->sequence = -1;
    request->has_rows = rows != NULL;
    if (rows) request->rows = *rows;
    weir_arena_init(&request->arena, &self->account, REQUEST_ARENA_BYTES);
    weir_arena_init(&request->statement, &self->account, STATEMENT_ARENA_BYTES);
    weir_buffer_init(&request->record, &self->account, ENGINE_RECORD_BYTES_MAX);
    io_job_init(&request->step, step_run);
    request->next = self->requests;
    self->requests = request;
    self->request_count++;
    engine_begin(self);
    weir_error_set(&request->failure, take_input(request, text, file_name, properties, property_count));
    engine_request_go(request);
    return request;
}

void engine_request_cancel(engine_request *request) {
    request->is_cancelled = true;
    if (request->select) engine_select_cancel(request->select);
    if (request->print) engine_print_wake(request->print);
    if (!request->is_waiting) return;
    stop_waiting(request);
    engine_request_go(request);
}

void engine_request_wake(engine_request *request) {
    if (request->select) engine_select_wake(request->select);
    if (request->print) engine_print_wake(request->print);
}

void engine_request_cancel_all(engine *self) {
    for (engine_request *request = self->requests; request; request = request->next) engine_request_cancel(request);
}
