/* Shows that keys follow the distribution asked for: in range for every count, uniform and Zipf
 * frequencies within five standard deviations of the exact ones, and popular keys spread apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "bench/fsbench/item.h"
#include "bench/fsbench/key_stream.h"

enum { DRAWS = 1000000 };

static void test_keys_are_in_range(void **state) {
    (void)state;
    static const uint64_t counts[] = {1, 2, 3, 7, 64, 1000, 1000003, UINT32_MAX, 1ull << 40};
    static const double exponents[] = {0, 0.5, 0.99, 0.999};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (size_t e = 0; e < sizeof exponents / sizeof exponents[0]; e++) {
            struct key_stream keys;
            key_stream_init(&keys, counts[c], exponents[e]);
            for (uint64_t seed = 0; seed < 2000; seed++) {
                uint64_t key = key_stream_get(&keys, mix_u64(seed), (uint32_t)seed % 100);
                assert_true(key < counts[c]);
                assert_int_equal(key, key_stream_get(&keys, mix_u64(seed), (uint32_t)seed % 100));
            }
        }
    }
}

static uint32_t *frequencies_count(const struct key_stream *keys) {
    uint32_t *counts = calloc(keys->keys_count, sizeof *counts);
    assert_non_null(counts);
    for (uint32_t i = 0; i < DRAWS; i++) counts[key_stream_get(keys, mix_u64(i / 10), i % 10)]++;
    return counts;
}

static void frequency_expect(uint32_t found, double share) {
    double wanted = share * DRAWS;
    assert_true(fabs(found - wanted) <= 5 * sqrt(wanted) + 1);
}

static void test_uniform_keys_are_equally_frequent(void **state) {
    (void)state;
    struct key_stream keys;
    key_stream_init(&keys, 1000, 0);
    uint32_t *counts = frequencies_count(&keys);
    for (uint32_t i = 0; i < 1000; i++) frequency_expect(counts[i], 1e-3);
    free(counts);
}

static int count_compare(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a < b) - (a > b);
}

/* The method of Gray et al. is exact for the first two ranks and within some per cent after them.
 * */
static void test_zipf_keys_are_as_frequent_as_their_ranks(void **state) {
    (void)state;
    const double exponent = 0.99;
    struct key_stream keys;
    key_stream_init(&keys, 10000, exponent);
    double zeta = 0;
    for (int i = 1; i <= 10000; i++) zeta += pow(i, -exponent);
    uint32_t *counts = frequencies_count(&keys);
    qsort(counts, 10000, sizeof counts[0], count_compare);
    frequency_expect(counts[0], 1 / zeta);
    frequency_expect(counts[1], pow(2, -exponent) / zeta);
    double head = 0, head_wanted = 0;
    for (int i = 0; i < 100; i++) {
        head += counts[i];
        head_wanted += pow(i + 1, -exponent) / zeta * DRAWS;
    }
    assert_true(fabs(head / head_wanted - 1) < 0.05);
    free(counts);
}

static void test_popular_keys_lie_apart(void **state) {
    (void)state;
    struct key_stream keys;
    key_stream_init(&keys, 10000, 0.99);
    uint32_t *counts = frequencies_count(&keys);
    for (uint32_t i = 0; i + 1 < 10000; i++)
        assert_false(counts[i] > DRAWS / 100 && counts[i + 1] > DRAWS / 100);
    free(counts);
}

/* The share asked for, whatever the keys; and none where none is asked for. */
static void test_misses_have_their_share(void **state) {
    (void)state;
    static const double shares[] = {0, 0.001, 0.1, 1};
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        struct key_stream keys;
        key_stream_init(&keys, 1000, 0.99);
        keys.miss_share = shares[i];
        uint32_t count = 0, popular_count = 0, popular_misses = 0;
        for (uint32_t k = 0; k < DRAWS; k++) {
            bool is_miss = key_stream_is_miss(&keys, k / 10, k % 10);
            bool is_popular = key_stream_get(&keys, k / 10, k % 10) == 0;
            count += is_miss;
            popular_count += is_popular;
            popular_misses += is_miss && is_popular;
        }
        double error_max = 5 * sqrt(shares[i] * (1 - shares[i]) / DRAWS);
        assert_true(fabs((double)count / DRAWS - shares[i]) <= error_max);
        double popular = (double)popular_misses / popular_count;
        assert_true(fabs(popular - shares[i]) <=
                    5 * sqrt(shares[i] * (1 - shares[i]) / popular_count));
    }
}

/* Every bit of a wrong key, version or value is noticed. */
static void test_items_tell_keys_versions_and_columns_apart(void **state) {
    (void)state;
    uint8_t values[50 * 8];
    item_fill(values, 50, 42, 1000);
    assert_int_equal(item_check(values, 50, 42, 1000), 50);
    assert_int_equal(item_check(values, 50, 43, 1000), 0);
    assert_int_equal(item_check(values, 50, 42, 1001), 0);
    for (uint32_t bit = 0; bit < sizeof values * 8; bit++) {
        values[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(item_check(values, 50, 42, 1000), bit / 64);
        values[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    for (uint32_t i = 0; i < 50; i++) {
        double value;
        memcpy(&value, values + (size_t)i * 8, sizeof value);
        assert_true(value >= 1 && value < 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_in_range),
        cmocka_unit_test(test_uniform_keys_are_equally_frequent),
        cmocka_unit_test(test_zipf_keys_are_as_frequent_as_their_ranks),
        cmocka_unit_test(test_popular_keys_lie_apart),
        cmocka_unit_test(test_misses_have_their_share),
        cmocka_unit_test(test_items_tell_keys_versions_and_columns_apart),
    };
    return cmocka_run_group_tests_name("bench/key_stream", tests, NULL, NULL);
}
