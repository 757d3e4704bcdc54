/*
 * Shows that a broken connection costs nothing but time: requests are repeated in order, writes
 * under their old sequence, handles are prepared again; and that what may not be repeated is not,
 * and says so. A scripted server hangs up where it hurts, and looks at what comes after.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/client/fake_server.h"

enum { HELLO = 1, PREPARE = 2, GET = 3, WRITE = 4, CONTROL = 5, WRITES = 5, SEQUENCE_AT = 8 };

static const struct fake_layout reading = {
    .number = 1,
    .id = 77,
    .features_count = 1,
    .features = {{"count", {.kind = FST_KIND_INT64}, 0, false}},
};
static const struct fake_layout reading_again = {
    .number = 9,
    .id = 77,
    .features_count = 1,
    .features = {{"count", {.kind = FST_KIND_INT64}, 0, false}},
};
static const struct fake_layout writing = {
    .number = 2,
    .id = 88,
    .plan = 2,
    .features_count = 2,
    .features = {{"count", {.kind = FST_KIND_INT64}, 0, false},
                 {"note", {.kind = FST_KIND_STRING}, 0, false}},
};

struct setting {
    struct fake fake;
    struct fst_client *client;
    struct fst_handle *reader;
    struct fst_handle *writer;
    struct fst_keys *keys;
    struct fst_batch *batch;
    struct fst_error error;
};

/* A client with a handle for reading, and one for writing if the script prepares it. */
static void setting_open(struct setting *s, void (*script)(struct fake *fake), bool has_writer) {
    *s = (struct setting){0};
    fake_open(&s->fake, script, NULL);
    struct fst_options options = fake_options(&s->fake);
    options.attempts_max = 3;
    assert_int_equal(fst_client_open(&s->client, &options, &s->error), FST_OK);
    assert_int_equal(fst_prepare_service(s->client, "s", &s->reader, &s->error), FST_OK);
    s->keys = fst_keys_create(s->reader);
    assert_int_equal(fst_keys_put(s->keys, fst_int64(5)), FST_OK);
    if (!has_writer) return;
    const char *names[] = {"count", "note"};
    assert_int_equal(fst_prepare_write(s->client, "a", names, 2, &s->writer, &s->error), FST_OK);
    s->batch = fst_batch_create(s->writer);
    assert_non_null(s->batch);
}

static void setting_close(struct setting *s) {
    fst_keys_destroy(s->keys);
    fst_batch_destroy(s->batch);
    fst_client_close(s->client);
    fake_close(&s->fake);
}

static void batch_fill(struct fst_batch *batch, int64_t value) {
    fst_batch_clear(batch);
    assert_int_equal(fst_batch_append(batch, 1000 + value), FST_OK);
    assert_int_equal(fst_batch_put(batch, 0, fst_int64(5)), FST_OK);
    assert_int_equal(fst_batch_put(batch, 1, fst_int64(value)), FST_OK);
}

/* Accepts, greets and prepares `layouts`, up to the first NULL. */
static void begin(struct fake *fake, const struct fake_layout *first,
                  const struct fake_layout *second) {
    fake_accept(fake);
    fake_greet(fake);
    if (first) fake_prepare(fake, first);
    if (second) fake_prepare(fake, second);
}

static void get_answer(struct fake *fake, uint32_t number, int64_t value) {
    struct fake_frame get = fake_expect(fake, GET);
    fake_check(fake, get.handle == number);
    struct fake_rows rows = fake_rows_create(1);
    fake_rows_put(&rows, &reading, 0, 0, &value, sizeof value);
    fake_rows_send(fake, &get, &rows);
}

/* ---- reads ---- */

