/* cli/test - weir test: runs declarative query tests and tells what passed. */
#include "cli/cli.h"

#include "base/map.h"
#include "base/text.h"
#include "io/real/io_real.h"
#include "probe/probe.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 4096, FILE_BYTES_MAX = 64 << 20, NAMES_MAX = 64, FEATURES_MAX = 4096 };

typedef struct score {
    const char *name;
    unsigned passed, all;
} score;

typedef struct tester {
    weir_account account;
    weir_arena names; /* of files and features */
    io_files *files;
    const char *paths[FILES_MAX];
    unsigned path_count;
    const char *only_name;
    const char *wanted[NAMES_MAX], *unwanted[NAMES_MAX]; /* features */
    unsigned wanted_count, unwanted_count;
    probe_options options;
    bool json, too_many;
    unsigned passed, failed, skipped;
    score positive, negative, kind;
    weir_map by_feature;
    score *scores[FEATURES_MAX];
    unsigned score_count;
} tester;

/* ---- which files, which cases ------------------------------------------------------------------------------------ */

typedef struct listing {
    tester *t;
    const char *directory;
} listing;

static void add_path(tester *t, const char *path) {
    t->too_many |= t->path_count == FILES_MAX;
    if (!t->too_many) t->paths[t->path_count++] = path;
}

