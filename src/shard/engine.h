/*
 * engine: what all shards and background threads of a running store share.
 *
 * Almost everything is settled before the threads start. Three things change: the definitions
 * (catalog and access table, an immutable pair that the control thread swaps), the state, and the
 * flag that says the disk is full. The old pair is freed once every shard has passed a quiet point.
 *
 * Threads: read by all; `definitions` written by the control thread, `state` by anyone (it only
 *          rises).
 * Memory:  owned by the server, outlives all threads.
 */
#ifndef SHARD_ENGINE_H
#define SHARD_ENGINE_H

#include "base/epoch.h"
#include "base/metrics.h"
#include "net/conn.h"
#include "query/get.h"
#include "registry/registry.h"
#include "shard/message.h"
#include "storage/log/sync_calibration.h"

enum {
    ENGINE_SHARDS_MAX = 128,
    ENGINE_LISTEN_BYTES = 128,
    ENGINE_WRITE_BYTES_MAX = 16 << 20, /* of one WRITE, as rows */
};

struct warm;

struct definitions {
    uint64_t number; /* rises with every pair published */
    struct catalog *catalog;
    struct access_table *access;
};

enum engine_state {
    ENGINE_STARTING,
    ENGINE_RUNNING,
    ENGINE_STOPPING, /* finish what is in flight, then end */
    ENGINE_FAILED,   /* a log write failed: end without acknowledging anything more */
    ENGINE_STOPPED,  /* no shard runs any more */
};

/* Limits of the protocol; see docs/operations.md. */
struct engine_limits {
    uint32_t connections_max; /* of one shard: more than its share, which chance decides */
    uint32_t in_flight_max;
    uint32_t frame_bytes_max;
    uint32_t bulk_bytes_max;
    uint32_t output_bytes_max;
    uint32_t keys_max;
    int64_t handshake_us;
    int64_t partial_us;
    uint64_t arena_bytes;
};

/* Where things are, for people; borrowed from who started the engine, "" if it is not told. */
struct engine_places {
    const char *data_dir;
    const char *log_dir;
    const char *table_dir;
    char listen[ENGINE_LISTEN_BYTES]; /* HOST:PORT */
};

struct engine {
    struct io *io;
    struct epoch epoch;
    struct get_store store;
    uint8_t store_id[STORE_ID_BYTES];
    uint32_t server_epoch;
    uint32_t partitions_count;
    uint32_t shards_count;
    int64_t started_us;
    struct engine_limits limits;
    struct conns_total connections; /* of all shards */
    struct engine_places places;
    struct sync_calibration sync; /* how the logs are synced */
    struct partition_budget budget;
    struct mailboxes mailboxes;
    struct io_ring **rings;  /* per shard, to wake it */
    struct metrics *metrics; /* per seat */
    struct log **logs;       /* per shard */
    _Atomic(const struct definitions *) definitions;
    _Atomic uint32_t state; /* enum engine_state */
    _Atomic bool is_disk_full;
    struct warm *warm; /* threads that read what is not in memory */
    uint32_t warm_threads_count;
    struct warm_budget warm_budget;
    _Atomic uint32_t promotions_open;  /* sent and not taken yet */
    _Atomic bool is_checkpoint_wanted; /* by shards that need room; the keeper takes it back */
    _Atomic int64_t checkpoint_us;     /* when the last one was complete; 0: none since the start */
    _Atomic uint32_t drained_count;    /* shards that have nothing left to do */
    _Atomic uint64_t adopted[ENGINE_SHARDS_MAX]; /* per shard: number of its definitions */
    /* Per shard: everything in groups up to here is applied to the partitions. */
    _Atomic uint64_t applied_groups[ENGINE_SHARDS_MAX];
    void *control; /* struct control: where shards send CONTROL requests */
    void (*control_wake)(void *control);
};

static inline uint32_t engine_owner(const struct engine *engine, uint32_t partition) {
    return partition % engine->shards_count;
}
static inline uint32_t engine_control_seat(const struct engine *engine) {
    return engine->shards_count;
}
static inline uint32_t engine_keeper_seat(const struct engine *engine) {
    return engine->shards_count + 1;
}
static inline uint32_t engine_warm_seat(const struct engine *engine, uint32_t thread) {
    return engine->shards_count + 2 + thread;
}
/* Of mailboxes and metrics. */
static inline uint32_t engine_seats_count(const struct engine *engine) {
    return engine->shards_count + 2 + engine->warm_threads_count;
}
static inline enum engine_state engine_state(const struct engine *engine) {
    return (enum engine_state)atomic_load_explicit(&engine->state, memory_order_acquire);
}
/* Raises the state; a later state is never taken back. */
void engine_state_raise(struct engine *engine, enum engine_state state);

/* Whether every shard reads by definitions with this number, or newer ones. */
bool engine_is_adopted(const struct engine *engine, uint64_t number);

/* Wakes a shard or the control thread. */
void engine_wake(struct engine *engine, uint32_t seat);

#endif
