/* bench/text_views - what a text view should hold: a pointer, or Arrow's index of a buffer and an offset in it?
 *
 * One million keys of 20 to 60 bytes lie in 16 buffers, as if decoded from wire batches. Both forms of view are hashed
 * and compared in order and in a shuffled order (a probe of a hash table); then pointer views are turned into Arrow's
 * Utf8View in one pass, the price of the choice at the door. Prints nanoseconds a key, the best of several rounds. */
#include "base/hash.h"
#include "data/batch.h"

#include <stdio.h>
#include <time.h>

enum { KEYS = 1000000, BUFFERS = 16, KEY_BYTES_MIN = 20, KEY_BYTES_MAX = 60, ROUNDS = 7 };

typedef struct index_view { /* Arrow's Utf8View of a long text */
    uint32_t size;
    uint8_t prefix[4];
    uint32_t buffer;
    uint32_t offset;
} index_view;

typedef struct key_set {
    uint8_t *buffers[BUFFERS];
    data_text *pointers;
    index_view *indexes;
    uint32_t *order;
    const struct key_set *twin; /* the same keys in other memory: what a hash table holds */
} key_set;

static double now_ns(void) {
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static uint64_t next(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    return z ^ z >> 27;
}

static void keys_make(key_set *keys, weir_account *account) {
    uint64_t seed = 1;
    size_t used = 0;
    const size_t per_buffer = KEYS / BUFFERS;
    for (int i = 0; i < BUFFERS; i++) keys->buffers[i] = weir_alloc(account, per_buffer * KEY_BYTES_MAX);
    keys->pointers = weir_alloc(account, sizeof(data_text) * KEYS);
    keys->indexes = weir_alloc(account, sizeof(index_view) * KEYS);
    keys->order = weir_alloc(account, sizeof(uint32_t) * KEYS);
    for (uint32_t i = 0; i < KEYS; i++) {
        const uint32_t buffer = (uint32_t)(i / per_buffer);
        if (i % per_buffer == 0) used = 0;
        const size_t size = KEY_BYTES_MIN + next(&seed) % (KEY_BYTES_MAX - KEY_BYTES_MIN + 1);
        uint8_t *at = keys->buffers[buffer] + used;
        for (size_t byte = 0; byte < size; byte++) at[byte] = (uint8_t)('a' + next(&seed) % 26);
        keys->pointers[i] = data_text_of(at, size);
        keys->indexes[i] = (index_view){(uint32_t)size, {0}, buffer, (uint32_t)used};
        memcpy(keys->indexes[i].prefix, at, 4);
        keys->order[i] = i;
        used += size;
    }
    for (uint32_t i = KEYS - 1; i > 0; i--) {
        const uint32_t other = (uint32_t)(next(&seed) % (i + 1)), kept = keys->order[i];
        keys->order[i] = keys->order[other];
        keys->order[other] = kept;
    }
}

static void keys_free(key_set *keys, weir_account *account) {
    for (int i = 0; i < BUFFERS; i++) weir_free(account, keys->buffers[i]);
    weir_free(account, keys->pointers);
    weir_free(account, keys->indexes);
    weir_free(account, keys->order);
}

static const uint8_t *index_data(const key_set *keys, const index_view *view) {
    return keys->buffers[view->buffer] + view->offset;
}

static uint64_t hash_pointers(const key_set *keys, bool shuffled) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        const data_text *text = &keys->pointers[shuffled ? keys->order[i] : i];
        sum += weir_hash(data_text_data(text), text->size);
    }
    return sum;
}

static uint64_t hash_indexes(const key_set *keys, bool shuffled) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        const index_view *view = &keys->indexes[shuffled ? keys->order[i] : i];
        sum += weir_hash(index_data(keys, view), view->size);
    }
    return sum;
}

/* Each key against its twin, as a hit in a hash table is. */
static uint64_t equal_pointers(const key_set *keys, bool shuffled) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        const uint32_t at = shuffled ? keys->order[i] : i;
        sum += data_text_equal(&keys->pointers[at], &keys->twin->pointers[at]);
    }
    return sum;
}

static uint64_t equal_indexes(const key_set *keys, bool shuffled) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        const uint32_t at = shuffled ? keys->order[i] : i;
        const index_view *view = &keys->indexes[at], *other = &keys->twin->indexes[at];
        sum += view->size == other->size && memcmp(view->prefix, other->prefix, 4) == 0 &&
               memcmp(index_data(keys, view), index_data(keys->twin, other), view->size) == 0;
    }
    return sum;
}

/* Pointer views to Utf8View: find each one's buffer among the batch's (sorted by address; here the last one nearly
 * always). */
static uint64_t export_views(const key_set *keys, bool shuffled) {
    uint64_t sum = 0;
    uint32_t buffer = 0;
    const size_t buffer_bytes = (size_t)(KEYS / BUFFERS) * KEY_BYTES_MAX;
    for (uint32_t i = 0; i < KEYS; i++) {
        const data_text *text = &keys->pointers[shuffled ? keys->order[i] : i];
        const uint8_t *data = data_text_data(text);
        if ((size_t)(data - keys->buffers[buffer]) >= buffer_bytes) {
            buffer = 0;
            while ((size_t)(data - keys->buffers[buffer]) >= buffer_bytes) buffer++;
        }
        index_view view = {text->size, {0}, buffer, (uint32_t)(data - keys->buffers[buffer])};
        memcpy(view.prefix, text->far.prefix, 4);
        keys->indexes[shuffled ? keys->order[i] : i] = view;
        sum += view.offset;
    }
    return sum;
}

static void measure(const char *name, const key_set *keys, uint64_t (*run)(const key_set *keys, bool shuffled)) {
    static volatile uint64_t kept; /* so that no loop is left out */
    double best[2] = {1e18, 1e18};
    for (int round = 0; round < ROUNDS; round++) {
        for (int shuffled = 0; shuffled < 2; shuffled++) {
            const double start = now_ns();
            kept += run(keys, shuffled);
            const double spent = (now_ns() - start) / KEYS;
            if (spent < best[shuffled]) best[shuffled] = spent;
        }
    }
    printf("%-28s %8.1f %12.1f\n", name, best[0], best[1]);
}

int main(void) {
    weir_account account;
    key_set keys, twin;
    weir_account_init(&account, "bench", 0);
    keys_make(&keys, &account);
    keys_make(&twin, &account);
    keys.twin = &twin;
    printf("%-28s %8s %12s   ns a key\n", "", "in order", "shuffled");
    measure("hash, pointer", &keys, hash_pointers);
    measure("hash, buffer and offset", &keys, hash_indexes);
    measure("equal, pointer", &keys, equal_pointers);
    measure("equal, buffer and offset", &keys, equal_indexes);
    measure("pointer views to Utf8View", &keys, export_views);
    keys_free(&keys, &account);
    keys_free(&twin, &account);
    weir_account_deinit(&account);
    return 0;
}
