/* Typing of expressions: columns to indexes, operators and functions to overloads of the catalogue, implicit casts,
 * and, in a query with GROUP BY, aggregates to columns of the aggregate's result. */
#include "sql/analyse/analyse_int.h"

#include <stdio.h>

static sql_analyser *of(sql_scope *scope) {
    return scope->analyser;
}

/* Mistakes about types are introduced by their clause where ksqlDB does so. */
static const func_expr *fail_type(sql_scope *scope, uint32_t offset, const char *format, ...) WEIR_PRINTF(3, 4);
static const func_expr *fail_type(sql_scope *scope, uint32_t offset, const char *format, ...) {
    char message[sizeof of(scope)->error->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    const bool named = strcmp(scope->clause, "WHERE") == 0 || strcmp(scope->clause, "HAVING") == 0;
    sql_fail_at(of(scope), offset, "%s%s%s%s", named ? "Error in " : "", named ? scope->clause : "",
                named ? " expression: " : "", message);
    return NULL;
}

static func_expr *new_expr(sql_scope *scope, func_expr_kind kind, const data_type *type) {
    func_expr *expr = weir_arena_new(of(scope)->arena, func_expr);
    expr->kind = kind;
    expr->type = type;
    return expr;
}

const func_expr *sql_column_expr(weir_arena *arena, const data_schema *schema, uint32_t column) {
    func_expr *expr = weir_arena_new(arena, func_expr);
    expr->kind = FUNC_COLUMN;
    expr->type = schema->columns[column].type;
    expr->index = column;
    return expr;
}

const func_expr *sql_pseudo_expr(weir_arena *arena, func_pseudo pseudo) {
    func_expr *expr = weir_arena_new(arena, func_expr);
    expr->kind = FUNC_PSEUDO;
    expr->type = data_type_of(pseudo == FUNC_ROWPARTITION ? DATA_INT : DATA_BIGINT);
    expr->index = (uint32_t)pseudo;
    return expr;
}

/* A node over `count` arguments, which it takes over as they are. */
static const func_expr *over(sql_scope *scope, func_expr_kind kind, const data_type *type,
                             const func_expr *const *arguments, uint32_t count) {
    func_expr *expr = new_expr(scope, kind, type);
    const func_expr **copy = weir_arena_array(of(scope)->arena, const func_expr *, count);
    memcpy(copy, arguments, count * sizeof copy[0]);
    expr->arguments = copy;
    expr->argument_count = count;
    return expr;
}

/* AND and OR of any number of operands, as a tree of nodes with at most FUNC_ARGUMENTS_MAX each. */
static const func_expr *over_many(sql_scope *scope, func_expr_kind kind, const func_expr **arguments, uint32_t count) {
    while (count > FUNC_ARGUMENTS_MAX) {
        uint32_t made = 0;
        for (uint32_t at = 0; at < count; at += FUNC_ARGUMENTS_MAX) {
            const uint32_t part = count - at < FUNC_ARGUMENTS_MAX ? count - at : FUNC_ARGUMENTS_MAX;
            arguments[made++] =
                part == 1 ? arguments[at] : over(scope, kind, data_type_of(DATA_BOOLEAN), arguments + at, part);
        }
        count = made;
    }
    return count == 1 ? arguments[0] : over(scope, kind, data_type_of(DATA_BOOLEAN), arguments, count);
}

static const func_expr *negate_if(sql_scope *scope, bool negated, const func_expr *operand) {
    return negated ? over(scope, FUNC_NOT, data_type_of(DATA_BOOLEAN), &operand, 1) : operand;
}

/* A whole number as a literal of a wider type; NULL when it is not one. */
static const func_expr *widened_literal(sql_scope *scope, const func_expr *literal, const data_type *target) {
    if (literal->kind != FUNC_LITERAL || literal->type->kind != DATA_INT || literal->value.is_null) return NULL;
    if (target->kind != DATA_BIGINT && target->kind != DATA_DOUBLE) return NULL;
    func_expr *wide = new_expr(scope, FUNC_LITERAL, target);
    wide->value = (func_value){.type = target};
    if (target->kind == DATA_BIGINT)
        wide->value.int64 = literal->value.int32;
    else
        wide->value.float64 = literal->value.int32;
    return wide;
}

/* x > 2 with x BIGINT compares with the BIGINT 2: a literal takes the wider type here and needs no cast a row. */
static void widen_literals(sql_scope *scope, const func_expr **left, const func_expr **right) {
    const func_expr *wide = widened_literal(scope, *left, (*right)->type);
    if (wide != NULL) *left = wide;
    wide = widened_literal(scope, *right, (*left)->type);
    if (wide != NULL) *right = wide;
}

static const func_expr *typed_null(sql_scope *scope, const data_type *type) {
    func_expr *expr = new_expr(scope, FUNC_LITERAL, type);
    expr->value = (func_value){.type = type, .is_null = true};
    return expr;
}

static const func_expr *convert(sql_scope *scope, const sql_expr *at, const func_expr *argument,
                                const data_type *target, bool explicitly) {
    if (argument->type == NULL) return typed_null(scope, target);
    if (data_type_equal(argument->type, target)) return argument;
    const func_expr *cast = widened_literal(scope, argument, target);
    weir_arena *arena = of(scope)->arena;
    if (cast != NULL) return cast;
    if (weir_failed(explicitly ? func_cast(arena, argument, target, &cast)
                               : func_widen(arena, argument, target, &cast)))
        return fail_type(scope, at->offset, "%sCast of %s to %s is not supported",
                         strcmp(scope->clause, "SELECT") == 0 ? "Invalid Select: " : "",
                         sql_type_text(arena, argument->type), sql_type_text(arena, target));
    return cast;
}

/* Where the statement has no CAST: an error of the argument is no more caught than without the conversion. */
static const func_expr *widen_to(sql_scope *scope, const sql_expr *at, const func_expr *argument,
                                 const data_type *target) {
    return convert(scope, at, argument, target, false);
}

/* ---- columns
 * --------------------------------------------------------------------------------------------------------- */

static const func_expr *type_pseudo(sql_scope *scope, const sql_expr *expr, func_pseudo pseudo) {
    const char *name = expr->name.text;
    const bool bounds = pseudo == FUNC_WINDOWSTART || pseudo == FUNC_WINDOWEND;
    if (bounds && scope->grouping != NULL) {
        if (!scope->grouping->windowed || strcmp(scope->clause, "SELECT") != 0) {
            sql_fail_at(of(scope), expr->offset,
                        "Window bounds column %s can only be used in the SELECT clause of windowed aggregations", name);
            return NULL;
        }
        return sql_pseudo_expr(of(scope)->arena, pseudo);
    }
    if (bounds && !scope->windowed) {
        sql_fail_at(of(scope), expr->offset, "%s column '%s' cannot be resolved.", scope->clause, name);
        sql_error_hint(of(scope)->error, "Only rows of windowed sources carry window bounds.");
        return NULL;
    }
    if (scope->no_position && (pseudo == FUNC_ROWPARTITION || pseudo == FUNC_ROWOFFSET)) {
        sql_fail_at(of(scope), expr->offset, "Pull queries don't support the following columns in %s clauses: [`%s`]",
                    scope->clause, name);
        return NULL;
    }
    return sql_pseudo_expr(of(scope)->arena, pseudo);
}

/* In a query with GROUP BY, a column that is neither grouped nor inside an aggregate. */
static const func_expr *fail_ungrouped(sql_scope *scope, const sql_expr *column) {
    const sql_expr *item = scope->grouping->item;
    const sql_expr *shown = item != NULL && !sql_contains_aggregate(item, NULL) ? item : column;
    sql_fail_at(of(scope), column->offset,
                "Non-aggregate %s expression(s) not part of GROUP BY: %s\n"
                "Either add the column(s) to the GROUP BY or remove them from the %s.",
                scope->clause, sql_expr_text(of(scope)->arena, shown), scope->clause);
    return NULL;
}

static const func_expr *type_column(sql_scope *scope, const sql_expr *expr) {
    const char *name = expr->name.text;
    func_pseudo pseudo;
    const int32_t column = scope->schema == NULL ? -1 : data_schema_find(scope->schema, name);
    if (scope->grouping != NULL) {
        if (column >= 0) return fail_ungrouped(scope, expr);
        if (sql_is_pseudo(name, &pseudo)) {
            if (pseudo == FUNC_WINDOWSTART || pseudo == FUNC_WINDOWEND) return type_pseudo(scope, expr, pseudo);
            return fail_ungrouped(scope, expr);
        }
    } else {
        if (column >= 0) return sql_column_expr(of(scope)->arena, scope->schema, (uint32_t)column);
        if (scope->schema != NULL && sql_is_pseudo(name, &pseudo)) return type_pseudo(scope, expr, pseudo);
    }
    if (strcmp(scope->clause, "PARTITION BY") == 0)
        sql_fail_at(of(scope), expr->offset,
                    "PARTITION BY column '%s' cannot be resolved. '%s' must be a column in the source schema since "
                    "PARTITION BY is applied on the input.",
                    name, name);
    sql_fail_at(of(scope), expr->offset, "%s column '%s' cannot be resolved.", scope->clause, name);
    sql_suggest_column(of(scope), scope->schema, name);
    return NULL;
}

static const func_expr *type_field(sql_scope *scope, const sql_expr *expr) {
    const func_expr *record = sql_type_expr(scope, expr->items[0]);
    if (record == NULL) return NULL;
    const char *name = expr->name.text;
    weir_arena *arena = of(scope)->arena;
    if (record->type == NULL || record->type->kind != DATA_STRUCT)
        return fail_type(scope, expr->offset, "%s is of type %s: only a STRUCT has fields to take with ->",
                         sql_expr_text(arena, expr->items[0]), sql_type_text(arena, record->type));
    const char *names[256];
    uint32_t count = 0;
    for (uint32_t i = 0; i < record->type->field_count && count < 256; i++) {
        const data_field *field = &record->type->fields[i];
        names[count++] = field->name;
        if (strcmp(field->name, name) != 0) continue;
        func_expr *result = (func_expr *)(uintptr_t)over(scope, FUNC_FIELD, field->type, &record, 1);
        result->index = i;
        return result;
    }
    fail_type(scope, expr->name.offset, "Could not find field '%s' in '%s'.", name,
              sql_expr_text(arena, expr->items[0]));
    sql_error_suggest(of(scope)->error, name, names, count);
    return NULL;
}

/* ---- comparisons
 * ------------------------------------------------------------------------------------------------------ */

static bool is_time(const data_type *type) {
    return type->kind == DATA_DATE || type->kind == DATA_TIME || type->kind == DATA_TIMESTAMP;
}

static bool is_event_time(const func_expr *expr) {
    return expr->kind == FUNC_PSEUDO && expr->index != FUNC_ROWPARTITION && expr->index != FUNC_ROWOFFSET;
}

/* ROWTIME > '2026-11-24T10:00:00': the text is a point in time. Leaves *text as it is when that is not the case. */
static bool time_text(sql_scope *scope, const sql_expr *at, const func_expr *other, const func_expr **text) {
    if ((*text)->kind != FUNC_LITERAL || (*text)->type == NULL || (*text)->type->kind != DATA_STRING) return true;
    if (is_event_time(other)) {
        int64_t ms;
        if (!sql_parse_event_time((*text)->value.text, &ms)) {
            fail_type(scope, at->offset, "Failed to parse timestamp '%.*s'",
                      (int)((*text)->value.text.size > 60 ? 60 : (*text)->value.text.size),
                      (const char *)(*text)->value.text.data);
            sql_error_hint(of(scope)->error, "Write it as 'yyyy-MM-ddTHH:mm:ss.SSS', or give milliseconds since 1970.");
            return false;
        }
        func_expr *literal = new_expr(scope, FUNC_LITERAL, data_type_of(DATA_BIGINT));
        literal->value = (func_value){.type = literal->type, .int64 = ms};
        *text = literal;
    } else if (other->type != NULL && (is_time(other->type) || other->type->kind == DATA_BYTES)) {
        *text = widen_to(scope, at, *text, other->type);
    }
    return *text != NULL;
}

static bool comparable(const data_type *a, const data_type *b, bool equality) {
    if (data_type_is_number(a) && data_type_is_number(b)) return true;
    if (is_time(a) && is_time(b)) return (a->kind == DATA_TIME) == (b->kind == DATA_TIME);
    if (a->kind != b->kind) return false;
    if (a->kind == DATA_STRING || a->kind == DATA_BYTES) return true;
    return equality && (a->kind == DATA_BOOLEAN || data_type_equal(a, b));
}

static const char *operator_word(const char *operator) {
    static const struct {
        const char *operator, * word;
    } words[] = {{"=", "EQUAL"},        {"<>", "NOT_EQUAL"},
                 {"<", "LESS_THAN"},    {"<=", "LESS_THAN_OR_EQUAL"},
                 {">", "GREATER_THAN"}, {">=", "GREATER_THAN_OR_EQUAL"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].operator, operator) == 0) return words[i].word;
    return NULL;
}

