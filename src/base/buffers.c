#include "base/buffers.h"

#include "base/assert.h"

enum fst_status buffers_init(struct buffers *buffers, const struct buffers_size *sizes,
                             uint32_t sizes_count) {
    FST_ASSERT(sizes_count > 0 && sizes_count <= BUFFERS_SIZES_MAX);
    *buffers = (struct buffers){0};
    for (uint32_t i = 0; i < sizes_count; i++) {
        FST_ASSERT(i == 0 || sizes[i].bytes > sizes[i - 1].bytes);
        enum fst_status status = pool_init(&buffers->pools[i], sizes[i].bytes, sizes[i].count);
        if (status != FST_OK) {
            buffers_deinit(buffers);
            return status;
        }
        buffers->sizes_count += 1;
    }
    return FST_OK;
}

void buffers_deinit(struct buffers *buffers) {
    for (uint32_t i = 0; i < buffers->sizes_count; i++) pool_deinit(&buffers->pools[i]);
    *buffers = (struct buffers){0};
}

void *buffers_get(struct buffers *buffers, size_t bytes) {
    for (uint32_t i = 0; i < buffers->sizes_count; i++) {
        struct pool *pool = &buffers->pools[i];
        if (pool->object_bytes < bytes) continue;
        void *buffer = pool_get(pool);
        if (buffer) return buffer;
    }
    return NULL;
}

void buffers_put(struct buffers *buffers, void *buffer) {
    const uint8_t *at = buffer;
    for (uint32_t i = 0; i < buffers->sizes_count; i++) {
        struct pool *pool = &buffers->pools[i];
        size_t bytes = pool->object_bytes * pool->objects_max;
        if (at < pool->memory || at >= pool->memory + bytes) continue;
        pool_put(pool, buffer);
        return;
    }
    FST_ASSERT(false && "the buffer is one of these buffers");
}

bool buffers_has(const struct buffers *buffers, size_t bytes) {
    for (uint32_t i = 0; i < buffers->sizes_count; i++) {
        const struct pool *pool = &buffers->pools[i];
        if (pool->object_bytes >= bytes && pool->objects_used < pool->objects_max) return true;
    }
    return false;
}

size_t buffers_largest(const struct buffers *buffers) {
    return buffers->pools[buffers->sizes_count - 1].object_bytes;
}
