/* bus/conformance - what every bus must do, told as stories; included by the tests of bus/embedded and bus/kafka alone.
 *
 * The harness gives the bus, a lane of its own for the stories, and `run`, which lets the world go on until a flag is
 * set. Each story uses topics of its own, whose names begin with the story's. */
#ifndef WEIR_BUS_CONFORMANCE_TEST_H
#define WEIR_BUS_CONFORMANCE_TEST_H

#include "base/hash.h"
#include "bus/bus.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct bus_story bus_story;
struct bus_story {
    bus *bus;
    const io_world *world;
    io_lane *lane;
    void (*run)(bus_story *story, const bool *flag);   /* until *flag */
    void *harness;
};

typedef struct bus_answer {
    bool done;
    weir_code code;
    bus_topic_info info;
    int64_t offset;
} bus_answer;

static void bus_story_info(void *arg, weir_status status, const bus_topic_info *info) {
    bus_answer *answer = arg;
    answer->code = status.code;
    answer->info = *info;
    answer->done = true;
}
static void bus_story_offset(void *arg, weir_status status, int64_t offset) {
    bus_answer *answer = arg;
    answer->code = status.code;
    answer->offset = offset;
    answer->done = true;
}
static void bus_story_plain(void *arg, weir_status status) {
    bus_answer *answer = arg;
    answer->code = status.code;
    answer->done = true;
}

static bus_answer bus_story_create(bus_story *story, const char *topic, int32_t partitions) {
    static const char *const config[][2] = {{"retention.ms", "-1"}};
    bus_answer answer = {0};
    story->bus->vtable->topic_create(story->bus, story->lane, topic, partitions, config, 1, bus_story_info, &answer);
    story->run(story, &answer.done);
    return answer;
}
static int64_t bus_story_committed(bus_story *story, const char *group, const char *topic) {
    bus_answer answer = {0};
    story->bus->vtable->committed(story->bus, story->lane, group, topic, 0, bus_story_offset, &answer);
    story->run(story, &answer.done);
    assert_int_equal(answer.code, WEIR_OK);
    return answer.offset;
}

/* A job that sets a flag: for wakes and the ends of commits. */
typedef struct bus_flag {
    io_job job;
    bool raised;
} bus_flag;
static void bus_flag_run(io_job *job) {
    io_owner(job, bus_flag, job)->raised = true;
}

static weir_code bus_story_send(bus_story *story, bus_commit *commit) {
    bus_flag flag = {0};
    io_job_init(&flag.job, bus_flag_run);
    story->bus->vtable->commit_send(commit, &flag.job);
    story->run(story, &flag.raised);
    return story->bus->vtable->commit_result(commit).code;
}

static bus_row bus_story_row(const char *key, const char *value, int64_t timestamp_ms) {
    static const uint8_t no_headers[] = {0};
    return (bus_row){.timestamp_ms = timestamp_ms,
                     .key = key ? weir_bytes_text(key) : (weir_bytes){0},
                     .value = value ? weir_bytes_text(value) : (weir_bytes){0},
                     .headers = weir_bytes_of(no_headers, 1)};
}

/* The next block; waits for the wake. NULL at a failure, whose code is in *code. */
static bus_block *bus_story_next(bus_story *story, bus_reader *reader, bus_flag *wake, weir_code *code) {
    for (;;) {
        bus_block *block;
        wake->raised = false;
        const weir_status status = story->bus->vtable->reader_next(reader, &block);
        *code = status.code;
        if (weir_failed(status) || block) return block;
        story->run(story, &wake->raised);
    }
}

/* ---- topics are made, described and deleted ---- */

static void bus_story_topics(bus_story *story) {
    bus_answer answer = bus_story_create(story, "topics-a", 3);
    assert_int_equal(answer.code, WEIR_OK);
    assert_true(answer.info.exists);
    assert_int_equal(answer.info.partition_count, 3);
    const bus_answer again = bus_story_create(story, "topics-a", 5);
    assert_int_equal(again.code, WEIR_EXISTS);
    assert_int_equal(again.info.partition_count, 3);
    assert_memory_equal(again.info.topic_id, answer.info.topic_id, 16);
    assert_int_equal(bus_story_create(story, "topics a", 1).code, WEIR_INVALID);
    answer = (bus_answer){0};
    story->bus->vtable->topic_delete(story->bus, story->lane, "topics-a", bus_story_plain, &answer);
    story->run(story, &answer.done);
    assert_int_equal(answer.code, WEIR_OK);
    answer = (bus_answer){0};
    story->bus->vtable->topic_describe(story->bus, story->lane, "topics-a", bus_story_info, &answer);
    story->run(story, &answer.done);
    assert_int_equal(answer.code, WEIR_OK);
    assert_false(answer.info.exists);
    answer = (bus_answer){0};
    story->bus->vtable->topic_delete(story->bus, story->lane, "topics-a", bus_story_plain, &answer);
    story->run(story, &answer.done);
    assert_int_equal(answer.code, WEIR_NOT_FOUND);
}

