/* Executes a program over a batch: one step is one loop over the selected rows. */
#include "func/program.h"

#include <stdio.h>

typedef struct program_run {
    func_run_context context;
    const func_program *program;
    data_batch *batch;
    const data_vector **registers;
    const data_vector ***sources; /* by register: of lists under way, the vector that has each row's; else NULL */
    data_selection *selections;
    uint64_t (*caught)[DATA_BATCH_WORDS]; /* by catch slot: what was pending when it began */
} program_run;

weir_status func_no_memory(void) {
    return weir_fail(WEIR_NO_MEMORY, "evaluating an expression: the batch's memory is full");
}

weir_arena *func_run_arena(func_run_context *run) {
    return run->arena;
}

void func_row_error(func_run_context *run, uint32_t row, const char *format, ...) {
    static const char unknown[] = "an expression failed, and the batch has no memory left to say why";
    if (data_bit(run->pending, row)) return; /* the first reason is the one */
    data_bit_set(run->pending, row, true);
    if (!run->reasons) {
        run->reasons = weir_arena_try(run->arena, sizeof(char *) * DATA_BATCH_ROWS_MAX);
        if (!run->reasons) return;
        memset(run->reasons, 0, sizeof(char *) * DATA_BATCH_ROWS_MAX);
    }
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *kept = weir_arena_try(run->arena, strlen(text) + 1);
    run->reasons[row] = kept ? memcpy(kept, text, strlen(text) + 1) : unknown;
}

static size_t valid_bytes(uint32_t rows) {
    return ((size_t)rows + 63) / 64 * sizeof(uint64_t);
}

/* A flat vector for results; children only where the type has them. */
static data_vector *new_vector(program_run *executor, const data_type *type) {
    const uint32_t rows = executor->batch->rows ? executor->batch->rows : 1;
    return data_vector_create(executor->context.arena, type, rows);
}

/* The rows of `rows` for which keep(vector) holds, as a new selection. */
static weir_status select_rows(program_run *executor, const func_step *step) {
    const data_vector *vector = executor->registers[step->a];
    const data_selection *from = &executor->selections[step->selection];
    data_selection *into = &executor->selections[step->into];
    uint16_t *rows = weir_arena_try(executor->context.arena, sizeof(uint16_t) * (from->count ? from->count : 1));
    if (!rows) return func_no_memory();
    uint32_t count = 0;
    FUNC_ROWS(from, row) {
        const bool null = data_vector_is_null(vector, row);
        bool keep = null;
        if (step->kind != STEP_NULL) {
            const bool yes = !null && vector->booleans[data_vector_index(vector, row)];
            keep = step->kind == STEP_TRUE ? yes : step->kind == STEP_FALSE ? !null && !yes : !yes;
        }
        rows[count] = (uint16_t)row;
        count += keep;
    }
    *into = (data_selection){rows, count};
    return weir_ok();
}

/* ---- calls ----------------------------------------------------------------------------------------------------- */

/* Marks the selected rows valid in `result` unless an argument is NULL, and lists the rows left to the body. */
static weir_status skip_nulls(program_run *executor, const data_vector *const *arguments, uint32_t count,
                              const data_selection *selection, data_vector *result, data_selection *left) {
    const uint32_t rows = executor->batch->rows;
    const size_t words = ((size_t)rows + 63) / 64;
    bool may_be_null = false;
    for (uint32_t i = 0; i < count; i++) may_be_null |= arguments[i]->valid != NULL;
    *left = *selection;
    if (!selection->rows) {
        memset(result->valid, 0xff, valid_bytes(rows));
        if (!may_be_null) return weir_ok();
        for (uint32_t i = 0; i < count; i++) {
            const data_vector *argument = arguments[i];
            if (!argument->valid) continue;
            if (argument->constant) {
                if (!data_bit(argument->valid, 0)) memset(result->valid, 0, valid_bytes(rows));
            } else {
                for (size_t word = 0; word < words; word++) result->valid[word] &= argument->valid[word];
            }
        }
        uint64_t all = rows % 64 ? result->valid[words - 1] | ~(uint64_t)0 << (rows % 64) : ~(uint64_t)0;
        for (size_t word = 0; word + (rows % 64 != 0) < words; word++) all &= result->valid[word];
        if (all == ~(uint64_t)0) return weir_ok();
    }
    uint16_t *kept =
        weir_arena_try(executor->context.arena, sizeof(uint16_t) * (selection->count ? selection->count : 1));
    if (!kept) return func_no_memory();
    uint32_t kept_count = 0;
    FUNC_ROWS(selection, row) {
        bool null = false;
        for (uint32_t i = 0; i < count; i++) null |= data_vector_is_null(arguments[i], row);
        kept[kept_count] = (uint16_t)row;
        kept_count += !null;
        data_bit_set(result->valid, row, !null);
    }
    *left = (data_selection){kept, kept_count};
    return weir_ok();
}

