#include "cli/settings.h"

#include "base/text.h"
#include "cli/script.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>

enum { CONFIG_BYTES_MAX = 1 << 20, CGROUP_TEXT_MAX = 64 };

bool cli_host_is_loopback(const char *host) {
    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

/* Splits HOST:PORT, [V6]:PORT. */
static weir_status parse_address(weir_arena *arena, const char *option, weir_bytes text, const char **host,
                                 uint16_t *port) {
    const uint8_t *colon = NULL;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == ':') colon = text.data + i;
    }
    int64_t number = -1;
    if (!colon || colon == text.data ||
        !weir_parse_i64((weir_bytes){colon + 1, text.size - (size_t)(colon - text.data) - 1}, &number) || number < 0 ||
        number > 65535) {
        return weir_fail(WEIR_INVALID, "--%s %.*s: HOST:PORT is needed, with a port of 0 (any free one) to 65535",
                         option, (int)text.size, (const char *)text.data);
    }
    weir_bytes name = {text.data, (size_t)(colon - text.data)};
    if (name.size > 2 && name.data[0] == '[' && name.data[name.size - 1] == ']')
        name = (weir_bytes){name.data + 1, name.size - 2};
    *host = weir_arena_format(arena, "%.*s", (int)name.size, (const char *)name.data);
    *port = (uint16_t)number;
    return weir_ok();
}

static weir_status parse_endpoint(weir_arena *arena, const char *option, const char *text, cli_endpoint *endpoint) {
    static const char advertise[] = ",advertise=";
    *endpoint = (cli_endpoint){.name = "PLAINTEXT"};
    const char *equals = strchr(text, '='), *comma = strchr(text, ',');
    if (equals && (!comma || equals < comma)) {
        endpoint->name = weir_arena_format(arena, "%.*s", (int)(equals - text), text);
        text = equals + 1;
    }
    weir_bytes address = weir_bytes_text(text);
    if (comma) {
        if (strncmp(comma, advertise, sizeof advertise - 1) != 0) {
            return weir_fail(WEIR_INVALID, "--%s: '%s' is not known; ,advertise=HOST:PORT may follow the address",
                             option, comma);
        }
        address.size = (size_t)(comma - text);
        WEIR_TRY(parse_address(arena, option, weir_bytes_text(comma + sizeof advertise - 1), &endpoint->advertise_host,
                               &endpoint->advertise_port));
    }
    return parse_address(arena, option, address, &endpoint->host, &endpoint->port);
}

/* A quarter of what the machine, or the control group around the process, has. */
static uint64_t default_memory(void) {
    struct sysinfo info;
    uint64_t bytes = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : (uint64_t)1 << 30;
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "r");
    char text[CGROUP_TEXT_MAX] = "";
    if (file) {
        int64_t limit;
        if (fgets(text, sizeof text, file) &&
            weir_parse_i64((weir_bytes){(uint8_t *)text, strcspn(text, "\n")}, &limit) && limit > 0 &&
            (uint64_t)limit < bytes) {
            bytes = (uint64_t)limit;
        }
        fclose(file);
    }
    return bytes / 4;
}

static weir_status add_property(cli_settings *settings, weir_arena *arena, weir_bytes name, weir_bytes value) {
    if (settings->property_count == CLI_PROPERTIES_MAX) {
        return weir_fail(WEIR_INVALID, "more than %d properties are given", CLI_PROPERTIES_MAX);
    }
    settings->properties[settings->property_count++] =
        (weir_setting){weir_arena_format(arena, "%.*s", (int)name.size, (const char *)name.data),
                       weir_arena_format(arena, "%.*s", (int)value.size, (const char *)value.data)};
    return weir_ok();
}

/* One of the flags that the environment and the file have too; *known is false for any other name. */
static weir_status apply(cli_settings *settings, weir_arena *arena, const char *name, const char *value, bool *known) {
    *known = true;
    if (strcmp(name, "data") == 0) settings->data = weir_arena_text_copy(arena, value);
    else if (strcmp(name, "http") == 0) return parse_endpoint(arena, name, value, &settings->http);
    else if (strcmp(name, "memory") == 0) {
        if (!weir_parse_size(weir_bytes_text(value), &settings->memory_bytes) || settings->memory_bytes < 16 << 20) {
            return weir_fail(WEIR_INVALID, "--memory %s: a size of at least 16MiB is needed, as 512MiB or 2g", value);
        }
    } else if (strcmp(name, "kafka") == 0) {
        if (settings->kafka_count == CLI_LISTENERS_MAX) {
            return weir_fail(WEIR_INVALID, "more than %d --kafka are given", CLI_LISTENERS_MAX);
        }
        return parse_endpoint(arena, name, value, &settings->kafka[settings->kafka_count++]);
    } else *known = false;
    return weir_ok();
}

