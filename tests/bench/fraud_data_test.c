/* Shows that the fraud data are the published ones: the full set by the sha256 of its bytes and the
 * handbook's counts, a small set by its first rows, and that a folder is trusted only if it is
 * whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/fsbench/fraud_files.h"

static const struct fraud_options full_options = {
    .customers_count = 5000, .terminals_count = 10000, .days_count = 183, .radius = 5};
static const struct fraud_options small_options = {
    .customers_count = 50, .terminals_count = 400, .days_count = 40, .radius = 5};

static const char full_sha256[] =
    "f0672f4c37a0d172843736e360dbce8c7aeff35e0c73c4083ee9059af6b1ba77";
enum { FULL_BYTES = 73787749 };
static const int64_t start_us = INT64_C(1522540800000000); /* 2018-04-01 */

static const char *const names[] = {"transactions.csv", "customers.csv", "terminals.csv",
                                    "last_transactions.csv", "fraud.facts"};
enum { NAMES_COUNT = sizeof names / sizeof names[0] };

struct test_folder {
    char path[256];
    struct fraud_folder folder;
};

static int folder_open(void **state) {
    static struct test_folder test;
    const char *place = getenv("TMPDIR");
    snprintf(test.path, sizeof test.path, "%s/fraud_data_test.XXXXXX", place ? place : "/tmp");
    if (!mkdtemp(test.path)) return -1;
    test.folder = (struct fraud_folder){.io = io_posix(), .path = test.path, .start_us = start_us};
    *state = &test;
    return 0;
}

static const char *path_of(const struct test_folder *test, const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", test->path, name);
    return path;
}

static int folder_close(void **state) {
    struct test_folder *test = *state;
    for (int i = 0; i < NAMES_COUNT; i++) unlink(path_of(test, names[i]));
    return rmdir(test->path);
}

static void folder_fill(const struct test_folder *test, const struct fraud_options *options) {
    struct fraud_data data;
    assert_int_equal(fraud_data_create(&data, options, NULL, NULL), FST_OK);
    assert_int_equal(fraud_data_check(&data), FST_OK);
    assert_int_equal(fraud_files_put(&test->folder, &data, NULL), FST_OK);
    fraud_data_destroy(&data);
}

static void lines_expect(const struct test_folder *test, const char *name,
                         const char *const *wanted, int lines_count) {
    FILE *file = fopen(path_of(test, name), "r");
    assert_non_null(file);
    for (int i = 0; i < lines_count; i++) {
        char line[256];
        assert_non_null(fgets(line, sizeof line, file));
        line[strcspn(line, "\n")] = 0;
        assert_string_equal(line, wanted[i]);
    }
    fclose(file);
}

static void test_full_counts_are_the_handbooks(void **state) {
    (void)state;
    struct fraud_data data;
    assert_int_equal(fraud_data_create(&data, &full_options, NULL, NULL), FST_OK);
    assert_int_equal(fraud_data_check(&data), FST_OK);
    assert_int_equal(data.transactions_count, 1754155);
    assert_int_equal(data.added_count[FRAUD_AMOUNT], 978);
    assert_int_equal(data.added_count[FRAUD_TERMINAL], 9099);
    assert_int_equal(data.added_count[FRAUD_CUSTOMER], 4604);
    fraud_data_destroy(&data);
}

static void test_full_bytes_are_the_published_ones(void **state) {
    const struct test_folder *test = *state;
    folder_fill(test, &full_options);
    struct stat facts;
    assert_int_equal(stat(path_of(test, "transactions.csv"), &facts), 0);
    assert_int_equal(facts.st_size, FULL_BYTES);
    char command[600], found[65] = "";
    snprintf(command, sizeof command, "sha256sum %s", path_of(test, "transactions.csv"));
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(found, sizeof found, pipe));
    pclose(pipe);
    assert_string_equal(found, full_sha256);

    static const char *const transactions[] = {
        "tx_id,tx_time,customer_id,terminal_id,amount,is_fraud",
        "0,1522540831000000,596,3156,57.16,0",
        "1,1522540930000000,4961,3412,81.51,0",
        "2,1522541276000000,2,1365,146.00,0",
    };
    static const char *const customers[] = {
        "event_time,customer_id,x,y,mean_amount,std_amount,mean_tx_per_day",
        "1522540800000000,0,54.88135039273247,71.51893663724195,62.262520726806166,"
        "31.131260363403083,2.1795327319875875",
    };
    static const char *const terminals[] = {
        "event_time,terminal_id,x,y",
        "1522540800000000,0,41.7022004702574,72.0324493442158",
    };
    static const char *const last[] = {
        "event_time,customer_id,tx_id,terminal_id,amount,is_fraud",
        "1538320297000000,0,1751455,2746,27.90,0",
    };
    lines_expect(test, "transactions.csv", transactions, 4);
    lines_expect(test, "customers.csv", customers, 2);
    lines_expect(test, "terminals.csv", terminals, 2);
    lines_expect(test, "last_transactions.csv", last, 2);
}

