/* Topology -> plan: checked, with compiled programs, and knowing which columns each step must deliver. */
#include "flow/flow_int.h"

#include <stdio.h>

format_spec flow_topic_spec(const flow_topic *topic, data_role role) {
    const bool is_key = role == DATA_ROLE_KEY;
    return (format_spec){.schema = topic->schema, .role = role,
                         .options = is_key ? topic->key_options : topic->value_options,
                         .option_count = is_key ? topic->key_option_count : topic->value_option_count};
}

static weir_status check_format(const flow_topic *topic, data_role role) {
    const format_vtable *format;
    const char *name = role == DATA_ROLE_KEY ? topic->key_format : topic->value_format;
    WEIR_TRY(format_find(name, &format));
    const format_spec spec = flow_topic_spec(topic, role);
    return format->supports(&spec);
}

weir_status flow_topic_check(const flow_topic *topic) {
    WEIR_TRY(weir_context(check_format(topic, DATA_ROLE_KEY), "key of topic %s", topic->name));
    return weir_context(check_format(topic, DATA_ROLE_VALUE), "value of topic %s", topic->name);
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static weir_status check_schema(const flow_node *node) {
    if (node->schema->count > FLOW_COLUMN_WORDS * 64)
        return weir_fail(WEIR_UNSUPPORTED, "%s has %u columns, allowed %d", node->id, node->schema->count,
                         FLOW_COLUMN_WORDS * 64);
    for (uint32_t i = 0; i < node->schema->count; i++) {
        const data_role role = node->schema->columns[i].role;
        if (role != DATA_ROLE_KEY && role != DATA_ROLE_VALUE)
            return weir_fail(WEIR_UNSUPPORTED, "column %s of %s reads record headers, which is not supported yet",
                             node->schema->columns[i].name, node->id);
    }
    return weir_ok();
}

static bool passes_key(const flow_node *node) {
    const data_schema *input = node->input->schema;
    if (node->schema->key_count != input->key_count) return false;
    for (uint32_t i = 0; i < input->key_count; i++) {
        const func_expr *expr = node->project.columns[i].expr;
        if (expr->kind != FUNC_COLUMN || expr->index != i) return false;
    }
    return true;
}

static weir_status prepare_project(weir_arena *arena, flow_step *step) {
    const flow_node *node = step->node;
    const uint32_t count = node->schema->count;
    step->columns = weir_arena_array(arena, const func_program *, count ? count : 1);
    step->keeps_key = passes_key(node);
    if (node->is_table && !step->keeps_key)
        return weir_fail(WEIR_INVALID, "%s would change the key of a table", node->id);
    for (uint32_t i = 0; i < count; i++) {
        if (flow_column_wanted(&step->emits, i))
            WEIR_TRY(func_compile(arena, node->project.columns[i].expr, node->input->schema, &step->columns[i]));
    }
    return weir_ok();
}

/* FNV-1a over what the meaning of the states depends on: stored in snapshots, so it must not change with the process.
 */
static uint64_t fingerprint(uint64_t hash, weir_bytes bytes) {
    for (size_t i = 0; i < bytes.size; i++) hash = (hash ^ bytes.data[i]) * 0x100000001B3ull;
    return (hash ^ 0xFF) * 0x100000001B3ull;
}

static weir_status prepare_aggregate(flow_step *step) {
    const flow_node *node = step->node;
    flow_layout *layout = &step->layout;
    if (node->input->is_table)
        return weir_fail(WEIR_UNSUPPORTED, "%s groups a table; only streams can be grouped yet", node->id);
    if (node->aggregate.key_count != node->input->schema->key_count || node->aggregate.key_count == 0 ||
        node->schema->key_count != node->aggregate.key_count)
        return weir_fail(WEIR_INVALID, "%s groups by %u columns, its input has %u key columns", node->id,
                         node->aggregate.key_count, node->input->schema->key_count);
    if (node->aggregate.aggregation_count > FLOW_AGGREGATIONS_MAX ||
        node->schema->count != node->aggregate.key_count + node->aggregate.aggregation_count)
        return weir_fail(WEIR_INVALID, "%s has %u aggregates for %u columns, allowed %d", node->id,
                         node->aggregate.aggregation_count, node->schema->count, FLOW_AGGREGATIONS_MAX);
    layout->fingerprint = 0xCBF29CE484222325ull;
    uint32_t at = 0;
    for (uint32_t i = 0; i < node->aggregate.aggregation_count; i++) {
        const func_aggregate *aggregate = node->aggregate.aggregations[i].aggregate;
        /* A state whose size is a multiple of 16 may hold 128-bit numbers. */
        const uint32_t alignment = aggregate->state_bytes % 16 == 0 ? 16 : 8;
        at = (at + alignment - 1) / alignment * alignment;
        layout->offsets[i] = at;
        at += aggregate->state_bytes;
        layout->fingerprint = fingerprint(layout->fingerprint, weir_bytes_text(aggregate->name));
        layout->fingerprint = fingerprint(layout->fingerprint, weir_bytes_text(aggregate->argument));
        layout->fingerprint = fingerprint(layout->fingerprint, weir_bytes_of(&layout->offsets[i], sizeof(uint32_t)));
    }
    layout->state_bytes = (at + 7) / 8 * 8;
    const flow_window *window = &node->aggregate.window;
    const int64_t times[3] = {window->kind == FLOW_WINDOW_NONE ? 0 : 1, window->size_ms, window->advance_ms};
    layout->fingerprint = fingerprint(layout->fingerprint, weir_bytes_of(times, sizeof times));
    if (window->kind != FLOW_WINDOW_NONE && (window->size_ms <= 0 || window->advance_ms <= 0 ||
                                             window->advance_ms > window->size_ms || window->grace_ms < 0))
        return weir_fail(WEIR_INVALID, "%s has a window of %lld ms, advance %lld ms, grace %lld ms", node->id,
                         (long long)window->size_ms, (long long)window->advance_ms, (long long)window->grace_ms);
    return weir_ok();
}

/* A STRING column with a pattern is parsed by the function that SQL has for it. */
static weir_status prepare_source(weir_arena *arena, flow_step *step) {
    const flow_node *node = step->node;
    const int32_t column = node->source.timestamp_column;
    if (column < 0) return weir_ok();
    if ((uint32_t)column >= node->schema->count)
        return weir_fail(WEIR_INVALID, "%s takes time from column %d of %u", node->id, column, node->schema->count);
    const data_type *type = node->schema->columns[column].type;
    if (type->kind != DATA_BIGINT && type->kind != DATA_TIMESTAMP && type->kind != DATA_STRING)
        return weir_fail(WEIR_INVALID, "column %s cannot be a source's time; BIGINT, TIMESTAMP and STRING can",
                         node->schema->columns[column].name);
    if (type->kind != DATA_STRING || !node->source.timestamp_format) return weir_ok();
    func_expr *text = weir_arena_new(arena, func_expr), *pattern = weir_arena_new(arena, func_expr);
    *text = (func_expr){.kind = FUNC_COLUMN, .type = type, .index = (uint32_t)column};
    *pattern = (func_expr){
        .kind = FUNC_LITERAL,
        .type = data_type_of(DATA_STRING),
        .value = {.type = data_type_of(DATA_STRING), .text = weir_bytes_text(node->source.timestamp_format)}};
    const func_expr *arguments[2] = {text, pattern}, *call;
    WEIR_TRY(func_call(arena, "PARSE_TIMESTAMP", arguments, 2, &call));
    return func_compile(arena, call, node->schema, &step->timestamp);
}

static weir_status prepare_step(weir_arena *arena, flow_step *step) {
    const flow_node *node = step->node;
    WEIR_TRY(check_schema(node));
    switch (node->kind) {
    case FLOW_SOURCE:
        WEIR_TRY(flow_topic_check(&node->source.topic));
        return prepare_source(arena, step);
    case FLOW_FILTER: return func_compile(arena, node->filter.condition, node->input->schema, &step->condition);
    case FLOW_PROJECT: return prepare_project(arena, step);
    case FLOW_REPARTITION: return flow_topic_check(&node->repartition.topic);
    case FLOW_AGGREGATE: return prepare_aggregate(step);
    case FLOW_SINK: return flow_topic_check(&node->sink.topic);
    case FLOW_OUTPUT: break;
    }
    return weir_ok();
}

/* ---- who reads what ---------------------------------------------------------------------------------------------- */

static void want_all(flow_columns *columns, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) data_bit_set(columns->bits, i, true);
}

