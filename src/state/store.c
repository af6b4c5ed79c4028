#include "state/state_int.h"

#include <stdlib.h>

enum { SEGMENT_MS_MIN = 60000 }; /* Kafka Streams' shortest segment */

typedef struct segment {
    int64_t id; /* window start / segment_ms, rounded down */
    state_table table;
} segment;

typedef struct change { /* what readers see until the commit */
    state_entry *entry;
    int64_t old_timestamp_ms;
    bool old_present;
    _Alignas(16) uint8_t old_state[];
} change;

struct state_store {
    weir_account *account;
    state_options options;
    int64_t segment_ms;
    segment **segments; /* ascending id */
    uint32_t segment_count, segment_room;
    segment *last; /* the one used last, or NULL */
    uint8_t *changes;
    uint32_t change_count, change_room;
    size_t change_stride;
    size_t changed_key_bytes;
    int64_t timestamp_max;
};

/* ---- segments ---------------------------------------------------------------------------------------------------- */

static int64_t divide_down(int64_t value, int64_t by) {
    const int64_t quotient = value / by;
    return quotient - (value % by < 0);
}

static int64_t segment_id(const state_store *store, int64_t window_start) {
    return store->options.windowed ? divide_down(window_start, store->segment_ms) : 0;
}

/* The place of the first segment whose id is not below `id`. */
static uint32_t segment_place(const state_store *store, int64_t id) {
    uint32_t low = 0, high = store->segment_count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (store->segments[middle]->id < id) low = middle + 1;
        else high = middle;
    }
    return low;
}

static segment *segment_find(const state_store *store, int64_t window_start) {
    const int64_t id = segment_id(store, window_start);
    if (store->last && store->last->id == id) return store->last;
    const uint32_t place = segment_place(store, id);
    return place < store->segment_count && store->segments[place]->id == id ? store->segments[place] : NULL;
}

static segment *segment_make(state_store *store, int64_t window_start) {
    segment *found = segment_find(store, window_start);
    if (found) return store->last = found;
    if (store->segment_count == store->segment_room) {
        const uint32_t room = store->segment_room ? store->segment_room * 2 : 8;
        segment **segments = weir_try_alloc(store->account, room * sizeof *segments);
        if (!segments) return NULL;
        if (store->segment_count) memcpy(segments, store->segments, store->segment_count * sizeof *segments);
        weir_free(store->account, store->segments);
        store->segments = segments;
        store->segment_room = room;
    }
    segment *made = weir_try_alloc(store->account, sizeof *made);
    if (!made) return NULL;
    made->id = segment_id(store, window_start);
    state_table_init(&made->table, store->account, store->options.state_bytes);
    const uint32_t place = segment_place(store, made->id);
    memmove(&store->segments[place + 1], &store->segments[place], (store->segment_count - place) * sizeof made);
    store->segments[place] = made;
    store->segment_count++;
    return store->last = made;
}

