#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/file_writer.h"
#include "net/ring.h"

enum { EVENTS_MAX = 512 };

enum armed_kind { ARMED_NONE, ARMED_ACCEPT, ARMED_RECEIVE };

/* What is asked of one descriptor. */
struct endpoint {
    uint64_t armed_token; /* also of a canceled request, until it is told */
    uint64_t send_token;
    const uint8_t *send_data;
    size_t send_bytes;
    int32_t send_result; /* when is_send_done */
    uint32_t done_next;  /* descriptor + 1 */
    uint32_t events;     /* registered with epoll; 0: not registered */
    uint8_t armed;       /* enum armed_kind */
    bool is_canceled;    /* `armed` will end with -ECANCELED */
    bool is_sending;
    bool is_send_done;
    bool is_done_listed;
};

enum wake_state { WAKE_AWAKE, WAKE_SLEEPING, WAKE_WOKEN };

struct epoll {
    struct io_ring base;
    int epoll_fd;
    int wake_fd;
    bool has_pwait2; /* waits in microseconds rather than milliseconds */
    _Atomic int wake_state;
    struct endpoint *endpoints; /* by descriptor */
    uint32_t done_first;        /* endpoints with completions to tell: descriptor + 1 */
    uint32_t done_last;
    uint8_t *buffers;
    uint32_t *free_buffers; /* a stack; the last one used is the warmest */
    uint32_t free_count;
    uint32_t *lent; /* handed out by the last wait */
    uint32_t lent_count;
    uint32_t buffers_count;
    uint32_t buffer_bytes;
    struct file_writer writer;
    struct epoll_event events[EVENTS_MAX];
};

/* The completions of one wait. */
struct batch {
    struct io_ring_completion *completions;
    uint32_t count;
    uint32_t max;
};

static struct epoll *epoll_of(struct io_ring *ring) {
    return (struct epoll *)(void *)ring;
}

static void batch_append(struct batch *batch, const struct io_ring_completion *completion) {
    FST_ASSERT(batch->count < batch->max);
    batch->completions[batch->count] = *completion;
    batch->count += 1;
}

static bool batch_is_full(const struct batch *batch) {
    return batch->count == batch->max;
}

/* ---- writes ---- */

static void wake(struct epoll *epoll) {
    if (atomic_exchange(&epoll->wake_state, WAKE_WOKEN) != WAKE_SLEEPING) return;
    uint64_t one = 1;
    ssize_t written = write(epoll->wake_fd, &one, sizeof one);
    (void)written; /* Full means that it is readable anyway. */
}

static void writer_notify(void *context) {
    wake(context);
}

/* Tells the writes that are finished; those that find no room wait for the next time. */
static void writes_take(struct epoll *epoll, struct batch *batch) {
    batch->count += file_writer_take(&epoll->writer, batch->completions + batch->count,
                                     batch->max - batch->count);
}

static int epoll_write(struct io_ring *ring, const struct io_ring_write *write, uint64_t token) {
    return file_writer_put(&epoll_of(ring)->writer, write, token) ? 0 : -EAGAIN;
}

/* ---- endpoints ---- */

static int socket_of(const struct epoll *epoll, const struct endpoint *endpoint) {
    return (int)(endpoint - epoll->endpoints);
}

/* Registers what the endpoint waits for. A descriptor that waits for nothing is not registered,
 * since epoll would report its hang-up for ever. */
static int events_put(struct epoll *epoll, struct endpoint *endpoint) {
    uint32_t events = 0;
    if (endpoint->armed != ARMED_NONE && !endpoint->is_canceled) events |= EPOLLIN;
    if (endpoint->is_sending && !endpoint->is_send_done) events |= EPOLLOUT;
    if (events == endpoint->events) return 0;
    int operation = EPOLL_CTL_MOD;
    if (endpoint->events == 0) operation = EPOLL_CTL_ADD;
    if (events == 0) operation = EPOLL_CTL_DEL;
    int socket = socket_of(epoll, endpoint);
    struct epoll_event event = {.events = events, .data = {.fd = socket}};
    if (epoll_ctl(epoll->epoll_fd, operation, socket, &event) != 0) return -errno;
    endpoint->events = events;
    return 0;
}

