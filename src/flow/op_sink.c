/* SINK and REPARTITION: rows become records of the task's commit. */
#include "flow/flow_int.h"

typedef struct sink {
    data_operator base;
    flow_context *context;
    const flow_step *step;
    const flow_topic *topic;
    format_encoder *key_encoder, *value_encoder;
    weir_buffer keys, values, windowed_key;
    bool is_repartition;
    format_slice key_slices[DATA_BATCH_ROWS_MAX], value_slices[DATA_BATCH_ROWS_MAX];
} sink;

static weir_bytes slice_of(const weir_buffer *buffer, format_slice slice) {
    static const uint8_t empty;
    if (slice.size < 0) return (weir_bytes){0};
    if (slice.size == 0) return (weir_bytes){&empty, 0}; /* empty is not null */
    return (weir_bytes){buffer->data + slice.at, (size_t)slice.size};
}

/* Kafka Streams partitions windowed keys by what they are without the window. */
static int32_t partition_of(const sink *self, weir_bytes key) {
    const int32_t count = self->context->sub->output_partitions;
    if (count == 1) return 0;
    return key.data ? weir_partition_of_key(key, count) : -1;
}

static weir_status add(sink *self, const data_batch *batch, uint32_t i) {
    const uint32_t row = data_selected(&batch->selection, i);
    bus_row record = {.timestamp_ms = batch->timestamp[row], .key = slice_of(&self->keys, self->key_slices[i]),
                      .value = slice_of(&self->values, self->value_slices[i])};
    if (batch->headers) record.headers = batch->headers[row];
    const int32_t partition = partition_of(self, record.key);
    if (self->topic->window.kind != FLOW_WINDOW_NONE && record.key.data) {
        uint8_t start[8];
        weir_write_be64(start, (uint64_t)batch->window_start[row]);
        weir_buffer_clear(&self->windowed_key);
        weir_buffer_append(&self->windowed_key, record.key.data, record.key.size);
        weir_buffer_append(&self->windowed_key, start, sizeof start);
        record.key = weir_buffer_view(&self->windowed_key);
        if (self->windowed_key.overflowed)
            return weir_fail(WEIR_FULL, "a key of %zu bytes is too long", record.key.size);
    }
    return self->context->bus->vtable->commit_add(self->context->commit, self->topic->name, partition, &record);
}

/* Rows that the aggregate behind a repartition would drop are dropped before they cost a record. */
static weir_status drop_unusable(sink *self, data_batch *batch) {
    uint16_t *rows = flow_selection_new(batch, batch->selection.count);
    if (!rows) return flow_no_memory("a repartition");
    uint32_t kept = 0;
    for (uint32_t i = 0; i < batch->selection.count; i++) {
        const uint32_t row = data_selected(&batch->selection, i);
        bool has_key = !batch->key_present || data_bit(batch->key_present, row);
        for (uint32_t k = 0; has_key && k < batch->schema->key_count; k++)
            has_key = !data_vector_is_null(batch->columns[k], row);
        const bool has_value = !batch->value_present || data_bit(batch->value_present, row);
        if (has_key && has_value) rows[kept++] = (uint16_t)row;
        else if (!has_key) self->context->counts.null_key++;
        else self->context->counts.null_value++;
    }
    batch->selection = (data_selection){rows, kept};
    return weir_ok();
}

static weir_status write_rows(sink *self, data_batch *batch) {
    weir_assert(self->topic->window.kind == FLOW_WINDOW_NONE || batch->window_start);
    if (self->is_repartition) WEIR_TRY(drop_unusable(self, batch));
    weir_buffer_clear(&self->keys);
    weir_buffer_clear(&self->values);
    WEIR_TRY(format_encode(self->key_encoder, batch, &batch->selection, &self->keys, self->key_slices));
    WEIR_TRY(format_encode(self->value_encoder, batch, &batch->selection, &self->values, self->value_slices));
    for (uint32_t i = 0; i < batch->selection.count; i++) WEIR_TRY(add(self, batch, i));
    if (self->context->sub->is_last) self->context->counts.rows_out += batch->selection.count;
    return weir_ok();
}

static weir_status process(data_operator *base, unsigned input, data_batch *batch) {
    (void)input;
    sink *self = (sink *)base;
    const weir_status status = write_rows(self, batch);
    data_batch_release(batch);
    return weir_context(status, "writing to topic %s", self->topic->name);
}

static void destroy(data_operator *base) {
    sink *self = (sink *)base;
    format_encoder_destroy(self->key_encoder);
    format_encoder_destroy(self->value_encoder);
    weir_buffer_deinit(&self->keys);
    weir_buffer_deinit(&self->values);
    weir_buffer_deinit(&self->windowed_key);
    weir_free(self->context->account, self);
}

static const data_operator_vtable vtable = {.name = "SINK", .process = process, .destroy = destroy};

static weir_status open_encoder(sink *self, data_role role, format_encoder **encoder) {
    const format_vtable *format;
    WEIR_TRY(format_find(role == DATA_ROLE_KEY ? self->topic->key_format : self->topic->value_format, &format));
    const format_spec spec = flow_topic_spec(self->topic, role);
    return format->encoder_create(self->context->account, &spec, encoder);
}

weir_status flow_sink_create(flow_context *context, const flow_step *step, data_operator **made) {
    sink *self = weir_alloc(context->account, sizeof *self);
    self->base = (data_operator){.vtable = &vtable, .id = step->node->id};
    self->context = context;
    self->step = step;
    self->is_repartition = step->node->kind == FLOW_REPARTITION;
    self->topic = self->is_repartition ? &step->node->repartition.topic : &step->node->sink.topic;
    weir_buffer_init(&self->keys, context->account, FLOW_ENCODE_BYTES_MAX);
    weir_buffer_init(&self->values, context->account, FLOW_ENCODE_BYTES_MAX);
    weir_buffer_init(&self->windowed_key, context->account, STATE_KEY_BYTES_MAX + 8);
    weir_status status = open_encoder(self, DATA_ROLE_KEY, &self->key_encoder);
    if (!weir_failed(status)) status = open_encoder(self, DATA_ROLE_VALUE, &self->value_encoder);
    if (weir_failed(status)) {
        destroy(&self->base);
        return status;
    }
    *made = &self->base;
    return weir_ok();
}
