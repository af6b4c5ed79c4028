#include "data/scalar.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 magnitude;

/* ---- DECIMAL
 * ---------------------------------------------------------------------------------------------------------- */

data_decimal data_decimal_power10(unsigned exponent) {
    static const uint64_t small[] = {1u,
                                     10u,
                                     100u,
                                     1000u,
                                     10000u,
                                     100000u,
                                     1000000u,
                                     10000000u,
                                     100000000u,
                                     1000000000u,
                                     10000000000u,
                                     100000000000u,
                                     1000000000000u,
                                     10000000000000u,
                                     100000000000000u,
                                     1000000000000000u,
                                     10000000000000000u,
                                     100000000000000000u,
                                     1000000000000000000u,
                                     10000000000000000000u};
    weir_assert(exponent <= DATA_DECIMAL_PRECISION_MAX);
    return exponent < 20 ? (data_decimal)small[exponent] : (data_decimal)small[19] * small[exponent - 19];
}

bool data_decimal_has_precision(data_decimal value, unsigned precision) {
    const data_decimal limit = data_decimal_power10(precision);
    return value < limit && value > -limit;
}

/* `rest` of `unit` was cut off a magnitude; should the magnitude grow by one? */
static bool rounds_up(magnitude rest, magnitude unit, bool negative, data_rounding rounding) {
    switch (rounding) {
    case DATA_ROUND_HALF_UP: return rest >= unit - rest;
    case DATA_ROUND_FLOOR: return negative && rest > 0;
    case DATA_ROUND_CEILING: return !negative && rest > 0;
    default: return false;
    }
}

data_fit data_decimal_rescale(data_decimal value, unsigned scale_from, unsigned precision, unsigned scale,
                              data_rounding rounding, data_decimal *result) {
    const bool negative = value < 0;
    magnitude amount = negative ? -(magnitude)value : (magnitude)value;
    if (scale >= scale_from) {
        const unsigned up = scale - scale_from;
        if (amount == 0) {
            *result = 0;
            return DATA_FIT_OK;
        }
        if (up > DATA_DECIMAL_PRECISION_MAX) return DATA_FIT_OVERFLOWS;
        const magnitude factor = (magnitude)data_decimal_power10(up);
        if (amount >= (magnitude)data_decimal_power10(DATA_DECIMAL_PRECISION_MAX) / factor + 1)
            return DATA_FIT_OVERFLOWS;
        amount *= factor;
    } else {
        const unsigned down = scale_from - scale;
        const magnitude unit = down > DATA_DECIMAL_PRECISION_MAX ? 0 : (magnitude)data_decimal_power10(down);
        const magnitude rest = unit ? amount % unit : amount;
        if (rest && rounding == DATA_ROUND_EXACT) return DATA_FIT_ROUNDS;
        if (unit)
            amount = amount / unit + rounds_up(rest, unit, negative, rounding);
        else
            amount = 0;
    }
    if (amount >= (magnitude)data_decimal_power10(precision)) return DATA_FIT_OVERFLOWS;
    *result = negative ? -(data_decimal)amount : (data_decimal)amount;
    return DATA_FIT_OK;
}

enum { EXPONENT_MAX = 100000 };

typedef struct digits { /* of a number's text: 0.d1 d2 d3 ... times 10^point */
    const uint8_t *text;
    size_t size;      /* of the mantissa's text, with its point */
    int64_t exponent; /* after the e */
    bool negative;
} digits;

static bool split_number(weir_bytes text, digits *number) {
    size_t at = 0, seen = 0;
    *number = (digits){.negative = text.size && text.data[0] == '-'};
    if (text.size && (text.data[0] == '-' || text.data[0] == '+')) at++;
    number->text = text.data + at;
    bool point = false;
    const size_t start = at;
    for (; at < text.size; at++) {
        if (text.data[at] == '.' && !point)
            point = true;
        else if (text.data[at] >= '0' && text.data[at] <= '9')
            seen++;
        else
            break;
    }
    number->size = at - start;
    if (seen == 0) return false;
    if (at == text.size) return true;
    if (text.data[at] != 'e' && text.data[at] != 'E') return false;
    return weir_parse_i64(weir_bytes_of(text.data + at + 1, text.size - at - 1), &number->exponent) &&
           number->exponent <= EXPONENT_MAX && number->exponent >= -EXPONENT_MAX;
}

