/* One event loop. A turn (the ready lanes, then the put-off network callbacks) is taken before and after each poll; the
 * poll waits only when the turn left nothing over. */
#include "io/real/io_real_int.h"

#include <stdio.h>

_Thread_local real_loop *real_current_loop;

enum { LANE_TURN_JOBS = 64 };

static void take_arrived(real_loop *loop) {
    io_lane *lane = atomic_exchange_explicit(&loop->arrived, NULL, memory_order_acq_rel);
    io_lane *turned = NULL;
    while (lane) {
        io_lane *next = lane->next_ready;
        lane->next_ready = turned;
        turned = lane;
        lane = next;
    }
    while (turned) {
        io_lane *next = turned->next_ready;
        real_ready_append(&loop->ready, turned);
        turned = next;
    }
}

/* Each lane that was ready at the beginning gets one turn; what becomes ready meanwhile waits for the next poll. */
static void turn(real_loop *loop) {
    take_arrived(loop);
    real_ready ready = loop->ready;
    loop->ready = (real_ready){0};
    for (io_lane *lane; (lane = real_ready_take(&ready));) {
        if (real_lane_run(lane, LANE_TURN_JOBS)) real_ready_append(&loop->ready, lane);
    }
    real_network_deferred(loop);
}

static void on_check(uv_check_t *handle) {
    turn(handle->data);
}

static void on_idle(uv_idle_t *handle) {
    (void)handle; /* active, it keeps the poll from waiting; the turn itself is taken in on_prepare() */
}

static void on_wake(uv_async_t *handle) {
    real_loop *loop = handle->data;
    if (atomic_load(&loop->stopping)) uv_stop(&loop->uv);
}

static void on_alarm(uv_timer_t *handle) {
    real_loop *loop = handle->data;
    loop->alarm_at_ns = INT64_MAX;
    const int64_t now_ns = io_now_ns(&loop->real->clock);
    pthread_mutex_lock(&loop->timers_lock);
    for (io_timer *timer; (timer = io_timers_first(&loop->timers)) && timer->at_ns <= now_ns;) {
        io_timers_remove(&loop->timers, timer);
        /* Posted under the lock: once its owner finds it fired, the owner may free it. */
        io_post(&loop->real->executor, timer->lane, timer->job);
    }
    pthread_mutex_unlock(&loop->timers_lock);
}

static void arm(real_loop *loop) {
    pthread_mutex_lock(&loop->timers_lock);
    const io_timer *first = io_timers_first(&loop->timers);
    const int64_t at_ns = first ? first->at_ns : INT64_MAX;
    pthread_mutex_unlock(&loop->timers_lock);
    if (at_ns == loop->alarm_at_ns) return;
    loop->alarm_at_ns = at_ns;
    if (at_ns == INT64_MAX) {
        uv_timer_stop(&loop->alarm);
        return;
    }
    /* uv counts the milliseconds of the same clock, from the start of its turn. */
    const int64_t at_ms = at_ns <= 0 ? 0 : (at_ns - 1) / 1000000 + 1;
    const int64_t now_ms = (int64_t)uv_now(&loop->uv);
    uv_timer_start(&loop->alarm, on_alarm, at_ms > now_ms ? (uint64_t)(at_ms - now_ms) : 0, 0);
}

static void on_prepare(uv_prepare_t *handle) {
    real_loop *loop = handle->data;
    turn(loop);
    arm(loop);
    if (loop->ready.first || loop->deferred)
        uv_idle_start(&loop->idle, on_idle);
    else
        uv_idle_stop(&loop->idle);
}

void real_loop_timer_set(real_loop *loop, io_timer *timer, int64_t at_ns) {
    pthread_mutex_lock(&loop->timers_lock);
    io_timers_set(&loop->timers, timer, at_ns);
    const bool is_first = io_timers_first(&loop->timers) == timer;
    pthread_mutex_unlock(&loop->timers_lock);
    if (is_first && real_current_loop != loop) uv_async_send(&loop->wake);
}

void real_loop_timer_cancel(real_loop *loop, io_timer *timer) {
    pthread_mutex_lock(&loop->timers_lock);
    io_timers_remove(&loop->timers, timer);
    pthread_mutex_unlock(&loop->timers_lock);
}

void real_loop_schedule(real_loop *loop, io_lane *lane) {
    if (real_current_loop == loop) {
        real_ready_append(&loop->ready, lane);
        return;
    }
    io_lane *head = atomic_load_explicit(&loop->arrived, memory_order_relaxed);
    do {
        lane->next_ready = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->arrived, &head, lane, memory_order_acq_rel,
                                                    memory_order_relaxed));
    if (head == NULL) uv_async_send(&loop->wake); /* otherwise whoever pushed on NULL has woken it */
}

/* The loop is not running: what is still queued on the lane will never run, so the loop forgets it. */
static void forget(real_loop *loop, const io_lane *lane) {
    take_arrived(loop);
    real_ready ready = loop->ready;
    loop->ready = (real_ready){0};
    for (io_lane *other; (other = real_ready_take(&ready));) {
        if (other != lane) real_ready_append(&loop->ready, other);
    }
}

void real_loop_release(real_loop *loop, io_lane *lane) {
    if (atomic_load(&loop->running)) real_lane_await_idle(lane);
    else forget(loop, lane);
}

weir_status real_loop_create(real_loop **created, io_real *real, const char *name) {
    real_loop *loop = weir_alloc(&real->account, sizeof *loop);
    loop->real = real;
    snprintf(loop->name, sizeof loop->name, "%s", name);
    const int error = uv_loop_init(&loop->uv);
    if (error) {
        weir_free(&real->account, loop);
        return weir_fail_errno(-error, "starting the event loop %s", name);
    }
    loop->uv.data = loop;
    uv_async_init(&loop->uv, &loop->wake, on_wake);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_timer_init(&loop->uv, &loop->alarm);
    loop->wake.data = loop->prepare.data = loop->check.data = loop->idle.data = loop->alarm.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    loop->alarm_at_ns = INT64_MAX;
    pthread_mutex_init(&loop->timers_lock, NULL);
    io_timers_init(&loop->timers, &real->account);
    *created = loop;
    return weir_ok();
}

void real_loop_run(real_loop *loop) {
    real_current_loop = loop;
    atomic_store(&loop->running, true);
    while (!atomic_load(&loop->stopping)) uv_run(&loop->uv, UV_RUN_DEFAULT);
    atomic_store(&loop->running, false);
    atomic_store(&loop->stopping, false);
    real_current_loop = NULL;
}

static void *loop_thread(void *arg) {
    real_loop_run(arg);
    return NULL;
}

weir_status real_loop_start_thread(real_loop *loop) {
    atomic_store(&loop->running, true);
    WEIR_TRY(real_thread_start(loop->real, &loop->thread, loop->name, loop_thread, loop));
    loop->has_thread = true;
    return weir_ok();
}

void real_loop_stop(real_loop *loop) {
    atomic_store(&loop->stopping, true);
    uv_async_send(&loop->wake);
}

static void close_handle(uv_handle_t *handle, void *arg) {
    (void)arg;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

void real_loop_destroy(real_loop *loop) {
    io_real *real = loop->real;
    real_network_close_all(loop);
    real_network_close_listeners(loop);
    uv_walk(&loop->uv, close_handle, NULL);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) {}
    const int error = uv_loop_close(&loop->uv);
    weir_assert(error == 0);
    io_timers_deinit(&loop->timers);
    pthread_mutex_destroy(&loop->timers_lock);
    weir_free(&real->account, loop);
}
