/* AGGREGATE: rows of a stream update the states of their group, a window at a time, and become changes of a table.
 *
 * A batch is worked on in columns: the group keys of all rows and their hashes, then the (row, window) pairs that are
 * not too late, then the entries of all pairs in one batched probe, then one aggregate after another over all pairs.
 * The window rules are Kafka Streams' (TimeWindows.windowsFor, KStreamWindowAggregate): the operator's own stream time
 * is the largest timestamp of rows with a key; a window takes rows while its end lies after stream time - grace.
 *
 * Changes are emitted at flush(), one a changed group, or, with emit_every_update, one a pair as it happens. */
#include "flow/flow_int.h"

enum { PAIRS_MAX = DATA_BATCH_ROWS_MAX };

typedef struct aggregate {
    data_operator base;
    flow_context *context;
    const flow_step *step;
    const flow_node *node;
    state_store *store;
    format_encoder *key_encoder; /* NULL: a single STRING key in KAFKA format is its text's bytes */
    format_decoder *key_decoder;
    weir_buffer key_bytes;
    int64_t stream_time, committed_stream_time;
    int64_t window_last, window_count; /* last window start found, windows a row lies in at most */
    uint64_t out_seq;
    size_t bytes_a_change;             /* what a change has cost in output records, on average */
    weir_buffer record;

    uint32_t row_count; /* rows with a key, and their keys */
    uint16_t rows[DATA_BATCH_ROWS_MAX];
    weir_bytes row_keys[DATA_BATCH_ROWS_MAX];
    uint64_t row_hashes[DATA_BATCH_ROWS_MAX];
    format_slice slices[DATA_BATCH_ROWS_MAX];

    uint32_t pair_count;
    uint16_t pair_rows[PAIRS_MAX];
    weir_bytes pair_keys[PAIRS_MAX];
    uint64_t pair_hashes[PAIRS_MAX];
    int64_t pair_starts[PAIRS_MAX];
    state_entry *pair_entries[PAIRS_MAX];

    weir_bytes out_keys[DATA_BATCH_ROWS_MAX];
    format_errors errors;
} aggregate;

/* ---- results: states become rows --------------------------------------------------------------------------------- */

typedef struct results {
    data_batch *batch;
    uint32_t rows;
} results;

static bool make_vectors(aggregate *self, data_batch *batch, data_vector **columns) {
    const data_schema *schema = self->node->schema;
    for (uint32_t i = schema->key_count; i < schema->count; i++) {
        columns[i] = data_vector_create(batch->arena, schema->columns[i].type, DATA_BATCH_ROWS_MAX);
        if (!columns[i]) return false;
    }
    return true;
}

static bool make_bounds(aggregate *self, data_batch *batch) {
    if (self->node->aggregate.window.kind == FLOW_WINDOW_NONE) return true;
    batch->window_start = weir_arena_try(batch->arena, DATA_BATCH_ROWS_MAX * sizeof *batch->window_start);
    batch->window_end = weir_arena_try(batch->arena, DATA_BATCH_ROWS_MAX * sizeof *batch->window_end);
    return batch->window_start && batch->window_end;
}

static bool make_old(aggregate *self, data_batch *batch) {
    const size_t list_bytes = sizeof(data_vector *) * self->node->schema->count;
    batch->old_columns = weir_arena_try(batch->arena, list_bytes);
    batch->old_present = weir_arena_try(batch->arena, DATA_BATCH_WORDS * sizeof *batch->old_present);
    if (!batch->old_columns || !batch->old_present) return false;
    memset(batch->old_columns, 0, list_bytes);
    memset(batch->old_present, 0, DATA_BATCH_WORDS * sizeof *batch->old_present);
    return make_vectors(self, batch, batch->old_columns);
}

static weir_status results_begin(aggregate *self, bool with_old, results *into) {
    *into = (results){.batch = data_batch_take(self->context->pool, self->node->schema)};
    if (!into->batch) return flow_no_memory("results");
    if (make_vectors(self, into->batch, into->batch->columns) && make_bounds(self, into->batch) &&
        (!with_old || make_old(self, into->batch)))
        return weir_ok();
    data_batch_release(into->batch);
    return flow_no_memory("results");
}