static const func_expr *call(sql_scope *scope, const sql_expr *at, const char *name, const func_expr **arguments,
                             uint32_t count);

static const func_expr *compare(sql_scope *scope, const sql_expr *at, const char *operator, const sql_expr * left_expr,
                                const func_expr *left, const sql_expr *right_expr, const func_expr *right) {
    weir_arena *arena = of(scope)->arena;
    if (left->type == NULL || right->type == NULL) {
        fail_type(scope, at->offset, "Comparison with NULL not supported: %s", sql_expr_text(arena, at));
        sql_error_hint(of(scope)->error, "Use IS NULL or IS NOT NULL.");
        return NULL;
    }
    if (!time_text(scope, right_expr, left, &right) || !time_text(scope, left_expr, right, &left)) return NULL;
    const bool equality = operator[0] == '=' || strcmp(operator, "<>") == 0;
    if (!comparable(left->type, right->type, equality))
        return fail_type(scope, at->offset, "Cannot compare %s (%s) to %s (%s) with %s.",
                         sql_expr_text(arena, left_expr), sql_type_text(arena, left->type),
                         sql_expr_text(arena, right_expr), sql_type_text(arena, right->type), operator_word(operator));
    if (left->type->kind == DATA_DATE && right->type->kind == DATA_TIMESTAMP)
        left = widen_to(scope, left_expr, left, right->type);
    if (right->type->kind == DATA_DATE && left != NULL && left->type->kind == DATA_TIMESTAMP)
        right = widen_to(scope, right_expr, right, left->type);
    if (left == NULL || right == NULL) return NULL;
    widen_literals(scope, &left, &right);
    const func_expr *arguments[] = {left, right};
    return call(scope, at, operator, arguments, 2);
}

