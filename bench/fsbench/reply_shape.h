/*
 * reply_shape: the four shapes in which fsd answers a GET, and whether a row of a reply is right.
 *
 * Typed rows and columns carry the event time of each row, which is the version that its values
 * follow from (item.h). A matrix carries values alone, so its versions are those that were read
 * before, as typed rows; nobody may write meanwhile.
 *
 * Threads: pure functions. Memory: the caller's.
 */
#ifndef FSBENCH_REPLY_SHAPE_H
#define FSBENCH_REPLY_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/fsbench/fstore_session.h"

/* As on the wire (docs/protocol.md, GET). */
enum reply_shape { SHAPE_ROWS, SHAPE_COLUMNS, SHAPE_FLOAT32, SHAPE_FLOAT64 };

#define REPLY_SHAPE_NAMES "rows|columns|float32|float64"

struct shaped_reply {
    enum reply_shape shape;
    const struct fstore_layout *layout; /* borrowed, as the payload */
    const uint8_t *payload;
    uint32_t payload_bytes;
    uint32_t keys_count;
};

/* What is asked of one row. */
struct row_question {
    uint32_t index; /* in the reply */
    uint64_t key;
    bool exists;
    int64_t version;                /* used where the reply has none of its own */
    uint32_t column, columns_count; /* these values are compared, or none at all */
};

/* Whether it carries its version itself. */
static inline bool reply_shape_has_versions(enum reply_shape shape) {
    return shape == SHAPE_ROWS || shape == SHAPE_COLUMNS;
}

/* Of the payload. */
uint64_t reply_shape_bytes(enum reply_shape shape, const struct fstore_layout *layout,
                           uint32_t keys_count);

/* Whether the payload has the size and the head of its shape. */
bool shaped_reply_check(const struct shaped_reply *reply);

/* Whether the row has the values of its key. The reply must have passed shaped_reply_check. */
bool shaped_row_check(const struct shaped_reply *reply, const struct row_question *row);

/* The event time of a row of a reply that has them; 0 if the row does not exist. */
int64_t shaped_row_version(const struct shaped_reply *reply, uint32_t index);

#endif
