/* Opens stores again after every kind of end and compares each key's row with an oracle of what was
 * acknowledged: tables kept, lost, stale or from the future; LMDB kept, lost, old or damaged; logs
 * torn; the number of shards changing. Real folders, since LMDB does its own input and output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "recovery_fixture.h"

enum { ROUNDS = 40, MANY_LOGS = 70000 };

/* ---- one thing at a time ---- */

static void refuse(struct recovery_fixture *f, enum fst_status status, const char *text) {
    assert_int_equal(recovery_fixture_try(f), status);
    if (!strstr(f->error.text, text)) print_error("%s\n", f->error.text);
    assert_non_null(strstr(f->error.text, text));
}

static void test_a_new_store_is_empty_and_stays_itself(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(1);
    recovery_fixture_open(f, 2);
    assert_int_equal(f->report.made, FIXTURE_PARTITIONS);
    assert_int_equal(f->store.epoch, 1);
    uint8_t store_id[STORE_ID_BYTES];
    memcpy(store_id, f->store.store_id, sizeof store_id);
    recovery_fixture_judge(f);
    recovery_fixture_end(f);
    recovery_fixture_open(f, 1);
    assert_int_equal(f->report.mapped, FIXTURE_PARTITIONS);
    assert_int_equal(f->store.epoch, 2);
    assert_memory_equal(store_id, f->store.store_id, sizeof store_id);
    recovery_fixture_judge(f);
    recovery_fixture_destroy(f);
}

static void test_two_processes_never_share_a_store(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(1);
    recovery_fixture_open(f, 1);
    struct store other;
    struct recovery_report report;
    struct fst_error error;
    assert_int_equal(recovery_fixture_try_other(f, &other, &report, &error), FST_BUSY);
    assert_non_null(strstr(error.text, "another process"));
    recovery_fixture_write(f, 50);
    recovery_fixture_end(f);
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    recovery_fixture_destroy(f);
}

static const struct end_case {
    const char *name;
    void (*act)(struct recovery_fixture *f);
    uint32_t mapped; /* partitions that must have been kept */
} end_cases[] = {
    {"nothing is lost", recovery_fixture_lose_nothing, FIXTURE_PARTITIONS},
    {"all tables are lost", recovery_fixture_lose_tables, 0},
    {"one table is lost", recovery_fixture_lose_one_table, FIXTURE_PARTITIONS - 1},
    {"a table was in the middle of a change", recovery_fixture_break_table, FIXTURE_PARTITIONS - 1},
    {"LMDB is lost", recovery_fixture_lose_meta, 0},
    {"LMDB is cut short", recovery_fixture_cut_meta, 0},
    {"LMDB and all tables are lost", recovery_fixture_lose_both, 0},
};

/* With and without a checkpoint, with and without rows behind it. */
static void test_what_a_process_may_leave(void **state) {
    (void)state;
    for (size_t i = 0; i < 4 * (sizeof end_cases / sizeof end_cases[0]); i++) {
        const struct end_case *c = &end_cases[i / 4];
        struct recovery_fixture *f = recovery_fixture_create(i);
        print_message("  %s%s%s\n", c->name, i & 1 ? ", checkpoint" : "",
                      i & 2 ? ", rows behind" : "");
        recovery_fixture_open(f, 2);
        recovery_fixture_write(f, 300);
        if (i & 1) recovery_fixture_checkpoint(f);
        if (i & 2) recovery_fixture_write(f, 100);
        recovery_fixture_end(f);
        c->act(f);
        recovery_fixture_open(f, 3);
        assert_int_equal(f->report.mapped, c->mapped);
        recovery_fixture_judge(f);
        recovery_fixture_write(f, 100);
        recovery_fixture_end(f);
        /* What recovery itself left behind is right, too. */
        recovery_fixture_lose_tables(f);
        recovery_fixture_open(f, 1);
        recovery_fixture_judge(f);
        recovery_fixture_destroy(f);
    }
}

/* Tables of an earlier moment come back: from before a checkpoint, whose log positions they
 * lack. */
static void test_stale_tables_are_not_believed(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(7);
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 100);
    recovery_fixture_end(f);
    recovery_fixture_keep_tables(f);
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 200);
    recovery_fixture_checkpoint(f);
    recovery_fixture_write(f, 50);
    recovery_fixture_end(f);
    recovery_fixture_bring_tables_back(f);
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    recovery_fixture_destroy(f);
}

/* The folder comes from a backup that is older than the tables: rows that no log has must not be
 * served. */
