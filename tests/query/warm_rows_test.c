/* Shows that wanted rows are found again by key and group, that a row counts only under the LSN
 * that was asked for, and that everything is taken from the budget, and given back, wherever it
 * ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "query/warm_rows.h"

enum { ROWS = 300, IMAGE_BYTES = 40, HEAP_BYTES = 24, LIMIT_BYTES = 1 << 20 };

/* Keys 0, 0, 3, 3, 6, ... with groups 1 and 4 each. */
static struct warm_want want_of(uint32_t i, char name[16]) {
    int bytes = snprintf(name, 16, "name%u", i);
    return (struct warm_want){.key = i / 2 * 3,
                              .group = i % 2 ? 4 : 1,
                              .view_id = i % 7,
                              .partition = (uint16_t)(i % 5),
                              .lsn = 1000 + i,
                              .name = {.data = (const uint8_t *)name, .bytes = (size_t)bytes}};
}

static enum fst_status rows_want(struct warm_rows *rows, uint32_t count) {
    enum fst_status status = FST_OK;
    for (uint32_t i = 0; i < count && status == FST_OK; i++) {
        char name[16];
        struct warm_want want = want_of(i, name);
        status = warm_rows_want(rows, &want);
    }
    return status;
}

static void row_put(struct warm_rows *rows, uint32_t i, uint64_t lsn) {
    uint8_t image[IMAGE_BYTES], heap[HEAP_BYTES];
    memset(image, (int)i, sizeof image);
    memset(heap, (int)i + 1, sizeof heap);
    const struct meta_row found = {.revision = (uint16_t)i,
                                   .lsn = lsn,
                                   .image = {.data = image, .bytes = sizeof image},
                                   .heap = {.data = heap, .bytes = sizeof heap}};
    warm_rows_put(rows, &rows->rows[i], &found);
}

static void test_rows_are_found_again(void **state) {
    (void)state;
    struct warm_budget budget = {.limit_bytes = LIMIT_BYTES};
    struct warm_rows rows = {.budget = &budget};
    assert_int_equal(rows_want(&rows, ROWS), FST_OK);
    for (uint32_t i = 0; i < ROWS; i++) row_put(&rows, i, 1000 + i + (i % 10 == 9));
    for (uint32_t key = 0, i = 0; key < ROWS / 2 * 3; key++) {
        for (uint32_t group = 0; group < 6; group++) {
            const struct warm_row *row = warm_rows_find(&rows, key, group);
            bool is_wanted = key % 3 == 0 && (group == 1 || group == 4);
            assert_int_equal(row != NULL, is_wanted);
            if (!is_wanted) continue;
            char name[16];
            struct warm_want want = want_of(i, name);
            struct bytes found = warm_rows_name(&rows, row);
            assert_int_equal(found.bytes, want.name.bytes);
            assert_memory_equal(found.data, name, found.bytes);
            assert_int_equal(row->want.lsn, want.lsn);
            assert_int_equal(row->want.view_id, want.view_id);
            /* A row of another LSN is not the one that was evicted. */
            assert_int_equal(row->status, i % 10 == 9 ? FST_NOT_FOUND : FST_OK);
            assert_int_equal(row->data != NULL, row->status == FST_OK);
            if (row->data) {
                assert_int_equal(row->data[0], (uint8_t)i);
                assert_int_equal(row->data[row->image_bytes], (uint8_t)(i + 1));
            }
            i += 1;
        }
    }
    assert_true(budget.used_bytes > ROWS * (IMAGE_BYTES + HEAP_BYTES) / 2);
    assert_int_equal(budget.used_bytes, rows.held_bytes);
    warm_rows_deinit(&rows);
    assert_int_equal(budget.used_bytes, 0);
}

/* Whatever the limit: what fails says so, and nothing stays taken. A request that holds much itself
 * is too large; one that finds the budget used up by others may try again. */
static void test_every_limit(void **state) {
    (void)state;
    uint32_t failed_count = 0, fetched_count = 0;
    for (size_t limit = 0; limit < 120000; limit += 97) {
        struct warm_budget budget = {.limit_bytes = limit};
        struct warm_rows rows = {.budget = &budget};
        enum fst_status status = rows_want(&rows, ROWS);
        for (uint32_t i = 0; i < rows.count; i++) {
            row_put(&rows, i, 1000 + i);
            fetched_count += rows.rows[i].status == FST_OK;
            if (rows.rows[i].status != FST_OK) assert_null(rows.rows[i].data);
        }
        failed_count += status != FST_OK;
        if (status != FST_OK && rows.count > 16) assert_int_equal(status, FST_TOO_LARGE);
        assert_true(budget.used_bytes <= limit);
        assert_int_equal(budget.used_bytes, rows.held_bytes);
        warm_rows_deinit(&rows);
        assert_int_equal(budget.used_bytes, 0);
    }
    assert_true(failed_count > 0 && fetched_count > 0);
    struct warm_budget budget = {.limit_bytes = LIMIT_BYTES};
    assert_true(warm_budget_take(&budget, LIMIT_BYTES - 100));
    struct warm_rows rows = {.budget = &budget};
    assert_int_equal(rows_want(&rows, 1), FST_OVERLOADED);
    warm_rows_deinit(&rows);
    assert_int_equal(budget.used_bytes, LIMIT_BYTES - 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_found_again),
        cmocka_unit_test(test_every_limit),
    };
    return cmocka_run_group_tests_name("query/warm_rows", tests, NULL, NULL);
}