/* A state without a result in its column's type (a sum that outgrew its DECIMAL) gives NULL, as an expression would. */
static weir_status finish_states(const aggregate *self, const uint8_t *state, data_vector **columns, uint32_t row,
                                 weir_arena *arena) {
    const flow_layout *layout = &self->step->layout;
    for (uint32_t i = 0; i < self->node->aggregate.aggregation_count; i++) {
        const func_aggregate *function = self->node->aggregate.aggregations[i].aggregate;
        data_vector *column = columns[self->node->schema->key_count + i];
        const weir_status status = function->finish(state + layout->offsets[i], column, row, arena);
        if (status.code == WEIR_NO_MEMORY) return status;
        if (!weir_failed(status)) continue;
        data_vector_set_null(column, row);
        self->context->counts.errors_as_null++;
        flow_row_error(self->context, status.code, "%s of %s is NULL: %s", function->name, self->base.id, status.text);
    }
    return weir_ok();
}

/* The value before; called before the state changes. */
static weir_status results_old(const aggregate *self, results *into, const uint8_t *state) {
    data_batch *batch = into->batch;
    data_bit_set(batch->old_present, into->rows, true);
    return finish_states(self, state, batch->old_columns, into->rows, batch->arena);
}

static weir_status results_add(aggregate *self, results *into, const state_row *row) {
    data_batch *batch = into->batch;
    const uint32_t at = into->rows++;
    batch->timestamp[at] = row->timestamp_ms;
    batch->partition[at] = self->context->partition;
    batch->offset[at] = 0;
    batch->seq[at] = self->out_seq++;
    self->out_keys[at] = row->key;
    if (batch->window_start) {
        batch->window_start[at] = row->window_start;
        batch->window_end[at] = row->window_start + self->node->aggregate.window.size_ms;
    }
    return finish_states(self, row->state, batch->columns, at, batch->arena);
}

/* Key columns come from the key bytes, which the store keeps alive while the batch travels. */
static weir_status results_end(aggregate *self, results *into) {
    const format_input input = {.first = self->out_keys, .stride = sizeof(weir_bytes), .count = into->rows};
    self->errors.count = 0;
    WEIR_TRY(format_decode(self->key_decoder, &input, into->batch, 0, &self->errors));
    if (self->errors.count)
        return weir_fail(WEIR_CORRUPT, "a key in store %s: %s", self->node->aggregate.store, self->errors.reasons[0]);
    into->batch->rows = into->rows;
    into->batch->selection = (data_selection){NULL, into->rows};
    return weir_ok();
}

/* Ends the results and hands them on; they are released also on failure. */
static weir_status results_emit(aggregate *self, results *into, weir_status status) {
    if (!weir_failed(status)) status = results_end(self, into);
    if (!weir_failed(status)) return data_emit(&self->base, into->batch);
    data_batch_release(into->batch);
    return status;
}

/* ---- pairs: (row, window) ---------------------------------------------------------------------------------------- */

static void update_columns(aggregate *self, const data_batch *batch) {
    const flow_layout *layout = &self->step->layout;
    for (uint32_t a = 0; a < self->node->aggregate.aggregation_count; a++) {
        const flow_aggregation *aggregation = &self->node->aggregate.aggregations[a];
        const data_vector *argument = aggregation->argument < 0 ? NULL : batch->columns[aggregation->argument];
        const uint32_t offset = layout->offsets[a];
        for (uint32_t i = 0; i < self->pair_count; i++)
            aggregation->aggregate->add(self->pair_entries[i]->state + offset, argument, self->pair_rows[i]);
    }
    for (uint32_t i = 0; i < self->pair_count; i++) {
        state_entry *entry = self->pair_entries[i];
        const int64_t timestamp = batch->timestamp[self->pair_rows[i]];
        if (timestamp > entry->timestamp_ms) entry->timestamp_ms = timestamp;
    }
}

static weir_status update_one(aggregate *self, const data_batch *batch, uint32_t i, results *into) {
    const flow_layout *layout = &self->step->layout;
    state_entry *entry = self->pair_entries[i];
    const uint32_t row = self->pair_rows[i];
    /* A new entry has no time yet, and no old value. */
    if (into->batch->old_columns && entry->timestamp_ms != INT64_MIN) WEIR_TRY(results_old(self, into, entry->state));
    for (uint32_t a = 0; a < self->node->aggregate.aggregation_count; a++) {
        const flow_aggregation *aggregation = &self->node->aggregate.aggregations[a];
        aggregation->aggregate->add(entry->state + layout->offsets[a],
                                    aggregation->argument < 0 ? NULL : batch->columns[aggregation->argument], row);
    }
    if (batch->timestamp[row] > entry->timestamp_ms) entry->timestamp_ms = batch->timestamp[row];
    return results_add(self, into, &(state_row){state_entry_key(self->store, entry), entry->window_start,
                                                entry->timestamp_ms, entry->state});
}

