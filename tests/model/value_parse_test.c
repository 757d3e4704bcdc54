/* Texts of every kind are read to the expected bytes, at the limits and one past them; what is
 * refused names what was expected and leaves the writer alone. Floats are compared with strtod
 * over random texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/value_parse.h"

enum { RANDOM_FLOATS = 200000 };

/* Kinds of 8 bytes or fewer: the value as a number, all its bytes. */
static const struct number_case {
    const char *type, *text;
    int64_t value; /* read as int64, int32 or bool */
} number_cases[] = {
    {"bool", "true", 1},
    {"bool", "False", 0},
    {"bool", "1", 1},
    {"int32", "-2147483648", INT32_MIN},
    {"int32", "2147483647", INT32_MAX},
    {"int32", "-0", 0},
    {"int32", "007", 7},
    {"int64", "-9223372036854775808", INT64_MIN},
    {"int64", "9223372036854775807", INT64_MAX},
    {"decimal(0)", "12", 12},
    {"decimal(2)", "12", 1200},
    {"decimal(2)", "-12.3", -1230},
    {"decimal(2)", "0.05", 5},
    {"decimal(2)", "-0.05", -5},
    {"decimal(2)", "92233720368547758.07", INT64_MAX},
    {"decimal(2)", "-92233720368547758.08", INT64_MIN},
    {"decimal(18)", "9.223372036854775807", INT64_MAX},
    {"decimal(18)", "-9", INT64_C(-9000000000000000000)},
    {"timestamp", "0", 0},
    {"timestamp", "-1", -1},
    {"timestamp", "1522575000250000", INT64_C(1522575000250000)},
    {"timestamp", "2018-04-01T09:30:00.25Z", INT64_C(1522575000250000)},
    {"timestamp", "2018-04-01T11:30:00.25+02:00", INT64_C(1522575000250000)},
    {"timestamp", "9223372036854775807", INT64_MAX},
};

static const struct float_case {
    const char *type, *text;
    uint64_t bits;
} float_cases[] = {
    {"float64", "0", 0},
    {"float64", "-0.0", 0},
    {"float64", "1", UINT64_C(0x3ff0000000000000)},
    {"float64", "-2.5e1", UINT64_C(0xc039000000000000)},
    {"float64", "0.1", UINT64_C(0x3fb999999999999a)},
    {"float64", "1e22", UINT64_C(0x4480f0cf064dd592)},
    {"float64", "1E+23", UINT64_C(0x44b52d02c7e14af6)},
    {"float64", "1.7976931348623157e308", UINT64_C(0x7fefffffffffffff)},
    {"float64", "5e-324", 1},
    {"float64", "1e-400", 0},
    {"float64", "-1e-400", 0},
    {"float64", "9007199254740993", UINT64_C(0x4340000000000000)},
    {"float64", "0.000000000000000000000000000001", UINT64_C(0x39b4484bfeebc2a0)},
    {"float64", "nan", UINT64_C(0x7ff8000000000000)},
    {"float64", "NaN", UINT64_C(0x7ff8000000000000)},
    {"float64", "inf", UINT64_C(0x7ff0000000000000)},
    {"float64", "-inf", UINT64_C(0xfff0000000000000)},
    {"float32", "1", 0x3f800000},
    {"float32", "0.1", 0x3dcccccd},
    {"float32", "16777217", 0x4b800000},
    {"float32", "3.4028235e38", 0x7f7fffff},
    {"float32", "1e-45", 1},
    {"float32", "-0", 0},
    {"float32", "nan", 0x7fc00000},
    {"float32", "-inf", 0xff800000},
};

#define TEXT(s) s, sizeof(s) - 1

