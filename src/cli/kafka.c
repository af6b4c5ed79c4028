#include "cli/kafka.h"

#include "base/text.h"
#include "base/time.h"
#include "cli/cli.h"
#include "cli/table.h"

#include <string.h>

enum {
    PROPERTY_NAME_MAX = 128,
    CONNECT_STEP_MS = 200,  /* one try to read the list of topics */
    CONNECT_TRIES_MIN = 6,  /* localhost may first be tried on an address where nobody listens */
    DOWN_COUNT_MIN = 1,
    POLL_MS = 50,
    TOPIC_NAMES_MAX = 1000 /* among which a near one is looked for */
};

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static const struct {
    rd_kafka_resp_err_t error;
    weir_code code;
    const char *sentence;
} meanings[] = {
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, WEIR_UNSUPPORTED, "the broker does not offer this request"},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, WEIR_UNSUPPORTED, "the broker does not offer this request"},
    {RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, WEIR_EXISTS, "it exists; weir topic describe shows it"},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, WEIR_NOT_FOUND, "it does not exist; weir topic list shows what there is"},
    {RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND, WEIR_NOT_FOUND, "it does not exist; weir group list shows what there is"},
    {RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP, WEIR_BUSY, "the group has members; stop them first"},
    {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, WEIR_BUSY, "the group has members; stop them first"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, WEIR_REFUSED, "this user may not do that to the topic"},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, WEIR_REFUSED, "this user may not do that to the group"},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, WEIR_INVALID,
     "the record is larger than the topic's max.message.bytes or --set message.max.bytes allow"},
    {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, WEIR_OUT_OF_RANGE,
     "the offset is outside what is kept; weir topic offsets shows what is"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, WEIR_TIMEOUT, "no answer in time; --timeout allows more"},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, WEIR_TIMEOUT, "no acknowledgement in time; --timeout allows more"},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, WEIR_TIMEOUT, "the broker was not done in time; --timeout allows more"},
};

weir_status cli_kafka_error(const cli_kafka *kafka, rd_kafka_resp_err_t error, const char *detail, const char *format,
                            ...) {
    (void)kafka;
    char what[CLI_REASON_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    const char *name = rd_kafka_err2name(error);
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (meanings[i].error != error) continue;
        if (error == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) name = "UNSUPPORTED_VERSION";
        return weir_fail(meanings[i].code, "%s: %s (%s)", what, meanings[i].sentence, name);
    }
    return weir_fail(WEIR_INVALID, "%s: %s (%s)", what, detail && *detail ? detail : rd_kafka_err2str(error), name);
}

static void on_error(rd_kafka_t *handle, int error, const char *reason, void *opaque) {
    (void)handle;
    cli_kafka *kafka = opaque;
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) kafka->down_count++;
    else snprintf(kafka->reason, sizeof kafka->reason, "%s", reason);
}

static void on_log(const rd_kafka_t *handle, int level, const char *facility, const char *text) {
    (void)level;
    const cli_kafka *kafka = rd_kafka_opaque(handle);
    if (kafka && kafka->traced) fprintf(stderr, "%s: %s\n", facility, text);
}

static weir_status no_broker(const cli_kafka *kafka) {
    return weir_fail(WEIR_CLOSED,
                     "no broker answers at %s%s%s; is a server running there (weir server --kafka), and is "
                     "--bootstrap right?",
                     kafka->call->bootstrap, kafka->reason[0] ? ": " : "", kafka->reason);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static weir_status set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char problem[CLI_REASON_MAX];
    if (rd_kafka_conf_set(conf, name, value, problem, sizeof problem) == RD_KAFKA_CONF_OK) return weir_ok();
    return weir_fail(WEIR_INVALID, "--set %s=%s: %s", name, value, problem);
}

static weir_status configure(cli_kafka *kafka, rd_kafka_conf_t *conf, const cli_property *properties) {
    WEIR_TRY(set(conf, "bootstrap.servers", kafka->call->bootstrap));
    WEIR_TRY(set(conf, "client.id", "weir-cli"));
    WEIR_TRY(set(conf, "reconnect.backoff.max.ms", "500"));
    for (; properties && properties->name; properties++) WEIR_TRY(set(conf, properties->name, properties->value));
    unsigned at = 0;
    const char *text, *value;
    while ((text = cli_value_next(kafka->call, "set", &at))) {
        char name[PROPERTY_NAME_MAX];
        if (!cli_pair_split(text, name, sizeof name, &value))
            return weir_fail(WEIR_INVALID, "--set '%s' is not NAME=VALUE", text);
        WEIR_TRY(set(conf, name, value));
        kafka->traced |= strcmp(name, "debug") == 0;
    }
    return weir_ok();
}

