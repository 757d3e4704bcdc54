/*
 * Shows that replies in columns and matrices come out as the server put them in: what is asked for,
 * values, statuses and times in their places, features in the handle's order whatever the server's
 * is; and that malformed ones are refused. A scripted server decides every byte.
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

enum { GET = 3, ROWS = 3, ROOM = 8, PAYLOAD_BYTES_MAX = 4096 };

/* Values of 8, 8, 4 and 1 bytes. */
static const struct fake_layout layout = {
    .number = 1,
    .id = 77,
    .features_count = 4,
    .features = {{"amount", {.kind = FST_KIND_DECIMAL, .scale = 2}, 0, false},
                 {"segment", {.kind = FST_KIND_STRING}, 1, false},
                 {"count", {.kind = FST_KIND_INT32}, 0, false},
                 {"is_new", {.kind = FST_KIND_BOOL}, 1, false}},
};

static const struct fake_layout numbers = {
    .number = 1,
    .id = 78,
    .features_count = 3,
    .features = {{"amount", {.kind = FST_KIND_DECIMAL, .scale = 2}, 0, false},
                 {"count", {.kind = FST_KIND_INT64}, 0, true},
                 {"risk", {.kind = FST_KIND_FLOAT64}, 1, false}},
};

/* The same with a feature more, in another order. */
static const struct fake_layout numbers_moved = {
    .number = 1,
    .id = 79,
    .features_count = 4,
    .features = {{"risk", {.kind = FST_KIND_FLOAT64}, 1, false},
                 {"is_new", {.kind = FST_KIND_BOOL}, 1, false},
                 {"amount", {.kind = FST_KIND_DECIMAL, .scale = 2}, 0, false},
                 {"count", {.kind = FST_KIND_INT64}, 0, true}},
};

struct setting {
    struct fake fake;
    struct fst_client *client;
    struct fst_handle *handle;
    struct fst_keys *keys;
    struct fst_error error;
};

static void setting_open(struct setting *s, void (*script)(struct fake *fake), void *context) {
    *s = (struct setting){0};
    fake_open(&s->fake, script, context);
    s->fake.piece_bytes = 11;
    struct fst_options options = fake_options(&s->fake);
    options.attempts_max = 2;
    assert_int_equal(fst_client_open(&s->client, &options, &s->error), FST_OK);
    assert_int_equal(fst_prepare_service(s->client, "s", &s->handle, &s->error), FST_OK);
    s->keys = fst_keys_create(s->handle);
    assert_non_null(s->keys);
    for (int64_t i = 0; i < ROWS; i++) {
        assert_int_equal(fst_keys_put(s->keys, fst_int64(i)), FST_OK);
    }
}

static void setting_close(struct setting *s) {
    fst_keys_destroy(s->keys);
    fst_client_close(s->client);
    fake_close(&s->fake);
}

static void begin(struct fake *fake, const struct fake_layout *of) {
    fake_accept(fake);
    fake_greet(fake);
    fake_prepare(fake, of);
}

static struct fake_frame get_expect(struct fake *fake, uint8_t shape, uint8_t options) {
    struct fake_frame get = fake_expect(fake, GET);
    fake_check(fake, load_u32(get.payload + 24) == ROWS);
    fake_check(fake, get.payload[28] == shape);
    fake_check(fake, get.payload[29] == options);
    return get;
}

/* ---- columns ---- */

/* Of view a row 1 is expired; of view b row 2 is missing. Row 0 has no count. */
static size_t columns_encode(uint8_t *payload) {
    struct writer w = writer_of(payload, PAYLOAD_BYTES_MAX);
    static const uint8_t row_statuses[2][ROOM] = {{0, FST_ROW_EXPIRED, 0}, {0, 0, FST_ROW_MISSING}};
    write_u32(&w, ROWS);
    write_u32(&w, 7);
    for (int64_t view = 0; view < 2; view++) {
        for (int64_t array = 0; array < 3; array++) {
            for (int64_t row = 0; row < ROOM; row++) {
                write_i64(&w, row < ROWS ? 100 * view + 10 * array + row : 0);
            }
        }
        write_bytes(&w, row_statuses[view], ROOM);
    }
    write_bytes(&w, "\0\1\0\0\0\0\0\0", ROOM); /* amount */
    static const int64_t amounts[ROOM] = {-1205, 0, 5};
    write_bytes(&w, amounts, sizeof amounts);
    write_bytes(&w, "\0\0\1\0\0\0\0\0", ROOM); /* segment */
    static const uint32_t places[2 * ROOM] = {3, 4, 0, 3};
    write_bytes(&w, places, sizeof places);
    write_bytes(&w, "\1\1\0\0\0\0\0\0", ROOM); /* count */
    static const int32_t counts[ROOM] = {0, 0, -7};
    write_bytes(&w, counts, sizeof counts);
    write_bytes(&w, "\0\1\1\0\0\0\0\0", ROOM); /* is_new */
    write_bytes(&w, "\1\0\0\0\0\0\0\0", ROOM);
    write_bytes(&w, "redgold", 7);
    return w.failed ? 0 : writer_used(&w);
}

