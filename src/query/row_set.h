/*
 * row_set: rows of one view on their way in, as images with one heap, and their split by partition.
 *
 * A WRITE block, a CSV chunk and a JSON document all become a row set. The split sorts the accepted
 * rows by partition, keeping their order, and lays each partition's rows out as the body of one log
 * record, so that the owner of the partition only has to copy it into its group.
 *
 *     body:  [ struct log_rows_header | image x rows_count | heap ]
 *
 * Threads: pure. Memory: everything is the caller's; a split lies in an arena.
 */
#ifndef QUERY_ROW_SET_H
#define QUERY_ROW_SET_H

#include "base/arena.h"
#include "model/definition.h"
#include "storage/log/log.h"

enum { ROW_SET_ROWS_MAX = 65536 };

struct row_set {
    const struct view *view;
    bool is_delete; /* the rows say that their keys are deleted */
    uint32_t rows_count;
    uint32_t heap_bytes;
    uint8_t *images; /* rows_count images of row_set_layout(); 8-byte aligned */
    uint8_t *heap;
    uint8_t *statuses; /* enum fst_status per row; only FST_OK rows are split */
};

/* What goes to one partition. */
struct row_part {
    uint32_t partition;
    uint32_t rows_count;
    uint32_t heap_bytes;
    uint32_t first; /* into row_split.order: the rows of this part */
};

struct row_split {
    uint32_t parts_count;
    struct row_part *parts; /* by rising partition; room for min(rows, partitions) */
    uint32_t *order;        /* room for rows_count: row numbers, part by part */
    uint32_t *partitions;   /* room for rows_count: scratch */
    uint32_t *starts;       /* room for partitions_count + 1: scratch */
};

/* That of the view's current revision, or of deleted rows. */
static inline uint16_t row_set_revision(const struct row_set *set) {
    uint16_t current = (uint16_t)(set->view->revisions_count - 1);
    return set->is_delete ? VIEW_REVISION_DELETED : current;
}
static inline const struct row_layout *row_set_layout(const struct row_set *set) {
    return view_layout(set->view, row_set_revision(set));
}

/* Sets FST_FUTURE on rows whose event time is further ahead of the clock than the view allows. */
void row_set_check_future(struct row_set *set, int64_t now_us);

/* What a split of so many rows takes of an arena. */
size_t row_split_bytes(uint32_t rows_count, uint32_t partitions_count);
/* Takes it. FST_OVERLOADED when the arena has less. */
FST_MUST_USE enum fst_status row_split_init(struct row_split *split, uint32_t rows_count,
                                            uint32_t partitions_count, struct arena *arena);

/* Fills parts and order. */
void row_set_split(const struct row_set *set, uint32_t partitions_count, struct row_split *split);

/* Bytes of the record body of one part, a multiple of 8. */
size_t row_part_body_bytes(const struct row_set *set, const struct row_part *part);

/* Writes the record body of one part: row_part_body_bytes() at `body`. */
void row_part_write_body(const struct row_set *set, const struct row_split *split,
                         const struct row_part *part, uint64_t client_id, uint64_t sequence,
                         uint8_t *body);

#endif
