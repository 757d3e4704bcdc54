#include "model/row.h"

#include "base/assert.h"

static_assert(sizeof(struct row_reference) == 8, "references are stored as they are");

static const uint32_t row_classes[] = {8, 4, 1};
enum { ROW_CLASSES = sizeof row_classes / sizeof row_classes[0] };

/* ---- layouts ---- */

void row_body_init(struct row_body *body, struct row_column *columns, const struct type *types,
                   uint32_t types_count) {
    uint32_t null_words = (types_count + 63) / 64;
    uint32_t offset = null_words * 8;
    uint32_t references_count = 0;
    uint32_t fixed_bytes = 0;
    for (uint32_t i = 0; i < types_count; i++) {
        columns[i] = (struct row_column){.type = types[i], .bytes = type_row_bytes(types[i])};
        fixed_bytes += type_fixed_bytes(types[i]);
        if (type_fixed_bytes(types[i]) == 0) references_count += 1;
    }
    for (uint32_t k = 0; k < ROW_CLASSES; k++) {
        for (uint32_t i = 0; i < types_count; i++) {
            if (type_row_class(types[i]) != row_classes[k]) continue;
            columns[i].offset = offset;
            offset += columns[i].bytes;
        }
    }
    *body = (struct row_body){
        .columns_count = types_count,
        .null_words = null_words,
        .bytes = (uint32_t)bytes_align(offset, 8),
        .references_count = references_count,
        .fixed_bytes = fixed_bytes,
        .columns = columns,
    };
}

/* Bytes from the start of an image to its body. */
static uint32_t head_bytes(uint32_t key_bytes) {
    uint32_t area = key_bytes > 0 ? key_bytes : (uint32_t)sizeof(struct row_reference);
    return ROW_KEY_OFFSET + (uint32_t)bytes_align(area, 8);
}

/* The classes follow each other without a gap, so a body is the sum of its parts. */
size_t row_image_bytes(const struct type *key_types, uint32_t key_types_count,
                       const struct type *types, uint32_t types_count) {
    size_t bytes = (size_t)(types_count + 63) / 64 * 8;
    for (uint32_t i = 0; i < types_count; i++) bytes += type_row_bytes(types[i]);
    return head_bytes(key_fixed_bytes(key_types, key_types_count)) + bytes_align(bytes, 8);
}

void row_layout_init(struct row_layout *layout, const struct type *key_types,
                     uint32_t key_types_count, const struct row_body *body) {
    FST_ASSERT(key_types_count > 0);
    FST_ASSERT(key_types_count <= KEY_COLUMNS_MAX);
    uint32_t key_bytes = key_fixed_bytes(key_types, key_types_count);
    uint32_t body_offset = head_bytes(key_bytes);
    *layout = (struct row_layout){
        .key_bytes = key_bytes,
        .key_types_count = key_types_count,
        .body_offset = body_offset,
        .image_bytes = body_offset + body->bytes,
        .body = *body,
    };
    memcpy(layout->key_types, key_types, key_types_count * sizeof *key_types);
}

/* ---- cells ---- */

static struct row_reference reference_at(const uint8_t *cell) {
    struct row_reference reference;
    memcpy(&reference, cell, sizeof reference);
    return reference;
}

static struct bytes referenced(const uint8_t *cell, const uint8_t *heap) {
    struct row_reference reference = reference_at(cell);
    if (reference.bytes == 0)
        return (struct bytes){.data = cell, .bytes = 0}; /* heap may be NULL */
    return (struct bytes){.data = heap + reference.offset, .bytes = reference.bytes};
}

struct bytes row_key(const struct row_layout *layout, const uint8_t *image, const uint8_t *heap) {
    const uint8_t *cell = image + ROW_KEY_OFFSET;
    if (layout->key_bytes == 0) return referenced(cell, heap);
    return (struct bytes){.data = cell, .bytes = layout->key_bytes};
}

bool row_is_null(const uint8_t *body_bytes, uint32_t column) {
    return (body_bytes[column / 8] >> (column % 8)) & 1;
}

void row_set_null(uint8_t *body_bytes, uint32_t column) {
    body_bytes[column / 8] |= (uint8_t)(1u << (column % 8));
}

struct bytes row_value(const struct row_body *body, const uint8_t *body_bytes, const uint8_t *heap,
                       uint32_t column) {
    const struct row_column *place = &body->columns[column];
    const uint8_t *cell = body_bytes + place->offset;
    if (type_fixed_bytes(place->type) == 0) return referenced(cell, heap);
    return (struct bytes){.data = cell, .bytes = place->bytes};
}