static void columns_script(struct fake *fake) {
    uint8_t payload[PAYLOAD_BYTES_MAX];
    begin(fake, &layout);
    struct fake_frame get = get_expect(fake, 1, 1);
    size_t bytes = columns_encode(payload);
    fake_check(fake, bytes > 0);
    fake_reply(fake, &get, 0, payload, bytes);
    fake_drain(fake);
}

static void columns_values_check(const struct fst_reply *reply) {
    static const char *const texts[ROWS][4] = {
        {"-12.05", "gold", "", "true"}, {"", "red", "", ""}, {"0.05", "", "-7", ""}};
    static const uint8_t presences[ROWS][4] = {
        {FST_PRESENT, FST_PRESENT, FST_NULL, FST_PRESENT},
        {FST_ROW_EXPIRED, FST_PRESENT, FST_ROW_EXPIRED, FST_NULL},
        {FST_PRESENT, FST_ROW_MISSING, FST_PRESENT, FST_ROW_MISSING}};
    uint8_t found[ROWS * 4];
    assert_true(fst_reply_presences(reply, 4, found));
    assert_memory_equal(found, presences, sizeof found);
    for (uint32_t row = 0; row < ROWS; row++) {
        for (uint32_t feature = 0; feature < 4; feature++) {
            struct fst_value value = fst_reply_value(reply, row, feature);
            char text[32];
            fst_value_format(&value, text, sizeof text);
            assert_string_equal(text, texts[row][feature]);
            assert_int_equal(value.presence, presences[row][feature]);
        }
    }
}

static void test_columns(void **state) {
    (void)state;
    struct setting s;
    setting_open(&s, columns_script, NULL);
    /* Statuses are for matrices: what is asked for of columns has no such bit. */
    struct fst_get_options options = {.as_of_us = FST_NOW,
                                      .serves_expired = true,
                                      .shape = FST_SHAPE_COLUMNS,
                                      .has_statuses = true};
    struct fst_reply reply;
    assert_int_equal(fst_get(s.keys, &options, &reply), FST_OK);
    assert_int_equal(reply.shape, FST_SHAPE_COLUMNS);
    columns_values_check(&reply);
    struct fst_row row = fst_reply_row(&reply, 2, 1);
    assert_int_equal(row.presence, FST_ROW_MISSING);
    assert_int_equal(row.event_us, 102);
    assert_int_equal(row.created_us, 112);
    assert_int_equal(row.lsn, 122);
    struct fst_reply_column column = fst_reply_column(&reply, 2);
    int32_t counts[ROWS];
    assert_int_equal(column.type.kind, FST_KIND_INT32);
    assert_int_equal(column.value_bytes, sizeof counts[0]);
    memcpy(counts, column.values, sizeof counts);
    assert_int_equal(counts[2], -7);
    assert_memory_equal(column.nulls, "\1\1\0", ROWS);
    assert_int_equal(column.rows[1], FST_ROW_EXPIRED);
    column = fst_reply_column(&reply, 1);
    assert_int_equal(column.value_bytes, 8);
    assert_int_equal(load_u32((const uint8_t *)column.values + 4), 4);
    double matrix[ROWS * 3];
    fst_reply_matrix(&reply, 3, matrix);
    assert_true(matrix[0] == -12.05 && isnan(matrix[1]) && matrix[8] == -7);
    /* Beyond the end there is nothing. */
    assert_null(fst_reply_column(&reply, 4).values);
    assert_false(fst_reply_value(&reply, ROWS, 0).is_given);
    assert_int_equal(fst_reply_row(&reply, 0, 2).presence, FST_ROW_MISSING);
    setting_close(&s);
}

/* ---- matrices ---- */

static const double wide[ROWS][3] = {{0.1, 2, 3}, {4, 5, NAN}, {7, 8, 9}};
static const uint8_t statuses[ROWS][3] = {
    {0, FST_NULL, 0}, {0, 0, FST_ROW_MISSING}, {FST_ROW_EXPIRED, FST_ROW_EXPIRED, 0}};

