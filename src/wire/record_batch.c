#include "wire/record_batch.h"

#include "base/crc32c.h"
#include "wire/record_batch_int.h"
#include "wire/varint.h"

/* ---- header ------------------------------------------------------------------------------------------------------ */

weir_status wire_batch_size(weir_bytes input, size_t *size_bytes) {
    if (input.size < WIRE_BATCH_MAGIC_BYTES) {
        return weir_fail(WEIR_CORRUPT, "record batch: %zu bytes, its length and magic need %d", input.size,
                         WIRE_BATCH_MAGIC_BYTES);
    }
    const long long base_offset = (long long)weir_read_be64(input.data + AT_BASE_OFFSET);
    const int32_t length = (int32_t)weir_read_be32(input.data + AT_LENGTH);
    const int8_t magic = (int8_t)input.data[AT_MAGIC];
    if (magic == 0 || magic == 1) {
        return weir_fail(WEIR_UNSUPPORTED,
                         "record batch at offset %lld: message format %d of Kafka before 0.11; weir needs magic 2",
                         base_offset, magic);
    }
    if (magic != 2)
        return weir_fail(WEIR_CORRUPT, "record batch at offset %lld: magic %d, expected 2", base_offset, magic);
    if (length < WIRE_BATCH_HEADER_BYTES - WIRE_BATCH_PREFIX_BYTES) {
        return weir_fail(WEIR_CORRUPT, "record batch at offset %lld: length %d, its header alone has %d", base_offset,
                         length, WIRE_BATCH_HEADER_BYTES - WIRE_BATCH_PREFIX_BYTES);
    }
    *size_bytes = (size_t)length + WIRE_BATCH_PREFIX_BYTES;
    return weir_ok();
}

static void read_fields(const uint8_t *at, wire_batch *batch) {
    batch->base_offset = (int64_t)weir_read_be64(at + AT_BASE_OFFSET);
    batch->partition_leader_epoch = (int32_t)weir_read_be32(at + AT_LEADER_EPOCH);
    batch->crc = weir_read_be32(at + AT_CRC);
    batch->attributes = weir_read_be16(at + AT_ATTRIBUTES);
    batch->last_offset_delta = (int32_t)weir_read_be32(at + AT_LAST_OFFSET_DELTA);
    batch->base_timestamp = (int64_t)weir_read_be64(at + AT_BASE_TIMESTAMP);
    batch->max_timestamp = (int64_t)weir_read_be64(at + AT_MAX_TIMESTAMP);
    batch->producer_id = (int64_t)weir_read_be64(at + AT_PRODUCER_ID);
    batch->producer_epoch = (int16_t)weir_read_be16(at + AT_PRODUCER_EPOCH);
    batch->base_sequence = (int32_t)weir_read_be32(at + AT_BASE_SEQUENCE);
    batch->record_count = (int32_t)weir_read_be32(at + AT_RECORD_COUNT);
    batch->codec = (wire_codec)(batch->attributes & WIRE_BATCH_CODEC_MASK);
}

/* What is wrong with the fields themselves, or NULL. */
static const char *fields_damage(const wire_batch *batch) {
    if (batch->codec >= WIRE_CODEC_COUNT) return "an unknown codec";
    if (batch->base_offset < 0) return "a negative base offset";
    if (batch->last_offset_delta < 0) return "a negative last offset delta";
    if (batch->base_offset > INT64_MAX - 1 - batch->last_offset_delta) return "offsets beyond 64 bits";
    if (batch->record_count < 0) return "a negative record count";
    if (batch->record_count > (int64_t)batch->last_offset_delta + 1) return "more records than offsets";
    const size_t record_bytes = batch->size_bytes - WIRE_BATCH_HEADER_BYTES;
    if (batch->codec == WIRE_CODEC_NONE && batch->record_count > 0 &&
        (size_t)batch->record_count > record_bytes / RECORD_BYTES_MIN) {
        return "more records than its bytes can hold";
    }
    return NULL;
}

weir_status wire_batch_parse_header(weir_bytes input, wire_batch *batch) {
    *batch = (wire_batch){0};
    if (input.size < WIRE_BATCH_HEADER_BYTES) {
        return weir_fail(WEIR_CORRUPT, "record batch: %zu bytes, its header has %d", input.size,
                         WIRE_BATCH_HEADER_BYTES);
    }
    WEIR_TRY(wire_batch_size(input, &batch->size_bytes));
    read_fields(input.data, batch);
    const char *damage = fields_damage(batch);
    if (!damage) return weir_ok();
    return weir_fail(WEIR_CORRUPT, "record batch at offset %lld: %s", (long long)batch->base_offset, damage);
}

