/* Three readers and a visitor look while one writer updates in place, replaces values, moves rows
 * to new revisions, removes and inserts, splits segments, and, where rows evict, evicts, promotes
 * and moves them. Every value of a row follows from one number, so a torn row is seen. Two kinds of
 * keys are never removed: those that were there before the readers started must always be found, so
 * a wrong miss is seen, and a reader never sees the (event time, lsn) of a row go back. Meant to be
 * run under a race detector too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/online/online_fixture.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define RACE_SLOW 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define RACE_SLOW 1
#endif
#endif
#ifndef RACE_SLOW
#define RACE_SLOW 0
#endif

enum {
    READERS = 3,
    VISITOR_SEAT = READERS,
    STABLE_KEYS_MAX = 64,
    KEYS_MAX = 4000,
    BATCH = 48,
    STEPS = RACE_SLOW ? 20000 : 150000,
};

struct race {
    struct online_fixture *fixture;
    uint32_t stable_keys; /* never removed */
    uint32_t keys;
    bool is_visited_whole;
    uint32_t readers_count;
    uint32_t views_count; /* of race_views */
    bool evicts;
    uint16_t revisions[4][KEYS_MAX]; /* of the rows written last: the writer's */
    uint64_t evicted, promoted;      /* likewise */
    _Atomic bool is_over;
    _Atomic uint64_t rows_read;
    _Atomic uint64_t rows_torn;
    _Atomic uint64_t rows_missed;
    _Atomic uint64_t rows_old;
    _Atomic uint64_t visits;
};

struct reader_thread {
    struct race *race;
    uint32_t seat;
    uint64_t random;
};

static const uint32_t race_views[] = {VIEW_WIDE, VIEW_TEXT, VIEW_NAMED, VIEW_SMALL};

/* The row that the write with this lsn made: all of it follows from key and lsn. */
static struct row_spec spec_of(uint32_t view_id, int64_t key, uint16_t revision, uint64_t lsn) {
    return (struct row_spec){
        .view_id = view_id,
        .revision = revision,
        .key = key,
        .event_us = (int64_t)lsn,
        .created_us = (int64_t)lsn + 1,
        .value = lsn * 31 + (uint64_t)key,
    };
}

static void row_judge(struct race *race, const struct row_found *found, uint32_t view_id,
                      int64_t key, int64_t *last_event_us) {
    const struct partition_read *read = &found->read;
    if (!read->is_found && !read->is_evicted) {
        if (key < race->stable_keys) atomic_fetch_add(&race->rows_missed, 1);
        return;
    }
    uint64_t lsn = (uint64_t)read->event_us;
    struct row_spec spec = spec_of(view_id, key, read->revision, lsn);
    bool is_whole = read->is_evicted ? read->lsn == lsn && read->created_us == spec.created_us
                                     : row_is(race->fixture, found, &spec, lsn);
    if (!is_whole) atomic_fetch_add(&race->rows_torn, 1);
    if (key < race->stable_keys && read->event_us < *last_event_us)
        atomic_fetch_add(&race->rows_old, 1);
    if (key < race->stable_keys) *last_event_us = read->event_us;
    atomic_fetch_add(&race->rows_read, 1);
}

static void *reader_run(void *context) {
    struct reader_thread *reader = context;
    struct race *race = reader->race;
    struct row_found *found = calloc(BATCH, sizeof *found);
    struct partition_read reads[BATCH];
    int64_t last_us[4][STABLE_KEYS_MAX] = {{0}};
    int64_t ignored = 0;
    while (!atomic_load(&race->is_over)) {
        int64_t keys[BATCH];
        uint32_t views[BATCH];
        epoch_enter(&race->fixture->epoch, reader->seat);
        for (uint32_t i = 0; i < BATCH; i++) {
            uint64_t dice = random_next(&reader->random);
            views[i] = (uint32_t)(dice >> 8) % race->views_count;
            keys[i] = (int64_t)((dice >> 16) % (dice % 2 ? race->stable_keys : race->keys));
            row_prepare(race->fixture, race_views[views[i]], keys[i], &found[i]);
            found[i].read.wants_mark = race->evicts && (dice >> 32) % 2 == 0;
            reads[i] = found[i].read;
        }
        partition_read_many(reads, BATCH);
        for (uint32_t i = 0; i < BATCH; i++) {
            found[i].read = reads[i];
            int64_t *last = keys[i] < race->stable_keys ? &last_us[views[i]][keys[i]] : &ignored;
            row_judge(race, &found[i], race_views[views[i]], keys[i], last);
        }
        epoch_leave(&race->fixture->epoch, reader->seat);
    }
    free(found);
    return NULL;
}

