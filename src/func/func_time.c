/* Dates and times to and from text by patterns (pattern.h), and to and from numbers. A pattern or zone that is the same
 * for all rows is looked at once. */
#include "func/pattern.h"

#include <stdio.h>

typedef const data_vector *const *vectors;

/* The pattern and zone of a row, kept from the row before when they are constant. */
typedef struct row_formatter {
    vectors arguments;
    uint32_t count;
    bool constant, ready, good;
    func_pattern pattern;
    int32_t offset_minutes;
    char error[PATTERN_ERROR_MAX];
} row_formatter;

static void formatter_init(row_formatter *formatter, vectors arguments, uint32_t count) {
    formatter->arguments = arguments;
    formatter->count = count;
    formatter->constant = arguments[1]->constant && (count < 3 || arguments[2]->constant);
    formatter->ready = false;
}

/* false: the row's error is set. */
static bool formatter_load(row_formatter *formatter, func_run_context *run, uint32_t row) {
    if (!formatter->ready || !formatter->constant) {
        formatter->ready = true;
        formatter->offset_minutes = 0;
        formatter->good = pattern_parse(func_text(formatter->arguments[1], row), &formatter->pattern, formatter->error);
        if (formatter->good && formatter->count == 3) {
            const weir_bytes zone = func_text(formatter->arguments[2], row);
            formatter->good = pattern_zone(zone, &formatter->offset_minutes);
            if (!formatter->good) {
                snprintf(formatter->error, sizeof formatter->error,
                         "time zone '%.*s' is unknown; give an offset like +01:00",
                         (int)(zone.size > 60 ? 60 : zone.size), (const char *)zone.data);
            }
        }
    }
    if (formatter->good) return true;
    const weir_bytes text = func_text(formatter->arguments[1], row);
    func_row_error(run, row, "formatter '%.*s': %s", (int)(text.size > 100 ? 100 : text.size), (const char *)text.data,
                   formatter->error);
    return false;
}

static int64_t ms_of(const data_vector *vector, uint32_t row) {
    const int64_t value = func_integer(vector, row);
    return vector->type->kind == DATA_DATE || vector->type->kind == DATA_INT ? value * DATA_MS_PER_DAY : value;
}

static weir_status format(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                          const data_selection *selection, data_vector *result) {
    row_formatter formatter;
    char text[PATTERN_TEXT_MAX];
    formatter_init(&formatter, arguments, count);
    FUNC_ROWS(selection, row) {
        func_set_text(result, row, NULL, 0);
        if (!formatter_load(&formatter, run, row)) continue;
        const size_t size =
            pattern_format(&formatter.pattern, ms_of(arguments[0], row), formatter.offset_minutes, text);
        if (size == 0 && formatter.pattern.count) func_row_error(run, row, "%s: the text is too long", overload->name);
        uint8_t *kept = weir_arena_try(run->arena, size);
        if (!kept) return func_no_memory();
        func_set_text(result, row, memcpy(kept, text, size), size);
    }
    return weir_ok();
}

/* STRING to TIMESTAMP, BIGINT (ms), DATE, INTEGER (days) or TIME. */
static weir_status parse(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                         const data_selection *selection, data_vector *result) {
    row_formatter formatter;
    formatter_init(&formatter, arguments, count);
    const char *what = overload->context;
    FUNC_ROWS(selection, row) {
        int64_t ms = 0;
        size_t failed_at;
        const weir_bytes text = func_text(arguments[0], row), form = func_text(arguments[1], row);
        const bool loaded = formatter_load(&formatter, run, row);
        if (loaded && !pattern_read(&formatter.pattern, text, formatter.offset_minutes, &ms, &failed_at)) {
            const int shown = (int)(text.size > 100 ? 100 : text.size);
            func_row_error(
                run, row,
                "Failed to parse %s '%.*s' with formatter '%.*s': Text '%.*s' could not be parsed at index %zu", what,
                shown, (const char *)text.data, (int)(form.size > 60 ? 60 : form.size), (const char *)form.data, shown,
                (const char *)text.data, failed_at);
            ms = 0;
        }
        const int64_t day = ms / DATA_MS_PER_DAY - (ms % DATA_MS_PER_DAY < 0);
        switch (result->type->kind) {
        case DATA_DATE:
        case DATA_INT: result->ints[row] = (int32_t)day; break;
        case DATA_TIME: result->ints[row] = (int32_t)(ms - day * DATA_MS_PER_DAY); break;
        default: result->bigints[row] = ms; break;
        }
    }
    return weir_ok();
}

