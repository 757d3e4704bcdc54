/* Shows what the committer promises, against an oracle too simple to be wrong: random requests
 * over several partitions, both kinds of views and both levels of acknowledgement, with
 * repetitions and late rows; a budget that is full, a group that is full, a disk that is full, and
 * a log write that fails. Every request is answered exactly once and not before its time, the
 * tables hold what the oracle holds, and the log read back holds every acknowledged row in LSN
 * order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "storage/online/slab.h"
#include "tests/shard/committer_world.h"

enum { STEPS = 4000, PLENTY = 256 << 20 };

/* ---- random steps ---- */

static int64_t near_us(struct world *world) {
    return 1000 + (int64_t)random_below(&world->random, 50) + (int64_t)world->asked_count / 10;
}

static void random_take(struct world *world) {
    struct shard_fixture *fixture = world->fixture;
    struct fixture_row rows[ROWS_MAX];
    uint32_t rows_count = 1 + (uint32_t)random_below(&world->random, ROWS_MAX);
    for (uint32_t i = 0; i < rows_count; i++) {
        rows[i] = (struct fixture_row){.key = (int64_t)random_below(&world->random, KEYS),
                                       .event_us = near_us(world),
                                       .created_us = (int64_t)random_below(&world->random, 3),
                                       .n = (int64_t)random_below(&world->random, 1000000)};
    }
    uint32_t client = (uint32_t)random_below(&world->random, CLIENTS + 1);
    uint64_t sequence = 0;
    if (client != 0) {
        bool is_new = random_below(&world->random, 4) != 0 || world->sequences[client] == 0;
        uint64_t back = random_below(&world->random, 4);
        uint64_t last = world->sequences[client];
        sequence = is_new ? ++world->sequences[client] : last - (back < last ? back : 0);
    }
    struct write_origin origin = {.client_id = client,
                                  .sequence = sequence,
                                  .is_durable = random_below(&world->random, 2) != 0};
    /* For a while no row is shown early: then a whole group is refused when the disk is full. */
    bool is_mixed = world->asked_count % 256 >= 160 && random_below(&world->random, 4) != 0;
    const struct view *view = is_mixed ? fixture->early : fixture->plain;
    world_take(world, view, &origin, rows, rows_count);
}

/* The keeper has seen that no file can be made, or makes one. */
static void random_disk(struct world *world) {
    bool is_stuck = log_is_stuck(world->fixture->log);
    uint64_t dice = random_below(&world->random, is_stuck ? 4 : 32);
    if (dice == 0) world_prepare(world);
    if (is_stuck && dice == 1) world->fixture->is_disk_full = true;
}

/* One random step; false when the log failed. */
static bool random_step(struct world *world) {
    switch (random_below(&world->random, 8)) {
    case 0:
    case 1:
        world->now_us += (int64_t)random_below(&world->random, 200);
        (void)world_seal(world);
        break;
    case 2:
        world->now_us += (int64_t)random_below(&world->random, 200);
        if (world->flying_count > 0 && world_complete(world) != FST_OK) return false;
        break;
    case 3:
        random_disk(world);
        break;
    default:
        random_take(world);
    }
    return true;
}

static void test_random_requests(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    for (int i = 0; i < STEPS; i++) {
        assert_true(random_step(world));
        world_answer(world);
        assert_int_equal(committer_check(&world->fixture->committer), FST_OK);
        world_check_key(world, (int64_t)random_below(&world->random, KEYS));
        if (i % 500 == 0) fixture_check(world->fixture);
        partition_reclaim(world->fixture->partitions[i % FIXTURE_PARTITIONS]);
    }
    world_finish(world);
    world_check_log(world, 0);
    uint64_t rows = world->statuses_count[FST_OK] + world->statuses_count[FST_STALE];
    const struct committer_counts *counts = &world->fixture->committer.counts;
    /* Rows that were shown were counted then, whatever their writer was told. */
    assert_in_range(counts->rows_written + counts->rows_stale, rows, rows + world->left_count);
    assert_in_range(counts->rows_written, world->statuses_count[FST_OK],
                    world->statuses_count[FST_OK] + world->left_count);
    assert_int_equal(counts->rows_refused,
                     world->statuses_count[FST_OVERLOADED] + world->statuses_count[FST_DISK_FULL]);
    assert_int_equal(counts->groups, world->durable_group);
    /* The run meets everything it is about. */
    assert_true(world->statuses_count[FST_STALE] > 100);
    assert_true(world->statuses_count[FST_DUPLICATE] > 100);
    assert_true(world->statuses_count[FST_OVERLOADED] > 100);
    assert_true(world->statuses_count[FST_DISK_FULL] > 10);
    assert_true(world->taken_back_count > 0);
    assert_true(world->left_count > 100);
    assert_true(log_file_sequence(world->fixture->log) > 2);
    world_destroy(world);
}

