/* The disk: per file an image that is safe and a list of changes that are not; names likewise, keyed by the directory's
 * inode, so that renaming a directory moves what is below it. */
#include "io/sim/io_sim_int.h"

#include "base/hash.h"

enum { NAME_BYTES_MAX = 255 };

typedef struct disk_image {
    uint8_t *data;
    size_t size, capacity;
} disk_image;

typedef struct disk_change {
    enum { CHANGE_WRITE, CHANGE_ZERO, CHANGE_RESIZE } kind;
    uint64_t at; /* of a resize: the new size */
    size_t size;
    struct disk_change *next;
    uint8_t data[];
} disk_change;

struct sim_inode {
    uint64_t id;
    bool is_directory, is_reachable;
    disk_image current, safe;
    disk_change *first, *last; /* written and not synced */
    int64_t modified_ms;
    io_file *locked_by;
    sim_inode *next;
};

struct sim_name_change {
    enum { NAME_CREATE, NAME_REMOVE, NAME_RENAME } kind;
    sim_entry source; /* its name is owned */
    sim_entry target; /* of a rename */
    sim_name_change *next;
};

struct io_file {
    sim_inode *inode;
    bool is_writable;
    uint64_t generation;
    io_file *next;
    char path[];
};

static io_sim *sim_of(io_files *files) {
    return io_owner(files, io_sim, files);
}

/* ---- images ---- */

static void image_resize(io_sim *sim, disk_image *image, size_t size) {
    if (size > image->capacity) {
        image->capacity = size + size / 2 + 64;
        image->data = weir_realloc(&sim->account, image->data, image->capacity);
    }
    if (size > image->size) memset(image->data + image->size, 0, size - image->size);
    image->size = size;
}

/* `data` NULL = zeroes. */
static void image_write(io_sim *sim, disk_image *image, uint64_t at, const uint8_t *data, size_t size) {
    if (size == 0) return;
    if (at + size > image->size) image_resize(sim, image, at + size);
    if (data)
        memcpy(image->data + at, data, size);
    else
        memset(image->data + at, 0, size);
}

static void image_copy(io_sim *sim, disk_image *target, const disk_image *source) {
    image_resize(sim, target, 0);
    image_write(sim, target, 0, source->data, source->size);
}

static void change_apply(io_sim *sim, disk_image *image, const disk_change *change) {
    if (change->kind == CHANGE_RESIZE)
        image_resize(sim, image, change->at);
    else
        image_write(sim, image, change->at, change->kind == CHANGE_WRITE ? change->data : NULL, change->size);
}

static disk_change *changes_take(sim_inode *inode) {
    disk_change *taken = inode->first;
    if (!taken) return NULL;
    inode->first = taken->next;
    if (!inode->first) inode->last = NULL;
    return taken;
}

static void change_add(io_sim *sim, sim_inode *inode, int kind, uint64_t at, const uint8_t *data, size_t size) {
    disk_change *added = weir_alloc(&sim->account, sizeof *added + (data ? size : 0));
    added->kind = kind;
    added->at = at;
    added->size = size;
    if (data) memcpy(added->data, data, size);
    if (inode->last)
        inode->last->next = added;
    else
        inode->first = added;
    inode->last = added;
    change_apply(sim, &inode->current, added);
    inode->modified_ms = io_wall_ms(&sim->clock);
}

/* ---- names ---- */

static sim_entry *names_find(const sim_names *names, uint64_t parent, const char *name) {
    for (size_t i = 0; i < names->count; i++)
        if (names->entries[i].parent == parent && strcmp(names->entries[i].name, name) == 0) return &names->entries[i];
    return NULL;
}

