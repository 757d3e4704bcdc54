/* Rows of a write, column by column, and the write itself. */
#include "base/assert.h"
#include "client/client.h"

enum { WRITE_HEAD_BYTES = 24, ROWS_MAX = 65536 };

struct batch_column {
    struct fst_type type;
    uint32_t bytes_each; /* 0: values have ends */
    uint32_t rows_count; /* that have been put; the others of the batch are null */
    bool is_key;
    struct client_buffer nulls; /* a bit per row; none for keys */
    struct client_buffer ends;
    struct client_buffer values;
};

struct fst_batch {
    struct fst_handle *handle;
    uint32_t generation; /* of the handle when the batch was cleared */
    uint32_t rows_count;
    bool has_created;
    enum fst_status status;
    uint32_t failed_column;
    size_t bytes; /* at most, on the wire */
    struct client_buffer event_us;
    struct client_buffer created_us;
    uint32_t columns_count;
    struct batch_column columns[];
};

/* ---- life ---- */

struct fst_batch *fst_batch_create(struct fst_handle *handle) {
    uint32_t count = client_handle_columns_count(handle);
    struct fst_batch *batch = calloc(1, sizeof *batch + count * sizeof batch->columns[0]);
    if (!batch) return NULL;
    batch->handle = handle;
    batch->columns_count = count;
    fst_batch_clear(batch);
    return batch;
}

void fst_batch_destroy(struct fst_batch *batch) {
    if (!batch) return;
    for (uint32_t i = 0; i < batch->columns_count; i++) {
        client_buffer_deinit(&batch->columns[i].nulls);
        client_buffer_deinit(&batch->columns[i].ends);
        client_buffer_deinit(&batch->columns[i].values);
    }
    client_buffer_deinit(&batch->event_us);
    client_buffer_deinit(&batch->created_us);
    free(batch);
}

void fst_batch_clear(struct fst_batch *batch) {
    const struct fst_handle *handle = batch->handle;
    /* A handle for writing keeps its features, but an entity's key columns might change. */
    bool is_same = client_handle_columns_count(handle) == batch->columns_count;
    batch->status = is_same ? FST_OK : FST_LAYOUT_CHANGED;
    batch->failed_column = 0;
    batch->generation = handle->generation;
    batch->rows_count = 0;
    batch->has_created = false;
    batch->bytes = WRITE_HEAD_BYTES;
    batch->event_us.bytes = 0;
    batch->created_us.bytes = 0;
    for (uint32_t i = 0; i < batch->columns_count && is_same; i++) {
        struct batch_column *column = &batch->columns[i];
        column->type = client_handle_column(handle, i)->type;
        column->bytes_each = client_type_bytes(column->type);
        column->is_key = i < handle->keys_count;
        column->rows_count = 0;
        column->nulls.bytes = 0;
        column->ends.bytes = 0;
        column->values.bytes = 0;
    }
}

uint32_t fst_batch_rows_count(const struct fst_batch *batch) {
    return batch->rows_count;
}

size_t fst_batch_bytes(const struct fst_batch *batch) {
    return FRAME_HEADER_BYTES + batch->bytes + batch->columns_count;
}

/* ---- filling ---- */

/* What one row takes besides strings, bytes and lists. */
static size_t row_bytes(const struct fst_batch *batch) {
    size_t bytes = 16;
    for (uint32_t i = 0; i < batch->columns_count; i++) {
        bytes += batch->columns[i].bytes_each > 0 ? batch->columns[i].bytes_each : 4;
    }
    return bytes + batch->columns_count / 8 + 1;
}

static bool times_append(struct fst_batch *batch, int64_t event_us, const int64_t *created_us) {
    if (!client_buffer_append_bytes(&batch->event_us, &event_us, sizeof event_us)) return false;
    if (!created_us) return true;
    return client_buffer_append_bytes(&batch->created_us, created_us, sizeof *created_us);
}

static enum fst_status row_append(struct fst_batch *batch, int64_t event_us,
                                  const int64_t *created_us) {
    if (batch->status != FST_OK) return batch->status;
    bool has_created = created_us != NULL;
    if (batch->rows_count == ROWS_MAX) {
        batch->status = FST_TOO_LARGE;
    } else if (batch->rows_count > 0 && has_created != batch->has_created) {
        batch->status = FST_INVALID;
    } else if (!times_append(batch, event_us, created_us)) {
        batch->status = FST_NO_MEMORY;
    }
    if (batch->status != FST_OK) return batch->status;
    batch->has_created = has_created;
    batch->rows_count += 1;
    batch->bytes += row_bytes(batch);
    return FST_OK;
}

enum fst_status fst_batch_append(struct fst_batch *batch, int64_t event_us) {
    return row_append(batch, event_us, NULL);
}

enum fst_status fst_batch_append_created(struct fst_batch *batch, int64_t event_us,
                                         int64_t created_us) {
    return row_append(batch, event_us, &created_us);
}

