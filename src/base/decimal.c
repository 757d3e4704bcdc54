#include "base/decimal.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/assert.h"

__extension__ typedef unsigned __int128 u128;

static const uint64_t powers[DECIMAL_SCALE_MAX + 1] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};

/* All integers up to here are float64, and so are the powers of ten above: 10^18 has 42 bits in
 * front of its zeros. Then the quotient of both is the nearest one. */
static const int64_t exact_max = INT64_C(1) << 53;

static bool is_exact(int64_t units) {
    return units >= -exact_max && units <= exact_max;
}

/* A number of at least 61 bits, and the power of two it must be multiplied with to be units /
 * 10^scale: cut off below, with the last bit set if anything was cut. A conversion that keeps 58
 * bits or less then rounds as the quotient itself would be rounded. */
static int64_t quotient_find(int64_t units, uint32_t scale, int *exponent_out) {
    uint64_t magnitude = units < 0 ? -(uint64_t)units : (uint64_t)units;
    int left = __builtin_clzll(magnitude);
    int divisor_left = __builtin_clzll(powers[scale]);
    u128 dividend = (u128)(magnitude << left) << 62;
    uint64_t divisor = powers[scale] << divisor_left;
    int64_t quotient = (int64_t)(dividend / divisor);
    if (dividend % divisor != 0) quotient |= 1;
    *exponent_out = divisor_left - left - 62;
    return units < 0 ? -quotient : quotient;
}

double decimal_float64(int64_t units, uint32_t scale) {
    FST_ASSERT(scale <= DECIMAL_SCALE_MAX);
    if (is_exact(units)) return (double)units / (double)powers[scale];
    int exponent;
    int64_t quotient = quotient_find(units, scale, &exponent);
    return ldexp((double)quotient, exponent);
}

/* Whether the float64 lies just between two float32: only then a second rounding can go wrong. */
static bool is_midway(double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return (bits & UINT64_C(0x1fffffff)) == UINT64_C(0x10000000);
}

float decimal_float32(int64_t units, uint32_t scale) {
    FST_ASSERT(scale <= DECIMAL_SCALE_MAX);
    if (is_exact(units)) {
        double number = (double)units / (double)powers[scale];
        if (!is_midway(number)) return (float)number;
    }
    int exponent;
    int64_t quotient = quotient_find(units, scale, &exponent);
    return ldexpf((float)quotient, exponent);
}
