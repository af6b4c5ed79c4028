#include "data/batch.h"

/* ---- text views ------------------------------------------------------------------------------------------------ */

bool data_text_equal(const data_text *a, const data_text *b) {
    uint64_t left[2], right[2];
    memcpy(left, a, sizeof left);
    memcpy(right, b, sizeof right);
    if (left[0] != right[0]) return false; /* size and prefix */
    if (a->size <= DATA_TEXT_INLINE_MAX) return left[1] == right[1];
    return left[1] == right[1] || memcmp(data_text_data(a), data_text_data(b), a->size) == 0;
}

int data_text_compare(const data_text *a, const data_text *b) {
    uint32_t left, right;
    memcpy(&left, a->inlined, sizeof left);
    memcpy(&right, b->inlined, sizeof right);
    left = __builtin_bswap32(left);
    right = __builtin_bswap32(right);
    /* A shorter text's prefix is filled with zero bytes, which sort first; equal prefixes need the whole comparison. */
    if (left != right) return left < right ? -1 : 1;
    return weir_bytes_compare(data_text_bytes(a), data_text_bytes(b));
}

data_text data_text_copy(weir_arena *arena, data_text text) {
    if (text.size <= DATA_TEXT_INLINE_MAX) return text;
    return data_text_of(weir_arena_bytes_copy(arena, data_text_bytes(&text)).data, text.size);
}

/* ---- vectors --------------------------------------------------------------------------------------------------- */

static size_t bitmap_bytes(uint32_t rows) {
    return ((size_t)rows + 63) / 64 * sizeof(uint64_t);
}

static uint32_t child_count(const data_type *type) {
    switch (type->kind) {
    case DATA_ARRAY: return 1;
    case DATA_MAP: return 2;
    case DATA_STRUCT: return type->field_count;
    default: return 0;
    }
}

static const data_type *child_type(const data_type *type, uint32_t child) {
    if (type->kind == DATA_STRUCT) return type->fields[child].type;
    return type->kind == DATA_MAP && child == 0 ? type->key : type->element;
}

static bool vector_init(data_vector *vector, weir_arena *arena, const data_type *type, uint32_t rows) {
    const size_t value_bytes = (size_t)rows * data_kind_width(type->kind);
    const uint32_t children = child_count(type);
    *vector = (data_vector){.type = type, .capacity = rows};
    vector->values = weir_arena_try(arena, value_bytes ? value_bytes : 16);
    vector->valid = weir_arena_try(arena, bitmap_bytes(rows));
    if (!vector->values || !vector->valid) return false;
    memset(vector->valid, 0, bitmap_bytes(rows));
    if (children == 0) return true;
    vector->children = weir_arena_try(arena, sizeof(data_vector) * children);
    if (!vector->children) return false;
    const bool listed = type->kind != DATA_STRUCT;
    if (listed) memset(vector->ends, 0, value_bytes);
    for (uint32_t i = 0; i < children; i++) {
        if (!vector_init(&vector->children[i], arena, child_type(type, i), listed ? 64 : rows)) return false;
    }
    return true;
}

data_vector *data_vector_create(weir_arena *arena, const data_type *type, uint32_t rows) {
    data_vector *vector = weir_arena_try(arena, sizeof *vector);
    if (!vector || !vector_init(vector, arena, type, rows ? rows : 1)) return NULL;
    return vector;
}

bool data_vector_own_valid(data_vector *vector, weir_arena *arena, uint32_t rows) {
    const size_t bytes = bitmap_bytes(rows > vector->capacity ? rows : vector->capacity);
    if (!vector->valid) vector->valid = weir_arena_try(arena, bytes ? bytes : sizeof(uint64_t));
    if (!vector->valid) return false;
    memset(vector->valid, 0xff, bytes ? bytes : sizeof(uint64_t));
    return true;
}

/* The old storage stays in the arena until its reset: growth by doubling wastes at most as much as is used. */
static bool grow(data_vector *vector, weir_arena *arena, uint32_t used, uint32_t capacity) {
    const unsigned width = data_kind_width(vector->type->kind);
    const size_t value_bytes = (size_t)capacity * width;
    void *values = weir_arena_try(arena, value_bytes ? value_bytes : 16);
    uint64_t *valid = weir_arena_try(arena, bitmap_bytes(capacity));
    if (!values || !valid) return false;
    if (vector->type->kind == DATA_STRUCT) {
        for (uint32_t i = 0; i < child_count(vector->type); i++) {
            if (!data_vector_reserve(&vector->children[i], arena, used, capacity)) return false;
        }
    }
    if (width) memcpy(values, vector->values, (size_t)used * width);
    memset(valid, 0, bitmap_bytes(capacity));
    memcpy(valid, vector->valid, bitmap_bytes(vector->capacity));
    if (vector->type->kind == DATA_ARRAY || vector->type->kind == DATA_MAP) {
        /* Rows not written yet are empty lists behind the last written one. */
        const int32_t end = used ? vector->ends[used - 1] : 0;
        for (uint32_t i = used; i < capacity; i++) ((int32_t *)values)[i] = end;
    }
    vector->values = values;
    vector->valid = valid;
    vector->capacity = capacity;
    return true;
}

bool data_vector_reserve(data_vector *vector, weir_arena *arena, uint32_t used, uint32_t needed) {
    if (needed <= vector->capacity) return true;
    weir_assert(vector->capacity > 0 && vector->valid && !vector->constant && used <= vector->capacity);
    uint32_t capacity = vector->capacity;
    while (capacity < needed) {
        if (capacity > UINT32_MAX / 2) return false;
        capacity *= 2;
    }
    return grow(vector, arena, used, capacity);
}

