/* Shows that a GET is not served once its deadline has passed, and is before: also when it waits
 * for the turn of its connection, and when the tick itself takes long; and that a short tick reads
 * no clock for it. A whole shard runs its ticks, on a ring and a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "registry/access.h"
#include "shard/shard.h"
#include "tests/shard/shard_fixture.h"

enum {
    PLENTY = 256 << 20,
    STEPS_MAX = 4,
    SENT_BYTES_MAX = 1 << 20,
    GET_BYTES = FRAME_HEADER_BYTES + 32 + 8,
    FIRST_GET = 100, /* its request id; HELLO and PREPARE have lower ones */
    GETS_MAX = 1000,
    TURN_GETS = CONN_TURN_WORK / 2, /* a frame and a key each */
};

/* What one wait brings. */
struct step {
    int64_t at_us;
    uint32_t gets;
    int64_t deadline_us;
};

struct world {
    struct io io; /* the clock; first member */
    struct io_ring ring;
    struct shard_fixture *fixture;
    struct engine *engine;
    struct shard *shard;
    struct definitions definitions;
    struct metrics metrics[3];
    struct io_ring *rings[1];
    const struct step *steps;
    uint32_t steps_count;
    uint32_t waits;
    int64_t now_us;
    int64_t reading_us; /* how long a reading of the clock takes */
    uint32_t readings;  /* of the monotonic clock */
    int socket;
    int peer;
    uint64_t accept_token;
    uint64_t conn_token;
    size_t sending_bytes;
    uint32_t gets_count;
    uint8_t received[GETS_MAX * GET_BYTES];
    uint8_t sent[SENT_BYTES_MAX];
    size_t sent_bytes;
};

static int64_t clock_now_us(struct io *io) {
    (void)io;
    return 1000000000;
}

static int64_t clock_monotonic_us(struct io *io) {
    struct world *world = (struct world *)(void *)io;
    world->readings += 1;
    world->now_us += world->reading_us;
    return world->now_us - world->reading_us;
}

static const struct io_ops clock_ops = {.now_us = clock_now_us, .monotonic_us = clock_monotonic_us};

static struct world *world_of(struct io_ring *ring) {
    return (struct world *)(void *)((uint8_t *)ring - offsetof(struct world, ring));
}

static int ring_accept(struct io_ring *ring, int socket, uint64_t token) {
    (void)socket;
    world_of(ring)->accept_token = token;
    return 0;
}

static int ring_receive(struct io_ring *ring, int socket, uint64_t token) {
    (void)socket;
    world_of(ring)->conn_token = token;
    return 0;
}

static int ring_send(struct io_ring *ring, int socket, const void *data, size_t bytes,
                     uint64_t token) {
    (void)socket;
    (void)token;
    struct world *world = world_of(ring);
    assert_in_range(world->sent_bytes + bytes, 0, SENT_BYTES_MAX);
    memcpy(world->sent + world->sent_bytes, data, bytes);
    world->sent_bytes += bytes;
    world->sending_bytes = bytes;
    return 0;
}

static int ring_cancel(struct io_ring *ring, int socket, uint64_t token) {
    (void)ring;
    (void)socket;
    (void)token;
    return -ENOENT;
}

static void ring_wake(struct io_ring *ring) {
    (void)ring;
}

/* HELLO and PREPARE in one frame each; returns their bytes. */
static size_t greeting_encode(struct world *world, bool is_prepare) {
    uint8_t *out = world->received;
    struct writer w = writer_of(out + FRAME_HEADER_BYTES, 200);
    if (is_prepare) {
        write_u32(&w, 0);
        write_u16(&w, 1);
        write_short(&w, "plain:n", 7);
    } else {
        write_u32(&w, FRAME_HELLO_MAGIC);
        write_u16(&w, FRAME_VERSION);
        write_u16(&w, FRAME_VERSION);
        write_u64(&w, 5);
        write_short(&w, "", 0);
    }
    uint32_t bytes = FRAME_HEADER_BYTES + (uint32_t)writer_used(&w);
    frame_encode_request(out, bytes, is_prepare ? FRAME_PREPARE : FRAME_HELLO, is_prepare, 0);
    return bytes;
}

/* The id of the layout, out of the PREPARE reply, which is the last thing sent. */
static uint64_t layout_id_of(const struct world *world) {
    size_t prepare = load_u32(world->sent); /* behind the HELLO reply */
    return load_u64(world->sent + prepare + FRAME_HEADER_BYTES + 4);
}

