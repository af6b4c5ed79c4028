/* io/conformance - what every world must do, told as stories; included by the tests of io/real and io/sim alone.
 *
 * A story starts as a job on a loop lane and ends by io_story_end(). How the world is run until then is the harness's:
 * it sets `run` and `end`. Checks are weir_assert, because stories run on threads that the test framework does not
 * know. */
#ifndef WEIR_IO_CONFORMANCE_TEST_H
#define WEIR_IO_CONFORMANCE_TEST_H

#include "base/buffer.h"
#include "io/io.h"

#include <stdio.h>

typedef struct io_story io_story;
struct io_story {
    const io_world *world;
    const char *folder;           /* exists, writable, empty of names that begin with "story" */
    void (*run)(io_story *story); /* runs the world until end() was called */
    void (*end)(io_story *story);
    void (*begin)(io_story *story);
    io_job begin_job;
    io_lane *lane; /* loop lane "main" */
    weir_account account;
    void *harness;
};

static inline void io_story_end(io_story *story) {
    story->end(story);
}

static void io_story_begin_job(io_job *job) {
    io_story *story = io_owner(job, io_story, begin_job);
    story->begin(story);
}

static inline void io_story_tell(io_story *story, void (*begin)(io_story *story)) {
    weir_account_init(&story->account, "story", 0);
    story->begin = begin;
    story->lane = io_lane_create(story->world->executor, IO_LANE_LOOP, "main");
    io_job_init(&story->begin_job, io_story_begin_job);
    io_post(story->world->executor, story->lane, &story->begin_job);
    story->run(story);
    io_lane_destroy(story->world->executor, story->lane);
    weir_account_deinit(&story->account);
}

#define IO_STORY_OK(expression)                                                                                        \
    do {                                                                                                               \
        const weir_status story_status = (expression);                                                                 \
        if (weir_failed(story_status))                                                                                 \
            fprintf(stderr, "%s: %s\n", weir_code_name(story_status.code), story_status.text);                         \
        weir_assert(story_status.code == WEIR_OK);                                                                     \
    } while (0)

/* ---- a lane runs its jobs in the order of their posts, one at a time, from whatever lane they come ---- */

enum { STORY_JOBS = 500, STORY_LANES = 6 };

typedef struct story_lane story_lane;
typedef struct story_order {
    io_story *story;
    story_lane *lanes;
    unsigned lanes_left;
    io_job finished; /* on the story's lane */
} story_order;

typedef struct story_numbered {
    io_job job;
    story_lane *owner;
    unsigned number;
} story_numbered;

struct story_lane {
    story_order *order;
    io_lane *lane;
    _Atomic int inside;
    unsigned next;
    story_numbered jobs[STORY_JOBS];
    io_job finished;
};

static void story_order_lane_finished(io_job *job) {
    story_lane *lane = io_owner(job, story_lane, finished);
    story_order *order = lane->order;
    io_story *story = order->story;
    io_lane_destroy(story->world->executor, lane->lane);
    if (--order->lanes_left > 0) return;
    weir_free(&story->account, order->lanes);
    weir_free(&story->account, order);
    io_story_end(story);
}

static void story_order_job(io_job *job) {
    story_numbered *numbered = (story_numbered *)job;
    story_lane *lane = numbered->owner;
    weir_assert(atomic_fetch_add(&lane->inside, 1) == 0);
    weir_assert(lane->next == numbered->number);
    lane->next++;
    const bool is_last = lane->next == STORY_JOBS;
    weir_assert(atomic_fetch_sub(&lane->inside, 1) == 1);
    if (is_last) io_post(lane->order->story->world->executor, lane->order->story->lane, &lane->finished);
}

