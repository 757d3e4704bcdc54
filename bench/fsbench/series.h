/*
 * series: a run cut into intervals, each with its own counts and latencies.
 *
 * An interval takes what is answered within it. The last one also takes what is answered after the
 * end; it is shorter than the others where their length does not divide the run. An interval in
 * which nothing was answered is handed out too: it is what a stall looks like.
 *
 * Threads: one. Memory: in place. No clock: the caller says what time it is.
 */
#ifndef FSBENCH_SERIES_H
#define FSBENCH_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"

struct interval {
    uint64_t begin_ns; /* from the begin of the run */
    uint64_t elapsed_ns;
    uint64_t refused_count;
    struct histogram read_ns, write_ns;
};

struct series_options {
    uint64_t begin_ns, end_ns; /* of the run */
    uint64_t step_ns;          /* length of an interval; 0: no intervals */
    void (*take)(void *context, const struct interval *interval); /* is called in order */
    void *context;
};

struct series {
    struct series_options options;
    struct interval current;
    bool is_over;
};

void series_init(struct series *series, const struct series_options *options);

/* Hands out the intervals that have ended by now, except the last. */
void series_advance(struct series *series, uint64_t now_ns);

/* An answer that came now, after `taken_ns`; or a refusal. */
void series_put(struct series *series, uint64_t now_ns, uint64_t taken_ns, bool is_write);
void series_put_refused(struct series *series, uint64_t now_ns);

/* No more answers will come: hands out the rest. */
void series_end(struct series *series);

#endif
