/* Rows that come as text: CSV chunks and JSON documents, decoded here and written like any
 * others. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/text.h"
#include "ingest/csv_rows.h"
#include "ingest/json_rows.h"
#include "shard/control_operations.h"

enum { FOUND_BYTES = 200 };

/* ---- problems ---- */

struct collector {
    Fst__ImportReply *reply;
    bool skip_bad; /* collect them; otherwise the first one ends the reading */
};

static char *text_copy(const char *text, size_t bytes, size_t bytes_max) {
    if (bytes > bytes_max) bytes = bytes_max;
    char *copy = malloc(bytes + 1);
    if (!copy) return NULL;
    if (bytes) memcpy(copy, text, bytes);
    copy[bytes] = 0;
    return copy;
}

/* What somebody wrote, for a protobuf string, which must be UTF-8: other bytes are told as numbers,
 * and a long text is cut. */
static char *text_copy_printable(const void *data, size_t bytes) {
    char *copy = malloc(FOUND_BYTES);
    if (copy) text_format_printable(data, bytes, copy, FOUND_BYTES);
    return copy;
}

/* Room for one more bad row; doubled whenever it is full. */
static bool bad_rows_grow(Fst__ImportReply *reply) {
    size_t count = reply->n_bad_rows;
    if ((count & (count - 1)) != 0) return true;
    size_t capacity = count ? 2 * count : 1;
    Fst__BadRow **grown = realloc(reply->bad_rows, capacity * sizeof *reply->bad_rows);
    if (grown) reply->bad_rows = grown;
    return grown != NULL;
}

static enum fst_status bad_row_put(void *context, const struct row_problem *problem) {
    struct collector *collector = context;
    Fst__ImportReply *reply = collector->reply;
    if (reply->n_bad_rows == ROW_SET_ROWS_MAX) return FST_TOO_LARGE;
    Fst__BadRow *row = bad_rows_grow(reply) ? calloc(1, sizeof *row) : NULL;
    if (!row) return FST_NO_MEMORY;
    fst__bad_row__init(row);
    row->row = problem->row;
    row->column = text_copy_printable(problem->column, strlen(problem->column));
    row->expected = text_copy(problem->expected, strlen(problem->expected), FOUND_BYTES);
    row->found = text_copy_printable(problem->found.data, problem->found.bytes);
    row->record.data =
        (uint8_t *)text_copy((const char *)problem->record.data, problem->record.bytes, SIZE_MAX);
    row->record.len = problem->record.bytes;
    reply->bad_rows[reply->n_bad_rows++] = row;
    return collector->skip_bad ? FST_OK : FST_INVALID;
}

static enum fst_status refused_rows_put(Fst__ImportReply *reply, const struct row_builder *builder,
                                        const struct write_request *request) {
    struct collector collector = {.reply = reply, .skip_bad = true};
    for (uint32_t i = 0; i < request->rows_count; i++) {
        enum fst_status status = request->statuses[i];
        if (status == FST_OK || status == FST_STALE) continue;
        if (status == FST_DUPLICATE) continue;
        struct row_problem problem = {.row = builder->lines[i],
                                      .column = "",
                                      .expected = fst_status_text(status),
                                      .found = {.data = (const uint8_t *)fst_status_name(status),
                                                .bytes = strlen(fst_status_name(status))}};
        FST_TRY(bad_row_put(&collector, &problem));
    }
    return FST_OK;
}

static void statuses_count(Fst__ImportReply *reply, const struct write_request *request) {
    for (uint32_t i = 0; i < request->rows_count; i++) {
        if (request->statuses[i] == FST_OK) reply->rows_ok += 1;
        if (request->statuses[i] == FST_STALE) reply->rows_stale += 1;
        if (request->statuses[i] == FST_DUPLICATE) reply->rows_duplicate += 1;
    }
}

/* ---- writing ---- */

