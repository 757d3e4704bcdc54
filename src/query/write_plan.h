/*
 * write_plan: what a prepared write means: a view and the columns that will be given, in order.
 *
 * What of it does not depend on the rows is settled here: where each column's values go in a row
 * image, how they are checked, and which columns are null because they are not given.
 *
 * Threads: made and used by one shard; reads only the catalog it was made from.
 * Memory:  one allocation, owned by the creator; it borrows the view from the catalog.
 */
#ifndef QUERY_WRITE_PLAN_H
#define QUERY_WRITE_PLAN_H

#include "base/bytes.h"
#include "model/definition.h"

enum write_column_kind {
    WRITE_OTHER,   /* value by value */
    WRITE_WORD,    /* 8 bytes, whatever they are */
    WRITE_FLOAT64, /* 8 bytes in normal form */
};

struct write_column {
    struct type type;
    uint32_t index;      /* in the view; also its null bit */
    uint32_t offset;     /* of its cell in the body */
    uint32_t bytes_each; /* 0: values have ends */
    enum write_column_kind kind;
};

struct write_plan {
    const struct view *view;
    uint64_t layout_id;
    uint32_t columns_count;
    uint32_t references_count;    /* columns without a fixed size */
    struct write_column *columns; /* as they will be given */
    uint64_t *nulls;              /* the body's null bits before anything is given */
    struct bytes layout;
};

/* Makes a plan for the names as PREPARE has them: the view, then its features (none: all).
 * FST_UNKNOWN names what is missing; FST_INVALID for a feature given twice. */
FST_MUST_USE enum fst_status write_plan_create(struct write_plan **plan_out,
                                               const struct catalog *catalog,
                                               const struct bytes *names, uint32_t count,
                                               struct fst_error *error);
/* All columns of one view: for rows that do not come over PREPARE. */
FST_MUST_USE enum fst_status write_plan_of_view(struct write_plan **plan_out,
                                                const struct view *view);
void write_plan_destroy(struct write_plan *plan);

#endif
