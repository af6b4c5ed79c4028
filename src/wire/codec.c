#include "wire/codec_int.h"
#include "wire/varint.h"

#include <stdio.h>

/* ---- shared by decode.c and encode.c ----------------------------------------------------------------------------- */

void wire_path_text(const wire_path *path, char *target, size_t size) {
    size_t at = 0;
    target[0] = '\0';
    for (unsigned i = 0; i < path->depth && at < size; i++) {
        const wire_place *place = &path->places[i];
        const char *name = place->field ? place->field->name : "(tagged fields)";
        int wrote = snprintf(target + at, size - at, "%s%s", i ? "." : "", name);
        at += wrote > 0 ? (size_t)wrote : 0;
        if (place->index < 0 || at >= size) continue;
        wrote = snprintf(target + at, size - at, "[%d]", place->index);
        at += wrote > 0 ? (size_t)wrote : 0;
    }
}

weir_status wire_check_version(const wire_message *message, int version) {
    if (version >= message->min && version <= message->max) return weir_ok();
    return weir_fail(WEIR_UNSUPPORTED, "%s v%d: weir speaks versions %d to %d", message->name, version, message->min,
                     message->max);
}

void wire_init(wire_message_id id, void *target) {
    wire_struct_init(wire_messages[id].body, target);
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

const wire_api *wire_api_of(int16_t key) {
    for (int i = 0; i < WIRE_API_COUNT; i++) {
        if (wire_apis[i].key == key) return &wire_apis[i];
    }
    return NULL;
}

int wire_request_header_version(const wire_api *api, int version) {
    return version >= api->flexible ? 2 : 1;
}

int wire_response_header_version(const wire_api *api, int version) {
    return api->key != WIRE_API_API_VERSIONS && version >= api->flexible ? 1 : 0;
}

weir_status wire_decode_request_header(weir_bytes *frame, weir_arena *arena, wire_request_header *header,
                                       const wire_api **api) {
    enum { FIXED_BYTES = 8 }; /* key, version and correlation id lead every version of the header */
    wire_request_header_init(header);
    *api = NULL;
    if (frame->size < FIXED_BYTES) {
        return weir_fail(WEIR_CORRUPT, "request header: a frame of %zu bytes, the shortest header has %d", frame->size,
                         FIXED_BYTES);
    }
    header->request_api_key = (int16_t)weir_read_be16(frame->data);
    header->request_api_version = (int16_t)weir_read_be16(frame->data + 2);
    header->correlation_id = (int32_t)weir_read_be32(frame->data + 4);
    *api = wire_api_of(header->request_api_key);
    if (!*api)
        return weir_fail(WEIR_UNSUPPORTED, "request with API key %d: weir does not speak it", header->request_api_key);
    if (!wire_api_speaks(*api, header->request_api_version)) {
        return weir_fail(WEIR_UNSUPPORTED, "%s v%d: weir speaks versions %d to %d", (*api)->name,
                         header->request_api_version, (*api)->min, (*api)->max);
    }
    const int version = wire_request_header_version(*api, header->request_api_version);
    return wire_decode_front(WIRE_REQUEST_HEADER, version, frame, arena, header);
}

static weir_status encode_frame(wire_message_id header_id, int header_version, const void *header, wire_message_id id,
                                int version, const void *message, weir_buffer *target) {
    const size_t start = target->size;
    weir_buffer_append(target, "\0\0\0\0", 4);
    weir_status status = wire_encode(header_id, header_version, header, target);
    if (!weir_failed(status)) status = wire_encode(id, version, message, target);
    const size_t frame_bytes = target->size - start - 4;
    if (!weir_failed(status) && frame_bytes > INT32_MAX) {
        status = weir_fail(WEIR_INVALID, "%s v%d: a frame of %zu bytes, at most 2 GiB", wire_messages[id].name, version,
                           frame_bytes);
    }
    if (weir_failed(status)) {
        target->size = start;
        return status;
    }
    weir_write_be32(target->data + start, (uint32_t)frame_bytes);
    return weir_ok();
}

weir_status wire_encode_request(const wire_api *api, int version, int32_t correlation_id, weir_bytes client_id,
                                const void *request, weir_buffer *target) {
    const wire_request_header header = {.request_api_key = api->key,
                                        .request_api_version = (int16_t)version,
                                        .correlation_id = correlation_id,
                                        .client_id = client_id};
    return encode_frame(WIRE_REQUEST_HEADER, wire_request_header_version(api, version), &header,
                        (wire_message_id)api->request, version, request, target);
}

weir_status wire_encode_response(const wire_api *api, int version, int32_t correlation_id, const void *response,
                                 weir_buffer *target) {
    const wire_response_header header = {.correlation_id = correlation_id};
    return encode_frame(WIRE_RESPONSE_HEADER, wire_response_header_version(api, version), &header,
                        (wire_message_id)api->response, version, response, target);
}

/* ---- messages inside records ------------------------------------------------------------------------------------- */

static weir_status encode_prefixed(int16_t prefix, wire_message_id id, int version, const void *source,
                                   weir_buffer *target) {
    const size_t start = target->size;
    uint8_t bytes[2];
    weir_write_be16(bytes, (uint16_t)prefix);
    weir_buffer_append(target, bytes, sizeof bytes);
    const weir_status status = wire_encode(id, version, source, target);
    if (weir_failed(status)) target->size = start;
    return status;
}

weir_status wire_decode_versioned(wire_message_id id, weir_bytes input, bool lenient, weir_arena *arena, void *target,
                                  int *version) {
    const wire_message *message = &wire_messages[id];
    if (input.size < 2) return weir_fail(WEIR_CORRUPT, "%s: %zu bytes have no version", message->name, input.size);
    *version = (int16_t)weir_read_be16(input.data);
    input = (weir_bytes){input.data + 2, input.size - 2};
    if (!lenient || *version <= message->max) return wire_decode(id, *version, input, arena, target);
    return wire_decode_front(id, message->max, &input, arena, target);
}

weir_status wire_encode_versioned(wire_message_id id, int version, const void *source, weir_buffer *target) {
    return encode_prefixed((int16_t)version, id, version, source, target);
}

weir_status wire_encode_record_key(wire_message_id id, const void *source, weir_buffer *target) {
    weir_assert(wire_messages[id].kind == WIRE_MESSAGE_RECORD_KEY);
    return encode_prefixed(wire_messages[id].key, id, 0, source, target);
}

weir_status wire_decode_record_kind(weir_bytes *input, int16_t *kind) {
    if (input->size < 2) return weir_fail(WEIR_CORRUPT, "a record key of %zu bytes has no kind", input->size);
    *kind = (int16_t)weir_read_be16(input->data);
    *input = (weir_bytes){input->data + 2, input->size - 2};
    return weir_ok();
}

enum { METADATA_FRAME_VERSION = 1 };

weir_status wire_encode_metadata(wire_message_id id, int version, const void *source, weir_buffer *target) {
    weir_assert(wire_messages[id].kind == WIRE_MESSAGE_METADATA);
    const size_t start = target->size;
    uint8_t frame[3 * WIRE_VARINT32_MAX];
    uint8_t *at = wire_write_uvarint(frame, METADATA_FRAME_VERSION);
    at = wire_write_uvarint(at, (uint32_t)wire_messages[id].key);
    at = wire_write_uvarint(at, (uint32_t)version);
    weir_buffer_append(target, frame, (size_t)(at - frame));
    const weir_status status = wire_encode(id, version, source, target);
    if (weir_failed(status)) target->size = start;
    return status;
}

weir_status wire_decode_metadata_frame(weir_bytes *input, wire_message_id *id, int *version) {
    const uint8_t *end = input->data + input->size;
    uint32_t frame_version = 0, key = 0, message_version = 0;
    const uint8_t *at = wire_read_uvarint(input->data, end, &frame_version);
    if (at) at = wire_read_uvarint(at, end, &key);
    if (at) at = wire_read_uvarint(at, end, &message_version);
    if (!at || key > INT16_MAX || message_version > INT16_MAX) {
        return weir_fail(WEIR_CORRUPT, "metadata record: its frame of version, key and version is damaged");
    }
    if (frame_version != METADATA_FRAME_VERSION) {
        return weir_fail(WEIR_UNSUPPORTED, "metadata record: frame version %u, weir reads %d", frame_version,
                         METADATA_FRAME_VERSION);
    }
    *id = WIRE_MESSAGE_COUNT;
    for (int i = 0; i < WIRE_MESSAGE_COUNT; i++) {
        const wire_message *message = &wire_messages[i];
        if (message->kind == WIRE_MESSAGE_METADATA && message->key == (int16_t)key) *id = (wire_message_id)i;
    }
    *version = (int)message_version;
    *input = (weir_bytes){at, (size_t)(end - at)};
    return weir_ok();
}
