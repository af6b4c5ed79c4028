/* cli/record_commands - the commands of weir record, for its table in record.c. */
#ifndef WEIR_CLI_RECORD_COMMANDS_H
#define WEIR_CLI_RECORD_COMMANDS_H

#include "cli/options.h"

int cli_record_consume(cli_call *call);
int cli_record_search(cli_call *call);
int cli_record_export(cli_call *call);
int cli_record_produce(cli_call *call);
int cli_record_replay(cli_call *call);

/* " produced 3 records to orders", or the same as JSON. `where` is a topic or a file. */
void cli_record_count_print(const cli_call *call, const char *done, int64_t records, const char *where);

#endif
