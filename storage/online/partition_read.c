#include <sched.h>

#include "storage/online/partition_parts.h"

enum {
    LINE_BYTES = 64,
    PREFETCH_BYTES_MAX = 1024, /* beyond, the processor fetches ahead by itself */
    TRIES_MAX = 1000,          /* before giving the processor to a writer that lost it */
};

struct lookup {
    struct index_probe probe;
    uint64_t place;
};

/* Goes from the bucket to the row and starts its cache misses. (Prefetching stays inside a function
 * that does more: gcc takes one that only prefetches for one without effect, and leaves out the
 * call.) */
static void lookup_advance(const struct partition_read *read, struct lookup *lookup) {
    lookup->place = index_next(&read->partition->index, &lookup->probe);
    if (lookup->place == 0) return;
    const uint8_t *row = table_at(&read->partition->table, lookup->place);
    uint32_t bytes =
        STORED_ROW_HEADER_BYTES + ROW_KEY_OFFSET + read->key_bytes_fixed + read->body_bytes_max;
    if (bytes > PREFETCH_BYTES_MAX) bytes = PREFETCH_BYTES_MAX;
    const uint8_t *end = row + bytes;
    for (const uint8_t *at = row; at < end; at += LINE_BYTES) __builtin_prefetch(at);
    __builtin_prefetch(end - 1);
}

static void answer_put(struct partition_read *read, const struct stored_row_read *row) {
    read->revision = stored_revision(row->state);
    read->is_deleted = read->revision == VIEW_REVISION_DELETED;
    read->is_evicted = read->revision == VIEW_REVISION_EVICTED;
    read->is_found = read->revision < VIEW_REVISION_EVICTED;
    read->was_used = row->lsn_word & STORED_ROW_USED;
    read->lsn = stored_lsn(row->lsn_word);
    read->event_us = row->event_us;
    read->created_us = row->created_us;
    read->body_bytes = row->body_bytes;
}

/* Follows the probe to the row. False if something changed under way and the lookup has to start
 * anew. */
static bool lookup_finish(struct partition_read *read, struct lookup *lookup) {
    const struct partition *partition = read->partition;
    struct stored_row_read row = {
        .base = partition->table.base,
        .view_id = read->view_id,
        .key_bytes_fixed = read->key_bytes_fixed,
        .key = read->key,
        .copy = read->copy,
        .body_bytes_max = read->body_bytes_max,
    };
    for (; lookup->place; lookup->place = index_next(&partition->index, &lookup->probe)) {
        uint64_t *place = table_at(&partition->table, lookup->place);
        switch (stored_row_read(place, &row)) {
        case STORED_ROW_SAME:
            answer_put(read, &row);
            if (read->wants_mark && !read->was_used) stored_row_use(place);
            return true;
        case STORED_ROW_CHANGED:
            return false;
        case STORED_ROW_OTHER:
            break;
        }
    }
    return index_is_settled(&partition->index, &lookup->probe);
}

static void lookup_repeat(struct partition_read *read, struct lookup *lookup) {
    const struct partition *partition = read->partition;
    uint32_t tries = 0;
    do {
        if (++tries % TRIES_MAX == 0) sched_yield();
        index_begin(&partition->index, &lookup->probe, read->hash, read->view_id);
        lookup->place = index_next(&partition->index, &lookup->probe);
    } while (!lookup_finish(read, lookup));
}

static void window_read(struct partition_read *reads, uint32_t count) {
    struct lookup lookups[PARTITION_READ_WINDOW];
    for (uint32_t i = 0; i < count; i++) {
        index_begin(&reads[i].partition->index, &lookups[i].probe, reads[i].hash, reads[i].view_id);
    }
    for (uint32_t i = 0; i < count; i++) lookup_advance(&reads[i], &lookups[i]);
    for (uint32_t i = 0; i < count; i++) {
        reads[i].is_found = false;
        reads[i].is_deleted = false;
        reads[i].is_evicted = false;
        reads[i].body_bytes = 0;
        if (!lookup_finish(&reads[i], &lookups[i])) lookup_repeat(&reads[i], &lookups[i]);
    }
}

void partition_read_many(struct partition_read *reads, uint32_t reads_count) {
    for (uint32_t first = 0; first < reads_count; first += PARTITION_READ_WINDOW) {
        uint32_t left = reads_count - first;
        window_read(reads + first, left < PARTITION_READ_WINDOW ? left : PARTITION_READ_WINDOW);
    }
}

bool partition_has(const struct partition *partition, const struct catalog *catalog,
                   uint32_t view_id, struct bytes key) {
    bool is_known = view_id < catalog->views_by_id_count && catalog->views_by_id[view_id];
    if (!is_known || key.bytes > KEY_BYTES_MAX) return false;
    const struct view *view = catalog->views_by_id[view_id];
    uint32_t key_bytes = view->bare.key_bytes;
    if (key_bytes > 0 && key.bytes != key_bytes) return false;
    struct partition_read read = {
        .partition = partition,
        .key = key,
        .hash = partition_hash(&partition->options.secret, view->entity->id, key),
        .view_id = view_id,
        .key_bytes_fixed = key_bytes,
    };
    partition_read_many(&read, 1);
    return read.is_found || read.is_deleted || read.is_evicted;
}

struct bytes partition_value(const struct partition *partition, uint64_t cell) {
    uint32_t bytes = stored_cell_bytes(cell);
    if (bytes == 0) return (struct bytes){0};
    return (struct bytes){.data = table_at(&partition->table, stored_cell_place(cell)),
                          .bytes = bytes};
}
