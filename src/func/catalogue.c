/* The catalogue: every overload that SQL can name, and how a call finds its own. */
#include "func/func_int.h"

#include <stdio.h>
#include <strings.h>

static const func_family *const families[] = {
    &func_family_compare, &func_family_arith, &func_family_cast, &func_family_math,
    &func_family_string,  &func_family_time,  &func_family_null, &func_family_url,
    &func_family_nested,  &func_family_array, &func_family_map,  &func_family_json,
    &func_family_bytes,   &func_family_mask,  &func_family_split, &func_family_other,
};
enum { FAMILY_COUNT = sizeof families / sizeof *families, COST_IMPOSSIBLE = 1000 };

const func_overload *func_overload_at(size_t index) {
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        if (index < families[i]->count) return &families[i]->overloads[index];
        index -= families[i]->count;
    }
    return NULL;
}

static bool is_coalesce(const char *name) {
    return strcasecmp(name, "IFNULL") == 0 || strcasecmp(name, "COALESCE") == 0;
}

bool func_exists(const char *name) {
    const func_overload *overload;
    for (size_t i = 0; (overload = func_overload_at(i)) != NULL; i++) {
        if (!(overload->flags & FUNC_INTERNAL) && strcasecmp(overload->name, name) == 0) return true;
    }
    return is_coalesce(name);
}

bool func_is_widening(const func_overload *overload) {
    return strcmp(overload->name, "WIDEN") == 0;
}

bool func_is_cast(const func_overload *overload) {
    return strcmp(overload->name, "CAST") == 0 || func_is_widening(overload);
}

bool func_is_operator(const func_overload *overload) {
    return (overload->flags & FUNC_INTERNAL) && !func_is_cast(overload);
}

static data_kind kind_named(const char *name, size_t size) {
    static const char *const names[] = {
        [DATA_BOOLEAN] = "BOOLEAN", [DATA_INT] = "INTEGER",         [DATA_BIGINT] = "BIGINT", [DATA_DOUBLE] = "DOUBLE",
        [DATA_DECIMAL] = "DECIMAL", [DATA_STRING] = "STRING",       [DATA_BYTES] = "BYTES",   [DATA_DATE] = "DATE",
        [DATA_TIME] = "TIME",       [DATA_TIMESTAMP] = "TIMESTAMP", [DATA_ARRAY] = "ARRAY",   [DATA_MAP] = "MAP",
        [DATA_STRUCT] = "STRUCT",
    };
    for (unsigned i = 0; i < DATA_KIND_COUNT; i++) {
        if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0) return (data_kind)i;
    }
    if (size == 12 && memcmp(name, "INTERVALUNIT", 12) == 0) return DATA_STRING;
    weir_assert((size == 3 && memcmp(name, "ANY", 3) == 0) || size == 1);
    return DATA_KIND_COUNT;
}

bool func_takes_unit(const char *name) {
    const func_overload *overload;
    for (size_t i = 0; (overload = func_overload_at(i)) != NULL; i++) {
        if (strncmp(overload->arguments, "INTERVALUNIT", 12) == 0 && strcasecmp(overload->name, name) == 0) return true;
    }
    return false;
}

/* The size of the parameter that begins at `at`: up to a comma that is not between < and >. */
static size_t parameter_size(const char *at) {
    size_t size = 0;
    for (int depth = 0; at[size] && (depth || at[size] != ','); size++) depth += (at[size] == '<') - (at[size] == '>');
    return size;
}

