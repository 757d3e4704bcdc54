/* The threads that read evicted rows, without shards: the test sits in the seats of two of them,
 * puts calls and takes what comes back. LMDB is real. A call with a deadline reads the clock, which
 * is the test's: there a thread is held, so that what waits behind it is known, and let go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shard/warm.h"
#include "tests/shard/gate_clock.h"

enum {
    SHARDS = 2,
    MAILS_MAX = 8192,
    MAP_BYTES = 64 << 20,
    LIMIT_BYTES = 16 << 20,
    PARTITIONS = 4,
    ROWS = 1000, /* in LMDB: their names are their numbers, their LSNs as much and 1 more */
    ABSENT = ROWS,
    VIEW_ID = 3,
    IMAGE_BYTES = 48,
    HEAP_BYTES = 24,
    FRAME_BYTES = 40,
    NEVER = 1 << 30, /* a deadline that does not come */
};

struct world {
    struct gate_clock clock;
    struct io_ring ring;
    struct io_ring *rings[SHARDS];
    struct engine *engine;
    struct metrics *metrics;
    struct meta *meta;
    char folder[64];
    uint32_t cursors[SHARDS];
    uint32_t wakes; /* under the lock of the clock */
};

static void ring_wake(struct io_ring *ring) {
    struct world *world = (struct world *)(void *)((uint8_t *)ring - offsetof(struct world, ring));
    pthread_mutex_lock(&world->clock.lock);
    world->wakes += 1;
    pthread_cond_broadcast(&world->clock.changed);
    pthread_mutex_unlock(&world->clock.lock);
}

static const struct io_ring_ops ring_ops = {.name = "wakes", .wake = ring_wake};

/* ---- life ---- */

static struct bytes name_of(uint32_t number, char name[16]) {
    int bytes = snprintf(name, 16, "row %u", number);
    return (struct bytes){.data = (const uint8_t *)name, .bytes = (size_t)bytes};
}

static void meta_start(struct world *world) {
    const struct meta_options options = {.path = world->folder, .map_bytes = MAP_BYTES};
    struct fst_error error = {.text = ""};
    assert_int_equal(meta_open(&world->meta, &options, &error), FST_OK);
}

static void rows_store(struct world *world) {
    struct meta_batch *batch;
    struct fst_error error;
    assert_int_equal(meta_begin(world->meta, &batch, &error), FST_OK);
    for (uint32_t i = 0; i < ROWS; i++) {
        char name[16];
        uint8_t image[IMAGE_BYTES], heap[HEAP_BYTES];
        memset(image, (int)i, sizeof image);
        memset(heap, (int)i + 1, sizeof heap);
        const struct meta_row row = {.partition = (uint16_t)(i % PARTITIONS),
                                     .view_id = VIEW_ID,
                                     .lsn = i + 1,
                                     .key = name_of(i, name),
                                     .image = {.data = image, .bytes = sizeof image},
                                     .heap = {.data = heap, .bytes = sizeof heap}};
        assert_int_equal(meta_put_row(batch, &row), FST_OK);
    }
    assert_int_equal(meta_commit(batch, &error), FST_OK);
}

static struct world *world_create(void) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    gate_clock_init(&world->clock);
    world->ring.ops = &ring_ops;
    world->engine = aligned_alloc(64, bytes_align(sizeof *world->engine, 64));
    assert_non_null(world->engine);
    memset(world->engine, 0, sizeof *world->engine);
    world->engine->io = &world->clock.io;
    world->engine->shards_count = SHARDS;
    world->engine->partitions_count = PARTITIONS;
    world->engine->warm_threads_count = WARM_THREADS_MAX;
    world->engine->warm_budget.limit_bytes = LIMIT_BYTES;
    for (uint32_t s = 0; s < SHARDS; s++) world->rings[s] = &world->ring;
    world->engine->rings = world->rings;
    uint32_t seats = engine_seats_count(world->engine);
    world->metrics = aligned_alloc(64, seats * bytes_align(sizeof *world->metrics, 64));
    assert_non_null(world->metrics);
    memset(world->metrics, 0, seats * sizeof *world->metrics);
    world->engine->metrics = world->metrics;
    assert_int_equal(mailboxes_init(&world->engine->mailboxes, seats, MAILS_MAX), FST_OK);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/warm_test_XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    meta_start(world);
    rows_store(world);
    return world;
}

static void threads_start(struct world *world, uint32_t count) {
    struct fst_error error = {.text = ""};
    assert_int_equal(warm_create(&world->engine->warm, world->engine, world->meta, count, &error),
                     FST_OK);
}

