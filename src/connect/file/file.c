/* connect/file - tails a text file: every line becomes a record, whatever happens to the file meanwhile.
 *
 * Rotation by renaming: the path leads to another file than the open one. The old one is read to its end first, and
 * held for rotation.wait.ms after its last growth, because its writer may still have it open. If weir was down while
 * the file was rotated away, it is looked for by its identity in the same folder. Of two rotations during one absence
 * only the file of the position and the one now at the path are read; weir cannot know which file came between them.
 * Truncation (copytruncate): the file is shorter than the position, or its head is not the one remembered: from the
 * top. Identity = device, inode and a checksum of the first bytes, since inode numbers are used again.
 *
 * A line without an end is held back until its end is written, or its file is finished. A line longer than
 * line.bytes.max becomes several records: nothing is lost, and the decoder downstream says what is wrong with them. */
#include "connect/file/file.h"

#include "base/arena.h"
#include "base/crc32c.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    READ_BYTES = 1 << 20,          /* read and handed out per poll at the most */
    HEAD_BYTES_MAX = 256,          /* of a file's beginning remembered as its identity */
    PATH_BYTES_MAX = 4096,
    POLL_MS = 20,                  /* between looks at a file that grew lately */
    POLL_IDLE_MS = 250,            /* after IDLE_AFTER_MS without growth */
    IDLE_AFTER_MS = 5000,
    POSITION_HEADER_BYTES_MAX = 64 /* the encoded position header of one record */
};

typedef struct identity {
    uint64_t device, inode;
    uint32_t head_bytes; /* 0 = the file was empty when first seen */
    uint32_t head_crc;
} identity;

typedef struct tail {
    const io_world *world;
    weir_account *account;
    const char *path;
    uint64_t line_bytes_max;
    int64_t rotation_wait_ns;
    bool from_beginning;
    bool position_headers;

    io_file *file;          /* NULL: not open */
    bool at_path;           /* the open file is the one the path leads to, as last seen */
    identity who;
    uint64_t position;      /* of the first byte not handed out */
    int64_t grown_at_ns;    /* when the open file last had news */
    bool started;           /* a position exists: later files are read from their top */

    uint8_t *buffer;        /* bytes at [position, position + buffered) */
    size_t capacity, buffered, handed_out;
    uint8_t *header_bytes;  /* position headers of the last poll */
} tail;

static const weir_option options[] = {
    {"path", WEIR_OPTION_TEXT, NULL, "the file to follow; it may appear later and be rotated", 0, 0},
    {"start", WEIR_OPTION_CHOICE, "beginning", "beginning|end: where to begin a file at the very first start", 0, 0},
    {"line.bytes.max", WEIR_OPTION_SIZE, "1MiB", "a longer line becomes several records", 1, 16 << 20},
    {"rotation.wait.ms", WEIR_OPTION_I64, "2000", "how long a file that was rotated away is still watched for lines", 0,
     3600000},
    {"headers", WEIR_OPTION_CHOICE, "none", "none|position: record header weir.position = byte position of the line", 0,
     0},
    {0},
};

/* ---- identity ---------------------------------------------------------------------------------------------------- */

static weir_status head_crc(const tail *t, io_file *file, uint32_t bytes, uint32_t *crc, uint32_t *got_bytes) {
    uint8_t head[HEAD_BYTES_MAX];
    size_t got = 0;
    WEIR_TRY(io_read_at(t->world->files, file, 0, head, bytes, &got));
    *crc = weir_crc32c(0, head, got);
    *got_bytes = (uint32_t)got;
    return weir_ok();
}

/* True when `file` begins as the remembered one did. */
static weir_status has_same_head(const tail *t, io_file *file, bool *same) {
    uint32_t crc, got;
    WEIR_TRY(head_crc(t, file, t->who.head_bytes, &crc, &got));
    *same = got == t->who.head_bytes && crc == t->who.head_crc;
    return weir_ok();
}

