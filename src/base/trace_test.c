/* Goal: one happening is one line, a flood is held back and counted, nothing from outside breaks the line.
 * Method: standard error is a pipe; what was written is read and compared. */
#include "base/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char captured[64 * 1024];

/* Runs `act` and returns what it wrote to standard error, which must fit a pipe. */
static const char *capture(void (*act)(void)) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const int kept = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    act();
    dup2(kept, STDERR_FILENO);
    close(kept);
    size_t size = 0;
    for (ssize_t got; (got = read(ends[0], captured + size, sizeof captured - 1 - size)) > 0;) size += (size_t)got;
    close(ends[0]);
    captured[size] = 0;
    return captured;
}

static int count_lines(const char *text) {
    int lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

static void write_one_line(void) {
    weir_trace(WEIR_WARN, "log", "partition %s-%d offline", "orders", 3);
}

static void a_line_has_time_level_module_and_text(void **state) {
    (void)state;
    const char *line = capture(write_one_line);
    assert_string_equal(line + 23, "Z WARN log: partition orders-3 offline\n");
    assert_int_equal(line[4], '-');
    assert_int_equal(line[10], 'T');
}

static void write_every_level(void) {
    weir_trace(WEIR_ERROR, "test", "one");
    weir_trace(WEIR_WARN, "test", "two");
    weir_trace(WEIR_INFO, "test", "three");
    weir_trace(WEIR_DEBUG, "test", "four");
}

static void the_level_decides_what_is_told(void **state) {
    (void)state;
    assert_int_equal(count_lines(capture(write_every_level)), 3);
    weir_trace_set_level(WEIR_DEBUG);
    assert_int_equal(count_lines(capture(write_every_level)), 4);
    weir_trace_set_level(WEIR_ERROR);
    assert_int_equal(count_lines(capture(write_every_level)), 1);
    weir_trace_set_level(WEIR_INFO);
}

static void write_outside_text(void) {
    char text[5000];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = 0;
    weir_trace(WEIR_INFO, "test", "name '%s'", "a\nb\x1b[31m\r\x7f");
    weir_trace(WEIR_INFO, "test", "%s", text);
}

static void outside_text_breaks_no_line(void **state) {
    (void)state;
    const char *lines = capture(write_outside_text);
    assert_int_equal(count_lines(lines), 2);
    assert_non_null(strstr(lines, "name 'a b [31m  '\n"));
    assert_int_equal(lines[strlen(lines) - 1], '\n');
    assert_true(strlen(lines) < 2200); /* the long one is cut */
}

static weir_trace_site flood_site;

static void write_flood(void) {
    for (int i = 0; i < 100; i++) weir_trace_write(&flood_site, WEIR_WARN, "test", "flood %d", i);
}

static void write_one_of_the_flood(void) {
    weir_trace_write(&flood_site, WEIR_WARN, "test", "after");
}

static void a_flood_is_held_back_and_counted(void **state) {
    (void)state;
    /* The flood is written early in a second, so that all of it falls into that second. */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_nsec > 500000000) usleep((useconds_t)((1000000000 - now.tv_nsec) / 1000 + 2000));
    assert_int_equal(count_lines(capture(write_flood)), WEIR_TRACE_PER_SECOND);
    usleep(1001000);
    const char *line = capture(write_one_of_the_flood);
    assert_non_null(strstr(line, "(90 like this were held back) after\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_module_and_text),
        cmocka_unit_test(the_level_decides_what_is_told),
        cmocka_unit_test(outside_text_breaks_no_line),
        cmocka_unit_test(a_flood_is_held_back_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
