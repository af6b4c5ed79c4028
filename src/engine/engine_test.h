/* What the tests of this folder share: a node (broker, bus, engine) in a simulated world, and scripts told as plain
 * calls whose answers and rows are a transcript, one line each:
 *
 *   ok Stream created                     a statement's answer
 *   NOT_FOUND Source X does not exist     a failure
 *   # K, N                                names of a SELECT's columns
 *   /a, 3                                 a row; "@start" in front for windowed keys that are not selected
 *   end / end CANCELLED                   the rows' end */
#ifndef WEIR_ENGINE_ENGINE_TEST_H
#define WEIR_ENGINE_ENGINE_TEST_H

#include "bus/embedded/embedded.h"
#include "engine/engine.h"
#include "io/sim/io_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NODE_STEPS_MAX = 4000000, NODE_PROPERTIES_MAX = 8, NODE_TRANSCRIPT_MAX = 1 << 20 };

typedef struct node {
    io_sim *sim;
    const io_world *world;
    io_lane *lane;
    broker_node *broker;
    bus *bus;
    engine *engine;
    weir_account account;
    weir_setting properties[NODE_PROPERTIES_MAX];
    size_t property_count;
    bool broker_ready, broker_stopped, engine_ready, engine_closed;
    weir_error broker_status, engine_status;
} node;

typedef struct script { /* one request and its transcript */
    node *node;
    engine_request *request;
    weir_buffer transcript;
    bool is_done;
    weir_error status;
    bool is_full;               /* the client takes nothing for now */
    uint32_t rows, rows_wanted; /* wanted > 0: the client ends the query after so many */
    char query_id[128];
    int64_t sequence;
} script;

static bool node_flag(void *arg) {
    return *(bool *)arg;
}

static inline void node_until(node *n, bool *flag) {
    const io_sim_end end = io_sim_run(n->sim, node_flag, flag, NODE_STEPS_MAX);
    if (end != IO_SIM_DONE) fail_msg("seed %llu: waited in vain", (unsigned long long)io_sim_seed(n->sim));
}
static inline void node_for_ms(node *n, int64_t ms) {
    io_sim_run_for(n->sim, ms * 1000000);
}

/* ---- life ---- */

static void node_broker_ready(void *arg, weir_status status) {
    node *n = arg;
    weir_error_set(&n->broker_status, status);
    n->broker_ready = true;
}
static void node_broker_stopped(void *arg) {
    ((node *)arg)->broker_stopped = true;
}
static void node_engine_ready(void *arg, weir_status status) {
    node *n = arg;
    weir_error_set(&n->engine_status, status);
    n->engine_ready = true;
}
static void node_engine_closed(void *arg) {
    ((node *)arg)->engine_closed = true;
}

static inline void node_open_broker(node *n) {
    const broker_config config = {.world = n->world,
                                  .lane = n->lane,
                                  .directory = "data",
                                  .journal_bytes = 1 << 20,
                                  .ready = node_broker_ready,
                                  .arg = n};
    log_start_report report;
    n->broker_ready = n->broker_stopped = false;
    const weir_status status = broker_open(&n->broker, &config, &report);
    if (weir_failed(status)) fail_msg("seed %llu: %s", (unsigned long long)io_sim_seed(n->sim), status.text);
    node_until(n, &n->broker_ready);
    assert_string_equal(n->broker_status.text, "");
    n->bus = bus_embedded_create(&(bus_embedded_config){.world = n->world, .broker = n->broker, .read_ahead = true});
}

static inline void node_open_engine(node *n) {
    const engine_config config = {.world = n->world,
                                  .bus = n->bus,
                                  .owner = n->lane,
                                  .state_directory = "data/state",
                                  .properties = n->properties,
                                  .property_count = n->property_count};
    n->engine_ready = n->engine_closed = false;
    n->engine = engine_open(&config, node_engine_ready, n);
}

static inline void node_open(node *n) {
    node_open_broker(n);
    node_open_engine(n);
    node_until(n, &n->engine_ready);
    assert_string_equal(n->engine_status.text, "");
    assert_true(engine_is_ready(n->engine));
}

static inline void node_close_engine(node *n) {
    engine_close(n->engine, node_engine_closed, n);
    node_until(n, &n->engine_closed);
    engine_free(n->engine);
}

static inline void node_stop_broker(node *n) {
    broker_stop(n->broker, node_broker_stopped, n);
    node_until(n, &n->broker_stopped);
    bus_embedded_destroy(n->bus);
}

