/* Damages whole files of a log (lost, cut, renamed, swapped, mixed, stale) and shows for each case
 * whether the reading goes on as if nothing were missing, which is right only when nothing
 * acknowledged is, or names the damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "log_fixture.h"

/*
 * The logs before the damage: epoch 1 with shard 0 (12 groups of 5 records in files 1 to 3, and
 * file 4 prepared) and shard 1 (4 groups), epoch 2 with shard 0 (3 groups).
 */
enum { LONG_GROUPS = 30, GROUP_RECORDS = 5, LONG_RECORDS = LONG_GROUPS * GROUP_RECORDS };

struct scene {
    struct log_fixture fixture;
    uint32_t files;                    /* of epoch 1, shard 0; one more is prepared */
    char paths[8][FIXTURE_PATH_BYTES]; /* of epoch 1, shard 0, from 1 */
    char other[FIXTURE_PATH_BYTES];    /* epoch 1, shard 1 */
    struct log_position durable[4];
    uint32_t durable_count;
    struct log_position done[4];
    uint32_t done_count;
    uint64_t first; /* number of the record that is expected first */
};

static void scene_init(struct scene *scene) {
    *scene = (struct scene){.first = 1};
    log_fixture_init(&scene->fixture, 1);
    log_fixture_open(&scene->fixture, 1, 0);
    log_fixture_write_groups(&scene->fixture, LONG_GROUPS, GROUP_RECORDS);
    scene->files = log_file_sequence(scene->fixture.log);
    assert_true(scene->files >= 3 && scene->files < 7);
    for (uint32_t s = 1; s < 8; s++) log_fixture_path(1, 0, s, scene->paths[s]);
    log_fixture_path(1, 1, 1, scene->other);
    log_fixture_open(&scene->fixture, 1, 1);
    log_fixture_write_groups(&scene->fixture, 4, GROUP_RECORDS);
    log_fixture_open(&scene->fixture, 2, 0);
    log_fixture_write_groups(&scene->fixture, 3, GROUP_RECORDS);
    log_close(scene->fixture.log);
    scene->fixture.log = NULL;
}

static void unlink_path(struct scene *scene, const char *path) {
    assert_int_equal(scene->fixture.io->ops->unlink(scene->fixture.io, path), 0);
}

/* Where group `number` of a file of epoch 1, shard 0 begins (1: the first of the file); 0 if there
 * is none. */
static size_t group_offset(const uint8_t *data, size_t bytes, uint32_t number,
                           struct log_group_header *header_out) {
    size_t at = IO_BLOCK_BYTES;
    for (uint32_t i = 1; at < bytes; i++) {
        memcpy(header_out, data + at, sizeof *header_out);
        if (header_out->magic != LOG_GROUP_MAGIC) return 0;
        if (i == number) return at;
        at += header_out->padded_bytes;
    }
    return 0;
}

static size_t groups_end(const uint8_t *data, size_t bytes, uint32_t *count_out) {
    struct log_group_header header = {0};
    size_t end = IO_BLOCK_BYTES;
    *count_out = 0;
    for (size_t at; (at = group_offset(data, bytes, *count_out + 1, &header)) != 0;) {
        end = at + header.padded_bytes;
        *count_out += 1;
    }
    return end;
}

/* ---- what is done to the scene ---- */

static void nothing(struct scene *scene) {
    (void)scene;
}

static void lose_middle_file(struct scene *scene) {
    unlink_path(scene, scene->paths[2]);
}

static void lose_first_file(struct scene *scene) {
    unlink_path(scene, scene->paths[1]);
}

static void lose_last_written_file(struct scene *scene) {
    unlink_path(scene, scene->paths[scene->files]);
}

static void lose_prepared_file(struct scene *scene) {
    unlink_path(scene, scene->paths[scene->files + 1]);
}

