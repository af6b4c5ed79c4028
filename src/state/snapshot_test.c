/* Goal: a snapshot and the changelog from its offset on rebuild the store, although the store went on changing while
 * the snapshot was written; and a snapshot that is damaged in any way is refused and leaves the store empty. Method:
 * random changes and commits between the steps of an export, over the simulated disk; every bit of the file's beginning
 * and random ones of the rest are flipped, and the file is cut at every kind of place; power cuts while a new snapshot
 * is written must leave the old one or the new one. */
#include "io/sim/io_sim.h"
#include "state/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { STATE_BYTES = 16, KEYS = 40, KEY_BYTES = 90000, LOG_MAX = 4000 };
static const char path[] = "s/store-0";

typedef struct logged { /* a changelog record: which key, which value; value 0 = deleted */
    uint32_t key;
    uint64_t value;
} logged;

typedef struct fixture {
    io_sim *sim;
    io_files *files;
    weir_account account;
    state_store *store;
    logged log[LOG_MAX];
    uint32_t log_count;
    uint64_t values[KEYS]; /* as changed */
    uint8_t *chunk;
    state_snapshot_about about;
} fixture;

static const state_options options = {.state_bytes = STATE_BYTES, .layout = 42};

static void begin(fixture *f, uint64_t seed) {
    *f = (fixture){.sim = io_sim_create(seed)};
    f->files = io_sim_world(f->sim)->files;
    weir_account_init(&f->account, "test", 0);
    assert_int_equal(state_create(&f->account, &options, &f->store).code, WEIR_OK);
    f->chunk = weir_try_alloc_raw(&f->account, STATE_EXPORT_BYTES_MIN);
    f->about = (state_snapshot_about){.state_bytes = STATE_BYTES, .layout = 42, .topic_id = {7}};
    assert_int_equal(io_make_directory(f->files, "s").code, WEIR_OK);
    assert_int_equal(io_sync_directory(f->files, "").code, WEIR_OK);
}
static void end(fixture *f) {
    state_destroy(f->store);
    weir_free(&f->account, f->chunk);
    weir_account_deinit(&f->account);
    io_sim_destroy(f->sim);
}

/* Long keys, so that a store of a few spans many chunks of an export. */
static weir_bytes key_of(uint32_t k) {
    static uint8_t bytes[KEY_BYTES];
    memcpy(bytes, &k, sizeof k);
    return (weir_bytes){bytes, k % 3 ? KEY_BYTES : 4};
}

static void change_and_commit(fixture *f, uint32_t count) {
    for (uint32_t i = 0; i < count && f->log_count < LOG_MAX; i++) {
        const uint32_t k = (uint32_t)io_sim_draw(f->sim, KEYS);
        const weir_bytes key = key_of(k);
        const uint64_t hash = state_hash(key);
        const int64_t start = STATE_NOT_WINDOWED;
        state_entry *entry = state_find(f->store, key, start);
        if (entry && io_sim_draw(f->sim, 4) == 0) {
            assert_int_equal(state_delete(f->store, entry).code, WEIR_OK);
            f->values[k] = 0;
        } else {
            assert_int_equal(state_upsert(f->store, &key, &hash, &start, 1, &entry).code, WEIR_OK);
            f->values[k] = io_sim_draw(f->sim, UINT32_MAX) + 1;
            memcpy(entry->state, &f->values[k], sizeof f->values[k]);
            entry->timestamp_ms = (int64_t)k;
        }
        f->log[f->log_count++] = (logged){k, f->values[k]};
    }
    state_commit(f->store);
}

/* Writes a snapshot, with changes between its steps and some left uncommitted; false when the disk failed. */
static bool write_snapshot(fixture *f, uint32_t changes) {
    state_snapshot_writer *writer;
    f->about.changelog_offset = f->log_count;
    if (weir_failed(state_snapshot_open(f->files, &f->account, path, &f->about, &writer))) return false;
    state_cursor cursor = {0};
    for (uint32_t steps = 0;; steps++) {
        size_t used;
        uint32_t entries;
        state_export(f->store, &cursor, f->chunk, STATE_EXPORT_BYTES_MIN, &used, &entries);
        if (used == 0) {
            if (changes) assert_true(steps > 1);
            return !weir_failed(state_snapshot_finish(writer));
        }
        if (weir_failed(state_snapshot_append(writer, (weir_bytes){f->chunk, used}, entries))) {
            state_snapshot_abandon(writer);
            return false;
        }
        change_and_commit(f, changes);
    }
}

static void replay(fixture *f, state_store *store, int64_t from) {
    for (uint32_t i = (uint32_t)from; i < f->log_count; i++) {
        uint8_t value[STATE_RECORD_HEADER_BYTES + STATE_BYTES] = {STATE_RECORD_VERSION, 0, STATE_BYTES};
        const int64_t timestamp = f->log[i].key;
        memcpy(value + 4, &timestamp, 8);
        memcpy(value + STATE_RECORD_HEADER_BYTES, &f->log[i].value, 8);
        const weir_bytes bytes = f->log[i].value ? weir_bytes_of(value, sizeof value) : (weir_bytes){0};
        assert_int_equal(state_restore_record(store, key_of(f->log[i].key), bytes).code, WEIR_OK);
    }
}