/* ---- what is committed is read, to the last byte ---- */

static void bus_story_rows(bus_story *story) {
    const bus_vtable *vtable = story->bus->vtable;
    static const uint8_t headers[] = {2, 2, 'h', 4, 'v', 'w'}; /* one: h = vw */
    bus_story_create(story, "rows", 1);
    bus_commit *commit = vtable->commit_begin(story->bus, story->lane, NULL);
    bus_row rows[] = {bus_story_row("k", "v", 1000), bus_story_row(NULL, "", 500), bus_story_row("", NULL, 2000)};
    rows[1].headers = weir_bytes_of(headers, sizeof headers);
    for (int i = 0; i < 3; i++) assert_int_equal(vtable->commit_add(commit, "rows", 0, &rows[i]).code, WEIR_OK);
    assert_true(vtable->commit_bytes(commit) > 0);
    assert_int_equal(bus_story_send(story, commit), WEIR_OK);
    assert_int_equal(vtable->commit_end_offset(commit, "rows", 0), 3);
    assert_int_equal(vtable->commit_end_offset(commit, "rows", 1), -1);
    vtable->commit_free(commit);

    bus_flag wake = {0};
    bus_reader *reader;
    weir_code code;
    io_job_init(&wake.job, bus_flag_run);
    assert_int_equal(
        vtable->reader_open(story->bus, story->lane, "rows", 0, BUS_OFFSET_EARLIEST, 1 << 20, &wake.job, &reader).code,
        WEIR_OK);
    uint32_t seen = 0;
    while (seen < 3) {
        bus_block *block = bus_story_next(story, reader, &wake, &code);
        assert_non_null(block);
        for (uint32_t i = 0; i < block->count; i++, seen++) {
            const bus_row *row = &block->rows[i];
            assert_int_equal(row->offset, seen);
            assert_int_equal(row->timestamp_ms, rows[seen].timestamp_ms);
            assert_int_equal(row->key.data == NULL, rows[seen].key.data == NULL);
            assert_int_equal(row->value.data == NULL, rows[seen].value.data == NULL);
            assert_true(weir_bytes_equal(row->key, rows[seen].key));
            assert_true(weir_bytes_equal(row->value, rows[seen].value));
            assert_true(weir_bytes_equal(row->headers, rows[seen].headers));
        }
        assert_int_equal(block->next_offset, seen);
        data_buffer_release(&block->buffer);
    }
    assert_int_equal(vtable->reader_start(reader), 0);
    assert_int_equal(vtable->reader_end(reader), 3);
    vtable->reader_close(reader);
}

/* ---- a parked reader is woken; an empty partition is known to be empty; the latest offset is the end ---- */

static void bus_story_wakes(bus_story *story) {
    const bus_vtable *vtable = story->bus->vtable;
    bus_story_create(story, "wakes", 1);
    bus_flag wake = {0};
    bus_reader *reader;
    bus_block *block;
    io_job_init(&wake.job, bus_flag_run);
    assert_int_equal(
        vtable->reader_open(story->bus, story->lane, "wakes", 0, BUS_OFFSET_LATEST, 1 << 20, &wake.job, &reader).code,
        WEIR_OK);
    assert_int_equal(vtable->reader_next(reader, &block).code, WEIR_OK);
    assert_null(block);
    story->run(story, &wake.raised);
    assert_int_equal(vtable->reader_end(reader), 0);
    assert_int_equal(vtable->reader_start(reader), 0);
    for (int round = 0; round < 20; round++) {
        wake.raised = false;
        assert_int_equal(vtable->reader_next(reader, &block).code, WEIR_OK);
        assert_null(block);
        bus_commit *commit = vtable->commit_begin(story->bus, story->lane, NULL);
        const bus_row row = bus_story_row("k", "v", round);
        assert_int_equal(vtable->commit_add(commit, "wakes", 0, &row).code, WEIR_OK);
        assert_int_equal(bus_story_send(story, commit), WEIR_OK);
        vtable->commit_free(commit);
        story->run(story, &wake.raised);
        assert_int_equal(vtable->reader_next(reader, &block).code, WEIR_OK);
        assert_non_null(block);
        assert_int_equal(block->rows[0].offset, round);
        data_buffer_release(&block->buffer);
    }
    vtable->reader_close(reader);
}