static void lose_last_files_of_known_log(struct scene *scene) {
    unlink_path(scene, scene->paths[scene->files]);
    unlink_path(scene, scene->paths[scene->files + 1]);
    scene->durable[0] = (struct log_position){1, 0, LONG_GROUPS};
    scene->durable_count = 1;
}

static void lose_known_log(struct scene *scene) {
    unlink_path(scene, scene->other);
    char prepared[FIXTURE_PATH_BYTES];
    log_fixture_path(1, 1, 2, prepared);
    (void)scene->fixture.io->ops->unlink(scene->fixture.io, prepared);
    scene->durable[0] = (struct log_position){1, 1, 4};
    scene->durable_count = 1;
}

static void lose_done_log(struct scene *scene) {
    for (uint32_t s = 1; s <= scene->files + 1; s++) unlink_path(scene, scene->paths[s]);
    scene->done[0] = scene->durable[0] = (struct log_position){1, 0, LONG_GROUPS};
    scene->done_count = scene->durable_count = 1;
    scene->first = LONG_RECORDS + 1;
}

static void lose_done_file(struct scene *scene) {
    size_t bytes;
    uint32_t count;
    uint8_t *data = log_fixture_get_file(&scene->fixture, scene->paths[1], &bytes);
    (void)groups_end(data, bytes, &count);
    free(data);
    unlink_path(scene, scene->paths[1]);
    scene->done[0] = (struct log_position){1, 0, count};
    scene->done_count = 1;
    scene->first = count * GROUP_RECORDS + 1;
}

static void lose_file_not_quite_done(struct scene *scene) {
    lose_done_file(scene);
    scene->done[0].group -= 1;
}

static void cut_file(struct scene *scene) {
    size_t bytes;
    uint8_t *data = log_fixture_get_file(&scene->fixture, scene->paths[1], &bytes);
    log_fixture_put_file(&scene->fixture, scene->paths[1], data, bytes - IO_BLOCK_BYTES);
    free(data);
}

static void cut_last_file_to_a_piece_of_a_block(struct scene *scene) {
    size_t bytes;
    uint8_t *data = log_fixture_get_file(&scene->fixture, scene->paths[scene->files], &bytes);
    log_fixture_put_file(&scene->fixture, scene->paths[scene->files], data, 5000);
    free(data);
}

static void grow_file(struct scene *scene) {
    size_t bytes;
    uint8_t *data = log_fixture_get_file(&scene->fixture, scene->paths[1], &bytes);
    data = realloc(data, bytes + IO_BLOCK_BYTES);
    memset(data + bytes, 0, IO_BLOCK_BYTES);
    log_fixture_put_file(&scene->fixture, scene->paths[1], data, bytes + IO_BLOCK_BYTES);
    free(data);
}

static void rename_file(struct scene *scene) {
    char path[FIXTURE_PATH_BYTES];
    log_fixture_path(0, 9, 1, path);
    struct io *io = scene->fixture.io;
    assert_int_equal(io->ops->rename(io, scene->other, path), 0);
}

static void swap_files(struct scene *scene) {
    size_t first_bytes, second_bytes;
    uint8_t *first = log_fixture_get_file(&scene->fixture, scene->paths[1], &first_bytes);
    uint8_t *second = log_fixture_get_file(&scene->fixture, scene->paths[2], &second_bytes);
    log_fixture_put_file(&scene->fixture, scene->paths[1], second, second_bytes);
    log_fixture_put_file(&scene->fixture, scene->paths[2], first, first_bytes);
    free(first);
    free(second);
}

static void other_store(struct scene *scene) {
    scene->fixture.options.store_id[3] ^= 1;
}

static void other_format(struct scene *scene) {
    size_t bytes;
    uint8_t *data = log_fixture_get_file(&scene->fixture, scene->other, &bytes);
    store_u32(data + 16, LOG_FORMAT + 1);
    store_u64(data + 8, hash_checksum(data + 16, IO_BLOCK_BYTES - 16, LOG_FILE_MAGIC));
    log_fixture_put_file(&scene->fixture, scene->other, data, bytes);
    free(data);
}

