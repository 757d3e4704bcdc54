/*
 * io: the one door to disk, network, clock and randomness.
 *
 * Two interfaces, each a struct of functions. `struct io` is blocking: files, clock, random bytes;
 * it is used at start, by background threads and by tools. `struct io_ring` is asynchronous:
 * sockets and log writes of one shard; requests are queued, io_ring_wait() submits them and hands
 * out completions in an array. Backends: io_posix.c and io_sim.c for the first; net/ring_uring.c
 * and net/ring_epoll.c for the second. The simulation is deterministic: the same seed and the same
 * calls give the same run; its clock moves only when the test moves it.
 *
 * Errors are negative errno values here, as the kernel gives them; callers turn them into statuses
 * with fst_status_from_errno().
 *
 * Threads: `struct io` may be used by any thread. A ring belongs to one thread; only io_ring_wake()
 *          may be called by others.
 * Memory:  files and mappings are closed by the caller. Buffers given to a ring are borrowed until
 *          their completion; data of a receive is borrowed until the next io_ring_wait().
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fstore/status.h"

enum { IO_BLOCK_BYTES = 4096, IO_NAME_BYTES = 256 };

/* An open file; the number means something to its backend only. -1 is no file. */
typedef int io_file;

enum io_open_flag {
    IO_OPEN_WRITE = 1,     /* read and write; without it read only */
    IO_OPEN_CREATE = 2,    /* make it if it is not there */
    IO_OPEN_EXCLUSIVE = 4, /* with CREATE: -EEXIST if it is there */
    IO_OPEN_DIRECT = 8,    /* O_DIRECT; falls back to buffered where the file system has none */
    IO_OPEN_DSYNC = 16,    /* every write is durable when it returns */
};

struct io;

struct io_ops {
    int (*open)(struct io *io, const char *path, int flags, io_file *file_out);
    int (*close)(struct io *io, io_file file);
    /* Transfer at most `bytes`: less at the end of the file, or when the system likes. */
    int64_t (*pread)(struct io *io, io_file file, void *data, size_t bytes, uint64_t offset);
    int64_t (*pwrite)(struct io *io, io_file file, const void *data, size_t bytes, uint64_t offset);
    int (*sync)(struct io *io, io_file file);     /* fdatasync */
    int64_t (*size)(struct io *io, io_file file); /* bytes */
    int (*resize)(struct io *io, io_file file, uint64_t bytes);
    /* Gives these bytes of the file room of their own, so that writing them, through a mapping too,
     * cannot fail for want of it. -ENOSPC; -EOPNOTSUPP where the file system cannot. */
    int (*reserve)(struct io *io, io_file file, uint64_t offset, uint64_t bytes);
    int64_t (*taken)(struct io *io, io_file file); /* bytes of room the file has */
    int64_t (*room)(struct io *io,
                    const char *path);        /* bytes left in the file system of a folder */
    int (*lock)(struct io *io, io_file file); /* exclusive, not waiting: -EWOULDBLOCK if taken */
    int (*rename)(struct io *io, const char *from, const char *to);
    int (*unlink)(struct io *io, const char *path);
    int (*mkdir)(struct io *io, const char *path); /* a folder that is there already is success */
    int (*sync_dir)(struct io *io, const char *path);
    /* Calls `each` with every name in the folder, in byte order, until it returns non-zero, which
     * is then the answer. */
    int (*list)(struct io *io, const char *path, int (*each)(void *context, const char *name),
                void *context);
    /* Maps the first `bytes` of a file, shared and writable. -EINVAL beyond the end of the file. */
    int (*map)(struct io *io, io_file file, size_t bytes, void **memory_out);
    int (*unmap)(struct io *io, void *memory, size_t bytes);
    int64_t (*now_us)(struct io *io);       /* wall clock, since 1970 UTC */
    int64_t (*monotonic_us)(struct io *io); /* never goes back; only differences mean anything */
    void (*random)(struct io *io, void *data, size_t bytes); /* fit for secrets */
    void (*sleep_us)(struct io *io, int64_t us);
};

/* First member of every backend's own struct. */
struct io {
    const struct io_ops *ops;
};

/* The operating system. One static object; nothing to close. */
struct io *io_posix(void);

enum fst_status fst_status_from_errno(int error); /* takes errno or -errno */

/* Whole-buffer forms: short reads and writes are continued. 0 or -errno; a read that meets the
 * end of the file is -ENODATA. */
int io_read_full(struct io *io, io_file file, void *data, size_t bytes, uint64_t offset);
int io_write_full(struct io *io, io_file file, const void *data, size_t bytes, uint64_t offset);

/* Replaces the file at `path` as a whole and durably: temporary file, sync, rename, sync of `dir`.
 */
int io_replace(struct io *io, const char *dir, const char *path, const void *data, size_t bytes);

static inline int64_t io_now_us(struct io *io) {
    return io->ops->now_us(io);
}
static inline int64_t io_monotonic_us(struct io *io) {
    return io->ops->monotonic_us(io);
}

/* ---- asynchronous: one ring per shard ---- */

enum io_ring_event {
    IO_RING_ACCEPTED = 1, /* result: the new socket */
    IO_RING_RECEIVED,     /* result: bytes at `data`; 0: the peer closed */
    IO_RING_SENT,         /* result: bytes sent; at least 1 */
    IO_RING_WRITTEN,      /* result: 0: all bytes written and durable */
};

struct io_ring_completion {
    enum io_ring_event event;
    int32_t result; /* as above, or -errno; -ECANCELED after io_ring_cancel */
    uint64_t token; /* the caller's */
    const uint8_t *data;
    bool is_armed; /* accept, receive: more will come without asking again */
};

struct io_ring_options {
    uint32_t entries;              /* requests that may be queued between two waits */
    uint32_t receive_buffers;      /* a power of two */
    uint32_t receive_buffer_bytes; /* size of each */
};

struct io_ring_write {
    io_file file;
    const void *data;
    size_t bytes;
    uint64_t offset; /* data, bytes and offset fit the file: multiples of 4 KiB if it is DIRECT */
    bool is_dsync;   /* the file was opened with DSYNC: no sync is needed behind the write */
};

struct io_ring;

struct io_ring_ops {
    const char *name;                                                 /* "uring", "epoll" */
    int (*accept)(struct io_ring *ring, int socket, uint64_t token);  /* stays armed */
    int (*receive)(struct io_ring *ring, int socket, uint64_t token); /* stays armed */
    int (*send)(struct io_ring *ring, int socket, const void *data, size_t bytes, uint64_t token);
    /* Writes all of it and makes it durable. */
    int (*write)(struct io_ring *ring, const struct io_ring_write *write, uint64_t token);
    /* Ends accept and receive of this socket; their completion has is_armed false. */
    int (*cancel)(struct io_ring *ring, int socket, uint64_t token);
    /* Submits, then waits for a completion, a wake or the timeout (0: do not wait; negative: no
     * limit). Returns how many completions were stored. */
    int (*wait)(struct io_ring *ring, struct io_ring_completion *completions, uint32_t max,
                int64_t timeout_us);
    void (*wake)(struct io_ring *ring); /* any thread: makes the current or next wait return */
    void (*close)(struct io_ring *ring);
};

/* First member of every backend's own struct. */
struct io_ring {
    const struct io_ring_ops *ops;
};

#endif
