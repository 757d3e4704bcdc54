/* Starts, restarts, removes and expires deadlines at random beside an array of their times, and
 * checks that exactly those that are due come out, earliest first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/deadline.h"
#include "tests/base/random.h"

enum { DEADLINES = 50, STEPS = 50000, DURATION_US = 700 };

static void test_matches_oracle(void **state) {
    (void)state;
    struct random random = random_of_environment();
    struct deadlines list = {.duration_us = DURATION_US};
    struct deadline deadlines[DEADLINES] = {{.list = NULL}};
    int64_t oracle_us[DEADLINES];
    for (int i = 0; i < DEADLINES; i++) oracle_us[i] = INT64_MAX;
    int64_t now_us = 0;
    int expired = 0;
    for (int step = 0; step < STEPS; step++) {
        now_us += (int64_t)random_below(&random, 20);
        uint64_t i = random_below(&random, DEADLINES);
        if (random_below(&random, 3) == 0) {
            deadline_remove(&deadlines[i]);
            oracle_us[i] = INT64_MAX;
        } else {
            deadline_put(&list, &deadlines[i], now_us);
            oracle_us[i] = now_us + DURATION_US;
        }
        int64_t earliest_us = INT64_MAX;
        for (int j = 0; j < DEADLINES; j++) {
            if (oracle_us[j] < earliest_us) earliest_us = oracle_us[j];
        }
        struct deadline *due = NULL;
        while ((due = deadlines_due(&list, now_us)) != NULL) {
            assert_true(oracle_us[due - deadlines] <= now_us);
            oracle_us[due - deadlines] = INT64_MAX;
            deadline_remove(due);
            expired += 1;
        }
        for (int j = 0; j < DEADLINES; j++) {
            assert_true(oracle_us[j] > now_us);
            assert_int_equal(deadlines[j].list != NULL, oracle_us[j] != INT64_MAX);
        }
        if (list.first && earliest_us > now_us) assert_true(list.first->at_us == earliest_us);
        assert_true(deadlines_check(&list));
    }
    assert_true(expired > 1000);
}

/* At its time a deadline is due; one microsecond before it is not. */
static void test_due_exactly(void **state) {
    (void)state;
    struct deadlines list = {.duration_us = DURATION_US};
    struct deadline deadline = {.list = NULL};
    deadline_put(&list, &deadline, 5);
    assert_null(deadlines_due(&list, 5 + DURATION_US - 1));
    assert_ptr_equal(deadlines_due(&list, 5 + DURATION_US), &deadline);
    deadline_put(&list, &deadline, 6);
    assert_null(deadlines_due(&list, 5 + DURATION_US));
    deadline_remove(&deadline);
    deadline_remove(&deadline);
    assert_null(deadlines_due(&list, INT64_MAX));
}

static void test_check_finds_damage(void **state) {
    (void)state;
    struct deadlines list = {.duration_us = DURATION_US};
    struct deadline deadlines[3] = {{.list = NULL}};
    for (int i = 0; i < 3; i++) deadline_put(&list, &deadlines[i], i);
    assert_true(deadlines_check(&list));
    deadlines[1].at_us = 10000;
    assert_false(deadlines_check(&list));
    deadlines[1].at_us = 1 + DURATION_US;
    deadlines[2].previous = &deadlines[0];
    assert_false(deadlines_check(&list));
    deadlines[2].previous = &deadlines[1];
    list.last = &deadlines[1];
    assert_false(deadlines_check(&list));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_oracle),
        cmocka_unit_test(test_due_exactly),
        cmocka_unit_test(test_check_finds_damage),
    };
    return cmocka_run_group_tests_name("net/deadline", tests, NULL, NULL);
}
