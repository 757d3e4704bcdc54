#include "base/arena.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/bytes.h"

enum { PIECE_ALIGN_BYTES = 16, BLOCK_ALIGN_BYTES = 64 };

enum fst_status arena_init(struct arena *arena, size_t capacity_bytes) {
    FST_ASSERT(capacity_bytes > 0);
    FST_ASSERT(capacity_bytes <= SIZE_MAX / 2);
    size_t bytes = bytes_align(capacity_bytes, BLOCK_ALIGN_BYTES);
    uint8_t *memory = aligned_alloc(BLOCK_ALIGN_BYTES, bytes);
    if (!memory) return FST_NO_MEMORY;
    *arena = (struct arena){.memory = memory, .capacity_bytes = bytes};
    return FST_OK;
}

void arena_deinit(struct arena *arena) {
    free(arena->memory);
    *arena = (struct arena){0};
}

size_t arena_piece_bytes(size_t bytes) {
    return bytes_align(bytes, PIECE_ALIGN_BYTES);
}

/* What is left is a multiple of 16 like every piece, so rounding up cannot exceed it. */
void *arena_get(struct arena *arena, size_t bytes) {
    if (bytes > arena->capacity_bytes - arena->used_bytes) return NULL;
    uint8_t *piece = arena->memory + arena->used_bytes;
    arena->used_bytes += arena_piece_bytes(bytes);
    if (arena->used_bytes > arena->peak_bytes) arena->peak_bytes = arena->used_bytes;
    return piece;
}

void arena_reset(struct arena *arena) {
    arena->used_bytes = 0;
}

void arena_reset_to(struct arena *arena, size_t mark_bytes) {
    FST_ASSERT(mark_bytes <= arena->used_bytes);
    arena->used_bytes = mark_bytes;
}
