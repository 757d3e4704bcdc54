/* Writes and sends replies of random sizes beside a plain byte queue, and checks that the same
 * bytes come out in the same order, and that chunks are taken only while there is something to
 * send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "net/output.h"
#include "tests/base/random.h"

enum { STEPS = 100000, LARGEST_BYTES = 200000, CHUNK_BYTES = 64 << 10 };

static const uint32_t counts[CHUNK_SIZES] = {1, 40, 2, 1};

static uint8_t byte_at(uint64_t position) {
    return (uint8_t)(position * 2654435761u >> 11);
}

static void test_matches_oracle(void **state) {
    (void)state;
    struct random random = random_of_environment();
    struct chunks chunks;
    assert_int_equal(chunks_init(&chunks, counts), FST_OK);
    struct output output;
    output_init(&output, &chunks);
    uint64_t committed = 0;
    uint64_t sent = 0;
    uint64_t refused = 0;
    for (int step = 0; step < STEPS; step++) {
        uint64_t largest = random_below(&random, 100) == 0 ? LARGEST_BYTES : 3000;
        size_t bytes = 1 + random_below(&random, largest);
        struct bytes piece = output_next(&output);
        assert_int_equal(piece.bytes == 0, committed == sent);
        if (random_below(&random, 20) == 0) {
            for (size_t i = 0; i < piece.bytes; i += 61) {
                assert_int_equal(piece.data[i], byte_at(sent + i));
            }
            size_t part = piece.bytes ? 1 + random_below(&random, piece.bytes) : 0;
            if (part > 0) output_sent(&output, part);
            sent += part;
        } else {
            uint8_t *room = output_room(&output, bytes);
            refused += room == NULL;
            if (room == NULL || random_below(&random, 10) == 0) continue; /* asked, and not used */
            size_t used = 1 + random_below(&random, bytes);
            for (size_t i = 0; i < used; i++) room[i] = byte_at(committed + i);
            output_commit(&output, used);
            committed += used;
        }
        assert_true(output.bytes == committed - sent);
        assert_int_equal(output_check(&output), FST_OK);
    }
    assert_true(refused > 0);
    assert_true(sent > UINT64_C(10000000));
    output_drop(&output);
    chunks_put_retired(&chunks);
    for (int i = 0; i < CHUNK_SIZES; i++) assert_int_equal(chunks.pools[i].objects_used, 0);
    chunks_deinit(&chunks);
}

enum { TICKS = 3000, TICK_REPLIES = 40, EXPECTED_MAX = 4 << 20 };

struct reply {
    uint8_t *room;
    size_t bytes;
    uint64_t position; /* what fills it */
};

/* What is sent until less than `left` waits must be the bytes expected, which are used up. */
static void output_expect(struct output *output, uint8_t *expected, size_t *expected_bytes,
                          size_t left) {
    size_t sent = 0;
    while (output->bytes > left) {
        struct bytes piece = output_next(output);
        size_t part = piece.bytes < 1 + left ? piece.bytes : 1 + left;
        assert_memory_equal(piece.data, expected + sent, part);
        output_sent(output, part);
        sent += part;
    }
    *expected_bytes -= sent;
    memmove(expected, expected + sent, *expected_bytes);
}

/* Replies that are taken back, the newest first, leave what all others have in their places, also
 * where the beginning of a chunk is on its way already. */
static void test_withdrawn_replies_are_not_sent(void **state) {
    (void)state;
    struct random random = random_of_environment();
    static const uint32_t many[CHUNK_SIZES] = {1, 200, 8, 1};
    uint8_t *expected = malloc(EXPECTED_MAX);
    size_t expected_bytes = 0;
    struct chunks chunks;
    assert_int_equal(chunks_init(&chunks, many), FST_OK);
    struct output output;
    output_init(&output, &chunks);
    for (uint64_t tick = 0; tick < TICKS; tick++) {
        struct reply replies[TICK_REPLIES];
        uint32_t count = (uint32_t)random_below(&random, TICK_REPLIES);
        bool is_kept[TICK_REPLIES];
        for (uint32_t i = 0; i < count; i++) {
            uint64_t largest = random_below(&random, 100) == 0 ? LARGEST_BYTES : 20000;
            size_t bytes = 1 + random_below(&random, largest);
            replies[i] = (struct reply){.bytes = bytes, .position = tick * 1000003 + i * 5003};
            replies[i].room = output_room(&output, bytes);
            assert_non_null(replies[i].room);
            output_commit(&output, bytes);
        }
        for (uint32_t i = 0; i < count; i++) {
            for (size_t b = 0; b < replies[i].bytes; b++) {
                replies[i].room[b] = byte_at(replies[i].position + b);
            }
            is_kept[i] = random_below(&random, 3) > 0;
        }
        for (uint32_t i = count; i > 0; i--) {
            if (!is_kept[i - 1])
                output_withdraw(&output, replies[i - 1].room, replies[i - 1].bytes);
            assert_int_equal(output_check(&output), FST_OK);
        }
        for (uint32_t i = 0; i < count; i++) {
            for (size_t b = 0; is_kept[i] && b < replies[i].bytes; b++) {
                expected[expected_bytes++] = byte_at(replies[i].position + b);
            }
        }
        assert_int_equal(output.bytes, expected_bytes);
        output_expect(&output, expected, &expected_bytes, random_below(&random, 50000));
    }
    output_expect(&output, expected, &expected_bytes, 0);
    output_drop(&output);
    chunks_put_retired(&chunks);
    for (int i = 0; i < CHUNK_SIZES; i++) assert_int_equal(chunks.pools[i].objects_used, 0);
    chunks_deinit(&chunks);
    free(expected);
}

