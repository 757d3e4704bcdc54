/* Compares quantiles with those of the sorted values themselves: never below, at most 0.8 % above.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/histogram.h"
#include "tests/base/random.h"

enum { VALUES = 19993 }; /* No quantile is a whole number of them. */

static int compare_values(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void quantiles_check(const struct histogram *histogram, uint64_t *values, size_t count) {
    static const double quantiles[] = {0.0, 0.001, 0.5, 0.9, 0.99, 0.999, 1.0};
    qsort(values, count, sizeof *values, compare_values);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        double wanted = quantiles[i] * (double)count;
        size_t rank = wanted < 1 ? 1 : (size_t)wanted;
        if ((double)rank < wanted) rank++;
        uint64_t truth = values[rank - 1];
        uint64_t found = histogram_quantile(histogram, quantiles[i]);
        assert_true(found >= truth);
        assert_true((double)found <= (double)truth * (1.0 + 1.0 / 128));
    }
}

static void test_quantiles_match_sorted_values(void **state) {
    (void)state;
    struct random random = random_of_environment();
    struct histogram *histogram = malloc(sizeof *histogram);
    uint64_t *values = malloc(VALUES * sizeof *values);
    for (unsigned bits = 1; bits <= 40; bits += 3) {
        histogram_init(histogram);
        double sum = 0;
        for (size_t i = 0; i < VALUES; i++) {
            values[i] = random_get(&random) >> (64 - random_below(&random, bits) - 1);
            histogram_put(histogram, values[i]);
            sum += (double)values[i];
        }
        quantiles_check(histogram, values, VALUES);
        assert_int_equal(histogram->count, VALUES);
        assert_int_equal(histogram->min, values[0]);
        assert_int_equal(histogram->max, values[VALUES - 1]);
        assert_true(histogram_mean(histogram) == sum / VALUES);
    }
    free(values);
    free(histogram);
}

/* Every edge between buckets, from both sides. */
static void test_bucket_edges(void **state) {
    (void)state;
    struct histogram *histogram = malloc(sizeof *histogram);
    for (unsigned bit = 0; bit < HISTOGRAM_VALUE_BITS; bit++) {
        for (int64_t step = -1; step <= 1; step++) {
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)step;
            histogram_init(histogram);
            histogram_put(histogram, value);
            assert_int_equal(histogram_quantile(histogram, 1.0), value);
            histogram_put(histogram, (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1);
            uint64_t half = histogram_quantile(histogram, 0.5);
            assert_true(half >= value);
            assert_true((double)half <= (double)value * (1.0 + 1.0 / 128));
        }
    }
    free(histogram);
}

static void test_empty_and_too_large(void **state) {
    (void)state;
    struct histogram *histogram = malloc(sizeof *histogram);
    histogram_init(histogram);
    assert_int_equal(histogram_quantile(histogram, 0.5), 0);
    assert_true(histogram_mean(histogram) == 0.0);
    histogram_put(histogram, UINT64_MAX);
    assert_int_equal(histogram->max, (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1);
    assert_int_equal(histogram->buckets[HISTOGRAM_BUCKETS - 1], 1);
    free(histogram);
}

static void test_merge_is_counting_both(void **state) {
    (void)state;
    struct random random = random_of_environment();
    struct histogram *parts = malloc(3 * sizeof *parts);
    for (size_t i = 0; i < 3; i++) histogram_init(&parts[i]);
    uint64_t *values = malloc(VALUES * sizeof *values);
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = random_below(&random, 1000000);
        histogram_put(&parts[i % 2], values[i]);
    }
    histogram_merge(&parts[2], &parts[0]);
    histogram_merge(&parts[2], &parts[1]);
    quantiles_check(&parts[2], values, VALUES);
    assert_int_equal(parts[2].count, VALUES);
    assert_int_equal(parts[2].sum, parts[0].sum + parts[1].sum);
    assert_int_equal(parts[2].min, values[0]);
    assert_int_equal(parts[2].max, values[VALUES - 1]);
    free(values);
    free(parts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles_match_sorted_values),
        cmocka_unit_test(test_bucket_edges),
        cmocka_unit_test(test_empty_and_too_large),
        cmocka_unit_test(test_merge_is_counting_both),
    };
    return cmocka_run_group_tests_name("base/histogram", tests, NULL, NULL);
}
