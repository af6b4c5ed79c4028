/* cli/completion - weir completion bash: a script for the shell, written from the tables that parse. */
#include "cli/cli.h"
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

/* Options of the commands that parse with getopt; the test real/cli compares them with each command's help. */
static const struct {
    const char *command, *words;
} plain[] = {
    {"server", "--data --kafka --http --memory --config --set --insecure --verbose --help"},
    {"sql", "-e -f --server --output --help"},
    {"check", "--quiet --help"},
    {"test", "--case --feature --skip-feature --batching --json --help"},
    {"version", "--json --help"},
    {"completion", "bash"},
};
static const cli_family *const families[] = {&CLI_TOPIC, &CLI_GROUP, &CLI_RECORD};
enum { PLAIN_COUNT = sizeof plain / sizeof plain[0], FAMILY_COUNT = sizeof families / sizeof families[0] };

static void print_options(const cli_option *options) {
    for (; options && options->name; options++) printf(" --%s", options->name);
}

static void print_family(const cli_family *family) {
    printf("    %s) words='", family->name);
    for (const cli_verb *verb = family->verbs; verb->name; verb++)
        printf("%s%s", verb == family->verbs ? "" : " ", verb->name);
    printf(" --help' ;;\n");
    for (const cli_verb *verb = family->verbs; verb->name; verb++) {
        printf("    '%s %s') words='", family->name, verb->name);
        print_options(verb->options);
        print_options(CLI_COMMON_OPTIONS);
        printf("' ;;\n");
    }
}

static void print_script(void) {
    printf(
        "# bash completion of weir: source <(weir completion bash)\n"
        "_weir() {\n"
        "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} place='' words=''\n"
        "    case $COMP_CWORD in 1) ;; 2) place=${COMP_WORDS[1]} ;; *) place=\"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" "
        ";; esac\n"
        "    case $place in server* | sql* | check* | test* | version* | completion*) place=${COMP_WORDS[1]} ;; esac\n"
        "    case $previous in\n"
        "    --output) COMPREPLY=($(compgen -W 'tabular json' -- \"$current\")); return ;;\n"
        "    --format) COMPREPLY=($(compgen -W 'text json hex raw' -- \"$current\")); return ;;\n"
        "    --acks) COMPREPLY=($(compgen -W '0 1 all' -- \"$current\")); return ;;\n"
        "    --from | --to | --time) COMPREPLY=($(compgen -W 'earliest latest' -- \"$current\")); return ;;\n"
        "    esac\n"
        "    case $place in\n"
        "    '') words='");
    for (size_t i = 0; i < FAMILY_COUNT; i++) printf("%s ", families[i]->name);
    for (size_t i = 0; i < PLAIN_COUNT; i++) printf("%s ", plain[i].command);
    printf("help' ;;\n");
    for (size_t i = 0; i < FAMILY_COUNT; i++) print_family(families[i]);
    for (size_t i = 0; i < PLAIN_COUNT; i++) printf("    %s) words='%s' ;;\n", plain[i].command, plain[i].words);
    printf("    esac\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
           "}\n"
           "complete -o default -F _weir weir\n");
}

int cli_completion(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        printf("Usage: weir completion bash\n\nPrints a script that completes commands and options:\n"
               "  source <(weir completion bash)\n");
        return 0;
    }
    if (argc != 2 || strcmp(argv[1], "bash") != 0) return cli_usage("completion", "it needs the shell's name: bash");
    print_script();
    return 0;
}
