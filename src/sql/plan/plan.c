/* One function a statement: what it asks for becomes what the engine has to do. */
#include "base/text.h"
#include "sql/plan/plan_int.h"

#include <ctype.h>

typedef struct planner {
    sql_analyser a;
    const sql_plan_input *input;
    const sql_statement *statement;
    sql_plan *plan;
} planner;

static bool fail(planner *p, weir_code code, uint32_t offset, const char *format, ...) WEIR_PRINTF(4, 5);
static bool fail(planner *p, weir_code code, uint32_t offset, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const weir_status status = weir_vfail(code, format, args);
    va_end(args);
    return sql_error_at(p->a.error, status.code, p->a.script, offset, "%s", status.text);
}

static const char *sort_word(bool is_table, bool capital) {
    return capital ? (is_table ? "Table" : "Stream") : is_table ? "table" : "stream";
}

static bool nothing(planner *p, const char *message) {
    p->plan->kind = SQL_PLAN_NOTHING;
    p->plan->message = message;
    return true;
}

static const char *upper_text(weir_arena *arena, const char *text) {
    char *copy = weir_arena_text_copy(arena, text);
    for (char *at = copy; *at != 0; at++) *at = (char)toupper((unsigned char)*at);
    return copy;
}

/* ---- CREATE
 * ------------------------------------------------------------------------------------------------------------ */

/* true: go on and make it; false with *done: it exists already and that is fine; false without: an error. */
static bool check_new(planner *p, bool *done) {
    const sql_statement *s = p->statement;
    const sql_source *old = sql_catalog_source(p->a.catalog, s->name.text);
    *done = false;
    if (old == NULL) return true;
    if (s->if_exists) {
        *done =
            nothing(p, weir_arena_format(p->a.arena, "Cannot add %s `%s`: A %s with the same name already exists.",
                                         sort_word(s->is_table, false), old->name, sort_word(old->is_table, false)));
        return false;
    }
    if (s->or_replace && s->kind == SQL_CREATE_SOURCE) return true; /* its limits are checked by analyse */
    if (s->or_replace)
        return fail(p, WEIR_UNSUPPORTED, s->name.offset,
                    "CREATE OR REPLACE ... AS SELECT over an existing %s is not supported by this version of weir",
                    sort_word(old->is_table, false));
    fail(p, WEIR_EXISTS, s->name.offset, "Cannot add %s '%s': A %s with the same name already exists",
         sort_word(s->is_table, false), old->name, sort_word(old->is_table, false));
    sql_error_hint(p->a.error, "DROP it first, or choose another name.");
    return false;
}

static void set_topic(planner *p, const sql_source *source, const sql_topic_settings *settings, const char *like) {
    p->plan->topic = (sql_plan_topic){.name = source->topic,
                                      .partitions = settings->partitions,
                                      .replicas = settings->replicas,
                                      .must_match = settings->partitions != 0,
                                      .like = like,
                                      .configs = settings->configs,
                                      .config_count = settings->config_count};
}

static bool plan_create_source(planner *p) {
    bool done;
    sql_topic_settings settings;
    if (!check_new(p, &done)) return done;
    if (!sql_analyse_source(&p->a, p->statement, &p->plan->source, &settings)) return false;
    p->plan->kind = SQL_PLAN_CREATE_SOURCE;
    p->plan->name = p->plan->source->name;
    set_topic(p, p->plan->source, &settings, NULL);
    return true;
}

static void set_query(planner *p, const char *id, const sql_checked_query *checked, const sql_source *sink) {
    sql_query_entry *entry = weir_arena_new(p->a.arena, sql_query_entry);
    *entry = (sql_query_entry){id, checked->source->name, sink->name, p->statement->text};
    p->plan->query = entry;
}

