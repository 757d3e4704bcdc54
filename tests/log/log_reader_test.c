/* Shows that a reading gives exactly the records that were acknowledged, or says what is damaged:
 * logs of known records are torn at every byte, flipped at every kind of bit, cut, swapped and
 * mixed, and then read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "log_fixture.h"

enum { FIRST = IO_BLOCK_BYTES }; /* where groups begin */

/* One file of epoch 1, shard 0: what is there before the damage. */
struct image {
    struct log_fixture fixture;
    char path[FIXTURE_PATH_BYTES];
    uint8_t *data;
    size_t bytes;
    uint32_t groups_count;
    size_t offsets[64];          /* of the groups */
    size_t padded_bytes[64];     /* likewise */
    uint64_t records_before[64]; /* records in all groups before */
};

static void image_init(struct image *image, uint32_t groups, uint32_t records) {
    log_fixture_init(&image->fixture, 1);
    log_fixture_open(&image->fixture, 1, 0);
    log_fixture_write_groups(&image->fixture, groups, records);
    assert_int_equal(log_file_sequence(image->fixture.log), 1);
    log_fixture_path(1, 0, 1, image->path);
    image->data = log_fixture_get_file(&image->fixture, image->path, &image->bytes);
    image->groups_count = 0;
    uint64_t records_count = 0;
    struct log_file_id id = {.epoch = 1, .sequence = 1};
    memcpy(id.store_id, image->fixture.options.store_id, STORE_ID_BYTES);
    struct log_group_header header;
    for (size_t at = FIRST; log_group_decode(image->data + at, log_file_seed(&id), &header);) {
        image->offsets[image->groups_count] = at;
        image->padded_bytes[image->groups_count] = header.padded_bytes;
        image->records_before[image->groups_count] = records_count;
        image->groups_count += 1;
        records_count += header.records_count;
        at += header.padded_bytes;
    }
    assert_int_equal(image->groups_count, groups);
    assert_int_equal(records_count, groups * records);
}

static void image_deinit(struct image *image) {
    free(image->data);
    log_fixture_deinit(&image->fixture);
}

/* Writes the damaged bytes, reads, and puts the good ones back. */
static enum fst_status image_read(struct image *image, const uint8_t *damaged, bool is_known,
                                  struct log_fixture_found *found) {
    const struct log_position durable = {1, 0, image->groups_count};
    struct log_reader_options options = {.durable = &durable, .durable_count = is_known ? 1 : 0};
    struct io *io = image->fixture.io;
    io_file file;
    assert_int_equal(io->ops->open(io, image->path, IO_OPEN_WRITE, &file), 0);
    assert_int_equal(io_write_full(io, file, damaged, image->bytes, 0), 0);
    enum fst_status status = log_fixture_read(&image->fixture, &options, 1, found);
    assert_int_equal(io_write_full(io, file, image->data, image->bytes, 0), 0);
    assert_int_equal(io->ops->close(io, file), 0);
    return status;
}

static void assert_damage(const struct log_fixture_found *found, enum fst_status status) {
    assert_int_equal(status, FST_CORRUPT);
    assert_false(found->is_wrong);
    assert_non_null(strstr(found->error.text, "00000001-000-000001.log: offset "));
}

/* ---- reading what is whole ---- */

static void test_reads_all_records_over_files_shards_and_epochs(void **state) {
    (void)state;
    struct log_fixture fixture;
    log_fixture_init(&fixture, 1);
    for (uint32_t epoch = 1; epoch <= 3; epoch++) {
        for (uint32_t shard = 0; shard < 3; shard++) {
            log_fixture_open(&fixture, epoch, shard);
            log_fixture_write_groups(&fixture, 20 + shard * 10, 5);
            assert_true(log_file_sequence(fixture.log) > 1);
        }
    }
    log_fixture_open(&fixture, 4, 2); /* Opened and never written. */
    struct log_reader_options options = {0};
    struct log_fixture_found found;
    assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_OK);
    assert_false(found.is_wrong);
    assert_int_equal(found.next, fixture.appended + 1);
    assert_int_equal(found.result.records, fixture.appended);
    assert_int_equal(found.result.groups, 3 * (20 + 30 + 40));
    assert_int_equal(found.result.epoch_max, 4);
    assert_int_equal(found.result.torn_count, 0);
    assert_int_equal(found.last_count, 10);
    assert_int_equal(found.last[4].epoch, 2);
    assert_int_equal(found.last[4].shard, 1);
    assert_int_equal(found.last[4].group, 30);
    assert_int_equal(found.last[9].group, 0);
    log_fixture_deinit(&fixture);
}