/* The numbers of `wide` in the order of the layout; features that it does not know are 1. */
static size_t matrix_encode(const struct fake_layout *of, uint8_t shape, bool has_statuses,
                            uint8_t *payload) {
    struct writer w = writer_of(payload, PAYLOAD_BYTES_MAX);
    uint32_t places[FAKE_FEATURES_MAX];
    for (uint32_t i = 0; i < of->features_count; i++) {
        places[i] = 0;
        while (places[i] < 3 &&
               strcmp(of->features[i].name, numbers.features[places[i]].name) != 0) {
            places[i] += 1;
        }
    }
    write_u32(&w, ROWS);
    write_u32(&w, of->features_count);
    for (uint32_t row = 0; row < ROWS; row++) {
        for (uint32_t i = 0; i < of->features_count; i++) {
            double number = places[i] < 3 ? wide[row][places[i]] : 1;
            float narrow = (float)number;
            if (shape == 2)
                write_bytes(&w, &narrow, sizeof narrow);
            else
                write_bytes(&w, &number, sizeof number);
        }
    }
    for (uint32_t row = 0; has_statuses && row < ROWS; row++) {
        for (uint32_t i = 0; i < of->features_count; i++) {
            write_u8(&w, places[i] < 3 ? statuses[row][places[i]] : 0);
        }
    }
    return w.failed ? 0 : writer_used(&w);
}

/* All four kinds of matrix; the last after the definitions have changed. */
static void matrix_script(struct fake *fake) {
    uint8_t payload[PAYLOAD_BYTES_MAX];
    begin(fake, &numbers);
    for (uint8_t i = 0; i < 4; i++) {
        bool has_statuses = i % 2;
        struct fake_frame get = get_expect(fake, 2 + i / 2, has_statuses ? 2 : 0);
        size_t bytes = matrix_encode(&numbers, 2 + i / 2, has_statuses, payload);
        fake_reply(fake, &get, 0, payload, bytes);
    }
    for (uint8_t shape = 2; shape <= 3; shape++) {
        struct fake_frame get = get_expect(fake, shape, 2);
        if (shape == 2) {
            fake_reply(fake, &get, FST_LAYOUT_CHANGED, payload,
                       fake_layout_encode(&numbers_moved, payload));
            get = get_expect(fake, shape, 2);
        }
        fake_check(fake, load_u64(get.payload) == numbers_moved.id);
        size_t bytes = matrix_encode(&numbers_moved, shape, true, payload);
        fake_reply(fake, &get, 0, payload, bytes);
    }
    fake_drain(fake);
}

static void matrix_check(const struct fst_reply *reply) {
    double found64[ROWS * 3];
    float found32[ROWS * 3];
    uint8_t found[ROWS * 3];
    fst_reply_matrix(reply, 3, found64);
    fst_reply_matrix_float32(reply, 3, found32);
    for (uint32_t i = 0; i < ROWS * 3; i++) {
        double number = wide[i / 3][i % 3];
        bool is_narrow = reply->shape == FST_SHAPE_FLOAT32;
        double want = is_narrow ? (double)(float)number : number;
        assert_true(isnan(number) ? isnan(found64[i]) : found64[i] == want);
        assert_true(isnan(number) ? isnan(found32[i]) : found32[i] == (float)number);
    }
    assert_int_equal(fst_reply_presences(reply, 3, found), reply->has_statuses);
    if (reply->has_statuses) assert_memory_equal(found, statuses, sizeof found);
    double part[ROWS * 2], more[ROWS * 6];
    fst_reply_matrix(reply, 2, part);
    assert_true(part[2] == wide[1][0] && part[5] == wide[2][1]);
    fst_reply_matrix(reply, 6, more);
    assert_true(more[6] == wide[1][0] && isnan(more[5]) && isnan(more[17]));
    assert_false(fst_reply_value(reply, 0, 0).is_given);
    assert_int_equal(fst_reply_row(reply, 0, 0).presence, FST_ROW_MISSING);
    assert_null(fst_reply_column(reply, 0).values);
}

static void test_matrices(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, matrix_script, NULL);
    for (uint32_t i = 0; i < 6; i++) {
        struct fst_get_options options = {.as_of_us = FST_NOW,
                                          .shape = FST_SHAPE_FLOAT32 + (i < 4 ? i / 2 : i % 2),
                                          .has_statuses = i >= 4 || i % 2};
        assert_int_equal(fst_get(s.keys, &options, &reply), FST_OK);
        assert_int_equal(reply.rows_count, ROWS);
        assert_int_equal(reply.shape, options.shape);
        assert_int_equal(reply.has_statuses, options.has_statuses);
        assert_int_equal(fst_handle_features_count(s.handle), i < 4 ? 3 : 4);
        matrix_check(&reply);
    }
    setting_close(&s);
}

static void only_prepare_script(struct fake *fake) {
    begin(fake, &layout);
    fake_drain(fake);
}