static const func_expr *type_compare(sql_scope *scope, const sql_expr *at, const char *operator, const sql_expr * left,
                                     const sql_expr *right) {
    const func_expr *a = sql_type_expr(scope, left);
    const func_expr *b = a == NULL ? NULL : sql_type_expr(scope, right);
    return b == NULL ? NULL : compare(scope, at, operator, left, a, right, b);
}

static const func_expr *type_between(sql_scope *scope, const sql_expr *expr) {
    const func_expr *bounds[2];
    bounds[0] = type_compare(scope, expr, ">=", expr->items[0], expr->items[1]);
    bounds[1] = bounds[0] == NULL ? NULL : type_compare(scope, expr, "<=", expr->items[0], expr->items[2]);
    if (bounds[1] == NULL) return NULL;
    return negate_if(scope, expr->negated, over(scope, FUNC_AND, data_type_of(DATA_BOOLEAN), bounds, 2));
}

/* x = literal, as IN compares: text is read as what x is. */
static const func_expr *type_in_item(sql_scope *scope, const sql_expr *expr, const sql_expr *item) {
    const func_expr *left = sql_type_expr(scope, expr->items[0]), *right;
    if (left == NULL) return NULL;
    const bool parses = left->type != NULL && item->kind == SQL_STRING && !is_event_time(left) &&
                        (data_type_is_number(left->type) || left->type->kind == DATA_BOOLEAN);
    right = parses ? sql_parsed_literal(of(scope), item, left->type) : sql_type_expr(scope, item);
    if (right == NULL) return NULL;
    const bool time =
        left->type != NULL && (is_time(left->type) || is_event_time(left) || left->type->kind == DATA_BYTES);
    const bool is_text = right->type != NULL && right->type->kind == DATA_STRING && item->kind == SQL_STRING;
    if (left->type != NULL && right->type != NULL && !(time && is_text) && left->type->kind == right->type->kind &&
        left->type->kind >= DATA_ARRAY && func_common_type(of(scope)->arena, left->type, right->type) != NULL) {
        const data_type *common = func_common_type(of(scope)->arena, left->type, right->type);
        left = widen_to(scope, expr, left, common);
        right = left == NULL ? NULL : widen_to(scope, item, right, common);
        if (right == NULL) return NULL;
    }
    if (left->type != NULL && right->type != NULL && !(time && is_text) && !comparable(left->type, right->type, true)) {
        weir_arena *arena = of(scope)->arena;
        sql_fail_at(of(scope), item->offset, "Invalid Predicate: operator does not exist: %s = %s (%s)",
                    sql_type_text(arena, left->type), sql_type_text(arena, right->type), sql_expr_text(arena, item));
        sql_error_hint(of(scope)->error, "Hint: You might need to add explicit type casts.");
        return NULL;
    }
    return compare(scope, expr, "=", expr->items[0], left, item, right);
}

