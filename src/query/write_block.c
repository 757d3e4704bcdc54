#include "query/write_block.h"

#include "base/assert.h"
#include "storage/recovery/identity.h"

/* Bits of the field `columns`. */
enum { COLUMN_CREATED = 1, COLUMN_DELETE = 2 };

/* One column as it lies in the payload. */
struct column {
    uint32_t bytes_each;  /* 0: values have ends */
    const uint8_t *nulls; /* NULL for key columns */
    const uint8_t *ends;  /* u32 per row */
    const uint8_t *values;
};

enum fst_status write_block_decode(struct bytes payload, struct write_block *block_out,
                                   struct fst_error *error) {
    struct reader reader = reader_of(payload.data, payload.bytes);
    struct write_block block = {.layout_id = read_u64(&reader), .sequence = read_u64(&reader)};
    block.rows_count = read_u32(&reader);
    uint8_t ack = read_u8(&reader);
    uint8_t columns = read_u8(&reader);
    uint16_t reserved = read_u16(&reader);
    if (reader.failed) {
        return fst_error_set(error, FST_BAD_FRAME, "WRITE: expected 24 bytes of header, found %zu",
                             payload.bytes);
    }
    if (block.sequence == 0) {
        return fst_error_set(error, FST_BAD_FRAME, "WRITE sequence: expected from 1, found 0");
    }
    if (block.rows_count == 0 || block.rows_count > ROW_SET_ROWS_MAX) {
        return fst_error_set(error, block.rows_count ? FST_TOO_LARGE : FST_BAD_FRAME,
                             "WRITE rows_count: expected 1 to %d, found %u", ROW_SET_ROWS_MAX,
                             block.rows_count);
    }
    if (ack > 1) {
        return fst_error_set(error, FST_BAD_FRAME, "WRITE ack: expected 0 or 1, found %u", ack);
    }
    if ((columns & ~(COLUMN_CREATED | COLUMN_DELETE)) != 0) {
        return fst_error_set(error, FST_BAD_FRAME, "WRITE columns: unknown bits in %#x", columns);
    }
    if (reserved != 0) {
        return fst_error_set(error, FST_BAD_FRAME, "WRITE reserved: expected 0, found %u",
                             reserved);
    }
    block.is_durable = ack == 1;
    block.has_created = columns & COLUMN_CREATED;
    block.is_delete = columns & COLUMN_DELETE;
    block.columns = reader;
    *block_out = block;
    return FST_OK;
}

/* A bitmap is whole bytes; bits that belong to no row are 0. */
static bool nulls_are_sound(const uint8_t *nulls, uint32_t rows_count) {
    return rows_count % 8 == 0 || nulls[rows_count / 8] >> (rows_count % 8) == 0;
}

/* Bounds of a column: every end is in order, and inside the payload. */
static bool column_read(struct reader *reader, uint32_t bytes_each, bool is_key,
                        uint32_t rows_count, struct column *column_out) {
    struct column column = {.bytes_each = bytes_each};
    if (!is_key) column.nulls = read_bytes(reader, (rows_count + 7) / 8);
    if (bytes_each > 0) {
        column.values = read_bytes(reader, (size_t)bytes_each * rows_count);
    } else {
        column.ends = read_bytes(reader, (size_t)4 * rows_count);
        if (!column.ends) return false;
        uint32_t last = 0;
        for (uint32_t i = 0; i < rows_count; i++) {
            uint32_t end = load_u32(column.ends + (size_t)4 * i);
            if (end < last) return false;
            last = end;
        }
        column.values = read_bytes(reader, last);
    }
    *column_out = column;
    return !reader->failed;
}

static struct bytes column_value(const struct column *column, uint32_t row) {
    if (column->bytes_each > 0) {
        return (struct bytes){.data = column->values + (size_t)column->bytes_each * row,
                              .bytes = column->bytes_each};
    }
    uint32_t begin = row ? load_u32(column->ends + (size_t)4 * (row - 1)) : 0;
    uint32_t end = load_u32(column->ends + (size_t)4 * row);
    return (struct bytes){.data = column->values + begin, .bytes = end - begin};
}

static bool column_is_null(const struct column *column, uint32_t row) {
    return column->nulls && (column->nulls[row / 8] >> (row % 8) & 1);
}

/* ---- rows ---- */

struct rows {
    struct row_set set;
    const struct row_layout *layout;
    uint32_t heap_bytes_max;
};

static uint8_t *image_at(const struct rows *rows, uint32_t row) {
    return rows->set.images + (size_t)row * rows->layout->image_bytes;
}

