/* Fetch: a pass reads what is there, part after part; when that is too little, the request waits on all its partitions
 * until enough has come or its time is over. Everything happens in the fetch's own job or in the end of a read, so that
 * nothing is freed while something of it is still queued. */
#include "broker/broker_int.h"

enum { PASS_PAUSE_NS = 5000000 };

static void fetch_wake(io_job *job);
static void pass_next(broker_fetch *fetch);

static bool part_is_readable(const broker_fetch_part *part) { return part->error == BROKER_NONE; }

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void release_reads(broker_fetch *fetch) {
    for (size_t i = 0; i < fetch->part_count; i++) {
        broker_fetch_part *part = &fetch->parts[i];
        if (!part->read_held) continue;
        part->read_held = false;
        fetch->broker->fetch_held_bytes -= part->bytes.size;
        part->bytes = (weir_bytes){0};
        weir_free(&fetch->broker->account, part->aborted);
        part->aborted = NULL;
        part->aborted_count = 0;
        log_read_release(&part->read);
    }
    fetch->bytes_read = 0;
}

static void fetch_finish(broker_fetch *fetch) {
    broker_node *broker = fetch->broker;
    fetch->finished = true;
    weir_metric_add(&broker->fetched_bytes, (int64_t)fetch->bytes_read);
    if (fetch->previous) fetch->previous->next = fetch->next;
    else broker->fetches = fetch->next;
    if (fetch->next) fetch->next->previous = fetch->previous;
    fetch->done(fetch);
    broker_operation_end(broker);
}

