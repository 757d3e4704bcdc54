/* Counts on several threads at once and compares the sums, and reads the text form line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"

enum { THREADS = 3, ADDS = 100000 };

static void *count(void *context) {
    struct metrics *metrics = context;
    for (uint64_t i = 0; i < ADDS; i++) {
        metrics_add(metrics, METRIC_REQUESTS, 1);
        metrics_add(metrics, METRIC_BYTES_IN, 10);
    }
    return NULL;
}

static void test_threads_are_summed(void **state) {
    (void)state;
    static struct metrics metrics[THREADS];
    const struct metrics *arrays[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        arrays[i] = &metrics[i];
        assert_int_equal(pthread_create(&threads[i], NULL, count, &metrics[i]), 0);
    }
    uint64_t last = 0;
    for (int i = 0; i < 1000; i++) { /* Beside the writers: it only rises. */
        uint64_t now = metrics_sum(arrays, THREADS, METRIC_REQUESTS);
        assert_true(now >= last);
        last = now;
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(metrics_sum(arrays, THREADS, METRIC_REQUESTS), THREADS * ADDS);
    assert_int_equal(metrics_sum(arrays, THREADS, METRIC_BYTES_IN), THREADS * ADDS * 10);
    assert_int_equal(metrics_sum(arrays, THREADS, METRIC_GETS), 0);
}

static void test_gauge_over_two_threads(void **state) {
    (void)state;
    static struct metrics metrics[2];
    const struct metrics *arrays[] = {&metrics[0], &metrics[1]};
    metrics_add(&metrics[0], METRIC_CONNECTIONS, 5);
    metrics_subtract(&metrics[1], METRIC_CONNECTIONS, 2);
    assert_int_equal(metrics_sum(arrays, 2, METRIC_CONNECTIONS), 3);
    assert_int_equal(metrics_get(&metrics[0], METRIC_CONNECTIONS), 5);
}

static void test_names_are_apart(void **state) {
    (void)state;
    for (int i = 0; i < METRICS_COUNT; i++) {
        const char *name = metric_name((enum metric)i);
        assert_true(strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name));
        assert_true(strlen(metric_help((enum metric)i)) > 0);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(name, metric_name((enum metric)j));
        }
    }
    assert_string_equal(metric_name(METRIC_KEYS_READ), "keys_read");
}

static void test_dump(void **state) {
    (void)state;
    static struct metrics metrics;
    const struct metrics *arrays[] = {&metrics};
    metrics_add(&metrics, METRIC_REQUESTS, 42);
    metrics_subtract(&metrics, METRIC_LOG_FILES, 1);
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    metrics_dump(arrays, 1, out);
    fclose(out);
    assert_non_null(strstr(text, "# TYPE fstore_requests counter\nfstore_requests 42\n"));
    assert_non_null(strstr(text, "# TYPE fstore_log_files gauge\nfstore_log_files -1\n"));
    int lines = 0;
    for (size_t i = 0; i < bytes; i++) lines += text[i] == '\n';
    assert_int_equal(lines, 3 * METRICS_COUNT);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_are_summed),
        cmocka_unit_test(test_gauge_over_two_threads),
        cmocka_unit_test(test_names_are_apart),
        cmocka_unit_test(test_dump),
    };
    return cmocka_run_group_tests_name("base/metrics", tests, NULL, NULL);
}
