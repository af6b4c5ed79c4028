/* func internals: the flat program an expression becomes (compile.c makes it, run.c executes it).
 *
 * Registers hold vectors: first the inputs (columns, pseudo columns, constants), then one a step result. Selections
 * hold the rows a step works on; number 0 is the batch's own. A conditional (AND, OR, CASE, COALESCE) narrows a
 * selection for the steps of its operand and jumps over them when no row is left. */
#ifndef WEIR_FUNC_PROGRAM_H
#define WEIR_FUNC_PROGRAM_H

#include "func/func_int.h"

typedef enum func_step_kind {
    STEP_CALL,        /* result = overload(arguments) */
    STEP_NOT,         /* result = NOT a */
    STEP_IS_NULL,     /* result = a IS NULL */
    STEP_FIELD,       /* result = field `index` of struct a */
    STEP_NEW,         /* result = a vector of NULLs */
    STEP_COPY,        /* result[rows] = a[rows]; of lists it is only noted where they come from */
    STEP_GATHER,      /* writes the lists that were noted, row by row */
    STEP_TRUE,        /* selection `into` = rows where a is true; to `jump` when there are none */
    STEP_NOT_TRUE,    /* ... where a is false or NULL */
    STEP_FALSE,       /* ... where a is false */
    STEP_NULL,        /* ... where a is NULL */
    STEP_CATCH_BEGIN, /* remembers the pending errors in slot `index` */
    STEP_CATCH_END    /* errors since then become NULL in `result` */
} func_step_kind;

typedef struct func_step {
    func_step_kind kind;
    uint16_t result, a;       /* registers */
    uint16_t selection, into; /* selections */
    uint16_t argument_count;
    uint16_t arguments[FUNC_ARGUMENTS_MAX];
    uint32_t index;
    uint32_t jump;
    const func_overload *overload;
    const data_type *type; /* of the result */
} func_step;

typedef struct func_input {
    func_expr_kind kind; /* FUNC_COLUMN, FUNC_PSEUDO, FUNC_LITERAL */
    uint32_t index;
    const data_vector *constant;
} func_input;

struct func_program {
    const func_input *inputs; /* registers 0..input_count-1 */
    const func_step *steps;
    const data_type *type;
    uint32_t input_count, step_count, register_count, selection_count, catch_count;
    uint16_t result;
};

/* Is it an ARRAY, a MAP, or a STRUCT around one? */
bool func_has_lists(const data_type *type);
/* A one-row constant vector in the arena. */
data_vector *func_constant(weir_arena *arena, const func_value *value);

#endif
