#include "wire/codec_int.h"
#include "wire/varint.h"

/* Runs in two modes: with a target it writes, without one it only counts. A tagged field is preceded by its size, so it
 * is counted first and then written; nesting keeps that to two walks a level, and tagged fields are few and small. */
typedef struct wire_encoder {
    weir_buffer *target; /* NULL = count */
    size_t size;         /* bytes so far */
    int version;
    bool flexible;
    const char *problem;
    wire_gap *gaps; /* NULL = record batches are copied */
    size_t gap_count, gap_max;
    wire_path path;
} wire_encoder;

static bool fail(wire_encoder *encoder, const char *problem) {
    encoder->problem = problem;
    return false;
}

static void put(wire_encoder *encoder, const void *data, size_t bytes) {
    encoder->size += bytes;
    weir_buffer *target = encoder->target;
    if (!target || bytes == 0) return;
    if (!target->overflowed && bytes <= target->capacity - target->size) {
        memcpy(target->data + target->size, data, bytes);
        target->size += bytes;
    } else {
        weir_buffer_append(target, data, bytes);
    }
}

static void put_be16(wire_encoder *encoder, uint16_t value) {
    uint8_t bytes[2];
    weir_write_be16(bytes, value);
    put(encoder, bytes, sizeof bytes);
}
static void put_be32(wire_encoder *encoder, uint32_t value) {
    uint8_t bytes[4];
    weir_write_be32(bytes, value);
    put(encoder, bytes, sizeof bytes);
}
static void put_be64(wire_encoder *encoder, uint64_t value) {
    uint8_t bytes[8];
    weir_write_be64(bytes, value);
    put(encoder, bytes, sizeof bytes);
}
static void put_uvarint(wire_encoder *encoder, uint32_t value) {
    uint8_t bytes[WIRE_VARINT32_MAX];
    put(encoder, bytes, (size_t)(wire_write_uvarint(bytes, value) - bytes));
}

static void put_length(wire_encoder *encoder, const wire_field *field, bool wide, int64_t length) {
    if (encoder->flexible && !field->inflexible)
        put_uvarint(encoder, (uint32_t)(length + 1));
    else if (wide)
        put_be32(encoder, (uint32_t)length);
    else
        put_be16(encoder, (uint16_t)length);
}

static bool encode_bytes(wire_encoder *encoder, const wire_field *field, const weir_bytes *value) {
    const bool is_string = field->kind == WIRE_STRING;
    if (!value->data && wire_field_null_in(field, encoder->version)) {
        put_length(encoder, field, !is_string, -1);
        return true;
    }
    if (is_string && value->size > WIRE_STRING_BYTES_MAX) return fail(encoder, "a string of more than 32767 bytes");
    if (value->size >= INT32_MAX) return fail(encoder, "more than 2 GiB of bytes");
    put_length(encoder, field, !is_string, (int64_t)value->size);
    if (field->kind != WIRE_RECORDS || !encoder->gaps) {
        put(encoder, value->data, value->size);
        return true;
    }
    if (value->size == 0) return true;
    if (encoder->gap_count == encoder->gap_max)
        return fail(encoder, "more record batches than the caller has gaps for");
    encoder->gaps[encoder->gap_count++] = (wire_gap){encoder->size, *value};
    return true;
}

static bool encode_struct(wire_encoder *encoder, const wire_struct *type, const uint8_t *source);

static bool encode_pointer(wire_encoder *encoder, const wire_field *field, const void *source) {
    const int8_t present = source ? 1 : -1;
    if (!source && !wire_field_null_in(field, encoder->version)) {
        return fail(encoder, "null, which this version does not allow");
    }
    put(encoder, &present, 1);
    return !source || encode_struct(encoder, field->type, source);
}

static bool encode_value(wire_encoder *encoder, const wire_field *field, const void *source) {
    switch ((wire_kind)field->kind) {
    case WIRE_BOOL: put(encoder, *(const bool *)source ? "\1" : "\0", 1); return true;
    case WIRE_INT8: put(encoder, source, 1); return true;
    case WIRE_INT16:
    case WIRE_UINT16: put_be16(encoder, *(const uint16_t *)source); return true;
    case WIRE_INT32: put_be32(encoder, *(const uint32_t *)source); return true;
    case WIRE_INT64:
    case WIRE_FLOAT64: {
        uint64_t bits;
        memcpy(&bits, source, sizeof bits);
        put_be64(encoder, bits);
        return true;
    }
    case WIRE_UUID: put(encoder, source, sizeof(wire_uuid)); return true;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS: return encode_bytes(encoder, field, source);
    case WIRE_STRUCT:
        if (field->pointer) return encode_pointer(encoder, field, *(void *const *)source);
        return encode_struct(encoder, field->type, source);
    }
    return fail(encoder, "a kind that the table does not know");
}

