/* WITH (...) of streams and tables: one table of options, formats resolved against the registered ones, and the
 * session's properties. Names of properties are compared without regard to case, as in ksqlDB. */
#include "base/text.h"
#include "data/format/format.h"
#include "sql/analyse/analyse_int.h"

#include <ctype.h>
#include <strings.h>

const weir_option sql_source_options[] = {
    {"KAFKA_TOPIC", WEIR_OPTION_TEXT, "", "topic of the records; default for AS SELECT: the name", 0, 0},
    {"FORMAT", WEIR_OPTION_TEXT, "", "format of key and value; excludes KEY_FORMAT and VALUE_FORMAT", 0, 0},
    {"KEY_FORMAT", WEIR_OPTION_TEXT, "", "format of the key", 0, 0},
    {"VALUE_FORMAT", WEIR_OPTION_TEXT, "", "format of the value", 0, 0},
    {"KEY_DELIMITER", WEIR_OPTION_TEXT, "", "between columns of a DELIMITED key: a character, TAB or SPACE", 0, 0},
    {"VALUE_DELIMITER", WEIR_OPTION_TEXT, "", "between columns of a DELIMITED value: a character, TAB or SPACE", 0, 0},
    {"WRAP_SINGLE_VALUE", WEIR_OPTION_BOOL, "true", "a value of one column lies in a record, not bare", 0, 0},
    {"PARTITIONS", WEIR_OPTION_I64, "1", "of the topic when it is made", 1, 100000},
    {"REPLICAS", WEIR_OPTION_I64, "1", "of the topic when it is made", 1, 32767},
    {"RETENTION_MS", WEIR_OPTION_I64, "-1", "of the topic when it is made; -1 is for ever", -1, INT64_MAX},
    {"CLEANUP_POLICY", WEIR_OPTION_CHOICE, "delete", "compact|delete|compact,delete: of the topic when it is made", 0,
     0},
    {"TIMESTAMP", WEIR_OPTION_TEXT, "", "column that holds the event time", 0, 0},
    {"TIMESTAMP_FORMAT", WEIR_OPTION_TEXT, "", "pattern of a STRING event time; default ISO 8601", 0, 0},
    {"WINDOW_TYPE", WEIR_OPTION_CHOICE, "", "TUMBLING|HOPPING: the keys carry window bounds", 0, 0},
    {"WINDOW_SIZE", WEIR_OPTION_TEXT, "", "of the windows, as '10 SECONDS'", 0, 0},
    {"QUARANTINE_TOPIC", WEIR_OPTION_TEXT, "", "where records go that cannot be read; default <topic>-quarantine", 0,
     0},
    {"QUERY_ID", WEIR_OPTION_TEXT, "", "name of an INSERT INTO query", 0, 0},
    {NULL, WEIR_OPTION_TEXT, NULL, NULL, 0, 0},
};

/* Of the dialect, but for schemas and features that weir lacks: refused by name. */
static const char *const unsupported_names[] = {"KEY_SCHEMA_ID",
                                                "VALUE_SCHEMA_ID",
                                                "KEY_SCHEMA_FULL_NAME",
                                                "VALUE_SCHEMA_FULL_NAME",
                                                "VALUE_AVRO_SCHEMA_FULL_NAME",
                                                "KEY_PROTOBUF_NULLABLE_REPRESENTATION",
                                                "VALUE_PROTOBUF_NULLABLE_REPRESENTATION",
                                                "SOURCE_CONNECTOR",
                                                "SOURCED_BY_CONNECTOR"};
static const char *const unsupported_formats[] = {"AVRO", "JSON_SR", "PROTOBUF", "PROTOBUF_NOSR"};

/* ---- the session
 * ----------------------------------------------------------------------------------------------------- */

const char *sql_session_property(const sql_analyser *a, const char *name, const char *fallback) {
    static const char prefix[] = "ksql.streams.";
    for (size_t i = a->property_count; i-- > 0;) {
        const char *given = a->properties[i].name;
        if (strcmp(given, name) == 0) return a->properties[i].value;
        if (strncmp(given, prefix, sizeof prefix - 1) == 0 && strcmp(given + sizeof prefix - 1, name) == 0)
            return a->properties[i].value;
    }
    return fallback;
}

