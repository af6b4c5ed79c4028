/* Goal: no script can hurt splitting, parsing, checking and planning, and every plan can be run and stored.
 * Method: the script meets a small catalog (a stream with a column of every kind, a table, a windowed table); its
 * statements are planned one after another, and commands change the catalog as they do in the engine: through JSON,
 * which must come back the same. A first byte of 0 makes the rest the JSON of a plan instead. What is planned must
 * compile. */
#include "sql/plan/plan.h"

#include "words.h"

enum { TEXT_BYTES_MAX = 8 << 20, STATEMENTS_MAX = 16, SETUP_MAX = 8 };

typedef struct fuzz_bench {
    weir_account account;
    weir_arena arena;
    weir_buffer first, second;
    sql_catalog *catalog; /* of one input */
    uint64_t next_query;
    weir_arena kept; /* the small catalog's plans */
    const sql_plan *plans[SETUP_MAX];
    int plan_count;
} fuzz_bench;

static fuzz_bench bench;

static const char setup[] =
    "CREATE STREAM s (k BIGINT KEY, a STRING, b INT, c DECIMAL(6, 2), d DOUBLE, e BOOLEAN, t TIMESTAMP, u DATE, x "
    "BYTES,"
    " r STRUCT<f INT, g STRING>, l ARRAY<INT>, m MAP<STRING, BIGINT>) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');"
    "CREATE TABLE t (k STRING PRIMARY KEY, n BIGINT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');"
    "CREATE TABLE w AS SELECT a, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY a;"
    "CREATE TABLE v AS SELECT b, SUM(k) AS total FROM s GROUP BY b;";

static const char *const words[] = {"SELECT ",
                                    "FROM ",
                                    "s ",
                                    "t ",
                                    "w ",
                                    "v ",
                                    "WHERE ",
                                    "GROUP BY ",
                                    "HAVING ",
                                    "EMIT CHANGES ",
                                    "LIMIT ",
                                    "; ",
                                    ", ",
                                    "( ",
                                    ") ",
                                    "CREATE STREAM o AS ",
                                    "CREATE TABLE q AS ",
                                    "CREATE STREAM n (a INT) ",
                                    "WITH (KAFKA_TOPIC='n', VALUE_FORMAT='JSON') ",
                                    "INSERT INTO s ",
                                    "INSERT INTO s VALUES ",
                                    "DROP STREAM s ",
                                    "DROP TABLE IF EXISTS w DELETE TOPIC ",
                                    "TERMINATE ALL ",
                                    "EXPLAIN ",
                                    "DESCRIBE ",
                                    "SHOW QUERIES ",
                                    "SET 'a'='b' ",
                                    "WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 10 SECONDS) ",
                                    "a ",
                                    "b ",
                                    "c ",
                                    "d ",
                                    "e ",
                                    "k ",
                                    "u ",
                                    "x ",
                                    "r->f ",
                                    "l ",
                                    "m ",
                                    "n ",
                                    "total ",
                                    "ROWTIME ",
                                    "WINDOWSTART ",
                                    "* ",
                                    "'x' ",
                                    "'%' ",
                                    "1 ",
                                    "0 ",
                                    "2.5 ",
                                    "1e3 ",
                                    "9223372036854775807 ",
                                    "NULL ",
                                    "TRUE ",
                                    "'2026-11-24' ",
                                    "+ ",
                                    "- ",
                                    "/ ",
                                    "% ",
                                    "= ",
                                    "<> ",
                                    "< ",
                                    ">= ",
                                    "|| ",
                                    "AND ",
                                    "OR ",
                                    "NOT ",
                                    "IS NULL ",
                                    "IS NOT NULL ",
                                    "BETWEEN ",
                                    "IN ( ",
                                    "LIKE ",
                                    "CASE WHEN ",
                                    "THEN ",
                                    "ELSE ",
                                    "END ",
                                    "CAST( ",
                                    "AS INT) ",
                                    "AS DECIMAL(5, 2)) ",
                                    "AS x ",
                                    "COUNT(*) ",
                                    "SUM( ",
                                    "MAX( ",
                                    "COALESCE( ",
                                    "GREATEST( ",
                                    "UCASE( ",
                                    "SUBSTRING( ",
                                    "IS DISTINCT FROM ",
                                    "`",
                                    "'",
                                    "-- ",
                                    "/* ",
                                    "\n"};
enum { WORD_COUNT = sizeof words / sizeof *words };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    weir_account_init(&bench.account, "fuzz", 0);
    weir_arena_init(&bench.arena, &bench.account, SQL_PLAN_ARENA_BYTES);
    weir_buffer_init(&bench.first, &bench.account, TEXT_BYTES_MAX);
    weir_buffer_init(&bench.second, &bench.account, TEXT_BYTES_MAX);
    weir_arena_init(&bench.kept, &bench.account, SQL_PLAN_ARENA_BYTES);
    return 0;
}

