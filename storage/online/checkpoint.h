/*
 * checkpoint: brings LMDB up to the present of the partitions, beside their writers.
 *
 * Per partition: the applied LSN is read, then every row that changed since the last checkpoint is
 * visited and written, in sorted batches; then the client sequences, then that LSN. The positions
 * of the logs, read by the caller before the call, are stored last: whatever they promise is there
 * by then.
 *
 * Where changes are not told apart any more, all rows are visited, and then what LMDB has of keys
 * without a row is removed: rows that are evicted are in LMDB alone, and stay.
 *
 * Changes of the registry that wait for LMDB go along with every transaction: the rows in it may be
 * of views that only they define, and the positions may be behind them.
 *
 * A visited row may be newer than what is durable: in views visible from memory, or because its
 * group was completed this moment. Nothing is committed before the rows in it are durable, so LMDB
 * never has a row that the log does not get; nor before those that were shown in the meantime,
 * which may stand where the visit would have found a row that was durable.
 *
 * Invariant: after success, replaying each log from its position over the stored rows gives the
 *            present rows.
 * Threads: one background thread with a seat in the epoch, entered. Memory: a batch of rows at a
 *          time.
 */
#ifndef STORAGE_ONLINE_CHECKPOINT_H
#define STORAGE_ONLINE_CHECKPOINT_H

#include "storage/meta/change_queue.h"
#include "storage/online/partition.h"

struct checkpoint_options {
    struct meta *meta;
    struct change_queue *changes;
    struct partition *const *partitions;
    uint32_t partitions_count;
    /* The catalog of now, valid until idle is called. Asked for after a partition's LSN was read,
     * so that it has the views of all rows up to there: rows of newer views wait for the next run.
     */
    const struct catalog *(*catalog)(void *context);
    void *context;
    uint32_t done_epoch; /* logs of epochs before it are wholly in the partitions */
    const struct log_position *positions; /* of the others */
    uint32_t positions_count;
    struct io *io;
    int64_t wait_us; /* how long visited rows may take to become durable: FST_TIMEOUT beyond */
    /* Called between partitions and while waiting, for what cannot wait so long; nothing is
     * borrowed of tables or catalog then. May be NULL. */
    void (*idle)(void *idle_context);
    void *idle_context;
};

FST_MUST_USE enum fst_status checkpoint_run(const struct checkpoint_options *options,
                                            uint64_t *rows_out, struct fst_error *error);

#endif
