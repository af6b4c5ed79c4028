/* cli/record_read - weir record consume, search and export: one loop that reads records, three things done with them.
 *
 * Without a group partitions are read by librdkafka's simple consumer, which leaves no trace on the cluster: each from
 * its place to the end that it had at the start (--follow: for ever). With a group the records are committed once they
 * are printed. */
#include "cli/cli.h"
#include "cli/kafka.h"
#include "cli/lines.h"
#include "cli/record.h"
#include "cli/record_commands.h"

#include <regex.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 100, PATTERNS_MAX = 16, HEADER_NAME_MAX = 256 };

typedef struct pattern {
    char kind; /* 'k' key, 'v' value, 'h' header */
    char name[HEADER_NAME_MAX]; /* of the header; "" = any */
    const char *text;           /* NULL: the header need only exist */
    regex_t regex;
    bool is_regex;
} pattern;

typedef struct reading {
    cli_call *call;
    cli_kafka kafka;
    const char *topic, *format;
    FILE *target;
    pattern patterns[PATTERNS_MAX];
    size_t pattern_count;
    int64_t limit, seen; /* limit -1 = none; seen counts what was printed */
    bool follow, in_group;
    int32_t first, last; /* partitions */
    struct {
        int64_t end;
        bool done;
    } *partitions; /* by partition - first */
    int32_t open_count;
    int idle_ms;
} reading;

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number) {
    (void)signal_number;
    interrupted = 1;
}

/* ---- matching ---------------------------------------------------------------------------------------------------- */

static bool text_matches(const pattern *p, const void *data, size_t size) {
    if (!data) return false;
    if (!p->text) return true;
    if (!p->is_regex) return memmem(data, size, p->text, strlen(p->text)) != NULL;
    return re_search((regex_t *)&p->regex, data, (int)size, 0, (regoff_t)size, NULL) >= 0;
}

static bool header_matches(const pattern *p, const rd_kafka_message_t *message) {
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        if (strcmp(name, p->name) != 0) continue;
        if (!p->text || text_matches(p, value, size)) return true;
    }
    return false;
}

static bool matches(const reading *r, const rd_kafka_message_t *message) {
    for (size_t i = 0; i < r->pattern_count; i++) {
        const pattern *p = &r->patterns[i];
        if (p->kind == 'k' && !text_matches(p, message->key, message->key_len)) return false;
        if (p->kind == 'v' && !text_matches(p, message->payload, message->len)) return false;
        if (p->kind == 'h' && !header_matches(p, message)) return false;
    }
    return true;
}

static weir_status add_pattern(reading *r, char kind, const char *option, const char *value) {
    if (r->pattern_count == PATTERNS_MAX) return weir_fail(WEIR_INVALID, "more than %d patterns", PATTERNS_MAX);
    pattern *p = &r->patterns[r->pattern_count];
    p->kind = kind;
    p->text = value;
    if (kind == 'h' && !cli_pair_split(value, p->name, sizeof p->name, &p->text)) {
        if (strlen(value) >= sizeof p->name || !*value || *value == '=')
            return weir_fail(WEIR_INVALID, "--header '%s' is not NAME or NAME=TEXT", value);
        snprintf(p->name, sizeof p->name, "%s", value);
        p->text = NULL;
    }
    p->is_regex = p->text && cli_value(r->call, "regex");
    if (p->is_regex) {
        /* GNU's own calls, because values hold NUL bytes and regexec() ends at one. */
        re_set_syntax(RE_SYNTAX_POSIX_EXTENDED & ~RE_DOT_NOT_NULL);
        const char *problem = re_compile_pattern(p->text, strlen(p->text), &p->regex);
        if (problem)
            return weir_fail(WEIR_INVALID, "--%s '%s' is no regular expression: %s", option, p->text, problem);
        p->regex.newline_anchor = 0; /* ^ and $ are the ends of the field */
    }
    r->pattern_count++;
    return weir_ok();
}

