#include "connect/connect.h"
#include "connect/file/file.h"

#include <stdio.h>

/* One row a source connector. */
static const connect_source *const sources[] = {
    &connect_file_source,
};
enum { SOURCE_COUNT = sizeof sources / sizeof sources[0] };

const weir_option connect_common_options[] = {
    {"connector", WEIR_OPTION_TEXT, NULL, "which kind of source: file", 0, 0},
    {"topic", WEIR_OPTION_TEXT, NULL, "the topic that gets the records; made with one partition when missing", 0, 0},
    {0},
};

const connect_source *connect_source_at(size_t index) {
    return index < SOURCE_COUNT ? sources[index] : NULL;
}

const connect_source *connect_source_find(const char *name) {
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        if (strcmp(sources[i]->name, name) == 0) return sources[i];
    }
    return NULL;
}

static weir_status unknown_source(const char *name) {
    char known[512] = "";
    size_t length = 0;
    for (size_t i = 0; i < SOURCE_COUNT && length < sizeof known; i++) {
        length += (size_t)snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "", sources[i]->name);
    }
    return weir_fail(WEIR_INVALID, "'connector' = '%s': no such source connector; there are: %s", name, known);
}

static bool is_common(const char *name) {
    for (const weir_option *option = connect_common_options; option->name; option++) {
        if (strcmp(option->name, name) == 0) return true;
    }
    return false;
}

enum { SETTINGS_MAX = 64 };

weir_status connect_settings_check(const connect_settings *settings, const connect_source **source) {
    weir_setting common[SETTINGS_MAX], own[SETTINGS_MAX];
    size_t common_count = 0, own_count = 0;
    if (settings->count > SETTINGS_MAX) {
        return weir_fail(WEIR_INVALID, "%zu properties given to a connector, at most %d are allowed", settings->count,
                         SETTINGS_MAX);
    }
    for (size_t i = 0; i < settings->count; i++) {
        if (is_common(settings->items[i].name)) common[common_count++] = settings->items[i];
        else own[own_count++] = settings->items[i];
    }
    WEIR_TRY(weir_options_check(connect_common_options, "connector", common, common_count));
    const char *name = weir_options_text(connect_common_options, common, common_count, "connector");
    *source = connect_source_find(name);
    if (!*source) return unknown_source(name);
    char subject[64];
    snprintf(subject, sizeof subject, "connector %s", name);
    return weir_options_check((*source)->options, subject, own, own_count);
}
