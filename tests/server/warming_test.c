/* Shows what clients meet while tables are rebuilt: WARMING for every frame that is sound, the
 * usual answer for those that are not, and the sockets left to whoever comes after. First the
 * module alone, told by the test how far a recovery is; then a whole server whose recovery is held
 * inside a call of its I/O interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/logger.h"
#include "fstore/client.h"
#include "net/socket.h"
#include "server/server.h"
#include "server/warming.h"

enum { LISTENERS = 3, ADDRESS_BYTES = 64, PATH_BYTES = 64 };

/* ---- a client that sends what it likes ---- */

static int peer_connect(const char *host, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct net_address text;
    struct fst_error error;
    char name[ADDRESS_BYTES];
    int length = snprintf(name, sizeof name, "%s:%u", host, port);
    assert_in_range(length, 1, (int)sizeof name - 1);
    assert_int_equal(net_address_decode(name, &text, &error), FST_OK);
    unsigned a, b, c, d;
    assert_int_equal(sscanf(host, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
    address.sin_addr.s_addr = htonl(a << 24 | b << 16 | c << 8 | d);
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof address), 0);
    return peer;
}

static void peer_send(int peer, enum frame_opcode opcode, uint32_t id, uint32_t payload_bytes) {
    uint8_t frame[FRAME_HELLO_BYTES_MAX] = {0};
    uint32_t bytes = FRAME_HEADER_BYTES + payload_bytes;
    frame_encode_request(frame, bytes, opcode, id, 0);
    assert_int_equal(send(peer, frame, bytes, MSG_NOSIGNAL), bytes);
}

struct peer_reply {
    uint8_t bytes[FRAME_ERROR_BYTES_MAX];
    struct frame frame;
    uint32_t retry_us;
    char text[FRAME_ERROR_TEXT_BYTES_MAX + 1];
};

/* The next reply, which must be an error with this status. */
static void peer_expect(int peer, enum fst_status status, uint32_t id, struct peer_reply *reply) {
    const struct frame_rules rules = {.frame_bytes_max = FRAME_ERROR_BYTES_MAX,
                                      .bulk_bytes_max = FRAME_ERROR_BYTES_MAX,
                                      .is_reply = true};
    const char *field;
    struct bytes text;
    size_t bytes = FRAME_HEADER_BYTES;
    assert_int_equal(recv(peer, reply->bytes, bytes, MSG_WAITALL), bytes);
    assert_int_equal(frame_decode(reply->bytes, bytes, &rules, &reply->frame, &field), FST_OK);
    size_t left = reply->frame.bytes - bytes;
    assert_int_equal(recv(peer, reply->bytes + bytes, left, MSG_WAITALL), left);
    bytes += left;
    assert_int_equal(frame_decode(reply->bytes, bytes, &rules, &reply->frame, &field), FST_OK);
    assert_int_equal(reply->frame.handle, status);
    assert_int_equal(reply->frame.request_id, id);
    assert_int_equal(frame_decode_error(&reply->frame, &reply->retry_us, &text), FST_OK);
    (void)snprintf(reply->text, sizeof reply->text, "%.*s", (int)text.bytes, text.data);
}

static void peer_expect_end(int peer) {
    char byte;
    assert_true(recv(peer, &byte, 1, 0) <= 0);
    close(peer);
}

/* ---- the module ---- */

/* A clock that the test moves. */
struct still_io {
    struct io io; /* first */
    struct io_ops ops;
    _Atomic int64_t now_us;
};

static int64_t still_monotonic_us(struct io *io) {
    return atomic_load(&((struct still_io *)io)->now_us);
}

struct world {
    struct still_io io;
    struct net_address address;
    struct warming_options options;
    struct warming warming;
};

static struct world *world_create(enum ring_kind kind) {
    struct world *world = calloc(1, sizeof *world);
    world->io.ops = *io_posix()->ops;
    world->io.ops.monotonic_us = still_monotonic_us;
    world->io.io.ops = &world->io.ops;
    world->io.now_us = 1000000;
    world->options = (struct warming_options){
        .io = &world->io.io,
        .ring_kind = kind,
        .connections_max = 100,
        .handshake_us = 5000000,
        .partial_us = 10000000,
        .listeners_count = LISTENERS,
    };
    struct fst_error error;
    assert_int_equal(net_address_decode("127.0.0.1:0", &world->address, &error), FST_OK);
    for (int i = 0; i < LISTENERS; i++) {
        const struct net_listen_options listen = {
            .backlog = 64, .is_shared = true, .is_first = i == 0};
        int *listener = &world->options.listeners[i];
        assert_int_equal(net_listen(&world->address, &listen, listener, &error), FST_OK);
        world->address.port = net_port(*listener);
    }
    warming_init(&world->warming, &world->options);
    return world;
}

