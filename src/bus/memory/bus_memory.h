/* bus/memory - a bus in this process's memory: for query tests and for embedding without a log. Nothing survives it.
 *
 * Every topic has exactly one partition, whatever is asked for; the number asked for is remembered. A commit is visible
 * as soon as it is sent. Readers see a topic up to its limit (bus_memory_limit), so that records that are there already
 * can be let through a few at a time.
 * Threads: one; the world's lanes all run on it (io/single, io/sim). */
#ifndef WEIR_BUS_MEMORY_BUS_MEMORY_H
#define WEIR_BUS_MEMORY_BUS_MEMORY_H

#include "bus/bus.h"

typedef struct bus_memory bus_memory;

bus_memory *bus_memory_create(const io_world *world, weir_account *account); /* both borrowed */
void bus_memory_destroy(bus_memory *memory); /* readers, commits and blocks are given back; no job is queued */
bus *bus_memory_bus(bus_memory *memory);

/* Makes the topic unless it is there. `partitions`: what is remembered as asked for; 0 = not said. */
void bus_memory_topic(bus_memory *memory, const char *topic, int32_t partitions);
/* The name of topic `index`, in order of their making; NULL past the end. */
const char *bus_memory_topic_at(const bus_memory *memory, size_t index);
bool bus_memory_has(const bus_memory *memory, const char *topic);
int32_t bus_memory_partitions(const bus_memory *memory, const char *topic); /* as asked for; 0 = not said or no topic */
/* Appends a copy; the topic is made if it is missing. */
void bus_memory_append(bus_memory *memory, const char *topic, const bus_row *row);
int64_t bus_memory_count(const bus_memory *memory, const char *topic); /* 0 for a topic that is not there */
/* A borrowed view, until the bus is destroyed. */
bus_row bus_memory_row(const bus_memory *memory, const char *topic, int64_t offset);
/* Readers get records below `limit` only; INT64_MAX = all. The topic exists. */
void bus_memory_limit(bus_memory *memory, const char *topic, int64_t limit);

#endif
