/* A store of rows and clients is kept up to date by visits alone, as a checkpoint does it: after
 * any mix of writes, removals, visits that were kept, visits that were not and reopening, it equals
 * the partition, and a partition made from it serves the same rows. Visits of what changed are
 * small; what the catalog does not know stays for later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "tests/online/online_fixture.h"

enum { KEYS = 400, VIEWS = 3, CLIENTS = 20, LIMIT_BYTES = 256 << 20 };

static const uint32_t visited_views[VIEWS] = {VIEW_SMALL, VIEW_TEXT, VIEW_NAMED};

/* One kept row. */
struct kept {
    bool is_present;
    uint16_t revision;
    uint64_t lsn;
    uint8_t *image; /* and heap behind it */
    size_t image_bytes;
    size_t heap_bytes;
};

struct keeper {
    struct online_fixture *fixture;
    struct kept rows[VIEWS][KEYS];
    uint64_t clients[CLIENTS + 1];
    uint64_t rows_visited;
    uint64_t removals_visited;
    uint64_t fail_after; /* rows; 0: never */
    bool visits_others;  /* clients that are not compared */
};

static uint32_t view_index(uint32_t view_id) {
    for (uint32_t v = 0; v < VIEWS; v++) {
        if (visited_views[v] == view_id) return v;
    }
    fail();
    return 0;
}

static struct kept *kept_find(struct keeper *keeper, uint32_t view_id, struct bytes key) {
    for (int64_t k = 0; k < KEYS; k++) {
        uint8_t bytes[KEY_BYTES_MAX];
        size_t length = key_make(keeper->fixture, view_id, k, bytes);
        if (length == key.bytes && memcmp(bytes, key.data, length) == 0) {
            return &keeper->rows[view_index(view_id)][k];
        }
    }
    fail();
    return NULL;
}

static enum fst_status keep_row(void *context, const struct partition_row *row) {
    struct keeper *keeper = context;
    const struct view *view = keeper->fixture->by_id[row->view_id];
    const struct row_layout *layout = view_layout(view, row->revision);
    assert_int_equal(row_check(layout, row->image, row->heap, row->heap_bytes), FST_OK);
    assert_int_equal(row->image_bytes, layout->image_bytes);
    keeper->rows_visited += 1;
    if (keeper->fail_after && keeper->rows_visited >= keeper->fail_after) return FST_IO_ERROR;
    struct kept *kept = kept_find(keeper, row->view_id, row->key);
    assert_true(!kept->is_present || row->lsn >= kept->lsn || row->revision != kept->revision);
    free(kept->image);
    *kept = (struct kept){
        .is_present = true,
        .revision = row->revision,
        .lsn = row->lsn,
        .image = malloc(row->image_bytes + row->heap_bytes),
        .image_bytes = row->image_bytes,
        .heap_bytes = row->heap_bytes,
    };
    assert_non_null(kept->image);
    memcpy(kept->image, row->image, row->image_bytes);
    if (row->heap_bytes) memcpy(kept->image + row->image_bytes, row->heap, row->heap_bytes);
    return FST_OK;
}

static enum fst_status keep_removed(void *context, uint32_t view_id, struct bytes key) {
    struct keeper *keeper = context;
    keeper->removals_visited += 1;
    kept_find(keeper, view_id, key)->is_present = false;
    return FST_OK;
}

static enum fst_status keep_client(void *context, uint64_t client_id, uint64_t sequence,
                                   uint64_t recent) {
    struct keeper *keeper = context;
    assert_true(recent & 1);
    if (client_id > CLIENTS && keeper->visits_others) return FST_OK;
    assert_in_range(client_id, 1, CLIENTS);
    assert_true(sequence > keeper->clients[client_id] || keeper->clients[client_id] == sequence);
    keeper->clients[client_id] = sequence;
    return FST_OK;
}

/* One checkpoint. `is_kept` false: as if it could not be stored, so the keeper's state is
 * undone. */