/* What a crash in log_prepare_file may leave: any length, no first block yet. */
static void unfinished_prepared_file(struct scene *scene) {
    uint8_t *zeros = calloc(1, 20000);
    log_fixture_put_file(&scene->fixture, scene->paths[scene->files + 1], zeros, 20000);
    free(zeros);
}

static void empty_prepared_file(struct scene *scene) {
    log_fixture_put_file(&scene->fixture, scene->paths[scene->files + 1], NULL, 0);
}

static void unfinished_file_in_the_middle(struct scene *scene) {
    uint8_t *zeros = calloc(1, FIXTURE_FILE_BYTES);
    log_fixture_put_file(&scene->fixture, scene->paths[2], zeros, FIXTURE_FILE_BYTES);
    free(zeros);
}

static void damage_first_block_of_last_file(struct scene *scene) {
    unlink_path(scene, scene->paths[scene->files + 1]);
    assert_int_equal(io_sim_flip(scene->fixture.sim, scene->paths[scene->files], 20, 1), 0);
}

/* Zeroes `bytes` bytes at the start of a group. */
static void group_zero(struct scene *scene, uint32_t file, uint32_t number, size_t bytes) {
    struct log_group_header header = {0};
    size_t file_bytes;
    uint8_t *data = log_fixture_get_file(&scene->fixture, scene->paths[file], &file_bytes);
    size_t at = group_offset(data, file_bytes, number, &header);
    assert_true(at != 0);
    memset(data + at, 0, bytes == 0 ? header.padded_bytes : bytes);
    log_fixture_put_file(&scene->fixture, scene->paths[file], data, file_bytes);
    free(data);
}

static void zero_sector_in_the_middle(struct scene *scene) {
    group_zero(scene, 1, 2, 512);
}

static void zero_group_in_the_middle(struct scene *scene) {
    group_zero(scene, 1, 2, 0);
}

static uint32_t last_group(struct scene *scene, uint32_t file) {
    size_t bytes;
    uint32_t count;
    uint8_t *data = log_fixture_get_file(&scene->fixture, scene->paths[file], &bytes);
    (void)groups_end(data, bytes, &count);
    free(data);
    return count;
}

static void zero_last_group_of_a_full_file(struct scene *scene) {
    group_zero(scene, 1, last_group(scene, 1), 0);
}

static void tear_last_group_of_a_full_file(struct scene *scene) {
    group_zero(scene, 1, last_group(scene, 1), 512);
}

static void zero_all_groups_of_a_middle_file(struct scene *scene) {
    size_t bytes;
    uint8_t *data = log_fixture_get_file(&scene->fixture, scene->paths[2], &bytes);
    memset(data + IO_BLOCK_BYTES, 0, bytes - IO_BLOCK_BYTES);
    log_fixture_put_file(&scene->fixture, scene->paths[2], data, bytes);
    free(data);
}

/* Swaps groups a and b of a file if they have the same size; finds a pair from the end
 * otherwise. */
static void swap_groups(struct scene *scene, uint32_t file, bool is_at_end) {
    struct log_group_header a_header = {0}, b_header = {0};
    size_t bytes;
    uint32_t count;
    uint8_t *data = log_fixture_get_file(&scene->fixture, scene->paths[file], &bytes);
    (void)groups_end(data, bytes, &count);
    uint32_t a = is_at_end ? count - 1 : 1;
    size_t a_at = group_offset(data, bytes, a, &a_header);
    size_t b_at = group_offset(data, bytes, a + 1, &b_header);
    assert_true(a_at != 0 && b_at != 0);
    size_t swapped_bytes = a_header.padded_bytes < b_header.padded_bytes ? a_header.padded_bytes
                                                                         : b_header.padded_bytes;
    for (size_t i = 0; i < swapped_bytes; i++) {
        uint8_t byte = data[a_at + i];
        data[a_at + i] = data[b_at + i];
        data[b_at + i] = byte;
    }
    log_fixture_put_file(&scene->fixture, scene->paths[file], data, bytes);
    free(data);
}

