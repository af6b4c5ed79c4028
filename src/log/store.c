/* Opening and closing a data folder, and what happens to the store when its disk fails. */
#include "base/text.h"
#include "base/trace.h"
#include "log/log_int.h"

#include <stdio.h>
#include <sys/resource.h>

enum { META_BYTES_MAX = 65536 };

weir_status log_path(const log_store *store, char path[LOG_PATH_MAX], const char *format, ...) {
    int length = snprintf(path, LOG_PATH_MAX, "%s/", store->directory);
    if (length < 0 || length >= LOG_PATH_MAX)
        return weir_fail(WEIR_INVALID, "%s: the path is too long", store->directory);
    va_list args;
    va_start(args, format);
    const int more = vsnprintf(path + length, (size_t)(LOG_PATH_MAX - length), format, args);
    va_end(args);
    if (more < 0 || length + more >= LOG_PATH_MAX)
        return weir_fail(WEIR_INVALID, "%s: the path is too long", store->directory);
    return weir_ok();
}

void *log_grow(log_store *store, void *items, size_t *capacity, size_t count, size_t item_bytes) {
    if (count < *capacity) return items;
    *capacity = *capacity ? 2 * *capacity : 4;
    return weir_realloc(&store->account, items, *capacity * item_bytes);
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

/* The journal's disk failed: what was unsynced may be lost, and a second sync would not say so. */
void log_store_fail(log_store *store, weir_status status) {
    if (store->failed) return;
    weir_error_set(&store->why, weir_fail(WEIR_IO, "the log takes no more data until a restart: %s", status.text));
    store->failed = true;
    weir_trace(WEIR_ERROR, "log", "%s", store->why.text);
}

void log_store_disk_full(log_store *store, weir_status status) {
    weir_error_set(&store->why, weir_fail(WEIR_DISK_FULL, "%s", status.text));
    if (!store->disk_full) weir_trace(WEIR_ERROR, "log", "no space left: %s", status.text);
    store->disk_full = true;
    store->retry_at_ns = io_now_ns(store->world->clock) + LOG_RETRY_NS;
}

/* ---- meta.properties --------------------------------------------------------------------------------------------- */

static void make_cluster_id(log_store *store) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t bits[18] = {0};
    do { /* Kafka's Uuid.randomUuid() avoids a leading dash, which command lines take for an option */
        store->world->random->fill(store->world->random, bits, 16);
        bits[6] = (uint8_t)((bits[6] & 0x0f) | 0x40);
        bits[8] = (uint8_t)((bits[8] & 0x3f) | 0x80);
    } while (bits[0] >> 2 == 62);
    for (size_t i = 0; i < 22; i++) {
        const size_t bit = 6 * i;
        const unsigned pair = (unsigned)(bits[bit / 8] << 8 | bits[bit / 8 + 1]);
        store->cluster_id[i] = digits[pair >> (10 - bit % 8) & 63];
    }
    store->cluster_id[22] = '\0';
}

static bool property(const char *text, const char *name, char *value, size_t size) {
    const size_t name_bytes = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, name, name_bytes) != 0 || line[name_bytes] != '=') continue;
        const char *start = line + name_bytes + 1;
        const size_t bytes = strcspn(start, "\r\n");
        if (bytes >= size) return false;
        memcpy(value, start, bytes);
        value[bytes] = '\0';
        return true;
    }
    return false;
}

static weir_status parse_meta(log_store *store, const char *text) {
    char format[32];
    int64_t version;
    if (!property(text, "weir.format", format, sizeof format))
        return weir_fail(WEIR_UNSUPPORTED,
                         "%s/meta.properties has no weir.format: the folder belongs to another program",
                         store->directory);
    if (!weir_parse_i64(weir_bytes_text(format), &version) || version < 1)
        return weir_fail(WEIR_CORRUPT, "%s/meta.properties: weir.format is %s", store->directory, format);
    if (version > LOG_FORMAT_VERSION)
        return weir_fail(WEIR_UNSUPPORTED, "%s was written by a newer weir (format %s, this one reads up to %d)",
                         store->directory, format, LOG_FORMAT_VERSION);
    if (!property(text, "cluster.id", store->cluster_id, sizeof store->cluster_id))
        return weir_fail(WEIR_CORRUPT, "%s/meta.properties has no cluster.id", store->directory);
    return weir_ok();
}

static weir_status read_meta(log_store *store, bool *found) {
    char path[LOG_PATH_MAX];
    io_file *file;
    size_t got;
    WEIR_TRY(log_path(store, path, "meta.properties"));
    weir_status status = io_open(store->files, path, IO_OPEN_READ, &file);
    *found = status.code != WEIR_NOT_FOUND;
    if (!*found) return weir_ok();
    WEIR_TRY(status);
    char *text = weir_alloc(&store->account, META_BYTES_MAX);
    status = io_read_at(store->files, file, 0, text, META_BYTES_MAX - 1, &got);
    io_close(store->files, file);
    if (!weir_failed(status)) status = parse_meta(store, text);
    weir_free(&store->account, text);
    return status;
}