static void world_destroy(struct world *world) {
    warming_deinit(&world->warming);
    for (int i = 0; i < LISTENERS; i++) close(world->options.listeners[i]);
    free(world);
}

static void world_tell(struct world *world, enum recovery_phase phase, uint64_t done) {
    const struct recovery_progress progress = {.phase = phase, .done = done, .total = 1000};
    warming_tell(&world->warming, &progress);
}

static int world_connect(const struct world *world) {
    return peer_connect("127.0.0.1", world->address.port);
}

static void test_every_frame_is_answered(void **state) {
    (void)state;
    static const enum ring_kind kinds[] = {RING_URING, RING_EPOLL};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct world *world = world_create(kinds[k]);
        struct peer_reply reply;
        world_tell(world, RECOVERY_ROWS, 0);
        int peers[20]; /* Of 20 the kernel deals some to each socket. */
        for (uint32_t i = 0; i < 20; i++) peers[i] = world_connect(world);
        for (uint32_t i = 0; i < 20; i++) {
            peer_send(peers[i], FRAME_HELLO, i, 18);
            peer_expect(peers[i], FST_WARMING, i, &reply);
            assert_int_equal(reply.retry_us, 100000);
            assert_string_equal(reply.text, "the server is rebuilding its tables (0 %)");
        }
        world_tell(world, RECOVERY_ROWS, 437);
        peer_send(peers[0], FRAME_HELLO, 77, 18);
        peer_expect(peers[0], FST_WARMING, 77, &reply);
        assert_non_null(strstr(reply.text, "(43 %)"));
        world_tell(world, RECOVERY_LOG, 120);
        static const enum frame_opcode opcodes[] = {FRAME_PREPARE, FRAME_GET, FRAME_WRITE,
                                                    FRAME_CONTROL, FRAME_PING};
        for (uint32_t i = 0; i < 5; i++) {
            peer_send(peers[1], opcodes[i], 100 + i, 8);
            peer_expect(peers[1], FST_WARMING, 100 + i, &reply);
            assert_int_equal(reply.frame.opcode, opcodes[i]);
            assert_non_null(strstr(reply.text, "(log 12 %)"));
        }
        for (uint32_t i = 1; i < 20; i++) close(peers[i]);
        warming_deinit(&world->warming);
        peer_expect_end(peers[0]);
        world_destroy(world);
    }
}

static void test_bad_frames_are_told_so(void **state) {
    (void)state;
    struct world *world = world_create(RING_AUTO);
    struct peer_reply reply;
    world_tell(world, RECOVERY_ROWS, 1);
    int peer = world_connect(world);
    peer_send(peer, 99, 5, 0);
    peer_expect(peer, FST_BAD_FRAME, 5, &reply);
    peer_expect_end(peer);
    peer = world_connect(world);
    uint8_t header[FRAME_HEADER_BYTES];
    frame_encode_request(header, FRAME_HELLO_BYTES_MAX + 1, FRAME_HELLO, 6, 0);
    assert_int_equal(send(peer, header, sizeof header, 0), sizeof header);
    peer_expect(peer, FST_TOO_LARGE, 6, &reply);
    peer_expect_end(peer);
    world_destroy(world);
}

/* What is left at the pace so far. */
static const struct retry_case {
    uint64_t done;
    int64_t after_us;
    uint32_t retry_us;
} retry_cases[] = {
    {0, 5000000, 100000}, {500, 200000, 200000},  {900, 900000, 100000},
    {999, 999, 10000},    {1000, 5000000, 10000}, {1, 100000000, 1000000},
};

static void test_the_time_to_wait(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof retry_cases / sizeof retry_cases[0]; i++) {
        const struct retry_case *c = &retry_cases[i];
        struct world *world = world_create(RING_AUTO);
        struct peer_reply reply;
        world_tell(world, RECOVERY_ROWS, 0);
        int peer = world_connect(world);
        peer_send(peer, FRAME_HELLO, 1, 18);
        peer_expect(peer, FST_WARMING, 1, &reply);
        atomic_fetch_add(&world->io.now_us, c->after_us);
        world_tell(world, RECOVERY_ROWS, c->done);
        close(peer);
        peer = world_connect(world);
        peer_send(peer, FRAME_HELLO, 2, 18);
        peer_expect(peer, FST_WARMING, 2, &reply);
        assert_int_equal(reply.retry_us, c->retry_us);
        close(peer);
        world_destroy(world);
    }
}

