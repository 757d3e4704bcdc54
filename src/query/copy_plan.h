/*
 * copy_plan: how some columns of a stored body become the body of a reply group, as merged runs.
 *
 * Both bodies have the form of model/row.h. Cells that lie one behind another in both are one run
 * of bytes, null bits that follow each other in both are one run of bits, so that a request for
 * half of a view costs a few copies and not one per column. Cells of null columns are zero in a
 * stored body, so they are copied like the others.
 *
 * Invariants, restated in copy_plan_check():
 *   K1  Every cell of the target is in exactly one run, and comes from its column.
 *   K2  Every null bit of the target is in exactly one run of bits, and comes from its column.
 *   K3  A run of bits lies inside one u64 of the target.
 *
 * Threads: immutable once made. Memory: the arrays are the creator's.
 */
#ifndef QUERY_COPY_PLAN_H
#define QUERY_COPY_PLAN_H

#include "model/row.h"

struct copy_run {
    uint32_t from; /* offsets in the bodies */
    uint32_t to;
    uint32_t bytes;
};

struct copy_bits {
    uint32_t from; /* columns */
    uint32_t to;
    uint32_t count;
};

struct copy_plan {
    uint32_t runs_count;
    uint32_t bits_count;
    struct copy_run *runs;
    struct copy_bits *bits;
};

/* What is copied: column columns[c] of `from` becomes column c of `to`, of the same type. */
struct copy_columns {
    const struct row_body *from;
    const struct row_body *to;
    const uint32_t *columns;
};

/* Fills the plan, whose arrays have room for as many elements as `to` has columns. */
void copy_plan_init(struct copy_plan *plan, const struct copy_columns *wanted);

/* Fills all bytes of a body of layout `to`. The bodies do not overlap. */
void copy_plan_run(const struct copy_plan *plan, const struct row_body *to, const uint8_t *from,
                   uint8_t *out);

FST_MUST_USE enum fst_status copy_plan_check(const struct copy_plan *plan,
                                             const struct copy_columns *wanted);

#endif
