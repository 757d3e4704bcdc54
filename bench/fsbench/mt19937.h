/*
 * mt19937: the random streams of numpy's legacy generator and of Python's `random`, number for
 * number.
 *
 * Both are the Mersenne Twister (Matsumoto and Nishimura, 1998) and differ in how they are seeded
 * and in what they make of its 32-bit outputs: numpy's RandomState(seed) starts from the number
 * itself, Python's random.seed(n) from an array of its 32-bit words. A data set that was published
 * as "run this Python with these seeds" can so be made again without Python.
 *
 * Invariants:
 *   I1  index is at most MT19937_WORDS; words from index on have not been handed out.
 *   I2  A cached normal is the second of the pair whose first was handed out last.
 *
 * Threads: no shared state. Memory: in place, no pointers.
 */
#ifndef FSBENCH_MT19937_H
#define FSBENCH_MT19937_H

#include <stdbool.h>
#include <stdint.h>

enum { MT19937_WORDS = 624 };

struct mt19937 {
    uint32_t words[MT19937_WORDS];
    uint32_t index;
    bool has_normal; /* numpy's normals come in pairs; the second waits here */
    double normal;
};

void mt19937_init_numpy(struct mt19937 *mt, uint32_t seed);  /* numpy.random.RandomState(seed) */
void mt19937_init_python(struct mt19937 *mt, uint32_t seed); /* random.seed(seed) */

uint32_t mt19937_get_u32(struct mt19937 *mt);
double mt19937_get_double(struct mt19937 *mt); /* in [0, 1), 53 bits; numpy's and Python's alike */

/* numpy's uniform, normal (polar method) and poisson; the last for 0 <= mean < 10 only, where numpy
 * multiplies uniforms. */
double mt19937_get_uniform(struct mt19937 *mt, double low, double high);
double mt19937_get_normal(struct mt19937 *mt, double mean, double deviation);
uint32_t mt19937_get_poisson(struct mt19937 *mt, double mean);

/* numpy's permutation(count), into `values_out`. */
void mt19937_get_permutation(struct mt19937 *mt, uint32_t *values_out, uint32_t count);

/* Python's randrange(bound), which choice() uses; bound is at least 1. */
uint32_t mt19937_get_below(struct mt19937 *mt, uint32_t bound);

/* Python's sample(range(count), wanted), in its order. `scratch` has room for `count` words and
 * holds nothing meaningful before or after. */
void mt19937_get_sample(struct mt19937 *mt, uint32_t count, uint32_t wanted, uint32_t *scratch,
                        uint32_t *values_out);

#endif
