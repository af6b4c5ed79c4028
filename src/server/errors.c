/* Failures as ksqlDB's clients know them, and JSON answers as such. */
#include "server/server_int.h"

#include <stdio.h>

server_error_code server_code_of(weir_code code) {
    switch (code) {
    case WEIR_INVALID:
    case WEIR_NOT_FOUND:
    case WEIR_EXISTS:
    case WEIR_UNSUPPORTED:
    case WEIR_OUT_OF_RANGE: return SERVER_BAD_STATEMENT;
    case WEIR_REFUSED: return SERVER_BAD_STATEMENT; /* "Cannot drop X: queries read it" is the statement's fault */
    case WEIR_CLOSED:
    case WEIR_CANCELLED: return SERVER_SHUTTING_DOWN;
    default: return SERVER_SERVER_ERROR;
    }
}

json_t *server_json_text(const char *text) {
    if (text == NULL) return json_null();
    json_t *value = json_string(text);
    if (value != NULL) return value;
    /* A message that quotes outside bytes, cut within a character: told all the same. */
    char copy[SERVER_MESSAGE_BYTES_MAX / 16];
    size_t size = strlen(text);
    if (size >= sizeof copy) size = sizeof copy - 1;
    for (size_t i = 0; i < size; i++) copy[i] = (char)((uint8_t)text[i] < 0x80 ? text[i] : '?');
    copy[size] = '\0';
    return json_string(copy);
}

json_t *server_error_json(server_error_code code, const char *message, const char *statement, json_t *entities) {
    json_t *error = json_object();
    json_object_set_new(error, "@type", json_string(statement == NULL ? "generic_error" : "statement_error"));
    json_object_set_new(error, "error_code", json_integer(code));
    json_object_set_new(error, "message", server_json_text(message));
    if (statement != NULL) {
        json_object_set_new(error, "statementText", server_json_text(statement));
        json_object_set_new(error, "entities", entities != NULL ? entities : json_array());
    } else {
        json_decref(entities);
    }
    return error;
}

static int append_piece(const char *data, size_t size, void *arg) {
    weir_buffer_append(arg, data, size);
    return 0;
}

void server_json_append(weir_buffer *target, const json_t *value) {
    if (json_dump_callback(value, append_piece, target, JSON_COMPACT | JSON_ENCODE_ANY) != 0) target->overflowed = true;
}

void server_reply_json(server *self, http_exchange *exchange, unsigned status, const char *content_type,
                       json_t *value) {
    weir_buffer text;
    weir_buffer_init(&text, &self->account, SERVER_REPLY_BYTES_MAX);
    server_json_append(&text, value);
    json_decref(value);
    if (text.overflowed)
        http_exchange_reply_text(exchange, 500, "The answer is larger than %d MiB.\n", SERVER_REPLY_BYTES_MAX >> 20);
    else
        http_exchange_reply(exchange, status, content_type, weir_buffer_view(&text));
    weir_buffer_deinit(&text);
}

void server_reply_error(server *self, http_exchange *exchange, server_error_code code, const char *statement,
                        json_t *entities, const char *message) {
    server_reply_json(self, exchange, (unsigned)code / 100, "application/json",
                      server_error_json(code, message, statement, entities));
}

void server_reply_error_format(server *self, http_exchange *exchange, server_error_code code, const char *format,
                               ...) {
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    server_reply_error(self, exchange, code, NULL, NULL, message);
}

void server_failure_text(const server_request *request, const engine_answer *answer, weir_buffer *text) {
    if (answer->error != NULL && answer->error->code != WEIR_OK)
        sql_error_print(answer->error, weir_bytes_text(request->text), request->file_name, text);
    else
        weir_buffer_append_text(text, answer->status.text != NULL ? answer->status.text : "The statement failed.");
}
