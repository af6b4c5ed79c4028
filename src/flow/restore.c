/* A task's store across restarts: the snapshot and the changelog's tail in, snapshots out.
 *
 * A snapshot is copied in chunks of bounded size between the task's steps and written on the query's blocking lane,
 * while the task goes on; state.h says why that is right. One is due when the interval has passed and the changelog
 * grew by half the store's entries, so that its cost stays a fraction of the work it saves. */
#include "flow/flow_int.h"

#include "base/trace.h"

#include <stdio.h>

enum { PART_BYTES_MAX = 200 };

static void post_blocking(flow_task *task, io_job *job) {
    io_post(task->runtime->world->executor, task->blocking, job);
}
static void post_task(flow_task *task, io_job *job) { io_post(task->runtime->world->executor, task->lane, job); }

static state_snapshot_about about_of(const flow_task *task) {
    const flow_sub *sub = task->context.sub;
    state_snapshot_about about = {.state_bytes = sub->aggregate->layout.state_bytes,
                                  .layout = sub->aggregate->layout.fingerprint};
    memcpy(about.topic_id, sub->changelog_id, sizeof about.topic_id);
    return about;
}

static const char *changelog_of(const flow_task *task) {
    return task->context.sub->aggregate ? task->context.sub->aggregate->node->aggregate.changelog_topic : NULL;
}

/* ---- changelog --------------------------------------------------------------------------------------------------- */

static weir_status open_changelog(flow_task *task) {
    const int64_t offset = task->from_snapshot ? task->changelog_position : BUS_OFFSET_EARLIEST;
    return task->runtime->bus->vtable->reader_open(task->runtime->bus, task->lane, changelog_of(task),
                                                   task->context.partition, offset, task->runtime->task_bytes_max / 4,
                                                   &task->changelog_wake, &task->changelog);
}

static void close_changelog(flow_task *task) {
    if (task->changelog) task->runtime->bus->vtable->reader_close(task->changelog);
    task->changelog = NULL;
}

/* The snapshot turned out not to fit the changelog: everything from its beginning. */
static weir_status begin_again(flow_task *task, const char *why) {
    weir_trace(WEIR_WARN, "flow", "snapshot %s does not fit its changelog (%s); replaying all of it", task->path, why);
    close_changelog(task);
    state_clear(flow_aggregate_store(task->chain.aggregate));
    task->from_snapshot = false;
    task->changelog_position = 0;
    return open_changelog(task);
}

static weir_status apply_block(flow_task *task, const bus_block *block) {
    state_store *store = flow_aggregate_store(task->chain.aggregate);
    for (uint32_t i = 0; i < block->count; i++) {
        const bus_row *row = &block->rows[i];
        WEIR_TRY(weir_context(state_restore_record(store, row->key, row->value), "changelog %s-%d at offset %lld",
                              changelog_of(task), block->partition, (long long)row->offset));
    }
    task->changelog_position = block->next_offset;
    task->records_since_snapshot += block->count;
    return weir_ok();
}

/* Applies what has been read; *is_done at the changelog's end. */
static weir_status replay(flow_task *task, bool *is_done) {
    const bus_vtable *topics = task->runtime->bus->vtable;
    *is_done = false;
    bus_block *block;
    WEIR_TRY(topics->reader_next(task->changelog, &block));
    const int64_t end = topics->reader_end(task->changelog);
    /* Retention may have emptied the changelog: then reading begins, and ends, behind what was asked for. */
    const int64_t start = topics->reader_start(task->changelog);
    if (task->changelog_position < start) task->changelog_position = start;
    if (task->from_snapshot && end >= 0 && task->changelog_position > end) {
        if (block) data_buffer_release(&block->buffer);
        return begin_again(task, "it is ahead of the changelog");
    }
    if (block) {
        const weir_status status = apply_block(task, block);
        data_buffer_release(&block->buffer);
        WEIR_TRY(status);
        post_task(task, &task->changelog_wake); /* others get their turn between two blocks */
    }
    *is_done = end >= 0 && task->changelog_position >= end;
    return weir_ok();
}

static void replay_run(io_job *job) {
    flow_task *task = io_owner(job, flow_task, changelog_wake);
    if (task->is_closing || !task->changelog) return;
    bool is_done;
    weir_status status = replay(task, &is_done);
    if (status.code == WEIR_OUT_OF_RANGE && task->from_snapshot) status = begin_again(task, status.text);
    if (weir_failed(status)) {
        flow_task_fail(task, weir_context(status, "restoring %s", task->context.sub->aggregate->node->aggregate.store));
    } else if (is_done) {
        task->changelog_end = task->changelog_position;
        close_changelog(task);
        flow_task_restored(task);
    }
}

