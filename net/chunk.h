/*
 * chunk: memory for bytes on their way in or out, in four sizes.
 *
 * A chunk is a header and its bytes in one object of a pool. A request is served from the smallest
 * size that fits, and never from a larger one, so that many small requests cannot use up the few
 * large chunks.
 *
 * Invariants:
 *   I1  begin <= end <= capacity.
 *   I2  A chunk goes back to the pool of its size.
 *
 * Threads: one.
 * Memory:  settled at init; a page is touched when it is first used. A chunk is the caller's until
 *          chunk_put or chunk_retire; what lies in a retired one can be read until
 *          chunks_put_retired.
 */
#ifndef NET_CHUNK_H
#define NET_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "fstore/status.h"

/* X(name, bytes), rising */
#define CHUNK_SIZE_TABLE(X)                                                                        \
    X(16K, UINT32_C(16) << 10)                                                                     \
    X(64K, UINT32_C(64) << 10)                                                                     \
    X(1M, UINT32_C(1) << 20)                                                                       \
    X(16M, UINT32_C(16) << 20)

enum chunk_size {
#define CHUNK_SIZE_ENUM(name, bytes) CHUNK_##name,
    CHUNK_SIZE_TABLE(CHUNK_SIZE_ENUM)
#undef CHUNK_SIZE_ENUM
        CHUNK_SIZES,
};

struct chunk {
    uint8_t *data;
    uint32_t begin; /* first byte not yet consumed */
    uint32_t end;   /* one past the last byte */
    uint32_t capacity;
    enum chunk_size size;
    struct chunk *next; /* the holder's */
};

struct chunks {
    struct pool pools[CHUNK_SIZES];
    struct chunk *retired;
};

/* Address space that chunks_init takes for these counts. Pure. */
size_t chunks_memory_bytes(const uint32_t counts[CHUNK_SIZES]);

FST_MUST_USE enum fst_status chunks_init(struct chunks *chunks, const uint32_t counts[CHUNK_SIZES]);
void chunks_deinit(struct chunks *chunks);

/* An empty chunk for at least `bytes` bytes; NULL if all of that size are in use, or it is larger
 * than the largest. */
struct chunk *chunk_get(struct chunks *chunks, size_t bytes);
void chunk_put(struct chunks *chunks, struct chunk *chunk);

/* Gives a chunk back later, since somebody may still read it. */
void chunk_retire(struct chunks *chunks, struct chunk *chunk);
void chunks_put_retired(struct chunks *chunks);

#endif
