/* SOURCE: row blocks of the bus become batches; records that cannot be decoded go to the quarantine topic.
 *
 * A batch is filled across blocks. Each piece of a block is decoded where it lies in the batch, then its event times
 * are found, then its bad rows are quarantined while the block is at hand. A batch holds on to the blocks its text and
 * headers point into. */
#include "base/time.h"
#include "flow/flow_int.h"

#include <stdio.h>

enum { HEADERS_BYTES_MAX = 64 * 1024, REASON_BYTES_MAX = 512, VARINT_BYTES_MAX = 5 };

typedef struct source {
    data_operator base;
    flow_context *context;
    const flow_step *step;
    const flow_topic *topic;
    format_decoder *key_decoder, *value_decoder;
    bool is_source;     /* not a repartition topic read back */
    bool wants_headers; /* a sink of a stateless chain copies them */
    int32_t timestamp_column;
    bus_block *block;   /* being read, or NULL */
    uint32_t block_at;
    int64_t position;
    uint64_t seq;
    weir_buffer headers;
    weir_bytes inner_keys[DATA_BATCH_ROWS_MAX]; /* windowed keys without their window */
    int64_t starts[DATA_BATCH_ROWS_MAX];
    format_errors errors;
    const char *reasons[DATA_BATCH_ROWS_MAX]; /* by row; NULL = the row is good */
} source;

/* ---- quarantine -------------------------------------------------------------------------------------------------- */

/* Kafka's record headers: zigzag varints, as KIP-82 has them. */
static void append_varint(weir_buffer *target, int32_t value) {
    uint32_t zigzag = ((uint32_t)value << 1) ^ (uint32_t)(value >> 31);
    for (; zigzag >= 0x80; zigzag >>= 7) weir_buffer_append_byte(target, (uint8_t)(zigzag | 0x80));
    weir_buffer_append_byte(target, (uint8_t)zigzag);
}

/* The count that raw headers begin with; *bytes is its length, 0 when the bytes are not a varint. */
static int32_t read_count(weir_bytes headers, size_t *bytes) {
    uint32_t zigzag = 0;
    *bytes = 0;
    for (size_t i = 0; i < headers.size && i < VARINT_BYTES_MAX; i++) {
        zigzag |= (uint32_t)(headers.data[i] & 0x7F) << (7 * i);
        if (headers.data[i] & 0x80) continue;
        *bytes = i + 1;
        return (int32_t)(zigzag >> 1) ^ -(int32_t)(zigzag & 1);
    }
    return 0;
}

static void append_header(weir_buffer *target, const char *name, const char *value) {
    const size_t name_bytes = strlen(name), value_bytes = strlen(value);
    append_varint(target, (int32_t)name_bytes);
    weir_buffer_append(target, name, name_bytes);
    append_varint(target, (int32_t)value_bytes);
    weir_buffer_append(target, value, value_bytes);
}

static void build_headers(source *self, const bus_row *row, int32_t partition, const char *reason) {
    char number[24];
    size_t skip;
    const int32_t count = read_count(row->headers, &skip);
    weir_buffer *target = &self->headers;
    weir_buffer_clear(target);
    append_varint(target, (skip ? count : 0) + 5);
    if (skip) weir_buffer_append(target, row->headers.data + skip, row->headers.size - skip);
    append_header(target, "weir.reason", reason);
    append_header(target, "weir.source.topic", self->topic->name);
    snprintf(number, sizeof number, "%d", partition);
    append_header(target, "weir.source.partition", number);
    snprintf(number, sizeof number, "%lld", (long long)row->offset);
    append_header(target, "weir.source.offset", number);
    append_header(target, "weir.query", self->context->plan->topology->query_id);
}

static weir_status quarantine(source *self, const bus_row *row, int32_t partition, const char *reason) {
    flow_context *context = self->context;
    context->counts.quarantined++;
    flow_row_error(context, WEIR_CORRUPT, "%s-%d, offset %lld: %s", self->topic->name, partition,
                   (long long)row->offset, reason);
    const char *topic = self->is_source ? self->step->node->source.quarantine_topic : NULL;
    if (!topic) return weir_ok();
    char cut[REASON_BYTES_MAX];
    snprintf(cut, sizeof cut, "%s", reason);
    build_headers(self, row, partition, cut);
    if (self->headers.overflowed) { /* the record's own headers are too many to copy: tell the reason at least */
        const bus_row bare = {.offset = row->offset};
        build_headers(self, &bare, partition, cut);
    }
    bus_row record = *row;
    record.headers = weir_buffer_view(&self->headers);
    return context->bus->vtable->commit_add(context->commit, topic, -1, &record);
}