static weir_status read_line(cli_settings *settings, weir_arena *arena, const char *path, unsigned number,
                             weir_bytes line) {
    while (line.size && (line.data[0] == ' ' || line.data[0] == '\t')) line.data++, line.size--;
    while (line.size && strchr(" \t\r", line.data[line.size - 1])) line.size--;
    if (line.size == 0 || line.data[0] == '#') return weir_ok();
    const uint8_t *equals = memchr(line.data, '=', line.size);
    if (!equals) return weir_fail(WEIR_INVALID, "%s:%u: NAME=VALUE is needed", path, number);
    weir_bytes name = {line.data, (size_t)(equals - line.data)};
    const weir_bytes value = {equals + 1, line.size - name.size - 1};
    while (name.size && name.data[name.size - 1] == ' ') name.size--;
    const char *text = weir_arena_format(arena, "%.*s", (int)value.size, (const char *)value.data);
    while (*text == ' ') text++;
    bool known;
    WEIR_TRY(weir_context(
        apply(settings, arena, weir_arena_format(arena, "%.*s", (int)name.size, (const char *)name.data), text, &known),
        "%s:%u", path, number));
    return known ? weir_ok() : add_property(settings, arena, name, weir_bytes_text(text));
}

static weir_status read_config(cli_settings *settings, weir_arena *arena, const char *path) {
    weir_buffer text;
    weir_buffer_init(&text, arena->account, CONFIG_BYTES_MAX);
    weir_status status = cli_script_read(path, &text);
    unsigned number = 1;
    for (size_t at = 0; !weir_failed(status) && at < text.size; number++) {
        const uint8_t *end = memchr(text.data + at, '\n', text.size - at);
        const size_t size = end ? (size_t)(end - text.data) - at : text.size - at;
        status = read_line(settings, arena, path, number, (weir_bytes){text.data + at, size});
        at += size + 1;
    }
    weir_buffer_deinit(&text);
    return status;
}

static const struct option flags[] = {
    {"data", required_argument, NULL, 'd'},   {"kafka", required_argument, NULL, 'k'},
    {"http", required_argument, NULL, 'H'},   {"memory", required_argument, NULL, 'm'},
    {"config", required_argument, NULL, 'c'}, {"set", required_argument, NULL, 's'},
    {"insecure", no_argument, NULL, 'i'},     {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},         {0}};

static const char *flag_name(int letter) {
    for (const struct option *flag = flags; flag->name; flag++) {
        if (flag->val == letter) return flag->name;
    }
    return NULL;
}

static weir_status read_environment(cli_settings *settings, weir_arena *arena) {
    static const char *const names[][2] = {{"data", "WEIR_DATA"}, {"http", "WEIR_HTTP"}, {"memory", "WEIR_MEMORY"},
                                           {"kafka", "WEIR_KAFKA"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i][1]);
        bool known;
        if (!value) continue;
        if (strcmp(names[i][0], "kafka") == 0) settings->kafka_count = 0;
        WEIR_TRY(weir_context(apply(settings, arena, names[i][0], value, &known), "environment %s", names[i][1]));
    }
    return weir_ok();
}

static weir_status read_flag(cli_settings *settings, weir_arena *arena, int letter, bool *kafka_seen) {
    bool known;
    const char *equals;
    switch (letter) {
    case 'c': return weir_ok(); /* read before, as the weakest */
    case 'i': settings->insecure = true; return weir_ok();
    case 'v': settings->verbose = true; return weir_ok();
    case 's':
        equals = strchr(optarg, '=');
        if (!equals) return weir_fail(WEIR_INVALID, "--set %s: NAME=VALUE is needed", optarg);
        return add_property(settings, arena, (weir_bytes){(uint8_t *)optarg, (size_t)(equals - optarg)},
                            weir_bytes_text(equals + 1));
    case 'k':
        if (!*kafka_seen) settings->kafka_count = 0; /* flags replace what file and environment say */
        *kafka_seen = true;
        break;
    default: break;
    }
    return apply(settings, arena, flag_name(letter), optarg, &known);
}

static weir_status read_config_flag(cli_settings *settings, weir_arena *arena, int argc, char **argv, bool *help) {
    const char *path = getenv("WEIR_CONFIG");
    optind = 1;
    for (int letter; (letter = getopt_long(argc, argv, "vh", flags, NULL)) != -1;) {
        if (letter == '?') return weir_fail(WEIR_INVALID, "wrong option");
        if (letter == 'h') *help = true;
        if (letter == 'c') path = optarg;
    }
    if (optind < argc) return weir_fail(WEIR_INVALID, "unexpected argument '%s'", argv[optind]);
    return path ? read_config(settings, arena, path) : weir_ok();
}

cli_outcome cli_settings_read(cli_settings *settings, weir_arena *arena, int argc, char **argv, weir_status *status) {
    *settings = (cli_settings){.data = "weir-data", .memory_bytes = default_memory()};
    settings->kafka[settings->kafka_count++] = (cli_endpoint){.name = "PLAINTEXT", .host = "localhost", .port = 9092};
    settings->http = (cli_endpoint){.host = "localhost", .port = 8088};
    bool help = false, kafka_seen = false;
    const size_t defaults = settings->kafka_count;
    settings->kafka_count = 0;
    *status = read_config_flag(settings, arena, argc, argv, &help);
    if (help) return CLI_HELP;
    if (settings->kafka_count == 0) settings->kafka_count = defaults;
    if (!weir_failed(*status)) *status = read_environment(settings, arena);
    optind = 1;
    for (int letter; !weir_failed(*status) && (letter = getopt_long(argc, argv, "vh", flags, NULL)) != -1;) {
        *status = read_flag(settings, arena, letter, &kafka_seen);
    }
    return weir_failed(*status) ? CLI_WRONG : CLI_GO_ON;
}
