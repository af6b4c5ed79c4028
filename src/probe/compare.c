/* Records out: what a topic holds against what the case expects, record by record. */
#include "base/text.h"
#include "data/scalar.h"
#include "probe/probe_int.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

typedef struct comparison {
    probe_run *run;
    const probe_topic *topic;
    bool by_value; /* JSON fractions compare as doubles */
} comparison;

static bool same_number(const comparison *c, weir_bytes wanted, weir_bytes got) {
    data_number a, b;
    if (!data_number_read(wanted, &a) || !data_number_read(got, &b)) return weir_bytes_equal(wanted, got);
    const bool is_whole = !memchr(got.data, '.', got.size) && !memchr(got.data, 'E', got.size);
    if (is_whole) {
        data_number_truncate(&a);
        return data_number_equal(&a, &b);
    }
    double x, y;
    if (c->by_value && weir_parse_f64(wanted, &x) && weir_parse_f64(got, &y)) return fabs(x - y) < 1e-6;
    return data_number_equal(&a, &b);
}

static const data_json *member_like(const data_json *object, weir_bytes name) {
    char upper[SQL_NAME_BYTES_MAX + 1];
    for (uint32_t i = 0; i < object->count; i++) {
        if (weir_bytes_equal(object->names[i], name)) return &object->items[i];
    }
    if (name.size >= sizeof upper) return NULL;
    for (size_t i = 0; i < name.size; i++) upper[i] = (char)toupper(name.data[i]);
    for (uint32_t i = 0; i < object->count; i++) {
        if (weir_bytes_equal(object->names[i], weir_bytes_of(upper, name.size))) return &object->items[i];
    }
    return NULL;
}

static bool same(const comparison *c, const data_json *wanted, const data_json *got) {
    if (data_json_is_null(wanted)) return data_json_is_null(got);
    if (!got) return false;
    if (wanted->kind == DATA_JSON_STRING && got->kind == DATA_JSON_NUMBER)
        return same_number(c, wanted->text, got->text);
    if (wanted->kind != got->kind) return false;
    switch (wanted->kind) {
    case DATA_JSON_BOOLEAN: return wanted->boolean == got->boolean;
    case DATA_JSON_NUMBER: return same_number(c, wanted->text, got->text);
    case DATA_JSON_STRING: return weir_bytes_equal(wanted->text, got->text);
    default: break;
    }
    if (wanted->count != got->count) return false;
    for (uint32_t i = 0; i < wanted->count; i++) {
        const data_json *item = wanted->kind == DATA_JSON_ARRAY ? &got->items[i] : member_like(got, wanted->names[i]);
        if (!item && !data_json_is_null(&wanted->items[i])) return false;
        if (!same(c, &wanted->items[i], item)) return false;
    }
    return true;
}

/* ---- formats ----------------------------------------------------------------------------------------------------- */

static bool same_kafka(const data_type *type, const data_json *wanted, weir_bytes got) {
    int64_t integer;
    double real, want_real;
    if (!type || type->kind == DATA_STRING || type->kind == DATA_BYTES)
        return wanted->kind == DATA_JSON_STRING && weir_bytes_equal(wanted->text, got);
    if (got.size != data_kind_width(type->kind)) return false;
    integer = got.size == 4 ? (int32_t)weir_read_be32(got.data) : (int64_t)weir_read_be64(got.data);
    if (type->kind == DATA_DOUBLE) {
        memcpy(&real, &integer, sizeof real);
        return weir_parse_f64(wanted->text, &want_real) && fabs(real - want_real) < 1e-6;
    }
    data_number number, actual;
    char text[WEIR_I64_TEXT_MAX];
    const size_t size = weir_format_i64(text, integer);
    if (!data_number_read(wanted->text, &number) || !data_number_read(weir_bytes_of(text, size), &actual))
        return false;
    data_number_truncate(&number);
    return data_number_equal(&number, &actual);
}

