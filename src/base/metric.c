#include "base/metric.h"

#include <pthread.h>
#include <stdio.h>

/* Needs: registry_lock, for everything below it. The list is in order of registration until it is printed, and sorted
 * by family from then on; the sort is stable, so that a family's first registration stays its first. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static weir_metric *registry;
static weir_metric **registry_end = &registry;
static weir_account registry_account;
static bool registry_account_open;

static char *format_labels(const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, args);
    weir_assert(length >= 0);
    char *labels = weir_alloc(&registry_account, (size_t)length + 1);
    vsnprintf(labels, (size_t)length + 1, format, again);
    va_end(again);
    return labels;
}

void weir_metric_open(weir_metric *metric, weir_metric_kind kind, const char *family, const char *help,
                      const char *labels_format, ...) {
    *metric = (weir_metric){.kind = kind, .family = family, .help = help};
    pthread_mutex_lock(&registry_lock);
    if (!registry_account_open) {
        weir_account_init(&registry_account, "metric", 0);
        registry_account_open = true;
    }
    va_list args;
    va_start(args, labels_format);
    metric->labels = format_labels(labels_format, args);
    va_end(args);
    metric->link = registry_end;
    *registry_end = metric;
    registry_end = &metric->next;
    pthread_mutex_unlock(&registry_lock);
}

void weir_metric_close(weir_metric *metric) {
    pthread_mutex_lock(&registry_lock);
    weir_assert(*metric->link == metric);
    *metric->link = metric->next;
    if (metric->next) metric->next->link = metric->link;
    else registry_end = metric->link;
    weir_free(&registry_account, metric->labels);
    metric->labels = NULL;
    pthread_mutex_unlock(&registry_lock);
}

const char *weir_metric_label(char *target, size_t size, const char *value) {
    weir_assert(size > 0);
    size_t at = 0;
    for (; *value; value++) {
        const char escape = *value == '\n' ? 'n' : *value == '"' || *value == '\\' ? *value : 0;
        if (at + (escape ? 2 : 1) >= size) break;
        if (escape) target[at++] = '\\';
        target[at++] = escape ? escape : *value;
    }
    target[at] = 0;
    return target;
}

/* Merges two sorted lists; of equals, those of `first` come first. */
static weir_metric *merge(weir_metric *first, weir_metric *second) {
    weir_metric *merged = NULL, **end = &merged;
    while (first && second) {
        weir_metric **smaller = strcmp(second->family, first->family) < 0 ? &second : &first;
        *end = *smaller;
        end = &(*end)->next;
        *smaller = *end;
    }
    *end = first ? first : second;
    return merged;
}

/* Sorts the first `count` of *rest and moves *rest behind them. Sorting the list itself takes no memory. */
static weir_metric *sort(weir_metric **rest, size_t count) {
    if (count == 1) {
        weir_metric *only = *rest;
        *rest = only->next;
        only->next = NULL;
        return only;
    }
    weir_metric *first = sort(rest, count / 2);
    return merge(first, sort(rest, count - count / 2));
}

static void sort_registry(void) {
    size_t count = 0;
    for (const weir_metric *metric = registry; metric; metric = metric->next) count++;
    if (count == 0) return;
    weir_metric *rest = registry;
    registry = sort(&rest, count);
    registry_end = &registry;
    for (weir_metric *metric = registry; metric; metric = metric->next) {
        metric->link = registry_end;
        registry_end = &metric->next;
    }
}

void weir_metric_print(weir_buffer *target) {
    pthread_mutex_lock(&registry_lock);
    sort_registry();
    const char *family = "";
    for (const weir_metric *metric = registry; metric; metric = metric->next) {
        if (strcmp(family, metric->family) != 0) {
            family = metric->family;
            weir_buffer_format(target, "# HELP %s %s\n# TYPE %s %s\n", family, metric->help, family,
                               metric->kind == WEIR_COUNTER ? "counter" : "gauge");
        }
        const char *open = metric->labels[0] ? "{" : "", *close = metric->labels[0] ? "}" : "";
        weir_buffer_format(target, "%s%s%s%s %lld\n", family, open, metric->labels, close,
                           (long long)weir_metric_get(metric));
    }
    pthread_mutex_unlock(&registry_lock);
}