/* ---- visitor ---- */

/* Whether a visited row is one that was written; of text keys only whether it is well-formed. */
static bool visited_is_whole(struct race *race, const struct partition_row *row) {
    const struct view *view = race->fixture->by_id[row->view_id];
    int64_t event_us = load_i64(row->image);
    if (row->lsn != (uint64_t)event_us) return false;
    struct row_spec spec = spec_of(row->view_id, load_i64(row->key.data), row->revision, row->lsn);
    if (view->entity->id != 1) {
        const struct row_layout *layout = &view->revisions[row->revision].layout;
        return row_check(layout, row->image, row->heap, row->heap_bytes) == FST_OK;
    }
    uint8_t image[ROW_BYTES_MAX];
    uint8_t heap[ROW_LIGHT_BYTES_MAX];
    uint32_t heap_bytes = 0;
    image_make(race->fixture, &spec, image, heap, &heap_bytes);
    return memcmp(row->image, image, row->image_bytes) == 0 && row->heap_bytes == heap_bytes &&
           (heap_bytes == 0 || memcmp(row->heap, heap, heap_bytes) == 0);
}

static enum fst_status visited_row(void *context, const struct partition_row *row) {
    struct race *race = context;
    if (!visited_is_whole(race, row)) atomic_fetch_add(&race->rows_torn, 1);
    return FST_OK;
}

static enum fst_status visited_removed(void *context, uint32_t view_id, struct bytes key) {
    struct race *race = context;
    const struct entity *entity = race->fixture->by_id[view_id]->entity;
    if (key_check(entity->key_types, entity->keys_count, key) != FST_OK) {
        atomic_fetch_add(&race->rows_torn, 1);
    }
    return FST_OK;
}

static enum fst_status visited_client(void *context, uint64_t client_id, uint64_t sequence,
                                      uint64_t recent) {
    struct race *race = context;
    if (client_id != sequence || recent != 1) atomic_fetch_add(&race->rows_torn, 1);
    return FST_OK;
}

static void *visitor_run(void *context) {
    struct race *race = context;
    struct partition_visitor visitor = {
        .context = race, .row = visited_row, .removed = visited_removed, .client = visited_client};
    while (!atomic_load(&race->is_over)) {
        struct partition *partition = race->fixture->partition;
        epoch_enter(&race->fixture->epoch, VISITOR_SEAT);
        bool is_whole = race->is_visited_whole || partition_needs_whole_visit(partition);
        enum fst_status status =
            partition_visit(partition, is_whole, &race->fixture->catalog, &visitor);
        partition_visit_end(partition, status == FST_OK);
        epoch_leave(&race->fixture->epoch, VISITOR_SEAT);
        if (status != FST_OK) atomic_fetch_add(&race->rows_torn, 1);
        atomic_fetch_add(&race->visits, 1);
    }
    return NULL;
}

/* ---- writer ---- */

static void row_put(struct race *race, uint32_t view_id, int64_t key, uint16_t revision,
                    uint64_t lsn) {
    struct row_spec spec = spec_of(view_id, key, revision, lsn);
    const struct view *view = race->fixture->by_id[view_id];
    struct record record = record_make(race->fixture, &spec, 1, lsn);
    record_set_client(&record, lsn, lsn); /* A new client every time: the table turns over. */
    assert_int_equal(partition_admit(race->fixture->partition, view, record.body), PARTITION_ADMIT);
    assert_int_equal(
        partition_apply(race->fixture->partition, view, &record.header, record.body, true, NULL),
        FST_OK);
    record_free(&record);
}

