/*
 * units: amounts of time and of bytes as people write them.
 *
 * A duration is a whole number and a unit: us, ms, s, m, h or d ("90s", "7d"); a size is a whole
 * number and optionally K, M, G or T, powers of 1024 ("64K", "4G"); 0 needs no unit. There are no
 * signs, no fractions and no spaces, so that every amount has one meaning, and the forms below give
 * texts that are read back as the same amount.
 *
 * Threads: pure functions. Memory: the caller's.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdint.h>

#include "fstore/status.h"

enum { UNITS_TEXT_BYTES = 32 };

/* All answer FST_INVALID with what was expected and found in `error`; the largest amounts are
 * INT64_MAX microseconds and UINT64_MAX bytes or things. */
FST_MUST_USE enum fst_status duration_parse(const char *text, int64_t *us_out,
                                            struct fst_error *error);
FST_MUST_USE enum fst_status bytes_parse(const char *text, uint64_t *bytes_out,
                                         struct fst_error *error);
FST_MUST_USE enum fst_status count_parse(const char *text, uint64_t *count_out,
                                         struct fst_error *error);

/* The shortest exact text: "7d", "1500ms", "0s". `us` is not negative. */
void duration_format(int64_t us, char text_out[UNITS_TEXT_BYTES]);

/* The shortest exact text: "4G", "1000", "0". */
void bytes_format(uint64_t bytes, char text_out[UNITS_TEXT_BYTES]);

#endif