static void names_set(io_sim *sim, sim_names *names, uint64_t parent, const char *name, sim_inode *inode) {
    sim_entry *found = names_find(names, parent, name);
    if (found) {
        found->inode = inode;
        return;
    }
    if (names->count == names->capacity) {
        names->capacity = names->capacity ? names->capacity * 2 : 16;
        names->entries = weir_realloc(&sim->account, names->entries, names->capacity * sizeof *names->entries);
    }
    names->entries[names->count++] = (sim_entry){parent, weir_strdup(&sim->account, name), inode};
}

static void names_remove(io_sim *sim, sim_names *names, uint64_t parent, const char *name, const sim_inode *inode) {
    sim_entry *found = names_find(names, parent, name);
    if (!found || found->inode != inode) return;
    weir_free(&sim->account, found->name);
    *found = names->entries[--names->count];
}

static void names_clear(io_sim *sim, sim_names *names) {
    for (size_t i = 0; i < names->count; i++) weir_free(&sim->account, names->entries[i].name);
    names->count = 0;
}

static void name_change_apply(io_sim *sim, sim_names *names, const sim_name_change *change) {
    const sim_entry *source = &change->source;
    if (change->kind == NAME_CREATE) {
        names_set(sim, names, source->parent, source->name, source->inode);
        return;
    }
    names_remove(sim, names, source->parent, source->name, source->inode);
    if (change->kind == NAME_RENAME) names_set(sim, names, change->target.parent, change->target.name, source->inode);
}

static void name_change_free(io_sim *sim, sim_name_change *change) {
    weir_free(&sim->account, change->source.name);
    weir_free(&sim->account, change->target.name);
    weir_free(&sim->account, change);
}

static void name_change_add(io_sim *sim, int kind, const sim_entry *source, uint64_t target_parent,
                            const char *target_name) {
    sim_disk *disk = &sim->disk;
    sim_name_change *change = weir_alloc(&sim->account, sizeof *change);
    change->kind = kind;
    change->source = (sim_entry){source->parent, weir_strdup(&sim->account, source->name), source->inode};
    if (target_name) change->target = (sim_entry){target_parent, weir_strdup(&sim->account, target_name), NULL};
    if (disk->changes_last)
        disk->changes_last->next = change;
    else
        disk->changes_first = change;
    disk->changes_last = change;
    name_change_apply(sim, &disk->current, change);
}

static sim_inode *inode_create(io_sim *sim, bool is_directory) {
    sim_inode *inode = weir_alloc(&sim->account, sizeof *inode);
    inode->id = ++sim->disk.inode_next;
    inode->is_directory = is_directory;
    inode->modified_ms = io_wall_ms(&sim->clock);
    inode->next = sim->disk.inodes;
    sim->disk.inodes = inode;
    return inode;
}

/* Walks `path`: *parent is the directory of its last part, `name` that part, *inode what it names (NULL if nothing).
 * The root has no name. */
static weir_status look_up(io_sim *sim, const char *path, sim_inode **parent, char *name, sim_inode **inode) {
    *parent = NULL;
    *inode = sim->disk.root;
    name[0] = 0;
    for (const char *at = path;;) {
        at += strspn(at, "/");
        const size_t size = strcspn(at, "/");
        if (size == 0) return weir_ok();
        if (size == 1 && at[0] == '.') {
            at += size;
            continue;
        }
        if (!*inode) return weir_fail(WEIR_NOT_FOUND, "%s: its folder does not exist", path);
        if (!(*inode)->is_directory || size > NAME_BYTES_MAX)
            return weir_fail(WEIR_IO, "%s: a part of it is not a folder, or too long", path);
        memcpy(name, at, size);
        name[size] = 0;
        *parent = *inode;
        const sim_entry *found = names_find(&sim->disk.current, (*parent)->id, name);
        *inode = found ? found->inode : NULL;
        at += size;
    }
}

static weir_status look_up_existing(io_sim *sim, const char *path, sim_inode **inode) {
    sim_inode *parent;
    char name[NAME_BYTES_MAX + 1];
    WEIR_TRY(look_up(sim, path, &parent, name, inode));
    if (!*inode) return weir_fail(WEIR_NOT_FOUND, "%s does not exist", path);
    return weir_ok();
}

