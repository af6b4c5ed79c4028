/* PROJECT: new columns by expressions over the old ones. Keys come first; a new key may be null. */
#include "flow/flow_int.h"

typedef struct project {
    data_operator base;
    flow_context *context;
    const flow_step *step;
} project;

static void note_errors(project *self, data_batch *batch, uint32_t column, const func_errors *errors,
                               data_vector *result) {
    self->context->counts.errors_as_null += errors->count;
    bool is_told = false;
    for (uint32_t row = 0; row < batch->rows; row++) {
        if (!data_bit(errors->bits, row)) continue;
        weir_assert(data_vector_is_null(result, row));
        if (is_told) continue;
        is_told = true;
        flow_row_error(self->context, WEIR_INVALID, "column %s of %s is NULL for partition %d, offset %lld: %s",
                       self->step->node->schema->columns[column].name, self->base.id, batch->partition[row],
                       (long long)batch->offset[row], errors->reasons[row]);
    }
}

/* The selected rows whose presence bit is 1: a tombstone has no columns to compute from. */
static weir_status present_rows(data_batch *batch, const uint64_t *present, data_selection *selection) {
    *selection = batch->selection;
    if (!present) return weir_ok();
    uint16_t *rows = flow_selection_new(batch, batch->selection.count);
    if (!rows) return flow_no_memory("a projection");
    *selection = (data_selection){rows, 0};
    for (uint32_t i = 0; i < batch->selection.count; i++) {
        const uint32_t row = data_selected(&batch->selection, i);
        if (data_bit(present, row)) rows[selection->count++] = (uint16_t)row;
    }
    return weir_ok();
}

/* Computes the wanted columns from `input` columns. Key columns are computed for all rows, so that a tombstone keeps
 * its key; value columns for the present ones. */
static weir_status compute(project *self, data_batch *batch, data_vector **input, const uint64_t *present,
                           bool with_keys, data_vector ***made) {
    const data_schema *schema = self->step->node->schema;
    data_vector **columns = weir_arena_try(batch->arena, sizeof *columns * (schema->count ? schema->count : 1));
    if (!columns) return flow_no_memory("a projection");
    memset(columns, 0, sizeof *columns * (schema->count ? schema->count : 1));
    data_selection rows;
    WEIR_TRY(present_rows(batch, present, &rows));
    for (uint32_t i = with_keys ? 0 : schema->key_count; i < schema->count; i++) {
        if (!self->step->columns[i]) continue;
        func_errors errors = {0};
        const data_selection *over = i < schema->key_count ? &batch->selection : &rows;
        WEIR_TRY(flow_run_over(self->step->columns[i], batch, input, *over, &columns[i], &errors));
        self->context->counts.errors_as_null += errors.caught;
        if (errors.count) note_errors(self, batch, i, &errors, columns[i]);
    }
    *made = columns;
    return weir_ok();
}

/* A key of one column is null with it; several columns make a key whatever they hold. */
static weir_status find_present_keys(project *self, data_batch *batch) {
    if (self->step->keeps_key) return weir_ok();
    uint64_t *present = weir_arena_try(batch->arena, DATA_BATCH_WORDS * sizeof *present);
    if (!present) return flow_no_memory("a projection");
    const uint32_t key_count = self->step->node->schema->key_count;
    memset(present, key_count > 1 ? 0xFF : 0, DATA_BATCH_WORDS * sizeof *present);
    for (uint32_t k = 0; key_count == 1 && k < key_count; k++) {
        const data_vector *column = batch->columns[k];
        for (uint32_t i = 0; i < batch->selection.count; i++) {
            const uint32_t row = data_selected(&batch->selection, i);
            if (!data_vector_is_null(column, row)) data_bit_set(present, row, true);
        }
    }
    batch->key_present = present;
    return weir_ok();
}

static weir_status compute_all(project *self, data_batch *batch) {
    data_vector **columns = NULL, **old_columns = NULL;
    WEIR_TRY(compute(self, batch, batch->columns, batch->value_present, true, &columns));
    if (batch->old_columns && self->step->emits_old) {
        data_vector **input = weir_arena_try(batch->arena, sizeof *input * batch->schema->count);
        if (!input) return flow_no_memory("a projection");
        for (uint32_t i = 0; i < batch->schema->count; i++)
            input[i] = i < batch->schema->key_count ? batch->columns[i] : batch->old_columns[i];
        const uint64_t counted = self->context->counts.errors_as_null;
        WEIR_TRY(compute(self, batch, input, batch->old_present, false, &old_columns));
        self->context->counts.errors_as_null = counted; /* the old value's errors were counted when it was new */
    }
    batch->schema = self->step->node->schema;
    batch->columns = columns;
    batch->old_columns = old_columns;
    if (!old_columns) batch->old_present = NULL;
    return find_present_keys(self, batch);
}

static weir_status process(data_operator *base, unsigned input, data_batch *batch) {
    (void)input;
    const weir_status status = compute_all((project *)base, batch);
    if (!weir_failed(status)) return data_emit(base, batch);
    data_batch_release(batch);
    return status;
}

static void destroy(data_operator *base) {
    project *self = (project *)base;
    weir_free(self->context->account, self);
}

static const data_operator_vtable vtable = {.name = "PROJECT", .process = process, .destroy = destroy};

weir_status flow_project_create(flow_context *context, const flow_step *step, data_operator **made) {
    project *self = weir_alloc(context->account, sizeof *self);
    *self = (project){.base = {.vtable = &vtable, .id = step->node->id}, .context = context, .step = step};
    *made = &self->base;
    return weir_ok();
}