data_fit data_decimal_parse(weir_bytes text, unsigned precision, unsigned scale, data_rounding rounding,
                            data_decimal *value) {
    digits number;
    if (!split_number(text, &number)) return DATA_FIT_NOT_A_NUMBER;
    /* `left` digits remain before the last one that fits into the scale. */
    int64_t left = (int64_t)scale + number.exponent;
    const uint8_t *point = number.size ? memchr(number.text, '.', number.size) : NULL;
    left += point ? point - number.text : (int64_t)number.size;
    magnitude amount = 0, limit = (magnitude)data_decimal_power10(precision);
    bool inexact = false, half = false, first_cut = true;
    for (size_t i = 0; i < number.size; i++) {
        if (number.text[i] == '.') continue;
        const unsigned digit = number.text[i] - '0';
        if (left > 0) {
            amount = amount * 10 + digit;
            if (amount >= limit) return DATA_FIT_OVERFLOWS;
        } else {
            if (first_cut && left == 0) half = digit >= 5;
            first_cut = false;
            inexact |= digit != 0;
        }
        left--;
    }
    for (; left > 0 && amount; left--) {
        amount *= 10;
        if (amount >= limit) return DATA_FIT_OVERFLOWS;
    }
    if (inexact && rounding == DATA_ROUND_EXACT) return DATA_FIT_ROUNDS;
    if (rounding == DATA_ROUND_HALF_UP && half) amount++;
    if (rounding == DATA_ROUND_FLOOR && number.negative && inexact) amount++;
    if (rounding == DATA_ROUND_CEILING && !number.negative && inexact) amount++;
    if (amount >= limit) return DATA_FIT_OVERFLOWS;
    *value = number.negative ? -(data_decimal)amount : (data_decimal)amount;
    return DATA_FIT_OK;
}

data_fit data_decimal_from_f64(double value, unsigned precision, unsigned scale, data_decimal *result) {
    if (!isfinite(value)) return DATA_FIT_NOT_A_NUMBER;
    char text[WEIR_F64_TEXT_MAX];
    return data_decimal_parse(weir_bytes_of(text, weir_format_f64(text, value)), precision, scale, DATA_ROUND_HALF_UP,
                              result);
}

double data_decimal_to_f64(data_decimal value, unsigned scale) {
    /* Both exactly representable: one correctly rounded division. Otherwise through the text, which is always right. */
    const data_decimal exact = (data_decimal)1 << 53;
    if (value < exact && value > -exact && scale <= 22) return (double)value / (double)data_decimal_power10(scale);
    char text[DATA_DECIMAL_TEXT_MAX];
    double result = 0;
    const bool parsed = weir_parse_f64(weir_bytes_of(text, data_decimal_format(text, value, scale)), &result);
    weir_assert(parsed);
    return result;
}

int data_decimal_compare(data_decimal a, unsigned a_scale, data_decimal b, unsigned b_scale) {
    const unsigned scale = a_scale > b_scale ? a_scale : b_scale;
    if ((a < 0) != (b < 0)) return a < 0 ? -1 : 1;
    /* Compare whole parts first, so that nothing has to be multiplied beyond 128 bits. */
    const data_decimal a_unit = data_decimal_power10(a_scale), b_unit = data_decimal_power10(b_scale);
    if (a / a_unit != b / b_unit) return a / a_unit < b / b_unit ? -1 : 1;
    const data_decimal a_rest = a % a_unit * data_decimal_power10(scale - a_scale);
    const data_decimal b_rest = b % b_unit * data_decimal_power10(scale - b_scale);
    return a_rest == b_rest ? 0 : a_rest < b_rest ? -1 : 1;
}

size_t data_decimal_format(char *at, data_decimal value, unsigned scale) {
    char reversed[DATA_DECIMAL_TEXT_MAX];
    size_t count = 0, length = 0;
    magnitude amount = value < 0 ? -(magnitude)value : (magnitude)value;
    while (amount || count <= scale) {
        reversed[count++] = (char)('0' + (int)(amount % 10));
        amount /= 10;
    }
    if (value < 0) at[length++] = '-';
    while (count) {
        if (count == scale) at[length++] = '.';
        at[length++] = reversed[--count];
    }
    return length;
}

/* ---- base64
 * ----------------------------------------------------------------------------------------------------------- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void data_base64_encode(weir_bytes source, char *target) {
    for (size_t i = 0; i < source.size; i += 3) {
        const size_t left = source.size - i;
        const uint32_t group = (uint32_t)source.data[i] << 16 | (left > 1 ? (uint32_t)source.data[i + 1] << 8 : 0) |
                               (left > 2 ? source.data[i + 2] : 0);
        *target++ = alphabet[group >> 18];
        *target++ = alphabet[group >> 12 & 63];
        *target++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
        *target++ = left > 2 ? alphabet[group & 63] : '=';
    }
}

static int sextet(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool data_base64_decode(weir_bytes text, uint8_t *target, size_t *bytes) {
    size_t size = text.size;
    if (size % 4 == 0) {
        if (size && text.data[size - 1] == '=') size--;
        if (size && text.data[size - 1] == '=' && text.size == size + 1) size--;
    }
    if (size % 4 == 1) return false;
    size_t written = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        const int value = sextet(text.data[i]);
        if (value < 0) return false;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 == 3) {
            target[written++] = (uint8_t)(bits >> 16);
            target[written++] = (uint8_t)(bits >> 8);
            target[written++] = (uint8_t)bits;
        }
    }
    if (size % 4 == 2) target[written++] = (uint8_t)(bits >> 4);
    if (size % 4 == 3) {
        target[written++] = (uint8_t)(bits >> 10);
        target[written++] = (uint8_t)(bits >> 2);
    }
    *bytes = written;
    return true;
}

/* ---- dates and times
 * ---------------------------------------------------------------------------------------------------- */

