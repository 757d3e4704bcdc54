#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/io.h"

/* Stores hold hashes of keys and personal data: nobody but the owner looks in. */
enum { FILE_MODE = 0600, DIR_MODE = 0700 };

/* More than Linux transfers in one call (2 GiB less a page) is asked for in pieces. */
enum { TRANSFER_BYTES_MAX = 1 << 30 };

static int posix_open(struct io *io, const char *path, int flags, io_file *file_out) {
    (void)io;
    int os_flags = O_CLOEXEC;
    os_flags |= flags & IO_OPEN_WRITE ? O_RDWR : O_RDONLY;
    if (flags & IO_OPEN_CREATE) os_flags |= O_CREAT;
    if (flags & IO_OPEN_EXCLUSIVE) os_flags |= O_EXCL;
    if (flags & IO_OPEN_DSYNC) os_flags |= O_DSYNC;
    int direct = flags & IO_OPEN_DIRECT ? O_DIRECT : 0;
    for (;;) {
        int file = open(path, os_flags | direct, FILE_MODE);
        if (file >= 0) {
            *file_out = file;
            return 0;
        }
        int error = errno;
        if (error == EINTR) continue;
        if (error != EINVAL || direct == 0) return -error;
        /* A refused O_DIRECT may have made the file already, which is then ours. */
        direct = 0;
        os_flags &= ~O_EXCL;
    }
}

/* Linux has closed the file even when close was interrupted. */
static int posix_close(struct io *io, io_file file) {
    (void)io;
    if (close(file) < 0 && errno != EINTR) return -errno;
    return 0;
}

static int64_t posix_pread(struct io *io, io_file file, void *data, size_t bytes, uint64_t offset) {
    (void)io;
    if (offset > INT64_MAX) return -EINVAL;
    if (bytes > TRANSFER_BYTES_MAX) bytes = TRANSFER_BYTES_MAX;
    for (;;) {
        ssize_t result = pread(file, data, bytes, (off_t)offset);
        if (result >= 0) return result;
        if (errno != EINTR) return -errno;
    }
}

static int64_t posix_pwrite(struct io *io, io_file file, const void *data, size_t bytes,
                            uint64_t offset) {
    (void)io;
    if (offset > INT64_MAX) return -EINVAL;
    if (bytes > TRANSFER_BYTES_MAX) bytes = TRANSFER_BYTES_MAX;
    for (;;) {
        ssize_t result = pwrite(file, data, bytes, (off_t)offset);
        if (result >= 0) return result;
        if (errno != EINTR) return -errno;
    }
}

static int posix_sync(struct io *io, io_file file) {
    (void)io;
    while (fdatasync(file) < 0) {
        if (errno != EINTR) return -errno;
    }
    return 0;
}

static int64_t posix_size(struct io *io, io_file file) {
    (void)io;
    struct stat info;
    if (fstat(file, &info) < 0) return -errno;
    return info.st_size;
}

static int posix_resize(struct io *io, io_file file, uint64_t bytes) {
    (void)io;
    if (bytes > INT64_MAX) return -EFBIG;
    while (ftruncate(file, (off_t)bytes) < 0) {
        if (errno != EINTR) return -errno;
    }
    return 0;
}

static int posix_reserve(struct io *io, io_file file, uint64_t offset, uint64_t bytes) {
    (void)io;
    if (offset > INT64_MAX || bytes > INT64_MAX) return -EFBIG;
    while (fallocate(file, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) < 0) {
        if (errno == ENOSYS) return -EOPNOTSUPP;
        if (errno != EINTR) return -errno;
    }
    return 0;
}

static int64_t posix_taken(struct io *io, io_file file) {
    (void)io;
    struct stat info;
    if (fstat(file, &info) < 0) return -errno;
    return (int64_t)info.st_blocks * 512;
}

static int64_t posix_room(struct io *io, const char *path) {
    (void)io;
    struct statvfs info;
    while (statvfs(path, &info) < 0) {
        if (errno != EINTR) return -errno;
    }
    return (int64_t)(info.f_bavail * info.f_frsize);
}

static int posix_lock(struct io *io, io_file file) {
    (void)io;
    while (flock(file, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EINTR) return -errno;
    }
    return 0;
}

