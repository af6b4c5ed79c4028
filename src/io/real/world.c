/* The world as a whole: clock, randomness, signals, start and end. */
#include "io/real/io_real_int.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static int64_t monotonic_ns(io_clock *self) {
    (void)self;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t wall_ms(io_clock *self) {
    (void)self;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void fill(io_random *self, void *target, size_t size) {
    (void)self;
    for (size_t done = 0; done < size;) {
        const ssize_t got = getrandom((char *)target + done, size - done, 0);
        weir_assert(got > 0 || errno == EINTR);
        if (got > 0) done += (size_t)got;
    }
}

/* Holds the world itself, which holds the account of all the rest. */
static weir_account world_account = {.name = "io.world"};

weir_status io_real_start(io_real **created, const io_real_config *config) {
    io_real *real = weir_alloc(&world_account, sizeof *real);
    weir_account_init(&real->account, "io", 0);
    snprintf(real->thread_name, sizeof real->thread_name, "%s", config->thread_name ? config->thread_name : "weir");
    pthread_mutex_init(&real->lock, NULL);
    pthread_mutex_init(&real->workers.lock, NULL);
    pthread_cond_init(&real->workers.changed, NULL);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    real->workers.count = config->workers ? config->workers : cores > 0 ? (unsigned)cores : 1;
    if (real->workers.count > IO_REAL_WORKERS_MAX) real->workers.count = IO_REAL_WORKERS_MAX;
    real->clock = (io_clock){monotonic_ns, wall_ms};
    real->random = (io_random){fill};
    real_executor_init(&real->executor);
    real_files_init(&real->files);
    real_network_init(&real->network);
    real->world = (io_world){&real->clock, &real->random, &real->executor, &real->files, &real->network};
    signal(SIGPIPE, SIG_IGN); /* a peer that went away is a status of the write */
    const weir_status status = real_loop_create(&real->main_loop, real, "main");
    if (weir_failed(status)) {
        weir_account_deinit(&real->account);
        weir_free(&world_account, real);
        return status;
    }
    real->loops = real->main_loop;
    *created = real;
    return weir_ok();
}

const io_world *io_real_world(io_real *real) {
    return &real->world;
}

void io_real_run(io_real *real) {
    real_loop_run(real->main_loop);
}

void io_real_stop(io_real *real) {
    real_loop_stop(real->main_loop);
}

static void on_signal(uv_signal_t *handle, int signal_number) {
    (void)signal_number;
    real_signal *watched = handle->data;
    io_post(&watched->real->executor, watched->lane, watched->job);
}

weir_status io_real_on_signal(io_real *real, int signal_number, io_lane *lane, io_job *job) {
    weir_assert(real->signal_count < IO_REAL_SIGNALS_MAX);
    real_signal *watched = &real->signals[real->signal_count];
    *watched = (real_signal){.real = real, .lane = lane, .job = job};
    int error = uv_signal_init(&real->main_loop->uv, &watched->handle);
    if (error) return weir_fail_errno(-error, "watching signal %d", signal_number);
    real->signal_count++;
    watched->handle.data = watched;
    error = uv_signal_start(&watched->handle, on_signal, signal_number);
    if (error) return weir_fail_errno(-error, "watching signal %d", signal_number);
    return weir_ok();
}

/* Threads that post come to rest before the loops they post to, and every loop before any is closed. */
void io_real_destroy(io_real *real) {
    real_workers_stop(&real->workers);
    for (io_lane *lane = real->lanes; lane; lane = lane->next) {
        if (lane->kind == IO_LANE_BLOCKING) real_blocking_stop(lane);
    }
    for (real_loop *loop = real->loops; loop; loop = loop->next) {
        if (!loop->has_thread) continue;
        real_loop_stop(loop);
        pthread_join(loop->thread, NULL);
    }
    for (real_loop *loop = real->loops; loop;) {
        real_loop *next = loop->next;
        real_loop_destroy(loop);
        loop = next;
    }
    for (io_lane *lane = real->lanes; lane;) {
        io_lane *next = lane->next;
        pthread_mutex_destroy(&lane->lock);
        pthread_cond_destroy(&lane->wanted_changed);
        weir_free(&real->account, lane);
        lane = next;
    }
    pthread_mutex_destroy(&real->lock);
    pthread_mutex_destroy(&real->workers.lock);
    pthread_cond_destroy(&real->workers.changed);
    weir_account_deinit(&real->account);
    weir_free(&world_account, real);
}