/* The heap was sized from the payload, so it always has room. */
static uint8_t *heap_get(struct rows *rows, size_t bytes, uint8_t *cell) {
    struct row_reference reference = {.offset = rows->set.heap_bytes, .bytes = (uint32_t)bytes};
    size_t padded = bytes_align(bytes, 8);
    FST_ASSERT(rows->set.heap_bytes + padded <= rows->heap_bytes_max);
    uint8_t *at = rows->set.heap + rows->set.heap_bytes;
    memset(at + bytes, 0, padded - bytes);
    rows->set.heap_bytes += (uint32_t)padded;
    memcpy(cell, &reference, sizeof reference);
    return at;
}

static void key_write(struct rows *rows, const struct column *columns, uint32_t keys_count,
                      uint32_t row) {
    uint8_t key[KEY_COLUMNS_MAX * 16 + KEY_BYTES_MAX];
    struct writer w = writer_of(key, sizeof key);
    for (uint32_t i = 0; i < keys_count; i++) {
        struct bytes value = column_value(&columns[i], row);
        if (columns[i].bytes_each == 0)
            write_short(&w, value.data, value.bytes);
        else
            write_bytes(&w, value.data, value.bytes);
    }
    const struct entity *entity = rows->set.view->entity;
    struct bytes canonical = {.data = key, .bytes = writer_used(&w)};
    enum fst_status status =
        w.failed ? FST_TOO_LARGE : key_check(entity->key_types, entity->keys_count, canonical);
    if (status != FST_OK) {
        rows->set.statuses[row] = (uint8_t)status;
        return;
    }
    uint8_t *cell = image_at(rows, row) + ROW_KEY_OFFSET;
    if (rows->layout->key_bytes > 0)
        memcpy(cell, key, canonical.bytes);
    else
        memcpy(heap_get(rows, canonical.bytes, cell), key, canonical.bytes);
}

static bool is_any_bits(uint8_t kind) {
    return kind != TYPE_BOOL && kind != TYPE_STRING && kind != TYPE_LIST;
}

static void values_write(struct rows *rows, const struct column *column,
                         const struct write_column *place) {
    size_t offset = rows->layout->body_offset;
    for (uint32_t row = 0; row < rows->set.rows_count; row++) {
        uint8_t *body = image_at(rows, row) + offset;
        if (column_is_null(column, row)) {
            row_set_null(body, place->index);
            continue;
        }
        struct bytes value = column_value(column, row);
        if (!is_any_bits(place->type.kind) || value.bytes > VALUE_BYTES_MAX) {
            enum fst_status status = value_check(place->type, value);
            if (status != FST_OK) {
                rows->set.statuses[row] = (uint8_t)status;
                continue;
            }
        }
        uint8_t *to = body + place->offset;
        if (column->bytes_each == 0) to = heap_get(rows, value.bytes, to);
        memcpy(to, value.data, value.bytes);
        value_normalize(place->type, to, value.bytes);
    }
}

/* Values of 8 bytes, most of what features are. */
static void words_write(struct rows *rows, const struct column *column,
                        const struct write_column *place) {
    uint8_t *body = rows->set.images + rows->layout->body_offset;
    size_t image_bytes = rows->layout->image_bytes;
    for (uint32_t row = 0; row < rows->set.rows_count; row++, body += image_bytes) {
        if (column_is_null(column, row)) {
            row_set_null(body, place->index);
            continue;
        }
        uint64_t bits = load_u64(column->values + (size_t)8 * row);
        if (place->kind == WRITE_FLOAT64) bits = value_float64_bits(bits);
        store_u64(body + place->offset, bits);
    }
}

/* Columns that were not given are null. */
static void nulls_write(struct rows *rows, const struct write_plan *plan) {
    size_t bytes = (size_t)rows->layout->body.null_words * sizeof(uint64_t);
    for (uint32_t row = 0; row < rows->set.rows_count; row++) {
        memcpy(image_at(rows, row) + rows->layout->body_offset, plan->nulls, bytes);
    }
}

/* The most that the heap can need: what came, and per value without a fixed size its padding to 8
 * bytes, per key that and the lengths of its parts. */
static size_t heap_bytes_bound(const struct write_plan *plan, uint32_t rows_count,
                               size_t payload_bytes) {
    if (plan->references_count == 0 && view_current(plan->view)->layout.key_bytes > 0) return 0;
    size_t bytes_each = 2 * KEY_COLUMNS_MAX + 8 + KEY_COLUMNS_MAX * 8 + plan->references_count * 8;
    return payload_bytes + rows_count * bytes_each;
}