/* Between types that hold the same number: TIMESTAMP and BIGINT, DATE and INTEGER. */
static weir_status same_number(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                               const data_selection *selection, data_vector *result) {
    (void)run, (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        if (data_kind_width(result->type->kind) == 4)
            result->ints[row] = (int32_t)func_integer(arguments[0], row);
        else
            result->bigints[row] = func_integer(arguments[0], row);
    }
    return weir_ok();
}

/* ---- catalogue ------------------------------------------------------------------------------------------------- */

static const char timestamp_word[] = "timestamp", date_word[] = "date", time_word[] = "time";

#define TIME(name, about, arguments, result, body, context)                                                            \
    { name, "DATE / TIME", about, arguments, result, 0, body, context, NULL }

static const func_overload overloads[] = {
    TIME("DATETOSTRING", "days since 1970-01-01 as text by a pattern", "INTEGER, STRING", "STRING", format, date_word),
    TIME("FORMAT_DATE", "a date as text by a pattern", "DATE, STRING", "STRING", format, NULL),
    TIME("FORMAT_TIME", "a time of day as text by a pattern", "TIME, STRING", "STRING", format, NULL),
    TIME("FORMAT_TIMESTAMP", "a time as text by a pattern, in UTC", "TIMESTAMP, STRING", "STRING", format, NULL),
    TIME("FORMAT_TIMESTAMP", "a time as text by a pattern and a zone", "TIMESTAMP, STRING, STRING", "STRING", format,
         NULL),
    TIME("FROM_DAYS", "the date so many days after 1970-01-01", "INTEGER", "DATE", same_number, NULL),
    TIME("FROM_UNIXTIME", "the time so many ms after 1970-01-01", "BIGINT", "TIMESTAMP", same_number, NULL),
    TIME("PARSE_DATE", "a date from text by a pattern", "STRING, STRING", "DATE", parse, date_word),
    TIME("PARSE_TIME", "a time of day from text by a pattern", "STRING, STRING", "TIME", parse, time_word),
    TIME("PARSE_TIMESTAMP", "a time from text by a pattern, in UTC", "STRING, STRING", "TIMESTAMP", parse,
         timestamp_word),
    TIME("PARSE_TIMESTAMP", "a time from text by a pattern and a zone", "STRING, STRING, STRING", "TIMESTAMP", parse,
         timestamp_word),
    TIME("STRINGTODATE", "days since 1970-01-01 from text by a pattern", "STRING, STRING", "INTEGER", parse, date_word),
    TIME("STRINGTOTIMESTAMP", "ms since 1970-01-01 from text by a pattern", "STRING, STRING", "BIGINT", parse,
         timestamp_word),
    TIME("STRINGTOTIMESTAMP", "ms since 1970-01-01, by a pattern and a zone", "STRING, STRING, STRING", "BIGINT", parse,
         timestamp_word),
    TIME("TIMESTAMPTOSTRING", "ms since 1970-01-01 as text by a pattern", "BIGINT, STRING", "STRING", format, NULL),
    TIME("TIMESTAMPTOSTRING", "ms since 1970-01-01, by a pattern and a zone", "BIGINT, STRING, STRING", "STRING",
         format, NULL),
    TIME("UNIX_DATE", "days since 1970-01-01", "DATE", "INTEGER", same_number, NULL),
    TIME("UNIX_TIMESTAMP", "ms since 1970-01-01", "TIMESTAMP", "BIGINT", same_number, NULL),
};
const func_family func_family_time = {overloads, sizeof overloads / sizeof *overloads};