bool sql_session_from_earliest(sql_analyser *a, bool *from_earliest) {
    const char *value = sql_session_property(a, "auto.offset.reset", "latest");
    *from_earliest = strcasecmp(value, "earliest") == 0;
    if (*from_earliest || strcasecmp(value, "latest") == 0) return true;
    return sql_fail_at(a, 0, "auto.offset.reset is '%s', wanted is earliest or latest", value);
}

/* ---- WITH
 * ------------------------------------------------------------------------------------------------------------- */

static const char *upper(weir_arena *arena, const char *text) {
    char *copy = weir_arena_text_copy(arena, text);
    for (char *at = copy; *at != 0; at++) *at = (char)toupper((unsigned char)*at);
    return copy;
}

static bool in_list(const char *name, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, list[i]) == 0) return true;
    return false;
}

/* "10 SECONDS" as it stands in WINDOW_SIZE. */
static bool parse_window_size(sql_analyser *a, const sql_property *property, int64_t *ms) {
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"MILLISECOND", 1}, {"SECOND", 1000}, {"MINUTE", 60000}, {"HOUR", 3600000}, {"DAY", 86400000}};
    const char *text = property->value, *space = strchr(text, ' ');
    int64_t number;
    if (space != NULL && weir_parse_i64(weir_bytes_of(text, (size_t)(space - text)), &number) && number > 0) {
        const char *unit = upper(a->arena, space + 1);
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            const size_t size = strlen(units[i].unit);
            if (strncmp(unit, units[i].unit, size) == 0 && (unit[size] == 0 || strcmp(unit + size, "S") == 0) &&
                !__builtin_mul_overflow(number, units[i].ms, ms))
                return true;
        }
        sql_fail_at(a, property->value_offset,
                    "Configuration WINDOW_SIZE is invalid: Invalid duration: '%s'. Unknown time unit: '%s'", text,
                    unit);
    } else {
        sql_fail_at(a, property->value_offset,
                    "Configuration WINDOW_SIZE is invalid: Invalid duration: '%s'. Write it as '10 SECONDS'", text);
    }
    a->error->is_syntax = true;
    return false;
}

static bool take_property(sql_analyser *a, sql_with *with, const char *name, const sql_property *property) {
    const struct {
        const char *name;
        const char **target;
    } texts[] = {{"KAFKA_TOPIC", &with->topic},
                 {"KEY_FORMAT", &with->key_format},
                 {"VALUE_FORMAT", &with->value_format},
                 {"TIMESTAMP", &with->timestamp},
                 {"TIMESTAMP_FORMAT", &with->timestamp_format},
                 {"QUARANTINE_TOPIC", &with->quarantine_topic},
                 {"KEY_DELIMITER", &with->key_delimiter},
                 {"VALUE_DELIMITER", &with->value_delimiter},
                 {"WRAP_SINGLE_VALUE", &with->wrap_single_value},
                 {"QUERY_ID", &with->query_id}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) != 0) continue;
        if (property->value[0] == 0)
            return sql_fail_at(a, property->value_offset, "Configuration %s is invalid: it is empty", name);
        *texts[i].target = property->value;
        return true;
    }
    int64_t number = 0;
    if (strcmp(name, "PARTITIONS") == 0 || strcmp(name, "REPLICAS") == 0) {
        if (!weir_parse_i64(weir_bytes_text(property->value), &number)) return false; /* was checked by the table */
        *(name[0] == 'P' ? &with->settings.partitions : &with->settings.replicas) = (int32_t)number;
    } else if (strcmp(name, "WINDOW_TYPE") == 0) {
        with->window =
            property->value[0] == 'T' || property->value[0] == 't' ? SQL_WINDOW_TUMBLING : SQL_WINDOW_HOPPING;
    } else if (strcmp(name, "WINDOW_SIZE") == 0) {
        return parse_window_size(a, property, &with->window_size_ms);
    } else if (strcmp(name, "RETENTION_MS") == 0 || strcmp(name, "CLEANUP_POLICY") == 0) {
        weir_setting *configs = (weir_setting *)(uintptr_t)with->settings.configs;
        configs[with->settings.config_count++] =
            (weir_setting){name[0] == 'R' ? "retention.ms" : "cleanup.policy", property->value};
    }
    return true;
}