/* Each connection ends in a meaner way than the one before. */
static void broken_reads_script(struct fake *fake) {
    begin(fake, &reading, NULL);
    fake_expect(fake, GET);
    begin(fake, &reading_again, NULL); /* Hung up without a reply. */
    struct fake_frame get = fake_expect(fake, GET);
    fake_check(fake, get.handle == 9);
    fake_reply(fake, &get, 0, "\x01\0\0\0", 4);
    begin(fake, &reading, NULL); /* Hung up after a reply that is wrong. */
    get_answer(fake, 1, 7);
    get = fake_expect(fake, GET);
    fake_send(fake, "\x40\0\0\0\x03\x01", 6);
    fake_accept(fake); /* Hung up inside a reply; then before and inside the greeting. */
    fake_accept(fake);
    fake_expect(fake, HELLO);
    fake_send(fake, "\x40\0", 2);
    begin(fake, &reading_again, NULL);
    get_answer(fake, 9, 8);
    fake_drain(fake);
}

static void test_reads_are_repeated(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, broken_reads_script, false);
    for (int64_t value = 7; value <= 8; value++) {
        assert_int_equal(fst_get(s.keys, NULL, &reply), FST_OK);
        assert_int_equal(fst_reply_value(&reply, 0, 0).integer, value);
    }
    setting_close(&s);
}

static void always_broken_script(struct fake *fake) {
    for (uint32_t i = 0; i < 3; i++) {
        begin(fake, &reading, NULL);
        fake_expect(fake, GET);
    }
    begin(fake, &reading, NULL);
    get_answer(fake, 1, 7);
    fake_drain(fake);
}

static void test_repeating_ends(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, always_broken_script, false);
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_CLOSED);
    assert_non_null(strstr(reply.text, "connection broke"));
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_OK);
    setting_close(&s);
}

/* The handle for reading cannot be prepared again; the one for writing can. */
static void gone_script(struct fake *fake) {
    begin(fake, &reading, &writing);
    fake_expect(fake, GET);
    fake_accept(fake);
    fake_greet(fake);
    struct fake_frame prepare = fake_expect(fake, PREPARE);
    fake_reply_error(fake, &prepare, FST_UNKNOWN, 0, "there is no service 's'");
    fake_prepare(fake, &writing);
    struct fake_frame write = fake_expect(fake, WRITE);
    fake_reply_write(fake, &write, 1, NULL);
    fake_drain(fake);
}

static void test_a_handle_that_is_gone_harms_no_other(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, gone_script, true);
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_UNKNOWN);
    assert_string_equal(reply.text, "there is no service 's'");
    batch_fill(s.batch, 1);
    assert_int_equal(fst_write(s.batch, FST_ACK_DURABLE, &reply), FST_OK);
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_UNKNOWN);
    setting_close(&s);
}

/* ---- writes ---- */

static int64_t write_value(const struct fake_frame *write) {
    return load_i64(write->payload + 24) - 1000; /* Its event time says which it is. */
}

/* Answers the second of five and hangs up; then the others must come, in order, as they were. */
static void broken_writes_script(struct fake *fake) {
    begin(fake, &reading, &writing);
    struct fake_frame writes[WRITES];
    uint64_t sequences[WRITES];
    for (uint32_t i = 0; i < WRITES; i++) {
        writes[i] = fake_expect(fake, WRITE);
        sequences[i] = load_u64(writes[i].payload + SEQUENCE_AT);
        fake_check(fake, sequences[i] == i + 1);
        fake_check(fake, write_value(&writes[i]) == i);
    }
    fake_reply_write(fake, &writes[1], 1, NULL);
    begin(fake, &reading, &writing);
    for (uint32_t i = 0; i < WRITES; i++) {
        if (i == 1) continue;
        struct fake_frame write = fake_expect(fake, WRITE);
        fake_check(fake, load_u64(write.payload + SEQUENCE_AT) == sequences[i]);
        fake_check(fake, write_value(&write) == i);
        uint8_t status = i == 0 ? FST_DUPLICATE : i == 2 ? FST_STALE : i == 3 ? FST_FULL : FST_OK;
        fake_reply_write(fake, &write, 1, &status);
    }
    struct fake_frame write = fake_expect(fake, WRITE);
    fake_check(fake, load_u64(write.payload + SEQUENCE_AT) == WRITES + 1);
    fake_reply_write(fake, &write, 1, NULL);
    fake_drain(fake);
}

