/* bus/embedded - the bus over the broker of this process: no socket, no codec but the record batch.
 *
 * READING. A reader's log reads happen on the broker's lane and are handed over in chunks of whole record batches; the
 * reader's own lane walks them. Rows of an uncompressed batch are views into the bytes that the log read: no copy. A
 * compressed batch is decompressed once, by the reader's lane. Blocks hold up to BUS_EMBEDDED_BLOCK_ROWS rows and keep
 * what they point into alive, also after reader_close(). With `read_ahead` a reader sees records before they are
 * durable, which is right for whoever writes only through this bus (the journal orders what follows from them after
 * them) and wrong for whoever tells somebody outside. reader_end() is the end that the reader may see.
 *
 * COMMITTING. Rows become record batches as they are added, on the committer's lane; commit_send() is one
 * broker_append_atomic(). `partition` -1 needs the topic's partition count, which the bus knows once topic_describe()
 * or topic_create() has told it through this bus; before that commit_add() fails with NOT_FOUND.
 *
 * A job posted as `wake` just before reader_close() may still run once after it.
 * Threads: as bus.h says; the bus itself may be used from any lane. */
#ifndef WEIR_BUS_EMBEDDED_EMBEDDED_H
#define WEIR_BUS_EMBEDDED_EMBEDDED_H

#include "broker/broker.h"
#include "bus/bus.h"

enum {
    BUS_EMBEDDED_BLOCK_ROWS = 4096,
    BUS_EMBEDDED_CHUNK_BYTES = 1 << 20,   /* one read of the log */
    BUS_EMBEDDED_CHUNKS_MAX = 64,         /* read and not yet walked, of one reader */
    BUS_EMBEDDED_BATCH_BYTES = 768 << 10, /* a commit's batches are closed at this size */
    BUS_EMBEDDED_COMMIT_BYTES_MAX =
        12 << 20,                     /* commit_add() answers FULL above; the log takes 16 MiB with all offsets */
    BUS_EMBEDDED_OFFSETS_MAX = 100000 /* of one commit */
};

typedef struct bus_embedded_config {
    const io_world *world;            /* borrowed, as all here */
    broker_node *broker;              /* ready */
    const guard_principal *principal; /* NULL = guard_system */
    bool read_ahead;
} bus_embedded_config;

bus *bus_embedded_create(const bus_embedded_config *config);
/* Readers are closed, commits freed, blocks released, answers heard, and the broker has stopped or is idle. */
void bus_embedded_destroy(bus *bus);

#endif
