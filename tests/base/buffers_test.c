/* Takes buffers of every size until none is left, and gives them back at random: each goes to where
 * it came from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <string.h>

#include "base/buffers.h"
#include "tests/base/random.h"

static const struct buffers_size sizes[] = {{100, 3}, {4096, 2}, {65536, 1}};
enum { SIZES = 3, BUFFERS = 6 };

static void test_smallest_that_fits(void **state) {
    (void)state;
    struct buffers buffers;
    assert_int_equal(buffers_init(&buffers, sizes, SIZES), FST_OK);
    assert_int_equal(buffers_largest(&buffers), 65536);
    uint8_t *small = buffers_get(&buffers, 128); /* 100 is rounded up to whole lines. */
    assert_int_equal(buffers.pools[0].objects_used, 1);
    uint8_t *middle = buffers_get(&buffers, 129);
    assert_int_equal(buffers.pools[1].objects_used, 1);
    uint8_t *large = buffers_get(&buffers, 65536);
    assert_non_null(large);
    large[65535] = 1;
    assert_null(buffers_get(&buffers, 65536));
    assert_null(buffers_get(&buffers, 65537));
    buffers_put(&buffers, middle);
    buffers_put(&buffers, small);
    buffers_put(&buffers, large);
    for (size_t i = 0; i < SIZES; i++) assert_int_equal(buffers.pools[i].objects_used, 0);
    buffers_deinit(&buffers);
}

/* When the small ones are out, larger ones serve. */
static void test_all_can_be_had(void **state) {
    (void)state;
    struct random random = random_of_environment();
    struct buffers buffers;
    assert_int_equal(buffers_init(&buffers, sizes, SIZES), FST_OK);
    for (int round = 0; round < 500; round++) {
        uint8_t *out[BUFFERS];
        for (int i = 0; i < BUFFERS; i++) {
            assert_true(buffers_has(&buffers, 100));
            out[i] = buffers_get(&buffers, 100);
            assert_non_null(out[i]);
            memset(out[i], i, 100);
        }
        assert_false(buffers_has(&buffers, 1));
        assert_null(buffers_get(&buffers, 1));
        for (int left = BUFFERS; left > 0; left--) {
            uint64_t i = random_below(&random, (uint64_t)left);
            assert_int_equal(out[i][0], out[i][99]);
            buffers_put(&buffers, out[i]);
            out[i] = out[left - 1];
        }
        for (size_t i = 0; i < SIZES; i++) {
            assert_int_equal(buffers.pools[i].objects_used, 0);
            assert_int_equal(pool_check(&buffers.pools[i]), FST_OK);
        }
    }
    buffers_deinit(&buffers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smallest_that_fits),
        cmocka_unit_test(test_all_can_be_had),
    };
    return cmocka_run_group_tests_name("base/buffers", tests, NULL, NULL);
}