/* A failed write at each of the first groups: what is pending, in flight or filling, is answered
 * once as unknown; nothing is acknowledged afterwards; and what was acknowledged before survives a
 * power cut. */
static void test_failed_write(void **state) {
    (void)state;
    uint64_t unknown_count = 0;
    for (uint64_t nth = 1; nth <= 8; nth++) {
        struct world *world = world_create(PLENTY);
        world->fail_group = nth;
        while (random_step(world)) world_answer(world);
        assert_true(world->is_failed);
        world_answer(world);
        assert_int_equal(world->open_count, 0);
        assert_false(world_seal(world));
        uint64_t unknown = world->statuses_count[FST_OUTCOME_UNKNOWN];
        unknown_count += unknown;
        for (int i = 0; i < 20; i++) random_take(world);
        world_answer(world);
        assert_int_equal(world->open_count, 0);
        assert_true(world->statuses_count[FST_OUTCOME_UNKNOWN] >= unknown + 20);
        /* Whatever the other writes say, nobody is told. */
        while (world->flying_count > 0) {
            assert_false(committer_is_idle(&world->fixture->committer));
            assert_int_equal(world_complete(world), FST_OUTCOME_UNKNOWN);
        }
        assert_null(committer_next_done(&world->fixture->committer));
        assert_true(committer_is_idle(&world->fixture->committer));
        assert_int_equal(committer_check(&world->fixture->committer), FST_OK);
        for (int64_t key = 0; key < KEYS; key++) world_check_key(world, key);
        shard_fixture_crash(world->fixture);
        world_check_log(world, 0);
        world_destroy(world);
    }
    assert_true(unknown_count > 0);
}

/* Another shard failed: everything here is unknown too, also what is in flight, whose completion
 * is ignored. */
static void test_failure_of_another(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    while (world->flying_count != 1 || world->open_count < 3) {
        assert_true(random_step(world));
        world_answer(world);
    }
    committer_fail(&world->fixture->committer);
    world->is_failed = true;
    world_answer(world);
    assert_int_equal(world->open_count, 0);
    committer_fail(&world->fixture->committer); /* Said again: nothing more is answered. */
    assert_null(committer_next_done(&world->fixture->committer));
    assert_false(committer_is_idle(&world->fixture->committer));
    const struct committer_written written = {.group = world->flying[0]};
    assert_int_equal(
        committer_complete(&world->fixture->committer, world->fixture->catalog, &written),
        FST_OUTCOME_UNKNOWN);
    assert_null(committer_next_done(&world->fixture->committer));
    assert_true(committer_is_idle(&world->fixture->committer));
    world_destroy(world);
}

static struct asked *one_take(struct world *world, const struct view *view,
                              const struct write_origin *origin, int64_t key, int64_t event_us) {
    struct fixture_row row = {.key = key, .event_us = event_us, .n = event_us};
    struct asked *asked = world_take(world, view, origin, &row, 1);
    world_answer(world);
    return asked;
}

/* With nothing in flight a group leaves at once; otherwise a share of a write's time after the last
 * one, unless it is half full. */
