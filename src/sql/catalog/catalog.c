/* Three sorted lists of objects, each object with the arena it lives in. */
#include "sql/catalog/catalog.h"

enum { OBJECT_BYTES_MAX = 16 << 20 };

typedef struct object {
    weir_arena arena;
    const char *name;
    const void *value;
} object;

typedef struct object_list {
    object **items;
    size_t count, capacity;
} object_list;

struct sql_catalog {
    weir_account *account;
    object_list sources, queries, connectors;
};

sql_catalog *sql_catalog_create(weir_account *account) {
    sql_catalog *catalog = weir_alloc(account, sizeof *catalog);
    catalog->account = account;
    return catalog;
}

static void object_destroy(sql_catalog *catalog, object *o) {
    weir_arena_deinit(&o->arena);
    weir_free(catalog->account, o);
}

static void list_deinit(sql_catalog *catalog, object_list *list) {
    for (size_t i = 0; i < list->count; i++) object_destroy(catalog, list->items[i]);
    weir_free(catalog->account, list->items);
}

void sql_catalog_destroy(sql_catalog *catalog) {
    if (catalog == NULL) return;
    list_deinit(catalog, &catalog->sources);
    list_deinit(catalog, &catalog->queries);
    list_deinit(catalog, &catalog->connectors);
    weir_free(catalog->account, catalog);
}

/* ---- lists
 * ------------------------------------------------------------------------------------------------------------ */

static size_t list_find(const object_list *list, const char *name, bool *found) {
    size_t low = 0, high = list->count;
    *found = false;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = strcmp(list->items[middle]->name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const void *list_get(const object_list *list, const char *name) {
    bool found;
    const size_t at = list_find(list, name, &found);
    return found ? list->items[at]->value : NULL;
}

static const void *list_at(const object_list *list, size_t index) {
    return index < list->count ? list->items[index]->value : NULL;
}

static bool list_drop(sql_catalog *catalog, object_list *list, const char *name) {
    bool found;
    const size_t at = list_find(list, name, &found);
    if (!found) return false;
    object_destroy(catalog, list->items[at]);
    list->count--;
    memmove(list->items + at, list->items + at + 1, (list->count - at) * sizeof list->items[0]);
    return true;
}

/* The old object goes only after the new one was copied, for the new one may point into it. */
static weir_status list_put(sql_catalog *catalog, object_list *list, object *o) {
    bool found;
    const size_t at = list_find(list, o->name, &found);
    if (found) {
        object_destroy(catalog, list->items[at]);
        list->items[at] = o;
        return weir_ok();
    }
    if (list->count == SQL_CATALOG_OBJECTS_MAX) {
        weir_status status = weir_fail(WEIR_FULL, "%s: the catalog holds %d objects of its sort already", o->name,
                                       SQL_CATALOG_OBJECTS_MAX);
        object_destroy(catalog, o);
        return status;
    }
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        list->items = weir_realloc(catalog->account, list->items, list->capacity * sizeof list->items[0]);
    }
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof list->items[0]);
    list->items[at] = o;
    list->count++;
    return weir_ok();
}

static object *object_create(sql_catalog *catalog) {
    object *o = weir_alloc(catalog->account, sizeof *o);
    weir_arena_init(&o->arena, catalog->account, OBJECT_BYTES_MAX);
    return o;
}

/* ---- copies
 * ----------------------------------------------------------------------------------------------------------- */

static const char *text_copy(weir_arena *arena, const char *text) {
    return text == NULL ? NULL : weir_arena_text_copy(arena, text);
}

static const weir_setting *settings_copy(weir_arena *arena, const weir_setting *settings, uint32_t count) {
    if (count == 0) return NULL;
    weir_setting *copy = weir_arena_array(arena, weir_setting, count);
    for (uint32_t i = 0; i < count; i++)
        copy[i] = (weir_setting){text_copy(arena, settings[i].name), text_copy(arena, settings[i].value)};
    return copy;
}

const sql_source *sql_source_copy(weir_arena *arena, const sql_source *source) {
    sql_source *copy = weir_arena_new(arena, sql_source);
    *copy = *source;
    copy->name = text_copy(arena, source->name);
    copy->topic = text_copy(arena, source->topic);
    copy->key_format = text_copy(arena, source->key_format);
    copy->value_format = text_copy(arena, source->value_format);
    copy->key_options = settings_copy(arena, source->key_options, source->key_option_count);
    copy->value_options = settings_copy(arena, source->value_options, source->value_option_count);
    copy->schema = data_schema_copy(arena, source->schema);
    copy->timestamp_format = text_copy(arena, source->timestamp_format);
    copy->quarantine_topic = text_copy(arena, source->quarantine_topic);
    copy->created_by = text_copy(arena, source->created_by);
    copy->statement = text_copy(arena, source->statement);
    return copy;
}

/* ---- the three sorts
 * --------------------------------------------------------------------------------------------------- */