static void start_replay(flow_task *task) {
    const weir_status status = open_changelog(task);
    if (weir_failed(status)) flow_task_fail(task, status);
    else post_task(task, &task->changelog_wake);
}

/* ---- loading a snapshot ------------------------------------------------------------------------------------------ */

/* Blocking lane; the store is this job's until it posts back. */
static void load_run(io_job *job) {
    flow_task *task = io_owner(job, flow_task, load);
    const state_snapshot_about expected = about_of(task);
    weir_error_set(&task->load_error,
                   state_snapshot_load(task->runtime->world->files, task->path, &expected,
                                       flow_aggregate_store(task->chain.aggregate), &task->load_offset));
    post_task(task, &task->loaded);
}

static void loaded_run(io_job *job) {
    flow_task *task = io_owner(job, flow_task, loaded);
    const weir_code code = task->load_error.code;
    if (!task->is_closing) {
        task->from_snapshot = code == WEIR_OK;
        task->changelog_position = code == WEIR_OK ? task->load_offset : 0;
        if (code != WEIR_OK && code != WEIR_NOT_FOUND)
            weir_trace(WEIR_WARN, "flow", "%s; replaying the whole changelog", task->load_error.text);
        start_replay(task);
    }
    flow_task_async_done(task);
}

void flow_restore_start(flow_task *task) {
    if (!changelog_of(task)) {
        flow_task_restored(task);
    } else if (task->path[0]) {
        task->async++;
        post_blocking(task, &task->load);
    } else {
        start_replay(task);
    }
}

void flow_restore_close(flow_task *task) { close_changelog(task); }

/* ---- writing a snapshot ------------------------------------------------------------------------------------------ */

static weir_status make_folder(io_files *files, const char *path) {
    const weir_status status = io_make_directory(files, path);
    return status.code == WEIR_EXISTS ? weir_ok() : status;
}

static weir_status open_snapshot(flow_task *task) {
    io_files *files = task->runtime->world->files;
    char folder[sizeof task->path];
    snprintf(folder, sizeof folder, "%s", task->path);
    *strrchr(folder, '/') = 0;
    WEIR_TRY(make_folder(files, task->runtime->state_directory));
    WEIR_TRY(make_folder(files, folder));
    WEIR_TRY(io_sync_directory(files, task->runtime->state_directory));
    return state_snapshot_open(files, task->context.account, task->path, &task->snapshot.about, &task->snapshot.writer);
}

static weir_status write_chunk(flow_task *task) {
    flow_snapshot *snapshot = &task->snapshot;
    if (!snapshot->writer) WEIR_TRY(open_snapshot(task));
    if (snapshot->chunk_bytes)
        return state_snapshot_append(snapshot->writer, (weir_bytes){snapshot->chunk, snapshot->chunk_bytes},
                                     snapshot->chunk_entries);
    state_snapshot_writer *writer = snapshot->writer;
    snapshot->writer = NULL;
    return state_snapshot_finish(writer);
}

/* Blocking lane. */
static void write_run(io_job *job) {
    flow_task *task = io_owner(job, flow_task, snapshot.write);
    flow_snapshot *snapshot = &task->snapshot;
    const weir_status status = snapshot->is_abandoned ? weir_ok() : write_chunk(task);
    weir_error_set(&snapshot->error, status);
    if (weir_failed(status) || snapshot->is_abandoned) {
        state_snapshot_abandon(snapshot->writer);
        snapshot->writer = NULL;
    }
    post_task(task, &snapshot->written);
}

/* Copies the next chunk and sends it; an empty one ends the file. */
static void send_chunk(flow_task *task) {
    flow_snapshot *snapshot = &task->snapshot;
    if (!snapshot->is_abandoned)
        state_export(flow_aggregate_store(task->chain.aggregate), &snapshot->cursor, snapshot->chunk,
                     STATE_EXPORT_BYTES_MIN, &snapshot->chunk_bytes, &snapshot->chunk_entries);
    post_blocking(task, &snapshot->write);
}

static void end_snapshot(flow_task *task) {
    flow_snapshot *snapshot = &task->snapshot;
    snapshot->is_active = false;
    weir_free(task->context.account, snapshot->chunk);
    snapshot->chunk = NULL;
    if (snapshot->error.code != WEIR_OK)
        weir_trace(WEIR_WARN, "flow", "no new snapshot, a restart replays more: %s", snapshot->error.text);
    else if (!snapshot->is_abandoned)
        task->records_since_snapshot -= snapshot->records_covered;
    /* Stopping waits for this. */
    if (!task->is_closing) flow_task_wake(task);
    flow_task_async_done(task);
}