/* ---- many rows: order, a reader with little room, blocks that outlive their reader ---- */

enum { BUS_STORY_MANY = 20000 };

static void bus_story_write_many(bus_story *story, const char *topic) {
    const bus_vtable *vtable = story->bus->vtable;
    char value[200];
    bus_commit *commit = vtable->commit_begin(story->bus, story->lane, NULL);
    memset(value, 'x', sizeof value);
    for (int i = 0; i < BUS_STORY_MANY; i++) {
        snprintf(value, 16, "%d", i);
        value[strlen(value)] = ' ';
        value[sizeof value - 1] = 0;
        const bus_row row = bus_story_row(NULL, value, i);
        weir_status status = vtable->commit_add(commit, topic, 0, &row);
        if (status.code == WEIR_FULL) {
            assert_int_equal(bus_story_send(story, commit), WEIR_OK);
            vtable->commit_free(commit);
            commit = vtable->commit_begin(story->bus, story->lane, NULL);
            status = vtable->commit_add(commit, topic, 0, &row);
        }
        assert_int_equal(status.code, WEIR_OK);
    }
    assert_int_equal(bus_story_send(story, commit), WEIR_OK);
    assert_int_equal(vtable->commit_end_offset(commit, topic, 0), BUS_STORY_MANY);
    vtable->commit_free(commit);
}

static void bus_story_many(bus_story *story) {
    const bus_vtable *vtable = story->bus->vtable;
    bus_story_create(story, "many", 1);
    bus_story_write_many(story, "many");
    bus_flag wake = {0};
    bus_reader *reader;
    weir_code code;
    io_job_init(&wake.job, bus_flag_run);
    assert_int_equal(vtable->reader_open(story->bus, story->lane, "many", 0, 7, 64 << 10, &wake.job, &reader).code,
                     WEIR_OK);
    int64_t next = 7;
    bus_block *kept = NULL;
    while (next < BUS_STORY_MANY) {
        bus_block *block = bus_story_next(story, reader, &wake, &code);
        assert_non_null(block);
        for (uint32_t i = 0; i < block->count; i++) {
            assert_int_equal(block->rows[i].offset, next);
            assert_int_equal(block->rows[i].timestamp_ms, next);
            next++;
        }
        if (kept) data_buffer_release(&kept->buffer);
        kept = block;
    }
    vtable->reader_close(reader);
    char number[16];
    snprintf(number, sizeof number, "%d ", BUS_STORY_MANY - 1);
    assert_memory_equal(kept->rows[kept->count - 1].value.data, number, strlen(number));
    data_buffer_release(&kept->buffer);
}

/* ---- offsets and records are one commit; keys choose partitions as Kafka's clients do ---- */

static void bus_story_commits(bus_story *story) {
    const bus_vtable *vtable = story->bus->vtable;
    bus_story_create(story, "commits-in", 1);
    bus_story_create(story, "commits-out", 4);
    assert_int_equal(bus_story_committed(story, "commits-group", "commits-in"), -1);
    bus_commit *commit = vtable->commit_begin(story->bus, story->lane, "commits-group");
    const bus_row row = bus_story_row("a key", "v", 1);
    assert_int_equal(vtable->commit_add(commit, "commits-out", -1, &row).code, WEIR_OK);
    assert_int_equal(vtable->commit_offset(commit, "commits-in", 0, 5).code, WEIR_OK);
    assert_int_equal(vtable->commit_offset(commit, "commits-in", 0, 6).code, WEIR_OK);
    assert_int_equal(bus_story_send(story, commit), WEIR_OK);
    const int32_t partition = weir_partition_of_key(row.key, 4);
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(vtable->commit_end_offset(commit, "commits-out", i), i == partition ? 1 : -1);
    vtable->commit_free(commit);
    assert_int_equal(bus_story_committed(story, "commits-group", "commits-in"), 6);

    commit = vtable->commit_begin(story->bus, story->lane, "commits-group"); /* one record that cannot be written */
    assert_int_equal(vtable->commit_add(commit, "commits-out", 0, &row).code, WEIR_OK);
    assert_int_equal(vtable->commit_add(commit, "commits-nowhere", 0, &row).code, WEIR_OK);
    assert_int_equal(vtable->commit_offset(commit, "commits-in", 0, 9).code, WEIR_OK);
    assert_int_equal(bus_story_send(story, commit), WEIR_NOT_FOUND);
    vtable->commit_free(commit);
    assert_int_equal(bus_story_committed(story, "commits-group", "commits-in"), 6);
    bus_answer end = {0};
    vtable->end_offset(story->bus, story->lane, "commits-out", partition, bus_story_offset, &end);
    story->run(story, &end.done);
    assert_int_equal(end.offset, 1);

    commit = vtable->commit_begin(story->bus, story->lane, "commits-group"); /* abandoned */
    assert_int_equal(vtable->commit_add(commit, "commits-out", 0, &row).code, WEIR_OK);
    vtable->commit_free(commit);
}

