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
    const struct change *change; /* of definitions, by a step */
    uint32_t replaced;           /* times that the first row was */
    struct meta *meta;
    char folder[64];
};

static struct bytes key_of(const int64_t *key) {
    return (struct bytes){.data = (const uint8_t *)key, .bytes = sizeof *key};
}

static int64_t n_of(int64_t key) {
    return 1000 + key;
}

/* A row of the table that LMDB has, too. */
static void row_put(struct store *store, struct meta_batch *batch, const struct fixture_row *row,
                    uint64_t lsn) {
    struct shard_fixture *fixture = store->world->fixture;
    const struct view *view = catalog_find_view(store->world->definitions[0].catalog, "cold");
    uint32_t p = fixture_partition(row->key);
    struct row_set *set = fixture_set(fixture, view, row, 1);
    const struct meta_row kept = {
        .partition = (uint16_t)p,
        .view_id = view->id,
        .lsn = lsn,
        .key = key_of(&row->key),
        .image = {.data = set->images, .bytes = view_current(view)->layout.image_bytes},
        .heap = {.data = set->heap, .bytes = set->heap_bytes}};
    assert_int_equal(meta_put_row(batch, &kept), FST_OK);
    assert_int_equal(
        partition_restore_row(fixture->partitions[p], view, 0, kept.lsn, set->images, set->heap),
        FST_OK);
    arena_reset(&fixture->arena);
}

/* Whatever LMDB has leaves memory. Returns how many rows are not there now. */
static uint64_t partitions_evict(struct store *store, uint64_t kept_lsn) {
    uint64_t evicted = 0;
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        struct partition *partition = store->world->fixture->partitions[p];
        struct partition_stats stats;
        partition_restore_kept(partition, kept_lsn);
        for (int lap = 0; lap < 3; lap++) {
            (void)partition_evict(partition, store->world->definitions[0].catalog, UINT32_MAX);
        }
        partition_stats(partition, &stats);
        evicted += stats.evicted_count;
    }
    return evicted;
}