static void test_groups_leave_evenly(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    struct committer *committer = &world->fixture->committer;
    const struct view *view = world->fixture->plain;
    const struct write_origin origin = {.is_durable = true};
    one_take(world, view, &origin, 1, 1);
    assert_true(world_seal(world));
    world->now_us = 24000; /* The write took so long; an eighth of it enters the average. */
    assert_int_equal(world_complete(world), FST_OK);
    world_answer(world);
    const int64_t share_us = 24000 / 8 / FIXTURE_GROUPS_IN_FLIGHT;
    one_take(world, view, &origin, 2, 1);
    assert_true(world_seal(world));
    for (int64_t left = 2; left > 0; left--) {
        one_take(world, view, &origin, 2 + left, 1);
        assert_false(world_seal(world));
        assert_int_equal(committer_seal_us(committer), world->now_us + share_us);
        world->now_us += share_us - 1;
        assert_false(world_seal(world));
        world->now_us += 1;
        assert_true(world_seal(world));
        assert_int_equal(committer_seal_us(committer), INT64_MAX);
    }
    one_take(world, view, &origin, 5, 1);
    world->now_us += share_us;
    assert_false(world_seal(world)); /* All are in flight: the next completion is waited for. */
    assert_int_equal(committer_seal_us(committer), INT64_MAX);
    world_finish(world);

    one_take(world, view, &origin, 6, 1);
    assert_true(world_seal(world));
    while (log_room_bytes(world->fixture->log) >= log_body_bytes_max(world->fixture->log) / 2) {
        one_take(world, view, &origin, 7, 1);
        bool is_half_full =
            log_room_bytes(world->fixture->log) < log_body_bytes_max(world->fixture->log) / 2;
        if (!is_half_full) assert_false(world_seal(world));
    }
    assert_true(world_seal(world));
    world_finish(world);
    world_destroy(world);
}

/* When a single row is answered and seen, by view and acknowledgement. */
static void test_levels(void **state) {
    (void)state;
    static const struct {
        bool is_early;
        bool is_durable;
        bool is_answered_at_once;
        bool is_seen_at_once;
    } cases[] = {
        {false, false, false, false},
        {false, true, false, false},
        {true, false, true, true},
        {true, true, false, true},
    };
    struct world *world = world_create(PLENTY);
    for (int64_t i = 0; i < 4; i++) {
        const struct view *view = cases[i].is_early ? world->fixture->early : world->fixture->plain;
        struct write_origin origin = {.is_durable = cases[i].is_durable};
        struct asked *asked = one_take(world, view, &origin, i, 10);
        struct fixture_row row;
        uint64_t lsn;
        assert_int_equal(asked->answers_count, cases[i].is_answered_at_once);
        assert_int_equal(fixture_find(world->fixture, view, i, &row, &lsn),
                         cases[i].is_seen_at_once);
        assert_true(world_seal(world));
        world_answer(world);
        assert_int_equal(asked->answers_count, cases[i].is_answered_at_once);
        assert_int_equal(fixture_find(world->fixture, view, i, &row, &lsn),
                         cases[i].is_seen_at_once);
        assert_int_equal(world_complete(world), FST_OK);
        world_answer(world);
        assert_int_equal(asked->answers_count, 1);
        assert_true(fixture_find(world->fixture, view, i, &row, &lsn));
    }
    world_finish(world);
    world_check_log(world, 0);
    world_destroy(world);
}

/* A repetition is answered when its first attempt is on disk, and not later: also when nothing
 * else comes. */
static void test_repetition_needs_no_other_write(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    struct write_origin origin = {.is_durable = true, .client_id = 1, .sequence = 1};
    const struct view *plain = world->fixture->plain;
    struct asked *first = one_take(world, plain, &origin, 1, 10);
    struct asked *filling = one_take(world, plain, &origin, 1, 10);
    assert_true(world_seal(world));
    struct asked *flying = one_take(world, plain, &origin, 1, 10);
    world_answer(world);
    assert_int_equal(first->answers_count + filling->answers_count + flying->answers_count, 0);
    assert_int_equal(world_complete(world), FST_OK);
    world_answer(world);
    assert_int_equal(first->answers_count, 1);
    assert_int_equal(filling->answers_count, 1);
    assert_int_equal(flying->answers_count, 1);
    assert_true(committer_is_idle(&world->fixture->committer));
    struct asked *late = one_take(world, plain, &origin, 1, 10);
    assert_int_equal(late->answers_count, 1);
    assert_int_equal(world->statuses_count[FST_DUPLICATE], 3);
    assert_int_equal(world->fixture->committer.counts.groups, 1);
    world_finish(world);
    world_destroy(world);
}

