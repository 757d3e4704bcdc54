/* Several groups are in flight when the power is cut. Every combination of what became of them
 * (nothing, a part, all) must read as the beginning of the log up to the first group that is not
 * whole; and the same bytes are damage once that group was known to be durable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "log_fixture.h"
#include "storage/log/log_trim.h"

enum { BEFORE = 5, FLYING = 3, GROUP_RECORDS = 4, FATES = 3 };
enum fate { LOST, TORN, WHOLE };

struct scene {
    struct log_fixture fixture;
    io_file file; /* the log's file once more, for any bytes */
    struct log_write writes[FLYING];
    uint8_t *bytes[FLYING]; /* of the groups in flight */
};

static void scene_init(struct scene *scene, uint32_t groups_in_flight_max) {
    log_fixture_init(&scene->fixture, 1);
    scene->fixture.options.groups_in_flight_max = groups_in_flight_max;
    log_fixture_open(&scene->fixture, 1, 0);
    log_fixture_write_groups(&scene->fixture, BEFORE, GROUP_RECORDS);
    log_release(scene->fixture.log);
    char path[FIXTURE_PATH_BYTES];
    struct io *io = scene->fixture.io;
    log_fixture_path(1, 0, 1, path);
    assert_int_equal(io->ops->open(io, path, IO_OPEN_WRITE, &scene->file), 0);
    for (uint32_t g = 0; g < FLYING; g++) {
        for (int r = 0; r < GROUP_RECORDS; r++) assert_true(log_fixture_append(&scene->fixture));
        assert_true(log_seal(scene->fixture.log, &scene->writes[g]));
        scene->bytes[g] = malloc(scene->writes[g].bytes);
        memcpy(scene->bytes[g], scene->writes[g].data, scene->writes[g].bytes);
    }
}

static void scene_deinit(struct scene *scene) {
    for (uint32_t g = 0; g < FLYING; g++) free(scene->bytes[g]);
    struct io *io = scene->fixture.io;
    assert_int_equal(io->ops->close(io, scene->file), 0);
    log_fixture_deinit(&scene->fixture);
}

static void group_put(struct scene *scene, uint32_t g, enum fate fate) {
    const struct log_write *write = &scene->writes[g];
    size_t bytes = fate == WHOLE ? write->bytes : fate == TORN ? 512 : 0;
    struct io *io = scene->fixture.io;
    if (bytes == 0) return;
    assert_int_equal(io_write_full(io, scene->file, scene->bytes[g], bytes, write->offset), 0);
}

/* What a reading must find: groups are lost from the first one on that is not whole. */
static void expect_read(struct scene *scene, uint32_t whole_count, uint32_t torn_count) {
    struct log_reader_options options = {0};
    struct log_fixture_found found;
    assert_int_equal(log_fixture_read(&scene->fixture, &options, 1, &found), FST_OK);
    assert_false(found.is_wrong);
    assert_int_equal(found.next, (BEFORE + whole_count) * GROUP_RECORDS + 1);
    assert_int_equal(found.result.torn_count, torn_count);
    assert_int_equal(found.last_count, 1);
    assert_int_equal(found.last[0].group, BEFORE + whole_count);
}

static void trim(struct scene *scene, uint32_t whole_count) {
    struct fst_error error;
    const struct log_position end = {.epoch = 1, .group = BEFORE + whole_count};
    assert_int_equal(
        log_trim(scene->fixture.io, FIXTURE_DIR, scene->fixture.options.store_id, &end, 1, &error),
        FST_OK);
}

static void test_every_fate_of_groups_in_flight(void **state) {
    (void)state;
    for (uint32_t combination = 0; combination < FATES * FATES * FATES; combination++) {
        const enum fate fates[FLYING] = {combination % FATES, combination / FATES % FATES,
                                         combination / FATES / FATES};
        struct scene scene;
        uint32_t whole_count = 0;
        bool is_set = false;
        scene_init(&scene, FLYING);
        for (uint32_t g = 0; g < FLYING; g++) group_put(&scene, g, fates[g]);
        while (whole_count < FLYING && fates[whole_count] == WHOLE) whole_count += 1;
        for (uint32_t g = whole_count; g < FLYING; g++) is_set = is_set || fates[g] != LOST;
        expect_read(&scene, whole_count, is_set);
        trim(&scene, whole_count);
        expect_read(&scene, whole_count, 0);
        scene_deinit(&scene);
    }
}

