/* Shows that a connection that sends without end has its share of every tick and no more: what it
 * sent beyond waits for its next turn, turns come in order, and nobody waits without end. By the
 * order in which frames are handed out, on a fake ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "net/conn.h"
#include "tests/net/conn_shard.h"

enum { PEERS = 3, TURN_WORK = 4, ORDER_MAX = 256, FRAME_BYTES = 40 };

struct world {
    struct shard *shard;
    struct conn *conns[PEERS];
    int sockets[PEERS];
    uint64_t frame_work;      /* charged beyond the frame itself */
    uint32_t next[PEERS];     /* number of the next frame to be sent */
    uint32_t expected[PEERS]; /* ... to be handed out */
    char order[ORDER_MAX];    /* whose frames were handed out: 'A' + peer; 0-ended */
    uint32_t order_count;
};

static void world_init(struct world *world, struct conns_options options) {
    *world = (struct world){.shard = shard_create(options)};
    for (int i = 0; i < PEERS; i++) {
        world->conns[i] = shard_welcome(world->shard, &world->sockets[i]);
    }
}

static struct conns_options world_options(void) {
    struct conns_options options = options_get();
    options.turn_work = TURN_WORK;
    return options;
}

static int peer_of(const struct world *world, const struct conn *conn) {
    int peer = 0;
    while (world->conns[peer] != conn) peer += 1;
    return peer;
}

/* Takes and answers what the connection may have now. */
static void frames_take(struct world *world, struct conn *conn) {
    struct frame frame;
    while (conn && conn_next_frame(conn, &frame)) {
        int peer = peer_of(world, conn);
        assert_int_equal(frame.request_id, world->expected[peer]);
        world->expected[peer] += 1;
        assert_in_range(world->order_count, 0, ORDER_MAX - 2);
        world->order[world->order_count++] = (char)('A' + peer);
        conn_charge(conn, world->frame_work);
        reply_echo(conn, &frame);
    }
}

/* Frames arrive; they are taken as far as they may be. The memory is overwritten, as a ring's. */
static void frames_arrive(struct world *world, int peer, uint32_t count) {
    uint8_t data[ORDER_MAX * FRAME_BYTES] = {0};
    for (uint32_t i = 0; i < count; i++) {
        frame_encode_request(data + (size_t)i * FRAME_BYTES, FRAME_BYTES, FRAME_GET,
                             world->next[peer]++, 7);
    }
    const struct fake_socket *fake = &world->shard->fake.sockets[world->sockets[peer]];
    assert_true(fake->is_armed);
    struct io_ring_completion completion = {.event = IO_RING_RECEIVED,
                                            .result = (int32_t)(count * FRAME_BYTES),
                                            .token = fake->receive_token,
                                            .data = data,
                                            .is_armed = true};
    frames_take(world, conns_complete(&world->shard->conns, &completion, world->shard->now_us));
    memset(data, 0xee, sizeof data);
}

static void turns_take(struct world *world) {
    struct conn *conn;
    while ((conn = conns_next_turn(&world->shard->conns)) != NULL) frames_take(world, conn);
}

/* Everything is sent before the next tick. */
static void tick_end(struct world *world) {
    struct conns *conns = &world->shard->conns;
    conns_flush(conns);
    shard_check(world->shard);
    for (int i = 0; i < PEERS; i++) {
        struct fake_socket *fake = &world->shard->fake.sockets[world->sockets[i]];
        if (fake->send_data == NULL) continue;
        fake->send_data = NULL;
        struct io_ring_completion completion = {
            .event = IO_RING_SENT, .result = (int32_t)fake->send_bytes, .token = fake->send_token};
        frames_take(world, conns_complete(conns, &completion, world->shard->now_us));
    }
    conns_flush(conns);
    shard_check(world->shard);
}

/* Whose frames were handed out since the last call. */
static void order_check(struct world *world, const char *wanted) {
    world->order[world->order_count] = 0;
    assert_string_equal(world->order, wanted);
    world->order_count = 0;
}

static bool has_turns(const struct world *world) {
    int64_t deadline_us = conns_deadline_us(&world->shard->conns);
    assert_true(deadline_us == INT64_MAX || deadline_us == world->shard->now_us);
    return deadline_us != INT64_MAX;
}

/* The greedy one's many frames do not come before the modest ones' few, tick after tick; a tick is
 * asked for as long as somebody waits, and not longer. */
static void test_turns_go_round(void **state) {
    (void)state;
    struct world world;
    world_init(&world, world_options());
    assert_false(has_turns(&world));
    frames_arrive(&world, 0, 20);
    frames_arrive(&world, 1, 10);
    frames_arrive(&world, 2, 1);
    turns_take(&world); /* They are of the next tick. */
    order_check(&world, "AAAABBBBC");
    static const char *ticks[] = {"AAAABBBB", "AAAABB", "AAAA", "AAAA"};
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++) {
        tick_end(&world);
        assert_true(has_turns(&world));
        turns_take(&world);
        order_check(&world, ticks[i]);
    }
    tick_end(&world);
    assert_false(has_turns(&world));
    frames_arrive(&world, 0, TURN_WORK); /* Exactly its share: nothing waits. */
    tick_end(&world);
    order_check(&world, "AAAA");
    assert_false(has_turns(&world));
    shard_destroy(world.shard);
}

/* What arrives while earlier frames wait is taken behind them. */
static void test_arrivals_wait_behind(void **state) {
    (void)state;
    struct world world;
    world_init(&world, world_options());
    frames_arrive(&world, 0, 6);
    frames_arrive(&world, 0, 3);
    tick_end(&world);
    order_check(&world, "AAAA");
    frames_arrive(&world, 0, 2);
    frames_arrive(&world, 1, 2);
    order_check(&world, "BB");
    turns_take(&world);
    order_check(&world, "AAAA");
    tick_end(&world);
    turns_take(&world);
    order_check(&world, "AAA");
    tick_end(&world);
    assert_false(has_turns(&world));
    shard_destroy(world.shard);
}

