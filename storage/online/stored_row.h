/*
 * stored_row: one row in its place, and the one way in which other threads copy it.
 *
 *     row:    [ state u64 | lsn word u64 | image as in model/row.h ]
 *     state:  [ sequence 32 | revision 11 | view id 21 ]
 *     lsn:    [ lsn 48 | 8-byte words of the row 15 | used 1 ]
 *     cell:   [ bytes 24 | place 40 ], of a value without a fixed size
 *
 * The sequence is odd while the row changes. All words are written with release and read with
 * acquire order, and the first word is read again at the end: a reader that saw any word of a
 * change also sees, in that second look, the odd sequence stored before it, or a later one. So no
 * fence is needed, and race detectors understand it. On x86-64 all of these are plain moves.
 *
 * A row that is not there has view id 0. Its key area never changes while it lives.
 *
 * `used` says that the row was read or written since the eviction's hand passed it. Readers set it
 * beside the owner, and one of both may be lost when the row changes: it is a hint.
 *
 * Invariant: a sequence never goes back, so that a place that was used again in between is noticed.
 * Threads: writing by the owner; stored_row_read and stored_row_use by any.
 */
#ifndef STORAGE_ONLINE_STORED_ROW_H
#define STORAGE_ONLINE_STORED_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "model/row.h"

enum {
    STORED_ROW_HEADER_BYTES = 16,
    STORED_ROW_LSN_BITS = 48,
    STORED_ROW_REVISION_BITS = 11,
    STORED_ROW_VIEW_ID_MAX = (1 << 21) - 1,
    STORED_ROW_VALUE_BYTES_MAX = 65536,
};

#define STORED_ROW_USED (UINT64_C(1) << 63) /* of the LSN word */

/* Word numbers. */
enum { STORED_ROW_STATE, STORED_ROW_LSN, STORED_ROW_EVENT, STORED_ROW_CREATED, STORED_ROW_KEY };

/* ---- words ---- */

static inline uint32_t stored_view_id(uint64_t state) {
    return (uint32_t)(state >> (32 + STORED_ROW_REVISION_BITS));
}
static inline uint16_t stored_revision(uint64_t state) {
    return (uint16_t)(state >> 32 & ((1u << STORED_ROW_REVISION_BITS) - 1));
}
static inline uint64_t stored_lsn(uint64_t lsn_word) {
    return lsn_word & ((UINT64_C(1) << STORED_ROW_LSN_BITS) - 1);
}
static inline uint32_t stored_words(uint64_t lsn_word) {
    return (uint32_t)((lsn_word & ~STORED_ROW_USED) >> STORED_ROW_LSN_BITS);
}
/* The owner's look at a word in which readers set a bit. */
static inline uint64_t stored_lsn_word(const uint64_t *row) {
    return __atomic_load_n(&row[STORED_ROW_LSN], __ATOMIC_RELAXED);
}
static inline uint64_t stored_cell(uint64_t place, uint32_t bytes) {
    return place << 24 | bytes;
}
static inline uint64_t stored_cell_place(uint64_t cell) {
    return cell >> 24;
}
static inline uint32_t stored_cell_bytes(uint64_t cell) {
    return (uint32_t)(cell & 0xffffff);
}

/* ---- writing: the owner ---- */

struct stored_row_version {
    uint32_t view_id;
    uint16_t revision;
    uint64_t lsn;
    bool is_used;
};

/* Writes a row; `image` has places in its cells. If a row is there it must have the same key, view
 * id and number of words, and its key area is left alone. */
void stored_row_write(uint64_t *row, const struct stored_row_version *version, const uint8_t *image,
                      uint32_t image_bytes, uint32_t key_area_bytes);
/* Readers will not take it for a row any more. */
void stored_row_kill(uint64_t *row);
/* Takes the hint that the row was used: whether it was there. */
bool stored_row_forget(uint64_t *row);

/* ---- reading: any thread ---- */

enum stored_row_answer {
    STORED_ROW_SAME,    /* copied */
    STORED_ROW_OTHER,   /* lives, and has another view id or key */
    STORED_ROW_CHANGED, /* does not live, or changed meanwhile: look it up again */
};

struct stored_row_read {
    const uint8_t *base; /* of the mapping, for keys out of line */
    uint32_t view_id;    /* the wanted row */
    uint32_t key_bytes_fixed;
    struct bytes key;
    uint8_t *copy; /* room for its body, any alignment */
    uint32_t body_bytes_max;
    /* answers */
    uint32_t body_bytes;
    uint64_t state;
    uint64_t lsn_word;
    int64_t event_us;
    int64_t created_us;
};

/* Whether a row lives here with this view id and key. For the owner. */
bool stored_row_is(const uint64_t *row, const struct stored_row_read *wanted);

enum stored_row_answer stored_row_read(const uint64_t *row, struct stored_row_read *read);

/* Sets the hint that the row is used, in a place that was read from and not left yet. */
static inline void stored_row_use(uint64_t *row) {
    __atomic_fetch_or(&row[STORED_ROW_LSN], STORED_ROW_USED, __ATOMIC_RELAXED);
}

/* Copies header and image as they are into `words`, which has room for `words_max`: the number of
 * words, or 0 if no row lives here. For the visitor. */
uint32_t stored_row_copy(const uint64_t *row, uint64_t *words, uint32_t words_max);

#endif