/* ---- dying and failing ---- */

typedef enum disk_fate { FATE_RUN, FATE_DIE_AFTER, FATE_FAIL, FATE_DEAD } disk_fate;

static weir_status died(const char *path) {
    return weir_fail(WEIR_CLOSED, "%s: the process has died", path);
}

/* Every operation that changes or syncs the disk passes here. */
static disk_fate operation_begin(io_sim *sim) {
    sim_disk *disk = &sim->disk;
    if (disk->is_crashed) return FATE_DEAD;
    disk->operations++;
    sim_trace(sim, disk->operations);
    if (disk->operations == disk->crash_at) {
        disk->is_crashed = true;
        return sim_chance(&disk->random, 2) ? FATE_DIE_AFTER : FATE_DEAD;
    }
    if (disk->operations == disk->fail_operation_at) return FATE_FAIL;
    return FATE_RUN;
}

/* What an operation that was not to run says; OK when it ran and its process lives. */
static weir_status operation_end(disk_fate fate, const char *path) {
    if (fate == FATE_RUN) return weir_ok();
    if (fate == FATE_FAIL) return weir_fail(WEIR_IO, "%s: input/output error", path);
    return died(path);
}

static bool runs(disk_fate fate) {
    return fate == FATE_RUN || fate == FATE_DIE_AFTER;
}

static bool is_dead(const io_sim *sim, const io_file *file) {
    return sim->disk.is_crashed || file->generation != sim->disk.generation;
}

static disk_fate file_operation_begin(io_sim *sim, const io_file *file) {
    return is_dead(sim, file) ? FATE_DEAD : operation_begin(sim);
}

/* ---- the vtable: opening, reading, writing ---- */

static weir_status open_file(io_files *self, const char *path, unsigned flags, io_file **opened) {
    io_sim *sim = sim_of(self);
    sim_inode *parent, *inode;
    char name[NAME_BYTES_MAX + 1];
    if (sim->disk.is_crashed) return died(path);
    WEIR_TRY(look_up(sim, path, &parent, name, &inode));
    if (!inode && !(flags & IO_OPEN_CREATE)) return weir_fail(WEIR_NOT_FOUND, "opening %s: no such file", path);
    if (inode && (flags & IO_OPEN_CREATE) && (flags & IO_OPEN_EXCLUSIVE))
        return weir_fail(WEIR_EXISTS, "opening %s: it exists", path);
    if (inode && inode->is_directory && (flags & IO_OPEN_WRITE)) return weir_fail(WEIR_IO, "%s is a folder", path);
    const bool truncates = inode && (flags & IO_OPEN_TRUNCATE) && inode->current.size > 0;
    if (!inode || truncates) {
        const disk_fate fate = operation_begin(sim);
        if (runs(fate) && !inode) {
            inode = inode_create(sim, false);
            const sim_entry made = {parent->id, name, inode};
            name_change_add(sim, NAME_CREATE, &made, 0, NULL);
        } else if (runs(fate)) {
            if (sim->disk.free_bytes != UINT64_MAX) sim->disk.free_bytes += inode->current.size;
            change_add(sim, inode, CHANGE_RESIZE, 0, NULL, 0);
        }
        WEIR_TRY(operation_end(fate, path));
    }
    const size_t path_bytes = strlen(path) + 1;
    io_file *file = weir_alloc(&sim->account, sizeof *file + path_bytes);
    memcpy(file->path, path, path_bytes);
    file->inode = inode;
    file->is_writable = (flags & IO_OPEN_WRITE) != 0;
    file->generation = sim->disk.generation;
    file->next = sim->disk.files;
    sim->disk.files = file;
    *opened = file;
    return weir_ok();
}