static weir_status update_each(aggregate *self, const data_batch *batch) {
    results into;
    WEIR_TRY(results_begin(self, self->step->emits_old, &into));
    weir_status status = weir_ok();
    for (uint32_t i = 0; i < self->pair_count && !weir_failed(status); i++) status = update_one(self, batch, i, &into);
    return results_emit(self, &into, status);
}

static weir_status update_pairs(aggregate *self, const data_batch *batch) {
    if (self->pair_count == 0) return weir_ok();
    WEIR_TRY(state_upsert(self->store, self->pair_keys, self->pair_hashes, self->pair_starts, self->pair_count,
                          self->pair_entries));
    weir_status status = weir_ok();
    if (self->context->plan->topology->emit_every_update) status = update_each(self, batch);
    else update_columns(self, batch);
    self->pair_count = 0;
    return status;
}

static weir_status add_pair(aggregate *self, const data_batch *batch, uint32_t i, int64_t start) {
    if (self->pair_count == PAIRS_MAX) WEIR_TRY(update_pairs(self, batch));
    const uint32_t at = self->pair_count++;
    self->pair_rows[at] = self->rows[i];
    self->pair_keys[at] = self->row_keys[i];
    self->pair_hashes[at] = self->row_hashes[i];
    self->pair_starts[at] = start;
    return weir_ok();
}

/* The start of the last window that holds `timestamp`; rows mostly come in order, so mostly it is the former one. */
static inline int64_t last_window(aggregate *self, int64_t timestamp) {
    const int64_t advance = self->node->aggregate.window.advance_ms;
    const int64_t after = timestamp - self->window_last;
    if (after < 0 || after >= advance) self->window_last = timestamp / advance * advance;
    return self->window_last;
}

static weir_status add_windows(aggregate *self, const data_batch *batch, uint32_t i, bool *is_late) {
    const flow_window *window = &self->node->aggregate.window;
    const int64_t timestamp = batch->timestamp[self->rows[i]];
    if (timestamp > self->stream_time) self->stream_time = timestamp;
    const int64_t closed = self->stream_time - window->grace_ms; /* both are >= 0: no overflow */
    const int64_t last = last_window(self, timestamp);
    int64_t start = last - (self->window_count - 1) * window->advance_ms;
    if (start < 0) start = 0;
    *is_late = true;
    for (; start <= last; start += window->advance_ms) {
        const int64_t end = start + window->size_ms;
        if (end <= timestamp || end <= closed) continue;
        *is_late = false;
        WEIR_TRY(add_pair(self, batch, i, start));
    }
    return weir_ok();
}