weir_status wire_batch_parse(weir_bytes input, wire_batch *batch) {
    WEIR_TRY(wire_batch_parse_header(input, batch));
    if (batch->size_bytes > input.size) {
        return weir_fail(WEIR_CORRUPT, "record batch at offset %lld: %zu bytes, %zu are there",
                         (long long)batch->base_offset, batch->size_bytes, input.size);
    }
    batch->bytes = (weir_bytes){input.data, batch->size_bytes};
    return weir_ok();
}

uint32_t wire_batch_crc(const uint8_t *batch, size_t size_bytes) {
    return weir_crc32c(0, batch + AT_ATTRIBUTES, size_bytes - AT_ATTRIBUTES);
}

weir_status wire_batch_check_crc(const wire_batch *batch) {
    weir_assert(batch->bytes.size == batch->size_bytes);
    const uint32_t crc = wire_batch_crc(batch->bytes.data, batch->size_bytes);
    if (crc == batch->crc) return weir_ok();
    return weir_fail(WEIR_CORRUPT, "record batch at offset %lld: checksum %08x, its bytes give %08x",
                     (long long)batch->base_offset, batch->crc, crc);
}

int32_t wire_batch_last_sequence(const wire_batch *batch) {
    if (batch->base_sequence < 0) return -1;
    return (int32_t)(((int64_t)batch->base_sequence + batch->last_offset_delta) & INT32_MAX);
}

weir_status wire_batch_check_produced(const wire_batch *batch) {
    const char *broken = NULL;
    if (batch->record_count == 0)
        broken = "has no records";
    else if (batch->record_count != (int64_t)batch->last_offset_delta + 1)
        broken = "has fewer records than offsets";
    else if (wire_batch_is(batch, WIRE_BATCH_CONTROL))
        broken = "is a control batch, which only brokers write";
    else if (wire_batch_is(batch, WIRE_BATCH_DELETE_HORIZON))
        broken = "has a delete horizon, which only brokers set";
    else if (wire_batch_is(batch, WIRE_BATCH_TRANSACTIONAL) && !wire_batch_has_producer(batch))
        broken = "is transactional without a producer id";
    else if (wire_batch_has_producer(batch) && (batch->producer_epoch < 0 || batch->base_sequence < 0))
        broken = "has a producer id without epoch or sequence";
    if (!broken) return weir_ok();
    return weir_fail(WEIR_INVALID, "record batch of producer %lld with %d records %s", (long long)batch->producer_id,
                     batch->record_count, broken);
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

weir_status wire_records_open(wire_records *records, const wire_batch *batch, wire_compressor *compressor,
                              weir_buffer *scratch, size_t records_max) {
    weir_assert(batch->bytes.size == batch->size_bytes);
    weir_bytes bytes = {batch->bytes.data + WIRE_BATCH_HEADER_BYTES, batch->bytes.size - WIRE_BATCH_HEADER_BYTES};
    if (batch->codec != WIRE_CODEC_NONE && batch->record_count > 0) {
        weir_assert(compressor && scratch);
        weir_buffer_clear(scratch);
        WEIR_TRY(weir_context(wire_decompress(compressor, batch->codec, bytes, records_max, scratch),
                              "record batch at offset %lld", (long long)batch->base_offset));
        bytes = weir_buffer_view(scratch);
    }
    *records = (wire_records){.at = bytes.data, .end = bytes.data + bytes.size, .batch = batch, .last_delta = -1};
    return weir_ok();
}

/* A length and that many bytes; -1 is null. */
static const uint8_t *read_bytes(const uint8_t *at, const uint8_t *end, weir_bytes *target) {
    int32_t length = 0;
    at = wire_read_varint(at, end, &length);
    if (!at || length < -1 || length > end - at) return NULL;
    if (length < 0) {
        *target = (weir_bytes){NULL, 0};
        return at;
    }
    *target = (weir_bytes){at, (size_t)length};
    return at + length;
}

static const uint8_t *read_header(const uint8_t *at, const uint8_t *end, wire_header *header) {
    at = read_bytes(at, end, &header->key);
    if (!at || !header->key.data) return NULL;
    return read_bytes(at, end, &header->value);
}

/* The parts of one record within [at, end). Returns what is wrong, or NULL. */
static const char *read_record(const uint8_t *at, const uint8_t *end, wire_records *records, wire_record *record) {
    if (at == end) return "a record without attributes";
    at++; /* attributes: unused in magic 2 */
    int64_t timestamp_delta = 0;
    at = wire_read_varlong(at, end, &timestamp_delta);
    if (at) at = wire_read_varint(at, end, &record->offset_delta);
    if (!at) return "a record's timestamp or offset is cut short";
    if (record->offset_delta <= records->last_delta) return "offsets that do not grow";
    if (record->offset_delta > records->batch->last_offset_delta) return "an offset beyond the batch";
    at = read_bytes(at, end, &record->key);
    if (!at) return "a key longer than its record";
    at = read_bytes(at, end, &record->value);
    if (!at) return "a value longer than its record";
    at = wire_read_varint(at, end, &record->header_count);
    if (!at || record->header_count < 0) return "a damaged header count";
    record->headers = (weir_bytes){at, (size_t)(end - at)};
    for (int32_t i = 0; i < record->header_count; i++) {
        wire_header header;
        at = read_header(at, end, &header);
        if (!at) return "a header longer than its record, or without a key";
    }
    if (at != end) return "a record longer than its parts";
    const wire_batch *batch = records->batch;
    record->offset = batch->base_offset + record->offset_delta;
    /* Wraps instead of overflowing: a producer may claim any timestamps. */
    record->timestamp = wire_batch_is(batch, WIRE_BATCH_LOG_APPEND_TIME)
                            ? batch->max_timestamp
                            : (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)timestamp_delta);
    return NULL;
}

