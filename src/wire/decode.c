#include "wire/codec_int.h"
#include "wire/varint.h"

/* On failure `problem` is set once and every caller returns false up to the top, which writes the sentence. */
typedef struct wire_decoder {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *field_at; /* where the current field began */
    weir_arena *arena;
    int version;
    bool flexible;
    weir_code code;
    const char *problem;
    uint64_t needed; /* with problem == problem_short */
    wire_path path;
} wire_decoder;

static const char problem_short[] = "bytes";

static bool fail(wire_decoder *decoder, const char *problem) {
    decoder->code = WEIR_CORRUPT;
    decoder->problem = problem;
    return false;
}

static size_t bytes_left(const wire_decoder *decoder) {
    return (size_t)(decoder->end - decoder->at);
}

static const uint8_t *take(wire_decoder *decoder, uint64_t bytes) {
    if (bytes > bytes_left(decoder)) {
        decoder->needed = bytes;
        fail(decoder, problem_short);
        return NULL;
    }
    const uint8_t *at = decoder->at;
    decoder->at += bytes;
    return at;
}

static bool take_uvarint(wire_decoder *decoder, uint32_t *value) {
    const uint8_t *next = wire_read_uvarint(decoder->at, decoder->end, value);
    if (!next) return fail(decoder, "a varint is cut short or longer than 32 bits");
    decoder->at = next;
    return true;
}

/* -1 is null. `wide`: four bytes where strings have two. */
static bool take_length(wire_decoder *decoder, const wire_field *field, bool wide, int64_t *length) {
    if (decoder->flexible && !field->inflexible) {
        uint32_t coded = 0;
        if (!take_uvarint(decoder, &coded)) return false;
        *length = (int64_t)coded - 1;
    } else {
        const uint8_t *at = take(decoder, wide ? 4 : 2);
        if (!at) return false;
        *length = wide ? (int32_t)weir_read_be32(at) : (int16_t)weir_read_be16(at);
        if (*length < -1) return fail(decoder, "a length below -1");
    }
    if (*length == -1 && !wire_field_null_in(field, decoder->version)) {
        return fail(decoder, "null, which this version does not allow");
    }
    return true;
}

static bool decode_bytes(wire_decoder *decoder, const wire_field *field, weir_bytes *target) {
    const bool is_string = field->kind == WIRE_STRING;
    int64_t length = 0;
    if (!take_length(decoder, field, !is_string, &length)) return false;
    if (length < 0) {
        *target = (weir_bytes){NULL, 0};
        return true;
    }
    if (is_string && length > WIRE_STRING_BYTES_MAX) return fail(decoder, "a string of more than 32767 bytes");
    const uint8_t *data = take(decoder, (uint64_t)length);
    if (!data) return false;
    *target = (weir_bytes){data, (size_t)length};
    return true;
}

static bool decode_struct(wire_decoder *decoder, const wire_struct *type, uint8_t *target);

static bool decode_pointer(wire_decoder *decoder, const wire_field *field, void **target) {
    const uint8_t *present = take(decoder, 1);
    if (!present) return false;
    if ((int8_t)*present < 0) {
        *target = NULL;
        return wire_field_null_in(field, decoder->version) || fail(decoder, "null, which this version does not allow");
    }
    *target = weir_arena_try(decoder->arena, field->type->size);
    if (!*target) {
        decoder->code = WEIR_NO_MEMORY;
        decoder->problem = "the arena is full";
        return false;
    }
    return decode_struct(decoder, field->type, *target);
}

/* A switch of one-line cases: every kind of a single value. */
static bool decode_value(wire_decoder *decoder, const wire_field *field, void *target) {
    const uint8_t *at;
    switch ((wire_kind)field->kind) {
    case WIRE_BOOL:
        if (!(at = take(decoder, 1))) return false;
        *(bool *)target = *at != 0;
        return true;
    case WIRE_INT8:
        if (!(at = take(decoder, 1))) return false;
        *(int8_t *)target = (int8_t)*at;
        return true;
    case WIRE_INT16:
    case WIRE_UINT16:
        if (!(at = take(decoder, 2))) return false;
        *(uint16_t *)target = weir_read_be16(at);
        return true;
    case WIRE_INT32:
        if (!(at = take(decoder, 4))) return false;
        *(uint32_t *)target = weir_read_be32(at);
        return true;
    case WIRE_INT64:
    case WIRE_FLOAT64: {
        if (!(at = take(decoder, 8))) return false;
        const uint64_t bits = weir_read_be64(at);
        memcpy(target, &bits, sizeof bits);
        return true;
    }
    case WIRE_UUID:
        if (!(at = take(decoder, sizeof(wire_uuid)))) return false;
        memcpy(target, at, sizeof(wire_uuid));
        return true;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS: return decode_bytes(decoder, field, target);
    case WIRE_STRUCT:
        if (field->pointer) return decode_pointer(decoder, field, target);
        return decode_struct(decoder, field->type, target);
    }
    return fail(decoder, "a kind that the table does not know");
}

/* The fewest bytes an item can take: what a count is held against before anything is allocated. */
static size_t item_bytes_min(const wire_decoder *decoder, const wire_field *field) {
    switch ((wire_kind)field->kind) {
    case WIRE_STRUCT: return field->type->bytes_min;
    case WIRE_STRING: return decoder->flexible ? 1 : 2;
    case WIRE_BYTES:
    case WIRE_RECORDS: return decoder->flexible ? 1 : 4;
    default: return wire_field_item_bytes(field);
    }
}

