/* log_int - what the files of this module share. Included by nobody else.
 *
 * Who owns what (the lanes are serial, so nothing here but the descriptors has a lock):
 *   owner lane    log_store, log_partition but for its writer, rounds except while a lane below works on them
 *   journal lane  the frame of the round that is being synced
 *   store lane    every log_writer: segments are appended, verified and cut there and nowhere else
 *   read lane     cold reads and time queries, on copies of what the owner lane knew when it sent them
 *   flush lanes   syncs of segments; the first one also checkpoints and preparing journal files
 *
 * One list holds every round from the oldest one kept for readers to the one that is forming:
 *   rounds ... (kept) ... store_next ... (durable, not yet in segments) ... sync_next ... (forming) ... rounds_last */
#ifndef WEIR_LOG_LOG_INT_H
#define WEIR_LOG_LOG_INT_H

#include "base/buffer.h"
#include "base/map.h"
#include "log/log.h"
#include "wire/record_batch.h"

#include <pthread.h>

enum {
    LOG_BLOCK_BYTES = 4096,                    /* frames begin at multiples: a torn write never meets an older frame */
    LOG_ROUND_BYTES_MAX = LOG_GROUP_BYTES_MAX, /* batches of one round; a group never straddles two */
    LOG_CHUNK_BYTES_MIN = 4096,
    LOG_CHUNK_BYTES_MAX = 256 << 10,
    LOG_JOURNAL_FIRST_BYTES = 256 << 10, /* the first journal file: quick to make at the first start */
    LOG_INDEX_INTERVAL_BYTES = 4096,     /* Kafka's index.interval.bytes */
    LOG_INDEX_SYNC_BYTES = 256 << 10,    /* of segment not covered by a synced index; scanned at the next first use */
    LOG_PRODUCERS_MAX = 65536,           /* producers of all partitions together; the longest silent one is forgotten */
    LOG_TRANSACTIONS_MAX = 1 << 20, /* open and aborted ones of all partitions; 32 bytes each */
    LOG_PRODUCER_BATCHES = 5,            /* Kafka's: a client has at most five requests in flight */
    LOG_FOLDER_MAX = LOG_TOPIC_NAME_MAX + 12 + 1,
    LOG_PATH_MAX = 4096,
    LOG_ID_BYTES = 20,
    LOG_FLUSH_LANES = 4,
    LOG_RETENTION_CHECK_MS = 300000, /* Kafka's log.retention.check.interval.ms */
    LOG_RETRY_NS = 1000000000 /* after DISK_FULL the next append tries again at the earliest after this */
};

typedef enum log_file_kind { LOG_FILE_LOG, LOG_FILE_INDEX, LOG_FILE_TIME, LOG_FILE_KINDS } log_file_kind;

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

typedef struct log_round log_round;
typedef struct log_compaction log_compaction;
typedef struct log_journal_file log_journal_file;

typedef enum log_outcome { LOG_WAITING, LOG_STORED, LOG_SKIPPED, LOG_FAILED } log_outcome;

typedef struct log_entry { /* one batch of a round */
    log_partition *partition;
    const uint8_t *bytes; /* in one of the round's chunks */
    size_t size;
    int64_t base_offset, end_offset, max_timestamp;
    /* The store lane writes these, the owner lane reads them afterwards: where the batch went. */
    log_outcome outcome;
    int64_t segment_base;
    uint64_t segment_bytes; /* of that segment, this batch included */
    uint32_t index_count, time_count;
} log_entry;

typedef struct log_chunk log_chunk;
struct log_chunk {
    log_chunk *next;
    size_t size, capacity;
    uint8_t data[];
};

struct log_round {
    log_store *store;
    uint64_t sequence;
    log_round *next;
    log_entry *entries;
    size_t entry_count, entry_capacity;
    log_chunk *chunk_first, *chunk_last;
    size_t batch_bytes;
    size_t memory_bytes; /* what it costs the tail's budget */
    unsigned loans;      /* reads that still look into the chunks */
    bool evicted;        /* out of the list; freed with its last loan */
    uint32_t group_count;
    log_group *group_first, *group_last;
    log_barrier *barrier_first, *barrier_last;
    log_journal_file *file; /* where its frame goes */
    uint64_t file_at, file_bytes;
    bool file_begins; /* the file's header goes before it */
};

