/* probe internals: one case under way. */
#ifndef WEIR_PROBE_PROBE_INT_H
#define WEIR_PROBE_PROBE_INT_H

#include "bus/memory/bus_memory.h"
#include "flow/flow.h"
#include "io/single/io_single.h"
#include "probe/probe.h"
#include "data/json.h"
#include "sql/plan/plan.h"

enum { PROBE_QUERIES_MAX = 64, PROBE_PROPERTIES_MAX = 128, PROBE_BYTES_MAX = 512 << 20, PROBE_RECORD_MAX = 4 << 20 };

typedef struct probe_query { /* a persistent query that the statements made */
    const char *id;
    const flow_topology *topology;
} probe_query;

typedef struct probe_run {
    const probe_case *test;
    const probe_options *options;
    probe_result *result;
    weir_account account;
    weir_arena arena; /* plans, expected values: the whole case */
    weir_buffer text; /* scratch */
    sql_catalog *catalog;
    io_single *single;
    bus_memory *memory;
    weir_setting properties[PROBE_PROPERTIES_MAX];
    size_t property_count;
    probe_query queries[PROBE_QUERIES_MAX];
    uint32_t query_count;
    uint64_t next_query;
} probe_run;

/* The case does not pass: keeps the first reason. Returns false. */
bool probe_fail(probe_run *run, const char *format, ...) WEIR_PRINTF(2, 3);
bool probe_broken(probe_run *run, const char *format, ...) WEIR_PRINTF(2, 3); /* the case itself is at fault */

/* Formats and columns of a topic's records: those of the stream or table over it, else what the case declares. */
typedef struct probe_topic {
    const sql_source *source; /* NULL = no source; then formats only */
    const char *key_format, *value_format;
} probe_topic;
probe_topic probe_topic_of(probe_run *run, const char *name);
/* The type of the only column of a role; NULL when there is none. */
const data_type *probe_single_type(const probe_topic *topic, bool is_key);
/* What the WINDOW_TYPE of a topic's keys adds to them, in bytes. */
size_t probe_window_bytes(const probe_topic *topic);

bool probe_inputs_append(probe_run *run);     /* feed.c: all inputs to their topics */
bool probe_queries_run(probe_run *run);       /* feed.c: section by section through every query */
bool probe_outputs_compare(probe_run *run);   /* compare.c */
bool probe_post_compare(probe_run *run);      /* post.c */
bool probe_values_insert(probe_run *run, const sql_plan *plan); /* values.c */

#endif
