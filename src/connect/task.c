/* connect/task - one running connector: create topics, read the position, then poll and commit in turns.
 *
 *   describe/create topic -> describe/create positions topic -> read its last record -> open -> [poll, commit]*
 *
 * Everything runs on the task's blocking lane; a failure at any step closes the source and begins again from the first
 * step after a pause, so that what was polled but not committed is polled again from the committed position.
 *
 * Polling goes on while commits are under way: reading and encoding overlap with the disk. Each commit expects the end
 * of the positions topic that its predecessor leaves, so that none of them counts when one before it does not. After a
 * failure the task begins again only when the last of them has been answered. */
#include "connect/connect.h"

#include "base/metric.h"
#include "base/trace.h"

#include <pthread.h>
#include <stdio.h>

enum {
    RETRY_MS_FIRST = 200,
    RETRY_MS_MAX = 10000,
    POSITION_READ_BACK = 16, /* the last record lies among these offsets, whatever markers a cluster puts behind it */
    POSITION_READ_BYTES = 1 << 16,
    COMMIT_BYTES_TARGET = 2 << 20, /* polls are gathered up to here before a commit is sent */
    COMMITS_MAX = 3,               /* under way at a time */
    COPIES_MAX = 64
};

typedef enum step { STEP_TOPIC, STEP_POSITIONS_TOPIC, STEP_POSITION_END, STEP_POSITION, STEP_OPEN, STEP_RUN } step;

typedef struct flight { /* a commit under way */
    io_job answered;
    connect_task *task;
    bus_commit *commit;
    uint64_t records, bytes;
    bool is_answered;
} flight;

struct connect_task {
    connect_runtime runtime;
    io_lane *lane;
    weir_account account;
    char *name;
    const connect_source *source;
    weir_setting settings[COPIES_MAX];
    size_t setting_count, own_count; /* own ones first, the common ones behind */
    const char *topic;
    char positions_topic[BUS_TOPIC_NAME_MAX + 1];

    io_job turn;          /* the only job on the lane: goes on with what can be done */
    io_job stopped_hop;   /* on the owner's lane: gives the task's end back */
    io_job *stopped;
    io_timer timer;
    step step;
    bool waiting;         /* for an answer of the bus */
    bool timer_elapsed;
    _Atomic bool stopping;
    bool ended;
    int64_t retry_ms;

    void *self;           /* the open source */
    bus_reader *reader;
    weir_buffer position;
    bus_commit *commit;   /* filling */
    uint64_t commit_records, commit_bytes;
    flight flights[COMMITS_MAX]; /* a ring in the order of the sends */
    unsigned flight_first, flight_count;
    int64_t positions_end; /* of the positions topic, once all that is under way has arrived */
    bool is_failed;        /* and begins again when nothing is under way */
    weir_error failure;
    connect_record *records;
    uint32_t record_count, record_next; /* polled, not yet in a commit */

    pthread_mutex_t stats_lock;
    connect_stats stats;
    weir_metric records_metric, bytes_metric;
};

static io_clock *clock_of(const connect_task *task) {
    return task->runtime.world->clock;
}

static const bus_vtable *bus_of(const connect_task *task) {
    return task->runtime.bus->vtable;
}

static void set_state(connect_task *task, connect_state state) {
    pthread_mutex_lock(&task->stats_lock);
    task->stats.state = state;
    pthread_mutex_unlock(&task->stats_lock);
}

static void turn_soon(connect_task *task) {
    io_post(task->runtime.world->executor, task->lane, &task->turn);
}

static void turn_after(connect_task *task, int64_t ms) {
    if (ms <= 0) {
        turn_soon(task);
        return;
    }
    io_timer_set(task->runtime.world->executor, &task->timer, io_now_ns(clock_of(task)) + ms * 1000000);
}

/* Gives up what is open; nothing that was not committed counts. */
static void let_go(connect_task *task) {
    if (task->self) task->source->close(task->self);
    task->self = NULL;
    if (task->reader) bus_of(task)->reader_close(task->reader);
    task->reader = NULL;
    if (task->commit) bus_of(task)->commit_free(task->commit);
    task->commit = NULL;
    task->commit_records = task->commit_bytes = 0;
    task->record_count = task->record_next = 0;
}

static void begin_again(connect_task *task, weir_status why) {
    pthread_mutex_lock(&task->stats_lock);
    task->stats.state = CONNECT_FAILED;
    weir_error_set(&task->stats.last_error, why);
    pthread_mutex_unlock(&task->stats_lock);
    weir_trace(WEIR_WARN, "connect", "connector %s: %s; trying again in %lld ms", task->name, why.text,
               (long long)task->retry_ms);
    let_go(task);
    task->step = STEP_TOPIC;
    turn_after(task, task->retry_ms);
    task->retry_ms = task->retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : task->retry_ms * 2;
}

