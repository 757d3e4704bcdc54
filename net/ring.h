/*
 * ring: where a shard's asynchronous input and output comes from; the backends of struct io_ring.
 *
 * io_uring serves where the kernel allows it: multishot accept and receive into buffers that the
 * ring owns, one system call per tick. epoll serves elsewhere: the same interface over readiness,
 * with one helper thread that does the durable writes, so that the loop never waits for the disk.
 * Both pass the same conformance test.
 *
 * What both promise, beyond base/io.h:
 *   I1  A token comes back untouched; tokens need not differ.
 *   I2  Every request that was taken (answer 0) ends with exactly one completion that is not armed.
 *       Accept and receive may give armed ones before it.
 *   I3  Data of a receive is readable until the next wait, and its buffer is not reused before.
 *   I4  Bytes of one socket are handed out in order. When buffers run out, receives pause and go
 *       on by themselves once buffers are back.
 *   I5  At most one accept or receive is armed per socket (-EALREADY beyond), and one send is under
 *       way per socket.
 *   I6  `cancel` ends the accept or receive of the socket, whatever its token, with -ECANCELED or
 *       with the end it had already met; -ENOENT if none is armed. A send is ended by shutdown(2).
 *   I7  A wake that happens between two waits makes the later one return at once; many wakes may
 *       become one. wait answers 0 for a wake, a timeout and a signal.
 *   I8  A write answers 0 only when all its bytes are durable. Short writes are continued inside.
 *
 * Accept ends, with its errno, when the process or the machine has no descriptor or memory left
 * (-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM); the caller asks again later. Passing failures of single
 * connections are hidden.
 *
 * Requests beyond what the tables hold are answered -EAGAIN; nothing was taken then. Before the
 * first wait that is after `entries` requests.
 *
 * Sockets are in blocking mode, except that epoll makes listening ones non-blocking. A wait
 * answers a negative errno only when the ring is of no use any more.
 *
 * Threads: a ring belongs to the thread that first waits; it may be created by another one. wake
 *          may be called by any thread, until close.
 * Memory:  settled at create; nothing is allocated afterwards. The ring owns receive buffers.
 */
#ifndef NET_RING_H
#define NET_RING_H

#include "base/io.h"
#include "fstore/status.h"

enum ring_kind {
    RING_AUTO, /* io_uring, or epoll where io_uring is forbidden or too old */
    RING_URING,
    RING_EPOLL,
};

enum {
    RING_OPERATIONS_MAX = 1 << 16,      /* requests under way at once, of all sockets and files */
    RING_SOCKETS_MAX = 1 << 20,         /* descriptors must be below this */
    RING_RECEIVE_BUFFERS_MAX = 1 << 15, /* the kernel's limit for one ring of buffers */
};

/* Creates a ring of the kind, and logs one line that says which it is; with RING_AUTO also why it
 * is not io_uring. UNSUPPORTED if the kernel refuses the kind, NO_MEMORY, INVALID for options out
 * of range. Closed with ring->ops->close. */
FST_MUST_USE enum fst_status ring_create(enum ring_kind kind, const struct io_ring_options *options,
                                         struct io_ring **ring_out, struct fst_error *error);

FST_MUST_USE enum fst_status ring_uring_create(const struct io_ring_options *options,
                                               struct io_ring **ring_out, struct fst_error *error);
FST_MUST_USE enum fst_status ring_epoll_create(const struct io_ring_options *options,
                                               struct io_ring **ring_out, struct fst_error *error);

/* INVALID, with the limit in the text, when a ring cannot be made from these options. */
FST_MUST_USE enum fst_status ring_options_check(const struct io_ring_options *options,
                                                struct fst_error *error);

#endif
