/* The journal: preallocated files `journal-<n>`, written one after another and reused.
 *
 *   file   block 0 (4096 bytes)              then frames, each beginning at a multiple of 4096
 *           0   8  "WEIRJRNL"                frame (one round of groups)
 *           8   4  version, 1                  0   4  "WJF1"
 *          12   4  crc32c of bytes 16..31      4   4  crc32c of everything that follows in the frame
 *          16   8  generation, random          8   8  bytes of the frame, without the zeroes up to the next block
 *          24   8  sequence of the first      16   8  generation of the file
 *                  frame                      24   8  sequence: 1, 2, 3 ... over the life of the store
 *                                             32   4  entries      36   4  groups      40   8  0
 *   numbers are little-endian                 48  32n entries: topic id (16), partition (4), bytes (4), base offset (8)
 *                                                     the batches of the entries, in their order
 *
 * A frame is whole or it is nothing: that makes groups atomic. Frames begin at blocks of their own, so that a torn
 * write cannot damage an older frame. Recovery takes the frames whose sequences go on without a gap from where the
 * checkpoint says; the first frame that does not fit ends the journal, and the next round is written over it. Only the
 * last frame can have been in flight, so a frame of this generation with a later sequence behind the end means that the
 * disk lost what it had promised: CORRUPT, never a silent cut. The generation is random because record bytes are
 * foreign: nobody can send a batch that a later recovery takes for a frame. */
#include "base/crc32c.h"
#include "base/text.h"
#include "base/trace.h"
#include "log/log_int.h"

#include <inttypes.h>
#include <stdio.h>

enum { FILE_VERSION = 1, FRAME_HEADER_BYTES = 48, FRAME_ENTRY_BYTES = 32, SEARCH_BYTES = 1 << 20 };
static const char FILE_MAGIC[8] = {'W', 'E', 'I', 'R', 'J', 'R', 'N', 'L'};
static const char FRAME_MAGIC[4] = {'W', 'J', 'F', '1'};

static uint64_t align_block(uint64_t bytes) {
    return (bytes + LOG_BLOCK_BYTES - 1) / LOG_BLOCK_BYTES * LOG_BLOCK_BYTES;
}

/* ---- writing: the journal lane ----------------------------------------------------------------------------------- */

static void encode_file_header(const log_journal_file *file, uint8_t block[LOG_BLOCK_BYTES]) {
    const uint32_t version = FILE_VERSION;
    memset(block, 0, LOG_BLOCK_BYTES);
    memcpy(block, FILE_MAGIC, 8);
    memcpy(block + 8, &version, 4);
    memcpy(block + 16, &file->generation, 8);
    memcpy(block + 24, &file->first_sequence, 8);
    const uint32_t crc = weir_crc32c(0, block + 16, 16);
    memcpy(block + 12, &crc, 4);
}

static size_t head_bytes(const log_round *round) {
    return FRAME_HEADER_BYTES + FRAME_ENTRY_BYTES * round->entry_count;
}

static void encode_head(const log_round *round, uint8_t *head) {
    const uint64_t bytes = head_bytes(round) + round->batch_bytes;
    const uint32_t entries = (uint32_t)round->entry_count;
    memcpy(head, FRAME_MAGIC, 4);
    memcpy(head + 8, &bytes, 8);
    memcpy(head + 16, &round->file->generation, 8);
    memcpy(head + 24, &round->sequence, 8);
    memcpy(head + 32, &entries, 4);
    memcpy(head + 36, &round->group_count, 4);
    uint8_t *at = head + FRAME_HEADER_BYTES;
    for (size_t i = 0; i < round->entry_count; i++, at += FRAME_ENTRY_BYTES) {
        const log_entry *entry = &round->entries[i];
        const uint32_t size = (uint32_t)entry->size;
        memcpy(at, entry->partition->id.topic_id, 16);
        memcpy(at + 16, &entry->partition->id.partition, 4);
        memcpy(at + 20, &size, 4);
        memcpy(at + 24, &entry->base_offset, 8);
    }
    uint32_t crc = weir_crc32c(0, head + 8, head_bytes(round) - 8);
    for (const log_chunk *chunk = round->chunk_first; chunk; chunk = chunk->next)
        crc = weir_crc32c(crc, chunk->data, chunk->size);
    memcpy(head + 4, &crc, 4);
}

