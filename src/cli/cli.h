/* cli - the command line: one function a subcommand, one table of them (main.c).
 *
 * Every command prints its own help on --help, answers with status 0 (done), 1 (it failed, one line on standard error
 * says why) or 2 (wrong usage), and reads an option as flag > environment (WEIR_<NAME>) > file where that applies. */
#ifndef WEIR_CLI_CLI_H
#define WEIR_CLI_CLI_H

#include "base/status.h"

int cli_server(int argc, char **argv);
int cli_sql(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_test(int argc, char **argv);
int cli_topic(int argc, char **argv);
int cli_group(int argc, char **argv);
int cli_records(int argc, char **argv);
int cli_completion(int argc, char **argv);
int cli_version(int argc, char **argv);

/* "weir <command>: <sentence>" on standard error; returns 1. */
int cli_fail(const char *command, weir_status status);
/* "weir <command>: <what>; see weir <command> --help"; returns 2. */
int cli_usage(const char *command, const char *format, ...) WEIR_PRINTF(2, 3);

#endif
