/* io - the five seams between weir and the world: clock, files, network, randomness, executor.
 *
 * Production runs on io/real (Linux, libuv, threads); tests may run the same code on io/sim, where one thread executes
 * everything in an order drawn from a seed, over a disk that loses, tears and flips, and links that drop. Nobody
 * outside io/real calls the system for any of the five.
 *
 * THE EXECUTION MODEL. Code runs in jobs; jobs run on lanes. A lane is serial: its jobs run one after another, in the
 * order they were posted, never two at a time; so what one lane owns needs no lock. Lanes of three kinds:
 *   IO_LANE_LOOP      short work that never blocks: network callbacks, the broker, HTTP. All loop lanes created with
 * the same name share one event-loop thread. IO_LANE_WORKER    computing: engine tasks. Any worker thread runs the
 * lane's next job; one at a time. IO_LANE_BLOCKING  the only place where a call may wait: file reads that may miss the
 * cache, writes, fdatasync. Each has a thread of its own while it has work. Modules talk across lanes by posting jobs,
 * never by calling. "Submit and completion" is a job posted to a blocking lane whose last act is to post the
 * requester's job back. "Park and be woken" is to return, and be posted again.
 *
 * A job is caller's storage and intrusive: posting allocates nothing. Posting a job that is already queued does
 * nothing, so that many wake-ups cost one run; a job may post itself again while it runs. */
#ifndef WEIR_IO_IO_H
#define WEIR_IO_IO_H

#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"

#include <stdatomic.h>

/* ---- clock ------------------------------------------------------------------------------------------------------- */

typedef struct io_clock io_clock;
struct io_clock {
    int64_t (*monotonic_ns)(io_clock *self); /* for every timer and duration; never jumps */
    int64_t (*wall_ms)(io_clock *self);      /* for recording only; may jump */
};
static inline int64_t io_now_ns(io_clock *clock) {
    return clock->monotonic_ns(clock);
}
static inline int64_t io_wall_ms(io_clock *clock) {
    return clock->wall_ms(clock);
}

/* ---- randomness -------------------------------------------------------------------------------------------------- */

typedef struct io_random io_random;
struct io_random {
    void (*fill)(io_random *self, void *target, size_t size);
};
static inline uint64_t io_random_u64(io_random *random) {
    uint64_t value;
    random->fill(random, &value, sizeof value);
    return value;
}

/* ---- executor ---------------------------------------------------------------------------------------------------- */

typedef struct io_executor io_executor;
typedef struct io_lane io_lane;

typedef enum io_lane_kind { IO_LANE_LOOP, IO_LANE_WORKER, IO_LANE_BLOCKING } io_lane_kind;

typedef struct io_job io_job;
struct io_job {
    void (*run)(io_job *job); /* container_of-style: the job is the first member, or at a known offset, of its owner */
    io_job *next;             /* private to the executor */
    _Atomic bool queued;      /* private to the executor */
};

/* A one-shot timer: posts `job` to `lane` at or after a monotonic time. Caller's storage; must be cancelled or have
 * fired before it is freed. Setting a set timer moves it. Set and cancelled only from jobs of its lane. A cancelled
 * timer does not fire; but one that fired just before has its job queued, and the job then still runs once. */
typedef struct io_timer {
    io_job *job;
    io_lane *lane;
    int64_t at_ns;
    _Atomic bool set;
    size_t position; /* private to the executor: place in io_timers, and order among equal times */
    uint64_t order;
} io_timer;

struct io_executor {
    io_lane *(*lane_create)(io_executor *self, io_lane_kind kind, const char *name); /* name is copied */
    /* No job may be queued or running on it, none may be posted later, no timer set. Not from the lane's own jobs. */
    void (*lane_destroy)(io_executor *self, io_lane *lane);
    void (*post)(io_executor *self, io_lane *lane, io_job *job); /* from any thread */
    void (*timer_set)(io_executor *self, io_timer *timer, int64_t at_ns);
    void (*timer_cancel)(io_executor *self, io_timer *timer);
};
static inline io_lane *io_lane_create(io_executor *executor, io_lane_kind kind, const char *name) {
    return executor->lane_create(executor, kind, name);
}
static inline void io_lane_destroy(io_executor *executor, io_lane *lane) {
    executor->lane_destroy(executor, lane);
}
static inline void io_post(io_executor *executor, io_lane *lane, io_job *job) {
    executor->post(executor, lane, job);
}
static inline void io_job_init(io_job *job, void (*run)(io_job *job)) {
    job->run = run;
    job->next = NULL;
    atomic_init(&job->queued, false);
}
static inline void io_timer_init(io_timer *timer, io_lane *lane, io_job *job) {
    *timer = (io_timer){.job = job, .lane = lane};
}
static inline void io_timer_set(io_executor *executor, io_timer *timer, int64_t at_ns) {
    executor->timer_set(executor, timer, at_ns);
}
static inline void io_timer_cancel(io_executor *executor, io_timer *timer) {
    executor->timer_cancel(executor, timer);
}

