/* Shows that a right reply of each shape passes and that each byte spoiled in it is noticed:
 * replies are laid out here by docs/protocol.md, not by the code that reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "bench/fsbench/item.h"
#include "bench/fsbench/reply_shape.h"

enum { FEATURES = 3, KEYS = 11, PADDED = 16, REPLY_BYTES_MAX = 4096, MISSING = 4 };
enum { VERSION = 1000 }; /* of key 0; that of key k is k larger */

static const struct fstore_layout layout = {
    .row_bytes = 8 + FSTORE_ROW_HEAD_BYTES + 8 + FEATURES * 8,
    .group_offset = 8,
    .features_count = FEATURES,
    .value_offsets = {48, 64, 56},
};

static uint64_t value_of(uint32_t key, uint32_t column) {
    return item_value(item_seed(key, VERSION + key), column);
}

static double number_of(uint32_t key, uint32_t column) {
    uint64_t bits = value_of(key, column);
    double number;
    memcpy(&number, &bits, sizeof number);
    return key == MISSING ? (double)NAN : number;
}

static void rows_fill(uint8_t *body) {
    for (uint32_t key = 0; key < KEYS; key++) {
        uint8_t *row = body + (size_t)key * layout.row_bytes;
        row[8] = key == MISSING ? FST_NOT_FOUND : FST_OK;
        if (key == MISSING) continue;
        store_i64(row + 16, VERSION + key);
        for (uint32_t i = 0; i < FEATURES; i++)
            store_u64(row + layout.value_offsets[i], value_of(key, i));
    }
}

static void columns_fill(uint8_t *body) {
    for (uint32_t key = 0; key < KEYS; key++) {
        body[24 * PADDED + key] = key == MISSING ? FST_NOT_FOUND : FST_OK;
        if (key == MISSING) continue;
        store_i64(body + (size_t)key * 8, VERSION + key);
        for (uint32_t i = 0; i < FEATURES; i++)
            store_u64(body + (25 + 9 * i + 1) * PADDED + (size_t)key * 8, value_of(key, i));
    }
}

static void matrix_fill(uint8_t *body, bool is_narrow) {
    for (uint32_t at = 0; at < KEYS * FEATURES; at++) {
        double number = number_of(at / FEATURES, at % FEATURES);
        float narrow = (float)number;
        if (is_narrow)
            memcpy(body + at * sizeof narrow, &narrow, sizeof narrow);
        else
            memcpy(body + at * sizeof number, &number, sizeof number);
    }
}

static uint32_t reply_fill(enum reply_shape shape, uint8_t *payload) {
    memset(payload, 0, REPLY_BYTES_MAX);
    store_u32(payload, KEYS);
    if (shape == SHAPE_FLOAT32 || shape == SHAPE_FLOAT64) {
        store_u32(payload + 4, FEATURES);
        matrix_fill(payload + 8, shape == SHAPE_FLOAT32);
        return 8 + KEYS * FEATURES * (shape == SHAPE_FLOAT32 ? 4 : 8);
    }
    if (shape == SHAPE_ROWS) rows_fill(payload + 8);
    if (shape == SHAPE_COLUMNS) columns_fill(payload + 8);
    return 8 + (shape == SHAPE_ROWS ? KEYS * layout.row_bytes : PADDED * (25 + 9 * FEATURES));
}

static bool reply_is_right(const struct shaped_reply *reply) {
    if (!shaped_reply_check(reply)) return false;
    for (uint32_t key = 0; key < KEYS; key++) {
        struct row_question row = {.index = key,
                                   .key = key,
                                   .exists = key != MISSING,
                                   .version = VERSION + key,
                                   .columns_count = FEATURES};
        if (!shaped_row_check(reply, &row)) return false;
    }
    return true;
}

static const char *const names[] = {"rows", "columns", "float32", "float64"};

static void test_right_replies_pass_and_spoiled_values_do_not(void **state) {
    (void)state;
    uint8_t payload[REPLY_BYTES_MAX];
    for (enum reply_shape shape = SHAPE_ROWS; shape <= SHAPE_FLOAT64; shape++) {
        print_message("  %s\n", names[shape]);
        struct shaped_reply reply = {
            .shape = shape, .layout = &layout, .payload = payload, .keys_count = KEYS};
        reply.payload_bytes = reply_fill(shape, payload);
        assert_int_equal(reply.payload_bytes, reply_shape_bytes(shape, &layout, KEYS));
        assert_true(reply_is_right(&reply));
        uint32_t noticed_count = 0;
        for (uint32_t at = 0; at < reply.payload_bytes; at++) {
            payload[at] ^= 1;
            noticed_count += !reply_is_right(&reply);
            payload[at] ^= 1;
        }
        /* Of each row that exists at least its values; of the missing one its status or NaN. */
        uint32_t value_bytes = shape == SHAPE_FLOAT32 ? 4 : 8;
        assert_true(noticed_count >= 8 + (KEYS - 1) * FEATURES * value_bytes);
        reply.payload_bytes--;
        assert_false(shaped_reply_check(&reply));
    }
}

static void test_nulls_and_rows_that_should_not_be_there_are_wrong(void **state) {
    (void)state;
    uint8_t payload[REPLY_BYTES_MAX];
    struct shaped_reply reply = {.layout = &layout, .payload = payload, .keys_count = KEYS};
    for (reply.shape = SHAPE_ROWS; reply.shape <= SHAPE_FLOAT64; reply.shape++) {
        print_message("  %s\n", names[reply.shape]);
        reply.payload_bytes = reply_fill(reply.shape, payload);
        struct row_question row = {.index = 1, .key = 1, .columns_count = FEATURES};
        assert_false(shaped_row_check(&reply, &row));
        row = (struct row_question){.index = MISSING,
                                    .key = MISSING,
                                    .exists = true,
                                    .version = VERSION + MISSING,
                                    .columns_count = FEATURES};
        assert_false(shaped_row_check(&reply, &row));
    }
    reply.shape = SHAPE_ROWS;
    reply.payload_bytes = reply_fill(SHAPE_ROWS, payload);
    payload[8 + 8 + FSTORE_ROW_HEAD_BYTES] = 4; /* the third feature of the first row */
    assert_false(reply_is_right(&reply));
    reply.shape = SHAPE_COLUMNS;
    reply.payload_bytes = reply_fill(SHAPE_COLUMNS, payload);
    payload[8 + (25 + 9 * 2) * PADDED] = 1;
    assert_false(reply_is_right(&reply));
}

static void test_versions_are_read(void **state) {
    (void)state;
    uint8_t payload[REPLY_BYTES_MAX];
    for (enum reply_shape shape = SHAPE_ROWS; shape <= SHAPE_COLUMNS; shape++) {
        struct shaped_reply reply = {
            .shape = shape, .layout = &layout, .payload = payload, .keys_count = KEYS};
        reply.payload_bytes = reply_fill(shape, payload);
        for (uint32_t key = 0; key < KEYS; key++)
            assert_int_equal(shaped_row_version(&reply, key), key == MISSING ? 0 : VERSION + key);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_replies_pass_and_spoiled_values_do_not),
        cmocka_unit_test(test_nulls_and_rows_that_should_not_be_there_are_wrong),
        cmocka_unit_test(test_versions_are_read),
    };
    return cmocka_run_group_tests_name("bench/reply_shape", tests, NULL, NULL);
}
