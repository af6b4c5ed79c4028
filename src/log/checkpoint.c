/* The checkpoint: what of every partition is surely in synced segments, and where in the journal recovery begins.
 *
 *   at size                                              per partition
 *    0   8  "WEIRCKPT"                                   16  topic id           4  partition
 *    8   4  version, 2                                    8  start offset       8  end offset of what is synced
 *   12   4  crc32c of everything from 16 on               8  last segment       8  synced bytes of it
 *   16   4  leader epoch                                  8  bytes in the segments before it
 *   20   4  partitions                                    4  entries of its .index that are synced, 4 of .timeindex
 *   24   8  first round to replay                         4  epochs, each 4 epoch, 8 start offset
 *   32   8  generation of the journal file in which       4  producers, each 8 id, 2 epoch, 2 batches,
 *   40   8  that round begins, and where; 0 0 = in a            each 4 first sequence, 4 last, 8 base offset, 8 end
 *           file of its own
 *
 * and since version 2 per partition: 8 end offset of the batches whose transactions are known; 4 open transactions,
 * each 8 producer id, 8 first offset; 4 aborted ones, each 8 producer id, 8 first offset, 8 offset of the marker,
 * 8 last stable offset behind it. Since version 3 as well: 8 base offset of the first segment, 8 its largest timestamp
 * or -1; files of segments before it are what retention did not come to remove. Since version 4: 8 base offset of a
 * segment that compaction may have replaced or -1, 8 its bytes before, which the sum above holds, 8 those after it.
 *
 * Numbers are little-endian. Replaced as a whole: written to `checkpoint.new`, synced, renamed, the directory synced.
 * `.clean` holds the number of the first round after a clean stop, in decimal; it is removed at the next start, and
 * believed only if it agrees with the checkpoint. */
#include "base/crc32c.h"
#include "base/text.h"
#include "log/log_int.h"

#include <inttypes.h>

enum {
    CHECKPOINT_VERSION = 4,
    CHECKPOINT_VERSION_OLDEST = 1,
    CHECKPOINT_HEADER_BYTES = 48,
    CHECKPOINT_BYTES_MAX = 1 << 30
};
static const char MAGIC[8] = {'W', 'E', 'I', 'R', 'C', 'K', 'P', 'T'};

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void put32(weir_buffer *target, uint32_t value) {
    weir_buffer_append(target, &value, sizeof value);
}

static void put64(weir_buffer *target, uint64_t value) {
    weir_buffer_append(target, &value, sizeof value);
}

/* What is not durable yet must not be claimed: after a crash its retry would look like a duplicate. */
static void encode_producer(const log_producer *producer, int64_t durable_end, weir_buffer *target) {
    size_t durable = 0;
    while (durable < producer->count && producer->batches[durable].end_offset <= durable_end) durable++;
    const uint16_t count = durable < LOG_PRODUCER_BATCHES ? (uint16_t)durable : LOG_PRODUCER_BATCHES;
    put64(target, (uint64_t)producer->id);
    weir_buffer_append(target, &producer->epoch, 2);
    weir_buffer_append(target, &count, 2);
    for (size_t i = durable - count; i < durable; i++) {
        put32(target, (uint32_t)producer->batches[i].first_sequence);
        put32(target, (uint32_t)producer->batches[i].last_sequence);
        put64(target, (uint64_t)producer->batches[i].base_offset);
        put64(target, (uint64_t)producer->batches[i].end_offset);
    }
}

#ifdef LOG_MUTANT_ABORTS_FORGOTTEN
enum { KEEPS_ABORTED = false };
#else
enum { KEEPS_ABORTED = true };
#endif

