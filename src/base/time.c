#include "base/time.h"

#include <stdio.h>

enum { DAYS_PER_ERA = 146097, DAYS_TO_EPOCH = 719468, YEAR_MAX = 292000000 };
#define MS_PER_DAY INT64_C(86400000)

/* Years are counted from March, so that the leap day is a year's last, in eras of 400 years, which repeat exactly
 * (method: H. Hinnant, "chrono-compatible low-level date algorithms"). */
int64_t weir_days_from_civil(int32_t year, unsigned month, unsigned day) {
    const int64_t y = (int64_t)year - (month <= 2);
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t year_of_era = y - era * 400;
    const int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
    const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH;
}

weir_civil weir_civil_from_ms(int64_t ms) {
    int64_t days = ms / MS_PER_DAY, rest = ms % MS_PER_DAY;
    if (rest < 0) {
        rest += MS_PER_DAY;
        days--;
    }
    days += DAYS_TO_EPOCH;
    const int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    const int64_t day_of_era = days - era * DAYS_PER_ERA;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_PER_ERA - 1)) / 365;
    const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t from_march = (5 * day_of_year + 2) / 153;
    const int64_t month = from_march < 10 ? from_march + 3 : from_march - 9;
    return (weir_civil){.year = (int32_t)(year_of_era + era * 400 + (month <= 2)),
                        .month = (uint8_t)month,
                        .day = (uint8_t)(day_of_year - (153 * from_march + 2) / 5 + 1),
                        .hour = (uint8_t)(rest / 3600000),
                        .minute = (uint8_t)(rest / 60000 % 60),
                        .second = (uint8_t)(rest / 1000 % 60),
                        .millisecond = (uint16_t)(rest % 1000)};
}

int64_t weir_ms_from_civil(const weir_civil *civil) {
    weir_assert(weir_civil_valid(civil));
    return weir_days_from_civil(civil->year, civil->month, civil->day) * MS_PER_DAY + civil->hour * INT64_C(3600000) +
           civil->minute * INT64_C(60000) + civil->second * INT64_C(1000) + civil->millisecond;
}

static unsigned days_of_month(int32_t year, unsigned month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

bool weir_civil_valid(const weir_civil *civil) {
    return civil->year >= -YEAR_MAX && civil->year <= YEAR_MAX && civil->month >= 1 && civil->month <= 12 &&
           civil->day >= 1 && civil->day <= days_of_month(civil->year, civil->month) && civil->hour < 24 &&
           civil->minute < 60 && civil->second < 60 && civil->millisecond < 1000;
}

size_t weir_format_iso(char *at, int64_t ms) {
    const weir_civil civil = weir_civil_from_ms(ms);
    const bool four_digits = civil.year >= 0 && civil.year <= 9999;
    return (size_t)snprintf(at, WEIR_ISO_TEXT_MAX, four_digits ? "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ"
                                                               : "%+05d-%02u-%02uT%02u:%02u:%02u.%03uZ",
                            civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second,
                            civil.millisecond);
}

/* A reader of `text` that turns `failed` once and for all at the first thing that is not what it expects. */
typedef struct iso_reader {
    weir_bytes text;
    size_t at;
    bool failed;
} iso_reader;

static bool next_is(iso_reader *reader, char c) {
    if (reader->at == reader->text.size || reader->text.data[reader->at] != (uint8_t)c) return false;
    reader->at++;
    return true;
}

static void expect(iso_reader *reader, char c) {
    if (!next_is(reader, c)) reader->failed = true;
}

static bool digit_follows(const iso_reader *reader) {
    return reader->at < reader->text.size && reader->text.data[reader->at] >= '0' &&
           reader->text.data[reader->at] <= '9';
}

static int32_t read_digits(iso_reader *reader, unsigned count_min, unsigned count_max) {
    int32_t value = 0;
    unsigned count = 0;
    for (; count < count_max && digit_follows(reader); count++) {
        value = value * 10 + (reader->text.data[reader->at++] - '0');
    }
    if (count < count_min) reader->failed = true;
    return value;
}

/* Four digits, or a sign and four to nine. */
static int32_t read_year(iso_reader *reader) {
    if (next_is(reader, '-')) return -read_digits(reader, 4, 9);
    if (next_is(reader, '+')) return read_digits(reader, 4, 9);
    return read_digits(reader, 4, 4);
}

/* Digits after the third are read and dropped. */
static uint16_t read_fraction(iso_reader *reader) {
    if (!digit_follows(reader)) reader->failed = true;
    unsigned ms = 0, place = 100;
    for (; digit_follows(reader); reader->at++, place /= 10) {
        ms += place * (unsigned)(reader->text.data[reader->at] - '0');
    }
    return (uint16_t)ms;
}

static int64_t read_zone_ms(iso_reader *reader) {
    if (reader->at == reader->text.size || next_is(reader, 'Z') || next_is(reader, 'z')) return 0;
    const bool west = next_is(reader, '-');
    if (!west) expect(reader, '+');
    const int32_t hours = read_digits(reader, 2, 2);
    const bool minutes_follow = next_is(reader, ':') || reader->at < reader->text.size;
    const int32_t minutes = minutes_follow ? read_digits(reader, 2, 2) : 0;
    if (hours > 18 || minutes > 59) reader->failed = true;
    const int64_t ms = (hours * 60 + minutes) * INT64_C(60000);
    return west ? -ms : ms;
}

bool weir_parse_iso(weir_bytes text, int64_t *ms) {
    iso_reader reader = {.text = text};
    weir_civil civil = {.year = read_year(&reader)};
    int64_t zone_ms = 0;
    expect(&reader, '-');
    civil.month = (uint8_t)read_digits(&reader, 2, 2);
    expect(&reader, '-');
    civil.day = (uint8_t)read_digits(&reader, 2, 2);
    if (reader.at < text.size) {
        if (!next_is(&reader, 'T') && !next_is(&reader, 't')) expect(&reader, ' ');
        civil.hour = (uint8_t)read_digits(&reader, 2, 2);
        expect(&reader, ':');
        civil.minute = (uint8_t)read_digits(&reader, 2, 2);
        if (next_is(&reader, ':')) {
            civil.second = (uint8_t)read_digits(&reader, 2, 2);
            if (next_is(&reader, '.') || next_is(&reader, ',')) civil.millisecond = read_fraction(&reader);
        }
        zone_ms = read_zone_ms(&reader);
    }
    if (reader.failed || reader.at != text.size || !weir_civil_valid(&civil)) return false;
    *ms = weir_ms_from_civil(&civil) - zone_ms;
    return true;
}
