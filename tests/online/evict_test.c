/* Cold rows leave memory and come back. A model drives writes, late writes, deletes, removals,
 * reads, visits, evictions and promotions at random against an oracle of the greatest row of each
 * key, and a map, filled by visits, that stands for LMDB: an evicted row must be in it as it was
 * written. The order of the clock, and what an evicted row still does, are shown one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "tests/online/online_fixture.h"

enum {
    LIMIT_BYTES = 64 << 20,
    KEYS = 120,
    VIEWS = 4,
    STEPS = 30000,
    ALL_PLACES = 100000,
    VALUES_BYTES_MAX = 1400, /* of a row with heavy values of 300 bytes */
};

static const uint32_t model_views[VIEWS] = {VIEW_SMALL, VIEW_TEXT, VIEW_NAMED, VIEW_WIDE};

/* ---- what stands for LMDB ---- */

struct kept_row {
    bool is_there;
    uint16_t revision;
    uint64_t lsn;
    uint32_t image_bytes, heap_bytes;
    uint8_t image[ROW_BYTES_MAX];
    uint8_t heap[VALUES_BYTES_MAX];
};

struct kept {
    struct kept_row rows[VIEWS][KEYS];
};

struct model_row {
    bool is_there;
    uint64_t lsn;
    struct row_spec spec;
};

struct model {
    struct online_fixture *fixture;
    struct model_row rows[VIEWS][KEYS];
    struct kept *kept;    /* committed */
    struct kept *visited; /* with what the visit hands out */
    uint64_t lsn;
    uint64_t random;
    uint64_t evicted, promoted;
};

static uint32_t view_number(uint32_t view_id) {
    uint32_t v = 0;
    while (model_views[v] != view_id) v++;
    return v;
}

static uint32_t key_number(const struct online_fixture *fixture, uint32_t view_id,
                           struct bytes wanted) {
    uint8_t key[KEY_BYTES_MAX];
    for (uint32_t k = 0; k < KEYS; k++) {
        size_t bytes = key_make(fixture, view_id, k, key);
        if (bytes == wanted.bytes && memcmp(key, wanted.data, bytes) == 0) return k;
    }
    fail_msg("a key that nobody wrote");
    return 0;
}

/* Moves the hand, and counts. */
static void model_evict(struct model *model, uint32_t places) {
    struct online_fixture *fixture = model->fixture;
    model->evicted += partition_evict(fixture->partition, &fixture->catalog, places);
}

static void model_promote(struct model *model) {
    uint32_t v = (uint32_t)(random_next(&model->random) % VIEWS);
    uint32_t k = (uint32_t)(random_next(&model->random) % KEYS);
    const struct kept_row *kept = &model->kept->rows[v][k];
    if (!kept->is_there || kept->revision == VIEW_REVISION_DELETED) return;
    struct row_found found;
    (void)row_get(model->fixture, model_views[v], k, &found);
    bool is_evicted = found.read.is_evicted && found.read.lsn == kept->lsn;
    enum fst_status status =
        partition_promote(model->fixture->partition, model->fixture->by_id[model_views[v]],
                          kept->revision, kept->lsn, kept->image, kept->heap);
    assert_int_equal(status, is_evicted ? FST_OK : FST_STALE);
    model->promoted += status == FST_OK;
}

static enum fst_status keep_row(void *context, const struct partition_row *row) {
    struct model *model = context;
    uint32_t v = view_number(row->view_id);
    uint32_t k = key_number(model->fixture, row->view_id, row->key);
    struct kept_row *kept = &model->visited->rows[v][k];
    assert_true(row->image_bytes <= sizeof kept->image && row->heap_bytes <= sizeof kept->heap);
    assert_true(row->revision == VIEW_REVISION_DELETED ||
                row->revision < model->fixture->by_id[row->view_id]->revisions_count);
    kept->is_there = true;
    kept->revision = row->revision;
    kept->lsn = row->lsn;
    memcpy(kept->image, row->image, row->image_bytes);
    if (row->heap_bytes) memcpy(kept->heap, row->heap, row->heap_bytes);
    /* Beside the visit. */
    if (random_next(&model->random) % 8 == 0) model_evict(model, 64);
    if (random_next(&model->random) % 8 == 0) model_promote(model);
    return FST_OK;
}

