/* Shows how a request is cut into one batch per owner and put together again: every accepted row
 * is in exactly one batch, with the owner of its partition, in the order of the request and as the
 * body of a log record; statuses come back by row number; refused rows, refused batches and
 * missing memory are answered, and no buffer is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "tests/base/random.h"
#include "tests/shard/shard_fixture.h"

enum { SHARDS = 3, ROUNDS = 300, PLENTY = 256 << 20 };

static uint32_t buffers_used(const struct buffers *buffers) {
    uint32_t used = 0;
    for (uint32_t i = 0; i < buffers->sizes_count; i++) used += buffers->pools[i].objects_used;
    return used;
}

/* The rows of a body are those with these numbers. */
static void part_check(const struct shard_fixture *fixture, const struct write_batch *batch,
                       const struct write_part *part, const struct fixture_row *rows) {
    const struct view *view = fixture->plain;
    size_t image_bytes = view_current(view)->layout.image_bytes;
    struct log_rows_header header;
    memcpy(&header, part->body, sizeof header);
    assert_int_equal(header.view_id, view->id);
    assert_int_equal(header.rows_count, part->rows_count);
    assert_int_equal(header.heap_bytes, part->heap_bytes);
    assert_int_equal(header.client_id, batch->client_id);
    assert_int_equal(header.sequence, batch->sequence);
    assert_int_equal(log_rows_check(view, LOG_RECORD_ROWS, part->body, part->body_bytes), FST_OK);
    const uint8_t *images = part->body + sizeof header;
    const uint8_t *heap = images + part->rows_count * image_bytes;
    for (uint32_t r = 0; r < part->rows_count; r++) {
        if (r > 0) assert_true(part->rows[r] > part->rows[r - 1]);
        struct fixture_row row = fixture_decode(view, images + r * image_bytes, heap);
        assert_memory_equal(&row, &rows[part->rows[r]], sizeof row);
        assert_int_equal(fixture_partition(row.key), part->partition);
    }
}

/* Answers each row with a status that follows from its number. */
static enum fst_status status_of(uint32_t row) {
    static const enum fst_status statuses[] = {FST_OK, FST_STALE, FST_DUPLICATE, FST_FULL};
    return statuses[row % 4];
}

static uint32_t batches_check(const struct shard_fixture *fixture,
                              const struct write_batches *batches, const struct fixture_row *rows) {
    uint32_t rows_count = 0;
    for (uint32_t i = 0; i < batches->count; i++) {
        const struct write_batch *batch = batches->batches[i];
        if (i > 0) assert_true(batches->owners[i] > batches->owners[i - 1]);
        assert_int_equal(batch->message.kind, MESSAGE_WRITE);
        assert_true(batch->parts_count > 0);
        for (uint32_t p = 0; p < batch->parts_count; p++) {
            const struct write_part *part = &batch->parts[p];
            assert_true(part->rows_count > 0);
            assert_int_equal(engine_owner(fixture->engine, part->partition), batches->owners[i]);
            part_check(fixture, batch, part, rows);
            for (uint32_t r = 0; r < part->rows_count; r++) {
                part->statuses[r] = (uint8_t)status_of(part->rows[r]);
            }
            rows_count += part->rows_count;
        }
    }
    return rows_count;
}