static enum fst_status batches_send(struct control *control, struct write_request *request,
                                    const struct write_batches *batches) {
    struct engine *engine = control->engine;
    uint32_t seat = engine_control_seat(engine);
    for (uint32_t i = 0; i < batches->count; i++) {
        struct write_batch *batch = batches->batches[i];
        if (mailbox_send(&engine->mailboxes, seat, batches->owners[i], &batch->message)) {
            engine_wake(engine, batches->owners[i]);
        } else {
            write_batch_refuse(batch, FST_OVERLOADED);
            if (write_request_merge(request, batch, &control->buffers)) return FST_OK;
        }
    }
    while (request->batches_open > 0) {
        struct message *message = control_receive(control, MESSAGE_WRITTEN);
        if (!message) return FST_OUTCOME_UNKNOWN;
        write_request_merge(request, (struct write_batch *)message, &control->buffers);
    }
    return FST_OK;
}

/* Sends the builder's rows and waits for their answers. */
static enum fst_status rows_write(struct control *control, struct row_builder *builder,
                                  const struct write_origin *origin, Fst__ImportReply *reply,
                                  struct fst_error *error) {
    if (builder->rows_count == 0) return FST_OK;
    struct row_set set = {
        .view = builder->view,
        .rows_count = builder->rows_count,
        .heap_bytes = (uint32_t)writer_used(&builder->heap),
        .images = builder->images,
        .heap = builder->heap.begin,
        .statuses = arena_get(&control->arena, builder->rows_count),
    };
    if (!set.statuses) return fst_error_set(error, FST_TOO_LARGE, "too many rows at once");
    memset(set.statuses, FST_OK, set.rows_count);
    struct write_source source = {
        .engine = control->engine, .buffers = &control->buffers, .arena = &control->arena};
    struct write_request *request;
    struct write_batches batches;
    enum fst_status status = write_request_create(
        &source, origin, &set, io_now_us(control->engine->io), &request, &batches);
    if (status != FST_OK) {
        /* Nobody else uses this memory, so it is no use to try again. */
        return fst_error_set(error, FST_TOO_LARGE,
                             "expected rows of at most %d bytes at once, found %u rows",
                             ENGINE_WRITE_BYTES_MAX, set.rows_count);
    }
    status = batches_send(control, request, &batches);
    if (status != FST_OK) return fst_error_set(error, status, "the server is ending");
    statuses_count(reply, request);
    status = refused_rows_put(reply, builder, request);
    buffers_put(&control->buffers, request);
    return status;
}

static enum fst_status sequence_check(uint64_t sequence, struct fst_error *error) {
    if (sequence > 0) return FST_OK;
    return fst_error_set(error, FST_INVALID, "sequence: expected from 1, found 0");
}

static const struct view *view_find(const struct control *control, const char *name,
                                    struct fst_error *error) {
    const struct catalog *catalog = atomic_load(&control->engine->definitions)->catalog;
    const struct view *view = catalog_find_view(catalog, name);
    if (!view) (void)catalog_refuse_view(catalog, name, error);
    return view;
}

static Fst__ImportReply *reply_create(void) {
    Fst__ImportReply *reply = calloc(1, sizeof *reply);
    if (reply) fst__import_reply__init(reply);
    return reply;
}