static weir_status run_body(program_run *executor, const func_step *step, const data_vector *const *arguments,
                            const data_selection *selection, data_vector *result) {
    const func_overload *overload = step->overload;
    data_selection left = *selection;
    if (overload->flags & FUNC_NULLS) {
        FUNC_ROWS(selection, row) data_bit_set(result->valid, row, true);
    } else {
        WEIR_TRY(skip_nulls(executor, arguments, step->argument_count, selection, result, &left));
    }
    const bool is_list = result->type->kind == DATA_ARRAY || result->type->kind == DATA_MAP;
    executor->context.list_next = 0;
    if (left.count) {
        WEIR_TRY(overload->body(&executor->context, overload, arguments, step->argument_count, &left, result));
    }
    if (is_list && executor->batch->rows) func_list_open(&executor->context, result, executor->batch->rows - 1);
    if (result->type->kind == DATA_STRUCT) {
        while (executor->context.list_next < executor->batch->rows)
            data_vector_set_null(result, executor->context.list_next++);
    }
    return weir_ok();
}

/* All arguments are constant: one evaluation for all rows, and one error for all rows. */
static weir_status run_constant(program_run *executor, const func_step *step, const data_vector *const *arguments,
                                data_vector *result) {
    const data_selection *selection = &executor->selections[step->selection];
    if (selection->count == 0) return weir_ok();
    const uint32_t first = data_selected(selection, 0);
    const uint16_t index = (uint16_t)first;
    const data_selection one = {&index, 1};
    /* Rows fail together here, so what the first one suffered before must not hide it. */
    func_run_context *context = &executor->context;
    const bool had_failed = data_bit(context->pending, first);
    const char *earlier = had_failed && context->reasons ? context->reasons[first] : NULL;
    data_bit_set(context->pending, first, false);
    const weir_status status = run_body(executor, step, arguments, &one, result);
    const bool failed = data_bit(context->pending, first);
    const char *reason = failed && context->reasons ? context->reasons[first] : NULL;
    data_bit_set(context->pending, first, had_failed || failed);
    if (had_failed && context->reasons) context->reasons[first] = earlier;
    WEIR_TRY(status);
    if (failed) {
        FUNC_ROWS(selection, row)
        func_row_error(context, row, "%s", reason ? reason : "an expression failed");
        return weir_ok(); /* every row is NULL as it was created */
    }
    if (result->type->kind >= DATA_ARRAY) { /* nested values cannot be repeated row by row: one stands for all */
        data_vector *only = data_vector_create(executor->context.arena, result->type, 1);
        if (!only || !data_vector_copy_row(only, 0, result, first, executor->context.arena)) return func_no_memory();
        only->constant = true;
        executor->registers[step->result] = only;
        return weir_ok();
    }
    const unsigned width = data_kind_width(result->type->kind);
    const bool valid = data_bit(result->valid, first);
    uint8_t *values = result->values;
    FUNC_ROWS(selection, row) {
        data_bit_set(result->valid, row, valid);
        if (row != first) memcpy(values + (size_t)row * width, values + (size_t)first * width, width);
    }
    return weir_ok();
}

