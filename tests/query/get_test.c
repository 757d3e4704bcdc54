/*
 * Shows that online reads answer what was written: rows go through row sets and record bodies into
 * real partitions, are read through plans of every shape, and compared, cell by cell, with an array
 * that remembers the newest row per key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_fixture.h"
#include "get_fixture.h"

enum { KEYS = 60, HEAP_BYTES = 1 << 20, NOW_US = 100000 };

/* The newest row of a customer in `profile`, as the test wrote it. */
struct newest {
    bool is_there;
    uint32_t revision;
    int64_t event_us;
    bool is_null[4];
    double score;
    char name[16];
    int32_t age;
    uint8_t is_vip;
};

struct bench {
    struct catalog_fixture *fixture;
    struct get_fixture store;
    uint8_t *heap;
};

static uint64_t random_next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void bench_init(struct bench *b) {
    b->fixture = catalog_fixture_create();
    b->heap = malloc(HEAP_BYTES);
    get_fixture_init(&b->store);
}

static void bench_deinit(struct bench *b) {
    get_fixture_deinit(&b->store);
    catalog_fixture_destroy(b->fixture);
    free(b->heap);
}

static void null_set(uint8_t *body, uint32_t column) {
    body[column / 8] |= (uint8_t)(1u << (column % 8));
}

static void profile_write(struct bench *b, int64_t customer_id, const struct newest *row) {
    const struct view *view = catalog_fixture_view(b->fixture, FIXTURE_PROFILE);
    const struct row_layout *layout = &view->revisions[row->revision].layout;
    uint8_t image[256] = {0};
    store_i64(image, row->event_us);
    store_i64(image + 8, row->event_us + 1);
    store_i64(image + ROW_KEY_OFFSET, customer_id);
    uint8_t *body = image + layout->body_offset;
    struct row_reference name = {.offset = 0, .bytes = (uint32_t)strlen(row->name)};
    const void *values[4] = {&row->score, &name, &row->age, &row->is_vip};
    for (uint32_t c = 0; c < layout->body.columns_count; c++) {
        if (row->is_null[c])
            null_set(body, c);
        else
            memcpy(body + layout->body.columns[c].offset, values[c], layout->body.columns[c].bytes);
    }
    struct get_image put = {.revision = row->revision,
                            .image = image,
                            .heap = row->name,
                            .heap_bytes = row->is_null[1] ? 0 : name.bytes};
    get_fixture_apply(&b->store, view, &put);
}

static struct read_plan *plan_make(struct bench *b, const char *const *names) {
    struct bytes all[8];
    uint32_t count = 0;
    for (; names[count]; count++) {
        all[count] =
            (struct bytes){.data = (const uint8_t *)names[count], .bytes = strlen(names[count])};
    }
    struct read_plan *plan;
    assert_int_equal(read_plan_create(&plan, &b->fixture->catalog, PLAN_FEATURES, all, count, NULL),
                     FST_OK);
    assert_int_equal(get_plan_check(plan, NULL), FST_OK);
    return plan;
}

/* Status of a feature and its cell, found by what the plan says of the reply. */
static const uint8_t *cell_at(const struct read_plan *plan, const uint8_t *row, uint32_t feature,
                              enum fst_status *status_out, bool *is_null_out) {
    const struct plan_group *group = &plan->groups[plan->features[feature].group];
    const uint8_t *out = row + group->offset;
    *status_out = (enum fst_status)load_u64(out);
    const uint8_t *body = out + PLAN_GROUP_HEADER_BYTES;
    *is_null_out = row_is_null(body, plan->features[feature].column);
    return body + group->body.columns[plan->features[feature].column].offset;
}

static void reads_run(struct bench *b, const struct read_plan *plan, const int64_t *keys,
                      uint32_t keys_count, uint8_t *rows, struct writer *heap) {
    struct get_request request = {.reply = {.plan = plan,
                                            .keys_count = keys_count,
                                            .out = rows,
                                            .heap = plan->has_references ? heap : NULL},
                                  .as_of_us = NOW_US,
                                  .keys = (const uint8_t *)keys,
                                  .keys_bytes = keys_count * sizeof *keys,
                                  .rows_found_total = &b->store.found};
    struct bytes bytes = {.data = request.keys, .bytes = request.keys_bytes};
    assert_int_equal(get_keys_check(plan, bytes, keys_count), FST_OK);
    get_batch_put(&b->store.batch, &request);
    get_batch_run(&b->store.batch);
}

