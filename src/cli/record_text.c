#include "cli/record.h"

#include "base/text.h"
#include "base/time.h"

#include <string.h>

enum { BASE64_GROUP = 3, BASE64_CODES = 4 };

static const char base64_codes[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- base64 (RFC 4648, with padding) ----------------------------------------------------------------------------- */

static json_t *base64_json(const uint8_t *data, size_t size) {
    weir_account account;
    weir_buffer text;
    weir_account_init(&account, "cli.base64", 0);
    weir_buffer_init(&text, &account, CLI_RECORD_LINE_BYTES_MAX);
    for (size_t at = 0; at < size; at += BASE64_GROUP) {
        const size_t left = size - at;
        const uint32_t group = (uint32_t)data[at] << 16 | (left > 1 ? (uint32_t)data[at + 1] << 8 : 0) |
                               (left > 2 ? data[at + 2] : 0);
        const char codes[BASE64_CODES] = {base64_codes[group >> 18], base64_codes[group >> 12 & 63],
                                          left > 1 ? base64_codes[group >> 6 & 63] : '=',
                                          left > 2 ? base64_codes[group & 63] : '='};
        weir_buffer_append(&text, codes, sizeof codes);
    }
    json_t *object = json_object();
    json_object_set_new(object, "base64", json_stringn((const char *)text.data, text.size));
    weir_buffer_deinit(&text);
    weir_account_deinit(&account);
    return object;
}

static bool base64_decode(const char *text, size_t size, weir_buffer *target) {
    if (size % BASE64_CODES != 0) return false;
    for (size_t at = 0; at < size; at += BASE64_CODES) {
        uint32_t group = 0;
        int padding = 0;
        for (size_t i = 0; i < BASE64_CODES; i++) {
            const char code = text[at + i];
            const char *found = code && code != '=' ? strchr(base64_codes, code) : NULL;
            if (code == '=' && i >= 2 && at + BASE64_CODES == size) padding++;
            else if (!found || padding) return false;
            group = group << 6 | (found ? (uint32_t)(found - base64_codes) : 0);
        }
        const uint8_t bytes[BASE64_GROUP] = {(uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group};
        weir_buffer_append(target, bytes, (size_t)(BASE64_GROUP - padding));
    }
    return !target->overflowed;
}

/* ---- to text ----------------------------------------------------------------------------------------------------- */

static json_t *bytes_json(const void *data, size_t size) {
    if (!data) return json_null();
    json_t *string = json_stringn(data, size); /* NULL when it is not UTF-8 */
    return string ? string : base64_json(data, size);
}

static json_t *headers_json(const rd_kafka_message_t *message) {
    json_t *list = json_array();
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return list;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        json_t *header = json_object();
        json_object_set_new(header, "name", bytes_json(name, strlen(name)));
        json_object_set_new(header, "value", bytes_json(value, size));
        json_array_append_new(list, header);
    }
    return list;
}

static void print_json(FILE *target, const rd_kafka_message_t *message) {
    json_t *record = json_object();
    json_object_set_new(record, "topic", json_string(rd_kafka_topic_name(message->rkt)));
    json_object_set_new(record, "partition", json_integer(message->partition));
    json_object_set_new(record, "offset", json_integer(message->offset));
    json_object_set_new(record, "timestamp", json_integer(rd_kafka_message_timestamp(message, NULL)));
    json_object_set_new(record, "key", bytes_json(message->key, message->key_len));
    json_object_set_new(record, "value", bytes_json(message->payload, message->len));
    json_object_set_new(record, "headers", headers_json(message));
    json_dumpf(record, target, JSON_COMPACT);
    fputc('\n', target);
    json_decref(record);
}

static void print_hex(FILE *target, const void *data, size_t size) {
    const uint8_t *bytes = data;
    if (!data) fputs("null", target);
    for (size_t i = 0; data && i < size; i++) fprintf(target, "%02x", bytes[i]);
}

static void print_hex_line(FILE *target, const rd_kafka_message_t *message) {
    fprintf(target, "%d:%lld key=", message->partition, (long long)message->offset);
    print_hex(target, message->key, message->key_len);
    fputs(" value=", target);
    print_hex(target, message->payload, message->len);
    fputc('\n', target);
}

static void print_bytes(FILE *target, const void *data, size_t size) {
    if (data && size) fwrite(data, 1, size, target);
}

static void print_headers(FILE *target, const rd_kafka_message_t *message) {
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        fprintf(target, "%s%s=", i ? "," : "", name);
        print_bytes(target, value, size);
    }
}

static void print_place(FILE *target, char code, const rd_kafka_message_t *message) {
    char time[WEIR_ISO_TEXT_MAX];
    const int64_t timestamp = rd_kafka_message_timestamp(message, NULL);
    switch (code) {
    case 't': fputs(rd_kafka_topic_name(message->rkt), target); break;
    case 'p': fprintf(target, "%d", message->partition); break;
    case 'o': fprintf(target, "%lld", (long long)message->offset); break;
    case 'k': print_bytes(target, message->key, message->key_len); break;
    case 'v': print_bytes(target, message->payload, message->len); break;
    case 'h': print_headers(target, message); break;
    case 'T': fprintf(target, "%lld", (long long)timestamp); break;
    case 'I': fwrite(time, 1, weir_format_iso(time, timestamp), target); break;
    case 's': fprintf(target, "%lld", message->payload ? (long long)message->len : -1LL); break;
    default: fputc(code, target); break;
    }
}

