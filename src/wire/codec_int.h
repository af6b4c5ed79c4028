/* wire/codec, inside: what decode.c, encode.c and print.c share. */
#ifndef WEIR_WIRE_CODEC_INT_H
#define WEIR_WIRE_CODEC_INT_H

#include "wire/codec.h"

/* Where in a message the interpreter is, for its errors: topics[3].partitions[0].fetch_offset. */
typedef struct wire_place {
    const wire_field *field; /* NULL = the tagged fields at the end of a struct */
    int32_t index;           /* of the item, -1 = not an array */
} wire_place;

typedef struct wire_path {
    unsigned depth;
    wire_place places[WIRE_DEPTH_MAX + 1];
} wire_path;

static inline void wire_path_push(wire_path *path, const wire_field *field) {
    weir_assert(path->depth <= WIRE_DEPTH_MAX);
    path->places[path->depth++] = (wire_place){field, -1};
}
static inline wire_place *wire_path_top(wire_path *path) {
    return &path->places[path->depth - 1];
}
/* Writes the path, cut at `size`. */
void wire_path_text(const wire_path *path, char *target, size_t size);

/* UNSUPPORTED when the schema lacks the version. */
weir_status wire_check_version(const wire_message *message, int version) WEIR_MUST_USE;

#endif
