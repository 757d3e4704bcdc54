/*
 * buffer: bytes that grow at the end and keep their memory when they are emptied.
 *
 * Invariants: bytes <= capacity; clearing never frees, so a buffer that has seen its largest
 *             content allocates no more.
 * Threads: one. Memory: owns its bytes, from the first append to client_buffer_deinit().
 */
#ifndef CLIENT_BUFFER_H
#define CLIENT_BUFFER_H

#include <stdlib.h>

#include "base/bytes.h"

struct client_buffer {
    uint8_t *data;
    size_t bytes;
    size_t capacity;
};

static inline void client_buffer_deinit(struct client_buffer *buffer) {
    free(buffer->data);
    *buffer = (struct client_buffer){0};
}

/* Room for `bytes` more, which count as appended; NULL: out of memory. Earlier pointers into the
 * buffer end. */
static inline uint8_t *client_buffer_append(struct client_buffer *buffer, size_t bytes) {
    if (buffer->capacity - buffer->bytes < bytes) {
        size_t capacity = buffer->capacity ? buffer->capacity : 64;
        while (capacity - buffer->bytes < bytes) capacity *= 2;
        uint8_t *grown = realloc(buffer->data, capacity);
        if (!grown) return NULL;
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    uint8_t *room = buffer->data + buffer->bytes;
    buffer->bytes += bytes;
    return room;
}

static inline bool client_buffer_append_bytes(struct client_buffer *buffer, const void *data,
                                              size_t bytes) {
    uint8_t *room = client_buffer_append(buffer, bytes);
    if (room && bytes > 0) memcpy(room, data, bytes);
    return room != NULL;
}

#endif