static const func_expr *type_in(sql_scope *scope, const sql_expr *expr) {
    const func_expr **equals = weir_arena_array(of(scope)->arena, const func_expr *, expr->count);
    uint32_t count = 0;
    for (uint32_t i = 1; i < expr->count; i++) {
        if (expr->items[i]->kind == SQL_NULL) continue; /* equal to nothing */
        if ((equals[count++] = type_in_item(scope, expr, expr->items[i])) == NULL) return NULL;
    }
    if (count == 0) {
        func_expr *never = new_expr(scope, FUNC_LITERAL, data_type_of(DATA_BOOLEAN));
        never->value = (func_value){.type = never->type};
        return negate_if(scope, expr->negated, never);
    }
    return negate_if(scope, expr->negated, over_many(scope, FUNC_OR, equals, count));
}

/* a IS DISTINCT FROM b: CASE WHEN a IS NULL THEN b IS NOT NULL WHEN b IS NULL THEN true ELSE a <> b END. */
static const func_expr *type_distinct(sql_scope *scope, const sql_expr *expr) {
    const data_type *boolean = data_type_of(DATA_BOOLEAN);
    const func_expr *a = sql_type_expr(scope, expr->items[0]);
    const func_expr *b = a == NULL ? NULL : sql_type_expr(scope, expr->items[1]);
    if (b == NULL) return NULL;
    if (a->type == NULL || b->type == NULL) { /* compared with NULL itself */
        const func_expr *other = a->type == NULL ? b : a;
        if (other->type == NULL) other = typed_null(scope, boolean);
        const func_expr *is_null = over(scope, FUNC_IS_NULL, boolean, &other, 1);
        return negate_if(scope, !expr->negated, is_null);
    }
    const func_expr *differ = compare(scope, expr, "<>", expr->items[0], a, expr->items[1], b);
    if (differ == NULL) return NULL;
    func_expr *yes = new_expr(scope, FUNC_LITERAL, boolean);
    yes->value = (func_value){.type = boolean, .boolean = true};
    const func_expr *a_null = over(scope, FUNC_IS_NULL, boolean, &a, 1),
                    *b_null = over(scope, FUNC_IS_NULL, boolean, &b, 1);
    const func_expr *arguments[] = {a_null, negate_if(scope, true, b_null), b_null, yes, differ};
    return negate_if(scope, expr->negated, over(scope, FUNC_CASE, boolean, arguments, 5));
}

static const func_expr *type_like(sql_scope *scope, const sql_expr *expr) {
    const func_expr *arguments[3];
    uint32_t count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        if ((arguments[i] = sql_type_expr(scope, expr->items[i])) == NULL) return NULL;
        if (arguments[i]->type == NULL || arguments[i]->type->kind != DATA_STRING)
            return fail_type(scope, expr->items[i]->offset, "Like condition must be between strings: %s is %s",
                             sql_expr_text(of(scope)->arena, expr->items[i]),
                             sql_type_text(of(scope)->arena, arguments[i]->type));
    }
    if (expr->text.size != 0) {
        func_expr *escape = new_expr(scope, FUNC_LITERAL, data_type_of(DATA_STRING));
        escape->value = (func_value){.type = escape->type, .text = weir_arena_bytes_copy(of(scope)->arena, expr->text)};
        arguments[count++] = escape;
    }
    const func_expr *like = call(scope, expr, "LIKE", arguments, count);
    return like == NULL ? NULL : negate_if(scope, expr->negated, like);
}

/* ---- calls
 * ------------------------------------------------------------------------------------------------------------ */

static const func_expr *fail_arguments(sql_scope *scope, const sql_expr *at, const char *name,
                                       const func_expr *const *arguments, uint32_t count, weir_status status) {
    weir_arena *arena = of(scope)->arena;
    char types[400];
    size_t size = 0;
    types[0] = 0;
    for (uint32_t i = 0; i < count && size < sizeof types; i++) {
        const int wrote = snprintf(types + size, sizeof types - size, "%s%s", i == 0 ? "" : ", ",
                                   arguments[i] == NULL ? "" : sql_type_text(arena, arguments[i]->type));
        size += wrote > 0 ? (size_t)wrote : 0;
    }
    /* The name as it was written; operators have none. */
    const sql_name *written = &at->name;
    if (at->kind == SQL_CALL && written->size != 0 && written->offset + written->size <= of(scope)->script.size)
        name = weir_arena_format(arena, "%.*s", (int)written->size,
                                 (const char *)of(scope)->script.data + written->offset);
    fail_type(scope, at->offset, "Function '%s' does not accept parameters (%s).", name, types);
    if (weir_failed(status)) sql_error_hint(of(scope)->error, "%s", status.text);
    return NULL;
}

static const func_expr *call(sql_scope *scope, const sql_expr *at, const char *name, const func_expr **arguments,
                             uint32_t count) {
    const func_expr *result = NULL;
    const weir_status status = func_call(of(scope)->arena, name, arguments, count, &result);
    if (weir_failed(status)) return fail_arguments(scope, at, name, arguments, count, status);
    return result;
}

static const func_expr *fail_unknown_function(sql_scope *scope, const sql_expr *expr) {
    enum { NAMES_MAX = 1024 };
    const char *names[NAMES_MAX];
    size_t count = 0;
    const func_overload *overload;
    const func_aggregate *aggregate;
    for (size_t i = 0; count < NAMES_MAX && (overload = func_overload_at(i)) != NULL; i++)
        if (!(overload->flags & FUNC_INTERNAL)) names[count++] = overload->name;
    for (size_t i = 0; count < NAMES_MAX && (aggregate = func_aggregate_at(i)) != NULL; i++)
        names[count++] = aggregate->name;
    sql_error_at(of(scope)->error, WEIR_NOT_FOUND, of(scope)->script, expr->offset,
                 "Can't find any functions with the name '%s'", expr->name.text);
    sql_error_suggest(of(scope)->error, expr->name.text, names, count);
    return NULL;
}

