/* Goal: the simulated world does what every world must, is the same for the same seed, and its disk and links fail in
 * every way that its header promises and in no other.
 * Method: the shared stories over many seeds; the same story twice with one seed and with two; then disks that are cut,
 * killed, filled and flipped, counting over seeds that each outcome happens and that what was synced never changes. */
#include "io/conformance_test.h"
#include "io/sim/io_sim.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SEEDS = 30, STEPS_MAX = 1000000 };

typedef struct telling {
    io_sim *sim;
    bool ended;
} telling;

static bool has_ended(void *arg) {
    return ((telling *)arg)->ended;
}
static void story_run(io_story *story) {
    telling *told = story->harness;
    weir_assert(io_sim_run(told->sim, has_ended, told, STEPS_MAX) == IO_SIM_DONE);
}
static void story_end(io_story *story) {
    ((telling *)story->harness)->ended = true;
}

/* Returns the trace of the world in which the story was told. */
static uint64_t tell(uint64_t seed, void (*begin)(io_story *story)) {
    telling told = {.sim = io_sim_create(seed)};
    io_story story = {
        .world = io_sim_world(told.sim), .folder = ".", .run = story_run, .end = story_end, .harness = &told};
    io_story_tell(&story, begin);
    const uint64_t trace = io_sim_trace(told.sim);
    io_sim_destroy(told.sim);
    return trace;
}

static void test_stories(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        tell(seed, io_story_order);
        tell(seed, io_story_again);
        tell(seed, io_story_crowd);
        tell(seed, io_story_timers);
        tell(seed, io_story_files);
        tell(seed, io_story_echo);
        tell(seed, io_story_echo_localhost);
        tell(seed, io_story_late);
    }
}

static void test_same_seed_same_run(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        assert_int_equal(tell(seed, io_story_echo), tell(seed, io_story_echo));
        assert_int_equal(tell(seed, io_story_order), tell(seed, io_story_order));
        assert_int_not_equal(tell(seed, io_story_order), tell(seed + 1, io_story_order));
    }
}

/* ---- the clock ---- */

static void nothing(io_job *job) {
    (void)job;
}

static void test_clock_jumps(void **state) {
    (void)state;
    io_sim *sim = io_sim_create(1);
    const io_world *world = io_sim_world(sim);
    io_lane *lane = io_lane_create(world->executor, IO_LANE_LOOP, "main");
    io_job job;
    io_timer timer;
    io_job_init(&job, nothing);
    io_timer_init(&timer, lane, &job);
    const int64_t begin_ns = io_now_ns(world->clock), hour_ns = 3600 * 1000000000ll;
    const int64_t begin_wall_ms = io_wall_ms(world->clock);
    io_timer_set(world->executor, &timer, begin_ns + hour_ns);
    assert_int_equal(io_sim_run_for(sim, hour_ns / 2), IO_SIM_LIMIT);
    assert_int_equal(io_now_ns(world->clock), begin_ns + hour_ns / 2);
    assert_int_equal(io_sim_steps(sim), 0);
    assert_int_equal(io_sim_run(sim, NULL, NULL, 10), IO_SIM_IDLE);
    assert_int_equal(io_sim_steps(sim), 1);
    assert_true(io_now_ns(world->clock) >= begin_ns + hour_ns);
    io_sim_wall_jump(sim, -5000);
    assert_in_range(io_wall_ms(world->clock) - begin_wall_ms, 3600000 - 5000, 3600000 - 4990);
    io_sim_destroy(sim);
}

/* ---- a power cut ---- */

static io_file *opened(io_files *files, const char *path, unsigned flags) {
    io_file *file;
    IO_STORY_OK(io_open(files, path, flags, &file));
    return file;
}

static void write_all(io_files *files, io_file *file, uint64_t at, uint8_t byte, size_t size) {
    uint8_t data[8192];
    assert_true(size <= sizeof data);
    memset(data, byte, size);
    const weir_bytes part = {data, size};
    IO_STORY_OK(io_write_at(files, file, at, &part, 1));
}

