#include <stdlib.h>

#include "base/assert.h"
#include "storage/online/partition_parts.h"

enum {
    INDEX_ROW_BYTES = 21,  /* at the most, while segments are uniformly full */
    APPLY_WINDOW = 16,     /* rows whose lines are fetched ahead */
    RECLAIM_PLACES = 4096, /* a call */
    SPLIT_ROWS = 16,       /* new rows for one segment that splits: 67 at the fastest, uniform */
    REFILL_ROWS = 128,     /* new rows until a segment that has split splits again: 190 */
    SPLITS_MIN = 4,        /* however few rows are in flight */
    WASTE_MAX_PART = 15,   /* spans take at most this part more than their places */
    LINE_BYTES = 64,
    PREFETCH_BYTES_MAX = 512, /* beyond, the processor fetches ahead by itself */
};

/* What a record may take at the worst. A pure function of view and body, so that it is given back
 * exactly. */
struct claim {
    uint64_t bytes;
    uint64_t places;
    uint64_t rows;
};

static struct log_rows_header rows_header(const uint8_t *body) {
    struct log_rows_header header;
    memcpy(&header, body, sizeof header);
    return header;
}

/* A row may have more values than the one that takes its place: as many as the newest revision. */
static uint32_t values_max(const struct view *view, const struct row_layout *layout) {
    uint32_t newest = view_current(view)->layout.body.references_count;
    uint32_t values = layout->body.references_count;
    return (values > newest ? values : newest) + (layout->key_bytes == 0);
}

static struct claim claim_of(const struct view *view, const struct log_rows_header *rows) {
    const struct row_layout *layout = view_layout(view, rows->revision);
    uint64_t values = layout->body.references_count + (layout->key_bytes == 0);
    uint64_t row_bytes = slab_place_bytes(SLAB_ROWS, row_stored_bytes(layout)) + INDEX_ROW_BYTES;
    return (struct claim){
        .bytes = rows->rows_count * (row_bytes + values * TABLE_UNIT_BYTES) + rows->heap_bytes +
                 rows->heap_bytes / 8,
        .places = rows->rows_count * (values_max(view, layout) + UINT64_C(1)),
        .rows = rows->rows_count,
    };
}

/* ---- admission at the limit ---- */

/* Places needed, by size in units. */
struct need {
    uint64_t in_flight; /* rows that may get a slot of the index first, and these; at the most */
    uint32_t rows;
    uint32_t rows_new;   /* of these, of keys that have no row */
    uint32_t pages;      /* of the index: rows for whose key it may have no slot without */
    uint32_t values_max; /* largest size */
    uint32_t values[SLAB_CLASSES];
};

static void need_put_value(struct need *need, const uint8_t *cell) {
    struct row_reference reference;
    memcpy(&reference, cell, sizeof reference);
    if (reference.bytes == 0) return;
    uint32_t units = slab_place_bytes(SLAB_VALUES, reference.bytes) / TABLE_UNIT_BYTES;
    need->values[units] += 1;
    if (units > need->values_max) need->values_max = units;
}

static void need_put_row(struct partition *partition, const struct view *view,
                         const struct row_layout *layout, const uint8_t *image, const uint8_t *heap,
                         struct need *need) {
    struct index_probe probe;
    uint64_t place = partition_find_row(partition, view, row_key(layout, image, heap), &probe);
    const uint64_t *row = table_at(&partition->table, place);
    bool is_new = place == 0;
    bool fits = !is_new && stored_words(stored_lsn_word(row)) == row_stored_bytes(layout) / 8;
    if (!fits) need->rows += 1;
    if (is_new) need->rows_new += 1;
    if (is_new && index_room(&probe) < need->in_flight) need->pages += 1;
    if (is_new && layout->key_bytes == 0) need_put_value(need, image + ROW_KEY_OFFSET);
    if (layout->body.references_count == 0) return;
    const uint8_t *body = image + layout->body_offset;
    for (uint32_t c = 0; c < layout->body.columns_count; c++) {
        const struct row_column *column = &layout->body.columns[c];
        if (type_fixed_bytes(column->type) != 0 || row_is_null(body, c)) continue;
        need_put_value(need, body + column->offset);
    }
}

