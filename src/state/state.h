/* state - what a task remembers about its keys: fixed-size states by (key bytes, window start), in memory.
 *
 * A store belongs to one task of one query. It holds one fixed-size state and one timestamp an entry; what the bytes of
 * a state mean is the operator's business. Windowed stores cut their entries into segments by window start, so that
 * windows leave by whole segments.
 *
 * COMMITTED AND CHANGED. Every change since the last commit is in the list of changes together with the value before
 * it. Readers (state_find_committed, state_view_*, state_export) see committed values only. At a commit the owner
 * visits the changes in the order in which their entries first changed, writes one changelog record each
 * (state_record_key, state_record_value), and when the bus says that they are durable calls state_commit();
 * state_rollback() takes every change back instead. Expiry is a matter of memory, not of results: it is applied between
 * commits only, needs no tombstones (a restore expires the same segments again), and what it drops is counted.
 *
 * THE CHANGELOG, one record an entry that changed; numbers in values little-endian:
 *   key    the key bytes; in a windowed store followed by the window start, 8 bytes big-endian, as Kafka Streams does
 *   value  offset size
 *             0     1   STATE_RECORD_VERSION
 *             1     1   0
 *             2     2   bytes of the state
 *             4     8   timestamp, ms
 *            12     n   the state as it stands
 *          or null: the entry was deleted
 *
 * SNAPSHOTS save replaying the whole changelog. A snapshot is written in steps while the store goes on changing: every
 * value in it was committed, at or after the changelog offset in its header, so that replaying the changelog from that
 * offset to its end gives the exact state. It is never ahead of the durable changelog. File, little-endian:
 *   header  "WEIRSNAP", u32 version, u32 state bytes, u64 layout, 16 bytes changelog topic id, i64 changelog offset,
 *           u32 0, u32 crc32c of the 52 bytes before (56 in all)
 *   frames  u32 payload bytes, u32 crc32c of the payload, payload: entries
 *   entry   u32 key bytes, i64 window start, i64 timestamp, state, key
 *   last    u32 0, u32 crc32c of the count, u64 count of entries
 * The file is written beside its name, synced and renamed, so that a name always holds a whole snapshot.
 *
 * Keys compare as unsigned bytes, then by window start.
 * Memory: everything is taken from the account given at creation; NO_MEMORY when that is used up.
 * Threads: one owner at a time; the functions on snapshot files may wait and belong on a blocking lane. */
#ifndef WEIR_STATE_STATE_H
#define WEIR_STATE_STATE_H

#include "base/buffer.h"
#include "base/hash.h"
#include "io/io.h"

enum {
    STATE_RECORD_VERSION = 1,
    STATE_RECORD_HEADER_BYTES = 12,
    STATE_BYTES_MAX = 4096,        /* of one entry's state */
    STATE_KEY_BYTES_MAX = 1 << 20,
    STATE_NOT_WINDOWED = 0         /* window start of every entry of a store without windows */
};

typedef struct state_store state_store;

/* An entry stays where it is until it is deleted and that is committed, or its segment expires. */
typedef struct state_entry {
    uint32_t key_bytes;
    uint32_t change;       /* 1 + place in the list of changes; 0 = as committed */
    int64_t window_start;
    int64_t timestamp_ms;  /* the owner's to set; new entries: INT64_MIN */
    uint32_t units;        /* private: size in 16-byte units */
    bool present;          /* false: deleted, or made and not yet given a value; set by state_upsert() */
    _Alignas(16) uint8_t state[]; /* the store's state_bytes (16-byte aligned, zero when new), then the key */
} state_entry;

typedef struct state_options {
    uint32_t state_bytes;  /* 0..STATE_BYTES_MAX */
    bool windowed;
    int64_t retention_ms;  /* windowed: segments of windows that all started before stream time - retention expire */
    int64_t advance_ms;    /* windowed: window starts are multiples of it; 0 = they may be anything */
    uint64_t layout;       /* fingerprint of what the states mean; a snapshot of another layout is not loaded */
} state_options;

/* NO_MEMORY. The account is borrowed. */
weir_status state_create(weir_account *account, const state_options *options, state_store **store) WEIR_MUST_USE;
void state_destroy(state_store *store); /* NULL is fine */

static inline uint64_t state_hash(weir_bytes key) { return weir_hash(key.data, key.size); }
weir_bytes state_entry_key(const state_store *store, const state_entry *entry); /* while the entry lives */

/* ---- changing ---------------------------------------------------------------------------------------------------- */

/* Finds or makes the entries of `count` keys, in order, and marks all of them as changed and present; the caller then
 * writes state and timestamp. hashes[i] is state_hash(keys[i]). A key may occur more than once. Fails with NO_MEMORY at
 * the budget; the entries made by then are taken back by state_rollback(). */
weir_status state_upsert(state_store *store, const weir_bytes *keys, const uint64_t *hashes,
                         const int64_t *window_starts, uint32_t count, state_entry **entries) WEIR_MUST_USE;