static weir_status write_frame(log_store *store, log_round *round) {
    static const uint8_t zeroes[LOG_BLOCK_BYTES];
    size_t part_count = 3;
    for (const log_chunk *chunk = round->chunk_first; chunk; chunk = chunk->next) part_count++;
    weir_bytes *parts = weir_alloc(&store->account, part_count * sizeof *parts);
    uint8_t *head = weir_alloc(&store->account, head_bytes(round) + LOG_BLOCK_BYTES);
    size_t count = 0;
    if (round->file_begins) {
        encode_file_header(round->file, head);
        parts[count++] = weir_bytes_of(head, LOG_BLOCK_BYTES);
    }
    encode_head(round, head + LOG_BLOCK_BYTES);
    parts[count++] = weir_bytes_of(head + LOG_BLOCK_BYTES, head_bytes(round));
    for (const log_chunk *chunk = round->chunk_first; chunk; chunk = chunk->next)
        parts[count++] = weir_bytes_of(chunk->data, chunk->size);
    const uint64_t bytes = head_bytes(round) + round->batch_bytes;
    parts[count++] = weir_bytes_of(zeroes, align_block(bytes) - bytes);
    weir_assert(count <= part_count);
    const weir_status status =
        io_write_at(store->files, round->file->file, round->file_begins ? 0 : round->file_at, parts, count);
    weir_free(&store->account, head);
    weir_free(&store->account, parts);
    return status;
}

static void run_sync(io_job *job) {
    log_store *store = io_owner(job, log_store, sync_job);
    log_round *round = store->sync_next;
    weir_status status = write_frame(store, round);
#ifndef LOG_MUTANT_NO_SYNC
    if (!weir_failed(status)) status = io_sync(store->files, round->file->file);
#endif
    weir_error_set(&store->sync_error, weir_context(status, "journal"));
    log_post(store, store->lane, &store->synced_job);
}

/* ---- which file: the owner lane ---------------------------------------------------------------------------------- */

static bool is_prepared(const log_store *store, const log_journal_file *file) {
    if (file == store->journal_prepared) return false; /* the flush lane has it in hand */
    return file->state == LOG_JOURNAL_FREE && file->file && file->allocated_bytes >= store->journal_bytes;
}

static log_journal_file *find_spare(const log_store *store) {
    for (log_journal_file *file = store->journal_files; file; file = file->next)
        if (is_prepared(store, file)) return file;
    return NULL;
}

static bool is_empty(const log_journal_file *file) {
    return file->last_sequence < file->first_sequence;
}

static void make_current(log_store *store, log_journal_file *file) {
    if (store->current) store->current->state = LOG_JOURNAL_FULL;
    file->state = LOG_JOURNAL_CURRENT;
    file->position = LOG_BLOCK_BYTES;
    file->generation = io_random_u64(store->world->random);
    file->first_sequence = 1;
    file->last_sequence = 0;
    store->current = file;
}

/* The file for a frame of so many bytes, or NULL while one is on its way. */
static log_journal_file *choose_file(log_store *store, uint64_t bytes) {
    log_journal_file *file = store->current;
    const uint64_t end = file->position + bytes;
    log_journal_file *spare = find_spare(store);
    if (is_empty(file) || end <= file->allocated_bytes || (!spare && end <= store->journal_bytes)) return file;
    if (spare) {
        make_current(store, spare);
        store->flush_wanted = true;
        return spare;
    }
    bool full = false;
    for (log_journal_file *other = store->journal_files; other; other = other->next)
        if (other->state == LOG_JOURNAL_FULL && !other->held) full = true;
    if (full) {
        store->flush_wanted = true; /* at most two files wait for the segments' syncs: the unsynced tail is bounded */
        return NULL;
    }
    log_journal_prepare(store);
    if (store->preparing_journal) return NULL;
    return file; /* no room for another file: this one grows, or says so */
}

