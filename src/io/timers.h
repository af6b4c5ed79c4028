/* io/timers - the set timers of one loop, earliest first: what both executors keep their io_timers in.
 *
 * A binary heap of borrowed timers; equal times keep the order in which they were set. Only implementations of
 * io_executor use it.
 * Threads: one owner at a time; io/real guards it with a lock. */
#ifndef WEIR_IO_TIMERS_H
#define WEIR_IO_TIMERS_H

#include "io/io.h"

typedef struct io_timers {
    weir_account *account;
    io_timer **items;
    size_t count, capacity;
    uint64_t order_next;
} io_timers;

void io_timers_init(io_timers *timers, weir_account *account);
void io_timers_deinit(io_timers *timers); /* timers still set are forgotten */
/* Sets or moves. */
void io_timers_set(io_timers *timers, io_timer *timer, int64_t at_ns);
/* Nothing happens when it is not set. */
void io_timers_remove(io_timers *timers, io_timer *timer);
/* The earliest, or NULL. */
static inline io_timer *io_timers_first(const io_timers *timers) {
    return timers->count ? timers->items[0] : NULL;
}

#endif
