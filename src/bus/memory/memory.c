/* Topics as growing arrays of records; what the bus answers later is one job an answer. */
#include "bus/memory/bus_memory.h"

enum { BLOCK_ROWS_MAX = 4096, COMMIT_BYTES_MAX = 16 << 20, ROW_OVERHEAD = 16 };

typedef struct memory_topic {
    char *name;
    int32_t partitions_wanted;
    bool is_deleted;
    bus_row *rows; /* own their bytes, in one piece */
    int64_t count, room, limit;
} memory_topic;

typedef struct memory_offset {
    char *group, *topic;
    int64_t offset;
} memory_offset;

typedef struct memory_reader memory_reader;
struct memory_reader {
    bus_memory *memory;
    memory_topic *topic;
    int64_t offset, start;
    io_lane *lane;
    io_job *wake;
    memory_reader *next;
};

struct bus_memory {
    bus base;
    const io_world *world;
    weir_account *account;
    memory_topic **topics;
    size_t topic_count, topic_room;
    memory_offset *offsets;
    size_t offset_count, offset_room;
    memory_reader *readers;
};

static bus_memory *of(bus *base) {
    return (bus_memory *)base;
}

static memory_topic *find(const bus_memory *memory, const char *name) {
    for (size_t i = 0; i < memory->topic_count; i++) {
        if (!memory->topics[i]->is_deleted && strcmp(memory->topics[i]->name, name) == 0) return memory->topics[i];
    }
    return NULL;
}

static memory_topic *make(bus_memory *memory, const char *name, int32_t partitions) {
    if (memory->topic_count == memory->topic_room) {
        memory->topic_room = memory->topic_room ? memory->topic_room * 2 : 16;
        memory->topics =
            weir_realloc(memory->account, memory->topics, memory->topic_room * sizeof memory->topics[0]);
    }
    memory_topic *topic = weir_alloc(memory->account, sizeof *topic);
    topic->name = weir_strdup(memory->account, name);
    topic->partitions_wanted = partitions;
    topic->limit = INT64_MAX;
    return memory->topics[memory->topic_count++] = topic;
}

static void wake_readers(bus_memory *memory, const memory_topic *topic) {
    for (memory_reader *reader = memory->readers; reader; reader = reader->next) {
        if (reader->topic == topic) io_post(memory->world->executor, reader->lane, reader->wake);
    }
}

static weir_bytes copy_part(uint8_t **at, weir_bytes part) {
    if (!part.data) return part;
    const weir_bytes copy = {*at, part.size};
    if (part.size) memcpy(*at, part.data, part.size);
    *at += part.size;
    return copy;
}

static bus_row copy_row(weir_account *account, const bus_row *row) {
    uint8_t *bytes = weir_alloc(account, row->key.size + row->value.size + row->headers.size + 1);
    uint8_t *at = bytes;
    bus_row copy = {.timestamp_ms = row->timestamp_ms};
    copy.headers =
        copy_part(&at, row->headers.data ? row->headers : weir_bytes_of(bytes, 0)); /* first: its address frees */
    copy.key = copy_part(&at, row->key);
    copy.value = copy_part(&at, row->value);
    return copy;
}

static void free_row(weir_account *account, const bus_row *row) {
    weir_free(account, (void *)(uintptr_t)row->headers.data);
}

static void append(bus_memory *memory, memory_topic *topic, bus_row row) {
    if (topic->count == topic->room) {
        topic->room = topic->room ? topic->room * 2 : 64;
        topic->rows = weir_realloc(memory->account, topic->rows, (size_t)topic->room * sizeof topic->rows[0]);
    }
    row.offset = topic->count;
    topic->rows[topic->count++] = row;
}

/* ---- readers ----------------------------------------------------------------------------------------------------- */

static int64_t visible_end(const memory_topic *topic) {
    return topic->count < topic->limit ? topic->count : topic->limit;
}

static weir_status reader_open(bus *base, io_lane *lane, const char *name, int32_t partition, int64_t offset,
                               size_t ahead_bytes, io_job *wake, bus_reader **opened) {
    (void)ahead_bytes;
    bus_memory *memory = of(base);
    memory_topic *topic = find(memory, name);
    if (!topic || partition != 0) return weir_fail(WEIR_NOT_FOUND, "no topic %s-%d", name, partition);
    if (offset == BUS_OFFSET_EARLIEST) offset = 0;
    if (offset == BUS_OFFSET_LATEST) offset = visible_end(topic);
    memory_reader *reader = weir_alloc(memory->account, sizeof *reader);
    *reader = (memory_reader){memory, topic, offset, offset, lane, wake, memory->readers};
    memory->readers = reader;
    io_post(memory->world->executor, lane, wake);
    *opened = (bus_reader *)reader;
    return weir_ok();
}

