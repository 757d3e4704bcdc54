/* Drives the writer of the log alone: what it hands out, its limits, its files and its failures are
 * compared with what a caller was promised. That the bytes can be read back is
 * log_reader_test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "log_fixture.h"

static int count_name(void *context, const char *name) {
    (void)name;
    *(uint32_t *)context += 1;
    return 0;
}

static uint32_t files_count(struct log_fixture *fixture) {
    uint32_t count = 0;
    assert_int_equal(fixture->io->ops->list(fixture->io, FIXTURE_DIR, count_name, &count), 0);
    return count;
}

static void test_completed_records_are_walked_in_order(void **state) {
    (void)state;
    struct log_fixture fixture;
    log_fixture_init(&fixture, 1);
    log_fixture_open(&fixture, 1, 0);
    uint64_t next = 1;
    for (uint32_t group = 1; group <= 40; group++) {
        for (uint32_t r = 0; r < group % 7 + 1; r++) {
            assert_true(log_fixture_append(&fixture));
            assert_int_equal(log_check(fixture.log), FST_OK);
        }
        log_fixture_write(&fixture);
        assert_int_equal(log_durable_group(fixture.log), group);
        assert_int_equal(log_check(fixture.log), FST_OK);
        /* What is appended now goes to the next group and leaves the completed one alone. */
        struct log_record_header header = {.type = LOG_RECORD_ROWS};
        assert_non_null(log_append(fixture.log, &header, 0));
        struct log_record_header *record = NULL;
        while ((record = log_next_completed(fixture.log, record))) {
            assert_true(log_fixture_is_record(record, (const uint8_t *)(record + 1), next));
            assert_int_equal(record->flags, next % 3 == 0 ? LOG_RECORD_APPLIED : 0);
            next += 1;
        }
        assert_int_equal(next, fixture.appended + 1);
        log_fixture_write(&fixture);
        assert_non_null(log_next_completed(fixture.log, NULL));
        group += 1;
    }
    log_fixture_deinit(&fixture);
}

static void test_one_group_is_in_flight(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct log_write first, second;
    log_fixture_init(&fixture, 1);
    log_fixture_open(&fixture, 1, 0);
    assert_false(log_is_filling(fixture.log));
    assert_false(log_seal(fixture.log, &first)); /* Nothing to write. */
    assert_true(log_fixture_append(&fixture));
    assert_true(log_is_filling(fixture.log));
    assert_true(log_seal(fixture.log, &first));
    assert_false(log_is_filling(fixture.log));
    assert_true(log_fixture_append(&fixture));
    assert_false(log_seal(fixture.log, &second));
    assert_int_equal(log_durable_group(fixture.log), 0);
    assert_int_equal(log_complete(fixture.log, first.group, 0), FST_OK);
    assert_int_equal(log_durable_group(fixture.log), 1);
    assert_false(log_seal(fixture.log, &second)); /* Its records are still to be walked. */
    log_release(fixture.log);
    assert_true(log_seal(fixture.log, &second));
    assert_int_equal(second.group, 2);
    assert_int_equal(second.offset, first.offset + first.bytes);
    assert_true(second.data != first.data);
    assert_int_equal(log_complete(fixture.log, second.group, 0), FST_OK);
    log_fixture_deinit(&fixture);
}

/* The records of the oldest durable group are `first` and the next ones, `count` in all. */
static void expect_completed(struct log *log, uint64_t group, uint64_t first, uint64_t count) {
    assert_int_equal(log_completed_group(log), group);
    struct log_record_header *record = NULL;
    uint64_t next = first;
    while ((record = log_next_completed(log, record))) {
        assert_true(log_fixture_is_record(record, (const uint8_t *)(record + 1), next++));
    }
    assert_int_equal(next, first + count);
}

/* Three groups are in flight and end in another order: a group is durable when those before it are,
 * too. */
