/* cli/script - reading a script file whole. */
#ifndef WEIR_CLI_SCRIPT_H
#define WEIR_CLI_SCRIPT_H

#include "base/buffer.h"

enum { CLI_SCRIPT_BYTES_MAX = 16 << 20 };

/* Appends the file's bytes; "-" is standard input. NOT_FOUND, IO, FULL (too large) name the file. */
weir_status cli_script_read(const char *path, weir_buffer *target) WEIR_MUST_USE;

#endif