static inline void io_story_order(io_story *story) {
    static const io_lane_kind kinds[STORY_LANES] = {IO_LANE_LOOP,   IO_LANE_WORKER,   IO_LANE_BLOCKING,
                                                    IO_LANE_WORKER, IO_LANE_BLOCKING, IO_LANE_LOOP};
    static const char *const names[STORY_LANES] = {"main", "a", "b", "c", "d", "other"};
    io_executor *executor = story->world->executor;
    story_order *order = weir_alloc(&story->account, sizeof *order);
    order->story = story;
    order->lanes_left = STORY_LANES;
    order->lanes = weir_alloc(&story->account, STORY_LANES * sizeof *order->lanes);
    for (unsigned at = 0; at < STORY_LANES; at++) {
        story_lane *lane = &order->lanes[at];
        lane->order = order;
        lane->lane = io_lane_create(executor, kinds[at], names[at]);
        io_job_init(&lane->finished, story_order_lane_finished);
        for (unsigned i = 0; i < STORY_JOBS; i++) {
            lane->jobs[i].owner = lane;
            lane->jobs[i].number = i;
            io_job_init(&lane->jobs[i].job, story_order_job);
        }
    }
    for (unsigned i = 0; i < STORY_JOBS; i++)
        for (unsigned at = 0; at < STORY_LANES; at++)
            io_post(executor, order->lanes[at].lane, &order->lanes[at].jobs[i].job);
}

/* ---- many posts of a queued job are one run; a job may post itself again ---- */

typedef struct story_again {
    io_story *story;
    io_job job, check;
    unsigned runs;
} story_again;

static void story_again_check(io_job *job) {
    story_again *again = io_owner(job, story_again, check);
    io_story *story = again->story;
    if (again->runs < 10) {
        io_post(story->world->executor, story->lane, job);
        return;
    }
    weir_assert(again->runs == 10);
    weir_free(&story->account, again);
    io_story_end(story);
}

static void story_again_job(io_job *job) {
    story_again *again = io_owner(job, story_again, job);
    io_executor *executor = again->story->world->executor;
    if (++again->runs < 10) {
        io_post(executor, again->story->lane, job);
        io_post(executor, again->story->lane, job);
    }
}

static inline void io_story_again(io_story *story) {
    story_again *again = weir_alloc(&story->account, sizeof *again);
    again->story = story;
    io_job_init(&again->job, story_again_job);
    io_job_init(&again->check, story_again_check);
    for (unsigned i = 0; i < 5; i++) io_post(story->world->executor, story->lane, &again->job);
    io_post(story->world->executor, story->lane, &again->check);
}

/* ---- a crowd: lanes of every kind wake one another all the time, and no wake-up is ever lost ---- */

enum { STORY_CROWD = 8, STORY_CROWD_ROUNDS = 2000 };

typedef struct story_crowd story_crowd;
typedef struct story_member { /* sends a token to the next member, who must not miss it */
    story_crowd *crowd;
    io_lane *lane;
    io_job token, finished, leave, left;
    _Atomic unsigned tokens;
    unsigned seen, runs;
} story_member;

struct story_crowd {
    io_story *story;
    story_member members[STORY_CROWD];
    unsigned members_left;
};

/* Each has seen all. A token's job may still be queued, for a token that an earlier run took: the leave goes behind it.
 */
static void story_crowd_finished(io_job *job) {
    story_crowd *crowd = io_owner(job, story_member, finished)->crowd;
    if (--crowd->members_left > 0) return;
    for (; crowd->members_left < STORY_CROWD; crowd->members_left++) {
        story_member *member = &crowd->members[crowd->members_left];
        io_post(crowd->story->world->executor, member->lane, &member->leave);
    }
}

static void story_crowd_leave(io_job *job) {
    story_member *member = io_owner(job, story_member, leave);
    io_post(member->crowd->story->world->executor, member->crowd->story->lane, &member->left);
}

static void story_crowd_left(io_job *job) {
    story_crowd *crowd = io_owner(job, story_member, left)->crowd;
    io_story *story = crowd->story;
    if (--crowd->members_left > 0) return;
    for (unsigned i = 0; i < STORY_CROWD; i++) {
        weir_assert(crowd->members[i].seen == STORY_CROWD_ROUNDS);
        weir_assert(crowd->members[i].runs <= STORY_CROWD_ROUNDS);
        io_lane_destroy(story->world->executor, crowd->members[i].lane);
    }
    weir_free(&story->account, crowd);
    io_story_end(story);
}

