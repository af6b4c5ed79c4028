/* A mutator for texts: it puts words of a language in the place of what is there, or begins anew with words alone,
 * which takes the place of a stored corpus. Every few inputs the fuzzer's own mutator has its turn. */
#ifndef WEIR_FUZZ_WORDS_H
#define WEIR_FUZZ_WORDS_H

#include "base/bytes.h"

#include <stdio.h>

enum { FUZZ_WAYS = 4, FUZZ_FRESH_WORDS = 24, FUZZ_CUT_BYTES = 12 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static inline size_t fuzz_draw(unsigned *seed, size_t below) {
    *seed = *seed * 1103515245u + 12345u;
    return below ? (*seed >> 8) % below : 0;
}

/* The first `head` bytes are choices of the target's and never words. */
static inline size_t fuzz_mutate_words(uint8_t *data, size_t size, size_t max_size, unsigned seed, size_t head,
                                       const char *const *words, size_t word_count) {
    const size_t way = fuzz_draw(&seed, FUZZ_WAYS);
    if (way == 0 || max_size < head) return LLVMFuzzerMutate(data, size, max_size);
    if (way == 1 || size < head) {
        for (size_t i = 0; i < head; i++) data[i] = (uint8_t)fuzz_draw(&seed, 256);
        size = head;
    }
    const bool is_fresh = size == head;
    const size_t changes = is_fresh ? 1 + fuzz_draw(&seed, FUZZ_FRESH_WORDS) : 1 + fuzz_draw(&seed, 3);
    for (size_t i = 0; i < changes; i++) {
        const char *word = words[fuzz_draw(&seed, word_count)];
        const size_t length = strlen(word), at = is_fresh ? size : head + fuzz_draw(&seed, size - head + 1);
        const size_t most = size - at < FUZZ_CUT_BYTES ? size - at : FUZZ_CUT_BYTES;
        const size_t cut = fuzz_draw(&seed, most + 1);
        if (size - cut + length > max_size) break;
        memmove(data + at + length, data + at + cut, size - at - cut);
        memcpy(data + at, word, length);
        size += length - cut;
    }
    return size;
}

#endif
