/* Makes the corpus of the fuzz target of the log reader from logs of today's format, and shows that
 * the committed files are the same: a change of the format that forgets them is seen. With
 * FST_WRITE_CORPUS set it writes them instead. Runs at the root of the source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "log_fixture.h"
#include "storage/log/log_trim.h"

enum { REPAIR = 1, TWO_FILES = 2 }; /* flags of tests/fuzz/log_fuzz.c */

/* Two files of five blocks; the first one has two groups, the second one. */
struct sample {
    uint8_t *data; /* flags, blocks of the first file, files */
    size_t bytes;
};

static uint8_t *first_file(const struct sample *sample) {
    return sample->data + 2;
}

static void whole(struct sample *sample) {
    (void)sample;
}

static void torn(struct sample *sample) {
    size_t second = sample->bytes - 5 * IO_BLOCK_BYTES;
    memset(sample->data + second + IO_BLOCK_BYTES + 512, 0, 512);
}

static void flipped(struct sample *sample) {
    first_file(sample)[IO_BLOCK_BYTES + 70] ^= 1;
}

static void moved(struct sample *sample) {
    memcpy(first_file(sample) + 3 * IO_BLOCK_BYTES, first_file(sample) + 2 * IO_BLOCK_BYTES,
           IO_BLOCK_BYTES);
}

static void bad_record(struct sample *sample) {
    sample->data[0] |= REPAIR;
    store_u32(first_file(sample) + IO_BLOCK_BYTES + LOG_GROUP_HEADER_BYTES, 9999);
}

static void bad_count(struct sample *sample) {
    sample->data[0] |= REPAIR;
    first_file(sample)[IO_BLOCK_BYTES + offsetof(struct log_group_header, records_count)] += 1;
}

static void bad_sizes(struct sample *sample) {
    sample->data[0] |= REPAIR;
    first_file(sample)[offsetof(struct log_file_header, file_bytes) + 2] = 0xff;
}

static void cut(struct sample *sample) {
    sample->bytes -= IO_BLOCK_BYTES + 100;
}

static void unfinished(struct sample *sample) {
    size_t second = sample->bytes - 5 * IO_BLOCK_BYTES;
    memset(sample->data + second, 0, 5 * IO_BLOCK_BYTES);
}

static void one_file(struct sample *sample) {
    sample->data[0] &= (uint8_t)~TWO_FILES;
    sample->bytes -= 5 * IO_BLOCK_BYTES;
}

/* The second group was in flight together with the first one, which never reached the disk. */
static void in_flight(struct sample *sample) {
    one_file(sample);
    sample->data[0] |= REPAIR;
    memset(first_file(sample) + IO_BLOCK_BYTES, 0, 2 * IO_BLOCK_BYTES);
    uint8_t *second = first_file(sample) + 3 * IO_BLOCK_BYTES;
    store_u64(second + offsetof(struct log_group_header, durable_group), 0);
}

static const struct sample_case {
    const char *name;
    bool is_ended; /* by log_trim, before it is changed */
    void (*act)(struct sample *sample);
} sample_cases[] = {
    {"whole", false, whole},           {"torn", false, torn},
    {"flipped", false, flipped},       {"moved", false, moved},
    {"bad_record", false, bad_record}, {"bad_count", false, bad_count},
    {"bad_sizes", false, bad_sizes},   {"cut", false, cut},
    {"unfinished", false, unfinished}, {"one_file", false, one_file},
    {"in_flight", false, in_flight},   {"ended", true, whole},
    {"ended_cut", true, cut},
};

static void append(struct log_fixture *fixture, struct sample *sample, uint32_t sequence) {
    char path[FIXTURE_PATH_BYTES];
    size_t bytes;
    log_fixture_path(1, 0, sequence, path);
    uint8_t *data = log_fixture_get_file(fixture, path, &bytes);
    memcpy(sample->data + sample->bytes, data, bytes);
    sample->bytes += bytes;
    free(data);
}

static void sample_init(struct sample *sample, bool is_ended) {
    struct log_fixture fixture;
    struct log_reader_options options = {0};
    struct log_fixture_found found;
    log_fixture_init(&fixture, 1);
    fixture.options.group_bytes_max = 2 * IO_BLOCK_BYTES;
    fixture.options.file_bytes = 5 * IO_BLOCK_BYTES;
    fixture.options.groups_in_flight_max = 2;
    log_fixture_open(&fixture, 1, 0);
    while (log_file_sequence(fixture.log) < 2) log_fixture_write_groups(&fixture, 1, 15);
    log_close(fixture.log);
    fixture.log = NULL;
    if (is_ended) {
        assert_int_equal(log_fixture_read(&fixture, &options, 1, &found), FST_OK);
        assert_int_equal(log_trim(fixture.io, FIXTURE_DIR, fixture.options.store_id, found.last,
                                  found.last_count, &found.error),
                         FST_OK);
    }
    sample->data = calloc(1, 64 * 1024);
    sample->data[0] = TWO_FILES;
    sample->data[1] = 5;
    sample->bytes = 2;
    append(&fixture, sample, 1);
    append(&fixture, sample, 2);
    log_fixture_deinit(&fixture);
}

static void sample_write(const char *path, const struct sample *sample) {
    (void)mkdir("tests/corpus/log", 0777);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(sample->data, 1, sample->bytes, file), sample->bytes);
    assert_int_equal(fclose(file), 0);
}

static void sample_compare(const char *path, const struct sample *sample) {
    FILE *file = fopen(path, "rb");
    if (!file) print_error("%s: run with FST_WRITE_CORPUS=1 at the root of the source\n", path);
    assert_non_null(file);
    uint8_t *data = malloc(sample->bytes + 1);
    assert_int_equal(fread(data, 1, sample->bytes + 1, file), sample->bytes);
    assert_int_equal(fclose(file), 0);
    assert_memory_equal(data, sample->data, sample->bytes);
    free(data);
}

static void test_the_corpus_is_of_this_format(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sample_cases / sizeof sample_cases[0]; i++) {
        struct sample sample;
        char path[80];
        (void)snprintf(path, sizeof path, "tests/corpus/log/%s", sample_cases[i].name);
        sample_init(&sample, sample_cases[i].is_ended);
        sample_cases[i].act(&sample);
        if (getenv("FST_WRITE_CORPUS"))
            sample_write(path, &sample);
        else
            sample_compare(path, &sample);
        free(sample.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_corpus_is_of_this_format),
    };
    return cmocka_run_group_tests_name("log/log_corpus", tests, NULL, NULL);
}
