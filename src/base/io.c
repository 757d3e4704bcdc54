#include "base/io.h"

#include <errno.h>
#include <stdio.h>

enum { PATH_BYTES = 4096 };

enum fst_status fst_status_from_errno(int error) {
    switch (error < 0 ? -error : error) {
    case 0:
        return FST_OK;
    case ENOENT:
        return FST_NOT_FOUND;
    case EEXIST:
        return FST_EXISTS;
    case EINVAL:
    case ENAMETOOLONG:
        return FST_INVALID;
    case EFBIG:
        return FST_TOO_LARGE;
    case ENOSPC:
    case EDQUOT:
        return FST_DISK_FULL;
    case ENOMEM:
        return FST_NO_MEMORY;
    case EWOULDBLOCK:
    case EBUSY:
        return FST_BUSY;
    case ETIMEDOUT:
        return FST_TIMEOUT;
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
    case ECONNREFUSED:
    case ENOTCONN:
        return FST_CLOSED;
    case ENOSYS:
    case EOPNOTSUPP:
        return FST_UNSUPPORTED;
    case ENODATA:
        return FST_CORRUPT; /* A file ends before its contents do. */
    default:
        return FST_IO_ERROR;
    }
}

int io_read_full(struct io *io, io_file file, void *data, size_t bytes, uint64_t offset) {
    uint8_t *at = data;
    for (size_t done = 0; done < bytes;) {
        int64_t result = io->ops->pread(io, file, at + done, bytes - done, offset + done);
        if (result < 0) return (int)result;
        if (result == 0) return -ENODATA;
        done += (size_t)result;
    }
    return 0;
}

/* A write that takes nothing and reports nothing would loop for ever: it counts as an error. */
int io_write_full(struct io *io, io_file file, const void *data, size_t bytes, uint64_t offset) {
    const uint8_t *at = data;
    for (size_t done = 0; done < bytes;) {
        int64_t result = io->ops->pwrite(io, file, at + done, bytes - done, offset + done);
        if (result < 0) return (int)result;
        if (result == 0) return -EIO;
        done += (size_t)result;
    }
    return 0;
}

/* The whole contents of a new file, durable. */
static int file_fill(struct io *io, const char *path, const void *data, size_t bytes) {
    io_file file;
    int result = io->ops->open(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &file);
    if (result < 0) return result;
    result = io->ops->resize(io, file, 0); /* What an interrupted attempt left. */
    if (result == 0) result = io_write_full(io, file, data, bytes, 0);
    if (result == 0) result = io->ops->sync(io, file);
    int closed = io->ops->close(io, file);
    return result < 0 ? result : closed;
}

int io_replace(struct io *io, const char *dir, const char *path, const void *data, size_t bytes) {
    char temporary[PATH_BYTES];
    int length = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof temporary) return -ENAMETOOLONG;

    int result = file_fill(io, temporary, data, bytes);
    if (result == 0) result = io->ops->rename(io, temporary, path);
    if (result < 0) {
        io->ops->unlink(io, temporary);
        return result;
    }
    return io->ops->sync_dir(io, dir);
}
