/* probe - runs declarative query tests: statements, records in, records out.
 *
 *   file --probe_file_read()--> cases --probe_case_run()--> result
 *
 * Every case gets a fresh catalog, a bus in memory and a world in which time stands still, so that a case neither waits
 * nor depends on another. The queries run one after the other, in the order they were made; each is given the case's
 * records as the batching says, and commits at each step; what they wrote is compared record by record, in order.
 *
 * A case is a JSON object: statements[], properties{}, topics[], inputs[], outputs[], expect_error, post, features[]
 * (docs/query-tests.md). A case that needs what weir lacks fails with the reason; it is never skipped for it.
 * Threads: one a call; calls share nothing. */
#ifndef WEIR_PROBE_PROBE_H
#define WEIR_PROBE_PROBE_H

#include "base/arena.h"
#include "base/buffer.h"

typedef struct data_json data_json;

typedef struct probe_case { /* borrowed from the file */
    const char *suite, *name;
    const char *const *features;
    uint32_t feature_count;
    bool is_negative;       /* an error is expected */
    const data_json *body; /* the case as it was read */
} probe_case;

typedef struct probe_file {
    const char *kind; /* "qtt", "runner", ... */
    const probe_case *cases;
    uint32_t case_count;
} probe_file;

/* `text` is borrowed by the file. INVALID says what is wrong with it. */
weir_status probe_file_read(weir_arena *arena, weir_bytes text, probe_file *file) WEIR_MUST_USE;

typedef enum probe_batching {
    PROBE_ONE,   /* a record at a time, committed each */
    PROBE_RUNS,  /* consecutive records of one topic together */
    PROBE_MIXED, /* all records of a query together */
    PROBE_RANDOM /* cut at random */
} probe_batching;

typedef struct probe_options {
    probe_batching batching;
    uint64_t seed; /* PROBE_RANDOM */
} probe_options;

enum { PROBE_DETAIL_MAX = 2048 };
typedef enum probe_outcome { PROBE_PASS, PROBE_FAIL, PROBE_ERROR } probe_outcome; /* ERROR: the case itself is broken */
typedef struct probe_result {
    probe_outcome outcome;
    bool kind_ok; /* negative cases: the right class of error came from the right statement */
    bool text_ok; /* ... with the text that is expected */
    char detail[PROBE_DETAIL_MAX]; /* why it did not pass; "" otherwise */
} probe_result;

void probe_case_run(const probe_file *file, const probe_case *test, const probe_options *options, probe_result *result);

#endif
