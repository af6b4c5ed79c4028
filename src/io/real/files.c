/* Files by the system's calls, each finished here: interrupted and short ones go on, errno becomes a sentence. */
#include "io/real/io_real_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct io_file {
    int descriptor;
    char path[];
};

enum { VECTOR_MAX = 64, ZEROES_BYTES = 256 * 1024 };

static weir_status open_file(io_files *self, const char *path, unsigned flags, io_file **opened) {
    io_real *real = io_owner(self, io_real, files);
    int system_flags = O_CLOEXEC | (flags & IO_OPEN_WRITE ? O_RDWR : O_RDONLY);
    if (flags & IO_OPEN_CREATE) system_flags |= O_CREAT;
    if (flags & IO_OPEN_EXCLUSIVE) system_flags |= O_EXCL;
    if (flags & IO_OPEN_TRUNCATE) system_flags |= O_TRUNC;
    int descriptor;
    do {
        descriptor = open(path, system_flags, 0644);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) return weir_fail_errno(errno, "opening %s", path);
    const size_t path_bytes = strlen(path) + 1;
    io_file *file = weir_alloc(&real->account, sizeof *file + path_bytes);
    file->descriptor = descriptor;
    memcpy(file->path, path, path_bytes);
    *opened = file;
    return weir_ok();
}

static void close_file(io_files *self, io_file *file) {
    close(file->descriptor); /* nothing to learn from its result: durability is sync()'s word */
    weir_free(&io_owner(self, io_real, files)->account, file);
}

static weir_status read_at(io_files *self, io_file *file, uint64_t at, void *target, size_t size, size_t *got) {
    (void)self;
    *got = 0;
    while (*got < size) {
        const ssize_t count = pread(file->descriptor, (char *)target + *got, size - *got, (off_t)(at + *got));
        if (count == 0) break;
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return weir_fail_errno(errno, "reading %s at %llu", file->path, (unsigned long long)at);
        *got += (size_t)count;
    }
    return weir_ok();
}

static weir_status read_resident(io_files *self, io_file *file, uint64_t at, void *target, size_t size, size_t *got) {
    *got = 0;
    while (*got < size) {
        const struct iovec part = {(char *)target + *got, size - *got};
        const ssize_t count = preadv2(file->descriptor, &part, 1, (off_t)(at + *got), RWF_NOWAIT);
        if (count == 0) break;
        if (count > 0) {
            *got += (size_t)count;
            continue;
        }
        if (errno == EINTR) continue;
        if (errno == EAGAIN)
            return weir_fail(WEIR_BUSY, "%s at %llu is not in memory", file->path, (unsigned long long)at);
        /* A file system without the flag (tmpfs among them) keeps its files in memory or is one we must wait for. */
        if (errno == EOPNOTSUPP || errno == ENOSYS) return read_at(self, file, at, target, size, got);
        return weir_fail_errno(errno, "reading %s at %llu", file->path, (unsigned long long)at);
    }
    return weir_ok();
}

static weir_status write_vector(io_file *file, uint64_t at, struct iovec *vector, size_t count) {
    while (count > 0) {
        if (vector->iov_len == 0) {
            vector++;
            count--;
            continue;
        }
        ssize_t written = pwritev(file->descriptor, vector, (int)count, (off_t)at);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return weir_fail_errno(errno, "writing %s at %llu", file->path, (unsigned long long)at);
        at += (uint64_t)written;
        while (written > 0) {
            const size_t step = (size_t)written < vector->iov_len ? (size_t)written : vector->iov_len;
            vector->iov_base = (char *)vector->iov_base + step;
            vector->iov_len -= step;
            written -= (ssize_t)step;
            if (vector->iov_len == 0) {
                vector++;
                count--;
            }
        }
    }
    return weir_ok();
}

static weir_status write_at(io_files *self, io_file *file, uint64_t at, const weir_bytes *parts, size_t count) {
    (void)self;
    while (count > 0) {
        struct iovec vector[VECTOR_MAX];
        const size_t taken = count < VECTOR_MAX ? count : VECTOR_MAX;
        size_t bytes = 0;
        for (size_t i = 0; i < taken; i++) {
            vector[i] = (struct iovec){(void *)parts[i].data, parts[i].size};
            bytes += parts[i].size;
        }
        WEIR_TRY(write_vector(file, at, vector, taken));
        at += bytes;
        parts += taken;
        count -= taken;
    }
    return weir_ok();
}