/* ---- journal ----------------------------------------------------------------------------------------------------- */

typedef enum log_journal_state { LOG_JOURNAL_FREE, LOG_JOURNAL_CURRENT, LOG_JOURNAL_FULL } log_journal_state;

struct log_journal_file {
    log_journal_file *next;
    unsigned number;
    io_file *file;
    uint64_t allocated_bytes; /* written once, so that rounds need no metadata */
    uint64_t position;        /* where the next frame goes */
    uint64_t generation;
    uint64_t first_sequence, last_sequence; /* last < first: no frame yet */
    log_journal_state state;
    bool has_header;
    bool held; /* a partition that cannot be flushed now still needs it */
};

/* A batch that recovery found in the journal and that its segment does not have for sure. */
typedef struct log_replay {
    io_file *file;
    uint64_t at;
    uint32_t size;
    int64_t base_offset, end_offset;
    uint64_t sequence;
} log_replay;

/* ---- partitions -------------------------------------------------------------------------------------------------- */

typedef struct log_segment {
    int64_t base_offset;
    uint64_t bytes;
    int64_t max_timestamp; /* the largest of its records; -1 = none */
} log_segment;

/* How far a partition's segments are known to be on the platter. */
typedef struct log_mark {
    bool present;
    int64_t end_offset;
    int64_t segment_base;
    uint64_t position;
    uint32_t index_count, time_count; /* synced entries of that segment's indexes */
    uint64_t older_bytes;             /* in the segments before it, from first_base on */
    int64_t first_base;               /* files of segments before it are left over: retention was removing them */
    int64_t first_max_timestamp;      /* of the first segment; -1 = unknown */
} log_mark;

/* A compacted file that is about to take the place of a segment: a start may find the one or the other. */
typedef struct log_swap {
    int64_t base; /* -1 = none */
    uint64_t old_bytes, new_bytes;
} log_swap;

typedef struct log_epoch {
    int32_t epoch;
    int64_t start_offset;
} log_epoch;

typedef struct log_transaction { /* in the order of their first offsets */
    int64_t producer_id, first_offset;
    int64_t marker_offset; /* -1 = open */
} log_transaction;

typedef struct log_transactions {
    log_transaction *open; /* and those whose marker is not durable yet */
    size_t open_count, open_capacity;
    log_aborted *aborted; /* in the order of their markers */
    size_t aborted_count, aborted_capacity;
    int64_t noted_end; /* of the batches that have gone in here */
} log_transactions;

/* The end of a partition's segments, as the store lane appends to it. */
typedef struct log_writer {
    bool ready;   /* verified and replayed */
    bool dropped; /* the partition is deleted: nothing is written any more */
    bool failed;
    bool has_folder, has_segment;
    int64_t segment_base;
    uint64_t position;
    int64_t end_offset;
    uint32_t index_count, time_count;
    uint64_t unindexed_bytes;
    int64_t max_timestamp, max_timestamp_offset, last_time_entry;
    int64_t first_timestamp; /* the largest of the segment's first batch */
    bool knows_first;
} log_writer;

typedef struct log_prepared { /* what verifying found, on its way to the owner lane */
    log_segment *segments;
    size_t count;
    uint32_t index_count, time_count;
} log_prepared;

typedef struct log_tail_item {
    log_round *round;
    size_t index;
} log_tail_item;

