/*
 * Shows that reads come out of a reply as the server put them in: keys in canonical form, every
 * type, presence, defaults and heap, whatever pieces the bytes arrive in and whatever order replies
 * have; and that malformed replies are refused. A scripted server decides every byte.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/client/fake_server.h"

enum { GET = 3, FEATURES = 8 };

static const struct fake_layout layout = {
    .number = 1,
    .id = 77,
    .key_string = true,
    .features_count = FEATURES,
    .features = {{"amount", {.kind = FST_KIND_DECIMAL, .scale = 2}, 0, false},
                 {"score", {.kind = FST_KIND_FLOAT32}, 0, false},
                 {"count", {.kind = FST_KIND_INT64}, 0, true},
                 {"risk", {.kind = FST_KIND_FLOAT64}, 1, true},
                 {"segment", {.kind = FST_KIND_STRING}, 1, false},
                 {"points", {.kind = FST_KIND_VECTOR, .elements = 3}, 1, false},
                 {"tags", {.kind = FST_KIND_LIST, .element_kind = FST_KIND_STRING}, 1, false},
                 {"is_new", {.kind = FST_KIND_BOOL}, 0, false}},
};

struct setting {
    struct fake fake;
    struct fst_client *client;
    struct fst_handle *handle;
    struct fst_keys *keys;
    struct fst_error error;
};

/* Opens a client on the script, and prepares what it answers first. */
static void setting_open(struct setting *s, void (*script)(struct fake *fake), size_t piece_bytes) {
    *s = (struct setting){0};
    fake_open(&s->fake, script, NULL);
    s->fake.piece_bytes = piece_bytes;
    struct fst_options options = fake_options(&s->fake);
    options.attempts_max = 1;
    assert_int_equal(fst_client_open(&s->client, &options, &s->error), FST_OK);
    const char *names[] = {"a:*", "b:*"};
    assert_int_equal(fst_prepare_features(s->client, names, 2, &s->handle, &s->error), FST_OK);
    s->keys = fst_keys_create(s->handle);
    assert_non_null(s->keys);
}

static void setting_close(struct setting *s) {
    fst_keys_destroy(s->keys);
    fst_client_close(s->client);
    fake_close(&s->fake);
}

static void key_put(struct setting *s, int64_t customer, const char *shop) {
    assert_int_equal(fst_keys_put(s->keys, fst_int64(customer)), FST_OK);
    assert_int_equal(fst_keys_put(s->keys, fst_string(shop)), FST_OK);
}

static void begin(struct fake *fake) {
    fake_accept(fake);
    fake_greet(fake);
    fake_prepare(fake, &layout);
}

/* ---- values ---- */

/* Row 0 has everything; of row 1 view a is expired, with a default for one feature; view b is
 * missing. */
static void rows_script(struct fake *fake) {
    begin(fake);
    struct fake_frame get = fake_expect(fake, GET);
    const uint8_t *at = get.payload;
    fake_check(fake, get.handle == 1 && load_u64(at) == 77);
    fake_check(fake, load_i64(at + 8) == INT64_MIN && load_i64(at + 16) == 0);
    fake_check(fake, load_u32(at + 24) == 2 && at[28] == 0 && at[29] == 1);
    static const uint8_t keys[] = "\x05\0\0\0\0\0\0\0\x02\0ab\xff\xff\xff\xff\xff\xff\xff\xff\0\0";
    fake_check(fake, get.payload_bytes == 32 + sizeof keys - 1);
    fake_check(fake, memcmp(at + 32, keys, sizeof keys - 1) == 0);

    struct fake_rows rows = fake_rows_create(2);
    uint8_t *row = fake_rows_row(&rows, 0);
    store_i64(row + 8, 1000);
    store_i64(row + 16, 2000);
    store_u64(row + 24, 3000);
    fake_rows_put(&rows, &layout, 0, 0, &(int64_t){-1205}, 8);
    fake_rows_put(&rows, &layout, 0, 1, &(float){0.25f}, 4);
    fake_rows_put(&rows, &layout, 0, 2, &(int64_t){42}, 8);
    fake_rows_put(&rows, &layout, 0, 3, &(double){NAN}, 8);
    fake_rows_put_heap(&rows, &layout, 0, 4, "gold", 4);
    fake_rows_put(&rows, &layout, 0, 5, (float[]){1, 2, 3}, 12);
    fake_rows_put_heap(&rows, &layout, 0, 6, "\x02\0\0\0\x01\0\0\0x\0\0\0", 13);
    row = fake_rows_row(&rows, 1);
    row[0] = FST_ROW_EXPIRED;
    row[FAKE_GROUP_BYTES] = FST_ROW_MISSING;
    store_i64(row + fake_value_offset(&layout, 2), 7);
    fake_rows_send(fake, &get, &rows);
    fake_drain(fake);
}

