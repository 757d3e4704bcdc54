/* Replies: checked when they arrive, looked at in place. */
#include "base/assert.h"
#include "client/client.h"

enum {
    WRITE_HEAD_BYTES = 8,
    GROUP_EVENT = 8,
    GROUP_CREATED = 16,
    GROUP_LSN = 24,
    VIEW_EVENT = 0, /* of a view in columns, times the room */
    VIEW_CREATED = 8,
    VIEW_LSN = 16,
    VIEW_STATUS = 24,
};
static_assert((int)VIEW_STATUS + 1 == (int)CLIENT_VIEW_COLUMN_BYTES, "the status is the last");

/* ---- checking ---- */

static bool presence_is_valid(uint8_t status) {
    return status == FST_PRESENT || status == FST_ROW_MISSING || status == FST_ROW_EXPIRED;
}

/* One feature of one row, where its shape has it. */
struct cell {
    uint8_t row_status;
    bool is_null;
    bool is_given; /* a value or a default */
    const uint8_t *at;
};

/* Elements of each array of a reply in columns. */
static size_t columns_room(uint32_t rows_count) {
    return bytes_align(rows_count, 8);
}

/* The reply is in rows or columns; the indices are inside. */
static struct cell cell_find(const struct fst_reply *reply, uint32_t row, uint32_t feature) {
    const struct fst_handle *handle = reply->handle;
    const struct client_place *place = &handle->places[feature];
    struct cell cell;
    if (reply->shape == FST_SHAPE_ROWS) {
        const uint8_t *at = reply->data + (size_t)row * handle->layout->row_bytes;
        cell.row_status = at[place->group_offset];
        cell.is_null = at[place->null_offset] & place->null_mask;
        cell.at = at + place->offset;
    } else {
        size_t room = columns_room(reply->rows_count);
        const uint8_t *view = reply->data + room * CLIENT_VIEW_COLUMN_BYTES * place->group;
        const uint8_t *nulls = reply->data + room * place->columns_offset;
        uint32_t bytes = place->bytes > 0 ? place->bytes : CLIENT_REFERENCE_BYTES;
        cell.row_status = view[room * VIEW_STATUS + row];
        cell.is_null = nulls[row] != 0;
        cell.at = nulls + room + (size_t)row * bytes;
    }
    cell.is_given = !cell.is_null || handle->features[feature].has_default;
    return cell;
}

static struct fst_row view_row(const struct fst_reply *reply, uint32_t row, uint32_t view_index) {
    const struct fst_handle *handle = reply->handle;
    const struct client_view_place *place = &handle->view_places[view_index];
    if (reply->shape == FST_SHAPE_ROWS) {
        const uint8_t *group =
            reply->data + (size_t)row * handle->layout->row_bytes + place->offset;
        return (struct fst_row){.presence = (enum fst_presence)group[0],
                                .event_us = load_i64(group + GROUP_EVENT),
                                .created_us = load_i64(group + GROUP_CREATED),
                                .lsn = load_u64(group + GROUP_LSN)};
    }
    size_t room = columns_room(reply->rows_count);
    const uint8_t *view = reply->data + room * CLIENT_VIEW_COLUMN_BYTES * place->group;
    const uint8_t *times = view + 8 * (size_t)row;
    return (struct fst_row){.presence = (enum fst_presence)view[room * VIEW_STATUS + row],
                            .event_us = load_i64(times + room * VIEW_EVENT),
                            .created_us = load_i64(times + room * VIEW_CREATED),
                            .lsn = load_u64(times + room * VIEW_LSN)};
}

static bool references_are_inside(const struct fst_reply *reply, uint32_t row,
                                  uint32_t heap_bytes) {
    const struct fst_handle *handle = reply->handle;
    for (uint32_t i = 0; i < handle->features_count; i++) {
        if (handle->places[i].bytes > 0) continue;
        struct cell cell = cell_find(reply, row, i);
        if (!cell.is_given) continue;
        uint64_t begin = load_u32(cell.at);
        uint64_t bytes = load_u32(cell.at + 4);
        if (begin + bytes > heap_bytes) return false;
        if (handle->features[i].type.kind == FST_KIND_LIST && bytes < sizeof(uint32_t))
            return false;
    }
    return true;
}

/* Rows or columns, and a heap. */
static enum fst_status values_decode(struct fst_reply *reply, struct reader *r) {
    const struct fst_handle *handle = reply->handle;
    uint32_t heap_bytes = read_u32(r);
    uint64_t fixed_bytes = reply->shape == FST_SHAPE_ROWS
                               ? (uint64_t)reply->rows_count * handle->layout->row_bytes
                               : (uint64_t)columns_room(reply->rows_count) * handle->columns_bytes;
    if (r->failed || reader_left(r) != fixed_bytes + heap_bytes) return FST_BAD_FRAME;
    reply->data = r->at;
    reply->bytes = (uint32_t)(fixed_bytes + heap_bytes);
    for (uint32_t row = 0; row < reply->rows_count; row++) {
        for (uint32_t v = 0; v < handle->views_count; v++) {
            if (!presence_is_valid((uint8_t)view_row(reply, row, v).presence)) return FST_BAD_FRAME;
        }
        if (handle->has_heap && !references_are_inside(reply, row, heap_bytes)) {
            return FST_BAD_FRAME;
        }
    }
    reply->heap = r->at + fixed_bytes;
    return FST_OK;
}

