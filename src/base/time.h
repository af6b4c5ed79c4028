/* base/time - calendar arithmetic in UTC (proleptic Gregorian) on integers; no clock is read here.
 *
 * Event times are milliseconds since 1970-01-01T00:00:00Z, as Kafka's. */
#ifndef WEIR_BASE_TIME_H
#define WEIR_BASE_TIME_H

#include "base/bytes.h"

enum { WEIR_ISO_TEXT_MAX = 32 };

typedef struct weir_civil {
    int32_t year;  /* may be negative */
    uint8_t month; /* 1..12 */
    uint8_t day;   /* 1..31 */
    uint8_t hour, minute, second;
    uint16_t millisecond;
} weir_civil;

int64_t weir_days_from_civil(int32_t year, unsigned month, unsigned day);
weir_civil weir_civil_from_ms(int64_t ms);
int64_t weir_ms_from_civil(const weir_civil *civil);
bool weir_civil_valid(const weir_civil *civil);

/* "2026-11-24T10:00:00.123Z"; returns the length, terminated. */
size_t weir_format_iso(char *at, int64_t ms);
/* ISO 8601 date or date-time ('T' or a blank between), optional seconds and fraction (cut to milliseconds), optional Z,
 * +hh:mm, +hhmm or +hh (none = UTC). */
bool weir_parse_iso(weir_bytes text, int64_t *ms) WEIR_MUST_USE;

#endif
