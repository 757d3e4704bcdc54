#include "query/warm_rows.h"

#include <stdlib.h>

#include "base/assert.h"

enum {
    ROWS_FIRST = 16,
    NAMES_FIRST_BYTES = 512,
    LARGE_PART = 4, /* of the budget: who holds more and lacks some is too large */
};

bool warm_budget_take(struct warm_budget *budget, size_t bytes) {
    size_t before = atomic_fetch_add_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
    if (before + bytes <= budget->limit_bytes) return true;
    warm_budget_give(budget, bytes);
    return false;
}

void warm_budget_give(struct warm_budget *budget, size_t bytes) {
    atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
}

void warm_rows_deinit(struct warm_rows *rows) {
    for (uint32_t i = 0; i < rows->count; i++) free(rows->rows[i].data);
    free(rows->rows);
    free(rows->names);
    if (rows->held_bytes > 0) warm_budget_give(rows->budget, rows->held_bytes);
    *rows = (struct warm_rows){.budget = rows->budget};
}

/* Memory beyond `old_bytes` for a block that was realloc'ed before; NULL leaves it as it is. */
static void *block_grow(struct warm_rows *rows, void *block, size_t old_bytes, size_t bytes) {
    size_t more_bytes = bytes - old_bytes;
    if (!warm_budget_take(rows->budget, more_bytes)) return NULL;
    void *grown = realloc(block, bytes + 1);
    if (grown)
        rows->held_bytes += more_bytes;
    else
        warm_budget_give(rows->budget, more_bytes);
    return grown;
}

/* What a lack of memory means to a request that holds so much. */
static enum fst_status lack_status(const struct warm_rows *rows) {
    return rows->held_bytes > rows->budget->limit_bytes / LARGE_PART ? FST_TOO_LARGE
                                                                     : FST_OVERLOADED;
}

static bool rows_grow(struct warm_rows *rows) {
    if (rows->count < rows->capacity) return true;
    uint32_t capacity = rows->capacity ? 2 * rows->capacity : ROWS_FIRST;
    struct warm_row *grown = block_grow(rows, rows->rows, rows->capacity * sizeof *rows->rows,
                                        capacity * sizeof *rows->rows);
    if (!grown) return false;
    rows->rows = grown;
    rows->capacity = capacity;
    return true;
}

static bool names_grow(struct warm_rows *rows, size_t bytes) {
    if (rows->names_bytes + bytes <= rows->names_capacity) return true;
    size_t capacity = rows->names_capacity ? rows->names_capacity : NAMES_FIRST_BYTES;
    while (capacity < rows->names_bytes + bytes) capacity *= 2;
    uint8_t *grown = block_grow(rows, rows->names, rows->names_capacity, capacity);
    if (!grown) return false;
    rows->names = grown;
    rows->names_capacity = capacity;
    return true;
}

enum fst_status warm_rows_want(struct warm_rows *rows, const struct warm_want *want) {
    if (!rows_grow(rows) || !names_grow(rows, want->name.bytes)) return lack_status(rows);
    struct warm_row *row = &rows->rows[rows->count];
    *row =
        (struct warm_row){.want = *want, .name_offset = rows->names_bytes, .status = FST_NOT_FOUND};
    if (rows->count > 0) {
        const struct warm_want *last = &row[-1].want;
        FST_ASSERT(last->key < want->key || (last->key == want->key && last->group < want->group));
    }
    row->want.name = (struct bytes){0};
    if (want->name.bytes) {
        memcpy(rows->names + rows->names_bytes, want->name.data, want->name.bytes);
    }
    row->want.name.bytes = want->name.bytes;
    rows->names_bytes += want->name.bytes;
    rows->count += 1;
    return FST_OK;
}

struct bytes warm_rows_name(const struct warm_rows *rows, const struct warm_row *row) {
    return (struct bytes){.data = rows->names + row->name_offset, .bytes = row->want.name.bytes};
}

void warm_rows_put(struct warm_rows *rows, struct warm_row *row, const struct meta_row *found) {
    FST_ASSERT(!row->data);
    row->status = FST_NOT_FOUND;
    if (found->lsn != row->want.lsn) return;
    size_t bytes = found->image.bytes + found->heap.bytes;
    row->data = block_grow(rows, NULL, 0, bytes);
    row->status = row->data ? FST_OK : lack_status(rows);
    if (!row->data) return;
    if (found->image.bytes) memcpy(row->data, found->image.data, found->image.bytes);
    if (found->heap.bytes) {
        memcpy(row->data + found->image.bytes, found->heap.data, found->heap.bytes);
    }
    row->image_bytes = found->image.bytes;
    row->heap_bytes = found->heap.bytes;
    row->revision = found->revision;
}

static bool is_before(const struct warm_want *want, uint32_t key, uint32_t group) {
    return want->key < key || (want->key == key && want->group < group);
}

const struct warm_row *warm_rows_find(struct warm_rows *rows, uint32_t key, uint32_t group) {
    while (rows->cursor < rows->count && is_before(&rows->rows[rows->cursor].want, key, group)) {
        rows->cursor += 1;
    }
    if (rows->cursor == rows->count) return NULL;
    const struct warm_row *row = &rows->rows[rows->cursor];
    return row->want.key == key && row->want.group == group ? row : NULL;
}

bool warm_row_fits(const struct warm_row *row, const struct view *view) {
    if (row->revision >= view->revisions_count) return false;
    const struct row_layout *layout = &view->revisions[row->revision].layout;
    return row->image_bytes == layout->image_bytes &&
           row_check(layout, row->data, row->data + row->image_bytes, row->heap_bytes) == FST_OK;
}
