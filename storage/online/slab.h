/*
 * slab: places of fixed sizes for rows, values and index segments, in extents of 64 KiB.
 *
 * Every size class takes whole spans of one to sixteen extents (as few as waste at most a
 * sixteenth) and cuts them into places. A span with no place in use goes back to a pool from which
 * any class may take it. What is freed waits until all readers have passed a quiet point: first in
 * the list that fills, then, with the epoch's stamp, in the list that ages; slabs_reclaim() swaps
 * them.
 *
 *     extent:  [ place | place | ... | rest ]       extent table: one struct extent each
 *     free:    [ 8 bytes untouched | index of the next free place + 1 | ... ]
 *
 * A free place of a row keeps its first word, whose view id 0 tells the visitor that nothing lives
 * there.
 *
 * Invariants, restated in slabs_check():
 *   S1  A span is in the list of its slab exactly if it has room.
 *   S2  Per span: used = live + waiting, and the free list has fresh - used places.
 *   S3  Spans do not overlap and together are all extents taken.
 *
 * Threads: the owner. Kind, class, fresh count and mark of an extent are read by the visitor.
 * Memory:  places are offsets in units of 16 bytes; they belong to whoever got them.
 */
#ifndef STORAGE_ONLINE_SLAB_H
#define STORAGE_ONLINE_SLAB_H

#include "base/epoch.h"
#include "storage/online/partition.h"
#include "storage/online/table.h"

enum slab_kind {
    SLAB_NONE = 0, /* a free span */
    SLAB_ROWS,     /* exact sizes */
    SLAB_VALUES,   /* sizes with at most an eighth of slack */
    SLAB_INDEX,    /* 4 KiB */
    SLAB_TAIL,     /* not the first extent of its span */
    SLAB_KINDS = SLAB_TAIL,
};

enum {
    SLAB_PLACE_BYTES_MAX = 65536 + TABLE_UNIT_BYTES, /* the largest row */
    SLAB_CLASSES = SLAB_PLACE_BYTES_MAX / TABLE_UNIT_BYTES + 1,
    SLAB_SEGMENT_BYTES = 4096,
};

struct slab {
    uint32_t room;        /* first span with room, extent number + 1 */
    uint32_t spans;       /* all of this class */
    uint64_t free_places; /* in them */
};
static_assert(sizeof(struct slab) == 16, "stored as it is");
static_assert(TABLE_SLABS_OFFSET + SLAB_KINDS * SLAB_CLASSES * 16 <= TABLE_REMOVALS_OFFSET, "fits");
static_assert((SLAB_KINDS - 1) * SLAB_CLASSES * 16 <= 64 * 4096, "class_pages has a bit for each");

struct extent {
    uint16_t kind;  /* readers */
    uint16_t class; /* size of a place in units; readers */
    uint32_t mark;  /* rows changed since the visitor took it; readers */
    uint32_t used;  /* places handed out, waiting ones included */
    uint32_t fresh; /* places ever handed out; readers */
    uint32_t free;  /* first free place: index + 1 */
    uint32_t next;  /* list of the slab or pool: extent number + 1 */
    uint32_t prev;
    uint32_t span; /* length; in a tail the distance to the first extent */
};
static_assert(sizeof(struct extent) == 32, "stored as it is");

struct slabs {
    struct table table;
    struct table_slabs *root;
    struct extent *extents;
    struct slab *classes; /* kind x class, but for SLAB_NONE */
    uint64_t *waiting[2];
    uint64_t waiting_reserved; /* entries of each list that have memory */
    uint64_t promised_places;  /* of any class: their owner may come for them */
    uint64_t promised_extents; /* single ones of the pool, likewise */
    uint64_t pool_singles;     /* spans of one extent in the pool */
    struct epoch *epoch;
    struct partition_budget *budget;
};

/* Reads the roots of a mapped table; what waited there is free now. */
void slabs_open(struct slabs *slabs, const struct table *table, struct epoch *epoch,
                struct partition_budget *budget);

