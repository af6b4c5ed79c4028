#include "cli/table.h"

#include <string.h>

enum { COLUMNS_MAX = 256, WAITING_MAX = 1000, WIDTH_MAX = 60, CELL_BYTES_MAX = 4096 };

struct cli_table {
    weir_account *account;
    FILE *target;
    json_t *names;
    json_t *waiting; /* rows whose widths still count */
    size_t columns;
    unsigned widths[COLUMNS_MAX];
    bool started;
};

static const char *cell_text(const json_t *value, char *target, size_t size) {
    if (json_is_string(value)) return json_string_value(value);
    if (!value || json_is_null(value)) return "null";
    const size_t length = json_dumpb(value, target, size - 1, JSON_ENCODE_ANY | JSON_COMPACT);
    target[length < size ? length : size - 1] = 0;
    return target;
}

/* Characters, not bytes: continuation bytes have no width. */
static unsigned width_of(const char *text) {
    unsigned width = 0;
    for (; *text; text++) width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void print_cell(const cli_table *table, size_t column, const char *text) {
    const unsigned width = width_of(text);
    fprintf(table->target, "%s%s", column ? " | " : " ", text);
    if (column + 1 < table->columns && width < table->widths[column]) {
        fprintf(table->target, "%*s", (int)(table->widths[column] - width), "");
    }
}

static void print_row(const cli_table *table, const json_t *values) {
    char cell[CELL_BYTES_MAX];
    for (size_t i = 0; i < table->columns; i++)
        print_cell(table, i, cell_text(json_array_get(values, i), cell, sizeof cell));
    fprintf(table->target, "\n");
}

static void measure(cli_table *table, const json_t *values) {
    char cell[CELL_BYTES_MAX];
    for (size_t i = 0; i < table->columns; i++) {
        const unsigned width = width_of(cell_text(json_array_get(values, i), cell, sizeof cell));
        if (width > table->widths[i]) table->widths[i] = width > WIDTH_MAX ? WIDTH_MAX : width;
    }
}

cli_table *cli_table_begin(weir_account *account, json_t *names, FILE *target) {
    cli_table *table = weir_alloc(account, sizeof *table);
    table->account = account;
    table->target = target;
    table->names = json_incref(names);
    table->waiting = json_array();
    table->columns = json_array_size(names) < COLUMNS_MAX ? json_array_size(names) : COLUMNS_MAX;
    measure(table, names);
    return table;
}

void cli_table_flush(cli_table *table) {
    size_t index;
    json_t *row;
    if (!table->started) {
        if (json_array_size(table->waiting) == 0) return;
        json_array_foreach(table->waiting, index, row) measure(table, row);
        print_row(table, table->names);
        for (size_t i = 0; i < table->columns; i++) {
            fprintf(table->target, "%s", i ? "+" : "");
            for (unsigned dash = 0; dash < table->widths[i] + 2; dash++) fputc('-', table->target);
        }
        fprintf(table->target, "\n");
        table->started = true;
    }
    json_array_foreach(table->waiting, index, row) print_row(table, row);
    json_array_clear(table->waiting);
}

void cli_table_row(cli_table *table, json_t *values) {
    json_array_append(table->waiting, values);
    if (json_array_size(table->waiting) >= WAITING_MAX) cli_table_flush(table);
}

void cli_table_end(cli_table *table) {
    cli_table_flush(table);
    if (!table->started) print_row(table, table->names);
    json_decref(table->names);
    json_decref(table->waiting);
    weir_free(table->account, table);
}

/* ---- entities ---------------------------------------------------------------------------------------------------- */

void cli_table_objects(weir_account *account, const json_t *objects, FILE *target) {
    json_t *names = json_array();
    const char *name;
    json_t *value, *object;
    json_object_foreach(json_array_get(objects, 0), name, value) json_array_append_new(names, json_string(name));
    cli_table *table = cli_table_begin(account, names, target);
    size_t index, column;
    json_array_foreach(objects, index, object) {
        json_t *row = json_array();
        json_array_foreach(names, column, value) {
            json_t *member = json_object_get(object, json_string_value(value));
            json_array_append_new(row, member ? json_incref(member) : json_null());
        }
        cli_table_row(table, row);
        json_decref(row);
    }
    cli_table_end(table);
    json_decref(names);
}

static void print_list(weir_account *account, const char *name, const json_t *list, FILE *target) {
    if (json_array_size(list) == 0) {
        fprintf(target, " %s: none\n", name);
        return;
    }
    if (json_is_object(json_array_get(list, 0))) {
        cli_table_objects(account, list, target);
        return;
    }
    size_t index;
    json_t *value;
    char cell[CELL_BYTES_MAX];
    json_array_foreach(list, index, value) fprintf(target, " %s\n", cell_text(value, cell, sizeof cell));
}

static void print_members(weir_account *account, const json_t *object, FILE *target) {
    const char *name;
    json_t *value;
    char cell[CELL_BYTES_MAX];
    json_object_foreach((json_t *)object, name, value) {
        if (name[0] == '@' || strcmp(name, "statementText") == 0 || strcmp(name, "warnings") == 0) continue;
        if (json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0)) continue;
        if (json_is_array(value)) {
            print_list(account, name, value, target);
        } else if (json_is_object(value)) {
            fprintf(target, " %s:\n", name);
            print_members(account, value, target);
        } else if (json_is_string(value) && strchr(json_string_value(value), '\n')) {
            fprintf(target, " %s:\n%s\n", name, json_string_value(value));
        } else {
            fprintf(target, " %-22s %s\n", name, cell_text(value, cell, sizeof cell));
        }
    }
}

void cli_entity_print(weir_account *account, const json_t *entity, FILE *target) {
    const json_t *status = json_object_get(entity, "commandStatus");
    const char *message = json_string_value(json_object_get(status ? status : entity, "message"));
    if (message) fprintf(target, " %s\n", message);
    else print_members(account, entity, target);
}
