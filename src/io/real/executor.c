/* The executor's vtable: where a lane of each kind runs, and who hosts its timers. */
#include "io/real/io_real_int.h"

#include <string.h>

static io_real *real_of(io_executor *executor) {
    return io_owner(executor, io_real, executor);
}

/* Needs: the world's lock. */
static real_loop *loop_named(io_real *real, const char *name) {
    unsigned count = 0;
    for (real_loop *loop = real->loops; loop; loop = loop->next) {
        if (strncmp(loop->name, name, REAL_NAME_MAX - 1) == 0) return loop;
        count++;
    }
    weir_assert(count < IO_REAL_LOOPS_MAX);
    real_loop *loop = NULL;
    weir_status status = real_loop_create(&loop, real, name);
    if (!weir_failed(status)) status = real_loop_start_thread(loop);
    weir_assert(!weir_failed(status)); /* loops are few and made at start */
    loop->next = real->loops;
    real->loops = loop;
    return loop;
}

static io_lane *lane_create(io_executor *self, io_lane_kind kind, const char *name) {
    io_real *real = real_of(self);
    io_lane *lane = weir_alloc(&real->account, sizeof *lane);
    real_lane_init(lane, real, kind, name);
    pthread_mutex_lock(&real->lock);
    lane->loop = kind == IO_LANE_LOOP ? loop_named(real, name) : real->main_loop;
    if (kind == IO_LANE_WORKER) real_workers_start(real);
    lane->next = real->lanes;
    real->lanes = lane;
    pthread_mutex_unlock(&real->lock);
    return lane;
}

static void lane_destroy(io_executor *self, io_lane *lane) {
    io_real *real = real_of(self);
    if (lane->kind == IO_LANE_LOOP) real_loop_release(lane->loop, lane);
    else real_lane_await_idle(lane);
    if (lane->kind == IO_LANE_BLOCKING) real_blocking_stop(lane);
    pthread_mutex_lock(&real->lock);
    io_lane **link = &real->lanes;
    while (*link != lane) link = &(*link)->next;
    *link = lane->next;
    pthread_mutex_unlock(&real->lock);
    pthread_mutex_destroy(&lane->lock);
    pthread_cond_destroy(&lane->wanted_changed);
    weir_free(&real->account, lane);
}

static void post(io_executor *self, io_lane *lane, io_job *job) {
    if (atomic_exchange_explicit(&job->queued, true, memory_order_acq_rel)) return;
    if (!real_lane_push(lane, job)) return;
    switch (lane->kind) {
    case IO_LANE_LOOP: real_loop_schedule(lane->loop, lane); break;
    case IO_LANE_WORKER: real_workers_schedule(&real_of(self)->workers, lane); break;
    case IO_LANE_BLOCKING: real_blocking_schedule(lane); break;
    }
}

static void timer_set(io_executor *self, io_timer *timer, int64_t at_ns) {
    (void)self;
    real_loop_timer_set(timer->lane->loop, timer, at_ns);
}

static void timer_cancel(io_executor *self, io_timer *timer) {
    (void)self;
    real_loop_timer_cancel(timer->lane->loop, timer);
}

void real_executor_init(io_executor *executor) {
    *executor = (io_executor){.lane_create = lane_create,
                              .lane_destroy = lane_destroy,
                              .post = post,
                              .timer_set = timer_set,
                              .timer_cancel = timer_cancel};
}