static void test_groups_in_flight_end_in_any_order(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct log_write writes[4];
    log_fixture_init(&fixture, 1);
    fixture.options.groups_in_flight_max = 3;
    log_fixture_open(&fixture, 1, 0);
    for (uint32_t g = 0; g < 4; g++) {
        for (uint32_t r = 0; r <= g; r++) assert_true(log_fixture_append(&fixture));
        assert_int_equal(log_seal(fixture.log, &writes[g]), g < 3);
        assert_int_equal(log_check(fixture.log), FST_OK);
    }
    assert_int_equal(log_flying_count(fixture.log), 3);
    assert_int_equal(log_complete(fixture.log, 3, 0), FST_OK);
    assert_int_equal(log_durable_group(fixture.log), 0);
    assert_int_equal(log_completed_group(fixture.log), 0);
    assert_false(log_seal(fixture.log, &writes[3])); /* None of the three is released. */
    assert_int_equal(log_complete(fixture.log, 1, 0), FST_OK);
    assert_int_equal(log_durable_group(fixture.log), 1);
    assert_int_equal(log_check(fixture.log), FST_OK);
    expect_completed(fixture.log, 1, 1, 1);
    log_release(fixture.log);
    assert_int_equal(log_completed_group(fixture.log), 0);
    assert_true(log_seal(fixture.log, &writes[3]));
    assert_int_equal(log_complete(fixture.log, 2, 0), FST_OK);
    assert_int_equal(log_durable_group(fixture.log), 3);
    expect_completed(fixture.log, 2, 2, 2);
    log_release(fixture.log);
    expect_completed(fixture.log, 3, 4, 3);
    log_release(fixture.log);
    assert_int_equal(log_complete(fixture.log, 4, 0), FST_OK);
    expect_completed(fixture.log, 4, 7, 4);
    assert_int_equal(log_flying_count(fixture.log), 0);
    assert_int_equal(log_check(fixture.log), FST_OK);
    log_fixture_deinit(&fixture);
}

/* The next file is begun when nothing is in flight in the one before it. */
static void test_groups_in_flight_are_in_one_file(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct log_write writes[4];
    struct log_record_header header = {.type = LOG_RECORD_ROWS};
    log_fixture_init(&fixture, 1);
    fixture.options.groups_in_flight_max = 4;
    log_fixture_open(&fixture, 1, 0);
    assert_int_equal(log_prepare_file(fixture.log), FST_OK);
    size_t bytes = log_body_bytes_max(fixture.log);
    for (uint32_t g = 0; g < 4; g++) {
        memset(log_append(fixture.log, &header, bytes), 7, bytes);
        assert_int_equal(log_seal(fixture.log, &writes[g]), g < 3);
    }
    assert_false(log_is_stuck(fixture.log));
    for (uint32_t g = 0; g < 3; g++) {
        assert_int_equal(log_complete(fixture.log, 3 - g, 0), FST_OK);
        assert_int_equal(log_seal(fixture.log, &writes[3]), g == 2);
    }
    assert_int_equal(writes[3].offset, IO_BLOCK_BYTES);
    assert_int_equal(log_file_sequence(fixture.log), 2);
    assert_int_equal(log_complete(fixture.log, 4, 0), FST_OK);
    log_fixture_deinit(&fixture);
}

/* What ends behind a failed write is not durable, whatever its own write says. */
static void test_a_failed_write_holds_back_the_groups_behind_it(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct log_write write;
    log_fixture_init(&fixture, 1);
    fixture.options.groups_in_flight_max = 3;
    log_fixture_open(&fixture, 1, 0);
    for (uint32_t g = 0; g < 3; g++) {
        assert_true(log_fixture_append(&fixture));
        assert_true(log_seal(fixture.log, &write));
    }
    assert_int_equal(log_complete(fixture.log, 1, 0), FST_OK);
    assert_int_equal(log_complete(fixture.log, 2, -EIO), FST_IO_ERROR);
    assert_int_equal(log_complete(fixture.log, 3, 0), FST_IO_ERROR);
    assert_int_equal(log_durable_group(fixture.log), 1);
    assert_int_equal(log_check(fixture.log), FST_OK);
    log_fixture_deinit(&fixture);
}