static bool same_bytes(const comparison *c, bool is_key, const data_json *wanted, weir_bytes got) {
    const char *format = is_key ? c->topic->key_format : c->topic->value_format;
    if (data_json_is_null(wanted) || strcmp(format, "NONE") == 0) return data_json_is_null(wanted) && !got.data;
    if (!got.data) return false;
    if (strcmp(format, "JSON") == 0) {
        const data_json *value;
        return !weir_failed(data_json_read(&c->run->arena, got, &value)) && same(c, wanted, value);
    }
    if (strcmp(format, "KAFKA") == 0) return same_kafka(probe_single_type(c->topic, is_key), wanted, got);
    weir_buffer_clear(&c->run->text);
    if (wanted->kind != DATA_JSON_STRING) data_json_write(wanted, false, &c->run->text);
    return weir_bytes_equal(wanted->kind == DATA_JSON_STRING ? wanted->text : weir_buffer_view(&c->run->text), got);
}

/* ---- keys of windows, headers ------------------------------------------------------------------------------------ */

static bool same_window(const comparison *c, const data_json *wanted, weir_bytes *key) {
    const size_t size = probe_window_bytes(c->topic);
    if (data_json_is_null(wanted)) return size == 0;
    if (size == 0 || key->size < size) return false;
    const int64_t start = (int64_t)weir_read_be64(key->data + key->size - size);
    const int64_t end = start + c->topic->source->window_size_ms;
    int64_t want_start = 0, want_end = 0;
    key->size -= size;
    return weir_parse_i64(weir_bytes_text(data_json_text(&c->run->arena, wanted, "start", "")), &want_start) &&
           weir_parse_i64(weir_bytes_text(data_json_text(&c->run->arena, wanted, "end", "")), &want_end) &&
           want_start == start && want_end == end;
}

static bool take_varint(weir_bytes *from, int64_t *value) {
    uint64_t zigzag = 0;
    for (unsigned shift = 0; from->size && shift < 64; shift += 7) {
        const uint8_t byte = *from->data++;
        from->size--;
        zigzag |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
            return true;
        }
    }
    return false;
}

static bool take_bytes(weir_bytes *from, weir_bytes *taken) {
    int64_t size;
    *taken = (weir_bytes){0};
    if (!take_varint(from, &size) || size > (int64_t)from->size) return false;
    if (size < 0) return true;
    *taken = (weir_bytes){from->data, (size_t)size};
    from->data += size;
    from->size -= (size_t)size;
    return true;
}

static bool same_headers(const comparison *c, const data_json *wanted, weir_bytes got) {
    int64_t count = 0;
    if (got.size && !take_varint(&got, &count)) return false;
    const uint32_t wanted_count = data_json_is_null(wanted) ? 0 : wanted->count;
    if (count != wanted_count) return false;
    for (uint32_t i = 0; i < wanted_count; i++) {
        weir_bytes key, value;
        if (!take_bytes(&got, &key) || !take_bytes(&got, &value)) return false;
        if (!weir_bytes_equal_text(key, data_json_text(&c->run->arena, &wanted->items[i], "key", ""))) return false;
        const data_json *text = data_json_member(&wanted->items[i], "value");
        if (data_json_is_null(text) != (value.data == NULL)) return false;
        if (!value.data) continue;
        char *encoded = weir_arena_alloc(&c->run->arena, data_base64_encoded_bytes(value.size) + 1);
        data_base64_encode(value, encoded);
        if (!weir_bytes_equal(text->text, weir_bytes_of(encoded, data_base64_encoded_bytes(value.size)))) return false;
    }
    return true;
}

/* ---- topics ------------------------------------------------------------------------------------------------------ */

