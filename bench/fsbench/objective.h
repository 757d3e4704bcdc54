/*
 * objective: what latencies a user can live with, such as "p99=500us,p99.9=2ms".
 *
 * Threads: pure functions. Memory: in place.
 */
#ifndef FSBENCH_OBJECTIVE_H
#define FSBENCH_OBJECTIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "fstore/status.h"

enum { OBJECTIVE_BOUNDS_MAX = 8 };

struct objective {
    uint32_t bounds_count;
    struct {
        double quantile; /* 0 to 1, both excluded */
        uint64_t ns_max;
    } bounds[OBJECTIVE_BOUNDS_MAX];
};

/* FST_INVALID with what was expected. */
FST_MUST_USE enum fst_status objective_decode(const char *text, struct objective *objective_out,
                                              struct fst_error *error);

/* Whether every bound is kept; not by an empty histogram. */
bool objective_is_kept(const struct objective *objective, const struct histogram *latency_ns);

/* The bound that is fullest, as a share of it: above 1 it is missed. */
double objective_fullness(const struct objective *objective, const struct histogram *latency_ns);

#endif
