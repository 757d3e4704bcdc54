/*
 * committer: the one place where rows enter the partitions a shard owns: admission, log,
 *            application.
 *
 *     take -> admitted, copied into the filling group -> seal -> [ disk ] -> complete -> applied,
 *     answered
 *
 * A few groups are in flight at once, for a device syncs several writes in the time of one. They
 * leave evenly: with nothing in flight a group is sealed at once, and otherwise when the share of a
 * write's usual time that falls to each group has passed since the last one. Were every group
 * sealed as soon as it could be, the first few would be tiny and all who come later would share
 * one, so that half of the time would be spent waiting for the next group.
 *
 * A batch is answered when all its parts are: at completion of the group that holds them, or at
 * once for refusals and for views that are visible from memory when the writer asked for no more.
 * Rows are applied in the order of the log, so whether a row is stale does not depend on how groups
 * were cut. While the committer is held, because a reader does not know the newest definitions yet,
 * no group is sealed and no row is shown early.
 *
 * Invariants, W2 to W4 restated in committer_check():
 *   W1  Entries of a group in flight stand in the order of its records; asserted when they are
 *       applied. Groups are applied in order.
 *   W2  parts_open of a batch is the number of its entries that are pending and not answered.
 *   W3  lsns[p] is the last LSN given out for a partition p of this shard: above what is applied
 *       while rows are pending.
 *   W4  A group with an entry has one with a record, so that it will be written.
 *   W5  Records leave a group only from the end of their partition's, and never after their
 *       rows were shown: LSNs of a partition have no gaps.
 *
 * Threads: the owning shard.
 * Memory:  settled at init. Batches are borrowed from committer_take until committer_next_done
 *          hands them back.
 */
#ifndef SHARD_COMMITTER_H
#define SHARD_COMMITTER_H

#include "model/definition.h"
#include "shard/message.h"
#include "storage/log/log.h"
#include "storage/online/partition.h"

enum { COMMITTER_PENDING_MAX = 1 << 15 };

struct committer_pending {
    struct write_batch *batch; /* or NULL: then change */
    struct write_change *change;
    uint32_t part;
    uint32_t partition; /* of rows with a record */
    bool has_record;    /* false: waits for the group only (a repetition) */
    bool is_applied;    /* at admission: a view visible from memory */
    bool is_answered;   /* too, or as unknown while the disk is full: the batch may be gone */
};

struct committer_group {
    int64_t sealed_us; /* monotonic */
    uint32_t count;
    struct committer_pending *entries; /* COMMITTER_PENDING_MAX */
};

struct committer_counts {
    uint64_t rows_written;
    uint64_t rows_stale;
    uint64_t rows_refused;
    uint64_t groups;
    uint64_t group_bytes;
};

struct committer {
    struct log *log;
    struct partition *const *partitions;
    uint32_t partitions_count;
    uint64_t *lsns;                 /* per partition */
    struct committer_group *groups; /* group g of the log is in groups[g % groups_count] */
    uint32_t groups_count;
    uint64_t sealed_group;  /* the next one is filling */
    uint64_t applied_group; /* those between are in flight */
    int64_t write_us;       /* what the write of a group takes, a moving average */
    bool is_waiting;        /* the filling group will be sealed when its time comes */
    bool is_failed;         /* a write failed: nothing is acknowledged any more */
    bool is_held;
    _Atomic bool *is_disk_full;
    bool *is_kept;            /* scratch: per record of the filling group */
    uint8_t *shown;           /* scratch: a bit per partition */
    struct message_list done; /* answered */
    struct committer_counts counts;
};

/* Bytes that committer_init settles for a log with so many groups in flight. Pure. */
size_t committer_bytes(uint32_t groups_in_flight);

FST_MUST_USE enum fst_status committer_init(struct committer *committer, struct log *log,
                                            struct partition *const *partitions,
                                            uint32_t partitions_count, _Atomic bool *is_disk_full);
void committer_deinit(struct committer *committer);

/* Takes a batch (all its partitions belong to this shard) or a change of the registry. */
void committer_take(struct committer *committer, const struct catalog *catalog,
                    struct write_batch *batch, int64_t now_us);
void committer_take_change(struct committer *committer, struct write_change *change,
                           int64_t now_us);

/* Until it is called with false, what is taken waits in the filling group and is not shown. */
void committer_hold(struct committer *committer, bool is_held);

/* True if a group is to be written now (monotonic clock); then it is in flight until
 * committer_complete. If there is no room for it on disk, what it holds is refused with DISK_FULL,
 * but for rows that were shown and rows of the same partition before them: those stay for the first
 * file that is made, and who still waits for them is told OUTCOME_UNKNOWN. */
bool committer_seal(struct committer *committer, const struct catalog *catalog, int64_t now_us,
                    struct log_write *write_out);
/* When committer_seal should be called again though nothing else happens; INT64_MAX: never. */
int64_t committer_seal_us(const struct committer *committer);

/* How a write ended: `result` is 0 or -errno. */
struct committer_written {
    uint64_t group;
    int result;
    int64_t now_us; /* monotonic */
};

/* After FST_IO_ERROR everything pending is answered OUTCOME_UNKNOWN and the process must end. */
FST_MUST_USE enum fst_status committer_complete(struct committer *committer,
                                                const struct catalog *catalog,
                                                const struct committer_written *written);

/* Answers everything pending with OUTCOME_UNKNOWN, and everything that is taken from now on;
 * committer_complete then answers FST_OUTCOME_UNKNOWN. */
void committer_fail(struct committer *committer);

/* The next batch or change that is wholly answered, or NULL. */
struct message *committer_next_done(struct committer *committer);

/* Nothing pending at all. */
bool committer_is_idle(const struct committer *committer);

FST_MUST_USE enum fst_status committer_check(const struct committer *committer);

#endif