typedef struct memory_block {
    bus_block base;
    weir_account *account;
    bus_row rows[];
} memory_block;

static void block_destroy(data_buffer *buffer) {
    memory_block *block = (memory_block *)(void *)buffer;
    weir_free(block->account, block);
}

static weir_status reader_next(bus_reader *base, bus_block **next) {
    memory_reader *reader = (memory_reader *)base;
    const memory_topic *topic = reader->topic;
    *next = NULL;
    if (topic->is_deleted) return weir_fail(WEIR_NOT_FOUND, "topic %s was deleted", topic->name);
    int64_t left = visible_end(topic) - reader->offset;
    if (left <= 0) return weir_ok();
    if (left > BLOCK_ROWS_MAX) left = BLOCK_ROWS_MAX;
    memory_block *block =
        weir_alloc(reader->memory->account, sizeof *block + (size_t)left * sizeof block->rows[0]);
    memcpy(block->rows, topic->rows + reader->offset, (size_t)left * sizeof block->rows[0]);
    reader->offset += left;
    block->account = reader->memory->account;
    block->base = (bus_block){.count = (uint32_t)left,
                              .next_offset = reader->offset,
                              .high_watermark = visible_end(topic),
                              .rows = block->rows};
    atomic_init(&block->base.buffer.references, 1);
    block->base.buffer.destroy = block_destroy;
    *next = &block->base;
    return weir_ok();
}

static int64_t reader_end(bus_reader *base) {
    return visible_end(((memory_reader *)base)->topic);
}

static int64_t reader_start(bus_reader *base) {
    return ((memory_reader *)base)->start;
}

static void reader_close(bus_reader *base) {
    memory_reader *reader = (memory_reader *)base;
    memory_reader **link = &reader->memory->readers;
    while (*link != reader) link = &(*link)->next;
    *link = reader->next;
    weir_free(reader->memory->account, reader);
}

/* ---- administration ---------------------------------------------------------------------------------------------- */

typedef struct memory_answer {
    io_job job;
    bus_memory *memory;
    void (*topic_done)(void *arg, weir_status status, const bus_topic_info *info);
    void (*offset_done)(void *arg, weir_status status, int64_t offset);
    void (*done)(void *arg, weir_status status);
    void *arg;
    weir_error error;
    bus_topic_info info;
    int64_t offset;
} memory_answer;

static void answer_run(io_job *job) {
    memory_answer *answer = io_owner(job, memory_answer, job);
    const weir_status status = weir_error_status(&answer->error);
    if (answer->topic_done) answer->topic_done(answer->arg, status, &answer->info);
    if (answer->offset_done) answer->offset_done(answer->arg, status, answer->offset);
    if (answer->done) answer->done(answer->arg, status);
    weir_free(answer->memory->account, answer);
}

static memory_answer *answer_later(bus *base, io_lane *lane, void *arg) {
    bus_memory *memory = of(base);
    memory_answer *answer = weir_alloc(memory->account, sizeof *answer);
    answer->memory = memory;
    answer->arg = arg;
    io_job_init(&answer->job, answer_run);
    io_post(memory->world->executor, lane, &answer->job);
    return answer;
}

static bus_topic_info info_of(const bus_memory *memory, const memory_topic *topic) {
    bus_topic_info info = {.exists = topic != NULL, .partition_count = topic ? 1 : 0};
    for (size_t i = 0; topic && i < memory->topic_count; i++) {
        const uint64_t id = i + 1;
        if (memory->topics[i] == topic) memcpy(info.topic_id, &id, sizeof id);
    }
    return info;
}

static void topic_describe(bus *base, io_lane *lane, const char *topic,
                           void (*done)(void *, weir_status, const bus_topic_info *), void *arg) {
    memory_answer *answer = answer_later(base, lane, arg);
    answer->topic_done = done;
    answer->info = info_of(of(base), find(of(base), topic));
}

static void topic_create(bus *base, io_lane *lane, const char *name, int32_t partition_count,
                         const char *const (*config)[2], size_t config_count,
                         void (*done)(void *, weir_status, const bus_topic_info *), void *arg) {
    (void)config, (void)config_count;
    memory_answer *answer = answer_later(base, lane, arg);
    answer->topic_done = done;
    const memory_topic *topic = find(of(base), name);
    if (topic)
        weir_error_set(&answer->error, weir_fail(WEIR_EXISTS, "topic %s exists", name));
    else
        topic = make(of(base), name, partition_count);
    answer->info = info_of(of(base), topic);
}

static void topic_delete(bus *base, io_lane *lane, const char *name, void (*done)(void *, weir_status), void *arg) {
    answer_later(base, lane, arg)->done = done;
    memory_topic *topic = find(of(base), name);
    if (!topic) return;
    topic->is_deleted = true;
    wake_readers(of(base), topic);
}