static void check_compiles(const func_expr *expr, const data_schema *schema) {
    static const data_schema none = {0};
    const func_program *program;
    if (!expr) return;
    weir_assert(!weir_failed(func_compile(&bench.arena, expr, schema ? schema : &none, &program)));
}

static void check_runnable(const sql_plan *plan) {
    for (const flow_node *step = plan->topology ? plan->topology->root : NULL; step; step = step->input) {
        if (step->kind == FLOW_FILTER) check_compiles(step->filter.condition, step->input->schema);
        for (uint32_t i = 0; step->kind == FLOW_PROJECT && i < step->schema->count; i++)
            check_compiles(step->project.columns[i].expr, step->input->schema);
    }
    if (plan->kind == SQL_PLAN_PULL) {
        check_compiles(plan->pull->filter, plan->pull->source->schema);
        for (uint32_t i = 0; i < plan->schema->count; i++)
            check_compiles(plan->pull->select[i], plan->pull->source->schema);
    }
    for (uint32_t i = 0; plan->kind == SQL_PLAN_INSERT_VALUES && i < plan->values->sink->schema->count; i++)
        check_compiles(plan->values->values[i], NULL);
}

static void carry_out(const sql_plan *plan, bool keeps) {
    const sql_plan *back = NULL;
    if (plan->topology) bench.next_query++;
    if (!sql_plan_is_command(plan)) return;
    weir_buffer_clear(&bench.first);
    weir_buffer_clear(&bench.second);
    weir_assert(!weir_failed(sql_plan_to_json(plan, &bench.first)));
    weir_assert(!weir_failed(sql_plan_from_json(&bench.arena, weir_buffer_view(&bench.first), &back)));
    weir_assert(!weir_failed(sql_plan_to_json(back, &bench.second)));
    weir_assert(bench.first.size == bench.second.size);
    weir_assert(memcmp(bench.first.data, bench.second.data, bench.first.size) == 0);
    weir_assert(!weir_failed(sql_plan_apply(back, bench.catalog)));
    if (!keeps) return;
    weir_assert(bench.plan_count < SETUP_MAX);
    weir_assert(!weir_failed(
        sql_plan_from_json(&bench.kept, weir_buffer_view(&bench.first), &bench.plans[bench.plan_count++])));
}

static bool run_script(weir_bytes script, bool keeps) {
    uint32_t at = 0;
    sql_piece piece;
    bool all_right = true;
    for (int count = 0; count < STATEMENTS_MAX && sql_split(script, &at, &piece); count++) {
        sql_error error;
        const sql_plan *plan = NULL;
        const sql_plan_input input = {.script = script,
                                      .piece = piece,
                                      .catalog = bench.catalog,
                                      .next_query = bench.next_query,
                                      .next_push = bench.next_query};
        const bool right = sql_plan_make(&bench.arena, &input, &plan, &error);
        weir_assert(right == (error.code == WEIR_OK) && right == (plan != NULL));
        weir_buffer_clear(&bench.first);
        if (right) {
            sql_plan_print(plan, &bench.first);
            check_runnable(plan);
            carry_out(plan, keeps);
        } else {
            sql_error_print(&error, script, NULL, &bench.first);
            all_right = false;
        }
    }
    return all_right;
}

/* A plan that is read may be of any shape that the reader lets through; it must print and be written again. */
static void read_plan(weir_bytes json) {
    const sql_plan *plan = NULL;
    if (weir_failed(sql_plan_from_json(&bench.arena, json, &plan))) return;
    weir_buffer_clear(&bench.first);
    (void)!weir_failed(sql_plan_to_json(plan, &bench.first));
}

/* Plans the small catalog once, and makes it anew for every input. */
static void set_up(void) {
    if (bench.plan_count == 0) {
        bench.catalog = sql_catalog_create(&bench.account);
        const bool is_right = run_script(weir_bytes_text(setup), true);
        weir_assert(is_right && bench.plan_count > 0);
        sql_catalog_destroy(bench.catalog);
    }
    bench.catalog = sql_catalog_create(&bench.account);
    bench.next_query = (uint64_t)bench.plan_count;
    for (int i = 0; i < bench.plan_count; i++) weir_assert(!weir_failed(sql_plan_apply(bench.plans[i], bench.catalog)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    set_up();
    weir_arena_reset(&bench.arena);
    if (data[0] == 0) {
        read_plan(weir_bytes_of(data + 1, size - 1));
    } else {
        run_script(weir_bytes_of(data, size), false);
    }
    sql_catalog_destroy(bench.catalog);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    return fuzz_mutate_words(data, size, max_size, seed, 0, words, WORD_COUNT);
}
