/* What the node tells of itself: ksqlDB's /info, health, metrics, and the page with its feed. */
#include "server/page.h"
#include "server/server_int.h"

#include <stdio.h>

enum { ACCOUNT_NAMES_MAX = 1024 };

static void set_text(json_t *object, const char *name, const char *value) {
    json_object_set_new(object, name, server_json_text(value));
}

static void reply(server *self, http_exchange *exchange, unsigned status, json_t *value) {
    server_reply_json(self, exchange, status, "application/json", value);
}

/* ---- ksqlDB's ---- */

void server_handle_info(server *self, http_exchange *exchange) {
    json_t *all = json_object(), *info = json_object();
    set_text(info, "version", WEIR_VERSION);
    set_text(info, "kafkaClusterId", self->config.broker != NULL ? broker_cluster_id(self->config.broker) : "");
    set_text(info, "ksqlServiceId", engine_service_id(self->config.engine));
    set_text(info, "serverStatus", engine_is_ready(self->config.engine) ? "RUNNING" : "INITIALIZING");
    json_object_set_new(all, "KsqlServerInfo", info);
    reply(self, exchange, 200, all);
}

static json_t *is_healthy(bool yes) {
    json_t *part = json_object();
    json_object_set_new(part, "isHealthy", json_boolean(yes));
    return part;
}

void server_handle_healthcheck(server *self, http_exchange *exchange) {
    const bool ready = engine_is_ready(self->config.engine);
    json_t *health = is_healthy(ready), *details = json_object();
    json_object_set_new(details, "metastore", is_healthy(ready));
    json_object_set_new(details, "kafka", is_healthy(true));
    json_object_set_new(details, "commandRunner", is_healthy(ready));
    json_object_set_new(health, "details", details);
    set_text(health, "serverState", ready ? "READY" : "INITIALIZING");
    reply(self, exchange, ready ? 200 : 503, health);
}

/* This node alone: others on the same cluster show in Kafka's group metadata, not here. */
void server_handle_cluster_status(server *self, http_exchange *exchange) {
    json_t *all = json_object(), *hosts = json_object(), *host = json_object(), *lags = json_object();
    json_object_set_new(host, "hostAlive", json_true());
    json_object_set_new(host, "lastStatusUpdateMs", json_integer(io_wall_ms(self->config.world->clock)));
    json_object_set_new(host, "activeStandbyPerQuery", json_object());
    json_object_set_new(lags, "stateStoreLags", json_object());
    json_object_set_new(lags, "updateTimeMs", json_integer(0));
    json_object_set_new(host, "hostStoreLags", lags);
    json_object_set_new(hosts, self->address, host);
    json_object_set_new(all, "clusterStatus", hosts);
    reply(self, exchange, 200, all);
}

/* ---- health ---- */

void server_handle_live(server *self, http_exchange *exchange) {
    json_t *health = json_object();
    set_text(health, "status", "live");
    reply(self, exchange, 200, health);
}

void server_handle_ready(server *self, http_exchange *exchange) {
    const bool ready = engine_is_ready(self->config.engine) && !self->is_closing;
    json_t *health = json_object();
    set_text(health, "status", ready ? "ready" : self->is_closing ? "stopping" : "starting");
    reply(self, exchange, ready ? 200 : 503, health);
}

/* ---- metrics ---- */

typedef struct account_sum { /* accounts of one name are one time series */
    char name[96]; /* a copy: an account may go while we print */
    size_t used_bytes, peak_bytes;
} account_sum;

typedef struct account_list {
    account_sum items[ACCOUNT_NAMES_MAX];
    size_t count;
} account_list;

static void add_account(const weir_account *account, void *arg) {
    account_list *list = arg;
    size_t i = 0;
    while (i < list->count && strncmp(list->items[i].name, account->name, sizeof list->items[i].name - 1) != 0) i++;
    if (i == ACCOUNT_NAMES_MAX) return;
    account_sum *sum = &list->items[i];
    if (i == list->count) {
        snprintf(sum->name, sizeof sum->name, "%s", account->name);
        list->count++;
    }
    sum->used_bytes += atomic_load(&account->used_bytes);
    sum->peak_bytes += atomic_load(&account->peak_bytes);
}

