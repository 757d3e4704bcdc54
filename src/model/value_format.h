/*
 * value_format: writes values as value_parse reads them.
 *
 * Floats become the shortest of 15 to 17 (float32: 6 to 9) digits that reads back the same,
 * decimals keep all places, timestamps are RFC 3339 in UTC with six digits, or plain
 * microseconds beyond the year 9999. Strings stand as they are; inside lists they are JSON, as
 * are timestamps, bytes, uuids, nan, inf and -inf there.
 *
 * Invariant: value_parse reads the text of a normalized value back to the same bytes.
 *
 * Threads: pure functions. Memory: the caller's; nothing is allocated.
 */
#ifndef MODEL_VALUE_FORMAT_H
#define MODEL_VALUE_FORMAT_H

#include "model/value.h"

/* The text of an encoded value, which must pass value_check, without a 0 at the end. Returns its
 * length, or the length needed if that is more than `text_bytes` (then what was stored is cut). */
size_t value_format(struct type type, struct bytes value, char *text_out, size_t text_bytes);

#endif
