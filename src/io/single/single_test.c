/* The world that stands still. Goal: jobs of all lanes run in the order they were posted, a job posted twice runs once,
 * what is due at once runs and what is due later never does, and a run is bounded. Method: jobs that write their name.
 */
#include "io/single/io_single.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct teller {
    io_job job;
    io_single *single;
    io_lane *lane;
    char name;
    unsigned again; /* times it posts itself once more */
} teller;

static char told[64];
static size_t told_count;

static void tell(io_job *job) {
    teller *self = io_owner(job, teller, job);
    told[told_count++] = self->name;
    if (!self->again) return;
    self->again--;
    io_post(io_single_world(self->single)->executor, self->lane, job);
}

static teller new_teller(io_single *single, io_lane *lane, char name, unsigned again) {
    teller made = {.single = single, .lane = lane, .name = name, .again = again};
    io_job_init(&made.job, tell);
    return made;
}

static void jobs_run_in_order_and_timers_wait(void **state) {
    (void)state;
    weir_account account;
    weir_account_init(&account, "test", 0);
    io_single *single = io_single_create(&account);
    io_executor *executor = io_single_world(single)->executor;
    io_lane *one = io_lane_create(executor, IO_LANE_LOOP, "one"),
            *two = io_lane_create(executor, IO_LANE_WORKER, "two");
    teller a = new_teller(single, one, 'a', 1), b = new_teller(single, two, 'b', 0),
           c = new_teller(single, one, 'c', 0), late = new_teller(single, two, 'x', 0);
    io_timer now, later;
    io_timer_init(&now, one, &c.job);
    io_timer_init(&later, two, &late.job);
    told_count = 0;
    io_post(executor, one, &a.job);
    io_post(executor, two, &b.job);
    io_post(executor, one, &a.job); /* still queued: runs once for both */
    io_timer_set(executor, &now, 0);
    io_timer_set(executor, &later, 1);
    assert_true(io_single_run(single, 100));
    assert_int_equal(told_count, 4);
    assert_memory_equal(told, "abca", 4);
    io_timer_cancel(executor, &later);
    assert_int_equal(io_wall_ms(io_single_world(single)->clock), 0);

    a.again = 20; /* a job that goes on for ever is found by the bound */
    io_post(executor, one, &a.job);
    assert_false(io_single_run(single, 10));
    assert_true(io_single_run(single, 100));
    io_lane_destroy(executor, one);
    io_lane_destroy(executor, two);
    io_single_destroy(single);
    weir_account_deinit(&account);
}

static void random_bytes_repeat(void **state) {
    (void)state;
    weir_account account;
    weir_account_init(&account, "test", 0);
    uint64_t drawn[2][3];
    for (int run = 0; run < 2; run++) {
        io_single *single = io_single_create(&account);
        for (int i = 0; i < 3; i++) drawn[run][i] = io_random_u64(io_single_world(single)->random);
        io_single_destroy(single);
    }
    assert_memory_equal(drawn[0], drawn[1], sizeof drawn[0]);
    assert_true(drawn[0][0] != drawn[0][1] && drawn[0][1] != drawn[0][2]);
    weir_account_deinit(&account);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_in_order_and_timers_wait),
        cmocka_unit_test(random_bytes_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