struct log_partition {
    log_store *store;
    log_partition_id id;
    char folder[LOG_FOLDER_MAX + 1]; /* "" while nobody opened it */
    uint64_t serial;                 /* names its descriptors */
    _Atomic uint64_t segment_bytes;
    _Atomic int64_t segment_ms; /* 0 = never */
    _Atomic int64_t roll_at;    /* a segment that begins before it is closed by the first batch at or behind it */
    int64_t retention_bytes, retention_ms; /* 0 = never */
    bool claimed;
    bool deleted;
    bool gap;        /* the journal does not go on where the checkpoint ends */
    bool offline;
    weir_error *why; /* of being offline */
    unsigned references;

    int64_t start_offset, end_offset, durable_end, stored_end;
    int64_t trim_offset; /* where the start is going to be */
    log_trim retention_trim;
    bool retention_trims;
    bool compacted, compaction_failed;
    double dirty_ratio;
    int64_t compaction_lag_ms, delete_retention_ms;
    int64_t clean_end; /* compacted below, since the start */
    log_swap swap;
    bool swapping; /* reads from segments wait */
    uint64_t size_bytes;
    log_epoch *epochs;
    size_t epoch_count, epoch_capacity;
    weir_map producers;
    log_transactions transactions;

    log_tail_item *tail; /* a ring of batches that rounds in memory hold, in offset order */
    size_t tail_head, tail_count, tail_capacity;

    bool ready; /* segments[] is known */
    log_segment *segments;
    size_t segment_count, segment_capacity;
    uint32_t index_count, time_count;

    log_mark flushed;
    uint64_t unflushed_sequence; /* first round that is not surely in synced segments; 0 = none */
    log_partition *dirty_previous, *dirty_next;

    log_replay *replay; /* until verified; the store lane reads it */
    size_t replay_count, replay_capacity;

    log_waiter *waiters;
    log_read *blocked_reads;
    log_time_query **blocked_queries;
    size_t blocked_query_count;
    bool preparing;
    io_job prepare_job, prepared_job, delete_job, deleted_job;
    weir_error prepare_error;
    log_prepared *prepared; /* from store lane to owner lane */

    log_writer writer; /* store lane */
};

typedef struct log_producer_batch {
    int32_t first_sequence, last_sequence;
    int64_t base_offset, end_offset;
} log_producer_batch;

typedef struct log_producer log_producer;
struct log_producer {
    int64_t id;
    log_partition *partition;
    log_producer *previous, *next; /* longest silent first */
    int16_t epoch;
    /* Oldest first: at least the last LOG_PRODUCER_BATCHES of the durable ones, and every one that is not durable yet.
     */
    log_producer_batch *batches;
    size_t count, capacity;
};

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

typedef struct log_descriptor log_descriptor;
typedef struct log_descriptors {
    io_files *files;
    weir_account *account;
    pthread_mutex_t mutex;
    weir_map map;
    log_descriptor *first, *last; /* idle ones, least recently used first */
    size_t open_count, open_max;
} log_descriptors;

/* ---- flush ------------------------------------------------------------------------------------------------------- */

typedef struct log_flush_item {
    log_partition *partition;
    log_mark mark; /* what holds once everything is synced */
    int64_t *bases;
    size_t base_count;
    uint64_t last_sequence;
    bool sync_index, sync_folder, is_new;
    bool failed;
    weir_error *error;
} log_flush_item;

/* A quarter of a flush: syncs of many files at once share the file system's commits. */
typedef struct log_flush_part {
    io_job job;
    log_store *store;
    io_lane *lane;
    size_t first;
} log_flush_part;

typedef struct log_flush {
    log_flush_item *items;
    size_t count;
    _Atomic unsigned parts; /* still at work */
    uint64_t sequence; /* everything up to this round is in segments */
    uint64_t generation, position; /* where the frame after it begins, when in a file that goes on */
    weir_buffer checkpoint;
    weir_error error;
} log_flush;

/* ---- the store --------------------------------------------------------------------------------------------------- */

struct log_store {
    const io_world *world;
    io_files *files;
    io_lane *lane;
    io_lane *journal_lane, *store_lane, *read_lane, *flush_lane;
    char *directory;
    char cluster_id[32];
    io_file *lock_file;
    weir_account account, tail_account, read_account;
    uint64_t segment_bytes, journal_bytes;
    size_t tail_bytes_max;
    log_descriptors descriptors;
    weir_map partitions;
    uint64_t next_serial;
    int32_t leader_epoch;
    bool stopping;
    io_job *stopped_job;

