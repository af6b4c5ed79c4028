/* What durability costs: one fdatasync a file against one journal, for 1, 12 and 1,000 partitions.
 *
 *   bench_log [FOLDER]      FOLDER (default: a new one in the working directory) must lie on the disk to be measured
 *
 * A round gives each partition one batch of a kilobyte and ends when all are durable. Per file: every file is written
 * and synced in turn, by one thread, through the same seam. Journal: the real log_store, one group a partition, all
 * appended at once. Printed are the 50th and the 99th percentile of a round, the CPU seconds of the whole process per
 * thousand rounds (for the journal with the writing of segments and checkpoints behind), and the ratios. */
#include "io/real/io_real.h"
#include "log/log.h"
#include "wire/record_batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PARTITIONS_MAX = 1000, ROUNDS_MAX = 2000, VALUE_BYTES = 900, SECONDS = 3 };

typedef struct figures {
    double p50_ms, p99_ms, cpu_seconds, open_ms;
    unsigned rounds;
} figures;

typedef struct member {
    log_group group;
    log_batch batch;
    weir_buffer bytes;
    struct bench *bench;
} member;

typedef struct bench {
    io_real *real;
    const io_world *world;
    io_lane *lane;
    log_store *store;
    weir_account account;
    char folder[256];
    unsigned count, waiting;
    bool is_stopped;
    int64_t taken_ns[ROUNDS_MAX];
    member members[PARTITIONS_MAX];
    io_file *files[PARTITIONS_MAX];
    io_job stopped_job;
} bench;

