#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} commands[] = {
    {"server", cli_server, "run the node: Kafka and HTTP doors, streams, tables, connectors"},
    {"sql", cli_sql, "talk SQL to a server: interactive, -e STATEMENTS or -f FILE"},
    {"check", cli_check, "check a script and print its plan; runs nothing"},
    {"test", cli_test, "run declarative query tests: FILE|DIR ..."},
    {"topic", cli_topic, "topics of weir or any Kafka: list, make, change, delete"},
    {"group", cli_group, "consumer groups: who reads what, how far behind, set back"},
    {"record", cli_records, "records: write, read, search, export, replay"},
    {"completion", cli_completion, "print a script that completes commands in bash"},
    {"version", cli_version, "print the version (--json for programs)"},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *target) {
    fprintf(target,
            "weir - collects, cleans and computes data streams in one process\n\nUsage: weir COMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) fprintf(target, "  %-10s %s\n", commands[i].name, commands[i].about);
    fprintf(target, "\nweir COMMAND --help explains a command.\n");
}

int cli_fail(const char *command, weir_status status) {
    fprintf(stderr, "weir %s: %s\n", command, status.text);
    return 1;
}

int cli_usage(const char *command, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "weir %s: ", command);
    vfprintf(stderr, format, args);
    fprintf(stderr, "; see weir %s --help\n", command);
    va_end(args);
    return 2;
}

int cli_version(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--json") == 0) {
        printf("{\"name\":\"weir\",\"version\":\"%s\"}\n", WEIR_VERSION);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--help") != 0) return cli_usage("version", "unknown argument '%s'", argv[1]);
    if (argc > 1) printf("Usage: weir version [--json]\n");
    else printf("weir %s\n", WEIR_VERSION);
    return 0;
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name || strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        if (argc > 2) argv[1] = argv[2], argv[2] = (char *)"--help", name = argv[1];
        else {
            print_help(name ? stdout : stderr);
            return name ? 0 : 2;
        }
    }
    if (strcmp(name, "--version") == 0) name = "version";
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "weir: '%s' is not a command\n\n", name);
    print_help(stderr);
    return 2;
}
