#include "io/real/io_real_int.h"

#include <sched.h>
#include <stdio.h>

/* Its address stands for "the lane is with its threads, and nothing new arrived". */
static io_job with_threads;

void real_lane_init(io_lane *lane, io_real *real, io_lane_kind kind, const char *name) {
    lane->real = real;
    lane->kind = kind;
    snprintf(lane->name, sizeof lane->name, "%s", name);
    atomic_init(&lane->arrived, NULL);
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->wanted_changed, NULL);
}

bool real_lane_push(io_lane *lane, io_job *job) {
    io_job *head = atomic_load_explicit(&lane->arrived, memory_order_relaxed);
    do {
        job->next = head == &with_threads ? NULL : head;
    } while (
        !atomic_compare_exchange_weak_explicit(&lane->arrived, &head, job, memory_order_acq_rel, memory_order_relaxed));
    return head == NULL;
}

static io_job *take_arrived(io_lane *lane) {
    io_job *job = atomic_exchange_explicit(&lane->arrived, &with_threads, memory_order_acq_rel);
    if (job == &with_threads) return NULL;
    io_job *turned = NULL;
    while (job) {
        io_job *next = job->next;
        job->next = turned;
        turned = job;
        job = next;
    }
    return turned;
}

bool real_lane_run(io_lane *lane, unsigned jobs_max) {
    for (unsigned ran = 0; ran < jobs_max; ran++) {
        if (!lane->todo) lane->todo = take_arrived(lane);
        io_job *job = lane->todo;
        if (!job) break;
        lane->todo = job->next;
        /* An exchange, not a store: a post that found the flag set is ordered before this run and needs no other. */
        atomic_exchange_explicit(&job->queued, false, memory_order_acq_rel);
        job->run(job);
    }
    if (lane->todo) return true;
    io_job *expected = &with_threads;
    return !atomic_compare_exchange_strong_explicit(&lane->arrived, &expected, NULL, memory_order_acq_rel,
                                                    memory_order_relaxed);
}

/* Between the end of a lane's last job and the end of its turn lie a few instructions of another thread. */
void real_lane_await_idle(io_lane *lane) {
    while (atomic_load_explicit(&lane->arrived, memory_order_acquire) != NULL) sched_yield();
}

void real_ready_append(real_ready *ready, io_lane *lane) {
    lane->next_ready = NULL;
    if (ready->last)
        ready->last->next_ready = lane;
    else
        ready->first = lane;
    ready->last = lane;
}

io_lane *real_ready_take(real_ready *ready) {
    io_lane *lane = ready->first;
    if (!lane) return NULL;
    ready->first = lane->next_ready;
    if (!ready->first) ready->last = NULL;
    return lane;
}
