/* cli/sql - weir sql: statements from the prompt, -e or a file, sent to a server over ksqlDB's REST API.
 *
 * A script is split here and sent statement by statement, each behind as many newlines and blanks as stood before it,
 * so that the server's error positions are those of the file. SELECT goes to /query-stream and is printed as it comes,
 * everything else to /ksql. */
#include "cli/cli.h"

#include "base/buffer.h"
#include "cli/script.h"
#include "cli/table.h"
#include "sql/parse/parse.h"

#include <ctype.h>
#include <curl/curl.h>
#include <editline/readline.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 16 << 20, URL_BYTES_MAX = 1024 };

typedef struct session {
    const char *server;    /* "http://localhost:8088" */
    const char *file_name; /* for error positions; NULL = prompt or -e */
    bool json;             /* print what the server sends */
    CURL *curl;
    weir_account account;
    weir_buffer received;  /* of the current response, not yet printed */
    bool streaming;        /* rows are printed line by line */
    bool plain;            /* PRINT: the one column's lines without a table */
    bool failed;           /* the statement was refused */
    cli_table *table;      /* of the rows being printed */
    json_t *properties;    /* what SET has set; goes along with every statement */
} session;

/* ---- what comes back --------------------------------------------------------------------------------------------- */

static void print_error(session *s, const json_t *answer) {
    const char *message = json_string_value(json_object_get(answer, "message"));
    fprintf(stderr, "%s\n", message ? message : "the server's answer has no message");
    s->failed = true;
}

static void print_row_line(session *s, const char *line, size_t size) {
    if (s->json) {
        printf("%.*s\n", (int)size, line);
        return;
    }
    json_t *value = json_loadb(line, size, JSON_DECODE_ANY, NULL);
    if (json_is_array(value) && s->plain) {
        printf("%s\n", json_string_value(json_array_get(value, 0)));
    } else if (json_is_array(value)) {
        if (s->table) cli_table_row(s->table, value);
    } else if (json_is_object(value) && json_object_get(value, "columnNames")) {
        if (!s->plain) s->table = cli_table_begin(&s->account, json_object_get(value, "columnNames"), stdout);
    } else if (json_is_object(value) && json_object_get(value, "message")) {
        if (json_object_get(value, "error_code")) print_error(s, value);
        else printf("%s\n", json_string_value(json_object_get(value, "message")));
    }
    json_decref(value);
}

static void print_stream(session *s) {
    size_t at = 0;
    const uint8_t *end;
    while ((end = memchr(s->received.data + at, '\n', s->received.size - at))) {
        const size_t size = (size_t)(end - s->received.data) - at;
        if (size) print_row_line(s, (const char *)s->received.data + at, size);
        at += size + 1;
        if (at == s->received.size) break;
    }
    weir_buffer_consume(&s->received, at);
    if (s->table) cli_table_flush(s->table);
    fflush(stdout);
}

static size_t receive(char *data, size_t size, size_t count, void *arg) {
    session *s = arg;
    weir_buffer_append(&s->received, data, size * count);
    if (s->received.overflowed) return 0;
    if (s->streaming && s->received.size) print_stream(s);
    return size * count;
}