/* ---- topics and position ----------------------------------------------------------------------------------------- */

static void topic_made(void *arg, weir_status status, const bus_topic_info *info) {
    (void)info;
    connect_task *task = arg;
    task->waiting = false;
    if (weir_failed(status) && status.code != WEIR_EXISTS) {
        begin_again(task, weir_context(status, "making topic %s",
                                       task->step == STEP_TOPIC ? task->topic : task->positions_topic));
        return;
    }
    task->step++;
    turn_soon(task);
}

/* Positions never get old: of each task the last one counts. */
static void make_topic(connect_task *task, const char *topic) {
    static const char *const compact[][2] = {{"cleanup.policy", "compact"}};
    const bool is_positions = topic == task->positions_topic;
    task->waiting = true;
    bus_of(task)->topic_create(task->runtime.bus, task->lane, topic, 1, is_positions ? compact : NULL,
                               is_positions ? 1 : 0, topic_made, task);
}

static weir_status open_position_reader(connect_task *task, int64_t offset) {
    return bus_of(task)->reader_open(task->runtime.bus, task->lane, task->positions_topic, 0, offset,
                                     POSITION_READ_BYTES, &task->turn, &task->reader);
}

static void position_end_described(void *arg, weir_status status, int64_t end) {
    connect_task *task = arg;
    task->waiting = false;
    if (!weir_failed(status)) {
        weir_buffer_clear(&task->position);
        task->positions_end = end;
        task->step = end > 0 ? STEP_POSITION : STEP_OPEN;
        if (end > 0) status = open_position_reader(task, end > POSITION_READ_BACK ? end - POSITION_READ_BACK : 0);
    }
    if (weir_failed(status))
        begin_again(task, weir_context(status, "reading the position from topic %s", task->positions_topic));
    else turn_soon(task);
}

/* Reads to the end of the positions topic and keeps the last record's value. */
static weir_status read_position(connect_task *task, bool *more) {
    *more = false;
    for (;;) {
        bus_block *block = NULL;
        WEIR_TRY(bus_of(task)->reader_next(task->reader, &block));
        if (!block) {
            *more = true;
            return weir_ok();
        }
        for (uint32_t i = 0; i < block->count; i++) {
            weir_buffer_clear(&task->position);
            weir_buffer_append(&task->position, block->rows[i].value.data, block->rows[i].value.size);
        }
        const bool at_end = block->next_offset >= block->high_watermark;
        data_buffer_release(&block->buffer);
        if (at_end) return weir_ok();
    }
}

static void open_source(connect_task *task) {
    const connect_settings own = {task->settings, task->own_count};
    const weir_status status = task->source->open(task->source, task->runtime.world, &task->account, &own,
                                                  weir_buffer_view(&task->position), &task->self);
    if (weir_failed(status)) {
        task->self = NULL;
        begin_again(task, status);
        return;
    }
    task->step = STEP_RUN;
    set_state(task, CONNECT_RUNNING);
    turn_soon(task);
}

/* ---- polling and committing -------------------------------------------------------------------------------------- */

/* Moves polled records into the commit; *full when it takes no more. */
static weir_status fill_commit(connect_task *task, bool *full) {
    *full = false;
    if (!task->commit) task->commit = bus_of(task)->commit_begin(task->runtime.bus, task->lane, NULL);
    for (; task->record_next < task->record_count; task->record_next++) {
        const connect_record *record = &task->records[task->record_next];
        const bus_row row = {.timestamp_ms = record->timestamp_ms, .key = record->key, .value = record->value,
                             .headers = record->headers};
        const weir_status status = bus_of(task)->commit_add(task->commit, task->topic, -1, &row);
        if (status.code == WEIR_FULL && task->commit_records > 0) {
            *full = true;
            return weir_ok();
        }
        WEIR_TRY(status);
        task->commit_records++;
        task->commit_bytes += record->key.size + record->value.size;
    }
    return weir_ok();
}

