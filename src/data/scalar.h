/* data/scalar - text and byte forms of single values: exact decimals, base64, dates and times.
 *
 * Formats and casts share these, so that a value reads the same from a topic and from a CAST. Parsers take the whole
 * text or fail, and return an answer rather than a status because only the caller knows the column. Threads: pure
 * functions. */
#ifndef WEIR_DATA_SCALAR_H
#define WEIR_DATA_SCALAR_H

#include "base/time.h"
#include "data/type.h"

/* ---- DECIMAL: an unscaled 128-bit integer; |value| < 10^38
 * ----------------------------------------------------------- */

typedef enum data_fit {
    DATA_FIT_OK,
    DATA_FIT_NOT_A_NUMBER,
    DATA_FIT_ROUNDS,   /* digits behind the scale are not zero */
    DATA_FIT_OVERFLOWS /* more digits than the precision allows */
} data_fit;
typedef enum data_rounding {
    DATA_ROUND_EXACT,
    DATA_ROUND_HALF_UP,
    DATA_ROUND_DOWN,
    DATA_ROUND_FLOOR,
    DATA_ROUND_CEILING
} data_rounding;

data_decimal data_decimal_power10(unsigned exponent);                    /* exponent <= 38 */
bool data_decimal_has_precision(data_decimal value, unsigned precision); /* |value| < 10^precision */
/* "12", "-1.50", "+.5", "1e3" to an unscaled value of `scale`. EXACT refuses to round, HALF_UP rounds away from zero at
 * .5. */
data_fit data_decimal_parse(weir_bytes text, unsigned precision, unsigned scale, data_rounding rounding,
                            data_decimal *value) WEIR_MUST_USE;
/* From one scale to another and into a precision. */
data_fit data_decimal_rescale(data_decimal value, unsigned scale_from, unsigned precision, unsigned scale,
                              data_rounding rounding, data_decimal *result) WEIR_MUST_USE;
data_fit data_decimal_from_f64(double value, unsigned precision, unsigned scale, data_decimal *result) WEIR_MUST_USE;
double data_decimal_to_f64(data_decimal value, unsigned scale);
int data_decimal_compare(data_decimal a, unsigned a_scale, data_decimal b, unsigned b_scale);
enum { DATA_DECIMAL_TEXT_MAX = 48 };
size_t data_decimal_format(char *at, data_decimal value,
                           unsigned scale); /* plain, all digits of the scale; the length */

/* ---- base64 (RFC 4648 section 4, padded)
 * ------------------------------------------------------------------------------ */

static inline size_t data_base64_encoded_bytes(size_t bytes) {
    return (bytes + 2) / 3 * 4;
}
void data_base64_encode(weir_bytes source, char *target); /* writes exactly data_base64_encoded_bytes() */
/* `target` has room for text.size / 4 * 3 + 3 bytes. Padding may be missing, as Java's decoder allows. */
bool data_base64_decode(weir_bytes text, uint8_t *target, size_t *bytes) WEIR_MUST_USE;

/* ---- dates and times
 * --------------------------------------------------------------------------------------------------- */

enum { DATA_TIME_TEXT_MAX = 40, DATA_MS_PER_DAY = 86400000 };
size_t data_date_format(char *at, int32_t days);    /* 2026-11-24 */
size_t data_time_format(char *at, int32_t ms);      /* 10:00, 10:00:01, 10:00:01.250 as Java's LocalTime */
size_t data_timestamp_format(char *at, int64_t ms); /* 2026-11-24T10:00:00.000 */
bool data_date_parse(weir_bytes text, int32_t *days) WEIR_MUST_USE;    /* also prefixes 2026, 2026-11, and date-times */
bool data_time_parse(weir_bytes text, int32_t *ms) WEIR_MUST_USE;      /* HH:mm[:ss[.SSS]] */
bool data_timestamp_parse(weir_bytes text, int64_t *ms) WEIR_MUST_USE; /* ISO, or a prefix of it from the year on */

#endif
