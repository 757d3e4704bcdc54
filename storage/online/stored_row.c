#include "storage/online/stored_row.h"

#include <sched.h>

#include "base/assert.h"
#include "storage/online/table.h"

/* A writer changes a row in less than a microsecond, unless it lost its processor. */
enum { SPINS_MAX = 1000 };

static_assert((STORED_ROW_HEADER_BYTES + ROW_IMAGE_BYTES_MAX) / 8 <= INT16_MAX, "words fit");

/* ---- writing ---- */

static uint64_t state_word(const struct stored_row_version *version, uint32_t sequence) {
    uint64_t view = (uint64_t)version->view_id << STORED_ROW_REVISION_BITS | version->revision;
    return view << 32 | sequence;
}

void stored_row_write(uint64_t *row, const struct stored_row_version *version, const uint8_t *image,
                      uint32_t image_bytes, uint32_t key_area_bytes) {
    FST_ASSERT(version->view_id > 0);
    FST_ASSERT(version->view_id <= STORED_ROW_VIEW_ID_MAX);
    FST_ASSERT(version->revision >> STORED_ROW_REVISION_BITS == 0);
    FST_ASSERT(version->lsn >> STORED_ROW_LSN_BITS == 0);
    uint64_t before = row[STORED_ROW_STATE];
    bool is_new = stored_view_id(before) == 0;
    uint64_t words = (STORED_ROW_HEADER_BYTES + image_bytes) / 8;
    FST_ASSERT(is_new || stored_words(stored_lsn_word(row)) == words);
    __atomic_store_n(&row[STORED_ROW_STATE], before + 1, __ATOMIC_RELAXED);
    uint64_t used = version->is_used ? STORED_ROW_USED : 0;
    table_word_store(&row[STORED_ROW_LSN], used | words << STORED_ROW_LSN_BITS | version->lsn);
    uint32_t key_end = (ROW_KEY_OFFSET + key_area_bytes) / 8;
    for (uint32_t i = 0; i < image_bytes / 8; i++) {
        bool is_key = i >= ROW_KEY_OFFSET / 8 && i < key_end;
        if (is_key && !is_new) continue;
        table_word_store(&row[STORED_ROW_HEADER_BYTES / 8 + i], load_u64(image + 8 * (size_t)i));
    }
    table_word_store(&row[STORED_ROW_STATE], state_word(version, (uint32_t)before + 2));
}

void stored_row_kill(uint64_t *row) {
    table_word_store(&row[STORED_ROW_STATE], (uint32_t)(row[STORED_ROW_STATE] + 2));
}

bool stored_row_forget(uint64_t *row) {
    uint64_t word = stored_lsn_word(row);
    if (!(word & STORED_ROW_USED)) return false;
    table_word_store(&row[STORED_ROW_LSN], word & ~STORED_ROW_USED);
    return true;
}

/* ---- reading ---- */

/* The first word once no change is under way. */
static uint64_t state_settled(const uint64_t *row) {
    uint64_t state = table_word_load(&row[STORED_ROW_STATE]);
    for (uint32_t spins = 1; state & 1; spins++) {
        if (spins % SPINS_MAX == 0) sched_yield();
        state = table_word_load(&row[STORED_ROW_STATE]);
    }
    return state;
}

static bool key_is_same_fixed(const uint64_t *row, struct bytes key) {
    size_t words = key.bytes / 8;
    for (size_t i = 0; i < words; i++) {
        if (table_word_load(&row[STORED_ROW_KEY + i]) != load_u64(key.data + 8 * i)) return false;
    }
    size_t rest = key.bytes % 8;
    if (rest == 0) return true;
    uint64_t last = 0;
    memcpy(&last, key.data + 8 * words, rest);
    return table_word_load(&row[STORED_ROW_KEY + words]) == last;
}

/* The bytes of a key out of line stay what they are until all readers have passed a quiet point. */
static bool key_is_same(const uint64_t *row, const struct stored_row_read *read) {
    if (read->key_bytes_fixed > 0) return key_is_same_fixed(row, read->key);
    uint64_t cell = table_word_load(&row[STORED_ROW_KEY]);
    if (stored_cell_bytes(cell) != read->key.bytes) return false;
    const uint8_t *stored = read->base + stored_cell_place(cell) * TABLE_UNIT_BYTES;
    return memcmp(stored, read->key.data, read->key.bytes) == 0;
}

bool stored_row_is(const uint64_t *row, const struct stored_row_read *wanted) {
    return stored_view_id(row[STORED_ROW_STATE]) == wanted->view_id && key_is_same(row, wanted);
}

enum stored_row_answer stored_row_read(const uint64_t *row, struct stored_row_read *read) {
    for (;;) {
        uint64_t state = state_settled(row);
        uint32_t view_id = stored_view_id(state);
        if (view_id == 0) return STORED_ROW_CHANGED;
        if (view_id != read->view_id || !key_is_same(row, read)) return STORED_ROW_OTHER;
        read->state = state;
        read->lsn_word = table_word_load(&row[STORED_ROW_LSN]);
        read->event_us = (int64_t)table_word_load(&row[STORED_ROW_EVENT]);
        read->created_us = (int64_t)table_word_load(&row[STORED_ROW_CREATED]);
        uint32_t key_words = read->key_bytes_fixed > 0 ? (read->key_bytes_fixed + 7) / 8 : 1;
        const uint64_t *body = row + STORED_ROW_KEY + key_words;
        uint32_t words = stored_words(read->lsn_word) - STORED_ROW_KEY - key_words;
        if (words > read->body_bytes_max / 8) words = read->body_bytes_max / 8;
        for (uint32_t i = 0; i < words; i++)
            store_u64(read->copy + 8 * (size_t)i, table_word_load(&body[i]));
        read->body_bytes = words * 8;
        if (__atomic_load_n(&row[STORED_ROW_STATE], __ATOMIC_RELAXED) == state) {
            return STORED_ROW_SAME;
        }
    }
}

uint32_t stored_row_copy(const uint64_t *row, uint64_t *words, uint32_t words_max) {
    for (;;) {
        words[STORED_ROW_STATE] = state_settled(row);
        if (stored_view_id(words[STORED_ROW_STATE]) == 0) return 0;
        words[STORED_ROW_LSN] = table_word_load(&row[STORED_ROW_LSN]);
        uint32_t count = stored_words(words[STORED_ROW_LSN]);
        if (count > words_max) count = words_max;
        for (uint32_t i = STORED_ROW_EVENT; i < count; i++) words[i] = table_word_load(&row[i]);
        if (__atomic_load_n(&row[STORED_ROW_STATE], __ATOMIC_RELAXED) == words[STORED_ROW_STATE]) {
            return count;
        }
    }
}
