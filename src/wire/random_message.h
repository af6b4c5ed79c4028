/* wire, for tests: messages filled with random values by walking the tables, and a comparison that follows them.
 *
 * Values come from a seed; structs and arrays lie in the arena. Only what the version can say is set, so that what was
 * encoded and decoded again must be equal. */
#ifndef WEIR_WIRE_RANDOM_MESSAGE_H
#define WEIR_WIRE_RANDOM_MESSAGE_H

#include "wire/codec.h"

static inline uint64_t random_next(uint64_t *seed) { /* splitmix64 */
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

typedef struct random_source {
    uint64_t seed;
    weir_arena *arena;
    int version;
    int32_t items_max;
} random_source;

static inline void random_struct(random_source *random, const wire_struct *type, void *target);

static inline weir_bytes random_bytes(random_source *random, bool can_be_null) {
    if (can_be_null && random_next(&random->seed) % 4 == 0) return (weir_bytes){NULL, 0};
    const size_t size =
        random_next(&random->seed) % 8 == 0 ? random_next(&random->seed) % 300 : random_next(&random->seed) % 6;
    uint8_t *data = weir_arena_alloc(random->arena, size + 1);
    for (size_t i = 0; i < size; i++) data[i] = (uint8_t)('a' + random_next(&random->seed) % 26);
    return (weir_bytes){data, size};
}

static inline void random_value(random_source *random, const wire_field *field, void *target, bool can_be_null) {
    switch ((wire_kind)field->kind) {
    case WIRE_BOOL: *(bool *)target = random_next(&random->seed) & 1; break;
    case WIRE_INT8: *(uint8_t *)target = (uint8_t)random_next(&random->seed); break;
    case WIRE_INT16:
    case WIRE_UINT16: *(uint16_t *)target = (uint16_t)random_next(&random->seed); break;
    case WIRE_INT32: *(uint32_t *)target = (uint32_t)random_next(&random->seed); break;
    case WIRE_INT64: *(uint64_t *)target = random_next(&random->seed); break;
    case WIRE_FLOAT64: *(double *)target = (double)(int64_t)random_next(&random->seed) / 3.0; break;
    case WIRE_UUID:
        for (int i = 0; i < 16; i++) ((wire_uuid *)target)->bytes[i] = (uint8_t)random_next(&random->seed);
        break;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS: *(weir_bytes *)target = random_bytes(random, can_be_null); break;
    case WIRE_STRUCT:
        if (!field->pointer) {
            random_struct(random, field->type, target);
        } else if (!can_be_null || random_next(&random->seed) % 3) {
            void *inner = weir_arena_alloc(random->arena, field->type->size);
            random_struct(random, field->type, inner);
            *(void **)target = inner;
        }
        break;
    }
}

static inline void random_struct(random_source *random, const wire_struct *type, void *target) {
    wire_struct_init(type, target);
    for (uint16_t i = 0; i < type->field_count; i++) {
        const wire_field *field = &type->fields[i];
        if (!wire_field_in(field, random->version)) continue;
        if (wire_field_tagged_in(field, random->version) && random_next(&random->seed) & 1) continue;
        uint8_t *value = (uint8_t *)target + field->offset;
        const bool can_be_null = wire_field_null_in(field, random->version);
        if (!field->array) {
            random_value(random, field, value, can_be_null);
            continue;
        }
        wire_array *array = (wire_array *)(void *)value;
        array->count = (int32_t)(random_next(&random->seed) % (uint64_t)(random->items_max + 1));
        if (can_be_null && random_next(&random->seed) % 4 == 0) array->count = -1;
        if (array->count <= 0) continue;
        const size_t bytes = wire_field_item_bytes(field);
        array->items = weir_arena_alloc(random->arena, bytes * (size_t)array->count);
        for (int32_t item = 0; item < array->count; item++) {
            random_value(random, field, (uint8_t *)array->items + bytes * (size_t)item, false);
        }
    }
}

static inline bool same_struct(const wire_struct *type, const void *left, const void *right);

static inline bool same_value(const wire_field *field, const void *left, const void *right) {
    if (field->kind == WIRE_STRING || field->kind == WIRE_BYTES || field->kind == WIRE_RECORDS) {
        const weir_bytes *a = left, *b = right;
        return (a->data == NULL) == (b->data == NULL) && weir_bytes_equal(*a, *b);
    }
    if (field->kind != WIRE_STRUCT) return memcmp(left, right, wire_field_item_bytes(field)) == 0;
    if (!field->pointer) return same_struct(field->type, left, right);
    const void *a = *(void *const *)left, *b = *(void *const *)right;
    return a == b || (a && b && same_struct(field->type, a, b));
}

static inline bool same_struct(const wire_struct *type, const void *left, const void *right) {
    for (uint16_t i = 0; i < type->field_count; i++) {
        const wire_field *field = &type->fields[i];
        const uint8_t *a = (const uint8_t *)left + field->offset, *b = (const uint8_t *)right + field->offset;
        if (!field->array) {
            if (!same_value(field, a, b)) return false;
            continue;
        }
        const wire_array *left_array = (const wire_array *)(const void *)a;
        const wire_array *right_array = (const wire_array *)(const void *)b;
        if (left_array->count != right_array->count) return false;
        const size_t bytes = wire_field_item_bytes(field);
        for (int32_t item = 0; item < left_array->count; item++) {
            if (!same_value(field, (const uint8_t *)left_array->items + bytes * (size_t)item,
                            (const uint8_t *)right_array->items + bytes * (size_t)item))
                return false;
        }
    }
    return true;
}

#endif
