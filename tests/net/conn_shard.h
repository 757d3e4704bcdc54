/*
 * conn_shard: what the tests of connections share: a ring that does what the test says, a shard
 * that echoes, and streams of frames.
 *
 * The fake ring keeps what it was asked for; the test decides when, and how, each request
 * completes. Received bytes are given from memory that is overwritten afterwards, so that a frame
 * that is used too late is seen. conns_check() runs at the end of every tick.
 *
 * Threads: one. Memory: the test's.
 */
#ifndef TESTS_NET_CONN_SHARD_H
#define TESTS_NET_CONN_SHARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "net/conn.h"
#include "tests/base/random.h"

enum { SOCKETS_MAX = 256, BATCH_MAX = 16, SECOND_US = 1000000 };

/* ---- a ring that does what the test says ---- */

struct fake_socket {
    int peer; /* the other end; 0: none */
    bool is_armed;
    bool is_canceled;
    uint64_t receive_token;
    const uint8_t *send_data; /* NULL: no send is under way */
    size_t send_bytes;
    uint64_t send_token;
    uint8_t *sent; /* everything that was sent */
    size_t sent_bytes;
    size_t sent_room;
};

struct fake_ring {
    struct io_ring base;
    uint64_t calls;
    uint64_t fail_call; /* this call and all multiples answer -EAGAIN; 0: none */
    struct fake_socket sockets[SOCKETS_MAX];
};

static inline struct fake_ring *fake_of(struct io_ring *ring) {
    return (struct fake_ring *)(void *)ring;
}

static inline bool fake_fails(struct fake_ring *fake) {
    fake->calls += 1;
    return fake->fail_call != 0 && fake->calls % fake->fail_call == 0;
}

static inline int fake_receive(struct io_ring *ring, int socket, uint64_t token) {
    struct fake_ring *fake = fake_of(ring);
    assert_in_range(socket, 0, SOCKETS_MAX - 1);
    assert_false(fake->sockets[socket].is_armed);
    if (fake_fails(fake)) return -EAGAIN;
    fake->sockets[socket].is_armed = true;
    fake->sockets[socket].is_canceled = false;
    fake->sockets[socket].receive_token = token;
    return 0;
}

static inline int fake_send(struct io_ring *ring, int socket, const void *data, size_t bytes,
                            uint64_t token) {
    struct fake_ring *fake = fake_of(ring);
    assert_in_range(socket, 0, SOCKETS_MAX - 1);
    assert_null(fake->sockets[socket].send_data);
    assert_true(bytes > 0);
    if (fake_fails(fake)) return -EAGAIN;
    fake->sockets[socket].send_data = data;
    fake->sockets[socket].send_bytes = bytes;
    fake->sockets[socket].send_token = token;
    return 0;
}

static inline int fake_cancel(struct io_ring *ring, int socket, uint64_t token) {
    struct fake_ring *fake = fake_of(ring);
    assert_true(fake->sockets[socket].is_armed);
    assert_true(fake->sockets[socket].receive_token == token);
    assert_false(fake->sockets[socket].is_canceled);
    if (fake_fails(fake)) return -EAGAIN;
    fake->sockets[socket].is_canceled = true;
    return 0;
}

static const struct io_ring_ops fake_ops = {
    .name = "fake", .receive = fake_receive, .send = fake_send, .cancel = fake_cancel};

/* ---- a shard that echoes ---- */

struct shard {
    struct fake_ring fake;
    struct conns conns;
    int64_t now_us;
    uint32_t closed;
    uint32_t hellos; /* frames that were taken */
    uint32_t others;
    bool is_holding; /* take frames, but do not answer yet */
    struct frame held[SOCKETS_MAX];
    uint64_t held_id[SOCKETS_MAX];
    uint32_t held_count;
};

static inline void shard_closed(void *context, struct conn *conn) {
    struct shard *shard = context;
    shard->closed += 1;
    assert_int_equal(conn->state, CONN_CLOSING);
}

static inline struct conns_options options_get(void) {
    struct conns_options options = CONNS_OPTIONS_DEFAULT;
    options.connections_max = 8;
    return options;
}

static inline struct shard *shard_create(struct conns_options options) {
    struct shard *shard = calloc(1, sizeof *shard);
    shard->fake.base.ops = &fake_ops;
    shard->now_us = 1000;
    options.closed = shard_closed;
    options.context = shard;
    assert_int_equal(conns_init(&shard->conns, &options, &shard->fake.base), FST_OK);
    return shard;
}

static inline void shard_check(const struct shard *shard) {
    assert_int_equal(conns_check(&shard->conns), FST_OK);
}

static inline void shard_destroy(struct shard *shard) {
    shard_check(shard);
    uint32_t open_count = shard->conns.open_count;
    uint32_t closed = shard->closed;
    conns_deinit(&shard->conns);
    assert_int_equal(shard->closed - closed, open_count);
    for (int i = 0; i < SOCKETS_MAX; i++) {
        if (shard->fake.sockets[i].peer > 0) close(shard->fake.sockets[i].peer);
        free(shard->fake.sockets[i].sent);
    }
    free(shard);
}

