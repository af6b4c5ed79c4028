/* Goal: every line of a followed file comes out once and in order, whatever is done to the file.
 * Method: a folder on the real disk; each story writes, renames, truncates as log writers and logrotate do, polls
 * between the steps, and compares the lines seen with the lines written. Restarts go through the position text. */
#include "connect/file/file.h"

#include "io/real/io_real.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct story {
    io_real *real;
    weir_account account;
    char folder[64];
    char path[96];
    weir_setting settings[4];
    size_t setting_count;
    void *source;
    char seen[1 << 16]; /* lines polled so far, each followed by '|' */
    size_t seen_size;
    connect_record *records;
} story;

static void append_to(const char *path, const char *text) {
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    fclose(file);
}

static void open_at(story *s, const char *position) {
    const connect_settings settings = {s->settings, s->setting_count};
    const weir_status status =
        connect_file_source.open(&connect_file_source, io_real_world(s->real), &s->account, &settings,
                                 weir_bytes_text(position), &s->source);
    if (weir_failed(status)) fail_msg("%s", status.text);
}

static void poll_times(story *s, int times) {
    for (int turn = 0; turn < times; turn++) {
        uint32_t count = 0;
        int64_t wait_ms = 0;
        const weir_status status =
            connect_file_source.poll(s->source, s->records, CONNECT_POLL_RECORDS_MAX, &count, &wait_ms);
        if (weir_failed(status)) assert_int_equal(status.code, WEIR_NOT_FOUND);
        for (uint32_t i = 0; i < count; i++) {
            const weir_bytes line = s->records[i].value;
            assert_true(s->seen_size + line.size + 2 < sizeof s->seen);
            memcpy(s->seen + s->seen_size, line.data, line.size);
            s->seen_size += line.size;
            s->seen[s->seen_size++] = '|';
        }
    }
    s->seen[s->seen_size] = 0;
}

/* Closes as a stop or a crash after a commit would, and goes on from the position. */
static void restart(story *s) {
    weir_buffer text;
    weir_buffer_init(&text, &s->account, CONNECT_POSITION_BYTES_MAX);
    assert_false(weir_failed(connect_file_source.position(s->source, &text)));
    connect_file_source.close(s->source);
    open_at(s, weir_buffer_text(&text));
    weir_buffer_deinit(&text);
}

