#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "net/ring.h"

enum {
    BUFFER_GROUP = 0,
    CQ_ENTRIES_MIN = 4096,
    CQ_ENTRIES_MAX = 1 << 16,
};

/* The low byte of a user_data: which request of an operation a completion is for. */
enum part {
    PART_MAIN,
    PART_SYNC,   /* the sync linked behind a write */
    PART_CANCEL, /* its answer is of no interest: the canceled request answers too */
    PART_WAKE,
};

enum operation_kind {
    OPERATION_FREE,
    OPERATION_ACCEPT,
    OPERATION_RECEIVE,
    OPERATION_SEND,
    OPERATION_WRITE,
};

struct operation {
    uint64_t token;
    const uint8_t *data;
    size_t bytes;
    uint64_t offset;
    uint32_t generation; /* counts uses of the slot */
    uint32_t next;       /* in the free list or the waiting list: index + 1 */
    int fd;
    int32_t failure; /* of a write: the first error, as -errno */
    uint8_t kind;
    uint8_t parts_pending; /* of a write: completions still to come */
    bool is_dsync;
    bool is_canceled;
    bool is_waiting; /* in the waiting list, to be given to the kernel at the next wait */
};

enum wake_state { WAKE_AWAKE, WAKE_SLEEPING, WAKE_WOKEN };

struct uring {
    struct io_ring base;
    struct io_uring ring;
    bool is_enabled; /* by the first wait, whose thread the kernel then takes as the only one */
    bool is_wake_armed;
    int wake_fd;
    uint64_t wake_count; /* read from wake_fd; of no interest */
    _Atomic int wake_state;
    struct operation *operations;
    uint32_t free_first;    /* index + 1 */
    uint32_t fresh_index;   /* slots from here on were never used */
    uint32_t waiting_first; /* index + 1 */
    uint32_t *armed;        /* by descriptor: the operation of its accept or receive, index + 1 */
    struct io_uring_buf_ring *buffer_ring;
    uint8_t *buffers;
    uint16_t *lent; /* buffers handed out by the last wait */
    uint32_t lent_count;
    uint32_t buffers_count;
    uint32_t buffer_bytes;
};

static struct uring *uring_of(struct io_ring *ring) {
    return (struct uring *)(void *)ring;
}

/* ---- requests to the kernel ---- */

static uint64_t user_data_of(const struct uring *uring, const struct operation *operation,
                             enum part part) {
    uint64_t index = (uint64_t)(operation - uring->operations);
    return (uint64_t)operation->generation << 32 | index << 8 | (uint64_t)part;
}

/* A queue entry with at least `count` - 1 more behind it, or NULL. */
static struct io_uring_sqe *sqe_get(struct uring *uring, uint32_t count) {
    if (io_uring_sq_space_left(&uring->ring) < count && uring->is_enabled) {
        (void)io_uring_submit(&uring->ring); /* A failure shows as no room, below. */
    }
    if (io_uring_sq_space_left(&uring->ring) < count) return NULL;
    return io_uring_get_sqe(&uring->ring);
}

