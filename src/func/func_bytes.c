/* Functions between texts and bytes: hex, utf8, ascii, base64; numbers of fixed width; MD5. */
#include "func/func_int.h"

#include "base/text.h"

#include <strings.h>

typedef const data_vector *const *vectors;

typedef enum coding { CODING_HEX, CODING_UTF8, CODING_ASCII, CODING_BASE64, CODING_NONE } coding;

static coding coding_of(weir_bytes name) {
    static const char *const names[] = {"hex", "utf8", "ascii", "base64"};
    for (int i = 0; i < CODING_NONE; i++) {
        if (name.size == strlen(names[i]) && strncasecmp((const char *)name.data, names[i], name.size) == 0)
            return (coding)i;
    }
    return CODING_NONE;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "0xAB", "X'AB'" and "AB"; an odd number of digits has a zero before it. */
static bool from_hex(weir_bytes text, uint8_t *target, size_t *size) {
    if (text.size >= 3 && (text.data[0] | 0x20) == 'x' && text.data[1] == '\'' && text.data[text.size - 1] == '\'')
        text = (weir_bytes){text.data + 2, text.size - 3};
    else if (text.size >= 2 && text.data[0] == '0' && (text.data[1] | 0x20) == 'x')
        text = (weir_bytes){text.data + 2, text.size - 2};
    size_t at = 0, made = 0;
    if (text.size % 2) {
        const int digit = hex_digit(text.data[at++]);
        if (digit < 0) return false;
        target[made++] = (uint8_t)digit;
    }
    for (; at < text.size; at += 2) {
        const int high = hex_digit(text.data[at]), low = hex_digit(text.data[at + 1]);
        if (high < 0 || low < 0) return false;
        target[made++] = (uint8_t)(high << 4 | low);
    }
    *size = made;
    return true;
}

/* Text in a coding to the bytes it stands for; room for text.size + 4. */
static bool decode(coding from, weir_bytes text, uint8_t *target, size_t *size) {
    switch (from) {
    case CODING_HEX: return from_hex(text, target, size);
    case CODING_BASE64: return data_base64_decode(text, target, size);
    case CODING_ASCII: {
        size_t made = 0;
        for (size_t i = 0; i < text.size; i++) { /* what is not ASCII is a question mark, once a character */
            if ((text.data[i] & 0xC0) == 0x80) continue;
            target[made++] = text.data[i] < 0x80 ? text.data[i] : '?';
        }
        *size = made;
        return true;
    }
    default:
        if (text.size) memcpy(target, text.data, text.size);
        *size = text.size;
        return true;
    }
}

/* Bytes as text in a coding; room for 3 * bytes.size + 4. */
static bool encode(coding into, weir_bytes bytes, uint8_t *target, size_t *size) {
    static const char digits[] = "0123456789abcdef";
    *size = bytes.size;
    switch (into) {
    case CODING_HEX:
        for (size_t i = 0; i < bytes.size; i++) {
            target[i * 2] = (uint8_t)digits[bytes.data[i] >> 4];
            target[i * 2 + 1] = (uint8_t)digits[bytes.data[i] & 15];
        }
        *size = bytes.size * 2;
        return true;
    case CODING_BASE64:
        *size = data_base64_encoded_bytes(bytes.size);
        data_base64_encode(bytes, (char *)target);
        return true;
    case CODING_ASCII:
        *size = 0;
        for (size_t i = 0; i < bytes.size; i++) {
            if (bytes.data[i] < 0x80) {
                target[(*size)++] = bytes.data[i];
            } else {
                memcpy(target + *size, "\xef\xbf\xbd", 3);
                *size += 3;
            }
        }
        return true;
    default:
        if (bytes.size) memcpy(target, bytes.data, bytes.size);
        return weir_utf8_valid(bytes);
    }
}

/* ENCODE(text, from, into), TO_BYTES(text, from), FROM_BYTES(bytes, into). */
static weir_status recode(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                          const data_selection *selection, data_vector *result) {
    const bool from_bytes = arguments[0]->type->kind == DATA_BYTES, into_bytes = result->type->kind == DATA_BYTES;
    FUNC_ROWS(selection, row) {
        const weir_bytes text = func_text(arguments[0], row);
        const coding from = from_bytes ? CODING_UTF8 : coding_of(func_text(arguments[1], row));
        const coding into = into_bytes ? CODING_UTF8 : coding_of(func_text(arguments[count - 1], row));
        if (from == CODING_NONE || into == CODING_NONE) {
            func_row_error(run, row, "Unsupported encoding: %s knows hex, utf8, ascii and base64", overload->name);
            continue;
        }
        uint8_t *bytes = weir_arena_try(run->arena, text.size + 4);
        uint8_t *target = into_bytes ? bytes : weir_arena_try(run->arena, text.size * 3 + 8);
        size_t size = text.size;
        if (!bytes || !target) return func_no_memory();
        bool good = true;
        if (from_bytes) memcpy(bytes, text.data, text.size);
        else good = decode(from, text, bytes, &size);
        if (good && !into_bytes) good = encode(into, weir_bytes_of(bytes, size), target, &size);
        for (size_t i = 0; good && from_bytes && into == CODING_HEX && i < size; i++)
            if (target[i] >= 'a') target[i] = (uint8_t)(target[i] - 32); /* FROM_BYTES writes capital letters */
        if (good) func_set_text(result, row, target, size);
        else func_row_error(run, row, "%s: the text is not of that encoding", overload->name);
    }
    return weir_ok();
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static weir_status number_of(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                             const data_selection *selection, data_vector *result) {
    const unsigned width = data_kind_width(result->type->kind);
    FUNC_ROWS(selection, row) {
        const weir_bytes bytes = func_text(arguments[0], row);
        const weir_bytes order = count > 1 ? func_text(arguments[1], row) : weir_bytes_text("BIG_ENDIAN");
        const bool little = weir_bytes_equal_text(order, "LITTLE_ENDIAN");
        if (!little && !weir_bytes_equal_text(order, "BIG_ENDIAN")) {
            func_row_error(run, row, "Byte order must be BIG_ENDIAN or LITTLE_ENDIAN");
        } else if (bytes.size != width) {
            func_row_error(run, row, "Number of bytes must be equal to %u, but found %zu: %s", width, bytes.size,
                           overload->name);
        } else {
            uint8_t value[8];
            for (unsigned i = 0; i < width; i++) value[i] = bytes.data[little ? i : width - 1 - i];
            memcpy((uint8_t *)result->values + (size_t)row * width, value, width);
        }
    }
    return weir_ok();
}

/* ---- MD5 (RFC 1321) ---------------------------------------------------------------------------------------------- */

static void md5_block(uint32_t state[4], const uint8_t *block) {
    static const uint32_t sines[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
        0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
        0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
        0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
        0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
        0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
        0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
    static const uint8_t shifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t words[16], a = state[0], b = state[1], c = state[2], d = state[3];
    memcpy(words, block, 64);
    for (unsigned i = 0; i < 64; i++) {
        const unsigned round = i / 16;
        const uint32_t mixed = round == 0   ? (b & c) | (~b & d)
                               : round == 1 ? (d & b) | (~d & c)
                               : round == 2 ? b ^ c ^ d
                                            : c ^ (b | ~d);
        const unsigned word = (round == 0 ? i : round == 1 ? 5 * i + 1 : round == 2 ? 3 * i + 5 : 7 * i) % 16;
        const uint32_t sum = a + mixed + sines[i] + words[word];
        const unsigned shift = shifts[round][i % 4];
        a = d;
        d = c;
        c = b;
        b += sum << shift | sum >> (32 - shift);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

static void md5(weir_bytes text, uint8_t digest[16]) {
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    size_t at = 0;
    for (; text.size - at >= 64; at += 64) md5_block(state, text.data + at);
    uint8_t tail[128] = {0};
    const size_t rest = text.size - at, blocks = rest < 56 ? 64 : 128;
    const uint64_t bits = (uint64_t)text.size * 8;
    if (rest) memcpy(tail, text.data + at, rest);
    tail[rest] = 0x80;
    memcpy(tail + blocks - 8, &bits, 8);
    md5_block(state, tail);
    if (blocks == 128) md5_block(state, tail + 64);
    memcpy(digest, state, 16);
}

static weir_status md5_text(func_run_context *run, const func_overload *overload, vectors arguments, uint32_t count,
                            const data_selection *selection, data_vector *result) {
    (void)overload, (void)count;
    FUNC_ROWS(selection, row) {
        uint8_t digest[16], text[32];
        size_t size;
        md5(func_text(arguments[0], row), digest);
        encode(CODING_HEX, weir_bytes_of(digest, sizeof digest), text, &size);
        if (!func_put_text(run, result, row, text, size)) return func_no_memory();
    }
    return weir_ok();
}

/* ---- catalogue --------------------------------------------------------------------------------------------------- */

#define BYTES(name, category, about, arguments, result, body)                                                          \
    { name, category, about, arguments, result, 0, body, NULL, NULL }

static const func_overload overloads[] = {
    BYTES("ENCODE", "STRING", "a text in another encoding: hex, utf8, ascii, base64", "STRING, STRING, STRING",
          "STRING", recode),
    BYTES("TO_BYTES", "STRING", "the bytes of a text in an encoding", "STRING, STRING", "BYTES", recode),
    BYTES("FROM_BYTES", "STRING", "bytes as text in an encoding", "BYTES, STRING", "STRING", recode),
    BYTES("BIGINT_FROM_BYTES", "CONVERSIONS", "a number from 8 bytes", "BYTES", "BIGINT", number_of),
    BYTES("BIGINT_FROM_BYTES", "CONVERSIONS", "a number from 8 bytes in an order", "BYTES, STRING", "BIGINT",
          number_of),
    BYTES("DOUBLE_FROM_BYTES", "CONVERSIONS", "a number from 8 bytes", "BYTES", "DOUBLE", number_of),
    BYTES("DOUBLE_FROM_BYTES", "CONVERSIONS", "a number from 8 bytes in an order", "BYTES, STRING", "DOUBLE",
          number_of),
    BYTES("INT_FROM_BYTES", "CONVERSIONS", "a number from 4 bytes", "BYTES", "INTEGER", number_of),
    BYTES("INT_FROM_BYTES", "CONVERSIONS", "a number from 4 bytes in an order", "BYTES, STRING", "INTEGER", number_of),
    BYTES("MD5", "STRING", "the MD5 digest in hex", "STRING", "STRING", md5_text),
};
const func_family func_family_bytes = {overloads, sizeof overloads / sizeof *overloads};