static void close_file(io_files *self, io_file *file) {
    io_sim *sim = sim_of(self);
    if (file->inode && file->inode->locked_by == file) file->inode->locked_by = NULL;
    io_file **link = &sim->disk.files;
    while (*link != file) link = &(*link)->next;
    *link = file->next;
    weir_free(&sim->account, file);
}

static weir_status read_at(io_files *self, io_file *file, uint64_t at, void *target, size_t size, size_t *got) {
    *got = 0;
    if (is_dead(sim_of(self), file)) return died(file->path);
    const disk_image *image = &file->inode->current;
    if (at >= image->size) return weir_ok();
    *got = size < image->size - at ? size : image->size - at;
    memcpy(target, image->data + at, *got);
    return weir_ok();
}

static weir_status read_resident(io_files *self, io_file *file, uint64_t at, void *target, size_t size, size_t *got) {
    io_sim *sim = sim_of(self);
    *got = 0;
    if (!is_dead(sim, file) && sim_chance(&sim->disk.random, sim->disk.cold_one_in))
        return weir_fail(WEIR_BUSY, "%s at %llu is not in memory", file->path, (unsigned long long)at);
    return read_at(self, file, at, target, size, got);
}

/* Writes what finds room; false when not all did. */
static bool grow_and_write(io_sim *sim, sim_inode *inode, int kind, uint64_t at, const uint8_t *data, size_t size) {
    uint64_t *free_bytes = &sim->disk.free_bytes;
    const uint64_t old_size = inode->current.size;
    bool fits = true;
    if (at + size > old_size && *free_bytes != UINT64_MAX) {
        const uint64_t growth = at + size - old_size;
        if (growth > *free_bytes) {
            const uint64_t end = old_size + *free_bytes;
            size = end > at ? (size_t)(end - at) : 0;
            fits = false;
        }
        if (size > 0) *free_bytes -= at + size - old_size;
    }
    if (size > 0) change_add(sim, inode, kind, at, data, size);
    return fits;
}

static weir_status disk_full(const io_file *file) {
    return weir_fail(WEIR_DISK_FULL, "writing %s: no space left on device", file->path);
}

static weir_status write_at(io_files *self, io_file *file, uint64_t at, const weir_bytes *parts, size_t count) {
    io_sim *sim = sim_of(self);
    weir_assert(file->is_writable);
    const disk_fate fate = file_operation_begin(sim, file);
    if (!runs(fate)) return operation_end(fate, file->path);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) total += parts[i].size;
    /* Dying in the middle leaves a prefix, as a kernel that was copying pages does. */
    size_t left = fate == FATE_DIE_AFTER ? sim_below(&sim->disk.random, total + 1) : total;
    sim_trace(sim, file->inode->id ^ at);
    for (size_t i = 0; i < count && left > 0; i++) {
        const size_t size = parts[i].size < left ? parts[i].size : left;
        sim_trace(sim, weir_hash(parts[i].data, size));
        if (!grow_and_write(sim, file->inode, CHANGE_WRITE, at, parts[i].data, size)) return disk_full(file);
        at += size;
        left -= size;
    }
    return operation_end(fate, file->path);
}

/* A failed sync leaves some changes safe and takes the others from the list: they will never be. */
static void sync_badly(io_sim *sim, sim_inode *inode) {
    for (disk_change *each; (each = changes_take(inode));) {
        if (sim_chance(&sim->disk.random, 2)) change_apply(sim, &inode->safe, each);
        weir_free(&sim->account, each);
    }
}

static weir_status sync_file(io_files *self, io_file *file) {
    io_sim *sim = sim_of(self);
    disk_fate fate = file_operation_begin(sim, file);
    if (runs(fate) && ++sim->disk.syncs == sim->disk.fail_sync_at) fate = FATE_FAIL;
    if (fate == FATE_FAIL) sync_badly(sim, file->inode);
    if (!runs(fate)) return operation_end(fate, file->path);
    for (disk_change *each; (each = changes_take(file->inode));) {
        change_apply(sim, &file->inode->safe, each);
        weir_free(&sim->account, each);
    }
    return operation_end(fate, file->path);
}

