/* Goal: a failure keeps its code and its sentence for as long as the header promises, also when the text is too long.
 * Method: failures made, wrapped, kept, carried between threads; a broken invariant is watched from a parent. */
#include "base/status.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void a_failure_says_what_and_why(void **state) {
    (void)state;
    const weir_status status = weir_fail(WEIR_NOT_FOUND, "topic '%s' does not exist", "orders");
    assert_true(weir_failed(status));
    assert_int_equal(status.code, WEIR_NOT_FOUND);
    assert_string_equal(status.text, "topic 'orders' does not exist");
    assert_false(weir_failed(weir_ok()));
    assert_null(weir_ok().text);
}

static void context_is_put_before_and_costs_success_nothing(void **state) {
    (void)state;
    weir_status status = weir_fail(WEIR_IO, "short write");
    status = weir_context(status, "appending at %d", 42);
    status = weir_context(status, "producing to %s", "orders-3");
    assert_int_equal(status.code, WEIR_IO);
    assert_string_equal(status.text, "producing to orders-3: appending at 42: short write");
    assert_false(weir_failed(weir_context(weir_ok(), "never seen")));
}

static void a_long_sentence_is_cut_visibly(void **state) {
    (void)state;
    char text[3 * WEIR_STATUS_TEXT_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    const weir_status status = weir_fail(WEIR_INVALID, "%s", text);
    assert_int_equal(strlen(status.text), WEIR_STATUS_TEXT_MAX - 1);
    assert_string_equal(status.text + WEIR_STATUS_TEXT_MAX - 4, "...");
    const weir_status wrapped = weir_context(status, "reading");
    assert_int_equal(strlen(wrapped.text), WEIR_STATUS_TEXT_MAX - 1);
    assert_memory_equal(wrapped.text, "reading: xxx", 12);
    assert_string_equal(wrapped.text + WEIR_STATUS_TEXT_MAX - 4, "...");
    const weir_status under = weir_context(weir_fail(WEIR_INVALID, "short"), "%s", text);
    assert_int_equal(strlen(under.text), WEIR_STATUS_TEXT_MAX - 1);
    assert_int_equal(strlen(weir_fail_errno(EIO, "%s", text).text), WEIR_STATUS_TEXT_MAX - 1);
}

static void a_sentence_outlives_seven_more_failures(void **state) {
    (void)state;
    const weir_status kept = weir_fail(WEIR_FULL, "the first");
    for (int i = 1; i < WEIR_STATUS_RING; i++) (void)!weir_failed(weir_fail(WEIR_IO, "failure %d", i));
    assert_string_equal(kept.text, "the first");
}

static void errno_becomes_a_code_and_a_sentence(void **state) {
    (void)state;
    static const struct {
        int error_number;
        weir_code code;
    } cases[] = {{ENOSPC, WEIR_DISK_FULL}, {ENOENT, WEIR_NOT_FOUND}, {EEXIST, WEIR_EXISTS},   {EACCES, WEIR_REFUSED},
                 {ENOMEM, WEIR_NO_MEMORY}, {EADDRINUSE, WEIR_BUSY},  {ETIMEDOUT, WEIR_TIMEOUT}, {EPIPE, WEIR_CLOSED},
                 {EINVAL, WEIR_INVALID},   {EIO, WEIR_IO},           {ENOTDIR, WEIR_IO}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(weir_fail_errno(cases[i].error_number, "x").code, cases[i].code);
    }
    assert_string_equal(weir_fail_errno(ENOENT, "opening '%s'", "a").text, "opening 'a': No such file or directory");
}

static void every_code_has_its_name(void **state) {
    (void)state;
    assert_string_equal(weir_code_name(WEIR_OK), "OK");
    assert_string_equal(weir_code_name(WEIR_DISK_FULL), "DISK_FULL");
    for (int code = 0; code < WEIR_CODE_COUNT; code++) assert_true(strlen(weir_code_name((weir_code)code)) > 1);
    assert_true(weir_code_may_retry(WEIR_TIMEOUT));
    assert_false(weir_code_may_retry(WEIR_CORRUPT));
}

static weir_status fails_in_the_middle(int *steps) {
    WEIR_TRY(weir_ok());
    ++*steps;
    WEIR_TRY(weir_fail(WEIR_BUSY, "in use"));
    ++*steps;
    return weir_ok();
}

static void try_returns_at_the_first_failure(void **state) {
    (void)state;
    int steps = 0;
    assert_int_equal(fails_in_the_middle(&steps).code, WEIR_BUSY);
    assert_int_equal(steps, 1);
}

static void *fail_in_a_thread(void *error) {
    weir_error_set(error, weir_fail(WEIR_FENCED, "a newer owner"));
    for (int i = 0; i < 2 * WEIR_STATUS_RING; i++) (void)!weir_failed(weir_fail(WEIR_IO, "noise"));
    return NULL;
}

static void an_error_travels_between_threads(void **state) {
    (void)state;
    weir_error error;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fail_in_a_thread, &error), 0);
    pthread_join(thread, NULL);
    const weir_status status = weir_error_status(&error);
    assert_int_equal(status.code, WEIR_FENCED);
    assert_string_equal(status.text, "a newer owner");
    weir_error_set(&error, weir_ok());
    assert_string_equal(error.text, "");
    assert_false(weir_failed(weir_error_status(&error)));
}

static void a_broken_invariant_ends_the_process_and_says_where(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        const int one = 1;
        weir_assert(one + 1 == 3);
        _exit(0);
    }
    close(ends[1]);
    char line[256] = {0};
    assert_true(read(ends[0], line, sizeof line - 1) > 0);
    close(ends[0]);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
    assert_non_null(strstr(line, "one + 1 == 3"));
    assert_non_null(strstr(line, "status_test.c:"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_says_what_and_why),
        cmocka_unit_test(context_is_put_before_and_costs_success_nothing),
        cmocka_unit_test(a_long_sentence_is_cut_visibly),
        cmocka_unit_test(a_sentence_outlives_seven_more_failures),
        cmocka_unit_test(errno_becomes_a_code_and_a_sentence),
        cmocka_unit_test(every_code_has_its_name),
        cmocka_unit_test(try_returns_at_the_first_failure),
        cmocka_unit_test(an_error_travels_between_threads),
        cmocka_unit_test(a_broken_invariant_ends_the_process_and_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
