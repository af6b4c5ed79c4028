/* base/crc32c - CRC-32C (Castagnoli, RFC 3720 B.4), the checksum of Kafka's record batches and of weir's own files.
 *
 * Three implementations chosen once at run time: SSE4.2 with three streams, ARMv8 CRC, and a table. A checksum is
 * continued by passing the former result as `crc`; the first call passes 0. Threads: safe from every thread. */
#ifndef WEIR_BASE_CRC32C_H
#define WEIR_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t weir_crc32c(uint32_t crc, const void *data, size_t size);
/* The table implementation, the oracle of the others in the tests. */
uint32_t weir_crc32c_table(uint32_t crc, const void *data, size_t size);

#endif
