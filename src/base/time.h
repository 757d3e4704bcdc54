/*
 * time: moments as RFC 3339 text and as microseconds since 1970-01-01 UTC.
 *
 * The calendar is the proleptic Gregorian one; the range is from year -9999 to year 9999, in UTC.
 * Texts look like 2018-04-01T09:30:00.25Z or 2018-04-01 11:30:00+02:00: an offset is required (a
 * time without one has no meaning), at most six digits of a second are taken, and a leap second has
 * no number.
 *
 * Threads: pure functions. Memory: the caller's.
 */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stddef.h>
#include <stdint.h>

#include "fstore/status.h"

enum { TIME_TEXT_BYTES = 40 };

#define TIME_US_MIN INT64_C(-377705116800000000) /* -9999-01-01T00:00:00Z */
#define TIME_US_MAX INT64_C(253402300799999999)  /* 9999-12-31T23:59:59.999999Z */

/* FST_INVALID with what was expected, a static text, in `*expected_out` (if not NULL). `text` need
 * not be 0-ended. */
FST_MUST_USE enum fst_status time_parse_rfc3339(const char *text, size_t text_bytes,
                                                int64_t *us_out, const char **expected_out);

/* Always UTC with six digits: 2018-04-01T09:30:00.250000Z. Beyond the range the plain number of
 * microseconds. Returns the length. */
size_t time_format_rfc3339(int64_t us, char text_out[TIME_TEXT_BYTES]);

#endif
