/*
 * gate_clock: a monotonic clock that only the test moves, and a gate in front of it: while the gate
 * is closed, threads that read the clock are held there, so that a test knows what waits behind
 * them.
 *
 * Threads: any; the one that called init is never held.
 * Memory:  the caller's. It is an io, of which only the clock may be used.
 */
#ifndef TESTS_SHARD_GATE_CLOCK_H
#define TESTS_SHARD_GATE_CLOCK_H

#include <pthread.h>

#include "base/io.h"

enum { GATE_CLOCK_NOW_US = 1000000000 }; /* the wall clock; it stands */

struct gate_clock {
    struct io io; /* first member */
    pthread_t free_thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool is_closed;
    uint32_t passes; /* so many get through although it is closed */
    uint32_t held_count;
    int64_t now_us;     /* monotonic */
    int64_t reading_us; /* how long a reading takes */
    uint32_t readings;
};

void gate_clock_init(struct gate_clock *clock);
void gate_clock_deinit(struct gate_clock *clock);
void gate_clock_put(struct gate_clock *clock, int64_t now_us, int64_t reading_us);

void gate_clock_close_gate(struct gate_clock *clock);
void gate_clock_open_gate(struct gate_clock *clock);
/* Lets one that is held through a closed gate; returns when it is. */
void gate_clock_pass_one(struct gate_clock *clock);
/* Whether so many threads are held. */
bool gate_clock_holds(struct gate_clock *clock, uint32_t held_count);
/* Returns when they are. */
void gate_clock_await(struct gate_clock *clock, uint32_t held_count);

#endif
