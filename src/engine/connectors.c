/* Connectors: what CREATE SOURCE CONNECTOR said, and, while it runs, a connect task. The task retries by itself. */
#include "engine/engine_int.h"

#include "base/trace.h"

weir_status engine_connector_check(const sql_connector *connector) {
    const connect_settings settings = {connector->options, connector->option_count};
    const connect_source *source;
    return connect_settings_check(&settings, &source);
}

engine_connector *engine_connector_create(engine *self, const sql_connector *from) {
    engine_connector *made = weir_alloc(&self->account, sizeof *made);
    *made = (engine_connector){.engine = self, .setting_count = from->option_count};
    made->name = weir_strdup(&self->account, from->name);
    made->settings = weir_alloc(&self->account, sizeof *made->settings * (from->option_count + 1));
    for (uint32_t i = 0; i < from->option_count; i++) {
        made->settings[i] = (weir_setting){weir_strdup(&self->account, from->options[i].name),
                                           weir_strdup(&self->account, from->options[i].value)};
        if (strcmp(made->settings[i].name, "topic") == 0)
            made->topic = weir_strdup(&self->account, made->settings[i].value);
    }
    engine_connector **last = &self->connectors;
    while (*last) last = &(*last)->next;
    *last = made;
    return made;
}

void engine_connector_free(engine_connector *connector) {
    weir_account *account = &connector->engine->account;
    weir_assert(!connector->task);
    for (size_t i = 0; i < connector->setting_count; i++) {
        weir_free(account, (char *)connector->settings[i].name);
        weir_free(account, (char *)connector->settings[i].value);
    }
    weir_free(account, connector->settings);
    weir_free(account, connector->name);
    weir_free(account, connector->topic);
    weir_free(account, connector);
}

engine_connector *engine_connector_take(engine *self, const char *name) {
    engine_connector **at = &self->connectors;
    while (*at && strcmp((*at)->name, name) != 0) at = &(*at)->next;
    engine_connector *taken = *at;
    if (taken) *at = taken->next;
    return taken;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void tell_stopped(engine_connector *connector) {
    engine *self = connector->engine;
    connector->stopped(connector->stopped_arg, connector);
    engine_end(self);
}

static void task_stopped(io_job *job) {
    engine_connector *connector = io_owner(job, engine_connector, stopped_job);
    connect_task_free(connector->task);
    connector->task = NULL;
    tell_stopped(connector);
}

static void idle_stopped(io_job *job) {
    tell_stopped(io_owner(job, engine_connector, idle_job));
}

/* A connector that an older record names and this weir cannot run is listed with its error. */
void engine_connector_start(engine_connector *connector) {
    const connect_settings settings = {connector->settings, connector->setting_count};
    const weir_status status = connect_settings_check(&settings, &connector->source);
    weir_error_set(&connector->error, status);
    if (weir_failed(status)) {
        weir_trace(WEIR_WARN, "engine", "connector %s cannot be started: %s", connector->name, status.text);
        return;
    }
    io_job_init(&connector->stopped_job, task_stopped);
    connector->task = connect_task_start(&connector->engine->connect, connector->name, connector->source, &settings,
                                         &connector->stopped_job);
}

void engine_connector_stop(engine_connector *connector, void (*stopped)(void *arg, engine_connector *connector),
                           void *arg) {
    connector->stopped = stopped;
    connector->stopped_arg = arg;
    engine_begin(connector->engine);
    io_job_init(&connector->idle_job, idle_stopped);
    if (connector->task)
        connect_task_stop(connector->task);
    else
        engine_post(connector->engine, &connector->idle_job);
}

bool engine_connector_at(const engine *self, size_t index, engine_connector_info *info) {
    const engine_connector *connector = self->connectors;
    for (; connector && index > 0; index--) connector = connector->next;
    if (!connector) return false;
    *info = (engine_connector_info){
        .name = connector->name, .source = connector->source, .topic = connector->topic ? connector->topic : ""};
    if (connector->task)
        connect_task_stats_get(connector->task, &info->stats);
    else
        info->stats = (connect_stats){.state = CONNECT_FAILED, .last_error = connector->error};
    return true;
}
