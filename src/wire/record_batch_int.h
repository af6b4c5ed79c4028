/* wire/record_batch, inside: where the header's fields lie. */
#ifndef WEIR_WIRE_RECORD_BATCH_INT_H
#define WEIR_WIRE_RECORD_BATCH_INT_H

#include "wire/record_batch.h"

enum {
    AT_BASE_OFFSET = 0,
    AT_LENGTH = 8,
    AT_LEADER_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_ATTRIBUTES = 21,
    AT_LAST_OFFSET_DELTA = 23,
    AT_BASE_TIMESTAMP = 27,
    AT_MAX_TIMESTAMP = 35,
    AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51,
    AT_BASE_SEQUENCE = 53,
    AT_RECORD_COUNT = 57,
    RECORD_BYTES_MIN = 7 /* length, attributes, timestamp, offset, key, value, headers: a byte each */
};
_Static_assert(AT_RECORD_COUNT + 4 == WIRE_BATCH_HEADER_BYTES, "header layout");
_Static_assert(AT_MAGIC + 1 == WIRE_BATCH_MAGIC_BYTES, "header layout");

/* The checksum of a whole batch's bytes. */
uint32_t wire_batch_crc(const uint8_t *batch, size_t size_bytes);

#endif
