#include "data/batch.h"

static weir_status hand_over(data_operator *self, uint32_t target, data_batch *batch) {
    data_operator *next = self->targets[target];
    next->rows_in += batch->selection.count;
    return next->vtable->process(next, self->target_inputs[target], batch);
}

weir_status data_emit(data_operator *self, data_batch *batch) {
    self->rows_out += batch->selection.count;
    if (self->target_count == 0 || batch->selection.count == 0) {
        data_batch_release(batch);
        return weir_ok();
    }
#ifdef WEIR_DEBUG_BUILD
    data_batch_verify(batch);
#endif
    for (uint32_t i = 0; i + 1 < self->target_count; i++) {
        data_batch *copy = data_batch_share(batch);
        weir_status status = copy ? hand_over(self, i, copy)
                                  : weir_fail(WEIR_NO_MEMORY, "operator %s: no batch left to share rows", self->id);
        if (weir_failed(status)) {
            data_batch_release(batch);
            return status;
        }
    }
    return hand_over(self, self->target_count - 1, batch);
}

/* ---- verify ---------------------------------------------------------------------------------------------------- */

static void verify_vector(const data_vector *vector, const data_type *type, uint32_t rows);

static void verify_list(const data_vector *vector, const data_type *type, uint32_t rows) {
    int32_t end = 0;
    for (uint32_t row = 0; row < rows; row++) {
        weir_assert(vector->ends[row] >= end);
        weir_assert(!data_vector_is_null(vector, row) || vector->ends[row] == end);
        end = vector->ends[row];
    }
    weir_assert((uint32_t)end <= vector->child_rows || rows == 0);
    if (type->kind == DATA_MAP) {
        verify_vector(&vector->children[0], type->key, (uint32_t)end);
        verify_vector(&vector->children[1], type->element, (uint32_t)end);
    } else {
        verify_vector(&vector->children[0], type->element, (uint32_t)end);
    }
}

static void verify_value(const data_vector *vector, uint32_t row) {
    switch (vector->type->kind) {
    case DATA_BOOLEAN: weir_assert(vector->booleans[row] <= 1); break;
    case DATA_TIME: weir_assert(vector->ints[row] >= 0 && vector->ints[row] < 86400000); break;
    case DATA_STRING: weir_assert(weir_utf8_valid(data_text_bytes(&vector->texts[row]))); /* fall through */
    case DATA_BYTES: {
        const data_text *text = &vector->texts[row];
        const data_text canonical = data_text_of(data_text_data(text), text->size);
        weir_assert(memcmp(&canonical, text, sizeof canonical) == 0); /* zero filled, prefix right */
        break;
    }
    default: break;
    }
}

static void verify_vector(const data_vector *vector, const data_type *type, uint32_t rows) {
    weir_assert(data_type_equal(vector->type, type));
    if (vector->constant && rows > 1) rows = 1;
    weir_assert(vector->capacity == 0 || rows <= vector->capacity);
    for (uint32_t row = 0; row < rows; row++) {
        if (!data_vector_is_null(vector, row)) verify_value(vector, row);
    }
    if (type->kind == DATA_ARRAY || type->kind == DATA_MAP) verify_list(vector, type, rows);
    if (type->kind == DATA_STRUCT) {
        for (uint32_t i = 0; i < type->field_count; i++) {
            verify_vector(&vector->children[i], type->fields[i].type, rows);
        }
    }
}

void data_batch_verify(const data_batch *batch) {
    const data_schema *schema = batch->schema;
    weir_assert(batch->rows <= DATA_BATCH_ROWS_MAX && batch->selection.count <= batch->rows);
    weir_assert(schema->key_count <= schema->count && batch->retained_count <= DATA_BATCH_RETAINED_MAX);
    for (uint32_t i = 0; i < schema->count; i++) {
        weir_assert((schema->columns[i].role == DATA_ROLE_KEY) == (i < schema->key_count));
    }
    for (uint32_t i = 0; i < batch->selection.count; i++) {
        const uint32_t row = data_selected(&batch->selection, i);
        weir_assert(row < batch->rows);
        if (i == 0) continue;
        const uint32_t before = data_selected(&batch->selection, i - 1);
        weir_assert(row > before);
        weir_assert(batch->seq[row] > batch->seq[before]);
    }
    weir_assert((batch->window_start == NULL) == (batch->window_end == NULL));
    for (uint32_t i = 0; i < schema->count; i++) {
        if (batch->columns[i]) verify_vector(batch->columns[i], schema->columns[i].type, batch->rows);
        if (!batch->old_columns) continue;
        weir_assert(i >= schema->key_count || batch->old_columns[i] == NULL);
        if (batch->old_columns[i]) verify_vector(batch->old_columns[i], schema->columns[i].type, batch->rows);
    }
}
