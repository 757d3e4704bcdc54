#include "tests/shard/shard_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shard/warm.h"

enum {
    PLENTY = 256 << 20,
    MAILS_MAX = 8192,
    GREETING_BYTES_MAX = 200,
    GET_HEADER_BYTES = 32,
    START_US = 1000,
};

/* ---- the ring ---- */

static struct shard_world *world_of(struct io_ring *ring) {
    return (struct shard_world *)(void *)((uint8_t *)ring - offsetof(struct shard_world, ring));
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
    struct shard_world *world = world_of(ring);
    assert_in_range(world->sent_bytes + bytes, 0, WORLD_BYTES_MAX);
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
    struct shard_world *world = world_of(ring);
    pthread_mutex_lock(&world->clock.lock);
    world->wakes += 1;
    pthread_cond_broadcast(&world->clock.changed);
    pthread_mutex_unlock(&world->clock.lock);
}

static void change_await(struct shard_world *world) {
    pthread_mutex_lock(&world->clock.lock);
    while (world->wakes == world->wakes_seen && world->clock.held_count == world->held_seen) {
        pthread_cond_wait(&world->clock.changed, &world->clock.lock);
    }
    world->wakes_seen = world->wakes;
    world->held_seen = world->clock.held_count;
    pthread_mutex_unlock(&world->clock.lock);
}

/* HELLO and PREPARE in one frame each. */
static void greeting_put(struct shard_world *world, bool is_prepare) {
    uint8_t *out = world->received;
    struct writer w = writer_of(out + FRAME_HEADER_BYTES, GREETING_BYTES_MAX);
    if (is_prepare) {
        write_u32(&w, 0);
        write_u16(&w, 1);
        write_short(&w, world->feature, strlen(world->feature));
    } else {
        write_u32(&w, FRAME_HELLO_MAGIC);
        write_u16(&w, FRAME_VERSION);
        write_u16(&w, FRAME_VERSION);
        write_u64(&w, 5);
        write_short(&w, "", 0);
    }
    uint32_t bytes = FRAME_HEADER_BYTES + (uint32_t)writer_used(&w);
    frame_encode_request(out, bytes, is_prepare ? FRAME_PREPARE : FRAME_HELLO, is_prepare, 0);
    world->received_bytes = bytes;
}

/* The next step, or the end. */
static void step_take(struct shard_world *world, bool may_block) {
    if (world->step == world->steps_count)
        engine_state_raise(world->engine, ENGINE_STOPPING);
    else if (world->steps[world->step](world))
        world->step += 1;
    else if (may_block)
        change_await(world);
}

/* Everything sent is taken; then: the connection, HELLO, PREPARE, the steps, the end. */
static int ring_wait(struct io_ring *ring, struct io_ring_completion *completions, uint32_t max,
                     int64_t timeout_us) {
    (void)max;
    struct shard_world *world = world_of(ring);
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
    world->received_bytes = 0;
    if (wait < 4)
        greeting_put(world, wait == 3);
    else
        step_take(world, count == 0 && timeout_us > 0);
    if (world->received_bytes == 0 && !world->is_reset) return count;
    completions[count++] = (struct io_ring_completion){
        .event = IO_RING_RECEIVED,
        .result = world->is_reset ? -ECONNRESET : (int32_t)world->received_bytes,
        .token = world->conn_token,
        .data = world->received,
        .is_armed = !world->is_reset};
    world->is_reset = false;
    return count;
}

static const struct io_ring_ops ring_ops = {.name = "script",
                                            .accept = ring_accept,
                                            .receive = ring_receive,
                                            .send = ring_send,
                                            .cancel = ring_cancel,
                                            .wait = ring_wait,
                                            .wake = ring_wake};

/* ---- life ---- */

static void control_wake(void *control) {
    (void)control;
}

static void engine_fill(struct shard_world *world) {
    struct engine *engine = world->engine;
    engine->io = &world->clock.io;
    engine->store = (struct get_store){.io = &world->clock.io,
                                       .partitions = world->fixture->partitions,
                                       .partitions_count = FIXTURE_PARTITIONS,
                                       .secret = world->fixture->secret};
    engine->connections.max = 4;
    engine->limits = (struct engine_limits){.connections_max = 4,
                                            .in_flight_max = 64,
                                            .frame_bytes_max = 1 << 20,
                                            .bulk_bytes_max = 1 << 20,
                                            .output_bytes_max = 8 << 20,
                                            .keys_max = 10000,
                                            .handshake_us = 5000000,
                                            .partial_us = 5000000,
                                            .arena_bytes = 32 << 20};
    engine->metrics = world->metrics;
    engine->rings = world->rings;
    engine->logs = &world->fixture->log;
    engine->control_wake = control_wake;
    engine->warm_threads_count = WORLD_WARM_THREADS;
    engine->warm_budget.limit_bytes = PLENTY;
    assert_int_equal(mailboxes_init(&engine->mailboxes, WORLD_SEATS, MAILS_MAX), FST_OK);
    world->definitions[0].number = 1;
    assert_int_equal(registry_catalog(world->fixture->registry, &world->definitions[0].catalog),
                     FST_OK);
    assert_int_equal(registry_access(world->fixture->registry, &world->definitions[0].access),
                     FST_OK);
    atomic_store(&engine->definitions, &world->definitions[0]);
}

