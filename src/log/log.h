/* log - the partitions of every topic on disk: one journal, one commit point.
 *
 * A partition is a folder of segments in Apache Kafka's own layout (`<topic>-<partition>/<base offset>.log`, `.index`,
 * `.timeindex`), holding record batches (magic 2) byte for byte as they travel. Syncing each partition's file does not
 * scale (docs/decisions/0001-one-journal.md), so durability comes from one journal per data folder:
 *
 *   log_append(group) -> offsets assigned, bytes copied once into the round that is forming
 *   round             -> every waiting group of every partition: one write of CRC'd groups, one fdatasync
 *   after the sync    -> the same bytes go, unsynced, into the segments; high watermarks advance; groups are done
 *   flusher           -> syncs segments, writes the checkpoint, recycles the journal
 *   recovery          -> checkpoint, then whole groups of the journal, by (topic id, partition, offset), idempotently
 *
 * A group is atomic: after a crash either all its batches are there or none. The high watermark is the durable end;
 * nothing above it is ever handed out by log_read() unless the reader asks to read ahead.
 *
 * On disk: `meta.properties` (cluster id, format version), `.lock`, `journal-<n>` (format in journal.c), `checkpoint`
 * (format in checkpoint.c), one folder a partition. A partition without records has no folder. Unclean start raises the
 * leader epoch of every partition.
 *
 * Threads: a store and its partitions belong to one loop lane (config.lane); every function below is called from jobs
 * of that lane, except log_open() and log_close(), which may wait and run before the first and after the last job.
 * The module's own blocking lanes do the I/O.
 *
 * Failures: EIO on a segment takes that partition offline (its calls fail with IO, the others go on); a failed journal
 * write or sync makes the store read-only until restart (appends fail with IO); nothing is retried. DISK_FULL: appends
 * fail with DISK_FULL, reads go on. */
#ifndef WEIR_LOG_LOG_H
#define WEIR_LOG_LOG_H

#include "io/io.h"

enum {
    LOG_FORMAT_VERSION = 1,           /* in meta.properties; a newer folder is refused, an older one read */
    LOG_GROUP_BYTES_MAX = 16 << 20,   /* batches of one group; more is INVALID */
    LOG_PENDING_BYTES_MAX = 64 << 20, /* appended but not yet durable; more is FULL */
    LOG_BATCH_BYTES_MAX = 16 << 20,
    LOG_TOPIC_NAME_MAX = 249
};

typedef struct log_store log_store;
typedef struct log_partition log_partition;

typedef struct log_config {
    const io_world *world; /* borrowed, outlives the store */
    io_lane *lane;         /* the owner's loop lane */
    const char *directory;
    uint64_t segment_bytes;     /* roll above this; 0 = 1 GiB */
    uint64_t journal_bytes;     /* of each of the two journal files; 0 = 32 MiB */
    size_t tail_bytes;          /* budget of recently appended batches kept for readers; 0 = 16 MiB */
    uint32_t descriptors_max;   /* segment files open at a time (LRU); 0 = a quarter of the process's limit */
    int64_t retention_check_ms; /* the shortest time between two looks for old segments; 0 = 5 minutes */
} log_config;

typedef struct log_start_report {
    char cluster_id[32];     /* Kafka's form: 22 characters of URL-safe base64; made at first start */
    bool clean;              /* the last stop was clean: nothing had to be replayed */
    uint64_t groups_replayed;
    uint64_t bytes_cut;      /* torn tails dropped */
    int64_t recovery_us;
} log_start_report;

/* Opens or creates the data folder. Fails with one clear line: BUSY (another server has it), UNSUPPORTED (made by a
 * newer weir), REFUSED (not writable), CORRUPT (what the checkpoint or journal promise is not there), IO. */