static int posix_rename(struct io *io, const char *from, const char *to) {
    (void)io;
    return rename(from, to) < 0 ? -errno : 0;
}

static int posix_unlink(struct io *io, const char *path) {
    (void)io;
    return unlink(path) < 0 ? -errno : 0;
}

static int posix_mkdir(struct io *io, const char *path) {
    (void)io;
    if (mkdir(path, DIR_MODE) == 0) return 0;
    if (errno != EEXIST) return -errno;
    struct stat info;
    if (stat(path, &info) < 0) return -errno;
    return S_ISDIR(info.st_mode) ? 0 : -ENOTDIR;
}

static int posix_sync_dir(struct io *io, const char *path) {
    (void)io;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return -errno;
    int result = 0;
    while (fsync(dir) < 0) {
        if (errno == EINTR) continue;
        result = -errno;
        break;
    }
    close(dir);
    return result;
}

struct names {
    char **items;
    size_t count;
    size_t room;
};

static int names_append(struct names *names, const char *name) {
    if (names->count == names->room) {
        size_t room = names->room ? names->room * 2 : 64;
        char **items = realloc(names->items, room * sizeof *items);
        if (!items) return -ENOMEM;
        names->items = items;
        names->room = room;
    }
    char *copy = strdup(name);
    if (!copy) return -ENOMEM;
    names->items[names->count++] = copy;
    return 0;
}

static int names_compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names_read(DIR *dir, struct names *names) {
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) return -errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        int result = names_append(names, entry->d_name);
        if (result < 0) return result;
    }
}

static int posix_list(struct io *io, const char *path, int (*each)(void *context, const char *name),
                      void *context) {
    (void)io;
    DIR *dir = opendir(path);
    if (!dir) return -errno;
    struct names names = {0};
    int result = names_read(dir, &names);
    closedir(dir);
    if (names.count > 0) qsort(names.items, names.count, sizeof *names.items, names_compare);
    for (size_t i = 0; i < names.count; i++) {
        if (result == 0) result = each(context, names.items[i]);
        free(names.items[i]);
    }
    free(names.items);
    return result;
}

/* Beyond the end of the file a mapping would end the process when touched. */
static int posix_map(struct io *io, io_file file, size_t bytes, void **memory_out) {
    int64_t size = posix_size(io, file);
    if (size < 0) return (int)size;
    if (bytes == 0 || bytes > (uint64_t)size) return -EINVAL;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) return -errno;
    *memory_out = memory;
    return 0;
}

static int posix_unmap(struct io *io, void *memory, size_t bytes) {
    (void)io;
    return munmap(memory, bytes) < 0 ? -errno : 0;
}

static int64_t clock_us(clockid_t clock) {
    struct timespec now;
    int result = clock_gettime(clock, &now);
    FST_ASSERT(result == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t posix_now_us(struct io *io) {
    (void)io;
    return clock_us(CLOCK_REALTIME);
}

static int64_t posix_monotonic_us(struct io *io) {
    (void)io;
    return clock_us(CLOCK_MONOTONIC);
}

static void posix_random(struct io *io, void *data, size_t bytes) {
    (void)io;
    uint8_t *at = data;
    while (bytes > 0) {
        ssize_t got = getrandom(at, bytes, 0);
        if (got < 0 && errno == EINTR) continue;
        FST_ASSERT(got > 0);
        at += got;
        bytes -= (size_t)got;
    }
}

static void posix_sleep_us(struct io *io, int64_t us) {
    (void)io;
    if (us <= 0) return;
    struct timespec left = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) continue;
}

static const struct io_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .pread = posix_pread,
    .pwrite = posix_pwrite,
    .sync = posix_sync,
    .size = posix_size,
    .resize = posix_resize,
    .reserve = posix_reserve,
    .taken = posix_taken,
    .room = posix_room,
    .lock = posix_lock,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .mkdir = posix_mkdir,
    .sync_dir = posix_sync_dir,
    .list = posix_list,
    .map = posix_map,
    .unmap = posix_unmap,
    .now_us = posix_now_us,
    .monotonic_us = posix_monotonic_us,
    .random = posix_random,
    .sleep_us = posix_sleep_us,
};

struct io *io_posix(void) {
    static struct io posix = {.ops = &posix_ops};
    return &posix;
}