static void test_tables_of_the_future_are_not_believed(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(8);
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 100);
    recovery_fixture_end(f);
    recovery_fixture_keep_data(f);
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 200);
    recovery_fixture_end(f);
    recovery_fixture_bring_data_back(f);
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    recovery_fixture_write(f, 100);
    recovery_fixture_end(f);
    recovery_fixture_lose_tables(f);
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    recovery_fixture_destroy(f);
}

/* A row's value in LMDB is flipped; the tables are gone, so it is needed. The logs have
 * everything. */
static void test_damaged_checkpoint_rows_come_from_the_log(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(9);
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 300);
    recovery_fixture_checkpoint(f);
    recovery_fixture_end(f);
    recovery_fixture_flip_meta_row(f);
    recovery_fixture_lose_tables(f);
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    recovery_fixture_write(f, 10);
    recovery_fixture_checkpoint(f);
    recovery_fixture_end(f);
    /* The new LMDB has everything, the definitions too. */
    recovery_fixture_lose_tables(f);
    recovery_fixture_open(f, 1);
    assert_int_equal(f->report.log_records, 0);
    assert_int_equal(registry_generation(f->registry), 1);
    recovery_fixture_judge(f);
    recovery_fixture_destroy(f);
}

/* What is in a checkpoint is not read from the logs again, and old logs keep no empty files. */
static void test_what_is_done_is_done(void **state) {
    (void)state;
    /* At most: two that are written, two prepared ones after a write, and one per old log that has
     * records. Whether the prepared ones are there yet is the background's affair. */
    static const uint32_t files[] = {4, 1 + 4, 3 + 2, 3 + 4, 5 + 2};
    struct recovery_fixture *f = recovery_fixture_create(13);
    for (int i = 0; i < 5; i++) {
        recovery_fixture_open(f, 2);
        assert_int_equal(f->report.log_records, 0);
        recovery_fixture_judge(f);
        if (i % 2) recovery_fixture_write(f, 20);
        recovery_fixture_checkpoint(f);
        assert_true(recovery_fixture_log_files(f) <= files[i]);
        recovery_fixture_end(f);
    }
    recovery_fixture_destroy(f);
}

/* A store that was started very many times opens, whether LMDB has a position for each of its logs
 * or nothing is left but the logs, and its first checkpoint forgets the positions. */
static void test_very_many_starts(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(15);
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 20);
    recovery_fixture_end(f);
    recovery_fixture_add_logs(f, MANY_LOGS, true);
    recovery_fixture_open(f, 1);
    assert_int_equal(f->store.epoch, MANY_LOGS + 2);
    assert_true(recovery_fixture_positions(f) >= MANY_LOGS);
    recovery_fixture_judge(f);
    recovery_fixture_write(f, 20);
    recovery_fixture_checkpoint(f);
    assert_int_equal(recovery_fixture_positions(f), 1);
    recovery_fixture_end(f);
    recovery_fixture_add_logs(f, MANY_LOGS, false);
    recovery_fixture_lose_both(f);
    recovery_fixture_open(f, 1);
    assert_int_equal(f->store.epoch, 2 * MANY_LOGS + 3);
    recovery_fixture_judge(f);
    /* Logs without a group are gone: two have one, one is written now. */
    assert_int_equal(recovery_fixture_log_files(f), 3);
    recovery_fixture_destroy(f);
}

/* Logs of earlier starts are not opened once a checkpoint has them; before, they are. */
static void test_done_logs_are_not_opened(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(16);
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 300);
    recovery_fixture_checkpoint(f);
    recovery_fixture_end(f);
    recovery_fixture_break_first_log(f);
    refuse(f, FST_CORRUPT, ".log: offset ");
    recovery_fixture_break_first_log(f); /* back */
    recovery_fixture_open(f, 2);
    recovery_fixture_checkpoint(f);
    recovery_fixture_write(f, 20);
    recovery_fixture_end(f);
    recovery_fixture_break_first_log(f);
    recovery_fixture_lose_tables(f);
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    recovery_fixture_destroy(f);
}

/* A row that was removed is not in the checkpoint, whether that knew of the removal or took all
 * rows. */
static void test_removed_rows_stay_removed(void **state) {
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        struct recovery_fixture *f = recovery_fixture_create(14);
        recovery_fixture_open(f, 1);
        recovery_fixture_write(f, 200);
        recovery_fixture_checkpoint(f);
        recovery_fixture_remove(f, 10);
        if (whole) recovery_fixture_forget_changes(f);
        recovery_fixture_checkpoint(f);
        recovery_fixture_end(f);
        recovery_fixture_lose_tables(f);
        recovery_fixture_open(f, 1);
        recovery_fixture_judge(f);
        recovery_fixture_destroy(f);
    }
}

