/*
 * restore: opens the tables of a store, and fills those that are not trusted from the checkpoint in
 * LMDB.
 *
 * Several threads take the partitions in their order, each with its own reader of LMDB: first all
 * are opened, which says how many are to be filled, then those are filled.
 *
 * Invariants:
 *   T1  What comes out does not depend on the number of threads: a partition is the work of one.
 *   T2  Of several failures the one of the lowest partition is told; all below it are done.
 *   T3  A table that is filled in part has a lower LSN than its checkpoint: the next start does not
 *       take it for whole.
 *
 * Threads: one calls; options->threads_count are at work, the caller among them, and are gone when
 *          it returns.
 * Memory:  borrows everything; the partitions belong to the store.
 */
#ifndef STORAGE_RECOVERY_RESTORE_H
#define STORAGE_RECOVERY_RESTORE_H

#include "storage/recovery/identity.h"
#include "storage/recovery/progress.h"

enum { RESTORE_THREADS_MAX = 16 };

struct restore {
    struct store *store; /* has room for its partitions */
    const struct recovery_options *options;
    const struct catalog *catalog;
    const char *table_dir;          /* of this store */
    uint8_t boot_id[16];            /* that tables must have to be trusted */
    const uint64_t *lsns;           /* per partition: of the checkpoint */
    bool is_new;                    /* the store */
    bool has_checkpoint;            /* or all rows come from the log */
    bool is_filling;                /* some table was not trusted */
    bool is_damaged;                /* the failure is rows in LMDB that fail their check */
    bool is_wanted[PARTITIONS_MAX]; /* to be filled */
    struct progress *progress;
    struct recovery_report *report;
    struct fst_error *error;
};

/* Opens all tables, and fills those that are not trusted. FST_CORRUPT, FST_FULL, and what opening a
 * file can meet; FST_CLOSED when progress says so. */
FST_MUST_USE enum fst_status restore_run(struct restore *restore);
/* Empties the tables that are wanted, all of them open, and fills them again. */
FST_MUST_USE enum fst_status restore_run_again(struct restore *restore);

#endif
