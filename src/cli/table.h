/* cli/table - rows of JSON arrays as an aligned table on a terminal.
 *
 * Column widths come from the first rows (those that wait for cli_table_flush()); later rows keep them and a longer
 * value pushes its line out, so that a push query prints each row at once. */
#ifndef WEIR_CLI_TABLE_H
#define WEIR_CLI_TABLE_H

#include "base/memory.h"

#include <jansson.h>
#include <stdio.h>

typedef struct cli_table cli_table;

/* `names`: an array of strings, copied by reference. */
cli_table *cli_table_begin(weir_account *account, json_t *names, FILE *target);
void cli_table_row(cli_table *table, json_t *values);
void cli_table_flush(cli_table *table);
void cli_table_end(cli_table *table); /* flushes and frees */

/* A list of objects: the members of the first one are the columns. */
void cli_table_objects(weir_account *account, const json_t *objects, FILE *target);

/* One entity of an answer to POST /ksql as a person reads it. */
void cli_entity_print(weir_account *account, const json_t *entity, FILE *target);

#endif
