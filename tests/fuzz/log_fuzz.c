/* Goal: whatever becomes of the bytes of a data folder, opening it gives an error or what was written up to some point,
 * and never a crash or a hang; and what opens takes new records.
 * Method: two folders are made once in the simulator, one stopped cleanly, one left as a crash leaves it. An input is a
 * list of edits (bytes set, ranges filled or cut out, ends cut off) of their files. The folder so changed is opened,
 * every partition is read from its start, appended to and read again. A batch that is read must be the one written at
 * its offset, unless its own checksum tells its reader. */
#include "base/trace.h"
#include "io/sim/io_sim.h"
#include "log/log.h"
#include "wire/record_batch.h"

#include <stdio.h>

enum {
    FILES_MAX = 64,
    PATH_BYTES_MAX = 160,
    PARTITIONS = 2,
    BATCHES = 12, /* a partition, half of them before a checkpoint */
    BATCH_BYTES_MAX = 512,
    EDIT_BYTES = 6,
    STEPS_MAX = 200000,
    EPOCH_AT = 12 /* of a batch: its leader epoch, outside of its checksum */
};

typedef struct image_file {
    char path[PATH_BYTES_MAX];
    bool is_directory;
    weir_buffer bytes;
} image_file;

typedef struct image { /* a data folder */
    image_file files[FILES_MAX];
    uint32_t count;
} image;

typedef struct written {
    uint8_t bytes[BATCH_BYTES_MAX];
    size_t size;
} written;

typedef struct fuzz_bench {
    weir_account account;
    image images[2];
    written batches[PARTITIONS][BATCHES]; /* batch i begins at offset 2 i */
    weir_buffer scratch, work;
} fuzz_bench;

static fuzz_bench bench;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ok(weir_status status) {
    weir_assert(!weir_failed(status));
}

/* ---- a store in a world ------------------------------------------------------------------------------------------ */

typedef struct node {
    io_sim *sim;
    const io_world *world;
    io_lane *lane;
    log_store *store;
    log_partition *partitions[PARTITIONS];
} node;

static void node_begin(node *n) {
    *n = (node){.sim = io_sim_create(1)};
    n->world = io_sim_world(n->sim);
    n->lane = io_lane_create(n->world->executor, IO_LANE_LOOP, "main");
}

static bool is_set(void *flag) {
    return *(bool *)flag;
}

static void node_until(node *n, bool *flag) {
    if (!*flag) weir_assert(io_sim_run(n->sim, is_set, flag, STEPS_MAX) == IO_SIM_DONE);
}

static weir_status node_open(node *n) {
    const log_config config = {.world = n->world,
                               .lane = n->lane,
                               .directory = "data",
                               .segment_bytes = 600,
                               .journal_bytes = 32 * 1024,
                               .tail_bytes = 1000};
    log_start_report report;
    WEIR_TRY(log_open(&n->store, &config, &report));
    for (int i = 0; i < PARTITIONS; i++) {
        const log_partition_id id = {.topic_id = {7}, .partition = i};
        check_ok(log_partition_open(n->store, &id, "topic", NULL, &n->partitions[i]));
    }
    return weir_ok();
}

typedef struct stopped {
    io_job job;
    bool is_done;
} stopped;

static void stop_run(io_job *job) {
    io_owner(job, stopped, job)->is_done = true;
}

static void node_close(node *n, bool cleanly) {
    stopped s = {0};
    io_job_init(&s.job, stop_run);
    log_stop(n->store, &s.job);
    node_until(n, &s.is_done);
    if (!cleanly)
        log_abandon(n->store);
    else
        (void)!weir_failed(log_close(n->store));
    n->store = NULL;
}

typedef struct append {
    log_group group;
    log_batch batch;
    weir_code code;
    bool is_done;
} append;

static void append_done(log_group *group, weir_status status) {
    append *a = io_owner(group, append, group);
    a->code = status.code;
    a->is_done = true;
}

