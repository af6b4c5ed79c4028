/* Goal: statements become the plans they mean, or errors a person can act on; a plan survives its JSON byte for byte.
 * Method: each file of stories/ holds stories: a script, and below it what its statements' plans or errors print. Every
 * command's plan goes through JSON and it is the plan read back that changes the catalog. Scripts and JSON are then cut
 * and mutated at random, which must give a plan or an error. WEIR_PIN=1 writes what is printed into the files, to be
 * read before it is committed. */
#include "sql/plan/plan.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STORY_BYTES_MAX = 1 << 20, SETTINGS_MAX = 32 };

static weir_account account;
static weir_arena arena;

static int setup(void **state) {
    (void)state;
    weir_account_init(&account, "test", 0);
    weir_arena_init(&arena, &account, SQL_PLAN_ARENA_BYTES);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    weir_arena_deinit(&arena);
    weir_account_deinit(&account);
    return 0;
}

/* ---- one node as far as planning sees it ---------------------------------------------------------------------------
 */

typedef struct node {
    sql_catalog *catalog;
    weir_setting settings[SETTINGS_MAX];
    size_t setting_count;
    uint64_t next_query;
    bool show_json;
} node;

static node node_begin(void) {
    return (node){.catalog = sql_catalog_create(&account)};
}

static void node_end(node *n) {
    for (size_t i = 0; i < n->setting_count; i++) {
        weir_free(&account, (void *)(uintptr_t)n->settings[i].name);
        weir_free(&account, (void *)(uintptr_t)n->settings[i].value);
    }
    sql_catalog_destroy(n->catalog);
}

static void node_set(node *n, const char *name, const char *value) {
    assert_true(n->setting_count < SETTINGS_MAX);
    n->settings[n->setting_count++] = (weir_setting){weir_strdup(&account, name), weir_strdup(&account, value)};
}

/* What is planned must be possible to run: every expression compiles over the schema it stands on. */
static void assert_compiles(const func_expr *expr, const data_schema *schema) {
    static const data_schema none = {0};
    const func_program *program;
    if (expr == NULL) return;
    const weir_status status = func_compile(&arena, expr, schema == NULL ? &none : schema, &program);
    if (weir_failed(status)) fail_msg("%s", status.text);
}

static void assert_runnable(const sql_plan *plan) {
    for (const flow_node *step = plan->topology == NULL ? NULL : plan->topology->root; step != NULL;
         step = step->input) {
        if (step->kind == FLOW_FILTER) assert_compiles(step->filter.condition, step->input->schema);
        for (uint32_t i = 0; step->kind == FLOW_PROJECT && i < step->schema->count; i++)
            assert_compiles(step->project.columns[i].expr, step->input->schema);
    }
    if (plan->kind == SQL_PLAN_PULL) {
        assert_compiles(plan->pull->filter, plan->pull->source->schema);
        for (uint32_t i = 0; i < plan->schema->count; i++)
            assert_compiles(plan->pull->select[i], plan->pull->source->schema);
    }
    for (uint32_t i = 0; plan->kind == SQL_PLAN_INSERT_VALUES && i < plan->values->sink->schema->count; i++)
        assert_compiles(plan->values->values[i], NULL);
    for (uint32_t i = 0; plan->kind == SQL_PLAN_PUSH && i < plan->schema->count; i++) {
        const data_schema *rows = plan->topology->root->schema;
        assert_true(plan->shown[i] < rows->count);
        assert_string_equal(plan->schema->columns[i].name, rows->columns[plan->shown[i]].name);
    }
}

/* Through JSON and back: the same bytes again, and the plan read back is what is executed. */
static void execute(node *n, const sql_plan *plan, weir_buffer *shown) {
    if (plan->kind == SQL_PLAN_SET) {
        if (strcmp(plan->setting.name, "test.json") == 0)
            n->show_json = strcmp(plan->setting.value, "true") == 0;
        else
            node_set(n, plan->setting.name, plan->setting.value);
    }
    if (plan->topology != NULL) n->next_query++;
    if (!sql_plan_is_command(plan)) return;
    weir_buffer first, second;
    weir_buffer_init(&first, &account, SQL_PLAN_JSON_BYTES_MAX);
    weir_buffer_init(&second, &account, SQL_PLAN_JSON_BYTES_MAX);
    const sql_plan *back = NULL;
    assert_int_equal(sql_plan_to_json(plan, &first).code, WEIR_OK);
    const weir_status status = sql_plan_from_json(&arena, weir_buffer_view(&first), &back);
    if (weir_failed(status)) fail_msg("%s in %s", status.text, weir_buffer_text(&first));
    assert_int_equal(sql_plan_to_json(back, &second).code, WEIR_OK);
    assert_string_equal(weir_buffer_text(&first), weir_buffer_text(&second));
    if (n->show_json && shown != NULL) weir_buffer_format(shown, "%s\n", weir_buffer_text(&first));
    assert_int_equal(sql_plan_apply(back, n->catalog).code, WEIR_OK);
    weir_buffer_deinit(&second);
    weir_buffer_deinit(&first);
}

