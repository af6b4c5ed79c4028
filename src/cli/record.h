/* cli/record - a Kafka record as text, and from text: what weir record prints, exports and replays.
 *
 * As JSON (one line a record in an export):
 *   {"topic":"t","partition":0,"offset":7,"timestamp":1700000000000,"key":K,"value":V,"headers":[{"name":K,"value":V}]}
 * where K and V are null, a string, or {"base64":"..."} for bytes that are not UTF-8. Nothing is lost: null and empty
 * differ, and headers keep their order and may repeat. */
#ifndef WEIR_CLI_RECORD_H
#define WEIR_CLI_RECORD_H

#include "base/buffer.h"

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>

enum { CLI_RECORD_LINE_BYTES_MAX = 128 << 20 }; /* of an export: a record of 16 MiB in base64, with its headers */

typedef struct cli_record { /* read from JSON; keys and values point into `json` and `decoded` */
    json_t *json;
    weir_buffer decoded;
    weir_bytes key, value; /* data NULL = null */
    int64_t partition, timestamp; /* -1 = not given */
    rd_kafka_headers_t *headers; /* NULL = none; whoever produces it takes it and sets it to NULL */
} cli_record;

/* `format` is text, json, hex, raw, or a template; false when it is neither (a template has a %). */
bool cli_record_format_known(const char *format);
void cli_record_print(FILE *target, const char *format, const rd_kafka_message_t *message);

/* Reads one line of an export. deinit after every OK. INVALID says what is wrong with the line. */
weir_status cli_record_parse(cli_record *record, weir_account *account, weir_bytes line) WEIR_MUST_USE;
void cli_record_deinit(cli_record *record);

#define CLI_RECORD_FORMAT_HELP "text (values), json, hex, raw, or a template: %t topic %p partition %o offset %k key " \
                               "%v value %h headers %T milliseconds %I time %s size %% \\n \\t"

#endif