static size_t read_all(io_files *files, const char *path, uint8_t *target, size_t size) {
    io_file *file = opened(files, path, IO_OPEN_READ);
    size_t got;
    IO_STORY_OK(io_read_at(files, file, 0, target, size, &got));
    io_close(files, file);
    return got;
}

/* Eight synced sectors of 's'; then unsynced: 'a' over sectors 0..3, 'b' over 4..7, 'c' appended. */
static void write_unsynced(io_files *files) {
    io_file *file = opened(files, "file", IO_OPEN_WRITE | IO_OPEN_CREATE);
    write_all(files, file, 0, 's', 8 * 512);
    IO_STORY_OK(io_sync(files, file));
    IO_STORY_OK(io_sync_directory(files, "."));
    write_all(files, file, 0, 'a', 4 * 512);
    write_all(files, file, 4 * 512, 'b', 4 * 512);
    write_all(files, file, 8 * 512, 'c', 1000);
    io_close(files, file);
}

static unsigned count_sectors(const uint8_t *data, unsigned first, unsigned count, uint8_t byte) {
    unsigned found = 0;
    for (unsigned sector = first; sector < first + count; sector++)
        found += data[sector * 512] == byte && data[sector * 512 + 511] == byte;
    return found;
}

static void test_power_cut_keeps_loses_tears_reorders(void **state) {
    (void)state;
    unsigned all_kept = 0, all_lost = 0, torn = 0, reordered = 0, grew_empty = 0, mid_sector = 0;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        io_sim *sim = io_sim_create(seed);
        io_files *files = io_sim_world(sim)->files;
        write_unsynced(files);
        io_sim_restart(sim, IO_SIM_POWER_CUT);
        uint8_t data[8192];
        const size_t size = read_all(files, "file", data, sizeof data);
        assert_in_range(size, 8 * 512, 8 * 512 + 1000);
        const unsigned a = count_sectors(data, 0, 4, 'a'), b = count_sectors(data, 4, 4, 'b');
        for (unsigned i = 0; i < 4 * 512; i++) assert_true(data[i] == 's' || data[i] == 'a');
        for (unsigned i = 4 * 512; i < 8 * 512; i++) assert_true(data[i] == 's' || data[i] == 'b');
        for (size_t i = 8 * 512; i < size; i++) assert_true(data[i] == 0 || data[i] == 'c');
        all_kept += a == 4 && b == 4 && size == 8 * 512 + 1000;
        all_lost += count_sectors(data, 0, 8, 's') == 8 && size == 8 * 512;
        torn += a > 0 && a < 4;
        mid_sector += a + count_sectors(data, 0, 4, 's') < 4;
        reordered += a == 0 && b == 4;
        grew_empty += size == 8 * 512 + 1000 && data[size - 1] == 0;
        io_sim_destroy(sim);
    }
    assert_true(all_kept > 20 && all_lost > 20 && torn > 20 && reordered > 20 && grew_empty > 10 && mid_sector > 10);
}

static void test_dry_cut_and_kill(void **state) {
    (void)state;
    io_sim *sim = io_sim_create(7);
    io_files *files = io_sim_world(sim)->files;
    uint8_t data[8192];
    write_unsynced(files);
    io_sim_restart(sim, IO_SIM_KILL);
    assert_int_equal(read_all(files, "file", data, sizeof data), 8 * 512 + 1000);
    assert_int_equal(count_sectors(data, 0, 4, 'a'), 4);
    io_sim_restart(sim, IO_SIM_DRY_CUT); /* after a kill it still was not synced */
    assert_int_equal(read_all(files, "file", data, sizeof data), 8 * 512);
    assert_int_equal(count_sectors(data, 0, 8, 's'), 8);
    io_sim_destroy(sim);
}

