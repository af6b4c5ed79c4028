/* base/hash - hashes: XXH3 for tables inside the process, murmur2 for Kafka's default partitioner. */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include "base/bytes.h"

/* XXH3 64 bits. Not stable across releases of weir: never stored. */
uint64_t weir_hash(const void *data, size_t size);
uint64_t weir_hash_u64(uint64_t value);

/* Kafka's murmur2 (org.apache.kafka.common.utils.Utils.murmur2), and the partition it gives a non-null key. */
uint32_t weir_murmur2(const void *data, size_t size);
static inline int32_t weir_partition_of_key(weir_bytes key, int32_t partition_count) {
    return (int32_t)((weir_murmur2(key.data, key.size) & 0x7fffffffu) % (uint32_t)partition_count);
}

#endif
