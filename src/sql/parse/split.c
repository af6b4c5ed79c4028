/* Finding the statements of a script: a scan that knows strings, quoted names and comments and nothing else. */
#include "sql/parse/parse.h"

/* The end of what begins at `at` with a quote: behind the closing one, or the script's size. A doubled quote is two
 * quoted texts in a row to this scan, which ends at the same place. */
static uint32_t skip_quoted(weir_bytes script, uint32_t at) {
    const uint8_t *close = memchr(script.data + at + 1, script.data[at], script.size - at - 1);
    return close == NULL ? (uint32_t)script.size : (uint32_t)(close - script.data) + 1;
}

static uint32_t skip_comment(weir_bytes script, uint32_t at) {
    if (script.data[at] == '-') {
        while (at < script.size && script.data[at] != '\n') at++;
        return at;
    }
    for (at += 2; at + 1 < script.size; at++)
        if (script.data[at] == '*' && script.data[at + 1] == '/') return at + 2;
    return (uint32_t)script.size;
}

static bool is_comment(weir_bytes script, uint32_t at) {
    if (at + 1 >= script.size) return false;
    const uint8_t first = script.data[at], second = script.data[at + 1];
    return (first == '-' && second == '-') || (first == '/' && second == '*');
}

static bool is_blank(uint8_t byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

bool sql_split(weir_bytes script, uint32_t *at, sql_piece *piece) {
    weir_assert(script.size < UINT32_MAX);
    uint32_t i = *at, end = 0;
    for (;;) { /* what stands before the statement: blanks, comments, empty statements */
        if (i >= script.size) {
            *at = (uint32_t)script.size;
            return false;
        }
        if (is_blank(script.data[i]) || script.data[i] == ';')
            i++;
        else if (is_comment(script, i))
            i = skip_comment(script, i);
        else
            break;
    }
    *piece = (sql_piece){.offset = i};
    while (i < script.size) {
        const uint8_t byte = script.data[i];
        if (byte == ';') {
            piece->terminated = true;
            end = ++i;
            break;
        }
        if (is_comment(script, i)) {
            i = skip_comment(script, i);
            continue;
        }
        i = byte == '\'' || byte == '"' || byte == '`' ? skip_quoted(script, i) : i + 1;
        if (!is_blank(byte)) end = i;
    }
    piece->size = end - piece->offset;
    *at = i;
    return true;
}