/* ---- one piece of a block: rows [row, row + count) of the batch, block rows from block_at ------------------------ */

/* Windowed keys end with the window start; without it the row is bad. Returns where the key slices are. */
static const weir_bytes *strip_windows(source *self, uint32_t row, uint32_t count, size_t *stride) {
    const bus_row *rows = self->block->rows + self->block_at;
    *stride = sizeof *rows;
    if (self->topic->window.kind == FLOW_WINDOW_NONE) return &rows->key;
    *stride = sizeof(weir_bytes);
    for (uint32_t i = 0; i < count; i++) {
        const weir_bytes key = rows[i].key;
        const bool has_window = key.data && key.size >= 8;
        self->inner_keys[i] = (weir_bytes){has_window ? key.data : NULL, has_window ? key.size - 8 : 0};
        self->starts[row + i] = has_window ? (int64_t)weir_read_be64(key.data + key.size - 8) : 0;
        if (key.data && !has_window) self->reasons[row + i] = "a windowed key is shorter than its window start";
    }
    return self->inner_keys;
}

static weir_status decode(source *self, data_batch *batch, uint32_t row, uint32_t count) {
    memset(self->reasons + row, 0, count * sizeof *self->reasons);
    self->errors.count = 0;
    size_t stride;
    const weir_bytes *keys = strip_windows(self, row, count, &stride);
    format_input input = {.first = keys, .stride = stride, .count = count, .buffer = &self->block->buffer};
    WEIR_TRY(format_decode(self->key_decoder, &input, batch, row, &self->errors));
    input.first = &self->block->rows[self->block_at].value;
    input.stride = sizeof(bus_row);
    WEIR_TRY(format_decode(self->value_decoder, &input, batch, row, &self->errors));
    if (self->wants_headers && !data_batch_retain(batch, &self->block->buffer))
        return weir_fail(WEIR_FULL, "a batch over more than %d blocks", DATA_BATCH_RETAINED_MAX);
    for (uint32_t i = 0; i < self->errors.count; i++) {
        const char **reason = &self->reasons[self->errors.rows[i]];
        if (!*reason) *reason = self->errors.reasons[i];
    }
    return weir_ok();
}

static const char *time_of_row(const data_vector *column, uint32_t row, const func_errors *errors,
                               int64_t *timestamp) {
    if (data_vector_is_null(column, row))
        return errors->count && data_bit(errors->bits, row) ? errors->reasons[row] : "the timestamp column is null";
    const uint32_t index = data_vector_index(column, row);
    if (column->type->kind != DATA_STRING) {
        *timestamp = column->bigints[index];
        return NULL;
    }
    return weir_parse_iso(data_text_bytes(&column->texts[index]), timestamp)
               ? NULL
               : "the timestamp column is not a time in ISO 8601";
}

/* Event times from a column; a row without one is bad. */
static weir_status extract_times(source *self, data_batch *batch, uint32_t row, uint32_t count) {
    data_vector *column = batch->columns[self->timestamp_column];
    func_errors errors = {0};
    if (self->step->timestamp) {
        uint16_t *rows = flow_selection_new(batch, count);
        if (!rows) return flow_no_memory("event times");
        for (uint32_t i = 0; i < count; i++) rows[i] = (uint16_t)(row + i);
        batch->rows = row + count; /* for this run; the caller decides */
        const weir_status status = flow_run_over(self->step->timestamp, batch, batch->columns,
                                                 (data_selection){rows, count}, &column, &errors);
        batch->rows = row;
        WEIR_TRY(status);
    }
    for (uint32_t i = row; i < row + count; i++) {
        if (self->reasons[i]) continue;
        /* A tombstone has no columns: it keeps the record's own time. */
        if (batch->value_present && !data_bit(batch->value_present, i) &&
            self->step->node->schema->columns[self->timestamp_column].role == DATA_ROLE_VALUE)
            continue;
        self->reasons[i] = time_of_row(column, i, &errors, &batch->timestamp[i]);
    }
    return weir_ok();
}