static weir_status write_meta(log_store *store) {
    char text[256];
    make_cluster_id(store);
    const int length = snprintf(text, sizeof text, "# The identity of this data folder. Do not edit.\ncluster.id=%s\n"
                                "weir.format=%d\n", store->cluster_id, LOG_FORMAT_VERSION);
    return log_file_replace(store, "meta.properties", weir_bytes_of(text, (size_t)length));
}

/* ---- open -------------------------------------------------------------------------------------------------------- */

/* Makes `path` where it is missing. A new name is synced in its parent, or a power cut takes the whole folder; so is
 * one that was there already while the folder is not complete: its first start may have died between the two. */
static weir_status make_directory(log_store *store, const char *path, size_t parent_bytes, bool is_complete) {
    const weir_status status = io_make_directory(store->files, path);
    if (weir_failed(status) && status.code != WEIR_EXISTS) return status;
    if (weir_failed(status) && is_complete) return weir_ok();
    char parent[LOG_PATH_MAX] = ".";
    if (parent_bytes > 0 || path[0] == '/') memcpy(parent, path, parent_bytes > 0 ? parent_bytes : 1);
    if (parent_bytes > 0) parent[parent_bytes] = '\0';
    const weir_status synced = io_sync_directory(store->files, parent);
    return weir_failed(status) && synced.code == WEIR_REFUSED ? weir_ok() : synced; /* somebody else's folder */
}

static weir_status make_directories(log_store *store) {
    char path[LOG_PATH_MAX], meta[LOG_PATH_MAX];
    io_file_info info;
    size_t parent_bytes = 0;
    WEIR_TRY(log_path(store, meta, "meta.properties"));
    const bool is_complete = !weir_failed(io_path_info(store->files, meta, &info));
    WEIR_TRY(log_path(store, path, "%s", ""));
    for (size_t at = 1; path[at]; at++) {
        if (path[at] != '/') continue;
        path[at] = '\0';
        WEIR_TRY(make_directory(store, path, parent_bytes, is_complete));
        path[at] = '/';
        parent_bytes = at;
    }
    return weir_ok();
}

static weir_status take_lock(log_store *store) {
    char path[LOG_PATH_MAX];
    WEIR_TRY(log_path(store, path, ".lock"));
    WEIR_TRY(io_open(store->files, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &store->lock_file));
    const weir_status status = io_lock(store->files, store->lock_file);
    if (status.code == WEIR_BUSY)
        return weir_fail(WEIR_BUSY, "the data folder %s is in use by another server", store->directory);
    return status;
}

static weir_status open_folder(log_store *store, log_start_report *report) {
    bool has_meta, has_checkpoint;
    WEIR_TRY(make_directories(store));
    WEIR_TRY(take_lock(store));
    WEIR_TRY(read_meta(store, &has_meta));
    WEIR_TRY(log_checkpoint_read(store, &has_checkpoint));
    if (!has_meta && has_checkpoint)
        return weir_fail(WEIR_CORRUPT, "%s has a checkpoint but no meta.properties; restore it from a copy",
                         store->directory);
    const bool marked = log_clean_take(store, store->replay_from);
    report->clean = marked || !has_meta;
    WEIR_TRY(log_journal_open(store, report));
    if (!report->clean) {
        /* The raised epoch is on the disk before anybody sees it. */
        store->leader_epoch++;
        weir_buffer bytes;
        weir_buffer_init(&bytes, &store->account, SIZE_MAX / 2);
        log_checkpoint_encode(store, store->replay_from, store->replay_generation, store->replay_position, &bytes);
        const weir_status status = log_checkpoint_write(store, weir_buffer_view(&bytes));
        weir_buffer_deinit(&bytes);
        WEIR_TRY(status);
    }
    return has_meta ? weir_ok() : write_meta(store); /* last: a start that was cut short begins again */
}

static size_t default_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 4096;
    return limit.rlim_cur < 64 ? 16 : (size_t)limit.rlim_cur / 4;
}

static weir_account stores_account;

static void init_accounts(void) {
    weir_account_init(&stores_account, "log", 0);
}