static void print_entities(session *s) {
    json_t *answer = json_loadb((const char *)s->received.data, s->received.size, JSON_DECODE_ANY, NULL);
    if (!answer) {
        fprintf(stderr, "the server's answer is not JSON: %.200s\n", weir_buffer_text(&s->received));
        s->failed = true;
    } else if (json_is_object(answer) && json_object_get(answer, "error_code")) {
        print_error(s, answer);
    } else if (s->json) {
        json_dumpf(answer, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        size_t index;
        json_t *entity;
        json_array_foreach(answer, index, entity) cli_entity_print(&s->account, entity, stdout);
    }
    json_decref(answer);
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static bool begins_with(weir_bytes text, const char *word) {
    const size_t size = strlen(word);
    if (text.size <= size) return false;
    for (size_t i = 0; i < size; i++) {
        if (toupper(text.data[i]) != word[i]) return false;
    }
    return true;
}

static int post(session *s, const char *path, const char *body) {
    char url[URL_BYTES_MAX], problem[CURL_ERROR_SIZE] = "";
    snprintf(url, sizeof url, "%s%s", s->server, path);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(s->curl, CURLOPT_URL, url);
    curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, problem);
    curl_easy_setopt(s->curl, CURLOPT_NOSIGNAL, 1L);
    const CURLcode code = curl_easy_perform(s->curl);
    curl_slist_free_all(headers);
    if (code == CURLE_OK) return 0;
    fprintf(stderr, "weir sql: no answer from %s: %s; is a server running there (weir server --http)?\n", s->server,
            problem[0] ? problem : curl_easy_strerror(code));
    return 1;
}

/* The statement behind the newlines and blanks that stand for what precedes it in its script. */
static json_t *padded(session *s, weir_bytes script, sql_piece piece) {
    weir_buffer text;
    weir_buffer_init(&text, &s->account, LINE_BYTES_MAX);
    uint32_t line_start = 0;
    for (uint32_t i = 0; i < piece.offset; i++) {
        if (script.data[i] != '\n') continue;
        weir_buffer_append_byte(&text, '\n');
        line_start = i + 1;
    }
    for (uint32_t i = line_start; i < piece.offset; i++) {
        if ((script.data[i] & 0xC0) != 0x80) weir_buffer_append_byte(&text, ' ');
    }
    weir_buffer_append(&text, script.data + piece.offset, piece.size);
    json_t *string = json_stringn((const char *)text.data, text.size);
    weir_buffer_deinit(&text);
    return string;
}

/* SET and UNSET are the session's own business, as in ksqlDB's shell; false for every other statement. */
static bool run_here(session *s, weir_bytes script, sql_piece piece) {
    weir_arena arena;
    weir_arena_init(&arena, &s->account, LINE_BYTES_MAX);
    const sql_statement *statement = NULL;
    sql_error error = {0};
    bool is_here = sql_parse(&arena, script, piece, &statement, &error);
    is_here = is_here && (statement->kind == SQL_SET || statement->kind == SQL_UNSET);
    if (is_here) {
        const sql_property *property = &statement->properties[0];
        if (statement->kind == SQL_SET)
            json_object_set_new(s->properties, property->name.text, json_string(property->value));
        else json_object_del(s->properties, property->name.text);
        if (s->file_name == NULL)
            printf(" %s '%s'\n", statement->kind == SQL_SET ? "Set" : "Unset", property->name.text);
    }
    weir_arena_deinit(&arena);
    return is_here;
}

static int run_statement(session *s, weir_bytes script, sql_piece piece) {
    if (run_here(s, script, piece)) return 0;
    const weir_bytes statement = {script.data + piece.offset, piece.size};
    s->plain = begins_with(statement, "PRINT");
    s->streaming = s->plain || begins_with(statement, "SELECT");
    s->failed = false;
    weir_buffer_clear(&s->received);
    json_t *string = padded(s, script, piece);
    if (!string) {
        fprintf(stderr, "weir sql: the statement is not valid UTF-8 or too long\n");
        return 1;
    }
    json_t *body = json_object();
    json_object_set_new(body, s->streaming ? "sql" : "ksql", string);
    json_object_set(body, s->streaming ? "properties" : "streamsProperties", s->properties);
    if (s->file_name) json_object_set_new(body, "fileName", json_string(s->file_name));
    char *text = json_dumps(body, JSON_COMPACT);
    const int status = post(s, s->streaming ? "/query-stream" : "/ksql", text);
    if (status == 0 && s->streaming && s->received.size)
        print_row_line(s, (const char *)s->received.data, s->received.size);
    if (status == 0 && !s->streaming) print_entities(s);
    if (s->table) cli_table_end(s->table);
    s->table = NULL;
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    json_decref(body);
    return status ? status : s->failed;
}

static int run_script(session *s, weir_bytes script) {
    uint32_t at = 0;
    sql_piece piece;
    while (sql_split(script, &at, &piece)) {
        const int status = run_statement(s, script, piece);
        if (status) return status;
    }
    return 0;
}

static int run_file(session *s, const char *path) {
    weir_buffer script;
    weir_buffer_init(&script, &s->account, CLI_SCRIPT_BYTES_MAX);
    s->file_name = path;
    const weir_status read = cli_script_read(path, &script);
    const int status = weir_failed(read) ? cli_fail("sql", read) : run_script(s, weir_buffer_view(&script));
    weir_buffer_deinit(&script);
    return status;
}

/* ---- the prompt -------------------------------------------------------------------------------------------------- */

static const char *const completions[] = {"CREATE",
                                          "STREAM",
                                          "TABLE",
                                          "SOURCE",
                                          "CONNECTOR",
                                          "AS",
                                          "SELECT",
                                          "FROM",
                                          "WHERE",
                                          "GROUP BY",
                                          "HAVING",
                                          "PARTITION BY",
                                          "WINDOW TUMBLING (SIZE",
                                          "WINDOW HOPPING (SIZE",
                                          "ADVANCE BY",
                                          "GRACE PERIOD",
                                          "EMIT CHANGES",
                                          "LIMIT",
                                          "INSERT INTO",
                                          "VALUES",
                                          "SHOW STREAMS",
                                          "SHOW TABLES",
                                          "SHOW TOPICS",
                                          "SHOW QUERIES",
                                          "SHOW CONNECTORS",
                                          "SHOW FUNCTIONS",
                                          "SHOW PROPERTIES",
                                          "DESCRIBE",
                                          "EXPLAIN",
                                          "DROP",
                                          "TERMINATE",
                                          "WITH",
                                          "CASE WHEN",
                                          "CAST",
                                          "COUNT",
                                          "SUM",
                                          "SECONDS",
                                          "MINUTES",
                                          "HOURS",
                                          "DAYS",
                                          "KAFKA_TOPIC",
                                          "VALUE_FORMAT",
                                          "KEY_FORMAT",
                                          "PARTITIONS",
                                          "TIMESTAMP",
                                          NULL};

static char *next_completion(const char *text, int state) {
    static size_t at, length;
    if (state == 0) {
        at = 0;
        length = strlen(text);
    }
    while (completions[at]) {
        const char *candidate = completions[at++];
        if (strncasecmp(candidate, text, length) == 0) return strdup(candidate);
    }
    return NULL;
}

static char **complete(const char *text, int start, int end) {
    (void)start;
    (void)end;
    return rl_completion_matches(text, next_completion);
}

static void print_prompt_help(void) {
    printf("Statements end with ';' and may span lines. SHOW STREAMS; SHOW TABLES; DESCRIBE x; EXPLAIN query;\n"
           "Tab completes, the arrows walk the history, \\q or exit leaves, Ctrl-C ends a push query.\n");
}

static int prompt(session *s) {
    char history_path[512];
    const char *home = getenv("HOME");
    snprintf(history_path, sizeof history_path, "%s/.weir_history", home ? home : ".");
    rl_initialize();
    rl_readline_name = (char *)"weir";
    rl_attempted_completion_function = complete;
    using_history();
    read_history(history_path);
    printf("weir sql on %s. \\? helps.\n", s->server);
    weir_buffer text;
    weir_buffer_init(&text, &s->account, LINE_BYTES_MAX);
    char *line;
    while ((line = readline(text.size ? "   ... " : "weir> "))) {
        const bool is_start = text.size == 0;
        if (is_start && (strcmp(line, "\\q") == 0 || strcasecmp(line, "exit") == 0 || strcasecmp(line, "quit") == 0))
            break;
        if (is_start && (strcmp(line, "\\?") == 0 || strcasecmp(line, "help") == 0)) {
            print_prompt_help();
            continue;
        }
        if (*line) add_history(line);
        weir_buffer_append_text(&text, line);
        weir_buffer_append_byte(&text, '\n');
        uint32_t at = 0;
        sql_piece piece;
        const bool has_piece = sql_split(weir_buffer_view(&text), &at, &piece);
        if (has_piece && !piece.terminated) continue;
        if (has_piece) run_script(s, weir_buffer_view(&text));
        weir_buffer_clear(&text);
    }
    write_history(history_path);
    printf("\n");
    weir_buffer_deinit(&text);
    return 0;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static void print_help(void) {
    printf("Usage: weir sql [--server URL] [-e STATEMENTS | -f FILE] [--output tabular|json]\n\n"
           "  --server URL     the server's HTTP address (WEIR_SERVER; default http://localhost:8088)\n"
           "  -e STATEMENTS    run them and exit\n"
           "  -f FILE          run the script and exit; - is standard input\n"
           "  --output FORMAT  tabular (default) or json: what the server sends\n\n"
           "Without -e and -f: a prompt with history (~/.weir_history) and completion.\n");
}

int cli_sql(int argc, char **argv) {
    static const struct option options[] = {
        {"server", required_argument, NULL, 's'}, {"execute", required_argument, NULL, 'e'},
        {"file", required_argument, NULL, 'f'},   {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},         {0}};
    session s = {.server = getenv("WEIR_SERVER") ? getenv("WEIR_SERVER") : "http://localhost:8088"};
    const char *statements = NULL, *file = NULL;
    for (int option; (option = getopt_long(argc, argv, "e:f:h", options, NULL)) != -1;) {
        switch (option) {
        case 's': s.server = optarg; break;
        case 'e': statements = optarg; break;
        case 'f': file = optarg; break;
        case 'o': s.json = strcmp(optarg, "json") == 0; break;
        case 'h': print_help(); return 0;
        default: return cli_usage("sql", "wrong option");
        }
    }
    if (optind < argc) return cli_usage("sql", "unexpected argument '%s'", argv[optind]);
    if (statements && file) return cli_usage("sql", "-e and -f exclude each other");
    weir_account_init(&s.account, "cli.sql", 0);
    weir_buffer_init(&s.received, &s.account, LINE_BYTES_MAX);
    s.properties = json_object();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    s.curl = curl_easy_init();
    int status;
    if (statements) status = run_script(&s, weir_bytes_text(statements));
    else if (file) status = run_file(&s, file);
    else status = isatty(STDIN_FILENO) ? prompt(&s) : run_file(&s, "-");
    curl_easy_cleanup(s.curl);
    curl_global_cleanup();
    json_decref(s.properties);
    weir_buffer_deinit(&s.received);
    weir_account_deinit(&s.account);
    return status;
}