static void story_crowd_token(io_job *job) {
    story_member *member = io_owner(job, story_member, token);
    story_crowd *crowd = member->crowd;
    io_executor *executor = crowd->story->world->executor;
    const unsigned at = (unsigned)(member - crowd->members);
    story_member *next = &crowd->members[(at + 1) % STORY_CROWD];
    const unsigned came = atomic_exchange(&member->tokens, 0);
    member->runs += came > 0;
    member->seen += came;
    for (unsigned i = 0; i < came; i++) {
        if (at == STORY_CROWD - 1) break; /* the chain ends here */
        atomic_fetch_add(&next->tokens, 1);
        io_post(executor, next->lane, &next->token);
    }
    if (member->seen == STORY_CROWD_ROUNDS && came > 0) {
        io_post(executor, crowd->story->lane, &member->finished);
    } else if (at == 0 && came > 0) { /* the source gives itself the next one */
        atomic_fetch_add(&member->tokens, 1);
        io_post(executor, member->lane, job);
    }
}

static inline void io_story_crowd(io_story *story) {
    static const io_lane_kind kinds[STORY_CROWD] = {IO_LANE_WORKER, IO_LANE_LOOP,     IO_LANE_BLOCKING,
                                                    IO_LANE_WORKER, IO_LANE_BLOCKING, IO_LANE_WORKER,
                                                    IO_LANE_LOOP,   IO_LANE_BLOCKING};
    static const char *const names[STORY_CROWD] = {"a", "main", "b", "c", "d", "e", "other", "f"};
    story_crowd *crowd = weir_alloc(&story->account, sizeof *crowd);
    crowd->story = story;
    crowd->members_left = STORY_CROWD;
    for (unsigned i = 0; i < STORY_CROWD; i++) {
        story_member *member = &crowd->members[i];
        member->crowd = crowd;
        member->lane = io_lane_create(story->world->executor, kinds[i], names[i]);
        io_job_init(&member->token, story_crowd_token);
        io_job_init(&member->finished, story_crowd_finished);
        io_job_init(&member->leave, story_crowd_leave);
        io_job_init(&member->left, story_crowd_left);
    }
    atomic_store(&crowd->members[0].tokens, 1);
    io_post(story->world->executor, crowd->members[0].lane, &crowd->members[0].token);
}

/* ---- timers fire in order, not early, not after a cancel, on lanes of every kind ---- */

enum { STORY_TIMERS = 4 };
typedef struct story_timed {
    io_story *story;
    io_lane *lane;
    io_timer timers[STORY_TIMERS];
    io_job jobs[STORY_TIMERS], start, finished;
    unsigned fired[STORY_TIMERS], fired_count;
} story_timed;

static _Atomic unsigned story_timed_left;

static void story_timed_finished(io_job *job) {
    story_timed *timed = io_owner(job, story_timed, finished);
    io_story *story = timed->story;
    weir_assert(timed->fired[0] == 0 && timed->fired[1] == 3 && timed->fired[2] == 1);
    io_lane_destroy(story->world->executor, timed->lane);
    weir_free(&story->account, timed);
    if (atomic_fetch_sub(&story_timed_left, 1) == 1) io_story_end(story);
}

static void story_timed_fired(story_timed *timed, unsigned which) {
    const io_world *world = timed->story->world;
    weir_assert(which != 2); /* it was cancelled */
    weir_assert(!timed->timers[which].set);
    weir_assert(io_now_ns(world->clock) >= timed->timers[which].at_ns);
    timed->fired[timed->fired_count++] = which;
    if (timed->fired_count == 3) io_post(world->executor, timed->story->lane, &timed->finished);
}

static void story_timed_0(io_job *job) {
    story_timed_fired(io_owner(job, story_timed, jobs[0]), 0);
}
static void story_timed_1(io_job *job) {
    story_timed_fired(io_owner(job, story_timed, jobs[1]), 1);
}
static void story_timed_2(io_job *job) {
    story_timed_fired(io_owner(job, story_timed, jobs[2]), 2);
}
static void story_timed_3(io_job *job) {
    story_timed_fired(io_owner(job, story_timed, jobs[3]), 3);
}

static void story_timed_start(io_job *job) {
    story_timed *timed = io_owner(job, story_timed, start);
    io_executor *executor = timed->story->world->executor;
    const int64_t now_ns = io_now_ns(timed->story->world->clock);
    const int64_t ms = 1000000;
    io_timer_set(executor, &timed->timers[0], now_ns + 1 * ms);
    io_timer_set(executor, &timed->timers[1], now_ns + 3000 * ms);
    io_timer_set(executor, &timed->timers[2], now_ns + 5 * ms);
    io_timer_set(executor, &timed->timers[3], now_ns + 10 * ms);
    io_timer_set(executor, &timed->timers[1], now_ns + 20 * ms); /* moved */
    io_timer_cancel(executor, &timed->timers[2]);
    io_timer_cancel(executor, &timed->timers[2]);
    weir_assert(timed->timers[1].set && !timed->timers[2].set);
}