static enum fst_status csv_run(struct control *control, const struct control_call *call,
                               const Fst__ImportChunk *chunk, Fst__ImportReply *reply,
                               struct fst_error *error) {
    FST_TRY(sequence_check(chunk->sequence, error));
    if (chunk->first_row == 0) {
        return fst_error_set(error, FST_INVALID, "first_row: expected from 1, found 0");
    }
    const struct view *view = view_find(control, chunk->view, error);
    if (!view) return FST_UNKNOWN;
    struct bytes header = {.data = chunk->header.data, .bytes = chunk->header.len};
    struct bytes records = {.data = chunk->records.data, .bytes = chunk->records.len};
    struct csv_rows *rows = arena_get(&control->arena, sizeof *rows);
    if (!rows) return fst_error_set(error, FST_TOO_LARGE, "no memory for the header");
    FST_TRY(csv_rows_open(rows, view, header, error));
    struct row_builder *builder = arena_get(&control->arena, sizeof *builder);
    uint32_t rows_max = csv_rows_bound(records);
    if (!builder || rows_max > ROW_SET_ROWS_MAX ||
        row_builder_init(builder, view, rows_max, records.bytes, &control->arena) != FST_OK) {
        return fst_error_set(error, FST_TOO_LARGE, "expected a smaller chunk, found %u lines",
                             rows_max);
    }
    struct collector collector = {.reply = reply, .skip_bad = chunk->skip_bad};
    struct row_problems problems = {.context = &collector, .put = bad_row_put};
    enum fst_status status =
        csv_rows_read(rows, records, chunk->first_row, &control->arena, builder, &problems);
    if (status == FST_INVALID)
        return FST_OK; /* The first bad row is in the reply; nothing is written. */
    if (status != FST_OK) return fst_error_set(error, status, "too many bad rows in one chunk");
    struct write_origin origin = {.is_durable = !chunk->ack_memory,
                                  .client_id = call->client_id,
                                  .sequence = chunk->sequence};
    return rows_write(control, builder, &origin, reply, error);
}

enum fst_status control_import(struct control *control, const struct control_call *call,
                               const Fst__ImportChunk *chunk, Fst__ImportReply **reply_out,
                               struct fst_error *error) {
    *reply_out = reply_create();
    if (!*reply_out) return FST_NO_MEMORY;
    enum fst_status status = csv_run(control, call, chunk, *reply_out, error);
    if (status == FST_OK) return FST_OK;
    fst__import_reply__free_unpacked(*reply_out, NULL);
    *reply_out = NULL;
    return status;
}

static enum fst_status json_run(struct control *control, const struct control_call *call,
                                const Fst__PutRequest *request, Fst__ImportReply *reply,
                                struct fst_error *error) {
    FST_TRY(sequence_check(request->sequence, error));
    const struct view *view = view_find(control, request->view, error);
    if (!view) return FST_UNKNOWN;
    struct bytes text = {.data = request->json.data, .bytes = request->json.len};
    struct json_rows *rows;
    uint32_t rows_count;
    FST_TRY(json_rows_open(&rows, text, &rows_count, error));
    struct row_builder *builder = arena_get(&control->arena, sizeof *builder);
    enum fst_status status = builder ? FST_OK : FST_TOO_LARGE;
    if (status == FST_OK) {
        status = row_builder_init(builder, view, rows_count, 2 * text.bytes, &control->arena);
    }
    struct collector collector = {.reply = reply};
    struct row_problems problems = {.context = &collector, .put = bad_row_put};
    if (status == FST_OK) {
        status = json_rows_read(rows, io_now_us(control->engine->io), builder, &problems);
    }
    json_rows_close(rows);
    if (status == FST_INVALID) return FST_OK;
    if (status != FST_OK) {
        return fst_error_set(error, status, "expected less at once, found %u rows in %zu bytes",
                             rows_count, text.bytes);
    }
    struct write_origin origin = {.is_durable = !request->ack_memory,
                                  .client_id = call->client_id,
                                  .sequence = request->sequence};
    return rows_write(control, builder, &origin, reply, error);
}

enum fst_status control_put(struct control *control, const struct control_call *call,
                            const Fst__PutRequest *request, Fst__ImportReply **reply_out,
                            struct fst_error *error) {
    *reply_out = reply_create();
    if (!*reply_out) return FST_NO_MEMORY;
    enum fst_status status = json_run(control, call, request, *reply_out, error);
    if (status == FST_OK) return FST_OK;
    fst__import_reply__free_unpacked(*reply_out, NULL);
    *reply_out = NULL;
    return status;
}