static weir_status read_topics(cli_kafka *kafka, int tries_min) {
    int waited_ms = 0;
    rd_kafka_resp_err_t error;
    kafka->down_count = 0;
    for (int tries = 0;; tries++) {
        const int left_ms = kafka->call->timeout_ms - waited_ms;
        const int step_ms = kafka->down_count || tries < tries_min ? CONNECT_STEP_MS : left_ms;
        error = rd_kafka_metadata(kafka->handle, 1, NULL, &kafka->metadata, step_ms < left_ms ? step_ms : left_ms);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return weir_ok();
        kafka->metadata = NULL;
        rd_kafka_poll(kafka->handle, 0);
        waited_ms += step_ms;
        if (waited_ms >= kafka->call->timeout_ms) break;
        if (kafka->down_count >= DOWN_COUNT_MIN && tries >= tries_min) break;
    }
    if (error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__TIMED_OUT) return no_broker(kafka);
    return cli_kafka_error(kafka, error, NULL, "reading the list of topics from %s", kafka->call->bootstrap);
}

weir_status cli_kafka_open(cli_kafka *kafka, cli_call *call, rd_kafka_type_t type, const cli_property *properties,
                           void (*delivered)(rd_kafka_t *, const rd_kafka_message_t *, void *)) {
    *kafka = (cli_kafka){.call = call};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, kafka);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (delivered) rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    weir_status status = configure(kafka, conf, properties);
    char problem[CLI_REASON_MAX];
    if (!weir_failed(status) && !(kafka->handle = rd_kafka_new(type, conf, problem, sizeof problem)))
        status = weir_fail(WEIR_INVALID, "the client does not start: %s", problem);
    if (weir_failed(status)) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    kafka->queue = rd_kafka_queue_new(kafka->handle);
    status = read_topics(kafka, CONNECT_TRIES_MIN);
    if (weir_failed(status)) cli_kafka_close(kafka);
    return status;
}

void cli_kafka_close(cli_kafka *kafka) {
    if (kafka->metadata) rd_kafka_metadata_destroy(kafka->metadata);
    if (kafka->queue) rd_kafka_queue_destroy(kafka->queue);
    if (kafka->handle) rd_kafka_destroy(kafka->handle);
    kafka->metadata = NULL;
    kafka->queue = NULL;
    kafka->handle = NULL;
}

int cli_kafka_run(cli_call *call, weir_status (*body)(cli_kafka *kafka)) {
    cli_kafka kafka;
    weir_status status = cli_kafka_open(&kafka, call, RD_KAFKA_PRODUCER, NULL, NULL);
    if (!weir_failed(status)) {
        status = body(&kafka);
        cli_kafka_close(&kafka);
    }
    return weir_failed(status) ? cli_fail(call->title, status) : 0;
}