static size_t gets_encode(struct world *world, const struct step *step) {
    assert_in_range(world->gets_count + step->gets, 0, GETS_MAX);
    for (uint32_t i = 0; i < step->gets; i++) {
        uint8_t *out = world->received + (size_t)i * GET_BYTES;
        memset(out, 0, GET_BYTES);
        frame_encode_request(out, GET_BYTES, FRAME_GET, FIRST_GET + world->gets_count, 1);
        store_u64(out + FRAME_HEADER_BYTES, layout_id_of(world));
        store_i64(out + FRAME_HEADER_BYTES + 8, GET_NOW);
        store_i64(out + FRAME_HEADER_BYTES + 16, step->deadline_us);
        store_u32(out + FRAME_HEADER_BYTES + 24, 1);
        world->gets_count += 1;
    }
    return (size_t)step->gets * GET_BYTES;
}

/* Everything sent is taken; then: the connection, HELLO, PREPARE, the steps, the end. */
static int ring_wait(struct io_ring *ring, struct io_ring_completion *completions, uint32_t max,
                     int64_t timeout_us) {
    (void)max;
    (void)timeout_us;
    struct world *world = world_of(ring);
    int count = 0;
    if (world->sending_bytes > 0) {
        completions[count++] = (struct io_ring_completion){.event = IO_RING_SENT,
                                                           .result = (int32_t)world->sending_bytes,
                                                           .token = world->conn_token};
        world->sending_bytes = 0;
    }
    uint32_t wait = world->waits++;
    if (wait == 0) return count; /* Accept is armed by this tick. */
    if (wait == 1) {
        completions[count++] = (struct io_ring_completion){.event = IO_RING_ACCEPTED,
                                                           .result = world->socket,
                                                           .token = world->accept_token,
                                                           .is_armed = true};
        return count;
    }
    size_t bytes = 0;
    if (wait < 4) {
        bytes = greeting_encode(world, wait == 3);
    } else if (wait - 4 < world->steps_count) {
        const struct step *step = &world->steps[wait - 4];
        world->now_us = step->at_us;
        world->readings = 0;
        bytes = gets_encode(world, step);
    } else {
        engine_state_raise(world->engine, ENGINE_STOPPING);
    }
    if (bytes == 0) return count;
    completions[count++] = (struct io_ring_completion){.event = IO_RING_RECEIVED,
                                                       .result = (int32_t)bytes,
                                                       .token = world->conn_token,
                                                       .data = world->received,
                                                       .is_armed = true};
    return count;
}

static const struct io_ring_ops ring_ops = {.name = "script",
                                            .accept = ring_accept,
                                            .receive = ring_receive,
                                            .send = ring_send,
                                            .cancel = ring_cancel,
                                            .wait = ring_wait,
                                            .wake = ring_wake};

static void control_wake(void *control) {
    (void)control;
}

static void engine_fill(struct world *world) {
    struct engine *engine = world->engine;
    engine->io = &world->io;
    engine->store = (struct get_store){.io = &world->io,
                                       .partitions = world->fixture->partitions,
                                       .partitions_count = FIXTURE_PARTITIONS,
                                       .secret = world->fixture->secret};
    engine->connections.max = 4;
    engine->limits = (struct engine_limits){.connections_max = 4,
                                            .in_flight_max = 64,
                                            .frame_bytes_max = 1 << 20,
                                            .bulk_bytes_max = 1 << 20,
                                            .output_bytes_max = 8 << 20,
                                            .keys_max = 100,
                                            .handshake_us = 5000000,
                                            .partial_us = 5000000,
                                            .arena_bytes = 32 << 20};
    engine->metrics = world->metrics;
    engine->rings = world->rings;
    engine->logs = &world->fixture->log;
    engine->control_wake = control_wake;
    assert_int_equal(mailboxes_init(&engine->mailboxes, 2, 16), FST_OK);
    world->definitions.number = 1;
    world->definitions.catalog = world->fixture->catalog;
    assert_int_equal(registry_access(world->fixture->registry, &world->definitions.access), FST_OK);
    atomic_store(&engine->definitions, &world->definitions);
}