static void print_template(FILE *target, const char *format, const rd_kafka_message_t *message) {
    for (; *format; format++) {
        const char next = format[1];
        if (*format == '%' && next) {
            print_place(target, next, message);
            format++;
        } else if (*format == '\\' && next) {
            fputc(next == 'n' ? '\n' : next == 't' ? '\t' : next == '0' ? 0 : next, target);
            format++;
        } else {
            fputc(*format, target);
        }
    }
}

bool cli_record_format_known(const char *format) {
    static const char places[] = "tpokvhTIs%";
    bool has_place = false;
    for (const char *at = format; (at = strchr(at, '%')); at += 2) {
        if (!at[1] || !strchr(places, at[1])) return false;
        has_place = true;
    }
    return has_place || strcmp(format, "text") == 0 || strcmp(format, "json") == 0 || strcmp(format, "hex") == 0 ||
           strcmp(format, "raw") == 0;
}

void cli_record_print(FILE *target, const char *format, const rd_kafka_message_t *message) {
    if (strcmp(format, "json") == 0) print_json(target, message);
    else if (strcmp(format, "hex") == 0) print_hex_line(target, message);
    else if (strcmp(format, "raw") == 0) print_bytes(target, message->payload, message->len);
    else print_template(target, strcmp(format, "text") == 0 ? "%v\\n" : format, message);
}

/* ---- from text --------------------------------------------------------------------------------------------------- */

/* Null, a string or {"base64":...}. Decoded bytes are behind one another in `decoded`, which never moves: it was given
 * its whole room before. */
static bool read_bytes(cli_record *record, const json_t *value, weir_bytes *target) {
    *target = (weir_bytes){0};
    if (!value || json_is_null(value)) return true;
    if (json_is_string(value)) {
        *target = weir_bytes_of(json_string_value(value), json_string_length(value));
        return true;
    }
    const json_t *text = json_object_get(value, "base64");
    const size_t start = record->decoded.size;
    if (!json_is_string(text) || !base64_decode(json_string_value(text), json_string_length(text), &record->decoded))
        return false;
    *target = weir_bytes_of(record->decoded.data + start, record->decoded.size - start);
    return true;
}

static weir_status read_number(const json_t *json, const char *name, int64_t *value) {
    const json_t *number = json_object_get(json, name);
    *value = -1;
    if (!number || json_is_null(number)) return weir_ok();
    if (!json_is_integer(number)) return weir_fail(WEIR_INVALID, "\"%s\" is not a whole number", name);
    *value = json_integer_value(number);
    return weir_ok();
}

static weir_status read_headers(cli_record *record) {
    const json_t *list = json_object_get(record->json, "headers");
    size_t index;
    json_t *header;
    if (!list || json_is_null(list) || json_array_size(list) == 0) return weir_ok();
    record->headers = rd_kafka_headers_new(json_array_size(list));
    json_array_foreach(list, index, header) {
        weir_bytes name, value;
        if (!read_bytes(record, json_object_get(header, "name"), &name) || !name.data ||
            !read_bytes(record, json_object_get(header, "value"), &value))
            return weir_fail(WEIR_INVALID, "header %zu is not {\"name\":..., \"value\":...}", index + 1);
        if (rd_kafka_header_add(record->headers, (const char *)name.data, (ssize_t)name.size, value.data,
                                (ssize_t)value.size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            return weir_fail(WEIR_INVALID, "header %zu cannot be kept", index + 1);
    }
    return weir_ok();
}

static weir_status read_record(cli_record *record) {
    WEIR_TRY(read_number(record->json, "partition", &record->partition));
    WEIR_TRY(read_number(record->json, "timestamp", &record->timestamp));
    if (!json_object_get(record->json, "value")) return weir_fail(WEIR_INVALID, "there is no \"value\"");
    if (!read_bytes(record, json_object_get(record->json, "key"), &record->key))
        return weir_fail(WEIR_INVALID, "\"key\" is neither null, a string, nor {\"base64\":...}");
    if (!read_bytes(record, json_object_get(record->json, "value"), &record->value))
        return weir_fail(WEIR_INVALID, "\"value\" is neither null, a string, nor {\"base64\":...}");
    return read_headers(record);
}

weir_status cli_record_parse(cli_record *record, weir_account *account, weir_bytes line) {
    json_error_t error;
    *record = (cli_record){.json = json_loadb((const char *)line.data, line.size, JSON_ALLOW_NUL, &error)};
    if (!record->json) return weir_fail(WEIR_INVALID, "it is not JSON: %s", error.text);
    weir_buffer_init(&record->decoded, account, CLI_RECORD_LINE_BYTES_MAX);
    weir_status status = weir_ok();
    /* A line's base64 is longer than its bytes. */
    if (!weir_buffer_reserve(&record->decoded, line.size + 1)) status = weir_fail(WEIR_FULL, "it is too long");
    else if (!json_is_object(record->json)) status = weir_fail(WEIR_INVALID, "it is not a JSON object");
    else status = read_record(record);
    if (weir_failed(status)) cli_record_deinit(record);
    return status;
}

void cli_record_deinit(cli_record *record) {
    if (record->headers) rd_kafka_headers_destroy(record->headers);
    weir_buffer_deinit(&record->decoded);
    json_decref(record->json);
}
