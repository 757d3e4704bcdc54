#include "ingest/row_builder.h"

#include "base/assert.h"
#include "model/value_parse.h"

/* What a value may take in the heap beyond its text: padding and the count of a list; in a key
 * also the length of a string, or the eight bytes of a number of one digit. */
enum { VALUE_BEYOND_TEXT_BYTES = 12, KEY_BEYOND_TEXT_BYTES = 8 + 10 * KEY_COLUMNS_MAX };

/* The most that one character of text can become: "0," is an element of 8 bytes in a list. */
static size_t heap_growth(const struct row_layout *layout) {
    for (uint32_t c = 0; c < layout->body.columns_count; c++) {
        if (layout->body.columns[c].type.kind == TYPE_LIST) return 4;
    }
    return 1;
}

enum fst_status row_builder_init(struct row_builder *builder, const struct view *view,
                                 uint32_t rows_max, size_t text_bytes, struct arena *arena) {
    const struct row_layout *layout = &view_current(view)->layout;
    size_t beyond = (size_t)layout->body.references_count * VALUE_BEYOND_TEXT_BYTES;
    if (layout->key_bytes == 0) beyond += KEY_BEYOND_TEXT_BYTES;
    size_t heap_bytes = text_bytes * heap_growth(layout) + rows_max * beyond;
    uint8_t *heap = heap_bytes <= UINT32_MAX ? arena_get(arena, heap_bytes) : NULL;
    *builder = (struct row_builder){
        .view = view,
        .layout = layout,
        .rows_max = rows_max,
        .images = arena_get(arena, (size_t)rows_max * layout->image_bytes),
        .lines = arena_get(arena, rows_max * sizeof(uint64_t)),
    };
    if (!builder->images || !builder->lines || !heap) return FST_TOO_LARGE;
    builder->heap = writer_of(heap, heap_bytes);
    return FST_OK;
}

static uint8_t *image_of(const struct row_builder *builder) {
    return builder->images + (size_t)builder->rows_count * builder->layout->image_bytes;
}

static uint8_t *body_of(const struct row_builder *builder) {
    return image_of(builder) + builder->layout->body_offset;
}

enum fst_status row_builder_begin(struct row_builder *builder, uint64_t line) {
    if (builder->rows_count == builder->rows_max) return FST_TOO_LARGE;
    memset(image_of(builder), 0, builder->layout->image_bytes);
    for (uint32_t c = 0; c < builder->layout->body.columns_count; c++) {
        row_set_null(body_of(builder), c);
    }
    memset(builder->has_key, 0, sizeof builder->has_key);
    builder->lines[builder->rows_count] = line;
    builder->heap_before = builder->heap;
    return FST_OK;
}

void row_builder_cancel(struct row_builder *builder) {
    builder->heap = builder->heap_before;
}

enum fst_status row_builder_put_key(struct row_builder *builder, uint32_t column, struct bytes text,
                                    const char **expected_out) {
    FST_ASSERT(column < builder->view->entity->keys_count);
    struct writer out = writer_of(builder->key_bytes[column], KEY_BYTES_MAX);
    enum fst_status status = value_parse(builder->view->entity->key_types[column],
                                         (const char *)text.data, text.bytes, &out, expected_out);
    if (status == FST_TOO_LARGE) *expected_out = "a key of at most 256 bytes";
    FST_TRY(status);
    builder->key_sizes[column] = (uint32_t)writer_used(&out);
    builder->has_key[column] = true;
    return FST_OK;
}

static void heap_pad(struct writer *heap) {
    static const uint8_t zeros[8];
    write_bytes(heap, zeros, bytes_align(writer_used(heap), 8) - writer_used(heap));
}

enum fst_status row_builder_put_feature(struct row_builder *builder, uint32_t column,
                                        struct bytes text, const char **expected_out) {
    const struct row_column *cell = &builder->layout->body.columns[column];
    uint8_t *body = body_of(builder);
    const char *data = (const char *)text.data;
    if (type_fixed_bytes(cell->type) > 0) {
        struct writer out = writer_of(body + cell->offset, cell->bytes);
        FST_TRY(value_parse(cell->type, data, text.bytes, &out, expected_out));
    } else {
        size_t begin = writer_used(&builder->heap);
        FST_TRY(value_parse(cell->type, data, text.bytes, &builder->heap, expected_out));
        struct row_reference reference = {.offset = (uint32_t)begin,
                                          .bytes = (uint32_t)(writer_used(&builder->heap) - begin)};
        memcpy(body + cell->offset, &reference, sizeof reference);
        heap_pad(&builder->heap);
    }
    body[column / 8] &= (uint8_t) ~(1u << (column % 8));
    return FST_OK;
}

static enum fst_status key_finish(struct row_builder *builder, const char **column_out) {
    const struct entity *entity = builder->view->entity;
    uint8_t key[KEY_COLUMNS_MAX * (KEY_BYTES_MAX + 2)];
    struct writer out = writer_of(key, sizeof key);
    for (uint32_t i = 0; i < entity->keys_count; i++) {
        *column_out = entity->keys[i].name.text;
        if (!builder->has_key[i]) return FST_INVALID;
        struct bytes value = {.data = builder->key_bytes[i], .bytes = builder->key_sizes[i]};
        key_append(&out, entity->key_types[i], value);
    }
    struct bytes canonical = {.data = key, .bytes = writer_used(&out)};
    enum fst_status status = key_check(entity->key_types, entity->keys_count, canonical);
    if (status != FST_OK) return status;
    uint8_t *cell = image_of(builder) + ROW_KEY_OFFSET;
    if (builder->layout->key_bytes > 0) {
        memcpy(cell, key, canonical.bytes);
        return FST_OK;
    }
    struct row_reference reference = {.offset = (uint32_t)writer_used(&builder->heap),
                                      .bytes = (uint32_t)canonical.bytes};
    write_bytes(&builder->heap, key, canonical.bytes);
    heap_pad(&builder->heap);
    memcpy(cell, &reference, sizeof reference);
    return builder->heap.failed ? FST_TOO_LARGE : FST_OK;
}

enum fst_status row_builder_finish(struct row_builder *builder, int64_t event_us,
                                   int64_t created_us, const char **column_out) {
    enum fst_status status = key_finish(builder, column_out);
    if (status != FST_OK) {
        row_builder_cancel(builder);
        return status;
    }
    uint8_t *image = image_of(builder);
    store_i64(image, event_us);
    store_i64(image + 8, created_us);
    builder->rows_count += 1;
    return FST_OK;
}
