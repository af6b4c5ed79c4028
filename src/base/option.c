#include "base/option.h"

#include "base/text.h"

enum { OPTION_COUNT_MAX = 512 };

static const weir_option *find_option(const weir_option *table, const char *name) {
    for (; table->name; table++) {
        if (strcmp(table->name, name) == 0) return table;
    }
    return NULL;
}

static const char *find_value(const weir_setting *settings, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(settings[i].name, name) == 0) return settings[i].value;
    }
    return NULL;
}

/* The words of a choice, "a|b|c" in "a|b|c: ...". */
static weir_bytes choice_words(const weir_option *option) {
    return weir_bytes_of(option->about, strcspn(option->about, ":"));
}

static bool is_choice(const weir_option *option, const char *value) {
    const weir_bytes words = choice_words(option);
    for (size_t at = 0, end; at <= words.size; at = end + 1) {
        for (end = at; end < words.size && words.data[end] != '|';) end++;
        if (weir_bytes_equal_text(weir_bytes_of(words.data + at, end - at), value)) return true;
    }
    return false;
}

static bool parse_size_i64(const char *value, int64_t *bytes) {
    uint64_t parsed;
    if (!weir_parse_size(weir_bytes_text(value), &parsed) || parsed > INT64_MAX) return false;
    *bytes = (int64_t)parsed;
    return true;
}

static weir_status check_range(const weir_option *option, const char *subject, const char *value, double number) {
    if (option->min == 0 && option->max == 0) return weir_ok();
    if (number >= (double)option->min && number <= (double)option->max) return weir_ok();
    return weir_fail(WEIR_INVALID, "%s: option '%s' is '%s', allowed is %lld to %lld", subject, option->name, value,
                     (long long)option->min, (long long)option->max);
}

static weir_status check_value(const weir_option *option, const char *subject, const char *value) {
    const weir_bytes text = weir_bytes_text(value);
    const weir_bytes words = choice_words(option);
    const char *wanted = "";
    int64_t integer = 0;
    double number = 0;
    bool flag, valid = true;
    switch (option->type) {
    case WEIR_OPTION_TEXT: return weir_ok();
    case WEIR_OPTION_I64:
        valid = weir_parse_i64(text, &integer);
        number = (double)integer;
        wanted = "a whole number";
        break;
    case WEIR_OPTION_SIZE:
        valid = parse_size_i64(value, &integer);
        number = (double)integer;
        wanted = "a size in bytes, as 4096, 64KiB or 1g";
        break;
    case WEIR_OPTION_F64:
        valid = weir_parse_f64(text, &number);
        wanted = "a number";
        break;
    case WEIR_OPTION_BOOL:
        if (weir_parse_bool(text, &flag)) return weir_ok();
        return weir_fail(WEIR_INVALID, "%s: option '%s' is '%s', wanted is true or false", subject, option->name,
                         value);
    case WEIR_OPTION_CHOICE:
        if (is_choice(option, value)) return weir_ok();
        return weir_fail(WEIR_INVALID, "%s: option '%s' is '%s', wanted is one of %.*s", subject, option->name, value,
                         (int)words.size, (const char *)words.data);
    }
    if (valid) return check_range(option, subject, value, number);
    return weir_fail(WEIR_INVALID, "%s: option '%s' is '%s', wanted is %s", subject, option->name, value, wanted);
}

static weir_status fail_unknown(const weir_option *table, const char *subject, const char *name) {
    const char *names[OPTION_COUNT_MAX];
    size_t count = 0;
    for (; table->name && count < OPTION_COUNT_MAX; table++) names[count++] = table->name;
    const char *nearest = weir_nearest(name, names, count);
    if (!nearest) return weir_fail(WEIR_INVALID, "%s: there is no option '%s'", subject, name);
    return weir_fail(WEIR_INVALID, "%s: there is no option '%s'; did you mean '%s'?", subject, name, nearest);
}

weir_status weir_options_check(const weir_option *table, const char *subject, const weir_setting *settings,
                               size_t count) {
    for (size_t i = 0; i < count; i++) {
        const weir_option *option = find_option(table, settings[i].name);
        if (!option) return fail_unknown(table, subject, settings[i].name);
        if (find_value(settings, i, settings[i].name)) {
            return weir_fail(WEIR_INVALID, "%s: option '%s' is given twice", subject, settings[i].name);
        }
        WEIR_TRY(check_value(option, subject, settings[i].value));
    }
    for (const weir_option *option = table; option->name; option++) {
        if (option->fallback || find_value(settings, count, option->name)) continue;
        return weir_fail(WEIR_INVALID, "%s: option '%s' is required (%s)", subject, option->name, option->about);
    }
    return weir_ok();
}

static const char *text_of(const weir_option *table, const weir_setting *settings, size_t count, const char *name,
                           weir_option_type *type) {
    const weir_option *option = find_option(table, name);
    weir_assert(option != NULL);
    *type = option->type;
    const char *value = find_value(settings, count, name);
    if (!value) value = option->fallback;
    weir_assert(value != NULL);
    return value;
}

const char *weir_options_text(const weir_option *table, const weir_setting *settings, size_t count, const char *name) {
    weir_option_type type;
    return text_of(table, settings, count, name, &type);
}

int64_t weir_options_i64(const weir_option *table, const weir_setting *settings, size_t count, const char *name) {
    weir_option_type type;
    const char *text = text_of(table, settings, count, name, &type);
    int64_t value = 0;
    if (!*text) return 0;
    weir_assert(type == WEIR_OPTION_I64 || type == WEIR_OPTION_SIZE);
    const bool valid =
        type == WEIR_OPTION_SIZE ? parse_size_i64(text, &value) : weir_parse_i64(weir_bytes_text(text), &value);
    weir_assert(valid);
    return value;
}

double weir_options_f64(const weir_option *table, const weir_setting *settings, size_t count, const char *name) {
    weir_option_type type;
    const char *text = text_of(table, settings, count, name, &type);
    double value = 0;
    if (!*text) return 0;
    weir_assert(type == WEIR_OPTION_F64);
    const bool valid = weir_parse_f64(weir_bytes_text(text), &value);
    weir_assert(valid);
    return value;
}

bool weir_options_bool(const weir_option *table, const weir_setting *settings, size_t count, const char *name) {
    weir_option_type type;
    const char *text = text_of(table, settings, count, name, &type);
    bool value;
    weir_assert(type == WEIR_OPTION_BOOL);
    const bool valid = weir_parse_bool(weir_bytes_text(text), &value);
    weir_assert(valid);
    return value;
}

void weir_options_explain(const weir_option *table, weir_buffer *target) {
    static const char *const types[] = {"text", "int64", "double", "boolean", "size", "choice"};
    int width = 0;
    for (const weir_option *option = table; option->name; option++) {
        const int length = (int)strlen(option->name);
        if (length > width) width = length;
    }
    for (const weir_option *option = table; option->name; option++) {
        const char *type = types[option->type];
        if (!option->fallback) {
            weir_buffer_format(target, "  %-*s  %s, required  %s\n", width, option->name, type, option->about);
        } else if (!*option->fallback) {
            weir_buffer_format(target, "  %-*s  %s, optional  %s\n", width, option->name, type, option->about);
        } else {
            weir_buffer_format(target, "  %-*s  %s, default %s  %s\n", width, option->name, type, option->fallback,
                               option->about);
        }
    }
}
