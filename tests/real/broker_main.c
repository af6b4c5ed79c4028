/* A broker and nothing else, for the tests with real clients:
 *
 *     broker_main FOLDER HOST:PORT [NAME=VALUE ...]
 *
 * prints `ready kafka=HOST:PORT` when it takes requests and ends with status 0 on SIGTERM. Names are broker properties.
 */
#include "base/text.h"
#include "broker/broker.h"
#include "io/real/io_real.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROPERTIES_MAX = 32 };

typedef struct program_state {
    io_real *real;
    broker_node *broker;
    char host[IO_ADDRESS_TEXT_MAX];
    uint16_t port;
    io_job stop_job;
    int status;
    bool stopping;
} program_state;

static void stopped(void *arg) {
    io_real_stop(((program_state *)arg)->real);
}

static void stop(program_state *program) {
    if (program->stopping) return;
    program->stopping = true;
    broker_stop(program->broker, stopped, program);
}

static void stop_run(io_job *job) {
    stop(io_owner(job, program_state, stop_job));
}

static void ready(void *arg, weir_status status) {
    program_state *program = arg;
    io_address bound;
    if (!weir_failed(status)) {
        status = broker_listen(program->broker, "PLAINTEXT", program->host, program->port, NULL, 0, &bound);
    }
    if (weir_failed(status)) {
        fprintf(stderr, "%s\n", status.text);
        program->status = 1;
        stop(program);
        return;
    }
    printf("ready kafka=%s:%u\n", bound.host, bound.port);
    fflush(stdout);
}

static weir_status run(program_state *program, const char *folder, const weir_setting *settings, size_t count) {
    WEIR_TRY(io_real_start(&program->real, &(io_real_config){.workers = 1}));
    const io_world *world = io_real_world(program->real);
    io_lane *lane = io_lane_create(world->executor, IO_LANE_LOOP, "main");
    io_job_init(&program->stop_job, stop_run);
    WEIR_TRY(io_real_on_signal(program->real, SIGTERM, lane, &program->stop_job));
    WEIR_TRY(io_real_on_signal(program->real, SIGINT, lane, &program->stop_job));
    const broker_config config = {.world = world,
                                  .lane = lane,
                                  .directory = folder,
                                  .properties = settings,
                                  .property_count = count,
                                  .ready = ready,
                                  .arg = program};
    WEIR_TRY(broker_open(&program->broker, &config, NULL));
    io_real_run(program->real);
    WEIR_TRY(broker_close(program->broker));
    io_lane_destroy(world->executor, lane);
    io_real_destroy(program->real);
    return weir_ok();
}

int main(int count, char **words) {
    weir_setting settings[PROPERTIES_MAX];
    size_t setting_count = 0;
    char *colon = count > 2 ? strrchr(words[2], ':') : NULL;
    int64_t port;
    if (!colon || !weir_parse_i64(weir_bytes_text(colon + 1), &port) || port < 0 || port > UINT16_MAX) {
        fprintf(stderr, "usage: broker_main FOLDER HOST:PORT [NAME=VALUE ...]\n");
        return 2;
    }
    for (int i = 3; i < count && setting_count < PROPERTIES_MAX; i++) {
        char *equals = strchr(words[i], '=');
        if (!equals) continue;
        *equals = 0;
        settings[setting_count++] = (weir_setting){words[i], equals + 1};
    }
    static program_state program;
    *colon = 0;
    snprintf(program.host, sizeof program.host, "%s", words[2]);
    program.port = (uint16_t)port;
    const weir_status status = run(&program, words[1], settings, setting_count);
    if (weir_failed(status)) fprintf(stderr, "%s\n", status.text);
    return weir_failed(status) ? 1 : program.status;
}