static inline void io_story_timers(io_story *story) {
    static void (*const runs[STORY_TIMERS])(io_job *) = {story_timed_0, story_timed_1, story_timed_2, story_timed_3};
    static const io_lane_kind kinds[3] = {IO_LANE_LOOP, IO_LANE_WORKER, IO_LANE_BLOCKING};
    atomic_store(&story_timed_left, 3);
    for (unsigned kind = 0; kind < 3; kind++) {
        story_timed *timed = weir_alloc(&story->account, sizeof *timed);
        timed->story = story;
        timed->lane = io_lane_create(story->world->executor, kinds[kind], "timed");
        for (unsigned i = 0; i < STORY_TIMERS; i++) {
            io_job_init(&timed->jobs[i], runs[i]);
            io_timer_init(&timed->timers[i], timed->lane, &timed->jobs[i]);
        }
        io_job_init(&timed->start, story_timed_start);
        io_job_init(&timed->finished, story_timed_finished);
        io_post(story->world->executor, timed->lane, &timed->start);
    }
}

/* ---- files: everything the vtable promises, on a blocking lane ---- */

typedef struct story_files {
    io_story *story;
    io_lane *lane;
    io_job work, finished;
} story_files;

static void story_count_entry(const char *name, void *arg) {
    if (strncmp(name, "story", 5) == 0) ++*(unsigned *)arg;
}

static void story_files_contents(io_files *files, const char *path) {
    io_file *file;
    IO_STORY_OK(io_open(files, path, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_EXCLUSIVE, &file));
    const weir_bytes parts[3] = {weir_bytes_text("one "), weir_bytes_of(NULL, 0), weir_bytes_text("two three")};
    IO_STORY_OK(io_write_at(files, file, 0, parts, 3));
    char text[64] = {0};
    size_t got;
    IO_STORY_OK(io_read_at(files, file, 4, text, sizeof text, &got));
    weir_assert(got == 9 && memcmp(text, "two three", 9) == 0);
    IO_STORY_OK(io_read_at(files, file, 100, text, sizeof text, &got));
    weir_assert(got == 0);
    weir_status resident;
    for (unsigned tries = 0; tries < 100; tries++) {
        resident = io_read_resident(files, file, 0, text, 4, &got);
        if (resident.code != WEIR_BUSY) break;
    }
    weir_assert(resident.code == WEIR_OK && got == 4 && memcmp(text, "one ", 4) == 0);
    /* A write past the end leaves zeroes between. */
    const weir_bytes far = weir_bytes_text("far");
    IO_STORY_OK(io_write_at(files, file, 20, &far, 1));
    IO_STORY_OK(io_read_at(files, file, 13, text, 10, &got));
    weir_assert(got == 10 && memcmp(text, "\0\0\0\0\0\0\0far", 10) == 0);
    IO_STORY_OK(io_truncate(files, file, 7));
    IO_STORY_OK(io_preallocate(files, file, 5000));
    IO_STORY_OK(io_preallocate(files, file, 100)); /* never shrinks */
    io_file_info info;
    IO_STORY_OK(io_file_info_of(files, file, &info));
    weir_assert(info.size == 5000 && !info.is_directory);
    IO_STORY_OK(io_read_at(files, file, 0, text, 10, &got));
    weir_assert(got == 10 && memcmp(text, "one two\0\0\0", 10) == 0);
    IO_STORY_OK(io_sync(files, file));
    io_close(files, file);
    weir_assert(io_open(files, path, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_EXCLUSIVE, &file).code == WEIR_EXISTS);
    IO_STORY_OK(io_open(files, path, IO_OPEN_WRITE | IO_OPEN_TRUNCATE, &file));
    IO_STORY_OK(io_file_info_of(files, file, &info));
    weir_assert(info.size == 0);
    io_close(files, file);
}