static void swap_first_groups(struct scene *scene) {
    swap_groups(scene, 1, false);
}

static void swap_last_groups(struct scene *scene) {
    swap_groups(scene, scene->files, true);
}

/* Copies the first block of a group of `from` behind the last group of the last file. */
static void append_block(struct scene *scene, const char *from, size_t gap_bytes) {
    struct log_group_header header = {0};
    size_t bytes, from_bytes;
    uint32_t count;
    uint8_t *data = log_fixture_get_file(&scene->fixture, scene->paths[scene->files], &bytes);
    uint8_t *source = log_fixture_get_file(&scene->fixture, from, &from_bytes);
    size_t end = groups_end(data, bytes, &count) + gap_bytes;
    size_t at = group_offset(source, from_bytes, 1, &header);
    assert_true(at != 0 && end + IO_BLOCK_BYTES <= bytes);
    memcpy(data + end, source + at, IO_BLOCK_BYTES);
    log_fixture_put_file(&scene->fixture, scene->paths[scene->files], data, bytes);
    free(data);
    free(source);
}

static void stale_block_of_this_file(struct scene *scene) {
    append_block(scene, scene->paths[scene->files], 0);
}

static void stale_block_of_this_file_further_on(struct scene *scene) {
    append_block(scene, scene->paths[scene->files], IO_BLOCK_BYTES);
}

static void stale_block_of_another_file(struct scene *scene) {
    append_block(scene, scene->paths[1], 0);
}

static void stale_block_of_another_log(struct scene *scene) {
    append_block(scene, scene->other, 0);
}

static void garbage_behind_the_end(struct scene *scene) {
    size_t bytes;
    uint32_t count;
    uint8_t *data = log_fixture_get_file(&scene->fixture, scene->paths[scene->files], &bytes);
    size_t end = groups_end(data, bytes, &count);
    memset(data + end, 0xa5, IO_BLOCK_BYTES);
    log_fixture_put_file(&scene->fixture, scene->paths[scene->files], data, bytes);
    free(data);
}

static void garbage_beyond_one_group(struct scene *scene) {
    size_t bytes;
    uint32_t count;
    uint8_t *data = log_fixture_get_file(&scene->fixture, scene->paths[scene->files], &bytes);
    size_t end = groups_end(data, bytes, &count);
    assert_true(end + FIXTURE_GROUP_BYTES + IO_BLOCK_BYTES <= bytes);
    data[end + FIXTURE_GROUP_BYTES] = 1;
    log_fixture_put_file(&scene->fixture, scene->paths[scene->files], data, bytes);
    free(data);
}

static void garbage_in_the_prepared_file(struct scene *scene) {
    const char *path = scene->paths[scene->files + 1];
    assert_int_equal(io_sim_flip(scene->fixture.sim, path, FIXTURE_FILE_BYTES - 1, 0), 0);
}

static void garbage_behind_a_torn_group(struct scene *scene) {
    garbage_behind_the_end(scene);
    garbage_in_the_prepared_file(scene);
}

/* ---- the cases ---- */

enum outcome { WHOLE, TORN, DAMAGE };