static bool plan_create_as(planner *p) {
    const sql_statement *s = p->statement;
    const sql_checked_query *checked;
    sql_topic_settings settings;
    bool done, from_earliest;
    if (!check_new(p, &done)) return done;
    const char *id = weir_arena_format(p->a.arena, "%s_%s_%llu", s->is_table ? "CTAS" : "CSAS", s->name.text,
                                       (unsigned long long)p->input->next_query);
    if (!sql_analyse_query(&p->a, s->query, s->is_table ? SQL_USE_TABLE : SQL_USE_STREAM, s->name.text, &checked) ||
        !sql_analyse_sink(&p->a, s, checked, id, &p->plan->source, &settings) ||
        !sql_session_from_earliest(&p->a, &from_earliest))
        return false;
    p->plan->kind = SQL_PLAN_CREATE_AS;
    p->plan->name = s->name.text;
    p->plan->is_table = s->is_table;
    set_topic(p, p->plan->source, &settings, checked->source->topic);
    set_query(p, id, checked, p->plan->source);
    p->plan->topology = sql_shape_query(&p->a, checked, p->plan->source, id, from_earliest);
    return true;
}

/* ---- INSERT
 * ------------------------------------------------------------------------------------------------------------ */

static bool insert_id(planner *p, const char **id) {
    const sql_statement *s = p->statement;
    *id = weir_arena_format(p->a.arena, "INSERTQUERY_%llu", (unsigned long long)p->input->next_query);
    for (uint32_t i = 0; i < s->property_count; i++) {
        const char *name = upper_text(p->a.arena, s->properties[i].name.text);
        const uint32_t offset = s->properties[i].name.offset;
        if (strcmp(name, "QUERY_ID") != 0)
            return fail(p, WEIR_INVALID, offset, "Invalid config variable(s) in the WITH clause: %s", name);
        *id = upper_text(p->a.arena, s->properties[i].value);
        bool valid = (*id)[0] != 0 && strlen(*id) <= 100;
        for (const char *at = *id; *at != 0 && valid; at++) valid = isalnum((unsigned char)*at) || *at == '_';
        if (!valid)
            return fail(p, WEIR_INVALID, s->properties[i].value_offset,
                        "Query IDs may contain only alphanumeric characters and '_'. Got: '%s'", *id);
    }
    if (sql_catalog_query(p->a.catalog, *id) == NULL) return true;
    return fail(p, WEIR_EXISTS, s->name.offset, "Query ID '%s' already exists.", *id);
}

static bool plan_insert_select(planner *p) {
    const sql_statement *s = p->statement;
    const sql_checked_query *checked;
    const sql_source *sink;
    const char *id;
    bool from_earliest;
    if (sql_catalog_source(p->a.catalog, s->name.text) == NULL) { /* ksqlDB's sentence begins with the place */
        sql_error at = {0};
        sql_error_at(&at, WEIR_NOT_FOUND, p->a.script, s->name.offset, "place");
        return fail(p, WEIR_NOT_FOUND, s->name.offset, "Line: %u, Col: %u: Source `%s` does not exist.", at.line,
                    at.column, s->name.text);
    }
    if (!sql_analyse_find_source(&p->a, s->name, &sink)) return false;
    if (sink->is_table)
        return fail(p, WEIR_INVALID, s->name.offset,
                    "INSERT INTO can only be used to insert into a stream. %s is a table.", sink->name);
    if (!insert_id(p, &id) || !sql_analyse_query(&p->a, s->query, SQL_USE_INSERT, sink->name, &checked) ||
        !sql_analyse_insert(&p->a, s, checked, sink) || !sql_session_from_earliest(&p->a, &from_earliest))
        return false;
    p->plan->kind = SQL_PLAN_INSERT_SELECT;
    p->plan->name = sink->name;
    set_query(p, id, checked, sink);
    p->plan->topology = sql_shape_query(&p->a, checked, sink, id, from_earliest);
    return true;
}

static bool plan_insert_values(planner *p) {
    if (!sql_analyse_values(&p->a, p->statement, &p->plan->values)) return false;
    flow_topic *topic = weir_arena_new(p->a.arena, flow_topic);
    *topic = sql_shape_topic(p->plan->values->sink);
    p->plan->kind = SQL_PLAN_INSERT_VALUES;
    p->plan->name = p->plan->values->sink->name;
    p->plan->sink_topic = topic;
    return true;
}

/* ---- SELECT
 * ------------------------------------------------------------------------------------------------------------ */

