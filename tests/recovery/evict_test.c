/* Rows that left memory come through everything that a store may go through: only LMDB has them,
 * so that tables are believed with the LMDB they belong to, and whole visits drop nothing. Judging
 * brings every row back and compares it with what was acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/recovery/evicting.h"

enum { ROUNDS = 150 };

/* A store with a checkpoint, all rows of it evicted, and some that came after. */
static struct recovery_fixture *evicted_store(uint64_t seed) {
    struct recovery_fixture *f = recovery_fixture_create(seed);
    recovery_fixture_open(f, 2);
    recovery_fixture_write(f, 300);
    recovery_fixture_checkpoint(f);
    assert_true(evicting_evict(f) > 0);
    recovery_fixture_write(f, 20);
    return f;
}

static const struct end_case {
    const char *name;
    void (*act)(struct recovery_fixture *f);
    bool stays; /* what is evicted is so after the next start */
} end_cases[] = {
    {"nothing is lost", recovery_fixture_lose_nothing, true},
    {"all tables are lost", recovery_fixture_lose_tables, false},
    {"LMDB is lost", recovery_fixture_lose_meta, false},
    {"LMDB is cut", recovery_fixture_cut_meta, false},
    {"both are lost", recovery_fixture_lose_both, false},
};

static void test_what_may_be_lost(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof end_cases / sizeof end_cases[0]; i++) {
        print_message("  %s\n", end_cases[i].name);
        struct recovery_fixture *f = evicted_store(i + 1);
        uint64_t evicted_count = evicting_count(f);
        recovery_fixture_end(f);
        end_cases[i].act(f);
        recovery_fixture_open(f, 1);
        assert_int_equal(evicting_count(f), end_cases[i].stays ? evicted_count : 0);
        evicting_judge(f);
        recovery_fixture_checkpoint(f);
        recovery_fixture_end(f);
        recovery_fixture_lose_tables(f);
        recovery_fixture_open(f, 1);
        evicting_judge(f);
        recovery_fixture_destroy(f);
    }
}

/* LMDB is of an earlier time than the tables: it lacks rows that they count on. */
static void test_an_older_lmdb(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(11);
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 100);
    recovery_fixture_end(f);
    recovery_fixture_keep_data(f);
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 200);
    recovery_fixture_checkpoint(f);
    assert_true(evicting_evict(f) > 0);
    recovery_fixture_end(f);
    recovery_fixture_bring_data_back(f);
    recovery_fixture_open(f, 1);
    evicting_judge(f);
    recovery_fixture_destroy(f);
}

/* Tables that count on more than LMDB has, though all else fits. */
static void test_less_in_lmdb(void **state) {
    (void)state;
    struct recovery_fixture *f = evicted_store(14);
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        partition_restore_kept(f->store.partitions[p], 1000000);
    }
    recovery_fixture_end(f);
    recovery_fixture_open(f, 1);
    assert_int_equal(f->report.mapped, 0);
    assert_int_equal(f->report.restored, FIXTURE_PARTITIONS);
    assert_int_equal(evicting_count(f), 0);
    evicting_judge(f);
    recovery_fixture_destroy(f);
}

/* There is hardly any memory when rows come back from LMDB. */
static void test_a_start_evicts(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(15);
    uint64_t limit_bytes = f->budget.limit_bytes;
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 300);
    recovery_fixture_checkpoint(f);
    recovery_fixture_end(f);
    recovery_fixture_lose_tables(f);
    f->budget.limit_bytes = 512 << 10;
    recovery_fixture_open(f, 1);
    assert_true(evicting_count(f) > 0);
    f->budget.limit_bytes = limit_bytes;
    evicting_judge(f);
    recovery_fixture_destroy(f);
}

/* A visit of all rows hands out none that is evicted: LMDB keeps them, and drops removed ones. */
static void test_a_whole_visit_keeps_evicted_rows(void **state) {
    (void)state;
    struct recovery_fixture *f = evicted_store(13);
    recovery_fixture_remove(f, 20);
    recovery_fixture_forget_changes(f);
    recovery_fixture_checkpoint(f);
    recovery_fixture_end(f);
    recovery_fixture_open(f, 1);
    assert_true(evicting_count(f) > 0);
    evicting_judge(f);
    recovery_fixture_end(f);
    recovery_fixture_lose_tables(f);
    recovery_fixture_open(f, 1);
    evicting_judge(f);
    recovery_fixture_destroy(f);
}

static void round_run(struct recovery_fixture *f) {
    uint32_t steps = (uint32_t)(recovery_fixture_random(f) % 8);
    for (uint32_t i = 0; i < steps; i++) {
        uint64_t kind = recovery_fixture_random(f) % 12;
        if (kind < 5) recovery_fixture_write(f, (uint32_t)(recovery_fixture_random(f) % 60));
        if (kind == 5) recovery_fixture_write_in_memory(f);
        if (kind == 6 || kind == 7) recovery_fixture_checkpoint(f);
        if (kind == 8) recovery_fixture_forget_changes(f);
        if (kind == 9) evicting_promote(f);
        if (kind >= 10) (void)evicting_evict(f);
    }
    if (recovery_fixture_random(f) % 2) recovery_fixture_write_torn(f);
}

static void round_end(struct recovery_fixture *f) {
    static void (*const acts[])(struct recovery_fixture * f) = {
        recovery_fixture_lose_nothing,   recovery_fixture_lose_nothing,
        recovery_fixture_lose_nothing,   recovery_fixture_lose_tables,
        recovery_fixture_lose_one_table, recovery_fixture_break_table,
        recovery_fixture_lose_meta,      recovery_fixture_lose_both,
        recovery_fixture_keep_tables,    recovery_fixture_bring_tables_back,
    };
    acts[recovery_fixture_random(f) % (sizeof acts / sizeof acts[0])](f);
}

static void test_any_history(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(recovery_fixture_seed(1));
    uint64_t evicted_count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        recovery_fixture_open(f, 1 + (uint32_t)(recovery_fixture_random(f) % 3));
        evicted_count += evicting_count(f);
        evicting_judge(f);
        round_run(f);
        recovery_fixture_end(f);
        round_end(f);
    }
    recovery_fixture_open(f, 1);
    evicting_judge(f);
    assert_true(evicted_count > 0);
    recovery_fixture_destroy(f);
}

int main(void) {
    logger_init(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_may_be_lost),
        cmocka_unit_test(test_an_older_lmdb),
        cmocka_unit_test(test_less_in_lmdb),
        cmocka_unit_test(test_a_start_evicts),
        cmocka_unit_test(test_a_whole_visit_keeps_evicted_rows),
        cmocka_unit_test(test_any_history),
    };
    return cmocka_run_group_tests_name("recovery/evict", tests, NULL, NULL);
}
