/*
 * shard: one pinned thread that serves connections and owns partitions.
 *
 * The tick, in this order: wait, adopt new definitions, completions (frames are served as they are
 * parsed), connections whose turn has come, messages, the batch of reads, answers of writes, the
 * next log group, reclaiming, evicting, sends.
 * Reads of all connections of a tick are one batch; a reply's place in the output is taken when its
 * request is seen and filled when the batch runs, which is before anything of the tick is sent.
 *
 *     completions -> frames -> | reads   -> get_batch -> replies | warm threads -> reads again
 *                              | writes  -> row sets -> batches -> owner's committer -> replies
 *                              | control -> control thread -> replies
 *
 * Invariants:
 *   S1  Between two quiet points (epoch_enter at the start of a tick) no borrowed place of a
 *       partition is kept.
 *   S2  Every reply whose place was taken is filled before conns_flush.
 *   S3  No row is shown in a revision that some shard does not know yet.
 *   S4  Only this shard writes the partitions p with p mod shards_count == index.
 *
 * Threads: shard_run is the thread; shard_create and shard_destroy run before and after it.
 * Memory:  settled at create: connections, buffers, arena. PREPARE and CONTROL allocate, and GET of
 *          rows that are not in memory, from a budget; other GETs and WRITE do not.
 */
#ifndef SHARD_SHARD_H
#define SHARD_SHARD_H

#include "base/arena.h"
#include "base/buffers.h"
#include "net/conn.h"
#include "shard/committer.h"
#include "shard/engine.h"
#include "shard/session.h"

enum { SHARD_COMPLETIONS_MAX = 1024 };

struct shard {
    uint32_t index;
    struct engine *engine;
    struct io_ring *ring;
    int listener;                          /* the shard's listening socket */
    const struct definitions *definitions; /* of this tick */
    struct metrics *metrics;
    struct conns conns;
    struct committer committer;
    struct get_batch gets;
    struct get_ticket *tickets; /* of GETs in the batch, the newest first */
    bool has_warm_tickets;      /* some of them have rows in hand */
    struct arena arena;         /* of this tick */
    struct buffers buffers;     /* of writes on their way */
    uint64_t rows_found;        /* by reads of this tick */
    struct log_write write;     /* sealed, but not taken by the ring yet, if has_write */
    bool has_write;
    uint32_t requests_open; /* writes, control and warm calls not answered yet */
    uint32_t calls_open;    /* control calls alone */
    size_t calls_bytes;     /* of their payloads */
    uint32_t warm_open;     /* calls to warm threads */
    int64_t evict_again_us; /* monotonic; when the partitions are looked at for room */
    uint32_t mail_cursor;
    uint32_t sweep_cursor; /* partition that is swept next */
    int64_t swept_us;      /* monotonic */
    uint32_t reclaim_cursor;
    int64_t now_us; /* wall clock of this tick */
    int64_t monotonic_us;
    int64_t clock_us;    /* monotonic, read again while a tick goes on; for deadlines of requests */
    uint64_t clock_work; /* conns.work when it was read */
    int64_t accept_again_us;         /* monotonic; 0: accept is armed */
    int64_t drain_until_us;          /* 0: not draining */
    bool is_drained;                 /* counted in the engine */
    bool *is_mailed;                 /* per seat: has new messages from this tick */
    struct committer_counts counted; /* already in metrics */
    struct conns_counts conns_counted;
};

struct shard_options {
    uint32_t index;
    struct engine *engine;
    struct io_ring *ring;
    struct log *log;
    int listener;
};

FST_MUST_USE enum fst_status shard_create(struct shard **shard_out,
                                          const struct shard_options *options,
                                          struct fst_error *error);
/* After the thread ended. Does not close ring, log or listener. */
void shard_destroy(struct shard *shard);

/* Bytes that shard_create settles for batches of reads. Pure. */
size_t shard_gets_bytes(void);

/* Runs ticks until the engine stops or fails. */
void shard_run(struct shard *shard);

/* Puts a message into another seat's queue; it is woken at the end of the tick. False when the
 * queue is full. */
bool shard_send(struct shard *shard, uint32_t to, struct message *message);

#endif
