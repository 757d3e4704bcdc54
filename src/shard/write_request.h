/*
 * write_request: the rows of one request on their way to the owners of their partitions, and the
 * answer that comes together from theirs.
 *
 *     row set -> split by partition -> one batch per owner -> ... -> statuses by row number -> one
 *     reply
 *
 * Invariants: batches_open is the number of batches sent and not merged; a row's status is written
 *             once.
 * Threads: the origin: a shard, or the control thread for rows that come as text.
 * Memory:  request and batches lie in buffers of the origin; a batch is away until it comes back as
 *          WRITTEN.
 */
#ifndef SHARD_WRITE_REQUEST_H
#define SHARD_WRITE_REQUEST_H

#include "base/arena.h"
#include "base/buffers.h"
#include "query/row_set.h"
#include "shard/engine.h"

enum { WRITE_RETRY_US = 10000 };

/* Memory for writes on their way, of one origin. */
FST_MUST_USE enum fst_status write_buffers_init(struct buffers *buffers);
/* Its bytes. Pure. */
size_t write_buffers_bytes(void);

struct write_origin {
    uint64_t conn_id; /* 0: not a connection */
    uint32_t request_id;
    bool is_durable; /* the acknowledgement asked for */
    uint64_t client_id;
    uint64_t sequence;
};

struct write_request {
    struct write_origin origin;
    uint32_t rows_count;
    uint32_t batches_open;
    uint8_t statuses[]; /* per row */
};

/* Where a request comes from. */
struct write_source {
    const struct engine *engine;
    struct buffers *buffers;
    struct arena *arena; /* for the split; used until the call returns */
};

/* One batch per owner, by owner. */
struct write_batches {
    uint32_t count;
    struct write_batch *batches[ENGINE_SHARDS_MAX];
    uint32_t owners[ENGINE_SHARDS_MAX];
};

/* False when there are no buffers for a write of so many rows, as little as they may take: it would
 * be refused in the end, and its rows need not be made before. */
bool write_request_has_room(const struct write_source *source, const struct view *view,
                            uint32_t rows_count);

/* Checks event times against the clock, splits the set and makes the batches. batches_open is their
 * count: the caller sends each, or answers it with write_batch_refuse. FST_OVERLOADED when buffers
 * or arena have no room; FST_TOO_LARGE when they never will. */
FST_MUST_USE enum fst_status write_request_create(const struct write_source *source,
                                                  const struct write_origin *origin,
                                                  struct row_set *set, int64_t now_us,
                                                  struct write_request **request_out,
                                                  struct write_batches *batches_out);

/* All rows of a batch get this status. */
void write_batch_refuse(struct write_batch *batch, enum fst_status status);

/* Takes the statuses of a batch that came back and frees it. True when it was the last one. */
bool write_request_merge(struct write_request *request, struct write_batch *batch,
                         struct buffers *buffers);

/* Rows whose status is not OK. */
uint32_t write_request_not_ok(const struct write_request *request);

struct shard;
/* For a shard: creates, sends or takes, and answers at once when nothing had to travel. */
FST_MUST_USE enum fst_status write_request_send(struct shard *shard,
                                                const struct write_origin *origin,
                                                struct row_set *set, struct fst_error *error);
/* For a shard: a batch came back. */
void write_request_written(struct shard *shard, struct write_batch *batch);

#endif