/* As LMDB would have it: all of the row follows from its key, its LSN and its revision. */
static void row_promote(struct race *race, uint32_t v, int64_t key) {
    struct row_found found;
    (void)row_get(race->fixture, race_views[v], key, &found);
    if (!found.read.is_evicted) return;
    static uint8_t image[ROW_BYTES_MAX], heap[ROW_LIGHT_BYTES_MAX];
    uint32_t heap_used = 0;
    uint16_t revision = race->revisions[v][key];
    struct row_spec spec = spec_of(race_views[v], key, revision, found.read.lsn);
    image_make(race->fixture, &spec, image, heap, &heap_used);
    assert_int_equal(partition_promote(race->fixture->partition,
                                       race->fixture->by_id[race_views[v]], revision,
                                       found.read.lsn, image, heap),
                     FST_OK);
    race->promoted += 1;
}

static void evict_step(struct race *race, uint64_t dice) {
    struct partition *partition = race->fixture->partition;
    int64_t key = (int64_t)((dice >> 16) % (dice % 4 == 0 ? race->stable_keys : race->keys));
    if (dice % 16 == 0) race->evicted += partition_evict(partition, &race->fixture->catalog, 64);
    if (dice % 16 > 0) row_promote(race, (uint32_t)(dice >> 8) % race->views_count, key);
    partition_reclaim(partition);
}

static void write_step(struct race *race, uint64_t *random, uint64_t lsn) {
    if (race->evicts && random_next(random) % 8 > 0) { /* What is written always stays. */
        evict_step(race, random_next(random));
        return;
    }
    uint64_t dice = random_next(random);
    uint32_t v = (uint32_t)(dice >> 8) % race->views_count;
    uint32_t view_id = race_views[v];
    uint16_t revision = (uint16_t)((dice >> 12) % race->fixture->by_id[view_id]->revisions_count);
    int64_t key = (int64_t)((dice >> 16) % (dice % 4 == 0 ? race->stable_keys : race->keys));
    if (key >= race->stable_keys && (dice >> 3) % 4 == 0) {
        enum fst_status status = row_remove(race->fixture, view_id, key);
        assert_true(status == FST_OK || status == FST_NOT_FOUND);
    } else {
        row_put(race, view_id, key, revision, lsn);
        race->revisions[v][key] = revision;
    }
    partition_reclaim(race->fixture->partition);
}