/* One batch of two records; its offset, or -1 when the store does not take it. */
static int64_t node_append(node *n, int partition, int salt) {
    wire_builder builder;
    weir_buffer_clear(&bench.work);
    wire_builder_begin(&builder, &bench.work);
    for (int i = 0; i < 2; i++) {
        uint8_t value[40];
        for (size_t at = 0; at < sizeof value; at++) value[at] = (uint8_t)(salt * 31 + partition * 7 + i + (int)at);
        wire_builder_add(&builder, 1000 + salt, weir_bytes_text("key"), weir_bytes_of(value, sizeof value), NULL, 0);
    }
    wire_batch_options options = wire_batch_options_default;
    options.producer_id = 5;
    options.producer_epoch = 0;
    options.base_sequence = 2 * salt;
    check_ok(wire_builder_finish(&builder, &options, NULL, NULL));
    append a = {.batch = {.partition = n->partitions[partition], .bytes = bench.work.data, .size = bench.work.size}};
    a.group = (log_group){.batches = &a.batch, .count = 1, .done = append_done};
    if (weir_failed(log_append(n->store, &a.group))) return -1;
    node_until(n, &a.is_done);
    return a.code == WEIR_OK ? a.batch.base_offset : -1;
}

typedef struct reading {
    log_read read;
    weir_code code;
    bool is_done;
} reading;

static void reading_done(log_read *read, weir_status status) {
    reading *r = io_owner(read, reading, read);
    r->code = status.code;
    r->is_done = true;
}

/* Calls `see` for each batch from the offset to the durable end; false when reading failed. */
static bool node_read(node *n, int partition, int64_t offset, void (*see)(int partition, const wire_batch *batch)) {
    while (offset < log_high_watermark(n->partitions[partition])) {
        reading r = {0};
        r.read = (log_read){
            .partition = n->partitions[partition], .offset = offset, .max_bytes = 700, .done = reading_done};
        log_read_start(&r.read);
        node_until(n, &r.is_done);
        if (r.code != WEIR_OK) {
            log_read_release(&r.read);
            return false;
        }
        weir_assert(r.read.bytes.size > 0 && r.read.end_offset > offset);
        for (weir_bytes left = r.read.bytes; left.size > 0;) {
            wire_batch batch;
            check_ok(wire_batch_parse(left, &batch));
            see(partition, &batch);
            left.data += batch.size_bytes;
            left.size -= batch.size_bytes;
        }
        offset = r.read.end_offset;
        log_read_release(&r.read);
    }
    return true;
}

/* ---- images ------------------------------------------------------------------------------------------------------ */

static void keep(int partition, const wire_batch *batch) {
    weir_assert(batch->base_offset % 2 == 0 && batch->base_offset / 2 < BATCHES);
    written *kept = &bench.batches[partition][batch->base_offset / 2];
    weir_assert(batch->bytes.size == batch->size_bytes && batch->size_bytes <= BATCH_BYTES_MAX);
    memcpy(kept->bytes, batch->bytes.data, batch->size_bytes);
    kept->size = batch->size_bytes;
}

static void compare(int partition, const wire_batch *batch) {
    if (weir_failed(wire_batch_check_crc(batch))) return; /* its reader is told */
    weir_assert(batch->base_offset >= 0 && batch->base_offset % 2 == 0 && batch->base_offset / 2 < BATCHES);
    const written *kept = &bench.batches[partition][batch->base_offset / 2];
    weir_assert(batch->size_bytes == kept->size);
    weir_assert(memcmp(batch->bytes.data, kept->bytes, EPOCH_AT) == 0);
    weir_assert(memcmp(batch->bytes.data + EPOCH_AT + 4, kept->bytes + EPOCH_AT + 4, kept->size - EPOCH_AT - 4) == 0);
}

static void nothing_more(int partition, const wire_batch *batch) {
    (void)partition;
    check_ok(wire_batch_check_crc(batch));
}

typedef struct listing {
    image *into;
    const char *folder;
    io_files *files;
} listing;

