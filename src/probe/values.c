/* INSERT INTO ... VALUES: one row, computed from constant expressions and appended to its topic. */
#include "probe/probe_int.h"

static weir_status compute(probe_run *run, const func_expr *expr, data_batch *batch, data_vector **result) {
    const func_program *program;
    func_errors errors = {0};
    WEIR_TRY(func_compile(&run->arena, expr, batch->schema, &program));
    WEIR_TRY(func_run(program, batch, result, &errors));
    return errors.count ? weir_fail(WEIR_INVALID, "%s", errors.reasons[0]) : weir_ok();
}

static weir_status fill_row(probe_run *run, const sql_checked_values *values, data_batch *batch) {
    const data_schema *schema = batch->schema;
    bool has_key = false;
    data_vector **columns = weir_arena_array(&run->arena, data_vector *, schema->count + 1);
    batch->rows = 1;
    batch->selection = (data_selection){NULL, 1};
    batch->timestamp[0] = 0;
    for (uint32_t i = 0; i < schema->count; i++) {
        if (schema->columns[i].role != DATA_ROLE_KEY && schema->columns[i].role != DATA_ROLE_VALUE) continue;
        WEIR_TRY(compute(run, values->values[i], batch, &columns[i]));
        has_key = has_key || (i < schema->key_count && !data_vector_is_null(columns[i], 0));
    }
    if (values->rowtime) {
        data_vector *rowtime;
        WEIR_TRY(compute(run, values->rowtime, batch, &rowtime));
        if (data_vector_is_null(rowtime, 0)) return weir_fail(WEIR_INVALID, "ROWTIME is NULL");
        batch->timestamp[0] = rowtime->bigints[0];
    }
    memcpy(batch->columns, columns, schema->count * sizeof columns[0]);
    batch->key_present = weir_arena_array(&run->arena, uint64_t, DATA_BATCH_WORDS);
    data_bit_set(batch->key_present, 0, has_key);
    return weir_ok();
}

static weir_status encode(probe_run *run, const flow_topic *topic, const data_batch *batch, data_role role,
                          weir_bytes *bytes) {
    const bool is_key = role == DATA_ROLE_KEY;
    const format_vtable *format;
    format_encoder *encoder;
    WEIR_TRY(format_find(is_key ? topic->key_format : topic->value_format, &format));
    const format_spec spec = {.schema = batch->schema,
                              .role = role,
                              .options = is_key ? topic->key_options : topic->value_options,
                              .option_count = is_key ? topic->key_option_count : topic->value_option_count};
    WEIR_TRY(format->encoder_create(&run->account, &spec, &encoder));
    format_slice slice;
    weir_buffer_clear(&run->text);
    const weir_status status = format_encode(encoder, batch, &batch->selection, &run->text, &slice);
    format_encoder_destroy(encoder);
    WEIR_TRY(status);
    *bytes = (weir_bytes){0};
    if (slice.size < 0) return weir_ok();
    *bytes = weir_arena_bytes_copy(&run->arena, weir_buffer_view(&run->text));
    if (!bytes->data) bytes->data = (const uint8_t *)"";
    return weir_ok();
}

bool probe_values_insert(probe_run *run, const sql_plan *plan) {
    data_batch_pool *pool = data_batch_pool_create(&run->account, 1, PROBE_RECORD_MAX);
    data_batch *batch = data_batch_take(pool, plan->values->sink->schema);
    bus_row row = {0};
    weir_status status = batch ? fill_row(run, plan->values, batch) : weir_fail(WEIR_NO_MEMORY, "no memory for a row");
    if (!weir_failed(status)) status = encode(run, plan->sink_topic, batch, DATA_ROLE_KEY, &row.key);
    if (!weir_failed(status)) status = encode(run, plan->sink_topic, batch, DATA_ROLE_VALUE, &row.value);
    if (!weir_failed(status)) {
        row.timestamp_ms = batch->timestamp[0];
        bus_memory_append(run->memory, plan->sink_topic->name, &row);
    }
    if (batch) data_batch_release(batch);
    data_batch_pool_destroy(pool);
    return weir_failed(status) ? probe_fail(run, "Failed to insert values into '%s'. %s", plan->name, status.text)
                               : true;
}
