#include "base/assert.h"
#include "storage/online/partition_parts.h"

enum {
    ROOM_MIN_EXTENTS = 2,
    ROOM_PART = 64,       /* of the extents: less is short */
    ENOUGH_ROOMS = 2,     /* so many times as much ends it */
    NEAR_PART = 32,       /* of the limit: eviction begins so far below it */
    RELIEF_PLACES = 1024, /* a call */
    UNKEPT_PART = 4,      /* of the rows in memory */
    SPARSE_PART = 2,      /* of the places of a span: with fewer rows it is emptied */
    OVER_PART = 32,       /* of the limit: so far beyond it to evict may take memory, */
    OVER_EXTENTS = 2,     /* and so many more */
};

/* ---- when ---- */

static bool is_near(uint64_t used_bytes, uint64_t limit_bytes) {
    return used_bytes >= limit_bytes - limit_bytes / NEAR_PART;
}

static uint64_t room_wanted_bytes(const struct partition *partition) {
    uint64_t extents = partition->slabs.root->extents_count / ROOM_PART;
    if (extents < ROOM_MIN_EXTENTS) extents = ROOM_MIN_EXTENTS;
    return extents * TABLE_EXTENT_BYTES;
}

static uint64_t pool_bytes(const struct partition *partition) {
    return partition_pool_extents(partition) * TABLE_EXTENT_BYTES;
}

/* Places of the size that was asked for last, free ones and those that will be, and extents of
 * which they can be made; but for what was admitted. */
static uint64_t room_bytes(const struct partition *partition) {
    const struct slabs *slabs = &partition->slabs;
    uint64_t bytes = pool_bytes(partition) + slabs->root->waiting_bytes;
    if (partition->row_bytes > 0) {
        bytes += slabs_free_places(slabs, SLAB_ROWS, partition->row_bytes) *
                 slab_place_bytes(SLAB_ROWS, partition->row_bytes);
    }
    return bytes > partition->flying_bytes ? bytes - partition->flying_bytes : 0;
}

/* Without an extent for what evicting takes there may be no way to make room later. */
static bool is_room_short(const struct partition *partition) {
    if (slabs_pool_extents(&partition->slabs) == 0 && partition->hand.is_needed) return true;
    uint64_t wanted_bytes = room_wanted_bytes(partition);
    if (partition->hand.is_evicting) wanted_bytes *= ENOUGH_ROOMS;
    return room_bytes(partition) < wanted_bytes;
}

bool partition_is_short(const struct partition *partition) {
    const struct partition_budget *budget = partition->options.budget;
    if (partition->hand.is_resting) return false;
    if (partition->is_refusing) return true;
    return is_near(atomic_load(&budget->used_bytes), budget->limit_bytes) &&
           is_room_short(partition);
}

bool partition_wants_checkpoint(const struct partition *partition) {
    const struct table_header *header = partition->table.header;
    uint64_t hot_count = header->rows_count - header->deleted_count - header->evicted_count;
    if (partition->hand.kept_lsn != table_word_load(&header->kept_lsn)) return false;
    return partition->hand.unkept_run > hot_count / UNKEPT_PART;
}