/* Nothing of the budget is left taken, whatever was under way. */
static void world_destroy(struct world *world) {
    warm_destroy(world->engine->warm);
    assert_int_equal(world->engine->warm_budget.used_bytes, 0);
    assert_int_equal(world->engine->promotions_open, 0);
    meta_close(world->meta);
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    for (int i = 0; i < 2; i++) {
        char path[100];
        (void)snprintf(path, sizeof path, "%s/%s", world->folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(world->folder), 0);
    mailboxes_deinit(&world->engine->mailboxes);
    gate_clock_deinit(&world->clock);
    free(world->metrics);
    free(world->engine);
    free(world);
}

/* ---- calls ---- */

/* What a call asks for: rows from a number on, one after another. */
struct ask {
    uint32_t first;
    uint32_t count;
    int64_t deadline_us;
    bool comes_back;
};

static struct warm_call *call_make(struct world *world, uint64_t id, const struct ask *ask) {
    struct warm_rows rows = {.budget = &world->engine->warm_budget};
    for (uint32_t i = 0; i < ask->count; i++) {
        char name[16];
        uint32_t number = ask->first + i;
        const struct warm_want want = {.key = i,
                                       .view_id = VIEW_ID,
                                       .partition = (uint16_t)(number % PARTITIONS),
                                       .comes_back = ask->comes_back,
                                       .lsn = number + 1,
                                       .name = name_of(number, name)};
        assert_int_equal(warm_rows_want(&rows, &want), FST_OK);
    }
    uint8_t payload[FRAME_BYTES] = {0};
    const struct frame frame = {.payload = payload, .payload_bytes = sizeof payload};
    struct warm_call *call;
    assert_int_equal(warm_call_create(&call, rows.budget, &frame, &rows), FST_OK);
    assert_null(rows.rows);
    call->conn_id = id;
    call->deadline_us = ask->deadline_us;
    return call;
}

static void ask_put(struct world *world, uint32_t shard, uint64_t id, struct ask ask) {
    warm_put(world->engine->warm, call_make(world, id, &ask), shard);
}

/* The next that comes to a shard. */
static struct message *message_wait(struct world *world, uint32_t shard) {
    for (;;) {
        pthread_mutex_lock(&world->clock.lock);
        uint32_t wakes = world->wakes;
        pthread_mutex_unlock(&world->clock.lock);
        struct message *message =
            mailbox_receive(&world->engine->mailboxes, shard, &world->cursors[shard]);
        if (message) return message;
        pthread_mutex_lock(&world->clock.lock);
        while (world->wakes == wakes) pthread_cond_wait(&world->clock.changed, &world->clock.lock);
        pthread_mutex_unlock(&world->clock.lock);
    }
}

static struct warm_call *call_take(struct world *world, uint32_t shard) {
    struct message *message = message_wait(world, shard);
    assert_int_equal(message->kind, MESSAGE_WARMED);
    return (struct warm_call *)message;
}

/* The statuses of all rows, which are the stored ones where they are OK. */
static void rows_check(const struct warm_call *call, uint32_t first, enum fst_status status) {
    for (uint32_t i = 0; i < call->rows.count; i++) {
        const struct warm_row *row = &call->rows.rows[i];
        assert_int_equal(row->status, status);
        if (status != FST_OK) continue;
        assert_int_equal(row->image_bytes, IMAGE_BYTES);
        assert_int_equal(row->data[0], (uint8_t)(first + i));
        assert_int_equal(row->data[IMAGE_BYTES], (uint8_t)(first + i + 1));
    }
}

static uint64_t rows_looked_up(const struct world *world) {
    uint64_t sum = 0;
    for (uint32_t t = 0; t < WARM_THREADS_MAX; t++) {
        sum += metrics_get(&world->metrics[engine_warm_seat(world->engine, t)], METRIC_WARM_ROWS);
    }
    return sum;
}

/* ---- order ---- */

/* Calls of one turn come back in the order in which they were put, each to its shard. */
static void test_shards_share_a_thread(void **state) {
    (void)state;
    enum { CALLS = 40 };
    struct world *world = world_create();
    threads_start(world, 1);
    for (uint32_t i = 0; i < CALLS; i++) {
        ask_put(world, i % SHARDS, i, (struct ask){.first = i, .count = i % WARM_ROWS_A_TURN + 1});
    }
    for (uint32_t i = 0; i < CALLS; i++) {
        struct warm_call *call = call_take(world, i % SHARDS);
        assert_int_equal(call->conn_id, i);
        assert_int_equal(call->rows.count, i % WARM_ROWS_A_TURN + 1);
        rows_check(call, i, FST_OK);
        warm_call_destroy(call);
    }
    world_destroy(world);
}

/* Many threads, each of which is busy: every call comes back once, whole, to its shard. */
static void test_many_threads(void **state) {
    (void)state;
    enum { CALLS = 400, THREADS = 8 };
    static bool has_come[CALLS];
    memset(has_come, 0, sizeof has_come);
    struct world *world = world_create();
    threads_start(world, THREADS);
    for (uint32_t i = 0; i < CALLS; i++) {
        ask_put(world, i % SHARDS, i, (struct ask){.first = i, .count = i});
    }
    for (uint32_t i = 0; i < CALLS; i++) {
        struct warm_call *call = call_take(world, i % SHARDS);
        assert_int_equal(call->conn_id % SHARDS, i % SHARDS);
        assert_false(has_come[call->conn_id]);
        has_come[call->conn_id] = true;
        rows_check(call, (uint32_t)call->conn_id, FST_OK);
        warm_call_destroy(call);
    }
    assert_int_equal(rows_looked_up(world), CALLS * (CALLS - 1) / 2);
    world_destroy(world);
}

/* With one thread a few rows do not wait for the many that are before them. */
static void test_few_rows_overtake_many(void **state) {
    (void)state;
    struct world *world = world_create();
    threads_start(world, 1);
    gate_clock_close_gate(&world->clock);
    ask_put(world, 0, 1, (struct ask){.count = 1, .deadline_us = NEVER});
    gate_clock_await(&world->clock, 1);
    ask_put(world, 0, 2, (struct ask){.count = ROWS});
    ask_put(world, 1, 3, (struct ask){.first = 5, .count = 2 * WARM_ROWS_A_TURN + 1});
    ask_put(world, 0, 4, (struct ask){.first = 7, .count = WARM_ROWS_A_TURN});
    ask_put(world, 0, 5, (struct ask){.first = 9, .count = WARM_ROWS_A_TURN + 1});
    gate_clock_open_gate(&world->clock);
    static const struct {
        uint64_t id;
        uint32_t first;
    } order[] = {{1, 0}, {4, 7}, {5, 9}, {2, 0}};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct warm_call *call = call_take(world, 0);
        assert_int_equal(call->conn_id, order[i].id);
        rows_check(call, order[i].first, FST_OK);
        warm_call_destroy(call);
    }
    struct warm_call *call = call_take(world, 1);
    rows_check(call, 5, FST_OK);
    warm_call_destroy(call);
    world_destroy(world);
}

