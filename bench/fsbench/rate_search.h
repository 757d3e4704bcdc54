/*
 * rate_search: finds the largest rate that keeps an objective, by trying rates.
 *
 * It only decides what to try next; the caller measures and says whether the objective was kept:
 *
 *   1. From the first rate on, double while it is kept (or halve while it is not).
 *   2. Halve the gap between the largest rate kept and the smallest missed until it is within 2 %
 * of the latter.
 *   3. Try the largest rate kept once more. If that run misses it, the rate was kept by luck: go
 * down by 5 % at a time until a rate is kept twice in a row.
 *
 * Invariants:
 *   R1  kept < missed, except that missed is 0 while no rate has been missed.
 *   R2  It ends, at the latest after RATE_SEARCH_PROBES_MAX tries.
 *
 * Threads: one. Memory: in place.
 */
#ifndef FSBENCH_RATE_SEARCH_H
#define FSBENCH_RATE_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

enum { RATE_SEARCH_PROBES_MAX = 64 };

enum rate_search_state {
    RATE_SEARCH_SPAN,   /* looking for a rate on either side */
    RATE_SEARCH_NARROW, /* between them */
    RATE_SEARCH_VERIFY, /* the second run of `kept` */
    RATE_SEARCH_LOWER,  /* the second run missed: looking below */
    RATE_SEARCH_FOUND,
    RATE_SEARCH_FAILED, /* not even the smallest rate, or too many tries */
};

struct rate_search {
    enum rate_search_state state;
    uint64_t rate;   /* to try now; when found, the answer */
    uint64_t kept;   /* largest rate kept, or 0 */
    uint64_t missed; /* smallest rate missed, or 0 */
    uint64_t rate_min, rate_max;
    uint32_t probes_count;
};

/* Begins with `rate`, or the nearest that is allowed; tries none below rate_min (at least 1) and
 * none above rate_max. */
void rate_search_init(struct rate_search *search, uint64_t rate, uint64_t rate_min,
                      uint64_t rate_max);

/* Whether `search->rate` is to be tried. */
bool rate_search_is_running(const struct rate_search *search);

/* What came of trying it. */
void rate_search_put(struct rate_search *search, bool is_kept);

#endif
