/*
 * region: memory for what is built piece by piece and thrown away as a whole, of any size.
 *
 * Chunks in a list; taking is an addition, and a new chunk when one is full. Unlike an arena it
 * grows, so it is for the control plane only. Failure is sticky: a builder may go on where it can
 * and ask once, at the end, whether everything was there.
 *
 * Invariants: every piece is zeroed and 16-byte aligned; the pieces of one region are at most
 *             limit_bytes.
 * Threads: one.
 * Memory:  owns its chunks; pieces are borrowed until region_deinit.
 */
#ifndef REGISTRY_REGION_H
#define REGISTRY_REGION_H

#include <stdbool.h>
#include <stddef.h>

struct region_chunk;

struct region {
    struct region_chunk *chunks; /* the newest first */
    size_t used_bytes;           /* of all pieces */
    size_t limit_bytes;
    bool failed; /* sticky: a piece was asked for that there was no memory for */
};

void region_init(struct region *region, size_t limit_bytes);
void region_deinit(struct region *region);

/* NULL beyond the limit, or when the system has no memory. */
void *region_get(struct region *region, size_t bytes);

/* A 0-ended copy, or NULL likewise. */
char *region_get_text(struct region *region, const char *text, size_t bytes);
char *region_get_format(struct region *region, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