static void keeper_visit(struct keeper *keeper, bool is_kept) {
    struct partition *partition = keeper->fixture->partition;
    struct partition_visitor visitor = {
        .context = keeper, .row = keep_row, .removed = keep_removed, .client = keep_client};
    bool is_whole = partition_needs_whole_visit(partition);
    for (uint32_t v = 0; is_whole && v < VIEWS; v++) {
        for (uint32_t k = 0; k < KEYS; k++) keeper->rows[v][k].is_present = false;
    }
    keeper->rows_visited = 0;
    keeper->removals_visited = 0;
    keeper->fail_after = is_kept ? 0 : 3;
    epoch_enter(&keeper->fixture->epoch, 0);
    enum fst_status status =
        partition_visit(partition, is_whole, &keeper->fixture->catalog, &visitor);
    epoch_leave(&keeper->fixture->epoch, 0);
    assert_true(status == FST_OK || !is_kept);
    partition_visit_end(partition, is_kept);
}

/* ---- the partition that is visited ---- */

struct written {
    bool is_present;
    uint64_t lsn;
    struct row_spec spec;
};

struct store {
    struct keeper keeper;
    struct written rows[VIEWS][KEYS];
    uint64_t clients[CLIENTS + 1];
    uint64_t lsn;
    uint64_t random;
};

static void store_write(struct store *store) {
    uint32_t v = (uint32_t)(random_next(&store->random) % VIEWS);
    int64_t key = (int64_t)(random_next(&store->random) % KEYS);
    struct online_fixture *fixture = store->keeper.fixture;
    const struct view *view = fixture->by_id[visited_views[v]];
    uint64_t lsn = ++store->lsn;
    uint64_t client = 1 + random_next(&store->random) % CLIENTS;
    struct row_spec spec = {
        .view_id = view->id,
        .revision = (uint16_t)(random_next(&store->random) % view->revisions_count),
        .key = key,
        .event_us = (int64_t)lsn,
        .value = random_next(&store->random),
        .heavy_bytes = lsn % 64 == 0 ? 65536 : 0,
    };
    if (random_next(&store->random) % 8 == 0) spec.revision = VIEW_REVISION_DELETED;
    struct record record = record_make(fixture, &spec, 1, lsn);
    record_set_client(&record, client, lsn);
    assert_int_equal(partition_admit(fixture->partition, view, record.body), PARTITION_ADMIT);
    assert_int_equal(
        partition_apply(fixture->partition, view, &record.header, record.body, true, NULL), FST_OK);
    record_free(&record);
    store->rows[v][key] = (struct written){true, lsn, spec};
    store->clients[client] = lsn;
}

static void store_remove(struct store *store) {
    uint32_t v = (uint32_t)(random_next(&store->random) % VIEWS);
    int64_t key = (int64_t)(random_next(&store->random) % KEYS);
    struct written *row = &store->rows[v][key];
    assert_int_equal(row_remove(store->keeper.fixture, visited_views[v], key),
                     row->is_present ? FST_OK : FST_NOT_FOUND);
    row->is_present = false;
}

/* Makes a partition from what was kept, and compares it with what was written. */
static void store_compare(struct store *store) {
    struct online_fixture *fixture = store->keeper.fixture;
    assert_int_equal(partition_clear(fixture->partition), FST_OK);
    for (uint32_t v = 0; v < VIEWS; v++) {
        for (int64_t k = 0; k < KEYS; k++) {
            struct kept *kept = &store->keeper.rows[v][k];
            if (!kept->is_present) continue;
            assert_int_equal(partition_restore_row(fixture->partition,
                                                   fixture->by_id[visited_views[v]], kept->revision,
                                                   kept->lsn, kept->image,
                                                   kept->image + kept->image_bytes),
                             FST_OK);
        }
    }
    for (uint32_t v = 0; v < VIEWS; v++) {
        for (int64_t k = 0; k < KEYS; k++) {
            struct row_found found;
            const struct written *row = &store->rows[v][k];
            bool is_deleted = row->spec.revision == VIEW_REVISION_DELETED;
            assert_int_equal(row_get(fixture, visited_views[v], k, &found),
                             row->is_present && !is_deleted);
            assert_int_equal(found.read.is_deleted, row->is_present && is_deleted);
            if (row->is_present) assert_true(row_is(fixture, &found, &row->spec, row->lsn));
        }
    }
    for (uint32_t c = 1; c <= CLIENTS; c++) {
        assert_int_equal(store->keeper.clients[c], store->clients[c]);
    }
    online_fixture_check(fixture);
}