static const struct damage_case {
    const char *name;
    void (*act)(struct scene *scene);
    enum outcome outcome;
    const char *text; /* in the error */
} damage_cases[] = {
    {"nothing", nothing, WHOLE, NULL},
    {"a prepared file is missing", lose_prepared_file, WHOLE, NULL},
    {"making of the prepared file was cut short", unfinished_prepared_file, WHOLE, NULL},
    {"the prepared file is empty", empty_prepared_file, WHOLE, NULL},
    {"a whole log is missing, but done", lose_done_log, WHOLE, NULL},
    {"the first file is missing, but done", lose_done_file, WHOLE, NULL},
    {"garbage behind the end", garbage_behind_the_end, TORN, NULL},
    {"a block of another file behind the end", stale_block_of_another_file, TORN, NULL},
    {"a block of another log behind the end", stale_block_of_another_log, TORN, NULL},

    {"the first file is missing, not quite done", lose_file_not_quite_done, DAMAGE,
     "000002.log: offset 4096: group"},
    {"the first file is missing", lose_first_file, DAMAGE,
     "000002.log: offset 0: the files before"},
    {"a middle file is missing", lose_middle_file, DAMAGE, "expected sequence 2"},
    {"the last written file is missing", lose_last_written_file, DAMAGE, "this one is missing"},
    {"the last files are missing, known", lose_last_files_of_known_log, DAMAGE,
     "group 30 was acknowledged"},
    {"a whole log is missing, known", lose_known_log, DAMAGE, "all files of this log are missing"},
    {"a file is cut", cut_file, DAMAGE, "000001.log: offset 61440: the file is cut short"},
    {"the last file is cut inside a block", cut_last_file_to_a_piece_of_a_block, DAMAGE,
     "offset 5000: the file is cut short"},
    {"a file grew", grow_file, DAMAGE, "grew"},
    {"a file was renamed", rename_file, DAMAGE, "was renamed"},
    {"two files were swapped", swap_files, DAMAGE, "was renamed"},
    {"files of another store", other_store, DAMAGE, "another store"},
    {"a file without a first block in the middle", unfinished_file_in_the_middle, DAMAGE,
     "000002.log: offset 0: the first block fails"},
    {"the first block of the last file is damaged", damage_first_block_of_last_file, DAMAGE,
     "the first block fails its checksum, but bytes are set"},
    {"a sector is lost in the middle", zero_sector_in_the_middle, DAMAGE,
     "is whole, but the one before it is damaged"},
    {"a group is lost in the middle", zero_group_in_the_middle, DAMAGE,
     "is whole, but the one before it is damaged"},
    {"the last group of a full file is lost", zero_last_group_of_a_full_file, DAMAGE,
     "000002.log: offset 4096: expected group"},
    {"the last group of a full file is torn", tear_last_group_of_a_full_file, DAMAGE,
     "000002.log: offset 4096: bytes are set behind group"},
    {"all groups of a middle file are lost", zero_all_groups_of_a_middle_file, DAMAGE,
     "000003.log: offset 4096: expected group"},
    {"the first two groups are swapped", swap_first_groups, DAMAGE, "was moved here"},
    {"the last two groups are swapped", swap_last_groups, DAMAGE, "was moved here"},
    {"a block of this file behind the end", stale_block_of_this_file, DAMAGE, "was moved here"},
    {"a block of this file further on", stale_block_of_this_file_further_on, DAMAGE,
     "was moved here"},
    {"garbage beyond one group", garbage_beyond_one_group, DAMAGE, "beyond the last group"},
    {"garbage in the prepared file", garbage_in_the_prepared_file, DAMAGE, "bytes are set"},
    {"garbage behind a torn group", garbage_behind_a_torn_group, DAMAGE, "bytes are set behind"},
};

