/* wire/record_batch - Kafka's record batch, magic 2 (KIP-98): what producers send, partitions store and consumers
 * fetch.
 *
 *   at size                                          at size
 *    0   8  base_offset                              27   8  base_timestamp, ms
 *    8   4  batch_length: bytes after this field     35   8  max_timestamp, ms
 *   12   4  partition_leader_epoch                   43   8  producer_id, -1 = none
 *   16   1  magic, 2                                 51   2  producer_epoch
 *   17   4  crc: crc32c of everything from 21 on     53   4  base_sequence
 *   21   2  attributes                               57   4  record_count
 *   23   4  last_offset_delta                        61      records, compressed as one run
 *
 *   attributes: bits 0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon in base_timestamp
 *   a record:   varint length; int8 0; varlong timestamp delta; varint offset delta;
 *               varint key length (-1 = null), key; varint value length (-1 = null), value;
 *               varint header count; per header: varint key length, key, varint value length (-1 = null), value
 *   All varints are zigzag.
 *
 * Numbers are big-endian. base_offset and partition_leader_epoch lie outside the checksum, so that a broker can set
 * them.
 *
 * Nothing here believes a length: parsing a header checks it against itself and the bytes at hand, the iterator checks
 * every record against its batch, and damage is CORRUPT with the base offset and the record's place. All views point
 * into the caller's bytes (or into `scratch` for compressed batches) and live as long as those.
 * Threads: no state of its own; everything belongs to its caller. */
#ifndef WEIR_WIRE_RECORD_BATCH_H
#define WEIR_WIRE_RECORD_BATCH_H

#include "base/buffer.h"
#include "wire/compress.h"

enum {
    WIRE_BATCH_HEADER_BYTES = 61,
    WIRE_BATCH_PREFIX_BYTES = 12, /* base_offset and batch_length, which batch_length does not count */
    WIRE_BATCH_MAGIC_BYTES = 17,  /* enough of a batch for wire_batch_size() */
    WIRE_RECORD_OVERHEAD_MAX = 5 + 1 + 10 + 5 + 5 + 5 + 5, /* bytes of a record without headers beside key and value */
    WIRE_HEADER_OVERHEAD_MAX = 5 + 5
};

enum wire_batch_attribute {
    WIRE_BATCH_CODEC_MASK = 7,
    WIRE_BATCH_LOG_APPEND_TIME = 1 << 3, /* every record's timestamp is max_timestamp */
    WIRE_BATCH_TRANSACTIONAL = 1 << 4,
    WIRE_BATCH_CONTROL = 1 << 5,       /* one control record: a transaction marker or a Raft message */
    WIRE_BATCH_DELETE_HORIZON = 1 << 6 /* base_timestamp is when the batch's tombstones may go */
};

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* A parsed and checked header. */
typedef struct wire_batch {
    weir_bytes bytes;  /* the whole batch; empty after wire_batch_parse_header() */
    size_t size_bytes; /* of the whole batch, header included */
    int64_t base_offset;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id;
    int32_t partition_leader_epoch;
    int32_t last_offset_delta;
    int32_t base_sequence;
    int32_t record_count;
    uint32_t crc;
    int16_t producer_epoch;
    uint16_t attributes;
    wire_codec codec;
} wire_batch;

static inline int64_t wire_batch_last_offset(const wire_batch *batch) {
    return batch->base_offset + batch->last_offset_delta;
}
static inline int64_t wire_batch_next_offset(const wire_batch *batch) {
    return wire_batch_last_offset(batch) + 1;
}
/* Sequences wrap from INT32_MAX to 0. -1 for a batch without a producer. */
int32_t wire_batch_last_sequence(const wire_batch *batch);
static inline bool wire_batch_is(const wire_batch *batch, enum wire_batch_attribute attribute) {
    return (batch->attributes & attribute) != 0;
}
static inline bool wire_batch_has_producer(const wire_batch *batch) {
    return batch->producer_id >= 0;
}