static bool decode_array(wire_decoder *decoder, const wire_field *field, wire_array *target) {
    int64_t count = 0;
    if (!take_length(decoder, field, true, &count)) return false;
    *target = (wire_array){NULL, (int32_t)count};
    if (count <= 0) return true;
    if ((uint64_t)count * item_bytes_min(decoder, field) > bytes_left(decoder)) {
        return fail(decoder, "more items than the bytes left can hold");
    }
    const size_t item_bytes = wire_field_item_bytes(field);
    uint8_t *item = weir_arena_try(decoder->arena, (size_t)count * item_bytes);
    if (!item) {
        decoder->code = WEIR_NO_MEMORY;
        decoder->problem = "the arena is full";
        return false;
    }
    *target = (wire_array){item, (int32_t)count};
    wire_place *place = wire_path_top(&decoder->path);
    for (int32_t i = 0; i < (int32_t)count; i++, item += item_bytes) {
        place->index = i;
        if (!decode_value(decoder, field, item)) return false;
    }
    place->index = -1;
    return true;
}

static bool decode_field(wire_decoder *decoder, const wire_field *field, uint8_t *target) {
    *wire_path_top(&decoder->path) = (wire_place){field, -1};
    decoder->field_at = decoder->at;
    if (field->array) return decode_array(decoder, field, (wire_array *)(void *)(target + field->offset));
    return decode_value(decoder, field, target + field->offset);
}

static const wire_field *field_of_tag(const wire_decoder *decoder, const wire_struct *type, uint32_t tag) {
    for (uint16_t i = 0; i < type->field_count; i++) {
        const wire_field *field = &type->fields[i];
        if (field->tag >= 0 && (uint32_t)field->tag == tag && wire_field_tagged_in(field, decoder->version))
            return field;
    }
    return NULL;
}

static bool decode_tagged(wire_decoder *decoder, const wire_struct *type, uint8_t *target) {
    *wire_path_top(&decoder->path) = (wire_place){NULL, -1};
    decoder->field_at = decoder->at;
    uint32_t count = 0;
    if (!take_uvarint(decoder, &count)) return false;
    for (; count > 0; count--) {
        *wire_path_top(&decoder->path) = (wire_place){NULL, -1};
        decoder->field_at = decoder->at;
        uint32_t tag = 0, size = 0;
        if (!take_uvarint(decoder, &tag) || !take_uvarint(decoder, &size)) return false;
        const uint8_t *value = take(decoder, size);
        if (!value) return false;
        const wire_field *field = field_of_tag(decoder, type, tag);
        if (!field) continue;
        const uint8_t *outer_end = decoder->end;
        const uint8_t *value_end = decoder->at;
        decoder->at = value;
        decoder->end = value_end;
        if (!decode_field(decoder, field, target)) return false;
        if (decoder->at != value_end) return fail(decoder, "a tagged field shorter than its size");
        decoder->end = outer_end;
    }
    return true;
}

static bool decode_struct(wire_decoder *decoder, const wire_struct *type, uint8_t *target) {
    wire_path_push(&decoder->path, NULL);
    for (uint16_t i = 0; i < type->field_count; i++) {
        const wire_field *field = &type->fields[i];
        if (!wire_field_in(field, decoder->version) || wire_field_tagged_in(field, decoder->version)) {
            wire_field_init(field, target + field->offset);
        } else if (!decode_field(decoder, field, target)) {
            return false;
        }
    }
    if (decoder->flexible && !decode_tagged(decoder, type, target)) return false;
    decoder->path.depth--;
    return true;
}

static weir_status failure(const wire_decoder *decoder, const wire_message *message) {
    char place[256];
    wire_path_text(&decoder->path, place, sizeof place);
    const size_t at = (size_t)(decoder->field_at - decoder->start);
    if (decoder->problem == problem_short) {
        return weir_fail(WEIR_CORRUPT, "%s v%d field %s at byte %zu: needs %llu bytes, %zu left", message->name,
                         decoder->version, place, at, (unsigned long long)decoder->needed, bytes_left(decoder));
    }
    return weir_fail(decoder->code, "%s v%d field %s at byte %zu: %s", message->name, decoder->version, place, at,
                     decoder->problem);
}

weir_status wire_decode_front(wire_message_id id, int version, weir_bytes *input, weir_arena *arena, void *target) {
    const wire_message *message = &wire_messages[id];
    WEIR_TRY(wire_check_version(message, version));
    const uint8_t *start = input->data ? input->data : (const uint8_t *)"";
    wire_decoder decoder = {.start = start,
                            .at = start,
                            .end = start + input->size,
                            .field_at = start,
                            .arena = arena,
                            .version = version,
                            .flexible = version >= message->flexible};
    if (!decode_struct(&decoder, message->body, target)) return failure(&decoder, message);
    *input = (weir_bytes){decoder.at, bytes_left(&decoder)};
    return weir_ok();
}

weir_status wire_decode(wire_message_id id, int version, weir_bytes input, weir_arena *arena, void *target) {
    const size_t input_bytes = input.size;
    WEIR_TRY(wire_decode_front(id, version, &input, arena, target));
    if (input.size == 0) return weir_ok();
    return weir_fail(WEIR_CORRUPT, "%s v%d: ends at byte %zu of %zu", wire_messages[id].name, version,
                     input_bytes - input.size, input_bytes);
}