/* A group takes what fits and refuses the rest, which gives out no LSN; the next group takes it. */
static void test_group_full(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    struct write_origin origin = {.is_durable = true};
    uint32_t taken_count = 0;
    while (world->statuses_count[FST_OVERLOADED] == 0) {
        one_take(world, world->fixture->plain, &origin, taken_count % KEYS, 1 + taken_count);
        taken_count += 1;
        assert_true(taken_count < 1000);
    }
    assert_true(taken_count > FIXTURE_GROUP_BYTES / 256);
    assert_int_equal(world->open_count, taken_count - 1);
    assert_true(world_seal(world));
    struct asked *next = one_take(world, world->fixture->plain, &origin, 1, 2000);
    assert_int_equal(next->answers_count, 0);
    world_finish(world);
    assert_int_equal(world->statuses_count[FST_OVERLOADED], 1);
    world_check_log(world, 0);
    world_destroy(world);
}

/* At the memory limit rows that need another place are refused, those that replace one are not;
 * what is refused has no LSN and is not in the log. */
static void test_budget_full(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    struct write_origin origin = {.is_durable = true};
    one_take(world, world->fixture->plain, &origin, 1, 62);
    world_finish(world);
    world->fixture->engine->budget.limit_bytes = 0;
    for (int64_t key = KEYS; key < KEYS_ALL; key++) {
        one_take(world, world->fixture->plain, &origin, key, 62);
        if (world_seal(world)) assert_int_equal(world_complete(world), FST_OK);
        world_answer(world);
    }
    uint64_t full_count = world->statuses_count[FST_FULL];
    assert_true(full_count > 0);
    assert_int_equal(world->fixture->committer.counts.rows_refused, full_count);
    one_take(world, world->fixture->plain, &origin, 1, 124);
    world_finish(world);
    assert_int_equal(world->statuses_count[FST_FULL], full_count);
    world_check_log(world, 0);
    world_destroy(world);
}

/* So many freed places may wait that no more can: a row may be sent again, though there is memory
 * and nothing can leave it; soon it is taken. */
static void test_freed_places_that_wait(void **state) {
    (void)state;
    enum { PLACES = 2 }; /* of a row: for itself and its note */
    struct world *world = world_create(PLENTY);
    struct shard_fixture *fixture = world->fixture;
    struct write_origin origin = {.is_durable = true};
    const struct view *plain = fixture->plain;
    struct partition *partition = fixture->partitions[fixture_partition(1)];
    uint64_t places_max = (TABLE_WAITING_MAX - slabs_waiting_max(0)) / 4;
    struct log_rows_header rows = {.view_id = plain->id,
                                   .rows_count = (uint32_t)places_max / PLACES};
    uint8_t *body =
        calloc(1, sizeof rows + (size_t)rows.rows_count * view_current(plain)->layout.image_bytes);
    assert_non_null(body);
    memcpy(body, &rows, sizeof rows);
    assert_int_equal(partition_admit(partition, plain, body), PARTITION_ADMIT);
    one_take(world, plain, &origin, 1, 62);
    world_finish(world);
    assert_int_equal(world->statuses_count[FST_OVERLOADED], 1);
    assert_false(partition_is_short(partition));
    partition_release(partition, plain, body);
    one_take(world, plain, &origin, 1, 62);
    world_finish(world);
    assert_int_equal(world->statuses_count[FST_OVERLOADED], 1);
    assert_int_equal(world->statuses_count[FST_OK], 1);
    world_check_log(world, 0);
    world_destroy(world);
    free(body);
}

/* Where rows may leave memory, a row that finds no room may be sent again; unless the eviction went
 * around and met none that can go. */
static void test_budget_full_of_rows_that_may_leave(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    struct shard_fixture *fixture = world->fixture;
    struct write_origin origin = {.is_durable = true};
    struct view *plain = (struct view *)(uintptr_t)fixture->plain;
    plain->evicts = true;
    fixture->engine->budget.limit_bytes = 0;
    one_take(world, plain, &origin, 1, 62);
    world_finish(world);
    assert_int_equal(world->statuses_count[FST_OVERLOADED], 1);
    assert_int_equal(world->statuses_count[FST_FULL], 0);
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        assert_int_equal(partition_evict(fixture->partitions[p], fixture->catalog, UINT32_MAX), 0);
    }
    one_take(world, plain, &origin, 1, 62);
    world_finish(world);
    assert_int_equal(world->statuses_count[FST_OVERLOADED], 1);
    assert_int_equal(world->statuses_count[FST_FULL], 1);
    world_check_log(world, 0);
    world_destroy(world);
}

