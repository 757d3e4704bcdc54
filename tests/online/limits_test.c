/* What a partition refuses, and what it remembers. The memory limit: new rows and values are
 * refused at it, rows of the same size are not, and what removals free can be used again, also by
 * rows of another size. Clients: a sequence counts once, across reopening, and releases are as if
 * nothing was asked. Record bodies: every kind of damage is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "storage/online/slab.h"
#include "tests/online/online_fixture.h"

enum { LIMIT_BYTES = 4 << 20 };

static struct row_spec spec_of(uint32_t view_id, int64_t key, int64_t event_us) {
    return (struct row_spec){.view_id = view_id,
                             .key = key,
                             .event_us = event_us,
                             .value = (uint64_t)(key * 100 + event_us)};
}

static uint64_t waiting_of(const struct online_fixture *fixture) {
    struct partition_stats stats;
    partition_stats(fixture->partition, &stats);
    return stats.memory_bytes[PARTITION_MEMORY_WAITING];
}

static struct partition_stats stats_of(const struct online_fixture *fixture) {
    struct partition_stats stats;
    partition_stats(fixture->partition, &stats);
    return stats;
}

/* Writes new keys until one is refused; returns how many fitted. */
static int64_t fill(struct online_fixture *fixture, uint32_t view_id) {
    for (int64_t key = 0;; key++) {
        struct row_spec spec = spec_of(view_id, key, 1);
        enum fst_status status = row_write(fixture, &spec, (uint64_t)key + 1);
        if (status == FST_FULL) return key;
        assert_int_equal(status, FST_OK);
    }
}

static void rows_check(const struct online_fixture *fixture, uint32_t view_id, int64_t count,
                       int64_t event_us, uint64_t lsn_first) {
    struct row_found found;
    for (int64_t key = 0; key < count; key++) {
        struct row_spec spec = spec_of(view_id, key, event_us);
        assert_true(row_get(fixture, view_id, key, &found));
        assert_true(row_is(fixture, &found, &spec, lsn_first + (uint64_t)key));
    }
}

static void reclaim_all(struct online_fixture *fixture) {
    for (int i = 0; i < 100; i++) partition_reclaim(fixture->partition);
}

