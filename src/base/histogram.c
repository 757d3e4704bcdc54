#include "base/histogram.h"

#include <assert.h>
#include <string.h>

enum { STEPS = 1 << HISTOGRAM_STEP_BITS };
static const uint64_t value_max = (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1;

static_assert(HISTOGRAM_BUCKETS == 34 * STEPS, "33 powers of two beyond the linear first part");

/* A reader on another thread may look at any time: no word is ever seen half written. */
static uint64_t word_get(const uint64_t *word) {
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}
static void word_put(uint64_t *word, uint64_t value) { /* NOLINT(*-non-const-parameter) */
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static uint32_t bucket_of(uint64_t value) {
    if (value < STEPS) return (uint32_t)value;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
    return shift * STEPS + (uint32_t)(value >> shift);
}

/* The largest value that falls into a bucket. */
static uint64_t bucket_end(uint32_t bucket) {
    if (bucket < STEPS) return bucket;
    uint32_t shift = bucket / STEPS - 1;
    return (((uint64_t)(bucket % STEPS) + STEPS + 1) << shift) - 1;
}

void histogram_init(struct histogram *histogram) {
    memset(histogram, 0, sizeof *histogram);
    histogram->min = UINT64_MAX;
}

void histogram_put(struct histogram *histogram, uint64_t value) {
    if (value > value_max) value = value_max;
    uint64_t *bucket = &histogram->buckets[bucket_of(value)];
    word_put(bucket, *bucket + 1);
    word_put(&histogram->count, histogram->count + 1);
    word_put(&histogram->sum, histogram->sum + value);
    if (value < histogram->min) word_put(&histogram->min, value);
    if (value > histogram->max) word_put(&histogram->max, value);
}

void histogram_merge(struct histogram *histogram, const struct histogram *other) {
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        word_put(&histogram->buckets[i], histogram->buckets[i] + word_get(&other->buckets[i]));
    }
    word_put(&histogram->count, histogram->count + word_get(&other->count));
    word_put(&histogram->sum, histogram->sum + word_get(&other->sum));
    uint64_t min = word_get(&other->min);
    uint64_t max = word_get(&other->max);
    if (min < histogram->min) word_put(&histogram->min, min);
    if (max > histogram->max) word_put(&histogram->max, max);
}

/* Counts the buckets itself: `count` may already be ahead of them when another thread writes. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) total += word_get(&histogram->buckets[i]);
    if (total == 0) return 0;

    double wanted = quantile * (double)total;
    uint64_t rank = wanted < 1 ? 1 : (uint64_t)wanted;
    if ((double)rank < wanted) rank += 1;
    if (rank > total) rank = total;

    uint64_t max = word_get(&histogram->max);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += word_get(&histogram->buckets[i]);
        if (seen >= rank) return bucket_end(i) < max ? bucket_end(i) : max;
    }
    return max;
}

double histogram_mean(const struct histogram *histogram) {
    uint64_t count = word_get(&histogram->count);
    return count ? (double)word_get(&histogram->sum) / (double)count : 0.0;
}
