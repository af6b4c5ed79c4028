#include "wire/record_batch_int.h"
#include "wire/varint.h"

const wire_batch_options wire_batch_options_default = {.producer_id = -1,
                                                       .producer_epoch = -1,
                                                       .base_sequence = -1,
                                                       .partition_leader_epoch = -1,
                                                       .last_offset_delta = -1,
                                                       .level = WIRE_LEVEL_DEFAULT};

enum { TIMESTAMP_NONE = -1 }; /* Kafka's, for a batch without records */

static void begin(wire_builder *builder, weir_buffer *target, int64_t base_timestamp, bool has_base) {
    *builder = (wire_builder){.target = target,
                              .start = target->size,
                              .base_timestamp = base_timestamp,
                              .max_timestamp = base_timestamp,
                              .has_base_timestamp = has_base,
                              .last_delta = -1};
    static const uint8_t blank[WIRE_BATCH_HEADER_BYTES];
    weir_buffer_append(target, blank, sizeof blank);
}

void wire_builder_begin(wire_builder *builder, weir_buffer *target) {
    begin(builder, target, TIMESTAMP_NONE, false);
}

void wire_builder_begin_at(wire_builder *builder, weir_buffer *target, int64_t base_timestamp) {
    begin(builder, target, base_timestamp, true);
}

static size_t nullable_bytes(weir_bytes bytes) {
    return bytes.data ? wire_varint_bytes((int32_t)bytes.size) + bytes.size : 1;
}

