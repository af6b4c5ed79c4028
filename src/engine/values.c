/* INSERT INTO ... VALUES: one row, computed from constant expressions, encoded as the stream's or table's topic wants
 * it, and committed before it is answered. */
#include "engine/engine_int.h"

enum { VALUES_ARENA_BYTES = 16 << 20 };

/* Columns of the row; NULL where the expression failed is a mistake of the statement, not of a row. */
static weir_status compute(engine_request *request, const func_expr *expr, data_batch *batch, data_vector **result) {
    const func_program *program;
    func_errors errors = {0};
    WEIR_TRY(func_compile(&request->statement, expr, batch->schema, &program));
    WEIR_TRY(func_run(program, batch, result, &errors));
    if (errors.count == 0) return weir_ok();
    return weir_fail(WEIR_INVALID, "Failed to insert values into '%s'. %s", request->plan->name, errors.reasons[0]);
}

static weir_status fill_row(engine_request *request, data_batch *batch) {
    const sql_checked_values *values = request->plan->values;
    const data_schema *schema = batch->schema;
    bool has_key = false;
    batch->rows = 1;
    batch->selection = (data_selection){NULL, 1};
    batch->timestamp[0] = io_wall_ms(request->engine->world->clock);
    data_vector **columns = weir_arena_array(&request->statement, data_vector *, schema->count);
    for (uint32_t i = 0; i < schema->count; i++) {
        if (schema->columns[i].role != DATA_ROLE_KEY && schema->columns[i].role != DATA_ROLE_VALUE) continue;
        WEIR_TRY(compute(request, values->values[i], batch, &columns[i]));
        has_key = has_key || (i < schema->key_count && !data_vector_is_null(columns[i], 0));
    }
    if (values->rowtime) {
        data_vector *rowtime;
        WEIR_TRY(compute(request, values->rowtime, batch, &rowtime));
        if (data_vector_is_null(rowtime, 0)) return weir_fail(WEIR_INVALID, "ROWTIME is NULL");
        batch->timestamp[0] = rowtime->bigints[0];
    }
    for (uint32_t i = 0; i < schema->count; i++) batch->columns[i] = columns[i];
    batch->key_present = weir_arena_array(&request->statement, uint64_t, DATA_BATCH_WORDS);
    data_bit_set(batch->key_present, 0, has_key);
    return weir_ok();
}

static weir_status encode(engine_request *request, const data_batch *batch, data_role role, weir_buffer *target,
                          weir_bytes *bytes) {
    const flow_topic *topic = request->plan->sink_topic;
    const bool is_key = role == DATA_ROLE_KEY;
    const format_vtable *format;
    format_encoder *encoder;
    WEIR_TRY(format_find(is_key ? topic->key_format : topic->value_format, &format));
    const format_spec spec = {.schema = batch->schema,
                              .role = role,
                              .options = is_key ? topic->key_options : topic->value_options,
                              .option_count = is_key ? topic->key_option_count : topic->value_option_count};
    WEIR_TRY(format->encoder_create(&request->engine->account, &spec, &encoder));
    format_slice slice;
    const weir_status status = format_encode(encoder, batch, &batch->selection, target, &slice);
    format_encoder_destroy(encoder);
    WEIR_TRY(status);
    static const uint8_t empty;
    if (slice.size < 0)
        *bytes = (weir_bytes){0};
    else
        *bytes = (weir_bytes){slice.size ? target->data + slice.at : &empty, (size_t)slice.size}; /* empty is no null */
    return weir_ok();
}

static void commit_done(io_job *job) {
    engine_request *request = io_owner(job, engine_request, committed);
    const bus_vtable *vtable = request->engine->bus->vtable;
    const weir_status status = vtable->commit_result(request->commit);
    vtable->commit_free(request->commit);
    request->commit = NULL;
    engine_statement_answer(request, weir_context(status, "Failed to insert values into '%s'", request->plan->name));
}

static weir_status add_row(engine_request *request, data_batch *batch) {
    engine *self = request->engine;
    weir_buffer key, value;
    weir_buffer_init(&key, &self->account, SQL_STATEMENT_BYTES_MAX * 2);
    weir_buffer_init(&value, &self->account, SQL_STATEMENT_BYTES_MAX * 2);
    bus_row row = {0};
    weir_status status = fill_row(request, batch);
    if (!weir_failed(status)) status = encode(request, batch, DATA_ROLE_KEY, &key, &row.key);
    if (!weir_failed(status)) status = encode(request, batch, DATA_ROLE_VALUE, &value, &row.value);
    row.timestamp_ms = batch->timestamp[0];
    if (!weir_failed(status)) {
        request->commit = self->bus->vtable->commit_begin(self->bus, self->owner, NULL);
        status = self->bus->vtable->commit_add(request->commit, request->plan->sink_topic->name, -1, &row);
    }
    weir_buffer_deinit(&key);
    weir_buffer_deinit(&value);
    return status;
}

static void commit_row(engine_request *request) {
    engine *self = request->engine;
    data_batch_pool *pool = data_batch_pool_create(&self->account, 1, VALUES_ARENA_BYTES);
    data_batch *batch = data_batch_take(pool, request->plan->values->sink->schema);
    weir_status status = batch ? add_row(request, batch) : weir_fail(WEIR_NO_MEMORY, "no memory for a row");
    if (batch) data_batch_release(batch);
    data_batch_pool_destroy(pool);
    if (weir_failed(status)) {
        if (request->commit) self->bus->vtable->commit_free(request->commit);
        request->commit = NULL;
        engine_statement_answer(request,
                                weir_context(status, "Failed to insert values into '%s'", request->plan->name));
        return;
    }
    io_job_init(&request->committed, commit_done);
    self->bus->vtable->commit_send(request->commit, &request->committed);
}

/* The bus chooses a partition for topics that it has described. */
static void topic_known(void *arg, weir_status status, const bus_topic_info *info) {
    engine_request *request = arg;
    if (!weir_failed(status) && !info->exists)
        status = weir_fail(WEIR_NOT_FOUND, "topic %s does not exist", request->plan->sink_topic->name);
    if (!weir_failed(status))
        commit_row(request);
    else
        engine_statement_answer(request,
                                weir_context(status, "Failed to insert values into '%s'", request->plan->name));
}

void engine_values_run(engine_request *request) {
    engine *self = request->engine;
    self->bus->vtable->topic_describe(self->bus, self->owner, request->plan->sink_topic->name, topic_known, request);
}