/* Whether `places` of a size are free beyond what is in flight; spans that are missing come from
 * `pool`. */
static bool places_fit(const struct partition *partition, enum slab_kind kind, uint32_t bytes,
                       uint64_t places, uint64_t *pool_extents) {
    if (places == 0) return true;
    uint64_t wanted = places + partition->slabs.promised_places;
    uint64_t free = slabs_free_places(&partition->slabs, kind, bytes);
    if (free >= wanted) return true;
    uint32_t place_bytes = slab_place_bytes(kind, bytes);
    uint32_t span = slab_span_extents(place_bytes);
    uint32_t span_places = slab_span_places(place_bytes);
    uint64_t extents = (wanted - free + span_places - 1) / span_places * span;
    if (span != 1 || extents > *pool_extents) return false;
    *pool_extents -= extents;
    return true;
}

/* Whether there are free places for all of it. What it takes of the pool is promised. */
static bool need_fits(struct partition *partition, const struct row_layout *layout,
                      const struct need *need) {
    uint64_t pool_extents = partition_pool_extents(partition);
    uint64_t before = pool_extents;
    bool fits =
        places_fit(partition, SLAB_ROWS, row_stored_bytes(layout), need->rows, &pool_extents) &&
        places_fit(partition, SLAB_INDEX, SLAB_SEGMENT_BYTES, need->pages, &pool_extents) &&
        (need->pages == 0 || index_reserve(&partition->index));
    for (uint32_t units = 1; fits && units <= need->values_max; units++) {
        fits = places_fit(partition, SLAB_VALUES, units * TABLE_UNIT_BYTES, need->values[units],
                          &pool_extents);
    }
    if (fits) partition->slabs.promised_extents += before - pool_extents;
    return fits;
}

/* Whether the rows fit into free places: the limit is reached, or nearly. */
static bool rows_fit(struct partition *partition, const struct view *view,
                     const struct log_rows_header *rows, const uint8_t *body) {
    const struct row_layout *layout = view_layout(view, rows->revision);
    const uint8_t *images = body + sizeof *rows;
    const uint8_t *heap = images + (size_t)rows->rows_count * layout->image_bytes;
    struct need need = {.in_flight = partition->slabs.promised_places + rows->rows_count};
    for (uint32_t i = 0; i < rows->rows_count; i++) {
        const uint8_t *image = images + (size_t)i * layout->image_bytes;
        need_put_row(partition, view, layout, image, heap, &need);
    }
    /* To delete gives back more than it takes: it goes beyond the limit for a while. */
    if (rows->revision == VIEW_REVISION_DELETED && need.rows_new == 0) return true;
    return need_fits(partition, layout, &need);
}

/* ---- admission ---- */

static void claim_give_back(struct partition *partition, struct claim claim) {
    if (claim.bytes > partition->flying_bytes) claim.bytes = partition->flying_bytes;
    if (claim.places > partition->slabs.promised_places)
        claim.places = partition->slabs.promised_places;
    if (claim.rows > partition->flying_rows) claim.rows = partition->flying_rows;
    partition->flying_bytes -= claim.bytes;
    partition->flying_rows -= claim.rows;
    partition->slabs.promised_places -= claim.places;
    atomic_fetch_sub(&partition->options.budget->used_bytes, claim.bytes);
}

/* Nothing is in flight. */
static void spare_clear(struct partition *partition) {
    partition->slabs.promised_extents = 0;
    if (partition->spare_extents == 0) return;
    partition->spare_extents = 0;
    memset(partition->opened, 0, sizeof partition->opened);
}

/* Counts the span that places of this size may open, unless there are places enough already. False
 * when there is no memory for what is kept of the size. */
