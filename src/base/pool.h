/*
 * pool: a fixed number of objects of one size, settled at start.
 *
 * Free objects form a list through their own first bytes.
 *
 * Threads: one.
 * Memory:  owns all objects; an object handed out is owned by the caller until pool_put.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fstore/status.h"

struct pool {
    uint8_t *memory;
    void *free_list;
    size_t object_bytes; /* rounded up to 64 */
    uint32_t objects_max;
    uint32_t objects_used;
    uint32_t objects_fresh; /* never handed out yet: not even touched */
};

FST_MUST_USE enum fst_status pool_init(struct pool *pool, size_t object_bytes,
                                       uint32_t objects_max);
void pool_deinit(struct pool *pool);

/* NULL when all are in use. Not zeroed; 64-byte aligned. */
void *pool_get(struct pool *pool);
void pool_put(struct pool *pool, void *object);

FST_MUST_USE enum fst_status pool_check(const struct pool *pool);

#endif
