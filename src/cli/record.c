/* cli/record - weir record: the table of its commands. */
#include "cli/record.h"

#include "cli/cli.h"
#include "cli/kafka.h"
#include "cli/record_commands.h"

static const cli_option produce_options[] = {
    {"file", "FILE", "read lines from it; default - is standard input"},
    {"key", "KEY", "the key of every record"},
    {"key-separator", "TEXT", "a line is KEY TEXT VALUE; \\t is a tab"},
    {"header", "NAME=VALUE", "a header of every record; repeatable"},
    {"partition", "N", "default: by the key's hash, without a key any"},
    {"null-value", NULL,
     "values are null (a line is a key, or KEY TEXT with --key-separator): deletes in compacted topics"},
    {"acks", "0|1|all", "who must have it before it counts as written; default all, which also writes nothing twice"},
    {0}};
static const cli_option consume_options[] = {
    {"from", "PLACE", "default earliest; " CLI_POSITION_HELP},
    {"partition", "N", "only this one"},
    {"group", "GROUP", "as a member of the group, committing what was printed"},
    {"limit", "N", "stop after N records"},
    {"follow", NULL, "wait for more at the end, until Ctrl-C"},
    {"format", "FORMAT", CLI_RECORD_FORMAT_HELP},
    {0}};
static const cli_option search_options[] = {{"key", "TEXT", "the key holds it"},
                                            {"value", "TEXT", "the value holds it"},
                                            {"header", "NAME[=TEXT]", "there is such a header, and it holds the text"},
                                            {"regex", NULL, "the texts are POSIX extended regular expressions"},
                                            {"from", "PLACE", "default earliest; " CLI_POSITION_HELP},
                                            {"partition", "N", "only this one"},
                                            {"limit", "N", "stop after N matches"},
                                            {"follow", NULL, "wait for more at the end, until Ctrl-C"},
                                            {"format", "FORMAT", "as of weir record consume"},
                                            {0}};
static const cli_option export_options[] = {{"from", "PLACE", "default earliest; " CLI_POSITION_HELP},
                                            {"partition", "N", "only this one"},
                                            {"limit", "N", "stop after N records"},
                                            {0}};
static const cli_option replay_options[] = {{"topic", "TOPIC", "where to"},
                                            {"by-key", NULL, "spread by key; default: the partitions of the export"},
                                            {"acks", "0|1|all", "default all"},
                                            {0}};

static const cli_verb record_verbs[] = {
    {"produce", "TOPIC", 1, 1, "Write lines as records", produce_options,
     "  echo hello | weir record produce greetings\n"
     "  printf 'alice:1\\nbob:2\\n' | weir record produce users --key-separator : --header source=shell\n"
     "  echo alice | weir record produce users --null-value\n",
     cli_record_produce},
    {"consume", "TOPIC", 1, 1, "Print records", consume_options,
     "  weir record consume orders --limit 10\n"
     "  weir record consume orders --from -5 --format '%I %p:%o %k = %v\\n' --follow\n"
     "  weir record consume orders --group billing\n",
     cli_record_consume},
    {"search", "TOPIC", 1, 1, "Print the records that match all of the given texts; status 1 when none does",
     search_options,
     "  weir record search orders --value 'refund' --limit 5\n"
     "  weir record search orders --key '^user-[0-9]+$' --regex --from 2026-11-24T10:00:00Z\n"
     "  weir record search orders --header trace=4f1c --format json\n",
     cli_record_search},
    {"export", "TOPIC FILE", 2, 2, "Write records to a file as lines of JSON, bytes that are not UTF-8 as base64",
     export_options,
     "  weir record export orders orders.jsonl\n  weir record export orders - | gzip >orders.jsonl.gz\n",
     cli_record_export},
    {"replay", "FILE", 1, 1, "Write the records of an export with their keys, headers, times and partitions",
     replay_options,
     "  weir record replay orders.jsonl --topic orders-copy\n"
     "  zcat orders.jsonl.gz | weir record replay - --topic orders-copy --by-key\n",
     cli_record_replay},
    {0}};

const cli_family CLI_RECORD = {"record", "records of weir or any Kafka: write, read, search, export, replay",
                               record_verbs};

int cli_records(int argc, char **argv) {
    return cli_family_run(&CLI_RECORD, argc, argv);
}
