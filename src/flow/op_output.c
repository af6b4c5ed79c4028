/* OUTPUT: hands batches to a push query's subscriber, or to a pull read. */
#include "flow/flow_int.h"

typedef struct output {
    data_operator base;
    flow_context *context;
} output;

static weir_status process(data_operator *base, unsigned input, data_batch *batch) {
    (void)input;
    flow_context *context = ((output *)base)->context;
    bool goes_on;
    if (context->read) {
        goes_on = context->read->on_batch(context->read, batch);
    } else {
        context->counts.rows_out += batch->selection.count;
        goes_on = !context->events->on_batch || context->events->on_batch(context->events->arg, batch);
    }
    data_batch_release(batch);
    return goes_on ? weir_ok()
                   : weir_fail(WEIR_CANCELLED, "the reader of %s has enough", context->plan->topology->query_id);
}

static void destroy(data_operator *base) {
    output *self = (output *)base;
    weir_free(self->context->account, self);
}

static const data_operator_vtable vtable = {.name = "OUTPUT", .process = process, .destroy = destroy};

weir_status flow_output_create(flow_context *context, const flow_step *step, data_operator **made) {
    output *self = weir_alloc(context->account, sizeof *self);
    *self = (output){.base = {.vtable = &vtable, .id = step->node->id}, .context = context};
    *made = &self->base;
    return weir_ok();
}