static weir_status fill_rows(source *self, data_batch *batch, uint32_t row, uint32_t count) {
    const bus_row *rows = self->block->rows + self->block_at;
    for (uint32_t i = 0; i < count; i++) {
        batch->timestamp[row + i] = rows[i].timestamp_ms;
        batch->offset[row + i] = rows[i].offset;
        batch->seq[row + i] = self->seq + i;
        batch->partition[row + i] = self->block->partition;
    }
    if (self->wants_headers) {
        for (uint32_t i = 0; i < count; i++) batch->headers[row + i] = rows[i].headers;
    }
    if (self->timestamp_column >= 0) WEIR_TRY(extract_times(self, batch, row, count));
    for (uint32_t i = row; i < row + count; i++) {
        /* As Kafka Streams, which refuses them: windows begin at 0. */
        if (batch->timestamp[i] < 0 && !self->reasons[i]) self->reasons[i] = "the timestamp is negative";
    }
    return weir_ok();
}

/* How many of the block's rows fit by number and bytes; at least one. */
static uint32_t piece_of(const source *self, uint32_t rows_max, size_t *bytes) {
    const uint32_t left = self->block->count - self->block_at;
    const uint32_t limit = left < rows_max ? left : rows_max;
    const bus_row *rows = self->block->rows + self->block_at;
    uint32_t count = 0;
    while (count < limit && (count == 0 || *bytes < FLOW_BATCH_BYTES_MAX)) {
        *bytes += rows[count].key.size + rows[count].value.size;
        count++;
    }
    return count;
}

static void finish_block(source *self) {
    if (self->block_at < self->block->count) {
        self->position = self->block->rows[self->block_at].offset;
        return;
    }
    self->position = self->block->next_offset;
    data_buffer_release(&self->block->buffer);
    self->block = NULL;
}

/* Quarantines the piece's bad rows and takes in the good ones by narrowing the selection. */
static weir_status take_in(source *self, data_batch *batch, uint32_t row, uint32_t count, uint16_t *rows,
                          uint32_t *kept) {
    flow_context *context = self->context;
    for (uint32_t i = 0; i < count; i++) {
        const bus_row *record = &self->block->rows[self->block_at + i];
        if (self->reasons[row + i]) {
            WEIR_TRY(quarantine(self, record, self->block->partition, self->reasons[row + i]));
        } else if (self->topic->is_table && !record->key.data) {
            context->counts.null_key++;
        } else {
            rows[(*kept)++] = (uint16_t)(row + i);
            if (batch->timestamp[row + i] > context->stream_time) context->stream_time = batch->timestamp[row + i];
        }
    }
    if (context->sub->is_first) context->counts.rows_in += count;
    context->rows_taken += count;
    batch->rows = row + count;
    self->seq += count;
    self->block_at += count;
    finish_block(self);
    return weir_ok();
}

static weir_status prepare_batch(source *self, data_batch *batch) {
    if (self->wants_headers) {
        batch->headers = weir_arena_try(batch->arena, DATA_BATCH_ROWS_MAX * sizeof *batch->headers);
        if (!batch->headers) return flow_no_memory("record headers");
    }
    return weir_ok();
}

static weir_status add_windows(source *self, data_batch *batch) {
    if (self->topic->window.kind == FLOW_WINDOW_NONE) return weir_ok();
    batch->window_start = weir_arena_try(batch->arena, (batch->rows + 1) * sizeof *batch->window_start);
    batch->window_end = weir_arena_try(batch->arena, (batch->rows + 1) * sizeof *batch->window_end);
    if (!batch->window_start || !batch->window_end) return flow_no_memory("window bounds");
    for (uint32_t i = 0; i < batch->rows; i++) {
        batch->window_start[i] = self->starts[i];
        batch->window_end[i] = self->starts[i] + self->topic->window.size_ms;
    }
    return weir_ok();
}

/* Fills until a limit, or until the reader is dry. A failure to decode for want of room ends the batch before the
 * piece, when there is something before it. */
