/* base/metric - counters and gauges with labels, and the Prometheus text that /metrics prints.
 *
 * A metric is caller's storage, registered under a static family name ("weir_log_appended_bytes_total") with the labels
 * of this instance already in text form (`topic="orders",partition="3"`, copied). Counters only grow. Adding to a
 * metric is one relaxed atomic add. Every family has a help line: the first registration's.
 * Threads: adding is safe from every thread; registering and printing take a lock. */
#ifndef WEIR_BASE_METRIC_H
#define WEIR_BASE_METRIC_H

#include "base/buffer.h"

#include <stdatomic.h>

typedef enum weir_metric_kind { WEIR_COUNTER, WEIR_GAUGE } weir_metric_kind;

typedef struct weir_metric {
    _Atomic int64_t value;
    weir_metric_kind kind;
    const char *family;       /* borrowed, static */
    const char *help;         /* borrowed, static */
    char *labels;             /* owned; never cut, a topic's name alone may have 249 letters */
    struct weir_metric *next; /* private, as is the pointer that points here */
    struct weir_metric **link;
} weir_metric;

void weir_metric_open(weir_metric *metric, weir_metric_kind kind, const char *family, const char *help,
                      const char *labels_format, ...) WEIR_PRINTF(5, 6); /* "" = no labels */
void weir_metric_close(weir_metric *metric);
/* Escapes a label value into `target` (quote, backslash, newline), cut at `size`. */
const char *weir_metric_label(char *target, size_t size, const char *value);

static inline void weir_metric_add(weir_metric *metric, int64_t amount) {
    atomic_fetch_add_explicit(&metric->value, amount, memory_order_relaxed);
}
static inline void weir_metric_set(weir_metric *metric, int64_t value) {
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}
static inline int64_t weir_metric_get(const weir_metric *metric) {
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}
/* All families sorted by name, in the Prometheus text format 0.0.4. */
void weir_metric_print(weir_buffer *target);

#endif
