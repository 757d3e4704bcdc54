/* Shows that connections hand out exactly the frames that were sent, and send exactly the replies
 * that were committed, however the bytes are split and whatever the ring refuses: on a fake ring
 * that the test moves by hand, then on both real rings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn.h"
#include "net/ring.h"
#include "net/socket.h"
#include "tests/base/random.h"
#include "tests/net/conn_shard.h"

/* ---- splits ---- */

/* Gives the stream in pieces of `next` bytes and checks what comes back. */
static void split_check(struct shard *shard, struct stream *stream, size_t (*next)(void *context),
                        void *context) {
    uint32_t closed = shard->closed;
    uint32_t frames = shard->hellos + shard->others;
    int socket = -1;
    assert_non_null(shard_open(shard, &socket));
    shard_flush(shard);
    for (size_t at = 0; at < stream->bytes;) {
        size_t bytes = next(context);
        if (bytes > stream->bytes - at) bytes = stream->bytes - at;
        assert_true(shard_receive(shard, socket, stream->data + at, bytes));
        shard_send_all(shard, socket);
        at += bytes;
    }
    assert_int_equal(shard->hellos + shard->others - frames, stream->frames);
    sent_check(shard, socket, stream);
    shard_end(shard, socket, 0);
    assert_int_equal(shard->closed, closed + 1);
    assert_int_equal(shard->conns.open_count, 0);
}

static size_t next_same(void *context) {
    return *(size_t *)context;
}

struct two_pieces {
    size_t first;
    bool is_second;
};

static size_t next_two(void *context) {
    struct two_pieces *pieces = context;
    size_t bytes = pieces->is_second ? SIZE_MAX : pieces->first;
    pieces->is_second = true;
    return bytes;
}

static void test_every_piece_size(void **state) {
    (void)state;
    struct shard *shard = shard_create(options_get());
    for (size_t bytes = 1; bytes < 300; bytes++) {
        struct stream stream = stream_small();
        split_check(shard, &stream, next_same, &bytes);
        free(stream.data);
    }
    shard_destroy(shard);
}

static void test_every_split_point(void **state) {
    (void)state;
    struct shard *shard = shard_create(options_get());
    size_t total = 2;
    for (size_t first = 1; first < total; first++) {
        struct stream stream = stream_small();
        total = stream.bytes;
        struct two_pieces pieces = {.first = first};
        split_check(shard, &stream, next_two, &pieces);
        free(stream.data);
    }
    shard_destroy(shard);
}

/* Frames of every chunk size, from the smallest to the largest allowed. */
static void test_large_frames_in_random_pieces(void **state) {
    (void)state;
    struct conns_options options = options_get();
    options.output_bytes_max = 64 << 20; /* All replies of one piece may wait at once. */
    struct shard *shard = shard_create(options);
    struct random random = random_of_environment();
    static const uint32_t sizes[] = {
        16, 4096, 16 << 10, (16 << 10) + 1,       64 << 10, 70000, FRAME_BYTES_MAX,
        16, 17,   5 << 20,  FRAME_BULK_BYTES_MAX, 300};
    for (int round = 0; round < 2; round++) {
        struct stream stream = stream_hello();
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            stream_append(&stream, sizes[i] > FRAME_BYTES_MAX ? FRAME_WRITE : FRAME_GET, sizes[i]);
        }
        split_check(shard, &stream, next_random, &random);
        free(stream.data);
    }
    shard_destroy(shard);
}

/* ---- everything at once ---- */

struct peer {
    int socket; /* -1: none */
    uint64_t id;
    struct stream stream; /* what it sends */
    size_t given;
    bool is_ended;
};

static void peer_open(struct shard *shard, struct peer *peer, struct random *random) {
    *peer = (struct peer){.stream = stream_hello()};
    uint64_t frames = random_get(random) % 30;
    for (uint64_t i = 0; i < frames; i++) {
        uint32_t magnitude = 5 + (uint32_t)(random_get(random) % 13);
        stream_append(&peer->stream, FRAME_GET,
                      16 + (uint32_t)(random_get(random) % (1u << magnitude)));
    }
    struct conn *conn = shard_open(shard, &peer->socket);
    assert_non_null(conn);
    peer->id = conn->id;
}