/* Takes the memory in which the class of such places is kept: false when there is none. That of
 * rows up to 4,064 bytes, what is left of evicted and deleted ones among them, is there from the
 * start.
 */
bool slabs_reserve_class(struct slabs *slabs, enum slab_kind kind, uint32_t bytes);

/* The size that a place for `bytes` has. */
uint32_t slab_place_bytes(enum slab_kind kind, uint32_t bytes);

/* A place of slab_place_bytes(kind, bytes); 0 when the reserve or the memory is used up. Charges
 * the budget for new extents without asking. New places of rows have a first word with view id 0.
 */
uint64_t slabs_get(struct slabs *slabs, enum slab_kind kind, uint32_t bytes);

/* Gives a place back as soon as no reader can be there. slabs_can_wait() must be true. */
void slabs_put(struct slabs *slabs, uint64_t place);
/* Whether `places` more can wait; takes the memory for that. */
bool slabs_can_wait(struct slabs *slabs, uint64_t places);
/* Whether they cannot because so many wait, whatever memory there is. */
bool slabs_is_waiting_full(const struct slabs *slabs, uint64_t places);
/* How many may, because of what `promised_places` in flight free, and of the spans that empty. */
uint64_t slabs_waiting_max(uint64_t promised_places);
/* Whether `places` more can wait beside these. */
bool slabs_can_wait_beside(struct slabs *slabs, uint64_t promised_places, uint64_t places);
bool slabs_is_waiting(const struct slabs *slabs);
/* Frees up to so many places that no reader can look at any more. */
void slabs_reclaim(struct slabs *slabs, uint32_t places_max);

/* Places of a class that can be had without taking extents. */
uint64_t slabs_free_places(const struct slabs *slabs, enum slab_kind kind, uint32_t bytes);
/* Single extents that any class may take, and nobody was promised. */
uint64_t slabs_pool_extents(const struct slabs *slabs);
/* Hands out the places of other spans of its class first, as long as these have any. */
void slabs_spare_span(struct slabs *slabs, struct extent *span);
/* Places of a span. */
uint32_t slabs_span_places(const struct extent *span);
/* Spans of how many extents a class takes, and how many places they have. */
uint32_t slab_span_extents(uint32_t place_bytes);
uint32_t slab_span_places(uint32_t place_bytes);
/* Makes sure that so many extents more can be taken: whether the reserve of address space has them,
 * and there is memory. */
bool slabs_reserve(const struct slabs *slabs, uint64_t extents);

static inline struct extent *slabs_extent(const struct slabs *slabs, uint64_t place) {
    uint64_t offset = place * TABLE_UNIT_BYTES - TABLE_EXTENTS_OFFSET;
    return &slabs->extents[offset / TABLE_EXTENT_BYTES];
}
/* The place's first extent, whose `mark` covers it. */
struct extent *slabs_span_of(const struct slabs *slabs, uint64_t place);
/* Place number `index` of a span. */
static inline uint64_t slabs_place(const struct slabs *slabs, const struct extent *span,
                                   uint32_t index) {
    uint64_t offset = (uint64_t)(span - slabs->extents) * TABLE_EXTENT_BYTES + TABLE_EXTENTS_OFFSET;
    return offset / TABLE_UNIT_BYTES + (uint64_t)index * span->class;
}

/* What a walk finds of places in use: a bit per unit, from the first extent on. */
struct slabs_walk {
    uint8_t *live;
    uint64_t live_places;
};
/* Marks a place live; FST_CORRUPT if it is none of `kind` with room for `bytes`, or was marked
 * before. */
FST_MUST_USE enum fst_status slabs_walk_put(const struct slabs *slabs, struct slabs_walk *walk,
                                            enum slab_kind kind, uint64_t place, uint32_t bytes);
/* FST_CORRUPT if S1 to S3 fail, or free, waiting and live places are not disjoint or not all there
 * are. */
FST_MUST_USE enum fst_status slabs_check(const struct slabs *slabs, struct slabs_walk *walk,
                                         struct fst_error *error);

#endif
