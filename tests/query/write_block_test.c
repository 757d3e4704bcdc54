/*
 * Shows that a columnar block becomes the rows it says, that bad fields and values are refused
 * where they stand, and that a row set is split by partition without losing, doubling or reordering
 * a row. Random blocks are built from plain values and compared with them, cell by cell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "catalog_fixture.h"
#include "model/value.h"
#include "query/write_block.h"
#include "storage/recovery/identity.h"

enum { ROWS_MAX = 300, BLOCK_BYTES = 1 << 20, PARTITIONS = 8, NOW_US = 1000000 };

/* What a row of `profile` was made from. */
struct made {
    int64_t event_us, created_us, customer_id;
    bool is_null[4];
    double score;
    char name[20];
    int32_t age;
    uint8_t is_vip;
};

static uint64_t random_next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void row_make(struct made *row, uint64_t *seed) {
    *row = (struct made){.event_us = (int64_t)random_next(seed) % NOW_US,
                         .created_us = (int64_t)random_next(seed) % NOW_US,
                         .customer_id = (int64_t)random_next(seed) % 40};
    for (int c = 0; c < 4; c++) row->is_null[c] = random_next(seed) % 5 == 0;
    row->score = (double)(random_next(seed) % 1000) / 8;
    size_t bytes = random_next(seed) % sizeof row->name;
    for (size_t i = 0; i < bytes; i++) row->name[i] = (char)('a' + random_next(seed) % 26);
    row->age = (int32_t)(random_next(seed) % 100);
    row->is_vip = random_next(seed) % 2;
}

static void nulls_write(struct writer *w, const struct made *rows, uint32_t count, int column) {
    for (uint32_t i = 0; i < count; i += 8) {
        uint8_t bits = 0;
        for (uint32_t j = i; j < count && j < i + 8; j++) {
            bits |= (uint8_t)(rows[j].is_null[column] << (j - i));
        }
        write_u8(w, bits);
    }
}

/* A block with all four columns. */
static size_t block_make(uint8_t *out, uint64_t layout_id, const struct made *rows,
                         uint32_t count) {
    struct writer w = writer_of(out, BLOCK_BYTES);
    write_u64(&w, layout_id);
    write_u64(&w, 7);
    write_u32(&w, count);
    write_u8(&w, 1);
    write_u8(&w, 1);
    write_u16(&w, 0);
    for (uint32_t i = 0; i < count; i++) write_i64(&w, rows[i].event_us);
    for (uint32_t i = 0; i < count; i++) write_i64(&w, rows[i].created_us);
    for (uint32_t i = 0; i < count; i++) write_i64(&w, rows[i].customer_id);
    nulls_write(&w, rows, count, 0);
    for (uint32_t i = 0; i < count; i++) write_bytes(&w, &rows[i].score, 8);
    nulls_write(&w, rows, count, 1);
    uint32_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        end += (uint32_t)strlen(rows[i].name);
        write_u32(&w, end);
    }
    for (uint32_t i = 0; i < count; i++) write_bytes(&w, rows[i].name, strlen(rows[i].name));
    nulls_write(&w, rows, count, 2);
    for (uint32_t i = 0; i < count; i++) write_bytes(&w, &rows[i].age, 4);
    nulls_write(&w, rows, count, 3);
    for (uint32_t i = 0; i < count; i++) write_u8(&w, rows[i].is_vip);
    assert_false(w.failed);
    return writer_used(&w);
}

static void image_matches(const struct row_layout *layout, const uint8_t *image,
                          const uint8_t *heap, const struct made *row) {
    assert_int_equal(load_i64(image), row->event_us);
    assert_int_equal(load_i64(image + 8), row->created_us);
    assert_int_equal(load_i64(row_key(layout, image, heap).data), row->customer_id);
    const uint8_t *body = image + layout->body_offset;
    const void *values[4] = {&row->score, row->name, &row->age, &row->is_vip};
    size_t bytes[4] = {8, strlen(row->name), 4, 1};
    for (uint32_t c = 0; c < 4; c++) {
        assert_int_equal(row_is_null(body, c), row->is_null[c]);
        if (row->is_null[c]) continue;
        struct bytes value = row_value(&layout->body, body, heap, c);
        assert_int_equal(value.bytes, bytes[c]);
        if (bytes[c]) assert_memory_equal(value.data, values[c], bytes[c]);
    }
}

struct bench {
    struct catalog_fixture *fixture;
    struct write_plan *plan;
    struct arena arena;
    uint8_t *block;
    size_t block_bytes;
};

