#include "base/assert.h"
#include "storage/online/partition_parts.h"
#include "storage/online/removal.h"

/* A row that is there, or is being made: its image holds places. */
struct placed {
    const struct row_layout *layout;
    uint8_t *image;
    uint16_t revision;
};

static uint64_t *row_at(const struct partition *partition, uint64_t place) {
    return table_at(&partition->table, place);
}

uint64_t partition_find_row(const struct partition *partition, const struct view *view,
                            struct bytes key, struct index_probe *probe) {
    const struct stored_row_read wanted = {
        .base = partition->table.base,
        .view_id = view->id,
        .key_bytes_fixed = view_current(view)->layout.key_bytes,
        .key = key,
    };
    uint64_t hash = partition_hash(&partition->options.secret, view->entity->id, key);
    index_begin(&partition->index, probe, hash, view->id);
    for (;;) {
        uint64_t place = index_next(&partition->index, probe);
        if (place == 0 || stored_row_is(row_at(partition, place), &wanted)) return place;
    }
}

struct bytes partition_row_key(const struct partition *partition, const struct view *view,
                               const uint64_t *row) {
    const uint64_t *at = &row[STORED_ROW_KEY];
    uint32_t key_bytes = view->bare.key_bytes;
    if (key_bytes == 0) return partition_value(partition, *at);
    return (struct bytes){.data = (const uint8_t *)at, .bytes = key_bytes};
}

/* ---- cells of values without a fixed size ---- */

/* The cell of a column, NULL if it has a fixed size, is null, or is not there at all. */
static uint8_t *cell_find(const struct placed *row, uint32_t column) {
    if (!row->image || column >= row->layout->body.columns_count) return NULL;
    const struct row_column *place = &row->layout->body.columns[column];
    uint8_t *body = row->image + row->layout->body_offset;
    if (type_fixed_bytes(place->type) != 0 || row_is_null(body, column)) return NULL;
    return body + place->offset;
}

static uint64_t cell_or_none(const uint8_t *cell) {
    return cell ? load_u64(cell) : 0;
}

static void value_free(struct partition *partition, uint64_t cell) {
    if (stored_cell_place(cell) == 0) return;
    uint32_t bytes = slab_place_bytes(SLAB_VALUES, stored_cell_bytes(cell));
    table_add(&partition->table.header->live_value_bytes, -(int64_t)bytes);
    table_add(&partition->table.header->live_payload_bytes, -(int64_t)stored_cell_bytes(cell));
    slabs_put(&partition->slabs, stored_cell_place(cell));
}

/* Turns a reference into a cell: the old one where the value is the same, else a new place. */
static enum fst_status value_put(struct partition *partition, uint8_t *cell, const uint8_t *heap,
                                 uint64_t old_cell) {
    struct row_reference reference;
    memcpy(&reference, cell, sizeof reference);
    const uint8_t *value = heap + reference.offset;
    store_u64(cell, 0);
    if (reference.bytes == 0) return FST_OK;
    FST_ASSERT(reference.bytes <= STORED_ROW_VALUE_BYTES_MAX);
    if (stored_cell_bytes(old_cell) == reference.bytes) {
        const void *old = row_at(partition, stored_cell_place(old_cell));
        if (memcmp(old, value, reference.bytes) == 0) {
            store_u64(cell, old_cell);
            return FST_OK;
        }
    }
    uint64_t place = slabs_get(&partition->slabs, SLAB_VALUES, reference.bytes);
    if (!place) return FST_FULL;
    memcpy(row_at(partition, place), value, reference.bytes);
    store_u64(cell, stored_cell(place, reference.bytes));
    int64_t bytes = slab_place_bytes(SLAB_VALUES, reference.bytes);
    table_add(&partition->table.header->live_value_bytes, bytes);
    table_add(&partition->table.header->live_payload_bytes, reference.bytes);
    return FST_OK;
}