static bool encode_array(wire_encoder *encoder, const wire_field *field, const wire_array *array) {
    if (array->count < 0) {
        if (!wire_field_null_in(field, encoder->version))
            return fail(encoder, "null, which this version does not allow");
        put_length(encoder, field, true, -1);
        return true;
    }
    put_length(encoder, field, true, array->count);
    const size_t item_bytes = wire_field_item_bytes(field);
    const uint8_t *item = array->items;
    wire_place *place = wire_path_top(&encoder->path);
    for (int32_t i = 0; i < array->count; i++, item += item_bytes) {
        place->index = i;
        if (!encode_value(encoder, field, item)) return false;
    }
    place->index = -1;
    return true;
}

static bool encode_field(wire_encoder *encoder, const wire_field *field, const uint8_t *source) {
    *wire_path_top(&encoder->path) = (wire_place){field, -1};
    if (field->array) return encode_array(encoder, field, (const wire_array *)(const void *)(source + field->offset));
    return encode_value(encoder, field, source + field->offset);
}

static bool is_tagged_now(const wire_encoder *encoder, const wire_field *field, const uint8_t *source) {
    return wire_field_tagged_in(field, encoder->version) && !wire_field_is_default(field, source);
}

static bool encode_tagged(wire_encoder *encoder, const wire_struct *type, const uint8_t *source) {
    uint32_t count = 0;
    for (uint16_t i = 0; i < type->field_count; i++) count += is_tagged_now(encoder, &type->fields[i], source);
    put_uvarint(encoder, count);
    for (uint16_t i = 0; count > 0 && i < type->field_count; i++) {
        const wire_field *field = &type->fields[i];
        if (!is_tagged_now(encoder, field, source)) continue;
        wire_encoder counting = *encoder;
        counting.target = NULL;
        counting.size = 0;
        counting.gaps = NULL; /* counted as if copied: no tagged field holds record batches */
        if (!encode_field(&counting, field, source)) {
            encoder->path = counting.path;
            return fail(encoder, counting.problem);
        }
        put_uvarint(encoder, (uint32_t)field->tag);
        put_uvarint(encoder, (uint32_t)counting.size);
        if (!encode_field(encoder, field, source)) return false;
    }
    return true;
}

static bool encode_struct(wire_encoder *encoder, const wire_struct *type, const uint8_t *source) {
    wire_path_push(&encoder->path, NULL);
    for (uint16_t i = 0; i < type->field_count; i++) {
        const wire_field *field = &type->fields[i];
        if (wire_field_in(field, encoder->version)) {
            if (wire_field_tagged_in(field, encoder->version)) continue;
            if (!encode_field(encoder, field, source)) return false;
        } else if (!field->ignorable && !wire_field_is_default(field, source)) {
            *wire_path_top(&encoder->path) = (wire_place){field, -1};
            return fail(encoder, "is set, but this version has no such field");
        }
    }
    if (encoder->flexible && !encode_tagged(encoder, type, source)) return false;
    encoder->path.depth--;
    return true;
}

static weir_status encode(wire_encoder *encoder, wire_message_id id, int version, const void *source) {
    const wire_message *message = &wire_messages[id];
    WEIR_TRY(wire_check_version(message, version));
    encoder->version = version;
    encoder->flexible = version >= message->flexible;
    weir_buffer *target = encoder->target;
    const size_t start = target ? target->size : 0;
    if (!encode_struct(encoder, message->body, source)) {
        char place[256];
        wire_path_text(&encoder->path, place, sizeof place);
        if (target) target->size = start;
        return weir_fail(WEIR_INVALID, "%s v%d field %s: %s", message->name, version, place, encoder->problem);
    }
    if (!target || !target->overflowed) return weir_ok();
    target->size = start;
    return weir_fail(WEIR_NO_MEMORY, "%s v%d: no room for its %zu bytes in a buffer of at most %zu", message->name,
                     version, encoder->size, target->max_bytes);
}

weir_status wire_encode(wire_message_id id, int version, const void *source, weir_buffer *target) {
    wire_encoder encoder = {.target = target};
    return encode(&encoder, id, version, source);
}

weir_status wire_encode_gaps(wire_message_id id, int version, const void *source, weir_buffer *target, wire_gap *gaps,
                             size_t gap_max, size_t *gap_count) {
    wire_encoder encoder = {.target = target, .gaps = gaps, .gap_max = gap_max};
    WEIR_TRY(encode(&encoder, id, version, source));
    *gap_count = encoder.gap_count;
    return weir_ok();
}

weir_status wire_size(wire_message_id id, int version, const void *source, size_t *size_bytes) {
    wire_encoder encoder = {.target = NULL};
    WEIR_TRY(encode(&encoder, id, version, source));
    *size_bytes = encoder.size;
    return weir_ok();
}
