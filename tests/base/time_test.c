/* Compares times with the C library's calendar over the whole range, and reads malformed texts of
 * every kind; random damage to a good text must never give a time that is not written there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/time.h"
#include "tests/base/random.h"

enum { ORACLE_BYTES = 96 };

static const struct parse_case {
    const char *text;
    enum fst_status status;
    int64_t us;
} parse_cases[] = {
    {"1970-01-01T00:00:00Z", FST_OK, 0},
    {"1970-01-01T00:00:00.000001Z", FST_OK, 1},
    {"1969-12-31T23:59:59.999999Z", FST_OK, -1},
    {"2018-04-01T09:30:00Z", FST_OK, 1522575000000000},
    {"2018-04-01t09:30:00z", FST_OK, 1522575000000000},
    {"2018-04-01 09:30:00Z", FST_OK, 1522575000000000},
    {"2018-04-01T09:30:00.5Z", FST_OK, 1522575000500000},
    {"2018-04-01T09:30:00.123456Z", FST_OK, 1522575000123456},
    {"2018-04-01T11:30:00+02:00", FST_OK, 1522575000000000},
    {"2018-04-01T00:15:00-09:15", FST_OK, 1522575000000000},
    {"2018-04-01T09:30:00+00:00", FST_OK, 1522575000000000},
    {"2018-04-01T09:30:00-00:00", FST_OK, 1522575000000000},
    {"2000-02-29T00:00:00Z", FST_OK, 951782400000000},
    {"0000-02-29T00:00:00Z", FST_OK, -62162121600000000},
    {"-0004-02-29T00:00:00Z", FST_OK, -62288352000000000},
    {"9999-12-31T23:59:59.999999Z", FST_OK, TIME_US_MAX},
    {"-9999-01-01T00:00:00Z", FST_OK, TIME_US_MIN},
    {"9999-12-31T23:59:59-00:01", FST_INVALID, 0},
    {"-9999-01-01T00:00:00+00:01", FST_INVALID, 0},
    {"-9999-01-01T00:01:00+00:01", FST_OK, TIME_US_MIN},
    {"10000-01-01T00:00:00Z", FST_INVALID, 0},
    {"-0000-01-01T00:00:00Z", FST_INVALID, 0},
    {"1900-02-29T00:00:00Z", FST_INVALID, 0},
    {"2018-02-29T00:00:00Z", FST_INVALID, 0},
    {"2018-04-31T00:00:00Z", FST_INVALID, 0},
    {"2018-00-01T00:00:00Z", FST_INVALID, 0},
    {"2018-13-01T00:00:00Z", FST_INVALID, 0},
    {"2018-04-00T00:00:00Z", FST_INVALID, 0},
    {"2018-04-01T24:00:00Z", FST_INVALID, 0},
    {"2018-04-01T09:60:00Z", FST_INVALID, 0},
    {"2016-12-31T23:59:60Z", FST_INVALID, 0},
    {"2018-04-01T09:30:00+24:00", FST_INVALID, 0},
    {"2018-04-01T09:30:00+23:60", FST_INVALID, 0},
    {"2018-04-01T09:30:00.1234567Z", FST_INVALID, 0},
    {"2018-04-01T09:30:00.0000000Z", FST_INVALID, 0},
    {"2018-04-01T09:30:00.Z", FST_INVALID, 0},
    {"2018-04-01T09:30:00", FST_INVALID, 0},
    {"2018-04-01T09:30:00.25", FST_INVALID, 0},
    {"2018-04-01T09:30Z", FST_INVALID, 0},
    {"2018-04-01", FST_INVALID, 0},
    {"2018-4-1T09:30:00Z", FST_INVALID, 0},
    {"2018-04-01T09:30:00+0200", FST_INVALID, 0},
    {"2018-04-01T09:30:00+02", FST_INVALID, 0},
    {"2018-04-01T09:30:00ZZ", FST_INVALID, 0},
    {"2018-04-01T09:30:00Z ", FST_INVALID, 0},
    {" 2018-04-01T09:30:00Z", FST_INVALID, 0},
    {"+2018-04-01T09:30:00Z", FST_INVALID, 0},
    {"2018-04-01T09:30:0aZ", FST_INVALID, 0},
    {"2018-04-01X09:30:00Z", FST_INVALID, 0},
    {"1522575000000000", FST_INVALID, 0},
    {"", FST_INVALID, 0},
    {"-", FST_INVALID, 0},
};

static void test_parse(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof parse_cases / sizeof parse_cases[0]; i++) {
        const struct parse_case *c = &parse_cases[i];
        print_message("  \"%s\"\n", c->text);
        int64_t us = 77;
        const char *expected = NULL;
        assert_int_equal(time_parse_rfc3339(c->text, strlen(c->text), &us, &expected), c->status);
        assert_int_equal(us, c->status == FST_OK ? c->us : 77);
        assert_int_equal(expected != NULL, c->status != FST_OK);
        assert_int_equal(time_parse_rfc3339(c->text, strlen(c->text), &us, NULL), c->status);
    }
}

static void test_expected_names_the_fault(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *word;
    } cases[] = {
        {"2018-04-01T09:30:00", "offset such as"},
        {"2018-04-01T09:30:00.1234567Z", "six digits"},
        {"2018-02-29T00:00:00Z", "exist"},
        {"9999-12-31T23:59:59-00:01", "year 9999"},
        {"yesterday", "RFC 3339"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t us;
        const char *expected = NULL;
        enum fst_status status =
            time_parse_rfc3339(cases[i].text, strlen(cases[i].text), &us, &expected);
        assert_int_equal(status, FST_INVALID);
        assert_non_null(strstr(expected, cases[i].word));
    }
}

/* A NUL or the end inside the text is not the end of the field. */
static void test_length_counts(void **state) {
    (void)state;
    const char text[] = "2018-04-01T09:30:00Z\0+02:00";
    int64_t us;
    assert_int_equal(time_parse_rfc3339(text, 20, &us, NULL), FST_OK);
    for (size_t bytes = 0; bytes < sizeof text; bytes++) {
        enum fst_status status = time_parse_rfc3339(text, bytes, &us, NULL);
        assert_int_equal(status, bytes == 20 ? FST_OK : FST_INVALID);
    }
}

