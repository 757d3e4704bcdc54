/* Shows that both rings keep the promises of net/ring.h about sockets and wakes, by driving each
 * with the same real sockets and threads, and comparing every byte and every completion with what
 * was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/ring.h"
#include "tests/base/random.h"
#include "tests/net/ring_fixture.h"

/* ---- accept ---- */

static void test_accept_stays_armed(void **state) {
    enum { CLIENTS = 300 };
    struct fixture f;
    fixture_open(&f, state, &default_options);
    assert_int_equal(f.ring->ops->accept(f.ring, f.listener, LISTEN_TOKEN), 0);
    assert_int_equal(f.ring->ops->accept(f.ring, f.listener, LISTEN_TOKEN), -EALREADY);
    int clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) clients[i] = client_open(&f);
    int accepted = 0;
    while (accepted < CLIENTS) {
        fixture_wait(&f, 100);
        for (int i = 0; i < f.count; i++) {
            assert_int_equal(f.completions[i].event, IO_RING_ACCEPTED);
            assert_int_equal(f.completions[i].token, LISTEN_TOKEN);
            assert_true(f.completions[i].is_armed);
            assert_true(f.completions[i].result >= 0);
            close(f.completions[i].result);
            accepted += 1;
        }
    }
    assert_int_equal(f.ring->ops->cancel(f.ring, f.listener, LISTEN_TOKEN), 0);
    struct io_ring_completion last = fixture_one(&f);
    assert_int_equal(last.result, -ECANCELED);
    assert_false(last.is_armed);
    for (int i = 0; i < CLIENTS; i++) close(clients[i]);
    fixture_close(&f);
}

/* The accept ends when no descriptor is left, and can be asked for again. */
static void test_accept_ends_without_descriptors(void **state) {
    struct fixture f;
    fixture_open(&f, state, &default_options);
    int client = client_open(&f);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 3, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(f.ring->ops->accept(f.ring, f.listener, LISTEN_TOKEN), 0);
    struct io_ring_completion completion = fixture_one(&f);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(completion.event, IO_RING_ACCEPTED);
    assert_int_equal(completion.result, -EMFILE);
    assert_false(completion.is_armed);
    assert_int_equal(f.ring->ops->accept(f.ring, f.listener, LISTEN_TOKEN), 0);
    completion = fixture_one(&f);
    assert_true(completion.result >= 0);
    assert_true(completion.is_armed);
    close(completion.result);
    close(client);
    fixture_close(&f);
}

/* ---- receive and send ---- */

static void test_echo_returns_every_byte(void **state) {
    struct fixture f;
    struct random random = random_of_environment();
    fixture_open(&f, state, &default_options);
    int client = -1;
    int server = -1;
    pair_open(&f, &client, &server);
    assert_int_equal(f.ring->ops->receive(f.ring, server, UINT64_MAX), 0);
    uint64_t position = 0;
    uint8_t sent[3000];
    uint8_t back[3000];
    for (int round = 0; round < 300; round++) {
        size_t bytes = 1 + random_get(&random) % sizeof sent;
        pattern_put(sent, bytes, 1, position);
        position += bytes;
        client_send(client, sent, bytes);
        size_t echoed = 0;
        while (echoed < bytes) {
            struct io_ring_completion received = fixture_one(&f);
            assert_int_equal(received.event, IO_RING_RECEIVED);
            assert_true(received.token == UINT64_MAX);
            assert_true(received.is_armed);
            assert_true(received.result > 0);
            memcpy(back, received.data, (size_t)received.result);
            assert_int_equal(f.ring->ops->send(f.ring, server, back, (size_t)received.result, 0),
                             0);
            struct io_ring_completion done = fixture_one(&f);
            assert_int_equal(done.event, IO_RING_SENT);
            assert_int_equal(done.result, received.result);
            assert_true(done.token == 0);
            echoed += (size_t)received.result;
        }
        client_receive(client, back, bytes);
        assert_memory_equal(back, sent, bytes);
    }
    close(client);
    struct io_ring_completion end = fixture_one(&f);
    assert_int_equal(end.result, 0);
    assert_false(end.is_armed);
    close(server);
    fixture_close(&f);
}

