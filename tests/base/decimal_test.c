/* Converts decimals at every limit and at random, and compares them with what the C library
 * makes of the same decimal written as text, which it reads with one rounding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "tests/base/random.h"

static void decimal_check(int64_t units, uint32_t scale) {
    char text[48];
    snprintf(text, sizeof text, "%" PRId64 "e-%u", units, scale);
    double want64 = units == 0 ? 0.0 : strtod(text, NULL);
    float want32 = units == 0 ? 0.0f : strtof(text, NULL);
    double found64 = decimal_float64(units, scale);
    float found32 = decimal_float32(units, scale);
    if (found64 != want64) fail_msg("%s: %a", text, found64);
    if (found32 != want32) fail_msg("%s: %a", text, (double)found32);
}

static void scales_check(int64_t units) {
    for (uint32_t scale = 0; scale <= DECIMAL_SCALE_MAX; scale++) {
        decimal_check(units, scale);
        if (units != INT64_MIN) decimal_check(-units, scale);
    }
}

static void test_limits(void **state) {
    (void)state;
    static const int64_t cases[] = {0, 1, 5, 999, INT64_MAX, INT64_MAX - 1, INT64_MIN};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) scales_check(cases[i]);
    for (int bits = 20; bits < 63; bits++) {
        for (int64_t near = -3; near <= 3; near++) scales_check((INT64_C(1) << bits) + near);
    }
}

/* Here two roundings go wrong: the float64 nearest to the decimal lies just between two float32,
 * and the decimal itself does not. `middle` / 2^15 lies between; times 10^13 it is a quarter away
 * from an integer, which a float64 cannot tell from it. */
static void test_one_rounding(void **state) {
    (void)state;
    const uint32_t scale = 14;
    const int64_t five_power = 6103515625; /* 5^14 */
    for (int64_t middle = (1 << 24) + 1; middle < (1 << 24) + 2000; middle += 2) {
        int64_t units = (middle * five_power + 8) / 16;
        assert_true(decimal_float64(units, scale) == (double)middle * 0x1p-18);
        decimal_check(units, scale);
    }
    int64_t units = (INT64_C(1) << 61) + (INT64_C(1) << 37) + 1;
    scales_check(units);
    assert_true((float)decimal_float64(units, 0) != decimal_float32(units, 0));
}

static void test_random_decimals(void **state) {
    (void)state;
    struct random random = random_of_environment();
    for (int i = 0; i < 200000; i++) {
        int64_t units = (int64_t)random_get(&random) >> random_below(&random, 64);
        decimal_check(units, (uint32_t)random_below(&random, DECIMAL_SCALE_MAX + 1));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_one_rounding),
        cmocka_unit_test(test_random_decimals),
    };
    return cmocka_run_group_tests_name("base/decimal", tests, NULL, NULL);
}
