#include <stdlib.h>

#include "base/assert.h"
#include "storage/online/partition_parts.h"

/* What the walk has seen so far. */
struct check {
    const struct partition *partition;
    const struct catalog *catalog;
    struct slabs_walk walk;
    uint64_t rows_count; /* deleted ones among them */
    uint64_t deleted_count;
    uint64_t evicted_count;
    uint64_t row_bytes;
    uint64_t value_bytes;
    uint64_t payload_bytes;
    uint64_t head_bytes;
    struct fst_error *error;
};

static enum fst_status value_walk(struct check *check, const uint8_t *cell) {
    uint64_t place = load_u64(cell) >> 24;
    uint32_t bytes = load_u32(cell) & 0xffffff;
    if (bytes == 0) return place == 0 ? FST_OK : FST_CORRUPT;
    const struct slabs *slabs = &check->partition->slabs;
    FST_TRY(slabs_walk_put(slabs, &check->walk, SLAB_VALUES, place, bytes));
    check->value_bytes += (uint64_t)slabs_span_of(slabs, place)->class * TABLE_UNIT_BYTES;
    check->payload_bytes += bytes;
    return FST_OK;
}

/* Without the bit that readers set. */
static uint64_t words_of(const uint64_t *row) {
    return __atomic_load_n(&row[1], __ATOMIC_RELAXED) << 1 >> 49;
}

/* What lies in the row itself. */
static void payload_walk(struct check *check, const uint64_t *row,
                         const struct row_layout *layout) {
    uint64_t bytes = layout->key_bytes;
    for (uint32_t c = 0; c < layout->body.columns_count; c++) {
        bytes += type_fixed_bytes(layout->body.columns[c].type);
    }
    check->payload_bytes += bytes;
    check->head_bytes += words_of(row) * 8 - bytes;
}

static enum fst_status values_walk(struct check *check, const struct row_layout *layout,
                                   const uint8_t *image) {
    if (layout->key_bytes == 0) FST_TRY(value_walk(check, image + ROW_KEY_OFFSET));
    const uint8_t *body = image + layout->body_offset;
    for (uint32_t c = 0; c < layout->body.columns_count; c++) {
        const struct row_column *column = &layout->body.columns[c];
        bool is_value = type_fixed_bytes(column->type) == 0 && !row_is_null(body, c);
        if (is_value) FST_TRY(value_walk(check, body + column->offset));
    }
    return FST_OK;
}

static struct bytes key_of(const struct check *check, const struct row_layout *layout,
                           const uint8_t *image) {
    const uint8_t *key = image + ROW_KEY_OFFSET;
    if (layout->key_bytes > 0) return (struct bytes){.data = key, .bytes = layout->key_bytes};
    uint64_t cell = load_u64(key);
    return (struct bytes){.data = check->partition->table.base + (cell >> 24) * TABLE_UNIT_BYTES,
                          .bytes = cell & 0xffffff};
}

/* The view of a stored row; NULL if it does not fit the catalog. */
static const struct view *view_of(const struct check *check, const uint64_t *row) {
    uint32_t view_id = stored_view_id(row[0]);
    if (view_id == 0 || view_id >= check->catalog->views_by_id_count) return NULL;
    const struct view *view = check->catalog->views_by_id[view_id];
    if (!view || !view_stores_revision(view, stored_revision(row[0]))) return NULL;
    uint32_t image_bytes = view_layout(view, stored_revision(row[0]))->image_bytes;
    return words_of(row) * 8 == 16 + (uint64_t)image_bytes ? view : NULL;
}

