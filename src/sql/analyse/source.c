/* CREATE STREAM | TABLE: columns, keys, event time, and what CREATE ... AS makes of its query. */
#include "sql/analyse/analyse_int.h"

#include <stdio.h>

#include <ctype.h>
#include <strings.h>

enum { COLUMNS_MAX = 1024, TOPIC_NAME_MAX = 249 };

/* What ksqlDB's parser refuses already, with the place in the sentence. */
static bool fail_grammar(sql_analyser *a, uint32_t offset, const char *format, const char *name) {
    char message[sizeof a->error->message];
    snprintf(message, sizeof message, format, name);
    if (a->error->code != WEIR_OK) return false;
    sql_fail_at(a, offset, "%s", "");
    const uint32_t line = a->error->line, column = a->error->column;
    a->error->code = WEIR_OK;
    sql_fail_at(a, offset, "Line: %u, Col: %u: %s", line, column, message);
    a->error->is_syntax = true;
    return false;
}

static bool check_column(sql_analyser *a, const sql_statement *s, const sql_column *column) {
    func_pseudo pseudo;
    const char *name = column->name.text;
    if (sql_is_pseudo(name, &pseudo))
        return sql_fail_at(a, column->name.offset,
                           "'%s' is a reserved column name. You cannot use it as a name for a column.", name);
    if (s->is_table && column->constraint == SQL_CONSTRAINT_KEY)
        return fail_grammar(a, column->name.offset,
                           "Column `%s` is a 'KEY' column: please use 'PRIMARY KEY' for tables.\n"
                           "Tables have PRIMARY KEYs, which are unique and NON NULL.\n"
                           "Streams have KEYs, which have no uniqueness or NON NULL constraints.",
                           name);
    if (!s->is_table && column->constraint == SQL_CONSTRAINT_PRIMARY_KEY)
        return fail_grammar(a, column->name.offset,
                           "Column `%s` is a 'PRIMARY KEY' column: please use 'KEY' for streams.\n"
                           "Tables have PRIMARY KEYs, which are unique and NON NULL.\n"
                           "Streams have KEYs, which have no uniqueness or NON NULL constraints.",
                           name);
    return true;
}

static bool check_key_type(sql_analyser *a, uint32_t offset, const char *name, const data_type *type) {
    if (!sql_type_has_map(type)) return true;
    return sql_fail_at(a, offset,
                       "Map keys, including types that contain maps, are not supported as they may lead to unexpected "
                       "behavior due to inconsistent serialization. Key column name: `%s`. Column type: %s. "
                       "See https://github.com/confluentinc/ksql/issues/6621 for more.",
                       name, sql_type_text(a->arena, type));
}

/* Keys first, then the others, each in the order written. */
static bool make_schema(sql_analyser *a, const sql_statement *s, const data_schema **schema) {
    if (s->column_count == 0 && s->is_table)
        return sql_fail_at(a, s->name.offset, "Tables require a PRIMARY KEY. Please define the PRIMARY KEY.");
    if (s->column_count == 0) return sql_fail_at(a, s->name.offset, "The statement does not define any columns.");
    if (s->column_count > COLUMNS_MAX)
        return sql_fail_at(a, s->name.offset, "%u columns, at most %d are allowed", s->column_count, COLUMNS_MAX);
    data_column *columns = weir_arena_array(a->arena, data_column, s->column_count);
    data_schema *made = weir_arena_new(a->arena, data_schema);
    for (int keys = 1; keys >= 0; keys--) {
        for (uint32_t i = 0; i < s->column_count; i++) {
            const sql_column *column = &s->columns[i];
            if ((column->constraint != SQL_CONSTRAINT_NONE) != keys) continue;
            data_column *target = &columns[made->count];
            *target = (data_column){column->name.text, NULL, keys ? DATA_ROLE_KEY : DATA_ROLE_VALUE, NULL};
            if (!check_column(a, s, column) || !sql_resolve_type(a, column->type, &target->type)) return false;
            if (keys && !check_key_type(a, column->name.offset, target->name, target->type)) return false;
            for (uint32_t k = 0; k < made->count; k++)
                if (strcmp(columns[k].name, target->name) == 0)
                    return sql_fail_at(a, column->name.offset, "Duplicate column names: %s", target->name);
            made->count++;
            made->key_count += keys ? 1 : 0;
        }
    }
    made->columns = columns;
    *schema = made;
    return true;
}

