/* Goal: the real world does what every world must, stays asleep while idle, and ends cleanly.
 * Method: the shared stories on one world with threads and sockets; then what only a kernel has: signals, a port that
 * another holds, descriptors that run out, a peer that resets, CPU time and context switches of an idle world. */
#include "io/conformance_test.h"
#include "io/real/io_real.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    io_real *real;
    char folder[64];
} fixture;

static void story_run(io_story *story) {
    io_real_run(((fixture *)story->harness)->real);
}
static void story_end(io_story *story) {
    io_real_stop(((fixture *)story->harness)->real);
}

static void tell(fixture *world, void (*begin)(io_story *story)) {
    io_story story = {.world = io_real_world(world->real),
                      .folder = world->folder,
                      .run = story_run,
                      .end = story_end,
                      .harness = world};
    io_story_tell(&story, begin);
}

static int setup(void **state) {
    static fixture world;
    world = (fixture){.folder = "/tmp/weir-io-XXXXXX"};
    assert_non_null(mkdtemp(world.folder));
    assert_int_equal(io_real_start(&world.real, &(io_real_config){.workers = 3}).code, WEIR_OK);
    *state = &world;
    return 0;
}

static int teardown(void **state) {
    fixture *world = *state;
    io_real_destroy(world->real);
    assert_int_equal(rmdir(world->folder), 0);
    return 0;
}

static void test_order(void **state) {
    for (int i = 0; i < 5; i++) tell(*state, io_story_order);
}
static void test_again(void **state) {
    tell(*state, io_story_again);
}
static void test_crowd(void **state) {
    for (int i = 0; i < 5; i++) tell(*state, io_story_crowd);
}
static void test_timers(void **state) {
    tell(*state, io_story_timers);
}
static void test_files(void **state) {
    tell(*state, io_story_files);
}
static void test_echo(void **state) {
    tell(*state, io_story_echo);
}
static void test_echo_localhost(void **state) {
    tell(*state, io_story_echo_localhost);
}
static void test_late(void **state) {
    tell(*state, io_story_late);
}

/* ---- clock and randomness ---- */

static void test_clock_and_random(void **state) {
    const io_world *world = io_real_world(((fixture *)*state)->real);
    const int64_t before_ns = io_now_ns(world->clock);
    usleep(2000);
    assert_true(io_now_ns(world->clock) - before_ns >= 2000000);
    assert_true(io_wall_ms(world->clock) > 1700000000000);
    assert_int_not_equal(io_random_u64(world->random), io_random_u64(world->random));
}

/* ---- a signal is a job ---- */

static fixture *signal_world;
static unsigned signal_runs;

static void on_signal_job(io_job *job) {
    (void)job;
    signal_runs++;
    io_real_stop(signal_world->real);
}

static void test_signal(void **state) {
    signal_world = *state;
    const io_world *world = io_real_world(signal_world->real);
    io_lane *lane = io_lane_create(world->executor, IO_LANE_LOOP, "main");
    io_job job;
    io_job_init(&job, on_signal_job);
    assert_int_equal(io_real_on_signal(signal_world->real, SIGUSR1, lane, &job).code, WEIR_OK);
    kill(getpid(), SIGUSR1);
    io_real_run(signal_world->real);
    assert_int_equal(signal_runs, 1);
    io_lane_destroy(world->executor, lane);
}

/* ---- an idle world sleeps ---- */

static void stop_job(io_job *job);
typedef struct idle_wait {
    io_job job;
    io_timer timer;
    fixture *world;
    io_lane *worker, *blocking;
    _Atomic unsigned warm;
    io_job warm_worker, warm_blocking, begin;
    struct rusage before, after;
} idle_wait;

static void stop_job(io_job *job) {
    idle_wait *idle = io_owner(job, idle_wait, job);
    getrusage(RUSAGE_SELF, &idle->after);
    io_real_stop(idle->world->real);
}

static void idle_begin(io_job *job) {
    idle_wait *idle = io_owner(job, idle_wait, begin);
    const io_world *world = io_real_world(idle->world->real);
    if (atomic_load(&idle->warm) < 2) {
        io_post(world->executor, idle->timer.lane, job);
        return;
    }
    getrusage(RUSAGE_SELF, &idle->before);
    io_timer_set(world->executor, &idle->timer, io_now_ns(world->clock) + 500 * 1000000ll);
}

