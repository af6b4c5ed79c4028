/* Worker threads, which share all worker lanes, and the threads of the blocking lanes. */
#include "io/real/io_real_int.h"

#include <signal.h>
#include <stdio.h>

/* A worker lane gives its thread to the next one after so many jobs. */
enum { WORKER_TURN_JOBS = 16, BLOCKING_TURN_JOBS = 1024, THREAD_STACK_BYTES = 1024 * 1024 };

/* Signals are the main thread's: every other one is born with all of them blocked. */
weir_status real_thread_start(io_real *real, pthread_t *thread, const char *name, void *(*run)(void *), void *arg) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(thread, &attributes, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (error) return weir_fail_errno(error, "starting the thread %s", name);
    char full_name[REAL_NAME_MAX];
    snprintf(full_name, sizeof full_name, "%.6s-%.8s", real->thread_name, name);
    pthread_setname_np(*thread, full_name);
    return weir_ok();
}

/* ---- workers ---- */

static void *worker_thread(void *arg) {
    real_workers *workers = arg;
    pthread_mutex_lock(&workers->lock);
    while (!workers->stopping) {
        io_lane *lane = real_ready_take(&workers->ready);
        if (!lane) {
            workers->idle++;
            pthread_cond_wait(&workers->changed, &workers->lock);
            workers->idle--;
            continue;
        }
        pthread_mutex_unlock(&workers->lock);
        const bool has_more = real_lane_run(lane, WORKER_TURN_JOBS);
        pthread_mutex_lock(&workers->lock);
        if (has_more) real_ready_append(&workers->ready, lane);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

void real_workers_schedule(real_workers *workers, io_lane *lane) {
    pthread_mutex_lock(&workers->lock);
    real_ready_append(&workers->ready, lane);
    const bool wake = workers->idle > 0;
    pthread_mutex_unlock(&workers->lock);
    if (wake) pthread_cond_signal(&workers->changed);
}

/* Needs: the world's lock. */
void real_workers_start(io_real *real) {
    real_workers *workers = &real->workers;
    if (workers->started) return;
    workers->started = true;
    unsigned running = 0;
    for (; running < workers->count; running++) {
        char name[REAL_NAME_MAX];
        snprintf(name, sizeof name, "work%u", running);
        if (weir_failed(real_thread_start(real, &workers->threads[running], name, worker_thread, workers))) break;
    }
    weir_assert(running > 0); /* not even one thread: the process cannot work */
    workers->count = running;
}

void real_workers_stop(real_workers *workers) {
    if (!workers->started) return;
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_mutex_unlock(&workers->lock);
    pthread_cond_broadcast(&workers->changed);
    for (unsigned i = 0; i < workers->count; i++) pthread_join(workers->threads[i], NULL);
}

/* ---- blocking lanes ---- */

static void *blocking_thread(void *arg) {
    io_lane *lane = arg;
    pthread_mutex_lock(&lane->lock);
    while (!lane->stopping) {
        if (!lane->wanted) {
            pthread_cond_wait(&lane->wanted_changed, &lane->lock);
            continue;
        }
        lane->wanted = false;
        pthread_mutex_unlock(&lane->lock);
        const bool has_more = real_lane_run(lane, BLOCKING_TURN_JOBS);
        pthread_mutex_lock(&lane->lock);
        if (has_more) lane->wanted = true;
    }
    pthread_mutex_unlock(&lane->lock);
    return NULL;
}

void real_blocking_schedule(io_lane *lane) {
    pthread_mutex_lock(&lane->lock);
    lane->wanted = true;
    if (!lane->started && !lane->stopping) {
        lane->started = true;
        const weir_status status = real_thread_start(lane->real, &lane->thread, lane->name, blocking_thread, lane);
        weir_assert(!weir_failed(status)); /* a post cannot fail; threads are few and made early */
    }
    pthread_mutex_unlock(&lane->lock);
    pthread_cond_signal(&lane->wanted_changed);
}

void real_blocking_stop(io_lane *lane) {
    pthread_mutex_lock(&lane->lock);
    lane->stopping = true;
    const bool started = lane->started;
    pthread_mutex_unlock(&lane->lock);
    pthread_cond_signal(&lane->wanted_changed);
    if (started) pthread_join(lane->thread, NULL);
}