/* ---- deadlines ---- */

/* A call whose time is over before its turn costs no look into LMDB, and later ones only the turns
 * that they had. Just before it, it is served. */
static void test_deadlines(void **state) {
    (void)state;
    struct world *world = world_create();
    gate_clock_put(&world->clock, 1000, 0);
    threads_start(world, 1);
    ask_put(world, 0, 1, (struct ask){.count = 20, .deadline_us = 1001});
    ask_put(world, 0, 2, (struct ask){.count = 20, .deadline_us = 1000});
    ask_put(world, 0, 3, (struct ask){.count = 20, .deadline_us = INT64_MAX});
    static const enum fst_status statuses[] = {FST_OK, FST_TIMEOUT, FST_OK};
    for (uint32_t i = 0; i < 3; i++) {
        struct warm_call *call = call_take(world, 0);
        assert_int_equal(call->conn_id, i + 1);
        rows_check(call, 0, statuses[i]);
        warm_call_destroy(call);
    }
    assert_int_equal(rows_looked_up(world), 40);
    /* Each turn takes 10: the third one is at 1020. */
    gate_clock_put(&world->clock, 1000, 10);
    ask_put(world, 0, 4, (struct ask){.count = 4 * WARM_ROWS_A_TURN, .deadline_us = 1015});
    struct warm_call *call = call_take(world, 0);
    for (uint32_t i = 0; i < call->rows.count; i++) {
        bool is_late = i >= 2 * WARM_ROWS_A_TURN;
        assert_int_equal(call->rows.rows[i].status, is_late ? FST_TIMEOUT : FST_OK);
    }
    assert_int_equal(rows_looked_up(world), 40 + 2 * WARM_ROWS_A_TURN);
    warm_call_destroy(call);
    world_destroy(world);
}

/* ---- limits ---- */

