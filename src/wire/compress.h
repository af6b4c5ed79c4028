/* wire/compress - the four codecs a Kafka record batch may be compressed with (KIP-110 and before).
 *
 *   gzip    RFC 1952, one or more members
 *   snappy  as Java clients write it (xerial framing: magic, two versions, blocks with a length each) or as others do
 *           (one raw block); both are read, framing is written because every client reads it
 *   lz4     LZ4 frame format 1.6; written with independent 64 KiB blocks and no checksums, the only kind Java reads
 *   zstd    RFC 8878
 *
 * What is decompressed comes from outside. No length inside it is believed: output grows as bytes really appear and
 * never passes `output_max`, the codecs' own working memory has fixed limits, and whatever is wrong is CORRUPT.
 *
 * A compressor keeps the codecs' contexts, made at first use and then reused; their memory is charged to its account.
 * Threads: one owner at a time; make one per worker or per lane. */
#ifndef WEIR_WIRE_COMPRESS_H
#define WEIR_WIRE_COMPRESS_H

#include "base/buffer.h"

/* The numbers of the attribute bits of a record batch. */
typedef enum wire_codec {
    WIRE_CODEC_NONE,
    WIRE_CODEC_GZIP,
    WIRE_CODEC_SNAPPY,
    WIRE_CODEC_LZ4,
    WIRE_CODEC_ZSTD,
    WIRE_CODEC_COUNT
} wire_codec;

enum { WIRE_LEVEL_DEFAULT = INT32_MIN }; /* Kafka's own: gzip 6, lz4 fast, zstd 3 */

typedef struct wire_compressor wire_compressor;

/* Never fails; contexts come with their first use. `account` outlives the compressor. */
wire_compressor *wire_compressor_create(weir_account *account);
void wire_compressor_destroy(wire_compressor *compressor); /* NULL is fine */

/* "none", "gzip", "snappy", "lz4", "zstd": the values of compression.type that name a codec ("uncompressed" reads as
 * none). false for every other text. */
const char *wire_codec_name(wire_codec codec);
bool wire_codec_of_name(weir_bytes name, wire_codec *codec) WEIR_MUST_USE;

/* Appends the compressed `input` to `target`. `level` is the codec's own scale (gzip 1..9, lz4 1..17, zstd up to 22,
 * ignored by snappy and none) and is clamped to it. NO_MEMORY when `target` or the account is full; `target` then holds
 * what it held before. `input` and `target` must not overlap. */
weir_status wire_compress(wire_compressor *compressor, wire_codec codec, int level, weir_bytes input,
                          weir_buffer *target) WEIR_MUST_USE;

/* Appends the decompressed `input` to `target`, at most `output_max` bytes. CORRUPT names the codec and what is wrong,
 * a larger output included; NO_MEMORY when `target` or the account is full. On failure `target` holds what it held. */
weir_status wire_decompress(wire_compressor *compressor, wire_codec codec, weir_bytes input, size_t output_max,
                            weir_buffer *target) WEIR_MUST_USE;

#endif
