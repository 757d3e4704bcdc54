#include "bench/fsbench/reply_shape.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "bench/fsbench/item.h"

enum {
    HEAD_BYTES = 8,
    GROUP_COLUMNS_BYTES = 25, /* of a key: event and created time, LSN, status */
    FEATURE_COLUMN_BYTES = 9, /* of a key: null byte and value */
    STATUS_OFFSET = 24,       /* in the arrays of a group, times the padded count of keys */
};

static uint64_t padded_count(uint64_t keys_count) {
    return (keys_count + 7) / 8 * 8;
}

uint64_t reply_shape_bytes(enum reply_shape shape, const struct fstore_layout *layout,
                           uint32_t keys_count) {
    uint64_t features = layout->features_count;
    switch (shape) {
    case SHAPE_ROWS:
        return HEAD_BYTES + (uint64_t)keys_count * layout->row_bytes;
    case SHAPE_COLUMNS:
        return HEAD_BYTES +
               padded_count(keys_count) * (GROUP_COLUMNS_BYTES + features * FEATURE_COLUMN_BYTES);
    case SHAPE_FLOAT32:
        return HEAD_BYTES + keys_count * features * sizeof(float);
    case SHAPE_FLOAT64:
        return HEAD_BYTES + keys_count * features * sizeof(double);
    }
    return 0;
}

bool shaped_reply_check(const struct shaped_reply *reply) {
    uint64_t bytes = reply_shape_bytes(reply->shape, reply->layout, reply->keys_count);
    if (reply->payload_bytes != bytes || load_u32(reply->payload) != reply->keys_count)
        return false;
    bool has_heap = reply_shape_has_versions(reply->shape);
    return load_u32(reply->payload + 4) == (has_heap ? 0 : reply->layout->features_count);
}

/* What the server says of a row besides its values. */
struct row_head {
    uint8_t status;
    int64_t version;
};

static struct row_head head_of(const struct shaped_reply *reply, uint32_t index) {
    const uint8_t *body = reply->payload + HEAD_BYTES;
    if (reply->shape == SHAPE_COLUMNS) {
        uint64_t padded = padded_count(reply->keys_count);
        return (struct row_head){.status = body[STATUS_OFFSET * padded + index],
                                 .version = load_i64(body + (size_t)index * 8)};
    }
    const uint8_t *group =
        body + (size_t)index * reply->layout->row_bytes + reply->layout->group_offset;
    return (struct row_head){.status = group[0], .version = load_i64(group + 8)};
}

static bool typed_value_check(const struct shaped_reply *reply, uint32_t index, uint32_t column,
                              uint64_t value) {
    const uint8_t *row = reply->payload + HEAD_BYTES + (size_t)index * reply->layout->row_bytes;
    const uint8_t *nulls = row + reply->layout->group_offset + FSTORE_ROW_HEAD_BYTES;
    if (load_u64(nulls + (size_t)(column / 64) * 8) >> (column % 64) & 1) return false;
    return load_u64(row + reply->layout->value_offsets[column]) == value;
}

static bool column_value_check(const struct shaped_reply *reply, uint32_t index, uint32_t column,
                               uint64_t value) {
    uint64_t padded = padded_count(reply->keys_count);
    const uint8_t *arrays =
        reply->payload + HEAD_BYTES +
        padded * (GROUP_COLUMNS_BYTES + (uint64_t)column * FEATURE_COLUMN_BYTES);
    return arrays[index] == 0 && load_u64(arrays + padded + (size_t)index * 8) == value;
}

static double matrix_number(const struct shaped_reply *reply, uint32_t index, uint32_t column) {
    size_t at = (size_t)index * reply->layout->features_count + column;
    double number;
    float narrow;
    if (reply->shape == SHAPE_FLOAT64) {
        memcpy(&number, reply->payload + HEAD_BYTES + at * sizeof number, sizeof number);
        return number;
    }
    memcpy(&narrow, reply->payload + HEAD_BYTES + at * sizeof narrow, sizeof narrow);
    return narrow;
}

static bool matrix_value_check(const struct shaped_reply *reply, uint32_t index, uint32_t column,
                               uint64_t value) {
    double expected;
    memcpy(&expected, &value, sizeof expected);
    if (reply->shape == SHAPE_FLOAT32) expected = (float)expected;
    return matrix_number(reply, index, column) == expected;
}

static bool matrix_row_is_nan(const struct shaped_reply *reply, const struct row_question *row) {
    for (uint32_t i = row->column; i < row->column + row->columns_count; i++) {
        if (!isnan(matrix_number(reply, row->index, i))) return false;
    }
    return true;
}

static bool value_check(const struct shaped_reply *reply, uint32_t index, uint32_t column,
                        uint64_t value) {
    switch (reply->shape) {
    case SHAPE_ROWS:
        return typed_value_check(reply, index, column, value);
    case SHAPE_COLUMNS:
        return column_value_check(reply, index, column, value);
    default:
        return matrix_value_check(reply, index, column, value);
    }
}

bool shaped_row_check(const struct shaped_reply *reply, const struct row_question *row) {
    int64_t version = row->version;
    if (reply_shape_has_versions(reply->shape)) {
        struct row_head head = head_of(reply, row->index);
        if (head.status != (row->exists ? FST_OK : FST_NOT_FOUND)) return false;
        if (!row->exists) return true;
        version = head.version;
    } else if (!row->exists) {
        return matrix_row_is_nan(reply, row);
    }
    uint64_t seed = item_seed(row->key, version);
    for (uint32_t i = row->column; i < row->column + row->columns_count; i++) {
        if (!value_check(reply, row->index, i, item_value(seed, i))) return false;
    }
    return true;
}

int64_t shaped_row_version(const struct shaped_reply *reply, uint32_t index) {
    struct row_head head = head_of(reply, index);
    return head.status == FST_OK ? head.version : 0;
}