static bool accept_arm(struct uring *uring, const struct operation *operation) {
    struct io_uring_sqe *sqe = sqe_get(uring, 1);
    if (sqe == NULL) return false;
    io_uring_prep_multishot_accept(sqe, operation->fd, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = user_data_of(uring, operation, PART_MAIN);
    return true;
}

static bool receive_arm(struct uring *uring, const struct operation *operation) {
    struct io_uring_sqe *sqe = sqe_get(uring, 1);
    if (sqe == NULL) return false;
    io_uring_prep_recv_multishot(sqe, operation->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    sqe->user_data = user_data_of(uring, operation, PART_MAIN);
    return true;
}

static bool write_arm(struct uring *uring, struct operation *operation) {
    uint32_t parts = operation->is_dsync ? 1 : 2;
    struct io_uring_sqe *sqe = sqe_get(uring, parts);
    if (sqe == NULL) return false;
    FST_ASSERT(operation->bytes <= UINT32_MAX);
    io_uring_prep_write(sqe, operation->fd, operation->data, (unsigned)operation->bytes,
                        operation->offset);
    sqe->user_data = user_data_of(uring, operation, PART_MAIN);
    operation->parts_pending = (uint8_t)parts;
    if (operation->is_dsync) return true;

    sqe->flags |= IOSQE_IO_LINK;
    sqe = io_uring_get_sqe(&uring->ring);
    io_uring_prep_fsync(sqe, operation->fd, IORING_FSYNC_DATASYNC);
    sqe->user_data = user_data_of(uring, operation, PART_SYNC);
    return true;
}

static bool operation_arm(struct uring *uring, struct operation *operation) {
    switch ((enum operation_kind)operation->kind) {
    case OPERATION_ACCEPT:
        return accept_arm(uring, operation);
    case OPERATION_RECEIVE:
        return receive_arm(uring, operation);
    case OPERATION_WRITE:
        return write_arm(uring, operation);
    case OPERATION_SEND:
    case OPERATION_FREE:
        break;
    }
    FST_ASSERT(false);
    return false;
}

static void wake_arm(struct uring *uring) {
    if (uring->is_wake_armed) return;
    struct io_uring_sqe *sqe = sqe_get(uring, 1);
    if (sqe == NULL) return; /* Tried again at the next wait; it does not sleep until then. */
    io_uring_prep_read(sqe, uring->wake_fd, &uring->wake_count, sizeof uring->wake_count, 0);
    sqe->user_data = PART_WAKE;
    uring->is_wake_armed = true;
}

/* ---- the table of operations ---- */

static struct operation *operation_get(struct uring *uring, enum operation_kind kind, int fd,
                                       uint64_t token) {
    uint32_t index = 0;
    if (uring->free_first != 0) {
        index = uring->free_first - 1;
        uring->free_first = uring->operations[index].next;
    } else if (uring->fresh_index < RING_OPERATIONS_MAX) {
        index = uring->fresh_index;
        uring->fresh_index += 1;
    } else {
        return NULL;
    }
    struct operation *operation = &uring->operations[index];
    *operation = (struct operation){
        .token = token, .generation = operation->generation + 1, .fd = fd, .kind = (uint8_t)kind};
    return operation;
}

static void operation_put(struct uring *uring, struct operation *operation) {
    FST_ASSERT(operation->kind != OPERATION_FREE);
    if (operation->kind == OPERATION_ACCEPT || operation->kind == OPERATION_RECEIVE) {
        uring->armed[operation->fd] = 0;
    }
    operation->kind = OPERATION_FREE;
    operation->next = uring->free_first;
    uring->free_first = (uint32_t)(operation - uring->operations) + 1;
}

/* The operation goes to the kernel again at the next wait, when buffers have been given back. */
static void operation_defer(struct uring *uring, struct operation *operation) {
    operation->is_waiting = true;
    operation->next = uring->waiting_first;
    uring->waiting_first = (uint32_t)(operation - uring->operations) + 1;
}

/* ---- completions ---- */

static enum io_ring_event event_of(const struct operation *operation) {
    switch ((enum operation_kind)operation->kind) {
    case OPERATION_ACCEPT:
        return IO_RING_ACCEPTED;
    case OPERATION_RECEIVE:
        return IO_RING_RECEIVED;
    case OPERATION_SEND:
        return IO_RING_SENT;
    case OPERATION_WRITE:
    case OPERATION_FREE:
        break;
    }
    return IO_RING_WRITTEN;
}

/* Stores the last completion of an operation. */
static uint32_t operation_finish(struct uring *uring, struct operation *operation, int32_t result,
                                 struct io_ring_completion *out) {
    *out = (struct io_ring_completion){
        .event = event_of(operation), .result = result, .token = operation->token};
    operation_put(uring, operation);
    return 1;
}

/* Failures of one connection, or of one attempt, that say nothing about the next. */
static bool is_passing(const struct operation *operation, int32_t result) {
    if (operation->kind == OPERATION_RECEIVE) return result == -ENOBUFS || result == -EINTR;
    return result == -ECONNABORTED || result == -EINTR || result == -EPROTO || result == -EPERM;
}

/* Accept and receive; each of the takes below returns how many completions it stored: 0 or 1. */
static uint32_t take_multishot(struct uring *uring, struct operation *operation,
                               const struct io_uring_cqe *cqe, struct io_ring_completion *out) {
    bool is_over = (cqe->flags & IORING_CQE_F_MORE) == 0;
    const uint8_t *data = NULL;
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        uint16_t buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        FST_ASSERT(uring->lent_count < uring->buffers_count);
        uring->lent[uring->lent_count] = buffer;
        uring->lent_count += 1;
        data = uring->buffers + (size_t)buffer * uring->buffer_bytes;
    }
    if (cqe->res < 0 || (cqe->res == 0 && operation->kind == OPERATION_RECEIVE)) {
        FST_ASSERT(is_over);
        if (!is_passing(operation, cqe->res)) {
            return operation_finish(uring, operation, cqe->res, out);
        }
        operation_defer(uring, operation);
        return 0;
    }
    bool is_last = is_over && operation->is_canceled;
    *out = (struct io_ring_completion){.event = event_of(operation),
                                       .result = cqe->res,
                                       .token = operation->token,
                                       .data = data,
                                       .is_armed = !is_last};
    if (is_last) operation_put(uring, operation);
    if (is_over && !is_last) operation_defer(uring, operation);
    return 1;
}

/* A short write breaks the link, so that its sync answers -ECANCELED: the rest goes out as a pair
 * of its own. */
static uint32_t take_write(struct uring *uring, struct operation *operation, enum part part,
                           int32_t result, struct io_ring_completion *out) {
    operation->parts_pending -= 1;
    bool is_again = result == -EINTR || result == -EAGAIN;
    if (part == PART_MAIN && result > 0) {
        FST_ASSERT((size_t)result <= operation->bytes);
        operation->data += result;
        operation->bytes -= (size_t)result;
        operation->offset += (uint64_t)result;
    } else if (part == PART_MAIN && !is_again) {
        operation->failure = result == 0 ? -EIO : result;
    } else if (part == PART_SYNC && result < 0 && operation->bytes == 0) {
        operation->failure = result;
    }
    if (operation->parts_pending > 0) return 0;
    if (operation->failure != 0 || operation->bytes == 0) {
        return operation_finish(uring, operation, operation->failure, out);
    }
    operation_defer(uring, operation);
    return 0;
}

static uint32_t take(struct uring *uring, const struct io_uring_cqe *cqe,
                     struct io_ring_completion *out) {
    enum part part = (enum part)(cqe->user_data & 0xff);
    if (part == PART_CANCEL) return 0;
    if (part == PART_WAKE) {
        uring->is_wake_armed = false;
        return 0;
    }
    struct operation *operation = &uring->operations[(cqe->user_data >> 8) & 0xffffff];
    FST_ASSERT(operation->generation == (uint32_t)(cqe->user_data >> 32));
    switch ((enum operation_kind)operation->kind) {
    case OPERATION_ACCEPT:
    case OPERATION_RECEIVE:
        return take_multishot(uring, operation, cqe, out);
    case OPERATION_SEND:
        return operation_finish(uring, operation, cqe->res, out);
    case OPERATION_WRITE:
        return take_write(uring, operation, part, cqe->res, out);
    case OPERATION_FREE:
        break;
    }
    FST_ASSERT(false);
    return 0;
}

/* ---- wait ---- */

static void buffers_put_back(struct uring *uring) {
    if (uring->lent_count == 0) return;
    int mask = io_uring_buf_ring_mask(uring->buffers_count);
    for (uint32_t i = 0; i < uring->lent_count; i++) {
        uint16_t buffer = uring->lent[i];
        io_uring_buf_ring_add(uring->buffer_ring,
                              uring->buffers + (size_t)buffer * uring->buffer_bytes,
                              uring->buffer_bytes, buffer, mask, (int)i);
    }
    io_uring_buf_ring_advance(uring->buffer_ring, (int)uring->lent_count);
    uring->lent_count = 0;
}

/* Gives waiting operations to the kernel again; those canceled meanwhile are completed. */
static uint32_t waiting_arm(struct uring *uring, struct io_ring_completion *completions,
                            uint32_t max) {
    uint32_t stored = 0;
    uint32_t next = uring->waiting_first;
    uring->waiting_first = 0;
    while (next != 0) {
        struct operation *operation = &uring->operations[next - 1];
        next = operation->next;
        operation->is_waiting = false;
        if (operation->is_canceled && stored < max) {
            stored += operation_finish(uring, operation, -ECANCELED, &completions[stored]);
        } else if (operation->is_canceled || !operation_arm(uring, operation)) {
            operation_defer(uring, operation);
        }
    }
    return stored;
}

static int submit_and_wait(struct uring *uring, int64_t timeout_us) {
    if (timeout_us == 0) return io_uring_submit_and_get_events(&uring->ring);
    if (timeout_us < 0) return io_uring_submit_and_wait(&uring->ring, 1);
    struct __kernel_timespec timeout = {.tv_sec = timeout_us / 1000000,
                                        .tv_nsec = timeout_us % 1000000 * 1000};
    struct io_uring_cqe *cqe = NULL;
    return io_uring_submit_and_wait_timeout(&uring->ring, &cqe, 1, &timeout, NULL);
}

/* True if the wait may sleep: nothing is at hand, and nobody woke the ring since the last wait. */
static bool sleep_begin(struct uring *uring, uint32_t stored) {
    if (stored > 0 || io_uring_cq_ready(&uring->ring) > 0) return false;
    if (!uring->is_wake_armed || uring->waiting_first != 0) return false;
    int awake = WAKE_AWAKE;
    return atomic_compare_exchange_strong(&uring->wake_state, &awake, WAKE_SLEEPING);
}

static int enable(struct uring *uring) {
    if (uring->is_enabled) return 0;
    /* By number: liburing 2.3 declares io_uring_enable_rings but does not export it. */
    int error =
        io_uring_register((unsigned)uring->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    uring->is_enabled = error == 0;
    return error;
}

static int uring_wait(struct io_ring *ring, struct io_ring_completion *completions, uint32_t max,
                      int64_t timeout_us) {
    struct uring *uring = uring_of(ring);
    FST_ASSERT(max > 0);
    int error = enable(uring);
    if (error < 0) return error;

    buffers_put_back(uring);
    wake_arm(uring);
    uint32_t stored = waiting_arm(uring, completions, max);
    bool is_sleeping = timeout_us != 0 && sleep_begin(uring, stored);
    error = submit_and_wait(uring, is_sleeping ? timeout_us : 0);
    (void)atomic_exchange(&uring->wake_state, WAKE_AWAKE);
    if (error == -EBADR) return error; /* The kernel lost completions: no ring to go on with. */
    FST_ASSERT(error != -EFAULT && error != -EINVAL && error != -EEXIST && error != -EBADF);

    uint32_t seen = 0;
    uint32_t head = 0;
    struct io_uring_cqe *cqe = NULL;
    io_uring_for_each_cqe(&uring->ring, head, cqe) {
        if (stored == max) break;
        stored += take(uring, cqe, &completions[stored]);
        seen += 1;
    }
    io_uring_cq_advance(&uring->ring, seen);
    return (int)stored;
}

static void uring_wake(struct io_ring *ring) {
    struct uring *uring = uring_of(ring);
    if (atomic_exchange(&uring->wake_state, WAKE_WOKEN) != WAKE_SLEEPING) return;
    uint64_t one = 1;
    ssize_t written = write(uring->wake_fd, &one, sizeof one);
    (void)written; /* Full means that it is readable anyway. */
}

/* ---- requests ---- */

static int socket_arm(struct io_ring *ring, enum operation_kind kind, int socket, uint64_t token) {
    struct uring *uring = uring_of(ring);
    if (socket < 0 || socket >= RING_SOCKETS_MAX) return -EBADF;
    if (uring->armed[socket] != 0) return -EALREADY;
    struct operation *operation = operation_get(uring, kind, socket, token);
    if (operation == NULL) return -EAGAIN;
    if (!operation_arm(uring, operation)) {
        operation_put(uring, operation);
        return -EAGAIN;
    }
    uring->armed[socket] = (uint32_t)(operation - uring->operations) + 1;
    return 0;
}

static int uring_accept(struct io_ring *ring, int socket, uint64_t token) {
    return socket_arm(ring, OPERATION_ACCEPT, socket, token);
}

static int uring_receive(struct io_ring *ring, int socket, uint64_t token) {
    return socket_arm(ring, OPERATION_RECEIVE, socket, token);
}

static int uring_send(struct io_ring *ring, int socket, const void *data, size_t bytes,
                      uint64_t token) {
    struct uring *uring = uring_of(ring);
    FST_ASSERT(bytes > 0 && bytes <= INT32_MAX);
    struct operation *operation = operation_get(uring, OPERATION_SEND, socket, token);
    if (operation == NULL) return -EAGAIN;
    struct io_uring_sqe *sqe = sqe_get(uring, 1);
    if (sqe == NULL) {
        operation_put(uring, operation);
        return -EAGAIN;
    }
    io_uring_prep_send(sqe, socket, data, bytes, MSG_WAITALL | MSG_NOSIGNAL);
    sqe->user_data = user_data_of(uring, operation, PART_MAIN);
    return 0;
}

static int uring_write(struct io_ring *ring, const struct io_ring_write *write, uint64_t token) {
    struct uring *uring = uring_of(ring);
    FST_ASSERT(write->bytes > 0 && write->bytes <= INT32_MAX);
    struct operation *operation = operation_get(uring, OPERATION_WRITE, write->file, token);
    if (operation == NULL) return -EAGAIN;
    operation->data = write->data;
    operation->bytes = write->bytes;
    operation->offset = write->offset;
    operation->is_dsync = write->is_dsync;
    if (!operation_arm(uring, operation)) {
        operation_put(uring, operation);
        return -EAGAIN;
    }
    return 0;
}

static int uring_cancel(struct io_ring *ring, int socket, uint64_t token) {
    (void)token;
    struct uring *uring = uring_of(ring);
    if (socket < 0 || socket >= RING_SOCKETS_MAX) return -EBADF;
    if (uring->armed[socket] == 0) return -ENOENT;
    struct operation *operation = &uring->operations[uring->armed[socket] - 1];
    if (operation->is_canceled) return 0;
    if (!operation->is_waiting) {
        struct io_uring_sqe *sqe = sqe_get(uring, 1);
        if (sqe == NULL) return -EAGAIN;
        io_uring_prep_cancel64(sqe, user_data_of(uring, operation, PART_MAIN), 0);
        sqe->user_data = PART_CANCEL;
    }
    operation->is_canceled = true;
    return 0;
}

/* ---- create and close ---- */

static void *pages_get(size_t bytes) {
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

static void pages_put(void *pages, size_t bytes) {
    if (pages != NULL) munmap(pages, bytes);
}

static size_t buffer_ring_bytes(const struct uring *uring) {
    return bytes_align(uring->buffers_count * sizeof(struct io_uring_buf), IO_BLOCK_BYTES);
}

static void tables_put(struct uring *uring) {
    pages_put(uring->operations, RING_OPERATIONS_MAX * sizeof *uring->operations);
    pages_put(uring->armed, RING_SOCKETS_MAX * sizeof *uring->armed);
    pages_put(uring->lent, uring->buffers_count * sizeof *uring->lent);
    pages_put(uring->buffer_ring, buffer_ring_bytes(uring));
    pages_put(uring->buffers, (size_t)uring->buffers_count * uring->buffer_bytes);
    if (uring->wake_fd >= 0) close(uring->wake_fd);
    free(uring);
}

static void uring_close(struct io_ring *ring) {
    struct uring *uring = uring_of(ring);
    io_uring_queue_exit(&uring->ring);
    tables_put(uring);
}

static const struct io_ring_ops uring_ops = {
    .name = "uring",
    .accept = uring_accept,
    .receive = uring_receive,
    .send = uring_send,
    .write = uring_write,
    .cancel = uring_cancel,
    .wait = uring_wait,
    .wake = uring_wake,
    .close = uring_close,
};

static struct uring *tables_get(const struct io_ring_options *options) {
    struct uring *uring = calloc(1, sizeof *uring);
    if (uring == NULL) return NULL;
    uring->base.ops = &uring_ops;
    uring->buffers_count = options->receive_buffers;
    uring->buffer_bytes = options->receive_buffer_bytes;
    uring->operations = pages_get(RING_OPERATIONS_MAX * sizeof *uring->operations);
    uring->armed = pages_get(RING_SOCKETS_MAX * sizeof *uring->armed);
    uring->lent = pages_get(uring->buffers_count * sizeof *uring->lent);
    uring->buffer_ring = pages_get(buffer_ring_bytes(uring));
    uring->buffers = pages_get((size_t)uring->buffers_count * uring->buffer_bytes);
    uring->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (uring->operations && uring->armed && uring->lent && uring->buffer_ring && uring->buffers &&
        uring->wake_fd >= 0) {
        return uring;
    }
    tables_put(uring);
    return NULL;
}

/* Room for all buffers, all sends and some surprises, so that the queue does not overflow. */
static uint32_t cq_entries_of(const struct io_ring_options *options) {
    uint32_t entries = 4 * options->entries + 2 * options->receive_buffers;
    if (entries < CQ_ENTRIES_MIN) entries = CQ_ENTRIES_MIN;
    return entries > CQ_ENTRIES_MAX ? CQ_ENTRIES_MAX : entries;
}

/* Newest kernel first: deferred task work needs 6.1, a single issuer 6.0. */
static int queue_init(struct uring *uring, const struct io_ring_options *options) {
    static const uint32_t flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_SUBMIT_ALL,
    };
    int error = -EINVAL;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && error == -EINVAL; i++) {
        struct io_uring_params params = {
            .flags = flags[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = cq_entries_of(options),
        };
        error = io_uring_queue_init_params(options->entries, &uring->ring, &params);
        if (error < 0) continue;
        if ((params.features & IORING_FEAT_EXT_ARG) && (params.features & IORING_FEAT_NODROP)) {
            return 0;
        }
        io_uring_queue_exit(&uring->ring);
        error = -ENOSYS;
    }
    return error;
}

/* Multishot receive cannot be asked for; it came with zero-copy send. */
static bool has_multishot_receive(struct uring *uring) {
    struct io_uring_probe *probe = io_uring_get_probe_ring(&uring->ring);
    if (probe == NULL) return false;
    bool has = io_uring_opcode_supported(probe, IORING_OP_SEND_ZC) != 0;
    io_uring_free_probe(probe);
    return has;
}

static int buffers_register(struct uring *uring) {
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)uring->buffer_ring,
        .ring_entries = uring->buffers_count,
        .bgid = BUFFER_GROUP,
    };
    int error = io_uring_register_buf_ring(&uring->ring, &registration, 0);
    if (error < 0) return error;
    io_uring_buf_ring_init(uring->buffer_ring);
    for (uint32_t i = 0; i < uring->buffers_count; i++) uring->lent[i] = (uint16_t)i;
    uring->lent_count = uring->buffers_count;
    buffers_put_back(uring);
    return 0;
}

enum fst_status ring_uring_create(const struct io_ring_options *options, struct io_ring **ring_out,
                                  struct fst_error *error) {
    FST_TRY(ring_options_check(options, error));
    struct uring *uring = tables_get(options);
    if (uring == NULL) {
        return fst_error_set(error, FST_NO_MEMORY, "io_uring: no memory for the ring's tables");
    }
    int code = queue_init(uring, options);
    if (code < 0) goto put_tables;
    code = has_multishot_receive(uring) ? buffers_register(uring) : -ENOSYS;
    if (code < 0) goto exit_queue;
    *ring_out = &uring->base;
    return FST_OK;

exit_queue:
    io_uring_queue_exit(&uring->ring);
put_tables:
    tables_put(uring);
    if (code == -ENOMEM) {
        return fst_error_set(error, FST_NO_MEMORY, "io_uring: %s", strerror(ENOMEM));
    }
    return fst_error_set(error, FST_UNSUPPORTED,
                         "io_uring: expected Linux 6.0 or newer and permission, found: %s",
                         strerror(-code));
}
