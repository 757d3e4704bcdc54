/* Shows that every limit, deadline and malformed frame of a connection is answered as promised, at
 * the limit and one past it, and that connections end in order: on a fake ring with a clock that
 * only the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "net/conn.h"
#include "tests/net/conn_shard.h"

/* ---- bad frames ---- */

static const struct bad_case {
    const char *name;
    const char *text; /* how the answer begins */
    uint32_t length;
    uint8_t opcode;
    uint8_t flags;
    uint16_t reserved;
    bool is_welcome;
    enum fst_status status; /* OK: at the limit, and taken */
} bad_cases[] = {
    {"length 0", "length", 0, FRAME_PING, 0, 0, true, FST_BAD_FRAME},
    {"length 15", "length", 15, FRAME_PING, 0, 0, true, FST_BAD_FRAME},
    {"length 16", NULL, 16, FRAME_PING, 0, 0, true, FST_OK},
    {"get at its limit", NULL, FRAME_BYTES_MAX, FRAME_GET, 0, 0, true, FST_OK},
    {"get past its limit", "length", FRAME_BYTES_MAX + 1, FRAME_GET, 0, 0, true, FST_TOO_LARGE},
    {"write at its limit", NULL, FRAME_BULK_BYTES_MAX, FRAME_WRITE, 0, 0, true, FST_OK},
    {"write past its limit", "length", FRAME_BULK_BYTES_MAX + 1, FRAME_WRITE, 0, 0, true,
     FST_TOO_LARGE},
    {"longest length", "length", UINT32_MAX, FRAME_CONTROL, 0, 0, true, FST_TOO_LARGE},
    {"hello at its limit", NULL, FRAME_HELLO_BYTES_MAX, FRAME_HELLO, 0, 0, false, FST_OK},
    {"hello past its limit", "length", FRAME_HELLO_BYTES_MAX + 1, FRAME_HELLO, 0, 0, false,
     FST_TOO_LARGE},
    {"write past the limit before hello", "length", FRAME_HELLO_BYTES_MAX + 1, FRAME_WRITE, 0, 0,
     false, FST_TOO_LARGE},
    {"opcode 0", "opcode", 16, 0, 0, 0, true, FST_BAD_FRAME},
    {"opcode 7", "opcode", 16, 7, 0, 0, true, FST_BAD_FRAME},
    {"opcode 255", "opcode", 16, 255, 0, 0, true, FST_BAD_FRAME},
    {"a reply", "flags", 16, FRAME_PING, 1, 0, true, FST_BAD_FRAME},
    {"unknown flag", "flags", 16, FRAME_PING, 0x80, 0, true, FST_BAD_FRAME},
    {"reserved", "reserved", 16, FRAME_PING, 0, 0x100, true, FST_BAD_FRAME},
};

static void bad_case_run(const struct bad_case *c, size_t piece_bytes) {
    struct shard *shard = shard_create(options_get());
    int socket = -1;
    struct conn *conn = NULL;
    if (c->is_welcome) {
        conn = shard_welcome(shard, &socket);
    } else {
        conn = shard_open(shard, &socket);
        shard_flush(shard);
    }
    size_t bytes = c->status == FST_OK ? c->length : 1000;
    uint8_t *data = calloc(1, bytes);
    store_u32(data, c->length);
    data[4] = c->opcode;
    data[5] = c->flags;
    store_u16(data + 6, c->reserved);
    store_u32(data + 8, 77);
    for (size_t at = 0; at < bytes; at += piece_bytes) {
        size_t piece = bytes - at < piece_bytes ? bytes - at : piece_bytes;
        assert_true(shard_receive(shard, socket, data + at, piece));
    }
    if (c->status == FST_OK) {
        assert_int_equal(conn->state, CONN_OPEN);
        assert_int_equal(shard->conns.counts.bad_frames, 0);
    } else {
        char text[FRAME_ERROR_TEXT_BYTES_MAX + 1];
        assert_int_equal(error_sent(shard, socket, text, sizeof text), c->status);
        assert_memory_equal(text, c->text, strlen(c->text));
        bool has_header = c->length >= FRAME_HEADER_BYTES;
        assert_int_equal(load_u32(shard->fake.sockets[socket].sent + 8), has_header ? 77 : 0);
        assert_int_equal(conn->state, CONN_DRAINING);
        assert_int_equal(shard->conns.counts.bad_frames, 1);
        shard_end(shard, socket, 0);
        assert_int_equal(shard->closed, 1);
    }
    free(data);
    shard_destroy(shard);
}