/* The size that the first WIRE_BATCH_MAGIC_BYTES or more of a batch announce; CORRUPT for a length that no batch can
 * have, UNSUPPORTED for magic 0 or 1 (Kafka before 0.11). The size may exceed `input`. */
weir_status wire_batch_size(weir_bytes input, size_t *size_bytes) WEIR_MUST_USE;

/* Parses the header at the start of `input` (at least WIRE_BATCH_HEADER_BYTES) and checks length, magic, attributes,
 * counts and offsets, not the checksum. The records need not be there: for scanning a file by its headers. */
weir_status wire_batch_parse_header(weir_bytes input, wire_batch *batch) WEIR_MUST_USE;

/* As wire_batch_parse_header(), and the whole batch must lie in `input`; batch->bytes is set. More batches may follow:
 * the next begins at batch->size_bytes. */
weir_status wire_batch_parse(weir_bytes input, wire_batch *batch) WEIR_MUST_USE;

/* CORRUPT when the checksum differs. After wire_batch_parse(). */
weir_status wire_batch_check_crc(const wire_batch *batch) WEIR_MUST_USE;

/* What a producer must have kept to (Kafka's LogValidator): at least one record, as many as the offset range, no
 * control batch, no delete horizon, a transactional batch has a producer, a producer has epoch and sequence. INVALID
 * says what is broken. The checksum and the records themselves are checked elsewhere. */
weir_status wire_batch_check_produced(const wire_batch *batch) WEIR_MUST_USE;

typedef struct wire_record {
    int64_t offset;
    int64_t timestamp;  /* ms; the batch's append time where that is its kind */
    weir_bytes key;     /* data NULL = null */
    weir_bytes value;   /* data NULL = null, a tombstone */
    weir_bytes headers; /* header_count headers as on the wire; walk them with wire_headers_next() */
    int32_t header_count;
    int32_t offset_delta;
} wire_record;

typedef struct wire_header {
    weir_bytes key;   /* text, never null */
    weir_bytes value; /* data NULL = null */
} wire_header;

/* Walks the records of a batch:
 *
 *     WEIR_TRY(wire_records_open(&records, &batch, compressor, &scratch, max_bytes));
 *     while (wire_records_next(&records, &record)) ...
 *     WEIR_TRY(wire_records_status(&records));
 */
typedef struct wire_records {
    const uint8_t *at; /* private, as all below */
    const uint8_t *end;
    const wire_batch *batch;
    int32_t index;
    int32_t last_delta;
    const char *damage; /* static text, NULL while all is well */
} wire_records;

/* `batch` comes from wire_batch_parse() and outlives the walk. Compressed records are decompressed into `scratch`,
 * which is cleared first, up to `records_max` bytes; `compressor` and `scratch` may be NULL for a batch that is not
 * compressed. CORRUPT or NO_MEMORY when that fails. */
weir_status wire_records_open(wire_records *records, const wire_batch *batch, wire_compressor *compressor,
                              weir_buffer *scratch, size_t records_max) WEIR_MUST_USE;
/* false at the end and at damage; wire_records_status() tells which. Checks every length, headers included, and that
 * offsets grow and stay within the batch. Allocates nothing. */
bool wire_records_next(wire_records *records, wire_record *record);
/* After the walk: CORRUPT at damage, fewer or more records than the header says, or bytes left over. */
weir_status wire_records_status(const wire_records *records) WEIR_MUST_USE;

/* Takes the next header off the front of `headers` (a copy of record.headers). false when none is left. The record came
 * from wire_records_next(), so its headers are known to be whole. */
bool wire_headers_next(weir_bytes *headers, wire_header *header);

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* Builds one batch at the end of `target`; several builders may follow one another on the same buffer. Records become
 * bytes at once; finish() compresses them and writes the header. */
typedef struct wire_builder {
    weir_buffer *target;
    size_t start; /* private, as all below */
    int64_t base_timestamp;
    int64_t max_timestamp;
    int32_t record_count;
    int32_t last_delta;
    bool has_base_timestamp;
} wire_builder;

