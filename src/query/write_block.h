/*
 * write_block: the columnar block of a WRITE, checked and turned into a row set.
 *
 * Threads: pure. Memory: the payload is borrowed; the row set lies in the caller's arena.
 */
#ifndef QUERY_WRITE_BLOCK_H
#define QUERY_WRITE_BLOCK_H

#include "base/arena.h"
#include "query/row_set.h"
#include "query/write_plan.h"

struct write_block {
    uint64_t layout_id;
    uint64_t sequence;
    uint32_t rows_count;
    bool is_durable; /* the acknowledgement asked for */
    bool has_created;
    bool is_delete;        /* key columns alone */
    struct reader columns; /* the rest of the payload */
};

/* The fixed part. FST_BAD_FRAME names the field that is out of range. */
FST_MUST_USE enum fst_status write_block_decode(struct bytes payload, struct write_block *block_out,
                                                struct fst_error *error);

/* Turns the columns into rows: created time where none is given is `now_us`. Rows with a value that
 * fails its check get FST_INVALID or FST_TOO_LARGE. FST_BAD_FRAME when the columns do not fill the
 * payload exactly; FST_TOO_LARGE when the rows and their split would not fit into the arena if it
 * were empty, FST_OVERLOADED when they do not because of what is in it. */
FST_MUST_USE enum fst_status write_block_rows(struct write_block *block,
                                              const struct write_plan *plan, int64_t now_us,
                                              struct arena *arena, struct row_set *set_out,
                                              struct fst_error *error);

#endif