weir_status log_open(log_store **store, const log_config *config, log_start_report *report) WEIR_MUST_USE;
/* From the lane, once: takes no more groups, finishes what runs in the background (rounds, segments, flushes,
 * deletions) and then posts `stopped`. Groups that wait for a round are done before. Needed before log_close() and
 * log_abandon(), unless the store was never used or the world that ran its jobs is gone (a simulated crash). */
void log_stop(log_store *store, io_job *stopped);
/* Flushes and syncs everything, marks the folder clean. Every group, read and waiter is done before. */
weir_status log_close(log_store *store) WEIR_MUST_USE;
/* Ends without flushing, as a crash would; for tests of recovery and for a store whose journal failed. */
void log_abandon(log_store *store);

/* ---- partitions -------------------------------------------------------------------------------------------------- */

typedef struct log_partition_id {
    uint8_t topic_id[16];
    int32_t partition;
} log_partition_id;

typedef struct log_partition_config { /* per topic; may be changed while open */
    uint64_t segment_bytes;           /* 0 = the store's */
    int64_t segment_ms;      /* a batch so much later than the segment's first one begins a new segment; 0 = never */
    int64_t retention_bytes; /* the oldest segments go while those behind them still have so much; 0 = never */
    int64_t retention_ms;    /* a segment goes when its latest record is older by the wall clock; 0 = never */
    bool compacted;          /* of closed segments only the last record of each key stays */
    double dirty_ratio;      /* share of bytes in closed segments not yet compacted that starts a compaction */
    int64_t compaction_lag_ms;   /* segments with younger records wait */
    int64_t delete_retention_ms; /* how long a tombstone stays after it was first compacted */
} log_partition_config;

/* Retention moves the start offset first, as log_set_start_offset() does, and removes files when no read that began
 * before needs them. By time the last segment goes as well, once all of it is synced: it is then empty for readers, and
 * its file goes when the next append has begun another. By time it pauses for an hour, with a warning, after the wall
 * clock was seen to jump by more than a minute. Looked for when a segment begins, when one's time comes, and when a
 * config changes; never in between. */

/* Makes the partition known. Costs no I/O and no descriptor; a partition that was never written has no files. What the
 * disk holds of it is verified before its first answer. `topic` is copied; the folder is `<topic>-<partition>`. */
weir_status log_partition_open(log_store *store, const log_partition_id *id, const char *topic,
                               const log_partition_config *config, log_partition **partition) WEIR_MUST_USE;
void log_partition_configure(log_partition *partition, const log_partition_config *config);
/* Deletes its files in the background. Groups in flight are finished first; later calls fail with NOT_FOUND. The
 * pointer is dead when this returns. Waiters are woken. */
void log_partition_delete(log_partition *partition);
/* Takes back log_partition_open() before anything else was done with it; log_remove_orphans() then takes its folder,
 * unless a namesake has claimed that. The pointer is dead after log_remove_orphans(). */
void log_partition_disown(log_partition *partition);
/* Folders on disk that no open partition claims (a crash between the topic's removal and its files'): deletes them. */
void log_remove_orphans(log_store *store);

int64_t log_start_offset(const log_partition *partition);   /* first offset kept */
int64_t log_high_watermark(const log_partition *partition); /* durable end, exclusive: what readers may see */
int64_t log_end_offset(const log_partition *partition);     /* end with what is still being made durable */
int32_t log_leader_epoch(const log_partition *partition);
uint64_t log_size_bytes(const log_partition *partition);
/* KIP-101: the end offset of the largest epoch <= `epoch`, and that epoch; -1/-1 when unknown. */
void log_epoch_end(const log_partition *partition, int32_t epoch, int32_t *found_epoch, int64_t *end_offset);

/* Moves the first offset kept forward (KIP-107). Records before it can no longer be read from when done() says OK; the
 * checkpoint has it then, so that it never moves back. An offset at or before the present start is nothing to do. */