static bool spare_put(struct partition *partition, enum slab_kind kind, uint32_t bytes,
                      uint64_t promised_places) {
    uint32_t place_bytes = slab_place_bytes(kind, bytes);
    uint32_t bit = (uint32_t)kind * SLAB_CLASSES + place_bytes / TABLE_UNIT_BYTES;
    if (partition->opened[bit / 8] >> (bit % 8) & 1) return true;
    if (!slabs_reserve_class(&partition->slabs, kind, bytes)) return false;
    if (slabs_free_places(&partition->slabs, kind, bytes) >= promised_places) return true;
    partition->opened[bit / 8] |= (uint8_t)(1u << (bit % 8));
    partition->spare_extents += slab_span_extents(place_bytes);
    return true;
}

static bool spare_put_value(struct partition *partition, const uint8_t *cell,
                            uint64_t promised_places) {
    struct row_reference reference;
    memcpy(&reference, cell, sizeof reference);
    if (reference.bytes == 0) return true;
    return spare_put(partition, SLAB_VALUES, reference.bytes, promised_places);
}

static bool spare_put_rows(struct partition *partition, const struct view *view,
                           const struct log_rows_header *rows, const uint8_t *body,
                           uint64_t promised_places) {
    const struct row_layout *layout = view_layout(view, rows->revision);
    bool has_room = spare_put(partition, SLAB_ROWS, row_stored_bytes(layout), promised_places);
    const uint8_t *image = body + sizeof *rows;
    uint32_t columns = layout->body.references_count > 0 ? layout->body.columns_count : 0;
    for (uint32_t i = 0; has_room && i < rows->rows_count; i++, image += layout->image_bytes) {
        if (layout->key_bytes == 0) {
            has_room = spare_put_value(partition, image + ROW_KEY_OFFSET, promised_places);
        }
        const uint8_t *values = image + layout->body_offset;
        for (uint32_t c = 0; has_room && c < columns; c++) {
            const struct row_column *column = &layout->body.columns[c];
            if (type_fixed_bytes(column->type) != 0 || row_is_null(values, c)) continue;
            has_room = spare_put_value(partition, values + column->offset, promised_places);
        }
    }
    return has_room;
}

/* Extents of the index segments that so many rows may need beyond those that are free. Segments
 * fill alike, so that they split in waves: many more than the rows take of them on average, but
 * each of those there are once, until it is full again. */
static uint64_t split_extents(const struct partition *partition, uint64_t rows) {
    uint64_t wave = rows / SPLIT_ROWS;
    uint64_t all = partition->index.root->segments_count + rows / REFILL_ROWS;
    uint64_t segments = (wave < all ? wave : all) + SPLITS_MIN;
    uint64_t free = slabs_free_places(&partition->slabs, SLAB_INDEX, SLAB_SEGMENT_BYTES);
    uint64_t missing = segments > free ? segments - free : 0;
    uint64_t span_places = slab_span_places(SLAB_SEGMENT_BYTES);
    return (missing + span_places - 1) / span_places * slab_span_extents(SLAB_SEGMENT_BYTES);
}

/* N places of a size, of which a span has p and f are free, open none if n <= f, and otherwise at
 * most 1 + n / p spans: the one is counted as spare, and the extents of all others together are at
 * most the bytes of all places, and what their ends waste. */
static bool claim_reserve(struct partition *partition, struct claim claim, uint64_t more_extents) {
    uint64_t taken_bytes = partition->flying_bytes + claim.bytes;
    taken_bytes += taken_bytes / WASTE_MAX_PART + 1;
    uint64_t extents = taken_bytes / TABLE_EXTENT_BYTES + partition->spare_extents + more_extents;
    extents += split_extents(partition, partition->flying_rows + claim.rows);
    return slabs_reserve(&partition->slabs, extents) && index_reserve(&partition->index);
}

static bool claim_fits(struct partition *partition, struct claim claim) {
    struct partition_budget *budget = partition->options.budget;
    if (atomic_load(&budget->used_bytes) + claim.bytes > budget->limit_bytes) return false;
    return claim_reserve(partition, claim, 0);
}

/* Near the limit: free places will do, or, for what is deleted, places beyond it. */
static bool rows_fit_in(struct partition *partition, const struct view *view,
                        const struct log_rows_header *rows, const uint8_t *body,
                        struct claim claim) {
    bool is_delete = rows->revision == VIEW_REVISION_DELETED;
    if (is_delete && !claim_reserve(partition, claim, 0)) return false;
    return rows_fit(partition, view, rows, body);
}

