#include "cli/lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 << 10 };

weir_status cli_lines_open(cli_lines *lines, weir_account *account, const char *path, size_t line_bytes_max) {
    *lines = (cli_lines){.path = strcmp(path, "-") == 0 ? "standard input" : path};
    lines->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (!lines->file) return weir_fail_errno(errno, "cannot read %s", path);
    weir_buffer_init(&lines->buffer, account, line_bytes_max + PIECE_BYTES);
    return weir_ok();
}

/* read(2) and not fread(3): a line that a person or a pipe has given is there at once. */
static weir_status fill(cli_lines *lines) {
    weir_buffer_consume(&lines->buffer, lines->at);
    lines->searched -= lines->at;
    lines->at = 0;
    uint8_t *target = weir_buffer_reserve(&lines->buffer, PIECE_BYTES);
    if (!target)
        return weir_fail(WEIR_FULL, "line %llu of %s is longer than %zu bytes", (unsigned long long)lines->number + 1,
                         lines->path, lines->buffer.max_bytes - PIECE_BYTES);
    ssize_t got;
    do got = read(fileno(lines->file), target, PIECE_BYTES);
    while (got < 0 && errno == EINTR);
    if (got < 0) return weir_fail_errno(errno, "cannot read %s to its end", lines->path);
    lines->ended = got == 0;
    lines->buffer.size += (size_t)got;
    return weir_ok();
}

weir_status cli_lines_next(cli_lines *lines, weir_bytes *line, bool *more) {
    for (;;) {
        const uint8_t *data = lines->buffer.data;
        const size_t left = lines->buffer.size - lines->searched;
        const uint8_t *end = left ? memchr(data + lines->searched, '\n', left) : NULL;
        if (!end && !lines->ended) {
            lines->searched = lines->buffer.size;
            WEIR_TRY(fill(lines));
            continue;
        }
        *more = end || lines->at < lines->buffer.size;
        if (!*more) return weir_ok();
        const size_t stop = end ? (size_t)(end - data) : lines->buffer.size;
        *line = (weir_bytes){data + lines->at, stop - lines->at};
        lines->at = lines->searched = end ? stop + 1 : stop;
        lines->number++;
        return weir_ok();
    }
}

void cli_lines_close(cli_lines *lines) {
    weir_buffer_deinit(&lines->buffer);
    if (lines->file != stdin) fclose(lines->file);
}

weir_status cli_file_create(const char *path, FILE **file) {
    *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (!*file) return weir_fail_errno(errno, "cannot write %s", path);
    return weir_ok();
}

weir_status cli_file_finish(const char *path, FILE *file) {
    const bool failed = fflush(file) != 0 || ferror(file);
    const int error = errno;
    if (file != stdout) fclose(file);
    if (!failed) return weir_ok();
    return weir_fail_errno(error, "cannot write %s", file == stdout ? "standard output" : path);
}
