/* Goal: a store behaves like a sorted array of (key, window start) -> value with a committed and a current side,
 * whatever the order of changes, commits, rollbacks and expiries.
 * Method: random steps from seeds against that array; the changelog records of every commit keep a twin store equal. */
#include "state/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

enum { STATE_BYTES = 24, KEYS = 60, STARTS = 12, SLOTS_MAX = KEYS * STARTS };

typedef struct side {
    bool present;
    int64_t timestamp;
    uint8_t state[STATE_BYTES];
} side;
typedef struct model_row {
    int64_t start;
    side now, committed;
} model_row;

typedef struct fixture {
    weir_account account;
    state_store *store;
    bool windowed;
    int64_t retention;
    model_row model[KEYS][STARTS];
    uint64_t random;
} fixture;

static uint64_t next(fixture *f) {
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return f->random;
}

/* Keys of lengths 0..70 with zero bytes and shared prefixes. */
static weir_bytes key_of(unsigned k, uint8_t *bytes) {
    const size_t size = k * 7 % 71;
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(i < 3 ? 0 : k + i);
    if (size) bytes[size - 1] = (uint8_t)k;
    if (size == 1) bytes[0] = (uint8_t)(k + 128);
    return (weir_bytes){bytes, size};
}
static int64_t start_of(const fixture *f, unsigned s) {
    return f->windowed ? ((int64_t)s - 2) * 50000 : STATE_NOT_WINDOWED;
}
static unsigned starts(const fixture *f) { return f->windowed ? STARTS : 1; }

static void begin(fixture *f, bool windowed, uint64_t seed) {
    *f = (fixture){.windowed = windowed, .retention = 150000, .random = seed * 0x9E3779B97F4A7C15ull + 1};
    weir_account_init(&f->account, "test", 0);
    const state_options options = {.state_bytes = STATE_BYTES, .windowed = windowed, .retention_ms = f->retention,
                                   .advance_ms = seed % 2 ? 50000 : 0, .layout = 7};
    assert_int_equal(state_create(&f->account, &options, &f->store).code, WEIR_OK);
}
static state_store *twin(fixture *f) {
    const state_options options = {
        .state_bytes = STATE_BYTES, .windowed = f->windowed, .retention_ms = f->retention, .layout = 7};
    state_store *store;
    assert_int_equal(state_create(&f->account, &options, &store).code, WEIR_OK);
    return store;
}
static void end(fixture *f) {
    state_destroy(f->store);
    weir_account_deinit(&f->account);
}

static void change_some(fixture *f) {
    enum { BLOCK = 100 };
    static uint8_t bytes[BLOCK][80];
    weir_bytes keys[BLOCK];
    uint64_t hashes[BLOCK];
    int64_t window_starts[BLOCK];
    unsigned k[BLOCK], s[BLOCK];
    state_entry *entries[BLOCK];
    const uint32_t count = (uint32_t)(next(f) % BLOCK);
    for (uint32_t i = 0; i < count; i++) {
        k[i] = (unsigned)(next(f) % KEYS);
        s[i] = (unsigned)(next(f) % starts(f));
        keys[i] = key_of(k[i], bytes[i]);
        hashes[i] = state_hash(keys[i]);
        window_starts[i] = start_of(f, s[i]);
    }
    assert_int_equal(state_upsert(f->store, keys, hashes, window_starts, count, entries).code, WEIR_OK);
    for (uint32_t i = 0; i < count; i++) {
        side *now = &f->model[k[i]][s[i]].now;
        if (!now->present) *now = (side){.present = true, .timestamp = INT64_MIN};
        assert_int_equal(entries[i]->timestamp_ms, now->timestamp);
        assert_memory_equal(entries[i]->state, now->state, STATE_BYTES);
        assert_true(weir_bytes_equal(state_entry_key(f->store, entries[i]), keys[i]));
        now->timestamp = entries[i]->timestamp_ms = (int64_t)(next(f) % 1000);
        now->state[next(f) % STATE_BYTES] = (uint8_t)next(f);
        memcpy(entries[i]->state, now->state, STATE_BYTES);
    }
}

static void delete_one(fixture *f) {
    uint8_t bytes[80];
    const unsigned k = (unsigned)(next(f) % KEYS), s = (unsigned)(next(f) % starts(f));
    state_entry *entry = state_find(f->store, key_of(k, bytes), start_of(f, s));
    side *now = &f->model[k][s].now;
    assert_true((entry != NULL) == now->present);
    if (!entry) return;
    assert_int_equal(state_delete(f->store, entry).code, WEIR_OK);
    *now = (side){0};
}