static void bench_init(struct bench *b) {
    b->fixture = catalog_fixture_create();
    struct bytes name = {.data = (const uint8_t *)"t.profile", .bytes = 9};
    assert_int_equal(write_plan_create(&b->plan, &b->fixture->catalog, &name, 1, NULL), FST_OK);
    assert_int_equal(arena_init(&b->arena, 8 << 20), FST_OK);
    b->block = malloc(BLOCK_BYTES);
}

static void bench_deinit(struct bench *b) {
    write_plan_destroy(b->plan);
    arena_deinit(&b->arena);
    free(b->block);
    catalog_fixture_destroy(b->fixture);
}

static enum fst_status bench_rows(struct bench *b, struct row_set *set, struct fst_error *error) {
    struct write_block block;
    arena_reset(&b->arena);
    struct bytes payload = {.data = b->block, .bytes = b->block_bytes};
    enum fst_status status = write_block_decode(payload, &block, error);
    if (status != FST_OK) return status;
    return write_block_rows(&block, b->plan, NOW_US, &b->arena, set, error);
}

/* Every part holds its partition's rows, in order, as bodies that stand alone. */
static void split_matches(struct bench *b, const struct row_set *set, const struct made *rows) {
    static struct row_part parts[PARTITIONS];
    static uint32_t order[ROWS_MAX], partitions[ROWS_MAX], starts[PARTITIONS + 1];
    static uint64_t body[BLOCK_BYTES / 8];
    struct row_split split = {
        .parts = parts, .order = order, .partitions = partitions, .starts = starts};
    row_set_split(set, PARTITIONS, &split);
    const struct row_layout *layout = &view_current(b->plan->view)->layout;
    uint32_t seen = 0;
    for (uint32_t p = 0; p < split.parts_count; p++) {
        const struct row_part *part = &parts[p];
        assert_true(row_part_body_bytes(set, part) <= sizeof body);
        row_part_write_body(set, &split, part, 5, 7, (uint8_t *)body);
        const struct log_rows_header *header = (const struct log_rows_header *)body;
        assert_int_equal(header->rows_count, part->rows_count);
        assert_int_equal(header->revision, 1);
        const uint8_t *images = (const uint8_t *)(header + 1);
        const uint8_t *heap = images + (size_t)part->rows_count * layout->image_bytes;
        uint32_t last = 0;
        for (uint32_t r = 0; r < part->rows_count; r++) {
            uint32_t row = order[part->first + r];
            assert_true(r == 0 || row > last);
            last = row;
            const uint8_t *image = images + (size_t)r * layout->image_bytes;
            image_matches(layout, image, heap, &rows[row]);
            assert_int_equal(row_check(layout, image, heap, header->heap_bytes), FST_OK);
            assert_int_equal(hash_partition(&rows[row].customer_id, 8, PARTITIONS),
                             part->partition);
            seen += 1;
        }
    }
    assert_int_equal(seen, set->rows_count);
}

static void test_random_blocks(void **state) {
    (void)state;
    const char *given = getenv("FST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 42;
    print_message("  seed %llu\n", (unsigned long long)seed);
    struct bench b;
    bench_init(&b);
    const struct row_layout *layout = &view_current(b.plan->view)->layout;
    static struct made rows[ROWS_MAX];
    for (int round = 0; round < 200; round++) {
        uint32_t count = 1 + (uint32_t)random_next(&seed) % ROWS_MAX;
        for (uint32_t i = 0; i < count; i++) row_make(&rows[i], &seed);
        b.block_bytes = block_make(b.block, b.plan->layout_id, rows, count);
        struct row_set set;
        assert_int_equal(bench_rows(&b, &set, NULL), FST_OK);
        assert_int_equal(set.rows_count, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(set.statuses[i], FST_OK);
            image_matches(layout, set.images + (size_t)i * layout->image_bytes, set.heap, &rows[i]);
        }
        split_matches(&b, &set, rows);
    }
    bench_deinit(&b);
}

/* Every shorter block and every longer one is refused, whatever the bytes. */
static void test_every_length(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b);
    struct made rows[3];
    uint64_t seed = 1;
    for (int i = 0; i < 3; i++) row_make(&rows[i], &seed);
    size_t whole = block_make(b.block, b.plan->layout_id, rows, 3);
    for (size_t bytes = 0; bytes < whole; bytes++) {
        struct row_set set;
        b.block_bytes = bytes;
        assert_int_equal(bench_rows(&b, &set, NULL), FST_BAD_FRAME);
    }
    struct row_set set;
    b.block_bytes = whole + 1;
    assert_int_equal(bench_rows(&b, &set, NULL), FST_BAD_FRAME);
    b.block_bytes = whole;
    assert_int_equal(bench_rows(&b, &set, NULL), FST_OK);
    bench_deinit(&b);
}

