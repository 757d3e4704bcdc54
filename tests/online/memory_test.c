/* How much memory a table takes beside its rows: tables of rows of 50 float64 grow by records that
 * are admitted several at a time, shrink and grow again, and at each size what lies ahead of the
 * rows and what every table has are compared with what they may be at most. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "storage/online/partition_parts.h"
#include "tests/online/online_fixture.h"

enum {
    LIMIT_BYTES = 256 << 20,
    RECORD_ROWS = 16,
    FLIGHT = 5, /* records that are admitted before they are applied */
    STEP_ROWS = 1000,
    AHEAD_EXTENTS_MIN = 3, /* a span of rows, one of index segments, and what is in flight */
    AHEAD_PART = 64,
    FIXED_BYTES_MAX = 48 << 10,
    ROW_PAYLOAD_BYTES = 408,
    REMOVAL_BYTES = 16, /* of a key of 8 */
};

static uint64_t ahead_bytes_max(const struct partition_stats *stats) {
    uint64_t taken = stats->mapped_bytes / TABLE_EXTENT_BYTES;
    return (AHEAD_EXTENTS_MIN + taken / AHEAD_PART) * TABLE_EXTENT_BYTES;
}

/* The extent table grows with the rows. Keys of removed rows are kept for the next checkpoint, and
 * what waits for readers in two lists, all by the page. */
static uint64_t fixed_bytes_max(const struct partition_stats *stats, uint64_t removed_rows) {
    uint64_t extents = stats->mapped_bytes / TABLE_EXTENT_BYTES;
    uint64_t waiting = removed_rows < STEP_ROWS ? removed_rows : STEP_ROWS;
    return FIXED_BYTES_MAX + extents * sizeof(struct extent) + waiting * 2 * sizeof(uint64_t) +
           removed_rows * REMOVAL_BYTES;
}

static void memory_look(const struct online_fixture *fixture, uint64_t removed_rows) {
    struct partition_stats stats;
    partition_stats(fixture->partition, &stats);
    assert_in_range(stats.memory_bytes[PARTITION_MEMORY_AHEAD], 0, ahead_bytes_max(&stats));
    assert_in_range(stats.memory_bytes[PARTITION_MEMORY_FIXED], 0,
                    fixed_bytes_max(&stats, removed_rows));
}

/* Bytes in all for a hundred of payload. */
static uint64_t percent_of(const struct online_fixture *fixture) {
    struct partition_stats stats;
    partition_stats(fixture->partition, &stats);
    uint64_t sum = 0;
    for (uint32_t u = 0; u < PARTITION_MEMORY_COUNT; u++) sum += stats.memory_bytes[u];
    uint64_t payload = stats.memory_bytes[PARTITION_MEMORY_PAYLOAD];
    assert_int_equal(payload, stats.rows_count * ROW_PAYLOAD_BYTES);
    return (sum * 100 + payload - 1) / payload;
}

/* Some records with the keys from `key` on. */
static void flight_write(struct online_fixture *fixture, int64_t key, uint64_t *lsn) {
    struct record records[FLIGHT];
    const struct view *view = fixture->by_id[VIEW_WIDE];
    for (int64_t i = 0; i < FLIGHT; i++) {
        struct row_spec specs[RECORD_ROWS];
        for (int64_t r = 0; r < RECORD_ROWS; r++) {
            specs[r] = (struct row_spec){.view_id = VIEW_WIDE, .key = key++, .event_us = 1};
        }
        records[i] = record_make(fixture, specs, RECORD_ROWS, *lsn);
        *lsn += RECORD_ROWS;
        assert_int_equal(partition_admit(fixture->partition, view, records[i].body),
                         PARTITION_ADMIT);
    }
    for (int64_t i = 0; i < FLIGHT; i++) {
        assert_int_equal(partition_apply(fixture->partition, view, &records[i].header,
                                         records[i].body, true, NULL),
                         FST_OK);
        record_free(&records[i]);
    }
}

