#include "wire/compress.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    GZIP_WINDOW = 15 + 16, /* zlib: the largest window, gzip framing */
    GZIP_MEMORY = 8,
    STEP_BYTES_MIN = 16 << 10, /* output grows by what is there, between these */
    STEP_BYTES_MAX = 1 << 20,
    XERIAL_HEADER_BYTES = 16,
    XERIAL_BLOCK_BYTES = 32 << 10, /* what Java clients write */
    SNAPPY_RATIO_MAX = 22,         /* a copy element makes at most 64 bytes of 3 */
    LZ4_WRITER_BYTES = 256 << 10,
    LZ4_READER_BYTES = 4 << 20, /* the largest block and its history, what a reader may come to hold */
    ZSTD_RESERVE_MIN = 64 << 10
};

/* "\x82SNAPPY\0", then version and oldest compatible version, both 1. */
static const uint8_t xerial_header[XERIAL_HEADER_BYTES] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                           0,    0,   0,   1,   0,   0,   0,   1};
enum { XERIAL_MAGIC_BYTES = 8 };

struct wire_compressor {
    weir_account *account;
    z_stream deflater, inflater;
    bool has_deflater, has_inflater;
    int deflater_level;
    LZ4F_cctx *lz4_writer;
    LZ4F_dctx *lz4_reader;
    ZSTD_CCtx *zstd_writer;
    ZSTD_DCtx *zstd_reader;
    size_t charged_bytes; /* what lz4 and zstd hold by their own count, charged to the account */
};

static const char *const codec_names[WIRE_CODEC_COUNT] = {"none", "gzip", "snappy", "lz4", "zstd"};

const char *wire_codec_name(wire_codec codec) {
    weir_assert(codec < WIRE_CODEC_COUNT);
    return codec_names[codec];
}

bool wire_codec_of_name(weir_bytes name, wire_codec *codec) {
    for (int i = 0; i < WIRE_CODEC_COUNT; i++) {
        if (weir_bytes_equal_text(name, codec_names[i])) {
            *codec = (wire_codec)i;
            return true;
        }
    }
    *codec = WIRE_CODEC_NONE;
    return weir_bytes_equal_text(name, "uncompressed");
}

wire_compressor *wire_compressor_create(weir_account *account) {
    wire_compressor *compressor = weir_alloc(account, sizeof *compressor);
    compressor->account = account;
    return compressor;
}

void wire_compressor_destroy(wire_compressor *compressor) {
    if (!compressor) return;
    if (compressor->has_deflater) deflateEnd(&compressor->deflater);
    if (compressor->has_inflater) inflateEnd(&compressor->inflater);
    LZ4F_freeCompressionContext(compressor->lz4_writer);
    LZ4F_freeDecompressionContext(compressor->lz4_reader);
    ZSTD_freeCCtx(compressor->zstd_writer);
    ZSTD_freeDCtx(compressor->zstd_reader);
    weir_account_return(compressor->account, compressor->charged_bytes);
    weir_free(compressor->account, compressor);
}

static weir_status no_memory(wire_codec codec) {
    return weir_fail(WEIR_NO_MEMORY, "%s: no memory for its context", wire_codec_name(codec));
}
static weir_status corrupt(wire_codec codec, const char *what) {
    return weir_fail(WEIR_CORRUPT, "%s: %s", wire_codec_name(codec), what);
}
static weir_status full(wire_codec codec, const weir_buffer *target) {
    return weir_fail(WEIR_NO_MEMORY, "%s: the output buffer of at most %zu bytes is full", wire_codec_name(codec),
                     target->max_bytes);
}
static weir_status too_large(wire_codec codec, size_t output_max) {
    return weir_fail(WEIR_CORRUPT, "%s: decompresses to more than %zu bytes", wire_codec_name(codec), output_max);
}

/* zlib allocates through the account. Its state lives as long as the compressor. */
static voidpf zlib_allocate(voidpf account, uInt items, uInt size) {
    return weir_try_alloc_raw(account, (size_t)items * size);
}
static void zlib_free(voidpf account, voidpf memory) {
    weir_free(account, memory);
}

/* lz4 and zstd have no allocator hook in their stable interface: the account is told afterwards what they hold, lz4 by
 * a bound, zstd by its own count. At the account's limit the rest goes untold; it is a few MiB at most. */
