/* data/type - the types of columns and the shape of a stream's or table's rows.
 *
 * The types are ksqlDB's. A data_type is immutable and lives in the arena or static storage it was made in; scalar
 * types are singletons (data_type_of). Equality is structural. */
#ifndef WEIR_DATA_TYPE_H
#define WEIR_DATA_TYPE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/text.h"

typedef enum data_kind {
    DATA_BOOLEAN,   /* uint8_t 0 or 1 */
    DATA_INT,       /* int32_t */
    DATA_BIGINT,    /* int64_t */
    DATA_DOUBLE,    /* double */
    DATA_DECIMAL,   /* data_decimal, unscaled; precision <= 38 */
    DATA_STRING,    /* data_text, valid UTF-8 */
    DATA_BYTES,     /* data_text, any bytes */
    DATA_DATE,      /* int32_t days since 1970-01-01 */
    DATA_TIME,      /* int32_t milliseconds of the day */
    DATA_TIMESTAMP, /* int64_t milliseconds since 1970-01-01T00:00Z */
    DATA_ARRAY,
    DATA_MAP,
    DATA_STRUCT, /* Arrow list, map and struct children */
    DATA_KIND_COUNT
} data_kind;

enum { DATA_DECIMAL_PRECISION_MAX = 38, DATA_STRUCT_FIELDS_MAX = 256 };
__extension__ typedef __int128 data_decimal; /* unscaled value of a DECIMAL */

typedef struct data_type data_type;
typedef struct data_field {
    const char *name;
    const data_type *type;
} data_field;

struct data_type {
    data_kind kind;
    uint8_t precision, scale; /* DECIMAL */
    const data_type *key;     /* MAP */
    const data_type *element; /* ARRAY, MAP value */
    const data_field *fields; /* STRUCT */
    uint32_t field_count;
};

const data_type *data_type_of(data_kind scalar); /* not DECIMAL, ARRAY, MAP, STRUCT */
const data_type *data_type_decimal(weir_arena *arena, unsigned precision, unsigned scale);
const data_type *data_type_array(weir_arena *arena, const data_type *element);
const data_type *data_type_map(weir_arena *arena, const data_type *key, const data_type *value);
const data_type *data_type_struct(weir_arena *arena, const data_field *fields, uint32_t count);
const data_type *data_type_copy(weir_arena *arena, const data_type *type); /* deep, with names */
bool data_type_equal(const data_type *a, const data_type *b);
bool data_type_is_number(const data_type *type);
/* "BIGINT", "DECIMAL(10, 2)", "ARRAY<STRUCT<A INTEGER>>": ksqlDB's spelling. INT prints as INTEGER, STRING as STRING.
 */
void data_type_print(const data_type *type, weir_buffer *target);
/* The reverse (also INTEGER/INT, VARCHAR/STRING); used by plans and the registry, not by the SQL grammar. */
weir_status data_type_parse(weir_arena *arena, weir_bytes text, const data_type **type) WEIR_MUST_USE;
unsigned data_kind_width(data_kind kind); /* bytes of one flat value; 0 for STRUCT, which holds children only */
/* A column's or field's name as SQL spells it: bare when upper case, else in backquotes. */
void data_name_print(const char *name, weir_buffer *target);

/* ---- schemas --------------------------------------------------------------------------------------------------- */

typedef enum data_role { DATA_ROLE_KEY, DATA_ROLE_VALUE, DATA_ROLE_HEADERS, DATA_ROLE_HEADER } data_role;

typedef struct data_column {
    const char *name;
    const data_type *type;
    data_role role;
    const char *header_key; /* DATA_ROLE_HEADER */
} data_column;

/* Key columns first, in order, then the others in order. Immutable once made. */
typedef struct data_schema {
    const data_column *columns;
    uint32_t count;
    uint32_t key_count;
} data_schema;

int32_t data_schema_find(const data_schema *schema, const char *name); /* exact; -1 */
const data_schema *data_schema_copy(weir_arena *arena, const data_schema *schema);

#endif