/* What `step` reads of its input's rows. Runs after step itself was prepared. */
static void wants_of(const flow_step *step, flow_step *input) {
    const flow_node *node = step->node;
    switch (node->kind) {
    case FLOW_SOURCE: break;
    case FLOW_FILTER:
        input->emits = step->emits;
        func_program_columns(step->condition, input->emits.bits);
        input->emits_old = node->is_table;
        break;
    case FLOW_PROJECT:
        for (uint32_t i = 0; i < node->schema->count; i++) {
            if (step->columns[i]) func_program_columns(step->columns[i], input->emits.bits);
        }
        input->emits_old = step->emits_old;
        break;
    case FLOW_AGGREGATE:
        want_all(&input->emits, node->aggregate.key_count);
        for (uint32_t i = 0; i < node->aggregate.aggregation_count; i++) {
            if (node->aggregate.aggregations[i].argument >= 0)
                data_bit_set(input->emits.bits, (uint32_t)node->aggregate.aggregations[i].argument, true);
        }
        break;
    case FLOW_REPARTITION:
    case FLOW_SINK:
    case FLOW_OUTPUT: want_all(&input->emits, input->node->schema->count); break;
    }
    /* Keys travel with every row, and cost little. */
    want_all(&input->emits, input->node->schema->key_count);
    if (input->node->kind == FLOW_SOURCE && input->node->source.timestamp_column >= 0)
        data_bit_set(input->emits.bits, (uint32_t)input->node->source.timestamp_column, true);
}

