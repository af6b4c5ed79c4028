/* What holds after a run: sources with their columns and formats, and topics. */
#include "probe/probe_int.h"

#include <regex.h>
#include <stdio.h>
#include <strings.h>

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcasecmp(a, b) == 0);
}

/* ---- sources ----------------------------------------------------------------------------------------------------- */

/* The columns that "A INT KEY, B STRING" declares, read as a source of that kind would declare them. */
static const data_schema *declared_columns(probe_run *run, const char *columns, bool is_table) {
    char *keyed = weir_arena_text_copy(&run->arena, columns);
    (void)is_table;
    const char *script = weir_arena_format(
        &run->arena, "CREATE STREAM probe_columns (%s) WITH (kafka_topic='t', format='JSON');", keyed);
    for (char *at; (at = strstr((char *)(uintptr_t)script, "PRIMARY KEY")) != NULL;) memcpy(at, "        KEY", 11);
    sql_catalog *empty = sql_catalog_create(&run->account);
    uint32_t at = 0;
    sql_piece piece;
    sql_error error = {0};
    const sql_plan *plan = NULL;
    const bool split = sql_split(weir_bytes_text(script), &at, &piece);
    const sql_plan_input input = {.script = weir_bytes_text(script), .piece = piece, .catalog = empty,
                                  .properties = run->properties, .property_count = run->property_count};
    const bool made = split && sql_plan_make(&run->arena, &input, &plan, &error);
    sql_catalog_destroy(empty);
    if (!made) {
        probe_fail(run, "post condition: columns %s: %s", columns, error.message);
        return NULL;
    }
    return plan->source->schema;
}

static bool same_columns(const data_schema *a, const data_schema *b) {
    if (a->count != b->count) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const data_column *x = &a->columns[i], *y = &b->columns[i];
        if (strcmp(x->name, y->name) != 0 || x->role != y->role || !data_type_equal(x->type, y->type)) return false;
    }
    return true;
}

static const char *columns_text(probe_run *run, const data_schema *schema) {
    weir_buffer_clear(&run->text);
    for (uint32_t i = 0; i < schema->count; i++) {
        weir_buffer_format(&run->text, "%s%s ", i ? ", " : "", schema->columns[i].name);
        data_type_print(schema->columns[i].type, &run->text);
        if (schema->columns[i].role == DATA_ROLE_KEY) weir_buffer_append_text(&run->text, " KEY");
    }
    return weir_buffer_text(&run->text);
}

static bool compare_formats(probe_run *run, const data_json *wanted, const sql_source *source) {
    static const char *const windows[] = {
        [SQL_WINDOW_NONE] = NULL, [SQL_WINDOW_TUMBLING] = "TUMBLING", [SQL_WINDOW_HOPPING] = "HOPPING"};
    const data_json *key = data_json_member(wanted, "keyFormat");
    const char *format = data_json_text(&run->arena, key, "format", NULL);
    if (format && !same_text(format, source->key_format))
        return probe_fail(run, "source %s has the key format %s, expected %s", source->name, source->key_format,
                          format);
    if (!data_json_is_null(key) &&
        !same_text(data_json_text(&run->arena, key, "windowType", NULL), windows[source->window]))
        return probe_fail(run, "source %s has another kind of window", source->name);
    const char *value = data_json_text(&run->arena, wanted, "valueFormat", NULL);
    if (value && !same_text(value, source->value_format))
        return probe_fail(run, "source %s has the value format %s, expected %s", source->name, source->value_format,
                          value);
    return true;
}

static bool compare_source(probe_run *run, const data_json *wanted) {
    const char *name = data_json_text(&run->arena, wanted, "name", "");
    const sql_source *source = sql_catalog_source(run->catalog, name);
    if (!source) return probe_fail(run, "there is no source %s", name);
    const char *type = data_json_text(&run->arena, wanted, "type", NULL);
    if (type && (strcasecmp(type, "table") == 0) != source->is_table)
        return probe_fail(run, "source %s is no %s", name, type);
    const char *columns = data_json_text(&run->arena, wanted, "schema", NULL);
    if (columns) {
        const data_schema *schema = declared_columns(run, columns, source->is_table);
        if (!schema) return false;
        if (!same_columns(schema, source->schema))
            return probe_fail(run, "source %s has the columns %s; expected %s", name, columns_text(run, source->schema),
                              columns);
    }
    return compare_formats(run, wanted, source);
}