static inline void node_close(node *n) {
    node_close_engine(n);
    node_stop_broker(n);
    const weir_status status = broker_close(n->broker);
    if (weir_failed(status)) fail_msg("%s", status.text);
}

static inline void node_restart(node *n) {
    node_close(n);
    node_open(n);
}

/* The process dies as `death` says and comes back. */
static inline void node_crash(node *n, io_sim_death death) {
    io_sim_crash(n->sim);
    node_close_engine(n);
    node_stop_broker(n);
    broker_abandon(n->broker);
    io_sim_restart(n->sim, death);
    node_open(n);
}

static inline void node_begin(node *n, uint64_t seed) {
    *n = (node){.sim = io_sim_create(seed)};
    n->world = io_sim_world(n->sim);
    n->lane = io_lane_create(n->world->executor, IO_LANE_LOOP, "main");
    weir_account_init(&n->account, "test", 0);
    n->properties[n->property_count++] = (weir_setting){"ksql.query.retry.backoff.initial.ms", "100"};
    n->properties[n->property_count++] = (weir_setting){"ksql.query.retry.backoff.max.ms", "400"};
    n->properties[n->property_count++] = (weir_setting){"ksql.streams.auto.offset.reset", "earliest"};
    assert_int_equal(io_make_directory(n->world->files, "data").code, WEIR_OK);
    assert_int_equal(io_make_directory(n->world->files, "data/state").code, WEIR_OK);
    assert_int_equal(io_sync_directory(n->world->files, "data").code, WEIR_OK);
    assert_int_equal(io_sync_directory(n->world->files, "/").code, WEIR_OK);
    node_open(n);
}

static inline void node_forget(node *n) {
    io_lane_destroy(n->world->executor, n->lane);
    io_sim_destroy(n->sim);
    weir_account_deinit(&n->account);
}

static inline void node_end(node *n) {
    node_close(n);
    node_forget(n);
}

/* ---- scripts ---- */

static inline void script_value(weir_buffer *target, const data_vector *vector, uint32_t row) {
    const uint32_t at = data_vector_index(vector, row);
    if (data_vector_is_null(vector, row)) {
        weir_buffer_append_text(target, "NULL");
        return;
    }
    switch (vector->type->kind) {
    case DATA_BOOLEAN: weir_buffer_append_text(target, vector->booleans[at] ? "true" : "false"); break;
    case DATA_INT: weir_buffer_format(target, "%d", vector->ints[at]); break;
    case DATA_BIGINT: weir_buffer_format(target, "%lld", (long long)vector->bigints[at]); break;
    case DATA_DOUBLE: weir_buffer_format(target, "%g", vector->doubles[at]); break;
    default: {
        const weir_bytes text = data_text_bytes(&vector->texts[at]);
        weir_buffer_append(target, text.data, text.size);
    }
    }
}

static void script_schema(void *arg, const char *query_id, const data_schema *schema) {
    script *s = arg;
    snprintf(s->query_id, sizeof s->query_id, "%s", query_id);
    weir_buffer_append_text(&s->transcript, "# ");
    for (uint32_t i = 0; i < schema->count; i++)
        weir_buffer_format(&s->transcript, "%s%s", i ? ", " : "", schema->columns[i].name);
    weir_buffer_append_byte(&s->transcript, '\n');
}

static bool script_batch(void *arg, const data_batch *batch) {
    script *s = arg;
    for (uint32_t i = 0; i < batch->selection.count; i++) {
        const uint32_t row = data_selected(&batch->selection, i);
        for (uint32_t c = 0; c < batch->schema->count; c++) {
            if (c) weir_buffer_append_text(&s->transcript, ", ");
            script_value(&s->transcript, batch->columns[c], row);
        }
        weir_buffer_append_byte(&s->transcript, '\n');
        if (++s->rows == s->rows_wanted) return false;
    }
    return true;
}

static bool script_may_go_on(void *arg) {
    return !((script *)arg)->is_full;
}

static void script_end(void *arg, weir_status status) {
    script *s = arg;
    weir_buffer_format(&s->transcript, weir_failed(status) ? "end %s %s\n" : "end\n", weir_code_name(status.code),
                       status.text);
}

static void script_answer(void *arg, const engine_answer *answer) {
    script *s = arg;
    s->sequence = answer->command_sequence;
    assert_int_equal(weir_failed(answer->status), answer->message == NULL && weir_failed(answer->status));
    if (weir_failed(answer->status))
        weir_buffer_format(&s->transcript, "%s %s\n", weir_code_name(answer->status.code), answer->status.text);
    else if (answer->message)
        weir_buffer_format(&s->transcript, "ok %s\n", answer->message);
    else
        weir_buffer_append_text(&s->transcript, "ok\n");
}

