/*
 * value: the one encoding of values, used on the wire, in rows, in the log and in checkpoints.
 *
 * Fixed-size kinds are their little-endian bytes (decimals as scaled integers, timestamps as
 * microseconds, a vector as its float32 elements), the others a byte string. A list is a u32
 * count and the elements one after another, strings and bytes each behind a u32 length. -0.0 is
 * stored as +0.0, every NaN as the one quiet NaN 0x7ff8000000000000 (0x7fc00000).
 *
 * Threads: pure functions. Memory: values borrow their bytes.
 */
#ifndef MODEL_VALUE_H
#define MODEL_VALUE_H

#include "base/bytes.h"
#include "model/type.h"

enum { VALUE_BYTES_MAX = 65536 }; /* of a string, bytes or list value */

/* FST_INVALID unless `value` is one encoded value of `type` (UTF-8 strings, bool 0 or 1,
 * well-formed lists); FST_TOO_LARGE beyond VALUE_BYTES_MAX. For bytes from outside. Floats of
 * all bit patterns pass. */
FST_MUST_USE enum fst_status value_check(struct type type, struct bytes value);

/* The bits of a float64 as they are stored: one zero, one NaN. */
static inline uint64_t value_float64_bits(uint64_t bits) {
    const uint64_t infinity = UINT64_C(0x7ff0000000000000);
    uint64_t magnitude = bits & UINT64_C(0x7fffffffffffffff);
    if (magnitude > infinity) return UINT64_C(0x7ff8000000000000);
    return magnitude == 0 ? 0 : bits;
}

/* Rewrites -0.0 and NaNs in place, also inside vectors and lists. `value` passes value_check. */
void value_normalize(struct type type, uint8_t *value, size_t bytes);

#endif