/* Kafka's rule for topic names. */
static bool check_topic_name(sql_analyser *a, uint32_t offset, const char *topic) {
    const size_t size = strlen(topic);
    bool valid = size > 0 && size <= TOPIC_NAME_MAX && strcmp(topic, ".") != 0 && strcmp(topic, "..") != 0;
    for (const char *at = topic; *at != 0 && valid; at++)
        valid = isalnum((unsigned char)*at) || strchr("._-", *at) != NULL;
    if (valid) return true;
    sql_fail_at(a, offset, "'%s' is not a name for a topic", topic);
    sql_error_hint(a->error, "Topic names have 1 to %d letters, digits, '.', '_' and '-'.", TOPIC_NAME_MAX);
    return false;
}

/* The column named by TIMESTAMP; a plain word is compared as SQL compares names, a `quoted` one exactly. */
static bool set_timestamp(sql_analyser *a, const sql_with *with, sql_source *source) {
    source->timestamp_column = -1;
    source->timestamp_format = with->timestamp_format;
    if (with->timestamp == NULL) return true;
    const uint32_t offset = sql_with_offset(with, "TIMESTAMP");
    char *name = weir_arena_text_copy(a->arena, with->timestamp);
    const size_t size = strlen(name);
    if (size > 1 && name[0] == '`' && name[size - 1] == '`') {
        name[size - 1] = 0;
        name++;
    } else {
        for (char *at = name; *at != 0; at++) *at = (char)toupper((unsigned char)*at);
    }
    source->timestamp_column = data_schema_find(source->schema, name);
    if (source->timestamp_column < 0) {
        sql_fail_at(a, offset, "The TIMESTAMP column set in the WITH clause does not exist in the schema: '%s'", name);
        sql_suggest_column(a, source->schema, name);
        return false;
    }
    const data_type *type = source->schema->columns[source->timestamp_column].type;
    const bool is_text = type->kind == DATA_STRING;
    if (!is_text && type->kind != DATA_BIGINT && type->kind != DATA_TIMESTAMP)
        return sql_fail_at(
            a, offset,
            "Timestamp column, %s, should be LONG(INT64), TIMESTAMP, or a String with a timestamp_format specified.",
            name);
    if (!is_text && with->timestamp_format != NULL)
        return sql_fail_at(a, sql_with_offset(with, "TIMESTAMP_FORMAT"),
                           "TIMESTAMP_FORMAT is for STRING columns; '%s' is %s", name, sql_type_text(a->arena, type));
    return true;
}

/* OR REPLACE over a declared source: its keys stay, columns may only be added at the end, its nature stays. */
static bool check_replace(sql_analyser *a, const sql_statement *s, const sql_source *now) {
    const sql_source *old = sql_catalog_source(a->catalog, now->name);
    if (old == NULL || !s->or_replace) return true;
    const char *sort = now->is_table ? "table" : "stream";
    const uint32_t offset = s->name.offset;
    if (old->read_only || now->read_only)
        return sql_fail_at(a, offset, "Cannot add %s '%s': CREATE OR REPLACE is not supported on source %ss.", sort,
                           now->name, sort);
    if (old->is_table != now->is_table)
        return sql_fail_at(a, offset, "Cannot add %s '%s': A %s with the same name already exists", sort, now->name,
                           old->is_table ? "table" : "stream");
    if (old->created_by != NULL)
        return sql_error_at(a->error, WEIR_UNSUPPORTED, a->script, offset,
                            "replacing the result of query %s is not supported by this version of weir",
                            old->created_by);
    bool same = strcmp(old->topic, now->topic) == 0 && strcmp(old->key_format, now->key_format) == 0 &&
                strcmp(old->value_format, now->value_format) == 0 && old->schema->key_count == now->schema->key_count &&
                old->schema->count <= now->schema->count && old->window == now->window &&
                old->window_size_ms == now->window_size_ms;
    for (uint32_t i = 0; same && i < old->schema->count; i++)
        same = strcmp(old->schema->columns[i].name, now->schema->columns[i].name) == 0 &&
               data_type_equal(old->schema->columns[i].type, now->schema->columns[i].type);
    if (same) return true;
    sql_fail_at(a, offset, "Cannot upgrade data source: DataSource '%s' differs in more than added columns", now->name);
    sql_error_hint(a->error, "OR REPLACE keeps topic, formats, keys and columns; new columns come last.");
    return false;
}