static void test_what_cannot_be_a_matrix_is_not_sent(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, only_prepare_script, NULL);
    struct fst_get_options options = {.as_of_us = FST_NOW, .shape = FST_SHAPE_FLOAT32};
    assert_int_equal(fst_get(s.keys, &options, &reply), FST_INVALID);
    assert_non_null(strstr(reply.text, "fraud.b:segment is of type string"));
    options.shape = FST_SHAPE_FLOAT64 + 1;
    assert_int_equal(fst_get(s.keys, &options, &reply), FST_INVALID);
    assert_non_null(strstr(reply.text, "fst_shape"));
    setting_close(&s);
}

/* The server would take it for a broken frame, and close the connection. */
static void test_a_negative_deadline_is_not_sent(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, only_prepare_script, NULL);
    struct fst_get_options options = {.as_of_us = FST_NOW, .deadline_us = -1};
    assert_int_equal(fst_get(s.keys, &options, &reply), FST_INVALID);
    assert_non_null(strstr(reply.text, "deadline_us: expected 0 or more, found -1"));
    setting_close(&s);
}

/* ---- replies that are wrong ---- */

static const struct wrong {
    const char *name;
    enum fst_shape shape;
    int32_t more_bytes; /* than there should be */
    size_t at;          /* in the payload */
    uint8_t byte;
} wrongs[] = {
    {"rows", FST_SHAPE_FLOAT32, 0, 0, ROWS - 1},
    {"features", FST_SHAPE_FLOAT32, 0, 4, 2},
    {"features, of the right size", FST_SHAPE_FLOAT32, 15, 4, 4},
    {"a byte too few", FST_SHAPE_FLOAT32, -1, 0, ROWS},
    {"a byte too many", FST_SHAPE_FLOAT64, 1, 0, ROWS},
    {"status", FST_SHAPE_FLOAT64, 0, 8 + 8 * ROWS * 3 + 4, 2},
    {"rows in columns", FST_SHAPE_COLUMNS, 0, 0, ROWS + 1},
    {"heap", FST_SHAPE_COLUMNS, 0, 4, 6},
    {"a byte of heap too few", FST_SHAPE_COLUMNS, -1, 0, ROWS},
    {"a byte of heap too many", FST_SHAPE_COLUMNS, 1, 0, ROWS},
    {"status of a row", FST_SHAPE_COLUMNS, 0, 8 + 25 * ROOM + 24 * ROOM + 1, FST_NULL},
    {"reference", FST_SHAPE_COLUMNS, 0, 8 + (50 + 9 + 1) * ROOM, 4},
};

static void wrong_script(struct fake *fake) {
    const struct wrong *wrong = fake->context;
    uint8_t payload[PAYLOAD_BYTES_MAX] = {0};
    bool is_matrix = wrong->shape != FST_SHAPE_COLUMNS;
    begin(fake, is_matrix ? &numbers : &layout);
    struct fake_frame get = get_expect(fake, (uint8_t)wrong->shape, is_matrix ? 2 : 0);
    size_t bytes = is_matrix ? matrix_encode(&numbers, (uint8_t)wrong->shape, true, payload)
                             : columns_encode(payload);
    payload[wrong->at] = wrong->byte;
    fake_reply(fake, &get, 0, payload, bytes + (size_t)wrong->more_bytes);
    fake_drain(fake);
}

static void test_malformed_replies_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        struct wrong wrong = wrongs[i];
        struct setting s = {0};
        struct fst_reply reply;
        print_message("  %s\n", wrong.name);
        fake_open(&s.fake, wrong_script, &wrong);
        struct fst_options options = fake_options(&s.fake);
        options.attempts_max = 1;
        assert_int_equal(fst_client_open(&s.client, &options, &s.error), FST_OK);
        assert_int_equal(fst_prepare_service(s.client, "s", &s.handle, &s.error), FST_OK);
        s.keys = fst_keys_create(s.handle);
        for (int64_t k = 0; k < ROWS; k++) {
            assert_int_equal(fst_keys_put(s.keys, fst_int64(k)), FST_OK);
        }
        struct fst_get_options get = {
            .as_of_us = FST_NOW, .shape = wrong.shape, .has_statuses = true};
        assert_int_equal(fst_get(s.keys, &get, &reply), FST_BAD_FRAME);
        assert_non_null(strstr(reply.text, "a reply has"));
        setting_close(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_matrices),
        cmocka_unit_test(test_what_cannot_be_a_matrix_is_not_sent),
        cmocka_unit_test(test_a_negative_deadline_is_not_sent),
        cmocka_unit_test(test_malformed_replies_are_refused),
    };
    return cmocka_run_group_tests_name("client/shape", tests, NULL, NULL);
}