static const struct bytes_case {
    const char *type, *text, *value;
    size_t bytes;
} bytes_cases[] = {
    {"string", "", TEXT("")},
    {"string", "\xe2\x82\xac \"x\"", TEXT("\xe2\x82\xac \"x\"")},
    {"bytes", "0x", TEXT("")},
    {"bytes", "0x00fFA9", TEXT("\x00\xff\xa9")},
    {"uuid", "123e4567-E89b-12d3-a456-426614174000",
     TEXT("\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x14\x17\x40\x00")},
    {"vector(float32, 2)", "[1, -0]", TEXT("\x00\x00\x80\x3f\x00\x00\x00\x00")},
    {"vector(float32, 1)", " [ \"nan\" ] ", TEXT("\x00\x00\xc0\x7f")},
    {"list(int32)", "[]", TEXT("\0\0\0\0")},
    {"list(int32)", "[ ]", TEXT("\0\0\0\0")},
    {"list(int32)", "[1,\n\"-1\" ]", TEXT("\2\0\0\0\1\0\0\0\xff\xff\xff\xff")},
    {"list(bool)", "[true,false]", TEXT("\2\0\0\0\1\0")},
    {"list(decimal(1))", "[1.5]", TEXT("\1\0\0\0\x0f\0\0\0\0\0\0\0")},
    {"list(timestamp)", "[\"1970-01-01T00:00:00.000001Z\", 2]",
     TEXT("\2\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0")},
    {"list(bytes)", "[\"0x0102\",\"0x\"]", TEXT("\2\0\0\0\2\0\0\0\1\2\0\0\0\0")},
    {"list(string)", "[\"\", \"a,]b\"]", TEXT("\2\0\0\0\0\0\0\0\4\0\0\0a,]b")},
    {"list(string)", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"]",
     TEXT("\1\0\0\0\x12\0\0\0\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")},
    {"list(uuid)", "[\"00000000-0000-0000-0000-00000000000f\"]",
     TEXT("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0f")},
};

static const struct wrong_case {
    const char *type, *text, *expected;
} wrong_cases[] = {
    {"bool", "", "true or false"},
    {"bool", "2", "true or false"},
    {"bool", "TRUE ", "true or false"},
    {"int32", "", "an integer"},
    {"int32", "-", "an integer"},
    {"int32", "+1", "an integer"},
    {"int32", " 1", "an integer"},
    {"int32", "1.0", "an integer"},
    {"int32", "2147483648", "2147483647"},
    {"int32", "-2147483649", "-2147483648"},
    {"int64", "9223372036854775808", "an integer"},
    {"int64", "-9223372036854775809", "an integer"},
    {"int64", "99999999999999999999999", "an integer"},
    {"int64", "0x10", "an integer"},
    {"float64", "", "a number"},
    {"float64", "1e", "a number"},
    {"float64", "e5", "a number"},
    {"float64", ".5", "a number"},
    {"float64", "1.", "a number"},
    {"float64", "1,5", "a number"},
    {"float64", "0x1p3", "a number"},
    {"float64", "infinity", "a number"},
    {"float64", "-nan", "a number"},
    {"float64", "1e309", "a number within the range of float64"},
    {"float64", "-1e99999999999999999999", "a number within the range of float64"},
    {"float32", "3.5e38", "a number within the range of float32"},
    {"decimal(2)", "1.234", "at most 2 decimal places"},
    {"decimal(2)", "1.230", "at most 2 decimal places"},
    {"decimal(0)", "1.0", "at most 0 decimal places"},
    {"decimal(2)", "1.", "a decimal number"},
    {"decimal(2)", ".5", "a decimal number"},
    {"decimal(2)", "1e2", "a decimal number"},
    {"decimal(2)", "92233720368547758.08", "fits 64 bits"},
    {"decimal(2)", "-92233720368547758.09", "fits 64 bits"},
    {"decimal(18)", "10", "fits 64 bits"},
    {"timestamp", "2018-04-01", "RFC 3339"},
    {"timestamp", "2018-02-29T00:00:00Z", "RFC 3339"},
    {"timestamp", "9223372036854775808", "integer microseconds"},
    {"string", "\x80", "valid UTF-8"},
    {"bytes", "", "0x"},
    {"bytes", "0x0", "an even number"},
    {"bytes", "0xzz", "hex"},
    {"bytes", "abcd", "0x"},
    {"uuid", "123e4567e89b12d3a456426614174000", "a uuid"},
    {"uuid", "123e4567-e89b-12d3-a456-42661417400", "a uuid"},
    {"uuid", "123e4567-e89b-12d3-a456_426614174000", "a uuid"},
    {"uuid", "123e4567-e89b-12d3-a456-42661417400g", "a uuid"},
    {"vector(float32, 2)", "[1]", "as many as"},
    {"vector(float32, 2)", "[1,2,3]", "as many as"},
    {"vector(float32, 2)", "1,2", "a JSON array"},
    {"vector(float32, 2)", "[1,null]", "a JSON array"},
    {"list(int32)", "", "a JSON array"},
    {"list(int32)", "[", "a JSON array"},
    {"list(int32)", "[1", "a JSON array"},
    {"list(int32)", "[1,", "a JSON array"},
    {"list(int32)", "[1,]", "a JSON array"},
    {"list(int32)", "[,1]", "a JSON array"},
    {"list(int32)", "[1]]", "a JSON array"},
    {"list(int32)", "[1] x", "a JSON array"},
    {"list(int32)", "[[1]]", "a JSON array"},
    {"list(int32)", "[null]", "a JSON array"},
    {"list(int32)", "[\"1]", "a JSON array"},
    {"list(string)", "[a]", "a JSON array"},
    {"list(string)", "[\"a]", "a JSON array"},
    {"list(string)", "[\"\n\"]", "a JSON array"},
    {"list(string)", "[\"\\x41\"]", "a JSON array"},
    {"list(string)", "[\"\\u12\"]", "a JSON array"},
    {"list(string)", "[\"\\ud800\"]", "a JSON array"},
    {"list(string)", "[\"\\udc00\"]", "a JSON array"},
    {"list(string)", "[\"\\ud800\\u0041\"]", "a JSON array"},
    {"list(string)", "[\"\x80\"]", "a JSON array"},
    {"list(string)", "[\"\\", "a JSON array"},
    {"list(bytes)", "[0x00]", "a JSON array"},
    {"list(uuid)", "[123e4567-e89b-12d3-a456-426614174000]", "a JSON array"},
};

