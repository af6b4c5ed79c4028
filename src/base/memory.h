/* base/memory - every byte weir allocates belongs to an account, and accounts add up to one budget.
 *
 * The process has one budget (--memory); each module opens accounts under it ("log.tail", "task.CTAS_A_1"). An
 * allocation counts against its account and the budget; what they hold is a metric (weir_memory_used).
 *
 * Two calls, two promises: weir_alloc() is for control structures whose number is bounded elsewhere and never returns
 * NULL; weir_try_alloc() is for data whose amount the outside decides and returns NULL at the limit, whereupon the
 * caller slows its source, spills, or refuses with WEIR_NO_MEMORY.
 *
 * Outside base/ nobody calls malloc, calloc, realloc or free (tools/tidy.py checks).
 * Threads: all functions are safe from every thread; the counters are relaxed atomics. */
#ifndef WEIR_BASE_MEMORY_H
#define WEIR_BASE_MEMORY_H

#include "base/status.h"

#include <stdatomic.h>

typedef struct weir_account {
    const char *name;             /* static or outliving the account */
    size_t limit_bytes;           /* 0 = only the budget limits it */
    _Atomic size_t used_bytes;
    _Atomic size_t peak_bytes;
    struct weir_account *next;    /* the list weir_account_each() walks; private */
} weir_account;

/* The process's limit in bytes; 0 = none. Set once at start, before the first weir_try_alloc(). */
void weir_memory_set_limit(size_t limit_bytes);
size_t weir_memory_limit(void);
size_t weir_memory_used(void);

/* Caller's storage; deinit asserts that everything was freed. `name` is borrowed. */
void weir_account_init(weir_account *account, const char *name, size_t limit_bytes);
void weir_account_deinit(weir_account *account);
void weir_account_each(void (*visit)(const weir_account *account, void *arg), void *arg);

/* Zeroed memory; never NULL (the process ends with a line when the system has none). */
void *weir_alloc(weir_account *account, size_t bytes) __attribute__((malloc, returns_nonnull));
/* Zeroed memory, or NULL when the account's or the process's limit would be exceeded. */
void *weir_try_alloc(weir_account *account, size_t bytes) __attribute__((malloc));
/* Uninitialised twin of weir_try_alloc() for large buffers that are written before they are read. */
void *weir_try_alloc_raw(weir_account *account, size_t bytes) __attribute__((malloc));
/* Grows or shrinks; contents kept, new bytes undefined; never NULL. `memory` may be NULL. */
void *weir_realloc(weir_account *account, void *memory, size_t bytes) __attribute__((returns_nonnull));
/* `memory` may be NULL. Must be the account it was allocated from. */
void weir_free(weir_account *account, void *memory);
char *weir_strdup(weir_account *account, const char *text) __attribute__((malloc, returns_nonnull));

/* Charges or returns bytes that a foreign library holds on weir's behalf. false at the limit: nothing was charged. */
bool weir_account_charge(weir_account *account, size_t bytes) WEIR_MUST_USE;
void weir_account_return(weir_account *account, size_t bytes);

#endif
