/* cli/server - weir server: the node's parts, in the order they start and stop.
 *
 *   start: io -> broker (opens the data folder) -> Kafka doors -> bus -> engine (replays commands) -> HTTP door ->
 * "ready" stop:  HTTP door -> engine -> broker -> io -> data folder marked clean
 *
 * Everything runs on the loop "main", which is this thread. */
#include "cli/cli.h"

#include "base/trace.h"
#include "bus/embedded/embedded.h"
#include "cli/settings.h"
#include "engine/engine.h"
#include "io/real/io_real.h"
#include "server/server.h"

#include <signal.h>
#include <stdio.h>

enum { SETTINGS_BYTES_MAX = 4 << 20, STATE_PATH_MAX = 4096 };

typedef struct node {
    const cli_settings *settings;
    io_real *real;
    const io_world *world;
    io_lane *lane;
    broker_node *broker;
    bus *bus;
    engine *engine;
    server *server;
    io_job begin, stop;
    char state_directory[STATE_PATH_MAX];
    weir_setting broker_properties[CLI_PROPERTIES_MAX], engine_properties[CLI_PROPERTIES_MAX];
    size_t broker_property_count, engine_property_count;
    io_address kafka[CLI_LISTENERS_MAX];
    io_address http;
    bool broker_ready, engine_stopped, stopping;
    int status;
} node;

static void print_help(void) {
    printf(
        "Usage: weir server [OPTION...]\n\n"
        "  --data DIR       the data folder, made when missing (WEIR_DATA; default weir-data)\n"
        "  --kafka [NAME=]HOST:PORT[,advertise=HOST:PORT]\n"
        "                   a door for Kafka clients, may be repeated (WEIR_KAFKA; default localhost:9092)\n"
        "  --http HOST:PORT ksqlDB's REST API, metrics, health, the page (WEIR_HTTP; default localhost:8088)\n"
        "  --memory SIZE    the memory budget (WEIR_MEMORY; default a quarter of the machine's)\n"
        "  --config FILE    NAME=VALUE lines: these options without --, Kafka's and ksqlDB's properties (WEIR_CONFIG)\n"
        "  --set NAME=VALUE a Kafka or ksqlDB property (num.partitions, ...), may be repeated\n"
        "  --insecure       allow doors that other machines can reach, without TLS and authentication\n"
        "  -v, --verbose    trace more on standard error\n\n"
        "Port 0 picks a free one. One line `ready kafka=HOST:PORT http=HOST:PORT` on standard output says when it "
        "serves.\n"
        "SIGTERM or Ctrl-C stop it cleanly.\n");
}

/* ---- stopping: each step starts the next ------------------------------------------------------------------------- */

static void broker_stopped(void *arg) {
    node *n = arg;
    io_real_stop(n->real);
}

static void engine_closed(void *arg) {
    node *n = arg;
    n->engine_stopped = true;
    broker_stop(n->broker, broker_stopped, n);
}

static void server_closed(void *arg) {
    node *n = arg;
    n->server = NULL;
    if (n->engine) engine_close(n->engine, engine_closed, n);
    else broker_stop(n->broker, broker_stopped, n);
}

static void begin_stop(node *n) {
    if (n->stopping) return;
    n->stopping = true;
    if (n->server) server_close(n->server, server_closed, n);
    else server_closed(n);
}

static void on_signal(io_job *job) {
    begin_stop(io_owner(job, node, stop));
}

static void give_up(node *n, weir_status status) {
    n->status = cli_fail("server", status);
    begin_stop(n);
}

/* ---- starting ---------------------------------------------------------------------------------------------------- */

static void engine_ready(void *arg, weir_status status) {
    node *n = arg;
    if (n->stopping) return;
    if (!weir_failed(status)) {
        const server_config config = {.world = n->world, .lane = n->lane, .broker = n->broker, .engine = n->engine,
                                      .host = n->settings->http.host, .port = n->settings->http.port,
                                      .properties = n->settings->properties,
                                      .property_count = n->settings->property_count};
        status = server_open(&n->server, &config, &n->http);
    }
    if (weir_failed(status)) {
        give_up(n, status);
        return;
    }
    printf("ready");
    for (size_t i = 0; i < n->settings->kafka_count; i++) printf(" kafka=%s:%u", n->kafka[i].host, n->kafka[i].port);
    printf(" http=%s:%u\n", n->http.host, n->http.port);
    fflush(stdout);
}

static weir_status open_doors(node *n) {
    for (size_t i = 0; i < n->settings->kafka_count; i++) {
        const cli_endpoint *door = &n->settings->kafka[i];
        WEIR_TRY(broker_listen(n->broker, door->name, door->host, door->port, door->advertise_host,
                               door->advertise_port, &n->kafka[i]));
    }
    return weir_ok();
}