static void print_gauge(weir_buffer *text, const char *family, const char *help, size_t value) {
    weir_buffer_format(text, "# HELP %s %s\n# TYPE %s gauge\n%s %zu\n", family, help, family, family, value);
}

static void print_accounts(server *self, weir_buffer *text) {
    account_list *list = weir_alloc(&self->account, sizeof *list);
    weir_account_each(add_account, list);
    for (int peak = 0; peak < 2; peak++) {
        const char *family = peak ? "weir_memory_account_peak_bytes" : "weir_memory_account_used_bytes";
        weir_buffer_format(text, "# HELP %s %s\n# TYPE %s gauge\n", family,
                           peak ? "The most that an account has held." : "Memory that an account holds.", family);
        for (size_t i = 0; i < list->count; i++) {
            char label[256];
            weir_buffer_format(text, "%s{account=\"%s\"} %zu\n", family,
                               weir_metric_label(label, sizeof label, list->items[i].name),
                               peak ? list->items[i].peak_bytes : list->items[i].used_bytes);
        }
    }
    weir_free(&self->account, list);
}

void server_handle_metrics(server *self, http_exchange *exchange) {
    weir_buffer text;
    weir_buffer_init(&text, &self->account, SERVER_REPLY_BYTES_MAX);
    weir_metric_print(&text);
    print_accounts(self, &text);
    print_gauge(&text, "weir_memory_used_bytes", "Memory that all accounts hold.", weir_memory_used());
    print_gauge(&text, "weir_memory_budget_bytes", "The budget of all accounts; 0 is none.", weir_memory_limit());
    print_gauge(&text, "weir_http_connections", "Open connections of the HTTP door.",
                http_server_connections(self->http));
    print_gauge(&text, "weir_http_streams", "SELECTs that are being answered.", self->stream_count);
    const int64_t up_ns = io_now_ns(self->config.world->clock) - self->opened_ns;
    print_gauge(&text, "weir_uptime_seconds", "Since the HTTP door was opened.", (size_t)(up_ns / 1000000000));
    if (text.overflowed)
        http_exchange_reply_text(exchange, 500, "The metrics are larger than %d MiB.\n", SERVER_REPLY_BYTES_MAX >> 20);
    else
        http_exchange_reply(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", weir_buffer_view(&text));
    weir_buffer_deinit(&text);
}

/* ---- the page ---- */

static json_t *topic_json(const server *self, const broker_topic *topic) {
    uint64_t bytes = 0;
    int64_t records = 0;
    for (int32_t p = 0; p < topic->partition_count; p++) {
        const log_partition *partition =
            broker_partition(self->config.broker, weir_bytes_text(topic->name), p);
        if (partition == NULL) continue;
        records += log_high_watermark(partition) - log_start_offset(partition);
        bytes += log_size_bytes(partition);
    }
    json_t *json = json_object();
    set_text(json, "name", topic->name);
    json_object_set_new(json, "partitions", json_integer(topic->partition_count));
    json_object_set_new(json, "records", json_integer(records));
    json_object_set_new(json, "bytes", json_integer((json_int_t)bytes));
    return json;
}

static json_t *topics_json(const server *self, const guard_principal *principal) {
    json_t *topics = json_array();
    const broker_topic *topic;
    if (self->config.broker == NULL) return topics;
    for (size_t i = 0; json_array_size(topics) < SERVER_TOPICS_SHOWN_MAX &&
                       (topic = broker_topic_at(self->config.broker, i)) != NULL;
         i++)
        if (!topic->internal && server_topic_is_visible(self, principal, topic->name))
            json_array_append_new(topics, topic_json(self, topic));
    return topics;
}

static json_t *query_json(const engine_query_info *info) {
    const flow_query_stats *stats = &info->stats;
    json_t *json = json_object();
    set_text(json, "id", info->id);
    set_text(json, "kind", info->kind);
    set_text(json, "statement", info->statement);
    set_text(json, "sink", info->sink);
    set_text(json, "state", server_state_name(stats->state));
    json_object_set_new(json, "rowsPerSecond", json_real(info->rows_per_second));
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"rowsIn", stats->rows_in},           {"rowsOut", stats->rows_out},
                  {"filtered", stats->filtered},        {"late", stats->late},
                  {"nullKey", stats->null_key},         {"quarantined", stats->quarantined},
                  {"errorsAsNull", stats->errors_as_null}, {"groups", stats->groups},
                  {"stateBytes", stats->state_bytes}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        json_object_set_new(json, counts[i].name, json_integer((json_int_t)counts[i].value));
    json_object_set_new(json, "lag", json_integer(stats->lag));
    set_text(json, "lastError", stats->last_error.code != WEIR_OK ? stats->last_error.text : NULL);
    return json;
}