static void segment_free(state_store *store, segment *dropped) {
    state_table_deinit(&dropped->table);
    weir_free(store->account, dropped);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

weir_status state_create(weir_account *account, const state_options *options, state_store **store) {
    weir_assert(options->state_bytes <= STATE_BYTES_MAX);
    state_store *made = weir_try_alloc(account, sizeof *made);
    if (!made) return weir_fail(WEIR_NO_MEMORY, "no memory for a state store in account %s", account->name);
    made->account = account;
    made->options = *options;
    /* Aligned so that the key after the state costs no more than it must, and old states stay aligned. */
    made->change_stride = (sizeof(change) + options->state_bytes + 15) / 16 * 16;
    made->segment_ms = options->retention_ms / 2 > SEGMENT_MS_MIN ? options->retention_ms / 2 : SEGMENT_MS_MIN;
    made->timestamp_max = INT64_MIN;
    *store = made;
    return weir_ok();
}

void state_clear(state_store *store) {
    for (uint32_t i = 0; i < store->segment_count; i++) segment_free(store, store->segments[i]);
    store->segment_count = 0;
    store->last = NULL;
    store->change_count = 0;
    store->changed_key_bytes = 0;
    store->timestamp_max = INT64_MIN;
}

void state_destroy(state_store *store) {
    if (!store) return;
    state_clear(store);
    weir_free(store->account, store->segments);
    weir_free(store->account, store->changes);
    weir_free(store->account, store);
}

weir_bytes state_entry_key(const state_store *store, const state_entry *entry) {
    return (weir_bytes){entry->state + store->options.state_bytes, entry->key_bytes};
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

static change *change_of(const state_store *store, uint32_t at) {
    return (change *)(void *)(store->changes + at * store->change_stride);
}

static bool reserve_changes(state_store *store, uint32_t more) {
    const uint64_t needed = (uint64_t)store->change_count + more;
    if (needed <= store->change_room) return true;
    uint64_t room = store->change_room ? store->change_room : 64;
    while (room < needed) room *= 2;
    if (room > UINT32_MAX) return false;
    uint8_t *changes = weir_try_alloc_raw(store->account, room * store->change_stride);
    if (!changes) return false;
    if (store->change_count) memcpy(changes, store->changes, store->change_count * store->change_stride);
    weir_free(store->account, store->changes);
    store->changes = changes;
    store->change_room = (uint32_t)room;
    return true;
}

/* Keeps the committed value; room is reserved. */
static void mark_changed(state_store *store, state_entry *entry) {
    if (entry->change) return;
    change *made = change_of(store, store->change_count++);
    made->entry = entry;
    made->old_present = entry->present;
    made->old_timestamp_ms = entry->timestamp_ms;
    memcpy(made->old_state, entry->state, store->options.state_bytes);
    entry->change = store->change_count;
    store->changed_key_bytes += entry->key_bytes;
}

static weir_status no_memory(const state_store *store) {
    return weir_fail(WEIR_NO_MEMORY,
                     "state of %llu entries has used up the memory of %s (%zu bytes); raise --memory or "
                     "shorten the window's retention",
                     (unsigned long long)state_entry_count(store), store->account->name,
                     atomic_load_explicit(&store->account->used_bytes, memory_order_relaxed));
}

/* One block of keys: the cache lines of all slots, then of all entries, are on their way before the first is used. */
static bool upsert_block(state_store *store, const weir_bytes *keys, const uint64_t *hashes,
                         const int64_t *window_starts, uint32_t count, state_entry **entries) {
    segment *segments[STATE_PROBE_ROWS];
    uint64_t full_hashes[STATE_PROBE_ROWS];
    for (uint32_t i = 0; i < count; i++) {
        segments[i] = segment_make(store, window_starts[i]);
        if (!segments[i] || !state_table_reserve(&segments[i]->table, count)) return false;
        full_hashes[i] = state_table_hash(hashes[i], window_starts[i]);
        state_table_prefetch(&segments[i]->table, full_hashes[i]);
    }
    for (uint32_t i = 0; i < count; i++) state_table_prefetch_entry(&segments[i]->table, full_hashes[i]);
    for (uint32_t i = 0; i < count; i++) {
        bool is_new;
        state_entry *entry =
            state_table_insert(&segments[i]->table, keys[i], window_starts[i], full_hashes[i], &is_new);
        if (!entry) return false;
        mark_changed(store, entry);
        if (!entry->present) { /* new, or deleted since the commit: begins empty */
            memset(entry->state, 0, store->options.state_bytes);
            entry->timestamp_ms = INT64_MIN;
            entry->present = true;
        }
        entries[i] = entry;
    }
    return true;
}

weir_status state_upsert(state_store *store, const weir_bytes *keys, const uint64_t *hashes,
                         const int64_t *window_starts, uint32_t count, state_entry **entries) {
    if (!reserve_changes(store, count)) return no_memory(store);
    for (uint32_t at = 0; at < count; at += STATE_PROBE_ROWS) {
        const uint32_t block = count - at < STATE_PROBE_ROWS ? count - at : STATE_PROBE_ROWS;
        if (!upsert_block(store, keys + at, hashes + at, window_starts + at, block, entries + at))
            return no_memory(store);
    }
    return weir_ok();
}

state_entry *state_find(const state_store *store, weir_bytes key, int64_t window_start) {
    const segment *in = segment_find(store, window_start);
    if (!in) return NULL;
    state_entry *entry = state_table_find(&in->table, key, window_start,
                                          state_table_hash(state_hash(key), window_start));
    return entry && entry->present ? entry : NULL;
}

weir_status state_delete(state_store *store, state_entry *entry) {
    if (!reserve_changes(store, 1)) return no_memory(store);
    mark_changed(store, entry);
    entry->present = false;
    return weir_ok();
}

/* ---- committing -------------------------------------------------------------------------------------------------- */

uint32_t state_change_count(const state_store *store) { return store->change_count; }

state_change state_change_at(const state_store *store, uint32_t at) {
    weir_assert(at < store->change_count);
    const change *made = change_of(store, at);
    return (state_change){made->entry, made->old_present, made->old_timestamp_ms, made->old_state};
}

size_t state_change_bytes(const state_store *store) {
    const size_t fixed = STATE_RECORD_HEADER_BYTES + store->options.state_bytes + (store->options.windowed ? 8 : 0);
    return store->changed_key_bytes + store->change_count * fixed;
}

void state_record_key(const state_store *store, const state_entry *entry, weir_buffer *target) {
    const weir_bytes key = state_entry_key(store, entry);
    weir_buffer_append(target, key.data, key.size);
    if (!store->options.windowed) return;
    uint8_t start[8];
    weir_write_be64(start, (uint64_t)entry->window_start);
    weir_buffer_append(target, start, sizeof start);
}

void state_record_value(const state_store *store, const state_entry *entry, weir_buffer *target) {
    weir_assert(entry->present);
    uint8_t header[STATE_RECORD_HEADER_BYTES] = {STATE_RECORD_VERSION, 0};
    const uint16_t state_bytes = (uint16_t)store->options.state_bytes;
    memcpy(header + 2, &state_bytes, 2);
    memcpy(header + 4, &entry->timestamp_ms, 8);
    weir_buffer_append(target, header, sizeof header);
    weir_buffer_append(target, entry->state, store->options.state_bytes);
}

static void remove_entry(state_store *store, state_entry *entry) {
    const uint64_t hash = state_table_hash(state_hash(state_entry_key(store, entry)), entry->window_start);
    state_table_remove(&segment_find(store, entry->window_start)->table, entry, hash);
}

void state_commit(state_store *store) {
    for (uint32_t i = 0; i < store->change_count; i++) {
        state_entry *entry = change_of(store, i)->entry;
        entry->change = 0;
        if (!entry->present) remove_entry(store, entry);
        else if (entry->timestamp_ms > store->timestamp_max) store->timestamp_max = entry->timestamp_ms;
    }
    store->change_count = 0;
    store->changed_key_bytes = 0;
}

void state_rollback(state_store *store) {
    for (uint32_t i = 0; i < store->change_count; i++) {
        const change *made = change_of(store, i);
        state_entry *entry = made->entry;
        entry->change = 0;
        if (!made->old_present) {
            remove_entry(store, entry);
            continue;
        }
        entry->present = true;
        entry->timestamp_ms = made->old_timestamp_ms;
        memcpy(entry->state, made->old_state, store->options.state_bytes);
    }
    store->change_count = 0;
    store->changed_key_bytes = 0;
}

uint64_t state_expire(state_store *store, int64_t stream_time_ms) {
    weir_assert(store->change_count == 0);
    if (!store->options.windowed || stream_time_ms < INT64_MIN + store->options.retention_ms) return 0;
    const uint32_t live = segment_place(store, segment_id(store, stream_time_ms - store->options.retention_ms));
    if (!live) return 0;
    uint64_t dropped = 0;
    for (uint32_t i = 0; i < live; i++) {
        dropped += store->segments[i]->table.count;
        segment_free(store, store->segments[i]);
    }
    store->segment_count -= live;
    memmove(store->segments, store->segments + live, store->segment_count * sizeof *store->segments);
    store->last = NULL;
    return dropped;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

weir_account *state_account(const state_store *store) { return store->account; }

uint64_t state_entry_count(const state_store *store) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < store->segment_count; i++) count += store->segments[i]->table.count;
    return count;
}

size_t state_bytes_used(const state_store *store) {
    size_t bytes = sizeof *store + store->change_room * store->change_stride;
    for (uint32_t i = 0; i < store->segment_count; i++) bytes += sizeof(segment) + store->segments[i]->table.bytes;
    return bytes;
}

int64_t state_timestamp_max(const state_store *store) { return store->timestamp_max; }

/* The committed value of an entry; false when there is none. */
static bool committed_row(const state_store *store, const state_entry *entry, state_row *row) {
    *row = (state_row){state_entry_key(store, entry), entry->window_start, entry->timestamp_ms, entry->state};
    if (!entry->change) return true;
    const change *made = change_of(store, entry->change - 1);
    row->timestamp_ms = made->old_timestamp_ms;
    row->state = made->old_state;
    return made->old_present;
}

static state_entry *find_any(const state_store *store, weir_bytes key, int64_t window_start, uint64_t key_hash) {
    const segment *in = segment_find(store, window_start);
    return in ? state_table_find(&in->table, key, window_start, state_table_hash(key_hash, window_start)) : NULL;
}

const uint8_t *state_find_committed(const state_store *store, weir_bytes key, int64_t window_start,
                                    int64_t *timestamp_ms) {
    const state_entry *entry = find_any(store, key, window_start, state_hash(key));
    state_row row;
    if (!entry || !committed_row(store, entry, &row)) return NULL;
    *timestamp_ms = row.timestamp_ms;
    return row.state;
}

struct state_view {
    weir_account *account;
    state_row *rows;
    uint8_t *bytes; /* states and keys of the rows */
    uint32_t count;
};

/* What a view collects: visited twice, first to measure, then to copy. */
typedef struct collector {
    state_view *view; /* NULL while measuring */
    uint64_t rows;
    size_t bytes;
} collector;

static void collect(const state_store *store, const state_entry *entry, collector *into) {
    state_row row;
    if (!committed_row(store, entry, &row)) return;
    const size_t state_bytes = store->options.state_bytes;
    if (into->view) {
        uint8_t *at = into->view->bytes + into->bytes;
        if (state_bytes) memcpy(at, row.state, state_bytes);
        if (row.key.size) memcpy(at + state_bytes, row.key.data, row.key.size);
        row.state = at;
        row.key.data = at + state_bytes;
        into->view->rows[into->rows] = row;
    }
    into->rows++;
    into->bytes += (state_bytes + row.key.size + 15) / 16 * 16;
}

static const state_entry *entry_in(const state_chunk *chunk, uint32_t at) {
    return (const state_entry *)(const void *)(chunk->memory + (size_t)at * STATE_UNIT_BYTES);
}

static void collect_segment(const state_store *store, const segment *in, int64_t start_min, int64_t start_max,
                            weir_bytes key, collector *into) {
    for (uint32_t c = 0; c < in->table.chunk_count; c++) {
        const state_chunk *chunk = in->table.chunks[c];
        for (uint32_t at = 0; at < chunk->used_units; at += entry_in(chunk, at)->units) {
            const state_entry *entry = entry_in(chunk, at);
            if (entry->key_bytes == STATE_ENTRY_FREE || entry->window_start < start_min ||
                entry->window_start > start_max)
                continue;
            if (key.data && !weir_bytes_equal(key, state_entry_key(store, entry))) continue;
            collect(store, entry, into);
        }
    }
}

/* The windows of one key are looked up one by one while that is cheaper than looking at every entry. */
static void collect_key(const state_store *store, const segment *in, int64_t start_min, int64_t start_max,
                        weir_bytes key, collector *into) {
    const int64_t advance = store->options.advance_ms;
    if (!store->options.windowed) start_min = start_max = STATE_NOT_WINDOWED;
    if (store->options.windowed) {
        const int64_t from = in->id * store->segment_ms, last = from + store->segment_ms - 1;
        if (start_min < from) start_min = from;
        if (start_max > last) start_max = last;
        if (start_min > start_max) return;
        if (advance <= 0 || (uint64_t)((start_max - start_min) / advance) > in->table.count) {
            collect_segment(store, in, start_min, start_max, key, into);
            return;
        }
        const int64_t aligned = divide_down(start_min, advance) * advance;
        start_min = aligned < start_min ? aligned + advance : aligned;
    }
    const uint64_t key_hash = state_hash(key);
    const int64_t step = store->options.windowed ? advance : 1;
    for (int64_t start = start_min; start <= start_max; start += step) {
        const state_entry *entry = state_table_find(&in->table, key, start, state_table_hash(key_hash, start));
        if (entry) collect(store, entry, into);
    }
}

static void collect_all(const state_store *store, weir_bytes key, int64_t start_min, int64_t start_max,
                        collector *into) {
    for (uint32_t i = 0; i < store->segment_count; i++) {
        if (key.data) collect_key(store, store->segments[i], start_min, start_max, key, into);
        else collect_segment(store, store->segments[i], start_min, start_max, key, into);
    }
}

static int compare_rows(const void *a, const void *b) {
    const state_row *left = a, *right = b;
    const int order = weir_bytes_compare(left->key, right->key);
    if (order) return order;
    return (left->window_start > right->window_start) - (left->window_start < right->window_start);
}

weir_status state_view_create(const state_store *store, weir_bytes key, int64_t window_start_min,
                              int64_t window_start_max, state_view **view) {
    collector measured = {0};
    if (!store->options.windowed) window_start_min = INT64_MIN, window_start_max = INT64_MAX;
    collect_all(store, key, window_start_min, window_start_max, &measured);
    state_view *made = weir_try_alloc(store->account, sizeof *made);
    if (!made) return no_memory(store);
    made->account = store->account;
    made->rows = weir_try_alloc_raw(store->account, measured.rows * sizeof *made->rows);
    made->bytes = weir_try_alloc_raw(store->account, measured.bytes);
    if (!made->rows || !made->bytes || measured.rows > UINT32_MAX) {
        state_view_destroy(made);
        return weir_fail(WEIR_NO_MEMORY,
                         "reading %llu rows of state needs %zu bytes more than %s may use; ask for fewer keys",
                         (unsigned long long)measured.rows, measured.bytes, store->account->name);
    }
    collector copied = {.view = made};
    collect_all(store, key, window_start_min, window_start_max, &copied);
    weir_assert(copied.rows == measured.rows && copied.bytes == measured.bytes);
    made->count = (uint32_t)copied.rows;
    if (made->count > 1) qsort(made->rows, made->count, sizeof *made->rows, compare_rows);
    *view = made;
    return weir_ok();
}

uint32_t state_view_count(const state_view *view) { return view->count; }
state_row state_view_row(const state_view *view, uint32_t at) { return view->rows[at]; }

void state_view_destroy(state_view *view) {
    if (!view) return;
    weir_free(view->account, view->rows);
    weir_free(view->account, view->bytes);
    weir_free(view->account, view);
}

/* ---- restoring --------------------------------------------------------------------------------------------------- */

/* Sets or removes a committed value. */
static weir_status restore(state_store *store, const state_row *row, bool present) {
    weir_assert(store->change_count == 0);
    segment *in = segment_make(store, row->window_start);
    if (!in || !state_table_reserve(&in->table, 1)) return no_memory(store);
    const uint64_t hash = state_table_hash(state_hash(row->key), row->window_start);
    if (!present) {
        state_entry *entry = state_table_find(&in->table, row->key, row->window_start, hash);
        if (entry) state_table_remove(&in->table, entry, hash);
        return weir_ok();
    }
    bool is_new;
    state_entry *entry = state_table_insert(&in->table, row->key, row->window_start, hash, &is_new);
    if (!entry) return no_memory(store);
    entry->present = true;
    entry->timestamp_ms = row->timestamp_ms;
    memcpy(entry->state, row->state, store->options.state_bytes);
    if (row->timestamp_ms > store->timestamp_max) store->timestamp_max = row->timestamp_ms;
    return weir_ok();
}

weir_status state_restore_record(state_store *store, weir_bytes key, weir_bytes value) {
    state_row row = {.key = key, .window_start = STATE_NOT_WINDOWED};
    if (store->options.windowed) {
        if (key.size < 8) return weir_fail(WEIR_CORRUPT, "a changelog key of %zu bytes has no window start", key.size);
        row.key.size = key.size - 8;
        row.window_start = (int64_t)weir_read_be64(key.data + row.key.size);
    }
    if (row.key.size > STATE_KEY_BYTES_MAX)
        return weir_fail(WEIR_CORRUPT, "a changelog key of %zu bytes, allowed %d", row.key.size, STATE_KEY_BYTES_MAX);
    if (!value.data) return restore(store, &row, false);
    uint16_t state_bytes = 0;
    if (value.size >= STATE_RECORD_HEADER_BYTES) memcpy(&state_bytes, value.data + 2, 2);
    if (value.size != (size_t)STATE_RECORD_HEADER_BYTES + store->options.state_bytes ||
        value.data[0] != STATE_RECORD_VERSION || state_bytes != store->options.state_bytes)
        return weir_fail(WEIR_CORRUPT, "a changelog value of %zu bytes, version %u, is not a state of %u bytes",
                         value.size, value.size ? value.data[0] : 0u, store->options.state_bytes);
    memcpy(&row.timestamp_ms, value.data + 4, 8);
    row.state = value.data + STATE_RECORD_HEADER_BYTES;
    return restore(store, &row, true);
}

/* ---- snapshot form ----------------------------------------------------------------------------------------------- */

enum { ROW_HEADER_BYTES = 4 + 8 + 8 };

static bool export_row(const state_store *store, const state_row *row, uint8_t *target, size_t capacity, size_t *used) {
    const size_t bytes = ROW_HEADER_BYTES + store->options.state_bytes + row->key.size;
    if (capacity - *used < bytes) return false;
    uint8_t *at = target + *used;
    const uint32_t key_bytes = (uint32_t)row->key.size;
    memcpy(at, &key_bytes, 4);
    memcpy(at + 4, &row->window_start, 8);
    memcpy(at + 12, &row->timestamp_ms, 8);
    memcpy(at + ROW_HEADER_BYTES, row->state, store->options.state_bytes);
    memcpy(at + ROW_HEADER_BYTES + store->options.state_bytes, row->key.data, row->key.size);
    *used += bytes;
    return true;
}

void state_export(const state_store *store, state_cursor *cursor, uint8_t *target, size_t capacity, size_t *used,
                  uint32_t *entries) {
    weir_assert(capacity >= STATE_EXPORT_BYTES_MIN);
    *used = 0;
    *entries = 0;
    for (uint32_t s = cursor->begun ? segment_place(store, cursor->segment) : 0; s < store->segment_count; s++) {
        const segment *in = store->segments[s];
        if (!cursor->begun || cursor->segment != in->id) *cursor = (state_cursor){.segment = in->id, .begun = true};
        for (; cursor->chunk < in->table.chunk_count; cursor->chunk++, cursor->at = 0) {
            const state_chunk *chunk = in->table.chunks[cursor->chunk];
            while (cursor->at < chunk->used_units) {
                const state_entry *entry = entry_in(chunk, cursor->at);
                state_row row;
                if (entry->key_bytes != STATE_ENTRY_FREE && committed_row(store, entry, &row)) {
                    if (!export_row(store, &row, target, capacity, used)) return;
                    ++*entries;
                }
                cursor->at += entry->units;
            }
        }
    }
}

weir_status state_import(state_store *store, weir_bytes payload, uint64_t *entries) {
    const size_t fixed = ROW_HEADER_BYTES + store->options.state_bytes;
    for (size_t at = 0; at < payload.size; ++*entries) {
        uint32_t key_bytes = 0;
        if (payload.size - at >= fixed) memcpy(&key_bytes, payload.data + at, 4);
        if (payload.size - at < fixed || payload.size - at - fixed < key_bytes || key_bytes > STATE_KEY_BYTES_MAX)
            return weir_fail(WEIR_CORRUPT, "an entry of a snapshot is cut short");
        state_row row = {.key = {payload.data + at + fixed, key_bytes}, .state = payload.data + at + ROW_HEADER_BYTES};
        memcpy(&row.window_start, payload.data + at + 4, 8);
        memcpy(&row.timestamp_ms, payload.data + at + 12, 8);
        WEIR_TRY(restore(store, &row, true));
        at += fixed + key_bytes;
    }
    return weir_ok();
}