/* No file to go on in: once it is known that the disk is full, what was taken and what comes is
 * told so, as if it had never come; and all goes on when there is room again. */
static void test_disk_full(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    struct shard_fixture *fixture = world->fixture;
    struct write_origin origin = {.is_durable = true};
    io_sim_limit(fixture->sim, io_sim_used_bytes(fixture->sim));
    int64_t event_us = 1;
    for (;; event_us++) {
        one_take(world, fixture->plain, &origin, 1, event_us);
        if (!world_seal(world)) break;
        assert_int_equal(world_complete(world), FST_OK);
        world_answer(world);
        assert_int_equal(log_prepare_file(fixture->log), FST_DISK_FULL);
    }
    assert_int_equal(event_us, FIXTURE_FILE_BYTES / IO_BLOCK_BYTES);
    assert_int_equal(world->open_count, 1);
    /* Nobody knows yet why the file is late: the group goes on filling. */
    one_take(world, fixture->plain, &origin, 2, event_us);
    assert_int_equal(world->open_count, 2);
    fixture->is_disk_full = true;
    for (int i = 0; i < 3; i++) {
        struct asked *refused = one_take(world, fixture->plain, &origin, 3, event_us);
        assert_int_equal(refused->answers_count, 1);
    }
    assert_int_equal(world->statuses_count[FST_DISK_FULL], 3);
    assert_false(world_seal(world));
    world_answer(world);
    assert_int_equal(world->open_count, 0);
    assert_int_equal(world->statuses_count[FST_DISK_FULL], 5);
    fixture_check(fixture);
    io_sim_limit(fixture->sim, UINT64_MAX);
    world_prepare(world);
    fixture->is_disk_full = false;
    one_take(world, fixture->plain, &origin, 3, event_us + 1);
    assert_int_equal(world->open_count, 1);
    world_finish(world);
    assert_int_equal(world->statuses_count[FST_OK], event_us);
    world_check_log(world, 0);
    world_destroy(world);
}

/* Refused for the disk, a client's sequences are as new as before: the writer may not have seen
 * the refusal. The second one skips a number, which was for another partition. */
static void test_disk_full_forgets_sequences(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    struct shard_fixture *fixture = world->fixture;
    struct write_origin origins[] = {{.is_durable = true, .client_id = 1, .sequence = 5},
                                     {.is_durable = true, .client_id = 1, .sequence = 7}};
    while (one_take(world, fixture->plain, &(struct write_origin){0}, 2, 1), world_seal(world)) {
        assert_int_equal(world_complete(world), FST_OK);
    }
    for (int i = 0; i < 2; i++) one_take(world, fixture->plain, &origins[i], 1, 10 + i);
    fixture->is_disk_full = true;
    assert_false(world_seal(world));
    world_answer(world);
    assert_int_equal(world->open_count, 0);
    world_prepare(world);
    for (int i = 0; i < 2; i++) one_take(world, fixture->plain, &origins[i], 1, 10 + i);
    world_finish(world);
    assert_int_equal(world->statuses_count[FST_DUPLICATE], 0);
    world_check_log(world, 0);
    world_destroy(world);
}

/* The next key of another or the same partition as `key`. */
static int64_t key_beside(int64_t key, bool is_same) {
    int64_t other = key + 1;
    while ((fixture_partition(other) == fixture_partition(key)) != is_same) other += 1;
    assert_true(other < KEYS_ALL);
    return other;
}

/* Until a row waits for a file that is not there. */
static void disk_fill(struct world *world, int64_t key) {
    struct write_origin origin = {.is_durable = true};
    while (one_take(world, world->fixture->plain, &origin, key, 1), world_seal(world)) {
        assert_int_equal(world_complete(world), FST_OK);
        world_answer(world);
    }
    assert_int_equal(world->open_count, 1);
}

/* Rows that were shown cannot be taken back: they stay for the first file there is, with what has
 * LSNs before them, and their writers are told that nobody knows. All else is refused. Later they
 * are durable, and a repetition finds them. */