/* Each fault is answered once, names its field, and ends the connection after the answer is read.
 */
static void test_bad_frames(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_cases / sizeof bad_cases[0]; i++) {
        print_message("  %s\n", bad_cases[i].name);
        bad_case_run(&bad_cases[i], SIZE_MAX);
        bad_case_run(&bad_cases[i], bad_cases[i].status == FST_OK ? 5000 : 1);
    }
}

/* ---- limits ---- */

static void test_requests_in_flight(void **state) {
    (void)state;
    struct conns_options options = options_get();
    options.in_flight_max = 5;
    struct shard *shard = shard_create(options);
    int socket = -1;
    struct conn *conn = shard_welcome(shard, &socket);
    shard->is_holding = true;
    struct stream stream = {.data = NULL};
    for (int i = 0; i < 5; i++) stream_append(&stream, FRAME_GET, 40);
    assert_true(shard_receive(shard, socket, stream.data, stream.bytes));
    assert_int_equal(shard->held_count, 5);
    assert_int_equal(conn->in_flight, 5);
    shard_send_all(shard, socket);
    assert_int_equal(shard->fake.sockets[socket].sent_bytes, 0);

    assert_true(shard_receive(shard, socket, stream.data, 40)); /* one past */
    assert_int_equal(shard->held_count, 5);
    assert_int_equal(conn->in_flight, 5);
    char text[FRAME_ERROR_TEXT_BYTES_MAX + 1];
    assert_int_equal(error_sent(shard, socket, text, sizeof text), FST_OVERLOADED);
    assert_int_equal(shard->conns.counts.overloaded, 1);
    assert_int_equal(conn->state, CONN_OPEN);

    reply_echo(conn, &(struct frame){.bytes = 16, .opcode = FRAME_GET, .payload = stream.data});
    shard_flush(shard);
    assert_true(shard_receive(shard, socket, stream.data, 40)); /* room again */
    assert_int_equal(shard->held_count, 6);
    free(stream.data);
    shard_destroy(shard);
}

static void test_connections(void **state) {
    (void)state;
    struct conns_options options = options_get();
    options.connections_max = 3;
    struct shard *shard = shard_create(options);
    int sockets[3];
    for (int i = 0; i < 3; i++) assert_non_null(shard_open(shard, &sockets[i]));
    int refused[CONN_SPARES];
    for (int i = 0; i < CONN_SPARES; i++) assert_null(shard_open(shard, &refused[i]));
    shard_flush(shard);
    for (int i = 0; i < CONN_SPARES; i++) {
        char text[FRAME_ERROR_TEXT_BYTES_MAX + 1];
        assert_int_equal(error_sent(shard, refused[i], text, sizeof text), FST_OVERLOADED);
    }
    int beyond = -1;
    assert_null(shard_open(shard, &beyond));
    assert_int_equal(fcntl(beyond, F_GETFD), -1);
    assert_int_equal(shard->conns.counts.refused, CONN_SPARES + 1);

    shard_end(shard, refused[0], 0);
    assert_null(shard_open(shard, &beyond)); /* A spare slot is free, but no other. */
    shard_end(shard, sockets[1], 0);
    assert_non_null(shard_open(shard, &beyond));
    shard_flush(shard);
    shard_destroy(shard);
}

/* Two that share a limit: each has room of its own left when both together have none. */
static void test_connections_together(void **state) {
    (void)state;
    struct conns_total total = {.max = 3};
    struct conns_options options = options_get();
    options.connections_max = 2;
    options.total = &total;
    struct shard *first = shard_create(options);
    struct shard *second = shard_create(options);
    int sockets[4];
    assert_non_null(shard_open(first, &sockets[0]));
    assert_non_null(shard_open(second, &sockets[1]));
    assert_non_null(shard_open(first, &sockets[2]));
    assert_null(shard_open(second, &sockets[3]));
    shard_flush(first);
    shard_flush(second);
    char text[FRAME_ERROR_TEXT_BYTES_MAX + 1];
    assert_int_equal(error_sent(second, sockets[3], text, sizeof text), FST_OVERLOADED);
    assert_int_equal(total.open_count, 3);
    shard_end(second, sockets[3], 0); /* It was not counted. */
    assert_null(shard_open(second, &sockets[3]));
    shard_end(first, sockets[0], 0);
    assert_int_equal(total.open_count, 2);
    int again = -1;
    assert_non_null(shard_open(second, &again));
    assert_int_equal(total.open_count, 3);
    shard_flush(first);
    shard_flush(second);
    shard_destroy(first);
    shard_destroy(second);
}

