/* The operators of one task, or of one read, linked; and what operators share. */
#include "flow/flow_int.h"

void flow_row_error(flow_context *context, weir_code code, const char *format, ...) {
    if (!context->row_error) return;
    va_list args;
    va_start(args, format);
    weir_error_set(context->row_error, weir_vfail(code, format, args));
    va_end(args);
}

uint16_t *flow_selection_new(data_batch *batch, uint32_t count) {
    return weir_arena_try(batch->arena, (count ? count : 1) * sizeof(uint16_t));
}

weir_status flow_no_memory(const char *what) {
    return weir_fail(WEIR_NO_MEMORY, "no memory left in the task for %s", what);
}

weir_status flow_run_over(const func_program *program, data_batch *batch, data_vector **columns,
                          data_selection selection, data_vector **result, func_errors *errors) {
    data_vector **const own_columns = batch->columns;
    const data_selection own_selection = batch->selection;
    batch->columns = columns;
    batch->selection = selection;
    const weir_status status = func_run(program, batch, result, errors);
    batch->columns = own_columns;
    batch->selection = own_selection;
    return status;
}

static weir_status create(flow_context *context, const flow_step *step, bool is_first, bool as_rows,
                          data_operator **made) {
    switch (step->node->kind) {
    case FLOW_SOURCE: return flow_source_create(context, step, made);
    case FLOW_FILTER: return flow_filter_create(context, step, as_rows, made);
    case FLOW_PROJECT: return flow_project_create(context, step, made);
    case FLOW_REPARTITION:
        return is_first ? flow_source_create(context, step, made) : flow_sink_create(context, step, made);
    case FLOW_AGGREGATE: return flow_aggregate_create(context, step, made);
    case FLOW_SINK: return as_rows ? flow_output_create(context, step, made) : flow_sink_create(context, step, made);
    case FLOW_OUTPUT: break;
    }
    return flow_output_create(context, step, made);
}

static weir_status link_steps(flow_context *context, flow_chain *chain, uint32_t from, bool as_rows) {
    const flow_sub *sub = context->sub;
    for (uint32_t i = from; i < sub->step_count; i++) {
        data_operator *made;
        WEIR_TRY(create(context, &sub->steps[i], i == 0, as_rows, &made));
        chain->operators[chain->count++] = made;
        if (sub->steps[i].node->kind == FLOW_AGGREGATE) chain->aggregate = made;
        if (chain->count < 2) continue;
        data_operator *above = chain->operators[chain->count - 2];
        above->targets[0] = made;
        above->target_count = 1;
    }
    return weir_ok();
}

weir_status flow_chain_create(flow_context *context, flow_chain *chain) {
    *chain = (flow_chain){0};
    return link_steps(context, chain, 0, false);
}

weir_status flow_chain_create_read(flow_context *context, flow_chain *chain) {
    *chain = (flow_chain){0};
    return link_steps(context, chain, (uint32_t)(context->sub->aggregate - context->sub->steps) + 1, true);
}

void flow_chain_destroy(flow_chain *chain) {
    while (chain->count > 0) {
        data_operator *last = chain->operators[--chain->count];
        last->vtable->destroy(last);
    }
    chain->aggregate = NULL;
}
