/* The simulated world as a whole: clock, randomness, lanes, timers, and the loop that runs it. */
#include "io/sim/io_sim_int.h"

enum { STEP_NS_MAX = 10000 };
static const int64_t WALL_START_MS = 1767225600000; /* 2026-01-01T00:00:00Z */

static io_sim *sim_of(io_executor *executor) {
    return io_owner(executor, io_sim, executor);
}

static int64_t monotonic_ns(io_clock *self) {
    return io_owner(self, io_sim, clock)->now_ns;
}

static int64_t wall_ms(io_clock *self) {
    const io_sim *sim = io_owner(self, io_sim, clock);
    return WALL_START_MS + sim->now_ns / 1000000 + sim->wall_offset_ms;
}

static void fill(io_random *self, void *target, size_t size) {
    io_sim *sim = io_owner(self, io_sim, random);
    for (size_t done = 0; done < size;) {
        const uint64_t value = sim_next(&sim->filled);
        const size_t step = size - done < sizeof value ? size - done : sizeof value;
        memcpy((char *)target + done, &value, step);
        done += step;
    }
}

/* ---- lanes ---- */

static io_lane *lane_create(io_executor *self, io_lane_kind kind, const char *name) {
    io_sim *sim = sim_of(self);
    (void)name; /* one thread runs all */
    io_lane *lane = weir_alloc(&sim->account, sizeof *lane);
    lane->kind = kind;
    lane->id = sim->lane_next++;
    lane->next = sim->lanes;
    sim->lanes = lane;
    return lane;
}

static void lane_destroy(io_executor *self, io_lane *lane) {
    io_sim *sim = sim_of(self);
    weir_assert(!lane->first);
    io_lane **link = &sim->lanes;
    while (*link != lane) link = &(*link)->next;
    *link = lane->next;
    weir_free(&sim->account, lane);
}

static void post(io_executor *self, io_lane *lane, io_job *job) {
    io_sim *sim = sim_of(self);
    if (atomic_exchange(&job->queued, true)) return;
    job->next = NULL;
    if (lane->first) {
        lane->last->next = job;
        lane->last = job;
        return;
    }
    lane->first = lane->last = job;
    if (sim->ready_count == sim->ready_capacity) {
        sim->ready_capacity = sim->ready_capacity ? sim->ready_capacity * 2 : 16;
        sim->ready = weir_realloc(&sim->account, sim->ready, sim->ready_capacity * sizeof(io_lane *));
    }
    lane->ready_at = sim->ready_count;
    sim->ready[sim->ready_count++] = lane;
}

static io_job *take_job(io_sim *sim, io_lane *lane) {
    io_job *job = lane->first;
    lane->first = job->next;
    if (!lane->first) {
        io_lane *moved = sim->ready[--sim->ready_count];
        sim->ready[lane->ready_at] = moved;
        moved->ready_at = lane->ready_at;
    }
    atomic_store(&job->queued, false);
    return job;
}

static void timer_set(io_executor *self, io_timer *timer, int64_t at_ns) {
    io_timers_set(&sim_of(self)->timers, timer, at_ns);
}

static void timer_cancel(io_executor *self, io_timer *timer) {
    io_timers_remove(&sim_of(self)->timers, timer);
}

/* ---- running ---- */

static void fire_due(io_sim *sim) {
    for (io_timer *timer; (timer = io_timers_first(&sim->timers)) && timer->at_ns <= sim->now_ns;) {
        io_timers_remove(&sim->timers, timer);
        post(&sim->executor, timer->lane, timer->job);
    }
}

/* Makes at least one lane ready, moving the clock up to `until_ns` for it; false when nothing happens until then. */
static bool make_ready(io_sim *sim, int64_t until_ns) {
    fire_due(sim);
    if (sim->ready_count > 0) return true;
    const io_timer *first = io_timers_first(&sim->timers);
    if (!first || first->at_ns > until_ns) return false;
    sim->now_ns = first->at_ns;
    fire_due(sim);
    return true;
}

static void step(io_sim *sim) {
    io_lane *lane = sim->ready[sim_below(&sim->schedule, sim->ready_count)];
    io_job *job = take_job(sim, lane);
    sim->steps++;
    sim_trace(sim, lane->id);
    sim_trace(sim, (uint64_t)sim->now_ns);
    job->run(job);
    sim->now_ns += (int64_t)sim_below(&sim->schedule, STEP_NS_MAX);
}

io_sim_end io_sim_run(io_sim *sim, bool (*done)(void *arg), void *arg, uint64_t steps_max) {
    for (uint64_t ran = 0;; ran++) {
        if (done && done(arg)) return IO_SIM_DONE;
        if (ran == steps_max) return IO_SIM_LIMIT;
        if (!make_ready(sim, INT64_MAX)) return IO_SIM_IDLE;
        step(sim);
    }
}

io_sim_end io_sim_run_for(io_sim *sim, int64_t duration_ns) {
    const int64_t until_ns = sim->now_ns + duration_ns;
    while (sim->now_ns < until_ns && make_ready(sim, until_ns)) step(sim);
    if (sim->now_ns < until_ns && sim->timers.count == 0) return IO_SIM_IDLE;
    if (sim->now_ns < until_ns) sim->now_ns = until_ns;
    return IO_SIM_LIMIT;
}

uint64_t io_sim_steps(const io_sim *sim) {
    return sim->steps;
}
uint64_t io_sim_trace(const io_sim *sim) {
    return sim->trace;
}
uint64_t io_sim_seed(const io_sim *sim) {
    return sim->seed;
}
uint64_t io_sim_draw(io_sim *sim, uint64_t below) {
    return sim_below(&sim->drawn, below);
}
void io_sim_wall_jump(io_sim *sim, int64_t by_ms) {
    sim->wall_offset_ms += by_ms;
}
const io_world *io_sim_world(io_sim *sim) {
    return &sim->world;
}

/* ---- life ---- */

/* Holds the worlds themselves; each holds the account of the rest. */
static weir_account sim_account = {.name = "io.sim.world"};

io_sim *io_sim_create(uint64_t seed) {
    io_sim *sim = weir_alloc(&sim_account, sizeof *sim);
    weir_account_init(&sim->account, "io.sim", 0);
    sim->seed = seed;
    sim_random root = {seed};
    sim->schedule.state = sim_next(&root);
    sim->drawn.state = sim_next(&root);
    sim->filled.state = sim_next(&root);
    sim->disk.random.state = sim_next(&root);
    sim->links.random.state = sim_next(&root);
    sim->now_ns = 1000000000;
    sim->clock = (io_clock){monotonic_ns, wall_ms};
    sim->random = (io_random){fill};
    sim->executor = (io_executor){lane_create, lane_destroy, post, timer_set, timer_cancel};
    io_timers_init(&sim->timers, &sim->account);
    sim_disk_init(sim);
    sim_links_init(sim);
    sim->world = (io_world){&sim->clock, &sim->random, &sim->executor, &sim->files, &sim->network};
    return sim;
}

void io_sim_destroy(io_sim *sim) {
    sim_links_deinit(sim);
    sim_disk_deinit(sim);
    io_timers_deinit(&sim->timers);
    while (sim->lanes) {
        io_lane *lane = sim->lanes;
        sim->lanes = lane->next;
        weir_free(&sim->account, lane);
    }
    weir_free(&sim->account, sim->ready);
    weir_account_deinit(&sim->account);
    weir_free(&sim_account, sim);
}