/* A delete has times and keys; with features it does not fill its frame. */
static void test_deletes(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b);
    static struct made rows[ROWS_MAX];
    uint64_t seed = 9;
    for (int i = 0; i < ROWS_MAX; i++) row_make(&rows[i], &seed);
    struct row_set set;
    b.block_bytes = block_make(b.block, b.plan->layout_id, rows, ROWS_MAX);
    b.block[21] = 3;
    assert_int_equal(bench_rows(&b, &set, NULL), FST_BAD_FRAME);
    b.block_bytes = 24 + (size_t)ROWS_MAX * (8 + 8 + 8);
    assert_int_equal(bench_rows(&b, &set, NULL), FST_OK);
    assert_true(set.is_delete);
    const struct row_layout *layout = row_set_layout(&set);
    assert_int_equal(layout->image_bytes, 24);
    struct row_split split;
    assert_int_equal(row_split_init(&split, ROWS_MAX, PARTITIONS, &b.arena), FST_OK);
    row_set_split(&set, PARTITIONS, &split);
    for (uint32_t p = 0; p < split.parts_count; p++) {
        const struct row_part *part = &split.parts[p];
        static uint64_t body[BLOCK_BYTES / 8];
        size_t bytes = row_part_body_bytes(&set, part);
        row_part_write_body(&set, &split, part, 1, 2, (uint8_t *)body);
        const struct log_rows_header *header = (const void *)body;
        assert_int_equal(header->revision, VIEW_REVISION_DELETED);
        assert_int_equal(bytes, sizeof *header + 24 * (size_t)part->rows_count);
        for (uint32_t r = 0; r < part->rows_count; r++) {
            const struct made *row = &rows[split.order[part->first + r]];
            const uint8_t *image = (const uint8_t *)(header + 1) + (size_t)24 * r;
            assert_int_equal(load_i64(image), row->event_us);
            assert_int_equal(load_i64(image + 8), row->created_us);
            assert_int_equal(load_i64(image + 16), row->customer_id);
        }
    }
    bench_deinit(&b);
}

static const struct field_case {
    const char *name;
    size_t offset;
    uint64_t value;
    size_t bytes;
    enum fst_status status;
    const char *part;
} field_cases[] = {
    {"no sequence", 8, 0, 8, FST_BAD_FRAME, "sequence"},
    {"no rows", 16, 0, 4, FST_BAD_FRAME, "rows_count"},
    {"one row past the limit", 16, ROW_SET_ROWS_MAX + 1, 4, FST_TOO_LARGE, "rows_count"},
    {"all rows there can be", 16, UINT32_MAX, 4, FST_TOO_LARGE, "rows_count"},
    {"unknown acknowledgement", 20, 2, 1, FST_BAD_FRAME, "ack"},
    {"unknown columns", 21, 4, 1, FST_BAD_FRAME, "columns"},
    {"reserved", 22, 1, 2, FST_BAD_FRAME, "reserved"},
};

static void test_fields(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b);
    struct made row;
    uint64_t seed = 1;
    row_make(&row, &seed);
    for (size_t i = 0; i < sizeof field_cases / sizeof field_cases[0]; i++) {
        const struct field_case *c = &field_cases[i];
        print_message("  %s\n", c->name);
        b.block_bytes = block_make(b.block, b.plan->layout_id, &row, 1);
        memcpy(b.block + c->offset, &c->value, c->bytes);
        struct row_set set;
        struct fst_error error;
        assert_int_equal(bench_rows(&b, &set, &error), c->status);
        assert_non_null(strstr(error.text, c->part));
    }
    bench_deinit(&b);
}

/* The bitmap of a column ends with bits of no row, unless there are eight more. */
static void test_spare_null_bits(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b);
    struct made rows[9];
    uint64_t seed = 1;
    for (int i = 0; i < 9; i++) row_make(&rows[i], &seed);
    for (uint32_t count = 1; count <= 9; count++) {
        size_t nulls_at = 24 + (size_t)count * 24; /* of the first column: after times and keys */
        size_t last_at = nulls_at + (count - 1) / 8;
        for (uint32_t bit = 0; bit < 8; bit++) {
            struct row_set set;
            struct fst_error error = {.text = ""};
            b.block_bytes = block_make(b.block, b.plan->layout_id, rows, count);
            b.block[last_at] |= (uint8_t)(1u << bit);
            bool is_spare = bit > (count - 1) % 8;
            assert_int_equal(bench_rows(&b, &set, &error), is_spare ? FST_BAD_FRAME : FST_OK);
            if (is_spare) assert_non_null(strstr(error.text, "WRITE column 1: null bits"));
        }
    }
    bench_deinit(&b);
}