static void test_room_at_the_limit_and_one_past_it(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct log_write write;
    struct log_record_header header = {.type = LOG_RECORD_ROWS};
    log_fixture_init(&fixture, 1);
    log_fixture_open(&fixture, 1, 0);
    size_t body_max = log_body_bytes_max(fixture.log);
    assert_int_equal(body_max, FIXTURE_GROUP_BYTES - 64 - 24);
    assert_int_equal(log_room_bytes(fixture.log), body_max);
    assert_null(log_append(fixture.log, &header, body_max + 1));
    uint8_t *body = log_append(fixture.log, &header, body_max);
    assert_non_null(body);
    memset(body, 1, body_max);
    assert_int_equal(log_check(fixture.log), FST_OK);
    assert_int_equal(log_room_bytes(fixture.log), 0);
    assert_null(log_append(fixture.log, &header, 0));
    assert_true(log_seal(fixture.log, &write));
    assert_int_equal(write.bytes, FIXTURE_GROUP_BYTES);
    assert_int_equal(log_complete(fixture.log, write.group, 0), FST_OK);

    /* A rest that takes a record header exactly, then one that does not. */
    body = log_append(fixture.log, &header, body_max - 24);
    assert_non_null(body);
    memset(body, 1, body_max - 24);
    assert_int_equal(log_room_bytes(fixture.log), 0);
    assert_non_null(log_append(fixture.log, &header, 0));
    assert_null(log_append(fixture.log, &header, 0));
    assert_int_equal(log_check(fixture.log), FST_OK);
    log_fixture_deinit(&fixture);
}

/* The shard waits when the current file is full and no other was prepared; it goes on when one
 * is. */
static void test_waits_for_a_file(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct log_write write;
    struct log_record_header header = {.type = LOG_RECORD_ROWS};
    log_fixture_init(&fixture, 1);
    log_fixture_open(&fixture, 1, 0);
    /* 64 KiB less the first block hold three groups of 16 KiB. */
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t *body = log_append(fixture.log, &header, log_body_bytes_max(fixture.log));
        memset(body, 7, log_body_bytes_max(fixture.log));
        assert_false(log_is_stuck(fixture.log));
        assert_int_equal(log_seal(fixture.log, &write), i < 3);
        if (i == 3) break;
        assert_int_equal(log_complete(fixture.log, write.group, 0), FST_OK);
        log_release(fixture.log);
    }
    assert_true(log_is_stuck(fixture.log));
    assert_false(log_seal(fixture.log, &write));
    assert_int_equal(log_room_bytes(fixture.log), 0);
    assert_int_equal(log_check(fixture.log), FST_OK);

    io_sim_limit(fixture.sim, io_sim_used_bytes(fixture.sim) + FIXTURE_FILE_BYTES / 2);
    assert_int_equal(log_prepare_file(fixture.log), FST_DISK_FULL);
    assert_int_equal(files_count(&fixture), 1);
    assert_true(log_is_stuck(fixture.log));
    io_sim_limit(fixture.sim, UINT64_MAX);
    assert_int_equal(log_prepare_file(fixture.log), FST_OK);
    assert_int_equal(log_prepare_file(fixture.log), FST_OK);
    assert_int_equal(files_count(&fixture), 2);
    assert_false(log_is_stuck(fixture.log));
    assert_true(log_seal(fixture.log, &write));
    assert_int_equal(write.offset, IO_BLOCK_BYTES);
    assert_int_equal(write.group, 4);
    assert_int_equal(log_file_sequence(fixture.log), 2);
    assert_int_equal(log_complete(fixture.log, write.group, 0), FST_OK);
    log_fixture_deinit(&fixture);
}

