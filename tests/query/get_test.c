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
#include <unistd.h>

#include "base/hash.h"
#include "catalog_fixture.h"
#include "query/get.h"
#include "query/row_set.h"

enum { PARTITIONS = 4, KEYS = 60, HEAP_BYTES = 1 << 20, NOW_US = 100000 };

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
    struct epoch epoch;
    struct partition_budget budget;
    char paths[PARTITIONS][64];
    struct partition *partitions[PARTITIONS];
    uint64_t lsns[PARTITIONS];
    struct get_batch batch;
    uint64_t found;
    uint8_t *heap;
};

static uint64_t random_next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void bench_init(struct bench *b) {
    memset(b, 0, sizeof *b);
    b->fixture = catalog_fixture_create();
    b->heap = malloc(HEAP_BYTES);
    epoch_init(&b->epoch, 1);
    epoch_enter(&b->epoch, 0);
    b->budget.limit_bytes = 256 << 20;
    struct get_store store = {.io = io_posix(),

                              .partitions = b->partitions,
                              .partitions_count = PARTITIONS,
                              .secret = {.k0 = 1, .k1 = 2}};
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        snprintf(b->paths[p], sizeof b->paths[p], "/dev/shm/fstore-get-test-%d-%u", getpid(), p);
        struct partition_options options = {.io = io_posix(),
                                            .epoch = &b->epoch,
                                            .budget = &b->budget,
                                            .secret = store.secret,
                                            .partition = p,
                                            .reserve_bytes = 64 << 20,
                                            .path = b->paths[p]};
        enum partition_origin origin;
        assert_int_equal(partition_open(&b->partitions[p], &options, &origin, NULL), FST_OK);
        assert_int_equal(origin, PARTITION_NEW);
    }
    assert_int_equal(get_batch_init(&b->batch, &store), FST_OK);
}

static void bench_deinit(struct bench *b) {
    get_batch_deinit(&b->batch);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        partition_close(b->partitions[p]);
        unlink(b->paths[p]);
    }
    catalog_fixture_destroy(b->fixture);
    free(b->heap);
}

/* Applies one image of a revision of a view. */
static void image_apply(struct bench *b, const struct view *view, uint32_t revision,
                        const uint8_t *image, const char *heap, size_t heap_bytes) {
    static uint64_t body[4096];
    const struct row_layout *layout = &view->revisions[revision].layout;
    struct log_rows_header header = {.view_id = view->id,
                                     .revision = (uint16_t)revision,
                                     .rows_count = 1,
                                     .heap_bytes = (uint32_t)bytes_align(heap_bytes, 8)};
    uint8_t *at = (uint8_t *)body;
    memset(body, 0, sizeof body);
    memcpy(at, &header, sizeof header);
    memcpy(at + sizeof header, image, layout->image_bytes);
    if (heap_bytes) memcpy(at + sizeof header + layout->image_bytes, heap, heap_bytes);
    size_t body_bytes = sizeof header + layout->image_bytes + header.heap_bytes;
    assert_int_equal(log_rows_check(view, (uint8_t *)body, body_bytes), FST_OK);
    struct bytes key = row_key(layout, image, (const uint8_t *)heap);
    uint32_t p = hash_partition(key.data, key.bytes, PARTITIONS);
    struct log_record_header record = {.type = LOG_RECORD_ROWS,
                                       .partition = (uint16_t)p,
                                       .lsn = ++b->lsns[p],
                                       .bytes = (uint32_t)(sizeof record + body_bytes)};
    uint8_t status;
    assert_int_equal(
        partition_apply(b->partitions[p], view, &record, (uint8_t *)body, true, &status), FST_OK);
    assert_int_equal(status, FST_OK);
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
    size_t heap_bytes = row->is_null[1] ? 0 : name.bytes;
    image_apply(b, view, row->revision, image, row->name, heap_bytes);
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
    struct get_request request = {.plan = plan,
                                  .as_of_us = NOW_US,
                                  .keys_count = keys_count,
                                  .keys = (const uint8_t *)keys,
                                  .keys_bytes = keys_count * sizeof *keys,
                                  .rows = rows,
                                  .heap = plan->has_references ? heap : NULL,
                                  .rows_found_total = &b->found};
    struct bytes bytes = {.data = request.keys, .bytes = request.keys_bytes};
    assert_int_equal(get_keys_check(plan, bytes, keys_count), FST_OK);
    get_batch_put(&b->batch, &request);
    get_batch_run(&b->batch);
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
        epoch_enter(&b.epoch, 0);
        for (uint32_t p = 0; p < PARTITIONS; p++) partition_reclaim(b.partitions[p]);
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
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        assert_int_equal(partition_check(b.partitions[p], &b.fixture->catalog, NULL), FST_OK);
    }
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
        image_apply(&b, view, 0, image, NULL, 0);
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
    struct get_request request = {.plan = plan,
                                  .as_of_us = GET_NOW,
                                  .keys_count = 2,
                                  .keys = (const uint8_t *)keys,
                                  .keys_bytes = sizeof keys,
                                  .rows = rows,
                                  .rows_found_total = &b.found};
    get_batch_put(&b.batch, &request);
    get_batch_run(&b.batch);
    assert_int_equal(load_u64(rows), FST_OK);
    assert_int_equal(load_u64(rows + plan->row_bytes), FST_NOT_FOUND);
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
        cmocka_unit_test(test_more_than_one_batch),
    };
    return cmocka_run_group_tests_name("query/get", tests, NULL, NULL);
}
