/*
 * item: the rows a load writes and expects back.
 *
 * A row is `count` float64 values, each a function of the key, the column and the version of the
 * row. A reader that knows key and version can so check every byte without a copy of the data.
 *
 * Threads: pure functions. Memory: the caller's.
 */
#ifndef FSBENCH_ITEM_H
#define FSBENCH_ITEM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "bench/fsbench/key_stream.h"

/* What all columns of one row share. */
static inline uint64_t item_seed(uint64_t key, int64_t version) {
    return mix_u64(key ^ mix_u64((uint64_t)version));
}

/* The bits of the value, a float64 in [1, 2). */
static inline uint64_t item_value(uint64_t item_seed, uint32_t column) {
    return mix_u64(item_seed + column) >> 12 | UINT64_C(0x3ff0000000000000);
}

/* Writes `count` values, eight bytes each. */
void item_fill(uint8_t *values_out, uint32_t count, uint64_t key, int64_t version);

/* The first column that differs from what it should be, or `count`. */
uint32_t item_check(const uint8_t *values, uint32_t count, uint64_t key, int64_t version);

#endif
