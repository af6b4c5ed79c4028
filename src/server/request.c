/* Bodies of the statement doors: the text with its variables, the properties; and what a text holds before any of it is
 * executed, so that a mistake in the last statement leaves the first one undone, as in ksqlDB. */
#include "server/server_int.h"

#include <ctype.h>

/* ---- members ---- */

/* A property's value as text; NULL: of a type that no property has. */
static const char *value_text(weir_arena *arena, const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_STRING: return weir_arena_text_copy(arena, json_string_value(value));
    case JSON_INTEGER: return weir_arena_format(arena, "%lld", (long long)json_integer_value(value));
    case JSON_REAL: {
        char text[WEIR_F64_TEXT_MAX];
        const size_t size = weir_format_f64(text, json_real_value(value));
        return weir_arena_format(arena, "%.*s", (int)size, text);
    }
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    default: return NULL;
    }
}

static bool read_properties(server_request *request, http_exchange *exchange, const char *member, const json_t *all) {
    if (all == NULL || json_is_null(all)) return true;
    if (!json_is_object(all) || json_object_size(all) > SERVER_PROPERTIES_MAX) {
        server_reply_error_format(request->server, exchange, SERVER_BAD_REQUEST,
                                  "\"%s\" is not an object of at most %d properties.", member, SERVER_PROPERTIES_MAX);
        return false;
    }
    request->properties = weir_arena_array(&request->arena, weir_setting, json_object_size(all) + 1);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)all, name, value) {
        if (json_is_null(value)) continue; /* as if it was not given */
        const char *text = value_text(&request->arena, value);
        if (text == NULL) {
            server_reply_error_format(request->server, exchange, SERVER_BAD_REQUEST,
                                      "Property '%.200s' in \"%s\" is neither text nor number nor boolean.", name,
                                      member);
            return false;
        }
        request->properties[request->property_count++] =
            (weir_setting){weir_arena_text_copy(&request->arena, name), text};
    }
    return true;
}

/* ---- variables: ${NAME}, without regard to case ---- */

static const char *variable_value(const json_t *variables, weir_bytes name) {
    const char *candidate;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)variables, candidate, value) {
        if (strlen(candidate) == name.size && strncasecmp(candidate, (const char *)name.data, name.size) == 0)
            return json_string_value(value);
    }
    return NULL;
}

static size_t variable_name_bytes(const char *at) {
    size_t size = 0;
    while (isalnum((unsigned char)at[size]) || at[size] == '_') size++;
    return size;
}

static void substitute(const char *text, const json_t *variables, weir_buffer *target) {
    for (const char *at = text; *at != '\0';) {
        const char *mark = strstr(at, "${");
        if (mark == NULL) {
            weir_buffer_append_text(target, at);
            return;
        }
        const size_t size = variable_name_bytes(mark + 2);
        const char *value =
            size > 0 && mark[2 + size] == '}' ? variable_value(variables, weir_bytes_of(mark + 2, size)) : NULL;
        weir_buffer_append(target, at, (size_t)(mark - at));
        at = mark + 2;
        if (value != NULL) {
            weir_buffer_append_text(target, value);
            at += size + 1;
        } else {
            weir_buffer_append(target, "${", 2); /* an unknown one stays, and the parser says where */
        }
    }
}

static bool read_text(server_request *request, http_exchange *exchange, const char *text, const json_t *variables) {
    if (variables == NULL || !json_is_object(variables) || json_object_size(variables) == 0) {
        request->text = weir_arena_text_copy(&request->arena, text);
        return true;
    }
    weir_buffer whole;
    weir_buffer_init(&whole, &request->server->account, SERVER_BODY_BYTES_MAX);
    substitute(text, variables, &whole);
    const bool fits = !whole.overflowed;
    if (fits)
        request->text = weir_arena_text_copy(&request->arena, weir_buffer_text(&whole));
    else
        server_reply_error_format(request->server, exchange, SERVER_TOO_LARGE,
                                  "The statements with their variables are larger than %d bytes.",
                                  SERVER_BODY_BYTES_MAX);
    weir_buffer_deinit(&whole);
    return fits;
}

/* ---- the body ---- */