static json_t *connector_json(const engine_connector_info *info) {
    static const char *const states[] = {[CONNECT_STARTING] = "STARTING",
                                         [CONNECT_RUNNING] = "RUNNING",
                                         [CONNECT_STOPPED] = "STOPPED",
                                         [CONNECT_FAILED] = "FAILED"};
    json_t *json = json_object();
    set_text(json, "name", info->name);
    set_text(json, "connector", info->source->name);
    set_text(json, "topic", info->topic);
    set_text(json, "state", states[info->stats.state]);
    json_object_set_new(json, "records", json_integer((json_int_t)info->stats.records));
    json_object_set_new(json, "bytes", json_integer((json_int_t)info->stats.bytes));
    set_text(json, "lastError", info->stats.last_error.code != WEIR_OK ? info->stats.last_error.text : NULL);
    return json;
}

void server_handle_status(server *self, http_exchange *exchange) {
    json_t *status = json_object(), *queries = json_array(), *connectors = json_array();
    engine_query_info *query = weir_alloc(&self->account, sizeof *query);
    engine_connector_info *connector = weir_alloc(&self->account, sizeof *connector);
    for (size_t i = 0; engine_query_at(self->config.engine, i, query); i++)
        json_array_append_new(queries, query_json(query));
    for (size_t i = 0; engine_connector_at(self->config.engine, i, connector); i++)
        json_array_append_new(connectors, connector_json(connector));
    set_text(status, "version", WEIR_VERSION);
    json_object_set_new(status, "ready", json_boolean(engine_is_ready(self->config.engine)));
    json_object_set_new(status, "upSeconds",
                        json_integer((io_now_ns(self->config.world->clock) - self->opened_ns) / 1000000000));
    json_object_set_new(status, "memoryBytes", json_integer((json_int_t)weir_memory_used()));
    json_object_set_new(status, "memoryBudgetBytes", json_integer((json_int_t)weir_memory_limit()));
    json_object_set_new(status, "topics", topics_json(self, server_principal(exchange)));
    json_object_set_new(status, "queries", queries);
    json_object_set_new(status, "connectors", connectors);
    weir_free(&self->account, query);
    weir_free(&self->account, connector);
    http_exchange_header(exchange, "Cache-Control", "no-store");
    reply(self, exchange, 200, status);
}

void server_handle_page(server *self, http_exchange *exchange) {
    (void)self;
    http_exchange_header(
        exchange, "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    http_exchange_header(exchange, "X-Content-Type-Options", "nosniff");
    http_exchange_header(exchange, "Referrer-Policy", "no-referrer");
    http_exchange_header(exchange, "Cache-Control", "no-cache");
    http_exchange_reply(exchange, 200, "text/html; charset=utf-8", weir_bytes_of(server_page, server_page_bytes));
}