static enum fst_status keep_removed(void *context, uint32_t view_id, struct bytes key) {
    struct model *model = context;
    uint32_t k = key_number(model->fixture, view_id, key);
    model->visited->rows[view_number(view_id)][k].is_there = false;
    return FST_OK;
}

static void model_visit(struct model *model, bool is_kept) {
    struct partition *partition = model->fixture->partition;
    const struct partition_visitor visitor = {
        .context = model, .row = keep_row, .removed = keep_removed};
    bool is_whole = partition_needs_whole_visit(partition);
    *model->visited = *model->kept;
    epoch_enter(&model->fixture->epoch, 0);
    assert_int_equal(partition_visit(partition, is_whole, &model->fixture->catalog, &visitor),
                     FST_OK);
    epoch_leave(&model->fixture->epoch, 0);
    /* A whole visit drops what the table has not. */
    for (uint32_t i = 0; is_whole && i < VIEWS * KEYS; i++) {
        uint32_t v = i / KEYS, k = i % KEYS;
        struct row_found found;
        bool is_found = row_get(model->fixture, model_views[v], k, &found);
        bool is_there = is_found || found.read.is_deleted || found.read.is_evicted;
        if (!is_there) model->visited->rows[v][k].is_there = false;
    }
    if (is_kept) *model->kept = *model->visited;
    partition_visit_end(partition, is_kept);
}

/* ---- the model ---- */

static bool is_greater(const struct row_spec *spec, uint64_t lsn, const struct model_row *row) {
    if (!row->is_there) return true;
    if (spec->event_us != row->spec.event_us) return spec->event_us > row->spec.event_us;
    return lsn > row->lsn;
}

static void model_write(struct model *model) {
    uint32_t v = (uint32_t)(random_next(&model->random) % VIEWS);
    uint32_t k = (uint32_t)(random_next(&model->random) % KEYS);
    struct row_spec spec = {
        .view_id = model_views[v],
        .key = k,
        .event_us = (int64_t)(model->lsn / 16 + random_next(&model->random) % 64),
        .value = random_next(&model->random) % 100000,
        .heavy_bytes = random_next(&model->random) % 8 == 0 ? 300 : 0,
    };
    uint32_t revisions = model->fixture->by_id[spec.view_id]->revisions_count;
    spec.revision = (uint16_t)(random_next(&model->random) % revisions);
    if (random_next(&model->random) % 6 == 0) spec.revision = VIEW_REVISION_DELETED;
    uint64_t lsn = ++model->lsn;
    struct model_row *row = &model->rows[v][k];
    bool is_new = is_greater(&spec, lsn, row);
    assert_int_equal(row_write(model->fixture, &spec, lsn), is_new ? FST_OK : FST_STALE);
    if (is_new) *row = (struct model_row){.is_there = true, .lsn = lsn, .spec = spec};
}

static void model_remove(struct model *model) {
    uint32_t v = (uint32_t)(random_next(&model->random) % VIEWS);
    uint32_t k = (uint32_t)(random_next(&model->random) % KEYS);
    struct model_row *row = &model->rows[v][k];
    assert_int_equal(row_remove(model->fixture, model_views[v], k),
                     row->is_there ? FST_OK : FST_NOT_FOUND);
    row->is_there = false;
}

/* The image that was written, as LMDB has it. */
static void kept_is(struct model *model, const struct kept_row *kept, const struct model_row *row) {
    static uint8_t image[ROW_BYTES_MAX], heap[ROW_HEAP_BYTES_MAX];
    const struct view *view = model->fixture->by_id[row->spec.view_id];
    const struct row_layout *layout = view_layout(view, row->spec.revision);
    uint32_t heap_used = 0;
    assert_true(kept->is_there && kept->lsn == row->lsn);
    assert_int_equal(kept->revision, row->spec.revision);
    image_make(model->fixture, &row->spec, image, heap, &heap_used);
    assert_memory_equal(kept->image, image, layout->image_bytes);
    assert_memory_equal(kept->heap, heap, heap_used);
}