static void test_disk_full_keeps_shown_rows(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    struct shard_fixture *fixture = world->fixture;
    int64_t shown = 2, near = key_beside(shown, true), far = key_beside(shown, false);
    const struct {
        const struct view *view;
        int64_t key;
        bool is_durable;
        enum fst_status status;
    } cases[] = {
        {fixture->plain, far, true, FST_DISK_FULL},
        {fixture->plain, near, true, FST_OUTCOME_UNKNOWN},
        {fixture->early, shown, true, FST_OUTCOME_UNKNOWN},
        {fixture->early, shown, false, FST_OK},
        {fixture->plain, near, true, FST_DISK_FULL},
        {fixture->plain, far, true, FST_DISK_FULL},
    };
    enum { COUNT = sizeof cases / sizeof cases[0] };
    struct asked *asked[COUNT];
    disk_fill(world, far);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct write_origin origin = {
            .is_durable = cases[i].is_durable, .client_id = 1, .sequence = i + 1};
        asked[i] = one_take(world, cases[i].view, &origin, cases[i].key, 10 + i);
        assert_int_equal(asked[i]->answers_count, cases[i].status == FST_OK);
    }
    struct write_origin again = {.is_durable = true, .client_id = 1, .sequence = 3};
    struct asked *repeated = one_take(world, fixture->early, &again, shown, 12);
    assert_int_equal(repeated->answers_count, 0);
    fixture->is_disk_full = true;
    for (int i = 0; i < 3; i++) {
        assert_false(world_seal(world)); /* Said once, however often it is tried. */
        world_answer(world);
        assert_int_equal(world->open_count, 0);
        assert_int_equal(world->statuses_count[FST_DISK_FULL], 4); /* With the one that waited. */
        assert_int_equal(world->statuses_count[FST_OUTCOME_UNKNOWN], 3);
        assert_int_equal(committer_check(&fixture->committer), FST_OK);
        assert_int_equal(log_check(fixture->log), FST_OK);
        world_check_key(world, shown);
    }
    struct asked *late = one_take(world, fixture->early, &again, shown, 12);
    assert_int_equal(late->answers_count, 1);
    assert_int_equal(world->statuses_count[FST_DISK_FULL], 5);
    assert_false(committer_is_idle(&fixture->committer));
    world_prepare(world);
    world_finish(world);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct write_origin origin = {.is_durable = true, .client_id = 1, .sequence = i + 1};
        (void)one_take(world, cases[i].view, &origin, cases[i].key, 10 + i);
    }
    world_finish(world);
    assert_true(world->statuses_count[FST_DUPLICATE] >= 3);
    world_check_log(world, 0);
    world_destroy(world);
}

/* The end of the process while rows that were shown wait for room: they were never durable. */
static void test_disk_full_and_the_end(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    struct write_origin origin = {.is_durable = true};
    disk_fill(world, 2);
    (void)one_take(world, world->fixture->early, &origin, 2, 10);
    world->fixture->is_disk_full = true;
    assert_false(world_seal(world));
    world_answer(world);
    assert_int_equal(world->open_count, 0);
    committer_fail(&world->fixture->committer);
    assert_null(committer_next_done(&world->fixture->committer));
    assert_true(committer_is_idle(&world->fixture->committer));
    shard_fixture_crash(world->fixture);
    world_check_log(world, 0);
    world_destroy(world);
}

/* ---- changes of the registry ---- */

static const uint8_t change_bytes[FIXTURE_GROUP_BYTES];

static struct write_change change_of(uint64_t generation, size_t bytes) {
    return (struct write_change){.message.kind = MESSAGE_CHANGE,
                                 .generation = generation,
                                 .change = {.data = change_bytes, .bytes = bytes}};
}

static void change_take(struct world *world, struct write_change *change) {
    committer_take_change(&world->fixture->committer, change, fixture_now_us(world->fixture));
}

static void change_check_done(struct world *world, struct write_change *change,
                              enum fst_status status) {
    assert_ptr_equal(committer_next_done(&world->fixture->committer), &change->message);
    assert_int_equal(change->message.kind, MESSAGE_CHANGED);
    assert_int_equal(change->status, status);
}

/* Changes share groups with rows, in order, and are answered when they are durable. */
/* While a reader does not know the newest definitions, nothing is shown: neither by a group, nor
 * early. */
