/* Numbers of a reply of any shape, as a matrix in the order of the handle. */
#include <math.h>

#include "client/client.h"

/* Whether a row of the reply's matrix begins with the features wanted. */
static bool rows_are_whole(const struct fst_reply *reply, uint32_t features_count) {
    return reply->handle->is_in_order && features_count <= reply->handle->features_count;
}

static size_t number_place(const struct fst_reply *reply, uint32_t row, uint32_t feature) {
    const struct fst_handle *handle = reply->handle;
    return (size_t)row * handle->layout->features_count + handle->places[feature].number;
}

static double number_find(const struct fst_reply *reply, uint32_t row, uint32_t feature) {
    if (!client_shape_is_matrix(reply->shape)) {
        struct fst_value value = fst_reply_value(reply, row, feature);
        return fst_value_float64(&value);
    }
    if (feature >= reply->handle->features_count) return NAN;
    size_t at = number_place(reply, row, feature);
    if (reply->shape == FST_SHAPE_FLOAT32) {
        float narrow;
        memcpy(&narrow, reply->data + at * sizeof narrow, sizeof narrow);
        return (double)narrow;
    }
    double wide;
    memcpy(&wide, reply->data + at * sizeof wide, sizeof wide);
    return wide;
}

/* Copies rows of a matrix as they are. */
static void rows_copy(const struct fst_reply *reply, uint32_t features_count, size_t number_bytes,
                      void *matrix_out) {
    size_t row_bytes = reply->handle->layout->features_count * number_bytes;
    size_t out_bytes = features_count * number_bytes;
    uint8_t *out = matrix_out;
    for (uint32_t row = 0; row < reply->rows_count; row++) {
        memcpy(out + row * out_bytes, reply->data + row * row_bytes, out_bytes);
    }
}

void fst_reply_matrix(const struct fst_reply *reply, uint32_t features_count, double *matrix_out) {
    if (reply->rows_count == 0 || features_count == 0) return;
    if (reply->shape == FST_SHAPE_FLOAT64 && rows_are_whole(reply, features_count)) {
        rows_copy(reply, features_count, sizeof *matrix_out, matrix_out);
        return;
    }
    for (uint32_t row = 0; row < reply->rows_count; row++) {
        for (uint32_t feature = 0; feature < features_count; feature++) {
            *matrix_out++ = number_find(reply, row, feature);
        }
    }
}

void fst_reply_matrix_float32(const struct fst_reply *reply, uint32_t features_count,
                              float *matrix_out) {
    if (reply->rows_count == 0 || features_count == 0) return;
    if (reply->shape == FST_SHAPE_FLOAT32 && rows_are_whole(reply, features_count)) {
        rows_copy(reply, features_count, sizeof *matrix_out, matrix_out);
        return;
    }
    for (uint32_t row = 0; row < reply->rows_count; row++) {
        for (uint32_t feature = 0; feature < features_count; feature++) {
            *matrix_out++ = (float)number_find(reply, row, feature);
        }
    }
}

bool fst_reply_presences(const struct fst_reply *reply, uint32_t features_count,
                         uint8_t *presences_out) {
    bool is_matrix = client_shape_is_matrix(reply->shape);
    if (is_matrix && !reply->has_statuses) return false;
    size_t number_bytes = reply->shape == FST_SHAPE_FLOAT32 ? sizeof(float) : sizeof(double);
    for (uint32_t row = 0; row < reply->rows_count; row++) {
        for (uint32_t feature = 0; feature < features_count; feature++) {
            uint8_t presence = FST_ROW_MISSING;
            if (!is_matrix) {
                presence = fst_reply_value(reply, row, feature).presence;
            } else if (feature < reply->handle->features_count) {
                size_t statuses_offset =
                    number_bytes * reply->rows_count * reply->handle->layout->features_count;
                presence = reply->data[statuses_offset + number_place(reply, row, feature)];
            }
            *presences_out++ = presence;
        }
    }
    return true;
}