static enum fst_status matrix_decode(struct fst_reply *reply, struct reader *r) {
    uint32_t features_count = read_u32(r);
    uint64_t numbers_count = (uint64_t)reply->rows_count * features_count;
    uint64_t number_bytes = reply->shape == FST_SHAPE_FLOAT32 ? sizeof(float) : sizeof(double);
    uint64_t bytes = numbers_count * (number_bytes + reply->has_statuses);
    if (r->failed || features_count != reply->handle->layout->features_count) return FST_BAD_FRAME;
    if (reader_left(r) != bytes) return FST_BAD_FRAME;
    const uint8_t *statuses = r->at + numbers_count * number_bytes;
    for (const uint8_t *at = statuses; at < r->end; at++) {
        if (!presence_is_valid(*at) && *at != FST_NULL) return FST_BAD_FRAME;
    }
    reply->data = r->at;
    reply->bytes = (uint32_t)bytes;
    return FST_OK;
}

static enum fst_status get_decode(const struct client_request *request, struct bytes payload,
                                  struct fst_reply *reply) {
    struct reader r = reader_of(payload.data, payload.bytes);
    uint32_t rows_count = read_u32(&r);
    if (r.failed || rows_count != request->rows_count) return FST_BAD_FRAME;
    reply->rows_count = rows_count;
    reply->shape = request->shape;
    reply->has_statuses = request->has_statuses;
    bool is_matrix = client_shape_is_matrix(request->shape);
    return is_matrix ? matrix_decode(reply, &r) : values_decode(reply, &r);
}

static bool is_refusal(uint8_t status) {
    return status != FST_OK && status != FST_STALE && status != FST_DUPLICATE;
}

static enum fst_status write_decode(const struct client_request *request, struct bytes payload,
                                    struct fst_reply *reply) {
    struct reader r = reader_of(payload.data, payload.bytes);
    uint32_t rows_count = read_u32(&r);
    uint32_t not_ok_count = read_u32(&r);
    const uint8_t *statuses = not_ok_count > 0 ? read_bytes(&r, rows_count) : NULL;
    if (!reader_is_done(&r) || rows_count != request->rows_count) return FST_BAD_FRAME;
    reply->rows_count = rows_count;
    reply->row_statuses = statuses;
    for (uint32_t i = 0; statuses && i < rows_count; i++) {
        reply->refused_count += is_refusal(statuses[i]);
    }
    return FST_OK;
}

enum fst_status client_reply_decode(const struct client_request *request, struct bytes payload,
                                    struct fst_reply *reply) {
    switch (request->opcode) {
    case FRAME_GET:
        return get_decode(request, payload, reply);
    case FRAME_WRITE:
        return write_decode(request, payload, reply);
    case FRAME_CONTROL:
        reply->data = payload.data;
        reply->bytes = (uint32_t)payload.bytes;
        return FST_OK;
    default:
        FST_ASSERT(request->opcode == FRAME_PING);
        return payload.bytes == 0 ? FST_OK : FST_BAD_FRAME;
    }
}

/* ---- looking ---- */

static bool row_is_there(const struct fst_reply *reply, uint32_t row) {
    return reply->handle && reply->heap && row < reply->rows_count;
}

struct fst_value fst_reply_value(const struct fst_reply *reply, uint32_t row, uint32_t feature) {
    if (!row_is_there(reply, row) || feature >= reply->handle->features_count) {
        return (struct fst_value){.presence = FST_ROW_MISSING};
    }
    struct cell cell = cell_find(reply, row, feature);
    struct fst_value value = {.type = reply->handle->features[feature].type};
    uint32_t bytes = reply->handle->places[feature].bytes;
    if (cell.is_given && bytes > 0) {
        value = client_value_decode(value.type, cell.at, bytes);
    } else if (cell.is_given) {
        value =
            client_value_decode(value.type, reply->heap + load_u32(cell.at), load_u32(cell.at + 4));
    }
    value.presence = cell.row_status;
    if (value.presence == FST_PRESENT && cell.is_null) value.presence = FST_NULL;
    return value;
}

struct fst_row fst_reply_row(const struct fst_reply *reply, uint32_t row, uint32_t view_index) {
    if (!row_is_there(reply, row) || view_index >= reply->handle->views_count) {
        return (struct fst_row){.presence = FST_ROW_MISSING};
    }
    return view_row(reply, row, view_index);
}

struct fst_reply_column fst_reply_column(const struct fst_reply *reply, uint32_t feature) {
    bool is_there = row_is_there(reply, 0) && reply->shape == FST_SHAPE_COLUMNS;
    if (!is_there || feature >= reply->handle->features_count) {
        return (struct fst_reply_column){.values = NULL};
    }
    const struct client_place *place = &reply->handle->places[feature];
    size_t room = columns_room(reply->rows_count);
    const uint8_t *view = reply->data + room * CLIENT_VIEW_COLUMN_BYTES * place->group;
    const uint8_t *nulls = reply->data + room * place->columns_offset;
    return (struct fst_reply_column){
        .type = reply->handle->features[feature].type,
        .value_bytes = place->bytes > 0 ? place->bytes : CLIENT_REFERENCE_BYTES,
        .values = nulls + room,
        .nulls = nulls,
        .rows = view + room * VIEW_STATUS,
    };
}
