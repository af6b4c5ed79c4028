/* Administration: a question travels to the broker's lane and its answer back to the asker's. */
#include "bus/embedded/embedded_int.h"

enum { CONFIGS_MAX = 64 };

/* ---- what is known of topics ------------------------------------------------------------------------------------- */

int32_t embedded_partition_count(bus_embedded *self, const char *topic) {
    pthread_mutex_lock(&self->lock);
    const uintptr_t count = (uintptr_t)weir_map_get_text(&self->topics, topic);
    pthread_mutex_unlock(&self->lock);
    return (int32_t)count;
}

void embedded_learn(bus_embedded *self, const char *topic, int32_t partition_count) {
    pthread_mutex_lock(&self->lock);
    if (partition_count > 0) weir_map_put(&self->topics, weir_bytes_text(topic), (void *)(uintptr_t)partition_count);
    else weir_map_remove(&self->topics, weir_bytes_text(topic));
    pthread_mutex_unlock(&self->lock);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

typedef void (*info_done)(void *arg, weir_status status, const bus_topic_info *info);
typedef void (*offset_done)(void *arg, weir_status status, int64_t offset);
typedef void (*plain_done)(void *arg, weir_status status);

typedef struct bus_call {
    bus_embedded *self;
    io_lane *lane;
    io_job job;
    char topic[BUS_TOPIC_NAME_MAX + 1];
    int32_t partition;
    char *group;
    info_done info_done;
    offset_done offset_done;
    plain_done plain_done;
    void *arg;
    weir_error error; /* the answer, as all below */
    bus_topic_info info;
    int64_t offset;
    broker_create_topic create;
    broker_delete_topic del;
    weir_setting *settings;
    size_t setting_count;
} bus_call;

static void call_free(bus_call *call) {
    weir_account *account = &call->self->account;
    for (size_t i = 0; i < call->setting_count; i++) {
        weir_free(account, (void *)call->settings[i].name);
        weir_free(account, (void *)call->settings[i].value);
    }
    weir_free(account, call->settings);
    weir_free(account, call->group);
    weir_free(account, call);
}

/* On the asker's lane. */
static void call_answer_run(io_job *job) {
    bus_call *asked = io_owner(job, bus_call, job);
    const weir_status status = weir_error_status(&asked->error);
    if (asked->info_done) asked->info_done(asked->arg, status, &asked->info);
    else if (asked->offset_done) asked->offset_done(asked->arg, status, asked->offset);
    else asked->plain_done(asked->arg, status);
    call_free(asked);
}

static void call_answer(bus_call *call, weir_status status) {
    weir_error_set(&call->error, status);
    io_job_init(&call->job, call_answer_run);
    embedded_post(call->self, call->lane, &call->job);
}

static bus_call *call_make(bus *base, io_lane *lane, const char *topic, void *arg) {
    bus_embedded *self = (bus_embedded *)base;
    bus_call *made = weir_alloc(&self->account, sizeof *made);
    made->self = self;
    made->lane = lane;
    made->arg = arg;
    const size_t size = strlen(topic);
    /* A name that is too long is cut to one that is too long as well: the broker refuses it. */
    memcpy(made->topic, topic, size < BUS_TOPIC_NAME_MAX ? size : BUS_TOPIC_NAME_MAX);
    return made;
}

static void call_send(bus_call *call, void (*run)(io_job *job)) {
    io_job_init(&call->job, run);
    embedded_post_broker(call->self, &call->job);
}

static bool name_fits(const char *topic) {
    return strlen(topic) <= BUS_TOPIC_NAME_MAX;
}

/* ---- topics ------------------------------------------------------------------------------------------------------ */

/* On the broker's lane. */
static void fill_info(bus_call *call) {
    const broker_topic *topic = broker_topic_find(call->self->broker, weir_bytes_text(call->topic));
    call->info = (bus_topic_info){.exists = topic != NULL};
    if (topic) {
        memcpy(call->info.topic_id, topic->id, 16);
        call->info.partition_count = topic->partition_count;
    }
    embedded_learn(call->self, call->topic, call->info.partition_count);
}

static void describe_run(io_job *job) {
    bus_call *asked = io_owner(job, bus_call, job);
    bus_embedded *self = asked->self;
    const weir_bytes name = weir_bytes_text(asked->topic);
    if (!guard_may(broker_authoriser(self->broker), self->principal, GUARD_DESCRIBE, GUARD_TOPIC, name)) {
        call_answer(asked, broker_error_status(BROKER_TOPIC_AUTHORIZATION_FAILED, "describing topic %s", asked->topic));
        return;
    }
    fill_info(asked);
    call_answer(asked, weir_ok());
}

static void topic_describe(bus *base, io_lane *lane, const char *topic, info_done done, void *arg) {
    bus_call *asked = call_make(base, lane, topic, arg);
    asked->info_done = done;
    call_send(asked, describe_run);
}

static void create_done(broker_create_topic *create) {
    bus_call *asked = io_owner(create, bus_call, create);
    fill_info(asked);
    weir_status status = weir_ok();
    if (create->error != BROKER_NONE) {
        status = broker_error_status(create->error, "making topic %s%s%s", asked->topic, create->message[0] ? ": " : "",
                                     create->message);
    }
    call_answer(asked, status);
}

static void create_run(io_job *job) {
    bus_call *asked = io_owner(job, bus_call, job);
    asked->create = (broker_create_topic){.principal = asked->self->principal,
                                          .name = weir_bytes_text(asked->topic),
                                          .partition_count = asked->partition,
                                          .replication_factor = -1,
                                          .configs = asked->settings,
                                          .config_count = asked->setting_count,
                                          .done = create_done};
    broker_topic_create(asked->self->broker, &asked->create);
}

static void topic_create(bus *base, io_lane *lane, const char *topic, int32_t partition_count,
                         const char *const (*config)[2], size_t config_count, info_done done, void *arg) {
    bus_call *asked = call_make(base, lane, topic, arg);
    weir_account *account = &asked->self->account;
    asked->info_done = done;
    asked->partition = partition_count;
    if (!name_fits(topic) || config_count > CONFIGS_MAX) {
        call_answer(asked, weir_fail(WEIR_INVALID, "making topic %.80s...: the name has more than %d characters, or "
                                     "there are more than %d configs", topic, BUS_TOPIC_NAME_MAX, CONFIGS_MAX));
        return;
    }
    asked->settings = weir_alloc(account, sizeof(weir_setting) * (config_count + 1));
    asked->setting_count = config_count;
    for (size_t i = 0; i < config_count; i++) {
        asked->settings[i].name = weir_strdup(account, config[i][0]);
        asked->settings[i].value = weir_strdup(account, config[i][1]);
    }
    call_send(asked, create_run);
}

static void delete_done(broker_delete_topic *del) {
    bus_call *asked = io_owner(del, bus_call, del);
    if (del->error == BROKER_NONE) embedded_learn(asked->self, asked->topic, 0);
    call_answer(asked, del->error == BROKER_NONE
                           ? weir_ok()
                           : broker_error_status(del->error, "deleting topic %s", asked->topic));
}

static void delete_run(io_job *job) {
    bus_call *asked = io_owner(job, bus_call, job);
    asked->del = (broker_delete_topic){
        .principal = asked->self->principal, .name = weir_bytes_text(asked->topic), .done = delete_done};
    broker_topic_delete(asked->self->broker, &asked->del);
}

static void topic_delete(bus *base, io_lane *lane, const char *topic, plain_done done, void *arg) {
    bus_call *asked = call_make(base, lane, topic, arg);
    asked->plain_done = done;
    call_send(asked, delete_run);
}

/* ---- offsets ----------------------------------------------------------------------------------------------------- */

static void committed_run(io_job *job) {
    bus_call *asked = io_owner(job, bus_call, job);
    bus_embedded *self = asked->self;
    const weir_bytes group = weir_bytes_text(asked->group);
    const broker_error error = broker_offsets_readable(self->broker, self->principal, group);
    const broker_offset *found =
        broker_offset_find(self->broker, group, weir_bytes_text(asked->topic), asked->partition);
    asked->offset = found && error == BROKER_NONE ? found->offset : -1;
    call_answer(asked, error == BROKER_NONE ? weir_ok()
                                            : broker_error_status(error, "reading offsets of %s", asked->group));
}

static void committed(bus *base, io_lane *lane, const char *group, const char *topic, int32_t partition,
                      offset_done done, void *arg) {
    bus_call *asked = call_make(base, lane, topic, arg);
    asked->group = weir_strdup(&asked->self->account, group);
    asked->partition = partition;
    asked->offset_done = done;
    call_send(asked, committed_run);
}

static void end_run(io_job *job) {
    bus_call *asked = io_owner(job, bus_call, job);
    bus_embedded *self = asked->self;
    const weir_bytes name = weir_bytes_text(asked->topic);
    const log_partition *log = broker_partition(self->broker, name, asked->partition);
    broker_error error = log ? BROKER_NONE : BROKER_UNKNOWN_TOPIC_OR_PARTITION;
    if (!guard_may(broker_authoriser(self->broker), self->principal, GUARD_DESCRIBE, GUARD_TOPIC, name)) {
        error = BROKER_TOPIC_AUTHORIZATION_FAILED;
    }
    asked->offset = error == BROKER_NONE ? log_high_watermark(log) : -1;
    call_answer(asked, error == BROKER_NONE
                           ? weir_ok()
                           : broker_error_status(error, "the end of %s-%d", asked->topic, asked->partition));
}

static void end_offset(bus *base, io_lane *lane, const char *topic, int32_t partition, offset_done done, void *arg) {
    bus_call *asked = call_make(base, lane, topic, arg);
    asked->partition = partition;
    asked->offset_done = done;
    call_send(asked, end_run);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static const bus_vtable vtable = {
    .topic_describe = topic_describe,
    .topic_create = topic_create,
    .topic_delete = topic_delete,
    .committed = committed,
    .end_offset = end_offset,
    .reader_open = embedded_reader_open,
    .reader_next = embedded_reader_next,
    .reader_end = embedded_reader_end,
    .reader_start = embedded_reader_start,
    .reader_close = embedded_reader_close,
    .commit_begin = embedded_commit_begin,
    .commit_expect = embedded_commit_expect,
    .commit_add = embedded_commit_add,
    .commit_offset = embedded_commit_offset,
    .commit_bytes = embedded_commit_bytes,
    .commit_send = embedded_commit_send,
    .commit_result = embedded_commit_result,
    .commit_end_offset = embedded_commit_end_offset,
    .commit_free = embedded_commit_free,
};

/* The bus itself is charged here; what it hands out is charged to the bus. */
static weir_account *root_account(void) {
    static weir_account account = {.name = "bus.embedded.root"};
    return &account;
}

bus *bus_embedded_create(const bus_embedded_config *config) {
    bus_embedded *self = weir_alloc(root_account(), sizeof *self);
    self->base.vtable = &vtable;
    self->world = *config->world;
    self->broker = config->broker;
    self->broker_lane = broker_lane(config->broker);
    self->principal = config->principal ? config->principal : &guard_system;
    self->read_ahead = config->read_ahead;
    weir_account_init(&self->account, "bus.embedded", 0);
    pthread_mutex_init(&self->lock, NULL);
    weir_map_init(&self->topics, &self->account);
    return &self->base;
}

void bus_embedded_destroy(bus *base) {
    bus_embedded *self = (bus_embedded *)base;
    while (self->spare_count > 0) weir_buffer_deinit(&self->spares[--self->spare_count]);
    weir_map_deinit(&self->topics);
    pthread_mutex_destroy(&self->lock);
    weir_account_deinit(&self->account);
    weir_free(root_account(), self);
}
