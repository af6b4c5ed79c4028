#include "base/trace.h"

#include "base/time.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 2048 };

static _Atomic int level_max = WEIR_INFO;

void weir_trace_set_level(weir_level level) {
    atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

/* The wall clock is read here and not through the clock seam: a line tells the operator when it was written, also when
 * simulated time stands still, and trace must work before there is an io_world. */
static int64_t wall_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether this line may be written; *held_back counts the lines that were not since the last one that was. Threads that
 * race over the turn of a second may write a line or two more. */
static bool site_admits(weir_trace_site *site, int64_t second, uint32_t *held_back) {
    *held_back = 0;
    if (atomic_exchange_explicit(&site->second, second, memory_order_relaxed) != second) {
        const uint32_t count = atomic_exchange_explicit(&site->count, 1, memory_order_relaxed);
        if (count > WEIR_TRACE_PER_SECOND) *held_back = count - WEIR_TRACE_PER_SECOND;
        return true;
    }
    return atomic_fetch_add_explicit(&site->count, 1, memory_order_relaxed) < WEIR_TRACE_PER_SECOND;
}

/* snprintf() tells what it wanted to write; this tells what it wrote. */
static size_t written(int wanted, size_t room) {
    if (wanted < 0) return 0;
    return (size_t)wanted < room ? (size_t)wanted : room - 1;
}

void weir_trace_write(weir_trace_site *site, weir_level level, const char *module, const char *format, ...) {
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    if ((int)level > atomic_load_explicit(&level_max, memory_order_relaxed)) return;
    const int64_t now_ms = wall_ms();
    uint32_t held_back;
    if (!site_admits(site, now_ms / 1000, &held_back)) return;
    char line[LINE_BYTES_MAX];
    const size_t room = sizeof line - 1; /* the line feed has its place even when the rest is cut */
    size_t size = weir_format_iso(line, now_ms);
    size += written(snprintf(line + size, room - size, " %s %s: ", names[level], module), room - size);
    if (held_back) {
        size += written(snprintf(line + size, room - size, "(%u like this were held back) ", held_back), room - size);
    }
    const size_t text_at = size;
    va_list args;
    va_start(args, format);
    size += written(vsnprintf(line + size, room - size, format, args), room - size);
    va_end(args);
    /* A line is one happening, whatever outside text it quotes. */
    for (size_t i = text_at; i < size; i++) {
        if ((uint8_t)line[i] < ' ' || line[i] == 0x7f) line[i] = ' ';
    }
    line[size++] = '\n';
    /* There is nobody to tell that the operator cannot be told. */
    if (write(STDERR_FILENO, line, size) < 0) return;
}
