/* cli/kafka - the client that weir topic, group and record share: librdkafka behind sentences.
 *
 * One handle a command. cli_kafka_open() connects and reads the list of topics; the rest asks, and waits at most
 * --timeout. Every failure is a status that names the thing and, where there is one, the way out.
 * Threads: the caller's; librdkafka's own threads call back only while the caller polls. */
#ifndef WEIR_CLI_KAFKA_H
#define WEIR_CLI_KAFKA_H

#include "cli/options.h"

#include <jansson.h>
#include <librdkafka/rdkafka.h>

enum { CLI_REASON_MAX = 256 };

typedef struct cli_kafka {
    cli_call *call;
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue; /* answers to admin requests */
    const struct rd_kafka_metadata *metadata;
    unsigned down_count;         /* times no broker could be reached */
    char reason[CLI_REASON_MAX]; /* why, as librdkafka last told */
    bool traced;                 /* --set debug=...: librdkafka's log goes to standard error */
} cli_kafka;

typedef struct cli_property {
    const char *name, *value;
} cli_property;

/* `properties` (ends with name NULL, may be NULL) come before the user's --set. `delivered` may be NULL; it is called
 * with `kafka` as its opaque for every message of a producer. On failure nothing needs closing. */
weir_status cli_kafka_open(cli_kafka *kafka, cli_call *call, rd_kafka_type_t type, const cli_property *properties,
                           void (*delivered)(rd_kafka_t *, const rd_kafka_message_t *, void *)) WEIR_MUST_USE;
void cli_kafka_close(cli_kafka *kafka);
/* Opens without properties, runs `body`, closes; prints what failed; returns the exit status. */
int cli_kafka_run(cli_call *call, weir_status (*body)(cli_kafka *kafka));
/* Reads the list of topics again. */
weir_status cli_kafka_refresh(cli_kafka *kafka) WEIR_MUST_USE;

/* What `error` means for "<what>: ...": a status whose sentence holds the protocol's name of the error.
 * `detail` is the broker's own text, may be NULL. */
weir_status cli_kafka_error(const cli_kafka *kafka, rd_kafka_resp_err_t error, const char *detail, const char *format,
                            ...) WEIR_PRINTF(4, 5) WEIR_MUST_USE;

/* Options for an admin request that carry --timeout; destroyed by cli_kafka_wait(). */
rd_kafka_AdminOptions_t *cli_kafka_options(cli_kafka *kafka, rd_kafka_admin_op_t operation);
/* The answer to an admin request; the caller destroys *event when OK. Frees `options`. */
weir_status cli_kafka_wait(cli_kafka *kafka, rd_kafka_AdminOptions_t *options, rd_kafka_event_t **event,
                           const char *what) WEIR_MUST_USE;

/* The topic in the metadata, until the next refresh. NOT_FOUND suggests the nearest name. */
weir_status cli_kafka_topic(const cli_kafka *kafka, const char *name,
                            const struct rd_kafka_metadata_topic **topic) WEIR_MUST_USE;
weir_status cli_kafka_partition(const cli_kafka *kafka, const char *name, int64_t partition) WEIR_MUST_USE;

/* ---- places in a partition ---- */

typedef enum cli_position_kind { CLI_EARLIEST, CLI_LATEST, CLI_OFFSET, CLI_LAST, CLI_TIME } cli_position_kind;
typedef struct cli_position {
    cli_position_kind kind;
    int64_t value; /* CLI_OFFSET: offset; CLI_LAST: records before the end; CLI_TIME: milliseconds */
} cli_position;
#define CLI_POSITION_HELP "earliest, latest, OFFSET, -N (the last N), a time 2026-11-24T10:00:00Z, or @MILLISECONDS"

/* `text` as in CLI_POSITION_HELP. */
weir_status cli_position_parse(const char *text, const char *option, cli_position *position) WEIR_MUST_USE;
weir_status cli_kafka_ends(cli_kafka *kafka, const char *topic, int32_t partition, int64_t *low,
                           int64_t *high) WEIR_MUST_USE;
/* The offset of a position; a time after the last record is the end. OUT_OF_RANGE names what is kept. */
weir_status cli_kafka_resolve(cli_kafka *kafka, const char *topic, int32_t partition, cli_position position,
                              int64_t *offset) WEIR_MUST_USE;

/* ---- answers ---- */

/* A JSON string; bytes that are not UTF-8 appear as \xHH. NULL gives JSON's null. */
json_t *cli_json_text(const char *text);
/* Prints an array of objects, as a table or as JSON, and frees it. `none` is the table's line when it is empty. */
void cli_rows_print(cli_call *call, json_t *rows, const char *none);

#endif
