/* Records in: the case's values as bytes of their topics, and the queries that are given them. */
#include "base/text.h"
#include "data/scalar.h"
#include "probe/probe_int.h"

#include <stdio.h>

enum { JOBS_MAX = 1000000 };

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

static void write_raw(const data_json *value, weir_buffer *target) {
    if (value->kind == DATA_JSON_STRING)
        weir_buffer_append(target, value->text.data, value->text.size);
    else
        data_json_write(value, true, target);
}

static bool write_kafka(probe_run *run, const data_json *value, const data_type *type, weir_buffer *target) {
    int64_t integer = 0;
    double real = 0;
    uint8_t bytes[8];
    if (!type || type->kind == DATA_STRING || type->kind == DATA_BYTES) {
        write_raw(value, target);
        return true;
    }
    const bool is_real = type->kind == DATA_DOUBLE;
    if (is_real ? !weir_parse_f64(value->text, &real) : !weir_parse_i64(value->text, &integer))
        return probe_broken(run, "a KAFKA value that is no number: %.*s", (int)value->text.size,
                            (const char *)value->text.data);
    if (is_real) memcpy(&integer, &real, sizeof integer);
    weir_write_be64(bytes, (uint64_t)integer);
    const size_t width = data_kind_width(type->kind);
    weir_buffer_append(target, bytes + 8 - width, width);
    return true;
}

static bool encode(probe_run *run, const data_json *value, const char *format, const data_type *type,
                   weir_buffer *target) {
    if (strcmp(format, "JSON") == 0) return data_json_write(value, true, target), true;
    if (strcmp(format, "DELIMITED") == 0) return write_raw(value, target), true;
    if (strcmp(format, "NONE") == 0) return true;
    if (strcmp(format, "KAFKA") == 0) return write_kafka(run, value, type, target);
    return probe_fail(run, "UNSUPPORTED: records in format %s", format);
}

static bool part(probe_run *run, const data_json *record, const probe_topic *topic, bool is_key, weir_bytes *bytes) {
    const data_json *value = data_json_member(record, is_key ? "key" : "value");
    weir_buffer_clear(&run->text);
    *bytes = (weir_bytes){0};
    const data_json *window = is_key ? data_json_member(record, "window") : NULL;
    if (data_json_is_null(value) && data_json_is_null(window)) return true;
    const char *format = is_key ? topic->key_format : topic->value_format;
    if (strcmp(format, "NONE") == 0) return true;
    if (!data_json_is_null(value) && !encode(run, value, format, probe_single_type(topic, is_key), &run->text))
        return false;
    if (!data_json_is_null(window)) {
        const bool is_session = strcmp(data_json_text(&run->arena, window, "type", ""), "session") == 0;
        for (int i = is_session ? 0 : 1; i < 2; i++) {
            int64_t bound = 0;
            uint8_t be[8];
            const char *text = data_json_text(&run->arena, window, i ? "start" : "end", "0");
            if (!weir_parse_i64(weir_bytes_text(text), &bound)) return probe_broken(run, "a window bound %s", text);
            weir_write_be64(be, (uint64_t)bound);
            weir_buffer_append(&run->text, be, sizeof be);
        }
    }
    *bytes = weir_arena_bytes_copy(&run->arena, weir_buffer_view(&run->text));
    if (!bytes->data) bytes->data = (const uint8_t *)"";
    return true;
}

static void put_varint(weir_buffer *target, int64_t value) {
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    for (; zigzag >= 0x80; zigzag >>= 7) weir_buffer_append_byte(target, (uint8_t)(zigzag | 0x80));
    weir_buffer_append_byte(target, (uint8_t)zigzag);
}

static weir_bytes headers(probe_run *run, const data_json *record) {
    const data_json *list = data_json_member(record, "headers");
    weir_buffer_clear(&run->text);
    put_varint(&run->text, list ? list->count : 0);
    for (uint32_t i = 0; list && i < list->count; i++) {
        const char *key = data_json_text(&run->arena, &list->items[i], "key", "");
        const data_json *value = data_json_member(&list->items[i], "value");
        put_varint(&run->text, (int64_t)strlen(key));
        weir_buffer_append_text(&run->text, key);
        if (data_json_is_null(value)) {
            put_varint(&run->text, -1);
            continue;
        }
        uint8_t *bytes = weir_arena_alloc(&run->arena, value->text.size + 4);
        size_t size = 0;
        if (!data_base64_decode(value->text, bytes, &size)) size = 0;
        put_varint(&run->text, (int64_t)size);
        weir_buffer_append(&run->text, bytes, size);
    }
    return weir_arena_bytes_copy(&run->arena, weir_buffer_view(&run->text));
}