static void done_append(struct epoll *epoll, struct endpoint *endpoint) {
    if (endpoint->is_done_listed) return;
    uint32_t link = (uint32_t)socket_of(epoll, endpoint) + 1;
    endpoint->is_done_listed = true;
    endpoint->done_next = 0;
    if (epoll->done_first == 0) {
        epoll->done_first = link;
    } else {
        epoll->endpoints[epoll->done_last - 1].done_next = link;
    }
    epoll->done_last = link;
}

static void armed_finish(struct epoll *epoll, struct endpoint *endpoint, int32_t result,
                         struct batch *batch) {
    bool is_accept = endpoint->armed == ARMED_ACCEPT;
    batch_append(batch, &(struct io_ring_completion){.event = is_accept ? IO_RING_ACCEPTED
                                                                        : IO_RING_RECEIVED,
                                                     .result = result,
                                                     .token = endpoint->armed_token});
    endpoint->armed = ARMED_NONE;
    endpoint->is_canceled = false;
    (void)events_put(epoll, endpoint);
}

static void send_finish(struct epoll *epoll, struct endpoint *endpoint, int32_t result,
                        struct batch *batch) {
    batch_append(batch, &(struct io_ring_completion){.event = IO_RING_SENT,
                                                     .result = result,
                                                     .token = endpoint->send_token});
    endpoint->is_sending = false;
    endpoint->is_send_done = false;
    (void)events_put(epoll, endpoint);
}

/* Tells sends that went out at once, and cancels. */
static void done_take(struct epoll *epoll, struct batch *batch) {
    while (epoll->done_first != 0 && !batch_is_full(batch)) {
        struct endpoint *endpoint = &epoll->endpoints[epoll->done_first - 1];
        if (endpoint->is_send_done) send_finish(epoll, endpoint, endpoint->send_result, batch);
        if (endpoint->is_canceled) {
            if (batch_is_full(batch)) return;
            armed_finish(epoll, endpoint, -ECANCELED, batch);
        }
        epoll->done_first = endpoint->done_next;
        endpoint->is_done_listed = false;
    }
}

static int socket_arm(struct io_ring *ring, enum armed_kind kind, int socket, uint64_t token) {
    struct epoll *epoll = epoll_of(ring);
    if (socket < 0 || socket >= RING_SOCKETS_MAX) return -EBADF;
    struct endpoint *endpoint = &epoll->endpoints[socket];
    if (endpoint->armed != ARMED_NONE) return -EALREADY;
    endpoint->armed = (uint8_t)kind;
    endpoint->armed_token = token;
    int error = events_put(epoll, endpoint);
    if (error < 0) endpoint->armed = ARMED_NONE;
    return error;
}