/* The first file has a size of its own; all are read back. */
static void test_a_first_file_of_another_size(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct log_fixture_found found;
    struct log_reader_options options = {0};
    char path[FIXTURE_PATH_BYTES];
    size_t bytes;
    log_fixture_init(&fixture, 1);
    fixture.options.first_file_bytes = IO_BLOCK_BYTES + FIXTURE_GROUP_BYTES;
    log_fixture_open(&fixture, 1, 0);
    log_fixture_write_groups(&fixture, 12, 20);
    assert_true(log_file_sequence(fixture.log) > 2);
    assert_int_equal(log_check(fixture.log), FST_OK);
    for (uint32_t sequence = 1; sequence <= 2; sequence++) {
        log_fixture_path(1, 0, sequence, path);
        free(log_fixture_get_file(&fixture, path, &bytes));
        assert_int_equal(bytes, sequence == 1 ? fixture.options.first_file_bytes
                                              : (uint64_t)FIXTURE_FILE_BYTES);
    }
    assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_OK);
    assert_int_equal(found.next, fixture.appended + 1);
    assert_false(found.is_wrong);
    log_fixture_deinit(&fixture);
}

/* Every call of open fails once: a status, nothing left behind, and the next attempt works. */
static void test_open_fails_at_each_call(void **state) {
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct log_fixture fixture;
        struct fst_error error = {0};
        log_fixture_init(&fixture, nth);
        fixture.options.epoch = 1;
        fixture.options.groups_in_flight_max = 3;
        uint64_t before = io_sim_calls(fixture.sim, IO_SIM_ANY);
        io_sim_fail(fixture.sim, IO_SIM_ANY, nth, nth % 2 ? EIO : ENOSPC);
        enum fst_status status =
            log_open(&fixture.log, fixture.io, FIXTURE_DIR, &fixture.options, &error);
        uint64_t calls = io_sim_calls(fixture.sim, IO_SIM_ANY) - before;
        io_sim_fail(fixture.sim, IO_SIM_ANY, 0, EIO);
        if (calls < nth) {
            assert_int_equal(status, FST_OK);
            log_fixture_deinit(&fixture);
            assert_true(nth > 8);
            return;
        }
        assert_int_equal(status, nth % 2 ? FST_IO_ERROR : FST_DISK_FULL);
        assert_int_equal(error.status, status);
        assert_null(fixture.log);
        assert_int_equal(files_count(&fixture), 0);
        assert_int_equal(fixture.io->ops->sync_dir(fixture.io, FIXTURE_DIR), 0);
        assert_int_equal(io_sim_used_bytes(fixture.sim), 0); /* And nobody has it open. */
        log_fixture_open(&fixture, 1, 0);
        log_fixture_deinit(&fixture);
    }
}

/* The same for the background thread's part; even a partial file that cannot be removed is got
 * over. */
static void test_prepare_fails_at_each_call(void **state) {
    (void)state;
    for (uint64_t nth = 1; nth < 40; nth++) {
        struct log_fixture fixture;
        log_fixture_init(&fixture, nth);
        fixture.options.groups_in_flight_max = 3;
        log_fixture_open(&fixture, 1, 0);
        if (nth % 2)
            io_sim_fail(fixture.sim, IO_SIM_ANY, (nth + 1) / 2, EIO);
        else
            io_sim_fail_from(fixture.sim, IO_SIM_ANY, nth / 2, ENOSPC);
        uint64_t before = io_sim_calls(fixture.sim, IO_SIM_ANY);
        enum fst_status status = log_prepare_file(fixture.log);
        bool is_hit = io_sim_calls(fixture.sim, IO_SIM_ANY) - before >= (nth + 1) / 2;
        /* The first call removes what an earlier attempt left; its failure does not matter. */
        if (is_hit && nth > 2) {
            assert_int_equal(status, nth % 2 ? FST_IO_ERROR : FST_DISK_FULL);
        }
        io_sim_fail(fixture.sim, IO_SIM_ANY, 0, EIO);
        assert_int_equal(log_prepare_file(fixture.log), FST_OK);
        assert_int_equal(files_count(&fixture), 2);
        log_fixture_write_groups(&fixture, 30, 6);
        assert_true(log_file_sequence(fixture.log) > 1);
        log_fixture_deinit(&fixture);
    }
}

