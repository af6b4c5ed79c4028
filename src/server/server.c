/* The routes, and the life of the door. */
#include "server/server_int.h"

#include <stdio.h>

typedef struct server_route {
    const char *method, *path;
    void (*handle)(server *self, http_exchange *exchange);
    bool needs_engine; /* 503 until it is ready */
} server_route;

static const server_route routes[] = {
    {"POST", "/ksql", server_handle_ksql, true},
    {"POST", "/query", server_handle_query, true},
    {"POST", "/query-stream", server_handle_query_stream, true},
    {"POST", "/close-query", server_handle_close_query, true},
    {"GET", "/info", server_handle_info, false},
    {"GET", "/healthcheck", server_handle_healthcheck, false},
    {"GET", "/clusterStatus", server_handle_cluster_status, false},
    {"GET", "/health/live", server_handle_live, false},
    {"GET", "/health/ready", server_handle_ready, false},
    {"GET", "/health/startup", server_handle_ready, false},
    {"GET", "/metrics", server_handle_metrics, false},
    {"GET", "/status.json", server_handle_status, false},
    {"GET", "/", server_handle_page, false},
};

const guard_principal *server_principal(const http_exchange *exchange) {
    (void)exchange; /* nobody can say yet who they are */
    return &guard_anonymous;
}

bool server_topic_is_visible(const server *self, const guard_principal *principal, const char *name) {
    static const char *const hidden[] = {"_confluent", "__", "_schemas", "_weir_"}; /* as ksql.hidden.topics */
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        if (strncmp(name, hidden[i], strlen(hidden[i])) == 0) return false;
    return guard_may(broker_authoriser(self->config.broker), principal, GUARD_DESCRIBE, GUARD_TOPIC,
                     weir_bytes_text(name));
}

/* ---- routes ---- */

/* A page of another site may not command this server: browsers say where a request comes from, other clients do not. */
static bool is_same_origin(const http_request *request) {
    const weir_bytes origin = http_header_get(request, "Origin"), host = http_header_get(request, "Host");
    if (origin.data == NULL) return true;
    const uint8_t *at = memmem(origin.data, origin.size, "://", 3);
    if (at == NULL) return false;
    return weir_bytes_equal(weir_bytes_of(at + 3, (size_t)(origin.data + origin.size - at - 3)), host);
}

static bool method_matches(const http_request *request, const server_route *route) {
    return http_method_is(request, route->method) ||
           (strcmp(route->method, "GET") == 0 && http_method_is(request, "HEAD"));
}

static const server_route *find_route(const http_request *request, const char **allowed) {
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!weir_bytes_equal_text(request->path, routes[i].path)) continue;
        *allowed = routes[i].method;
        if (method_matches(request, &routes[i])) return &routes[i];
    }
    return NULL;
}

static void handle(void *arg, const http_request *request, http_exchange *exchange) {
    server *self = arg;
    const char *allowed = NULL;
    const server_route *route = find_route(request, &allowed);
    weir_metric_add(&self->requests, 1);
    if (route == NULL && allowed != NULL) {
        http_exchange_header(exchange, "Allow", allowed);
        server_reply_error_format(self, exchange, SERVER_WRONG_METHOD, "%.*s takes %s.", (int)request->path.size,
                                  (const char *)request->path.data, allowed);
    } else if (route == NULL) {
        server_reply_error_format(self, exchange, SERVER_NOT_FOUND,
                                  "There is nothing at %.*s; the page at / shows what runs here.",
                                  request->path.size > 200 ? 200 : (int)request->path.size,
                                  (const char *)request->path.data);
    } else if (!is_same_origin(request)) {
        server_reply_error(self, exchange, SERVER_FORBIDDEN, NULL, NULL,
                           "Requests from pages of other sites are refused.");
    } else if (self->is_closing && route->needs_engine) {
        server_reply_error(self, exchange, SERVER_SHUTTING_DOWN, NULL, NULL, "The server is shutting down.");
    } else if (route->needs_engine && !engine_is_ready(self->config.engine)) {
        server_reply_error(self, exchange, SERVER_NOT_READY, NULL, NULL,
                           "weir is not yet ready to serve requests; it is starting its queries.");
    } else {
        route->handle(self, exchange);
    }
}

/* ---- life ---- */

static void open_metrics(server *self) {
    weir_metric_open(&self->requests, WEIR_COUNTER, "weir_http_requests_total", "Requests of the HTTP door.", "%s",
                     "");
    weir_metric_open(&self->rows, WEIR_COUNTER, "weir_http_rows_total", "Rows given to clients of SELECTs.", "%s",
                     "");
    weir_metric_open(&self->cut_off, WEIR_COUNTER, "weir_http_cut_off_total",
                     "Clients of SELECTs that were cut off, or left, while rows waited for them.", "%s", "");
}

static void server_free(server *self) {
    weir_metric_close(&self->requests);
    weir_metric_close(&self->rows);
    weir_metric_close(&self->cut_off);
    weir_account_deinit(&self->account);
}

static weir_account servers_account = {.name = "server"}; /* of the structs themselves */

weir_status server_open(server **opened, const server_config *config, io_address *bound) {
    server *self = weir_alloc(&servers_account, sizeof *self);
    self->config = *config;
    self->opened_ns = io_now_ns(config->world->clock);
    weir_account_init(&self->account, "server.http", 0);
    open_metrics(self);
    const http_server_config http = {.world = config->world,
                                     .lane = config->lane,
                                     .account = &self->account,
                                     .handle = handle,
                                     .arg = self,
                                     .body_bytes_max = SERVER_BODY_BYTES_MAX,
                                     .send_max_ms = config->stall_max_ms};
    const weir_status status = http_server_start(&self->http, &http, config->host, config->port, bound);
    if (weir_failed(status)) {
        server_free(self);
        weir_free(&servers_account, self);
        return status;
    }
    const bool is_v6 = strchr(bound->host, ':') != NULL;
    snprintf(self->address, sizeof self->address, is_v6 ? "[%s]:%u" : "%s:%u", bound->host, bound->port);
    *opened = self;
    return weir_ok();
}

void server_check_closed(server *self) {
    if (!self->http_is_stopped || self->streams != NULL || self->calls != NULL) return;
    void (*closed)(void *arg) = self->closed;
    void *arg = self->closed_arg;
    http_server_destroy(self->http);
    server_free(self);
    weir_free(&servers_account, self);
    closed(arg);
}

static void http_stopped(void *arg) {
    server *self = arg;
    self->http_is_stopped = true;
    server_check_closed(self);
}

void server_close(server *self, void (*closed)(void *arg), void *arg) {
    weir_assert(!self->is_closing);
    self->is_closing = true;
    self->closed = closed;
    self->closed_arg = arg;
    http_server_stop(self->http, SERVER_GRACE_MS, http_stopped, self);
    server_cancel_streams(self);
    server_cancel_calls(self);
}