/* A peer that has closed its half still gets its answer. */
static void test_half_close(void **state) {
    struct fixture f;
    fixture_open(&f, state, &default_options);
    int client = -1;
    int server = -1;
    pair_open(&f, &client, &server);
    assert_int_equal(f.ring->ops->receive(f.ring, server, 1), 0);
    client_send(client, "last", 4);
    shutdown(client, SHUT_WR);
    struct io_ring_completion received = fixture_one(&f);
    assert_int_equal(received.result, 4);
    assert_memory_equal(received.data, "last", 4);
    struct io_ring_completion end = fixture_one(&f);
    assert_int_equal(end.event, IO_RING_RECEIVED);
    assert_int_equal(end.result, 0);
    assert_false(end.is_armed);
    assert_int_equal(f.ring->ops->cancel(f.ring, server, 1), -ENOENT);
    assert_int_equal(f.ring->ops->send(f.ring, server, "word", 4, 2), 0);
    struct io_ring_completion sent = fixture_one(&f);
    assert_int_equal(sent.result, 4);
    char word[4];
    client_receive(client, word, 4);
    assert_memory_equal(word, "word", 4);
    close(client);
    close(server);
    fixture_close(&f);
}

static void test_reset_is_told(void **state) {
    struct fixture f;
    fixture_open(&f, state, &default_options);
    int client = -1;
    int server = -1;
    pair_open(&f, &client, &server);
    assert_int_equal(f.ring->ops->receive(f.ring, server, 1), 0);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(client);
    struct io_ring_completion end = fixture_one(&f);
    assert_int_equal(end.result, -ECONNRESET);
    assert_false(end.is_armed);
    assert_int_equal(f.ring->ops->send(f.ring, server, "gone", 4, 2), 0);
    struct io_ring_completion sent = fixture_one(&f);
    assert_int_equal(sent.event, IO_RING_SENT);
    assert_int_equal(sent.result, -EPIPE);
    close(server);
    fixture_close(&f);
}

static void test_many_connections(void **state) {
    enum { PAIRS = 1000 };
    struct fixture f;
    fixture_open(&f, state, &default_options);
    static int clients[PAIRS];
    static int servers[PAIRS];
    static uint32_t seen[PAIRS];
    memset(seen, 0, sizeof seen);
    (void)f.ring->ops->wait(f.ring, f.completions, COMPLETIONS_MAX, 0);
    for (int i = 0; i < PAIRS; i++) {
        pair_open(&f, &clients[i], &servers[i]);
        assert_int_equal(f.ring->ops->receive(f.ring, servers[i], (uint64_t)i << 32), 0);
    }
    uint8_t message[64];
    for (int i = 0; i < PAIRS; i++) {
        pattern_put(message, sizeof message, (uint64_t)i, 0);
        client_send(clients[i], message, sizeof message);
    }
    for (uint32_t bytes = 0; bytes < PAIRS * sizeof message;) {
        fixture_wait(&f, COMPLETIONS_MAX);
        for (int i = 0; i < f.count; i++) {
            const struct io_ring_completion *c = &f.completions[i];
            uint64_t pair = c->token >> 32;
            assert_true(c->result > 0 && c->is_armed && pair < PAIRS);
            pattern_check(c->data, (size_t)c->result, pair, seen[pair]);
            seen[pair] += (uint32_t)c->result;
            bytes += (uint32_t)c->result;
        }
    }
    for (int i = 0; i < PAIRS; i++) {
        assert_int_equal(seen[i], sizeof message);
        close(clients[i]);
    }
    for (int ended = 0; ended < PAIRS; ended += f.count) {
        fixture_wait(&f, COMPLETIONS_MAX);
        for (int i = 0; i < f.count; i++) assert_int_equal(f.completions[i].result, 0);
    }
    for (int i = 0; i < PAIRS; i++) close(servers[i]);
    fixture_close(&f);
}

/* Four small buffers, twenty streams of 16 KiB, and a caller that takes few completions at a time.
 */
