#include "io/timers.h"

void io_timers_init(io_timers *timers, weir_account *account) {
    *timers = (io_timers){.account = account};
}

void io_timers_deinit(io_timers *timers) {
    weir_free(timers->account, timers->items);
    *timers = (io_timers){.account = timers->account};
}

static bool is_before(const io_timer *a, const io_timer *b) {
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

static void place(io_timers *timers, io_timer *timer, size_t at) {
    timers->items[at] = timer;
    timer->position = at;
}

static void sift_up(io_timers *timers, io_timer *timer, size_t at) {
    while (at > 0) {
        const size_t parent = (at - 1) / 2;
        if (!is_before(timer, timers->items[parent])) break;
        place(timers, timers->items[parent], at);
        at = parent;
    }
    place(timers, timer, at);
}

static void sift_down(io_timers *timers, io_timer *timer, size_t at) {
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= timers->count) break;
        if (child + 1 < timers->count && is_before(timers->items[child + 1], timers->items[child])) child++;
        if (!is_before(timers->items[child], timer)) break;
        place(timers, timers->items[child], at);
        at = child;
    }
    place(timers, timer, at);
}

void io_timers_remove(io_timers *timers, io_timer *timer) {
    if (!atomic_load_explicit(&timer->set, memory_order_relaxed)) return;
    const size_t at = timer->position;
    weir_assert(at < timers->count && timers->items[at] == timer);
    atomic_store_explicit(&timer->set, false, memory_order_relaxed);
    io_timer *last = timers->items[--timers->count];
    if (last == timer) return;
    if (at > 0 && is_before(last, timers->items[(at - 1) / 2]))
        sift_up(timers, last, at);
    else
        sift_down(timers, last, at);
}

void io_timers_set(io_timers *timers, io_timer *timer, int64_t at_ns) {
    io_timers_remove(timers, timer);
    if (timers->count == timers->capacity) {
        timers->capacity = timers->capacity ? timers->capacity * 2 : 16;
        timers->items = weir_realloc(timers->account, timers->items, timers->capacity * sizeof *timers->items);
    }
    timer->at_ns = at_ns;
    timer->order = timers->order_next++;
    atomic_store_explicit(&timer->set, true, memory_order_relaxed);
    sift_up(timers, timer, timers->count++);
}