/* Room for the rows of rows->set, of which only the heap is filled later. */
static enum fst_status rows_init(struct rows *rows, size_t heap_bytes, struct arena *arena) {
    uint32_t rows_count = rows->set.rows_count;
    rows->layout = row_set_layout(&rows->set);
    size_t images_bytes = (size_t)rows_count * rows->layout->image_bytes;
    size_t columns_bytes = (KEY_COLUMNS_MAX + FEATURES_MAX) * sizeof(struct column);
    size_t bytes = columns_bytes + arena_piece_bytes(images_bytes) + arena_piece_bytes(rows_count) +
                   arena_piece_bytes(heap_bytes) + row_split_bytes(rows_count, PARTITIONS_MAX);
    if (bytes > arena->capacity_bytes || heap_bytes > UINT32_MAX) return FST_TOO_LARGE;
    rows->heap_bytes_max = (uint32_t)heap_bytes;
    rows->set.images = arena_get(arena, images_bytes);
    rows->set.statuses = arena_get(arena, rows_count);
    rows->set.heap = arena_get(arena, rows->heap_bytes_max);
    if (!rows->set.images || !rows->set.statuses || !rows->set.heap) return FST_OVERLOADED;
    memset(rows->set.images, 0, images_bytes);
    memset(rows->set.statuses, FST_OK, rows_count);
    return FST_OK;
}

static void times_write(struct rows *rows, const uint8_t *event_us, const uint8_t *created_us,
                        int64_t now_us) {
    for (uint32_t row = 0; row < rows->set.rows_count; row++) {
        uint8_t *image = image_at(rows, row);
        memcpy(image, event_us + (size_t)8 * row, 8);
        if (created_us)
            memcpy(image + 8, created_us + (size_t)8 * row, 8);
        else
            store_i64(image + 8, now_us);
    }
}

/* Finds all columns in the payload. */
static enum fst_status columns_read(struct write_block *block, const struct write_plan *plan,
                                    struct column *columns, struct fst_error *error) {
    struct reader *reader = &block->columns;
    const struct entity *entity = plan->view->entity;
    uint32_t features_count = block->is_delete ? 0 : plan->columns_count;
    for (uint32_t i = 0; i < entity->keys_count + features_count; i++) {
        bool is_key = i < entity->keys_count;
        uint32_t bytes_each = is_key ? type_fixed_bytes(entity->key_types[i])
                                     : plan->columns[i - entity->keys_count].bytes_each;
        if (!column_read(reader, bytes_each, is_key, block->rows_count, &columns[i])) {
            return fst_error_set(error, FST_BAD_FRAME,
                                 "WRITE column %u: its values do not lie inside the frame", i);
        }
        if (!is_key && !nulls_are_sound(columns[i].nulls, block->rows_count)) {
            return fst_error_set(error, FST_BAD_FRAME,
                                 "WRITE column %u: null bits of rows that there are not", i);
        }
    }
    if (reader_is_done(reader)) return FST_OK;
    return fst_error_set(error, FST_BAD_FRAME, "WRITE: %zu bytes after the last column",
                         reader_left(reader));
}

enum fst_status write_block_rows(struct write_block *block, const struct write_plan *plan,
                                 int64_t now_us, struct arena *arena, struct row_set *set_out,
                                 struct fst_error *error) {
    struct reader *reader = &block->columns;
    size_t payload_bytes = reader_left(reader);
    const struct entity *entity = plan->view->entity;
    const uint8_t *event_us = read_bytes(reader, (size_t)8 * block->rows_count);
    const uint8_t *created_us =
        block->has_created ? read_bytes(reader, (size_t)8 * block->rows_count) : NULL;
    size_t columns_count = entity->keys_count + plan->columns_count;
    struct column *columns = arena_get(arena, columns_count * sizeof *columns);
    if (!columns) return fst_error_set(error, FST_OVERLOADED, "no memory for this write now");
    FST_TRY(columns_read(block, plan, columns, error));
    struct rows rows = {.set = {.view = plan->view,
                                .is_delete = block->is_delete,
                                .rows_count = block->rows_count}};
    size_t heap_bytes = heap_bytes_bound(plan, block->rows_count, payload_bytes);
    enum fst_status status = rows_init(&rows, heap_bytes, arena);
    if (status != FST_OK) {
        return fst_error_set(error, status,
                             status == FST_OVERLOADED
                                 ? "no memory for %u rows of %u bytes now"
                                 : "WRITE: expected fewer rows at once, found %u of %u bytes",
                             block->rows_count, rows.layout->image_bytes);
    }
    times_write(&rows, event_us, created_us, now_us);
    if (!block->is_delete) nulls_write(&rows, plan);
    for (uint32_t row = 0; row < block->rows_count; row++) {
        key_write(&rows, columns, entity->keys_count, row);
    }
    for (uint32_t i = 0; i < plan->columns_count && !block->is_delete; i++) {
        const struct write_column *place = &plan->columns[i];
        if (place->kind == WRITE_OTHER)
            values_write(&rows, &columns[entity->keys_count + i], place);
        else
            words_write(&rows, &columns[entity->keys_count + i], place);
    }
    *set_out = rows.set;
    return FST_OK;
}
