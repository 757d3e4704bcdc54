/*
 * partition_parts: what a partition is made of, for the files that together are the partition.
 *
 * partition.c opens and closes, partition_row.c puts, moves and removes one row, partition_write.c
 * admits and applies records, partition_sweep.c removes what is over, partition_evict.c evicts and
 * promotes, partition_read.c, partition_visit.c and partition_check.c look.
 *
 * Threads: see partition.h; readers use the first members only, which do not change after open.
 * Memory:  scratch is one row image, owned.
 */
#ifndef STORAGE_ONLINE_PARTITION_PARTS_H
#define STORAGE_ONLINE_PARTITION_PARTS_H

#include "storage/online/client_table.h"
#include "storage/online/index.h"
#include "storage/online/slab.h"
#include "storage/online/stored_row.h"

/* Of the clock. The counts are of the extent that it is in, and of the lap so far. */
struct hand {
    uint32_t extent, place; /* where it goes on */
    uint32_t live_count;    /* rows of the extent */
    uint32_t unkept_count;  /* of these, LMDB lacks */
    uint64_t lap_count;     /* rows that went, will go at the next lap, or could but for LMDB */
    uint64_t lap_evicted;   /* rows that went in the lap so far */
    uint64_t lap_full;      /* rows that could not, for want of a place for what is left of them */
    uint64_t kept_lsn;      /* of the table, when unkept_run began */
    uint64_t unkept_run;    /* rows that LMDB lacks, seen since the last that went */
    bool is_evicting;       /* it goes on until there is room to spare */
    bool is_resting;        /* a lap was in vain */
    bool is_vain;           /* the last one was */
    bool may_exceed;        /* a lap was in vain for that: one extent more is taken */
    bool is_needed;         /* there are views that evict */
};

struct partition {
    struct table table;
    struct index index;
    struct slabs slabs;
    struct client_table clients;
    struct partition_options options; /* path is not kept */
    io_file file;
    size_t mapped_bytes;
    bool is_torn; /* clearing it failed: its header may be beyond the end of the file */
    uint8_t *scratch;
    uint32_t sweep_extent, sweep_place; /* where the sweep goes on */
    struct hand hand;
    uint64_t visit_lsn;                 /* the visitor's: applied when its visit began */
    uint32_t row_bytes;                 /* of the row put last, as it is stored */
    bool is_refusing;                   /* the last admission was refused */
    _Alignas(64) uint64_t flying_bytes; /* charged for what was admitted and is not applied yet */
    uint64_t flying_rows;               /* of the same */
    uint64_t spare_extents;             /* spans of their own that sizes in flight may open */
    uint8_t opened[SLAB_KINDS * SLAB_CLASSES / 8 + 1]; /* a bit per size that is among them */
};

/* A row on its way in. */
struct partition_put {
    const struct view *view;
    uint16_t revision;
    uint64_t lsn;
    const uint8_t *image; /* references into heap */
    const uint8_t *heap;
    bool is_kept; /* LMDB has this version: a visit need not see it */
    bool is_used;
};

static inline uint32_t row_key_area_bytes(const struct row_layout *layout) {
    return layout->body_offset - ROW_KEY_OFFSET;
}
static inline uint32_t row_stored_bytes(const struct row_layout *layout) {
    return STORED_ROW_HEADER_BYTES + layout->image_bytes;
}

/* Whether rows of this revision may stand in a table. */
static inline bool view_stores_revision(const struct view *view, uint16_t revision) {
    return revision == VIEW_REVISION_EVICTED || view_has_revision(view, revision);
}
/* The view of a stored row; NULL if the catalog does not know it or its revision. */
static inline const struct view *row_view(const struct catalog *catalog, uint64_t state) {
    uint32_t view_id = stored_view_id(state);
    if (view_id >= catalog->views_by_id_count) return NULL;
    const struct view *view = catalog->views_by_id[view_id];
    return view && view_stores_revision(view, stored_revision(state)) ? view : NULL;
}
/* The key of a stored row, where it lies. */
struct bytes partition_row_key(const struct partition *partition, const struct view *view,
                               const uint64_t *row);

/* Place of the row of a key, 0 if there is none; the probe then or there stands at its slot. */
uint64_t partition_find_row(const struct partition *partition, const struct view *view,
                            struct bytes key, struct index_probe *probe);

/* Puts a row unless a greater one is there. FST_OK, FST_STALE, FST_FULL, FST_CORRUPT (see
 * partition_apply). */
FST_MUST_USE enum fst_status partition_put_row(struct partition *partition,
                                               const struct partition_put *put);
/* Puts a row where `place`, found by the probe, has one of the same key, or 0. Its order is not
 * looked at. FST_OK, FST_FULL, FST_CORRUPT. */
FST_MUST_USE enum fst_status partition_set_row(struct partition *partition,
                                               const struct partition_put *put, uint64_t place,
                                               const struct index_probe *probe);
/* How many places, and spans that empty, may begin to wait when a row of this layout goes or is
 * replaced. */
static inline uint64_t row_frees_max(const struct row_layout *layout) {
    return 2 * (layout->body.references_count + UINT64_C(4));
}
/* Whether what a row of this layout has may be freed beside what was admitted. */
bool partition_can_free(struct partition *partition, const struct row_layout *layout);
/* Whether a row of this layout may be evicted beside what was admitted: an update that counted on
 * the row's place may need another one then, for which there is memory. */
bool partition_can_evict(struct partition *partition, const struct row_layout *layout);
/* Whether this row can be put now within the limit, and without what was promised to others. */
bool partition_has_room(struct partition *partition, const struct partition_put *put);
/* Single extents of the pool that rows may take: where rows can be evicted one is left for what
 * that takes, without which none could be made room for. */
static inline uint64_t partition_pool_extents(const struct partition *partition) {
    uint64_t extents = slabs_pool_extents(&partition->slabs);
    uint64_t left = partition->hand.is_needed ? 1 : 0;
    return extents > left ? extents - left : 0;
}
/* Moves a row that LMDB has to a place of another span. FST_OK, FST_FULL. */
FST_MUST_USE enum fst_status partition_move_row(struct partition *partition,
                                                const struct view *view, uint64_t place);
/* FST_OK, FST_NOT_FOUND, FST_BUSY, FST_CORRUPT. */
FST_MUST_USE enum fst_status partition_remove_row(struct partition *partition,
                                                  const struct view *view, struct bytes key);

#endif
