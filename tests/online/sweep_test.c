/* Rows past their ttl and deletes that were kept long enough leave the table, so that months of new
 * keys, deletes and expiries fit into a small one; what may still be served, and deletes that hold
 * late rows back, stay. Time is a number; an oracle knows each key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "tests/online/online_fixture.h"

#define MINUTE_US INT64_C(60000000)
#define DAY_US    (1440 * MINUTE_US)

enum { STEPS = 300000, PLACES = 64, LIMIT_BYTES = 8 << 20, RECENT = 16 * 1440 };

struct churn {
    struct online_fixture *fixture;
    uint64_t lsn;
    uint64_t random;
    int64_t now_us;
    bool *is_deleted; /* by key: the minute in which it was written */
    int64_t *deleted_us;
};

static enum fst_status put(struct churn *churn, int64_t key, int64_t event_us, bool is_delete) {
    struct row_spec spec = {.view_id = VIEW_NAMED,
                            .revision = is_delete ? VIEW_REVISION_DELETED : 0,
                            .key = key,
                            .event_us = event_us,
                            .created_us = event_us,
                            .value = (uint64_t)key};
    return row_write(churn->fixture, &spec, ++churn->lsn);
}

static void sweep(struct churn *churn, uint32_t places) {
    (void)partition_sweep(churn->fixture->partition, &churn->fixture->catalog, churn->now_us,
                          places);
    partition_reclaim(churn->fixture->partition);
}

static void judge(struct churn *churn, int64_t newest) {
    struct row_found found;
    online_fixture_check(churn->fixture);
    sweep(churn, 100000);
    for (int64_t key = newest > RECENT ? newest - RECENT : 0; key <= newest; key++) {
        bool is_found = row_get(churn->fixture, VIEW_NAMED, key, &found);
        int64_t age_us = churn->now_us - key * MINUTE_US;
        assert_int_equal(is_found, !churn->is_deleted[key] && age_us <= 2 * DAY_US);
        bool is_held = churn->is_deleted[key] &&
                       churn->now_us - churn->deleted_us[key] <= PARTITION_DELETED_KEPT_US;
        assert_int_equal(found.read.is_deleted, is_held);
    }
}

static void test_months_of_churn(void **state) {
    (void)state;
    struct churn churn = {.fixture = online_fixture_create(LIMIT_BYTES),
                          .random = random_seed(31),
                          .is_deleted = calloc(STEPS, sizeof(bool)),
                          .deleted_us = calloc(STEPS, sizeof(int64_t))};
    assert_true(churn.is_deleted && churn.deleted_us);
    churn.fixture->views[VIEW_NAMED].ttl_us = DAY_US;
    for (int64_t key = 0; key < STEPS; key++) {
        churn.now_us = key * MINUTE_US;
        assert_int_equal(put(&churn, key, churn.now_us, false), FST_OK);
        int64_t other = key - (int64_t)(random_next(&churn.random) % 1000);
        if (other >= 0 && !churn.is_deleted[other] && random_next(&churn.random) % 3 == 0) {
            assert_int_equal(put(&churn, other, churn.now_us + 1, true), FST_OK);
            churn.is_deleted[other] = true;
            churn.deleted_us[other] = churn.now_us + 1;
            assert_int_equal(put(&churn, other, churn.now_us, false), FST_STALE);
        }
        sweep(&churn, PLACES);
        assert_true(churn.fixture->budget.used_bytes <= LIMIT_BYTES);
        if (key % 20000 == 19999) judge(&churn, key);
    }
    struct partition_stats stats;
    partition_stats(churn.fixture->partition, &stats);
    assert_true(stats.rows_count < 3 * 1440 && stats.deleted_count < 8 * 1440);
    free(churn.is_deleted);
    free(churn.deleted_us);
    online_fixture_destroy(churn.fixture);
}

static enum fst_status row_sweep(void *context, const struct partition_row *row) {
    struct churn *churn = context;
    (void)row;
    sweep(churn, 1000); /* A visit is open. */
    return FST_OK;
}

static const struct catalog *begun(void *context, uint64_t applied_lsn) {
    struct churn *churn = context;
    assert_int_equal(applied_lsn, churn->lsn);
    return &churn->fixture->catalog;
}

/* What a checkpoint has read of LSNs fits what it meets: nothing is swept beside it, nor after one
 * that was not kept. */
static void test_no_sweep_beside_a_visit(void **state) {
    (void)state;
    struct churn churn = {.fixture = online_fixture_create(LIMIT_BYTES)};
    struct partition *partition = churn.fixture->partition;
    assert_int_equal(put(&churn, 1, 0, true), FST_OK);
    churn.now_us = 2 * PARTITION_DELETED_KEPT_US;
    struct partition_visitor visitor = {.context = &churn, .begun = begun, .row = row_sweep};
    struct partition_stats stats;
    for (int i = 0; i < 2; i++) {
        epoch_enter(&churn.fixture->epoch, 0);
        assert_int_equal(partition_visit(partition, true, &churn.fixture->catalog, &visitor),
                         FST_OK);
        epoch_leave(&churn.fixture->epoch, 0);
        partition_visit_end(partition, i == 1);
        partition_stats(partition, &stats);
        assert_int_equal(stats.deleted_count, 1);
        if (i == 0) sweep(&churn, 1000);
    }
    sweep(&churn, 1000);
    partition_stats(partition, &stats);
    assert_int_equal(stats.deleted_count, 0);
    assert_int_equal(put(&churn, 1, 0, false), FST_OK);
    online_fixture_destroy(churn.fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_months_of_churn),
        cmocka_unit_test(test_no_sweep_beside_a_visit),
    };
    return cmocka_run_group_tests_name("online/sweep", tests, NULL, NULL);
}