static char *put_digits(char *at, unsigned value, unsigned count) {
    for (unsigned i = count; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + count;
}

static char *put_date(char *at, const weir_civil *civil) {
    /* ISO: a year outside 0000..9999 has a sign and as many digits as it needs. */
    if (civil->year >= 0 && civil->year <= 9999)
        at = put_digits(at, (unsigned)civil->year, 4);
    else
        at += snprintf(at, 12, "%c%04d", civil->year < 0 ? '-' : '+', abs(civil->year));
    *at++ = '-';
    at = put_digits(at, civil->month, 2);
    *at++ = '-';
    return put_digits(at, civil->day, 2);
}

size_t data_date_format(char *at, int32_t days) {
    const weir_civil civil = weir_civil_from_ms((int64_t)days * DATA_MS_PER_DAY);
    return (size_t)(put_date(at, &civil) - at);
}

size_t data_time_format(char *at, int32_t ms) {
    char *end = put_digits(at, (unsigned)ms / 3600000, 2);
    *end++ = ':';
    end = put_digits(end, (unsigned)ms / 60000 % 60, 2);
    if (ms % 60000 == 0) return (size_t)(end - at);
    *end++ = ':';
    end = put_digits(end, (unsigned)ms / 1000 % 60, 2);
    if (ms % 1000 == 0) return (size_t)(end - at);
    *end++ = '.';
    return (size_t)(put_digits(end, (unsigned)ms % 1000, 3) - at);
}

size_t data_timestamp_format(char *at, int64_t ms) {
    const weir_civil civil = weir_civil_from_ms(ms);
    char *end = put_date(at, &civil);
    *end++ = 'T';
    end = put_digits(end, civil.hour, 2);
    *end++ = ':';
    end = put_digits(end, civil.minute, 2);
    *end++ = ':';
    end = put_digits(end, civil.second, 2);
    *end++ = '.';
    return (size_t)(put_digits(end, civil.millisecond, 3) - at);
}

static bool all_digits(weir_bytes text, size_t from, size_t count, int32_t *value) {
    *value = 0;
    if (from + count > text.size) return false;
    for (size_t i = from; i < from + count; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        *value = *value * 10 + (text.data[i] - '0');
    }
    return true;
}

bool data_timestamp_parse(weir_bytes text, int64_t *ms) {
    int32_t year, month = 1;
    if (text.size == 4 || text.size == 7) { /* "2026" and "2026-11": the rest is filled in */
        if (!all_digits(text, 0, 4, &year)) return false;
        if (text.size == 7 && (text.data[4] != '-' || !all_digits(text, 5, 2, &month))) return false;
        const weir_civil civil = {.year = year, .month = (uint8_t)month, .day = 1};
        if (!weir_civil_valid(&civil)) return false;
        *ms = weir_ms_from_civil(&civil);
        return true;
    }
    int32_t hour;
    if (text.size == 13 && (text.data[10] == 'T' || text.data[10] == ' ') && all_digits(text, 11, 2, &hour)) {
        if (hour > 23 || !weir_parse_iso(weir_bytes_of(text.data, 10), ms)) return false;
        *ms += (int64_t)hour * 3600000;
        return true;
    }
    return weir_parse_iso(text, ms);
}

bool data_date_parse(weir_bytes text, int32_t *days) {
    int64_t ms;
    if (!data_timestamp_parse(text, &ms)) return false;
    const int64_t whole = ms / DATA_MS_PER_DAY - (ms % DATA_MS_PER_DAY < 0);
    if (whole > INT32_MAX || whole < INT32_MIN) return false;
    *days = (int32_t)whole;
    return true;
}

bool data_time_parse(weir_bytes text, int32_t *ms) {
    int32_t hour, minute, second = 0, fraction = 0;
    if (!all_digits(text, 0, 2, &hour) || text.size < 5 || text.data[2] != ':' || !all_digits(text, 3, 2, &minute))
        return false;
    size_t at = 5;
    if (at < text.size) {
        if (text.data[at] != ':' || !all_digits(text, at + 1, 2, &second)) return false;
        at += 3;
    }
    if (at < text.size) {
        if (text.data[at++] != '.' || at == text.size || text.size - at > 9) return false;
        int32_t unit = 100;
        for (; at < text.size; at++, unit /= 10) {
            if (text.data[at] < '0' || text.data[at] > '9') return false;
            fraction += (text.data[at] - '0') * unit;
        }
    }
    if (hour > 23 || minute > 59 || second > 59) return false;
    *ms = ((hour * 60 + minute) * 60 + second) * 1000 + fraction;
    return true;
}
