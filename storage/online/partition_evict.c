#include "base/assert.h"
#include "storage/online/partition_parts.h"

enum {
    ROOM_MIN_EXTENTS = 2,
    ROOM_PART = 64,   /* of the extents: less is short */
    ENOUGH_ROOMS = 2, /* so many times as much ends it */
    NEAR_PART = 32,   /* of the limit: eviction begins so far below it */
    UNKEPT_PART = 4,  /* of the rows in memory */
};

/* ---- when ---- */

static bool is_near_limit(const struct partition *partition) {
    const struct partition_budget *budget = partition->options.budget;
    uint64_t near_bytes = budget->limit_bytes - budget->limit_bytes / NEAR_PART;
    return atomic_load(&budget->used_bytes) >= near_bytes;
}

/* What is free, or will be, but for what was admitted. */
static uint64_t room_bytes(const struct partition *partition) {
    const struct table_slabs *root = partition->slabs.root;
    uint64_t bytes =
        root->free_bytes + root->waiting_bytes + root->pool_extents * TABLE_EXTENT_BYTES;
    return bytes > partition->flying_bytes ? bytes - partition->flying_bytes : 0;
}

static uint64_t room_wanted_bytes(const struct partition *partition) {
    uint64_t extents = partition->slabs.root->extents_count / ROOM_PART;
    if (extents < ROOM_MIN_EXTENTS) extents = ROOM_MIN_EXTENTS;
    return extents * TABLE_EXTENT_BYTES;
}

bool partition_is_short(const struct partition *partition) {
    if (!is_near_limit(partition)) return false;
    uint64_t wanted_bytes = room_wanted_bytes(partition);
    if (partition->is_evicting) wanted_bytes *= ENOUGH_ROOMS;
    return room_bytes(partition) < wanted_bytes;
}

bool partition_wants_checkpoint(const struct partition *partition) {
    const struct table_header *header = partition->table.header;
    uint64_t hot_count = header->rows_count - header->deleted_count - header->evicted_count;
    return partition->unkept_run > hot_count / UNKEPT_PART;
}

/* ---- evicting ---- */

/* The row without its features. */
static enum fst_status row_evict(struct partition *partition, const struct view *view,
                                 const uint64_t *row) {
    uint8_t image[ROW_KEY_OFFSET + KEY_BYTES_MAX];
    uint8_t heap[KEY_BYTES_MAX];
    struct bytes key = partition_row_key(partition, view, row);
    FST_ASSERT(key.bytes <= sizeof heap);
    FST_ASSERT(view->bare.image_bytes <= sizeof image);
    memcpy(heap, key.data, key.bytes);
    memset(image, 0, view->bare.image_bytes);
    store_u64(image, row[STORED_ROW_EVENT]);
    store_u64(image + sizeof(uint64_t), row[STORED_ROW_CREATED]);
    struct row_reference reference = {.bytes = (uint32_t)key.bytes};
    if (view->bare.key_bytes > 0)
        memcpy(image + ROW_KEY_OFFSET, heap, key.bytes);
    else
        memcpy(image + ROW_KEY_OFFSET, &reference, sizeof reference);
    struct partition_put put = {.view = view,
                                .revision = VIEW_REVISION_EVICTED,
                                .lsn = stored_lsn(stored_lsn_word(row)),
                                .image = image,
                                .heap = heap,
                                .is_kept = true};
    struct index_probe probe;
    key.data = heap;
    uint64_t place = partition_find_row(partition, view, key, &probe);
    FST_ASSERT(table_at(&partition->table, place) == (const void *)row);
    return partition_set_row(partition, &put, place, &probe);
}

/* One row under the hand: FST_OK if it went. */
static enum fst_status row_pass(struct partition *partition, const struct catalog *catalog,
                                uint64_t *row) {
    uint64_t state = row[STORED_ROW_STATE];
    if (stored_view_id(state) == 0) return FST_NOT_FOUND;
    bool was_used = stored_row_forget(row);
    const struct view *view = row_view(catalog, state);
    bool may_go = view && view->evicts && stored_revision(state) < VIEW_REVISION_EVICTED;
    if (!may_go) return FST_NOT_FOUND;
    if (stored_lsn(stored_lsn_word(row)) > table_word_load(&partition->table.header->kept_lsn)) {
        partition->unkept_run += 1;
        return FST_NOT_FOUND;
    }
    if (was_used) return FST_NOT_FOUND;
    if (!partition_can_evict(partition, view_layout(view, stored_revision(state)))) return FST_BUSY;
    return row_evict(partition, view, row);
}