/* Frames that cost more are fewer; one that costs more than a share is served all the same. */
static void test_work_counts(void **state) {
    (void)state;
    struct world world;
    world_init(&world, world_options());
    world.frame_work = 1;
    frames_arrive(&world, 0, 5);
    order_check(&world, "AA");
    tick_end(&world);
    world.frame_work = UINT64_C(1) << 40;
    turns_take(&world);
    order_check(&world, "A");
    tick_end(&world);
    turns_take(&world);
    order_check(&world, "A");
    tick_end(&world);
    turns_take(&world);
    order_check(&world, "A");
    tick_end(&world);
    assert_false(has_turns(&world));
    shard_destroy(world.shard);
}

/* A tick need not take all turns: those left over come first in the next one. */
static void test_turns_left_over(void **state) {
    (void)state;
    struct world world;
    world_init(&world, world_options());
    for (int i = 0; i < PEERS; i++) frames_arrive(&world, i, 12);
    tick_end(&world);
    world.order_count = 0;
    for (int tick = 0; tick < 3; tick++) {
        frames_take(&world, conns_next_turn(&world.shard->conns));
        frames_take(&world, conns_next_turn(&world.shard->conns));
        tick_end(&world);
    }
    order_check(&world, "AAAABBBB"
                        "CCCCAAAA"
                        "BBBBCCCC");
    assert_false(has_turns(&world));
    shard_destroy(world.shard);
}

/* A connection that ends while it waits is forgotten, and its slot used again, only after its turn
 * has come up; the others' turns are untouched. */
static void test_close_while_waiting(void **state) {
    (void)state;
    struct world world;
    world_init(&world, world_options());
    for (int i = 0; i < PEERS; i++) frames_arrive(&world, i, 8);
    tick_end(&world);
    world.order_count = 0;
    conn_close(world.conns[1]);
    const struct fake_socket *fake = &world.shard->fake.sockets[world.sockets[1]];
    struct io_ring_completion end = {.event = IO_RING_RECEIVED, .token = fake->receive_token};
    assert_null(conns_complete(&world.shard->conns, &end, world.shard->now_us));
    conns_flush(&world.shard->conns);
    shard_check(world.shard);
    assert_int_equal(world.shard->closed, 0);
    turns_take(&world);
    order_check(&world, "AAAACCCC");
    conns_flush(&world.shard->conns);
    shard_check(world.shard);
    assert_int_equal(world.shard->closed, 1);
    assert_false(has_turns(&world));
    shard_destroy(world.shard);
}

/* A peer that has closed its half still gets everything answered, turn by turn. */
static void test_half_close_while_waiting(void **state) {
    (void)state;
    struct world world;
    world_init(&world, world_options());
    frames_arrive(&world, 0, 8);
    tick_end(&world);
    world.shard->fake.sockets[world.sockets[0]].is_armed = false;
    struct io_ring_completion end = {.event = IO_RING_RECEIVED, .token = world.conns[0]->id};
    assert_null(conns_complete(&world.shard->conns, &end, world.shard->now_us));
    tick_end(&world);
    assert_int_equal(world.shard->closed, 0);
    turns_take(&world);
    order_check(&world, "AAAAAAAA");
    tick_end(&world);
    assert_int_equal(world.shard->closed, 1);
    shard_destroy(world.shard);
}

/* Requests that are refused at once cost work, too: a stream of them waits like any other. */
static void test_refusals_count(void **state) {
    (void)state;
    struct conns_options options = world_options();
    options.in_flight_max = 1;
    struct world world;
    world_init(&world, options);
    world.conns[0]->in_flight = 1; /* A write, say, that takes its time. */
    frames_arrive(&world, 0, 10);
    assert_int_equal(world.shard->conns.counts.overloaded, TURN_WORK);
    tick_end(&world);
    turns_take(&world);
    assert_int_equal(world.shard->conns.counts.overloaded, 2 * TURN_WORK);
    order_check(&world, "");
    shard_destroy(world.shard);
}

/* Without memory to keep what must wait it is served at once, rather than lost. */
static void test_no_memory_to_wait(void **state) {
    (void)state;
    struct world world;
    world_init(&world, world_options());
    struct chunks *chunks = &world.shard->conns.chunks;
    struct chunk *taken = NULL;
    uint8_t *room = conn_reply_room(world.conns[0], FRAME_BYTES); /* Its output has a chunk. */
    assert_non_null(room);
    for (struct chunk *chunk; (chunk = chunk_get(chunks, 1)) != NULL; taken = chunk) {
        chunk->next = taken;
    }
    frames_arrive(&world, 0, 10);
    order_check(&world, "AAAAAAAAAA");
    while (taken) {
        struct chunk *next = taken->next;
        chunk_put(chunks, taken);
        taken = next;
    }
    tick_end(&world);
    assert_false(has_turns(&world));
    shard_destroy(world.shard);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns_go_round),      cmocka_unit_test(test_arrivals_wait_behind),
        cmocka_unit_test(test_work_counts),         cmocka_unit_test(test_turns_left_over),
        cmocka_unit_test(test_close_while_waiting), cmocka_unit_test(test_half_close_while_waiting),
        cmocka_unit_test(test_refusals_count),      cmocka_unit_test(test_no_memory_to_wait),
    };
    return cmocka_run_group_tests_name("net/conn_turn", tests, NULL, NULL);
}
