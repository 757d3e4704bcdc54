/*
 * arena: memory that is taken piece by piece and given back all at once.
 *
 * One block of fixed size; taking is an addition, resetting an assignment.
 *
 * Invariants: used_bytes <= capacity_bytes; every piece is 16-byte aligned.
 * Threads: one.
 * Memory:  owns its block; pieces are borrowed until arena_reset or arena_deinit.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "fstore/status.h"

struct arena {
    uint8_t *memory;
    size_t capacity_bytes;
    size_t used_bytes;
    size_t peak_bytes; /* the most ever in use */
};

FST_MUST_USE enum fst_status arena_init(struct arena *arena, size_t capacity_bytes);
void arena_deinit(struct arena *arena);

/* What a piece of so many bytes takes. Pure. */
size_t arena_piece_bytes(size_t bytes);
/* NULL when less than `bytes` are left. Not zeroed. */
void *arena_get(struct arena *arena, size_t bytes);
void arena_reset(struct arena *arena);
/* Gives back what was got since used_bytes was `mark_bytes`: what follows meets warm lines again.
 */
void arena_reset_to(struct arena *arena, size_t mark_bytes);

#endif