/* Compares features of one reply row; `columns` are columns of profile. */
static void row_matches(const struct read_plan *plan, const uint8_t *row, const uint8_t *heap,
                        const struct newest *want, const uint32_t *columns) {
    for (uint32_t f = 0; f < plan->features_count; f++) {
        enum fst_status status;
        bool is_null;
        const uint8_t *cell = cell_at(plan, row, f, &status, &is_null);
        uint32_t c = columns[f];
        bool has_value = want->is_there && !want->is_null[c] && (want->revision == 1 || c < 2);
        assert_int_equal(status, want->is_there ? FST_OK : FST_NOT_FOUND);
        assert_int_equal(is_null, !has_value);
        if (c == 0) {
            double value;
            memcpy(&value, cell, sizeof value);
            assert_true(value == (has_value ? want->score : 0.5));
        } else if (c == 1) {
            const char *text = has_value ? want->name : "unknown";
            assert_int_equal(load_u32(cell + 4), strlen(text));
            assert_memory_equal(heap + load_u32(cell), text, strlen(text));
        } else if (c == 2) {
            assert_int_equal((int32_t)load_u32(cell), has_value ? want->age : 0);
        } else {
            assert_int_equal(*cell, has_value ? want->is_vip : 0);
        }
    }
}

static void test_random_profiles(void **state) {
    (void)state;
    const char *given = getenv("FST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 42;
    print_message("  seed %llu\n", (unsigned long long)seed);
    static struct bench b;
    bench_init(&b);
    static const struct shape {
        const char *names[5];
        uint32_t columns[4];
    } shapes[] = {
        {{"t.profile:*", NULL}, {0, 1, 2, 3}},
        {{"t.profile:score", NULL}, {0}},
        {{"t.profile:is_vip", "t.profile:age", NULL}, {3, 2}},
        {{"t.profile:name", "t.profile:score", NULL}, {1, 0}},
    };
    static struct newest newest[KEYS];
    static _Alignas(8) uint8_t rows[KEYS * 256];
    memset(newest, 0, sizeof newest);
    for (int step = 0; step < 3000; step++) {
        uint32_t k = (uint32_t)random_next(&seed) % KEYS;
        struct newest *row = &newest[k];
        int64_t event_us = row->event_us + (int64_t)(random_next(&seed) % 3);
        *row = (struct newest){.is_there = true,
                               .revision = random_next(&seed) % 2,
                               .event_us = event_us,
                               .score = (double)step,
                               .age = step,
                               .is_vip = step % 2};
        for (int c = 0; c < 4; c++) row->is_null[c] = random_next(&seed) % 4 == 0;
        snprintf(row->name, sizeof row->name, "%.*s", (int)(random_next(&seed) % 10),
                 "abcdefghijkl");
        profile_write(&b, (int64_t)k, row);
        get_fixture_reclaim(&b.store);
        if (step % 50 != 0) continue;
        const struct shape *shape = &shapes[step / 50 % 4];
        struct read_plan *plan = plan_make(&b, shape->names);
        int64_t keys[KEYS];
        for (uint32_t i = 0; i < KEYS; i++) keys[i] = (int64_t)i;
        struct writer heap = writer_of(b.heap, HEAP_BYTES);
        reads_run(&b, plan, keys, KEYS, rows, &heap);
        for (uint32_t i = 0; i < KEYS; i++) {
            row_matches(plan, rows + (size_t)i * plan->row_bytes, b.heap, &newest[i],
                        shape->columns);
        }
        read_plan_destroy(plan);
    }
    get_fixture_check(&b.store, &b.fixture->catalog);
    bench_deinit(&b);
}

/* ttl 100 us, both ends included; rows after the moment asked for are not served. */
static const struct ttl_case {
    const char *name;
    int64_t event_us;
    enum fst_status status;
} ttl_cases[] = {
    {"at the moment", NOW_US, FST_OK},
    {"oldest that is served", NOW_US - 100, FST_OK},
    {"one microsecond older", NOW_US - 101, FST_EXPIRED},
    {"one microsecond after the moment", NOW_US + 1, FST_NOT_FOUND},
};

static void test_ttl(void **state) {
    (void)state;
    static struct bench b;
    bench_init(&b);
    const struct view *view = catalog_fixture_view(b.fixture, FIXTURE_SPEND);
    const char *names[] = {"t.spend:*", NULL};
    struct read_plan *plan = plan_make(&b, names);
    for (size_t i = 0; i < sizeof ttl_cases / sizeof ttl_cases[0]; i++) {
        print_message("  %s\n", ttl_cases[i].name);
        _Alignas(8) uint8_t image[64] = {0}, row[128];
        store_i64(image, ttl_cases[i].event_us);
        int64_t key = (int64_t)i;
        store_i64(image + ROW_KEY_OFFSET, key);
        const struct row_layout *layout = &view_current(view)->layout;
        store_i64(image + layout->body_offset + layout->body.columns[1].offset, 77);
        get_fixture_apply(&b.store, view, &(struct get_image){.image = image});
        reads_run(&b, plan, &key, 1, row, NULL);
        enum fst_status status;
        bool is_null;
        const uint8_t *cell = cell_at(plan, row, 1, &status, &is_null);
        assert_int_equal(status, ttl_cases[i].status);
        assert_int_equal(is_null, status != FST_OK);
        assert_int_equal(load_i64(cell), status == FST_OK ? 77 : 0);
    }
    read_plan_destroy(plan);
    bench_deinit(&b);
}

/* GET_NOW is the clock's now: what was written a moment ago is served, what is to come is not. */
static void test_now(void **state) {
    (void)state;
    static struct bench b;
    bench_init(&b);
    const char *names[] = {"t.profile:score", NULL};
    struct read_plan *plan = plan_make(&b, names);
    int64_t now_us = io_now_us(io_posix());
    struct newest row = {.is_there = true, .revision = 1, .event_us = now_us, .score = 2.5};
    profile_write(&b, 1, &row);
    row.event_us = now_us + 3600 * INT64_C(1000000);
    profile_write(&b, 2, &row);
    int64_t keys[] = {1, 2};
    _Alignas(8) uint8_t rows[256];
    struct get_request request = {.reply = {.plan = plan, .keys_count = 2, .out = rows},
                                  .as_of_us = GET_NOW,
                                  .keys = (const uint8_t *)keys,
                                  .keys_bytes = sizeof keys,
                                  .rows_found_total = &b.store.found};
    get_batch_put(&b.store.batch, &request);
    get_batch_run(&b.store.batch);
    assert_int_equal(load_u64(rows), FST_OK);
    assert_int_equal(load_u64(rows + plan->row_bytes), FST_NOT_FOUND);
    read_plan_destroy(plan);
    bench_deinit(&b);
}

/* A checkpoint, and then no row of profile is in memory. */
static void profile_evict(struct bench *b) {
    const struct partition_visitor nobody = {.context = NULL};
    for (uint32_t p = 0; p < GET_FIXTURE_PARTITIONS; p++) {
        struct partition *partition = b->store.partitions[p];
        assert_int_equal(partition_visit(partition, false, &b->fixture->catalog, &nobody), FST_OK);
        partition_visit_end(partition, true);
        for (int lap = 0; lap < 3; lap++) {
            (void)partition_evict(partition, &b->fixture->catalog, UINT32_MAX);
        }
    }
}

/* Reads customer 1 with what is in hand; what is wanted is given back. */
static struct get_request evicted_get(struct bench *b, const struct read_plan *plan,
                                      struct warm_rows *in_hand, uint8_t *rows) {
    static const int64_t key = 1;
    static struct warm_budget budget = {.limit_bytes = 1 << 20};
    struct get_request request = {.reply = {.plan = plan, .keys_count = 1, .out = rows},
                                  .as_of_us = NOW_US,
                                  .keys = (const uint8_t *)&key,
                                  .keys_bytes = sizeof key,
                                  .rows_found_total = &b->store.found,
                                  .in_hand = in_hand,
                                  .wanted.budget = &budget};
    if (in_hand) in_hand->cursor = 0;
    get_batch_put(&b->store.batch, &request);
    get_batch_run(&b->store.batch);
    return request;
}

/* Between asking for an evicted row and having it the row may change. In hand it counts only while
 * it is the one that is evicted; when LMDB should have had it and had not, something is damaged. */
static void test_evicted_rows_change(void **state) {
    (void)state;
    static struct bench b;
    bench_init(&b);
    struct view *view = catalog_fixture_view(b.fixture, FIXTURE_PROFILE);
    view->evicts = true;
    struct read_plan *plan = plan_make(&b, (const char *[]){"t.profile:score", NULL});
    _Alignas(8) uint8_t rows[256];
    struct newest row = {.is_there = true, .revision = 1, .event_us = 5, .score = 2.5};
    profile_write(&b, 1, &row);
    profile_evict(&b);

    struct get_request request = evicted_get(&b, plan, NULL, rows);
    assert_true(request.is_missing && b.store.batch.has_void);
    assert_int_equal(request.status, FST_OK);
    assert_int_equal(request.wanted.count, 1);
    struct warm_rows in_hand = request.wanted;
    assert_int_equal(load_i64(warm_rows_name(&in_hand, &in_hand.rows[0]).data), 1);
    assert_false(in_hand.rows[0].want.comes_back);

    /* Another request's look is a use of the row; the second look of the same one is none. */
    request = evicted_get(&b, plan, NULL, rows);
    assert_true(request.wanted.rows[0].want.comes_back);
    warm_rows_deinit(&request.wanted);
    uint64_t found_before = b.store.found;
    request = evicted_get(&b, plan, &in_hand, rows);
    assert_false(request.wanted.rows[0].want.comes_back);
    assert_int_equal(b.store.found, found_before);
    warm_rows_deinit(&request.wanted);

    /* Not found, and still evicted: LMDB has lost it. Bytes that are no row of the view. */
    request = evicted_get(&b, plan, &in_hand, rows);
    assert_int_equal(request.status, FST_CORRUPT);
    assert_ptr_equal(request.fault, &in_hand.rows[0]);
    warm_rows_deinit(&request.wanted);
    const struct meta_row wrong = {
        .revision = 1, .lsn = in_hand.rows[0].want.lsn, .image = {.data = rows, .bytes = 24}};
    warm_rows_put(&in_hand, &in_hand.rows[0], &wrong);
    request = evicted_get(&b, plan, &in_hand, rows);
    assert_int_equal(request.status, FST_CORRUPT);
    warm_rows_deinit(&request.wanted);

    /* A newer row in memory is the answer, whatever is in hand. */
    row.event_us = 6;
    row.score = 3.5;
    profile_write(&b, 1, &row);
    request = evicted_get(&b, plan, &in_hand, rows);
    assert_false(request.is_missing);
    assert_int_equal(request.status, FST_OK);
    assert_int_equal(request.wanted.count, 0);
    enum fst_status status;
    bool is_null;
    double score;
    memcpy(&score, cell_at(plan, rows, 0, &status, &is_null), sizeof score);
    assert_true(status == FST_OK && !is_null && score == 3.5);

    /* Evicted, too: it has to be asked for. */
    profile_evict(&b);
    request = evicted_get(&b, plan, &in_hand, rows);
    assert_true(request.is_missing);
    assert_int_equal(request.status, FST_OK);
    assert_int_equal(request.wanted.count, 1);
    assert_true(request.wanted.rows[0].want.lsn > in_hand.rows[0].want.lsn);
    warm_rows_deinit(&request.wanted);
    warm_rows_deinit(&in_hand);
    read_plan_destroy(plan);
    bench_deinit(&b);
}

/* A view that evicts no more has its rows back as they are read, the first time. */
static void test_rows_of_a_view_that_evicts_no_more(void **state) {
    (void)state;
    static struct bench b;
    bench_init(&b);
    struct view *view = catalog_fixture_view(b.fixture, FIXTURE_PROFILE);
    view->evicts = true;
    struct read_plan *plan = plan_make(&b, (const char *[]){"t.profile:score", NULL});
    _Alignas(8) uint8_t rows[256];
    const struct newest row = {.is_there = true, .revision = 1, .event_us = 5, .score = 2.5};
    profile_write(&b, 1, &row);
    profile_evict(&b);
    view->evicts = false;
    struct get_request request = evicted_get(&b, plan, NULL, rows);
    assert_int_equal(request.wanted.count, 1);
    assert_true(request.wanted.rows[0].want.comes_back);
    warm_rows_deinit(&request.wanted);
    read_plan_destroy(plan);
    bench_deinit(&b);
}

/* More keys than one batch holds, several views, keys in any order and repeated. */
static void test_more_than_one_batch(void **state) {
    (void)state;
    static struct bench b;
    bench_init(&b);
    const struct newest row = {
        .is_there = true, .revision = 1, .event_us = 5, .score = 2.5, .age = 3};
    profile_write(&b, 7, &row);
    const char *names[] = {"t.profile:score", "t.spend:*", "t.profile:age", NULL};
    struct read_plan *plan = plan_make(&b, names);
    enum { MANY = 3 * GET_READS_MAX };
    int64_t *keys = malloc(MANY * sizeof *keys);
    uint8_t *rows = aligned_alloc(64, bytes_align((size_t)MANY * plan->row_bytes, 64));
    for (int i = 0; i < MANY; i++) keys[i] = i % 10;
    reads_run(&b, plan, keys, MANY, rows, NULL);
    for (int i = 0; i < MANY; i++) {
        enum fst_status status;
        bool is_null;
        const uint8_t *cell =
            cell_at(plan, rows + (size_t)i * plan->row_bytes, 0, &status, &is_null);
        assert_int_equal(status, i % 10 == 7 ? FST_OK : FST_NOT_FOUND);
        assert_int_equal(is_null, i % 10 != 7);
        (void)cell;
    }
    free(keys);
    free(rows);
    read_plan_destroy(plan);
    bench_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_profiles),
        cmocka_unit_test(test_ttl),
        cmocka_unit_test(test_now),
        cmocka_unit_test(test_evicted_rows_change),
        cmocka_unit_test(test_rows_of_a_view_that_evicts_no_more),
        cmocka_unit_test(test_more_than_one_batch),
    };
    return cmocka_run_group_tests_name("query/get", tests, NULL, NULL);
}