void data_vector_set_null(data_vector *vector, uint32_t row) {
    weir_assert(!vector->constant && vector->valid && row < vector->capacity);
    data_bit_set(vector->valid, row, false);
    switch (vector->type->kind) {
    case DATA_ARRAY:
    case DATA_MAP:
        vector->ends[row] = (int32_t)data_vector_child_start(vector, row);
        vector->child_rows = (uint32_t)vector->ends[row];
        break;
    case DATA_STRUCT:
        for (uint32_t i = 0; i < vector->type->field_count; i++) data_vector_set_null(&vector->children[i], row);
        break;
    case DATA_STRING:
    case DATA_BYTES: vector->texts[row] = (data_text){0}; break;
    default:
        memset((uint8_t *)vector->values + (size_t)row * data_kind_width(vector->type->kind), 0,
               data_kind_width(vector->type->kind));
    }
}

static bool copy_list(data_vector *target, uint32_t target_row, const data_vector *source, uint32_t source_row,
                      weir_arena *arena) {
    const uint32_t first = data_vector_child_start(source, source_row);
    const uint32_t count = (uint32_t)source->ends[source_row] - first;
    const uint32_t start = data_vector_child_start(target, target_row);
    for (uint32_t child = 0; child < child_count(target->type); child++) {
        if (!data_vector_reserve(&target->children[child], arena, start, start + count)) return false;
        for (uint32_t i = 0; i < count; i++) {
            if (!data_vector_copy_row(&target->children[child], start + i, &source->children[child], first + i,
                                      arena)) {
                return false;
            }
        }
    }
    target->ends[target_row] = (int32_t)(start + count);
    target->child_rows = start + count;
    return true;
}

bool data_vector_copy_row(data_vector *target, uint32_t target_row, const data_vector *source, uint32_t source_row,
                          weir_arena *arena) {
    weir_assert(target_row < target->capacity && target->type->kind == source->type->kind);
    if (data_vector_is_null(source, source_row)) {
        data_vector_set_null(target, target_row);
        return true;
    }
    const uint32_t from = data_vector_index(source, source_row);
    if (target->valid) data_bit_set(target->valid, target_row, true);
    switch (target->type->kind) {
    case DATA_STRING:
    case DATA_BYTES: {
        const data_text *text = &source->texts[from];
        if (text->size > DATA_TEXT_INLINE_MAX) {
            uint8_t *copy = weir_arena_try(arena, text->size);
            if (!copy) return false;
            memcpy(copy, data_text_data(text), text->size);
            target->texts[target_row] = data_text_of(copy, text->size);
        } else {
            target->texts[target_row] = *text;
        }
        return true;
    }
    case DATA_ARRAY:
    case DATA_MAP: return copy_list(target, target_row, source, from, arena);
    case DATA_STRUCT:
        for (uint32_t i = 0; i < target->type->field_count; i++) {
            if (!data_vector_copy_row(&target->children[i], target_row, &source->children[i], from, arena))
                return false;
        }
        return true;
    default: {
        const unsigned width = data_kind_width(target->type->kind);
        memcpy((uint8_t *)target->values + (size_t)target_row * width,
               (const uint8_t *)source->values + (size_t)from * width, width);
        return true;
    }
    }
}

static bool entries_equal(const data_vector *a, uint32_t a_row, const data_vector *b, uint32_t b_row) {
    const uint32_t a_start = data_vector_child_start(a, a_row), b_start = data_vector_child_start(b, b_row);
    const uint32_t count = (uint32_t)a->ends[a_row] - a_start;
    if (count != (uint32_t)b->ends[b_row] - b_start) return false;
    for (uint32_t i = 0; i < count; i++) {
        if (a->type->kind == DATA_ARRAY) {
            if (!data_vector_rows_equal(a->children, a_start + i, b->children, b_start + i)) return false;
            continue;
        }
        uint32_t j = 0;
        while (j < count && !data_vector_rows_equal(&a->children[0], a_start + i, &b->children[0], b_start + j)) j++;
        if (j == count) return false;
        if (!data_vector_rows_equal(&a->children[1], a_start + i, &b->children[1], b_start + j)) return false;
    }
    return true;
}

bool data_vector_rows_equal(const data_vector *a, uint32_t a_row, const data_vector *b, uint32_t b_row) {
    if (a->type->kind != b->type->kind) return false;
    const bool a_null = data_vector_is_null(a, a_row), b_null = data_vector_is_null(b, b_row);
    if (a_null || b_null) return a_null == b_null;
    a_row = data_vector_index(a, a_row);
    b_row = data_vector_index(b, b_row);
    switch (a->type->kind) {
    case DATA_STRING:
    case DATA_BYTES: return data_text_equal(&a->texts[a_row], &b->texts[b_row]);
    case DATA_DOUBLE: return a->doubles[a_row] == b->doubles[b_row];
    case DATA_ARRAY:
    case DATA_MAP: return entries_equal(a, a_row, b, b_row);
    case DATA_STRUCT:
        if (a->type->field_count != b->type->field_count) return false;
        for (uint32_t i = 0; i < a->type->field_count; i++) {
            if (!data_vector_rows_equal(&a->children[i], a_row, &b->children[i], b_row)) return false;
        }
        return true;
    default: {
        const unsigned width = data_kind_width(a->type->kind);
        return memcmp((const uint8_t *)a->values + (size_t)a_row * width,
                      (const uint8_t *)b->values + (size_t)b_row * width, width) == 0;
    }
    }
}