static int epoll_accept(struct io_ring *ring, int socket, uint64_t token) {
    int flags = fcntl(socket, F_GETFL);
    if (flags < 0 || fcntl(socket, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
    return socket_arm(ring, ARMED_ACCEPT, socket, token);
}

static int epoll_receive(struct io_ring *ring, int socket, uint64_t token) {
    return socket_arm(ring, ARMED_RECEIVE, socket, token);
}

/* Bytes sent, or -errno; -EAGAIN when there is no room. */
static int32_t send_try(int socket, const struct endpoint *endpoint) {
    ssize_t sent = 0;
    do {
        sent = send(socket, endpoint->send_data, endpoint->send_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : (int32_t)sent;
}

static int epoll_send(struct io_ring *ring, int socket, const void *data, size_t bytes,
                      uint64_t token) {
    struct epoll *epoll = epoll_of(ring);
    FST_ASSERT(bytes > 0 && bytes <= INT32_MAX);
    if (socket < 0 || socket >= RING_SOCKETS_MAX) return -EBADF;
    struct endpoint *endpoint = &epoll->endpoints[socket];
    FST_ASSERT(!endpoint->is_sending);
    endpoint->send_data = data;
    endpoint->send_bytes = bytes;
    endpoint->send_token = token;
    endpoint->is_sending = true;
    endpoint->send_result = send_try(socket, endpoint);
    if (endpoint->send_result == -EAGAIN) {
        int error = events_put(epoll, endpoint);
        if (error < 0) endpoint->is_sending = false;
        return error;
    }
    endpoint->is_send_done = true;
    done_append(epoll, endpoint);
    return 0;
}

static int epoll_cancel(struct io_ring *ring, int socket, uint64_t token) {
    (void)token;
    struct epoll *epoll = epoll_of(ring);
    if (socket < 0 || socket >= RING_SOCKETS_MAX) return -EBADF;
    struct endpoint *endpoint = &epoll->endpoints[socket];
    if (endpoint->armed == ARMED_NONE) return -ENOENT;
    if (endpoint->is_canceled) return 0;
    endpoint->is_canceled = true;
    (void)events_put(epoll, endpoint);
    done_append(epoll, endpoint);
    return 0;
}

/* ---- wait ---- */

static bool accept_is_passing(int error) {
    return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM;
}

static void accept_take(struct epoll *epoll, struct endpoint *endpoint, struct batch *batch) {
    while (!batch_is_full(batch)) {
        int fd = accept4(socket_of(epoll, endpoint), NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && accept_is_passing(errno)) continue;
        if (fd < 0 && errno == EAGAIN) return;
        if (fd < 0) {
            armed_finish(epoll, endpoint, -errno, batch);
            return;
        }
        batch_append(batch, &(struct io_ring_completion){.event = IO_RING_ACCEPTED,
                                                         .result = fd,
                                                         .token = endpoint->armed_token,
                                                         .is_armed = true});
    }
}

static void receive_take(struct epoll *epoll, struct endpoint *endpoint, struct batch *batch) {
    if (epoll->free_count == 0) return; /* epoll reports it again, when buffers are back. */
    uint32_t buffer = epoll->free_buffers[epoll->free_count - 1];
    uint8_t *data = epoll->buffers + (size_t)buffer * epoll->buffer_bytes;
    ssize_t received = recv(socket_of(epoll, endpoint), data, epoll->buffer_bytes, MSG_DONTWAIT);
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (received <= 0) {
        armed_finish(epoll, endpoint, received < 0 ? -errno : 0, batch);
        return;
    }
    epoll->free_count -= 1;
    epoll->lent[epoll->lent_count] = buffer;
    epoll->lent_count += 1;
    batch_append(batch, &(struct io_ring_completion){.event = IO_RING_RECEIVED,
                                                     .result = (int32_t)received,
                                                     .token = endpoint->armed_token,
                                                     .data = data,
                                                     .is_armed = true});
}

static void event_take(struct epoll *epoll, const struct epoll_event *event, struct batch *batch) {
    if (event->data.fd == epoll->wake_fd) {
        uint64_t count = 0;
        ssize_t bytes = read(epoll->wake_fd, &count, sizeof count);
        (void)bytes; /* Nothing to read means that there is nothing to reset. */
        return;
    }
    struct endpoint *endpoint = &epoll->endpoints[event->data.fd];
    uint32_t broken = EPOLLHUP | EPOLLERR;
    if ((event->events & (EPOLLOUT | broken)) && endpoint->is_sending && !batch_is_full(batch)) {
        int32_t result = send_try(event->data.fd, endpoint);
        if (result != -EAGAIN) send_finish(epoll, endpoint, result, batch);
    }
    if ((event->events & (EPOLLIN | broken)) == 0 || batch_is_full(batch)) return;
    if (endpoint->armed == ARMED_ACCEPT) accept_take(epoll, endpoint, batch);
    if (endpoint->armed == ARMED_RECEIVE) receive_take(epoll, endpoint, batch);
}

static void buffers_put_back(struct epoll *epoll) {
    for (uint32_t i = 0; i < epoll->lent_count; i++) {
        epoll->free_buffers[epoll->free_count] = epoll->lent[i];
        epoll->free_count += 1;
    }
    epoll->lent_count = 0;
}

static int events_wait(struct epoll *epoll, int events_max, int64_t timeout_us) {
    if (epoll->has_pwait2 && timeout_us > 0) {
        struct timespec timeout = {.tv_sec = timeout_us / 1000000,
                                   .tv_nsec = timeout_us % 1000000 * 1000};
        int count = epoll_pwait2(epoll->epoll_fd, epoll->events, events_max, &timeout, NULL);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
        epoll->has_pwait2 = false;
    }
    int timeout_ms = -1;
    if (timeout_us >= 0 && timeout_us / 1000 < INT32_MAX)
        timeout_ms = (int)((timeout_us + 999) / 1000);
    return epoll_wait(epoll->epoll_fd, epoll->events, events_max, timeout_ms);
}

static bool sleep_begin(struct epoll *epoll, const struct batch *batch) {
    int awake = WAKE_AWAKE;
    return batch->count == 0 &&
           atomic_compare_exchange_strong(&epoll->wake_state, &awake, WAKE_SLEEPING);
}

static int ring_epoll_wait(struct io_ring *ring, struct io_ring_completion *completions,
                           uint32_t max, int64_t timeout_us) {
    struct epoll *epoll = epoll_of(ring);
    struct batch batch = {.completions = completions, .max = max};
    FST_ASSERT(max > 0);
    buffers_put_back(epoll);
    done_take(epoll, &batch);
    writes_take(epoll, &batch);
    bool is_sleeping = timeout_us != 0 && sleep_begin(epoll, &batch);

    int events_max = (int)(max < EVENTS_MAX ? max : EVENTS_MAX);
    int count = events_wait(epoll, events_max, is_sleeping ? timeout_us : 0);
    FST_ASSERT(count >= 0 || errno == EINTR);
    (void)atomic_exchange(&epoll->wake_state, WAKE_AWAKE);
    for (int i = 0; i < count; i++) event_take(epoll, &epoll->events[i], &batch);
    writes_take(epoll, &batch);
    return (int)batch.count;
}

static void epoll_wake(struct io_ring *ring) {
    wake(epoll_of(ring));
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

static void tables_put(struct epoll *epoll) {
    pages_put(epoll->endpoints, RING_SOCKETS_MAX * sizeof *epoll->endpoints);
    pages_put(epoll->buffers, (size_t)epoll->buffers_count * epoll->buffer_bytes);
    free(epoll->free_buffers);
    free(epoll->lent);
    if (epoll->epoll_fd >= 0) close(epoll->epoll_fd);
    if (epoll->wake_fd >= 0) close(epoll->wake_fd);
    free(epoll);
}

static void epoll_close(struct io_ring *ring) {
    struct epoll *epoll = epoll_of(ring);
    file_writer_deinit(&epoll->writer);
    tables_put(epoll);
}

static const struct io_ring_ops epoll_ops = {
    .name = "epoll",
    .accept = epoll_accept,
    .receive = epoll_receive,
    .send = epoll_send,
    .write = epoll_write,
    .cancel = epoll_cancel,
    .wait = ring_epoll_wait,
    .wake = epoll_wake,
    .close = epoll_close,
};

static struct epoll *tables_get(const struct io_ring_options *options) {
    struct epoll *epoll = calloc(1, sizeof *epoll);
    if (epoll == NULL) return NULL;
    epoll->base.ops = &epoll_ops;
    epoll->has_pwait2 = true;
    epoll->buffers_count = options->receive_buffers;
    epoll->buffer_bytes = options->receive_buffer_bytes;
    epoll->endpoints = pages_get(RING_SOCKETS_MAX * sizeof *epoll->endpoints);
    epoll->buffers = pages_get((size_t)epoll->buffers_count * epoll->buffer_bytes);
    epoll->free_buffers = calloc(epoll->buffers_count, sizeof *epoll->free_buffers);
    epoll->lent = calloc(epoll->buffers_count, sizeof *epoll->lent);
    epoll->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    epoll->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = epoll->wake_fd}};
    if (epoll->endpoints && epoll->buffers && epoll->free_buffers && epoll->lent &&
        epoll->epoll_fd >= 0 && epoll->wake_fd >= 0 &&
        epoll_ctl(epoll->epoll_fd, EPOLL_CTL_ADD, epoll->wake_fd, &event) == 0) {
        return epoll;
    }
    tables_put(epoll);
    return NULL;
}

enum fst_status ring_epoll_create(const struct io_ring_options *options, struct io_ring **ring_out,
                                  struct fst_error *error) {
    FST_TRY(ring_options_check(options, error));
    struct epoll *epoll = tables_get(options);
    if (epoll == NULL) {
        return fst_error_set(error, FST_NO_MEMORY, "epoll: %s", strerror(errno));
    }
    for (uint32_t i = 0; i < epoll->buffers_count; i++) {
        epoll->free_buffers[i] = epoll->buffers_count - 1 - i;
    }
    epoll->free_count = epoll->buffers_count;
    if (file_writer_init(&epoll->writer, writer_notify, epoll) != FST_OK) {
        tables_put(epoll);
        return fst_error_set(error, FST_NO_MEMORY, "epoll: no thread for writes");
    }
    *ring_out = &epoll->base;
    return FST_OK;
}
