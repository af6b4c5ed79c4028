/* data/format internals: what JSON's reader (json_read.c) and writer (json_write.c) share. */
#ifndef WEIR_DATA_FORMAT_JSON_H
#define WEIR_DATA_FORMAT_JSON_H

#include "data/format/format_int.h"

enum { JSON_DEPTH_MAX = 64 /* nested objects and arrays of a record */ };

/* One column of a value, or a key of one column, without an object around it? */
bool json_is_bare(const format_spec *spec);
weir_status json_supports(const format_spec *spec);
weir_status json_decoder_create(weir_account *account, const format_spec *spec, const uint64_t *wanted,
                                format_decoder **decoder);
weir_status json_encoder_create(weir_account *account, const format_spec *spec, format_encoder **encoder);

#endif