/* A connection whose peer does not read: it is read no more, then refuses replies, and goes on
 * when the output is gone, with every frame that had arrived. */
static void test_output_limit(void **state) {
    (void)state;
    enum { OUTPUT_MAX = 1 << 20, FRAME_BYTES = 100 << 10, FRAMES = 40 };
    struct conns_options options = options_get();
    options.output_bytes_max = OUTPUT_MAX;
    struct shard *shard = shard_create(options);
    int socket = -1;
    struct conn *conn = shard_welcome(shard, &socket);
    struct stream stream = {.data = NULL};
    for (int i = 0; i < FRAMES; i++) stream_append(&stream, FRAME_GET, FRAME_BYTES);
    size_t given = 0;
    const struct fake_socket *fake = &shard->fake.sockets[socket];
    for (; given < stream.bytes && !fake->is_canceled; given += FRAME_BYTES / 2) {
        assert_true(shard_receive(shard, socket, stream.data + given, FRAME_BYTES / 2));
    }
    assert_true(conn->is_paused);
    assert_in_range(conn->output.bytes, CONN_PAUSE_BYTES, CONN_PAUSE_BYTES + FRAME_BYTES);
    assert_true(input_backlog_bytes(&conn->input) >= CONN_BACKLOG_BYTES);
    uint32_t taken = shard->others;
    /* More was on its way when the receive was ended; it is kept. */
    assert_true(shard_receive(shard, socket, stream.data + given, 3 * FRAME_BYTES / 2));
    given += 3 * FRAME_BYTES / 2;
    assert_true(shard_receive(shard, socket, stream.data + given, FRAME_BYTES / 4));
    given += FRAME_BYTES / 4;
    assert_int_equal(shard->others, taken);
    shard_end(shard, socket, -ECANCELED);
    assert_false(fake->is_armed);
    assert_null(conn_reply_room(conn, OUTPUT_MAX - conn->output.bytes + 1));
    assert_non_null(conn_reply_room(conn, OUTPUT_MAX - conn->output.bytes));
    assert_non_null(conn_reply_room(conn, CONN_SMALL_REPLY_BYTES));

    while (conn->is_paused) assert_true(shard_sent(shard, socket, 10000));
    assert_true(fake->is_armed);
    assert_true(shard->others > taken);
    while (given < stream.bytes) {
        size_t piece = stream.bytes - given < 30000 ? stream.bytes - given : 30000;
        while (!fake->is_armed || fake->is_canceled) {
            if (fake->is_canceled) shard_end(shard, socket, -ECANCELED);
            (void)shard_sent(shard, socket, 50000);
        }
        assert_true(shard_receive(shard, socket, stream.data + given, piece));
        given += piece;
    }
    sent_check(shard, socket, &stream);
    assert_int_equal(shard->others, FRAMES);
    free(stream.data);
    shard_destroy(shard);
}

/* A reply of any size is possible while nothing else waits; there are as many as there are chunks.
 */
static void test_large_replies(void **state) {
    (void)state;
    struct conns_options options = options_get();
    options.chunks_16m_max = 1;
    options.output_bytes_max = 1 << 20;
    struct shard *shard = shard_create(options);
    int sockets[2];
    struct conn *first = shard_welcome(shard, &sockets[0]);
    struct conn *second = shard_welcome(shard, &sockets[1]);
    assert_null(conn_reply_room(first, (16 << 20) + 1));
    assert_non_null(conn_reply_room(first, 16 << 20));
    assert_null(conn_reply_room(second, 16 << 20));
    assert_non_null(conn_reply_room(second, 1 << 20));
    assert_non_null(conn_reply_room(second, 16));
    shard_destroy(shard);
}

/* No chunk for a large frame: the request is answered OVERLOADED, its bytes are skipped, and the
 * next request is served as if nothing had been. */