void broker_fetch_release(broker_fetch *fetch) {
    weir_assert(fetch->finished);
    release_reads(fetch);
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

static void wait_begin(broker_fetch *fetch) {
    fetch->waiting = true;
    for (size_t i = 0; i < fetch->part_count; i++) {
        broker_fetch_part *part = &fetch->parts[i];
        if (!part_is_readable(part)) continue;
        part->waiter = (log_waiter){.job = &fetch->wake, .lane = fetch->broker->lane, .offset = part->seen_end};
        log_wait(part->read.partition, &part->waiter);
    }
    io_timer_set(fetch->broker->world.executor, &fetch->timer, fetch->deadline_ns);
}

/* Something came, and a pass has only just found too little: the next one may wait a moment, or a trickle would make
 * every append read everything again. */
static void wait_pause(broker_fetch *fetch) {
    fetch->waiting = true;
    const int64_t until_ns = fetch->passed_ns + PASS_PAUSE_NS;
    io_timer_set(fetch->broker->world.executor, &fetch->timer,
                 until_ns < fetch->deadline_ns ? until_ns : fetch->deadline_ns);
}

static void wait_end(broker_fetch *fetch) {
    fetch->waiting = false;
    for (size_t i = 0; i < fetch->part_count; i++) {
        if (part_is_readable(&fetch->parts[i])) log_wait_cancel(&fetch->parts[i].waiter);
    }
    io_timer_cancel(fetch->broker->world.executor, &fetch->timer);
}

/* ---- a pass ------------------------------------------------------------------------------------------------------ */

static void pass_end(broker_fetch *fetch) {
    bool failed = false;
    for (size_t i = 0; i < fetch->part_count; i++) failed |= fetch->parts[i].error != BROKER_NONE;
    const bool enough = (int64_t)fetch->bytes_read >= fetch->min_bytes;
    if (enough || failed || fetch->cancelled || fetch->part_count == 0 ||
        broker_now_ns(fetch->broker) >= fetch->deadline_ns)
        fetch_finish(fetch);
    else wait_begin(fetch);
}

static bool is_zstd(weir_bytes bytes) {
    wire_batch batch;
    return bytes.size >= WIRE_BATCH_HEADER_BYTES && !weir_failed(wire_batch_parse_header(bytes, &batch)) &&
           batch.codec == WIRE_CODEC_ZSTD;
}

/* What a reader of committed records gets: batches below the last stable offset, and which of their transactions were
 * aborted. */
static void keep_stable(broker_fetch_part *part) {
    log_partition *log = part->read.partition;
    weir_bytes left = part->bytes;
    wire_batch batch;
    int64_t end = part->read.end_offset;
    if (end > part->last_stable_offset) {
        end = part->last_stable_offset;
        while (!weir_failed(wire_batch_parse_header(left, &batch)) && batch.base_offset < end) {
            left.data += batch.size_bytes;
            left.size -= batch.size_bytes;
            if (left.size == 0) break;
        }
        part->bytes.size -= left.size;
    }
    if (!log_has_transactions(log)) return;
    const size_t count = log_aborted_in(log, part->offset, end, NULL, 0);
    if (count == 0) return;
    part->aborted = weir_alloc(&part->owner->broker->account, sizeof *part->aborted * count);
    part->aborted_count = log_aborted_in(log, part->offset, end, part->aborted, count);
}

static void read_done(log_read *read, weir_status status) {
    broker_fetch_part *part = io_owner(read, broker_fetch_part, read);
    broker_fetch *fetch = part->owner;
    if (weir_failed(status)) {
        part->error = broker_error_of(status);
        log_read_release(read);
    } else if (part->zstd_refused && is_zstd(read->bytes)) {
        part->error = BROKER_UNSUPPORTED_COMPRESSION_TYPE;
        log_read_release(read);
    } else {
        part->read_held = true;
        part->bytes = read->bytes;
        if (fetch->read_committed) keep_stable(part);
        fetch->bytes_read += part->bytes.size;
        fetch->broker->fetch_held_bytes += part->bytes.size;
    }
    fetch->next_part++;
    pass_next(fetch);
}

static size_t part_room(const broker_fetch *fetch, const broker_fetch_part *part) {
    const int64_t limit = fetch->broker->fetch_bytes_max;
    int64_t room = (fetch->max_bytes < limit ? fetch->max_bytes : limit) - (int64_t)fetch->bytes_read;
    if (room > part->max_bytes) room = part->max_bytes;
    if (fetch->broker->fetch_held_bytes > BROKER_FETCH_HELD_BYTES_MAX && room > BROKER_FETCH_SQUEEZED_BYTES)
        room = BROKER_FETCH_SQUEEZED_BYTES;
    if (room <= 0)
        return fetch->bytes_read == 0 ? 1 : 0; /* the first batch comes whole, so that every reader gets on */
    return (size_t)room;
}

static broker_error check_part(broker_node *broker, const broker_fetch *fetch, broker_fetch_part *part,
                               log_partition **log) {
    topic_entry *topic;
    const broker_error error = broker_resolve(broker, &part->target, &topic, log);
    const weir_bytes name = topic ? weir_bytes_text(topic->info.name) : part->target.topic;
    if (!broker_may(broker, fetch->principal, GUARD_READ, GUARD_TOPIC, name)) return BROKER_TOPIC_AUTHORIZATION_FAILED;
    if (error != BROKER_NONE) return error;
    const int32_t epoch = log_leader_epoch(*log);
    if (part->current_leader_epoch >= 0 && part->current_leader_epoch < epoch) return BROKER_FENCED_LEADER_EPOCH;
    if (part->current_leader_epoch > epoch) return BROKER_UNKNOWN_LEADER_EPOCH;
    part->high_watermark = log_high_watermark(*log);
    part->last_stable_offset = log_last_stable_offset(*log, false);
    part->log_start_offset = log_start_offset(*log);
    if (part->offset < part->log_start_offset || part->offset > part->high_watermark) return BROKER_OFFSET_OUT_OF_RANGE;
    return BROKER_NONE;
}

static void pass_next(broker_fetch *fetch) {
    for (; fetch->next_part < fetch->part_count; fetch->next_part++) {
        broker_fetch_part *part = &fetch->parts[fetch->next_part];
        log_partition *log;
        part->bytes = (weir_bytes){0};
        part->error = check_part(fetch->broker, fetch, part, &log);
        if (part->error != BROKER_NONE) continue;
        part->read = (log_read){.partition = log, .offset = part->offset, .done = read_done};
        part->seen_end = part->high_watermark;
        part->read.max_bytes = part_room(fetch, part);
        const int64_t visible = fetch->read_committed ? part->last_stable_offset : part->high_watermark;
        if (part->offset >= visible || part->read.max_bytes == 0) continue;
        log_read_start(&part->read);
        return;
    }
    pass_end(fetch);
}

static void pass_begin(broker_fetch *fetch) {
    release_reads(fetch);
    fetch->passed_ns = broker_now_ns(fetch->broker);
    fetch->next_part = 0;
    pass_next(fetch);
}

/* Whether a new pass would see more than the last one. */
static bool has_news(broker_fetch *fetch) {
    for (size_t i = 0; i < fetch->part_count; i++) {
        broker_fetch_part *part = &fetch->parts[i];
        log_partition *log;
        if (!part_is_readable(part)) continue;
        if (broker_resolve(fetch->broker, &part->target, NULL, &log) != BROKER_NONE || log != part->read.partition) {
            return true;
        }
        if (log_high_watermark(log) > part->seen_end) return true;
    }
    return false;
}

static void fetch_wake(io_job *job) {
    broker_fetch *fetch = io_owner(job, broker_fetch, wake);
    if (fetch->finished) return;
    if (!fetch->waiting) {
        pass_begin(fetch);
        return;
    }
    wait_end(fetch);
    const int64_t now_ns = broker_now_ns(fetch->broker);
    const bool over = fetch->cancelled || now_ns >= fetch->deadline_ns;
    if (!over && !has_news(fetch)) wait_begin(fetch);
    else if (over || fetch->min_bytes <= 1 || now_ns >= fetch->passed_ns + PASS_PAUSE_NS) pass_begin(fetch);
    else wait_pause(fetch);
}

void broker_fetch_start(broker_node *broker, broker_fetch *fetch) {
    fetch->broker = broker;
    fetch->bytes_read = 0;
    fetch->waiting = fetch->cancelled = fetch->finished = false;
    fetch->deadline_ns = broker_now_ns(broker) + (fetch->max_wait_ms > 0 ? (int64_t)fetch->max_wait_ms : 0) * 1000000;
    for (size_t i = 0; i < fetch->part_count; i++) {
        broker_fetch_part *part = &fetch->parts[i];
        part->owner = fetch;
        part->read_held = false;
        part->bytes = (weir_bytes){0};
        part->high_watermark = part->last_stable_offset = part->log_start_offset = -1;
        part->aborted = NULL;
        part->aborted_count = 0;
    }
    broker_operation_begin(broker);
    fetch->previous = NULL;
    fetch->next = broker->fetches;
    if (fetch->next) fetch->next->previous = fetch;
    broker->fetches = fetch;
    io_job_init(&fetch->wake, fetch_wake);
    io_timer_init(&fetch->timer, broker->lane, &fetch->wake);
    broker_post(broker, &fetch->wake);
}

void broker_fetch_cancel(broker_fetch *fetch) {
    if (fetch->finished) return;
    fetch->cancelled = true;
    if (fetch->waiting) broker_post(fetch->broker, &fetch->wake);
}

void broker_fetches_stop(broker_node *broker) {
    for (broker_fetch *fetch = broker->fetches; fetch; fetch = fetch->next) broker_fetch_cancel(fetch);
}
