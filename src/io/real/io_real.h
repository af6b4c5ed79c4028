/* io/real - the five seams on Linux: the kernel's clock, getrandom, files and libuv's sockets, and threads.
 *
 * Threads, all named, none of which wakes while it has nothing to do:
 *   one per name of a loop lane; the loop "main" belongs to the thread that calls io_real_run()
 *   `workers` for all worker lanes together, started with the first of them
 *   one per blocking lane, started with its first job
 *
 * Life: io_real_start(), lanes and listeners may be made; io_real_run() until io_real_stop(); io_real_destroy(). What
 * still lives then is closed without a callback and jobs still queued are not run, so that an orderly stop (jobs that
 * close and then call io_real_stop) comes first. One world per process: it ignores SIGPIPE and owns the signals it is
 * asked to watch. */
#ifndef WEIR_IO_REAL_IO_REAL_H
#define WEIR_IO_REAL_IO_REAL_H

#include "io/io.h"

typedef struct io_real io_real;

typedef struct io_real_config {
    unsigned workers;        /* threads for worker lanes; 0 = one a core */
    const char *thread_name; /* prefix of thread names, at most 6 bytes; NULL = "weir" */
} io_real_config;

enum { IO_REAL_LOOPS_MAX = 64, IO_REAL_WORKERS_MAX = 256, IO_REAL_SIGNALS_MAX = 4 };

weir_status io_real_start(io_real **real, const io_real_config *config) WEIR_MUST_USE;
const io_world *io_real_world(io_real *real);

/* Runs the loop "main" on the calling thread until io_real_stop(). May be called again. */
void io_real_run(io_real *real);
/* From any thread; a stop that comes before the run ends that run at once. */
void io_real_stop(io_real *real);
/* Posts `job` to `lane` each time the process gets the signal, instead of the signal's own effect. Before
 * io_real_run(), or from a job of the loop "main". */
weir_status io_real_on_signal(io_real *real, int signal_number, io_lane *lane, io_job *job) WEIR_MUST_USE;
/* After the run: joins every thread, closes and frees everything. */
void io_real_destroy(io_real *real);

#endif
