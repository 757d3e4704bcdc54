/*
 * decimal: a scaled integer as a binary floating-point number.
 *
 * The value of `units` with `scale` places is units / 10^scale. What is returned is the float64 or
 * float32 nearest to that quotient, ties to even: one rounding, for every int64 and every scale. So
 * a decimal has one value as a number, whether a server or a client converts it, and scale 0
 * converts any integer.
 *
 * Threads: pure functions.
 */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stdint.h>

enum { DECIMAL_SCALE_MAX = 18 };

double decimal_float64(int64_t units, uint32_t scale);
float decimal_float32(int64_t units, uint32_t scale);

#endif