bool partition_can_free(struct partition *partition, const struct row_layout *layout) {
    return slabs_can_wait_beside(&partition->slabs, partition->slabs.promised_places,
                                 row_frees_max(layout));
}

bool partition_can_evict(struct partition *partition, const struct row_layout *layout) {
    if (!partition_can_free(partition, layout)) return false;
    return partition->slabs.promised_places == 0 || claim_reserve(partition, (struct claim){0}, 1);
}

bool partition_has_room(struct partition *partition, const struct partition_put *put) {
    const struct row_layout *layout = view_layout(put->view, put->revision);
    uint64_t promised_places = partition->slabs.promised_places;
    if (!partition_can_free(partition, layout)) return false;
    if (promised_places == 0) spare_clear(partition);
    uint64_t promised_extents = partition->slabs.promised_extents;
    struct need need = {.in_flight = promised_places + 1};
    need_put_row(partition, put->view, layout, put->image, put->heap, &need);
    bool fits = need_fits(partition, layout, &need);
    partition->slabs.promised_extents = promised_extents;
    if (fits) return true;
    const struct partition_budget *budget = partition->options.budget;
    uint64_t extents = slab_span_extents(slab_place_bytes(SLAB_ROWS, row_stored_bytes(layout)));
    for (uint32_t units = 1; units <= need.values_max; units++) {
        if (need.values[units] > 0) extents += slab_span_extents(units * TABLE_UNIT_BYTES);
    }
    uint64_t bytes = extents * TABLE_EXTENT_BYTES;
    return atomic_load(&budget->used_bytes) + bytes <= budget->limit_bytes &&
           claim_reserve(partition, (struct claim){0}, extents);
}

static enum partition_admission refuse(struct partition *partition, const struct view *view,
                                       const struct log_rows_header *rows) {
    partition->row_bytes = row_stored_bytes(view_layout(view, rows->revision));
    partition->is_refusing = true;
    partition->hand.is_resting = false;
    return PARTITION_FULL;
}

enum partition_admission partition_admit(struct partition *partition, const struct view *view,
                                         const uint8_t *body) {
    struct log_rows_header rows = rows_header(body);
    bool has_sequence = rows.client_id != 0 && rows.sequence != 0;
    if (has_sequence && client_table_has(&partition->clients, rows.client_id, rows.sequence)) {
        return PARTITION_REPEATED;
    }
    struct claim claim = claim_of(view, &rows);
    uint64_t promised_places = partition->slabs.promised_places + claim.places;
    if (slabs_is_waiting_full(&partition->slabs, slabs_waiting_max(promised_places))) {
        return slabs_waiting_max(claim.places) > TABLE_WAITING_MAX ? PARTITION_TOO_LARGE
                                                                   : PARTITION_BUSY;
    }
    if (partition->slabs.promised_places == 0) spare_clear(partition);
    if (!slabs_can_wait_beside(&partition->slabs, promised_places, 0) ||
        !spare_put_rows(partition, view, &rows, body, promised_places)) {
        return refuse(partition, view, &rows);
    }
    if (!claim_fits(partition, claim) && !rows_fit_in(partition, view, &rows, body, claim)) {
        return refuse(partition, view, &rows);
    }
    partition->is_refusing = false;
    atomic_fetch_add(&partition->options.budget->used_bytes, claim.bytes);
    partition->flying_bytes += claim.bytes;
    partition->flying_rows += claim.rows;
    partition->slabs.promised_places = promised_places;
    if (!has_sequence) return PARTITION_ADMIT;
    table_begin(&partition->table);
    client_table_admit(&partition->clients, rows.client_id, rows.sequence);
    table_settle(&partition->table);
    return PARTITION_ADMIT;
}

void partition_release(struct partition *partition, const struct view *view, const uint8_t *body) {
    struct log_rows_header rows = rows_header(body);
    claim_give_back(partition, claim_of(view, &rows));
    if (rows.client_id == 0 || rows.sequence == 0) return;
    table_begin(&partition->table);
    client_table_release(&partition->clients, rows.client_id, rows.sequence);
    table_settle(&partition->table);
}

