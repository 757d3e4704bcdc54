/*
 * number_plan: how a stored body becomes a part of a matrix row, as merged runs of conversions.
 *
 * Columns of one type that lie behind one another in the body and in the matrix row are one run, a
 * loop without a test. Null cells are zero in a stored body; they are converted like the others and
 * get their fill afterwards, in the rows that have nulls at all.
 *
 * Each conversion is one IEEE rounding to nearest, ties to even:
 *
 *     bool, int32, int64, timestamp (us)   the integer
 *     decimal                              units / 10^scale (base/decimal.h)
 *     float32, float64                     the number; beyond the range of float32 an infinity
 *
 * Invariant, restated in number_plan_check():
 *   N1  Every column is in exactly one run, which has its type and takes it to its feature.
 *
 * Threads: immutable once made. Memory: the array is the creator's.
 */
#ifndef QUERY_NUMBER_PLAN_H
#define QUERY_NUMBER_PLAN_H

#include "model/row.h"

struct number_run {
    struct type type;
    uint32_t from;  /* offset in the body */
    uint32_t to;    /* index in the matrix row */
    uint32_t count; /* numbers */
};

struct number_plan {
    uint32_t runs_count;
    struct number_run *runs;
};

/* What is converted: column columns[c] of `from` becomes number features[c] of the row. */
struct number_columns {
    const struct row_body *from;
    uint32_t count;
    const uint32_t *columns;
    const uint32_t *features;
};

/* Whether values of the type can be in a matrix. */
bool number_type_is_allowed(struct type type);
/* The number of one cell or encoded value of such a type. */
double number_float64(struct type type, const uint8_t *cell);
float number_float32(struct type type, const uint8_t *cell);

/* Fills the plan, whose array has room for `count` runs. All types are allowed ones. */
void number_plan_init(struct number_plan *plan, const struct number_columns *wanted);

/* Converts all columns of a body into a matrix row of float64 or float32, of any alignment. */
void number_plan_run_float64(const struct number_plan *plan, const uint8_t *body, uint8_t *row);
void number_plan_run_float32(const struct number_plan *plan, const uint8_t *body, uint8_t *row);

FST_MUST_USE enum fst_status number_plan_check(const struct number_plan *plan,
                                               const struct number_columns *wanted);

#endif
