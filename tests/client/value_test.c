/*
 * Shows that values keep their bytes and their text: case tables for both, text that cannot be
 * read, and random values that are written as text, read back and encoded to the same bytes
 * (FST_SEED).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/value.h"

enum { TEXT_BYTES = 4096, ROUNDS = 20000 };

/* ---- text ---- */

static const struct text_case {
    struct fst_type type;
    const char *text;
    const char *bytes; /* little-endian; as many as the type has, or as many as there are */
    const char *again; /* what is written, if that is not `text` */
} text_cases[] = {
    {{.kind = FST_KIND_BOOL}, "true", "\x01", NULL},
    {{.kind = FST_KIND_BOOL}, "false", "\0", NULL},
    {{.kind = FST_KIND_INT32}, "-2147483648", "\0\0\0\x80", NULL},
    {{.kind = FST_KIND_INT32}, "+7", "\x07\0\0\0", "7"},
    {{.kind = FST_KIND_INT64}, "-9223372036854775808", "\0\0\0\0\0\0\0\x80", NULL},
    {{.kind = FST_KIND_INT64}, "9223372036854775807", "\xff\xff\xff\xff\xff\xff\xff\x7f", NULL},
    {{.kind = FST_KIND_FLOAT32}, "0.1", "\xcd\xcc\xcc\x3d", NULL},
    {{.kind = FST_KIND_FLOAT64}, "0.1", "\x9a\x99\x99\x99\x99\x99\xb9\x3f", NULL},
    {{.kind = FST_KIND_FLOAT64}, "1e3", "\0\0\0\0\0\x40\x8f\x40", "1000"},
    {{.kind = FST_KIND_FLOAT64}, "-inf", "\0\0\0\0\0\0\xf0\xff", NULL},
    {{.kind = FST_KIND_FLOAT64}, "0.30000000000000004", "\x34\x33\x33\x33\x33\x33\xd3\x3f", NULL},
    {{.kind = FST_KIND_DECIMAL, .scale = 2}, "-12.05", "\x4b\xfb\xff\xff\xff\xff\xff\xff", NULL},
    {{.kind = FST_KIND_DECIMAL, .scale = 2}, "3", "\x2c\x01\0\0\0\0\0\0", "3.00"},
    {{.kind = FST_KIND_DECIMAL, .scale = 3}, "-0.001", "\xff\xff\xff\xff\xff\xff\xff\xff", NULL},
    {{.kind = FST_KIND_DECIMAL, .scale = 18},
     "9.223372036854775807",
     "\xff\xff\xff\xff\xff\xff\xff\x7f",
     NULL},
    {{.kind = FST_KIND_TIMESTAMP}, "1970-01-01T00:00:01.500000Z", "\x60\xe3\x16\0\0\0\0\0", NULL},
    {{.kind = FST_KIND_TIMESTAMP},
     "-1",
     "\xff\xff\xff\xff\xff\xff\xff\xff",
     "1969-12-31T23:59:59.999999Z"},
    {{.kind = FST_KIND_STRING}, "", "", NULL},
    {{.kind = FST_KIND_STRING}, "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", NULL},
    {{.kind = FST_KIND_BYTES}, "0x00ff1", NULL, NULL},
    {{.kind = FST_KIND_BYTES}, "0x", "", NULL},
    {{.kind = FST_KIND_BYTES}, "0xABcd", "\xab\xcd", "0xabcd"},
    {{.kind = FST_KIND_UUID},
     "00112233-4455-6677-8899-aabbccddeeff",
     "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
     NULL},
    {{.kind = FST_KIND_UUID}, "00112233-4455-6677-8899-aabbccddeef", NULL, NULL},
    {{.kind = FST_KIND_UUID}, "00112233-4455-6677-8899aaabbccddeeff", NULL, NULL},
    {{.kind = FST_KIND_BOOL}, "True", NULL, NULL},
    {{.kind = FST_KIND_BOOL}, "1", NULL, NULL},
    {{.kind = FST_KIND_INT32}, "2147483648", NULL, NULL},
    {{.kind = FST_KIND_INT64}, "9223372036854775808", NULL, NULL},
    {{.kind = FST_KIND_INT64}, "-9223372036854775809", NULL, NULL},
    {{.kind = FST_KIND_INT64}, "18446744073709551617", NULL, NULL},
    {{.kind = FST_KIND_INT64}, "", NULL, NULL},
    {{.kind = FST_KIND_INT64}, "-", NULL, NULL},
    {{.kind = FST_KIND_INT64}, " 1", NULL, NULL},
    {{.kind = FST_KIND_INT64}, "1.0", NULL, NULL},
    {{.kind = FST_KIND_INT64}, "0x10", NULL, NULL},
    {{.kind = FST_KIND_DECIMAL, .scale = 2}, "1.234", NULL, NULL},
    {{.kind = FST_KIND_DECIMAL, .scale = 2}, "1.", NULL, NULL},
    {{.kind = FST_KIND_DECIMAL, .scale = 2}, ".5", NULL, NULL},
    {{.kind = FST_KIND_DECIMAL, .scale = 2}, "1.2.3", NULL, NULL},
    {{.kind = FST_KIND_DECIMAL, .scale = 18}, "10", NULL, NULL},
    {{.kind = FST_KIND_FLOAT64}, "", NULL, NULL},
    {{.kind = FST_KIND_FLOAT64}, "1e999", NULL, NULL},
    {{.kind = FST_KIND_FLOAT64}, "0x1p3", NULL, NULL},
    {{.kind = FST_KIND_FLOAT64}, "infinity", NULL, NULL},
    {{.kind = FST_KIND_FLOAT64}, "1.5x", NULL, NULL},
    {{.kind = FST_KIND_FLOAT32}, "1e39", NULL, NULL},
    {{.kind = FST_KIND_TIMESTAMP}, "2018-04-01", NULL, NULL},
    {{.kind = FST_KIND_TIMESTAMP}, "2018-04-31T00:00:00Z", NULL, NULL},
    {{.kind = FST_KIND_STRING}, "\xff", NULL, NULL},
};

