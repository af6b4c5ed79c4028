#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* ---- integers and sizes ---------------------------------------------------------------------------------------- */

/* Reads digits from text[*at..]; false when there is none or the number passes `max`. */
static bool parse_digits(weir_bytes text, size_t *at, uint64_t max, uint64_t *value) {
    const size_t start = *at;
    uint64_t sum = 0;
    for (; *at < text.size && is_digit(text.data[*at]); (*at)++) {
        const uint64_t digit = text.data[*at] - (uint64_t)'0';
        if (sum > (max - digit) / 10) return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return *at > start;
}

bool weir_parse_i64(weir_bytes text, int64_t *value) {
    size_t at = 0;
    const bool negative = text.size && text.data[0] == '-';
    if (negative || (text.size && text.data[0] == '+')) at++;
    uint64_t magnitude;
    if (!parse_digits(text, &at, (uint64_t)INT64_MAX + negative, &magnitude) || at != text.size) return false;
    *value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

static bool equals_lower(weir_bytes text, const char *word) {
    if (text.size != strlen(word)) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (lower(text.data[i]) != (uint8_t)word[i]) return false;
    }
    return true;
}

bool weir_parse_bool(weir_bytes text, bool *value) {
    *value = equals_lower(text, "true");
    return *value || equals_lower(text, "false");
}

bool weir_parse_size(weir_bytes text, uint64_t *bytes) {
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"", 0},   {"b", 0},   {"k", 10},   {"kb", 10}, {"kib", 10}, {"m", 20},   {"mb", 20},
                 {"mib", 20}, {"g", 30}, {"gb", 30}, {"gib", 30}, {"t", 40},  {"tb", 40}, {"tib", 40}};
    size_t at = 0;
    uint64_t count;
    if (!parse_digits(text, &at, UINT64_MAX, &count)) return false;
    const weir_bytes unit = weir_bytes_of(text.data + at, text.size - at);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (!equals_lower(unit, units[i].unit)) continue;
        if (count > UINT64_MAX >> units[i].shift) return false;
        *bytes = count << units[i].shift;
        return true;
    }
    return false;
}

size_t weir_format_i64(char *at, int64_t value) {
    char reversed[WEIR_I64_TEXT_MAX];
    size_t digits = 0, size = 0;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        reversed[digits++] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude);
    if (value < 0) at[size++] = '-';
    while (digits) at[size++] = reversed[--digits];
    return size;
}

/* ---- doubles ---------------------------------------------------------------------------------------------------- */

enum {
    /* No double needs more than 767 digits to be told from the middle between two; later ones only count as "more". */
    DIGITS_MAX = 800,
    EXPONENT_MAX = 100000 /* far outside a double's range, far inside an int's */
};

/* A decimal number as its significant digits and a power of ten: 0.ddd * 10^point. */
typedef struct decimal {
    char digits[DIGITS_MAX + 1];
    int count;
    int64_t point; /* 64 bits: the length of a text of zeros must not overflow it */
} decimal;

static void decimal_push(decimal *number, char digit, bool *dropped_some) {
    if (number->count == 0 && digit == '0') return;
    if (number->count < DIGITS_MAX) number->digits[number->count++] = digit;
    else if (digit != '0') *dropped_some = true;
}

/* digits [. digits] [e [+-] digits], with a digit on at least one side of the point. */
static bool decimal_parse(weir_bytes text, size_t at, decimal *number) {
    bool any = false, dropped_some = false;
    number->count = 0;
    number->point = 0;
    for (; at < text.size && is_digit(text.data[at]); at++, any = true) {
        decimal_push(number, (char)text.data[at], &dropped_some);
        if (number->count) number->point++;
    }
    if (at < text.size && text.data[at] == '.') {
        for (at++; at < text.size && is_digit(text.data[at]); at++, any = true) {
            decimal_push(number, (char)text.data[at], &dropped_some);
            if (!number->count) number->point--;
        }
    }
    if (!any) return false;
    if (dropped_some) number->digits[number->count++] = '1';
    if (at == text.size) return true;
    if (lower(text.data[at++]) != 'e') return false;
    const bool negative = at < text.size && text.data[at] == '-';
    if (negative || (at < text.size && text.data[at] == '+')) at++;
    if (at == text.size) return false;
    int64_t exponent = 0;
    for (; at < text.size && is_digit(text.data[at]); at++) {
        if (exponent < INT64_MAX / 100) exponent = exponent * 10 + (text.data[at] - '0');
    }
    number->point += negative ? -exponent : exponent;
    return at == text.size;
}