static void test_buffers_run_out(void **state) {
    enum { STREAMS = 20, STREAM_BYTES = 16 << 10 };
    static const uint32_t maxima[] = {1, 3, COMPLETIONS_MAX};
    struct io_ring_options options = {
        .entries = 8, .receive_buffers = 4, .receive_buffer_bytes = 64};
    for (size_t m = 0; m < sizeof maxima / sizeof maxima[0]; m++) {
        struct fixture f;
        fixture_open(&f, state, &options);
        int clients[STREAMS];
        int servers[STREAMS];
        uint64_t seen[STREAMS] = {0};
        uint8_t *data = malloc(STREAM_BYTES);
        for (int i = 0; i < STREAMS; i++) {
            pair_open(&f, &clients[i], &servers[i]);
            pattern_put(data, STREAM_BYTES, (uint64_t)i, 0);
            client_send(clients[i], data, STREAM_BYTES);
            while (f.ring->ops->receive(f.ring, servers[i], (uint64_t)i) == -EAGAIN) {
                (void)f.ring->ops->wait(f.ring, f.completions, 1, 0);
                fail_msg("a queue of 8 must take more than 8 requests between waits");
            }
            shutdown(clients[i], SHUT_WR);
            if (i == 4) { /* The first wait, so that the queue may be submitted when it is full. */
                f.count = f.ring->ops->wait(f.ring, f.completions, maxima[m], 0);
                assert_true(f.count >= 0);
                for (int c = 0; c < f.count; c++) {
                    uint64_t stream = f.completions[c].token;
                    pattern_check(f.completions[c].data, (size_t)f.completions[c].result, stream,
                                  seen[stream]);
                    seen[stream] += (uint64_t)f.completions[c].result;
                }
            }
        }
        for (int ended = 0; ended < STREAMS;) {
            fixture_wait(&f, maxima[m]);
            for (int i = 0; i < f.count; i++) {
                const struct io_ring_completion *c = &f.completions[i];
                if (!c->is_armed) {
                    assert_int_equal(c->result, 0);
                    ended += 1;
                    continue;
                }
                assert_true(c->result > 0 && c->result <= 64);
                pattern_check(c->data, (size_t)c->result, c->token, seen[c->token]);
                seen[c->token] += (uint64_t)c->result;
            }
        }
        for (int i = 0; i < STREAMS; i++) {
            assert_int_equal(seen[i], STREAM_BYTES);
            close(clients[i]);
            close(servers[i]);
        }
        free(data);
        fixture_close(&f);
    }
}

static void test_huge_send(void **state) {
    enum { BYTES = 8 << 20 };
    struct fixture f;
    fixture_open(&f, state, &default_options);
    int client = -1;
    int server = -1;
    pair_open(&f, &client, &server);
    uint8_t *out = malloc(BYTES);
    uint8_t *in = malloc(BYTES);
    pattern_put(out, BYTES, 5, 0);
    size_t sent = 0;
    size_t read_bytes = 0;
    assert_int_equal(f.ring->ops->send(f.ring, server, out, BYTES, 9), 0);
    while (read_bytes < BYTES || sent < BYTES) {
        f.count = f.ring->ops->wait(f.ring, f.completions, COMPLETIONS_MAX, 0);
        assert_true(f.count == 0 || f.count == 1);
        if (f.count == 1) {
            assert_int_equal(f.completions[0].event, IO_RING_SENT);
            assert_true(f.completions[0].result > 0);
            sent += (size_t)f.completions[0].result;
            if (sent < BYTES) {
                assert_int_equal(f.ring->ops->send(f.ring, server, out + sent, BYTES - sent, 9), 0);
            }
        }
        ssize_t got = recv(client, in + read_bytes, BYTES - read_bytes, MSG_DONTWAIT);
        if (got > 0) read_bytes += (size_t)got;
    }
    assert_memory_equal(in, out, BYTES);
    free(in);
    free(out);
    close(client);
    close(server);
    fixture_close(&f);
}

/* A peer that reads nothing: the send stays under way until the socket is shut down. */
static void test_shutdown_ends_send_and_receive(void **state) {
    enum { BYTES = 32 << 20 };
    struct fixture f;
    fixture_open(&f, state, &default_options);
    int client = -1;
    int server = -1;
    pair_open(&f, &client, &server);
    uint8_t *out = calloc(1, BYTES);
    size_t sent = 0;
    assert_int_equal(f.ring->ops->receive(f.ring, server, 1), 0);
    assert_int_equal(f.ring->ops->send(f.ring, server, out, BYTES, 2), 0);
    while (f.ring->ops->wait(f.ring, f.completions, 1, 0) == 1) {
        sent += (size_t)f.completions[0].result;
        assert_true(sent < BYTES);
        assert_int_equal(f.ring->ops->send(f.ring, server, out, BYTES, 2), 0);
    }
    shutdown(server, SHUT_RDWR);
    bool has_sent = false;
    bool has_received = false;
    while (!has_sent || !has_received) {
        struct io_ring_completion c = fixture_one(&f);
        assert_false(c.is_armed);
        if (c.event == IO_RING_SENT) {
            assert_false(has_sent);
            assert_true(c.result == -EPIPE || c.result > 0);
            has_sent = true;
        } else {
            assert_int_equal(c.event, IO_RING_RECEIVED);
            assert_false(has_received);
            assert_true(c.result <= 0);
            has_received = true;
        }
    }
    close(client);
    close(server);
    free(out);
    fixture_close(&f);
}

/* ---- cancel ---- */