/* What was synced survives everything; names synced and unsynced; a rename shows the old or the new, never neither. */
static void test_power_cut_of_names(void **state) {
    (void)state;
    unsigned made = 0, renamed = 0, removed = 0, lost_folder = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        io_sim *sim = io_sim_create(seed);
        io_files *files = io_sim_world(sim)->files;
        io_file *file = opened(files, "old", IO_OPEN_WRITE | IO_OPEN_CREATE);
        write_all(files, file, 0, 'o', 10);
        IO_STORY_OK(io_sync(files, file));
        io_close(files, file);
        io_close(files, opened(files, "doomed", IO_OPEN_WRITE | IO_OPEN_CREATE));
        IO_STORY_OK(io_sync_directory(files, "/"));
        IO_STORY_OK(io_rename(files, "old", "new"));
        IO_STORY_OK(io_remove(files, "doomed"));
        IO_STORY_OK(io_make_directory(files, "folder"));
        file = opened(files, "folder/file", IO_OPEN_WRITE | IO_OPEN_CREATE);
        write_all(files, file, 0, 'f', 10);
        IO_STORY_OK(io_sync(files, file));
        io_close(files, file);
        IO_STORY_OK(io_sync_directory(files, "folder"));
        io_sim_restart(sim, IO_SIM_POWER_CUT);
        io_file_info info;
        const bool has_old = !weir_failed(io_path_info(files, "old", &info));
        const bool has_new = !weir_failed(io_path_info(files, "new", &info));
        assert_true(has_old != has_new);
        uint8_t data[16];
        assert_int_equal(read_all(files, has_old ? "old" : "new", data, sizeof data), 10);
        renamed += has_new;
        removed += weir_failed(io_path_info(files, "doomed", &info));
        if (weir_failed(io_path_info(files, "folder", &info)))
            lost_folder++;
        else
            made += !weir_failed(io_path_info(files, "folder/file", &info));
        io_sim_destroy(sim);
    }
    assert_in_range(renamed, 30, 270);
    assert_in_range(removed, 30, 270);
    assert_in_range(lost_folder, 30, 270);
    assert_int_equal(made + lost_folder, 300);
}

/* ---- a process dies at an operation ---- */

static void test_crash_at_each_operation(void **state) {
    (void)state;
    unsigned took_effect = 0, crashes = 0;
    for (uint64_t number = 1; number <= 6; number++) {
        for (uint64_t seed = 1; seed <= 20; seed++) {
            io_sim *sim = io_sim_create(seed);
            io_files *files = io_sim_world(sim)->files;
            io_sim_crash_at(sim, number);
            io_file *file = NULL;
            unsigned done = 0;
            weir_status status = io_open(files, "a", IO_OPEN_WRITE | IO_OPEN_CREATE, &file);
            const weir_bytes part = weir_bytes_text("abc");
            if (!weir_failed(status) && ++done) status = io_sync_directory(files, ".");
            if (!weir_failed(status) && ++done) status = io_write_at(files, file, 0, &part, 1);
            if (!weir_failed(status) && ++done) status = io_sync(files, file);
            if (!weir_failed(status) && ++done) status = io_truncate(files, file, 1);
            if (!weir_failed(status) && ++done) status = io_rename(files, "a", "b");
            assert_int_equal(status.code, WEIR_CLOSED);
            assert_int_equal(done, number - 1);
            assert_true(io_sim_is_crashed(sim));
            io_file_info info;
            assert_int_equal(io_path_info(files, ".", &info).code, WEIR_CLOSED);
            io_sim_restart(sim, IO_SIM_KILL);
            if (file) {
                size_t got;
                uint8_t byte;
                assert_int_equal(io_read_at(files, file, 0, &byte, 1, &got).code,
                                 WEIR_CLOSED); /* of the dead process */
                io_close(files, file);
            }
            crashes += number == 6;
            took_effect += number == 6 && !weir_failed(io_path_info(files, "b", &info));
            /* A rename is whole: from the second operation on the file has exactly one of its names. */
            const bool has_a = !weir_failed(io_path_info(files, "a", &info));
            const bool has_b = !weir_failed(io_path_info(files, "b", &info));
            if (number > 1) assert_true(has_a != has_b);
            io_sim_destroy(sim);
        }
    }
    assert_in_range(took_effect, 1, crashes - 1);
}

