/*
 * row_builder: row images of one view, made value by value from text.
 *
 *     begin -> key columns, features, in any order -> finish      (or cancel)
 *
 * Values that are not put are null; a row without one of its key columns is refused at finish. Rows
 * lie one after another as images of the current revision, with one heap.
 *
 * Invariants:
 *   B1  rows_count images are whole; the next one is being built exactly between begin and finish.
 *   B2  Every finished image passes row_check().
 *
 * Threads: one. Memory: images, heap and lines are the caller's arena's.
 */
#ifndef INGEST_ROW_BUILDER_H
#define INGEST_ROW_BUILDER_H

#include "base/arena.h"
#include "model/definition.h"

struct row_builder {
    const struct view *view;
    const struct row_layout *layout;
    uint32_t rows_count;
    uint32_t rows_max;
    uint8_t *images;
    struct writer heap;
    bool has_key[KEY_COLUMNS_MAX];
    uint8_t key_bytes[KEY_COLUMNS_MAX][KEY_BYTES_MAX];
    uint32_t key_sizes[KEY_COLUMNS_MAX];
    uint64_t *lines;           /* per row: the number it was begun with */
    struct writer heap_before; /* at begin */
};

/* Room for so many rows whose texts are so many bytes in all. FST_TOO_LARGE when the
 * arena has less. */
FST_MUST_USE enum fst_status row_builder_init(struct row_builder *builder, const struct view *view,
                                              uint32_t rows_max, size_t text_bytes,
                                              struct arena *arena);

/* FST_TOO_LARGE at rows_max. `line` is kept for messages. */
FST_MUST_USE enum fst_status row_builder_begin(struct row_builder *builder, uint64_t line);
void row_builder_cancel(struct row_builder *builder);

/* From text in the forms of model/value_parse.h. On failure *expected_out says what was
 * expected. */
FST_MUST_USE enum fst_status row_builder_put_key(struct row_builder *builder, uint32_t column,
                                                 struct bytes text, const char **expected_out);
FST_MUST_USE enum fst_status row_builder_put_feature(struct row_builder *builder, uint32_t column,
                                                     struct bytes text, const char **expected_out);

/* Ends the row. FST_INVALID names the key column that is missing (*column_out), FST_TOO_LARGE a key
 * that is too long. */
FST_MUST_USE enum fst_status row_builder_finish(struct row_builder *builder, int64_t event_us,
                                                int64_t created_us, const char **column_out);

#endif
