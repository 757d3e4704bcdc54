/*
 * online_fixture: a catalog made by hand, and rows whose every value follows from one number.
 *
 * Entities: 1 has the key int64, 2 the key (string, int32). Views of entity 1: small (2 revisions:
 * 3 float64; 20 int64 more), wide (50 float64), text (2 revisions: string, int32, bytes; a string
 * and a list more), and `extra` views of one int64, with ids on both sides of 64 and 128. Views of
 * entity 2: named (string, int64).
 *
 * Memory: the fixture is static-free; online_fixture_create() allocates all of it, destroy frees
 * it.
 */
#ifndef TESTS_ONLINE_ONLINE_FIXTURE_H
#define TESTS_ONLINE_ONLINE_FIXTURE_H

#include "storage/online/partition.h"

enum {
    VIEW_SMALL = 1,
    VIEW_WIDE = 2,
    VIEW_TEXT = 3,
    VIEW_NAMED = 4,
    VIEW_EXTRA_FIRST = 50,
    VIEW_EXTRA_COUNT = 100,
    VIEWS_END = VIEW_EXTRA_FIRST + VIEW_EXTRA_COUNT,
    ROW_BYTES_MAX = 1024,           /* of an image of these views */
    ROW_HEAP_BYTES_MAX = 4 * 65600, /* of one row */
    ROW_LIGHT_BYTES_MAX = 1024,     /* of one row whose values are not heavy */
};

struct online_fixture {
    struct io *io;
    struct epoch epoch;
    struct partition_budget budget;
    struct partition_options options;
    struct partition *partition;
    enum partition_origin origin;
    char path[128];
    struct catalog catalog;
    struct entity entities[2];
    struct view views[VIEWS_END];
    const struct view *by_id[VIEWS_END];
    struct view_revision revisions[VIEWS_END][2];
    struct row_column columns[VIEWS_END][2][64];
    struct feature features[1];
};

/* Opens a new partition with this budget; seat 0 is away. */
struct online_fixture *online_fixture_create(uint64_t limit_bytes);
void online_fixture_destroy(struct online_fixture *fixture);
/* Closes and opens again; the origin is kept in the fixture. */
void online_fixture_reopen(struct online_fixture *fixture);
void online_fixture_check(const struct online_fixture *fixture);
/* As if a checkpoint had kept all that changed. */
void online_fixture_keep(struct online_fixture *fixture);

uint64_t random_next(uint64_t *state);
/* FST_SEED, or the default; printed. */
uint64_t random_seed(uint64_t normally);

/* ---- rows ---- */

struct row_spec {
    uint32_t view_id;
    uint16_t revision; /* or VIEW_REVISION_DELETED: no features */
    int64_t key;       /* number from which the key is made */
    int64_t event_us;
    int64_t created_us;
    uint64_t value;       /* all features follow from it */
    uint32_t heavy_bytes; /* if not 0, values without a fixed size have up to so many bytes */
};

/* Canonical key; returns its length. */
size_t key_make(const struct online_fixture *fixture, uint32_t view_id, int64_t key,
                uint8_t key_out[KEY_BYTES_MAX]);
/* Image and heap of a row; the heap begins at heap_used, which is advanced. */
void image_make(const struct online_fixture *fixture, const struct row_spec *spec, uint8_t *image,
                uint8_t *heap, uint32_t *heap_used);

struct record {
    struct log_record_header header;
    uint8_t *body;
    size_t body_bytes;
};

/* One record of rows of one view and revision. record_free() gives its body back. */
struct record record_make(const struct online_fixture *fixture, const struct row_spec *specs,
                          uint32_t count, uint64_t lsn);
void record_set_client(struct record *record, uint64_t client_id, uint64_t sequence);
void record_free(struct record *record);

/* Admits and applies one row; FST_FULL if it was not admitted. */
enum fst_status row_write(struct online_fixture *fixture, const struct row_spec *spec,
                          uint64_t lsn);
enum fst_status row_remove(struct online_fixture *fixture, uint32_t view_id, int64_t key);

/* ---- reading ---- */

struct row_found {
    struct partition_read read;
    uint8_t key[KEY_BYTES_MAX];
    uint64_t body[ROW_BYTES_MAX / 8];
};

void row_prepare(const struct online_fixture *fixture, uint32_t view_id, int64_t key,
                 struct row_found *found);
/* Looks up one row. */
bool row_get(const struct online_fixture *fixture, uint32_t view_id, int64_t key,
             struct row_found *found);
/* Whether what was found is exactly this row. */
bool row_is(const struct online_fixture *fixture, const struct row_found *found,
            const struct row_spec *spec, uint64_t lsn);

#endif
