#include "query/reply.h"

#include "base/assert.h"
#include "storage/online/partition.h"

/* Of a group in a row. */
enum { GROUP_STATUS = 0, GROUP_EVENT = 8, GROUP_CREATED = 16, GROUP_LSN = 24 };
static_assert((int)GROUP_LSN + 8 == (int)PLAN_GROUP_HEADER_BYTES, "as in docs/protocol.md, GET");

/* Of a view in columns, times the room. */
enum { VIEW_EVENT = 0, VIEW_CREATED = 8, VIEW_LSN = 16, VIEW_STATUS = 24 };
static_assert((int)VIEW_STATUS + 1 == (int)PLAN_VIEW_COLUMN_BYTES, "as in docs/protocol.md, GET");

static_assert((int)FST_OK == 0 && (int)REPLY_NULL == 1, "a status can be a bool");

/* ---- sizes ---- */

/* Elements of each array of a reply in columns. */
static size_t columns_room(const struct reply *reply) {
    return bytes_align(reply->keys_count, 8);
}

static size_t number_bytes(const struct reply *reply) {
    return reply->shape == REPLY_FLOAT32 ? sizeof(float) : sizeof(double);
}

size_t reply_bytes(const struct reply *reply) {
    const struct read_plan *plan = reply->plan;
    switch (reply->shape) {
    case REPLY_ROWS:
        return (size_t)reply->keys_count * plan->row_bytes;
    case REPLY_COLUMNS:
        return columns_room(reply) * plan->columns_bytes;
    default:
        return (size_t)reply->keys_count * plan->features_count *
               (number_bytes(reply) + reply->has_statuses);
    }
}

enum fst_status reply_shape_check(const struct read_plan *plan, enum reply_shape shape,
                                  struct fst_error *error) {
    if (!reply_is_matrix(shape) || plan->numbers_count == plan->features_count) return FST_OK;
    const struct plan_feature *wrong = &plan->features[plan->numbers_count];
    const struct plan_group *group = &plan->groups[wrong->group];
    const struct view *view = group->view;
    const struct feature *feature = &view->features[group->columns[wrong->column]];
    char type[TYPE_TEXT_BYTES];
    type_format(feature->type, type);
    return fst_error_set(error, FST_INVALID,
                         "a matrix has numbers: expected none but bool, int32, int64, float32, "
                         "float64, decimal, timestamp, found %s.%s:%s of type %s",
                         view->space.text, view->name.text, feature->name.text, type);
}

/* ---- values without a fixed size, defaults ---- */

static void reference_write(const struct reply *reply, uint8_t *cell, struct bytes value) {
    struct row_reference reference = {.offset = (uint32_t)writer_used(reply->heap),
                                      .bytes = (uint32_t)value.bytes};
    write_bytes(reply->heap, value.data, value.bytes);
    memcpy(cell, &reference, sizeof reference);
}

static void default_write(const struct reply *reply, const struct feature *feature, uint8_t *cell) {
    if (type_fixed_bytes(feature->type) == 0)
        reference_write(reply, cell, feature->default_value);
    else
        memcpy(cell, feature->default_value.data, feature->default_value.bytes);
}

/* ---- rows ---- */

/* Null everywhere; values zero. */
static void body_clear(const struct row_body *layout, uint8_t *body) {
    memset(body, 0, layout->bytes);
    for (uint32_t c = 0; c < layout->columns_count; c++) row_set_null(body, c);
}

static void defaults_write(const struct reply *reply, const struct plan_group *group,
                           uint8_t *body) {
    for (uint32_t c = 0; c < group->body.columns_count; c++) {
        const struct feature *feature = &group->view->features[group->columns[c]];
        if (!feature->has_default || !row_is_null(body, c)) continue;
        default_write(reply, feature, body + group->body.columns[c].offset);
    }
}

