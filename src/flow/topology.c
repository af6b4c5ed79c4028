#include "flow/topology.h"

static void print_window(const flow_window *window, weir_buffer *target) {
    if (window->kind == FLOW_WINDOW_NONE) return;
    if (window->kind == FLOW_WINDOW_TUMBLING)
        weir_buffer_format(target, " window TUMBLING %lld ms", (long long)window->size_ms);
    else
        weir_buffer_format(target, " window HOPPING %lld ms advance %lld ms", (long long)window->size_ms,
                           (long long)window->advance_ms);
    weir_buffer_format(target, " grace %lld ms retention %lld ms", (long long)window->grace_ms,
                       (long long)window->retention_ms);
}

static void print_topic(const flow_topic *topic, weir_buffer *target) {
    weir_buffer_format(target, " %s key %s value %s%s", topic->name, topic->key_format, topic->value_format,
                       topic->is_table ? " table" : "");
    print_window(&topic->window, target);
}

static void print_project(const flow_node *node, weir_buffer *target) {
    for (uint32_t i = 0; i < node->schema->count; i++) {
        weir_buffer_append_text(target, i ? ", " : " ");
        func_expr_print(node->project.columns[i].expr, node->input->schema, target);
        weir_buffer_format(target, " AS %s", node->schema->columns[i].name);
    }
}

static void print_aggregate(const flow_node *node, weir_buffer *target) {
    weir_buffer_append_text(target, " by");
    for (uint32_t i = 0; i < node->aggregate.key_count; i++)
        weir_buffer_format(target, "%s %s", i ? "," : "", node->schema->columns[i].name);
    for (uint32_t i = 0; i < node->aggregate.aggregation_count; i++) {
        const flow_aggregation *aggregation = &node->aggregate.aggregations[i];
        weir_buffer_format(target, "%s %s(%s)", i ? "," : ":", aggregation->aggregate->name,
                           aggregation->argument < 0 ? "*" : node->input->schema->columns[aggregation->argument].name);
    }
    print_window(&node->aggregate.window, target);
    weir_buffer_format(target, " store %s", node->aggregate.store);
}

static void print_node(const flow_node *node, weir_buffer *target) {
    static const char *const names[] = {[FLOW_SOURCE] = "SOURCE", [FLOW_FILTER] = "FILTER", [FLOW_PROJECT] = "PROJECT",
                                        [FLOW_REPARTITION] = "REPARTITION", [FLOW_AGGREGATE] = "AGGREGATE",
                                        [FLOW_SINK] = "SINK", [FLOW_OUTPUT] = "OUTPUT"};
    weir_buffer_format(target, "%s %s", names[node->kind], node->id);
    switch (node->kind) {
    case FLOW_SOURCE:
        print_topic(&node->source.topic, target);
        if (node->source.timestamp_column >= 0)
            weir_buffer_format(target, " time %s", node->schema->columns[node->source.timestamp_column].name);
        break;
    case FLOW_FILTER:
        weir_buffer_append_byte(target, ' ');
        func_expr_print(node->filter.condition, node->input->schema, target);
        break;
    case FLOW_PROJECT: print_project(node, target); break;
    case FLOW_REPARTITION: print_topic(&node->repartition.topic, target); break;
    case FLOW_AGGREGATE: print_aggregate(node, target); break;
    case FLOW_SINK: print_topic(&node->sink.topic, target); break;
    case FLOW_OUTPUT: break;
    }
    weir_buffer_append_byte(target, '\n');
}

void flow_topology_print(const flow_topology *topology, weir_buffer *target) {
    unsigned depth = 0;
    for (const flow_node *node = topology->root; node; node = node->input, depth++) {
        for (unsigned i = 0; i < depth; i++) weir_buffer_append_text(target, "  ");
        print_node(node, target);
    }
}
