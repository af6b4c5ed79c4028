/* Goal: what was added is what /metrics prints, in the Prometheus text format, whoever comes and goes meanwhile.
 * Method: the whole text is compared; registration in random order; four threads add. */
#include "base/metric.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static weir_account account;

static void assert_prints(const char *wanted) {
    weir_buffer text;
    weir_buffer_init(&text, &account, 1 << 20);
    weir_metric_print(&text);
    assert_string_equal(weir_buffer_text(&text), wanted);
    weir_buffer_deinit(&text);
}

static void families_are_sorted_and_instances_keep_their_order(void **state) {
    (void)state;
    weir_metric orders, clients, clicks;
    weir_metric_open(&orders, WEIR_COUNTER, "weir_log_bytes_total", "Bytes appended.", "topic=\"%s\",partition=\"%d\"",
                     "orders", 3);
    weir_metric_open(&clients, WEIR_GAUGE, "weir_clients", "Open connections.", "%s", "");
    weir_metric_open(&clicks, WEIR_COUNTER, "weir_log_bytes_total", "Another help.", "topic=\"clicks\"");
    weir_metric_add(&orders, 40);
    weir_metric_add(&orders, 2);
    weir_metric_set(&clients, 7);
    weir_metric_add(&clients, -8);
    assert_int_equal(weir_metric_get(&orders), 42);
    const char *all = "# HELP weir_clients Open connections.\n# TYPE weir_clients gauge\nweir_clients -1\n"
                      "# HELP weir_log_bytes_total Bytes appended.\n# TYPE weir_log_bytes_total counter\n"
                      "weir_log_bytes_total{topic=\"orders\",partition=\"3\"} 42\n"
                      "weir_log_bytes_total{topic=\"clicks\"} 0\n";
    assert_prints(all);
    assert_prints(all); /* printing sorts; printing the sorted changes nothing */
    weir_metric_close(&clients);
    weir_metric_close(&orders);
    assert_prints("# HELP weir_log_bytes_total Another help.\n# TYPE weir_log_bytes_total counter\n"
                  "weir_log_bytes_total{topic=\"clicks\"} 0\n");
    weir_metric_close(&clicks);
    assert_prints("");
}

static void a_label_as_long_as_a_topic_may_be_is_not_cut(void **state) {
    (void)state;
    char topic[250];
    memset(topic, 't', 249);
    topic[249] = 0;
    weir_metric metric;
    weir_metric_open(&metric, WEIR_COUNTER, "weir_x_total", "x", "topic=\"%s\",partition=\"0\"", topic);
    weir_buffer text;
    weir_buffer_init(&text, &account, 1 << 20);
    weir_metric_print(&text);
    assert_non_null(strstr(weir_buffer_text(&text), "t\",partition=\"0\"} 0\n"));
    weir_buffer_deinit(&text);
    weir_metric_close(&metric);
}

static void label_values_are_escaped_and_cut_between_letters(void **state) {
    (void)state;
    char label[16];
    assert_string_equal(weir_metric_label(label, sizeof label, "a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    assert_string_equal(weir_metric_label(label, 4, "ab\"c"), "ab"); /* half an escape would break the line */
    assert_string_equal(weir_metric_label(label, 5, "ab\"c"), "ab\\\"");
    assert_string_equal(weir_metric_label(label, 1, "abc"), "");
}

enum { METRICS = 500 };

static void metrics_come_and_go_in_any_order(void **state) {
    (void)state;
    static weir_metric metrics[METRICS];
    static const char *const families[] = {"weir_c", "weir_a", "weir_e", "weir_b", "weir_d"};
    uint32_t seed = 5;
    bool open[METRICS] = {false};
    for (int step = 0; step < 5000; step++) {
        seed = seed * 1664525u + 1013904223u;
        const unsigned i = (seed >> 8) % METRICS;
        if (open[i]) weir_metric_close(&metrics[i]);
        else weir_metric_open(&metrics[i], WEIR_COUNTER, families[i % 5], "h", "i=\"%u\"", i);
        open[i] = !open[i];
        if (step % 500) continue;
        weir_buffer text;
        weir_buffer_init(&text, &account, 1 << 20);
        weir_metric_print(&text);
        unsigned wanted = 0, lines = 0, families_open[5] = {0};
        for (unsigned j = 0; j < METRICS; j++) {
            wanted += open[j];
            families_open[j % 5] |= open[j];
        }
        for (unsigned j = 0; j < 5; j++) wanted += 2 * families_open[j];
        for (const char *at = weir_buffer_text(&text); *at; at++) lines += *at == '\n';
        assert_int_equal(lines, wanted); /* each open one once, each family's head once */
        weir_buffer_deinit(&text);
    }
    for (unsigned i = 0; i < METRICS; i++) {
        if (open[i]) weir_metric_close(&metrics[i]);
    }
    assert_prints("");
}

static void *add_in_a_thread(void *metric) {
    for (int i = 0; i < 20000; i++) weir_metric_add(metric, 1);
    weir_metric own;
    weir_metric_open(&own, WEIR_GAUGE, "weir_own", "h", "%s", "");
    weir_metric_close(&own);
    return NULL;
}

static void threads_add_without_losing_any(void **state) {
    (void)state;
    weir_metric metric;
    weir_metric_open(&metric, WEIR_COUNTER, "weir_shared_total", "h", "%s", "");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, add_in_a_thread, &metric), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    assert_prints("# HELP weir_shared_total h\n# TYPE weir_shared_total counter\nweir_shared_total 80000\n");
    weir_metric_close(&metric);
}

static int open_account(void **state) {
    (void)state;
    weir_account_init(&account, "test", 0);
    return 0;
}
static int close_account(void **state) {
    (void)state;
    weir_account_deinit(&account);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_are_sorted_and_instances_keep_their_order),
        cmocka_unit_test(a_label_as_long_as_a_topic_may_be_is_not_cut),
        cmocka_unit_test(label_values_are_escaped_and_cut_between_letters),
        cmocka_unit_test(metrics_come_and_go_in_any_order),
        cmocka_unit_test(threads_add_without_losing_any),
    };
    return cmocka_run_group_tests(tests, open_account, close_account);
}