static weir_status truncate_file(io_files *self, io_file *file, uint64_t size) {
    io_sim *sim = sim_of(self);
    weir_assert(file->is_writable);
    const disk_fate fate = file_operation_begin(sim, file);
    if (runs(fate)) {
        const uint64_t old_size = file->inode->current.size;
        if (size < old_size && sim->disk.free_bytes != UINT64_MAX) sim->disk.free_bytes += old_size - size;
        change_add(sim, file->inode, CHANGE_RESIZE, size, NULL, 0);
    }
    return operation_end(fate, file->path);
}

static weir_status preallocate(io_files *self, io_file *file, uint64_t bytes) {
    io_sim *sim = sim_of(self);
    weir_assert(file->is_writable);
    const disk_fate fate = file_operation_begin(sim, file);
    if (!runs(fate)) return operation_end(fate, file->path);
    const uint64_t size = file->inode->current.size;
    if (bytes > size && !grow_and_write(sim, file->inode, CHANGE_ZERO, size, NULL, (size_t)(bytes - size)))
        return disk_full(file);
    return operation_end(fate, file->path);
}

/* ---- the vtable: names ---- */

static void info_of(const sim_inode *inode, io_file_info *info) {
    *info = (io_file_info){.size = inode->current.size,
                           .device = 1,
                           .inode = inode->id,
                           .modified_ms = inode->modified_ms,
                           .is_directory = inode->is_directory};
}

static weir_status file_info(io_files *self, io_file *file, io_file_info *info) {
    if (is_dead(sim_of(self), file)) return died(file->path);
    info_of(file->inode, info);
    return weir_ok();
}

static weir_status path_info(io_files *self, const char *path, io_file_info *info) {
    sim_inode *inode;
    if (sim_of(self)->disk.is_crashed) return died(path);
    WEIR_TRY(look_up_existing(sim_of(self), path, &inode));
    info_of(inode, info);
    return weir_ok();
}

static bool is_empty(const io_sim *sim, const sim_inode *directory) {
    for (size_t i = 0; i < sim->disk.current.count; i++)
        if (sim->disk.current.entries[i].parent == directory->id) return false;
    return true;
}

static weir_status rename_path(io_files *self, const char *source, const char *target) {
    io_sim *sim = sim_of(self);
    sim_inode *parent, *inode, *target_parent, *replaced;
    char name[NAME_BYTES_MAX + 1], target_name[NAME_BYTES_MAX + 1];
    if (sim->disk.is_crashed) return died(source);
    WEIR_TRY(look_up(sim, source, &parent, name, &inode));
    if (!inode || !parent) return weir_fail(WEIR_NOT_FOUND, "renaming %s: no such file", source);
    WEIR_TRY(look_up(sim, target, &target_parent, target_name, &replaced));
    if (!target_parent || (replaced && replaced->is_directory && (!inode->is_directory || !is_empty(sim, replaced))) ||
        (replaced && inode->is_directory && !replaced->is_directory))
        return weir_fail(WEIR_IO, "renaming %s to %s: a folder is in the way", source, target);
    if (replaced == inode) return weir_ok();
    const disk_fate fate = operation_begin(sim);
    const sim_entry moved = {parent->id, name, inode};
    if (runs(fate)) name_change_add(sim, NAME_RENAME, &moved, target_parent->id, target_name);
    return operation_end(fate, source);
}