/* As of the durable end, as above. */
static void encode_transactions(const log_partition *partition, weir_buffer *target) {
    const log_transactions *list = &partition->transactions;
    const int64_t end = partition->durable_end;
    put64(target, (uint64_t)(list->noted_end < end ? list->noted_end : end));
    const size_t at = target->size;
    uint32_t count = 0;
    put32(target, 0);
    for (size_t i = 0; i < list->open_count; i++) {
        const log_transaction *open = &list->open[i];
        if (open->first_offset >= end || (open->marker_offset >= 0 && open->marker_offset < end)) continue;
        put64(target, (uint64_t)open->producer_id);
        put64(target, (uint64_t)open->first_offset);
        count++;
    }
    if (!target->overflowed) memcpy(target->data + at, &count, 4);
    count = 0;
    while (KEEPS_ABORTED && count < list->aborted_count && list->aborted[count].last_offset < end) count++;
    put32(target, count);
    for (uint32_t i = 0; i < count; i++) {
        const log_aborted *aborted = &list->aborted[i];
        put64(target, (uint64_t)aborted->producer_id);
        put64(target, (uint64_t)aborted->first_offset);
        put64(target, (uint64_t)aborted->last_offset);
        put64(target, (uint64_t)aborted->stable_offset);
    }
}

static void encode_partition(const log_partition *partition, weir_buffer *target) {
    const int64_t start =
        partition->trim_offset > partition->start_offset ? partition->trim_offset : partition->start_offset;
    const log_mark marked = log_retention_mark(partition, start), *mark = &marked;
    weir_buffer_append(target, partition->id.topic_id, 16);
    put32(target, (uint32_t)partition->id.partition);
    put64(target, (uint64_t)(start < mark->end_offset ? start : mark->end_offset));
    put64(target, (uint64_t)mark->end_offset);
    put64(target, (uint64_t)mark->segment_base);
    put64(target, mark->position);
    put64(target, mark->older_bytes);
    put32(target, mark->index_count);
    put32(target, mark->time_count);
    uint32_t epochs = 0;
    while (epochs < partition->epoch_count && partition->epochs[epochs].start_offset < partition->durable_end) epochs++;
    put32(target, epochs);
    for (uint32_t i = 0; i < epochs; i++) {
        put32(target, (uint32_t)partition->epochs[i].epoch);
        put64(target, (uint64_t)partition->epochs[i].start_offset);
    }
    put32(target, (uint32_t)partition->producers.count);
    void *value;
    for (size_t at = 0; weir_map_next(&partition->producers, &at, NULL, &value);)
        encode_producer(value, partition->durable_end, target);
    encode_transactions(partition, target);
    put64(target, (uint64_t)mark->first_base);
    put64(target, (uint64_t)mark->first_max_timestamp);
    put64(target, (uint64_t)partition->swap.base);
    put64(target, partition->swap.old_bytes);
    put64(target, partition->swap.new_bytes);
}

void log_checkpoint_encode(log_store *store, uint64_t replay_from, uint64_t generation, uint64_t position,
                           weir_buffer *target) {
    weir_buffer_append(target, MAGIC, 8);
    put32(target, CHECKPOINT_VERSION);
    put32(target, 0);
    put32(target, (uint32_t)store->leader_epoch);
    put32(target, 0);
    put64(target, replay_from);
    put64(target, generation);
    put64(target, position);
    uint32_t count = 0;
    void *value;
    for (size_t at = 0; weir_map_next(&store->partitions, &at, NULL, &value);) {
        const log_partition *partition = value;
        if (!partition->flushed.present || partition->deleted) continue;
        encode_partition(partition, target);
        count++;
    }
    if (target->overflowed) return;
    memcpy(target->data + 20, &count, 4);
    const uint32_t crc = weir_crc32c(0, target->data + 16, target->size - 16);
    memcpy(target->data + 12, &crc, 4);
}

/* Replaces a small file so that a crash leaves the old or the new one. */
weir_status log_file_replace(log_store *store, const char *name, weir_bytes bytes) {
    char path[LOG_PATH_MAX], fresh[LOG_PATH_MAX];
    WEIR_TRY(log_path(store, path, "%s", name));
    WEIR_TRY(log_path(store, fresh, "%s.new", name));
    io_file *file;
    WEIR_TRY(io_open(store->files, fresh, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_TRUNCATE, &file));
    weir_status status = io_write_at(store->files, file, 0, &bytes, 1);
    if (!weir_failed(status)) status = io_sync(store->files, file);
    io_close(store->files, file);
    WEIR_TRY(status);
    WEIR_TRY(io_rename(store->files, fresh, path));
    return io_sync_directory(store->files, store->directory);
}

