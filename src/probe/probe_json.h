/* probe internals: JSON as it was written. Numbers stay text, because 1.10 and 1.1 are different values to a test, and
 * members keep their order. Values live in the arena and borrow the text they were read from. */
#ifndef WEIR_PROBE_PROBE_JSON_H
#define WEIR_PROBE_PROBE_JSON_H

#include "base/arena.h"
#include "base/buffer.h"

typedef enum probe_json_kind {
    PROBE_NULL,
    PROBE_BOOLEAN,
    PROBE_NUMBER,
    PROBE_STRING,
    PROBE_ARRAY,
    PROBE_OBJECT
} probe_json_kind;

typedef struct probe_json probe_json;
struct probe_json {
    probe_json_kind kind;
    bool boolean;
    weir_bytes text;         /* NUMBER: as written; STRING: unescaped */
    const probe_json *items; /* ARRAY, OBJECT: count of them */
    const weir_bytes *names; /* OBJECT */
    uint32_t count;
};

/* The whole text is one value. INVALID says at which byte it is not. */
weir_status probe_json_read(weir_arena *arena, weir_bytes text, const probe_json **value) WEIR_MUST_USE;
/* A member of an object; NULL when it is absent or `object` is NULL or no object. A null member is given as it is. */
const probe_json *probe_json_member(const probe_json *object, const char *name);
/* The text of a member that is a string or a number, terminated, in the arena; `fallback` when there is none. */
const char *probe_json_text(weir_arena *arena, const probe_json *object, const char *name, const char *fallback);
bool probe_json_is_null(const probe_json *value); /* NULL or JSON's null */
/* The value as compact JSON; numbers as written, or without an exponent if `plain`. */
void probe_json_write(const probe_json *value, bool plain, weir_buffer *target);

/* A decimal number's text as unscaled digits and a scale: 1.10 is 110 at 2, 1.0E10 is 10 at -9. Leading zeros go. */
enum { PROBE_DIGITS_MAX = 400 };
typedef struct probe_number {
    bool is_negative;
    char digits[PROBE_DIGITS_MAX + 1]; /* "" = 0 */
    int64_t scale;
} probe_number;
bool probe_number_read(weir_bytes text, probe_number *number) WEIR_MUST_USE;
bool probe_number_equal(const probe_number *a, const probe_number *b); /* digits and scale */
/* Rounds towards zero to a whole number. */
void probe_number_truncate(probe_number *number);

#endif
