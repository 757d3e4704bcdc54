/*
 * buffers: byte buffers of a few sizes, settled at start.
 *
 * A request is served from the smallest size that fits and has one free. The address space of all
 * buffers is taken at init; their pages are touched when first used.
 *
 * Invariant: a buffer goes back to the size it came from (its size is found by its address).
 * Threads: one. Memory: owns all buffers; one handed out is the caller's until buffers_put.
 */
#ifndef BASE_BUFFERS_H
#define BASE_BUFFERS_H

#include <stdbool.h>

#include "base/pool.h"

enum { BUFFERS_SIZES_MAX = 6 };

struct buffers_size {
    size_t bytes;
    uint32_t count;
};

struct buffers {
    uint32_t sizes_count;
    struct pool pools[BUFFERS_SIZES_MAX]; /* by rising size */
};

/* `sizes` by rising bytes. */
FST_MUST_USE enum fst_status buffers_init(struct buffers *buffers, const struct buffers_size *sizes,
                                          uint32_t sizes_count);
void buffers_deinit(struct buffers *buffers);

/* NULL when nothing large enough is free. 64-byte aligned, not zeroed. */
void *buffers_get(struct buffers *buffers, size_t bytes);
void buffers_put(struct buffers *buffers, void *buffer);

/* Whether buffers_get would give one now. */
bool buffers_has(const struct buffers *buffers, size_t bytes);

/* The largest buffer there can be. */
size_t buffers_largest(const struct buffers *buffers);

#endif