static uint8_t *write_nullable(uint8_t *at, weir_bytes bytes) {
    if (!bytes.data) return wire_write_varint(at, -1);
    at = wire_write_varint(at, (int32_t)bytes.size);
    if (bytes.size) memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

/* Writes everything of a record up to its headers, whose bytes and count are given; returns where they go, or NULL. */
static uint8_t *open_record(wire_builder *builder, const wire_record *record, size_t header_bytes) {
    if (builder->record_count == 0 && !builder->has_base_timestamp) builder->base_timestamp = record->timestamp;
    const int64_t timestamp_delta = (int64_t)((uint64_t)record->timestamp - (uint64_t)builder->base_timestamp);
    const uint64_t body = 1 + wire_varlong_bytes(timestamp_delta) + wire_varint_bytes(record->offset_delta) +
                          nullable_bytes(record->key) + nullable_bytes(record->value) +
                          wire_varint_bytes(record->header_count) + header_bytes;
    /* A length that Kafka's varint cannot say: treated as a buffer that is full. */
    uint8_t *at = body <= INT32_MAX ? weir_buffer_reserve(builder->target, WIRE_VARINT32_MAX + body) : NULL;
    if (!at) {
        builder->target->overflowed = true;
        return NULL;
    }
    at = wire_write_varint(at, (int32_t)body);
    *at++ = 0;
    at = wire_write_varlong(at, timestamp_delta);
    at = wire_write_varint(at, record->offset_delta);
    at = write_nullable(at, record->key);
    at = write_nullable(at, record->value);
    return wire_write_varint(at, record->header_count);
}

static void close_record(wire_builder *builder, const wire_record *record, const uint8_t *end) {
    builder->target->size = (size_t)(end - builder->target->data);
    if (builder->record_count == 0 || record->timestamp > builder->max_timestamp)
        builder->max_timestamp = record->timestamp;
    builder->last_delta = record->offset_delta;
    builder->record_count++;
}

void wire_builder_add(wire_builder *builder, int64_t timestamp, weir_bytes key, weir_bytes value,
                      const wire_header *headers, int32_t header_count) {
    const wire_record record = {.timestamp = timestamp,
                                .key = key,
                                .value = value,
                                .header_count = header_count,
                                .offset_delta = builder->last_delta + 1};
    size_t header_bytes = 0;
    for (int32_t i = 0; i < header_count; i++) {
        header_bytes += wire_varint_bytes((int32_t)headers[i].key.size) + headers[i].key.size;
        header_bytes += nullable_bytes(headers[i].value);
    }
    uint8_t *at = open_record(builder, &record, header_bytes);
    if (!at) return;
    for (int32_t i = 0; i < header_count; i++) {
        const weir_bytes name = {headers[i].key.data ? headers[i].key.data : (const uint8_t *)"", headers[i].key.size};
        at = write_nullable(at, name);
        at = write_nullable(at, headers[i].value);
    }
    close_record(builder, &record, at);
}

void wire_builder_add_record(wire_builder *builder, const wire_record *record) {
    weir_assert(record->offset_delta > builder->last_delta);
    uint8_t *at = open_record(builder, record, record->headers.size);
    if (!at) return;
    if (record->headers.size) memcpy(at, record->headers.data, record->headers.size);
    close_record(builder, record, at + record->headers.size);
}

/* Replaces the records by their compressed form when that is smaller; *codec says what it became. */
static weir_status compress_records(wire_builder *builder, const wire_batch_options *options,
                                    wire_compressor *compressor, weir_buffer *scratch, wire_codec *codec) {
    *codec = WIRE_CODEC_NONE;
    if (options->codec == WIRE_CODEC_NONE || builder->record_count == 0) return weir_ok();
    weir_assert(compressor && scratch);
    weir_buffer *target = builder->target;
    const size_t records_at = builder->start + WIRE_BATCH_HEADER_BYTES;
    const weir_bytes records = {target->data + records_at, target->size - records_at};
    weir_buffer_clear(scratch);
    WEIR_TRY(wire_compress(compressor, options->codec, options->level, records, scratch));
    if (scratch->size >= records.size) return weir_ok();
    memcpy(target->data + records_at, scratch->data, scratch->size);
    target->size = records_at + scratch->size;
    *codec = options->codec;
    return weir_ok();
}

static void write_header(const wire_builder *builder, const wire_batch_options *options, wire_codec codec) {
    uint8_t *at = builder->target->data + builder->start;
    const size_t size_bytes = builder->target->size - builder->start;
    const int32_t last_delta =
        options->last_offset_delta > builder->last_delta ? options->last_offset_delta : builder->last_delta;
    const bool append_time = (options->attributes & WIRE_BATCH_LOG_APPEND_TIME) != 0;
    weir_write_be64(at + AT_BASE_OFFSET, (uint64_t)options->base_offset);
    weir_write_be32(at + AT_LENGTH, (uint32_t)(size_bytes - WIRE_BATCH_PREFIX_BYTES));
    weir_write_be32(at + AT_LEADER_EPOCH, (uint32_t)options->partition_leader_epoch);
    at[AT_MAGIC] = 2;
    weir_write_be16(at + AT_ATTRIBUTES, (uint16_t)((options->attributes & ~WIRE_BATCH_CODEC_MASK) | codec));
    weir_write_be32(at + AT_LAST_OFFSET_DELTA, (uint32_t)(last_delta < 0 ? 0 : last_delta));
    weir_write_be64(at + AT_BASE_TIMESTAMP, (uint64_t)builder->base_timestamp);
    weir_write_be64(at + AT_MAX_TIMESTAMP, (uint64_t)(append_time ? options->append_time_ms : builder->max_timestamp));
    weir_write_be64(at + AT_PRODUCER_ID, (uint64_t)options->producer_id);
    weir_write_be16(at + AT_PRODUCER_EPOCH, (uint16_t)options->producer_epoch);
    weir_write_be32(at + AT_BASE_SEQUENCE, (uint32_t)options->base_sequence);
    weir_write_be32(at + AT_RECORD_COUNT, (uint32_t)builder->record_count);
    weir_write_be32(at + AT_CRC, wire_batch_crc(at, size_bytes));
}

weir_status wire_builder_finish(wire_builder *builder, const wire_batch_options *options, wire_compressor *compressor,
                                weir_buffer *scratch) {
    weir_buffer *target = builder->target;
    wire_codec codec = WIRE_CODEC_NONE;
    weir_status status = weir_ok();
    if (target->overflowed || target->size - builder->start > INT32_MAX) {
        status = weir_fail(WEIR_NO_MEMORY, "record batch: more records than a buffer of at most %zu bytes holds",
                           target->max_bytes);
    }
    if (!weir_failed(status)) status = compress_records(builder, options, compressor, scratch, &codec);
    if (weir_failed(status)) {
        target->size = builder->start;
        return status;
    }
    write_header(builder, options, codec);
    return weir_ok();
}

void wire_builder_abandon(wire_builder *builder) {
    builder->target->size = builder->start;
}

/* ---- control batches --------------------------------------------------------------------------------------------- */

void wire_builder_add_control(wire_builder *builder, int64_t timestamp, wire_control control, weir_bytes value) {
    uint8_t key[4] = {0}; /* int16 version 0, int16 kind */
    weir_write_be16(key + 2, (uint16_t)control);
    wire_builder_add(builder, timestamp, weir_bytes_of(key, sizeof key), value, NULL, 0);
}

weir_status wire_marker_append(weir_buffer *target, int64_t timestamp, bool commit, int64_t producer_id,
                               int16_t producer_epoch, int32_t coordinator_epoch) {
    uint8_t value[6] = {0}; /* EndTxnMarker version 0: int16 version, int32 coordinator epoch */
    weir_write_be32(value + 2, (uint32_t)coordinator_epoch);
    wire_builder builder;
    wire_builder_begin(&builder, target);
    wire_builder_add_control(&builder, timestamp, commit ? WIRE_CONTROL_COMMIT : WIRE_CONTROL_ABORT,
                             weir_bytes_of(value, sizeof value));
    wire_batch_options options = wire_batch_options_default;
    options.attributes = WIRE_BATCH_TRANSACTIONAL | WIRE_BATCH_CONTROL;
    options.producer_id = producer_id;
    options.producer_epoch = producer_epoch;
    return wire_builder_finish(&builder, &options, NULL, NULL);
}
