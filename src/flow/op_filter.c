/* FILTER: narrows the selection. On a table a row that stops matching becomes a delete, if the old row had matched. */
#include "flow/flow_int.h"

typedef struct filter {
    data_operator base;
    flow_context *context;
    const flow_step *step;
    bool is_table; /* rows are changes */
} filter;

/* Narrows the selection to rows with a value: a stream's null value matches nothing. */
static weir_status drop_tombstones(data_batch *batch) {
    if (!batch->value_present) return weir_ok();
    uint16_t *rows = flow_selection_new(batch, batch->selection.count);
    if (!rows) return flow_no_memory("a filter");
    uint32_t kept = 0;
    for (uint32_t i = 0; i < batch->selection.count; i++) {
        const uint32_t row = data_selected(&batch->selection, i);
        if (data_bit(batch->value_present, row)) rows[kept++] = (uint16_t)row;
    }
    batch->selection = (data_selection){rows, kept};
    return weir_ok();
}

static weir_status filter_stream(filter *self, data_batch *batch) {
    const uint32_t before = batch->selection.count;
    func_errors errors = {0};
    WEIR_TRY(drop_tombstones(batch));
    WEIR_TRY(func_filter(self->step->condition, batch, &errors));
    self->context->counts.errors_as_null += errors.caught;
    for (uint32_t row = 0; errors.count && row < batch->rows; row++) {
        if (!data_bit(errors.bits, row)) continue;
        flow_row_error(self->context, WEIR_INVALID, "%s dropped a row of partition %d, offset %lld: %s", self->base.id,
                       batch->partition[row], (long long)batch->offset[row], errors.reasons[row]);
        break;
    }
    self->context->counts.filtered += before - batch->selection.count;
    return weir_ok();
}

/* Sets the bit of every selected row for which the condition is true over `columns`; rows whose `present` bit is 0 do
 * not match. */
static weir_status match(filter *self, data_batch *batch, data_vector **columns, const uint64_t *present,
                         uint64_t *matches) {
    memset(matches, 0, DATA_BATCH_WORDS * sizeof *matches);
    uint16_t *rows = flow_selection_new(batch, batch->selection.count);
    if (!rows) return flow_no_memory("a filter");
    data_selection selection = {rows, 0};
    for (uint32_t i = 0; i < batch->selection.count; i++) {
        const uint32_t row = data_selected(&batch->selection, i);
        if (!present || data_bit(present, row)) rows[selection.count++] = (uint16_t)row;
    }
    if (selection.count == 0) return weir_ok();
    data_vector *result;
    func_errors errors = {0};
    WEIR_TRY(flow_run_over(self->step->condition, batch, columns, selection, &result, &errors));
    for (uint32_t i = 0; i < selection.count; i++) {
        const uint32_t row = rows[i];
        if (errors.count && data_bit(errors.bits, row)) continue;
        if (!data_vector_is_null(result, row) && result->booleans[data_vector_index(result, row)])
            data_bit_set(matches, row, true);
    }
    return weir_ok();
}

/* The columns of the value before: keys of the batch, old values. */
static weir_status old_side(data_batch *batch, data_vector ***columns) {
    data_vector **side = weir_arena_try(batch->arena, sizeof *side * (batch->schema->count ? batch->schema->count : 1));
    if (!side) return flow_no_memory("a filter");
    for (uint32_t i = 0; i < batch->schema->count; i++)
        side[i] = i < batch->schema->key_count ? batch->columns[i] : batch->old_columns[i];
    *columns = side;
    return weir_ok();
}

static weir_status filter_table(filter *self, data_batch *batch) {
    uint64_t *present = weir_arena_try(batch->arena, DATA_BATCH_WORDS * sizeof *present);
    uint64_t *old_present = weir_arena_try(batch->arena, DATA_BATCH_WORDS * sizeof *old_present);
    uint16_t *rows = flow_selection_new(batch, batch->selection.count);
    if (!present || !old_present || !rows) return flow_no_memory("a filter");
    WEIR_TRY(match(self, batch, batch->columns, batch->value_present, present));
    if (batch->old_columns) {
        data_vector **side = NULL;
        WEIR_TRY(old_side(batch, &side));
        WEIR_TRY(match(self, batch, side, batch->old_present, old_present));
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < batch->selection.count; i++) {
        const uint32_t row = data_selected(&batch->selection, i);
        /* Without old values nobody knows whether the row was passed on before, so the delete is. */
        if (data_bit(present, row) || !batch->old_columns || data_bit(old_present, row)) rows[kept++] = (uint16_t)row;
    }
    self->context->counts.changes_filtered += batch->selection.count - kept;
    batch->selection = (data_selection){rows, kept};
    batch->value_present = present;
    if (batch->old_columns) batch->old_present = old_present;
    return weir_ok();
}

static weir_status process(data_operator *base, unsigned input, data_batch *batch) {
    (void)input;
    filter *self = (filter *)base;
    const weir_status status = self->is_table ? filter_table(self, batch) : filter_stream(self, batch);
    if (!weir_failed(status)) return data_emit(base, batch);
    data_batch_release(batch);
    return status;
}

static void destroy(data_operator *base) {
    filter *self = (filter *)base;
    weir_free(self->context->account, self);
}

static const data_operator_vtable vtable = {.name = "FILTER", .process = process, .destroy = destroy};

weir_status flow_filter_create(flow_context *context, const flow_step *step, bool as_rows, data_operator **made) {
    filter *self = weir_alloc(context->account, sizeof *self);
    *self = (filter){.base = {.vtable = &vtable, .id = step->node->id}, .context = context, .step = step,
                     .is_table = step->node->is_table && !as_rows};
    *made = &self->base;
    return weir_ok();
}
