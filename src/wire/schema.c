#include "wire/schema.h"

static const size_t kind_bytes[] = {
    [WIRE_BOOL] = sizeof(bool),        [WIRE_INT8] = sizeof(int8_t),       [WIRE_INT16] = sizeof(int16_t),
    [WIRE_UINT16] = sizeof(uint16_t),  [WIRE_INT32] = sizeof(int32_t),     [WIRE_INT64] = sizeof(int64_t),
    [WIRE_FLOAT64] = sizeof(double),   [WIRE_UUID] = sizeof(wire_uuid),    [WIRE_STRING] = sizeof(weir_bytes),
    [WIRE_BYTES] = sizeof(weir_bytes), [WIRE_RECORDS] = sizeof(weir_bytes)};

size_t wire_field_item_bytes(const wire_field *field) {
    if (field->kind == WIRE_STRUCT) return field->pointer ? sizeof(void *) : field->type->size;
    return kind_bytes[field->kind];
}

static void scalar_init(const wire_field *field, void *target) {
    switch ((wire_kind)field->kind) {
    case WIRE_BOOL: *(bool *)target = field->fallback != 0; break;
    case WIRE_INT8: *(int8_t *)target = (int8_t)field->fallback; break;
    case WIRE_INT16: *(int16_t *)target = (int16_t)field->fallback; break;
    case WIRE_UINT16: *(uint16_t *)target = (uint16_t)field->fallback; break;
    case WIRE_INT32: *(int32_t *)target = (int32_t)field->fallback; break;
    case WIRE_INT64: *(int64_t *)target = field->fallback; break;
    case WIRE_FLOAT64: *(double *)target = 0.0; break;
    case WIRE_UUID: *(wire_uuid *)target = (wire_uuid){{0}}; break;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        *(weir_bytes *)target = (weir_bytes){field->null_fallback ? NULL : (const uint8_t *)"", 0};
        break;
    case WIRE_STRUCT:
        if (field->pointer)
            *(void **)target = NULL;
        else
            wire_struct_init(field->type, target);
        break;
    }
}

void wire_field_init(const wire_field *field, void *target) {
    if (field->array)
        *(wire_array *)target = (wire_array){NULL, field->null_fallback ? -1 : 0};
    else
        scalar_init(field, target);
}

void wire_struct_init(const wire_struct *type, void *target) {
    memset(target, 0, type->size); /* padding included, so that equal structs have equal bytes */
    for (uint16_t i = 0; i < type->field_count; i++) {
        wire_field_init(&type->fields[i], (uint8_t *)target + type->fields[i].offset);
    }
}

void *wire_struct_new(const wire_struct *type, weir_arena *arena, int32_t count) {
    weir_assert(count >= 0);
    uint8_t *items = weir_arena_try(arena, type->size * (size_t)count);
    for (int32_t i = 0; items && i < count; i++) wire_struct_init(type, items + type->size * (size_t)i);
    return items;
}

static bool struct_is_default(const wire_struct *type, const void *source) {
    for (uint16_t i = 0; i < type->field_count; i++) {
        if (!wire_field_is_default(&type->fields[i], source)) return false;
    }
    return true;
}

bool wire_field_is_default(const wire_field *field, const void *source) {
    const void *value = (const uint8_t *)source + field->offset;
    if (field->array) {
        const int32_t count = ((const wire_array *)value)->count;
        return field->null_fallback ? count < 0 : count == 0;
    }
    switch ((wire_kind)field->kind) {
    case WIRE_BOOL: return *(const bool *)value == (field->fallback != 0);
    case WIRE_INT8: return *(const int8_t *)value == field->fallback;
    case WIRE_INT16: return *(const int16_t *)value == field->fallback;
    case WIRE_UINT16: return *(const uint16_t *)value == field->fallback;
    case WIRE_INT32: return *(const int32_t *)value == field->fallback;
    case WIRE_INT64: return *(const int64_t *)value == field->fallback;
    case WIRE_FLOAT64: {
        const uint64_t positive_zero = 0; /* by bits: -0.0 must travel */
        return memcmp(value, &positive_zero, sizeof positive_zero) == 0;
    }
    case WIRE_UUID: return wire_uuid_is_zero(*(const wire_uuid *)value);
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS: {
        const weir_bytes *bytes = value;
        return field->null_fallback ? bytes->data == NULL : bytes->size == 0;
    }
    case WIRE_STRUCT:
        if (field->pointer) return *(void *const *)value == NULL;
        return struct_is_default(field->type, value);
    }
    return false;
}
