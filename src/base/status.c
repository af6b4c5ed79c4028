#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct status_ring {
    char texts[WEIR_STATUS_RING][WEIR_STATUS_TEXT_MAX];
    unsigned next;
} status_ring;

static _Thread_local status_ring ring;

static const struct {
    const char *name;
    bool may_retry;
} codes[WEIR_CODE_COUNT] = {
#define WEIR_STATUS_CODE(name, may_retry, about) {#name, may_retry},
#include "base/status_codes.def"
#undef WEIR_STATUS_CODE
};

static char *ring_take(void) {
    char *text = ring.texts[ring.next];
    ring.next = (ring.next + 1) % WEIR_STATUS_RING;
    return text;
}

/* Writes at text[at..] and marks a cut, so that a reader of the sentence knows that it is not whole. */
static size_t append_format(char *text, size_t at, const char *format, va_list args) {
    const int wanted = vsnprintf(text + at, WEIR_STATUS_TEXT_MAX - at, format, args);
    if (wanted < 0) return at;
    const size_t end = at + (size_t)wanted;
    if (end < WEIR_STATUS_TEXT_MAX) return end;
    memcpy(text + WEIR_STATUS_TEXT_MAX - 4, "...", 4);
    return WEIR_STATUS_TEXT_MAX - 1;
}

weir_status weir_vfail(weir_code code, const char *format, va_list args) {
    weir_assert(code != WEIR_OK);
    char *text = ring_take();
    append_format(text, 0, format, args);
    return (weir_status){code, text};
}

weir_status weir_fail(weir_code code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const weir_status status = weir_vfail(code, format, args);
    va_end(args);
    return status;
}

static weir_code code_of_errno(int error_number) {
    switch (error_number) {
    case ENOSPC:
    case EDQUOT: return WEIR_DISK_FULL;
    case ENOENT: return WEIR_NOT_FOUND;
    case EEXIST: return WEIR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS: return WEIR_REFUSED;
    case ENOMEM: return WEIR_NO_MEMORY;
    case EADDRINUSE:
    case EAGAIN:
    case EBUSY: return WEIR_BUSY;
    case ETIMEDOUT: return WEIR_TIMEOUT;
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED: return WEIR_CLOSED;
    case EINVAL: return WEIR_INVALID;
    default: return WEIR_IO;
    }
}

weir_status weir_fail_errno(int error_number, const char *format, ...) {
    char *text = ring_take();
    va_list args;
    va_start(args, format);
    size_t at = append_format(text, 0, format, args);
    va_end(args);
    char reason[128];
    const char *message = strerror_r(error_number, reason, sizeof reason);
    if (at + 3 < WEIR_STATUS_TEXT_MAX) snprintf(text + at, WEIR_STATUS_TEXT_MAX - at, ": %s", message);
    return (weir_status){code_of_errno(error_number), text};
}

weir_status weir_context(weir_status status, const char *format, ...) {
    if (status.code == WEIR_OK) return status;
    char *text = ring_take();
    weir_assert(text != status.text);
    va_list args;
    va_start(args, format);
    const size_t at = append_format(text, 0, format, args);
    va_end(args);
    const int wanted = snprintf(text + at, WEIR_STATUS_TEXT_MAX - at, ": %s", status.text);
    if (wanted > 0 && at + (size_t)wanted >= WEIR_STATUS_TEXT_MAX) {
        memcpy(text + WEIR_STATUS_TEXT_MAX - 4, "...", 4);
    }
    return (weir_status){status.code, text};
}

const char *weir_code_name(weir_code code) {
    weir_assert(code < WEIR_CODE_COUNT);
    return codes[code].name;
}

bool weir_code_may_retry(weir_code code) {
    weir_assert(code < WEIR_CODE_COUNT);
    return codes[code].may_retry;
}

void weir_error_set(weir_error *error, weir_status status) {
    error->code = status.code;
    snprintf(error->text, sizeof error->text, "%s", status.text ? status.text : "");
}

weir_status weir_error_status(const weir_error *error) {
    if (error->code == WEIR_OK) return weir_ok();
    return weir_fail(error->code, "%s", error->text);
}

_Noreturn void weir_assert_failed(const char *condition, const char *file, int line) {
    fprintf(stderr, "weir: broken invariant: %s (%s:%d)\n", condition, file, line);
    abort();
}
