#include "cli/options.h"

#include "base/text.h"
#include "cli/cli.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 64, TIMEOUT_MS_DEFAULT = 10000, NAME_COLUMN = 26 };

const cli_option CLI_COMMON_OPTIONS[] = {
    {"bootstrap", "HOST:PORT,...", "the cluster (WEIR_BOOTSTRAP; default localhost:9092)"},
    {"set", "NAME=VALUE", "a property of librdkafka, the client inside (security.protocol, ...); repeatable"},
    {"output", "tabular|json", "a table for people (default) or JSON for programs"},
    {"timeout", "DURATION", "how long to wait for an answer: 500ms, 30s, 2m (default 10s)"},
    {"help", NULL, "explain the command"},
    {0}};

/* ---- help -------------------------------------------------------------------------------------------------------- */

static void print_options(const cli_option *options, FILE *target) {
    for (; options && options->name; options++) {
        char text[128];
        snprintf(text, sizeof text, "--%s%s%s", options->name, options->value ? " " : "",
                 options->value ? options->value : "");
        fprintf(target, "  %-*s %s\n", NAME_COLUMN, text, options->about);
    }
}

static void print_family_help(const cli_family *family, FILE *target) {
    fprintf(target, "weir %s - %s\n\nUsage: weir %s COMMAND [ARGUMENT...] [OPTION...]\n\n", family->name, family->about,
            family->name);
    for (const cli_verb *verb = family->verbs; verb->name; verb++) {
        char text[128];
        snprintf(text, sizeof text, "%s %s", verb->name, verb->arguments);
        fprintf(target, "  %-*s %s\n", NAME_COLUMN, text, verb->about);
    }
    fprintf(target, "\nEvery command takes\n");
    print_options(CLI_COMMON_OPTIONS, target);
    fprintf(target, "\nExit status: 0 done, 1 failed, 2 wrong usage. weir %s COMMAND --help explains one.\n",
            family->name);
}

static void print_verb_help(const cli_family *family, const cli_verb *verb) {
    printf("Usage: weir %s %s%s%s [OPTION...]\n\n%s.\n\n", family->name, verb->name, *verb->arguments ? " " : "",
           verb->arguments, verb->about);
    print_options(verb->options, stdout);
    if (verb->options) printf("\n");
    print_options(CLI_COMMON_OPTIONS, stdout);
    printf("\nExamples:\n%s", verb->examples);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

const char *cli_value(const cli_call *call, const char *name) {
    const char *found = NULL, *next;
    unsigned at = 0;
    while ((next = cli_value_next(call, name, &at))) found = next;
    return found;
}

const char *cli_value_next(const cli_call *call, const char *name, unsigned *at) {
    while (*at < call->value_count) {
        const unsigned index = (*at)++;
        if (strcmp(call->values[index].name, name) == 0) return call->values[index].value;
    }
    return NULL;
}

weir_status cli_value_i64(const cli_call *call, const char *name, int64_t fallback, int64_t min, int64_t max,
                          int64_t *value) {
    const char *text = cli_value(call, name);
    *value = fallback;
    if (!text) return weir_ok();
    if (!weir_parse_i64(weir_bytes_text(text), value) || *value < min || *value > max)
        return weir_fail(WEIR_INVALID, "--%s '%s' is not a number from %lld to %lld", name, text, (long long)min,
                         (long long)max);
    return weir_ok();
}

bool cli_duration_parse(const char *text, int *ms) {
    static const struct {
        const char *suffix;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"", 1000}};
    const size_t digits = strspn(text, "0123456789");
    int64_t number;
    if (!weir_parse_i64(weir_bytes_of(text, digits), &number)) return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + digits, units[i].suffix) != 0) continue;
        if (number < 1 || number > INT_MAX / units[i].ms) return false;
        *ms = (int)(number * units[i].ms);
        return true;
    }
    return false;
}

bool cli_pair_split(const char *text, char *name, size_t size, const char **value) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || (size_t)(equals - text) >= size) return false;
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = 0;
    *value = equals + 1;
    return true;
}

/* ---- parsing ----------------------------------------------------------------------------------------------------- */

static const cli_option *find_option(const cli_option *options, const char *name, size_t size) {
    for (; options && options->name; options++) {
        if (strlen(options->name) == size && memcmp(options->name, name, size) == 0) return options;
    }
    return NULL;
}

