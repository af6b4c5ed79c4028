#include "data/batch.h"

/* A batch with the storage that is recycled with it. `origin` is the batch whose rows a shared copy looks at. */
typedef struct batch_shell batch_shell;
struct batch_shell {
    data_batch batch; /* first member: the public pointer is the shell's */
    weir_arena arena;
    uint32_t references;
    bool owns_rows; /* the row vectors are this batch's, not its origin's */
    batch_shell *origin;
    batch_shell *next; /* in the pool's free list */
    int64_t timestamp[DATA_BATCH_ROWS_MAX];
    int64_t offset[DATA_BATCH_ROWS_MAX];
    uint64_t seq[DATA_BATCH_ROWS_MAX];
    int32_t partition[DATA_BATCH_ROWS_MAX];
};

struct data_batch_pool {
    weir_account *account;
    size_t arena_bytes_max;
    uint32_t batches_max, created, out;
    batch_shell *free;
};

void data_buffer_release(data_buffer *buffer) {
    const uint32_t before = atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel);
    weir_assert(before > 0);
    if (before == 1) buffer->destroy(buffer);
}

data_batch_pool *data_batch_pool_create(weir_account *account, uint32_t batches_max, size_t arena_bytes_max) {
    data_batch_pool *pool = weir_alloc(account, sizeof *pool);
    *pool = (data_batch_pool){.account = account, .batches_max = batches_max, .arena_bytes_max = arena_bytes_max};
    return pool;
}

void data_batch_pool_destroy(data_batch_pool *pool) {
    weir_assert(pool->out == 0);
    while (pool->free) {
        batch_shell *shell = pool->free;
        pool->free = shell->next;
        weir_arena_deinit(&shell->arena);
        weir_free(pool->account, shell);
    }
    weir_free(pool->account, pool);
}

static batch_shell *take_shell(data_batch_pool *pool) {
    batch_shell *taken = pool->free;
    if (taken) {
        pool->free = taken->next;
    } else {
        if (pool->created == pool->batches_max) return NULL;
        taken = weir_try_alloc_raw(pool->account, sizeof *taken);
        if (!taken) return NULL;
        weir_arena_init(&taken->arena, pool->account, pool->arena_bytes_max);
        pool->created++;
    }
    pool->out++;
    taken->references = 1;
    taken->owns_rows = true;
    taken->origin = NULL;
    taken->next = NULL;
    return taken;
}

static void put_shell(data_batch_pool *pool, batch_shell *shell) {
    weir_arena_reset(&shell->arena);
    shell->next = pool->free;
    pool->free = shell;
    pool->out--;
}

data_batch *data_batch_take(data_batch_pool *pool, const data_schema *schema) {
    batch_shell *shell = take_shell(pool);
    if (!shell) return NULL;
    const size_t list_bytes = sizeof(data_vector *) * (schema->count ? schema->count : 1);
    data_vector **columns = weir_arena_try(&shell->arena, list_bytes);
    if (!columns) {
        put_shell(pool, shell);
        return NULL;
    }
    memset(columns, 0, list_bytes);
    shell->batch = (data_batch){.schema = schema,
                                .columns = columns,
                                .timestamp = shell->timestamp,
                                .partition = shell->partition,
                                .offset = shell->offset,
                                .seq = shell->seq,
                                .arena = &shell->arena,
                                .pool = pool};
    return &shell->batch;
}

data_batch *data_batch_share(data_batch *batch) {
    batch_shell *origin = (batch_shell *)batch;
    batch_shell *copy = take_shell(batch->pool);
    if (!copy) return NULL;
    const size_t list_bytes = sizeof(data_vector *) * (batch->schema->count ? batch->schema->count : 1);
    data_vector **columns = weir_arena_try(&copy->arena, list_bytes);
    data_vector **old_columns = batch->old_columns ? weir_arena_try(&copy->arena, list_bytes) : NULL;
    if (!columns || (batch->old_columns && !old_columns)) {
        put_shell(batch->pool, copy);
        return NULL;
    }
    memcpy(columns, batch->columns, list_bytes);
    if (old_columns) memcpy(old_columns, batch->old_columns, list_bytes);
    copy->batch = *batch;
    copy->batch.columns = columns;
    copy->batch.old_columns = old_columns;
    copy->batch.arena = &copy->arena;
    copy->batch.retained_count = 0; /* the origin holds the buffers, and the copy holds the origin */
    copy->origin = origin;
    copy->owns_rows = false;
    origin->references++;
    return &copy->batch;
}

void data_batch_release(data_batch *batch) {
    batch_shell *held = (batch_shell *)batch;
    while (held) {
        weir_assert(held->references > 0);
        if (--held->references > 0) return;
        batch_shell *origin = held->origin;
        for (uint32_t i = 0; i < held->batch.retained_count; i++) data_buffer_release(held->batch.retained[i]);
        put_shell(held->batch.pool, held);
        held = origin;
    }
}

/* A copy, or a batch that copies look at, gets new row vectors in its own arena and leaves the old ones to the others.
 */
bool data_batch_own_rows(data_batch *batch) {
    batch_shell *held = (batch_shell *)batch;
    if (held->owns_rows && held->references == 1) return true;
    const uint32_t rows = batch->rows;
    int64_t *timestamp = weir_arena_try(batch->arena, sizeof held->timestamp);
    int64_t *offset = weir_arena_try(batch->arena, sizeof held->offset);
    uint64_t *seq = weir_arena_try(batch->arena, sizeof held->seq);
    int32_t *partition = weir_arena_try(batch->arena, sizeof held->partition);
    if (!timestamp || !offset || !seq || !partition) return false;
    memcpy(timestamp, batch->timestamp, sizeof *timestamp * rows);
    memcpy(offset, batch->offset, sizeof *offset * rows);
    memcpy(seq, batch->seq, sizeof *seq * rows);
    memcpy(partition, batch->partition, sizeof *partition * rows);
    batch->timestamp = timestamp;
    batch->offset = offset;
    batch->seq = seq;
    batch->partition = partition;
    held->owns_rows = true;
    return true;
}

bool data_batch_retain(data_batch *batch, data_buffer *buffer) {
    for (uint32_t i = 0; i < batch->retained_count; i++) {
        if (batch->retained[i] == buffer) return true;
    }
    if (batch->retained_count == DATA_BATCH_RETAINED_MAX) return false;
    data_buffer_retain(buffer);
    batch->retained[batch->retained_count++] = buffer;
    return true;
}