static weir_status sync_file(io_files *self, io_file *file) {
    (void)self;
    if (fdatasync(file->descriptor) != 0) return weir_fail_errno(errno, "syncing %s", file->path);
    return weir_ok();
}

static weir_status truncate_file(io_files *self, io_file *file, uint64_t size) {
    (void)self;
    int result;
    do {
        result = ftruncate(file->descriptor, (off_t)size);
    } while (result != 0 && errno == EINTR);
    if (result != 0)
        return weir_fail_errno(errno, "setting the size of %s to %llu", file->path, (unsigned long long)size);
    return weir_ok();
}

static weir_status file_info(io_files *self, io_file *file, io_file_info *info);

/* Zeroes are written, not only reserved: a reserved block is marked unwritten, and its first write would make the next
 * fdatasync write metadata too. */
static weir_status preallocate(io_files *self, io_file *file, uint64_t bytes) {
    static const char zeroes[ZEROES_BYTES];
    io_file_info info;
    WEIR_TRY(file_info(self, file, &info));
    if (bytes <= info.size) return weir_ok();
    int result;
    do {
        result = fallocate(file->descriptor, 0, (off_t)info.size, (off_t)(bytes - info.size));
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno != EOPNOTSUPP)
        return weir_fail_errno(errno, "reserving %llu bytes for %s", (unsigned long long)bytes, file->path);
    for (uint64_t at = info.size; at < bytes;) {
        const weir_bytes part = {(const uint8_t *)zeroes, bytes - at < ZEROES_BYTES ? bytes - at : ZEROES_BYTES};
        WEIR_TRY(write_at(self, file, at, &part, 1));
        at += part.size;
    }
    return weir_ok();
}

static void info_from_stat(const struct stat *found, io_file_info *info) {
    *info = (io_file_info){
        .size = (uint64_t)found->st_size,
        .device = found->st_dev,
        .inode = found->st_ino,
        .modified_ms = (int64_t)found->st_mtim.tv_sec * 1000 + found->st_mtim.tv_nsec / 1000000,
        .is_directory = S_ISDIR(found->st_mode),
    };
}

static weir_status file_info(io_files *self, io_file *file, io_file_info *info) {
    (void)self;
    struct stat found;
    if (fstat(file->descriptor, &found) != 0) return weir_fail_errno(errno, "looking at %s", file->path);
    info_from_stat(&found, info);
    return weir_ok();
}

static weir_status path_info(io_files *self, const char *path, io_file_info *info) {
    (void)self;
    struct stat found;
    if (stat(path, &found) != 0) return weir_fail_errno(errno, "looking at %s", path);
    info_from_stat(&found, info);
    return weir_ok();
}

static weir_status rename_path(io_files *self, const char *source, const char *target) {
    (void)self;
    if (rename(source, target) != 0) return weir_fail_errno(errno, "renaming %s to %s", source, target);
    return weir_ok();
}

static weir_status remove_path(io_files *self, const char *path) {
    (void)self;
    if (unlink(path) == 0) return weir_ok();
    if (errno == EISDIR && rmdir(path) == 0) return weir_ok();
    return weir_fail_errno(errno, "removing %s", path);
}

static weir_status make_directory(io_files *self, const char *path) {
    (void)self;
    if (mkdir(path, 0755) != 0) return weir_fail_errno(errno, "making the directory %s", path);
    return weir_ok();
}

static weir_status sync_directory(io_files *self, const char *path) {
    (void)self;
    const int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return weir_fail_errno(errno, "opening the directory %s", path);
    const int error = fsync(descriptor) == 0 ? 0 : errno;
    close(descriptor);
    if (error) return weir_fail_errno(error, "syncing the directory %s", path);
    return weir_ok();
}

static weir_status list(io_files *self, const char *path, void (*visit)(const char *name, void *arg), void *arg) {
    (void)self;
    DIR *directory = opendir(path);
    if (!directory) return weir_fail_errno(errno, "listing %s", path);
    int error = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry) {
            error = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) visit(entry->d_name, arg);
    }
    closedir(directory);
    if (error) return weir_fail_errno(error, "listing %s", path);
    return weir_ok();
}

/* flock belongs to the open file, so that a second open in this process is kept out as well. */
static weir_status lock_file(io_files *self, io_file *file) {
    (void)self;
    int result;
    do {
        result = flock(file->descriptor, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno == EWOULDBLOCK) return weir_fail(WEIR_BUSY, "%s is locked by another process", file->path);
    if (result != 0) return weir_fail_errno(errno, "locking %s", file->path);
    return weir_ok();
}

void real_files_init(io_files *files) {
    *files = (io_files){
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
}
