/* base/map - a hash table from bytes to a pointer, for registries: topics by name, groups by id, queries by id.
 *
 * Open addressing with stored hashes; keys are copied into the map's account; values are borrowed. Not the table of the
 * aggregation path, which lives in state/. Iteration order is unspecified but stable between writes.
 * Threads: one owner at a time. */
#ifndef WEIR_BASE_MAP_H
#define WEIR_BASE_MAP_H

#include "base/bytes.h"
#include "base/memory.h"

typedef struct weir_map_slot weir_map_slot;

typedef struct weir_map {
    weir_account *account;
    weir_map_slot *slots;
    size_t capacity;
    size_t count;
    size_t used; /* slots taken, deleted ones included */
} weir_map;

void weir_map_init(weir_map *map, weir_account *account);
void weir_map_deinit(weir_map *map); /* frees keys and slots, not the values */
void *weir_map_get(const weir_map *map, weir_bytes key);
/* Returns the value that was there before, NULL if none. `value` must not be NULL. */
void *weir_map_put(weir_map *map, weir_bytes key, void *value);
void *weir_map_remove(weir_map *map, weir_bytes key);
static inline void *weir_map_get_text(const weir_map *map, const char *key) {
    return weir_map_get(map, weir_bytes_text(key));
}

/* for (size_t at = 0; weir_map_next(&map, &at, &key, &value);) ... The map may not be written meanwhile, except that
 * the entry just returned may be removed. `key` may be NULL. */
bool weir_map_next(const weir_map *map, size_t *at, weir_bytes *key, void **value);

#endif
