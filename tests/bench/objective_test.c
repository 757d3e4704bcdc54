/* Shows which objectives can be written and when they are kept: tables of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "bench/fsbench/objective.h"

static const struct text_case {
    const char *text;
    uint32_t bounds_count; /* 0: refused */
} texts[] = {
    {"p99=500us", 1},
    {"p99=500us,p99.9=2ms", 2},
    {"p50=1s,p90=1s,p99=1s,p99.9=1s", 4},
    {"", 0},
    {"99=500us", 0},
    {"p99", 0},
    {"p99=", 0},
    {"p99=500", 0},
    {"p99=0us", 0},
    {"p0=1ms", 0},
    {"p100=1ms", 0},
    {"p-1=1ms", 0},
    {"p99=1ms,", 0},
    {"p99=1ms;p50=1ms", 0},
    {"pnan=1ms", 0},
    {"p1=1s,p1=1s,p1=1s,p1=1s,p1=1s,p1=1s,p1=1s,p1=1s", 8},
    {"p1=1s,p1=1s,p1=1s,p1=1s,p1=1s,p1=1s,p1=1s,p1=1s,p1=1s", 0},
};

static void test_texts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        print_message("  \"%s\"\n", texts[i].text);
        struct objective objective;
        struct fst_error error;
        enum fst_status status = objective_decode(texts[i].text, &objective, &error);
        assert_int_equal(status, texts[i].bounds_count ? FST_OK : FST_INVALID);
        if (status == FST_OK)
            assert_int_equal(objective.bounds_count, texts[i].bounds_count);
        else
            assert_non_null(strstr(error.text, "p99=500us"));
    }
}

/* 99 answers in 100 us and one in 5 ms. */
static void test_kept_and_missed(void **state) {
    (void)state;
    static const struct kept_case {
        const char *text;
        bool is_kept;
    } cases[] = {
        {"p99=101us", true},
        {"p99=99us", false},
        {"p99.5=1ms", false},
        {"p99.5=5ms", true},
        {"p50=101us,p99.5=1ms", false},
        {"p50=99us,p99.5=6ms", false},
    };
    static struct histogram latency, empty;
    histogram_init(&latency);
    histogram_init(&empty);
    for (int i = 0; i < 99; i++) histogram_put(&latency, 100000);
    histogram_put(&latency, 5000000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("  %s\n", cases[i].text);
        struct objective objective;
        assert_int_equal(objective_decode(cases[i].text, &objective, NULL), FST_OK);
        assert_int_equal(objective_is_kept(&objective, &latency), cases[i].is_kept);
        assert_int_equal(objective_fullness(&objective, &latency) <= 1, cases[i].is_kept);
        assert_false(objective_is_kept(&objective, &empty));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_kept_and_missed),
    };
    return cmocka_run_group_tests_name("bench/objective", tests, NULL, NULL);
}