static void test_held(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    struct shard_fixture *fixture = world->fixture;
    struct write_origin durable = {.is_durable = true};
    struct write_origin memory = {.is_durable = false};
    struct fixture_row row = {.key = 1, .event_us = 10, .created_us = 10, .n = 5}, found;
    uint64_t lsn;
    committer_hold(&fixture->committer, true);
    world_take(world, fixture->plain, &durable, &row, 1);
    world_take(world, fixture->early, &memory, &row, 1);
    world_answer(world);
    assert_int_equal(world->open_count, 2);
    assert_false(fixture_find(fixture, fixture->early, 1, &found, &lsn));
    assert_false(world_seal(world));
    committer_hold(&fixture->committer, false);
    row.key = 2;
    world_take(world, fixture->early, &memory, &row, 1);
    world_answer(world);
    assert_int_equal(world->open_count, 2);
    world_check_key(world, 2);
    assert_true(world_seal(world));
    world_finish(world);
    world_check_log(world, 0);
    world_destroy(world);
}

static void test_changes(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    struct committer *committer = &world->fixture->committer;
    struct write_origin origin = {.is_durable = true};
    struct write_change first = change_of(1, 13);
    struct write_change second = change_of(2, 1000);
    struct write_change lost = change_of(3, 1);
    struct write_change late = change_of(4, 1);
    struct write_change large = change_of(3, log_body_bytes_max(world->fixture->log) + 1);
    change_take(world, &large);
    change_check_done(world, &large, FST_TOO_LARGE);
    change_take(world, &first);
    struct asked *row = one_take(world, world->fixture->plain, &origin, 1, 1);
    change_take(world, &second);
    assert_null(committer_next_done(committer));
    assert_true(world_seal(world));
    change_take(world, &lost); /* Of the next group. */
    assert_int_equal(world_complete(world), FST_OK);
    change_check_done(world, &first, FST_OK);
    assert_ptr_equal(committer_next_done(committer), &row->batch->message);
    world_check_request(world, row);
    change_check_done(world, &second, FST_OK);
    assert_null(committer_next_done(committer));

    assert_true(world_seal(world));
    world->fail_group = 2;
    assert_int_equal(world_complete(world), FST_IO_ERROR);
    change_check_done(world, &lost, FST_OUTCOME_UNKNOWN);
    change_take(world, &late);
    change_check_done(world, &late, FST_OUTCOME_UNKNOWN);
    assert_true(committer_is_idle(committer));
    shard_fixture_crash(world->fixture);
    world_check_log(world, 2);
    world_destroy(world);
}

/* A change is refused for the disk, whatever stands beside it in the group; its number is free. */
static void test_disk_full_refuses_a_change(void **state) {
    (void)state;
    struct world *world = world_create(PLENTY);
    struct write_origin origin = {.is_durable = true};
    struct write_change change = change_of(1, 100);
    disk_fill(world, 2);
    change_take(world, &change);
    (void)one_take(world, world->fixture->early, &origin, 2, 10);
    world->fixture->is_disk_full = true;
    assert_false(world_seal(world));
    struct message *message;
    bool is_told = false;
    while ((message = committer_next_done(&world->fixture->committer)) != &change.message) {
        struct asked *asked = &world->asked[world->asked_count - (is_told ? 2 : 1)];
        assert_ptr_equal(message, &asked->batch->message);
        world_check_request(world, asked);
        is_told = true;
    }
    assert_int_equal(change.status, FST_DISK_FULL);
    world_answer(world);
    assert_int_equal(world->open_count, 0);
    change = change_of(1, 100);
    world_prepare(world);
    change_take(world, &change);
    while (!committer_is_idle(&world->fixture->committer)) {
        assert_true(world_seal(world));
        assert_int_equal(world_complete(world), FST_OK);
        change_check_done(world, &change, FST_OK);
    }
    world_check_log(world, 1);
    world_destroy(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_requests),
        cmocka_unit_test(test_failed_write),
        cmocka_unit_test(test_failure_of_another),
        cmocka_unit_test(test_groups_leave_evenly),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_repetition_needs_no_other_write),
        cmocka_unit_test(test_group_full),
        cmocka_unit_test(test_budget_full),
        cmocka_unit_test(test_freed_places_that_wait),
        cmocka_unit_test(test_budget_full_of_rows_that_may_leave),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_disk_full_forgets_sequences),
        cmocka_unit_test(test_disk_full_keeps_shown_rows),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_disk_full_and_the_end),
        cmocka_unit_test(test_disk_full_refuses_a_change),
        cmocka_unit_test(test_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
