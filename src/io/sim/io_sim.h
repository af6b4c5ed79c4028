/* io/sim - the five seams from a seed: one thread, a clock that jumps, a disk that tears, links that drop. Tests only.
 *
 * The same seed gives the same run, to the byte; io_sim_trace() is a hash of all that happened, to prove it.
 *
 * Executor. A step runs one job: of all lanes that have one, the seed picks the lane. The clock creeps with every step
 *   and jumps to the next timer when no lane has a job.
 * Network. Links live in memory; the seed picks each delay and the cuts in which bytes arrive. A link holds
 *   IO_SIM_WINDOW_BYTES at most, so a reader that pauses is felt by the writer.
 * Disk. Every file is an image that is safe and a list of changes that are not. sync() makes the file's changes safe,
 *   sync_directory() the entries made, renamed and removed in that directory. Sizes are contents; nothing is ordered
 *   that was not synced. The root folder exists; paths are looked up in it with or without a leading '/'.
 *
 * A process dies at a file operation (io_sim_crash_at, io_sim_crash): from then on every file call fails with CLOSED
 * and has no effect. The test shuts its modules down through that, then io_sim_restart() gives the disk as the next
 * process finds it: after a KILL        all that was written is there (and still unsynced) after a POWER_CUT   each
 * unsynced change was, independently of the others, kept, lost, or torn: a prefix, or any of its 512-byte sectors; a
 * lost growth may have left its size, as zeroes; each unsynced entry was kept or lost, a rename as a whole. How much
 * survives is drawn anew for each cut. after a DRY_CUT     every unsynced change was lost: the least a caller may count
 * on Locks vanish; files still open answer CLOSED until they are closed. Lanes, timers and links go on: other processes
 * of the test live on them. */
#ifndef WEIR_IO_SIM_IO_SIM_H
#define WEIR_IO_SIM_IO_SIM_H

#include "io/io.h"

typedef struct io_sim io_sim;

enum { IO_SIM_WINDOW_BYTES = 64 * 1024, IO_SIM_SECTOR_BYTES = 512 };

io_sim *io_sim_create(uint64_t seed);
void io_sim_destroy(io_sim *sim); /* what is still open is dropped without a callback */
const io_world *io_sim_world(io_sim *sim);
uint64_t io_sim_seed(const io_sim *sim);

/* ---- running ---- */

typedef enum io_sim_end {
    IO_SIM_DONE,  /* `done` said so */
    IO_SIM_IDLE,  /* no job, no timer: nothing would ever happen again */
    IO_SIM_LIMIT, /* `steps_max` jobs ran, or the time was up */
} io_sim_end;

/* Runs until `done` (may be NULL), asked before each step, says so. */
io_sim_end io_sim_run(io_sim *sim, bool (*done)(void *arg), void *arg, uint64_t steps_max);
/* Runs for so long by the simulated clock, which is then exactly there (IO_SIM_LIMIT), or until idle. */
io_sim_end io_sim_run_for(io_sim *sim, int64_t duration_ns);
uint64_t io_sim_steps(const io_sim *sim);
uint64_t io_sim_trace(const io_sim *sim);
void io_sim_wall_jump(io_sim *sim, int64_t by_ms); /* somebody sets the wall clock */

/* For the test's own choices, from the same seed; independent of what the world draws. */
uint64_t io_sim_draw(io_sim *sim, uint64_t below);

/* ---- network ---- */

/* Resets one link in `one_in`; 1 = all. */
void io_sim_drop_links(io_sim *sim, unsigned one_in);
/* From now on each transfer resets its link with the chance 1/one_in; 0 = never, as at first. */
void io_sim_set_drops(io_sim *sim, unsigned one_in);

/* ---- disk ---- */

typedef enum io_sim_death { IO_SIM_KILL, IO_SIM_POWER_CUT, IO_SIM_DRY_CUT } io_sim_death;

/* Calls so far that change or sync the disk; the first is number 1. */
uint64_t io_sim_disk_operations(const io_sim *sim);
uint64_t io_sim_disk_syncs(const io_sim *sim); /* of files */
/* Dies at operation `number` (0 = never): before it, after it without an answer, or, a write, in its middle. */
void io_sim_crash_at(io_sim *sim, uint64_t number);
void io_sim_crash(io_sim *sim); /* now */
bool io_sim_is_crashed(const io_sim *sim);
/* From a crash, or from a running process, which dies by it. */
void io_sim_restart(io_sim *sim, io_sim_death death);

/* The operation, or file sync, that many from now (1 = the next) fails with IO. A failed operation has no effect; of a
 * failed sync's changes some may be safe and the others never will be, though they can still be read: as Linux does. */
void io_sim_fail_operation(io_sim *sim, uint64_t from_now);
void io_sim_fail_sync(io_sim *sim, uint64_t from_now);
/* Growth beyond fails with DISK_FULL after the prefix that fits; UINT64_MAX = no limit, as at first. */
void io_sim_set_free_bytes(io_sim *sim, uint64_t bytes);
/* Reading finds one block in `one_in` not resident; 0 = all resident. At first 4. */
void io_sim_set_cold_reads(io_sim *sim, unsigned one_in);
/* Flips `count` bits of the file, drawn from bytes [from, to), in memory and on disk. false: no such file or bytes. */
bool io_sim_flip_bits(io_sim *sim, const char *path, uint64_t from, uint64_t to, unsigned count);

#endif
