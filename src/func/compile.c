/* From a typed tree to flat steps, once per query: constants are folded, and every choice that does not depend on a row
 * is made here. */
#include "func/program.h"

/* A node costs at most: itself, a new vector, and as an operand a catch (2), a copy and two selections. */
enum { STEPS_PER_NODE = 8, STEPS_MAX = 8192, INPUTS_MAX = 2048, DEPTH_MAX = 200, REGISTER_NONE = UINT16_MAX };

typedef struct expr_compiler {
    weir_arena *arena;
    const data_schema *schema;
    func_step *steps;
    func_input *inputs;
    uint32_t steps_max, step_count, input_count, register_count, selection_count, catch_count, depth;
    weir_status status;
} expr_compiler;

func_value func_value_at(const data_vector *vector, uint32_t row) {
    func_value value = {.type = vector->type, .is_null = data_vector_is_null(vector, row)};
    const uint32_t index = data_vector_index(vector, row);
    if (value.is_null) return value;
    switch (vector->type->kind) {
    case DATA_BOOLEAN: value.boolean = vector->booleans[index]; break;
    case DATA_INT:
    case DATA_DATE:
    case DATA_TIME: value.int32 = vector->ints[index]; break;
    case DATA_BIGINT:
    case DATA_TIMESTAMP: value.int64 = vector->bigints[index]; break;
    case DATA_DOUBLE: value.float64 = vector->doubles[index]; break;
    case DATA_DECIMAL: value.decimal = vector->decimals[index]; break;
    case DATA_STRING:
    case DATA_BYTES: value.text = data_text_bytes(&vector->texts[index]); break;
    default: weir_assert(vector->type->kind < DATA_ARRAY); /* a nested value is not a func_value */
    }
    return value;
}

data_vector *func_constant(weir_arena *arena, const func_value *value) {
    data_vector *vector = data_vector_create(arena, value->type, 1);
    weir_assert(vector != NULL);
    if (!value->is_null) {
        data_bit_set(vector->valid, 0, true);
        switch (value->type->kind) {
        case DATA_BOOLEAN: vector->booleans[0] = value->boolean; break;
        case DATA_INT:
        case DATA_DATE:
        case DATA_TIME: vector->ints[0] = value->int32; break;
        case DATA_BIGINT:
        case DATA_TIMESTAMP: vector->bigints[0] = value->int64; break;
        case DATA_DOUBLE: vector->doubles[0] = value->float64; break;
        case DATA_DECIMAL: vector->decimals[0] = value->decimal; break;
        case DATA_STRING:
        case DATA_BYTES: vector->texts[0] = data_text_of(value->text.data, value->text.size); break;
        default: weir_assert(value->type->kind < DATA_ARRAY); /* a nested literal can only be NULL */
        }
    }
    vector->constant = true;
    return vector;
}

/* ---- steps ----------------------------------------------------------------------------------------------------- */

static void give_up(expr_compiler *compiler, weir_status status) {
    if (!weir_failed(compiler->status)) compiler->status = status;
}

static func_step *add_step(expr_compiler *compiler, func_step_kind kind, uint32_t selection) {
    if (compiler->step_count == compiler->steps_max) {
        give_up(compiler,
                weir_fail(WEIR_INVALID, "an expression of more than %d steps; split it into two streams", STEPS_MAX));
        compiler->step_count = 0; /* what is written from here on is thrown away */
    }
    func_step *step = &compiler->steps[compiler->step_count++];
    *step = (func_step){.kind = kind, .selection = (uint16_t)selection};
    return step;
}

static uint16_t add_register(expr_compiler *compiler) {
    return (uint16_t)compiler->register_count++; /* fewer than steps and inputs together */
}

static uint16_t add_selection(expr_compiler *compiler) {
    return (uint16_t)compiler->selection_count++;
}

static uint16_t add_input(expr_compiler *compiler, func_expr_kind kind, uint32_t index, const data_vector *constant) {
    for (uint32_t i = 0; kind != FUNC_LITERAL && i < compiler->input_count; i++) {
        if (compiler->inputs[i].kind == kind && compiler->inputs[i].index == index) return (uint16_t)i;
    }
    if (compiler->input_count == INPUTS_MAX) {
        give_up(compiler, weir_fail(WEIR_INVALID, "an expression of more than %d columns and constants", INPUTS_MAX));
        compiler->input_count = 0;
    }
    compiler->inputs[compiler->input_count] = (func_input){kind, index, constant};
    return (uint16_t)compiler->input_count++;
}

/* ---- expressions ----------------------------------------------------------------------------------------------- */

static uint16_t compile(expr_compiler *compiler, const func_expr *expr, uint16_t selection);