/* A bad value spoils its row and no other. */
static void test_bad_value_spoils_its_row(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b);
    struct made rows[3];
    uint64_t seed = 3;
    for (int i = 0; i < 3; i++) {
        row_make(&rows[i], &seed);
        rows[i].is_null[1] = rows[i].is_null[3] = false;
    }
    strcpy(rows[0].name, "\xff\xfe");
    rows[2].is_vip = 2;
    b.block_bytes = block_make(b.block, b.plan->layout_id, rows, 3);
    struct row_set set;
    assert_int_equal(bench_rows(&b, &set, NULL), FST_OK);
    assert_int_equal(set.statuses[0], FST_INVALID);
    assert_int_equal(set.statuses[1], FST_OK);
    assert_int_equal(set.statuses[2], FST_INVALID);
    bench_deinit(&b);
}

static const struct future_case {
    const char *name;
    int64_t event_us;
    enum fst_status status;
} future_cases[] = {
    {"past", INT64_MIN, FST_OK},
    {"now", NOW_US, FST_OK},
    {"at the bound", NOW_US + VIEW_FUTURE_US_DEFAULT, FST_OK},
    {"one past the bound", NOW_US + VIEW_FUTURE_US_DEFAULT + 1, FST_FUTURE},
    {"the end of time", INT64_MAX, FST_FUTURE},
};

static void test_future(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b);
    for (size_t i = 0; i < sizeof future_cases / sizeof future_cases[0]; i++) {
        print_message("  %s\n", future_cases[i].name);
        struct made row;
        uint64_t seed = 9;
        row_make(&row, &seed);
        row.event_us = future_cases[i].event_us;
        b.block_bytes = block_make(b.block, b.plan->layout_id, &row, 1);
        struct row_set set;
        assert_int_equal(bench_rows(&b, &set, NULL), FST_OK);
        row_set_check_future(&set, NOW_US);
        assert_int_equal(set.statuses[0], future_cases[i].status);
    }
    bench_deinit(&b);
}

/* Rows of the bench's block into an arena in which `used_bytes` are taken already; and their split,
 * which has room wherever the rows have. */
static enum fst_status rows_in(struct bench *b, size_t capacity_bytes, size_t used_bytes,
                               struct fst_error *error) {
    struct write_block block;
    struct arena arena;
    struct row_set set;
    struct row_split split;
    struct bytes payload = {.data = b->block, .bytes = b->block_bytes};
    assert_int_equal(write_block_decode(payload, &block, NULL), FST_OK);
    assert_int_equal(arena_init(&arena, capacity_bytes), FST_OK);
    assert_non_null(arena_get(&arena, used_bytes));
    enum fst_status status = write_block_rows(&block, b->plan, NOW_US, &arena, &set, error);
    if (status == FST_OK) {
        status = row_split_init(&split, set.rows_count, PARTITIONS_MAX, &arena);
        if (status != FST_OK) assert_true(used_bytes > 0);
    }
    arena_deinit(&arena);
    return status;
}

/* Rows that would not fit into an empty arena are too large, for good; those that only others are
 * in the way of may come again. */
static void test_no_memory(void **state) {
    (void)state;
    enum { STEP = 1 << 10, TAKEN = 64 << 10 };
    struct bench b;
    bench_init(&b);
    static struct made rows[ROWS_MAX];
    uint64_t seed = 5;
    for (uint32_t i = 0; i < ROWS_MAX; i++) row_make(&rows[i], &seed);
    b.block_bytes = block_make(b.block, b.plan->layout_id, rows, ROWS_MAX);
    struct fst_error error;
    size_t capacity = 8 << 10;
    for (; rows_in(&b, capacity, 0, &error) != FST_OK; capacity += STEP) {
        assert_int_equal(error.status, FST_TOO_LARGE);
        assert_non_null(strstr(error.text, "expected fewer rows at once, found 300"));
    }
    assert_true(capacity > 64 << 10);
    assert_int_equal(rows_in(&b, capacity, TAKEN, &error), FST_OVERLOADED);
    assert_int_equal(rows_in(&b, capacity + TAKEN, TAKEN, &error), FST_OK);
    assert_int_equal(rows_in(&b, capacity - STEP, TAKEN / 2, &error), FST_TOO_LARGE);
    bench_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_blocks),   cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_fields),          cmocka_unit_test(test_bad_value_spoils_its_row),
        cmocka_unit_test(test_spare_null_bits), cmocka_unit_test(test_future),
        cmocka_unit_test(test_no_memory),       cmocka_unit_test(test_deletes),
    };
    return cmocka_run_group_tests_name("query/write_block", tests, NULL, NULL);
}