static void test_no_memory_for_a_frame(void **state) {
    (void)state;
    static const size_t pieces[] = {1 << 30, 1000003, 4099, 65536};
    for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        struct conns_options options = options_get();
        options.chunks_16m_max = 1;
        struct shard *shard = shard_create(options);
        int sockets[2];
        for (int i = 0; i < 2; i++) (void)shard_welcome(shard, &sockets[i]);
        struct stream holder = {.data = NULL};
        stream_append(&holder, FRAME_WRITE, 3 << 20);
        assert_true(shard_receive(shard, sockets[0], holder.data, 500));

        struct stream stream = {.data = NULL};
        stream_append(&stream, FRAME_WRITE, 2 << 20);
        size_t large_bytes = stream.bytes;
        stream_append(&stream, FRAME_PING, 16);
        /* The first piece is short, so that the large frame cannot be whole in place. */
        for (size_t at = 0; at < stream.bytes;) {
            size_t piece = at == 0 ? 20 : pieces[p];
            if (piece > stream.bytes - at) piece = stream.bytes - at;
            assert_true(shard_receive(shard, sockets[1], stream.data + at, piece));
            at += piece;
        }
        assert_int_equal(shard->conns.counts.overloaded, 1);
        assert_int_equal(shard->others, 1);
        shard_send_all(shard, sockets[1]);
        const struct fake_socket *fake = &shard->fake.sockets[sockets[1]];
        assert_int_equal(load_u32(fake->sent + 12), FST_OVERLOADED);
        assert_int_equal(load_u32(fake->sent + 8), 100);
        const uint8_t *ping = fake->sent + load_u32(fake->sent);
        assert_int_equal(load_u32(ping), 16);
        assert_int_equal(load_u32(ping + 8), 101);
        assert_true(large_bytes < stream.bytes);

        assert_true(shard_receive(shard, sockets[0], holder.data + 500, holder.bytes - 500));
        assert_int_equal(shard->others, 2);
        free(holder.data);
        free(stream.data);
        shard_destroy(shard);
    }
}

/* ---- before HELLO ---- */

/* One frame is handed out until it is answered; what came behind it waits. */
static void test_only_one_frame_before_welcome(void **state) {
    (void)state;
    struct shard *shard = shard_create(options_get());
    int socket = -1;
    struct conn *conn = shard_open(shard, &socket);
    shard_flush(shard);
    struct stream stream = stream_small();
    uint8_t *copy = malloc(stream.bytes);
    memcpy(copy, stream.data, stream.bytes);
    struct io_ring_completion completion = {.event = IO_RING_RECEIVED,
                                            .result = (int32_t)stream.bytes,
                                            .token = conn->id,
                                            .data = copy,
                                            .is_armed = true};
    struct frame frame;
    assert_ptr_equal(conns_complete(&shard->conns, &completion, shard->now_us), conn);
    assert_true(conn_next_frame(conn, &frame));
    assert_int_equal(frame.opcode, FRAME_HELLO);
    assert_false(conn_next_frame(conn, &frame));
    shard_flush(shard);
    assert_false(shard->fake.sockets[socket].is_canceled); /* The answer may come any moment. */
    memset(copy, 0xee, stream.bytes);
    free(copy);
    while (stream.bytes - 60 < CONN_BACKLOG_BYTES) {
        assert_false(shard->fake.sockets[socket].is_canceled);
        stream_append(&stream, FRAME_GET, 2000);
        assert_true(shard_receive(shard, socket, stream.data + stream.bytes - 2000, 2000));
    }
    assert_true(shard->fake.sockets[socket].is_canceled);
    assert_int_equal(shard->hellos + shard->others, 0);
    shard_end(shard, socket, -ECANCELED);
    assert_false(shard->fake.sockets[socket].is_armed);

    conn_welcome(conn);
    reply_echo(conn, &(struct frame){.bytes = 60,
                                     .opcode = FRAME_HELLO,
                                     .request_id = 100,
                                     .payload = stream.data + 16,
                                     .payload_bytes = 44});
    shard_read(shard, conn);
    shard_flush(shard);
    assert_true(shard->fake.sockets[socket].is_armed);
    assert_int_equal(shard->others, stream.frames - 1);
    sent_check(shard, socket, &stream);
    free(stream.data);
    shard_destroy(shard);
}

