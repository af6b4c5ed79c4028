/* Goal: the earliest set timer is always first, equal times in the order they were set, whatever was moved or removed.
 * Method: thousands of random sets, moves and removals, each time against a search through all timers. */
#include "io/timers.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { TIMERS = 64, ROUNDS = 20000, TIMES = 50 };

static const io_timer *earliest(const io_timer *all) {
    const io_timer *found = NULL;
    for (size_t i = 0; i < TIMERS; i++) {
        if (!all[i].set) continue;
        if (!found || all[i].at_ns < found->at_ns || (all[i].at_ns == found->at_ns && all[i].order < found->order))
            found = &all[i];
    }
    return found;
}

static void test_against_a_search(void **state) {
    (void)state;
    weir_account account;
    weir_account_init(&account, "timers", 0);
    io_timers timers;
    io_timers_init(&timers, &account);
    static io_timer all[TIMERS];
    uint32_t random = 1;
    size_t set_count = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        random = random * 1664525 + 1013904223;
        io_timer *timer = &all[(random >> 8) % TIMERS];
        const bool was_set = timer->set;
        if ((random >> 20) % 3 == 0) {
            io_timers_remove(&timers, timer);
            assert_false(timer->set);
            set_count -= was_set;
        } else {
            io_timers_set(&timers, timer, (random >> 16) % TIMES);
            assert_true(timer->set);
            set_count += !was_set;
        }
        assert_int_equal(timers.count, set_count);
        assert_ptr_equal(io_timers_first(&timers), earliest(all));
    }
    int64_t before_ns = 0;
    uint64_t before_order = 0;
    for (io_timer *timer; (timer = io_timers_first(&timers)); set_count--) {
        assert_true(timer->at_ns > before_ns || (timer->at_ns == before_ns && timer->order >= before_order));
        before_ns = timer->at_ns;
        before_order = timer->order;
        io_timers_remove(&timers, timer);
    }
    assert_int_equal(set_count, 0);
    io_timers_deinit(&timers);
    weir_account_deinit(&account);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_a_search)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
