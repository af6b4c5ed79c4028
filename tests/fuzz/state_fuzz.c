/* Goal: no snapshot file and no changelog record can hurt a store: each is loaded or refused, and a store that refused
 * a snapshot is empty and can be filled.
 * Method: the input changes a whole snapshot (bytes set, ranges cut out, the end cut off) in the simulator's disk; half
 * of the time the checksums are then made right again, so that what is behind them is reached. Or the input is a
 * changelog record. What was loaded must be exported, viewed and saved. */
#include "base/crc32c.h"
#include "io/sim/io_sim.h"
#include "state/state.h"

#include <stdio.h>

enum {
    STATE_BYTES = 24,
    HEADER_BYTES = 56,
    FRAME_HEADER_BYTES = 8,
    IMAGE_BYTES_MAX = 64 * 1024,
    EDIT_BYTES = 5,
    ENTRIES = 40,
    MEMORY_BYTES_MAX = 64 << 20
};

static const state_options options[] = {
    {.state_bytes = STATE_BYTES, .layout = 7},
    {.state_bytes = STATE_BYTES, .layout = 7, .windowed = true, .retention_ms = 100000, .advance_ms = 1000},
    {.state_bytes = STATE_BYTES, .layout = 7, .windowed = true, .retention_ms = 1},
};
enum { OPTIONS_COUNT = sizeof options / sizeof *options };
static const state_snapshot_about about = {STATE_BYTES, 7, {1, 2, 3}, 99};

typedef struct fuzz_bench {
    weir_account account;
    weir_buffer image, exported;
    uint8_t *page;
} fuzz_bench;

static fuzz_bench bench;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    weir_account_init(&bench.account, "fuzz", 0);
    weir_buffer_init(&bench.image, &bench.account, IMAGE_BYTES_MAX);
    weir_buffer_init(&bench.exported, &bench.account, MEMORY_BYTES_MAX);
    bench.page = weir_alloc(&bench.account, STATE_EXPORT_BYTES_MIN);
    return 0;
}

static void check_ok(weir_status status) {
    weir_assert(!weir_failed(status));
}

static void fill(state_store *store, bool windowed) {
    for (uint32_t i = 0; i < ENTRIES; i++) {
        char text[16];
        state_entry *entry = NULL;
        const int64_t start = windowed ? (int64_t)(i % 5) * 1000 : STATE_NOT_WINDOWED;
        const weir_bytes key = {(const uint8_t *)text, (size_t)snprintf(text, sizeof text, "key %u", i)};
        const uint64_t hash = state_hash(key);
        check_ok(state_upsert(store, &key, &hash, &start, 1, &entry));
        entry->timestamp_ms = start + i;
        entry->state[0] = (uint8_t)i;
    }
    state_commit(store);
}

static void save(io_files *files, const state_store *store) {
    state_snapshot_writer *writer;
    state_cursor cursor = {0};
    size_t used = 0;
    uint32_t entries = 0;
    check_ok(state_snapshot_open(files, &bench.account, "snapshot", &about, &writer));
    for (;;) {
        state_export(store, &cursor, bench.page, STATE_EXPORT_BYTES_MIN, &used, &entries);
        if (!used) break;
        check_ok(state_snapshot_append(writer, weir_bytes_of(bench.page, used), entries));
    }
    check_ok(state_snapshot_finish(writer));
}

static void read_image(io_files *files) {
    io_file *file;
    io_file_info info;
    size_t got = 0;
    check_ok(io_open(files, "snapshot", IO_OPEN_READ, &file));
    check_ok(io_file_info_of(files, file, &info));
    weir_buffer_clear(&bench.image);
    uint8_t *space = weir_buffer_reserve(&bench.image, info.size);
    weir_assert(space != NULL);
    check_ok(io_read_at(files, file, 0, space, info.size, &got));
    bench.image.size = got;
    io_close(files, file);
}

static void write_image(io_files *files) {
    io_file *file;
    const weir_bytes bytes = weir_buffer_view(&bench.image);
    check_ok(io_open(files, "snapshot", IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_TRUNCATE, &file));
    if (bytes.size) check_ok(io_write_at(files, file, 0, &bytes, 1));
    io_close(files, file);
}