static struct store *store_create(uint64_t seed) {
    struct store *store = calloc(1, sizeof *store);
    assert_non_null(store);
    store->keeper.fixture = online_fixture_create(LIMIT_BYTES);
    store->random = seed;
    return store;
}

static void store_destroy(struct store *store) {
    for (uint32_t v = 0; v < VIEWS; v++) {
        for (uint32_t k = 0; k < KEYS; k++) free(store->keeper.rows[v][k].image);
    }
    online_fixture_destroy(store->keeper.fixture);
    free(store);
}

static void test_visits_keep_up(void **state) {
    (void)state;
    uint64_t seed = random_seed(21);
    for (uint64_t round = 0; round < 8; round++) {
        struct store *store = store_create(seed + round);
        uint32_t steps = 200 + (uint32_t)(random_next(&store->random) % 2000);
        for (uint32_t step = 0; step < steps; step++) {
            uint64_t dice = random_next(&store->random) % 1000;
            if (dice < 700)
                store_write(store);
            else if (dice < 900)
                store_remove(store);
            else if (dice < 980)
                partition_reclaim(store->keeper.fixture->partition);
            else if (dice < 990)
                keeper_visit(&store->keeper, true);
            else if (dice < 994)
                keeper_visit(&store->keeper, false);
            else
                online_fixture_reopen(store->keeper.fixture);
        }
        keeper_visit(&store->keeper, true);
        store_compare(store);
        store_destroy(store);
    }
}

static void test_second_visit_is_small(void **state) {
    (void)state;
    struct store *store = store_create(1);
    for (int i = 0; i < 5000; i++) store_write(store);
    keeper_visit(&store->keeper, true);
    uint64_t first = store->keeper.rows_visited;
    keeper_visit(&store->keeper, true);
    assert_int_equal(store->keeper.rows_visited, 0);
    store_write(store);
    keeper_visit(&store->keeper, true);
    assert_true(store->keeper.rows_visited > 0);
    assert_true(store->keeper.rows_visited < first);
    online_fixture_reopen(store->keeper.fixture);
    keeper_visit(&store->keeper, true);
    assert_int_equal(store->keeper.rows_visited, 0);
    store_compare(store);
    store_destroy(store);
}

static const struct catalog *newest_catalog(void *context, uint64_t applied_lsn) {
    const struct keeper *keeper = context;
    assert_int_equal(applied_lsn, 100);
    return &keeper->fixture->catalog;
}

/* The catalog that goes with the LSN counts: the other one may be older than rows up to there. */
static void test_catalog_of_the_beginning(void **state) {
    (void)state;
    struct store *store = store_create(4);
    struct keeper *keeper = &store->keeper;
    const struct catalog older = {.views_by_id_count = 0};
    const struct partition_visitor visitor = {.context = keeper,
                                              .begun = newest_catalog,
                                              .row = keep_row,
                                              .removed = keep_removed,
                                              .client = keep_client};
    for (int i = 0; i < 100; i++) store_write(store);
    assert_int_equal(partition_visit(keeper->fixture->partition, false, &older, &visitor), FST_OK);
    partition_visit_end(keeper->fixture->partition, true);
    store_compare(store);
    store_destroy(store);
}

/* A process that ends between taking the marks and storing the rows has to visit all again. */
static void test_lost_visit_makes_next_whole(void **state) {
    (void)state;
    struct store *store = store_create(2);
    for (int i = 0; i < 500; i++) store_write(store);
    keeper_visit(&store->keeper, true);
    assert_false(partition_needs_whole_visit(store->keeper.fixture->partition));
    keeper_visit(&store->keeper, false);
    online_fixture_reopen(store->keeper.fixture);
    assert_true(partition_needs_whole_visit(store->keeper.fixture->partition));
    keeper_visit(&store->keeper, true);
    assert_false(partition_needs_whole_visit(store->keeper.fixture->partition));
    store_compare(store);
    store_destroy(store);
}

