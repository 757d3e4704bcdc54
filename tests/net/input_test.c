/* Shows that every frame knows when its last byte was received, however its bytes were split and
 * whether they were kept meanwhile: against a list with the time of every single byte. Frames
 * handed out of few marks have exactly that time; with too many, never an earlier one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "net/input.h"
#include "tests/base/random.h"

enum { STREAM_BYTES = 100000, FRAME_BYTES = 24 };

static const struct frame_rules rules = {.frame_bytes_max = 1 << 20, .bulk_bytes_max = 1 << 20};

struct world {
    struct chunks chunks;
    struct input input;
    uint8_t stream[STREAM_BYTES];
    int64_t times_us[STREAM_BYTES]; /* when each byte arrived */
    size_t stream_bytes;
    size_t given;
    size_t taken; /* of the stream, as frames */
    int64_t now_us;
};

static struct world *world_create(void) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    const uint32_t counts[CHUNK_SIZES] = {16, 16, 4, 1};
    assert_int_equal(chunks_init(&world->chunks, counts), FST_OK);
    input_init(&world->input, &world->chunks);
    world->now_us = 1000;
    return world;
}

static void world_destroy(struct world *world) {
    input_drop(&world->input);
    chunks_put_retired(&world->chunks);
    chunks_deinit(&world->chunks);
    free(world);
}

static void stream_put(struct world *world, uint32_t frame_bytes) {
    assert_in_range(world->stream_bytes + frame_bytes, 0, STREAM_BYTES);
    frame_encode_request(world->stream + world->stream_bytes, frame_bytes, FRAME_GET, 1, 1);
    world->stream_bytes += frame_bytes;
}

/* The next bytes of the stream arrive now. */
static void bytes_arrive(struct world *world, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) world->times_us[world->given + i] = world->now_us;
    assert_int_equal(
        input_append(&world->input, world->stream + world->given, (uint32_t)bytes, world->now_us),
        FST_OK);
    world->given += bytes;
    assert_int_equal(input_check(&world->input), FST_OK);
}

static void bytes_keep(struct world *world) {
    assert_int_equal(input_keep(&world->input), FST_OK);
    assert_int_equal(input_check(&world->input), FST_OK);
}

/* False if there is no whole frame. */
static bool frame_take(struct world *world, bool is_exact) {
    struct frame frame;
    struct input_fault fault;
    enum input_answer answer = input_next(&world->input, &rules, &frame, &fault);
    assert_int_equal(input_check(&world->input), FST_OK);
    if (answer == INPUT_NONE) return false;
    assert_int_equal(answer, INPUT_FRAME);
    world->taken += frame.bytes;
    int64_t arrival_us = world->times_us[world->taken - 1];
    if (is_exact) assert_true(frame.arrival_us == arrival_us);
    assert_true(frame.arrival_us >= arrival_us && frame.arrival_us <= world->now_us);
    chunks_put_retired(&world->chunks);
    return true;
}

/* A frame whose rest comes later has arrived with its rest; those behind it in the same piece too.
 */
static void test_arrival_of_the_last_byte(void **state) {
    (void)state;
    for (size_t first = 1; first < FRAME_BYTES; first++) {
        struct world *world = world_create();
        for (int i = 0; i < 3; i++) stream_put(world, FRAME_BYTES);
        bytes_arrive(world, first);
        assert_false(frame_take(world, true));
        world->now_us = 2000;
        bytes_arrive(world, world->stream_bytes - first);
        while (frame_take(world, true)) continue;
        assert_int_equal(world->taken, 3 * FRAME_BYTES);
        world_destroy(world);
    }
}

/* Marks are enough for as many times as there are; beyond, the newest frames share a time that is
 * none of theirs, but a later one. */
static void test_more_times_than_marks(void **state) {
    (void)state;
    struct world *world = world_create();
    enum { FRAMES = INPUT_MARKS_MAX + 5 };
    for (int i = 0; i < FRAMES; i++) {
        stream_put(world, FRAME_BYTES);
        world->now_us += 10;
        bytes_arrive(world, FRAME_BYTES);
        bytes_keep(world);
    }
    for (int i = 0; i < FRAMES; i++) assert_true(frame_take(world, i < INPUT_MARKS_MAX - 1));
    assert_true(world->input.arrival_us == world->now_us);
    world_destroy(world);
}

/* Random frames in random pieces, kept or not, taken now or later. */
static void test_model(void **state) {
    (void)state;
    struct random random = random_of_environment();
    for (int round = 0; round < 40; round++) {
        struct world *world = world_create();
        bool is_exact = round % 2 == 0; /* Few times: always taken before the marks run out. */
        while (world->stream_bytes < STREAM_BYTES - 4000) {
            stream_put(world, FRAME_HEADER_BYTES + (uint32_t)random_below(&random, 3000));
        }
        uint32_t kept = 0;
        while (world->given < world->stream_bytes) {
            size_t bytes = 1 + random_below(&random, 2000);
            size_t left = world->stream_bytes - world->given;
            world->now_us += (int64_t)random_below(&random, 3);
            bytes_arrive(world, bytes < left ? bytes : left);
            kept += 1;
            uint64_t frames = random_below(&random, 4);
            if (is_exact && kept == INPUT_MARKS_MAX) frames = UINT64_MAX;
            while (frames > 0 && frame_take(world, is_exact)) frames -= 1;
            bytes_keep(world);
            if (!world->input.backlog) kept = 0;
        }
        while (frame_take(world, is_exact)) continue;
        assert_int_equal(world->taken, world->stream_bytes);
        world_destroy(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrival_of_the_last_byte),
        cmocka_unit_test(test_more_times_than_marks),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests_name("net/input", tests, NULL, NULL);
}