static void must(weir_status status) {
    if (!weir_failed(status)) return;
    fprintf(stderr, "bench_log: %s\n", status.text);
    exit(1);
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int compare_ns(const void *a, const void *b) {
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* Runs rounds for so long, or so many, after one that is not counted. */
static figures measure(bench *b, void (*round)(bench *b, unsigned number)) {
    io_clock *clock = b->world->clock;
    round(b, 0);
    const double cpu_before = cpu_seconds();
    const int64_t end_ns = io_now_ns(clock) + (int64_t)SECONDS * 1000000000;
    figures found = {.rounds = 0};
    while (found.rounds < ROUNDS_MAX && (found.rounds < 20 || io_now_ns(clock) < end_ns)) {
        const int64_t start_ns = io_now_ns(clock);
        round(b, found.rounds + 1);
        b->taken_ns[found.rounds++] = io_now_ns(clock) - start_ns;
    }
    found.cpu_seconds = (cpu_seconds() - cpu_before) * 1000 / found.rounds;
    qsort(b->taken_ns, found.rounds, sizeof b->taken_ns[0], compare_ns);
    found.p50_ms = (double)b->taken_ns[found.rounds / 2] / 1e6;
    found.p99_ms = (double)b->taken_ns[found.rounds * 99 / 100] / 1e6;
    return found;
}

static void make_batch(bench *b, weir_buffer *bytes) {
    static uint8_t value[VALUE_BYTES];
    wire_builder builder;
    b->world->random->fill(b->world->random, value, sizeof value);
    weir_buffer_init(bytes, &b->account, 1 << 20);
    wire_builder_begin(&builder, bytes);
    wire_builder_add(&builder, 0, weir_bytes_text("key"), weir_bytes_of(value, sizeof value), NULL, 0);
    must(wire_builder_finish(&builder, &wire_batch_options_default, NULL, NULL));
}

/* ---- one sync a file ---- */

static void round_per_file(bench *b, unsigned number) {
    for (unsigned i = 0; i < b->count; i++) {
        const weir_bytes part = weir_buffer_view(&b->members[i].bytes);
        must(io_write_at(b->world->files, b->files[i], (uint64_t)number * part.size, &part, 1));
    }
    for (unsigned i = 0; i < b->count; i++) must(io_sync(b->world->files, b->files[i]));
}

static figures measure_per_file(bench *b) {
    for (unsigned i = 0; i < b->count; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/file-%u", b->folder, i);
        must(io_open(b->world->files, path, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_TRUNCATE, &b->files[i]));
    }
    const figures found = measure(b, round_per_file);
    for (unsigned i = 0; i < b->count; i++) io_close(b->world->files, b->files[i]);
    return found;
}

/* ---- one journal ---- */

static void group_done(log_group *group, weir_status status) {
    bench *b = io_owner(group, member, group)->bench;
    must(status);
    if (--b->waiting == 0) io_real_stop(b->real);
}

static void round_journal(bench *b, unsigned number) {
    (void)number;
    b->waiting = b->count;
    for (unsigned i = 0; i < b->count; i++)
        must(log_append(b->store, &b->members[i].group));
    while (b->waiting > 0) io_real_run(b->real);
}

static void run_stopped(io_job *job) {
    bench *b = io_owner(job, bench, stopped_job);
    b->is_stopped = true;
    io_real_stop(b->real);
}

static figures measure_journal(bench *b) {
    log_start_report report;
    char folder[300];
    snprintf(folder, sizeof folder, "%s/log-%u", b->folder, b->count);
    const log_config config = {.world = b->world, .lane = b->lane, .directory = folder};
    must(log_open(&b->store, &config, &report));
    for (unsigned i = 0; i < b->count; i++) {
        member *m = &b->members[i];
        const log_partition_id id = {.topic_id = {1}, .partition = (int32_t)i};
        m->bench = b;
        m->batch = (log_batch){.bytes = m->bytes.data, .size = m->bytes.size};
        m->group = (log_group){.batches = &m->batch, .count = 1, .done = group_done};
        must(log_partition_open(b->store, &id, "bench", NULL, &m->batch.partition));
    }
    figures found = measure(b, round_journal);
    found.open_ms = (double)report.recovery_us / 1e3;
    b->is_stopped = false;
    io_job_init(&b->stopped_job, run_stopped);
    log_stop(b->store, &b->stopped_job);
    while (!b->is_stopped) io_real_run(b->real);
    must(log_close(b->store));
    return found;
}


int main(int argc, char **argv) {
    static bench b;
    static const unsigned counts[] = {1, 12, 1000};
    double open_ms = 0;
    weir_account_init(&b.account, "bench", 0);
    must(io_real_start(&b.real, &(io_real_config){0}));
    b.world = io_real_world(b.real);
    b.lane = io_lane_create(b.world->executor, IO_LANE_LOOP, "main");
    snprintf(b.folder, sizeof b.folder, "%s", argc > 1 ? argv[1] : "bench-log-XXXXXX");
    if (argc < 2 && !mkdtemp(b.folder)) return 1;
    for (unsigned i = 0; i < PARTITIONS_MAX; i++) make_batch(&b, &b.members[i].bytes);
    printf("%10s | %28s | %28s | %s\n", "", "one sync a file", "one journal", "ratio");
    printf("%10s | %8s %8s %10s | %8s %8s %10s | %6s %6s %6s\n", "partitions", "p50 ms", "p99 ms", "CPU s/1000",
           "p50 ms", "p99 ms", "CPU s/1000", "p50", "p99", "CPU");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        b.count = counts[i];
        const figures file = measure_per_file(&b), journal = measure_journal(&b);
        open_ms = journal.open_ms;
        printf("%10u | %8.3f %8.3f %10.3f | %8.3f %8.3f %10.3f | %6.1f %6.1f %6.1f\n", b.count, file.p50_ms,
               file.p99_ms, file.cpu_seconds, journal.p50_ms, journal.p99_ms, journal.cpu_seconds,
               file.p50_ms / journal.p50_ms, file.p99_ms / journal.p99_ms, file.cpu_seconds / journal.cpu_seconds);
    }
    printf("an empty folder was opened in %.1f ms\n", open_ms);
    for (unsigned i = 0; i < PARTITIONS_MAX; i++) weir_buffer_deinit(&b.members[i].bytes);
    io_real_destroy(b.real);
    printf("what was written stays in %s\n", b.folder);
    return 0;
}