/* ksqlDB's catch points below an operation: a CAST anywhere; a call or a dereference as an argument of a function. What
 * is widened counts as what it is made from. */
static bool is_caught(const func_expr *operand, bool of_function) {
    while (operand->kind == FUNC_CALL && func_is_widening(operand->overload)) operand = operand->arguments[0];
    if (operand->kind == FUNC_CALL) {
        if (strcmp(operand->overload->name, "CAST") == 0) return true;
        return of_function && !func_is_operator(operand->overload);
    }
    return of_function && (operand->kind == FUNC_FIELD || operand->kind == FUNC_COALESCE);
}

static uint16_t compile_caught(expr_compiler *compiler, const func_expr *operand, uint16_t selection) {
    const uint32_t slot = compiler->catch_count++;
    add_step(compiler, STEP_CATCH_BEGIN, selection)->index = slot;
    const uint16_t result = compile(compiler, operand, selection);
    func_step *end = add_step(compiler, STEP_CATCH_END, selection);
    end->index = slot;
    end->a = result;
    end->result = add_register(compiler);
    return end->result;
}

static uint16_t compile_operand(expr_compiler *compiler, const func_expr *operand, bool of_function,
                                uint16_t selection) {
    return is_caught(operand, of_function) ? compile_caught(compiler, operand, selection)
                                           : compile(compiler, operand, selection);
}

static uint16_t compile_call(expr_compiler *compiler, const func_expr *expr, uint16_t selection) {
    uint16_t arguments[FUNC_ARGUMENTS_MAX];
    const bool function = !func_is_operator(expr->overload) && !func_is_widening(expr->overload);
    weir_assert(expr->argument_count <= FUNC_ARGUMENTS_MAX);
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        const bool catches = expr->overload->flags & FUNC_CATCHES && expr->arguments[i]->argument_count > 0;
        arguments[i] = catches ? compile_caught(compiler, expr->arguments[i], selection)
                               : compile_operand(compiler, expr->arguments[i], function, selection);
    }
    func_step *step = add_step(compiler, STEP_CALL, selection);
    memcpy(step->arguments, arguments, sizeof(uint16_t) * expr->argument_count);
    step->argument_count = (uint16_t)expr->argument_count;
    step->overload = expr->overload;
    step->type = expr->type;
    step->result = add_register(compiler);
    return step->result;
}

static uint16_t compile_unary(expr_compiler *compiler, func_step_kind kind, const func_expr *expr, uint16_t selection) {
    const uint16_t operand = compile_operand(compiler, expr->arguments[0], false, selection);
    func_step *step = add_step(compiler, kind, selection);
    step->a = operand;
    step->index = expr->index;
    step->type = expr->type;
    step->result = add_register(compiler);
    return step->result;
}

static uint16_t add_new(expr_compiler *compiler, const data_type *type, uint16_t selection) {
    func_step *step = add_step(compiler, STEP_NEW, selection);
    step->type = type;
    step->result = add_register(compiler);
    return step->result;
}

static void add_copy(expr_compiler *compiler, uint16_t result, uint16_t source, uint16_t selection) {
    func_step *step = add_step(compiler, STEP_COPY, selection);
    step->a = source;
    step->result = result;
}

/* Returns the step's place, for patch_jump(). */
static uint32_t add_select(expr_compiler *compiler, func_step_kind kind, uint16_t source, uint16_t selection,
                           uint16_t *into) {
    *into = add_selection(compiler);
    func_step *step = add_step(compiler, kind, selection);
    step->a = source;
    step->into = *into;
    return (uint32_t)(step - compiler->steps);
}

static void patch_jump(expr_compiler *compiler, uint32_t at) {
    compiler->steps[at].jump = compiler->step_count;
}

/* AND: an operand decides unless it is true; OR: unless it is false; COALESCE: unless it is NULL. The next operand is
 * evaluated for the undecided rows only. A NULL operand of AND and OR decides for NULL, as Java's unboxing does. */
static uint16_t compile_chain(expr_compiler *compiler, const func_expr *expr, func_step_kind undecided,
                              bool of_function, uint16_t selection) {
    const uint16_t result = add_new(compiler, expr->type, selection);
    uint32_t *jumps = weir_arena_array(compiler->arena, uint32_t, expr->argument_count);
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        const uint16_t operand = compile_operand(compiler, expr->arguments[i], of_function, selection);
        add_copy(compiler, result, operand, selection);
        if (i + 1 < expr->argument_count) jumps[i] = add_select(compiler, undecided, operand, selection, &selection);
    }
    for (uint32_t i = 0; i + 1 < expr->argument_count; i++) patch_jump(compiler, jumps[i]);
    return result;
}

