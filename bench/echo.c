/*
 * fsecho: the floor that a server over TCP is measured against.
 *
 * It answers every request frame with a frame of fixed size and the same request id, and does
 * nothing else: no keys, no tables. What it reaches is what the kernel, the wire format and one
 * processor allow, so a ratio to it says how much a real server adds. It uses io_uring the way a
 * tight server would: multishot receive into provided buffers, one send per connection and turn
 * that carries all replies due, completions in batches, deferred task work. It calls liburing
 * itself, because going through the project's own ring would measure that too.
 *
 *     fsecho --port 7777 --request-bytes 52 --reply-bytes 472 --cpu 0
 *
 * Replies lie ready in a row per connection, as a server's output does; only their headers are
 * written anew. (Letting all replies of 44 KB share one payload in the cache more than doubles the
 * figure, which is no floor for a server that has something to say.)
 *
 * Threads: one. Memory: settled at start, but for a connection's row of replies.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"

enum {
    HEADER_BYTES = 16,
    FRAME_BYTES_MAX = 16 << 20,
    CONNECTIONS_MAX = 1024,
    REPLIES_MAX = 64, /* requests in flight per connection */
    RING_ENTRIES = 4096,
    BUFFERS_COUNT = 1024, /* a power of two */
    BUFFER_BYTES = 16 << 10,
    BUFFERS_GROUP = 0,
    FLAG_REPLY = 1,
    BIND_TRIES = 100,
    BIND_GAP_US = 20000,
};

enum event { EVENT_ACCEPT = 1, EVENT_RECEIVE, EVENT_SEND };

struct connection {
    int socket;
    uint32_t head_bytes; /* of the request that is not whole yet */
    uint8_t head[HEADER_BYTES];
    uint32_t due_count; /* replies not yet handed to a send */
    uint32_t due_ids[REPLIES_MAX];
    uint8_t *row;                    /* headers and payloads, or headers only */
    uint32_t sent_bytes, send_bytes; /* of the send in flight; 0: none */
    bool is_listed;                  /* in the list of connections with something due */
    bool is_open;
};

struct echo {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers_ring;
    uint8_t *buffers;
    int listener;
    uint32_t request_bytes, reply_bytes;
    struct connection *connections[CONNECTIONS_MAX];
    struct connection *listed[CONNECTIONS_MAX];
    uint32_t listed_count;
};

static void fail(const char *what, int error) {
    fprintf(stderr, "fsecho: %s: %s\n", what, strerror(error < 0 ? -error : error));
    exit(1);
}

static struct io_uring_sqe *sqe_get(struct echo *echo, enum event event, uint32_t index) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&echo->ring);
    if (!sqe) {
        io_uring_submit(&echo->ring);
        sqe = io_uring_get_sqe(&echo->ring);
        FST_ASSERT(sqe != NULL);
    }
    sqe->user_data = (uint64_t)event << 32 | index;
    return sqe;
}

static void accept_arm(struct echo *echo) {
    struct io_uring_sqe *sqe = sqe_get(echo, EVENT_ACCEPT, 0);
    uint64_t token = sqe->user_data;
    io_uring_prep_multishot_accept(sqe, echo->listener, NULL, NULL, 0);
    sqe->user_data = token;
}

static void receive_arm(struct echo *echo, uint32_t index) {
    struct io_uring_sqe *sqe = sqe_get(echo, EVENT_RECEIVE, index);
    uint64_t token = sqe->user_data;
    io_uring_prep_recv_multishot(sqe, echo->connections[index]->socket, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFERS_GROUP;
    sqe->user_data = token;
}

static void buffers_open(struct echo *echo) {
    size_t ring_bytes = BUFFERS_COUNT * sizeof(struct io_uring_buf);
    size_t bytes = (size_t)BUFFERS_COUNT * BUFFER_BYTES;
    echo->buffers_ring = mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    echo->buffers = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (echo->buffers_ring == MAP_FAILED || echo->buffers == MAP_FAILED) fail("mmap", errno);
    struct io_uring_buf_reg registration = {.ring_addr = (uint64_t)(uintptr_t)echo->buffers_ring,
                                            .ring_entries = BUFFERS_COUNT,
                                            .bgid = BUFFERS_GROUP};
    int result = io_uring_register_buf_ring(&echo->ring, &registration, 0);
    if (result < 0) fail("register_buf_ring", result);
    io_uring_buf_ring_init(echo->buffers_ring);
    for (unsigned i = 0; i < BUFFERS_COUNT; i++)
        io_uring_buf_ring_add(echo->buffers_ring, echo->buffers + (size_t)i * BUFFER_BYTES,
                              BUFFER_BYTES, (unsigned short)i,
                              io_uring_buf_ring_mask(BUFFERS_COUNT), (int)i);
    io_uring_buf_ring_advance(echo->buffers_ring, BUFFERS_COUNT);
}

static void connection_open(struct echo *echo, int socket) {
    if (socket >= CONNECTIONS_MAX) {
        close(socket);
        return;
    }
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection) connection->row = calloc(REPLIES_MAX, echo->reply_bytes);
    if (!connection || !connection->row) fail("connection", ENOMEM);
    connection->socket = socket;
    connection->is_open = true;
    echo->connections[socket] = connection;
    receive_arm(echo, (uint32_t)socket);
}