static void row_with_all_check(const struct fst_reply *reply) {
    char text[64];
    struct fst_value value = fst_reply_value(reply, 0, 0);
    assert_true(value.is_given && value.presence == FST_PRESENT);
    assert_int_equal(value.integer, -1205);
    fst_value_format(&value, text, sizeof text);
    assert_string_equal(text, "-12.05");
    assert_true(fst_reply_value(reply, 0, 1).number == 0.25);
    assert_int_equal(fst_reply_value(reply, 0, 2).integer, 42);
    assert_true(isnan(fst_reply_value(reply, 0, 3).number));
    value = fst_reply_value(reply, 0, 4);
    assert_int_equal(value.bytes, 4);
    assert_memory_equal(value.data, "gold", 4);
    value = fst_reply_value(reply, 0, 5);
    fst_value_format(&value, text, sizeof text);
    assert_string_equal(text, "[1, 2, 3]");
    value = fst_reply_value(reply, 0, 6);
    fst_value_format(&value, text, sizeof text);
    assert_string_equal(text, "[\"x\", \"\"]");
    value = fst_reply_value(reply, 0, 7);
    assert_true(!value.is_given && value.presence == FST_NULL);
    struct fst_row row = fst_reply_row(reply, 0, 0);
    assert_int_equal(row.event_us, 1000);
    assert_int_equal(row.created_us, 2000);
    assert_int_equal(row.lsn, 3000);
}

static void row_without_check(const struct fst_reply *reply) {
    struct fst_value value = fst_reply_value(reply, 1, 0);
    assert_true(!value.is_given && value.presence == FST_ROW_EXPIRED);
    value = fst_reply_value(reply, 1, 2);
    assert_true(value.is_given && value.presence == FST_ROW_EXPIRED);
    assert_int_equal(value.integer, 7);
    value = fst_reply_value(reply, 1, 3);
    assert_true(value.is_given && value.presence == FST_ROW_MISSING);
    assert_int_equal(fst_reply_row(reply, 1, 1).presence, FST_ROW_MISSING);
    /* Beyond the end there is nothing, and nothing is touched. */
    assert_false(fst_reply_value(reply, 2, 0).is_given);
    assert_false(fst_reply_value(reply, 0, FEATURES).is_given);
    assert_int_equal(fst_reply_row(reply, 0, 2).presence, FST_ROW_MISSING);
}

static void test_values_of_every_kind(void **state) {
    (void)state;
    static const size_t pieces[] = {0, 1, 7, 100};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct setting s;
        setting_open(&s, rows_script, pieces[i]);
        key_put(&s, 5, "ab");
        key_put(&s, -1, "");
        assert_int_equal(fst_keys_count(s.keys), 2);
        struct fst_get_options options = {.as_of_us = FST_NOW, .serves_expired = true};
        struct fst_reply reply;
        assert_int_equal(fst_get(s.keys, &options, &reply), FST_OK);
        assert_int_equal(reply.rows_count, 2);
        row_with_all_check(&reply);
        row_without_check(&reply);
        double matrix[2 * 3];
        fst_reply_matrix(&reply, 3, matrix);
        assert_true(matrix[0] == -12.05 && matrix[1] == 0.25 && matrix[2] == 42);
        assert_true(isnan(matrix[3]) && isnan(matrix[4]) && matrix[5] == 7);
        setting_close(&s);
    }
}

static void test_columns_and_names(void **state) {
    (void)state;
    struct setting s;
    setting_open(&s, rows_script, 0);
    assert_int_equal(fst_handle_keys_count(s.handle), 2);
    assert_string_equal(fst_handle_key(s.handle, 1).name, "shop");
    assert_int_equal(fst_handle_features_count(s.handle), FEATURES);
    assert_int_equal(fst_handle_views_count(s.handle), 2);
    assert_string_equal(fst_handle_view(s.handle, 1).name, "fraud.b");
    struct fst_column column = fst_handle_feature(s.handle, 3);
    assert_string_equal(column.name, "risk");
    assert_string_equal(column.view, "fraud.b");
    assert_int_equal(column.view_index, 1);
    assert_true(column.has_default);
    assert_int_equal(fst_handle_find(s.handle, "risk"), 3);
    assert_int_equal(fst_handle_find(s.handle, "b:risk"), 3);
    assert_int_equal(fst_handle_find(s.handle, "fraud.b:risk"), 3);
    assert_int_equal(fst_handle_find(s.handle, "a:risk"), -1);
    assert_int_equal(fst_handle_find(s.handle, "raud.b:risk"), -1);
    assert_string_equal(fst_handle_feature(s.handle, FEATURES).name, "");
    key_put(&s, 5, "ab");
    key_put(&s, -1, "");
    struct fst_get_options options = {.as_of_us = FST_NOW, .serves_expired = true};
    struct fst_reply reply;
    assert_int_equal(fst_get(s.keys, &options, &reply), FST_OK);
    setting_close(&s);
}