static void charge_contexts(wire_compressor *compressor) {
    size_t held = ZSTD_sizeof_CCtx(compressor->zstd_writer) + ZSTD_sizeof_DCtx(compressor->zstd_reader);
    if (compressor->lz4_writer) held += LZ4_WRITER_BYTES;
    if (compressor->lz4_reader) held += LZ4_READER_BYTES;
    if (held <= compressor->charged_bytes) return;
    if (weir_account_charge(compressor->account, held - compressor->charged_bytes)) compressor->charged_bytes = held;
}

/* Room for the next piece of output: what the buffer has, at least STEP_BYTES_MIN, but one byte beyond `left` at most,
 * so that an output that is too large shows itself. */
static uint8_t *reserve_step(weir_buffer *target, size_t produced, size_t left, size_t *room) {
    size_t step = produced < STEP_BYTES_MIN ? STEP_BYTES_MIN : produced;
    if (step > STEP_BYTES_MAX) step = STEP_BYTES_MAX;
    if (step > left + 1) step = left + 1;
    if (target->max_bytes - target->size < step) step = target->max_bytes - target->size;
    *room = step;
    return step ? weir_buffer_reserve(target, step) : NULL;
}

/* ---- gzip -------------------------------------------------------------------------------------------------------- */

static weir_status gzip_compress(wire_compressor *compressor, int level, weir_bytes input, weir_buffer *target) {
    z_stream *stream = &compressor->deflater;
    if (level == WIRE_LEVEL_DEFAULT)
        level = Z_DEFAULT_COMPRESSION;
    else
        level = level < 1 ? 1 : level > 9 ? 9 : level;
    if (compressor->has_deflater && compressor->deflater_level != level) {
        deflateEnd(stream);
        compressor->has_deflater = false;
    }
    if (!compressor->has_deflater) {
        *stream = (z_stream){.zalloc = zlib_allocate, .zfree = zlib_free, .opaque = compressor->account};
        if (deflateInit2(stream, level, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
            return no_memory(WIRE_CODEC_GZIP);
        }
        compressor->has_deflater = true;
        compressor->deflater_level = level;
    }
    deflateReset(stream);
    const size_t bound = deflateBound(stream, input.size);
    uint8_t *at = weir_buffer_reserve(target, bound);
    if (!at || input.size > UINT32_MAX || bound > UINT32_MAX) return full(WIRE_CODEC_GZIP, target);
    stream->next_in = (Bytef *)(uintptr_t)input.data;
    stream->avail_in = (uInt)input.size;
    stream->next_out = at;
    stream->avail_out = (uInt)bound;
    const int result = deflate(stream, Z_FINISH);
    weir_assert(result == Z_STREAM_END);
    target->size += bound - stream->avail_out;
    return weir_ok();
}

/* One step of inflate into fresh room. */
static weir_status gzip_step(z_stream *stream, size_t start, size_t output_max, weir_buffer *target, int *result) {
    size_t room = 0;
    const size_t produced = target->size - start;
    uint8_t *at = reserve_step(target, produced, output_max - produced, &room);
    if (!at) return full(WIRE_CODEC_GZIP, target);
    stream->next_out = at;
    stream->avail_out = (uInt)room;
    *result = inflate(stream, Z_NO_FLUSH);
    target->size += room - stream->avail_out;
    if (target->size - start > output_max) return too_large(WIRE_CODEC_GZIP, output_max);
    if (*result == Z_MEM_ERROR) return no_memory(WIRE_CODEC_GZIP);
    if (*result == Z_OK || *result == Z_STREAM_END || (*result == Z_BUF_ERROR && stream->avail_out == 0))
        return weir_ok();
    return corrupt(WIRE_CODEC_GZIP, *result == Z_BUF_ERROR ? "ends early" : stream->msg ? stream->msg : "damaged");
}

static weir_status gzip_decompress(wire_compressor *compressor, weir_bytes input, size_t output_max,
                                   weir_buffer *target) {
    z_stream *stream = &compressor->inflater;
    if (input.size > UINT32_MAX) return corrupt(WIRE_CODEC_GZIP, "more than 4 GiB");
    if (!compressor->has_inflater) {
        *stream = (z_stream){.zalloc = zlib_allocate, .zfree = zlib_free, .opaque = compressor->account};
        if (inflateInit2(stream, GZIP_WINDOW) != Z_OK) return no_memory(WIRE_CODEC_GZIP);
        compressor->has_inflater = true;
    }
    inflateReset(stream);
    stream->next_in = (Bytef *)(uintptr_t)input.data;
    stream->avail_in = (uInt)input.size;
    const size_t start = target->size;
    for (;;) {
        int result = Z_OK;
        WEIR_TRY(gzip_step(stream, start, output_max, target, &result));
        if (result == Z_STREAM_END) {
            if (stream->avail_in == 0) return weir_ok();
            inflateReset(stream); /* the next member */
        } else if (stream->avail_in == 0 && stream->avail_out > 0) {
            return corrupt(WIRE_CODEC_GZIP, "ends early");
        }
    }
}

/* ---- snappy ------------------------------------------------------------------------------------------------------ */

static weir_status snappy_compress_framed(weir_bytes input, weir_buffer *target) {
    weir_buffer_append(target, xerial_header, sizeof xerial_header);
    for (size_t at = 0; at < input.size; at += XERIAL_BLOCK_BYTES) {
        const size_t block = input.size - at < XERIAL_BLOCK_BYTES ? input.size - at : XERIAL_BLOCK_BYTES;
        size_t room = snappy_max_compressed_length(block);
        uint8_t *out = weir_buffer_reserve(target, 4 + room);
        if (!out) return full(WIRE_CODEC_SNAPPY, target);
        const snappy_status status = snappy_compress((const char *)input.data + at, block, (char *)out + 4, &room);
        weir_assert(status == SNAPPY_OK);
        weir_write_be32(out, (uint32_t)room);
        target->size += 4 + room;
    }
    return target->overflowed ? full(WIRE_CODEC_SNAPPY, target) : weir_ok();
}

static weir_status snappy_decompress_block(weir_bytes block, size_t output_max, weir_buffer *target) {
    size_t length = 0;
    if (snappy_uncompressed_length((const char *)block.data, block.size, &length) != SNAPPY_OK) {
        return corrupt(WIRE_CODEC_SNAPPY, "a block without its length");
    }
    if (length > output_max) return too_large(WIRE_CODEC_SNAPPY, output_max);
    if (length > block.size * SNAPPY_RATIO_MAX)
        return corrupt(WIRE_CODEC_SNAPPY, "a block claims more than it can hold");
    uint8_t *at = weir_buffer_reserve(target, length);
    if (!at && length) return full(WIRE_CODEC_SNAPPY, target);
    char nothing = 0;
    if (snappy_uncompress((const char *)block.data, block.size, at ? (char *)at : &nothing, &length) != SNAPPY_OK) {
        return corrupt(WIRE_CODEC_SNAPPY, "a damaged block");
    }
    target->size += length;
    return weir_ok();
}

static weir_status snappy_decompress(weir_bytes input, size_t output_max, weir_buffer *target) {
    if (input.size < XERIAL_HEADER_BYTES || memcmp(input.data, xerial_header, XERIAL_MAGIC_BYTES) != 0) {
        return snappy_decompress_block(input, output_max, target);
    }
    const size_t start = target->size;
    const uint8_t *at = input.data + XERIAL_HEADER_BYTES, *end = input.data + input.size;
    while (at < end) {
        if (end - at < 4) return corrupt(WIRE_CODEC_SNAPPY, "a block without its size");
        const uint32_t block = weir_read_be32(at);
        at += 4;
        if (block > (size_t)(end - at)) return corrupt(WIRE_CODEC_SNAPPY, "a block longer than the data");
        const size_t left = output_max - (target->size - start);
        WEIR_TRY(snappy_decompress_block(weir_bytes_of(at, block), left, target));
        at += block;
    }
    return weir_ok();
}

/* ---- lz4 --------------------------------------------------------------------------------------------------------- */

static weir_status lz4_compress(wire_compressor *compressor, int level, weir_bytes input, weir_buffer *target) {
    if (!compressor->lz4_writer) {
        if (LZ4F_isError(LZ4F_createCompressionContext(&compressor->lz4_writer, LZ4F_VERSION))) {
            return no_memory(WIRE_CODEC_LZ4);
        }
    }
    LZ4F_preferences_t preferences = {.frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
                                      .autoFlush = 1};
    if (level != WIRE_LEVEL_DEFAULT) {
        preferences.compressionLevel = level < 1                             ? 1
                                       : level > LZ4F_compressionLevel_max() ? LZ4F_compressionLevel_max()
                                                                             : level;
    }
    const size_t bound = LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(input.size, &preferences);
    uint8_t *at = weir_buffer_reserve(target, bound);
    if (!at) return full(WIRE_CODEC_LZ4, target);
    LZ4F_cctx *writer = compressor->lz4_writer;
    size_t wrote = LZ4F_compressBegin(writer, at, bound, &preferences);
    size_t total = wrote;
    if (!LZ4F_isError(wrote))
        wrote = LZ4F_compressUpdate(writer, at + total, bound - total, input.data, input.size, NULL);
    if (!LZ4F_isError(wrote)) {
        total += wrote;
        wrote = LZ4F_compressEnd(writer, at + total, bound - total, NULL);
    }
    if (LZ4F_isError(wrote)) return no_memory(WIRE_CODEC_LZ4);
    target->size += total + wrote;
    return weir_ok();
}

static weir_status lz4_decompress(wire_compressor *compressor, weir_bytes input, size_t output_max,
                                  weir_buffer *target) {
    if (!compressor->lz4_reader) {
        if (LZ4F_isError(LZ4F_createDecompressionContext(&compressor->lz4_reader, LZ4F_VERSION))) {
            return no_memory(WIRE_CODEC_LZ4);
        }
    }
    LZ4F_resetDecompressionContext(compressor->lz4_reader);
    const size_t start = target->size;
    size_t at = 0;
    for (;;) {
        size_t room = 0;
        const size_t produced = target->size - start;
        uint8_t *out = reserve_step(target, produced, output_max - produced, &room);
        if (!out) return full(WIRE_CODEC_LZ4, target);
        size_t wrote = room, taken = input.size - at;
        const size_t hint = LZ4F_decompress(compressor->lz4_reader, out, &wrote, input.data + at, &taken, NULL);
        if (LZ4F_isError(hint)) return corrupt(WIRE_CODEC_LZ4, LZ4F_getErrorName(hint));
        at += taken;
        target->size += wrote;
        if (target->size - start > output_max) return too_large(WIRE_CODEC_LZ4, output_max);
        if (hint == 0 && at == input.size) return weir_ok(); /* a frame ended; another may have followed */
        if (hint != 0 && wrote < room && at == input.size) return corrupt(WIRE_CODEC_LZ4, "ends early");
    }
}

/* ---- zstd -------------------------------------------------------------------------------------------------------- */

static weir_status zstd_compress(wire_compressor *compressor, int level, weir_bytes input, weir_buffer *target) {
    if (!compressor->zstd_writer) compressor->zstd_writer = ZSTD_createCCtx();
    if (!compressor->zstd_writer) return no_memory(WIRE_CODEC_ZSTD);
    if (level == WIRE_LEVEL_DEFAULT) level = ZSTD_CLEVEL_DEFAULT;
    if (level < ZSTD_minCLevel()) level = ZSTD_minCLevel();
    if (level > ZSTD_maxCLevel()) level = ZSTD_maxCLevel();
    const size_t bound = ZSTD_compressBound(input.size);
    uint8_t *at = weir_buffer_reserve(target, bound);
    if (!at) return full(WIRE_CODEC_ZSTD, target);
    const size_t wrote = ZSTD_compressCCtx(compressor->zstd_writer, at, bound, input.data, input.size, level);
    if (ZSTD_isError(wrote)) return no_memory(WIRE_CODEC_ZSTD);
    target->size += wrote;
    return weir_ok();
}

/* Decompresses at once into the buffer, because a stream would first allocate the window that the frame claims (up to
 * 128 MiB). The size of the output is often unknown and never believed: room starts small and doubles, so that the work
 * is at most twice that of the last, whole try. */
static weir_status zstd_decompress(wire_compressor *compressor, weir_bytes input, size_t output_max,
                                   weir_buffer *target) {
    if (!compressor->zstd_reader) compressor->zstd_reader = ZSTD_createDCtx();
    if (!compressor->zstd_reader) return no_memory(WIRE_CODEC_ZSTD);
    const unsigned long long claimed = ZSTD_getFrameContentSize(input.data, input.size);
    if (claimed == ZSTD_CONTENTSIZE_ERROR) return corrupt(WIRE_CODEC_ZSTD, "no frame");
    size_t room = input.size * 4 < ZSTD_RESERVE_MIN ? ZSTD_RESERVE_MIN : input.size * 4;
    if (claimed != ZSTD_CONTENTSIZE_UNKNOWN && claimed < room) room = (size_t)claimed;
    for (;; room *= 2) {
        if (room > output_max) room = output_max;
        uint8_t *at = room ? weir_buffer_reserve(target, room) : (uint8_t *)"";
        if (!at) return full(WIRE_CODEC_ZSTD, target);
        const size_t wrote = ZSTD_decompressDCtx(compressor->zstd_reader, at, room, input.data, input.size);
        if (!ZSTD_isError(wrote)) {
            target->size += wrote;
            return weir_ok();
        }
        if (ZSTD_getErrorCode(wrote) != ZSTD_error_dstSize_tooSmall) {
            return corrupt(WIRE_CODEC_ZSTD, ZSTD_getErrorName(wrote));
        }
        if (room == output_max) return too_large(WIRE_CODEC_ZSTD, output_max);
        if (room == 0) room = ZSTD_RESERVE_MIN / 2; /* a further frame after an empty one */
    }
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

/* A failed call leaves `target` as it was, but for its `overflowed` when the reason is its maximum. */
static weir_status settle(weir_status status, weir_buffer *target, size_t start) {
    if (weir_failed(status)) target->size = start;
    return status;
}

static weir_status compress_with(wire_compressor *compressor, wire_codec codec, int level, weir_bytes input,
                                 weir_buffer *target) {
    switch (codec) {
    case WIRE_CODEC_NONE:
        weir_buffer_append(target, input.data, input.size);
        return target->overflowed ? full(codec, target) : weir_ok();
    case WIRE_CODEC_GZIP: return gzip_compress(compressor, level, input, target);
    case WIRE_CODEC_SNAPPY: return snappy_compress_framed(input, target);
    case WIRE_CODEC_LZ4: return lz4_compress(compressor, level, input, target);
    case WIRE_CODEC_ZSTD: return zstd_compress(compressor, level, input, target);
    case WIRE_CODEC_COUNT: break;
    }
    return weir_fail(WEIR_INVALID, "codec %d: Kafka knows 0 to 4", (int)codec);
}

static weir_status decompress_with(wire_compressor *compressor, wire_codec codec, weir_bytes input, size_t output_max,
                                   weir_buffer *target) {
    switch (codec) {
    case WIRE_CODEC_NONE:
        if (input.size > output_max) return too_large(codec, output_max);
        weir_buffer_append(target, input.data, input.size);
        return target->overflowed ? full(codec, target) : weir_ok();
    case WIRE_CODEC_GZIP: return gzip_decompress(compressor, input, output_max, target);
    case WIRE_CODEC_SNAPPY: return snappy_decompress(input, output_max, target);
    case WIRE_CODEC_LZ4: return lz4_decompress(compressor, input, output_max, target);
    case WIRE_CODEC_ZSTD: return zstd_decompress(compressor, input, output_max, target);
    case WIRE_CODEC_COUNT: break;
    }
    return weir_fail(WEIR_INVALID, "codec %d: Kafka knows 0 to 4", (int)codec);
}

weir_status wire_compress(wire_compressor *compressor, wire_codec codec, int level, weir_bytes input,
                          weir_buffer *target) {
    const size_t start = target->size;
    const weir_status status = settle(compress_with(compressor, codec, level, input, target), target, start);
    charge_contexts(compressor);
    return status;
}

weir_status wire_decompress(wire_compressor *compressor, wire_codec codec, weir_bytes input, size_t output_max,
                            weir_buffer *target) {
    const size_t start = target->size;
    const weir_status status = settle(decompress_with(compressor, codec, input, output_max, target), target, start);
    charge_contexts(compressor);
    return status;
}