static void test_lock_ends_with_its_process(void **state) {
    (void)state;
    io_sim *sim = io_sim_create(3);
    io_files *files = io_sim_world(sim)->files;
    io_file *first = opened(files, "lock", IO_OPEN_WRITE | IO_OPEN_CREATE);
    IO_STORY_OK(io_lock(files, first));
    io_sim_restart(sim, IO_SIM_KILL);
    io_file *second = opened(files, "lock", IO_OPEN_WRITE);
    IO_STORY_OK(io_lock(files, second));
    io_close(files, first);
    io_close(files, second);
    io_sim_destroy(sim);
}

/* ---- a disk that fails, fills and flips ---- */

static void test_failed_sync_is_never_made_good(void **state) {
    (void)state;
    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        io_sim *sim = io_sim_create(seed);
        io_files *files = io_sim_world(sim)->files;
        io_file *file = opened(files, "file", IO_OPEN_WRITE | IO_OPEN_CREATE);
        IO_STORY_OK(io_sync_directory(files, "."));
        write_all(files, file, 0, 'x', 100);
        io_sim_fail_sync(sim, 1);
        assert_int_equal(io_sync(files, file).code, WEIR_IO);
        IO_STORY_OK(io_sync(files, file)); /* says OK, and repairs nothing */
        uint8_t data[128];
        assert_int_equal(read_all(files, "file", data, sizeof data), 100);
        io_close(files, file);
        io_sim_restart(sim, IO_SIM_DRY_CUT);
        lost += read_all(files, "file", data, sizeof data) == 0;
        io_sim_destroy(sim);
    }
    assert_in_range(lost, 5, 35);
}

static void test_full_disk(void **state) {
    (void)state;
    io_sim *sim = io_sim_create(3);
    io_files *files = io_sim_world(sim)->files;
    io_file *file = opened(files, "file", IO_OPEN_WRITE | IO_OPEN_CREATE);
    io_sim_set_free_bytes(sim, 150);
    write_all(files, file, 0, 'x', 100);
    write_all(files, file, 0, 'y', 100); /* in place costs nothing */
    const weir_bytes part = weir_bytes_of("0123456789012345678901234567890123456789012345678901234567890123456789", 70);
    assert_int_equal(io_write_at(files, file, 100, &part, 1).code, WEIR_DISK_FULL);
    io_file_info info;
    IO_STORY_OK(io_file_info_of(files, file, &info));
    assert_int_equal(info.size, 150); /* the prefix that fits */
    IO_STORY_OK(io_truncate(files, file, 50));
    IO_STORY_OK(io_preallocate(files, file, 150));
    assert_int_equal(io_preallocate(files, file, 151).code, WEIR_DISK_FULL);
    io_sim_fail_operation(sim, 2);
    IO_STORY_OK(io_truncate(files, file, 10));
    assert_int_equal(io_truncate(files, file, 5).code, WEIR_IO);
    IO_STORY_OK(io_file_info_of(files, file, &info));
    assert_int_equal(info.size, 10);
    io_close(files, file);
    io_sim_destroy(sim);
}

static void test_flipped_bits(void **state) {
    (void)state;
    io_sim *sim = io_sim_create(3);
    io_files *files = io_sim_world(sim)->files;
    io_file *file = opened(files, "file", IO_OPEN_WRITE | IO_OPEN_CREATE);
    write_all(files, file, 0, 0, 100);
    assert_true(io_sim_flip_bits(sim, "file", 50, 60, 1));
    assert_false(io_sim_flip_bits(sim, "file", 100, 110, 1));
    assert_false(io_sim_flip_bits(sim, "missing", 0, 10, 1));
    IO_STORY_OK(io_sync(files, file));
    IO_STORY_OK(io_sync_directory(files, "."));
    io_close(files, file);
    io_sim_restart(sim, IO_SIM_DRY_CUT);
    uint8_t data[128];
    assert_int_equal(read_all(files, "file", data, sizeof data), 100);
    unsigned bits = 0;
    for (unsigned i = 0; i < 100; i++) {
        bits += (unsigned)__builtin_popcount(data[i]);
        if (data[i]) assert_in_range(i, 50, 59);
    }
    assert_int_equal(bits, 1);
    io_sim_destroy(sim);
}