/* Applies the changelog records of the changes to `copy`, and counts that each changed entry has one. */
static void commit(fixture *f, state_store *copy) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < state_change_count(f->store); i++) {
        const state_change change = state_change_at(f->store, i);
        weir_buffer key, value;
        weir_buffer_init(&key, &f->account, 4096);
        weir_buffer_init(&value, &f->account, 4096);
        state_record_key(f->store, change.entry, &key);
        if (change.entry->present) state_record_value(f->store, change.entry, &value);
        assert_int_equal(state_restore_record(copy, weir_buffer_view(&key), weir_buffer_view(&value)).code, WEIR_OK);
        bytes += key.size + value.size;
        weir_buffer_deinit(&key);
        weir_buffer_deinit(&value);
    }
    assert_true(bytes <= state_change_bytes(f->store));
    state_commit(f->store);
    assert_int_equal(state_change_count(f->store), 0);
    for (unsigned k = 0; k < KEYS; k++)
        for (unsigned s = 0; s < STARTS; s++) f->model[k][s].committed = f->model[k][s].now;
}

static void roll_back(fixture *f) {
    state_rollback(f->store);
    for (unsigned k = 0; k < KEYS; k++)
        for (unsigned s = 0; s < STARTS; s++) f->model[k][s].now = f->model[k][s].committed;
}

/* Segments of max(retention / 2, 60 s) leave when all their windows started before stream time - retention. */
static void expire(fixture *f, state_store *copy) {
    const int64_t stream_time = (int64_t)(next(f) % STARTS) * 50000;
    const int64_t segment = f->retention / 2, low = stream_time - f->retention;
    const int64_t live = low >= 0 ? low / segment : -((-low + segment - 1) / segment);
    uint64_t expected = 0;
    for (unsigned k = 0; f->windowed && k < KEYS; k++) {
        for (unsigned s = 0; s < STARTS; s++) {
            const int64_t start = start_of(f, s),
                          id = start >= 0 ? start / segment : -((-start + segment - 1) / segment);
            if (id >= live || !f->model[k][s].now.present) continue;
            f->model[k][s] = (model_row){0};
            expected++;
        }
    }
    assert_int_equal(state_expire(f->store, stream_time), expected);
    assert_int_equal(state_expire(copy, stream_time), expected);
}

static int compare(const state_row *a, const state_row *b) {
    const int order = weir_bytes_compare(a->key, b->key);
    return order ? order : (a->window_start > b->window_start) - (a->window_start < b->window_start);
}

/* A store's committed side equals the model's, read in every way. */
static void check(fixture *f, const state_store *store) {
    uint32_t committed = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        uint8_t bytes[80];
        const weir_bytes key = key_of(k, bytes);
        uint32_t of_key = 0;
        for (unsigned s = 0; s < starts(f); s++) {
            const side *expected = &f->model[k][s].committed;
            int64_t timestamp = 0;
            const uint8_t *state = state_find_committed(store, key, start_of(f, s), &timestamp);
            assert_true((state != NULL) == expected->present);
            if (!state) continue;
            assert_memory_equal(state, expected->state, STATE_BYTES);
            assert_int_equal(timestamp, expected->timestamp);
            committed++;
            of_key += start_of(f, s) >= -50000 && start_of(f, s) <= 250000;
        }
        state_view *view;
        assert_int_equal(state_view_create(store, (weir_bytes){bytes, key.size}, -50000, 250000, &view).code, WEIR_OK);
        assert_int_equal(state_view_count(view), of_key);
        state_view_destroy(view);
    }
    state_view *view;
    assert_int_equal(state_view_create(store, (weir_bytes){0}, INT64_MIN, INT64_MAX, &view).code, WEIR_OK);
    assert_int_equal(state_view_count(view), committed);
    for (uint32_t i = 1; i < committed; i++) {
        const state_row a = state_view_row(view, i - 1), b = state_view_row(view, i);
        assert_true(compare(&a, &b) < 0);
    }
    state_view_destroy(view);
}

static void run_model(bool windowed, uint64_t seed) {
    fixture f;
    begin(&f, windowed, seed);
    state_store *copy = twin(&f);
    for (unsigned step = 0; step < 120; step++) {
        switch (next(&f) % 8) {
        case 0: commit(&f, copy); break;
        case 1: roll_back(&f); break;
        case 2: commit(&f, copy), expire(&f, copy); break;
        case 3: delete_one(&f); break;
        default: change_some(&f);
        }
        if (step % 10 == 0) check(&f, f.store), check(&f, copy);
    }
    commit(&f, copy);
    check(&f, f.store);
    check(&f, copy);
    state_destroy(copy);
    end(&f);
}

static void store_equals_sorted_array(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        run_model(false, seed);
        run_model(true, seed);
    }
}