/* More removals than the ring holds: the next visit has to be whole, and then all is well. */
static void test_too_many_removals(void **state) {
    (void)state;
    struct store *store = store_create(3);
    struct online_fixture *fixture = store->keeper.fixture;
    for (int i = 0; i < 1000; i++) store_write(store);
    keeper_visit(&store->keeper, true);
    uint32_t rounds = 0;
    while (!partition_needs_whole_visit(fixture->partition)) {
        store_write(store);
        store_remove(store);
        assert_true(++rounds < 100000);
    }
    for (int i = 0; i < 1000; i++) store_remove(store);
    keeper_visit(&store->keeper, true);
    assert_false(partition_needs_whole_visit(fixture->partition));
    for (uint32_t i = 0; i < rounds; i++) { /* Around the ring, several times. */
        store_write(store);
        store_remove(store);
        if (i % 500 == 0) keeper_visit(&store->keeper, true);
    }
    keeper_visit(&store->keeper, true);
    assert_true(store->keeper.removals_visited > 0);
    store_compare(store);
    store_destroy(store);
}

/* One client after the other, all with the same sequence, in a table that is too small for them:
 * every one is visited, whoever had its place before. */
static void test_clients_in_turn(void **state) {
    (void)state;
    struct store *store = store_create(5);
    struct online_fixture *fixture = store->keeper.fixture;
    store->keeper.visits_others = true;
    for (uint64_t client = 1; client <= CLIENTS; client++) {
        for (uint64_t other = 0; client > 1 && other < 20000; other++) {
            assert_int_equal(partition_restore_client(fixture->partition, 1000 + other, 5, 1),
                             FST_OK);
        }
        keeper_visit(&store->keeper, true);
        assert_int_equal(partition_restore_client(fixture->partition, client, 5, 1), FST_OK);
        keeper_visit(&store->keeper, true);
        store->clients[client] = 5;
    }
    store_compare(store);
    store_destroy(store);
}

/* Counts the clients up to `known`, and adds others when it meets the first. */
struct doubler {
    struct partition *partition;
    uint64_t known;
    uint64_t others;
    uint64_t told; /* a bit each */
};

static enum fst_status double_clients(void *context, uint64_t client_id, uint64_t sequence,
                                      uint64_t recent) {
    struct doubler *doubler = context;
    assert_int_equal(sequence, 5);
    assert_int_equal(recent, 1);
    if (client_id <= doubler->known) doubler->told |= UINT64_C(1) << (client_id - 1);
    for (; doubler->others > 0; doubler->others--) {
        uint64_t other = 1000 + doubler->others;
        assert_int_equal(partition_restore_client(doubler->partition, other, 5, 1), FST_OK);
    }
    return FST_OK;
}

/* Clients that move because their sets double are visited all the same: after the first of them
 * was, and also when nothing of them changed since. */
