/* Reads amounts of every unit at, below and above their limits, and random texts beside an oracle
 * that divides where the code multiplies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "tests/base/random.h"

static const struct duration_case {
    const char *text;
    enum fst_status status;
    int64_t us;
} duration_cases[] = {
    {"0", FST_OK, 0},
    {"0s", FST_OK, 0},
    {"00", FST_OK, 0},
    {"1us", FST_OK, 1},
    {"1ms", FST_OK, 1000},
    {"90s", FST_OK, 90000000},
    {"5m", FST_OK, 300000000},
    {"1h", FST_OK, 3600000000},
    {"7d", FST_OK, 604800000000},
    {"007d", FST_OK, 604800000000},
    {"9223372036854775807us", FST_OK, INT64_MAX},
    {"9223372036854775808us", FST_INVALID, 0},
    {"106751991d", FST_OK, INT64_C(106751991) * 86400 * 1000000},
    {"106751992d", FST_INVALID, 0},
    {"99999999999999999999999999s", FST_INVALID, 0},
    {"1", FST_INVALID, 0},
    {"", FST_INVALID, 0},
    {"s", FST_INVALID, 0},
    {"-1s", FST_INVALID, 0},
    {"+1s", FST_INVALID, 0},
    {"1.5s", FST_INVALID, 0},
    {"1 s", FST_INVALID, 0},
    {" 1s", FST_INVALID, 0},
    {"1s ", FST_INVALID, 0},
    {"1S", FST_INVALID, 0},
    {"1h30m", FST_INVALID, 0},
    {"1w", FST_INVALID, 0},
    {"0x", FST_INVALID, 0},
};

static void test_durations(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof duration_cases / sizeof duration_cases[0]; i++) {
        const struct duration_case *c = &duration_cases[i];
        print_message("  \"%s\"\n", c->text);
        int64_t us = -1;
        assert_int_equal(duration_parse(c->text, &us, NULL), c->status);
        assert_int_equal(us, c->status == FST_OK ? c->us : -1);
    }
}

static const struct bytes_case {
    const char *text;
    enum fst_status status;
    uint64_t bytes;
} bytes_cases[] = {
    {"0", FST_OK, 0},
    {"1", FST_OK, 1},
    {"64K", FST_OK, 65536},
    {"16M", FST_OK, 16777216},
    {"4G", FST_OK, UINT64_C(4294967296)},
    {"1T", FST_OK, UINT64_C(1099511627776)},
    {"18446744073709551615", FST_OK, UINT64_MAX},
    {"18446744073709551616", FST_INVALID, 0},
    {"16777215T", FST_OK, UINT64_C(16777215) << 40},
    {"16777216T", FST_INVALID, 0},
    {"1k", FST_INVALID, 0},
    {"1KB", FST_INVALID, 0},
    {"K", FST_INVALID, 0},
    {"1.5G", FST_INVALID, 0},
    {"-1", FST_INVALID, 0},
};

static void test_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bytes_cases / sizeof bytes_cases[0]; i++) {
        const struct bytes_case *c = &bytes_cases[i];
        print_message("  \"%s\"\n", c->text);
        uint64_t bytes = 77;
        assert_int_equal(bytes_parse(c->text, &bytes, NULL), c->status);
        assert_int_equal(bytes, c->status == FST_OK ? c->bytes : 77);
    }
}

static void test_counts(void **state) {
    (void)state;
    uint64_t count = 0;
    assert_int_equal(count_parse("18446744073709551615", &count, NULL), FST_OK);
    assert_true(count == UINT64_MAX);
    assert_int_equal(count_parse("18446744073709551616", &count, NULL), FST_INVALID);
    assert_int_equal(count_parse("10K", &count, NULL), FST_INVALID);
    assert_int_equal(count_parse("", &count, NULL), FST_INVALID);
}

static void test_errors_say_what_was_expected(void **state) {
    (void)state;
    struct fst_error error;
    int64_t us;
    uint64_t number;
    assert_int_equal(duration_parse("10 min", &us, &error), FST_INVALID);
    assert_string_equal(error.text, "expected a duration, a whole number and us, ms, s, m, h or d, "
                                    "such as 90s, found \"10 min\"");
    assert_int_equal(duration_parse("106751992d", &us, &error), FST_INVALID);
    assert_string_equal(error.text, "expected at most 106751991d, found \"106751992d\"");
    assert_int_equal(bytes_parse("4Q\n", &number, &error), FST_INVALID);
    assert_string_equal(error.text, "expected a size in bytes, a whole number and optionally K, M, "
                                    "G or T, such as 64M, found \"4Q\\x0a\"");
    assert_int_equal(count_parse("ten", &number, &error), FST_INVALID);
    assert_string_equal(error.text, "expected a whole number, such as 1000, found \"ten\"");
}

static void test_formats(void **state) {
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {0, "0s"},           {1, "1us"},
        {1500000, "1500ms"}, {90000000, "90s"},
        {3600000000, "1h"},  {7200000000, "2h"},
        {86400000000, "1d"}, {86400000001, "86400000001us"},
        {-5, "0s"},          {INT64_MAX, "9223372036854775807us"},
    };
    char text[UNITS_TEXT_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        duration_format(cases[i].us, text);
        assert_string_equal(text, cases[i].text);
    }
    bytes_format(0, text);
    assert_string_equal(text, "0");
    bytes_format(1536, text);
    assert_string_equal(text, "1536");
    bytes_format(UINT64_C(3) << 30, text);
    assert_string_equal(text, "3G");
    bytes_format(UINT64_MAX, text);
    assert_string_equal(text, "18446744073709551615");
}

static const char *const unit_names[] = {"us", "ms", "s", "m", "h", "d", "", "w", "S", "K"};
static const int64_t unit_us[] = {1, 1000, 1000000, 60000000, 3600000000, 86400000000};

/* Random number, random unit: valid if the unit is one and the product fits. */
static void test_durations_match_oracle(void **state) {
    (void)state;
    struct random random = random_of_environment();
    for (int step = 0; step < 200000; step++) {
        uint64_t number = random_get(&random) >> random_below(&random, 64);
        uint64_t unit = random_below(&random, 10);
        char text[64];
        snprintf(text, sizeof text, "%" PRIu64 "%s", number, unit_names[unit]);
        bool is_valid = unit < 6 || (unit == 6 && number == 0);
        uint64_t size = unit < 6 ? (uint64_t)unit_us[unit] : 1;
        if (number > INT64_MAX / size) is_valid = false;
        int64_t us = -1;
        enum fst_status status = duration_parse(text, &us, NULL);
        assert_int_equal(status, is_valid ? FST_OK : FST_INVALID);
        if (!is_valid) continue;
        assert_true((uint64_t)us == number * size);
        int64_t again = -1;
        duration_format(us, text);
        assert_int_equal(duration_parse(text, &again, NULL), FST_OK);
        assert_int_equal(again, us);
    }
}

static void test_bytes_round_trip(void **state) {
    (void)state;
    struct random random = random_of_environment();
    for (int step = 0; step < 100000; step++) {
        uint64_t bytes = random_get(&random) >> random_below(&random, 64);
        bytes <<= random_below(&random, 40);
        char text[UNITS_TEXT_BYTES];
        bytes_format(bytes, text);
        uint64_t again = ~bytes;
        assert_int_equal(bytes_parse(text, &again, NULL), FST_OK);
        assert_true(again == bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_errors_say_what_was_expected),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_durations_match_oracle),
        cmocka_unit_test(test_bytes_round_trip),
    };
    return cmocka_run_group_tests_name("base/units", tests, NULL, NULL);
}
