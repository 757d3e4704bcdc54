/* Definitions count as adopted when the last shard has adopted them, or newer ones. */
#include "shard/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

static const struct adopted_case {
    const char *name;
    uint64_t adopted[3];
    uint64_t number;
    bool is_adopted;
} adopted_cases[] = {
    {"all from the start", {1, 1, 1}, 1, true},  {"the first is behind", {1, 2, 2}, 2, false},
    {"the last is behind", {2, 2, 1}, 2, false}, {"all have come", {2, 2, 2}, 2, true},
    {"some are ahead", {3, 2, 4}, 2, true},
};

static void test_adopted(void **state) {
    (void)state;
    size_t bytes = bytes_align(sizeof(struct engine), 64);
    struct engine *engine = aligned_alloc(64, bytes);
    assert_non_null(engine);
    memset(engine, 0, bytes);
    engine->shards_count = 3;
    for (size_t i = 0; i < sizeof adopted_cases / sizeof adopted_cases[0]; i++) {
        const struct adopted_case *c = &adopted_cases[i];
        print_message("  %s\n", c->name);
        for (uint32_t s = 0; s < 3; s++) atomic_store(&engine->adopted[s], c->adopted[s]);
        assert_int_equal(engine_is_adopted(engine, c->number), c->is_adopted);
    }
    free(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adopted),
    };
    return cmocka_run_group_tests_name("shard/engine", tests, NULL, NULL);
}
