#include <string.h>

#include "storage/online/partition_parts.h"

/* Whether `kept_us` from then on are over. */
static bool is_over(int64_t from_us, int64_t kept_us, int64_t now_us) {
    int64_t end_us;
    return !__builtin_add_overflow(from_us, kept_us, &end_us) && end_us < now_us;
}

static bool is_due(const struct view *view, const uint64_t *row, int64_t now_us) {
    int64_t event_us = (int64_t)row[STORED_ROW_EVENT];
    int64_t created_us = (int64_t)row[STORED_ROW_CREATED];
    if (stored_revision(row[STORED_ROW_STATE]) == VIEW_REVISION_DELETED) {
        int64_t from_us = event_us > created_us ? event_us : created_us;
        return is_over(from_us, PARTITION_DELETED_KEPT_US, now_us);
    }
    if (view->ttl_us == 0 || !is_over(event_us, view->ttl_us, now_us)) return false;
    return is_over(event_us + view->ttl_us, view->ttl_us, now_us);
}

static enum fst_status row_sweep(struct partition *partition, const struct view *view,
                                 const uint64_t *row) {
    uint8_t copy[KEY_BYTES_MAX];
    struct bytes key = partition_row_key(partition, view, row);
    memcpy(copy, key.data, key.bytes);
    key.data = copy;
    return partition_remove_row(partition, view, key);
}

/* A checkpoint that is under way has read the applied LSN. Were a deleted row taken out beside it,
 * a row that was stale because of it could have a greater LSN, and be replayed over a checkpoint
 * that has neither. So nothing is swept meanwhile, and while rows are shown that are not durable.
 * Both sides exchange the flag: what was applied before it is seen closed here is in the LSN read
 * behind its opening. */
static bool is_allowed(struct partition *partition) {
    struct table_header *header = partition->table.header;
    if (header->memory_lsn > header->applied_lsn) return false;
    return __atomic_fetch_or(&header->is_visit_open, 0, __ATOMIC_SEQ_CST) == 0;
}

/* Whether any row can ever be over: otherwise looking would only push others out of the caches. */
static bool is_worth_it(const struct partition *partition, const struct catalog *catalog) {
    if (partition->table.header->deleted_count > 0) return true;
    for (uint32_t i = 0; i < catalog->views_by_id_count; i++) {
        if (catalog->views_by_id[i] && catalog->views_by_id[i]->ttl_us > 0) return true;
    }
    return false;
}

uint32_t partition_sweep(struct partition *partition, const struct catalog *catalog, int64_t now_us,
                         uint32_t places_max) {
    const struct slabs *slabs = &partition->slabs;
    uint32_t swept = 0;
    if (!is_worth_it(partition, catalog) || !is_allowed(partition)) return 0;
    table_begin(&partition->table);
    for (uint32_t i = 0; i < places_max; i++) {
        if (partition->sweep_extent >= slabs->root->extents_count) partition->sweep_extent = 0;
        const struct extent *span = &slabs->extents[partition->sweep_extent];
        bool is_rows = slabs->root->extents_count > 0 && span->kind == SLAB_ROWS;
        if (!is_rows || partition->sweep_place >= span->fresh) {
            partition->sweep_extent += 1;
            partition->sweep_place = 0;
            continue;
        }
        const uint64_t *row =
            table_at(&partition->table, slabs_place(slabs, span, partition->sweep_place));
        const struct view *view = row_view(catalog, row[STORED_ROW_STATE]);
        if (view && is_due(view, row, now_us)) {
            if (row_sweep(partition, view, row) != FST_OK) break;
            swept += 1;
        }
        partition->sweep_place += 1;
    }
    table_settle(&partition->table);
    return swept;
}