static void test_text(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof text_cases / sizeof text_cases[0]; i++) {
        const struct text_case *c = &text_cases[i];
        struct fst_text text = {.text = c->text, .bytes = strlen(c->text)};
        struct fst_value value = {.presence = 99};
        struct fst_error error = {0};
        uint8_t room[64], encoded_room[CLIENT_FIXED_BYTES_MAX];
        char again[TEXT_BYTES];
        enum fst_status status = fst_value_parse(c->type, text, room, &value, &error);
        if (!c->bytes) {
            if (status != FST_INVALID) fail_msg("'%s' was read", c->text);
            if (strncmp(error.text, "expected ", 9) != 0) fail_msg("%s: %s", c->text, error.text);
            assert_int_equal(value.presence, 99);
            continue;
        }
        if (status != FST_OK) fail_msg("'%s': %s", c->text, error.text);
        struct bytes encoded = client_value_encode(c->type, &value, encoded_room);
        if (client_type_bytes(c->type) > 0)
            assert_int_equal(encoded.bytes, client_type_bytes(c->type));
        assert_memory_equal(encoded.data, c->bytes, encoded.bytes);
        size_t length = fst_value_format(&value, again, sizeof again);
        assert_int_equal(length, strlen(again));
        assert_string_equal(again, c->again ? c->again : c->text);
    }
}

static void test_text_is_cut_to_its_room(void **state) {
    (void)state;
    struct fst_value value = fst_string("twelve bytes");
    char text[20];
    for (size_t room = 0; room < sizeof text; room++) {
        memset(text, '!', sizeof text);
        assert_int_equal(fst_value_format(&value, text, room), 12);
        for (size_t i = 0; i < sizeof text; i++) {
            size_t bytes = room == 0 ? 0 : room - 1 < 12 ? room - 1 : 12;
            char expected = i < bytes ? "twelve bytes"[i] : i == bytes && room > 0 ? '\0' : '!';
            assert_int_equal(text[i], expected);
        }
    }
}

static const struct type_case {
    struct fst_type type;
    const char *text;
} type_cases[] = {
    {{.kind = FST_KIND_INT64}, "int64"},
    {{.kind = FST_KIND_DECIMAL, .scale = 2}, "decimal(2)"},
    {{.kind = FST_KIND_VECTOR, .elements = 8}, "vector(float32, 8)"},
    {{.kind = FST_KIND_LIST, .element_kind = FST_KIND_STRING}, "list(string)"},
    {{.kind = FST_KIND_LIST, .element_kind = FST_KIND_DECIMAL, .element_scale = 3},
     "list(decimal(3))"},
    {{.kind = 0}, "?"},
    {{.kind = 200}, "?"},
};