bool partition_can_make_room(const struct partition *partition, const struct view *view) {
    const struct hand *hand = &partition->hand;
    return (view->evicts || hand->is_needed) && !hand->is_vain;
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

static bool is_kept(const struct partition *partition, const uint64_t *row) {
    uint64_t kept_lsn = table_word_load(&partition->table.header->kept_lsn);
    return stored_lsn(stored_lsn_word(row)) <= kept_lsn;
}

/* To evict takes a small place before it gives a larger one back, and an extent of those now and
 * then; those it gives back make up for it soon. */
static bool stub_fits(const struct partition *partition, const struct view *view) {
    const struct slabs *slabs = &partition->slabs;
    uint32_t bytes = row_stored_bytes(&view->bare);
    if (slabs_free_places(slabs, SLAB_ROWS, bytes) > 0) return true;
    if (slabs_pool_extents(slabs) > 0 || partition->hand.may_exceed) return true;
    const struct partition_budget *budget = partition->options.budget;
    uint64_t most_bytes = budget->limit_bytes + budget->limit_bytes / OVER_PART +
                          OVER_EXTENTS * (uint64_t)TABLE_EXTENT_BYTES;
    return atomic_load(&budget->used_bytes) + TABLE_EXTENT_BYTES <= most_bytes;
}

/* One row under the hand: FST_OK if it went; FST_BUSY if none can now, FST_FULL if this one cannot.
 */
static enum fst_status row_pass(struct partition *partition, const struct catalog *catalog,
                                uint64_t *row) {
    struct hand *hand = &partition->hand;
    uint64_t state = row[STORED_ROW_STATE];
    if (stored_view_id(state) == 0) return FST_NOT_FOUND;
    bool was_used = stored_row_forget(row);
    const struct view *view = row_view(catalog, state);
    bool may_go = view && view->evicts && stored_revision(state) < VIEW_REVISION_EVICTED;
    hand->live_count += 1;
    hand->unkept_count += !view || !is_kept(partition, row);
    if (!may_go) return FST_NOT_FOUND;
    hand->lap_count += 1;
    if (!is_kept(partition, row)) {
        hand->unkept_run += 1;
        return FST_NOT_FOUND;
    }
    if (was_used) return FST_NOT_FOUND;
    if (!partition_can_evict(partition, view_layout(view, stored_revision(state)))) return FST_BUSY;
    enum fst_status status =
        stub_fits(partition, view) ? row_evict(partition, view, row) : FST_FULL;
    if (status == FST_FULL) hand->lap_full += 1;
    if (status != FST_OK) return status;
    hand->lap_evicted += 1;
    hand->may_exceed = false;
    hand->live_count -= 1;
    hand->unkept_run = 0;
    return FST_OK;
}

/* Whether it is worth it, and possible, to bring the few rows of a span to others, so that any size
 * can have its extents: places of one size are no use to another, and what is evicted is
 * smaller. */
static bool span_is_sparse(const struct partition *partition, const struct extent *span) {
    const struct slabs *slabs = &partition->slabs;
    const struct hand *hand = &partition->hand;
    if (hand->live_count == 0 || hand->unkept_count > 0) return false;
    uint32_t places = slabs_span_places(span);
    if (hand->live_count > places / SPARSE_PART) return false;
    if (pool_bytes(partition) >= room_wanted_bytes(partition)) return false;
    uint64_t free = slabs_free_places(slabs, SLAB_ROWS, span->class * (uint32_t)TABLE_UNIT_BYTES);
    uint64_t free_elsewhere = free - (places - span->used);
    return free_elsewhere >= hand->live_count + slabs->promised_places;
}

/* LMDB has all of these rows: what is said of evicting beside a visit holds for moving, too. */
static void span_empty(struct partition *partition, const struct catalog *catalog,
                       const struct extent *span) {
    const struct slabs *slabs = &partition->slabs;
    for (uint32_t i = 0; i < span->fresh; i++) {
        uint64_t place = slabs_place(slabs, span, i);
        const uint64_t *row = table_at(&slabs->table, place);
        if (stored_view_id(row[STORED_ROW_STATE]) == 0) continue;
        const struct view *view = row_view(catalog, row[STORED_ROW_STATE]);
        if (!view || !is_kept(partition, row)) continue;
        const struct row_layout *layout = view_layout(view, stored_revision(row[STORED_ROW_STATE]));
        if (!partition_can_evict(partition, layout)) return;
        if (partition_move_row(partition, view, place) != FST_OK) return;
    }
}

static bool any_evicts(const struct catalog *catalog) {
    for (uint32_t i = 0; i < catalog->views_by_id_count; i++) {
        if (catalog->views_by_id[i] && catalog->views_by_id[i]->evicts) return true;
    }
    return false;
}

/* Goes to the next extent. After the last one a lap is over: if no row was met that can ever go,
 * the hand rests until one comes, or rows are refused. */
static void hand_advance(struct partition *partition, const struct catalog *catalog) {
    const struct slabs *slabs = &partition->slabs;
    struct hand *hand = &partition->hand;
    const struct extent *span = &slabs->extents[hand->extent];
    if (span->kind == SLAB_ROWS && span_is_sparse(partition, span)) {
        span_empty(partition, catalog, span);
    }
    hand->live_count = 0;
    hand->unkept_count = 0;
    hand->place = 0;
    hand->extent += 1;
    if (hand->extent < slabs->root->extents_count) return;
    hand->extent = 0;
    hand->is_vain = hand->lap_count == 0;
    hand->is_resting = hand->is_vain;
    if (hand->is_resting) partition->is_refusing = false;
    hand->may_exceed = hand->lap_full > 0 && hand->lap_evicted == 0;
    hand->lap_count = 0;
    hand->lap_evicted = 0;
    hand->lap_full = 0;
}

/* Whether the hand, which has begun anew since, is back where it was. */
static bool hand_is_back(const struct hand *hand, const struct hand *first) {
    if (hand->extent != first->extent) return hand->extent > first->extent;
    return hand->place >= first->place;
}

/* A visit may be open. A row that goes before it was visited is missing there, and need not be
 * there: LMDB has it from an earlier visit. One that comes back is not marked, for the same
 * reason. */
uint32_t partition_evict(struct partition *partition, const struct catalog *catalog,
                         uint32_t places_max) {
    const struct slabs *slabs = &partition->slabs;
    struct hand *hand = &partition->hand;
    const struct hand first = *hand;
    bool is_anew = false;
    uint32_t evicted = 0;
    hand->is_needed = any_evicts(catalog);
    if (!hand->is_needed) {
        hand->is_resting = true;
        return 0;
    }
    table_begin(&partition->table);
    uint64_t kept_lsn = table_word_load(&partition->table.header->kept_lsn);
    if (kept_lsn != hand->kept_lsn) hand->unkept_run = 0;
    hand->kept_lsn = kept_lsn;
    for (uint32_t i = 0; i < places_max && !(is_anew && hand_is_back(hand, &first)); i++) {
        const struct extent *span = &slabs->extents[hand->extent];
        if (span->kind != SLAB_ROWS || hand->place >= span->fresh) {
            hand_advance(partition, catalog);
            is_anew = is_anew || hand->extent == 0;
            continue;
        }
        uint64_t place = slabs_place(slabs, span, hand->place);
        enum fst_status status = row_pass(partition, catalog, table_at(&slabs->table, place));
        if (status != FST_OK && status != FST_NOT_FOUND && status != FST_FULL) break;
        evicted += status == FST_OK;
        hand->place += 1;
    }
    hand->is_evicting = room_bytes(partition) < ENOUGH_ROOMS * room_wanted_bytes(partition);
    bool has_pool = pool_bytes(partition) >= room_wanted_bytes(partition);
    if (has_pool && !hand->is_evicting) partition->is_refusing = false;
    table_settle(&partition->table);
    return evicted;
}

void partition_relieve(struct partition *partition, const struct catalog *catalog,
                       uint32_t partitions_count) {
    uint64_t share_bytes = partition->options.budget->limit_bytes / partitions_count;
    uint64_t used_bytes = (uint64_t)partition->slabs.root->extents_count * TABLE_EXTENT_BYTES;
    bool is_short =
        !partition->hand.is_resting && is_near(used_bytes, share_bytes) && is_room_short(partition);
    if (is_short) (void)partition_evict(partition, catalog, RELIEF_PLACES);
    partition_reclaim(partition);
}

bool partition_fits_checkpoint(struct partition *partition, uint64_t lsn) {
    struct table_header *header = partition->table.header;
    if (lsn >= header->kept_lsn) return true;
    table_begin(&partition->table);
    header->kept_lsn = 0;
    header->is_visit_open = 1;
    table_settle(&partition->table);
    return header->evicted_count == 0;
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