static void test_a_failed_write_is_final(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct log_write write;
    struct log_record_header header = {.type = LOG_RECORD_ROWS};
    log_fixture_init(&fixture, 1);
    log_fixture_open(&fixture, 1, 0);
    log_fixture_write_groups(&fixture, 2, 3);
    log_release(fixture.log);
    assert_true(log_fixture_append(&fixture));
    assert_true(log_seal(fixture.log, &write));
    assert_true(log_fixture_append(&fixture));
    assert_int_equal(log_complete(fixture.log, write.group, -EIO), FST_IO_ERROR);
    assert_int_equal(log_durable_group(fixture.log), 2);
    assert_null(log_append(fixture.log, &header, 0));
    assert_int_equal(log_room_bytes(fixture.log), 0);
    assert_false(log_seal(fixture.log, &write));
    assert_int_equal(log_check(fixture.log), FST_OK);
    log_fixture_deinit(&fixture);
}

/* A group that is written is there after a power cut, with fdatasync once it is synced. Without the
 * sync it is lost with some seeds. */
static void test_when_a_group_is_durable(void **state) {
    (void)state;
    for (int method = LOG_SYNC_DSYNC; method <= LOG_SYNC_FDATASYNC; method++) {
        uint32_t lost[2] = {0};
        for (uint64_t i = 0; i < 40; i++) {
            struct log_fixture fixture;
            struct log_fixture_found found;
            struct log_reader_options options = {0};
            struct log_write write;
            bool is_synced = i % 2 == 1;
            log_fixture_init(&fixture, i);
            fixture.options.sync_method = (enum log_sync_method)method;
            log_fixture_open(&fixture, 1, 0);
            assert_true(log_fixture_append(&fixture));
            assert_true(log_seal(fixture.log, &write));
            assert_int_equal(write.is_dsync, method == LOG_SYNC_DSYNC);
            struct io *io = fixture.io;
            assert_int_equal(io_write_full(io, write.file, write.data, write.bytes, write.offset),
                             0);
            if (is_synced) assert_int_equal(io->ops->sync(io, write.file), 0);
            io_sim_crash(fixture.sim);
            assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_OK);
            lost[is_synced] += found.next == 1;
            log_fixture_deinit(&fixture);
        }
        assert_int_equal(lost[true], 0);
        assert_int_equal(lost[false] > 0, method == LOG_SYNC_FDATASYNC);
    }
}

/* Three groups are written, then the sync of the second one loses bytes of all of them. The syncs
 * of the others must not say that all is well, in whatever order they come. */