static bool any_evicts(const struct catalog *catalog) {
    for (uint32_t i = 0; i < catalog->views_by_id_count; i++) {
        if (catalog->views_by_id[i] && catalog->views_by_id[i]->evicts) return true;
    }
    return false;
}

/* Where the hand is, in an order in which it comes back to where it began. */
struct lap {
    uint32_t first_extent, first_place;
    bool is_second_half;
};

static bool lap_is_over(const struct partition *partition, const struct lap *lap) {
    if (!lap->is_second_half) return false;
    if (partition->hand_extent != lap->first_extent) {
        return partition->hand_extent > lap->first_extent;
    }
    return partition->hand_place >= lap->first_place;
}

static void hand_leave_extent(struct partition *partition, struct lap *lap) {
    partition->hand_place = 0;
    partition->hand_extent += 1;
    if (partition->hand_extent < partition->slabs.root->extents_count) return;
    partition->hand_extent = 0;
    lap->is_second_half = true;
}

/* A visit may be open. A row that goes before it was visited is missing there, and need not be
 * there: LMDB has it from an earlier visit. One that comes back is not marked, for the same
 * reason. */
uint32_t partition_evict(struct partition *partition, const struct catalog *catalog,
                         uint32_t places_max) {
    const struct slabs *slabs = &partition->slabs;
    uint32_t evicted = 0;
    if (!any_evicts(catalog)) return 0;
    struct lap lap = {.first_extent = partition->hand_extent, .first_place = partition->hand_place};
    table_begin(&partition->table);
    for (uint32_t i = 0; i < places_max && !lap_is_over(partition, &lap); i++) {
        const struct extent *span = &slabs->extents[partition->hand_extent];
        if (span->kind != SLAB_ROWS || partition->hand_place >= span->fresh) {
            hand_leave_extent(partition, &lap);
            continue;
        }
        uint64_t place = slabs_place(slabs, span, partition->hand_place);
        enum fst_status status = row_pass(partition, catalog, table_at(&slabs->table, place));
        if (status != FST_OK && status != FST_NOT_FOUND) break;
        if (status == FST_OK) evicted += 1;
        partition->hand_place += 1;
    }
    if (evicted > 0) partition->unkept_run = 0;
    partition->is_evicting = room_bytes(partition) < ENOUGH_ROOMS * room_wanted_bytes(partition);
    table_settle(&partition->table);
    return evicted;
}

/* ---- promoting ---- */

enum fst_status partition_promote(struct partition *partition, const struct view *view,
                                  uint16_t revision, uint64_t lsn, const uint8_t *image,
                                  const uint8_t *heap) {
    FST_ASSERT(view_has_revision(view, revision));
    struct partition_put put = {.view = view,
                                .revision = revision,
                                .lsn = lsn,
                                .image = image,
                                .heap = heap,
                                .is_kept = true,
                                .is_used = true};
    struct index_probe probe;
    struct bytes key = row_key(view_layout(view, revision), image, heap);
    uint64_t place = partition_find_row(partition, view, key, &probe);
    if (!place) return FST_STALE;
    const uint64_t *row = table_at(&partition->table, place);
    bool is_it = stored_revision(row[STORED_ROW_STATE]) == VIEW_REVISION_EVICTED &&
                 stored_lsn(stored_lsn_word(row)) == lsn;
    if (!is_it) return FST_STALE;
    bool is_same_time = row[STORED_ROW_EVENT] == load_u64(image) &&
                        row[STORED_ROW_CREATED] == load_u64(image + sizeof(uint64_t));
    if (!is_same_time) return FST_CORRUPT;
    if (!partition_has_room(partition, &put)) return FST_FULL;
    table_begin(&partition->table);
    enum fst_status status = partition_set_row(partition, &put, place, &probe);
    table_settle(&partition->table);
    return status;
}