    log_round *rounds, *store_next, *sync_next, *rounds_last;
    log_round *forming; /* rounds_last while groups may still join it */
    uint64_t next_sequence;    /* of the next round to form */
    uint64_t durable_sequence; /* last round that is synced */
    uint64_t stored_sequence;  /* last round that is in segments */
    size_t pending_bytes;      /* appended and not yet in segments */
    size_t kept_bytes;         /* memory of all rounds in the list */
    io_job **room_jobs;
    size_t room_count, room_capacity;
    log_barrier *soon_first, *soon_last;
    io_job soon_job;

    log_journal_file *journal_files; /* by number */
    log_journal_file *current;
    uint64_t stored_generation, stored_position; /* behind the frame of stored_sequence */
    uint64_t replay_from, replay_generation, replay_position; /* as the checkpoint on disk says */
    bool syncing;
    weir_error sync_error;
    io_job sync_job, synced_job;
    bool failed; /* the journal is: read-only until restart */
    weir_error why;
    bool disk_full;
    int64_t retry_at_ns;

    bool storing;
    log_round *storing_first;
    size_t storing_count, storing_done; /* rounds */
    size_t storing_entry;               /* where the first of them goes on after a full disk */
    weir_error store_error;
    io_job store_job, stored_job;

    log_partition *dirty_first, *dirty_last;
    bool flush_wanted, flushing;
    log_trim *trims, *trims_flushing; /* waiting; in the flush that runs */
    log_flush *flush;
    log_flush_part flush_parts[LOG_FLUSH_LANES];
    io_job flush_synced_job, flush_write_job, flush_written_job;

    bool preparing_journal, prepare_failed;
    log_journal_file *journal_prepared;
    unsigned journal_next_number;
    io_job journal_prepare_job, journal_prepared_job;

    log_producer *producer_first, *producer_last;
    size_t producer_count;
    size_t transaction_count; /* open and aborted ones of all partitions */
    size_t background; /* other jobs in flight: prepares, deletes, reads, orphans, removals */

    log_compaction *compaction; /* at most one at a time */
    io_lane *compaction_lane;
    io_timer retention_timer;
    io_job retention_job;
    int64_t retention_check_ns, retention_last_ns;
    int64_t retention_wall_ms, retention_paused_ns; /* the wall clock at the last look; no retention by time before */
};

/* store.c */
weir_status log_path(const log_store *store, char path[LOG_PATH_MAX], const char *format, ...) WEIR_PRINTF(3, 4);
void log_store_fail(log_store *store, weir_status status);
void log_store_disk_full(log_store *store, weir_status status);
void log_store_check_stopped(log_store *store);
static inline void log_post(log_store *store, io_lane *lane, io_job *job) {
    io_post(store->world->executor, lane, job);
}
void *log_grow(log_store *store, void *items, size_t *capacity, size_t count, size_t item_bytes);

/* append.c: rounds. */
void log_round_free(log_round *round);
void log_rounds_evict(log_store *store);
void log_rounds_give_up(log_store *store);
void log_store_kick(log_store *store);
void log_rounds_init(log_store *store);
void log_rounds_drop(log_store *store);
weir_status log_rounds_store_rest(log_store *store) WEIR_MUST_USE;
log_tail_item *log_tail_at(const log_partition *partition, size_t index);
size_t log_tail_find(const log_partition *partition, int64_t offset);
log_entry *log_tail_entry(const log_partition *partition, size_t index);

/* journal.c */
weir_status log_journal_open(log_store *store, log_start_report *report);
void log_journal_close(log_store *store);
void log_journal_init(log_store *store);
void log_journal_kick(log_store *store);
void log_journal_prepare(log_store *store);
void log_journal_release(log_store *store, uint64_t replay_from);
uint64_t log_journal_replay_from(const log_store *store, uint64_t flushed_sequence);