/* A row that failed has no value. */
static void drop_failed(program_run *executor, data_vector *result) {
    for (size_t word = 0; word < ((size_t)executor->batch->rows + 63) / 64; word++) {
        result->valid[word] &= ~executor->context.pending[word];
    }
}

static weir_status run_call(program_run *executor, const func_step *step) {
    const data_vector *arguments[FUNC_ARGUMENTS_MAX];
    bool constant = !(step->overload->flags & FUNC_VOLATILE);
    for (uint32_t i = 0; i < step->argument_count; i++) {
        arguments[i] = executor->registers[step->arguments[i]];
        constant &= arguments[i]->constant;
    }
    data_vector *result = new_vector(executor, step->type);
    if (!result) return func_no_memory();
    executor->registers[step->result] = result;
    if (constant) {
        WEIR_TRY(run_constant(executor, step, arguments, result));
        if (executor->registers[step->result] != result) return weir_ok();
    } else {
        WEIR_TRY(run_body(executor, step, arguments, &executor->selections[step->selection], result));
    }
    drop_failed(executor, result);
    return weir_ok();
}

/* ---- the other steps ------------------------------------------------------------------------------------------- */

static weir_status run_boolean(program_run *executor, const func_step *step) {
    const data_vector *a = executor->registers[step->a];
    data_vector *result = new_vector(executor, step->type);
    if (!result) return func_no_memory();
    FUNC_ROWS(&executor->selections[step->selection], row) {
        const bool null = data_vector_is_null(a, row);
        data_bit_set(result->valid, row, step->kind == STEP_IS_NULL || !null);
        result->booleans[row] = step->kind == STEP_IS_NULL ? null : !a->booleans[data_vector_index(a, row)];
    }
    drop_failed(executor, result);
    executor->registers[step->result] = result;
    return weir_ok();
}

static weir_status run_field(program_run *executor, const func_step *step) {
    const data_vector *record = executor->registers[step->a];
    data_vector *field = weir_arena_try(executor->context.arena, sizeof *field);
    if (!field) return func_no_memory();
    *field = record->children[step->index]; /* a NULL struct's fields are NULL */
    field->constant |= record->constant;
    executor->registers[step->result] = field;
    return weir_ok();
}

static weir_status run_copy(program_run *executor, const func_step *step) {
    data_vector *result = (data_vector *)(uintptr_t)executor->registers[step->result]; /* made by STEP_NEW */
    const data_vector *source = executor->registers[step->a];
    const data_vector **sources = executor->sources[step->result];
    const unsigned width = data_kind_width(result->type->kind);
    if (sources) {
        FUNC_ROWS(&executor->selections[step->selection], row) sources[row] = source;
        return weir_ok();
    }
    if (result->type->kind == DATA_STRUCT) {
        FUNC_ROWS(&executor->selections[step->selection], row) {
            if (!data_vector_copy_row(result, row, source, row, executor->context.arena)) return func_no_memory();
        }
        return weir_ok();
    }
    /* Text views are copied as they are: both vectors live as long as the batch. */
    FUNC_ROWS(&executor->selections[step->selection], row) {
        const uint32_t from = data_vector_index(source, row);
        data_bit_set(result->valid, row, !data_vector_is_null(source, row));
        memcpy((uint8_t *)result->values + (size_t)row * width, (const uint8_t *)source->values + (size_t)from * width,
               width);
    }
    return weir_ok();
}

static weir_status run_new(program_run *executor, const func_step *step) {
    executor->registers[step->result] = new_vector(executor, step->type);
    if (!executor->registers[step->result]) return func_no_memory();
    if (!func_has_lists(step->type)) return weir_ok();
    const size_t bytes = sizeof(data_vector *) * (executor->batch->rows ? executor->batch->rows : 1);
    executor->sources[step->result] = weir_arena_try(executor->context.arena, bytes);
    if (!executor->sources[step->result]) return func_no_memory();
    memset(executor->sources[step->result], 0, bytes);
    return weir_ok();
}