static void story_files_lock(io_files *files, const char *path) {
    io_file *first, *second;
    IO_STORY_OK(io_open(files, path, IO_OPEN_WRITE, &first));
    IO_STORY_OK(io_open(files, path, IO_OPEN_WRITE, &second));
    IO_STORY_OK(io_lock(files, first));
    weir_assert(io_lock(files, second).code == WEIR_BUSY);
    io_close(files, first);
    IO_STORY_OK(io_lock(files, second));
    io_close(files, second);
}

static void story_files_names(io_files *files, const char *folder, const char *path) {
    char directory[256], moved[300], missing[300];
    snprintf(directory, sizeof directory, "%s/story_directory", folder);
    snprintf(moved, sizeof moved, "%s/moved", directory);
    snprintf(missing, sizeof missing, "%s/missing/file", folder);
    io_file *file;
    io_file_info before, after;
    weir_assert(io_path_info(files, directory, &before).code == WEIR_NOT_FOUND);
    weir_assert(io_open(files, missing, IO_OPEN_WRITE | IO_OPEN_CREATE, &file).code == WEIR_NOT_FOUND);
    const weir_status status = io_open(files, moved, IO_OPEN_READ, &file);
    weir_assert(status.code == WEIR_NOT_FOUND && strstr(status.text, moved));
    IO_STORY_OK(io_make_directory(files, directory));
    weir_assert(io_make_directory(files, directory).code == WEIR_EXISTS);
    IO_STORY_OK(io_path_info(files, directory, &after));
    weir_assert(after.is_directory);
    unsigned count = 0;
    IO_STORY_OK(io_list(files, folder, story_count_entry, &count));
    weir_assert(count == 2);
    IO_STORY_OK(io_path_info(files, path, &before));
    IO_STORY_OK(io_rename(files, path, moved));
    IO_STORY_OK(io_path_info(files, moved, &after));
    weir_assert(before.inode == after.inode && before.device == after.device);
    weir_assert(weir_failed(io_remove(files, directory))); /* not empty */
    IO_STORY_OK(io_sync_directory(files, directory));
    IO_STORY_OK(io_remove(files, moved));
    IO_STORY_OK(io_remove(files, directory));
    weir_assert(io_remove(files, directory).code == WEIR_NOT_FOUND);
    IO_STORY_OK(io_sync_directory(files, folder));
}

static void story_files_work(io_job *job) {
    story_files *work = io_owner(job, story_files, work);
    char path[256];
    snprintf(path, sizeof path, "%s/story_file", work->story->folder);
    story_files_contents(work->story->world->files, path);
    story_files_lock(work->story->world->files, path);
    story_files_names(work->story->world->files, work->story->folder, path);
    io_post(work->story->world->executor, work->story->lane, &work->finished);
}

static void story_files_finished(io_job *job) {
    story_files *work = io_owner(job, story_files, finished);
    io_story *story = work->story;
    io_lane_destroy(story->world->executor, work->lane);
    weir_free(&story->account, work);
    io_story_end(story);
}

static inline void io_story_files(io_story *story) {
    story_files *work = weir_alloc(&story->account, sizeof *work);
    work->story = story;
    work->lane = io_lane_create(story->world->executor, IO_LANE_BLOCKING, "files");
    io_job_init(&work->work, story_files_work);
    io_job_init(&work->finished, story_files_finished);
    io_post(story->world->executor, work->lane, &work->work);
}

/* ---- network: a client sends a megabyte, the server echoes and pauses, both end in order ---- */

enum { STORY_ECHO_BYTES = 1000 * 1000, STORY_QUEUE_MAX = 100 * 1000 };

typedef struct story_echo story_echo;
typedef struct story_echo_write {
    io_write write;
    story_echo *echo;
    size_t bytes;
    uint8_t data[];
} story_echo_write;

struct story_echo {
    io_story *story;
    io_listener *listener;
    io_conn *server, *client;
    io_write request;
    uint8_t *sent;
    size_t received_bytes;
    bool request_sent, server_closed, client_closed, paused;
    unsigned writes_open;
    io_timer resume_timer;
    io_job resume_job;
};

static uint8_t story_echo_byte(size_t at) {
    return (uint8_t)(at * 31 + at / 251);
}