/* The type that all of `typed` can be cast to; casts them. `what` names the construct for messages. */
static bool unify(sql_scope *scope, const sql_expr *at, const char *what, const func_expr **typed,
                  const sql_expr *const *exprs, uint32_t count) {
    weir_arena *arena = of(scope)->arena;
    const data_type *common = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const data_type *next = sql_common_type(arena, common, typed[i]->type);
        if (next == NULL && typed[i]->type != NULL) {
            fail_type(scope, exprs[i]->offset, "Invalid %s. %s is of type %s, but %s is of type %s.", what,
                      sql_expr_text(arena, exprs[0]), sql_type_text(arena, common), sql_expr_text(arena, exprs[i]),
                      sql_type_text(arena, typed[i]->type));
            sql_error_hint(of(scope)->error, "Add a CAST to make the types equal.");
            return false;
        }
        common = next;
    }
    if (common == NULL) {
        fail_type(scope, at->offset, "Invalid %s. All case branches have NULL type", what);
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        if ((typed[i] = widen_to(scope, exprs[i], typed[i], common)) == NULL) return false;
    return true;
}

static bool type_all(sql_scope *scope, const sql_expr *const *exprs, uint32_t count, const func_expr **typed) {
    for (uint32_t i = 0; i < count; i++)
        if ((typed[i] = sql_type_expr(scope, exprs[i])) == NULL) return false;
    return true;
}

static const func_expr *type_coalesce(sql_scope *scope, const sql_expr *expr) {
    const func_expr *typed[FUNC_ARGUMENTS_MAX];
    const bool ifnull = strcmp(expr->name.text, "IFNULL") == 0;
    if (expr->count == 0 || expr->count > FUNC_ARGUMENTS_MAX || (ifnull && expr->count != 2))
        return fail_arguments(scope, expr, expr->name.text, NULL, 0, weir_ok());
    if (!type_all(scope, expr->items, expr->count, typed)) return NULL;
    if (!unify(scope, expr, expr->name.text, typed, expr->items, expr->count)) return NULL;
    return over(scope, FUNC_COALESCE, typed[0]->type, typed, expr->count);
}

static const func_expr *type_aggregate(sql_scope *scope, const sql_expr *expr);

static const func_expr *type_call(sql_scope *scope, const sql_expr *expr) {
    const char *name = expr->name.text;
    if (func_aggregate_exists(name)) return type_aggregate(scope, expr);
    if (strcmp(name, "COALESCE") == 0 || strcmp(name, "IFNULL") == 0) return type_coalesce(scope, expr);
    if (strcmp(name, "AS_VALUE") == 0 && expr->count == 1) return sql_type_expr(scope, expr->items[0]);
    if (!func_exists(name)) return fail_unknown_function(scope, expr);
    const func_expr *typed[FUNC_ARGUMENTS_MAX];
    if (expr->count > FUNC_ARGUMENTS_MAX)
        return fail_type(scope, expr->offset, "Function '%s' is given %u parameters, at most %d are allowed", name,
                         expr->count, FUNC_ARGUMENTS_MAX);
    for (uint32_t i = 0; i < expr->count; i++)
        if (expr->items[i]->kind == SQL_STAR)
            return fail_arguments(scope, expr, name, NULL, 0, weir_ok());
    const uint32_t first = func_takes_unit(name) && expr->count > 0 && expr->items[0]->kind == SQL_COLUMN ? 1 : 0;
    if (first == 1) { /* DATEADD(DAYS, ...): the unit looks like a column */
        func_expr *unit = new_expr(scope, FUNC_LITERAL, data_type_of(DATA_STRING));
        unit->value = (func_value){.type = unit->type, .text = weir_bytes_text(expr->items[0]->name.text)};
        typed[0] = unit;
    }
    if (!type_all(scope, expr->items + first, expr->count - first, typed + first)) return NULL;
    return call(scope, expr, name, typed, expr->count);
}

/* ---- aggregates
 * ------------------------------------------------------------------------------------------------------- */

/* The argument as a column of the prepared schema; equal arguments share one. -1 with the error set. */
static int32_t aggregate_argument(sql_scope *scope, const sql_expr *argument, const data_type **type) {
    sql_grouping *g = scope->grouping;
    for (uint32_t i = 0; i < g->argument_count; i++) {
        if (!sql_expr_equal(g->arguments[i], argument)) continue;
        *type = g->argument_exprs[i]->type;
        return (int32_t)(g->keys.count + i);
    }
    if (g->argument_count == SQL_AGGREGATES_MAX) {
        sql_fail_at(of(scope), argument->offset, "a query with more than %d different aggregate arguments",
                    SQL_AGGREGATES_MAX);
        return -1;
    }
    const func_expr *typed = sql_type_expr(g->row_scope, argument);
    if (typed == NULL) return -1;
    if (typed->type == NULL) {
        sql_fail_at(of(scope), argument->offset, "an aggregate of NULL has no type; cast it: CAST(NULL AS BIGINT)");
        return -1;
    }
    g->arguments[g->argument_count] = argument;
    g->argument_exprs[g->argument_count] = typed;
    *type = typed->type;
    return (int32_t)(g->keys.count + g->argument_count++);
}

static const data_type *aggregate_result(sql_scope *scope, const sql_expr *expr, const func_aggregate *aggregate,
                                         const data_type *argument) {
    if (aggregate->derive != NULL) return aggregate->derive(argument, of(scope)->arena);
    const data_type *type = NULL;
    const weir_status status = data_type_parse(of(scope)->arena, weir_bytes_text(aggregate->result), &type);
    if (weir_failed(status)) sql_fail_status(of(scope), expr->offset, status);
    return type;
}

