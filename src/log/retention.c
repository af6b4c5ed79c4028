/* Retention: which segments are too old or too many, when to look, and how their files go.
 *
 *   owner lane   a look: the new start offset of each partition, moved as DeleteRecords moves it (start_offset.c)
 *   flush        the checkpoint with the new start and without the segments before it is on the disk
 *   owner lane   the segments leave the partition's list: no read that begins now will open them
 *   read lane    nothing but a place in the queue, behind the reads that may still open them
 *   store lane   their files are removed, unless the folder is deleted and may be a namesake's
 *
 * A crash in between leaves files before the checkpoint's first segment; verify.c removes them.
 *
 * There is no ticking: the timer is set for the moment when the oldest segment of some partition will be too old, and
 * brought forward when a segment begins. */
#include "base/trace.h"
#include "log/log_int.h"

#include <inttypes.h>

enum {
    PREPARES_MAX = 64,         /* partitions verified for one look; the others wait for the next one */
    JUMP_MS = 60000,           /* the two clocks may drift apart so far between two looks */
    JUMP_PER_THOUSAND = 1,     /* and by this share of the time between them */
    SOON_NS = 1000000000
};
static const int64_t PAUSE_NS = (int64_t)3600 * 1000000000;

/* ---- the segments before the start offset ------------------------------------------------------------------------ */

/* How many segments end at or before `start_offset`; the checkpoint's last one always stays. */
static size_t count_before(const log_partition *partition, int64_t start_offset) {
    size_t count = 0;
    if (!partition->ready || !partition->flushed.present) return 0;
    while (count + 1 < partition->segment_count && partition->segments[count + 1].base_offset <= start_offset &&
           partition->segments[count + 1].base_offset <= partition->flushed.segment_base)
        count++;
    return count;
}

bool log_retention_has_leftovers(const log_partition *partition) {
    return count_before(partition, partition->start_offset) > 0;
}

log_mark log_retention_mark(const log_partition *partition, int64_t start_offset) {
    log_mark mark = partition->flushed;
    const size_t count = count_before(partition, start_offset);
    if (!partition->ready || !mark.present) return mark;
    mark.older_bytes = 0; /* compaction changes sizes */
    for (size_t i = count; i < partition->segment_count; i++)
        if (partition->segments[i].base_offset < mark.segment_base) mark.older_bytes += partition->segments[i].bytes;
    if (count > 0) {
        mark.first_base = partition->segments[count].base_offset;
        mark.first_max_timestamp = partition->segments[count].max_timestamp;
    }
    return mark;
}

/* ---- removing files ---------------------------------------------------------------------------------------------- */

typedef struct removal {
    io_job job;
    log_partition *partition;
    log_segment *segments;
    size_t count;
} removal;

static void run_removed(io_job *job) {
    removal *work = io_owner(job, removal, job);
    log_partition *partition = work->partition;
    log_store *store = partition->store;
    weir_free(&store->account, work->segments);
    weir_free(&store->account, work);
    store->background--;
    log_partition_release(partition);
    log_store_check_stopped(store);
}

static weir_status remove_file(log_partition *partition, int64_t base, log_file_kind kind) {
    char path[LOG_PATH_MAX];
    WEIR_TRY(log_segment_path(partition, base, kind, path));
    const weir_status status = io_remove(partition->store->files, path);
    return status.code == WEIR_NOT_FOUND ? weir_ok() : status;
}

static void run_remove(io_job *job) { /* store lane */
    removal *work = io_owner(job, removal, job);
    log_partition *partition = work->partition;
    for (size_t i = 0; i < work->count && !partition->writer.dropped; i++) {
        const int64_t base = work->segments[i].base_offset;
        log_descriptors_forget_segment(partition, base);
        for (int kind = 0; kind < LOG_FILE_KINDS; kind++) {
            const weir_status status = remove_file(partition, base, (log_file_kind)kind);
            if (weir_failed(status))
                weir_trace(WEIR_WARN, "log", "a file of %s stays until the next start: %s", partition->folder,
                           status.text);
        }
    }
    work->job.run = run_removed;
    log_post(partition->store, partition->store->lane, &work->job);
}

static void run_behind_reads(io_job *job) { /* read lane */
    removal *work = io_owner(job, removal, job);
    work->job.run = run_remove;
    log_post(work->partition->store, work->partition->store->store_lane, &work->job);
}

