/*
 * value_parse: reads values as people write them: CSV fields, YAML scalars, JSON elements.
 *
 *     bool        true, false (also True, False, 1, 0)
 *     int32/64    -12
 *     float32/64  1.5, -2e-3, nan, inf, -inf
 *     decimal(s)  -12.34, with at most s places; never rounded
 *     timestamp   integer microseconds since 1970 UTC, or RFC 3339
 *     string      the bytes as they are, valid UTF-8
 *     bytes       0x and hex digits
 *     uuid        8-4-4-4-12 hex digits
 *     vector      [1, 2.5]: a JSON array of exactly n numbers; nan, inf and -inf as JSON strings
 *     list        a JSON array of elements; kinds that JSON lacks as JSON strings
 *
 * Floats are rounded correctly, to nearest even; a number beyond the largest finite one is refused.
 * Everything is read in one pass, and texts of any content only ever cost their length.
 *
 * Invariant: what is written to `out` passes value_check and is normalized.
 *
 * Threads: pure functions. Memory: the caller's; nothing is allocated.
 */
#ifndef MODEL_VALUE_PARSE_H
#define MODEL_VALUE_PARSE_H

#include "model/value.h"

/* Appends the encoding of the text to `out`. Otherwise `out` is as before and `*expected_out`
 * (static) names what was expected: FST_INVALID, or FST_TOO_LARGE beyond VALUE_BYTES_MAX or the
 * writer. */
FST_MUST_USE enum fst_status value_parse(struct type type, const char *text, size_t text_bytes,
                                         struct writer *out, const char **expected_out);

#endif