void log_journal_kick(log_store *store) {
    log_round *round = store->sync_next;
    if (!round || store->syncing || store->failed) return;
    const uint64_t bytes = align_block(head_bytes(round) + round->batch_bytes);
    log_journal_file *file = choose_file(store, bytes);
    if (!file) {
        log_flush_kick(store);
        return;
    }
    if (store->forming == round) store->forming = NULL;
    round->file = file;
    round->file_begins = is_empty(file) && file->position == LOG_BLOCK_BYTES;
    if (round->file_begins) file->first_sequence = round->sequence;
    if (round->file_begins) file->last_sequence = round->sequence - 1;
    round->file_at = file->position;
    round->file_bytes = bytes;
    store->syncing = true;
    log_post(store, store->journal_lane, &store->sync_job);
    log_flush_kick(store);
}

/* ---- preparing files: the flush lane does the work --------------------------------------------------------------- */

static weir_status journal_path(const log_store *store, unsigned number, char path[LOG_PATH_MAX]) {
    return log_path(store, path, "journal-%u", number);
}

static weir_status prepare_file(log_store *store, log_journal_file *file, uint64_t bytes) {
    char path[LOG_PATH_MAX];
    WEIR_TRY(journal_path(store, file->number, path));
    const bool fresh = file->file == NULL;
    if (fresh) WEIR_TRY(io_open(store->files, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &file->file));
    WEIR_TRY(io_preallocate(store->files, file->file, bytes));
    WEIR_TRY(io_sync(store->files, file->file));
    return fresh ? io_sync_directory(store->files, store->directory) : weir_ok();
}

static void run_prepare(io_job *job) {
    log_store *store = io_owner(job, log_store, journal_prepare_job);
    const weir_status status = prepare_file(store, store->journal_prepared, store->journal_bytes);
    store->prepare_failed = weir_failed(status);
    if (weir_failed(status)) weir_trace(WEIR_WARN, "log", "no new journal file: %s", status.text);
    log_post(store, store->lane, &store->journal_prepared_job);
}

static void run_prepared(io_job *job) {
    log_store *store = io_owner(job, log_store, journal_prepared_job);
    if (!store->prepare_failed) store->journal_prepared->allocated_bytes = store->journal_bytes;
    store->journal_prepared = NULL;
    store->preparing_journal = false;
    log_store_kick(store);
    log_store_check_stopped(store);
}

static log_journal_file *add_file(log_store *store, unsigned number) {
    log_journal_file *file = weir_alloc(&store->account, sizeof *file);
    file->number = number;
    file->first_sequence = 1;
    log_journal_file **link = &store->journal_files;
    while (*link && (*link)->number < number) link = &(*link)->next;
    file->next = *link;
    *link = file;
    if (number >= store->journal_next_number) store->journal_next_number = number + 1;
    return file;
}

/* Sees to it that a file of full size stands ready before the current one is full. */
void log_journal_prepare(log_store *store) {
    if (store->preparing_journal || store->prepare_failed || store->stopping || find_spare(store)) return;
    log_journal_file *chosen = NULL;
    unsigned others = 0;
    for (log_journal_file *file = store->journal_files; file; file = file->next) {
        if (file->state == LOG_JOURNAL_FREE) chosen = file;
        else if (file != store->current && !file->held) others++;
    }
    if (!chosen && others > 0) return; /* the full one comes back after the flush */
    if (!chosen) chosen = add_file(store, store->journal_next_number);
    store->journal_prepared = chosen;
    store->preparing_journal = true;
    log_post(store, store->flush_lane, &store->journal_prepare_job);
}