static void broker_ready(void *arg, weir_status status) {
    node *n = arg;
    if (n->stopping) return;
    if (!weir_failed(status)) status = open_doors(n);
    if (weir_failed(status)) {
        give_up(n, status);
        return;
    }
    const bus_embedded_config bus_config = {.world = n->world, .broker = n->broker, .read_ahead = true};
    n->bus = bus_embedded_create(&bus_config);
    const engine_config config = {.world = n->world,
                                  .bus = n->bus,
                                  .owner = n->lane,
                                  .state_directory = n->state_directory,
                                  .properties = n->engine_properties,
                                  .property_count = n->engine_property_count};
    n->engine = engine_open(&config, engine_ready, n);
}

/* ksqlDB's names, and those of Kafka Streams and consumers that a session may set; all others are the broker's. */
static bool is_engine_property(const char *name) {
    static const char *const names[] = {"auto.offset.reset", "cache.max.bytes.buffering", "commit.interval.ms",
                                        "num.stream.threads", "processing.guarantee"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) return true;
    }
    return strncmp(name, "ksql.", 5) == 0;
}

static void sort_properties(node *n) {
    for (size_t i = 0; i < n->settings->property_count; i++) {
        const weir_setting *property = &n->settings->properties[i];
        if (is_engine_property(property->name)) n->engine_properties[n->engine_property_count++] = *property;
        else n->broker_properties[n->broker_property_count++] = *property;
    }
}

static weir_status check_exposure(const cli_settings *settings) {
    const char *exposed = cli_host_is_loopback(settings->http.host) ? NULL : settings->http.host;
    for (size_t i = 0; i < settings->kafka_count; i++) {
        if (!cli_host_is_loopback(settings->kafka[i].host)) exposed = settings->kafka[i].host;
    }
    if (!exposed || settings->insecure) return weir_ok();
    return weir_fail(WEIR_REFUSED,
                     "%s can be reached by other machines, and there is no TLS and no authentication yet: listen "
                     "on localhost, or say --insecure if the network itself is trusted",
                     exposed);
}

static weir_status open_node(node *n) {
    WEIR_TRY(check_exposure(n->settings));
    const io_real_config real_config = {0};
    WEIR_TRY(io_real_start(&n->real, &real_config));
    n->world = io_real_world(n->real);
    n->lane = io_lane_create(n->world->executor, IO_LANE_LOOP, "main");
    io_job_init(&n->stop, on_signal);
    WEIR_TRY(io_real_on_signal(n->real, SIGTERM, n->lane, &n->stop));
    WEIR_TRY(io_real_on_signal(n->real, SIGINT, n->lane, &n->stop));
    log_start_report report;
    const broker_config config = {.world = n->world, .lane = n->lane, .directory = n->settings->data,
                                  .properties = n->broker_properties, .property_count = n->broker_property_count,
                                  .ready = broker_ready, .arg = n};
    WEIR_TRY(broker_open(&n->broker, &config, &report));
    weir_trace(WEIR_INFO, "server", "data folder %s, cluster %s, %s start, %llu groups replayed in %lld us",
               n->settings->data, report.cluster_id, report.clean ? "clean" : "unclean",
               (unsigned long long)report.groups_replayed, (long long)report.recovery_us);
    return weir_ok();
}

static void close_node(node *n) {
    if (n->engine) engine_free(n->engine);
    if (n->bus) bus_embedded_destroy(n->bus);
    if (n->broker) {
        const weir_status status = broker_close(n->broker);
        if (weir_failed(status)) n->status = cli_fail("server", status);
    }
    if (n->lane) io_lane_destroy(n->world->executor, n->lane);
    if (n->real) io_real_destroy(n->real);
}

int cli_server(int argc, char **argv) {
    weir_account account;
    weir_arena arena;
    weir_account_init(&account, "cli.server", 0);
    weir_arena_init(&arena, &account, SETTINGS_BYTES_MAX);
    static cli_settings settings;
    static node n;
    weir_status status = weir_ok();
    const cli_outcome outcome = cli_settings_read(&settings, &arena, argc, argv, &status);
    if (outcome == CLI_HELP) {
        print_help();
    } else if (outcome == CLI_WRONG) {
        n.status = cli_usage("server", "%s", status.text);
    } else {
        weir_memory_set_limit(settings.memory_bytes);
        weir_trace_set_level(settings.verbose ? WEIR_DEBUG : WEIR_WARN);
        snprintf(n.state_directory, sizeof n.state_directory, "%s/state", settings.data);
        n.settings = &settings;
        sort_properties(&n);
        status = open_node(&n);
        if (weir_failed(status)) n.status = cli_fail("server", status);
        else io_real_run(n.real);
        close_node(&n);
    }
    weir_arena_deinit(&arena);
    weir_account_deinit(&account);
    return n.status;
}
