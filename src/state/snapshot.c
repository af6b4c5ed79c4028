#include "state/state_int.h"

#include "base/crc32c.h"

#include <stdio.h>

enum {
    PATH_BYTES_MAX = 1024,
    SNAPSHOT_VERSION = 1,
    HEADER_BYTES = 56,
    FRAME_HEADER_BYTES = 8,
    FRAME_BYTES_MAX = STATE_EXPORT_BYTES_MIN * 4
};
static const char magic[8] = {'W', 'E', 'I', 'R', 'S', 'N', 'A', 'P'};

struct state_snapshot_writer {
    io_files *files;
    weir_account *account;
    io_file *file;
    uint64_t at;
    uint64_t entries;
    char path[PATH_BYTES_MAX];
    char part[PATH_BYTES_MAX + 8];
};

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void write_header(uint8_t *header, const state_snapshot_about *about) {
    const uint32_t version = SNAPSHOT_VERSION;
    memset(header, 0, HEADER_BYTES);
    memcpy(header, magic, 8);
    memcpy(header + 8, &version, 4);
    memcpy(header + 12, &about->state_bytes, 4);
    memcpy(header + 16, &about->layout, 8);
    memcpy(header + 24, about->topic_id, 16);
    memcpy(header + 40, &about->changelog_offset, 8);
    const uint32_t crc = weir_crc32c(0, header, HEADER_BYTES - 4);
    memcpy(header + HEADER_BYTES - 4, &crc, 4);
}

static weir_status append(state_snapshot_writer *writer, const weir_bytes *parts, size_t count) {
    WEIR_TRY(io_write_at(writer->files, writer->file, writer->at, parts, count));
    for (size_t i = 0; i < count; i++) writer->at += parts[i].size;
    return weir_ok();
}

weir_status state_snapshot_open(io_files *files, weir_account *account, const char *path,
                                const state_snapshot_about *about, state_snapshot_writer **writer) {
    if (strlen(path) >= PATH_BYTES_MAX) return weir_fail(WEIR_INVALID, "snapshot path %s is too long", path);
    state_snapshot_writer *made = weir_alloc(account, sizeof *made);
    made->files = files;
    made->account = account;
    snprintf(made->path, sizeof made->path, "%s", path);
    snprintf(made->part, sizeof made->part, "%s.part", path);
    weir_status status = io_open(files, made->part, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_TRUNCATE, &made->file);
    if (weir_failed(status)) {
        weir_free(account, made);
        return status;
    }
    uint8_t header[HEADER_BYTES];
    write_header(header, about);
    status = append(made, &(weir_bytes){header, sizeof header}, 1);
    if (weir_failed(status)) {
        state_snapshot_abandon(made);
        return status;
    }
    *writer = made;
    return weir_ok();
}

weir_status state_snapshot_append(state_snapshot_writer *writer, weir_bytes payload, uint32_t entries) {
    weir_assert(payload.size && payload.size <= FRAME_BYTES_MAX);
    uint8_t frame[FRAME_HEADER_BYTES];
    const uint32_t bytes = (uint32_t)payload.size, crc = weir_crc32c(0, payload.data, payload.size);
    memcpy(frame, &bytes, 4);
    memcpy(frame + 4, &crc, 4);
    WEIR_TRY(append(writer, (weir_bytes[]){{frame, sizeof frame}, payload}, 2));
    writer->entries += entries;
    return weir_ok();
}

static weir_status write_end(state_snapshot_writer *writer) {
    uint8_t end[FRAME_HEADER_BYTES + 8] = {0};
    memcpy(end + 8, &writer->entries, 8);
    const uint32_t crc = weir_crc32c(0, end + 8, 8);
    memcpy(end + 4, &crc, 4);
    WEIR_TRY(append(writer, &(weir_bytes){end, sizeof end}, 1));
    return io_sync(writer->files, writer->file);
}

static weir_status sync_folder(io_files *files, const char *path) {
    char folder[PATH_BYTES_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == folder) slash++;
    if (slash) *slash = 0;
    return io_sync_directory(files, slash ? folder : ".");
}

weir_status state_snapshot_finish(state_snapshot_writer *writer) {
    weir_status status = write_end(writer);
    if (weir_failed(status)) {
        state_snapshot_abandon(writer);
        return status;
    }
    io_close(writer->files, writer->file);
    status = io_rename(writer->files, writer->part, writer->path);
    if (!weir_failed(status)) status = sync_folder(writer->files, writer->path);
    weir_free(writer->account, writer);
    return status;
}

