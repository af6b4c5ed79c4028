/* data/json - JSON as it was written. Numbers stay text, because 1.10 and 1.1 are different values to some, and
 * members keep their order. Values live in the arena and borrow the text they were read from. */
#ifndef WEIR_DATA_JSON_H
#define WEIR_DATA_JSON_H

#include "base/arena.h"
#include "base/buffer.h"

typedef enum data_json_kind {
    DATA_JSON_NULL,
    DATA_JSON_BOOLEAN,
    DATA_JSON_NUMBER,
    DATA_JSON_STRING,
    DATA_JSON_ARRAY,
    DATA_JSON_OBJECT
} data_json_kind;

typedef struct data_json data_json;
struct data_json {
    data_json_kind kind;
    bool boolean;
    weir_bytes text;         /* NUMBER: as written; STRING: unescaped */
    const data_json *items; /* ARRAY, OBJECT: count of them */
    const weir_bytes *names; /* OBJECT */
    uint32_t count;
};

/* The whole text is one value. INVALID says at which byte it is not; NO_MEMORY when the arena is full. */
weir_status data_json_read(weir_arena *arena, weir_bytes text, const data_json **value) WEIR_MUST_USE;
/* A member of an object; NULL when it is absent or `object` is NULL or no object. A null member is given as it is. */
const data_json *data_json_member(const data_json *object, const char *name);
/* The text of a member that is a string or a number, terminated, in the arena; `fallback` when there is none. */
const char *data_json_text(weir_arena *arena, const data_json *object, const char *name, const char *fallback);
bool data_json_is_null(const data_json *value); /* NULL or JSON's null */
/* The value as compact JSON; numbers as written, or without an exponent if `plain`. */
void data_json_write(const data_json *value, bool plain, weir_buffer *target);

/* A decimal number's text as unscaled digits and a scale: 1.10 is 110 at 2, 1.0E10 is 10 at -9. Leading zeros go. */
enum { DATA_NUMBER_DIGITS_MAX = 400 };
typedef struct data_number {
    bool is_negative;
    char digits[DATA_NUMBER_DIGITS_MAX + 1]; /* "" = 0 */
    int64_t scale;
} data_number;
bool data_number_read(weir_bytes text, data_number *number) WEIR_MUST_USE;
bool data_number_equal(const data_number *a, const data_number *b); /* digits and scale */
/* Rounds towards zero to a whole number. */
void data_number_truncate(data_number *number);

#endif
