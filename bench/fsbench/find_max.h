/*
 * find_max: measures at one rate after another until the largest one that keeps an objective is
 * known (rate_search.h says which).
 *
 * A probe is a whole measurement. It keeps the objective if every latency bound holds for reads and
 * writes together, counted from when each was due, if nothing was refused or left unsent, and if
 * the measurement is to be trusted (verdict.h). A wrong reply ends the search.
 *
 * Threads: one. Memory: the caller's.
 */
#ifndef FSBENCH_FIND_MAX_H
#define FSBENCH_FIND_MAX_H

#include <stdio.h>

#include "bench/fsbench/measurement.h"
#include "bench/fsbench/objective.h"
#include "bench/fsbench/rate_search.h"

struct find_max_probe {
    uint64_t rate;
    double p99_us;
    double fullness;     /* of the fullest bound, above 1: missed */
    uint64_t lost_count; /* refused or never sent */
    enum verdict verdict;
    bool is_kept;
};

struct find_max {
    struct objective objective;
    struct rate_search search;
    uint32_t probes_count;
    struct find_max_probe probes[RATE_SEARCH_PROBES_MAX];
    bool is_load_bound; /* the smallest rate missed was missed by fsbench itself */
};

/* Prints each probe to standard error. The measurement is that of the last run, the second one at
 * the rate found. FST_INVALID for a bad objective, FST_CORRUPT for wrong replies, FST_NOT_FOUND if
 * no rate keeps the objective. */
FST_MUST_USE enum fst_status find_max_run(struct find_max *find, struct load *load,
                                          const struct load_settings *settings,
                                          struct measurement *measurement_out,
                                          struct fst_error *error);

void find_max_dump(const struct find_max *find, const struct load_settings *settings, FILE *out);

/* A member `"find_max":{...}`. */
void find_max_json_dump(const struct find_max *find, const struct load_settings *settings,
                        FILE *out);

#endif
