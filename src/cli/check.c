/* cli/check - weir check FILE.sql: diagnostics and plans of a script, against an empty catalog; runs nothing. */
#include "cli/cli.h"

#include "base/buffer.h"
#include "cli/script.h"
#include "sql/plan/plan.h"

#include <getopt.h>
#include <stdio.h>

enum { PLAN_BYTES_MAX = 64 << 20, PROPERTIES_MAX = 256 };

typedef struct check {
    const char *path;
    weir_account account;
    weir_arena arena;
    weir_buffer text;
    sql_catalog *catalog;
    weir_setting properties[PROPERTIES_MAX]; /* what SET has set; the last of a name wins */
    size_t property_count;
    uint64_t queries;
    bool quiet;
} check;

static void keep_setting(check *c, const sql_plan *plan) {
    if (plan->kind != SQL_PLAN_SET && plan->kind != SQL_PLAN_UNSET) return;
    size_t kept = 0;
    for (size_t i = 0; i < c->property_count; i++) {
        if (strcmp(c->properties[i].name, plan->setting.name) != 0) c->properties[kept++] = c->properties[i];
    }
    c->property_count = kept;
    if (plan->kind == SQL_PLAN_SET && kept < PROPERTIES_MAX) c->properties[c->property_count++] = plan->setting;
}

static bool check_statement(check *c, weir_bytes script, sql_piece piece) {
    const sql_plan_input input = {.script = script,
                                  .piece = piece,
                                  .catalog = c->catalog,
                                  .properties = c->properties,
                                  .property_count = c->property_count,
                                  .next_query = c->queries,
                                  .next_push = c->queries};
    const sql_plan *plan = NULL;
    sql_error error = {0};
    weir_buffer_clear(&c->text);
    if (!sql_plan_make(&c->arena, &input, &plan, &error)) {
        sql_error_print(&error, script, c->path, &c->text);
        fprintf(stderr, "%s\n", weir_buffer_text(&c->text));
        return false;
    }
    if (plan->topology) c->queries++;
    keep_setting(c, plan);
    const weir_status status = sql_plan_apply(plan, c->catalog);
    if (weir_failed(status)) {
        fprintf(stderr, "%s: %s\n", c->path, status.text);
        return false;
    }
    if (c->quiet) return true;
    sql_plan_print(plan, &c->text);
    printf("%s\n", weir_buffer_text(&c->text));
    return true;
}

/* Goes on behind a wrong statement only as far as the next one's own errors: a later statement may need the wrong one.
 */
static int check_script(check *c, weir_bytes script) {
    uint32_t at = 0;
    sql_piece piece;
    while (sql_split(script, &at, &piece)) {
        if (!check_statement(c, script, piece)) return 1;
    }
    return 0;
}

int cli_check(int argc, char **argv) {
    static const struct option options[] = {{"quiet", no_argument, NULL, 'q'}, {"help", no_argument, NULL, 'h'}, {0}};
    static check c;
    for (int option; (option = getopt_long(argc, argv, "qh", options, NULL)) != -1;) {
        switch (option) {
        case 'q': c.quiet = true; break;
        case 'h':
            printf("Usage: weir check [-q|--quiet] FILE.sql\n\nChecks a script against an empty catalog and prints the "
                   "plan of "
                   "each statement;\n-q prints errors only. Runs nothing, needs no server.\n");
            return 0;
        default: return cli_usage("check", "wrong option");
        }
    }
    if (optind + 1 != argc) return cli_usage("check", "one file is needed");
    c.path = argv[optind];
    weir_account_init(&c.account, "cli.check", 0);
    weir_arena_init(&c.arena, &c.account, PLAN_BYTES_MAX);
    weir_buffer_init(&c.text, &c.account, PLAN_BYTES_MAX);
    c.catalog = sql_catalog_create(&c.account);
    weir_buffer script;
    weir_buffer_init(&script, &c.account, CLI_SCRIPT_BYTES_MAX);
    int status = 1;
    const weir_status read = cli_script_read(c.path, &script);
    if (weir_failed(read)) cli_fail("check", read);
    else status = check_script(&c, weir_buffer_view(&script));
    weir_buffer_deinit(&script);
    sql_catalog_destroy(c.catalog);
    weir_buffer_deinit(&c.text);
    weir_arena_deinit(&c.arena);
    weir_account_deinit(&c.account);
    return status;
}
