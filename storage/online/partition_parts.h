/*
 * partition_parts: what a partition is made of, for the files that together are the partition.
 *
 * partition.c opens and closes, partition_row.c puts and removes one row, partition_write.c admits
 * and applies records, partition_sweep.c removes what is over, partition_read.c, partition_visit.c
 * and partition_check.c look.
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

struct partition {
    struct table table;
    struct index index;
    struct slabs slabs;
    struct client_table clients;
    struct partition_options options; /* path is not kept */
    io_file file;
    size_t mapped_bytes;
    uint8_t *scratch;
    uint32_t sweep_extent, sweep_place; /* where the sweep goes on */
    _Alignas(64) uint64_t flying_bytes; /* charged for what was admitted and is not applied yet */
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
};

static inline uint32_t row_key_area_bytes(const struct row_layout *layout) {
    return layout->body_offset - ROW_KEY_OFFSET;
}
static inline uint32_t row_stored_bytes(const struct row_layout *layout) {
    return STORED_ROW_HEADER_BYTES + layout->image_bytes;
}

/* Place of the row of a key, 0 if there is none; the probe then or there stands at its slot. */
uint64_t partition_find_row(const struct partition *partition, const struct view *view,
                            struct bytes key, struct index_probe *probe);

/* Puts a row unless a greater one is there. FST_OK, FST_STALE, FST_FULL, FST_CORRUPT (see
 * partition_apply). */
FST_MUST_USE enum fst_status partition_put_row(struct partition *partition,
                                               const struct partition_put *put);
/* FST_OK, FST_NOT_FOUND, FST_BUSY, FST_CORRUPT. */
FST_MUST_USE enum fst_status partition_remove_row(struct partition *partition,
                                                  const struct view *view, struct bytes key);

#endif
