/* Goal: whatever the disk does and whenever the process dies, the log keeps its word.
 *
 * Method: from a seed, several lifetimes of one data folder in the simulator. In each, groups over several partitions
 * are appended while readers, waiters, barriers and time queries run, topics are deleted and made again under the same
 * name, and the disk fails, fills or dies at a drawn operation: the process alone (what was written is there,
 * unsynced), or the power (what was not synced is kept, lost or torn, in any order). A model notes what was appended,
 * answered and seen. After each start everything is read again and compared:
 *   - every answered group is there, whole and equal to the byte; no group is there in part; nothing else is there
 *   - offsets follow one another without a gap, and producer state agrees with them
 *   - no high watermark is lower than one that was ever seen: nothing visible could be taken back
 *   - readers get what the model has, below the high watermark; after a clean stop the raw segments hold just that, and
 *     Kafka's indexes point to where they should
 * A last start may find flipped bits: it must tell, or give what the model has; only the journal's last round, which
 * cannot be told from a torn one, may be missing.
 *
 * WEIR_SIM_SEED=n runs one seed, WEIR_SIM_SEEDS=n so many. Built as well with each LOG_MUTANT_..., where the test
 * passes when the invariants break within MUTANT_SEEDS seeds. */
#include "base/hash.h"
#include "base/text.h"
#include "base/trace.h"
#include "log/log_test.h"

#include <inttypes.h>
#include <sys/wait.h>

enum {
    SEEDS = 3000,
    MUTANT_SEEDS = 50,
    SLOTS = 5,
    GROUP_BATCHES_MAX = 4,
    OPEN_READS_MAX = 6,
    STEPS_MAX = 2000000
};

static uint64_t running_seed;

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) broken(#condition, __LINE__, __VA_ARGS__);                                                   \
    } while (0)