static const func_expr *type_aggregate(sql_scope *scope, const sql_expr *expr) {
    sql_grouping *g = scope->grouping;
    const char *name = expr->name.text;
    if (g == NULL) {
        sql_fail_at(of(scope), expr->offset, "%s does not support aggregate functions: %s is an aggregate function.",
                    scope->clause, name);
        return NULL;
    }
    for (uint32_t i = 0; i < expr->count; i++) {
        if (!sql_contains_aggregate(expr->items[i], NULL)) continue;
        sql_fail_at(of(scope), expr->offset, "Aggregate functions can not be nested: %s",
                    sql_expr_text(of(scope)->arena, expr));
        return NULL;
    }
    uint32_t at = 0;
    while (at < g->call_count && !sql_expr_equal(g->calls[at], expr)) at++;
    if (at == g->call_count) {
        if (at == SQL_AGGREGATES_MAX) {
            sql_fail_at(of(scope), expr->offset, "a query with more than %d different aggregates", SQL_AGGREGATES_MAX);
            return NULL;
        }
        const bool star = expr->count == 1 && expr->items[0]->kind == SQL_STAR;
        if (expr->count > 1 || (expr->count == 0 && strcmp(name, "COUNT") != 0))
            return fail_arguments(scope, expr, name, NULL, 0, weir_ok());
        const data_type *type = NULL;
        int32_t argument = -1;
        if (expr->count == 1 && !star && (argument = aggregate_argument(scope, expr->items[0], &type)) < 0) return NULL;
        sql_aggregation aggregation = {.argument = argument};
        const weir_status status = func_aggregate_find(name, type, &aggregation.aggregate);
        if (weir_failed(status)) {
            fail_type(scope, expr->offset, "Function '%s' does not accept parameters (%s).", name,
                      star           ? "*"
                      : type == NULL ? ""
                                     : sql_type_text(of(scope)->arena, type));
            sql_error_hint(of(scope)->error, "%s", status.text);
            return NULL;
        }
        if ((g->result_types[at] = aggregate_result(scope, expr, aggregation.aggregate, type)) == NULL) return NULL;
        g->calls[at] = expr;
        g->aggregations[at] = aggregation;
        g->call_count++;
    }
    func_expr *column = new_expr(scope, FUNC_COLUMN, g->result_types[at]);
    column->index = g->keys.count + at;
    return column;
}

/* ---- the rest
 * --------------------------------------------------------------------------------------------------------- */

static const func_expr *type_binary(sql_scope *scope, const sql_expr *expr) {
    const char *operator= expr->name.text;
    if (operator_word(operator) != NULL) return type_compare(scope, expr, operator, expr->items[0], expr->items[1]);
    const func_expr *typed[2];
    if (!type_all(scope, expr->items, 2, typed)) return NULL;
    weir_arena *arena = of(scope)->arena;
    const data_type *a = typed[0]->type, *b = typed[1]->type;
    const bool text = a != NULL && b != NULL && a->kind == DATA_STRING && b->kind == DATA_STRING;
    if (strcmp(operator, "||") == 0 || (text && operator[0] == '+')) return call(scope, expr, operator, typed, 2);
    if (a == NULL || b == NULL || !data_type_is_number(a) || !data_type_is_number(b))
        return fail_type(scope, expr->offset, "Error processing expression: %s. Unsupported arithmetic types. %s %s",
                         sql_expr_text(arena, expr), sql_type_text(arena, a), sql_type_text(arena, b));
    widen_literals(scope, &typed[0], &typed[1]);
    return call(scope, expr, operator, typed, 2);
}

/* The catalogue has no unary minus: -x is -1 * x, which is exact for every number. */
static const func_expr *type_negate(sql_scope *scope, const sql_expr *expr) {
    const func_expr *operand = sql_type_expr(scope, expr->items[0]);
    if (operand == NULL) return NULL;
    if (operand->type == NULL || !data_type_is_number(operand->type))
        return fail_type(scope, expr->offset, "Negation on unsupported type: %s",
                         sql_type_text(of(scope)->arena, operand->type));
    func_expr *minus_one = new_expr(scope, FUNC_LITERAL, data_type_of(DATA_INT));
    minus_one->value = (func_value){.type = minus_one->type, .int32 = -1};
    if (operand->type->kind == DATA_DECIMAL) { /* the product keeps the scale, and gets its old precision back */
        minus_one->type = minus_one->value.type = data_type_decimal(of(scope)->arena, 1, 0);
        minus_one->value.decimal = -1;
    }
    const func_expr *arguments[] = {minus_one, operand};
    const func_expr *product = call(scope, expr, "*", arguments, 2);
    return product == NULL ? NULL : widen_to(scope, expr, product, operand->type);
}

static const func_expr *type_logic(sql_scope *scope, const sql_expr *expr) {
    const func_expr **typed = weir_arena_array(of(scope)->arena, const func_expr *, expr->count);
    for (uint32_t i = 0; i < expr->count; i++)
        if ((typed[i] = sql_type_condition(scope, expr->items[i])) == NULL) return NULL;
    if (expr->kind == SQL_NOT) return negate_if(scope, true, typed[0]);
    return over_many(scope, expr->kind == SQL_AND ? FUNC_AND : FUNC_OR, typed, expr->count);
}

