/* Takes and gives back objects at random beside a list of those that are out, and breaks lists to
 * see that the check finds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/pool.h"
#include "tests/base/random.h"

enum { OBJECTS = 37, OBJECT_BYTES = 100 };

static void test_matches_oracle(void **state) {
    (void)state;
    struct random random = random_of_environment();
    struct pool pool;
    assert_int_equal(pool_init(&pool, OBJECT_BYTES, OBJECTS), FST_OK);
    uint8_t *out[OBJECTS];
    uint8_t fill[OBJECTS];
    uint32_t out_count = 0;
    for (uint32_t step = 0; step < 20000; step++) {
        if (random_below(&random, 2) == 0) {
            uint8_t *object = pool_get(&pool);
            assert_int_equal(object == NULL, out_count == OBJECTS);
            if (!object) continue;
            assert_int_equal((uintptr_t)object % 64, 0);
            fill[out_count] = (uint8_t)step;
            memset(object, (uint8_t)step, OBJECT_BYTES);
            out[out_count++] = object;
        } else if (out_count > 0) {
            uint64_t i = random_below(&random, out_count);
            for (size_t j = 0; j < OBJECT_BYTES; j++) assert_int_equal(out[i][j], fill[i]);
            pool_put(&pool, out[i]);
            out_count -= 1;
            out[i] = out[out_count];
            fill[i] = fill[out_count];
        }
        assert_int_equal(pool.objects_used, out_count);
        assert_int_equal(pool_check(&pool), FST_OK);
    }
    pool_deinit(&pool);
}

static void test_all_objects_can_be_had(void **state) {
    (void)state;
    struct pool pool;
    assert_int_equal(pool_init(&pool, 1, OBJECTS), FST_OK);
    assert_int_equal(pool.object_bytes, 64);
    for (uint32_t i = 0; i < OBJECTS; i++) assert_non_null(pool_get(&pool));
    assert_null(pool_get(&pool));
    assert_int_equal(pool_check(&pool), FST_OK);
    pool_deinit(&pool);
}

static void test_check_finds_damage(void **state) {
    (void)state;
    struct pool pool;
    assert_int_equal(pool_init(&pool, 64, 4), FST_OK);
    void *a = pool_get(&pool);
    void *b = pool_get(&pool);
    pool_put(&pool, a);
    pool_put(&pool, b);
    void *next;
    memcpy(&next, b, sizeof next);

    memcpy(b, &b, sizeof b); /* A circle. */
    assert_int_equal(pool_check(&pool), FST_CORRUPT);
    void *stray = (uint8_t *)a + 8;
    memcpy(b, &stray, sizeof stray);
    assert_int_equal(pool_check(&pool), FST_CORRUPT);
    memset(b, 0, sizeof next); /* One is missing. */
    assert_int_equal(pool_check(&pool), FST_CORRUPT);
    memcpy(b, &next, sizeof next);
    assert_int_equal(pool_check(&pool), FST_OK);
    pool_deinit(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_oracle),
        cmocka_unit_test(test_all_objects_can_be_had),
        cmocka_unit_test(test_check_finds_damage),
    };
    return cmocka_run_group_tests_name("base/pool", tests, NULL, NULL);
}
