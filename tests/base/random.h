/*
 * random: a repeatable run of numbers for tests.
 *
 * The seed is FST_SEED of the environment, or fixed; it is printed, so that a failed run can be had
 * again. The generator is splitmix64.
 */
#ifndef TESTS_BASE_RANDOM_H
#define TESTS_BASE_RANDOM_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct random {
    uint64_t state;
};

static inline struct random random_of_environment(void) {
    const char *text = getenv("FST_SEED");
    struct random random = {.state = text ? strtoull(text, NULL, 10) : 20260};
    fprintf(stderr, "FST_SEED=%" PRIu64 "\n", random.state);
    return random;
}

static inline uint64_t random_get(struct random *random) {
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 to bound - 1. */
static inline uint64_t random_below(struct random *random, uint64_t bound) {
    return random_get(random) % bound;
}

#endif
