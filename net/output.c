#include "net/output.h"

#include "base/assert.h"

enum { CHUNK_BYTES = 64 << 10 };

void output_init(struct output *output, struct chunks *chunks) {
    *output = (struct output){.chunks = chunks};
}

static void first_put(struct output *output) {
    struct chunk *chunk = output->first;
    output->first = chunk->next;
    if (output->first == NULL) output->last = NULL;
    chunk_put(output->chunks, chunk);
}

static void spare_put(struct output *output) {
    if (output->spare) chunk_put(output->chunks, output->spare);
    output->spare = NULL;
}

void output_drop(struct output *output) {
    while (output->first) {
        struct chunk *chunk = output->first;
        output->first = chunk->next;
        chunk_retire(output->chunks, chunk);
    }
    spare_put(output);
    output_init(output, output->chunks);
}

uint8_t *output_room(struct output *output, size_t bytes) {
    struct chunk *last = output->last;
    output->room = last;
    if (last && last->capacity - last->end >= bytes) return last->data + last->end;
    if (output->spare == NULL || output->spare->capacity < bytes) {
        spare_put(output);
        output->spare = chunk_get(output->chunks, bytes < CHUNK_BYTES ? CHUNK_BYTES : bytes);
    }
    output->room = output->spare;
    return output->spare ? output->spare->data : NULL;
}

void output_commit(struct output *output, size_t bytes) {
    struct chunk *chunk = output->room;
    FST_ASSERT(chunk != NULL);
    FST_ASSERT(bytes > 0 && bytes <= chunk->capacity - chunk->end);
    chunk->end += (uint32_t)bytes;
    output->bytes += bytes;
    output->room = NULL;
    if (chunk != output->spare) return;
    output->spare = NULL;
    if (output->last) {
        output->last->next = chunk;
    } else {
        output->first = chunk;
    }
    output->last = chunk;
}

/* The chunk that has this byte committed, and the one before it (NULL: it is the first). */
static struct chunk *chunk_find(const struct output *output, const uint8_t *byte,
                                struct chunk **previous_out) {
    struct chunk *chunk = output->first;
    *previous_out = NULL;
    while (chunk && (byte < chunk->data + chunk->begin || byte >= chunk->data + chunk->end)) {
        *previous_out = chunk;
        chunk = chunk->next;
    }
    return chunk;
}

void output_withdraw(struct output *output, const uint8_t *room, size_t bytes) {
    struct chunk *previous;
    struct chunk *chunk = chunk_find(output, room, &previous);
    FST_ASSERT(chunk != NULL);
    uint32_t offset = (uint32_t)(room - chunk->data);
    FST_ASSERT(bytes > 0 && bytes <= chunk->end - offset);
    memmove(chunk->data + offset, room + bytes, chunk->end - offset - bytes);
    chunk->end -= (uint32_t)bytes;
    output->bytes -= bytes;
    output->room = NULL;
    if (chunk->begin < chunk->end) return;
    if (previous)
        previous->next = chunk->next;
    else
        output->first = chunk->next;
    if (output->last == chunk) output->last = previous;
    chunk_put(output->chunks, chunk);
}

struct bytes output_next(const struct output *output) {
    const struct chunk *first = output->first;
    if (first == NULL) return (struct bytes){.bytes = 0};
    return (struct bytes){.data = first->data + first->begin, .bytes = first->end - first->begin};
}

void output_sent(struct output *output, size_t bytes) {
    struct chunk *first = output->first;
    FST_ASSERT(first != NULL && bytes <= first->end - first->begin);
    first->begin += (uint32_t)bytes;
    output->bytes -= bytes;
    output->room = NULL;
    if (first->begin == first->end) first_put(output);
}

enum fst_status output_check(const struct output *output) {
    uint64_t bytes = 0;
    const struct chunk *previous = NULL;
    for (const struct chunk *at = output->first; at != NULL; at = at->next) {
        if (at->begin >= at->end || at->end > at->capacity) return FST_CORRUPT; /* I2 */
        bytes += at->end - at->begin;
        previous = at;
    }
    if (bytes != output->bytes) return FST_CORRUPT; /* I1 */
    if (output->last != previous) return FST_CORRUPT;
    if (output->spare && output->spare->end > 0) return FST_CORRUPT; /* I2 */
    return FST_OK;
}
