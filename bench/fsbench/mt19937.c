#include "bench/fsbench/mt19937.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"

enum { MT19937_MIDDLE = 397 };

static void state_init(struct mt19937 *mt, uint32_t seed) {
    for (uint32_t i = 0; i < MT19937_WORDS; i++) {
        mt->words[i] = seed;
        seed = 1812433253u * (seed ^ (seed >> 30)) + i + 1;
    }
    mt->index = MT19937_WORDS;
    mt->has_normal = false;
    mt->normal = 0;
}

/* Each new word mixes two neighbours with the word MIDDLE places on, all round the ring. */
static void state_refill(struct mt19937 *mt) {
    uint32_t *words = mt->words;
    for (uint32_t i = 0; i < MT19937_WORDS; i++) {
        uint32_t next = words[(i + 1) % MT19937_WORDS];
        uint32_t mixed = (words[i] & 0x80000000u) | (next & 0x7fffffffu);
        uint32_t twist = (mixed & 1) ? 0x9908b0dfu : 0;
        words[i] = words[(i + MT19937_MIDDLE) % MT19937_WORDS] ^ (mixed >> 1) ^ twist;
    }
    mt->index = 0;
}

void mt19937_init_numpy(struct mt19937 *mt, uint32_t seed) {
    state_init(mt, seed);
}

/* init_by_array of the reference implementation, with the one-word key {seed}. */
void mt19937_init_python(struct mt19937 *mt, uint32_t seed) {
    state_init(mt, 19650218u);
    uint32_t *words = mt->words;
    uint32_t i = 1;
    for (uint32_t round = 0; round < MT19937_WORDS; round++) {
        words[i] = (words[i] ^ ((words[i - 1] ^ (words[i - 1] >> 30)) * 1664525u)) + seed;
        if (++i == MT19937_WORDS) {
            words[0] = words[MT19937_WORDS - 1];
            i = 1;
        }
    }
    for (uint32_t round = 0; round < MT19937_WORDS - 1; round++) {
        words[i] = (words[i] ^ ((words[i - 1] ^ (words[i - 1] >> 30)) * 1566083941u)) - i;
        if (++i == MT19937_WORDS) {
            words[0] = words[MT19937_WORDS - 1];
            i = 1;
        }
    }
    words[0] = 0x80000000u;
}

uint32_t mt19937_get_u32(struct mt19937 *mt) {
    if (mt->index == MT19937_WORDS) state_refill(mt);
    uint32_t y = mt->words[mt->index++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

double mt19937_get_double(struct mt19937 *mt) {
    uint32_t high = mt19937_get_u32(mt) >> 5;
    uint32_t low = mt19937_get_u32(mt) >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

double mt19937_get_uniform(struct mt19937 *mt, double low, double high) {
    return low + (high - low) * mt19937_get_double(mt);
}

double mt19937_get_normal(struct mt19937 *mt, double mean, double deviation) {
    if (mt->has_normal) {
        mt->has_normal = false;
        return mean + deviation * mt->normal;
    }
    double x, y, square;
    do {
        x = 2.0 * mt19937_get_double(mt) - 1.0;
        y = 2.0 * mt19937_get_double(mt) - 1.0;
        square = x * x + y * y;
    } while (square >= 1.0 || square == 0.0);
    double factor = sqrt(-2.0 * log(square) / square);
    mt->normal = factor * x;
    mt->has_normal = true;
    return mean + deviation * (factor * y);
}

uint32_t mt19937_get_poisson(struct mt19937 *mt, double mean) {
    FST_ASSERT(mean >= 0 && mean < 10);
    if (mean == 0) return 0;
    double limit = exp(-mean);
    uint32_t events = 0;
    for (double product = mt19937_get_double(mt); product > limit; events++) {
        product *= mt19937_get_double(mt);
    }
    return events;
}

/* numpy's random_interval: outputs under the smallest mask that covers `max`, until one fits. */
static uint32_t interval_get(struct mt19937 *mt, uint32_t max) {
    uint32_t mask = UINT32_MAX >> __builtin_clz(max);
    uint32_t value;
    do {
        value = mt19937_get_u32(mt) & mask;
    } while (value > max);
    return value;
}

void mt19937_get_permutation(struct mt19937 *mt, uint32_t *values_out, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) values_out[i] = i;
    for (uint32_t i = count; i-- > 1;) {
        uint32_t j = interval_get(mt, i);
        uint32_t value = values_out[i];
        values_out[i] = values_out[j];
        values_out[j] = value;
    }
}

uint32_t mt19937_get_below(struct mt19937 *mt, uint32_t bound) {
    FST_ASSERT(bound >= 1);
    int drop = __builtin_clz(bound);
    uint32_t value;
    do {
        value = mt19937_get_u32(mt) >> drop;
    } while (value >= bound);
    return value;
}

/* CPython picks from a shrinking pool when that is smaller than a set of the picks would be. */
static bool sample_uses_pool(uint32_t count, uint32_t wanted) {
    uint64_t set_size = 21;
    if (wanted > 5) {
        uint64_t table = 1;
        while (table < 3ull * wanted) table *= 4;
        set_size += table;
    }
    return count <= set_size;
}

void mt19937_get_sample(struct mt19937 *mt, uint32_t count, uint32_t wanted, uint32_t *scratch,
                        uint32_t *values_out) {
    FST_ASSERT(wanted <= count);
    if (sample_uses_pool(count, wanted)) {
        for (uint32_t i = 0; i < count; i++) scratch[i] = i;
        for (uint32_t i = 0; i < wanted; i++) {
            uint32_t j = mt19937_get_below(mt, count - i);
            values_out[i] = scratch[j];
            scratch[j] = scratch[count - i - 1];
        }
        return;
    }
    memset(scratch, 0, count * sizeof *scratch);
    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t j;
        do {
            j = mt19937_get_below(mt, count);
        } while (scratch[j]);
        scratch[j] = 1;
        values_out[i] = j;
    }
}
