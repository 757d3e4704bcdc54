#include "shard/write_request.h"

#include "base/assert.h"
#include "shard/shard.h"
#include "storage/recovery/identity.h"

enum { LARGEST_BYTES = 24 << 20 };

/* Mostly small ones, and two of the largest a frame can bring. */
static const struct buffers_size buffer_sizes[] = {
    {2 << 10, 8192}, {16 << 10, 1024}, {256 << 10, 64}, {2 << 20, 8}, {LARGEST_BYTES, 2},
};
enum { BUFFER_SIZES = sizeof buffer_sizes / sizeof buffer_sizes[0] };

/* The rest of a batch: itself; per part its place, header and padding; per row number and status.
 */
enum {
    PARTS_BYTES = PARTITIONS_MAX *
                  ((int)sizeof(struct write_part) + (int)sizeof(struct log_rows_header) + 3 * 8),
    BATCH_BYTES = (int)sizeof(struct write_batch) + PARTS_BYTES + 5 * ROW_SET_ROWS_MAX,
};
static_assert(ENGINE_WRITE_BYTES_MAX + BATCH_BYTES <= LARGEST_BYTES,
              "what has no buffer now may have one later");

enum fst_status write_buffers_init(struct buffers *buffers) {
    return buffers_init(buffers, buffer_sizes, BUFFER_SIZES);
}

size_t write_buffers_bytes(void) {
    size_t bytes = 0;
    for (int i = 0; i < BUFFER_SIZES; i++) bytes += buffer_sizes[i].bytes * buffer_sizes[i].count;
    return bytes;
}

/* What a batch takes: itself, and per part its body, statuses and row numbers. */
struct batch_size {
    uint32_t parts_count;
    size_t bytes;
};

static size_t part_bytes(const struct row_set *set, const struct row_part *part) {
    return row_part_body_bytes(set, part) + bytes_align(part->rows_count, 8) +
           bytes_align(part->rows_count * sizeof(uint32_t), 8);
}

static void part_fill(struct write_part *out, const struct row_set *set,
                      const struct row_split *split, const struct row_part *part,
                      const struct write_batch *batch, uint8_t **at) {
    size_t body_bytes = row_part_body_bytes(set, part);
    row_part_write_body(set, split, part, batch->client_id, batch->sequence, *at);
    out->body = *at;
    *at += body_bytes;
    uint32_t *rows = (uint32_t *)(void *)*at;
    memcpy(rows, split->order + part->first, part->rows_count * sizeof *rows);
    *at += bytes_align(part->rows_count * sizeof(uint32_t), 8);
    out->statuses = *at;
    *at += bytes_align(part->rows_count, 8);
    out->rows = rows;
    out->partition = part->partition;
    out->rows_count = part->rows_count;
    out->heap_bytes = (uint32_t)bytes_align(part->heap_bytes, 8);
    out->body_bytes = (uint32_t)body_bytes;
}

static struct write_batch *batch_create(const struct write_source *source,
                                        struct write_request *request, const struct row_set *set,
                                        const struct row_split *split, uint32_t owner) {
    struct batch_size size = {.bytes = sizeof(struct write_batch)};
    for (uint32_t p = 0; p < split->parts_count; p++) {
        if (engine_owner(source->engine, split->parts[p].partition) != owner) continue;
        size.parts_count += 1;
        size.bytes += sizeof(struct write_part) + part_bytes(set, &split->parts[p]);
    }
    struct write_batch *batch = buffers_get(source->buffers, size.bytes);
    if (!batch) return NULL;
    *batch = (struct write_batch){
        .message.kind = MESSAGE_WRITE,
        .request = request,
        .view_id = set->view->id,
        .is_durable = request->origin.is_durable,
        .client_id = request->origin.client_id,
        .sequence = request->origin.sequence,
    };
    uint8_t *at = (uint8_t *)&batch->parts[size.parts_count];
    for (uint32_t p = 0; p < split->parts_count; p++) {
        const struct row_part *part = &split->parts[p];
        if (engine_owner(source->engine, part->partition) != owner) continue;
        part_fill(&batch->parts[batch->parts_count++], set, split, part, batch, &at);
    }
    return batch;
}

static enum fst_status batches_create(const struct write_source *source,
                                      struct write_request *request, const struct row_set *set,
                                      const struct row_split *split,
                                      struct write_batches *batches) {
    bool is_wanted[ENGINE_SHARDS_MAX] = {false};
    for (uint32_t p = 0; p < split->parts_count; p++) {
        is_wanted[engine_owner(source->engine, split->parts[p].partition)] = true;
    }
    for (uint32_t owner = 0; owner < source->engine->shards_count; owner++) {
        if (!is_wanted[owner]) continue;
        struct write_batch *batch = batch_create(source, request, set, split, owner);
        if (!batch) return FST_OVERLOADED;
        batches->owners[batches->count] = owner;
        batches->batches[batches->count++] = batch;
    }
    return FST_OK;
}

bool write_request_has_room(const struct write_source *source, const struct view *view,
                            uint32_t rows_count) {
    size_t rows_bytes = (size_t)rows_count * view_current(view)->layout.image_bytes;
    if (rows_bytes > ENGINE_WRITE_BYTES_MAX) return true; /* That has an answer of its own. */
    /* One of the owners has as many rows as the others, at least. */
    return buffers_has(source->buffers, sizeof(struct write_request) + rows_count) &&
           buffers_has(source->buffers, rows_bytes / source->engine->shards_count);
}

