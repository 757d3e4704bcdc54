/*
 * replay: reads all logs once and applies what the partitions do not reflect yet.
 *
 * Logs are read in the order of their epochs, and within an epoch the log of shard 0 first: changes
 * of the registry are in it, so a definition is adopted before a row that needs it is met.
 *
 * Invariants:
 *   P1  A record is applied exactly if its LSNs are above the partition's applied LSN, and then
 *       they follow it directly.
 *   P2  A record is checked (view, revision, sizes, every cell) before it is applied.
 *
 * Threads: one. Memory: borrows everything; replaces *catalog when a change is adopted.
 */
#ifndef STORAGE_RECOVERY_REPLAY_H
#define STORAGE_RECOVERY_REPLAY_H

#include "storage/recovery/identity.h"
#include "storage/recovery/progress.h"

struct replay {
    struct io *io;
    struct store *store;
    const struct recovery_registry *registry;
    struct catalog **catalog;
    const struct log_positions *done; /* as the reader takes them */
    uint32_t done_epoch;
    struct log_positions *ends; /* gets the last group of every log that is read */
    uint32_t epoch_max;
    struct progress *progress;
    bool is_rebuild;      /* progress is told from the first record on, not only when it is long */
    uint64_t pieces_read; /* of log files, of 1 MiB */
    bool is_meta_lost;    /* every change is to be stored in LMDB again */
    uint64_t lsns[PARTITIONS_MAX]; /* the last one the logs have, per partition; 0: none was read */
    struct recovery_report *report;
    struct fst_error *error;
};

/* May be run again after partitions were cleared. FST_CORRUPT names file, offset and LSN. */
FST_MUST_USE enum fst_status replay_run(struct replay *replay, struct recovery_report *report);

#endif
