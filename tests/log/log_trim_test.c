/* Shows that a log that was ended reads the same, takes no more room than its groups, and has no
 * tail left that could be taken for torn: any flipped bit in it is damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "log_fixture.h"
#include "storage/log/log_trim.h"

static enum fst_status trim(struct log_fixture *fixture, const struct log_fixture_found *found,
                            struct fst_error *error) {
    return log_trim(fixture->io, FIXTURE_DIR, fixture->options.store_id, found->last,
                    found->last_count, error);
}

static void read_all(struct log_fixture *fixture, struct log_fixture_found *found) {
    struct log_reader_options options = {0};
    assert_int_equal(log_fixture_read(fixture, &options, 1, found), FST_OK);
    assert_false(found->is_wrong);
    assert_int_equal(found->next, fixture->appended + 1);
}

static int add_name(void *context, const char *name) {
    char *names = context;
    assert_true(strlen(names) + strlen(name) + 2 < 1024);
    strcat(strcat(names, name), " ");
    return 0;
}

/* Logs of several files, of one, of none but a prepared one, and a torn tail. */
static void scene_init(struct log_fixture *fixture) {
    log_fixture_init(fixture, 1);
    log_fixture_open(fixture, 1, 0);
    log_fixture_write_groups(fixture, 30, 5);
    assert_int_equal(log_file_sequence(fixture->log), 3);
    log_fixture_open(fixture, 1, 1);
    log_fixture_write_groups(fixture, 2, 5);
    log_fixture_open(fixture, 2, 0);
    assert_int_equal(log_prepare_file(fixture->log), FST_OK);
    log_fixture_open(fixture, 2, 1);
    log_fixture_write_groups(fixture, 1, 5);
    uint64_t durable = fixture->appended;
    while (log_fixture_append(fixture)) continue;
    struct log_write write;
    log_release(fixture->log);
    assert_true(log_seal(fixture->log, &write));
    assert_int_equal(io_write_full(fixture->io, write.file, write.data, 4096, write.offset), 0);
    fixture->appended = durable;
    log_close(fixture->log);
    fixture->log = NULL;
}

static void test_the_same_is_read_from_less_room(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct log_fixture_found before, after;
    struct fst_error error;
    char names[1024] = "";
    scene_init(&fixture);
    read_all(&fixture, &before);
    assert_int_equal(before.result.torn_count, 1);
    uint64_t used_bytes = io_sim_used_bytes(fixture.sim);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(trim(&fixture, &before, &error), FST_OK);
        read_all(&fixture, &after);
        assert_int_equal(after.result.torn_count, 0);
        assert_int_equal(after.result.groups, before.result.groups);
        assert_int_equal(after.last_count, 3); /* Epoch 2, shard 0 had nothing. */
        assert_int_equal(after.last[0].group, 30);
        assert_int_equal(after.last[2].group, 1);
        /* Groups, first blocks, and the rests of the two files that have a successor. */
        uint64_t needed_bytes = before.result.bytes + 5 * IO_BLOCK_BYTES + 2 * FIXTURE_GROUP_BYTES;
        assert_true(io_sim_used_bytes(fixture.sim) <= needed_bytes);
        assert_true(io_sim_used_bytes(fixture.sim) < used_bytes / 2);
    }
    assert_int_equal(fixture.io->ops->list(fixture.io, FIXTURE_DIR, add_name, names), 0);
    assert_string_equal(names, "00000001-000-000001.log 00000001-000-000002.log "
                               "00000001-000-000003.log 00000001-001-000001.log "
                               "00000002-001-000001.log ");
    log_fixture_deinit(&fixture);
}

/* Without knowing anything from elsewhere: what is cut, flipped or missing at the end is damage
 * now. */