static void written_run(io_job *job) {
    flow_task *task = io_owner(job, flow_task, snapshot.written);
    flow_snapshot *snapshot = &task->snapshot;
    const bool was_last = snapshot->is_abandoned || snapshot->chunk_bytes == 0 || snapshot->error.code != WEIR_OK;
    if (was_last) {
        end_snapshot(task);
        return;
    }
    snapshot->is_abandoned = task->is_closing;
    send_chunk(task);
}

bool flow_snapshot_is_active(const flow_task *task) { return task->snapshot.is_active; }

static bool snapshot_is_due(const flow_task *task, bool is_final) {
    if (!task->path[0] || task->snapshot.is_active || task->records_since_snapshot == 0) return false;
    if (is_final) return task->snapshot.error.code == WEIR_OK; /* one that failed is not tried again and again */
    const int64_t age_ns = io_now_ns(task->runtime->world->clock) - task->snapshot_at_ns;
    return age_ns >= task->runtime->checkpoint_interval_ms * 1000000 &&
           task->records_since_snapshot >= state_entry_count(flow_aggregate_store(task->chain.aggregate)) / 2;
}

void flow_snapshot_consider(flow_task *task, bool is_final) {
    flow_snapshot *snapshot = &task->snapshot;
    if (!task->chain.aggregate || !changelog_of(task) || !snapshot_is_due(task, is_final)) return;
    uint8_t *chunk = weir_try_alloc_raw(task->context.account, STATE_EXPORT_BYTES_MIN);
    if (!chunk) return; /* memory is short: a later one, or a longer replay */
    task->snapshot_at_ns = io_now_ns(task->runtime->world->clock);
    snapshot->is_active = true;
    snapshot->is_abandoned = false;
    snapshot->cursor = (state_cursor){0};
    snapshot->about = about_of(task);
    snapshot->about.changelog_offset = task->changelog_end;
    snapshot->chunk = chunk;
    snapshot->records_covered = task->records_since_snapshot;
    task->async++;
    send_chunk(task);
}

/* A name as one part of a path: whatever could leave the folder, or not be a file name, becomes %XX. */
static void path_part(char *target, size_t size, const char *name) {
    size_t at = 0;
    for (const char *c = name; *c && at + 4 <= size; c++) {
        const bool is_plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                              *c == '_' || *c == '-' || (*c == '.' && at > 0);
        if (is_plain) target[at++] = *c;
        else at += (size_t)snprintf(target + at, size - at, "%%%02X", (unsigned char)*c);
    }
    target[at] = 0;
}

void flow_restore_init(flow_task *task) {
    io_job_init(&task->load, load_run);
    io_job_init(&task->loaded, loaded_run);
    io_job_init(&task->changelog_wake, replay_run);
    io_job_init(&task->snapshot.write, write_run);
    io_job_init(&task->snapshot.written, written_run);
    if (!task->runtime->state_directory || !changelog_of(task)) return;
    char query[PART_BYTES_MAX], store[PART_BYTES_MAX];
    path_part(query, sizeof query, task->context.plan->topology->query_id);
    path_part(store, sizeof store, task->context.sub->aggregate->node->aggregate.store);
    const int length = snprintf(task->path, sizeof task->path, "%s/%s/%s-%d", task->runtime->state_directory, query,
                                store, task->context.partition);
    if (length >= (int)sizeof task->path) task->path[0] = 0;
}

/* ---- files of a dropped query ------------------------------------------------------------------------------------ */

typedef struct removal {
    io_files *files;
    const char *folder;
    weir_error error;
} removal;

static void remove_one(const char *name, void *arg) {
    removal *work = arg;
    char path[1024];
    if (snprintf(path, sizeof path, "%s/%s", work->folder, name) >= (int)sizeof path) return;
    const weir_status status = io_remove(work->files, path);
    if (weir_failed(status)) weir_error_set(&work->error, status);
}

weir_status flow_files_remove(io_files *files, const char *state_directory, const char *query_id) {
    char query[PART_BYTES_MAX], folder[1024];
    path_part(query, sizeof query, query_id);
    if (snprintf(folder, sizeof folder, "%s/%s", state_directory, query) >= (int)sizeof folder)
        return weir_fail(WEIR_INVALID, "the path of the snapshots of %s is too long", query_id);
    removal work = {.files = files, .folder = folder};
    weir_status status = io_list(files, folder, remove_one, &work);
    if (status.code == WEIR_NOT_FOUND) return weir_ok();
    WEIR_TRY(status);
    if (work.error.code != WEIR_OK) return weir_error_status(&work.error);
    return io_remove(files, folder);
}