static void test_cancel_and_receive_again(void **state) {
    struct fixture f;
    fixture_open(&f, state, &default_options);
    int client = -1;
    int server = -1;
    pair_open(&f, &client, &server);
    assert_int_equal(f.ring->ops->cancel(f.ring, server, 1), -ENOENT);
    for (uint64_t round = 0; round < 50; round++) {
        assert_int_equal(f.ring->ops->receive(f.ring, server, round), 0);
        assert_int_equal(f.ring->ops->receive(f.ring, server, round), -EALREADY);
        if (round % 3 == 0) (void)f.ring->ops->wait(f.ring, f.completions, 1, 0);
        client_send(client, "x", 1);
        if (round % 2 == 0) {
            struct io_ring_completion received = fixture_one(&f);
            assert_int_equal(received.result, 1);
            assert_true(received.token == round);
        }
        assert_int_equal(f.ring->ops->cancel(f.ring, server, round), 0);
        struct io_ring_completion last = fixture_one(&f);
        if (last.result == 1 && last.is_armed) last = fixture_one(&f);
        assert_false(last.is_armed);
        assert_true(last.token == round);
        assert_true(last.result == -ECANCELED || last.result == 1);
        assert_int_equal(f.ring->ops->cancel(f.ring, server, round), -ENOENT);
        char left[8];
        while (recv(server, left, sizeof left, MSG_DONTWAIT) > 0) continue;
    }
    close(client);
    close(server);
    fixture_close(&f);
}

/* Cancels that race with exhausted buffers: each receive ends once, and no bytes are lost before
 * it. */
static void test_cancel_while_buffers_run_out(void **state) {
    enum { STREAMS = 16, STREAM_BYTES = 4 << 10 };
    struct fixture f;
    struct random random = random_of_environment();
    struct io_ring_options options = {
        .entries = 64, .receive_buffers = 2, .receive_buffer_bytes = 64};
    fixture_open(&f, state, &options);
    for (int round = 0; round < 20; round++) {
        int clients[STREAMS];
        int servers[STREAMS];
        uint64_t seen[STREAMS] = {0};
        bool is_canceled[STREAMS] = {false};
        uint8_t data[STREAM_BYTES];
        for (int i = 0; i < STREAMS; i++) {
            pair_open(&f, &clients[i], &servers[i]);
            pattern_put(data, sizeof data, (uint64_t)i, 0);
            client_send(clients[i], data, sizeof data);
            assert_int_equal(f.ring->ops->receive(f.ring, servers[i], (uint64_t)i), 0);
        }
        for (int ended = 0; ended < STREAMS;) {
            uint64_t victim = random_get(&random) % STREAMS;
            if (!is_canceled[victim]) {
                assert_int_equal(f.ring->ops->cancel(f.ring, servers[victim], victim), 0);
                is_canceled[victim] = true;
            }
            f.count = f.ring->ops->wait(f.ring, f.completions, 2, 0);
            for (int i = 0; i < f.count; i++) {
                const struct io_ring_completion *c = &f.completions[i];
                ended += !c->is_armed;
                if (c->result <= 0) {
                    assert_int_equal(c->result, -ECANCELED);
                    assert_false(c->is_armed);
                    assert_true(is_canceled[c->token]);
                    continue;
                }
                pattern_check(c->data, (size_t)c->result, c->token, seen[c->token]);
                seen[c->token] += (uint64_t)c->result;
            }
        }
        for (int i = 0; i < STREAMS; i++) {
            assert_int_equal(f.ring->ops->cancel(f.ring, servers[i], 0), -ENOENT);
            close(clients[i]);
            close(servers[i]);
        }
    }
    fixture_close(&f);
}

/* ---- wake ---- */

static void test_wake_before_wait(void **state) {
    struct fixture f;
    fixture_open(&f, state, &default_options);
    for (int i = 0; i < 100; i++) {
        f.ring->ops->wake(f.ring);
        if (i % 2) f.ring->ops->wake(f.ring);
        assert_int_equal(f.ring->ops->wait(f.ring, f.completions, COMPLETIONS_MAX, -1), 0);
    }
    assert_int_equal(f.ring->ops->wait(f.ring, f.completions, COMPLETIONS_MAX, 1000), 0);
    fixture_close(&f);
}

/* A wait with nothing to do sleeps for as long as it may, also after wakes: a ring that only spins
 * would pass every other test. A wake may end one more wait than the next. */