static struct world *world_create(void) {
    struct world *world = aligned_alloc(64, bytes_align(sizeof *world, 64));
    assert_non_null(world);
    memset(world, 0, sizeof *world);
    world->io.ops = &clock_ops;
    world->ring.ops = &ring_ops;
    world->rings[0] = &world->ring;
    world->now_us = 1000;
    world->fixture = shard_fixture_create(1, PLENTY, 1);
    world->engine = world->fixture->engine;
    engine_fill(world);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    world->socket = pair[0];
    world->peer = pair[1];
    struct shard_options options = {
        .engine = world->engine, .ring = &world->ring, .log = world->fixture->log, .listener = -1};
    struct fst_error error;
    assert_int_equal(shard_create(&world->shard, &options, &error), FST_OK);
    return world;
}

static void world_run(struct world *world, const struct step *steps, uint32_t steps_count) {
    world->steps = steps;
    world->steps_count = steps_count;
    shard_run(world->shard);
}

static void world_destroy(struct world *world) {
    shard_destroy(world->shard); /* Closes the socket. */
    close(world->peer);
    access_destroy(world->definitions.access);
    mailboxes_deinit(&world->engine->mailboxes);
    shard_fixture_destroy(world->fixture);
    free(world);
}

/* All GETs are answered: the first `served` of them OK, the others TIMEOUT. */
static void replies_check(const struct world *world, uint32_t served) {
    uint32_t replies = 0;
    for (size_t at = 0; at < world->sent_bytes; at += load_u32(world->sent + at)) {
        if (world->sent[at + 4] != FRAME_GET) continue;
        assert_int_equal(load_u32(world->sent + at + 8), FIRST_GET + replies);
        assert_int_equal(load_u32(world->sent + at + 12), replies < served ? FST_OK : FST_TIMEOUT);
        replies += 1;
    }
    assert_int_equal(replies, world->gets_count);
    uint64_t late = world->gets_count - served;
    assert_int_equal(metrics_get(&world->metrics[0], METRIC_GETS_LATE), late);
    assert_int_equal(metrics_get(&world->metrics[0], METRIC_KEYS_READ), served);
}

/* What was received a microsecond before its end is served; a microsecond later it is not. New
 * requests of the same connection, behind those that waited, have their own time. */
static const struct waiting {
    const char *name;
    struct step steps[STEPS_MAX];
    uint32_t steps_count;
    uint32_t served;
} cases[] = {
    {"served at once", {{2000, 100, 1}}, 1, 100},
    {"no deadline", {{2000, TURN_GETS + 50, 0}, {9000000, 0, 0}}, 2, TURN_GETS + 50},
    {"just in time", {{2000, TURN_GETS + 50, 500}, {2499, 0, 0}}, 2, TURN_GETS + 50},
    {"just too late", {{2000, TURN_GETS + 50, 500}, {2500, 0, 0}}, 2, TURN_GETS},
    {"arrived later",
     {{2000, TURN_GETS + 50, 800}, {2400, 10, 400}, {2799, 0, 0}},
     3,
     TURN_GETS + 60},
    {"the largest", {{2000, TURN_GETS + 50, INT64_MAX}, {INT64_MAX / 2, 0, 0}}, 2, TURN_GETS + 50},
};

static void test_waiting_for_a_turn(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("  %s\n", cases[i].name);
        struct world *world = world_create();
        world_run(world, cases[i].steps, cases[i].steps_count);
        replies_check(world, cases[i].served);
        world_destroy(world);
    }
}

/* A tick reads the clock once; again after each 256 keys of work, if somebody asks. Here a reading
 * takes 400 us: the first 128 requests are served at once, the next 128 after 400 us. */
static void test_long_tick(void **state) {
    (void)state;
    static const struct {
        struct step step;
        uint32_t served;
        uint32_t readings;
    } ticks[] = {
        {{5000, 128, 300}, 128, 1}, {{5000, 256, 0}, 256, 1},   {{5000, 129, 300}, 128, 2},
        {{5000, 200, 400}, 128, 2}, {{5000, 256, 401}, 256, 2},
    };
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++) {
        struct world *world = world_create();
        world->reading_us = 400;
        const struct step steps[] = {ticks[i].step};
        world_run(world, steps, 1);
        replies_check(world, ticks[i].served);
        assert_int_equal(world->readings, ticks[i].readings + 1); /* and the tick of the end */
        world_destroy(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_for_a_turn),
        cmocka_unit_test(test_long_tick),
    };
    return cmocka_run_group_tests_name("shard/deadline", tests, NULL, NULL);
}