static void test_clients_double_during_visit(void **state) {
    (void)state;
    enum { KNOWN = 30, OTHERS = 1000 };
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    struct doubler doubler = {.partition = fixture->partition, .known = KNOWN, .others = OTHERS};
    for (uint64_t client = 1; client <= KNOWN; client++) {
        assert_int_equal(partition_restore_client(fixture->partition, client, 5, 1), FST_OK);
    }
    const struct partition_visitor visitor = {.context = &doubler, .client = double_clients};
    epoch_enter(&fixture->epoch, 0);
    assert_int_equal(partition_visit(fixture->partition, false, &fixture->catalog, &visitor),
                     FST_OK);
    epoch_leave(&fixture->epoch, 0);
    partition_visit_end(fixture->partition, true);
    assert_int_equal(doubler.others, 0);
    assert_int_equal(doubler.told, (UINT64_C(1) << KNOWN) - 1);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* A visitor that removes a row of the first span once the removals were visited, and puts it again:
 * into a span that is visited later. */
struct meddler {
    struct store *store;
    bool is_done;
};

static enum fst_status meddle_row(void *context, const struct partition_row *row) {
    struct meddler *meddler = context;
    struct store *store = meddler->store;
    struct online_fixture *fixture = store->keeper.fixture;
    struct written *written = &store->rows[0][7];
    if (!meddler->is_done) {
        meddler->is_done = true;
        assert_int_equal(row_remove(fixture, VIEW_SMALL, 7), FST_OK);
        written->lsn = ++store->lsn;
        written->spec.event_us = 9;
        assert_int_equal(row_write(fixture, &written->spec, written->lsn), FST_OK);
    }
    return keep_row(&store->keeper, row);
}

/* What is removed and put again during a visit is visited, and the next visit, which meets the
 * removal, leaves it alone. */
static void test_removed_and_put_again_during_visit(void **state) {
    (void)state;
    struct store *store = store_create(6);
    struct online_fixture *fixture = store->keeper.fixture;
    for (int64_t key = 0; key < KEYS; key++) { /* More than a span has room for. */
        struct row_spec spec = {.view_id = VIEW_SMALL, .revision = 1, .key = key, .event_us = 1};
        store->rows[0][key] = (struct written){true, ++store->lsn, spec};
        assert_int_equal(row_write(fixture, &spec, store->lsn), FST_OK);
    }
    struct meddler meddler = {.store = store};
    struct partition_visitor visitor = {
        .context = &meddler, .row = meddle_row, .removed = keep_removed, .client = keep_client};
    epoch_enter(&fixture->epoch, 0);
    assert_int_equal(partition_visit(fixture->partition, true, &fixture->catalog, &visitor),
                     FST_OK);
    epoch_leave(&fixture->epoch, 0);
    partition_visit_end(fixture->partition, true);
    assert_true(meddler.is_done);
    assert_int_equal(store->keeper.rows[0][7].lsn, store->lsn);
    keeper_visit(&store->keeper, true);
    assert_int_equal(store->keeper.removals_visited, 0);
    store_compare(store);
    store_destroy(store);
}

/* A visitor without functions, and what it passed over is not in the next visit. */
static void test_nobody_looks(void **state) {
    (void)state;
    struct store *store = store_create(5);
    struct online_fixture *fixture = store->keeper.fixture;
    for (int i = 0; i < 300; i++) store_write(store);
    struct row_spec removed = {.view_id = VIEW_SMALL, .revision = 1, .key = 1, .event_us = 1};
    (void)row_write(fixture, &removed, ++store->lsn);
    assert_int_equal(row_remove(fixture, VIEW_SMALL, 1), FST_OK);
    online_fixture_keep(fixture);
    memset(store->keeper.clients, 0, sizeof store->keeper.clients);
    keeper_visit(&store->keeper, true);
    assert_int_equal(store->keeper.rows_visited, 0);
    assert_int_equal(store->keeper.removals_visited, 0);
    for (uint64_t c = 0; c <= CLIENTS; c++) assert_int_equal(store->keeper.clients[c], 0);
    store_destroy(store);
}

static void test_unknown_views_wait(void **state) {
    (void)state;
    struct store *store = store_create(4);
    struct online_fixture *fixture = store->keeper.fixture;
    for (int i = 0; i < 300; i++) store_write(store);
    fixture->by_id[VIEW_TEXT] = NULL;
    fixture->views[VIEW_SMALL].revisions_count = 1;
    keeper_visit(&store->keeper, true);
    uint64_t first = store->keeper.rows_visited;
    fixture->by_id[VIEW_TEXT] = &fixture->views[VIEW_TEXT];
    fixture->views[VIEW_SMALL].revisions_count = 2;
    keeper_visit(&store->keeper, true);
    assert_true(first > 0 && store->keeper.rows_visited > 0);
    store_compare(store);
    store_destroy(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_visits_keep_up),
        cmocka_unit_test(test_second_visit_is_small),
        cmocka_unit_test(test_catalog_of_the_beginning),
        cmocka_unit_test(test_lost_visit_makes_next_whole),
        cmocka_unit_test(test_too_many_removals),
        cmocka_unit_test(test_clients_in_turn),
        cmocka_unit_test(test_clients_double_during_visit),
        cmocka_unit_test(test_removed_and_put_again_during_visit),
        cmocka_unit_test(test_nobody_looks),
        cmocka_unit_test(test_unknown_views_wait),
    };
    return cmocka_run_group_tests_name("online/visit", tests, NULL, NULL);
}
