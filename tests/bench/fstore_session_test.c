/* Shows that the layout a server describes is believed only if it is one of N float64 features
 * keyed by one int64: it is made here by hand, cut at every byte, changed field by field and bit by
 * bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "bench/fsbench/fstore_session.h"

enum { FEATURES = 3, ROW_BYTES = 32 + 8 + 8 * FEATURES, BYTES_MAX = 1024 };

/* Everything a layout says that may be wrong. */
struct description {
    uint64_t key_type, last_type, last_default;
    const char *last_name;
    uint32_t kind, row_bytes, group_offset, group_bytes, last_offset, surplus_bytes;
    uint16_t keys_count, groups_count, group_features, key_index, features_count, last_group;
    uint8_t group_keys;
};

static const struct description good = {.kind = 0,
                                        .row_bytes = ROW_BYTES,
                                        .keys_count = 1,
                                        .key_type = 3,
                                        .groups_count = 1,
                                        .group_bytes = ROW_BYTES,
                                        .group_features = FEATURES,
                                        .group_keys = 1,
                                        .features_count = FEATURES,
                                        .last_offset = ROW_BYTES - 8,
                                        .last_type = 5,
                                        .last_name = "f2"};

static void feature_write(struct writer *out, const struct description *d, uint32_t index) {
    static const char *const names[] = {"f0", "f1"};
    bool is_last = index + 1 == FEATURES;
    const char *name = is_last ? d->last_name : names[index];
    write_u16(out, is_last ? d->last_group : 0);
    write_u16(out, (uint16_t)index);
    write_u32(out, is_last ? d->last_offset : 40 + 8 * index);
    write_u64(out, is_last ? d->last_type : 5);
    write_u64(out, is_last ? d->last_default : 0);
    write_short(out, name, strlen(name));
}

static size_t layout_make(uint8_t *out, const struct description *d) {
    struct writer writer = writer_of(out, BYTES_MAX);
    write_u32(&writer, 9);
    write_u64(&writer, 1234);
    write_u32(&writer, d->kind);
    write_u32(&writer, d->row_bytes);
    write_u16(&writer, d->keys_count);
    write_u64(&writer, d->key_type);
    write_short(&writer, "item_id", 7);
    write_u16(&writer, d->groups_count);
    write_u32(&writer, d->group_offset);
    write_u32(&writer, d->group_bytes);
    write_u16(&writer, d->group_features);
    write_u8(&writer, d->group_keys);
    write_u8(&writer, 0);
    write_u16(&writer, d->key_index);
    write_i64(&writer, 0);
    write_short(&writer, "bench.wide_3", 12);
    write_u16(&writer, d->features_count);
    for (uint32_t i = 0; i < FEATURES; i++) feature_write(&writer, d, i);
    for (uint32_t i = 0; i < d->surplus_bytes; i++) write_u8(&writer, 0);
    assert_false(writer.failed);
    return writer_used(&writer);
}

/* Decodes a copy of exactly these bytes, so that a sanitizer sees a read beyond them. */
static enum fst_status decode(const uint8_t *data, size_t bytes, struct fstore_layout *layout_out) {
    uint8_t *copy = malloc(bytes ? bytes : 1);
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    struct fst_error error = {.status = FST_OK};
    enum fst_status status = fstore_layout_decode((struct bytes){.data = copy, .bytes = bytes},
                                                  FEATURES, layout_out, &error);
    assert_int_equal(error.status, status);
    free(copy);
    return status;
}

static void test_good_layout_is_understood(void **state) {
    (void)state;
    uint8_t data[BYTES_MAX];
    struct fstore_layout layout;
    assert_int_equal(decode(data, layout_make(data, &good), &layout), FST_OK);
    assert_int_equal(layout.handle, 9);
    assert_int_equal(layout.layout_id, 1234);
    assert_int_equal(layout.row_bytes, ROW_BYTES);
    assert_int_equal(layout.group_offset, 0);
    for (uint32_t i = 0; i < FEATURES; i++) assert_int_equal(layout.value_offsets[i], 40 + 8 * i);
    struct description write = good;
    write.kind = 2;
    write.row_bytes = write.group_bytes = write.last_offset = 0;
    assert_int_equal(decode(data, layout_make(data, &write), &layout), FST_OK);
}

static void test_cut_layouts_are_refused(void **state) {
    (void)state;
    uint8_t data[BYTES_MAX];
    struct fstore_layout layout;
    size_t bytes = layout_make(data, &good);
    for (size_t part = 0; part < bytes; part++)
        assert_int_equal(decode(data, part, &layout), FST_CORRUPT);
}

static void test_other_layouts_are_refused(void **state) {
    (void)state;
    struct description bad[20];
    size_t count = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) bad[i] = good;
    bad[count++].kind = 1;
    bad[count++].keys_count = 2;
    bad[count++].key_type = 2;
    bad[count++].key_type = 3 | 1ull << 32;
    bad[count++].groups_count = 2;
    bad[count++].groups_count = 0;
    bad[count++].group_offset = 8;
    bad[count++].group_bytes = ROW_BYTES + 1;
    bad[count++].group_features = FEATURES + 1;
    bad[count++].group_keys = 2;
    bad[count++].key_index = 1;
    bad[count++].features_count = FEATURES + 1;
    bad[count++].features_count = FEATURES - 1;
    bad[count++].last_group = 1;
    bad[count++].last_offset = ROW_BYTES - 7;
    bad[count++].last_offset = 31;
    bad[count++].last_type = 4;
    bad[count++].last_default = 1;
    bad[count++].last_name = "f3";
    bad[count++].surplus_bytes = 1;
    for (size_t i = 0; i < count; i++) {
        uint8_t data[BYTES_MAX];
        struct fstore_layout layout;
        print_message("  bad layout %zu\n", i);
        assert_int_equal(decode(data, layout_make(data, &bad[i]), &layout), FST_CORRUPT);
    }
}

/* Where a changed bit passes, values still lie inside the row. */
static void test_any_bit_may_flip(void **state) {
    (void)state;
    uint8_t data[BYTES_MAX];
    size_t bytes = layout_make(data, &good);
    for (size_t bit = 0; bit < bytes * 8; bit++) {
        struct fstore_layout layout;
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        if (decode(data, bytes, &layout) == FST_OK && data[12] == 0) {
            assert_true(layout.group_offset + 40u <= layout.row_bytes);
            for (uint32_t i = 0; i < FEATURES; i++)
                assert_true(layout.value_offsets[i] + 8u <= layout.row_bytes);
        }
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_layout_is_understood),
        cmocka_unit_test(test_cut_layouts_are_refused),
        cmocka_unit_test(test_other_layouts_are_refused),
        cmocka_unit_test(test_any_bit_may_flip),
    };
    return cmocka_run_group_tests_name("bench/fstore_session", tests, NULL, NULL);
}