static struct type type_of(const char *text) {
    struct type type;
    assert_int_equal(type_parse(text, &type, NULL), FST_OK);
    return type;
}

/* Parses a copy of exactly the size of the text, so that a sanitizer sees a read beyond it. */
static enum fst_status parse_copy(struct type type, const char *text, size_t bytes,
                                  struct writer *out, const char **expected_out) {
    char *copy = malloc(bytes + (bytes == 0));
    assert_non_null(copy);
    memcpy(copy, text, bytes);
    enum fst_status status = value_parse(type, copy, bytes, out, expected_out);
    free(copy);
    return status;
}

static size_t parse_right(const char *type_text, const char *text, uint8_t *value, size_t bytes) {
    struct type type = type_of(type_text);
    struct writer out = writer_of(value, bytes);
    const char *expected = NULL;
    assert_int_equal(parse_copy(type, text, strlen(text), &out, &expected), FST_OK);
    assert_false(out.failed);
    assert_null(expected);
    struct bytes written = {.data = value, .bytes = writer_used(&out)};
    assert_int_equal(value_check(type, written), FST_OK);
    return writer_used(&out);
}

static void test_numbers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof number_cases / sizeof number_cases[0]; i++) {
        const struct number_case *c = &number_cases[i];
        print_message("  %s '%s'\n", c->type, c->text);
        uint8_t value[8];
        size_t bytes = parse_right(c->type, c->text, value, sizeof value);
        assert_int_equal(bytes, type_fixed_bytes(type_of(c->type)));
        assert_memory_equal(value, &c->value, bytes);
    }
}

static void test_floats(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof float_cases / sizeof float_cases[0]; i++) {
        const struct float_case *c = &float_cases[i];
        print_message("  %s '%s'\n", c->type, c->text);
        uint8_t value[8];
        size_t bytes = parse_right(c->type, c->text, value, sizeof value);
        assert_memory_equal(value, &c->bits, bytes);
    }
}

static void test_byte_strings_and_arrays(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bytes_cases / sizeof bytes_cases[0]; i++) {
        const struct bytes_case *c = &bytes_cases[i];
        print_message("  %s '%s'\n", c->type, c->text);
        uint8_t value[64];
        size_t bytes = parse_right(c->type, c->text, value, sizeof value);
        assert_int_equal(bytes, c->bytes);
        assert_memory_equal(value, c->value, bytes);
    }
}

static void test_wrong_texts_name_what_is_expected(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof wrong_cases / sizeof wrong_cases[0]; i++) {
        const struct wrong_case *c = &wrong_cases[i];
        print_message("  %s '%s'\n", c->type, c->text);
        uint8_t value[64];
        struct writer out = writer_of(value, sizeof value);
        write_u8(&out, 7);
        const char *expected = NULL;
        assert_int_equal(parse_copy(type_of(c->type), c->text, strlen(c->text), &out, &expected),
                         FST_INVALID);
        assert_int_equal(writer_used(&out), 1);
        assert_false(out.failed);
        assert_non_null(strstr(expected, c->expected));
    }
}