static void check_equal(fixture *f, const state_store *store) {
    uint32_t present = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        int64_t timestamp;
        const uint8_t *state = state_find_committed(store, key_of(k), STATE_NOT_WINDOWED, &timestamp);
        assert_true((state != NULL) == (f->values[k] != 0));
        if (!state) continue;
        assert_memory_equal(state, &f->values[k], 8);
        assert_int_equal(timestamp, k);
        present++;
    }
    assert_int_equal(state_entry_count(store), present);
}

static state_store *load(fixture *f, weir_code expected, int64_t *offset) {
    state_store *store;
    assert_int_equal(state_create(&f->account, &options, &store).code, WEIR_OK);
    assert_int_equal(state_snapshot_load(f->files, path, &f->about, store, offset).code, expected);
    return store;
}

static void snapshot_and_tail_rebuild_a_store_that_moves(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        fixture f;
        begin(&f, seed);
        change_and_commit(&f, 100);
        assert_true(write_snapshot(&f, 30));
        int64_t offset;
        state_store *store = load(&f, WEIR_OK, &offset);
        assert_int_equal(offset, 100);
        assert_true(f.log_count > 100);
        replay(&f, store, offset);
        check_equal(&f, store);
        state_destroy(store);
        end(&f);
    }
}

/* An uncommitted change is in no snapshot. */
static void uncommitted_changes_stay_out(void **unused) {
    (void)unused;
    fixture f;
    begin(&f, 1);
    change_and_commit(&f, 60);
    for (uint32_t k = 0; k < KEYS; k++) {
        const weir_bytes key = key_of(k);
        const uint64_t hash = state_hash(key);
        const int64_t start = STATE_NOT_WINDOWED;
        state_entry *entry;
        assert_int_equal(state_upsert(f.store, &key, &hash, &start, 1, &entry).code, WEIR_OK);
        memset(entry->state, 0xEE, STATE_BYTES);
    }
    state_snapshot_writer *writer;
    assert_int_equal(state_snapshot_open(f.files, &f.account, path, &f.about, &writer).code, WEIR_OK);
    state_cursor cursor = {0};
    size_t used;
    uint32_t entries;
    for (;;) {
        state_export(f.store, &cursor, f.chunk, STATE_EXPORT_BYTES_MIN, &used, &entries);
        if (!used) break;
        assert_int_equal(state_snapshot_append(writer, (weir_bytes){f.chunk, used}, entries).code, WEIR_OK);
    }
    assert_int_equal(state_snapshot_finish(writer).code, WEIR_OK);
    int64_t offset;
    state_store *store = load(&f, WEIR_OK, &offset);
    check_equal(&f, store);
    state_destroy(store);
    end(&f);
}

static void expect_refused(fixture *f) {
    int64_t offset;
    state_store *store = load(f, WEIR_CORRUPT, &offset);
    assert_int_equal(state_entry_count(store), 0);
    state_destroy(store);
}

static void damage_is_refused(void **unused) {
    (void)unused;
    fixture f;
    begin(&f, 3);
    change_and_commit(&f, 100);
    assert_true(write_snapshot(&f, 0));
    io_file_info info;
    assert_int_equal(io_path_info(f.files, path, &info).code, WEIR_OK);
    /* Each damage is done to a fresh file. */
    for (unsigned i = 0; i < 60; i++) {
        assert_true(io_sim_flip_bits(f.sim, path, i < 30 ? 0 : 56, i < 30 ? 72 : info.size, 1));
        expect_refused(&f);
        assert_true(write_snapshot(&f, 0));
    }
    for (uint64_t cut = 0; cut < info.size; cut += cut < 90 ? 1 : info.size / 50) {
        io_file *file;
        assert_int_equal(io_open(f.files, path, IO_OPEN_WRITE, &file).code, WEIR_OK);
        assert_int_equal(io_truncate(f.files, file, cut).code, WEIR_OK);
        io_close(f.files, file);
        expect_refused(&f);
        assert_true(write_snapshot(&f, 0));
    }
    f.about.layout++;
    expect_refused(&f);
    f.about.layout--;
    f.about.topic_id[3]++;
    expect_refused(&f);
    end(&f);
}

/* Power fails at every operation of writing the second snapshot: the name holds the first or the second, whole. */
static void power_cut_leaves_one_whole_snapshot(void **unused) {
    (void)unused;
    uint32_t olds = 0, news = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        fixture f;
        begin(&f, seed);
        change_and_commit(&f, 60);
        assert_true(write_snapshot(&f, 0));
        const int64_t first = f.about.changelog_offset;
        change_and_commit(&f, 60);
        io_sim_crash_at(f.sim, io_sim_disk_operations(f.sim) + seed % 12 + 1);
        const bool is_written = write_snapshot(&f, 0);
        io_sim_restart(f.sim, seed % 2 ? IO_SIM_POWER_CUT : IO_SIM_DRY_CUT);
        int64_t offset;
        state_store *store = load(&f, WEIR_OK, &offset);
        if (is_written) assert_int_equal(offset, f.about.changelog_offset);
        else assert_true(offset == first || offset == f.about.changelog_offset);
        olds += offset == first;
        news += offset != first;
        replay(&f, store, offset);
        check_equal(&f, store);
        state_destroy(store);
        end(&f);
    }
    assert_true(olds > 0 && news > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshot_and_tail_rebuild_a_store_that_moves),
        cmocka_unit_test(uncommitted_changes_stay_out),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(power_cut_leaves_one_whole_snapshot),
    };
    return cmocka_run_group_tests_name("state/snapshot", tests, NULL, NULL);
}