static void test_a_failed_sync_is_told_to_every_group(void **state) {
    static const uint32_t orders[][3] = {{1, 0, 2}, {0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct log_fixture fixture;
        struct log_write writes[3];
        bool is_lost = false;
        log_fixture_init(&fixture, i);
        fixture.options.groups_in_flight_max = 3;
        fixture.options.sync_method = LOG_SYNC_FDATASYNC;
        log_fixture_open(&fixture, 1, 0);
        struct io *io = fixture.io;
        for (int g = 0; g < 3; g++) {
            assert_true(log_fixture_append(&fixture));
            assert_true(log_seal(fixture.log, &writes[g]));
            const struct log_write *write = &writes[g];
            assert_int_equal(
                io_write_full(io, write->file, write->data, write->bytes, write->offset), 0);
        }
        for (int n = 0; n < 3; n++) {
            uint32_t g = orders[i][n];
            if (g == 1) io_sim_fail(fixture.sim, IO_SIM_SYNC, 1, EIO);
            is_lost |= g == 1;
            assert_int_equal(io->ops->sync(io, writes[g].file), is_lost ? -EIO : 0);
        }
        log_fixture_deinit(&fixture);
    }
}

static void test_an_epoch_is_never_opened_twice(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct fst_error error;
    struct log *again;
    log_fixture_init(&fixture, 1);
    log_fixture_open(&fixture, 3, 1);
    assert_int_equal(log_open(&again, fixture.io, FIXTURE_DIR, &fixture.options, &error),
                     FST_EXISTS);
    assert_non_null(strstr(error.text, "00000003-001-000001.log"));
    assert_int_equal(files_count(&fixture), 1);
    log_fixture_deinit(&fixture);
}

static const struct name_case {
    const char *name;
    bool is_log;
} name_cases[] = {
    {"00000001-000-000001.log", true},   {"ffffffff-127-999999.log", true},
    {"00000001-000-1000000.log", true},  {"00000001-000-000000.log", false},
    {"00000001-000-000001.log2", false}, {"1-0-1.log", false},
    {"00000001-000-000001", false},      {"0000000G-000-000001.log", false},
    {"0000000A-000-000001.log", false},  {"", false},
    {"00000001-000--00001.log", false},  {" 0000001-000-000001.log", false},
};

static void test_names(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof name_cases / sizeof name_cases[0]; i++) {
        struct log_file_id id;
        print_message("  \"%s\"\n", name_cases[i].name);
        assert_int_equal(log_file_parse_name(name_cases[i].name, &id), name_cases[i].is_log);
    }
}

/* ---- the background thread ---- */

struct preparer {
    struct log *log;
    atomic_bool is_done;
};

static void *prepare_files(void *context) {
    struct preparer *preparer = context;
    while (!atomic_load(&preparer->is_done)) {
        if (log_prepare_file(preparer->log) != FST_OK) return context;
        sched_yield();
    }
    return NULL;
}

static void test_files_are_prepared_beside_the_shard(void **state) {
    (void)state;
    struct log_fixture fixture;
    log_fixture_init(&fixture, 1);
    log_fixture_open(&fixture, 1, 0);
    struct preparer preparer = {.log = fixture.log};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, prepare_files, &preparer), 0);
    for (uint32_t group = 1; group <= 300; group++) {
        struct log_write write;
        while (fixture.appended < group * 3) assert_true(log_fixture_append(&fixture));
        while (!log_seal(fixture.log, &write)) sched_yield();
        assert_int_equal(
            io_write_full(fixture.io, write.file, write.data, write.bytes, write.offset), 0);
        assert_int_equal(log_complete(fixture.log, write.group, 0), FST_OK);
        log_release(fixture.log);
    }
    atomic_store(&preparer.is_done, true);
    void *problem;
    assert_int_equal(pthread_join(thread, &problem), 0);
    assert_null(problem);
    assert_true(log_file_sequence(fixture.log) > 10);
    struct log_reader_options options = {0};
    struct log_fixture_found found;
    assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_OK);
    assert_int_equal(found.next, fixture.appended + 1);
    assert_false(found.is_wrong);
    log_fixture_deinit(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completed_records_are_walked_in_order),
        cmocka_unit_test(test_one_group_is_in_flight),
        cmocka_unit_test(test_groups_in_flight_end_in_any_order),
        cmocka_unit_test(test_groups_in_flight_are_in_one_file),
        cmocka_unit_test(test_a_failed_write_holds_back_the_groups_behind_it),
        cmocka_unit_test(test_room_at_the_limit_and_one_past_it),
        cmocka_unit_test(test_waits_for_a_file),
        cmocka_unit_test(test_a_first_file_of_another_size),
        cmocka_unit_test(test_open_fails_at_each_call),
        cmocka_unit_test(test_prepare_fails_at_each_call),
        cmocka_unit_test(test_a_failed_write_is_final),
        cmocka_unit_test(test_when_a_group_is_durable),
        cmocka_unit_test(test_a_failed_sync_is_told_to_every_group),
        cmocka_unit_test(test_an_epoch_is_never_opened_twice),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_files_are_prepared_beside_the_shard),
    };
    return cmocka_run_group_tests_name("log/log", tests, NULL, NULL);
}
