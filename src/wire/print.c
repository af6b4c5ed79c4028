#include "wire/codec_int.h"

enum {
    TEXT_BYTES_SHOWN = 64, /* of one string */
    ITEMS_SHOWN = 16       /* of one array */
};

static void print_text(weir_buffer *target, const weir_bytes *text) {
    if (!text->data) {
        weir_buffer_append_text(target, "null");
        return;
    }
    const size_t shown = text->size < TEXT_BYTES_SHOWN ? text->size : TEXT_BYTES_SHOWN;
    weir_buffer_append_byte(target, '"');
    for (size_t i = 0; i < shown; i++) {
        const uint8_t byte = text->data[i];
        if (byte == '"' || byte == '\\')
            weir_buffer_format(target, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            weir_buffer_format(target, "\\x%02x", byte);
        else
            weir_buffer_append_byte(target, byte);
    }
    weir_buffer_append_text(target, shown < text->size ? "...\"" : "\"");
}

static void print_uuid(weir_buffer *target, const uint8_t *at) {
    for (int i = 0; i < 16; i++) {
        weir_buffer_format(target, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", at[i]);
    }
}

static void print_struct(weir_buffer *target, const wire_struct *type, int version, const uint8_t *source);

static void print_value(weir_buffer *target, const wire_field *field, int version, const void *source) {
    switch ((wire_kind)field->kind) {
    case WIRE_BOOL: weir_buffer_append_text(target, *(const bool *)source ? "true" : "false"); break;
    case WIRE_INT8: weir_buffer_format(target, "%d", *(const int8_t *)source); break;
    case WIRE_INT16: weir_buffer_format(target, "%d", *(const int16_t *)source); break;
    case WIRE_UINT16: weir_buffer_format(target, "%u", *(const uint16_t *)source); break;
    case WIRE_INT32: weir_buffer_format(target, "%d", *(const int32_t *)source); break;
    case WIRE_INT64: weir_buffer_format(target, "%lld", (long long)*(const int64_t *)source); break;
    case WIRE_FLOAT64: weir_buffer_format(target, "%g", *(const double *)source); break;
    case WIRE_UUID: print_uuid(target, source); break;
    case WIRE_STRING: print_text(target, source); break;
    case WIRE_BYTES:
    case WIRE_RECORDS: {
        const weir_bytes *bytes = source;
        if (bytes->data)
            weir_buffer_format(target, "<%zu bytes>", bytes->size);
        else
            weir_buffer_append_text(target, "null");
        break;
    }
    case WIRE_STRUCT: {
        const void *inner = field->pointer ? *(void *const *)source : source;
        if (inner)
            print_struct(target, field->type, version, inner);
        else
            weir_buffer_append_text(target, "null");
        break;
    }
    }
}

static void print_field(weir_buffer *target, const wire_field *field, int version, const uint8_t *source) {
    weir_buffer_format(target, "%s: ", field->name);
    const void *value = source + field->offset;
    if (!field->array) {
        print_value(target, field, version, value);
        return;
    }
    const wire_array *array = value;
    if (array->count < 0) {
        weir_buffer_append_text(target, "null");
        return;
    }
    weir_buffer_append_byte(target, '[');
    const size_t item_bytes = wire_field_item_bytes(field);
    for (int32_t i = 0; i < array->count; i++) {
        if (i == ITEMS_SHOWN) {
            weir_buffer_format(target, ", ... %d more", array->count - i);
            break;
        }
        if (i) weir_buffer_append_text(target, ", ");
        print_value(target, field, version, (const uint8_t *)array->items + item_bytes * (size_t)i);
    }
    weir_buffer_append_byte(target, ']');
}

static void print_struct(weir_buffer *target, const wire_struct *type, int version, const uint8_t *source) {
    weir_buffer_append_byte(target, '{');
    bool first = true;
    for (uint16_t i = 0; i < type->field_count; i++) {
        const wire_field *field = &type->fields[i];
        if (!wire_field_in(field, version)) continue;
        if (wire_field_tagged_in(field, version) && wire_field_is_default(field, source)) continue;
        if (!first) weir_buffer_append_text(target, ", ");
        first = false;
        print_field(target, field, version, source);
    }
    weir_buffer_append_byte(target, '}');
}

void wire_print(wire_message_id id, int version, const void *source, weir_buffer *target) {
    weir_buffer_format(target, "%s v%d ", wire_messages[id].name, version);
    print_struct(target, wire_messages[id].body, version, source);
}
