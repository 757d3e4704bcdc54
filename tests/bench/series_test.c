/* Shows that a run is cut into intervals without a gap, and that each answer is in the interval in
 * which it came, with times that the test makes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "bench/fsbench/series.h"

enum { TAKEN_MAX = 16 };

struct taken {
    uint32_t count;
    struct interval intervals[TAKEN_MAX];
};

static struct taken taken;
static struct series series;

static void interval_keep(void *context, const struct interval *interval) {
    struct taken *kept = context;
    assert_true(kept->count < TAKEN_MAX);
    kept->intervals[kept->count++] = *interval;
}

static void series_begin(uint64_t begin_ns, uint64_t end_ns, uint64_t step_ns) {
    taken.count = 0;
    series_init(&series, &(struct series_options){.begin_ns = begin_ns,
                                                  .end_ns = end_ns,
                                                  .step_ns = step_ns,
                                                  .take = interval_keep,
                                                  .context = &taken});
}

static void test_intervals_fill_the_run(void **state) {
    (void)state;
    static const struct fill_case {
        uint64_t end_ns, step_ns;
        uint32_t count;
        uint64_t last_ns;
    } cases[] = {{1000, 100, 10, 100},  {1000, 300, 4, 100}, {1000, 1000, 1, 1000},
                 {1000, 5000, 1, 1000}, {1000, 0, 0, 0},     {0, 100, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        series_begin(7000, 7000 + cases[i].end_ns, cases[i].step_ns);
        series_put(&series, 7000, 1, false);
        series_end(&series);
        assert_int_equal(taken.count, cases[i].count);
        uint64_t at_ns = 0;
        for (uint32_t k = 0; k < taken.count; k++) {
            assert_int_equal(taken.intervals[k].begin_ns, at_ns);
            at_ns += taken.intervals[k].elapsed_ns;
        }
        if (taken.count == 0) continue;
        assert_int_equal(at_ns, cases[i].end_ns);
        assert_int_equal(taken.intervals[taken.count - 1].elapsed_ns, cases[i].last_ns);
    }
}

static void test_answers_are_in_their_intervals(void **state) {
    (void)state;
    series_begin(1000, 1400, 100);
    series_put(&series, 1000, 5, false);
    series_put(&series, 1099, 6, true);
    series_put(&series, 1100, 7, false); /* the next one begins with it */
    series_put_refused(&series, 1101);
    assert_int_equal(taken.count, 1);
    series_advance(&series, 1399); /* nothing came for long */
    assert_int_equal(taken.count, 3);
    series_advance(&series, 5000); /* the last waits for what is still out */
    assert_int_equal(taken.count, 3);
    series_put(&series, 5000, 9, false);
    series_end(&series);
    assert_int_equal(taken.count, 4);
    static const uint64_t reads[] = {1, 1, 0, 1}, writes[] = {1, 0, 0, 0}, refused[] = {0, 1, 0, 0};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(taken.intervals[i].read_ns.count, reads[i]);
        assert_int_equal(taken.intervals[i].write_ns.count, writes[i]);
        assert_int_equal(taken.intervals[i].refused_count, refused[i]);
    }
    assert_int_equal(taken.intervals[0].read_ns.max, 5);
    assert_int_equal(taken.intervals[1].read_ns.max, 7);
    assert_int_equal(taken.intervals[3].read_ns.max, 9);
    series_put(&series, 6000, 1, false); /* too late, and no harm */
    series_end(&series);
    assert_int_equal(taken.count, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intervals_fill_the_run),
        cmocka_unit_test(test_answers_are_in_their_intervals),
    };
    return cmocka_run_group_tests_name("bench/series", tests, NULL, NULL);
}