/* ---- topics ------------------------------------------------------------------------------------------------------ */

static bool is_forbidden(probe_run *run, const regex_t *pattern, const char *topic) {
    if (!topic || regexec(pattern, topic, 0, NULL, 0) != 0) return false;
    probe_fail(run, "topic %s may not be", topic);
    return true;
}

static bool compare_blacklist(probe_run *run, const char *pattern_text) {
    regex_t pattern;
    if (regcomp(&pattern, pattern_text, REG_EXTENDED | REG_NOSUB) != 0)
        return probe_broken(run, "the blacklist %s is no pattern", pattern_text);
    bool found = false;
    for (size_t i = 0; bus_memory_topic_at(run->memory, i); i++) {
        const char *name = bus_memory_topic_at(run->memory, i);
        found = found || is_forbidden(run, &pattern, name);
    }
    for (uint32_t i = 0; i < run->query_count; i++) {
        for (const flow_node *node = run->queries[i].topology->root; node; node = node->input) {
            const char *name = node->kind == FLOW_REPARTITION ? node->repartition.topic.name : NULL;
            found = found || is_forbidden(run, &pattern, name);
        }
    }
    regfree(&pattern);
    return !found;
}

static const char *format_of(probe_run *run, const data_json *topic, const char *name) {
    const data_json *format = data_json_member(topic, name);
    if (format && format->kind == DATA_JSON_OBJECT) return data_json_text(&run->arena, format, "format", NULL);
    return data_json_text(&run->arena, topic, name, NULL);
}

static bool compare_topic(probe_run *run, const data_json *wanted) {
    const char *name = data_json_text(&run->arena, wanted, "name", "");
    const char *key_format = NULL, *value_format = NULL;
    if (bus_memory_has(run->memory, name)) {
        const probe_topic topic = probe_topic_of(run, name);
        key_format = topic.key_format;
        value_format = topic.value_format;
    }
    for (uint32_t i = 0; i < run->query_count; i++) {
        for (const flow_node *node = run->queries[i].topology->root; node; node = node->input) {
            if (node->kind == FLOW_REPARTITION && strcmp(node->repartition.topic.name, name) == 0) {
                key_format = node->repartition.topic.key_format;
                value_format = node->repartition.topic.value_format;
            } else if (node->kind == FLOW_AGGREGATE && same_text(node->aggregate.changelog_topic, name)) {
                return true; /* its values are weir's own rows */
            }
        }
    }
    if (!key_format) return probe_fail(run, "there is no topic %s", name);
    const char *key = format_of(run, wanted, "keyFormat"), *value = format_of(run, wanted, "valueFormat");
    if (key && !same_text(key, key_format))
        return probe_fail(run, "topic %s has the key format %s, expected %s", name, key_format, key);
    if (value && !same_text(value, value_format))
        return probe_fail(run, "topic %s has the value format %s, expected %s", name, value_format, value);
    const char *partitions = data_json_text(&run->arena, wanted, "partitions", NULL);
    char have[16];
    snprintf(have, sizeof have, "%d", bus_memory_partitions(run->memory, name));
    if (partitions && bus_memory_has(run->memory, name) && strcmp(have, partitions) != 0)
        return probe_fail(run, "topic %s has %s partitions, expected %s", name, have, partitions);
    return true;
}

bool probe_post_compare(probe_run *run) {
    const data_json *post = data_json_member(run->test->body, "post");
    const data_json *sources = data_json_member(post, "sources");
    for (uint32_t i = 0; sources && i < sources->count; i++) {
        if (!compare_source(run, &sources->items[i])) return false;
    }
    const data_json *topics = data_json_member(post, "topics");
    const char *blacklist = data_json_text(&run->arena, topics, "blacklist", NULL);
    if (blacklist && !compare_blacklist(run, blacklist)) return false;
    const data_json *list = data_json_member(topics, "topics");
    for (uint32_t i = 0; list && i < list->count; i++) {
        if (!compare_topic(run, &list->items[i])) return false;
    }
    return true;
}
