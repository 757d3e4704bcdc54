#include "registry/region.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { CHUNK_BYTES = 64 << 10, PIECE_ALIGN = 16 };

struct region_chunk {
    struct region_chunk *next;
    size_t used_bytes;
    size_t bytes;
    _Alignas(PIECE_ALIGN) uint8_t memory[];
};

void region_init(struct region *region, size_t limit_bytes) {
    *region = (struct region){.limit_bytes = limit_bytes};
}

void region_deinit(struct region *region) {
    struct region_chunk *chunk = region->chunks;
    while (chunk) {
        struct region_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    *region = (struct region){0};
}

static struct region_chunk *chunk_add(struct region *region, size_t piece_bytes) {
    size_t bytes = piece_bytes > CHUNK_BYTES ? piece_bytes : CHUNK_BYTES;
    struct region_chunk *chunk = calloc(1, sizeof *chunk + bytes);
    if (!chunk) return NULL;
    chunk->bytes = bytes;
    chunk->next = region->chunks;
    region->chunks = chunk;
    return chunk;
}

void *region_get(struct region *region, size_t bytes) {
    if (region->failed || bytes > region->limit_bytes - region->used_bytes) {
        region->failed = true;
        return NULL;
    }
    struct region_chunk *chunk = region->chunks;
    size_t piece_bytes = bytes_align(bytes + (bytes == 0), PIECE_ALIGN);
    if (!chunk || chunk->bytes - chunk->used_bytes < piece_bytes) {
        chunk = chunk_add(region, piece_bytes);
        region->failed = chunk == NULL;
        if (!chunk) return NULL;
    }
    void *piece = chunk->memory + chunk->used_bytes;
    chunk->used_bytes += piece_bytes;
    region->used_bytes += bytes;
    return piece;
}

char *region_get_text(struct region *region, const char *text, size_t bytes) {
    char *copy = region_get(region, bytes + 1);
    if (copy && bytes > 0) memcpy(copy, text, bytes);
    return copy;
}

char *region_get_format(struct region *region, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int bytes = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = bytes < 0 ? NULL : region_get(region, (size_t)bytes + 1);
    if (text) vsnprintf(text, (size_t)bytes + 1, format, again);
    va_end(again);
    return text;
}