weir_status log_checkpoint_write(log_store *store, weir_bytes bytes) {
    return weir_context(log_file_replace(store, "checkpoint", bytes), "checkpoint");
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

typedef struct input {
    const uint8_t *at, *end;
    bool damaged;
    uint32_t version;
} input;

static uint64_t take(input *in, size_t bytes) {
    uint64_t value = 0;
    if ((size_t)(in->end - in->at) < bytes) {
        in->damaged = true;
        return 0;
    }
    memcpy(&value, in->at, bytes);
    in->at += bytes;
    return value;
}

static void decode_producer(log_partition *partition, input *in) {
    const int64_t id = (int64_t)take(in, 8);
    const int16_t epoch = (int16_t)take(in, 2);
    const uint64_t count = take(in, 2);
    if (in->damaged || count > LOG_PRODUCER_BATCHES || log_producer_find(partition, id)) {
        in->damaged = true;
        return;
    }
    log_producer *producer = log_producer_create(partition, id);
    producer->epoch = epoch;
    for (uint64_t i = 0; i < count; i++) {
        const int32_t first = (int32_t)take(in, 4), last = (int32_t)take(in, 4);
        const int64_t base = (int64_t)take(in, 8), end = (int64_t)take(in, 8);
        log_producer_push(producer, (log_producer_batch){first, last, base, end});
    }
}

static void decode_transactions(log_partition *partition, input *in) {
    partition->transactions.noted_end = (int64_t)take(in, 8);
    for (uint64_t left = take(in, 4); left > 0 && !in->damaged; left--) {
        const int64_t id = (int64_t)take(in, 8);
        log_transaction_begin(partition, id, (int64_t)take(in, 8));
    }
    for (uint64_t left = take(in, 4); left > 0 && !in->damaged; left--) {
        log_aborted aborted;
        aborted.producer_id = (int64_t)take(in, 8);
        aborted.first_offset = (int64_t)take(in, 8);
        aborted.last_offset = (int64_t)take(in, 8);
        aborted.stable_offset = (int64_t)take(in, 8);
        log_transaction_add_aborted(partition, &aborted);
        partition->store->transaction_count++;
    }
}

static void decode_partition(log_store *store, input *in) {
    log_partition_id id;
    if (in->end - in->at < LOG_ID_BYTES) {
        in->damaged = true;
        return;
    }
    memcpy(id.topic_id, in->at, 16);
    in->at += 16;
    id.partition = (int32_t)take(in, 4);
    if (log_partition_find(store, &id)) {
        in->damaged = true;
        return;
    }
    log_partition *partition = log_partition_create(store, &id);
    log_mark *mark = &partition->flushed;
    mark->present = true;
    partition->start_offset = (int64_t)take(in, 8);
    mark->end_offset = (int64_t)take(in, 8);
    mark->segment_base = (int64_t)take(in, 8);
    mark->position = take(in, 8);
    mark->older_bytes = take(in, 8);
    mark->index_count = (uint32_t)take(in, 4);
    mark->time_count = (uint32_t)take(in, 4);
    partition->end_offset = partition->durable_end = partition->stored_end = mark->end_offset;
    partition->size_bytes = mark->older_bytes + mark->position;
    for (uint64_t left = take(in, 4); left > 0 && !in->damaged; left--) {
        const int32_t epoch = (int32_t)take(in, 4);
        log_partition_note_epoch(partition, epoch, (int64_t)take(in, 8));
    }
    for (uint64_t left = take(in, 4); left > 0 && !in->damaged; left--) decode_producer(partition, in);
    if (in->version >= 2) decode_transactions(partition, in);
    mark->first_base = in->version >= 3 ? (int64_t)take(in, 8) : 0;
    mark->first_max_timestamp = in->version >= 3 ? (int64_t)take(in, 8) : -1;
    if (in->version < 4) return;
    partition->swap.base = (int64_t)take(in, 8);
    partition->swap.old_bytes = take(in, 8);
    partition->swap.new_bytes = take(in, 8);
}

static weir_status decode(log_store *store, const uint8_t *bytes, size_t size) {
    uint32_t version, crc;
    if (size < CHECKPOINT_HEADER_BYTES || memcmp(bytes, MAGIC, 8) != 0)
        return weir_fail(WEIR_CORRUPT, "%s/checkpoint is not a checkpoint; restore the folder from a copy",
                         store->directory);
    memcpy(&version, bytes + 8, 4);
    if (version < CHECKPOINT_VERSION_OLDEST || version > CHECKPOINT_VERSION)
        return weir_fail(WEIR_UNSUPPORTED, "%s/checkpoint has format %u, this weir reads %d", store->directory, version,
                         CHECKPOINT_VERSION);
    memcpy(&crc, bytes + 12, 4);
    input in = {bytes + 16, bytes + size, crc != weir_crc32c(0, bytes + 16, size - 16), version};
    store->leader_epoch = (int32_t)take(&in, 4);
    uint64_t count = take(&in, 4);
    store->replay_from = take(&in, 8);
    store->replay_generation = take(&in, 8);
    store->replay_position = take(&in, 8);
    for (; count > 0 && !in.damaged; count--) decode_partition(store, &in);
    if (in.damaged || in.at != in.end)
        return weir_fail(WEIR_CORRUPT, "%s/checkpoint is damaged; restore the folder from a copy", store->directory);
    return weir_ok();
}

static weir_status read_whole(log_store *store, const char *name, weir_buffer *target) {
    char path[LOG_PATH_MAX];
    io_file *file;
    io_file_info info;
    size_t got = 0;
    WEIR_TRY(log_path(store, path, "%s", name));
    WEIR_TRY(io_open(store->files, path, IO_OPEN_READ, &file));
    weir_status status = io_file_info_of(store->files, file, &info);
    uint8_t *space = weir_failed(status) ? NULL : weir_buffer_reserve(target, info.size);
    if (!weir_failed(status) && !space) status = weir_fail(WEIR_NO_MEMORY, "%s has %" PRIu64 " bytes", path, info.size);
    if (!weir_failed(status)) status = io_read_at(store->files, file, 0, space, info.size, &got);
    target->size += got;
    io_close(store->files, file);
    return status;
}

weir_status log_checkpoint_read(log_store *store, bool *found) {
    weir_buffer bytes;
    weir_buffer_init(&bytes, &store->account, CHECKPOINT_BYTES_MAX);
    weir_status status = read_whole(store, "checkpoint", &bytes);
    *found = status.code != WEIR_NOT_FOUND;
    if (!*found) {
        status = weir_ok();
        store->replay_from = 1;
    } else if (!weir_failed(status)) {
        status = decode(store, bytes.data, bytes.size);
    }
    weir_buffer_deinit(&bytes);
    return status;
}

/* ---- .clean ------------------------------------------------------------------------------------------------------ */

weir_status log_clean_write(log_store *store, uint64_t next_sequence) {
    char text[WEIR_I64_TEXT_MAX];
    return log_file_replace(store, ".clean", weir_bytes_of(text, weir_format_i64(text, (int64_t)next_sequence)));
}

bool log_clean_take(log_store *store, uint64_t next_sequence) {
    weir_buffer text;
    int64_t number = -1;
    char path[LOG_PATH_MAX];
    weir_buffer_init(&text, &store->account, LOG_BLOCK_BYTES);
    bool clean = !weir_failed(read_whole(store, ".clean", &text)) && weir_parse_i64(weir_buffer_view(&text), &number) &&
                 number == (int64_t)next_sequence;
    weir_buffer_deinit(&text);
    if (clean) clean = !weir_failed(log_path(store, path, ".clean")) && !weir_failed(io_remove(store->files, path));
    return clean;
}