bool sql_analyse_source(sql_analyser *a, const sql_statement *s, const sql_source **result, sql_topic_settings *topic) {
    sql_with with;
    sql_source *source = weir_arena_new(a->arena, sql_source);
    if (!sql_check_with(a, s, SQL_WITH_DECLARE, &with)) return false;
    if (with.topic == NULL)
        return sql_fail_at(a, s->name.offset, "Missing required property \"KAFKA_TOPIC\" which has no default value.");
    if (s->is_source && s->or_replace)
        return sql_fail_at(a, s->name.offset, "Cannot add %s '%s': CREATE OR REPLACE is not supported on source %ss.",
                           s->is_table ? "table" : "stream", s->name.text, s->is_table ? "table" : "stream");
    if (s->is_source && s->is_table)
        return sql_error_at(a->error, WEIR_UNSUPPORTED, a->script, s->name.offset,
                            "CREATE SOURCE TABLE is not supported by this version of weir");
    if (!sql_check_format_names(a, &with)) return false;
    if (!check_topic_name(a, sql_with_offset(&with, "KAFKA_TOPIC"), with.topic) || !make_schema(a, s, &source->schema))
        return false;
    if (s->is_table && source->schema->key_count == 0) {
        sql_fail_at(a, s->name.offset, "Tables require a PRIMARY KEY. Please define the PRIMARY KEY.");
        return false;
    }
    if (with.window != SQL_WINDOW_NONE && source->schema->key_count == 0)
        return sql_fail_at(a, s->name.offset, "Windowed sources require a key column.");
    source->name = s->name.text;
    source->is_table = s->is_table;
    source->read_only = s->is_source;
    source->topic = with.topic;
    source->partitions = with.settings.partitions;
    source->replicas = with.settings.replicas;
    source->window = with.window;
    source->window_size_ms = source->window_advance_ms = with.window_size_ms;
    source->statement = s->text;
    source->quarantine_topic = with.quarantine_topic != NULL ? with.quarantine_topic
                                                             : weir_arena_format(a->arena, "%s-quarantine", with.topic);
    if (!check_topic_name(a, sql_with_offset(&with, "QUARANTINE_TOPIC"), source->quarantine_topic) ||
        !set_timestamp(a, &with, source) || !sql_set_formats(a, &with, NULL, false, source) ||
        !check_replace(a, s, source))
        return false;
    *topic = with.settings;
    *result = source;
    return true;
}

bool sql_analyse_sink(sql_analyser *a, const sql_statement *s, const sql_checked_query *query, const char *query_id,
                      const sql_source **result, sql_topic_settings *topic) {
    sql_with with;
    sql_source *sink = weir_arena_new(a->arena, sql_source);
    if (!sql_check_with(a, s, SQL_WITH_SINK, &with)) return false;
    if (with.timestamp != NULL)
        return sql_error_at(a->error, WEIR_UNSUPPORTED, a->script, sql_with_offset(&with, "TIMESTAMP"),
                            "TIMESTAMP in CREATE ... AS SELECT is not supported by this version of weir");
    for (uint32_t i = 0; i < query->schema->key_count; i++)
        if (!check_key_type(a, s->name.offset, query->schema->columns[i].name, query->schema->columns[i].type))
            return false;
    sink->name = s->name.text;
    sink->is_table = s->is_table;
    sink->schema = query->schema;
    sink->topic = with.topic != NULL
                      ? with.topic
                      : weir_arena_format(a->arena, "%s%s",
                                          sql_session_property(a, "ksql.output.topic.name.prefix", ""), s->name.text);
    sink->partitions = with.settings.partitions;
    sink->replicas = with.settings.replicas;
    sink->timestamp_column = -1;
    sink->created_by = query_id;
    sink->materialised = query->is_aggregate;
    sink->statement = s->text;
    sink->quarantine_topic = with.quarantine_topic != NULL ? with.quarantine_topic
                                                           : weir_arena_format(a->arena, "%s-quarantine", sink->topic);
    if (query->windowed) {
        const bool own = query->is_aggregate && query->window.kind != SQL_WINDOW_NONE;
        sink->window = own ? query->window.kind : query->source->window;
        sink->window_size_ms = own ? query->window.size_ms : query->source->window_size_ms;
        sink->window_advance_ms = own ? query->window.advance_ms : query->source->window_advance_ms;
    }
    const uint32_t topic_offset = sql_with_offset(&with, "KAFKA_TOPIC");
    if (!check_topic_name(a, topic_offset, sink->topic)) return false;
    if (strcmp(sink->topic, query->source->topic) == 0)
        return sql_fail_at(a, topic_offset, "the result cannot go to topic %s, which the query reads", sink->topic);
    if (!sql_set_formats(a, &with, query->source, true, sink)) return false;
    *topic = with.settings;
    *result = sink;
    return true;
}
