/* data/batch - rows in columns: what flows between operators.
 *
 * A vector is one column of up to DATA_BATCH_ROWS_MAX values: flat (one value a row) or constant (one value for all).
 * A batch is a set of vectors for the key and value columns of a schema and row vectors that say where each row came
 * from. A filter does not move rows: it narrows the selection. Every function over vectors takes a selection.
 *
 * Text values are 16-byte views (docs/decisions/0002-text-views.md): up to 12 bytes lie in the view itself, longer ones
 * point into memory that the batch keeps alive: its arena, or a buffer it retains (the wire batch a value was decoded
 * from). A view copied into another batch needs data_text_copy().
 *
 * Lifetime: a batch and all it points to live until data_batch_release(); nothing of it may enter operator state except
 * by copy. Threads: one owner at a time. */
#ifndef WEIR_DATA_BATCH_H
#define WEIR_DATA_BATCH_H

#include "data/type.h"

enum { DATA_BATCH_ROWS_MAX = 4096 };

/* ---- text views ------------------------------------------------------------------------------------------------ */

enum { DATA_TEXT_INLINE_MAX = 12 };
typedef struct data_text {
    uint32_t size;
    union {
        uint8_t inlined[DATA_TEXT_INLINE_MAX]; /* size <= 12; the rest is zero */
        struct {
            uint8_t prefix[4];  /* the first bytes, so that most comparisons end here */
            uint8_t pointer[8]; /* const uint8_t *, unaligned */
        } far;
    };
} data_text;
_Static_assert(sizeof(data_text) == 16, "a text view is 16 bytes");

static inline const uint8_t *data_text_data(const data_text *text) {
    if (text->size <= DATA_TEXT_INLINE_MAX) return text->inlined;
    const uint8_t *pointer;
    memcpy(&pointer, text->far.pointer, sizeof pointer);
    return pointer;
}
static inline weir_bytes data_text_bytes(const data_text *text) {
    return (weir_bytes){data_text_data(text), text->size};
}
/* Borrows `data` when it is longer than 12 bytes. */
static inline data_text data_text_of(const void *data, size_t size) {
    data_text text = {.size = (uint32_t)size};
    if (size <= DATA_TEXT_INLINE_MAX) {
        if (size) memcpy(text.inlined, data, size);
    } else {
        memcpy(text.far.prefix, data, 4);
        memcpy(text.far.pointer, &data, sizeof data);
    }
    return text;
}
bool data_text_equal(const data_text *a, const data_text *b);
int data_text_compare(const data_text *a, const data_text *b); /* unsigned bytes = code points for UTF-8 */
data_text data_text_copy(weir_arena *arena, data_text text);   /* result borrows the arena */

/* ---- bitmaps --------------------------------------------------------------------------------------------------- */

static inline bool data_bit(const uint64_t *bits, uint32_t row) {
    return bits[row >> 6] >> (row & 63) & 1;
}
static inline void data_bit_set(uint64_t *bits, uint32_t row, bool value) {
    const uint64_t mask = (uint64_t)1 << (row & 63);
    if (value)
        bits[row >> 6] |= mask;
    else
        bits[row >> 6] &= ~mask;
}
enum { DATA_BATCH_WORDS = DATA_BATCH_ROWS_MAX / 64 };

/* ---- vectors --------------------------------------------------------------------------------------------------- */

typedef struct data_vector data_vector;
struct data_vector {
    const data_type *type;
    bool constant;   /* row r reads index 0 */
    uint64_t *valid; /* bit 1 = a value, 0 = NULL; NULL pointer = all are values */
    union {          /* by type->kind; see data_kind for widths */
        void *values;
        uint8_t *booleans;
        int32_t *ints;    /* INT, DATE, TIME */
        int64_t *bigints; /* BIGINT, TIMESTAMP */
        double *doubles;
        data_decimal *decimals;
        data_text *texts; /* STRING, BYTES */
        int32_t *ends;    /* ARRAY, MAP: row r has child rows [r ? ends[r-1] : 0, ends[r]) */
    };
    data_vector *children; /* ARRAY: 1 (elements); MAP: 2 (keys, values); STRUCT: one a field */
    uint32_t child_rows;   /* ARRAY, MAP: rows in the children */
    uint32_t capacity;     /* rows there is room for; 0 = borrowed storage that cannot grow */
};