static bool plan_pull(planner *p) {
    const sql_checked_pull *pull;
    if (!sql_analyse_pull(&p->a, p->statement->query, &pull)) return false;
    if (sql_catalog_query(p->a.catalog, pull->source->created_by) == NULL)
        return fail(p, WEIR_INVALID, p->statement->query->source.offset,
                    "The `%s` table isn't queryable: its query %s was terminated.", pull->source->name,
                    pull->source->created_by);
    p->plan->kind = SQL_PLAN_PULL;
    p->plan->name = pull->source->name;
    p->plan->pull = pull;
    p->plan->pull_query = pull->source->created_by;
    p->plan->schema = pull->schema;
    p->plan->limit = pull->limit;
    return true;
}

static bool plan_push(planner *p) {
    const sql_checked_query *checked;
    bool from_earliest;
    if (!sql_analyse_query(&p->a, p->statement->query, SQL_USE_PUSH, NULL, &checked) ||
        !sql_session_from_earliest(&p->a, &from_earliest))
        return false;
    const char *id = weir_arena_format(p->a.arena, "transient_%s_%llu", checked->source->name,
                                       (unsigned long long)p->input->next_push);
    data_column *columns = weir_arena_array(p->a.arena, data_column, checked->shown_count);
    for (uint32_t i = 0; i < checked->shown_count; i++) {
        columns[i] = checked->schema->columns[checked->shown[i]];
        columns[i].role = DATA_ROLE_VALUE;
    }
    data_schema *schema = weir_arena_new(p->a.arena, data_schema);
    *schema = (data_schema){columns, checked->shown_count, 0};
    p->plan->kind = SQL_PLAN_PUSH;
    p->plan->name = checked->source->name;
    p->plan->schema = schema;
    p->plan->shown = checked->shown;
    p->plan->limit = checked->limit;
    p->plan->topology = sql_shape_query(&p->a, checked, NULL, id, from_earliest);
    return true;
}

/* ---- DROP, TERMINATE
 * ----------------------------------------------------------------------------------------------------- */

static bool end_query(planner *p, const char *id) {
    const char **ids = weir_arena_array(p->a.arena, const char *, p->plan->end_query_count + 1);
    if (p->plan->end_query_count != 0) memcpy(ids, p->plan->end_queries, p->plan->end_query_count * sizeof ids[0]);
    ids[p->plan->end_query_count++] = weir_arena_text_copy(p->a.arena, id);
    p->plan->end_queries = ids;
    return true;
}

static bool plan_drop(planner *p) {
    const sql_statement *s = p->statement;
    const sql_source *source = sql_catalog_source(p->a.catalog, s->name.text);
    if (source == NULL) {
        const char *message =
            weir_arena_format(p->a.arena, "%s %s does not exist", sort_word(s->is_table, true), s->name.text);
        if (s->if_exists) return nothing(p, message);
        const sql_source *unused;
        if (sql_analyse_find_source(&p->a, s->name, &unused)) return false;
        memcpy(p->a.error->message, message, strlen(message) + 1); /* the place and the suggestion stay */
        return false;
    }
    if (source->is_table != s->is_table)
        return fail(p, WEIR_INVALID, s->name.offset, "Incompatible data source type is %s, but statement was DROP %s",
                    source->is_table ? "TABLE" : "STREAM", s->is_table ? "TABLE" : "STREAM");
    if (s->delete_topic && source->read_only)
        return fail(p, WEIR_INVALID, s->name.offset, "Cannot delete topic for read-only source: %s", source->name);
    const weir_status status = sql_catalog_can_drop(p->a.catalog, source->name);
    if (weir_failed(status)) {
        sql_error_at(p->a.error, status.code, p->a.script, s->name.offset, "%s", status.text);
        sql_error_hint(p->a.error, "TERMINATE the queries, then drop it.");
        return false;
    }
    p->plan->kind = SQL_PLAN_DROP_SOURCE;
    p->plan->name = weir_arena_text_copy(p->a.arena, source->name);
    p->plan->is_table = source->is_table;
    if (s->delete_topic) p->plan->delete_topic = weir_arena_text_copy(p->a.arena, source->topic);
    const bool runs = source->created_by != NULL && sql_catalog_query(p->a.catalog, source->created_by) != NULL;
    return !runs || end_query(p, source->created_by);
}