void log_retention_sweep(log_partition *partition) {
    log_store *store = partition->store;
    const size_t count = count_before(partition, partition->start_offset);
    if (count == 0) return;
    removal *work = weir_alloc(&store->account, sizeof *work);
    work->partition = partition;
    work->count = count;
    work->segments = weir_alloc(&store->account, count * sizeof *work->segments);
    memcpy(work->segments, partition->segments, count * sizeof *work->segments);
    partition->flushed = log_retention_mark(partition, partition->start_offset);
    for (size_t i = 0; i < count; i++) partition->size_bytes -= partition->segments[i].bytes;
    partition->segment_count -= count;
    memmove(partition->segments, partition->segments + count, partition->segment_count * sizeof *partition->segments);
    weir_trace(WEIR_INFO, "log", "%s now begins at offset %" PRId64 ", %zu old segments go", partition->folder,
               partition->start_offset, count);
    store->background++;
    log_partition_retain(partition);
    io_job_init(&work->job, run_behind_reads);
    log_post(store, store->read_lane, &work->job);
}

/* ---- what is too old --------------------------------------------------------------------------------------------- */

typedef struct look {
    int64_t now_ns, wall_ms;
    bool by_time; /* the wall clock can be believed */
    int64_t due_ms; /* from now to the next look; -1 = none */
    unsigned prepares;
} look;

static void note_due(look *at, int64_t due_ms) {
    if (due_ms < 0) due_ms = 0;
    if (at->due_ms < 0 || due_ms < at->due_ms) at->due_ms = due_ms;
}

static bool is_expired(const log_partition *partition, const look *at, int64_t max_timestamp) {
    return partition->retention_ms > 0 && max_timestamp < at->wall_ms &&
           at->wall_ms - max_timestamp > partition->retention_ms;
}

/* How long until a record of this time is too old. */
static void note_expiry(const log_partition *partition, look *at, int64_t max_timestamp) {
    int64_t age = at->wall_ms - max_timestamp; /* both lie within what a clock shows, or the record lies about it */
    if (max_timestamp > at->wall_ms) age = 0;
    if (partition->retention_ms > 0) note_due(at, partition->retention_ms > age ? partition->retention_ms - age : 0);
}

static int64_t end_of(const log_partition *partition, size_t segment) {
    return segment + 1 < partition->segment_count ? partition->segments[segment + 1].base_offset
                                                  : partition->durable_end;
}

/* Where the partition should begin by time; the last segment goes only when nothing is on its way into it. */
static int64_t start_by_time(log_partition *partition, look *at) {
    int64_t start = partition->start_offset;
    for (size_t i = 0; i < partition->segment_count; i++) {
        log_segment *segment = &partition->segments[i];
        const bool is_last = i + 1 == partition->segment_count;
        if (end_of(partition, i) <= start) continue;
        if (segment->max_timestamp < 0) segment->max_timestamp = at->wall_ms; /* its records have no time */
        if (!at->by_time || !is_expired(partition, at, segment->max_timestamp) ||
            (is_last && partition->stored_end < partition->end_offset)) {
            note_expiry(partition, at, segment->max_timestamp);
            break;
        }
        start = end_of(partition, i);
        if (is_last) atomic_store_explicit(&partition->roll_at, start, memory_order_relaxed);
    }
    return start;
}

static int64_t start_by_size(const log_partition *partition, int64_t start) {
    uint64_t kept = 0;
    size_t first = 0;
    while (first < partition->segment_count && end_of(partition, first) <= start) first++;
    for (size_t i = first; i < partition->segment_count; i++) kept += partition->segments[i].bytes;
    for (size_t i = first; i + 1 < partition->segment_count; i++) {
        kept -= partition->segments[i].bytes;
        if (kept < (uint64_t)partition->retention_bytes) break;
        start = end_of(partition, i);
    }
    return start;
}

/* One that nobody has used since the start is verified only if the checkpoint says that something of it may go. */
static void look_at_unused(log_partition *partition, look *at) {
    const log_mark *mark = &partition->flushed;
    if (!mark->present || partition->preparing || partition->retention_ms + partition->retention_bytes == 0) return;
    const bool by_size =
        partition->retention_bytes > 0 && partition->size_bytes > (uint64_t)partition->retention_bytes;
    const bool by_time = partition->retention_ms > 0 && at->by_time &&
                         (mark->first_max_timestamp < 0 || is_expired(partition, at, mark->first_max_timestamp));
    if (!by_size && !by_time) {
        note_expiry(partition, at, mark->first_max_timestamp < 0 ? at->wall_ms : mark->first_max_timestamp);
    } else if (at->prepares++ < PREPARES_MAX) {
        log_partition_prepare(partition); /* log_partition_install() asks for another look */
    } else {
        note_due(at, SOON_NS / 1000000);
    }
}