enum fst_status write_request_create(const struct write_source *source,
                                     const struct write_origin *origin, struct row_set *set,
                                     int64_t now_us, struct write_request **request_out,
                                     struct write_batches *batches_out) {
    struct row_split split;
    size_t set_bytes = (size_t)set->rows_count * row_set_layout(set)->image_bytes;
    if (set_bytes + set->heap_bytes > ENGINE_WRITE_BYTES_MAX) return FST_TOO_LARGE;
    row_set_check_future(set, now_us);
    FST_TRY(
        row_split_init(&split, set->rows_count, source->engine->partitions_count, source->arena));
    row_set_split(set, source->engine->partitions_count, &split);
    struct write_request *request =
        buffers_get(source->buffers, sizeof(struct write_request) + set->rows_count);
    if (!request) return FST_OVERLOADED;
    *request = (struct write_request){.origin = *origin, .rows_count = set->rows_count};
    memcpy(request->statuses, set->statuses, set->rows_count);
    batches_out->count = 0;
    enum fst_status status = batches_create(source, request, set, &split, batches_out);
    if (status != FST_OK) {
        for (uint32_t i = 0; i < batches_out->count; i++) {
            buffers_put(source->buffers, batches_out->batches[i]);
        }
        buffers_put(source->buffers, request);
        return status;
    }
    request->batches_open = batches_out->count;
    *request_out = request;
    return FST_OK;
}

void write_batch_refuse(struct write_batch *batch, enum fst_status status) {
    for (uint32_t p = 0; p < batch->parts_count; p++) {
        memset(batch->parts[p].statuses, status, batch->parts[p].rows_count);
    }
}

bool write_request_merge(struct write_request *request, struct write_batch *batch,
                         struct buffers *buffers) {
    for (uint32_t p = 0; p < batch->parts_count; p++) {
        const struct write_part *part = &batch->parts[p];
        for (uint32_t r = 0; r < part->rows_count; r++) {
            FST_ASSERT(part->rows[r] < request->rows_count);
            request->statuses[part->rows[r]] = part->statuses[r];
        }
    }
    buffers_put(buffers, batch);
    FST_ASSERT(request->batches_open > 0);
    request->batches_open -= 1;
    return request->batches_open == 0;
}

uint32_t write_request_not_ok(const struct write_request *request) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->rows_count; i++) count += request->statuses[i] != FST_OK;
    return count;
}

/* ---- for a shard ---- */

/* The reply, if the connection is still there; then the request ends. */
static void request_answer(struct shard *shard, struct write_request *request) {
    struct conn *conn = conns_find(&shard->conns, request->origin.conn_id);
    uint32_t not_ok = write_request_not_ok(request);
    size_t bytes = FRAME_HEADER_BYTES + 8 + (not_ok ? request->rows_count : 0);
    uint8_t *room = conn ? conn_reply_room(conn, bytes) : NULL;
    if (room) {
        frame_encode_reply(room, (uint32_t)bytes, FRAME_WRITE, request->origin.request_id, FST_OK);
        store_u32(room + FRAME_HEADER_BYTES, request->rows_count);
        store_u32(room + FRAME_HEADER_BYTES + 4, not_ok);
        if (not_ok) memcpy(room + FRAME_HEADER_BYTES + 8, request->statuses, request->rows_count);
        conn_reply_commit(conn, bytes);
    } else if (conn) {
        /* Without its answer the client must treat the write as unknown: so it is told by the
         * closing. */
        conn_close(conn);
    }
    buffers_put(&shard->buffers, request);
    shard->requests_open -= 1;
}

enum fst_status write_request_send(struct shard *shard, const struct write_origin *origin,
                                   struct row_set *set, struct fst_error *error) {
    struct write_source source = {
        .engine = shard->engine, .buffers = &shard->buffers, .arena = &shard->arena};
    struct write_request *request;
    struct write_batches batches;
    enum fst_status status =
        write_request_create(&source, origin, set, shard->now_us, &request, &batches);
    if (status != FST_OK) {
        if (status == FST_OVERLOADED) {
            return fst_error_set(error, status, "no memory for this write now");
        }
        return fst_error_set(error, status,
                             "WRITE: expected at most %d bytes as rows, found more in %u rows",
                             ENGINE_WRITE_BYTES_MAX, set->rows_count);
    }
    shard->requests_open += 1;
    if (batches.count == 0) request_answer(shard, request);
    for (uint32_t i = 0; i < batches.count; i++) {
        struct write_batch *batch = batches.batches[i];
        batch->message.from = shard->index;
        if (batches.owners[i] == shard->index) {
            committer_take(&shard->committer, shard->definitions->catalog, batch, shard->now_us);
        } else if (!shard_send(shard, batches.owners[i], &batch->message)) {
            write_batch_refuse(batch, FST_OVERLOADED);
            write_request_written(shard, batch);
        }
    }
    return FST_OK;
}

void write_request_written(struct shard *shard, struct write_batch *batch) {
    struct write_request *request = batch->request;
    if (write_request_merge(request, batch, &shard->buffers)) request_answer(shard, request);
}
