#include "state/state_int.h"

void state_table_init(state_table *table, weir_account *account, uint32_t state_bytes) {
    *table = (state_table){.account = account, .state_bytes = state_bytes};
}

void state_table_deinit(state_table *table) {
    for (uint32_t i = 0; i < table->chunk_count; i++) weir_free(table->account, table->chunks[i]);
    weir_free(table->account, table->chunks);
    weir_free(table->account, table->slots);
    *table = (state_table){.account = table->account, .state_bytes = table->state_bytes};
}

static bool is_entry_of(const state_table *table, const state_entry *entry, weir_bytes key, int64_t window_start) {
    return entry->key_bytes == key.size && entry->window_start == window_start &&
           (key.size == 0 || memcmp(state_table_key(table, entry), key.data, key.size) == 0);
}

state_entry *state_table_find(const state_table *table, weir_bytes key, int64_t window_start, uint64_t hash) {
    if (!table->capacity) return NULL;
    const uint64_t mask = table->capacity - 1;
    for (uint64_t at = hash & mask; table->slots[at].entry; at = (at + 1) & mask) {
        if (table->slots[at].hash == hash && is_entry_of(table, table->slots[at].entry, key, window_start))
            return table->slots[at].entry;
    }
    return NULL;
}

bool state_table_reserve(state_table *table, uint64_t more) {
    const uint64_t needed = table->count + more;
    uint64_t capacity = table->capacity ? table->capacity : STATE_SLOTS_MIN;
    while (needed > capacity - capacity / 4) capacity *= 2;
    if (capacity == table->capacity) return true;
    state_slot *slots = weir_try_alloc(table->account, capacity * sizeof *slots);
    if (!slots) return false;
    for (uint64_t i = 0; i < table->capacity; i++) {
        if (!table->slots[i].entry) continue;
        uint64_t at = table->slots[i].hash & (capacity - 1);
        while (slots[at].entry) at = (at + 1) & (capacity - 1);
        slots[at] = table->slots[i];
    }
    weir_free(table->account, table->slots);
    table->bytes += (capacity - table->capacity) * sizeof *slots;
    table->slots = slots;
    table->capacity = capacity;
    return true;
}

static bool add_chunk(state_table *table, uint32_t units) {
    if (table->chunk_count == table->chunk_room) {
        const uint32_t room = table->chunk_room ? table->chunk_room * 2 : 8;
        state_chunk **chunks = weir_try_alloc(table->account, room * sizeof *chunks);
        if (!chunks) return false;
        if (table->chunk_count) memcpy(chunks, table->chunks, table->chunk_count * sizeof *chunks);
        weir_free(table->account, table->chunks);
        table->chunks = chunks;
        table->chunk_room = room;
    }
    /* Chunks double with the table, so that thousands of small segments stay small. */
    size_t bytes = STATE_CHUNK_BYTES_MIN;
    while (bytes < STATE_CHUNK_BYTES_MAX && bytes < table->bytes) bytes *= 2;
    if (bytes < (size_t)units * STATE_UNIT_BYTES) bytes = (size_t)units * STATE_UNIT_BYTES;
    state_chunk *chunk = weir_try_alloc_raw(table->account, sizeof *chunk + bytes);
    if (!chunk) return false;
    *chunk = (state_chunk){.total_units = (uint32_t)(bytes / STATE_UNIT_BYTES)};
    table->chunks[table->chunk_count++] = chunk;
    table->bytes += bytes;
    return true;
}

/* The free list links through window_start. */
static state_entry *next_free(const state_entry *entry) { return (state_entry *)(uintptr_t)entry->window_start; }

static state_entry *take_free(state_table *table, uint32_t units) {
    state_entry **link = &table->free[units <= STATE_CLASSES ? units : 0];
    /* In a list of one size the first fits; among the large ones the first that does not waste half of itself. */
    for (; *link; link = (state_entry **)(void *)&(*link)->window_start) {
        if ((*link)->units < units || (*link)->units / 2 > units) continue;
        state_entry *entry = *link;
        *link = next_free(entry);
        return entry;
    }
    return NULL;
}

static state_entry *take_entry(state_table *table, uint32_t units) {
    state_entry *entry = take_free(table, units);
    if (entry) return entry;
    state_chunk *last = table->chunk_count ? table->chunks[table->chunk_count - 1] : NULL;
    if (!last || last->total_units - last->used_units < units) {
        if (!add_chunk(table, units)) return NULL;
        last = table->chunks[table->chunk_count - 1];
    }
    entry = (state_entry *)(void *)(last->memory + (size_t)last->used_units * STATE_UNIT_BYTES);
    entry->units = units;
    last->used_units += units;
    return entry;
}

state_entry *state_table_insert(state_table *table, weir_bytes key, int64_t window_start, uint64_t hash, bool *is_new) {
    weir_assert(table->capacity && table->count < table->capacity);
    const uint64_t mask = table->capacity - 1;
    uint64_t at = hash & mask;
    *is_new = false;
    for (; table->slots[at].entry; at = (at + 1) & mask) {
        if (table->slots[at].hash == hash && is_entry_of(table, table->slots[at].entry, key, window_start))
            return table->slots[at].entry;
    }
    const size_t bytes = sizeof(state_entry) + table->state_bytes + key.size;
    state_entry *entry = take_entry(table, (uint32_t)((bytes + STATE_UNIT_BYTES - 1) / STATE_UNIT_BYTES));
    if (!entry) return NULL;
    entry->key_bytes = (uint32_t)key.size;
    entry->change = 0;
    entry->window_start = window_start;
    entry->timestamp_ms = INT64_MIN;
    entry->present = false;
    memset(entry->state, 0, table->state_bytes);
    if (key.size) memcpy(state_table_key(table, entry), key.data, key.size);
    table->slots[at] = (state_slot){hash, entry};
    table->count++;
    *is_new = true;
    return entry;
}

void state_table_remove(state_table *table, state_entry *entry, uint64_t hash) {
    const uint64_t mask = table->capacity - 1;
    uint64_t hole = hash & mask;
    while (table->slots[hole].entry != entry) {
        weir_assert(table->slots[hole].entry);
        hole = (hole + 1) & mask;
    }
    /* Whoever follows in the run and may lie in the hole moves into it, so that no search ends early. */
    for (uint64_t at = (hole + 1) & mask; table->slots[at].entry; at = (at + 1) & mask) {
        const uint64_t home = table->slots[at].hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue;
        table->slots[hole] = table->slots[at];
        hole = at;
    }
    table->slots[hole] = (state_slot){0};
    table->count--;
    state_entry **list = &table->free[entry->units <= STATE_CLASSES ? entry->units : 0];
    entry->key_bytes = STATE_ENTRY_FREE;
    entry->window_start = (int64_t)(uintptr_t)*list;
    *list = entry;
}