static void test_refusal_ends_after_its_reply(void **state) {
    (void)state;
    struct shard *shard = shard_create(options_get());
    int socket = -1;
    struct conn *conn = shard_open(shard, &socket);
    shard_flush(shard);
    conn->in_flight = 1; /* as if its HELLO had been handed out */
    conn_refuse(conn, &(struct frame){.opcode = FRAME_HELLO, .request_id = 9},
                &(struct frame_error){.status = FST_UNAUTHENTICATED, .text = "wrong key"});
    shard_flush(shard);
    struct stream stream = stream_small();
    assert_true(shard_receive(shard, socket, stream.data, stream.bytes)); /* discarded */
    char byte = 0;
    int peer = shard->fake.sockets[socket].peer;
    assert_int_equal(recv(peer, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(shard->hellos + shard->others, 0);
    char text[FRAME_ERROR_TEXT_BYTES_MAX + 1];
    assert_int_equal(error_sent(shard, socket, text, sizeof text), FST_UNAUTHENTICATED);
    assert_string_equal(text, "wrong key");
    assert_int_equal(recv(peer, &byte, 1, MSG_DONTWAIT), 0); /* our half is shut */
    assert_int_equal(shard->closed, 0);
    shard_end(shard, socket, 0);
    assert_int_equal(shard->closed, 1);
    free(stream.data);
    shard_destroy(shard);
}

/* ---- the end of a connection ---- */

static void test_half_close_is_answered(void **state) {
    (void)state;
    struct shard *shard = shard_create(options_get());
    int socket = -1;
    struct conn *conn = shard_welcome(shard, &socket);
    shard->is_holding = true;
    struct stream stream = {.data = NULL};
    stream_append(&stream, FRAME_GET, 40);
    stream_append(&stream, FRAME_GET, 40);
    assert_true(shard_receive(shard, socket, stream.data, stream.bytes));
    shard_end(shard, socket, 0);
    assert_int_equal(conn->state, CONN_OPEN);
    assert_int_equal(shard->held_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct conn *found = conns_find(&shard->conns, shard->held_id[i]);
        assert_ptr_equal(found, conn);
        shard->held[i].payload = stream.data + 40 * i + 16;
        reply_echo(found, &shard->held[i]);
        shard_flush(shard);
        assert_int_equal(shard->closed, 0);
    }
    sent_check(shard, socket, &stream);
    assert_int_equal(shard->closed, 1);
    assert_null(conns_find(&shard->conns, shard->held_id[0]));
    free(stream.data);
    shard_destroy(shard);
}

/* The socket stays open until receive and send have ended, in either order; then its number and
 * slot are used again, and the old id finds nobody. */
static void test_close_waits_for_what_is_under_way(void **state) {
    (void)state;
    for (int order = 0; order < 2; order++) {
        struct shard *shard = shard_create(options_get());
        int socket = -1;
        struct conn *conn = shard_welcome(shard, &socket);
        uint64_t id = conn->id;
        struct stream stream = {.data = NULL};
        stream_append(&stream, FRAME_GET, 40);
        assert_true(shard_receive(shard, socket, stream.data, stream.bytes));
        assert_non_null(shard->fake.sockets[socket].send_data);
        conn_close(conn);
        assert_null(conns_find(&shard->conns, id));
        assert_null(conn_reply_room(conn, 16));
        shard_flush(shard);
        assert_int_equal(shard->conns.chunks.pools[CHUNK_64K].objects_used, 1); /* being sent */
        assert_true(fcntl(socket, F_GETFD) >= 0);
        if (order == 0) {
            shard_end(shard, socket, 0);
            assert_true(fcntl(socket, F_GETFD) >= 0);
            shard_send_fails(shard, socket, -EPIPE);
        } else {
            shard_send_fails(shard, socket, -EPIPE);
            assert_true(fcntl(socket, F_GETFD) >= 0);
            shard_end(shard, socket, -ECONNRESET);
        }
        assert_int_equal(fcntl(socket, F_GETFD), -1);
        assert_int_equal(shard->closed, 1);
        struct conn *next = shard_open(shard, &socket);
        assert_ptr_equal(next, conn);
        assert_true(next->id != id);
        assert_null(conns_find(&shard->conns, id));
        shard_flush(shard);
        free(stream.data);
        shard_destroy(shard);
    }
}

/* A reply may be filled in after its commit, up to the flush, even when the connection is gone. */
static void test_replies_are_filled_late(void **state) {
    (void)state;
    struct shard *shard = shard_create(options_get());
    int socket = -1;
    struct conn *conn = shard_welcome(shard, &socket);
    for (int is_closed = 0; is_closed < 2; is_closed++) {
        conn->in_flight = 2;
        uint8_t *first = conn_reply_room(conn, 100);
        conn_reply_commit(conn, 100);
        uint8_t *second = conn_reply_room(conn, CONN_SMALL_REPLY_BYTES);
        conn_reply_commit(conn, 16);
        if (is_closed) conn_close(conn);
        memset(first, 'a', 100);
        memset(second, 'b', 16);
        shard_flush(shard);
        if (is_closed) break;
        const struct fake_socket *fake = &shard->fake.sockets[socket];
        assert_true(shard_sent(shard, socket, SIZE_MAX));
        assert_int_equal(fake->sent_bytes, 116);
        assert_int_equal(fake->sent[0], 'a');
        assert_int_equal(fake->sent[115], 'b');
    }
    shard_end(shard, socket, 0);
    assert_int_equal(shard->closed, 1);
    shard_destroy(shard);
}

static void test_drain_answers_then_ends(void **state) {
    (void)state;
    struct shard *shard = shard_create(options_get());
    int sockets[2];
    (void)shard_welcome(shard, &sockets[0]);
    struct conn *busy = shard_welcome(shard, &sockets[1]);
    shard->is_holding = true;
    struct stream stream = {.data = NULL};
    stream_append(&stream, FRAME_GET, 40);
    assert_true(shard_receive(shard, sockets[1], stream.data, stream.bytes));
    conns_drain(&shard->conns);
    shard_flush(shard);
    shard_end(shard, sockets[0], 0);
    assert_int_equal(shard->conns.open_count, 1);
    assert_true(shard_receive(shard, sockets[1], stream.data, stream.bytes)); /* too late */
    assert_int_equal(shard->held_count, 1);
    shard->held[0].payload = stream.data + 16;
    reply_echo(busy, &shard->held[0]);
    shard_flush(shard);
    sent_check(shard, sockets[1], &stream);
    shard_end(shard, sockets[1], 0);
    assert_int_equal(shard->conns.open_count, 0);
    free(stream.data);
    shard_destroy(shard);
}

/* ---- deadlines ---- */

/* Moves the clock to just before the deadline, where nothing happens, then to it. */
static void deadline_pass(struct shard *shard, int64_t after_us) {
    uint64_t expired = shard->conns.counts.expired;
    assert_true(conns_deadline_us(&shard->conns) == shard->now_us + after_us);
    shard->now_us += after_us - 1;
    shard_flush(shard);
    assert_int_equal(shard->conns.counts.expired, expired);
    shard->now_us += 1;
    shard_flush(shard);
    assert_int_equal(shard->conns.counts.expired, expired + 1);
}

static void test_handshake_deadline(void **state) {
    (void)state;
    struct shard *shard = shard_create(options_get());
    int socket = -1;
    assert_non_null(shard_open(shard, &socket));
    struct stream hello = stream_hello();
    shard_flush(shard);
    assert_true(shard_receive(shard, socket, hello.data, hello.bytes - 1));
    deadline_pass(shard, 5 * SECOND_US);
    char text[FRAME_ERROR_TEXT_BYTES_MAX + 1];
    assert_int_equal(error_sent(shard, socket, text, sizeof text), FST_TIMEOUT);
    assert_memory_equal(text, "HELLO", 5);
    deadline_pass(shard, 5 * SECOND_US); /* The peer reads on and never closes. */
    shard_end(shard, socket, 0);
    assert_int_equal(shard->closed, 1);
    free(hello.data);
    shard_destroy(shard);
}

/* The time of a frame starts with its first byte and is not prolonged by the ones between. */
static void test_partial_deadline(void **state) {
    (void)state;
    struct shard *shard = shard_create(options_get());
    int socket = -1;
    (void)shard_welcome(shard, &socket);
    assert_true(conns_deadline_us(&shard->conns) == INT64_MAX);
    struct stream stream = {.data = NULL};
    stream_append(&stream, FRAME_GET, 100);
    assert_true(shard_receive(shard, socket, stream.data, 1));
    shard->now_us += 9 * SECOND_US;
    assert_true(shard_receive(shard, socket, stream.data + 1, 99)); /* in time */
    assert_true(conns_deadline_us(&shard->conns) == INT64_MAX);
    uint8_t both[101]; /* one frame, and the start of the next */
    memcpy(both, stream.data, 100);
    memcpy(both + 100, stream.data, 1);
    assert_true(shard_receive(shard, socket, both, 1));
    shard->now_us += SECOND_US;
    shard_send_all(shard, socket);
    assert_true(shard_receive(shard, socket, both + 1, 100));
    assert_true(conns_deadline_us(&shard->conns) == shard->now_us + 10 * SECOND_US);
    shard_send_all(shard, socket);
    assert_true(shard_receive(shard, socket, both + 1, 99));
    assert_true(conns_deadline_us(&shard->conns) == INT64_MAX);
    shard_send_all(shard, socket);
    assert_true(shard_receive(shard, socket, stream.data, 50));
    shard->now_us += 4 * SECOND_US;
    assert_true(shard_receive(shard, socket, stream.data + 50, 49));
    deadline_pass(shard, 6 * SECOND_US);
    char text[FRAME_ERROR_TEXT_BYTES_MAX + 1];
    assert_int_equal(error_sent(shard, socket, text, sizeof text), FST_TIMEOUT);
    assert_memory_equal(text, "frame", 5);
    free(stream.data);
    shard_destroy(shard);
}

static void test_stall_deadline(void **state) {
    (void)state;
    struct shard *shard = shard_create(options_get());
    int socket = -1;
    (void)shard_welcome(shard, &socket);
    struct stream stream = {.data = NULL};
    stream_append(&stream, FRAME_GET, 1000);
    assert_true(shard_receive(shard, socket, stream.data, stream.bytes));
    assert_true(conns_deadline_us(&shard->conns) == INT64_MAX); /* Nothing waits behind it. */
    assert_true(shard_receive(shard, socket, stream.data, stream.bytes));
    shard->now_us += 20 * SECOND_US;
    assert_true(shard_sent(shard, socket, 10)); /* progress */
    assert_true(shard_receive(shard, socket, stream.data, stream.bytes));
    deadline_pass(shard, 30 * SECOND_US);
    shard_send_fails(shard, socket, -EPIPE);
    shard_end(shard, socket, 0);
    assert_int_equal(shard->closed, 1);
    free(stream.data);
    shard_destroy(shard);
}

/* A large reply holds memory that others need: it must be taken, piece by piece, also when nothing
 * waits behind it. */
static void test_stall_of_a_large_reply(void **state) {
    (void)state;
    struct shard *shard = shard_create(options_get());
    int socket = -1;
    (void)shard_welcome(shard, &socket);
    struct stream stream = {.data = NULL};
    stream_append(&stream, FRAME_WRITE, 3 << 20);
    assert_true(shard_receive(shard, socket, stream.data, stream.bytes));
    for (int piece = 0; piece < 2; piece++) {
        shard->now_us += 20 * SECOND_US;
        assert_true(shard_sent(shard, socket, SIZE_MAX));
    }
    assert_true(conns_deadline_us(&shard->conns) == shard->now_us + 30 * SECOND_US);
    deadline_pass(shard, 30 * SECOND_US);
    shard_send_fails(shard, socket, -EPIPE);
    shard_end(shard, socket, 0);
    assert_int_equal(shard->closed, 1);
    free(stream.data);
    shard_destroy(shard);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_requests_in_flight),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_connections_together),
        cmocka_unit_test(test_output_limit),
        cmocka_unit_test(test_large_replies),
        cmocka_unit_test(test_no_memory_for_a_frame),
        cmocka_unit_test(test_only_one_frame_before_welcome),
        cmocka_unit_test(test_refusal_ends_after_its_reply),
        cmocka_unit_test(test_half_close_is_answered),
        cmocka_unit_test(test_close_waits_for_what_is_under_way),
        cmocka_unit_test(test_replies_are_filled_late),
        cmocka_unit_test(test_drain_answers_then_ends),
        cmocka_unit_test(test_handshake_deadline),
        cmocka_unit_test(test_partial_deadline),
        cmocka_unit_test(test_stall_deadline),
        cmocka_unit_test(test_stall_of_a_large_reply),
    };
    return cmocka_run_group_tests_name("net/conn_limits", tests, NULL, NULL);
}
