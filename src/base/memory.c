#include "base/memory.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t process_limit_bytes;
static _Atomic size_t process_used_bytes;

static pthread_mutex_t accounts_lock = PTHREAD_MUTEX_INITIALIZER;
static weir_account *accounts;

void weir_memory_set_limit(size_t limit_bytes) {
    process_limit_bytes = limit_bytes;
}
size_t weir_memory_limit(void) {
    return process_limit_bytes;
}
size_t weir_memory_used(void) {
    return atomic_load_explicit(&process_used_bytes, memory_order_relaxed);
}

void weir_account_init(weir_account *account, const char *name, size_t limit_bytes) {
    *account = (weir_account){.name = name, .limit_bytes = limit_bytes};
    pthread_mutex_lock(&accounts_lock);
    account->next = accounts;
    accounts = account;
    pthread_mutex_unlock(&accounts_lock);
}

void weir_account_deinit(weir_account *account) {
    weir_assert(atomic_load(&account->used_bytes) == 0);
    pthread_mutex_lock(&accounts_lock);
    weir_account **link = &accounts;
    while (*link && *link != account) link = &(*link)->next;
    weir_assert(*link == account);
    *link = account->next;
    pthread_mutex_unlock(&accounts_lock);
}

void weir_account_each(void (*visit)(const weir_account *account, void *arg), void *arg) {
    pthread_mutex_lock(&accounts_lock);
    for (const weir_account *account = accounts; account; account = account->next) visit(account, arg);
    pthread_mutex_unlock(&accounts_lock);
}

static void charge(weir_account *account, size_t bytes) {
    atomic_fetch_add_explicit(&process_used_bytes, bytes, memory_order_relaxed);
    const size_t used = atomic_fetch_add_explicit(&account->used_bytes, bytes, memory_order_relaxed) + bytes;
    size_t peak = atomic_load_explicit(&account->peak_bytes, memory_order_relaxed);
    while (used > peak && !atomic_compare_exchange_weak_explicit(&account->peak_bytes, &peak, used,
                                                                 memory_order_relaxed, memory_order_relaxed)) {
    }
}

static bool fits(size_t used, size_t bytes, size_t limit) {
    return limit == 0 || (bytes <= limit && used <= limit - bytes);
}

/* The check and the charge are two steps: threads that race past a limit together overshoot it by their requests. */
static bool has_room(const weir_account *account, size_t bytes) {
    return fits(atomic_load_explicit(&account->used_bytes, memory_order_relaxed), bytes, account->limit_bytes) &&
           fits(weir_memory_used(), bytes, process_limit_bytes);
}

bool weir_account_charge(weir_account *account, size_t bytes) {
    if (!has_room(account, bytes)) return false;
    charge(account, bytes);
    return true;
}

void weir_account_return(weir_account *account, size_t bytes) {
    const size_t used = atomic_fetch_sub_explicit(&account->used_bytes, bytes, memory_order_relaxed);
    weir_assert(used >= bytes);
    atomic_fetch_sub_explicit(&process_used_bytes, bytes, memory_order_relaxed);
}

static _Noreturn void out_of_memory(size_t bytes) {
    fprintf(stderr, "weir: the system has no memory for %zu bytes (weir holds %zu)\n", bytes, weir_memory_used());
    abort();
}

void *weir_alloc(weir_account *account, size_t bytes) {
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory) out_of_memory(bytes);
    charge(account, malloc_usable_size(memory));
    return memory;
}

void *weir_try_alloc(weir_account *account, size_t bytes) {
    if (!has_room(account, bytes)) return NULL;
    void *memory = calloc(1, bytes ? bytes : 1);
    if (memory) charge(account, malloc_usable_size(memory));
    return memory;
}

void *weir_try_alloc_raw(weir_account *account, size_t bytes) {
    if (!has_room(account, bytes)) return NULL;
    void *memory = malloc(bytes ? bytes : 1);
    if (memory) charge(account, malloc_usable_size(memory));
    return memory;
}

void *weir_realloc(weir_account *account, void *memory, size_t bytes) {
    const size_t old_bytes = memory ? malloc_usable_size(memory) : 0;
    void *moved = realloc(memory, bytes ? bytes : 1);
    if (!moved) out_of_memory(bytes);
    if (old_bytes) weir_account_return(account, old_bytes);
    charge(account, malloc_usable_size(moved));
    return moved;
}

void weir_free(weir_account *account, void *memory) {
    if (!memory) return;
    weir_account_return(account, malloc_usable_size(memory));
    free(memory);
}

char *weir_strdup(weir_account *account, const char *text) {
    const size_t bytes = strlen(text) + 1;
    return memcpy(weir_alloc(account, bytes), text, bytes);
}
