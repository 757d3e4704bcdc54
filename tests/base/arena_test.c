/* Shows that pieces are aligned, apart and within the block, and that the last byte can be had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

static void test_pieces_are_aligned_and_apart(void **state) {
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, 4096), FST_OK);
    static const size_t sizes[] = {1, 16, 17, 0, 100, 15, 64};
    uint8_t *pieces[7];
    size_t taken_bytes = 0;
    for (size_t i = 0; i < 7; i++) {
        pieces[i] = arena_get(&arena, sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        taken_bytes += arena_piece_bytes(sizes[i]);
        assert_int_equal(arena.used_bytes, taken_bytes);
        memset(pieces[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < 7; i++) {
        for (size_t j = 0; j < sizes[i]; j++) assert_int_equal(pieces[i][j], i + 1);
    }
    arena_deinit(&arena);
}

static void test_full_at_the_limit(void **state) {
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, 128), FST_OK);
    assert_null(arena_get(&arena, 129));
    assert_null(arena_get(&arena, SIZE_MAX));
    assert_null(arena_get(&arena, SIZE_MAX - 8));
    assert_non_null(arena_get(&arena, 112));
    assert_null(arena_get(&arena, 17));
    uint8_t *last = arena_get(&arena, 16);
    assert_non_null(last);
    memset(last, 1, 16);
    assert_null(arena_get(&arena, 1));
    assert_non_null(arena_get(&arena, 0));
    arena_deinit(&arena);
}

static void test_reset_gives_all_back(void **state) {
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, 256), FST_OK);
    void *first = arena_get(&arena, 200);
    assert_null(arena_get(&arena, 200));
    arena_reset(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_ptr_equal(arena_get(&arena, 32), first);
    assert_int_equal(arena.peak_bytes, 208);
    arena_deinit(&arena);
}

static void test_reset_to_gives_back_what_came_last(void **state) {
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, 256), FST_OK);
    uint8_t *kept = arena_get(&arena, 40);
    memset(kept, 7, 40);
    size_t mark_bytes = arena.used_bytes;
    void *next = arena_get(&arena, 100);
    assert_non_null(arena_get(&arena, 20));
    arena_reset_to(&arena, mark_bytes);
    assert_int_equal(arena.used_bytes, mark_bytes);
    assert_ptr_equal(arena_get(&arena, 200), next);
    for (int i = 0; i < 40; i++) assert_int_equal(kept[i], 7);
    arena_deinit(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_aligned_and_apart),
        cmocka_unit_test(test_full_at_the_limit),
        cmocka_unit_test(test_reset_to_gives_back_what_came_last),
        cmocka_unit_test(test_reset_gives_all_back),
    };
    return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