weir_status sql_catalog_put_source(sql_catalog *catalog, const sql_source *source) {
    object *o = object_create(catalog);
    const sql_source *copy = sql_source_copy(&o->arena, source);
    o->name = copy->name;
    o->value = copy;
    return list_put(catalog, &catalog->sources, o);
}

weir_status sql_catalog_put_query(sql_catalog *catalog, const sql_query_entry *query) {
    object *o = object_create(catalog);
    sql_query_entry *copy = weir_arena_new(&o->arena, sql_query_entry);
    *copy = (sql_query_entry){text_copy(&o->arena, query->id), text_copy(&o->arena, query->source),
                              text_copy(&o->arena, query->sink), text_copy(&o->arena, query->statement)};
    o->name = copy->id;
    o->value = copy;
    return list_put(catalog, &catalog->queries, o);
}

weir_status sql_catalog_put_connector(sql_catalog *catalog, const sql_connector *connector) {
    object *o = object_create(catalog);
    sql_connector *copy = weir_arena_new(&o->arena, sql_connector);
    *copy = (sql_connector){text_copy(&o->arena, connector->name),
                            settings_copy(&o->arena, connector->options, connector->option_count),
                            connector->option_count, text_copy(&o->arena, connector->statement)};
    o->name = copy->name;
    o->value = copy;
    return list_put(catalog, &catalog->connectors, o);
}

const sql_source *sql_catalog_source(const sql_catalog *catalog, const char *name) {
    return list_get(&catalog->sources, name);
}
const sql_query_entry *sql_catalog_query(const sql_catalog *catalog, const char *id) {
    return list_get(&catalog->queries, id);
}
const sql_connector *sql_catalog_connector(const sql_catalog *catalog, const char *name) {
    return list_get(&catalog->connectors, name);
}
const sql_source *sql_catalog_source_at(const sql_catalog *catalog, size_t index) {
    return list_at(&catalog->sources, index);
}
const sql_query_entry *sql_catalog_query_at(const sql_catalog *catalog, size_t index) {
    return list_at(&catalog->queries, index);
}
const sql_connector *sql_catalog_connector_at(const sql_catalog *catalog, size_t index) {
    return list_at(&catalog->connectors, index);
}
bool sql_catalog_drop_source(sql_catalog *catalog, const char *name) {
    return list_drop(catalog, &catalog->sources, name);
}
bool sql_catalog_drop_query(sql_catalog *catalog, const char *id) {
    return list_drop(catalog, &catalog->queries, id);
}
bool sql_catalog_drop_connector(sql_catalog *catalog, const char *name) {
    return list_drop(catalog, &catalog->connectors, name);
}

/* ---- who uses a source
 * -------------------------------------------------------------------------------------------------- */

const sql_query_entry *sql_catalog_reader(const sql_catalog *catalog, const char *source, size_t *at) {
    while (*at < catalog->queries.count) {
        const sql_query_entry *query = catalog->queries.items[(*at)++]->value;
        if (strcmp(query->source, source) == 0) return query;
    }
    return NULL;
}

const sql_query_entry *sql_catalog_writer(const sql_catalog *catalog, const char *source, size_t *at) {
    while (*at < catalog->queries.count) {
        const sql_query_entry *query = catalog->queries.items[(*at)++]->value;
        if (strcmp(query->sink, source) == 0) return query;
    }
    return NULL;
}

static void list_ids(const sql_catalog *catalog, const sql_source *source, bool readers, char *target,
                     size_t target_bytes) {
    size_t at = 0, size = 0;
    target[0] = 0;
    for (;;) {
        const sql_query_entry *query =
            readers ? sql_catalog_reader(catalog, source->name, &at) : sql_catalog_writer(catalog, source->name, &at);
        if (query == NULL) return;
        if (!readers && source->created_by != NULL && strcmp(query->id, source->created_by) == 0) continue;
        const size_t length = strlen(query->id);
        if (size + length + 3 > target_bytes) return; /* the list is for reading; its beginning is enough */
        if (size != 0) {
            memcpy(target + size, ", ", 2);
            size += 2;
        }
        memcpy(target + size, query->id, length + 1);
        size += length;
    }
}

weir_status sql_catalog_can_drop(const sql_catalog *catalog, const char *name) {
    const sql_source *source = sql_catalog_source(catalog, name);
    if (source == NULL) return weir_fail(WEIR_NOT_FOUND, "Source %s does not exist.", name);
    char readers[320], writers[320];
    list_ids(catalog, source, true, readers, sizeof readers);
    list_ids(catalog, source, false, writers, sizeof writers);
    if (readers[0] == 0 && writers[0] == 0) return weir_ok();
    return weir_fail(
        WEIR_REFUSED,
        "Cannot drop %s. The following queries read from this source: [%s]. "
        "The following queries write into this source: [%s]. You need to terminate them before dropping %s.",
        name, readers, writers, name);
}