/* An edit: what, where (2 bytes), value, length. */
static void edit(const uint8_t *at) {
    const size_t size = bench.image.size;
    if (size == 0) return;
    const size_t from = (at[1] | (size_t)at[2] << 8) % size, length = at[4] < size - from ? at[4] : size - from;
    switch (at[0] % 4) {
    case 0: bench.image.data[from] = at[3]; break;
    case 1: memset(bench.image.data + from, at[3], length); break;
    case 2:
        memmove(bench.image.data + from, bench.image.data + from + length, size - from - length);
        bench.image.size -= length;
        break;
    default: bench.image.size = from; break;
    }
}

static void mend_checksums(void) {
    uint8_t *bytes = bench.image.data;
    const size_t size = bench.image.size;
    if (size < HEADER_BYTES) return;
    uint32_t crc = weir_crc32c(0, bytes, HEADER_BYTES - 4), length;
    memcpy(bytes + HEADER_BYTES - 4, &crc, 4);
    for (size_t at = HEADER_BYTES; size - at >= FRAME_HEADER_BYTES;) {
        memcpy(&length, bytes + at, 4);
        const size_t body = length ? length : 8;
        if (body > size - at - FRAME_HEADER_BYTES) return;
        crc = weir_crc32c(0, bytes + at + FRAME_HEADER_BYTES, body);
        memcpy(bytes + at + 4, &crc, 4);
        at += FRAME_HEADER_BYTES + body;
    }
}

/* Everything that reads a store. */
static void check_store(state_store *store) {
    state_view *view = NULL;
    state_cursor cursor = {0};
    size_t used = 0;
    uint64_t total = 0;
    uint32_t entries = 0;
    check_ok(state_view_create(store, (weir_bytes){0}, INT64_MIN, INT64_MAX, &view));
    for (uint32_t i = 0; i < state_view_count(view); i++) {
        const state_row row = state_view_row(view, i);
        int64_t timestamp;
        weir_assert(state_find_committed(store, row.key, row.window_start, &timestamp) != NULL);
        weir_assert(timestamp == row.timestamp_ms);
    }
    do {
        state_export(store, &cursor, bench.page, STATE_EXPORT_BYTES_MIN, &used, &entries);
        total += used ? entries : 0;
    } while (used);
    weir_assert(total == state_view_count(view) && total == state_entry_count(store));
    state_view_destroy(view);
}

static void check_snapshot(const state_options *of, const uint8_t *data, size_t size, bool mends) {
    io_sim *sim = io_sim_create(1);
    io_files *files = io_sim_world(sim)->files;
    state_store *store = NULL;
    int64_t offset = -1;
    check_ok(state_create(&bench.account, of, &store));
    fill(store, of->windowed);
    save(files, store);
    read_image(files);
    for (size_t at = 0; at + EDIT_BYTES <= size; at += EDIT_BYTES) edit(data + at);
    if (mends) mend_checksums();
    write_image(files);
    state_clear(store);
    const weir_status status = state_snapshot_load(files, "snapshot", &about, store, &offset);
    weir_assert(!weir_failed(status) || status.code == WEIR_CORRUPT || status.code == WEIR_NO_MEMORY);
    if (weir_failed(status)) weir_assert(state_entry_count(store) == 0);
    check_store(store);
    state_expire(store, state_timestamp_max(store));
    check_store(store);
    state_clear(store);
    fill(store, of->windowed);
    check_store(store);
    state_destroy(store);
    io_sim_destroy(sim);
}

static void check_record(const state_options *of, const uint8_t *data, size_t size) {
    state_store *store = NULL;
    const size_t key_bytes = size ? data[0] % size : 0;
    check_ok(state_create(&bench.account, of, &store));
    fill(store, of->windowed);
    for (int turn = 0; turn < 3; turn++) {
        const weir_bytes value = {turn == 1 ? NULL : data + key_bytes, turn == 1 ? 0 : size - key_bytes};
        const weir_status status = state_restore_record(store, weir_bytes_of(data, key_bytes), value);
        weir_assert(!weir_failed(status) || status.code == WEIR_CORRUPT);
        check_store(store);
    }
    state_destroy(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    const state_options *of = &options[data[1] % OPTIONS_COUNT];
    if (data[0] % 4 == 0)
        check_record(of, data + 2, size - 2);
    else
        check_snapshot(of, data + 2, size - 2, data[0] & 1);
    return 0;
}
