/*
 * warm_rows: the rows of one GET that lie in LMDB only: first wanted, then in hand.
 *
 * A GET that meets evicted rows puts them here in the order in which it walks keys and groups.
 * Somebody fetches them, and when the GET is served again it finds each by key and group in the
 * same order, so that finding costs a step.
 *
 * Invariants: rows stand in rising order of key and group. data of a row is not NULL exactly if
 *             its status is FST_OK. held_bytes is what arrays and data take together.
 * Threads: one at a time; the budget is shared by all.
 * Memory:  owns its arrays and the rows fetched; all of it is taken from the budget first.
 */
#ifndef QUERY_WARM_ROWS_H
#define QUERY_WARM_ROWS_H

#include <stdatomic.h>

#include "model/definition.h"
#include "storage/meta/meta.h"

struct warm_budget {
    size_t limit_bytes;
    _Atomic size_t used_bytes;
};
bool warm_budget_take(struct warm_budget *budget, size_t bytes);
void warm_budget_give(struct warm_budget *budget, size_t bytes);

/* What is asked for. */
struct warm_want {
    uint32_t key;   /* its number in the request */
    uint32_t group; /* its number in the plan */
    uint32_t view_id;
    uint16_t partition;
    bool comes_back;   /* into memory, once it is fetched */
    uint64_t lsn;      /* of the row that was evicted */
    struct bytes name; /* canonical key of the row's entity */
};

struct warm_row {
    struct warm_want want;  /* without its name */
    size_t name_offset;     /* in names */
    enum fst_status status; /* FST_OK: in hand. FST_NOT_FOUND: LMDB has no row of this LSN */
    uint16_t revision;
    uint8_t *data; /* image, heap */
    size_t image_bytes;
    size_t heap_bytes;
};

struct warm_rows {
    struct warm_budget *budget;
    uint32_t count;
    uint32_t capacity;
    uint32_t cursor; /* of warm_rows_find */
    struct warm_row *rows;
    uint8_t *names;
    size_t names_bytes;
    size_t names_capacity;
    size_t held_bytes; /* taken from the budget */
};

/* What has nothing in it is valid with all but the budget zero. */
void warm_rows_deinit(struct warm_rows *rows);

/* FST_OVERLOADED when the budget is used up; FST_TOO_LARGE when it never would do. */
FST_MUST_USE enum fst_status warm_rows_want(struct warm_rows *rows, const struct warm_want *want);
struct bytes warm_rows_name(const struct warm_rows *rows, const struct warm_row *row);

/* Copies what was found for a row; its status says if that worked, as that of warm_rows_want. */
void warm_rows_put(struct warm_rows *rows, struct warm_row *row, const struct meta_row *found);

/* The row of this key and group, or NULL. Calls come in rising order. */
const struct warm_row *warm_rows_find(struct warm_rows *rows, uint32_t key, uint32_t group);

/* Whether the bytes are a row of this view: revision, sizes, row_check. */
bool warm_row_fits(const struct warm_row *row, const struct view *view);

#endif