/* After a checkpoint: what lies before `replay_from` is not needed any more. */
void log_journal_release(log_store *store, uint64_t replay_from) {
    for (log_journal_file *file = store->journal_files; file; file = file->next) {
        if (file->state != LOG_JOURNAL_FULL) continue;
        if (file->last_sequence < replay_from) {
            file->state = LOG_JOURNAL_FREE;
            file->held = false;
        } else if (file->last_sequence <= store->stored_sequence) {
            file->held = true;
        }
    }
    store->prepare_failed = false;
}

/* Where the next recovery has to begin, when everything up to `flushed_sequence` is synced but for the partitions that
 * could not be: those that are offline, and those that nobody opened so far. */
uint64_t log_journal_replay_from(const log_store *store, uint64_t flushed_sequence) {
    uint64_t first = flushed_sequence + 1;
    for (const log_partition *partition = store->dirty_first; partition; partition = partition->dirty_next)
        if (partition->unflushed_sequence < first) first = partition->unflushed_sequence;
    if (first > flushed_sequence) return first;
    for (const log_journal_file *file = store->journal_files; file; file = file->next)
        if (file->state != LOG_JOURNAL_FREE && !is_empty(file) && file->first_sequence <= first &&
            first <= file->last_sequence)
            return file->first_sequence;
    weir_assert(!"the journal still has every round that is not flushed");
    return first;
}

void log_journal_init(log_store *store) {
    io_job_init(&store->sync_job, run_sync);
    io_job_init(&store->journal_prepare_job, run_prepare);
    io_job_init(&store->journal_prepared_job, run_prepared);
}

/* ---- recovery: log_open() ---------------------------------------------------------------------------------------- */

typedef struct frame {
    uint64_t bytes, sequence;
    uint32_t entry_count, group_count;
} frame;

typedef struct recovery {
    log_store *store;
    log_start_report *report;
    uint64_t expected;           /* sequence of the next frame */
    log_journal_file *last_file; /* of the last whole frame; NULL = none */
    uint64_t last_at, last_bytes;
} recovery;

static bool parse_frame_header(const uint8_t *at, uint64_t *generation, frame *parsed) {
    if (memcmp(at, FRAME_MAGIC, 4) != 0) return false;
    memcpy(&parsed->bytes, at + 8, 8);
    memcpy(generation, at + 16, 8);
    memcpy(&parsed->sequence, at + 24, 8);
    memcpy(&parsed->entry_count, at + 32, 4);
    memcpy(&parsed->group_count, at + 36, 4);
    return true;
}

static void note_batch(log_store *store, log_journal_file *file, const uint8_t *entry, uint64_t at,
                       const uint8_t *bytes, uint64_t sequence, log_start_report *report) {
    log_partition_id id;
    uint32_t size;
    int64_t base;
    memcpy(id.topic_id, entry, 16);
    memcpy(&id.partition, entry + 16, 4);
    memcpy(&size, entry + 20, 4);
    memcpy(&base, entry + 24, 8);
    wire_batch batch;
    log_partition *partition = log_partition_find(store, &id);
    if (!partition) partition = log_partition_create(store, &id);
    if (weir_failed(wire_batch_parse(weir_bytes_of(bytes, size), &batch)) || batch.base_offset != base) {
        partition->gap = true;
        return;
    }
    if (wire_batch_next_offset(&batch) <= partition->end_offset) return; /* its segment has it */
    if (base != partition->end_offset) {
        partition->gap = true;
        return;
    }
    partition->replay = log_grow(store, partition->replay, &partition->replay_capacity, partition->replay_count,
                                 sizeof *partition->replay);
    partition->replay[partition->replay_count++] =
        (log_replay){file->file, at, size, base, wire_batch_next_offset(&batch), sequence};
    partition->end_offset = partition->durable_end = wire_batch_next_offset(&batch);
    partition->size_bytes += size;
    log_partition_note_epoch(partition, batch.partition_leader_epoch, base);
    log_producer_note(partition, &batch);
    log_transaction_note(partition, &batch);
    log_partition_mark_dirty(partition, sequence);
    report->clean = false;
}