bool probe_inputs_append(probe_run *run) {
    const data_json *inputs = data_json_member(run->test->body, "inputs");
    for (uint32_t i = 0; inputs && i < inputs->count; i++) {
        const data_json *record = &inputs->items[i];
        const char *name = data_json_text(&run->arena, record, "topic", "");
        const probe_topic topic = probe_topic_of(run, name);
        bus_row row = {0};
        if (!part(run, record, &topic, true, &row.key) || !part(run, record, &topic, false, &row.value)) return false;
        row.headers = headers(run, record);
        const char *timestamp = data_json_text(&run->arena, record, "timestamp", "0");
        if (!weir_parse_i64(weir_bytes_text(timestamp), &row.timestamp_ms))
            return probe_broken(run, "input %u has the timestamp %s", i, timestamp);
        bus_memory_append(run->memory, name, &row);
    }
    return true;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

enum { TOPICS_MAX = 16 };

typedef struct feeding {
    probe_run *run;
    flow_query *query;
    const char *topics[TOPICS_MAX]; /* that the query reads */
    int64_t visible[TOPICS_MAX];    /* records of each that were let through */
    uint32_t topic_count;
    flow_state state;
} feeding;

static void told_state(void *arg, flow_query *query, flow_state state) {
    (void)query;
    ((feeding *)arg)->state = state;
}

static void find_topics(feeding *f, const flow_node *node) {
    for (; node; node = node->input) {
        if (node->kind == FLOW_SOURCE && f->topic_count < TOPICS_MAX)
            f->topics[f->topic_count++] = node->source.topic.name;
    }
}

static bool quiesce(feeding *f) {
    if (!io_single_run(f->run->single, JOBS_MAX)) return probe_fail(f->run, "the query never comes to rest");
    if (f->state != FLOW_FAILED) return true;
    flow_query_stats stats;
    flow_query_stats_get(f->query, &stats);
    return probe_fail(f->run, "the query failed: %s", stats.last_error.text);
}

static bool let_through(feeding *f) {
    for (uint32_t i = 0; i < f->topic_count; i++) bus_memory_limit(f->run->memory, f->topics[i], f->visible[i]);
    return quiesce(f);
}

static int32_t place_of(const feeding *f, const char *topic) {
    for (uint32_t i = 0; i < f->topic_count; i++) {
        if (strcmp(f->topics[i], topic) == 0) return (int32_t)i;
    }
    return -1;
}

/* Whether a step ends between a record of topic `before` and the next one, of topic `next`. */
static bool cut_here(const feeding *f, uint64_t *state, int32_t before, int32_t next) {
    switch (f->run->options->batching) {
    case PROBE_ONE: return true;
    case PROBE_RUNS: return before != next;
    case PROBE_MIXED: return false;
    case PROBE_RANDOM: break;
    }
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 63;
}

static bool feed(feeding *f) {
    const data_json *inputs = data_json_member(f->run->test->body, "inputs");
    uint64_t state = f->run->options->seed;
    int32_t before = -1;
    int64_t logged[TOPICS_MAX];
    bool given[TOPICS_MAX] = {0};
    for (uint32_t i = 0; i < f->topic_count; i++) logged[i] = bus_memory_count(f->run->memory, f->topics[i]);
    for (uint32_t i = 0; inputs && i < inputs->count; i++) {
        const int32_t at = place_of(f, data_json_text(&f->run->arena, &inputs->items[i], "topic", ""));
        if (at < 0) continue;
        if (before >= 0 && cut_here(f, &state, before, at) && !let_through(f)) return false;
        given[at] = true;
        f->visible[at]++;
        before = at;
    }
    if (!let_through(f)) return false;
    for (uint32_t i = 0; i < f->topic_count; i++) { /* what earlier statements and queries wrote */
        while (!given[i] && f->visible[i] < logged[i]) {
            do f->visible[i]++;
            while (f->visible[i] < logged[i] && !cut_here(f, &state, (int32_t)i, (int32_t)i));
            if (!let_through(f)) return false;
        }
    }
    return true;
}

static bool run_query(probe_run *run, const probe_query *query) {
    feeding f = {.run = run};
    const flow_runtime runtime = {
        .world = io_single_world(run->single), .bus = bus_memory_bus(run->memory), .owner = NULL};
    const flow_query_events events = {.on_state = told_state, .arg = &f};
    flow_runtime owned = runtime;
    io_executor *executor = io_single_world(run->single)->executor;
    owned.owner = io_lane_create(executor, IO_LANE_LOOP, "probe");
    find_topics(&f, query->topology->root);
    for (uint32_t i = 0; i < f.topic_count; i++) {
        bus_memory_topic(run->memory, f.topics[i], 4);
        bus_memory_limit(run->memory, f.topics[i], 0);
    }
    f.query = flow_query_start(&owned, query->topology, &events);
    const bool ok = quiesce(&f) && feed(&f);
    flow_query_stop(f.query);
    const bool stopped = io_single_run(run->single, JOBS_MAX);
    weir_assert(stopped && (f.state == FLOW_STOPPED || f.state == FLOW_FAILED));
    flow_query_free(f.query);
    io_lane_destroy(executor, owned.owner);
    for (uint32_t i = 0; i < f.topic_count; i++) bus_memory_limit(run->memory, f.topics[i], INT64_MAX);
    return ok;
}

bool probe_queries_run(probe_run *run) {
    for (uint32_t i = 0; i < run->query_count; i++) {
        if (!run_query(run, &run->queries[i])) return false;
    }
    return true;
}
