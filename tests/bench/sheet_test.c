/* Shows how a micro benchmark comes to its figures: with a clock that moves by what the measured
 * code says it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/sheet.h"

enum { TEXT_BYTES = 4096 };

struct work {
    uint64_t now_ns;
    uint64_t turn_ns;
    const uint64_t *factors; /* of the last runs: one after another */
    uint64_t least_ns;       /* a run shorter than that only looks for the number of turns */
    uint32_t long_runs_count;
    uint64_t turns; /* of the last run */
};

static uint64_t work_clock(void *context) {
    return ((struct work *)context)->now_ns;
}

static void work_run(void *context, uint64_t turns) {
    struct work *work = context;
    uint64_t factor = 1;
    if (turns * work->turn_ns >= work->least_ns) {
        factor = work->long_runs_count ? work->factors[work->long_runs_count - 1] : 1;
        work->long_runs_count++;
    }
    work->turns = turns;
    work->now_ns += turns * work->turn_ns * factor;
}

static char text[TEXT_BYTES];

static double work_measure(struct work *work, uint64_t units, bool is_json) {
    struct sheet sheet;
    struct sheet_options options = {.repeat = 5, .run = 1000, .json = is_json};
    sheet_init(&sheet, "micro_test", &options);
    memset(text, 0, sizeof text);
    sheet.out = fmemopen(text, sizeof text, "w");
    assert_non_null(sheet.out);
    sheet.clock_ns = work_clock;
    sheet.clock = work;
    double ns = sheet_measure(&sheet, &(struct sheet_case){.name = "work",
                                                           .unit = "thing",
                                                           .units = units,
                                                           .bytes = 100,
                                                           .run = work_run,
                                                           .context = work});
    fclose(sheet.out);
    return ns;
}

/* Five long runs follow the one that finds how many turns it takes; one outlier moves the spread,
 * and not the median. */
static void test_median_and_spread(void **state) {
    (void)state;
    static const uint64_t factors[] = {2, 1, 1, 3, 1};
    struct work work = {.turn_ns = 50, .factors = factors, .least_ns = 1000000};
    double ns = work_measure(&work, 1, true);
    assert_true(ns == 50);
    assert_int_equal(work.long_runs_count, 6);
    assert_true(work.turns * 50 >= 1000000 && work.turns <= 200000);
    assert_non_null(strstr(text, "\"case\":\"work\",\"unit\":\"thing\",\"ns\":50.000,"));
    assert_non_null(strstr(text, "\"spread\":2.0000,\"per_s\":20000000,\"mb_per_s\":2000,"));
}

static void test_units_share_a_turn(void **state) {
    (void)state;
    static const uint64_t factors[] = {1, 1, 1, 1, 1};
    struct work work = {.turn_ns = 5000, .factors = factors, .least_ns = 1000000};
    assert_true(work_measure(&work, 100, false) == 50);
    assert_non_null(strstr(text, "micro_test"));
    assert_non_null(strstr(text, "50.00     0.0%       20000000       2000  a thing"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median_and_spread),
        cmocka_unit_test(test_units_share_a_turn),
    };
    return cmocka_run_group_tests_name("bench/sheet", tests, NULL, NULL);
}
