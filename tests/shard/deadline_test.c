/* Shows that a GET is not served once its deadline has passed, and is before: also when it waits
 * for the turn of its connection, and when the tick itself takes long; and that a short tick reads
 * no clock for it. A whole shard runs its ticks, on a ring and a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/shard/shard_world.h"

enum {
    STEPS_MAX = 4,
    TURN_GETS = CONN_TURN_WORK / 2, /* a frame and a key each */
};

/* What one wait brings. */
struct step {
    int64_t at_us;
    uint32_t gets;
    int64_t deadline_us;
};

struct script {
    const struct step *next;
    int64_t reading_us;
};

static bool step_take(struct shard_world *world) {
    struct script *script = world->context;
    const struct step *step = script->next++;
    gate_clock_put(&world->clock, step->at_us, script->reading_us);
    world->clock.readings = 0;
    for (uint32_t i = 0; i < step->gets; i++) {
        shard_world_get(world,
                        &(struct world_get){.keys_count = 1, .deadline_us = step->deadline_us});
    }
    return true;
}

static struct shard_world *world_run(const struct step *steps, uint32_t steps_count,
                                     int64_t reading_us) {
    static bool (*const takes[STEPS_MAX])(struct shard_world *) = {step_take, step_take, step_take,
                                                                   step_take};
    struct shard_world *world = shard_world_create("plain:n", NULL);
    struct script script = {.next = steps, .reading_us = reading_us};
    world->context = &script;
    shard_world_run(world, takes, steps_count);
    return world;
}

/* All GETs are answered, in their order: the first `served` of them OK, the others TIMEOUT. */
static void replies_check(const struct shard_world *world, uint32_t served) {
    uint32_t replies = 0;
    for (size_t at = 0; at < world->sent_bytes; at += load_u32(world->sent + at)) {
        if (world->sent[at + 4] != FRAME_GET) continue;
        assert_int_equal(load_u32(world->sent + at + 8), WORLD_FIRST_GET + replies);
        assert_int_equal(load_u32(world->sent + at + 12), replies < served ? FST_OK : FST_TIMEOUT);
        replies += 1;
    }
    assert_int_equal(replies, world->gets_count);
    uint64_t late = world->gets_count - served;
    assert_int_equal(metrics_get(&world->metrics[0], METRIC_GETS_LATE), late);
    assert_int_equal(metrics_get(&world->metrics[0], METRIC_KEYS_READ), served);
}
/* What was received a microsecond before its end is served; a microsecond later it is not. New
 * requests of the same connection, behind those that waited, have their own time. */
static const struct waiting {
    const char *name;
    struct step steps[STEPS_MAX];
    uint32_t steps_count;
    uint32_t served;
} cases[] = {
    {"served at once", {{2000, 100, 1}}, 1, 100},
    {"no deadline", {{2000, TURN_GETS + 50, 0}, {9000000, 0, 0}}, 2, TURN_GETS + 50},
    {"just in time", {{2000, TURN_GETS + 50, 500}, {2499, 0, 0}}, 2, TURN_GETS + 50},
    {"just too late", {{2000, TURN_GETS + 50, 500}, {2500, 0, 0}}, 2, TURN_GETS},
    {"arrived later",
     {{2000, TURN_GETS + 50, 800}, {2400, 10, 400}, {2799, 0, 0}},
     3,
     TURN_GETS + 60},
    {"the largest", {{2000, TURN_GETS + 50, INT64_MAX}, {INT64_MAX / 2, 0, 0}}, 2, TURN_GETS + 50},
};

static void test_waiting_for_a_turn(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("  %s\n", cases[i].name);
        struct shard_world *world = world_run(cases[i].steps, cases[i].steps_count, 0);
        replies_check(world, cases[i].served);
        shard_world_destroy(world);
    }
}

/* A tick reads the clock once; again after each 256 keys of work, if somebody asks. Here a reading
 * takes 400 us: the first 128 requests are served at once, the next 128 after 400 us. */
static void test_long_tick(void **state) {
    (void)state;
    static const struct {
        struct step step;
        uint32_t served;
        uint32_t readings;
    } ticks[] = {
        {{5000, 128, 300}, 128, 1}, {{5000, 256, 0}, 256, 1},   {{5000, 129, 300}, 128, 2},
        {{5000, 200, 400}, 128, 2}, {{5000, 256, 401}, 256, 2},
    };
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++) {
        struct shard_world *world = world_run(&ticks[i].step, 1, 400);
        replies_check(world, ticks[i].served);
        assert_int_equal(world->clock.readings, ticks[i].readings + 1); /* and that of the end */
        shard_world_destroy(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_for_a_turn),
        cmocka_unit_test(test_long_tick),
    };
    return cmocka_run_group_tests_name("shard/deadline", tests, NULL, NULL);
}