/* A call takes the last byte of the budget, and one more byte is refused; then nothing is taken,
 * and the rows stay the caller's. */
static void test_budget_of_a_call(void **state) {
    (void)state;
    struct world *world = world_create();
    struct warm_budget *budget = &world->engine->warm_budget;
    struct warm_call *call = call_make(world, 1, &(struct ask){.count = 3});
    size_t needed_bytes = budget->used_bytes;
    warm_call_destroy(call);
    for (uint32_t past = 0; past <= 1; past++) {
        struct warm_rows rows = {.budget = budget};
        for (uint32_t i = 0; i < 3; i++) {
            char name[16];
            const struct warm_want want = {.key = i, .name = name_of(i, name)};
            assert_int_equal(warm_rows_want(&rows, &want), FST_OK);
        }
        size_t rows_bytes = budget->used_bytes;
        uint8_t payload[FRAME_BYTES] = {0};
        const struct frame frame = {.payload = payload, .payload_bytes = sizeof payload};
        budget->limit_bytes = needed_bytes - past;
        enum fst_status status = warm_call_create(&call, budget, &frame, &rows);
        assert_int_equal(status, past ? FST_OVERLOADED : FST_OK);
        assert_int_equal(budget->used_bytes, past ? rows_bytes : needed_bytes);
        budget->limit_bytes = LIMIT_BYTES;
        if (past)
            warm_rows_deinit(&rows);
        else
            warm_call_destroy(call);
        assert_int_equal(budget->used_bytes, 0);
    }
    world_destroy(world);
}

/* Rows for which there is no memory when they are found say so; those before them are there. */
static void test_budget_of_rows(void **state) {
    (void)state;
    enum { FIT = 7, COUNT = 10 };
    struct world *world = world_create();
    struct warm_budget *budget = &world->engine->warm_budget;
    threads_start(world, 1);
    struct warm_call *call = call_make(world, 1, &(struct ask){.count = COUNT});
    budget->limit_bytes = budget->used_bytes + FIT * (IMAGE_BYTES + HEAP_BYTES) + 1;
    warm_put(world->engine->warm, call, 0);
    call = call_take(world, 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        enum fst_status status = call->rows.rows[i].status;
        if (i < FIT)
            assert_int_equal(status, FST_OK);
        else
            assert_true(status == FST_OVERLOADED || status == FST_TOO_LARGE);
    }
    warm_call_destroy(call);
    world_destroy(world);
}

/* A row that comes back goes to the owner of its partition, unless there is no memory for it, or as
 * many as may are on their way: then only its reader gets it. */
static void test_promotions(void **state) {
    (void)state;
    enum { COUNT = 6 };
    struct world *world = world_create();
    struct engine *engine = world->engine;
    threads_start(world, 1);
    ask_put(world, 0, 1, (struct ask){.first = 1, .count = COUNT, .comes_back = true});
    ask_put(world, 0, 2, (struct ask){.first = 1, .count = COUNT});
    for (uint32_t i = 0; i < COUNT / 2; i++) {
        struct warm_promotion *promotion = (void *)message_wait(world, 1);
        uint32_t number = 1 + 2 * i;
        assert_int_equal(promotion->message.kind, MESSAGE_PROMOTE);
        assert_int_equal(promotion->row.want.lsn, number + 1);
        assert_int_equal(promotion->row.data[IMAGE_BYTES], number + 1);
        warm_promotion_destroy(promotion, engine);
    }
    for (uint32_t i = 0; i < COUNT / 2; i++) {
        struct warm_promotion *promotion = (void *)message_wait(world, 0);
        assert_int_equal(promotion->message.kind, MESSAGE_PROMOTE);
        warm_promotion_destroy(promotion, engine);
    }
    for (uint64_t id = 1; id <= 2; id++) {
        struct warm_call *call = call_take(world, 0);
        assert_int_equal(call->conn_id, id);
        warm_call_destroy(call);
    }
    /* One may still go, and is taken when the next is asked for. */
    atomic_store(&engine->promotions_open, WARM_PROMOTIONS_MAX - 1);
    ask_put(world, 0, 3, (struct ask){.count = COUNT, .comes_back = true});
    struct warm_promotion *promotion = (void *)message_wait(world, 0);
    assert_int_equal(promotion->row.want.lsn, 1);
    struct warm_call *call = call_take(world, 0);
    rows_check(call, 0, FST_OK);
    warm_call_destroy(call);
    assert_null(mailbox_receive(&engine->mailboxes, 1, &world->cursors[1]));
    assert_int_equal(engine->promotions_open, WARM_PROMOTIONS_MAX);
    warm_promotion_destroy(promotion, engine);
    atomic_store(&engine->promotions_open, 0);
    /* No memory: exactly the row itself fits. */
    call = call_make(world, 4, &(struct ask){.count = 1, .comes_back = true});
    engine->warm_budget.limit_bytes = engine->warm_budget.used_bytes + IMAGE_BYTES + HEAP_BYTES;
    warm_put(engine->warm, call, 0);
    call = call_take(world, 0);
    rows_check(call, 0, FST_OK);
    warm_call_destroy(call);
    world_destroy(world);
}