static bool allowed(enum sql_with_use use, const char *name) {
    if (use == SQL_WITH_INSERT) return strcmp(name, "QUERY_ID") == 0;
    if (strcmp(name, "QUERY_ID") == 0) return false;
    return use == SQL_WITH_DECLARE || strncmp(name, "WINDOW_", 7) != 0;
}

static bool check_property(sql_analyser *a, enum sql_with_use use, sql_with *with, const sql_property *property) {
    const char *name = upper(a->arena, property->name.text);
    const char *value = property->value;
    if (in_list(name, unsupported_names, sizeof unsupported_names / sizeof unsupported_names[0]))
        return sql_error_at(a->error, WEIR_UNSUPPORTED, a->script, property->name.offset,
                            "property %s is not supported by this version of weir", name);
    if (strcmp(name, "WINDOW_TYPE") == 0) {
        value = upper(a->arena, value);
        if (strcmp(value, "SESSION") == 0)
            return sql_error_at(a->error, WEIR_UNSUPPORTED, a->script, property->value_offset,
                                "WINDOW_TYPE SESSION is not supported by this version of weir");
    }
    const weir_setting setting = {name, value};
    const char *known[sizeof sql_source_options / sizeof sql_source_options[0]];
    size_t known_count = 0;
    bool is_known = false;
    for (const weir_option *option = sql_source_options; option->name != NULL; option++) {
        if (!allowed(use, option->name)) continue;
        known[known_count++] = option->name;
        is_known = is_known || strcmp(option->name, name) == 0;
    }
    if (!is_known) {
        sql_fail_at(a, property->name.offset, "Invalid config variable(s) in the WITH clause: %s", name);
        sql_error_suggest(a->error, name, known, known_count);
        return false;
    }
    const weir_status status = weir_options_check(sql_source_options, "the WITH clause", &setting, 1);
    if (weir_failed(status)) return sql_fail_status(a, property->value_offset, status);
    if (strcmp(name, "FORMAT") != 0) return take_property(a, with, name, property);
    with->key_format = with->key_format == NULL ? value : with->key_format;
    with->value_format = with->value_format == NULL ? value : with->value_format;
    return true;
}

static const sql_property *find_property(const sql_statement *statement, const char *name) {
    for (uint32_t i = 0; i < statement->property_count; i++)
        if (strcasecmp(statement->properties[i].name.text, name) == 0) return &statement->properties[i];
    return NULL;
}

uint32_t sql_with_offset(const sql_with *with, const char *name) {
    const sql_property *property = find_property(with->statement, name);
    if (property == NULL && strstr(name, "_FORMAT") != NULL) property = find_property(with->statement, "FORMAT");
    return property == NULL ? with->statement->name.offset : property->value_offset;
}

