/* bus - the engine's only view of topics: row blocks in, atomic commits out. Two implementations behind one vtable:
 * bus/embedded (the log in this process) and, on a cluster, bus/kafka. flow/ and all above see this header only.
 *
 * Nothing here blocks: whoever finds nothing to read parks and is posted when there is; whoever commits is told later.
 * Threads: a reader and a commit belong to the lane they were opened for; every call comes from jobs of that lane, and
 * every job is posted to it. The implementation does the crossing to the broker's lane. */
#ifndef WEIR_BUS_BUS_H
#define WEIR_BUS_BUS_H

#include "data/batch.h"
#include "io/io.h"

enum { BUS_TOPIC_NAME_MAX = 249, BUS_OFFSET_EARLIEST = -2, BUS_OFFSET_LATEST = -1 };

typedef struct bus bus;

typedef struct bus_topic_info {
    bool exists;
    uint8_t topic_id[16];
    int32_t partition_count;
} bus_topic_info;

/* ---- row blocks: what a reader hands out ------------------------------------------------------------------------- */

typedef struct bus_row {
    int64_t offset;
    int64_t timestamp_ms;
    weir_bytes key;      /* data == NULL: null key */
    weir_bytes value;    /* data == NULL: null value */
    weir_bytes headers;  /* raw: the header count varint and what follows, as in the record */
} bus_row;

typedef struct bus_block { /* rows of one partition in offset order; borrowed views into `buffer`'s memory */
    data_buffer buffer;    /* first member: retain it to keep the views alive */
    int32_t partition;
    uint32_t count;
    int64_t next_offset;   /* where reading goes on after this block (control batches and gaps are skipped) */
    int64_t high_watermark;
    const bus_row *rows;
} bus_block;

typedef struct bus_reader bus_reader;

/* ---- commits ----------------------------------------------------------------------------------------------------- */

/* One atomic commit: records for any topics and partitions, and the consumed offsets, become durable and visible
 * together or not at all. Records of one partition keep the order they were added in. */
typedef struct bus_commit bus_commit;


typedef struct bus_vtable {
    /* Asynchronous topic administration: `done` gets the answer on `lane`. */
    void (*topic_describe)(bus *self, io_lane *lane, const char *topic,
                           void (*done)(void *arg, weir_status status, const bus_topic_info *info), void *arg);
    /* EXISTS (with info) when it is there. config: Kafka's topic property names, `config_count` pairs. */
    void (*topic_create)(bus *self, io_lane *lane, const char *topic, int32_t partition_count,
                         const char *const (*config)[2], size_t config_count,
                         void (*done)(void *arg, weir_status status, const bus_topic_info *info), void *arg);
    void (*topic_delete)(bus *self, io_lane *lane, const char *topic, void (*done)(void *arg, weir_status status),
                         void *arg);
    /* The group's committed offset of a partition; -1 = none. */
    void (*committed)(bus *self, io_lane *lane, const char *group, const char *topic, int32_t partition,
                      void (*done)(void *arg, weir_status status, int64_t offset), void *arg);

    /* The partition's durable end. */
    void (*end_offset)(bus *self, io_lane *lane, const char *topic, int32_t partition,
                       void (*done)(void *arg, weir_status status, int64_t offset), void *arg);

    /* Opens a reader at `offset` (or BUS_OFFSET_EARLIEST / LATEST). It fetches ahead by itself up to `ahead_bytes` and
     * posts `wake` to `lane` when an empty reader gets a block or fails. */
    weir_status (*reader_open)(bus *self, io_lane *lane, const char *topic, int32_t partition, int64_t offset,
                               size_t ahead_bytes, io_job *wake, bus_reader **reader);
    /* The next block, retained for the caller (data_buffer_release(&block->buffer) when done), or NULL: parked. A
     * failure (topic deleted, offset out of range, partition offline) is returned once and stays. */
    weir_status (*reader_next)(bus_reader *reader, bus_block **block);
    /* High watermark as last seen: lag = end - position. -1 while it was never seen; `wake` is posted when it first is,
     * so that whoever reads to the end of an empty partition learns that it is empty. */
    int64_t (*reader_end)(bus_reader *reader);
    /* The offset that it began at, whatever it was asked for; -1 until the end is known too. */
    int64_t (*reader_start)(bus_reader *reader);
    void (*reader_close)(bus_reader *reader); /* `wake` is not posted any more; blocks handed out stay valid */

    bus_commit *(*commit_begin)(bus *self, io_lane *lane, const char *group); /* NULL: no offsets will be committed */
    /* Copies key, value and headers. `partition` -1 = by murmur2 of the key, round robin for null keys. Fails with FULL
     * when the commit has reached its size limit: the caller commits now and adds again. */
    weir_status (*commit_add)(bus_commit *commit, const char *topic, int32_t partition, const bus_row *row);
    weir_status (*commit_offset)(bus_commit *commit, const char *topic, int32_t partition, int64_t next_offset);
    /* Makes the commit conditional: it fails with FENCED unless the partition, to which it has records, ends at
     * `end_offset` when its turn comes. So whoever writes a partition alone may have several commits under way, whose
     * turns come in the order of the sends: what follows a failed one fails as well. */
    void (*commit_expect)(bus_commit *commit, const char *topic, int32_t partition, int64_t end_offset);
    size_t (*commit_bytes)(const bus_commit *commit);
    /* Sends it. `done` is posted when it is durable or failed; until then the commit may not be touched. */
    void (*commit_send)(bus_commit *commit, io_job *done);
    weir_status (*commit_result)(bus_commit *commit); /* after `done` */
    /* After `done`: the end offset that the commit's records reached in a partition; -1 = none there. */
    int64_t (*commit_end_offset)(const bus_commit *commit, const char *topic, int32_t partition);
    void (*commit_free)(bus_commit *commit); /* also abandons one that was not sent */
} bus_vtable;

struct bus {
    const bus_vtable *vtable;
};

#endif