/* ---- failures ---- */

/* Flips a bit in every copy of a row that the file has. */
static void row_damage(struct world *world, uint32_t number) {
    static uint8_t data[8 << 20];
    char path[100];
    uint8_t image[IMAGE_BYTES];
    memset(image, (int)number, sizeof image);
    meta_close(world->meta);
    (void)snprintf(path, sizeof path, "%s/data.mdb", world->folder);
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    ssize_t bytes = read(file, data, sizeof data);
    assert_in_range(bytes, 1, sizeof data - 1);
    uint32_t places = 0;
    for (size_t at = 0; at + IMAGE_BYTES <= (size_t)bytes; at++) {
        if (memcmp(data + at, image, IMAGE_BYTES) != 0) continue;
        uint8_t flipped = data[at + 5] ^ 1;
        data[at + 5] = flipped;
        assert_int_equal(pwrite(file, &flipped, 1, (off_t)at + 5), 1);
        places += 1;
    }
    assert_true(places > 0);
    assert_int_equal(close(file), 0);
    meta_start(world);
}

/* What LMDB lacks is NOT_FOUND, and so is a row of another LSN; what is damaged is CORRUPT. The
 * rows beside it are found. */
static void test_failures(void **state) {
    (void)state;
    enum { BAD = 200 }; /* Rows 200 and 456 have the same bytes. */
    struct world *world = world_create();
    row_damage(world, BAD);
    threads_start(world, 1);
    ask_put(world, 0, 1, (struct ask){.first = BAD - 1, .count = 3});
    ask_put(world, 0, 2, (struct ask){.first = ABSENT - 1, .count = 2});
    struct warm_call *call = call_make(world, 3, &(struct ask){.first = 3, .count = 1});
    call->rows.rows[0].want.lsn += 1;
    warm_put(world->engine->warm, call, 0);
    static const enum fst_status statuses[3][3] = {
        {FST_OK, FST_CORRUPT, FST_OK}, {FST_OK, FST_NOT_FOUND}, {FST_NOT_FOUND}};
    for (uint32_t i = 0; i < 3; i++) {
        call = call_take(world, 0);
        for (uint32_t r = 0; r < call->rows.count; r++) {
            assert_int_equal(call->rows.rows[r].status, statuses[i][r]);
        }
        warm_call_destroy(call);
    }
    world_destroy(world);
}

/* ---- the end ---- */

static void *gate_opener(void *context) {
    gate_clock_open_gate(context);
    return NULL;
}

/* The end comes while calls wait, one is with a thread, some and a promotion were not taken: all is
 * given back (world_destroy looks). */
static void test_end(void **state) {
    (void)state;
    for (uint32_t threads = 1; threads <= 4; threads++) {
        struct world *world = world_create();
        threads_start(world, threads);
        ask_put(world, 0, 1, (struct ask){.count = 1, .comes_back = true});
        ask_put(world, 1, 2, (struct ask){.count = ROWS});
        struct warm_call *call = call_take(world, 1);
        warm_call_destroy(call);
        gate_clock_close_gate(&world->clock);
        for (uint32_t i = 0; i < 20; i++) {
            ask_put(world, i % SHARDS, 3 + i, (struct ask){.count = 200, .deadline_us = NEVER});
        }
        gate_clock_await(&world->clock, 1);
        pthread_t opener;
        assert_int_equal(pthread_create(&opener, NULL, gate_opener, &world->clock), 0);
        warm_destroy(world->engine->warm);
        world->engine->warm = NULL;
        assert_int_equal(pthread_join(opener, NULL), 0);
        world_destroy(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shards_share_a_thread),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_few_rows_overtake_many),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_budget_of_a_call),
        cmocka_unit_test(test_budget_of_rows),
        cmocka_unit_test(test_promotions),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_end),
    };
    return cmocka_run_group_tests_name("shard/warm", tests, NULL, NULL);
}