/* ---- applying ---- */

static void row_look_up(const struct partition *partition, const struct view *view,
                        struct bytes key, struct index_probe *probe) {
    uint64_t hash = partition_hash(&partition->options.secret, view->entity->id, key);
    index_begin(&partition->index, probe, hash, view->id);
}

/* Starts the misses of the row that the probe leads to. */
static void row_prefetch(const struct partition *partition, const struct row_layout *layout,
                         struct index_probe *probe) {
    uint64_t place = index_next(&partition->index, probe);
    if (!place) return;
    const uint8_t *row = table_at(&partition->table, place);
    for (uint32_t at = 0; at < layout->image_bytes && at < PREFETCH_BYTES_MAX; at += LINE_BYTES) {
        __builtin_prefetch(row + at, 1);
    }
}

/* Bucket lines first, then the lines of each row. */
static void rows_prefetch(const struct partition *partition, const struct view *view,
                          const struct row_layout *layout, const uint8_t *images,
                          const uint8_t *heap, uint32_t count) {
    struct index_probe probes[APPLY_WINDOW];
    for (uint32_t i = 0; i < count; i++) {
        struct bytes key = row_key(layout, images + (size_t)i * layout->image_bytes, heap);
        row_look_up(partition, view, key, &probes[i]);
    }
    for (uint32_t i = 0; i < count; i++) row_prefetch(partition, layout, &probes[i]);
}

static const struct row_layout *record_layout(const struct partition_record *record) {
    return view_layout(record->view, rows_header(record->body).revision);
}

void partition_prefetch(const struct partition_record *records, uint32_t records_count) {
    struct index_probe probes[PARTITION_PREFETCH_MAX];
    FST_ASSERT(records_count <= PARTITION_PREFETCH_MAX);
    for (uint32_t i = 0; i < records_count; i++) {
        struct log_rows_header rows = rows_header(records[i].body);
        const struct row_layout *layout = record_layout(&records[i]);
        const uint8_t *images = records[i].body + sizeof rows;
        const uint8_t *heap = images + (size_t)rows.rows_count * layout->image_bytes;
        row_look_up(records[i].partition, records[i].view, row_key(layout, images, heap),
                    &probes[i]);
    }
    for (uint32_t i = 0; i < records_count; i++) {
        row_prefetch(records[i].partition, record_layout(&records[i]), &probes[i]);
    }
}

static enum fst_status rows_apply(struct partition *partition, const struct view *view,
                                  const struct log_rows_header *rows, uint64_t lsn,
                                  const uint8_t *images, uint8_t *statuses_out) {
    const struct row_layout *layout = view_layout(view, rows->revision);
    const uint8_t *heap = images + (size_t)rows->rows_count * layout->image_bytes;
    struct partition_put put = {
        .view = view, .revision = rows->revision, .heap = heap, .is_used = true};
    for (uint32_t i = 0; i < rows->rows_count; i++) {
        put.image = images + (size_t)i * layout->image_bytes;
        put.lsn = lsn + i;
        uint32_t left = rows->rows_count - i;
        if (i % APPLY_WINDOW == 0 && left > 1) {
            uint32_t count = left < APPLY_WINDOW ? left : APPLY_WINDOW;
            rows_prefetch(partition, view, layout, put.image, heap, count);
        }
        enum fst_status status = partition_put_row(partition, &put);
        if (status != FST_OK && status != FST_STALE) return status;
        if (statuses_out) statuses_out[i] = (uint8_t)status;
    }
    return FST_OK;
}

static void lsn_raise(uint64_t *word, uint64_t lsn) {
    if (lsn > *word) table_word_store(word, lsn);
}