static weir_status run_gather(program_run *executor, const func_step *step) {
    data_vector *result = (data_vector *)(uintptr_t)executor->registers[step->result]; /* made by STEP_NEW */
    const data_vector **sources = executor->sources[step->result];
    for (uint32_t row = 0; row < executor->batch->rows; row++) {
        if (!sources[row])
            data_vector_set_null(result, row);
        else if (!data_vector_copy_row(result, row, sources[row], row, executor->context.arena))
            return func_no_memory();
    }
    return weir_ok();
}

/* The same vector with the rows of `failed` NULL; the source may be shared and stays as it is. NULL: no memory. */
static const data_vector *without(program_run *executor, const data_vector *source, const uint64_t *failed) {
    const uint32_t rows = executor->batch->rows;
    data_vector *result = weir_arena_try(executor->context.arena, sizeof *result);
    uint64_t *valid = weir_arena_try(executor->context.arena, valid_bytes(rows));
    if (!result || !valid) return NULL;
    if (source->constant) { /* no longer the same for all rows */
        result = new_vector(executor, source->type);
        if (!result) return NULL;
        for (uint32_t row = 0; row < rows; row++) {
            if (data_bit(failed, row))
                data_vector_set_null(result, row);
            else if (!data_vector_copy_row(result, row, source, row, executor->context.arena))
                return NULL;
        }
        return result;
    }
    *result = *source;
    result->valid = valid;
    if (source->valid)
        memcpy(valid, source->valid, valid_bytes(rows));
    else
        memset(valid, 0xff, valid_bytes(rows));
    for (size_t word = 0; word < ((size_t)rows + 63) / 64; word++) valid[word] &= ~failed[word];
    return result;
}

static weir_status run_catch_end(program_run *executor, const func_step *step) {
    func_run_context *context = &executor->context;
    const uint64_t *before = executor->caught[step->index];
    uint64_t failed[DATA_BATCH_WORDS];
    uint32_t count = 0;
    for (size_t word = 0; word < DATA_BATCH_WORDS; word++) {
        failed[word] = context->pending[word] & ~before[word];
        context->pending[word] &= before[word];
        count += (uint32_t)__builtin_popcountll(failed[word]);
    }
    executor->registers[step->result] = executor->registers[step->a];
    if (count == 0) return weir_ok();
    context->caught += count;
    executor->registers[step->result] = without(executor, executor->registers[step->a], failed);
    return executor->registers[step->result] ? weir_ok() : func_no_memory();
}

static weir_status run_step(program_run *executor, const func_step *step) {
    switch (step->kind) {
    case STEP_CALL: return run_call(executor, step);
    case STEP_NOT:
    case STEP_IS_NULL: return run_boolean(executor, step);
    case STEP_FIELD: return run_field(executor, step);
    case STEP_NEW: return run_new(executor, step);
    case STEP_COPY: return run_copy(executor, step);
    case STEP_GATHER: return run_gather(executor, step);
    case STEP_CATCH_BEGIN:
        memcpy(executor->caught[step->index], executor->context.pending, sizeof executor->context.pending);
        return weir_ok();
    case STEP_CATCH_END: return run_catch_end(executor, step);
    default: return select_rows(executor, step);
    }
}

static weir_status run_steps(program_run *executor) {
    for (uint32_t at = 0; at < executor->program->step_count;) {
        const func_step *step = &executor->program->steps[at++];
        WEIR_TRY(run_step(executor, step));
        const bool selects = step->kind >= STEP_TRUE && step->kind <= STEP_NULL;
        if (selects && executor->selections[step->into].count == 0) at = step->jump;
    }
    return weir_ok();
}

/* ---- a program ------------------------------------------------------------------------------------------------- */

static data_vector *pseudo_vector(program_run *executor, uint32_t which) {
    const data_batch *batch = executor->batch;
    data_vector *vector = weir_arena_try(executor->context.arena, sizeof *vector);
    if (!vector) return NULL;
    *vector = (data_vector){.type = data_type_of(which == FUNC_ROWPARTITION ? DATA_INT : DATA_BIGINT)};
    switch ((func_pseudo)which) {
    case FUNC_ROWTIME: vector->bigints = batch->timestamp; break;
    case FUNC_ROWPARTITION: vector->ints = batch->partition; break;
    case FUNC_ROWOFFSET: vector->bigints = batch->offset; break;
    case FUNC_WINDOWSTART: vector->bigints = batch->window_start; break;
    case FUNC_WINDOWEND: vector->bigints = batch->window_end; break;
    }
    if (vector->values) return vector;
    vector = data_vector_create(executor->context.arena, vector->type, 1); /* rows without windows: NULL */
    if (vector) vector->constant = true;
    return vector;
}

