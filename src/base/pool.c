#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

enum { OBJECT_ALIGN_BYTES = 64 };

enum fst_status pool_init(struct pool *pool, size_t object_bytes, uint32_t objects_max) {
    FST_ASSERT(object_bytes > 0);
    FST_ASSERT(objects_max > 0);
    FST_ASSERT(object_bytes <= SIZE_MAX / 2 / objects_max);
    size_t stride = bytes_align(object_bytes, OBJECT_ALIGN_BYTES);
    uint8_t *memory = aligned_alloc(OBJECT_ALIGN_BYTES, stride * objects_max);
    if (!memory) return FST_NO_MEMORY;
    *pool = (struct pool){
        .memory = memory,
        .object_bytes = stride,
        .objects_max = objects_max,
        .objects_fresh = objects_max,
    };
    return FST_OK;
}

void pool_deinit(struct pool *pool) {
    free(pool->memory);
    *pool = (struct pool){0};
}

/* The link that a free object carries in its first bytes. */
static void *next_get(const void *object) {
    void *next;
    memcpy(&next, object, sizeof next);
    return next;
}

void *pool_get(struct pool *pool) {
    void *object = pool->free_list;
    if (object) {
        pool->free_list = next_get(object);
    } else {
        if (pool->objects_fresh == 0) return NULL;
        uint32_t index = pool->objects_max - pool->objects_fresh;
        object = pool->memory + (size_t)index * pool->object_bytes;
        pool->objects_fresh -= 1;
    }
    pool->objects_used += 1;
    return object;
}

static bool is_handed_out(const struct pool *pool, const void *object) {
    uintptr_t begin = (uintptr_t)pool->memory;
    uintptr_t touched = pool->objects_max - pool->objects_fresh;
    uintptr_t at = (uintptr_t)object;
    return at >= begin && at < begin + touched * pool->object_bytes &&
           (at - begin) % pool->object_bytes == 0;
}

void pool_put(struct pool *pool, void *object) {
    FST_ASSERT(pool->objects_used > 0);
    FST_ASSERT(is_handed_out(pool, object));
    FST_ASSERT(object != pool->free_list);
    memcpy(object, &pool->free_list, sizeof pool->free_list);
    pool->free_list = object;
    pool->objects_used -= 1;
}

/* A list that runs in a circle is longer than the number of objects, and so is found too. */
enum fst_status pool_check(const struct pool *pool) {
    if (pool->objects_fresh > pool->objects_max) return FST_CORRUPT;
    uint32_t touched = pool->objects_max - pool->objects_fresh;
    uint32_t free_count = 0;
    const void *object = pool->free_list;
    while (object) {
        if (!is_handed_out(pool, object)) return FST_CORRUPT;
        free_count += 1;
        if (free_count > touched) return FST_CORRUPT;
        object = next_get(object);
    }
    return free_count + pool->objects_used == touched ? FST_OK : FST_CORRUPT;
}