static weir_status remove_path(io_files *self, const char *path) {
    io_sim *sim = sim_of(self);
    sim_inode *parent, *inode;
    char name[NAME_BYTES_MAX + 1];
    if (sim->disk.is_crashed) return died(path);
    WEIR_TRY(look_up(sim, path, &parent, name, &inode));
    if (!inode || !parent) return weir_fail(WEIR_NOT_FOUND, "removing %s: no such file", path);
    if (inode->is_directory && !is_empty(sim, inode)) return weir_fail(WEIR_IO, "removing %s: not empty", path);
    const disk_fate fate = operation_begin(sim);
    const sim_entry removed = {parent->id, name, inode};
    if (runs(fate)) {
        name_change_add(sim, NAME_REMOVE, &removed, 0, NULL);
        if (sim->disk.free_bytes != UINT64_MAX) sim->disk.free_bytes += inode->current.size;
    }
    return operation_end(fate, path);
}

static weir_status make_directory(io_files *self, const char *path) {
    io_sim *sim = sim_of(self);
    sim_inode *parent, *inode;
    char name[NAME_BYTES_MAX + 1];
    if (sim->disk.is_crashed) return died(path);
    WEIR_TRY(look_up(sim, path, &parent, name, &inode));
    if (inode) return weir_fail(WEIR_EXISTS, "making the folder %s: it exists", path);
    const disk_fate fate = operation_begin(sim);
    if (runs(fate)) {
        const sim_entry made = {parent->id, name, inode_create(sim, true)};
        name_change_add(sim, NAME_CREATE, &made, 0, NULL);
    }
    return operation_end(fate, path);
}

static weir_status sync_directory(io_files *self, const char *path) {
    io_sim *sim = sim_of(self);
    sim_inode *directory;
    if (sim->disk.is_crashed) return died(path);
    WEIR_TRY(look_up_existing(sim, path, &directory));
    const disk_fate fate = operation_begin(sim);
    if (!runs(fate)) return operation_end(fate, path);
    sim_name_change **link = &sim->disk.changes_first, *last = NULL;
    while (*link) {
        sim_name_change *change = *link;
        if (change->source.parent != directory->id &&
            (change->kind != NAME_RENAME || change->target.parent != directory->id)) {
            last = change;
            link = &change->next;
            continue;
        }
        name_change_apply(sim, &sim->disk.safe, change);
        *link = change->next;
        name_change_free(sim, change);
    }
    sim->disk.changes_last = last;
    return operation_end(fate, path);
}

static weir_status list(io_files *self, const char *path, void (*visit)(const char *name, void *arg), void *arg) {
    io_sim *sim = sim_of(self);
    sim_inode *directory;
    if (sim->disk.is_crashed) return died(path);
    WEIR_TRY(look_up_existing(sim, path, &directory));
    for (size_t i = 0; i < sim->disk.current.count; i++)
        if (sim->disk.current.entries[i].parent == directory->id) visit(sim->disk.current.entries[i].name, arg);
    return weir_ok();
}

static weir_status lock_file(io_files *self, io_file *file) {
    if (is_dead(sim_of(self), file)) return died(file->path);
    if (file->inode->locked_by && file->inode->locked_by != file)
        return weir_fail(WEIR_BUSY, "%s is locked by another process", file->path);
    file->inode->locked_by = file;
    return weir_ok();
}

/* ---- what a power cut leaves ---- */

static void write_torn(io_sim *sim, disk_image *image, const disk_change *change) {
    sim_random *random = &sim->disk.random;
    const uint8_t *data = change->kind == CHANGE_WRITE ? change->data : NULL;
    if (sim_chance(random, 2)) {
        image_write(sim, image, change->at, data, sim_below(random, change->size + 1));
        return;
    }
    for (uint64_t at = change->at; at < change->at + change->size;) {
        uint64_t end = (at / IO_SIM_SECTOR_BYTES + 1) * IO_SIM_SECTOR_BYTES;
        if (end > change->at + change->size) end = change->at + change->size;
        if (sim_chance(random, 2)) image_write(sim, image, at, data ? data + (at - change->at) : NULL, end - at);
        at = end;
    }
}