static uint16_t compile_case(expr_compiler *compiler, const func_expr *expr, uint16_t selection) {
    const uint16_t result = add_new(compiler, expr->type, selection);
    uint32_t *ends = weir_arena_array(compiler->arena, uint32_t, expr->argument_count + 1);
    uint32_t end_count = 0, i = 0;
    for (; i + 1 < expr->argument_count; i += 2) {
        uint16_t then;
        const uint16_t condition = compile_operand(compiler, expr->arguments[i], false, selection);
        const uint32_t skip = add_select(compiler, STEP_TRUE, condition, selection, &then);
        add_copy(compiler, result, compile_operand(compiler, expr->arguments[i + 1], false, then), then);
        patch_jump(compiler, skip);
        ends[end_count++] = add_select(compiler, STEP_NOT_TRUE, condition, selection, &selection);
    }
    if (i < expr->argument_count) {
        add_copy(compiler, result, compile_operand(compiler, expr->arguments[i], false, selection), selection);
    }
    while (end_count) patch_jump(compiler, ends[--end_count]);
    return result;
}

/* Lists can only be written in the order of their rows, but branches come out of order: see STEP_GATHER. */
bool func_has_lists(const data_type *type) {
    if (type->kind == DATA_ARRAY || type->kind == DATA_MAP) return true;
    for (uint32_t i = 0; type->kind == DATA_STRUCT && i < type->field_count; i++) {
        if (func_has_lists(type->fields[i].type)) return true;
    }
    return false;
}

static uint16_t compile_conditional(expr_compiler *compiler, const func_expr *expr, uint16_t selection) {
    uint16_t result = 0;
    switch (expr->kind) {
    case FUNC_AND: result = compile_chain(compiler, expr, STEP_TRUE, false, selection); break;
    case FUNC_OR: result = compile_chain(compiler, expr, STEP_FALSE, false, selection); break;
    case FUNC_COALESCE: result = compile_chain(compiler, expr, STEP_NULL, true, selection); break;
    default: result = compile_case(compiler, expr, selection); break;
    }
    if (func_has_lists(expr->type)) add_step(compiler, STEP_GATHER, selection)->result = result;
    return result;
}

static uint16_t compile(expr_compiler *compiler, const func_expr *expr, uint16_t selection) {
    if (compiler->depth == DEPTH_MAX) {
        give_up(compiler, weir_fail(WEIR_INVALID, "an expression nested more than %d levels deep", DEPTH_MAX));
        return 0;
    }
    compiler->depth++;
    uint16_t result = 0;
    switch (expr->kind) {
    case FUNC_LITERAL:
        if (expr->type)
            result = add_input(compiler, FUNC_LITERAL, 0, func_constant(compiler->arena, &expr->value));
        else
            give_up(compiler, weir_fail(WEIR_INVALID, "an untyped NULL; give it a type with CAST"));
        break;
    case FUNC_COLUMN: result = add_input(compiler, FUNC_COLUMN, expr->index, NULL); break;
    case FUNC_PSEUDO: result = add_input(compiler, FUNC_PSEUDO, expr->index, NULL); break;
    case FUNC_CALL: result = compile_call(compiler, expr, selection); break;
    case FUNC_NOT: result = compile_unary(compiler, STEP_NOT, expr, selection); break;
    case FUNC_IS_NULL: result = compile_unary(compiler, STEP_IS_NULL, expr, selection); break;
    case FUNC_FIELD: result = compile_unary(compiler, STEP_FIELD, expr, selection); break;
    default: result = compile_conditional(compiler, expr, selection); break;
    }
    compiler->depth--;
    return result;
}

/* ---- folding --------------------------------------------------------------------------------------------------- */

static weir_status compile_program(weir_arena *arena, const func_expr *expr, const data_schema *schema,
                                   const func_program **program);

/* Replaces an expression over constants by its value. One that fails stays: each row must report it. */
static const func_expr *evaluate(weir_arena *arena, const func_expr *expr) {
    static const data_schema nothing;
    const func_program *program;
    int64_t no_time = 0;
    data_vector *result;
    func_errors *errors = weir_arena_new(arena, func_errors);
    data_batch batch = {.schema = &nothing, .rows = 1, .selection = {NULL, 1}, .timestamp = &no_time, .arena = arena};
    if (weir_failed(compile_program(arena, expr, &nothing, &program))) return expr;
    if (weir_failed(func_run(program, &batch, &result, errors)) || errors->count) return expr;
    func_value value = func_value_at(result, 0);
    value.type = expr->type;
    const bool text = !value.is_null && (expr->type->kind == DATA_STRING || expr->type->kind == DATA_BYTES);
    if (text) value.text = weir_arena_bytes_copy(arena, value.text);
    return func_literal(arena, value);
}