void state_snapshot_abandon(state_snapshot_writer *writer) {
    if (!writer) return;
    io_close(writer->files, writer->file);
    /* A part that stays is truncated by the next snapshot; nobody reads it. */
    const weir_status removed = io_remove(writer->files, writer->part);
    (void)removed;
    weir_free(writer->account, writer);
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static weir_status read_all(io_files *files, io_file *file, uint64_t at, void *target, size_t bytes) {
    size_t got;
    WEIR_TRY(io_read_at(files, file, at, target, bytes, &got));
    return got == bytes ? weir_ok()
                        : weir_fail(WEIR_CORRUPT, "the file ends at byte %llu", (unsigned long long)(at + got));
}

static weir_status check_header(const uint8_t *header, const state_snapshot_about *expected,
                                int64_t *changelog_offset) {
    uint32_t version, state_bytes, crc;
    uint64_t layout;
    memcpy(&version, header + 8, 4);
    memcpy(&state_bytes, header + 12, 4);
    memcpy(&layout, header + 16, 8);
    memcpy(changelog_offset, header + 40, 8);
    memcpy(&crc, header + HEADER_BYTES - 4, 4);
    if (memcmp(header, magic, 8) != 0 || crc != weir_crc32c(0, header, HEADER_BYTES - 4))
        return weir_fail(WEIR_CORRUPT, "the header is damaged");
    if (version != SNAPSHOT_VERSION)
        return weir_fail(WEIR_CORRUPT, "version %u, this weir reads %d", version, SNAPSHOT_VERSION);
    if (state_bytes != expected->state_bytes || layout != expected->layout)
        return weir_fail(WEIR_CORRUPT, "it belongs to another definition of the query");
    if (memcmp(header + 24, expected->topic_id, 16) != 0)
        return weir_fail(WEIR_CORRUPT, "it belongs to another changelog");
    return weir_ok();
}

static weir_status load_frames(io_files *files, io_file *file, state_store *store, uint8_t *payload) {
    uint64_t at = HEADER_BYTES, entries = 0;
    for (;;) {
        uint8_t frame[FRAME_HEADER_BYTES];
        uint32_t bytes, crc;
        WEIR_TRY(read_all(files, file, at, frame, sizeof frame));
        memcpy(&bytes, frame, 4);
        memcpy(&crc, frame + 4, 4);
        const size_t body = bytes ? bytes : 8;
        if (body > FRAME_BYTES_MAX)
            return weir_fail(WEIR_CORRUPT, "a frame of %u bytes at %llu", bytes, (unsigned long long)at);
        WEIR_TRY(read_all(files, file, at + sizeof frame, payload, body));
        if (crc != weir_crc32c(0, payload, body))
            return weir_fail(WEIR_CORRUPT, "the frame at byte %llu is damaged", (unsigned long long)at);
        if (!bytes) break;
        WEIR_TRY(state_import(store, (weir_bytes){payload, bytes}, &entries));
        at += sizeof frame + bytes;
    }
    uint64_t expected;
    memcpy(&expected, payload, 8);
    return expected == entries ? weir_ok() : weir_fail(WEIR_CORRUPT, "it holds %llu entries of %llu",
                                                       (unsigned long long)entries, (unsigned long long)expected);
}

static weir_status load(io_files *files, io_file *file, const state_snapshot_about *expected, state_store *store,
                        int64_t *changelog_offset) {
    uint8_t header[HEADER_BYTES];
    WEIR_TRY(read_all(files, file, 0, header, sizeof header));
    WEIR_TRY(check_header(header, expected, changelog_offset));
    uint8_t *payload = weir_try_alloc_raw(state_account(store), FRAME_BYTES_MAX);
    if (!payload) return weir_fail(WEIR_NO_MEMORY, "no memory to read a snapshot");
    const weir_status status = load_frames(files, file, store, payload);
    weir_free(state_account(store), payload);
    return status;
}

weir_status state_snapshot_load(io_files *files, const char *path, const state_snapshot_about *expected,
                                state_store *store, int64_t *changelog_offset) {
    weir_assert(state_entry_count(store) == 0);
    io_file *file;
    WEIR_TRY(io_open(files, path, IO_OPEN_READ, &file));
    const weir_status status = load(files, file, expected, store, changelog_offset);
    io_close(files, file);
    if (weir_failed(status)) state_clear(store);
    return weir_context(status, "snapshot %s", path);
}
