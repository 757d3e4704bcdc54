/* Shows that what a writer wrote a reader reads, that neither goes past its end at any length, and
 * that a failure sticks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { RECORD_BYTES = 1 + 2 + 4 + 8 + 8 + 2 + 3 };

static void record_write(struct writer *w) {
    write_u8(w, 0x01);
    write_u16(w, 0x0203);
    write_u32(w, 0x04050607);
    write_u64(w, UINT64_C(0x08090a0b0c0d0e0f));
    write_i64(w, -2);
    write_short(w, "abc", 3);
}

static void test_bytes_are_little_endian(void **state) {
    (void)state;
    static const uint8_t want[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f, 0x0e, 0x0d,
                                   0x0c, 0x0b, 0x0a, 0x09, 0x08, 0xfe, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 3,    0,    'a',  'b',  'c'};
    uint8_t data[RECORD_BYTES];
    struct writer w = writer_of(data, sizeof data);
    record_write(&w);
    assert_false(w.failed);
    assert_int_equal(writer_used(&w), sizeof want);
    assert_memory_equal(data, want, sizeof want);
}

static void test_reader_at_every_length(void **state) {
    (void)state;
    uint8_t whole[RECORD_BYTES];
    struct writer w = writer_of(whole, sizeof whole);
    record_write(&w);
    for (size_t bytes = 0; bytes <= RECORD_BYTES; bytes++) {
        uint8_t *data = malloc(bytes + 1); /* A sanitizer sees anything beyond. */
        memcpy(data + 1, whole, bytes);
        struct reader r = reader_of(data + 1, bytes);
        uint8_t a = read_u8(&r);
        uint16_t b = read_u16(&r);
        uint32_t c = read_u32(&r);
        uint64_t d = read_u64(&r);
        int64_t e = read_i64(&r);
        struct bytes f = read_short(&r);
        assert_int_equal(reader_is_done(&r), bytes == RECORD_BYTES);
        assert_int_equal(a, bytes >= 1 ? 0x01 : 0);
        assert_int_equal(b, bytes >= 3 ? 0x0203 : 0);
        assert_int_equal(c, bytes >= 7 ? 0x04050607 : 0);
        assert_true(d == (bytes >= 15 ? UINT64_C(0x08090a0b0c0d0e0f) : 0));
        assert_int_equal(e, bytes >= 23 ? -2 : 0);
        assert_int_equal(f.bytes, bytes == RECORD_BYTES ? 3 : 0);
        if (bytes < RECORD_BYTES) {
            assert_true(r.failed);
            assert_null(read_bytes(&r, 0)); /* It sticks. */
        }
        free(data);
    }
}

static void test_reader_with_bytes_left(void **state) {
    (void)state;
    struct reader r = reader_of("abcd", 4);
    assert_int_equal(read_u16(&r), 0x6261);
    assert_false(reader_is_done(&r));
    assert_int_equal(reader_left(&r), 2);
    assert_null(read_bytes(&r, SIZE_MAX));
    assert_true(r.failed);
}

static void test_writer_at_every_length(void **state) {
    (void)state;
    for (size_t bytes = 0; bytes <= RECORD_BYTES; bytes++) {
        uint8_t *data = malloc(bytes + 1);
        struct writer w = writer_of(data + 1, bytes);
        record_write(&w);
        assert_int_equal(w.failed, bytes < RECORD_BYTES);
        assert_true(writer_used(&w) <= bytes);
        if (w.failed) assert_null(write_room(&w, 0));
        free(data);
    }
}

static void test_short_string_limit(void **state) {
    (void)state;
    uint8_t *data = malloc(UINT16_MAX + 10);
    uint8_t *text = calloc(1, UINT16_MAX + 1);
    struct writer w = writer_of(data, UINT16_MAX + 10);
    write_short(&w, text, UINT16_MAX);
    assert_false(w.failed);
    assert_int_equal(writer_used(&w), UINT16_MAX + 2);
    w = writer_of(data, UINT16_MAX + 10);
    write_short(&w, text, UINT16_MAX + 1);
    assert_true(w.failed);
    free(text);
    free(data);
}

static void test_align(void **state) {
    (void)state;
    assert_int_equal(bytes_align(0, 8), 0);
    assert_int_equal(bytes_align(1, 8), 8);
    assert_int_equal(bytes_align(8, 8), 8);
    assert_int_equal(bytes_align(4097, 4096), 8192);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_little_endian),
        cmocka_unit_test(test_reader_at_every_length),
        cmocka_unit_test(test_reader_with_bytes_left),
        cmocka_unit_test(test_writer_at_every_length),
        cmocka_unit_test(test_short_string_limit),
        cmocka_unit_test(test_align),
    };
    return cmocka_run_group_tests_name("base/bytes", tests, NULL, NULL);
}