struct outcome {
    uint32_t answers;
    enum fst_status status;
    uint8_t row_status;
    uint32_t refused_count;
};

static void outcome_done(void *context, const struct fst_reply *reply) {
    struct outcome *outcome = context;
    outcome->answers += 1;
    outcome->status = reply->status;
    outcome->row_status = reply->row_statuses ? reply->row_statuses[0] : FST_OK;
    outcome->refused_count = reply->refused_count;
}

static void test_writes_keep_their_sequence(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    struct outcome outcomes[WRITES] = {0};
    setting_open(&s, broken_writes_script, true);
    for (uint32_t i = 0; i < WRITES; i++) {
        struct fst_call call = {.done = outcome_done, .context = &outcomes[i]};
        batch_fill(s.batch, i);
        assert_int_equal(fst_submit_write(s.batch, FST_ACK_DURABLE, &call, &s.error), FST_OK);
    }
    while (fst_in_flight(s.client) > 0) (void)fst_poll(s.client, -1);
    static const uint8_t expected[WRITES] = {FST_DUPLICATE, FST_OK, FST_STALE, FST_FULL, FST_OK};
    for (uint32_t i = 0; i < WRITES; i++) {
        assert_int_equal(outcomes[i].answers, 1);
        assert_int_equal(outcomes[i].status, FST_OK);
        assert_int_equal(outcomes[i].row_status, expected[i]);
        assert_int_equal(outcomes[i].refused_count, expected[i] == FST_FULL);
    }
    batch_fill(s.batch, 9);
    assert_int_equal(fst_write(s.batch, FST_ACK_DURABLE, &reply), FST_OK);
    setting_close(&s);
}

/* A delete is a write of keys alone, sent again as it was. */
static void broken_delete_script(struct fake *fake) {
    for (uint32_t i = 0; i < 2; i++) {
        begin(fake, &reading, &writing);
        struct fake_frame write = fake_expect(fake, WRITE);
        fake_check(fake, load_u64(write.payload + SEQUENCE_AT) == 1);
        fake_check(fake, write.payload[21] == 2);
        fake_check(fake, write.payload_bytes == 24 + 8 + 8);
        if (i == 1) fake_reply_write(fake, &write, 1, NULL);
    }
    fake_drain(fake);
}

static void test_deletes(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, broken_delete_script, true);
    batch_fill(s.batch, 1); /* Features, too. */
    assert_int_equal(fst_delete(s.batch, FST_ACK_DURABLE, &reply), FST_INVALID);
    assert_non_null(strstr(reply.text, "key columns alone"));
    fst_batch_clear(s.batch);
    assert_int_equal(fst_batch_append(s.batch, 1000), FST_OK);
    assert_int_equal(fst_batch_put(s.batch, 0, fst_int64(5)), FST_OK);
    assert_int_equal(fst_delete(s.batch, FST_ACK_DURABLE, &reply), FST_OK);
    assert_int_equal(reply.rows_count, 1);
    setting_close(&s);
}

/* A refusal of the repetition says nothing about the first attempt. */
static void refused_repetition_script(struct fake *fake) {
    begin(fake, &reading, &writing);
    fake_expect(fake, WRITE);
    begin(fake, &reading, &writing);
    struct fake_frame write = fake_expect(fake, WRITE);
    fake_reply_error(fake, &write, FST_OVERLOADED, 10, "too much");
    write = fake_expect(fake, WRITE);
    fake_reply_error(fake, &write, FST_OVERLOADED, 10, "too much");
    fake_expect(fake, WRITE);
    for (uint32_t i = 0; i < 2; i++) {
        begin(fake, &reading, &writing);
        fake_expect(fake, WRITE);
    }
}

static void test_unknown_outcomes_are_called_so(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, refused_repetition_script, true);
    batch_fill(s.batch, 1);
    assert_int_equal(fst_write(s.batch, FST_ACK_DURABLE, &reply), FST_OUTCOME_UNKNOWN);
    assert_int_equal(fst_write(s.batch, FST_ACK_DURABLE, &reply), FST_OVERLOADED);
    assert_int_equal(fst_write(s.batch, FST_ACK_DURABLE, &reply), FST_OUTCOME_UNKNOWN);
    setting_close(&s);
}