/* All was given and answered: what came back must be the echo of it. */
static void peer_finish(struct shard *shard, struct peer *peer) {
    stream_echo(&peer->stream);
    const struct fake_socket *fake = &shard->fake.sockets[peer->socket];
    assert_int_equal(fake->sent_bytes, peer->stream.bytes);
    assert_memory_equal(fake->sent, peer->stream.data, peer->stream.bytes);
    free(peer->stream.data);
    peer->socket = -1;
}

static void peer_step(struct shard *shard, struct peer *peer, struct random *random) {
    const struct fake_socket *fake = &shard->fake.sockets[peer->socket];
    if (fake->is_canceled && fake->is_armed) {
        shard_end(shard, peer->socket, -ECANCELED);
    } else if (random_get(random) % 2 == 0) {
        (void)shard_sent(shard, peer->socket, next_random(random));
    } else if (peer->given < peer->stream.bytes) {
        size_t piece = next_random(random);
        size_t left = peer->stream.bytes - peer->given;
        if (piece > left) piece = left;
        if (shard_receive(shard, peer->socket, peer->stream.data + peer->given, piece)) {
            peer->given += piece;
        }
    } else if (fake->is_armed) {
        peer->is_ended = true;
        shard_end(shard, peer->socket, 0);
    }
    shard_flush(shard);
}

/* Many connections with small limits, on a ring that refuses every Nth request. */
static void test_model(void **state) {
    (void)state;
    enum { PEERS = 8, STEPS = 8000 };
    struct random random = random_of_environment();
    for (uint64_t fail_call = 0; fail_call < 6; fail_call++) {
        if (fail_call == 1) continue; /* Nothing would ever work. */
        struct conns_options options = options_get();
        options.output_bytes_max = 1 << 20;
        options.turn_work = 1 + fail_call; /* Few frames a tick: most wait for a turn. */
        struct shard *shard = shard_create(options);
        shard->fake.fail_call = fail_call;
        struct peer peers[PEERS];
        uint32_t finished = 0;
        for (int i = 0; i < PEERS; i++) peers[i].socket = -1;
        for (int step = 0; step < STEPS; step++) {
            struct peer *peer = &peers[random_get(&random) % PEERS];
            if (peer->socket < 0) {
                peer_open(shard, peer, &random);
                shard_flush(shard);
                continue;
            }
            peer_step(shard, peer, &random);
            if (conns_find(&shard->conns, peer->id) == NULL) {
                assert_true(peer->is_ended);
                peer_finish(shard, peer);
                finished += 1;
            }
        }
        print_message("  every %llu. request refused: %u connections\n",
                      (unsigned long long)fail_call, finished);
        assert_true(finished > 20);
        for (int i = 0; i < PEERS; i++) {
            if (peers[i].socket >= 0) free(peers[i].stream.data);
        }
        shard_destroy(shard);
    }
}

/* ---- real rings ---- */

enum { CLIENTS = 20, CLIENT_BYTES = 300000 };

struct client {
    int socket;
    struct stream stream;
    size_t given;
    size_t back_bytes;
    uint8_t *back;
};

static void client_open(struct client *client, uint16_t port, struct random *random) {
    *client = (struct client){.stream = stream_hello()};
    while (client->stream.bytes < CLIENT_BYTES) {
        uint32_t magnitude = 5 + (uint32_t)(random_get(random) % 12);
        stream_append(&client->stream, FRAME_WRITE,
                      16 + (uint32_t)(random_get(random) % (1u << magnitude)));
    }
    client->back = malloc(client->stream.bytes);
    client->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(client->socket, (struct sockaddr *)&address, sizeof address), 0);
}