size_t row_heap_bytes(const struct row_layout *layout, const uint8_t *image) {
    size_t bytes = 0;
    if (layout->key_bytes == 0) bytes += bytes_align(reference_at(image + ROW_KEY_OFFSET).bytes, 8);
    if (layout->body.references_count == 0) return bytes;
    const uint8_t *body_bytes = image + layout->body_offset;
    for (uint32_t c = 0; c < layout->body.columns_count; c++) {
        const struct row_column *place = &layout->body.columns[c];
        if (type_fixed_bytes(place->type) != 0 || row_is_null(body_bytes, c)) continue;
        bytes += bytes_align(reference_at(body_bytes + place->offset).bytes, 8);
    }
    return bytes;
}

/* ---- changing the layout ---- */

static void cell_convert(const struct row_column *from, const uint8_t *from_cell,
                         const struct row_column *to, uint8_t *to_cell) {
    if (from->type.kind == to->type.kind) {
        memcpy(to_cell, from_cell, to->bytes);
    } else if (from->type.kind == TYPE_INT32) {
        FST_ASSERT(to->type.kind == TYPE_INT64);
        store_i64(to_cell, (int32_t)load_u32(from_cell));
    } else {
        FST_ASSERT(from->type.kind == TYPE_FLOAT32);
        FST_ASSERT(to->type.kind == TYPE_FLOAT64);
        float narrow;
        memcpy(&narrow, from_cell, sizeof narrow);
        double wide = (double)narrow;
        memcpy(to_cell, &wide, sizeof wide);
    }
}

void row_convert(const struct row_body *from, const uint8_t *from_bytes, const struct row_body *to,
                 uint8_t *to_bytes) {
    FST_ASSERT(from->columns_count <= to->columns_count);
    memset(to_bytes, 0, to->bytes);
    for (uint32_t c = 0; c < to->columns_count; c++) {
        if (c >= from->columns_count || row_is_null(from_bytes, c)) {
            row_set_null(to_bytes, c);
            continue;
        }
        cell_convert(&from->columns[c], from_bytes + from->columns[c].offset, &to->columns[c],
                     to_bytes + to->columns[c].offset);
    }
}

/* ---- checking ---- */

static bool is_zero(const uint8_t *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] != 0) return false;
    }
    return true;
}

static bool reference_is_inside(const uint8_t *cell, size_t heap_bytes) {
    struct row_reference reference = reference_at(cell);
    return reference.offset <= heap_bytes && reference.bytes <= heap_bytes - reference.offset;
}

static enum fst_status key_cell_check(const struct row_layout *layout, const uint8_t *image,
                                      const uint8_t *heap, size_t heap_bytes) {
    const uint8_t *cell = image + ROW_KEY_OFFSET;
    struct bytes key = {.data = cell, .bytes = layout->key_bytes};
    if (layout->key_bytes == 0) {
        if (!reference_is_inside(cell, heap_bytes)) return FST_CORRUPT; /* R1 */
        key = referenced(cell, heap);
    } else {
        size_t used = ROW_KEY_OFFSET + layout->key_bytes;
        if (!is_zero(image + used, layout->body_offset - used)) return FST_CORRUPT; /* R2 */
    }
    bool is_key = key_check(layout->key_types, layout->key_types_count, key) == FST_OK;
    return is_key ? FST_OK : FST_CORRUPT; /* R3 */
}

/* Padding is between the last column's null bit and the first value, and behind the last value. */
static bool padding_is_zero(const struct row_body *body, const uint8_t *body_bytes) {
    for (uint32_t c = body->columns_count; c < body->null_words * 64; c++) {
        if (row_is_null(body_bytes, c)) return false;
    }
    size_t end = (size_t)body->null_words * 8;
    for (uint32_t c = 0; c < body->columns_count; c++) {
        const struct row_column *place = &body->columns[c];
        if (place->offset + place->bytes > end) end = place->offset + place->bytes;
    }
    return is_zero(body_bytes + end, body->bytes - end);
}

enum fst_status row_check(const struct row_layout *layout, const uint8_t *image,
                          const uint8_t *heap, size_t heap_bytes) {
    FST_TRY(key_cell_check(layout, image, heap, heap_bytes));
    const struct row_body *body = &layout->body;
    const uint8_t *body_bytes = image + layout->body_offset;
    if (!padding_is_zero(body, body_bytes)) return FST_CORRUPT; /* R2 */
    for (uint32_t c = 0; c < body->columns_count; c++) {
        const struct row_column *place = &body->columns[c];
        const uint8_t *cell = body_bytes + place->offset;
        if (row_is_null(body_bytes, c)) {
            if (!is_zero(cell, place->bytes)) return FST_CORRUPT; /* R2 */
            continue;
        }
        if (type_fixed_bytes(place->type) == 0 && !reference_is_inside(cell, heap_bytes)) {
            return FST_CORRUPT; /* R1 */
        }
        struct bytes value = row_value(body, body_bytes, heap, c);
        if (value_check(place->type, value) != FST_OK) return FST_CORRUPT; /* R3 */
    }
    return FST_OK;
}