/* Remembers more of the head as the file grows, up to HEAD_BYTES_MAX. */
static weir_status learn_head(tail *t) {
    if (t->who.head_bytes == HEAD_BYTES_MAX) return weir_ok();
    return head_crc(t, t->file, HEAD_BYTES_MAX, &t->who.head_crc, &t->who.head_bytes);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void close_file(tail *t) {
    if (t->file) io_close(t->world->files, t->file);
    t->file = NULL;
    t->buffered = t->handed_out = 0;
}

static void adopt(tail *t, io_file *file, const io_file_info *info, uint64_t position) {
    close_file(t);
    t->file = file;
    t->who = (identity){.device = info->device, .inode = info->inode};
    t->position = position;
    t->grown_at_ns = io_now_ns(t->world->clock);
    t->started = true;
}

static weir_status open_path(tail *t) {
    io_file *file;
    io_file_info info;
    WEIR_TRY(io_open(t->world->files, t->path, IO_OPEN_READ, &file));
    const weir_status status = io_file_info_of(t->world->files, file, &info);
    if (weir_failed(status) || info.is_directory) {
        io_close(t->world->files, file);
        return weir_failed(status) ? status
                                   : weir_fail(WEIR_INVALID, "path %s is a directory, a file is needed", t->path);
    }
    adopt(t, file, &info, t->started || t->from_beginning ? 0 : info.size);
    t->at_path = true;
    return learn_head(t);
}

typedef struct folder_search {
    tail *tail;
    const identity *wanted;
    char folder[PATH_BYTES_MAX];
    io_file *found;
    io_file_info info;
} folder_search;

static void search_entry(const char *name, void *arg) {
    folder_search *search = arg;
    if (search->found) return;
    io_files *files = search->tail->world->files;
    char path[PATH_BYTES_MAX];
    const int length = snprintf(path, sizeof path, "%s/%s", search->folder, name);
    if (length < 0 || (size_t)length >= sizeof path) return;
    io_file_info info;
    if (weir_failed(io_path_info(files, path, &info)) || info.is_directory) return;
    if (info.device != search->wanted->device || info.inode != search->wanted->inode) return;
    io_file *file;
    bool same = false;
    if (weir_failed(io_open(files, path, IO_OPEN_READ, &file))) return;
    if (weir_failed(has_same_head(search->tail, file, &same)) || !same) {
        io_close(files, file);
        return;
    }
    search->found = file;
    search->info = info;
}

/* Goes on with the file of the committed position: at the path, or wherever in its folder rotation has moved it. A file
 * that is gone for good is told once by the caller's trace and left behind. */
static weir_status open_remembered(tail *t, const identity *who, uint64_t position) {
    t->who = *who;
    folder_search search = {.tail = t, .wanted = who};
    const char *slash = strrchr(t->path, '/');
    snprintf(search.folder, sizeof search.folder, "%.*s", slash ? (int)(slash - t->path) : 1, slash ? t->path : ".");
    if (search.folder[0] == 0) snprintf(search.folder, sizeof search.folder, "/");
    WEIR_TRY(io_list(t->world->files, search.folder, search_entry, &search));
    t->started = true;
    if (!search.found) return weir_ok();
    adopt(t, search.found, &search.info, position <= search.info.size ? position : 0);
    io_file_info at_path;
    t->at_path = !weir_failed(io_path_info(t->world->files, t->path, &at_path)) && at_path.inode == who->inode &&
                 at_path.device == who->device;
    return learn_head(t);
}

/* "v1 <device> <inode> <head bytes> <head crc> <position>" */
static bool parse_position(weir_bytes text, identity *who, uint64_t *position) {
    char copy[160];
    if (text.size >= sizeof copy) return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    return sscanf(copy, "v1 %" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNu32 " %" SCNu64, &who->device, &who->inode,
                  &who->head_bytes, &who->head_crc, position) == 5 &&
           who->head_bytes <= HEAD_BYTES_MAX;
}

static weir_status file_position(void *self, weir_buffer *text) {
    const tail *t = self;
    weir_buffer_format(text, "v1 %" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu32 " %" PRIu64, t->who.device, t->who.inode,
                       t->who.head_bytes, t->who.head_crc, t->position + t->handed_out);
    return weir_ok();
}

static void file_close(void *self) {
    tail *t = self;
    close_file(t);
    weir_free(t->account, t->buffer);
    weir_free(t->account, t->header_bytes);
    weir_free(t->account, t);
}

static weir_status file_open(const connect_source *source, const io_world *world, weir_account *account,
                             const connect_settings *settings, weir_bytes position, void **self) {
    (void)source;
    tail *t = weir_alloc(account, sizeof *t);
    t->world = world;
    t->account = account;
    t->path = weir_options_text(options, settings->items, settings->count, "path");
    uint64_t line_bytes = 0;
    const char *line_text = weir_options_text(options, settings->items, settings->count, "line.bytes.max");
    if (!weir_parse_size(weir_bytes_text(line_text), &line_bytes)) line_bytes = READ_BYTES;
    t->line_bytes_max = line_bytes;
    t->rotation_wait_ns = weir_options_i64(options, settings->items, settings->count, "rotation.wait.ms") * 1000000;
    t->from_beginning = strcmp(weir_options_text(options, settings->items, settings->count, "start"), "beginning") == 0;
    t->position_headers =
        strcmp(weir_options_text(options, settings->items, settings->count, "headers"), "position") == 0;
    t->capacity = READ_BYTES > t->line_bytes_max ? READ_BYTES : t->line_bytes_max;
    t->buffer = weir_try_alloc_raw(account, t->capacity);
    t->header_bytes = weir_try_alloc_raw(account, (size_t)CONNECT_POLL_RECORDS_MAX * POSITION_HEADER_BYTES_MAX);
    weir_status status = weir_ok();
    identity who;
    uint64_t at;
    if (!t->buffer || !t->header_bytes)
        status = weir_fail(WEIR_NO_MEMORY, "no memory for the buffer of file %s", t->path);
    else if (position.size > 0 && !parse_position(position, &who, &at))
        status = weir_fail(WEIR_CORRUPT, "the position kept for file %s is not readable: '%.*s'", t->path,
                           (int)position.size, (const char *)position.data);
    else if (position.size > 0) status = open_remembered(t, &who, at);
    if (weir_failed(status)) {
        file_close(t);
        return status;
    }
    *self = t;
    return weir_ok();
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Drops what was handed out and reads on behind what is left. */
static weir_status refill(tail *t) {
    memmove(t->buffer, t->buffer + t->handed_out, t->buffered - t->handed_out);
    t->position += t->handed_out;
    t->buffered -= t->handed_out;
    t->handed_out = 0;
    size_t got = 0;
    WEIR_TRY(io_read_at(t->world->files, t->file, t->position + t->buffered, t->buffer + t->buffered,
                        t->capacity - t->buffered, &got));
    t->buffered += got;
    if (got) t->grown_at_ns = io_now_ns(t->world->clock);
    return got && t->who.head_bytes < HEAD_BYTES_MAX ? learn_head(t) : weir_ok();
}

/* Header list of one record as in a record batch: count 1, "weir.position", decimal digits (zig-zag varints). */
static weir_bytes encode_position_header(tail *t, uint32_t record, uint64_t position) {
    static const char name[] = "weir.position";
    uint8_t *at = t->header_bytes + (size_t)record * POSITION_HEADER_BYTES_MAX;
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%" PRIu64, position);
    size_t size = 0;
    at[size++] = 1 << 1;
    at[size++] = (sizeof name - 1) << 1;
    memcpy(at + size, name, sizeof name - 1);
    size += sizeof name - 1;
    at[size++] = (uint8_t)(length << 1);
    memcpy(at + size, digits, (size_t)length);
    return (weir_bytes){at, size + (size_t)length};
}

/* Hands out the lines in the buffer. `is_final`: the file is finished, its last line needs no end. */
static uint32_t cut_lines(tail *t, connect_record *records, uint32_t max, bool is_final) {
    const int64_t now_ms = io_wall_ms(t->world->clock);
    uint32_t count = 0;
    while (count < max && t->handed_out < t->buffered) {
        const uint8_t *line = t->buffer + t->handed_out;
        const size_t left = t->buffered - t->handed_out;
        const size_t scan = left < t->line_bytes_max ? left : t->line_bytes_max;
        const uint8_t *end = memchr(line, '\n', scan);
        if (!end && scan < t->line_bytes_max && !is_final) break;
        size_t size = end ? (size_t)(end - line) : scan;
        const size_t taken = end ? size + 1 : size;
        if (end && size && line[size - 1] == '\r') size--;
        records[count] = (connect_record){.value = {line, size}, .timestamp_ms = now_ms};
        if (t->position_headers) records[count].headers = encode_position_header(t, count, t->position + t->handed_out);
        t->handed_out += taken;
        count++;
    }
    return count;
}

typedef enum file_fate { FATE_SAME, FATE_TRUNCATED, FATE_ROTATED } file_fate;

/* What has become of the open file, asked only when it has no news. */
static weir_status look_around(tail *t, file_fate *fate) {
    *fate = FATE_SAME;
    io_file_info open_info, path_info;
    WEIR_TRY(io_file_info_of(t->world->files, t->file, &open_info));
    bool same = true;
    if (open_info.size >= t->who.head_bytes) WEIR_TRY(has_same_head(t, t->file, &same));
    if (!same || open_info.size < t->position + t->buffered) {
        *fate = FATE_TRUNCATED;
        return weir_ok();
    }
    const weir_status status = io_path_info(t->world->files, t->path, &path_info);
    if (status.code == WEIR_NOT_FOUND) return weir_ok(); /* between the rename and the new file */
    WEIR_TRY(status);
    t->at_path = path_info.inode == t->who.inode && path_info.device == t->who.device;
    if (!t->at_path) *fate = FATE_ROTATED;
    return weir_ok();
}

static weir_status start_over(tail *t) {
    t->position = 0;
    t->buffered = t->handed_out = 0;
    t->who.head_bytes = 0;
    return learn_head(t);
}

static int64_t pause_ms(const tail *t) {
    return io_now_ns(t->world->clock) - t->grown_at_ns > (int64_t)IDLE_AFTER_MS * 1000000 ? POLL_IDLE_MS : POLL_MS;
}

static weir_status file_poll(void *self, connect_record *records, uint32_t max, uint32_t *count, int64_t *wait_ms) {
    tail *t = self;
    *count = 0;
    *wait_ms = POLL_IDLE_MS;
    if (!t->file) WEIR_TRY(open_path(t));
    WEIR_TRY(refill(t));
    *count = cut_lines(t, records, max, false);
    if (*count) return weir_ok();
    file_fate fate;
    WEIR_TRY(look_around(t, &fate));
    if (fate == FATE_TRUNCATED) {
        WEIR_TRY(start_over(t));
        *wait_ms = 0;
    } else if (fate == FATE_ROTATED && io_now_ns(t->world->clock) - t->grown_at_ns >= t->rotation_wait_ns) {
        WEIR_TRY(refill(t)); /* a line may have come between the read and the look */
        *count = cut_lines(t, records, max, true);
        if (*count == 0) WEIR_TRY(open_path(t));
        *wait_ms = 0;
    } else {
        *wait_ms = pause_ms(t);
    }
    return weir_ok();
}

const connect_source connect_file_source = {
    .name = "file",
    .about = "follows a text file; every line is a record",
    .options = options,
    .open = file_open,
    .poll = file_poll,
    .position = file_position,
    .close = file_close,
};