static void client_step(struct client *client, struct random *random) {
    size_t piece = next_random(random);
    size_t left = client->stream.bytes - client->given;
    if (piece > left) piece = left;
    if (piece > 0) {
        ssize_t sent = send(client->socket, client->stream.data + client->given, piece,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) client->given += (size_t)sent;
        if (client->given == client->stream.bytes) shutdown(client->socket, SHUT_WR);
    }
    ssize_t got = recv(client->socket, client->back + client->back_bytes,
                       client->stream.bytes - client->back_bytes, MSG_DONTWAIT);
    if (got > 0) client->back_bytes += (size_t)got;
}

static void real_tick(struct conns *conns, struct shard *shard, struct io_ring *ring) {
    struct io_ring_completion completions[64];
    int count = ring->ops->wait(ring, completions, 64, 0);
    assert_true(count >= 0);
    shard->now_us += 1;
    for (int i = 0; i < count; i++) {
        if (conns_is_token(completions[i].token)) {
            shard_read(shard, conns_complete(conns, &completions[i], shard->now_us));
        } else {
            assert_true(completions[i].result >= 0);
            assert_non_null(conns_open(conns, completions[i].result, shard->now_us));
        }
    }
    struct conn *conn;
    while ((conn = conns_next_turn(conns)) != NULL) shard_read(shard, conn);
    conns_expire(conns, shard->now_us);
    conns_flush(conns);
}

static void test_over_real_rings(void **state) {
    enum ring_kind kind = *(const enum ring_kind *)*state;
    struct random random = random_of_environment();
    struct io_ring_options ring_options = {
        .entries = 16, .receive_buffers = 8, .receive_buffer_bytes = 1024};
    struct io_ring *ring = NULL;
    struct fst_error error;
    enum fst_status status = ring_create(kind, &ring_options, &ring, &error);
    if (status == FST_UNSUPPORTED) skip();
    assert_int_equal(status, FST_OK);
    struct net_address address = {.host = "127.0.0.1"};
    struct net_listen_options listen_options = {.backlog = 100};
    int listener = -1;
    assert_int_equal(net_listen(&address, &listen_options, &listener, &error), FST_OK);
    assert_int_equal(ring->ops->accept(ring, listener, 1), 0);

    struct shard *shard = calloc(1, sizeof *shard);
    struct conns_options options = options_get();
    options.connections_max = CLIENTS;
    options.output_bytes_max = 256 << 10;
    options.closed = shard_closed;
    options.context = shard;
    struct conns conns;
    assert_int_equal(conns_init(&conns, &options, ring), FST_OK);
    static struct client clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) client_open(&clients[i], net_port(listener), &random);
    for (int finished = 0; finished < CLIENTS;) {
        real_tick(&conns, shard, ring);
        finished = 0;
        for (int i = 0; i < CLIENTS; i++) {
            client_step(&clients[i], &random);
            finished += clients[i].back_bytes == clients[i].stream.bytes;
        }
    }
    while (conns.open_count > 0) real_tick(&conns, shard, ring);
    assert_int_equal(shard->closed, CLIENTS);
    assert_int_equal(conns_check(&conns), FST_OK);
    for (int i = 0; i < CLIENTS; i++) {
        stream_echo(&clients[i].stream);
        assert_memory_equal(clients[i].back, clients[i].stream.data, clients[i].stream.bytes);
        free(clients[i].stream.data);
        free(clients[i].back);
        close(clients[i].socket);
    }
    ring->ops->close(ring);
    conns_deinit(&conns);
    close(listener);
    free(shard);
}

int main(void) {
    static enum ring_kind kinds[] = {RING_URING, RING_EPOLL};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_piece_size),
        cmocka_unit_test(test_every_split_point),
        cmocka_unit_test(test_large_frames_in_random_pieces),
        cmocka_unit_test(test_model),
        cmocka_unit_test_prestate(test_over_real_rings, &kinds[0]),
        cmocka_unit_test_prestate(test_over_real_rings, &kinds[1]),
    };
    return cmocka_run_group_tests_name("net/conn", tests, NULL, NULL);
}