static void keep_file(const char *name, void *arg) {
    const listing *l = arg;
    weir_assert(l->into->count < FILES_MAX);
    image_file *file = &l->into->files[l->into->count++];
    io_file_info info;
    io_file *opened;
    size_t got = 0;
    snprintf(file->path, sizeof file->path, "%s/%s", l->folder, name);
    check_ok(io_path_info(l->files, file->path, &info));
    weir_buffer_init(&file->bytes, &bench.account, 1 << 20);
    file->is_directory = info.is_directory;
    if (info.is_directory) return;
    check_ok(io_open(l->files, file->path, IO_OPEN_READ, &opened));
    uint8_t *space = weir_buffer_reserve(&file->bytes, info.size + 1);
    check_ok(io_read_at(l->files, opened, 0, space, info.size, &got));
    file->bytes.size = got;
    io_close(l->files, opened);
}

static void make_image(image *into, bool cleanly) {
    node n;
    node_begin(&n);
    for (int half = 0; half < 2; half++) {
        check_ok(node_open(&n));
        for (int i = half * BATCHES / 2; i < (half + 1) * BATCHES / 2; i++)
            for (int partition = 0; partition < PARTITIONS; partition++)
                weir_assert(node_append(&n, partition, i) == 2 * i);
        for (int partition = 0; half == 1 && partition < PARTITIONS; partition++)
            weir_assert(node_read(&n, partition, 0, keep));
        node_close(&n, half == 0 || cleanly);
    }
    listing l = {into, "data", n.world->files};
    check_ok(io_list(l.files, l.folder, keep_file, &l));
    for (uint32_t i = 0, folders = into->count; i < folders; i++) {
        l.folder = into->files[i].path;
        if (into->files[i].is_directory) check_ok(io_list(l.files, l.folder, keep_file, &l));
    }
    io_sim_destroy(n.sim);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    weir_account_init(&bench.account, "fuzz", 0);
    weir_buffer_init(&bench.scratch, &bench.account, 1 << 20);
    weir_buffer_init(&bench.work, &bench.account, 1 << 20);
    weir_trace_set_level(WEIR_ERROR);
    make_image(&bench.images[1], false);
    make_image(&bench.images[0], true);
    return 0;
}

/* ---- an input ---------------------------------------------------------------------------------------------------- */

/* file, what, where (2 bytes), value, length */
static void edit(const uint8_t *at, weir_buffer *bytes) {
    if (bytes->size == 0) return;
    const size_t from = (at[2] | (size_t)at[3] << 8) % bytes->size,
                 length = at[5] < bytes->size - from ? at[5] : bytes->size - from;
    switch (at[1] % 4) {
    case 0: bytes->data[from] = at[4]; break;
    case 1: memset(bytes->data + from, at[4], length); break;
    case 2:
        memmove(bytes->data + from, bytes->data + from + length, bytes->size - from - length);
        bytes->size -= length;
        break;
    default: bytes->size = from; break;
    }
}

static void write_image(node *n, const image *from, const uint8_t *edits, size_t size) {
    io_files *files = n->world->files;
    check_ok(io_make_directory(files, "data"));
    for (uint32_t i = 0; i < from->count; i++) {
        const image_file *file = &from->files[i];
        io_file *opened;
        if (file->is_directory) {
            check_ok(io_make_directory(files, file->path));
            continue;
        }
        weir_buffer_clear(&bench.scratch);
        weir_buffer_append(&bench.scratch, file->bytes.data, file->bytes.size);
        for (size_t at = 0; at + EDIT_BYTES <= size; at += EDIT_BYTES)
            if (edits[at] % from->count == i) edit(edits + at, &bench.scratch);
        const weir_bytes bytes = weir_buffer_view(&bench.scratch);
        check_ok(io_open(files, file->path, IO_OPEN_WRITE | IO_OPEN_CREATE, &opened));
        if (bytes.size) check_ok(io_write_at(files, opened, 0, &bytes, 1));
        io_close(files, opened);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    node n;
    node_begin(&n);
    write_image(&n, &bench.images[data[0] & 1], data + 1, size - 1);
    if (!weir_failed(node_open(&n))) {
        for (int i = 0; i < PARTITIONS; i++) {
            if (!node_read(&n, i, log_start_offset(n.partitions[i]), compare)) continue;
            const int64_t offset = node_append(&n, i, BATCHES);
            if (offset >= 0) (void)node_read(&n, i, offset, nothing_more);
        }
        node_close(&n, true);
    }
    io_sim_destroy(n.sim);
    return 0;
}