static void change_survives(io_sim *sim, disk_image *image, const disk_change *change, unsigned kept_percent) {
    sim_random *random = &sim->disk.random;
    if (sim_below(random, 100) < kept_percent) {
        change_apply(sim, image, change);
    } else if (change->kind != CHANGE_RESIZE && kept_percent > 0) {
        const uint64_t end = change->at + change->size;
        if (sim_chance(random, 2))
            write_torn(sim, image, change);
        else if (end > image->size && sim_chance(random, 2))
            image_resize(sim, image, end); /* the size, not the bytes */
    }
}

static void cut_file(io_sim *sim, sim_inode *inode, unsigned kept_percent) {
    for (disk_change *each; (each = changes_take(inode));) {
        change_survives(sim, &inode->safe, each, kept_percent);
        weir_free(&sim->account, each);
    }
    image_copy(sim, &inode->current, &inode->safe);
}

static void cut_names(io_sim *sim, unsigned kept_percent) {
    sim_disk *disk = &sim->disk;
    while (disk->changes_first) {
        sim_name_change *change = disk->changes_first;
        disk->changes_first = change->next;
        if (sim_below(&disk->random, 100) < kept_percent) name_change_apply(sim, &disk->safe, change);
        name_change_free(sim, change);
    }
    disk->changes_last = NULL;
    names_clear(sim, &disk->current);
    for (size_t i = 0; i < disk->safe.count; i++) {
        const sim_entry *entry = &disk->safe.entries[i];
        names_set(sim, &disk->current, entry->parent, entry->name, entry->inode);
    }
}

static void inode_free(io_sim *sim, sim_inode *inode) {
    for (disk_change *each; (each = changes_take(inode));) weir_free(&sim->account, each);
    weir_free(&sim->account, inode->current.data);
    weir_free(&sim->account, inode->safe.data);
    weir_free(&sim->account, inode);
}

/* Frees the inodes that have no name any more, neither safe nor current nor pending. */
static void collect(io_sim *sim) {
    sim_disk *disk = &sim->disk;
    for (sim_inode *inode = disk->inodes; inode; inode = inode->next) inode->is_reachable = inode == disk->root;
    for (size_t i = 0; i < disk->safe.count; i++) disk->safe.entries[i].inode->is_reachable = true;
    for (size_t i = 0; i < disk->current.count; i++) disk->current.entries[i].inode->is_reachable = true;
    for (const sim_name_change *each = disk->changes_first; each; each = each->next)
        each->source.inode->is_reachable = true;
    for (sim_inode **link = &disk->inodes; *link;) {
        sim_inode *inode = *link;
        if (inode->is_reachable) {
            link = &inode->next;
            continue;
        }
        *link = inode->next;
        inode_free(sim, inode);
    }
}

void io_sim_restart(io_sim *sim, io_sim_death death) {
    static const unsigned kept_percents[] = {0, 20, 50, 80, 100};
    sim_disk *disk = &sim->disk;
    for (sim_inode *inode = disk->inodes; inode; inode = inode->next) inode->locked_by = NULL;
    for (io_file *file = disk->files; file; file = file->next) file->inode = NULL; /* dead by its generation */
    if (death != IO_SIM_KILL) {
        /* Files are cut one by one in the order of their making, newest first: the same for the same seed. */
        for (sim_inode *inode = disk->inodes; inode; inode = inode->next) {
            const unsigned at = (unsigned)sim_below(&disk->random, sizeof kept_percents / sizeof kept_percents[0]);
            cut_file(sim, inode, death == IO_SIM_DRY_CUT ? 0 : kept_percents[at]);
        }
        const unsigned at = (unsigned)sim_below(&disk->random, sizeof kept_percents / sizeof kept_percents[0]);
        cut_names(sim, death == IO_SIM_DRY_CUT ? 0 : kept_percents[at]);
    }
    collect(sim);
    disk->generation++;
    disk->is_crashed = false;
    disk->crash_at = disk->fail_operation_at = disk->fail_sync_at = 0;
}