static void test_the_end_is_certain(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct log_fixture_found found;
    struct log_reader_options options = {0};
    struct fst_error error;
    char path[FIXTURE_PATH_BYTES];
    scene_init(&fixture);
    read_all(&fixture, &found);
    assert_int_equal(trim(&fixture, &found, &error), FST_OK);
    log_fixture_path(1, 1, 1, path);
    size_t bytes;
    uint8_t *data = log_fixture_get_file(&fixture, path, &bytes);
    for (size_t at = 0; at < bytes; at += 37) {
        assert_int_equal(io_sim_flip(fixture.sim, path, at, at % 8), 0);
        assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_CORRUPT);
        assert_non_null(strstr(found.error.text, "00000001-001-000001.log"));
        assert_int_equal(io_sim_flip(fixture.sim, path, at, at % 8), 0);
    }
    log_fixture_put_file(&fixture, path, data, bytes - IO_BLOCK_BYTES);
    assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_CORRUPT);
    log_fixture_put_file(&fixture, path, data, bytes);
    read_all(&fixture, &found);

    log_fixture_path(1, 1, 2, path);
    log_fixture_put_file(&fixture, path, NULL, 0);
    assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_CORRUPT);
    assert_non_null(strstr(found.error.text, "ended this log, but a file follows"));
    free(data);
    log_fixture_deinit(&fixture);
}

/* Ends that are not those of the logs remove nothing that was acknowledged. */
static void test_wrong_ends_are_refused(void **state) {
    (void)state;
    for (int wrong = 0; wrong < 40; wrong++) {
        struct log_fixture fixture;
        struct log_fixture_found found;
        struct fst_error error;
        scene_init(&fixture);
        read_all(&fixture, &found);
        bool is_right = wrong == 30;
        found.last[0].group = (uint64_t)wrong;
        assert_int_equal(trim(&fixture, &found, &error), is_right ? FST_OK : FST_CORRUPT);
        if (!is_right) assert_non_null(strstr(error.text, "00000001-000-00000"));
        /* Only the torn tail and the empty files may be gone. */
        read_all(&fixture, &found);
        log_fixture_deinit(&fixture);
    }
}

static void test_logs_that_are_not_named_are_left_alone(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct log_fixture_found found;
    struct fst_error error;
    scene_init(&fixture);
    uint64_t used_bytes = io_sim_used_bytes(fixture.sim);
    assert_int_equal(log_trim(fixture.io, FIXTURE_DIR, fixture.options.store_id, NULL, 0, &error),
                     FST_OK);
    assert_int_equal(io_sim_used_bytes(fixture.sim), used_bytes);
    read_all(&fixture, &found);
    log_fixture_deinit(&fixture);
}

/* Every call fails once, then the power is cut: the same is read, and the next attempt succeeds. */
static void test_cut_short_at_each_call(void **state) {
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct log_fixture fixture;
        struct log_fixture_found found;
        struct fst_error error;
        scene_init(&fixture);
        read_all(&fixture, &found);
        uint64_t before = io_sim_calls(fixture.sim, IO_SIM_ANY);
        io_sim_fail(fixture.sim, IO_SIM_ANY, nth, EIO);
        enum fst_status status = trim(&fixture, &found, &error);
        bool is_over = io_sim_calls(fixture.sim, IO_SIM_ANY) - before < nth;
        io_sim_fail(fixture.sim, IO_SIM_ANY, 0, EIO);
        assert_true(status == FST_OK || status == FST_IO_ERROR);
        if (nth % 2) io_sim_crash(fixture.sim);
        read_all(&fixture, &found);
        assert_int_equal(trim(&fixture, &found, &error), FST_OK);
        read_all(&fixture, &found);
        assert_int_equal(found.result.torn_count, 0);
        log_fixture_deinit(&fixture);
        if (is_over) break;
        assert_true(nth < 200);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_is_read_from_less_room),
        cmocka_unit_test(test_the_end_is_certain),
        cmocka_unit_test(test_wrong_ends_are_refused),
        cmocka_unit_test(test_logs_that_are_not_named_are_left_alone),
        cmocka_unit_test(test_cut_short_at_each_call),
    };
    return cmocka_run_group_tests_name("log/log_trim", tests, NULL, NULL);
}
