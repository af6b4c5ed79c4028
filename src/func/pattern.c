#include "func/pattern.h"

#include <stdio.h>
#include <strings.h>

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
static const char *const days[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

static bool is_letter(uint8_t c) {
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool is_numeric(const pattern_item *item) {
    if (item->letter == 'M' || item->letter == 'L') return item->count <= 2;
    return item->letter && strchr("yudDHkKhmsSn", item->letter);
}

/* ---- parsing the pattern --------------------------------------------------------------------------------------- */

static bool push(func_pattern *pattern, pattern_item item, char *error) {
    if (pattern->count == PATTERN_ITEMS_MAX) {
        snprintf(error, PATTERN_ERROR_MAX, "a pattern of more than %d parts", PATTERN_ITEMS_MAX);
        return false;
    }
    pattern->items[pattern->count++] = item;
    return true;
}

static bool push_letter(func_pattern *pattern, char letter, size_t count, char *error) {
    if (!strchr("yuMLdDEaHkKhmsSnXxZVz", letter)) {
        snprintf(error, PATTERN_ERROR_MAX, "pattern letter '%c' is not supported", letter);
        return false;
    }
    const size_t max = letter == 'S' || letter == 'n' || letter == 'y' || letter == 'u'                    ? 9
                       : letter == 'D'                                                                     ? 3
                       : letter == 'X' || letter == 'x' || letter == 'Z'                                   ? 3
                       : letter == 'E' || letter == 'M' || letter == 'L' || letter == 'V' || letter == 'z' ? 4
                       : letter == 'a'                                                                     ? 1
                                                                                                           : 2;
    if (count > max) {
        snprintf(error, PATTERN_ERROR_MAX, "too many pattern letters: %c, %zu of them", letter, count);
        return false;
    }
    return push(pattern, (pattern_item){.letter = letter, .count = (uint8_t)count}, error);
}

/* A quoted text from behind its opening quote; a doubled quote inside ends one item and begins the next with it. */
static bool push_quoted(weir_bytes text, size_t *at, func_pattern *pattern, char *error) {
    size_t start = *at;
    for (;; (*at)++) {
        if (*at == text.size) {
            snprintf(error, PATTERN_ERROR_MAX, "pattern ends with an incomplete string literal");
            return false;
        }
        if (text.data[*at] != '\'') continue;
        const bool doubled = *at + 1 < text.size && text.data[*at + 1] == '\'';
        const size_t end = doubled ? *at + 1 : *at;
        if (end > start && !push(pattern, (pattern_item){.text = weir_bytes_of(text.data + start, end - start)}, error))
            return false;
        (*at)++;
        if (!doubled) return true;
        start = *at + 1;
    }
}

bool pattern_parse(weir_bytes text, func_pattern *pattern, char *error) {
    *pattern = (func_pattern){0};
    unsigned open = 0;
    for (size_t at = 0; at < text.size;) {
        const uint8_t c = text.data[at];
        bool good = true;
        if (is_letter(c)) {
            size_t count = 1;
            while (at + count < text.size && text.data[at + count] == c) count++;
            at += count;
            good = push_letter(pattern, (char)c, count, error);
        } else if (c == '\'') {
            at++;
            if (at < text.size && text.data[at] == '\'')
                good = push(pattern, (pattern_item){.text = weir_bytes_of(text.data + at++, 1)}, error);
            else
                good = push_quoted(text, &at, pattern, error);
        } else if (c == '{' || c == '}' || c == '#') {
            snprintf(error, PATTERN_ERROR_MAX, "pattern includes reserved character '%c'", c);
            good = false;
        } else if (c == '[' || c == ']') {
            if (c == ']' && open == 0) {
                snprintf(error, PATTERN_ERROR_MAX, "pattern has a ] without a [");
                return false;
            }
            open += c == '[' ? 1 : -1u;
            at++;
            good = push(pattern, (pattern_item){.letter = (char)c}, error);
        } else {
            good = push(pattern, (pattern_item){.text = weir_bytes_of(text.data + at++, 1)}, error);
        }
        if (!good) return false;
    }
    for (; open; open--) {
        if (!push(pattern, (pattern_item){.letter = ']'}, error)) return false;
    }
    /* Numbers side by side, as in yyyyMMdd, are told apart by their width. */
    for (uint32_t i = 0; i < pattern->count; i++) {
        pattern_item *item = &pattern->items[i];
        const bool beside = (i + 1 < pattern->count && is_numeric(item + 1)) || (i > 0 && is_numeric(item - 1));
        const bool two = item->count == 2 && item->letter != 'n';
        item->fixed_width = is_numeric(item) && (two || item->letter == 'S' || (beside && item->count > 1));
    }
    return true;
}

bool pattern_zone(weir_bytes name, int32_t *offset_minutes) {
    static const char *const universal[] = {"UTC", "GMT", "UT", "Z", "Etc/UTC", "Etc/GMT"};
    *offset_minutes = 0;
    for (size_t i = 0; i < sizeof universal / sizeof *universal; i++) {
        if (weir_bytes_equal_text(name, universal[i])) return true;
    }
    if (name.size > 3 && (memcmp(name.data, "UTC", 3) == 0 || memcmp(name.data, "GMT", 3) == 0)) {
        name.data += 3;
        name.size -= 3;
    }
    if (name.size < 2 || (name.data[0] != '+' && name.data[0] != '-')) return false;
    char digits[5] = "";
    size_t count = 0;
    for (size_t i = 1; i < name.size; i++) {
        if (name.data[i] == ':' && i >= 2) continue;
        if (name.data[i] < '0' || name.data[i] > '9' || count == 4) return false;
        digits[count++] = (char)name.data[i];
    }
    int64_t number;
    if (!weir_parse_i64(weir_bytes_of(digits, count), &number)) return false;
    const int64_t hours = count <= 2 ? number : number / 100, minutes = count <= 2 ? 0 : number % 100;
    if (hours > 18 || minutes > 59) return false;
    *offset_minutes = (int32_t)(hours * 60 + minutes) * (name.data[0] == '-' ? -1 : 1);
    return true;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

typedef struct text_writer {
    char *at, *end;
    bool full;
} text_writer;

static void put(text_writer *writer, const void *data, size_t size) {
    if ((size_t)(writer->end - writer->at) < size) {
        writer->full = true;
        return;
    }
    if (size) memcpy(writer->at, data, size);
    writer->at += size;
}

static void put_number(text_writer *writer, int64_t value, unsigned digits) {
    char text[32];
    put(writer, text,
        (size_t)snprintf(text, sizeof text, "%s%0*lld", value < 0 ? "-" : "", (int)digits,
                         (long long)(value < 0 ? -value : value)));
}

static void put_offset(text_writer *writer, const pattern_item *item, int32_t minutes) {
    if (item->letter == 'X' && minutes == 0) {
        put(writer, "Z", 1);
        return;
    }
    const unsigned hour = (unsigned)(minutes < 0 ? -minutes : minutes) / 60,
                   minute = (unsigned)(minutes < 0 ? -minutes : minutes) % 60;
    const bool colon = item->letter != 'Z' && item->count == 3;
    put(writer, minutes < 0 ? "-" : "+", 1);
    put_number(writer, hour, 2);
    if (item->letter != 'Z' && item->count == 1 && minute == 0) return;
    if (colon) put(writer, ":", 1);
    put_number(writer, minute, 2);
}

static void put_zone(text_writer *writer, int32_t minutes) {
    if (minutes == 0) {
        put(writer, "GMT", 3);
        return;
    }
    put_offset(writer, &(pattern_item){.letter = 'x', .count = 3}, minutes);
}

static void put_year(text_writer *writer, const pattern_item *item, int32_t year) {
    const int32_t of_era = item->letter == 'y' && year <= 0 ? 1 - year : year;
    if (item->count == 2)
        put_number(writer, (of_era % 100 + 100) % 100, 2);
    else {
        if (item->count >= 4 && of_era > 9999) put(writer, "+", 1);
        put_number(writer, of_era, item->count);
    }
}

static void put_name(text_writer *writer, const char *name, bool whole) {
    put(writer, name, whole ? strlen(name) : 3);
}

static void put_item(text_writer *writer, const pattern_item *item, const weir_civil *civil, int64_t day,
                     int32_t offset_minutes) {
    const unsigned half = civil->hour % 12;
    switch (item->letter) {
    case 0: put(writer, item->text.data, item->text.size); break;
    case 'y':
    case 'u': put_year(writer, item, civil->year); break;
    case 'M':
    case 'L':
        if (item->count <= 2)
            put_number(writer, civil->month, item->count);
        else
            put_name(writer, months[civil->month - 1], item->count == 4);
        break;
    case 'd': put_number(writer, civil->day, item->count); break;
    case 'D': put_number(writer, day - weir_days_from_civil(civil->year, 1, 1) + 1, item->count); break;
    case 'E': put_name(writer, days[((day + 3) % 7 + 7) % 7], item->count == 4); break;
    case 'a': put(writer, civil->hour < 12 ? "AM" : "PM", 2); break;
    case 'H': put_number(writer, civil->hour, item->count); break;
    case 'k': put_number(writer, civil->hour ? civil->hour : 24, item->count); break;
    case 'K': put_number(writer, half, item->count); break;
    case 'h': put_number(writer, half ? half : 12, item->count); break;
    case 'm': put_number(writer, civil->minute, item->count); break;
    case 's': put_number(writer, civil->second, item->count); break;
    case 'n': put_number(writer, civil->millisecond * 1000000, item->count); break;
    case 'S': {
        char digits[16];
        snprintf(digits, sizeof digits, "%03u000000", civil->millisecond);
        put(writer, digits, item->count);
        break;
    }
    case 'X':
    case 'x':
    case 'Z': put_offset(writer, item, offset_minutes); break;
    case 'V':
    case 'z': put_zone(writer, offset_minutes); break;
    default: break; /* optional sections are always written */
    }
}

size_t pattern_format(const func_pattern *pattern, int64_t ms, int32_t offset_minutes, char *target) {
    text_writer writer = {target, target + PATTERN_TEXT_MAX, false};
    const int64_t local = (int64_t)((uint64_t)ms + (uint64_t)((int64_t)offset_minutes * 60000));
    const weir_civil civil = weir_civil_from_ms(local);
    const int64_t day = local / DATA_MS_PER_DAY - (local % DATA_MS_PER_DAY < 0);
    for (uint32_t i = 0; i < pattern->count; i++) put_item(&writer, &pattern->items[i], &civil, day, offset_minutes);
    return writer.full ? 0 : (size_t)(writer.at - target);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

typedef struct time_fields {
    int64_t year, month, day, day_of_year, hour, half_hour, minute, second, nanosecond;
    bool has_day_of_year, has_half, afternoon, has_offset;
    int32_t offset_minutes;
} time_fields;

typedef struct text_reader {
    weir_bytes text;
    size_t at;
    time_fields fields;
} text_reader;

static bool read_number(text_reader *reader, unsigned min, unsigned max, int64_t *value) {
    unsigned count = 0;
    *value = 0;
    while (count < max && reader->at < reader->text.size && reader->text.data[reader->at] >= '0' &&
           reader->text.data[reader->at] <= '9') {
        *value = *value * 10 + (reader->text.data[reader->at++] - '0');
        count++;
    }
    return count >= min;
}

static bool read_ranged(text_reader *reader, const pattern_item *item, int64_t low, int64_t high, int64_t *value) {
    const size_t start = reader->at;
    if (read_number(reader, item->fixed_width ? item->count : 1, item->fixed_width ? item->count : 9, value) &&
        *value >= low && *value <= high) {
        return true;
    }
    reader->at = start;
    return false;
}

static bool read_name(text_reader *reader, const char *const *names, size_t count, bool whole, int64_t *index) {
    for (size_t i = 0; i < count; i++) {
        const size_t size = whole ? strlen(names[i]) : 3;
        if (reader->text.size - reader->at < size) continue;
        if (strncasecmp((const char *)reader->text.data + reader->at, names[i], size) != 0) continue;
        reader->at += size;
        *index = (int64_t)i;
        return true;
    }
    return false;
}

static bool read_year(text_reader *reader, const pattern_item *item) {
    const bool negative = reader->at < reader->text.size && reader->text.data[reader->at] == '-' && item->letter == 'u';
    if (negative) reader->at++;
    if (item->count == 2) { /* 2000..2099, Java's base */
        if (!read_number(reader, 2, 2, &reader->fields.year)) return false;
        reader->fields.year += 2000;
        return true;
    }
    const unsigned max = item->fixed_width ? item->count : 9;
    if (!read_number(reader, item->count, max, &reader->fields.year)) return false;
    if (negative) reader->fields.year = -reader->fields.year;
    return true;
}

static bool read_fraction(text_reader *reader, const pattern_item *item) {
    if (!read_number(reader, item->count, item->count, &reader->fields.nanosecond)) return false;
    for (unsigned digits = item->count; digits < 9; digits++) reader->fields.nanosecond *= 10;
    return true;
}

static bool read_zone(text_reader *reader) {
    const size_t start = reader->at;
    while (reader->at < reader->text.size &&
           (is_letter(reader->text.data[reader->at]) || strchr("+-:/_0123456789", reader->text.data[reader->at]))) {
        reader->at++;
    }
    reader->fields.has_offset = true;
    if (pattern_zone(weir_bytes_of(reader->text.data + start, reader->at - start), &reader->fields.offset_minutes))
        return true;
    reader->at = start;
    return false;
}

static bool read_item(text_reader *reader, const pattern_item *item) {
    time_fields *fields = &reader->fields;
    int64_t index;
    switch (item->letter) {
    case 0:
        if (reader->text.size - reader->at < item->text.size ||
            strncasecmp((const char *)reader->text.data + reader->at, (const char *)item->text.data, item->text.size) !=
                0) {
            return false;
        }
        reader->at += item->text.size;
        return true;
    case 'y':
    case 'u': return read_year(reader, item);
    case 'M':
    case 'L':
        if (item->count <= 2) return read_ranged(reader, item, 1, 12, &fields->month);
        if (!read_name(reader, months, 12, item->count == 4, &index)) return false;
        fields->month = index + 1;
        return true;
    case 'd': return read_ranged(reader, item, 1, 31, &fields->day);
    case 'D': fields->has_day_of_year = true; return read_ranged(reader, item, 1, 366, &fields->day_of_year);
    case 'E': return read_name(reader, days, 7, item->count == 4, &index);
    case 'a': {
        static const char *const halves[] = {"AM ", "PM "};
        const size_t at = reader->at;
        if (reader->text.size - at < 2) return false;
        const char pair[3] = {(char)(reader->text.data[at] & ~32), (char)(reader->text.data[at + 1] & ~32), 0};
        if (strncmp(pair, halves[0], 2) != 0 && strncmp(pair, halves[1], 2) != 0) return false;
        fields->has_half = true;
        fields->afternoon = pair[0] == 'P';
        reader->at += 2;
        return true;
    }
    case 'H': return read_ranged(reader, item, 0, 23, &fields->hour);
    case 'k':
        if (!read_ranged(reader, item, 1, 24, &fields->hour)) return false;
        fields->hour %= 24;
        return true;
    case 'K': return read_ranged(reader, item, 0, 11, &fields->half_hour);
    case 'h':
        if (!read_ranged(reader, item, 1, 12, &fields->half_hour)) return false;
        fields->half_hour %= 12;
        return true;
    case 'm': return read_ranged(reader, item, 0, 59, &fields->minute);
    case 's': return read_ranged(reader, item, 0, 59, &fields->second);
    case 'n': return read_ranged(reader, item, 0, 999999999, &fields->nanosecond);
    case 'S': return read_fraction(reader, item);
    default: return read_zone(reader);
    }
}

/* The fields as a point in time; false for a day that does not exist. */
static bool resolve(const time_fields *fields, int32_t offset_minutes, int64_t *ms) {
    const int64_t hour = fields->has_half ? fields->half_hour + (fields->afternoon ? 12 : 0) : fields->hour;
    weir_civil civil = {.year = (int32_t)fields->year,
                        .month = (uint8_t)fields->month,
                        .day = (uint8_t)fields->day,
                        .hour = (uint8_t)hour,
                        .minute = (uint8_t)fields->minute,
                        .second = (uint8_t)fields->second,
                        .millisecond = (uint16_t)(fields->nanosecond / 1000000)};
    if (fields->has_day_of_year) {
        civil.month = civil.day = 1;
        const weir_civil next = {.year = civil.year + 1, .month = 1, .day = 1};
        const int64_t first = weir_ms_from_civil(&(weir_civil){.year = civil.year, .month = 1, .day = 1});
        if (fields->day_of_year > (weir_ms_from_civil(&next) - first) / DATA_MS_PER_DAY) return false;
    }
    if (!weir_civil_valid(&civil)) return false;
    *ms = weir_ms_from_civil(&civil) + (fields->has_day_of_year ? (fields->day_of_year - 1) * DATA_MS_PER_DAY : 0);
    *ms -= (int64_t)(fields->has_offset ? fields->offset_minutes : offset_minutes) * 60000;
    return true;
}

/* Behind the ] that belongs to the [ at `at`. */
static uint32_t behind_optional(const func_pattern *pattern, uint32_t at) {
    unsigned open = 0;
    for (; at < pattern->count; at++) {
        if (pattern->items[at].letter == '[') open++;
        if (pattern->items[at].letter == ']' && --open == 0) return at + 1;
    }
    return at;
}

/* Reads items up to the ] of this section or the end; *next is behind it. An optional section that fails leaves no
 * trace. */
static bool read_section(text_reader *reader, const func_pattern *pattern, uint32_t at, uint32_t *next) {
    while (at < pattern->count && pattern->items[at].letter != ']') {
        if (pattern->items[at].letter != '[') {
            if (!read_item(reader, &pattern->items[at++])) return false;
            continue;
        }
        const text_reader before = *reader;
        uint32_t behind;
        if (!read_section(reader, pattern, at + 1, &behind)) *reader = before;
        at = behind_optional(pattern, at);
    }
    *next = at + 1;
    return true;
}

bool pattern_read(const func_pattern *pattern, weir_bytes text, int32_t offset_minutes, int64_t *ms,
                  size_t *failed_at) {
    text_reader reader = {.text = text, .fields = {.year = 1970, .month = 1, .day = 1}};
    uint32_t next;
    const bool read = read_section(&reader, pattern, 0, &next);
    *failed_at = reader.at;
    if (!read || reader.at != text.size) return false;
    *failed_at = 0;
    return resolve(&reader.fields, offset_minutes, ms);
}
