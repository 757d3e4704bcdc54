#include "query/get.h"

#include <stdlib.h>

#include "base/assert.h"

static_assert((int)FEATURES_MAX <= (int)GET_READS_MAX, "all groups of one key fit into one batch");

enum fst_status get_batch_init(struct get_batch *batch, const struct get_store *store) {
    *batch = (struct get_batch){
        .store = *store,
        .reads = calloc(GET_READS_MAX, sizeof(struct partition_read)),
        .targets = calloc(GET_READS_MAX, sizeof(struct get_target)),
        .scratch = aligned_alloc(64, GET_SCRATCH_BYTES),
        .converted = aligned_alloc(64, GET_CONVERTED_BYTES),
    };
    if (batch->reads && batch->targets && batch->scratch && batch->converted) return FST_OK;
    get_batch_deinit(batch);
    return FST_NO_MEMORY;
}

void get_batch_deinit(struct get_batch *batch) {
    free(batch->reads);
    free(batch->targets);
    free(batch->scratch);
    free(batch->converted);
    *batch = (struct get_batch){0};
}

enum fst_status get_keys_check(const struct read_plan *plan, struct bytes keys,
                               uint32_t keys_count) {
    struct reader reader = reader_of(keys.data, keys.bytes);
    if (plan->key_bytes_fixed > 0 && keys.bytes != (size_t)plan->key_bytes_fixed * keys_count) {
        return FST_INVALID;
    }
    for (uint32_t i = 0; i < keys_count; i++) {
        struct bytes key = key_read(plan->key_types, plan->key_columns_count, &reader);
        if (reader.failed) return FST_INVALID;
        if (key_check(plan->key_types, plan->key_columns_count, key) != FST_OK) return FST_INVALID;
    }
    return reader_is_done(&reader) ? FST_OK : FST_INVALID;
}

/* Scratch that one key may need at the most: joined keys and copies. */
static size_t key_scratch_bytes(const struct read_plan *plan, enum reply_shape shape) {
    size_t bytes = (size_t)plan->entities_count * (KEY_BYTES_MAX + 16);
    for (uint32_t g = 0; g < plan->groups_count; g++) {
        size_t stored = bytes_align(plan->groups[g].stored_bytes_max, 16) + 16;
        if (shape != REPLY_ROWS || !plan->groups[g].is_whole) bytes += stored;
    }
    return bytes + 64;
}

/* Rows decide for all shapes: what other shapes need beyond is the bodies of whole groups, which
 * together are not larger than a row, but for what aligns them. */
static_assert(GET_KEY_SCRATCH_BYTES_MAX + GET_ROW_BYTES_MAX + FEATURES_MAX * 32 <=
                  GET_SCRATCH_BYTES,
              "scratch for one key is enough, whatever the shape");

enum fst_status get_plan_check(const struct read_plan *plan, struct fst_error *error) {
    if (plan->row_bytes > GET_ROW_BYTES_MAX ||
        key_scratch_bytes(plan, REPLY_ROWS) > GET_KEY_SCRATCH_BYTES_MAX) {
        return fst_error_set(error, FST_TOO_LARGE,
                             "expected features of at most %d bytes per key, found %u",
                             GET_ROW_BYTES_MAX, plan->row_bytes);
    }
    return FST_OK;
}

static void *scratch_get(struct get_batch *batch, size_t bytes) {
    size_t at = bytes_align(batch->scratch_used, 16);
    FST_ASSERT(at + bytes <= GET_SCRATCH_BYTES);
    batch->scratch_used = at + bytes;
    return batch->scratch + at;
}

/* ---- finishing one group ---- */

/* A body of this revision in the layout of the current one. */
static const uint8_t *body_convert(struct get_batch *batch, const struct view *view,
                                   uint16_t revision, const uint8_t *body) {
    if (revision + 1u == view->revisions_count) return body;
    FST_ASSERT(revision < view->revisions_count);
    const struct row_body *current = &view_current(view)->layout.body;
    FST_ASSERT(current->bytes <= GET_CONVERTED_BYTES);
    row_convert(&view->revisions[revision].layout.body, body, current, batch->converted);
    return batch->converted;
}