static weir_status update_rows(aggregate *self, const data_batch *batch) {
    flow_counters *counts = &self->context->counts;
    self->pair_count = 0;
    for (uint32_t i = 0; i < self->row_count; i++) {
        bool is_late = false;
        if (self->node->aggregate.window.kind != FLOW_WINDOW_NONE) WEIR_TRY(add_windows(self, batch, i, &is_late));
        else WEIR_TRY(add_pair(self, batch, i, STATE_NOT_WINDOWED));
        if (is_late) counts->late++;
        else counts->aggregated++;
    }
    return update_pairs(self, batch);
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

/* Rows with a value and a whole key; the others are counted. */
static void choose_rows(aggregate *self, const data_batch *batch) {
    flow_counters *counts = &self->context->counts;
    self->row_count = 0;
    for (uint32_t i = 0; i < batch->selection.count; i++) {
        const uint32_t row = data_selected(&batch->selection, i);
        bool has_key = !batch->key_present || data_bit(batch->key_present, row);
        for (uint32_t k = 0; has_key && k < self->node->aggregate.key_count; k++)
            has_key = !data_vector_is_null(batch->columns[k], row);
        if (!has_key) counts->null_key++;
        else if (batch->value_present && !data_bit(batch->value_present, row)) counts->null_value++;
        else self->rows[self->row_count++] = (uint16_t)row;
    }
}

static weir_status encode_keys(aggregate *self, const data_batch *batch) {
    const data_selection selection = {self->rows, self->row_count};
    weir_buffer_clear(&self->key_bytes);
    WEIR_TRY(format_encode(self->key_encoder, batch, &selection, &self->key_bytes, self->slices));
    for (uint32_t i = 0; i < self->row_count; i++)
        self->row_keys[i] = (weir_bytes){self->key_bytes.data + self->slices[i].at, (size_t)self->slices[i].size};
    return weir_ok();
}

static weir_status find_keys(aggregate *self, const data_batch *batch) {
    if (self->key_encoder) {
        WEIR_TRY(encode_keys(self, batch));
    } else {
        const data_vector *column = batch->columns[0];
        for (uint32_t i = 0; i < self->row_count; i++)
            self->row_keys[i] = data_text_bytes(&column->texts[data_vector_index(column, self->rows[i])]);
    }
    for (uint32_t i = 0; i < self->row_count; i++) {
        if (self->row_keys[i].size > STATE_KEY_BYTES_MAX)
            return weir_fail(WEIR_INVALID, "a group key of %zu bytes, allowed %d", self->row_keys[i].size,
                             STATE_KEY_BYTES_MAX);
        self->row_hashes[i] = state_hash(self->row_keys[i]);
    }
    return weir_ok();
}

static weir_status process(data_operator *base, unsigned input, data_batch *batch) {
    (void)input;
    aggregate *self = (aggregate *)base;
    choose_rows(self, batch);
    weir_status status = find_keys(self, batch);
    if (!weir_failed(status)) status = update_rows(self, batch);
    data_batch_release(batch);
    return status;
}

/* ---- commits ----------------------------------------------------------------------------------------------------- */

static weir_status emit_changes(aggregate *self, uint32_t from, uint32_t count) {
    results into;
    WEIR_TRY(results_begin(self, self->step->emits_old, &into));
    weir_status status = weir_ok();
    for (uint32_t i = from; i < from + count && !weir_failed(status); i++) {
        const state_change change = state_change_at(self->store, i);
        const state_entry *entry = change.entry;
        if (change.old_present && self->step->emits_old) status = results_old(self, &into, change.old_state);
        if (weir_failed(status)) break;
        status = results_add(self, &into, &(state_row){state_entry_key(self->store, entry), entry->window_start,
                                                       entry->timestamp_ms, entry->state});
    }
    return results_emit(self, &into, status);
}

static weir_status flush(data_operator *base) {
    aggregate *self = (aggregate *)base;
    if (self->context->plan->topology->emit_every_update) return weir_ok();
    const uint32_t count = state_change_count(self->store);
    const bus_commit *commit = self->context->commit;
    const bus_vtable *topics = self->context->bus->vtable;
    const size_t before = commit ? topics->commit_bytes(commit) : 0;
    for (uint32_t at = 0; at < count; at += DATA_BATCH_ROWS_MAX)
        WEIR_TRY(emit_changes(self, at, count - at < DATA_BATCH_ROWS_MAX ? count - at : DATA_BATCH_ROWS_MAX));
    if (commit && count) self->bytes_a_change = (topics->commit_bytes(commit) - before) / count + 1;
    return weir_ok();
}

weir_status flow_aggregate_log(data_operator *base) {
    aggregate *self = (aggregate *)base;
    const char *topic = self->node->aggregate.changelog_topic;
    if (!topic) return weir_ok();
    const bus_vtable *topics = self->context->bus->vtable;
    for (uint32_t i = 0; i < state_change_count(self->store); i++) {
        const state_entry *entry = state_change_at(self->store, i).entry;
        weir_buffer_clear(&self->record);
        state_record_key(self->store, entry, &self->record);
        const size_t key_bytes = self->record.size;
        state_record_value(self->store, entry, &self->record);
        weir_assert(!self->record.overflowed);
        const bus_row row = {.timestamp_ms = entry->timestamp_ms, .key = {self->record.data, key_bytes},
                             .value = {self->record.data + key_bytes, self->record.size - key_bytes}};
        WEIR_TRY(topics->commit_add(self->context->commit, topic, self->context->partition, &row));
    }
    return weir_ok();
}

size_t flow_aggregate_pending_bytes(const data_operator *base) {
    const aggregate *self = (const aggregate *)(const void *)base;
    const size_t outputs = self->context->plan->topology->emit_every_update
                               ? 0 : state_change_count(self->store) * self->bytes_a_change;
    return outputs + (self->node->aggregate.changelog_topic ? state_change_bytes(self->store) : 0);
}

state_store *flow_aggregate_store(data_operator *base) { return ((aggregate *)base)->store; }

void flow_aggregate_committed(data_operator *base, uint64_t *expired) {
    aggregate *self = (aggregate *)base;
    state_commit(self->store);
    self->committed_stream_time = self->stream_time;
    *expired = self->stream_time == INT64_MIN ? 0 : state_expire(self->store, self->stream_time);
}

void flow_aggregate_rolled_back(data_operator *base) {
    aggregate *self = (aggregate *)base;
    state_rollback(self->store);
    self->stream_time = self->committed_stream_time;
}

/* The row that advanced the clock last was in time, so its entry carries the clock. */
void flow_aggregate_restored(data_operator *base) {
    aggregate *self = (aggregate *)base;
    self->stream_time = self->committed_stream_time = state_timestamp_max(self->store);
    if (self->stream_time != INT64_MIN) state_expire(self->store, self->stream_time);
}

weir_status flow_aggregate_rows(data_operator *base, const state_view *view, uint32_t from, uint32_t count,
                                data_batch **batch) {
    aggregate *self = (aggregate *)base;
    results into;
    WEIR_TRY(results_begin(self, false, &into));
    weir_status status = weir_ok();
    for (uint32_t i = from; i < from + count && !weir_failed(status); i++) {
        const state_row row = state_view_row(view, i);
        status = results_add(self, &into, &row);
    }
    if (!weir_failed(status)) status = results_end(self, &into);
    if (weir_failed(status)) data_batch_release(into.batch);
    else *batch = into.batch;
    return status;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void destroy(data_operator *base) {
    aggregate *self = (aggregate *)base;
    format_encoder_destroy(self->key_encoder);
    format_decoder_destroy(self->key_decoder);
    state_destroy(self->store);
    weir_buffer_deinit(&self->key_bytes);
    weir_buffer_deinit(&self->record);
    weir_free(self->context->account, self);
}

static const data_operator_vtable vtable = {
    .name = "AGGREGATE", .process = process, .flush = flush, .destroy = destroy};

static weir_status open_parts(aggregate *self) {
    const flow_window *window = &self->node->aggregate.window;
    const state_options options = {.state_bytes = self->step->layout.state_bytes,
                                   .windowed = window->kind != FLOW_WINDOW_NONE,
                                   .retention_ms = window->retention_ms < window->size_ms + window->grace_ms
                                                       ? window->size_ms + window->grace_ms : window->retention_ms,
                                   .advance_ms = window->advance_ms,
                                   .layout = self->step->layout.fingerprint};
    WEIR_TRY(state_create(self->context->account, &options, &self->store));
    const format_vtable *format;
    WEIR_TRY(format_find(self->node->aggregate.key_format, &format));
    format_spec spec = {.schema = self->node->schema, .role = DATA_ROLE_KEY};
    WEIR_TRY(format->decoder_create(self->context->account, &spec, NULL, &self->key_decoder));
    if (format == &format_kafka && self->node->schema->columns[0].type->kind == DATA_STRING) return weir_ok();
    spec.schema = self->node->input->schema;
    return format->encoder_create(self->context->account, &spec, &self->key_encoder);
}

weir_status flow_aggregate_create(flow_context *context, const flow_step *step, data_operator **made) {
    aggregate *self = weir_alloc(context->account, sizeof *self);
    self->base = (data_operator){.vtable = &vtable, .id = step->node->id};
    self->context = context;
    self->step = step;
    self->node = step->node;
    self->stream_time = self->committed_stream_time = INT64_MIN;
    self->window_last = INT64_MIN / 2; /* far from every timestamp, and the difference does not overflow */
    const flow_window *window = &step->node->aggregate.window;
    if (window->kind != FLOW_WINDOW_NONE)
        self->window_count = (window->size_ms + window->advance_ms - 1) / window->advance_ms;
    self->bytes_a_change = 128; /* until one was written */
    weir_buffer_init(&self->key_bytes, context->account, FLOW_ENCODE_BYTES_MAX);
    weir_buffer_init(&self->record, context->account,
                     STATE_KEY_BYTES_MAX + STATE_BYTES_MAX + STATE_RECORD_HEADER_BYTES + 64);
    const weir_status status = open_parts(self);
    if (weir_failed(status)) {
        destroy(&self->base);
        return weir_context(status, "%s", step->node->id);
    }
    *made = &self->base;
    return weir_ok();
}