/* The value of a cell that has no fixed size. */
static struct bytes value_of(const struct reply_row *row, const uint8_t *cell) {
    if (!row->heap) return partition_value(row->partition, load_u64(cell));
    struct row_reference reference;
    memcpy(&reference, cell, sizeof reference);
    return (struct bytes){.data = row->heap + reference.offset, .bytes = reference.bytes};
}

/* Replaces what leads to the row's values by references into the reply's heap. */
static void references_write(const struct reply *reply, const struct row_body *layout,
                             const struct reply_row *row, uint8_t *body) {
    for (uint32_t c = 0; c < layout->columns_count; c++) {
        const struct row_column *cell = &layout->columns[c];
        if (type_fixed_bytes(cell->type) != 0 || row_is_null(body, c)) continue;
        reference_write(reply, body + cell->offset, value_of(row, body + cell->offset));
    }
}

static uint8_t *group_place(const struct reply *reply, const struct plan_group *group,
                            uint32_t key) {
    return reply->out + (size_t)key * reply->plan->row_bytes + group->offset;
}

static void rows_put(const struct reply *reply, const struct plan_group *group, uint32_t key,
                     const struct reply_row *row) {
    uint8_t *out = group_place(reply, group, key);
    uint8_t *body = out + PLAN_GROUP_HEADER_BYTES;
    store_u64(out + GROUP_STATUS, row->status);
    store_i64(out + GROUP_EVENT, row->event_us);
    store_i64(out + GROUP_CREATED, row->created_us);
    store_u64(out + GROUP_LSN, row->lsn);
    if (!row->body)
        body_clear(&group->body, body);
    else if (!group->is_whole)
        copy_plan_run(&group->copy, &group->body, row->body, body);
    else if (row->body != body)
        memcpy(body, row->body, group->body.bytes);
    if (row->body && group->body.references_count > 0) {
        references_write(reply, &group->body, row, body);
    }
    if (group->has_defaults) defaults_write(reply, group, body);
}

/* ---- columns ---- */

static void cell_write(const struct reply *reply, const struct reply_row *row,
                       const struct row_column *stored, uint8_t *cell) {
    const uint8_t *from = row->body + stored->offset;
    if (type_fixed_bytes(stored->type) == 0)
        reference_write(reply, cell, value_of(row, from));
    else if (stored->bytes == 8)
        memcpy(cell, from, 8);
    else
        memcpy(cell, from, stored->bytes);
}

static void columns_put(const struct reply *reply, const struct plan_group *group, uint32_t key,
                        const struct reply_row *row) {
    size_t room = columns_room(reply);
    uint8_t *view = reply->out + room * group->columns_offset;
    store_i64(view + room * VIEW_EVENT + 8 * (size_t)key, row->event_us);
    store_i64(view + room * VIEW_CREATED + 8 * (size_t)key, row->created_us);
    store_u64(view + room * VIEW_LSN + 8 * (size_t)key, row->lsn);
    view[room * VIEW_STATUS + key] = row->status;
    const struct row_body *stored = &view_current(group->view)->layout.body;
    for (uint32_t c = 0; c < group->body.columns_count; c++) {
        const struct feature *feature = &group->view->features[group->columns[c]];
        const struct row_column *from = &stored->columns[group->columns[c]];
        uint8_t *nulls =
            reply->out + room * reply->plan->features[group->features[c]].columns_offset;
        uint8_t *cell = nulls + room + (size_t)key * from->bytes;
        bool is_null = !row->body || row_is_null(row->body, group->columns[c]);
        nulls[key] = is_null;
        if (!is_null)
            cell_write(reply, row, from, cell);
        else if (feature->has_default)
            default_write(reply, feature, cell);
        else
            memset(cell, 0, from->bytes);
    }
}