static bool has_cells(const struct row_layout *layout) {
    return layout->key_bytes == 0 || layout->body.references_count > 0;
}

/* Frees the values of `row` that `kept` does not have. */
static void values_free(struct partition *partition, const struct placed *row,
                        const struct placed *kept) {
    if (!row->image || !has_cells(row->layout)) return;
    if (row->layout->key_bytes == 0) {
        uint64_t key = load_u64(row->image + ROW_KEY_OFFSET);
        bool is_kept = kept->image && load_u64(kept->image + ROW_KEY_OFFSET) == key;
        if (!is_kept) value_free(partition, key);
    }
    if (row->layout->body.references_count == 0) return;
    for (uint32_t c = 0; c < row->layout->body.columns_count; c++) {
        uint64_t cell = cell_or_none(cell_find(row, c));
        if (cell && cell != cell_or_none(cell_find(kept, c))) value_free(partition, cell);
    }
}

/* Puts all values of `row` out of line. On FST_FULL nothing is left of them. */
static enum fst_status values_put(struct partition *partition, const struct placed *row,
                                  const uint8_t *heap, const struct placed *old) {
    enum fst_status status = FST_OK;
    if (row->layout->key_bytes == 0) {
        uint64_t old_key = old->image ? load_u64(old->image + ROW_KEY_OFFSET) : 0;
        status = value_put(partition, row->image + ROW_KEY_OFFSET, heap, old_key);
    }
    uint32_t columns_count =
        row->layout->body.references_count > 0 ? row->layout->body.columns_count : 0;
    for (uint32_t c = 0; c < columns_count; c++) {
        uint8_t *cell = cell_find(row, c);
        if (!cell) continue;
        if (status == FST_OK)
            status = value_put(partition, cell, heap, cell_or_none(cell_find(old, c)));
        else
            store_u64(cell, 0);
    }
    if (status != FST_OK) values_free(partition, row, old);
    return status;
}

/* ---- rows ---- */