static inline void reply_echo(struct conn *conn, const struct frame *frame) {
    uint8_t *room = conn_reply_room(conn, frame->bytes);
    if (room == NULL) {
        conn_reply_error(conn, frame,
                         &(struct frame_error){.status = FST_OVERLOADED, .text = "output"});
        return;
    }
    frame_encode_reply(room, frame->bytes, frame->opcode, frame->request_id, FST_OK);
    memcpy(room + FRAME_HEADER_BYTES, frame->payload, frame->payload_bytes);
    conn_reply_commit(conn, frame->bytes);
}

static inline void frames_answer(struct shard *shard, struct conn *conn, const struct frame *frames,
                                 uint32_t frames_count) {
    for (uint32_t i = 0; i < frames_count; i++) {
        const struct frame *frame = &frames[i];
        if (shard->is_holding && frame->opcode != FRAME_HELLO) {
            assert_in_range(shard->held_count, 0, SOCKETS_MAX - 1);
            shard->held[shard->held_count] = *frame;
            shard->held_id[shard->held_count] = conn->id;
            shard->held_count += 1;
        } else {
            reply_echo(conn, frame);
        }
    }
}

/* Takes all frames, and only then answers them: each must stay readable beside the later ones. */
static inline void shard_read(struct shard *shard, struct conn *conn) {
    struct frame frames[BATCH_MAX];
    uint32_t count = 0;
    while (conn && conn_next_frame(conn, &frames[count])) {
        assert_non_null(frames[count].payload);
        if (frames[count].opcode == FRAME_HELLO) {
            shard->hellos += 1;
            conn_welcome(conn);
        } else {
            shard->others += 1;
        }
        count += 1;
        if (count < BATCH_MAX) continue;
        frames_answer(shard, conn, frames, count);
        count = 0;
    }
    frames_answer(shard, conn, frames, count);
}

/* Serves those whose turn has come, and ends the tick. */
static inline void shard_flush(struct shard *shard) {
    struct conn *conn;
    while ((conn = conns_next_turn(&shard->conns)) != NULL) shard_read(shard, conn);
    conns_expire(&shard->conns, shard->now_us);
    conns_flush(&shard->conns);
    shard_check(shard);
}

static inline struct conn *shard_open(struct shard *shard, int *socket_out) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_in_range(pair[0], 0, SOCKETS_MAX - 1);
    struct fake_socket *fake = &shard->fake.sockets[pair[0]];
    if (fake->peer > 0) close(fake->peer);
    free(fake->sent);
    *fake = (struct fake_socket){.peer = pair[1]};
    *socket_out = pair[0];
    return conns_open(&shard->conns, pair[0], shard->now_us);
}

/* Gives received bytes, from memory that is gone (and overwritten) afterwards. False if nobody
 * listens. */
static inline bool shard_receive(struct shard *shard, int socket, const uint8_t *data,
                                 size_t bytes) {
    struct fake_socket *fake = &shard->fake.sockets[socket];
    if (!fake->is_armed) return false;
    uint8_t *copy = malloc(bytes);
    memcpy(copy, data, bytes);
    struct io_ring_completion completion = {.event = IO_RING_RECEIVED,
                                            .result = (int32_t)bytes,
                                            .token = fake->receive_token,
                                            .data = copy,
                                            .is_armed = true};
    shard_read(shard, conns_complete(&shard->conns, &completion, shard->now_us));
    shard_flush(shard);
    memset(copy, 0xee, bytes);
    free(copy);
    return true;
}

/* The receive ends: 0 for the peer's end, or -errno. */
static inline void shard_end(struct shard *shard, int socket, int result) {
    struct fake_socket *fake = &shard->fake.sockets[socket];
    assert_true(fake->is_armed);
    fake->is_armed = false;
    fake->is_canceled = false;
    struct io_ring_completion completion = {
        .event = IO_RING_RECEIVED, .result = result, .token = fake->receive_token};
    shard_read(shard, conns_complete(&shard->conns, &completion, shard->now_us));
    shard_flush(shard);
}

/* At most `max` bytes of the send under way go out. False if there is none. */
static inline bool shard_sent(struct shard *shard, int socket, size_t max) {
    struct fake_socket *fake = &shard->fake.sockets[socket];
    if (fake->send_data == NULL) return false;
    size_t bytes = fake->send_bytes < max ? fake->send_bytes : max;
    if (fake->sent_bytes + bytes > fake->sent_room) {
        fake->sent_room = 2 * (fake->sent_bytes + bytes);
        fake->sent = realloc(fake->sent, fake->sent_room);
    }
    memcpy(fake->sent + fake->sent_bytes, fake->send_data, bytes);
    fake->sent_bytes += bytes;
    fake->send_data = NULL;
    struct io_ring_completion completion = {
        .event = IO_RING_SENT, .result = (int32_t)bytes, .token = fake->send_token};
    shard_read(shard, conns_complete(&shard->conns, &completion, shard->now_us));
    shard_flush(shard);
    return true;
}

