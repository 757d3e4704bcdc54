/* Shows how the busiest thread of a server is found: from two made-up pictures of it, and of this
 * process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "bench/fsbench/process.h"

static void test_busiest_thread(void **state) {
    (void)state;
    const struct process_times before = {.threads_count = 2, .threads = {{10, 500}, {11, 90}}};
    const struct process_times after = {.threads_count = 3,
                                        .threads = {{11, 290}, {12, 150}, {10, 600}}};
    assert_int_equal(process_times_busiest_ns(&before, &after), 200); /* thread 11 */
    const struct process_times other = {.threads_count = 1, .threads = {{13, 900}}};
    assert_int_equal(process_times_busiest_ns(&before, &other), 900); /* a new one, from 0 */
    const struct process_times none = {.threads_count = 0};
    assert_int_equal(process_times_busiest_ns(&before, &none), 0);
}

static void test_own_threads_are_seen(void **state) {
    (void)state;
    struct process_times times;
    process_times_get((uint32_t)getpid(), &times);
    bool is_seen = false;
    for (uint32_t i = 0; i < times.threads_count; i++)
        is_seen = is_seen || times.threads[i].id == (uint32_t)gettid();
    assert_true(is_seen);
    process_times_get(UINT32_MAX, &times);
    assert_int_equal(times.threads_count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_busiest_thread),
        cmocka_unit_test(test_own_threads_are_seen),
    };
    return cmocka_run_group_tests_name("bench/process", tests, NULL, NULL);
}