static void warm_worker(io_job *job) {
    atomic_fetch_add(&io_owner(job, idle_wait, warm_worker)->warm, 1);
}
static void warm_blocking(io_job *job) {
    atomic_fetch_add(&io_owner(job, idle_wait, warm_blocking)->warm, 1);
}

static void test_idle(void **state) {
    idle_wait idle = {.world = *state};
    const io_world *world = io_real_world(idle.world->real);
    io_lane *lane = io_lane_create(world->executor, IO_LANE_LOOP, "main");
    idle.worker = io_lane_create(world->executor, IO_LANE_WORKER, "idle");
    idle.blocking = io_lane_create(world->executor, IO_LANE_BLOCKING, "idle");
    io_job_init(&idle.job, stop_job);
    io_job_init(&idle.begin, idle_begin);
    io_job_init(&idle.warm_worker, warm_worker);
    io_job_init(&idle.warm_blocking, warm_blocking);
    io_timer_init(&idle.timer, lane, &idle.job);
    io_post(world->executor, idle.worker, &idle.warm_worker);
    io_post(world->executor, idle.blocking, &idle.warm_blocking);
    io_post(world->executor, lane, &idle.begin);
    io_real_run(idle.world->real);
    /* Each wake-up of any thread would be a voluntary switch; half a second of sleep is one, and the threads that were
     * just going to sleep when counting began are a few. */
    assert_in_range(idle.after.ru_nvcsw - idle.before.ru_nvcsw, 0, 8);
    io_lane_destroy(world->executor, idle.worker);
    io_lane_destroy(world->executor, idle.blocking);
    io_lane_destroy(world->executor, lane);
}

/* ---- both loopback addresses have the port ---- */

static void accept_and_close(void *arg, io_conn *conn);

static void ignore_data(void *protocol, weir_bytes data) {
    (void)protocol;
    (void)data;
}
static void count_closed(void *protocol, weir_status why) {
    (void)why;
    ++*(unsigned *)protocol;
}
static void accept_and_close(void *arg, io_conn *conn) {
    conn->events = (io_conn_events){ignore_data, count_closed, arg};
    io_conn_close(conn);
}

static int connect_to(int family, uint16_t port) {
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    if (family == AF_INET) {
        ((struct sockaddr_in *)&address)->sin_port = htons(port);
        ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
        ((struct sockaddr_in6 *)&address)->sin6_port = htons(port);
        ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
    }
    const int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0) return descriptor;
    close(descriptor);
    return -1;
}

static bool has_ipv6_loopback(void) {
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    const int descriptor = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool has = descriptor >= 0 && bind(descriptor, (const struct sockaddr *)&address, sizeof address) == 0;
    if (descriptor >= 0) close(descriptor);
    return has;
}

static void test_localhost_is_both(void **state) {
    fixture *fixed = *state;
    const io_world *world = io_real_world(fixed->real);
    io_lane *lane = io_lane_create(world->executor, IO_LANE_LOOP, "main");
    unsigned closed = 0;
    io_listener *listener;
    io_address bound;
    assert_int_equal(io_listen(world->network, lane, "localhost", 0, accept_and_close, &closed, &listener, &bound).code,
                     WEIR_OK);
    const int over4 = connect_to(AF_INET, bound.port);
    assert_true(over4 >= 0);
    close(over4);
    const int over6 = connect_to(AF_INET6, bound.port);
    assert_int_equal(over6 >= 0, has_ipv6_loopback());
    if (over6 >= 0) close(over6);
    io_unlisten(world->network, listener);
    io_lane_destroy(world->executor, lane);
}

/* ---- out of descriptors: the newcomer is turned away, the listener lives on ---- */

typedef struct shortage {
    io_job job;
    io_timer timer;
    fixture *world;
    struct rlimit before;
    int clients[4];
    uint16_t port;
    unsigned step, closed;
} shortage;

