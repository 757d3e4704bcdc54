/* Shows when requests of an open loop are due and who is blamed for a late one, with times that the
 * test makes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "bench/fsbench/schedule.h"

enum { SECOND = 1000000000 };

static struct schedule schedule; /* one at a time; large */

static void test_fixed_gaps_add_up(void **state) {
    (void)state;
    static const uint32_t rates[] = {1, 3, 7000, 3000000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        print_message("  %u requests per second\n", rates[i]);
        schedule_init(&schedule, &(struct schedule_options){.rate = rates[i],
                                                            .begin_ns = 5ull * SECOND,
                                                            .end_ns = 6ull * SECOND});
        assert_false(schedule_is_due(&schedule, 5ull * SECOND - 1));
        assert_true(schedule_is_due(&schedule, 5ull * SECOND));
        for (uint64_t k = 0; schedule_has_more(&schedule); k++) {
            double expected = 5e9 + (double)k * 1e9 / rates[i];
            assert_true(fabs((double)schedule_get(&schedule) - expected) < 10);
        }
        assert_false(schedule_is_due(&schedule, UINT64_MAX));
        schedule_init(&schedule, &(struct schedule_options){
                                     .rate = rates[i], .begin_ns = 0, .end_ns = SECOND});
        uint64_t count = schedule_drain(&schedule);
        assert_true(count >= rates[i] && count <= rates[i] + 1ull);
    }
}

/* Mean and variance of exponential gaps; a tenth of them is longer than 2.3 times the mean. */
static void test_poisson_gaps_are_exponential(void **state) {
    (void)state;
    enum { GAPS = 200000, RATE = 10000 };
    schedule_init(&schedule,
                  &(struct schedule_options){
                      .rate = RATE, .is_poisson = true, .seed = 42, .end_ns = UINT64_MAX});
    double sum = 0, squares = 0;
    uint32_t long_count = 0;
    uint64_t last_ns = schedule_get(&schedule);
    for (int i = 0; i < GAPS; i++) {
        uint64_t due_ns = schedule_get(&schedule);
        assert_true(due_ns >= last_ns);
        double gap = (double)(due_ns - last_ns) / (1e9 / RATE);
        sum += gap;
        squares += gap * gap;
        if (gap > log(10)) long_count++;
        last_ns = due_ns;
    }
    double mean = sum / GAPS;
    assert_true(fabs(mean - 1) < 0.01);
    assert_true(fabs(squares / GAPS - mean * mean - 1) < 0.03);
    assert_true(fabs((double)long_count / GAPS - 0.1) < 0.003);
}

static void test_seeds_give_other_gaps(void **state) {
    (void)state;
    struct schedule_options options = {.rate = 1000, .is_poisson = true, .end_ns = UINT64_MAX};
    uint64_t due[3];
    for (uint64_t seed = 0; seed < 3; seed++) {
        options.seed = seed == 2 ? 0 : seed * 77;
        schedule_init(&schedule, &options);
        for (int i = 0; i < 10; i++) due[seed] = schedule_get(&schedule);
    }
    assert_int_equal(due[0], due[2]);
    assert_int_not_equal(due[0], due[1]);
}

/* Late without a reason is the load's fault; late because there was no room is not, and neither is
 * what became due behind it before there was room again. */
static void test_lateness_is_the_loads_own(void **state) {
    (void)state;
    schedule_init(&schedule, &(struct schedule_options){.rate = 1000, .end_ns = SECOND});
    uint64_t due_ns = schedule_get(&schedule);
    schedule_put_sent(&schedule, due_ns, due_ns + 70000);
    assert_int_equal(schedule.held_count, 0);
    assert_int_equal(schedule.lateness_ns.count, 1);
    assert_int_equal(schedule.lateness_ns.max, 70000);
    schedule_put_full(&schedule, 1000000);
    schedule_put_full(&schedule, 3500000);
    for (int i = 0; i < 4; i++) { /* due at 1, 2, 3 and 4 ms */
        due_ns = schedule_get(&schedule);
        schedule_put_sent(&schedule, due_ns, 4000000);
    }
    assert_int_equal(schedule.held_count, 3);
    assert_int_equal(schedule.lateness_ns.count, 2);
    assert_int_equal(schedule.lateness_ns.max, 70000);
    assert_int_equal(schedule.lateness_ns.min, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_gaps_add_up),
        cmocka_unit_test(test_poisson_gaps_are_exponential),
        cmocka_unit_test(test_seeds_give_other_gaps),
        cmocka_unit_test(test_lateness_is_the_loads_own),
    };
    return cmocka_run_group_tests_name("bench/schedule", tests, NULL, NULL);
}