weir_status cli_kafka_refresh(cli_kafka *kafka) {
    if (kafka->metadata) rd_kafka_metadata_destroy(kafka->metadata);
    return read_topics(kafka, 0);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

rd_kafka_AdminOptions_t *cli_kafka_options(cli_kafka *kafka, rd_kafka_admin_op_t operation) {
    char problem[CLI_REASON_MAX];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(kafka->handle, operation);
    rd_kafka_AdminOptions_set_request_timeout(options, kafka->call->timeout_ms, problem, sizeof problem);
    return options;
}

weir_status cli_kafka_wait(cli_kafka *kafka, rd_kafka_AdminOptions_t *options, rd_kafka_event_t **event,
                           const char *what) {
    *event = NULL;
    /* librdkafka ends the request itself at its time-out; the margin is for its answer to arrive. */
    for (int waited_ms = 0; !*event && waited_ms < kafka->call->timeout_ms + 2000; waited_ms += POLL_MS) {
        *event = rd_kafka_queue_poll(kafka->queue, POLL_MS);
        rd_kafka_poll(kafka->handle, 0);
    }
    rd_kafka_AdminOptions_destroy(options);
    if (!*event) return cli_kafka_error(kafka, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, "%s", what);
    const rd_kafka_resp_err_t error = rd_kafka_event_error(*event);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return weir_ok();
    const weir_status status = cli_kafka_error(kafka, error, rd_kafka_event_error_string(*event), "%s", what);
    rd_kafka_event_destroy(*event);
    *event = NULL;
    return status;
}

weir_status cli_kafka_topic(const cli_kafka *kafka, const char *name, const struct rd_kafka_metadata_topic **topic) {
    const char *names[TOPIC_NAMES_MAX];
    size_t count = 0;
    for (int i = 0; i < kafka->metadata->topic_cnt; i++) {
        *topic = &kafka->metadata->topics[i];
        if (strcmp((*topic)->topic, name) == 0) return weir_ok();
        if (count < TOPIC_NAMES_MAX) names[count++] = (*topic)->topic;
    }
    const char *near = weir_nearest(name, names, count);
    if (near) return weir_fail(WEIR_NOT_FOUND, "topic '%s' does not exist, did you mean '%s'?", name, near);
    return weir_fail(WEIR_NOT_FOUND, "topic '%s' does not exist; weir topic create %s makes it", name, name);
}

weir_status cli_kafka_partition(const cli_kafka *kafka, const char *name, int64_t partition) {
    const struct rd_kafka_metadata_topic *topic;
    WEIR_TRY(cli_kafka_topic(kafka, name, &topic));
    if (partition >= 0 && partition < topic->partition_cnt) return weir_ok();
    return weir_fail(WEIR_NOT_FOUND, "topic '%s' has no partition %lld, only 0 to %d", name, (long long)partition,
                     topic->partition_cnt - 1);
}

/* ---- places in a partition --------------------------------------------------------------------------------------- */

weir_status cli_position_parse(const char *text, const char *option, cli_position *position) {
    *position = (cli_position){CLI_EARLIEST, 0};
    if (strcmp(text, "earliest") == 0) return weir_ok();
    position->kind = CLI_LATEST;
    if (strcmp(text, "latest") == 0) return weir_ok();
    position->kind = CLI_TIME;
    if (weir_parse_iso(weir_bytes_text(text), &position->value)) return weir_ok();
    if (*text == '@' && weir_parse_i64(weir_bytes_text(text + 1), &position->value) && position->value >= 0)
        return weir_ok();
    position->kind = *text == '-' ? CLI_LAST : CLI_OFFSET;
    const size_t skip = *text == '-';
    if (text[skip] >= '0' && text[skip] <= '9' && weir_parse_i64(weir_bytes_text(text + skip), &position->value))
        return weir_ok();
    return weir_fail(WEIR_INVALID, "--%s '%s' is none of " CLI_POSITION_HELP, option, text);
}

weir_status cli_kafka_ends(cli_kafka *kafka, const char *topic, int32_t partition, int64_t *low, int64_t *high) {
    const rd_kafka_resp_err_t error =
        rd_kafka_query_watermark_offsets(kafka->handle, topic, partition, low, high, kafka->call->timeout_ms);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return weir_ok();
    return cli_kafka_error(kafka, error, NULL, "asking for the offsets of %s-%d", topic, partition);
}

static weir_status offset_of_time(cli_kafka *kafka, const char *topic, int32_t partition, int64_t time_ms,
                                  int64_t *offset) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = time_ms;
    rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(kafka->handle, list, kafka->call->timeout_ms);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = list->elems[0].err;
    *offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return weir_ok();
    return cli_kafka_error(kafka, error, NULL, "asking for an offset of %s-%d by time", topic, partition);
}

weir_status cli_kafka_resolve(cli_kafka *kafka, const char *topic, int32_t partition, cli_position position,
                              int64_t *offset) {
    int64_t low, high;
    WEIR_TRY(cli_kafka_ends(kafka, topic, partition, &low, &high));
    switch (position.kind) {
    case CLI_EARLIEST: *offset = low; break;
    case CLI_LATEST: *offset = high; break;
    case CLI_LAST: *offset = high - low > position.value ? high - position.value : low; break;
    case CLI_OFFSET:
        *offset = position.value;
        if (*offset < low || *offset > high)
            return weir_fail(WEIR_OUT_OF_RANGE, "offset %lld of %s-%d is outside what is kept: %lld to %lld",
                             (long long)*offset, topic, partition, (long long)low, (long long)high);
        break;
    case CLI_TIME:
        WEIR_TRY(offset_of_time(kafka, topic, partition, position.value, offset));
        if (*offset < 0) *offset = high;
        break;
    }
    return weir_ok();
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

json_t *cli_json_text(const char *text) {
    if (!text) return json_null();
    json_t *string = json_string(text);
    if (string) return string;
    char escaped[1024];
    size_t size = 0;
    for (; *text && size + 5 < sizeof escaped; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte < 0x80) escaped[size++] = *text;
        else size += (size_t)snprintf(escaped + size, sizeof escaped - size, "\\x%02X", byte);
    }
    return json_stringn(escaped, size);
}

void cli_rows_print(cli_call *call, json_t *rows, const char *none) {
    if (call->json) {
        json_dumpf(rows, stdout, JSON_INDENT(2));
        printf("\n");
    } else if (json_array_size(rows) == 0) {
        printf(" %s\n", none);
    } else {
        cli_table_objects(&call->account, rows, stdout);
    }
    json_decref(rows);
}
