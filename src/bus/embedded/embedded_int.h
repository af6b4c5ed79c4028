/* bus/embedded, inside: what its files share. */
#ifndef WEIR_BUS_EMBEDDED_INT_H
#define WEIR_BUS_EMBEDDED_INT_H

#include "base/buffer.h"
#include "base/hash.h"
#include "base/map.h"
#include "bus/embedded/embedded.h"
#include "wire/record_batch.h"

#include <pthread.h>

enum {
    EMBEDDED_SPARES_MAX = 4, /* buffers of freed commits that the next ones grow into */
    EMBEDDED_SPARE_BYTES_MIN = 256 << 10,
    EMBEDDED_SPARE_BYTES_MAX = 4 << 20
};

typedef struct bus_embedded {
    bus base; /* first */
    io_world world;
    broker_node *broker;
    io_lane *broker_lane;
    const guard_principal *principal;
    bool read_ahead;
    weir_account account;
    pthread_mutex_t lock;  /* of the rest; held for a look-up */
    weir_map topics;       /* name -> partition count + 1, as a number in the pointer */
    weir_buffer spares[EMBEDDED_SPARES_MAX];
    size_t spare_count;
} bus_embedded;

static inline void embedded_post_broker(bus_embedded *self, io_job *job) {
    io_post(self->world.executor, self->broker_lane, job);
}
static inline void embedded_post(bus_embedded *self, io_lane *lane, io_job *job) {
    io_post(self->world.executor, lane, job);
}

/* Any thread. 0 = not known yet. */
int32_t embedded_partition_count(bus_embedded *self, const char *topic);
void embedded_learn(bus_embedded *self, const char *topic, int32_t partition_count);

/* reader.c */
weir_status embedded_reader_open(bus *bus, io_lane *lane, const char *topic, int32_t partition, int64_t offset,
                                 size_t ahead_bytes, io_job *wake, bus_reader **reader);
weir_status embedded_reader_next(bus_reader *reader, bus_block **block);
int64_t embedded_reader_end(bus_reader *reader);
int64_t embedded_reader_start(bus_reader *reader);
void embedded_reader_close(bus_reader *reader);

/* commit.c */
bus_commit *embedded_commit_begin(bus *bus, io_lane *lane, const char *group);
weir_status embedded_commit_add(bus_commit *commit, const char *topic, int32_t partition, const bus_row *row);
weir_status embedded_commit_offset(bus_commit *commit, const char *topic, int32_t partition, int64_t next_offset);
void embedded_commit_expect(bus_commit *commit, const char *topic, int32_t partition, int64_t end_offset);
size_t embedded_commit_bytes(const bus_commit *commit);
void embedded_commit_send(bus_commit *commit, io_job *done);
weir_status embedded_commit_result(bus_commit *commit);
int64_t embedded_commit_end_offset(const bus_commit *commit, const char *topic, int32_t partition);
void embedded_commit_free(bus_commit *commit);

#endif