static void broken(const char *condition, int line, const char *format, ...) WEIR_PRINTF(3, 4);
static void broken(const char *condition, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("seed %" PRIu64 ", line %d: %s does not hold: ", running_seed, line, condition);
    vprintf(format, args);
    printf("\n  again: WEIR_SIM_SEED=%" PRIu64 "\n", running_seed);
    va_end(args);
    fflush(stdout);
    _exit(1);
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

typedef struct model_group model_group;

typedef struct model_batch {
    model_group *group;
    log_partition_id id;
    int64_t base, end;
    int64_t max_timestamp;
    int32_t sequence; /* -1 = no producer */
    uint8_t *bytes;
    size_t size;
    bool found; /* at the last start */
} model_batch;

struct model_group {
    log_group group;
    log_batch batches[GROUP_BATCHES_MAX];
    model_batch model[GROUP_BATCHES_MAX];
    size_t count;
    enum { PENDING, ANSWERED, FAILED } state;
    struct run *run;
    model_group *next; /* of this lifetime */
};

typedef struct slot { /* one topic name; its id changes when it is made again */
    log_partition_id id;
    bool exists;
    log_partition *partition;
    int64_t seen; /* highest durable end that anybody was shown */
    model_batch **settled; /* what is surely there, from offset 0 */
    size_t settled_count, settled_capacity;
    int32_t next_sequence;
} slot;

typedef struct open_read {
    log_read read;
    struct run *run;
    slot *slot;
    bool is_open;
} open_read;

typedef struct run {
    io_sim *sim;
    const io_world *world;
    io_lane *lane;
    log_store *store;
    log_config config;
    slot slots[SLOTS];
    model_group *groups, *all_groups; /* of this lifetime; of former ones, for their bytes */
    uint64_t salt;
    unsigned next_topic;
    open_read reads[OPEN_READS_MAX];
    unsigned pending;
    bool injected; /* an error that is no crash was asked for in this lifetime */
    bool flipped, flipped_journal;
    bool tidy; /* orphans were removed: a stop can be clean */
    uint64_t last_round;
    int32_t epoch;
} run;

static uint64_t draw(run *r, uint64_t below) {
    return io_sim_draw(r->sim, below);
}

static bool chance(run *r, unsigned one_in) {
    return draw(r, one_in) == 0;
}

static int64_t settled_end(const slot *s) {
    return s->settled_count ? s->settled[s->settled_count - 1]->end : 0;
}

static void settle(slot *s, model_batch *batch) {
    if (s->settled_count == s->settled_capacity) {
        s->settled_capacity = s->settled_capacity ? 2 * s->settled_capacity : 64;
        s->settled = weir_realloc(&test_account, s->settled, s->settled_capacity * sizeof(model_batch *));
    }
    s->settled[s->settled_count++] = batch;
}

/* The sequence that follows what is settled. */
static int32_t settled_sequence(const slot *s) {
    for (size_t i = s->settled_count; i > 0; i--)
        if (s->settled[i - 1]->sequence >= 0)
            return s->settled[i - 1]->sequence + (int32_t)(s->settled[i - 1]->end - s->settled[i - 1]->base);
    return 0;
}

static bool same_id(const log_partition_id *a, const log_partition_id *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

static slot *slot_of(run *r, const log_partition_id *id) {
    for (int i = 0; i < SLOTS; i++)
        if (r->slots[i].exists && same_id(&r->slots[i].id, id)) return &r->slots[i];
    return NULL;
}

static size_t settled_find(const slot *s, int64_t offset) { /* the batch with the offset, or the count */
    size_t low = 0, high = s->settled_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (s->settled[middle]->end <= offset) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* ---- comparing bytes that the log handed out --------------------------------------------------------------------- */

static model_batch *pending_batch(run *r, const slot *s, const wire_batch *got) {
    for (model_group *group = r->groups; group; group = group->next)
        for (size_t i = 0; group->state != FAILED && i < group->count; i++)
            if (same_id(&group->model[i].id, &s->id) && group->model[i].base == got->base_offset)
                return &group->model[i];
    return NULL;
}

/* Whole batches, equal to the model's, from the one with `offset` on. */
static void compare(run *r, slot *s, weir_bytes bytes, int64_t offset, bool ahead) {
    size_t at = settled_find(s, offset);
    int64_t end = -1;
    while (bytes.size > 0) {
        wire_batch got;
        const weir_status parsed = wire_batch_parse(bytes, &got);
        CHECK(!weir_failed(parsed), "%s", parsed.text);
        if (r->flipped && weir_failed(wire_batch_check_crc(&got))) return; /* the reader is told by the checksum */
        CHECK(end < 0 ? got.base_offset <= offset && wire_batch_next_offset(&got) > offset : got.base_offset == end,
              "offset %" PRId64 " after %" PRId64 ", asked for %" PRId64, got.base_offset, end, offset);
        end = wire_batch_next_offset(&got);
        const model_batch *known = at < s->settled_count ? s->settled[at++] : ahead ? pending_batch(r, s, &got) : NULL;
        CHECK(known, "offset %" PRId64 " is unknown, settled end is %" PRId64, got.base_offset, settled_end(s));
        CHECK(known->size == got.size_bytes && known->base == got.base_offset, "offset %" PRId64, got.base_offset);
        uint8_t copy[16];
        memcpy(copy, bytes.data, 16);
        if (r->flipped) memcpy(copy + 12, known->bytes + 12, 4); /* no checksum covers the leader epoch */
        CHECK(memcmp(copy, known->bytes, 16) == 0 && memcmp(bytes.data + 16, known->bytes + 16, known->size - 16) == 0,
              "bytes at offset %" PRId64 " differ", got.base_offset);
        bytes = weir_bytes_of(bytes.data + got.size_bytes, bytes.size - got.size_bytes);
    }
}

/* ---- actions ----------------------------------------------------------------------------------------------------- */

static void group_done(log_group *done, weir_status status) {
    model_group *group = io_owner(done, model_group, group);
    run *r = group->run;
    r->pending--;
    group->state = weir_failed(status) ? FAILED : ANSWERED;
    if (weir_failed(status)) CHECK(r->injected || io_sim_is_crashed(r->sim), "a group failed: %s", status.text);
    for (size_t i = 0; i < group->count; i++) {
        slot *s = slot_of(r, &group->model[i].id);
        if (!s) continue;
        if (weir_failed(status)) {
            s->next_sequence = settled_sequence(s);
            continue;
        }
        CHECK(group->model[i].base == settled_end(s), "answered %" PRId64 " after %" PRId64, group->model[i].base,
              settled_end(s));
        settle(s, &group->model[i]);
        CHECK(log_high_watermark(s->partition) >= group->model[i].end, "answered above the high watermark");
    }
    if (!weir_failed(status)) r->last_round = done->round;
}

static void make_batch(run *r, model_batch *batch, slot *s) {
    weir_buffer bytes;
    weir_buffer_init(&bytes, &test_account, 1 << 20);
    wire_builder builder;
    wire_batch_options options = wire_batch_options_default;
    const unsigned records = 1 + (unsigned)draw(r, 3);
    const size_t value_bytes = chance(r, 12) ? draw(r, 9000) : draw(r, 300);
    uint8_t value[9000];
    uint64_t state = ++r->salt * 0x9e3779b97f4a7c15u;
    const int64_t timestamp = (int64_t)draw(r, 100000);
    wire_builder_begin(&builder, &bytes);
    for (unsigned i = 0; i < records; i++) {
        for (size_t at = 0; at < value_bytes; at++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            value[at] = (uint8_t)(state >> 56);
        }
        wire_builder_add(&builder, timestamp + i, weir_bytes_of(&state, 8), weir_bytes_of(value, value_bytes), NULL, 0);
    }
    batch->sequence = -1;
    if (chance(r, 2)) {
        options.producer_id = 100;
        options.producer_epoch = 0;
        options.base_sequence = batch->sequence = s->next_sequence;
        s->next_sequence += (int32_t)records;
    }
    const weir_status finished = wire_builder_finish(&builder, &options, NULL, NULL);
    CHECK(!weir_failed(finished), "%s", finished.text);
    batch->id = s->id;
    batch->max_timestamp = timestamp + records - 1;
    batch->size = bytes.size;
    batch->bytes = weir_alloc(&test_account, bytes.size);
    memcpy(batch->bytes, bytes.data, bytes.size);
    weir_buffer_deinit(&bytes);
}

static void check_verdict(slot *s, const model_batch *batch, log_sequence_verdict wanted, int64_t wanted_offset) {
    log_sequence_verdict verdict;
    int64_t offset;
    if (weir_failed(log_check_sequence(s->partition, batch->bytes, batch->size, NULL, &verdict, &offset))) return;
    CHECK(verdict == wanted && (wanted_offset < 0 || offset == wanted_offset),
          "verdict %d at %" PRId64 ", expected %d at %" PRId64, (int)verdict, offset, (int)wanted, wanted_offset);
}

static void append(run *r) {
    model_group *group = weir_alloc(&test_account, sizeof *group);
    group->run = r;
    const size_t count = 1 + draw(r, GROUP_BATCHES_MAX);
    for (size_t i = 0; i < count; i++) {
        slot *s = &r->slots[draw(r, SLOTS)];
        if (!s->exists) continue;
        make_batch(r, &group->model[group->count], s);
        group->model[group->count].group = group;
        group->batches[group->count] = (log_batch){.partition = s->partition,
                                                   .bytes = group->model[group->count].bytes,
                                                   .size = group->model[group->count].size};
        group->count++;
    }
    group->group = (log_group){.batches = group->batches, .count = group->count, .done = group_done};
    group->next = r->groups;
    r->groups = group;
    group->state = FAILED;
    const weir_status status = group->count ? log_append(r->store, &group->group) : weir_ok();
    if (group->count == 0) return;
    for (size_t i = 0; i < group->count; i++) {
        slot *s = slot_of(r, &group->model[i].id);
        if (weir_failed(status)) s->next_sequence = -1;
        group->model[i].base = group->batches[i].base_offset;
        group->model[i].end = group->batches[i].end_offset;
    }
    if (weir_failed(status)) { /* nothing was done: sequences go on from what is pending or settled */
        CHECK(r->injected || io_sim_is_crashed(r->sim), "append failed: %s", status.text);
        for (int i = 0; i < SLOTS; i++) {
            slot *s = &r->slots[i];
            if (!s->exists || s->next_sequence >= 0) continue;
            s->next_sequence = settled_sequence(s);
            int64_t highest = settled_end(s);
            for (model_group *other = r->groups; other; other = other->next)
                for (size_t b = 0; other->state == PENDING && b < other->count; b++) {
                    const model_batch *batch = &other->model[b];
                    if (!same_id(&batch->id, &s->id) || batch->sequence < 0 || batch->end <= highest) continue;
                    highest = batch->end;
                    s->next_sequence = batch->sequence + (int32_t)(batch->end - batch->base);
                }
        }
        group->count = 0;
        return;
    }
    group->state = PENDING;
    r->pending++;
}

static void read_done(log_read *read, weir_status status) {
    open_read *o = io_owner(read, open_read, read);
    run *r = o->run;
    slot *s = o->slot;
    o->is_open = false;
    if (weir_failed(status)) {
        CHECK(status.code == WEIR_NOT_FOUND || status.code == WEIR_OUT_OF_RANGE || r->injected || r->flipped ||
                  io_sim_is_crashed(r->sim),
              "a read failed: %s", status.text);
    } else if (s->partition == read->partition && s->exists) {
        const int64_t limit = read->ahead ? log_end_offset(s->partition) : log_high_watermark(s->partition);
        CHECK(read->end_offset <= limit || r->injected, "read to %" PRId64 " above %" PRId64, read->end_offset, limit);
        if (!read->ahead || !r->injected) compare(r, s, read->bytes, read->offset, read->ahead);
        if (!read->ahead && read->end_offset > s->seen) s->seen = read->end_offset;
    }
    log_read_release(read);
}

static void start_read(run *r) {
    open_read *o = &r->reads[draw(r, OPEN_READS_MAX)];
    slot *s = &r->slots[draw(r, SLOTS)];
    if (o->is_open || !s->exists) return;
    const int64_t end = log_high_watermark(s->partition);
    CHECK(end >= s->seen, "the high watermark fell from %" PRId64 " to %" PRId64, s->seen, end);
    s->seen = end;
    *o = (open_read){.run = r, .slot = s, .is_open = true};
    o->read = (log_read){.partition = s->partition,
                         .offset = (int64_t)draw(r, (uint64_t)end + 1),
                         .max_bytes = draw(r, 20000),
                         .ahead = chance(r, 3),
                         .done = read_done};
    if (chance(r, 2)) o->read.offset = end > 3 ? end - 3 : 0;
    log_read_start(&o->read);
}

typedef struct watch { /* a barrier, a waiter or a query; frees itself */
    log_barrier barrier;
    log_time_query query;
    run *run;
    slot *slot;
    log_partition *partition;
    int64_t end;
} watch;

static watch *new_watch(run *r, slot *s) {
    watch *w = weir_alloc(&test_account, sizeof *w);
    w->run = r;
    w->slot = s;
    w->partition = s->partition;
    w->end = log_end_offset(s->partition);
    r->pending++;
    return w;
}

static void end_watch(watch *w) {
    w->run->pending--;
    weir_free(&test_account, w);
}

static void barrier_done(log_barrier *barrier, weir_status status) {
    watch *w = io_owner(barrier, watch, barrier);
    if (weir_failed(status)) {
        CHECK(w->run->injected || io_sim_is_crashed(w->run->sim), "a barrier failed: %s", status.text);
    } else if (w->slot->exists && w->slot->partition == w->partition) {
        CHECK(log_high_watermark(w->partition) >= w->end, "a barrier before its end was durable");
    }
    end_watch(w);
}

/* What the model says about the first record at or after a time, by batches: records of one batch have times one apart.
 */
static void query_done(log_time_query *query, weir_status status) {
    watch *w = io_owner(query, watch, query);
    const slot *s = w->slot;
    const bool same = s->exists && s->partition == w->partition;
    if (weir_failed(status)) {
        CHECK(status.code == WEIR_NOT_FOUND || w->run->injected || io_sim_is_crashed(w->run->sim), "a query failed: %s",
              status.text);
    } else if (same) {
        int64_t offset = -1, found = -1;
        for (size_t i = 0; i < s->settled_count && s->settled[i]->base < w->end && offset < 0; i++) {
            const model_batch *batch = s->settled[i];
            const int64_t first = batch->max_timestamp - (batch->end - batch->base - 1);
            if (batch->max_timestamp < query->timestamp_ms) continue;
            found = query->timestamp_ms > first ? query->timestamp_ms : first;
            offset = batch->base + (found - first);
        }
        CHECK(query->offset == offset && query->found_timestamp_ms == found,
              "time %" PRId64 ": offset %" PRId64 ", expected %" PRId64 " below %" PRId64, query->timestamp_ms,
              query->offset, offset, w->end);
    }
    end_watch(w);
}

static void start_watch(run *r) {
    slot *s = &r->slots[draw(r, SLOTS)];
    if (!s->exists) return;
    watch *w = new_watch(r, s);
    if (chance(r, 2)) {
        w->barrier.done = barrier_done;
        log_when_durable(s->partition, &w->barrier);
        return;
    }
    w->end = log_high_watermark(s->partition);
    w->query = (log_time_query){
        .partition = s->partition, .timestamp_ms = (int64_t)draw(r, 101000), .done = query_done};
    log_time_query_start(&w->query);
}

static void open_slot(run *r, int number) {
    slot *s = &r->slots[number];
    char name[16];
    snprintf(name, sizeof name, "t%d", number);
    const log_partition_config config = {.segment_bytes = 2000 + draw(r, 30000)};
    const weir_status status = log_partition_open(r->store, &s->id, name, &config, &s->partition);
    CHECK(!weir_failed(status) || r->flipped, "opening %s: %s", name, status.text);
    if (weir_failed(status)) s->exists = false;
}

static void make_topic(run *r, int number) {
    slot *s = &r->slots[number];
    s->exists = true;
    s->id = test_id(++r->next_topic, number);
    s->settled_count = 0;
    s->seen = 0;
    s->next_sequence = 0;
    open_slot(r, number);
    CHECK(log_end_offset(s->partition) == 0, "a new topic begins at %" PRId64, log_end_offset(s->partition));
}

static void delete_topic(run *r, int number) {
    slot *s = &r->slots[number];
    s->exists = false; /* the owner's record of it is durable before this call */
    log_partition_delete(s->partition);
    s->partition = NULL;
}

static void act(run *r) {
    switch (draw(r, 16)) {
    case 0: case 1: case 2: case 3: case 4: append(r); break;
    case 5: case 6: case 7: start_read(r); break;
    case 8: start_watch(r); break;
    case 9:
        if (chance(r, 8)) {
            const int number = (int)draw(r, SLOTS);
            if (r->slots[number].exists) delete_topic(r, number);
            if (chance(r, 2) && !r->slots[number].exists) make_topic(r, number);
        }
        break;
    case 10: io_sim_run(r->sim, NULL, NULL, draw(r, 60)); break;
    case 11:
        if (r->injected && chance(r, 4)) {
            io_sim_set_free_bytes(r->sim, UINT64_MAX);
            io_sim_run_for(r->sim, 2000000000);
        }
        break;
    default: io_sim_run(r->sim, NULL, NULL, draw(r, 6)); break;
    }
}

/* ---- starting, verifying, stopping ------------------------------------------------------------------------------- */

static bool is_quiet(void *arg) {
    run *r = arg;
    for (int i = 0; i < OPEN_READS_MAX; i++)
        if (r->reads[i].is_open) return false;
    return r->pending == 0;
}

static void settle_down(run *r) {
    const io_sim_end end = io_sim_run(r->sim, is_quiet, r, STEPS_MAX);
    CHECK(end == IO_SIM_DONE, "something never finishes (%d), %u pending", (int)end, r->pending);
}

typedef struct reading {
    log_read read;
    bool is_done;
    weir_error error;
} reading;

static void reading_done(log_read *read, weir_status status) {
    reading *one = io_owner(read, reading, read);
    one->is_done = true;
    weir_error_set(&one->error, status);
}

/* The batch of a former lifetime that came back. */
static model_batch *returned(run *r, const slot *s, const wire_batch *got, weir_bytes bytes) {
    for (model_group *group = r->groups; group; group = group->next)
        for (size_t i = 0; i < group->count; i++) {
            model_batch *batch = &group->model[i];
            if (same_id(&batch->id, &s->id) && batch->base == got->base_offset && batch->size == got->size_bytes &&
                memcmp(batch->bytes, bytes.data, batch->size) == 0)
                return batch;
        }
    return NULL;
}

static void verify_bytes(run *r, slot *s, weir_bytes bytes, int64_t offset) {
    while (bytes.size > 0) {
        wire_batch got;
        const weir_status parsed = wire_batch_parse(bytes, &got);
        CHECK(!weir_failed(parsed), "%s", parsed.text);
        const size_t at = settled_find(s, offset);
        if (at == s->settled_count) {
            model_batch *batch = got.base_offset == settled_end(s) ? returned(r, s, &got, bytes) : NULL;
            if (!batch && r->flipped && weir_failed(wire_batch_check_crc(&got))) return;
            CHECK(batch, "%d: offset %" PRId64 " was never appended; settled end %" PRId64, s->id.partition,
                  got.base_offset, settled_end(s));
            batch->found = true;
            settle(s, batch);
        }
        compare(r, s, weir_bytes_of(bytes.data, got.size_bytes), offset, false);
        offset = wire_batch_next_offset(&got);
        bytes = weir_bytes_of(bytes.data + got.size_bytes, bytes.size - got.size_bytes);
    }
}

/* Reads a partition from its first offset to its last; false when the process died meanwhile. */
static bool verify_slot(run *r, slot *s) {
    const int64_t end = log_high_watermark(s->partition);
    CHECK(end == log_end_offset(s->partition), "after a start something is not durable");
    CHECK(end >= s->seen || r->flipped_journal, "seen to %" PRId64 ", now %" PRId64, s->seen, end);
    CHECK(end >= settled_end(s) || r->flipped_journal, "answered to %" PRId64 ", now %" PRId64, settled_end(s), end);
    for (int64_t offset = 0; offset < end;) {
        reading one = {.read = {.partition = s->partition, .offset = offset, .done = reading_done}};
        one.read.max_bytes = 1 + draw(r, 60000);
        log_read_start(&one.read);
        CHECK(io_sim_run(r->sim, test_is_done, &one.is_done, STEPS_MAX) == IO_SIM_DONE, "a read never finishes");
        if (one.error.code != WEIR_OK) {
            CHECK(r->flipped || io_sim_is_crashed(r->sim), "offset %" PRId64 ": %s", offset, one.error.text);
            log_read_release(&one.read);
            return r->flipped;
        }
        CHECK(one.read.bytes.size > 0 && one.read.end_offset > offset, "an empty read at %" PRId64, offset);
        verify_bytes(r, s, one.read.bytes, offset);
        offset = one.read.end_offset;
        log_read_release(&one.read);
    }
    s->seen = end;
    return true;
}

/* A group came back whole, or not at all. */
static void verify_groups(run *r) {
    for (model_group *group = r->groups; group; group = group->next) {
        if (group->state == ANSWERED) continue;
        size_t there = 0, wanted = 0;
        for (size_t i = 0; i < group->count; i++) {
            if (!slot_of(r, &group->model[i].id)) continue;
            wanted++;
            there += group->model[i].found;
        }
        CHECK(there == 0 || there == wanted || r->flipped, "%zu of %zu batches of a group", there, wanted);
    }
}

static void verify_producers(run *r) {
    for (int i = 0; i < SLOTS; i++) {
        slot *s = &r->slots[i];
        if (!s->exists) continue;
        s->next_sequence = settled_sequence(s);
        for (size_t b = s->settled_count; b > 0; b--) {
            if (s->settled[b - 1]->sequence < 0) continue;
            check_verdict(s, s->settled[b - 1], LOG_SEQUENCE_DUPLICATE, s->settled[b - 1]->base);
            break;
        }
    }
}

static void forget_groups(run *r) {
    while (r->groups) {
        model_group *group = r->groups;
        r->groups = group->next;
        group->next = r->all_groups;
        r->all_groups = group;
    }
}

static weir_status open_log(run *r, log_start_report *report) {
    r->config.world = r->world;
    r->config.lane = r->lane;
    r->config.directory = "data";
    r->config.segment_bytes = 0;
    r->config.journal_bytes = 16384 + draw(r, 200000);
    r->config.tail_bytes = chance(r, 2) ? 1 : draw(r, 100000);
    r->config.descriptors_max = 1 + (uint32_t)draw(r, 12);
    return log_open(&r->store, &r->config, report);
}

/* Opens and verifies everything; false when the process died on the way, the store is then gone. */
static bool start(run *r, bool expect_clean) {
    log_start_report report;
    const weir_status status = open_log(r, &report);
    if (weir_failed(status)) {
        CHECK(io_sim_is_crashed(r->sim) || r->flipped, "the start failed: %s", status.text);
        return false;
    }
    CHECK(!expect_clean || r->flipped || (report.clean && report.groups_replayed == 0), "%" PRIu64 " groups replayed",
          report.groups_replayed);
    for (int i = 0; i < SLOTS; i++)
        if (r->slots[i].exists) open_slot(r, i);
    r->tidy = !chance(r, 4);
    if (r->tidy) log_remove_orphans(r->store);
    bool alive = true;
    for (int i = 0; i < SLOTS && alive; i++)
        if (r->slots[i].exists) alive = verify_slot(r, &r->slots[i]);
    if (alive && !r->flipped) {
        verify_groups(r);
        verify_producers(r);
        forget_groups(r);
        for (int i = 0; i < SLOTS; i++) {
            if (!r->slots[i].exists) continue;
            const int32_t epoch = log_leader_epoch(r->slots[i].partition);
            CHECK(epoch >= r->epoch + !report.clean, "epoch %d after %d", epoch, r->epoch);
        }
        for (int i = 0; i < SLOTS; i++)
            if (r->slots[i].exists) r->epoch = log_leader_epoch(r->slots[i].partition);
    }
    return alive;
}

static void stopped(io_job *job) {
    test_job *done = io_owner(job, test_job, job);
    done->is_done = true;
}

/* Returns whether the stop was clean. */
static bool stop(run *r, bool wants_clean) {
    test_job job = {0};
    settle_down(r);
    io_job_init(&job.job, stopped);
    log_stop(r->store, &job.job);
    CHECK(io_sim_run(r->sim, test_is_done, &job.is_done, STEPS_MAX) == IO_SIM_DONE, "the stop never finishes");
    CHECK(r->pending == 0, "%u callbacks are missing", r->pending);
    for (int i = 0; i < SLOTS; i++)
        if (r->slots[i].exists && log_high_watermark(r->slots[i].partition) > r->slots[i].seen)
            r->slots[i].seen = log_high_watermark(r->slots[i].partition);
    if (!wants_clean || io_sim_is_crashed(r->sim)) {
        log_abandon(r->store);
        return false;
    }
    const weir_status status = log_close(r->store);
    CHECK(!weir_failed(status) || r->injected || io_sim_is_crashed(r->sim), "the close failed: %s", status.text);
    return !weir_failed(status) && !r->injected && r->tidy && !io_sim_is_crashed(r->sim);
}

/* ---- the raw files after a clean stop ---------------------------------------------------------------------------- */

typedef struct names {
    char names[256][40];
    size_t count;
} names;

static void note_name(const char *name, void *arg) {
    names *n = arg;
    if (n->count < 256 && strlen(name) < 40) memcpy(n->names[n->count++], name, strlen(name) + 1);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

static size_t slurp(run *r, const char *folder, const char *name, uint8_t **bytes) {
    char path[128];
    io_file *file;
    io_file_info info;
    size_t got = 0;
    snprintf(path, sizeof path, "data/%s/%s", folder, name);
    *bytes = NULL;
    if (weir_failed(io_open(r->world->files, path, IO_OPEN_READ, &file))) return 0;
    const weir_status status = io_file_info_of(r->world->files, file, &info);
    CHECK(!weir_failed(status), "%s", status.text);
    *bytes = weir_alloc(&test_account, info.size + 1);
    const weir_status read = io_read_at(r->world->files, file, 0, *bytes, info.size, &got);
    CHECK(!weir_failed(read), "%s", read.text);
    io_close(r->world->files, file);
    return got;
}

static void check_indexes(run *r, const char *folder, const char *log_name, weir_bytes log) {
    char name[48];
    uint8_t *index;
    int64_t base;
    CHECK(weir_parse_i64(weir_bytes_of(log_name, 20), &base), "%s", log_name);
    snprintf(name, sizeof name, "%.20s.index", log_name);
    const size_t size = slurp(r, folder, name, &index);
    CHECK(size % 8 == 0, "%s/%s has %zu bytes", folder, name, size);
    for (size_t at = 0; at < size; at += 8) {
        const uint32_t position = weir_read_be32(index + at + 4);
        wire_batch batch;
        CHECK(position + WIRE_BATCH_HEADER_BYTES <= log.size, "%s/%s points behind the end", folder, name);
        CHECK(!weir_failed(wire_batch_parse(weir_bytes_of(log.data + position, log.size - position), &batch)) &&
                  wire_batch_last_offset(&batch) == base + weir_read_be32(index + at),
              "%s/%s entry %zu", folder, name, at / 8);
    }
    weir_free(&test_account, index);
    snprintf(name, sizeof name, "%.20s.timeindex", log_name);
    const size_t time_size = slurp(r, folder, name, &index);
    CHECK(time_size % 12 == 0, "%s/%s has %zu bytes", folder, name, time_size);
    for (size_t at = 12; at < time_size; at += 12)
        CHECK((int64_t)weir_read_be64(index + at) > (int64_t)weir_read_be64(index + at - 12) &&
                  weir_read_be32(index + at + 8) > weir_read_be32(index + at - 4),
              "%s/%s entry %zu", folder, name, at / 12);
    weir_free(&test_account, index);
}

static void check_folder(run *r, const slot *s, const char *folder) {
    names n = {.count = 0};
    char path[64];
    snprintf(path, sizeof path, "data/%s", folder);
    const weir_status listed = io_list(r->world->files, path, note_name, &n);
    if (s->settled_count == 0) {
        CHECK(listed.code == WEIR_NOT_FOUND || n.count == 0, "%s has %zu files but no records", folder, n.count);
        return;
    }
    CHECK(!weir_failed(listed), "%s", listed.text);
    qsort(n.names, n.count, sizeof n.names[0], compare_names);
    size_t at = 0;
    for (size_t i = 0; i < n.count; i++) {
        uint8_t *bytes;
        if (strcmp(n.names[i] + 20, ".log") != 0) continue;
        const size_t size = slurp(r, folder, n.names[i], &bytes);
        for (size_t position = 0; position < size; position += s->settled[at++]->size)
            CHECK(at < s->settled_count && s->settled[at]->size <= size - position &&
                      memcmp(s->settled[at]->bytes, bytes + position, s->settled[at]->size) == 0,
                  "%s/%s at byte %zu is not what was answered", folder, n.names[i], position);
        check_indexes(r, folder, n.names[i], weir_bytes_of(bytes, size));
        weir_free(&test_account, bytes);
    }
    CHECK(at == s->settled_count, "%s ends after %zu of %zu batches", folder, at, s->settled_count);
}

static void check_files(run *r) {
    for (int i = 0; i < SLOTS; i++) {
        char folder[16];
        snprintf(folder, sizeof folder, "t%d-%d", i, i);
        if (r->slots[i].exists) check_folder(r, &r->slots[i], folder);
    }
}

/* ---- one seed ---------------------------------------------------------------------------------------------------- */

static void draw_trouble(run *r) {
    const uint64_t now = io_sim_disk_operations(r->sim);
    r->injected = false;
    switch (draw(r, 8)) {
    case 0: break;
    case 1: io_sim_fail_operation(r->sim, 1 + draw(r, 150)); r->injected = true; break;
    case 2: io_sim_fail_sync(r->sim, 1 + draw(r, 60)); r->injected = true; break;
    case 3: io_sim_set_free_bytes(r->sim, draw(r, 150000)); r->injected = true; break;
    default: io_sim_crash_at(r->sim, now + 1 + draw(r, 400)); break;
    }
}

static bool flip_something(run *r) {
    char path[64];
    names n = {.count = 0};
    if (chance(r, 3)) {
        snprintf(path, sizeof path, "data/journal-%d", (int)draw(r, 2));
    } else if (chance(r, 4)) {
        snprintf(path, sizeof path, "data/checkpoint");
    } else {
        const int number = (int)draw(r, SLOTS);
        snprintf(path, sizeof path, "data/t%d-%d", number, number);
        if (weir_failed(io_list(r->world->files, path, note_name, &n)) || n.count == 0) return false;
        snprintf(path, sizeof path, "data/t%d-%d/%s", number, number, n.names[draw(r, n.count)]);
    }
    r->flipped = io_sim_flip_bits(r->sim, path, 0, UINT64_MAX, 1 + (unsigned)draw(r, 3));
    r->flipped_journal = r->flipped && strstr(path, "journal");
    return r->flipped;
}

/* A lost round is the last one, and lost whole. Everything it does not explain is broken in compare() already. */
static void one_lifetime(run *r, bool *clean) {
    const bool early = chance(r, 4); /* dies while it starts */
    if (early) io_sim_crash_at(r->sim, io_sim_disk_operations(r->sim) + 1 + draw(r, 60));
    const bool was_clean = *clean;
    *clean = false;
    r->store = NULL;
    if (start(r, was_clean)) {
        if (!early) draw_trouble(r);
        for (int i = 0; i < SLOTS; i++)
            if (!r->slots[i].exists && chance(r, 2)) make_topic(r, i);
        for (uint64_t actions = 20 + draw(r, 300); actions > 0 && !io_sim_is_crashed(r->sim); actions--) act(r);
    }
    if (r->store) *clean = stop(r, chance(r, 2));
    if (*clean) check_files(r);
    r->injected = false;
    io_sim_set_free_bytes(r->sim, UINT64_MAX);
    static const io_sim_death deaths[] = {IO_SIM_KILL, IO_SIM_POWER_CUT, IO_SIM_POWER_CUT, IO_SIM_DRY_CUT};
    io_sim_restart(r->sim, deaths[draw(r, 4)]);
}

static void free_groups(model_group *group) {
    while (group) {
        model_group *next = group->next;
        for (size_t i = 0; i < GROUP_BATCHES_MAX; i++) weir_free(&test_account, group->model[i].bytes);
        weir_free(&test_account, group);
        group = next;
    }
}

static void run_seed(uint64_t seed) {
    running_seed = seed;
    run r = {.sim = io_sim_create(seed), .epoch = -1};
    r.world = io_sim_world(r.sim);
    r.lane = io_lane_create(r.world->executor, IO_LANE_LOOP, "main");
    bool clean = false;
    for (uint64_t lifetimes = 2 + draw(&r, 6); lifetimes > 0; lifetimes--) one_lifetime(&r, &clean);
    io_sim_crash_at(r.sim, 0);
    if (chance(&r, 2)) flip_something(&r);
    r.store = NULL;
    if (start(&r, clean) || r.store) stop(&r, false);
    io_lane_destroy(r.world->executor, r.lane);
    io_sim_destroy(r.sim);
    free_groups(r.groups);
    free_groups(r.all_groups);
    for (int i = 0; i < SLOTS; i++) weir_free(&test_account, r.slots[i].settled);
}

#if defined(LOG_MUTANT_NO_SYNC) || defined(LOG_MUTANT_NO_TRUNCATE)

/* Each seed in a process of its own: a mutant may also break an assertion. */
int main(void) {
    weir_account_init(&test_account, "log.test", 0);
    weir_trace_set_level(WEIR_ERROR);
    for (uint64_t seed = 1; seed <= MUTANT_SEEDS; seed++) {
        fflush(stdout);
        const pid_t child = fork();
        if (child == 0) {
            run_seed(seed);
            _exit(0);
        }
        int status;
        if (child < 0 || waitpid(child, &status, 0) != child) return 1;
        if (status == 0) continue;
        printf("the mutant is caught by seed %" PRIu64 "\n", seed);
        return 0;
    }
    printf("the mutant lives through %d seeds: the simulation proves nothing\n", MUTANT_SEEDS);
    return 1;
}

#else

static uint64_t number_from(const char *name, uint64_t otherwise) {
    int64_t value;
    const char *text = getenv(name);
    return text && weir_parse_i64(weir_bytes_text(text), &value) && value >= 0 ? (uint64_t)value : otherwise;
}

int main(void) {
    weir_account_init(&test_account, "log.test", 0);
    weir_trace_set_level(WEIR_ERROR);
    const uint64_t one = number_from("WEIR_SIM_SEED", 0);
    const uint64_t count = number_from("WEIR_SIM_SEEDS", SEEDS);
    if (one) weir_trace_set_level(WEIR_DEBUG);
    for (uint64_t seed = one ? one : 1; seed <= (one ? one : count); seed++) run_seed(seed);
    printf("%" PRIu64 " seeds\n", one ? 1 : count);
    return 0;
}

#endif