/* checkpoint.c */
weir_status log_checkpoint_read(log_store *store, bool *found);
void log_checkpoint_encode(log_store *store, uint64_t replay_from, uint64_t generation, uint64_t position,
                           weir_buffer *target);
weir_status log_checkpoint_write(log_store *store, weir_bytes bytes);
weir_status log_file_replace(log_store *store, const char *name, weir_bytes bytes);
weir_status log_clean_write(log_store *store, uint64_t next_sequence);
bool log_clean_take(log_store *store, uint64_t next_sequence);

/* partition.c */
log_partition *log_partition_find(const log_store *store, const log_partition_id *id);
log_partition *log_partition_create(log_store *store, const log_partition_id *id);
void log_partition_free(log_partition *partition);
void log_partition_retain(log_partition *partition);
void log_partition_release(log_partition *partition);
void log_partition_set_offline(log_partition *partition, weir_status why);
void log_partition_mark_dirty(log_partition *partition, uint64_t sequence);
void log_partition_mark_clean(log_partition *partition);
void log_partition_wake(log_partition *partition);
void log_partition_note_epoch(log_partition *partition, int32_t epoch, int64_t start_offset);
void log_partition_prepare(log_partition *partition);
void log_partition_install(log_partition *partition);
void log_partition_rewind(log_partition *partition, int64_t end_offset);
weir_status log_partition_usable(const log_partition *partition);

/* segment.c: store lane. */
weir_status log_segment_path(const log_partition *partition, int64_t base, log_file_kind kind,
                             char path[LOG_PATH_MAX]) WEIR_MUST_USE;
/* Appends batches in offset order; *written = how many are in the segment and annotated, also after a failure. */
weir_status log_writer_append(log_partition *partition, log_entry *entries, size_t count,
                              size_t *written) WEIR_MUST_USE;
/* The batch at writer->position is in the segment: moves behind it, and indexes it where one is due. */
void log_writer_pass(log_partition *partition, int64_t last_offset, int64_t max_timestamp, uint64_t bytes);
/* Adds the batch's segment to a list of them, or its bytes to the last one. */
void log_segments_note(log_store *store, log_segment **segments, size_t *count, size_t *capacity,
                       const log_segment *segment);
/* The names in a folder, each terminated: a folder is never changed while it is being listed. */
weir_status log_folder_list(log_store *store, const char *folder, weir_buffer *names) WEIR_MUST_USE;
weir_status log_folder_remove(log_store *store, const char *folder) WEIR_MUST_USE;

/* verify.c: store lane. Cuts the segments back to what the checkpoint promises and replays the journal's batches. */
weir_status log_writer_prepare(log_partition *partition) WEIR_MUST_USE;

/* index.c: `.index` and `.timeindex`. */
void log_index_append(log_partition *partition, int64_t last_offset);
void log_time_index_append(log_partition *partition);
/* Cuts both indexes of the writer's segment to `index_count` and `time_count`, or to nothing when they are shorter. */
weir_status log_index_cut(log_partition *partition, uint32_t index_count, uint32_t time_count) WEIR_MUST_USE;
/* The last entries of the writer's indexes; false when there is none or it cannot be read. */
bool log_index_last(log_partition *partition, int64_t *last_offset, uint64_t *position, int64_t *max_timestamp);
/* A position at or before the batch that contains `offset`, 0 when the index knows none. Any lane that may wait. */
uint64_t log_index_find(log_partition *partition, int64_t base, int64_t offset, io_file *log_file, uint64_t limit);
/* An offset before which no record of the segment has a timestamp >= timestamp_ms; *max_timestamp is the last entry's,
 * -1 without entries. */
int64_t log_time_index_find(log_partition *partition, int64_t base, int64_t timestamp_ms, int64_t *max_timestamp);
/* The last entry's timestamp, of a closed segment its largest; -1 without entries. */
int64_t log_time_index_last(log_partition *partition, int64_t base);

