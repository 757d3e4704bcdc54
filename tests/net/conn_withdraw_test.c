/* Shows that a reply that is taken back is owed again: others overtake it, its connection waits for
 * it, its request counts against the limit, and frames that waited for room are handed out. On a
 * fake ring, with replies that the test commits and withdraws itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "net/conn.h"
#include "tests/net/conn_shard.h"

enum { FRAME_BYTES = 16, FRAMES_MAX = 64 };

/* A reply that is committed, and may be taken back until the end of the tick. */
struct committed {
    struct frame frame;
    uint8_t *room;
    size_t bytes;
};

struct world {
    struct shard *shard;
    struct conn *conn;
    int socket;
    uint32_t next; /* request id */
    size_t reply_bytes;
    struct committed replies[FRAMES_MAX];
    uint32_t replies_count;
};

static void world_init(struct world *world, struct conns_options options) {
    *world = (struct world){.shard = shard_create(options), .reply_bytes = FRAME_BYTES};
    world->conn = shard_welcome(world->shard, &world->socket);
}

static void reply_commit(struct world *world, const struct frame *frame) {
    uint8_t *room = conn_reply_room(world->conn, world->reply_bytes);
    assert_non_null(room);
    memset(room, 0, world->reply_bytes);
    frame_encode_reply(room, (uint32_t)world->reply_bytes, FRAME_PING, frame->request_id, FST_OK);
    conn_reply_commit(world->conn, world->reply_bytes);
    assert_in_range(world->replies_count, 0, FRAMES_MAX - 1);
    world->replies[world->replies_count++] =
        (struct committed){.frame = *frame, .room = room, .bytes = world->reply_bytes};
}

static void frames_take(struct world *world, struct conn *conn) {
    struct frame frame;
    while (conn && conn_next_frame(conn, &frame)) reply_commit(world, &frame);
}

static void frames_arrive(struct world *world, uint32_t count) {
    uint8_t data[FRAMES_MAX * FRAME_BYTES] = {0};
    for (uint32_t i = 0; i < count; i++) {
        frame_encode_request(data + (size_t)i * FRAME_BYTES, FRAME_BYTES, FRAME_PING, ++world->next,
                             0);
    }
    const struct fake_socket *fake = &world->shard->fake.sockets[world->socket];
    struct io_ring_completion completion = {.event = IO_RING_RECEIVED,
                                            .result = (int32_t)(count * FRAME_BYTES),
                                            .token = fake->receive_token,
                                            .data = data,
                                            .is_armed = true};
    frames_take(world, conns_complete(&world->shard->conns, &completion, world->shard->now_us));
}

static bool reply_withdraw(struct world *world, uint32_t number) {
    const struct committed *reply = &world->replies[number];
    return conn_reply_withdraw(world->conn, &reply->frame, reply->room, reply->bytes);
}

/* Ends the tick, sends everything, and lists the ids of the replies. */
static void ids_sent(struct world *world, uint32_t ids_out[FRAMES_MAX], uint32_t *count_out) {
    struct fake_socket *fake = &world->shard->fake.sockets[world->socket];
    world->replies_count = 0;
    fake->sent_bytes = 0;
    conns_flush(&world->shard->conns);
    shard_check(world->shard);
    shard_send_all(world->shard, world->socket);
    *count_out = 0;
    for (size_t at = 0; at < fake->sent_bytes; at += load_u32(fake->sent + at)) {
        assert_in_range(*count_out, 0, FRAMES_MAX - 1);
        ids_out[(*count_out)++] = load_u32(fake->sent + at + 8);
    }
}

static void sent_expect(struct world *world, const uint32_t *wanted, uint32_t wanted_count) {
    uint32_t ids[FRAMES_MAX];
    uint32_t count;
    ids_sent(world, ids, &count);
    assert_int_equal(count, wanted_count);
    for (uint32_t i = 0; i < count; i++) assert_int_equal(ids[i], wanted[i]);
}

static void test_others_overtake(void **state) {
    (void)state;
    struct world world;
    world_init(&world, options_get());
    frames_arrive(&world, 5);
    assert_int_equal(world.conn->in_flight, 0);
    struct frame second = world.replies[1].frame, fourth = world.replies[3].frame;
    assert_true(reply_withdraw(&world, 3));
    assert_true(reply_withdraw(&world, 1));
    assert_int_equal(world.conn->in_flight, 2);
    sent_expect(&world, (uint32_t[]){1, 3, 5}, 3);
    frames_arrive(&world, 1);
    reply_commit(&world, &fourth);
    reply_commit(&world, &second);
    sent_expect(&world, (uint32_t[]){6, 4, 2}, 3);
    assert_int_equal(world.conn->in_flight, 0);
    shard_destroy(world.shard);
}