/* A reader sees the old value until the commit, and nothing of a group that is new. */
static void readers_see_committed_values_only(void **unused) {
    (void)unused;
    fixture f;
    begin(&f, false, 1);
    const weir_bytes key = weir_bytes_text("a");
    const uint64_t hash = state_hash(key);
    const int64_t start = STATE_NOT_WINDOWED;
    state_entry *entry;
    int64_t timestamp;
    assert_int_equal(state_upsert(f.store, &key, &hash, &start, 1, &entry).code, WEIR_OK);
    entry->state[0] = 1;
    entry->timestamp_ms = 10;
    assert_null(state_find_committed(f.store, key, start, &timestamp));
    state_commit(f.store);
    assert_int_equal(state_find_committed(f.store, key, start, &timestamp)[0], 1);
    assert_int_equal(state_upsert(f.store, &key, &hash, &start, 1, &entry).code, WEIR_OK);
    entry->state[0] = 2;
    entry->timestamp_ms = 20;
    assert_int_equal(state_find_committed(f.store, key, start, &timestamp)[0], 1);
    assert_int_equal(timestamp, 10);
    state_rollback(f.store);
    assert_int_equal(state_find(f.store, key, start)->state[0], 1);
    assert_int_equal(state_timestamp_max(f.store), 10);
    end(&f);
}

/* The budget answers NO_MEMORY with a sentence; what was made before can be taken back and the store lives on. */
static void budget_refuses(void **unused) {
    (void)unused;
    fixture f;
    begin(&f, false, 1);
    f.account.limit_bytes = 1 << 20;
    weir_status status = weir_ok();
    uint32_t made = 0;
    for (; !weir_failed(status); made++) {
        const weir_bytes key = weir_bytes_of(&made, sizeof made);
        const uint64_t hash = state_hash(key);
        const int64_t start = STATE_NOT_WINDOWED;
        state_entry *entry;
        status = state_upsert(f.store, &key, &hash, &start, 1, &entry);
        assert_true(made < 1000000);
    }
    assert_int_equal(status.code, WEIR_NO_MEMORY);
    assert_true(made > 1000);
    state_rollback(f.store);
    assert_int_equal(state_entry_count(f.store), 0);
    end(&f);
}

/* Bytes from a changelog are outside bytes: every cut and every odd version is CORRUPT, and changes nothing. */
static void damaged_changelog_records_are_refused(void **unused) {
    (void)unused;
    fixture f;
    begin(&f, true, 1);
    uint8_t value[STATE_RECORD_HEADER_BYTES + STATE_BYTES] = {STATE_RECORD_VERSION, 0, STATE_BYTES};
    const uint8_t key[11] = {0};
    for (size_t size = 0; size < sizeof value; size++)
        assert_int_equal(state_restore_record(f.store, weir_bytes_of(key, 11), weir_bytes_of(value, size)).code,
                         WEIR_CORRUPT);
    for (size_t size = 0; size < 8; size++)
        assert_int_equal(
            state_restore_record(f.store, weir_bytes_of(key, size), weir_bytes_of(value, sizeof value)).code,
            WEIR_CORRUPT);
    value[0]++;
    assert_int_equal(state_restore_record(f.store, weir_bytes_of(key, 11), weir_bytes_of(value, sizeof value)).code,
                     WEIR_CORRUPT);
    assert_int_equal(state_entry_count(f.store), 0);
    value[0]--;
    assert_int_equal(state_restore_record(f.store, weir_bytes_of(key, 11), weir_bytes_of(value, sizeof value)).code,
                     WEIR_OK);
    assert_int_equal(state_entry_count(f.store), 1);
    end(&f);
}

/* Entries that leave are reused: a table whose keys come and go does not grow. */
static void deleted_entries_are_reused(void **unused) {
    (void)unused;
    fixture f;
    begin(&f, false, 1);
    size_t bytes = 0;
    for (uint32_t round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < 100; i++) {
            uint8_t text[1600] = {0};
            const uint32_t name = round * 100 + i;
            memcpy(text, &name, 4);
            const weir_bytes key = weir_bytes_of(text, i % 10 ? 40 : 1600);
            const uint64_t hash = state_hash(key);
            const int64_t start = STATE_NOT_WINDOWED;
            state_entry *entry;
            assert_int_equal(state_upsert(f.store, &key, &hash, &start, 1, &entry).code, WEIR_OK);
        }
        state_commit(f.store);
        if (round == 1) bytes = state_bytes_used(f.store);
        state_view *view;
        assert_int_equal(state_view_create(f.store, (weir_bytes){0}, 0, 0, &view).code, WEIR_OK);
        for (uint32_t i = 0; i < state_view_count(view); i++)
            assert_int_equal(state_delete(f.store, state_find(f.store, state_view_row(view, i).key, 0)).code, WEIR_OK);
        state_view_destroy(view);
        state_commit(f.store);
        assert_int_equal(state_entry_count(f.store), 0);
    }
    assert_true(state_bytes_used(f.store) <= bytes * 2);
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_equals_sorted_array),
        cmocka_unit_test(readers_see_committed_values_only),
        cmocka_unit_test(budget_refuses),
        cmocka_unit_test(damaged_changelog_records_are_refused),
        cmocka_unit_test(deleted_entries_are_reused),
    };
    return cmocka_run_group_tests_name("state/store", tests, NULL, NULL);
}
