/*
 * get: answers online reads: keys in, replies out, many requests at a time.
 *
 * Requests are put into a batch; every wanted row becomes one partition_read, whatever request it
 * belongs to, so that one prefetch pipeline covers the union of all keys of a tick. In a reply of
 * rows, a group that takes a whole view is copied by the partition straight into its place; all
 * others go through scratch. Then ttl and as-of are settled group by group, and query/reply.h
 * writes what was found in the shape that was asked for.
 *
 *     put, put, ... -> [ partition_read x GET_READS_MAX ] -> partition_read_many -> reply_put
 *
 * A row is served at t iff t - ttl <= event_us <= t (ttl 0: no lower bound). For GET_NOW the clock
 * is read after the rows, so that a row whose event time was now when it was written is never
 * ahead.
 *
 * Rows that are evicted are not read here: a request that meets some has `is_missing` set, and
 * lists them in `wanted`. It is served again with these rows in hand: a row that is still evicted,
 * under the LSN of the row in hand, is answered by it, and any other as always. So an answer is
 * what the tables say at one time.
 *
 * Invariants: a request's reply is complete after the get_batch_run that follows its get_batch_put,
 *             unless is_missing or its status says that it does not count.
 * Threads: one shard, with a seat in the epoch of the partitions, between two quiet points.
 * Memory:  the batch owns its arrays, settled at init; replies and heaps are the caller's.
 */
#ifndef QUERY_GET_H
#define QUERY_GET_H

#include "query/reply.h"
#include "query/warm_rows.h"
#include "storage/online/partition.h"

enum {
    GET_READS_MAX = 1024,
    GET_KEYS_MAX = 10000,
    GET_ROW_BYTES_MAX = 256 << 10,
    GET_KEY_SCRATCH_BYTES_MAX = 1 << 20, /* for one key of a request for rows */
    GET_SCRATCH_BYTES = 3 << 19,         /* for one key of any request, at least */
    GET_CONVERTED_BYTES = ROW_IMAGE_BYTES_MAX,
};

#define GET_NOW INT64_MIN

struct get_store {
    struct io *io; /* the clock */
    struct partition *const *partitions;
    uint32_t partitions_count;
    struct hash_secret secret;
};

struct get_request {
    struct reply reply; /* with its plan; reply.out is filled */
    int64_t as_of_us;   /* or GET_NOW */
    bool serves_expired;
    const uint8_t *keys; /* as many as the reply has, canonical, one after another; checked */
    size_t keys_bytes;
    uint64_t *rows_found_total; /* groups that had a row are added here; again: evicted ones */
    struct warm_rows *in_hand;  /* NULL the first time */
    struct warm_rows wanted;    /* answer: all evicted rows; the budget is set. Deinit it after. */
    enum fst_status wanted_status; /* answer: FST_OK, or why `wanted` does not have all */
    bool is_missing;               /* answer: some of them are not in hand */
    enum fst_status status;        /* answer: FST_OK, or of a row in hand */
    const struct warm_row *fault;  /* answer: the row in hand that status is of, or NULL */
};

struct get_target {
    struct get_request *request;
    const struct plan_group *group;
    uint32_t key; /* its number in the request */
};

struct get_batch {
    struct get_store store;
    uint32_t reads_count;
    size_t scratch_used;
    bool has_void; /* since the caller cleared it, some request is missing rows or has a status */
    struct partition_read *reads;
    struct get_target *targets;
    uint8_t *scratch;   /* bodies that are not read in place, keys that are not contiguous */
    uint8_t *converted; /* the body that is being finished, if its revision is an older one */
};

FST_MUST_USE enum fst_status get_batch_init(struct get_batch *batch, const struct get_store *store);
void get_batch_deinit(struct get_batch *batch);

/* FST_TOO_LARGE for a plan whose rows are too large to be served: more than GET_ROW_BYTES_MAX in a
 * reply row, or more scratch per key than there is. */
FST_MUST_USE enum fst_status get_plan_check(const struct read_plan *plan, struct fst_error *error);

/* For bytes from a client: FST_INVALID unless `keys` is exactly keys_count canonical keys. */
FST_MUST_USE enum fst_status get_keys_check(const struct read_plan *plan, struct bytes keys,
                                            uint32_t keys_count);

/* Adds all rows of a request, which keeps its place until the next run; runs the batch whenever it
 * is full. */
void get_batch_put(struct get_batch *batch, struct get_request *request);

/* Finishes everything that was put. A heap that was too small has its `failed` set. */
void get_batch_run(struct get_batch *batch);

#endif
