/*
 * warm: the threads that read evicted rows from LMDB, and what goes to them and back.
 *
 *     GET that met evicted rows -> call -> queue -> [ warm thread: LMDB ] -> its shard, again
 *                                           ^             |   |
 *                                           +-- has more -+   a row that comes back -> promotion
 *                                                                 -> the owner of its partition
 *
 * One queue for all threads, so that nobody waits behind a slow read while another thread has
 * nothing to do. A call is served WARM_ROWS_A_TURN rows at a time, and goes to the end of the queue
 * in between, so that a few rows do not wait for many. Calls come back in any order. All that calls
 * and promotions hold is taken from one budget; a promotion that finds no room is left out.
 *
 * Invariant: a call is in the queue, with a thread, in a mailbox, or with its shard.
 * Threads: warm_put by shards; a warm thread has a seat in the mailboxes and metrics of its own.
 * Memory:  a call belongs to whoever has it; its shard frees it. The owner frees a promotion.
 */
#ifndef SHARD_WARM_H
#define SHARD_WARM_H

#include "net/frame.h"
#include "query/warm_rows.h"
#include "shard/engine.h"

enum {
    WARM_THREADS_MAX = 32,
    WARM_CALLS_MAX = 1024, /* of a shard */
    WARM_ROUNDS_MAX = 4,   /* of a GET whose rows change under way */
    /* Of LMDB at one moment: while it is looked at, it cannot reuse pages. */
    WARM_ROWS_A_TURN = 64,
    /* On their way; with all calls of a shard less than a queue holds. */
    WARM_PROMOTIONS_MAX = 4096,
};

struct warm_call {
    struct message message;
    uint64_t conn_id;
    int64_t deadline_us; /* since the frame's arrival; 0: none. Rows not fetched by then: TIMEOUT */
    uint32_t round;      /* from 1 */
    struct frame frame;  /* of the GET; its payload lies below */
    struct warm_rows rows;
    uint32_t fetched_count; /* of the rows, from the first */
    size_t bytes;           /* of the budget, without the rows */
    uint8_t payload[];
};

struct warm_promotion {
    struct message message;
    size_t bytes;        /* of the budget */
    struct warm_row row; /* its data lies below */
    uint8_t data[];
};

struct warm;

/* Starts the threads. The meta is borrowed until warm_destroy. */
FST_MUST_USE enum fst_status warm_create(struct warm **warm_out, struct engine *engine,
                                         struct meta *meta, uint32_t threads_count,
                                         struct fst_error *error);
/* After the shards have ended, and before the mailboxes go. What is queued, or came to shards too
 * late, is dropped. NULL is allowed. */
void warm_destroy(struct warm *warm);

/* FST_OVERLOADED if the budget has no room. The call takes over `rows`. */
FST_MUST_USE enum fst_status warm_call_create(struct warm_call **call_out,
                                              struct warm_budget *budget, const struct frame *frame,
                                              struct warm_rows *rows);
void warm_call_destroy(struct warm_call *call); /* NULL is allowed */

/* Sends a call; it comes back as MESSAGE_WARMED to `shard`, a seat. */
void warm_put(struct warm *warm, struct warm_call *call, uint32_t shard);

/* Frees one that came. */
void warm_promotion_destroy(struct warm_promotion *promotion, struct engine *engine);

#endif