/* One random request, there and back; a few of its rows are refused before it is cut. */
static void round_run(struct shard_fixture *fixture, struct random *random) {
    struct fixture_row rows[FIXTURE_ROWS_MAX];
    uint8_t refused[FIXTURE_ROWS_MAX];
    uint32_t count = 1 + (uint32_t)random_below(random, FIXTURE_ROWS_MAX);
    uint32_t accepted_count = 0;
    int64_t now_us = fixture_now_us(fixture);
    for (uint32_t i = 0; i < count; i++) {
        bool is_future = random_below(random, 8) == 0;
        int64_t event_us = now_us + fixture->plain->future_us + is_future;
        refused[i] = FST_OK;
        if (is_future) refused[i] = FST_FUTURE;
        rows[i] = (struct fixture_row){.key = (int64_t)random_get(random),
                                       .event_us = event_us,
                                       .created_us = i,
                                       .n = (int64_t)random_below(random, 100000)};
    }
    struct row_set *set = fixture_set(fixture, fixture->plain, rows, count);
    for (uint32_t i = 0; i < count; i++) {
        if (random_below(random, 8) == 0) set->statuses[i] = refused[i] = FST_INVALID;
        accepted_count += refused[i] == FST_OK;
    }
    struct write_origin origin = {.client_id = 5, .sequence = 6, .conn_id = 7, .request_id = 8};
    struct write_batches batches;
    struct write_request *request = fixture_request(fixture, set, &origin, &batches);
    assert_int_equal(request->batches_open, batches.count);
    assert_int_equal(batches_check(fixture, &batches, rows), accepted_count);
    for (uint32_t left = batches.count; left > 0; left--) { /* They come back in any order. */
        uint32_t next = (uint32_t)random_below(random, left);
        struct write_batch *batch = batches.batches[next];
        batches.batches[next] = batches.batches[left - 1];
        assert_int_equal(write_request_merge(request, batch, &fixture->buffers), left == 1);
    }
    uint32_t not_ok = 0;
    for (uint32_t i = 0; i < count; i++) {
        enum fst_status wanted = refused[i] == FST_OK ? status_of(i) : refused[i];
        assert_int_equal(request->statuses[i], wanted);
        not_ok += wanted != FST_OK;
    }
    assert_int_equal(write_request_not_ok(request), not_ok);
    assert_memory_equal(&request->origin, &origin, sizeof origin);
    buffers_put(&fixture->buffers, request);
    assert_int_equal(buffers_used(&fixture->buffers), 0);
}

static void test_there_and_back(void **state) {
    (void)state;
    struct random random = random_of_environment();
    struct shard_fixture *fixture = shard_fixture_create(1, PLENTY, SHARDS);
    for (int i = 0; i < ROUNDS; i++) round_run(fixture, &random);
    shard_fixture_destroy(fixture);
}

/* Nothing to send is not an error: the request has its answer at once. */
static void test_all_refused(void **state) {
    (void)state;
    struct shard_fixture *fixture = shard_fixture_create(1, PLENTY, SHARDS);
    struct fixture_row rows[2] = {{.event_us = INT64_MAX}, {.event_us = INT64_MAX}};
    struct write_origin origin = {.client_id = 0};
    struct write_batches batches;
    struct row_set *set = fixture_set(fixture, fixture->plain, rows, 2);
    struct write_request *request = fixture_request(fixture, set, &origin, &batches);
    assert_int_equal(batches.count, 0);
    assert_int_equal(write_request_not_ok(request), 2);
    assert_int_equal(request->statuses[1], FST_FUTURE);
    buffers_put(&fixture->buffers, request);
    shard_fixture_destroy(fixture);
}

static void test_refused_batch(void **state) {
    (void)state;
    struct shard_fixture *fixture = shard_fixture_create(1, PLENTY, SHARDS);
    struct fixture_row rows[FIXTURE_ROWS_MAX];
    struct write_batches batches;
    struct write_origin origin = {.client_id = 0};
    for (int64_t i = 0; i < FIXTURE_ROWS_MAX; i++) rows[i] = (struct fixture_row){.key = i};
    struct row_set *set = fixture_set(fixture, fixture->plain, rows, FIXTURE_ROWS_MAX);
    struct write_request *request = fixture_request(fixture, set, &origin, &batches);
    assert_int_equal(batches.count, SHARDS);
    for (uint32_t i = 0; i < SHARDS; i++) {
        write_batch_refuse(batches.batches[i], i == 1 ? FST_OVERLOADED : FST_OK);
        bool is_last = write_request_merge(request, batches.batches[i], &fixture->buffers);
        assert_int_equal(is_last, i == SHARDS - 1);
    }
    for (int64_t i = 0; i < FIXTURE_ROWS_MAX; i++) {
        bool is_refused = engine_owner(fixture->engine, fixture_partition(i)) == 1;
        assert_int_equal(request->statuses[i], is_refused ? FST_OVERLOADED : FST_OK);
    }
    buffers_put(&fixture->buffers, request);
    shard_fixture_destroy(fixture);
}

/* Buffers run out at any point of a request: it is refused as a whole and gives back what it
 * took. */
