/* Writes and sends replies of random sizes beside a plain byte queue, and checks that the same
 * bytes come out in the same order, and that chunks are taken only while there is something to
 * send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
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
        cmocka_unit_test(test_pieces_stay_where_they_are),
        cmocka_unit_test(test_dropped_room_can_be_filled),
        cmocka_unit_test(test_sizes_do_not_mix),
    };
    return cmocka_run_group_tests_name("net/output", tests, NULL, NULL);
}