static void visit_entry(const char *name, void *arg) {
    const listing *l = arg;
    const size_t size = strlen(name);
    if (size < 6 || strcmp(name + size - 5, ".json") != 0) return;
    add_path(l->t, weir_arena_format(&l->t->names, "%s/%s", l->directory, name));
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static weir_status find_files(tester *t, const char *path) {
    io_file_info info;
    const unsigned before = t->path_count;
    WEIR_TRY(io_path_info(t->files, path, &info));
    if (!info.is_directory) {
        add_path(t, path);
    } else {
        listing l = {t, path};
        WEIR_TRY(io_list(t->files, path, visit_entry, &l));
        qsort(t->paths + before, t->path_count - before, sizeof t->paths[0], compare_paths);
    }
    return t->too_many ? weir_fail(WEIR_INVALID, "more than %d files; name fewer", FILES_MAX) : weir_ok();
}

static bool has_feature(const probe_case *test, const char *const *names, unsigned count, bool all) {
    unsigned found = 0;
    for (unsigned i = 0; i < count; i++) {
        for (uint32_t j = 0; j < test->feature_count; j++) {
            if (strcmp(test->features[j], names[i]) != 0) continue;
            found++;
            break;
        }
    }
    return all ? found == count : found > 0;
}

static bool is_selected(const tester *t, const probe_case *test) {
    if (t->only_name && strcmp(test->name, t->only_name) != 0) return false;
    return has_feature(test, t->wanted, t->wanted_count, true) &&
           !has_feature(test, t->unwanted, t->unwanted_count, false);
}

/* ---- telling ----------------------------------------------------------------------------------------------------- */

static void count(score *s, bool passed) {
    s->all++;
    s->passed += passed;
}

static void count_features(tester *t, const probe_case *test, bool passed) {
    for (uint32_t i = 0; i < test->feature_count; i++) {
        score *s = weir_map_get_text(&t->by_feature, test->features[i]);
        if (!s && t->score_count < FEATURES_MAX) {
            s = weir_arena_new(&t->names, score);
            s->name = weir_arena_text_copy(&t->names, test->features[i]);
            weir_map_put(&t->by_feature, weir_bytes_text(s->name), s);
            t->scores[t->score_count++] = s;
        }
        if (s) count(s, passed);
    }
}

static void tell_case(const tester *t, const probe_case *test, const probe_result *result) {
    static const char *const words[] = {[PROBE_PASS] = "pass", [PROBE_FAIL] = "fail", [PROBE_ERROR] = "error"};
    static const char *const loud[] = {[PROBE_PASS] = "PASS", [PROBE_FAIL] = "FAIL", [PROBE_ERROR] = "ERROR"};
    if (!t->json) {
        printf("%s %s - %s%s%s\n", loud[result->outcome], test->suite, test->name, result->detail[0] ? ": " : "",
               result->detail);
        return;
    }
    json_t *detail = json_string(result->detail);
    if (!detail) detail = json_string("(not UTF-8)");
    json_t *object = json_pack("{s:s, s:s, s:s, s:b, s:b, s:o}", "suite", test->suite, "name", test->name, "result",
                               words[result->outcome], "kind_ok", result->kind_ok, "text_ok", result->text_ok, "detail",
                               detail);
    json_dumpf(object, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(object);
}

static int compare_scores(const void *a, const void *b) {
    return strcmp((*(const score *const *)a)->name, (*(const score *const *)b)->name);
}

static void tell_scores(tester *t) {
    if (!t->json) {
        qsort(t->scores, t->score_count, sizeof t->scores[0], compare_scores);
        printf("\n%-48s %s\n", "feature", "passed of all");
        for (unsigned i = 0; i < t->score_count; i++)
            printf("%-48s %5u %5u\n", t->scores[i]->name, t->scores[i]->passed, t->scores[i]->all);
        printf("\n%-48s %5u %5u\n", "positive cases", t->positive.passed, t->positive.all);
        printf("%-48s %5u %5u\n", "negative cases, by class and text", t->negative.passed, t->negative.all);
        printf("%-48s %5u %5u\n\n", "negative cases, by class", t->kind.passed, t->kind.all);
    }
    printf("%u passed, %u failed, %u skipped\n", t->passed, t->failed, t->skipped);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void run_case(tester *t, const probe_file *file, const probe_case *test) {
    if (!is_selected(t, test)) {
        t->skipped++;
        return;
    }
    static probe_result result; /* too large for a stack */
    probe_case_run(file, test, &t->options, &result);
    const bool passed = result.outcome == PROBE_PASS;
    t->passed += passed;
    t->failed += !passed;
    count(test->is_negative ? &t->negative : &t->positive, passed);
    if (test->is_negative) count(&t->kind, result.kind_ok);
    count_features(t, test, passed);
    tell_case(t, test, &result);
}

static weir_status read_file(tester *t, const char *path, weir_buffer *text) {
    io_file *file;
    io_file_info info;
    size_t got = 0;
    WEIR_TRY(io_open(t->files, path, IO_OPEN_READ, &file));
    weir_status status = io_file_info_of(t->files, file, &info);
    uint8_t *at = weir_failed(status) || info.size > FILE_BYTES_MAX ? NULL : weir_buffer_reserve(text, info.size + 1);
    if (!weir_failed(status) && !at) status = weir_fail(WEIR_NO_MEMORY, "%s is too large", path);
    if (!weir_failed(status)) status = io_read_at(t->files, file, 0, at, info.size, &got);
    text->size = got;
    io_close(t->files, file);
    return status;
}

static weir_status run_file(tester *t, const char *path) {
    weir_buffer text;
    weir_arena arena;
    probe_file file = {0};
    weir_buffer_init(&text, &t->account, FILE_BYTES_MAX + 1);
    weir_arena_init(&arena, &t->account, (size_t)FILE_BYTES_MAX * 16);
    weir_status status = read_file(t, path, &text);
    if (!weir_failed(status))
        status = weir_context(probe_file_read(&arena, weir_buffer_view(&text), &file), "%s", path);
    for (uint32_t i = 0; i < file.case_count; i++) run_case(t, &file, &file.cases[i]);
    weir_arena_deinit(&arena);
    weir_buffer_deinit(&text);
    return status;
}

static bool parse_batching(const char *text, probe_options *options) {
    static const char *const names[] = {[PROBE_ONE] = "one", [PROBE_RUNS] = "runs", [PROBE_MIXED] = "mixed"};
    for (int i = PROBE_ONE; i <= PROBE_MIXED; i++) {
        if (strcmp(text, names[i]) == 0) return options->batching = (probe_batching)i, true;
    }
    int64_t seed;
    if (!weir_parse_i64(weir_bytes_text(text), &seed)) return false;
    *options = (probe_options){PROBE_RANDOM, (uint64_t)seed};
    return true;
}

static void print_help(void) {
    printf("Usage: weir test FILE|DIR ... [--case NAME] [--feature F] [--skip-feature F]\n"
           "                 [--batching one|runs|mixed|SEED] [--json]\n\n"
           "Runs declarative query tests: each case in a fresh engine in memory, without waiting.\n\n"
           "  --case NAME         only the case of this name\n"
           "  --feature F         only cases with this feature; may be repeated: all of them\n"
           "  --skip-feature F    no case with this feature; may be repeated\n"
           "  --batching B        how records reach a query: one at a time (default), runs of one topic, mixed:\n"
           "                      all at once, or cut at random from SEED\n"
           "  --json              an object a case instead of lines and scores\n\n"
           "Prints `N passed, N failed, N skipped` last; status 1 if a case failed.\n");
}

static int parse(tester *t, int argc, char **argv) {
    static const struct option options[] = {
        {"case", required_argument, NULL, 'c'},     {"feature", required_argument, NULL, 'f'},
        {"skip-feature", required_argument, NULL, 's'}, {"batching", required_argument, NULL, 'b'},
        {"json", no_argument, NULL, 'j'},           {"help", no_argument, NULL, 'h'}, {0}};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'c': t->only_name = optarg; break;
        case 'f':
        case 's': {
            unsigned *at = option == 'f' ? &t->wanted_count : &t->unwanted_count;
            if (*at == NAMES_MAX) return cli_usage("test", "at most %d features can be given", NAMES_MAX);
            (option == 'f' ? t->wanted : t->unwanted)[(*at)++] = optarg;
            break;
        }
        case 'b':
            if (!parse_batching(optarg, &t->options))
                return cli_usage("test", "--batching takes one, runs, mixed or a number, not '%s'", optarg);
            break;
        case 'j': t->json = true; break;
        case 'h': print_help(); return -1;
        default: return cli_usage("test", "wrong option");
        }
    }
    return optind < argc ? 0 : cli_usage("test", "a file or folder is needed");
}

int cli_test(int argc, char **argv) {
    static tester t; /* too large for a stack */
    const int wrong = parse(&t, argc, argv);
    if (wrong) return wrong < 0 ? 0 : wrong;
    io_real *real;
    weir_status status = io_real_start(&real, &(io_real_config){.workers = 1});
    if (weir_failed(status)) return cli_fail("test", status);
    weir_account_init(&t.account, "cli.test", 0);
    weir_arena_init(&t.names, &t.account, 64 << 20);
    weir_map_init(&t.by_feature, &t.account);
    t.files = io_real_world(real)->files;
    for (int i = optind; i < argc && !weir_failed(status); i++) status = find_files(&t, argv[i]);
    for (unsigned i = 0; i < t.path_count && !weir_failed(status); i++) status = run_file(&t, t.paths[i]);
    if (!weir_failed(status)) tell_scores(&t);
    weir_map_deinit(&t.by_feature);
    weir_arena_deinit(&t.names);
    weir_account_deinit(&t.account);
    io_real_destroy(real);
    if (weir_failed(status)) return cli_fail("test", status);
    return t.failed ? 1 : 0;
}