static void test_an_empty_folder_and_foreign_names(void **state) {
    (void)state;
    struct log_fixture fixture;
    struct log_reader_options options = {0};
    struct log_fixture_found found;
    log_fixture_init(&fixture, 1);
    log_fixture_put_file(&fixture, FIXTURE_DIR "/lost+found", (const uint8_t *)"x", 1);
    log_fixture_put_file(&fixture, FIXTURE_DIR "/00000001-000-000001.log~", NULL, 0);
    assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_OK);
    assert_int_equal(found.result.files, 0);
    assert_int_equal(found.result.epoch_max, 0);
    log_fixture_deinit(&fixture);
}

/* Every position as `done`: exactly the records behind it are visited, and whole files are
 * skipped. */
static void test_done_groups_are_skipped(void **state) {
    (void)state;
    struct log_fixture fixture;
    log_fixture_init(&fixture, 1);
    log_fixture_open(&fixture, 1, 0);
    log_fixture_write_groups(&fixture, 60, 5);
    uint32_t files = log_file_sequence(fixture.log);
    assert_true(files > 3);
    uint64_t files_read_min = UINT64_MAX;
    for (uint64_t done = 0; done <= 60; done++) {
        const struct log_position position = {1, 0, done};
        struct log_reader_options options = {.done = &position, .done_count = 1};
        struct log_fixture_found found;
        assert_int_equal(log_fixture_read(&fixture, &options, done * 5 + 1, &found), FST_OK);
        assert_false(found.is_wrong);
        assert_int_equal(found.next, fixture.appended + 1);
        assert_int_equal(found.last_count, 1);
        assert_int_equal(found.last[0].group, 60);
        if (found.result.files < files_read_min) files_read_min = found.result.files;
    }
    assert_true(files_read_min <= 2);
    log_fixture_deinit(&fixture);
}

/* Logs of epochs before the done one are not looked at: here they are no logs at all, or gone in
 * part. */
static void test_done_epochs_are_not_opened(void **state) {
    (void)state;
    struct log_fixture fixture;
    log_fixture_init(&fixture, 1);
    for (uint32_t shard = 0; shard < 3; shard++) {
        char path[FIXTURE_PATH_BYTES];
        log_fixture_path(4, shard, 2 + shard, path);
        log_fixture_put_file(&fixture, path, (const uint8_t *)"garbage", 7);
    }
    log_fixture_open(&fixture, 5, 0);
    log_fixture_write_groups(&fixture, 3, 5);
    struct log_position durable[] = {{4, 0, 9}, {5, 0, 3}};
    struct log_reader_options options = {.done_epoch = 5, .durable = durable, .durable_count = 2};
    struct log_fixture_found found;
    uint64_t opens = io_sim_calls(fixture.sim, IO_SIM_OPEN);
    assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_OK);
    assert_int_equal(io_sim_calls(fixture.sim, IO_SIM_OPEN) - opens, found.result.files);
    assert_false(found.is_wrong);
    assert_int_equal(found.next, fixture.appended + 1);
    assert_int_equal(found.last_count, 1);
    assert_int_equal(found.result.epoch_max, 5);
    options.done_epoch = 6;
    assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_OK);
    assert_int_equal(found.result.files, 0);
    assert_int_equal(found.result.epoch_max, 5);
    options.done_epoch = 4;
    assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_CORRUPT);
    log_fixture_deinit(&fixture);
}

/* Every position is found by its epoch and shard, and what lies between them is not. */
static void test_positions_are_found(void **state) {
    (void)state;
    struct log_positions positions = {0};
    for (uint32_t i = 0; i < 200; i++) {
        const struct log_position position = {
            .epoch = i / 3 * 2, .shard = i % 3 * 2, .group = i + 1};
        assert_int_equal(log_positions_append(&positions, &position), FST_OK);
        for (uint32_t k = 0; k <= i; k++) {
            const struct log_position *found =
                log_position_find(positions.items, i + 1, k / 3 * 2, k % 3 * 2);
            assert_non_null(found);
            assert_int_equal(found->group, k + 1);
            assert_null(log_position_find(positions.items, i + 1, k / 3 * 2 + 1, k % 3 * 2));
            assert_null(log_position_find(positions.items, i + 1, k / 3 * 2, k % 3 * 2 + 1));
        }
    }
    assert_null(log_position_find(NULL, 0, 1, 0));
    free(positions.items);
}

/* ---- torn ---- */