static const func_expr *fold(weir_arena *arena, const func_expr *expr, unsigned depth) {
    if (expr->argument_count == 0 || depth == DEPTH_MAX || !expr->type) return expr;
    const func_expr **arguments = weir_arena_array(arena, const func_expr *, expr->argument_count);
    bool constant = expr->type->kind < DATA_ARRAY && expr->kind != FUNC_FIELD;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        arguments[i] = fold(arena, expr->arguments[i], depth + 1);
        constant &= arguments[i]->kind == FUNC_LITERAL && arguments[i]->type;
    }
    func_expr *folded = weir_arena_new(arena, func_expr);
    *folded = *expr;
    folded->arguments = arguments;
    if (expr->kind == FUNC_CALL && expr->overload->flags & FUNC_VOLATILE) constant = false;
    return constant ? evaluate(arena, folded) : folded;
}

/* Registers were numbered inputs from 0 and results from INPUTS_MAX: close the gap. */
static void number_registers(expr_compiler *compiler, uint16_t *result) {
    const uint32_t inputs = compiler->input_count;
    for (uint32_t i = 0; i < compiler->step_count; i++) {
        func_step *step = &compiler->steps[i];
        uint16_t *places[2] = {&step->result, &step->a};
        for (int j = 0; j < 2; j++) {
            if (*places[j] >= INPUTS_MAX) *places[j] = (uint16_t)(*places[j] - INPUTS_MAX + inputs);
        }
        for (uint32_t j = 0; j < step->argument_count; j++) {
            if (step->arguments[j] >= INPUTS_MAX)
                step->arguments[j] = (uint16_t)(step->arguments[j] - INPUTS_MAX + inputs);
        }
    }
    if (*result >= INPUTS_MAX) *result = (uint16_t)(*result - INPUTS_MAX + inputs);
}

static uint32_t count_nodes(const func_expr *expr, unsigned depth) {
    uint32_t count = 1;
    for (uint32_t i = 0; depth < DEPTH_MAX && i < expr->argument_count && count < STEPS_MAX; i++) {
        count += count_nodes(expr->arguments[i], depth + 1);
    }
    return count;
}

static weir_status compile_program(weir_arena *arena, const func_expr *expr, const data_schema *schema,
                                   const func_program **program) {
    /* Steps and inputs are collected in scratch memory and kept at their true number. */
    const uint32_t nodes = count_nodes(expr, 0);
    const uint32_t steps_max = nodes > STEPS_MAX / STEPS_PER_NODE ? STEPS_MAX : (nodes + 1) * STEPS_PER_NODE;
    const uint32_t inputs_max = nodes > INPUTS_MAX ? INPUTS_MAX : nodes + 1;
    weir_arena scratch;
    weir_arena_init(&scratch, arena->account,
                    sizeof(func_step) * STEPS_MAX + sizeof(func_input) * INPUTS_MAX + (1 << 20));
    expr_compiler compiler = {
        .arena = arena, .schema = schema, .register_count = INPUTS_MAX, .selection_count = 1, .steps_max = steps_max};
    compiler.steps = weir_arena_array(&scratch, func_step, steps_max);
    compiler.inputs = weir_arena_array(&scratch, func_input, inputs_max);
    uint16_t result = compile(&compiler, expr, 0);
    if (!weir_failed(compiler.status)) {
        number_registers(&compiler, &result);
        func_program *made = weir_arena_new(arena, func_program);
        func_step *steps = weir_arena_array(arena, func_step, compiler.step_count + 1);
        func_input *inputs = weir_arena_array(arena, func_input, compiler.input_count + 1);
        memcpy(steps, compiler.steps, sizeof *steps * compiler.step_count);
        memcpy(inputs, compiler.inputs, sizeof *inputs * compiler.input_count);
        *made = (func_program){.inputs = inputs,
                               .steps = steps,
                               .type = expr->type,
                               .input_count = compiler.input_count,
                               .step_count = compiler.step_count,
                               .selection_count = compiler.selection_count,
                               .register_count = compiler.register_count - INPUTS_MAX + compiler.input_count,
                               .catch_count = compiler.catch_count,
                               .result = result};
        *program = made;
    }
    weir_arena_deinit(&scratch);
    return compiler.status;
}

weir_status func_compile(weir_arena *arena, const func_expr *expr, const data_schema *schema,
                         const func_program **program) {
    return compile_program(arena, fold(arena, expr, 0), schema, program);
}

void func_program_columns(const func_program *program, uint64_t *column_bits) {
    for (uint32_t i = 0; i < program->input_count; i++) {
        if (program->inputs[i].kind == FUNC_COLUMN) data_bit_set(column_bits, program->inputs[i].index, true);
    }
}
