/* Compares UTF-8 checking with a decoder that works from code points, over every sequence of up to
 * three bytes and the edges of four, and shows the printable form and the nearest names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "tests/base/random.h"

/* Decodes the code point first, then asks whether this was its shortest form: the other way round
 * from a table of bounds. Bytes used, or 0. */
static size_t oracle_step(const uint8_t *at, size_t left) {
    static const uint32_t shortest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t bytes = at[0] < 0x80 ? 1 : (at[0] & 0xe0) == 0xc0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : 4;
    if (bytes == 1) return 1;
    if (bytes == 4 && (at[0] & 0xf8) != 0xf0) return 0;
    if (left < bytes) return 0;
    uint32_t point = at[0] & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
        point = point << 6 | (at[i] & 0x3f);
    }
    bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < shortest[bytes] || point > 0x10ffff || is_surrogate ? 0 : bytes;
}

static bool oracle_is_utf8(const uint8_t *data, size_t bytes) {
    for (size_t i = 0; i < bytes;) {
        size_t step = oracle_step(data + i, bytes - i);
        if (step == 0) return false;
        i += step;
    }
    return true;
}

static void test_utf8_short_sequences(void **state) {
    (void)state;
    uint32_t wrong = 0;
    for (uint32_t value = 0; value < 1u << 24; value++) {
        uint8_t data[] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16)};
        size_t bytes = value < 1u << 8 ? 1 : value < 1u << 16 ? 2 : 3;
        if (bytes == 3 && data[0] < 0xc0 && data[1] != 0xff) continue; /* Seen with two. */
        wrong += text_is_utf8(data, bytes) != oracle_is_utf8(data, bytes);
    }
    assert_int_equal(wrong, 0);
}

static void test_utf8_four_bytes(void **state) {
    (void)state;
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    for (uint32_t first = 0xec; first < 0x100; first++) {
        for (uint32_t i = 0; i < 1000; i++) {
            uint8_t data[] = {(uint8_t)first, edges[i % 10], edges[i / 10 % 10], edges[i / 100]};
            assert_int_equal(text_is_utf8(data, 4), oracle_is_utf8(data, 4));
        }
    }
}

static void test_utf8_random(void **state) {
    (void)state;
    static const uint8_t bytes_likely[] = {'a',  'z',  0xc3, 0xa9, 0xe2,
                                           0x82, 0xac, 0xf0, 0x9f, 0x98};
    struct random random = random_of_environment();
    for (int step = 0; step < 200000; step++) {
        uint8_t data[40];
        size_t bytes = random_below(&random, sizeof data);
        for (size_t i = 0; i < bytes; i++) {
            bool is_plain = random_below(&random, 8) != 0;
            data[i] = is_plain ? 'x' : bytes_likely[random_below(&random, sizeof bytes_likely)];
        }
        assert_int_equal(text_is_utf8(data, bytes), oracle_is_utf8(data, bytes));
    }
    assert_true(text_is_utf8(NULL, 0));
}

static void test_printable(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const char *data;
        size_t bytes;
        size_t room;
        const char *printed;
    } cases[] = {
        {"plain", "abc", 3, 32, "abc"},
        {"empty", "", 0, 8, ""},
        {"control bytes", "a\n\0\x7f", 4, 32, "a\\x0a\\x00\\x7f"},
        {"characters", "\xc3\xa9\xe2\x82\xac", 5, 32, "\xc3\xa9\xe2\x82\xac"},
        {"malformed", "\xc3(\xff", 3, 32, "\\xc3(\\xff"},
        {"C1 control", "\xc2\x85", 2, 32, "\\xc2\\x85"},
        {"just fits", "1234567", 7, 8, "1234567"},
        {"one too many", "12345678", 8, 8, "1234..."},
        {"cut between characters",
         "abc\xe2\x82\xac"
         "defgh",
         11, 8, "abc..."},
        {"cut at an escape", "ab\n\n", 4, 8, "ab..."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("  %s\n", cases[i].name);
        char out[32];
        size_t bytes = text_format_printable(cases[i].data, cases[i].bytes, out, cases[i].room);
        assert_string_equal(out, cases[i].printed);
        assert_int_equal(bytes, strlen(out));
    }
}

static void test_printable_is_always_well_formed(void **state) {
    (void)state;
    struct random random = random_of_environment();
    for (int step = 0; step < 50000; step++) {
        uint8_t data[64];
        size_t bytes = random_below(&random, sizeof data);
        for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)random_get(&random);
        char out[64];
        size_t room = 8 + random_below(&random, sizeof out - 8);
        size_t length = text_format_printable(data, bytes, out, room);
        assert_true(length < room);
        assert_int_equal(length, strlen(out));
        assert_true(text_is_utf8(out, length));
    }
}

static void test_distance(void **state) {
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        uint32_t distance;
    } cases[] = {
        {"", "", 0},
        {"abc", "abc", 0},
        {"", "abc", 3},
        {"memory", "memroy", 1},
        {"shards", "shard", 1},
        {"kitten", "sitting", 3},
        {"ca", "abc", 3},
        {"io", "oi", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(text_distance(cases[i].a, cases[i].b), cases[i].distance);
        assert_int_equal(text_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
    char a[200], b[200];
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    a[199] = b[199] = '\0';
    assert_int_equal(text_distance(a, b), 64);
}

static const char *nearest_of(const char *wanted) {
    static const char *const known[] = {"memory", "shards", "listen", "data", "ttl"};
    struct text_nearest nearest;
    text_nearest_init(&nearest, wanted);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        text_nearest_put(&nearest, known[i]);
    }
    return text_nearest_get(&nearest);
}

static void test_nearest(void **state) {
    (void)state;
    assert_string_equal(nearest_of("memroy"), "memory");
    assert_string_equal(nearest_of("shard"), "shards");
    assert_string_equal(nearest_of("tll"), "ttl");
    assert_string_equal(nearest_of("data"), "data");
    assert_null(nearest_of("compression"));
    assert_null(nearest_of(""));
    assert_null(nearest_of("x"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_short_sequences),
        cmocka_unit_test(test_utf8_four_bytes),
        cmocka_unit_test(test_utf8_random),
        cmocka_unit_test(test_printable),
        cmocka_unit_test(test_printable_is_always_well_formed),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