static void race_run(struct race *race, uint32_t steps) {
    uint64_t random = random_seed(11);
    uint64_t lsn = 0;
    race->fixture = online_fixture_create(UINT64_C(256) << 20);
    for (uint32_t v = 0; v < race->views_count; v++) {
        race->fixture->views[race_views[v]].evicts = race->evicts;
    }
    for (int64_t key = 0; key < race->stable_keys; key++) {
        for (uint32_t v = 0; v < race->views_count; v++)
            row_put(race, race_views[v], key, 0, ++lsn);
    }
    pthread_t threads[READERS + 1];
    struct reader_thread readers[READERS];
    for (uint32_t i = 0; i < race->readers_count; i++) {
        readers[i] = (struct reader_thread){.race = race, .seat = i, .random = random + i};
        assert_int_equal(pthread_create(&threads[i], NULL, reader_run, &readers[i]), 0);
    }
    assert_int_equal(pthread_create(&threads[race->readers_count], NULL, visitor_run, race), 0);
    bool is_done = false; /* Rows go only after a visit: it may be late. */
    for (uint32_t step = 0; !is_done; step++) {
        write_step(race, &random, ++lsn);
        is_done = step >= steps && (!race->evicts || race->promoted > 0);
    }
    atomic_store(&race->is_over, true);
    for (uint32_t i = 0; i <= race->readers_count; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    struct partition_stats stats;
    partition_stats(race->fixture->partition, &stats);
    print_message("  evicted %llu, promoted %llu\n", (unsigned long long)race->evicted,
                  (unsigned long long)race->promoted);
    print_message("  rows read %llu, visits %llu, splits %llu, rows %llu\n",
                  (unsigned long long)race->rows_read, (unsigned long long)race->visits,
                  (unsigned long long)stats.splits, (unsigned long long)stats.rows_count);
    assert_int_equal(race->rows_torn, 0);
    assert_int_equal(race->rows_missed, 0);
    assert_int_equal(race->rows_old, 0);
    if (race->keys == KEYS_MAX) assert_true(stats.splits > 10);
    online_fixture_check(race->fixture);
    online_fixture_destroy(race->fixture);
}

static void test_many_keys(void **state) {
    (void)state;
    struct race race = {.stable_keys = STABLE_KEYS_MAX,
                        .keys = KEYS_MAX,
                        .readers_count = READERS,
                        .views_count = 4};
    race_run(&race, STEPS);
}

/* All threads on the same few rows. */
static void test_few_keys(void **state) {
    (void)state;
    struct race race = {.stable_keys = 2, .keys = 3, .readers_count = READERS, .views_count = 4};
    race_run(&race, STEPS);
}

/* The same while rows leave memory and come back; visits that are kept let them. */
static void test_evicting(void **state) {
    (void)state;
    static struct race many = {.stable_keys = STABLE_KEYS_MAX,
                               .keys = KEYS_MAX,
                               .readers_count = READERS,
                               .views_count = 4,
                               .evicts = true};
    static struct race few = {
        .stable_keys = 2, .keys = 3, .readers_count = READERS, .views_count = 4, .evicts = true};
    race_run(&many, 4 * STEPS);
    race_run(&few, 2 * STEPS);
}

/* The visitor copies hot rows as fast as it can. */
static void test_visitor_alone(void **state) {
    (void)state;
    struct race race = {.stable_keys = STABLE_KEYS_MAX,
                        .keys = STABLE_KEYS_MAX + 1,
                        .is_visited_whole = true,
                        .views_count = 1};
    race_run(&race, 2 * STEPS);
}

/* ---- clients ---- */

enum { HOT_CLIENTS = 64, HOT_SEQUENCES = RACE_SLOW ? 2000 : 20000 };

/* Every sequence up to the newest was applied. */
static enum fst_status hot_client(void *context, uint64_t client_id, uint64_t sequence,
                                  uint64_t recent) {
    struct race *race = context;
    uint64_t all = sequence < 64 ? (UINT64_C(1) << sequence) - 1 : UINT64_MAX;
    if (client_id > HOT_CLIENTS || recent != all) atomic_fetch_add(&race->rows_torn, 1);
    return FST_OK;
}

static void *hot_visitor_run(void *context) {
    struct race *race = context;
    struct partition_visitor visitor = {
        .context = race, .removed = visited_removed, .client = hot_client};
    while (!atomic_load(&race->is_over)) {
        struct partition *partition = race->fixture->partition;
        enum fst_status status =
            partition_visit(partition, true, &race->fixture->catalog, &visitor);
        partition_visit_end(partition, status == FST_OK);
        if (status != FST_OK) atomic_fetch_add(&race->rows_torn, 1);
        atomic_fetch_add(&race->visits, 1);
    }
    return NULL;
}

/* Whenever a client is visited, all that was applied is told of it: also when its next sequence is
 * applied at this moment, which the checkpoint does not promise. */
static void test_visited_clients_are_whole(void **state) {
    (void)state;
    struct race race = {.fixture = online_fixture_create(UINT64_C(64) << 20)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hot_visitor_run, &race), 0);
    for (uint64_t sequence = 1; sequence <= HOT_SEQUENCES; sequence++) {
        for (uint64_t client = 1; client <= HOT_CLIENTS; client++) {
            assert_int_equal(partition_restore_client(race.fixture->partition, client, sequence, 1),
                             FST_OK);
        }
    }
    atomic_store(&race.is_over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    print_message("  visits %llu\n", (unsigned long long)race.visits);
    assert_int_equal(race.rows_torn, 0);
    online_fixture_destroy(race.fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_few_keys),
        cmocka_unit_test(test_evicting),
        cmocka_unit_test(test_visitor_alone),
        cmocka_unit_test(test_visited_clients_are_whole),
    };
    return cmocka_run_group_tests_name("online/race", tests, NULL, NULL);
}