/* Two rows, nulls, a key, strings, created times: byte by byte as the protocol has it. */
static void block_script(struct fake *fake) {
    begin(fake, &reading, &writing);
    struct fake_frame write = fake_expect(fake, WRITE);
    uint8_t payload[256];
    struct writer w = writer_of(payload, sizeof payload);
    write_u64(&w, 88);
    write_u64(&w, 1);
    write_u32(&w, 3);
    write_u8(&w, 0);
    write_u8(&w, 1);
    write_u16(&w, 0);
    for (int64_t row = 0; row < 3; row++) write_i64(&w, 100 + row);
    for (int64_t row = 0; row < 3; row++) write_i64(&w, 200 + row);
    for (int64_t row = 0; row < 3; row++) write_i64(&w, 5 + row);
    write_u8(&w, 0x05); /* The first and last row have no count. */
    for (int64_t row = 0; row < 3; row++) write_i64(&w, row == 1 ? -1 : 0);
    write_u8(&w, 0x04);
    write_u32(&w, 2);
    write_u32(&w, 2);
    write_u32(&w, 2);
    write_bytes(&w, "ab", 2);
    fake_check(fake, write.payload_bytes == writer_used(&w));
    fake_check(fake, memcmp(write.payload, payload, writer_used(&w)) == 0);
    fake_reply_write(fake, &write, 3, NULL);
    fake_drain(fake);
}

static void test_the_block_of_a_write(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, block_script, true);
    for (int64_t row = 0; row < 3; row++) {
        assert_int_equal(fst_batch_append_created(s.batch, 100 + row, 200 + row), FST_OK);
        assert_int_equal(fst_batch_put(s.batch, 0, fst_int64(5 + row)), FST_OK);
        if (row == 0) assert_int_equal(fst_batch_put(s.batch, 2, fst_string("ab")), FST_OK);
        if (row == 1) assert_int_equal(fst_batch_put(s.batch, 1, fst_int64(-1)), FST_OK);
        if (row == 1) assert_int_equal(fst_batch_put(s.batch, 2, fst_string("")), FST_OK);
        if (row == 2) assert_int_equal(fst_batch_put(s.batch, 1, fst_null()), FST_OK);
    }
    assert_true(fst_batch_bytes(s.batch) >= 16 + 24 + 3 * 24 + 25 + 15);
    assert_int_equal(fst_write(s.batch, FST_ACK_MEMORY, &reply), FST_OK);
    assert_int_equal(reply.rows_count, 3);
    assert_null(reply.row_statuses);
    setting_close(&s);
}

static const struct bad_put {
    const char *name;
    uint32_t column;
    struct fst_value value;
    const char *text;
} bad_puts[] = {
    {"null key", 0, {.presence = FST_NULL}, "customer"},
    {"another type", 1, {.type = {.kind = FST_KIND_FLOAT64}, .is_given = true}, "count"},
    {"no such column", 3, {.type = {.kind = FST_KIND_INT64}, .is_given = true}, "?"},
    {"not given, but not null", 1, {.presence = FST_ROW_MISSING}, "count"},
};

static void only_prepare_script(struct fake *fake) {
    begin(fake, &reading, &writing);
    fake_drain(fake);
}