static bool null_bit_append(struct batch_column *column, bool is_null) {
    uint32_t bit = column->rows_count % 8;
    if (bit == 0 && !client_buffer_append_bytes(&column->nulls, &(uint8_t){0}, 1)) return false;
    if (is_null) column->nulls.data[column->nulls.bytes - 1] |= (uint8_t)(1u << bit);
    return true;
}

/* Appends one value, or null, which is zero bytes. */
static bool cell_append(struct batch_column *column, const struct bytes *value) {
    if (!column->is_key && !null_bit_append(column, value == NULL)) return false;
    size_t bytes = value ? value->bytes : column->bytes_each;
    uint8_t *room = client_buffer_append(&column->values, bytes);
    if (!room) return false;
    if (value && bytes > 0) memcpy(room, value->data, bytes);
    if (!value) memset(room, 0, bytes);
    uint32_t end = (uint32_t)column->values.bytes;
    if (column->bytes_each == 0 && !client_buffer_append_bytes(&column->ends, &end, sizeof end)) {
        return false;
    }
    column->rows_count += 1;
    return true;
}

/* Rows before the newest whose column was not put are null. */
static enum fst_status gap_fill(struct batch_column *column, uint32_t rows_count) {
    if (column->is_key && column->rows_count < rows_count) return FST_INVALID;
    while (column->rows_count < rows_count) {
        if (!cell_append(column, NULL)) return FST_NO_MEMORY;
    }
    return FST_OK;
}

static enum fst_status column_put(struct fst_batch *batch, struct batch_column *column,
                                  const struct fst_value *value) {
    if (column->rows_count >= batch->rows_count) return FST_INVALID; /* No row, or put before. */
    FST_TRY(gap_fill(column, batch->rows_count - 1));
    bool is_null = !value->is_given && value->presence == FST_NULL;
    if (is_null && column->is_key) return FST_INVALID;
    if (is_null) return cell_append(column, NULL) ? FST_OK : FST_NO_MEMORY;
    FST_TRY(client_value_fits(column->type, value));
    uint8_t room[CLIENT_FIXED_BYTES_MAX];
    struct bytes encoded = client_value_encode(column->type, value, room);
    if (column->bytes_each == 0) batch->bytes += encoded.bytes;
    return cell_append(column, &encoded) ? FST_OK : FST_NO_MEMORY;
}

enum fst_status fst_batch_put(struct fst_batch *batch, uint32_t column, struct fst_value value) {
    if (batch->status != FST_OK) return batch->status;
    batch->failed_column = column;
    if (column >= batch->columns_count) {
        batch->status = FST_INVALID;
    } else {
        batch->status = column_put(batch, &batch->columns[column], &value);
    }
    return batch->status;
}

/* ---- writing ---- */

static enum fst_status batch_check(const struct fst_batch *batch, bool is_delete,
                                   struct fst_error *error) {
    const struct fst_handle *handle = batch->handle;
    if (!handle->is_write) {
        return fst_error_set(error, FST_INVALID, "expected a handle prepared for writing");
    }
    if (handle->status != FST_OK) {
        return fst_error_set(error, handle->status, "%s", handle->fault.text);
    }
    if (batch->generation != handle->generation) {
        return fst_error_set(error, FST_LAYOUT_CHANGED,
                             "column types changed; clear the batch and fill it again");
    }
    if (batch->status != FST_OK) {
        bool is_known = batch->failed_column < batch->columns_count;
        return fst_error_set(error, batch->status, "row %u, column '%s': %s", batch->rows_count,
                             is_known ? client_handle_column(handle, batch->failed_column)->name
                                      : "?",
                             fst_status_text(batch->status));
    }
    if (batch->rows_count == 0)
        return fst_error_set(error, FST_INVALID, "expected at least one row");
    for (uint32_t i = handle->keys_count; is_delete && i < batch->columns_count; i++) {
        if (batch->columns[i].rows_count == 0) continue;
        return fst_error_set(error, FST_INVALID,
                             "expected key columns alone in a delete, found a value of '%s'",
                             client_handle_column(handle, i)->name);
    }
    for (uint32_t i = 0; i < handle->keys_count; i++) {
        if (batch->columns[i].rows_count == batch->rows_count) continue;
        return fst_error_set(error, FST_INVALID, "row %u has no value for key column '%s'",
                             batch->columns[i].rows_count + 1, handle->keys[i].name);
    }
    return FST_OK;
}

/* The bits of all rows; those that were not put are null. */
static bool nulls_append(struct client_buffer *frame, const struct batch_column *column,
                         uint32_t rows_count) {
    size_t bytes = (rows_count + 7u) / 8;
    uint8_t *room = client_buffer_append(frame, bytes);
    if (!room) return false;
    memset(room, 0, bytes);
    if (column->nulls.bytes > 0) memcpy(room, column->nulls.data, column->nulls.bytes);
    for (uint32_t row = column->rows_count; row < rows_count; row++) {
        room[row / 8] |= (uint8_t)(1u << (row % 8));
    }
    return true;
}

