#include "net/chunk.h"

#include "base/assert.h"

static const uint32_t size_bytes[CHUNK_SIZES] = {
#define CHUNK_SIZE_BYTES(name, bytes) [CHUNK_##name] = (bytes),
    CHUNK_SIZE_TABLE(CHUNK_SIZE_BYTES)
#undef CHUNK_SIZE_BYTES
};

enum { HEADER_BYTES = 64 };
static_assert(sizeof(struct chunk) <= HEADER_BYTES, "the bytes start on a cache line of their own");

size_t chunks_memory_bytes(const uint32_t counts[CHUNK_SIZES]) {
    size_t bytes = 0;
    for (int i = 0; i < CHUNK_SIZES; i++)
        bytes += (size_t)counts[i] * (HEADER_BYTES + size_bytes[i]);
    return bytes;
}

enum fst_status chunks_init(struct chunks *chunks, const uint32_t counts[CHUNK_SIZES]) {
    *chunks = (struct chunks){.retired = NULL};
    for (int i = 0; i < CHUNK_SIZES; i++) {
        enum fst_status status =
            pool_init(&chunks->pools[i], HEADER_BYTES + size_bytes[i], counts[i]);
        if (status == FST_OK) continue;
        while (i > 0) pool_deinit(&chunks->pools[--i]);
        return status;
    }
    return FST_OK;
}

void chunks_deinit(struct chunks *chunks) {
    for (int i = 0; i < CHUNK_SIZES; i++) pool_deinit(&chunks->pools[i]);
}

struct chunk *chunk_get(struct chunks *chunks, size_t bytes) {
    for (int i = 0; i < CHUNK_SIZES; i++) {
        if (size_bytes[i] < bytes) continue;
        struct chunk *chunk = pool_get(&chunks->pools[i]);
        if (chunk == NULL) return NULL;
        *chunk = (struct chunk){.data = (uint8_t *)chunk + HEADER_BYTES,
                                .capacity = size_bytes[i],
                                .size = (enum chunk_size)i};
        return chunk;
    }
    return NULL;
}

void chunk_put(struct chunks *chunks, struct chunk *chunk) {
    FST_ASSERT(chunk->begin <= chunk->end && chunk->end <= chunk->capacity); /* I1 */
    pool_put(&chunks->pools[chunk->size], chunk);
}

void chunk_retire(struct chunks *chunks, struct chunk *chunk) {
    chunk->next = chunks->retired;
    chunks->retired = chunk;
}

void chunks_put_retired(struct chunks *chunks) {
    while (chunks->retired != NULL) {
        struct chunk *chunk = chunks->retired;
        chunks->retired = chunk->next;
        chunk_put(chunks, chunk);
    }
}
