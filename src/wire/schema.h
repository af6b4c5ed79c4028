/* wire/schema - the shape of the generated tables that decode, encode, initialise and print every message.
 *
 * A message is a struct; a struct is a list of fields in wire order; a field knows its kind, where it lies in the C
 * struct, and in which versions it exists, may be null, and is tagged. The tables are constant and made by
 * tools/wirec.py, which checks what the interpreter relies on: tags grow within a struct, structs do not contain
 * themselves and nest at most WIRE_DEPTH_MAX deep, no array element can be empty on the wire. */
#ifndef WEIR_WIRE_SCHEMA_H
#define WEIR_WIRE_SCHEMA_H

#include "base/arena.h"
#include "base/buffer.h"

enum {
    WIRE_DEPTH_MAX = 8,
    WIRE_STRING_BYTES_MAX = INT16_MAX, /* Kafka's limit, also where the encoding could say more */
    WIRE_VERSION_OPEN = INT16_MAX      /* "and later" */
};

typedef struct wire_uuid {
    uint8_t bytes[16]; /* all zero = none */
} wire_uuid;

static inline bool wire_uuid_equal(wire_uuid a, wire_uuid b) {
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}
static inline bool wire_uuid_is_zero(wire_uuid uuid) {
    return wire_uuid_equal(uuid, (wire_uuid){{0}});
}

typedef enum wire_kind {
    WIRE_BOOL,
    WIRE_INT8,
    WIRE_INT16,
    WIRE_UINT16,
    WIRE_INT32,
    WIRE_INT64,
    WIRE_FLOAT64,
    WIRE_UUID,
    WIRE_STRING,
    WIRE_BYTES,
    WIRE_RECORDS, /* bytes that hold record batches */
    WIRE_STRUCT
} wire_kind;

typedef struct wire_struct wire_struct;

typedef struct wire_field {
    const char *name;
    const wire_struct *type; /* of WIRE_STRUCT, else NULL */
    int64_t fallback;        /* default of a number or bool; text defaults to "", arrays to empty, see null_fallback */
    uint32_t offset;         /* in the C struct */
    int16_t first, last;     /* versions that have the field; a range with first > last is never */
    int16_t null_first, null_last;
    int16_t tag, tag_first, tag_last;
    uint8_t kind;
    bool array;
    bool pointer; /* a struct that may be null: a pointer in the C struct */
    bool null_fallback;
    bool ignorable;  /* may be set in a version that lacks it; it is then not sent */
    bool inflexible; /* keeps the old length encoding in flexible versions */
} wire_field;

struct wire_struct {
    const char *name;
    const wire_field *fields;
    uint32_t size;
    uint16_t field_count;
    uint16_t bytes_min; /* the fewest bytes on the wire in any version */
};

/* How every array field lies in memory; the generated ones differ in the type of `items` alone. */
typedef struct wire_array {
    void *items;
    int32_t count; /* -1 = null */
} wire_array;

#define WIRE_ARRAY(name, type)                                                                                         \
    typedef struct wire_##name##_array {                                                                               \
        type *items;                                                                                                   \
        int32_t count;                                                                                                 \
    } wire_##name##_array
WIRE_ARRAY(bool, bool);
WIRE_ARRAY(int8, int8_t);
WIRE_ARRAY(int16, int16_t);
WIRE_ARRAY(uint16, uint16_t);
WIRE_ARRAY(int32, int32_t);
WIRE_ARRAY(int64, int64_t);
WIRE_ARRAY(float64, double);
WIRE_ARRAY(uuid, wire_uuid);
WIRE_ARRAY(string, weir_bytes);
WIRE_ARRAY(bytes, weir_bytes);
#undef WIRE_ARRAY

typedef enum wire_message_kind {
    WIRE_MESSAGE_REQUEST,
    WIRE_MESSAGE_RESPONSE,
    WIRE_MESSAGE_HEADER,
    WIRE_MESSAGE_DATA,
    WIRE_MESSAGE_METADATA,   /* a record of __cluster_metadata */
    WIRE_MESSAGE_RECORD_KEY, /* of a coordinator's topic */
    WIRE_MESSAGE_RECORD_VALUE
} wire_message_kind;

typedef struct wire_message {
    const char *name; /* "Fetch", "Fetch response", "TopicRecord" */
    const wire_struct *body;
    wire_message_kind kind;
    int16_t key; /* of the API or of the record, -1 where there is none */
    int16_t min, max;
    int16_t flexible; /* first version with compact lengths and tagged fields; WIRE_VERSION_OPEN = none */
} wire_message;

typedef struct wire_api {
    const char *name;
    int16_t key;
    int16_t min, max;                       /* what can be decoded */
    int16_t advertised_min, advertised_max; /* what ApiVersions says */
    int16_t flexible;
    int request, response; /* wire_message_id */
} wire_api;

/* Kafka's defaults for every field. `target` has the type's size. */
void wire_struct_init(const wire_struct *type, void *target);
/* One field's default; `target` is the field's own place. */
void wire_field_init(const wire_field *field, void *target);
/* `count` structs with defaults; NULL at the arena's limit. */
void *wire_struct_new(const wire_struct *type, weir_arena *arena, int32_t count) WEIR_MUST_USE;

/* Bytes of one value of the field in memory, of one item for an array. */
size_t wire_field_item_bytes(const wire_field *field);
static inline bool wire_field_in(const wire_field *field, int version) {
    return version >= field->first && version <= field->last;
}
static inline bool wire_field_null_in(const wire_field *field, int version) {
    return version >= field->null_first && version <= field->null_last;
}
static inline bool wire_field_tagged_in(const wire_field *field, int version) {
    return version >= field->tag_first && version <= field->tag_last;
}
/* Whether the field in `source` (the struct) has its default; empty text and null text count as one. */
bool wire_field_is_default(const wire_field *field, const void *source);

#endif
