/* io/single - a world on the caller's thread in which time stands still: for work that is driven from outside, a step
 * at a time, and must give the same result each time (declarative query tests, embedding without threads).
 *
 * Jobs of all lanes run in the order they were posted. The clocks stay at 0, so a timer set for later never fires, and
 * what is due at once is. Random bytes come from a fixed seed. There are no files and no network: `world->files` and
 * `world->network` are NULL, and whoever is given this world must need neither.
 * Threads: one. */
#ifndef WEIR_IO_SINGLE_IO_SINGLE_H
#define WEIR_IO_SINGLE_IO_SINGLE_H

#include "io/io.h"

typedef struct io_single io_single;

io_single *io_single_create(weir_account *account); /* account borrowed */
void io_single_destroy(io_single *single);          /* no job is queued */
const io_world *io_single_world(io_single *single);
/* Runs jobs until none is queued, at most `jobs_max` of them; false when more are left. */
bool io_single_run(io_single *single, uint64_t jobs_max) WEIR_MUST_USE;

#endif