static weir_status note_entries(recovery *r, log_journal_file *file, const uint8_t *bytes, const frame *found) {
    uint64_t at = FRAME_HEADER_BYTES + (uint64_t)FRAME_ENTRY_BYTES * found->entry_count;
    for (uint32_t i = 0; i < found->entry_count; i++) {
        const uint8_t *entry = bytes + FRAME_HEADER_BYTES + (size_t)FRAME_ENTRY_BYTES * i;
        uint32_t size;
        memcpy(&size, entry + 20, 4);
        if (size > found->bytes - at)
            return weir_fail(WEIR_CORRUPT, "journal-%u: entry %u of round %" PRIu64 " is longer than its frame",
                             file->number, i, found->sequence);
        note_batch(r->store, file, entry, file->position + at, bytes + at, found->sequence, r->report);
        at += size;
    }
    return weir_ok();
}

/* The frame whose header stands at the file's position. */
static weir_status take_body(recovery *r, log_journal_file *file, const frame *found, bool *whole) {
    log_store *store = r->store;
    uint8_t *bytes = weir_try_alloc_raw(&store->tail_account, found->bytes);
    if (!bytes)
        return weir_fail(WEIR_NO_MEMORY, "no memory to read a journal frame of %" PRIu64 " bytes", found->bytes);
    size_t got;
    uint32_t crc = 0;
    weir_status status = io_read_at(store->files, file->file, file->position, bytes, found->bytes, &got);
    if (got == found->bytes) memcpy(&crc, bytes + 4, 4);
    *whole = !weir_failed(status) && got == found->bytes && weir_crc32c(0, bytes + 8, found->bytes - 8) == crc;
    if (*whole) status = note_entries(r, file, bytes, found);
    weir_free(&store->tail_account, bytes);
    return status;
}

/* The frame at the file's position, whole and as expected; its batches are noted. *whole = false ends the journal. */
static weir_status take_frame(recovery *r, log_journal_file *file, uint64_t file_bytes, bool *whole) {
    uint8_t header[FRAME_HEADER_BYTES];
    size_t got;
    uint64_t generation;
    frame found;
    *whole = false;
    if (file->position + sizeof header > file_bytes) return weir_ok();
    WEIR_TRY(io_read_at(r->store->files, file->file, file->position, header, sizeof header, &got));
    if (got < sizeof header || !parse_frame_header(header, &generation, &found) || generation != file->generation ||
        found.sequence != r->expected || found.bytes < FRAME_HEADER_BYTES ||
        found.bytes > file_bytes - file->position ||
        found.entry_count > (found.bytes - FRAME_HEADER_BYTES) / FRAME_ENTRY_BYTES)
        return weir_ok();
    WEIR_TRY(take_body(r, file, &found, whole));
    if (!*whole) {
        r->report->bytes_cut += found.bytes;
#ifdef LOG_MUTANT_NO_TRUNCATE
        file->position += align_block(found.bytes);
#endif
        return weir_ok();
    }
    r->last_file = file;
    r->last_at = file->position;
    r->last_bytes = found.bytes;
    r->expected++;
    r->report->groups_replayed += found.group_count;
    r->report->clean = false;
    file->last_sequence = found.sequence;
    file->position += align_block(found.bytes);
    return weir_ok();
}

/* Nothing that came later may lie behind the end: in a live file nothing of its generation, in one whose header cannot
 * be read nothing at all. */
