/* PRINT: the records of a topic as lines of text, as they come. One reader a partition on the owner's lane, which takes
 * a block of one of them at a time, so that a busy topic does not keep others from the lane. */
#include "engine/engine_int.h"

#include "base/time.h"

enum { PARTITIONS_MAX = 256, AHEAD_BYTES = 64 << 10, ARENA_BYTES = 32 << 20, LINE_BYTES_MAX = 8 << 20 };

struct engine_print {
    engine_request *request;
    bus_reader *readers[PARTITIONS_MAX];
    int32_t partition_count, next;
    data_batch_pool *pool;
    weir_buffer line;
    int64_t left; /* LIMIT; -1 = none */
    int64_t seen; /* INTERVAL n: each n-th record from the first on */
    bool has_enough, is_described, is_ended;
    io_job wake, finish;
    weir_error status;
    const data_schema *schema; /* LINE STRING */
};

/* ---- a record as a line
 * ------------------------------------------------------------------------------------------------ */

static bool is_readable(weir_bytes text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7F) return false;
    return weir_utf8_valid(text);
}

static void append_bytes(weir_buffer *line, weir_bytes bytes) {
    if (!bytes.data) {
        weir_buffer_append_text(line, "<null>");
    } else if (is_readable(bytes)) {
        weir_buffer_append(line, bytes.data, bytes.size);
    } else {
        weir_buffer_append_text(line, "0x");
        for (size_t i = 0; i < bytes.size; i++) weir_buffer_format(line, "%02x", bytes.data[i]);
    }
}

static void write_line(weir_buffer *line, const bus_row *row, int32_t partition) {
    char time[WEIR_ISO_TEXT_MAX];
    weir_format_iso(time, row->timestamp_ms);
    weir_buffer_clear(line);
    weir_buffer_format(line, "rowtime: %s, key: ", time);
    append_bytes(line, row->key);
    weir_buffer_append_text(line, ", value: ");
    append_bytes(line, row->value);
    weir_buffer_format(line, ", partition: %d", partition);
}

/* Appends the line to the batch; false when the batch has no room. */
static bool add_line(engine_print *print, data_batch *batch, const bus_row *row, int32_t partition) {
    write_line(&print->line, row, partition);
    if (print->line.overflowed) { /* it is there, and longer than can be shown */
        weir_buffer_clear(&print->line);
        weir_buffer_format(&print->line, "offset %lld of partition %d is too long to be printed",
                           (long long)row->offset, partition);
    }
    uint8_t *copy = weir_arena_try(batch->arena, print->line.size);
    if (!copy) return false;
    memcpy(copy, print->line.data, print->line.size);
    const uint32_t at = batch->rows++;
    batch->columns[0]->texts[at] = data_text_of(copy, print->line.size);
    data_bit_set(batch->columns[0]->valid, at, true);
    batch->timestamp[at] = row->timestamp_ms;
    batch->partition[at] = partition;
    batch->offset[at] = row->offset;
    batch->seq[at] = at;
    return true;
}

/* ---- reading
 * ------------------------------------------------------------------------------------------------------------ */

static bool is_wanted(const engine_print *print) {
    const int64_t interval = print->request->plan->interval;
    return interval <= 1 || print->seen % interval == 0;
}

/* Hands rows [*at, ..) of the block over, as many as one batch takes. */
static weir_status print_some(engine_print *print, const bus_block *block, uint32_t *at) {
    const engine_row_events *rows = &print->request->rows;
    data_batch *batch = data_batch_take(print->pool, print->schema);
    data_vector *lines =
        batch ? data_vector_create(batch->arena, print->schema->columns[0].type, DATA_BATCH_ROWS_MAX) : NULL;
    const uint32_t first = *at;
    if (lines) {
        batch->columns[0] = lines;
        while (*at < block->count && batch->rows < DATA_BATCH_ROWS_MAX && print->left != 0) {
            if (is_wanted(print)) {
                if (!add_line(print, batch, &block->rows[*at], block->partition)) break;
                if (print->left > 0) print->left--;
            }
            print->seen++;
            ++*at;
        }
        batch->selection = (data_selection){NULL, batch->rows};
        if (batch->rows > 0 && !rows->on_batch(rows->arg, batch)) print->has_enough = true;
    }
    if (batch) data_batch_release(batch);
    if (*at > first || print->left == 0) return weir_ok();
    return weir_fail(WEIR_NO_MEMORY, "no memory for a line of topic %s", print->request->plan->name);
}

/* A job of its own, behind wake-ups that were posted before the readers were closed. */
static void finish_run(io_job *job) {
    engine_print *print = io_owner(job, engine_print, finish);
    engine_request *request = print->request;
    engine *self = request->engine;
    const weir_error kept = print->status;
    data_batch_pool_destroy(print->pool);
    weir_buffer_deinit(&print->line);
    weir_free(&self->account, print);
    request->print = NULL;
    if (request->rows.on_end) request->rows.on_end(request->rows.arg, weir_error_status(&kept));
    engine_statement_answer(request, weir_error_status(&kept));
}