/* The owner of a member: io_owner(job, log_store, flush_job). */
#define io_owner(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* All calls may wait and belong on a blocking lane, with two exceptions: read_resident(), and everything during start
 * before `ready` and during the final stop. Paths are relative to the process or absolute; '/' separates. */
typedef struct io_files io_files;
typedef struct io_file io_file;

enum io_open_flags {
    IO_OPEN_READ = 0,
    IO_OPEN_WRITE = 1 << 0,     /* read and write */
    IO_OPEN_CREATE = 1 << 1,    /* made when missing */
    IO_OPEN_EXCLUSIVE = 1 << 2, /* with CREATE: EXISTS when it is there */
    IO_OPEN_TRUNCATE = 1 << 3
};

typedef struct io_file_info {
    uint64_t size;
    uint64_t device, inode; /* identity across renames: how a tail notices rotation */
    int64_t modified_ms;
    bool is_directory;
} io_file_info;

struct io_files {
    weir_status (*open)(io_files *self, const char *path, unsigned flags, io_file **file) WEIR_MUST_USE;
    void (*close)(io_files *self, io_file *file);
    /* Reads up to `size` bytes; *got < size only at the end of the file. */
    weir_status (*read_at)(io_files *self, io_file *file, uint64_t at, void *target, size_t size,
                           size_t *got) WEIR_MUST_USE;
    /* As read_at, but never waits: BUSY when the bytes are not in memory (RWF_NOWAIT). For loop lanes. */
    weir_status (*read_resident)(io_files *self, io_file *file, uint64_t at, void *target, size_t size,
                                 size_t *got) WEIR_MUST_USE;
    /* Writes all parts in order at `at`, or fails; a failed write may have written any prefix. */
    weir_status (*write_at)(io_files *self, io_file *file, uint64_t at, const weir_bytes *parts,
                            size_t count) WEIR_MUST_USE;
    /* fdatasync. Never retried after a failure: the caller treats what was unsynced as lost. */
    weir_status (*sync)(io_files *self, io_file *file) WEIR_MUST_USE;
    weir_status (*truncate)(io_files *self, io_file *file, uint64_t size) WEIR_MUST_USE;
    /* Reserves and zeroes [size, bytes) so that later writes and fdatasync touch no metadata. */
    weir_status (*preallocate)(io_files *self, io_file *file, uint64_t bytes) WEIR_MUST_USE;
    weir_status (*file_info)(io_files *self, io_file *file, io_file_info *info) WEIR_MUST_USE;
    weir_status (*path_info)(io_files *self, const char *path, io_file_info *info) WEIR_MUST_USE; /* NOT_FOUND */
    weir_status (*rename)(io_files *self, const char *source, const char *target) WEIR_MUST_USE;  /* replaces */
    weir_status (*remove)(io_files *self, const char *path) WEIR_MUST_USE;         /* a file or an empty directory */
    weir_status (*make_directory)(io_files *self, const char *path) WEIR_MUST_USE; /* EXISTS */
    weir_status (*sync_directory)(io_files *self, const char *path) WEIR_MUST_USE; /* entries survive a crash */
    /* Calls visit(name, arg) for every entry but . and .. in unspecified order. */
    weir_status (*list)(io_files *self, const char *path, void (*visit)(const char *name, void *arg),
                        void *arg) WEIR_MUST_USE;
    /* Takes an exclusive advisory lock held until close; BUSY when another process or holder has it. */
    weir_status (*lock)(io_files *self, io_file *file) WEIR_MUST_USE;
};

/* Fails with IO, DISK_FULL, NOT_FOUND, REFUSED as the system says; the sentence names the path. The wrappers below are
 * how everybody calls them. */
static inline weir_status io_open(io_files *files, const char *path, unsigned flags, io_file **file) {
    return files->open(files, path, flags, file);
}
static inline void io_close(io_files *files, io_file *file) {
    files->close(files, file);
}
static inline weir_status io_read_at(io_files *files, io_file *file, uint64_t at, void *target, size_t size,
                                     size_t *got) {
    return files->read_at(files, file, at, target, size, got);
}
static inline weir_status io_read_resident(io_files *files, io_file *file, uint64_t at, void *target, size_t size,
                                           size_t *got) {
    return files->read_resident(files, file, at, target, size, got);
}
static inline weir_status io_write_at(io_files *files, io_file *file, uint64_t at, const weir_bytes *parts,
                                      size_t count) {
    return files->write_at(files, file, at, parts, count);
}
static inline weir_status io_sync(io_files *files, io_file *file) {
    return files->sync(files, file);
}
static inline weir_status io_truncate(io_files *files, io_file *file, uint64_t size) {
    return files->truncate(files, file, size);
}
static inline weir_status io_preallocate(io_files *files, io_file *file, uint64_t bytes) {
    return files->preallocate(files, file, bytes);
}
static inline weir_status io_file_info_of(io_files *files, io_file *file, io_file_info *info) {
    return files->file_info(files, file, info);
}
static inline weir_status io_path_info(io_files *files, const char *path, io_file_info *info) {
    return files->path_info(files, path, info);
}
static inline weir_status io_rename(io_files *files, const char *source, const char *target) {
    return files->rename(files, source, target);
}
static inline weir_status io_remove(io_files *files, const char *path) {
    return files->remove(files, path);
}
static inline weir_status io_make_directory(io_files *files, const char *path) {
    return files->make_directory(files, path);
}
static inline weir_status io_sync_directory(io_files *files, const char *path) {
    return files->sync_directory(files, path);
}
static inline weir_status io_list(io_files *files, const char *path, void (*visit)(const char *, void *), void *arg) {
    return files->list(files, path, visit, arg);
}
static inline weir_status io_lock(io_files *files, io_file *file) {
    return files->lock(files, file);
}