/* A peer that has closed its half gets what it is owed before its connection ends. */
static void test_end_waits(void **state) {
    (void)state;
    struct world world;
    world_init(&world, options_get());
    frames_arrive(&world, 1);
    struct frame first = world.replies[0].frame;
    assert_true(reply_withdraw(&world, 0));
    world.shard->fake.sockets[world.socket].is_armed = false;
    struct io_ring_completion end = {.event = IO_RING_RECEIVED, .token = world.conn->id};
    assert_null(conns_complete(&world.shard->conns, &end, world.shard->now_us));
    sent_expect(&world, NULL, 0);
    assert_int_equal(world.shard->closed, 0);
    reply_commit(&world, &first);
    sent_expect(&world, (uint32_t[]){1}, 1);
    assert_int_equal(world.shard->closed, 1);
    shard_destroy(world.shard);
}

/* More may be handed out than may wait, because they were answered: beyond the limit those that are
 * taken back are answered, the oldest. */
static void test_requests_in_flight(void **state) {
    (void)state;
    struct conns_options options = options_get();
    options.in_flight_max = 2;
    struct world world;
    world_init(&world, options);
    frames_arrive(&world, 4);
    for (uint32_t i = 4; i > 0; i--) assert_int_equal(reply_withdraw(&world, i - 1), i > 2);
    assert_int_equal(world.conn->in_flight, 2);
    assert_int_equal(world.shard->conns.counts.overloaded, 2);
    sent_expect(&world, (uint32_t[]){2, 1}, 2);
    shard_destroy(world.shard);
}

/* Frames that waited because of replies that were then taken back get a turn, though nothing more
 * is sent or received. */
static void test_waiting_frames_go_on(void **state) {
    (void)state;
    struct world world;
    world_init(&world, options_get());
    world.reply_bytes = CONN_PAUSE_BYTES / 2;
    frames_arrive(&world, 3);
    assert_true(world.conn->is_paused);
    assert_int_equal(world.replies_count, 2);
    assert_true(reply_withdraw(&world, 1));
    assert_true(reply_withdraw(&world, 0));
    assert_false(world.conn->is_paused);
    conns_flush(&world.shard->conns);
    shard_check(world.shard);
    assert_int_equal(conns_deadline_us(&world.shard->conns), world.shard->now_us);
    world.replies_count = 0;
    frames_take(&world, conns_next_turn(&world.shard->conns));
    sent_expect(&world, (uint32_t[]){3}, 1);
    assert_int_equal(world.conn->in_flight, 2);
    shard_destroy(world.shard);
}

/* Once nothing is left to be taken nobody is waited for, though a reply stood behind others when
 * the last of them was taken. */
static void test_no_stall_without_output(void **state) {
    (void)state;
    struct world world;
    world_init(&world, options_get());
    frames_arrive(&world, 1);
    conns_flush(&world.shard->conns);
    frames_arrive(&world, 1); /* waits behind the first, which is watched for it */
    conns_flush(&world.shard->conns);
    assert_true(conns_deadline_us(&world.shard->conns) < INT64_MAX);
    assert_true(shard_sent(world.shard, world.socket, SIZE_MAX));
    frames_arrive(&world, 1);
    struct frame third = world.replies[2].frame;
    struct io_ring_completion sent = {.event = IO_RING_SENT,
                                      .result = (int32_t)world.conn->sending_bytes,
                                      .token = world.conn->id};
    world.shard->fake.sockets[world.socket].send_data = NULL;
    assert_null(conns_complete(&world.shard->conns, &sent, world.shard->now_us));
    assert_true(reply_withdraw(&world, 2));
    conns_flush(&world.shard->conns);
    shard_check(world.shard);
    assert_true(conns_deadline_us(&world.shard->conns) == INT64_MAX);
    reply_commit(&world, &third);
    sent_expect(&world, (uint32_t[]){3}, 1);
    shard_destroy(world.shard);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others_overtake),         cmocka_unit_test(test_end_waits),
        cmocka_unit_test(test_requests_in_flight),      cmocka_unit_test(test_waiting_frames_go_on),
        cmocka_unit_test(test_no_stall_without_output),
    };
    return cmocka_run_group_tests_name("net/conn_withdraw", tests, NULL, NULL);
}