/* P1 for one slot. */
static enum fst_status slot_check(void *context, const struct index_slot *slot) {
    struct check *check = context;
    const struct partition *partition = check->partition;
    const char *what = "no place of a row";
    if (slabs_walk_put(&partition->slabs, &check->walk, SLAB_ROWS, slot->place, 1) != FST_OK) {
        goto corrupt;
    }
    uint32_t place_bytes =
        slabs_span_of(&partition->slabs, slot->place)->class * (uint32_t)TABLE_UNIT_BYTES;
    const uint64_t *row = table_at(&partition->table, slot->place);
    const struct view *view = view_of(check, row);
    what = "a row of no known view";
    if (!view || row[0] % 2 != 0 || words_of(row) * 8 > place_bytes) goto corrupt;
    const struct row_layout *layout = view_layout(view, stored_revision(row[0]));
    const uint8_t *image = (const uint8_t *)(row + 2);
    what = "a value that is no place of its own";
    if (values_walk(check, layout, image) != FST_OK) goto corrupt;
    struct bytes key = key_of(check, layout, image);
    what = "a row with another hash";
    if (key.bytes > KEY_BYTES_MAX) goto corrupt;
    uint64_t hash =
        index_hash(partition_hash(&partition->options.secret, view->entity->id, key), view->id);
    if ((hash & 0xffffff) != slot->hash_bits || index_tag(hash, view->id) != slot->tag) {
        goto corrupt;
    }
    check->rows_count += 1;
    check->deleted_count += stored_revision(row[0]) == VIEW_REVISION_DELETED;
    check->evicted_count += stored_revision(row[0]) == VIEW_REVISION_EVICTED;
    check->row_bytes += place_bytes;
    payload_walk(check, row, layout);
    return FST_OK;
corrupt:
    return fst_error_set(check->error, FST_CORRUPT, "place %llu: a slot leads to %s",
                         (unsigned long long)slot->place, what);
}

static enum fst_status counts_check(const struct check *check) {
    const struct table_header *header = check->partition->table.header;
    if (check->rows_count == header->rows_count && check->row_bytes == header->live_row_bytes &&
        check->value_bytes == header->live_value_bytes &&
        check->payload_bytes == header->live_payload_bytes &&
        check->head_bytes == header->live_head_bytes &&
        check->deleted_count == header->deleted_count &&
        check->evicted_count == header->evicted_count) {
        return FST_OK;
    }
    return fst_error_set(
        check->error, FST_CORRUPT,
        "found %llu rows, places of %llu and %llu bytes, payload %llu, headers %llu; counted "
        "%llu, %llu and %llu, %llu, %llu",
        (unsigned long long)check->rows_count, (unsigned long long)check->row_bytes,
        (unsigned long long)check->value_bytes, (unsigned long long)check->payload_bytes,
        (unsigned long long)check->head_bytes, (unsigned long long)header->rows_count,
        (unsigned long long)header->live_row_bytes, (unsigned long long)header->live_value_bytes,
        (unsigned long long)header->live_payload_bytes,
        (unsigned long long)header->live_head_bytes); /* P3 */
}

enum fst_status partition_check(const struct partition *partition, const struct catalog *catalog,
                                struct fst_error *error) {
    uint64_t extents = partition->table.header->slabs.extents_count;
    struct fst_error unused;
    struct check check = {
        .partition = partition,
        .catalog = catalog,
        .error = error ? error : &unused,
        .walk.live = calloc(extents + 1, TABLE_EXTENT_BYTES / TABLE_UNIT_BYTES / 8),
    };
    if (!check.walk.live) return fst_error_set(error, FST_NO_MEMORY, "table check");
    struct index_visitor visitor = {.context = &check, .slot = slot_check};
    enum fst_status status = index_check(&partition->index, &check.walk, &visitor, check.error);
    if (status == FST_OK) status = counts_check(&check);
    if (status == FST_OK) status = slabs_check(&partition->slabs, &check.walk, check.error);
    if (status == FST_OK && client_table_check(&partition->clients) != FST_OK) {
        status = fst_error_set(error, FST_CORRUPT, "a client's applied sequence was not admitted");
    }
    free(check.walk.live);
    return status;
}