static void connection_close(struct echo *echo, struct connection *connection) {
    connection->is_open = false;
    if (connection->send_bytes || connection->is_listed) return;
    echo->connections[connection->socket] = NULL;
    close(connection->socket);
    free(connection->row);
    free(connection);
}

static void due_put(struct echo *echo, struct connection *connection, const uint8_t *header) {
    if (connection->due_count == REPLIES_MAX || load_u32(header) != echo->request_bytes) {
        fprintf(stderr, "fsecho: expected frames of %u bytes and at most %d in flight\n",
                echo->request_bytes, REPLIES_MAX);
        exit(1);
    }
    connection->due_ids[connection->due_count++] = load_u32(header + 8);
    if (connection->is_listed) return;
    connection->is_listed = true;
    echo->listed[echo->listed_count++] = connection;
}

/* Takes bytes as they come: the head of a frame is kept, its payload is skipped. */
static void bytes_take(struct echo *echo, struct connection *connection, const uint8_t *data,
                       uint32_t bytes) {
    while (bytes > 0) {
        uint32_t missing = echo->request_bytes - connection->head_bytes;
        uint32_t step = bytes < missing ? bytes : missing;
        if (connection->head_bytes == 0 && step == echo->request_bytes) {
            due_put(echo, connection, data);
        } else {
            for (uint32_t i = 0; i < step; i++) {
                if (connection->head_bytes + i < HEADER_BYTES)
                    connection->head[connection->head_bytes + i] = data[i];
            }
            connection->head_bytes += step;
            if (connection->head_bytes == echo->request_bytes) {
                due_put(echo, connection, connection->head);
                connection->head_bytes = 0;
            }
        }
        data += step;
        bytes -= step;
    }
}

static void send_continue(struct echo *echo, struct connection *connection) {
    struct io_uring_sqe *sqe = sqe_get(echo, EVENT_SEND, (uint32_t)connection->socket);
    uint64_t token = sqe->user_data;
    io_uring_prep_send(sqe, connection->socket, connection->row + connection->sent_bytes,
                       connection->send_bytes - connection->sent_bytes, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->user_data = token;
}

static void send_begin(struct echo *echo, struct connection *connection) {
    for (uint32_t i = 0; i < connection->due_count; i++) {
        uint8_t *header = connection->row + (size_t)i * echo->reply_bytes;
        store_u32(header, echo->reply_bytes);
        store_u32(header + 4, (uint32_t)FLAG_REPLY << 8);
        store_u32(header + 8, connection->due_ids[i]);
        store_u32(header + 12, 0);
    }
    connection->send_bytes = connection->due_count * echo->reply_bytes;
    connection->sent_bytes = 0;
    connection->due_count = 0;
    send_continue(echo, connection);
}

static void sent_take(struct echo *echo, struct connection *connection, int32_t result) {
    if (result <= 0) {
        connection->send_bytes = 0;
        shutdown(connection->socket, SHUT_RDWR);
        if (!connection->is_open) connection_close(echo, connection);
        return;
    }
    connection->sent_bytes += (uint32_t)result;
    if (connection->sent_bytes < connection->send_bytes) {
        send_continue(echo, connection);
        return;
    }
    connection->send_bytes = 0;
    if (!connection->is_open) {
        connection_close(echo, connection);
    } else if (connection->due_count > 0 && !connection->is_listed) {
        connection->is_listed = true;
        echo->listed[echo->listed_count++] = connection;
    }
}

static void received_take(struct echo *echo, struct connection *connection,
                          const struct io_uring_cqe *cqe) {
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        uint32_t id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        uint8_t *data = echo->buffers + (size_t)id * BUFFER_BYTES;
        if (cqe->res > 0) bytes_take(echo, connection, data, (uint32_t)cqe->res);
        io_uring_buf_ring_add(echo->buffers_ring, data, BUFFER_BYTES, (unsigned short)id,
                              io_uring_buf_ring_mask(BUFFERS_COUNT), 0);
        io_uring_buf_ring_advance(echo->buffers_ring, 1);
    }
    bool is_over = cqe->res == 0 || (cqe->res < 0 && cqe->res != -ENOBUFS);
    if (is_over) {
        connection_close(echo, connection);
    } else if (!(cqe->flags & IORING_CQE_F_MORE)) {
        receive_arm(echo, (uint32_t)connection->socket);
    }
}