static weir_status send_commit(connect_task *task) {
    weir_buffer text;
    weir_buffer_init(&text, &task->account, CONNECT_POSITION_BYTES_MAX);
    weir_status status = task->source->position(task->self, &text);
    if (!weir_failed(status)) {
        const bus_row row = {.timestamp_ms = io_wall_ms(clock_of(task)), .key = weir_bytes_text(task->name),
                             .value = weir_buffer_view(&text)};
        status = bus_of(task)->commit_add(task->commit, task->positions_topic, 0, &row);
    }
    weir_buffer_deinit(&text);
    WEIR_TRY(status);
    bus_of(task)->commit_expect(task->commit, task->positions_topic, 0, task->positions_end++);
    flight *sent = &task->flights[(task->flight_first + task->flight_count++) % COMMITS_MAX];
    sent->commit = task->commit;
    sent->records = task->commit_records;
    sent->bytes = task->commit_bytes;
    sent->is_answered = false;
    task->commit = NULL;
    task->commit_records = task->commit_bytes = 0;
    bus_of(task)->commit_send(sent->commit, &sent->answered);
    return weir_ok();
}

static void count_commit(connect_task *task, const flight *done) {
    pthread_mutex_lock(&task->stats_lock);
    task->stats.records += done->records;
    task->stats.bytes += done->bytes;
    task->stats.commits++;
    pthread_mutex_unlock(&task->stats_lock);
    weir_metric_add(&task->records_metric, (int64_t)done->records);
    weir_metric_add(&task->bytes_metric, (int64_t)done->bytes);
    task->retry_ms = RETRY_MS_FIRST;
}

static void fail_run(connect_task *task, weir_status why) {
    if (task->is_failed) return; /* what follows from the first failure tells nothing new */
    task->is_failed = true;
    weir_error_set(&task->failure, why);
}

/* Answers are taken in the order of the sends, whatever order they come in. */
static void commit_answered(io_job *job) {
    flight *answered = io_owner(job, flight, answered);
    connect_task *task = answered->task;
    answered->is_answered = true;
    while (task->flight_count > 0 && task->flights[task->flight_first].is_answered) {
        flight *oldest = &task->flights[task->flight_first];
        const weir_status status = bus_of(task)->commit_result(oldest->commit);
        if (weir_failed(status)) fail_run(task, weir_context(status, "committing to topic %s", task->topic));
        else count_commit(task, oldest);
        bus_of(task)->commit_free(oldest->commit);
        oldest->commit = NULL;
        task->flight_first = (task->flight_first + 1) % COMMITS_MAX;
        task->flight_count--;
    }
    turn_soon(task);
}

/* One turn of the steady state. A commit's records and its position must match, so a commit takes whole polls only: a
 * poll that does not fit is finished by a commit without position text being ahead of it. */
static weir_status run_turn(connect_task *task) {
    if (task->flight_count == COMMITS_MAX) return weir_ok(); /* the next answer goes on */
    bool full = false;
    int64_t wait_ms = 0;
    while (!full && task->commit_bytes < COMMIT_BYTES_TARGET) {
        if (task->record_next == task->record_count) {
            task->record_next = task->record_count = 0;
            WEIR_TRY(
                task->source->poll(task->self, task->records, CONNECT_POLL_RECORDS_MAX, &task->record_count, &wait_ms));
            if (task->record_count == 0) break;
        }
        WEIR_TRY(fill_commit(task, &full));
    }
    if (full) return weir_fail(WEIR_FULL, "one poll of the %s source does not fit into one commit", task->source->name);
    if (task->commit_records == 0) {
        turn_after(task, wait_ms);
        return weir_ok();
    }
    WEIR_TRY(send_commit(task));
    turn_soon(task);
    return weir_ok();
}

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

static void end_task(connect_task *task) {
    let_go(task);
    task->ended = true;
    set_state(task, CONNECT_STOPPED);
    io_post(task->runtime.world->executor, task->runtime.owner, &task->stopped_hop);
}

static void advance(connect_task *task) {
    weir_status status = weir_ok();
    bool more = false;
    switch (task->step) {
    case STEP_TOPIC: make_topic(task, task->topic); return;
    case STEP_POSITIONS_TOPIC: make_topic(task, task->positions_topic); return;
    case STEP_POSITION_END:
        task->waiting = true;
        bus_of(task)->end_offset(task->runtime.bus, task->lane, task->positions_topic, 0, position_end_described, task);
        return;
    case STEP_POSITION:
        status = read_position(task, &more);
        if (weir_failed(status) || more) break;
        bus_of(task)->reader_close(task->reader);
        task->reader = NULL;
        task->step = STEP_OPEN;
        open_source(task);
        return;
    case STEP_OPEN: open_source(task); return;
    case STEP_RUN: status = run_turn(task); break;
    }
    if (!weir_failed(status)) return;
    if (task->flight_count == 0) begin_again(task, status);
    else fail_run(task, status);
}