/* ---- links that drop ---- */

typedef struct dropping {
    io_sim *sim;
    io_lane *lane;
    io_conn *client;
    io_write write;
    uint8_t data[50000];
    size_t received;
    weir_code server_why, client_why, sent;
    unsigned closed;
} dropping;

static void dropping_server_data(void *protocol, weir_bytes data) {
    ((dropping *)protocol)->received += data.size;
}
static void dropping_client_data(void *protocol, weir_bytes data) {
    (void)protocol;
    (void)data;
    weir_assert(false);
}
static void dropping_server_closed(void *protocol, weir_status why) {
    ((dropping *)protocol)->server_why = why.code;
    ((dropping *)protocol)->closed++;
}
static void dropping_client_closed(void *protocol, weir_status why) {
    ((dropping *)protocol)->client_why = why.code;
    ((dropping *)protocol)->closed++;
}
static void dropping_accept(void *arg, io_conn *conn) {
    conn->events = (io_conn_events){dropping_server_data, dropping_server_closed, arg};
}
static void dropping_sent(io_write *write, weir_status status) {
    io_owner(write, dropping, write)->sent = status.code;
}
static void dropping_connected(void *arg, weir_status status, io_conn *conn) {
    dropping *test = arg;
    IO_STORY_OK(status);
    test->client = conn;
    conn->events = (io_conn_events){dropping_client_data, dropping_client_closed, test};
    test->write = (io_write){.parts = {{test->data, sizeof test->data}}, .part_count = 1, .sent = dropping_sent};
    io_conn_write(conn, &test->write);
}
static bool dropping_has_some(void *arg) {
    return ((dropping *)arg)->received > 0;
}

static void test_dropped_links(void **state) {
    (void)state;
    unsigned cut_short = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        dropping test = {.sim = io_sim_create(seed)};
        const io_world *world = io_sim_world(test.sim);
        test.lane = io_lane_create(world->executor, IO_LANE_LOOP, "main");
        io_listener *listener;
        io_address bound;
        IO_STORY_OK(io_listen(world->network, test.lane, "::", 9092, dropping_accept, &test, &listener, &bound));
        io_connect(world->network, test.lane, "127.0.0.1", 9092, dropping_connected, &test);
        assert_int_equal(io_sim_run(test.sim, dropping_has_some, &test, STEPS_MAX), IO_SIM_DONE);
        io_sim_drop_links(test.sim, 1);
        assert_int_equal(io_sim_run(test.sim, NULL, NULL, STEPS_MAX), IO_SIM_IDLE);
        assert_int_equal(test.closed, 2);
        assert_int_equal(test.server_why, WEIR_CLOSED);
        assert_int_equal(test.client_why, WEIR_CLOSED);
        assert_true(test.sent == WEIR_OK || test.sent == WEIR_CLOSED);
        cut_short += test.received < sizeof test.data;
        io_sim_destroy(test.sim);
    }
    assert_true(cut_short > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_clock_jumps),
        cmocka_unit_test(test_power_cut_keeps_loses_tears_reorders),
        cmocka_unit_test(test_dry_cut_and_kill),
        cmocka_unit_test(test_power_cut_of_names),
        cmocka_unit_test(test_crash_at_each_operation),
        cmocka_unit_test(test_lock_ends_with_its_process),
        cmocka_unit_test(test_failed_sync_is_never_made_good),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_dropped_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