/* The entry as it stands with uncommitted changes, or NULL. */
state_entry *state_find(const state_store *store, weir_bytes key, int64_t window_start);
/* Marks the entry as changed and absent. */
weir_status state_delete(state_store *store, state_entry *entry) WEIR_MUST_USE;

/* ---- committing -------------------------------------------------------------------------------------------------- */

typedef struct state_change {
    const state_entry *entry;       /* as it stands; entry->present false = deleted */
    bool old_present;               /* there was a committed value: */
    int64_t old_timestamp_ms;
    const uint8_t *old_state;       /* 16-byte aligned */
} state_change;

uint32_t state_change_count(const state_store *store);
/* The at'th change in the order in which entries first changed; valid until the next change, commit or rollback. */
state_change state_change_at(const state_store *store, uint32_t at);
/* An upper bound of the bytes of keys and values of all changelog records that a commit would write now. */
size_t state_change_bytes(const state_store *store);

/* Appends to `target` (an overflow shows there). */
void state_record_key(const state_store *store, const state_entry *entry, weir_buffer *target);
void state_record_value(const state_store *store, const state_entry *entry, weir_buffer *target); /* entry->present */

void state_commit(state_store *store);
void state_rollback(state_store *store);
/* Drops the segments that retention no longer covers at this stream time; returns the entries dropped. Right after a
 * commit or restore only: nothing may be changed. */
uint64_t state_expire(state_store *store, int64_t stream_time_ms);

/* ---- reading ----------------------------------------------------------------------------------------------------- */

uint64_t state_entry_count(const state_store *store); /* uncommitted ones included */
size_t state_bytes_used(const state_store *store);
/* The largest timestamp ever committed or restored, INT64_MIN when none: a restored operator's stream time. */
int64_t state_timestamp_max(const state_store *store);

/* The committed state (16-byte aligned), or NULL; valid until the next change. */
const uint8_t *state_find_committed(const state_store *store, weir_bytes key, int64_t window_start,
                                    int64_t *timestamp_ms);

/* A view is a copy of committed entries in key order, independent of the store afterwards. */
typedef struct state_view state_view;
typedef struct state_row {
    weir_bytes key;
    int64_t window_start, timestamp_ms;
    const uint8_t *state; /* 16-byte aligned */
} state_row;
/* Window bounds are inclusive. `key` with data == NULL: all keys. NO_MEMORY when the account has no room for the copy.
 */
weir_status state_view_create(const state_store *store, weir_bytes key, int64_t window_start_min,
                              int64_t window_start_max, state_view **view) WEIR_MUST_USE;
uint32_t state_view_count(const state_view *view);
state_row state_view_row(const state_view *view, uint32_t at);
void state_view_destroy(state_view *view);

/* ---- restoring and snapshots ------------------------------------------------------------------------------------- */

/* Applies a changelog record as committed; value.data == NULL deletes. CORRUPT when it is not of this store. */
weir_status state_restore_record(state_store *store, weir_bytes key, weir_bytes value) WEIR_MUST_USE;

typedef struct state_cursor { /* zero-initialised at the start */
    int64_t segment;
    uint32_t chunk, at;
    bool begun;
} state_cursor;
/* Writes the next committed entries in snapshot form to target; *used bytes, 0 at the end. The store may change between
 * the calls. `capacity` must hold the largest entry: STATE_EXPORT_BYTES_MIN always does. */
enum { STATE_EXPORT_BYTES_MIN = STATE_KEY_BYTES_MAX + STATE_BYTES_MAX + 64 };
void state_export(const state_store *store, state_cursor *cursor, uint8_t *target, size_t capacity, size_t *used,
                  uint32_t *entries);

typedef struct state_snapshot_about {
    uint32_t state_bytes;
    uint64_t layout;
    uint8_t topic_id[16];      /* of the changelog */
    int64_t changelog_offset;  /* where replay goes on */
} state_snapshot_about;

typedef struct state_snapshot_writer state_snapshot_writer;
/* `path` must have room beside it for "<path>.part"; its folder exists. */
weir_status state_snapshot_open(io_files *files, weir_account *account, const char *path,
                                const state_snapshot_about *about, state_snapshot_writer **writer) WEIR_MUST_USE;
weir_status state_snapshot_append(state_snapshot_writer *writer, weir_bytes payload, uint32_t entries) WEIR_MUST_USE;
/* Makes it the snapshot of that path and frees the writer, also on failure (then the old one stays). */
weir_status state_snapshot_finish(state_snapshot_writer *writer) WEIR_MUST_USE;
void state_snapshot_abandon(state_snapshot_writer *writer);

/* Fills an empty store. NOT_FOUND: there is none. CORRUPT: damaged, or of another layout or changelog; the store is
 * then empty again and the caller replays the whole changelog. `expected`: all but the offset; *changelog_offset gets
 * it. */
weir_status state_snapshot_load(io_files *files, const char *path, const state_snapshot_about *expected,
                                state_store *store, int64_t *changelog_offset) WEIR_MUST_USE;
/* Empties a store. */
void state_clear(state_store *store);

#endif