uint32_t func_parameters(const func_overload *overload, data_kind kinds[FUNC_ARGUMENTS_MAX]) {
    uint32_t count = 0;
    for (const char *at = overload->arguments; *at;) {
        const size_t size = parameter_size(at), name = strcspn(at, "<,");
        kinds[count++] = kind_named(at, name < size ? name : size);
        at += size;
        at += strspn(at, ", ");
    }
    return count;
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

void func_overload_print(const func_overload *overload, weir_buffer *target) {
    const bool cast = func_is_cast(overload);
    weir_buffer_format(target, "%s(%s%s%s%s)", overload->name, overload->arguments, cast ? " AS " : "",
                       cast ? overload->result : "", overload->flags & FUNC_VARIADIC ? "..." : "");
}

weir_status func_overload_find(weir_bytes text, const func_overload **overload) {
    char printed[256];
    for (size_t i = 0; (*overload = func_overload_at(i)) != NULL; i++) {
        const bool cast = func_is_cast(*overload);
        snprintf(printed, sizeof printed, "%s(%s%s%s%s)", (*overload)->name, (*overload)->arguments, cast ? " AS " : "",
                 cast ? (*overload)->result : "", (*overload)->flags & FUNC_VARIADIC ? "..." : "");
        if (weir_bytes_equal_text(text, printed)) return weir_ok();
    }
    return weir_fail(WEIR_NOT_FOUND, "this version of weir has no function %.*s, which the plan uses", (int)text.size,
                     (const char *)text.data);
}

static weir_status unknown_function(const char *name) {
    const char *names[512];
    size_t count = 0;
    const func_overload *overload;
    for (size_t i = 0; count < 512 && (overload = func_overload_at(i)) != NULL; i++) {
        if (!(overload->flags & FUNC_INTERNAL)) names[count++] = overload->name;
    }
    const char *near = weir_nearest(name, names, count);
    return weir_fail(WEIR_NOT_FOUND, "Can't find any functions with the name '%s'%s%s%s", name,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* "NAME takes (A, B) or (C)": the hint for a call that fits no overload. */
static weir_status no_overload(weir_arena *arena, const char *name, const func_expr **arguments, uint32_t count) {
    weir_buffer text;
    weir_buffer_init(&text, arena->account, WEIR_STATUS_TEXT_MAX);
    weir_buffer_format(&text, "%s does not take (", name);
    for (uint32_t i = 0; i < count; i++) {
        if (i) weir_buffer_append_text(&text, ", ");
        if (arguments[i]->type)
            data_type_print(arguments[i]->type, &text);
        else
            weir_buffer_append_text(&text, "NULL");
    }
    weir_buffer_append_text(&text, "); it takes ");
    const func_overload *overload;
    bool first = true;
    for (size_t i = 0; (overload = func_overload_at(i)) != NULL; i++) {
        if (strcasecmp(overload->name, name) != 0) continue;
        weir_buffer_format(&text, "%s(%s%s)", first ? "" : " or ", overload->arguments,
                           overload->flags & FUNC_VARIADIC ? "..." : "");
        first = false;
    }
    const weir_status status = weir_fail(WEIR_INVALID, "%s", weir_buffer_text(&text));
    weir_buffer_deinit(&text);
    return status;
}

/* ---- resolution ------------------------------------------------------------------------------------------------ */

static unsigned widening(data_kind from, data_kind into) {
    static const int rank[DATA_KIND_COUNT] = {[DATA_INT] = 1, [DATA_BIGINT] = 2, [DATA_DECIMAL] = 3, [DATA_DOUBLE] = 4};
    if (!rank[from] || !rank[into] || rank[into] < rank[from]) return COST_IMPOSSIBLE;
    return (unsigned)(rank[into] - rank[from]);
}

static unsigned cost_of(const func_expr *argument, data_kind parameter) {
    if (!argument->type) return 0; /* an untyped NULL fits everywhere */
    const data_kind kind = argument->type->kind;
    if (kind == parameter) return 0;
    if (parameter == DATA_KIND_COUNT) return 20;
    if (kind == DATA_STRING && argument->kind == FUNC_LITERAL &&
        (parameter == DATA_DATE || parameter == DATA_TIME || parameter == DATA_TIMESTAMP || parameter == DATA_BYTES)) {
        return 10;
    }
    if (kind == DATA_DATE && parameter == DATA_TIMESTAMP) return 4;
    return widening(kind, parameter);
}

static unsigned overload_cost(const func_overload *overload, const func_expr **arguments, uint32_t count) {
    data_kind kinds[FUNC_ARGUMENTS_MAX];
    const uint32_t parameters = func_parameters(overload, kinds);
    const bool variadic = overload->flags & FUNC_VARIADIC;
    if (variadic ? count < parameters : count != parameters) return COST_IMPOSSIBLE;
    unsigned cost = 0;
    for (uint32_t i = 0; i < count; i++) {
        cost += cost_of(arguments[i], kinds[i < parameters ? i : parameters - 1]);
        if (cost >= COST_IMPOSSIBLE) return COST_IMPOSSIBLE;
    }
    return cost;
}

const func_expr *func_literal(weir_arena *arena, func_value value) {
    func_expr *expr = weir_arena_new(arena, func_expr);
    *expr = (func_expr){.kind = FUNC_LITERAL, .type = value.type, .value = value};
    return expr;
}

/* The type an argument is cast to for a parameter of another kind. */
static const data_type *cast_target(weir_arena *arena, const func_expr *argument, data_kind parameter) {
    if (parameter != DATA_DECIMAL) return data_type_of(parameter);
    return data_type_decimal(arena, argument->type && argument->type->kind == DATA_BIGINT ? 19 : 10, 0);
}

static weir_status fit_argument(weir_arena *arena, const func_expr **argument, data_kind parameter) {
    if (!(*argument)->type) {
        const data_kind kind = parameter == DATA_KIND_COUNT ? DATA_STRING : parameter;
        *argument = func_literal(arena, (func_value){.type = cast_target(arena, *argument, kind), .is_null = true});
        return weir_ok();
    }
    if (parameter == DATA_KIND_COUNT || (*argument)->type->kind == parameter) return weir_ok();
    return func_widen(arena, *argument, cast_target(arena, *argument, parameter), argument);
}

static weir_status make_call(weir_arena *arena, const func_overload *overload, const func_expr **arguments,
                             uint32_t count, const data_type *type, const func_expr **call) {
    const func_expr **kept = weir_arena_array(arena, const func_expr *, count ? count : 1);
    const data_type *types[FUNC_ARGUMENTS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        kept[i] = arguments[i];
        types[i] = arguments[i]->type;
    }
    if (!type && overload->derive) {
        WEIR_TRY(overload->derive(overload, types, count, arena, &type));
    } else if (!type) {
        type = data_type_of(kind_named(overload->result, strlen(overload->result)));
    }
    func_expr *made = weir_arena_new(arena, func_expr);
    *made =
        (func_expr){.kind = FUNC_CALL, .type = type, .overload = overload, .arguments = kept, .argument_count = count};
    *call = made;
    return weir_ok();
}

weir_status func_struct(weir_arena *arena, const char *const *names, const func_expr **arguments, uint32_t count,
                        const func_expr **call) {
    data_field *fields = weir_arena_array(arena, data_field, count + 1);
    for (uint32_t i = 0; i < count; i++) fields[i] = (data_field){names[i], arguments[i]->type};
    if (count > FUNC_ARGUMENTS_MAX)
        return weir_fail(WEIR_INVALID, "STRUCT(...) takes at most %d fields", FUNC_ARGUMENTS_MAX);
    return make_call(arena, &func_family_nested.overloads[0], arguments, count, data_type_struct(arena, fields, count),
                     call);
}

static weir_status call_coalesce(weir_arena *arena, const char *name, const func_expr **arguments, uint32_t count,
                                 const func_expr **call) {
    const data_type *type = NULL;
    if (count == 0 || (strcasecmp(name, "IFNULL") == 0 && count != 2)) {
        return weir_fail(WEIR_INVALID, "%s takes %s of one type", name,
                         strcasecmp(name, "IFNULL") == 0 ? "two values" : "one value or more");
    }
    for (uint32_t i = 0; i < count; i++) {
        const data_type *next = arguments[i]->type;
        const data_type *common = func_common_type(arena, type, next);
        if (common) type = common;
    }
    if (!type) return weir_fail(WEIR_INVALID, "%s: all values are NULL, so that it has no type", name);
    const func_expr **kept = weir_arena_array(arena, const func_expr *, count);
    for (uint32_t i = 0; i < count; i++) {
        kept[i] = arguments[i];
        if (!kept[i]->type)
            kept[i] = func_literal(arena, (func_value){.type = type, .is_null = true});
        else if (!data_type_equal(kept[i]->type, type))
            WEIR_TRY(func_widen(arena, kept[i], type, &kept[i]));
    }
    func_expr *made = weir_arena_new(arena, func_expr);
    *made = (func_expr){.kind = FUNC_COALESCE, .type = type, .arguments = kept, .argument_count = count};
    *call = made;
    return weir_ok();
}

weir_status func_call(weir_arena *arena, const char *name, const func_expr **arguments, uint32_t count,
                      const func_expr **call) {
    const func_overload *best = NULL, *overload;
    unsigned best_cost = COST_IMPOSSIBLE;
    bool known = false;
    if (is_coalesce(name)) return call_coalesce(arena, name, arguments, count, call);
    for (size_t i = 0; (overload = func_overload_at(i)) != NULL; i++) {
        if (strcasecmp(overload->name, name) != 0 || func_is_cast(overload)) continue;
        known = true;
        const unsigned cost = count > FUNC_ARGUMENTS_MAX ? COST_IMPOSSIBLE : overload_cost(overload, arguments, count);
        if (cost >= best_cost) continue; /* the first of equals wins */
        best = overload;
        best_cost = cost;
    }
    if (!known) return unknown_function(name);
    if (!best) return no_overload(arena, name, arguments, count);
    data_kind kinds[FUNC_ARGUMENTS_MAX];
    const uint32_t parameters = func_parameters(best, kinds);
    const data_type *type = NULL;
    if (func_is_generic(best)) {
        WEIR_TRY(func_generic_fit(arena, best, arguments, count, &type));
        if (best->derive) type = NULL;
        else if (!type) return no_overload(arena, name, arguments, count);
        return make_call(arena, best, arguments, count, type, call);
    }
    for (uint32_t i = 0; i < count; i++) {
        WEIR_TRY(fit_argument(arena, &arguments[i], kinds[i < parameters ? i : parameters - 1]));
    }
    return make_call(arena, best, arguments, count, NULL, call);
}

/* Whether all that lies inside can be cast: entries by entries, fields by name. */
static bool nested_fits(weir_arena *arena, const char *name, const data_type *from, const data_type *into) {
    const func_expr probe = {.kind = FUNC_COLUMN, .type = from};
    const func_expr *call;
    if (data_type_equal(from, into)) return true;
    if (from->kind != into->kind || from->kind < DATA_ARRAY) {
        return !weir_failed(strcmp(name, "CAST") == 0 ? func_cast(arena, &probe, into, &call)
                                                      : func_widen(arena, &probe, into, &call));
    }
    if (from->kind != DATA_STRUCT) {
        return (from->kind == DATA_ARRAY || nested_fits(arena, name, from->key, into->key)) &&
               nested_fits(arena, name, from->element, into->element);
    }
    for (uint32_t i = 0; i < into->field_count; i++) {
        for (uint32_t j = 0; j < from->field_count; j++) {
            if (strcmp(into->fields[i].name, from->fields[j].name) == 0 &&
                !nested_fits(arena, name, from->fields[j].type, into->fields[i].type))
                return false;
        }
    }
    return true;
}

static weir_status convert(weir_arena *arena, const char *name, const func_expr *argument, const data_type *target,
                           const func_expr **call) {
    if (!argument->type) {
        *call = func_literal(arena, (func_value){.type = target, .is_null = true});
        return weir_ok();
    }
    if (data_type_equal(argument->type, target)) {
        *call = argument;
        return weir_ok();
    }
    const func_overload *overload;
    data_kind kinds[FUNC_ARGUMENTS_MAX];
    for (size_t i = 0; (overload = func_overload_at(i)) != NULL; i++) {
        if (strcmp(overload->name, name) != 0) continue;
        func_parameters(overload, kinds);
        if (kinds[0] != argument->type->kind) continue;
        if (kind_named(overload->result, strcspn(overload->result, "<")) != target->kind) continue;
        if (target->kind >= DATA_ARRAY && !nested_fits(arena, name, argument->type, target)) break;
        return make_call(arena, overload, &argument, 1, target, call);
    }
    weir_buffer text;
    weir_buffer_init(&text, arena->account, WEIR_STATUS_TEXT_MAX);
    weir_buffer_append_text(&text, "Cast of ");
    data_type_print(argument->type, &text);
    weir_buffer_append_text(&text, " to ");
    data_type_print(target, &text);
    const weir_status status = weir_fail(WEIR_INVALID, "%s is not supported", weir_buffer_text(&text));
    weir_buffer_deinit(&text);
    return status;
}

weir_status func_cast(weir_arena *arena, const func_expr *argument, const data_type *target, const func_expr **call) {
    return convert(arena, "CAST", argument, target, call);
}

weir_status func_widen(weir_arena *arena, const func_expr *argument, const data_type *target, const func_expr **call) {
    return convert(arena, "WIDEN", argument, target, call);
}