struct shard_world *shard_world_create(const char *feature, const char *yaml) {
    struct shard_world *world = aligned_alloc(64, bytes_align(sizeof *world, 64));
    assert_non_null(world);
    memset(world, 0, sizeof *world);
    gate_clock_init(&world->clock);
    gate_clock_put(&world->clock, START_US, 0);
    world->ring.ops = &ring_ops;
    world->rings[0] = &world->ring;
    world->feature = feature;
    world->fixture = shard_fixture_create(1, PLENTY, 1);
    if (yaml) fixture_apply(world->fixture->registry, yaml);
    world->engine = world->fixture->engine;
    engine_fill(world);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    world->socket = pair[0];
    world->peer = pair[1];
    return world;
}

void shard_world_run(struct shard_world *world, bool (*const *steps)(struct shard_world *world),
                     uint32_t steps_count) {
    world->steps = steps;
    world->steps_count = steps_count;
    struct shard_options options = {
        .engine = world->engine, .ring = &world->ring, .log = world->fixture->log, .listener = -1};
    struct fst_error error;
    assert_int_equal(shard_create(&world->shard, &options, &error), FST_OK);
    shard_run(world->shard);
}

void shard_world_destroy(struct shard_world *world) {
    warm_destroy(world->engine->warm);
    shard_destroy(world->shard); /* Closes the socket. */
    close(world->peer);
    for (int i = 0; i < 2; i++) {
        access_destroy(world->definitions[i].access);
        catalog_destroy(world->definitions[i].catalog);
    }
    mailboxes_deinit(&world->engine->mailboxes);
    shard_fixture_destroy(world->fixture);
    gate_clock_deinit(&world->clock);
    free(world);
}

/* ---- requests and replies ---- */

/* The first sent frame of this kind, and of this request unless it is 0. */
static const uint8_t *frame_find(const struct shard_world *world, enum frame_opcode opcode,
                                 uint32_t request_id) {
    for (size_t at = 0; at < world->sent_bytes; at += load_u32(world->sent + at)) {
        const uint8_t *frame = world->sent + at;
        if (frame[4] != opcode) continue;
        if (request_id == 0 || load_u32(frame + 8) == request_id) return frame;
    }
    return NULL;
}

uint64_t shard_world_layout_id(const struct shard_world *world) {
    const uint8_t *frame = frame_find(world, FRAME_PREPARE, 0);
    assert_non_null(frame);
    return load_u64(frame + FRAME_HEADER_BYTES + 4);
}

void shard_world_get(struct shard_world *world, const struct world_get *get) {
    size_t bytes = FRAME_HEADER_BYTES + GET_HEADER_BYTES + 8u * get->keys_count;
    assert_in_range(world->received_bytes + bytes, 0, WORLD_BYTES_MAX);
    uint8_t *out = world->received + world->received_bytes;
    memset(out, 0, FRAME_HEADER_BYTES + GET_HEADER_BYTES);
    frame_encode_request(out, (uint32_t)bytes, FRAME_GET, WORLD_FIRST_GET + world->gets_count,
                         WORLD_HANDLE);
    out += FRAME_HEADER_BYTES;
    store_u64(out, shard_world_layout_id(world));
    store_i64(out + 8, GET_NOW);
    store_i64(out + 16, get->deadline_us);
    store_u32(out + 24, get->keys_count);
    for (uint32_t k = 0; k < get->keys_count; k++) {
        store_i64(out + GET_HEADER_BYTES + 8 * k, get->key + k);
    }
    world->received_bytes += bytes;
    world->gets_count += 1;
}

const uint8_t *shard_world_reply(const struct shard_world *world, uint32_t get) {
    return frame_find(world, FRAME_GET, WORLD_FIRST_GET + get);
}

enum fst_status shard_world_status(const struct shard_world *world, uint32_t get) {
    const uint8_t *frame = shard_world_reply(world, get);
    assert_non_null(frame);
    return (enum fst_status)load_u32(frame + 12);
}

uint32_t shard_world_replies_count(const struct shard_world *world) {
    uint32_t count = 0;
    for (size_t at = 0; at < world->sent_bytes; at += load_u32(world->sent + at)) {
        count += world->sent[at + 4] == FRAME_GET;
    }
    return count;
}