/* Rows that were seen before they were durable, and never became so, are gone; what was durable
 * before them is back. A checkpoint in between knows nothing of them either. */
static void test_rows_seen_from_memory_and_lost(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct recovery_fixture *f = recovery_fixture_create(20);
        recovery_fixture_open(f, 1);
        recovery_fixture_write(f, 300);
        recovery_fixture_checkpoint(f);
        recovery_fixture_write_in_memory(f);
        if (i & 1) recovery_fixture_checkpoint(f);
        recovery_fixture_end(f);
        if (i & 2) recovery_fixture_lose_tables(f);
        recovery_fixture_open(f, 1);
        recovery_fixture_judge(f);
        recovery_fixture_write(f, 10);
        recovery_fixture_end(f);
        recovery_fixture_lose_tables(f);
        recovery_fixture_open(f, 1);
        recovery_fixture_judge(f);
        recovery_fixture_destroy(f);
    }
}

/* The same rows, but their group was written after the checkpoint: they must not be forgotten. */
static void test_rows_seen_from_memory_and_kept(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(21);
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 100);
    recovery_fixture_write_in_memory(f);
    recovery_fixture_checkpoint(f);
    recovery_fixture_write(f, 1); /* and with it what was in memory */
    recovery_fixture_checkpoint(f);
    recovery_fixture_checkpoint(f);
    recovery_fixture_end(f);
    recovery_fixture_lose_tables(f);
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    recovery_fixture_destroy(f);
}

/* The definition of a view got to the log, and the process ended before LMDB had it. */
/* Rows that are seen and not durable stand where durable ones were, in a form that is newer than
 * the checkpoint's catalog: it does not visit them, and yet must not promise what was there before.
 */
static void test_rows_seen_from_memory_in_a_newer_form(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(recovery_fixture_seed(17));
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 400);
    recovery_fixture_write_in_memory(f);
    struct catalog older = *f->catalog;
    older.views_by_id_count = 0;
    f->older = &older;
    recovery_fixture_checkpoint(f);
    f->older = NULL;
    recovery_fixture_end(f);
    recovery_fixture_lose_tables(f);
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    recovery_fixture_destroy(f);
}

static void test_a_change_that_only_the_log_has(void **state) {
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        struct recovery_fixture *f = recovery_fixture_create(10);
        recovery_fixture_open(f, 2);
        recovery_fixture_write(f, 50);
        recovery_fixture_define(f, false);
        recovery_fixture_end(f);
        if (lost) recovery_fixture_lose_meta(f);
        recovery_fixture_open(f, 2);
        assert_int_equal(registry_generation(f->registry), 2);
        recovery_fixture_judge(f);
        recovery_fixture_checkpoint(f);
        recovery_fixture_end(f);
        recovery_fixture_open(f, 2); /* Now LMDB has it. */
        assert_int_equal(change_queue_count(f->store.changes), 0);
        assert_int_equal(registry_generation(f->registry), 2);
        recovery_fixture_destroy(f);
    }
}

/* LMDB has no room: changes are in force, starts adopt them from the log, and the first checkpoint
 * that finds room stores them with the rows that need them. */
static void test_changes_wait_for_room_in_lmdb(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(17);
    f->meta_bytes = 2 << 20;
    recovery_fixture_open(f, 2);
    recovery_fixture_write(f, 300);
    recovery_fixture_checkpoint(f);
    assert_int_equal(change_queue_count(f->store.changes), 0);
    recovery_fixture_write(f, 600);
    recovery_fixture_fill_meta(f);
    recovery_fixture_define(f, false);
    assert_int_equal(recovery_fixture_checkpoint_try(f), FST_DISK_FULL);
    recovery_fixture_define(f, false);
    recovery_fixture_write(f, 100);
    for (int start = 0; start < 3; start++) {
        assert_int_equal(change_queue_count(f->store.changes), 2);
        assert_int_equal(registry_generation(f->registry), 3);
        recovery_fixture_judge(f);
        recovery_fixture_end(f);
        if (start == 1) recovery_fixture_lose_tables(f);
        if (start == 2) f->meta_bytes = 64 << 20;
        recovery_fixture_open(f, 2);
    }
    recovery_fixture_checkpoint(f);
    assert_int_equal(change_queue_count(f->store.changes), 0);
    recovery_fixture_end(f);
    /* LMDB alone has them now. */
    recovery_fixture_lose_tables(f);
    recovery_fixture_lose_first_log(f);
    recovery_fixture_open(f, 1);
    assert_int_equal(f->report.log_records, 0);
    assert_int_equal(registry_generation(f->registry), 3);
    recovery_fixture_judge(f);
    recovery_fixture_destroy(f);
}