static weir_status check_shape(const flow_topology *topology, uint32_t *count) {
    const flow_node *root = topology->root;
    if (root->kind != FLOW_SINK && root->kind != FLOW_OUTPUT)
        return weir_fail(WEIR_INVALID, "the topology of %s does not end in a sink", topology->query_id);
    uint32_t steps = 0, aggregates = 0;
    for (const flow_node *node = root; node; node = node->input) {
        if (++steps > FLOW_STEPS_MAX)
            return weir_fail(WEIR_UNSUPPORTED, "the topology of %s has more than %d nodes", topology->query_id,
                             FLOW_STEPS_MAX);
        if ((node->kind == FLOW_SOURCE) != (node->input == NULL))
            return weir_fail(WEIR_INVALID, "node %s of %s has no source", node->id, topology->query_id);
        aggregates += node->kind == FLOW_AGGREGATE;
    }
    if (aggregates > 1)
        return weir_fail(WEIR_UNSUPPORTED, "%s aggregates twice; use a second query for the second",
                         topology->query_id);
    *count = steps;
    return weir_ok();
}

weir_status flow_plan_create(weir_arena *arena, const flow_topology *topology, flow_plan *plan) {
    *plan = (flow_plan){.topology = topology};
    uint32_t count = 0;
    WEIR_TRY(check_shape(topology, &count));
    flow_step *steps = weir_arena_array(arena, flow_step, count);
    uint32_t at = count;
    for (const flow_node *node = topology->root; node; node = node->input) steps[--at].node = node;
    for (at = count; at-- > 0;) {
        WEIR_TRY(weir_context(prepare_step(arena, &steps[at]), "%s", topology->query_id));
        if (at > 0) wants_of(&steps[at], &steps[at - 1]);
    }
    plan->subs[0] = (flow_sub){.steps = steps, .step_count = count, .input = &steps[0].node->source.topic};
    plan->sub_count = 1;
    return weir_ok();
}

/* ---- cutting ----------------------------------------------------------------------------------------------------- */

static void finish_sub(const flow_plan *plan, flow_sub *sub) {
    sub->aggregate = NULL;
    for (uint32_t i = 0; i < sub->step_count; i++) {
        if (sub->steps[i].node->kind == FLOW_AGGREGATE) sub->aggregate = &sub->steps[i];
    }
    const flow_node *first = sub->steps[0].node, *last = sub->steps[sub->step_count - 1].node;
    sub->has_commit = plan->topology->group || last->kind != FLOW_OUTPUT ||
                      (first->kind == FLOW_SOURCE && first->source.quarantine_topic) ||
                      (sub->aggregate && sub->aggregate->node->aggregate.changelog_topic);
}

/* A repartition that keeps everything in one partition is left out: its step is removed from the chain. */
static void remove_repartitions(flow_sub *sub) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sub->step_count; i++) {
        if (sub->steps[i].node->kind != FLOW_REPARTITION) sub->steps[kept++] = sub->steps[i];
    }
    sub->step_count = kept;
}

weir_status flow_plan_cut(weir_arena *arena, flow_plan *plan, int32_t source_partitions) {
    flow_sub rest = plan->subs[0];
    if (source_partitions == 1) remove_repartitions(&rest);
    plan->sub_count = 0;
    for (;;) {
        if (plan->sub_count == FLOW_SUBS_MAX)
            return weir_fail(WEIR_UNSUPPORTED, "%s repartitions more than %d times", plan->topology->query_id,
                             FLOW_SUBS_MAX - 1);
        uint32_t last = 1; /* step 0 reads, whatever its kind */
        while (last + 1 < rest.step_count && rest.steps[last].node->kind != FLOW_REPARTITION) last++;
        const flow_node *first = rest.steps[0].node;
        flow_sub *sub = &plan->subs[plan->sub_count];
        *sub = (flow_sub){.steps = rest.steps, .step_count = last + 1, .partition_count = source_partitions,
                          .input = first->kind == FLOW_SOURCE ? &first->source.topic : &first->repartition.topic,
                          .is_first = plan->sub_count == 0, .is_last = last + 1 == rest.step_count};
        finish_sub(plan, sub);
        plan->sub_count++;
        if (sub->is_last) return weir_ok();
        /* The repartition ends this sub-topology and begins the next one. */
        const uint32_t count = rest.step_count - last;
        flow_step *next = weir_arena_array(arena, flow_step, count);
        memcpy(next, rest.steps + last, count * sizeof *next);
        rest = (flow_sub){.steps = next, .step_count = count};
    }
}