static void script_done(void *arg, weir_status status) {
    script *s = arg;
    weir_error_set(&s->status, status);
    s->is_done = true;
    s->request = NULL;
}

static inline void script_begin(script *s, node *n, const char *text) {
    *s = (script){.node = n, .sequence = -1};
    weir_buffer_init(&s->transcript, &n->account, NODE_TRANSCRIPT_MAX);
    const engine_request_events events = {script_answer, script_done, s};
    const engine_row_events rows = {.on_schema = script_schema,
                                    .on_batch = script_batch,
                                    .on_end = script_end,
                                    .may_go_on = script_may_go_on,
                                    .arg = s};
    s->request = engine_execute(n->engine, text, NULL, NULL, 0, &events, &rows);
}
static inline void script_deinit(script *s) {
    weir_buffer_deinit(&s->transcript);
}

static inline void script_wait(script *s) {
    node_until(s->node, &s->is_done);
}

/* Runs the script to its end; its transcript is `expected`. */
static inline void tell(node *n, const char *text, const char *expected) {
    script s;
    script_begin(&s, n, text);
    script_wait(&s);
    assert_string_equal(weir_buffer_text(&s.transcript), expected);
    script_deinit(&s);
}

/* ---- topics ---- */

typedef struct node_call {
    bool is_done;
    weir_error status;
    io_job job;
} node_call;

static void node_call_done(void *arg, weir_status status) {
    node_call *call = arg;
    weir_error_set(&call->status, status);
    call->is_done = true;
}
static void node_call_made(void *arg, weir_status status, const bus_topic_info *info) {
    (void)info;
    node_call_done(arg, status);
}
static void node_call_committed(io_job *job) {
    io_owner(job, node_call, job)->is_done = true;
}

static inline void node_delete_topic(node *n, const char *topic) {
    node_call call = {0};
    n->bus->vtable->topic_delete(n->bus, n->lane, topic, node_call_done, &call);
    node_until(n, &call.is_done);
    assert_string_equal(call.status.text, "");
}
static inline void node_make_topic(node *n, const char *topic, int32_t partitions) {
    node_call call = {0};
    n->bus->vtable->topic_create(n->bus, n->lane, topic, partitions, NULL, 0, node_call_made, &call);
    node_until(n, &call.is_done);
    assert_string_equal(call.status.text, "");
}
static inline void node_write(node *n, const char *topic, const char *value) {
    node_call call = {0};
    io_job_init(&call.job, node_call_committed);
    bus_commit *commit = n->bus->vtable->commit_begin(n->bus, n->lane, NULL);
    const bus_row row = {.value = weir_bytes_text(value)};
    assert_int_equal(n->bus->vtable->commit_add(commit, topic, 0, &row).code, WEIR_OK);
    n->bus->vtable->commit_send(commit, &call.job);
    node_until(n, &call.is_done);
    assert_int_equal(n->bus->vtable->commit_result(commit).code, WEIR_OK);
    n->bus->vtable->commit_free(commit);
}
/* How many topics have `part` in their names. */
static inline unsigned node_topics(node *n, const char *part) {
    unsigned found = 0;
    const broker_topic *topic;
    for (size_t i = 0; (topic = broker_topic_at(n->broker, i)) != NULL; i++) found += strstr(topic->name, part) != NULL;
    return found;
}

/* ---- looking at queries ---- */

typedef struct node_wait {
    node *node;
    const char *id;
    uint64_t rows_in;
} node_wait;

static bool node_has_read(void *arg) {
    const node_wait *wait = arg;
    engine_query_info info;
    return engine_query_find(wait->node->engine, wait->id, &info) && info.stats.state == FLOW_RUNNING &&
           info.stats.rows_in >= wait->rows_in;
}
/* Until the query has taken so many rows in since this process started. */
static inline void node_wait_rows(node *n, const char *id, uint64_t rows_in) {
    node_wait wait = {n, id, rows_in};
    if (io_sim_run(n->sim, node_has_read, &wait, NODE_STEPS_MAX) != IO_SIM_DONE) {
        engine_query_info info = {0};
        engine_query_find(n->engine, id, &info);
        fail_msg("seed %llu: %s has %llu of %llu rows, state %d, %s", (unsigned long long)io_sim_seed(n->sim), id,
                 (unsigned long long)info.stats.rows_in, (unsigned long long)rows_in, (int)info.stats.state,
                 info.stats.last_error.text);
    }
}

#endif