static weir_status check_end(const recovery *r, const log_journal_file *file, uint64_t from, uint64_t wanted) {
    io_files *files = r->store->files;
    uint8_t *bytes = weir_alloc(&r->store->account, SEARCH_BYTES);
    weir_status status = weir_ok();
    size_t got = SEARCH_BYTES;
    for (uint64_t at = from; got == SEARCH_BYTES && !weir_failed(status); at += SEARCH_BYTES) {
        status = io_read_at(files, file->file, at, bytes, SEARCH_BYTES, &got);
        for (size_t i = 0; !weir_failed(status) && i + FRAME_HEADER_BYTES <= got; i += LOG_BLOCK_BYTES) {
            frame found;
            uint64_t generation;
            if (!parse_frame_header(bytes + i, &generation, &found) || found.sequence <= r->expected ||
                (wanted != 0 && generation != wanted))
                continue;
            status = weir_fail(WEIR_CORRUPT,
                               "journal-%u: round %" PRIu64 " is damaged, but round %" PRIu64
                               " follows it: the disk lost acknowledged data; restore the folder from a copy",
                               file->number, r->expected, found.sequence);
        }
    }
    weir_free(&r->store->account, bytes);
    return status;
}

static weir_status scan_file(recovery *r, log_journal_file *file) {
    io_file_info info;
    WEIR_TRY(io_file_info_of(r->store->files, file->file, &info));
    file->last_sequence = r->expected - 1;
    for (bool whole = true; whole;) WEIR_TRY(take_frame(r, file, info.size, &whole));
    return weir_ok();
}

static weir_status read_file_header(log_store *store, log_journal_file *file) {
    uint8_t block[32];
    uint32_t version, crc;
    size_t got;
    char path[LOG_PATH_MAX];
    io_file_info info;
    WEIR_TRY(journal_path(store, file->number, path));
    WEIR_TRY(io_open(store->files, path, IO_OPEN_WRITE, &file->file));
    WEIR_TRY(io_file_info_of(store->files, file->file, &info));
    file->allocated_bytes = info.size;
    WEIR_TRY(io_read_at(store->files, file->file, 0, block, sizeof block, &got));
    if (got < sizeof block || memcmp(block, FILE_MAGIC, 8) != 0) return weir_ok(); /* never used */
    memcpy(&version, block + 8, 4);
    memcpy(&crc, block + 12, 4);
    if (crc != weir_crc32c(0, block + 16, 16)) return weir_ok(); /* torn together with its first frame */
    if (version != FILE_VERSION)
        return weir_fail(WEIR_UNSUPPORTED, "%s has format %u, this weir reads %d", path, version, FILE_VERSION);
    memcpy(&file->generation, block + 16, 8);
    memcpy(&file->first_sequence, block + 24, 8);
    file->has_header = true;
    return weir_ok();
}

static void visit_journal(const char *name, void *arg) {
    int64_t number;
    if (strncmp(name, "journal-", 8) != 0 || !weir_parse_i64(weir_bytes_text(name + 8), &number)) return;
    if (number >= 0 && number < UINT16_MAX) add_file(arg, (unsigned)number);
}

/* The live file that begins next, or NULL. */
static log_journal_file *next_live(const log_store *store, uint64_t after) {
    log_journal_file *next = NULL;
    for (log_journal_file *file = store->journal_files; file; file = file->next)
        if (file->generation != 0 && file->state == LOG_JOURNAL_FULL && file->first_sequence > after &&
            (!next || file->first_sequence < next->first_sequence))
            next = file;
    return next;
}