static const char *shown(probe_run *run, weir_bytes bytes) {
    weir_buffer text;
    weir_buffer_init(&text, &run->account, 1024);
    if (!bytes.data) weir_buffer_append_text(&text, "null");
    for (size_t i = 0; i < bytes.size && i < 300; i++) {
        if (bytes.data[i] >= 0x20 && bytes.data[i] < 0x7F)
            weir_buffer_append_byte(&text, bytes.data[i]);
        else
            weir_buffer_format(&text, "\\x%02x", bytes.data[i]);
    }
    const char *kept = weir_arena_text_copy(&run->arena, weir_buffer_text(&text));
    weir_buffer_deinit(&text);
    return kept;
}

static bool differ(const comparison *c, uint32_t at, const char *what, const data_json *wanted, const bus_row *row) {
    weir_buffer_clear(&c->run->text);
    data_json_write(wanted, false, &c->run->text);
    return probe_fail(c->run, "record %u differs in its %s: expected %.700s; got key %s value %s at %lld", at, what,
                      weir_buffer_text(&c->run->text), shown(c->run, row->key), shown(c->run, row->value),
                      (long long)row->timestamp_ms);
}

static bool compare_record(const comparison *c, uint32_t at, const data_json *wanted, const bus_row *row) {
    weir_bytes key = row->key;
    const char *time = data_json_text(&c->run->arena, wanted, "timestamp", NULL);
    const data_json *inputs = data_json_member(c->run->test->body, "inputs");
    const bool any_zero = !inputs || inputs->count == 0;
    int64_t timestamp;
    if (!same_window(c, data_json_member(wanted, "window"), &key)) return differ(c, at, "window", wanted, row);
    if (!same_bytes(c, true, data_json_member(wanted, "key"), key)) return differ(c, at, "key", wanted, row);
    if (!same_bytes(c, false, data_json_member(wanted, "value"), row->value))
        return differ(c, at, "value", wanted, row);
    if (time && weir_parse_i64(weir_bytes_text(time), &timestamp) && timestamp != row->timestamp_ms &&
        !(any_zero && timestamp == 0))
        return differ(c, at, "timestamp", wanted, row);
    if (!same_headers(c, data_json_member(wanted, "headers"), row->headers))
        return differ(c, at, "headers", wanted, row);
    return true;
}

static bool compare_topic(probe_run *run, const char *name, const data_json *outputs) {
    const probe_topic topic = probe_topic_of(run, name);
    comparison c = {.run = run, .topic = &topic};
    for (size_t i = 0; i < run->property_count; i++) {
        if (strcmp(run->properties[i].name, "use.exact.numeric.comparison") == 0)
            c.by_value = strcmp(run->properties[i].value, "false") == 0;
    }
    const int64_t count = bus_memory_count(run->memory, name);
    uint32_t at = 0;
    for (uint32_t i = 0; i < outputs->count; i++) {
        if (strcmp(data_json_text(&run->arena, &outputs->items[i], "topic", ""), name) != 0) continue;
        if (at == count)
            return probe_fail(run, "topic %s has %lld records, more are expected", name, (long long)count);
        const bus_row row = bus_memory_row(run->memory, name, at);
        if (!compare_record(&c, at, &outputs->items[i], &row)) return false;
        at++;
    }
    if (at == count) return true;
    const bus_row row = bus_memory_row(run->memory, name, at);
    return probe_fail(run, "topic %s has %lld records, %u are expected; the next is key %s value %s", name,
                      (long long)count, at, shown(run, row.key), shown(run, row.value));
}

bool probe_outputs_compare(probe_run *run) {
    const data_json *outputs = data_json_member(run->test->body, "outputs");
    for (uint32_t i = 0; outputs && i < outputs->count; i++) {
        const char *name = data_json_text(&run->arena, &outputs->items[i], "topic", "");
        bool seen = false;
        for (uint32_t j = 0; j < i && !seen; j++)
            seen = strcmp(data_json_text(&run->arena, &outputs->items[j], "topic", ""), name) == 0;
        if (!seen && !compare_topic(run, name, outputs)) return false;
    }
    return true;
}
