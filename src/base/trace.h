/* base/trace - what weir tells its operator: one line a happening, on standard error.
 *
 *   2026-11-24T10:00:00.123Z WARN log: partition orders-3 offline: EIO on 00000000000000000000.log
 *
 * Levels: error (somebody must act), warn (weir coped, somebody should know), info (life cycle), debug (-v). Repeated
 * lines of one call site are limited to WEIR_TRACE_PER_SECOND and the rest is counted in the next one.
 * Threads: safe from every thread; a line is written by one write(2). */
#ifndef WEIR_BASE_TRACE_H
#define WEIR_BASE_TRACE_H

#include "base/status.h"

#include <stdatomic.h>

typedef enum weir_level { WEIR_ERROR, WEIR_WARN, WEIR_INFO, WEIR_DEBUG } weir_level;

enum { WEIR_TRACE_PER_SECOND = 10 };

typedef struct weir_trace_site { /* one static one per call site */
    _Atomic int64_t second;
    _Atomic uint32_t count;
} weir_trace_site;

void weir_trace_set_level(weir_level level);
void weir_trace_write(weir_trace_site *site, weir_level level, const char *module, const char *format, ...)
    WEIR_PRINTF(4, 5);

#define weir_trace(level, module, ...)                                                                                 \
    do {                                                                                                               \
        static weir_trace_site weir_trace_here;                                                                        \
        weir_trace_write(&weir_trace_here, (level), (module), __VA_ARGS__);                                            \
    } while (0)

#endif