static void run_script(node *n, weir_bytes script, weir_buffer *shown) {
    uint32_t at = 0;
    sql_piece piece;
    while (sql_split(script, &at, &piece)) {
        sql_error error;
        const sql_plan *plan;
        const sql_plan_input input = {.script = script,
                                      .piece = piece,
                                      .catalog = n->catalog,
                                      .properties = n->settings,
                                      .property_count = n->setting_count,
                                      .next_query = n->next_query,
                                      .next_push = n->next_query};
        const bool right = sql_plan_make(&arena, &input, &plan, &error);
        assert_int_equal(right, error.code == WEIR_OK);
        assert_int_equal(right, plan != NULL);
        if (right) {
            sql_plan_print(plan, shown);
            assert_runnable(plan);
            execute(n, plan, shown);
        } else {
            weir_buffer_format(shown, "%s ", weir_code_name(error.code));
            sql_error_print(&error, script, NULL, shown);
        }
        weir_arena_reset(&arena);
    }
}

/* ---- stories -------------------------------------------------------------------------------------------------------
 */

static size_t read_file(const char *path, char *content) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t size = fread(content, 1, STORY_BYTES_MAX - 1, file);
    fclose(file);
    content[size] = 0;
    return size;
}

static char *behind_line(char *at) {
    char *end = strchr(at, '\n');
    return end == NULL ? at + strlen(at) : end + 1;
}

/* "==== title\n script ---- \n expected" as often as the file has it; `visit` gets each. */
typedef void (*story_visitor)(const char *title, weir_bytes script, const char *expected, weir_buffer *pinned);

static void each_story(const char *path, story_visitor visit, weir_buffer *pinned) {
    static char content[STORY_BYTES_MAX];
    read_file(path, content);
    char *at = strstr(content, "==== ");
    assert_non_null(at);
    weir_buffer_append(pinned, content, (size_t)(at - content));
    while (at != NULL) {
        char *script = behind_line(at), *middle = strstr(script, "----\n");
        assert_non_null(middle);
        char *expected = middle + 5, *next = strstr(expected, "==== ");
        script[-1] = 0;
        weir_buffer_format(pinned, "%s\n%.*s----\n", at, (int)(middle - script), script);
        char *copy = weir_strdup(&account, expected);
        if (next != NULL) copy[next - expected] = 0;
        visit(at, weir_bytes_of(script, (size_t)(middle - script)), copy, pinned);
        weir_free(&account, copy);
        at = next;
    }
}

static unsigned stories, wrong;

static void check_story(const char *title, weir_bytes script, const char *expected, weir_buffer *pinned) {
    weir_buffer shown;
    weir_buffer_init(&shown, &account, STORY_BYTES_MAX);
    node n = node_begin();
    run_script(&n, script, &shown);
    node_end(&n);
    weir_buffer_append_byte(&shown, '\n');
    stories++;
    if (strcmp(weir_buffer_text(&shown), expected) != 0) {
        wrong++;
        if (getenv("WEIR_PIN") == NULL)
            print_error("%s\n--- expected\n%s--- is\n%s", title, expected, weir_buffer_text(&shown));
    }
    weir_buffer_append(pinned, shown.data, shown.size);
    weir_buffer_deinit(&shown);
}

static void each_file(story_visitor visit, bool may_pin) {
    static const char folder[] = "src/sql/plan/stories";
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strstr(entry->d_name, ".txt") == NULL) continue;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        weir_buffer pinned;
        weir_buffer_init(&pinned, &account, STORY_BYTES_MAX);
        each_story(path, visit, &pinned);
        if (may_pin && getenv("WEIR_PIN") != NULL) {
            FILE *file = fopen(path, "wb");
            assert_non_null(file);
            assert_int_equal(fwrite(pinned.data, 1, pinned.size, file), pinned.size);
            fclose(file);
        }
        weir_buffer_deinit(&pinned);
    }
    closedir(directory);
}

static void stories_give_their_plans(void **state) {
    (void)state;
    each_file(check_story, true);
    print_message("%u stories\n", stories);
    assert_true(stories > 20);
    assert_int_equal(wrong, 0);
}

/* ---- damage --------------------------------------------------------------------------------------------------------
 */

static uint64_t seed = 20240917;