static void model_read(struct model *model, uint32_t v, uint32_t k) {
    struct row_found found;
    const struct model_row *row = &model->rows[v][k];
    row_prepare(model->fixture, model_views[v], k, &found);
    found.read.wants_mark = random_next(&model->random) % 2 == 0;
    partition_read_many(&found.read, 1);
    const struct partition_read *read = &found.read;
    assert_int_equal(read->is_found + read->is_deleted + read->is_evicted, row->is_there);
    if (!row->is_there) return;
    assert_int_equal(read->lsn, row->lsn);
    assert_int_equal(read->event_us, row->spec.event_us);
    assert_int_equal(read->created_us, row->spec.created_us);
    assert_int_equal(read->is_deleted, row->spec.revision == VIEW_REVISION_DELETED);
    if (read->is_evicted)
        kept_is(model, &model->kept->rows[v][k], row);
    else
        assert_true(row_is(model->fixture, &found, &row->spec, row->lsn));
}

static void model_look(struct model *model) {
    struct partition_stats stats;
    uint64_t rows_count = 0, evicted_count = 0;
    online_fixture_check(model->fixture);
    for (uint32_t i = 0; i < VIEWS * KEYS; i++) {
        struct row_found found;
        const struct model_row *row = &model->rows[i / KEYS][i % KEYS];
        model_read(model, i / KEYS, i % KEYS);
        (void)row_get(model->fixture, model_views[i / KEYS], i % KEYS, &found);
        rows_count += row->is_there && row->spec.revision != VIEW_REVISION_DELETED;
        evicted_count += found.read.is_evicted;
    }
    partition_stats(model->fixture->partition, &stats);
    assert_int_equal(stats.rows_count, rows_count);
    assert_int_equal(stats.evicted_count, evicted_count);
}

static void model_step(struct model *model) {
    uint32_t dice = (uint32_t)(random_next(&model->random) % 1000);
    if (dice < 300)
        model_write(model);
    else if (dice < 320)
        model_remove(model);
    else if (dice < 700)
        model_read(model, (uint32_t)(random_next(&model->random) % VIEWS),
                   (uint32_t)(random_next(&model->random) % KEYS));
    else if (dice < 800)
        model_evict(model, 1 + (uint32_t)(random_next(&model->random) % 200));
    else if (dice < 940)
        model_promote(model);
    else if (dice < 955)
        model_visit(model, true);
    else if (dice < 960)
        model_visit(model, false);
    else if (dice < 998)
        partition_reclaim(model->fixture->partition);
    else
        online_fixture_reopen(model->fixture);
}

static void test_model(void **state) {
    (void)state;
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->kept = calloc(1, sizeof *model->kept);
    model->visited = calloc(1, sizeof *model->visited);
    assert_true(model->kept && model->visited);
    model->fixture = online_fixture_create(LIMIT_BYTES);
    model->random = random_seed(31);
    for (uint32_t v = 0; v < VIEWS; v++) {
        model->fixture->views[model_views[v]].evicts = model_views[v] != VIEW_WIDE;
    }
    for (uint32_t step = 1; step <= STEPS; step++) {
        model_step(model);
        if (step % (STEPS / 50) == 0) model_look(model);
    }
    assert_true(model->evicted > KEYS);
    assert_true(model->promoted > KEYS);
    online_fixture_destroy(model->fixture);
    free(model->kept);
    free(model->visited);
    free(model);
}

/* ---- one by one ---- */

static enum fst_status row_count(void *context, const struct partition_row *row) {
    uint64_t *rows_count = context;
    (void)row;
    *rows_count += 1;
    return FST_OK;
}

/* A checkpoint of all that changed: the number of rows in it. */
static uint64_t visit(struct online_fixture *fixture, bool is_whole, bool is_kept) {
    uint64_t rows_count = 0;
    const struct partition_visitor visitor = {.context = &rows_count, .row = row_count};
    assert_int_equal(partition_visit(fixture->partition, is_whole, &fixture->catalog, &visitor),
                     FST_OK);
    partition_visit_end(fixture->partition, is_kept);
    return rows_count;
}

static uint32_t evict(struct online_fixture *fixture) {
    return partition_evict(fixture->partition, &fixture->catalog, ALL_PLACES);
}

