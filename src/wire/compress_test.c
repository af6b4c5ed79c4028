/* Goal: every codec gives back what it took, reads what other clients write, and no input makes it allocate or write
 * beyond what it was allowed.
 * Method: inputs of many shapes and sizes make the round trip at several levels; foreign framings are put together by
 * hand; every compressed form is cut at every byte and mutated; bombs are held against their output limit and against
 * the account's peak. */
#include "wire/compress.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { OUTPUT_MAX = 4 << 20 };

typedef struct test_bench {
    weir_account account;
    wire_compressor *compressor;
    weir_buffer plain, packed, unpacked;
} test_bench;

static int bench_open(void **state) {
    static test_bench bench;
    weir_account_init(&bench.account, "compress test", 0);
    bench.compressor = wire_compressor_create(&bench.account);
    weir_buffer_init(&bench.plain, &bench.account, OUTPUT_MAX);
    weir_buffer_init(&bench.packed, &bench.account, OUTPUT_MAX);
    weir_buffer_init(&bench.unpacked, &bench.account, OUTPUT_MAX);
    *state = &bench;
    return 0;
}

static int bench_close(void **state) {
    test_bench *bench = *state;
    wire_compressor_destroy(bench->compressor);
    weir_buffer_deinit(&bench->plain);
    weir_buffer_deinit(&bench->packed);
    weir_buffer_deinit(&bench->unpacked);
    weir_account_deinit(&bench->account);
    return 0;
}

static void assert_ok(weir_status status) {
    if (weir_failed(status)) fail_msg("%s: %s", weir_code_name(status.code), status.text);
}

static uint32_t next(uint32_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

/* `size` bytes: text-like for kind 0, zeros for 1, noise for 2. */
static void fill(weir_buffer *buffer, size_t size, int kind, uint32_t seed) {
    weir_buffer_clear(buffer);
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = kind == 0   ? (uint8_t) "clickstream,user,42,/home\n"[next(&seed) % 4 + i % 22]
                             : kind == 1 ? 0
                                         : (uint8_t)next(&seed);
        weir_buffer_append_byte(buffer, byte);
    }
}

static void pack(test_bench *bench, wire_codec codec, int level) {
    weir_buffer_clear(&bench->packed);
    assert_ok(wire_compress(bench->compressor, codec, level, weir_buffer_view(&bench->plain), &bench->packed));
}

static weir_status unpack(test_bench *bench, wire_codec codec, weir_bytes input, size_t output_max) {
    weir_buffer_clear(&bench->unpacked);
    return wire_decompress(bench->compressor, codec, input, output_max, &bench->unpacked);
}

static void assert_same(const test_bench *bench) {
    assert_true(weir_bytes_equal(weir_buffer_view(&bench->plain), weir_buffer_view(&bench->unpacked)));
}

static void every_codec_gives_back_what_it_took(void **state) {
    test_bench *bench = *state;
    const size_t sizes[] = {0, 1, 100, 32768, 32769, 70000, 1000000};
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (int kind = 0; kind < 3; kind++) {
                fill(&bench->plain, sizes[i], kind, 7);
                pack(bench, (wire_codec)codec, WIRE_LEVEL_DEFAULT);
                /* Exactly as much as it is must be enough, and one byte less too little. */
                assert_ok(unpack(bench, (wire_codec)codec, weir_buffer_view(&bench->packed), sizes[i]));
                assert_same(bench);
                if (sizes[i] == 0) continue;
                const weir_status status =
                    unpack(bench, (wire_codec)codec, weir_buffer_view(&bench->packed), sizes[i] - 1);
                assert_int_equal(status.code, WEIR_CORRUPT);
                assert_non_null(strstr(status.text, "decompresses to more than"));
                assert_int_equal(bench->unpacked.size, 0);
            }
        }
    }
}

static void levels_are_clamped_and_reused(void **state) {
    test_bench *bench = *state;
    const int levels[] = {-1000000, -1, 0, 1, 5, 9, 12, 22, 1000000, 1};
    fill(&bench->plain, 50000, 0, 3);
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++) {
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
            pack(bench, (wire_codec)codec, levels[i]);
            assert_ok(unpack(bench, (wire_codec)codec, weir_buffer_view(&bench->packed), OUTPUT_MAX));
            assert_same(bench);
        }
    }
}

static void output_is_appended_behind_what_is_there(void **state) {
    test_bench *bench = *state;
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++) {
        fill(&bench->plain, 1000, 0, 5);
        weir_buffer_clear(&bench->packed);
        weir_buffer_append_text(&bench->packed, "ab");
        assert_ok(wire_compress(bench->compressor, (wire_codec)codec, WIRE_LEVEL_DEFAULT,
                                weir_buffer_view(&bench->plain), &bench->packed));
        weir_buffer_clear(&bench->unpacked);
        weir_buffer_append_text(&bench->unpacked, "xyz");
        assert_ok(wire_decompress(bench->compressor, (wire_codec)codec,
                                  weir_bytes_of(bench->packed.data + 2, bench->packed.size - 2), OUTPUT_MAX,
                                  &bench->unpacked));
        assert_memory_equal(bench->unpacked.data, "xyz", 3);
        weir_buffer_consume(&bench->unpacked, 3);
        assert_same(bench);
    }
}

