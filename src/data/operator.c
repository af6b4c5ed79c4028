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

static void verify_text(const data_vector *vector, uint32_t index) {
    const data_text *text = &vector->texts[index];
    const data_text canonical = data_text_of(data_text_data(text), text->size);
    weir_assert(memcmp(&canonical, text, sizeof canonical) == 0); /* zero filled, prefix right */
    weir_assert(vector->type->kind != DATA_STRING || weir_utf8_valid(data_text_bytes(text)));
}

/* Of the whole vector: its type and its children's. */
static void verify_types(const data_vector *vector, const data_type *type) {
    weir_assert(data_type_equal(vector->type, type));
    if (type->kind == DATA_ARRAY) verify_types(&vector->children[0], type->element);
    if (type->kind == DATA_MAP) verify_types(&vector->children[0], type->key);
    if (type->kind == DATA_MAP) verify_types(&vector->children[1], type->element);
    for (uint32_t i = 0; type->kind == DATA_STRUCT && i < type->field_count; i++) {
        verify_types(&vector->children[i], type->fields[i].type);
    }
}

/* Of one row; what lies in rows that are not selected is nobody's business. */
static void verify_row(const data_vector *vector, uint32_t row) {
    const bool null = data_vector_is_null(vector, row);
    const uint32_t index = data_vector_index(vector, row);
    weir_assert(vector->capacity == 0 || index < vector->capacity);
    switch (vector->type->kind) {
    case DATA_BOOLEAN: weir_assert(null || vector->booleans[index] <= 1); break;
    case DATA_TIME: weir_assert(null || (vector->ints[index] >= 0 && vector->ints[index] < 86400000)); break;
    case DATA_STRING:
    case DATA_BYTES:
        if (!null) verify_text(vector, index);
        break;
    case DATA_ARRAY:
    case DATA_MAP: {
        const uint32_t start = data_vector_child_start(vector, index), end = (uint32_t)vector->ends[index];
        weir_assert(start <= end && end <= vector->child_rows && (!null || start == end));
        for (uint32_t child = start; child < end; child++) {
            verify_row(&vector->children[0], child);
            if (vector->type->kind == DATA_MAP) verify_row(&vector->children[1], child);
        }
        break;
    }
    case DATA_STRUCT:
        for (uint32_t i = 0; i < vector->type->field_count; i++) {
            weir_assert(!null || data_vector_is_null(&vector->children[i], index));
            verify_row(&vector->children[i], index);
        }
        break;
    default: break;
    }
}

static void verify_column(const data_batch *batch, const data_vector *vector, const data_type *type) {
    if (!vector) return;
    verify_types(vector, type);
    for (uint32_t i = 0; i < batch->selection.count; i++) verify_row(vector, data_selected(&batch->selection, i));
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
        verify_column(batch, batch->columns[i], schema->columns[i].type);
        if (!batch->old_columns) continue;
        weir_assert(i >= schema->key_count || batch->old_columns[i] == NULL);
        verify_column(batch, batch->old_columns[i], schema->columns[i].type);
    }
}