/* The request cannot be answered; the first reason counts. */
static void request_void(struct get_batch *batch, struct get_request *request,
                         enum fst_status status, const struct warm_row *fault) {
    batch->has_void = true;
    if (request->status != FST_OK || status == FST_OK) return;
    request->status = status;
    request->fault = fault;
}

/* A row that was used before comes back, and one of a view that evicts no more. `found` is what the
 * request brought along for it, or NULL: its own earlier read is not counted as use. */
static void evicted_want(struct get_batch *batch, const struct partition_read *read,
                         const struct get_target *target, const struct warm_row *found) {
    struct get_request *request = target->request;
    uint32_t partitions_count = batch->store.partitions_count;
    if (request->wanted_status != FST_OK) return;
    bool comes_back = read->was_used || !target->group->view->evicts;
    struct warm_want want = {
        .key = target->key,
        .group = (uint32_t)(target->group - request->reply.plan->groups),
        .view_id = read->view_id,
        .partition = (uint16_t)hash_partition(read->key.data, read->key.bytes, partitions_count),
        .comes_back = found ? found->want.comes_back : comes_back,
        .lsn = read->lsn,
        .name = read->key,
    };
    request->wanted_status = warm_rows_want(&request->wanted, &want);
}

/* Takes the row in hand for one that is evicted; false if the request has no answer. While the row
 * that was asked for is the one evicted, LMDB has it: where it had not, something is damaged. */
static bool evicted_take(struct get_batch *batch, const struct partition_read *read,
                         const struct get_target *target, struct reply_row *row) {
    struct get_request *request = target->request;
    const struct view *view = target->group->view;
    uint32_t group = (uint32_t)(target->group - request->reply.plan->groups);
    const struct warm_row *found =
        request->in_hand ? warm_rows_find(request->in_hand, target->key, group) : NULL;
    evicted_want(batch, read, target, found);
    if (!found || found->want.view_id != view->id || found->want.lsn != read->lsn) {
        request->is_missing = true;
        request_void(batch, request, FST_OK, NULL);
        return false;
    }
    if (found->status != FST_OK || !warm_row_fits(found, view)) {
        bool is_damaged = found->status == FST_OK || found->status == FST_NOT_FOUND;
        request_void(batch, request, is_damaged ? FST_CORRUPT : found->status, found);
        return false;
    }
    const struct row_layout *layout = &view->revisions[found->revision].layout;
    row->body = body_convert(batch, view, found->revision, found->data + layout->body_offset);
    row->heap = found->data + found->image_bytes;
    return true;
}

static void group_finish(struct get_batch *batch, const struct partition_read *read,
                         const struct get_target *target, int64_t now_us) {
    struct get_request *request = target->request;
    int64_t as_of_us = request->as_of_us == GET_NOW ? now_us : request->as_of_us;
    const struct view *view = target->group->view;
    struct reply_row row = {.status = FST_NOT_FOUND};
    if ((read->is_found || read->is_evicted) && read->event_us <= as_of_us) {
        bool is_expired = view->ttl_us > 0 && read->event_us < as_of_us - view->ttl_us;
        row.status = is_expired ? FST_EXPIRED : FST_OK;
        row.event_us = read->event_us;
        row.created_us = read->created_us;
        row.lsn = read->lsn;
        row.partition = read->partition;
        bool has_values = !is_expired || request->serves_expired;
        if (has_values && read->is_evicted) {
            if (!evicted_take(batch, read, target, &row)) return;
        } else if (has_values) {
            row.body = body_convert(batch, view, read->revision, read->copy);
        }
        bool is_first = !request->in_hand || (has_values && read->is_evicted);
        *request->rows_found_total += is_first;
    }
    reply_put(&request->reply, target->group, target->key, &row);
}

void get_batch_run(struct get_batch *batch) {
    if (batch->reads_count == 0) return;
    partition_read_many(batch->reads, batch->reads_count);
    int64_t now_us = io_now_us(batch->store.io);
    for (uint32_t i = 0; i < batch->reads_count; i++) {
        group_finish(batch, &batch->reads[i], &batch->targets[i], now_us);
    }
    batch->reads_count = 0;
    batch->scratch_used = 0;
}

