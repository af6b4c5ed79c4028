/* Open segment files, at most so many: the least recently used idle one is closed for the next. Named by the serial
 * number of the partition, not by path, so that a deleted topic's files are never taken for its successor's. The only
 * part of the module that two lanes share, hence the mutex; it is never held across a call that can wait. */
#include "log/log_int.h"

struct log_descriptor {
    io_file *file;
    unsigned users;
    bool forgotten; /* out of the map: closed by its last user */
    log_descriptor *previous, *next;
    uint8_t key[17];
};

static void make_key(uint8_t key[17], uint64_t serial, int64_t base, log_file_kind kind) {
    memcpy(key, &serial, 8);
    memcpy(key + 8, &base, 8);
    key[16] = (uint8_t)kind;
}

void log_descriptors_init(log_descriptors *descriptors, io_files *files, weir_account *account, size_t open_max) {
    *descriptors = (log_descriptors){.files = files, .account = account, .open_max = open_max};
    pthread_mutex_init(&descriptors->mutex, NULL);
    weir_map_init(&descriptors->map, account);
}

static void unlink_idle(log_descriptors *descriptors, log_descriptor *descriptor) {
    if (descriptor->previous) descriptor->previous->next = descriptor->next;
    else descriptors->first = descriptor->next;
    if (descriptor->next) descriptor->next->previous = descriptor->previous;
    else descriptors->last = descriptor->previous;
    descriptor->previous = descriptor->next = NULL;
}

static void link_idle(log_descriptors *descriptors, log_descriptor *descriptor) {
    descriptor->previous = descriptors->last;
    descriptor->next = NULL;
    if (descriptors->last) descriptors->last->next = descriptor;
    else descriptors->first = descriptor;
    descriptors->last = descriptor;
}

void log_descriptors_deinit(log_descriptors *descriptors) {
    weir_bytes key;
    void *value;
    for (size_t at = 0; weir_map_next(&descriptors->map, &at, &key, &value);) {
        log_descriptor *descriptor = value;
        weir_assert(descriptor->users == 0);
        io_close(descriptors->files, descriptor->file);
        weir_free(descriptors->account, descriptor);
    }
    weir_map_deinit(&descriptors->map);
    pthread_mutex_destroy(&descriptors->mutex);
}

static log_descriptor *take_known(log_descriptors *descriptors, const uint8_t key[17]) {
    log_descriptor *found = weir_map_get(&descriptors->map, weir_bytes_of(key, 17));
    if (found && found->users++ == 0) unlink_idle(descriptors, found);
    return found;
}

static void close_descriptor(log_descriptors *descriptors, log_descriptor *descriptor) {
    if (!descriptor) return;
    io_close(descriptors->files, descriptor->file);
    weir_free(descriptors->account, descriptor);
}

/* Needs: the mutex. Takes out the one that was idle longest, to be closed without the mutex; NULL: all are in use. */
static log_descriptor *take_surplus(log_descriptors *descriptors) {
    log_descriptor *surplus = descriptors->first;
    if (!surplus) return NULL;
    unlink_idle(descriptors, surplus);
    weir_map_remove(&descriptors->map, weir_bytes_of(surplus->key, sizeof surplus->key));
    descriptors->open_count--;
    return surplus;
}

static weir_status open_segment_file(log_partition *partition, int64_t base, log_file_kind kind, bool create,
                                     io_file **opened) {
    char path[LOG_PATH_MAX];
    WEIR_TRY(log_segment_path(partition, base, kind, path));
    return io_open(partition->store->files, path, IO_OPEN_WRITE | (create ? IO_OPEN_CREATE : 0u), opened);
}

weir_status log_descriptor_take(log_partition *partition, int64_t base, log_file_kind kind, bool create,
                                log_descriptor **descriptor, io_file **file) {
    log_descriptors *descriptors = &partition->store->descriptors;
    uint8_t key[17];
    make_key(key, partition->serial, base, kind);
    pthread_mutex_lock(&descriptors->mutex);
    log_descriptor *found = take_known(descriptors, key), *surplus = NULL;
    if (!found && descriptors->open_count >= descriptors->open_max) surplus = take_surplus(descriptors);
    if (!found) descriptors->open_count++; /* before it is opened, so that two lanes do not share one place */
    pthread_mutex_unlock(&descriptors->mutex);
    close_descriptor(descriptors, surplus);
    if (!found) {
        io_file *opened = NULL;
        const weir_status status = open_segment_file(partition, base, kind, create, &opened);
        pthread_mutex_lock(&descriptors->mutex);
        if (!weir_failed(status)) found = take_known(descriptors, key); /* another lane may have been quicker */
        if (weir_failed(status) || found) descriptors->open_count--;
        if (!weir_failed(status) && !found) {
            found = weir_alloc(descriptors->account, sizeof *found);
            found->file = opened;
            found->users = 1;
            memcpy(found->key, key, sizeof key);
            weir_map_put(&descriptors->map, weir_bytes_of(key, sizeof key), found);
            opened = NULL;
        }
        pthread_mutex_unlock(&descriptors->mutex);
        if (opened) io_close(descriptors->files, opened);
        WEIR_TRY(status);
    }
    *descriptor = found;
    *file = found->file;
    return weir_ok();
}

void log_descriptor_give(log_partition *partition, log_descriptor *descriptor) {
    log_descriptors *descriptors = &partition->store->descriptors;
    log_descriptor *closing = NULL;
    pthread_mutex_lock(&descriptors->mutex);
    weir_assert(descriptor->users > 0);
    if (--descriptor->users == 0) {
        if (descriptor->forgotten) closing = descriptor;
        else link_idle(descriptors, descriptor);
        if (descriptors->open_count > descriptors->open_max) closing = closing ? closing : take_surplus(descriptors);
    }
    pthread_mutex_unlock(&descriptors->mutex);
    close_descriptor(descriptors, closing);
}

/* Closes those whose keys begin with so much of `prefix`; one in use is closed when it is given back. */
static void forget(log_partition *partition, const uint8_t *prefix, size_t prefix_bytes) {
    log_descriptors *descriptors = &partition->store->descriptors;
    log_descriptor *closing = NULL;
    weir_bytes key;
    void *value;
    pthread_mutex_lock(&descriptors->mutex);
    for (size_t at = 0; weir_map_next(&descriptors->map, &at, &key, &value);) {
        log_descriptor *descriptor = value;
        if (memcmp(descriptor->key, prefix, prefix_bytes) != 0) continue;
        weir_map_remove(&descriptors->map, weir_bytes_of(descriptor->key, sizeof descriptor->key));
        descriptors->open_count--;
        descriptor->forgotten = true;
        if (descriptor->users > 0) continue;
        unlink_idle(descriptors, descriptor);
        descriptor->next = closing;
        closing = descriptor;
    }
    pthread_mutex_unlock(&descriptors->mutex);
    while (closing) {
        log_descriptor *next = closing->next;
        close_descriptor(descriptors, closing);
        closing = next;
    }
}

void log_descriptors_forget(log_partition *partition) {
    uint8_t key[17];
    make_key(key, partition->serial, 0, LOG_FILE_LOG);
    forget(partition, key, 8);
}

void log_descriptors_forget_segment(log_partition *partition, int64_t base) {
    uint8_t key[17];
    make_key(key, partition->serial, base, LOG_FILE_LOG);
    forget(partition, key, 16);
}
