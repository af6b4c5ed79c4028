#include "cli/script.h"

#include <errno.h>
#include <stdio.h>

enum { PIECE_BYTES = 64 << 10 };

weir_status cli_script_read(const char *path, weir_buffer *target) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (!file) return weir_fail_errno(errno, "cannot read %s", path);
    uint8_t *at;
    size_t got = 1;
    while (got > 0 && (at = weir_buffer_reserve(target, PIECE_BYTES)))
        target->size += got = fread(at, 1, PIECE_BYTES, file);
    const bool failed = ferror(file) != 0;
    if (file != stdin) fclose(file);
    if (failed) return weir_fail(WEIR_IO, "cannot read %s to its end", path);
    if (target->overflowed) return weir_fail(WEIR_FULL, "%s is larger than %zu bytes", path, target->max_bytes);
    return weir_ok();
}
