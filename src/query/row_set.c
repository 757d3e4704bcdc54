#include "query/row_set.h"

#include "base/assert.h"
#include "base/hash.h"

void row_set_check_future(struct row_set *set, int64_t now_us) {
    const struct row_layout *layout = row_set_layout(set);
    int64_t ahead_us = set->view->future_us;
    int64_t last_us = ahead_us > INT64_MAX - now_us ? INT64_MAX : now_us + ahead_us;
    for (uint32_t i = 0; i < set->rows_count; i++) {
        if (set->statuses[i] != FST_OK) continue;
        const uint8_t *image = set->images + (size_t)i * layout->image_bytes;
        if (load_i64(image) > last_us) set->statuses[i] = FST_FUTURE;
    }
}

static uint32_t parts_max(uint32_t rows_count, uint32_t partitions_count) {
    return rows_count < partitions_count ? rows_count : partitions_count;
}

size_t row_split_bytes(uint32_t rows_count, uint32_t partitions_count) {
    return arena_piece_bytes(parts_max(rows_count, partitions_count) * sizeof(struct row_part)) +
           2 * arena_piece_bytes(rows_count * sizeof(uint32_t)) +
           arena_piece_bytes((partitions_count + 1) * sizeof(uint32_t));
}

enum fst_status row_split_init(struct row_split *split, uint32_t rows_count,
                               uint32_t partitions_count, struct arena *arena) {
    *split = (struct row_split){
        .parts = arena_get(arena, parts_max(rows_count, partitions_count) * sizeof *split->parts),
        .order = arena_get(arena, rows_count * sizeof *split->order),
        .partitions = arena_get(arena, rows_count * sizeof *split->partitions),
        .starts = arena_get(arena, (partitions_count + 1) * sizeof *split->starts),
    };
    bool has_all = split->parts && split->order && split->partitions && split->starts;
    return has_all ? FST_OK : FST_OVERLOADED;
}

static uint32_t row_partition(const struct row_set *set, uint32_t row, uint32_t partitions_count) {
    const struct row_layout *layout = row_set_layout(set);
    const uint8_t *image = set->images + (size_t)row * layout->image_bytes;
    struct bytes key = row_key(layout, image, set->heap);
    return hash_partition(key.data, key.bytes, partitions_count);
}

/* A counting sort: sizes, starts, then every row to its place. Stable, so a partition sees its rows
 * in the order in which they were given. */
static void rows_sort(const struct row_set *set, uint32_t partitions_count,
                      struct row_split *split) {
    uint32_t *starts = split->starts;
    memset(starts, 0, (partitions_count + 1) * sizeof *starts);
    for (uint32_t i = 0; i < set->rows_count; i++) {
        if (set->statuses[i] != FST_OK) continue;
        split->partitions[i] = row_partition(set, i, partitions_count);
        starts[split->partitions[i] + 1] += 1;
    }
    for (uint32_t p = 0; p < partitions_count; p++) {
        uint32_t rows_count = starts[p + 1];
        starts[p + 1] += starts[p];
        if (rows_count == 0) continue;
        split->parts[split->parts_count++] =
            (struct row_part){.partition = p, .rows_count = rows_count, .first = starts[p]};
    }
    for (uint32_t i = 0; i < set->rows_count; i++) {
        if (set->statuses[i] != FST_OK) continue;
        split->order[starts[split->partitions[i]]++] = i;
    }
}

void row_set_split(const struct row_set *set, uint32_t partitions_count, struct row_split *split) {
    const struct row_layout *layout = row_set_layout(set);
    split->parts_count = 0;
    if (set->rows_count > 1) {
        rows_sort(set, partitions_count, split);
    } else if (set->rows_count == 1 && set->statuses[0] == FST_OK) {
        /* Most writes: sorting would look at every partition. */
        uint32_t partition = row_partition(set, 0, partitions_count);
        split->parts[split->parts_count++] =
            (struct row_part){.partition = partition, .rows_count = 1};
        split->order[0] = 0;
    }
    for (uint32_t p = 0; p < split->parts_count; p++) {
        struct row_part *part = &split->parts[p];
        for (uint32_t r = 0; r < part->rows_count; r++) {
            uint32_t row = split->order[part->first + r];
            const uint8_t *image = set->images + (size_t)row * layout->image_bytes;
            part->heap_bytes += (uint32_t)row_heap_bytes(layout, image);
        }
    }
}

size_t row_part_body_bytes(const struct row_set *set, const struct row_part *part) {
    size_t image_bytes = row_set_layout(set)->image_bytes;
    return sizeof(struct log_rows_header) + part->rows_count * image_bytes +
           bytes_align(part->heap_bytes, 8);
}

/* Moves what one reference points at to the end of the new heap. */
static void reference_move(uint8_t *cell, const uint8_t *heap_from, uint8_t *heap_to,
                           uint32_t *heap_bytes) {
    struct row_reference reference;
    memcpy(&reference, cell, sizeof reference);
    uint32_t padded = (uint32_t)bytes_align(reference.bytes, 8);
    memcpy(heap_to + *heap_bytes, heap_from + reference.offset, reference.bytes);
    memset(heap_to + *heap_bytes + reference.bytes, 0, padded - reference.bytes);
    reference.offset = *heap_bytes;
    memcpy(cell, &reference, sizeof reference);
    *heap_bytes += padded;
}

static void image_move(const struct row_layout *layout, uint8_t *image, const uint8_t *heap_from,
                       uint8_t *heap_to, uint32_t *heap_bytes) {
    if (layout->key_bytes == 0) {
        reference_move(image + ROW_KEY_OFFSET, heap_from, heap_to, heap_bytes);
    }
    if (layout->body.references_count == 0) return;
    uint8_t *body = image + layout->body_offset;
    for (uint32_t c = 0; c < layout->body.columns_count; c++) {
        const struct row_column *cell = &layout->body.columns[c];
        if (type_fixed_bytes(cell->type) != 0 || row_is_null(body, c)) continue;
        reference_move(body + cell->offset, heap_from, heap_to, heap_bytes);
    }
}

void row_part_write_body(const struct row_set *set, const struct row_split *split,
                         const struct row_part *part, uint64_t client_id, uint64_t sequence,
                         uint8_t *body) {
    const struct row_layout *layout = row_set_layout(set);
    struct log_rows_header header = {
        .view_id = set->view->id,
        .revision = row_set_revision(set),
        .rows_count = part->rows_count,
        .heap_bytes = (uint32_t)bytes_align(part->heap_bytes, 8),
        .client_id = client_id,
        .sequence = sequence,
    };
    memcpy(body, &header, sizeof header);
    uint8_t *images = body + sizeof header;
    uint8_t *heap = images + (size_t)part->rows_count * layout->image_bytes;
    uint32_t heap_bytes = 0;
    for (uint32_t r = 0; r < part->rows_count; r++) {
        uint32_t row = split->order[part->first + r];
        uint8_t *image = images + (size_t)r * layout->image_bytes;
        memcpy(image, set->images + (size_t)row * layout->image_bytes, layout->image_bytes);
        image_move(layout, image, set->heap, heap, &heap_bytes);
    }
    FST_ASSERT(heap_bytes == part->heap_bytes);
    memset(heap + heap_bytes, 0, header.heap_bytes - heap_bytes);
}