static inline uint32_t data_vector_index(const data_vector *vector, uint32_t row) {
    return vector->constant ? 0 : row;
}
static inline bool data_vector_is_null(const data_vector *vector, uint32_t row) {
    return vector->valid && !data_bit(vector->valid, data_vector_index(vector, row));
}
/* Flat, all NULL, room for `rows`, from the arena; NULL when the arena is full. */
data_vector *data_vector_create(weir_arena *arena, const data_type *type, uint32_t rows) WEIR_MUST_USE;
/* Makes `valid` present, all bits set. */
bool data_vector_own_valid(data_vector *vector, weir_arena *arena, uint32_t rows) WEIR_MUST_USE;
/* Room for `needed` rows in a vector from data_vector_create() that holds `used`; the new ones are NULL. Capacity
 * doubles, so appending row by row costs little. false when the arena is full: the vector is as it was. */
bool data_vector_reserve(data_vector *vector, weir_arena *arena, uint32_t used, uint32_t needed) WEIR_MUST_USE;
/* Makes row `row` of a flat vector NULL, in its children too. Rows of ARRAY and MAP are written in ascending order. */
void data_vector_set_null(data_vector *vector, uint32_t row);
/* Copies a value (or NULL) between vectors of equal types; long text is copied into the arena, ARRAY and MAP rows are
 * appended to the target's children, so target rows ascend. The target has room for `target_row`. */
bool data_vector_copy_row(data_vector *target, uint32_t target_row, const data_vector *source, uint32_t source_row,
                          weir_arena *arena) WEIR_MUST_USE;
/* Where the children of an ARRAY or MAP row begin and end. */
static inline uint32_t data_vector_child_start(const data_vector *vector, uint32_t row) {
    return row ? (uint32_t)vector->ends[row - 1] : 0;
}
/* SQL equality: both NULL at a nested place are equal there; MAPs regardless of order. */
bool data_vector_rows_equal(const data_vector *a, uint32_t a_row, const data_vector *b, uint32_t b_row);

/* ---- row selection --------------------------------------------------------------------------------------------- */

/* Which rows an operation works on: rows[0..count), ascending; rows == NULL means 0..count-1. */
typedef struct data_selection {
    const uint16_t *rows;
    uint32_t count;
} data_selection;
static inline uint32_t data_selected(const data_selection *selection, uint32_t i) {
    return selection->rows ? selection->rows[i] : i;
}

/* ---- batches --------------------------------------------------------------------------------------------------- */

/* Memory that outlives the call that made it, counted by references. A bus's row block embeds one. */
typedef struct data_buffer data_buffer;
struct data_buffer {
    _Atomic uint32_t references;
    void (*destroy)(data_buffer *buffer);
};
static inline void data_buffer_retain(data_buffer *buffer) {
    atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
}
void data_buffer_release(data_buffer *buffer);

enum { DATA_BATCH_RETAINED_MAX = 64 };