/* ---- keys that cannot be asked for ---- */

static void only_prepare_script(struct fake *fake) {
    begin(fake);
    fake_drain(fake);
}

static void test_wrong_keys_are_refused_before_they_are_sent(void **state) {
    (void)state;
    static char text[300];
    memset(text, 'k', sizeof text);
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, only_prepare_script, 0);
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_INVALID);
    assert_non_null(strstr(reply.text, "at least one key"));
    assert_int_equal(fst_keys_put(s.keys, fst_string("5")), FST_INVALID);
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_INVALID);
    assert_non_null(strstr(reply.text, "customer"));
    fst_keys_clear(s.keys);
    assert_int_equal(fst_keys_put(s.keys, fst_int64(5)), FST_OK);
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_INVALID);
    assert_non_null(strstr(reply.text, "key 1 has no value for column 'shop'"));
    assert_int_equal(fst_keys_put(s.keys, fst_null()), FST_INVALID);
    /* A key has 256 bytes at the most: 8, 2 and 246. */
    static const struct {
        size_t bytes;
        enum fst_status status;
    } cases[] = {{246, FST_OK}, {247, FST_TOO_LARGE}, {300, FST_TOO_LARGE}};
    for (size_t i = 0; i < 3; i++) {
        fst_keys_clear(s.keys);
        assert_int_equal(fst_keys_put(s.keys, fst_int64(5)), FST_OK);
        assert_int_equal(fst_keys_put(s.keys, fst_string_of(text, cases[i].bytes)),
                         cases[i].status);
    }
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_TOO_LARGE);
    assert_non_null(strstr(reply.text, "key 1, column 'shop'"));
    fst_keys_clear(s.keys);
    for (int64_t i = 0; i < 10000; i++) key_put(&s, i, "");
    assert_int_equal(fst_keys_put(s.keys, fst_int64(0)), FST_TOO_LARGE);
    setting_close(&s);
}

/* ---- many at a time ---- */

/* Enough for the replies to come round in the receive buffer. */
enum { PIPELINED = 60 };

/* Takes all requests before it answers any, then answers the last first, each with its own key. */
static void backwards_script(struct fake *fake) {
    begin(fake);
    struct fake_frame gets[PIPELINED];
    int64_t customers[PIPELINED];
    for (uint32_t i = 0; i < PIPELINED; i++) {
        gets[i] = fake_expect(fake, GET);
        customers[i] = load_i64(gets[i].payload + 32);
    }
    for (uint32_t i = PIPELINED; i-- > 0;) {
        struct fake_rows rows = fake_rows_create(1);
        fake_rows_put(&rows, &layout, 0, 2, &customers[i], 8);
        fake_rows_send(fake, &gets[i], &rows);
    }
    fake_drain(fake);
}

struct expected {
    int64_t customer;
    uint32_t answers;
    bool is_right;
};

static void expected_done(void *context, const struct fst_reply *reply) {
    struct expected *expected = context;
    expected->answers += 1;
    expected->is_right =
        reply->status == FST_OK && fst_reply_value(reply, 0, 2).integer == expected->customer;
}

static void test_pipelined_replies_in_any_order(void **state) {
    (void)state;
    struct setting s;
    struct expected expected[PIPELINED];
    setting_open(&s, backwards_script, 13);
    for (uint32_t i = 0; i < PIPELINED; i++) {
        expected[i] = (struct expected){.customer = 1000 + i};
        struct fst_call call = {.done = expected_done, .context = &expected[i]};
        fst_keys_clear(s.keys);
        key_put(&s, expected[i].customer, "");
        assert_int_equal(fst_submit_get(s.keys, NULL, &call, &s.error), FST_OK);
    }
    assert_int_equal(fst_in_flight(s.client), PIPELINED);
    uint32_t answered = 0;
    while (fst_in_flight(s.client) > 0) answered += fst_poll(s.client, -1);
    assert_int_equal(answered, PIPELINED);
    for (uint32_t i = 0; i < PIPELINED; i++) {
        assert_true(expected[i].is_right);
        assert_int_equal(expected[i].answers, 1);
    }
    setting_close(&s);
}

