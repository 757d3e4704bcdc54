/*
 * recovery_fixture: a store in real folders, driven as a server drives it but by one thread, and an
 * oracle of what was acknowledged.
 *
 * There are two views of one entity (key int64): `v`, whose rows are seen when they are durable,
 * and `m`, whose rows are seen at once. A row has an int64 and a string that follows from it. The
 * end of a process is played by closing everything without a checkpoint; what is lost with it is
 * taken from the folders.
 *
 * Threads: one. Memory: one allocation per fixture; its folders are removed with it.
 */
#ifndef TESTS_RECOVERY_RECOVERY_FIXTURE_H
#define TESTS_RECOVERY_RECOVERY_FIXTURE_H

#include "base/logger.h"
#include "registry/registry.h"
#include "storage/online/checkpoint.h"
#include "storage/recovery/recovery.h"

enum {
    FIXTURE_PARTITIONS = 4,
    FIXTURE_SHARDS_MAX = 3,
    FIXTURE_VIEWS = 2,
    FIXTURE_KEYS = 150,
    FIXTURE_CLIENTS = 3,
    FIXTURE_PATH_BYTES = 256,
    FIXTURE_PENDING_MAX = 4096,
};

struct oracle_row {
    bool is_present;
    bool is_deleted; /* present, and not served */
    int64_t event_us;
    int64_t created_us;
    uint64_t lsn;
    int64_t value;
};

/* What was acknowledged. */
struct oracle {
    struct oracle_row rows[FIXTURE_VIEWS][FIXTURE_KEYS];
    uint64_t sequences[FIXTURE_PARTITIONS][FIXTURE_CLIENTS];
    uint64_t lsns[FIXTURE_PARTITIONS];
};

struct recovery_fixture {
    struct io *io;
    char root[FIXTURE_PATH_BYTES]; /* holds data, and what is kept aside */
    char data_dir[FIXTURE_PATH_BYTES];
    char table_dir[FIXTURE_PATH_BYTES];
    struct epoch epoch;
    struct partition_budget budget;
    uint64_t meta_bytes; /* the most that LMDB may take */
    uint32_t threads_count;
    bool (*progress)(void *context, const struct recovery_progress *progress); /* or NULL */
    void *progress_context;
    struct registry *registry;
    struct catalog *catalog;
    struct store store;
    struct recovery_report report;
    struct fst_error error;
    uint32_t shards_count;
    struct log *logs[FIXTURE_SHARDS_MAX];
    uint64_t lsns[FIXTURE_PARTITIONS]; /* last one given out */
    uint64_t sequence;
    uint64_t random;
    struct oracle oracle;
    struct oracle kept;    /* when the data were kept */
    bool has_memory_rows;  /* seen, not durable */
    struct catalog *older; /* that checkpoints get; NULL: the present one */
    bool has_kept_tables, has_kept_data;
    uint32_t rows_written, torn_written, memory_written;
};

struct recovery_fixture *recovery_fixture_create(uint64_t seed);
void recovery_fixture_destroy(struct recovery_fixture *f);

/* FST_SEED or `standard`, printed. */
uint64_t recovery_fixture_seed(uint64_t standard);
uint64_t recovery_fixture_random(struct recovery_fixture *f);

/* Opens the store, which must work, and its logs; defines the views if it is new. */
void recovery_fixture_open(struct recovery_fixture *f, uint32_t shards_count);
/* Opens the store, which may fail; it is closed again at once. */
enum fst_status recovery_fixture_try(struct recovery_fixture *f);
/* While it is open: as another process would. */
enum fst_status recovery_fixture_try_other(struct recovery_fixture *f, struct store *store,
                                           struct recovery_report *report, struct fst_error *error);
/* The end of the process: no checkpoint, nothing in flight is finished. */
void recovery_fixture_end(struct recovery_fixture *f);
/* Every key is looked up and compared with the oracle, and partitions are checked. */
void recovery_fixture_judge(struct recovery_fixture *f);

/* ---- while it is open ---- */

/* So many records of one to four rows, in groups; all are acknowledged. */
void recovery_fixture_write(struct recovery_fixture *f, uint32_t records);
/* Rows of `m` that are seen and not yet durable. */
void recovery_fixture_write_in_memory(struct recovery_fixture *f);
/* Groups that got to the disk in part; the process must end now. */
void recovery_fixture_write_torn(struct recovery_fixture *f);
/* Fails, as it must, while rows that are seen are in memory only. */
void recovery_fixture_checkpoint(struct recovery_fixture *f);
/* May fail. */
enum fst_status recovery_fixture_checkpoint_try(struct recovery_fixture *f);
/* Fills LMDB but for a few pages, which a start needs. */
void recovery_fixture_fill_meta(struct recovery_fixture *f);
/* Takes so many rows out of the tables. */
void recovery_fixture_remove(struct recovery_fixture *f, uint32_t rows);
/* As after a checkpoint that failed: what changed is not known any more. */
void recovery_fixture_forget_changes(struct recovery_fixture *f);
uint32_t recovery_fixture_log_files(struct recovery_fixture *f);
/* How many positions of logs LMDB has. */
uint32_t recovery_fixture_positions(struct recovery_fixture *f);
/* One more view. `is_in_meta`: LMDB gets the change, too. */
void recovery_fixture_define(struct recovery_fixture *f, bool is_in_meta);

/* ---- while it is closed ---- */

void recovery_fixture_lose_nothing(struct recovery_fixture *f);
void recovery_fixture_lose_tables(struct recovery_fixture *f);
void recovery_fixture_lose_one_table(struct recovery_fixture *f);
void recovery_fixture_break_table(struct recovery_fixture *f);
void recovery_fixture_lose_meta(struct recovery_fixture *f);
void recovery_fixture_cut_meta(struct recovery_fixture *f);
void recovery_fixture_lose_both(struct recovery_fixture *f);
void recovery_fixture_keep_tables(struct recovery_fixture *f);
void recovery_fixture_bring_tables_back(struct recovery_fixture *f);
void recovery_fixture_keep_data(struct recovery_fixture *f);
void recovery_fixture_bring_data_back(struct recovery_fixture *f);
/* Flips bits of a row's value wherever it is in LMDB. */
void recovery_fixture_flip_meta_row(struct recovery_fixture *f);
/* Flips a bit in the first group of the first log; again: back. */
void recovery_fixture_flip_log(struct recovery_fixture *f);
/* Writes over the header of the first log's file and those of its groups; again: back. */
void recovery_fixture_break_first_log(struct recovery_fixture *f);
/* So many logs behind the last one, none of which got as far as a group. `is_in_meta`: LMDB has a
 * position of each, and knows of the epochs. */
void recovery_fixture_add_logs(struct recovery_fixture *f, uint32_t count, bool is_in_meta);
void recovery_fixture_lose_first_log(struct recovery_fixture *f);
/* Replaces a file of the data folder; NULL removes it. */
void recovery_fixture_put_file(struct recovery_fixture *f, const char *name, const char *text);

#endif