static void suggest_query(planner *p, const char *wanted) {
    enum { NAMES_MAX = 1024 };
    const char *names[NAMES_MAX];
    size_t count = 0;
    const sql_query_entry *query;
    while (count < NAMES_MAX && (query = sql_catalog_query_at(p->a.catalog, count)) != NULL) names[count++] = query->id;
    sql_error_suggest(p->a.error, wanted, names, count);
}

static bool plan_terminate(planner *p) {
    const sql_statement *s = p->statement;
    const sql_query_entry *query;
    p->plan->kind = SQL_PLAN_TERMINATE;
    if (s->name.text == NULL) {
        for (size_t i = 0; (query = sql_catalog_query_at(p->a.catalog, i)) != NULL; i++) end_query(p, query->id);
        return p->plan->end_query_count != 0 || nothing(p, "There are no queries to terminate.");
    }
    if (sql_catalog_query(p->a.catalog, s->name.text) != NULL) return end_query(p, s->name.text);
    fail(p, WEIR_NOT_FOUND, s->name.offset, "Unknown queryId: %s", s->name.text);
    suggest_query(p, s->name.text);
    return false;
}

/* ---- connectors
 * ----------------------------------------------------------------------------------------------------------- */

static bool plan_create_connector(planner *p) {
    const sql_statement *s = p->statement;
    if (sql_catalog_connector(p->a.catalog, s->name.text) != NULL) {
        const char *message = weir_arena_format(p->a.arena, "Connector %s already exists", s->name.text);
        return s->if_exists ? nothing(p, message) : fail(p, WEIR_EXISTS, s->name.offset, "%s", message);
    }
    if (s->property_count == 0) {
        fail(p, WEIR_INVALID, s->name.offset, "connector %s has no properties", s->name.text);
        sql_error_hint(p->a.error, "Give them as WITH ('connector'='file', 'topic'='...', ...).");
        return false;
    }
    weir_setting *options = weir_arena_array(p->a.arena, weir_setting, s->property_count);
    for (uint32_t i = 0; i < s->property_count; i++) {
        options[i] = (weir_setting){s->properties[i].name.text, s->properties[i].value};
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(options[k].name, options[i].name) == 0)
                return fail(p, WEIR_INVALID, s->properties[i].name.offset, "property %s is given twice",
                            options[i].name);
    }
    sql_connector *connector = weir_arena_new(p->a.arena, sql_connector);
    *connector = (sql_connector){s->name.text, options, s->property_count, s->text};
    p->plan->kind = SQL_PLAN_CREATE_CONNECTOR;
    p->plan->name = s->name.text;
    p->plan->connector = connector;
    return true;
}

static bool find_connector(planner *p) {
    enum { NAMES_MAX = 1024 };
    const char *wanted = p->statement->name.text, *names[NAMES_MAX];
    size_t count = 0;
    const sql_connector *connector;
    if (sql_catalog_connector(p->a.catalog, wanted) != NULL) return true;
    fail(p, WEIR_NOT_FOUND, p->statement->name.offset, "Connector %s does not exist.", wanted);
    while (count < NAMES_MAX && (connector = sql_catalog_connector_at(p->a.catalog, count)) != NULL)
        names[count++] = connector->name;
    sql_error_suggest(p->a.error, wanted, names, count);
    return false;
}

static bool plan_drop_connector(planner *p) {
    const char *name = p->statement->name.text;
    if (p->statement->if_exists && sql_catalog_connector(p->a.catalog, name) == NULL)
        return nothing(p, weir_arena_format(p->a.arena, "Connector %s does not exist.", name));
    p->plan->kind = SQL_PLAN_DROP_CONNECTOR;
    p->plan->name = name;
    return find_connector(p);
}

/* ---- the rest
 * ------------------------------------------------------------------------------------------------------------- */

static bool plan_statement(planner *p);

/* What func cannot compile is refused here: a plan that is kept must be possible to run. */
static bool check_compiles(planner *p, weir_arena *scratch, const func_expr *expr, const data_schema *schema) {
    static const data_schema none = {0};
    const func_program *program;
    if (expr == NULL) return true;
    weir_arena_reset(scratch);
    const weir_status status = func_compile(scratch, expr, schema == NULL ? &none : schema, &program);
    return !weir_failed(status) ||
           sql_error_at(p->a.error, status.code, p->a.script, p->statement->offset, "%s", status.text);
}