static void test_damaged_files(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof damage_cases / sizeof damage_cases[0]; i++) {
        const struct damage_case *c = &damage_cases[i];
        struct scene scene;
        struct log_fixture_found found;
        print_message("  %s\n", c->name);
        scene_init(&scene);
        c->act(&scene);
        struct log_reader_options options = {.done = scene.done,
                                             .done_count = scene.done_count,
                                             .durable = scene.durable,
                                             .durable_count = scene.durable_count};
        enum fst_status status = log_fixture_read(&scene.fixture, &options, scene.first, &found);
        assert_int_equal(status, c->outcome == DAMAGE ? FST_CORRUPT : FST_OK);
        assert_false(found.is_wrong);
        if (c->outcome == DAMAGE) {
            if (!strstr(found.error.text, c->text)) print_error("%s\n", found.error.text);
            assert_non_null(strstr(found.error.text, c->text));
            assert_non_null(strstr(found.error.text, "log/0000000"));
        } else {
            assert_int_equal(found.next, scene.fixture.appended + 1);
            assert_int_equal(found.result.torn_count, c->outcome == TORN ? 1 : 0);
        }
        log_fixture_deinit(&scene.fixture);
    }
}

static void test_another_format_is_not_read(void **state) {
    (void)state;
    struct scene scene;
    struct log_fixture_found found;
    struct log_reader_options options = {0};
    scene_init(&scene);
    other_format(&scene);
    assert_int_equal(log_fixture_read(&scene.fixture, &options, 1, &found), FST_UNSUPPORTED);
    assert_non_null(strstr(found.error.text, "00000001-001-000001.log"));
    log_fixture_deinit(&scene.fixture);
}

/* Losing the last files of a log that nobody knows about cannot be seen; the records before are
 * right. */
static void test_unknown_last_files_may_be_missing(void **state) {
    (void)state;
    struct scene scene;
    struct log_fixture_found found;
    struct log_reader_options options = {0};
    scene_init(&scene);
    lose_last_files_of_known_log(&scene);
    enum fst_status status = log_fixture_read(&scene.fixture, &options, 1, &found);
    assert_int_equal(status, FST_OK);
    assert_true(found.last[0].group < LONG_GROUPS);
    assert_int_equal(found.result.torn_count, 0);
    log_fixture_deinit(&scene.fixture);
}

/* Every call of a reading fails once: the status comes out, and nothing wrong was visited. */
static void test_reading_fails_at_each_call(void **state) {
    (void)state;
    struct scene scene;
    scene_init(&scene);
    for (uint64_t nth = 1;; nth++) {
        struct log_fixture_found found;
        struct log_reader_options options = {0};
        uint64_t before = io_sim_calls(scene.fixture.sim, IO_SIM_ANY);
        io_sim_fail(scene.fixture.sim, IO_SIM_ANY, nth, EIO);
        enum fst_status status = log_fixture_read(&scene.fixture, &options, 1, &found);
        uint64_t calls = io_sim_calls(scene.fixture.sim, IO_SIM_ANY) - before;
        io_sim_fail(scene.fixture.sim, IO_SIM_ANY, 0, EIO);
        assert_false(found.is_wrong);
        if (calls < nth) {
            assert_int_equal(status, FST_OK);
            break;
        }
        /* A close that fails has nothing to say to a reader. */
        if (status == FST_OK) assert_int_equal(found.next, scene.fixture.appended + 1);
        if (status != FST_OK) assert_int_equal(status, FST_IO_ERROR);
    }
    log_fixture_deinit(&scene.fixture);
}

static void test_short_reads_are_continued(void **state) {
    (void)state;
    struct scene scene;
    struct log_fixture_found found;
    struct log_reader_options options = {0};
    scene_init(&scene);
    io_sim_shorten(scene.fixture.sim, 70);
    assert_int_equal(log_fixture_read(&scene.fixture, &options, 1, &found), FST_OK);
    assert_false(found.is_wrong);
    assert_int_equal(found.next, scene.fixture.appended + 1);
    io_sim_shorten(scene.fixture.sim, 0);
    log_fixture_deinit(&scene.fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_another_format_is_not_read),
        cmocka_unit_test(test_unknown_last_files_may_be_missing),
        cmocka_unit_test(test_reading_fails_at_each_call),
        cmocka_unit_test(test_short_reads_are_continued),
    };
    return cmocka_run_group_tests_name("log/log_damage", tests, NULL, NULL);
}