static weir_status load_inputs(program_run *executor) {
    const func_program *program = executor->program;
    for (uint32_t i = 0; i < program->input_count; i++) {
        const func_input *input = &program->inputs[i];
        if (input->kind == FUNC_LITERAL) {
            executor->registers[i] = input->constant;
        } else if (input->kind == FUNC_COLUMN) {
            executor->registers[i] = executor->batch->columns[input->index];
            weir_assert(executor->registers[i] != NULL); /* func_program_columns() said that it is needed */
        } else {
            executor->registers[i] = pseudo_vector(executor, input->index);
            if (!executor->registers[i]) return func_no_memory();
        }
    }
    return weir_ok();
}

static bool executor_init(program_run *executor, const func_program *program, data_batch *batch) {
    weir_arena *arena = batch->arena;
    memset(&executor->context, 0, sizeof executor->context);
    executor->context.arena = arena;
    executor->context.rows = batch->rows;
    executor->program = program;
    executor->batch = batch;
    executor->registers = weir_arena_try(arena, sizeof(data_vector *) * (program->register_count + 1));
    executor->sources = weir_arena_try(arena, sizeof(data_vector **) * (program->register_count + 1));
    executor->selections = weir_arena_try(arena, sizeof(data_selection) * program->selection_count);
    executor->caught = weir_arena_try(arena, sizeof(uint64_t[DATA_BATCH_WORDS]) * (program->catch_count + 1));
    if (!executor->registers || !executor->sources || !executor->selections || !executor->caught) return false;
    memset(executor->sources, 0, sizeof(data_vector **) * (program->register_count + 1));
    executor->selections[0] = batch->selection;
    return true;
}

static void report_errors(const program_run *executor, func_errors *errors) {
    const func_run_context *context = &executor->context;
    memcpy(errors->bits, context->pending, sizeof errors->bits);
    for (size_t word = 0; word < DATA_BATCH_WORDS; word++)
        errors->count += (uint32_t)__builtin_popcountll(errors->bits[word]);
    errors->reasons = context->reasons;
    errors->caught = context->caught;
}

weir_status func_run(const func_program *program, data_batch *batch, data_vector **result, func_errors *errors) {
    program_run executor;
    *errors = (func_errors){0};
    if (!executor_init(&executor, program, batch)) return func_no_memory();
    WEIR_TRY(load_inputs(&executor));
    WEIR_TRY(run_steps(&executor));
    *result = (data_vector *)(uintptr_t)executor.registers[program->result];
    report_errors(&executor, errors);
    if (errors->count == 0) return weir_ok();
    if (!errors->reasons) return func_no_memory();
    /* Errors reached the root: those rows have no value, whatever the steps above made of them. */
    *result = (data_vector *)(uintptr_t)without(&executor, *result, errors->bits);
    return *result ? weir_ok() : func_no_memory();
}

weir_status func_filter(const func_program *program, data_batch *batch, func_errors *errors) {
    data_vector *result;
    weir_assert(program->type->kind == DATA_BOOLEAN);
    WEIR_TRY(func_run(program, batch, &result, errors));
    uint16_t *rows =
        weir_arena_try(batch->arena, sizeof(uint16_t) * (batch->selection.count ? batch->selection.count : 1));
    if (!rows) return func_no_memory();
    uint32_t count = 0;
    FUNC_ROWS(&batch->selection, row) {
        rows[count] = (uint16_t)row;
        count += !data_vector_is_null(result, row) && result->booleans[data_vector_index(result, row)];
    }
    if (count < batch->selection.count) batch->selection = (data_selection){rows, count};
    return weir_ok();
}
