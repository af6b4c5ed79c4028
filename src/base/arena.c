#include "base/arena.h"

#include <stdio.h>

enum {
    ALIGNMENT = 16,
    CHUNK_BYTES_MIN = 4096,
    CHUNK_BYTES_GROWTH_MAX = 1 << 20 /* chunks double up to here, so that a large arena takes few */
};

struct weir_arena_chunk {
    weir_arena_chunk *next;
    size_t bytes; /* of payload */
    _Alignas(ALIGNMENT) uint8_t payload[];
};

void weir_arena_init(weir_arena *arena, weir_account *account, size_t max_bytes) {
    *arena = (weir_arena){.account = account, .max_bytes = max_bytes};
}

static void free_chunks(weir_arena *arena, weir_arena_chunk *chunk) {
    while (chunk) {
        weir_arena_chunk *next = chunk->next;
        arena->total_bytes -= chunk->bytes;
        weir_free(arena->account, chunk);
        chunk = next;
    }
}

void weir_arena_deinit(weir_arena *arena) {
    free_chunks(arena, arena->first);
    *arena = (weir_arena){0};
}

static bool is_better_to_keep(const weir_arena_chunk *chunk, const weir_arena_chunk *best) {
    if (chunk->bytes > CHUNK_BYTES_GROWTH_MAX) return false;
    return chunk->bytes > best->bytes || best->bytes > CHUNK_BYTES_GROWTH_MAX;
}

/* Unlinks the largest chunk that is not larger than growth makes them; the first when all are. */
static weir_arena_chunk *take_chunk_to_keep(weir_arena *arena) {
    weir_arena_chunk **best = &arena->first;
    for (weir_arena_chunk **link = &arena->first; *link; link = &(*link)->next) {
        if (is_better_to_keep(*link, *best)) best = link;
    }
    weir_arena_chunk *kept = *best;
    *best = kept->next;
    kept->next = NULL;
    return kept;
}

void weir_arena_reset(weir_arena *arena) {
    if (!arena->first) return;
    weir_arena_chunk *kept = take_chunk_to_keep(arena);
    free_chunks(arena, arena->first);
    arena->first = arena->last = kept;
    arena->at = kept->payload;
    arena->end = arena->at + arena->first->bytes;
#ifdef WEIR_DEBUG_BUILD
    memset(arena->at, 0xA5, arena->first->bytes);
#endif
}

size_t weir_arena_used(const weir_arena *arena) {
    return arena->total_bytes - (size_t)(arena->end - arena->at);
}

static bool add_chunk(weir_arena *arena, size_t bytes) {
    size_t payload = arena->last ? arena->last->bytes * 2 : CHUNK_BYTES_MIN;
    if (payload > CHUNK_BYTES_GROWTH_MAX) payload = CHUNK_BYTES_GROWTH_MAX;
    const size_t room = arena->max_bytes - arena->total_bytes;
    if (payload > room) payload = room;
    if (payload < bytes) payload = bytes;
    if (payload > room) return false;
    weir_arena_chunk *chunk = weir_try_alloc_raw(arena->account, sizeof *chunk + payload);
    if (!chunk) return false;
    chunk->next = NULL;
    chunk->bytes = payload;
    if (arena->last) arena->last->next = chunk;
    else arena->first = chunk;
    arena->last = chunk;
    arena->total_bytes += payload;
    arena->at = chunk->payload;
    arena->end = chunk->payload + payload;
    return true;
}

void *weir_arena_try(weir_arena *arena, size_t bytes) {
    if (bytes > arena->max_bytes) return NULL;
    if (bytes == 0) bytes = 1; /* an empty array has an address too: NULL means no room */
    const size_t rounded = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (rounded > (size_t)(arena->end - arena->at) && !add_chunk(arena, rounded)) return NULL;
    void *memory = arena->at;
    arena->at += rounded;
    return memory;
}

void *weir_arena_alloc(weir_arena *arena, size_t bytes) {
    void *memory = weir_arena_try(arena, bytes);
    weir_assert(memory != NULL);
    return memset(memory, 0, bytes);
}

weir_bytes weir_arena_bytes_copy(weir_arena *arena, weir_bytes bytes) {
    if (!bytes.data) return bytes;
    uint8_t *copy = weir_arena_alloc(arena, bytes.size);
    if (bytes.size) memcpy(copy, bytes.data, bytes.size);
    return (weir_bytes){copy, bytes.size};
}

char *weir_arena_text_copy(weir_arena *arena, const char *text) {
    const size_t bytes = strlen(text) + 1;
    return memcpy(weir_arena_alloc(arena, bytes), text, bytes);
}

char *weir_arena_format(weir_arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    weir_assert(length >= 0);
    char *text = weir_arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}