static weir_status read_patterns(reading *r) {
    static const struct {
        const char *option;
        char kind;
    } kinds[] = {{"key", 'k'}, {"value", 'v'}, {"header", 'h'}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        unsigned at = 0;
        const char *value;
        while ((value = cli_value_next(r->call, kinds[i].option, &at)))
            WEIR_TRY(add_pattern(r, kinds[i].kind, kinds[i].option, value));
    }
    return weir_ok();
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static bool is_full(const reading *r) {
    return r->limit >= 0 && r->seen >= r->limit;
}

static void finish_partition(reading *r, int32_t partition) {
    if (r->follow || r->partitions[partition - r->first].done) return;
    r->partitions[partition - r->first].done = true;
    r->open_count--;
}

static void take(reading *r, const rd_kafka_message_t *message) {
    if (!matches(r, message)) return;
    cli_record_print(r->target, r->format, message);
    r->seen++;
    if (r->follow || r->in_group) fflush(r->target); /* what is committed must have been seen */
}

static weir_status read_failed(const reading *r, const rd_kafka_message_t *message) {
    return cli_kafka_error(&r->kafka, message->err, rd_kafka_message_errstr(message), "reading %s-%d", r->topic,
                           message->partition);
}

/* Nothing came for a while: only --follow may wait for ever. */
static weir_status wait_on(reading *r) {
    fflush(r->target);
    rd_kafka_poll(r->kafka.handle, 0);
    r->idle_ms += POLL_MS;
    if (r->follow || r->idle_ms < r->call->timeout_ms) return weir_ok();
    return weir_fail(WEIR_TIMEOUT, "no record and no end of '%s' for %d ms%s%s; --timeout allows more", r->topic,
                     r->call->timeout_ms, r->kafka.reason[0] ? ": " : "", r->kafka.reason);
}

static weir_status read_simple(reading *r, rd_kafka_queue_t *queue) {
    while (r->open_count > 0 && !is_full(r) && !interrupted && !ferror(r->target)) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, POLL_MS);
        weir_status status = weir_ok();
        if (!message) {
            status = wait_on(r);
        } else {
            r->idle_ms = 0;
            const bool is_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
            if (message->err && !is_end) {
                status = read_failed(r, message);
            } else if (!r->partitions[message->partition - r->first].done) {
                const int64_t end = r->partitions[message->partition - r->first].end;
                if (!is_end && (r->follow || message->offset < end)) take(r, message);
                if (is_end || message->offset >= end - 1) finish_partition(r, message->partition);
            }
            rd_kafka_message_destroy(message);
        }
        WEIR_TRY(status);
    }
    return weir_ok();
}

static weir_status begin_partition(reading *r, rd_kafka_topic_t *topic, rd_kafka_queue_t *queue, int32_t partition,
                                   cli_position from, int32_t *started) {
    int64_t low, start;
    WEIR_TRY(cli_kafka_resolve(&r->kafka, r->topic, partition, from, &start));
    WEIR_TRY(cli_kafka_ends(&r->kafka, r->topic, partition, &low, &r->partitions[partition - r->first].end));
    r->open_count++;
    if (start >= r->partitions[partition - r->first].end) finish_partition(r, partition);
    if (r->partitions[partition - r->first].done) return weir_ok();
    if (rd_kafka_consume_start_queue(topic, partition, start, queue) != 0)
        return cli_kafka_error(&r->kafka, rd_kafka_last_error(), NULL, "reading %s-%d", r->topic, partition);
    *started = partition + 1;
    return weir_ok();
}

static weir_status run_simple(reading *r, cli_position from) {
    rd_kafka_topic_t *topic = rd_kafka_topic_new(r->kafka.handle, r->topic, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(r->kafka.handle);
    const size_t count = (size_t)(r->last - r->first + 1);
    r->partitions = weir_alloc(&r->call->account, count * sizeof *r->partitions);
    weir_status status = weir_ok();
    int32_t started = r->first;
    for (int32_t p = r->first; p <= r->last && !weir_failed(status); p++)
        status = begin_partition(r, topic, queue, p, from, &started);
    if (!weir_failed(status)) status = read_simple(r, queue);
    weir_error error;
    weir_error_set(&error, status);
    for (int32_t p = r->first; p < started; p++) rd_kafka_consume_stop(topic, p); /* harmless where none began */
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    weir_free(&r->call->account, r->partitions);
    return weir_error_status(&error);
}

/* True once every partition that the group gave this member is at its end. */
static bool all_at_end(reading *r, const rd_kafka_topic_partition_list_t *ends) {
    rd_kafka_topic_partition_list_t *assigned;
    if (rd_kafka_assignment(r->kafka.handle, &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
    bool all = assigned->cnt > 0;
    for (int i = 0; i < assigned->cnt; i++) {
        all = all && rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)ends,
                                                        assigned->elems[i].topic, assigned->elems[i].partition);
    }
    rd_kafka_topic_partition_list_destroy(assigned);
    return all;
}

static weir_status read_group(reading *r, rd_kafka_topic_partition_list_t *ends) {
    bool ended = false;
    while (!ended && !is_full(r) && !interrupted && !ferror(r->target)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(r->kafka.handle, POLL_MS);
        weir_status status = weir_ok();
        if (!message) {
            status = wait_on(r);
        } else {
            r->idle_ms = 0;
            const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : r->topic;
            if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
                if (!rd_kafka_topic_partition_list_find(ends, topic, message->partition))
                    rd_kafka_topic_partition_list_add(ends, topic, message->partition);
                ended = !r->follow && all_at_end(r, ends);
            } else if (message->err) {
                status = read_failed(r, message);
            } else {
                rd_kafka_topic_partition_list_del(ends, topic, message->partition);
                take(r, message);
                if (!ferror(r->target)) rd_kafka_offset_store(message->rkt, message->partition, message->offset);
            }
            rd_kafka_message_destroy(message);
        }
        WEIR_TRY(status);
    }
    return weir_ok();
}