static bool check_topology(planner *p, weir_arena *scratch, const flow_topology *topology) {
    for (const flow_node *node = topology == NULL ? NULL : topology->root; node != NULL; node = node->input) {
        if (node->kind == FLOW_FILTER && !check_compiles(p, scratch, node->filter.condition, node->input->schema))
            return false;
        for (uint32_t i = 0; node->kind == FLOW_PROJECT && i < node->schema->count; i++)
            if (!check_compiles(p, scratch, node->project.columns[i].expr, node->input->schema)) return false;
    }
    return true;
}

static bool check_runnable(planner *p) {
    const sql_plan *plan = p->plan;
    weir_arena scratch;
    weir_arena_init(&scratch, p->a.arena->account, 16u << 20);
    bool right = check_topology(p, &scratch, plan->topology);
    if (plan->pull != NULL) {
        right = right && check_compiles(p, &scratch, plan->pull->filter, plan->pull->source->schema);
        for (uint32_t i = 0; right && i < plan->schema->count; i++)
            right = check_compiles(p, &scratch, plan->pull->select[i], plan->pull->source->schema);
    }
    if (plan->values != NULL) {
        right = right && check_compiles(p, &scratch, plan->values->rowtime, NULL);
        for (uint32_t i = 0; right && i < plan->values->sink->schema->count; i++)
            right = check_compiles(p, &scratch, plan->values->values[i], NULL);
    }
    weir_arena_deinit(&scratch);
    return right;
}

static bool plan_explain(planner *p) {
    p->plan->kind = SQL_PLAN_EXPLAIN;
    p->plan->name = p->statement->name.text;
    if (p->statement->inner == NULL) {
        if (sql_catalog_query(p->a.catalog, p->plan->name) != NULL) return true;
        fail(p, WEIR_NOT_FOUND, p->statement->name.offset,
             "Query with id:%s does not exist, use SHOW QUERIES to view the full set of queries.", p->plan->name);
        suggest_query(p, p->plan->name);
        return false;
    }
    const sql_statement_kind kind = p->statement->inner->kind;
    if (kind != SQL_SELECT && kind != SQL_CREATE_AS && kind != SQL_INSERT_SELECT)
        return fail(p, WEIR_INVALID, p->statement->offset,
                    "EXPLAIN takes a query: SELECT, CREATE ... AS SELECT, INSERT INTO ... SELECT, or a query's id");
    planner inner = *p;
    inner.statement = p->statement->inner;
    inner.plan = weir_arena_new(p->a.arena, sql_plan);
    p->plan->explained = inner.plan;
    return plan_statement(&inner);
}

static bool plan_describe(planner *p) {
    const sql_source *source;
    p->plan->name = p->statement->name.text;
    p->plan->extended = p->statement->extended;
    switch (p->statement->kind) {
    case SQL_DESCRIBE_FUNCTION:
        p->plan->kind = SQL_PLAN_DESCRIBE_FUNCTION;
        if (func_exists(p->plan->name) || func_aggregate_exists(p->plan->name)) return true;
        return fail(p, WEIR_NOT_FOUND, p->statement->name.offset, "Can't find any functions with the name '%s'",
                    p->plan->name);
    case SQL_DESCRIBE_CONNECTOR: p->plan->kind = SQL_PLAN_DESCRIBE_CONNECTOR; return find_connector(p);
    default: p->plan->kind = SQL_PLAN_DESCRIBE; return sql_analyse_find_source(&p->a, p->statement->name, &source);
    }
}

static bool plan_simple(planner *p) {
    const sql_statement *s = p->statement;
    sql_plan *plan = p->plan;
    switch (s->kind) {
    case SQL_SHOW:
        plan->kind = SQL_PLAN_SHOW;
        plan->subject = s->subject;
        plan->extended = s->extended;
        return true;
    case SQL_PRINT:
        plan->kind = SQL_PLAN_PRINT;
        plan->name = s->name.text;
        plan->from_beginning = s->from_beginning;
        plan->limit = s->limit;
        plan->interval = s->interval;
        return true;
    default: /* SET, UNSET */
        plan->kind = s->kind == SQL_SET ? SQL_PLAN_SET : SQL_PLAN_UNSET;
        plan->setting = (weir_setting){s->properties[0].name.text, s->properties[0].value};
        return true;
    }
}

