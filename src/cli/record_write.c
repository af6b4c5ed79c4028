/* cli/record_write - weir record produce and replay: lines of a file become records, acknowledged before it ends. */
#include "cli/cli.h"
#include "cli/kafka.h"
#include "cli/lines.h"
#include "cli/record.h"
#include "cli/record_commands.h"

#include "base/text.h"

#include <string.h>

enum { LINE_BYTES_MAX = 16 << 20, SEPARATOR_MAX = 64, HEADER_NAME_MAX = 256, NUMBER_TEXT_MAX = 16, POLL_MS = 100 };

typedef struct writing {
    cli_kafka kafka; /* first: it is the opaque of what librdkafka calls back */
    cli_call *call;
    const char *topic;
    cli_lines lines;
    int64_t partition; /* -1 = by key */
    int64_t delivered, failed;
    rd_kafka_resp_err_t error; /* of the first that failed */
    rd_kafka_headers_t *headers; /* of every record */
    char separator[SEPARATOR_MAX]; /* "" = lines are values */
    const char *key;
    bool null_value;
} writing;

static void on_delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque) {
    (void)handle;
    writing *w = opaque;
    if (!message->err) {
        w->delivered++;
        return;
    }
    if (w->failed++ == 0) w->error = message->err;
}

static weir_status line_failed(const writing *w, weir_status status) {
    return weir_fail(status.code, "line %llu of %s: %s", (unsigned long long)w->lines.number, w->lines.path,
                     status.text);
}