/* ---- several commits under way: what follows a failed one that it expects fails too ---- */

static bus_commit *bus_story_expecting(bus_story *story, const char *other_topic, int64_t end_offset) {
    const bus_vtable *vtable = story->bus->vtable;
    bus_commit *commit = vtable->commit_begin(story->bus, story->lane, NULL);
    const bus_row row = bus_story_row("k", "v", 1);
    assert_int_equal(vtable->commit_add(commit, "expects", 0, &row).code, WEIR_OK);
    if (other_topic) assert_int_equal(vtable->commit_add(commit, other_topic, 0, &row).code, WEIR_OK);
    vtable->commit_expect(commit, "expects", 0, end_offset);
    return commit;
}

static void bus_story_expects(bus_story *story) {
    enum { SENT = 5 };
    static const char *const other_topics[SENT] = {NULL, NULL, "expects-nowhere", NULL, NULL};
    static const weir_code codes[SENT] = {WEIR_OK, WEIR_OK, WEIR_NOT_FOUND, WEIR_FENCED, WEIR_FENCED};
    const bus_vtable *vtable = story->bus->vtable;
    bus_flag flags[SENT] = {0};
    bus_commit *commits[SENT];
    bus_story_create(story, "expects", 1);
    for (int i = 0; i < SENT; i++) {
        commits[i] = bus_story_expecting(story, other_topics[i], i);
        io_job_init(&flags[i].job, bus_flag_run);
        vtable->commit_send(commits[i], &flags[i].job);
    }
    for (int i = 0; i < SENT; i++) {
        story->run(story, &flags[i].raised);
        assert_int_equal(vtable->commit_result(commits[i]).code, codes[i]);
        vtable->commit_free(commits[i]);
    }
    bus_commit *again = bus_story_expecting(story, NULL, 2);
    assert_int_equal(bus_story_send(story, again), WEIR_OK);
    vtable->commit_free(again);
}

/* ---- failures are told once they are known, and stay ---- */

static void bus_story_failures(bus_story *story) {
    const bus_vtable *vtable = story->bus->vtable;
    bus_flag wake = {0};
    bus_reader *reader;
    bus_block *block;
    weir_code code;
    io_job_init(&wake.job, bus_flag_run);
    assert_int_equal(vtable->reader_open(story->bus, story->lane, "failures-none", 0, 0, 1024, &wake.job, &reader).code,
                     WEIR_OK);
    assert_null(bus_story_next(story, reader, &wake, &code));
    assert_int_equal(code, WEIR_NOT_FOUND);
    assert_int_equal(vtable->reader_next(reader, &block).code, WEIR_NOT_FOUND);
    vtable->reader_close(reader);

    bus_story_create(story, "failures", 1);
    assert_int_equal(vtable->reader_open(story->bus, story->lane, "failures", 0, 10, 1024, &wake.job, &reader).code,
                     WEIR_OK);
    assert_null(bus_story_next(story, reader, &wake, &code));
    assert_int_equal(code, WEIR_OUT_OF_RANGE);
    vtable->reader_close(reader);

    wake.raised = false;
    assert_int_equal(vtable->reader_open(story->bus, story->lane, "failures", 0, 0, 1024, &wake.job, &reader).code,
                     WEIR_OK);
    assert_int_equal(vtable->reader_next(reader, &block).code, WEIR_OK);
    assert_null(block);
    bus_answer gone = {0};
    vtable->topic_delete(story->bus, story->lane, "failures", bus_story_plain, &gone);
    story->run(story, &gone.done);
    assert_null(bus_story_next(story, reader, &wake, &code));
    assert_int_equal(code, WEIR_NOT_FOUND);
    vtable->reader_close(reader);
}

#endif
