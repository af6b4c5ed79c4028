/* base/text - numbers, sizes and durations from and to text; UTF-8; near names for error messages.
 *
 * Parsers take the whole of `text` or fail: no leading blanks, no trailing rest. They return false, never a status,
 * because only the caller knows what the text was. */
#ifndef WEIR_BASE_TEXT_H
#define WEIR_BASE_TEXT_H

#include "base/bytes.h"

bool weir_parse_i64(weir_bytes text, int64_t *value) WEIR_MUST_USE;  /* [+-]digits, range checked */
bool weir_parse_f64(weir_bytes text, double *value) WEIR_MUST_USE;   /* 1 -.5 2.5e-3, NaN, [+-]Infinity; nearest */
bool weir_parse_bool(weir_bytes text, bool *value) WEIR_MUST_USE;    /* true false, any case */
/* "64MiB", "64mb", "1g", "4096": binary multiples, the unit without regard to case. */
bool weir_parse_size(weir_bytes text, uint64_t *bytes) WEIR_MUST_USE;

enum { WEIR_I64_TEXT_MAX = 21, WEIR_F64_TEXT_MAX = 32 };
/* Both write without a terminator and return the length. The double is Java's Double.toString: the shortest digits that
 * read back, "1.0", "1.0E10", "1.0E-5", "NaN", "Infinity". */
size_t weir_format_i64(char *at, int64_t value);
size_t weir_format_f64(char *at, double value);

bool weir_utf8_valid(weir_bytes text);
/* Damerau-Levenshtein distance without regard to ASCII case, at most `limit` + 1. */
unsigned weir_edit_distance(const char *a, const char *b, unsigned limit);
/* The name nearest to `wanted`, or NULL when none is near enough to suggest. */
const char *weir_nearest(const char *wanted, const char *const *names, size_t count);

#endif