static const func_expr *type_case(sql_scope *scope, const sql_expr *expr) {
    const uint32_t first = expr->has_operand ? 1 : 0;
    const uint32_t arms = (expr->count - first - (expr->has_else ? 1 : 0)) / 2;
    const uint32_t values = arms + (expr->has_else ? 1 : 0);
    weir_arena *arena = of(scope)->arena;
    const func_expr **arguments = weir_arena_array(arena, const func_expr *, arms * 2 + 1);
    const func_expr **results = weir_arena_array(arena, const func_expr *, values);
    const sql_expr **result_exprs = weir_arena_array(arena, const sql_expr *, values);
    for (uint32_t i = 0; i < arms; i++) {
        const sql_expr *when = expr->items[first + i * 2];
        arguments[i * 2] =
            expr->has_operand ? type_compare(scope, when, "=", expr->items[0], when) : sql_type_condition(scope, when);
        if (arguments[i * 2] == NULL) return NULL;
        result_exprs[i] = expr->items[first + i * 2 + 1];
    }
    if (expr->has_else) result_exprs[arms] = expr->items[expr->count - 1];
    if (!type_all(scope, result_exprs, values, results) ||
        !unify(scope, expr, "Case expression", results, result_exprs, values))
        return NULL;
    for (uint32_t i = 0; i < arms; i++) arguments[i * 2 + 1] = results[i];
    if (expr->has_else) arguments[arms * 2] = results[arms];
    return over(scope, FUNC_CASE, results[0]->type, arguments, arms * 2 + (expr->has_else ? 1 : 0));
}

static const func_expr *type_cast(sql_scope *scope, const sql_expr *expr) {
    const data_type *target;
    const func_expr *argument = sql_type_expr(scope, expr->items[0]);
    if (argument == NULL || !sql_resolve_type(of(scope), expr->type, &target)) return NULL;
    return convert(scope, expr, argument, target, true);
}

/* ---- nested values
 * ------------------------------------------------------------------------------------------------------- */

/* Text literals beside other values are read as what those are. */
static bool read_texts(sql_scope *scope, const func_expr **typed, const sql_expr *const *exprs, uint32_t count) {
    const data_type *other = NULL;
    for (uint32_t i = 0; i < count && other == NULL; i++) {
        if (typed[i]->type != NULL && typed[i]->type->kind == DATA_STRING && exprs[i]->kind != SQL_STRING) return true;
        if (exprs[i]->kind != SQL_STRING) other = typed[i]->type;
    }
    if (other == NULL || other->kind >= DATA_ARRAY) return true;
    for (uint32_t i = 0; i < count; i++) {
        if (exprs[i]->kind != SQL_STRING) continue;
        typed[i] = is_time(other) || other->kind == DATA_BYTES ? widen_to(scope, exprs[i], typed[i], other)
                                                               : sql_parsed_literal(of(scope), exprs[i], other);
        if (typed[i] == NULL) return false;
    }
    return true;
}

/* Items brought to one type, that of the first which is not NULL widened; texts are read as what the others are. */
static const func_expr *type_list(sql_scope *scope, const sql_expr *at, const char *what, const sql_expr *const *exprs,
                                  uint32_t count) {
    const func_expr *typed[FUNC_ARGUMENTS_MAX];
    if (count == 0)
        return fail_type(scope, at->offset, "%s constructor cannot be empty. Please supply at least one element (see "
                         "https://github.com/confluentinc/ksql/issues/4239).",
                         what);
    if (count > FUNC_ARGUMENTS_MAX)
        return fail_type(scope, at->offset, "a constructor of %u elements: at most %d are allowed", count,
                         FUNC_ARGUMENTS_MAX);
    if (!type_all(scope, exprs, count, typed) || !read_texts(scope, typed, exprs, count)) return NULL;
    const data_type *common = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const data_type *next = sql_common_type(of(scope)->arena, common, typed[i]->type);
        if (next == NULL && typed[i]->type != NULL)
            return fail_type(scope, exprs[i]->offset,
                             "operator does not exist: %s = %s (%s)\nHint: You might need to add explicit type casts.",
                             sql_type_text(of(scope)->arena, common), sql_type_text(of(scope)->arena, typed[i]->type),
                             sql_expr_text(of(scope)->arena, exprs[i]));
        common = next;
    }
    if (common == NULL)
        return fail_type(
            scope, at->offset,
            "Cannot construct %s (see https://github.com/confluentinc/ksql/issues/4239). As a workaround, you may "
            "cast a NULL value to the desired type.",
            strcmp(what, "Array") == 0  ? "an array with all NULL elements"
            : strcmp(what, "keys") == 0 ? "a map with all NULL keys"
                                        : "a map with all NULL values");
    for (uint32_t i = 0; i < count; i++)
        if ((typed[i] = widen_to(scope, exprs[i], typed[i], common)) == NULL) return NULL;
    return call(scope, at, "ARRAY", typed, count);
}

static const func_expr *type_map(sql_scope *scope, const sql_expr *expr) {
    const uint32_t count = expr->count / 2;
    const sql_expr **parts = weir_arena_array(of(scope)->arena, const sql_expr *, expr->count + 1);
    for (uint32_t i = 0; i < count; i++) {
        parts[i] = expr->items[2 * i];
        parts[count + i] = expr->items[2 * i + 1];
    }
    const func_expr *lists[2];
    if (count == 0)
        return fail_type(scope, expr->offset,
                         "Map constructor cannot be empty. Please supply at least one key value pair (see "
                         "https://github.com/confluentinc/ksql/issues/4239).");
    if ((lists[0] = type_list(scope, expr, "keys", parts, count)) == NULL) return NULL;
    if ((lists[1] = type_list(scope, expr, "values", parts + count, count)) == NULL) return NULL;
    return call(scope, expr, "MAP", lists, 2);
}

