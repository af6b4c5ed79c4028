/* state_int - one hash table of entries, the part of a store that a segment is. Private to state/.
 *
 * Entries lie in chunks, in units of 16 bytes, one after another, so that a chunk can be walked; a freed entry stays in
 * its chunk and in the free list of its size. Slots hold hash and pointer; probing is linear, deletion shifts back. */
#ifndef WEIR_STATE_STATE_INT_H
#define WEIR_STATE_STATE_INT_H

#include "state/state.h"

enum {
    STATE_UNIT_BYTES = 16,
    STATE_CLASSES = 64,                 /* entries of up to 64 units have a free list of their own */
    STATE_CHUNK_BYTES_MIN = 2048,
    STATE_CHUNK_BYTES_MAX = 256 * 1024,
    STATE_SLOTS_MIN = 16,
    STATE_PROBE_ROWS = 64               /* keys whose cache lines are asked for before the first is looked at */
};
#define STATE_ENTRY_FREE UINT32_MAX     /* key_bytes of an entry that nobody uses */

typedef struct state_slot {
    uint64_t hash;
    state_entry *entry; /* NULL = empty */
} state_slot;

typedef struct state_chunk {
    uint32_t used_units, total_units;
    _Alignas(STATE_UNIT_BYTES) uint8_t memory[];
} state_chunk;

typedef struct state_table {
    weir_account *account;
    uint32_t state_bytes;
    state_slot *slots;
    uint64_t capacity;  /* of slots; a power of two, 0 before the first insert */
    uint64_t count;
    size_t bytes;       /* slots and chunks */
    state_chunk **chunks;
    uint32_t chunk_count, chunk_room;
    state_entry *free[STATE_CLASSES + 1]; /* [0]: all larger ones; linked through window_start */
} state_table;

void state_table_init(state_table *table, weir_account *account, uint32_t state_bytes);
void state_table_deinit(state_table *table);

static inline uint64_t state_table_hash(uint64_t key_hash, int64_t window_start) {
    return key_hash ^ weir_hash_u64((uint64_t)window_start);
}
static inline uint8_t *state_table_key(const state_table *table, const state_entry *entry) {
    return (uint8_t *)(uintptr_t)entry->state + table->state_bytes;
}
state_entry *state_table_find(const state_table *table, weir_bytes key, int64_t window_start, uint64_t hash);
/* Room for `more` entries without growing slots. */
bool state_table_reserve(state_table *table, uint64_t more) WEIR_MUST_USE;
static inline void state_table_prefetch(const state_table *table, uint64_t hash) {
    if (table->capacity) __builtin_prefetch(&table->slots[hash & (table->capacity - 1)]);
}
/* Asks for the entry that the hash probably means. */
static inline void state_table_prefetch_entry(const state_table *table, uint64_t hash) {
    if (table->capacity) __builtin_prefetch(table->slots[hash & (table->capacity - 1)].entry);
}
/* Finds or makes; NULL when there is no memory. A new entry is zero, not present, unchanged. Slots must be reserved. */
state_entry *state_table_insert(state_table *table, weir_bytes key, int64_t window_start, uint64_t hash, bool *is_new);
void state_table_remove(state_table *table, state_entry *entry, uint64_t hash);

/* Reads what state_export() wrote and adds the number of entries; CORRUPT when it is not that. The store owns nothing
 * changed. */
weir_status state_import(state_store *store, weir_bytes payload, uint64_t *entries) WEIR_MUST_USE;
weir_account *state_account(const state_store *store);

#endif
