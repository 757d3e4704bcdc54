/*
 * ring_fixture: what the tests of rings share: a ring with a listening socket, waits that give up
 * only when the ring is broken, and byte patterns that tell where a byte belongs.
 *
 * Threads: one. Memory: the test's.
 */
#ifndef TESTS_NET_RING_FIXTURE_H
#define TESTS_NET_RING_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/ring.h"
#include "net/socket.h"

enum {
    COMPLETIONS_MAX = 256,
    LISTEN_TOKEN = 7,
    PATIENCE_US = 5 * 1000 * 1000, /* only a broken ring waits that long */
};

struct fixture {
    struct io_ring *ring;
    int listener;
    struct io_ring_completion completions[COMPLETIONS_MAX];
    int count;
};

static const struct io_ring_options default_options = {
    .entries = 256, .receive_buffers = 64, .receive_buffer_bytes = 4096};

static inline void fixture_open(struct fixture *fixture, void **state,
                                const struct io_ring_options *options) {
    enum ring_kind kind = *(const enum ring_kind *)*state;
    print_message("  %s\n", kind == RING_URING ? "uring" : "epoll");
    struct fst_error error = {.status = FST_OK};
    *fixture = (struct fixture){.listener = -1};
    enum fst_status status = kind == RING_URING
                                 ? ring_uring_create(options, &fixture->ring, &error)
                                 : ring_epoll_create(options, &fixture->ring, &error);
    if (status == FST_UNSUPPORTED) {
        print_message("  skipped: %s\n", error.text);
        skip();
    }
    assert_int_equal(status, FST_OK);
    struct net_address address = {.host = "127.0.0.1", .port = 0};
    struct net_listen_options listen_options = {.backlog = 4096};
    assert_int_equal(net_listen(&address, &listen_options, &fixture->listener, &error), FST_OK);
}

static inline void fixture_close(struct fixture *fixture) {
    close(fixture->listener);
    fixture->ring->ops->close(fixture->ring);
}

/* One wait that must bring something. */
static inline void fixture_wait(struct fixture *fixture, uint32_t max) {
    int64_t begin_us = io_monotonic_us(io_posix());
    fixture->count = 0;
    while (fixture->count == 0) {
        fixture->count =
            fixture->ring->ops->wait(fixture->ring, fixture->completions, max, PATIENCE_US);
        assert_true(fixture->count >= 0);
        bool is_late = io_monotonic_us(io_posix()) - begin_us >= PATIENCE_US;
        if (is_late) fail_msg("the ring was not woken by what was there");
    }
}

/* Waits for exactly one completion and returns it. */
static inline struct io_ring_completion fixture_one(struct fixture *fixture) {
    fixture_wait(fixture, 1);
    assert_int_equal(fixture->count, 1);
    return fixture->completions[0];
}

static inline int client_open(const struct fixture *fixture) {
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(net_port(fixture->listener)),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

static inline void pair_open(struct fixture *fixture, int *client_out, int *server_out) {
    *client_out = client_open(fixture);
    *server_out = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(*server_out >= 0);
}

static inline void client_send(int client, const void *data, size_t bytes) {
    assert_int_equal(send(client, data, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

static inline void client_receive(int client, void *data, size_t bytes) {
    assert_int_equal(recv(client, data, bytes, MSG_WAITALL), (ssize_t)bytes);
}

static inline uint8_t pattern(uint64_t stream, uint64_t position) {
    return (uint8_t)((stream * 31 + position) * 2654435761u >> 16);
}

static inline void pattern_put(uint8_t *data, size_t bytes, uint64_t stream, uint64_t position) {
    for (size_t i = 0; i < bytes; i++) data[i] = pattern(stream, position + i);
}

static inline void pattern_check(const uint8_t *data, size_t bytes, uint64_t stream,
                                 uint64_t position) {
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] != pattern(stream, position + i)) {
            fail_msg("stream %llu differs at byte %llu", (unsigned long long)stream,
                     (unsigned long long)(position + i));
        }
    }
}

#endif
