/*
 * histogram: how often values of different sizes occurred, in buckets of bounded relative width.
 *
 * Log-linear: 128 linear steps per power of two, so a reported value is at most 0.8 % above the
 * true one. Values from 0 to 2^40 - 1; larger ones count as the largest.
 *
 * Threads: one writer; reading beside it gives a slightly old picture. Memory: in place, no
 * pointers.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_STEP_BITS = 7,
    HISTOGRAM_VALUE_BITS = 40,
    HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS,
};

struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t min; /* UINT64_MAX while empty */
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *histogram);
void histogram_put(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/* The smallest bucket end that at least `quantile` (0 to 1) of the values do not exceed, or the
 * largest value if that is less; 0 if empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);
double histogram_mean(const struct histogram *histogram);

#endif