static void completion_take(struct echo *echo, const struct io_uring_cqe *cqe) {
    enum event event = (enum event)(cqe->user_data >> 32);
    uint32_t index = (uint32_t)cqe->user_data;
    if (event == EVENT_ACCEPT) {
        if (cqe->res >= 0) connection_open(echo, cqe->res);
        if (!(cqe->flags & IORING_CQE_F_MORE)) accept_arm(echo);
        return;
    }
    struct connection *connection = echo->connections[index];
    if (!connection) return;
    if (event == EVENT_RECEIVE) received_take(echo, connection, cqe);
    if (event == EVENT_SEND) sent_take(echo, connection, cqe->res);
}

static void listed_run(struct echo *echo) {
    uint32_t count = echo->listed_count;
    echo->listed_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct connection *connection = echo->listed[i];
        connection->is_listed = false;
        if (!connection->is_open) {
            connection_close(echo, connection);
        } else if (connection->send_bytes == 0 && connection->due_count > 0) {
            send_begin(echo, connection);
        }
    }
}

static void echo_run(struct echo *echo) {
    struct io_uring_cqe *cqes[256];
    accept_arm(echo);
    for (;;) {
        int result = io_uring_submit_and_wait(&echo->ring, 1);
        if (result < 0 && result != -EINTR) fail("submit", result);
        unsigned count;
        while ((count = io_uring_peek_batch_cqe(&echo->ring, cqes, 256)) > 0) {
            for (unsigned i = 0; i < count; i++) completion_take(echo, cqes[i]);
            io_uring_cq_advance(&echo->ring, count);
        }
        listed_run(echo);
    }
}

static void listener_open(struct echo *echo, uint16_t port) {
    echo->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (echo->listener < 0) fail("socket", errno);
    setsockopt(echo->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* The port of a process that has just been killed stays taken for some milliseconds. */
    int result = -1;
    for (int i = 0; i < BIND_TRIES && result != 0; i++) {
        if (i > 0) usleep(BIND_GAP_US);
        result = bind(echo->listener, (struct sockaddr *)&address, sizeof address);
    }
    if (result != 0) fail("bind", errno);
    if (listen(echo->listener, CONNECTIONS_MAX) != 0) fail("listen", errno);
}

static void usage_exit(void) {
    fprintf(stderr, "usage: fsecho --port P --request-bytes M --reply-bytes N [--cpu C]\n");
    exit(2);
}

static uint32_t number_parse(const char *text, uint32_t min, uint32_t max) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *end != 0 || *text < '0' || *text > '9' || value < min || value > max) {
        fprintf(stderr, "fsecho: expected a number from %u to %u, found %s\n", min, max, text);
        exit(2);
    }
    return (uint32_t)value;
}

static void cpu_pin(uint32_t cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) fail("--cpu", errno);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"request-bytes", required_argument, NULL, 'q'},
                                            {"reply-bytes", required_argument, NULL, 'r'},
                                            {"cpu", required_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};
    struct echo *echo = calloc(1, sizeof *echo);
    if (!echo) fail("start", ENOMEM);
    uint32_t port = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'p')
            port = number_parse(optarg, 1, UINT16_MAX);
        else if (option == 'q')
            echo->request_bytes = number_parse(optarg, HEADER_BYTES, FRAME_BYTES_MAX);
        else if (option == 'r')
            echo->reply_bytes = number_parse(optarg, HEADER_BYTES, 1 << 20);
        else if (option == 'c')
            cpu_pin(number_parse(optarg, 0, CPU_SETSIZE - 1));
        else
            usage_exit();
    }
    if (optind != argc || port == 0 || echo->request_bytes == 0 || echo->reply_bytes == 0)
        usage_exit();
    signal(SIGPIPE, SIG_IGN);
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                     .cq_entries = RING_ENTRIES * 4};
    int result = io_uring_queue_init_params(RING_ENTRIES, &echo->ring, &params);
    if (result < 0) fail("io_uring", result);
    buffers_open(echo);
    listener_open(echo, (uint16_t)port);
    echo_run(echo);
}