enum fst_status partition_apply(struct partition *partition, const struct view *view,
                                const struct log_record_header *header, const uint8_t *body,
                                bool is_durable, uint8_t *statuses_out) {
    struct log_rows_header rows = rows_header(body);
    bool is_in_place = is_durable && (header->flags & LOG_RECORD_APPLIED);
    FST_ASSERT(rows.view_id == view->id);
    FST_ASSERT(view_has_revision(view, rows.revision));
    enum fst_status status = FST_OK;
    table_begin(&partition->table);
    if (!is_in_place) {
        status = rows_apply(partition, view, &rows, header->lsn, body + sizeof rows, statuses_out);
        claim_give_back(partition, claim_of(view, &rows));
    }
    if (status == FST_OK) {
        struct table_header *table = partition->table.header;
        uint64_t last_lsn = header->lsn + rows.rows_count - 1;
        if (is_durable && rows.client_id != 0 && rows.sequence != 0) {
            client_table_apply(&partition->clients, rows.client_id, rows.sequence);
        }
        /* Last: a checkpoint takes it for a promise that all else is there. */
        lsn_raise(is_durable ? &table->applied_lsn : &table->memory_lsn, last_lsn);
    }
    table_settle(&partition->table);
    return status;
}

enum fst_status partition_remove(struct partition *partition, const struct view *view,
                                 struct bytes key) {
    table_begin(&partition->table);
    enum fst_status status = partition_remove_row(partition, view, key);
    table_settle(&partition->table);
    return status;
}

enum fst_status partition_restore_row(struct partition *partition, const struct view *view,
                                      uint16_t revision, uint64_t lsn, const uint8_t *image,
                                      const uint8_t *heap) {
    struct partition_put put = {
        .view = view, .revision = revision, .lsn = lsn, .image = image, .heap = heap};
    FST_ASSERT(view_has_revision(view, revision));
    table_begin(&partition->table);
    enum fst_status status = partition_put_row(partition, &put);
    table_settle(&partition->table);
    return status == FST_STALE ? FST_OK : status;
}

enum fst_status partition_restore_client(struct partition *partition, uint64_t client_id,
                                         uint64_t sequence, uint64_t recent) {
    if (client_id == 0) return FST_INVALID;
    const struct client_window applied = {.newest = sequence, .recent = recent};
    table_begin(&partition->table);
    client_table_restore(&partition->clients, client_id, &applied);
    table_settle(&partition->table);
    return FST_OK;
}

void partition_restore_kept(struct partition *partition, uint64_t lsn) {
    table_begin(&partition->table);
    table_word_store(&partition->table.header->kept_lsn, lsn);
    table_settle(&partition->table);
}

void partition_restore_lsn(struct partition *partition, uint64_t applied_lsn) {
    table_begin(&partition->table);
    lsn_raise(&partition->table.header->applied_lsn, applied_lsn);
    table_settle(&partition->table);
}

void partition_reclaim(struct partition *partition) {
    if (!slabs_is_waiting(&partition->slabs)) return;
    table_begin(&partition->table);
    slabs_reclaim(&partition->slabs, RECLAIM_PLACES);
    table_settle(&partition->table);
}

/* ---- bodies from a disk ---- */

enum fst_status log_rows_check(const struct view *view, uint8_t type, const uint8_t *body,
                               size_t body_bytes) {
    if (body_bytes < sizeof(struct log_rows_header)) return FST_CORRUPT;
    struct log_rows_header rows = rows_header(body);
    if (rows.view_id != view->id || !view_has_revision(view, rows.revision)) return FST_CORRUPT;
    bool is_delete = rows.revision == VIEW_REVISION_DELETED;
    if (is_delete != (type == LOG_RECORD_DELETES)) return FST_CORRUPT;
    if (rows.reserved != 0 || rows.rows_count == 0) return FST_CORRUPT;
    const struct row_layout *layout = view_layout(view, rows.revision);
    uint64_t images_bytes = (uint64_t)rows.rows_count * layout->image_bytes;
    uint64_t bytes = sizeof rows + images_bytes + rows.heap_bytes;
    if (bytes_align(bytes, 8) != body_bytes) return FST_CORRUPT;
    const uint8_t *images = body + sizeof rows;
    for (uint32_t i = 0; i < rows.rows_count; i++) {
        const uint8_t *image = images + (size_t)i * layout->image_bytes;
        FST_TRY(row_check(layout, image, images + images_bytes, rows.heap_bytes));
    }
    return FST_OK;
}