static int refuse_option(const cli_call *call, const char *text) {
    const char *names[NAMES_MAX];
    size_t count = 0;
    const cli_option *tables[] = {call->verb->options, CLI_COMMON_OPTIONS};
    for (size_t i = 0; i < 2; i++) {
        for (const cli_option *option = tables[i]; option && option->name && count < NAMES_MAX; option++)
            names[count++] = option->name;
    }
    const char *near = weir_nearest(text + 2, names, count);
    if (near) return cli_usage(call->title, "unknown option '%s', did you mean --%s?", text, near);
    return cli_usage(call->title, "unknown option '%s'", text);
}

/* One word that begins with --; *at moves over a value that is a word of its own. 0, or the exit status. */
static int parse_option(cli_call *call, int argc, char **argv, int *at) {
    const char *text = argv[*at], *equals = strchr(text, '=');
    const size_t size = equals ? (size_t)(equals - text) - 2 : strlen(text) - 2;
    const cli_option *option = find_option(call->verb->options, text + 2, size);
    if (!option) option = find_option(CLI_COMMON_OPTIONS, text + 2, size);
    if (!option) return refuse_option(call, text);
    if (!option->value && equals) return cli_usage(call->title, "--%s takes no value", option->name);
    if (call->value_count == CLI_VALUES_MAX) return cli_usage(call->title, "more than %d options", CLI_VALUES_MAX);
    const char *value = "";
    if (option->value && equals) value = equals + 1;
    else if (option->value && *at + 1 < argc) value = argv[++*at];
    else if (option->value) return cli_usage(call->title, "--%s needs a value: %s", option->name, option->value);
    call->values[call->value_count].name = option->name;
    call->values[call->value_count++].value = value;
    return 0;
}

static int parse_words(cli_call *call, int argc, char **argv) {
    bool options_end = false;
    for (int at = 2; at < argc; at++) {
        const char *text = argv[at];
        if (!options_end && strcmp(text, "--") == 0) {
            options_end = true;
        } else if (!options_end && (strncmp(text, "--", 2) == 0 || strcmp(text, "-h") == 0)) {
            char help[] = "--help", *word = help;
            int zero = 0;
            const int status =
                text[1] == 'h' ? parse_option(call, 1, &word, &zero) : parse_option(call, argc, argv, &at);
            if (status) return status;
        } else {
            if (call->argument_count == call->verb->arguments_max || call->argument_count == CLI_ARGUMENTS_MAX)
                return cli_usage(call->title, "unexpected argument '%s'", text);
            call->arguments[call->argument_count++] = text;
        }
    }
    return 0;
}

static int read_common(cli_call *call) {
    const char *output = cli_value(call, "output"), *timeout = cli_value(call, "timeout");
    call->bootstrap = cli_value(call, "bootstrap");
    if (!call->bootstrap) call->bootstrap = getenv("WEIR_BOOTSTRAP");
    if (!call->bootstrap || !*call->bootstrap) call->bootstrap = "localhost:9092";
    call->timeout_ms = TIMEOUT_MS_DEFAULT;
    if (timeout && !cli_duration_parse(timeout, &call->timeout_ms))
        return cli_usage(call->title, "--timeout '%s' is no duration such as 500ms, 30s, 2m", timeout);
    call->json = output && strcmp(output, "json") == 0;
    if (output && !call->json && strcmp(output, "tabular") != 0)
        return cli_usage(call->title, "--output '%s' is neither tabular nor json", output);
    if (call->argument_count < call->verb->arguments_min)
        return cli_usage(call->title, "it needs %s", call->verb->arguments);
    return 0;
}

static int refuse_verb(const cli_family *family, const char *name) {
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (const cli_verb *verb = family->verbs; verb->name && count < NAMES_MAX; verb++) names[count++] = verb->name;
    const char *near = weir_nearest(name, names, count);
    if (near) return cli_usage(family->name, "'%s' is not a command of it, did you mean '%s'?", name, near);
    return cli_usage(family->name, "'%s' is not a command of it", name);
}

int cli_family_run(const cli_family *family, int argc, char **argv) {
    static cli_call call;
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_family_help(family, name ? stdout : stderr);
        return name ? 0 : 2;
    }
    const cli_verb *verb = family->verbs;
    while (verb->name && strcmp(verb->name, name) != 0) verb++;
    if (!verb->name) return refuse_verb(family, name);
    call.family = family;
    call.verb = verb;
    snprintf(call.title, sizeof call.title, "%s %s", family->name, verb->name);
    int status = parse_words(&call, argc, argv);
    if (status) return status;
    if (cli_value(&call, "help")) {
        print_verb_help(family, verb);
        return 0;
    }
    status = read_common(&call);
    if (status) return status;
    weir_account_init(&call.account, "cli.kafka", 0);
    status = verb->run(&call);
    weir_account_deinit(&call.account);
    return status;
}