static struct row_spec spec_of(uint32_t view_id, int64_t key, int64_t event_us) {
    return (struct row_spec){
        .view_id = view_id, .key = key, .event_us = event_us, .value = (uint64_t)key};
}

/* Rows 0 and up, with LSNs from 1, of one view that evicts. */
static struct online_fixture *rows_make(uint32_t view_id, uint32_t count) {
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    fixture->views[view_id].evicts = true;
    for (uint32_t k = 0; k < count; k++) {
        struct row_spec spec = spec_of(view_id, k, 100);
        assert_int_equal(row_write(fixture, &spec, k + 1), FST_OK);
    }
    return fixture;
}

static struct partition_read look(const struct online_fixture *fixture, uint32_t view_id,
                                  int64_t key, bool wants_mark) {
    struct row_found found;
    row_prepare(fixture, view_id, key, &found);
    found.read.wants_mark = wants_mark;
    partition_read_many(&found.read, 1);
    return found.read;
}

/* Once around spares what was written; twice around what was read meanwhile. */
static void test_clock(void **state) {
    (void)state;
    struct online_fixture *fixture = rows_make(VIEW_SMALL, 3);
    (void)visit(fixture, false, true);
    assert_int_equal(evict(fixture), 0);
    assert_false(look(fixture, VIEW_SMALL, 0, false).was_used);
    assert_false(look(fixture, VIEW_SMALL, 1, true).was_used);
    assert_true(look(fixture, VIEW_SMALL, 1, true).was_used);
    assert_int_equal(partition_evict(fixture->partition, &fixture->catalog, 0), 0);
    uint32_t evicted = 0;
    for (int i = 0; evicted == 0 && i < 1000; i++)
        evicted = partition_evict(fixture->partition, &fixture->catalog, 1);
    assert_int_equal(evicted, 1);
    assert_int_equal(look(fixture, VIEW_SMALL, 0, false).is_evicted, 1);
    assert_int_equal(look(fixture, VIEW_SMALL, 1, false).is_evicted, 0);
    assert_int_equal(look(fixture, VIEW_SMALL, 2, false).is_evicted, 0);
    assert_int_equal(partition_evict(fixture->partition, &fixture->catalog, 2), 1);
    assert_int_equal(look(fixture, VIEW_SMALL, 1, false).is_evicted, 0);
    assert_int_equal(look(fixture, VIEW_SMALL, 2, false).is_evicted, 1);
    assert_int_equal(evict(fixture), 1);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* What LMDB has not, or not as it is now, stays; so does what does not evict. */
static void test_unkept_rows_stay(void **state) {
    (void)state;
    struct online_fixture *fixture = rows_make(VIEW_SMALL, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(evict(fixture), 0);
    assert_true(partition_wants_checkpoint(fixture->partition));
    (void)visit(fixture, false, false);
    assert_int_equal(evict(fixture), 0);
    (void)visit(fixture, true, true);
    assert_false(partition_wants_checkpoint(fixture->partition));
    for (int64_t k = 0; k < 3; k++) (void)look(fixture, VIEW_SMALL, k, true);
    assert_int_equal(evict(fixture), 0);
    assert_false(partition_wants_checkpoint(fixture->partition));
    struct row_spec newer = spec_of(VIEW_SMALL, 1, 200);
    assert_int_equal(row_write(fixture, &newer, 4), FST_OK);
    fixture->views[VIEW_SMALL].evicts = false;
    for (int i = 0; i < 3; i++) assert_int_equal(evict(fixture), 0);
    fixture->views[VIEW_SMALL].evicts = true;
    for (int i = 0; i < 3; i++) (void)evict(fixture);
    for (int64_t k = 0; k < 3; k++) {
        assert_int_equal(look(fixture, VIEW_SMALL, k, false).is_evicted, k != 1);
    }
    online_fixture_destroy(fixture);
}

/* A visit that is open promises nothing yet, and one that was begun before a row does not have
 * it. */
static void test_kept_is_what_the_visit_began_with(void **state) {
    (void)state;
    struct online_fixture *fixture = rows_make(VIEW_SMALL, 1);
    uint64_t rows_count = 0;
    const struct partition_visitor visitor = {.context = &rows_count, .row = row_count};
    assert_int_equal(partition_visit(fixture->partition, false, &fixture->catalog, &visitor),
                     FST_OK);
    struct row_spec second = spec_of(VIEW_SMALL, 1, 100);
    assert_int_equal(row_write(fixture, &second, 2), FST_OK);
    for (int i = 0; i < 3; i++) assert_int_equal(evict(fixture), 0);
    partition_visit_end(fixture->partition, true);
    assert_int_equal(evict(fixture), 1);
    assert_true(look(fixture, VIEW_SMALL, 0, false).is_evicted);
    assert_true(look(fixture, VIEW_SMALL, 1, false).is_found);
    online_fixture_destroy(fixture);
}

static void evict_all(struct online_fixture *fixture, uint32_t count) {
    (void)visit(fixture, false, true);
    assert_int_equal(evict(fixture), 0);
    assert_int_equal(evict(fixture), count);
}

static const struct late_case {
    const char *name;
    int64_t event_us;
    uint16_t revision;
    enum fst_status status;
} late_cases[] = {
    {"an older row", 99, 0, FST_STALE},
    {"a newer row", 101, 0, FST_OK},
    {"the same time, later", 100, 0, FST_OK},
    {"an older delete", 99, VIEW_REVISION_DELETED, FST_STALE},
    {"a delete", 101, VIEW_REVISION_DELETED, FST_OK},
};

/* Writes to a row that is evicted do what they do to one that is not. */
static void test_writes(void **state) {
    (void)state;
    const uint32_t count = sizeof late_cases / sizeof late_cases[0];
    const uint32_t views[] = {VIEW_SMALL, VIEW_NAMED};
    for (uint32_t v = 0; v < 2; v++) {
        struct online_fixture *fixture = rows_make(views[v], count);
        evict_all(fixture, count);
        for (uint32_t i = 0; i < count; i++) {
            const struct late_case *c = &late_cases[i];
            print_message("  %s\n", c->name);
            struct row_spec spec = spec_of(views[v], i, c->event_us);
            struct row_found found;
            spec.revision = c->revision;
            spec.value = 77;
            assert_int_equal(row_write(fixture, &spec, count + i + 1), c->status);
            bool is_found = row_get(fixture, views[v], i, &found);
            assert_int_equal(found.read.is_evicted, c->status == FST_STALE);
            bool is_delete = c->revision == VIEW_REVISION_DELETED;
            assert_int_equal(is_found, c->status == FST_OK && !is_delete);
            if (is_found) assert_true(row_is(fixture, &found, &spec, count + i + 1));
        }
        online_fixture_check(fixture);
        assert_int_equal(visit(fixture, false, true), 3);
        online_fixture_destroy(fixture);
    }
}

/* A stub is no row for a visit, not even a whole one; it expires like a row. */
static void test_visit_and_sweep(void **state) {
    (void)state;
    struct online_fixture *fixture = rows_make(VIEW_NAMED, 2);
    evict_all(fixture, 2);
    assert_int_equal(visit(fixture, false, true), 0);
    assert_int_equal(visit(fixture, true, true), 0);
    fixture->views[VIEW_NAMED].ttl_us = 10;
    assert_int_equal(partition_sweep(fixture->partition, &fixture->catalog, 100 + 20, ALL_PLACES),
                     0);
    assert_int_equal(partition_sweep(fixture->partition, &fixture->catalog, 100 + 21, ALL_PLACES),
                     2);
    assert_false(look(fixture, VIEW_NAMED, 0, false).is_evicted);
    struct partition_stats stats;
    partition_stats(fixture->partition, &stats);
    assert_int_equal(stats.rows_count, 0);
    assert_int_equal(stats.evicted_count, 0);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

static enum fst_status promote(struct online_fixture *fixture, const struct row_spec *spec,
                               uint64_t lsn) {
    static uint8_t image[ROW_BYTES_MAX], heap[ROW_HEAP_BYTES_MAX];
    uint32_t heap_used = 0;
    image_make(fixture, spec, image, heap, &heap_used);
    return partition_promote(fixture->partition, fixture->by_id[spec->view_id], spec->revision, lsn,
                             image, heap);
}

/* Read twice between two rounds of the hand: it was used. Promoted, it is as it was, and no visit
 * looks at it; promoted again, or as another row, it is not that row any more. */
static void test_promote(void **state) {
    (void)state;
    struct online_fixture *fixture = rows_make(VIEW_TEXT, 2);
    struct row_spec first = spec_of(VIEW_TEXT, 0, 100);
    struct row_spec unknown = spec_of(VIEW_TEXT, 9, 100);
    assert_int_equal(promote(fixture, &first, 1), FST_STALE);
    evict_all(fixture, 2);
    assert_false(look(fixture, VIEW_TEXT, 0, true).was_used);
    assert_true(look(fixture, VIEW_TEXT, 0, true).was_used);
    assert_int_equal(evict(fixture), 0);
    assert_false(look(fixture, VIEW_TEXT, 0, true).was_used);
    assert_int_equal(promote(fixture, &first, 2), FST_STALE);
    assert_int_equal(promote(fixture, &unknown, 1), FST_STALE);
    struct row_spec other = first;
    other.event_us = 101;
    assert_int_equal(promote(fixture, &other, 1), FST_CORRUPT);
    assert_int_equal(promote(fixture, &first, 1), FST_OK);
    struct row_found found;
    assert_true(row_get(fixture, VIEW_TEXT, 0, &found));
    assert_true(row_is(fixture, &found, &first, 1));
    assert_true(found.read.was_used);
    assert_int_equal(promote(fixture, &first, 1), FST_STALE);
    assert_int_equal(visit(fixture, false, true), 0);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* At the limit a row comes back only where places are free. */
static void test_promote_at_limit(void **state) {
    (void)state;
    struct online_fixture *fixture = rows_make(VIEW_WIDE, 400);
    evict_all(fixture, 400);
    for (int i = 0; i < 8; i++) partition_reclaim(fixture->partition);
    fixture->budget.limit_bytes = fixture->budget.used_bytes;
    uint64_t used_bytes = fixture->budget.used_bytes;
    int64_t back = 0;
    for (enum fst_status status = FST_OK; status == FST_OK; back++) {
        struct row_spec spec = spec_of(VIEW_WIDE, back, 100);
        status = promote(fixture, &spec, (uint64_t)back + 1);
        assert_true(status == FST_OK || status == FST_FULL);
    }
    assert_in_range(back, 200, 399); /* An extent is left for evicting. */
    (void)visit(fixture, false, true);
    assert_int_equal(evict(fixture), 0);
    assert_true(evict(fixture) > 0);
    /* The places wait: nobody reclaimed them. */
    struct row_spec spec = spec_of(VIEW_WIDE, 0, 100);
    assert_true(look(fixture, VIEW_WIDE, 0, false).is_evicted);
    int64_t key = 400;
    for (enum fst_status status = FST_OK; status == FST_OK; key++) {
        struct row_spec more = spec_of(VIEW_WIDE, key, 100);
        status = row_write(fixture, &more, (uint64_t)key + 1);
    }
    assert_int_equal(promote(fixture, &spec, 1), FST_FULL);
    assert_true(look(fixture, VIEW_WIDE, 0, false).is_evicted);
    assert_int_equal(fixture->budget.used_bytes, used_bytes);
    for (int i = 0; i < 8; i++) partition_reclaim(fixture->partition);
    assert_int_equal(promote(fixture, &spec, 1), FST_OK);
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* LMDB may have more than the last visit knows of; what has less is not the one rows went to. */
static void test_another_lmdb(void **state) {
    (void)state;
    struct online_fixture *fixture = rows_make(VIEW_SMALL, 10);
    assert_true(partition_fits_checkpoint(fixture->partition, 0));
    (void)visit(fixture, false, true);
    assert_true(partition_fits_checkpoint(fixture->partition, 10));
    assert_true(partition_fits_checkpoint(fixture->partition, 11));
    assert_false(partition_needs_whole_visit(fixture->partition));
    assert_true(partition_fits_checkpoint(fixture->partition, 9));
    assert_true(partition_needs_whole_visit(fixture->partition));
    for (int i = 0; i < 3; i++) assert_int_equal(evict(fixture), 0);
    assert_int_equal(visit(fixture, true, true), 10);
    assert_int_equal(evict(fixture), 10);
    assert_true(partition_fits_checkpoint(fixture->partition, 10));
    assert_false(partition_fits_checkpoint(fixture->partition, 9));
    online_fixture_destroy(fixture);
}

/* One row in eight is read all the time, so that no span of rows is ever without one: rows of
 * another size find room all the same, where those that are read make way. */
static void test_room_for_another_size(void **state) {
    (void)state;
    enum { LIMIT_SMALL = 8 << 20, HOT_PART = 8, LAPS = 4, OTHERS = 4000 };
    struct online_fixture *fixture = online_fixture_create(LIMIT_SMALL);
    fixture->views[VIEW_WIDE].evicts = true;
    uint64_t lsn = 0;
    for (enum fst_status status = FST_OK; status == FST_OK;) {
        struct row_spec spec = spec_of(VIEW_WIDE, (int64_t)lsn, 100);
        status = row_write(fixture, &spec, lsn + 1);
        lsn += status == FST_OK;
    }
    int64_t count = (int64_t)lsn;
    (void)visit(fixture, false, true);
    assert_true(partition_is_short(fixture->partition));
    for (int lap = 0; lap < LAPS; lap++) {
        for (int64_t key = 0; key < count; key += HOT_PART)
            (void)look(fixture, VIEW_WIDE, key, true);
        (void)evict(fixture);
        partition_reclaim(fixture->partition);
        partition_reclaim(fixture->partition);
    }
    uint64_t used_bytes = fixture->budget.used_bytes;
    for (int64_t key = 0; key < OTHERS; key++) {
        struct row_spec spec = spec_of(VIEW_SMALL, key, 100);
        assert_int_equal(row_write(fixture, &spec, ++lsn), FST_OK);
    }
    assert_true(fixture->budget.used_bytes <= used_bytes);
    for (int64_t key = 0; key < count; key += HOT_PART) {
        struct row_spec spec = spec_of(VIEW_WIDE, key, 100);
        struct row_found found;
        assert_true(row_get(fixture, VIEW_WIDE, key, &found));
        assert_true(row_is(fixture, &found, &spec, (uint64_t)key + 1));
    }
    online_fixture_check(fixture);
    online_fixture_destroy(fixture);
}

/* ---- five times as much as memory ---- */

struct flood {
    struct online_fixture *fixture;
    const uint32_t *views;
    uint32_t views_count;
    uint64_t random;
    uint64_t lsn;
    uint64_t *lsns; /* of each key and view; 0: none */
    uint64_t bytes_most;
};

enum {
    FLOOD_KEYS = 24000,
    FLOOD_HOT_KEYS = 500,
    FLOOD_VISIT = 3000,
    TRIES_MAX = 2000,
    EXTENTS_OVER = 8,
    FLOOD_ROUNDS = 3
};

static void flood_tick(struct flood *flood) {
    struct partition *partition = flood->fixture->partition;
    if (partition_is_short(partition)) {
        (void)partition_evict(partition, &flood->fixture->catalog, 256);
    }
    partition_reclaim(partition);
    if (!partition_wants_checkpoint(partition) && flood->lsn % FLOOD_VISIT != 0) return;
    (void)visit(flood->fixture, false, true);
}

static struct row_spec flood_spec(const struct flood *flood, uint32_t v, int64_t key) {
    struct row_spec spec = spec_of(flood->views[v], key, 100);
    spec.heavy_bytes = key % 5 == 0 ? 300 : 0;
    return spec;
}

static void flood_write(struct flood *flood, uint32_t v, int64_t key) {
    struct row_spec spec = flood_spec(flood, v, key);
    uint32_t tries = 0;
    flood->lsn += 1;
    while (row_write(flood->fixture, &spec, flood->lsn) == FST_FULL) {
        assert_true(++tries < TRIES_MAX);
        flood_tick(flood);
    }
    flood->lsns[(int64_t)v * FLOOD_KEYS + key] = flood->lsn;
    if (flood->fixture->budget.used_bytes > flood->bytes_most) {
        flood->bytes_most = flood->fixture->budget.used_bytes;
    }
}

/* As a server would: a row that was asked for twice comes back. */
static bool flood_read(struct flood *flood, uint32_t v, int64_t key) {
    struct row_spec spec = flood_spec(flood, v, key);
    uint64_t lsn = flood->lsns[(int64_t)v * FLOOD_KEYS + key];
    struct row_found found;
    row_prepare(flood->fixture, spec.view_id, key, &found);
    found.read.wants_mark = true;
    partition_read_many(&found.read, 1);
    assert_int_equal(found.read.is_found + found.read.is_evicted, lsn > 0);
    if (lsn == 0) return true;
    assert_int_equal(found.read.lsn, lsn);
    if (found.read.is_found) assert_true(row_is(flood->fixture, &found, &spec, lsn));
    if (found.read.is_found || !found.read.was_used) return found.read.is_found;
    enum fst_status status = promote(flood->fixture, &spec, lsn);
    assert_true(status == FST_OK || status == FST_FULL);
    return false;
}

static void flood_run(const uint32_t *views, uint32_t views_count, uint64_t limit_bytes,
                      uint64_t seed) {
    struct flood flood = {.fixture = online_fixture_create(limit_bytes),
                          .views = views,
                          .views_count = views_count,
                          .random = seed};
    struct partition_stats stats;
    uint64_t hits = 0;
    flood.lsns = calloc((size_t)views_count * FLOOD_KEYS, sizeof *flood.lsns);
    assert_non_null(flood.lsns);
    for (uint32_t v = 0; v < views_count; v++) flood.fixture->views[views[v]].evicts = true;
    for (int64_t key = 0; key < FLOOD_KEYS; key++) {
        for (uint32_t v = 0; v < views_count; v++) flood_write(&flood, v, key);
        int64_t hot = (int64_t)(random_next(&flood.random) % FLOOD_HOT_KEYS);
        (void)flood_read(&flood, (uint32_t)(random_next(&flood.random) % views_count), hot);
        if (key % 64 == 0) flood_tick(&flood);
    }
    for (uint32_t i = 0; i < 20 * FLOOD_HOT_KEYS; i++) {
        int64_t hot = (int64_t)(random_next(&flood.random) % FLOOD_HOT_KEYS);
        bool is_hit = flood_read(&flood, (uint32_t)(random_next(&flood.random) % views_count), hot);
        hits += is_hit && i >= 10 * FLOOD_HOT_KEYS;
        if (i % 64 == 0) flood_tick(&flood);
    }
    partition_stats(flood.fixture->partition, &stats);
    assert_true(hits > 8 * FLOOD_HOT_KEYS);
    assert_int_equal(stats.rows_count, views_count * FLOOD_KEYS);
    assert_true(stats.evicted_count > stats.rows_count / 3);
    assert_true(flood.bytes_most <= limit_bytes + limit_bytes / 32 + EXTENTS_OVER * 65536);

    for (int64_t i = 0; i < (int64_t)views_count * FLOOD_KEYS; i++)
        (void)flood_read(&flood, (uint32_t)(i / FLOOD_KEYS), i % FLOOD_KEYS);
    online_fixture_check(flood.fixture);
    free(flood.lsns);
    online_fixture_destroy(flood.fixture);
}

/* Rows of one size and rows of several, with values elsewhere: all can be written, the limit holds,
 * and what is read often is in memory. */
static void test_flood(void **state) {
    (void)state;
    static const uint32_t wide[] = {VIEW_WIDE};
    static const uint32_t mixed[] = {VIEW_WIDE, VIEW_TEXT, VIEW_NAMED};
    uint64_t seed = random_seed(41);
    for (uint64_t round = 0; round < FLOOD_ROUNDS; round++) {
        flood_run(wide, 1, 3 << 20, seed + round);
        flood_run(mixed, 3, 10 << 20, seed + round);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_unkept_rows_stay),
        cmocka_unit_test(test_kept_is_what_the_visit_began_with),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_visit_and_sweep),
        cmocka_unit_test(test_promote),
        cmocka_unit_test(test_promote_at_limit),
        cmocka_unit_test(test_another_lmdb),
        cmocka_unit_test(test_room_for_another_size),
        cmocka_unit_test(test_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