static void test_types(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof type_cases / sizeof type_cases[0]; i++) {
        char text[FST_TYPE_TEXT_BYTES];
        fst_type_format(type_cases[i].type, text);
        assert_string_equal(text, type_cases[i].text);
    }
}

static const struct wire_case {
    uint8_t bytes[CLIENT_TYPE_BYTES];
    bool is_type;
} wire_cases[] = {
    {{1}, true},
    {{0}, false},
    {{13}, false},
    {{6, 18}, true},
    {{6, 19}, false},
    {{5, 1}, false},
    {{11}, false},
    {{11, 0, 0, 0, 1}, true},
    {{12}, false},
    {{12, 0, 8}, true},
    {{12, 0, 12}, false},
    {{12, 0, 11}, false},
    {{12, 0, 6, 18}, true},
    {{12, 0, 6, 19}, false},
    {{12, 0, 5, 1}, false},
    {{3, 0, 1}, false},
    {{3, 0, 0, 1}, false},
    {{3, 0, 0, 0, 1}, false},
    {{11, 0, 0, 0, 0, 16}, true},
    {{11, 0, 0, 0, 1, 16}, false},
};

static void test_types_from_the_wire(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof wire_cases / sizeof wire_cases[0]; i++) {
        struct reader reader = reader_of(wire_cases[i].bytes, CLIENT_TYPE_BYTES);
        struct fst_type type;
        bool is_type = client_type_decode(&reader, &type) == FST_OK;
        if (is_type != wire_cases[i].is_type) fail_msg("case %zu", i);
    }
}

/* ---- fitting ---- */

static void test_only_values_of_the_type_fit(void **state) {
    (void)state;
    static const float elements[3] = {1, 2, 3};
    struct fst_type integers = {.kind = FST_KIND_INT64};
    const struct fst_value values[] = {
        fst_bool(true),          fst_int64(1),
        fst_float64(1),          fst_decimal(1, 2),
        fst_timestamp(1),        fst_string("x"),
        fst_bytes("x", 1),       fst_uuid("0123456789abcdef"),
        fst_vector(elements, 3), fst_list(integers, "\0\0\0", 4),
    };
    const struct fst_type types[] = {
        {.kind = FST_KIND_BOOL},
        {.kind = FST_KIND_INT64},
        {.kind = FST_KIND_FLOAT64},
        {.kind = FST_KIND_DECIMAL, .scale = 2},
        {.kind = FST_KIND_TIMESTAMP},
        {.kind = FST_KIND_STRING},
        {.kind = FST_KIND_BYTES},
        {.kind = FST_KIND_UUID},
        {.kind = FST_KIND_VECTOR, .elements = 3},
        {.kind = FST_KIND_LIST, .element_kind = FST_KIND_INT64},
    };
    enum { COUNT = sizeof values / sizeof values[0] };
    for (size_t v = 0; v < COUNT; v++) {
        for (size_t t = 0; t < COUNT; t++) {
            assert_int_equal(client_value_fits(types[t], &values[v]) == FST_OK, v == t);
        }
    }
    struct fst_value value = fst_int64(INT64_C(1) << 31);
    assert_int_equal(client_value_fits((struct fst_type){.kind = FST_KIND_INT32}, &value),
                     FST_INVALID);
    value = fst_decimal(1, 3);
    assert_int_equal(client_value_fits(types[3], &value), FST_INVALID);
    value = fst_null();
    assert_int_equal(client_value_fits(types[5], &value), FST_INVALID);
}

/* ---- lists ---- */

