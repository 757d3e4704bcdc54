/*
 * keeper: the background thread that keeps log files ready and LMDB close behind the log.
 *
 * Log files are made before they are needed; when there is no room for one, or it cannot be made
 * for another reason, the disk is said to be full until it can. Checkpoints run at an interval, on
 * request, and at the end.
 *
 * Invariants:
 *   K1  Log positions of a checkpoint are read before its rows are visited, and stored after them.
 *   K2  Positions are read while no registry change is between the log and the queue of changes for
 *       LMDB (change_lock); what waits in the queue is stored with them.
 *
 * Threads: keeper_run is the thread; keeper_checkpoint and keeper_stop may be called by one other.
 * Memory:  borrows everything it is given.
 */
#ifndef JOBS_KEEPER_H
#define JOBS_KEEPER_H

#include <pthread.h>

#include "base/metrics.h"
#include "storage/online/checkpoint.h"
#include "storage/recovery/recovery.h"

struct keeper_options {
    struct store *store;
    struct epoch *epoch;
    uint32_t epoch_seat;
    struct metrics *metrics;
    struct log **logs; /* per shard */
    uint32_t shards_count;
    const _Atomic uint64_t *applied_groups; /* per shard */
    _Atomic bool *is_disk_full;
    _Atomic bool *is_wanted;        /* a checkpoint, for a reason that others know; taken back */
    _Atomic int64_t *checkpoint_us; /* gets the wall clock after each checkpoint */
    pthread_mutex_t *change_lock;
    int64_t interval_us;
    void *context;
    /* The catalog of now; valid while the keeper's seat is entered. */
    const struct catalog *(*catalog)(void *context);
};

struct keeper;

FST_MUST_USE enum fst_status keeper_create(struct keeper **keeper_out,
                                           const struct keeper_options *options);
void keeper_destroy(struct keeper *keeper);

void keeper_run(struct keeper *keeper);
/* Ends keeper_run after a last checkpoint (unless `is_failed`: then the disk is left as it is). */
void keeper_stop(struct keeper *keeper, bool is_failed);

/* Waits for a checkpoint that begins after the call. */
FST_MUST_USE enum fst_status keeper_checkpoint(struct keeper *keeper, struct fst_error *error);

#endif