/* The elements of every array beyond the last key. */
static void columns_begin(const struct reply *reply) {
    const struct read_plan *plan = reply->plan;
    size_t room = columns_room(reply);
    size_t used = reply->keys_count;
    size_t left = room - used;
    if (left == 0) return;
    for (uint32_t g = 0; g < plan->groups_count; g++) {
        uint8_t *view = reply->out + room * plan->groups[g].columns_offset;
        memset(view + room * VIEW_EVENT + used * 8, 0, left * 8);
        memset(view + room * VIEW_CREATED + used * 8, 0, left * 8);
        memset(view + room * VIEW_LSN + used * 8, 0, left * 8);
        memset(view + room * VIEW_STATUS + used, 0, left);
    }
    for (uint32_t i = 0; i < plan->features_count; i++) {
        const struct plan_feature *feature = &plan->features[i];
        uint32_t bytes = plan->groups[feature->group].body.columns[feature->column].bytes;
        uint8_t *nulls = reply->out + room * feature->columns_offset;
        memset(nulls + used, 0, left);
        memset(nulls + room + used * bytes, 0, left * bytes);
    }
}

/* ---- matrix ---- */

static bool body_has_nulls(const struct row_body *layout, const uint8_t *body) {
    for (uint32_t w = 0; w < layout->null_words; w++) {
        if (load_u64(body + (size_t)w * 8) != 0) return true;
    }
    return false;
}

static void fills_write(const struct reply *reply, const struct plan_group *group,
                        const uint8_t *body, uint8_t *out) {
    for (uint32_t c = 0; c < group->body.columns_count; c++) {
        if (body && !row_is_null(body, group->columns[c])) continue;
        uint32_t at = group->features[c];
        const struct plan_feature *feature = &reply->plan->features[at];
        if (reply->shape == REPLY_FLOAT32)
            memcpy(out + at * sizeof(float), &feature->fill_float32, sizeof(float));
        else
            memcpy(out + at * sizeof(double), &feature->fill_float64, sizeof(double));
    }
}

static void statuses_write(const struct plan_group *group, const struct reply_row *row,
                           uint8_t *out) {
    for (uint32_t c = 0; c < group->body.columns_count; c++) {
        bool is_null = row->status == FST_OK && row_is_null(row->body, group->columns[c]);
        out[group->features[c]] = is_null ? REPLY_NULL : row->status;
    }
}

static void matrix_put(const struct reply *reply, const struct plan_group *group, uint32_t key,
                       const struct reply_row *row) {
    size_t count = reply->plan->features_count;
    size_t bytes = number_bytes(reply);
    uint8_t *out = reply->out + key * count * bytes;
    if (row->body && reply->shape == REPLY_FLOAT32)
        number_plan_run_float32(&group->numbers, row->body, out);
    else if (row->body)
        number_plan_run_float64(&group->numbers, row->body, out);
    if (!row->body || body_has_nulls(&view_current(group->view)->layout.body, row->body)) {
        fills_write(reply, group, row->body, out);
    }
    if (!reply->has_statuses) return;
    statuses_write(group, row, reply->out + reply->keys_count * count * bytes + key * count);
}

/* ---- all shapes ---- */

void reply_begin(const struct reply *reply) {
    if (reply->shape == REPLY_COLUMNS) columns_begin(reply);
}

uint8_t *reply_body_room(const struct reply *reply, const struct plan_group *group, uint32_t key) {
    if (reply->shape != REPLY_ROWS || !group->is_whole) return NULL;
    return group_place(reply, group, key) + PLAN_GROUP_HEADER_BYTES;
}

void reply_put(const struct reply *reply, const struct plan_group *group, uint32_t key,
               const struct reply_row *row) {
    FST_ASSERT(key < reply->keys_count);
    FST_ASSERT(row->body || row->status != FST_OK);
    if (reply->shape == REPLY_ROWS)
        rows_put(reply, group, key, row);
    else if (reply->shape == REPLY_COLUMNS)
        columns_put(reply, group, key, row);
    else
        matrix_put(reply, group, key, row);
}