/* ---- network ----------------------------------------------------------------------------------------------------- */

/* A connection is a stack of filters: the socket at the bottom, TLS later in between; all look the same to the protocol
 * on top. Everything about a connection happens on the loop lane of its listener.
 *
 * Reading is pushed: `on_data` hands out a view valid during the call; io_conn_pause() stops it (the protocol's queue
 * is full) and io_conn_resume() goes on. Writing never waits: io_conn_write() queues and calls `sent` when the bytes
 * have left or the connection died; the protocol stops producing while io_conn_queued() is above its limit. */
typedef struct io_network io_network;
typedef struct io_listener io_listener;
typedef struct io_conn io_conn;

enum { IO_ADDRESS_TEXT_MAX = 64 };
typedef struct io_address {
    char host[IO_ADDRESS_TEXT_MAX]; /* numeric, without brackets */
    uint16_t port;
} io_address;

typedef struct io_conn_events { /* set by the protocol in its accept callback; all called on the loop lane */
    void (*on_data)(void *protocol, weir_bytes data);
    /* The last call; the conn is gone. OK = closed in order, by either side. When the peer ends its side, reading ends,
     * what is queued is still sent, and then the connection closes. */
    void (*on_closed)(void *protocol, weir_status why);
    void *protocol;
} io_conn_events;

typedef struct io_write io_write;
struct io_write { /* caller's storage, borrowed until sent() */
    weir_bytes parts[4];
    size_t part_count;
    void (*sent)(io_write *write, weir_status status); /* on the loop lane, never inside io_conn_write() */
    io_write *next;                                    /* private */
};

struct io_conn { /* the vtable a filter implements; implementations embed it first */
    io_conn_events events;
    io_address local, remote;
    size_t queued_bytes;
    void (*write)(io_conn *self, io_write *write);
    void (*pause)(io_conn *self);
    void (*resume)(io_conn *self);
    /* Stops reading at once, sends what is queued (for 5 s at most), then closes and calls on_closed, never inside the
     * call. Idempotent. Every write's sent() comes before on_closed(). */
    void (*close)(io_conn *self);
};
static inline void io_conn_write(io_conn *conn, io_write *write) {
    conn->write(conn, write);
}
static inline void io_conn_pause(io_conn *conn) {
    conn->pause(conn);
}
static inline void io_conn_resume(io_conn *conn) {
    conn->resume(conn);
}
static inline void io_conn_close(io_conn *conn) {
    conn->close(conn);
}
static inline size_t io_conn_queued(const io_conn *conn) {
    return conn->queued_bytes;
}

struct io_network {
    /* Binds `host` ("127.0.0.1", "::", a name; "localhost" binds ::1 and 127.0.0.1 on one port) and `port` (0 = a free
     * one, see *bound), without SO_REUSEPORT: BUSY when the port is taken. `accept` runs on `lane` (a loop lane) for
     * each new connection and must set conn->events. Called from a job of `lane`, or, for a lane of the main loop,
     * before that loop runs. */
    weir_status (*listen)(io_network *self, io_lane *lane, const char *host, uint16_t port,
                          void (*accept)(void *arg, io_conn *conn), void *arg, io_listener **listener,
                          io_address *bound) WEIR_MUST_USE;
    /* From the lane's jobs, or before and after the loops run. Open connections stay. */
    void (*unlisten)(io_network *self, io_listener *listener);
    /* Outgoing, from a job of `lane`; completes there, never inside the call: `connected` gets the conn (and must set
     * its events) or a failure. */
    void (*connect)(io_network *self, io_lane *lane, const char *host, uint16_t port,
                    void (*connected)(void *arg, weir_status status, io_conn *conn), void *arg);
};
static inline weir_status io_listen(io_network *network, io_lane *lane, const char *host, uint16_t port,
                                    void (*accept)(void *arg, io_conn *conn), void *arg, io_listener **listener,
                                    io_address *bound) {
    return network->listen(network, lane, host, port, accept, arg, listener, bound);
}
static inline void io_unlisten(io_network *network, io_listener *listener) {
    network->unlisten(network, listener);
}
static inline void io_connect(io_network *network, io_lane *lane, const char *host, uint16_t port,
                              void (*connected)(void *arg, weir_status status, io_conn *conn), void *arg) {
    network->connect(network, lane, host, port, connected, arg);
}

/* ---- the world, handed down as one ------------------------------------------------------------------------------- */

typedef struct io_world {
    io_clock *clock;
    io_random *random;
    io_executor *executor;
    io_files *files;
    io_network *network;
} io_world;

#endif