static void story_echo_end(story_echo *echo) {
    if (!echo->server_closed || !echo->client_closed) return;
    io_story *story = echo->story;
    weir_assert(echo->request_sent && echo->received_bytes == STORY_ECHO_BYTES && echo->writes_open == 0);
    io_timer_cancel(story->world->executor, &echo->resume_timer);
    io_unlisten(story->world->network, echo->listener);
    weir_free(&story->account, echo->sent);
    weir_free(&story->account, echo);
    io_story_end(story);
}

static void story_echo_written(io_write *write, weir_status status) {
    story_echo_write *part = (story_echo_write *)write;
    story_echo *echo = part->echo;
    IO_STORY_OK(status);
    echo->writes_open--;
    weir_free(&echo->story->account, part);
}

static void story_echo_server_data(void *protocol, weir_bytes data) {
    story_echo *echo = protocol;
    weir_assert(!echo->paused && data.size > 0);
    story_echo_write *part = weir_alloc(&echo->story->account, sizeof *part + data.size);
    part->echo = echo;
    memcpy(part->data, data.data, data.size);
    part->write =
        (io_write){.parts = {{part->data, data.size / 2}, {part->data + data.size / 2, data.size - data.size / 2}},
                   .part_count = 2,
                   .sent = story_echo_written};
    const unsigned open_before = ++echo->writes_open;
    io_conn_write(echo->server, &part->write);
    weir_assert(echo->writes_open == open_before); /* sent() never comes inside the call */
    io_conn_pause(echo->server);
    echo->paused = true;
    io_timer_set(echo->story->world->executor, &echo->resume_timer, io_now_ns(echo->story->world->clock) + 100000);
}

static void story_echo_resume(io_job *job) {
    story_echo *echo = io_owner(job, story_echo, resume_job);
    if (echo->server_closed) return;
    if (io_conn_queued(echo->server) > STORY_QUEUE_MAX) {
        io_timer_set(echo->story->world->executor, &echo->resume_timer, io_now_ns(echo->story->world->clock) + 100000);
        return;
    }
    echo->paused = false;
    io_conn_resume(echo->server);
}

static void story_echo_server_closed(void *protocol, weir_status why) {
    story_echo *echo = protocol;
    IO_STORY_OK(why);
    echo->server_closed = true;
    story_echo_end(echo);
}

static void story_echo_accept(void *arg, io_conn *conn) {
    story_echo *echo = arg;
    weir_assert(!echo->server);
    echo->server = conn;
    conn->events = (io_conn_events){story_echo_server_data, story_echo_server_closed, echo};
}

static void story_echo_client_data(void *protocol, weir_bytes data) {
    story_echo *echo = protocol;
    for (size_t i = 0; i < data.size; i++) weir_assert(data.data[i] == story_echo_byte(echo->received_bytes + i));
    echo->received_bytes += data.size;
    weir_assert(echo->received_bytes <= STORY_ECHO_BYTES);
    if (echo->received_bytes == STORY_ECHO_BYTES) {
        io_conn_close(echo->client);
        io_conn_close(echo->client);
        weir_assert(!echo->client_closed);
    }
}

static void story_echo_client_closed(void *protocol, weir_status why) {
    story_echo *echo = protocol;
    IO_STORY_OK(why);
    echo->client_closed = true;
    story_echo_end(echo);
}

static void story_echo_request_sent(io_write *write, weir_status status) {
    IO_STORY_OK(status);
    io_owner(write, story_echo, request)->request_sent = true;
}

static void story_echo_connected(void *arg, weir_status status, io_conn *conn) {
    story_echo *echo = arg;
    IO_STORY_OK(status);
    echo->client = conn;
    weir_assert(conn->remote.port != 0 && conn->local.port != 0);
    conn->events = (io_conn_events){story_echo_client_data, story_echo_client_closed, echo};
    echo->request = (io_write){.parts = {{echo->sent, 10}, {echo->sent + 10, STORY_ECHO_BYTES - 10}},
                               .part_count = 2,
                               .sent = story_echo_request_sent};
    io_conn_write(conn, &echo->request);
    weir_assert(!echo->request_sent);
}

