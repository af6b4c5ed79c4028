/* One case from its first statement to its verdict. */
#include "base/text.h"
#include "probe/probe_int.h"

#include <stdio.h>

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void read_features(weir_arena *arena, const data_json *body, probe_case *test) {
    const data_json *features = data_json_member(body, "features");
    if (!features || features->kind != DATA_JSON_ARRAY) return;
    const char **names = weir_arena_array(arena, const char *, features->count + 1);
    for (uint32_t i = 0; i < features->count; i++) {
        const weir_bytes text = features->items[i].text;
        names[i] = weir_arena_format(arena, "%.*s", (int)text.size, (const char *)text.data);
    }
    test->features = names;
    test->feature_count = features->count;
}

weir_status probe_file_read(weir_arena *arena, weir_bytes text, probe_file *file) {
    const data_json *root;
    WEIR_TRY(data_json_read(arena, text, &root));
    const data_json *cases = data_json_member(root, "cases");
    if (!cases || cases->kind != DATA_JSON_ARRAY)
        return weir_fail(WEIR_INVALID, "no list of cases: a query test file is an object with a member \"cases\"");
    const char *suite = data_json_text(arena, root, "suite", "");
    probe_case *list = weir_arena_array(arena, probe_case, cases->count + 1);
    for (uint32_t i = 0; i < cases->count; i++) {
        const data_json *body = &cases->items[i];
        list[i] = (probe_case){.suite = data_json_text(arena, body, "suite", suite),
                               .name = data_json_text(arena, body, "name", ""),
                               .is_negative = !data_json_is_null(data_json_member(body, "expect_error")),
                               .body = body};
        read_features(arena, body, &list[i]);
    }
    *file = (probe_file){data_json_text(arena, root, "kind", "qtt"), list, cases->count};
    return weir_ok();
}

/* ---- verdicts ---------------------------------------------------------------------------------------------------- */

static bool set_outcome(probe_run *run, probe_outcome outcome, const char *format, va_list args) {
    if (run->result->outcome != PROBE_PASS) return false;
    run->result->outcome = outcome;
    vsnprintf(run->result->detail, sizeof run->result->detail, format, args);
    return false;
}

bool probe_fail(probe_run *run, const char *format, ...) {
    va_list args;
    va_start(args, format);
    set_outcome(run, PROBE_FAIL, format, args);
    va_end(args);
    return false;
}

bool probe_broken(probe_run *run, const char *format, ...) {
    va_list args;
    va_start(args, format);
    set_outcome(run, PROBE_ERROR, format, args);
    va_end(args);
    return false;
}

/* ---- topics ------------------------------------------------------------------------------------------------------ */

probe_topic probe_topic_of(probe_run *run, const char *name) {
    probe_topic topic = {0};
    const sql_source *source;
    for (size_t i = 0; (source = sql_catalog_source_at(run->catalog, i)) != NULL; i++) {
        if (strcmp(source->topic, name) != 0 || (topic.source && !topic.source->created_by)) continue;
        topic.source = source;
    }
    if (topic.source) {
        topic.key_format = topic.source->key_format;
        topic.value_format = topic.source->value_format;
        return topic;
    }
    const data_json *topics = data_json_member(run->test->body, "topics");
    topic.key_format = "KAFKA";
    topic.value_format = "JSON";
    for (uint32_t i = 0; topics && i < topics->count; i++) {
        if (strcmp(data_json_text(&run->arena, &topics->items[i], "name", ""), name) != 0) continue;
        topic.key_format = data_json_text(&run->arena, &topics->items[i], "key_format", "KAFKA");
        topic.value_format = data_json_text(&run->arena, &topics->items[i], "value_format", "JSON");
    }
    return topic;
}

const data_type *probe_single_type(const probe_topic *topic, bool is_key) {
    const data_schema *schema = topic->source ? topic->source->schema : NULL;
    for (uint32_t i = 0; schema && i < schema->count; i++) {
        if (schema->columns[i].role == (is_key ? DATA_ROLE_KEY : DATA_ROLE_VALUE)) return schema->columns[i].type;
    }
    return NULL;
}

size_t probe_window_bytes(const probe_topic *topic) {
    return topic->source && topic->source->window != SQL_WINDOW_NONE ? sizeof(int64_t) : 0;
}

