/* cli/options - one table describes a family of commands (weir topic ..., weir group ..., weir record ...): their
 * arguments, options, help and examples. The table parses, explains, and completes in the shell.
 *
 * An option is --name VALUE, --name=VALUE or, without a value, --name; options and arguments mix, -- ends the options.
 * Every command also takes CLI_COMMON_OPTIONS. Unknown names are refused with the nearest known one. */
#ifndef WEIR_CLI_OPTIONS_H
#define WEIR_CLI_OPTIONS_H

#include "base/memory.h"
#include "base/status.h"

#include <stdio.h>

enum { CLI_ARGUMENTS_MAX = 256, CLI_VALUES_MAX = 256, CLI_TITLE_MAX = 64 };

typedef struct cli_call cli_call;

typedef struct cli_option {
    const char *name;  /* without --; NULL ends a table */
    const char *value; /* what stands for the value in help; NULL = a flag */
    const char *about;
} cli_option;

typedef struct cli_verb {
    const char *name;         /* NULL ends a table */
    const char *arguments;    /* as the usage line shows them: "TOPIC...", "" = none */
    unsigned arguments_min, arguments_max;
    const char *about;
    const cli_option *options; /* NULL = only the common ones */
    const char *examples;      /* whole lines */
    int (*run)(cli_call *call);
} cli_verb;

typedef struct cli_family {
    const char *name;
    const char *about;
    const cli_verb *verbs;
} cli_family;

extern const cli_option CLI_COMMON_OPTIONS[]; /* --bootstrap --set --output --timeout --help */
extern const cli_family CLI_TOPIC, CLI_GROUP, CLI_RECORD;

struct cli_call { /* a command line that was understood; everything borrowed from argv and the tables */
    const cli_family *family;
    const cli_verb *verb;
    char title[CLI_TITLE_MAX]; /* "topic create", for cli_fail() and cli_usage() */
    const char *arguments[CLI_ARGUMENTS_MAX];
    unsigned argument_count;
    struct {
        const char *name, *value; /* value "" for a flag */
    } values[CLI_VALUES_MAX];     /* in the order given */
    unsigned value_count;
    bool json;       /* --output json */
    int timeout_ms;  /* --timeout */
    const char *bootstrap;
    weir_account account; /* of everything the command holds */
};

/* Parses, prints help where asked, runs; returns the exit status. */
int cli_family_run(const cli_family *family, int argc, char **argv);

/* The last value given for the option, or NULL. */
const char *cli_value(const cli_call *call, const char *name);
/* The next value given for a repeatable option, *at starting from 0; NULL after the last. */
const char *cli_value_next(const cli_call *call, const char *name, unsigned *at);
/* The option as a number within bounds, or `fallback` when it was not given. INVALID names the option. */
weir_status cli_value_i64(const cli_call *call, const char *name, int64_t fallback, int64_t min, int64_t max,
                          int64_t *value) WEIR_MUST_USE;
/* "500ms", "30s", "2m"; a bare number is seconds. */
bool cli_duration_parse(const char *text, int *ms) WEIR_MUST_USE;
/* Splits NAME=VALUE; `name` receives the name. false when there is no '=' or the name does not fit. */
bool cli_pair_split(const char *text, char *name, size_t size, const char **value) WEIR_MUST_USE;

#endif