/* Every room smaller than the value needs is TOO_LARGE, and nothing is written. */
static void test_small_rooms(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bytes_cases / sizeof bytes_cases[0]; i++) {
        const struct bytes_case *c = &bytes_cases[i];
        for (size_t room = 0; room < c->bytes; room++) {
            uint8_t *value = malloc(room + 1);
            assert_non_null(value);
            struct writer out = writer_of(value, room);
            const char *expected = NULL;
            assert_int_equal(
                parse_copy(type_of(c->type), c->text, strlen(c->text), &out, &expected),
                FST_TOO_LARGE);
            assert_int_equal(writer_used(&out), 0);
            assert_false(out.failed);
            free(value);
        }
    }
}

static void test_longest_values(void **state) {
    (void)state;
    size_t room = VALUE_BYTES_MAX + 64;
    char *text = malloc(2 * room + 64);
    uint8_t *value = malloc(2 * room);
    const char *expected = NULL;
    assert_non_null(text);
    assert_non_null(value);
    memset(text, 'a', VALUE_BYTES_MAX + 1);
    struct writer out = writer_of(value, room);
    assert_int_equal(value_parse(type_of("string"), text, VALUE_BYTES_MAX, &out, &expected),
                     FST_OK);
    out = writer_of(value, room);
    assert_int_equal(value_parse(type_of("string"), text, VALUE_BYTES_MAX + 1, &out, &expected),
                     FST_TOO_LARGE);
    assert_string_equal(expected, "at most 65536 bytes");

    /* A list of bools takes 4 bytes and one for each. */
    uint32_t count = VALUE_BYTES_MAX - 4;
    for (uint32_t extra = 0; extra <= 1; extra++) {
        size_t at = 0;
        text[at++] = '[';
        for (uint32_t i = 0; i < count + extra; i++) {
            if (i > 0) text[at++] = ',';
            text[at++] = '1';
        }
        text[at++] = ']';
        out = writer_of(value, 2 * room);
        assert_int_equal(value_parse(type_of("list(bool)"), text, at, &out, &expected),
                         extra ? FST_TOO_LARGE : FST_OK);
    }
    free(text);
    free(value);
}

static uint64_t random_next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void test_random_floats_are_as_strtod_reads_them(void **state) {
    (void)state;
    const char *seed_text = getenv("FST_SEED");
    uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) | 1 : 20261120;
    print_message("  FST_SEED=%" PRIu64 "\n", seed);
    for (uint32_t i = 0; i < RANDOM_FLOATS; i++) {
        char text[64];
        uint64_t digits = random_next(&seed) >> (random_next(&seed) % 60);
        int exponent = (int)(random_next(&seed) % 90) - 45;
        uint64_t fraction = random_next(&seed) >> (random_next(&seed) % 64);
        const char *sign = random_next(&seed) & 1 ? "-" : "";
        if (i % 3 == 0) snprintf(text, sizeof text, "%s%" PRIu64 "e%d", sign, digits, exponent);
        if (i % 3 == 1)
            snprintf(text, sizeof text, "%s%" PRIu64 ".%" PRIu64, sign, digits, fraction);
        if (i % 3 == 2)
            snprintf(text, sizeof text, "%s0.%" PRIu64 "E+%d", sign, fraction, exponent + 45);
        double wide = strtod(text, NULL);
        float narrow = strtof(text, NULL);
        uint8_t value[8];
        if (wide == 0 || i % 2 == 0) {
            if (wide == 0) continue;
            parse_right("float64", text, value, sizeof value);
            assert_memory_equal(value, &wide, sizeof wide);
        } else if (narrow != 0 && !__builtin_isinf(narrow)) {
            parse_right("float32", text, value, sizeof value);
            assert_memory_equal(value, &narrow, sizeof narrow);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_byte_strings_and_arrays),
        cmocka_unit_test(test_wrong_texts_name_what_is_expected),
        cmocka_unit_test(test_small_rooms),
        cmocka_unit_test(test_longest_values),
        cmocka_unit_test(test_random_floats_are_as_strtod_reads_them),
    };
    return cmocka_run_group_tests_name("model/value_parse", tests, NULL, NULL);
}