static int order_of(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

/* Row order: by event time, then created time, then LSN. */
static int row_order(const struct partition_put *put, const uint64_t *row) {
    int order = order_of(load_i64(put->image), (int64_t)row[STORED_ROW_EVENT]);
    if (order == 0) order = order_of(load_i64(put->image + 8), (int64_t)row[STORED_ROW_CREATED]);
    if (order == 0) order = order_of((int64_t)put->lsn, (int64_t)stored_lsn(stored_lsn_word(row)));
    return order;
}

static void row_mark(const struct partition *partition, uint64_t place) {
    struct extent *span = slabs_span_of(&partition->slabs, place);
    __atomic_store_n(&span->mark, 1, __ATOMIC_RELEASE);
}

/* Counts a row, 1 or -1, among those of its revision that are counted. */
static void revision_count(const struct partition *partition, uint16_t revision, int delta) {
    struct table_header *header = partition->table.header;
    if (revision == VIEW_REVISION_EVICTED) table_add(&header->evicted_count, delta);
    if (revision != VIEW_REVISION_DELETED) return;
    uint32_t count = header->deleted_count + (uint32_t)delta;
    __atomic_store_n(&header->deleted_count, count, __ATOMIC_RELEASE);
}

/* Counts `rows` of this layout, 1 or -1, without their values that lie elsewhere. */
static void rows_count(const struct partition *partition, const struct row_layout *layout,
                       int64_t rows) {
    struct table_header *header = partition->table.header;
    uint32_t stored_bytes = row_stored_bytes(layout);
    uint32_t payload_bytes = layout->key_bytes + layout->body.fixed_bytes;
    table_add(&header->live_row_bytes, rows * slab_place_bytes(SLAB_ROWS, stored_bytes));
    table_add(&header->live_payload_bytes, rows * payload_bytes);
    table_add(&header->live_head_bytes, rows * (stored_bytes - payload_bytes));
}

static void row_write(struct partition *partition, const struct partition_put *put, uint64_t place,
                      const struct placed *row) {
    struct stored_row_version version = {.view_id = put->view->id,
                                         .revision = put->revision,
                                         .lsn = put->lsn,
                                         .is_used = put->is_used};
    stored_row_write(row_at(partition, place), &version, row->image, row->layout->image_bytes,
                     row_key_area_bytes(row->layout));
    if (!put->is_kept) row_mark(partition, place);
}

/* Takes a row away that no slot leads to any more. Its values are the caller's. */
static void row_free(struct partition *partition, uint64_t place, const struct row_layout *layout) {
    stored_row_kill(row_at(partition, place));
    slabs_put(&partition->slabs, place);
    rows_count(partition, layout, -1);
}

/* Writes a row into a place of its own and lets the index lead to it. */
static enum fst_status row_create(struct partition *partition, const struct partition_put *put,
                                  const struct placed *row, const struct index_probe *replaced) {
    uint64_t place = slabs_get(&partition->slabs, SLAB_ROWS, row_stored_bytes(row->layout));
    if (!place) return FST_FULL;
    rows_count(partition, row->layout, 1);
    row_write(partition, put, place, row);
    if (replaced) {
        index_replace(&partition->index, replaced, place);
        return FST_OK;
    }
    struct bytes key = row_key(row->layout, put->image, put->heap);
    uint64_t hash = partition_hash(&partition->options.secret, put->view->entity->id, key);
    enum fst_status status = index_put(&partition->index, hash, put->view->id, place);
    if (status != FST_OK) {
        row_free(partition, place, row->layout);
        return status;
    }
    table_add(&partition->table.header->rows_count, 1);
    return FST_OK;
}

/* Readers see either row: the new one is complete before the slot leads to it, and the old one dies
 * after. */
static enum fst_status row_replace(struct partition *partition, const struct partition_put *put,
                                   const struct placed *row, const struct placed *old,
                                   const struct index_probe *probe) {
    uint64_t place =
        (uint64_t)(old->image - STORED_ROW_HEADER_BYTES - partition->table.base) / TABLE_UNIT_BYTES;
    if (row->layout->image_bytes == old->layout->image_bytes) {
        rows_count(partition, old->layout, -1);
        rows_count(partition, row->layout, 1);
        row_write(partition, put, place, row);
        return FST_OK;
    }
    FST_TRY(row_create(partition, put, row, probe));
    row_free(partition, place, old->layout);
    return FST_OK;
}

/* Makes sure that a row's old places can wait for readers. */
static bool row_can_wait(struct partition *partition, const struct row_layout *layout) {
    if (slabs_can_wait(&partition->slabs, row_frees_max(layout))) return true;
    slabs_reclaim(&partition->slabs, UINT32_MAX);
    return slabs_can_wait(&partition->slabs, row_frees_max(layout));
}

static enum fst_status placed_find(const struct partition *partition, const struct view *view,
                                   uint64_t place, struct placed *placed_out) {
    uint64_t *row = row_at(partition, place);
    uint16_t revision = stored_revision(row[STORED_ROW_STATE]);
    if (!view_stores_revision(view, revision)) return FST_CORRUPT;
    *placed_out = (struct placed){.layout = view_layout(view, revision),
                                  .image = (uint8_t *)row + STORED_ROW_HEADER_BYTES,
                                  .revision = revision};
    return FST_OK;
}

enum fst_status partition_set_row(struct partition *partition, const struct partition_put *put,
                                  uint64_t place, const struct index_probe *probe) {
    struct placed row = {.layout = view_layout(put->view, put->revision),
                         .image = partition->scratch,
                         .revision = put->revision};
    struct placed old = {0};
    if (place) FST_TRY(placed_find(partition, put->view, place, &old));
    bool frees_more =
        place && old.layout->body.references_count > row.layout->body.references_count;
    if (!row_can_wait(partition, frees_more ? old.layout : row.layout)) return FST_FULL;
    memcpy(row.image, put->image, row.layout->image_bytes);
    if (has_cells(row.layout)) FST_TRY(values_put(partition, &row, put->heap, &old));
    /* An update in place overwrites the old cells, so they are kept aside until the new ones are
     * shown. */
    uint8_t *before = partition->scratch + ROW_IMAGE_BYTES_MAX;
    if (place && has_cells(old.layout)) memcpy(before, old.image, old.layout->image_bytes);
    enum fst_status status = place ? row_replace(partition, put, &row, &old, probe)
                                   : row_create(partition, put, &row, NULL);
    if (old.image) old.image = before;
    if (status != FST_OK) {
        values_free(partition, &row, &old);
        return status;
    }
    /* A row that can go: worth another lap. */
    if (put->view->evicts && row.revision < VIEW_REVISION_EVICTED)
        partition->hand.is_resting = false;
    revision_count(partition, row.revision, 1);
    if (place) revision_count(partition, old.revision, -1);
    values_free(partition, &old, &row);
    return FST_OK;
}

enum fst_status partition_put_row(struct partition *partition, const struct partition_put *put) {
    struct index_probe probe;
    struct bytes key = row_key(view_layout(put->view, put->revision), put->image, put->heap);
    uint64_t place = partition_find_row(partition, put->view, key, &probe);
    if (place) {
        int order = row_order(put, row_at(partition, place));
        if (order <= 0) return order < 0 ? FST_STALE : FST_OK; /* P4 */
    }
    partition->row_bytes = row_stored_bytes(view_layout(put->view, put->revision));
    return partition_set_row(partition, put, place, &probe);
}

enum fst_status partition_move_row(struct partition *partition, const struct view *view,
                                   uint64_t place) {
    uint64_t *row = row_at(partition, place);
    uint64_t lsn_word = stored_lsn_word(row);
    uint32_t image_bytes = stored_words(lsn_word) * 8 - STORED_ROW_HEADER_BYTES;
    uint16_t revision = stored_revision(row[STORED_ROW_STATE]);
    /* The hand may come by again soon: a row that it spared once counts as used. */
    bool is_used = revision < VIEW_REVISION_EVICTED || lsn_word & STORED_ROW_USED;
    struct stored_row_version version = {
        .view_id = view->id, .revision = revision, .lsn = stored_lsn(lsn_word), .is_used = is_used};
    struct index_probe probe;
    struct bytes key = partition_row_key(partition, view, row);
    uint64_t found = partition_find_row(partition, view, key, &probe);
    FST_ASSERT(found == place);
    slabs_spare_span(&partition->slabs, slabs_span_of(&partition->slabs, place));
    uint64_t to = slabs_get(&partition->slabs, SLAB_ROWS, STORED_ROW_HEADER_BYTES + image_bytes);
    if (!to) return FST_FULL;
    const uint8_t *image = (const uint8_t *)row + STORED_ROW_HEADER_BYTES;
    stored_row_write(row_at(partition, to), &version, image, image_bytes,
                     row_key_area_bytes(&view->bare));
    index_replace(&partition->index, &probe, to);
    stored_row_kill(row);
    slabs_put(&partition->slabs, place);
    return FST_OK;
}

enum fst_status partition_remove_row(struct partition *partition, const struct view *view,
                                     struct bytes key) {
    struct index_probe probe;
    struct placed row = {0};
    uint64_t place = partition_find_row(partition, view, key, &probe);
    if (!place) return FST_NOT_FOUND;
    FST_TRY(placed_find(partition, view, place, &row));
    if (!partition_can_free(partition, row.layout)) return FST_BUSY;
    removal_put(&partition->table, view->id, key);
    index_remove(&partition->index, &probe);
    values_free(partition, &row, &(struct placed){0});
    row_free(partition, place, row.layout);
    revision_count(partition, row.revision, -1);
    table_add(&partition->table.header->rows_count, -1);
    return FST_OK;
}