bool wire_records_next(wire_records *records, wire_record *record) {
    if (records->damage || records->index == records->batch->record_count) return false;
    int32_t length = 0;
    const uint8_t *at = wire_read_varint(records->at, records->end, &length);
    if (!at || length < 0 || length > records->end - at) {
        records->damage = at ? "a record longer than the batch" : "fewer records than the header says";
        return false;
    }
    records->damage = read_record(at, at + length, records, record);
    if (records->damage) return false;
    records->at = at + length;
    records->last_delta = record->offset_delta;
    records->index++;
    return true;
}

weir_status wire_records_status(const wire_records *records) {
    const char *damage = records->damage;
    if (!damage && records->index == records->batch->record_count && records->at != records->end) {
        damage = "bytes after the last record";
    }
    if (!damage) return weir_ok();
    return weir_fail(WEIR_CORRUPT, "record batch at offset %lld, record %d of %d: %s",
                     (long long)records->batch->base_offset, records->index, records->batch->record_count, damage);
}

bool wire_headers_next(weir_bytes *headers, wire_header *header) {
    if (headers->size == 0) return false;
    const uint8_t *end = headers->data + headers->size;
    const uint8_t *at = read_header(headers->data, end, header);
    weir_assert(at); /* wire_records_next() has read them */
    *headers = (weir_bytes){at, (size_t)(end - at)};
    return true;
}

bool wire_control_of(const wire_record *record, int16_t *control) {
    if (!record->key.data || record->key.size < 4) return false; /* int16 version, int16 kind */
    if ((int16_t)weir_read_be16(record->key.data) < 0) return false;
    *control = (int16_t)weir_read_be16(record->key.data + 2);
    return true;
}

/* ---- in place ---------------------------------------------------------------------------------------------------- */

void wire_batch_set_base_offset(uint8_t *batch, int64_t base_offset) {
    weir_write_be64(batch + AT_BASE_OFFSET, (uint64_t)base_offset);
}

void wire_batch_set_leader_epoch(uint8_t *batch, int32_t leader_epoch) {
    weir_write_be32(batch + AT_LEADER_EPOCH, (uint32_t)leader_epoch);
}

static void set_timestamp(uint8_t *batch, uint16_t set, int64_t max_timestamp_ms) {
    const uint16_t kept = weir_read_be16(batch + AT_ATTRIBUTES) & (uint16_t)~WIRE_BATCH_LOG_APPEND_TIME;
    weir_write_be16(batch + AT_ATTRIBUTES, kept | set);
    weir_write_be64(batch + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp_ms);
    const size_t size_bytes = (size_t)weir_read_be32(batch + AT_LENGTH) + WIRE_BATCH_PREFIX_BYTES;
    weir_write_be32(batch + AT_CRC, wire_batch_crc(batch, size_bytes));
}

void wire_batch_set_append_time(uint8_t *batch, int64_t append_time_ms) {
    set_timestamp(batch, WIRE_BATCH_LOG_APPEND_TIME, append_time_ms);
}

void wire_batch_set_max_timestamp(uint8_t *batch, int64_t max_timestamp_ms) {
    set_timestamp(batch, 0, max_timestamp_ms);
}