static void end_print(engine_print *print, weir_status status) {
    engine *self = print->request->engine;
    weir_error_set(&print->status, status);
    print->is_ended = true;
    for (int32_t i = 0; i < print->partition_count; i++) self->bus->vtable->reader_close(print->readers[i]);
    engine_post(self, &print->finish);
}

static weir_status print_block(engine_print *print, bus_block *block) {
    weir_status status = weir_ok();
    for (uint32_t at = 0; at < block->count && !weir_failed(status) && !print->has_enough && print->left != 0;)
        status = print_some(print, block, &at);
    data_buffer_release(&block->buffer);
    return status;
}

/* One block of the next partition that has one. */
static weir_status print_next(engine_print *print, bool *found) {
    const bus_vtable *vtable = print->request->engine->bus->vtable;
    *found = false;
    for (int32_t i = 0; i < print->partition_count && !*found; i++) {
        bus_block *block;
        WEIR_TRY(vtable->reader_next(print->readers[print->next], &block));
        print->next = (print->next + 1) % print->partition_count;
        if (!block) continue;
        *found = true;
        WEIR_TRY(print_block(print, block));
    }
    return weir_ok();
}

static void wake_run(io_job *job) {
    engine_print *print = io_owner(job, engine_print, wake);
    if (print->is_ended || !print->is_described) return;
    engine_request *request = print->request;
    if (request->is_cancelled) {
        end_print(print, weir_fail(WEIR_CANCELLED, "the query was given up"));
        return;
    }
    const engine_row_events *rows = &request->rows;
    if (rows->may_go_on && !rows->may_go_on(rows->arg)) return; /* engine_print_wake() comes */
    bool found = false;
    const weir_status status = print->left == 0 ? weir_ok() : print_next(print, &found);
    if (weir_failed(status) || print->has_enough || print->left == 0)
        end_print(print, status);
    else if (found)
        engine_post(request->engine, &print->wake);
}

static weir_status open_readers(engine_print *print, const bus_topic_info *info) {
    engine_request *request = print->request;
    engine *self = request->engine;
    if (!info->exists)
        return weir_fail(WEIR_NOT_FOUND,
                         "Could not find topic '%s', or the KSQL user does not have "
                         "permissions to list the topic.",
                         request->plan->name);
    if (info->partition_count > PARTITIONS_MAX)
        return weir_fail(WEIR_UNSUPPORTED, "topic %s has %d partitions, PRINT reads up to %d", request->plan->name,
                         info->partition_count, PARTITIONS_MAX);
    const int64_t from = request->plan->from_beginning ? BUS_OFFSET_EARLIEST : BUS_OFFSET_LATEST;
    for (int32_t i = 0; i < info->partition_count; i++) {
        WEIR_TRY(self->bus->vtable->reader_open(self->bus, self->owner, request->plan->name, i, from, AHEAD_BYTES,
                                                &print->wake, &print->readers[i]));
        print->partition_count++;
    }
    return weir_ok();
}

static void topic_known(void *arg, weir_status status, const bus_topic_info *info) {
    engine_print *print = arg;
    print->is_described = true;
    if (!weir_failed(status)) status = open_readers(print, info);
    if (weir_failed(status))
        end_print(print, status);
    else
        engine_post(print->request->engine, &print->wake);
}

static const data_schema *line_schema(weir_arena *arena) {
    data_column *column = weir_arena_new(arena, data_column);
    data_schema *schema = weir_arena_new(arena, data_schema);
    *column = (data_column){.name = "LINE", .type = data_type_of(DATA_STRING), .role = DATA_ROLE_VALUE};
    *schema = (data_schema){column, 1, 0};
    return schema;
}

void engine_print_run(engine_request *request) {
    engine *self = request->engine;
    engine_print *print = request->print = weir_alloc(&self->account, sizeof *print);
    print->request = request;
    print->left = request->plan->limit;
    print->pool = data_batch_pool_create(&self->account, 1, ARENA_BYTES);
    print->schema = line_schema(&request->statement);
    weir_buffer_init(&print->line, &self->account, LINE_BYTES_MAX);
    io_job_init(&print->wake, wake_run);
    io_job_init(&print->finish, finish_run);
    const char *id = weir_arena_format(&request->statement, "print_%llu", (unsigned long long)++self->select_count);
    if (request->rows.on_schema) request->rows.on_schema(request->rows.arg, id, print->schema);
    self->bus->vtable->topic_describe(self->bus, self->owner, request->plan->name, topic_known, print);
}

void engine_print_wake(engine_print *print) {
    if (!print->is_ended) engine_post(print->request->engine, &print->wake);
}
