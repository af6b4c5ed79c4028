/* cli/lines - the files of weir record: read line by line as bytes, or written. */
#ifndef WEIR_CLI_LINES_H
#define WEIR_CLI_LINES_H

#include "base/buffer.h"

#include <stdio.h>

typedef struct cli_lines {
    const char *path; /* "-" is standard input */
    FILE *file;
    weir_buffer buffer;
    size_t at, searched; /* in the buffer: the next line, and how far there is no line end */
    bool ended;
    uint64_t number; /* of the last line, from 1 */
} cli_lines;

/* NOT_FOUND, IO name the file. A line longer than `line_bytes_max` is FULL. */
weir_status cli_lines_open(cli_lines *lines, weir_account *account, const char *path,
                           size_t line_bytes_max) WEIR_MUST_USE;
/* The next line without its end, valid until the next call; *more is false at the end of the file. Bytes behind the
 * last line end are a line. */
weir_status cli_lines_next(cli_lines *lines, weir_bytes *line, bool *more) WEIR_MUST_USE;
void cli_lines_close(cli_lines *lines);

/* Makes or replaces the file; "-" is standard output. */
weir_status cli_file_create(const char *path, FILE **file) WEIR_MUST_USE;
/* Says whether everything was written. */
weir_status cli_file_finish(const char *path, FILE *file) WEIR_MUST_USE;

#endif