static void expect_damage(struct scene *scene, const char *text) {
    struct log_reader_options options = {0};
    struct log_fixture_found found;
    assert_int_equal(log_fixture_read(&scene->fixture, &options, 1, &found), FST_CORRUPT);
    if (!strstr(found.error.text, text)) print_error("%s\n", found.error.text);
    assert_non_null(strstr(found.error.text, text));
    assert_false(found.is_wrong);
}

/* The first group ended, so the group sealed next knows that it is durable: it cannot be torn. */
static void test_a_group_known_to_be_durable_is_not_torn(void **state) {
    (void)state;
    for (enum fate fate = LOST; fate <= TORN; fate++) {
        struct scene scene;
        struct log_write next;
        scene_init(&scene, FLYING + 1);
        struct log_fixture *fixture = &scene.fixture;
        group_put(&scene, 0, fate);
        group_put(&scene, 1, WHOLE);
        group_put(&scene, 2, WHOLE);
        expect_read(&scene, 0, 1);
        assert_int_equal(log_complete(fixture->log, BEFORE + 1, 0), FST_OK);
        log_release(fixture->log);
        assert_true(log_fixture_append(fixture));
        assert_true(log_seal(fixture->log, &next));
        assert_int_equal(io_write_full(fixture->io, next.file, next.data, next.bytes, next.offset),
                         0);
        expect_damage(&scene, "group 9 is whole, but the one before it is damaged");
        scene_deinit(&scene);
    }
}

/* More groups behind the torn one than the file allows in flight. */
static void test_only_as_many_as_the_file_says(void **state) {
    (void)state;
    for (uint32_t allowed = 1; allowed <= FLYING; allowed++) {
        struct scene scene;
        uint8_t block[IO_BLOCK_BYTES];
        scene_init(&scene, FLYING);
        struct log_fixture *fixture = &scene.fixture;
        struct log_file_id id = {.epoch = 1, .sequence = 1};
        memcpy(id.store_id, fixture->options.store_id, STORE_ID_BYTES);
        const struct log_file_header sizes = {.file_bytes = FIXTURE_FILE_BYTES,
                                              .group_bytes_max = FIXTURE_GROUP_BYTES,
                                              .groups_in_flight_max = allowed % FLYING};
        log_file_encode(&id, &sizes, block);
        if (allowed < FLYING) {
            assert_int_equal(io_write_full(fixture->io, scene.file, block, sizeof block, 0), 0);
        }
        group_put(&scene, 2, WHOLE);
        if (allowed == FLYING)
            expect_read(&scene, 0, 1);
        else
            expect_damage(&scene, "group 8 is whole, but the one before it is damaged");
        scene_deinit(&scene);
    }
}

static void test_a_moved_group_in_the_tail_is_damage(void **state) {
    (void)state;
    struct scene scene;
    scene_init(&scene, FLYING);
    struct io *io = scene.fixture.io;
    uint64_t offset = scene.writes[2].offset;
    assert_int_equal(io_write_full(io, scene.file, scene.bytes[1], scene.writes[1].bytes, offset),
                     0);
    expect_damage(&scene, "group 7 was moved here");
    scene_deinit(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_fate_of_groups_in_flight),
        cmocka_unit_test(test_a_group_known_to_be_durable_is_not_torn),
        cmocka_unit_test(test_only_as_many_as_the_file_says),
        cmocka_unit_test(test_a_moved_group_in_the_tail_is_damage),
    };
    return cmocka_run_group_tests_name("log/log_tail", tests, NULL, NULL);
}
