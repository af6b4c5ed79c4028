/* The world that stands still: one queue of jobs, whatever their lane. */
#include "io/single/io_single.h"

enum { SEED = 1 };

struct io_lane {
    io_single *single;
};

struct io_single {
    weir_account *account;
    io_clock clock;
    io_random random;
    io_executor executor;
    io_world world;
    io_job *first, *last;
    uint64_t state; /* of the random bytes */
};

static int64_t zero(io_clock *self) {
    (void)self;
    return 0;
}

static void fill(io_random *self, void *target, size_t size) {
    io_single *single = io_owner(self, io_single, random);
    uint8_t *at = target;
    for (size_t i = 0; i < size; i++) { /* splitmix64, a byte a turn */
        uint64_t z = single->state += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        at[i] = (uint8_t)(z >> 32);
    }
}

static io_lane *lane_create(io_executor *self, io_lane_kind kind, const char *name) {
    (void)kind, (void)name; /* one queue serves every kind */
    io_single *single = io_owner(self, io_single, executor);
    io_lane *lane = weir_alloc(single->account, sizeof *lane);
    lane->single = single;
    return lane;
}

static void lane_destroy(io_executor *self, io_lane *lane) {
    weir_free(io_owner(self, io_single, executor)->account, lane);
}

static void post(io_executor *self, io_lane *lane, io_job *job) {
    (void)lane;
    io_single *single = io_owner(self, io_single, executor);
    if (atomic_exchange(&job->queued, true)) return;
    job->next = NULL;
    if (single->first)
        single->last->next = job;
    else
        single->first = job;
    single->last = job;
}

static void timer_set(io_executor *self, io_timer *timer, int64_t at_ns) {
    timer->at_ns = at_ns;
    atomic_store(&timer->set, at_ns > 0);
    if (at_ns <= 0) post(self, timer->lane, timer->job);
}

static void timer_cancel(io_executor *self, io_timer *timer) {
    (void)self;
    atomic_store(&timer->set, false);
}

io_single *io_single_create(weir_account *account) {
    io_single *single = weir_alloc(account, sizeof *single);
    single->account = account;
    single->state = SEED;
    single->clock = (io_clock){zero, zero};
    single->random = (io_random){fill};
    single->executor = (io_executor){lane_create, lane_destroy, post, timer_set, timer_cancel};
    single->world =
        (io_world){.clock = &single->clock, .random = &single->random, .executor = &single->executor};
    return single;
}

void io_single_destroy(io_single *single) {
    weir_assert(single->first == NULL);
    weir_free(single->account, single);
}

const io_world *io_single_world(io_single *single) {
    return &single->world;
}

bool io_single_run(io_single *single, uint64_t jobs_max) {
    for (; single->first && jobs_max; jobs_max--) {
        io_job *job = single->first;
        single->first = job->next;
        atomic_store(&job->queued, false);
        job->run(job);
    }
    return single->first == NULL;
}