static void make_declared_topics(probe_run *run) {
    static const char *const lists[] = {"inputs", "outputs"};
    const data_json *topics = data_json_member(run->test->body, "topics");
    for (uint32_t i = 0; topics && i < topics->count; i++) {
        const char *partitions = data_json_text(&run->arena, &topics->items[i], "partitions", "1");
        int64_t count = 1;
        if (!weir_parse_i64(weir_bytes_text(partitions), &count)) count = 1;
        bus_memory_topic(run->memory, data_json_text(&run->arena, &topics->items[i], "name", ""), (int32_t)count);
    }
    for (size_t list = 0; list < 2; list++) {
        const data_json *records = data_json_member(run->test->body, lists[list]);
        for (uint32_t i = 0; records && i < records->count; i++)
            bus_memory_topic(run->memory, data_json_text(&run->arena, &records->items[i], "topic", ""), 4);
    }
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

static bool set_property(probe_run *run, const char *name, const char *value) {
    if (run->property_count == PROBE_PROPERTIES_MAX)
        return probe_broken(run, "more than %d properties", PROBE_PROPERTIES_MAX);
    run->properties[run->property_count++] = (weir_setting){name, value};
    return true;
}

static void unset_property(probe_run *run, const char *name) {
    size_t kept = 0;
    for (size_t i = 0; i < run->property_count; i++) {
        if (strcmp(run->properties[i].name, name) != 0) run->properties[kept++] = run->properties[i];
    }
    run->property_count = kept;
}

static bool set_properties(probe_run *run) {
    static const weir_setting base[] = {{"ksql.service.id", "some.ksql.service.id"},
                                        {"ksql.headers.columns.enabled", "true"},
                                        {"auto.offset.reset", "earliest"},
                                        {"cache.max.bytes.buffering", "0"},
                                        {"ksql.output.topic.name.prefix", ""}};
    for (size_t i = 0; i < sizeof base / sizeof base[0]; i++)
        if (!set_property(run, base[i].name, base[i].value)) return false;
    const data_json *given = data_json_member(run->test->body, "properties");
    for (uint32_t i = 0; given && i < given->count; i++) {
        const char *name =
            weir_arena_format(&run->arena, "%.*s", (int)given->names[i].size, (const char *)given->names[i].data);
        const char *value = data_json_text(&run->arena, given, name, "");
        if (!set_property(run, name, value)) return false;
    }
    return true;
}

static void end_queries(probe_run *run, const sql_plan *plan) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < run->query_count; i++) {
        bool ended = false;
        for (uint32_t j = 0; j < plan->end_query_count; j++)
            ended |= strcmp(run->queries[i].id, plan->end_queries[j]) == 0;
        if (!ended) run->queries[kept++] = run->queries[i];
    }
    run->query_count = kept;
}

static bool add_query(probe_run *run, const sql_plan *plan) {
    for (uint32_t i = 0; i < run->query_count; i++) {
        if (strcmp(run->queries[i].id, plan->query->id) != 0) continue;
        run->queries[i].topology = plan->topology; /* CREATE OR REPLACE keeps the id */
        return true;
    }
    if (run->query_count == PROBE_QUERIES_MAX) return probe_broken(run, "more than %d queries", PROBE_QUERIES_MAX);
    run->queries[run->query_count++] = (probe_query){plan->query->id, plan->topology};
    run->next_query++;
    return true;
}

static void make_topics(probe_run *run, const sql_plan *plan) {
    if (plan->topic.name) {
        int32_t partitions = plan->topic.partitions;
        if (!partitions && plan->topic.like) partitions = bus_memory_partitions(run->memory, plan->topic.like);
        bus_memory_topic(run->memory, plan->topic.name, partitions ? partitions : 4);
    }
}

static bool execute(probe_run *run, const sql_plan *plan) {
    make_topics(run, plan);
    if (plan->kind == SQL_PLAN_INSERT_VALUES) return probe_values_insert(run, plan);
    if (plan->kind == SQL_PLAN_SET) return set_property(run, plan->setting.name, plan->setting.value);
    if (plan->kind == SQL_PLAN_UNSET) return unset_property(run, plan->setting.name), true;
    const weir_status applied = sql_plan_apply(plan, run->catalog);
    if (weir_failed(applied)) return probe_fail(run, "%s", applied.text);
    end_queries(run, plan);
    return plan->query ? add_query(run, plan) : true;
}

/* ---- errors that are expected ------------------------------------------------------------------------------------ */

/* Whether an error of the class is one that weir reports from a statement: every such class descends from
 * KsqlException; a syntax error is a ParseFailedException. */