static inline void shard_send_fails(struct shard *shard, int socket, int result) {
    struct fake_socket *fake = &shard->fake.sockets[socket];
    assert_non_null(fake->send_data);
    fake->send_data = NULL;
    struct io_ring_completion completion = {
        .event = IO_RING_SENT, .result = result, .token = fake->send_token};
    assert_null(conns_complete(&shard->conns, &completion, shard->now_us));
    shard_flush(shard);
}

static inline void shard_send_all(struct shard *shard, int socket) {
    while (shard_sent(shard, socket, SIZE_MAX)) continue;
}

/* ---- streams of frames ---- */

struct stream {
    uint8_t *data;
    size_t bytes;
    uint32_t frames;
};

static inline void stream_append(struct stream *stream, enum frame_opcode opcode,
                                 uint32_t frame_bytes) {
    stream->data = realloc(stream->data, stream->bytes + frame_bytes);
    uint8_t *at = stream->data + stream->bytes;
    frame_encode_request(at, frame_bytes, opcode, 100 + stream->frames, 7);
    for (uint32_t i = FRAME_HEADER_BYTES; i < frame_bytes; i++) {
        at[i] = (uint8_t)(i * 31 + stream->frames * 7);
    }
    stream->bytes += frame_bytes;
    stream->frames += 1;
}

static inline struct stream stream_hello(void) {
    struct stream stream = {.data = NULL};
    stream_append(&stream, FRAME_HELLO, 60);
    return stream;
}

static inline struct stream stream_small(void) {
    struct stream stream = stream_hello();
    stream_append(&stream, FRAME_PING, 16);
    stream_append(&stream, FRAME_GET, 100);
    stream_append(&stream, FRAME_PING, 16);
    stream_append(&stream, FRAME_PING, 16);
    stream_append(&stream, FRAME_WRITE, 333);
    stream_append(&stream, FRAME_PREPARE, 17);
    return stream;
}

/* What an echo sends back: the same bytes, with reply flags and status 0 in the headers. */
static inline void stream_echo(struct stream *stream) {
    for (size_t at = 0; at < stream->bytes; at += load_u32(stream->data + at)) {
        stream->data[at + 5] = FRAME_FLAG_REPLY;
        store_u32(stream->data + at + 12, FST_OK);
    }
}

static inline void sent_check(struct shard *shard, int socket, struct stream *stream) {
    shard_send_all(shard, socket);
    stream_echo(stream);
    const struct fake_socket *fake = &shard->fake.sockets[socket];
    assert_int_equal(fake->sent_bytes, stream->bytes);
    assert_memory_equal(fake->sent, stream->data, stream->bytes);
}

/* Decodes the last frame that was sent, which must be an error reply. */
static inline enum fst_status error_sent(struct shard *shard, int socket, char *text,
                                         size_t text_room) {
    shard_send_all(shard, socket);
    const struct fake_socket *fake = &shard->fake.sockets[socket];
    struct frame_rules rules = {
        .frame_bytes_max = 1 << 30, .bulk_bytes_max = 1 << 30, .is_reply = true};
    size_t at = 0;
    struct frame frame = {.bytes = 0};
    const char *field = NULL;
    while (at < fake->sent_bytes) {
        assert_int_equal(
            frame_decode(fake->sent + at, fake->sent_bytes - at, &rules, &frame, &field), FST_OK);
        at += frame.bytes;
    }
    assert_int_equal(at, fake->sent_bytes);
    uint32_t retry_us = 0;
    struct bytes error_text;
    assert_int_equal(frame_decode_error(&frame, &retry_us, &error_text), FST_OK);
    assert_in_range(error_text.bytes, 1, text_room - 1);
    memcpy(text, error_text.data, error_text.bytes);
    text[error_text.bytes] = 0;
    return (enum fst_status)frame.handle;
}

/* A connection that said HELLO. */
static inline struct conn *shard_welcome(struct shard *shard, int *socket_out) {
    struct conn *conn = shard_open(shard, socket_out);
    assert_non_null(conn);
    shard_flush(shard);
    struct stream hello = stream_hello();
    assert_true(shard_receive(shard, *socket_out, hello.data, hello.bytes));
    shard_send_all(shard, *socket_out);
    shard->fake.sockets[*socket_out].sent_bytes = 0;
    free(hello.data);
    assert_true(conn->is_welcome);
    return conn;
}

/* How many bytes come in one piece: mostly few, sometimes many. */
static inline size_t next_random(void *context) {
    struct random *random = context;
    size_t magnitude = random_get(random) % 18;
    return 1 + random_get(random) % ((size_t)1 << magnitude);
}

#endif