static bool check_together(sql_analyser *a, const sql_statement *statement) {
    static const char *const halves[] = {"KEY_FORMAT", "VALUE_FORMAT"};
    for (uint32_t i = 0; i < statement->property_count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (strcasecmp(statement->properties[i].name.text, statement->properties[k].name.text) == 0)
                return sql_fail_at(a, statement->properties[i].name.offset, "property %s is given twice",
                                   statement->properties[i].name.text);
    for (size_t i = 0; i < 2 && find_property(statement, "FORMAT") != NULL; i++) {
        const sql_property *half = find_property(statement, halves[i]);
        if (half == NULL) continue;
        return sql_fail_at(
            a, half->name.offset,
            "Cannot supply both '%s' and 'FORMAT' properties, as 'FORMAT' sets both key and value formats. "
            "Either use just 'FORMAT', or use 'KEY_FORMAT' and 'VALUE_FORMAT'.",
            halves[i]);
    }
    return true;
}

bool sql_check_with(sql_analyser *a, const sql_statement *statement, enum sql_with_use use, sql_with *with) {
    *with = (sql_with){.statement = statement};
    with->settings.configs = weir_arena_array(a->arena, weir_setting, 2);
    if (!check_together(a, statement)) return false;
    for (uint32_t i = 0; i < statement->property_count; i++)
        if (!check_property(a, use, with, &statement->properties[i])) return false;
    if (with->window == SQL_WINDOW_NONE && with->window_size_ms != 0)
        return sql_fail_at(a, sql_with_offset(with, "WINDOW_SIZE"), "WINDOW_SIZE is of use with WINDOW_TYPE only");
    if (with->window != SQL_WINDOW_NONE && with->window_size_ms == 0)
        return sql_fail_at(a, sql_with_offset(with, "WINDOW_TYPE"),
                           "%s windows require 'WINDOW_SIZE' to be provided in the WITH clause. For example: "
                           "'WINDOW_SIZE'='10 SECONDS'",
                           with->window == SQL_WINDOW_TUMBLING ? "TUMBLING" : "HOPPING");
    if (with->timestamp_format != NULL && with->timestamp == NULL)
        return sql_fail_at(a, sql_with_offset(with, "TIMESTAMP_FORMAT"),
                           "TIMESTAMP_FORMAT is of use with TIMESTAMP only");
    return true;
}

/* ---- formats
 * ---------------------------------------------------------------------------------------------------------- */

static bool find_format(sql_analyser *a, uint32_t offset, const char *name, const format_vtable **format) {
    const char *known[64];
    size_t count = 0;
    const format_vtable *other;
    const char *wanted = upper(a->arena, name);
    if (in_list(wanted, unsupported_formats, sizeof unsupported_formats / sizeof unsupported_formats[0]))
        return sql_error_at(a->error, WEIR_UNSUPPORTED, a->script, offset,
                            "format %s is not supported by this version of weir", wanted);
    if (!weir_failed(format_find(wanted, format))) return true;
    while (count < 64 && (other = format_at(count)) != NULL) known[count++] = other->name;
    sql_fail_at(a, offset, "Unknown format: %s", wanted);
    sql_error_suggest(a->error, wanted, known, count);
    return false;
}

/* Whether the format can hold the columns of a role, be read, and be written where a query writes. */
static bool check_format(sql_analyser *a, uint32_t offset, const format_vtable *format, const format_spec *spec,
                         bool writes) {
    weir_status status = format->supports(spec);
    if (!weir_failed(status) && writes) {
        format_encoder *encoder = NULL;
        status = format->encoder_create(a->arena->account, spec, &encoder);
        format_encoder_destroy(encoder);
    }
    if (!weir_failed(status)) return true;
    weir_buffer columns;
    weir_buffer_init(&columns, a->arena->account, 4096);
    for (uint32_t i = 0; i < spec->schema->count; i++) {
        const data_column *column = &spec->schema->columns[i];
        if (column->role != spec->role) continue;
        weir_buffer_format(&columns, "%s`%s` %s%s", columns.size ? ", " : "", column->name,
                           sql_type_text(a->arena, column->type), column->role == DATA_ROLE_KEY ? " KEY" : "");
    }
    sql_error_at(a->error, status.code, a->script, offset,
                 "%s format does not support schema.\nformat: %s\nschema: Persistence{columns=[%.300s], features=[]}\n"
                 "reason: %s",
                 spec->role == DATA_ROLE_KEY ? "Key" : "Value", format->name, weir_buffer_text(&columns), status.text);
    weir_buffer_deinit(&columns);
    return false;
}

static bool check_wrapping(sql_analyser *a, const sql_with *with, const sql_source *source) {
    if (with->wrap_single_value == NULL) return true;
    const uint32_t offset = sql_with_offset(with, "WRAP_SINGLE_VALUE");
    if (source->schema->count - source->schema->key_count != 1)
        return sql_fail_at(a, offset, "'WRAP_SINGLE_VALUE' is only valid for single-field value schemas");
    if (strcmp(source->value_format, "JSON") != 0 && strcasecmp(with->wrap_single_value, "true") == 0)
        return sql_fail_at(a, offset, "Format '%s' does not support 'WRAP_SINGLE_VALUE' set to 'true'.",
                           source->value_format);
    return true;
}

static void set_options(sql_analyser *a, const sql_with *with, const sql_source *inherited, sql_source *source) {
    weir_setting *key = weir_arena_array(a->arena, weir_setting, 1),
                 *value = weir_arena_array(a->arena, weir_setting, 2);
    source->key_options = key;
    source->value_options = value;
    if (with->key_delimiter != NULL)
        key[source->key_option_count++] = (weir_setting){"KEY_DELIMITER", with->key_delimiter};
    if (with->value_delimiter != NULL)
        value[source->value_option_count++] = (weir_setting){"VALUE_DELIMITER", with->value_delimiter};
    if (with->wrap_single_value != NULL)
        value[source->value_option_count++] =
            (weir_setting){"WRAP_SINGLE_VALUE", upper(a->arena, with->wrap_single_value)[0] == 'T' ? "true" : "false"};
    if (inherited == NULL) return;
    if (source->key_option_count == 0 && with->key_format == NULL) {
        source->key_options = inherited->key_options;
        source->key_option_count = inherited->key_option_count;
    }
    for (uint32_t i = 0;
         i < inherited->value_option_count && with->value_format == NULL && with->value_delimiter == NULL; i++)
        if (strcmp(inherited->value_options[i].name, "VALUE_DELIMITER") == 0)
            value[source->value_option_count++] = inherited->value_options[i];
}

bool sql_check_format_names(sql_analyser *a, const sql_with *with) {
    const format_vtable *format;
    return (with->key_format == NULL ||
            find_format(a, sql_with_offset(with, "KEY_FORMAT"), with->key_format, &format)) &&
           (with->value_format == NULL ||
            find_format(a, sql_with_offset(with, "VALUE_FORMAT"), with->value_format, &format));
}

bool sql_set_formats(sql_analyser *a, const sql_with *with, const sql_source *inherited, bool writes,
                     sql_source *source) {
    const char *key = with->key_format, *value = with->value_format;
    const data_schema *schema = source->schema;
    const format_vtable *key_format, *value_format;
    if (!sql_check_format_names(a, with)) return false;
    if (key != NULL && schema->key_count == 0 && find_property(with->statement, "FORMAT") == NULL &&
        strcasecmp(key, "NONE") != 0)
        return sql_fail_at(a, sql_with_offset(with, "KEY_FORMAT"),
                           "Key format specified for stream without key columns.");
    const char *fallback = sql_session_property(a, "ksql.persistence.default.format.key", "KAFKA");
    if (key == NULL) key = inherited != NULL ? inherited->key_format : fallback;
    if (key != NULL && inherited != NULL && schema->key_count != 0 && strcmp(key, "NONE") == 0 &&
        with->key_format == NULL)
        key = fallback;
    if (value == NULL)
        value = inherited != NULL ? inherited->value_format
                                  : sql_session_property(a, "ksql.persistence.default.format.value", NULL);
    if (value == NULL) {
        sql_fail_at(a, with->statement->name.offset,
                    "Statement is missing the 'VALUE_FORMAT' property from the WITH clause. Either provide one or set "
                    "a default "
                    "via the 'ksql.persistence.default.format.value' config.");
        return false;
    }
    if (!find_format(a, sql_with_offset(with, "KEY_FORMAT"), key, &key_format) ||
        !find_format(a, sql_with_offset(with, "VALUE_FORMAT"), value, &value_format))
        return false;
    source->key_format = key_format->name;
    source->value_format = value_format->name;
    set_options(a, with, inherited, source);
    if (!check_wrapping(a, with, source)) return false;
    const format_spec key_spec = {schema, DATA_ROLE_KEY, source->key_options, source->key_option_count};
    const format_spec value_spec = {schema, DATA_ROLE_VALUE, source->value_options, source->value_option_count};
    if (schema->key_count != 0 && !check_format(a, sql_with_offset(with, "KEY_FORMAT"), key_format, &key_spec, writes))
        return false;
    return check_format(a, sql_with_offset(with, "VALUE_FORMAT"), value_format, &value_spec, writes);
}