/* ---- putting ---- */

/* The canonical key of one entity out of the request's key, whose columns are at `columns`. */
static struct bytes entity_key(struct get_batch *batch, const struct read_plan *plan,
                               const struct plan_entity *entity, struct bytes key) {
    if (entity->is_whole_key) return key;
    struct bytes columns[PLAN_KEY_COLUMNS_MAX];
    struct reader reader = reader_of(key.data, key.bytes);
    for (uint32_t i = 0; i < plan->key_columns_count; i++) {
        columns[i] = key_read(&plan->key_types[i], 1, &reader);
    }
    uint32_t count = entity->entity->keys_count;
    if (count == 1) return columns[entity->key_columns[0]];
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) bytes += columns[entity->key_columns[i]].bytes;
    uint8_t *joined = scratch_get(batch, bytes);
    uint8_t *at = joined;
    for (uint32_t i = 0; i < count; i++) {
        struct bytes column = columns[entity->key_columns[i]];
        memcpy(at, column.data, column.bytes);
        at += column.bytes;
    }
    return (struct bytes){.data = joined, .bytes = bytes};
}

/* Where the rows of one entity of a request's key are. */
struct entity_place {
    const struct partition *partition;
    struct bytes key;
    uint64_t hash;
};

static void read_put(struct get_batch *batch, struct get_request *request, uint32_t number,
                     const struct plan_group *group, const struct entity_place *place) {
    uint8_t *room = reply_body_room(&request->reply, group, number);
    struct partition_read *read = &batch->reads[batch->reads_count];
    read->partition = place->partition; /* One by one: its answers need no clearing. */
    read->key = place->key;
    read->hash = place->hash;
    read->key_bytes_fixed = request->reply.plan->entities[group->entity].key_bytes_fixed;
    read->view_id = group->view->id;
    read->body_bytes_max = group->stored_bytes_max;
    read->wants_mark = group->view->evicts;
    read->copy = room ? room : scratch_get(batch, group->stored_bytes_max);
    batch->targets[batch->reads_count] =
        (struct get_target){.request = request, .group = group, .key = number};
    batch->reads_count += 1;
}

static void key_reads_put(struct get_batch *batch, struct get_request *request, uint32_t number,
                          struct bytes key) {
    const struct read_plan *plan = request->reply.plan;
    struct entity_place places[PLAN_ENTITIES_MAX];
    for (uint32_t e = 0; e < plan->entities_count; e++) {
        const struct plan_entity *entity = &plan->entities[e];
        struct bytes own = entity_key(batch, plan, entity, key);
        uint32_t p = hash_partition(own.data, own.bytes, batch->store.partitions_count);
        places[e] = (struct entity_place){
            .partition = batch->store.partitions[p],
            .key = own,
            .hash = partition_hash(&batch->store.secret, entity->entity->id, own),
        };
    }
    for (uint32_t g = 0; g < plan->groups_count; g++) {
        const struct plan_group *group = &plan->groups[g];
        read_put(batch, request, number, group, &places[group->entity]);
    }
}

void get_batch_put(struct get_batch *batch, struct get_request *request) {
    const struct read_plan *plan = request->reply.plan;
    FST_ASSERT(plan->has_references == (request->reply.heap != NULL));
    size_t scratch_bytes = key_scratch_bytes(plan, request->reply.shape);
    FST_ASSERT(scratch_bytes <= GET_SCRATCH_BYTES);
    struct reader keys = reader_of(request->keys, request->keys_bytes);
    reply_begin(&request->reply);
    for (uint32_t i = 0; i < request->reply.keys_count; i++) {
        if (batch->reads_count + plan->groups_count > GET_READS_MAX ||
            batch->scratch_used + scratch_bytes > GET_SCRATCH_BYTES) {
            get_batch_run(batch);
        }
        struct bytes key = key_read(plan->key_types, plan->key_columns_count, &keys);
        FST_ASSERT(!keys.failed);
        key_reads_put(batch, request, i, key);
    }
}
