/* Goal: every byte is on an account, and the limits hold.
 * Method: allocations up to each limit and past it; four threads on one account; a leak is watched from a parent. */
#include "base/memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void what_is_allocated_is_counted_until_it_is_freed(void **state) {
    (void)state;
    weir_account account;
    weir_account_init(&account, "test", 0);
    const size_t before = weir_memory_used();
    uint8_t *memory = weir_alloc(&account, 1000);
    for (int i = 0; i < 1000; i++) assert_int_equal(memory[i], 0);
    assert_in_range(account.used_bytes, 1000, 1100);
    assert_int_equal(weir_memory_used() - before, account.used_bytes);
    memset(memory, 7, 1000);
    memory = weir_realloc(&account, memory, 5000);
    assert_int_equal(memory[999], 7);
    assert_in_range(account.used_bytes, 5000, 5200);
    weir_free(&account, memory);
    weir_free(&account, NULL);
    assert_int_equal(account.used_bytes, 0);
    assert_in_range(account.peak_bytes, 5000, 6400);
    char *copy = weir_strdup(&account, "orders");
    assert_string_equal(copy, "orders");
    weir_free(&account, copy);
    assert_int_equal(weir_memory_used(), before);
    weir_account_deinit(&account);
}

static void an_account_refuses_past_its_limit(void **state) {
    (void)state;
    weir_account account;
    weir_account_init(&account, "test", 10000);
    void *first = weir_try_alloc(&account, 6000);
    assert_non_null(first);
    assert_null(weir_try_alloc(&account, 6000));
    assert_null(weir_try_alloc_raw(&account, 6000));
    assert_null(weir_try_alloc(&account, SIZE_MAX)); /* the sum would wrap */
    assert_false(weir_account_charge(&account, SIZE_MAX));
    void *control = weir_alloc(&account, 6000); /* control structures are bounded elsewhere and always succeed */
    weir_free(&account, control);
    weir_free(&account, first);
    first = weir_try_alloc_raw(&account, 9000);
    assert_non_null(first);
    weir_free(&account, first);
    weir_account_deinit(&account);
}

static void the_process_refuses_past_its_budget(void **state) {
    (void)state;
    weir_account account;
    weir_account_init(&account, "test", 0);
    weir_memory_set_limit(weir_memory_used() + 10000);
    assert_int_equal(weir_memory_limit(), weir_memory_used() + 10000);
    assert_true(weir_account_charge(&account, 8000)); /* a foreign library's bytes count as ours */
    assert_null(weir_try_alloc(&account, 4000));
    assert_false(weir_account_charge(&account, 2001));
    weir_account_return(&account, 8000);
    void *memory = weir_try_alloc(&account, 4000);
    assert_non_null(memory);
    weir_free(&account, memory);
    weir_memory_set_limit(0);
    weir_account_deinit(&account);
}

static void count_test_accounts(const weir_account *account, void *arg) {
    *(int *)arg += strncmp(account->name, "test", 4) == 0;
}

static void accounts_are_listed_while_they_are_open(void **state) {
    (void)state;
    weir_account accounts[3];
    for (int i = 0; i < 3; i++) weir_account_init(&accounts[i], "test", 0);
    int count = 0;
    weir_account_each(count_test_accounts, &count);
    assert_int_equal(count, 3);
    weir_account_deinit(&accounts[1]); /* from the middle of the list */
    weir_account_deinit(&accounts[0]);
    count = 0;
    weir_account_each(count_test_accounts, &count);
    assert_int_equal(count, 1);
    weir_account_deinit(&accounts[2]);
}

static void *allocate_in_a_thread(void *account) {
    for (size_t i = 1; i < 5000; i++) {
        void *memory = weir_try_alloc(account, i % 300);
        if (!memory) return account;
        weir_free(account, memory);
    }
    return NULL;
}

static void threads_share_an_account(void **state) {
    (void)state;
    weir_account account;
    weir_account_init(&account, "test", 0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, allocate_in_a_thread, &account), 0);
    for (int i = 0; i < 4; i++) {
        void *refused;
        pthread_join(threads[i], &refused);
        assert_null(refused);
    }
    assert_int_equal(account.used_bytes, 0);
    assert_in_range(account.peak_bytes, 299, 4 * 400);
    weir_account_deinit(&account);
}

static void a_leak_ends_the_process_when_the_account_closes(void **state) {
    (void)state;
    const pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        weir_account account;
        weir_account_init(&account, "test", 0);
        if (!weir_alloc(&account, 1)) _exit(2);
        weir_account_deinit(&account);
        _exit(0);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_allocated_is_counted_until_it_is_freed),
        cmocka_unit_test(an_account_refuses_past_its_limit),
        cmocka_unit_test(the_process_refuses_past_its_budget),
        cmocka_unit_test(accounts_are_listed_while_they_are_open),
        cmocka_unit_test(threads_share_an_account),
        cmocka_unit_test(a_leak_ends_the_process_when_the_account_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