static bool dispatch(planner *p) {
    p->plan->statement = p->statement->text;
    p->plan->limit = p->plan->interval = -1;
    p->plan->is_table = p->statement->is_table;
    switch (p->statement->kind) {
    case SQL_CREATE_SOURCE: return plan_create_source(p);
    case SQL_CREATE_AS: return plan_create_as(p);
    case SQL_INSERT_SELECT: return plan_insert_select(p);
    case SQL_INSERT_VALUES: return plan_insert_values(p);
    case SQL_SELECT: return p->statement->query->emit_changes ? plan_push(p) : plan_pull(p);
    case SQL_DESCRIBE:
    case SQL_DESCRIBE_FUNCTION:
    case SQL_DESCRIBE_CONNECTOR: return plan_describe(p);
    case SQL_EXPLAIN: return plan_explain(p);
    case SQL_DROP: return plan_drop(p);
    case SQL_DROP_CONNECTOR: return plan_drop_connector(p);
    case SQL_TERMINATE: return plan_terminate(p);
    case SQL_CREATE_CONNECTOR: return plan_create_connector(p);
    default: return plan_simple(p);
    }
}

static bool plan_statement(planner *p) {
    return dispatch(p) && check_runnable(p);
}

bool sql_plan_make(weir_arena *arena, const sql_plan_input *input, const sql_plan **plan, sql_error *error) {
    planner p = {.input = input};
    p.a = (sql_analyser){.arena = arena,
                         .script = input->script,
                         .catalog = input->catalog,
                         .properties = input->properties,
                         .property_count = input->property_count,
                         .error = error};
    *plan = NULL;
    if (!sql_parse(arena, input->script, input->piece, &p.statement, error)) return false;
    if (arena->max_bytes - weir_arena_used(arena) <
        SQL_ANALYSE_BYTES_MAX) /* what analysis takes is bounded, and asserted */
        return sql_error_at(error, WEIR_NO_MEMORY, input->script, input->piece.offset,
                            "the statement needs more memory than there is");
    p.plan = weir_arena_new(arena, sql_plan);
    const bool right = plan_statement(&p);
    weir_assert(right == (error->code == WEIR_OK));
    if (right) *plan = p.plan;
    return right;
}

/* ---- what a plan does to the catalog
 * ---------------------------------------------------------------------------------------- */

bool sql_plan_is_command(const sql_plan *plan) {
    return plan->kind <= SQL_PLAN_DROP_CONNECTOR;
}

weir_status sql_plan_apply(const sql_plan *plan, sql_catalog *catalog) {
    for (uint32_t i = 0; i < plan->end_query_count; i++) sql_catalog_drop_query(catalog, plan->end_queries[i]);
    switch (plan->kind) {
    case SQL_PLAN_CREATE_SOURCE: return sql_catalog_put_source(catalog, plan->source);
    case SQL_PLAN_CREATE_AS:
        WEIR_TRY(sql_catalog_put_source(catalog, plan->source));
        return sql_catalog_put_query(catalog, plan->query);
    case SQL_PLAN_INSERT_SELECT: return sql_catalog_put_query(catalog, plan->query);
    case SQL_PLAN_CREATE_CONNECTOR: return sql_catalog_put_connector(catalog, plan->connector);
    case SQL_PLAN_DROP_SOURCE:
        if (sql_catalog_drop_source(catalog, plan->name)) return weir_ok();
        return weir_fail(WEIR_NOT_FOUND, "Source %s does not exist.", plan->name);
    case SQL_PLAN_DROP_CONNECTOR:
        if (sql_catalog_drop_connector(catalog, plan->name)) return weir_ok();
        return weir_fail(WEIR_NOT_FOUND, "Connector %s does not exist.", plan->name);
    default: return weir_ok();
    }
}