static const func_expr *type_struct(sql_scope *scope, const sql_expr *expr) {
    const func_expr *typed[FUNC_ARGUMENTS_MAX], *made;
    const char *names[FUNC_ARGUMENTS_MAX];
    weir_arena *arena = of(scope)->arena;
    if (expr->count == 0 || expr->count > FUNC_ARGUMENTS_MAX)
        return fail_type(scope, expr->offset, "STRUCT(...) takes 1 to %d fields", FUNC_ARGUMENTS_MAX);
    if (!type_all(scope, expr->items, expr->count, typed)) return NULL;
    for (uint32_t i = 0; i < expr->count; i++) {
        names[i] = weir_arena_text_copy(arena, expr->fields[i].text);
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(names[i], names[j]) == 0)
                return fail_type(scope, expr->fields[i].offset, "Duplicate field names found in STRUCT: '%s'",
                                 names[i]);
        }
        if (typed[i]->type == NULL)
            return fail_type(scope, expr->items[i]->offset, "field %s is NULL and has no type; cast it", names[i]);
    }
    const weir_status status = func_struct(arena, names, typed, expr->count, &made);
    return weir_failed(status) ? fail_type(scope, expr->offset, "%s", status.text) : made;
}

static const func_expr *type_element(sql_scope *scope, const sql_expr *expr) {
    const func_expr *typed[2];
    weir_arena *arena = of(scope)->arena;
    if (!type_all(scope, expr->items, 2, typed)) return NULL;
    const data_type *list = typed[0]->type, *index = typed[1]->type;
    if (list == NULL || (list->kind != DATA_ARRAY && list->kind != DATA_MAP))
        return fail_type(scope, expr->offset, "Can't subscript %s (%s): only ARRAY and MAP have elements",
                         sql_expr_text(arena, expr->items[0]), sql_type_text(arena, list));
    const bool fits = index != NULL && (list->kind == DATA_MAP ? data_type_equal(index, list->key)
                                                               : index->kind == DATA_INT || index->kind == DATA_BIGINT);
    if (!fits)
        return fail_type(scope, expr->items[1]->offset, "a subscript of %s is %s, not %s", sql_type_text(arena, list),
                         list->kind == DATA_MAP ? sql_type_text(arena, list->key) : "INTEGER",
                         sql_type_text(arena, index));
    return call(scope, expr, "[]", typed, 2);
}

const func_expr *sql_type_condition(sql_scope *scope, const sql_expr *expr) {
    const func_expr *typed = sql_type_expr(scope, expr);
    if (typed == NULL) return NULL;
    if (typed->type == NULL) return typed_null(scope, data_type_of(DATA_BOOLEAN));
    if (typed->type->kind == DATA_BOOLEAN) return typed;
    sql_fail_at(of(scope), expr->offset,
                "Type error in %s expression: Should evaluate to boolean but is %s (%s) instead.", scope->clause,
                sql_expr_text(of(scope)->arena, expr), sql_type_text(of(scope)->arena, typed->type));
    return NULL;
}

const func_expr *sql_type_expr(sql_scope *scope, const sql_expr *expr) {
    if (!sql_spend_node(of(scope), expr->offset)) return NULL;
    if (scope->grouping != NULL) { /* what is grouped is a column of the aggregate */
        for (uint32_t i = 0; i < scope->grouping->keys.count; i++) {
            if (!sql_expr_equal(expr, scope->grouping->keys.items[i])) continue;
            func_expr *column = new_expr(scope, FUNC_COLUMN, scope->grouping->key_types[i]);
            column->index = i;
            return column;
        }
    }
    switch (expr->kind) {
    case SQL_NULL:
    case SQL_BOOLEAN:
    case SQL_INTEGER:
    case SQL_DECIMAL:
    case SQL_DOUBLE:
    case SQL_STRING: return sql_literal_expr(of(scope), expr);
    case SQL_COLUMN: return type_column(scope, expr);
    case SQL_CALL: return type_call(scope, expr);
    case SQL_BINARY: return type_binary(scope, expr);
    case SQL_NEGATE: return type_negate(scope, expr);
    case SQL_NOT:
    case SQL_AND:
    case SQL_OR: return type_logic(scope, expr);
    case SQL_IS_NULL: {
        const func_expr *operand = sql_type_expr(scope, expr->items[0]);
        if (operand == NULL) return NULL;
        if (operand->type == NULL) operand = typed_null(scope, data_type_of(DATA_BOOLEAN));
        return negate_if(scope, expr->negated, over(scope, FUNC_IS_NULL, data_type_of(DATA_BOOLEAN), &operand, 1));
    }
    case SQL_DISTINCT: return type_distinct(scope, expr);
    case SQL_BETWEEN: return type_between(scope, expr);
    case SQL_IN: return type_in(scope, expr);
    case SQL_LIKE: return type_like(scope, expr);
    case SQL_CASE: return type_case(scope, expr);
    case SQL_CAST: return type_cast(scope, expr);
    case SQL_FIELD: return type_field(scope, expr);
    case SQL_ELEMENT: return type_element(scope, expr);
    case SQL_ARRAY: return type_list(scope, expr, "Array", expr->items, expr->count);
    case SQL_MAP: return type_map(scope, expr);
    case SQL_STRUCT: return type_struct(scope, expr);
    case SQL_STAR: return fail_type(scope, expr->offset, "* is not an expression");
    }
    return NULL;
}

const func_expr *sql_coerce(sql_scope *scope, const sql_expr *expr, const func_expr *typed, const data_type *target) {
    weir_arena *arena = of(scope)->arena;
    const data_type *type = typed->type;
    const bool literal_text = typed->kind == FUNC_LITERAL && type != NULL && type->kind == DATA_STRING &&
                              (is_time(target) || target->kind == DATA_BYTES);
    const bool widens = type != NULL && data_type_is_number(type) && data_type_is_number(target) &&
                        (target->kind == DATA_DOUBLE || (target->kind == DATA_DECIMAL && type->kind != DATA_DOUBLE) ||
                         (target->kind == DATA_BIGINT && type->kind == DATA_INT));
    if (type == NULL || literal_text || widens || data_type_equal(type, target))
        return widen_to(scope, expr, typed, target);
    return fail_type(scope, expr->offset, "Expected type %s but got %s (%s)", sql_type_text(arena, target),
                     sql_expr_text(arena, expr), sql_type_text(arena, type));
}