/* Before something is told, and after the end, connections wait for whoever accepts next. */
static void test_the_sockets_are_left_to_the_shards(void **state) {
    (void)state;
    for (int is_told = 0; is_told < 2; is_told++) {
        struct world *world = world_create(RING_URING);
        int greeted = -1;
        if (is_told) {
            struct peer_reply reply;
            world_tell(world, RECOVERY_ROWS, 1);
            greeted = world_connect(world);
            peer_send(greeted, FRAME_PING, 9, 0);
            peer_expect(greeted, FST_WARMING, 9, &reply);
            warming_deinit(&world->warming);
            peer_expect_end(greeted);
        }
        int peers[20];
        for (int i = 0; i < 20; i++) peers[i] = world_connect(world);
        int accepted = 0;
        for (int i = 0; i < LISTENERS; i++) {
            assert_int_equal(fcntl(world->options.listeners[i], F_SETFL, O_NONBLOCK), 0);
            int fd;
            while ((fd = accept4(world->options.listeners[i], NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                close(fd);
                accepted += 1;
            }
        }
        assert_int_equal(accepted, 20);
        for (int i = 0; i < 20; i++) close(peers[i]);
        world_destroy(world);
    }
}

static void *deinit_main(void *context) {
    warming_deinit(context);
    return NULL;
}

/* Who connected, and asks only when the end has begun, is answered. The clock stands still: it is
 * waited for as long as it takes. */
static void test_the_end_waits_for_the_first_question(void **state) {
    (void)state;
    struct world *world = world_create(RING_AUTO);
    struct peer_reply reply;
    world_tell(world, RECOVERY_ROWS, 1);
    int second = world_connect(world);
    int first = world_connect(world);
    peer_send(first, FRAME_HELLO, 1, 18);
    peer_expect(first, FST_WARMING, 1, &reply);
    pthread_t ending;
    assert_int_equal(pthread_create(&ending, NULL, deinit_main, &world->warming), 0);
    while (!atomic_load(&world->warming.is_ending)) sched_yield();
    peer_send(second, FRAME_HELLO, 2, 18);
    peer_expect(second, FST_WARMING, 2, &reply);
    peer_expect_end(first);
    peer_expect_end(second);
    pthread_join(ending, NULL);
    world_destroy(world);
}

/* ---- a whole server ---- */

/* Holds whoever opens a log file to read it, once it is told to. */
struct held_io {
    struct io io; /* first */
    struct io_ops ops;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool holds;
    bool is_held; /* somebody waits */
};

static int held_open(struct io *io, const char *path, int flags, io_file *file_out) {
    struct held_io *held = (struct held_io *)io;
    size_t bytes = strlen(path);
    bool is_log = bytes > 4 && strcmp(path + bytes - 4, ".log") == 0;
    if (is_log && !(flags & IO_OPEN_CREATE)) {
        pthread_mutex_lock(&held->lock);
        while (held->holds) {
            held->is_held = true;
            pthread_cond_broadcast(&held->changed);
            pthread_cond_wait(&held->changed, &held->lock);
        }
        held->is_held = false;
        pthread_mutex_unlock(&held->lock);
    }
    return io_posix()->ops->open(io_posix(), path, flags, file_out);
}

static void held_put(struct held_io *held, bool holds) {
    pthread_mutex_lock(&held->lock);
    held->holds = holds;
    pthread_cond_broadcast(&held->changed);
    while (holds && !held->is_held) pthread_cond_wait(&held->changed, &held->lock);
    pthread_mutex_unlock(&held->lock);
}

struct run {
    struct held_io io;
    struct server_options options;
    char root[PATH_BYTES], data[2 * PATH_BYTES], host[PATH_BYTES], listen[2 * PATH_BYTES];
    pthread_t thread;
    int code;
};

static void *run_main(void *context) {
    struct run *run = context;
    run->code = server_run(&run->options, &run->io.io);
    return NULL;
}

/* An address of the loopback network that no other process of these tests has. */
static struct run *run_create(void) {
    struct run *run = calloc(1, sizeof *run);
    struct fst_error error;
    run->io.ops = *io_posix()->ops;
    run->io.ops.open = held_open;
    run->io.io.ops = &run->io.ops;
    pthread_mutex_init(&run->io.lock, NULL);
    pthread_cond_init(&run->io.changed, NULL);
    (void)snprintf(run->root, sizeof run->root, "/dev/shm/warming_XXXXXX");
    assert_non_null(mkdtemp(run->root));
    (void)snprintf(run->data, sizeof run->data, "%s/data", run->root);
    unsigned pid = (unsigned)getpid();
    (void)snprintf(run->host, sizeof run->host, "127.%u.%u.%u", 1 + (pid >> 16) % 250,
                   pid >> 8 & 255, pid & 255);
    (void)snprintf(run->listen, sizeof run->listen, "%s:7601", run->host);
    const char *const arguments[] = {
        "fsd",       "--data",       run->data, "--table-dir",      run->root, "--listen",
        run->listen, "--shards",     "2",       "--memory",         "64M",     "--pin",
        "none",      "--partitions", "4",       "--log-file-bytes", "8M",
    };
    assert_int_equal(server_options_parse(&run->options, sizeof arguments / sizeof arguments[0],
                                          (char *const *)arguments, &run->io.io, &error),
                     FST_OK);
    return run;
}

static void run_begin(struct run *run) {
    assert_int_equal(pthread_create(&run->thread, NULL, run_main, run), 0);
}

/* The signal is blocked in every thread: the server takes it when it looks. */
static void run_end(struct run *run) {
    kill(getpid(), SIGTERM);
    pthread_join(run->thread, NULL);
    assert_int_equal(run->code, SERVER_DONE);
}

static void run_destroy(struct run *run) {
    char command[2 * PATH_BYTES];
    (void)snprintf(command, sizeof command, "rm -rf %s", run->root);
    assert_int_equal(system(command), 0);
    free(run);
}

static void tables_lose(const struct run *run) {
    char command[2 * PATH_BYTES];
    (void)snprintf(command, sizeof command, "rm -rf %s/fstore-*", run->root);
    assert_int_equal(system(command), 0);
}

/* Returns once the server serves: how often this store has been served. */
static uint64_t run_ask(const struct run *run) {
    struct fst_options options;
    struct fst_error error;
    struct fst_client *client;
    struct fst_reply reply;
    fst_options_init(&options);
    options.server = run->listen;
    enum fst_status status;
    do {
        status = fst_client_open(&client, &options, &error);
    } while (status == FST_CLOSED); /* It has no socket yet. */
    assert_int_equal(status, FST_OK);
    assert_int_equal(fst_ping(client, &reply), FST_OK);
    uint64_t epoch = fst_client_server(client)->server_epoch;
    fst_client_close(client);
    return epoch;
}

static void test_a_server_says_that_it_warms_up(void **state) {
    (void)state;
    struct run *run = run_create();
    run_begin(run);
    assert_int_equal(run_ask(run), 1);
    run_end(run);
    for (int is_ended = 0; is_ended < 2; is_ended++) {
        struct peer_reply reply;
        tables_lose(run);
        run->io.holds = true;
        run_begin(run);
        held_put(&run->io, true); /* It is in the middle of the rebuild. */
        int peer = peer_connect(run->host, 7601);
        peer_send(peer, FRAME_HELLO, 3, 18);
        peer_expect(peer, FST_WARMING, 3, &reply);
        assert_non_null(strstr(reply.text, "rebuilding"));
        if (is_ended) kill(getpid(), SIGTERM); /* Ends it before it serves. */
        held_put(&run->io, false);
        peer_expect_end(peer);
        if (!is_ended) {
            assert_int_equal(run_ask(run), 2);
            run_end(run);
        } else {
            pthread_join(run->thread, NULL);
            assert_int_equal(run->code, SERVER_DONE);
        }
    }
    run_begin(run);
    assert_int_equal(run_ask(run), 3); /* The one that was ended did not count. */
    run_end(run);
    run_destroy(run);
}

int main(void) {
    logger_init(LOG_ERROR);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_frame_is_answered),
        cmocka_unit_test(test_bad_frames_are_told_so),
        cmocka_unit_test(test_the_time_to_wait),
        cmocka_unit_test(test_the_sockets_are_left_to_the_shards),
        cmocka_unit_test(test_the_end_waits_for_the_first_question),
        cmocka_unit_test(test_a_server_says_that_it_warms_up),
    };
    return cmocka_run_group_tests_name("server/warming", tests, NULL, NULL);
}
