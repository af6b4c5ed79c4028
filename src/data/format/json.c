/* JSON: what schema and options it takes. Reading is in json_read.c, writing in json_write.c. */
#include "data/format/json.h"

static weir_status check_type(const data_type *type, const data_column *column) {
    switch (type->kind) {
    case DATA_ARRAY: return check_type(type->element, column);
    case DATA_MAP:
        if (type->key->kind != DATA_STRING) {
            return weir_fail(WEIR_INVALID, "JSON only supports MAP types with STRING keys, and column %s has others",
                             column->name);
        }
        return check_type(type->element, column);
    case DATA_STRUCT:
        for (uint32_t i = 0; i < type->field_count; i++) WEIR_TRY(check_type(type->fields[i].type, column));
        return weir_ok();
    default: return weir_ok();
    }
}

static weir_status read_wrap(const format_spec *spec, bool *wrap) {
    *wrap = true;
    const char *text = spec->role == DATA_ROLE_VALUE ? format_option(spec, "WRAP_SINGLE_VALUE") : NULL;
    if (!text) return weir_ok();
    if (!weir_parse_bool(weir_bytes_text(text), wrap)) {
        return weir_fail(WEIR_INVALID, "WRAP_SINGLE_VALUE='%s': expected true or false", text);
    }
    if (format_column_count(spec) != 1) {
        return weir_fail(WEIR_INVALID, "WRAP_SINGLE_VALUE is only for a value of one column, this one has %u",
                         format_column_count(spec));
    }
    return weir_ok();
}

bool json_is_bare(const format_spec *spec) {
    bool wrap;
    if (format_column_count(spec) != 1) return false;
    return spec->role == DATA_ROLE_KEY || (!weir_failed(read_wrap(spec, &wrap)) && !wrap);
}

weir_status json_supports(const format_spec *spec) {
    bool wrap;
    WEIR_TRY(read_wrap(spec, &wrap));
    for (uint32_t i = 0; i < spec->schema->count; i++) {
        const data_column *column = &spec->schema->columns[i];
        if (column->role == spec->role) WEIR_TRY(check_type(column->type, column));
    }
    return weir_ok();
}

const format_vtable format_json = {
    .name = "JSON",
    .about = "one JSON object; a key of one column and, with WRAP_SINGLE_VALUE=false, a value of one column is bare",
    .supports = json_supports,
    .decoder_create = json_decoder_create,
    .encoder_create = json_encoder_create,
};