/* Replays the live files in the order of their sequences. */
static weir_status scan_live(recovery *r) {
    log_store *store = r->store;
    bool begun = false;
    for (log_journal_file *file = next_live(store, 0); file; file = next_live(store, file->first_sequence)) {
        const bool goes_on = file->generation == store->replay_generation && store->replay_position != 0;
        if (goes_on ? begun : file->first_sequence != r->expected)
            return weir_fail(WEIR_CORRUPT,
                             "journal-%u begins with round %" PRIu64 ", expected %" PRIu64
                             ": the disk lost acknowledged data; restore the folder from a copy",
                             file->number, file->first_sequence, r->expected);
        file->position = goes_on ? store->replay_position : LOG_BLOCK_BYTES;
        WEIR_TRY(scan_file(r, file));
        store->current = file;
        begun = true;
    }
    if (!begun && store->replay_generation != 0)
        return weir_fail(WEIR_CORRUPT,
                         "%s: the journal file that the checkpoint names is not there; restore the folder from a copy",
                         store->directory);
    for (log_journal_file *file = store->journal_files; file && !r->report->clean; file = file->next) {
        if (file->state == LOG_JOURNAL_FULL) WEIR_TRY(check_end(r, file, file->position, file->generation));
        if (!file->has_header) WEIR_TRY(check_end(r, file, LOG_BLOCK_BYTES, 0));
    }
    return weir_ok();
}

static weir_status write_again(const recovery *r) {
    log_store *store = r->store;
    const bool is_first = r->last_at == LOG_BLOCK_BYTES;
    const uint64_t at = is_first ? 0 : r->last_at;
    const uint64_t size = r->last_bytes + r->last_at - at;
    uint8_t *bytes = weir_try_alloc_raw(&store->tail_account, size);
    if (!bytes) return weir_fail(WEIR_NO_MEMORY, "no memory to write a journal frame of %" PRIu64 " bytes", size);
    size_t got;
    weir_status status = io_read_at(store->files, r->last_file->file, at, bytes, size, &got);
    const weir_bytes part = weir_bytes_of(bytes, got);
    if (!weir_failed(status)) status = io_write_at(store->files, r->last_file->file, at, &part, 1);
    weir_free(&store->tail_account, bytes);
    return status;
}

/* After a crash of the process alone, frames may be in the page cache only; nothing is shown that is not on the disk.
 * And after a failed sync the last round may be in the cache, counted as clean by the system, and never have reached
 * the disk: it is written again, or a second sync would promise what is not there. */
static weir_status secure_live(const recovery *r) {
    if (r->last_file) WEIR_TRY(write_again(r));
    for (log_journal_file *file = r->store->journal_files; file; file = file->next)
        if (file->state != LOG_JOURNAL_FREE) WEIR_TRY(io_sync(r->store->files, file->file));
    return weir_ok();
}

weir_status log_journal_open(log_store *store, log_start_report *report) {
    WEIR_TRY(io_list(store->files, store->directory, visit_journal, store));
    for (log_journal_file *file = store->journal_files; file; file = file->next) {
        WEIR_TRY(read_file_header(store, file));
        const bool live = file->generation != 0 && (file->generation == store->replay_generation ||
                                                    file->first_sequence >= store->replay_from);
        file->state = live ? LOG_JOURNAL_FULL : LOG_JOURNAL_FREE;
        if (!live) file->generation = 0;
    }
    recovery r = {.store = store, .report = report, .expected = store->replay_from};
    WEIR_TRY(scan_live(&r));
    if (!report->clean) WEIR_TRY(secure_live(&r));
    store->next_sequence = r.expected;
    store->durable_sequence = store->stored_sequence = store->next_sequence - 1;
    if (store->current) {
        store->current->state = LOG_JOURNAL_CURRENT;
        store->stored_generation = store->current->generation;
        store->stored_position = store->current->position;
        return weir_ok();
    }
    log_journal_file *file = store->journal_files;
    if (!file) {
        file = add_file(store, 0);
        file->allocated_bytes =
            store->journal_bytes < LOG_JOURNAL_FIRST_BYTES ? store->journal_bytes : LOG_JOURNAL_FIRST_BYTES;
        WEIR_TRY(prepare_file(store, file, file->allocated_bytes));
    }
    make_current(store, file);
    return weir_ok();
}

void log_journal_close(log_store *store) {
    while (store->journal_files) {
        log_journal_file *file = store->journal_files;
        store->journal_files = file->next;
        if (file->file) io_close(store->files, file->file);
        weir_free(&store->account, file);
    }
}