static void rows_evict(struct store *store) {
    struct meta_batch *batch;
    struct fst_error error;
    assert_int_equal(meta_begin(store->meta, &batch, &error), FST_OK);
    for (int64_t key = 0; key < ROWS; key++) {
        const struct fixture_row row = {.key = key, .event_us = 5, .created_us = 5, .n = n_of(key)};
        row_put(store, batch, &row, (uint64_t)key + 1);
    }
    assert_int_equal(meta_commit(batch, &error), FST_OK);
    assert_int_equal(partitions_evict(store, ROWS), ROWS);
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

/* ---- order ---- */

static bool order_put(struct shard_world *world) {
    for (uint32_t i = 0; i < 20; i++) {
        shard_world_get(world, &(struct world_get){.key = i, .keys_count = i + 1});
    }
    return true;
}

/* Requests that come together and want a few rows each are answered in their order, as far as there
 * is one thread. */
static void test_order(void **state) {
    (void)state;
    static const char *const features[] = {"cold:n", "cold:note"};
    for (int i = 0; i < 2; i++) {
        struct store *store = store_create(features[i]);
        RUN(store, thread_hold, thread_await, order_put, thread_let_go, replies_await);
        for (uint32_t get = 1; get < store->world->gets_count; get++) {
            assert_int_equal(shard_world_status(store->world, get), FST_OK);
            assert_true(shard_world_reply(store->world, get - 1) <
                        shard_world_reply(store->world, get));
        }
        store_destroy(store);
    }
}

/* The value of the only row that was asked for first is that of a row with this number. */
static void answer_check(const struct store *store, int64_t number) {
    const uint8_t *group = shard_world_reply(store->world, HELD_GET) + FRAME_HEADER_BYTES + 8;
    assert_int_equal(group[0], FST_OK);
    assert_int_equal(load_i64(group + 40), n_of(number));
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

/* ---- connections ---- */

static bool connection_reset(struct shard_world *world) {
    world->is_reset = true;
    return true;
}

static bool calls_await(struct shard_world *world) {
    return world->shard->warm_open == 0;
}

/* The connection goes while its rows are fetched: nobody is answered, and nothing is kept. */
static void test_connection_goes(void **state) {
    (void)state;
    static const char *const features[] = {"cold:n", "cold:note"};
    for (int i = 0; i < 2; i++) {
        struct store *store = store_create(features[i]);
        RUN(store, thread_hold, thread_await, deadlines_put, connection_reset, thread_let_go,
            calls_await);
        assert_int_equal(shard_world_replies_count(store->world), 0);
        assert_int_equal(store->world->shard->requests_open, 0);
        assert_int_equal(rows_looked_up(store), held.keys_count + 25);
        store_destroy(store);
    }
}

/* The end is waited for while rows are fetched: every request is answered. */
static void test_end(void **state) {
    (void)state;
    struct store *store = store_create("cold:n");
    RUN(store, thread_hold, thread_await, deadlines_put, thread_let_go);
    assert_int_equal(shard_world_replies_count(store->world), 3);
    assert_int_equal(store->world->shard->warm_open, 0);
    store_destroy(store);
}

/* ---- limits ---- */

static bool calls_fill(struct shard_world *world) {
    for (uint32_t i = 1; i < WARM_CALLS_MAX; i++) {
        shard_world_get(world, &(struct world_get){.key = i % ROWS, .keys_count = 1});
    }
    return true;
}

static bool calls_are_full(struct shard_world *world) {
    assert_int_equal(shard_world_replies_count(world), 0);
    return world->shard->warm_open == WARM_CALLS_MAX;
}

static bool call_put(struct shard_world *world) {
    shard_world_get(world, &(struct world_get){.key = 3, .keys_count = 1});
    return true;
}

static bool is_refused(struct shard_world *world) {
    assert_int_equal(shard_world_replies_count(world), 1);
    return true;
}

/* As many as may wait do, and are answered; one more is refused, and so it is not when they are
 * gone. */
static void test_calls_of_a_shard(void **state) {
    (void)state;
    struct store *store = store_create("cold:n");
    store->world->engine->limits.in_flight_max = 2 * WARM_CALLS_MAX;
    RUN(store, thread_hold, thread_await, calls_fill, calls_are_full, call_put, is_refused,
        thread_let_go, replies_await, call_put, replies_await);
    for (uint32_t get = 0; get < store->world->gets_count; get++) {
        assert_int_equal(shard_world_status(store->world, get),
                         get == WARM_CALLS_MAX ? FST_OVERLOADED : FST_OK);
    }
    /* But not for the last one: its row, which was read often, is back in memory. */
    assert_int_equal(rows_looked_up(store), WARM_CALLS_MAX);
    store_destroy(store);
}

/* The one that is held and another one, to the byte; then there is room again. */
static bool budget_limit(struct shard_world *world) {
    struct warm_budget *budget = &world->engine->warm_budget;
    budget->limit_bytes = 2 * budget->used_bytes;
    return true;
}

static bool budget_limit_less(struct shard_world *world) {
    (void)budget_limit(world);
    world->engine->warm_budget.limit_bytes -= 1;
    return true;
}

static bool budget_lift(struct shard_world *world) {
    world->engine->warm_budget.limit_bytes = 1 << 20;
    return true;
}

static void test_budget_of_calls(void **state) {
    (void)state;
    struct store *store = store_create("cold:n");
    RUN(store, thread_hold, thread_await, budget_limit, call_put, call_put, is_refused, budget_lift,
        thread_let_go, replies_await);
    assert_int_equal(shard_world_status(store->world, 1), FST_OK);
    assert_int_equal(shard_world_status(store->world, 2), FST_OVERLOADED);
    store_destroy(store);
    store = store_create("cold:n");
    RUN(store, thread_hold, thread_await, budget_limit_less, call_put, is_refused, budget_lift,
        thread_let_go, replies_await);
    assert_int_equal(shard_world_status(store->world, 1), FST_OVERLOADED);
    store_destroy(store);
}

/* ---- rows that change ---- */

/* The row that a thread is about to fetch gets a newer version, which is evicted, too. Then the
 * thread is let through; the next time the request comes to it, it is held again. */
static bool row_replace(struct shard_world *world) {
    struct store *store = world->context;
    struct meta_batch *batch;
    struct fst_error error;
    if (!gate_clock_holds(&world->clock, 1)) return false;
    store->replaced += 1;
    const struct fixture_row row = {.key = held.key,
                                    .event_us = 5 + store->replaced,
                                    .created_us = 5,
                                    .n = n_of(store->replaced)};
    assert_int_equal(meta_begin(store->meta, &batch, &error), FST_OK);
    row_put(store, batch, &row, ROWS + store->replaced);
    assert_int_equal(meta_commit(batch, &error), FST_OK);
    assert_int_equal(partitions_evict(store, ROWS + store->replaced), ROWS);
    gate_clock_pass_one(&world->clock);
    return true;
}

/* A row that changes while it is fetched is fetched again, so that the newest is the answer; but
 * not without end. */
static void test_row_changes(void **state) {
    (void)state;
    static_assert(WARM_ROUNDS_MAX == 4, "so many steps");
    struct store *store = store_create("cold:n");
    RUN(store, thread_hold, row_replace, row_replace, row_replace, thread_let_go, replies_await);
    assert_int_equal(shard_world_status(store->world, HELD_GET), FST_OK);
    answer_check(store, 3);
    assert_int_equal(rows_looked_up(store), 4);
    store_destroy(store);
    store = store_create("cold:n");
    RUN(store, thread_hold, row_replace, row_replace, row_replace, row_replace, replies_await);
    assert_int_equal(shard_world_status(store->world, HELD_GET), FST_OVERLOADED);
    assert_int_equal(rows_looked_up(store), 4);
    assert_int_equal(counted(store, 0, METRIC_WARM_GETS), 1);
    store_destroy(store);
}

/* ---- definitions and roles ---- */

static void key_create(struct registry *registry) {
    struct access_key_plan plan = {.name = "somebody", .roles = ROLE_READ, .secret = {1}};
    struct bytes change;
    assert_int_equal(registry_plan_key_create(registry, &plan, &change, NULL), FST_OK);
    assert_int_equal(registry_adopt(registry, change, NULL), FST_OK);
    free((void *)(uintptr_t)change.data);
}

/* What changes while a GET of `cold:n` or `cold:note` waits: definitions, or (NULL) the keys, so
 * that nobody may do anything without one. */
static const struct change {
    const char *name;
    const char *yaml;
    enum fst_status status;
    uint8_t row_status; /* if the status is OK */
} changes[] = {
    {"a feature more", COLD_HEAD COLD_FEATURES "      - {name: more, type: float64}\n", FST_OK,
     FST_OK},
    {"evicts no more",
     "namespace: t\nviews:\n  - name: cold\n    entity: customer\n    evict: false\n" COLD_FEATURES,
     FST_OK, FST_OK},
    {"a version more", COLD_HEAD "    version: 2\n" COLD_FEATURES, FST_OK, FST_NOT_FOUND},
    {"a ttl", COLD_HEAD "    ttl: 1s\n" COLD_FEATURES, FST_LAYOUT_CHANGED, 0},
    {"a default",
     COLD_HEAD "    features:\n      - {name: n, type: int64, default: 7}\n"
               "      - {name: note, type: string, default: x}\n",
     FST_LAYOUT_CHANGED, 0},
    {"no key any more", NULL, FST_UNAUTHENTICATED, 0},
};

static bool definitions_change(struct shard_world *world) {
    const struct store *store = world->context;
    struct registry *registry = world->fixture->registry;
    struct definitions *next = &world->definitions[1];
    if (store->change->yaml)
        fixture_apply(registry, store->change->yaml);
    else
        key_create(registry);
    next->number = 2;
    assert_int_equal(registry_catalog(registry, &next->catalog), FST_OK);
    assert_int_equal(registry_access(registry, &next->access), FST_OK);
    atomic_store(&world->engine->definitions, next);
    return true;
}

/* Nobody needs the old ones from here on. */
static bool definitions_free(struct shard_world *world) {
    struct definitions *old = &world->definitions[0];
    assert_int_equal(atomic_load(&world->engine->adopted[0]), 2);
    assert_int_equal(shard_world_replies_count(world), 0);
    catalog_destroy(old->catalog);
    access_destroy(old->access);
    old->catalog = NULL;
    old->access = NULL;
    return true;
}

/* The answer is what the new definitions say, whole. */
static void change_check(const struct store *store, const struct change *change, bool has_heap) {
    assert_int_equal(shard_world_status(store->world, HELD_GET), change->status);
    if (change->status != FST_OK) return;
    const uint8_t *group = shard_world_reply(store->world, HELD_GET) + FRAME_HEADER_BYTES + 8;
    assert_int_equal(group[0], change->row_status);
    if (change->row_status == FST_OK && !has_heap) answer_check(store, held.key);
}

static void test_definitions_change(void **state) {
    (void)state;
    static const char *const features[] = {"cold:n", "cold:note"};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        for (int f = 0; f < 2; f++) {
            print_message("  %s, %s\n", changes[i].name, features[f]);
            struct store *store = store_create(features[f]);
            store->change = &changes[i];
            RUN(store, thread_hold, thread_await, definitions_change, definitions_free,
                thread_let_go, replies_await);
            change_check(store, &changes[i], f == 1);
            store_destroy(store);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_deadline_passes_while_rows_are_awaited),
        cmocka_unit_test(test_connection_goes),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_calls_of_a_shard),
        cmocka_unit_test(test_budget_of_calls),
        cmocka_unit_test(test_row_changes),
        cmocka_unit_test(test_definitions_change),
    };
    return cmocka_run_group_tests_name("shard/get_request", tests, NULL, NULL);
}