/* ---- replies that are wrong ---- */

enum wrong {
    WRONG_ROWS_COUNT,
    WRONG_SHORT,
    WRONG_TRAILING,
    WRONG_HEAP,
    WRONG_REFERENCE,
    WRONG_PRESENCE,
    WRONG_STATUS,
    WRONG_ERROR,
    WRONG_ID,
    WRONG_OPCODE,
    WRONG_FLAGS,
    WRONG_LENGTH,
    WRONGS,
};

static void wrong_script(struct fake *fake) {
    const enum wrong *wrong = fake->context;
    begin(fake);
    struct fake_frame get = fake_expect(fake, GET);
    uint8_t payload[8 + FAKE_ROW_BYTES + 8] = {1};
    size_t bytes = 8 + FAKE_ROW_BYTES;
    uint8_t *row = payload + 8;
    uint32_t status = 0;
    memset(row + 32, 0xff, 8);
    memset(row + FAKE_GROUP_BYTES + 32, 0xff, 8);
    switch (*wrong) {
    case WRONG_ROWS_COUNT:
        payload[0] = 2;
        break;
    case WRONG_SHORT:
        bytes -= 1;
        break;
    case WRONG_TRAILING:
        bytes += 1;
        break;
    case WRONG_HEAP:
        store_u32(payload + 4, UINT32_MAX);
        break;
    case WRONG_REFERENCE:
        row[FAKE_GROUP_BYTES + 32] = 0xef; /* The string is there, at the end of no heap. */
        store_u32(row + fake_value_offset(&layout, 4), UINT32_MAX);
        store_u32(row + fake_value_offset(&layout, 4) + 4, 2);
        break;
    case WRONG_PRESENCE:
        row[FAKE_GROUP_BYTES] = 2;
        break;
    case WRONG_STATUS:
        status = 5;
        break;
    case WRONG_ERROR:
        status = FST_INVALID;
        break;
    case WRONG_ID:
        get.id += 1;
        break;
    case WRONG_OPCODE:
        get.opcode = 4;
        break;
    case WRONG_FLAGS:
        fake_send(fake, "\x10\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0", 16);
        break;
    default:
        fake_send(fake, "\x0f\0\0\0", 4);
    }
    fake_reply(fake, &get, status, payload, bytes);
    fake_drain(fake);
}

static void test_malformed_replies_are_refused(void **state) {
    (void)state;
    for (enum wrong wrong = 0; wrong < WRONGS; wrong++) {
        struct setting s = {0};
        fake_open(&s.fake, wrong_script, &wrong);
        struct fst_options options = fake_options(&s.fake);
        options.attempts_max = 1;
        assert_int_equal(fst_client_open(&s.client, &options, &s.error), FST_OK);
        assert_int_equal(fst_prepare_service(s.client, "s", &s.handle, &s.error), FST_OK);
        s.keys = fst_keys_create(s.handle);
        key_put(&s, 1, "");
        struct fst_reply reply;
        enum fst_status status = fst_get(s.keys, NULL, &reply);
        if (status != FST_BAD_FRAME) print_message("case %d: %s\n", wrong, reply.text);
        assert_int_equal(status, FST_BAD_FRAME);
        assert_non_null(strstr(reply.text, "a reply has"));
        setting_close(&s);
    }
}

static void refusal_script(struct fake *fake) {
    begin(fake);
    struct fake_frame get = fake_expect(fake, GET);
    fake_reply_error(fake, &get, FST_OVERLOADED, 2500, "too much, found 9");
    get = fake_expect(fake, GET);
    fake_reply_error(fake, &get, 250, 0, "of a later version");
    fake_drain(fake);
}

static void test_refusals_carry_text_and_retry_time(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, refusal_script, 3);
    key_put(&s, 1, "");
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_OVERLOADED);
    assert_string_equal(reply.text, "too much, found 9");
    assert_int_equal(reply.retry_us, 2500);
    assert_int_equal(reply.rows_count, 0);
    assert_int_equal(fst_get(s.keys, NULL, &reply), 250);
    assert_string_equal(fst_status_name(reply.status), "?");
    setting_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_of_every_kind),
        cmocka_unit_test(test_columns_and_names),
        cmocka_unit_test(test_wrong_keys_are_refused_before_they_are_sent),
        cmocka_unit_test(test_pipelined_replies_in_any_order),
        cmocka_unit_test(test_malformed_replies_are_refused),
        cmocka_unit_test(test_refusals_carry_text_and_retry_time),
    };
    return cmocka_run_group_tests_name("client/read", tests, NULL, NULL);
}
