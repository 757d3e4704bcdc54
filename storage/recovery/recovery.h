/*
 * recovery: opens a store, whatever state the last process left it in.
 *
 *     STORE -> meta (LMDB) -> registry changes -> tables -> checkpoint rows -> log -> new epoch
 *
 * A table that is trusted is kept; any other is emptied and filled from the checkpoint. Then all
 * logs are read in the order of their epochs, from the checkpoint's positions, and every record a
 * partition does not reflect is applied. If LMDB is missing, or a row in it that is needed is
 * damaged, everything is rebuilt from the logs, which are all kept. Ends with the next epoch in
 * LMDB, so that the number of shards may change at every start, and with the old logs ended. There
 * is no checkpoint on this path: the first one of the running server says that the old logs are
 * done (`done_epoch`), and until then another start reads them again. What is done costs a start no
 * more than the name of its file, however many logs there are.
 *
 * Invariants:
 *   V1  After recovery_open every partition reflects exactly the durable records of its partition.
 *   V2  LSNs of a partition have no gap: a gap is damage, and named.
 *   V3  Nothing is written before STORE, meta and logs were found to belong to one store.
 *
 * Threads: one calls, before all others; tables are restored by several (restore.h).
 * Memory:  the store owns meta, changes and partitions; recovery_close gives them back.
 */
#ifndef STORAGE_RECOVERY_RECOVERY_H
#define STORAGE_RECOVERY_RECOVERY_H

#include "storage/log/log_reader.h"
#include "storage/meta/change_queue.h"
#include "storage/online/partition.h"

enum recovery_phase {
    RECOVERY_ROWS, /* tables are filled from the checkpoint; done and total are rows */
    RECOVERY_LOG,  /* the log is read; done and total are parts of its files */
};

/* How far it is; the total is an estimate, and never less than what is done. */
struct recovery_progress {
    enum recovery_phase phase;
    uint64_t done;
    uint64_t total;
};

struct recovery_options {
    struct io *io;
    const char *data_dir;    /* made if it is not there */
    const char *table_dir;   /* a memory file system; a folder of the store is made in it */
    uint32_t partitions_new; /* for a new store */
    uint64_t meta_bytes;     /* the most LMDB may grow to */
    struct epoch *epoch;     /* for the partitions */
    struct partition_budget *budget;
    /* Called once, when the store is this process's own and has its log folder, before anything is
     * read. NULL for nobody. */
    void (*locked)(void *context, const char *log_dir);
    void *locked_context;
    uint32_t threads_count; /* that restore tables: 1 (or 0) to RESTORE_THREADS_MAX, or as many */
    /* Called now and then by one thread at a time, from the moment it is known that tables must be
     * rebuilt or that much log must be read; not at all if they can be served at once. False: stop,
     * and answer FST_CLOSED. May be NULL. */
    bool (*progress)(void *context, const struct recovery_progress *progress);
    void *progress_context;
};

/* The registry, which storage does not know: changes in, catalogs out. */
struct recovery_registry {
    void *context;
    enum fst_status (*change)(void *context, struct bytes change, struct fst_error *error);
    uint64_t (*generation)(void *context);
    /* Owned by the caller of this function: catalog_destroy. */
    enum fst_status (*catalog)(void *context, struct catalog **catalog_out);
};

struct recovery_report {
    uint32_t mapped, restored, made; /* partitions: kept; rebuilt; new */
    uint64_t checkpoint_rows;        /* loaded from LMDB */
    uint64_t log_records, log_rows;  /* read from logs, all */
    uint64_t applied_rows;           /* of these, not yet reflected */
    uint32_t torn_tails;
    int64_t took_us;
};

struct store {
    struct io *io;
    int lock_file; /* held while the store is open */
    uint8_t store_id[STORE_ID_BYTES];
    struct hash_secret secret;
    uint32_t epoch; /* of this start */
    uint32_t partitions_count;
    struct partition **partitions;
    struct meta *meta;
    struct change_queue *changes; /* adopted from the log, for the next checkpoint */
    uint32_t done_epoch; /* of a checkpoint from now on: earlier epochs' logs are in it wholly */
    char log_dir[IO_NAME_BYTES * 4];
};

/* FST_BUSY when another process has it open; FST_CORRUPT with file, offset and LSN for damage;
 * FST_INVALID when the folder is something else; FST_CLOSED when progress() said so. What a
 * recovery that ended early leaves behind is taken on, or thrown away, by the next. */
FST_MUST_USE enum fst_status recovery_open(struct store *store_out,
                                           const struct recovery_options *options,
                                           const struct recovery_registry *registry,
                                           struct recovery_report *report_out,
                                           struct fst_error *error);
/* Closes meta and partitions; table files stay and can be trusted. */
void recovery_close(struct store *store);

#endif
