/* io/real, inside: what its files share. */
#ifndef WEIR_IO_REAL_INT_H
#define WEIR_IO_REAL_INT_H

#include "io/real/io_real.h"
#include "io/timers.h"

#include <pthread.h>
#include <uv.h>

typedef struct real_loop real_loop;
typedef struct real_conn real_conn;

enum { REAL_NAME_MAX = 16, REAL_READ_BYTES = 64 * 1024 };

/* A lane's jobs: `arrived` is a stack that any thread pushes on, `todo` what the running thread took from it, turned to
 * posting order. `arrived` is NULL while the lane has nothing and waits nowhere; whoever pushes on NULL must hand the
 * lane to its threads. A taken stack is replaced by a mark, and only a compare-and-swap from mark to NULL ends a turn,
 * so no post is ever missed and the lane is not touched after it. */
struct io_lane {
    io_real *real;
    io_lane_kind kind;
    char name[REAL_NAME_MAX];
    _Atomic(io_job *) arrived;
    io_job *todo;
    io_lane *next_ready; /* in the ready list of its loop or of the workers */
    io_lane *next;       /* all lanes of the world */
    real_loop *loop;     /* runs a loop lane; hosts the timers of the others */
    pthread_t thread;    /* of a blocking lane, when `started` */
    pthread_mutex_t lock;
    pthread_cond_t wanted_changed;
    bool started, wanted, stopping;
};

typedef struct real_ready {
    io_lane *first, *last;
} real_ready;

struct real_loop {
    io_real *real;
    char name[REAL_NAME_MAX];
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* active only while work is left over, so that the poll does not wait */
    uv_timer_t alarm;
    int64_t alarm_at_ns; /* what the alarm is set for; INT64_MAX = not set */
    pthread_t thread;
    bool has_thread;
    _Atomic bool stopping;
    _Atomic(io_lane *) arrived; /* stack of lanes made ready by other threads */
    _Atomic bool running;
    real_ready ready;           /* loop thread only */
    real_conn *deferred;        /* connections with callbacks to make, loop thread only */
    real_conn *conns;           /* all of the loop */
    bool is_ending;             /* being destroyed: no callbacks any more */
    pthread_mutex_t timers_lock;
    io_timers timers;
    real_loop *next;
    char read_buffer[REAL_READ_BYTES];    /* one for all connections: an idle one costs none */
    char discard_buffer[REAL_READ_BYTES]; /* for bytes nobody wants; may be needed while read_buffer is being viewed */
};

typedef struct real_workers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    real_ready ready;
    unsigned count, idle;
    bool started, stopping;
    pthread_t threads[IO_REAL_WORKERS_MAX];
} real_workers;

typedef struct real_signal {
    uv_signal_t handle;
    io_real *real;
    io_lane *lane;
    io_job *job;
} real_signal;

struct io_real {
    io_world world;
    io_clock clock;
    io_random random;
    io_executor executor;
    io_files files;
    io_network network;
    weir_account account;
    char thread_name[REAL_NAME_MAX];
    pthread_mutex_t lock; /* lists of loops and lanes */
    real_loop *loops;
    real_loop *main_loop;
    io_lane *lanes;
    real_workers workers;
    real_signal signals[IO_REAL_SIGNALS_MAX];
    unsigned signal_count;
};

extern _Thread_local real_loop *real_current_loop; /* the loop this thread runs, if any */

void real_clock_init(io_clock *clock);
void real_random_init(io_random *random);
void real_files_init(io_files *files);
void real_executor_init(io_executor *executor);
void real_network_init(io_network *network);

/* lane */
void real_lane_init(io_lane *lane, io_real *real, io_lane_kind kind, const char *name);
bool real_lane_push(io_lane *lane, io_job *job);      /* true: hand the lane to its threads */
bool real_lane_run(io_lane *lane, unsigned jobs_max); /* true: more to do; false: not touched any more */
void real_lane_await_idle(io_lane *lane);
void real_ready_append(real_ready *ready, io_lane *lane);
io_lane *real_ready_take(real_ready *ready);

/* loop */
weir_status real_loop_create(real_loop **loop, io_real *real, const char *name) WEIR_MUST_USE;
weir_status real_loop_start_thread(real_loop *loop) WEIR_MUST_USE;
void real_loop_schedule(real_loop *loop, io_lane *lane);
void real_loop_run(real_loop *loop);
void real_loop_stop(real_loop *loop);
void real_loop_destroy(real_loop *loop);
void real_loop_release(real_loop *loop, io_lane *lane); /* before the lane is freed */
void real_loop_timer_set(real_loop *loop, io_timer *timer, int64_t at_ns);
void real_loop_timer_cancel(real_loop *loop, io_timer *timer);

/* threads */
weir_status real_thread_start(io_real *real, pthread_t *thread, const char *name, void *(*run)(void *),
                              void *arg) WEIR_MUST_USE;
void real_workers_schedule(real_workers *workers, io_lane *lane);
void real_workers_start(io_real *real);
void real_workers_stop(real_workers *workers);
void real_blocking_schedule(io_lane *lane);
void real_blocking_stop(io_lane *lane);

/* network */
void real_network_deferred(real_loop *loop); /* makes the callbacks that were put off */
void real_network_close_all(real_loop *loop);
void real_network_close_listeners(real_loop *loop);

#endif
