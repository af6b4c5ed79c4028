/* base/option - one table describes an option: its type, default, help. The table parses, validates, explains.
 *
 * Used for connectors' WITH (...) properties, topic configs, server properties. Names are compared exactly;
 * a name given twice is an error. WEIR_OPTION_I64 and WEIR_OPTION_SIZE are read by weir_options_i64(). */
#ifndef WEIR_BASE_OPTION_H
#define WEIR_BASE_OPTION_H

#include "base/buffer.h"

typedef enum weir_option_type { WEIR_OPTION_TEXT, WEIR_OPTION_I64, WEIR_OPTION_F64, WEIR_OPTION_BOOL, WEIR_OPTION_SIZE,
                                WEIR_OPTION_CHOICE } weir_option_type;

typedef struct weir_option {
    const char *name;          /* NULL ends a table */
    weir_option_type type;
    const char *fallback;      /* default as text; NULL = required, "" = optional (a number reads as 0) */
    const char *about;         /* one line; for a choice it begins with the words, "a|b|c: ..." */
    int64_t min, max;          /* for numbers; both 0 = any */
} weir_option;

typedef struct weir_setting { /* one name='value' given by a user; both borrowed */
    const char *name;
    const char *value;
} weir_setting;

/* Every setting must be in the table and valid, every required option given; the error names the option, what is wrong,
 * and for an unknown name the nearest known one. `subject` is what is configured ("connector file"). */
weir_status weir_options_check(const weir_option *table, const char *subject, const weir_setting *settings,
                               size_t count) WEIR_MUST_USE;
/* The setting's value or the default; asserts that the name is in the table. Valid after weir_options_check(). */
const char *weir_options_text(const weir_option *table, const weir_setting *settings, size_t count, const char *name);
int64_t weir_options_i64(const weir_option *table, const weir_setting *settings, size_t count, const char *name);
double weir_options_f64(const weir_option *table, const weir_setting *settings, size_t count, const char *name);
bool weir_options_bool(const weir_option *table, const weir_setting *settings, size_t count, const char *name);
/* "  name   type, default X   about" a line. */
void weir_options_explain(const weir_option *table, weir_buffer *target);

#endif