static size_t draw(size_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return below == 0 ? 0 : (size_t)(seed >> 33) % below;
}

/* The whole script once, then the script with words exchanged between its statements, for a catalog that is full. */
static void mutate_story(const char *title, weir_bytes script, const char *expected, weir_buffer *pinned) {
    (void)title, (void)expected, (void)pinned;
    weir_buffer shown;
    for (int round = 0; round < 12; round++) {
        char *mutated = weir_alloc(&account, script.size + 1);
        memcpy(mutated, script.data, script.size);
        for (int change = 0; change < 3 && round > 0; change++) {
            const size_t from = draw(script.size), to = draw(script.size), size = draw(12);
            for (size_t i = 0; i < size && from + i < script.size && to + i < script.size; i++)
                mutated[to + i] = (char)script.data[from + i];
        }
        weir_buffer_init(&shown, &account, 4 * STORY_BYTES_MAX);
        node n = node_begin();
        run_script(&n, weir_bytes_of(mutated, round == 11 ? draw(script.size) : script.size), &shown);
        node_end(&n);
        weir_buffer_deinit(&shown);
        weir_free(&account, mutated);
    }
}

static void mutated_scripts_give_plans_or_errors(void **state) {
    (void)state;
    const char *given = getenv("WEIR_SEED");
    if (given != NULL) seed = strtoull(given, NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    each_file(mutate_story, false);
}

static const char clickstream[] =
    "CREATE STREAM s (id BIGINT KEY, a STRING, b INT, c DECIMAL(6,2), d DOUBLE, t TIMESTAMP, r STRUCT<x INT, `y z` "
    "STRING>)\n"
    "  WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', KEY_FORMAT='JSON', TIMESTAMP='t');\n"
    "CREATE TABLE v AS SELECT a, COUNT(*) AS n, SUM(b) AS sum, MAX(CASE WHEN b > 1 THEN -b ELSE 0 END) AS m FROM s\n"
    "  WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 10 SECONDS, GRACE PERIOD 5 SECONDS)\n"
    "  WHERE r->x IS NOT NULL AND c < 2.50 AND d <> 1e3 AND t > '2026-01-01' OR a LIKE 'x%' GROUP BY a HAVING COUNT(*) "
    "> 1;";

static void damaged_json_is_told_from_a_plan(void **state) {
    (void)state;
    weir_buffer json, shown;
    weir_buffer_init(&json, &account, SQL_PLAN_JSON_BYTES_MAX);
    weir_buffer_init(&shown, &account, STORY_BYTES_MAX);
    node n = node_begin();
    n.show_json = true;
    run_script(&n, weir_bytes_of(clickstream, sizeof clickstream - 1), &shown);
    const char *start = strstr(strstr(weir_buffer_text(&shown), "{\"version\"") + 1, "{\"version\"");
    assert_non_null(start);
    weir_buffer_append(&json, start, strcspn(start, "\n"));
    const sql_plan *plan;
    for (size_t cut = 0; cut < json.size; cut++) {
        assert_int_equal(sql_plan_from_json(&arena, weir_bytes_of(json.data, cut), &plan).code, WEIR_CORRUPT);
        weir_arena_reset(&arena);
    }
    unsigned refused = 0;
    for (int round = 0; round < 5000; round++) {
        const size_t at = draw(json.size);
        const uint8_t was = json.data[at];
        json.data[at] = (uint8_t) "{}[]\",:0123456789-aeltrunfs.\\ "[draw(31)];
        refused += weir_failed(sql_plan_from_json(&arena, weir_buffer_view(&json), &plan));
        json.data[at] = was;
        weir_arena_reset(&arena);
    }
    assert_true(refused > 1000);
    node_end(&n);
    weir_buffer_deinit(&shown);
    weir_buffer_deinit(&json);
}

static void json_of_a_newer_version_is_refused(void **state) {
    (void)state;
    const sql_plan *plan;
    const weir_status status = sql_plan_from_json(&arena, weir_bytes_text("{\"version\":2}"), &plan);
    assert_int_equal(status.code, WEIR_UNSUPPORTED);
    assert_string_equal(status.text, "the plan has version 2, this weir knows 1");
}

/* ---- the example that a newcomer sees first --------------------------------------------------------------------- */

static void the_clickstream_example_is_planned_whole(void **state) {
    (void)state;
    static char script[STORY_BYTES_MAX];
    const size_t size = read_file("examples/clickstream/clickstream.sql", script);
    weir_buffer shown;
    weir_buffer_init(&shown, &account, STORY_BYTES_MAX);
    node n = node_begin();
    run_script(&n, weir_bytes_of(script, size), &shown);
    uint32_t at = 0, statements = 0;
    sql_piece piece;
    while (sql_split(weir_bytes_of(script, size), &at, &piece))
        statements += strncmp(script + piece.offset, "SET", 3) != 0;
    size_t sources = 0, connectors = 0;
    while (sql_catalog_source_at(n.catalog, sources) != NULL) sources++;
    while (sql_catalog_connector_at(n.catalog, connectors) != NULL) connectors++;
    if (sources + connectors != statements)
        fail_msg("%s", weir_buffer_text(&shown)); /* each statement but SET makes one thing */
    assert_true(statements > 4);
    node_end(&n);
    weir_buffer_deinit(&shown);
}

/* ---- bounds --------------------------------------------------------------------------------------------------------
 */

static void wide_statements_are_bounded(void **state) {
    (void)state;
    weir_buffer sql, shown;
    weir_buffer_init(&sql, &account, SQL_STATEMENT_BYTES_MAX);
    weir_buffer_init(&shown, &account, 4 * STORY_BYTES_MAX);
    node n = node_begin();
    run_script(&n, weir_bytes_text("CREATE STREAM s (a BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');"), &shown);
    weir_buffer_append_text(&sql, "CREATE STREAM o AS SELECT a FROM s WHERE a IN (0");
    for (int i = 0; i < 2000; i++) weir_buffer_format(&sql, ",%d", i);
    weir_buffer_append_text(&sql, ");");
    run_script(&n, weir_buffer_view(&sql), &shown);
    assert_non_null(sql_catalog_source(n.catalog, "O"));
    weir_buffer_clear(&sql);
    weir_buffer_append_text(&sql, "SELECT a FROM s WHERE a IN (0");
    for (int i = 0; i < 100000; i++) weir_buffer_format(&sql, ",%d", i);
    weir_buffer_append_text(&sql, ") EMIT CHANGES;");
    weir_buffer_clear(&shown);
    run_script(&n, weir_buffer_view(&sql), &shown);
    assert_non_null(strstr(weir_buffer_text(&shown), "the statement has more than 50000 parts of expressions"));
    node_end(&n);
    weir_buffer_deinit(&shown);
    weir_buffer_deinit(&sql);
}

/* SELECT <part, count times> FROM s: planned, or told that it is too much for a program. */
static void assert_planned_or(const char *before, const char *part, const char *after, unsigned count,
                              const char *error) {
    weir_buffer sql, shown;
    weir_buffer_init(&sql, &account, SQL_STATEMENT_BYTES_MAX);
    weir_buffer_init(&shown, &account, 16 * STORY_BYTES_MAX);
    node n = node_begin();
    run_script(&n, weir_bytes_text("CREATE STREAM s (a BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');"), &shown);
    weir_buffer_append_text(&sql, before);
    for (unsigned i = 0; i < count; i++) weir_buffer_append_text(&sql, part);
    weir_buffer_append_text(&sql, after);
    weir_buffer_clear(&shown);
    run_script(&n, weir_buffer_view(&sql), &shown);
    const char *text = weir_buffer_text(&shown);
    if (error == NULL ? strncmp(text, "PUSH", 4) != 0 : strstr(text, error) == NULL) fail_msg("%.300s", text);
    node_end(&n);
    weir_buffer_deinit(&shown);
    weir_buffer_deinit(&sql);
}

static void what_no_program_can_hold_is_refused_when_it_is_planned(void **state) {
    (void)state;
    assert_planned_or("SELECT CASE", " WHEN a = 1 THEN a", " END FROM s EMIT CHANGES;", 100, NULL);
    assert_planned_or("SELECT CASE", " WHEN a = 1 THEN a", " END FROM s EMIT CHANGES;", 5000,
                      "an expression of more than");
    assert_planned_or("SELECT a", " + a", " FROM s EMIT CHANGES;", 150, NULL);
    assert_planned_or("SELECT 1 FROM s WHERE a = 1", " OR a = 2", " EMIT CHANGES;", 300, NULL);
    assert_planned_or("SELECT COALESCE(a", ", a", ") FROM s EMIT CHANGES;", 63, NULL);
    assert_planned_or("SELECT COALESCE(a", ", a", ") FROM s EMIT CHANGES;", 64, "does not accept parameters");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_give_their_plans),
        cmocka_unit_test(mutated_scripts_give_plans_or_errors),
        cmocka_unit_test(damaged_json_is_told_from_a_plan),
        cmocka_unit_test(json_of_a_newer_version_is_refused),
        cmocka_unit_test(the_clickstream_example_is_planned_whole),
        cmocka_unit_test(wide_statements_are_bounded),
        cmocka_unit_test(what_no_program_can_hold_is_refused_when_it_is_planned),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