static void test_wrong_rows_are_refused_before_they_are_sent(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, only_prepare_script, true);
    assert_int_equal(fst_write(s.batch, FST_ACK_DURABLE, &reply), FST_INVALID);
    for (size_t i = 0; i < sizeof bad_puts / sizeof bad_puts[0]; i++) {
        fst_batch_clear(s.batch);
        assert_int_equal(fst_batch_append(s.batch, 1), FST_OK);
        assert_int_equal(fst_batch_put(s.batch, bad_puts[i].column, bad_puts[i].value),
                         FST_INVALID);
        assert_int_equal(fst_write(s.batch, FST_ACK_DURABLE, &reply), FST_INVALID);
        assert_non_null(strstr(reply.text, bad_puts[i].text));
    }
    batch_fill(s.batch, 1);
    assert_int_equal(fst_batch_put(s.batch, 1, fst_int64(2)), FST_INVALID); /* Twice. */
    fst_batch_clear(s.batch);
    assert_int_equal(fst_batch_put(s.batch, 0, fst_int64(2)), FST_INVALID); /* Before a row. */
    batch_fill(s.batch, 1);
    assert_int_equal(fst_batch_append(s.batch, 1), FST_OK);
    assert_int_equal(fst_write(s.batch, FST_ACK_DURABLE, &reply), FST_INVALID);
    assert_non_null(strstr(reply.text, "row 2 has no value for key column 'customer'"));
    batch_fill(s.batch, 1);
    assert_int_equal(fst_batch_append_created(s.batch, 1, 1), FST_INVALID);
    static char text[FST_VALUE_BYTES_MAX + 1];
    fst_batch_clear(s.batch);
    assert_int_equal(fst_batch_append(s.batch, 1), FST_OK);
    assert_int_equal(fst_batch_put(s.batch, 2, fst_string_of(text, FST_VALUE_BYTES_MAX)), FST_OK);
    fst_batch_clear(s.batch);
    assert_int_equal(fst_batch_append(s.batch, 1), FST_OK);
    assert_int_equal(fst_batch_put(s.batch, 2, fst_string_of(text, sizeof text)), FST_TOO_LARGE);
    setting_close(&s);
}

/* ---- control ---- */

static void control_script(struct fake *fake) {
    begin(fake, &reading, NULL);
    struct fake_frame control = fake_expect(fake, CONTROL);
    fake_check(fake, control.payload_bytes == 3 && memcmp(control.payload, "abc", 3) == 0);
    begin(fake, &reading, NULL);
    control = fake_expect(fake, CONTROL);
    fake_check(fake, control.payload_bytes == 3 && memcmp(control.payload, "abc", 3) == 0);
    fake_reply(fake, &control, 0, "good", 4);
    fake_expect(fake, CONTROL);
    begin(fake, &reading, NULL);
    control = fake_expect(fake, CONTROL);
    fake_reply(fake, &control, 0, NULL, 0);
    begin(fake, &reading, NULL); /* Hung up while nothing is in flight. */
    control = fake_expect(fake, CONTROL);
    fake_reply(fake, &control, 0, NULL, 0);
    fake_drain(fake);
}

static void test_control_is_repeated_only_if_it_may_be(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    struct fst_control control = {.data = (const uint8_t *)"abc", .bytes = 3};
    setting_open(&s, control_script, false);
    control.is_repeatable = true;
    assert_int_equal(fst_control_run(s.client, &control, 0, &reply), FST_OK);
    assert_int_equal(reply.bytes, 4);
    assert_memory_equal(reply.data, "good", 4);
    control.is_repeatable = false;
    assert_int_equal(fst_control_run(s.client, &control, 0, &reply), FST_OUTCOME_UNKNOWN);
    assert_int_equal(fst_control_run(s.client, &control, 0, &reply), FST_OK);
    /* Not sent into a connection that is over: the outcome would be unknown for nothing. */
    struct pollfd socket = {.fd = fst_client_fd(s.client), .events = POLLIN};
    assert_int_equal(poll(&socket, 1, -1), 1);
    assert_int_equal(fst_control_run(s.client, &control, 0, &reply), FST_OK);
    setting_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_are_repeated),
        cmocka_unit_test(test_repeating_ends),
        cmocka_unit_test(test_a_handle_that_is_gone_harms_no_other),
        cmocka_unit_test(test_writes_keep_their_sequence),
        cmocka_unit_test(test_deletes),
        cmocka_unit_test(test_unknown_outcomes_are_called_so),
        cmocka_unit_test(test_the_block_of_a_write),
        cmocka_unit_test(test_wrong_rows_are_refused_before_they_are_sent),
        cmocka_unit_test(test_control_is_repeated_only_if_it_may_be),
    };
    return cmocka_run_group_tests_name("client/repeat", tests, NULL, NULL);
}
