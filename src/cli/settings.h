/* cli/settings - what `weir server` is told: flags > environment (WEIR_DATA, WEIR_KAFKA, ...) > file (--config).
 *
 * The file has Kafka's form: a NAME=VALUE a line, # comments; names are the flags' (data, kafka, http, memory) or any
 * Kafka or ksqlDB property. Ownership: everything lives in `arena`. */
#ifndef WEIR_CLI_SETTINGS_H
#define WEIR_CLI_SETTINGS_H

#include "base/arena.h"
#include "base/option.h"

enum { CLI_LISTENERS_MAX = 8, CLI_PROPERTIES_MAX = 256 };

typedef struct cli_endpoint { /* [NAME=]HOST:PORT[,advertise=HOST:PORT] */
    const char *name;         /* "PLAINTEXT" when none is given */
    const char *host;
    uint16_t port;
    const char *advertise_host; /* NULL = the local address of each connection */
    uint16_t advertise_port;    /* 0 = the bound port */
} cli_endpoint;

typedef struct cli_settings {
    const char *data;
    cli_endpoint kafka[CLI_LISTENERS_MAX];
    size_t kafka_count;
    cli_endpoint http;
    uint64_t memory_bytes;
    bool insecure;
    bool verbose;
    weir_setting properties[CLI_PROPERTIES_MAX]; /* --set and the file's */
    size_t property_count;
} cli_settings;

typedef enum cli_outcome { CLI_GO_ON, CLI_HELP, CLI_WRONG } cli_outcome;

/* CLI_WRONG: *status says what; the command line's help is in server.c. */
cli_outcome cli_settings_read(cli_settings *settings, weir_arena *arena, int argc, char **argv, weir_status *status);
bool cli_host_is_loopback(const char *host);

#endif