static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static double decimal_value(const decimal *number) {
    if (number->count == 0) return 0;
    const int64_t exponent = number->point - number->count;
    if (number->count <= 15 && exponent >= -22 && exponent <= 22) {
        /* Both operands are exact doubles, so the one operation rounds correctly (Clinger 1990). */
        int64_t digits = 0;
        for (int i = 0; i < number->count; i++) digits = digits * 10 + (number->digits[i] - '0');
        return exponent < 0 ? (double)digits / exact_powers[-exponent] : (double)digits * exact_powers[exponent];
    }
    if (exponent > EXPONENT_MAX) return (double)INFINITY;
    if (exponent < -EXPONENT_MAX) return 0;
    /* Without a decimal point in it, the text means the same in every locale. */
    char text[DIGITS_MAX + 16];
    snprintf(text, sizeof text, "%.*se%d", number->count, number->digits, (int)exponent);
    return strtod(text, NULL);
}

bool weir_parse_f64(weir_bytes text, double *value) {
    if (weir_bytes_equal_text(text, "NaN")) {
        *value = (double)NAN;
        return true;
    }
    size_t at = 0;
    const bool negative = text.size && text.data[0] == '-';
    if (negative || (text.size && text.data[0] == '+')) at++;
    if (weir_bytes_equal_text(weir_bytes_of(text.data + at, text.size - at), "Infinity")) {
        *value = negative ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    decimal number;
    if (!decimal_parse(text, at, &number)) return false;
    const double magnitude = decimal_value(&number);
    *value = negative ? -magnitude : magnitude;
    return true;
}

/* The decimal of `count` digits nearest to `value`, as printf finds it. */
static void decimal_nearest(double value, int count, decimal *number) {
    char text[40];
    snprintf(text, sizeof text, "%.*e", count - 1, value);
    const char *at = text;
    number->count = 0;
    for (; *at != 'e'; at++) { /* skips the locale's decimal point */
        if (is_digit((uint8_t)*at)) number->digits[number->count++] = *at;
    }
    number->point = strtol(at + 1, NULL, 10) + 1;
}

static void decimal_increment(decimal *number) {
    int i = number->count - 1;
    while (i >= 0 && number->digits[i] == '9') number->digits[i--] = '0';
    if (i >= 0) {
        number->digits[i]++;
        return;
    }
    number->digits[0] = '1';
    number->point++;
}

/* Whether some decimal of `count` digits reads back as `value`; *number is the nearest such. Below a power of two
 * doubles lie twice as dense as above it, so there the nearest decimal can miss where its upper neighbour hits. */
static bool decimal_of_length(double value, int count, decimal *number) {
    decimal_nearest(value, count, number);
    if (decimal_value(number) == value) return true;
    int exponent;
    if (frexp(value, &exponent) != 0.5) return false;
    decimal_increment(number);
    return decimal_value(number) == value;
}

/* The shortest decimal that reads back, but not shorter than 2 digits: among those of 2 digits Java takes the nearest,
 * which is why the smallest double is 4.9E-324 and not 5E-324. Normal doubles hold any 15 digits, so of two decimals of
 * up to 15 digits at most one reads back, and the search may begin there. */
static void decimal_shortest(double value, decimal *number) {
    int count = fpclassify(value) == FP_NORMAL ? 15 : 2;
    while (!decimal_of_length(value, count, number) && count < 17) count++;
    while (number->count > 1 && number->digits[number->count - 1] == '0') number->count--;
}

/* Java's layout: plain from 10^-3 up to 10^7, else one digit, a point, the exponent; a point always has a digit. */
static size_t decimal_layout(char *at, const decimal *number) {
    const int point = (int)number->point;
    const bool plain = point > -3 && point <= 7;
    size_t size = 0;
    int used = 0;
    if (plain && point <= 0) {
        at[size++] = '0';
        at[size++] = '.';
        for (int i = point; i < 0; i++) at[size++] = '0';
    } else {
        for (const int whole = plain ? point : 1; used < whole; used++) {
            at[size++] = used < number->count ? number->digits[used] : '0';
        }
        at[size++] = '.';
        if (used >= number->count) at[size++] = '0';
    }
    while (used < number->count) at[size++] = number->digits[used++];
    if (!plain) {
        at[size++] = 'E';
        size += weir_format_i64(at + size, point - 1);
    }
    return size;
}

/* Numbers below 10^7 with up to three decimals: their at most 10 digits are the only such short ones that read back. */
static size_t format_short(char *at, double value) {
    if (!(value == 0 || (value >= 1e-3 && value < 1e7))) return 0;
    const int64_t thousandths = (int64_t)(value * 1000 + 0.5);
    if ((double)thousandths / 1000 != value) return 0;
    size_t size = weir_format_i64(at, thousandths / 1000);
    int64_t rest = thousandths % 1000;
    at[size++] = '.';
    int64_t place = 100;
    do {
        at[size++] = (char)('0' + rest / place);
        rest %= place;
        place /= 10;
    } while (rest);
    return size;
}

static size_t copy_word(char *at, const char *word) {
    const size_t size = strlen(word);
    memcpy(at, word, size);
    return size;
}

size_t weir_format_f64(char *at, double value) {
    if (isnan(value)) return copy_word(at, "NaN");
    size_t size = 0;
    if (signbit(value)) {
        at[size++] = '-';
        value = -value;
    }
    if (isinf(value)) return size + copy_word(at + size, "Infinity");
    const size_t quick = format_short(at + size, value);
    if (quick) return size + quick;
    decimal number;
    decimal_shortest(value, &number);
    return size + decimal_layout(at + size, &number);
}

/* ---- UTF-8 ------------------------------------------------------------------------------------------------------ */

/* Bytes of the well-formed sequence at `at`, 0 when there is none (Unicode 15, table 3-7). */
static size_t utf8_sequence(const uint8_t *at, size_t left) {
    const uint8_t first = at[0];
    if (first < 0x80) return 1;
    size_t size = 0;
    uint8_t low = 0x80, high = 0xbf; /* of the second byte: no overlong forms, no surrogates, nothing above U+10FFFF */
    if (first >= 0xc2 && first <= 0xdf) {
        size = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        size = 3;
        if (first == 0xe0) low = 0xa0;
        if (first == 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
        size = 4;
        if (first == 0xf0) low = 0x90;
        if (first == 0xf4) high = 0x8f;
    }
    if (size == 0 || size > left || at[1] < low || at[1] > high) return 0;
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    return size;
}

bool weir_utf8_valid(weir_bytes text) {
    size_t at = 0;
    while (at < text.size) {
        uint64_t word;
        if (text.size - at >= sizeof word) {
            memcpy(&word, text.data + at, sizeof word);
            if (!(word & 0x8080808080808080u)) {
                at += sizeof word;
                continue;
            }
        }
        const size_t size = utf8_sequence(text.data + at, text.size - at);
        if (size == 0) return false;
        at += size;
    }
    return true;
}

/* ---- near names ------------------------------------------------------------------------------------------------- */

enum { NAME_BYTES_MAX = 255 }; /* longer names are far from everything */

static unsigned smaller(unsigned a, unsigned b) {
    return a < b ? a : b;
}

unsigned weir_edit_distance(const char *a, const char *b, unsigned limit) {
    const size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size > NAME_BYTES_MAX || b_size > NAME_BYTES_MAX) return limit + 1;
    unsigned rows[3][NAME_BYTES_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (unsigned j = 0; j <= b_size; j++) above[j] = j;
    for (unsigned i = 1; i <= a_size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            const uint8_t x = lower((uint8_t)a[i - 1]), y = lower((uint8_t)b[j - 1]);
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            const bool swapped = i > 1 && j > 1 && x == lower((uint8_t)b[j - 2]) && lower((uint8_t)a[i - 2]) == y;
            if (swapped) row[j] = smaller(row[j], before[j - 2] + 1);
        }
        unsigned *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return smaller(above[b_size], limit + 1);
}

const char *weir_nearest(const char *wanted, const char *const *names, size_t count) {
    /* A third of the letters may be wrong: more, and the suggestion is a guess that misleads. */
    const size_t third = strlen(wanted) / 3;
    unsigned limit = third < 1 ? 1 : third > 4 ? 4 : (unsigned)third;
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        const unsigned distance = weir_edit_distance(wanted, names[i], limit);
        if (distance > limit) continue;
        nearest = names[i];
        if (distance == 0) break;
        limit = distance - 1;
    }
    return nearest;
}
