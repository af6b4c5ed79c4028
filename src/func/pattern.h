/* func internals: date and time patterns, java.time.format.DateTimeFormatter's letters as far as they make sense
 * without a locale or a time zone database: y u year   M L month (MMM Nov, MMMM November)   d day   D day of year   E
 * day of week (EEE Tue, EEEE Tuesday) a AM/PM    H 0-23   k 1-24   K 0-11   h 1-12   m minute   s second   S fraction
 * n nanosecond of the second X x Z offset (Z, +01, +0100, +01:00)   V z the zone's name   'text'   '' a quote
 * [optional] Any other letter is an error that names it. Texts are read without regard to case, missing fields are
 * filled with 1970-01-01T00:00, as ksqlDB does. */
#ifndef WEIR_FUNC_PATTERN_H
#define WEIR_FUNC_PATTERN_H

#include "func/func_int.h"

enum { PATTERN_ITEMS_MAX = 64, PATTERN_ERROR_MAX = 256, PATTERN_TEXT_MAX = 1024 };

typedef struct pattern_item {
    char letter;      /* 0 = literal text; '[' and ']' = optional section */
    uint8_t count;    /* how often the letter stands */
    bool fixed_width; /* when reading: exactly `count` digits */
    weir_bytes text;  /* literal: a view of the pattern */
} pattern_item;

typedef struct func_pattern {
    pattern_item items[PATTERN_ITEMS_MAX];
    uint32_t count;
} func_pattern;

/* `error` (PATTERN_ERROR_MAX bytes) says what is wrong with the pattern; it keeps views of `text`. */
bool pattern_parse(weir_bytes text, func_pattern *pattern, char *error);
/* A zone's offset in minutes: UTC, GMT, Z, +hh:mm, UTC+h, ...; false for names that need a time zone database. */
bool pattern_zone(weir_bytes name, int32_t *offset_minutes);
/* Writes at most PATTERN_TEXT_MAX bytes; 0 when they do not suffice. */
size_t pattern_format(const func_pattern *pattern, int64_t ms, int32_t offset_minutes, char *target);
/* `offset_minutes` is the zone of a text that names none. *failed_at: the byte that could not be read. */
bool pattern_read(const func_pattern *pattern, weir_bytes text, int32_t offset_minutes, int64_t *ms, size_t *failed_at);

#endif