static bool column_append(struct client_buffer *frame, const struct batch_column *column,
                          uint32_t rows_count) {
    if (!column->is_key && !nulls_append(frame, column, rows_count)) return false;
    uint32_t missing_count = rows_count - column->rows_count;
    const struct client_buffer *values = &column->values;
    if (column->bytes_each > 0) {
        if (!client_buffer_append_bytes(frame, values->data, values->bytes)) return false;
        size_t rest_bytes = (size_t)missing_count * column->bytes_each;
        uint8_t *rest = client_buffer_append(frame, rest_bytes);
        if (rest) memset(rest, 0, rest_bytes);
        return rest != NULL;
    }
    if (!client_buffer_append_bytes(frame, column->ends.data, column->ends.bytes)) return false;
    uint32_t end = (uint32_t)values->bytes;
    for (uint32_t i = 0; i < missing_count; i++) {
        if (!client_buffer_append_bytes(frame, &end, sizeof end)) return false;
    }
    return client_buffer_append_bytes(frame, values->data, values->bytes);
}

/* What becomes of the rows. */
struct batch_use {
    bool is_delete;
    enum fst_ack ack;
};

static bool batch_encode(const struct fst_batch *batch, const struct batch_use *use,
                         uint64_t sequence, struct client_buffer *frame) {
    uint8_t *head = client_buffer_append(frame, WRITE_HEAD_BYTES);
    if (!head) return false;
    store_u64(head, batch->handle->layout->id);
    store_u64(head + 8, sequence);
    store_u32(head + 16, batch->rows_count);
    head[20] = (uint8_t)use->ack;
    head[21] = (uint8_t)(batch->has_created | use->is_delete << 1);
    store_u16(head + 22, 0);
    const struct client_buffer *times[] = {&batch->event_us, &batch->created_us};
    for (uint32_t i = 0; i < 2; i++) {
        if (!client_buffer_append_bytes(frame, times[i]->data, times[i]->bytes)) return false;
    }
    uint32_t count = use->is_delete ? batch->handle->keys_count : batch->columns_count;
    for (uint32_t i = 0; i < count; i++) {
        if (!column_append(frame, &batch->columns[i], batch->rows_count)) return false;
    }
    return true;
}

static enum fst_status batch_submit(const struct fst_batch *batch, const struct batch_use *use,
                                    const struct fst_call *call, struct fst_error *error) {
    struct fst_client *client = batch->handle->client;
    struct client_request *request = NULL;
    if (use->ack != FST_ACK_MEMORY && use->ack != FST_ACK_DURABLE) {
        return fst_error_set(error, FST_INVALID, "ack: expected memory or durable");
    }
    FST_TRY(batch_check(batch, use->is_delete, error));
    FST_TRY(client_request_create(client, FRAME_WRITE, call, &request, error));
    request->handle = batch->handle;
    request->generation = batch->generation;
    request->rows_count = batch->rows_count;
    request->has_effect = true;
    if (!batch_encode(batch, use, client->sequence + 1, &request->frame)) {
        return fst_error_set(error, FST_NO_MEMORY, "no memory for a request");
    }
    FST_TRY(client_request_submit(client, request, error));
    client->sequence += 1; /* A write that was refused here leaves no gap. */
    return FST_OK;
}

enum fst_status fst_submit_write(const struct fst_batch *batch, enum fst_ack ack,
                                 const struct fst_call *call, struct fst_error *error) {
    return batch_submit(batch, &(struct batch_use){.ack = ack}, call, error);
}

enum fst_status fst_submit_delete(const struct fst_batch *batch, enum fst_ack ack,
                                  const struct fst_call *call, struct fst_error *error) {
    return batch_submit(batch, &(struct batch_use){.is_delete = true, .ack = ack}, call, error);
}

static enum fst_status batch_run(const struct fst_batch *batch, const struct batch_use *use,
                                 struct fst_reply *reply_out) {
    struct client_waiter waiter;
    struct fst_error error = {0};
    struct fst_client *client = batch->handle->client;
    struct fst_call call = client_waiter_call(&waiter, client, reply_out);
    enum fst_status status = client_may_wait(client, &error);
    if (status == FST_OK) status = batch_submit(batch, use, &call, &error);
    return client_wait(&waiter, status, &error);
}

enum fst_status fst_write(const struct fst_batch *batch, enum fst_ack ack,
                          struct fst_reply *reply_out) {
    return batch_run(batch, &(struct batch_use){.ack = ack}, reply_out);
}

enum fst_status fst_delete(const struct fst_batch *batch, enum fst_ack ack,
                           struct fst_reply *reply_out) {
    return batch_run(batch, &(struct batch_use){.is_delete = true, .ack = ack}, reply_out);
}