/* Rows from `from` to `to`, rounded up to whole flights; where they end. */
static int64_t rows_grow(struct online_fixture *fixture, int64_t from, int64_t to, uint64_t *lsn) {
    int64_t key = from;
    for (; key < to; key += FLIGHT * RECORD_ROWS) flight_write(fixture, key, lsn);
    return key;
}

static void rows_shrink(struct online_fixture *fixture, int64_t from, int64_t to) {
    for (int64_t key = from; key < to; key++) {
        assert_int_equal(row_remove(fixture, VIEW_WIDE, key), FST_OK);
        if (key % STEP_ROWS == 0) {
            for (int i = 0; i < 4; i++) partition_reclaim(fixture->partition);
            memory_look(fixture, (uint64_t)(key - from + 1));
        }
    }
}

static const struct size_case {
    int64_t rows; /* of one of 64 tables */
    uint64_t percent_max;
} size_cases[] = {
    {4700, 125},  /* of 300 k rows */
    {15625, 120}, /* 1 M */
    {47000, 117}, /* 3 M */
    {100000, 117},
};

static void test_share_of_payload(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    uint64_t lsn = 1;
    int64_t rows = 0;
    memory_look(fixture, 0);
    for (size_t c = 0; c < sizeof size_cases / sizeof size_cases[0]; c++) {
        while (rows + STEP_ROWS < size_cases[c].rows) {
            rows = rows_grow(fixture, rows, rows + STEP_ROWS, &lsn);
            memory_look(fixture, 0);
        }
        rows = rows_grow(fixture, rows, size_cases[c].rows, &lsn);
        memory_look(fixture, 0);
        uint64_t percent = percent_of(fixture);
        print_message("  %lld rows: %llu %% of their payload\n", (long long)rows,
                      (unsigned long long)percent);
        assert_in_range(percent, 100, size_cases[c].percent_max);
    }
    /* What becomes free is free, not ahead; rows that come again take no more. */
    int64_t removed = 3 * STEP_ROWS;
    rows_shrink(fixture, 0, removed);
    struct partition_stats before, after;
    partition_stats(fixture->partition, &before);
    assert_in_range(rows_grow(fixture, 0, removed - STEP_ROWS, &lsn), 0, removed);
    partition_stats(fixture->partition, &after);
    assert_int_equal(after.mapped_bytes, before.mapped_bytes);
    memory_look(fixture, (uint64_t)removed);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* Rows that come and go, a few between two checkpoints, however long: their keys take the pages of
 * those few. */
static void test_keys_of_removed_rows(void **state) {
    (void)state;
    enum { TURNS = 300, ROWS = 300, PAGE = 4096 };
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    struct partition_stats first, last;
    uint64_t lsn = 1;
    for (int turn = 0; turn < TURNS; turn++) {
        (void)rows_grow(fixture, 0, ROWS, &lsn);
        for (int64_t key = 0; key < ROWS; key++) {
            assert_int_equal(row_remove(fixture, VIEW_WIDE, key), FST_OK);
        }
        for (int i = 0; i < 4; i++) partition_reclaim(fixture->partition);
        assert_false(partition_needs_whole_visit(fixture->partition));
        online_fixture_keep(fixture);
        partition_stats(fixture->partition, turn == 0 ? &first : &last);
    }
    assert_in_range(last.memory_bytes[PARTITION_MEMORY_FIXED], 0,
                    first.memory_bytes[PARTITION_MEMORY_FIXED] + 2 * PAGE);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* An empty table: a page each of what it has, and an extent for the index. */
static void test_an_empty_table(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    struct partition_stats stats;
    partition_stats(fixture->partition, &stats);
    assert_int_equal(stats.memory_bytes[PARTITION_MEMORY_AHEAD], 0);
    assert_in_range(stats.memory_bytes[PARTITION_MEMORY_FIXED], 1, 32 << 10);
    assert_int_equal(stats.mapped_bytes, TABLE_EXTENT_BYTES);
    online_fixture_destroy(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_of_payload),
        cmocka_unit_test(test_keys_of_removed_rows),
        cmocka_unit_test(test_an_empty_table),
    };
    return cmocka_run_group_tests_name("online/memory", tests, NULL, NULL);
}