static void trimmed(log_trim *trim, weir_status status) {
    log_partition *partition = trim->partition;
    partition->retention_trims = false;
    if (weir_failed(status) && status.code != WEIR_CANCELLED && status.code != WEIR_NOT_FOUND)
        weir_trace(WEIR_WARN, "log", "retention of %s waits: %s", partition->folder, status.text);
    log_retention_want(partition);
}

static bool has_work(const log_partition *partition) {
    return partition->retention_ms > 0 || partition->retention_bytes > 0 || partition->compacted;
}

static void look_at(log_partition *partition, look *at) {
    if (!has_work(partition)) return;
    if (!partition->claimed || partition->deleted || partition->offline || partition->gap ||
        partition->retention_trims || partition->start_offset >= partition->durable_end)
        return;
    if (!partition->ready) {
        look_at_unused(partition, at);
        return;
    }
    int64_t start = partition->retention_ms > 0 ? start_by_time(partition, at) : partition->start_offset;
    if (partition->retention_bytes > 0) start = start_by_size(partition, start);
    if (start <= partition->start_offset && !log_retention_has_leftovers(partition)) {
        int64_t due_ms = -1;
        if (partition->compacted) log_compaction_start(partition, at->wall_ms, &due_ms);
        if (due_ms >= 0) note_due(at, due_ms);
        return;
    }
    partition->retention_trims = true;
    partition->retention_trim = (log_trim){.partition = partition, .offset = start, .done = trimmed};
    log_set_start_offset(&partition->retention_trim);
}

/* ---- when -------------------------------------------------------------------------------------------------------- */

/* Compares how far the two clocks have come since the last look. */
static void watch_clocks(log_store *store, look *at) {
    const int64_t passed_ms = (at->now_ns - store->retention_last_ns) / 1000000;
    const int64_t off_ms = at->wall_ms - store->retention_wall_ms - passed_ms;
    const int64_t allowed_ms = JUMP_MS + passed_ms / 1000 * JUMP_PER_THOUSAND;
    if (off_ms > allowed_ms || off_ms < -allowed_ms) {
        store->retention_paused_ns = at->now_ns + PAUSE_NS;
        weir_trace(WEIR_WARN, "log",
                   "the wall clock jumped by %" PRId64 " s: nothing is deleted by its age for an hour", off_ms / 1000);
    }
    store->retention_wall_ms = at->wall_ms;
    store->retention_last_ns = at->now_ns;
    at->by_time = at->now_ns >= store->retention_paused_ns;
}

static void run_look(io_job *job) {
    log_store *store = io_owner(job, log_store, retention_job);
    if (store->stopping || store->failed) return;
    look at = {.now_ns = io_now_ns(store->world->clock), .wall_ms = io_wall_ms(store->world->clock), .due_ms = -1};
    watch_clocks(store, &at);
    void *value;
    for (size_t i = 0; weir_map_next(&store->partitions, &i, NULL, &value);) look_at(value, &at);
    if (at.due_ms < 0 || store->retention_timer.set) return;
    const int64_t due_ms_max = INT64_MAX / 4000000;
    int64_t due_ns = at.now_ns + (at.due_ms < due_ms_max ? at.due_ms : due_ms_max) * 1000000;
    const int64_t soonest_ns = at.now_ns + (at.prepares > PREPARES_MAX ? SOON_NS : store->retention_check_ns);
    if (due_ns < soonest_ns) due_ns = soonest_ns;
    if (!at.by_time && due_ns < store->retention_paused_ns) due_ns = store->retention_paused_ns;
    io_timer_set(store->world->executor, &store->retention_timer, due_ns);
}

void log_retention_want(log_partition *partition) {
    log_store *store = partition->store;
    if (!has_work(partition) || store->stopping) return;
    const int64_t now_ns = io_now_ns(store->world->clock);
    int64_t at_ns = store->retention_last_ns + store->retention_check_ns;
    if (at_ns < now_ns) at_ns = now_ns;
    if (store->retention_timer.set && store->retention_timer.at_ns <= at_ns) return;
    io_timer_set(store->world->executor, &store->retention_timer, at_ns);
}

void log_retention_init(log_store *store, int64_t check_ms) {
    io_job_init(&store->retention_job, run_look);
    io_timer_init(&store->retention_timer, store->lane, &store->retention_job);
    store->retention_check_ns = (check_ms > 0 ? check_ms : LOG_RETENTION_CHECK_MS) * 1000000;
    store->retention_last_ns = io_now_ns(store->world->clock);
    store->retention_wall_ms = io_wall_ms(store->world->clock);
}
