/*
 * schedule: when the requests of an open loop are due, and how late they left.
 *
 * The schedule does not wait for the server: the gaps between requests are all the same (fixed), or
 * exponential (Poisson: as from many clients that know nothing of each other). A request is late by
 * the time from when it was due until the kernel took it. That is the load's own fault unless there
 * was no room for it, because every connection had as many requests in flight as it may: such a
 * request is held back by the server, and counted apart.
 *
 * Invariants:
 *   S1  due_ns never decreases.
 *   S2  What was taken is either in lateness_ns or in held_count.
 *
 * Threads: one. Memory: in place. No clock: the caller says what time it is.
 */
#ifndef FSBENCH_SCHEDULE_H
#define FSBENCH_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"

struct schedule_options {
    double rate; /* requests per second, above 0 */
    bool is_poisson;
    uint64_t seed;             /* of the gaps */
    uint64_t begin_ns, end_ns; /* the first request is due at begin, none at end or later */
};

struct schedule {
    struct schedule_options options;
    uint64_t draws_count;
    double due_offset; /* nanoseconds from begin; fractions add up */
    uint64_t due_ns;
    uint64_t full_ns;    /* when no connection had room the last time; 0: never */
    uint64_t held_count; /* requests that found no room when they were due */
    struct histogram lateness_ns;
};

void schedule_init(struct schedule *schedule, const struct schedule_options *options);

/* Whether any request is still to come. */
bool schedule_has_more(const struct schedule *schedule);

/* Whether a request is due by now. */
bool schedule_is_due(const struct schedule *schedule, uint64_t now_ns);

/* Takes the next request: when it was due. */
uint64_t schedule_get(struct schedule *schedule);

/* The request due next finds no room. */
void schedule_put_full(struct schedule *schedule, uint64_t now_ns);

/* The request that was due then was given to the kernel now. */
void schedule_put_sent(struct schedule *schedule, uint64_t due_ns, uint64_t sent_ns);

/* Takes all that are left: how many were due and never sent. */
uint64_t schedule_drain(struct schedule *schedule);

#endif