static void test_lists(void **state) {
    (void)state;
    struct fst_type strings = {.kind = FST_KIND_STRING};
    struct fst_type moments = {.kind = FST_KIND_TIMESTAMP};
    const struct fst_value texts[] = {fst_string("a\"\n"), fst_string(""), fst_string("\\")};
    const struct fst_value times[] = {fst_timestamp(0)};
    uint8_t data[64];
    char text[128];
    size_t bytes = fst_list_encode(strings, texts, 3, data, sizeof data);
    assert_int_equal(bytes, 4 + 3 * 4 + 3 + 1);
    struct fst_value list = fst_list(strings, data, bytes);
    fst_value_format(&list, text, sizeof text);
    assert_string_equal(text, "[\"a\\\"\\u000a\", \"\", \"\\\\\"]");
    struct fst_elements elements = fst_elements_of(&list);
    struct fst_value element;
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(fst_elements_next(&elements, &element));
        assert_int_equal(element.bytes, texts[i].bytes);
        assert_memory_equal(element.data, texts[i].data, element.bytes);
    }
    assert_false(fst_elements_next(&elements, &element));
    bytes = fst_list_encode(moments, times, 1, data, sizeof data);
    list = fst_list(moments, data, bytes);
    fst_value_format(&list, text, sizeof text);
    assert_string_equal(text, "[\"1970-01-01T00:00:00.000000Z\"]");
    /* Too little room is said, and nothing is written past it. */
    data[6] = 77;
    assert_int_equal(fst_list_encode(strings, texts, 3, data, 6), 4 + 3 * 4 + 3 + 1);
    assert_int_equal(data[6], 77);
    assert_int_equal(fst_list_encode(moments, texts, 1, data, sizeof data), 0);
    /* Bytes from outside may lie about the count. */
    list = fst_list(strings, "\xff\xff\xff\xff\x01\0\0\0x", 9);
    elements = fst_elements_of(&list);
    assert_true(fst_elements_next(&elements, &element));
    assert_false(fst_elements_next(&elements, &element));
}

/* ---- numbers ---- */

static void test_numbers(void **state) {
    (void)state;
    struct fst_value value = fst_decimal(-1205, 2);
    assert_true(fst_value_float64(&value) == -12.05);
    value = fst_decimal(INT64_C(5258986265376043509), 3); /* One rounding. */
    assert_true(fst_value_float64(&value) == 5258986265376044.0);
    value.type.scale = FST_SCALE_MAX + 1;
    assert_true(isnan(fst_value_float64(&value)));
    value = fst_bool(true);
    assert_true(fst_value_float64(&value) == 1);
    value = fst_timestamp(-5);
    assert_true(fst_value_float64(&value) == -5);
    value = fst_string("5");
    assert_true(isnan(fst_value_float64(&value)));
    value = fst_int64(5);
    value.is_given = false;
    assert_true(isnan(fst_value_float64(&value)));
}

/* ---- random values ---- */

static uint64_t random_next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed ^ *seed >> 29;
}

static bool is_nan_bits(struct fst_type type, const uint8_t *at) {
    struct fst_value value = client_value_decode(type, at, 0);
    bool is_float = type.kind == FST_KIND_FLOAT32 || type.kind == FST_KIND_FLOAT64;
    return is_float && isnan(value.number);
}

static void test_random_values_survive_their_text(void **state) {
    (void)state;
    const char *text_seed = getenv("FST_SEED");
    uint64_t seed = text_seed ? strtoull(text_seed, NULL, 10) : 1;
    print_message("FST_SEED=%llu\n", (unsigned long long)seed);
    static const uint8_t kinds[] = {FST_KIND_INT32,   FST_KIND_INT64,   FST_KIND_FLOAT32,
                                    FST_KIND_FLOAT64, FST_KIND_DECIMAL, FST_KIND_TIMESTAMP,
                                    FST_KIND_BYTES,   FST_KIND_UUID};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct fst_type type = {.kind = kinds[random_next(&seed) % sizeof kinds]};
        if (type.kind == FST_KIND_DECIMAL) type.scale = (uint8_t)(random_next(&seed) % 19);
        uint8_t stored[16], room[64], encoded_room[CLIENT_FIXED_BYTES_MAX];
        uint64_t first = random_next(&seed) >> random_next(&seed) % 64;
        uint64_t second = random_next(&seed);
        memcpy(stored, &first, 8);
        memcpy(stored + 8, &second, 8);
        if (is_nan_bits(type, stored)) continue;
        struct fst_value value = client_value_decode(type, stored, 13), again;
        char text[128];
        size_t bytes = fst_value_format(&value, text, sizeof text);
        struct fst_text found = {.text = text, .bytes = bytes};
        assert_int_equal(fst_value_parse(type, found, room, &again, NULL), FST_OK);
        struct bytes encoded = client_value_encode(type, &again, encoded_room);
        if (memcmp(encoded.data, stored, encoded.bytes) != 0) fail_msg("%s", text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_is_cut_to_its_room),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_types_from_the_wire),
        cmocka_unit_test(test_only_values_of_the_type_fit),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_random_values_survive_their_text),
    };
    return cmocka_run_group_tests_name("client/value", tests, NULL, NULL);
}
