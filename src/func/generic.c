/* Parameter types with letters: "ARRAY<T>, T" is read against the arguments' types, letter by letter. */
#include "func/func_int.h"

#include <ctype.h>

enum { LETTERS = 26, DEPTH_MAX = 64 };

typedef struct fitting {
    weir_arena *arena;
    const data_type *bound[LETTERS];
} fitting;

static bool is_letter(const char *at) {
    return isupper((unsigned char)at[0]) && !isalpha((unsigned char)at[1]);
}

bool func_is_generic(const func_overload *overload) {
    if (strchr(overload->arguments, '<') || strchr(overload->result, '<')) return true;
    for (const char *at = overload->arguments; *at; at++) {
        if ((at == overload->arguments || at[-1] == ' ') && is_letter(at)) return true;
    }
    return false;
}

static unsigned rank_of(data_kind kind) {
    static const unsigned char ranks[DATA_KIND_COUNT] = {
        [DATA_INT] = 1, [DATA_BIGINT] = 2, [DATA_DECIMAL] = 3, [DATA_DOUBLE] = 4};
    return ranks[kind];
}

/* The digits that a whole number or a DECIMAL needs. */
static void digits_of(const data_type *type, unsigned *whole, unsigned *scale) {
    const unsigned precision = type->kind == DATA_INT ? 10 : type->kind == DATA_BIGINT ? 19 : type->precision;
    *scale = type->kind == DATA_DECIMAL ? type->scale : 0;
    *whole = precision - *scale;
}

static const data_type *common_number(weir_arena *arena, const data_type *a, const data_type *b) {
    unsigned whole, scale, other_whole, other_scale;
    const data_kind kind = rank_of(a->kind) > rank_of(b->kind) ? a->kind : b->kind;
    if (kind != DATA_DECIMAL) return data_type_of(kind);
    digits_of(a, &whole, &scale);
    digits_of(b, &other_whole, &other_scale);
    if (other_whole > whole) whole = other_whole;
    if (other_scale > scale) scale = other_scale;
    return whole + scale > DATA_DECIMAL_PRECISION_MAX ? NULL : data_type_decimal(arena, whole + scale, scale);
}

const data_type *func_common_type(weir_arena *arena, const data_type *a, const data_type *b) {
    if (!a || !b) return a ? a : b;
    if (data_type_equal(a, b)) return a;
    if (rank_of(a->kind) && rank_of(b->kind)) return common_number(arena, a, b);
    if (a->kind != b->kind) return NULL;
    if (a->kind == DATA_ARRAY || a->kind == DATA_MAP) {
        const data_type *element = func_common_type(arena, a->element, b->element);
        const data_type *key = a->kind == DATA_MAP ? func_common_type(arena, a->key, b->key) : NULL;
        if (!element || (a->kind == DATA_MAP && !key)) return NULL;
        return key ? data_type_map(arena, key, element) : data_type_array(arena, element);
    }
    if (a->kind != DATA_STRUCT || a->field_count != b->field_count) return NULL;
    data_field *fields = weir_arena_array(arena, data_field, a->field_count + 1);
    for (uint32_t i = 0; i < a->field_count; i++) {
        fields[i] = (data_field){a->fields[i].name, func_common_type(arena, a->fields[i].type, b->fields[i].type)};
        if (strcmp(a->fields[i].name, b->fields[i].name) != 0 || !fields[i].type) return NULL;
    }
    return data_type_struct(arena, fields, a->field_count);
}

static void skip_type(const char **at) {
    for (int depth = 0; **at && (depth || (**at != ',' && **at != '>')); (*at)++)
        depth += (**at == '<') - (**at == '>');
}

static bool skip_word(const char **at, const char *word) {
    const size_t size = strlen(word);
    if (strncmp(*at, word, size) != 0) return false;
    *at += size;
    return true;
}

/* Reads one parameter type against an argument's (NULL = an untyped NULL, which fits everywhere). */
static bool match(fitting *f, const char **at, const data_type *type) {
    if (!type) return skip_type(at), true;
    if (is_letter(*at)) {
        const data_type **bound = &f->bound[*(*at)++ - 'A'];
        const data_type *common = func_common_type(f->arena, *bound, type);
        if (common) *bound = common;
        return common != NULL;
    }
    if (skip_word(at, "ARRAY<"))
        return type->kind == DATA_ARRAY && match(f, at, type->element) && skip_word(at, ">");
    if (skip_word(at, "MAP<")) {
        return type->kind == DATA_MAP && match(f, at, type->key) && skip_word(at, ", ") &&
               match(f, at, type->element) && skip_word(at, ">");
    }
    skip_type(at);
    return true; /* its kind was compared when the overload was chosen */
}

/* The type that a parameter has with the letters' types; NULL where a letter has none or any type will do. */
static const data_type *instantiate(const fitting *f, const char **at) {
    if (is_letter(*at)) return f->bound[*(*at)++ - 'A'];
    if (skip_word(at, "ARRAY<")) {
        const data_type *element = instantiate(f, at);
        skip_word(at, ">");
        return element ? data_type_array(f->arena, element) : NULL;
    }
    if (skip_word(at, "MAP<")) {
        const data_type *key = instantiate(f, at);
        skip_word(at, ", ");
        const data_type *element = instantiate(f, at);
        skip_word(at, ">");
        return key && element ? data_type_map(f->arena, key, element) : NULL;
    }
    const char *begin = *at;
    skip_type(at);
    const data_type *type;
    const weir_bytes name = {(const uint8_t *)begin, (size_t)(*at - begin)};
    if (weir_bytes_equal_text(name, "INTERVALUNIT")) return data_type_of(DATA_STRING);
    if (weir_bytes_equal_text(name, "DECIMAL") || weir_bytes_equal_text(name, "ANY")) return NULL;
    return weir_failed(data_type_parse(f->arena, name, &type)) ? NULL : type;
}

static const char *next_parameter(const func_overload *overload, const char *at) {
    while (*at == ',' || *at == ' ') at++;
    if (*at) return at;
    at = overload->arguments + strlen(overload->arguments); /* the last one repeats */
    for (int depth = 0; at > overload->arguments && (depth || at[-1] != ' '); at--)
        depth += (at[-1] == '>') - (at[-1] == '<');
    return at;
}

weir_status func_generic_fit(weir_arena *arena, const func_overload *overload, const func_expr **arguments,
                             uint32_t count, const data_type **result) {
    fitting f = {.arena = arena};
    const char *at = overload->arguments;
    for (uint32_t i = 0; i < count; i++) {
        at = next_parameter(overload, at);
        if (!match(&f, &at, arguments[i]->type))
            return weir_fail(WEIR_INVALID, "%s takes (%s%s), and its arguments do not fit together", overload->name,
                             overload->arguments, overload->flags & FUNC_VARIADIC ? "..." : "");
    }
    at = overload->arguments;
    for (uint32_t i = 0; i < count; i++) {
        at = next_parameter(overload, at);
        const data_type *type = instantiate(&f, &at);
        if (!type && !arguments[i]->type) type = data_type_of(DATA_STRING);
        if (type) WEIR_TRY(func_widen(arena, arguments[i], type, &arguments[i]));
    }
    at = overload->result;
    *result = instantiate(&f, &at);
    return weir_ok();
}