typedef struct log_trim log_trim;
struct log_trim { /* caller's storage until done() */
    log_partition *partition;
    int64_t offset;
    /* On the lane, never inside the call: OUT_OF_RANGE (above the high watermark), NOT_FOUND, IO, DISK_FULL,
     * CANCELLED (the store stops). After a failure it may or may not have moved after a restart. */
    void (*done)(log_trim *trim, weir_status status);
    bool always;      /* private: writes the checkpoint even so */
    io_job job;       /* private */
    weir_error error; /* private */
    log_trim *next;   /* private */
};
void log_set_start_offset(log_trim *trim);

/* ---- appending --------------------------------------------------------------------------------------------------- */

typedef struct log_batch { /* one append to one partition */
    log_partition *partition;
    uint8_t *bytes; /* one whole record batch, CRC verified by the caller; base offset and leader epoch are set in
                       place (both lie outside the CRC); borrowed during log_append() only */
    size_t size;
    bool has_expected;       /* of the partition's first batch in the group: FENCED unless it gets this offset */
    int64_t expected_offset;
    int64_t base_offset;   /* out: assigned */
    int64_t end_offset;    /* out: base + last offset delta + 1 */
} log_batch;

typedef struct log_group log_group;
struct log_group { /* caller's storage until done() */
    log_batch *batches;    /* may name one partition several times; applied in order */
    size_t count;
    /* On the lane, never inside log_append(): OK = durable and below the high watermark. A failure means that nothing
     * of the group is visible and that it may or may not appear after a restart. */
    void (*done)(log_group *group, weir_status status);
    log_group *next;       /* private */
    uint64_t round;        /* private */
};

/* Assigns offsets and queues the group for the next round. Groups are durable in the order of the calls. Fails, with
 * nothing done and done() never called: INVALID (size limits, malformed header), FULL (see log_wait_room), NOT_FOUND,
 * FENCED (another end than expected), IO, DISK_FULL. */
weir_status log_append(log_store *store, log_group *group) WEIR_MUST_USE;
/* Posts `job` to the lane once, when pending bytes have fallen below half of LOG_PENDING_BYTES_MAX. */
void log_wait_room(log_store *store, io_job *job);
/* Calls `done` when everything appended to the partition before this call is durable: a duplicate produce is answered
 * at its original's durable point. `barrier` is caller's storage. */
typedef struct log_barrier log_barrier;
struct log_barrier {
    void (*done)(log_barrier *barrier, weir_status status);
    log_barrier *next; /* private */
    uint64_t round;    /* private */
};
void log_when_durable(log_partition *partition, log_barrier *barrier);

/* ---- idempotent producers (KIP-98) ------------------------------------------------------------------------------- */

typedef enum log_sequence_verdict {
    LOG_SEQUENCE_NEXT,         /* in order: append it */
    LOG_SEQUENCE_DUPLICATE,    /* one of the last five batches: answer *duplicate_offset when durable */
    LOG_SEQUENCE_OUT_OF_ORDER, /* OUT_OF_ORDER_SEQUENCE_NUMBER */
    LOG_SEQUENCE_FENCED,       /* epoch below the current one: INVALID_PRODUCER_EPOCH */
    LOG_SEQUENCE_UNKNOWN       /* sequence > 0 from a producer without state: UNKNOWN_PRODUCER_ID */
} log_sequence_verdict;

/* Judges a batch's (producer id, epoch, base sequence, count) against the partition's producer state, which
 * log_append() updates from the batch headers and which is recovered with the log. Batches without producer id are
 * NEXT. May need the partition to be verified; then it fails with BUSY and posts `retry` to the lane when it is. */
weir_status log_check_sequence(log_partition *partition, const uint8_t *batch, size_t size, io_job *retry,
                               log_sequence_verdict *verdict, int64_t *duplicate_offset) WEIR_MUST_USE;

/* An idempotent producer whose state the partition keeps: for people who look. `at` begins as 0; false at the end; no
 * call of the log between. */