/* The last group got to the disk up to byte n, for every n. */
static void test_torn_at_every_length(void **state) {
    (void)state;
    struct image image;
    image_init(&image, 4, 15); /* The last group has a record of more than a block. */
    size_t last = image.offsets[3];
    uint64_t whole = image.records_before[3];
    uint8_t *torn = malloc(image.bytes);
    memcpy(torn, image.data, image.bytes);
    memset(torn + last, 0, image.padded_bytes[3]);
    for (size_t n = 0; n <= image.padded_bytes[3]; n++) {
        struct log_fixture_found found;
        bool is_whole = memcmp(torn + last, image.data + last, image.padded_bytes[3]) == 0;
        bool is_nothing = n == 0;
        assert_int_equal(image_read(&image, torn, false, &found), FST_OK);
        assert_false(found.is_wrong);
        assert_int_equal(found.next - 1, is_whole ? image.fixture.appended : whole);
        assert_int_equal(found.result.torn_count, is_whole || is_nothing ? 0 : 1);
        if (found.result.torn_count == 1) {
            assert_int_equal(found.result.torn[0].offset, last);
            assert_int_equal(found.result.torn[0].group, 4);
            assert_string_equal(found.result.torn[0].file, "00000001-000-000001.log");
        }
        if (n % 64 == 0 && !is_whole) {
            assert_damage(&found, image_read(&image, torn, true, &found));
            if (!is_nothing) assert_non_null(strstr(found.error.text, "fails its checksum"));
        }
        if (n < image.padded_bytes[3]) torn[last + n] = image.data[last + n];
    }
    free(torn);
    image_deinit(&image);
}

/* Sectors of the last group got to the disk in any combination; the rest is zero or old. */
static void test_torn_by_sectors(void **state) {
    (void)state;
    struct image image;
    uint64_t seed = log_fixture_seed(7);
    image_init(&image, 4, 15);
    size_t last = image.offsets[3];
    uint8_t *torn = malloc(image.bytes);
    for (int round = 0; round < 2000; round++) {
        struct log_fixture_found found;
        memcpy(torn, image.data, image.bytes);
        for (size_t at = 0; at < image.padded_bytes[3]; at += 512) {
            if (log_fixture_random(&seed) % 4 == 0) memset(torn + last + at, 0, 512);
        }
        bool is_whole = memcmp(torn + last, image.data + last, image.padded_bytes[3]) == 0;
        assert_int_equal(image_read(&image, torn, false, &found), FST_OK);
        assert_false(found.is_wrong);
        assert_int_equal(found.next - 1,
                         is_whole ? image.fixture.appended : image.records_before[3]);
    }
    free(torn);
    image_deinit(&image);
}

/* ---- flipped bits ---- */

static int group_of(const struct image *image, size_t at) {
    for (uint32_t g = 0; g < image->groups_count; g++) {
        if (at >= image->offsets[g] && at < image->offsets[g] + image->padded_bytes[g]) {
            return (int)g;
        }
    }
    return -1;
}

static void flip_and_read(struct image *image, uint8_t *flipped, size_t at, unsigned bit) {
    struct log_fixture_found found;
    int group = group_of(image, at);
    bool is_last = group == (int)image->groups_count - 1;
    flipped[at] ^= (uint8_t)(1u << bit);
    enum fst_status status = image_read(image, flipped, false, &found);
    if (at < FIRST || (group >= 0 && !is_last)) {
        assert_damage(&found, status);
    } else if (status == FST_OK) {
        /* Nobody knows whether the last group was acknowledged: it looks torn. */
        assert_false(found.is_wrong);
        assert_int_equal(found.next - 1,
                         is_last ? image->records_before[group] : image->fixture.appended);
        assert_int_equal(found.result.torn_count, 1);
    } else {
        assert_false(is_last);
        assert_damage(&found, status);
    }
    if (group >= 0) assert_damage(&found, image_read(image, flipped, true, &found));
    flipped[at] ^= (uint8_t)(1u << bit);
}

static void test_every_flipped_bit_is_seen(void **state) {
    (void)state;
    struct image image;
    uint64_t seed = log_fixture_seed(11);
    image_init(&image, 5, 7);
    uint8_t *flipped = malloc(image.bytes);
    memcpy(flipped, image.data, image.bytes);
    for (size_t at = 0; at < sizeof(struct log_file_header); at++) {
        for (unsigned bit = 0; bit < 8; bit++) flip_and_read(&image, flipped, at, bit);
    }
    for (uint32_t g = 0; g < image.groups_count; g++) {
        for (size_t at = 0; at < LOG_GROUP_HEADER_BYTES + LOG_RECORD_HEADER_BYTES; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                flip_and_read(&image, flipped, image.offsets[g] + at, bit);
            }
        }
    }
    for (int i = 0; i < 3000; i++) {
        uint64_t random = log_fixture_random(&seed);
        flip_and_read(&image, flipped, random % image.bytes, (unsigned)(random >> 60) % 8);
    }
    free(flipped);
    image_deinit(&image);
}

