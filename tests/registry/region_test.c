/* Pieces of random sizes keep what is written to them, are aligned and zeroed, and end at the
 * limit, from where on the region stays failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "registry/region.h"
#include "tests/base/random.h"

enum { PIECES = 3000, PIECE_BYTES_MAX = 200000 };

static void test_pieces_keep_their_bytes(void **state) {
    (void)state;
    struct random random = random_of_environment();
    struct region region;
    region_init(&region, (size_t)1 << 30);
    static uint8_t *pieces[PIECES];
    static size_t sizes[PIECES];
    for (uint32_t i = 0; i < PIECES; i++) {
        bool is_large = random_below(&random, 100) == 0;
        sizes[i] = random_below(&random, is_large ? PIECE_BYTES_MAX : 200);
        pieces[i] = region_get(&region, sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(pieces[i][b], 0);
        memset(pieces[i], (int)(i % 255) + 1, sizes[i]);
    }
    for (uint32_t i = 0; i < PIECES; i++) {
        for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(pieces[i][b], i % 255 + 1);
    }
    assert_false(region.failed);
    region_deinit(&region);
}

static void test_limit(void **state) {
    (void)state;
    struct region region;
    region_init(&region, 1000);
    assert_non_null(region_get(&region, 600));
    assert_non_null(region_get(&region, 400));
    assert_false(region.failed);
    assert_non_null(region_get(&region, 0));
    assert_null(region_get(&region, 1));
    assert_true(region.failed);
    assert_null(region_get(&region, 0));
    assert_null(region_get_text(&region, "a", 1));
    assert_null(region_get_format(&region, "%d", 1));
    region_deinit(&region);
    region_init(&region, 1000);
    assert_null(region_get(&region, SIZE_MAX));
    region_deinit(&region);
}

static void test_texts(void **state) {
    (void)state;
    struct region region;
    region_init(&region, 1000);
    assert_string_equal(region_get_text(&region, "abcdef", 3), "abc");
    assert_string_equal(region_get_text(&region, NULL, 0), "");
    assert_string_equal(region_get_format(&region, "%s-%d", "x", 7), "x-7");
    region_deinit(&region);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_keep_their_bytes),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests_name("registry/region", tests, NULL, NULL);
}