/* The text that the C library's calendar gives. */
static void oracle_format(int64_t us, char text[ORACLE_BYTES]) {
    time_t seconds = us / 1000000;
    int64_t rest = us % 1000000;
    if (rest < 0) {
        rest += 1000000;
        seconds -= 1;
    }
    struct tm tm;
    gmtime_r(&seconds, &tm);
    int year = tm.tm_year + 1900;
    snprintf(text, ORACLE_BYTES, "%s%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", year < 0 ? "-" : "",
             year < 0 ? -year : year, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
             (int)rest);
}

static void time_check(int64_t us) {
    char text[TIME_TEXT_BYTES];
    char oracle[ORACLE_BYTES];
    size_t bytes = time_format_rfc3339(us, text);
    oracle_format(us, oracle);
    assert_string_equal(text, oracle);
    assert_int_equal(bytes, strlen(text));
    int64_t again = ~us;
    assert_int_equal(time_parse_rfc3339(text, bytes, &again, NULL), FST_OK);
    assert_int_equal(again, us);
}

static void test_every_month_matches_oracle(void **state) {
    (void)state;
    for (int year = -9999; year <= 9999; year++) {
        for (int month = 0; month < 12; month++) {
            struct tm tm = {.tm_year = year - 1900, .tm_mon = month, .tm_mday = 1};
            int64_t us = (int64_t)timegm(&tm) * 1000000;
            time_check(us);
            if (us > TIME_US_MIN) time_check(us - 1);
        }
    }
    time_check(TIME_US_MAX);
}

static void test_random_times_match_oracle(void **state) {
    (void)state;
    struct random random = random_of_environment();
    uint64_t range = (uint64_t)TIME_US_MAX - (uint64_t)TIME_US_MIN + 1;
    for (int step = 0; step < 100000; step++) {
        time_check((int64_t)((uint64_t)TIME_US_MIN + random_below(&random, range)));
    }
}

static void test_offsets_match_oracle(void **state) {
    (void)state;
    for (int minutes = -23 * 60 - 59; minutes <= 23 * 60 + 59; minutes++) {
        int size = minutes < 0 ? -minutes : minutes;
        char text[64];
        snprintf(text, sizeof text, "2018-04-01T09:30:00%c%02d:%02d", minutes < 0 ? '-' : '+',
                 size / 60, size % 60);
        int64_t us = 0;
        assert_int_equal(time_parse_rfc3339(text, strlen(text), &us, NULL), FST_OK);
        assert_int_equal(us, INT64_C(1522575000000000) - (int64_t)minutes * 60000000);
    }
}

static void test_beyond_the_range(void **state) {
    (void)state;
    static const int64_t times_us[] = {TIME_US_MAX + 1, TIME_US_MIN - 1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < 4; i++) {
        char text[TIME_TEXT_BYTES];
        char number[TIME_TEXT_BYTES];
        snprintf(number, sizeof number, "%" PRId64, times_us[i]);
        assert_int_equal(time_format_rfc3339(times_us[i], text), strlen(number));
        assert_string_equal(text, number);
    }
}

/* What is read is what is written there: formatted again it is the same moment's text. */
static void test_damaged_texts(void **state) {
    (void)state;
    static const char alphabet[] = "0123456789-+:.TZtz ";
    struct random random = random_of_environment();
    int valid = 0;
    for (int step = 0; step < 300000; step++) {
        char text[TIME_TEXT_BYTES];
        size_t bytes = time_format_rfc3339((int64_t)(random_get(&random) >> 14), text);
        for (uint64_t damages = 1 + random_below(&random, 3); damages > 0; damages--) {
            text[random_below(&random, bytes)] = alphabet[random_below(&random, 19)];
        }
        int64_t us;
        if (time_parse_rfc3339(text, bytes, &us, NULL) != FST_OK) continue;
        valid += 1;
        if (text[10] != 'T' || text[bytes - 1] != 'Z' || bytes != 27) continue;
        char again[TIME_TEXT_BYTES];
        time_format_rfc3339(us, again);
        assert_string_equal(again, text);
    }
    assert_true(valid > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_expected_names_the_fault),
        cmocka_unit_test(test_length_counts),
        cmocka_unit_test(test_every_month_matches_oracle),
        cmocka_unit_test(test_random_times_match_oracle),
        cmocka_unit_test(test_offsets_match_oracle),
        cmocka_unit_test(test_beyond_the_range),
        cmocka_unit_test(test_damaged_texts),
    };
    return cmocka_run_group_tests_name("base/time", tests, NULL, NULL);
}
