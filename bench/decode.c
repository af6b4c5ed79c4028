/* bench/decode - how fast a block becomes columns: access log lines and their JSON, four columns of each, 4096 at a
 * time.
 *
 * Prints millions of records a second and bytes a nanosecond, the best of several rounds, on one thread. */
#include "data/format/format.h"

#include <stdio.h>
#include <time.h>

enum { ROWS = DATA_BATCH_ROWS_MAX, TURNS = 50, ROUNDS = 5, RECORD_BYTES_MAX = 400 };

static double now_ns(void) {
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static const char agent[] =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36";

static int write_line(char *at, uint32_t i) {
    return snprintf(
        at, RECORD_BYTES_MAX,
        "10.1.%u.%u - - [24/Nov/2026:10:%02u:%02u +0000] \"GET /articles/%u/a-title-of-some-length?page=%u HTTP/1.1\" "
        "200 %u \"https://example.org/articles\" \"%s\"",
        i % 200, i % 250, i / 60 % 60, i % 60, i % 1000, i % 7, 500 + i, agent);
}

static int write_json(char *at, uint32_t i) {
    return snprintf(at, RECORD_BYTES_MAX,
                    "{\"REMOTE_ADDR\":\"10.1.%u.%u\",\"TIME\":%u,\"METHOD\":\"GET\",\"PATH\":\"/articles/%u/"
                    "a-title-of-some-length\","
                    "\"QUERY\":\"page=%u\",\"STATUS\":200,\"BYTES\":%u,\"REFERER\":\"https://example.org/"
                    "articles\",\"USER_AGENT\":\"%s\"}",
                    i % 200, i % 250, i, i % 1000, i % 7, 500 + i, agent);
}

static const data_schema *schema_of(weir_arena *arena) {
    static const struct {
        const char *name;
        data_kind kind;
    } list[] = {{"TIME", DATA_TIMESTAMP}, {"PATH", DATA_STRING}, {"STATUS", DATA_INT}, {"BYTES", DATA_BIGINT}};
    data_column *columns = weir_arena_array(arena, data_column, 4);
    data_schema *schema = weir_arena_new(arena, data_schema);
    for (int i = 0; i < 4; i++)
        columns[i] = (data_column){list[i].name, data_type_of(list[i].kind), DATA_ROLE_VALUE, NULL};
    *schema = (data_schema){columns, 4, 0};
    return schema;
}

static void measure(weir_account *account, const format_vtable *format, int (*write)(char *at, uint32_t i)) {
    static char text[ROWS][RECORD_BYTES_MAX];
    static weir_bytes records[ROWS];
    static format_errors errors;
    weir_arena arena;
    weir_arena_init(&arena, account, 1 << 20);
    size_t bytes = 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        records[i] = weir_bytes_of(text[i], (size_t)write(text[i], i));
        bytes += records[i].size;
    }
    const format_spec spec = {schema_of(&arena), DATA_ROLE_VALUE, NULL, 0};
    const format_input input = {records, sizeof *records, ROWS, NULL};
    data_batch_pool *pool = data_batch_pool_create(account, 1, 16 << 20);
    format_decoder *decoder;
    if (weir_failed(format->decoder_create(account, &spec, NULL, &decoder))) return;
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = now_ns();
        for (int turn = 0; turn < TURNS; turn++) {
            data_batch *batch = data_batch_take(pool, spec.schema);
            errors.count = 0;
            const weir_status status = format_decode(decoder, &input, batch, 0, &errors);
            weir_assert(!weir_failed(status) && errors.count == 0);
            data_batch_release(batch);
        }
        const double spent = (now_ns() - start) / TURNS;
        if (spent < best) best = spent;
    }
    printf("%-10s %6.2f million records a second, %5.2f bytes a ns\n", format->name, ROWS / best * 1e3,
           (double)bytes / best);
    format_decoder_destroy(decoder);
    data_batch_pool_destroy(pool);
    weir_arena_deinit(&arena);
}

int main(void) {
    weir_account account;
    weir_account_init(&account, "bench", 0);
    measure(&account, &format_combined, write_line);
    measure(&account, &format_json, write_json);
    weir_account_deinit(&account);
    return 0;
}
