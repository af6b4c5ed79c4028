/* io/sim, inside: what its files share. */
#ifndef WEIR_IO_SIM_INT_H
#define WEIR_IO_SIM_INT_H

#include "io/sim/io_sim.h"
#include "io/timers.h"

/* splitmix64: small, and every seed is as good as any other. */
typedef struct sim_random {
    uint64_t state;
} sim_random;

static inline uint64_t sim_next(sim_random *random) {
    uint64_t mixed = random->state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}
static inline uint64_t sim_below(sim_random *random, uint64_t limit) {
    return limit ? sim_next(random) % limit : 0;
}
static inline bool sim_chance(sim_random *random, uint64_t one_in) {
    return one_in && sim_below(random, one_in) == 0;
}

struct io_lane {
    io_lane_kind kind;
    uint64_t id;
    io_job *first, *last;
    size_t ready_at; /* place among the ready lanes, while it has jobs */
    io_lane *next;
};

typedef struct sim_inode sim_inode;
typedef struct sim_conn sim_conn;
typedef struct sim_connect sim_connect;

typedef struct sim_entry { /* a name in a directory */
    uint64_t parent;
    char *name;
    sim_inode *inode;
} sim_entry;

typedef struct sim_names {
    sim_entry *entries;
    size_t count, capacity;
} sim_names;

typedef struct sim_name_change sim_name_change;

typedef struct sim_disk {
    sim_random random;
    sim_inode *inodes, *root;
    uint64_t inode_next;
    sim_names current, safe;
    sim_name_change *changes_first, *changes_last;
    io_file *files;
    uint64_t generation; /* of processes: a file opened by an earlier one is dead */
    uint64_t operations, syncs;
    uint64_t crash_at, fail_operation_at, fail_sync_at;
    uint64_t free_bytes;
    unsigned cold_one_in;
    bool is_crashed;
} sim_disk;

typedef struct sim_links {
    sim_random random;
    sim_conn *conns;
    sim_connect *connects;
    io_listener *listeners;
    uint16_t port_next;
    unsigned drop_one_in;
} sim_links;

struct io_sim {
    io_world world;
    io_clock clock;
    io_random random;
    io_executor executor;
    io_files files;
    io_network network;
    weir_account account;
    uint64_t seed;
    sim_random schedule, drawn, filled; /* separate streams: a new draw in one does not change the others */
    int64_t now_ns, wall_offset_ms;
    uint64_t steps, trace;
    io_lane *lanes;
    uint64_t lane_next;
    io_lane **ready;
    size_t ready_count, ready_capacity;
    io_timers timers;
    sim_disk disk;
    sim_links links;
};

static inline void sim_trace(io_sim *sim, uint64_t value) {
    sim_random mixer = {sim->trace ^ value};
    sim->trace = sim_next(&mixer);
}

void sim_disk_init(io_sim *sim);
void sim_disk_deinit(io_sim *sim);
void sim_links_init(io_sim *sim);
void sim_links_deinit(io_sim *sim);

#endif