typedef struct data_batch {
    const data_schema *schema; /* of key and value columns; borrowed from the topology */
    uint32_t rows;             /* physical rows, selected or not */
    data_selection selection;  /* the rows that count */

    data_vector **columns;   /* schema->count; NULL = not decoded because nobody asks for it */
    uint64_t *key_present;   /* bitmap; NULL = all; 0 = the record's key was null */
    uint64_t *value_present; /* bitmap; NULL = all; 0 = null value: a tombstone in a table */

    /* Where rows come from; always present, `rows` long. */
    int64_t *timestamp;  /* event time, ms */
    int32_t *partition;  /* source partition */
    int64_t *offset;     /* source offset */
    uint64_t *seq;       /* place in the task's processing order; strictly ascending over selected rows */
    weir_bytes *headers; /* raw headers as in the record batch; NULL = nobody asks */

    /* Windowed rows; NULL otherwise. End is exclusive (a session's is inclusive, as Kafka's). */
    int64_t *window_start, *window_end;

    /* Table changes: the value before this row, where someone downstream asks for it; else NULL. */
    data_vector **old_columns; /* schema->count; key entries are NULL */
    uint64_t *old_present;     /* bitmap: there was a value before */

    weir_arena *arena; /* owns vectors and long text made here */
    data_buffer *retained[DATA_BATCH_RETAINED_MAX];
    uint32_t retained_count;
    struct data_batch_pool *pool;
} data_batch;

/* Sharing. Batches over the same rows never see each other's changes, because what they share is never written:
 * - a vector, bitmap or selection array is written only by the operator that made it, before it puts it into the batch;
 *   to change a column an operator puts a new vector into columns[], which is the batch's own;
 * - the row vectors are written only after data_batch_own_rows().
 * References are not atomic: all batches of a pool belong to one task. */

/* A pool recycles batches and their arenas, so that a running task settles at no allocation per batch. */
typedef struct data_batch_pool data_batch_pool;
data_batch_pool *data_batch_pool_create(weir_account *account, uint32_t batches_max, size_t arena_bytes_max);
void data_batch_pool_destroy(data_batch_pool *pool); /* every batch is released */
/* An empty batch with row vectors for DATA_BATCH_ROWS_MAX rows and no columns; NULL when all are out or memory is. */
data_batch *data_batch_take(data_batch_pool *pool, const data_schema *schema) WEIR_MUST_USE;
void data_batch_release(data_batch *batch);
/* A second batch over the same rows: own column list, selection and arena; vectors and row vectors are shared and keep
 * the first one's memory alive. NULL when the pool is exhausted. See "sharing" below. */
data_batch *data_batch_share(data_batch *batch) WEIR_MUST_USE;
/* Makes timestamp, partition, offset and seq writable: copies them when another batch may read them. */
bool data_batch_own_rows(data_batch *batch) WEIR_MUST_USE;
/* Keeps `buffer` alive with the batch (once, however often called); false when the batch holds DATA_BATCH_RETAINED_MAX.
 */
bool data_batch_retain(data_batch *batch, data_buffer *buffer) WEIR_MUST_USE;
/* Debug and test builds: asserts every structural invariant above. */
void data_batch_verify(const data_batch *batch);

/* ---- the operator vtable --------------------------------------------------------------------------------------- */

/* An operator takes batches from above and hands batches to the next one below by data_emit(). It never calls up. It
 * may narrow or replace the batch it was given; ownership of the batch moves with each call. */
typedef struct data_operator data_operator;
typedef struct data_operator_vtable {
    const char *name; /* as EXPLAIN prints it */
    /* Consumes `batch`. `input` tells the sides of an operator with several apart. A failure fails the task. */
    weir_status (*process)(data_operator *self, unsigned input, data_batch *batch);
    /* Emits what is held back at a commit; NULL = nothing ever is. */
    weir_status (*flush)(data_operator *self);
    void (*destroy)(data_operator *self);
} data_operator_vtable;

enum { DATA_OPERATOR_TARGETS_MAX = 16 };
struct data_operator { /* embedded first in every operator */
    const data_operator_vtable *vtable;
    const char *id; /* stable identity, e.g. "Aggregate-3f2a" */
    data_operator *targets[DATA_OPERATOR_TARGETS_MAX];
    uint8_t target_inputs[DATA_OPERATOR_TARGETS_MAX];
    uint32_t target_count;
    uint64_t rows_in, rows_out;
};
/* Hands `batch` to every target (all but the last get a shared copy, data_batch_share()); releases it when there is no
 * target or no row is selected. Counts rows out of self and into the targets. */
weir_status data_emit(data_operator *self, data_batch *batch) WEIR_MUST_USE;

#endif