/* ---- records inside a group whose checksums fit ---- */

static const struct record_case {
    const char *name;
    size_t offset; /* in the first record of group 2 */
    uint8_t bytes;
    uint32_t value;
    const char *text;
} record_cases[] = {
    {"a record of no bytes", 0, 4, 0, "does not fit"},
    {"a record shorter than its header", 0, 4, 23, "does not fit"},
    {"a record as long as all memory", 0, 4, UINT32_MAX, "does not fit"},
    {"a record that ends beyond the group", 0, 4, 5000, "does not fit"},
    {"an unknown type", 4, 1, 9, "unknown type, 9"},
    {"no type", 4, 1, 0, "unknown type, 0"},
    {"an unknown flag", 5, 1, 2, "does not fit"},
};

static void test_records_are_bounded_by_their_group(void **state) {
    (void)state;
    struct image image;
    image_init(&image, 3, 4);
    struct log_file_id id = {.epoch = 1, .sequence = 1};
    memcpy(id.store_id, image.fixture.options.store_id, STORE_ID_BYTES);
    uint8_t *bad = malloc(image.bytes);
    for (size_t i = 0; i < sizeof record_cases / sizeof record_cases[0]; i++) {
        const struct record_case *c = &record_cases[i];
        struct log_fixture_found found;
        print_message("  %s\n", c->name);
        memcpy(bad, image.data, image.bytes);
        memcpy(bad + image.offsets[1] + LOG_GROUP_HEADER_BYTES + c->offset, &c->value, c->bytes);
        log_group_seal(bad + image.offsets[1], log_file_seed(&id));
        /* The group after it must name the new checksum. */
        memcpy(bad + image.offsets[2] + 40, bad + image.offsets[1] + 8, 8);
        log_group_seal(bad + image.offsets[2], log_file_seed(&id));
        assert_damage(&found, image_read(&image, bad, false, &found));
        assert_non_null(strstr(found.error.text, c->text));
        assert_non_null(strstr(found.error.text, "group 2"));
        assert_non_null(strstr(found.error.text, "partition 4, LSN 4"));
        assert_int_equal(found.next, 5); /* Nothing of the group was visited. */
    }
    memcpy(bad, image.data, image.bytes);
    store_u32(bad + image.offsets[2] + offsetof(struct log_group_header, records_count), 5);
    log_group_seal(bad + image.offsets[2], log_file_seed(&id));
    struct log_fixture_found found;
    assert_damage(&found, image_read(&image, bad, false, &found));
    assert_non_null(strstr(found.error.text, "expected 5 records, found 4"));
    free(bad);
    image_deinit(&image);
}

static void test_the_chain_is_checked(void **state) {
    (void)state;
    struct image image;
    struct log_fixture_found found;
    image_init(&image, 3, 4);
    struct log_file_id id = {.epoch = 1, .sequence = 1};
    memcpy(id.store_id, image.fixture.options.store_id, STORE_ID_BYTES);
    uint8_t *bad = malloc(image.bytes);
    memcpy(bad, image.data, image.bytes);
    bad[image.offsets[2] + 40] ^= 1;
    log_group_seal(bad + image.offsets[2], log_file_seed(&id));
    assert_damage(&found, image_read(&image, bad, false, &found));
    assert_non_null(strstr(found.error.text, "does not follow"));
    memcpy(bad, image.data, image.bytes);
    store_u64(bad + image.offsets[2] + 24, 4);
    log_group_seal(bad + image.offsets[2], log_file_seed(&id));
    assert_damage(&found, image_read(&image, bad, false, &found));
    assert_non_null(strstr(found.error.text, "expected group 3, found 4"));
    free(bad);
    image_deinit(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_all_records_over_files_shards_and_epochs),
        cmocka_unit_test(test_an_empty_folder_and_foreign_names),
        cmocka_unit_test(test_done_groups_are_skipped),
        cmocka_unit_test(test_done_epochs_are_not_opened),
        cmocka_unit_test(test_positions_are_found),
        cmocka_unit_test(test_torn_at_every_length),
        cmocka_unit_test(test_torn_by_sectors),
        cmocka_unit_test(test_every_flipped_bit_is_seen),
        cmocka_unit_test(test_records_are_bounded_by_their_group),
        cmocka_unit_test(test_the_chain_is_checked),
    };
    return cmocka_run_group_tests_name("log/log_reader", tests, NULL, NULL);
}