typedef struct log_producer_info {
    int64_t id;
    int16_t epoch;
    int32_t last_sequence; /* -1 = none since its last epoch began */
} log_producer_info;
bool log_producer_next(const log_partition *partition, size_t *at, log_producer_info *info);

/* ---- transactions (KIP-98) --------------------------------------------------------------------------------------- */

/* Which transactions are open and which were aborted follows from the batches: log_append() notes it and recovery
 * brings it back. At most LOG_TRANSACTIONS_MAX of both in a store. */
typedef struct log_aborted { /* as in Kafka's .txnindex */
    int64_t producer_id;
    int64_t first_offset;  /* of its records */
    int64_t last_offset;   /* of its marker */
    int64_t stable_offset; /* the last stable offset once the marker was there */
} log_aborted;

/* Below it every transaction has ended, and the marker is durable (with `ahead`: appended). At most the durable end
 * (the end). It changes only when that does. */
int64_t log_last_stable_offset(const log_partition *partition, bool ahead);
/* false: nothing is open and nothing was ever aborted, so that a reader has nothing to look for. */
bool log_has_transactions(const log_partition *partition);
/* First offset of the producer's open transaction, -1 = none. */
int64_t log_transaction_start(const log_partition *partition, int64_t producer_id);
/* Aborted transactions with something in [from, to), the first `found_max` of them in `found`; returns how many. */
size_t log_aborted_in(const log_partition *partition, int64_t from, int64_t to, log_aborted *found, size_t found_max);
/* No transaction should begin until retention has removed aborted ones. */
bool log_transactions_full(const log_store *store);

/* ---- reading ----------------------------------------------------------------------------------------------------- */

typedef struct log_read log_read;
struct log_read { /* caller's storage until done() and log_read_release() */
    log_partition *partition;
    int64_t offset;       /* first offset wanted */
    size_t max_bytes;     /* whole batches up to this; the first batch is returned even if larger */
    bool ahead;           /* may see what is appended but not yet durable: embedded tasks only */
    void (*done)(log_read *read, weir_status status); /* on the lane, never inside log_read_start(); OUT_OF_RANGE:
                                                         offset below start or above the end */
    weir_bytes bytes;     /* out: whole batches, the first one contains `offset`; empty at the end; until release */
    int64_t end_offset;   /* out: next offset to read after `bytes` */
    void *private_owner;
    log_read *next;       /* private */
    io_job job;           /* private */
    weir_error error;     /* private */
};
/* Served from the tail buffer when it can be (then done() comes in the same loop turn), else by a blocking lane. */
void log_read_start(log_read *read);
void log_read_release(log_read *read); /* after done(): gives the bytes back; idempotent */

/* First record with timestamp >= `timestamp_ms`: its offset and timestamp, or -1/-1 when there is none below the high
 * watermark. For LOG_TIMESTAMP_MAX the record with the largest timestamp. */
enum { LOG_TIMESTAMP_MAX = -3 };
typedef struct log_time_query log_time_query;
struct log_time_query {
    log_partition *partition;
    int64_t timestamp_ms;
    void (*done)(log_time_query *query, weir_status status);
    int64_t offset, found_timestamp_ms; /* out */
    void *private_owner;
    io_job job;           /* private */
    weir_error error;     /* private */
};
void log_time_query_start(log_time_query *query);

/* A long poll: posts `job` once to `lane` when the partition's durable end (with `ahead`: its end) has passed `offset`,
 * at once if it has already; also when the partition is deleted or goes offline. */
typedef struct log_waiter log_waiter;
struct log_waiter { /* caller's storage, until fired or cancelled */
    io_job *job;
    io_lane *lane;
    int64_t offset;
    bool ahead;
    bool waiting;          /* private */
    log_partition *partition;
    log_waiter *previous, *next; /* private */
};
void log_wait(log_partition *partition, log_waiter *waiter);
void log_wait_cancel(log_waiter *waiter);

#endif