static void test_no_buffers(void **state) {
    (void)state;
    enum { TAKEN_MAX = 20000 };
    static void *taken[TAKEN_MAX];
    struct shard_fixture *fixture = shard_fixture_create(1, PLENTY, SHARDS);
    struct fixture_row rows[FIXTURE_ROWS_MAX] = {0};
    struct write_origin origin = {.client_id = 0};
    struct write_source source = {
        .engine = fixture->engine, .buffers = &fixture->buffers, .arena = &fixture->arena};
    for (int64_t i = 0; i < FIXTURE_ROWS_MAX; i++) rows[i].key = i;
    uint32_t taken_count = 0;
    while ((taken[taken_count] = buffers_get(&fixture->buffers, 1))) taken_count += 1;
    for (uint32_t left = 0; left <= SHARDS + 1; left++) {
        struct write_request *request = NULL;
        struct write_batches batches;
        struct row_set *set = fixture_set(fixture, fixture->plain, rows, FIXTURE_ROWS_MAX);
        assert_int_equal(write_request_has_room(&source, fixture->plain, FIXTURE_ROWS_MAX),
                         left > 0);
        enum fst_status status = write_request_create(&source, &origin, set, 0, &request, &batches);
        arena_reset(&fixture->arena);
        /* Freed last is the largest: every piece fits. */
        assert_int_equal(status, left > SHARDS ? FST_OK : FST_OVERLOADED);
        if (status == FST_OK) break;
        assert_int_equal(buffers_used(&fixture->buffers), taken_count);
        buffers_put(&fixture->buffers, taken[--taken_count]);
    }
    shard_fixture_destroy(fixture);
}

/* Without a buffer that can hold what some owner must get, rows are not even made; what is too
 * large for good is another answer's. */
static void test_room_by_rows(void **state) {
    (void)state;
    struct shard_fixture *fixture = shard_fixture_create(1, PLENTY, SHARDS);
    struct write_source source = {
        .engine = fixture->engine, .buffers = &fixture->buffers, .arena = &fixture->arena};
    size_t small_bytes = fixture->buffers.pools[0].object_bytes;
    size_t image_bytes = view_current(fixture->plain)->layout.image_bytes;
    uint32_t most = (uint32_t)(((small_bytes + 1) * SHARDS - 1) / image_bytes);
    assert_true(write_request_has_room(&source, fixture->plain, most + 1));
    while (buffers_get(&fixture->buffers, small_bytes + 1)) continue;
    assert_true(write_request_has_room(&source, fixture->plain, most));
    assert_false(write_request_has_room(&source, fixture->plain, most + 1));
    uint32_t limit = (uint32_t)(ENGINE_WRITE_BYTES_MAX / image_bytes);
    assert_false(write_request_has_room(&source, fixture->plain, limit));
    assert_true(write_request_has_room(&source, fixture->plain, limit + 1));
    shard_fixture_destroy(fixture);
}

/* At the limit of one write there is a buffer; past it there never will be one. */
static void test_too_large(void **state) {
    (void)state;
    struct shard_fixture *fixture = shard_fixture_create(1, PLENTY, SHARDS);
    struct fixture_row row = {.key = 1};
    struct write_origin origin = {.client_id = 0};
    struct write_source source = {
        .engine = fixture->engine, .buffers = &fixture->buffers, .arena = &fixture->arena};
    uint32_t image_bytes = view_current(fixture->plain)->layout.image_bytes;
    for (uint32_t extra = 0; extra <= 1; extra++) {
        struct write_request *request = NULL;
        struct write_batches batches;
        struct row_set *set = fixture_set(fixture, fixture->plain, &row, 1);
        set->heap_bytes = ENGINE_WRITE_BYTES_MAX - image_bytes + extra;
        enum fst_status status = write_request_create(&source, &origin, set, 0, &request, &batches);
        assert_int_equal(status, extra ? FST_TOO_LARGE : FST_OK);
        arena_reset(&fixture->arena);
    }
    shard_fixture_destroy(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_all_refused),
        cmocka_unit_test(test_refused_batch),  cmocka_unit_test(test_no_buffers),
        cmocka_unit_test(test_room_by_rows),   cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
