/*
 * reply: what was found for the keys of a GET, written in the shape that the client asked for.
 *
 * Every shape is filled in one pass, in whatever order rows are found: the place of each value is
 * known from its key and feature alone. With F features, G views, K = keys_count rounded up to a
 * multiple of 8 (docs/protocol.md, GET, has every byte):
 *
 *     rows:     row x keys_count           row:    group x G, each a header and a body
 *     columns:  view x G | column x F      view:   event_us x K | created_us x K | lsn x K |
 *                                                  status u8 x K
 *                                          column: is_null u8 x K | value x K
 *     matrix:   float x F x keys_count | status u8 x F x keys_count, if asked for
 *
 * Offsets of a view or column are a multiple of K that PREPARE has worked out. Values without a
 * fixed size are references into a heap, in rows and columns.
 *
 * Threads: a shard. Memory: everything is the caller's.
 */
#ifndef QUERY_REPLY_H
#define QUERY_REPLY_H

#include "query/read_plan.h"

enum reply_shape { REPLY_ROWS, REPLY_COLUMNS, REPLY_FLOAT32, REPLY_FLOAT64, REPLY_SHAPES };

enum { REPLY_NULL = 1 }; /* status of a value that its row does not have, in a matrix */

struct reply {
    const struct read_plan *plan;
    enum reply_shape shape;
    bool has_statuses; /* behind a matrix */
    uint32_t keys_count;
    uint8_t *out;        /* reply_bytes(), of any alignment, to be filled */
    struct writer *heap; /* where values without a fixed size go; NULL if the plan has none */
};

struct partition;

/* What one view has for one key. */
struct reply_row {
    uint8_t status;   /* FST_OK, FST_NOT_FOUND or FST_EXPIRED */
    int64_t event_us; /* 0 if not found, as the next two */
    int64_t created_us;
    uint64_t lsn;
    const uint8_t *body; /* in the layout of the current revision; NULL: no values */
    /* What has the values without a fixed size: */
    const uint8_t *heap;               /* cells of `body` are references into it; or NULL, and */
    const struct partition *partition; /* cells are its places */
};

static inline bool reply_is_matrix(enum reply_shape shape) {
    return shape == REPLY_FLOAT32 || shape == REPLY_FLOAT64;
}

/* FST_INVALID, naming the feature, for a matrix of a plan with a feature that is no number. */
FST_MUST_USE enum fst_status reply_shape_check(const struct read_plan *plan, enum reply_shape shape,
                                               struct fst_error *error);

/* Bytes behind the reply's head and before its heap; plan, shape, keys_count are set. */
size_t reply_bytes(const struct reply *reply);

/* Clears what no row fills. */
void reply_begin(const struct reply *reply);

/* Where the body of a row may be put before reply_put() finds it there; NULL where it must be
 * somewhere else. */
uint8_t *reply_body_room(const struct reply *reply, const struct plan_group *group, uint32_t key);

/* Writes one view of one key. */
void reply_put(const struct reply *reply, const struct plan_group *group, uint32_t key,
               const struct reply_row *row);

#endif
