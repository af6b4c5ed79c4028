/* connect - what a source connector is: one vtable, one option table; and the runtime that moves its records into a
 * topic.
 *
 * A connector reads something foreign (a file, a socket, a database) and knows nothing of topics, commits or restarts.
 * It is polled and never calls back. Where it stands is a text that it writes and that it is given again at open(): the
 * runtime commits that text together with the records it stands for, in one atomic bus commit, so that no connector
 * has code for at-least-once, and every record arrives exactly once.
 *
 * Positions live in the topic `_weir_connect-<connector>-positions` (one record a commit, value = the position text);
 * a restart reads its last record.
 *
 * Adding a connector: a folder with one const connect_source, a row in connect_sources (registry.c), and its rows in
 * conformance_test.c.
 *
 * Threads: a running connector belongs to one blocking lane of its own; open, poll, position and close run there and
 * may wait for files, never for long. Start, stop and the events run on the owner's loop lane. */
#ifndef WEIR_CONNECT_CONNECT_H
#define WEIR_CONNECT_CONNECT_H

#include "base/option.h"
#include "bus/bus.h"
#include "io/io.h"

/* ---- a kind of source -------------------------------------------------------------------------------------------- */

typedef struct connect_record { /* views valid until the next poll */
    weir_bytes key;             /* data == NULL: null key */
    weir_bytes value;
    weir_bytes headers;         /* as in bus_row; empty = none */
    int64_t timestamp_ms;
} connect_record;

typedef struct connect_settings { /* checked against the option table; borrowed for the connector's life */
    const weir_setting *items;
    size_t count;
} connect_settings;

enum { CONNECT_POLL_RECORDS_MAX = 8192, CONNECT_POSITION_BYTES_MAX = 4096 };

typedef struct connect_source connect_source;
struct connect_source {
    const char *name;            /* 'connector' = 'file' */
    const char *about;           /* one line for DESCRIBE and the reference page */
    const weir_option *options;  /* without the common ones: connector, topic */
    /* `position`: what position() wrote at the last commit; empty at the first start. */
    weir_status (*open)(const connect_source *source, const io_world *world, weir_account *account,
                        const connect_settings *settings, weir_bytes position, void **self);
    /* Up to `max` records that are there now. None: *wait_ms says when to ask again. A failure is told, and polled
     * again after a pause if its code may be retried or it is NOT_FOUND. */
    weir_status (*poll)(void *self, connect_record *records, uint32_t max, uint32_t *count, int64_t *wait_ms);
    /* Writes the text that makes open() go on exactly after the last polled record. */
    weir_status (*position)(void *self, weir_buffer *text);
    void (*close)(void *self);
};

extern const weir_option connect_common_options[]; /* connector, topic */
const connect_source *connect_source_find(const char *name);         /* NULL: unknown */
const connect_source *connect_source_at(size_t index);               /* NULL past the end */
/* Finds the source named by the 'connector' setting and checks all settings against its table and the common one. */
weir_status connect_settings_check(const connect_settings *settings, const connect_source **source) WEIR_MUST_USE;

/* ---- a running connector ----------------------------------------------------------------------------------------- */

typedef struct connect_task connect_task;

typedef enum connect_state { CONNECT_STARTING, CONNECT_RUNNING, CONNECT_STOPPED, CONNECT_FAILED } connect_state;

typedef struct connect_stats {
    connect_state state;
    uint64_t records, bytes, commits;
    weir_error last_error;
} connect_stats;

typedef struct connect_runtime {
    const io_world *world;
    bus *bus;
    io_lane *owner;
    weir_account *account; /* of the tasks' control structures */
} connect_runtime;

/* `name` and `settings` are copied. The topic is made with one partition when it is missing. Never waits; failures show
 * in the stats and are retried with growing pauses. `stopped` is posted to the owner lane once, after
 * connect_task_stop(). */
connect_task *connect_task_start(const connect_runtime *runtime, const char *name, const connect_source *source,
                                 const connect_settings *settings, io_job *stopped);
/* Commits nothing more; what was polled and not committed is polled again at the next start. */
void connect_task_stop(connect_task *task);
void connect_task_free(connect_task *task); /* after `stopped` */
void connect_task_stats_get(connect_task *task, connect_stats *stats);

#endif