/* The last line of each customer in one file is the line of that customer in the other. */
static void test_last_transactions_are_the_newest(void **state) {
    (void)state;
    struct fraud_data data;
    assert_int_equal(fraud_data_create(&data, &small_options, NULL, NULL), FST_OK);
    const struct test_folder *test = *state;
    assert_int_equal(fraud_files_put(&test->folder, &data, NULL), FST_OK);
    FILE *file = fopen(path_of(test, "last_transactions.csv"), "r");
    assert_non_null(file);
    char line[256];
    assert_non_null(fgets(line, sizeof line, file));
    uint32_t lines_count = 0;
    while (fgets(line, sizeof line, file)) {
        long long event_us;
        unsigned customer, id;
        assert_int_equal(sscanf(line, "%lld,%u,%u,", &event_us, &customer, &id), 3);
        assert_int_equal(data.transactions[id].customer, customer);
        assert_int_equal(event_us, start_us + data.transactions[id].second * INT64_C(1000000));
        for (uint32_t i = id + 1; i < data.transactions_count; i++)
            assert_int_not_equal(data.transactions[i].customer, customer);
        lines_count++;
    }
    fclose(file);
    uint8_t seen[50] = {0};
    uint32_t customers_count = 0;
    for (uint32_t i = 0; i < data.transactions_count; i++)
        customers_count += seen[data.transactions[i].customer]++ == 0;
    assert_int_equal(lines_count, customers_count);
    fraud_data_destroy(&data);
}

static void byte_flip(const char *path) {
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    int byte = fgetc(file);
    rewind(file);
    fputc(byte ^ 1, file);
    fclose(file);
}

static void test_only_whole_folders_are_trusted(void **state) {
    const struct test_folder *test = *state;
    assert_false(fraud_files_are_there(&test->folder, &small_options));
    folder_fill(test, &small_options);
    assert_true(fraud_files_are_there(&test->folder, &small_options));
    for (int i = 0; i < NAMES_COUNT; i++) {
        print_message("  %s damaged, cut, gone\n", names[i]);
        byte_flip(path_of(test, names[i]));
        assert_false(fraud_files_are_there(&test->folder, &small_options));
        folder_fill(test, &small_options);
        assert_int_equal(truncate(path_of(test, names[i]), 10), 0);
        assert_false(fraud_files_are_there(&test->folder, &small_options));
        folder_fill(test, &small_options);
        assert_int_equal(unlink(path_of(test, names[i])), 0);
        assert_false(fraud_files_are_there(&test->folder, &small_options));
        folder_fill(test, &small_options);
    }
    struct fraud_options other = small_options;
    other.radius = 6;
    assert_false(fraud_files_are_there(&test->folder, &other));
    struct fraud_folder later = test->folder;
    later.start_us++;
    assert_false(fraud_files_are_there(&later, &small_options));
    assert_true(fraud_files_are_there(&test->folder, &small_options));
}

static const struct bad_case {
    const char *name;
    struct fraud_options options;
} bad_cases[] = {
    {"no customers", {0, 1, 1, 5}}, {"too many customers", {FRAUD_CUSTOMERS_MAX + 1, 1, 1, 5}},
    {"no terminals", {1, 0, 1, 5}}, {"too many terminals", {1, FRAUD_TERMINALS_MAX + 1, 1, 5}},
    {"no days", {1, 1, 0, 5}},      {"too many days", {1, 1, FRAUD_DAYS_MAX + 1, 5}},
    {"no radius", {1, 1, 1, 0}},    {"radius beyond the square", {1, 1, 1, 201}},
};

static void test_bad_options_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_cases / sizeof bad_cases[0]; i++) {
        print_message("  %s\n", bad_cases[i].name);
        struct fst_error error = {.status = FST_OK};
        struct fraud_data data;
        assert_int_equal(fraud_data_create(&data, &bad_cases[i].options, NULL, &error),
                         FST_INVALID);
        assert_int_equal(error.status, FST_INVALID);
        assert_non_null(strstr(error.text, "expected"));
    }
}

/* Fewer customers or terminals than frauds want, and a single day, which has no frauds of kind 2,
 * 3. */
static void test_tiny_sets_work(void **state) {
    (void)state;
    for (uint32_t days_count = 1; days_count <= 40; days_count += 13) {
        struct fraud_options options = {1, 1, days_count, 200};
        struct fraud_data data;
        assert_int_equal(fraud_data_create(&data, &options, NULL, NULL), FST_OK);
        assert_int_equal(fraud_data_check(&data), FST_OK);
        fraud_data_destroy(&data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_counts_are_the_handbooks),
        cmocka_unit_test_setup_teardown(test_full_bytes_are_the_published_ones, folder_open,
                                        folder_close),
        cmocka_unit_test_setup_teardown(test_last_transactions_are_the_newest, folder_open,
                                        folder_close),
        cmocka_unit_test_setup_teardown(test_only_whole_folders_are_trusted, folder_open,
                                        folder_close),
        cmocka_unit_test(test_bad_options_are_refused),
        cmocka_unit_test(test_tiny_sets_work),
    };
    return cmocka_run_group_tests_name("bench/fraud_data", tests, NULL, NULL);
}
