/* Replies: checked when they arrive, looked at in place. */
#include <math.h>

#include "base/assert.h"
#include "client/client.h"

enum {
    GET_HEAD_BYTES = 8,
    WRITE_HEAD_BYTES = 8,
    GROUP_EVENT = 8,
    GROUP_CREATED = 16,
    GROUP_LSN = 24
};

/* ---- checking ---- */

static bool presence_is_valid(uint8_t status) {
    return status == FST_PRESENT || status == FST_ROW_MISSING || status == FST_ROW_EXPIRED;
}

static bool is_given(const struct fst_handle *handle, uint32_t feature, const uint8_t *row) {
    const struct client_place *place = &handle->places[feature];
    bool is_null = row[place->null_offset] & place->null_mask;
    return !is_null || handle->features[feature].has_default;
}

static bool references_are_inside(const struct fst_handle *handle, const uint8_t *row,
                                  uint32_t heap_bytes) {
    for (uint32_t i = 0; i < handle->features_count; i++) {
        const struct client_place *place = &handle->places[i];
        if (place->bytes > 0 || !is_given(handle, i, row)) continue;
        uint64_t begin = load_u32(row + place->offset);
        uint64_t bytes = load_u32(row + place->offset + 4);
        if (begin + bytes > heap_bytes) return false;
        if (handle->features[i].type.kind == FST_KIND_LIST && bytes < sizeof(uint32_t))
            return false;
    }
    return true;
}

static enum fst_status get_decode(const struct client_request *request, struct bytes payload,
                                  struct fst_reply *reply) {
    const struct fst_handle *handle = request->handle;
    struct reader r = reader_of(payload.data, payload.bytes);
    uint32_t rows_count = read_u32(&r);
    uint32_t heap_bytes = read_u32(&r);
    uint32_t row_bytes = handle->layout->row_bytes;
    uint64_t rows_bytes = (uint64_t)rows_count * row_bytes;
    if (r.failed || rows_count != request->rows_count) return FST_BAD_FRAME;
    if (reader_left(&r) != rows_bytes + heap_bytes) return FST_BAD_FRAME;
    for (uint32_t row = 0; row < rows_count; row++) {
        const uint8_t *at = r.at + (size_t)row * row_bytes;
        for (uint32_t v = 0; v < handle->views_count; v++) {
            if (!presence_is_valid(at[handle->view_offsets[v]])) return FST_BAD_FRAME;
        }
        if (handle->has_heap && !references_are_inside(handle, at, heap_bytes)) {
            return FST_BAD_FRAME;
        }
    }
    reply->rows_count = rows_count;
    reply->data = r.at;
    reply->bytes = (uint32_t)(rows_bytes + heap_bytes);
    reply->heap = r.at + rows_bytes;
    return FST_OK;
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

static const uint8_t *row_find(const struct fst_reply *reply, uint32_t row) {
    if (!reply->handle || row >= reply->rows_count || !reply->heap) return NULL;
    return reply->data + (size_t)row * reply->handle->layout->row_bytes;
}

static struct fst_value value_read(const struct fst_reply *reply, const uint8_t *row,
                                   uint32_t feature) {
    const struct fst_handle *handle = reply->handle;
    const struct client_place *place = &handle->places[feature];
    struct fst_value value = {.type = handle->features[feature].type};
    const uint8_t *at = row + place->offset;
    if (is_given(handle, feature, row)) {
        value = place->bytes > 0
                    ? client_value_decode(value.type, at, place->bytes)
                    : client_value_decode(value.type, reply->heap + load_u32(at), load_u32(at + 4));
    }
    value.presence = row[place->group_offset];
    bool is_null = row[place->null_offset] & place->null_mask;
    if (value.presence == FST_PRESENT && is_null) value.presence = FST_NULL;
    return value;
}

struct fst_value fst_reply_value(const struct fst_reply *reply, uint32_t row, uint32_t feature) {
    const uint8_t *at = row_find(reply, row);
    if (!at || feature >= reply->handle->features_count) {
        return (struct fst_value){.presence = FST_ROW_MISSING};
    }
    return value_read(reply, at, feature);
}

struct fst_row fst_reply_row(const struct fst_reply *reply, uint32_t row, uint32_t view_index) {
    const uint8_t *at = row_find(reply, row);
    if (!at || view_index >= reply->handle->views_count) {
        return (struct fst_row){.presence = FST_ROW_MISSING};
    }
    const uint8_t *group = at + reply->handle->view_offsets[view_index];
    return (struct fst_row){
        .presence = (enum fst_presence)group[0],
        .event_us = load_i64(group + GROUP_EVENT),
        .created_us = load_i64(group + GROUP_CREATED),
        .lsn = load_u64(group + GROUP_LSN),
    };
}

void fst_reply_matrix(const struct fst_reply *reply, uint32_t features_count, double *matrix_out) {
    for (uint32_t row = 0; row < reply->rows_count; row++) {
        for (uint32_t feature = 0; feature < features_count; feature++) {
            struct fst_value value = fst_reply_value(reply, row, feature);
            *matrix_out++ = fst_value_float64(&value);
        }
    }
}