static void shortage_step(io_job *job) {
    shortage *test = io_owner(job, shortage, job);
    const io_world *world = io_real_world(test->world->real);
    test->step++;
    if (test->step == 1) {
        for (int i = 0; i < 3; i++) test->clients[i] = connect_to(AF_INET, test->port); /* before the loop can accept */
        struct rlimit tight = test->before;
        tight.rlim_cur = (rlim_t)test->clients[2] + 1;
        setrlimit(RLIMIT_NOFILE, &tight);
    } else if (test->step == 2) {
        char byte;
        assert_int_equal(test->closed, 0); /* none got in ... */
        for (int i = 0; i < 3; i++) assert_true(recv(test->clients[i], &byte, 1, MSG_DONTWAIT) <= 0);
        setrlimit(RLIMIT_NOFILE, &test->before);
        test->clients[3] = connect_to(AF_INET, test->port);
    } else {
        assert_int_equal(test->closed, 1); /* ... and the next does */
        io_real_stop(test->world->real);
        return;
    }
    io_timer_set(world->executor, &test->timer, io_now_ns(world->clock) + 50 * 1000000ll);
}

static void test_descriptor_shortage(void **state) {
    shortage test = {.world = *state};
    const io_world *world = io_real_world(test.world->real);
    io_lane *lane = io_lane_create(world->executor, IO_LANE_LOOP, "main");
    getrlimit(RLIMIT_NOFILE, &test.before);
    io_listener *listener;
    io_address bound;
    assert_int_equal(
        io_listen(world->network, lane, "127.0.0.1", 0, accept_and_close, &test.closed, &listener, &bound).code,
        WEIR_OK);
    test.port = bound.port;
    io_job_init(&test.job, shortage_step);
    io_timer_init(&test.timer, lane, &test.job);
    io_post(world->executor, lane, &test.job);
    io_real_run(test.world->real);
    for (int i = 0; i < 4; i++) close(test.clients[i]);
    io_unlisten(world->network, listener);
    io_lane_destroy(world->executor, lane);
}

/* ---- a world may end with everything still open ---- */

static void hold(void *arg, io_conn *conn) {
    fixture *world = arg;
    conn->events = (io_conn_events){ignore_data, count_closed, NULL};
    io_real_stop(world->real);
}

static void test_end_with_open_connections(void **state) {
    (void)state;
    fixture ending;
    assert_int_equal(io_real_start(&ending.real, &(io_real_config){.workers = 2, .thread_name = "end"}).code, WEIR_OK);
    const io_world *world = io_real_world(ending.real);
    io_lane *lane = io_lane_create(world->executor, IO_LANE_LOOP, "main");
    io_lane_create(world->executor, IO_LANE_LOOP, "other");
    io_lane_create(world->executor, IO_LANE_WORKER, "worker");
    io_lane_create(world->executor, IO_LANE_BLOCKING, "blocking");
    io_listener *listener;
    io_address bound;
    assert_int_equal(io_listen(world->network, lane, "127.0.0.1", 0, hold, &ending, &listener, &bound).code, WEIR_OK);
    const int client = connect_to(AF_INET, bound.port);
    io_real_run(ending.real);
    io_real_destroy(ending.real);
    char byte;
    assert_int_equal(recv(client, &byte, 1, 0), 0);
    close(client);
}

/* A job that comes after the last run of its loop will never run; its lane can be destroyed all the same. */
static void test_destroy_with_a_job_left(void **state) {
    (void)state;
    fixture ending;
    assert_int_equal(io_real_start(&ending.real, &(io_real_config){.workers = 1, .thread_name = "end"}).code, WEIR_OK);
    const io_world *world = io_real_world(ending.real);
    io_lane *lane = io_lane_create(world->executor, IO_LANE_LOOP, "main");
    static io_job job;
    io_job_init(&job, on_signal_job);
    io_post(world->executor, lane, &job);
    io_lane_destroy(world->executor, lane);
    io_real_destroy(ending.real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_echo_localhost),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_clock_and_random),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_localhost_is_both),
        cmocka_unit_test(test_descriptor_shortage),
        cmocka_unit_test(test_end_with_open_connections),
        cmocka_unit_test(test_destroy_with_a_job_left),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