/* The first bytes of a chunk are on their way while the next reply is written behind them. */
static void test_pieces_stay_where_they_are(void **state) {
    (void)state;
    struct chunks chunks;
    assert_int_equal(chunks_init(&chunks, counts), FST_OK);
    struct output output;
    output_init(&output, &chunks);
    memcpy(output_room(&output, 4), "one ", 4);
    output_commit(&output, 4);
    struct bytes piece = output_next(&output);
    memcpy(output_room(&output, 4), "two ", 4);
    output_commit(&output, 4);
    assert_memory_equal(piece.data, "one two ", 8);
    output_sent(&output, 4);
    assert_memory_equal(output_next(&output).data, "two ", 4);
    output_sent(&output, 4);
    assert_int_equal(chunks.pools[CHUNK_64K].objects_used, 0);
    output_drop(&output);
    chunks_deinit(&chunks);
}

/* A reply whose connection goes away between commit and filling is written to memory nobody else
 * has. */
static void test_dropped_room_can_be_filled(void **state) {
    (void)state;
    struct chunks chunks;
    assert_int_equal(chunks_init(&chunks, counts), FST_OK);
    struct output output;
    output_init(&output, &chunks);
    uint8_t *room = output_room(&output, 1000);
    output_commit(&output, 1000);
    output_drop(&output);
    for (uint32_t i = 1; i < counts[CHUNK_64K]; i++) {
        const struct chunk *other = chunk_get(&chunks, CHUNK_BYTES);
        assert_non_null(other);
        assert_true(other->data != room);
    }
    assert_null(chunk_get(&chunks, CHUNK_BYTES));
    memset(room, 1, 1000);
    chunks_put_retired(&chunks);
    assert_ptr_equal(chunk_get(&chunks, CHUNK_BYTES)->data, room);
    chunks_deinit(&chunks);
}

/* Each size is served from its own pool: small requests never take a large chunk. */
static void test_sizes_do_not_mix(void **state) {
    (void)state;
    static const struct size_case {
        size_t bytes;
        enum chunk_size size;
    } cases[] = {
        {1, CHUNK_16K},
        {16 << 10, CHUNK_16K},
        {(16 << 10) + 1, CHUNK_64K},
        {64 << 10, CHUNK_64K},
        {(64 << 10) + 1, CHUNK_1M},
        {1 << 20, CHUNK_1M},
        {(1 << 20) + 1, CHUNK_16M},
        {16 << 20, CHUNK_16M},
    };
    static const uint32_t ones[CHUNK_SIZES] = {1, 1, 1, 1};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct chunks chunks;
        assert_int_equal(chunks_init(&chunks, ones), FST_OK);
        struct chunk *chunk = chunk_get(&chunks, cases[i].bytes);
        assert_non_null(chunk);
        assert_int_equal(chunk->size, cases[i].size);
        assert_true(chunk->capacity >= cases[i].bytes);
        assert_null(chunk_get(&chunks, cases[i].bytes));
        chunk_retire(&chunks, chunk);
        assert_null(chunk_get(&chunks, cases[i].bytes));
        chunks_put_retired(&chunks);
        assert_ptr_equal(chunk_get(&chunks, cases[i].bytes), chunk);
        assert_null(chunk_get(&chunks, (16 << 20) + 1));
        chunks_deinit(&chunks);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_oracle),
        cmocka_unit_test(test_withdrawn_replies_are_not_sent),
        cmocka_unit_test(test_pieces_stay_where_they_are),
        cmocka_unit_test(test_dropped_room_can_be_filled),
        cmocka_unit_test(test_sizes_do_not_mix),
    };
    return cmocka_run_group_tests_name("net/output", tests, NULL, NULL);
}