static bool is_kind(const char *type, const sql_error *error) {
    const char *last = strrchr(type, '.');
    const char *name = last ? last + 1 : type;
    if (error->code == WEIR_UNSUPPORTED) return false; /* what weir lacks is no mistake of the statement */
    if (strcmp(name, "ParseFailedException") == 0) return error->is_syntax;
    if (strcmp(name, "KsqlStatementException") == 0) return !error->is_syntax;
    return *name == 0 || strcmp(name, "KsqlException") == 0;
}

static bool holds_text(const sql_error *error, const char *wanted) {
    char whole[sizeof error->message + sizeof error->hint + 2];
    snprintf(whole, sizeof whole, "%s\n%s", error->message, error->hint);
    return strstr(whole, wanted) != NULL;
}

static bool judge_error(probe_run *run, const sql_error *error, bool is_last) {
    const data_json *wanted = data_json_member(run->test->body, "expect_error");
    const char *type = data_json_text(&run->arena, wanted, "type", "");
    const char *text = data_json_text(&run->arena, wanted, "message", "");
    const char *cause = data_json_text(&run->arena, wanted, "cause_message", "");
    run->result->kind_ok = is_last && is_kind(type, error);
    run->result->text_ok = run->result->kind_ok && holds_text(error, text) && holds_text(error, cause);
    if (run->result->text_ok) return true;
    return probe_fail(run, "%s: expected %s: %s; got %s: %s", is_last ? "error" : "error in an early statement", type,
                      *text ? text : cause, weir_code_name(error->code), error->message);
}

static bool run_statement(probe_run *run, const char *text, bool is_last, bool *failed) {
    sql_piece piece;
    uint32_t at = 0;
    const weir_bytes script = weir_bytes_text(text);
    while (sql_split(script, &at, &piece)) {
        const sql_plan_input input = {.script = script,
                                      .piece = piece,
                                      .catalog = run->catalog,
                                      .properties = run->properties,
                                      .property_count = run->property_count,
                                      .next_query = run->next_query,
                                      .next_push = run->next_query};
        const sql_plan *plan = NULL;
        sql_error error = {0};
        if (!sql_plan_make(&run->arena, &input, &plan, &error)) {
            *failed = true;
            if (run->test->is_negative) return judge_error(run, &error, is_last);
            return probe_fail(run, "%s: %s%s%s", weir_code_name(error.code), error.message, error.hint[0] ? " | " : "",
                              error.hint);
        }
        if (!execute(run, plan)) return false;
    }
    return true;
}

static bool run_statements(probe_run *run, bool *failed) {
    const data_json *statements = data_json_member(run->test->body, "statements");
    if (!statements || statements->kind != DATA_JSON_ARRAY) return probe_broken(run, "no list of statements");
    for (uint32_t i = 0; i < statements->count && !*failed; i++) {
        const weir_bytes text = statements->items[i].text;
        const char *script = weir_arena_format(&run->arena, "%.*s", (int)text.size, (const char *)text.data);
        if (!run_statement(run, script, i + 1 == statements->count, failed)) return false;
    }
    return true;
}

static bool run_case(probe_run *run) {
    bool failed = false;
    if (!set_properties(run)) return false;
    make_declared_topics(run);
    if (!run_statements(run, &failed)) return false;
    if (failed) return true;
    if (!run->test->is_negative && run->query_count == 0)
        return probe_fail(run, "no statement made a persistent query");
    if (!probe_inputs_append(run) || !probe_queries_run(run)) return false;
    if (run->test->is_negative) return probe_fail(run, "no error: the case expects one");
    return probe_outputs_compare(run) && probe_post_compare(run);
}

void probe_case_run(const probe_file *file, const probe_case *test, const probe_options *options,
                    probe_result *result) {
    probe_run run = {.test = test, .options = options, .result = result};
    *result = (probe_result){0};
    static const char *const others[] = {"rest", "sqltest", "runner"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(file->kind, others[i]) != 0) continue;
        probe_fail(&run, "UNSUPPORTED: weir test runs query tests, not cases of kind %s", file->kind);
        return;
    }
    weir_account_init(&run.account, "probe", 0);
    weir_arena_init(&run.arena, &run.account, PROBE_BYTES_MAX);
    weir_buffer_init(&run.text, &run.account, PROBE_RECORD_MAX);
    run.catalog = sql_catalog_create(&run.account);
    run.single = io_single_create(&run.account);
    run.memory = bus_memory_create(io_single_world(run.single), &run.account);
    run_case(&run);
    bus_memory_destroy(run.memory);
    io_single_destroy(run.single);
    sql_catalog_destroy(run.catalog);
    weir_buffer_deinit(&run.text);
    weir_arena_deinit(&run.arena);
    weir_account_deinit(&run.account);
}