static inline void story_echo_at(io_story *story, const char *listen_host, const char *connect_host) {
    const io_world *world = story->world;
    story_echo *echo = weir_alloc(&story->account, sizeof *echo);
    echo->story = story;
    echo->sent = weir_alloc(&story->account, STORY_ECHO_BYTES);
    for (size_t i = 0; i < STORY_ECHO_BYTES; i++) echo->sent[i] = story_echo_byte(i);
    io_job_init(&echo->resume_job, story_echo_resume);
    io_timer_init(&echo->resume_timer, story->lane, &echo->resume_job);
    io_address bound;
    IO_STORY_OK(
        io_listen(world->network, story->lane, listen_host, 0, story_echo_accept, echo, &echo->listener, &bound));
    weir_assert(bound.port != 0);
    io_listener *second = NULL;
    io_address unused;
    const weir_status taken =
        io_listen(world->network, story->lane, listen_host, bound.port, story_echo_accept, echo, &second, &unused);
    weir_assert(taken.code == WEIR_BUSY && strstr(taken.text, listen_host));
    io_connect(world->network, story->lane, connect_host, bound.port, story_echo_connected, echo);
}

static inline void io_story_echo(io_story *story) {
    story_echo_at(story, "127.0.0.1", "127.0.0.1");
}
static inline void io_story_echo_localhost(io_story *story) {
    story_echo_at(story, "localhost", "localhost");
}

/* ---- network: nobody listens; a write after the close is told ---- */

typedef struct story_late {
    io_story *story;
    io_listener *listener;
    io_conn *client;
    io_write early, late;
    size_t server_bytes;
    bool early_told, late_told, server_closed, client_closed;
    io_address bound;
} story_late;

static void story_late_refused(void *arg, weir_status status, io_conn *conn) {
    story_late *late = arg;
    io_story *story = late->story;
    weir_assert(status.code == WEIR_CLOSED && conn == NULL);
    weir_free(&story->account, late);
    io_story_end(story);
}

static void story_late_end(story_late *late) {
    if (!late->server_closed || !late->client_closed) return;
    weir_assert(late->server_bytes == 5);
    io_unlisten(late->story->world->network, late->listener);
    io_connect(late->story->world->network, late->story->lane, "127.0.0.1", late->bound.port, story_late_refused, late);
}

static void story_late_server_data(void *protocol, weir_bytes data) {
    story_late *late = protocol;
    weir_assert(late->server_bytes + data.size <= 5);
    weir_assert(memcmp(data.data, "early" + late->server_bytes, data.size) == 0);
    late->server_bytes += data.size;
}
static void story_late_server_closed(void *protocol, weir_status why) {
    story_late *late = protocol;
    (void)why;
    late->server_closed = true;
    story_late_end(late);
}
static void story_late_accept(void *arg, io_conn *conn) {
    conn->events = (io_conn_events){story_late_server_data, story_late_server_closed, arg};
}
static void story_late_client_data(void *protocol, weir_bytes data) {
    (void)protocol;
    (void)data;
    weir_assert(false); /* the server says nothing */
}
static void story_late_client_closed(void *protocol, weir_status why) {
    story_late *late = protocol;
    IO_STORY_OK(why);
    weir_assert(late->early_told && late->late_told);
    late->client_closed = true;
    story_late_end(late);
}
static void story_late_early_sent(io_write *write, weir_status status) {
    IO_STORY_OK(status);
    io_owner(write, story_late, early)->early_told = true;
}
static void story_late_late_sent(io_write *write, weir_status status) {
    weir_assert(status.code == WEIR_CLOSED);
    io_owner(write, story_late, late)->late_told = true;
}
static void story_late_connected(void *arg, weir_status status, io_conn *conn) {
    story_late *late = arg;
    IO_STORY_OK(status);
    conn->events = (io_conn_events){story_late_client_data, story_late_client_closed, late};
    late->early = (io_write){.parts = {weir_bytes_text("early")}, .part_count = 1, .sent = story_late_early_sent};
    late->late = (io_write){.parts = {weir_bytes_text("late")}, .part_count = 1, .sent = story_late_late_sent};
    io_conn_write(conn, &late->early);
    io_conn_close(conn);
    io_conn_write(conn, &late->late);
}

static inline void io_story_late(io_story *story) {
    story_late *late = weir_alloc(&story->account, sizeof *late);
    late->story = story;
    IO_STORY_OK(io_listen(story->world->network, story->lane, "127.0.0.1", 0, story_late_accept, late, &late->listener,
                          &late->bound));
    io_connect(story->world->network, story->lane, "127.0.0.1", late->bound.port, story_late_connected, late);
}

#endif
