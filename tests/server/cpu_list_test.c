/* Shows which processors a list names, for more and fewer shards than it has, and which texts are
 * refused: a table of cases; "auto" against what the kernel allows this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "server/cpu_list.h"

enum { SHARDS_MAX = 6, GUARD = -7 };

struct list_case {
    const char *text;
    uint32_t shards_count;
    int cpus[SHARDS_MAX];
};

static const struct list_case good[] = {
    {"none", 2, {-1, -1}}, {"0", 1, {0}},
    {"3", 3, {3, 3, 3}},   {"0,2-5", 5, {0, 2, 3, 4, 5}},
    {"0,2-5", 2, {0, 2}},  {"0,2-5", 6, {0, 2, 3, 4, 5, 0}}, /* From the start again. */
    {"5-5", 1, {5}},       {"7,1,7", 4, {7, 1, 7, 7}},
    {"1023", 1, {1023}},   {"0-1023", 2, {0, 1}},
};

static const char *const bad[] = {
    "",   ",",     "a",    "0,",     ",0",     "0,,1",  "1-", "-1",  "5-2", "0 ",
    " 0", "0-1-2", "1024", "0-1024", "auto,1", "nones", "+1", "0x1", "1;2", "99999999999999999999",
};

static void test_lists(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int cpus[SHARDS_MAX + 1];
        for (int s = 0; s <= SHARDS_MAX; s++) cpus[s] = GUARD;
        struct fst_error error = {.text = ""};
        assert_int_equal(cpu_list_decode(good[i].text, good[i].shards_count, cpus, &error), FST_OK);
        for (uint32_t s = 0; s < good[i].shards_count; s++) {
            if (cpus[s] != good[i].cpus[s]) print_message("'%s' shard %u\n", good[i].text, s);
            assert_int_equal(cpus[s], good[i].cpus[s]);
        }
        assert_int_equal(cpus[good[i].shards_count], GUARD);
    }
}

static void test_bad_lists(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int cpus[SHARDS_MAX];
        char text[64];
        struct fst_error error = {.text = ""};
        enum fst_status status = cpu_list_decode(bad[i], 2, cpus, &error);
        if (status != FST_INVALID) print_message("'%s'\n", bad[i]);
        assert_int_equal(status, FST_INVALID);
        snprintf(text, sizeof text, "found '%s'", bad[i]);
        assert_non_null(strstr(error.text, text));
    }
}

/* Each shard its own processor in rising order, or none at all when there are too few. */
static void test_auto(void **state) {
    (void)state;
    enum { MANY = CPU_SETSIZE + 1 };
    cpu_set_t set;
    static int cpus[MANY];
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    uint32_t allowed_count = (uint32_t)CPU_COUNT(&set);
    assert_int_equal(cpu_list_decode("auto", allowed_count, cpus, NULL), FST_OK);
    for (uint32_t s = 0; s < allowed_count; s++) {
        assert_true(CPU_ISSET((size_t)cpus[s], &set));
        assert_true(s == 0 || cpus[s] > cpus[s - 1]);
    }
    assert_int_equal(cpu_list_decode("auto", allowed_count + 1, cpus, NULL), FST_OK);
    for (uint32_t s = 0; s <= allowed_count; s++) assert_int_equal(cpus[s], -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_bad_lists),
        cmocka_unit_test(test_auto),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
