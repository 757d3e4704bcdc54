/*
 * shard_world: one whole shard that runs its ticks on a ring and a clock that the test moves, with
 * one connection on which the test says HELLO and more.
 *
 * shard_run is called by the test; each wait of the shard takes what was sent, and calls the next
 * step. A step puts requests, moves the clock, changes definitions; one that answers false is
 * called again after somebody woke the shard, or is held at the clock. After the last step the
 * engine stops.
 *
 * Threads: the test's, which is the shard's; others may wake it.
 * Memory:  the world owns everything; catalog and access table are set at create, and may be
 *          replaced.
 */
#ifndef TESTS_SHARD_SHARD_WORLD_H
#define TESTS_SHARD_SHARD_WORLD_H

#include "shard/shard.h"
#include "tests/shard/gate_clock.h"
#include "tests/shard/shard_fixture.h"

enum {
    WORLD_WARM_THREADS = 4, /* seats for so many */
    WORLD_SEATS = 3 + WORLD_WARM_THREADS,
    WORLD_BYTES_MAX = 1 << 20, /* sent and received, each */
    WORLD_FIRST_GET = 100,     /* its request id; HELLO and PREPARE have lower ones */
    WORLD_HANDLE = 1,
};

struct shard_world {
    struct gate_clock clock;
    struct io_ring ring;
    struct io_ring *rings[1];
    struct shard_fixture *fixture;
    struct engine *engine;
    struct shard *shard;
    struct definitions definitions[2]; /* the second one is for steps */
    struct metrics metrics[WORLD_SEATS];
    const char *feature; /* what is prepared: one feature, as VIEW:FEATURE */
    bool (*const *steps)(struct shard_world *world);
    uint32_t steps_count;
    uint32_t step; /* the next one */
    void *context; /* of the steps */
    uint32_t waits;
    uint32_t wakes; /* under the lock of the clock */
    uint32_t wakes_seen;
    uint32_t held_seen; /* by the gate of the clock */
    int socket;
    int peer;
    uint64_t accept_token;
    uint64_t conn_token;
    size_t sending_bytes;
    uint32_t gets_count;
    bool is_reset; /* by a step: the peer is gone */
    uint8_t received[WORLD_BYTES_MAX];
    size_t received_bytes; /* of this wait */
    uint8_t sent[WORLD_BYTES_MAX];
    size_t sent_bytes;
};

/* With the definitions of the fixture, and more that are applied on top of them unless NULL. */
struct shard_world *shard_world_create(const char *feature, const char *yaml);
void shard_world_destroy(struct shard_world *world);

void shard_world_run(struct shard_world *world, bool (*const *steps)(struct shard_world *world),
                     uint32_t steps_count);

/* In a step: a GET for keys from one on. */
struct world_get {
    int64_t key;
    uint32_t keys_count;
    int64_t deadline_us;
};
void shard_world_get(struct shard_world *world, const struct world_get *get);

/* The id of the layout that was prepared, or that came with LAYOUT_CHANGED. */
uint64_t shard_world_layout_id(const struct shard_world *world);

/* The reply to a GET, numbered from 0: NULL as long as there is none. */
const uint8_t *shard_world_reply(const struct shard_world *world, uint32_t get);
/* Its status; `get` must have a reply. */
enum fst_status shard_world_status(const struct shard_world *world, uint32_t get);
/* GETs that have one. */
uint32_t shard_world_replies_count(const struct shard_world *world);

#endif
