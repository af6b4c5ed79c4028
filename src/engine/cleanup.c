/* What dropped queries and connectors leave, taken away in the order in which nothing can be written again: they are
 * stopped, then their internal topics are deleted, then the topic that the statement named, then the snapshots. */
#include "engine/engine_int.h"

#include "base/trace.h"

#include <stdio.h>

enum { CLEANUP_ARENA_BYTES = 16 << 20 };

typedef struct topic_name {
    const char *text;
    struct topic_name *next;
} topic_name;

struct engine_cleanup {
    engine *engine;
    weir_arena arena;
    engine_query *queries;
    engine_connector *connectors;
    uint32_t to_stop;
    topic_name *topics, **topics_last;
    topic_name *user_topics; /* told back when they cannot be deleted */
    weir_error error;
    io_job start, files_run, files_done;
    void (*done)(void *arg, weir_status topics);
    void *done_arg;
};

engine_cleanup *engine_cleanup_create(engine *self) {
    engine_cleanup *cleanup = weir_alloc(&self->account, sizeof *cleanup);
    *cleanup = (engine_cleanup){.engine = self};
    cleanup->topics_last = &cleanup->topics;
    weir_arena_init(&cleanup->arena, &self->account, CLEANUP_ARENA_BYTES);
    return cleanup;
}

void engine_cleanup_free(engine_cleanup *cleanup) {
    while (cleanup->queries) {
        engine_query *query = cleanup->queries;
        cleanup->queries = query->next;
        engine_query_free(query);
    }
    while (cleanup->connectors) {
        engine_connector *connector = cleanup->connectors;
        cleanup->connectors = connector->next;
        engine_connector_free(connector);
    }
    weir_account *account = &cleanup->engine->account;
    weir_arena_deinit(&cleanup->arena);
    weir_free(account, cleanup);
}

static void add_topic(engine_cleanup *cleanup, const char *name) {
    topic_name *topic = weir_arena_new(&cleanup->arena, topic_name);
    topic->text = weir_arena_text_copy(&cleanup->arena, name);
    *cleanup->topics_last = topic;
    cleanup->topics_last = &topic->next;
}

void engine_cleanup_add_query(engine_cleanup *cleanup, engine_query *query) {
    query->next = cleanup->queries;
    cleanup->queries = query;
    cleanup->to_stop++;
    for (const flow_node *node = query->plan->topology->root; node; node = node->input) {
        if (node->kind == FLOW_REPARTITION) add_topic(cleanup, node->repartition.topic.name);
        if (node->kind == FLOW_AGGREGATE && node->aggregate.changelog_topic)
            add_topic(cleanup, node->aggregate.changelog_topic);
    }
}

void engine_cleanup_add_connector(engine_cleanup *cleanup, engine_connector *connector) {
    connector->next = cleanup->connectors;
    cleanup->connectors = connector;
    cleanup->to_stop++;
    char positions[BUS_TOPIC_NAME_MAX + 1];
    snprintf(positions, sizeof positions, "_weir_connect-%s-positions", connector->name);
    add_topic(cleanup, positions);
}

void engine_cleanup_add_topic(engine_cleanup *cleanup, const char *topic) {
    weir_assert(!cleanup->user_topics);
    topic_name *user = weir_arena_new(&cleanup->arena, topic_name);
    user->text = weir_arena_text_copy(&cleanup->arena, topic);
    cleanup->user_topics = user;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void remove_files(io_job *job) {
    engine_cleanup *cleanup = io_owner(job, engine_cleanup, files_run);
    engine *self = cleanup->engine;
    for (engine_query *query = cleanup->queries; query && self->state_directory; query = query->next) {
        const char *id = query->plan->query->id;
        const weir_status status = flow_files_remove(self->world->files, self->state_directory, id);
        if (weir_failed(status)) weir_trace(WEIR_WARN, "engine", "snapshots of %s stay: %s", id, status.text);
    }
    engine_post(self, &cleanup->files_done);
}

static void files_removed(io_job *job) {
    engine_cleanup *cleanup = io_owner(job, engine_cleanup, files_done);
    engine *self = cleanup->engine;
    void (*done)(void *arg, weir_status topics) = cleanup->done;
    void *done_arg = cleanup->done_arg;
    const weir_status status = weir_error_status(&cleanup->error);
    engine_cleanup_free(cleanup);
    done(done_arg, status);
    engine_end(self);
}

/* ---- topics ------------------------------------------------------------------------------------------------------ */

static void delete_next_topic(engine_cleanup *cleanup);

static void topic_deleted(void *arg, weir_status status) {
    engine_cleanup *cleanup = arg;
    const bool was_user = !cleanup->topics;
    topic_name **list = was_user ? &cleanup->user_topics : &cleanup->topics;
    if (weir_failed(status) && status.code != WEIR_NOT_FOUND) {
        weir_trace(WEIR_WARN, "engine", "topic %s stays: %s", (*list)->text, status.text);
        if (was_user) weir_error_set(&cleanup->error, weir_context(status, "topic %s stays", (*list)->text));
    }
    *list = (*list)->next;
    delete_next_topic(cleanup);
}

static void delete_next_topic(engine_cleanup *cleanup) {
    engine *self = cleanup->engine;
    const topic_name *topic = cleanup->topics ? cleanup->topics : cleanup->user_topics;
    if (topic)
        self->bus->vtable->topic_delete(self->bus, self->owner, topic->text, topic_deleted, cleanup);
    else
        io_post(self->world->executor, self->files_lane, &cleanup->files_run);
}

/* ---- stopping ---------------------------------------------------------------------------------------------------- */

static void one_stopped(engine_cleanup *cleanup) {
    weir_assert(cleanup->to_stop > 0);
    if (--cleanup->to_stop == 0) delete_next_topic(cleanup);
}
static void query_stopped(void *arg, engine_query *query) {
    (void)query;
    one_stopped(arg);
}
static void connector_stopped(void *arg, engine_connector *connector) {
    (void)connector;
    one_stopped(arg);
}

static void start_run(io_job *job) {
    delete_next_topic(io_owner(job, engine_cleanup, start));
}

void engine_cleanup_run(engine_cleanup *cleanup, void (*done)(void *arg, weir_status topics), void *arg) {
    engine *self = cleanup->engine;
    engine_begin(self);
    cleanup->done = done;
    cleanup->done_arg = arg;
    io_job_init(&cleanup->start, start_run);
    io_job_init(&cleanup->files_run, remove_files);
    io_job_init(&cleanup->files_done, files_removed);
    if (cleanup->to_stop == 0) engine_post(self, &cleanup->start);
    for (engine_query *query = cleanup->queries; query; query = query->next)
        engine_query_stop(query, query_stopped, cleanup);
    for (engine_connector *connector = cleanup->connectors; connector; connector = connector->next)
        engine_connector_stop(connector, connector_stopped, cleanup);
}