static void test_wait_sleeps(void **state) {
    enum { TIMEOUT_US = 3000, WAITS = 3 };
    struct fixture f;
    fixture_open(&f, state, &default_options);
    for (int round = 0; round < 5; round++) {
        int slept = 0;
        for (int i = 0; i < WAITS; i++) {
            int64_t begin_us = io_monotonic_us(io_posix());
            assert_int_equal(f.ring->ops->wait(f.ring, f.completions, 1, TIMEOUT_US), 0);
            slept += io_monotonic_us(io_posix()) - begin_us >= TIMEOUT_US;
        }
        assert_true(slept >= WAITS - 2);
        f.ring->ops->wake(f.ring);
    }
    fixture_close(&f);
}

enum { WAKES = 20000 };

struct waker {
    struct io_ring *ring;
    _Atomic uint32_t published; /* by the waker */
    _Atomic uint32_t consumed;  /* by the ring's thread */
    uint32_t plain;             /* guarded by `published`: a race here is one that TSan sees */
};

static void *waker_run(void *context) {
    struct waker *waker = context;
    for (uint32_t i = 1; i <= WAKES; i++) {
        waker->plain = i;
        atomic_store_explicit(&waker->published, i, memory_order_release);
        waker->ring->ops->wake(waker->ring);
        if (i % 4 != 0) continue; /* Bursts of wakes, then one that is waited for. */
        while (atomic_load_explicit(&waker->consumed, memory_order_acquire) < i) continue;
    }
    return NULL;
}

/* A wake that is lost leaves both threads waiting for ever. */
static void test_wake_from_another_thread(void **state) {
    struct fixture f;
    fixture_open(&f, state, &default_options);
    struct waker waker = {.ring = f.ring};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, waker_run, &waker), 0);
    uint32_t seen = 0;
    while (seen < WAKES) {
        assert_int_equal(f.ring->ops->wait(f.ring, f.completions, COMPLETIONS_MAX, -1), 0);
        uint32_t published = atomic_load_explicit(&waker.published, memory_order_acquire);
        assert_true(published >= seen);
        seen = published;
        atomic_store_explicit(&waker.consumed, seen, memory_order_release);
    }
    pthread_join(thread, NULL);
    assert_int_equal(waker.plain, WAKES);
    fixture_close(&f);
}

/* ---- create ---- */

static void test_options_are_checked(void **state) {
    enum ring_kind kind = *(const enum ring_kind *)*state;
    static const struct options_case {
        const char *name;
        struct io_ring_options options;
        enum fst_status status;
    } cases[] = {
        {"no entries", {0, 4, 4096}, FST_INVALID},
        {"one entry", {1, 1, 64}, FST_OK},
        {"most entries", {1 << 15, 4, 4096}, FST_OK},
        {"one entry more", {(1 << 15) + 1, 4, 4096}, FST_INVALID},
        {"no buffers", {8, 0, 4096}, FST_INVALID},
        {"three buffers", {8, 3, 4096}, FST_INVALID},
        {"most buffers", {8, RING_RECEIVE_BUFFERS_MAX, 64}, FST_OK},
        {"twice the most buffers", {8, 2 * RING_RECEIVE_BUFFERS_MAX, 64}, FST_INVALID},
        {"tiny buffers", {8, 4, 63}, FST_INVALID},
        {"largest buffers", {8, 1, 16 << 20}, FST_OK},
        {"larger buffers", {8, 1, (16 << 20) + 1}, FST_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("  %s\n", cases[i].name);
        struct io_ring *ring = NULL;
        struct fst_error error;
        enum fst_status status = ring_create(kind, &cases[i].options, &ring, &error);
        if (status == FST_UNSUPPORTED) skip();
        assert_int_equal(status, cases[i].status);
        if (status == FST_OK) ring->ops->close(ring);
    }
}

int main(void) {
    static enum ring_kind kinds[] = {RING_URING, RING_EPOLL};
#define BOTH(test)                                                                                 \
    cmocka_unit_test_prestate(test, &kinds[0]), cmocka_unit_test_prestate(test, &kinds[1])
    const struct CMUnitTest tests[] = {
        BOTH(test_accept_stays_armed),
        BOTH(test_accept_ends_without_descriptors),
        BOTH(test_echo_returns_every_byte),
        BOTH(test_half_close),
        BOTH(test_reset_is_told),
        BOTH(test_many_connections),
        BOTH(test_buffers_run_out),
        BOTH(test_huge_send),
        BOTH(test_shutdown_ends_send_and_receive),
        BOTH(test_cancel_and_receive_again),
        BOTH(test_cancel_while_buffers_run_out),
        BOTH(test_wake_before_wait),
        BOTH(test_wait_sleeps),
        BOTH(test_wake_from_another_thread),
        BOTH(test_options_are_checked),
    };
    return cmocka_run_group_tests_name("net/ring", tests, NULL, NULL);
}