static weir_status fill(source *self, bus_reader *reader, uint32_t rows_max, data_batch *batch) {
    WEIR_TRY(prepare_batch(self, batch));
    uint16_t *rows = flow_selection_new(batch, DATA_BATCH_ROWS_MAX);
    if (!rows) return flow_no_memory("a batch");
    uint32_t kept = 0;
    size_t bytes = 0;
    while (batch->rows < rows_max && bytes < FLOW_BATCH_BYTES_MAX) {
        if (!self->block) {
            WEIR_TRY(self->context->bus->vtable->reader_next(reader, &self->block));
            if (!self->block) break;
            self->block_at = 0;
            if (self->block->count == 0) {
                finish_block(self);
                continue;
            }
        }
        const uint32_t row = batch->rows, count = piece_of(self, rows_max - row, &bytes);
        weir_status status = decode(self, batch, row, count);
        if (!weir_failed(status)) status = fill_rows(self, batch, row, count);
        if (weir_failed(status)) {
            if (row > 0 && (status.code == WEIR_FULL || status.code == WEIR_NO_MEMORY)) break;
            return status;
        }
        WEIR_TRY(take_in(self, batch, row, count, rows, &kept));
    }
    batch->selection = kept == batch->rows ? (data_selection){NULL, kept} : (data_selection){rows, kept};
    return add_windows(self, batch);
}

weir_status flow_source_fill(data_operator *base, bus_reader *reader, uint32_t rows_max, data_batch **batch) {
    source *self = (source *)base;
    *batch = NULL;
    data_batch *taken = data_batch_take(self->context->pool, self->step->node->schema);
    if (!taken) return flow_no_memory("a batch");
    const weir_status status =
        fill(self, reader, rows_max < DATA_BATCH_ROWS_MAX ? rows_max : DATA_BATCH_ROWS_MAX, taken);
    if (weir_failed(status) || taken->rows == 0) data_batch_release(taken);
    else *batch = taken;
    return status;
}

int64_t flow_source_position(const data_operator *base) { return ((const source *)(const void *)base)->position; }

void flow_source_reset(data_operator *base, int64_t position) {
    source *self = (source *)base;
    if (self->block) data_buffer_release(&self->block->buffer);
    self->block = NULL;
    self->position = position;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void destroy(data_operator *base) {
    source *self = (source *)base;
    flow_source_reset(base, -1);
    format_decoder_destroy(self->key_decoder);
    format_decoder_destroy(self->value_decoder);
    weir_buffer_deinit(&self->headers);
    weir_free(self->context->account, self);
}

static const data_operator_vtable vtable = {.name = "SOURCE", .destroy = destroy};

static weir_status open_decoder(source *self, data_role role, format_decoder **decoder) {
    const format_vtable *format;
    WEIR_TRY(format_find(role == DATA_ROLE_KEY ? self->topic->key_format : self->topic->value_format, &format));
    const format_spec spec = flow_topic_spec(self->topic, role);
    return format->decoder_create(self->context->account, &spec, self->step->emits.bits, decoder);
}

/* Headers travel from a source to a sink where no repartition or aggregate lies between. */
static bool sink_wants_headers(const flow_plan *plan) {
    for (const flow_node *node = plan->topology->root; node; node = node->input) {
        if (node->kind == FLOW_AGGREGATE || node->kind == FLOW_OUTPUT) return false;
    }
    return true;
}

weir_status flow_source_create(flow_context *context, const flow_step *step, data_operator **made) {
    source *self = weir_alloc(context->account, sizeof *self);
    self->base = (data_operator){.vtable = &vtable, .id = step->node->id};
    self->context = context;
    self->step = step;
    self->is_source = step->node->kind == FLOW_SOURCE;
    self->topic = context->sub->input;
    self->wants_headers = sink_wants_headers(context->plan);
    self->timestamp_column = self->is_source ? step->node->source.timestamp_column : -1;
    self->position = -1;
    weir_buffer_init(&self->headers, context->account, HEADERS_BYTES_MAX);
    weir_status status = open_decoder(self, DATA_ROLE_KEY, &self->key_decoder);
    if (!weir_failed(status)) status = open_decoder(self, DATA_ROLE_VALUE, &self->value_decoder);
    if (weir_failed(status)) {
        destroy(&self->base);
        return status;
    }
    *made = &self->base;
    return weir_ok();
}