/* librdkafka and others write one raw block, without the xerial frame: length 5, literal of 5. */
static void raw_snappy_is_read_too(void **state) {
    test_bench *bench = *state;
    const uint8_t raw[] = {5, 4 << 2, 'h', 'e', 'l', 'l', 'o'};
    assert_ok(unpack(bench, WIRE_CODEC_SNAPPY, weir_bytes_of(raw, sizeof raw), OUTPUT_MAX));
    assert_true(weir_bytes_equal_text(weir_buffer_view(&bench->unpacked), "hello"));
}

static void snappy_is_written_in_javas_frame(void **state) {
    test_bench *bench = *state;
    const uint8_t expected[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,      0,   0,   0,   1,   0,  0,
                                0,    1,   0,   0,   0,   7,   5,   4 << 2, 'h', 'e', 'l', 'l', 'o'};
    weir_buffer_clear(&bench->plain);
    weir_buffer_append_text(&bench->plain, "hello");
    pack(bench, WIRE_CODEC_SNAPPY, WIRE_LEVEL_DEFAULT);
    assert_int_equal(bench->packed.size, sizeof expected);
    assert_memory_equal(bench->packed.data, expected, sizeof expected);
}

/* Java's reader refuses linked blocks; the descriptor says version 1, independent blocks, 64 KiB. */
static void lz4_is_written_as_java_reads_it(void **state) {
    test_bench *bench = *state;
    const uint8_t expected[] = {0x04, 0x22, 0x4d, 0x18, 0x60, 0x40};
    fill(&bench->plain, 200000, 0, 9);
    pack(bench, WIRE_CODEC_LZ4, WIRE_LEVEL_DEFAULT);
    assert_memory_equal(bench->packed.data, expected, sizeof expected);
}

/* Frames and members that follow one another are one output. */
static void concatenated_frames_are_read_on(void **state) {
    test_bench *bench = *state;
    const wire_codec codecs[] = {WIRE_CODEC_GZIP, WIRE_CODEC_LZ4, WIRE_CODEC_ZSTD};
    for (size_t i = 0; i < 3; i++) {
        weir_buffer_clear(&bench->packed);
        assert_ok(
            wire_compress(bench->compressor, codecs[i], WIRE_LEVEL_DEFAULT, weir_bytes_text("one "), &bench->packed));
        assert_ok(
            wire_compress(bench->compressor, codecs[i], WIRE_LEVEL_DEFAULT, weir_bytes_text("two"), &bench->packed));
        assert_ok(unpack(bench, codecs[i], weir_buffer_view(&bench->packed), OUTPUT_MAX));
        assert_true(weir_bytes_equal_text(weir_buffer_view(&bench->unpacked), "one two"));
    }
}

/* Megabytes of zeros in a few bytes: refused at the limit, and never much memory beyond it. */
static void bombs_stop_at_the_limit(void **state) {
    test_bench *bench = *state;
    fill(&bench->plain, OUTPUT_MAX / 2, 1, 1);
    for (int codec = WIRE_CODEC_GZIP; codec < WIRE_CODEC_COUNT; codec++) {
        pack(bench, (wire_codec)codec, WIRE_LEVEL_DEFAULT);
        weir_account account;
        weir_account_init(&account, "bomb", 0);
        weir_buffer target;
        weir_buffer_init(&target, &account, OUTPUT_MAX);
        const weir_status status =
            wire_decompress(bench->compressor, (wire_codec)codec, weir_buffer_view(&bench->packed), 64 << 10, &target);
        assert_int_equal(status.code, WEIR_CORRUPT);
        assert_true(account.peak_bytes < 512 << 10);
        weir_buffer_deinit(&target);
        weir_account_deinit(&account);
    }
}

/* A block that claims 1 GiB in twelve bytes, allowed by the limit but not by snappy. */
static void a_claimed_length_is_not_believed(void **state) {
    test_bench *bench = *state;
    const uint8_t claim[] = {0x80, 0x80, 0x80, 0x80, 0x04, 4 << 2, 'h', 'e', 'l', 'l', 'o'};
    weir_account account;
    weir_account_init(&account, "claim", 0);
    weir_buffer target;
    weir_buffer_init(&target, &account, (size_t)2 << 30);
    const weir_status status = wire_decompress(bench->compressor, WIRE_CODEC_SNAPPY, weir_bytes_of(claim, sizeof claim),
                                               (size_t)2 << 30, &target);
    assert_int_equal(status.code, WEIR_CORRUPT);
    assert_int_equal(account.peak_bytes, 0);
    weir_buffer_deinit(&target);
    weir_account_deinit(&account);
}

