/* How every SQL error is told. */
#include "base/text.h"
#include "sql/parse/parse.h"

#include <stdio.h>

static bool is_continuation(uint8_t byte) {
    return (byte & 0xC0) == 0x80;
}

static void locate(weir_bytes script, uint32_t offset, uint32_t *line, uint32_t *column, size_t *line_start) {
    *line = 1;
    *column = 1;
    *line_start = 0;
    if (offset > script.size) offset = (uint32_t)script.size;
    for (uint32_t i = 0; i < offset; i++) {
        if (script.data[i] == '\n') {
            (*line)++;
            *column = 1;
            *line_start = i + 1;
        } else if (!is_continuation(script.data[i])) {
            (*column)++;
        }
    }
}

bool sql_error_at(sql_error *error, weir_code code, weir_bytes script, uint32_t offset, const char *format, ...) {
    if (error->code != WEIR_OK) return false;
    size_t line_start;
    error->code = code;
    error->offset = offset;
    locate(script, offset, &error->line, &error->column, &line_start);
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return false;
}

void sql_error_hint(sql_error *error, const char *format, ...) {
    if (error->code == WEIR_OK || error->hint[0] != 0) return;
    va_list args;
    va_start(args, format);
    vsnprintf(error->hint, sizeof error->hint, format, args);
    va_end(args);
}

void sql_error_suggest(sql_error *error, const char *wanted, const char *const *names, size_t count) {
    const char *near = weir_nearest(wanted, names, count);
    if (near != NULL) sql_error_hint(error, "Did you mean %s?", near);
}

enum { SHOWN_MAX = 160 }; /* bytes of a source line shown around the place */

void sql_error_print(const sql_error *error, weir_bytes script, const char *file, weir_buffer *target) {
    uint32_t line, column;
    size_t start;
    locate(script, error->offset, &line, &column, &start);
    if (file != NULL) weir_buffer_format(target, "%s:", file);
    weir_buffer_format(target, "%u:%u: %s\n", line, column, error->message);
    const size_t place = error->offset < script.size ? error->offset : script.size;
    size_t end = place;
    while (end < script.size && script.data[end] != '\n' && script.data[end] != '\r') end++;
    if (place - start > SHOWN_MAX / 2) start = place - SHOWN_MAX / 2;
    if (end - place > SHOWN_MAX / 2) end = place + SHOWN_MAX / 2;
    while (start < place && is_continuation(script.data[start])) start++;
    while (end > place && end < script.size && is_continuation(script.data[end])) end--;
    weir_buffer_append_text(target, "  ");
    for (size_t i = start; i < end; i++)
        weir_buffer_append_byte(target, script.data[i] < 32 && script.data[i] != '\t' ? '?' : script.data[i]);
    weir_buffer_append_text(target, "\n  ");
    for (size_t i = start; i < place; i++)
        if (!is_continuation(script.data[i])) weir_buffer_append_byte(target, script.data[i] == '\t' ? '\t' : ' ');
    weir_buffer_append_text(target, "^\n");
    if (error->hint[0] != 0) weir_buffer_format(target, "  %s\n", error->hint);
}