static int begin(void **state) {
    static story here;
    story *s = &here;
    memset(s, 0, sizeof *s);
    snprintf(s->folder, sizeof s->folder, "/tmp/weir-file-test-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->path, sizeof s->path, "%.63s/access.log", s->folder);
    weir_account_init(&s->account, "test", 0);
    s->records = weir_alloc(&s->account, sizeof *s->records * CONNECT_POLL_RECORDS_MAX);
    const io_real_config config = {.workers = 1};
    assert_false(weir_failed(io_real_start(&s->real, &config)));
    s->settings[0] = (weir_setting){"path", s->path};
    s->settings[1] = (weir_setting){"rotation.wait.ms", "0"};
    s->setting_count = 2;
    *state = s;
    return 0;
}

static int end(void **state) {
    story *s = *state;
    if (s->source) connect_file_source.close(s->source);
    weir_free(&s->account, s->records);
    weir_account_deinit(&s->account);
    io_real_destroy(s->real);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", s->folder);
    assert_int_equal(system(command), 0);
    return 0;
}

static void a_file_that_appears_later_and_grows(void **state) {
    story *s = *state;
    open_at(s, "");
    poll_times(s, 1);
    assert_string_equal(s->seen, "");
    append_to(s->path, "one\ntwo\r\n\nthr");
    poll_times(s, 1);
    assert_string_equal(s->seen, "one|two||");
    append_to(s->path, "ee\n");
    poll_times(s, 1);
    assert_string_equal(s->seen, "one|two||three|");
}

static void starting_at_the_end_skips_what_was_there(void **state) {
    story *s = *state;
    s->settings[s->setting_count++] = (weir_setting){"start", "end"};
    append_to(s->path, "old\n");
    open_at(s, "");
    poll_times(s, 1);
    append_to(s->path, "new\n");
    poll_times(s, 1);
    assert_string_equal(s->seen, "new|");
}

static void a_restart_goes_on_behind_the_last_polled_line(void **state) {
    story *s = *state;
    append_to(s->path, "one\ntwo\nhalf");
    open_at(s, "");
    poll_times(s, 1);
    restart(s);
    poll_times(s, 1);
    append_to(s->path, " a line\n");
    poll_times(s, 1);
    assert_string_equal(s->seen, "one|two|half a line|");
}

static void rotation_reads_the_old_file_to_its_end_first(void **state) {
    story *s = *state;
    char rotated[128];
    snprintf(rotated, sizeof rotated, "%s.1", s->path);
    append_to(s->path, "one\n");
    open_at(s, "");
    poll_times(s, 1);
    assert_int_equal(rename(s->path, rotated), 0);
    append_to(rotated, "two\nlast without end");
    append_to(s->path, "three\n");
    poll_times(s, 4);
    assert_string_equal(s->seen, "one|two|last without end|three|");
}

static void rotation_while_nobody_watched(void **state) {
    story *s = *state;
    char rotated[128];
    snprintf(rotated, sizeof rotated, "%s.1", s->path);
    append_to(s->path, "one\ntwo\n");
    open_at(s, "");
    poll_times(s, 1);
    append_to(s->path, "three\n");
    assert_int_equal(rename(s->path, rotated), 0);
    append_to(s->path, "four\n");
    restart(s);
    poll_times(s, 4);
    assert_string_equal(s->seen, "one|two|three|four|");
}

static void truncation_starts_from_the_top(void **state) {
    story *s = *state;
    append_to(s->path, "one\ntwo\n");
    open_at(s, "");
    poll_times(s, 1);
    assert_int_equal(truncate(s->path, 0), 0);
    append_to(s->path, "three\n");
    poll_times(s, 3);
    assert_string_equal(s->seen, "one|two|three|");
}

/* The inode and even the size are as before, but it is another file: the head tells. */
static void a_replaced_content_of_the_same_inode_is_a_new_file(void **state) {
    story *s = *state;
    append_to(s->path, "one\ntwo\n");
    open_at(s, "");
    poll_times(s, 1);
    assert_int_equal(truncate(s->path, 0), 0);
    append_to(s->path, "ONE\nTWO\nTHREE\n");
    restart(s);
    poll_times(s, 3);
    assert_string_equal(s->seen, "one|two|ONE|TWO|THREE|");
}

static void a_line_too_long_becomes_several_records(void **state) {
    story *s = *state;
    s->settings[s->setting_count++] = (weir_setting){"line.bytes.max", "4"};
    append_to(s->path, "abcdefghij\nxy\n");
    open_at(s, "");
    poll_times(s, 1);
    assert_string_equal(s->seen, "abcd|efgh|ij|xy|");
}

static void positions_travel_as_headers(void **state) {
    story *s = *state;
    s->settings[s->setting_count++] = (weir_setting){"headers", "position"};
    append_to(s->path, "one\ntwo\n");
    open_at(s, "");
    uint32_t count = 0;
    int64_t wait_ms;
    assert_false(weir_failed(connect_file_source.poll(s->source, s->records, 10, &count, &wait_ms)));
    assert_int_equal(count, 2);
    const uint8_t expected[] = "\x02\x1aweir.position\x02" "4";
    assert_int_equal(s->records[1].headers.size, sizeof expected - 1);
    assert_memory_equal(s->records[1].headers.data, expected, sizeof expected - 1);
}

static void a_damaged_position_is_refused(void **state) {
    story *s = *state;
    const connect_settings settings = {s->settings, s->setting_count};
    const weir_status status = connect_file_source.open(&connect_file_source, io_real_world(s->real), &s->account,
                                                        &settings, weir_bytes_text("v9 rubbish"), &s->source);
    assert_int_equal(status.code, WEIR_CORRUPT);
    s->source = NULL;
}

#define story_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        story_test(a_file_that_appears_later_and_grows),
        story_test(starting_at_the_end_skips_what_was_there),
        story_test(a_restart_goes_on_behind_the_last_polled_line),
        story_test(rotation_reads_the_old_file_to_its_end_first),
        story_test(rotation_while_nobody_watched),
        story_test(truncation_starts_from_the_top),
        story_test(a_replaced_content_of_the_same_inode_is_a_new_file),
        story_test(a_line_too_long_becomes_several_records),
        story_test(positions_travel_as_headers),
        story_test(a_damaged_position_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