static weir_status run_group(reading *r, const char *group) {
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, r->topic, RD_KAFKA_PARTITION_UA);
    r->in_group = true;
    rd_kafka_resp_err_t error = rd_kafka_subscribe(r->kafka.handle, topics);
    weir_status status = weir_ok();
    if (error) status = cli_kafka_error(&r->kafka, error, NULL, "joining group '%s'", group);
    else status = read_group(r, ends);
    if (!weir_failed(status) && fflush(r->target) == 0) {
        error = rd_kafka_commit(r->kafka.handle, NULL, 0);
        if (error && error != RD_KAFKA_RESP_ERR__NO_OFFSET)
            status = cli_kafka_error(&r->kafka, error, NULL, "committing for group '%s'", group);
    }
    weir_error kept;
    weir_error_set(&kept, status);
    rd_kafka_consumer_close(r->kafka.handle);
    rd_kafka_topic_partition_list_destroy(topics);
    rd_kafka_topic_partition_list_destroy(ends);
    return weir_error_status(&kept);
}

/* ---- the commands ------------------------------------------------------------------------------------------------ */

static weir_status read_range(reading *r, cli_position from) {
    const struct rd_kafka_metadata_topic *topic;
    int64_t partition;
    WEIR_TRY(cli_kafka_topic(&r->kafka, r->topic, &topic));
    WEIR_TRY(cli_value_i64(r->call, "partition", -1, 0, INT32_MAX, &partition));
    r->first = 0;
    r->last = topic->partition_cnt - 1;
    if (partition >= 0) {
        WEIR_TRY(cli_kafka_partition(&r->kafka, r->topic, partition));
        r->first = r->last = (int32_t)partition;
    } else if (from.kind == CLI_OFFSET && r->last > 0) {
        return weir_fail(WEIR_INVALID, "topic '%s' has %d partitions: name the one that --from %lld means, as in "
                         "--partition 0", r->topic, r->last + 1, (long long)from.value);
    }
    return weir_ok();
}

static weir_status run_reading(reading *r) {
    const char *from_text = cli_value(r->call, "from"), *group = cli_value(r->call, "group");
    cli_position from = {0};
    if (from_text) WEIR_TRY(cli_position_parse(from_text, "from", &from));
    WEIR_TRY(cli_value_i64(r->call, "limit", -1, 1, INT64_MAX, &r->limit));
    WEIR_TRY(read_patterns(r));
    const bool latest = group && from_text && strcmp(from_text, "latest") == 0;
    const cli_property grouped[] = {{"enable.partition.eof", "true"},
                                    {"enable.auto.offset.store", "false"},
                                    {"auto.offset.reset", latest ? "latest" : "earliest"},
                                    {"group.id", group},
                                    {0}};
    const cli_property simple[] = {{"enable.partition.eof", "true"}, {"auto.offset.reset", "error"}, {0}};
    if (group && (cli_value(r->call, "partition") || (from_text && from.kind > CLI_LATEST)))
        return weir_fail(WEIR_INVALID,
                         "a group decides itself what is read: --group goes with --from earliest or latest, "
                         "and without --partition; weir group reset sets it elsewhere");
    WEIR_TRY(cli_kafka_open(&r->kafka, r->call, RD_KAFKA_CONSUMER, group ? grouped : simple, NULL));
    weir_status status = read_range(r, from);
    if (!weir_failed(status)) status = group ? run_group(r, group) : run_simple(r, from);
    weir_error error;
    weir_error_set(&error, status);
    cli_kafka_close(&r->kafka);
    return weir_error_status(&error);
}

static int run(cli_call *call, const char *format, const char *path) {
    static reading r;
    r = (reading){.call = call, .topic = call->arguments[0], .format = format, .follow = cli_value(call, "follow")};
    if (!cli_record_format_known(format))
        return cli_usage(call->title, "--format '%s' is none of %s", format, CLI_RECORD_FORMAT_HELP);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    weir_status status = cli_file_create(path, &r.target);
    if (weir_failed(status)) return cli_fail(call->title, status);
    status = run_reading(&r);
    for (size_t i = 0; i < r.pattern_count; i++) {
        if (r.patterns[i].is_regex) regfree(&r.patterns[i].regex);
    }
    const weir_status written = cli_file_finish(path, r.target);
    if (!weir_failed(status)) status = written;
    if (!weir_failed(status) && call->verb->run == cli_record_search && r.seen == 0 && !interrupted)
        status = weir_fail(WEIR_NOT_FOUND, "no record of '%s' matches", r.topic);
    if (!weir_failed(status) && call->verb->run == cli_record_export && strcmp(path, "-") != 0)
        cli_record_count_print(call, "exported", r.seen, path);
    return weir_failed(status) ? cli_fail(call->title, status) : 0;
}

int cli_record_consume(cli_call *call) {
    const char *format = cli_value(call, "format");
    return run(call, format ? format : call->json ? "json" : "text", "-");
}

int cli_record_search(cli_call *call) {
    const char *format = cli_value(call, "format");
    if (!cli_value(call, "key") && !cli_value(call, "value") && !cli_value(call, "header"))
        return cli_usage(call->title, "it needs --key, --value or --header");
    return run(call, format ? format : call->json ? "json" : "%p:%o\\t%k\\t%v\\n", "-");
}

int cli_record_export(cli_call *call) {
    return run(call, "json", call->arguments[1]);
}
