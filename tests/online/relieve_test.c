/* A start with less memory than rows, as far as a partition goes: rows that come from LMDB make way
 * for the next ones, and those of a table that is mapped again for what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/online/online_fixture.h"

enum { LIMIT_BYTES = 64 << 20 };

static struct row_spec spec_of(uint32_t view_id, int64_t key) {
    return (struct row_spec){
        .view_id = view_id, .key = key, .event_us = 100, .value = (uint64_t)key};
}

/* Rows with keys from 0 and LSNs from 1 come from LMDB at a start, in a store of two partitions. */
static void restore_rows(struct online_fixture *fixture, uint32_t view_id, int64_t count) {
    static uint8_t image[ROW_BYTES_MAX], heap[ROW_HEAP_BYTES_MAX];
    for (int64_t key = 0; key < count; key++) {
        struct row_spec spec = spec_of(view_id, key);
        uint32_t heap_used = 0;
        image_make(fixture, &spec, image, heap, &heap_used);
        assert_int_equal(partition_restore_row(fixture->partition, fixture->by_id[view_id], 0,
                                               (uint64_t)key + 1, image, heap),
                         FST_OK);
        partition_relieve(fixture->partition, &fixture->catalog, 2);
    }
}

/* Five times as many rows as there is memory for come from LMDB at a start, and leave the others'
 * half of it alone. */
static void test_restore(void **state) {
    (void)state;
    enum { LIMIT_SMALL = 4 << 20, COUNT = 45000 };
    struct online_fixture *fixture = online_fixture_create(2 * LIMIT_SMALL);
    fixture->views[VIEW_WIDE].evicts = true;
    partition_restore_kept(fixture->partition, COUNT);
    restore_rows(fixture, VIEW_WIDE, COUNT);
    struct partition_stats stats;
    partition_stats(fixture->partition, &stats);
    assert_int_equal(stats.rows_count, COUNT);
    assert_true(fixture->budget.used_bytes <= LIMIT_SMALL);
    assert_in_range(stats.evicted_count, COUNT / 2, COUNT - 1);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* Rows that have to stay come first, and fill nearly all: the hand, which found none that can go,
 * goes on when the others come. */
static void test_restore_after_rows_that_stay(void **state) {
    (void)state;
    enum { LIMIT_SMALL = 4 << 20, COUNT_STAY = 45000, COUNT = 20000 };
    struct online_fixture *fixture = online_fixture_create(2 * LIMIT_SMALL);
    fixture->views[VIEW_WIDE].evicts = true;
    partition_restore_kept(fixture->partition, COUNT_STAY);
    restore_rows(fixture, VIEW_SMALL, COUNT_STAY);
    restore_rows(fixture, VIEW_WIDE, COUNT);
    struct partition_stats stats;
    partition_stats(fixture->partition, &stats);
    assert_in_range(stats.evicted_count, COUNT * 3 / 4, COUNT);
    assert_true(fixture->budget.used_bytes <= 2 * LIMIT_SMALL);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* The next process has half the memory, and the table is as it was: rows make way for others in the
 * places that are there. */
static void test_far_beyond_the_limit(void **state) {
    (void)state;
    enum { COUNT = 20000, OTHERS = 30000, MORE_BYTES = 4 * 65536 };
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    fixture->views[VIEW_WIDE].evicts = true;
    restore_rows(fixture, VIEW_WIDE, COUNT);
    partition_restore_lsn(fixture->partition, COUNT);
    online_fixture_keep(fixture);
    online_fixture_reopen(fixture);
    assert_int_equal(fixture->origin, PARTITION_MAPPED);
    uint64_t used_bytes = fixture->budget.used_bytes;
    fixture->budget.limit_bytes = used_bytes / 2;
    for (int64_t key = COUNT, tries = 0; key < COUNT + OTHERS; tries++) {
        assert_true(tries < 4 * OTHERS);
        struct row_spec spec = spec_of(VIEW_WIDE, key);
        key += row_write(fixture, &spec, (uint64_t)key + 1) == FST_OK;
        if (partition_is_short(fixture->partition))
            (void)partition_evict(fixture->partition, &fixture->catalog, 1024);
        partition_reclaim(fixture->partition);
        if (partition_wants_checkpoint(fixture->partition)) online_fixture_keep(fixture);
    }
    assert_true(fixture->budget.used_bytes <= used_bytes + MORE_BYTES);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_restore_after_rows_that_stay),
        cmocka_unit_test(test_far_beyond_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
