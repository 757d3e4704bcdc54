/* Shows that the search finds the largest rate that keeps the objective: against servers that keep
 * it up to a known rate, always or mostly, with a seed that is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/fsbench/rate_search.h"
#include "tests/base/random.h"

enum { RATE_MAX = 100000000 };

static void search_check(const struct rate_search *search) {
    if (search->missed) assert_true(search->kept < search->missed);
    assert_true(search->probes_count <= RATE_SEARCH_PROBES_MAX);
    if (!rate_search_is_running(search)) return;
    assert_true(search->rate >= search->rate_min && search->rate <= search->rate_max);
}

static void test_finds_the_edge(void **state) {
    (void)state;
    static const uint64_t edges[] = {1, 2, 3, 49, 99, 12345, 987654, 99999999, RATE_MAX};
    static const uint64_t firsts[] = {1, 10000, RATE_MAX};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        for (size_t k = 0; k < sizeof firsts / sizeof firsts[0]; k++) {
            print_message("  edge %u from %u\n", (unsigned)edges[i], (unsigned)firsts[k]);
            struct rate_search search;
            rate_search_init(&search, firsts[k], 1, RATE_MAX);
            uint32_t same_count = 0;
            for (uint64_t last = 0; rate_search_is_running(&search); last = search.kept) {
                if (search.rate == last) same_count++;
                rate_search_put(&search, search.rate <= edges[i]);
                search_check(&search);
            }
            assert_int_equal(search.state, RATE_SEARCH_FOUND);
            assert_int_equal(search.rate, search.kept);
            assert_int_equal(same_count, 1); /* the second run */
            assert_true(search.kept <= edges[i]);
            assert_true(search.kept + 1 >= edges[i] || search.kept >= edges[i] * 0.98);
            assert_true(search.probes_count <= 40);
        }
    }
}

static void test_fails_where_no_rate_is_kept(void **state) {
    (void)state;
    struct rate_search search;
    rate_search_init(&search, 10000, 1, RATE_MAX);
    while (rate_search_is_running(&search)) rate_search_put(&search, false);
    assert_int_equal(search.state, RATE_SEARCH_FAILED);
    assert_int_equal(search.missed, 1);
    rate_search_init(&search, 10, 7000, RATE_MAX);
    assert_int_equal(search.rate, 7000);
    rate_search_init(&search, 10000, 7000, RATE_MAX);
    while (rate_search_is_running(&search)) {
        search_check(&search);
        rate_search_put(&search, false);
    }
    assert_int_equal(search.state, RATE_SEARCH_FAILED);
    assert_int_equal(search.missed, 7000);
}

/* A rate that was kept once and missed in the second run is not the answer. */
static void test_luck_is_not_believed(void **state) {
    (void)state;
    struct rate_search search;
    rate_search_init(&search, 1000, 1, RATE_MAX);
    while (search.state != RATE_SEARCH_VERIFY) rate_search_put(&search, search.rate <= 1500);
    uint64_t lucky = search.kept;
    rate_search_put(&search, false);
    assert_int_equal(search.state, RATE_SEARCH_LOWER);
    assert_true(search.rate < lucky && search.rate >= lucky * 0.94);
    rate_search_put(&search, false);
    assert_int_equal(search.state, RATE_SEARCH_LOWER);
    uint64_t lower = search.rate;
    rate_search_put(&search, true);
    assert_int_equal(search.state, RATE_SEARCH_VERIFY);
    assert_int_equal(search.rate, lower);
    rate_search_put(&search, true);
    assert_int_equal(search.state, RATE_SEARCH_FOUND);
    assert_int_equal(search.rate, lower);
}

/* Near the edge the objective is sometimes kept and sometimes not; every answer was kept twice. */
static void test_noise_ends(void **state) {
    (void)state;
    struct random random = random_of_environment();
    for (int round = 0; round < 2000; round++) {
        struct rate_search search;
        rate_search_init(&search, 1 + random_below(&random, 100000), 1, RATE_MAX);
        uint64_t edge = 1 + random_below(&random, 1000000), kept[RATE_SEARCH_PROBES_MAX] = {0};
        while (rate_search_is_running(&search)) {
            uint64_t rate = search.rate;
            uint64_t luck = edge / 5 + random_below(&random, edge + 1);
            bool is_kept = rate <= luck;
            if (is_kept) kept[search.probes_count] = rate;
            rate_search_put(&search, is_kept);
            search_check(&search);
        }
        uint32_t same_count = 0;
        for (uint32_t i = 0; i < search.probes_count; i++) same_count += kept[i] == search.rate;
        if (search.state == RATE_SEARCH_FOUND) assert_true(same_count >= 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_edge),
        cmocka_unit_test(test_fails_where_no_rate_is_kept),
        cmocka_unit_test(test_luck_is_not_believed),
        cmocka_unit_test(test_noise_ends),
    };
    return cmocka_run_group_tests_name("bench/rate_search", tests, NULL, NULL);
}
