/* wire/codec - Kafka's messages between bytes and C structs: one interpreter over the generated tables.
 *
 *     wire_heartbeat_request request;
 *     WEIR_TRY(wire_decode(WIRE_HEARTBEAT_REQUEST, header.request_api_version, body, &arena, &request));
 *     wire_heartbeat_response response;
 *     wire_heartbeat_response_init(&response);
 *     WEIR_TRY(wire_encode(WIRE_HEARTBEAT_RESPONSE, version, &response, &buffer));
 *
 * Decoding copies no text and no bytes: views point into the input, arrays lie in the arena, both live as long as
 * those. The input is not trusted: an array is allocated only when its items could fit into the bytes that are left.
 * Damage is CORRUPT: Heartbeat v4 field generation_id at byte 2: needs 4 bytes, 1 left Fields that the version lacks
 * get Kafka's defaults; unknown tagged fields are skipped.
 *
 * Encoding refuses (INVALID) what the version cannot say: a field that it lacks, is not default and not ignorable; a
 * null where it knows none; text that is too long.
 * Sources: Kafka protocol guide, KIP-482 (flexible versions). Threads: pure functions. */
#ifndef WEIR_WIRE_CODEC_H
#define WEIR_WIRE_CODEC_H

#include "wire/messages.h"

extern const wire_message wire_messages[WIRE_MESSAGE_COUNT];
extern const wire_api wire_apis[WIRE_API_COUNT]; /* sorted by key */

/* NULL for a key that weir does not speak. */
const wire_api *wire_api_of(int16_t key);
static inline bool wire_api_speaks(const wire_api *api, int16_t version) {
    return version >= api->min && version <= api->max;
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

/* Decodes the whole of `input` into the message's struct at `target`. CORRUPT also for bytes left over; UNSUPPORTED for
 * a version outside the schema; NO_MEMORY at the arena's limit. On failure `target` is undefined. */
weir_status wire_decode(wire_message_id id, int version, weir_bytes input, weir_arena *arena,
                        void *target) WEIR_MUST_USE;
/* As wire_decode(), but takes the message off the front of *input, which may go on. */
weir_status wire_decode_front(wire_message_id id, int version, weir_bytes *input, weir_arena *arena,
                              void *target) WEIR_MUST_USE;

/* Appends the message to `target`. NO_MEMORY when `target` is full. On failure `target` holds what it held. */
weir_status wire_encode(wire_message_id id, int version, const void *source, weir_buffer *target) WEIR_MUST_USE;
/* The bytes that wire_encode() would append; fails with INVALID as it would. */
weir_status wire_size(wire_message_id id, int version, const void *source, size_t *size_bytes) WEIR_MUST_USE;

/* Encoding without copying record batches: `records` belong before byte `at` of what was appended, counted from its
 * start. The sender interleaves them. */
typedef struct wire_gap {
    size_t at;
    weir_bytes records;
} wire_gap;
/* As wire_encode(), but leaves record batches out and lists them, at most `gap_max` (INVALID when there are more). */
weir_status wire_encode_gaps(wire_message_id id, int version, const void *source, weir_buffer *target, wire_gap *gaps,
                             size_t gap_max, size_t *gap_count) WEIR_MUST_USE;

/* Defaults for every field. */
void wire_init(wire_message_id id, void *target);
/* Traffic dump, one line without its end: "Heartbeat v4 {group_id: \"g\", generation_id: 3, ...}". Fields that the
 * version lacks are left out, bytes are told by their size, long text is cut. */
void wire_print(wire_message_id id, int version, const void *source, weir_buffer *target);

/* ---- frames ------------------------------------------------------------------------------------------------------ */

/* Header versions of a request and of its response: flexible APIs use 2 and 1, others 1 and 0; the ApiVersions response
 * always 0, because its reader cannot know yet. */
int wire_request_header_version(const wire_api *api, int version);
int wire_response_header_version(const wire_api *api, int version);

/* Takes the request header off the front of *frame (a frame without its length). On UNSUPPORTED (unknown API, or a
 * version that weir cannot read) key, version and correlation_id are set, so that an answer is possible. */
weir_status wire_decode_request_header(weir_bytes *frame, weir_arena *arena, wire_request_header *header,
                                       const wire_api **api) WEIR_MUST_USE;

/* Appends a whole frame: length, header, message. On failure `target` holds what it held. */
weir_status wire_encode_request(const wire_api *api, int version, int32_t correlation_id, weir_bytes client_id,
                                const void *request, weir_buffer *target) WEIR_MUST_USE;
weir_status wire_encode_response(const wire_api *api, int version, int32_t correlation_id, const void *response,
                                 weir_buffer *target) WEIR_MUST_USE;

/* ---- messages inside records ------------------------------------------------------------------------------------- */

/* Consumer protocol, coordinator values, EndTxnMarker: an int16 version, then the message. A version above the schema's
 * is read as its highest and the rest of the bytes ignored, as Kafka's consumer protocol demands, when `lenient`;
 * otherwise it is UNSUPPORTED. */
weir_status wire_decode_versioned(wire_message_id id, weir_bytes input, bool lenient, weir_arena *arena, void *target,
                                  int *version) WEIR_MUST_USE;
weir_status wire_encode_versioned(wire_message_id id, int version, const void *source,
                                  weir_buffer *target) WEIR_MUST_USE;

/* Coordinator keys: an int16 kind (wire_group_key), then the message in version 0. */
weir_status wire_encode_record_key(wire_message_id id, const void *source, weir_buffer *target) WEIR_MUST_USE;
/* The kind at the front of a coordinator's key; *input then begins with the message. CORRUPT when there is none. */
weir_status wire_decode_record_kind(weir_bytes *input, int16_t *kind) WEIR_MUST_USE;

/* Records of __cluster_metadata: unsigned varints for frame version (1), key and version, then the message. */
weir_status wire_encode_metadata(wire_message_id id, int version, const void *source,
                                 weir_buffer *target) WEIR_MUST_USE;
/* The frame at the front of a metadata record; *input then begins with the message of that key and version. *id is
 * WIRE_MESSAGE_COUNT for a key that weir does not know. */
weir_status wire_decode_metadata_frame(weir_bytes *input, wire_message_id *id, int *version) WEIR_MUST_USE;

#endif