static log_store *create_store(const log_config *config) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_accounts);
    log_store *store = weir_alloc(&stores_account, sizeof *store);
    weir_account_init(&store->account, "log.store", 0);
    weir_account_init(&store->tail_account, "log.tail", 0);
    weir_account_init(&store->read_account, "log.read", 0);
    store->world = config->world;
    store->files = config->world->files;
    store->lane = config->lane;
    store->directory = weir_strdup(&store->account, config->directory);
    store->segment_bytes = config->segment_bytes ? config->segment_bytes : 1u << 30;
    store->journal_bytes = config->journal_bytes ? config->journal_bytes : 32u << 20;
    store->tail_bytes_max = config->tail_bytes ? config->tail_bytes : 16u << 20;
    log_descriptors_init(&store->descriptors, store->files, &store->account,
                         config->descriptors_max ? config->descriptors_max : default_descriptors());
    weir_map_init(&store->partitions, &store->account);
    log_rounds_init(store);
    log_journal_init(store);
    log_flush_init(store);
    log_retention_init(store, config->retention_check_ms);
    return store;
}

static void create_lanes(log_store *store) {
    io_executor *executor = store->world->executor;
    store->journal_lane = io_lane_create(executor, IO_LANE_BLOCKING, "log.journal");
    store->store_lane = io_lane_create(executor, IO_LANE_BLOCKING, "log.store");
    store->read_lane = io_lane_create(executor, IO_LANE_BLOCKING, "log.read");
    for (size_t i = 0; i < LOG_FLUSH_LANES; i++)
        store->flush_parts[i].lane = io_lane_create(executor, IO_LANE_BLOCKING, "log.flush");
    store->flush_lane = store->flush_parts[0].lane;
    store->compaction_lane = io_lane_create(executor, IO_LANE_BLOCKING, "log.compact");
}

static void destroy_lanes(log_store *store) {
    io_executor *executor = store->world->executor;
    if (!store->journal_lane) return;
    io_lane_destroy(executor, store->journal_lane);
    io_lane_destroy(executor, store->store_lane);
    io_lane_destroy(executor, store->read_lane);
    io_lane_destroy(executor, store->compaction_lane);
    for (size_t i = 0; i < LOG_FLUSH_LANES; i++) io_lane_destroy(executor, store->flush_parts[i].lane);
}

static void destroy_store(log_store *store) {
    destroy_lanes(store);
    log_flush_drop(store);
    log_compaction_drop(store);
    log_rounds_drop(store);
    void *value;
    for (size_t at = 0; weir_map_next(&store->partitions, &at, NULL, &value);) log_partition_release(value);
    log_descriptors_deinit(&store->descriptors);
    log_journal_close(store);
    if (store->lock_file) io_close(store->files, store->lock_file);
    weir_map_deinit(&store->partitions);
    weir_free(&store->account, store->room_jobs);
    weir_free(&store->account, store->directory);
    weir_account_deinit(&store->read_account);
    weir_account_deinit(&store->tail_account);
    weir_account_deinit(&store->account);
    weir_free(&stores_account, store);
}

weir_status log_open(log_store **opened, const log_config *config, log_start_report *report) {
    log_store *store = create_store(config);
    const int64_t start_ns = io_now_ns(config->world->clock);
    *report = (log_start_report){0};
    const weir_status status = open_folder(store, report);
    if (weir_failed(status)) {
        destroy_store(store);
        return status;
    }
    create_lanes(store);
    memcpy(report->cluster_id, store->cluster_id, sizeof report->cluster_id);
    report->recovery_us = (io_now_ns(config->world->clock) - start_ns) / 1000;
    *opened = store;
    return weir_ok();
}

/* ---- stop and close ---------------------------------------------------------------------------------------------- */

static bool is_quiet(const log_store *store) {
    return !store->syncing && !store->storing && !store->flushing && !store->preparing_journal &&
           store->background == 0;
}

void log_store_check_stopped(log_store *store) {
    if (!store->stopped_job || !is_quiet(store)) return;
    if (store->sync_next && !store->failed) return;
    if (store->store_next != store->sync_next && !store->disk_full) return;
    log_post(store, store->lane, store->stopped_job);
    store->stopped_job = NULL;
}

void log_stop(log_store *store, io_job *stopped) {
    store->stopping = true;
    store->stopped_job = stopped;
    io_timer_cancel(store->world->executor, &store->retention_timer);
    log_compaction_cancel(store);
    log_store_kick(store);
    log_store_check_stopped(store);
}

weir_status log_close(log_store *store) {
    weir_assert(is_quiet(store)); /* log_stop() waits for that */
    store->stopping = true;
    store->disk_full = false;
    weir_status status = store->failed ? weir_error_status(&store->why) : log_rounds_store_rest(store);
    if (!weir_failed(status)) status = log_flush_all(store);
    if (!weir_failed(status) && store->replay_from == store->next_sequence)
        status = log_clean_write(store, store->next_sequence);
    weir_error kept;
    weir_error_set(&kept, status);
    destroy_store(store);
    return weir_error_status(&kept);
}

void log_abandon(log_store *store) {
    destroy_store(store);
}
