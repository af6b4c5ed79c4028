/* base/arena - memory that lives as long as a request, a batch or a plan, freed in one call.
 *
 * An arena hands out 16-byte aligned memory from chunks of its account; nothing is freed singly. weir_arena_reset()
 * makes all of it reusable and keeps the largest chunk up to 1 MiB, so a request loop settles at no allocation per
 * turn. Debug builds poison what is reset.
 *
 * Every arena has a maximum. weir_arena_try() answers NULL there: the caller splits its work or fails with
 * WEIR_NO_MEMORY. weir_arena_alloc() is for amounts the program itself bounds (a parsed statement, a plan) and asserts.
 * Threads: one owner at a time. */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include "base/bytes.h"
#include "base/memory.h"

typedef struct weir_arena_chunk weir_arena_chunk;

typedef struct weir_arena {
    weir_account *account;
    size_t max_bytes;        /* limit over all chunks */
    size_t total_bytes;      /* in chunks now */
    weir_arena_chunk *first;
    weir_arena_chunk *last;
    uint8_t *at;             /* next free byte and end of the last chunk */
    uint8_t *end;
} weir_arena;

void weir_arena_init(weir_arena *arena, weir_account *account, size_t max_bytes);
void weir_arena_deinit(weir_arena *arena);
void weir_arena_reset(weir_arena *arena);
size_t weir_arena_used(const weir_arena *arena);

/* Not zeroed. NULL at the arena's, the account's or the process's limit. */
void *weir_arena_try(weir_arena *arena, size_t bytes) WEIR_MUST_USE;
/* Zeroed; asserts instead of returning NULL. */
void *weir_arena_alloc(weir_arena *arena, size_t bytes) __attribute__((returns_nonnull));

weir_bytes weir_arena_bytes_copy(weir_arena *arena, weir_bytes bytes);
char *weir_arena_text_copy(weir_arena *arena, const char *text);
char *weir_arena_format(weir_arena *arena, const char *format, ...) WEIR_PRINTF(2, 3);

#define weir_arena_new(arena, type) ((type *)weir_arena_alloc((arena), sizeof(type)))
#define weir_arena_array(arena, type, count) ((type *)weir_arena_alloc((arena), sizeof(type) * (size_t)(count)))

#endif