static bool read_members(server_request *request, http_exchange *exchange, const json_t *body, const char *text_member,
                         const char *properties_member) {
    const json_t *text = json_object_get(body, text_member), *file_name = json_object_get(body, "fileName");
    if (!json_is_string(text)) {
        server_reply_error_format(request->server, exchange, SERVER_BAD_REQUEST,
                                  "The body has no text \"%s\": send {\"%s\": \"SHOW STREAMS;\"}.", text_member,
                                  text_member);
        return false;
    }
    if (json_is_string(file_name))
        request->file_name = weir_arena_text_copy(&request->arena, json_string_value(file_name));
    return read_properties(request, exchange, properties_member, json_object_get(body, properties_member)) &&
           read_text(request, exchange, json_string_value(text), json_object_get(body, "sessionVariables"));
}

bool server_request_read(server *self, http_exchange *exchange, const char *text_member,
                         const char *properties_member, server_request *request) {
    const weir_bytes bytes = http_exchange_request(exchange)->body;
    json_error_t error;
    json_t *body = json_loadb((const char *)bytes.data, bytes.size, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(body)) {
        if (body != NULL)
            server_reply_error(self, exchange, SERVER_BAD_REQUEST, NULL, NULL, "The body is not a JSON object.");
        else
            server_reply_error_format(self, exchange, SERVER_BAD_REQUEST,
                                      "The body is not JSON: %s at line %d, column %d.", error.text, error.line,
                                      error.column);
        json_decref(body);
        return false;
    }
    *request = (server_request){.server = self};
    weir_arena_init(&request->arena, &self->account, SERVER_ARENA_BYTES_MAX);
    const bool good = read_members(request, exchange, body, text_member, properties_member);
    json_decref(body);
    if (!good) server_request_deinit(request);
    return good;
}

void server_request_deinit(server_request *request) {
    weir_arena_deinit(&request->arena);
}

/* ---- what the text holds ---- */

static server_kind kind_of(const sql_statement *statement) {
    if (statement->kind == SQL_PRINT) return SERVER_KIND_PRINT;
    if (statement->kind != SQL_SELECT) return SERVER_KIND_OTHER;
    return statement->query->emit_changes ? SERVER_KIND_PUSH : SERVER_KIND_PULL;
}

static void reply_syntax(server_request *request, http_exchange *exchange, const sql_error *error, sql_piece piece) {
    weir_buffer message;
    weir_buffer_init(&message, &request->server->account, SERVER_MESSAGE_BYTES_MAX);
    sql_error_print(error, weir_bytes_text(request->text), request->file_name, &message);
    server_reply_error(
        request->server, exchange, SERVER_BAD_STATEMENT,
        weir_arena_format(&request->arena, "%.*s", (int)piece.size, request->text + piece.offset), NULL,
        weir_buffer_text(&message));
    weir_buffer_deinit(&message);
}

bool server_request_scan(server_request *request, http_exchange *exchange, server_script *script) {
    const weir_bytes text = weir_bytes_text(request->text);
    weir_arena trees;
    weir_arena_init(&trees, &request->server->account, SERVER_ARENA_BYTES_MAX);
    *script = (server_script){.limit = -1};
    sql_piece piece;
    bool good = true;
    for (uint32_t at = 0; good && sql_split(text, &at, &piece);) {
        const sql_statement *statement;
        sql_error error = {0};
        weir_arena_reset(&trees);
        good = sql_parse(&trees, text, piece, &statement, &error);
        if (!good) {
            reply_syntax(request, exchange, &error, piece);
        } else if (++script->count > SERVER_STATEMENTS_MAX) {
            server_reply_error_format(request->server, exchange, SERVER_BAD_REQUEST,
                                      "More than %d statements in one request; send them in several.",
                                      SERVER_STATEMENTS_MAX);
            good = false;
        } else if (script->kind == SERVER_KIND_OTHER && kind_of(statement) != SERVER_KIND_OTHER) {
            script->kind = kind_of(statement);
            script->statement = weir_arena_text_copy(&request->arena, statement->text);
            script->limit = statement->kind == SQL_SELECT ? statement->query->limit : statement->limit;
        }
    }
    weir_arena_deinit(&trees);
    return good;
}