/* producer.c */
void log_producer_note(log_partition *partition, const wire_batch *batch);
log_producer *log_producer_find(const log_partition *partition, int64_t id);
log_producer *log_producer_create(log_partition *partition, int64_t id);
void log_producer_push(log_producer *producer, log_producer_batch batch);
void log_producers_rewind(log_partition *partition, int64_t end_offset);
void log_producers_drop(log_partition *partition);

/* transactions.c */
void log_transaction_note(log_partition *partition, const wire_batch *batch);
void log_transaction_begin(log_partition *partition, int64_t producer_id, int64_t first_offset);
void log_transaction_add_aborted(log_partition *partition, const log_aborted *aborted);
void log_transactions_rewind(log_partition *partition, int64_t end_offset);
void log_transactions_drop(log_partition *partition);

/* reader.c, time_query.c */
void log_reader_start_blocked(log_partition *partition);
void log_time_queries_start_blocked(log_partition *partition, const weir_error *failure);
void log_read_fail_late(log_partition *partition, weir_status status);
/* Reads batch headers of one file forward, in pieces. */
typedef struct log_scan {
    log_store *store;
    io_file *file;
    uint64_t position, limit; /* of the next batch; end of what may be read */
    uint8_t *buffer;          /* LOG_SCAN_BYTES */
    uint64_t buffer_at;
    size_t buffer_bytes;
} log_scan;
enum { LOG_SCAN_BYTES = 16384 };
weir_status log_scan_open(log_scan *scan, log_store *store, io_file *file, uint64_t position, uint64_t limit);
void log_scan_close(log_scan *scan);
/* The header at the position; *found = false at the limit. CORRUPT names the position. Does not move. */
weir_status log_scan_header(log_scan *scan, wire_batch *batch, bool *found);
static inline void log_scan_skip(log_scan *scan, const wire_batch *batch) {
    scan->position += batch->size_bytes;
}

/* flush.c */
void log_flush_init(log_store *store);
void log_flush_kick(log_store *store);
weir_status log_flush_all(log_store *store) WEIR_MUST_USE;
void log_flush_drop(log_store *store);

/* start_offset.c */
bool log_trims_due(const log_store *store);
void log_trims_collect(log_store *store);
void log_trims_end(log_store *store, weir_status status);
void log_trims_fail(log_store *store, weir_status status);
void log_trims_drop(log_store *store);

/* retention.c: owner lane. */
void log_retention_init(log_store *store, int64_t check_ms);
/* Something changed that may give retention work: a look at it is due. */
void log_retention_want(log_partition *partition);
/* At the end of a flush whose checkpoint has the start offset: takes segments before it out, and then their files. */
void log_retention_sweep(log_partition *partition);
bool log_retention_has_leftovers(const log_partition *partition);
/* The mark as a checkpoint with this start offset should have it. */
log_mark log_retention_mark(const log_partition *partition, int64_t start_offset);

/* compaction.c: owner lane. Begins one when the partition is dirty enough and none runs; *due_ms: look again then. */
bool log_compaction_start(log_partition *partition, int64_t wall_ms, int64_t *due_ms);
void log_compaction_cancel(log_store *store);
void log_compaction_drop(log_store *store);

/* descriptors.c */
void log_descriptors_init(log_descriptors *descriptors, io_files *files, weir_account *account, size_t open_max);
void log_descriptors_deinit(log_descriptors *descriptors);
/* An open file that stays open until it is given back. `create` makes it when missing. */
weir_status log_descriptor_take(log_partition *partition, int64_t base, log_file_kind kind, bool create,
                                log_descriptor **descriptor, io_file **file) WEIR_MUST_USE;
void log_descriptor_give(log_partition *partition, log_descriptor *descriptor);
/* Closes the partition's files; one in use closes when it is given back. */
void log_descriptors_forget_segment(log_partition *partition, int64_t base);
void log_descriptors_forget(log_partition *partition);

#endif
