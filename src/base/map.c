#include "base/map.h"

#include "base/hash.h"

enum { CAPACITY_MIN = 16 };

/* A slot is live when it has a value, deleted when it has none but its key is `deleted_key`, else empty. */
struct weir_map_slot {
    uint64_t hash;
    uint8_t *key;
    size_t key_bytes;
    void *value;
};

static uint8_t deleted_key;

void weir_map_init(weir_map *map, weir_account *account) {
    *map = (weir_map){.account = account};
}

void weir_map_deinit(weir_map *map) {
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].value) weir_free(map->account, map->slots[i].key);
    }
    weir_free(map->account, map->slots);
    *map = (weir_map){0};
}

static weir_map_slot *find(const weir_map *map, weir_bytes key, uint64_t hash) {
    if (!map->capacity) return NULL;
    for (size_t i = hash;; i++) {
        weir_map_slot *slot = &map->slots[i & (map->capacity - 1)];
        if (!slot->key) return NULL;
        if (slot->value && slot->hash == hash && weir_bytes_equal(weir_bytes_of(slot->key, slot->key_bytes), key)) {
            return slot;
        }
    }
}

void *weir_map_get(const weir_map *map, weir_bytes key) {
    const weir_map_slot *slot = find(map, key, weir_hash(key.data, key.size));
    return slot ? slot->value : NULL;
}

static weir_map_slot *first_free(weir_map_slot *slots, size_t capacity, uint64_t hash) {
    size_t i = hash;
    while (slots[i & (capacity - 1)].value) i++;
    return &slots[i & (capacity - 1)];
}

/* Makes room for one more. Deleted slots are dropped, so a map of steady size keeps its capacity. */
static void rehash(weir_map *map) {
    size_t capacity = CAPACITY_MIN;
    while (capacity < (map->count + 1) * 2) capacity *= 2;
    weir_map_slot *slots = weir_alloc(map->account, capacity * sizeof *slots);
    for (size_t i = 0; i < map->capacity; i++) {
        const weir_map_slot *slot = &map->slots[i];
        if (slot->value) *first_free(slots, capacity, slot->hash) = *slot;
    }
    weir_free(map->account, map->slots);
    map->slots = slots;
    map->capacity = capacity;
    map->used = map->count;
}

void *weir_map_put(weir_map *map, weir_bytes key, void *value) {
    weir_assert(value != NULL);
    const uint64_t hash = weir_hash(key.data, key.size);
    weir_map_slot *slot = find(map, key, hash);
    if (slot) {
        void *before = slot->value;
        slot->value = value;
        return before;
    }
    /* At most three quarters taken: a search always meets an empty slot. */
    if ((map->used + 1) * 4 > map->capacity * 3) rehash(map);
    slot = first_free(map->slots, map->capacity, hash);
    if (!slot->key) map->used++;
    *slot = (weir_map_slot){hash, weir_alloc(map->account, key.size), key.size, value};
    if (key.size) memcpy(slot->key, key.data, key.size);
    map->count++;
    return NULL;
}

void *weir_map_remove(weir_map *map, weir_bytes key) {
    weir_map_slot *slot = find(map, key, weir_hash(key.data, key.size));
    if (!slot) return NULL;
    void *value = slot->value;
    weir_free(map->account, slot->key);
    *slot = (weir_map_slot){.key = &deleted_key};
    map->count--;
    return value;
}

bool weir_map_next(const weir_map *map, size_t *at, weir_bytes *key, void **value) {
    while (*at < map->capacity) {
        const weir_map_slot *slot = &map->slots[(*at)++];
        if (!slot->value) continue;
        if (key) *key = weir_bytes_of(slot->key, slot->key_bytes);
        *value = slot->value;
        return true;
    }
    return false;
}
