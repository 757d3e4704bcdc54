/* Shows which runs are the load generator's own fault: a table of runs and their verdicts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/fsbench/verdict.h"

static const struct verdict_case {
    const char *name;
    struct verdict_facts facts; /* open loop, server known, p99 and allowed lateness, busy */
    enum verdict verdict;
} cases[] = {
    {"quiet", {true, true, 10, 250, 0.2, 0.3}, VERDICT_TRUSTED},
    {"late", {true, true, 251, 250, 0.2, 0.3}, VERDICT_LATE},
    {"as late as allowed", {true, true, 250, 250, 0.2, 0.3}, VERDICT_TRUSTED},
    {"late, and anything is allowed", {true, true, 251, 0, 0.2, 0.3}, VERDICT_TRUSTED},
    {"late beside a busy server", {true, true, 251, 250, 0.2, 1}, VERDICT_LATE},
    {"no time left, the server has", {true, true, 10, 250, 0.99, 0.5}, VERDICT_SATURATED},
    {"no time left, nor has the server", {true, true, 10, 250, 0.99, 0.97}, VERDICT_TRUSTED},
    {"no time left, server unknown", {true, false, 10, 250, 0.99, 0}, VERDICT_TRUSTED},
    {"closed loop has no lateness", {false, true, 251, 250, 0.2, 0.3}, VERDICT_TRUSTED},
    {"closed loop, no time left", {false, true, 0, 250, 0.99, 0.5}, VERDICT_SATURATED},
};

static void test_verdicts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("  %s\n", cases[i].name);
        assert_int_equal(verdict_of(&cases[i].facts), cases[i].verdict);
    }
    assert_string_equal(verdict_name(VERDICT_TRUSTED), "no");
    assert_string_equal(verdict_name(VERDICT_LATE), "lateness");
    assert_string_equal(verdict_name(VERDICT_SATURATED), "processor");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_verdicts)};
    return cmocka_run_group_tests_name("bench/verdict", tests, NULL, NULL);
}