/* ---- damage ---- */

static void test_acknowledged_rows_that_are_gone_are_not_passed_over(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(11);
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 300);
    recovery_fixture_end(f);
    recovery_fixture_lose_tables(f);
    recovery_fixture_flip_log(f);
    refuse(f, FST_CORRUPT, ".log: offset ");
    recovery_fixture_flip_log(f); /* back */
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    recovery_fixture_write(f, 100);
    recovery_fixture_end(f);

    recovery_fixture_lose_tables(f);
    recovery_fixture_lose_meta(f);
    recovery_fixture_lose_first_log(f);
    refuse(f, FST_CORRUPT, "lsn 1: records of this partition are missing");
    recovery_fixture_destroy(f);
}

static void test_a_folder_that_is_no_store(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(12);
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 10);
    recovery_fixture_end(f);
    recovery_fixture_put_file(f, "STORE", "fstore store\nformat 2\n");
    refuse(f, FST_INCOMPATIBLE, "another version");
    recovery_fixture_put_file(f, "STORE", "something else");
    refuse(f, FST_CORRUPT, "STORE");
    recovery_fixture_put_file(f, "STORE", NULL);
    refuse(f, FST_CORRUPT, "no file STORE");
    recovery_fixture_destroy(f);
}

/* ---- everything at once ---- */

static void round_run(struct recovery_fixture *f) {
    uint32_t steps = (uint32_t)(recovery_fixture_random(f) % 6);
    for (uint32_t i = 0; i < steps; i++) {
        uint64_t kind = recovery_fixture_random(f) % 10;
        if (kind < 7) recovery_fixture_write(f, (uint32_t)(recovery_fixture_random(f) % 60));
        if (kind == 7) recovery_fixture_write_in_memory(f);
        if (kind == 8) recovery_fixture_checkpoint(f);
        if (kind == 9) recovery_fixture_define(f, true);
    }
    if (recovery_fixture_random(f) % 2) recovery_fixture_write_torn(f);
}

static void round_end(struct recovery_fixture *f) {
    static void (*const acts[])(struct recovery_fixture * f) = {
        recovery_fixture_lose_nothing,   recovery_fixture_lose_nothing,
        recovery_fixture_lose_nothing,   recovery_fixture_lose_tables,
        recovery_fixture_lose_tables,    recovery_fixture_lose_one_table,
        recovery_fixture_lose_one_table, recovery_fixture_break_table,
        recovery_fixture_lose_meta,      recovery_fixture_lose_both,
        recovery_fixture_keep_tables,    recovery_fixture_bring_tables_back,
    };
    acts[recovery_fixture_random(f) % (sizeof acts / sizeof acts[0])](f);
}

static void test_any_history(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(recovery_fixture_seed(1));
    for (int round = 0; round < ROUNDS; round++) {
        recovery_fixture_open(f, 1 + (uint32_t)(recovery_fixture_random(f) % 3));
        recovery_fixture_judge(f);
        round_run(f);
        recovery_fixture_end(f);
        round_end(f);
    }
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    print_message("rows=%u torn=%u in memory=%u\n", f->rows_written, f->torn_written,
                  f->memory_written);
    recovery_fixture_destroy(f);
}

int main(void) {
    logger_init(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_store_is_empty_and_stays_itself),
        cmocka_unit_test(test_two_processes_never_share_a_store),
        cmocka_unit_test(test_what_a_process_may_leave),
        cmocka_unit_test(test_stale_tables_are_not_believed),
        cmocka_unit_test(test_tables_of_the_future_are_not_believed),
        cmocka_unit_test(test_damaged_checkpoint_rows_come_from_the_log),
        cmocka_unit_test(test_what_is_done_is_done),
        cmocka_unit_test(test_very_many_starts),
        cmocka_unit_test(test_done_logs_are_not_opened),
        cmocka_unit_test(test_removed_rows_stay_removed),
        cmocka_unit_test(test_rows_seen_from_memory_and_lost),
        cmocka_unit_test(test_rows_seen_from_memory_and_kept),
        cmocka_unit_test(test_rows_seen_from_memory_in_a_newer_form),
        cmocka_unit_test(test_a_change_that_only_the_log_has),
        cmocka_unit_test(test_changes_wait_for_room_in_lmdb),
        cmocka_unit_test(test_acknowledged_rows_that_are_gone_are_not_passed_over),
        cmocka_unit_test(test_a_folder_that_is_no_store),
        cmocka_unit_test(test_any_history),
    };
    return cmocka_run_group_tests_name("recovery/recovery", tests, NULL, NULL);
}