/* Nothing new is begun while the answers of a failed run are awaited. */
static void settle(connect_task *task) {
    if (task->flight_count > 0) return;
    if (atomic_load(&task->stopping)) {
        end_task(task);
        return;
    }
    task->is_failed = false;
    begin_again(task, weir_error_status(&task->failure));
}

static void take_turn(io_job *job) {
    connect_task *task = io_owner(job, connect_task, turn);
    if (task->ended || task->waiting) return;
    io_timer_cancel(task->runtime.world->executor, &task->timer);
    if (task->is_failed || atomic_load(&task->stopping)) settle(task);
    else advance(task);
}

static void tell_stopped(io_job *job) {
    connect_task *task = io_owner(job, connect_task, stopped_hop);
    task->stopped->run(task->stopped);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void copy_settings(connect_task *task, const connect_settings *settings) {
    weir_setting common[COPIES_MAX];
    size_t common_count = 0;
    weir_assert(settings->count <= COPIES_MAX); /* connect_settings_check() refused more */
    for (size_t i = 0; i < settings->count; i++) {
        const weir_setting copy = {weir_strdup(&task->account, settings->items[i].name),
                                   weir_strdup(&task->account, settings->items[i].value)};
        bool is_common = false;
        for (const weir_option *option = connect_common_options; option->name; option++) {
            is_common = is_common || strcmp(option->name, copy.name) == 0;
        }
        if (is_common) common[common_count++] = copy;
        else task->settings[task->own_count++] = copy;
    }
    memcpy(task->settings + task->own_count, common, common_count * sizeof common[0]);
    task->setting_count = task->own_count + common_count;
    task->topic = weir_options_text(connect_common_options, task->settings + task->own_count, common_count, "topic");
}

static void open_metrics(connect_task *task) {
    char label[128];
    weir_metric_label(label, sizeof label, task->name);
    weir_metric_open(&task->records_metric, WEIR_COUNTER, "weir_connect_records_total",
                     "Records that connectors have committed.", "connector=\"%s\"", label);
    weir_metric_open(&task->bytes_metric, WEIR_COUNTER, "weir_connect_bytes_total",
                     "Key and value bytes that connectors have committed.", "connector=\"%s\"", label);
}

connect_task *connect_task_start(const connect_runtime *runtime, const char *name, const connect_source *source,
                                 const connect_settings *settings, io_job *stopped) {
    connect_task *task = weir_alloc(runtime->account, sizeof *task);
    weir_account_init(&task->account, "connect.task", 0);
    task->runtime = *runtime;
    task->source = source;
    task->stopped = stopped;
    task->retry_ms = RETRY_MS_FIRST;
    task->name = weir_strdup(&task->account, name);
    copy_settings(task, settings);
    snprintf(task->positions_topic, sizeof task->positions_topic, "_weir_connect-%s-positions", name);
    task->records = weir_alloc(&task->account, sizeof *task->records * CONNECT_POLL_RECORDS_MAX);
    weir_buffer_init(&task->position, &task->account, CONNECT_POSITION_BYTES_MAX);
    pthread_mutex_init(&task->stats_lock, NULL);
    task->lane = io_lane_create(runtime->world->executor, IO_LANE_BLOCKING, name);
    io_job_init(&task->turn, take_turn);
    io_job_init(&task->stopped_hop, tell_stopped);
    for (unsigned i = 0; i < COMMITS_MAX; i++) {
        task->flights[i].task = task;
        io_job_init(&task->flights[i].answered, commit_answered);
    }
    io_timer_init(&task->timer, task->lane, &task->turn);
    open_metrics(task);
    turn_soon(task);
    return task;
}

void connect_task_stop(connect_task *task) {
    atomic_store(&task->stopping, true);
    turn_soon(task);
}

void connect_task_free(connect_task *task) {
    weir_assert(task->ended);
    weir_account *account = task->runtime.account;
    io_lane_destroy(task->runtime.world->executor, task->lane);
    for (size_t i = 0; i < task->setting_count; i++) {
        weir_free(&task->account, (char *)task->settings[i].name);
        weir_free(&task->account, (char *)task->settings[i].value);
    }
    weir_free(&task->account, task->name);
    weir_free(&task->account, task->records);
    weir_buffer_deinit(&task->position);
    weir_metric_close(&task->records_metric);
    weir_metric_close(&task->bytes_metric);
    pthread_mutex_destroy(&task->stats_lock);
    weir_account_deinit(&task->account);
    weir_free(account, task);
}

void connect_task_stats_get(connect_task *task, connect_stats *stats) {
    pthread_mutex_lock(&task->stats_lock);
    *stats = task->stats;
    pthread_mutex_unlock(&task->stats_lock);
}
