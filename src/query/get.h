/*
 * get: answers online reads: keys in, reply rows out, many requests at a time.
 *
 * Requests are put into a batch; every wanted row becomes one partition_read, whatever request it
 * belongs to, so that one prefetch pipeline covers the union of all keys of a tick. A group that
 * takes a whole view is copied by the partition straight into the reply; the others go through
 * scratch. Then ttl, as-of, defaults and nulls are settled group by group.
 *
 *     put, put, ... -> [ partition_read x GET_READS_MAX ] -> partition_read_many -> group bodies
 *
 * A row is served at t iff t - ttl <= event_us <= t (ttl 0: no lower bound). For GET_NOW the clock
 * is read after the rows, so that a row whose event time was now when it was written is never
 * ahead.
 *
 * Invariants: a request's rows are complete after the get_batch_run that follows its get_batch_put.
 * Threads: one shard, with a seat in the epoch of the partitions, between two quiet points.
 * Memory:  the batch owns its arrays, settled at init; rows and heap are the caller's.
 */
#ifndef QUERY_GET_H
#define QUERY_GET_H

#include "query/read_plan.h"
#include "storage/online/partition.h"

enum {
    GET_READS_MAX = 1024,
    GET_KEYS_MAX = 10000,
    GET_SCRATCH_BYTES = 1 << 20,
    GET_ROW_BYTES_MAX = 256 << 10,
};

#define GET_NOW INT64_MIN

struct get_store {
    struct io *io; /* the clock */
    struct partition *const *partitions;
    uint32_t partitions_count;
    struct hash_secret secret;
};

struct get_request {
    const struct read_plan *plan;
    int64_t as_of_us; /* or GET_NOW */
    bool serves_expired;
    uint32_t keys_count;
    const uint8_t *keys; /* canonical, one after another; checked by get_keys_check */
    size_t keys_bytes;
    uint8_t *rows;       /* keys_count * plan->row_bytes, 8-byte aligned, to be filled */
    struct writer *heap; /* where values without a fixed size go; NULL if the plan has none */
    uint64_t *rows_found_total; /* groups that had a row are added here */
};

struct get_target {
    struct get_request *request;
    const struct plan_group *group;
    uint8_t *out; /* the group in its reply row */
};

struct get_batch {
    struct get_store store;
    uint32_t reads_count;
    size_t scratch_used;
    struct partition_read *reads;
    struct get_target *targets;
    uint8_t *scratch; /* bodies of groups that are not whole, keys that are not contiguous */
};

FST_MUST_USE enum fst_status get_batch_init(struct get_batch *batch, const struct get_store *store);
void get_batch_deinit(struct get_batch *batch);

/* FST_TOO_LARGE for a plan whose rows are too large to be served: more than GET_ROW_BYTES_MAX in a
 * reply row, or more scratch per key than there is. */
FST_MUST_USE enum fst_status get_plan_check(const struct read_plan *plan, struct fst_error *error);

/* For bytes from a client: FST_INVALID unless `keys` is exactly keys_count canonical keys. */
FST_MUST_USE enum fst_status get_keys_check(const struct read_plan *plan, struct bytes keys,
                                            uint32_t keys_count);

/* Adds all rows of a request; runs the batch whenever it is full. */
void get_batch_put(struct get_batch *batch, struct get_request *request);

/* Finishes everything that was put. A heap that was too small has its `failed` set. */
void get_batch_run(struct get_batch *batch);

#endif
