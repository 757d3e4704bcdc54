/* GETs whose rows are not in memory, through a whole shard and real warm threads. The threads are
 * held at the clock by a first request with a deadline, so that all that is shown happens while
 * requests wait for their rows: deadlines pass, connections go, definitions and roles change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shard/warm.h"
#include "tests/shard/shard_world.h"

#define COLD_HEAD                                                                                  \
    "namespace: t\n"                                                                               \
    "views:\n"                                                                                     \
    "  - name: cold\n"                                                                             \
    "    entity: customer\n"                                                                       \
    "    evict: true\n"
#define COLD_FEATURES                                                                              \
    "    features:\n"                                                                              \
    "      - {name: n, type: int64}\n"                                                             \
    "      - {name: note, type: string}\n"

enum {
    ROWS = 100, /* with keys from 0 */
    MAP_BYTES = 64 << 20,
    LONG_US = 1 << 30,
    HELD_GET = 0, /* the first one of each test */
};

static const struct world_get held = {.keys_count = 1, .deadline_us = LONG_US};

/* ---- rows that are evicted ---- */

struct store {
    struct shard_world *world;
    struct meta *meta;
    char folder[64];
};

static struct bytes key_of(const int64_t *key) {
    return (struct bytes){.data = (const uint8_t *)key, .bytes = sizeof *key};
}

static int64_t n_of(int64_t key) {
    return 1000 + key;
}

static void row_put(struct store *store, struct meta_batch *batch, const struct view *view,
                    int64_t key) {
    struct shard_fixture *fixture = store->world->fixture;
    uint32_t p = fixture_partition(key);
    const struct fixture_row row = {.key = key, .event_us = 5, .created_us = 5, .n = n_of(key)};
    struct row_set *set = fixture_set(fixture, view, &row, 1);
    const struct meta_row kept = {
        .partition = (uint16_t)p,
        .view_id = view->id,
        .lsn = (uint64_t)key + 1,
        .key = key_of(&key),
        .image = {.data = set->images, .bytes = view_current(view)->layout.image_bytes},
        .heap = {.data = set->heap, .bytes = set->heap_bytes}};
    assert_int_equal(meta_put_row(batch, &kept), FST_OK);
    assert_int_equal(
        partition_restore_row(fixture->partitions[p], view, 0, kept.lsn, set->images, set->heap),
        FST_OK);
    arena_reset(&fixture->arena);
}

/* All rows of the view lie in LMDB only. */
static void rows_evict(struct store *store) {
    struct shard_fixture *fixture = store->world->fixture;
    const struct catalog *catalog = store->world->definitions[0].catalog;
    const struct view *view = catalog_find_view(catalog, "cold");
    struct meta_batch *batch;
    struct fst_error error;
    assert_int_equal(meta_begin(store->meta, &batch, &error), FST_OK);
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        partition_restore_kept(fixture->partitions[p], ROWS);
    }
    for (int64_t key = 0; key < ROWS; key++) row_put(store, batch, view, key);
    assert_int_equal(meta_commit(batch, &error), FST_OK);
    uint64_t evicted = 0;
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        struct partition_stats stats;
        for (int lap = 0; lap < 3; lap++) {
            (void)partition_evict(fixture->partitions[p], catalog, UINT32_MAX);
        }
        partition_stats(fixture->partitions[p], &stats);
        evicted += stats.evicted_count;
    }
    assert_int_equal(evicted, ROWS);
}

static struct store *store_create(const char *feature) {
    struct store *store = calloc(1, sizeof *store);
    assert_non_null(store);
    store->world = shard_world_create(feature, COLD_HEAD COLD_FEATURES);
    store->world->context = store;
    (void)snprintf(store->folder, sizeof store->folder, "/tmp/get_request_test_XXXXXX");
    assert_non_null(mkdtemp(store->folder));
    const struct meta_options options = {.path = store->folder, .map_bytes = MAP_BYTES};
    struct fst_error error = {.text = ""};
    assert_int_equal(meta_open(&store->meta, &options, &error), FST_OK);
    rows_evict(store);
    struct engine *engine = store->world->engine;
    assert_int_equal(warm_create(&engine->warm, engine, store->meta, 1, &error), FST_OK);
    return store;
}

/* Nothing of the budget is left taken. */
static void store_destroy(struct store *store) {
    struct engine *engine = store->world->engine;
    warm_destroy(engine->warm);
    engine->warm = NULL;
    assert_int_equal(engine->warm_budget.used_bytes, 0);
    shard_world_destroy(store->world);
    meta_close(store->meta);
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    for (int i = 0; i < 2; i++) {
        char path[100];
        (void)snprintf(path, sizeof path, "%s/%s", store->folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(store->folder), 0);
    free(store);
}

/* ---- steps ---- */

/* One warm thread is held, with the rows of the first request. */
static bool thread_hold(struct shard_world *world) {
    gate_clock_close_gate(&world->clock);
    shard_world_get(world, &held);
    return true;
}

static bool thread_await(struct shard_world *world) {
    gate_clock_await(&world->clock, 1);
    return true;
}

static bool thread_let_go(struct shard_world *world) {
    gate_clock_open_gate(&world->clock);
    return true;
}

static bool replies_await(struct shard_world *world) {
    return shard_world_replies_count(world) == world->gets_count;
}

#define RUN(store, ...)                                                                            \
    do {                                                                                           \
        static bool (*const steps[])(struct shard_world *) = {__VA_ARGS__};                        \
        shard_world_run((store)->world, steps, sizeof steps / sizeof steps[0]);                    \
    } while (0)

static uint64_t counted(const struct store *store, uint32_t seat, enum metric metric) {
    return metrics_get(&store->world->metrics[seat], metric);
}

static uint64_t rows_looked_up(const struct store *store) {
    return counted(store, engine_warm_seat(store->world->engine, 0), METRIC_WARM_ROWS);
}

/* ---- deadlines ---- */

/* Two wait behind the one that is held; the time of one of them passes. */
static bool deadlines_put(struct shard_world *world) {
    shard_world_get(world, &(struct world_get){.key = 10, .keys_count = 20, .deadline_us = 500});
    shard_world_get(world, &(struct world_get){.key = 30, .keys_count = 5, .deadline_us = 501});
    return true;
}

static bool deadlines_pass(struct shard_world *world) {
    gate_clock_put(&world->clock, world->clock.now_us + 500, 0);
    return true;
}

static void test_deadline_passes_while_rows_are_awaited(void **state) {
    (void)state;
    struct store *store = store_create("cold:n");
    RUN(store, thread_hold, thread_await, deadlines_put, deadlines_pass, thread_let_go,
        replies_await);
    assert_int_equal(shard_world_status(store->world, HELD_GET), FST_OK);
    assert_int_equal(shard_world_status(store->world, 1), FST_TIMEOUT);
    assert_int_equal(shard_world_status(store->world, 2), FST_OK);
    assert_int_equal(rows_looked_up(store), held.keys_count + 5);
    assert_int_equal(counted(store, 0, METRIC_GETS_LATE), 1);
    store_destroy(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadline_passes_while_rows_are_awaited),
    };
    return cmocka_run_group_tests_name("shard/get_request", tests, NULL, NULL);
}