static void committed(bus *base, io_lane *lane, const char *group, const char *topic, int32_t partition,
                      void (*done)(void *, weir_status, int64_t), void *arg) {
    (void)partition;
    memory_answer *answer = answer_later(base, lane, arg);
    answer->offset_done = done;
    answer->offset = -1;
    for (size_t i = 0; i < of(base)->offset_count; i++) {
        const memory_offset *at = &of(base)->offsets[i];
        if (strcmp(at->group, group) == 0 && strcmp(at->topic, topic) == 0) answer->offset = at->offset;
    }
}

static void end_offset(bus *base, io_lane *lane, const char *name, int32_t partition,
                       void (*done)(void *, weir_status, int64_t), void *arg) {
    (void)partition;
    memory_answer *answer = answer_later(base, lane, arg);
    answer->offset_done = done;
    const memory_topic *topic = find(of(base), name);
    answer->offset = topic ? visible_end(topic) : -1;
    if (!topic) weir_error_set(&answer->error, weir_fail(WEIR_NOT_FOUND, "no topic %s", name));
}

/* ---- commits ----------------------------------------------------------------------------------------------------- */

typedef struct memory_commit_row {
    memory_topic *topic;
    bus_row row;
} memory_commit_row;

typedef struct memory_commit {
    bus_memory *memory;
    io_lane *lane;
    char *group;
    memory_commit_row *rows;
    size_t count, room, bytes;
    memory_offset *offsets; /* of this commit; group NULL */
    size_t offset_count;
    bool is_sent;
} memory_commit;

static bus_commit *commit_begin(bus *base, io_lane *lane, const char *group) {
    memory_commit *commit = weir_alloc(of(base)->account, sizeof *commit);
    commit->memory = of(base);
    commit->lane = lane;
    if (group) commit->group = weir_strdup(of(base)->account, group);
    return (bus_commit *)commit;
}

static weir_status commit_add(bus_commit *base, const char *name, int32_t partition, const bus_row *row) {
    (void)partition;
    memory_commit *commit = (memory_commit *)base;
    memory_topic *topic = find(commit->memory, name);
    if (!topic) return weir_fail(WEIR_NOT_FOUND, "no topic %s", name);
    const size_t bytes = row->key.size + row->value.size + row->headers.size + ROW_OVERHEAD;
    if (commit->bytes + bytes > COMMIT_BYTES_MAX)
        return weir_fail(WEIR_FULL, "a commit holds at most %d bytes", COMMIT_BYTES_MAX);
    if (commit->count == commit->room) {
        commit->room = commit->room ? commit->room * 2 : 16;
        commit->rows =
            weir_realloc(commit->memory->account, commit->rows, commit->room * sizeof commit->rows[0]);
    }
    commit->rows[commit->count++] = (memory_commit_row){topic, copy_row(commit->memory->account, row)};
    commit->bytes += bytes;
    return weir_ok();
}

static weir_status commit_offset(bus_commit *base, const char *topic, int32_t partition, int64_t next_offset) {
    (void)partition;
    memory_commit *commit = (memory_commit *)base;
    weir_account *account = commit->memory->account;
    commit->offsets =
        weir_realloc(account, commit->offsets, (commit->offset_count + 1) * sizeof commit->offsets[0]);
    commit->offsets[commit->offset_count++] = (memory_offset){NULL, weir_strdup(account, topic), next_offset};
    return weir_ok();
}

static size_t commit_bytes(const bus_commit *base) {
    return ((const memory_commit *)(const void *)base)->bytes;
}

static void set_offset(bus_memory *memory, const char *group, const memory_offset *offset) {
    for (size_t i = 0; i < memory->offset_count; i++) {
        memory_offset *at = &memory->offsets[i];
        if (strcmp(at->group, group) != 0 || strcmp(at->topic, offset->topic) != 0) continue;
        at->offset = offset->offset;
        return;
    }
    if (memory->offset_count == memory->offset_room) {
        memory->offset_room = memory->offset_room ? memory->offset_room * 2 : 16;
        memory->offsets =
            weir_realloc(memory->account, memory->offsets, memory->offset_room * sizeof memory->offsets[0]);
    }
    memory->offsets[memory->offset_count++] = (memory_offset){
        weir_strdup(memory->account, group), weir_strdup(memory->account, offset->topic), offset->offset};
}