typedef struct wire_batch_options {
    int64_t base_offset;
    int64_t producer_id;
    int32_t base_sequence;
    int32_t partition_leader_epoch;
    int32_t last_offset_delta; /* raises the range beyond the last record, for compaction; -1 = the last record's */
    int16_t producer_epoch;
    uint16_t attributes; /* flags of wire_batch_attribute; the codec bits come from `codec` */
    wire_codec codec;
    int level;
    int64_t append_time_ms; /* max_timestamp where attributes have WIRE_BATCH_LOG_APPEND_TIME */
} wire_batch_options;

/* No producer, no codec, offset 0, leader epoch -1 (unknown). */
extern const wire_batch_options wire_batch_options_default;

void wire_builder_begin(wire_builder *builder, weir_buffer *target);
/* For a batch with a delete horizon: its base_timestamp is given, not the first record's. */
void wire_builder_begin_at(wire_builder *builder, weir_buffer *target, int64_t base_timestamp);

/* Appends a record with the next offset. A full `target` is told by finish(). */
void wire_builder_add(wire_builder *builder, int64_t timestamp, weir_bytes key, weir_bytes value,
                      const wire_header *headers, int32_t header_count);
/* Appends a record as it was read, with its own offset_delta, which must be greater than the last one's. */
void wire_builder_add_record(wire_builder *builder, const wire_record *record);

/* Bytes of the batch so far, before compression, header included. */
static inline size_t wire_builder_bytes(const wire_builder *builder) {
    return builder->target->size - builder->start;
}
static inline int32_t wire_builder_count(const wire_builder *builder) {
    return builder->record_count;
}

/* Completes the batch: compresses when options->codec says so and it helps, writes header and checksum. `compressor`
 * and `scratch` (cleared first; its maximum a fifth above the records' bytes, for the codecs' worst case) may be NULL
 * without a codec. A batch without records is legal (compaction keeps a producer's last sequence so). NO_MEMORY when
 * `target` was too small; `target` is then as before begin(). */
weir_status wire_builder_finish(wire_builder *builder, const wire_batch_options *options, wire_compressor *compressor,
                                weir_buffer *scratch) WEIR_MUST_USE;
/* Gives the batch up: `target` is as before begin(). */
void wire_builder_abandon(wire_builder *builder);

/* ---- changing in place ------------------------------------------------------------------------------------------- */

/* `batch` is a whole batch that wire_batch_parse() accepted. The first two lie outside the checksum. */
void wire_batch_set_base_offset(uint8_t *batch, int64_t base_offset);
void wire_batch_set_leader_epoch(uint8_t *batch, int32_t leader_epoch);
/* Log append time: sets the attribute and max_timestamp, and computes the checksum again. */
void wire_batch_set_append_time(uint8_t *batch, int64_t append_time_ms);
/* Create time with a corrected maximum, checksum again. */
void wire_batch_set_max_timestamp(uint8_t *batch, int64_t max_timestamp_ms);

/* ---- control batches --------------------------------------------------------------------------------------------- */

typedef enum wire_control {
    WIRE_CONTROL_ABORT,
    WIRE_CONTROL_COMMIT,
    WIRE_CONTROL_LEADER_CHANGE,
    WIRE_CONTROL_SNAPSHOT_HEADER,
    WIRE_CONTROL_SNAPSHOT_FOOTER,
    WIRE_CONTROL_KRAFT_VERSION,
    WIRE_CONTROL_KRAFT_VOTERS
} wire_control;

/* The kind in a control record's key; false when the key is no control key. Kinds beyond the list pass through. */
bool wire_control_of(const wire_record *record, int16_t *control) WEIR_MUST_USE;
/* The one record of a control batch; `value` is the message's bytes. */
void wire_builder_add_control(wire_builder *builder, int64_t timestamp, wire_control control, weir_bytes value);
/* Appends a whole transaction marker, one control batch with offset 0. NO_MEMORY when `target` is full. */
weir_status wire_marker_append(weir_buffer *target, int64_t timestamp, bool commit, int64_t producer_id,
                               int16_t producer_epoch, int32_t coordinator_epoch) WEIR_MUST_USE;

#endif
