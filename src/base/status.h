/* base/status - how an operation says that it failed.
 *
 * A weir_status is 16 bytes, passed by value: a code for the program, a sentence for the person. The code decides what
 * the caller does next (weir_code_may_retry), the sentence names the thing, the place and the way out.
 *
 * Ownership: the sentence lives in a ring of fixed buffers of the calling thread, so that a failure can be told when
 * memory is out. It stays valid until the same thread has failed WEIR_STATUS_RING more times; whoever keeps a status
 * longer, or hands it to another thread, copies it into a weir_error.
 * Threads: every function is safe from every thread; a weir_status must not cross threads.
 *
 * Three kinds of trouble, three homes: a bad row is a value in an error column and a record in the quarantine topic; a
 * failed operation is a weir_status; a broken invariant is a weir_assert. */
#ifndef WEIR_BASE_STATUS_H
#define WEIR_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_MUST_USE __attribute__((warn_unused_result))
#define WEIR_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

typedef enum weir_code {
#define WEIR_STATUS_CODE(name, may_retry, about) WEIR_##name,
#include "base/status_codes.def"
#undef WEIR_STATUS_CODE
    WEIR_CODE_COUNT
} weir_code;

typedef struct weir_status {
    weir_code code;
    const char *text; /* NULL exactly when code is WEIR_OK */
} weir_status;

enum {
    WEIR_STATUS_TEXT_MAX = 1024, /* bytes of a sentence with its terminator; a longer one is cut with "..." */
    WEIR_STATUS_RING = 8         /* sentences a thread keeps at a time */
};

/* A status that outlives its thread's ring, or travels to another thread. Caller's storage, no resources. */
typedef struct weir_error {
    weir_code code;
    char text[WEIR_STATUS_TEXT_MAX]; /* "" when code is WEIR_OK */
} weir_error;

static inline weir_status weir_ok(void) {
    return (weir_status){WEIR_OK, NULL};
}
static inline bool weir_failed(weir_status status) {
    return status.code != WEIR_OK;
}

/* A failure with its sentence. `code` is not WEIR_OK. */
weir_status weir_fail(weir_code code, const char *format, ...) WEIR_PRINTF(2, 3) WEIR_MUST_USE;
weir_status weir_vfail(weir_code code, const char *format, va_list args) WEIR_MUST_USE;

/* A failure from errno: the code is derived from it (ENOSPC -> WEIR_DISK_FULL, ENOENT -> WEIR_NOT_FOUND, ...), the
 * sentence ends with the system's own. Called only inside io/real: errno never travels. */
weir_status weir_fail_errno(int error_number, const char *format, ...) WEIR_PRINTF(2, 3) WEIR_MUST_USE;

/* The same failure with "<context>: " put before its sentence; WEIR_OK passes unchanged and costs no formatting. */
weir_status weir_context(weir_status status, const char *format, ...) WEIR_PRINTF(2, 3) WEIR_MUST_USE;

/* "IO", "NOT_FOUND", ...; and whether the same call may succeed later without anybody changing anything. */
const char *weir_code_name(weir_code code);
bool weir_code_may_retry(weir_code code);

void weir_error_set(weir_error *error, weir_status status);
weir_status weir_error_status(const weir_error *error); /* a status of this thread with the kept code and sentence */

/* Returns from the calling function when `expression` failed. The one macro in weir with hidden control flow. */
#define WEIR_TRY(expression)                                                                                           \
    do {                                                                                                               \
        const weir_status weir_try_status = (expression);                                                              \
        if (weir_try_status.code != WEIR_OK) return weir_try_status;                                                   \
    } while (0)

/* A broken invariant: prints the condition and the place and aborts. On in release builds: a wrong answer or a damaged
 * log costs more than the check. A user's input never triggers one. */
#define weir_assert(condition)                                                                                         \
    (__builtin_expect(!!(condition), 1) ? (void)0 : weir_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void weir_assert_failed(const char *condition, const char *file, int line);

#endif