/* Takes `headers` in any case. timestamp -1 = now. */
static weir_status write_record(writing *w, weir_bytes key, weir_bytes value, int64_t partition, int64_t timestamp,
                        rd_kafka_headers_t *headers) {
    rd_kafka_resp_err_t error;
    for (;;) {
        error = rd_kafka_producev(
            w->kafka.handle, RD_KAFKA_V_TOPIC(w->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_PARTITION(partition < 0 ? RD_KAFKA_PARTITION_UA : (int32_t)partition),
            RD_KAFKA_V_KEY(key.data, key.size), RD_KAFKA_V_VALUE((void *)value.data, value.size),
            RD_KAFKA_V_TIMESTAMP(timestamp > 0 ? timestamp : 0), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) break;
        rd_kafka_poll(w->kafka.handle, POLL_MS);
    }
    rd_kafka_poll(w->kafka.handle, 0);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return weir_ok();
    if (headers) rd_kafka_headers_destroy(headers);
    return cli_kafka_error(&w->kafka, error, NULL, "producing to '%s'", w->topic);
}

/* Waits for what is on its way, and says how it went. */
static weir_status finish(writing *w) {
    const rd_kafka_resp_err_t error = rd_kafka_flush(w->kafka.handle, w->call->timeout_ms);
    rd_kafka_poll(w->kafka.handle, 0);
    if (w->failed == 0 && error)
        return cli_kafka_error(&w->kafka, error, NULL, "producing to '%s': %d records are not acknowledged", w->topic,
                               rd_kafka_outq_len(w->kafka.handle));
    if (w->failed == 0) return weir_ok();
    return cli_kafka_error(&w->kafka, w->error, NULL, "producing to '%s': %lld records were refused, %lld written",
                           w->topic, (long long)w->failed, (long long)w->delivered);
}

static weir_status open_writer(writing *w) {
    const char *acks = cli_value(w->call, "acks");
    if (!acks) acks = "all";
    if (strcmp(acks, "all") != 0 && strcmp(acks, "0") != 0 && strcmp(acks, "1") != 0)
        return weir_fail(WEIR_INVALID, "--acks '%s' is none of 0, 1, all", acks);
    char timeout[NUMBER_TEXT_MAX];
    snprintf(timeout, sizeof timeout, "%d", w->call->timeout_ms);
    /* Order and no duplicates need every record acknowledged by all. */
    const cli_property properties[] = {{"acks", acks},
                                       {"enable.idempotence", strcmp(acks, "all") == 0 ? "true" : "false"},
                                       {"message.timeout.ms", timeout},
                                       {"message.max.bytes", "16777216"},
                                       {"linger.ms", "5"},
                                       {"partitioner", "murmur2_random"},
                                       {0}};
    return cli_kafka_open(&w->kafka, w->call, RD_KAFKA_PRODUCER, properties, on_delivered);
}

static int run(writing *w, const char *path, size_t line_bytes_max,
               weir_status (*each_line)(writing *w, weir_bytes line), const char *done) {
    weir_status status = cli_lines_open(&w->lines, &w->call->account, path, line_bytes_max);
    if (weir_failed(status)) return cli_fail(w->call->title, status);
    const struct rd_kafka_metadata_topic *topic;
    status = open_writer(w);
    const bool is_open = !weir_failed(status);
    if (is_open) status = cli_kafka_topic(&w->kafka, w->topic, &topic);
    if (!weir_failed(status) && w->partition >= 0) status = cli_kafka_partition(&w->kafka, w->topic, w->partition);
    bool more = true;
    /* What was read before a line that is wrong is written all the same, and told. */
    while (!weir_failed(status) && more) {
        weir_bytes line;
        status = cli_lines_next(&w->lines, &line, &more);
        if (!weir_failed(status) && more) status = each_line(w, line);
    }
    weir_error error;
    weir_error_set(&error, status);
    if (is_open) {
        status = finish(w);
        if (error.code == WEIR_OK) weir_error_set(&error, status);
        cli_kafka_close(&w->kafka);
    }
    cli_lines_close(&w->lines);
    if (error.code == WEIR_OK || w->delivered > 0) cli_record_count_print(w->call, done, w->delivered, w->topic);
    return error.code != WEIR_OK ? cli_fail(w->call->title, weir_error_status(&error)) : 0;
}

/* ---- produce ----------------------------------------------------------------------------------------------------- */

static weir_status produce_line(writing *w, weir_bytes line) {
    weir_bytes key = w->key ? weir_bytes_text(w->key) : (weir_bytes){0}, value = line;
    if (w->separator[0]) {
        const size_t size = strlen(w->separator);
        const uint8_t *found = line.size ? memmem(line.data, line.size, w->separator, size) : NULL;
        if (!found)
            return line_failed(w, weir_fail(WEIR_INVALID, "there is no separator '%s' behind the key",
                                            cli_value(w->call, "key-separator")));
        key = weir_bytes_of(line.data, (size_t)(found - line.data));
        value = weir_bytes_of(found + size, line.size - key.size - size);
    } else if (w->null_value) {
        key = line;
    }
    if (w->null_value) value = (weir_bytes){0};
    rd_kafka_headers_t *headers = w->headers ? rd_kafka_headers_copy(w->headers) : NULL;
    const weir_status status = write_record(w, key, value, w->partition, -1, headers);
    return weir_failed(status) ? line_failed(w, status) : status;
}

/* \t stands for what a shell does not like to be given, \x for x itself. */
static bool read_separator(writing *w, const char *text) {
    size_t size = 0;
    for (; *text && size + 1 < sizeof w->separator; text++) {
        char byte = *text;
        if (byte == '\\' && text[1]) byte = *++text == 't' ? '\t' : *text;
        w->separator[size++] = byte;
    }
    w->separator[size] = 0;
    return size > 0 && !*text;
}

static weir_status read_headers(writing *w) {
    unsigned at = 0;
    const char *text, *value;
    char name[HEADER_NAME_MAX];
    while ((text = cli_value_next(w->call, "header", &at))) {
        if (!cli_pair_split(text, name, sizeof name, &value))
            return weir_fail(WEIR_INVALID, "--header '%s' is not NAME=VALUE", text);
        if (!w->headers) w->headers = rd_kafka_headers_new(4);
        rd_kafka_header_add(w->headers, name, -1, value, (ssize_t)strlen(value));
    }
    return weir_ok();
}

int cli_record_produce(cli_call *call) {
    static writing w;
    w = (writing){.call = call, .topic = call->arguments[0], .key = cli_value(call, "key"),
                  .null_value = cli_value(call, "null-value")};
    const char *separator = cli_value(call, "key-separator"), *file = cli_value(call, "file");
    if (separator && w.key) return cli_usage(call->title, "--key and --key-separator exclude each other");
    if (w.key && w.null_value)
        return cli_usage(call->title, "with --null-value the lines are the keys: leave --key out");
    if (separator && !read_separator(&w, separator))
        return cli_usage(call->title, "--key-separator is 1 to %d characters", SEPARATOR_MAX - 1);
    weir_status status = cli_value_i64(call, "partition", -1, 0, INT32_MAX, &w.partition);
    if (!weir_failed(status)) status = read_headers(&w);
    const int result = weir_failed(status) ? cli_usage(call->title, "%s", status.text)
                                           : run(&w, file ? file : "-", LINE_BYTES_MAX, produce_line, "produced");
    if (w.headers) rd_kafka_headers_destroy(w.headers);
    return result;
}

/* ---- replay ------------------------------------------------------------------------------------------------------ */

static weir_status replay_line(writing *w, weir_bytes line) {
    if (line.size == 0) return weir_ok();
    cli_record record;
    weir_status status = cli_record_parse(&record, &w->call->account, line);
    if (weir_failed(status)) return line_failed(w, status);
    if (cli_value(w->call, "by-key")) record.partition = -1;
    if (record.partition >= 0) status = cli_kafka_partition(&w->kafka, w->topic, record.partition);
    if (weir_failed(status)) {
        status = weir_fail(status.code, "%s; weir topic partitions adds some, --by-key spreads anew", status.text);
    } else {
        status = write_record(w, record.key, record.value, record.partition, record.timestamp, record.headers);
        record.headers = NULL;
    }
    if (weir_failed(status)) status = line_failed(w, status);
    cli_record_deinit(&record);
    return status;
}

int cli_record_replay(cli_call *call) {
    static writing w;
    w = (writing){.call = call, .topic = cli_value(call, "topic"), .partition = -1};
    if (!w.topic) return cli_usage(call->title, "it needs --topic TOPIC");
    return run(&w, call->arguments[0], CLI_RECORD_LINE_BYTES_MAX, replay_line, "replayed");
}

void cli_record_count_print(const cli_call *call, const char *done, int64_t records, const char *where) {
    if (call->json) {
        json_t *answer = json_object();
        json_object_set_new(answer, done, json_integer(records));
        json_object_set_new(answer, call->verb->run == cli_record_export ? "file" : "topic", json_string(where));
        json_dumpf(answer, stdout, JSON_COMPACT);
        printf("\n");
        json_decref(answer);
        return;
    }
    printf(" %s %lld record%s to %s\n", done, (long long)records, records == 1 ? "" : "s", where);
}