/* ---- the test's hand ---- */

uint64_t io_sim_disk_operations(const io_sim *sim) {
    return sim->disk.operations;
}
uint64_t io_sim_disk_syncs(const io_sim *sim) {
    return sim->disk.syncs;
}
void io_sim_crash_at(io_sim *sim, uint64_t number) {
    sim->disk.crash_at = number;
}
void io_sim_crash(io_sim *sim) {
    sim->disk.is_crashed = true;
}
bool io_sim_is_crashed(const io_sim *sim) {
    return sim->disk.is_crashed;
}
void io_sim_fail_operation(io_sim *sim, uint64_t from_now) {
    sim->disk.fail_operation_at = sim->disk.operations + from_now;
}
void io_sim_fail_sync(io_sim *sim, uint64_t from_now) {
    sim->disk.fail_sync_at = sim->disk.syncs + from_now;
}
void io_sim_set_free_bytes(io_sim *sim, uint64_t bytes) {
    sim->disk.free_bytes = bytes;
}
void io_sim_set_cold_reads(io_sim *sim, unsigned one_in) {
    sim->disk.cold_one_in = one_in;
}

static void flip(disk_image *image, uint64_t at, uint8_t mask) {
    if (at < image->size) image->data[at] ^= mask;
}

/* In a change that is not yet safe as well, so that a later sync does not heal the bit. */
static void flip_changes(sim_inode *inode, uint64_t at, uint8_t mask) {
    for (disk_change *each = inode->first; each; each = each->next)
        if (each->kind == CHANGE_WRITE && at >= each->at && at < each->at + each->size)
            each->data[at - each->at] ^= mask;
}

bool io_sim_flip_bits(io_sim *sim, const char *path, uint64_t from, uint64_t to, unsigned count) {
    sim_inode *inode;
    if (weir_failed(look_up_existing(sim, path, &inode)) || inode->is_directory) return false;
    if (to > inode->current.size) to = inode->current.size;
    if (from >= to) return false;
    for (unsigned i = 0; i < count; i++) {
        const uint64_t at = from + sim_below(&sim->disk.random, to - from);
        const uint8_t mask = (uint8_t)(1u << sim_below(&sim->disk.random, 8));
        flip(&inode->current, at, mask);
        flip(&inode->safe, at, mask);
        flip_changes(inode, at, mask);
    }
    return true;
}

/* ---- life ---- */

void sim_disk_init(io_sim *sim) {
    sim->files = (io_files){
        .open = open_file,
        .close = close_file,
        .read_at = read_at,
        .read_resident = read_resident,
        .write_at = write_at,
        .sync = sync_file,
        .truncate = truncate_file,
        .preallocate = preallocate,
        .file_info = file_info,
        .path_info = path_info,
        .rename = rename_path,
        .remove = remove_path,
        .make_directory = make_directory,
        .sync_directory = sync_directory,
        .list = list,
        .lock = lock_file,
    };
    sim->disk.root = inode_create(sim, true);
    sim->disk.free_bytes = UINT64_MAX;
    sim->disk.cold_one_in = 4;
}

void sim_disk_deinit(io_sim *sim) {
    sim_disk *disk = &sim->disk;
    while (disk->files) close_file(&sim->files, disk->files);
    while (disk->changes_first) {
        sim_name_change *change = disk->changes_first;
        disk->changes_first = change->next;
        name_change_free(sim, change);
    }
    names_clear(sim, &disk->current);
    names_clear(sim, &disk->safe);
    weir_free(&sim->account, disk->current.entries);
    weir_free(&sim->account, disk->safe.entries);
    while (disk->inodes) {
        sim_inode *inode = disk->inodes;
        disk->inodes = inode->next;
        inode_free(sim, inode);
    }
}