static void test_full_and_room_again(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    int64_t count = fill(fixture, VIEW_WIDE);
    print_message("  %lld rows of 400 B of values in 4 MiB\n", (long long)count);
    assert_true(count > 8000);
    assert_true(fixture->budget.used_bytes <= LIMIT_BYTES);
    for (int64_t key = 0; key < count; key++) {
        struct row_spec spec = spec_of(VIEW_WIDE, key, 2);
        assert_int_equal(row_write(fixture, &spec, 100000 + (uint64_t)key), FST_OK);
    }
    rows_check(fixture, VIEW_WIDE, count, 2, 100000);
    struct row_spec other = spec_of(VIEW_WIDE, count + 1, 1);
    assert_int_equal(row_write(fixture, &other, 1), FST_FULL);
    other = spec_of(VIEW_TEXT, 1, 1);
    other.heavy_bytes = 60000;
    assert_int_equal(row_write(fixture, &other, 1), FST_FULL);
    for (int64_t key = 0; key < count; key++) {
        assert_int_equal(row_remove(fixture, VIEW_WIDE, key), FST_OK);
    }
    other = spec_of(VIEW_WIDE, 1, 1); /* What was removed is not free before it was reclaimed. */
    assert_int_equal(row_write(fixture, &other, 1), FST_FULL);
    online_fixture_check(fixture);
    reclaim_all(fixture);
    assert_int_equal(waiting_of(fixture), 0);
    assert_int_equal(fill(fixture, VIEW_WIDE), count);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* At the limit every row can be deleted, which makes room; a key without a row cannot. */
static void test_full_and_deletes(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    int64_t count = fill(fixture, VIEW_WIDE);
    struct row_found found;
    struct row_spec other = spec_of(VIEW_WIDE, count + 1, 2);
    other.revision = VIEW_REVISION_DELETED;
    assert_int_equal(row_write(fixture, &other, 1), FST_FULL);
    for (int64_t key = 0; key < count; key++) {
        struct row_spec spec = spec_of(VIEW_WIDE, key, 2);
        spec.revision = VIEW_REVISION_DELETED;
        assert_int_equal(row_write(fixture, &spec, 100000 + (uint64_t)key), FST_OK);
        assert_false(row_get(fixture, VIEW_WIDE, key, &found));
        partition_reclaim(fixture->partition);
    }
    reclaim_all(fixture);
    online_fixture_check(fixture);
    assert_int_equal(stats_of(fixture).rows_count, 0);
    assert_int_equal(stats_of(fixture).deleted_count, count);
    assert_true(fixture->budget.used_bytes <= LIMIT_BYTES + 4 * 65536);
    other = spec_of(VIEW_WIDE, 1, 1); /* Older than its delete. */
    assert_int_equal(row_write(fixture, &other, 200000), FST_STALE);
    for (int64_t key = 0; key < count / 2; key++) {
        struct row_spec spec = spec_of(VIEW_WIDE, key, 3);
        assert_int_equal(row_write(fixture, &spec, 200001 + (uint64_t)key), FST_OK);
    }
    rows_check(fixture, VIEW_WIDE, count / 2, 3, 200001);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* The room of removed rows goes to rows and values of other sizes. */
static void test_room_for_other_sizes(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    int64_t wide = fill(fixture, VIEW_WIDE);
    for (int64_t key = 0; key < wide; key++) {
        assert_int_equal(row_remove(fixture, VIEW_WIDE, key), FST_OK);
    }
    reclaim_all(fixture);
    int64_t text = fill(fixture, VIEW_TEXT);
    print_message("  %lld rows of text after %lld wide ones\n", (long long)text, (long long)wide);
    assert_true(text > wide);
    rows_check(fixture, VIEW_TEXT, text, 1, 1);
    assert_true(stats_of(fixture).mapped_bytes <= LIMIT_BYTES + 65536 * 2);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* While a reader holds its seat, nothing it may look at is used again. */
static void test_readers_hold_places(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    struct row_spec first = spec_of(VIEW_TEXT, 1, 1);
    first.heavy_bytes = 3000;
    assert_int_equal(row_write(fixture, &first, 1), FST_OK);
    epoch_enter(&fixture->epoch, 0);
    struct row_found found;
    assert_true(row_get(fixture, VIEW_TEXT, 1, &found));
    for (uint64_t i = 2; i < 200; i++) {
        struct row_spec next = spec_of(VIEW_TEXT, 1, (int64_t)i);
        next.heavy_bytes = 3000;
        assert_int_equal(row_write(fixture, &next, i), FST_OK);
        partition_reclaim(fixture->partition);
        assert_true(row_is(fixture, &found, &first, 1));
    }
    assert_true(waiting_of(fixture) > 0);
    epoch_leave(&fixture->epoch, 0);
    reclaim_all(fixture);
    assert_int_equal(waiting_of(fixture), 0);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* Applies a record with this event time in all its rows, if it is admitted. */
static bool record_write(struct online_fixture *fixture, struct record *record, int64_t event_us) {
    struct log_rows_header rows;
    memcpy(&rows, record->body, sizeof rows);
    const struct view *view = fixture->by_id[rows.view_id];
    uint32_t image_bytes = view->revisions[rows.revision].layout.image_bytes;
    for (uint32_t i = 0; i < rows.rows_count; i++) {
        store_i64(record->body + sizeof rows + (size_t)i * image_bytes, event_us);
    }
    if (partition_admit(fixture->partition, view, record->body) != PARTITION_ADMIT) return false;
    assert_int_equal(
        partition_apply(fixture->partition, view, &record->header, record->body, true, NULL),
        FST_OK);
    return true;
}

/* A reader that stays while millions of values are replaced: then writes are refused at admission,
 * and none that was admitted fails, down to the last place. */
static void test_readers_hold_too_many_places(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(UINT64_C(256) << 20);
    struct row_spec specs[2][256];
    struct record many[2], one[2];
    for (uint32_t r = 0; r < 2; r++) {
        for (int64_t key = 0; key < 256; key++) {
            specs[r][key] = spec_of(VIEW_TEXT, key, (int64_t)r);
            specs[r][key].heavy_bytes = 16;
        }
        many[r] = record_make(fixture, specs[r], 256, 1);
        struct row_spec small = spec_of(VIEW_SMALL, 1, 1);
        small.revision = (uint16_t)r;
        one[r] = record_make(fixture, &small, 1, 1);
    }
    epoch_enter(&fixture->epoch, 0);
    for (int64_t event_us = 1; event_us <= 2; event_us++) {
        assert_true(record_write(fixture, &many[event_us % 2], event_us));
    }
    partition_reclaim(fixture->partition); /* What waits now waits for the reader. */
    int64_t now_us = 3;
    while (record_write(fixture, &many[now_us % 2], now_us)) now_us += 1;
    print_message("  %lld writes of 256 rows\n", (long long)now_us);
    assert_true(now_us > 1000);
    while (record_write(fixture, &one[now_us % 2], now_us)) now_us += 1;
    /* It is not memory that is missing, so no row has to leave it. */
    assert_int_equal(partition_admit(fixture->partition, fixture->by_id[VIEW_TEXT], many[0].body),
                     PARTITION_BUSY);
    assert_false(partition_is_short(fixture->partition));
    online_fixture_check(fixture);
    epoch_leave(&fixture->epoch, 0);
    for (int i = 0; i < 10000; i++) partition_reclaim(fixture->partition);
    assert_int_equal(waiting_of(fixture), 0);
    assert_true(record_write(fixture, &many[now_us % 2], now_us));
    assert_true(record_write(fixture, &one[now_us % 2], now_us));
    online_fixture_check(fixture);
    for (uint32_t r = 0; r < 2; r++) {
        record_free(&many[r]);
        record_free(&one[r]);
    }
    online_fixture_destroy(fixture);
}

/* A record that may free more places than can wait is refused for good, whatever memory there is,
 * and rows need not leave it for that. One row less, and it is admitted alone, but not twice. */
static void test_one_record_frees_too_many_places(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(UINT64_C(1) << 30);
    const struct view *view = fixture->by_id[VIEW_SMALL];
    uint32_t rows_max = (uint32_t)(TABLE_WAITING_MAX - slabs_waiting_max(0)) / 4;
    size_t image_bytes = view->revisions[0].layout.image_bytes;
    struct log_rows_header rows = {.view_id = view->id, .rows_count = rows_max + 1};
    uint8_t *body = calloc(1, sizeof rows + (rows_max + 1) * image_bytes);
    assert_non_null(body);
    memcpy(body, &rows, sizeof rows);
    assert_int_equal(partition_admit(fixture->partition, view, body), PARTITION_TOO_LARGE);
    rows.rows_count = rows_max;
    memcpy(body, &rows, sizeof rows);
    assert_int_equal(partition_admit(fixture->partition, view, body), PARTITION_ADMIT);
    assert_int_equal(partition_admit(fixture->partition, view, body), PARTITION_BUSY);
    assert_false(partition_is_short(fixture->partition));
    partition_release(fixture->partition, view, body);
    online_fixture_check(fixture);
    free(body);
    online_fixture_destroy(fixture);
}

/* What was admitted is charged until it is applied or released. */
static void test_admitted_rows_are_charged(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    struct row_spec specs[100];
    for (int64_t i = 0; i < 100; i++) specs[i] = spec_of(VIEW_WIDE, i, 1);
    struct record record = record_make(fixture, specs, 100, 1);
    const struct view *view = fixture->by_id[VIEW_WIDE];
    uint64_t before = fixture->budget.used_bytes;
    uint32_t admitted = 0;
    while (partition_admit(fixture->partition, view, record.body) == PARTITION_ADMIT) {
        admitted += 1;
        assert_true(admitted < 1000);
    }
    assert_true(admitted > 80);
    assert_true(fixture->budget.used_bytes > before + 100u * 400 * admitted);
    for (uint32_t i = 1; i < admitted; i++) {
        partition_release(fixture->partition, view, record.body);
    }
    assert_int_equal(
        partition_apply(fixture->partition, view, &record.header, record.body, true, NULL), FST_OK);
    assert_int_equal(fixture->budget.used_bytes, stats_of(fixture).mapped_bytes);
    rows_check(fixture, VIEW_WIDE, 100, 1, 1);
    record_free(&record);
    online_fixture_destroy(fixture);
}

/* The reserve of address space ends before the budget: refused at admission, never in the
 * middle. */
static void test_reserve_ends(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(UINT64_C(1) << 40);
    partition_close(fixture->partition);
    fixture->options.reserve_bytes = 24 << 20;
    assert_int_equal(fixture->io->ops->unlink(fixture->io, fixture->path), 0);
    assert_int_equal(partition_open(&fixture->partition, &fixture->options, &fixture->origin, NULL),
                     FST_OK);
    int64_t count = fill(fixture, VIEW_SMALL);
    assert_true(count > 1000);
    rows_check(fixture, VIEW_SMALL, count, 1, 1);
    /* Without admission, as recovery does it, the reserve can be used up. */
    enum fst_status status = FST_OK;
    for (int64_t key = count; status == FST_OK; key++) {
        struct row_spec spec = spec_of(VIEW_TEXT, key, 1);
        spec.heavy_bytes = 60000;
        struct record record = record_make(fixture, &spec, 1, (uint64_t)key + 1);
        status = partition_apply(fixture->partition, fixture->by_id[VIEW_TEXT], &record.header,
                                 record.body, true, NULL);
        record_free(&record);
    }
    assert_int_equal(status, FST_FULL);
    online_fixture_check(fixture);
    rows_check(fixture, VIEW_SMALL, count, 1, 1);
    online_fixture_destroy(fixture);
}

/* ---- clients ---- */

static enum partition_admission write_as(struct online_fixture *fixture, uint64_t client_id,
                                         uint64_t sequence, bool is_applied) {
    struct row_spec spec = spec_of(VIEW_SMALL, 1, (int64_t)sequence);
    struct record record = record_make(fixture, &spec, 1, sequence);
    record_set_client(&record, client_id, sequence);
    const struct view *view = fixture->by_id[VIEW_SMALL];
    enum partition_admission admission = partition_admit(fixture->partition, view, record.body);
    if (admission == PARTITION_ADMIT && is_applied) {
        assert_int_equal(
            partition_apply(fixture->partition, view, &record.header, record.body, true, NULL),
            FST_OK);
    }
    record_free(&record);
    return admission;
}

static void test_sequences_count_once(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    assert_int_equal(write_as(fixture, 7, 1, true), PARTITION_ADMIT);
    assert_int_equal(write_as(fixture, 7, 1, true), PARTITION_REPEATED);
    assert_int_equal(write_as(fixture, 8, 1, true), PARTITION_ADMIT);
    assert_int_equal(write_as(fixture, 7, 5, true), PARTITION_ADMIT);
    assert_int_equal(write_as(fixture, 7, 4, true), PARTITION_ADMIT);
    assert_int_equal(write_as(fixture, 7, 4, true), PARTITION_REPEATED);
    assert_int_equal(write_as(fixture, 7, 6, false), PARTITION_ADMIT);
    assert_int_equal(write_as(fixture, 7, 6, false), PARTITION_REPEATED);
    assert_int_equal(write_as(fixture, 0, 6, true), PARTITION_ADMIT);
    assert_int_equal(write_as(fixture, 0, 6, true), PARTITION_ADMIT);
    online_fixture_reopen(fixture); /* Sequence 6 was admitted and never durable. */
    assert_int_equal(write_as(fixture, 7, 5, true), PARTITION_REPEATED);
    assert_int_equal(write_as(fixture, 7, 6, true), PARTITION_ADMIT);
    assert_int_equal(partition_restore_client(fixture->partition, 9, 100, 1), FST_OK);
    assert_int_equal(partition_restore_client(fixture->partition, 9, 50, 1), FST_OK);
    assert_int_equal(write_as(fixture, 9, 100, true), PARTITION_REPEATED);
    assert_int_equal(write_as(fixture, 9, 101, true), PARTITION_ADMIT);
    assert_int_equal(partition_restore_client(fixture->partition, 0, 1, 1), FST_INVALID);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* Keeps what is told of client 7. */
struct told {
    uint64_t sequence;
    uint64_t recent;
};

static enum fst_status told_client(void *context, uint64_t client_id, uint64_t sequence,
                                   uint64_t recent) {
    assert_int_equal(client_id, 7);
    *(struct told *)context = (struct told){.sequence = sequence, .recent = recent};
    return FST_OK;
}

/* Of a pipeline every third write was refused, and its answer lost: when all are repeated, exactly
 * those are new; in the same table, in one that was mapped again, and in one made from a
 * checkpoint. What is 64 writes old counts as taken. */
static void test_refused_ones_are_not_repeated(void **state) {
    (void)state;
    for (int way = 0; way < 3; way++) {
        struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
        for (uint64_t sequence = 1; sequence <= 100; sequence++) {
            if (sequence % 3 == 0) continue;
            assert_int_equal(write_as(fixture, 7, sequence, true), PARTITION_ADMIT);
        }
        struct told told = {0};
        const struct partition_visitor visitor = {.context = &told, .client = told_client};
        if (way == 1) online_fixture_reopen(fixture);
        if (way == 2) {
            assert_int_equal(partition_visit(fixture->partition, true, &fixture->catalog, &visitor),
                             FST_OK);
            assert_int_equal(partition_clear(fixture->partition), FST_OK);
            assert_int_equal(
                partition_restore_client(fixture->partition, 7, told.sequence, told.recent),
                FST_OK);
        }
        for (uint64_t sequence = 1; sequence <= 100; sequence++) {
            bool is_new = sequence > 100 - 64 && sequence % 3 == 0;
            assert_int_equal(write_as(fixture, 7, sequence, true),
                             is_new ? PARTITION_ADMIT : PARTITION_REPEATED);
            assert_int_equal(write_as(fixture, 7, sequence, true), PARTITION_REPEATED);
        }
        online_fixture_check(fixture);
        online_fixture_destroy(fixture);
    }
}

static void test_release_is_as_if_not_asked(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    struct row_spec spec = spec_of(VIEW_SMALL, 1, 1);
    struct record record = record_make(fixture, &spec, 1, 1);
    const struct view *view = fixture->by_id[VIEW_SMALL];
    record_set_client(&record, 7, 3);
    for (int i = 0; i < 3; i++) {
        uint64_t before = fixture->budget.used_bytes;
        assert_int_equal(partition_admit(fixture->partition, view, record.body), PARTITION_ADMIT);
        assert_int_equal(partition_admit(fixture->partition, view, record.body),
                         PARTITION_REPEATED);
        partition_release(fixture->partition, view, record.body);
        assert_int_equal(fixture->budget.used_bytes, before);
    }
    record_free(&record);
    online_fixture_destroy(fixture);
}

/* Beyond 4,096 clients the idle ones are forgotten, the busy ones are not; nor are those with a
 * write in flight, be it one that was refused before a later one was taken. */
static void test_clients_give_way(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    assert_int_equal(write_as(fixture, 2000000, 4, true), PARTITION_ADMIT);
    assert_int_equal(write_as(fixture, 2000000, 3, false), PARTITION_ADMIT);
    for (uint64_t client = 1; client <= 20000; client++) {
        assert_int_equal(write_as(fixture, client, 5, true), PARTITION_ADMIT);
        if (client % 50 == 0) {
            assert_int_equal(write_as(fixture, 1000000, client, true), PARTITION_ADMIT);
        }
    }
    assert_int_equal(write_as(fixture, 1000000, 20000, true), PARTITION_REPEATED);
    assert_int_equal(write_as(fixture, 2000000, 4, true), PARTITION_REPEATED);
    assert_int_equal(write_as(fixture, 20000, 5, true), PARTITION_REPEATED);
    assert_int_equal(write_as(fixture, 1, 5, true), PARTITION_ADMIT);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

static uint64_t fixed_of(const struct online_fixture *fixture) {
    return stats_of(fixture).memory_bytes[PARTITION_MEMORY_FIXED];
}

/* Few clients take a page, more of them more, and none is forgotten when their sets double: what
 * was admitted is known as what was applied is. */
static void test_clients_double(void **state) {
    (void)state;
    enum { CLIENTS = 400, FEW = 8, PAGE = 4096 };
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    assert_int_equal(write_as(fixture, CLIENTS + 1, 7, false), PARTITION_ADMIT);
    uint64_t before = fixed_of(fixture);
    for (uint64_t client = 1; client <= CLIENTS; client++) {
        assert_int_equal(write_as(fixture, client, client + 1, true), PARTITION_ADMIT);
        assert_int_equal(write_as(fixture, client, client, true), PARTITION_ADMIT);
        if (client == FEW) assert_int_equal(fixed_of(fixture), before);
    }
    assert_int_equal(write_as(fixture, CLIENTS + 1, 7, false), PARTITION_REPEATED);
    assert_in_range(fixed_of(fixture), before + 5 * PAGE, before + 24 * PAGE);
    for (int turn = 0; turn < 2; turn++) {
        for (uint64_t client = 1; client <= CLIENTS; client++) {
            assert_int_equal(write_as(fixture, client, client, true), PARTITION_REPEATED);
            assert_int_equal(write_as(fixture, client, client + 1, true), PARTITION_REPEATED);
        }
        online_fixture_check(fixture);
        online_fixture_reopen(fixture);
        assert_int_equal(fixture->origin, PARTITION_MAPPED);
    }
    assert_int_equal(write_as(fixture, CLIENTS + 1, 7, true), PARTITION_ADMIT);
    online_fixture_destroy(fixture);
}

/* ---- bodies from a disk ---- */

static const struct body_case {
    const char *name;
    size_t offset; /* of four bytes that get `value` */
    uint32_t value;
} body_cases[] = {
    {"another view", 0, VIEW_WIDE},        {"a revision the view has not, reserved set", 4, 2},
    {"a reserved field", 4, 1u << 16},     {"no rows", 8, 0},
    {"more rows than there are", 8, 3},    {"fewer rows than there are", 8, 1},
    {"rows that overflow", 8, 0xffffffff}, {"a heap that is too long", 12, 0xfffffff8},
    {"a heap that is too short", 12, 0},   {"a reference beyond the heap", 32 + 16 + 8 + 8, 100000},
};

static void test_damaged_bodies(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    /* The first values whose first column is not null. */
    struct row_spec specs[2] = {spec_of(VIEW_TEXT, 1, 1), spec_of(VIEW_TEXT, 2, 1)};
    const struct view *view = fixture->by_id[VIEW_TEXT];
    struct record good;
    for (uint64_t value = 1;; value++) {
        specs[0].value = value;
        good = record_make(fixture, specs, 2, 1);
        bool is_null = row_is_null(good.body + 32 + view->revisions[0].layout.body_offset, 0);
        if (!is_null) break;
        record_free(&good);
    }
    assert_int_equal(log_rows_check(view, LOG_RECORD_ROWS, good.body, good.body_bytes), FST_OK);
    for (size_t i = 0; i < sizeof body_cases / sizeof body_cases[0]; i++) {
        const struct body_case *c = &body_cases[i];
        print_message("  %s\n", c->name);
        uint32_t kept = load_u32(good.body + c->offset);
        store_u32(good.body + c->offset, c->value);
        assert_int_equal(log_rows_check(view, LOG_RECORD_ROWS, good.body, good.body_bytes),
                         FST_CORRUPT);
        store_u32(good.body + c->offset, kept);
    }
    /* Every length, in memory of exactly that size. */
    for (size_t bytes = 0; bytes < good.body_bytes; bytes++) {
        uint8_t *cut = malloc(bytes + 1);
        assert_non_null(cut);
        memcpy(cut, good.body, bytes);
        assert_int_equal(log_rows_check(view, LOG_RECORD_ROWS, cut, bytes), FST_CORRUPT);
        free(cut);
    }
    record_free(&good);
    online_fixture_destroy(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_and_room_again),
        cmocka_unit_test(test_full_and_deletes),
        cmocka_unit_test(test_room_for_other_sizes),
        cmocka_unit_test(test_readers_hold_places),
        cmocka_unit_test(test_readers_hold_too_many_places),
        cmocka_unit_test(test_one_record_frees_too_many_places),
        cmocka_unit_test(test_admitted_rows_are_charged),
        cmocka_unit_test(test_reserve_ends),
        cmocka_unit_test(test_sequences_count_once),
        cmocka_unit_test(test_refused_ones_are_not_repeated),
        cmocka_unit_test(test_release_is_as_if_not_asked),
        cmocka_unit_test(test_clients_give_way),
        cmocka_unit_test(test_clients_double),
        cmocka_unit_test(test_damaged_bodies),
    };
    return cmocka_run_group_tests_name("online/limits", tests, NULL, NULL);
}