static void a_full_target_is_told_and_kept(void **state) {
    test_bench *bench = *state;
    fill(&bench->plain, 5000, 2, 11);
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++) {
        pack(bench, (wire_codec)codec, WIRE_LEVEL_DEFAULT);
        weir_buffer small;
        weir_buffer_init(&small, &bench->account, 1000);
        weir_buffer_append_text(&small, "kept");
        assert_int_equal(
            wire_decompress(bench->compressor, (wire_codec)codec, weir_buffer_view(&bench->packed), OUTPUT_MAX, &small)
                .code,
            WEIR_NO_MEMORY);
        assert_int_equal(small.size, 4);
        weir_buffer_clear(&small);
        assert_int_equal(wire_compress(bench->compressor, (wire_codec)codec, WIRE_LEVEL_DEFAULT,
                                       weir_buffer_view(&bench->plain), &small)
                             .code,
                         WEIR_NO_MEMORY);
        assert_int_equal(small.size, 0);
        weir_buffer_deinit(&small);
    }
}

/* gzip, lz4 and zstd know their end. snappy's frame may end after any block: there a cut is a shorter output or damage.
 */
static void cuts_are_damage(void **state) {
    test_bench *bench = *state;
    fill(&bench->plain, 3000, 0, 13);
    for (int codec = WIRE_CODEC_GZIP; codec < WIRE_CODEC_COUNT; codec++) {
        pack(bench, (wire_codec)codec, WIRE_LEVEL_DEFAULT);
        for (size_t cut = 0; cut < bench->packed.size; cut++) {
            uint8_t *copy = weir_alloc(&bench->account, cut + 1); /* exact, for the address sanitizer */
            memcpy(copy + 1, bench->packed.data, cut);
            const weir_status status = unpack(bench, (wire_codec)codec, weir_bytes_of(copy + 1, cut), OUTPUT_MAX);
            const bool may_end = codec == WIRE_CODEC_SNAPPY && cut == 16;
            if (!may_end && status.code != WEIR_CORRUPT) {
                fail_msg("%s cut at %zu of %zu: %s", wire_codec_name((wire_codec)codec), cut, bench->packed.size,
                         weir_code_name(status.code));
            }
            weir_free(&bench->account, copy);
        }
    }
}

static void mutations_do_no_harm(void **state) {
    test_bench *bench = *state;
    uint32_t seed = 99;
    int refused = 0;
    for (int codec = WIRE_CODEC_GZIP; codec < WIRE_CODEC_COUNT; codec++) {
        for (int round = 0; round < 2000; round++) {
            fill(&bench->plain, 1 + next(&seed) % 3000, 0, next(&seed) | 1);
            pack(bench, (wire_codec)codec, WIRE_LEVEL_DEFAULT);
            for (int flips = 0; flips < 3; flips++) {
                bench->packed.data[next(&seed) % bench->packed.size] = (uint8_t)next(&seed);
            }
            const weir_status status = unpack(bench, (wire_codec)codec, weir_buffer_view(&bench->packed), 1 << 20);
            assert_true(status.code == WEIR_OK || status.code == WEIR_CORRUPT);
            assert_true(bench->unpacked.size <= 1 << 20);
            refused += weir_failed(status);
        }
    }
    assert_true(refused > 4000);
    /* The contexts still work after all that. */
    for (int codec = WIRE_CODEC_GZIP; codec < WIRE_CODEC_COUNT; codec++) {
        pack(bench, (wire_codec)codec, WIRE_LEVEL_DEFAULT);
        assert_ok(unpack(bench, (wire_codec)codec, weir_buffer_view(&bench->packed), OUTPUT_MAX));
        assert_same(bench);
    }
}

static void codecs_have_kafkas_names(void **state) {
    (void)state;
    for (int codec = 0; codec < WIRE_CODEC_COUNT; codec++) {
        wire_codec found = WIRE_CODEC_COUNT;
        assert_true(wire_codec_of_name(weir_bytes_text(wire_codec_name((wire_codec)codec)), &found));
        assert_int_equal(found, codec);
    }
    wire_codec codec = WIRE_CODEC_GZIP;
    assert_true(wire_codec_of_name(weir_bytes_text("uncompressed"), &codec));
    assert_int_equal(codec, WIRE_CODEC_NONE);
    assert_false(wire_codec_of_name(weir_bytes_text("producer"), &codec));
}

int main(void) {
#define STORY(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)
    const struct CMUnitTest tests[] = {
        STORY(every_codec_gives_back_what_it_took),
        STORY(levels_are_clamped_and_reused),
        STORY(output_is_appended_behind_what_is_there),
        STORY(raw_snappy_is_read_too),
        STORY(snappy_is_written_in_javas_frame),
        STORY(lz4_is_written_as_java_reads_it),
        STORY(concatenated_frames_are_read_on),
        STORY(bombs_stop_at_the_limit),
        STORY(a_claimed_length_is_not_believed),
        STORY(a_full_target_is_told_and_kept),
        STORY(cuts_are_damage),
        STORY(mutations_do_no_harm),
        STORY(codecs_have_kafkas_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