static void commit_send(bus_commit *base, io_job *done) {
    memory_commit *commit = (memory_commit *)base;
    commit->is_sent = true;
    for (size_t i = 0; i < commit->count; i++) append(commit->memory, commit->rows[i].topic, commit->rows[i].row);
    for (size_t i = 0; i < commit->count; i++) wake_readers(commit->memory, commit->rows[i].topic);
    for (size_t i = 0; commit->group && i < commit->offset_count; i++)
        set_offset(commit->memory, commit->group, &commit->offsets[i]);
    io_post(commit->memory->world->executor, commit->lane, done);
}

static weir_status commit_result(bus_commit *base) {
    (void)base;
    return weir_ok();
}

static int64_t commit_end_offset(const bus_commit *base, const char *name, int32_t partition) {
    const memory_commit *commit = (const memory_commit *)(const void *)base;
    int64_t end = -1;
    for (size_t i = 0; partition == 0 && i < commit->count; i++) {
        if (strcmp(commit->rows[i].topic->name, name) == 0) end = commit->rows[i].topic->count;
    }
    return end;
}

static void commit_free(bus_commit *base) {
    memory_commit *commit = (memory_commit *)base;
    weir_account *account = commit->memory->account;
    for (size_t i = 0; !commit->is_sent && i < commit->count; i++) free_row(account, &commit->rows[i].row);
    for (size_t i = 0; i < commit->offset_count; i++) weir_free(account, commit->offsets[i].topic);
    weir_free(account, commit->offsets);
    weir_free(account, commit->rows);
    weir_free(account, commit->group);
    weir_free(account, commit);
}

/* ---- the caller's side ------------------------------------------------------------------------------------------- */

static const bus_vtable memory_vtable = {
    .topic_describe = topic_describe,
    .topic_create = topic_create,
    .topic_delete = topic_delete,
    .committed = committed,
    .end_offset = end_offset,
    .reader_open = reader_open,
    .reader_next = reader_next,
    .reader_end = reader_end,
    .reader_start = reader_start,
    .reader_close = reader_close,
    .commit_begin = commit_begin,
    .commit_add = commit_add,
    .commit_offset = commit_offset,
    .commit_bytes = commit_bytes,
    .commit_send = commit_send,
    .commit_result = commit_result,
    .commit_end_offset = commit_end_offset,
    .commit_free = commit_free,
};

bus_memory *bus_memory_create(const io_world *world, weir_account *account) {
    bus_memory *memory = weir_alloc(account, sizeof *memory);
    memory->base.vtable = &memory_vtable;
    memory->world = world;
    memory->account = account;
    return memory;
}

void bus_memory_destroy(bus_memory *memory) {
    weir_account *account = memory->account;
    weir_assert(memory->readers == NULL);
    for (size_t i = 0; i < memory->topic_count; i++) {
        memory_topic *topic = memory->topics[i];
        for (int64_t row = 0; row < topic->count; row++) free_row(account, &topic->rows[row]);
        weir_free(account, topic->rows);
        weir_free(account, topic->name);
        weir_free(account, topic);
    }
    for (size_t i = 0; i < memory->offset_count; i++) {
        weir_free(account, memory->offsets[i].group);
        weir_free(account, memory->offsets[i].topic);
    }
    weir_free(account, memory->offsets);
    weir_free(account, memory->topics);
    weir_free(account, memory);
}

bus *bus_memory_bus(bus_memory *memory) {
    return &memory->base;
}

void bus_memory_topic(bus_memory *memory, const char *topic, int32_t partitions) {
    if (!find(memory, topic)) make(memory, topic, partitions);
}

const char *bus_memory_topic_at(const bus_memory *memory, size_t index) {
    while (index < memory->topic_count && memory->topics[index]->is_deleted) index++;
    return index < memory->topic_count ? memory->topics[index]->name : NULL;
}

bool bus_memory_has(const bus_memory *memory, const char *topic) {
    return find(memory, topic) != NULL;
}

int32_t bus_memory_partitions(const bus_memory *memory, const char *topic) {
    const memory_topic *found = find(memory, topic);
    return found ? found->partitions_wanted : 0;
}

void bus_memory_append(bus_memory *memory, const char *name, const bus_row *row) {
    memory_topic *topic = find(memory, name);
    if (!topic) topic = make(memory, name, 0);
    append(memory, topic, copy_row(memory->account, row));
    wake_readers(memory, topic);
}

int64_t bus_memory_count(const bus_memory *memory, const char *topic) {
    const memory_topic *found = find(memory, topic);
    return found ? found->count : 0;
}

bus_row bus_memory_row(const bus_memory *memory, const char *topic, int64_t offset) {
    const memory_topic *found = find(memory, topic);
    weir_assert(found && offset >= 0 && offset < found->count);
    return found->rows[offset];
}

void bus_memory_limit(bus_memory *memory, const char *topic, int64_t limit) {
    memory_topic *found = find(memory, topic);
    weir_assert(found);
    found->limit = limit;
    wake_readers(memory, found);
}
