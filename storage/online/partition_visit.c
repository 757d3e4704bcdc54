#include <stdlib.h>

#include "base/assert.h"
#include "storage/online/partition_parts.h"
#include "storage/online/removal.h"

enum { COPY_BYTES_MAX = STORED_ROW_HEADER_BYTES + ROW_IMAGE_BYTES_MAX };

/* A copied row and the heap that is made for it; both grow and stay during one visit. */
struct visit {
    struct partition *partition;
    const struct catalog *catalog;
    const struct partition_visitor *visitor;
    bool is_whole;
    uint64_t *words;
    uint8_t *heap;
    size_t heap_used;
    size_t heap_room;
};

/* ---- one row ---- */

static enum fst_status cell_convert(struct visit *visit, uint8_t *cell) {
    struct bytes value = partition_value(visit->partition, load_u64(cell));
    size_t padded = bytes_align(value.bytes, 8);
    if (visit->heap_used + padded > visit->heap_room) {
        size_t room = 2 * visit->heap_room + padded;
        uint8_t *heap = realloc(visit->heap, room);
        if (!heap) return FST_NO_MEMORY;
        visit->heap = heap;
        visit->heap_room = room;
    }
    struct row_reference reference = {.offset = (uint32_t)visit->heap_used,
                                      .bytes = (uint32_t)value.bytes};
    memcpy(cell, &reference, sizeof reference);
    if (value.bytes == 0) return FST_OK;
    uint8_t *at = visit->heap + visit->heap_used;
    memcpy(at, value.data, value.bytes);
    memset(at + value.bytes, 0, padded - value.bytes);
    visit->heap_used += padded;
    return FST_OK;
}

/* Turns the places of a copied image into references. */
static enum fst_status image_convert(struct visit *visit, const struct row_layout *layout,
                                     uint8_t *image) {
    visit->heap_used = 0;
    if (layout->key_bytes == 0) FST_TRY(cell_convert(visit, image + ROW_KEY_OFFSET));
    if (layout->body.references_count == 0) return FST_OK;
    uint8_t *body = image + layout->body_offset;
    for (uint32_t c = 0; c < layout->body.columns_count; c++) {
        const struct row_column *column = &layout->body.columns[c];
        if (type_fixed_bytes(column->type) != 0 || row_is_null(body, c)) continue;
        FST_TRY(cell_convert(visit, body + column->offset));
    }
    return FST_OK;
}

static enum fst_status row_visit(struct visit *visit, struct extent *span, const uint64_t *row) {
    uint32_t words = stored_row_copy(row, visit->words, COPY_BYTES_MAX / 8);
    if (words == 0) return FST_OK;
    uint64_t state = visit->words[STORED_ROW_STATE];
    if (stored_revision(state) == VIEW_REVISION_EVICTED) return FST_OK;
    const struct view *view = row_view(visit->catalog, state);
    if (!view) {
        __atomic_store_n(&span->mark, 1, __ATOMIC_RELEASE);
        return FST_OK;
    }
    const struct row_layout *layout = view_layout(view, stored_revision(state));
    if (words * 8 != row_stored_bytes(layout)) return FST_CORRUPT;
    uint8_t *image = (uint8_t *)visit->words + STORED_ROW_HEADER_BYTES;
    FST_TRY(image_convert(visit, layout, image));
    struct partition_row visited = {
        .view_id = view->id,
        .revision = stored_revision(state),
        .lsn = stored_lsn(visit->words[STORED_ROW_LSN]),
        .key = row_key(layout, image, visit->heap),
        .image = image,
        .image_bytes = layout->image_bytes,
        .heap = visit->heap,
        .heap_bytes = visit->heap_used,
    };
    return visit->visitor->row(visit->visitor->context, &visited);
}

/* ---- all rows ---- */

static enum fst_status span_visit(struct visit *visit, struct extent *span) {
    const struct slabs *slabs = &visit->partition->slabs;
    uint32_t fresh = __atomic_load_n(&span->fresh, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < fresh; i++) {
        const uint64_t *row = table_at(&slabs->table, slabs_place(slabs, span, i));
        FST_TRY(row_visit(visit, span, row));
    }
    return FST_OK;
}

/* The mark is taken before the rows are looked at: a row that changes later marks its extent
 * again. */
static bool mark_take(struct extent *span) {
    if (__atomic_load_n(&span->mark, __ATOMIC_RELAXED) == 0) return false;
    return __atomic_exchange_n(&span->mark, 0, __ATOMIC_ACQ_REL) != 0;
}

static enum fst_status rows_visit(struct visit *visit) {
    const struct slabs *slabs = &visit->partition->slabs;
    uint32_t count = __atomic_load_n(&slabs->root->extents_count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < count; i++) {
        struct extent *span = &slabs->extents[i];
        bool is_marked = mark_take(span);
        if (!visit->visitor->row || (!is_marked && !visit->is_whole)) continue;
        if (__atomic_load_n(&span->kind, __ATOMIC_ACQUIRE) != SLAB_ROWS) continue;
        FST_TRY(span_visit(visit, span));
    }
    return FST_OK;
}

enum fst_status partition_visit(struct partition *partition, bool is_whole,
                                const struct catalog *catalog,
                                const struct partition_visitor *visitor) {
    struct table_header *header = partition->table.header;
    struct visit visit = {
        .partition = partition,
        .catalog = catalog,
        .visitor = visitor,
        .is_whole = is_whole || partition_needs_whole_visit(partition),
        .words = malloc(COPY_BYTES_MAX),
    };
    if (!visit.words) return FST_NO_MEMORY;
    (void)__atomic_exchange_n(&header->is_visit_open, 1, __ATOMIC_SEQ_CST);
    partition->visit_lsn = partition_applied_lsn(partition);
    if (visitor->begun) visit.catalog = visitor->begun(visitor->context, partition->visit_lsn);
    if (is_whole) __atomic_store_n(&header->has_lost_removals, 0, __ATOMIC_RELEASE);
    enum fst_status status = removals_visit(partition, visit.catalog, visitor);
    if (status == FST_OK) status = rows_visit(&visit);
    if (status == FST_OK) status = client_table_visit(&partition->clients, visit.is_whole, visitor);
    free(visit.heap);
    free(visit.words);
    return status;
}

void partition_visit_end(struct partition *partition, bool is_kept) {
    struct table_header *header = partition->table.header;
    if (is_kept) table_word_store(&header->kept_lsn, partition->visit_lsn);
    __atomic_store_n(&header->is_visit_open, is_kept ? 0 : 1, __ATOMIC_RELEASE);
}

bool partition_needs_whole_visit(const struct partition *partition) {
    const struct table_header *header = partition->table.header;
    return __atomic_load_n(&header->is_visit_open, __ATOMIC_ACQUIRE) != 0 ||
           __atomic_load_n(&header->has_lost_removals, __ATOMIC_ACQUIRE) != 0;
}
