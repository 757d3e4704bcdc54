/*
 * row: the layout of one row image, and the reading and writing of its cells.
 *
 * A view revision has one layout; the same image is what a write decodes to, what the log stores,
 * what the online table holds behind its own header and what a checkpoint keeps. Groups of a GET
 * reply (docs/protocol.md) have the same body.
 *
 *     image:  [ event_us 8 | created_us 8 | key | body ]
 *     key:    canonical key padded to 8 when all key columns are fixed-size, else one reference
 *     body:   [ null bits, u64 x ceil(n/64) | values: class 8, then 4, then 1 | pad to 8 ]
 *
 * A reference is { u32 offset, u32 bytes } into a heap that travels with the image. Null values are
 * zero bytes; padding is zero.
 *
 * Invariants, restated in row_check():
 *   R1  Every reference lies inside the heap.
 *   R2  A null cell and all padding are zero.
 *   R3  Every cell that is not null passes value_check().
 *
 * Threads: pure. Memory: a layout owns its columns array through the allocation of its creator.
 */
#ifndef MODEL_ROW_H
#define MODEL_ROW_H

#include "model/key.h"

enum {
    ROW_KEY_OFFSET = 16,
    ROW_IMAGE_BYTES_MAX = 65536,
    FEATURES_MAX = 1000, /* per view, and per request */
};

struct row_reference {
    uint32_t offset;
    uint32_t bytes;
};

struct row_column {
    struct type type;
    uint32_t offset; /* in the body */
    uint32_t bytes;  /* in the row */
};

/* Body: the part that holds features. */
struct row_body {
    uint32_t columns_count;
    uint32_t null_words;        /* u64 words of null bits at the start of the body */
    uint32_t bytes;             /* a multiple of 8 */
    uint32_t references_count;  /* columns without a fixed size */
    uint32_t fixed_bytes;       /* of the values of all other columns */
    struct row_column *columns; /* in order of definition; bit i is column i's null bit */
};

struct row_layout {
    uint32_t key_bytes; /* of a canonical key; 0 when it varies */
    uint32_t key_types_count;
    struct type key_types[KEY_COLUMNS_MAX];
    uint32_t body_offset; /* ROW_KEY_OFFSET + key area */
    uint32_t image_bytes; /* body_offset + body.bytes */
    struct row_body body;
};

/* Fills `body` for these types. `columns` must have room for all and is kept. */
void row_body_init(struct row_body *body, struct row_column *columns, const struct type *types,
                   uint32_t types_count);

/* Layout of an image; `body` is copied. */
void row_layout_init(struct row_layout *layout, const struct type *key_types,
                     uint32_t key_types_count, const struct row_body *body);

/* The image_bytes of the layout for these types. */
size_t row_image_bytes(const struct type *key_types, uint32_t key_types_count,
                       const struct type *types, uint32_t types_count);

/* Canonical bytes of the image's key. Borrowed from image or heap. */
struct bytes row_key(const struct row_layout *layout, const uint8_t *image, const uint8_t *heap);

bool row_is_null(const uint8_t *body_bytes, uint32_t column);
/* Sets the null bit; the cell is left as it is. */
void row_set_null(uint8_t *body_bytes, uint32_t column);

/* The encoded value of a cell that is not null. Borrowed from body or heap. */
struct bytes row_value(const struct row_body *body, const uint8_t *body_bytes, const uint8_t *heap,
                       uint32_t column);

/* Sizes of the heap part that belongs to this image: key plus values, each padded to 8. */
size_t row_heap_bytes(const struct row_layout *layout, const uint8_t *image);

/* For bytes from outside: FST_CORRUPT if R1, R2 or R3 fails. */
FST_MUST_USE enum fst_status row_check(const struct row_layout *layout, const uint8_t *image,
                                       const uint8_t *heap, size_t heap_bytes);

/* Changes the layout of a body after a compatible change: copies, widens, sets new columns null.
 * The columns of `from` are a prefix of those of `to`. References are copied as they are. */
void row_convert(const struct row_body *from, const uint8_t *from_bytes, const struct row_body *to,
                 uint8_t *to_bytes);

#endif
